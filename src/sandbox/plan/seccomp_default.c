// SPDX-License-Identifier: Apache-2.0
/* The default profile, which is data (seccomp-default.json), and what a plan takes of it. */
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <string.h>

#include "sandbox/plan/cache.h"
#include "sandbox/plan/parts.h"
#include "sandbox/plan/seccomp.h"

struct profile_rule {
    struct oci_seccomp_rule rule;
    uint64_t with, without; /* bounding capabilities */
};
#include "seccomp_profile.h"

_Static_assert(ZL_ARRAY_LEN(profile_rules) <= SECCOMP_DEFAULT_MAX, "raise SECCOMP_DEFAULT_MAX");

static const char *all_abis[] = {
#if defined(__x86_64__)
    "SCMP_ARCH_X86_64",
    "SCMP_ARCH_X86",
    "SCMP_ARCH_X32",
#elif defined(__aarch64__)
    "SCMP_ARCH_AARCH64",
    "SCMP_ARCH_ARM",
#endif
};

static const struct oci_seccomp profile_head = {
    .default_action = PROFILE_ACTION,
    .default_errno_ret = { true, PROFILE_ERRNO },
    .architectures = { all_abis, ZL_ARRAY_LEN(all_abis) },
};

size_t seccomp_default(uint64_t caps, const struct oci_seccomp **head,
                       const struct oci_seccomp_rule *out[SECCOMP_DEFAULT_MAX])
{
    size_t n = 0;

    *head = &profile_head;
    for (size_t i = 0; i < ZL_ARRAY_LEN(profile_rules); i++)
        if ((profile_rules[i].with & ~caps) == 0 && (profile_rules[i].without & caps) == 0)
            out[n++] = &profile_rules[i].rule;
    return n;
}

/* ---- for a plan ---- */

static const struct {
    const char *name;
    uint32_t bit;
} filter_flags[] = {
    { "SECCOMP_FILTER_FLAG_TSYNC", 0 }, /* there is one thread */
    { "SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG },
    { "SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW },
    { "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV },
};

const char *seccomp_flag_name(size_t n)
{
    return n < ZL_ARRAY_LEN(filter_flags) ? filter_flags[n].name : NULL;
}

static int read_flags(struct build *b, const struct oci_seccomp *s, uint32_t *ret)
{
    for (size_t i = 0; i < s->flags.n; i++) {
        size_t f = 0;
        while (f < ZL_ARRAY_LEN(filter_flags) && strcmp(filter_flags[f].name, s->flags.v[i]) != 0)
            f++;
        if (f == ZL_ARRAY_LEN(filter_flags))
            return zl_fail(b->err, ZL_ERR_UNSUPPORTED, "linux.seccomp.flags[%zu]: '%s'", i,
                           s->flags.v[i]);
        *ret |= filter_flags[f].bit;
    }
    return 0;
}

/* caps: what the default profile depends on; NULL: it is another. */
static int compile(struct build *b, const struct seccomp_profile *profile, const uint64_t *caps,
                   struct plan_process *p)
{
    zl_autofree struct sock_filter *program = malloc(SECCOMP_INSNS_MAX * sizeof *program);
    size_t n;

    if (!program)
        return zl_fail_errno(b->err, "compile a seccomp profile");
    if (seccomp_compile(profile, program, &n, b->err) < 0)
        return -1;
    p->seccomp = writer_table(&b->w, program, n, sizeof *program);
    if (caps)
        plan_cache_keep_filter(b->options->cache, *caps, program, n);
    return 0;
}

static int build_default(struct build *b, uint64_t caps, struct plan_process *p)
{
    const struct oci_seccomp_rule *rules[SECCOMP_DEFAULT_MAX];
    struct seccomp_profile profile = { .rules = rules };
    size_t n;
    const struct sock_filter *known = plan_cache_filter(b->options->cache, caps, &n);

    if (known) {
        p->seccomp = writer_table(&b->w, known, n, sizeof *known);
        return 0;
    }
    profile.n_rules = seccomp_default(caps, &profile.head, rules);
    return compile(b, &profile, &caps, p);
}

static bool notifies(const struct oci_seccomp *s)
{
    for (size_t i = 0; i < s->syscalls.n; i++)
        if (s->syscalls.v[i].action == OCI_ACT_NOTIFY)
            return true;
    return s->default_action == OCI_ACT_NOTIFY;
}

/* config-linux.md, "Seccomp", listenerPath: of use with SCMP_ACT_NOTIFY only. */
static int plan_listener(struct build *b, const struct oci_seccomp *s, struct plan_process *p)
{
    bool path = s->listener_path && s->listener_path[0];

    if (s->listener_metadata && s->listener_metadata[0] && !path)
        return zl_fail(b->err, ZL_ERR_INVALID,
                       "linux.seccomp.listenerMetadata: there is no listenerPath");
    if (!notifies(s)) { /* the kernel takes this flag with a listener only */
        p->seccomp_flags &= ~(uint32_t)SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
        return 0;
    }
    if (!path)
        return zl_fail(b->err, ZL_ERR_INVALID,
                       "linux.seccomp: SCMP_ACT_NOTIFY: listenerPath must tell who is asked");
    p->seccomp_flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
    p->flags |= PLAN_SECCOMP_LISTENER;
    return 0;
}

/* `unconfined`, as a document says it: no program is faster than one that says yes. */
static bool allows_everything(const struct oci_seccomp *s)
{
    return s->default_action == OCI_ACT_ALLOW && !s->syscalls.n && !s->architectures.n;
}

int build_seccomp(struct build *b, struct plan_process *p)
{
    const struct oci_seccomp *s = b->config->linux_.seccomp;

    if (!s && b->options->seccomp == PLAN_SECCOMP_DEFAULT)
        return build_default(b, p->caps[PLAN_CAP_BOUNDING], p);
    if (!s || allows_everything(s))
        return 0;
    if (read_flags(b, s, &p->seccomp_flags) < 0 || plan_listener(b, s, p) < 0)
        return -1;
    zl_autofree const struct oci_seccomp_rule **all = calloc(s->syscalls.n + 1, sizeof(void *));
    if (!all)
        return zl_fail_errno(b->err, "compile a seccomp profile");
    for (size_t i = 0; i < s->syscalls.n; i++)
        all[i] = &s->syscalls.v[i];
    const struct seccomp_profile profile = { .head = s, .rules = all, .n_rules = s->syscalls.n };
    return compile(b, &profile, NULL, p);
}
