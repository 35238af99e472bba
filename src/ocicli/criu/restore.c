// SPDX-License-Identifier: Apache-2.0
/*
 * restore: a container whose first process criu brings back. Cgroups, state and everything that
 * callers see are made as by run; namespaces, mounts and processes by criu, which runs in the
 * container's cgroups and in a mount namespace of ours, where the root is a mount of its own: what
 * is mounted for criu reaches nobody else and goes with us.
 */
#include <sched.h>
#include <string.h>
#include <sys/mount.h>

#include "ocicli/criu/criu.h"
#include "ocicli/hooks.h"
#include "ocicli/make.h"
#include "sandbox/kernel.h"

enum { REQUEST_MAX = 65536 };

struct restore_options {
    struct make_options make;
    struct criu_options criu;
};

struct restoring {
    struct making m;
    const struct criu_options *o;
    struct carry_proc p;           /* its first process, since criu told of it */
    int inherit[CRIU_INHERIT_MAX]; /* namespaces of others */
    size_t n_inherit;
};

static void restoring_done(struct restoring *r)
{
    zl_closep(&r->p.pidfd);
    for (size_t i = 0; i < r->n_inherit; i++)
        zl_closep(&r->inherit[i]);
    making_done(&r->m);
}

/* ---- what criu tells ---- */

/* Namespaces are there, mounts not yet: as when create has them. */
static int on_namespaces(struct restoring *r, pid_t pid, struct zl_error *err)
{
    struct hooking h = {
        .cli = r->m.cli, .container = &r->m.container, .config = r->m.config, .state = &r->m.state
    };
    zl_autoclose int pidfd = k_pidfd_open(pid);

    if (pidfd < 0)
        return zl_fail_errno(err, "watch the container's first process");
    h.init = pidfd;
    r->m.state.pid = pid;
    r->m.state.pid_start = oci_pid_start(pid);
    return oci_state_write(r->m.container.dir_fd, &r->m.state, err) < 0
               ? -1
               : hooks_while_creating(&h, err);
}

/* All is as it was; the processes go on when we said that it is recorded. */
static int on_restored(struct restoring *r, pid_t pid, struct zl_error *err)
{
    int pidfd = k_pidfd_open(pid);

    if (pidfd < 0)
        return zl_fail_errno(err, "watch the container's first process");
    r->p = (struct carry_proc){ .pid = pid, .pidfd = pidfd };
    return making_settle(&r->m, err) < 0 ? -1 : making_record(&r->m, &r->p, err);
}

static int on_terminal(struct restoring *r, int master, struct zl_error *err)
{
    if (r->m.console < 0 || master < 0)
        return zl_fail(err, ZL_ERR_INVALID,
                       "the images have a terminal, and nobody is there to hold its other end");
    return descriptor_send(r->m.console, master, "/dev/ptmx") < 0
               ? zl_fail_errno(err, "hand the terminal on")
               : 0;
}

static int told(void *arg, const char *what, pid_t pid, int fd, struct zl_error *err)
{
    if (strcmp(what, "setup-namespaces") == 0)
        return on_namespaces(arg, pid, err);
    if (strcmp(what, "post-restore") == 0)
        return on_restored(arg, pid, err);
    return strcmp(what, "orphan-pts-master") == 0 ? on_terminal(arg, fd, err) : 0;
}

/* ---- doing it ---- */

/* Slaves, not private: a bind mount that was one of the host's (systemd shares all) becomes one
 * again. criu wants a root that is a mount. It mounts in its folders as well, so those must be
 * opened where it lives: in this namespace, after this. */
static int mount_root(const struct making *m, struct zl_error *err)
{
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
        return zl_fail_errno(err, "make a mount namespace");
    if (mount(m->rootfs, m->rootfs, NULL, MS_BIND | MS_REC, NULL) < 0)
        return zl_fail_errno(err, "mount root '%s'", m->rootfs);
    return 0;
}

static int bring_back(struct restoring *r, const struct criu_dirs *dirs, struct zl_error *err)
{
    zl_autobuf struct zl_buf opts = ZL_BUF(REQUEST_MAX);
    struct criu_call call = {
        .cli = r->m.cli,
        .work = CRIU_RESTORE,
        .opts = &opts,
        .dirs = dirs,
        .within = r->m.container.carry,
        .inherit = r->inherit,
        .told = told,
        .arg = r,
    };

    if (criu_request(CRIU_RESTORE, r->o, dirs, r->m.config, &r->m.container, &opts, err) < 0 ||
        criu_request_namespaces(CRIU_RESTORE, r->m.config, &opts, r->inherit, &r->n_inherit, err) <
            0 ||
        criu_request_stdio(dirs, &opts, err) < 0)
        return -1;
    criu_request_root(&opts, r->m.rootfs);
    call.n_inherit = r->n_inherit;
    if (criu_run(&call, err) < 0)
        return -1;
    return r->p.pid ? 0 : zl_fail(err, ZL_ERR_PROTOCOL, "criu did not tell the first process");
}

/* A terminal's other end is ours in the foreground. */
static int make_console(struct restoring *r, int *ret_ours, struct zl_error *err)
{
    const struct oci_process *process = r->m.config->process;

    if (!process || !process->terminal || r->m.o->detach)
        return 0;
    r->m.console = attend_console(ret_ours, err);
    return r->m.console < 0 ? -1 : 0;
}

static int restore(struct restoring *r, struct zl_error *err)
{
    autocriudirs struct criu_dirs dirs = CRIU_DIRS_NONE;
    zl_autoclose int console = -1;

    if (making_load(&r->m, err) < 0 || mount_root(&r->m, err) < 0 ||
        criu_dirs_open(r->o, false, &dirs, err) < 0 || make_console(r, &console, err) < 0 ||
        making_prepare(&r->m, err) < 0)
        return -1;
    if (bring_back(r, &dirs, err) < 0) {
        making_give_up(&r->m, &r->p);
        return -1;
    }
    if (r->m.o->detach)
        return 0;
    return making_attend(&r->m, &r->p, zl_take_fd(&console), err);
}

static int restore_run(struct cli *cli, const void *options, int argc, char **argv)
{
    const struct restore_options *o = options;
    struct restoring r
        __attribute__((cleanup(restoring_done))) = { .o = &o->criu, .p = { .pidfd = -1 } };
    struct zl_error err = { 0 };
    int rc;

    (void)argc;
    attend_signals();
    making_init(&r.m, cli, &o->make, argv[0]);
    rc = restore(&r, &err);
    if (rc >= 0)
        return rc;
    (void)zl_wrap(&err, "restore container '%s'", argv[0]);
    return oci_fail_to_run(cli, &err);
}

/* clang-format off */
#define O(letter, kind, member, name, arg, help) { letter, name, kind, offsetof(struct restore_options, member), arg, help, NULL }
static const struct cli_option restore_options[] = {
    O('b', CLI_STRING, make.bundle,            "bundle",            "DIR",    "the folder of config.json [.]"),
    O('f', CLI_STRING, make.config,            "config",            "FILE",   "in place of the bundle's config.json"),
    O('d', CLI_FLAG,   make.detach,            "detach",            NULL,     "do not wait for the container's end"),
    O(0,   CLI_FLAG,   make.keep,              "keep",              NULL,     "do not delete the container after its end"),
    O(0,   CLI_STRING, make.console_socket,    "console-socket",    "SOCKET", "gets the master of the terminal"),
    O(0,   CLI_STRING, make.pid_file,          "pid-file",          "FILE",   "gets the pid of the first process"),
    O(0,   CLI_FLAG,   make.no_pivot,          "no-pivot",          NULL,     "criu makes the root: for callers of runc"),
    O(0,   CLI_FLAG,   make.no_subreaper,      "no-subreaper",      NULL,     "we never are one: for callers of crun and runc"),
    O(0,   CLI_STRING, criu.image_path,        "image-path",        "DIR",    "where the images are [checkpoint]"),
    O(0,   CLI_STRING, criu.work_path,         "work-path",         "DIR",    "where criu's log goes [that of the images]"),
    O(0,   CLI_FLAG,   criu.tcp_established,   "tcp-established",   NULL,     "with its open TCP connections"),
    O(0,   CLI_FLAG,   criu.ext_unix_sk,       "ext-unix-sk",       NULL,     "with unix sockets whose other end is outside"),
    O(0,   CLI_FLAG,   criu.shell_job,         "shell-job",         NULL,     "its terminal or session may be another's"),
    O(0,   CLI_FLAG,   criu.file_locks,        "file-locks",        NULL,     "with file locks"),
    O(0,   CLI_FLAG,   criu.lazy_pages,        "lazy-pages",        NULL,     "memory is fetched when it is needed (userfaultfd)"),
    { 0,   "manage-cgroups-mode", CLI_CHOICE, offsetof(struct restore_options, criu.cgroups), "MODE", "what of its cgroups comes back", criu_cgroup_modes },
    O(0,   CLI_LIST,   criu.empty_ns,          "empty-ns",          "network", "a namespace that stays empty"),
    O(0,   CLI_FLAG,   criu.auto_dedup,        "auto-dedup",        NULL,     "pages that were read go from the images"),
    O(0,   CLI_STRING, criu.lsm_profile,       "lsm-profile",       "TYPE:NAME", "an AppArmor or SELinux profile in place of the saved one"),
    O(0,   CLI_STRING, criu.lsm_mount_context, "lsm-mount-context", "CONTEXT", "an SELinux context of mounts in place of the saved one"),
    { 0 },
};
#undef O
/* clang-format on */

const struct cli_command restore_command = {
    .name = "restore",
    .group = GROUP_SAVE,
    .args = "ID",
    .summary = "Bring back a container that checkpoint saved",
    .about =
        "criu(8), which must be installed, makes the processes again as they were, with the bundle "
        "as it was then. In the\nforeground signals are handed on and the exit code is the "
        "container's, as with run.",
    .examples = "zlayer-oci restore --detach --image-path /saved/web --bundle /bundles/web web\t"
                "after checkpoint",
    .options = restore_options,
    .options_size = sizeof(struct restore_options),
    .min_args = 1,
    .max_args = 1,
    .own_failure = true,
    .run = restore_run,
};
