// SPDX-License-Identifier: Apache-2.0
/*
 * Device rules for cgroup v2, which knows them only as a program (bpf(2),
 * BPF_PROG_TYPE_CGROUP_DEVICE): the rules are asked from the last to the first, so that later ones
 * prevail, and the first that fits answers.
 */
#include <linux/bpf.h>
#include <stdlib.h>

#include "sandbox/plan/limits/limits.h"

struct rule {
    bool allow, all_types;
    int32_t type;         /* BPF_DEVCG_DEV_… */
    int64_t major, minor; /* -1: all */
    int32_t access;       /* BPF_DEVCG_ACC_… */
};

static void add(struct zl_buf *rows, uint8_t code, uint8_t dst, uint8_t src, int16_t off,
                int32_t imm)
{
    struct bpf_insn i = { .code = code, .off = off, .imm = imm };

    i.dst_reg = dst & 0xf;
    i.src_reg = src & 0xf;
    zl_buf_add(rows, &i, sizeof i);
}

/* r2 type, r3 access, r4 major, r5 minor: struct bpf_cgroup_dev_ctx taken apart. */
static void prologue(struct zl_buf *rows)
{
    add(rows, BPF_LDX | BPF_W | BPF_MEM, 2, 1, 0, 0);
    add(rows, BPF_ALU | BPF_AND | BPF_K, 2, 0, 0, 0xffff);
    add(rows, BPF_LDX | BPF_W | BPF_MEM, 3, 1, 0, 0);
    add(rows, BPF_ALU | BPF_RSH | BPF_K, 3, 0, 0, 16);
    add(rows, BPF_LDX | BPF_W | BPF_MEM, 4, 1, 4, 0);
    add(rows, BPF_LDX | BPF_W | BPF_MEM, 5, 1, 8, 0);
}

static void answer(struct zl_buf *rows, bool allow)
{
    add(rows, BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, allow);
    add(rows, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

enum { EVERY_ACCESS = BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE };

/* Asks nothing: whatever stands behind it would be unreachable, which the verifier refuses. */
static bool is_final(const struct rule *r)
{
    return r->all_types && r->major < 0 && r->minor < 0 && r->access == EVERY_ACCESS;
}

static void add_rule(struct zl_buf *rows, const struct rule *r)
{
    bool every_access = r->access == EVERY_ACCESS;
    int16_t left =
        (int16_t)(2 + (r->minor >= 0) + (r->major >= 0) + (every_access ? 0 : 3) + !r->all_types);

    /* each test that fails jumps behind this rule's answer: `left` counts down to it */
    if (!r->all_types)
        add(rows, BPF_JMP | BPF_JNE | BPF_K, 2, 0, --left, r->type);
    if (!every_access) { /* any bit asked for that is not granted */
        add(rows, BPF_ALU64 | BPF_MOV | BPF_X, 1, 3, 0, 0);
        add(rows, BPF_ALU | BPF_AND | BPF_K, 1, 0, 0, r->access);
        left = (int16_t)(left - 3);
        add(rows, BPF_JMP | BPF_JNE | BPF_X, 1, 3, left, 0);
    }
    if (r->major >= 0)
        add(rows, BPF_JMP | BPF_JNE | BPF_K, 4, 0, --left, (int32_t)r->major);
    if (r->minor >= 0)
        add(rows, BPF_JMP | BPF_JNE | BPF_K, 5, 0, --left, (int32_t)r->minor);
    answer(rows, r->allow);
}

static int32_t access_bits(const char *text)
{
    int32_t bits = 0;

    for (; *text; text++)
        bits |= *text == 'r'   ? BPF_DEVCG_ACC_READ
                : *text == 'w' ? BPF_DEVCG_ACC_WRITE
                : *text == 'm' ? BPF_DEVCG_ACC_MKNOD
                               : 0;
    return bits;
}

static struct rule read_rule(const struct oci_device_rule *d)
{
    return (struct rule){
        .allow = d->allow,
        .all_types = !d->type || d->type[0] == 'a',
        .type = d->type && d->type[0] == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR,
        .major = d->major.set ? d->major.v : -1,
        .minor = d->minor.set ? d->minor.v : -1,
        .access = access_bits(d->access && d->access[0] ? d->access : "rwm"),
    };
}

/* "136" or "*", and what is behind it. */
static int64_t number_at(const char **at)
{
    char *end;
    int64_t n = **at == '*' ? -1 : strtoll(*at, &end, 10);

    *at = n < 0 ? *at + 1 : end;
    return n;
}

/* "c 136:* rwm" */
static struct rule rule_of_text(const char *text)
{
    struct rule r = { .allow = true,
                      .type = text[0] == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR };
    const char *at = text + 2;

    r.major = number_at(&at);
    at++;
    r.minor = number_at(&at);
    r.access = access_bits(at + 1);
    return r;
}

void build_device_bpf(struct build *b, const struct oci_resources *r, struct plan_tab *ret)
{
    zl_autobuf struct zl_buf rows = ZL_BUF(PLAN_MAX);

    if (!r->devices.n)
        return;
    prologue(&rows);
    for (size_t i = 0; devices_always[i]; i++) {
        struct rule rule = rule_of_text(devices_always[i]);
        add_rule(&rows, &rule);
    }
    bool ended = false;
    for (size_t i = r->devices.n; i-- > 0 && !ended;) {
        struct rule rule = read_rule(&r->devices.v[i]);
        add_rule(&rows, &rule);
        ended = is_final(&rule);
    }
    if (!ended)
        answer(&rows, true); /* v1's begin: everything is allowed */
    *ret = writer_rows(&b->w, &rows, sizeof(struct bpf_insn));
}
