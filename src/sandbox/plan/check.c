// SPDX-License-Identifier: Apache-2.0
/*
 * Looks at every offset of a plan before anybody follows one. What kinds of records there are and
 * which of their members are texts and tables stands in shapes[]; the checks are two functions.
 * The last byte of a plan is 0, so a text that begins inside ends inside.
 */
#include <string.h>

#include "sandbox/plan.h"

struct shape;
struct member {
    size_t offset;
    const struct shape *elements; /* NULL: a text */
};
struct shape {
    size_t size;
    struct { /* a number that must be below `below`; at offset 0 of the record */
        uint32_t below;
    } kind;
    const struct member *members;
    size_t n;
};

#define TEXT(type, m)                                                                              \
    {                                                                                              \
        offsetof(struct type, m), NULL                                                             \
    }
#define TABLE(type, m, shape)                                                                      \
    {                                                                                              \
        offsetof(struct type, m), &(shape)                                                         \
    }
#define MEMBERS(v) .members = (v), .n = ZL_ARRAY_LEN(v)

/* clang-format off */
static const struct shape numbers32 = { .size = sizeof(uint32_t) };
static const struct shape numbers64 = { .size = sizeof(uint64_t) };
static const struct member text_members[] = { { 0, NULL } };
static const struct shape texts = { .size = sizeof(plan_str), MEMBERS(text_members) };
static const struct member join_members[] = { TEXT(plan_join, path) };
static const struct shape joins = { .size = sizeof(struct plan_join), MEMBERS(join_members) };
static const struct shape id_maps = { .size = sizeof(struct plan_id_map) };
static const struct member mount_members[] = {
    TEXT(plan_mount, source), TEXT(plan_mount, target), TEXT(plan_mount, type), TEXT(plan_mount, data),
    TABLE(plan_mount, uid_map, id_maps), TABLE(plan_mount, gid_map, id_maps) };
static const struct shape mounts = { .size = sizeof(struct plan_mount), .kind = { PLAN_MOUNT_KINDS }, MEMBERS(mount_members) };
static const struct member device_members[] = { TEXT(plan_device, path) };
static const struct shape devices = { .size = sizeof(struct plan_device), MEMBERS(device_members) };
static const struct member link_members[] = { TEXT(plan_link, path), TEXT(plan_link, target) };
static const struct shape links = { .size = sizeof(struct plan_link), MEMBERS(link_members) };
static const struct member file_members[] = { TEXT(plan_file, path), TEXT(plan_file, value) };
static const struct shape files = { .size = sizeof(struct plan_file), MEMBERS(file_members) };
static const struct member cgroup_members[] = {
    TEXT(plan_cgroup, mount), TEXT(plan_cgroup, path), TEXT(plan_cgroup, controller), TEXT(plan_cgroup, enable),
    TABLE(plan_cgroup, files, files), TABLE(plan_cgroup, device_bpf, numbers64) };
static const struct shape cgroups = { .size = sizeof(struct plan_cgroup), .kind = { PLAN_CGROUP_KINDS }, MEMBERS(cgroup_members) };
static const struct shape rlimits = { .size = sizeof(struct plan_rlimit) };
static const struct shape schedulers = { .size = sizeof(struct plan_scheduler) };
static const struct member process_members[] = {
    TABLE(plan_process, argv, texts), TABLE(plan_process, env, texts), TEXT(plan_process, cwd), TEXT(plan_process, command),
    TABLE(plan_process, groups, numbers32), TABLE(plan_process, rlimits, rlimits),
    TABLE(plan_process, seccomp, numbers64), TABLE(plan_process, scheduler, schedulers),
    TABLE(plan_process, cpus, numbers64), TEXT(plan_process, keyring),
    TEXT(plan_process, apparmor), TEXT(plan_process, selinux) };
static const struct shape process = { .size = sizeof(struct plan_process), MEMBERS(process_members) };
static const struct member exec_members[] = { TABLE(plan_exec, cpus_before, numbers64) };
static const struct shape exec = { .size = sizeof(struct plan_exec), MEMBERS(exec_members) };
static const struct member plan_members[] = {
    TEXT(plan, root_path), TEXT(plan, root_mount), TEXT(plan, hostname), TEXT(plan, domainname), TABLE(plan, joins, joins),
    TABLE(plan, cgroups, cgroups), TABLE(plan, mounts, mounts), TABLE(plan, devices, devices),
    TABLE(plan, links, links), TABLE(plan, late_mounts, mounts), TABLE(plan, masked, texts),
    TABLE(plan, readonly, texts), TABLE(plan, sysctls, files),
    TEXT(plan, time_offsets), TABLE(plan, uid_map, id_maps), TABLE(plan, gid_map, id_maps) };
static const struct shape whole = { .size = sizeof(struct plan), MEMBERS(plan_members) };
static const struct member update_members[] = { TABLE(plan_update, cgroups, cgroups) };
static const struct shape update = { .size = sizeof(struct plan_update), MEMBERS(update_members) };
/* clang-format on */

struct buffer {
    const char *bytes;
    uint32_t size;
};

static int outside(const char *what, uint32_t where, struct zl_error *err)
{
    return zl_fail(err, ZL_ERR_PROTOCOL, "check plan: %s at offset %u is not inside", what, where);
}

static int check_table(const struct buffer *b, struct plan_tab t, const struct shape *shape,
                       struct zl_error *err);

static int check_record(const struct buffer *b, uint32_t at, const struct shape *shape,
                        struct zl_error *err)
{
    uint32_t first;

    memcpy(&first, b->bytes + at, sizeof first);
    if (shape->kind.below && first >= shape->kind.below)
        return zl_fail(err, ZL_ERR_PROTOCOL, "check plan: unknown kind %u at offset %u", first, at);
    for (size_t i = 0; i < shape->n; i++) {
        const struct member *m = &shape->members[i];
        struct plan_tab t;
        plan_str s;
        if (m->elements) {
            memcpy(&t, b->bytes + at + m->offset, sizeof t);
            if (check_table(b, t, m->elements, err) < 0)
                return -1;
            continue;
        }
        memcpy(&s, b->bytes + at + m->offset, sizeof s);
        if (s >= b->size)
            return outside("a text", s, err);
    }
    return 0;
}

static int check_table(const struct buffer *b, struct plan_tab t, const struct shape *shape,
                       struct zl_error *err)
{
    if (t.off % 8 || t.off > b->size || t.n > (b->size - t.off) / shape->size)
        return outside("a table", t.off, err);
    if (!shape->n && !shape->kind.below)
        return 0;
    for (uint32_t i = 0; i < t.n; i++)
        if (check_record(b, t.off + i * (uint32_t)shape->size, shape, err) < 0)
            return -1;
    return 0;
}

/* A text of each of these must be there, not only be inside. */
static int require(const void *base, plan_str s, const char *what, struct zl_error *err)
{
    if (s && plan_text(base, s)[0])
        return 0;
    return zl_fail(err, ZL_ERR_PROTOCOL, "check plan: no %s", what);
}

static int require_all(const void *base, struct plan_tab t, const char *what, struct zl_error *err)
{
    const plan_str *v = plan_table(base, t);
    for (uint32_t i = 0; i < t.n; i++)
        if (!v[i])
            return zl_fail(err, ZL_ERR_PROTOCOL, "check plan: no %s", what);
    return 0;
}

static int require_mounts(const struct plan *p, struct plan_tab t, struct zl_error *err)
{
    const struct plan_mount *m = plan_table(p, t);

    for (uint32_t i = 0; i < t.n; i++) {
        if (require(p, m[i].target, "target of a mount", err) < 0)
            return -1;
        if (m[i].kind == PLAN_MOUNT_FS && require(p, m[i].type, "type of a mount", err) < 0)
            return -1;
        if ((m[i].kind == PLAN_MOUNT_BIND || m[i].kind == PLAN_MOUNT_SYMLINK) &&
            require(p, m[i].source, "source of a mount", err) < 0)
            return -1;
    }
    return 0;
}

static int require_pairs(const void *p, struct plan_tab t, const char *what, struct zl_error *err)
{
    const struct plan_file *f = plan_table(p, t);
    for (uint32_t i = 0; i < t.n; i++)
        if (require(p, f[i].path, what, err) < 0 || !f[i].value)
            return zl_fail(err, ZL_ERR_PROTOCOL, "check plan: no value of a %s", what);
    return 0;
}

/* `placed`: where each of them is matters. */
static int require_cgroups(const void *base, struct plan_tab t, bool placed, struct zl_error *err)
{
    const struct plan_cgroup *c = plan_table(base, t);

    for (uint32_t i = 0; i < t.n; i++)
        if ((placed && (require(base, c[i].mount, "mount point of a cgroup", err) < 0 ||
                        require(base, c[i].path, "path of a cgroup", err) < 0)) ||
            require_pairs(base, c[i].files, "cgroup file", err) < 0)
            return -1;
    return 0;
}

static int require_process(const void *base, const struct plan_process *p, struct zl_error *err)
{
    if (require_all(base, p->argv, "text of an argument", err) < 0 ||
        require_all(base, p->env, "text of a variable", err) < 0)
        return -1;
    return p->argv.n ? require(base, p->cwd, "working directory", err) : 0;
}

static int require_texts(const struct plan *p, struct zl_error *err)
{
    const struct plan_join *j = plan_table(p, p->joins);
    const struct plan_device *d = plan_table(p, p->devices);
    const struct plan_link *l = plan_table(p, p->links);

    if (require(p, p->root_path, "root", err) < 0 || require_mounts(p, p->mounts, err) < 0 ||
        require_mounts(p, p->late_mounts, err) < 0 ||
        require_cgroups(p, p->cgroups, true, err) < 0 ||
        require_all(p, p->masked, "masked path", err) < 0 ||
        require_all(p, p->readonly, "read-only path", err) < 0 ||
        require_pairs(p, p->sysctls, "sysctl", err) < 0)
        return -1;
    for (uint32_t i = 0; i < p->joins.n; i++) {
        if (require(p, j[i].path, "path of a namespace", err) < 0)
            return -1;
        if (j[i].fd > p->n_fds)
            return zl_fail(err, ZL_ERR_PROTOCOL, "check plan: no descriptor of a namespace");
    }
    for (uint32_t i = 0; i < p->devices.n; i++)
        if (require(p, d[i].path, "path of a device", err) < 0)
            return -1;
    for (uint32_t i = 0; i < p->links.n; i++)
        if (require(p, l[i].path, "path of a link", err) < 0 ||
            require(p, l[i].target, "target of a link", err) < 0)
            return -1;
    return require_process(p, &p->process, err);
}

/* The members that every kind of plan begins with. */
static int check_head(const void *bytes, size_t n, uint32_t magic, size_t least,
                      struct zl_error *err)
{
    const uint32_t *head = bytes;

    if (n < least || n > PLAN_MAX || (uintptr_t)bytes % 8)
        return zl_fail(err, ZL_ERR_PROTOCOL, "check plan: %zu bytes cannot be one", n);
    if (head[0] != magic)
        return zl_fail(err, ZL_ERR_PROTOCOL, "check plan: it does not begin like one");
    if (head[1] != PLAN_VERSION)
        return zl_fail(err, ZL_ERR_UNSUPPORTED, "check plan: it is of version %u, this reads %d",
                       head[1], PLAN_VERSION);
    if (head[2] != n || ((const char *)bytes)[n - 1])
        return zl_fail(err, ZL_ERR_PROTOCOL, "check plan: it is torn");
    return 0;
}

int plan_check(const void *bytes, size_t n, const struct plan **ret, struct zl_error *err)
{
    const struct plan *p = bytes;
    struct buffer b = { bytes, (uint32_t)n };

    if (check_head(bytes, n, PLAN_MAGIC, sizeof *p, err) < 0 ||
        check_record(&b, 0, &whole, err) < 0 ||
        check_record(&b, offsetof(struct plan, process), &process, err) < 0 ||
        require_texts(p, err) < 0)
        return -1;
    uint32_t upper = p->flags & PLAN_HAS_UPPER ? 2 : 0;
    if (p->root_kind >= PLAN_ROOT_KINDS || p->n_lower > PLAN_LOWER_MAX ||
        (p->root_kind == PLAN_ROOT_OVERLAY && (!p->n_lower || p->n_fds < p->n_lower + upper)) ||
        p->init > p->n_fds)
        return zl_fail(err, ZL_ERR_PROTOCOL, "check plan: its layers do not fit its descriptors");
    *ret = p;
    return 0;
}

int plan_exec_check(const void *bytes, size_t n, const struct plan_exec **ret, struct zl_error *err)
{
    const struct plan_exec *x = bytes;
    struct buffer b = { bytes, (uint32_t)n };

    if (check_head(bytes, n, PLAN_EXEC_MAGIC, sizeof *x, err) < 0 ||
        check_record(&b, 0, &exec, err) < 0 ||
        check_record(&b, offsetof(struct plan_exec, process), &process, err) < 0 ||
        require_process(x, &x->process, err) < 0)
        return -1;
    if (!x->process.argv.n)
        return zl_fail(err, ZL_ERR_PROTOCOL, "check plan: no command");
    *ret = x;
    return 0;
}

int plan_update_check(const void *bytes, size_t n, const struct plan_update **ret,
                      struct zl_error *err)
{
    const struct plan_update *u = bytes;
    struct buffer b = { bytes, (uint32_t)n };

    if (check_head(bytes, n, PLAN_UPDATE_MAGIC, sizeof *u, err) < 0 ||
        check_record(&b, 0, &update, err) < 0 || require_cgroups(u, u->cgroups, false, err) < 0)
        return -1;
    *ret = u;
    return 0;
}

uint32_t plan_namespaces(const struct plan *p)
{
    const struct plan_join *j = plan_table(p, p->joins);
    uint32_t all = p->namespaces;

    for (uint32_t i = 0; i < p->joins.n; i++)
        all |= j[i].ns;
    return all;
}
