// SPDX-License-Identifier: Apache-2.0
/* The first process of a container, or the one that becomes process 1 and starts it. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "sandbox/carry/join.h"
#include "sandbox/carry/userns.h"

char **carry_pointers(const void *base, struct plan_tab t, struct zl_error *err)
{
    const plan_str *v = plan_table(base, t);
    char **out = calloc((size_t)t.n + 1, sizeof *out);

    if (!out)
        (void)zl_fail_errno(err, "start a process");
    for (uint32_t i = 0; out && i < t.n; i++) {
        const char *text = plan_text(base, v[i]);
        memcpy(&out[i], &text, sizeof text); /* execve(2) takes no const, and changes nothing */
    }
    return out;
}

/* ---- by a process 1 of ours ---- */

/* The program that becomes process 1 and starts the command (plan.init). */
struct first {
    char **argv;
    int report[2]; /* read by us; written by it, when the command cannot be executed */
};

/* "zlayer-init -- COMMAND…"; the first two words stand behind the pointers. */
static char **first_argv(char *const *command, struct zl_error *err)
{
    static const char name[] = "zlayer-init", end[] = "--";
    size_t n = 0;

    while (command[n])
        n++;
    char **argv = calloc(1, (n + 3) * sizeof *argv + sizeof name + sizeof end);
    if (!argv) {
        (void)zl_fail_errno(err, "start a process");
        return NULL;
    }
    argv[0] = memcpy(argv + n + 3, name, sizeof name);
    argv[1] = memcpy(argv[0] + sizeof name, end, sizeof end);
    memcpy(argv + 2, command, n * sizeof *argv);
    return argv;
}

/* It runs; end-of-file says that the command does, too. */
static int first_follow(struct first *f, const char *command, struct carry_proc *p,
                        struct zl_error *err)
{
    struct report r = { .step = STEP_EXEC };
    int why = 0;
    ssize_t n;

    (void)close(zl_take_fd(&f->report[1]));
    do
        n = read(f->report[0], &why, sizeof why);
    while (n < 0 && errno == EINTR);
    if (n == 0)
        return 0;
    r.errnum = n == sizeof why ? why : EPIPE;
    (void)snprintf(r.object, sizeof r.object, "%s", command);
    spawn_end(p);
    return step_error(&r, err);
}

static int start_by_first(struct carry *c, struct spawn *s, struct carry_proc *ret,
                          struct zl_error *err)
{
    struct first f = { .argv = first_argv(s->child.argv, err), .report = { -1, -1 } };
    int rc = f.argv ? 0 : -1;

    if (rc == 0 && pipe2(f.report, O_CLOEXEC) < 0)
        rc = zl_fail_errno(err, "prepare the container's process 1");
    s->child.init_argv = f.argv;
    s->child.init_exe = c->fds[c->plan->init - 1];
    s->child.init_report = f.report[1];
    if (rc == 0)
        rc = spawn_run(s, ret, err);
    if (rc == 0)
        rc = first_follow(&f, s->child.argv[0], ret, err);
    free(f.argv);
    zl_closep(&f.report[0]);
    zl_closep(&f.report[1]);
    return rc;
}

/* ---- as it is ---- */

/* A child that must hear from us, or change over to another time, cannot stand on our stack. */
static bool may_share_memory(const struct plan *p)
{
    return !(p->process.flags & (PLAN_SECCOMP_LISTENER | PLAN_USER_NS)) &&
           !(plan_namespaces(p) & CLONE_NEWTIME);
}

/* Its maps are ours to write only where its /proc/PID is: that of who may not be looked at is
 * root's. */
static bool unprivileged_maker(const struct plan *p)
{
    return p->namespaces & CLONE_NEWUSER && geteuid() != 0;
}

static int open_trees(const struct plan *p, int **trees, struct spawn *s, struct zl_error *err)
{
    if (!userns_wants_trees(p))
        return 0;
    *trees = malloc(p->mounts.n * sizeof **trees);
    if (!*trees)
        return zl_fail_errno(err, "start a process");
    for (uint32_t i = 0; i < p->mounts.n; i++)
        (*trees)[i] = -1;
    s->child.trees = *trees;
    return userns_open_trees(p, *trees, err);
}

static void close_trees(const struct plan *p, const int *trees)
{
    for (uint32_t i = 0; trees && i < p->mounts.n; i++)
        zl_closep(&trees[i]);
}

int carry_start(struct carry *c, const struct carry_start *how, struct carry_proc *ret,
                struct zl_error *err)
{
    const struct plan *p = c->plan;
    struct join join;
    zl_autofree char **argv = carry_pointers(p, p->process.argv, err);
    zl_autofree char **envp = carry_pointers(p, p->process.env, err);
    uint32_t later = CLONE_NEWCGROUP | CLONE_NEWTIME | (c->own_netns ? CLONE_NEWNET : 0);
    bool alone = p->namespaces & CLONE_NEWPID; /* nobody else can see the child */
    zl_autofree int *trees = NULL;
    struct spawn s = {
        .child = { .plan = p,
                   .base = p,
                   .process = &p->process,
                   .argv = argv,
                   .envp = envp,
                   .how = how,
                   .plan_fds = c->fds,
                   .init_fd = -1,
                   .dumpable = alone || unprivileged_maker(p),
                   .tracing = c->tracing },
        .namespaces = p->namespaces & ~later,
        .pid_ns_fd = -1,
        .between = p->process.flags & PLAN_USER_NS,
        .share_memory = alone && how->gate < 0 && may_share_memory(p),
    };
    int rc;

    if (!argv || !envp || join_begin(&join, c, err) < 0)
        return -1;
    if (!p->process.argv.n)
        return zl_fail(err, ZL_ERR_INVALID, "start a container: it has no process to execute");
    if (join_open_cgroups(&join, c, &s, err) < 0)
        return -1;
    rc = join_open_namespaces(&join, c, &s, err) < 0 || open_trees(p, &trees, &s, err) < 0 ? -1
         : p->init ? start_by_first(c, &s, ret, err)
                   : spawn_run(&s, ret, err);
    join_end(&join);
    close_trees(p, trees);
    return rc;
}
