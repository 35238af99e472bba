// SPDX-License-Identifier: Apache-2.0
/* A root filesystem in one tar archive: becomes an image of one layer that starts a shell. */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fd.h"
#include "fetch/import/import.h"
#include "fetch/registry/platform.h"

static json_t *make_config(const struct layer *l)
{
    char created[ZL_RFC3339_SIZE];
    (void)zl_format_rfc3339(zl_wall_ns(), 0, created);
    return json_pack("{s:s, s:s, s:s, s:{s:[s]}, s:{s:s, s:[s]}}", "created", created,
                     "architecture", platform_architecture(), "os", "linux", "config", "Cmd",
                     "/bin/sh", "rootfs", "type", "layers", "diff_ids", l->diff_id);
}

/* An archive of an image, given without saying so, would start nothing. */
static int check_rootfs(const struct layer *l, const struct source *s, struct zl_error *err)
{
    if (!l->diff_size)
        return zl_fail(err, ZL_ERR_INVALID, "it is empty");
    if (faccessat(l->root, "oci-layout", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return zl_fail(err, ZL_ERR_INVALID,
                       "it is no root file system but an image; import oci-archive:%s, or load it",
                       s->path);
    if (faccessat(l->root, "manifest.json", F_OK, AT_SYMLINK_NOFOLLOW) == 0 &&
        faccessat(l->root, "bin", F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
        faccessat(l->root, "usr", F_OK, AT_SYMLINK_NOFOLLOW) < 0)
        return zl_fail(err, ZL_ERR_INVALID,
                       "it is no root file system but an image; import docker-archive:%s, or load "
                       "it",
                       s->path);
    return 0;
}

static int make_image(struct import_job *j, char digest[DIGEST_SIZE], struct zl_error *err)
{
    char config[DIGEST_SIZE];
    uint64_t size;
    if (import_layers(j, err) < 0 || check_rootfs(j->layers, j->s, err) < 0)
        return zl_wrap(err, "import '%s'", j->s->path);
    if (import_put_document(j->w, make_config(j->layers), config, &size, err) < 0 ||
        import_put_manifest(j->w, config, size, j->layers, 1, digest, err) < 0)
        return -1;
    return import_commit(j->w, digest, j->layers, 1, err);
}

int import_rootfs(struct work *w, const struct source *s, import_fn done, void *arg,
                  struct zl_error *err)
{
    static const char *const no_names[] = { NULL };
    char digest[DIGEST_SIZE], path[1][PATH_MAX] = { "" };
    struct import_job j = { .w = w, .s = s, .n = 1, .paths = path, .layers = layers_new(1, err) };
    int rc = j.layers ? make_image(&j, digest, err) : -1;
    layers_free(j.layers, 1);
    return rc < 0 ? -1 : done(arg, digest, no_names, err);
}
