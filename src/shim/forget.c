// SPDX-License-Identifier: Apache-2.0
/*
 * FORGET: nothing that was made for the container stays, and then the monitor ends: at once, or
 * when the clients that have not taken all of its output have done so or given up.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "shim/shim.h"

/* The run directory, by its name in its parent when that is still the same directory. */
static int remove_run_directory(const struct shim *s, struct zl_error *err)
{
    struct stat mine, named;
    zl_autoclose int parent = zl_open_dir(s->run_fd, "..", err);

    if (parent < 0)
        return -1;
    if (fstat(s->run_fd, &mine) < 0)
        return zl_fail_errno(err, "look at the run directory '%s'", s->create.id);
    if (fstatat(parent, s->create.id, &named, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno == ENOENT) /* somebody was quicker: then there is nothing to stay for */
            return 0;
        return zl_fail_errno(err, "find the run directory '%s'", s->create.id);
    }
    if (mine.st_dev != named.st_dev || mine.st_ino != named.st_ino)
        return zl_fail(err, ZL_ERR_CONFLICT, "the run directory is not called '%s'", s->create.id);
    return zl_remove_tree(parent, s->create.id, err);
}

static bool is_left_alone(const struct shim *s)
{
    return (s->phase == MON_PHASE_CREATED || s->phase == MON_PHASE_EXITED) &&
           server_connections(s->server) == 0 && streams_clients(s->streams) == 0 &&
           s->n_execs == 0;
}

/* Who removed the directory could not reach us, and has killed what ran. */
static void look_for_directory(void *arg)
{
    struct shim *s = arg;
    struct stat st;
    struct zl_error err;

    if (!is_left_alone(s))
        return; /* the end of what is there still calls us again */
    if (fstat(s->run_fd, &st) < 0 || st.st_nlink > 0) {
        s->unwanted_ms =
            s->unwanted_ms < SHIM_UNWANTED_MAX_MS / 2 ? s->unwanted_ms * 2 : SHIM_UNWANTED_MAX_MS;
        loop_arm(&s->loop, &s->unwanted_timer, s->unwanted_ms, look_for_directory, s);
        return;
    }
    if (carry_remove(s->carry, &err) < 0)
        (void)dprintf(2, "zlayer-shim %s: %s\n", s->create.id, err.msg);
    loop_stop(&s->loop);
}

void container_may_be_unwanted(struct shim *s)
{
    if (!is_left_alone(s))
        return;
    s->unwanted_ms = SHIM_UNWANTED_MS;
    loop_arm(&s->loop, &s->unwanted_timer, s->unwanted_ms, look_for_directory, s);
}

static void linger_is_over(void *arg)
{
    struct shim *s = arg;
    loop_stop(&s->loop);
}

bool container_end_if_quiet(struct shim *s)
{
    bool quiet = s->forgotten && streams_clients(s->streams) == 0 && s->n_execs == 0;

    if (quiet)
        loop_stop(&s->loop);
    return quiet;
}

static void cancel_waiters(struct shim *s)
{
    struct zl_error err;

    (void)zl_fail(&err, ZL_ERR_CANCELLED, "the container was removed before it ran");
    for (size_t i = 0; i < s->n_waiters; i++)
        server_refuse(s->server, &s->waiters[i], &err);
    s->n_waiters = 0;
    server_refuse(s->server, &s->start_ticket, &err);
}

void container_forget_if_asked(struct shim *s)
{
    struct zl_error err;

    if (!s->forgetting)
        return;
    if (carry_remove(s->carry, &err) < 0 || remove_run_directory(s, &err) < 0) {
        s->forgetting = false; /* may be asked again */
        server_refuse(s->server, &s->forget_ticket, &err);
        return;
    }
    cancel_waiters(s);
    loop_disarm(&s->loop, &s->attach_timer);
    if (s->phase == MON_PHASE_CREATED)
        streams_cut(s->streams);
    exec_drop_unused(s);
    server_answer(s->server, &s->forget_ticket, NULL, 0, -1);
    s->forgotten = true;
    if (!container_end_if_quiet(s))
        loop_arm(&s->loop, &s->linger_timer, SHIM_LINGER_MS, linger_is_over, s);
}

int container_forget(struct shim *s, struct server_request *rq, struct zl_error *err)
{
    if (s->forgetting)
        return zl_fail(err, ZL_ERR_CONFLICT, "forget: it is being forgotten");
    if (s->phase == MON_PHASE_RUNNING && container_kill(s, err) < 0)
        return -1;
    s->forgetting = true;
    s->forget_ticket = rq->ticket;
    if (s->phase != MON_PHASE_RUNNING) /* else when its end has been recorded */
        container_forget_if_asked(s);
    return 0;
}
