// SPDX-License-Identifier: Apache-2.0
/* create and run: a container of a bundle. */
#include "ocicli/hooks.h"
#include "ocicli/make.h"

/* clang-format off */
#define OPTIONS_OF_MAKING \
    { 'b', "bundle",         CLI_STRING, offsetof(struct make_options, bundle),         "DIR",    "the folder of config.json [.]", NULL }, \
    { 'f', "config",         CLI_STRING, offsetof(struct make_options, config),         "FILE",   "in place of the bundle's config.json", NULL }, \
    { 0,   "console-socket", CLI_STRING, offsetof(struct make_options, console_socket), "SOCKET", "gets the master of the terminal", NULL }, \
    { 0,   "pid-file",       CLI_STRING, offsetof(struct make_options, pid_file),       "FILE",   "gets the pid of the first process", NULL }, \
    { 0,   "pidfd-socket",   CLI_STRING, offsetof(struct make_options, pidfd_socket),   "SOCKET", "gets a pidfd of the first process", NULL }, \
    { 0,   "preserve-fds",   CLI_NUMBER, offsetof(struct make_options, preserve_fds),   "N",      "descriptors 3 to 2+N stay open in the container", NULL }, \
    { 0,   "no-pivot",       CLI_FLAG,   offsetof(struct make_options, no_pivot),       NULL,     "MS_MOVE and chroot(2) instead of pivot_root(2)", NULL }, \
    { 0,   "no-new-keyring", CLI_FLAG,   offsetof(struct make_options, no_new_keyring), NULL,     "keep the caller's session keyring", NULL }, \
    { 0,   "no-subreaper",   CLI_FLAG,   offsetof(struct make_options, no_subreaper),   NULL,     "we never are one: for callers of crun and runc", NULL }

static const struct cli_option create_options[] = { OPTIONS_OF_MAKING, { 0 } };
static const struct cli_option run_options[] = {
    OPTIONS_OF_MAKING,
    { 'd', "detach",         CLI_FLAG,   offsetof(struct make_options, detach),         NULL,     "do not wait for the container's end", NULL },
    { 0,   "keep",           CLI_FLAG,   offsetof(struct make_options, keep),           NULL,     "do not delete the container after its end", NULL },
    { 0 },
};
/* clang-format on */

static int create(struct cli *cli, const void *options, int argc, char **argv, struct zl_error *err)
{
    struct make_options o = *(const struct make_options *)options;
    automaking struct making m;
    struct carry_proc p = { .pidfd = -1 };
    int rc;

    (void)argc;
    o.detach = true;
    making_init(&m, cli, &o, argv[0]);
    rc = making_load(&m, err) < 0 ? -1 : making_create(&m, &p, err);
    zl_closep(&p.pidfd);
    return rc;
}

const struct cli_command create_command = {
    .name = "create",
    .args = "ID",
    .summary = "Make a container; its command waits for start",
    .about = "Makes everything that config.json of the bundle asks for: namespaces, mounts, "
             "cgroups, the "
             "first process.\nThe command itself is executed by start.",
    .examples =
        "zlayer-oci create --bundle /bundles/web web\tof /bundles/web/config.json\n"
        "zlayer-oci create -b /bundles/web --pid-file /run/web.pid web\tand its pid in a file",
    .options = create_options,
    .options_size = sizeof(struct make_options),
    .min_args = 1,
    .max_args = 1,
    .act = create,
};

int making_attend(struct making *m, struct carry_proc *p, int console, struct zl_error *err)
{
    struct hooking h = { .cli = m->cli,
                         .container = &m->container,
                         .config = m->config,
                         .state = &m->state,
                         .init = -1 };
    int master = console < 0 ? -1 : attend_master(console, err);
    int code;

    if (console >= 0 && master < 0)
        return -1;
    code = attend(p, master, err);
    if (code < 0 || m->o->keep)
        return code;
    if (container_remove(m->cli, &m->container, err) < 0)
        return -1;
    m->state.pid = 0;
    hooks_after_stop(&h);
    return code;
}

static int run(struct making *m, struct carry_proc *p, struct zl_error *err)
{
    zl_autoclose int console = -1;

    if (making_load(m, err) < 0)
        return -1;
    if (m->config->process && m->config->process->terminal && !m->o->detach) {
        m->console = attend_console(&console, err);
        if (m->console < 0)
            return -1;
    }
    if (making_create_and_start(m, p, err) < 0)
        return -1;
    return m->o->detach ? 0 : making_attend(m, p, zl_take_fd(&console), err);
}

static int run_run(struct cli *cli, const void *options, int argc, char **argv)
{
    struct zl_error err = { 0 };
    automaking struct making m;
    struct carry_proc p = { .pidfd = -1 };
    int rc;

    (void)argc;
    attend_signals();
    making_init(&m, cli, options, argv[0]);
    rc = run(&m, &p, &err);
    zl_closep(&p.pidfd);
    return rc < 0 ? oci_fail_to_run(cli, &err) : rc;
}

const struct cli_command run_command = {
    .name = "run",
    .args = "ID",
    .summary = "Create, start, wait and delete",
    .about =
        "Makes a container and starts its command. In the foreground signals that reach zlayer-oci "
        "are handed on to\nthe container, a terminal is relayed, and the exit code is the "
        "command's.",
    .examples =
        "zlayer-oci run --bundle /bundles/hello hello\tand wait for its end\n"
        "zlayer-oci run --detach -b /bundles/web web\tit goes on; delete it when it has ended",
    .options = run_options,
    .options_size = sizeof(struct make_options),
    .min_args = 1,
    .max_args = 1,
    .own_failure = true,
    .run = run_run,
};
