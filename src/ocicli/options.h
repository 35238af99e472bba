// SPDX-License-Identifier: Apache-2.0
/* zlayer-oci's command line: what runc's callers pass, from one table that also makes --help. */
#ifndef ZL_OCICLI_OPTIONS_H
#define ZL_OCICLI_OPTIONS_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"

struct options {
    const char *root; /* where containers' states are: "/run/zlayer-oci" */
    const char *log, *log_format;
    const char *cgroup_manager, *rootless;
    bool debug, systemd_cgroup, help, version;

    const char *bundle, *pid_file, *console_socket;
    bool detach, no_pivot, no_new_keyring, no_subreaper, keep, all, force;
    unsigned preserve_fds;

    const struct command *command; /* NULL: none was given */
    const char *words[2];          /* ID, and what follows it */
    int n_words;
};

struct command {
    const char *name, *words, *help; /* words: "ID [SIGNAL]" */
    int min_words, max_words;
    int (*run)(const struct options *o, struct zl_error *err); /* exit code, or -1 */
};
extern const struct command commands[]; /* in main.c; ends with an entry without name */

/* Fills o, with defaults where nothing is said. INVALID for what is not understood. */
int options_parse(int argc, char **argv, struct options *o, struct zl_error *err);
/* All of --help, or of one command's. */
void options_help(const struct command *c, struct zl_buf *out);

#endif
