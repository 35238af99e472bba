// SPDX-License-Identifier: Apache-2.0
/* The commands: each answers an exit code, or -1 and *err. */
#ifndef ZL_OCICLI_VERBS_H
#define ZL_OCICLI_VERBS_H

#include "ocicli/container.h"

int verb_create(const struct options *o, struct zl_error *err);
int verb_run(const struct options *o, struct zl_error *err);
int verb_start(const struct options *o, struct zl_error *err);
int verb_state(const struct options *o, struct zl_error *err);
int verb_kill(const struct options *o, struct zl_error *err);
int verb_delete(const struct options *o, struct zl_error *err);
int verb_features(const struct options *o, struct zl_error *err);

/* report.c: to stderr and the --log file */
enum report_level { REPORT_WARNING, REPORT_ERROR };
void report(const struct options *o, enum report_level level, const struct zl_error *err);

/* gate.c: the FIFOs between create's child and start */
struct gate {
    int gate_fd, report_fd;
};
int gate_make(struct container *c, struct gate *ret, struct zl_error *err);
void gate_done(struct gate *g);
#define autogate ZL_CLEANUP(gate_done)
/* Lets the command be executed; NOT_FOUND, DENIED, … when it could not be. */
int gate_open(struct container *c, struct zl_error *err);

/* wait.c: until the process ends, with our signals handed on to it; its code, 128 + signal */
int wait_foreground(const struct carry_proc *p);

/* hooks.c: of a container whose bundle may have changed since: the copy that create kept, if it has
 * hooks; an empty configuration otherwise */
int hooks_keep(struct container *c, const struct oci_config *config, struct zl_error *err);
int hooks_kept(struct container *c, struct oci_config **ret, struct zl_error *err);
/* The first that fails ends the row. namespaces_of: a pidfd whose namespaces the hook runs in; -1:
 * ours. */
int hooks_run(const struct oci_hook_list *hooks, const char *name, const struct oci_state *state,
              enum oci_status status, int namespaces_of, struct zl_error *err);
/* poststart and poststop: one that fails is reported, the others go on (runtime.md, "Lifecycle").
 */
void hooks_run_all(const struct options *o, const struct oci_hook_list *hooks, const char *name,
                   const struct oci_state *state, enum oci_status status);

/* self.c: makes sure that a container cannot write our executable; returns when that is so */
int self_protect(char **argv, struct zl_error *err);

#endif
