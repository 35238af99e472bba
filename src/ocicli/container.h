// SPDX-License-Identifier: Apache-2.0
/*
 * A container as its folder ROOT/ID tells: `plan` (written before anything is made, so that
 * whatever happens can be undone), `config.json` (as the bundle had it then), `state.json` (since
 * it has a process), `gate` (a FIFO, there until start opened it), `report` (a FIFO: why the
 * command could not be executed) and `outcome` (how far its process came: gate.c). Who makes the
 * container holds a lock of fcntl(2) on the folder meanwhile: it belongs to that process and ends
 * with it, and no child inherits it.
 */
#ifndef ZL_OCICLI_CONTAINER_H
#define ZL_OCICLI_CONTAINER_H

#include "oci/config.h"
#include "oci/state.h"
#include "ocicli/ocicli.h"
#include "sandbox/carry/carry.h"

/* In its folder: where the root is mounted when the mount namespace is not its own. */
#define CONTAINER_ROOT "rootfs"

struct container {
    const char *id; /* borrowed */
    int root_fd, dir_fd;
    struct zl_buf plan_bytes;
    const struct plan *plan;
    struct carry *carry;
    bool rootless;  /* who asks is an ordinary user */
    bool replanned; /* its plan is what was found of it: plan_found_build() */
};
#define CONTAINER_NONE                                                                             \
    {                                                                                              \
        .root_fd = -1, .dir_fd = -1                                                                \
    }
void container_done(struct container *c); /* lets go; touches nothing that was made */

/* A new one, with its folder, locked; EXISTS when the id is taken. */
int container_new(const struct cli *cli, const char *id, struct container *c, struct zl_error *err);
/* It is made: others may take it from here. */
void container_made(struct container *c);
/* Keeps the text of the configuration, and the plan that is made of it. */
int container_plan(struct container *c, const struct oci_config *config,
                   const struct zl_buf *config_text, const struct plan_options *how,
                   struct zl_error *err);
/*
 * The plan that was kept, to be carried on with; a second call does nothing. One that cannot be
 * read, of another version of ours or torn, is replaced by what is found of the container: enough
 * for all but a checkpoint.
 */
int container_load_plan(struct container *c, struct zl_error *err);
/* replan.c: what is found of it, into c->plan_bytes. */
int container_replan(struct container *c, struct zl_error *err);
/* The configuration that was kept. */
int container_config(struct container *c, struct oci_config **ret, struct zl_error *err);
/*
 * Until container_done() nobody else removes it (nor, when alone, works on all of it), so that its
 * cgroups and its name cannot become another container's. 1 it is there, 0 its name is nobody's or
 * another's by now, -1 and *err. Waits for who removes it.
 */
int container_hold(struct container *c, bool alone, struct zl_error *err);
/* Removes systemd's scope, cgroups and folder; one that was removed meanwhile is left alone. */
int container_remove(const struct cli *cli, struct container *c, struct zl_error *err);

/* A pidfd of the first process, -1 and CONFLICT "container not running" when it has ended. */
int container_pidfd(const struct oci_state *state, struct zl_error *err);

/* What is known of one container, found together. */
struct found {
    struct container container;
    struct oci_state state;
    enum oci_status status;
};
void found_done(struct found *f);
#define autofound ZL_CLEANUP(found_done)
/* One that is there; NOT_FOUND "container 'x' does not exist". One without state.json whose maker
 * is gone is one whose creation was cut off: stopped. */
int container_find(const struct cli *cli, const char *id, struct found *ret, struct zl_error *err);
/* Whether it is in one of these states: FOUND_…, or'ed. Else CONFLICT "cannot VERB container 'x':
 * it is stopped". */
#define FOUND_IN(status) (1U << (status))
#define FOUND_LIVING (FOUND_IN(OCI_CREATED) | FOUND_IN(OCI_RUNNING) | FOUND_IN(OCI_PAUSED))
int found_check(const struct found *f, const char *verb, unsigned states, struct zl_error *err);

/* gate.c: 1 when its process waits to be started, 0 when not. */
int gate_is_closed(const struct container *c, struct zl_error *err);

/* Calls fn for each container, in no order; it may remove it. fn's -1 ends the row. */
typedef int (*container_fn)(struct cli *cli, const char *id, void *arg, struct zl_error *err);
int containers_each(struct cli *cli, container_fn fn, void *arg, struct zl_error *err);
int container_print_id(struct cli *cli, const char *id, void *arg, struct zl_error *err);
/* The same for those whose id matches an extended regular expression (regex(7)). */
int containers_matching(struct cli *cli, const char *regex, container_fn fn, void *arg,
                        struct zl_error *err);

#endif
