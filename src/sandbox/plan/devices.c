// SPDX-License-Identifier: Apache-2.0
/* Device nodes and the links of /dev. */
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "sandbox/plan/parts.h"

/* runtime-spec, config-linux.md, "Default Devices" */
static const struct {
    const char *path;
    unsigned major, minor;
} default_devices[] = {
    { "/dev/null", 1, 3 },   { "/dev/zero", 1, 5 },    { "/dev/full", 1, 7 },
    { "/dev/random", 1, 8 }, { "/dev/urandom", 1, 9 }, { "/dev/tty", 5, 0 },
};

/* The same, "Dev symbolic links"; ptmx among the devices. */
static const struct {
    const char *path, *target;
} default_links[] = {
    { "/dev/fd", "/proc/self/fd" },       { "/dev/stdin", "/proc/self/fd/0" },
    { "/dev/stdout", "/proc/self/fd/1" }, { "/dev/stderr", "/proc/self/fd/2" },
    { "/dev/ptmx", "pts/ptmx" },          { "/dev/core", "/proc/kcore" },
};

static const struct {
    const char *name;
    uint32_t mode;
} device_types[] = { { "c", S_IFCHR }, { "u", S_IFCHR }, { "b", S_IFBLK }, { "p", S_IFIFO } };

static int device_mode(struct build *b, size_t i, uint32_t *ret)
{
    const struct oci_device *d = &b->config->linux_.devices.v[i];

    for (size_t t = 0; t < ZL_ARRAY_LEN(device_types); t++)
        if (strcmp(device_types[t].name, d->type) == 0) {
            *ret = device_types[t].mode | (d->file_mode.set ? d->file_mode.v & 07777 : 0666);
            return 0;
        }
    return zl_fail(b->err, ZL_ERR_INVALID,
                   "linux.devices[%zu].type: expected c, b, u or p, found '%s'", i, d->type);
}

static bool is_configured(struct build *b, const char *path)
{
    for (size_t i = 0; i < b->config->linux_.devices.n; i++)
        if (strcmp(b->config->linux_.devices.v[i].path, path) == 0)
            return true;
    return false;
}

static void add_defaults(struct build *b, struct zl_buf *rows)
{
    for (size_t i = 0; i < ZL_ARRAY_LEN(default_devices); i++) {
        struct plan_device d = {
            .mode = S_IFCHR | 0666,
            .rdev = makedev(default_devices[i].major, default_devices[i].minor),
        };
        if (is_configured(b, default_devices[i].path))
            continue;
        d.path = writer_text(&b->w, default_devices[i].path);
        zl_buf_add(rows, &d, sizeof d);
    }
}

static struct plan_tab add_links(struct build *b)
{
    struct plan_link links[ZL_ARRAY_LEN(default_links)];

    for (size_t i = 0; i < ZL_ARRAY_LEN(default_links); i++) {
        links[i].path = writer_text(&b->w, default_links[i].path);
        links[i].target = writer_text(&b->w, default_links[i].target);
    }
    return writer_table(&b->w, links, ZL_ARRAY_LEN(links), sizeof *links);
}

int build_devices(struct build *b, struct plan *p)
{
    zl_autobuf struct zl_buf rows = ZL_BUF(PLAN_MAX);

    if (!(p->flags & PLAN_SETUP_DEV))
        return 0;
    add_defaults(b, &rows);
    for (size_t i = 0; i < b->config->linux_.devices.n; i++) {
        const struct oci_device *from = &b->config->linux_.devices.v[i];
        struct plan_device d = { .uid = (uint32_t)from->uid.v,
                                 .gid = (uint32_t)from->gid.v,
                                 .rdev = makedev((unsigned)from->major, (unsigned)from->minor) };
        if (device_mode(b, i, &d.mode) < 0)
            return -1;
        if ((d.mode & S_IFMT) == S_IFIFO)
            d.rdev = 0;
        d.path = writer_text(&b->w, from->path);
        zl_buf_add(&rows, &d, sizeof d);
    }
    p->devices = writer_rows(&b->w, &rows, sizeof(struct plan_device));
    p->links = add_links(b);
    return 0;
}
