// SPDX-License-Identifier: Apache-2.0
/*
 * What exists when an agent starts: every directory of containers/ with a record of ours, and the
 * monitor that answers for it, if one does. What the monitor says counts; without one, its exit
 * record; without that, the container is debris. One that is there and says nothing is waited for
 * later (silent.c), and its container left alone. Runs once, before the agent serves, and may wait
 * for monitors: all are asked first, then each is waited for.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/dir.h"
#include "base/fd.h"
#include "base/id.h"
#include "monitor/exitrec.h"
#include "runtime/native/inner.h"

enum {
    ANSWER_MS = 3000, /* for all monitors together */
    /* A directory without a record that is younger may be another process's (a library's, an
     * agent's), which is just making it; after that time it was given up, by a kill. */
    HALF_MADE_SECONDS = 10,
};

/* A directory without a usable record: nothing was started from it, or a power cut tore it. */
static void drop_unknown(struct native *n, const char *name)
{
    struct mon_client *mon = NULL;
    struct zl_error err = { 0 };
    zl_autoclose int run = zl_open_dir(n->run_fd, name, &err);
    if (run >= 0 ? mon_client_open(run, &mon, &err) == 0 || err.kind != ZL_ERR_UNREACHABLE
                 : err.errnum != ENOENT) {
        mon_client_free(mon);
        return; /* a monitor may live there, of a newer version's record, say */
    }
    (void)zl_remove_tree(n->run_fd, name, NULL); /* what cannot be removed is met again next time */
    (void)trash_take(n->trash, n->containers_fd, name, NULL);
}

static void ask(struct container *c)
{
    struct mon_client *mon = NULL;
    enum dialled d = container_dial(c, mon_client_open, &mon);
    c->silent = d != DIALLED_NOBODY; /* until it has answered */
    if (d != DIALLED)
        return;
    /* The op of the hello is remembered in no call: collect() waits for it by number. */
    if (mon_client_send_hello(mon, c->id.v, true, NULL, NULL) < 0) {
        mon_client_free(mon);
        return;
    }
    c->mon = mon;
}

static bool is_young(int dir_fd)
{
    struct stat st;
    int64_t now = zl_wall_ms() / 1000;
    return fstat(dir_fd, &st) < 0 ||
           (st.st_ctim.tv_sec <= now && now - st.st_ctim.tv_sec < HALF_MADE_SECONDS);
}

static void adopt(struct native *n, const char *name, struct inst_id id)
{
    autorecord struct record record = { 0 };
    struct zl_error err = { 0 };
    zl_autoclose int dir = zl_open_dir(n->containers_fd, name, NULL);
    if (dir < 0)
        return;
    if (record_read(dir, &record, &err) < 0) {
        if ((err.kind == ZL_ERR_NOT_FOUND && !is_young(dir)) || err.kind == ZL_ERR_INVALID)
            drop_unknown(n, name); /* else it could not be read just now */
        return;
    }
    if (strcmp(record.owner, n->owner) != 0 || strcmp(record.runtime, n->rt.ops->name) != 0)
        return;
    struct container *c = container_new(n, id, NULL);
    if (!c)
        return;
    container_set_record(c, &record);
    /* Cgroups and sockets of another boot are gone; an equal path would be somebody else's. */
    if (strcmp(c->record.boot_id, n->boot_id) == 0)
        ask(c);
}

static bool read_exit(int parent_fd, const char *name, struct mon_exit *ret)
{
    zl_autoclose int dir = zl_open_dir(parent_fd, name, NULL);
    return dir >= 0 && exitrec_read(dir, ret, NULL) == 0;
}

static void describe_dead(struct container *c, struct event *ev)
{
    struct mon_exit e;
    bool same_boot = strcmp(c->record.boot_id, c->n->boot_id) == 0;
    if (same_boot)
        cgroup_kill_all(&c->record); /* nobody watches what may still run there */
    if ((same_boot && read_exit(c->n->run_fd, c->id_text, &e)) ||
        read_exit(c->n->containers_fd, c->id_text, &e)) {
        ev->found.state = FOUND_EXITED;
        ev->found.exit = exit_of(&e);
        ev->found.started_wall_ms = e.started_wall_ns / 1000000;
    } else {
        ev->found.state = FOUND_DEBRIS;
    }
    c->has_exit = true;
}

/* Crowded, stopped, or without memory: what runs under it is not ended for that. */
static void describe_silent(struct container *c, struct event *ev)
{
    struct mon_exit e;
    ev->found.state = FOUND_RUNNING;
    if (read_exit(c->n->run_fd, c->id_text, &e)) {
        ev->found.state = FOUND_EXITED;
        ev->found.exit = exit_of(&e);
        ev->found.started_wall_ms = e.started_wall_ns / 1000000;
    }
    c->has_exit = ev->found.state == FOUND_EXITED;
    c->started = !c->has_exit;
    container_silent(c, false);
}

static void describe_living(struct container *c, const struct mon_state *s, struct event *ev)
{
    static const enum found_state states[] = {
        [MON_PHASE_NEW] = FOUND_DEBRIS,
        [MON_PHASE_CREATED] = FOUND_CREATED,
        [MON_PHASE_RUNNING] = FOUND_RUNNING,
        [MON_PHASE_EXITED] = FOUND_EXITED,
    };
    ev->found.state = s->phase < ZL_ARRAY_LEN(states) ? states[s->phase] : FOUND_DEBRIS;
    ev->found.pid = s->pid;
    ev->found.started_wall_ms = s->started_wall_ns / 1000000;
    if (ev->found.state == FOUND_EXITED)
        ev->found.exit = exit_of(&s->exit);
    c->has_exit = ev->found.state == FOUND_EXITED;
    c->started = ev->found.state == FOUND_RUNNING;
    c->pid = c->started ? s->pid : 0;
    c->paused = c->started && s->paused;
}

/* Whether the monitor answered; then it is listened to from now on. */
static bool collect(struct container *c, uint64_t deadline_ms, struct mon_state *ret)
{
    struct mon_message m;
    struct mon_client *mon = zl_take_ptr(c->mon);
    if (!mon)
        return false;
    if (mon_client_await(mon, c->id.v, deadline_ms, &m, NULL) < 0) {
        mon_client_free(mon);
        mon = NULL;
        c->silent = container_dial(c, mon_client_open, &mon) !=
                    DIALLED_NOBODY; /* it may have ended just now */
        mon_client_free(mon);
        return false;
    }
    *ret = m.state;
    if (container_connect(c, mon, NULL) < 0)
        return false;
    c->silent = false;
    return true;
}

static void tell(struct container *c, uint64_t deadline_ms)
{
    struct native *n = c->n;
    struct mon_state state;
    struct rt_event ev = { .kind = RT_EV_FOUND, .id = c->id };
    ev.found.kind = EV_FOUND;
    ev.found.found.id = c->id;
    ev.found.found.label = c->record.label;
    ev.found.found.image_digest = c->record.image;
    ev.found.found.created_wall_ms = c->record.created_wall_ms;
    if (collect(c, deadline_ms, &state))
        describe_living(c, &state, &ev.found);
    else if (c->silent)
        describe_silent(c, &ev.found);
    else
        describe_dead(c, &ev.found);
    n->on_event(n->on_event_arg, &ev);
}

/* zl_entry_fn, of containers/ */
static int meet_state_dir(void *native, const struct dirent *entry, struct zl_error *err)
{
    struct inst_id id;
    (void)err;
    if (zl_id_parse(entry->d_name, &id.v)) /* else it is not ours */
        adopt(native, entry->d_name, id);
    return 0;
}

/* zl_entry_fn: a run directory without a state directory: its container was removed but for that.
 */
static int drop_stale_run_dir(void *native, const struct dirent *entry, struct zl_error *err)
{
    const struct native *n = native;
    const char *name = entry->d_name;
    uint64_t id;
    (void)err;
    if (zl_id_parse(name, &id) && faccessat(n->containers_fd, name, F_OK, 0) < 0)
        (void)zl_remove_tree(n->run_fd, name, NULL); /* met again next time */
    return 0;
}

int native_find_all(struct native *n, struct zl_error *err)
{
    if (zl_dir_each(n->containers_fd, "the containers", meet_state_dir, n, err) < 0 ||
        zl_dir_each(n->run_fd, "the run directories", drop_stale_run_dir, n, err) < 0)
        return -1;
    uint64_t deadline = zl_mono_ms() + ANSWER_MS;
    for (struct container *c = n->containers, *next; c; c = next) {
        next = c->next; /* told, one may be removed */
        tell(c, deadline);
    }
    const struct rt_event end = { .kind = RT_EV_FOUND_END };
    n->on_event(n->on_event_arg, &end);
    return 0;
}
