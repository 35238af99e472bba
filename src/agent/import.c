// SPDX-License-Identifier: Apache-2.0
/*
 * Importing an image: zlayer-fetch reads the foreign bytes and stores blobs and layers; its lines
 * of progress pass through to the client, and its last word names the manifest, which the agent
 * then tags. One process an import.
 */
#include <event2/event.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>

#include "agent/agent.h"
#include "base/helper.h"
#include "base/json.h"
#include "base/launch.h"

enum { LINE_MAX_BYTES = 64 * 1024, IMPORTS_MAX = 8 };

struct import {
    struct import *next, **link;
    struct agent *a;
    int pidfd, out;
    struct event *readable, *ended;
    struct zl_buf line;
    char *reference;
    char digest[80];
    struct zl_error failed;
    bool has_word; /* the last line has come: done or error */
    api_progress_fn progress;
    api_done_fn done;
    void *arg;
};

struct imports {
    struct import *first;
    unsigned n;
};

static void free_event(struct event *e)
{
    if (e)
        event_free(e);
}

static void import_free(struct import *i)
{
    *i->link = i->next;
    if (i->next)
        i->next->link = i->link;
    i->a->imports->n--;
    free_event(i->readable);
    free_event(i->ended);
    zl_closep(&i->out); /* ends it by SIGPIPE, should it still run */
    zl_closep(&i->pidfd);
    zl_buf_done(&i->line);
    free(i->reference);
    free(i);
}

static void finish(struct import *i)
{
    const struct import copy = *i;
    struct zl_error err = i->failed;
    if (!i->has_word)
        (void)zl_fail(&err, ZL_ERR_INTERNAL, "zlayer-fetch ended without a word");
    else if (err.kind == ZL_OK)
        (void)image_tag(i->a->images, i->reference, i->digest, &err); /* err says how it went */
    if (err.kind != ZL_OK)
        (void)zl_wrap(&err, "import '%s'", i->reference);
    import_free(i);
    copy.done(copy.arg, err.kind == ZL_OK ? NULL : &err, 0, NULL);
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
    const char *status, *digest, *kind, *message;
};

static const struct zl_field word_fields[] = {
    { "status", zl_json_string, offsetof(struct word, status), ZL_REQUIRED, NULL },
    { "digest", zl_json_string, offsetof(struct word, digest), 0, NULL },
    { "kind", zl_json_string, offsetof(struct word, kind), 0, NULL },
    { "message", zl_json_string, offsetof(struct word, message), 0, NULL },
    { 0 },
};

static void take_line(struct import *i, const char *line, size_t len)
{
    zl_autojson struct zl_json doc = { 0 };
    struct word w = { 0 };
    struct zl_error err = { 0 };
    if (zl_json_parse(&doc, line, len, "zlayer-fetch", &err) < 0 ||
        zl_json_decode(&doc, word_fields, &w, &err) < 0) {
        i->has_word = true;
        i->failed = err;
    } else if (strcmp(w.status, "done") == 0) {
        i->has_word = true;
        size_t n = w.digest ? strnlen(w.digest, sizeof i->digest - 1) : 0;
        (void)memcpy(i->digest, w.digest ? w.digest : "", n);
    } else if (strcmp(w.status, "error") == 0) {
        i->has_word = true;
        (void)zl_fail(&i->failed, kind_of(w.kind), "%s", w.message ? w.message : "");
    } else {
        i->progress(i->arg, line);
    }
}

static void take_lines(struct import *i)
{
    char *end;
    while (!i->has_word && (end = memchr(i->line.data, '\n', i->line.len))) {
        size_t len = (size_t)(end - i->line.data);
        *end = '\0';
        take_line(i, i->line.data, len);
        zl_buf_consume(&i->line, len + 1);
    }
}

static void on_readable(int fd, short what, void *arg)
{
    struct import *i = arg;
    (void)what;
    char *room = zl_buf_reserve(&i->line, 4096);
    ssize_t n = room ? read(fd, room, 4096) : 0; /* no room: no line is that long */
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        (void)event_del(i->readable); /* the end of the process comes next */
        zl_closep(&i->out);
        i->out = -1;
        return;
    }
    i->line.len += (size_t)n;
    i->line.data[i->line.len] = '\0';
    take_lines(i);
    if (i->has_word)
        i->line.len = 0;
}

static void on_ended(int fd, short what, void *arg)
{
    struct import *i = arg;
    siginfo_t info;
    (void)fd;
    (void)what;
    if (i->out >= 0) { /* what is still in the pipe comes first */
        on_readable(i->out, 0, i);
        const struct timeval again = { 0, 0 };
        if (i->out >= 0) {
            (void)event_base_once(i->a->base, -1, EV_TIMEOUT, on_ended, i, &again);
            return;
        }
    }
    (void)waitid(P_PIDFD, (id_t)i->pidfd, &info, WEXITED | WNOHANG); /* it has ended */
    finish(i);
}

/* ---- starting it -------------------------------------------------------------------------- */

static int launch(struct import *i, const char *source, struct zl_error *err)
{
    zl_autofree char *program = NULL, *src = strdup(source), *root = strdup(i->a->cfg.root_dir);
    if (!src || !root)
        return zl_fail_errno(err, "start zlayer-fetch");
    if (zl_helper_path("zlayer-fetch", &program, err) < 0)
        return -1;
    char command[] = "import", root_flag[] = "--root", ref_flag[] = "--reference", end[] = "--";
    char *const argv[] = {
        program, command, root_flag, root, ref_flag, i->reference, end, src, NULL
    };
    int pair[2];
    if (pipe2(pair, O_CLOEXEC) < 0)
        return zl_fail_errno(err, "make a pipe");
    zl_autoclose int theirs = pair[1];
    i->out = pair[0];
    if (fcntl(i->out, F_SETFL, O_NONBLOCK) < 0)
        return zl_fail_errno(err, "make a pipe");
    struct zl_child child;
    struct zl_launch fetch = {
        .program = program, .argv = argv, .fds = { -1, theirs, 2 }, .n_fds = 3
    };
    if (zl_launch(&fetch, &child, err) < 0)
        return -1;
    i->pidfd = child.pidfd;
    return 0;
}

static int listen_to(struct import *i, struct zl_error *err)
{
    i->readable = event_new(i->a->base, i->out, EV_READ | EV_PERSIST, on_readable, i);
    i->ended = event_new(i->a->base, i->pidfd, EV_READ, on_ended, i);
    if (!i->readable || !i->ended || event_add(i->readable, NULL) < 0 ||
        event_add(i->ended, NULL) < 0)
        return zl_fail(err, ZL_ERR_SYSTEM, "watch zlayer-fetch: out of memory");
    return 0;
}

static void fail_later(int fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    finish(arg);
}

void import_begin(struct agent *a, const char *source, const char *reference,
                  api_progress_fn progress, api_done_fn done, void *arg)
{
    const struct timeval now = { 0, 0 };
    struct import *i = calloc(1, sizeof *i);
    if (!i)
        return; /* the client's own time-out is all that is left */
    *i = (struct import){ .a = a,
                          .pidfd = -1,
                          .out = -1,
                          .progress = progress,
                          .done = done,
                          .arg = arg,
                          .line = ZL_BUF(LINE_MAX_BYTES) };
    i->next = a->imports->first;
    i->link = &a->imports->first;
    if (i->next)
        i->next->link = &i->next;
    a->imports->first = i;
    i->reference = strdup(reference);
    int rc = !i->reference ? zl_fail_errno(&i->failed, "import '%s'", reference)
             : ++a->imports->n > IMPORTS_MAX
                 ? zl_fail(&i->failed, ZL_ERR_CONFLICT, "%d imports are under way", IMPORTS_MAX)
                 : launch(i, source, &i->failed);
    if (rc == 0)
        rc = listen_to(i, &i->failed);
    if (rc < 0) {
        i->has_word = true;
        (void)event_base_once(a->base, -1, EV_TIMEOUT, fail_later, i, &now);
    }
}

int imports_new(struct agent *a, struct imports **ret, struct zl_error *err)
{
    (void)a;
    struct imports *is = calloc(1, sizeof *is);
    if (!is)
        return zl_fail_errno(err, "set up the agent");
    *ret = is;
    return 0;
}

void imports_free(struct imports *is)
{
    if (!is)
        return;
    while (is->first)
        import_free(is->first);
    free(is);
}
