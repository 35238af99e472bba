// SPDX-License-Identifier: Apache-2.0
#include "fetch/members.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "fetch/tar.h"
#include "fetch/tree.h"

enum { LINKS_MAX = 8, MEMORY = 64 << 20 };

struct entry {
    const char *path; /* tidy: no "." or "..", no leading '/' */
    const char *link; /* tidy; NULL: a file */
    struct member member;
    size_t order; /* of members with one name the last one counts */
};

struct members {
    struct entry *v; /* sorted by path, then order */
    size_t n, cap;
    struct zl_arena arena;
};

void members_free(struct members *m)
{
    if (!m)
        return;
    zl_arena_done(&m->arena);
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

static int add(struct members *m, const struct tar_entry *e, uint64_t at, struct zl_error *err)
{
    char path[PATH_MAX], link[PATH_MAX];
    bool is_link = e->type == TAR_HARDLINK || e->type == TAR_SYMLINK;
    if ((e->type != TAR_FILE && !is_link) || !tidy("", e->path, path))
        return 0; /* nobody asks for folders, or for what is outside */
    if (is_link && !tidy(e->type == TAR_SYMLINK ? path : "", e->link, link))
        return 0;
    if (m->n == m->cap) {
        size_t cap = m->cap ? m->cap * 2 : 64;
        struct entry *grown = m->n < MEMBERS_MAX ? reallocarray(m->v, cap, sizeof *grown) : NULL;
        if (!grown)
            return zl_fail(err, ZL_ERR_INVALID, "the archive has more than %d members",
                           MEMBERS_MAX);
        m->v = grown;
        m->cap = cap;
    }
    m->v[m->n] = (struct entry){ .path = zl_arena_strdup(&m->arena, path),
                                 .link = is_link ? zl_arena_strdup(&m->arena, link) : NULL,
                                 .member = { at, e->size },
                                 .order = m->n };
    m->n++;
    return m->arena.failed ? zl_fail(err, ZL_ERR_INVALID, "the archive's names are too long") : 0;
}

static int compare(const void *pa, const void *pb)
{
    const struct entry *a = pa, *b = pb;
    int by_path = strcmp(a->path, b->path);
    return by_path ? by_path : a->order < b->order ? -1 : a->order > b->order;
}

int members_read(int fd, struct members **ret, struct zl_error *err)
{
    ZL_CLEANUP(members_freep) struct members *m = calloc(1, sizeof *m);
    ZL_CLEANUP(file_input_done) struct file_input file = FILE_INPUT(fd);
    const struct input in = file_input(&file);
    autotar struct tar *tar = NULL;
    struct tar_entry e;
    int rc;
    if (!m)
        return zl_fail_errno(err, "read the archive");
    m->arena = (struct zl_arena)ZL_ARENA(MEMORY);
    if (tar_new(&in, &tar, err) < 0)
        return -1;
    while ((rc = tar_next(tar, &e, err)) > 0) {
        if (add(m, &e, tar_position(tar), err) < 0)
            return -1;
    }
    if (rc < 0)
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
