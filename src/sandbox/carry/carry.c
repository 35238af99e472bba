// SPDX-License-Identifier: Apache-2.0
/* One container's life, from a plan: what carry.h promises, put together from the other files. */
#include "sandbox/carry/carry.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/weaken.h"
#include "sandbox/carry/child.h"
#include "sandbox/carry/inner.h"
#include "sandbox/carry/spawn.h"
#include "sandbox/carry/userns.h"
#include "sandbox/kernel.h"

int carry_new(const struct plan *plan, const int *fds, size_t n_fds, struct carry **ret,
              struct zl_error *err)
{
    const struct plan_cgroup *pc = plan_table(plan, plan->cgroups);
    const char *trace = getenv("ZLAYER_TRACE");
    autocarry struct carry *c = calloc(1, sizeof *c);

    if (!c)
        return zl_fail_errno(err, "carry out a plan");
    if (n_fds != plan->n_fds)
        return zl_fail(err, ZL_ERR_PROTOCOL, "carry out a plan: it wants %u descriptors, not %zu",
                       plan->n_fds, n_fds);
    c->plan = plan;
    c->oom_fd = -1;
    c->tracing = trace && strcmp(trace, "start") == 0;
    c->fds = calloc(n_fds + 1, sizeof *c->fds);
    c->cgroups = calloc(plan->cgroups.n + 1, sizeof *c->cgroups);
    if (!c->fds || !c->cgroups)
        return zl_fail_errno(err, "carry out a plan");
    if (n_fds)
        memcpy(c->fds, fds, n_fds * sizeof *fds);
    for (uint32_t i = 0; i < plan->cgroups.n; i++)
        cgroup_init(&c->cgroups[i], plan, &pc[i]);
    *ret = zl_take_ptr(c);
    return 0;
}

void carry_free(struct carry *c)
{
    if (!c)
        return;
    for (uint32_t i = 0; c->cgroups && i < c->plan->cgroups.n; i++)
        cgroup_done(&c->cgroups[i]);
    zl_closep(&c->oom_fd);
    free(c->cgroups);
    free(c->fds);
    free(c);
}

/* ---- before the start ---- */

int carry_enter_network(struct zl_error *err)
{
    if (unshare(CLONE_NEWNET) < 0)
        return zl_fail_errno(err, "make a network namespace");
    if (spawn_loopback_up() < 0)
        return zl_fail_errno(err, "bring up the loopback interface");
    return 0;
}

static bool is_late(const struct cgroup *cg)
{
    return cg->plan->flags & PLAN_CGROUP_LATE;
}

static int make_cgroups(struct carry *c, struct zl_error *err)
{
    for (uint32_t i = 0; i < c->plan->cgroups.n; i++)
        if (!is_late(&c->cgroups[i]) && cgroup_make(&c->cgroups[i], err) < 0)
            return -1;
    return 0;
}

/* Another container's network, which is held by a descriptor: who asks for sockets means that one.
 */
static int join_netns(const struct carry *c, struct zl_error *err)
{
    const struct plan_join *j = plan_table(c->plan, c->plan->joins);

    for (uint32_t i = 0; i < c->plan->joins.n; i++)
        if (j[i].ns == CLONE_NEWNET && j[i].fd && setns(c->fds[j[i].fd - 1], CLONE_NEWNET) < 0)
            return zl_fail_errno(err, "join network namespace '%s'", plan_text(c->plan, j[i].path));
    return 0;
}

int carry_prepare(struct carry *c, enum carry_network network, struct zl_error *err)
{
    c->own_netns = network != CARRY_NET_CHILD && c->plan->namespaces & CLONE_NEWNET;
    bool make = c->own_netns && network == CARRY_NET_OWN;

    if (make_cgroups(c, err) < 0 || (make && carry_enter_network(err) < 0) ||
        (network != CARRY_NET_CHILD && join_netns(c, err) < 0)) {
        for (uint32_t i = 0; i < c->plan->cgroups.n; i++)
            if (c->cgroups[i].ours)
                (void)cgroup_remove(&c->cgroups[i], NULL); /* the first failure is the story */
        return -1;
    }
    return 0;
}

int carry_limit(struct carry *c, struct zl_error *err)
{
    for (uint32_t i = 0; i < c->plan->cgroups.n; i++)
        if (!is_late(&c->cgroups[i]) && cgroup_limit(&c->cgroups[i], err) < 0)
            return -1;
    return 0;
}

/* ---- starting ---- */

/* Stack arrays of the two starts: how many hierarchies and kinds of namespaces can there be. */
enum { TASKS_MAX = 32, JOINS_MAX = 16 };

/* NULL-terminated; the pointers lead into the plan. */
static char **pointers(const void *base, struct plan_tab t, struct zl_error *err)
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

/* "memory" among "cpu,memory". */
static bool names(const char *list, const char *controller)
{
    size_t n = strlen(controller);

    for (; list && *list; list += strcspn(list, ","), list += *list == ',')
        if (strcspn(list, ",") == n && memcmp(list, controller, n) == 0)
            return true;
    return false;
}

/* Descriptors of cgroups below the container's, which a further process joins instead. */
struct below {
    const struct carry_start *how;
    int fds[TASKS_MAX];
    size_t n;
};

static void below_done(struct below *b)
{
    for (size_t i = 0; i < b->n; i++)
        zl_closep(&b->fds[i]);
}

static const char *below_path(const struct below *b, const struct cgroup *cg)
{
    for (size_t i = 0; b && i < b->how->n_subs; i++)
        if (!b->how->subs[i].controller || names(cg->controller, b->how->subs[i].controller))
            return b->how->subs[i].path;
    return NULL;
}

static int check_below(const struct carry *c, const struct carry_start *how, struct zl_error *err)
{
    for (size_t i = 0; i < how->n_subs; i++) {
        const char *controller = how->subs[i].controller;
        uint32_t k = 0;
        while (controller && k < c->plan->cgroups.n && !names(c->cgroups[k].controller, controller))
            k++;
        if (controller && k == c->plan->cgroups.n)
            return zl_fail(err, ZL_ERR_INVALID,
                           "join cgroup '%s:%s': the container is in no hierarchy of this name",
                           controller, how->subs[i].path);
    }
    return 0;
}

/* What joins it: its own, or of one below, which stays b's. */
static int join_fd(struct cgroup *cg, struct below *b, struct zl_error *err)
{
    const char *path = below_path(b, cg);
    int fd;

    if (!path)
        return cg->plan->kind == PLAN_CGROUP_V2 ? cg->dir_fd : cg->tasks_fd;
    fd = cgroup_open_below(cg, path, err);
    if (fd >= 0)
        b->fds[b->n++] = fd;
    return fd;
}

/* A late one is there only when the first process is. 1 it is, 0 it is not yet; -1. */
static int is_there(struct cgroup *cg, const struct spawn *s, struct zl_error *err)
{
    if (!is_late(cg))
        return 1;
    if (s->child.plan)
        return 0;
    if (cgroup_dir(cg) >= 0)
        return 1;
    return errno == ENOENT ? 0 : zl_fail_errno(err, "open cgroup '%s/%s'", cg->mount, cg->path);
}

/* Where the child will join: v1 by writing, v2 by being born there. */
static int open_cgroups(struct carry *c, int *tasks, struct spawn *s, struct below *b,
                        struct zl_error *err)
{
    s->cgroup_fd = -1;
    s->child.tasks = tasks;
    for (uint32_t i = 0; i < c->plan->cgroups.n; i++) {
        struct cgroup *cg = &c->cgroups[i];
        int there = is_there(cg, s, err);
        if (there == 0)
            continue;
        int fd = there < 0 || cgroup_open_join(cg, err) < 0 ? -1 : join_fd(cg, b, err);
        if (fd < 0)
            return -1;
        if (cg->plan->kind == PLAN_CGROUP_V2)
            s->cgroup_fd = fd;
        else
            tasks[s->child.n_tasks++] = fd;
    }
    return 0;
}

/* Namespaces to join, opened before anything changes where their paths lead. */
static int open_joins(struct carry *c, int *joins, struct spawn *s, struct zl_error *err)
{
    const struct plan_join *j = plan_table(c->plan, c->plan->joins);

    s->child.joins = joins;
    for (uint32_t i = 0; i < c->plan->joins.n; i++) {
        const char *path = plan_text(c->plan, j[i].path);
        int fd = j[i].fd ? fcntl(c->fds[j[i].fd - 1], F_DUPFD_CLOEXEC, 3)
                         : open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return zl_fail_errno(err, "open namespace '%s'", path);
        joins[i] = j[i].ns == CLONE_NEWPID ? -1 : fd;
        if (j[i].ns == CLONE_NEWPID)
            s->pid_ns_fd = fd;
        s->n_joins = i + 1;
    }
    return 0;
}

static void close_joins(const int *joins, struct spawn *s)
{
    for (uint32_t i = 0; i < s->n_joins; i++)
        zl_closep(&joins[i]);
    zl_closep(&s->pid_ns_fd);
}

static int check_counts(const struct carry *c, struct zl_error *err)
{
    if (c->plan->cgroups.n > TASKS_MAX || c->plan->joins.n > JOINS_MAX)
        return zl_fail(err, ZL_ERR_PROTOCOL, "carry out a plan: too many cgroups or namespaces");
    return 0;
}

/* New and joined ones. */
static uint32_t all_namespaces(const struct plan *p)
{
    const struct plan_join *j = plan_table(p, p->joins);
    uint32_t all = p->namespaces;

    for (uint32_t i = 0; i < p->joins.n; i++)
        all |= j[i].ns;
    return all;
}

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

/* A child that must hear from us, or change over to another time, cannot stand on our stack. */
static bool may_share_memory(const struct plan *p)
{
    return !(p->process.flags & (PLAN_SECCOMP_LISTENER | PLAN_USER_NS)) &&
           !(all_namespaces(p) & CLONE_NEWTIME);
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
    int tasks[TASKS_MAX];
    int joins[JOINS_MAX] = { [0 ... JOINS_MAX - 1] = -1 };
    zl_autofree char **argv = pointers(p, p->process.argv, err);
    zl_autofree char **envp = pointers(p, p->process.env, err);
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

    if (!argv || !envp || check_counts(c, err) < 0)
        return -1;
    if (!p->process.argv.n)
        return zl_fail(err, ZL_ERR_INVALID, "start a container: it has no process to execute");
    if (open_cgroups(c, tasks, &s, NULL, err) < 0)
        return -1;
    rc = open_joins(c, joins, &s, err) < 0 || open_trees(p, &trees, &s, err) < 0 ? -1
         : p->init ? start_by_first(c, &s, ret, err)
                   : spawn_run(&s, ret, err);
    close_joins(joins, &s);
    close_trees(p, trees);
    return rc;
}

/* exec: born in the PID namespace of init, which is this one's, or another. */
static bool other_pid_ns(const struct carry *c)
{
    return c->plan->namespaces & CLONE_NEWPID || c->plan->joins.n;
}

static int spawn_on_cpus(struct spawn *s, const struct plan_exec *x, struct carry_proc *ret,
                         struct zl_error *err)
{
    struct scheduling cpus;
    int rc;

    if (scheduling_begin(&cpus, x) < 0)
        return zl_fail_errno(err, "set the initial CPU affinity");
    rc = spawn_run(s, ret, err);
    scheduling_end(&cpus);
    return rc;
}

/* v2: a cgroup that hands controllers down takes no process. Who did that, inside the container,
 * is below: there the further process is born, next to the first. */
static int spawn_in_cgroup(struct carry *c, int init, struct spawn *s, const struct plan_exec *x,
                           struct carry_proc *ret, struct zl_error *err)
{
    struct cgroup *v2 = carry_cgroup(c, "");
    struct zl_error why = { 0 };
    zl_autoclose int fd = -1;

    if (spawn_on_cpus(s, x, ret, &why) == 0)
        return 0;
    if (why.errnum == EBUSY && v2 && s->cgroup_fd == v2->dir_fd)
        fd = cgroup_open_of(v2, init, NULL); /* the first failure is the story */
    if (fd >= 0) {
        s->cgroup_fd = fd;
        return spawn_on_cpus(s, x, ret, err);
    }
    if (err)
        *err = why;
    return -1;
}

/* In a mount namespace where others live the container's root is its first process's. */
static int open_root(const struct carry *c, int init, int *ret, struct zl_error *err)
{
    char path[32];

    *ret = -1;
    if (!c->plan->root_mount)
        return 0;
    (void)snprintf(path, sizeof path, "/proc/%d/root", (int)carry_pid_of(init));
    *ret = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return *ret < 0 ? zl_fail_errno(err, "open the container's root") : 0;
}

/*
 * A container with CAP_SYS_PTRACE sees into every process of its PID namespace, dumpable or not:
 * who joins it must have no right left when it is born there.
 */
static bool must_go_ahead(const struct carry *c, const struct plan_exec *x)
{
    bool traces = c->plan->process.caps[PLAN_CAP_BOUNDING] >> CAP_SYS_PTRACE & 1;

    return traces && !zl_weaken(AHEAD) && other_pid_ns(c) && !(x->process.flags & PLAN_USER_NS);
}

/*
 * A filter that is loaded with rights (without no_new_privs) has to be loaded by who goes ahead,
 * whom it would bind as well: it may deny clone(2), or ask somebody who is told of the process
 * first.
 */
static bool filter_is_in_the_way(const struct plan_exec *x)
{
    const struct plan_process *p = &x->process;

    return p->seccomp.n && !(p->flags & PLAN_NO_NEW_PRIVS) &&
           (p->flags & PLAN_SECCOMP_LISTENER || !filter_allows_birth(x, p));
}

int carry_exec(struct carry *c, int init, const struct plan_exec *x, const struct carry_start *how,
               struct carry_proc *ret, struct zl_error *err)
{
    int tasks[TASKS_MAX];
    zl_autofree char **argv = pointers(x, x->process.argv, err);
    zl_autofree char **envp = pointers(x, x->process.env, err);
    struct spawn s = {
        .child = { .base = x,
                   .process = &x->process,
                   .argv = argv,
                   .envp = envp,
                   .how = how,
                   .init_fd = init,
                   .enter = all_namespaces(c->plan) & ~(uint32_t)(CLONE_NEWUSER | CLONE_NEWPID),
                   .tracing = c->tracing },
        .pid_ns_fd = other_pid_ns(c) ? init : -1,
        .between = x->process.flags & PLAN_USER_NS || must_go_ahead(c, x),
        .ahead = must_go_ahead(c, x),
        .unbound = must_go_ahead(c, x) && filter_is_in_the_way(x),
    };
    struct below below = { .how = how };
    int rc;

    if (!argv || !envp || check_counts(c, err) < 0 ||
        open_root(c, init, &s.child.chroot_fd, err) < 0)
        return -1;
    zl_autoclose int root = s.child.chroot_fd;
    /* also the proof that whatever was looked up by its number meanwhile was its own */
    if (k_pidfd_send_signal(init, 0) < 0)
        return zl_fail_errno(err, "find the container's first process");
    rc = check_below(c, how, err) < 0 || open_cgroups(c, tasks, &s, &below, err) < 0
             ? -1
             : spawn_in_cgroup(c, init, &s, x, ret, err);
    below_done(&below);
    return rc;
}

/* v1: a process that is alone in it moves as a thread, which spares the kernel a grace period. */
static int join_tasks(const int *tasks, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (write(tasks[i], "0", 1) != 1)
            return errno ? errno : EIO;
    return 0;
}

int carry_fork(struct carry *c, void (*child)(void *arg, int failed), void *arg,
               struct carry_proc *ret, struct zl_error *err)
{
    int tasks[TASKS_MAX], pidfd = -1;
    struct spawn s = { .cgroup_fd = -1 };

    if (check_counts(c, err) < 0 || open_cgroups(c, tasks, &s, NULL, err) < 0)
        return -1;
    pid_t pid = spawn_fork(0, s.cgroup_fd, &pidfd);
    if (pid < 0)
        return zl_fail_errno(err, "fork into the container's cgroups");
    if (pid == 0) {
        child(arg, join_tasks(tasks, s.child.n_tasks));
        _exit(127); /* it does not return */
    }
    *ret = (struct carry_proc){ .pid = pid, .pidfd = pidfd };
    return 0;
}

/* ---- its processes, and the end ---- */

int carry_kill_all(struct carry *c, int signal, struct zl_error *err)
{
    if (!c->plan->cgroups.n)
        return zl_fail(err, ZL_ERR_UNSUPPORTED,
                       "signal all processes: the container has no cgroup to find them in");
    if (cgroup_signal(&c->cgroups[0], signal, err) < 0)
        return -1;
    if (signal == SIGKILL)
        carry_thaw(c);
    return 0;
}

bool carry_is_empty(struct carry *c)
{
    return !c->plan->cgroups.n || cgroup_empty(&c->cgroups[0]) == 1;
}

struct cgroup *carry_cgroup(struct carry *c, const char *controller)
{
    struct cgroup *v2 = NULL;

    for (uint32_t i = 0; i < c->plan->cgroups.n; i++) {
        if (c->cgroups[i].plan->kind == PLAN_CGROUP_V2)
            v2 = &c->cgroups[i];
        else if (names(c->cgroups[i].controller, controller))
            return &c->cgroups[i];
    }
    return v2;
}

int carry_oom_kills(struct carry *c, uint64_t *ret_kills, uint64_t *ret_peak, struct zl_error *err)
{
    struct cgroup *m = carry_cgroup(c, "memory");
    bool v2 = m && m->plan->kind == PLAN_CGROUP_V2;
    uint64_t kills;

    if (!m)
        return zl_fail(err, ZL_ERR_UNSUPPORTED, "count OOM kills: no memory cgroup is joined");
    if (!cgroup_number(m, v2 ? "memory.events" : "memory.oom_control", "oom_kill", &kills))
        return zl_fail(err, ZL_ERR_UNSUPPORTED, "count OOM kills: '%s/%s' does not tell", m->mount,
                       m->path);
    *ret_peak = 0;
    if (kills)
        (void)cgroup_number(m, v2 ? "memory.peak" : "memory.max_usage_in_bytes", NULL, ret_peak);
    *ret_kills = kills;
    return 0;
}

int carry_oom_fd(struct carry *c)
{
    struct cgroup *m = carry_cgroup(c, "memory");

    if (c->oom_fd < 0 && m)
        c->oom_fd = cgroup_watch_oom(m);
    return c->oom_fd;
}

int carry_remove(struct carry *c, struct zl_error *err)
{
    int rc = 0;

    carry_thaw(c);
    for (uint32_t i = 0; i < c->plan->cgroups.n; i++)
        if (cgroup_remove(&c->cgroups[i], rc == 0 ? err : NULL) < 0)
            rc = -1; /* the others go nevertheless */
    return rc;
}
