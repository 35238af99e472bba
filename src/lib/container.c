// SPDX-License-Identifier: Apache-2.0
/* The containers of libzlayer: each call is one request to the runtime. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "lib/inner.h"
#include "monitor/logread.h"
#include "runtime/native.h"
#include "runtime/puller.h"

enum { STDIN_PIECE = 32 * 1024, STDIN_AGAIN_US = 5000 };

static struct zlayer_container *container_make(struct zlayer_runtime *rt, struct zl_error *err)
{
    struct zlayer_container *c = calloc(1, sizeof *c);
    if (!c) {
        (void)zl_fail_errno(err, "create a container");
        return NULL;
    }
    c->owner = rt;
    c->id.v = zl_id_random();
    zl_id_format(c->id.v, c->id_text);
    c->next = rt->containers;
    c->link = &rt->containers;
    if (c->next)
        c->next->link = &c->next;
    rt->containers = c;
    return c;
}

void zlayer_container_free(zlayer_container *c)
{
    if (!c)
        return;
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    free(c->replica);
    free(c->log_path);
    free(c);
}

const char *zlayer_container_id(const zlayer_container *c)
{
    return c->id_text;
}

const char *zlayer_container_log_path(const zlayer_container *c)
{
    return c->log_path;
}

/* The document of one service, or its findings as an error. */
static struct spec *parse(const char *text, const char *name, struct zl_error *err)
{
    autodiags struct spec_diags diags;
    spec_diags_init(&diags);
    struct spec *spec = spec_parse_service(text, strlen(text), name, &diags);
    if (spec)
        return spec;
    zl_autobuf struct zl_buf said = ZL_BUF(64 * 1024);
    spec_diags_print(&diags, NULL, false, &said);
    (void)zl_fail(err, ZL_ERR_INVALID, "%s", said.data);
    return NULL;
}

static int set_log_path(struct zlayer_container *c, const struct inst_label *label,
                        struct zl_error *err)
{
    zl_autobuf struct zl_buf path = ZL_BUF(4096);
    native_log_path(c->owner->root_dir, label, &path);
    c->log_path = zl_buf_steal(&path);
    return c->log_path ? 0 : zl_fail(err, ZL_ERR_INVALID, "the path of the log is too long");
}

/* Which image the name means now, if it may be used: what is not signed as agent.yml asks may have
 * come into the store another way. ret is "" when there is none: creating it says so. */
static int find_image(struct zlayer_runtime *rt, const char *name, char ret[LIB_DIGEST_SIZE],
                      struct zl_error *err)
{
    autoimage struct image *image = NULL;
    ret[0] = '\0';
    if (!name || image_find(rt->images, name, &image, err) < 0)
        return 0;
    if (puller_trusts(rt->puller, name, image->digest, err) < 0)
        return -1;
    (void)snprintf(ret, LIB_DIGEST_SIZE, "%s", image->digest); /* the store's: fits */
    return 0;
}

static int create(struct zlayer_container *c, const struct spec *spec, struct zl_error *err)
{
    const struct spec_service *service = &spec->services[0];
    const struct inst_label label = {
        .owner = OWNER_STANDALONE,
        .deployment = "-library", /* no deployment has such a name */
        .service = service->name,
        .role = c->id_text, /* so that equal names have logs of their own */
        .spec_hash = service->container_hash,
    };
    char digest[LIB_DIGEST_SIZE];
    if (find_image(c->owner, service->image.name, digest, err) < 0)
        return -1;
    const struct rt_request rq = {
        .kind = RT_CREATE,
        .id = c->id,
        .create = { .label = &label,
                    .service = service,
                    .image_digest = digest[0] ? digest : NULL,
                    .variables = (const char *const *)environ },
    };
    struct rt_answer a;
    if (set_log_path(c, &label, err) < 0)
        return -1;
    if (lib_ask(c->owner, &rq, &a) == 0)
        return 0;
    *err = a.err;
    return -1;
}

static struct zlayer_container *create_named(struct zlayer_runtime *rt, const char *name,
                                             const char *spec, struct zl_error *err)
{
    autospec struct spec *document = parse(spec, name, err);
    struct zlayer_container *c = document ? container_make(rt, err) : NULL;
    if (c && create(c, document, err) == 0)
        return c;
    zlayer_container_free(c);
    return NULL;
}

int zlayer_container_create(zlayer_runtime *rt, const char *name, const char *spec,
                            zlayer_container **ret, struct zlayer_error *err)
{
    struct zl_error why = { 0 };
    struct zlayer_container *c = create_named(rt, name, spec, &why);
    if (!c)
        return lib_fail(err, &why);
    *ret = c;
    return 0;
}

static bool has_replica(const struct zlayer_runtime *rt, const char *name)
{
    for (const struct zlayer_container *c = rt->containers; c; c = c->next)
        if (!c->removed && c->replica && strcmp(c->replica, name) == 0)
            return true;
    return false;
}

/* "SERVICE-rep-REPLICA"; NULL: there is no such id, or this one is taken. */
static char *name_replica(const struct zlayer_runtime *rt, const struct zlayer_container_id *id,
                          struct zl_error *err)
{
    zl_autofree char *name = NULL;
    if (!id->service || !*id->service || !id->replica)
        (void)zl_fail(err, ZL_ERR_INVALID, "create: an id has a service and a replica from 1 on");
    else if (asprintf(&name, "%s-rep-%" PRIu32, id->service, id->replica) < 0) {
        name = NULL; /* it is not set then */
        (void)zl_fail_errno(err, "create a container");
    } else if (has_replica(rt, name))
        (void)zl_fail(err, ZL_ERR_EXISTS, "create '%s': there is one, which was not removed", name);
    else
        return zl_take_ptr(name);
    return NULL;
}

int zlayer_container_create_replica(zlayer_runtime *rt, const struct zlayer_container_id *id,
                                    const char *spec, zlayer_container **ret,
                                    struct zlayer_error *err)
{
    struct zl_error why = { 0 };
    zl_autofree char *name = name_replica(rt, id, &why);
    struct zlayer_container *c = name ? create_named(rt, name, spec, &why) : NULL;
    if (!c)
        return lib_fail(err, &why);
    c->replica = zl_take_ptr(name);
    *ret = c;
    return 0;
}

/* The common end: a request whose answer has no content. */
static int ask_plainly(struct zlayer_container *c, struct rt_request *rq, struct zlayer_error *err)
{
    struct rt_answer a;
    rq->id = c->id;
    return lib_ask(c->owner, rq, &a) == 0 ? 0 : lib_fail(err, &a.err);
}

int zlayer_container_start(zlayer_container *c, struct zlayer_error *err)
{
    struct rt_request rq = { .kind = RT_START };
    return ask_plainly(c, &rq, err);
}

int zlayer_container_stop(zlayer_container *c, uint64_t grace_ms, struct zlayer_error *err)
{
    struct rt_request rq = { .kind = RT_STOP, .stop = { .grace_ms = grace_ms } };
    return ask_plainly(c, &rq, err);
}

int zlayer_container_kill(zlayer_container *c, int signal, struct zlayer_error *err)
{
    struct rt_request rq = { .kind = RT_KILL, .kill = { .signal = signal } };
    return ask_plainly(c, &rq, err);
}

static int pause_or_not(zlayer_container *c, bool pause, struct zlayer_error *err)
{
    struct rt_request rq = { .kind = pause ? RT_PAUSE : RT_UNPAUSE };
    return ask_plainly(c, &rq, err);
}

int zlayer_container_pause(zlayer_container *c, struct zlayer_error *err)
{
    return pause_or_not(c, true, err);
}

int zlayer_container_unpause(zlayer_container *c, struct zlayer_error *err)
{
    return pause_or_not(c, false, err);
}

/* The monitor takes what the pipe has room for; it is asked again until all is taken. */
static int feed(zlayer_container *c, const char *bytes, size_t n, bool end,
                struct zlayer_error *err)
{
    const struct timeval pause = { 0, STDIN_AGAIN_US };
    for (;;) {
        struct rt_request rq = {
            .kind = RT_STDIN,
            .id = c->id,
            .input = { bytes, n < STDIN_PIECE ? n : STDIN_PIECE, end && n <= STDIN_PIECE },
        };
        struct rt_answer a;
        if (lib_ask(c->owner, &rq, &a) < 0)
            return lib_fail(err, &a.err);
        bytes += a.taken;
        n -= a.taken;
        if (n == 0)
            return 0;
        if (a.taken < rq.input.n) { /* it reads slowly */
            (void)event_base_loopexit(c->owner->base, &pause);
            (void)event_base_dispatch(c->owner->base); /* its exit may be told meanwhile */
        }
    }
}

int zlayer_container_write_stdin(zlayer_container *c, const void *bytes, size_t n,
                                 struct zlayer_error *err)
{
    return n ? feed(c, bytes, n, false, err) : 0;
}

int zlayer_container_close_stdin(zlayer_container *c, struct zlayer_error *err)
{
    return feed(c, "", 0, true, err);
}

int zlayer_container_stats(zlayer_container *c, struct zlayer_stats *ret, struct zlayer_error *err)
{
    const struct rt_request rq = { .kind = RT_STATS, .id = c->id };
    struct rt_answer a;
    if (lib_ask(c->owner, &rq, &a) < 0)
        return lib_fail(err, &a.err);
    const struct fact_stats *s = &a.fact.stats;
    const struct zlayer_stats all = {
        .size = ret->size,
        .cpu_usage_ns = s->cpu_usage_ns,
        .cpu_user_ns = s->cpu_user_ns,
        .cpu_system_ns = s->cpu_system_ns,
        .memory_bytes = s->memory_bytes,
        .memory_working_set = s->memory_working_set,
        .memory_limit = s->memory_limit,
        .net_rx_bytes = s->net_rx_bytes,
        .net_tx_bytes = s->net_tx_bytes,
        .blkio_read_bytes = s->blkio_read_bytes,
        .blkio_write_bytes = s->blkio_write_bytes,
        .pids = s->pids,
        .pids_limit = s->pids_limit,
        .online_cpus = s->online_cpus,
        .time_ms = s->wall_ms,
        .memory_linear_bytes = s->memory_linear,
    };
    /* an older caller's struct is shorter */
    (void)memcpy(ret, &all, ret->size < sizeof all ? ret->size : sizeof all);
    return 0;
}

int zlayer_container_remove(zlayer_container *c, struct zlayer_error *err)
{
    struct rt_request rq = { .kind = RT_REMOVE };
    if (ask_plainly(c, &rq, err) < 0)
        return -1;
    c->removed = true;
    return 0;
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    *(bool *)arg = true;
}

/* Runs the loop until the exit is told or the time is over. */
static int await_exit(struct zlayer_container *c, int64_t timeout_ms, struct zl_error *err)
{
    bool late = false;
    const struct timeval tv = { timeout_ms / 1000, timeout_ms % 1000 * 1000 };
    struct event *timer = NULL;
    int rc = 0;
    if (timeout_ms >= 0) {
        timer = evtimer_new(c->owner->base, on_timeout, &late);
        if (!timer || evtimer_add(timer, &tv) < 0)
            rc = zl_fail(err, ZL_ERR_SYSTEM, "wait: out of memory");
    }
    while (rc == 0 && !c->has_exit && !late)
        rc = lib_turn(c->owner, "wait", err);
    if (timer)
        event_free(timer);
    if (rc == 0 && !c->has_exit)
        rc = zl_fail(err, ZL_ERR_TIMEOUT, "wait: it still runs");
    return rc;
}

int zlayer_container_wait(zlayer_container *c, int64_t timeout_ms, struct zlayer_exit *ret,
                          struct zlayer_error *err)
{
    struct zl_error why = { 0 };
    if (c->removed && !c->has_exit) {
        (void)zl_fail(&why, ZL_ERR_NOT_FOUND, "wait: it was removed");
        return lib_fail(err, &why);
    }
    if (await_exit(c, timeout_ms, &why) < 0)
        return lib_fail(err, &why);
    *ret = (struct zlayer_exit){
        .code = c->exit.code,
        .signal = c->exit.signal,
        .oom = c->exit.oom,
        .lost = c->exit.lost,
        .finished_ms = c->exit.wall_ms,
    };
    return 0;
}

int zlayer_container_logs(zlayer_container *c, zlayer_log_fn fn, void *arg,
                          struct zlayer_error *err)
{
    const struct logread_opts opts = { .tail = LOGREAD_ALL };
    autologread struct logread *log = NULL;
    struct logread_line line;
    struct zl_error why = { 0 };
    int rc = logread_open(c->log_path, &opts, &log, &why);
    while (rc == 0 && (rc = logread_next(log, &line, &why)) > 0)
        rc = fn(arg, line.stream == LOG_STDERR ? 2 : 1, line.bytes, line.length) ? 1 : 0;
    return rc < 0 ? lib_fail(err, &why) : 0;
}
