// SPDX-License-Identifier: Apache-2.0
/* What is measured and looked up of containers: stats, processes, what they are made of. */
#include <event2/event.h>
#include <string.h>

#include "api/call.h"
#include "api/shape.h"

enum { INTERVAL_MS = 1000, INTERVAL_MIN_MS = 100 };

/* ---- stats --------------------------------------------------------------------------------- */

static json_t *number(uint64_t n)
{
    return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

static json_t *limit(uint64_t n)
{
    return n ? number(n) : json_null();
}

static json_t *pressure_line(const struct fact_pressure_line *l)
{
    return json_pack("{s:f, s:f, s:f, s:o}", "avg10", l->avg10, "avg60", l->avg60, "avg300",
                     l->avg300, "total_us", number(l->total_us));
}

static json_t *pressure(const struct fact_pressure *p)
{
    return p->there ? json_pack("{s:o, s:o}", "some", pressure_line(&p->some), "full",
                                pressure_line(&p->full))
                    : json_null();
}

static json_t *shape_stats(const struct fact_stats *s)
{
    json_t *cpu = json_pack("{s:o, s:o, s:o, s:o, s:i, s:o, s:o, s:o, s:o}", "usage_ns",
                            number(s->cpu_usage_ns), "user_ns", number(s->cpu_user_ns), "system_ns",
                            number(s->cpu_system_ns), "host_ns", number(s->host_cpu_ns),
                            "online_cpus", (int)s->online_cpus, "periods", number(s->cpu_periods),
                            "throttled_periods", number(s->cpu_throttled_periods), "throttled_ns",
                            number(s->cpu_throttled_ns), "pressure", pressure(&s->cpu_pressure));
    json_t *memory = json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "usage", number(s->memory_bytes),
        "working_set", number(s->memory_working_set), "limit", limit(s->memory_limit), "peak",
        limit(s->memory_peak), "anon", number(s->memory_anon), "file", number(s->memory_file),
        "kernel", number(s->memory_kernel), "swap", number(s->swap_bytes), "oom_kills",
        number(s->oom_kills), "linear", limit(s->memory_linear), "pressure",
        pressure(&s->memory_pressure));
    json_t *network = json_pack("{s:o, s:o, s:o, s:o}", "rx_bytes", number(s->net_rx_bytes),
                                "tx_bytes", number(s->net_tx_bytes), "rx_packets",
                                number(s->net_rx_packets), "tx_packets", number(s->net_tx_packets));
    json_t *io =
        json_pack("{s:o, s:o, s:o, s:o, s:o}", "read_bytes", number(s->blkio_read_bytes),
                  "write_bytes", number(s->blkio_write_bytes), "reads", number(s->blkio_reads),
                  "writes", number(s->blkio_writes), "pressure", pressure(&s->io_pressure));
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:{s:o, s:o}}", "time", shape_time(s->wall_ms),
                     "mono_ns", number(s->mono_ns), "cpu", cpu, "memory", memory, "network",
                     network, "block_io", io, "pids", "current", number(s->pids), "limit",
                     limit(s->pids_limit));
}

struct sampling {
    struct inst_id id;
    uint64_t interval_ms;
    bool stream;
};

static void ask_stats(struct api_call *c);

static void next_sample(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    ask_stats(arg);
}

/* The end of a stream is the end of what is measured, and no error. */
static bool is_over(const struct zl_error *why)
{
    return why->kind == ZL_ERR_CONFLICT || why->kind == ZL_ERR_NOT_FOUND;
}

static void sampled(struct api_call *c, const struct rt_answer *a)
{
    const struct sampling *s = c->state;
    const struct timeval pause = { (time_t)(s->interval_ms / 1000),
                                   (suseconds_t)(s->interval_ms % 1000 * 1000) };
    if (s->stream && is_over(&a->err)) {
        stream_end(c);
        return;
    }
    if (a->err.kind != ZL_OK) {
        reply_error(c, &a->err);
        return;
    }
    if (!s->stream) {
        reply_json(c, 200, shape_stats(&a->fact.stats));
        return;
    }
    if (!stream_line(c, shape_stats(&a->fact.stats)))
        return;
    if (!c->timer)
        c->timer = evtimer_new(c->server->base, next_sample, c);
    if (!c->timer || evtimer_add(c->timer, &pause) < 0)
        reply_fail(c, ZL_ERR_SYSTEM, "no memory for the next sample");
}

static void ask_stats(struct api_call *c)
{
    const struct sampling *s = c->state;
    call_ask_anyway(c, &(struct rt_request){ .kind = RT_STATS, .id = s->id }, sampled);
}

static void get_stats(struct api_call *c)
{
    struct view_container v;
    struct sampling *s = call_state(c, sizeof *s, NULL);
    if (!s)
        return;
    if (path_instance(c, &v) < 0)
        return;
    if (v.state != INST_UP && v.state != INST_STOPPING) {
        reply_fail(c, ZL_ERR_CONFLICT, "'%s' does not run: it is %s", v.name,
                   inst_state_name(v.state));
        return;
    }
    s->id = v.id;
    s->stream = call_query_bool(c, "stream");
    s->interval_ms = call_query_u64(c, "interval_ms", INTERVAL_MS);
    if (s->interval_ms < INTERVAL_MIN_MS)
        s->interval_ms = INTERVAL_MIN_MS;
    if (s->stream)
        stream_begin(c);
    ask_stats(c);
}

/* ---- processes ----------------------------------------------------------------------------- */

static json_t *row(const char **cell, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *text = json_string(*cell);
        /* what a process calls itself need not be UTF-8 */
        (void)json_array_append_new(list, text ? text : json_string("?"));
        *cell += strlen(*cell) + 1;
    }
    return list;
}

static void listed(struct api_call *c, const struct rt_answer *a)
{
    const struct fact_table *t = &a->fact.table;
    const char *cell = t->cells;
    json_t *titles = row(&cell, t->n_columns), *rows = json_array();
    for (size_t i = 0; i < t->n_rows; i++)
        (void)json_array_append_new(rows, row(&cell, t->n_columns));
    reply_json(c, 200, json_pack("{s:o, s:o}", "titles", titles, "processes", rows));
}

static void get_top(struct api_call *c)
{
    struct view_container v;
    if (path_instance(c, &v) < 0)
        return;
    const struct rt_request rq = { .kind = RT_TOP,
                                   .id = v.id,
                                   .top = { .columns = call_query(c, "ps_args") } };
    call_ask(c, &rq, listed);
}

/* ---- details ------------------------------------------------------------------------------- */

struct describing {
    json_t *shape;
};

static void describing_free(void *state)
{
    struct describing *d = state;
    json_decref(d->shape);
    free(d);
}

/* Environment variables may hold secrets: their names are told. */
static void hide_values(json_t *config)
{
    json_t *env = json_object_get(json_object_get(config, "process"), "env");
    for (size_t i = 0; i < json_array_size(env); i++) {
        const char *text = json_string_value(json_array_get(env, i));
        if (text)
            (void)json_array_set_new(env, i, json_stringn(text, strcspn(text, "=")));
    }
}

/* A rootfs's whole seccomp program is of no interest to people. */
static json_t *config_of(const char *text)
{
    json_t *config = text ? json_loads(text, 0, NULL) : NULL;
    if (!config)
        return json_null();
    hide_values(config);
    (void)json_object_del(json_object_get(config, "linux"), "seccomp");
    return config;
}

static json_t *strings(const struct zl_strs *s)
{
    json_t *list = json_array();
    for (size_t i = 0; i < s->n; i++)
        (void)json_array_append_new(list, json_string(s->v[i]));
    return list;
}

static void described(struct api_call *c, const struct rt_answer *a)
{
    const struct describing *d = c->state;
    if (a->err.kind ==
        ZL_OK) { /* else it is being removed or not made yet: what core knows is all there is */
        const struct fact_details *f = &a->fact.details;
        (void)json_object_set_new(d->shape, "image_digest", json_string(f->image_digest));
        (void)json_object_set_new(d->shape, "runtime", json_string(f->runtime));
        (void)json_object_set_new(d->shape, "cgroups", strings(&f->cgroups));
        (void)json_object_set_new(d->shape, "config", config_of(f->config));
    }
    reply_json(c, 200, json_incref(d->shape));
}

void reply_details(struct api_call *c, json_t *shape, struct inst_id id)
{
    struct describing *d = call_state(c, sizeof *d, describing_free);
    if (!d) {
        json_decref(shape);
        return;
    }
    d->shape = shape;
    call_ask_anyway(c, &(struct rt_request){ .kind = RT_DETAILS, .id = id }, described);
}

/* clang-format off */
const struct api_route fact_routes[] = {
    { "GET", "/api/v1/containers/{id}/stats", get_stats, "reader", "what it has used; stream: NDJSON until its end", "stream, interval_ms" },
    { "GET", "/api/v1/containers/{id}/top",   get_top,   "reader", "its processes: {titles, processes}; ps_args: -ef, aux, -o COLUMN,…", "ps_args" },
    { 0 },
};
/* clang-format on */
