// SPDX-License-Identifier: Apache-2.0
#include "monitor/logchain.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum { PROBE = LOG_RECORD_MAX }; /* a record begins within that many bytes of any place */

static void close_file(struct logchain_file *f)
{
    zl_closep(&f->fd);
    zl_closep(&f->index_fd);
}

static int open_aged(const struct logchain *c, int age, const char *suffix)
{
    char name[300];

    if (!log_file_name(name, c->name, age, suffix)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return openat(c->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

static bool same_file(const struct logchain_file *a, const struct logchain_file *b)
{
    return a->dev == b->dev && a->ino == b->ino;
}

static int open_file(const struct logchain *c, int age, struct logchain_file *ret)
{
    struct stat st;

    *ret = (struct logchain_file){ .fd = open_aged(c, age, ""), .index_fd = -1 };
    if (ret->fd < 0 || fstat(ret->fd, &st) < 0) {
        zl_closep(&ret->fd);
        return -1;
    }
    ret->dev = st.st_dev;
    ret->ino = st.st_ino;
    /* A rotation in between gives the index of another file; its entries are checked before use. */
    ret->index_fd = open_aged(c, age, ".idx");
    return 0;
}

/*
 * From the newest to the oldest: a rotation in between shows one file twice, which is noticed. The
 * other way round it would hide one.
 */
int logchain_open(struct logchain *c, int dir_fd, const char *name, struct zl_error *err)
{
    struct logchain_file newest_first[LOG_FILES];
    size_t n = 0;

    *c = (struct logchain){ .dir_fd = dir_fd, .name = name };
    for (int age = 0; age < LOG_FILES; age++) {
        if (open_file(c, age, &newest_first[n]) < 0) {
            if (errno == ENOENT)
                continue;
            (void)zl_fail_errno(err, "open log '%s'", name);
            while (n > 0)
                close_file(&newest_first[--n]);
            return -1;
        }
        if (n > 0 && same_file(&newest_first[n], &newest_first[n - 1]))
            close_file(&newest_first[n]);
        else
            n++;
    }
    c->n = n;
    for (size_t i = 0; i < n; i++)
        c->file[i] = newest_first[n - 1 - i];
    return 0;
}

void logchain_close(struct logchain *c)
{
    while (c->n > 0)
        close_file(&c->file[--c->n]);
}

/* The place of a file in the chain; c->n: not there. */
static size_t place_of(const struct logchain *c, const struct logchain_file *f)
{
    size_t i = 0;

    while (i < c->n && !same_file(&c->file[i], f))
        i++;
    return i;
}

/* The usual answer when the end of the newest file was reached, for one system call. */
static bool is_newest(const struct logchain *c, const struct logchain_file *f)
{
    struct stat st;

    return fstatat(c->dir_fd, c->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_dev == f->dev &&
           st.st_ino == f->ino;
}

bool logchain_extend(struct logchain *c, size_t keep)
{
    struct logchain now;

    if (c->n > 0 && is_newest(c, &c->file[keep]))
        return false;
    if (logchain_open(&now, c->dir_fd, c->name, NULL) < 0)
        return false;
    if (c->n == 0) {
        *c = now;
        return now.n > 0;
    }
    struct logchain_file kept = c->file[keep];
    c->file[keep].fd = c->file[keep].index_fd = -1;
    logchain_close(c);
    size_t first = place_of(&now, &kept);
    first = first < now.n ? first + 1 : 0; /* not there any more: all that is left is newer */
    size_t n = 0;
    c->file[n++] = kept;
    for (size_t i = 0; i < now.n; i++) {
        if (i < first || n == LOG_FILES)
            close_file(&now.file[i]);
        else
            c->file[n++] = now.file[i];
    }
    c->n = n;
    return n > 1;
}

static bool record_at(const struct logchain_file *f, uint64_t offset, int64_t *ret_wall_ns)
{
    char head[LOG_HEAD_MAX];
    struct log_record r;

    ssize_t n = pread(f->fd, head, sizeof head, (off_t)offset);
    const char *newline = n > 0 ? memchr(head, '\n', (size_t)n) : NULL;
    if (n <= 0 || !log_parse_record(head, newline ? (size_t)(newline - head) : (size_t)n, &r))
        return false;
    *ret_wall_ns = r.wall_ns;
    return true;
}

/* The last of the leading index entries that is before wall_ns; 0 when none is. *ret_passed: an
 * entry of wall_ns or later was met. */
static uint64_t seek_in_index(const struct logchain_file *f, int64_t wall_ns, bool *ret_passed)
{
    struct log_index_entry entries[256];
    uint64_t found = 0;
    off_t at = 0;
    ssize_t got;

    *ret_passed = false;
    while (f->index_fd >= 0 && (got = pread(f->index_fd, entries, sizeof entries, at)) > 0) {
        size_t n = (size_t)got / sizeof entries[0];
        for (size_t i = 0; i < n; i++) {
            int64_t there;
            if (!record_at(f, entries[i].offset, &there) || there != entries[i].wall_ns)
                return found; /* not an index of this file */
            if (there >= wall_ns) {
                *ret_passed = true;
                return found;
            }
            found = entries[i].offset;
        }
        if (n == 0)
            break;
        at += (off_t)(n * sizeof entries[0]);
    }
    return found;
}

struct log_position logchain_seek_time(const struct logchain *c, int64_t wall_ns)
{
    struct log_position start = { 0 };

    for (size_t i = 0; i < c->n; i++) {
        int64_t first;
        bool passed;
        if (!record_at(&c->file[i], 0, &first))
            continue;
        if (first >= wall_ns)
            break; /* whatever is before this file was found */
        start = (struct log_position){ i, seek_in_index(&c->file[i], wall_ns, &passed) };
        if (passed)
            break;
    }
    return start;
}

/* The first start of a record at or after offset. */
static uint64_t next_record(const struct logchain_file *f, uint64_t offset, uint64_t size)
{
    char probe[PROBE];

    if (offset == 0)
        return 0;
    ssize_t n = pread(f->fd, probe, sizeof probe, (off_t)offset - 1);
    const char *newline = n > 0 ? memchr(probe, '\n', (size_t)n) : NULL;
    return newline ? offset + (uint64_t)(newline - probe) : size;
}

bool logchain_seek_back(const struct logchain *c, uint64_t bytes, struct log_position *ret)
{
    for (size_t i = c->n; i-- > 0;) {
        struct stat st;
        if (fstat(c->file[i].fd, &st) < 0)
            break;
        uint64_t size = (uint64_t)st.st_size;
        if (bytes < size) {
            uint64_t offset = next_record(&c->file[i], size - bytes, size);
            *ret = (struct log_position){ i, offset };
            return true;
        }
        bytes -= size;
    }
    *ret = (struct log_position){ 0 };
    return false;
}
