// SPDX-License-Identifier: Apache-2.0
#include "fetch/tar/members.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fd.h"
#include "fetch/tar/tar.h"

enum { LINKS_MAX = 8, LIST_MAX = 64 << 20, LIST_PIECE = 64 * 1024 };

struct entry {
    const char *path; /* tidy: no "." or "..", no leading '/' */
    const char *link; /* tidy; NULL: a file */
    struct member member;
    size_t order; /* of members with one name the last one counts */
};

struct members {
    struct entry *v; /* sorted by path, then order */
    size_t n, cap;
    struct zl_buf text; /* the list, in which the names are */
};

/* A record of the list is this and two texts, each with its NUL: path, and link or "". */
struct record {
    uint64_t at, size;
    uint32_t path_size, link_size;
};

void members_free(struct members *m)
{
    if (!m)
        return;
    zl_buf_done(&m->text);
    free(m->v);
    free(m);
}

/* "a/b/../c" as "a/c"; false: it leads out of the archive. Links of old `docker save`s are like
 * this. */
static bool tidy(const char *folder, const char *path, char out[PATH_MAX])
{
    char joined[2 * PATH_MAX];
    size_t len = 0;
    const char *slash = *path == '/' ? NULL : strrchr(folder, '/');
    int n = snprintf(joined, sizeof joined, "%.*s%s", slash ? (int)(slash - folder + 1) : 0, folder,
                     path);
    if (n < 0 || n >= PATH_MAX)
        return false;
    out[0] = '\0';
    char *rest = NULL;
    for (char *part = strtok_r(joined, "/", &rest); part; part = strtok_r(NULL, "/", &rest)) {
        if (strcmp(part, ".") == 0)
            continue;
        if (strcmp(part, "..") != 0) {
            len += (size_t)sprintf(out + len, "%s%s", len ? "/" : "", part); /* below PATH_MAX */
            continue;
        }
        if (!len)
            return false;
        const char *last = strrchr(out, '/');
        len = last ? (size_t)(last - out) : 0;
        out[len] = '\0';
    }
    return true;
}

/* ---- the list, written ----------------------------------------------------------------------- */

struct list {
    int fd;
    size_t n; /* records */
    uint64_t bytes;
    struct zl_buf piece;
};

static int flush(struct list *l, struct zl_error *err)
{
    if (zl_write_all(l->fd, l->piece.data, l->piece.len, "the list of members", err) < 0)
        return -1;
    l->bytes += l->piece.len;
    zl_buf_reset(&l->piece);
    return l->bytes > LIST_MAX - LIST_PIECE
               ? zl_fail(err, ZL_ERR_INVALID, "the archive's names are too long")
               : 0;
}

static int write_record(struct list *l, const struct tar_entry *e, uint64_t at,
                        struct zl_error *err)
{
    char path[PATH_MAX], link[PATH_MAX] = "";
    bool is_link = e->type == TAR_HARDLINK || e->type == TAR_SYMLINK;
    if ((e->type != TAR_FILE && !is_link) || !tidy("", e->path, path))
        return 0; /* nobody asks for folders, or for what is outside */
    if (is_link && !tidy(e->type == TAR_SYMLINK ? path : "", e->link, link))
        return 0;
    if (++l->n > MEMBERS_MAX)
        return zl_fail(err, ZL_ERR_INVALID, "the archive has more than %d members", MEMBERS_MAX);
    const struct record r = { .at = at,
                              .size = e->size,
                              .path_size = (uint32_t)strlen(path) + 1,
                              .link_size = (uint32_t)strlen(link) + 1 };
    zl_buf_add(&l->piece, &r, sizeof r);
    zl_buf_add(&l->piece, path, r.path_size);
    zl_buf_add(&l->piece, link, r.link_size);
    if (zl_buf_check(&l->piece, "the list of members", err) < 0)
        return -1;
    return l->piece.len > LIST_PIECE ? flush(l, err) : 0;
}

int members_list(int fd, int list, struct zl_error *err)
{
    ZL_CLEANUP(file_input_done) struct file_input file = FILE_INPUT(fd);
    const struct input in = file_input(&file);
    struct list l = { .fd = list, .piece = ZL_BUF(4 * LIST_PIECE) };
    autotar struct tar *tar = NULL;
    struct tar_entry e;
    int rc = tar_new(&in, &tar, err);
    if (rc == 0)
        rc = 1;
    while (rc > 0 && (rc = tar_next(tar, &e, err)) > 0) {
        if (write_record(&l, &e, tar_position(tar), err) < 0)
            rc = -1;
    }
    if (rc == 0)
        rc = flush(&l, err);
    zl_buf_done(&l.piece);
    return rc;
}

/* ---- the list, read -------------------------------------------------------------------------- */

static int damaged(struct zl_error *err)
{
    return zl_fail(err, ZL_ERR_PROTOCOL, "the list of the archive's members is damaged");
}

static int add(struct members *m, const struct record *r, const char *path, const char *link,
               struct zl_error *err)
{
    if (m->n == m->cap) {
        size_t cap = m->cap ? m->cap * 2 : 64;
        struct entry *grown = m->n < MEMBERS_MAX ? reallocarray(m->v, cap, sizeof *grown) : NULL;
        if (!grown)
            return m->n < MEMBERS_MAX ? zl_fail_errno(err, "read the archive") : damaged(err);
        m->v = grown;
        m->cap = cap;
    }
    m->v[m->n] = (struct entry){
        .path = path, .link = *link ? link : NULL, .member = { r->at, r->size }, .order = m->n
    };
    m->n++;
    return 0;
}

/* Whether size bytes at text are one string. */
static bool is_text(const char *text, size_t size, size_t left)
{
    return size && size <= PATH_MAX && size <= left && strnlen(text, size) == size - 1;
}

static int take_records(struct members *m, struct zl_error *err)
{
    const char *text = m->text.data;
    for (size_t at = 0; at < m->text.len;) {
        struct record r;
        if (m->text.len - at < sizeof r)
            return damaged(err);
        memcpy(&r, text + at, sizeof r);
        at += sizeof r;
        if (!is_text(text + at, r.path_size, m->text.len - at) ||
            !is_text(text + at + r.path_size, r.link_size, m->text.len - at - r.path_size) ||
            r.at > INT64_MAX || r.size > INT64_MAX - r.at)
            return damaged(err);
        if (add(m, &r, text + at, text + at + r.path_size, err) < 0)
            return -1;
        at += r.path_size + r.link_size;
    }
    return 0;
}

static int compare(const void *pa, const void *pb)
{
    const struct entry *a = pa, *b = pb;
    int by_path = strcmp(a->path, b->path);
    return by_path ? by_path : a->order < b->order ? -1 : a->order > b->order;
}

int members_load(int list, struct members **ret, struct zl_error *err)
{
    ZL_CLEANUP(members_freep) struct members *m = calloc(1, sizeof *m);
    if (!m)
        return zl_fail_errno(err, "read the archive");
    zl_buf_init(&m->text, LIST_MAX);
    if (lseek(list, 0, SEEK_SET) < 0)
        return zl_fail_errno(err, "rewind the list of members");
    if (zl_read_fd(list, &m->text, "the list of members", err) < 0 || take_records(m, err) < 0)
        return -1;
    if (m->n)
        qsort(m->v, m->n, sizeof *m->v, compare);
    *ret = zl_take_ptr(m);
    return 0;
}

/* The last entry with this path; NULL: none. */
static const struct entry *find(const struct members *m, const char *path)
{
    size_t low = 0, high = m->n; /* all before low sort before or at path, none from high on */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(m->v[middle].path, path) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low && strcmp(m->v[low - 1].path, path) == 0 ? &m->v[low - 1] : NULL;
}

bool members_find(const struct members *m, const char *path, struct member *ret)
{
    char wanted[PATH_MAX];
    if (!tidy("", path, wanted))
        return false;
    const struct entry *e = find(m, wanted);
    for (int i = 0; e && e->link && i < LINKS_MAX; i++)
        e = find(m, e->link);
    if (!e || e->link)
        return false;
    *ret = e->member;
    return true;
}
