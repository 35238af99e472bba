// SPDX-License-Identifier: Apache-2.0
#include "fetch/store/partials.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/dir.h"

enum { PARTIALS_MAX = 100000 };

struct partial {
    char name[LAYOUT_PATH];
    int64_t time;
    uint64_t bytes;
};

struct partials {
    int dir;
    struct partial *v;
    size_t n, cap;
};

static void partials_done(struct partials *p)
{
    free(p->v);
}

static int add(void *arg, const struct dirent *entry, struct zl_error *err)
{
    struct partials *p = arg;
    const char *name = entry->d_name;
    struct stat st;
    if (strlen(name) >= LAYOUT_PATH || fstatat(p->dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        !S_ISREG(st.st_mode) || p->n == PARTIALS_MAX)
        return 0; /* gone meanwhile, a work folder, or none of ours */
    if (p->n == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 64;
        struct partial *grown = reallocarray(p->v, cap, sizeof *grown);
        if (!grown)
            return zl_fail_errno(err, "list images/partial");
        p->v = grown;
        p->cap = cap;
    }
    struct partial *new = &p->v[p->n++];
    (void)snprintf(new->name, sizeof new->name, "%s", name); /* fits: see above */
    new->time = st.st_mtim.tv_sec;
    new->bytes = (uint64_t)st.st_blocks * 512;
    return 0;
}

static int list(struct partials *p, struct zl_error *err)
{
    return zl_dir_each(p->dir, "images/partial", add, p, err);
}

/* Who had the lock before us may have made a blob of it, and another may have begun one with the
 * same name, which is his. */
static bool is_still_called(int fd, int dir, const char *name)
{
    struct stat here, there;
    return fstat(fd, &here) == 0 && fstatat(dir, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
           here.st_ino == there.st_ino && here.st_dev == there.st_dev;
}

/* True: it is gone, and nobody was writing it. */
static bool drop(const struct layout *l, const char *name)
{
    zl_autoclose int fd = openat(l->partial, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && is_still_called(fd, l->partial, name) &&
           unlinkat(l->partial, name, 0) == 0;
}

static int by_time(const void *a, const void *b)
{
    const struct partial *x = a, *y = b;
    return (x->time > y->time) - (x->time < y->time);
}

static bool is_nobodys(const struct partial *p)
{
    return layout_is_tmp(p->name);
}

int partials_tidy(const struct layout *l, int64_t now_s, uint64_t max_bytes, struct zl_error *err)
{
    ZL_CLEANUP(partials_done) struct partials p = { .dir = l->partial };
    uint64_t all = 0;
    if (list(&p, err) < 0)
        return -1;
    if (p.n)
        qsort(p.v, p.n, sizeof *p.v, by_time);
    for (size_t i = 0; i < p.n; i++)
        all += p.v[i].bytes;
    for (size_t i = 0; i < p.n; i++) {
        const struct partial *it = &p.v[i];
        bool old = now_s - it->time > PARTIALS_MAX_AGE_S;
        if ((old || all > max_bytes || is_nobodys(it)) && drop(l, it->name))
            all -= it->bytes;
    }
    return 0;
}

uint64_t partials_max_bytes(const struct layout *l)
{
    struct statvfs fs;
    if (fstatvfs(l->partial, &fs) < 0)
        return UINT64_MAX; /* then by age only */
    return (uint64_t)fs.f_blocks * fs.f_frsize / PARTIALS_MAX_PART;
}

uint64_t partials_drop(const struct layout *l)
{
    ZL_CLEANUP(partials_done) struct partials p = { .dir = l->partial };
    uint64_t bytes = 0;
    if (list(&p, NULL) < 0)
        return 0;
    for (size_t i = 0; i < p.n; i++)
        bytes += drop(l, p.v[i].name) ? p.v[i].bytes : 0;
    return bytes;
}
