// SPDX-License-Identifier: Apache-2.0
#include "monitor/attach.h"

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/buf.h"
#include "monitor/frame.h"

enum { INPUT_CHUNK = 4096 };

struct attach_client {
    struct attach_set *set;
    struct attach_client *next;
    struct loop_source source;
    int sock;
    bool holds;
    bool input_over;   /* it sends no more stdin */
    bool output_over;  /* it reads no more, or has got its last frame */
    bool last_frame;   /* the last one is in `out` or sent */
    uint64_t dropped;  /* bytes, not told yet */
    struct zl_buf out; /* waits for the socket */
    size_t sent;       /* of out */
    size_t input_n;    /* in input, not taken yet */
    char input[INPUT_CHUNK];
};

void attach_init(struct attach_set *set, struct loop *loop, const struct attach_events *on,
                 void *arg)
{
    *set = (struct attach_set){ .loop = loop, .on = on, .arg = arg };
}

static void unlink_client(struct attach_client *c)
{
    struct attach_client **at = &c->set->clients;

    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    c->set->n--;
}

static void free_client(struct attach_client *c)
{
    unlink_client(c);
    loop_unwatch(c->set->loop, &c->source);
    zl_closep(&c->sock);
    zl_buf_done(&c->out);
    free(c);
}

void attach_done(struct attach_set *set)
{
    while (set->clients)
        free_client(set->clients);
}

static size_t waiting(const struct attach_client *c)
{
    return c->out.len - c->sent;
}

bool attach_is_full(const struct attach_set *set)
{
    for (const struct attach_client *c = set->clients; c; c = c->next) {
        if (c->holds && waiting(c) >= ATTACH_SOFT)
            return true;
    }
    return false;
}

bool attach_let_go(struct attach_set *set)
{
    bool was_full = attach_is_full(set);

    for (struct attach_client *c = set->clients; c; c = c->next)
        c->holds = false;
    return was_full;
}

/* Who writes stdin now; NULL: nobody. */
static struct attach_client *writer(const struct attach_set *set)
{
    struct attach_client *c = set->clients;

    while (c && c->input_over)
        c = c->next;
    return c;
}

static void watch_what_matters(struct attach_client *c)
{
    bool wants_input = writer(c->set) == c && c->input_n == 0;

    loop_change(c->set->loop, &c->source,
                (wants_input ? EPOLLIN : 0u) | (waiting(c) > 0 ? EPOLLOUT : 0u));
}

static void watch_all(struct attach_set *set)
{
    for (struct attach_client *c = set->clients; c; c = c->next)
        watch_what_matters(c);
}

/* --- output --- */

/* A client that went away: its output is of no use, but stdin that it has sent counts. */
static void close_output(struct attach_client *c)
{
    c->output_over = true;
    zl_buf_done(&c->out);
    c->sent = 0;
}

static void send_waiting(struct attach_client *c)
{
    while (waiting(c) > 0) {
        ssize_t n = send(c->sock, c->out.data + c->sent, waiting(c), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            if (errno != EAGAIN)
                close_output(c);
            return;
        }
        c->sent += (size_t)n;
    }
    zl_buf_done(&c->out); /* a stall is rare: its memory is given back */
    c->sent = 0;
}

/* Appends what the socket did not take of a frame. */
static void keep_rest(struct attach_client *c, const uint8_t *head, const void *bytes, size_t n,
                      size_t done)
{
    if (done < MON_FRAME_HEAD) {
        zl_buf_add(&c->out, head + done, MON_FRAME_HEAD - done);
        done = 0;
    } else {
        done -= MON_FRAME_HEAD;
    }
    zl_buf_add(&c->out, (const char *)bytes + done, n - done);
    if (c->out.failed) /* beyond any bound, or no memory: a cut frame is of no use */
        close_output(c);
}

static void send_frame(struct attach_client *c, uint8_t stream, const void *bytes, size_t n)
{
    uint8_t head[MON_FRAME_HEAD];
    ssize_t sent = 0;

    mon_frame_head(head, stream, (uint32_t)n);
    if (waiting(c) == 0) {
        struct iovec iov[2] = { { head, sizeof head }, { (void *)(uintptr_t)bytes, n } };
        struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };
        do {
            sent = sendmsg(c->sock, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
        } while (sent < 0 && errno == EINTR);
        if (sent < 0 && errno != EAGAIN) {
            close_output(c);
            return;
        }
    }
    if (sent < (ssize_t)(sizeof head + n))
        keep_rest(c, head, bytes, n, sent > 0 ? (size_t)sent : 0);
    watch_what_matters(c);
}

static void tell_dropped(struct attach_client *c)
{
    char text[96];
    int n = snprintf(text, sizeof text,
                     "[zlayer] %llu bytes left out: this client reads too slowly\r\n",
                     (unsigned long long)c->dropped);

    c->dropped = 0;
    send_frame(c, MON_STREAM_STDERR, text, (size_t)n);
}

void attach_write(struct attach_set *set, uint8_t stream, const char *bytes, size_t n)
{
    for (struct attach_client *c = set->clients; c; c = c->next) {
        if (c->output_over || c->last_frame)
            continue;
        if (!c->holds && (c->dropped > 0 || waiting(c) + n > ATTACH_SOFT))
            c->dropped += n;
        else
            send_frame(c, stream, bytes, n);
    }
}

/* Whether nothing more will come from or go to this client. */
static bool is_over(const struct attach_client *c)
{
    if (c->last_frame)
        return c->output_over || waiting(c) == 0;
    return c->output_over && c->input_over;
}

/* The owner is told last: it may free the set. */
static void leave(struct attach_client *c, bool was_full)
{
    struct attach_set *set = c->set;

    free_client(c);
    watch_all(set); /* the next one may write stdin */
    if (was_full && !attach_is_full(set))
        set->on->room(set->arg);
    set->on->left(set->arg);
}

void attach_finish(struct attach_set *set, const struct mon_exit *exit)
{
    struct attach_client *next;
    bool gone = false;

    for (struct attach_client *c = set->clients; c; c = next) {
        next = c->next;
        if (c->last_frame)
            continue;
        if (c->dropped > 0 && !c->output_over)
            tell_dropped(c);
        if (!c->output_over)
            send_frame(c, MON_STREAM_EXIT, exit, sizeof *exit);
        c->last_frame = c->input_over = true;
        watch_what_matters(c);
        if (is_over(c)) {
            free_client(c);
            gone = true;
        }
    }
    if (gone)
        set->on->left(set->arg);
}

/* --- input --- */

/* Hands on what was read; false when stdin takes no more for now. */
static bool pass_input(struct attach_client *c)
{
    size_t taken = c->set->on->input(c->set->arg, c->input, c->input_n);

    c->input_n -= taken;
    memmove(c->input, c->input + taken, c->input_n);
    return c->input_n == 0;
}

static void end_input(struct attach_client *c, bool still_there)
{
    c->input_over = true;
    if (still_there)
        c->set->on->input_end(c->set->arg);
    watch_all(c->set);
}

/* Reads until there is nothing, or stdin is full. */
static void pump_input(struct attach_client *c)
{
    while (!c->input_over && (c->input_n == 0 || pass_input(c))) {
        ssize_t n = recv(c->sock, c->input, sizeof c->input, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            end_input(c, n == 0 && !c->output_over);
            return;
        }
        c->input_n = (size_t)n;
    }
}

void attach_input_wanted(struct attach_set *set)
{
    struct attach_client *c = writer(set);

    if (!c || c->input_n == 0)
        return;
    pump_input(c);
    watch_what_matters(c);
    if (is_over(c))
        leave(c, false);
}

/* --- both --- */

static void client_ready(void *arg, uint32_t events)
{
    struct attach_client *c = arg;
    struct attach_set *set = c->set;
    bool was_full = attach_is_full(set);

    if (events & (EPOLLHUP | EPOLLERR)) { /* both sides closed: what it sent may still lie there */
        close_output(c);
        loop_unwatch(set->loop, &c->source); /* a hang-up would be told again and again */
    }
    if (!c->last_frame && writer(set) == c)
        pump_input(c);
    else if (c->output_over)
        c->input_over = true;
    if (events & EPOLLOUT) {
        send_waiting(c);
        if (waiting(c) == 0 && c->dropped > 0 && !c->output_over)
            tell_dropped(c);
    }
    watch_what_matters(c);
    if (is_over(c))
        leave(c, was_full);
    else if (was_full && !attach_is_full(set))
        set->on->room(set->arg);
}

int attach_add(struct attach_set *set, bool holds, struct zl_error *err)
{
    int pair[2];

    if (set->n >= ATTACH_CLIENTS_MAX)
        return zl_fail(err, ZL_ERR_CONFLICT, "%d clients are attached already", ATTACH_CLIENTS_MAX);
    struct attach_client *c = calloc(1, sizeof *c);
    if (!c)
        return zl_fail_errno(err, "attach");
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        (void)zl_fail_errno(err, "attach: make a socket");
        free(c);
        return -1;
    }
    c->set = set;
    c->sock = pair[0];
    c->holds = holds;
    zl_buf_init(&c->out, ATTACH_HARD);
    struct attach_client **at = &set->clients;
    while (*at)
        at = &(*at)->next;
    *at = c;
    set->n++;
    if (loop_watch(set->loop, &c->source, c->sock, 0, client_ready, c, err) < 0) {
        free_client(c);
        (void)close(pair[1]);
        return -1;
    }
    watch_what_matters(c);
    return pair[1];
}
