// SPDX-License-Identifier: Apache-2.0
/* `mounts` of config.json, in the order in which they are made. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "oci/etc.h"
#include "oci/part.h"

enum { OPTIONS_MAX = 16 };

/* Options end with a NULL. */
static const struct {
    const char *target, *type, *source, *options[8];
} standard_mounts[] = {
    /* clang-format off */
    { "/proc",          "proc",   "proc",   { "nosuid", "noexec", "nodev" } },
    { "/dev",           "tmpfs",  "tmpfs",  { "nosuid", "strictatime", "mode=755", "size=65536k" } },
    { "/dev/pts",       "devpts", "devpts", { "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5" } },
    { "/dev/shm",       "tmpfs",  "shm",    { "nosuid", "noexec", "nodev", "mode=1777", "size=65536k" } },
    { "/dev/mqueue",    "mqueue", "mqueue", { "nosuid", "noexec", "nodev" } },
    { "/sys",           "sysfs",  "sysfs",  { "nosuid", "noexec", "nodev", "ro" } },
    { "/sys/fs/cgroup", "cgroup", "cgroup", { "nosuid", "noexec", "nodev", "relatime", "ro" } },
    /* clang-format on */
};

static int append_mount(json_t *mounts, const char *target, const char *type, const char *source,
                        const char *const *options, struct zl_error *err)
{
    size_t n = 0;
    while (options[n])
        n++;
    json_t *to = oci_part_text("a mount's target", target, err);
    json_t *from = to ? oci_part_text("a mount's source", source, err) : NULL;
    if (!from) {
        json_decref(to);
        return -1;
    }
    return oci_part_append(mounts,
                           json_pack("{s:o, s:s, s:o, s:o}", "destination", to, "type", type,
                                     "source", from, "options", oci_part_strings(options, n, err)),
                           err);
}

static int append_shared_memory(const struct oci_making *m, json_t *mounts, struct zl_error *err)
{
    static const char *const options[] = { "bind", "rprivate", "nosuid", "noexec", "nodev", NULL };
    return append_mount(mounts, "/dev/shm", "bind", m->b->shm_dir, options, err);
}

/* With the right to do anything, what the kernel shows may be written, too. */
static int append_one(const struct oci_making *m, size_t i, json_t *mounts, struct zl_error *err)
{
    const char *options[OPTIONS_MAX] = { NULL };
    size_t n = 0;
    if (m->b->shm_dir && strcmp(standard_mounts[i].target, "/dev/shm") == 0)
        return append_shared_memory(m, mounts, err);
    for (const char *const *o = standard_mounts[i].options; *o; o++)
        if (!m->b->service->privileged || strcmp(*o, "ro") != 0)
            options[n++] = *o;
    return append_mount(mounts, standard_mounts[i].target, standard_mounts[i].type,
                        standard_mounts[i].source, options, err);
}

static int append_standard(const struct oci_making *m, json_t *mounts, struct zl_error *err)
{
    for (size_t i = 0; i < ZL_ARRAY_LEN(standard_mounts); i++)
        if (append_one(m, i, mounts, err) < 0)
            return -1;
    return 0;
}

static int append_etc(const struct oci_making *m, json_t *mounts, struct zl_error *err)
{
    static const char *const options[] = { "bind",   "rprivate", "nosuid", "nodev",
                                           "noexec", "ro",       NULL };
    for (size_t i = 0; m->b->etc_dir && oci_etc_files[i]; i++) {
        zl_autobuf struct zl_buf from = ZL_BUF(4096), to = ZL_BUF(64);
        zl_buf_addf(&from, "%s/%s", m->b->etc_dir, oci_etc_files[i]);
        zl_buf_addf(&to, "/etc/%s", oci_etc_files[i]);
        if (zl_buf_check(&from, "the path of the state directory", err) < 0 ||
            zl_buf_check(&to, "a mount's target", err) < 0 ||
            append_mount(mounts, to.data, "bind", from.data, options, err) < 0)
            return -1;
    }
    return 0;
}

/* source: of the host. */
static int append_bind(const struct spec_storage *s, const char *source, json_t *mounts,
                       struct zl_error *err)
{
    const char *const options[] = { "rbind", "rprivate", s->readonly ? "ro" : "rw", NULL };
    return append_mount(mounts, s->target, "bind", source, options, err);
}

static int append_tmpfs(const struct spec_storage *s, const char *source, json_t *mounts,
                        struct zl_error *err)
{
    char size[32], mode[24];
    const char *options[6] = { "nosuid", "nodev" };
    size_t n = 2;
    (void)source;
    (void)snprintf(mode, sizeof mode, "mode=%o", s->mode ? s->mode : 01777U);
    (void)snprintf(size, sizeof size, "size=%" PRIu64, s->size);
    options[n++] = mode;
    if (s->size)
        options[n++] = size;
    if (s->readonly)
        options[n++] = "ro";
    return append_mount(mounts, s->target, "tmpfs", "tmpfs", options, err);
}

static bool is_root(const char *target)
{
    return target[strspn(target, "/.")] == '\0';
}

static int append_storage(const struct oci_making *m, json_t *mounts, struct zl_error *err)
{
    static int (*const append[])(const struct spec_storage *, const char *, json_t *,
                                 struct zl_error *) = {
        [SPEC_MOUNT_BIND] = append_bind,
        [SPEC_MOUNT_NAMED] = append_bind,
        [SPEC_MOUNT_ANONYMOUS] = append_bind,
        [SPEC_MOUNT_TMPFS] = append_tmpfs,
        [SPEC_MOUNT_S3] = NULL, /* the highest: what has no entry is not supported yet */
    };
    for (size_t i = 0; i < m->b->service->n_storage; i++) {
        const struct spec_storage *s = &m->b->service->storage[i];
        const char *volume = m->b->volumes ? m->b->volumes[i] : NULL;
        bool is_volume = s->type == SPEC_MOUNT_NAMED || s->type == SPEC_MOUNT_ANONYMOUS;
        if (!append[s->type] || (is_volume && !volume))
            return zl_fail(err, ZL_ERR_UNSUPPORTED,
                           "the storage for '%s' is of a type that this version cannot mount",
                           s->target);
        if (is_root(s->target) && !m->b->is_module)
            return zl_fail(err, ZL_ERR_INVALID,
                           "the target '%s': the root of a container cannot be mounted over",
                           s->target);
        if (append[s->type](s, volume ? volume : s->source, mounts, err) < 0)
            return -1;
    }
    return 0;
}

static int append_gpu(const struct oci_making *m, json_t *mounts, struct zl_error *err)
{
    size_t i;
    json_t *mount;
    json_array_foreach(m->gpu.mounts, i, mount)
    {
        if (oci_part_append(mounts, json_incref(mount), err) < 0)
            return -1;
    }
    return 0;
}

json_t *oci_mounts_make(const struct oci_making *m, struct zl_error *err)
{
    json_t *mounts = json_array();
    if (!mounts)
        return oci_part_no_memory(err);
    if (append_standard(m, mounts, err) < 0 || append_etc(m, mounts, err) < 0 ||
        append_storage(m, mounts, err) < 0 || append_gpu(m, mounts, err) < 0) {
        json_decref(mounts);
        return NULL;
    }
    return mounts;
}
