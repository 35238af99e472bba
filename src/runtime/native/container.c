// SPDX-License-Identifier: Apache-2.0
/* One container and the connection to its monitor. */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/id.h"
#include "core/text/names.h"
#include "runtime/native/inner.h"

struct container *container_new(struct native *n, struct inst_id id, struct zl_error *err)
{
    struct container *c = calloc(1, sizeof *c);
    if (!c) {
        (void)zl_fail_errno(err, "keep track of a container");
        return NULL;
    }
    c->n = n;
    c->id = id;
    zl_id_format(id.v, c->id_text);
    (void)snprintf(c->name, sizeof c->name, "%s", c->id_text);
    c->next = n->containers;
    c->link = &n->containers;
    if (c->next)
        c->next->link = &c->next;
    n->containers = c;
    zl_map_add(&n->ids, &c->by_id, id.v);
    return c;
}

struct container *container_find(const struct native *n, struct inst_id id)
{
    for (struct zl_map_node *x = zl_map_find(&n->ids, id.v); x; x = zl_map_next(x)) {
        struct container *c = zl_container_of(x, struct container, by_id);
        if (!c->doomed)
            return c;
    }
    return NULL;
}

void container_set_record(struct container *c, struct record *r)
{
    record_done(&c->record);
    c->record = *r;
    *r = (struct record){ 0 };
    core_name_format(&c->record.label, c->name, sizeof c->name);
}

void container_disconnect(struct container *c)
{
    if (c->readable)
        event_free(c->readable);
    if (c->again)
        event_free(c->again);
    c->readable = c->again = NULL;
    mon_client_free(c->mon);
    c->mon = NULL;
    c->silent = false;
    c->hello_op = 0;
}

static void forget_calls(const struct container *c)
{
    for (struct rt_call *i = c->n->rt.calls; i; i = i->next) {
        struct native_call *k = (struct native_call *)i;
        if (k->c == c)
            k->c = NULL;
    }
}

void container_free(struct container *c)
{
    if (c->receiving) {
        c->doomed = true;
        return;
    }
    container_disconnect(c);
    forget_calls(c);
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    zl_map_remove(&c->n->ids, &c->by_id);
    record_done(&c->record);
    free(c);
}

struct inst_exit exit_of(const struct mon_exit *e)
{
    static const enum exit_why whys[] = {
        [MON_WHY_UNSAID] = EXIT_UNSAID,
        [MON_WHY_TIMEOUT] = EXIT_TIMEOUT,
        [MON_WHY_TRAP] = EXIT_TRAP,
        [MON_WHY_BROKEN] = EXIT_BROKEN,
    };
    return (struct inst_exit){
        .code = e->code,
        .signal = e->signal,
        .oom = e->oom != 0,
        .why = e->why < ZL_ARRAY_LEN(whys) ? whys[e->why] : EXIT_UNSAID,
        .wall_ms = e->finished_wall_ns / 1000000,
    };
}

static void tell_oom(struct container *c)
{
    const struct rt_event ev = { .kind = RT_EV_OOM, .id = c->id };
    c->oom_told = true;
    if (c->n->on_event)
        c->n->on_event(c->n->on_event_arg, &ev);
}

void container_tell_exit(struct container *c, const struct inst_exit *exit)
{
    if (c->has_exit)
        return;
    if (exit->oom && !c->oom_told) /* its monitor was too busy with its end to tell */
        tell_oom(c);
    c->has_exit = true;
    c->paused = false;
    c->pid = 0;
    const struct rt_event ev = { .kind = RT_EV_EXIT, .id = c->id, .exit = *exit };
    if (c->n->on_event)
        c->n->on_event(c->n->on_event_arg, &ev);
}

static void receive_event(struct container *c, const struct mon_message *m)
{
    if (m->type == MON_EV_EXIT) {
        const struct inst_exit exit = exit_of(&m->exit);
        container_tell_exit(c, &exit);
    } else if (m->type == MON_EV_OOM) {
        tell_oom(c);
    }
}

enum taken { GOT, NOT_YET, SKIPPED, CUT };

/* One packet, of a connection that has one. EOF and a reset are the connection's end; a packet that
 * could not be taken (no descriptor was free for what it carries, say) is skipped, and whoever
 * waits for it learns of it by its time limit. */
static enum taken take(struct container *c, struct mon_message *m)
{
    struct zl_error err = { 0 };
    int got = mon_client_recv(c->mon, m, &err);
    if (got > 0)
        return GOT;
    if (got == 0 || err.errnum == ECONNRESET)
        return CUT;
    return err.kind == ZL_ERR_PROTOCOL ? SKIPPED : NOT_YET;
}

static void receive(int fd, short what, void *arg)
{
    struct container *c = arg;
    struct mon_message m;
    enum taken got = GOT;
    (void)fd;
    (void)what;

    c->receiving = true;
    while (c->mon && !c->doomed && ((got = take(c, &m)) == GOT || got == SKIPPED)) {
        if (got == SKIPPED)
            continue;
        if (m.op == 0)
            receive_event(c, &m);
        else if (m.op == c->hello_op)
            container_heard(c, &m);
        else
            native_reply(c, &m);
    }
    if (c->mon && !c->doomed && got == CUT)
        container_silent(c, !c->silent); /* that is not yet its end: it closes who reads too late */
    c->receiving = false;
    if (c->doomed)
        container_free(c);
}

int container_connect(struct container *c, struct mon_client *mon, struct zl_error *err)
{
    struct event *readable =
        event_new(c->n->rt.base, mon_client_fd(mon), EV_READ | EV_PERSIST, receive, c);
    if (!readable || event_add(readable, NULL) < 0) {
        if (readable)
            event_free(readable);
        mon_client_free(mon);
        return zl_fail(err, ZL_ERR_SYSTEM, "listen to the monitor of '%s': out of memory", c->name);
    }
    c->mon = mon;
    c->readable = readable;
    return 0;
}

/* What a monitor leaves behind is nobody's: an unwatched container is ended, not kept. */
void container_lost(struct container *c)
{
    const struct inst_exit lost = { .code = 255, .lost = true, .wall_ms = zl_wall_ms() };
    container_disconnect(c);
    cgroup_kill_all(&c->record);
    native_calls_lost(c);
    if (c->started && !c->doomed)
        container_tell_exit(c, &lost);
}

int container_open_run_dir(const struct container *c, struct zl_error *err)
{
    int fd = zl_open_dir(c->n->run_fd, c->id_text, err);
    return fd >= 0 ? fd : zl_wrap(err, "the run directory of '%s'", c->name);
}

/* Opened while its process is held by a pidfd and lives: it cannot be another's. */
int container_open_proc(const struct container *c, const char *file, int flags,
                        struct zl_error *err)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%lld/%s", (long long)c->pid, file);
    if (c->started && !c->has_exit && c->pid <= 0)
        return zl_fail(err, ZL_ERR_CONFLICT,
                       "container '%s' cannot be looked into: its monitor does not answer now",
                       c->name);
    errno = 0;
    zl_autoclose int pidfd = c->pid > 0 ? (int)syscall(SYS_pidfd_open, (pid_t)c->pid, 0) : -1;
    zl_autoclose int fd = pidfd < 0 ? -1 : open(path, flags | O_CLOEXEC);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM))
        return zl_fail_errno(err, "look into container '%s'", c->name);
    if (fd < 0 || c->has_exit || syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0) < 0)
        return zl_fail(err, ZL_ERR_CONFLICT, "container '%s' does not run", c->name);
    return zl_take_fd(&fd);
}
