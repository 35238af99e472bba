// SPDX-License-Identifier: Apache-2.0
/*
 * New limits for a living container: all of them or none, but for what carry.h says. What a file
 * held is noted before it is written, and put back when a later one fails. Limits depend on each
 * other in both directions (memory and memory with swap, quota and period), so what the kernel
 * refuses is tried once more after the others.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/fd.h"
#include "sandbox/carry/inner.h"

enum { CHANGES_MAX = 256, OLD_MAX = 512 };

struct change { /* a file that was written */
    struct cgroup *in;
    const char *file;
    char old[OLD_MAX]; /* "": it told nothing that could be written again */
};

struct update {
    struct carry *c;
    const struct plan_update *u;
    struct zl_buf done; /* struct change */
    struct zl_error *err;
};

/* The one of the container that a row of the update is about. */
static struct cgroup *find(struct update *x, const struct plan_cgroup *row)
{
    const char *controller = plan_text(x->u, row->controller);

    for (uint32_t i = 0; i < x->c->plan->cgroups.n; i++) {
        struct cgroup *cg = &x->c->cgroups[i];
        if (cg->plan->kind == row->kind && cg->controller && controller &&
            strcmp(cg->controller, controller) == 0)
            return cg;
    }
    (void)zl_fail(x->err, ZL_ERR_UNSUPPORTED, "the container has no cgroup of controller '%s'",
                  controller ? controller : "");
    return NULL;
}

/* One line is a value; more are a list by device or the like, which is written line by line. */
static void note_old(struct update *x, struct cgroup *cg, const char *file)
{
    struct change ch = { .in = cg, .file = file };
    zl_autobuf struct zl_buf text = ZL_BUF(OLD_MAX - 1);

    if (zl_read_file(cg->dir_fd, file, &text, NULL) == 0 &&
        strchr(text.data, '\n') == text.data + text.len - 1)
        memcpy(ch.old, text.data, text.len + 1);
    zl_buf_add(&x->done, &ch, sizeof ch);
}

static void roll_back(struct update *x)
{
    struct change *v = (struct change *)(void *)x->done.data;

    for (int round = 0; round < 2; round++) /* twice: they depend on each other */
        for (size_t i = x->done.len / sizeof *v; i-- > 0;)
            if (v[i].old[0])
                (void)zl_write_file(v[i].in->dir_fd, v[i].file, v[i].old, NULL);
}

static int check_usage(struct update *x, struct cgroup *cg, const struct plan_file *f)
{
    const char *value = plan_text(x->u, f->value);
    uint64_t used, limit = strtoull(value, NULL, 10);

    if (!(f->flags & PLAN_FILE_NOT_BELOW_USAGE) || strcmp(value, "max") == 0 ||
        !cgroup_number(cg, "memory.current", NULL, &used) || used <= limit)
        return 0;
    return zl_fail(x->err, ZL_ERR_CONFLICT,
                   "limit memory to %s bytes: %llu are used, and checkBeforeUpdate is set", value,
                   (unsigned long long)used);
}

/* 1 written (or may stay unwritten), 0 there is no such file and another is named, -1 and errno. */
static int put(struct update *x, struct cgroup *cg, const struct plan_cgroup *row,
               const struct plan_file *f)
{
    const char *name = plan_text(x->u, f->path);
    zl_autoclose int fd = cgroup_open_file(cg, name, plan_text(x->u, row->enable));

    if (fd < 0 && errno == ENOENT && f->flags & PLAN_FILE_OR_NEXT)
        return 0;
    if (fd >= 0) {
        note_old(x, cg, name);
        if (cgroup_write_value(fd, plan_text(x->u, f->value)) == 0)
            return 1;
    }
    return f->flags & PLAN_FILE_OPTIONAL ? 1 : -1;
}

/* `again`: a second round over those that were refused, in which a refusal is final. */
static int put_all(struct update *x, struct cgroup *cg, const struct plan_cgroup *row,
                   bool *refused, bool again)
{
    const struct plan_file *f = plan_table(x->u, row->files);

    for (uint32_t i = 0; i < row->files.n; i++) {
        bool or_next = f[i].flags & PLAN_FILE_OR_NEXT;
        if (again && (i >= CHANGES_MAX || !refused[i]))
            continue;
        if (!again && check_usage(x, cg, &f[i]) < 0)
            return -1;
        int rc = put(x, cg, row, &f[i]);
        if (rc < 0 && (again || i >= CHANGES_MAX || errno == ENOENT))
            return cgroup_write_failed(cg, plan_text(x->u, f[i].path), plan_text(x->u, f[i].value),
                                       x->err);
        if (rc < 0)
            refused[i] = true;
        if (or_next && rc != 0)
            i++;
    }
    return 0;
}

static int update_one(struct update *x, const struct plan_cgroup *row)
{
    struct cgroup *cg = find(x, row);
    bool late = cg && cgroup_is_late(cg);
    bool refused[CHANGES_MAX] = { false };

    if (!cg)
        return -1;
    if (late && cgroup_make_folder(cg) < 0)
        return zl_fail_errno(x->err, "make cgroup '%s/%s'", cg->mount, cg->path);
    if (cgroup_dir(cg) < 0)
        return zl_fail_errno(x->err, "open cgroup '%s/%s'", cg->mount, cg->path);
    if (put_all(x, cg, row, refused, false) < 0 || put_all(x, cg, row, refused, true) < 0)
        return -1;
    return late ? carry_join_late(x->c, cg, x->err) : 0;
}

static int set_devices(struct update *x, const struct plan_cgroup *row)
{
    struct cgroup *cg = find(x, row);

    return !row->device_bpf.n ? 0
           : !cg              ? -1
                 : cgroup_set_devices(cg, plan_table(x->u, row->device_bpf), row->device_bpf.n,
                                      x->err);
}

static int update_all(struct update *x)
{
    const struct plan_cgroup *row = plan_table(x->u, x->u->cgroups);

    for (uint32_t i = 0; i < x->u->cgroups.n; i++)
        if (update_one(x, &row[i]) < 0)
            return -1;
    for (uint32_t i = 0; i < x->u->cgroups.n; i++) /* last: it cannot be undone */
        if (set_devices(x, &row[i]) < 0)
            return -1;
    for (uint32_t i = 0; i < x->u->cgroups.n; i++)
        find(x, &row[i])->wanted = true; /* it was found above */
    return 0;
}

int carry_update(struct carry *c, const struct plan_update *u, struct zl_error *err)
{
    struct update x = { .c = c, .u = u, .err = err };
    int rc;

    zl_buf_init(&x.done, PLAN_MAX);
    rc = update_all(&x);
    if (rc < 0) {
        roll_back(&x);
        (void)zl_wrap(err, "update limits");
    }
    zl_buf_done(&x.done);
    return rc;
}
