// SPDX-License-Identifier: Apache-2.0
#include "monitor/logread.h"

#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>

#include "base/buf.h"
#include "base/fd.h"
#include "monitor/logchain.h"

enum {
    WINDOW = 64 * 1024,      /* of a file in memory; a record is smaller */
    TAIL_FIRST = 64 * 1024,  /* how far back the search for the last lines begins */
    CUT_LINES = LOG_STREAMS, /* lines whose start may lie before an arbitrary place, one a stream */
};

struct logread {
    int dir_fd;
    char *name;
    struct logread_opts opts;
    struct logchain chain;
    bool frozen;       /* the chain is not extended: places in it are remembered */
    size_t file;       /* the one that is read */
    uint64_t offset;   /* in it, of what follows the window */
    size_t start, end; /* what is unread in the window */
    bool skipping;     /* inside of a line that is no record */
    uint64_t skip;     /* lines not to give out: older than the tail */
    int notify_fd, file_watch;
    struct zl_buf part[LOG_STREAMS]; /* pieces of a line whose end has not come */
    int64_t part_ns[LOG_STREAMS];    /* of the last piece */
    bool given;                      /* the part of given_stream went out, drop it */
    enum log_stream given_stream;
    char window[WINDOW];
};

/* --- following --- */

/* The file that grows and, for what comes after it, its directory. */
static void watch_file(struct logread *r)
{
    char path[64];

    if (r->notify_fd < 0)
        return;
    if (r->file_watch >= 0)
        (void)inotify_rm_watch(r->notify_fd, r->file_watch);
    r->file_watch = -1;
    if (r->chain.n == 0)
        return;
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", r->chain.file[r->file].fd);
    r->file_watch = inotify_add_watch(r->notify_fd, path, IN_MODIFY | IN_MOVE_SELF);
}

static int start_following(struct logread *r, struct zl_error *err)
{
    char path[64];

    r->notify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (r->notify_fd < 0)
        return zl_fail_errno(err, "follow log '%s'", r->name);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", r->dir_fd);
    if (inotify_add_watch(r->notify_fd, path, IN_CREATE | IN_MOVED_TO) < 0)
        return zl_fail_errno(err, "follow log '%s'", r->name);
    return 0;
}

/* Before looking at the files: what happens after the look is told by the descriptor then. */
static void drain_notices(struct logread *r)
{
    char events[4096];

    while (r->notify_fd >= 0 && read(r->notify_fd, events, sizeof events) > 0)
        ; /* that something happened is all we need */
}

/* --- records --- */

static void go_to(struct logread *r, struct log_position p)
{
    r->file = p.file;
    r->offset = p.offset;
    r->start = r->end = 0;
    r->skipping = false;
    for (int i = 0; i < LOG_STREAMS; i++)
        zl_buf_reset(&r->part[i]);
}

/* Reads on. 1: the window has grown; 0: the file's present end. */
static int fill(struct logread *r, struct zl_error *err)
{
    memmove(r->window, r->window + r->start, r->end - r->start);
    r->end -= r->start;
    r->start = 0;
    if (r->end == sizeof r->window) { /* no record is that long */
        r->skipping = true;
        r->end = 0;
    }
    ssize_t n = pread(r->chain.file[r->file].fd, r->window + r->end, sizeof r->window - r->end,
                      (off_t)r->offset);
    if (n < 0)
        return zl_fail_errno(err, "read log '%s'", r->name);
    r->end += (size_t)n;
    r->offset += (uint64_t)n;
    return n > 0;
}

/* The next whole line of the file, with its newline. 1, 0: the file's present end, -1. */
static int next_line(struct logread *r, const char **ret, size_t *ret_n, struct zl_error *err)
{
    for (;;) {
        const char *from = r->window + r->start;
        const char *newline = memchr(from, '\n', r->end - r->start);
        if (newline) {
            r->start = (size_t)(newline + 1 - r->window);
            if (!r->skipping) {
                *ret = from;
                *ret_n = (size_t)(newline + 1 - from);
                return 1;
            }
            r->skipping = false;
            continue;
        }
        int rc = fill(r, err);
        if (rc <= 0)
            return rc;
    }
}

/*
 * To the file after the present one. 1: there; 0: it is the newest. A writer goes on to the next
 * file only after its last write to this one, so this one is read once more to its end before.
 */
static int next_file(struct logread *r, struct zl_error *err)
{
    if (r->file + 1 >= r->chain.n) {
        bool was_empty = r->chain.n == 0;
        if (r->frozen || !logchain_extend(&r->chain, r->file))
            return 0;
        r->file = 0;
        if (was_empty) {
            go_to(r, (struct log_position){ 0 });
            watch_file(r);
            return 1;
        }
        int rc = fill(r, err);
        if (rc != 0)
            return rc;
    }
    r->file++;
    r->offset = 0;
    r->start = r->end = 0; /* the rest is torn */
    r->skipping = false;
    watch_file(r);
    return 1;
}

/* 1 a record, 0 nothing more now, -1. */
static int next_record(struct logread *r, struct log_record *ret, struct zl_error *err)
{
    for (;;) {
        const char *line;
        size_t n;
        int rc = r->chain.n > 0 ? next_line(r, &line, &n, err) : 0;
        if (rc < 0)
            return -1;
        if (rc > 0 && log_parse_record(line, n - 1, ret))
            return 1;
        if (rc > 0)
            continue; /* torn */
        rc = next_file(r, err);
        if (rc <= 0)
            return rc;
    }
}

/* --- lines --- */

static void drop_given(struct logread *r)
{
    if (r->given)
        zl_buf_reset(&r->part[r->given_stream]);
    r->given = false;
}

static void give_part(struct logread *r, enum log_stream stream, bool whole,
                      struct logread_line *ret)
{
    *ret = (struct logread_line){ .wall_ns = r->part_ns[stream],
                                  .stream = stream,
                                  .bytes = r->part[stream].data,
                                  .length = r->part[stream].len,
                                  .whole = whole };
    r->given = true;
    r->given_stream = stream;
}

/* Adds a record to its line; true when *ret is to be given out. */
static bool take_record(struct logread *r, const struct log_record *rec, struct logread_line *ret)
{
    struct zl_buf *part = &r->part[rec->stream];
    bool whole = rec->end == LOG_LINE;
    size_t length = rec->length + whole; /* the newline stands behind the record in the window */

    if (part->len == 0 && rec->end != LOG_PART) {
        *ret = (struct logread_line){ .wall_ns = rec->wall_ns,
                                      .stream = rec->stream,
                                      .bytes = rec->bytes,
                                      .length = length,
                                      .whole = whole };
        return length > 0;
    }
    zl_buf_add(part, rec->bytes, length); /* fits: the rest of part is larger than a record */
    r->part_ns[rec->stream] = rec->wall_ns;
    if (rec->end == LOG_PART && part->len < LOGREAD_LINE_MAX)
        return false;
    if (part->len == 0)
        return false;
    give_part(r, rec->stream, whole, ret);
    return true;
}

/* At the end of what is there, the starts of lines that nothing has followed yet. */
static bool give_unfinished(struct logread *r, struct logread_line *ret)
{
    for (int i = 0; i < LOG_STREAMS; i++) {
        if (r->part[i].len > 0) {
            give_part(r, (enum log_stream)i, false, ret);
            return true;
        }
    }
    return false;
}

static bool is_wanted(const struct logread *r, const struct logread_line *line)
{
    return (!r->opts.streams || r->opts.streams & 1U << line->stream) &&
           line->wall_ns >= r->opts.since_ns &&
           (r->opts.until_ns == 0 || line->wall_ns < r->opts.until_ns);
}

/* The next line that the options ask for, but for `tail`. */
static int next_wanted(struct logread *r, struct logread_line *ret, struct zl_error *err)
{
    for (;;) {
        struct log_record rec;
        drop_given(r);
        int rc = next_record(r, &rec, err);
        if (rc < 0)
            return -1;
        if (rc == 0 && !give_unfinished(r, ret))
            return 0;
        if (rc > 0 && !take_record(r, &rec, ret))
            continue;
        if (is_wanted(r, ret))
            return 1;
    }
}

int logread_next(struct logread *r, struct logread_line *ret, struct zl_error *err)
{
    for (;;) {
        int rc = next_wanted(r, ret, err);
        if (rc == 0 && r->opts.follow) {
            drain_notices(r);
            rc = next_wanted(r, ret, err);
        }
        if (rc <= 0 || r->skip == 0)
            return rc;
        r->skip--;
    }
}

/* --- opening --- */

static int count_lines(struct logread *r, uint64_t *ret, struct zl_error *err)
{
    struct logread_line line;
    int rc;

    r->frozen = true;
    for (*ret = 0; (rc = next_wanted(r, &line, err)) > 0; (*ret)++)
        ;
    r->frozen = false;
    return rc;
}

static bool is_before(struct log_position a, struct log_position b)
{
    return a.file < b.file || (a.file == b.file && a.offset < b.offset);
}

/*
 * The last `tail` lines, without reading all: from a place near the end the lines are counted, from
 * twice as far when they are too few, and then read again from there but for those before the tail.
 */
static int seek_tail(struct logread *r, struct log_position since, struct zl_error *err)
{
    for (uint64_t back = TAIL_FIRST;; back *= 2) {
        struct log_position p;
        uint64_t n;
        bool all = !logchain_seek_back(&r->chain, back, &p);
        if (all || is_before(p, since)) {
            p = since;
            all = true;
        }
        go_to(r, p);
        if (count_lines(r, &n, err) < 0)
            return -1;
        if (all || n >= r->opts.tail + CUT_LINES) {
            go_to(r, p);
            r->skip = n > r->opts.tail ? n - r->opts.tail : 0;
            return 0;
        }
    }
}

static int seek(struct logread *r, struct zl_error *err)
{
    struct log_position p = { 0 };

    if (r->opts.since_ns)
        p = logchain_seek_time(&r->chain, r->opts.since_ns);
    if (r->opts.tail != LOGREAD_ALL && r->opts.tail < UINT64_MAX - CUT_LINES) {
        if (seek_tail(r, p, err) < 0)
            return -1;
    } else {
        go_to(r, p);
    }
    watch_file(r);
    return 0;
}

static int open_directory(struct logread *r, const char *path, struct zl_error *err)
{
    zl_autofree char *for_dir = strdup(path), *for_name = strdup(path);

    if (!for_dir || !for_name)
        return zl_fail_errno(err, "open log '%s'", path);
    r->name = strdup(basename(for_name));
    if (!r->name)
        return zl_fail_errno(err, "open log '%s'", path);
    r->dir_fd = zl_open_dir(AT_FDCWD, dirname(for_dir), err);
    if (r->dir_fd < 0 && errno == ENOENT && err)
        err->kind = ZL_ERR_NOT_FOUND;
    return r->dir_fd < 0 ? -1 : 0;
}

int logread_open(const char *path, const struct logread_opts *opts, struct logread **ret,
                 struct zl_error *err)
{
    autologread struct logread *r = calloc(1, sizeof *r);
    if (!r)
        return zl_fail_errno(err, "open log '%s'", path);
    r->dir_fd = r->notify_fd = r->file_watch = -1;
    r->opts = *opts;
    for (int i = 0; i < LOG_STREAMS; i++)
        zl_buf_init(&r->part[i], LOGREAD_LINE_MAX + LOG_RECORD_MAX);
    if (open_directory(r, path, err) < 0 || (opts->follow && start_following(r, err) < 0) ||
        logchain_open(&r->chain, r->dir_fd, r->name, err) < 0 || seek(r, err) < 0)
        return -1;
    *ret = zl_take_ptr(r);
    return 0;
}

void logread_free(struct logread *r)
{
    if (!r)
        return;
    logchain_close(&r->chain);
    for (int i = 0; i < LOG_STREAMS; i++)
        zl_buf_done(&r->part[i]);
    zl_closep(&r->notify_fd);
    zl_closep(&r->dir_fd);
    free(r->name);
    free(r);
}

int logread_fd(const struct logread *r)
{
    return r->notify_fd;
}
