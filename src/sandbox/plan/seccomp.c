// SPDX-License-Identifier: Apache-2.0
/*
 * The program is written from its end to its begin: jumps of classic BPF only go forwards, so
 * whatever is jumped to is there already and its distance is known. Conditional jumps reach 255
 * instructions; where that is not enough, an unconditional one is put between.
 */
#include "sandbox/plan/seccomp.h"

#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>

struct seccomp_abi {
    const char *name;
    uint32_t audit, offset; /* offset: x32's numbers have this bit */
};
#include "seccomp_syscalls.h"

enum { CALLS = 1024, VERDICTS = 1024, CHAIN_MAX = 512, X32_BIT = 0x40000000 };

#ifndef SECCOMP_RET_KILL_PROCESS
#define SECCOMP_RET_KILL_PROCESS 0x80000000U
#endif
#define BAD_ARCH_ACTION SECCOMP_RET_KILL_THREAD /* as libseccomp answers */

/* ---- the program under construction ---- */

struct program {
    struct sock_filter *v; /* SECCOMP_INSNS_MAX; filled from the end */
    size_t first;          /* the earliest instruction there is */
    bool full;
    struct {
        uint32_t action;
        size_t at;
    } returns[16]; /* the latest place of an action's return */
    size_t n_returns;
};

static size_t put(struct program *p, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
    if (!p->first) {
        p->full = true;
        return 0;
    }
    p->v[--p->first] = (struct sock_filter){ .code = code, .jt = jt, .jf = jf, .k = k };
    return p->first;
}

/* What an instruction at p->first - 1 - extra would have to skip. */
static size_t distance(const struct program *p, size_t to, size_t extra)
{
    return to - p->first + extra;
}

/* `to`, or a jump to it that is near. `extra`: instructions that will come between. */
static size_t near_to(struct program *p, size_t to, size_t extra)
{
    if (distance(p, to, extra) <= 255)
        return to;
    return put(p, BPF_JMP | BPF_JA, (uint32_t)distance(p, to, 0), 0, 0);
}

/* if (A <op> k) goto yes; else goto no */
static size_t branch(struct program *p, uint16_t op, uint32_t k, size_t yes, size_t no)
{
    yes = near_to(p, yes, 1); /* a jump for `no` may come between */
    no = near_to(p, no, 0);
    return put(p, BPF_JMP | op | BPF_K, k, (uint8_t)distance(p, yes, 0),
               (uint8_t)distance(p, no, 0));
}

static size_t load(struct program *p, size_t offset)
{
    return put(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static size_t give(struct program *p, uint32_t action)
{
    size_t i = 0;

    while (i < p->n_returns && p->returns[i].action != action)
        i++;
    if (i < p->n_returns && distance(p, p->returns[i].at, 4) <= 255)
        return p->returns[i].at;
    size_t at = put(p, BPF_RET | BPF_K, action, 0, 0);
    if (i == p->n_returns && i < ZL_ARRAY_LEN(p->returns))
        p->returns[p->n_returns++].action = action;
    if (i < p->n_returns)
        p->returns[i].at = at;
    return at;
}

/* ---- conditions ---- */

static size_t word(const struct oci_seccomp_arg *a, bool high)
{
    bool little = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
    return offsetof(struct seccomp_data, args) + a->index * sizeof(uint64_t) +
           (high == little ? sizeof(uint32_t) : 0);
}

static size_t masked(struct program *p, const struct oci_seccomp_arg *a, bool high, size_t yes,
                     size_t no)
{
    int shift = high ? 32 : 0;

    branch(p, BPF_JEQ, (uint32_t)(a->value_two >> shift), yes, no);
    put(p, BPF_ALU | BPF_AND | BPF_K, (uint32_t)(a->value >> shift), 0, 0);
    return load(p, word(a, high));
}

/* a > value (or >=): the high word decides unless it is equal */
static size_t greater(struct program *p, const struct oci_seccomp_arg *a, bool wide, uint16_t op,
                      size_t yes, size_t no)
{
    uint32_t high = (uint32_t)(a->value >> 32);

    branch(p, op, (uint32_t)a->value, yes, no);
    size_t low = load(p, word(a, false));
    if (!wide)
        return low;
    size_t equal = branch(p, BPF_JEQ, high, low, no);
    branch(p, BPF_JGT, high, yes, equal);
    return load(p, word(a, true));
}

static size_t equals(struct program *p, const struct oci_seccomp_arg *a, bool wide, size_t yes,
                     size_t no)
{
    branch(p, BPF_JEQ, (uint32_t)a->value, yes, no);
    size_t low = load(p, word(a, false));
    if (!wide)
        return low;
    branch(p, BPF_JEQ, (uint32_t)(a->value >> 32), low, no);
    return load(p, word(a, true));
}

/* One condition; where it begins. ABIs of 32 bits compare the low word only. */
static size_t condition(struct program *p, const struct oci_seccomp_arg *a, bool wide, size_t yes,
                        size_t no)
{
    switch ((enum oci_seccomp_op)a->op) {
    case OCI_OP_EQ:
        return equals(p, a, wide, yes, no);
    case OCI_OP_NE:
        return equals(p, a, wide, no, yes);
    case OCI_OP_GT:
        return greater(p, a, wide, BPF_JGT, yes, no);
    case OCI_OP_LE:
        return greater(p, a, wide, BPF_JGT, no, yes);
    case OCI_OP_GE:
        return greater(p, a, wide, BPF_JGE, yes, no);
    case OCI_OP_LT:
        return greater(p, a, wide, BPF_JGE, no, yes);
    case OCI_OP_MASKED_EQ:
        break;
    }
    size_t low = masked(p, a, false, yes, no);
    return wide ? masked(p, a, true, low, no) : low;
}

/* ---- what becomes of each call ---- */

struct conditional { /* one rule with conditions, of one call */
    const struct oci_seccomp_rule *rule;
    uint32_t action;
    struct oci_seccomp_arg args[6];
    size_t n_args;
    uint16_t next; /* index + 1 of the next for the same call; 0: none */
};

struct verdict {
    uint32_t action;           /* when no condition holds */
    uint16_t chain, chain_end; /* index + 1 of the first and last conditional; 0: none */
    bool decided;              /* a rule without conditions was given */
};

struct mux;
struct use {                       /* one name of one rule, looked up once for all ABIs */
    const struct seccomp_row *row; /* NULL: nobody knows the name */
    const struct mux *mux;         /* NULL: it is reached directly only */
    const struct oci_seccomp_rule *rule;
    uint32_t action;
};

struct compiler {
    const struct seccomp_profile *profile;
    struct use *uses;
    size_t n_uses;
    struct zl_error *err;
    uint32_t default_action;
    struct program p;
    struct verdict calls[CALLS]; /* of the ABI in hand */
    struct conditional chain[CHAIN_MAX];
    size_t n_chain;
};

static const uint32_t action_bits[] = {
    [OCI_ACT_KILL_PROCESS] = SECCOMP_RET_KILL_PROCESS,
    [OCI_ACT_KILL_THREAD] = SECCOMP_RET_KILL_THREAD,
    [OCI_ACT_TRAP] = SECCOMP_RET_TRAP,
    [OCI_ACT_ERRNO] = SECCOMP_RET_ERRNO,
    [OCI_ACT_TRACE] = SECCOMP_RET_TRACE,
    [OCI_ACT_ALLOW] = SECCOMP_RET_ALLOW,
    [OCI_ACT_LOG] = SECCOMP_RET_LOG,
    [OCI_ACT_NOTIFY] = SECCOMP_RET_USER_NOTIF,
};

static int action(struct compiler *c, int act, struct zl_opt_u64 ret, uint32_t *out)
{
    uint32_t low = 0;

    if (act == OCI_ACT_ERRNO || act == OCI_ACT_TRACE)
        low = ret.set ? (uint32_t)ret.v & SECCOMP_RET_DATA : 1 /* EPERM */;
    else if (ret.set) /* runtime-spec, config-linux.md, "Seccomp": MUST fail */
        return zl_fail(c->err, ZL_ERR_INVALID,
                       "linux.seccomp: an errno goes with SCMP_ACT_ERRNO and SCMP_ACT_TRACE only");
    *out = action_bits[act] | low;
    return 0;
}

static const struct seccomp_row *find_row(const char *name)
{
    size_t low = 0, high = ZL_ARRAY_LEN(rows);

    while (low < high) {
        size_t mid = (low + high) / 2;
        int order = strcmp(name, rows[mid].name);
        if (order == 0)
            return &rows[mid];
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

/* Profiles list names in order: most are the one after the last, or soon behind it. */
static const struct seccomp_row *find_row_from(size_t *at, const char *name)
{
    enum { NEAR = 3 };
    const struct seccomp_row *found = NULL;

    for (size_t i = *at; !found && i < ZL_ARRAY_LEN(rows) && i < *at + NEAR; i++)
        if (strcmp(rows[i].name, name) == 0)
            found = &rows[i];
    if (!found)
        found = find_row(name);
    if (found)
        *at = (size_t)(found - rows) + 1;
    return found;
}

static int add_conditional(struct compiler *c, struct verdict *v, const struct conditional *row)
{
    if (c->n_chain == CHAIN_MAX)
        return zl_fail(c->err, ZL_ERR_UNSUPPORTED,
                       "linux.seccomp: more than %d rules with conditions", CHAIN_MAX);
    c->chain[c->n_chain++] = *row;
    if (v->chain)
        c->chain[v->chain_end - 1].next = (uint16_t)c->n_chain;
    else
        v->chain = (uint16_t)c->n_chain;
    v->chain_end = (uint16_t)c->n_chain;
    return 0;
}

static bool repeats_an_argument(const struct oci_seccomp_rule *r)
{
    unsigned seen = 0;

    for (size_t i = 0; i < r->args.n; i++) {
        if (seen >> r->args.v[i].index & 1)
            return true;
        seen |= 1u << r->args.v[i].index;
    }
    return false;
}

static int add_rule(struct compiler *c, struct verdict *v, const struct oci_seccomp_rule *r,
                    uint32_t act)
{
    struct conditional row = { .rule = r, .action = act };

    if (!r->args.n) {
        if (!v->decided)
            v->action = act;
        v->decided = true;
        return 0;
    }
    if (!repeats_an_argument(r)) {
        memcpy(row.args, r->args.v, r->args.n * sizeof *r->args.v);
        row.n_args = r->args.n;
        return add_conditional(c, v, &row);
    }
    row.n_args = 1;
    for (size_t i = 0; i < r->args.n; i++) {
        row.args[0] = r->args.v[i];
        if (add_conditional(c, v, &row) < 0)
            return -1;
    }
    return 0;
}

/* 32-bit x86 reaches these through one call too, whose first argument tells which is meant. Sorted.
 */
static const struct mux {
    const char *name, *through;
    uint8_t number;
} multiplexed[] = {
    { "accept", "socketcall", 5 },
    { "accept4", "socketcall", 18 },
    { "bind", "socketcall", 2 },
    { "connect", "socketcall", 3 },
    { "getpeername", "socketcall", 7 },
    { "getsockname", "socketcall", 6 },
    { "getsockopt", "socketcall", 15 },
    { "listen", "socketcall", 4 },
    { "msgctl", "ipc", 14 },
    { "msgget", "ipc", 13 },
    { "msgrcv", "ipc", 12 },
    { "msgsnd", "ipc", 11 },
    { "recv", "socketcall", 10 },
    { "recvfrom", "socketcall", 12 },
    { "recvmmsg", "socketcall", 19 },
    { "recvmsg", "socketcall", 17 },
    { "semctl", "ipc", 3 },
    { "semget", "ipc", 2 },
    { "semop", "ipc", 1 },
    { "semtimedop", "ipc", 4 },
    { "send", "socketcall", 9 },
    { "sendmmsg", "socketcall", 20 },
    { "sendmsg", "socketcall", 16 },
    { "sendto", "socketcall", 11 },
    { "setsockopt", "socketcall", 14 },
    { "shmat", "ipc", 21 },
    { "shmctl", "ipc", 24 },
    { "shmdt", "ipc", 22 },
    { "shmget", "ipc", 23 },
    { "shutdown", "socketcall", 13 },
    { "socket", "socketcall", 1 },
    { "socketpair", "socketcall", 8 },
};

static int compare_mux(const void *name, const void *row)
{
    return strcmp(name, ((const struct mux *)row)->name);
}

static const struct mux *find_mux(const char *name)
{
    if (!strchr("abcglmrs", name[0])) /* as all of them begin */
        return NULL;
    return bsearch(name, multiplexed, ZL_ARRAY_LEN(multiplexed), sizeof *multiplexed, compare_mux);
}

static int check_rule(struct compiler *c, const struct oci_seccomp_rule *r)
{
    for (size_t i = 0; i < r->args.n; i++)
        if (r->args.v[i].index > 5 || r->args.n > 6)
            return zl_fail(c->err, ZL_ERR_INVALID,
                           "linux.seccomp: a system call has 6 arguments, 0 to 5, not %u",
                           r->args.v[i].index);
    return 0;
}

static size_t count_names(const struct seccomp_profile *p)
{
    size_t n = 0;

    for (size_t i = 0; i < p->n_rules; i++)
        n += p->rules[i]->names.n;
    return n;
}

/* All names of all rules, in order. c->uses is the caller's to free. */
static int look_up(struct compiler *c)
{
    const struct seccomp_profile *p = c->profile;
    size_t at = 0;

    c->uses = calloc(count_names(p) + 1, sizeof *c->uses);
    if (!c->uses)
        return zl_fail_errno(c->err, "compile a seccomp profile");
    for (size_t i = 0; i < p->n_rules; i++) {
        const struct oci_seccomp_rule *r = p->rules[i];
        uint32_t act = 0;
        if (check_rule(c, r) < 0 || action(c, r->action, r->errno_ret, &act) < 0)
            return -1;
        for (size_t n = 0; n < r->names.n; n++)
            c->uses[c->n_uses++] = (struct use){
                .row = find_row_from(&at, r->names.v[n]),
                .mux = find_mux(r->names.v[n]),
                .rule = r,
                .action = act,
            };
    }
    return 0;
}

static int add_multiplexed(struct compiler *c, size_t abi, const struct use *u)
{
    const struct seccomp_row *through = find_row(u->mux->through);
    const struct oci_seccomp_rule *r = u->rule;
    struct conditional row = { .rule = r, .action = u->action, .n_args = 1 };

    if (!through || through->number[abi] < 0)
        return 0;
    row.args[0] = (struct oci_seccomp_arg){ .op = OCI_OP_EQ, .value = u->mux->number };
    for (size_t a = 0; a < r->args.n && row.n_args < 6; a++)
        if (r->args.v[a].index != 0)
            row.args[row.n_args++] = r->args.v[a];
    return add_conditional(c, &c->calls[through->number[abi]], &row);
}

static int gather(struct compiler *c, size_t abi)
{
    bool muxes = abis[abi].audit == 0x40000003; /* AUDIT_ARCH_I386 */

    c->n_chain = 0;
    for (size_t i = 0; i < CALLS; i++)
        c->calls[i] = (struct verdict){ .action = c->default_action };
    for (size_t i = 0; i < c->n_uses; i++) {
        const struct use *u = &c->uses[i];
        if (u->row && u->row->number[abi] >= 0 &&
            add_rule(c, &c->calls[u->row->number[abi]], u->rule, u->action) < 0)
            return -1;
        if (muxes && u->mux && add_multiplexed(c, abi, u) < 0)
            return -1;
    }
    return 0;
}

/* ---- the search ---- */

/* All conditions of one rule, the last of them first. */
static size_t all_of(struct compiler *c, const struct conditional *row, bool wide, size_t yes,
                     size_t no)
{
    for (size_t i = row->n_args; i > 0; i--)
        yes = condition(&c->p, &row->args[i - 1], wide, yes, no);
    return yes;
}

static size_t chain_from(struct compiler *c, uint16_t link, bool wide, size_t otherwise)
{
    const struct conditional *row = &c->chain[link - 1];
    size_t no = row->next ? chain_from(c, row->next, wide, otherwise) : otherwise;

    return all_of(c, row, wide, give(&c->p, row->action), no);
}

static size_t leaf(struct compiler *c, const struct verdict *v, bool wide)
{
    size_t otherwise = give(&c->p, v->action);
    return v->chain ? chain_from(c, v->chain, wide, otherwise) : otherwise;
}

struct range {
    uint32_t from; /* to the next one's */
    const struct verdict *verdict;
};

static bool same(const struct verdict *a, const struct verdict *b)
{
    return !a->chain && !b->chain && a->action == b->action;
}

static size_t find_ranges(struct compiler *c, struct range *out)
{
    size_t n = 0;

    for (uint32_t i = 0; i < CALLS; i++)
        if (!n || !same(out[n - 1].verdict, &c->calls[i]))
            out[n++] = (struct range){ .from = i, .verdict = &c->calls[i] };
    return n;
}

static size_t search(struct compiler *c, const struct range *v, size_t n, uint32_t offset,
                     bool wide)
{
    if (n == 1)
        return leaf(c, v->verdict, wide);
    size_t right = search(c, v + n / 2, n - n / 2, offset, wide);
    size_t left = search(c, v, n / 2, offset, wide);
    return branch(&c->p, BPF_JGE, v[n / 2].from | offset, right, left);
}

static int compile_abi(struct compiler *c, size_t abi, size_t *ret_at)
{
    struct range ranges[CALLS];
    bool wide = abi == 0; /* the native one; libseccomp calls x32's arguments 32 bits wide */

    if (gather(c, abi) < 0)
        return -1;
    /* CALLS itself and above are the default's: the last range is, for no call is numbered so */
    *ret_at = search(c, ranges, find_ranges(c, ranges), abis[abi].offset, wide);
    return 0;
}

/* ---- the whole ---- */

/* config-linux.md, "Seccomp" */
static const char *const architectures[] = {
    "SCMP_ARCH_X86",     "SCMP_ARCH_X86_64",   "SCMP_ARCH_X32",         "SCMP_ARCH_ARM",
    "SCMP_ARCH_AARCH64", "SCMP_ARCH_MIPS",     "SCMP_ARCH_MIPS64",      "SCMP_ARCH_MIPS64N32",
    "SCMP_ARCH_MIPSEL",  "SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_PPC",
    "SCMP_ARCH_PPC64",   "SCMP_ARCH_PPC64LE",  "SCMP_ARCH_S390",        "SCMP_ARCH_S390X",
    "SCMP_ARCH_PARISC",  "SCMP_ARCH_PARISC64", "SCMP_ARCH_RISCV64",     "SCMP_ARCH_LOONGARCH64",
    "SCMP_ARCH_M68K",    "SCMP_ARCH_SH",       "SCMP_ARCH_SHEB",
};

static bool wants_abi(const struct oci_seccomp *head, size_t abi)
{
    for (size_t i = 0; i < head->architectures.n; i++)
        if (strcmp(head->architectures.v[i], abis[abi].name) == 0)
            return true;
    return abi == 0; /* the native one is meant always, as libseccomp has it */
}

/* Those of other machines need no program here: their calls are never made. */
static int check_architectures(struct compiler *c)
{
    const struct zl_strs *named = &c->profile->head->architectures;

    for (size_t i = 0; i < named->n; i++) {
        size_t known = 0;
        while (known < ZL_ARRAY_LEN(architectures) &&
               strcmp(architectures[known], named->v[i]) != 0)
            known++;
        if (known == ZL_ARRAY_LEN(architectures))
            return zl_fail(c->err, ZL_ERR_INVALID, "linux.seccomp.architectures[%zu]: unknown '%s'",
                           i, named->v[i]);
    }
    return 0;
}

/* x86-64 and x32 are one architecture to the kernel; a bit of the number tells them apart. A number
 * of -1, which a tracer may set, is looked up as x86-64's. */
static size_t split_x32(struct compiler *c, size_t native, size_t x32)
{
    size_t high = branch(&c->p, BPF_JEQ, UINT32_MAX, native, x32);
    return branch(&c->p, BPF_JGE, X32_BIT, high, native);
}

static int compile_all(struct compiler *c)
{
    const struct seccomp_profile *profile = c->profile;
    size_t at[ABIS], bad;

    if (check_architectures(c) < 0 ||
        action(c, profile->head->default_action, profile->head->default_errno_ret,
               &c->default_action) < 0 ||
        look_up(c) < 0)
        return -1;
    bad = put(&c->p, BPF_RET | BPF_K, BAD_ARCH_ACTION, 0, 0);
    for (size_t abi = 0; abi < ABIS; abi++) {
        at[abi] = bad;
        if (wants_abi(profile->head, abi) && compile_abi(c, abi, &at[abi]) < 0)
            return -1;
    }
    size_t next = bad;
    for (size_t abi = ABIS; abi-- > 0;) {
        size_t to = at[abi];
        if (abis[abi].offset)
            continue; /* told apart from the one it shares its architecture with */
        for (size_t twin = 0; twin < ABIS; twin++)
            if (twin != abi && abis[twin].audit == abis[abi].audit && to != bad)
                to = split_x32(c, to, at[twin]);
        if (to == bad)
            continue;
        if (to != c->p.first) /* a load goes on to what stands behind it */
            put(&c->p, BPF_JMP | BPF_JA, (uint32_t)distance(&c->p, to, 0), 0, 0);
        to = load(&c->p, offsetof(struct seccomp_data, nr));
        next = branch(&c->p, BPF_JEQ, abis[abi].audit, to, next);
    }
    load(&c->p, offsetof(struct seccomp_data, arch));
    if (c->p.full)
        return zl_fail(c->err, ZL_ERR_UNSUPPORTED,
                       "linux.seccomp: it compiles to more than %d steps", SECCOMP_INSNS_MAX);
    return 0;
}

int seccomp_compile(const struct seccomp_profile *profile, struct sock_filter *out, size_t *ret_n,
                    struct zl_error *err)
{
    zl_autofree struct compiler *c = calloc(1, sizeof *c);
    int rc;

    if (!c)
        return zl_fail_errno(err, "compile a seccomp profile");
    c->profile = profile;
    c->err = err;
    c->p.v = out;
    c->p.first = SECCOMP_INSNS_MAX;
    rc = compile_all(c);
    free(c->uses);
    if (rc < 0)
        return -1;
    *ret_n = SECCOMP_INSNS_MAX - c->p.first;
    memmove(out, out + c->p.first, *ret_n * sizeof *out);
    return 0;
}

const char *seccomp_abi_name(size_t n)
{
    return n < ABIS ? abis[n].name : NULL;
}
