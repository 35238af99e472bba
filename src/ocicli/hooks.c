// SPDX-License-Identifier: Apache-2.0
/*
 * Hooks (runtime-spec, config.md, "POSIX-platform Hooks"): programs that get the state on their
 * standard input. Those of the container are executed in its namespaces.
 */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "ocicli/verbs.h"
#include "sandbox/kernel.h"

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

/* Async-signal-safe calls only. */
static _Noreturn void hook_child(const struct oci_hook *h, int input, int namespaces_of)
{
    static const char *const no_env[] = { NULL };
    const char *const name_only[] = { h->path, NULL };
    union { /* execve(2) takes no const, and changes nothing */
        const char *const *in;
        char *const *out;
    } argv = { h->args.n ? h->args.v : name_only }, env = { h->env.v ? h->env.v : no_env };
    sigset_t none;

    sigemptyset(&none);
    if (namespaces_of >= 0 &&
        setns(namespaces_of, CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
        _exit(126);
    if (dup2(input, 0) < 0 || sigprocmask(SIG_SETMASK, &none, NULL) < 0)
        _exit(126);
    (void)execve(h->path, argv.out, env.out);
    _exit(127);
}

/* 1 it ended in time, 0 not. */
static int wait_in_time(pid_t pid, const struct oci_hook *h)
{
    zl_autoclose int pidfd = k_pidfd_open(pid);
    struct pollfd ended = { .fd = pidfd, .events = POLLIN };
    bool limited = h->timeout.set && h->timeout.v > 0 && h->timeout.v < 1000000;
    int n;

    do
        n = poll(&ended, 1, limited ? (int)(h->timeout.v * 1000) : -1);
    while (n < 0 && errno == EINTR);
    if (n == 0)
        (void)kill(pid, SIGKILL); /* our child, not reaped: the pid is its own */
    return n != 0;
}

static int run_one(const struct oci_hook *h, const char *name, int input, int namespaces_of,
                   struct zl_error *err)
{
    int status = 0;
    pid_t pid = fork(); /* small and single-threaded */

    if (pid < 0)
        return zl_fail_errno(err, "run %s hook '%s'", name, h->path);
    if (pid == 0)
        hook_child(h, input, namespaces_of);
    bool in_time = wait_in_time(pid, h);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (!in_time)
        return zl_fail(err, ZL_ERR_TIMEOUT, "%s hook '%s': not done in %lld s", name, h->path,
                       (long long)h->timeout.v);
    if (WIFSIGNALED(status))
        return zl_fail(err, ZL_ERR_SYSTEM, "%s hook '%s': signal %d ended it", name, h->path,
                       WTERMSIG(status));
    if (WEXITSTATUS(status))
        return zl_fail(err, ZL_ERR_SYSTEM, "%s hook '%s': exit status %d", name, h->path,
                       WEXITSTATUS(status));
    return 0;
}

int hooks_run(const struct oci_hook_list *hooks, const char *name, const struct oci_state *state,
              enum oci_status status, int namespaces_of, struct zl_error *err)
{
    for (size_t i = 0; i < hooks->n; i++) {
        zl_autoclose int input = state_file(state, status, err);
        if (input < 0 || run_one(&hooks->v[i], name, input, namespaces_of, err) < 0)
            return -1;
    }
    return 0;
}

void hooks_run_all(const struct options *o, const struct oci_hook_list *hooks, const char *name,
                   const struct oci_state *state, enum oci_status status)
{
    for (size_t i = 0; i < hooks->n; i++) {
        struct oci_hook_list one = { &hooks->v[i], 1 };
        struct zl_error err = { 0 };
        if (hooks_run(&one, name, state, status, -1, &err) < 0)
            report(o, REPORT_WARNING, &err);
    }
}

int hooks_keep(struct container *c, const struct oci_config *config, struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(8 << 20);

    if (!oci_config_has_hooks(config))
        return 0;
    if (zl_json_dump(config->document.root, JSON_COMPACT, &text, err) < 0)
        return -1;
    return zl_write_atomic(c->dir_fd, "config.json", text.data, text.len, 0600, false, err);
}

int hooks_kept(struct container *c, struct oci_config **ret, struct zl_error *err)
{
    static const char nothing[] = "{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"/\"}}";

    if (faccessat(c->dir_fd, "config.json", F_OK, 0) == 0)
        return oci_config_load(c->dir_fd, ret, err);
    return oci_config_parse(nothing, sizeof nothing - 1, "config.json", ret, err);
}
