// SPDX-License-Identifier: Apache-2.0
/* kill: signals to the first process of a container, or to all. */
#include <ctype.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "ocicli/make.h"
#include "sandbox/kernel.h"

enum { GONE_MS = 10000 };

struct kill_options {
    bool all, regex;
};

/* "TERM", "SIGTERM", "15", "RTMIN+3", 0 (which only asks whether it runs); -1: none of them. */
static int parse_signal(const char *word)
{
    char *end;
    long n = strtol(word, &end, 10);

    if (isdigit((unsigned char)word[0]))
        return !*end && n <= SIGRTMAX ? (int)n : -1;
    if (strncasecmp(word, "SIG", 3) == 0)
        word += 3;
    if (strncasecmp(word, "RTMIN+", 6) == 0 && isdigit((unsigned char)word[6])) {
        n = strtol(word + 6, &end, 10);
        return !*end && n <= SIGRTMAX - SIGRTMIN ? SIGRTMIN + (int)n : -1;
    }
    for (int s = 1; s < SIGRTMIN; s++)
        if (sigabbrev_np(s) && strcasecmp(sigabbrev_np(s), word) == 0)
            return s;
    return -1;
}

/* v1: what stands still does not end either. */
static int let_die(struct found *f, struct zl_error *err)
{
    if (f->status != OCI_PAUSED)
        return 0;
    return container_load_plan(&f->container, err) < 0
               ? -1
               : carry_freeze(f->container.carry, false, err);
}

/* Its first process, which was killed. */
static int wait_for_end(int pidfd, const char *id, struct zl_error *err)
{
    const uint64_t deadline = zl_mono_ms() + GONE_MS;
    struct pollfd gone = { .fd = pidfd, .events = POLLIN };

    for (;;) {
        uint64_t now = zl_mono_ms();
        int n = poll(&gone, 1, now < deadline ? (int)(deadline - now) : 0);
        if (n > 0)
            return 0;
        if (n == 0)
            return zl_fail(err, ZL_ERR_TIMEOUT, "kill container '%s': it does not end", id);
        if (errno != EINTR)
            return zl_fail_errno(err, "wait for the end of container '%s'", id);
    }
}

int end_first(struct found *f, struct zl_error *err)
{
    const struct oci_state *state = &f->state;
    zl_autoclose int pidfd = container_pidfd(state, NULL);

    if (pidfd < 0)
        return 0;
    if (k_pidfd_send_signal(pidfd, SIGKILL) < 0 && errno != ESRCH)
        return zl_fail_errno(err, "kill container '%s'", state->id);
    if (let_die(f, err) < 0)
        return -1;
    return wait_for_end(pidfd, state->id, err);
}

void end_child(const struct carry_proc *p)
{
    siginfo_t info;

    if (k_pidfd_send_signal(p->pidfd, SIGKILL) == 0)
        while (waitid(P_PID, (id_t)p->pid, &info, WEXITED) < 0 && errno == EINTR)
            ;
}

static int signal_first(const struct oci_state *state, int signal, struct zl_error *err)
{
    zl_autoclose int pidfd = container_pidfd(state, err);

    if (pidfd < 0)
        return -1;
    if (k_pidfd_send_signal(pidfd, signal) == 0)
        return 0;
    if (errno == ESRCH)
        return zl_fail(err, ZL_ERR_CONFLICT, "container not running");
    return zl_fail_errno(err, "send signal %d to container '%s'", signal, state->id);
}

/* What kill does to each container that it is told. */
struct killing {
    int signal;
    bool all;
};

/* By its cgroups, which must not be those of a later container of its name. */
static int signal_all(struct container *c, int signal, struct zl_error *err)
{
    int there = container_hold(c, false, err);

    if (there == 0)
        return zl_fail(err, ZL_ERR_NOT_FOUND, "container '%s' does not exist", c->id);
    return there < 0 ? -1 : carry_kill_all(c->carry, signal, err);
}

static int kill_one(struct cli *cli, const char *id, void *arg, struct zl_error *err)
{
    const struct killing *k = arg;
    autofound struct found f;

    if (container_find(cli, id, &f, err) < 0)
        return -1;
    if (f.status == OCI_CREATING)
        return zl_fail(err, ZL_ERR_CONFLICT, "container '%s' is being created", id);
    if (container_load_plan(&f.container, err) < 0 ||
        (k->all ? signal_all(&f.container, k->signal, err)
                : signal_first(&f.state, k->signal, err)) < 0)
        return -1;
    return k->signal == SIGKILL ? let_die(&f, err) : 0;
}

static int send_signal(struct cli *cli, const void *options, int argc, char **argv,
                       struct zl_error *err)
{
    const struct kill_options *o = options;
    const char *word = argc > 1 ? argv[1] : "TERM";
    struct killing k = { .signal = parse_signal(word), .all = o->all };

    if (k.signal < 0)
        return zl_fail(err, ZL_ERR_INVALID, "unknown signal '%s'", word);
    return o->regex ? containers_matching(cli, argv[0], kill_one, &k, err)
                    : kill_one(cli, argv[0], &k, err);
}

/* clang-format off */
static const struct cli_option kill_options[] = {
    { 'a', "all",   CLI_FLAG, offsetof(struct kill_options, all),   NULL, "to every process of the container, not only the first", NULL },
    { 'r', "regex", CLI_FLAG, offsetof(struct kill_options, regex), NULL, "ID is a regular expression: every container that matches", NULL },
    { 0 },
};
/* clang-format on */

const struct cli_command kill_command = {
    .name = "kill",
    .args = "ID [SIGNAL]",
    .summary = "Send a signal (TERM) to the first process",
    .examples = "zlayer-oci kill web\tSIGTERM\n"
                "zlayer-oci kill --all web KILL\tto each of its processes",
    .options = kill_options,
    .options_size = sizeof(struct kill_options),
    .completes = "container",
    .min_args = 1,
    .max_args = 2,
    .act = send_signal,
};
