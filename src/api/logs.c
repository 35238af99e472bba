// SPDX-License-Identifier: Apache-2.0
/*
 * Where the logs of a service lie. They outlive containers: a service that is stopped, and a job
 * whose executions have ended, have theirs. The files are read by whoever asks, not by the agent.
 */
#include "api/call.h"
#include "api/find.h"
#include "core/text/names.h"

struct listing {
    const struct api_call *call;
    json_t *list;
};

static void add_log(const struct listing *l, const struct inst_label *label)
{
    char name[CORE_NAME_MAX];
    zl_autobuf struct zl_buf path = ZL_BUF(4096);
    if (!call_log_path(l->call, label, (struct inst_id){ 0 }, &path))
        return;
    core_name_format(label, name, sizeof name);
    (void)json_array_append_new(l->list,
                                json_pack("{s:s, s:s, s:s, s:i, s:s}", "name", name, "deployment",
                                          label->deployment, "service", label->service, "index",
                                          (int)label->index, "path", path.data));
}

/* Newest first. */
static bool add_execution(void *arg, const struct row_execution *v)
{
    const struct inst_label label = { .owner = OWNER_EXECUTION,
                                      .deployment = v->deployment,
                                      .service = v->job,
                                      .role = "default",
                                      .execution = v->id };
    add_log(arg, &label);
    return true;
}

static void add_replicas(const struct listing *l, const struct view_service *v)
{
    uint32_t n = v->desired > v->service->replicas ? v->desired : v->service->replicas;
    for (uint32_t i = 1; i <= n; i++) {
        const struct inst_label label = { .owner = OWNER_REPLICA,
                                          .deployment = v->deployment,
                                          .service = v->service->name,
                                          .role = "default",
                                          .index = i };
        add_log(l, &label);
    }
}

void get_service_logs(struct api_call *c)
{
    struct view_service v;
    if (path_service(c, &v) < 0)
        return;
    struct listing l = { c, json_array() };
    if (l.list && v.service->rtype == SPEC_SERVICE)
        add_replicas(&l, &v);
    else if (l.list)
        core_each_execution(call_core(c), v.deployment, v.service->name, add_execution, &l);
    reply_json(c, 200, l.list);
}
