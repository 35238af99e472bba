// SPDX-License-Identifier: Apache-2.0
#include "wasm/host.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/dir.h"
#include "base/fd.h"
#include "monitor/server.h"
#include "monitor/wasm.h"
#include "sandbox/kernel.h"
#include "wasm/compile.h"
#include "wasm/guest.h"

enum {
    CONTROL_FD = 3,
    KEPT_FD = 4, /* of a monitor: the empty namespaces */
    JOBS_MAX = 32,
    WAITERS_MAX = 32,
    SPARES_MAX = 8,
    REFILL_MS = 3,       /* behind the start that took one: it is not to be slowed down */
    IDLE_MS = 30 * 1000, /* without any connection: an agent that restarts finds it warm */
    COMPILE_MS = 300 * 1000,
    PROBLEM_MAX = 900,
    BROKEN = 125,
};

/* A module on its way into the cache. */
struct job {
    struct job *next;
    struct host *host;
    struct mon_wasm_module module;
    char name[CACHE_NAME_SIZE], tmp[CACHE_TMP_SIZE];
    pid_t pid;
    int out, problem; /* the entry; what the compiler says */
    struct loop_timer limit;
    bool too_long;
    char note[WASM_NOTE_SIZE]; /* why not what the cache had */
    struct server_ticket waiters[WAITERS_MAX];
    size_t n_waiters;
};

struct spare {             /* a monitor that nobody has taken yet */
    struct module *module; /* NULL: this place is free */
    int sock;
};

struct host {
    struct loop loop;
    struct server *server;
    struct loop_source children;
    int children_fd, folder_fd, cache_fd;
    struct stat served; /* the socket that was bound; zeros: none was */
    struct confine_empty empty;
    struct modules modules;
    struct job *jobs;
    size_t n_jobs;
    struct spare spares[SPARES_MAX];
    size_t next_spare; /* that gives way */
    struct loop_timer refill, idle;
    struct module *wanted;  /* a spare monitor of it is to be forked */
    struct zl_error broken; /* why it cannot work; kind ZL_OK: it can */
};

/* ---- monitors ---- */

static _Noreturn void monitor_main(const struct host *h, const struct module *m, int sock)
{
    enum { HIGH = 100 };
    bool has_empty = h->empty.mount_ns >= 0;
    int mine = fcntl(sock, F_DUPFD, HIGH);
    int mount_ns = has_empty ? fcntl(h->empty.mount_ns, F_DUPFD, HIGH) : -1;
    int net_ns = has_empty ? fcntl(h->empty.net_ns, F_DUPFD, HIGH) : -1;

    if (mine < 0 || dup2(mine, CONTROL_FD) < 0)
        _exit(BROKEN);
    if (has_empty &&
        (dup3(mount_ns, KEPT_FD, O_CLOEXEC) < 0 || dup3(net_ns, KEPT_FD + 1, O_CLOEXEC) < 0))
        _exit(BROKEN);
    guest_monitor_live(m, has_empty); /* closes what is above */
}

/* Our end of the socket to a new one. */
static int fork_monitor(const struct host *h, const struct module *m, struct zl_error *err)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return zl_fail_errno(err, "make a socket to a monitor");
    zl_autoclose int ours = pair[0], theirs = pair[1];
    pid_t pid = fork();
    if (pid < 0)
        return zl_fail_errno(err, "fork a monitor");
    if (pid == 0)
        monitor_main(h, m, theirs);
    return zl_take_fd(&ours);
}

static void drop_spare(struct spare *s)
{
    if (s->module)
        (void)close(s->sock); /* a monitor that was asked nothing ends by that */
    *s = (struct spare){ 0 };
}

static struct spare *find_spare(struct host *h, const struct module *m)
{
    for (size_t i = 0; i < SPARES_MAX; i++)
        if (h->spares[i].module == m)
            return &h->spares[i];
    return NULL;
}

static void refill(void *arg)
{
    struct host *h = arg;
    struct module *m = zl_take_ptr(h->wanted);
    struct spare *place = find_spare(h, NULL);

    if (!m || find_spare(h, m))
        return;
    if (!place) {
        place = &h->spares[h->next_spare++ % SPARES_MAX];
        drop_spare(place);
    }
    int sock = fork_monitor(h, m, NULL); /* who takes one forks it then, and is told */
    if (sock >= 0)
        *place = (struct spare){ m, sock };
}

static void want_spare(struct host *h, struct module *m)
{
    h->wanted = m;
    if (!h->refill.armed) /* many starts in a row do not put it off for ever */
        loop_arm(&h->loop, &h->refill, REFILL_MS, refill, h);
}

static int take_monitor(struct host *h, struct module *m, struct zl_error *err)
{
    struct spare *s = find_spare(h, m);
    int sock = s ? s->sock : fork_monitor(h, m, err);

    if (s)
        *s = (struct spare){ 0 };
    if (sock >= 0)
        want_spare(h, m);
    return sock;
}

/* ---- modules ---- */

/* Modules that are dropped to make room take their spares with them. */
static int load(struct host *h, const struct mon_wasm_module *what, const char *name,
                struct module **ret, struct zl_error *err)
{
    char digest[WASM_DIGEST_LEN + 1];
    struct cache_entry entry;
    zl_autoclose int fd = cache_load(h->cache_fd, name, &entry, err);

    if (fd < 0)
        return -1;
    if (h->modules.n >= MODULES_MAX) {
        for (size_t i = 0; i < SPARES_MAX; i++)
            drop_spare(&h->spares[i]);
        h->wanted = NULL;
    }
    (void)snprintf(digest, sizeof digest, "%.*s", WASM_DIGEST_LEN, what->digest);
    return modules_load(&h->modules, digest, what->variant, fd, &entry, ret, err);
}

/* j: it was compiled by this; NULL: it was there. */
static void answer_prepared(struct host *h, struct server_ticket *t, const struct module *m,
                            const struct job *j)
{
    struct mon_wasm_prepared p = { .serves = m->entry == ENTRY_HTTP ? WASM_HTTP : WASM_COMMAND,
                                   .compiled = j != NULL,
                                   .component = m->component != NULL };
    if (j)
        (void)snprintf(p.note, sizeof p.note, "%s", j->note);
    server_answer(h->server, t, &p, sizeof p, -1);
}

/* ---- compiling ---- */

static void job_free(struct job *j)
{
    loop_disarm(&j->host->loop, &j->limit);
    zl_closep(&j->out);
    zl_closep(&j->problem);
    free(j);
}

static void too_long(void *arg)
{
    struct job *j = arg;

    j->too_long = true;
    (void)kill(j->pid, SIGKILL); /* not reaped yet: its number is its own */
}

static int start_compiler(struct host *h, struct job *j, int source, struct zl_error *err)
{
    int problem[2];

    if (pipe2(problem, O_CLOEXEC | O_NONBLOCK) < 0)
        return zl_fail_errno(err, "make a pipe");
    j->problem = problem[0];
    const struct compiling c = { .source = source,
                                 .out = j->out,
                                 .problem = problem[1],
                                 .variant = j->module.variant,
                                 .empty = &h->empty };
    j->pid = compile_fork(&c, err);
    (void)close(problem[1]);
    return j->pid < 0 ? -1 : 0;
}

static int start_job(struct host *h, const struct mon_wasm_module *what, const char *name,
                     struct server_request *rq, const char *note, struct zl_error *err)
{
    if (h->n_jobs == JOBS_MAX)
        return zl_fail(err, ZL_ERR_CONFLICT, "%d modules are being compiled already", JOBS_MAX);
    struct job *j = calloc(1, sizeof *j);
    if (!j)
        return zl_fail_errno(err, "compile a module");
    j->host = h;
    j->module = *what;
    j->problem = -1;
    (void)snprintf(j->name, sizeof j->name, "%s", name);
    (void)snprintf(j->note, sizeof j->note, "%.*s", WASM_NOTE_SIZE - 1, note);
    j->out = cache_begin(h->cache_fd, name, j->tmp, err);
    if (j->out < 0 || start_compiler(h, j, rq->msg->fds[0], err) < 0) {
        if (j->out >= 0)
            cache_abandon(h->cache_fd, j->tmp);
        job_free(j);
        return -1;
    }
    j->waiters[j->n_waiters++] = rq->ticket;
    j->next = h->jobs;
    h->jobs = j;
    h->n_jobs++;
    loop_arm(&h->loop, &j->limit, COMPILE_MS, too_long, j);
    return 0;
}

static int compile_result(struct job *j, int code, int signal, struct zl_error *err)
{
    struct host *h = j->host;
    char text[PROBLEM_MAX] = "";

    if (code == 0 && signal == 0)
        return cache_commit(h->cache_fd, j->tmp, j->name, CACHE_MAX_DEFAULT, err);
    cache_abandon(h->cache_fd, j->tmp);
    if (j->too_long)
        return zl_fail(err, ZL_ERR_TIMEOUT, "it took longer than %d s to compile",
                       COMPILE_MS / 1000);
    if (signal)
        return zl_fail(err, ZL_ERR_INVALID,
                       "the compiler was ended by signal %d (it may use 4 GiB of memory)", signal);
    ssize_t n = read(j->problem, text, sizeof text - 1);
    text[n > 0 ? n : 0] = '\0';
    return zl_fail(err, ZL_ERR_INVALID, "%s", *text ? text : "the compiler said nothing");
}

static void finish_job(struct job *j, int code, int signal)
{
    struct host *h = j->host;
    struct module *m = NULL;
    struct zl_error err;
    int rc = compile_result(j, code, signal, &err);

    rc = rc < 0 ? rc : load(h, &j->module, j->name, &m, &err);
    for (size_t i = 0; i < j->n_waiters; i++)
        if (rc == 0)
            answer_prepared(h, &j->waiters[i], m, j);
        else
            server_refuse(h->server, &j->waiters[i], &err);
    if (rc == 0)
        want_spare(h, m);
    job_free(j);
}

static void child_ended(struct host *h, pid_t pid, int code, int signal)
{
    for (struct job **at = &h->jobs; *at; at = &(*at)->next) {
        struct job *j = *at;
        if (j->pid != pid)
            continue;
        *at = j->next;
        h->n_jobs--;
        finish_job(j, code, signal);
        return;
    }
    /* else a monitor: whoever it served knows */
}

static void children_ready(void *arg, uint32_t events)
{
    struct host *h = arg;
    struct signalfd_siginfo seen;

    (void)events;
    while (read(h->children_fd, &seen, sizeof seen) == (ssize_t)sizeof seen)
        if (seen.ssi_signo == SIGTERM)
            loop_stop(&h->loop);
    /* one SIGCHLD may stand for several children */
    for (;;) {
        siginfo_t child = { 0 };
        if (waitid(P_ALL, 0, &child, WEXITED | WNOHANG) < 0 || child.si_pid == 0)
            return;
        int signal = child.si_code == CLD_EXITED ? 0 : child.si_status;
        child_ended(h, child.si_pid, signal ? 0 : child.si_status, signal);
    }
}

/* ---- requests ---- */

static struct job *find_job(const struct host *h, const char *name)
{
    for (struct job *j = h->jobs; j; j = j->next)
        if (strcmp(j->name, name) == 0)
            return j;
    return NULL;
}

static int join_job(struct job *j, const struct server_request *rq, struct zl_error *err)
{
    if (j->n_waiters == WAITERS_MAX)
        return zl_fail(err, ZL_ERR_CONFLICT, "%d wait for this module already", WAITERS_MAX);
    j->waiters[j->n_waiters++] = rq->ticket;
    return 0;
}

static int read_module(const struct server_request *rq, struct mon_wasm_module *ret,
                       char digest[WASM_DIGEST_LEN + 1], struct zl_error *err)
{
    zl_msg_body(rq->msg, ret, sizeof *ret);
    for (size_t i = 0; i < WASM_DIGEST_LEN; i++)
        if (!ret->digest[i] || !strchr("0123456789abcdef", ret->digest[i]))
            return zl_fail(err, ZL_ERR_INVALID, "no digest of a module");
    if (ret->variant >= WASM_VARIANTS)
        return zl_fail(err, ZL_ERR_UNSUPPORTED, "variant %u of the engine", ret->variant);
    (void)snprintf(digest, WASM_DIGEST_LEN + 1, "%.*s", WASM_DIGEST_LEN, ret->digest);
    return 0;
}

static int act_prepare(struct host *h, struct server_request *rq, struct zl_error *err)
{
    struct mon_wasm_module what;
    char digest[WASM_DIGEST_LEN + 1], name[CACHE_NAME_SIZE];

    if (read_module(rq, &what, digest, err) < 0)
        return -1;
    if (rq->msg->n_fds != 1)
        return zl_fail(err, ZL_ERR_PROTOCOL, "prepare: the module's bytes did not come");
    struct module *m = modules_find(&h->modules, digest, what.variant);
    cache_name(digest, what.variant, name);
    struct job *j = m ? NULL : find_job(h, name);
    if (j)
        return join_job(j, rq, err);
    if (!m && load(h, &what, name, &m, err) < 0) {
        const struct zl_error why = *err; /* damaged, foreign, or of an engine of another mind */
        return start_job(h, &what, name, rq, why.kind == ZL_ERR_NOT_FOUND ? "" : why.msg, err);
    }
    answer_prepared(h, &rq->ticket, m, NULL);
    want_spare(h, m);
    return 0;
}

static int act_take(struct host *h, struct server_request *rq, struct zl_error *err)
{
    struct mon_wasm_module what;
    char digest[WASM_DIGEST_LEN + 1];

    if (read_module(rq, &what, digest, err) < 0)
        return -1;
    struct module *m = modules_find(&h->modules, digest, what.variant);
    if (!m)
        return zl_fail(err, ZL_ERR_NOT_FOUND, "module %s has not been prepared", digest);
    int sock = take_monitor(h, m, err);
    if (sock < 0)
        return -1;
    server_answer(h->server, &rq->ticket, NULL, 0, sock);
    (void)close(sock);
    return 0;
}

static int act_hello(struct host *h, struct server_request *rq, struct zl_error *err)
{
    const struct mon_state state = { .phase = MON_PHASE_NEW, .monitor_pid = getpid() };

    (void)err;
    loop_disarm(&h->loop, &h->idle);
    server_answer(h->server, &rq->ticket, &state, sizeof state, -1);
    return 0;
}

static int act_end(struct host *h, struct server_request *rq, struct zl_error *err)
{
    (void)err;
    server_answer(h->server, &rq->ticket, NULL, 0, -1);
    loop_stop(&h->loop);
    return 0;
}

typedef int (*act_fn)(struct host *h, struct server_request *rq, struct zl_error *err);
static const act_fn acts[] = {
    [MON_HELLO] = act_hello,    [MON_STATE] = act_hello,  [MON_WASM_PREPARE] = act_prepare,
    [MON_WASM_TAKE] = act_take, [MON_WASM_END] = act_end,
};

static void dispatch(void *arg, struct server_request *rq)
{
    struct host *h = arg;
    struct zl_error err;

    if (h->broken.kind != ZL_OK && rq->ticket.type != MON_HELLO) {
        server_refuse(h->server, &rq->ticket, &h->broken);
        loop_stop(&h->loop); /* the next one may fare better */
        return;
    }
    if (acts[rq->ticket.type](h, rq, &err) < 0)
        server_refuse(h->server, &rq->ticket, &err);
}

/* clang-format off */
static const struct server_row rows[] = {
    [MON_HELLO]        = { "hello",   sizeof(struct mon_hello),       0, dispatch },
    [MON_STATE]        = { "state",   0,                              0, dispatch },
    [MON_WASM_PREPARE] = { "prepare", sizeof(struct mon_wasm_module), 0, dispatch },
    [MON_WASM_TAKE]    = { "take",    sizeof(struct mon_wasm_module), 0, dispatch },
    [MON_WASM_END]     = { "end",     0,                              0, dispatch },
};
/* clang-format on */

/* ---- life ---- */

static void is_idle(void *arg)
{
    struct host *h = arg;
    loop_stop(&h->loop); /* whoever needs a host starts one; the monitors go on */
}

static void connection_closed(void *arg, unsigned left)
{
    struct host *h = arg;

    if (left == 0)
        loop_arm(&h->loop, &h->idle, IDLE_MS, is_idle, h);
}

static const struct server_events server_events = { .closed = connection_closed };

static int watch_children(struct host *h, struct zl_error *err)
{
    sigset_t all, child;

    (void)sigfillset(&all);
    (void)sigemptyset(&child);
    (void)sigaddset(&child, SIGCHLD);
    (void)sigaddset(&child, SIGTERM);
    if (sigprocmask(SIG_SETMASK, &all, NULL) < 0)
        return zl_fail_errno(err, "block signals");
    h->children_fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    if (h->children_fd < 0)
        return zl_fail_errno(err, "watch children");
    return loop_watch(&h->loop, &h->children, h->children_fd, EPOLLIN, children_ready, h, err);
}

/* Into <parent>/shims of one hierarchy, as the monitors of containers. */
static void join_one(int mount_fd, const char *parent)
{
    zl_autofree char *path = NULL;
    zl_autoclose int procs = openat(mount_fd, "cgroup.procs", O_PATH | O_CLOEXEC);

    if (procs < 0 || asprintf(&path, "%s/shims", parent + strspn(parent, "/")) < 0)
        return; /* no hierarchy */
    zl_autoclose int dir = zl_mkdir_p(mount_fd, path, 0755, NULL);
    /* v1: as a thread, which spares the kernel a grace period */
    if (dir >= 0 && zl_write_file(dir, "tasks", "0", NULL) < 0)
        (void)zl_write_file(dir, "cgroup.procs", "0", NULL);
}

/* Best effort: a host that lives elsewhere works as well. */
static void belong_to_monitors(const char *parent)
{
    zl_autodir DIR *mounts = zl_dir_open(AT_FDCWD, "/sys/fs/cgroup");
    const struct dirent *d;

    if (!mounts)
        return;
    join_one(dirfd(mounts), parent); /* v2 */
    while ((d = readdir(mounts))) {
        zl_autoclose int fd =
            d->d_name[0] == '.' || d->d_type != DT_DIR
                ? -1
                : openat(dirfd(mounts), d->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0 && faccessat(dirfd(mounts), "cgroup.procs", F_OK, 0) < 0)
            join_one(fd, parent);
    }
}

/* So far that it can say what else went wrong. */
static int begin_to_talk(struct host *h, struct zl_error *err)
{
    if (fcntl(CONTROL_FD, F_SETFD, FD_CLOEXEC) < 0)
        return zl_fail_errno(err, "use descriptor %d as the control connection", CONTROL_FD);
    if (k_close_range(CONTROL_FD + 1, ~0U, 0) < 0)
        return zl_fail_errno(err, "close what was inherited");
    (void)setsid();    /* fails only for a leader, which is as good */
    (void)!chdir("/"); /* "/" always can be entered */
    if (loop_init(&h->loop, err) < 0 || watch_children(h, err) < 0 ||
        server_new(&h->loop, rows, ZL_ARRAY_LEN(rows), &server_events, h, &h->server, err) < 0)
        return -1;
    return server_adopt(h->server, CONTROL_FD, err);
}

static int set_up(struct host *h, const char *folder, const char *cache, struct zl_error *err)
{
    h->cache_fd = cache_open(cache, err);
    h->folder_fd = h->cache_fd < 0 ? -1 : zl_mkdir_p(AT_FDCWD, folder, 0700, err);
    if (h->folder_fd < 0)
        return -1;
    if (confine_make_empty(&h->empty, err) < 0 || confine_host(err) < 0)
        return -1;
    (void)unlinkat(h->folder_fd, MON_CTL,
                   0); /* of one that was killed: we are started when none answers */
    if (server_listen(h->server, h->folder_fd, err) < 0)
        return -1;
    if (fstatat(h->folder_fd, MON_CTL, &h->served, AT_SYMLINK_NOFOLLOW) < 0)
        return zl_fail_errno(err, "look at the socket '%s'", MON_CTL);
    return 0;
}

/* Unless another one serves here now, which did not find us when it was started. */
static void remove_socket(const struct host *h)
{
    struct stat there;
    if (h->served.st_ino != 0 && fstatat(h->folder_fd, MON_CTL, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
        there.st_dev == h->served.st_dev && there.st_ino == h->served.st_ino)
        (void)unlinkat(h->folder_fd, MON_CTL, 0); /* a stale one harms nobody */
}

static void tear_down(struct host *h)
{
    remove_socket(h);
    for (size_t i = 0; i < SPARES_MAX; i++)
        drop_spare(&h->spares[i]);
    server_free(h->server);
    modules_done(&h->modules);
}

/* Whoever started us may be a program that reads its own output to the end, or its parent may: we
 * outlive it. Until here stderr was where to say why there is no host. */
static int let_go_of_stderr(struct zl_error *err)
{
    zl_autoclose int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

    if (null < 0 || dup2(null, STDERR_FILENO) < 0)
        return zl_fail_errno(err, "let go of standard error");
    return 0;
}

int host_main(const char *folder, const char *cache, const char *cgroup_parent)
{
    static struct host host;
    struct zl_error err;

    host.empty = (struct confine_empty){ -1, -1 };
    if (cgroup_parent)
        belong_to_monitors(cgroup_parent);
    int rc = begin_to_talk(&host, &err);
    if (rc == 0 && set_up(&host, folder, cache, &host.broken) < 0)
        (void)zl_wrap(&host.broken, "zlayer-wasm cannot work"); /* who asks is told */
    if (rc < 0 || let_go_of_stderr(&err) < 0 || loop_run(&host.loop, &err) < 0) {
        (void)dprintf(2, "zlayer-wasm: %s\n", err.msg);
        return BROKEN;
    }
    tear_down(&host);
    return 0;
}
