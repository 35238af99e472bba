// SPDX-License-Identifier: Apache-2.0
/* RT_UPDATE: from what is asked to linux.resources, to a plan, to the monitor. */
#include <fcntl.h>
#include <string.h>

#include "base/fd.h"
#include "oci/config.h"
#include "runtime/native/inner.h"
#include "sandbox/plan.h"

enum { NOTES_MAX = 4096 };

static void note(struct zl_buf *notes, bool asked, const char *text)
{
    if (asked)
        zl_buf_addf(notes, "%s\n", text);
}

/* What no kernel has any more, or v2 has not, is told and left out: the rest is worth doing. */
static void fill(struct oci_resources *r, const struct fact_limits *l, struct zl_buf *notes)
{
    r->cpu.shares = l->cpu_shares;
    r->cpu.period = l->cpu_period;
    r->cpu.quota = l->cpu_quota;
    r->cpu.cpus = l->cpuset_cpus;
    r->cpu.mems = l->cpuset_mems;
    r->memory.limit = l->memory;
    r->memory.reservation = l->memory_reservation;
    r->memory.swap = l->memory_swap;
    r->block_io.weight = l->blkio_weight;
    r->pids.limit = l->pids;
    note(notes, l->kernel_memory.set, "kernel_memory: no kernel limits it any more: left out");
    note(notes, l->cpu_realtime_period.set || l->cpu_realtime_runtime.set,
         "cpu_realtime_period, cpu_realtime_runtime: a container has no realtime processes: left "
         "out");
}

static bool is_empty(const struct oci_resources *r)
{
    return !r->cpu.shares.set && !r->cpu.period.set && !r->cpu.quota.set && !r->cpu.cpus &&
           !r->cpu.mems && !r->memory.limit.set && !r->memory.reservation.set &&
           !r->memory.swap.set && !r->block_io.weight.set && !r->pids.limit.set;
}

static void on_updated(struct native_call *k, const struct mon_message *m)
{
    (void)m;
    struct rt_answer a = { .owned = k->more };
    k->more = NULL;
    a.fact.warnings = a.owned ? a.owned : "";
    rt_call_answer(&k->call, &a);
}

int native_update(struct native_call *k, const struct rt_request *rq, struct zl_error *err)
{
    zl_autobuf struct zl_buf notes = ZL_BUF(NOTES_MAX), plan = ZL_BUF(PLAN_MAX);
    struct oci_resources r = { 0 };
    if (native_call_monitor(k, err) < 0)
        return -1;
    fill(&r, rq->update.limits, &notes);
    bool empty = is_empty(&r);
    if (!empty && plan_update_build(&r, &notes, &plan, err) < 0)
        return -1;
    k->more = strdup(notes.data ? notes.data : "");
    if (!k->more)
        return zl_fail_errno(err, "update");
    if (empty) { /* there is nothing to send */
        struct rt_answer a = { .owned = zl_take_ptr(k->more) };
        a.fact.warnings = a.owned;
        rt_call_answer_soon(&k->call, &a);
        return 0;
    }
    zl_autoclose int fd = zl_sealed("limits", plan.data, plan.len, err);
    if (fd < 0)
        return -1;
    return mon_client_send_update(k->c->mon, native_call_expect(k, on_updated), fd, err);
}
