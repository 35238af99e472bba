// SPDX-License-Identifier: Apache-2.0
/*
 * All cgroups below one. A container that was given its cgroup decides how many there are and how
 * deep they lie, so this holds one descriptor, no frame of the stack for each level, and a bounded
 * list of names.
 */
#include "sandbox/cgroup_walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "sandbox/kernel.h"

enum { NAMES_MAX = 64 << 20, PROCS_MAX = 4 << 20, PINS = 256 };

/* What follows each name (with its NUL) in the list. */
struct step {
    size_t name_size;
    size_t depth; /* of the folder that it is in */
    bool entered; /* all below it has been seen */
};

struct walk {
    const struct cgroup_visit *visit;
    int at; /* the folder that we are in */
    size_t depth;
    struct zl_buf names; /* of what is to be entered or left, the next one last */
};

static void walk_done(struct walk *w)
{
    zl_closep(&w->at);
    zl_buf_done(&w->names);
}

static int push(struct walk *w, const char *name, struct zl_error *err)
{
    const struct step s = { .name_size = strlen(name) + 1, .depth = w->depth };
    zl_buf_add(&w->names, name, s.name_size);
    zl_buf_add(&w->names, &s, sizeof s);
    return zl_buf_check(&w->names, "list of cgroups", err);
}

static void pop(struct walk *w, const struct step *s)
{
    w->names.len -= s->name_size + sizeof *s;
}

static const char *last(const struct walk *w, struct step *ret)
{
    const char *end = w->names.data + w->names.len - sizeof *ret;
    (void)memcpy(ret, end, sizeof *ret);
    return end - ret->name_size;
}

static void mark_entered(struct walk *w, struct step s)
{
    s.entered = true;
    (void)memcpy(w->names.data + w->names.len - sizeof s, &s, sizeof s);
}

/* A folder that is removed meanwhile has nothing more. */
static int push_all(struct walk *w, DIR *d, struct zl_error *err)
{
    const struct dirent *e;
    for (errno = 0; (e = readdir(d)); errno = 0)
        if (e->d_type == DT_DIR && strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
            push(w, e->d_name, err) < 0)
            return -1;
    return errno && errno != ENOENT ? zl_fail_errno(err, "read a cgroup's folder") : 0;
}

static int push_below(struct walk *w, struct zl_error *err)
{
    struct stat st;
    if (fstat(w->at, &st) == 0 && st.st_nlink == 2)
        return 0; /* two links and one for each folder below */
    int fd = openat(w->at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        zl_closep(&fd);
        return errno == ENOENT ? 0 : zl_fail_errno(err, "read a cgroup's folder");
    }
    int rc = push_all(w, d, err);
    (void)closedir(d); /* it was only read */
    return rc;
}

static int arrive(struct walk *w, struct zl_error *err)
{
    if (w->visit->enter && w->visit->enter(w->visit->arg, w->at, err) < 0)
        return -1;
    return push_below(w, err);
}

static int go(struct walk *w, const char *name, struct zl_error *err)
{
    int to = openat(w->at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (to < 0)
        return zl_fail_errno(err, "open a cgroup's folder");
    (void)close(w->at);
    w->at = to;
    return 0;
}

static int climb(struct walk *w, size_t depth, struct zl_error *err)
{
    for (; w->depth > depth; w->depth--)
        if (go(w, "..", err) < 0)
            return -1;
    return 0;
}

static int take_step(struct walk *w, struct zl_error *err)
{
    struct step s;
    const char *name = last(w, &s);
    if (climb(w, s.depth, err) < 0)
        return -1;
    if (s.entered) {
        if (w->visit->leave)
            w->visit->leave(w->at, name);
        pop(w, &s);
        return 0;
    }
    struct zl_error why = { 0 };
    if (go(w, name, &why) < 0) {
        pop(w, &s);
        if (why.errnum == ENOENT)
            return 0; /* it went meanwhile */
        *err = why;
        return -1;
    }
    mark_entered(w, s);
    w->depth++;
    return arrive(w, err);
}

int cgroup_walk(int dir_fd, const struct cgroup_visit *visit, struct zl_error *err)
{
    struct zl_error unheard = { 0 };
    ZL_CLEANUP(walk_done) struct walk w = { .visit = visit, .names = ZL_BUF(NAMES_MAX) };
    if (!err)
        err = &unheard;
    w.at = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (w.at < 0)
        return zl_fail_errno(err, "open a cgroup's folder");
    int rc = arrive(&w, err);
    while (rc == 0 && w.names.len)
        rc = take_step(&w, err);
    return rc;
}

/* ---- what is done with it ---- */

/* Appends cgroup.procs. A folder that went meanwhile holds nobody; neither does a threaded one by
 * itself (EOPNOTSUPP). */
static int append_procs(void *out, int fd, struct zl_error *err)
{
    if (zl_read_file(fd, "cgroup.procs", out, err) < 0 && errno != ENODEV && errno != ENOENT &&
        errno != EOPNOTSUPP)
        return -1;
    return 0;
}

int cgroup_procs_below(int dir_fd, struct zl_buf *out, struct zl_error *err)
{
    return cgroup_walk(dir_fd, &(struct cgroup_visit){ .enter = append_procs, .arg = out }, err);
}

bool cgroup_lists(const struct zl_buf *procs, pid_t pid)
{
    for (const char *at = procs->data; *at; at += strcspn(at, "\n"), at += *at == '\n')
        if (strtol(at, NULL, 10) == pid)
            return true;
    return false;
}

static int compare_pids(const void *a, const void *b)
{
    pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;
    return (x > y) - (x < y);
}

int cgroup_pids_below(int dir_fd, pid_t **ret, size_t *ret_n, struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(PROCS_MAX);
    pid_t *v;
    size_t n = 0;

    if (cgroup_procs_below(dir_fd, &text, err) < 0 ||
        zl_buf_check(&text, "list of processes", err) < 0)
        return -1;
    v = calloc(text.len / 2 + 1, sizeof *v); /* a digit and a line's end each, at least */
    if (!v)
        return zl_fail_errno(err, "list processes");
    for (const char *at = text.data; *at; at += strcspn(at, "\n"), at += *at == '\n') {
        long pid = strtol(at, NULL, 10);
        if (pid > 0) /* 0: not in our PID namespace */
            v[n++] = (pid_t)pid;
    }
    qsort(v, n, sizeof *v, compare_pids);
    *ret = v;
    *ret_n = n;
    return 0;
}

struct pins { /* processes that are held while they are looked for once more */
    int fds[PINS];
    pid_t pids[PINS];
    size_t n;
};

static void pins_done(struct pins *p)
{
    while (p->n)
        (void)close(p->fds[--p->n]);
}

/* As many as there is room for; how many of the n were looked at. -1: not even one. */
static ssize_t pin(struct pins *p, const pid_t *pids, size_t n, struct zl_error *err)
{
    size_t i = 0;

    for (; i < n && p->n < PINS; i++) {
        int fd = k_pidfd_open(pids[i]);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM)) {
            if (p->n)
                break; /* those first */
            return zl_fail_errno(err, "open process %d", (int)pids[i]);
        }
        if (fd < 0)
            continue; /* it has ended */
        p->fds[p->n] = fd;
        p->pids[p->n++] = pids[i];
    }
    return (ssize_t)i;
}

static int signal_pinned(int dir_fd, const struct pins *p, int signal, struct zl_error *err)
{
    zl_autofree pid_t *again = NULL;
    size_t n = 0;

    if (cgroup_pids_below(dir_fd, &again, &n, err) < 0)
        return -1;
    for (size_t i = 0; i < p->n; i++)
        if (again && bsearch(&p->pids[i], again, n, sizeof *again, compare_pids) &&
            k_pidfd_send_signal(p->fds[i], signal) < 0 && errno != ESRCH)
            return zl_fail_errno(err, "send signal %d to process %d", signal, (int)p->pids[i]);
    return 0;
}

/* A pid may be another process by now: it is pinned first, and then must still be listed. Many at
 * a time, since the list of v1 costs as much as it is long. */
int cgroup_signal_below(int dir_fd, int signal, struct zl_error *err)
{
    zl_autofree pid_t *pids = NULL;
    size_t n = 0;

    if (cgroup_pids_below(dir_fd, &pids, &n, err) < 0)
        return -1;
    for (size_t at = 0; at < n;) {
        ZL_CLEANUP(pins_done) struct pins p = { .n = 0 };
        ssize_t seen = pin(&p, pids + at, n - at, err);
        if (seen < 0 || (p.n && signal_pinned(dir_fd, &p, signal, err) < 0))
            return -1;
        at += (size_t)seen;
    }
    return 0;
}

/* Not an error here: the removal of the folder above will tell. */
static void remove_one(int parent_fd, const char *name)
{
    (void)unlinkat(parent_fd, name, AT_REMOVEDIR);
}

void cgroup_remove_below(int dir_fd)
{
    (void)cgroup_walk(dir_fd, &(struct cgroup_visit){ .leave = remove_one }, NULL); /* as above */
}
