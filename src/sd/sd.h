// SPDX-License-Identifier: Apache-2.0
/*
 * zlayer-sd: the only program of zlayer that speaks D-Bus, to systemd, for the others, which are
 * static or light. One call a process; docs/architecture.md, "Cgroups".
 */
#ifndef ZL_SD_SD_H
#define ZL_SD_SD_H

#include <systemd/sd-bus.h>

#include "cmdline/command.h"

struct cli {
    bool user; /* the manager of the user, not of the system */
};

/* ---- value.c ---- */
/*
 * Appends "NAME=VALUE" to an open array of properties, a(sv). VALUE is in GVariant's text format,
 * as far as properties need it: true, 'text', [uint32|uint64|int32|int64] 7, ['a', 'b'], [byte
 * 0x0f, 1].
 */
int value_append(sd_bus_message *m, const char *assignment, struct zl_error *err);

/* ---- manager.c: each waits until systemd is done ---- */
struct manager {
    sd_bus *bus;
};
int manager_open(bool user, struct manager *ret, struct zl_error *err);
void manager_done(struct manager *m);
#define automanager ZL_CLEANUP(manager_done)

struct scope {
    const char *name, *slice, *description; /* "x.scope"; slice: NULL is systemd's own choice */
    uint32_t pid;                           /* its first process */
    const struct cli_list *properties;
};
int manager_start_scope(struct manager *m, const struct scope *s, struct zl_error *err);
/* A unit that is not there is stopped already. */
int manager_stop(struct manager *m, const char *name, struct zl_error *err);
int manager_set(struct manager *m, const char *name, const struct cli_list *properties,
                struct zl_error *err);
/* Its folder below the cgroup mount, "/system.slice/x.scope"; the caller's to free. */
int manager_control_group(struct manager *m, const char *name, char **ret, struct zl_error *err);

#endif
