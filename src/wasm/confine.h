// SPDX-License-Identifier: Apache-2.0
/*
 * What our processes give up. A guest's process ends up with its descriptors and its memory: in a
 * mount namespace that is empty, in the network it was given, without capabilities, with the system
 * calls of src/wasm/gen_seccomp.c. A compiler's gives up more of the system and keeps threads.
 */
#ifndef ZL_WASM_CONFINE_H
#define ZL_WASM_CONFINE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

/* Namespaces that all guests share, because there is nothing in them: no file, no interface that is
 * up. -1: not to be had (we are not root), and then a guest has none of it. */
struct confine_empty {
    int mount_ns, net_ns;
};
int confine_make_empty(struct confine_empty *ret, struct zl_error *err);

/* Once in the process that forks: no bounding capabilities, no new privileges. It executes nothing
 * that would need them, and its children are born without. */
int confine_host(struct zl_error *err);

/* By what the process of a component looks up names: libc's getaddrinfo(3) reads these two, which
 * are then all that there is in its mount namespace. */
struct confine_text {
    const char *bytes;
    size_t n;
};
struct confine_etc {
    struct confine_text hosts, resolv_conf;
};

struct confine_guest {
    const struct confine_empty *empty;
    const struct confine_etc *etc; /* NULL: it looks up none */
    bool own_network;              /* it is in its network already: its own, or the host's */
    bool component;
    uid_t uid;
    gid_t gid;
    const gid_t *groups;
    size_t n_groups;
};
/* In the forked process, whose descriptors and cgroups are settled. -1 and errno; *ret_step says at
 * what, in static storage. */
int confine_guest(const struct confine_guest *g, const char **ret_step);

/* In the forked process of a compiler, which keeps its first n_fds descriptors. */
int confine_compiler(const struct confine_empty *empty, unsigned n_fds, struct zl_error *err);

#endif
