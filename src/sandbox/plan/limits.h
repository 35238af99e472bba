// SPDX-License-Identifier: Apache-2.0
/*
 * Inside plan/: linux.resources as values for the files of cgroups. One table names the controllers
 * of both versions; limits_v1.c and limits_v2.c know their files.
 */
#ifndef ZL_SANDBOX_PLAN_LIMITS_H
#define ZL_SANDBOX_PLAN_LIMITS_H

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

/* In the order in which the first that is joined tells who is in the container. */
struct controller {
    const char *v1, *v2; /* names; NULL: that version has none */
    /* -1 and the error of l->b when something cannot be */
    int (*write_v1)(struct limits *l), (*write_v2)(struct limits *l);
    bool counts; /* joined for its statistics although nothing is limited */
};
extern const struct controller controllers[]; /* ends with an entry without functions */

/* limits_v1.c */
int memory_v1(struct limits *l);
int devices_v1(struct limits *l);
int cpu_v1(struct limits *l);
int blkio_v1(struct limits *l);
int hugetlb_v1(struct limits *l);
int net_cls_v1(struct limits *l);
int net_prio_v1(struct limits *l);
/* limits_v2.c */
int memory_v2(struct limits *l);
int cpu_v2(struct limits *l);
int io_v2(struct limits *l);
int hugetlb_v2(struct limits *l);
int network_v2(struct limits *l);
/* limits.c: the same files in both */
int pids_limits(struct limits *l);
int cpuset_limits(struct limits *l);
int rdma_limits(struct limits *l);
/* "2MB", as a part of a file's name. */
int check_page_size(struct limits *l, size_t i);

#endif
