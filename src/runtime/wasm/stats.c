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

int wasm_stats(struct native_call *k, const struct rt_request *rq, struct zl_error *err)
{
    (void)rq;
    if (native_call_monitor(k, err) < 0)
        return -1;
    return mon_client_send_state(k->c->mon, native_call_expect(k, told), err);
}
