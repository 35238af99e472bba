// SPDX-License-Identifier: Apache-2.0
/* A root filesystem in one tar archive: becomes an image of one layer that starts a shell. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "base/clock.h"
#include "fetch/import.h"
#include "fetch/layer.h"

const char *import_architecture(void)
{
    static const struct {
        const char *machine, *name;
    } known[] = {
        { "x86_64", "amd64" },    { "aarch64", "arm64" }, { "riscv64", "riscv64" },
        { "ppc64le", "ppc64le" }, { "s390x", "s390x" },   { "armv7l", "arm" },
        { "i686", "386" },
    };
    struct utsname host;
    if (uname(&host) < 0)
        return "unknown";
    for (size_t i = 0; i < ZL_ARRAY_LEN(known); i++) {
        if (strcmp(known[i].machine, host.machine) == 0)
            return known[i].name;
    }
    return "unknown";
}

/* Stores a document that was made here; takes it. */
static int put_document(struct work *w, json_t *document, char digest[DIGEST_SIZE], uint64_t *size,
                        struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(OCI_DOCUMENT_MAX);
    int rc = document ? zl_json_dump(document, JSON_COMPACT, &text, err)
                      : zl_fail(err, ZL_ERR_SYSTEM, "make an image: out of memory");
    json_decref(document);
    if (rc < 0)
        return -1;
    *size = text.len;
    return work_put_blob(w, text.data, text.len, digest, err);
}

static json_t *make_config(const struct layer *l)
{
    char created[ZL_RFC3339_SIZE];
    (void)zl_format_rfc3339(zl_wall_ns(), 0, created);
    return json_pack("{s:s, s:s, s:s, s:{s:[s]}, s:{s:s, s:[s]}}", "created", created,
                     "architecture", import_architecture(), "os", "linux", "config", "Cmd",
                     "/bin/sh", "rootfs", "type", "layers", "diff_ids", l->diff_id);
}

static json_t *make_manifest(const char *config, uint64_t config_size, const struct layer *l)
{
    return json_pack("{s:i, s:s, s:{s:s, s:s, s:I}, s:[{s:s, s:s, s:I}]}", "schemaVersion", 2,
                     "mediaType", OCI_MANIFEST_TYPE, "config", "mediaType", OCI_CONFIG_TYPE,
                     "digest", config, "size", (json_int_t)config_size, "layers", "mediaType",
                     l->media_type, "digest", l->digest, "size", (json_int_t)l->size);
}

static int unpack_source(struct work *w, const struct source *s, struct layer *l,
                         struct zl_error *err)
{
    struct stat st;
    struct progress progress = { 0 };
    zl_autoclose int copy = openat(w->dir, "blob-0", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (copy < 0 || fstat(s->fd, &st) < 0)
        return zl_fail_errno(err, "create a blob");
    progress.total = (uint64_t)st.st_size;
    ZL_CLEANUP(file_input_done) struct file_input file = FILE_INPUT(s->fd);
    file.copy_fd = copy;
    file.progress = &progress;
    const struct input in = file_input(&file);
    if (layer_unpack(w, 0, &in, l, err) < 0)
        return -1;
    if (!l->diff_size)
        return zl_fail(err, ZL_ERR_INVALID, "it is empty");
    return work_add_blob(w, w->dir, "blob-0", l->digest, err);
}

static int make_image(struct work *w, const struct source *s, struct layer *l,
                      char digest[DIGEST_SIZE], struct zl_error *err)
{
    char config[DIGEST_SIZE];
    uint64_t config_size, manifest_size;
    if (unpack_source(w, s, l, err) < 0)
        return zl_wrap(err, "import '%s'", s->path);
    if (put_document(w, make_config(l), config, &config_size, err) < 0 ||
        put_document(w, make_manifest(config, config_size, l), digest, &manifest_size, err) < 0 ||
        layers_commit(w, l, 1, err) < 0)
        return -1;
    return layout_write_layers(&w->store, digest, &l->number, 1, err);
}

int import_rootfs(struct work *w, const struct source *s, char digest[DIGEST_SIZE],
                  struct zl_error *err)
{
    struct layer *l = layers_new(1, err);
    int rc = l ? make_image(w, s, l, digest, err) : -1;
    layers_free(l, 1);
    return rc;
}
