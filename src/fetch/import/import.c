// SPDX-License-Identifier: Apache-2.0
/* What the importers share: layers from parts of a source, and documents made here. */
#include "fetch/import/import.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "fetch/import/wasmfile.h"
#include "fetch/parallel.h"
#include "fetch/registry/platform.h"
#include "image/wasm.h"

int import_check_platform(const struct oci_image_config *c, struct zl_error *err)
{
    if (image_wasm_entry(c))
        return 0; /* runs anywhere */
    if (c->os && strcmp(c->os, "linux") != 0)
        return zl_fail(err, ZL_ERR_UNSUPPORTED, "the image is for '%s', not for linux", c->os);
    if (c->architecture && strcmp(c->architecture, platform_architecture()) != 0)
        return zl_fail(err, ZL_ERR_UNSUPPORTED, "the image is for '%s', this machine is '%s'",
                       c->architecture, platform_architecture());
    return 0;
}

/* ---- layers ---------------------------------------------------------------------------------- */

/* The name of layer i's blob in the work folder, as long as it is not one of the store. */
static void blob_name(size_t i, char out[LAYOUT_PATH])
{
    (void)snprintf(out, LAYOUT_PATH, "blob-%zu", i);
}

static int unpack_one(struct import_job *j, size_t i, struct zl_error *err)
{
    char name[LAYOUT_PATH];
    struct layer *l = &j->layers[i];
    struct progress progress = { .digest = l->digest[0] ? l->digest : NULL };
    autopart struct part part = { .fd = -1 };
    if (source_part(j->s, j->paths[i], &part, err) < 0)
        return -1;
    blob_name(i, name);
    zl_autoclose int copy =
        openat(j->w->blob_dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (copy < 0)
        return zl_fail_errno(err, "create a blob");
    progress.total = part.size;
    ZL_CLEANUP(file_input_done) struct file_input file = FILE_INPUT(part.fd);
    file.at = part.at;
    file.left = part.size;
    file.copy_fd = copy;
    file.progress = &progress;
    file.stop = &j->stop;
    const struct input in = file_input(&file);
    return layer_unpack(j->w, i, &in, l, err);
}

/* Whether blob and folder are there, so that the layer need not be read. Where the source names no
 * digest, the layer as it is uncompressed will do. */
static bool is_stored(const struct work *w, struct layer *l)
{
    struct stat st;
    const char *digest = l->digest[0] ? l->digest : l->diff_id;
    if (!l->number || !digest[0] ||
        fstatat(w->store.blobs, layout_hex(digest), &st, AT_SYMLINK_NOFOLLOW) < 0)
        return false;
    if (!l->digest[0]) {
        memcpy(l->digest, l->diff_id, sizeof l->digest);
        l->size = (uint64_t)st.st_size;
        l->media_type = OCI_LAYER_TYPE;
    }
    return true;
}

static int unpack_job(void *arg, size_t i, struct zl_error *err)
{
    struct import_job *j = arg;
    if (is_stored(j->w, &j->layers[i]))
        return 0;
    return unpack_one(j, i, err) < 0 ? zl_wrap(err, "layer %zu of %zu", i + 1, j->n) : 0;
}

int import_layers(struct import_job *j, struct zl_error *err)
{
    if (layers_find(j->w, j->layers, j->n, err) < 0 ||
        parallel(j->n, unpack_job, j, &j->stop, err) < 0)
        return -1;
    for (size_t i = 0; i < j->n; i++) {
        char name[LAYOUT_PATH];
        blob_name(i, name);
        if (j->layers[i].slot[0] &&
            work_add_blob(j->w, j->w->blob_dir, name, j->layers[i].digest, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- documents ------------------------------------------------------------------------------- */

int import_put_document(struct work *w, json_t *document, char digest[DIGEST_SIZE], uint64_t *size,
                        struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(OCI_DOCUMENT_MAX);
    int rc = document ? zl_json_dump(document, JSON_COMPACT, &text, err)
                      : zl_fail(err, ZL_ERR_INVALID, "a name in the image is not UTF-8");
    json_decref(document);
    if (rc < 0)
        return -1;
    *size = text.len;
    return work_put_blob(w, text.data, text.len, digest, err);
}

int import_put_manifest(struct work *w, const char *config, uint64_t config_size,
                        const struct layer *layers, size_t n, char digest[DIGEST_SIZE],
                        struct zl_error *err)
{
    uint64_t size;
    json_t *list = json_array();
    for (size_t i = 0; list && i < n; i++) {
        json_t *d = json_pack("{s:s, s:s, s:I}", "mediaType", layers[i].media_type, "digest",
                              layers[i].digest, "size", (json_int_t)layers[i].size);
        if (json_array_append_new(list, d) < 0) {
            json_decref(list);
            return zl_fail(err, ZL_ERR_SYSTEM, "make a manifest: out of memory");
        }
    }
    return import_put_document(w,
                               json_pack("{s:i, s:s, s:{s:s, s:s, s:I}, s:o}", "schemaVersion", 2,
                                         "mediaType", OCI_MANIFEST_TYPE, "config", "mediaType",
                                         OCI_CONFIG_TYPE, "digest", config, "size",
                                         (json_int_t)config_size, "layers", list),
                               digest, &size, err);
}

int import_commit(struct work *w, const char *digest, struct layer *layers, size_t n,
                  struct zl_error *err)
{
    zl_autofree uint32_t *numbers = calloc(n + 1, sizeof *numbers);
    if (!numbers)
        return zl_fail_errno(err, "store an image");
    if (layers_commit(w, layers, n, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        numbers[i] = layers[i].number;
    return layout_write_layers(&w->store, digest, numbers, n, err);
}

/* ---- which of them --------------------------------------------------------------------------- */

int import_source(struct work *w, struct source *s, bool all, import_fn done, void *arg,
                  struct zl_error *err)
{
    if (source_look(s, w, err) < 0)
        return -1;
    switch (s->kind) {
    case SOURCE_LAYOUT:
    case SOURCE_OCI_ARCHIVE:
    case SOURCE_DIR:
        return import_layout(w, s, all, done, arg, err);
    case SOURCE_DOCKER_ARCHIVE:
        return import_docker(w, s, all, done, arg, err);
    case SOURCE_ARCHIVE: /* source_look() has decided */
    case SOURCE_ROOTFS:
        break;
    }
    return wasmfile_is(s->fd) ? wasmfile_import(w, s, done, arg, err)
                              : import_rootfs(w, s, done, arg, err);
}
