// SPDX-License-Identifier: Apache-2.0
/* zlayerd: settings and signals around the agent, with the native runtime. */
#include <errno.h>
#include <event2/event.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "agent/agent.h"
#include "base/stdfds.h"
#include "runtime/composite.h"
#include "runtime/native.h"
#include "runtime/wasm.h"

enum { EXIT_USAGE = 2 };

static void on_end_signal(int signal, short what, void *arg)
{
    struct agent *a = arg;
    (void)what;
    zl_log(ZL_LOG_INFO, "%s: the agent ends, containers go on", strsignal(signal));
    (void)event_base_loopbreak(a->base); /* fails only without a base */
}

/* A build without WebAssembly says so to whoever deploys a module, and runs everything else. */
static int make_runtimes(struct agent *a, struct runtime **ret, struct zl_error *err)
{
    const struct native_config common = {
        .base = a->base,
        .root_dir = a->cfg.root_dir,
        .run_dir = a->cfg.run_dir,
        .cgroup_parent = a->cfg.cgroup_parent,
        .owner = "agent",
        .images = a->images,
    };
    const struct wasm_config guests = {
        .cache_dir = a->cfg.wasm.cache_dir,
        .disable_epochs = !a->cfg.wasm.enable_epochs,
        .epoch_deadline = a->cfg.wasm.epoch_deadline,
        .max_execution_ms = a->cfg.wasm.max_execution_ms,
        .unlimited = a->cfg.wasm.max_execution_ms == 0,
    };
    struct zl_error why = { 0 };
    struct runtime *native = NULL, *wasm = NULL;
    if (native_new(&common, &native, err) < 0)
        return -1;
    if (wasm_new(&common, &guests, &wasm, &why) < 0)
        zl_log_error(ZL_LOG_INFO, &why, "WebAssembly modules cannot be run");
    return composite_new(a->base, a->images, a->puller, native, wasm, why.msg, ret, err);
}

static int run(struct agent *a)
{
    static const int ends[] = { SIGTERM, SIGINT, SIGHUP };
    struct event *signals[ZL_ARRAY_LEN(ends)] = { 0 };
    struct zl_error err = { 0 };
    int code = 1;
    if (agent_start(a, &err) < 0) {
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
    agent_stop(a);
    return code;
}

/* Two descriptors a container, and what a shell gives is 1,024. What containers may have is in
 * their config.json; nothing here uses select(2). */
static void allow_descriptors(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &files) == 0)
            return;
    }
    zl_log(ZL_LOG_WARN, "raise the limit of open files: %s; it may be too low for many containers",
           strerror(errno));
}

int main(int argc, char **argv)
{
    static struct agent a = { .make_runtime = make_runtimes };
    struct zl_error err = { 0 };

    if (zl_fill_standard_fds(&err) < 0) {
        zl_log_error(ZL_LOG_ERROR, &err, "begin");
        return EXIT_FAILURE;
    }
    a.variables = (const char *const *)environ;
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
        zl_log(ZL_LOG_WARN, "change to '/': %s; the working directory stays in use",
               strerror(errno));
    allow_descriptors();
    int code = run(&a);
    agent_config_done(&a.cfg);
    return code;
}
