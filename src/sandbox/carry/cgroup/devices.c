// SPDX-License-Identifier: Apache-2.0
/*
 * v2 knows devices only as BPF programs that are attached to a cgroup (cgroup-v2.rst, "Device
 * controller"). Several may be attached, and each must agree: a new one goes in before the old ones
 * go out, so there is no moment without rules.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/carry/cgroup/cgroup.h"

#ifndef BPF_CGROUP_DEVICE
#define BPF_CGROUP_DEVICE 6
#endif

enum { PROGRAMS_MAX = 64 }; /* of one cgroup: BPF_CGROUP_MAX_PROGS */

struct programs {
    uint32_t id[PROGRAMS_MAX], n;
};

static int bpf(int command, union bpf_attr *attr)
{
    return (int)syscall(SYS_bpf, command, attr, sizeof *attr);
}

static int load(const uint64_t *program, uint32_t n)
{
    union bpf_attr attr = {
        .prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
        .insn_cnt = n,
        .insns = (uint64_t)(uintptr_t)program,
        .license = (uint64_t)(uintptr_t) "Apache-2.0",
    };
    return bpf(BPF_PROG_LOAD, &attr);
}

static int attach(const struct cgroup *c, int prog)
{
    union bpf_attr attr = {
        .target_fd = (uint32_t)c->dir_fd,
        .attach_bpf_fd = (uint32_t)prog,
        .attach_type = BPF_CGROUP_DEVICE,
        .attach_flags = BPF_F_ALLOW_MULTI,
    };
    return bpf(BPF_PROG_ATTACH, &attr);
}

static int list(const struct cgroup *c, struct programs *ret)
{
    union bpf_attr attr = {
        .query = { .target_fd = (uint32_t)c->dir_fd,
                   .attach_type = BPF_CGROUP_DEVICE,
                   .prog_ids = (uint64_t)(uintptr_t)ret->id,
                   .prog_cnt = PROGRAMS_MAX },
    };
    if (bpf(BPF_PROG_QUERY, &attr) < 0)
        return -1;
    ret->n = attr.query.prog_cnt < PROGRAMS_MAX ? attr.query.prog_cnt : PROGRAMS_MAX;
    return 0;
}

static int detach(const struct cgroup *c, uint32_t id)
{
    union bpf_attr by_id = { .prog_id = id };
    zl_autoclose int prog = bpf(BPF_PROG_GET_FD_BY_ID, &by_id);
    union bpf_attr attr = {
        .target_fd = (uint32_t)c->dir_fd,
        .attach_bpf_fd = (uint32_t)prog,
        .attach_type = BPF_CGROUP_DEVICE,
    };
    return prog < 0 ? -1 : bpf(BPF_PROG_DETACH, &attr);
}

int cgroup_set_devices(struct cgroup *c, const uint64_t *program, uint32_t n, struct zl_error *err)
{
    struct programs old = { .n = 0 };
    zl_autoclose int prog = load(program, n);

    if (prog < 0)
        return zl_fail_errno(err, "load the device rules of cgroup '%s/%s'", c->mount, c->path);
    if (!c->fresh && list(c, &old) < 0)
        return zl_fail_errno(err, "list the device rules of cgroup '%s/%s'", c->mount, c->path);
    if (attach(c, prog) < 0)
        return zl_fail_errno(err, "attach the device rules to cgroup '%s/%s'", c->mount, c->path);
    for (uint32_t i = 0; i < old.n; i++)
        if (detach(c, old.id[i]) < 0)
            return zl_fail_errno(err, "detach the old device rules of cgroup '%s/%s'", c->mount,
                                 c->path);
    return 0;
}
