// SPDX-License-Identifier: Apache-2.0
/* Inside plan/: the parts that build.c puts together, one file each. */
#ifndef ZL_SANDBOX_PLAN_PARTS_H
#define ZL_SANDBOX_PLAN_PARTS_H

#include "oci/config.h"
#include "sandbox/plan/layout.h"
#include "sandbox/plan/writer.h"

struct build {
    struct writer w;
    const struct oci_config *config; /* NULL: an update */
    const struct plan_options *options;
    const struct cgroup_layout *layout; /* of this host; NULL: an exec plan */
    uint32_t cgroup_owner;              /* plan_cgroup.owner */
    char cgroup_path[512];              /* without leading '/' */
    struct zl_error *err;
};

/* A line for plan_options.notes. */
void build_note(const struct build *b, const char *fmt, ...) ZL_PRINTF(2, 3);

int build_mounts(struct build *b, struct plan *p);  /* mounts.c: mounts, late_mounts */
int build_devices(struct build *b, struct plan *p); /* devices.c: devices, links */
int build_cgroups(struct build *b, struct plan *p); /* cgroups.c */
/* The same file: where the container's are, into b->cgroup_path. */
int choose_cgroup_path(struct build *b);
int build_namespaces(struct build *b, struct plan *p); /* build.c: namespaces, joins */
/* users.c: maps of the user namespace and offsets of the time namespace, or why there are none */
int build_users(struct build *b, struct plan *p);
int build_time(struct build *b, struct plan *p);
struct plan_tab build_id_maps(struct build *b, const struct oci_id_mappings *from);
/* Whether the container has a user namespace of its own, new or joined. */
bool has_user_ns(const struct build *b);
/* users.c: what the host knows this container id as. False: it is not mapped. */
bool map_id(const struct build *b, const struct oci_id_mappings *m, uint32_t id, uint32_t *ret);
/* users.c: whether the new user namespace, if there is one, knows this id. */
bool is_mapped(const struct build *b, const struct oci_id_mappings *m, uint32_t id);
/* Whether that is one that keeps its supplementary groups as they are: user_namespaces(7). */
bool has_fixed_groups(const struct build *b);
int build_sysctls(struct build *b, struct plan *p); /* sysctl.c */
/* process.c; x is what is executed, the rest is the container's. */
int build_process(struct build *b, const struct oci_process *x, struct plan_process *p);
/* scheduling.c: scheduler, io_priority, cpus, personality */
int build_scheduling(struct build *b, const struct oci_process *x, struct plan_process *p);
/* A list of CPUs, "0-3,7", as plan_process.cpus; name is the property it is of. NULL: none. */
int build_cpus(struct build *b, const char *name, const char *list, struct plan_tab *ret);
/* labels.c: apparmor, selinux */
int build_labels(struct build *b, const struct oci_process *x, struct plan_process *p);
/* linux.mountLabel: what the file system of this type is mounted with in addition, into data. */
int build_mount_label(struct build *b, const char *type, struct zl_buf *data);
/* home.c: "HOME=…" when the environment has none; *ret is 0 when there is nothing to add */
int build_home(struct build *b, const struct oci_process *x, plan_str *ret);
/* seccomp: the program for these capabilities, when the configuration wants one. */
int build_seccomp(struct build *b, struct plan_process *p);
/* delegation.c: whether an ordinary user, we, may make this cgroup and start processes in it */
bool delegation_allows(const char *mount, bool v2, const char *path);
/* Where on v2 the container of an ordinary user belongs, without a leading '/'. -1: too long. */
int delegation_path(const char *mount, const char *id, char *out, size_t size);

#endif
