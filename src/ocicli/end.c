// SPDX-License-Identifier: Apache-2.0
/* state, kill and delete: what another process does with a container that is there. */
#include <ctype.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "ocicli/verbs.h"
#include "sandbox/kernel.h"

enum { GONE_MS = 10000 };

int verb_state(const struct options *o, struct zl_error *err)
{
    autocontainer struct container c;
    autocistate struct oci_state state = { 0 };
    zl_autobuf struct zl_buf text = ZL_BUF(1 << 20);
    enum oci_status status;

    if (container_open(o, &c, err) < 0 || container_status(&c, &state, &status, err) < 0)
        return -1;
    if (!state.bundle)
        return zl_fail(err, ZL_ERR_CONFLICT, "container '%s' was not created completely; delete it",
                       c.id);
    if (oci_state_print(&state, status, &text, err) < 0)
        return -1;
    return zl_write_all(STDOUT_FILENO, text.data, text.len, "standard output", err);
}

/* "TERM", "SIGTERM", "15", "RTMIN+3"; -1: none of them. */
static int parse_signal(const char *word)
{
    char *end;
    long n = strtol(word, &end, 10);

    if (isdigit((unsigned char)word[0]))
        return !*end && n > 0 && n <= SIGRTMAX ? (int)n : -1;
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

static int signal_first(const struct oci_state *state, int signal, struct zl_error *err)
{
    zl_autoclose int pidfd = k_pidfd_open((pid_t)state->pid);

    if (pidfd >= 0 && oci_state_alive(state) && k_pidfd_send_signal(pidfd, signal) == 0)
        return 0;
    if (pidfd < 0 || errno == ESRCH || !oci_state_alive(state))
        return zl_fail(err, ZL_ERR_CONFLICT, "container not running");
    return zl_fail_errno(err, "send signal %d to container '%s'", signal, state->id);
}

int verb_kill(const struct options *o, struct zl_error *err)
{
    autocontainer struct container c;
    autocistate struct oci_state state = { 0 };
    const char *word = o->n_words > 1 ? o->words[1] : "TERM";
    int signal = parse_signal(word);
    enum oci_status status;

    if (signal < 0)
        return zl_fail(err, ZL_ERR_INVALID, "unknown signal '%s'", word);
    if (container_open(o, &c, err) < 0 || container_status(&c, &state, &status, err) < 0)
        return -1;
    if (o->all)
        return container_load_plan(&c, err) < 0 ? -1 : carry_kill_all(c.carry, signal, err);
    if (status == OCI_STOPPED)
        return zl_fail(err, ZL_ERR_CONFLICT, "container not running");
    return signal_first(&state, signal, err);
}

/* SIGKILL to the first process; its PID namespace, where it has one, goes with it. */
static int kill_first(const struct oci_state *state, struct zl_error *err)
{
    zl_autoclose int pidfd = k_pidfd_open((pid_t)state->pid);
    struct pollfd gone = { .fd = pidfd, .events = POLLIN };

    if (pidfd < 0 || !oci_state_alive(state))
        return 0;
    if (k_pidfd_send_signal(pidfd, SIGKILL) < 0 && errno != ESRCH)
        return zl_fail_errno(err, "kill container '%s'", state->id);
    if (poll(&gone, 1, GONE_MS) == 0)
        return zl_fail(err, ZL_ERR_TIMEOUT, "kill container '%s': it does not end", state->id);
    return 0;
}

int verb_delete(const struct options *o, struct zl_error *err)
{
    autocontainer struct container c;
    autocistate struct oci_state state = { 0 };
    autociconfig struct oci_config *config = NULL;
    enum oci_status status;

    if (container_open(o, &c, err) < 0)
        return o->force && err->kind == ZL_ERR_NOT_FOUND ? 0 : -1;
    if (container_status(&c, &state, &status, err) < 0)
        return -1;
    if (status != OCI_STOPPED && !o->force)
        return zl_fail(err, ZL_ERR_CONFLICT, "cannot delete container '%s': it is %s", c.id,
                       oci_status_name(status));
    if (status != OCI_STOPPED && kill_first(&state, err) < 0)
        return -1;
    if (faccessat(c.dir_fd, "plan", F_OK, 0) == 0 && container_load_plan(&c, err) < 0)
        return -1;
    if (hooks_kept(&c, &config, err) < 0 || container_remove(&c, err) < 0)
        return -1;
    state.pid = 0;
    hooks_run_all(o, &config->hooks.poststop, "poststop", &state, OCI_STOPPED);
    return 0;
}
