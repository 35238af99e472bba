// SPDX-License-Identifier: Apache-2.0
/*
 * User and time namespaces. A new user namespace gets its maps from outside: by ourselves when we
 * may set any id; else our own id alone may be mapped (then the groups stay as they are), and
 * newuidmap(1) and newgidmap(1) map what /etc/subuid and /etc/subgid grant.
 */
#include <linux/capability.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/kernel.h"
#include "sandbox/plan/parts.h"

enum { MAPS_MAX = 340 /* user_namespaces(7) */ };

static bool may_set_ids(void)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2] = { { 0 } };
    uint32_t need = 1u << CAP_SETUID | 1u << CAP_SETGID;

    if (syscall(SYS_capget, &head, data) < 0)
        return true; /* the kernel will tell what is missing */
    return (data[0].effective & need) == need;
}

bool has_user_ns(const struct build *b)
{
    for (size_t i = 0; i < b->config->linux_.namespaces.n; i++)
        if (b->config->linux_.namespaces.v[i].type == OCI_NS_USER)
            return true;
    return false;
}

/* The one map that everybody may write: of a single id to one's own. */
static bool is_own(const struct oci_id_mappings *m, uint32_t id)
{
    return m->n == 1 && m->v[0].size == 1 && m->v[0].host == id;
}

bool has_fixed_groups(const struct build *b)
{
    return has_user_ns(b) && is_own(&b->config->linux_.gid_mappings, getegid()) && !may_set_ids();
}

struct plan_tab build_id_maps(struct build *b, const struct oci_id_mappings *from)
{
    zl_autobuf struct zl_buf rows = ZL_BUF(PLAN_MAX);

    for (size_t i = 0; i < from->n; i++) {
        struct plan_id_map m = { from->v[i].container, from->v[i].host, from->v[i].size };
        zl_buf_add(&rows, &m, sizeof m);
    }
    return writer_rows(&b->w, &rows, sizeof(struct plan_id_map));
}

bool map_id(const struct build *b, const struct oci_id_mappings *m, uint32_t id, uint32_t *ret)
{
    if (!has_user_ns(b)) {
        *ret = id;
        return true;
    }
    for (size_t i = 0; i < m->n; i++)
        if (id >= m->v[i].container && id - m->v[i].container < m->v[i].size) {
            *ret = m->v[i].host + (id - m->v[i].container);
            return true;
        }
    return false;
}

bool is_mapped(const struct build *b, const struct oci_id_mappings *m, uint32_t id)
{
    uint32_t unused;

    return !m->n || map_id(b, m, id, &unused); /* a joined one: the kernel will tell */
}

static bool maps_root(const struct oci_id_mappings *m)
{
    for (size_t i = 0; i < m->n; i++)
        if (m->v[i].container == 0 && m->v[i].size)
            return true;
    return false;
}

static int check_maps(struct build *b, const char *name, const struct oci_id_mappings *m)
{
    if (!m->n)
        return zl_fail(b->err, ZL_ERR_INVALID, "linux.%s: a new user namespace needs them", name);
    if (m->n > MAPS_MAX)
        return zl_fail(b->err, ZL_ERR_INVALID, "linux.%s: Linux takes at most %d", name, MAPS_MAX);
    if (!maps_root(m)) /* who makes the container's mounts is its root */
        return zl_fail(b->err, ZL_ERR_UNSUPPORTED, "linux.%s: container id 0 must be mapped", name);
    return 0;
}

/* Every kind of namespace is its owner's, who is root of a user namespace. */
static int check_rights(struct build *b, const struct plan *p)
{
    bool any = p->namespaces || p->joins.n;

    if (b->options->rootless && geteuid() != 0 && any && !has_user_ns(b))
        return zl_fail(b->err, ZL_ERR_CONFIGURATION,
                       "linux.namespaces: user %u needs a user namespace among them (see "
                       "zlayer-oci spec --rootless)",
                       geteuid());
    return 0;
}

int build_users(struct build *b, struct plan *p)
{
    const struct oci_linux *l = &b->config->linux_;

    if (check_rights(b, p) < 0)
        return -1;

    if (!has_user_ns(b))
        return l->uid_mappings.n || l->gid_mappings.n
                   ? zl_fail(b->err, ZL_ERR_INVALID,
                             "linux.uidMappings, linux.gidMappings: need a user namespace")
                   : 0;
    if (!(p->namespaces & CLONE_NEWUSER)) {
        if (l->uid_mappings.n || l->gid_mappings.n)
            build_note(b, "linux.uidMappings, linux.gidMappings: the namespace that is joined has "
                          "its own: left out");
        return 0;
    }
    if (check_maps(b, "uidMappings", &l->uid_mappings) < 0 ||
        check_maps(b, "gidMappings", &l->gid_mappings) < 0)
        return -1;
    p->uid_map = build_id_maps(b, &l->uid_mappings);
    p->gid_map = build_id_maps(b, &l->gid_mappings);
    if (!may_set_ids() &&
        !(is_own(&l->uid_mappings, geteuid()) && is_own(&l->gid_mappings, getegid())))
        p->flags |= PLAN_MAP_BY_HELPER;
    return 0;
}

int build_time(struct build *b, struct plan *p)
{
    zl_autobuf struct zl_buf text = ZL_BUF(512);

    for (size_t i = 0; i < b->config->linux_.time_offsets.n; i++) {
        const struct oci_time_offset *o = &b->config->linux_.time_offsets.v[i];
        if (strcmp(o->clock, "monotonic") != 0 && strcmp(o->clock, "boottime") != 0)
            return zl_fail(b->err, ZL_ERR_INVALID,
                           "linux.timeOffsets: expected monotonic or boottime, found '%s'",
                           o->clock);
        if (o->nanosecs >= 1000000000)
            return zl_fail(b->err, ZL_ERR_INVALID,
                           "linux.timeOffsets.%s.nanosecs: %u is a second or more", o->clock,
                           o->nanosecs);
        zl_buf_addf(&text, "%s %lld %u\n", o->clock, (long long)o->secs, o->nanosecs);
    }
    if (!text.len)
        return 0;
    if (!(p->namespaces & CLONE_NEWTIME))
        return zl_fail(b->err, ZL_ERR_INVALID, "linux.timeOffsets: need a new time namespace");
    p->time_offsets = writer_text(&b->w, text.data);
    return zl_buf_check(&text, "linux.timeOffsets", b->err);
}
