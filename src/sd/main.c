// SPDX-License-Identifier: Apache-2.0
/* zlayer-sd: scopes and properties of systemd, a call a command. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/stdfds.h"
#include "sd/sd.h"

enum { FAILED = 1, GROUP = 0 };

static int fail(struct cli *cli, const struct zl_error *err)
{
    (void)cli;
    (void)fflush(stdout);
    (void)fprintf(stderr, "zlayer-sd: %s\n", err->msg);
    return FAILED;
}

/* ---- scope ---- */

struct scope_options {
    const char *slice, *description;
    struct cli_list properties;
};

/* Until a byte comes, when whoever asked has a process of its own in the scope (systemd ends a
 * scope without processes), or its end, when nobody asks any more. */
static void hold(void)
{
    char byte;

    while (read(STDIN_FILENO, &byte, 1) < 0 && errno == EINTR)
        ;
}

static int start_scope(const struct cli *cli, const char *name, const struct scope_options *o,
                       struct zl_error *err)
{
    automanager struct manager m = { 0 };
    zl_autofree char *cgroup = NULL;
    struct scope s = { .name = name,
                       .slice = o->slice,
                       .description = o->description,
                       .pid = (uint32_t)getpid(),
                       .properties = &o->properties };

    if (manager_open(cli->user, &m, err) < 0 || manager_start_scope(&m, &s, err) < 0 ||
        manager_control_group(&m, name, &cgroup, err) < 0)
        return -1;
    if (printf("%s\n", cgroup) < 0 || fflush(stdout) == EOF)
        return zl_fail_errno(err, "tell the cgroup of '%s'", name);
    return 0;
}

static int scope(struct cli *cli, const void *options, int argc, char **argv, struct zl_error *err)
{
    (void)argc;
    if (start_scope(cli, argv[0], options, err) < 0)
        return -1;
    hold();
    return 0;
}

/* clang-format off */
static const struct cli_option scope_options[] = {
    { 0, "slice",       CLI_STRING, offsetof(struct scope_options, slice),       "SLICE",      "where it is put [system.slice]", NULL },
    { 0, "description", CLI_STRING, offsetof(struct scope_options, description), "TEXT",       "of the unit", NULL },
    { 0, "property",    CLI_LIST,   offsetof(struct scope_options, properties),  "NAME=VALUE", "in GVariant's text format; may be repeated", NULL },
    { 0 },
};
/* clang-format on */

static const struct cli_command scope_command = {
    .name = "scope",
    .args = "NAME.scope",
    .summary = "Start a delegated scope and be its first process until a byte comes",
    .about = "Prints the scope's cgroup when it is there.",
    .examples = "zlayer-sd scope web.scope --slice machine.slice --property 'TasksMax=uint64 "
                "100'\tand wait",
    .options = scope_options,
    .options_size = sizeof(struct scope_options),
    .min_args = 1,
    .max_args = 1,
    .act = scope,
};

/* ---- stop, set ---- */

static int stop(struct cli *cli, const void *options, int argc, char **argv, struct zl_error *err)
{
    automanager struct manager m = { 0 };

    (void)options, (void)argc;
    return manager_open(cli->user, &m, err) < 0 ? -1 : manager_stop(&m, argv[0], err);
}

static const struct cli_command stop_command = {
    .name = "stop",
    .args = "UNIT",
    .summary = "Stop a unit and wait for its end",
    .examples = "zlayer-sd stop web.scope\ta unit that is not there is stopped already",
    .min_args = 1,
    .max_args = 1,
    .act = stop,
};

static int set(struct cli *cli, const void *options, int argc, char **argv, struct zl_error *err)
{
    automanager struct manager m = { 0 };
    const char *v[64];
    struct cli_list properties = { .v = v };

    (void)options;
    for (int i = 1; i < argc; i++)
        v[properties.n++] = argv[i];
    return manager_open(cli->user, &m, err) < 0 ? -1 : manager_set(&m, argv[0], &properties, err);
}

static const struct cli_command set_command = {
    .name = "set",
    .args = "UNIT NAME=VALUE...",
    .summary = "Set properties of a unit for as long as it lives",
    .examples = "zlayer-sd set web.scope 'MemoryMax=uint64 67108864'\ta new limit",
    .min_args = 2,
    .max_args = 64,
    .act = set,
};

/* ---- the program ---- */

static int version_run(struct cli *cli, const void *options, int argc, char **argv)
{
    (void)cli, (void)options, (void)argc, (void)argv;
    return printf("zlayer-sd %s\n", ZL_VERSION) > 0 ? 0 : FAILED;
}

static const struct cli_command version_command = {
    .name = "version",
    .summary = "Print the version",
    .run = version_run,
};

static int prepare(struct cli *cli, struct zl_error *err)
{
    (void)cli, (void)err;
    return 0;
}

static void words(struct cli *cli, const char *kind)
{
    (void)cli, (void)kind;
}

static const struct cli_command *const commands[] = { &scope_command, &set_command,
                                                      &stop_command,  &version_command,
                                                      &help_command,  NULL };
static const char *const groups[] = { "Commands", NULL };
static const struct cli_exit_text exits[] = { { "0", "success" }, { "1", "failure" }, { 0 } };
static const struct cli_option globals[] = {
    { 0, "user", CLI_FLAG, offsetof(struct cli, user), NULL,
      "ask the user's systemd, not the system's", NULL },
    { 0 },
};

const struct cli_program cli_program = {
    .name = "zlayer-sd",
    .purpose = "ask systemd for scopes",
    .about = "zlayer-sd asks systemd for scopes, on behalf of zlayer's other programs.",
    .section = "8",
    .commands = commands,
    .globals = globals,
    .groups = groups,
    .exits = exits,
    .environment = "none",
    .usage_exit = FAILED,
    .own_exit = FAILED,
    .prepare = prepare,
    .fail = fail,
    .words = words,
};

int main(int argc, char **argv)
{
    struct cli cli = { 0 };
    struct zl_error err = { 0 };

    return zl_fill_standard_fds(&err) < 0 ? fail(&cli, &err) : cli_main(&cli, argc, argv);
}
