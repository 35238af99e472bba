// SPDX-License-Identifier: Apache-2.0
#include "fake_agent.h"

#include <event2/event.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/client.h"
#include "api/server.h"
#include "base/clock.h"
#include "base/id.h"

/* What is to be done in a later turn of the loop: an answer for core, or one for the server. */
struct later {
    TAILQ_ENTRY(later) link;
    struct event ev; /* kind EV_KINDS: none, then done is called */
    struct zl_error err;
    api_done_fn done; /* one of the three */
    api_held_fn held;
    rt_done_fn told;
    struct rt_answer answer; /* of told */
    void *arg;
    uint64_t id;
};

struct agent {
    struct event_base *base;
    struct event *timer;
    struct core *core;
    struct api_server *server;
    const char *socket;
    struct effects effects;
    TAILQ_HEAD(laters, later) queue;
};

static const char *const *variables(struct agent *agent)
{
    static const char *const list[] = { "REGION=north", "NOTHING=", NULL };
    (void)agent;
    return list;
}

static struct core_now now(void)
{
    return (struct core_now){ .mono_ms = zl_mono_ms(), .wall_ms = zl_wall_ms() };
}

static struct later *later(struct agent *a)
{
    struct later *l = calloc(1, sizeof *l);
    if (!l)
        abort();
    TAILQ_INSERT_TAIL(&a->queue, l, link);
    event_active(a->timer, EV_TIMEOUT, 0);
    return l;
}

/* ---- the runtime --------------------------------------------------------------------------- */

static const char *image_of(const struct agent *a, struct inst_id id);

static void answer(struct agent *a, const struct effect *e)
{
    struct later *l = later(a);
    l->ev = (struct event){ .kind = EV_ANSWER, .answer = { .op = e->op, .pid = 4242 } };
    if (e->kind == EFF_PULL)
        l->ev.answer.image_digest = "sha256:0";
    if (e->kind == EFF_START && strcmp(image_of(a, e->inst), "no-command") == 0) {
        (void)zl_fail(&l->err, ZL_ERR_NOT_FOUND, "execute '/no/such': No such file or directory");
        l->ev.answer.failed = &l->err;
    }
}

static void end(struct agent *a, struct inst_id id, int code, int signo)
{
    struct later *l = later(a);
    l->ev = (struct event){
        .kind = EV_EXIT,
        .exit = { .id = id, .exit = { .code = code, .signal = signo, .wall_ms = zl_wall_ms() } }
    };
}

static void carry_out(struct agent *a, const struct effect *e)
{
    if (e->kind == EFF_START && strcmp(image_of(a, e->inst), "stuck") == 0)
        return;
    if (e->kind == EFF_STOP || e->kind == EFF_KILL)
        end(a, e->inst, 143, SIGTERM);
    if (e->kind != EFF_PROBE && e->kind != EFF_PROBE_CANCEL)
        answer(a, e);
    if (e->kind == EFF_START && strcmp(image_of(a, e->inst), "exits") == 0)
        end(a, e->inst, 7, 0);
}

struct image_search {
    struct inst_id id;
    const char *image;
};

static bool take_image(void *arg, const struct view_container *v)
{
    struct image_search *s = arg;
    if (v->id.v == s->id.v)
        s->image = v->service->image.name;
    return true;
}

static const char *image_of(const struct agent *a, struct inst_id id)
{
    struct image_search s = { .id = id, .image = "" };
    core_each_container(a->core, NULL, take_image, &s);
    return s.image;
}

static void step(struct agent *a, struct event *ev)
{
    ev->seed = zl_id_random();
    core_step(a->core, now(), ev, &a->effects);
    for (size_t i = 0; i < a->effects.n; i++) {
        const struct effect *e = &a->effects.v[i];
        if (e->kind == EFF_EVENT)
            api_server_event(a->server, e, zl_wall_ms());
        else if (e->kind > EFF_EVENT)
            carry_out(a, e);
    }
    api_server_changed(a->server);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    struct agent *a = arg;
    static const struct rt_stream_where where = { "/fake/ctl", "0123456789abcdef0123456789abcdef" };
    struct event time = { .kind = EV_TIME };
    (void)fd;
    (void)what;
    struct later *l;
    while ((l = TAILQ_FIRST(&a->queue))) {
        TAILQ_REMOVE(&a->queue, l, link);
        const struct zl_error *failed = l->err.kind ? &l->err : NULL;
        if (l->told)
            l->told(l->arg, &l->answer);
        else if (l->held)
            l->held(l->arg, failed, l->id, failed ? NULL : &where);
        else if (l->done)
            l->done(l->arg, failed, l->id);
        else
            step(a, &l->ev);
        free(l);
    }
    if (core_next_deadline(a->core) <= zl_mono_ms())
        step(a, &time);
    struct timeval tick = { .tv_usec = 5000 };
    (void)event_add(a->timer, &tick);
}

/* ---- what the server may ask --------------------------------------------------------------- */

static const struct core *op_core(struct agent *agent)
{
    return agent->core;
}

static void op_info(struct agent *agent, struct api_info *ret)
{
    *ret = (struct api_info){ .version = "9.9.9",
                              .runtime = "fake",
                              .root_dir = "/root-dir",
                              .runtime_dir = "/runtime-dir",
                              .socket = agent->socket,
                              .pid = (int)getpid(),
                              .started_wall_ms = 1000,
                              .ready = true };
}

static struct later *done_later(struct agent *agent, api_done_fn done, void *arg)
{
    struct later *l = later(agent);
    l->done = done;
    l->arg = arg;
    return l;
}

static struct later *submit_later(struct agent *a, const struct event *ev, void *arg)
{
    struct event copy = *ev;
    struct later *l = later(a);
    l->arg = arg;
    step(a, &copy);
    l->err = a->effects.refused;
    l->id = a->effects.given_id;
    return l;
}

static void op_submit(struct agent *a, const struct event *ev, api_done_fn done, void *arg)
{
    submit_later(a, ev, arg)->done = done;
}

static void op_run_attached(struct agent *a, const struct event *ev, api_held_fn held, void *arg)
{
    submit_later(a, ev, arg)->held = held;
}

static bool op_is_paused(struct agent *a, struct inst_id id)
{
    (void)a;
    (void)id;
    return false;
}

/* ---- what it may ask of a runtime ---------------------------------------------------------- */

static void answer_where(const struct rt_request *rq, struct rt_answer *ret)
{
    (void)rq;
    ret->where = (struct rt_stream_where){ "/fake/ctl", "0123456789abcdef0123456789abcdef" };
}

static void answer_exec(const struct rt_request *rq, struct rt_answer *ret)
{
    const struct rt_exec *x = &rq->exec;
    answer_where(rq, ret);
    if (strcmp(x->argv[0], "env") == 0 && x->env[0] && strcmp(x->env[0], "A=b") != 0)
        (void)zl_fail(&ret->err, ZL_ERR_INVALID, "the environment is %s", x->env[0]);
}

static void answer_archive(const struct rt_request *rq, struct rt_answer *ret)
{
    answer_where(rq, ret);
    if (strcmp(rq->archive.op, "get") == 0 && strcmp(rq->archive.path, "/etc") != 0)
        (void)zl_fail(&ret->err, ZL_ERR_INVALID, "not the path that was sent");
}

static void answer_unpause(const struct rt_request *rq, struct rt_answer *ret)
{
    (void)rq;
    (void)zl_fail(&ret->err, ZL_ERR_CONFLICT, "unpause: it is not paused");
}

/* The third look finds that it has ended. */
static void answer_stats(const struct rt_request *rq, struct rt_answer *ret)
{
    static unsigned looks;
    (void)rq;
    ret->fact.stats = (struct fact_stats){ .cpu_usage_ns = 1000 * ++looks,
                                           .memory_limit = 0,
                                           .memory_pressure = { .there = true } };
    if (looks == 3)
        (void)zl_fail(&ret->err, ZL_ERR_CONFLICT, "it has ended");
}

static void answer_top(const struct rt_request *rq, struct rt_answer *ret)
{
    (void)rq;
    ret->fact.table = (struct fact_table){ .n_columns = 2,
                                           .n_rows = 1,
                                           .cells = "PID\0CMD\0"
                                                    "7\0sh\xff"
                                                    "\0" };
}

static void answer_details(const struct rt_request *rq, struct rt_answer *ret)
{
    (void)rq;
    ret->fact.details = (struct fact_details){
        .image_digest = "sha256:1",
        .runtime = "native",
        .config = "{\"process\": {\"env\": [\"KEY=secret\", \"B\"]}}",
    };
}

static void answer_update(const struct rt_request *rq, struct rt_answer *ret)
{
    ret->fact.warnings = "one\ntwo\n";
    if (rq->update.limits->memory.v != 64 << 20)
        (void)zl_fail(&ret->err, ZL_ERR_INVALID, "not the memory that was sent");
}

static void (*const answers[RT_KINDS])(const struct rt_request *, struct rt_answer *) = {
    [RT_ATTACH] = answer_where,  [RT_EXEC] = answer_exec,       [RT_ARCHIVE] = answer_archive,
    [RT_STATS] = answer_stats,   [RT_TOP] = answer_top,         [RT_DETAILS] = answer_details,
    [RT_UPDATE] = answer_update, [RT_UNPAUSE] = answer_unpause,
};

static void op_ask(struct agent *a, const struct rt_request *rq, rt_done_fn told, void *arg)
{
    if (rq->kind == RT_KILL)
        end(a, rq->id, 128 + rq->kill.signal, rq->kill.signal);
    struct later *l = later(a);
    l->told = told;
    l->arg = arg;
    l->answer.kind = rq->kind;
    if (answers[rq->kind])
        answers[rq->kind](rq, &l->answer);
}

/* ---- images, volumes, logs ------------------------------------------------------------------ */

static bool op_log_path(struct agent *agent, const struct inst_label *label, struct inst_id id,
                        struct zl_buf *ret)
{
    (void)agent;
    (void)id;
    zl_buf_addf(ret, "/logs/%s/%s-%u.log", label->deployment, label->service, label->index);
    return true;
}

static struct image_store *op_images(struct agent *agent)
{
    (void)agent;
    return NULL;
}

/* Stands in for the store: the server only walks it. */
int image_each(struct image_store *s, image_fn fn, void *arg, struct zl_error *err)
{
    struct image i = { .reference = "busybox",
                       .normalized = "docker.io/library/busybox:latest",
                       .digest = "sha256:abc",
                       .size = 5 };
    (void)s;
    (void)err;
    return fn(arg, &i);
}

static int op_image_remove(struct agent *agent, const char *reference, bool force,
                           struct zl_error *err)
{
    (void)agent;
    (void)force;
    if (strcmp(reference, "docker.io/library/busybox:latest") == 0)
        return 0;
    return zl_fail(err, ZL_ERR_NOT_FOUND, "there is no image '%s'", reference);
}

static void op_image_import(struct agent *agent, const char *source, const char *reference,
                            api_progress_fn progress, api_done_fn done, void *arg)
{
    (void)reference;
    struct later *l = done_later(agent, done, arg);
    progress(arg, "{\"message\":\"unpacking\"}");
    if (strcmp(source, "/broken.tar") == 0)
        (void)zl_fail(&l->err, ZL_ERR_INVALID, "'%s' is not a tar", source);
}

static int op_volume_inspect(struct agent *agent, const char *name, json_t **ret,
                             struct zl_error *err)
{
    (void)agent;
    if (strcmp(name, "db") != 0)
        return zl_fail(err, ZL_ERR_NOT_FOUND, "there is no volume '%s'", name);
    *ret = json_pack("{s:s}", "name", name);
    return 0;
}

static int op_volume_list(struct agent *agent, json_t **ret, struct zl_error *err)
{
    json_t *one = NULL;
    (void)op_volume_inspect(agent, "db", &one, err);
    *ret = json_pack("[o]", one);
    return 0;
}

static int op_volume_create(struct agent *agent, const char *name, const json_t *labels,
                            struct zl_error *err)
{
    (void)agent;
    if (strcmp(name, "taken") == 0)
        return zl_fail(err, ZL_ERR_EXISTS, "there is a volume 'taken' already");
    return labels && strcmp(json_string_value(json_object_get(labels, "team")), "shop") != 0
               ? zl_fail(err, ZL_ERR_INVALID, "not the labels that were sent")
               : 0;
}

static int op_volume_remove(struct agent *agent, const char *name, bool force, struct zl_error *err)
{
    (void)agent;
    if (strcmp(name, "full") == 0 && force)
        return 0;
    return zl_fail(err, ZL_ERR_CONFLICT, "the volume '%s' is in use: container web-rep-1", name);
}

static int op_volume_prune(struct agent *agent, bool force, bool plan, json_t **ret,
                           struct zl_error *err)
{
    (void)agent;
    (void)err;
    *ret = json_pack("{s:b, s:b}", "plan", plan, "forced", force);
    return 0;
}

static void op_shutdown(struct agent *agent)
{
    struct timeval soon = { .tv_usec = 20000 }; /* after the answer has gone out */
    (void)event_base_loopexit(agent->base, &soon);
}

static const struct api_ops ops = {
    .core = op_core,
    .info = op_info,
    .variables = variables,
    .submit = op_submit,
    .run_attached = op_run_attached,
    .is_paused = op_is_paused,
    .ask = op_ask,
    .log_path = op_log_path,
    .images = op_images,
    .image_remove = op_image_remove,
    .image_import = op_image_import,
    .volume_list = op_volume_list,
    .volume_inspect = op_volume_inspect,
    .volume_create = op_volume_create,
    .volume_remove = op_volume_remove,
    .volume_prune = op_volume_prune,
    .shutdown = op_shutdown,
};

/* ---- the process --------------------------------------------------------------------------- */

static int serve(int listen_fd, const char *socket_path)
{
    struct zl_error err = { 0 };
    struct agent a = { .base = event_base_new(), .core = core_new(NULL), .socket = socket_path };
    TAILQ_INIT(&a.queue);
    (void)signal(SIGPIPE, SIG_IGN);
    if (!a.base || !a.core || api_server_new(a.base, listen_fd, &ops, &a, &a.server, &err) < 0)
        return 1;
    a.timer = event_new(a.base, -1, 0, on_turn, &a);
    event_active(a.timer, EV_TIMEOUT, 0);
    (void)event_base_dispatch(a.base);

    api_server_free(a.server);
    struct later *l;
    while ((l = TAILQ_FIRST(&a.queue))) {
        TAILQ_REMOVE(&a.queue, l, link);
        free(l);
    }
    effects_done(&a.effects);
    core_free(a.core);
    event_free(a.timer);
    event_base_free(a.base);
    libevent_global_shutdown();
    return 0;
}

void fake_agent_start(struct fake_agent *f)
{
    (void)snprintf(f->dir, sizeof f->dir, "/tmp/zlayer-api.XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->socket, sizeof f->socket, "%s/sock", f->dir);
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    (void)snprintf(addr.sun_path, sizeof addr.sun_path, "%s", f->socket);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_int_equal(listen(fd, 16), 0);
    f->pid = fork();
    assert_true(f->pid >= 0);
    if (f->pid == 0)
        exit(serve(fd, f->socket)); /* by exit(3), so that leaks are looked for */
    (void)close(fd);
}

void fake_agent_stop(struct fake_agent *f)
{
    auto_api_client struct api_client *c = NULL;
    struct zl_error err = { 0 };
    int status = 0;
    assert_int_equal(api_client_open(f->socket, &c, &err), 0);
    assert_int_equal(api_client_call(c, "POST", "/api/v1/shutdown", NULL, NULL, NULL, &err), 0);
    assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
    assert_int_equal(status, 0);
    (void)unlink(f->socket);
    (void)rmdir(f->dir);
}
