// SPDX-License-Identifier: Apache-2.0
/* The native runtime's construction, its table of operations, its door. */
#include "runtime/native.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/id.h"
#include "runtime/native/inner.h"
#include "runtime/volumes.h"
#include "sandbox/plan.h"

#define HANDLER(kind, name, verb, event) [kind] = native_##name,
static native_fn *const handlers[RT_KINDS] = { RT_EACH_KIND(HANDLER) };
#undef HANDLER

struct rt_call *native_submit(struct runtime *rt, const struct rt_request *rq, rt_done_fn done,
                              void *arg)
{
    return native_call_submit(handlers[rq->kind], rt, rq, done, arg);
}

/* What a monitor was asked cannot be taken back: the asker is told, the reply is dropped. A create
 * that comes to be is removed by core, which knows that it asked for it. */
void native_cancel(struct rt_call *c)
{
    struct zl_error err = { 0 };
    (void)zl_fail(&err, ZL_ERR_CANCELLED, "cancelled");
    rt_call_fail_soon(c, &err);
}

int native_watch(struct runtime *rt, rt_event_fn on_event, void *arg, struct zl_error *err)
{
    struct native *n = native_of(rt);
    n->on_event = on_event;
    n->on_event_arg = arg;
    return native_find_all(n, err);
}

void native_end(struct runtime *rt)
{
    struct native *n = native_of(rt);
    runtime_drop_calls(rt);
    while (n->containers)
        container_free(n->containers);
    archives_free(n->archives);
    shim_pool_free(n->pool);
    trash_free(n->trash);
    volumes_free(n->volumes);
    plan_cache_free(n->plans);
    zl_closep(&n->root_fd);
    zl_closep(&n->run_fd);
    zl_closep(&n->containers_fd);
    zl_closep(&n->host.root_fd);
    free(n->root_dir);
    free(n->run_dir);
    free(n->cgroup_parent);
    free(n->owner);
    zl_map_done(&n->ids);
    free(n);
}

static const struct runtime_ops native_ops = NATIVE_OPS("native", native_submit, native_end);

static int read_boot_id(char *out, size_t size, struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(64);
    if (zl_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", &text, err) < 0)
        return -1;
    (void)snprintf(out, size, "%.*s", (int)strcspn(text.data, "\n"), text.data);
    return 0;
}

static int copy_config(struct native *n, const struct native_config *cfg, struct zl_error *err)
{
    n->images = cfg->images;
    n->root_dir = strdup(cfg->root_dir);
    n->run_dir = strdup(cfg->run_dir);
    n->cgroup_parent = strdup(cfg->cgroup_parent);
    n->owner = strdup(cfg->owner);
    if (!n->root_dir || !n->run_dir || !n->cgroup_parent || !n->owner)
        return zl_fail_errno(err, "set up the native runtime");
    return 0;
}

static int open_directories(struct native *n, struct zl_error *err)
{
    n->root_fd = zl_open_dir(AT_FDCWD, n->root_dir, err);
    if (n->root_fd < 0)
        return -1;
    n->containers_fd = zl_mkdir_p(n->root_fd, "containers", 0700, err);
    zl_autoclose int run = n->containers_fd >= 0 ? zl_open_dir(AT_FDCWD, n->run_dir, err) : -1;
    if (run < 0)
        return -1;
    /* The control sockets in it check who asks; a group may be let in by a token. */
    n->run_fd = zl_mkdir_p(run, "c", 0711, err);
    return n->run_fd < 0 ? -1 : 0;
}

int native_begin(const struct native_config *cfg, const struct runtime_ops *ops,
                 struct native **ret, struct zl_error *err)
{
    struct native *n = calloc(1, sizeof *n);
    if (!n)
        return zl_fail_errno(err, "set up the %s runtime", ops->name);
    runtime_init(&n->rt, ops, cfg->base);
    n->plans = plan_cache_new();
    n->root_fd = n->run_fd = n->containers_fd = n->host.root_fd = -1;
    if (copy_config(n, cfg, err) < 0 || oci_host_read(&n->host, err) < 0 ||
        open_directories(n, err) < 0 || read_boot_id(n->boot_id, sizeof n->boot_id, err) < 0 ||
        trash_new(cfg->base, n->root_fd, "trash", &n->trash, err) < 0 ||
        volumes_open(cfg->base, n->root_dir, n->root_fd, &n->volumes, err) < 0) {
        native_end(&n->rt);
        return -1;
    }
    *ret = n;
    return 0;
}

int native_new(const struct native_config *cfg, struct runtime **ret, struct zl_error *err)
{
    struct native *n = NULL;
    if (native_begin(cfg, &native_ops, &n, err) < 0)
        return -1;
    if (shim_pool_new(cfg->base, &n->pool, err) < 0) {
        native_end(&n->rt);
        return -1;
    }
    *ret = &n->rt;
    return 0;
}

bool native_has(struct runtime *rt, struct inst_id id)
{
    return container_find(native_of(rt), id);
}

bool native_is_paused(struct runtime *rt, struct inst_id id)
{
    const struct container *c = container_find(native_of(rt), id);
    return c && c->paused && !c->has_exit;
}

void native_log_path(const char *root_dir, const struct inst_label *label, struct zl_buf *out)
{
    char execution[ZL_ID_LEN + 1];
    zl_buf_addf(out, "%s/logs/%s/%s/", root_dir, label->deployment, label->service);
    zl_id_format(label->execution, execution);
    if (label->owner == OWNER_EXECUTION)
        zl_buf_addf(out, "job-%s.log", execution);
    else
        zl_buf_addf(out, "%s-%u.log", label->role, label->index);
}

bool native_uses_layer(struct runtime *rt, uint32_t layer)
{
    for (const struct container *c = native_of(rt)->containers; c; c = c->next)
        for (size_t i = 0; i < c->record.layers.n; i++)
            if (c->record.layers.v[i] == layer)
                return true;
    return false;
}

bool native_uses_image(struct runtime *rt, const char *digest)
{
    for (const struct container *c = native_of(rt)->containers; c; c = c->next)
        if (c->record.image && strcmp(c->record.image, digest) == 0)
            return true;
    return false;
}

static void tell_volumes(const struct record *r, const char *id, const char *name, rt_volume_fn fn,
                         void *arg)
{
    for (size_t i = 0; i < r->volumes.n; i++)
        fn(arg, &(struct rt_volume_use){ r->volumes.v[i], id, name });
}

void native_each_volume(struct runtime *rt, rt_volume_fn fn, void *arg)
{
    for (const struct container *c = native_of(rt)->containers; c; c = c->next)
        tell_volumes(&c->record, c->id_text, c->name, fn, arg);
}
