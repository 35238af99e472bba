// SPDX-License-Identifier: Apache-2.0
/*
 * Records are gathered in one buffer and leave it whole, with one system call: for short lines that
 * costs less than an iovec per line, and the head of a record is formatted once per burst. Rotation
 * happens between two writes, so no record spans two files.
 */
#include "monitor/logfile.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "base/clock.h"
#include "base/fd.h"

enum { OUT_SIZE = 64 * 1024 };

struct held { /* the start of a line whose end has not come */
    size_t n;
    bool continued; /* earlier pieces of this line are in the log as P */
    char bytes[LOG_PIECE_MAX];
};

struct head { /* of the records of one burst */
    size_t n;
    char text[LOG_HEAD_MAX];
};

struct logfile {
    int dir_fd, fd, index_fd; /* -1: not open; the index is opened when it gets its first entry */
    char name[256];
    uint64_t file_max, size; /* of the present file */
    uint64_t next_index;     /* the offset from which on the index wants an entry */
    uint64_t lost, untold;   /* bytes of output not written; of them not yet told in the log */
    int lost_errno;
    size_t out_n, out_payload; /* payload: bytes of output among the out_n */
    struct held held[LOG_STREAMS];
    char out[OUT_SIZE];
};

static int open_in(const struct logfile *l, const char *suffix)
{
    char name[300];
    if (!log_file_name(name, l->name, 0, suffix)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return openat(l->dir_fd, name, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
}

static int open_files(struct logfile *l, struct zl_error *err)
{
    struct stat st;

    l->fd = open_in(l, "");
    if (l->fd < 0 || fstat(l->fd, &st) < 0)
        return zl_fail_errno(err, "open log '%s'", l->name);
    l->size = (uint64_t)st.st_size;
    l->next_index = l->size + LOG_INDEX_EVERY; /* readers know the start of a file */
    return 0;
}

static void close_files(struct logfile *l)
{
    zl_closep(&l->fd);
    zl_closep(&l->index_fd);
    l->fd = l->index_fd = -1;
}

/* name.1 becomes name.2, name becomes name.1, each with its index. A failing rename leaves a file
 * that grows beyond its share, which is better than losing it. */
static void rotate(struct logfile *l)
{
    static const char *const suffixes[] = { ".idx", "" };
    char from[300], to[300];

    for (int age = LOG_FILES - 1; age > 0; age--) {
        for (size_t i = 0; i < ZL_ARRAY_LEN(suffixes); i++) {
            if (log_file_name(from, l->name, age - 1, suffixes[i]) &&
                log_file_name(to, l->name, age, suffixes[i]))
                (void)renameat(l->dir_fd, from, l->dir_fd, to);
        }
    }
    close_files(l);
    (void)open_files(l, NULL); /* without a file, output is lost and counted until it opens again */
}

static void index_at(struct logfile *l, int64_t wall_ns)
{
    struct log_index_entry e = { .wall_ns = wall_ns, .offset = l->size };

    if (l->size < l->next_index)
        return;
    if (l->index_fd < 0)
        l->index_fd = open_in(l, ".idx");
    if (l->index_fd >= 0)
        (void)!write(l->index_fd, &e, sizeof e); /* without an entry readers are slower, no more */
    l->next_index = l->size + LOG_INDEX_EVERY;
}

/* All bytes of both or none, so that a full disk leaves no torn record. */
static int append(struct logfile *l, const char *first, size_t n_first, const char *bytes, size_t n)
{
    struct iovec iov[2] = { { (void *)(uintptr_t)first, n_first },
                            { (void *)(uintptr_t)bytes, n } };
    ssize_t w;

    do {
        w = writev(l->fd, iov, 2);
    } while (w < 0 && errno == EINTR);
    if (w == (ssize_t)(n_first + n)) {
        l->size += (uint64_t)w;
        return 0;
    }
    if (w >= 0) { /* a file takes less only when there is no room for more */
        (void)!ftruncate(l->fd, (off_t)l->size); /* else the next opener ends the torn record */
        errno = ENOSPC;
    }
    return -1;
}

/* The record that tells of the loss; its length. */
static size_t format_loss(const struct logfile *l, int64_t wall_ns, char line[256])
{
    size_t head = log_format_head(line, wall_ns, LOG_STDERR, LOG_LINE);
    int n =
        snprintf(line + head, 256 - head, "[zlayer] %llu bytes of output are missing here: %s\n",
                 (unsigned long long)l->untold, strerror(l->lost_errno));
    return head + (size_t)n;
}

static int write_out(struct logfile *l, int64_t wall_ns)
{
    char loss[256];
    size_t loss_n = l->untold ? format_loss(l, wall_ns, loss) : 0;

    if (l->fd < 0 && open_files(l, NULL) < 0)
        return -1;
    if (l->size > 0 && l->size + loss_n + l->out_n > l->file_max)
        rotate(l);
    if (l->fd < 0)
        return -1;
    index_at(l, wall_ns);
    if (append(l, loss, loss_n, l->out, l->out_n) < 0)
        return -1;
    l->untold = 0;
    return 0;
}

static void flush(struct logfile *l, int64_t wall_ns)
{
    if (l->out_n > 0 && write_out(l, wall_ns) < 0) {
        l->lost_errno = errno;
        l->lost += l->out_payload;
        l->untold += l->out_payload;
    }
    l->out_n = l->out_payload = 0;
}

/* Room for a record of n bytes of output. */
static char *reserve(struct logfile *l, int64_t wall_ns, size_t n)
{
    size_t limit = l->file_max < OUT_SIZE ? (size_t)l->file_max : OUT_SIZE;

    if (l->out_n + LOG_HEAD_MAX + n + 1 > limit)
        flush(l, wall_ns);
    return l->out + l->out_n;
}

/* One record: what is held of the stream and then these bytes, together at most LOG_PIECE_MAX. */
static void add_record(struct logfile *l, const struct head *head, struct held *h, int64_t wall_ns,
                       const char *bytes, size_t n)
{
    char *p = reserve(l, wall_ns, h->n + n);

    memcpy(p, head->text, head->n);
    p += head->n;
    memcpy(p, h->bytes, h->n);
    p += h->n;
    if (n > 0)
        memcpy(p, bytes, n);
    p += n;
    *p++ = '\n';
    l->out_n = (size_t)(p - l->out);
    l->out_payload += h->n + n;
    h->n = 0;
}

static struct head make_head(enum log_stream stream, int64_t wall_ns, enum log_end end)
{
    struct head head;
    head.n = log_format_head(head.text, wall_ns, stream, end);
    return head;
}

/* Keeps the start of a line; whole pieces of a long one go out as P. */
static void hold(struct logfile *l, enum log_stream stream, int64_t wall_ns, const char *bytes,
                 size_t n)
{
    struct held *h = &l->held[stream];

    if (h->n + n > LOG_PIECE_MAX) {
        struct head part = make_head(stream, wall_ns, LOG_PART);
        while (h->n + n > LOG_PIECE_MAX) {
            size_t take = LOG_PIECE_MAX - h->n;
            add_record(l, &part, h, wall_ns, bytes, take);
            h->continued = true;
            bytes += take;
            n -= take;
        }
    }
    memcpy(h->bytes + h->n, bytes, n);
    h->n += n;
}

void logfile_write(struct logfile *l, enum log_stream stream, int64_t wall_ns, const char *bytes,
                   size_t n)
{
    struct held *h = &l->held[stream];
    struct head line = make_head(stream, wall_ns, LOG_LINE);
    const char *end = bytes + n;

    while (bytes < end) {
        const char *newline = memchr(bytes, '\n', (size_t)(end - bytes));
        size_t length = (size_t)((newline ? newline : end) - bytes);
        if (!newline || h->n + length > LOG_PIECE_MAX) {
            hold(l, stream, wall_ns, bytes, length);
            bytes += length;
            length = 0;
        }
        if (!newline)
            break;
        add_record(l, &line, h, wall_ns, bytes, length);
        l->out_payload++; /* the newline */
        h->continued = false;
        bytes = newline + 1;
    }
    flush(l, wall_ns);
}

bool logfile_holds(const struct logfile *l)
{
    return l->held[LOG_STDOUT].n > 0 || l->held[LOG_STDERR].n > 0;
}

void logfile_release(struct logfile *l, int64_t wall_ns)
{
    for (int i = 0; i < LOG_STREAMS; i++) {
        struct held *h = &l->held[i];
        if (h->n == 0)
            continue;
        struct head part = make_head((enum log_stream)i, wall_ns, LOG_PART);
        add_record(l, &part, h, wall_ns, NULL, 0);
        h->continued = true;
    }
    flush(l, wall_ns);
}

void logfile_end(struct logfile *l, enum log_stream stream, int64_t wall_ns)
{
    struct held *h = &l->held[stream];

    if (h->n > 0 || h->continued) {
        struct head last = make_head(stream, wall_ns, LOG_UNFINISHED);
        add_record(l, &last, h, wall_ns, NULL, 0);
        h->continued = false;
    }
    flush(l, wall_ns);
}

/*
 * What a writer that was killed left: a line of the log that does not end, or a stream whose last
 * record is a P. Both are ended, so that the next line is not taken for their rest.
 */
static int mend(struct logfile *l, struct zl_error *err)
{
    char tail[2 * LOG_RECORD_MAX];
    off_t from = l->size > sizeof tail ? (off_t)(l->size - sizeof tail) : 0;

    ssize_t n = l->size == 0 ? 0 : pread(l->fd, tail, sizeof tail, from);
    if (n < 0)
        return zl_fail_errno(err, "read log '%s'", l->name);
    if (n == 0)
        return 0;
    if (tail[n - 1] != '\n' && append(l, "", 0, "\n", 1) < 0)
        return zl_fail_errno(err, "end a torn record of log '%s'", l->name);
    const char *p = tail, *end = tail + n;
    while (p < end) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        const char *line_end = newline ? newline : end;
        struct log_record r;
        if (log_parse_record(p, (size_t)(line_end - p), &r))
            l->held[r.stream].continued = r.end == LOG_PART;
        p = line_end + 1;
    }
    for (int i = 0; i < LOG_STREAMS; i++)
        logfile_end(l, (enum log_stream)i, zl_wall_ns());
    return 0;
}

int logfile_open(int dir_fd, const char *name, uint64_t max_bytes, struct logfile **ret,
                 struct zl_error *err)
{
    if (!name[0] || strchr(name, '/') || strlen(name) >= sizeof((struct logfile *)0)->name)
        return zl_fail(err, ZL_ERR_INVALID, "open log '%s': not a file name", name);
    /* Not calloc: pages of the big buffers that are never used are never touched. */
    autologfile struct logfile *l = malloc(sizeof *l);
    if (!l)
        return zl_fail_errno(err, "open log '%s'", name);
    memset(l, 0, offsetof(struct logfile, held));
    for (int i = 0; i < LOG_STREAMS; i++) {
        l->held[i].n = 0;
        l->held[i].continued = false;
    }
    l->fd = l->index_fd = -1;
    l->file_max = (max_bytes ? max_bytes : LOG_MAX_BYTES_DEFAULT) / LOG_FILES;
    if (l->file_max < LOG_FILE_MIN)
        l->file_max = LOG_FILE_MIN;
    memcpy(l->name, name, strlen(name) + 1);
    l->dir_fd = zl_dup_above(dir_fd, 3, err);
    if (l->dir_fd < 0 || open_files(l, err) < 0 || mend(l, err) < 0)
        return zl_wrap(err, "open log '%s'", name);
    *ret = zl_take_ptr(l);
    return 0;
}

void logfile_free(struct logfile *l)
{
    if (!l)
        return;
    close_files(l);
    zl_closep(&l->dir_fd);
    free(l);
}

uint64_t logfile_bytes_lost(const struct logfile *l)
{
    return l->lost;
}
