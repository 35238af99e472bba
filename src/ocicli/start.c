// SPDX-License-Identifier: Apache-2.0
/* create, start, and run, which is both and the wait; run without hooks takes the short way. */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fd.h"
#include "ocicli/verbs.h"
#include "sandbox/kernel.h"

/* What create and run make of their arguments. */
struct making {
    const struct options *o;
    struct container container;
    struct oci_config *config;
    struct oci_state state;
    char bundle[PATH_MAX];
    char created[ZL_RFC3339_SIZE];
    int console; /* socket; -1: none */
};

static void making_done(struct making *m)
{
    int saved = errno;

    container_done(&m->container);
    oci_config_free(m->config);
    zl_closep(&m->console);
    errno = saved;
}

static int load_bundle(struct making *m, struct zl_error *err)
{
    zl_autoclose int fd = zl_open_dir(AT_FDCWD, m->o->bundle, err);

    if (fd < 0)
        return zl_wrap(err, "open bundle '%s'", m->o->bundle);
    if (!realpath(m->o->bundle, m->bundle))
        return zl_fail_errno(err, "open bundle '%s'", m->o->bundle);
    if (oci_config_load(fd, &m->config, err) < 0)
        return zl_wrap(err, "bundle '%s'", m->bundle);
    return 0;
}

static int connect_console(struct making *m, struct zl_error *err)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    const char *path = m->o->console_socket;
    bool terminal = m->config->process && m->config->process->terminal;

    if (terminal && !path)
        return zl_fail(err, ZL_ERR_UNSUPPORTED,
                       "process.terminal: without --console-socket it is not supported");
    if (!path)
        return 0;
    if (!terminal)
        return zl_fail(err, ZL_ERR_INVALID,
                       "--console-socket is given, but process.terminal is not true");
    if (strlen(path) >= sizeof to.sun_path)
        return zl_fail(err, ZL_ERR_INVALID, "--console-socket: '%s' is too long", path);
    memcpy(to.sun_path, path, strlen(path) + 1);
    m->console = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (m->console < 0 || connect(m->console, (struct sockaddr *)&to, sizeof to) < 0)
        return zl_fail_errno(err, "connect to the console socket '%s'", path);
    return 0;
}

/* After load_bundle(). The id is taken from here on; what fails later removes the folder again. */
static int prepare(struct making *m, struct zl_error *err)
{
    zl_format_rfc3339(zl_wall_ns(), 9, m->created);
    if (connect_console(m, err) < 0 || container_new(m->o, &m->container, err) < 0)
        return -1;
    m->state = (struct oci_state){ .id = m->container.id,
                                   .bundle = m->bundle,
                                   .created = m->created,
                                   .annotations = m->config->annotations };
    if (container_plan(&m->container, m->config, m->bundle, m->o, err) < 0 ||
        hooks_keep(&m->container, m->config, err) < 0 ||
        carry_prepare(m->container.carry, false, err) < 0) {
        carry_free(m->container.carry); /* what it made it took back; a cgroup may be another's */
        m->container.carry = NULL;
        (void)container_remove(&m->container, NULL); /* the first failure is the story */
        return -1;
    }
    return 0;
}

static int write_pid_file(const char *path, pid_t pid, struct zl_error *err)
{
    const char *slash = strrchr(path, '/');
    char dir[PATH_MAX], text[16];
    int n = snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");

    if (n < 0 || (size_t)n >= sizeof dir)
        return zl_fail(err, ZL_ERR_INVALID, "--pid-file: '%s' is too long", path);
    zl_autoclose int fd = zl_open_dir(AT_FDCWD, dir[0] ? dir : "/", err);
    if (fd < 0)
        return zl_wrap(err, "write pid file '%s'", path);
    n = snprintf(text, sizeof text, "%d", (int)pid);
    return zl_write_atomic(fd, slash ? slash + 1 : path, text, (size_t)n, 0644, false, err);
}

static int record(struct making *m, const struct carry_proc *p, struct zl_error *err)
{
    m->state.pid = p->pid;
    m->state.pid_start = oci_pid_start(p->pid);
    if (oci_state_write(m->container.dir_fd, &m->state, err) < 0)
        return -1;
    return m->o->pid_file ? write_pid_file(m->o->pid_file, p->pid, err) : 0;
}

/* Undoes a start that went wrong half-way. The error that led here stays. */
static void give_up(struct making *m, const struct carry_proc *p)
{
    siginfo_t info;

    if (p->pid && k_pidfd_send_signal(p->pidfd, SIGKILL) == 0)
        while (waitid(P_PID, (id_t)p->pid, &info, WEXITED) < 0 && errno == EINTR)
            ;
    (void)container_remove(&m->container, NULL);
}

static int before_pivot(void *arg, const struct carry_proc *p, struct zl_error *err)
{
    struct making *m = arg;
    const struct oci_hooks *h = &m->config->hooks;

    m->state.pid = p->pid;
    /* prestart is older than "creating": its hooks, and the validation suite, expect "created" */
    if (hooks_run(&h->prestart, "prestart", &m->state, OCI_CREATED, -1, err) < 0 ||
        hooks_run(&h->create_runtime, "createRuntime", &m->state, OCI_CREATING, -1, err) < 0)
        return -1;
    return hooks_run(&h->create_container, "createContainer", &m->state, OCI_CREATING, p->pidfd,
                     err);
}

static struct carry_start how_to_start(struct making *m)
{
    return (struct carry_start){
        .stdio = { 0, 1, 2 },
        .console_socket = m->console,
        .gate = -1,
        .report = -1,
        .preserve_fds = m->o->preserve_fds,
        .before_pivot = oci_config_has_hooks(m->config) ? before_pivot : NULL,
        .before_pivot_arg = m,
    };
}

/* The first process, waiting at its gate. */
static int create(struct making *m, struct carry_proc *p, struct zl_error *err)
{
    struct carry_start how;
    autogate struct gate gate = { -1, -1 };

    if (prepare(m, err) < 0)
        return -1;
    how = how_to_start(m);
    if (gate_make(&m->container, &gate, err) == 0) {
        how.gate = gate.gate_fd;
        how.report = gate.report_fd;
        if (carry_start(m->container.carry, &how, p, err) == 0 && record(m, p, err) == 0)
            return 0;
    }
    give_up(m, p);
    return -1;
}

/* Opens the gate, with the hooks around it. pidfd: of the first process. */
static int start(const struct options *o, struct container *c, const struct oci_config *config,
                 const struct oci_state *state, int pidfd, struct zl_error *err)
{
    const struct oci_hooks *h = &config->hooks;

    if (hooks_run(&h->start_container, "startContainer", state, OCI_CREATED, pidfd, err) < 0 ||
        gate_open(c, err) < 0)
        return -1;
    hooks_run_all(o, &h->poststart, "poststart", state, OCI_RUNNING);
    return 0;
}

/* Fast: one clone that returns when the command was executed. */
static int start_at_once(struct making *m, struct carry_proc *p, struct zl_error *err)
{
    struct carry_start how;

    if (prepare(m, err) < 0)
        return -1;
    how = how_to_start(m);
    if (carry_start(m->container.carry, &how, p, err) == 0 && record(m, p, err) == 0)
        return 0;
    give_up(m, p);
    return -1;
}

static int create_and_start(struct making *m, struct carry_proc *p, struct zl_error *err)
{
    if (create(m, p, err) < 0)
        return -1;
    if (start(m->o, &m->container, m->config, &m->state, p->pidfd, err) == 0)
        return 0;
    give_up(m, p);
    return -1;
}

#define MAKING(options)                                                                            \
    {                                                                                              \
        .o = (options), .console = -1, .container = {.root_fd = -1, .dir_fd = -1 }                 \
    }

int verb_create(const struct options *o, struct zl_error *err)
{
    struct making m __attribute__((cleanup(making_done))) = MAKING(o);
    struct carry_proc p = { .pidfd = -1 };
    int rc = load_bundle(&m, err) < 0 ? -1 : create(&m, &p, err);

    zl_closep(&p.pidfd);
    return rc;
}

static int run_to_the_end(struct making *m, struct carry_proc *p, struct zl_error *err)
{
    int code = wait_foreground(p);

    if (m->o->keep)
        return code;
    if (container_remove(&m->container, err) < 0)
        return -1;
    m->state.pid = 0;
    hooks_run_all(m->o, &m->config->hooks.poststop, "poststop", &m->state, OCI_STOPPED);
    return code;
}

int verb_run(const struct options *o, struct zl_error *err)
{
    struct making m __attribute__((cleanup(making_done))) = MAKING(o);
    struct carry_proc p = { .pidfd = -1 };
    sigset_t all;
    int rc;

    sigfillset(&all);
    (void)sigprocmask(SIG_BLOCK, &all, NULL); /* cannot fail; they are waited for */
    rc = load_bundle(&m, err);
    if (rc == 0)
        rc = (oci_config_has_hooks(m.config) ? create_and_start : start_at_once)(&m, &p, err);
    if (rc == 0 && !o->detach)
        rc = run_to_the_end(&m, &p, err);
    zl_closep(&p.pidfd);
    return rc;
}

int verb_start(const struct options *o, struct zl_error *err)
{
    autocontainer struct container c;
    autocistate struct oci_state state = { 0 };
    autociconfig struct oci_config *config = NULL;
    enum oci_status status;

    if (container_open(o, &c, err) < 0 || container_status(&c, &state, &status, err) < 0)
        return -1;
    if (status != OCI_CREATED)
        return zl_fail(err, ZL_ERR_CONFLICT, "cannot start container '%s': it is %s", c.id,
                       oci_status_name(status));
    zl_autoclose int pidfd = k_pidfd_open((pid_t)state.pid);
    if (hooks_kept(&c, &config, err) < 0)
        return -1;
    if (pidfd < 0 || !oci_state_alive(&state))
        return zl_fail(err, ZL_ERR_CONFLICT, "cannot start container '%s': it is stopped", c.id);
    return start(o, &c, config, &state, pidfd, err);
}
