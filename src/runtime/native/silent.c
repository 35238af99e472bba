// SPDX-License-Identifier: Apache-2.0
/*
 * A monitor that is not heard is not dead: others may crowd its socket, it may be stopped or short
 * of memory, or it has cut off an agent that did not read in time. Only a socket where nobody
 * listens tells of its death (docs/protocol.md, "Where, and who may"); until it is heard or known
 * to be dead it is dialled again, and what runs under it goes on.
 */
#include <errno.h>
#include <event2/event.h>

#include "runtime/native/inner.h"

enum { PAUSE_MS = 500 };

enum dialled container_dial(const struct container *c, dial_fn open, struct mon_client **ret)
{
    struct zl_error err = { 0 };
    zl_autoclose int run_fd = container_open_run_dir(c, &err);
    if (run_fd < 0)
        return err.errnum == ENOENT ? DIALLED_NOBODY : DIALLED_IN_VAIN;
    if (open(run_fd, ret, &err) == 0)
        return DIALLED;
    return err.kind == ZL_ERR_UNREACHABLE ? DIALLED_NOBODY : DIALLED_IN_VAIN;
}

/* -1: it is not known to listen. */
static int say_hello(struct container *c, struct mon_client *mon)
{
    uint64_t op = ++c->n->last_op;
    if (mon_client_send_hello(mon, op, true, NULL, NULL) < 0) {
        mon_client_free(mon);
        return -1;
    }
    if (container_connect(c, mon, NULL) < 0)
        return -1;
    c->hello_op = op;
    return 0;
}

static void dial(int fd, short what, void *arg)
{
    struct container *c = arg;
    struct mon_client *mon = NULL;
    bool receiving = c->receiving;
    (void)fd;
    (void)what;

    c->receiving = true; /* whoever is told of its end may free it: not under our feet */
    enum dialled d = container_dial(c, mon_client_open_now, &mon);
    if (d == DIALLED_NOBODY)
        container_lost(c);
    else if (d == DIALLED_IN_VAIN || say_hello(c, mon) < 0)
        container_silent(c, false);
    c->receiving = receiving;
    if (c->doomed && !receiving)
        container_free(c);
}

void container_silent(struct container *c, bool now)
{
    const struct timeval pause = { 0, PAUSE_MS * 1000 };
    container_disconnect(c);
    c->silent = true;
    if (now) {
        dial(-1, 0, c);
        return;
    }
    c->again = evtimer_new(c->n->rt.base, dial, c);
    if (!c->again || evtimer_add(c->again, &pause) < 0)
        container_disconnect(c); /* no memory: it is left to the next agent */
}

void container_heard(struct container *c, const struct mon_message *m)
{
    const struct inst_exit unknown = { .code = 255, .lost = true };
    uint64_t op = c->hello_op;
    if (m->type == MON_ERROR) { /* as for one that does not answer */
        container_silent(c, false);
        return;
    }
    c->silent = false;
    c->hello_op = 0;
    native_calls_cut(c, op);
    if (c->doomed)
        return;
    const struct inst_exit exit = exit_of(&m->state.exit);
    if (m->state.phase == MON_PHASE_RUNNING) {
        c->pid = m->state.pid;
        c->paused = m->state.paused != 0;
    }
    if (m->state.phase == MON_PHASE_EXITED)
        container_tell_exit(c, &exit);
    else if (m->state.phase == MON_PHASE_CREATED && c->started)
        container_tell_exit(c, &unknown); /* was taken for running when nobody could tell */
}
