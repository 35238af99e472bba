// SPDX-License-Identifier: Apache-2.0
/* A root filesystem in one tar archive: becomes an image of one layer that starts a shell. */
#include <string.h>
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

int import_rootfs(struct work *w, const struct source *s, char digest[DIGEST_SIZE],
                  struct zl_error *err)
{
    struct layer l = { .digest = "" };
    char config[DIGEST_SIZE];
    uint64_t config_size, manifest_size;
    if (layer_import(w, s->fd, NULL, 0, &l, err) < 0)
        return zl_wrap(err, "import '%s'", s->path);
    if (put_document(w, make_config(&l), config, &config_size, err) < 0 ||
        put_document(w, make_manifest(config, config_size, &l), digest, &manifest_size, err) < 0)
        return -1;
    return layout_write_layers(&w->store, digest, &l.number, 1, err);
}
