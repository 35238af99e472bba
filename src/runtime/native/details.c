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

int native_details(struct native_call *k, const struct rt_request *rq, struct zl_error *err)
{
    const struct container *c = k->c;
    (void)rq;
    if (native_call_container(k, err) < 0)
        return -1;
    struct rt_answer a = { .owned = read_config(c) };
    a.fact.details = (struct fact_details){
        .image_digest = c->record.image,
        .runtime = c->n->rt.ops->name,
        .cgroups = c->record.cgroups,
        .config = a.owned,
    };
    rt_call_answer_soon(&k->call, &a);
    return 0;
}
