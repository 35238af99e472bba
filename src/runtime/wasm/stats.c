// SPDX-License-Identifier: Apache-2.0
/* RT_STATS: as of a container, and how much linear memory the guest has, which its monitor knows.
 */
#include "runtime/wasm/inner.h"

static void told(struct native_call *k, const struct mon_message *m)
{
    struct zl_error err = { 0 };
    struct rt_answer a = { 0 };
    if (native_measure(k->c, &a.fact.stats, &err) < 0) {
        native_call_fail(k, &err);
        return;
    }
    a.fact.stats.memory_linear = m->state.linear_bytes;
    rt_call_answer(&k->call, &a);
}

struct rt_call *wasm_stats(struct native *n, const struct rt_request *rq, rt_done_fn done,
                           void *arg)
{
    struct zl_error err = { 0 };
    struct rt_call *refused;
    struct native_call *k = native_call_begin(n, rq, done, arg, &refused);
    if (!k)
        return refused;
    uint64_t op = native_call_expect(k, told);
    return native_call_sent(k, mon_client_send_state(k->c->mon, op, &err), &err);
}
