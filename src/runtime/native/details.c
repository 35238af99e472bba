// SPDX-License-Identifier: Apache-2.0
/* RT_DETAILS: what the record and the run directory say of a container. */
#include <string.h>

#include "base/fd.h"
#include "runtime/native/inner.h"

enum { CONFIG_MAX = 8 << 20 };

/* NULL: it has ended and its run directory is gone, or it is a guest, which has none. */
static char *read_config(const struct container *c)
{
    zl_autobuf struct zl_buf text = ZL_BUF(CONFIG_MAX);
    zl_autoclose int dir = container_open_run_dir(c, NULL);
    if (dir < 0 || zl_read_file(dir, "config.json", &text, NULL) < 0)
        return NULL;
    return zl_buf_steal(&text);
}

struct rt_call *native_details(struct native *n, const struct rt_request *rq, rt_done_fn done,
                               void *arg)
{
    struct zl_error err = { 0 };
    struct rt_answer a = { 0 };
    const struct container *c = container_find(n, rq->id);
    struct native_call *k = native_call_new(n, container_find(n, rq->id), rq, done, arg);
    if (!k)
        return NULL;
    if (!c) {
        (void)zl_fail(&err, ZL_ERR_NOT_FOUND, "describe: no such container");
        return native_call_refuse(k, &err);
    }
    a.owned = read_config(c);
    a.fact.details = (struct fact_details){
        .image_digest = c->record.image,
        .runtime = n->rt.ops->name,
        .cgroups = c->record.cgroups,
        .config = a.owned,
    };
    rt_call_answer_soon(&k->call, &a);
    return &k->call;
}
