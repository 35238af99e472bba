// SPDX-License-Identifier: Apache-2.0
/*
 * --systemd-cgroup: the container's cgroup is a scope of systemd, which zlayer-sd asks for. Its
 * name and slice are in linux.cgroupsPath, "SLICE:PREFIX:NAME", as runc has it.
 */
#ifndef ZL_OCICLI_SYSTEMD_UNIT_H
#define ZL_OCICLI_SYSTEMD_UNIT_H

#include "ocicli/container.h"

struct unit {
    char name[256];       /* "PREFIX-NAME.scope" */
    char slice[256];      /* "" : systemd's own choice */
    char cgroup[4096];    /* "/machine.slice/x.scope", once it is there */
    bool user;            /* of the user's systemd */
    bool asked;           /* it may be there, whatever came of it */
    struct carry_proc sd; /* zlayer-sd, in the scope until unit_release(); pid 0: none */
    int hold;             /* a socket on which it waits for a byte, or the end */
};
#define UNIT_NONE                                                                                  \
    {                                                                                              \
        .hold = -1, .sd = {.pidfd = -1 }                                                           \
    }

/* Starts the scope, and notes it in the container's folder before that. */
int unit_start(const struct cli *cli, struct container *c, const struct oci_config *config,
               struct unit *ret, struct zl_error *err);
/* The container has a process in the scope: zlayer-sd may go. */
int unit_release(struct unit *u, struct zl_error *err);
void unit_done(struct unit *u);

/* Whether systemd made its cgroups. */
bool unit_is_there(const struct container *c);
/* The name of its scope, "" when it has none, into out. */
int unit_name(const struct container *c, char *out, size_t size, struct zl_error *err);
/* The limits that these cgroups have, as the scope's properties, so that systemd neither shows nor
 * restores others. base: the plan or the update. */
int unit_set_limits(const struct cli *cli, struct container *c, const void *base,
                    struct plan_tab cgroups, struct zl_error *err);
/* Ends the scope of a container that has one. */
int unit_stop(const struct cli *cli, struct container *c, struct zl_error *err);

#endif
