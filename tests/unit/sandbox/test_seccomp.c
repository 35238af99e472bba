// SPDX-License-Identifier: Apache-2.0
/*
 * Our compiler of seccomp profiles against libseccomp's: both programs are run by a small
 * interpreter over every number of every ABI, with arguments on both sides of every bound, and must
 * agree.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "sandbox/plan/seccomp.h"

/* ---- classic BPF, as far as seccomp filters use it ---- */

struct filter {
    struct sock_filter v[SECCOMP_INSNS_MAX];
    size_t n;
};

static uint32_t word_at(const struct seccomp_data *d, uint32_t offset)
{
    uint32_t w;

    assert_true(offset % 4 == 0 && offset + 4 <= sizeof *d);
    memcpy(&w, (const char *)d + offset, sizeof w);
    return w;
}

static bool jumps(uint16_t op, uint32_t a, uint32_t k)
{
    switch (op) {
    case BPF_JEQ:
        return a == k;
    case BPF_JGT:
        return a > k;
    case BPF_JGE:
        return a >= k;
    case BPF_JSET:
        return a & k;
    default:
        fail_msg("unknown jump %#x", op);
        return false;
    }
}

static uint32_t run(const struct filter *f, const struct seccomp_data *d, size_t *ret_steps)
{
    uint32_t a = 0;

    *ret_steps = 0;
    for (size_t i = 0; i < f->n; i++) {
        const struct sock_filter *s = &f->v[i];
        ++*ret_steps;
        switch (BPF_CLASS(s->code)) {
        case BPF_LD:
            a = word_at(d, s->k);
            break;
        case BPF_ALU:
            assert_int_equal(BPF_OP(s->code), BPF_AND);
            a &= s->k;
            break;
        case BPF_JMP:
            if (BPF_OP(s->code) == BPF_JA)
                i += s->k;
            else
                i += jumps(BPF_OP(s->code), a, s->k) ? s->jt : s->jf;
            break;
        case BPF_RET:
            return s->k;
        default:
            fail_msg("unknown instruction %#x", s->code);
        }
    }
    fail_msg("the program runs over its end");
    return 0;
}

/* ---- the oracle ---- */

static const struct {
    const char *name;
    uint32_t scmp, audit, offset;
} abis[] = {
    { "SCMP_ARCH_X86_64", SCMP_ARCH_X86_64, AUDIT_ARCH_X86_64, 0 },
    { "SCMP_ARCH_X86", SCMP_ARCH_X86, AUDIT_ARCH_I386, 0 },
    { "SCMP_ARCH_X32", SCMP_ARCH_X32, AUDIT_ARCH_X86_64, 0x40000000 },
};

static uint32_t scmp_action(int action, struct zl_opt_u64 ret)
{
    static const uint32_t plain[] = {
        [OCI_ACT_KILL_PROCESS] = SCMP_ACT_KILL_PROCESS,
        [OCI_ACT_KILL_THREAD] = SCMP_ACT_KILL_THREAD,
        [OCI_ACT_TRAP] = SCMP_ACT_TRAP,
        [OCI_ACT_ALLOW] = SCMP_ACT_ALLOW,
        [OCI_ACT_LOG] = SCMP_ACT_LOG,
        [OCI_ACT_NOTIFY] = SCMP_ACT_NOTIFY,
    };
    if (action == OCI_ACT_ERRNO)
        return SCMP_ACT_ERRNO((uint16_t)(ret.set ? ret.v : EPERM));
    if (action == OCI_ACT_TRACE)
        return SCMP_ACT_TRACE((uint16_t)(ret.set ? ret.v : EPERM));
    return plain[action];
}

static const enum scmp_compare compares[] = {
    [OCI_OP_NE] = SCMP_CMP_NE,
    [OCI_OP_LT] = SCMP_CMP_LT,
    [OCI_OP_LE] = SCMP_CMP_LE,
    [OCI_OP_EQ] = SCMP_CMP_EQ,
    [OCI_OP_GE] = SCMP_CMP_GE,
    [OCI_OP_GT] = SCMP_CMP_GT,
    [OCI_OP_MASKED_EQ] = SCMP_CMP_MASKED_EQ,
};

static void oracle_rule(scmp_filter_ctx ctx, const struct oci_seccomp_rule *r, uint32_t action)
{
    struct scmp_arg_cmp args[6];

    for (size_t i = 0; i < r->args.n; i++)
        args[i] = (struct scmp_arg_cmp){ .arg = r->args.v[i].index,
                                         .op = compares[r->args.v[i].op],
                                         .datum_a = r->args.v[i].value,
                                         .datum_b = r->args.v[i].value_two };
    for (size_t i = 0; i < r->names.n; i++) {
        int nr = seccomp_syscall_resolve_name(r->names.v[i]);
        if (nr != __NR_SCMP_ERROR)
            assert_int_equal(seccomp_rule_add_array(ctx, action, nr, (unsigned)r->args.n, args), 0);
    }
}

static void ask_oracle(const struct seccomp_profile *p, struct filter *out)
{
    uint32_t by_default = scmp_action(p->head->default_action, p->head->default_errno_ret);
    scmp_filter_ctx ctx = seccomp_init(by_default);
    int fd = memfd_create("filter", MFD_CLOEXEC);

    assert_non_null(ctx);
    for (size_t i = 0; i < p->head->architectures.n; i++)
        for (size_t a = 0; a < ZL_ARRAY_LEN(abis); a++)
            if (strcmp(abis[a].name, p->head->architectures.v[i]) == 0) {
                int rc = seccomp_arch_add(ctx, abis[a].scmp);
                assert_true(rc == 0 || rc == -EEXIST);
            }
    for (size_t i = 0; i < p->n_rules; i++) {
        uint32_t action = scmp_action(p->rules[i]->action, p->rules[i]->errno_ret);
        if (action != by_default)
            oracle_rule(ctx, p->rules[i], action);
    }
    assert_int_equal(seccomp_export_bpf(ctx, fd), 0);
    ssize_t n = pread(fd, out->v, sizeof out->v, 0);
    assert_true(n > 0 && (size_t)n % sizeof *out->v == 0);
    out->n = (size_t)n / sizeof *out->v;
    close(fd);
    seccomp_release(ctx);
}

/* ---- the comparison ---- */

/* Around every bound that the profiles here name, in both words. */
static const uint64_t values[] = {
    0,           1,           2,
    7,           8,           9,
    39,          40,          41,
    131071,      131072,      131073,
    131080,      0x7e020000,  0x7e000000,
    0x10000000,  0x20000000,  0xfffffffe,
    0xffffffff,  0x100000000, 0x100000008,
    0x7fffffff,  0x80000000,  0x500000000,
    0x4ffffffff, 0x500000001, 0xffffffffffffffff,
};

static void compare_call(const struct filter *ours, const struct filter *theirs,
                         const struct seccomp_data *d, size_t *most)
{
    size_t steps, unused;
    uint32_t mine = run(ours, d, &steps);
    uint32_t right = run(theirs, d, &unused);

    if (mine != right)
        fail_msg("arch %#x call %d args %#llx %#llx: %#x, libseccomp says %#x", d->arch, d->nr,
                 (unsigned long long)d->args[0], (unsigned long long)d->args[1], mine, right);
    if (steps > *most)
        *most = steps;
}

static void compare_arguments(const struct filter *ours, const struct filter *theirs, uint32_t arch,
                              uint32_t nr, size_t *most)
{
    for (size_t a = 0; a < ZL_ARRAY_LEN(values); a++)
        for (size_t b = 0; b < ZL_ARRAY_LEN(values); b += 4) {
            struct seccomp_data d = { .nr = (int)nr, .arch = arch };
            d.args[0] = values[a];
            d.args[1] = d.args[2] = values[b];
            compare_call(ours, theirs, &d, most);
        }
}

/* How many steps the longest way through ours takes. */
static size_t compare(const struct seccomp_profile *p, size_t *ret_n)
{
    static struct filter ours, theirs;
    struct zl_error err = { 0 };
    size_t most = 0;

    assert_int_equal(seccomp_compile(p, ours.v, &ours.n, &err), 0);
    ask_oracle(p, &theirs);
    for (size_t a = 0; a < ZL_ARRAY_LEN(abis); a++) {
        for (uint32_t nr = 0; nr < 1100; nr++)
            compare_arguments(&ours, &theirs, abis[a].audit, nr | abis[a].offset, &most);
        compare_arguments(&ours, &theirs, abis[a].audit, 0x3fffffff, &most);
        compare_arguments(&ours, &theirs, abis[a].audit, 0x7fffffff, &most);
        compare_arguments(&ours, &theirs, abis[a].audit, 0xffffffff, &most);
    }
    compare_arguments(&ours, &theirs, AUDIT_ARCH_AARCH64, 0, &most);
    *ret_n = ours.n;
    return most;
}

static void compare_default(uint64_t caps)
{
    const struct oci_seccomp_rule *rules[SECCOMP_DEFAULT_MAX];
    struct seccomp_profile p = { .rules = rules };
    size_t n;

    p.n_rules = seccomp_default(caps, &p.head, rules);
    size_t most = compare(&p, &n);
    print_message("default profile: %zu instructions, at most %zu steps\n", n, most);
    assert_in_range(n, 1, 900);
    assert_in_range(most, 1, 64); /* personality, with its five values */
}

static void the_default_profile_decides_as_libseccomp_would(void **unused)
{
    (void)unused;
    compare_default(0);
}

static void so_it_does_with_every_capability(void **unused)
{
    (void)unused;
    compare_default(~UINT64_C(0));
}

static void each_capability_opens_only_its_calls(void **unused)
{
    (void)unused;
    for (int cap = 0; cap < 41; cap += 3)
        compare_default(UINT64_C(1) << cap);
}

/* A deny-list with every action and every operator. */
static const char *names[][4] = {
    { "mount", "umount2", "no_such_call", NULL },
    { "kill", NULL },
    { "tkill", NULL },
    { "tgkill", NULL },
    { "reboot", NULL },
    { "syslog", NULL },
    { "read", NULL },
    { "write", NULL },
    { "openat", NULL },
    { "close", NULL },
    { "lseek", NULL },
    { "mmap", NULL },
    { "madvise", NULL },
    { "socket", NULL },
    { "mkdir", NULL },
    { "unlink", NULL },
};
static struct oci_seccomp_arg args[][2] = {
    { { .index = 0, .op = OCI_OP_NE, .value = 8 } },
    { { .index = 0, .op = OCI_OP_LT, .value = 0x500000000 } },
    { { .index = 0, .op = OCI_OP_LE, .value = 0x500000000 } },
    { { .index = 0, .op = OCI_OP_EQ, .value = 0x100000008 } },
    { { .index = 0, .op = OCI_OP_GE, .value = 0x500000000 } },
    { { .index = 0, .op = OCI_OP_GT, .value = 40 } },
    { { .index = 0, .op = OCI_OP_MASKED_EQ, .value = 0x10000000a, .value_two = 0x100000008 },
      { .index = 1, .op = OCI_OP_GE, .value = 40 } },
};
#define NAMES(i)                                                                                   \
    {                                                                                              \
        names[i], 1                                                                                \
    }
static struct oci_seccomp_rule deny[] = {
    { .names = { names[0], 3 }, .action = OCI_ACT_ERRNO, .errno_ret = { true, 38 } },
    { .names = NAMES(1), .action = OCI_ACT_KILL_PROCESS },
    { .names = NAMES(2), .action = OCI_ACT_KILL_THREAD },
    { .names = NAMES(3), .action = OCI_ACT_TRAP },
    { .names = NAMES(4), .action = OCI_ACT_TRACE, .errno_ret = { true, 7 } },
    { .names = NAMES(5), .action = OCI_ACT_LOG },
    { .names = NAMES(6), .action = OCI_ACT_ERRNO, .args = { args[0], 1 } },
    { .names = NAMES(7), .action = OCI_ACT_ERRNO, .args = { args[1], 1 } },
    { .names = NAMES(8), .action = OCI_ACT_ERRNO, .args = { args[2], 1 } },
    { .names = NAMES(9), .action = OCI_ACT_ERRNO, .args = { args[3], 1 } },
    { .names = NAMES(10), .action = OCI_ACT_ERRNO, .args = { args[4], 1 } },
    { .names = NAMES(11), .action = OCI_ACT_ERRNO, .args = { args[5], 1 } },
    { .names = NAMES(12), .action = OCI_ACT_ERRNO, .args = { args[6], 2 } },
    { .names = NAMES(13), .action = OCI_ACT_ERRNO },
    { .names = NAMES(14), .action = OCI_ACT_NOTIFY },
    { .names = NAMES(15), .action = OCI_ACT_NOTIFY, .args = { args[4], 1 } },
};

static void compare_deny(const char **architectures, size_t n_architectures)
{
    const struct oci_seccomp_rule *rules[ZL_ARRAY_LEN(deny)];
    struct oci_seccomp head = { .default_action = OCI_ACT_ALLOW,
                                .architectures = { architectures, n_architectures } };
    struct seccomp_profile p = { .head = &head, .rules = rules, .n_rules = ZL_ARRAY_LEN(deny) };
    size_t n;

    for (size_t i = 0; i < ZL_ARRAY_LEN(deny); i++)
        rules[i] = &deny[i];
    (void)compare(&p, &n);
}

static void every_action_and_operator_is_compiled(void **unused)
{
    const char *all[] = { "SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32" };
    (void)unused;
    compare_deny(all, 3);
}

static void architectures_that_are_not_named_are_killed(void **unused)
{
    const char *native[] = { "SCMP_ARCH_X86_64" };
    const char *two[] = { "SCMP_ARCH_X86_64", "SCMP_ARCH_X86" };
    (void)unused;
    compare_deny(native, 1);
    compare_deny(two, 2);
    compare_deny(native, 0);
}

static void the_native_architecture_is_meant_always(void **unused)
{
    const char *compat[] = { "SCMP_ARCH_X86" };
    const char *x32[] = { "SCMP_ARCH_X32" };
    (void)unused;
    compare_deny(compat, 1);
    compare_deny(x32, 1);
}

static void architectures_of_other_machines_change_nothing(void **unused)
{
    static struct filter with, without;
    const struct oci_seccomp_rule *rules[] = { &deny[0] };
    const char *foreign[] = { "SCMP_ARCH_AARCH64", "SCMP_ARCH_X86", "SCMP_ARCH_S390X" };
    const char *ours[] = { "SCMP_ARCH_X86" };
    struct oci_seccomp head = { .default_action = OCI_ACT_ALLOW, .architectures = { foreign, 3 } };
    struct seccomp_profile p = { .head = &head, .rules = rules, .n_rules = 1 };

    (void)unused;
    assert_int_equal(seccomp_compile(&p, with.v, &with.n, NULL), 0);
    head.architectures = (struct zl_strs){ ours, 1 };
    assert_int_equal(seccomp_compile(&p, without.v, &without.n, NULL), 0);
    assert_int_equal(with.n, without.n);
    assert_memory_equal(with.v, without.v, with.n * sizeof *with.v);
}

/* ---- profiles by chance ---- */

struct chance {
    uint64_t state;
};

static uint32_t below(struct chance *c, uint32_t n) /* splitmix64 */
{
    uint64_t z = c->state += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (uint32_t)((z ^ z >> 31) % n);
}

static const char *some_calls[] = {
    "access", "alarm", "brk",    "chdir",   "chmod",  "clone3", "close",    "creat",
    "dup",    "dup2",  "execve", "exit",    "fchmod", "fork",   "getdents", "getpid",
    "ioctl",  "kill",  "link",   "mkdir",   "mmap",   "mount",  "mprotect", "open",
    "openat", "pause", "pipe",   "prctl",   "ptrace", "read",   "readlink", "rename",
    "rmdir",  "setns", "statfs", "symlink", "tkill",  "umask",  "unshare",  "write",
};
enum { SOME = ZL_ARRAY_LEN(some_calls), RULES = 12 };

struct some_profile {
    struct oci_seccomp head;
    struct oci_seccomp_rule rules[RULES];
    const struct oci_seccomp_rule *list[RULES];
    struct oci_seccomp_arg args[RULES][3];
    const char *names[RULES][2], *archs[3];
};

static void some_arguments(struct chance *c, struct oci_seccomp_rule *r, struct oci_seccomp_arg *v)
{
    uint32_t first = below(c, 4);

    r->args.v = v;
    r->args.n = below(c, 4);
    for (size_t i = 0; i < r->args.n; i++)
        v[i] = (struct oci_seccomp_arg){ .index = (first + (uint32_t)i) % 3, /* each once */
                                         .op = (int)below(c, 7),
                                         .value = values[below(c, ZL_ARRAY_LEN(values))],
                                         .value_two = values[below(c, ZL_ARRAY_LEN(values))] };
    for (size_t i = 0; i < r->args.n; i++) /* libseccomp wants no bits outside of the mask */
        if (v[i].op == OCI_OP_MASKED_EQ)
            v[i].value_two &= v[i].value;
}

static void make_some(struct chance *c, struct some_profile *s)
{
    static const char *const abi_names[] = { "SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32" };
    uint32_t call = below(c, SOME);

    *s = (struct some_profile){ .head.default_action = (int)below(c, 8) };
    if (s->head.default_action == OCI_ACT_ERRNO || s->head.default_action == OCI_ACT_TRACE)
        s->head.default_errno_ret = (struct zl_opt_u64){ below(c, 2), below(c, 4096) };
    for (size_t i = 0; i < 3; i++)
        if (below(c, 2))
            s->archs[s->head.architectures.n++] = abi_names[i];
    s->head.architectures.v = s->archs;
    for (size_t i = 0; i < RULES; i++) {
        struct oci_seccomp_rule *r = &s->rules[i];
        s->list[i] = r;
        s->names[i][0] = some_calls[(call += 1 + below(c, 3)) % SOME]; /* each at most once */
        r->names = (struct zl_strs){ s->names[i], 1 };
        r->action = (int)below(c, 8);
        if (r->action == OCI_ACT_ERRNO || r->action == OCI_ACT_TRACE)
            r->errno_ret = (struct zl_opt_u64){ below(c, 2), below(c, 4096) };
        some_arguments(c, r, s->args[i]);
    }
}

static void compare_some(const struct some_profile *s)
{
    static struct filter ours, theirs;
    struct seccomp_profile p = { .head = &s->head, .rules = s->list, .n_rules = RULES };
    struct zl_error err = { 0 };
    size_t most = 0;

    assert_int_equal(seccomp_compile(&p, ours.v, &ours.n, &err), 0);
    ask_oracle(&p, &theirs);
    for (size_t a = 0; a < ZL_ARRAY_LEN(abis); a++)
        for (size_t i = 0; i < SOME; i++) {
            int nr = seccomp_syscall_resolve_name_arch(abis[a].scmp, some_calls[i]);
            if (nr >= 0)
                compare_arguments(&ours, &theirs, abis[a].audit, (uint32_t)nr, &most);
        }
}

static void profiles_by_chance_decide_as_libseccomp_would(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct chance c = { seed };
        struct some_profile s;
        make_some(&c, &s);
        compare_some(&s);
    }
}

static void two_conditions_on_one_argument_are_alternatives(void **unused)
{
    struct oci_seccomp_arg either[] = { { .index = 0, .op = OCI_OP_EQ, .value = 3 },
                                        { .index = 0, .op = OCI_OP_EQ, .value = 5 } };
    const char *one[] = { "getpid", NULL };
    struct oci_seccomp_rule rule = { .names = { one, 1 },
                                     .action = OCI_ACT_ALLOW,
                                     .args = { either, 2 } };
    const struct oci_seccomp_rule *rules[] = { &rule };
    struct oci_seccomp head = { .default_action = OCI_ACT_ERRNO };
    struct seccomp_profile p = { .head = &head, .rules = rules, .n_rules = 1 };
    static struct filter f;
    struct seccomp_data d = { .nr = 39, .arch = AUDIT_ARCH_X86_64 };
    size_t steps;

    (void)unused;
    assert_int_equal(seccomp_compile(&p, f.v, &f.n, NULL), 0);
    d.args[0] = 3;
    assert_int_equal(run(&f, &d, &steps), SECCOMP_RET_ALLOW);
    d.args[0] = 5;
    assert_int_equal(run(&f, &d, &steps), SECCOMP_RET_ALLOW);
    d.args[0] = 4;
    assert_int_equal(run(&f, &d, &steps), SECCOMP_RET_ERRNO | EPERM);
}

static void what_no_kernel_could_do_is_refused(void **unused)
{
    struct oci_seccomp_arg seventh = { .index = 6, .op = OCI_OP_EQ };
    const char *one[] = { "getpid", NULL };
    const char *archs[] = { "SCMP_ARCH_X86_64", "SCMP_ARCH_VAX", NULL };
    struct oci_seccomp_rule rule = { .names = { one, 1 }, .args = { &seventh, 1 } };
    const struct oci_seccomp_rule *rules[] = { &rule };
    struct oci_seccomp head = { .default_action = OCI_ACT_ERRNO };
    struct seccomp_profile p = { .head = &head, .rules = rules, .n_rules = 1 };
    static struct filter f;
    struct zl_error err = { 0 };

    (void)unused;
    assert_int_equal(seccomp_compile(&p, f.v, &f.n, &err), -1);
    assert_string_equal(err.msg, "linux.seccomp: a system call has 6 arguments, 0 to 5, not 6");
    rule = (struct oci_seccomp_rule){ .names = { one, 1 },
                                      .action = OCI_ACT_ALLOW,
                                      .errno_ret = { true, 1 } };
    assert_int_equal(seccomp_compile(&p, f.v, &f.n, &err), -1);
    assert_string_equal(err.msg,
                        "linux.seccomp: an errno goes with SCMP_ACT_ERRNO and SCMP_ACT_TRACE only");
    rule.errno_ret.set = false;
    head.architectures = (struct zl_strs){ archs, 2 };
    assert_int_equal(seccomp_compile(&p, f.v, &f.n, &err), -1);
    assert_string_equal(err.msg, "linux.seccomp.architectures[1]: unknown 'SCMP_ARCH_VAX'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_profile_decides_as_libseccomp_would),
        cmocka_unit_test(so_it_does_with_every_capability),
        cmocka_unit_test(each_capability_opens_only_its_calls),
        cmocka_unit_test(every_action_and_operator_is_compiled),
        cmocka_unit_test(architectures_that_are_not_named_are_killed),
        cmocka_unit_test(two_conditions_on_one_argument_are_alternatives),
        cmocka_unit_test(the_native_architecture_is_meant_always),
        cmocka_unit_test(architectures_of_other_machines_change_nothing),
        cmocka_unit_test(profiles_by_chance_decide_as_libseccomp_would),
        cmocka_unit_test(what_no_kernel_could_do_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
