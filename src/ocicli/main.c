// SPDX-License-Identifier: Apache-2.0
/* zlayer-oci: an OCI runtime's command line, a drop-in for runc and crun. */
#include <stdio.h>
#include <string.h>

#include "ocicli/verbs.h"

enum { EXIT_OWN_FAILURE = 125, EXIT_NOT_EXECUTABLE = 126, EXIT_NO_COMMAND = 127 };

/* clang-format off */
const struct command commands[] = {
    { "create",   "ID",          "make a container; its command waits for start", 1, 1, verb_create },
    { "start",    "ID",          "execute the command of a created container",    1, 1, verb_start },
    { "run",      "ID",          "create, start, wait and delete",                1, 1, verb_run },
    { "state",    "ID",          "print a container's state as JSON",             1, 1, verb_state },
    { "kill",     "ID [SIGNAL]", "send a signal (TERM) to the first process",     1, 2, verb_kill },
    { "delete",   "ID",          "remove a stopped container",                    1, 1, verb_delete },
    { "features", "",            "print what this runtime supports, as JSON",     0, 0, verb_features },
    { 0 },
};
/* clang-format on */

static int exit_code_of(const struct options *o, const struct zl_error *err)
{
    if (!o->command || o->command->run != verb_run)
        return 1;
    if (err->kind == ZL_ERR_DENIED)
        return EXIT_NOT_EXECUTABLE;
    return err->kind == ZL_ERR_NOT_FOUND ? EXIT_NO_COMMAND : EXIT_OWN_FAILURE;
}

static int fail(const struct options *o, const struct zl_error *err)
{
    report(o, REPORT_ERROR, err);
    return exit_code_of(o, err);
}

static int check_globals(const struct options *o, struct zl_error *err)
{
    if (o->systemd_cgroup || (o->cgroup_manager && strcmp(o->cgroup_manager, "cgroupfs") != 0))
        return zl_fail(err, ZL_ERR_UNSUPPORTED,
                       "cgroups by systemd are not supported: use --cgroup-manager cgroupfs");
    if (o->rootless && strcmp(o->rootless, "true") == 0)
        return zl_fail(err, ZL_ERR_UNSUPPORTED, "--rootless: not supported");
    if (strcmp(o->log_format, "text") != 0 && strcmp(o->log_format, "json") != 0)
        return zl_fail(err, ZL_ERR_INVALID, "--log-format: expected text or json, found '%s'",
                       o->log_format);
    return 0;
}

static int print_help(const struct options *o)
{
    zl_autobuf struct zl_buf text = ZL_BUF(16384);

    options_help(o->command, &text);
    (void)fputs(text.data, stdout);
    return fflush(stdout) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct zl_error err = { 0 };
    struct options o;
    int rc;

    if (options_parse(argc, argv, &o, &err) < 0)
        return fail(&o, &err);
    if (o.help)
        return print_help(&o);
    if (o.version)
        return printf("zlayer-oci %s\nspec: %s\n", ZL_VERSION, OCI_VERSION) > 0 ? 0 : 1;
    rc =
        check_globals(&o, &err) < 0 || self_protect(argv, &err) < 0 ? -1 : o.command->run(&o, &err);
    return rc < 0 ? fail(&o, &err) : rc;
}
