// SPDX-License-Identifier: Apache-2.0
/*
 * The runtimes of libzlayer, native and wasm, on a loop of its own that runs only inside calls. It
 * owns containers by process, so no agent and no other process adopts them.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "agent/config.h"
#include "base/fd.h"
#include "base/id.h"
#include "lib/inner.h"
#include "runtime/composite.h"
#include "runtime/native.h"
#include "runtime/puller.h"
#include "runtime/wasm.h"

_Static_assert((int)ZLAYER_INTERNAL == (int)ZL_ERR_INTERNAL &&
                   (int)ZLAYER_NOT_FOUND == (int)ZL_ERR_NOT_FOUND &&
                   (int)ZLAYER_DENIED == (int)ZL_ERR_DENIED,
               "zlayer.h spells enum zl_err_kind out for others");

const char *zlayer_version(void)
{
    return ZL_VERSION;
}

int zlayer_version_number(void)
{
    return ZLAYER_VERSION_MAJOR * 10000 + ZLAYER_VERSION_MINOR * 100 + ZLAYER_VERSION_PATCH;
}

int lib_fail(struct zlayer_error *to, const struct zl_error *from)
{
    if (!to)
        return -1;
    to->kind = (int)from->kind;
    to->errnum = from->errnum;
    (void)snprintf(to->message, sizeof to->message, "%s", from->msg);
    return -1;
}

struct asking {
    bool answered;
    struct rt_answer *answer;
};

static void on_answer(void *arg, const struct rt_answer *a)
{
    struct asking *asking = arg;
    *asking->answer = *a;
    asking->answered = true;
}

int lib_turn(struct zlayer_runtime *rt, const char *what, struct zl_error *err)
{
    int rc = event_base_loop(rt->base, EVLOOP_ONCE);
    if (rc == 0)
        return 0;
    return zl_fail(err, ZL_ERR_INTERNAL, "%s: %s", what,
                   rc < 0 ? "the loop failed" : "nobody is left who could answer");
}

int lib_submit(struct zlayer_runtime *rt, const struct rt_request *rq, rt_done_fn done, void *arg,
               const bool *answered, struct zl_error *err)
{
    struct rt_call *call = runtime_submit(rt->rt, rq, done, arg);
    if (!call)
        return zl_fail(err, ZL_ERR_SYSTEM, "%s: out of memory", rt_kind_verb(rq->kind));
    while (!*answered)
        if (lib_turn(rt, rt_kind_verb(rq->kind), err) < 0) {
            if (!*answered) /* arg is about to be gone */
                runtime_forget(call);
            return -1;
        }
    return 0;
}

int lib_ask(struct zlayer_runtime *rt, const struct rt_request *rq, struct rt_answer *ret)
{
    struct asking asking = { .answer = ret };
    *ret = (struct rt_answer){ 0 };
    if (lib_submit(rt, rq, on_answer, &asking, &asking.answered, &ret->err) < 0)
        return -1;
    return ret->err.kind == ZL_OK ? 0 : -1;
}

static void on_event(void *arg, const struct rt_event *ev)
{
    struct zlayer_runtime *rt = arg;
    for (struct zlayer_container *c = rt->containers; ev->kind == RT_EV_EXIT && c; c = c->next) {
        if (c->id.v == ev->id.v) {
            c->has_exit = true;
            c->exit = ev->exit;
        }
    }
}

static int open_images(struct zlayer_runtime *rt, const char *root_dir, struct zl_error *err)
{
    rt->root_dir = strdup(root_dir);
    if (!rt->root_dir)
        return zl_fail_errno(err, "open the runtime");
    rt->root_fd = zl_mkdir_p(AT_FDCWD, root_dir, 0711, err);
    return rt->root_fd < 0 ? -1 : image_store_open(rt->root_fd, &rt->images, err);
}

/* Who has to sign what is known before anything is pulled, or the runtime is not opened. */
static int read_settings(struct zlayer_runtime *rt, const char *path, struct zl_error *err)
{
    struct agent_config config;
    int rc = agent_config_read_file(path, &config, err);
    if (rc == 0) {
        rt->settings = agent_config_order(&config);
        rc = rt->settings ? 0 : zl_fail(err, ZL_ERR_SYSTEM, "open the runtime: out of memory");
    }
    agent_config_done(&config);
    return rc;
}

static int open_runtimes(struct zlayer_runtime *rt, const char *run_dir, const char *cgroup_parent,
                         struct zl_error *err)
{
    char owner[64], id[ZL_ID_LEN + 1];
    zl_id_format(zl_id_random(), id);
    (void)snprintf(owner, sizeof owner, "library:%d:%s", (int)getpid(), id);
    zl_autoclose int run_fd = zl_mkdir_p(AT_FDCWD, run_dir, 0711, err);
    if (run_fd < 0)
        return -1;
    const struct native_config cfg = {
        .base = rt->base,
        .root_dir = rt->root_dir,
        .run_dir = run_dir,
        .cgroup_parent = cgroup_parent,
        .owner = owner,
        .images = rt->images,
    };
    const struct wasm_config guests = { .unlimited = true }; /* who waits decides how long */
    struct zl_error why = { 0 };
    struct runtime *native = NULL, *wasm = NULL;
    if (native_new(&cfg, &native, err) < 0)
        return -1;
    (void)wasm_new(&cfg, &guests, &wasm, &why); /* modules are told why they cannot be run */
    const struct puller_config pulls = {
        .base = rt->base,
        .root_dir = rt->root_dir,
        .images = rt->images,
        .settings = rt->settings,
        .default_registry = getenv("ZLAYER_DEFAULT_REGISTRY"),
    };
    if (puller_new(&pulls, &rt->puller, err) < 0) {
        runtime_free(native);
        runtime_free(wasm);
        return -1;
    }
    if (composite_new(rt->base, rt->images, rt->puller, native, wasm, why.msg, &rt->rt, err) < 0)
        return -1;
    return rt->rt->ops->watch(rt->rt, on_event, rt, err);
}

static const char *or_default(const char *said, const char *fallback)
{
    return said ? said : fallback;
}

int zlayer_runtime_open(const struct zlayer_options *options, zlayer_runtime **ret,
                        struct zlayer_error *err)
{
    struct zlayer_options o = { 0 };
    struct zl_error why = { 0 };
    if (options) /* an older caller's struct is shorter: the rest are zeros */
        (void)memcpy(&o, options, options->size < sizeof o ? options->size : sizeof o);
    const char *root = or_default(o.root_dir, "/var/lib/zlayer");
    const char *run = or_default(o.runtime_dir, "/var/run/zlayer");
    int rc = 0;
    struct zlayer_runtime *rt = calloc(1, sizeof *rt);
    if (!rt) {
        (void)zl_fail_errno(&why, "open the runtime");
        return lib_fail(err, &why);
    }
    rt->root_fd = -1;
    rt->base = event_base_new();
    if (!rt->base)
        rc = zl_fail(&why, ZL_ERR_SYSTEM, "open the runtime: no event loop");
    if (rc == 0 && (*root != '/' || *run != '/'))
        rc = zl_fail(&why, ZL_ERR_INVALID, "'%s' is not an absolute path",
                     *root != '/' ? root : run);
    if (rc == 0 && (read_settings(rt, o.config_file, &why) < 0 || open_images(rt, root, &why) < 0 ||
                    open_runtimes(rt, run, or_default(o.cgroup_parent, "/zlayer"), &why) < 0))
        rc = -1;
    if (rc < 0) {
        zlayer_runtime_close(rt);
        return lib_fail(err, &why);
    }
    *ret = rt;
    return 0;
}

void zlayer_runtime_close(zlayer_runtime *rt)
{
    if (!rt)
        return;
    runtime_free(rt->rt);
    puller_free(rt->puller);
    image_store_free(rt->images);
    if (rt->base)
        event_base_free(rt->base);
    zl_closep(&rt->root_fd);
    free(rt->settings);
    free(rt->root_dir);
    free(rt);
}

int zlayer_image_pull(zlayer_runtime *rt, const char *image, char *digest, size_t size,
                      struct zlayer_error *err)
{
    const struct rt_request rq = {
        .kind = RT_PULL,
        .pull = { .image = image, .policy = SPEC_PULL_IF_NOT_PRESENT },
    };
    struct rt_answer a;
    if (lib_ask(rt, &rq, &a) < 0)
        return lib_fail(err, &a.err);
    if (digest && size)
        (void)snprintf(digest, size, "%s", a.pull.digest);
    return 0;
}
