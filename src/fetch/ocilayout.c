// SPDX-License-Identifier: Apache-2.0
/*
 * An OCI image layout of somebody else: everything in it is checked against the digest that leads
 * to it before it is believed, and its files are opened by digest below its folder only.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "fetch/import.h"
#include "fetch/layer.h"
#include "fetch/parallel.h"

enum { MAX_INDEX_DEPTH = 3 }; /* an index may name an index */

static int open_blob(const struct source *s, const char *digest, struct zl_error *err)
{
    char path[LAYOUT_PATH];
    struct stat st;
    (void)snprintf(path, sizeof path, LAYOUT_BLOBS "/%s", layout_hex(digest)); /* digest: checked */
    zl_autoclose int fd = zl_open_beneath(s->fd, path, O_RDONLY | O_NONBLOCK, 0, err);
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return zl_fail(err, ZL_ERR_INVALID, "'%s' of the layout is not a regular file", path);
    return zl_take_fd(&fd);
}

/* A document, checked against its descriptor. */
static int read_document(const struct source *s, const struct oci_descriptor *d, struct zl_buf *out,
                         struct zl_error *err)
{
    char found[DIGEST_SIZE];
    zl_buf_reset(out);
    zl_autoclose int fd = open_blob(s, d->digest, err);
    if (fd < 0 || zl_read_fd(fd, out, d->digest, err) < 0 ||
        digest_of(out->data, out->len, found, err) < 0)
        return -1;
    if (strcmp(found, d->digest) != 0 || out->len != d->size)
        return zl_fail(err, ZL_ERR_INVALID, "the file of %s holds %zu bytes with the digest %s",
                       d->digest, out->len, found);
    return 0;
}

/* ---- which image ----------------------------------------------------------------------------- */

static bool is_ours(const struct oci_descriptor *d)
{
    return !d->platform.os || (strcmp(d->platform.os, "linux") == 0 && d->platform.architecture &&
                               strcmp(d->platform.architecture, import_architecture()) == 0);
}

static bool has_tag(const struct oci_descriptor *d, const char *tag)
{
    const char *name = oci_annotation(d, OCI_REF_NAME);
    const char *colon = name ? strrchr(name, ':') : NULL; /* some write the whole reference */
    return name && (strcmp(name, tag) == 0 || (colon && strcmp(colon + 1, tag) == 0));
}

/* The entry that tag (or NULL) and this machine mean. */
static const struct oci_descriptor *choose(const struct oci_index *index, const char *tag,
                                           struct zl_error *err)
{
    const struct oci_descriptor *found = NULL;
    for (size_t i = 0; i < index->manifests.n; i++) {
        const struct oci_descriptor *d = &index->manifests.v[i];
        if (!is_ours(d) || (tag && !has_tag(d, tag)))
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
                      import_architecture(), tag ? " with the tag " : "", tag ? tag : "");
    return found;
}

/* Follows indexes down to a manifest, whose bytes are left in out. digest is its own. */
static int find_manifest(const struct source *s, struct zl_buf *out, char digest[DIGEST_SIZE],
                         struct zl_error *err)
{
    const char *what = "index.json", *tag = s->tag;
    zl_autoclose int fd = zl_open_beneath(s->fd, "index.json", O_RDONLY | O_NONBLOCK, 0, err);
    if (fd < 0 || zl_read_fd(fd, out, "index.json", err) < 0)
        return -1;
    for (int depth = 0; depth < MAX_INDEX_DEPTH; depth++) {
        zl_autojson struct zl_json doc = { 0 };
        struct oci_index index;
        if (oci_index_parse(&doc, out->data, out->len, what, &index, err) < 0)
            return -1;
        const struct oci_descriptor *d = choose(&index, tag, err);
        if (!d || read_document(s, d, out, err) < 0)
            return -1;
        (void)snprintf(digest, DIGEST_SIZE, "%s", d->digest); /* checked: fits */
        bool nested = d->media_type && strstr(d->media_type, "index");
        bool list = d->media_type && strstr(d->media_type, "manifest.list");
        if (!nested && !list)
            return 0;
        what = "an index of the layout";
        tag = NULL; /* below, only the machine decides */
    }
    return zl_fail(err, ZL_ERR_INVALID, "the layout nests indexes too deep");
}

/* ---- its parts ------------------------------------------------------------------------------- */

struct job { /* one import, for its threads */
    struct work *w;
    const struct source *s;
    struct layer *layers;
    size_t n;
    atomic_bool stop;
};

/* Layer i, from its file; a copy is kept as a blob, unless the store has it. */
static int unpack_one(struct job *j, size_t i, struct zl_error *err)
{
    char name[LAYOUT_PATH];
    struct stat st;
    struct layer *l = &j->layers[i];
    struct progress progress = { .digest = l->digest };
    zl_autoclose int fd = open_blob(j->s, l->digest, err);
    if (fd < 0)
        return -1;
    (void)snprintf(name, sizeof name, "blob-%zu", i);
    zl_autoclose int copy = openat(j->w->dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (copy < 0 || fstat(fd, &st) < 0)
        return zl_fail_errno(err, "create a blob");
    progress.total = (uint64_t)st.st_size;
    ZL_CLEANUP(file_input_done) struct file_input file = FILE_INPUT(fd);
    file.copy_fd = copy;
    file.progress = &progress;
    file.stop = &j->stop;
    const struct input in = file_input(&file);
    return layer_unpack(j->w, i, &in, l, err);
}

static int unpack_job(void *arg, size_t i, struct zl_error *err)
{
    struct job *j = arg;
    if (j->layers[i].number && work_has_blob(j->w, j->layers[i].digest))
        return 0;
    return unpack_one(j, i, err) < 0 ? zl_wrap(err, "layer %zu of %zu", i + 1, j->n) : 0;
}

static int import_layers(struct work *w, const struct source *s, const struct oci_manifest *m,
                         const struct oci_image_config *c, struct layer *layers,
                         struct zl_error *err)
{
    struct job j = { .w = w, .s = s, .layers = layers, .n = m->layers.n };
    if (c->diff_ids.n != m->layers.n)
        return zl_fail(err, ZL_ERR_INVALID, "the image has %zu layers, but its config lists %zu",
                       m->layers.n, c->diff_ids.n);
    for (size_t i = 0; i < j.n; i++) {
        const struct oci_descriptor *d = &m->layers.v[i];
        (void)snprintf(layers[i].digest, DIGEST_SIZE, "%s", d->digest);         /* both were */
        (void)snprintf(layers[i].diff_id, DIGEST_SIZE, "%s", c->diff_ids.v[i]); /* checked */
    }
    if (layers_find(w, layers, j.n, err) < 0 || parallel(j.n, unpack_job, &j, &j.stop, err) < 0)
        return -1;
    for (size_t i = 0; i < j.n; i++) {
        char name[LAYOUT_PATH];
        (void)snprintf(name, sizeof name, "blob-%zu", i);
        if (layers[i].slot[0] && work_add_blob(w, w->dir, name, layers[i].digest, err) < 0)
            return -1;
    }
    return 0;
}

static int check_platform(const struct oci_image_config *c, struct zl_error *err)
{
    if (c->os && strcmp(c->os, "linux") != 0)
        return zl_fail(err, ZL_ERR_UNSUPPORTED, "the image is for '%s', not for linux", c->os);
    if (c->architecture && strcmp(c->architecture, import_architecture()) != 0)
        return zl_fail(err, ZL_ERR_UNSUPPORTED, "the image is for '%s', this machine is '%s'",
                       c->architecture, import_architecture());
    return 0;
}

static int import_documents(struct work *w, const struct source *s, char digest[DIGEST_SIZE],
                            struct layer *layers, struct zl_error *err)
{
    zl_autobuf struct zl_buf manifest_text = ZL_BUF(OCI_DOCUMENT_MAX);
    zl_autobuf struct zl_buf config_text = ZL_BUF(OCI_DOCUMENT_MAX);
    zl_autojson struct zl_json manifest_doc = { 0 }, config_doc = { 0 };
    struct oci_manifest m;
    struct oci_image_config c;
    uint32_t numbers[OCI_LAYERS_MAX];
    char stored[DIGEST_SIZE];
    if (find_manifest(s, &manifest_text, digest, err) < 0 ||
        oci_manifest_parse(&manifest_doc, manifest_text.data, manifest_text.len, "the manifest", &m,
                           err) < 0 ||
        read_document(s, &m.config, &config_text, err) < 0 ||
        oci_image_config_parse(&config_doc, config_text.data, config_text.len, "the image config",
                               &c, err) < 0 ||
        check_platform(&c, err) < 0 || import_layers(w, s, &m, &c, layers, err) < 0 ||
        work_put_blob(w, config_text.data, config_text.len, stored, err) < 0 ||
        work_put_blob(w, manifest_text.data, manifest_text.len, stored, err) < 0 ||
        layers_commit(w, layers, m.layers.n, err) < 0)
        return -1;
    for (size_t i = 0; i < m.layers.n; i++)
        numbers[i] = layers[i].number;
    return layout_write_layers(&w->store, digest, numbers, m.layers.n, err);
}

int import_layout(struct work *w, const struct source *s, char digest[DIGEST_SIZE],
                  struct zl_error *err)
{
    struct layer *layers = layers_new(OCI_LAYERS_MAX, err);
    int rc = layers ? import_documents(w, s, digest, layers, err) : -1;
    layers_free(layers, OCI_LAYERS_MAX);
    return rc < 0 ? zl_wrap(err, "import '%s'", s->path) : 0;
}
