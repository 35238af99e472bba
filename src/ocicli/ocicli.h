// SPDX-License-Identifier: Apache-2.0
/*
 * zlayer-oci: an OCI runtime's command line, what runc's and crun's callers pass. Each command is a
 * file with its options, its table entry and its doing; container.h is what they work on.
 */
#ifndef ZL_OCICLI_OCICLI_H
#define ZL_OCICLI_OCICLI_H

#include "base/buf.h"
#include "base/json.h"
#include "cmdline/command.h"

/* of commands, for help */
enum { GROUP_LIFE, GROUP_LOOK, GROUP_CHANGE, GROUP_SAVE, GROUP_OTHER };
enum oci_cgroups { OCI_CGROUPFS, OCI_SYSTEMD, OCI_NO_CGROUPS };
enum oci_log_format { OCI_LOG_TEXT, OCI_LOG_JSON };

/* The options before the command. */
struct cli {
    const char *root; /* where containers' states are */
    const char *log, *rootless, *criu;
    int log_format;     /* enum oci_log_format */
    int cgroup_manager; /* enum oci_cgroups */
    bool debug, systemd_cgroup;
    bool of_user; /* we are not the host's root, though perhaps that of a user namespace */

    char self[4096]; /* the path of our executable's file; "": not known */
    char default_root[4096];
};

/* Whether containers are those of an ordinary user. */
bool cli_is_rootless(const struct cli *cli);

/* Exit codes of run and exec, which otherwise give the command's own. */
enum { OCI_FAILED = 1, OCI_OWN_FAILURE = 125, OCI_NOT_EXECUTABLE = 126, OCI_NO_COMMAND = 127 };

/* In the order of help. A command is a file that defines NAME_command, and a word here. */
/* clang-format off */
#define OCI_EACH_COMMAND(X) \
    X(create) X(start) X(run) X(kill) X(delete) \
    X(state) X(list) X(ps) X(events) \
    X(exec) X(pause) X(resume) X(update) \
    X(checkpoint) X(restore) \
    X(features) X(spec) X(version)
/* clang-format on */
#define OCI_DECLARE(name) extern const struct cli_command name##_command;
OCI_EACH_COMMAND(OCI_DECLARE)
#undef OCI_DECLARE

/* ---- report.c: to stderr and the --log file ---- */
/* The exit code of a command that failed, after telling it. */
int oci_fail(struct cli *cli, const struct zl_error *err);
/* The same for run and exec: 127 no such command, 126 not executable, 125 anything else. */
int oci_fail_to_run(struct cli *cli, const struct zl_error *err);
void oci_warn(const struct cli *cli, const struct zl_error *err);
/* Each line of notes as a warning: what of config.json was left out. */
void oci_warn_lines(const struct cli *cli, const struct zl_buf *notes);
/* With --debug only. */
void oci_debug(const struct cli *cli, const char *fmt, ...) ZL_PRINTF(2, 3);

/* output.c: value as a line, or lines (flags: JSON_INDENT(2)), on standard output; takes it over.
 * NULL: memory ran out when it was made. */
int oci_print_json(json_t *value, size_t flags, struct zl_error *err);

/* self.c: makes sure that a container cannot write our executable; returns when that is so. self
 * (PATH_MAX bytes) gets the path of its file. */
int self_protect(char **argv, char *self, struct zl_error *err);
/* Hands that path on to ourselves, executed from elsewhere; early.c sets it as well. */
#define SELF_VARIABLE "ZLAYER_OCI_SELF"

#endif
