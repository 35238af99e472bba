// SPDX-License-Identifier: Apache-2.0
/*
 * What may be done to a container that runs, of every owner: signals, standing still, new limits.
 * None of it is a wish that core keeps: it is done now, or the answer says why not.
 */
#include <string.h>

#include "api/call.h"
#include "base/json.h"
#include "spec/value/signal.h"
#include "spec/value/size.h"

static void done_empty(struct api_call *c, const struct rt_answer *a)
{
    (void)a;
    reply_empty(c);
}

/* ---- signals ------------------------------------------------------------------------------- */

struct kill_request {
    const char *signal;
};

static const struct zl_field kill_fields[] = {
    { "signal", zl_json_string, offsetof(struct kill_request, signal), 0 },
    { 0 },
};

static void post_kill(struct api_call *c)
{
    struct view_container v;
    struct kill_request k = { .signal = "KILL" };
    if (call_decode(c, kill_fields, &k) < 0 || path_instance(c, &v) < 0)
        return;
    int signal = spec_parse_signal_loosely(k.signal);
    if (signal < 0) {
        reply_fail(c, ZL_ERR_INVALID, "'%s' is not a signal", k.signal);
        return;
    }
    const struct rt_request rq = { .kind = RT_KILL, .id = v.id, .kill = { .signal = signal } };
    call_ask(c, &rq, done_empty);
}

/* ---- pause --------------------------------------------------------------------------------- */

static void post_pause(struct api_call *c)
{
    struct view_container v;
    if (path_instance(c, &v) == 0)
        call_ask(c, &(struct rt_request){ .kind = RT_PAUSE, .id = v.id }, done_empty);
}

static void post_unpause(struct api_call *c)
{
    struct view_container v;
    if (path_instance(c, &v) == 0)
        call_ask(c, &(struct rt_request){ .kind = RT_UNPAUSE, .id = v.id }, done_empty);
}

/* ---- limits -------------------------------------------------------------------------------- */

struct update_request {
    struct fact_limits limits;
    bool restart_policy;
};

/* struct zl_opt_i64: bytes as a number, -1 for none, or a size as documents have it: "64Mi" */
static int decode_bytes(const struct zl_json_at *at, const struct zl_field *f, void *out,
                        struct zl_error *err)
{
    struct zl_opt_i64 *ret = out;
    struct spec_flaw flaw = { 0 };
    uint64_t bytes;
    if (!json_is_string(at->value))
        return zl_json_opt_i64(at, f, out, err);
    if (spec_parse_size(json_string_value(at->value), &bytes, &flaw) < 0 || bytes > INT64_MAX)
        return zl_json_fail_type(at, "a number of bytes or a size such as 64Mi", err);
    *ret = (struct zl_opt_i64){ true, (int64_t)bytes };
    return 0;
}

#define AT(member) offsetof(struct update_request, limits.member)
/* clang-format off */
static const struct zl_field update_fields[] = {
    { "cpu_shares",           zl_json_opt_u64, AT(cpu_shares),           0 },
    { "cpu_period",           zl_json_opt_u64, AT(cpu_period),           0 },
    { "cpu_quota",            zl_json_opt_i64, AT(cpu_quota),            0 },
    { "cpu_realtime_period",  zl_json_opt_u64, AT(cpu_realtime_period),  0 },
    { "cpu_realtime_runtime", zl_json_opt_i64, AT(cpu_realtime_runtime), 0 },
    { "cpuset_cpus",          zl_json_string,  AT(cpuset_cpus),          0 },
    { "cpuset_mems",          zl_json_string,  AT(cpuset_mems),          0 },
    { "memory",               decode_bytes,    AT(memory),               0 },
    { "memory_reservation",   decode_bytes,    AT(memory_reservation),   0 },
    { "memory_swap",          decode_bytes,    AT(memory_swap),          0 },
    { "kernel_memory",        decode_bytes,    AT(kernel_memory),        0 },
    { "blkio_weight",         zl_json_opt_u64, AT(blkio_weight),         0 },
    { "pids_limit",           zl_json_opt_i64, AT(pids),                 0 },
    { "restart_policy",       zl_json_present, offsetof(struct update_request, restart_policy), 0 },
    { 0 },
};
/* clang-format on */
#undef AT

static void add_lines(json_t *list, const char *lines)
{
    for (const char *p = lines; *p;) {
        size_t n = strcspn(p, "\n");
        if (n > 0)
            (void)json_array_append_new(list, json_stringn(p, n));
        p += n + (p[n] == '\n');
    }
}

static void updated(struct api_call *c, const struct rt_answer *a)
{
    const struct update_request *u = c->state;
    json_t *warnings = json_array();
    add_lines(warnings, a->fact.warnings);
    if (u->restart_policy)
        add_lines(warnings, "restart_policy: what a document says is changed by deploying it: left "
                            "out");
    reply_json(c, 200, json_pack("{s:o}", "warnings", warnings));
}

static void post_update(struct api_call *c)
{
    struct view_container v;
    struct update_request *u = call_state(c, sizeof *u, NULL);
    if (!u)
        return;
    if (call_decode(c, update_fields, u) < 0 || path_instance(c, &v) < 0)
        return;
    const struct rt_request rq = { .kind = RT_UPDATE,
                                   .id = v.id,
                                   .update = { .limits = &u->limits } };
    call_ask(c, &rq, updated);
}

/* clang-format off */
const struct api_route control_routes[] = {
    { "POST", "/api/v1/containers/{id}/kill",    post_kill,    "operator", "sends a signal" },
    { "POST", "/api/v1/containers/{id}/pause",   post_pause,   "operator", "stops all of its processes where they are" },
    { "POST", "/api/v1/containers/{id}/unpause", post_unpause, "operator", "lets them go on" },
    { "POST", "/api/v1/containers/{id}/update",  post_update,  "operator", "new limits while it runs: {warnings}" },
    { 0 },
};
/* clang-format on */
