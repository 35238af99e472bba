// SPDX-License-Identifier: Apache-2.0
/*
 * zlayerd. Built up in the order in which the parts need each other, taken down in reverse. There
 * is no orderly shutdown to rely on: ending and being killed leave the same state behind.
 */
#include <event2/event.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/agent.h"
#include "agent/listen.h"
#include "base/clock.h"
#include "base/fd.h"
#include "runtime/native.h"

enum { EXIT_USAGE = 2 };

static void on_end_signal(int signal, short what, void *arg)
{
    struct agent *a = arg;
    (void)what;
    zl_log(ZL_LOG_INFO, "%s: the agent ends, containers go on", strsignal(signal));
    (void)event_base_loopbreak(a->base); /* fails only without a base */
}

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
    a->lock_fd = agent_lock(a->run_fd, err);
    return a->lock_fd < 0 ? -1 : 0;
}

static int open_stores(struct agent *a, struct zl_error *err)
{
    if (store_open(a->cfg.root_dir, &a->store, err) < 0)
        return -1;
    return image_store_open(a->root_fd, &a->images, err);
}

static int make_parts(struct agent *a, struct zl_error *err)
{
    const struct native_config native = {
        .base = a->base,
        .root_dir = a->cfg.root_dir,
        .run_dir = a->cfg.run_dir,
        .cgroup_parent = a->cfg.cgroup_parent,
        .owner = "agent",
        .images = a->images,
    };
    a->core = core_new(NULL);
    if (!a->core)
        return zl_fail(err, ZL_ERR_SYSTEM, "make the core: out of memory");
    if (waiters_new(a, &a->waiters, err) < 0 || imports_new(a, &a->imports, err) < 0 ||
        dispatch_new(a, &a->dispatch, err) < 0)
        return -1;
    return native_new(&native, &a->rt, err);
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

static int start(struct agent *a, struct zl_error *err)
{
    static int (*const steps[])(struct agent *, struct zl_error *) = {
        make_base, open_folders, open_stores, make_parts, recover, serve,
    };
    for (size_t i = 0; i < ZL_ARRAY_LEN(steps); i++)
        if (steps[i](a, err) < 0)
            return -1;
    return 0;
}

static void take_down(struct agent *a)
{
    api_server_free(a->api);
    a->api = NULL;
    imports_free(a->imports);
    waiters_free(a->waiters);
    runtime_free(a->rt);
    store_free(a->store);
    dispatch_free(a->dispatch);
    core_free(a->core);
    image_store_free(a->images);
    if (a->base)
        event_base_free(a->base);
    zl_closep(&a->root_fd);
    zl_closep(&a->run_fd);
    zl_closep(&a->lock_fd);
}

static int run(struct agent *a)
{
    static const int ends[] = { SIGTERM, SIGINT, SIGHUP };
    struct event *signals[ZL_ARRAY_LEN(ends)] = { 0 };
    struct zl_error err = { 0 };
    int code = 1;
    if (start(a, &err) < 0) {
        zl_log_error(ZL_LOG_ERROR, &err, "start the agent");
    } else {
        for (size_t i = 0; i < ZL_ARRAY_LEN(ends); i++) {
            signals[i] = evsignal_new(a->base, ends[i], on_end_signal, a);
            if (signals[i])
                (void)evsignal_add(signals[i], NULL); /* without it the signal just ends us */
        }
        zl_log(ZL_LOG_INFO, "serving on %s", a->cfg.socket);
        code = event_base_dispatch(a->base) >= 0 && !a->failed ? 0 : 1;
    }
    for (size_t i = 0; i < ZL_ARRAY_LEN(ends); i++)
        if (signals[i])
            event_free(signals[i]);
    take_down(a);
    return code;
}

int main(int argc, char **argv)
{
    static struct agent a = { .root_fd = -1, .run_fd = -1, .lock_fd = -1 };
    struct zl_error err = { 0 };

    /* Two threads that rarely allocate at the same time need no arena each, and what a burst of
     * requests took goes back to the system. */
    (void)mallopt(M_ARENA_MAX, 1);
    (void)mallopt(M_TRIM_THRESHOLD, 64 * 1024);
    (void)mallopt(M_MMAP_THRESHOLD, 64 * 1024);
    (void)umask(022); /* directories that container users must pass get the mode they ask for */
    (void)signal(SIGPIPE, SIG_IGN); /* a client that went away is an EPIPE */
    zl_log_init("zlayerd", ZL_LOG_INFO, ZL_LOG_AUTO);
    if (agent_config_read(argc, argv, &a.cfg, &err) < 0) {
        zl_log_error(ZL_LOG_ERROR, &err, "read the settings");
        agent_config_done(&a.cfg);
        return err.kind == ZL_ERR_SYSTEM ? 1 : EXIT_USAGE;
    }
    if (a.cfg.help || a.cfg.version) {
        if (a.cfg.help)
            agent_config_help();
        else
            (void)printf("zlayerd " ZL_VERSION "\n");
        agent_config_done(&a.cfg);
        return 0;
    }
    zl_log_init("zlayerd", a.cfg.log_level, ZL_LOG_AUTO);
    if (chdir("/") < 0)
        zl_log(ZL_LOG_WARN, "change to '/': the working directory stays in use");
    a.started_wall_ms = zl_wall_ms();
    int code = run(&a);
    agent_config_done(&a.cfg);
    return code;
}
