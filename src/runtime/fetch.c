// SPDX-License-Identifier: Apache-2.0
#include "runtime/fetch.h"

#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/helper.h"
#include "base/json.h"
#include "base/launch.h"
#include "image/layout.h"
#include "runtime/reap.h"

enum { LINE_MAX_BYTES = 64 * 1024, PIECE = 4096 };

struct fetch {
    struct fetch_task task; /* base, functions and arg of it */
    int pidfd, out;
    int hold; /* shared lock on images/fetching, beyond the process's own: what it stored gets its
               * name in on_end, and until then no other process may collect it. -1: none */
    struct event *readable, *ended;
    struct zl_buf line;
    char digest[80], resolved[80];
    struct zl_error failed;
    bool has_word; /* the last line has come: done or error */
};

static void free_event(struct event *e)
{
    if (e)
        event_free(e);
}

static void fetch_free(struct fetch *f)
{
    free_event(f->readable);
    free_event(f->ended);
    zl_closep(&f->out);
    zl_closep(&f->hold);
    zl_closep(&f->pidfd);
    zl_buf_done(&f->line);
    free(f);
}

void fetch_cancel(struct fetch *f)
{
    if (!f)
        return;
    free_event(f->ended);
    f->ended = NULL;
    reap_killed(f->task.base, zl_take_fd(&f->pidfd));
    fetch_free(f);
}

static void finish(struct fetch *f)
{
    const struct fetch_task task = f->task;
    struct zl_error err = f->failed;
    char digest[sizeof f->digest], resolved[sizeof f->resolved];
    if (!f->has_word)
        (void)zl_fail(&err, ZL_ERR_INTERNAL, "zlayer-fetch ended without a word");
    memcpy(digest, f->digest, sizeof digest);
    memcpy(resolved, f->resolved, sizeof resolved);
    zl_autoclose int hold = zl_take_fd(&f->hold); /* until on_end has returned */
    fetch_free(f);
    const struct fetch_end end = { digest, resolved };
    task.on_end(task.arg, err.kind == ZL_OK ? NULL : &err, &end);
}

/* ---- what it says ------------------------------------------------------------------------- */

static enum zl_err_kind kind_of(const char *word)
{
    for (int k = ZL_OK + 1; k < ZL_ERR_KINDS; k++)
        if (word && strcmp(zl_err_kind_name((enum zl_err_kind)k), word) == 0)
            return (enum zl_err_kind)k;
    return ZL_ERR_SYSTEM;
}

struct word {
    const char *status, *digest, *resolved, *kind, *message;
};

static const struct zl_field word_fields[] = {
    { "status", zl_json_string, offsetof(struct word, status), ZL_REQUIRED, NULL },
    { "digest", zl_json_string, offsetof(struct word, digest), 0, NULL },
    { "resolved", zl_json_string, offsetof(struct word, resolved), 0, NULL },
    { "kind", zl_json_string, offsetof(struct word, kind), 0, NULL },
    { "message", zl_json_string, offsetof(struct word, message), 0, NULL },
    { 0 },
};

static void take_line(struct fetch *f, const char *line, size_t len)
{
    zl_autojson struct zl_json doc = { 0 };
    struct word w = { 0 };
    struct zl_error err = { 0 };
    if (zl_json_parse(&doc, line, len, "zlayer-fetch", &err) < 0 ||
        zl_json_decode(&doc, word_fields, &w, &err) < 0) {
        f->has_word = true;
        f->failed = err;
    } else if (strcmp(w.status, "done") == 0) {
        f->has_word = true;
        (void)snprintf(f->digest, sizeof f->digest, "%s", w.digest ? w.digest : "");
        (void)snprintf(f->resolved, sizeof f->resolved, "%s", w.resolved ? w.resolved : "");
    } else if (strcmp(w.status, "error") == 0) {
        f->has_word = true;
        (void)zl_fail(&f->failed, kind_of(w.kind), "%s", w.message ? w.message : "");
    } else {
        f->task.on_line(f->task.arg, line);
    }
}

static void take_lines(struct fetch *f)
{
    char *end;
    while (!f->has_word && (end = memchr(f->line.data, '\n', f->line.len))) {
        size_t len = (size_t)(end - f->line.data);
        *end = '\0';
        take_line(f, f->line.data, len);
        zl_buf_consume(&f->line, len + 1);
    }
}

/* Takes a piece of it. False: there is none now, or never again. */
static bool take_piece(struct fetch *f)
{
    char *room = zl_buf_reserve(&f->line, PIECE);
    ssize_t n = room ? read(f->out, room, PIECE) : 0; /* no room: no line is that long */
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n <= 0) {
        (void)event_del(f->readable); /* the end of the process comes next */
        zl_closep(&f->out);
        f->out = -1;
        return false;
    }
    f->line.len += (size_t)n;
    f->line.data[f->line.len] = '\0';
    take_lines(f);
    if (f->has_word)
        f->line.len = 0;
    return true;
}

static void on_readable(int fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)take_piece(arg);
}

/* What is still in the pipe comes first; a pipe that others hold open is not waited for. */
static void on_ended(int fd, short what, void *arg)
{
    struct fetch *f = arg;
    siginfo_t info;
    (void)fd;
    (void)what;
    while (f->out >= 0 && !f->has_word && take_piece(f))
        ;
    (void)waitid(P_PIDFD, (id_t)f->pidfd, &info, WEXITED | WNOHANG); /* it has ended */
    finish(f);
}

/* ---- starting it -------------------------------------------------------------------------- */

static int launch(struct fetch *f, const struct fetch_task *t, struct zl_error *err)
{
    zl_autofree char *program = NULL, *command = strdup(t->command), *root = strdup(t->root_dir),
                     *reference = strdup(t->reference ? t->reference : ""),
                     *source = strdup(t->source ? t->source : "");
    char root_flag[] = "--root", ref_flag[] = "--reference", end[] = "--";
    if (!command || !root || !reference || !source)
        return zl_fail_errno(err, "start zlayer-fetch");
    if (zl_helper_path("zlayer-fetch", &program, err) < 0)
        return -1;
    char *argv[9] = { program, command, root_flag, root };
    size_t n = 4;
    if (t->reference) {
        argv[n++] = ref_flag;
        argv[n++] = reference;
    }
    argv[n++] = end;
    argv[n] = t->source ? source : NULL;
    int pair[2];
    zl_autoclose int order =
        t->order ? zl_memory_file("order", t->order, strlen(t->order), err) : -1;
    if (t->order && order < 0)
        return -1;
    if (pipe2(pair, O_CLOEXEC) < 0)
        return zl_fail_errno(err, "make a pipe");
    zl_autoclose int theirs = pair[1];
    f->out = pair[0];
    if (fcntl(f->out, F_SETFL, O_NONBLOCK) < 0)
        return zl_fail_errno(err, "make a pipe");
    struct zl_child child;
    struct zl_launch fetch = {
        .program = program,
        .argv = argv,
        .fds = { order, theirs, 2, t->archive_fd },
        .n_fds = t->archive_fd > 0 ? 4 : 3,
    };
    if (zl_launch(&fetch, &child, err) < 0)
        return -1;
    f->pidfd = child.pidfd;
    return 0;
}

/* Not waited for: whoever collects now does so before the process stores anything, since that waits
 * for the same lock. */
static int hold_store(const char *root_dir)
{
    zl_autofree char *path = NULL;
    if (asprintf(&path, "%s/" LAYOUT_IMAGES "/" LAYOUT_FETCHING, root_dir) < 0)
        return -1;
    zl_autoclose int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) == 0 ? zl_take_fd(&fd) : -1;
}

int fetch_begin(const struct fetch_task *task, struct fetch **ret, struct zl_error *err)
{
    struct fetch *f = calloc(1, sizeof *f);
    if (!f)
        return zl_fail_errno(err, "start zlayer-fetch");
    *f = (struct fetch){
        .task = *task, .pidfd = -1, .out = -1, .hold = -1, .line = ZL_BUF(LINE_MAX_BYTES)
    };
    f->hold = hold_store(task->root_dir);
    if (launch(f, task, err) < 0) {
        fetch_free(f);
        return -1;
    }
    f->readable = event_new(task->base, f->out, EV_READ | EV_PERSIST, on_readable, f);
    f->ended = event_new(task->base, f->pidfd, EV_READ, on_ended, f);
    if (!f->readable || !f->ended || event_add(f->readable, NULL) < 0 ||
        event_add(f->ended, NULL) < 0) {
        fetch_cancel(f);
        return zl_fail(err, ZL_ERR_SYSTEM, "watch zlayer-fetch: out of memory");
    }
    *ret = f;
    return 0;
}
