// SPDX-License-Identifier: Apache-2.0
/* config.json's mounts: options become flags by one table; cgroup mounts become what this host has.
 */
#include <sched.h>
#include <string.h>
#include <sys/mount.h>

#include "sandbox/kernel.h"
#include "sandbox/plan/parts.h"

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif

enum {
    IS_BIND = 1,
    IS_PROPAGATION = 2,
    IS_RECURSIVE = 4,
    IS_IGNORED = 8,
    IS_IDMAP = 16,
    IS_REMOUNT = 32,
    IS_COPY_UP = 64,
};

struct option {
    const char *name;
    uint64_t ms_set, ms_clear;     /* for mount(2) */
    uint64_t attr_set, attr_clear; /* the same for mount_setattr(2) */
    unsigned is;
};

/* runtime-spec, config.md, "Linux mount options" */
/* clang-format off */
static const struct option options[] = {
    { "async",         0, MS_SYNCHRONOUS, 0, 0, 0 },
    { "atime",         0, MS_NOATIME, 0, K_ATTR_ATIME, 0 },
    { "bind",          0, 0, 0, 0, IS_BIND },
    { "defaults",      0, 0, 0, 0, IS_IGNORED },
    { "dev",           0, MS_NODEV, 0, K_ATTR_NODEV, 0 },
    { "diratime",      0, MS_NODIRATIME, 0, K_ATTR_NODIRATIME, 0 },
    { "dirsync",       MS_DIRSYNC, 0, 0, 0, 0 },
    { "exec",          0, MS_NOEXEC, 0, K_ATTR_NOEXEC, 0 },
    { "idmap",         0, 0, 0, 0, IS_IDMAP },
    { "iversion",      MS_I_VERSION, 0, 0, 0, 0 },
    { "lazytime",      MS_LAZYTIME, 0, 0, 0, 0 },
    { "loud",          0, MS_SILENT, 0, 0, 0 },
    { "mand",          MS_MANDLOCK, 0, 0, 0, 0 },
    { "noatime",       MS_NOATIME, MS_RELATIME | MS_STRICTATIME, K_ATTR_NOATIME, K_ATTR_ATIME, 0 },
    { "nodev",         MS_NODEV, 0, K_ATTR_NODEV, 0, 0 },
    { "nodiratime",    MS_NODIRATIME, 0, K_ATTR_NODIRATIME, 0, 0 },
    { "noexec",        MS_NOEXEC, 0, K_ATTR_NOEXEC, 0, 0 },
    { "noiversion",    0, MS_I_VERSION, 0, 0, 0 },
    { "nolazytime",    0, MS_LAZYTIME, 0, 0, 0 },
    { "nomand",        0, MS_MANDLOCK, 0, 0, 0 },
    { "norelatime",    0, MS_RELATIME, 0, 0, 0 },
    { "nostrictatime", 0, MS_STRICTATIME, 0, K_ATTR_ATIME, 0 },
    { "nosuid",        MS_NOSUID, 0, K_ATTR_NOSUID, 0, 0 },
    { "nosymfollow",   MS_NOSYMFOLLOW, 0, K_ATTR_NOSYMFOLLOW, 0, 0 },
    { "private",       MS_PRIVATE, 0, 0, 0, IS_PROPAGATION },
    { "ratime",        0, 0, 0, K_ATTR_ATIME, IS_RECURSIVE },
    { "rbind",         MS_REC, 0, 0, 0, IS_BIND },
    { "rdev",          0, 0, 0, K_ATTR_NODEV, IS_RECURSIVE },
    { "rdiratime",     0, 0, 0, K_ATTR_NODIRATIME, IS_RECURSIVE },
    { "relatime",      MS_RELATIME, MS_NOATIME | MS_STRICTATIME, 0, K_ATTR_ATIME, 0 },
    { "remount",       0, 0, 0, 0, IS_REMOUNT },
    { "rexec",         0, 0, 0, K_ATTR_NOEXEC, IS_RECURSIVE },
    { "ridmap",        0, 0, 0, 0, IS_IDMAP | IS_RECURSIVE },
    { "rnoatime",      0, 0, K_ATTR_NOATIME, K_ATTR_ATIME, IS_RECURSIVE },
    { "rnodev",        0, 0, K_ATTR_NODEV, 0, IS_RECURSIVE },
    { "rnodiratime",   0, 0, K_ATTR_NODIRATIME, 0, IS_RECURSIVE },
    { "rnoexec",       0, 0, K_ATTR_NOEXEC, 0, IS_RECURSIVE },
    { "rnorelatime",   0, 0, 0, 0, IS_IGNORED },
    { "rnostrictatime", 0, 0, 0, K_ATTR_ATIME, IS_RECURSIVE },
    { "rnosuid",       0, 0, K_ATTR_NOSUID, 0, IS_RECURSIVE },
    { "rnosymfollow",  0, 0, K_ATTR_NOSYMFOLLOW, 0, IS_RECURSIVE },
    { "ro",            MS_RDONLY, 0, K_ATTR_RDONLY, 0, 0 },
    { "rprivate",      MS_PRIVATE | MS_REC, 0, 0, 0, IS_PROPAGATION },
    { "rrelatime",     0, 0, 0, K_ATTR_ATIME, IS_RECURSIVE },
    { "rro",           0, 0, K_ATTR_RDONLY, 0, IS_RECURSIVE },
    { "rrw",           0, 0, 0, K_ATTR_RDONLY, IS_RECURSIVE },
    { "rshared",       MS_SHARED | MS_REC, 0, 0, 0, IS_PROPAGATION },
    { "rslave",        MS_SLAVE | MS_REC, 0, 0, 0, IS_PROPAGATION },
    { "rstrictatime",  0, 0, K_ATTR_STRICTATIME, K_ATTR_ATIME, IS_RECURSIVE },
    { "rsuid",         0, 0, 0, K_ATTR_NOSUID, IS_RECURSIVE },
    { "rsymfollow",    0, 0, 0, K_ATTR_NOSYMFOLLOW, IS_RECURSIVE },
    { "runbindable",   MS_UNBINDABLE | MS_REC, 0, 0, 0, IS_PROPAGATION },
    { "rw",            0, MS_RDONLY, 0, 0, 0 },
    { "shared",        MS_SHARED, 0, 0, 0, IS_PROPAGATION },
    { "silent",        MS_SILENT, 0, 0, 0, 0 },
    { "slave",         MS_SLAVE, 0, 0, 0, IS_PROPAGATION },
    { "strictatime",   MS_STRICTATIME, MS_NOATIME | MS_RELATIME, K_ATTR_STRICTATIME, K_ATTR_ATIME, 0 },
    { "suid",          0, MS_NOSUID, 0, K_ATTR_NOSUID, 0 },
    { "symfollow",     0, MS_NOSYMFOLLOW, 0, K_ATTR_NOSYMFOLLOW, 0 },
    { "sync",          MS_SYNCHRONOUS, 0, 0, 0, 0 },
    { "tmpcopyup",     0, 0, 0, 0, IS_COPY_UP },
    { "unbindable",    MS_UNBINDABLE, 0, 0, 0, IS_PROPAGATION },
};
/* clang-format on */

const char *plan_mount_option(size_t n)
{
    return n < ZL_ARRAY_LEN(options) ? options[n].name : NULL;
}

static int compare_option(const void *key, const void *row)
{
    return strcmp(key, ((const struct option *)row)->name);
}

static const struct option *find_option(const char *name)
{
    return bsearch(name, options, ZL_ARRAY_LEN(options), sizeof *options, compare_option);
}

static void apply(const struct option *o, struct plan_mount *m)
{
    if (o->is & IS_IGNORED) {
        return;
    } else if (o->is & IS_COPY_UP) {
        m->copy_up = PLAN_COPY_UP;
    } else if (o->is & IS_REMOUNT) {
        m->flags |= MS_REMOUNT;
    } else if (o->is & IS_PROPAGATION) {
        m->propagation = o->ms_set;
    } else if (o->is & IS_BIND) {
        m->kind = PLAN_MOUNT_BIND;
        m->recursive = o->ms_set != 0;
    } else if (o->is & IS_RECURSIVE) {
        m->rec_attr_set = (m->rec_attr_set & ~o->attr_clear) | o->attr_set;
        m->rec_attr_clear = (m->rec_attr_clear & ~o->attr_set) | o->attr_clear;
    } else {
        m->flags = (m->flags & ~o->ms_clear) | o->ms_set;
        m->attr_set = (m->attr_set & ~o->attr_clear) | o->attr_set;
        m->attr_clear = (m->attr_clear & ~o->attr_set) | o->attr_clear;
    }
}

/* config.md, "Mounts": a mount's own maps, with `idmap` or without, else those of the container. */
static int read_id_maps(struct build *b, size_t index, unsigned idmap, struct plan_mount *m)
{
    const struct oci_mount *from = &b->config->mounts.v[index];
    const struct oci_linux *l = &b->config->linux_;
    bool own = from->uid_mappings.n || from->gid_mappings.n;

    if (!own && !idmap)
        return 0;
    if (m->kind != PLAN_MOUNT_BIND)
        return zl_fail(b->err, ZL_ERR_INVALID, "mounts[%zu]: id mappings are for binds", index);
    if (own && (!from->uid_mappings.n || !from->gid_mappings.n))
        return zl_fail(b->err, ZL_ERR_INVALID,
                       "mounts[%zu]: uidMappings and gidMappings go together", index);
    if (!own && (!l->uid_mappings.n || !l->gid_mappings.n))
        return zl_fail(b->err, ZL_ERR_INVALID,
                       "mounts[%zu].options: idmap without uidMappings and gidMappings, and the "
                       "container has none either",
                       index);
    m->uid_map = build_id_maps(b, own ? &from->uid_mappings : &l->uid_mappings);
    m->gid_map = build_id_maps(b, own ? &from->gid_mappings : &l->gid_mappings);
    m->idmap_recursive = (idmap & IS_RECURSIVE) != 0;
    return 0;
}

/* Of a bind only its own flags change, all of them; else those of the file system. */
static void become_remount(struct plan_mount *m)
{
    if (!(m->flags & MS_REMOUNT))
        return;
    if (m->kind == PLAN_MOUNT_BIND)
        m->flags |= MS_BIND;
    m->kind = PLAN_MOUNT_FS;
}

/* Options into m; those that only the file system knows are joined into data. */
static int read_options(struct build *b, size_t index, struct plan_mount *m, struct zl_buf *data)
{
    const struct oci_mount *from = &b->config->mounts.v[index];
    unsigned idmap = 0;

    if (from->type && strcmp(from->type, "bind") == 0)
        m->kind = PLAN_MOUNT_BIND;
    for (size_t i = 0; i < from->options.n; i++) {
        const struct option *o = find_option(from->options.v[i]);
        if (o && o->is & IS_IDMAP)
            idmap |= o->is;
        else if (o)
            apply(o, m);
        else
            zl_buf_addf(data, "%s%s", data->len ? "," : "", from->options.v[i]);
    }
    become_remount(m);
    return read_id_maps(b, index, idmap, m);
}

/* A file system of its own has its attributes by the flags of mount(2). */
static void add_row(struct zl_buf *rows, const struct plan_mount *m)
{
    struct plan_mount row = *m;

    if (row.kind == PLAN_MOUNT_FS)
        row.attr_set = row.attr_clear = 0;
    zl_buf_add(rows, &row, sizeof row);
}

/* ---- cgroup trees ---- */

/* With a cgroup namespace a fresh mount shows its root; without, our own folder is bound. */
static void add_hierarchy(struct build *b, struct zl_buf *rows, const char *target,
                          const struct cgroup_hierarchy *h, const struct plan_mount *tree,
                          bool own_ns)
{
    bool named = strcmp(h->name, "systemd") == 0;
    bool v2 = strcmp(h->type, "cgroup2") == 0;
    struct plan_mount m = { .kind = PLAN_MOUNT_FS };

    m.target = writer_textf(&b->w, "%s/%s", target, h->name);
    if (h->link_to[0]) {
        m.kind = PLAN_MOUNT_SYMLINK;
        m.source = writer_text(&b->w, h->link_to);
    } else if (own_ns) {
        m.type = writer_text(&b->w, h->type);
        m.source = writer_text(&b->w, "cgroup");
        m.flags = MS_NOSUID | MS_NODEV | MS_NOEXEC | (tree->flags & (MS_RDONLY | MS_RELATIME));
        if (!v2)
            m.data = writer_textf(&b->w, "%s%s", named ? "none,name=" : "", h->name);
    } else {
        m.kind = PLAN_MOUNT_BIND;
        m.attr_set = tree->attr_set;
        m.source = writer_textf(&b->w, "%s/%s/%s", b->layout->root, h->name,
                                named || v2 ? "" : b->cgroup_path);
    }
    add_row(rows, &m);
}

static bool is_joined(const struct cgroup_hierarchy *h, struct build *b, const struct plan *p)
{
    const struct plan_cgroup *c = plan_table(b->w.out->data, p->cgroups);

    for (uint32_t i = 0; i < p->cgroups.n; i++)
        if (!(c[i].flags & PLAN_CGROUP_LATE) &&
            strcmp(plan_text(b->w.out->data, c[i].controller), h->name) == 0)
            return true;
    return false;
}

static void add_cgroup_tree(struct build *b, const struct plan *p, struct zl_buf *rows,
                            const char *target, struct plan_mount *m)
{
    bool own_ns = p->namespaces & CLONE_NEWCGROUP;
    struct plan_mount late = { .kind = PLAN_MOUNT_REMOUNT,
                               .target = m->target,
                               .attr_set = K_ATTR_RDONLY };

    m->source = writer_text(&b->w, "cgroup");
    m->kind = PLAN_MOUNT_FS;
    if (b->layout->mode == CGROUP_V2 && own_ns) {
        m->type = writer_text(&b->w, "cgroup2");
        m->data = 0;
        add_row(rows, m);
        return;
    }
    if (b->layout->mode == CGROUP_V2) {
        m->kind = PLAN_MOUNT_BIND;
        m->source = writer_textf(&b->w, "%s/%s", b->layout->root, b->cgroup_path);
        add_row(rows, m);
        return;
    }
    struct plan_mount tmpfs = *m;
    tmpfs.flags &= ~(uint64_t)(MS_RDONLY | MS_RELATIME);
    tmpfs.type = writer_text(&b->w, "tmpfs");
    tmpfs.source = tmpfs.type;
    tmpfs.data = writer_text(&b->w, "mode=755,size=64k");
    add_row(rows, &tmpfs);
    for (size_t i = 0; i < b->layout->n; i++)
        /* an unjoined hierarchy would show the host's root in it: left out without a namespace */
        if (own_ns || b->layout->v[i].link_to[0] || is_joined(&b->layout->v[i], b, p))
            add_hierarchy(b, rows, target, &b->layout->v[i], m, own_ns);
    if (m->flags & MS_RDONLY)
        add_row(rows, &late);
}

/* ---- one mount ---- */

/* Absolute, and without the slashes at the end that would make it differ from itself. */
static plan_str target_text(struct build *b, const char *destination)
{
    size_t n = strlen(destination);

    while (n > 1 && destination[n - 1] == '/')
        n--;
    return writer_textf(&b->w, "%s%.*s", destination[0] == '/' ? "" : "/", (int)n, destination);
}

static plan_str source_text(struct build *b, const struct oci_mount *from)
{
    if (from->source[0] == '/')
        return writer_text(&b->w, from->source);
    return writer_textf(&b->w, "%s/%s", b->options->bundle, from->source);
}

static int check_mount(struct build *b, size_t index, const struct plan_mount *m)
{
    const struct oci_mount *from = &b->config->mounts.v[index];

    if (!from->destination[0])
        return zl_fail(b->err, ZL_ERR_INVALID, "mounts[%zu].destination: it is empty", index);
    if (m->kind == PLAN_MOUNT_BIND && (!from->source || !from->source[0]))
        return zl_fail(b->err, ZL_ERR_INVALID, "mounts[%zu].source: required for a bind", index);
    if (m->kind == PLAN_MOUNT_FS && !(m->flags & MS_REMOUNT) && (!from->type || !from->type[0]))
        return zl_fail(b->err, ZL_ERR_INVALID, "mounts[%zu].type: required", index);
    if (m->copy_up && (!from->type || strcmp(from->type, "tmpfs") != 0))
        return zl_fail(b->err, ZL_ERR_INVALID, "mounts[%zu].options: tmpcopyup is for a tmpfs",
                       index);
    return 0;
}

static bool is_cgroup(const struct oci_mount *m)
{
    return m->type && (strcmp(m->type, "cgroup") == 0 || strcmp(m->type, "cgroup2") == 0);
}

/* The kernel shows a namespace to its owners only: mount(2) would say EPERM. */
static int check_owner(struct build *b, const struct plan *p, size_t index, const char *type)
{
    static const struct {
        const char *type, *name;
        uint32_t ns;
        const char *instead;
    } owned[] = {
        { "proc", "pid", CLONE_NEWPID, "bind /proc" },
        { "sysfs", "network", CLONE_NEWNET, "bind /sys" },
        { "mqueue", "ipc", CLONE_NEWIPC, "bind /dev/mqueue" },
    };

    for (size_t i = 0; i < ZL_ARRAY_LEN(owned); i++)
        if (strcmp(owned[i].type, type) == 0 && p->namespaces & CLONE_NEWUSER &&
            !(p->namespaces & owned[i].ns))
            return zl_fail(b->err, ZL_ERR_INVALID,
                           "mounts[%zu]: %s in a new user namespace needs a new %s namespace as "
                           "well; else %s",
                           index, type, owned[i].name, owned[i].instead);
    return 0;
}

/* devpts and tmpfs know owners by number. */
static int check_owner_options(struct build *b, size_t index)
{
    const struct oci_mount *from = &b->config->mounts.v[index];
    const struct oci_linux *l = &b->config->linux_;

    for (size_t i = 0; i < from->options.n; i++) {
        const char *o = from->options.v[i];
        bool uid = strncmp(o, "uid=", 4) == 0, gid = strncmp(o, "gid=", 4) == 0;
        if ((uid || gid) && !is_mapped(b, uid ? &l->uid_mappings : &l->gid_mappings,
                                       (uint32_t)strtoul(o + 4, NULL, 10)))
            return zl_fail(b->err, ZL_ERR_INVALID,
                           "mounts[%zu].options[%zu]: '%s' is not among linux.%cidMappings", index,
                           i, o, o[0]);
    }
    return 0;
}

/* /dev gets its devices while it is writable, a tmpfs its copies; read-only is what they become
 * after. */
static void add_fs(struct build *b, const struct oci_mount *from, struct plan_mount *m,
                   struct zl_buf *rows, struct zl_buf *late)
{
    struct plan_mount later = { .kind = PLAN_MOUNT_REMOUNT,
                                .target = m->target,
                                .attr_set = K_ATTR_RDONLY };
    bool filled = strcmp(from->destination, "/dev") == 0 || m->copy_up;

    m->type = writer_text(&b->w, from->type && from->type[0] ? from->type : "none");
    m->source = writer_text(&b->w, from->source);
    if (filled && m->flags & MS_RDONLY && !(m->flags & MS_REMOUNT)) {
        m->flags &= ~(uint64_t)MS_RDONLY;
        add_row(late, &later);
    }
    add_row(rows, m);
}

static int add_mount(struct build *b, const struct plan *p, size_t index, struct zl_buf *rows,
                     struct zl_buf *late)
{
    const struct oci_mount *from = &b->config->mounts.v[index];
    zl_autobuf struct zl_buf data = ZL_BUF(4095); /* mount(2) takes a page */
    struct plan_mount m = { .kind = PLAN_MOUNT_FS };

    if (read_options(b, index, &m, &data) < 0 || check_mount(b, index, &m) < 0 ||
        (m.kind == PLAN_MOUNT_FS && !(m.flags & MS_REMOUNT) &&
         build_mount_label(b, from->type, &data) < 0) ||
        zl_buf_check(&data, "mount options", b->err) < 0)
        return -1;
    m.target = target_text(b, from->destination);
    m.data = data.len ? writer_text(&b->w, data.data) : 0;
    if (m.copy_up && !strstr(data.data, "mode=")) /* else what is asked for holds */
        m.copy_up |= PLAN_COPY_UP_FOLDER;
    if (m.kind == PLAN_MOUNT_FS && is_cgroup(from) && !(m.flags & MS_REMOUNT)) {
        if (b->layout->mode == CGROUP_NONE)
            build_note(b, "mounts[%zu]: no cgroups on this host: left out", index);
        else
            add_cgroup_tree(b, p, rows, from->destination, &m);
        return 0;
    }
    if (m.kind == PLAN_MOUNT_BIND) {
        m.source = source_text(b, from);
        add_row(rows, &m);
        return 0;
    }
    if ((!(m.flags & MS_REMOUNT) && check_owner(b, p, index, from->type) < 0) ||
        check_owner_options(b, index) < 0)
        return -1;
    add_fs(b, from, &m, rows, late);
    return 0;
}

int build_mounts(struct build *b, struct plan *p)
{
    zl_autobuf struct zl_buf rows = ZL_BUF(PLAN_MAX);
    zl_autobuf struct zl_buf late = ZL_BUF(PLAN_MAX);

    p->flags |= PLAN_SETUP_DEV;
    for (size_t i = 0; i < b->config->mounts.n; i++) {
        const struct oci_mount *m = &b->config->mounts.v[i];
        size_t before = rows.len;
        if (add_mount(b, p, i, &rows, &late) < 0)
            return -1;
        if (rows.len > before && strcmp(m->destination, "/dev") == 0 &&
            ((const struct plan_mount *)(const void *)(rows.data + before))->kind ==
                PLAN_MOUNT_BIND)
            p->flags &= ~(uint32_t)PLAN_SETUP_DEV; /* the host's /dev is not ours to fill */
    }
    p->mounts = writer_rows(&b->w, &rows, sizeof(struct plan_mount));
    p->late_mounts = writer_rows(&b->w, &late, sizeof(struct plan_mount));
    return 0;
}
