// SPDX-License-Identifier: Apache-2.0
/*
 * Inside plan/: linux.resources as values for the files of cgroups. A controller is a file here
 * with what both versions of cgroups write for it, and a line in the table of limits.c.
 */
#ifndef ZL_SANDBOX_PLAN_LIMITS_LIMITS_H
#define ZL_SANDBOX_PLAN_LIMITS_LIMITS_H

#include "sandbox/plan/parts.h"

struct limits { /* of one cgroup, as they are collected */
    struct build *b;
    const struct oci_resources *r;
    struct zl_buf rows; /* struct plan_file */
};

/* flags: PLAN_FILE_… */
void limits_put(struct limits *l, uint32_t flags, const char *file, const char *fmt, ...)
    ZL_PRINTF(4, 5);
/* Each of these: nothing when it is not set, or 0. */
void limits_put_i64(struct limits *l, uint32_t flags, const char *file, struct zl_opt_i64 v);
void limits_put_u64(struct limits *l, uint32_t flags, const char *file, struct zl_opt_u64 v);
/* The same, and "max" for a negative number. */
void limits_put_max(struct limits *l, uint32_t flags, const char *file, struct zl_opt_i64 v);
/* -1: what config.json asks for has no place in this version. */
int limits_refuse(struct limits *l, const char *property, const char *why);

/* Puts what config.json asks of one controller. -1 and the error of l->b when it cannot be. */
typedef int (*limits_fn)(struct limits *l);

struct controller {
    const char *v1, *v2;          /* names; NULL: that version has none */
    limits_fn write_v1, write_v2; /* NULL: nothing is ever limited, or somebody else does it */
    bool counts;                  /* joined for its statistics although nothing is limited */
    bool always;                  /* v2: handed down to every container by the folders above */
};
/* In the order in which the first that is joined tells who is in the container; NULL ends it. */
extern const struct controller *const controllers[];

extern const struct controller memory_controller, cpu_controller, cpuacct_controller,
    cpuset_controller, io_controller, hugetlb_controller, net_cls_controller, net_prio_controller,
    rdma_controller;

/* device_rules.c: what every container may use, whatever its rules say, as v1 writes it ("c 1:3
 * rwm"); NULL ends it. */
extern const char *const devices_always[];
/* -1: a rule that no kernel could keep, named. */
int check_device_rules(struct build *b, const struct oci_resources *r);
/* Rules of v1's devices.allow and devices.deny, as struct plan_file rows. */
void build_device_rules(struct build *b, const struct oci_resources *r, struct zl_buf *rows);
/* device_bpf.c: the same as a program of v2; empty: everything is allowed. */
void build_device_bpf(struct build *b, const struct oci_resources *r, struct plan_tab *ret);

#endif
