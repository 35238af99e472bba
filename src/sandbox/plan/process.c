// SPDX-License-Identifier: Apache-2.0
/* The process: its command, user, capabilities and limits, as numbers. */
#include <linux/capability.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "oci/names.h"
#include "sandbox/plan/parts.h"

/* ---- capabilities ---- */

/* What we have ourselves; what we do not have we cannot give. */
static uint64_t available(void)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2] = { { 0 } };

    if (syscall(SYS_capget, &head, data) < 0)
        return ~UINT64_C(0); /* the kernel will tell what is missing */
    return (uint64_t)data[1].permitted << 32 | data[0].permitted;
}

static uint64_t capability_set(struct build *b, const struct zl_strs *names, uint64_t have)
{
    uint64_t set = 0;

    for (size_t i = 0; i < names->n; i++) {
        int cap = capability_number(names->v[i]);
        if (cap < 0)
            build_note(b, "process.capabilities: '%s' is not known: left out", names->v[i]);
        else if (!(have >> cap & 1))
            build_note(b, "process.capabilities: %s is not ours to give: left out", names->v[i]);
        else
            set |= UINT64_C(1) << cap;
    }
    return set;
}

static void set_capabilities(struct build *b, const struct oci_capabilities *from, uint64_t *caps)
{
    uint64_t have = has_user_ns(b) ? ~UINT64_C(0) : available(); /* its root has all, in it */

    if (!from)
        return; /* none */
    caps[PLAN_CAP_BOUNDING] = capability_set(b, &from->bounding, have);
    caps[PLAN_CAP_PERMITTED] = capability_set(b, &from->permitted, have);
    caps[PLAN_CAP_EFFECTIVE] = capability_set(b, &from->effective, have) & caps[PLAN_CAP_PERMITTED];
    caps[PLAN_CAP_INHERITABLE] = capability_set(b, &from->inheritable, have);
    /* capabilities(7): ambient ones must be permitted and inheritable */
    caps[PLAN_CAP_AMBIENT] = capability_set(b, &from->ambient, have) & caps[PLAN_CAP_PERMITTED] &
                             caps[PLAN_CAP_INHERITABLE];
}

/* ---- limits ---- */

static int set_rlimits(struct build *b, const struct oci_process *x, struct plan_process *p)
{
    zl_autobuf struct zl_buf rows = ZL_BUF(PLAN_MAX);

    for (size_t i = 0; i < x->rlimits.n; i++) {
        const struct oci_rlimit *l = &x->rlimits.v[i];
        struct plan_rlimit row = { .soft = l->soft, .hard = l->hard };
        int resource = rlimit_number(l->type);
        if (resource < 0)
            return zl_fail(b->err, ZL_ERR_INVALID, "process.rlimits[%zu].type: unknown '%s'", i,
                           l->type);
        for (size_t j = 0; j < i; j++) /* runtime-spec, config.md, "rlimits": MUST error */
            if (strcmp(x->rlimits.v[j].type, l->type) == 0)
                return zl_fail(b->err, ZL_ERR_INVALID, "process.rlimits[%zu].type: '%s' again", i,
                               l->type);
        row.resource = (uint32_t)resource;
        zl_buf_add(&rows, &row, sizeof row);
    }
    p->rlimits = writer_rows(&b->w, &rows, sizeof(struct plan_rlimit));
    return 0;
}

/* ---- the rest ---- */

static int refuse_unsupported(struct build *b, const struct oci_process *x)
{
    if (x->oom_score_adj.set && (x->oom_score_adj.v < -1000 || x->oom_score_adj.v > 1000))
        return zl_fail(b->err, ZL_ERR_INVALID, "process.oomScoreAdj: %lld is not in -1000 … 1000",
                       (long long)x->oom_score_adj.v);
    return 0;
}

/* As crun has it, for podman's --group-add keep-groups. */
static bool keeps_groups(const struct build *b)
{
    const struct zl_pairs *a = &b->config->annotations;

    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->v[i].key, "run.oci.keep_original_groups") == 0)
            return strcmp(a->v[i].value, "1") == 0 || strcmp(a->v[i].value, "true") == 0;
    return false;
}

static uint32_t process_flags(const struct build *b, const struct oci_process *x)
{
    return (keeps_groups(b) ? PLAN_KEEP_GROUPS : 0u) |
           (x->no_new_privileges ? PLAN_NO_NEW_PRIVS : 0u) | (x->terminal ? PLAN_TERMINAL : 0u) |
           (x->oom_score_adj.set ? PLAN_HAS_OOM_ADJ : 0u) |
           (x->user.umask.set ? PLAN_HAS_UMASK : 0u) | (has_user_ns(b) ? PLAN_USER_NS : 0u) |
           (has_fixed_groups(b) ? PLAN_NO_SETGROUPS : 0u);
}

/* runc's name for it, so that one container has one whoever looks for it. */
static plan_str keyring(struct build *b)
{
    return b->options->no_new_keyring ? 0 : writer_textf(&b->w, "_ses.%s", b->options->id);
}

static int environment(struct build *b, const struct oci_process *x, struct plan_tab *ret)
{
    zl_autobuf struct zl_buf rows = ZL_BUF(PLAN_MAX);
    plan_str home = 0;

    if (!b->options->no_home && build_home(b, x, &home) < 0)
        return -1;
    for (size_t i = 0; i < x->env.n; i++) {
        plan_str s = writer_text(&b->w, x->env.v[i]);
        zl_buf_add(&rows, &s, sizeof s);
    }
    if (home)
        zl_buf_add(&rows, &home, sizeof home);
    *ret = writer_rows(&b->w, &rows, sizeof(plan_str));
    return 0;
}

static int check_ids(struct build *b, const struct oci_process *x)
{
    const struct oci_linux *l = &b->config->linux_;

    if (!is_mapped(b, &l->uid_mappings, x->user.uid))
        return zl_fail(b->err, ZL_ERR_INVALID,
                       "process.user.uid: %u is not among linux.uidMappings", x->user.uid);
    if (!is_mapped(b, &l->gid_mappings, x->user.gid))
        return zl_fail(b->err, ZL_ERR_INVALID,
                       "process.user.gid: %u is not among linux.gidMappings", x->user.gid);
    for (size_t i = 0; i < x->user.additional_gids.n; i++)
        if (!is_mapped(b, &l->gid_mappings, x->user.additional_gids.v[i]))
            return zl_fail(b->err, ZL_ERR_INVALID,
                           "process.user.additionalGids[%zu]: %u is not among linux.gidMappings", i,
                           x->user.additional_gids.v[i]);
    return 0;
}

int build_process(struct build *b, const struct oci_process *x, struct plan_process *p)
{
    if (refuse_unsupported(b, x) < 0)
        return -1;
    p->flags = process_flags(b, x);
    if (check_ids(b, x) < 0)
        return -1;
    if (p->flags & PLAN_NO_SETGROUPS && x->user.additional_gids.n)
        return zl_fail(b->err, ZL_ERR_UNSUPPORTED,
                       "process.user.additionalGids: a user namespace of one group cannot have "
                       "others: map more of /etc/subgid");
    p->uid = x->user.uid;
    p->gid = x->user.gid;
    p->umask = (uint32_t)(x->user.umask.v & 0777);
    p->oom_score_adj = (int32_t)x->oom_score_adj.v;
    p->rows = (uint16_t)x->console_size.height;
    p->cols = (uint16_t)x->console_size.width;
    p->cwd = writer_text(&b->w, x->cwd);
    p->argv = writer_texts(&b->w, x->args.v, x->args.n);
    p->command = writer_text(&b->w, b->options->command);
    p->keyring = keyring(b);
    if (environment(b, x, &p->env) < 0)
        return -1;
    p->groups =
        writer_table(&b->w, x->user.additional_gids.v, x->user.additional_gids.n, sizeof(uint32_t));
    set_capabilities(b, x->capabilities, p->caps);
    return build_labels(b, x, p) < 0 || set_rlimits(b, x, p) < 0 || build_scheduling(b, x, p) < 0
               ? -1
               : build_seccomp(b, p);
}
