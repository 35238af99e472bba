// SPDX-License-Identifier: Apache-2.0
#include "wasm/guest.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "monitor/wasm.h"
#include "sandbox/kernel.h"
#include "shim/shim.h"
#include "wasm/component.h"
#include "wasm/give.h"
#include "wasm/instance.h"

enum { EMPTY_FD = 4, BROKEN = 125, LATE_MS = 1000, READY_MS = 20000, REPORT_MAX = 16 << 10 };

struct guest {
    const struct module *module;
    struct confine_empty empty;
    struct mapping settings_bytes;
    const struct wasm_guest *settings;
    struct given given;       /* folders and sockets */
    const char **argv, **env; /* of the plan */
    const char **hosts;
    struct confine_etc etc;
    int control; /* our end of the socket to the process; -1: none */
    int theirs;
    struct carry_proc proc;
    struct loop_timer late;
    bool was_late;
    uint64_t *linear_bytes; /* shared with the process, which counts its memory there */
};

/* ---- what is asked for ---- */

static int check_settings(const struct guest *g, struct zl_error *err)
{
    const struct wasm_guest *w = g->settings_bytes.bytes;
    uint64_t least = sizeof *w;

    if (g->settings_bytes.size < least || w->magic != WASM_GUEST_MAGIC ||
        w->version != WASM_GUEST_VERSION || w->n_listen > WASM_LISTEN_MAX ||
        w->n_hosts > WASM_HOSTS_MAX)
        return zl_fail(err, ZL_ERR_PROTOCOL, "the guest's settings are not of this version");
    uint64_t etc = (uint64_t)w->etc_hosts + w->etc_resolv_conf;
    least += w->n_listen * sizeof(struct wasm_listen) + w->n_hosts + etc;
    if (g->settings_bytes.size < least || w->size != g->settings_bytes.size ||
        (w->n_hosts && ((const char *)w)[w->size - etc - 1] != '\0'))
        return zl_fail(err, ZL_ERR_PROTOCOL, "the guest's settings are cut off");
    return 0;
}

static const struct wasm_listen *listen_of(const struct wasm_guest *w)
{
    return (const struct wasm_listen *)(w + 1);
}

static int list_hosts(struct guest *g, struct zl_error *err)
{
    const struct wasm_guest *w = g->settings;
    const char *at = (const char *)(listen_of(w) + w->n_listen);
    const char *end = (const char *)w + w->size - w->etc_hosts - w->etc_resolv_conf;

    g->hosts = calloc(w->n_hosts + 1, sizeof *g->hosts);
    if (!g->hosts)
        return zl_fail_errno(err, "keep the allowed hosts");
    for (uint32_t i = 0; i < w->n_hosts; i++, at += strlen(at) + 1) {
        if (at >= end)
            return zl_fail(err, ZL_ERR_PROTOCOL, "the guest's settings are cut off");
        g->hosts[i] = at;
    }
    g->etc =
        (struct confine_etc){ { end, w->etc_hosts }, { end + w->etc_hosts, w->etc_resolv_conf } };
    return 0;
}

/* NULL-terminated; the texts are the plan's. */
static const char **texts(const struct plan *plan, struct plan_tab t)
{
    const plan_str *v = plan_table(plan, t);
    const char **out = calloc((size_t)t.n + 1, sizeof *out);

    for (uint32_t i = 0; out && i < t.n; i++)
        out[i] = plan_text(plan, v[i]);
    return out;
}

static int read_wishes(struct guest *g, struct shim *s, struct zl_error *err)
{
    const struct plan *plan = s->plan.bytes;

    if (mapping_open(s->plan_fds[0], &g->settings_bytes, err) < 0 || check_settings(g, err) < 0)
        return -1;
    g->settings = g->settings_bytes.bytes;
    g->argv = texts(plan, plan->process.argv);
    g->env = texts(plan, plan->process.env);
    if (!g->argv || !g->env)
        return zl_fail_errno(err, "keep its arguments");
    return list_hosts(g, err);
}

/* ---- the process, up to where it waits ---- */

struct birth {
    struct guest *g;
    const struct shim *s;
    pid_t monitor;
    int stdio[3], console;
};

struct go {              /* over the socket, at START */
    uint16_t rows, cols; /* of its terminal */
};

static _Noreturn void give_up(const struct birth *b, const char *step)
{
    char packet[sizeof(struct instance_report) + 256];
    struct instance_report r = { .end = INSTANCE_FAILED };
    int n = snprintf(packet + sizeof r, sizeof packet - sizeof r, "%s: %s", step, strerror(errno));

    r.length = (uint32_t)n;
    memcpy(packet, &r, sizeof r);
    ssize_t sent = write(b->g->theirs, packet, sizeof r + r.length);
    (void)sent; /* who wanted to know is gone */
    _exit(BROKEN);
}

static void be_born(const struct birth *b)
{
    /* A guest without its monitor is nobody's. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        give_up(b, "tie it to its monitor");
    if (getppid() != b->monitor)
        _exit(BROKEN);
    const char *name = strrchr(b->g->argv[0], '/');
    (void)prctl(PR_SET_NAME, name ? name + 1 : b->g->argv[0], 0, 0, 0); /* cosmetic */
}

/* Nothing of the monitor's goes along but what is the guest's. */
static void keep_only(const struct birth *b)
{
    const struct guest *g = b->g;
    int kept[3 + MODULE_FDS_MAX + GIVEN_MAX * 2] = { g->theirs, g->empty.mount_ns,
                                                     g->empty.net_ns };
    size_t n = 3;

    for (size_t i = 0; i < g->module->n_fds; i++)
        kept[n++] = g->module->fds[i];
    for (size_t i = 0; i < g->given.n_folders; i++)
        kept[n++] = g->given.folders[i].fd;
    for (size_t i = 0; i < g->given.n_sockets; i++)
        kept[n++] = g->given.sockets[i];
    if (zl_close_others(3, kept, n) < 0)
        give_up(b, "close what is not its own");
}

static void take_stdio(struct birth *b)
{
    if (b->console >= 0 && give_terminal(b->console, b->stdio) < 0)
        give_up(b, "make its terminal");
    for (int i = 0; i < 3; i++) /* -1: the monitor's own, which is /dev/null */
        if (b->stdio[i] >= 0 && dup2(b->stdio[i], i) < 0)
            give_up(b, "take its standard streams");
}

static void limit_itself(const struct birth *b)
{
    const struct plan *plan = b->s->plan.bytes;
    const struct plan_rlimit *v = plan_table(plan, plan->process.rlimits);

    for (uint32_t i = 0; i < plan->process.rlimits.n; i++) {
        const struct rlimit limit = { v[i].soft, v[i].hard };
        if (setrlimit((__rlimit_resource_t)v[i].resource, &limit) < 0)
            give_up(b, "set its limits");
    }
    if (plan->process.flags & PLAN_HAS_OOM_ADJ) {
        char text[16];
        (void)snprintf(text, sizeof text, "%d", plan->process.oom_score_adj);
        if (zl_write_file(AT_FDCWD, "/proc/self/oom_score_adj", text, NULL) < 0)
            give_up(b, "set its oom_score_adj");
    }
    (void)umask(plan->process.flags & PLAN_HAS_UMASK ? plan->process.umask : 022);
}

static void confine(const struct birth *b)
{
    const struct plan *plan = b->s->plan.bytes;
    const struct confine_guest how = {
        .empty = &b->g->empty,
        .own_network = b->g->settings->flags & WASM_OWN_NETWORK,
        .component = b->g->module->component != NULL,
        .etc = b->g->module->component && b->g->settings->etc_hosts ? &b->g->etc : NULL,
        .uid = plan->process.uid,
        .gid = plan->process.gid,
        .groups = plan_table(plan, plan->process.groups),
        .n_groups = plan->process.groups.n,
    };
    const char *step;

    if (confine_guest(&how, &step) < 0)
        give_up(b, step);
}

static void set_signals(void)
{
    const struct sigaction ignored = { .sa_handler = SIG_IGN };
    sigset_t none;

    (void)sigaction(SIGPIPE, &ignored, NULL); /* a write answers EPIPE; cannot fail */
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void prepare_component(const struct birth *b, struct instance *i)
{
    const struct wasm_guest *w = b->g->settings;
    struct zl_error err;
    const struct component_terms terms = {
        .allowed_hosts = b->g->hosts,
        .outgoing_http = w->flags & WASM_OUTGOING_HTTP,
        .tcp = w->flags & WASM_TCP,
        .udp = w->flags & WASM_UDP,
        .request_timeout_ms = w->request_timeout_ms,
        .max_requests = w->max_requests,
    };

    errno = EINVAL;
    if (component_prepare(i, &terms, &err) < 0)
        give_up(b, err.msg);
}

static void tell_ready(const struct birth *b)
{
    const struct instance_report r = { .end = INSTANCE_READY };
    ssize_t sent = write(b->g->theirs, &r, sizeof r);
    (void)sent; /* who wanted to know is gone, and we go with it */
}

/* Until START. End-of-file means that there is none: SIGKILL follows, of the dead monitor. */
static void wait_for_start(const struct birth *b)
{
    struct go go;

    while (read(b->g->theirs, &go, sizeof go) < 0 && errno == EINTR)
        ;
    const struct winsize size = { .ws_row = go.rows, .ws_col = go.cols };
    if (b->console >= 0)
        (void)ioctl(0, TIOCSWINSZ, &size); /* a terminal of another size is one as well */
}

static void child_main(void *arg, int failed)
{
    struct birth *b = arg;
    const struct guest *g = b->g;
    struct instance i = {
        .module = g->module,
        .wasi = { .argv = g->argv,
                  .env = g->env,
                  .preopens = g->given.folders,
                  .n_preopens = g->given.n_folders,
                  .sockets = g->given.sockets,
                  .n_sockets = g->given.n_sockets },
        .max_memory = g->settings->max_memory,
        .max_tables = g->settings->max_tables,
        .max_fuel = g->settings->max_fuel,
        .time_ms = g->settings->time_ms,
        .linear_bytes = g->linear_bytes,
    };

    errno = failed;
    if (failed)
        give_up(b, "join its cgroups");
    be_born(b);
    take_stdio(b);
    keep_only(b);
    limit_itself(b);
    if (g->module->component)
        prepare_component(b, &i);
    confine(b);
    set_signals();
    struct instance_ready *ready = instance_prepare(&i);
    tell_ready(b);
    wait_for_start(b);
    instance_run(ready, g->theirs);
}

/* ---- the monitor's side ---- */

static int make_control(struct guest *g, struct zl_error *err)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return zl_fail_errno(err, "make a socket to the guest");
    g->control = pair[0];
    g->theirs = pair[1];
    return 0;
}

static int share_counter(struct guest *g, struct zl_error *err)
{
    void *page = mmap(NULL, sizeof *g->linear_bytes, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (page == MAP_FAILED)
        return zl_fail_errno(err, "count the guest's memory");
    g->linear_bytes = page; /* until the monitor's end */
    return 0;
}

static int give(struct guest *g, const struct shim *s, struct zl_error *err)
{
    const struct wasm_guest *w = g->settings;

    if (give_folders(&g->given, s->plan.bytes, err) < 0)
        return -1;
    for (uint32_t i = 0; i < w->n_listen; i++)
        if (give_socket(&g->given, &listen_of(w)[i], err) < 0)
            return -1;
    return 0;
}

/* Nothing foreign runs until then, so it is soon; and what it could not do refuses the CREATE. */
static int await_ready(const struct guest *g, struct zl_error *err)
{
    char packet[sizeof(struct instance_report) + REPORT_MAX];
    struct instance_report r = { 0 };
    struct pollfd p = { .fd = g->control, .events = POLLIN };
    ssize_t n = poll(&p, 1, READY_MS) > 0 ? recv(g->control, packet, sizeof packet, 0) : -1;

    if (n >= (ssize_t)sizeof r)
        memcpy(&r, packet, sizeof r);
    if (r.end == INSTANCE_READY)
        return 0;
    (void)kill(g->proc.pid, SIGKILL); /* our child, and not waited for yet */
    (void)waitpid(g->proc.pid, NULL, 0);
    if (r.end == INSTANCE_FAILED && r.length <= (size_t)n - sizeof r)
        return zl_fail(err, ZL_ERR_SYSTEM, "make the guest's process: %.*s", (int)r.length,
                       packet + sizeof r);
    if (n < 0)
        return zl_fail(err, ZL_ERR_TIMEOUT, "the guest's process is not ready after %d s",
                       READY_MS / 1000);
    return zl_fail(err, ZL_ERR_SYSTEM, "the guest's process has ended before its start");
}

static int created(struct shim *s, struct zl_error *err)
{
    struct guest *g = s->guest_arg;
    struct birth b = { .g = g, .s = s, .monitor = getpid() };

    if (read_wishes(g, s, err) < 0 || give(g, s, err) < 0 || make_control(g, err) < 0 ||
        share_counter(g, err) < 0)
        return -1;
    streams_child_ends(s->streams, b.stdio, &b.console);
    if (carry_fork(s->carry, child_main, &b, &g->proc, err) < 0)
        return -1;
    (void)close(zl_take_fd(&g->theirs));
    given_close(&g->given); /* the process has them now */
    return await_ready(g, err);
}

/* The process ends itself in time, unless it waits where it cannot see the time. */
static void is_late(void *arg)
{
    struct shim *s = arg;
    struct guest *g = s->guest_arg;

    g->was_late = true;
    (void)container_kill(s, NULL); /* its end is seen as any other */
}

static int start(struct shim *s, const struct carry_start *how, struct carry_proc *ret,
                 struct zl_error *err)
{
    struct guest *g = s->guest_arg;
    uint64_t limit = g->settings->time_ms;
    const struct go go = { how->rows, how->cols }; /* its streams it has */

    if (send(g->control, &go, sizeof go, MSG_NOSIGNAL) < 0)
        return zl_fail(err, ZL_ERR_SYSTEM, "let the guest go: its process has ended");
    if (limit)
        loop_arm(&s->loop, &g->late, limit + (g->module->component ? 0 : LATE_MS), is_late, s);
    *ret = g->proc;
    return 0;
}

static const enum mon_why whys[] = { [INSTANCE_EXITED] = MON_WHY_UNSAID,
                                     [INSTANCE_TRAP] = MON_WHY_TRAP,
                                     [INSTANCE_TIMEOUT] = MON_WHY_TIMEOUT,
                                     [INSTANCE_FAILED] = MON_WHY_BROKEN };

static void keep_text(const struct shim *s, const char *text, size_t n)
{
    struct zl_error err;
    bool durable = s->create.flags & MON_CREATE_DURABLE_EXIT;

    if (zl_write_atomic(s->run_fd, WASM_TRAP_FILE, text, n, 0600, false, &err) < 0 ||
        (durable && zl_write_atomic(s->state_fd, WASM_TRAP_FILE, text, n, 0600, false, &err) < 0))
        (void)dprintf(2, "zlayer-wasm %s: %s\n", s->create.id, err.msg); /* the log has it */
}

static void ended(struct shim *s)
{
    char packet[sizeof(struct instance_report) + REPORT_MAX];
    struct guest *g = s->guest_arg;
    struct instance_report r;

    loop_disarm(&s->loop, &g->late);
    ssize_t n = recv(g->control, packet, sizeof packet, MSG_DONTWAIT);
    if (g->was_late)
        s->exit.why = MON_WHY_TIMEOUT;
    if (n < (ssize_t)sizeof r)
        return; /* it ended by itself, or by a signal */
    memcpy(&r, packet, sizeof r);
    if (r.end < ZL_ARRAY_LEN(whys) && r.length <= (size_t)n - sizeof r) {
        s->exit.why = whys[r.end];
        keep_text(s, packet + sizeof r, r.length);
    }
}

static void tell_state(const struct shim *s, struct mon_state *ret)
{
    const struct guest *g = s->guest_arg;

    ret->linear_bytes = __atomic_load_n(g->linear_bytes, __ATOMIC_RELAXED);
}

static const struct shim_guest guest_kind = {
    .process_name = "zlayer-wasm",
    .n_fds = 1,
    .no_exec = "a WebAssembly guest is one process and cannot execute another; look at its log, or "
               "give it a command line of its own with `zlayer run`",
    .created = created,
    .start = start,
    .ended = ended,
    .state = tell_state,
};

void guest_monitor_live(const struct module *module, bool has_empty)
{
    static struct shim shim = SHIM_NEW;
    static struct guest guest = { .control = -1, .theirs = -1, .proc.pidfd = -1 };
    static int kept[2 + MODULE_FDS_MAX];
    struct zl_error err;

    guest.module = module;
    guest.empty =
        (struct confine_empty){ has_empty ? EMPTY_FD : -1, has_empty ? EMPTY_FD + 1 : -1 };
    shim.guest = &guest_kind;
    shim.guest_arg = &guest;
    kept[0] = guest.empty.mount_ns;
    kept[1] = guest.empty.net_ns;
    memcpy(kept + 2, module->fds, module->n_fds * sizeof *kept);
    shim.kept_fds = kept;
    shim.n_kept_fds = 2 + module->n_fds;
    if (shim_live(&shim, &err) == 0)
        _exit(0);
    (void)dprintf(2, "zlayer-wasm: %s\n", err.msg);
    _exit(BROKEN);
}
