// SPDX-License-Identifier: Apache-2.0
/* Device nodes, the links of /dev, and the rules that say which devices may be used. */
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

/* ---- who may use which ---- */

/* What every container may use, whatever its rules say: making nodes, the default devices, ptys. */
static const char *const always[] = {
    "c *:* m",   "b *:* m",   "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm",
    "c 1:8 rwm", "c 1:9 rwm", "c 5:0 rwm", "c 5:2 rwm", "c 136:* rwm",
};

static void add_rule(struct build *b, struct zl_buf *rows, bool allow, const char *text)
{
    struct plan_file f = { .path = writer_text(&b->w, allow ? "devices.allow" : "devices.deny"),
                           .value = writer_text(&b->w, text) };
    zl_buf_add(rows, &f, sizeof f);
}

static void number_or_star(struct zl_buf *out, struct zl_opt_i64 n)
{
    if (n.set && n.v >= 0)
        zl_buf_addf(out, "%lld", (long long)n.v);
    else
        zl_buf_addc(out, '*');
}

static bool is_all(const struct oci_device_rule *r)
{
    return (!r->type || r->type[0] == 'a') && (!r->major.set || r->major.v < 0) &&
           (!r->minor.set || r->minor.v < 0);
}

/* "a" in v1 replaces all rules before it, so rules in order do what the spec says. */
void build_device_rules(struct build *b, struct zl_buf *rows)
{
    const struct oci_resources *r = &b->config->linux_.resources;
    bool denied = false;

    for (size_t i = 0; i < r->devices.n; i++) {
        const struct oci_device_rule *d = &r->devices.v[i];
        zl_autobuf struct zl_buf text = ZL_BUF(128);
        if (is_all(d)) {
            denied = !d->allow;
            add_rule(b, rows, d->allow, "a");
            continue;
        }
        denied |= !d->allow;
        zl_buf_addf(&text, "%c ", d->type && d->type[0] == 'b' ? 'b' : 'c');
        number_or_star(&text, d->major);
        zl_buf_addc(&text, ':');
        number_or_star(&text, d->minor);
        zl_buf_addf(&text, " %.8s", d->access ? d->access : "rwm");
        add_rule(b, rows, d->allow, text.data);
    }
    for (size_t i = 0; denied && i < ZL_ARRAY_LEN(always); i++)
        add_rule(b, rows, true, always[i]);
}
