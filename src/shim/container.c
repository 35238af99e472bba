// SPDX-License-Identifier: Apache-2.0
/*
 * The container's way through its phases. What others wait for comes first, cleaning up after it:
 * when the first process has ended, its status is recorded and told, then cgroups are removed.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/clock.h"
#include "base/fd.h"
#include "monitor/exitrec.h"
#include "shim/shim.h"

static void set_phase(struct shim *s, enum mon_phase phase)
{
    s->phase = phase;
}

/* --- create --- */

enum { FD_PLAN, FD_RUN, FD_STATE, FD_LOG };

static bool is_name(const char *text, size_t size)
{
    size_t n = strnlen(text, size);
    return n > 0 && n < size && text[0] != '.' && !memchr(text, '/', n);
}

static int check_create(const struct mon_create *c, int n_fds, struct zl_error *err)
{
    int wanted = (c->flags & MON_CREATE_NO_LOG ? FD_LOG : FD_LOG + 1);

    if (!is_name(c->id, sizeof c->id))
        return zl_fail(err, ZL_ERR_INVALID, "create: no id of a container");
    if (!(c->flags & MON_CREATE_NO_LOG) && !is_name(c->log_name, sizeof c->log_name))
        return zl_fail(err, ZL_ERR_INVALID, "create: no name of a log");
    if (c->n_plan_fds > ZL_MSG_FDS || n_fds != wanted + (int)c->n_plan_fds)
        return zl_fail(err, ZL_ERR_PROTOCOL,
                       "create: %d descriptors came, %d and %u of the plan expected", n_fds, wanted,
                       c->n_plan_fds);
    return 0;
}

static void take_fds(struct shim *s, struct zl_msg *m)
{
    int first = s->create.flags & MON_CREATE_NO_LOG ? FD_LOG : FD_LOG + 1;

    s->run_fd = zl_take_fd(&m->fds[FD_RUN]);
    s->state_fd = zl_take_fd(&m->fds[FD_STATE]);
    s->n_plan_fds = s->create.n_plan_fds;
    for (size_t i = 0; i < s->n_plan_fds; i++)
        s->plan_fds[i] = zl_take_fd(&m->fds[first + (int)i]);
}

static const struct streams_events container_streams;

static int open_streams(struct shim *s, struct zl_error *err)
{
    struct streams_opts opts = {
        .tty = s->create.flags & MON_CREATE_TTY,
        .stdin_open = s->create.flags & MON_CREATE_STDIN,
        .first_holds = s->create.flags & MON_CREATE_ATTACH_FIRST,
        .log = s->log,
    };
    return streams_open(&s->loop, &opts, &container_streams, s, &s->streams, err);
}

/* The descriptors of a guest's kind come first, then those of the plan. */
static int new_carry(struct shim *s, const struct plan *plan, struct zl_error *err)
{
    size_t own = s->guest ? s->guest->n_fds : 0;

    if (s->n_plan_fds < own)
        return zl_fail(err, ZL_ERR_PROTOCOL, "create: %zu descriptors of the guest's kind expected",
                       own);
    return carry_new(plan, s->plan_fds + own, s->n_plan_fds - own, &s->carry, err);
}

static void let_sysfs_go(struct shim *s)
{
    zl_closep(&s->sysfs_fd);
    s->sysfs_fd = -1;
}

/* We were born into a network namespace for the container: out again when it wants another. */
static int use_network(struct shim *s, const struct plan *plan, struct zl_error *err)
{
    if (s->in_network && !(plan->namespaces & CLONE_NEWNET)) {
        if (setns(s->host_network_fd, CLONE_NEWNET) < 0)
            return zl_fail_errno(err, "return to the network of the host");
        s->in_network = false;
    }
    if (!s->in_network || plan->process.flags & PLAN_USER_NS) /* its owner mounts one of his own */
        let_sysfs_go(s);
    zl_closep(&s->host_network_fd);
    s->host_network_fd = -1;
    return 0;
}

/* What is made outside of this process comes last, and is undone when it is not the very last. */
static int make_container(struct shim *s, struct zl_msg *m, struct zl_error *err)
{
    const struct plan *plan;

    zl_msg_body(m, &s->create, sizeof s->create);
    if (check_create(&s->create, m->n_fds, err) < 0)
        return -1;
    if (mapping_open(m->fds[FD_PLAN], &s->plan, err) < 0 ||
        plan_check(s->plan.bytes, s->plan.size, &plan, err) < 0)
        return -1;
    if (!(s->create.flags & MON_CREATE_NO_LOG) &&
        logfile_open(m->fds[FD_LOG], s->create.log_name, s->create.log_max_bytes, &s->log, err) < 0)
        return -1;
    take_fds(s, m);
    if (open_streams(s, err) < 0 || new_carry(s, plan, err) < 0)
        return -1;
    if (use_network(s, plan, err) < 0 ||
        carry_prepare(s->carry, s->in_network ? CARRY_NET_ENTERED : CARRY_NET_OWN, err) < 0)
        return -1;
    if ((s->guest && s->guest->created(s, err) < 0) ||
        server_listen(s->server, s->run_fd, err) < 0) {
        (void)carry_remove(s->carry, NULL); /* the first failure is the one to report */
        return -1;
    }
    return 0;
}

int container_create(struct shim *s, struct server_request *rq, struct zl_error *err)
{
    (void)setsid();    /* fails only for a leader, which is as good */
    (void)!chdir("/"); /* "/" always can be entered */
    if (make_container(s, rq->msg, err) < 0) {
        loop_stop(&s->loop); /* after the answer: a monitor serves one container or none */
        return -1;
    }
    set_phase(s, MON_PHASE_CREATED);
    server_answer(s->server, &rq->ticket, NULL, 0, -1);
    if (s->guest) /* its process is there; belonging to the monitors is its host's doing */
        oom_watch(s);
    return 0;
}

/* --- signals --- */

int container_signal(struct shim *s, int signal, struct zl_error *err)
{
    if (signal < 1 || signal > SIGRTMAX)
        return zl_fail(err, ZL_ERR_INVALID, "signal %d does not exist", signal);
    if (s->init_ended)
        return 0; /* it was gone before the signal could have any effect */
    if (syscall(SYS_pidfd_send_signal, s->init.pidfd, signal, NULL, 0) < 0 && errno != ESRCH)
        return zl_fail_errno(err, "send signal %d", signal);
    return 0;
}

int container_kill(struct shim *s, struct zl_error *err)
{
    int rc = carry_kill_all(s->carry, SIGKILL, err);
    if (rc < 0) /* no cgroup to find them in: the first at least */
        rc = container_signal(s, SIGKILL, err);
    s->paused = s->paused && rc < 0; /* who is killed is thawed for it */
    return rc;
}

/* --- start --- */

/*
 * The last process of a mount namespace unmounts all of it before its end is seen: grace periods of
 * the kernel, and with an overlay a sync of the whole file system below it, which takes as long as
 * there is dirty data of anybody. Whoever holds the namespace does that instead. May fail: then the
 * end takes so long.
 */
static void hold_mounts(struct shim *s)
{
    const struct plan *plan = s->plan.bytes;
    char path[64];

    if (s->guest || !(s->create.flags & MON_CREATE_MOUNTS_LATE) ||
        !(plan->namespaces & CLONE_NEWNS))
        return;
    /* not reaped, so it is that process */
    (void)snprintf(path, sizeof path, "/proc/%d/ns/mnt", (int)s->init.pid);
    s->mounts_fd = open(path, O_RDONLY | O_CLOEXEC);
}

static void let_mounts_go(void *arg)
{
    struct shim *s = arg;

    zl_closep(&s->mounts_fd);
    s->mounts_fd = -1;
}

static int launch(struct shim *s, struct zl_error *err)
{
    const struct plan *plan = s->plan.bytes;
    struct carry_start how = {
        .gate = -1,
        .report = -1,
        .outcome = -1,
        .rows = size_or(s->create.rows, plan->process.rows, 24),
        .cols = size_or(s->create.cols, plan->process.cols, 80),
    };

    streams_child_ends(s->streams, how.stdio, &how.console_socket);
    if (s->guest ? s->guest->start(s, &how, &s->init, err) < 0
                 : carry_start(s->carry, &how, &s->init, err) < 0) {
        streams_cut(s->streams);
        return -1;
    }
    s->exit.started_wall_ns = zl_wall_ns();
    hold_mounts(s);
    let_sysfs_go(s); /* its own mount holds it, if it has one */
    set_phase(s, MON_PHASE_RUNNING);
    if (streams_started(s->streams, err) < 0) {
        (void)container_kill(s, NULL); /* its end is seen as any other */
        return -1;
    }
    return 0;
}

static void settle(void *arg)
{
    struct shim *s = arg;

    belong_to_monitors(s->plan.bytes);
    if (s->init_ended)
        return;
    oom_watch(s);
    (void)oom_tell(s); /* what was killed until now */
}

static int start_now(struct shim *s, struct server_ticket *ticket, struct zl_error *err)
{
    if (launch(s, err) < 0)
        return -1;
    struct mon_started started = { .pid = s->init.pid, .started_wall_ns = s->exit.started_wall_ns };
    server_answer(s->server, ticket, &started, sizeof started, -1);
    if (s->guest) /* it may have ended already, and waits for nothing but us */
        return 0;
    /* nobody waits for that, and what ends at once is told at once */
    loop_arm(&s->loop, &s->settle_timer, SHIM_SETTLE_LATER_MS, settle, s);
    return 0;
}

static void attach_is_late(void *arg)
{
    struct shim *s = arg;
    struct zl_error err;

    (void)zl_fail(&err, ZL_ERR_TIMEOUT, "start: no client attached within %d s",
                  SHIM_ATTACH_FIRST_MS / 1000);
    server_refuse(s->server, &s->start_ticket, &err);
}

int container_start(struct shim *s, struct server_request *rq, struct zl_error *err)
{
    if (s->start_ticket.type)
        return zl_fail(err, ZL_ERR_CONFLICT, "start: it is being started");
    if (s->forgotten) /* only its clients are still served: nobody would find what started now */
        return zl_fail(err, ZL_ERR_CONFLICT, "start: it has been forgotten");
    if (s->create.flags & MON_CREATE_ATTACH_FIRST && streams_clients(s->streams) == 0) {
        s->start_ticket = rq->ticket;
        loop_arm(&s->loop, &s->attach_timer, SHIM_ATTACH_FIRST_MS, attach_is_late, s);
        return 0;
    }
    return start_now(s, &rq->ticket, err);
}

/* A timer of no delay, so that the client has its answer before the start takes our time. */
static void start_attached(void *arg)
{
    struct shim *s = arg;
    struct zl_error err;

    if (start_now(s, &s->start_ticket, &err) < 0)
        server_refuse(s->server, &s->start_ticket, &err);
}

int container_attach(struct shim *s, int *ret_fd, struct zl_error *err)
{
    *ret_fd = streams_attach(s->streams, err);
    if (*ret_fd < 0)
        return -1;
    if (s->start_ticket.type)
        loop_arm(&s->loop, &s->attach_timer, 0, start_attached, s);
    return 0;
}

int container_resize(struct shim *s, uint16_t rows, uint16_t cols, struct zl_error *err)
{
    if (s->phase != MON_PHASE_CREATED)
        return streams_resize(s->streams, rows, cols, err);
    s->create.rows = rows; /* the terminal will be born with it */
    s->create.cols = cols;
    return 0;
}

/* --- pause, update --- */

int container_pause(struct shim *s, bool pause, struct zl_error *err)
{
    if (s->paused == pause)
        return zl_fail(err, ZL_ERR_CONFLICT, "%s: it is %s", pause ? "pause" : "unpause",
                       pause ? "paused already" : "not paused");
    if (s->init_ended)
        return zl_fail(err, ZL_ERR_CONFLICT, "pause: it is ending");
    if (carry_freeze(s->carry, pause, err) < 0)
        return -1;
    s->paused = pause;
    return 0;
}

/* What was sent to stop it can only be heeded by who runs. */
static void thaw(struct shim *s)
{
    if (s->paused && carry_freeze(s->carry, false, NULL) == 0)
        s->paused = false;
}

int container_update(struct shim *s, int memfd, struct zl_error *err)
{
    const struct plan_update *u;
    struct mapping m;

    if (mapping_open(memfd, &m, err) < 0)
        return zl_wrap(err, "update");
    int rc = plan_update_check(m.bytes, m.size, &u, err) < 0 ? -1 : carry_update(s->carry, u, err);
    mapping_close(&m);
    return rc < 0 ? zl_wrap(err, "update") : 0;
}

/* --- running --- */

static void grace_is_over(void *arg)
{
    (void)container_kill(arg, NULL); /* who waits for the end sees what came of it */
}

/* Clients come and go while a container runs: who left must not take the place of others. */
static void drop_waiters_that_left(struct shim *s)
{
    size_t kept = 0;

    for (size_t i = 0; i < s->n_waiters; i++)
        if (server_is_awaited(s->server, &s->waiters[i]))
            s->waiters[kept++] = s->waiters[i];
    s->n_waiters = kept;
}

int container_wait(struct shim *s, struct server_request *rq, struct zl_error *err)
{
    if (s->phase == MON_PHASE_EXITED) {
        server_answer(s->server, &rq->ticket, &s->exit, sizeof s->exit, -1);
        return 0;
    }
    if (s->n_waiters == SHIM_WAITERS_MAX)
        drop_waiters_that_left(s);
    if (s->n_waiters == SHIM_WAITERS_MAX)
        return zl_fail(err, ZL_ERR_CONFLICT, "%d wait for the end already", SHIM_WAITERS_MAX);
    s->waiters[s->n_waiters++] = rq->ticket;
    return 0;
}

static int stop_signal(const struct shim *s, const struct mon_stop *stop)
{
    if (stop->signal)
        return stop->signal;
    return s->create.stop_signal ? s->create.stop_signal : SIGTERM;
}

int container_stop(struct shim *s, struct server_request *rq, struct zl_error *err)
{
    struct mon_stop stop;

    zl_msg_body(rq->msg, &stop, sizeof stop);
    if (s->phase == MON_PHASE_RUNNING && container_signal(s, stop_signal(s, &stop), err) < 0)
        return -1;
    thaw(s);
    if (container_wait(s, rq, err) < 0)
        return -1;
    uint64_t deadline = zl_mono_ms() + stop.grace_ms;
    if (s->phase == MON_PHASE_RUNNING && /* the most impatient one decides */
        (!s->stop_timer.armed || s->stop_timer.at_ms > deadline))
        loop_arm(&s->loop, &s->stop_timer, stop.grace_ms, grace_is_over, s);
    return 0;
}

/* Field 22 of /proc/PID/stat; the command in field 2 may hold anything, so from its last ')'. */
static uint64_t start_time(pid_t pid)
{
    char path[64];
    zl_autobuf struct zl_buf text = ZL_BUF(4096);

    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (zl_read_file(AT_FDCWD, path, &text, NULL) < 0)
        return 0;
    const char *p = strrchr(text.data, ')');
    for (int field = 2; p && field < 22; field++)
        p = strchr(p + 1, ' ');
    return p ? strtoull(p, NULL, 10) : 0;
}

void container_state(struct shim *s, struct mon_state *ret)
{
    *ret = (struct mon_state){
        .phase = s->phase,
        .started_wall_ns = s->exit.started_wall_ns,
        .monitor_pid = getpid(),
        .create_flags = s->create.flags,
        .log_bytes_lost = s->log ? logfile_bytes_lost(s->log) : 0,
    };
    if (s->phase == MON_PHASE_RUNNING && !s->init_ended) {
        if (!s->init_start)
            s->init_start = start_time(s->init.pid); /* not reaped, so it is that process */
        ret->pid = s->init.pid;
        ret->pid_start = s->init_start;
        ret->paused = s->paused;
        if (s->guest)
            s->guest->state(s, ret);
    }
    if (s->phase == MON_PHASE_EXITED)
        ret->exit = s->exit;
}

/* --- the end --- */

static void record_exit(struct shim *s)
{
    uint64_t kills = 0, peak = 0;
    struct zl_error err;

    if (carry_oom_kills(s->carry, &kills, &peak, NULL) == 0) {
        s->exit.oom = kills > 0;
        s->exit.oom_peak_bytes = kills > 0 ? peak : 0;
    }
    s->exit.finished_wall_ns = zl_wall_ns();
    if (exitrec_write(s->run_fd, &s->exit, false, &err) < 0)
        (void)dprintf(2, "zlayer-shim %s: %s\n", s->create.id, err.msg);
    if (s->create.flags & MON_CREATE_DURABLE_EXIT &&
        exitrec_write(s->state_fd, &s->exit, true, &err) < 0)
        (void)dprintf(2, "zlayer-shim %s: %s\n", s->create.id, err.msg);
}

static void answer_waiters(struct shim *s, uint16_t type)
{
    size_t kept = 0;

    for (size_t i = 0; i < s->n_waiters; i++) {
        if (s->waiters[i].type == type)
            server_answer(s->server, &s->waiters[i], &s->exit, sizeof s->exit, -1);
        else
            s->waiters[kept++] = s->waiters[i];
    }
    s->n_waiters = kept;
}

static void finish(struct shim *s)
{
    struct zl_error err;

    loop_disarm(&s->loop, &s->drain_timer);
    loop_disarm(&s->loop, &s->stop_timer);
    oom_unwatch(s);
    record_exit(s);
    set_phase(s, MON_PHASE_EXITED);
    server_tell(s->server, MON_EV_EXIT, &s->exit, sizeof s->exit);
    answer_waiters(s, MON_WAIT);
    /* Whoever was told is woken on our processor, as by one who is about to sleep
     * (sock_def_readable), and would wait until the cgroups are removed, while others idle. */
    (void)sched_yield();
    streams_finish(s->streams, &s->exit);
    if (carry_remove(s->carry, &err) < 0) /* tried again by forget, which reports it */
        (void)dprintf(2, "zlayer-shim %s: %s\n", s->create.id, err.msg);
    answer_waiters(s, MON_STOP); /* these want every process gone */
    if (s->mounts_fd >= 0)
        loop_arm(&s->loop, &s->mounts_timer, SHIM_MOUNTS_LATER_MS, let_mounts_go, s);
    container_forget_if_asked(s);
    container_may_be_unwanted(s);
}

static void finish_now(void *arg)
{
    finish(arg);
}

static void output_ended(void *arg)
{
    struct shim *s = arg;

    if (s->init_ended && s->phase == MON_PHASE_RUNNING)
        finish(s);
}

bool container_reaped(struct shim *s, pid_t pid, int code, int signal)
{
    if (s->phase != MON_PHASE_RUNNING || s->init_ended || pid != s->init.pid)
        return false;
    s->init_ended = true;
    s->exit.code = code;
    s->exit.signal = signal;
    if (s->guest)
        s->guest->ended(s);
    const struct plan *plan = s->plan.bytes;
    /* The end of a PID namespace is the end of all in it, and a guest is one process. */
    if (!(plan->namespaces & CLONE_NEWPID) && !s->guest)
        (void)carry_kill_all(s->carry, SIGKILL, NULL); /* carry_remove does it again and reports */
    if (streams_drain(s->streams))
        finish(s);
    else
        loop_arm(&s->loop, &s->drain_timer, SHIM_DRAIN_MS, finish_now, s);
    return true;
}

static void client_left(void *arg)
{
    (void)container_end_if_quiet(arg);
    container_may_be_unwanted(arg);
}

static const struct streams_events container_streams = { .ended = output_ended,
                                                         .left = client_left };

void container_done(struct shim *s)
{
    streams_free(s->streams);
    logfile_free(s->log);
    carry_free(s->carry);
    mapping_close(&s->plan);
    for (size_t i = 0; i < s->n_plan_fds; i++)
        zl_closep(&s->plan_fds[i]);
    zl_closep(&s->init.pidfd);
    zl_closep(&s->mounts_fd);
    zl_closep(&s->host_network_fd);
    zl_closep(&s->sysfs_fd);
    zl_closep(&s->run_fd);
    zl_closep(&s->state_fd);
}
