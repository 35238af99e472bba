// SPDX-License-Identifier: Apache-2.0
/* The wasm runtime's construction and its table of operations. */
#include <stdio.h>
#include <string.h>

#include "runtime/wasm/inner.h"

static int refuse_exec(struct native_call *k, const struct rt_request *rq, struct zl_error *err)
{
    (void)k;
    (void)rq;
    return zl_fail(err, ZL_ERR_UNSUPPORTED,
                   "a WebAssembly guest is one module, in which no other command can be executed: "
                   "run the module again with other arguments, or ask the guest by its endpoint");
}

static int refuse_archive(struct native_call *k, const struct rt_request *rq, struct zl_error *err)
{
    (void)k;
    (void)rq;
    return zl_fail(err, ZL_ERR_UNSUPPORTED,
                   "a WebAssembly guest has no file system of its own: its folders are the "
                   "host's, as its storage says, and files are copied there");
}

/* What a guest does otherwise than a container. */
static native_fn *const handlers[RT_KINDS] = {
    [RT_PULL] = wasm_pull,   [RT_CREATE] = wasm_create,     [RT_STATS] = wasm_stats,
    [RT_EXEC] = refuse_exec, [RT_ARCHIVE] = refuse_archive,
};

static struct rt_call *wasm_submit(struct runtime *rt, const struct rt_request *rq, rt_done_fn done,
                                   void *arg)
{
    native_fn *own = handlers[rq->kind];
    return own ? native_call_submit(own, rt, rq, done, arg) : native_submit(rt, rq, done, arg);
}

static void wasm_part_free(struct wasm_part *w)
{
    if (!w)
        return;
    wasm_host_free(w->host);
    free(w->cache_dir);
    free(w);
}

static void wasm_free(struct runtime *rt)
{
    struct wasm_part *w = native_of(rt)->wasm;
    runtime_drop_calls(rt); /* their questions go with them */
    native_end(rt);
    wasm_part_free(w);
}

static const struct runtime_ops wasm_ops = NATIVE_OPS("wasm", wasm_submit, wasm_free);

static struct wasm_part *make_part(const struct native_config *cfg, const struct wasm_config *wasm,
                                   struct zl_error *err)
{
    struct wasm_part *w = calloc(1, sizeof *w);
    int n = 0;
    if (w)
        n = wasm->cache_dir ? asprintf(&w->cache_dir, "%s", wasm->cache_dir)
                            : asprintf(&w->cache_dir, "%s/wasm", cfg->root_dir);
    if (!w || n < 0) {
        free(w);
        (void)zl_fail_errno(err, "set up WebAssembly");
        return NULL;
    }
    w->config = *wasm;
    w->config.cache_dir = NULL; /* the caller's text; ours is w->cache_dir */
    if (!w->config.epoch_deadline)
        w->config.epoch_deadline = WASM_EPOCH_DEADLINE_DEFAULT;
    if (w->config.unlimited)
        w->config.max_execution_ms = 0;
    else if (!w->config.max_execution_ms)
        w->config.max_execution_ms = WASM_MAX_EXECUTION_MS_DEFAULT;
    return w;
}

int wasm_new(const struct native_config *cfg, const struct wasm_config *wasm, struct runtime **ret,
             struct zl_error *err)
{
    struct native *n = NULL;
    struct wasm_part *w = make_part(cfg, wasm, err);
    if (!w)
        return -1;
    if (wasm_host_new(cfg->base, cfg->run_dir, w->cache_dir, cfg->cgroup_parent, &w->host, err) <
            0 ||
        native_begin(cfg, &wasm_ops, &n, err) < 0) {
        wasm_part_free(w);
        return -1;
    }
    n->wasm = w;
    *ret = &n->rt;
    return 0;
}

bool wasm_is_for(const struct spec_service *service, const struct image *image)
{
    bool typed = service->type >= SPEC_WASM_HTTP && service->type <= SPEC_WASM_ROUTER;
    return typed || (image && image->wasm.digest[0]);
}
