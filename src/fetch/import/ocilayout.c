// SPDX-License-Identifier: Apache-2.0
/*
 * An OCI image layout of somebody else (image-spec v1.1, image-layout.md), as a folder or in a tar,
 * and the folder of blobs that skopeo calls "dir": everything in it is checked against the digest
 * that leads to it before it is believed, and its files are opened by digest only.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "fetch/import/import.h"
#include "fetch/registry/platform.h"
#include "fetch/registry/signature.h"
#include "image/signed.h"
#include "image/wasm.h"

enum { MAX_INDEX_DEPTH = 3, NAMES_MAX = 64 }; /* an index may name an index */

static void blob_path(const struct source *s, const char *digest, char out[PATH_MAX])
{
    const char *folder = s->kind == SOURCE_DIR ? "" : LAYOUT_BLOBS "/";
    (void)snprintf(out, PATH_MAX, "%s%s", folder, layout_hex(digest)); /* digest: checked */
}

/* A document, checked against its descriptor. */
static int read_document(const struct source *s, const struct oci_descriptor *d, struct zl_buf *out,
                         struct zl_error *err)
{
    char path[PATH_MAX], found[DIGEST_SIZE];
    blob_path(s, d->digest, path);
    if (source_read(s, path, out, err) < 0 || digest_of(out->data, out->len, found, err) < 0)
        return -1;
    if (strcmp(found, d->digest) != 0 || out->len != d->size)
        return zl_fail(err, ZL_ERR_INVALID, "the file of %s holds %zu bytes with the digest %s",
                       d->digest, out->len, found);
    return 0;
}

/* ---- which image ----------------------------------------------------------------------------- */

static bool is_ours(const struct oci_descriptor *d)
{
    const struct platform here = platform_here();
    return !d->platform.os || platform_match(&here, d);
}

static const char *name_of(const struct oci_descriptor *d)
{
    const char *name = oci_annotation(d, OCI_CONTAINERD_NAME);
    return name ? name : oci_annotation(d, OCI_REF_NAME);
}

static bool has_tag(const struct oci_descriptor *d, const char *tag)
{
    const char *name = oci_annotation(d, OCI_REF_NAME),
               *whole = oci_annotation(d, OCI_CONTAINERD_NAME);
    const char *colon = name ? strrchr(name, ':') : NULL; /* some write the whole reference */
    return (name && (strcmp(name, tag) == 0 || (colon && strcmp(colon + 1, tag) == 0))) ||
           (whole && strcmp(whole, tag) == 0);
}

/* What cosign has put beside images, by what `cosign save` or the tag calls it. */
static bool is_signature(const struct oci_descriptor *d)
{
    const char *kind = oci_annotation(d, COSIGN_KIND), *name = oci_annotation(d, OCI_REF_NAME);
    size_t n = name ? strlen(name) : 0;
    return (kind && strcmp(kind, "dev.cosignproject.cosign/sigs") == 0) ||
           (n > 4 && strcmp(name + n - 4, ".sig") == 0 && strstr(name, "sha256-"));
}

/* The entry that tag (or NULL) and this machine mean. */
static const struct oci_descriptor *choose(const struct oci_index *index, const char *tag,
                                           struct zl_error *err)
{
    const struct oci_descriptor *found = NULL;
    for (size_t i = 0; i < index->manifests.n; i++) {
        const struct oci_descriptor *d = &index->manifests.v[i];
        if (!is_ours(d) || is_signature(d) || (tag && !has_tag(d, tag)))
            continue;
        if (found && strcmp(found->digest, d->digest) != 0) {
            (void)zl_fail(err, ZL_ERR_CONFLICT,
                          "the layout holds several images; say which by oci:DIR:TAG");
            return NULL;
        }
        found = d;
    }
    if (!found)
        (void)zl_fail(err, ZL_ERR_NOT_FOUND, "the layout holds no image for linux/%s%s%s",
                      platform_architecture(), tag ? " with the tag " : "", tag ? tag : "");
    return found;
}

/* Of the entries of an index within the layout: one image for several machines. */
static const struct oci_descriptor *choose_for_this_machine(const struct oci_index *index,
                                                            struct zl_error *err)
{
    const struct platform here = platform_here();
    const struct oci_descriptor *best = platform_choose(&here, index);
    return best ? best : choose(index, NULL, err); /* those that do not say what they are for */
}

/* Follows indexes from d down to a manifest, whose bytes are left in out. digest is its own. */
static int find_manifest(const struct work *w, const struct source *s,
                         const struct oci_descriptor *d, struct zl_buf *out,
                         char digest[DIGEST_SIZE], struct zl_error *err)
{
    if (read_document(s, d, out, err) < 0)
        return -1;
    (void)snprintf(digest, DIGEST_SIZE, "%s", d->digest); /* checked: fits */
    const char *type = d->media_type ? d->media_type : "";
    bool nested = strstr(type, "index") || strstr(type, "manifest.list");
    for (int depth = 1; nested; depth++) {
        autoreading struct reading r = READING;
        struct oci_index index;
        if (depth == MAX_INDEX_DEPTH)
            return zl_fail(err, ZL_ERR_INVALID, "the layout nests indexes too deep");
        if (reading_index(w->crew, out, "an index of the layout", &r, &index, err) < 0)
            return -1;
        const struct oci_descriptor *inner = choose_for_this_machine(&index, err);
        if (!inner || read_document(s, inner, out, err) < 0)
            return -1;
        (void)snprintf(digest, DIGEST_SIZE, "%s", inner->digest);
        type = inner->media_type ? inner->media_type : "";
        nested = strstr(type, "index") || strstr(type, "manifest.list");
    }
    return 0;
}

/* ---- one image ------------------------------------------------------------------------------- */

/* Of an artifact nothing is unpacked: a blob as it is. */
static int copy_blob(struct work *w, const struct source *s, const struct oci_descriptor *d,
                     size_t i, struct zl_error *err)
{
    char path[PATH_MAX], name[LAYOUT_PATH], found[DIGEST_SIZE];
    autopart struct part part = { .fd = -1 };
    blob_path(s, d->digest, path);
    if (source_part(s, path, &part, err) < 0)
        return -1;
    (void)snprintf(name, sizeof name, "blob-%zu", i);
    zl_autoclose int copy =
        openat(w->blob_dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (copy < 0)
        return zl_fail_errno(err, "create a blob");
    ZL_CLEANUP(file_input_done) struct file_input file = FILE_INPUT(part.fd);
    file.at = part.at;
    file.left = part.size;
    file.copy_fd = copy;
    const struct input in = file_input(&file);
    if (digest_of_input(&in, found, err) < 0)
        return -1;
    if (strcmp(found, d->digest) != 0)
        return zl_fail(err, ZL_ERR_INVALID, "the file of %s has the digest %s", d->digest, found);
    return work_add_blob(w, w->blob_dir, name, d->digest, err);
}

static int import_artifact(struct work *w, const struct source *s, const struct oci_manifest *m,
                           const char *digest, struct zl_error *err)
{
    if (copy_blob(w, s, &m->config, m->layers.n, err) < 0)
        return -1;
    for (size_t i = 0; i < m->layers.n; i++) {
        if (copy_blob(w, s, &m->layers.v[i], i, err) < 0)
            return -1;
    }
    return import_commit(w, digest, NULL, 0, err);
}

static int set_layers(struct import_job *j, const struct oci_manifest *m,
                      const struct oci_image_config *c, struct zl_error *err)
{
    if (c->diff_ids.n != m->layers.n)
        return zl_fail(err, ZL_ERR_INVALID, "the image has %zu layers, but its config lists %zu",
                       m->layers.n, c->diff_ids.n);
    for (size_t i = 0; i < m->layers.n; i++) {
        const struct oci_descriptor *d = &m->layers.v[i];
        if (d->media_type && strstr(d->media_type, "encrypted"))
            return zl_fail(err, ZL_ERR_UNSUPPORTED, "layer %zu of %zu is encrypted", i + 1,
                           m->layers.n);
        blob_path(j->s, d->digest, j->paths[i]);
        (void)snprintf(j->layers[i].digest, DIGEST_SIZE, "%s", d->digest);         /* both were */
        (void)snprintf(j->layers[i].diff_id, DIGEST_SIZE, "%s", c->diff_ids.v[i]); /* checked */
    }
    j->n = m->layers.n;
    return 0;
}

static int import_image(struct import_job *j, const struct oci_manifest *m, const char *digest,
                        struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(OCI_DOCUMENT_MAX);
    autoreading struct reading r = READING;
    struct oci_image_config c;
    char stored[DIGEST_SIZE];
    if (read_document(j->s, &m->config, &text, err) < 0 ||
        reading_config(j->w->crew, &text, "the image config", &r, &c, err) < 0 ||
        import_check_platform(&c, err) < 0 || set_layers(j, m, &c, err) < 0 ||
        import_layers(j, err) < 0 || work_put_blob(j->w, text.data, text.len, stored, err) < 0)
        return -1;
    return import_commit(j->w, digest, j->layers, j->n, err);
}

static int import_manifest(struct work *w, const struct source *s, const struct zl_buf *text,
                           const char *digest, struct zl_error *err)
{
    autoreading struct reading r = READING;
    struct oci_manifest m;
    char stored[DIGEST_SIZE];
    if (reading_manifest(w->crew, text, "the manifest", &r, &m, err) < 0 ||
        work_put_blob(w, text->data, text->len, stored, err) < 0)
        return -1;
    if (image_wasm_layer(&m))
        return import_artifact(w, s, &m, digest, err);
    struct import_job j = { .w = w,
                            .s = s,
                            .layers = layers_new(m.layers.n, err),
                            .paths = calloc(m.layers.n, sizeof *j.paths) };
    int rc = !j.layers || !j.paths ? zl_fail_errno(err, "import an image")
                                   : import_image(&j, &m, digest, err);
    layers_free(j.layers, m.layers.n);
    free(j.paths);
    return rc;
}

/* ---- the layout ------------------------------------------------------------------------------ */

/* What the index calls an image, in all entries with its digest. */
static void find_names(const struct oci_index *index, const char *digest,
                       const char *names[NAMES_MAX + 1])
{
    size_t n = 0;
    for (size_t i = 0; i < index->manifests.n && n < NAMES_MAX; i++) {
        const struct oci_descriptor *d = &index->manifests.v[i];
        if (strcmp(d->digest, digest) == 0 && name_of(d))
            names[n++] = name_of(d);
    }
    names[n] = NULL;
}

static bool is_first(const struct oci_index *index, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (strcmp(index->manifests.v[k].digest, index->manifests.v[i].digest) == 0)
            return false;
    }
    return true;
}

/* ---- signatures ------------------------------------------------------------------------------ */

struct signed_source {
    const struct source *s;
};

static int read_signed(void *arg, const struct oci_descriptor *d, struct zl_buf *out,
                       struct zl_error *err)
{
    const struct signed_source *from = arg;
    return read_document(from->s, d, out, err);
}

/* Whether this entry has a signature of one of the digests. */
static int check_entry(const struct work *w, const struct source *s, const struct zl_strs *keys,
                       const struct oci_descriptor *d, const char *const *digests, const char **ret,
                       struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(OCI_DOCUMENT_MAX);
    struct signed_source from = { s };
    if (read_document(s, d, &text, err) < 0)
        return -1;
    for (; *digests; digests++) {
        if (signature_check_manifest(w->crew, &text, keys, *digests, read_signed, &from, ret,
                                     err) == 0)
            return 0;
    }
    return -1;
}

/* Signatures that come along have to be right; that there are some is demanded when the image is
 * used. ret: by which key; NULL when there is none. */
static int check_signatures(const struct work *w, const struct source *s,
                            const struct zl_strs *keys, const struct oci_index *index,
                            const char *const *digests, const char **ret, struct zl_error *err)
{
    bool any = false;
    *ret = NULL;
    for (size_t i = 0; keys->n && i < index->manifests.n; i++) {
        if (!is_signature(&index->manifests.v[i]))
            continue;
        any = true;
        if (check_entry(w, s, keys, &index->manifests.v[i], digests, ret, err) == 0)
            return 0;
    }
    return any ? zl_wrap(err, "E-IMAGE-SIGNATURE") : 0;
}

static int note_signer(struct work *w, const char *digest, const char *signer, struct zl_error *err)
{
    char key[SIGNED_KEY_SIZE];
    if (!signer)
        return 0;
    return signed_key_body(signer, key, err) < 0 ? -1 : signed_note(&w->store, digest, key, err);
}

/* Each of the keys that it is signed by: whether that is one that its name asks for is seen when it
 * gets the name. What cannot be found out says nothing for it. */
static int note_all_signers(struct work *w, const struct source *s, const struct oci_index *index,
                            const char *const *digests, const char *digest, struct zl_error *err)
{
    for (size_t i = 0; i < s->keys.n; i++) {
        const struct zl_strs one = { &s->keys.v[i], 1 };
        const char *signer;
        struct zl_error ignored;
        if (check_signatures(w, s, &one, index, digests, &signer, &ignored) == 0 &&
            note_signer(w, digest, signer, err) < 0)
            return -1;
    }
    return 0;
}

/* all: of several images, whose names decide later what they need. */
static int import_entry(struct work *w, const struct source *s, bool all,
                        const struct oci_index *index, const struct oci_descriptor *d,
                        import_fn done, void *arg, struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(OCI_DOCUMENT_MAX);
    const char *names[NAMES_MAX + 1];
    char digest[DIGEST_SIZE];
    find_names(index, d->digest, names);
    const char *const digests[] = { d->digest, digest, NULL };
    const char *signer = NULL;
    if (find_manifest(w, s, d, &text, digest, err) < 0 ||
        (!all && check_signatures(w, s, &s->keys, index, digests, &signer, err) < 0) ||
        import_manifest(w, s, &text, digest, err) < 0 || note_signer(w, digest, signer, err) < 0 ||
        (all && note_all_signers(w, s, index, digests, digest, err) < 0))
        return names[0] ? zl_wrap(err, "image '%.200s'", names[0]) : -1;
    return done(arg, digest, names, err);
}

static int import_index(struct work *w, const struct source *s, bool all, import_fn done, void *arg,
                        struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(OCI_DOCUMENT_MAX);
    autoreading struct reading r = READING;
    struct oci_index index;
    if (source_read(s, "index.json", &text, err) < 0 ||
        reading_index(w->crew, &text, "index.json", &r, &index, err) < 0)
        return -1;
    if (!all) {
        const struct oci_descriptor *d = choose(&index, s->tag, err);
        return d ? import_entry(w, s, false, &index, d, done, arg, err) : -1;
    }
    size_t n = 0;
    for (size_t i = 0; i < index.manifests.n; i++) {
        const struct oci_descriptor *d = &index.manifests.v[i];
        if (!is_ours(d) || is_signature(d) || !is_first(&index, i))
            continue;
        if (import_entry(w, s, true, &index, d, done, arg, err) < 0)
            return -1;
        n++;
    }
    return n ? 0 : choose(&index, NULL, err) ? 0 : -1; /* which says what there is none of */
}

/* "dir:" names its manifest by its place alone. */
static int import_dir(struct work *w, const struct source *s, import_fn done, void *arg,
                      struct zl_error *err)
{
    static const char *const no_names[] = { NULL };
    zl_autobuf struct zl_buf text = ZL_BUF(OCI_DOCUMENT_MAX);
    char digest[DIGEST_SIZE];
    if (source_read(s, "manifest.json", &text, err) < 0 ||
        digest_of(text.data, text.len, digest, err) < 0 ||
        import_manifest(w, s, &text, digest, err) < 0)
        return -1;
    return done(arg, digest, no_names, err);
}

int import_layout(struct work *w, const struct source *s, bool all, import_fn done, void *arg,
                  struct zl_error *err)
{
    int rc = s->kind == SOURCE_DIR ? import_dir(w, s, done, arg, err)
                                   : import_index(w, s, all, done, arg, err);
    return rc < 0 ? zl_wrap(err, "import '%s'", s->path) : 0;
}
