// SPDX-License-Identifier: Apache-2.0
/*
 * The agent's life. Built up in the order in which the parts need each other, taken down in
 * reverse. There is no orderly shutdown to rely on: ending and being killed leave the same state
 * behind.
 */
#include "agent/agent.h"
#include "agent/effects.h"

#include <event2/event.h>
#include <fcntl.h>

#include "agent/listen.h"
#include "agent/logs.h"
#include "base/clock.h"
#include "base/fd.h"
#include "runtime/puller.h"
#include "runtime/volumes.h"

static int make_base(struct agent *a, struct zl_error *err)
{
    struct event_config *config = event_config_new();
    /* One thread uses it: no locks. */
    if (config)
        (void)event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    a->base = config ? event_base_new_with_config(config) : NULL;
    if (config)
        event_config_free(config);
    return a->base ? 0 : zl_fail(err, ZL_ERR_SYSTEM, "make an event loop");
}

static int open_folders(struct agent *a, struct zl_error *err)
{
    a->root_fd = zl_mkdir_p(AT_FDCWD, a->cfg.root_dir, 0711, err);
    if (a->root_fd < 0)
        return -1;
    a->run_fd = zl_mkdir_p(AT_FDCWD, a->cfg.run_dir, 0711, err);
    if (a->run_fd < 0)
        return -1;
    /* Both: another agent may have one of them in common with us, and would fight for what is in
     * it. */
    a->lock_fd = agent_lock(a->run_fd, err);
    if (a->lock_fd < 0)
        return zl_wrap(err, "lock '%s'", a->cfg.run_dir);
    a->root_lock_fd = agent_lock(a->root_fd, err);
    return a->root_lock_fd < 0 ? zl_wrap(err, "lock '%s'", a->cfg.root_dir) : 0;
}

static int open_stores(struct agent *a, struct zl_error *err)
{
    if (store_open(a->cfg.root_dir, &a->store, err) < 0)
        return -1;
    if (image_store_open(a->root_fd, &a->images, err) < 0)
        return -1;
    return volumes_open(a->base, a->cfg.root_dir, a->root_fd, &a->volumes, err);
}

static int make_parts(struct agent *a, struct zl_error *err)
{
    a->core = core_new(NULL);
    if (!a->core)
        return zl_fail(err, ZL_ERR_SYSTEM, "make the core: out of memory");
    if (waiters_new(a, &a->waiters, err) < 0 || image_tasks_new(a, &a->image_tasks, err) < 0 ||
        requests_new(&a->requests, err) < 0 || steps_new(a, &a->steps, err) < 0)
        return -1;
    zl_autofree char *order = agent_config_order(&a->cfg);
    if (!order)
        return zl_fail(err, ZL_ERR_SYSTEM, "set up pulling: out of memory");
    const struct puller_config pulls = {
        .base = a->base,
        .root_dir = a->cfg.root_dir,
        .images = a->images,
        .settings = order,
        .default_registry = getenv("ZLAYER_DEFAULT_REGISTRY"),
    };
    if (puller_new(&pulls, &a->puller, err) < 0)
        return -1;
    return a->make_runtime(a, &a->rt, err);
}

static int serve(struct agent *a, struct zl_error *err)
{
    int sock = agent_listen(a->cfg.socket, err);
    if (sock < 0)
        return -1;
    if (api_server_new(a->base, sock, &agent_ops, a, &a->api, err) < 0) {
        (void)close(sock); /* it is taken over on success only */
        return -1;
    }
    a->ready = true;
    if (a->cfg.ready_fd >= 0) {
        ssize_t n = write(a->cfg.ready_fd, "", 1);
        (void)n; /* whoever waited has gone: we serve all the same */
        (void)close(zl_take_fd(&a->cfg.ready_fd));
    }
    return 0;
}

int agent_start(struct agent *a, struct zl_error *err)
{
    static int (*const steps[])(struct agent *, struct zl_error *) = {
        make_base, open_folders, open_stores, make_parts, recover, serve,
    };
    a->root_fd = a->run_fd = a->lock_fd = a->root_lock_fd = -1;
    a->started_wall_ms = zl_wall_ms();
    for (size_t i = 0; i < ZL_ARRAY_LEN(steps); i++)
        if (steps[i](a, err) < 0)
            return -1;
    logs_sweep(a->root_fd);
    return 0;
}

void agent_stop(struct agent *a)
{
    api_server_free(a->api);
    a->api = NULL;
    image_tasks_free(a->image_tasks);
    waiters_free(a->waiters);
    runtime_free(a->rt);
    puller_free(a->puller);
    store_free(a->store);
    steps_free(a->steps);
    requests_free(a->requests);
    core_free(a->core);
    image_store_free(a->images);
    volumes_free(a->volumes);
    withheld_done(&a->withheld);
    if (a->base)
        event_base_free(a->base);
    zl_closep(&a->root_fd);
    zl_closep(&a->run_fd);
    zl_closep(&a->lock_fd);
    zl_closep(&a->root_lock_fd);
}
