// SPDX-License-Identifier: Apache-2.0
/*
 * Images by name: the index is read anew for each question, since another process may have replaced
 * it; it is small, and replaced whole, so a reader needs no lock.
 */
#include "image/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/imageref.h"
#include "image/internal.h"
#include "image/signed.h"
#include "image/wasm.h"

int image_store_open(int root_fd, struct image_store **ret, struct zl_error *err)
{
    struct image_store *s = calloc(1, sizeof *s);
    if (!s)
        return zl_fail_errno(err, "open the image store");
    if (layout_open(root_fd, &s->layout, err) < 0) {
        free(s);
        return -1;
    }
    *ret = s;
    return 0;
}

static void forget_found(struct image_store *s)
{
    for (size_t i = 0; i < IMAGES_FOUND; i++)
        image_free(s->found[i]);
    (void)memset(s->found, 0, sizeof s->found);
    (void)memset(s->files, 0, sizeof s->files);
}

void image_store_free(struct image_store *s)
{
    if (!s)
        return;
    forget_found(s);
    layout_close(&s->layout);
    free(s);
}

int image_read_index(struct image_store *s, struct zl_json *doc, struct oci_index *ret,
                     struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(OCI_DOCUMENT_MAX);
    if (zl_read_file(s->layout.images, LAYOUT_INDEX, &text, err) < 0)
        return -1;
    return oci_index_parse(doc, text.data, text.len, "images/index.json", ret, err);
}

/* ---- one image ------------------------------------------------------------------------------- */

struct loaded {
    struct image pub; /* first: what callers hold */
    unsigned others;  /* that hold it, too */
    struct zl_json manifest_doc, config_doc;
    char *asked, *name, *called;
    const char *entry[2]; /* of a module: what it is called */
    uint32_t layers[OCI_LAYERS_MAX];
};

void image_free(struct image *i)
{
    struct loaded *x = (struct loaded *)i;
    if (!x || x->others-- > 0)
        return;
    zl_json_done(&x->manifest_doc);
    zl_json_done(&x->config_doc);
    free(x->asked);
    free(x->name);
    free(x->called);
    free(x);
}

/* A module is called after its file, else after its image: "registry/team/hello:1" is "hello". */
static void fill_module(struct loaded *x, const struct oci_descriptor *layer)
{
    struct image *i = &x->pub;
    const char *title = oci_annotation(layer, OCI_TITLE);

    (void)snprintf(i->wasm.digest, sizeof i->wasm.digest, "%s", layer->digest); /* checked */
    if (title && *title) {
        x->entry[0] = title;
    } else {
        char *slash = strrchr(x->name, '/'), *last = strdup(slash ? slash + 1 : x->name);
        x->called = last;
        if (last)
            last[strcspn(last, ":@")] = '\0';
        x->entry[0] = last;
    }
    i->config.entrypoint = x->entry;
}

static void fill_config(struct image *i, const struct oci_image_config *c);

/* What the manifest leads to: the config of an image; of a module nothing, whatever its config is.
 */
static int load_documents(struct image_store *s, struct loaded *x, const char *digest,
                          struct oci_manifest *manifest, struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(OCI_DOCUMENT_MAX);
    struct oci_image_config config;
    if (layout_read_blob(&s->layout, digest, &text, err) < 0 ||
        oci_manifest_parse(&x->manifest_doc, text.data, text.len, "manifest", manifest, err) < 0)
        return -1;
    const struct oci_descriptor *module = image_wasm_layer(manifest);
    if (module) {
        fill_module(x, module);
        return 0;
    }
    zl_buf_reset(&text);
    if (layout_read_blob(&s->layout, manifest->config.digest, &text, err) < 0 ||
        oci_image_config_parse(&x->config_doc, text.data, text.len, "image config", &config, err) <
            0)
        return -1;
    fill_config(&x->pub, &config);
    x->pub.wasm.file = image_wasm_entry(&config);
    if (x->pub.wasm.file)
        (void)snprintf(x->pub.wasm.digest, sizeof x->pub.wasm.digest, "%s", digest);
    return 0;
}

static int check_module(struct image_store *s, const struct image *i, struct zl_error *err)
{
    if (faccessat(s->layout.blobs, layout_hex(i->wasm.digest), F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return 0;
    return zl_fail(err, ZL_ERR_INVALID, "its module %s is gone; import it again", i->wasm.digest);
}

static int check_layers(struct image_store *s, struct loaded *x, const struct oci_manifest *m,
                        struct zl_error *err)
{
    if (x->pub.wasm.digest[0] && !x->pub.wasm.file)
        return check_module(s, &x->pub, err);
    if (layout_read_layers(&s->layout, x->pub.digest, x->layers, OCI_LAYERS_MAX, &x->pub.n_layers,
                           err) < 0 ||
        x->pub.n_layers != m->layers.n)
        return zl_fail(err, ZL_ERR_INVALID, "its layers are not all unpacked; import it again");
    for (size_t i = 0; i < x->pub.n_layers; i++) {
        char name[LAYOUT_PATH];
        (void)snprintf(name, sizeof name, "%u/fs", x->layers[i]);
        if (faccessat(s->layout.layers, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
            return zl_fail(err, ZL_ERR_INVALID,
                           "its layer %zu (layers/%s) is gone; import it again", i + 1, name);
    }
    return 0;
}

static void fill_config(struct image *i, const struct oci_image_config *c)
{
    int64_t created_ns;
    i->config = (struct image_config){
        .entrypoint = (const char *const *)c->config.entrypoint.v,
        .cmd = (const char *const *)c->config.cmd.v,
        .env = (const char *const *)c->config.env.v,
        .user = c->config.user,
        .workdir = c->config.workdir,
        .stop_signal = c->config.stop_signal,
        .architecture = c->architecture,
        .os = c->os,
    };
    if (c->created && zl_parse_rfc3339(c->created, &created_ns, NULL) == 0)
        i->created_ms = created_ns / 1000000;
}

/* The image of one entry of the index. asked: how the caller calls it. */
static int load(struct image_store *s, const struct oci_descriptor *d, const char *asked,
                struct image **ret, struct zl_error *err)
{
    const char *name = oci_annotation(d, OCI_REF_NAME);
    struct oci_manifest manifest;
    struct loaded *x = calloc(1, sizeof *x);
    if (!x)
        return zl_fail_errno(err, "load image '%s'", asked);
    autoimage struct image *image = &x->pub;
    x->asked = strdup(asked);
    x->name = strdup(name ? name : d->digest);
    if (!x->asked || !x->name)
        return zl_fail_errno(err, "load image '%s'", asked);
    (void)snprintf(image->digest, sizeof image->digest, "%s", d->digest); /* checked: 71 bytes */

    const char *resolved = oci_annotation(d, IMAGE_RESOLVED);
    (void)snprintf(image->resolved, sizeof image->resolved, "%s", resolved ? resolved : "");

    if (load_documents(s, x, d->digest, &manifest, err) < 0 ||
        check_layers(s, x, &manifest, err) < 0) {
        if (err && err->kind == ZL_ERR_SYSTEM && err->errnum == ENOENT)
            err->kind = ZL_ERR_INVALID; /* named in the index, but not there: not "no such image" */
        return zl_wrap(err, "image '%s'", asked);
    }
    image->reference = x->asked;
    image->normalized = x->name;
    image->layers = x->layers;
    image->size = d->size + manifest.config.size;
    for (size_t i = 0; i < manifest.layers.n; i++)
        image->size += manifest.layers.v[i].size;
    *ret = zl_take_ptr(image);
    return 0;
}

int image_wasm_open(struct image_store *s, const struct image *i, struct zl_error *err)
{
    if (i->wasm.file)
        return image_open_file(s, i, i->wasm.file, err);
    int fd = openat(s->layout.blobs, layout_hex(i->wasm.digest), O_RDONLY | O_CLOEXEC);
    return fd >= 0 ? fd : zl_fail_errno(err, "open module %s", i->wasm.digest);
}

/* ---- finding --------------------------------------------------------------------------------- */

static const struct oci_descriptor *find_name(const struct oci_index *index, const char *normalized)
{
    for (size_t i = 0; i < index->manifests.n; i++) {
        const char *name = oci_annotation(&index->manifests.v[i], OCI_REF_NAME);
        if (name && strcmp(name, normalized) == 0)
            return &index->manifests.v[i];
    }
    return NULL;
}

/* The manifest whose digest begins with prefix; *many when several different ones do. */
static const struct oci_descriptor *find_digest(const struct oci_index *index, const char *prefix,
                                                bool *many)
{
    const struct oci_descriptor *all = index->manifests.v, *found = NULL;
    for (size_t i = 0; all && i < index->manifests.n; i++) {
        const struct oci_descriptor *d = &all[i];
        if (strncmp(d->digest, prefix, strlen(prefix)) != 0)
            continue;
        *many |= found && strcmp(found->digest, d->digest) != 0;
        found = found ? found : d;
    }
    return found;
}

/* "sha256:<6 or more hex digits>", or these digits alone, as a prefix of a digest. */
static bool digest_prefix(const char *reference, char out[80])
{
    const char *hex = strncmp(reference, "sha256:", 7) == 0 ? reference + 7 : reference;
    size_t n = strspn(hex, "0123456789abcdef");
    if (hex[n] || n < 6 || n > 64)
        return false;
    (void)snprintf(out, 80, "sha256:%s", hex); /* at most 71 */
    return true;
}

const struct oci_descriptor *image_lookup(const struct oci_index *index, const char *reference,
                                          struct zl_error *err)
{
    struct zl_imageref r;
    char text[ZL_IMAGEREF_MAX], prefix[80];
    const char *why;
    const struct oci_descriptor *found = NULL;
    bool many = false;
    bool is_name = zl_imageref_parse(reference, &r, &why) == 0;
    bool is_prefix = digest_prefix(reference, prefix);
    if (is_name && r.digest[0]) { /* the digest decides, whatever the tag says */
        found = find_digest(index, r.digest, &many);
    } else if (is_name) {
        zl_imageref_format(&r, text);
        found = find_name(index, text);
    }
    if (!found && is_prefix)
        found = find_digest(index, prefix, &many);
    if (!is_name && !is_prefix)
        (void)zl_fail(err, ZL_ERR_INVALID, "'%s' is not an image reference: %s", reference, why);
    else if (many)
        (void)zl_fail(err, ZL_ERR_CONFLICT, "several images have a digest that begins with '%s'",
                      reference);
    else if (!found)
        (void)zl_fail(err, ZL_ERR_NOT_FOUND, "there is no image '%s' in the store", reference);
    return many ? NULL : found;
}

static struct image *hold(struct image *i)
{
    ((struct loaded *)i)->others++;
    return i;
}

/* The index is replaced, never written: its inode and times tell. */
static bool is_same_index(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* Whether its layers are where they were: another process may have collected them. */
static bool has_layers(struct image_store *s, const struct image *i)
{
    for (size_t n = 0; n < i->n_layers; n++) {
        char name[LAYOUT_PATH];
        (void)snprintf(name, sizeof name, "%u/fs", i->layers[n]);
        if (faccessat(s->layout.layers, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
            return false;
    }
    return i->n_layers > 0;
}

/* Becomes the newest of those that were found, in the place of the one at `at`. */
static void put_first(struct image_store *s, size_t at, struct image *i)
{
    for (; at > 0; at--)
        s->found[at] = s->found[at - 1];
    s->found[0] = i;
}

/* NULL: it must be looked for. What is damaged by now is let go of. */
static struct image *find_found(struct image_store *s, const char *reference)
{
    for (size_t i = 0; i < IMAGES_FOUND && s->found[i]; i++) {
        struct image *x = s->found[i];
        if (strcmp(x->reference, reference) != 0)
            continue;
        if (!has_layers(s, x)) {
            forget_found(s);
            return NULL;
        }
        put_first(s, i, x);
        return x;
    }
    return NULL;
}

static void keep_found(struct image_store *s, struct image *i)
{
    image_free(s->found[IMAGES_FOUND - 1]);
    put_first(s, IMAGES_FOUND - 1, hold(i));
}

int image_find(struct image_store *s, const char *reference, struct image **ret,
               struct zl_error *err)
{
    zl_autojson struct zl_json doc = { 0 };
    struct oci_index index;
    struct stat st = { 0 };
    /* before the index is read: should it be replaced meanwhile, the next question reads it again
     */
    bool known = fstatat(s->layout.images, LAYOUT_INDEX, &st, 0) == 0;
    if (!known || !is_same_index(&st, &s->found_index))
        forget_found(s);
    s->found_index = st;
    struct image *found = find_found(s, reference);
    if (found) {
        *ret = hold(found);
        return 0;
    }
    if (image_read_index(s, &doc, &index, err) < 0)
        return -1;
    const struct oci_descriptor *d = image_lookup(&index, reference, err);
    if (!d || load(s, d, reference, ret, err) < 0)
        return -1;
    if (known)
        keep_found(s, *ret);
    return 0;
}

bool image_is_signed(struct image_store *s, const char *digest, const char *key_body)
{
    return signed_is_by(&s->layout, digest, key_body);
}

int image_each(struct image_store *s, image_fn fn, void *arg, struct zl_error *err)
{
    zl_autojson struct zl_json doc = { 0 };
    struct oci_index index;
    if (image_read_index(s, &doc, &index, err) < 0)
        return -1;
    for (size_t i = 0; i < index.manifests.n; i++) {
        const struct oci_descriptor *d = &index.manifests.v[i];
        const char *name = oci_annotation(d, OCI_REF_NAME);
        autoimage struct image *image = NULL;
        struct zl_error damage;
        struct image bare = { .reference = name ? name : d->digest };
        bare.normalized = bare.reference;
        (void)snprintf(bare.digest, sizeof bare.digest, "%s", d->digest); /* checked: 71 bytes */
        (void)load(s, d, bare.reference, &image,
                   &damage); /* one bad image does not hide the rest */
        int rc = fn(arg, image ? image : &bare);
        if (rc)
            return rc;
    }
    return 0;
}
