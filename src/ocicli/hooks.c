// SPDX-License-Identifier: Apache-2.0
/*
 * A hook gets the state on its standard input and none of our descriptors. What it may do depends
 * on where its program comes from: one of the host runs with our rights, also where it runs in the
 * container's namespaces (createContainer, while the host's tree is still its root); one of the
 * container (startContainer) is foreign and runs with no more rights than the container's process,
 * as a further process of the container.
 */
#include "ocicli/hooks.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "ocicli/listener.h"
#include "sandbox/kernel.h"

/* ---- stages ---- */

enum stage {
    PRESTART,
    CREATE_RUNTIME,
    CREATE_CONTAINER,
    START_CONTAINER,
    POSTSTART,
    POSTSTOP,
    STAGES
};

static const struct {
    const char *name;
    size_t offset;          /* in struct oci_hooks */
    enum oci_status status; /* prestart is older than "creating", and its hooks expect "created" */
    bool in_container;
} stages[STAGES] = {
    [PRESTART] = { "prestart", offsetof(struct oci_hooks, prestart), OCI_CREATED, false },
    [CREATE_RUNTIME] = { "createRuntime", offsetof(struct oci_hooks, create_runtime), OCI_CREATING,
                         false },
    [CREATE_CONTAINER] = { "createContainer", offsetof(struct oci_hooks, create_container),
                           OCI_CREATING, true },
    [START_CONTAINER] = { "startContainer", offsetof(struct oci_hooks, start_container),
                          OCI_CREATED, true },
    [POSTSTART] = { "poststart", offsetof(struct oci_hooks, poststart), OCI_RUNNING, false },
    [POSTSTOP] = { "poststop", offsetof(struct oci_hooks, poststop), OCI_STOPPED, false },
};

static const struct oci_hook_list *hooks_of(const struct oci_config *config, enum stage stage)
{
    return (const void *)((const char *)&config->hooks + stages[stage].offset);
}

int hooks_check(const struct oci_config *config, struct zl_error *err)
{
    for (int s = 0; s < STAGES; s++) {
        const struct oci_hook_list *list = hooks_of(config, (enum stage)s);
        for (size_t i = 0; i < list->n; i++)
            if (list->v[i].timeout.set && list->v[i].timeout.v <= 0)
                return zl_fail(err, ZL_ERR_INVALID,
                               "config.json: hooks.%s[%zu].timeout: must be greater than 0",
                               stages[s].name, i);
    }
    return 0;
}

/* ---- one hook ---- */

/* The state as a file, which the hook may read as slowly as it likes. */
static int state_file(const struct oci_state *state, enum oci_status status, struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(1 << 20);
    zl_autoclose int fd = memfd_create("state", MFD_CLOEXEC);

    if (fd < 0)
        return zl_fail_errno(err, "make a file for the state");
    if (oci_state_print(state, status, &text, err) < 0 ||
        zl_write_all(fd, text.data, text.len, "state", err) < 0)
        return -1;
    if (lseek(fd, 0, SEEK_SET) < 0)
        return zl_fail_errno(err, "rewind the state");
    return zl_take_fd(&fd);
}

enum { NOT_EXECUTED = 126 }; /* the reason is in the pipe */

/* In the child: it could not become the hook, as errno says. */
static _Noreturn void give_up(int report)
{
    int why = errno;

    (void)!write(report, &why, sizeof why); /* or the exit status has to say it */
    _exit(NOT_EXECUTED);
}

/* A child of a PID namespace is born there, so who joins it lets another be born, and waits. */
static void become_child(int report)
{
    int status;
    pid_t pid = fork();

    if (pid < 0 || (pid == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0))
        give_up(report);
    if (pid == 0)
        return;
    while (waitpid(pid, &status, 0) < 0) /* a child of ours: there is no other answer */
        if (errno == ECHILD)
            give_up(report);
    if (WIFSIGNALED(status))
        (void)raise(WTERMSIG(status)); /* SIGKILL; whatever else it ignores */
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : NOT_EXECUTED);
}

/* Async-signal-safe calls only. */
static _Noreturn void hook_child(const struct oci_hook *hook, int input, int report, int init,
                                 uint32_t join)
{
    static const char *const no_env[] = { NULL };
    const char *const name_only[] = { hook->path, NULL };
    union { /* execve(2) takes no const, and changes nothing */
        const char *const *in;
        char *const *out;
    } argv = { hook->args.n ? hook->args.v : name_only },
      env = { hook->env.v ? hook->env.v : no_env };
    sigset_t none;

    sigemptyset(&none);
    if (setpgid(0, 0) < 0 || (join && setns(init, (int)join) < 0))
        give_up(report);
    if (join & CLONE_NEWUSER && (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0))
        give_up(report);
    if (join & CLONE_NEWPID)
        become_child(report);
    if (dup2(input, 0) < 0 || k_close_range(3, ~0U, K_CLOSE_RANGE_CLOEXEC) < 0 ||
        sigprocmask(SIG_SETMASK, &none, NULL) < 0)
        give_up(report);
    (void)execve(hook->path, argv.out, env.out);
    give_up(report);
}

/* 1 it ended in time, 0 not, -1 and errno nobody can tell. */
static int ends_in_time(int pidfd, const struct oci_hook *hook)
{
    struct pollfd ended = { .fd = pidfd, .events = POLLIN };
    bool limited = hook->timeout.set && hook->timeout.v < 1000000;
    int n;

    do
        n = poll(&ended, 1, limited ? (int)(hook->timeout.v * 1000) : -1);
    while (n < 0 && errno == EINTR);
    return n;
}

/* p is our child, not waited for: its pid is its own. */
static int wait_for(const struct carry_proc *p, const struct oci_hook *hook, enum stage stage,
                    struct zl_error *err)
{
    const char *name = stages[stage].name;
    siginfo_t info = { 0 };
    int in_time = p->pidfd < 0 ? -1 : ends_in_time(p->pidfd, hook);

    if (in_time < 0)
        (void)zl_fail_errno(err, "watch %s hook '%s'", name, hook->path);
    if (in_time <= 0 && kill(-p->pid, SIGKILL) < 0) /* the group: what it started goes with it */
        (void)kill(p->pid, SIGKILL);
    while (waitid(P_PID, (id_t)p->pid, &info, WEXITED) < 0 && errno != ECHILD)
        ; /* a child of ours: there is no other answer */
    if (in_time < 0)
        return -1;
    if (in_time == 0)
        return zl_fail(err, ZL_ERR_TIMEOUT, "%s hook '%s': not done in %lld s", name, hook->path,
                       (long long)hook->timeout.v);
    if (info.si_code != CLD_EXITED)
        return zl_fail(err, ZL_ERR_SYSTEM, "%s hook '%s': signal %d ended it", name, hook->path,
                       info.si_status);
    if (info.si_status)
        return zl_fail(err, ZL_ERR_SYSTEM, "%s hook '%s': exit status %d", name, hook->path,
                       info.si_status);
    return 0;
}

static int run_host_program(const struct hooking *h, enum stage stage, const struct oci_hook *hook,
                            int input, struct zl_error *err)
{
    uint32_t join = stages[stage].in_container ? plan_namespaces(h->container->plan) : 0;
    struct carry_proc p = { .pidfd = -1 };
    int report[2], why = 0, rc;

    if (pipe2(report, O_CLOEXEC) < 0)
        return zl_fail_errno(err, "run %s hook '%s'", stages[stage].name, hook->path);
    zl_autoclose int ours = report[0];
    zl_autoclose int theirs = report[1];
    p.pid = fork(); /* small and single-threaded */
    if (p.pid < 0)
        return zl_fail_errno(err, "run %s hook '%s'", stages[stage].name, hook->path);
    if (p.pid == 0)
        hook_child(hook, input, theirs, h->init, join);
    (void)close(zl_take_fd(&theirs)); /* so that the child's is the only one */
    p.pidfd = k_pidfd_open(p.pid);
    rc = wait_for(&p, hook, stage, err);
    zl_closep(&p.pidfd);
    if (rc == 0 || read(ours, &why, sizeof why) != (ssize_t)sizeof why)
        return rc;
    errno = why;
    return zl_fail_errno(err, "run %s hook '%s'", stages[stage].name, hook->path);
}

/* As the container's process: its user, capabilities, filter, cgroup. */
static int plan_for(const struct hooking *h, const struct oci_hook *hook, struct zl_buf *plan,
                    struct zl_error *err)
{
    const char *path[] = { hook->path, NULL };
    struct plan_options how = { .id = h->container->id,
                                .command = hook->path,
                                .no_new_keyring = !h->container->plan->process.keyring };
    struct oci_process process = *h->config->process;

    process.terminal = false;
    process.args = hook->args;
    if (!hook->args.n)
        process.args = (struct zl_strs){ path, 1 };
    process.env = hook->env;
    return plan_exec_build(h->config, &how, &process, plan, err);
}

static int run_container_program(const struct hooking *h, enum stage stage,
                                 const struct oci_hook *hook, int input, struct zl_error *err)
{
    zl_autobuf struct zl_buf bytes = ZL_BUF(PLAN_MAX);
    struct carry_start how = {
        .stdio = { input, 1, 2 }, .console_socket = -1, .gate = -1, .report = -1, .outcome = -1
    };
    const struct plan_exec *x;
    struct carry_proc p = { .pidfd = -1 };
    struct listening listening = { h->config, h->state, OCI_CREATED };
    int rc;

    listener_start(&listening, &how);
    if (!h->config->process)
        return zl_fail(err, ZL_ERR_INVALID, "startContainer hooks: there is no process to start");
    if (container_load_plan(h->container, err) < 0 || plan_for(h, hook, &bytes, err) < 0 ||
        plan_exec_check(bytes.data, bytes.len, &x, err) < 0)
        return -1;
    if (carry_exec(h->container->carry, h->init, x, &how, &p, err) < 0)
        return zl_wrap(err, "%s hook '%s'", stages[stage].name, hook->path);
    rc = wait_for(&p, hook, stage, err);
    zl_closep(&p.pidfd);
    return rc;
}

/* ---- rows of them ---- */

static int run_hook(const struct hooking *h, enum stage stage, const struct oci_hook *hook,
                    struct zl_error *err)
{
    zl_autoclose int input = state_file(h->state, stages[stage].status, err);

    if (input < 0)
        return zl_wrap(err, "%s hook '%s'", stages[stage].name, hook->path);
    oci_debug(h->cli, "run %s hook '%s'", stages[stage].name, hook->path);
    return (stage == START_CONTAINER ? run_container_program : run_host_program)(h, stage, hook,
                                                                                 input, err);
}

static int run_stage(const struct hooking *h, enum stage stage, struct zl_error *err)
{
    const struct oci_hook_list *list = hooks_of(h->config, stage);

    for (size_t i = 0; i < list->n; i++)
        if (run_hook(h, stage, &list->v[i], err) < 0)
            return -1;
    return 0;
}

static void run_all(const struct hooking *h, enum stage stage)
{
    const struct oci_hook_list *list = hooks_of(h->config, stage);

    for (size_t i = 0; i < list->n; i++) {
        struct zl_error err = { 0 };
        if (run_hook(h, stage, &list->v[i], &err) < 0)
            oci_warn(h->cli, &err);
    }
}

int hooks_while_creating(const struct hooking *h, struct zl_error *err)
{
    if (run_stage(h, PRESTART, err) < 0 || run_stage(h, CREATE_RUNTIME, err) < 0)
        return -1;
    return run_stage(h, CREATE_CONTAINER, err);
}

int hooks_before_start(const struct hooking *h, struct zl_error *err)
{
    return run_stage(h, START_CONTAINER, err);
}

void hooks_after_start(const struct hooking *h)
{
    run_all(h, POSTSTART);
}

void hooks_after_stop(const struct hooking *h)
{
    run_all(h, POSTSTOP);
}
