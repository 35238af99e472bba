// SPDX-License-Identifier: Apache-2.0
/* What a component gets, of which its instance knows. */
#include "wasm/component.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/fd.h"
#include "wasm/error.h"
#include "wasm/instance.h"

enum { TEXT_MAX = 16 << 10 };

struct wishes { /* lives as long as the process */
    const struct instance *i;
    const char *const *allowed_hosts; /* NULL, empty: all */
    bool outgoing_http;
    bool network, incomplete;
    size_t n_args, n_env;
    const char **args;
    const char **names, **values; /* of the environment */
    pthread_mutex_t lock;
    pthread_cond_t begun;
    unsigned running; /* requests, under lock */
};

static size_t count(const char *const *v)
{
    size_t n = 0;
    while (v[n])
        n++;
    return n;
}

/* The engine wants arrays that it might write to. */
static int copy_args(struct wishes *w, const char *const *argv)
{
    w->n_args = count(argv);
    w->args = calloc(w->n_args + 1, sizeof *w->args);
    for (size_t i = 0; w->args && i < w->n_args; i++)
        w->args[i] = argv[i];
    return w->args ? 0 : -1;
}

static int split_env(struct wishes *w, const char *const *env)
{
    size_t n = count(env);

    w->names = calloc(n + 1, sizeof *w->names);
    w->values = calloc(n + 1, sizeof *w->values);
    if (!w->names || !w->values)
        return -1;
    for (size_t i = 0; i < n; i++) {
        char *copy = strdup(env[i]), *eq = copy ? strchr(copy, '=') : NULL;
        if (!copy)
            return -1;
        if (!eq) { /* no variable */
            free(copy);
            continue;
        }
        *eq = '\0';
        w->names[w->n_env] = copy; /* until the end of the process */
        w->values[w->n_env++] = eq + 1;
    }
    return 0;
}

static void add_folders(struct wishes *w, wasi_config_t *config)
{
    for (size_t i = 0; i < w->i->wasi.n_preopens; i++) {
        const struct wasi_preopen *p = &w->i->wasi.preopens[i];
        char path[32];
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", p->fd);
        if (!wasi_config_preopen_dir(config, path, p->name, !p->readonly))
            w->incomplete = true;
    }
}

static wasi_config_t *make_config(void *arg, bool with_folders)
{
    struct wishes *w = arg;
    wasi_config_t *config = wasi_config_new();

    wasi_config_inherit_stdin(config);
    wasi_config_inherit_stdout(config);
    wasi_config_inherit_stderr(config);
    if (w->network) { /* of its own namespace: what is there is what the service may reach */
        wasi_config_inherit_network(config);
        wasi_config_allow_ip_name_lookup(config, true);
    }
    bool whole = wasi_config_set_argv(config, w->n_args, w->args) &&
                 wasi_config_set_env(config, w->n_env, w->names, w->values);
    if (with_folders) {
        w->incomplete = !whole;
        add_folders(w, config);
    }
    return config;
}

/* One line on the log for each: a request's end is not the service's. */
static void request_failed(void *arg, wasmtime_error_t *failed)
{
    zl_autobuf struct zl_buf text = ZL_BUF(TEXT_MAX);

    (void)arg;
    wasm_error_text_consume(failed, &text);
    zl_buf_addc(&text, '\n');
    if (!text.failed)
        (void)zl_write_all(2, text.data, text.len, "stderr", NULL); /* else nobody reads it */
}

/* ---- requests that go out ---- */

/* entry: "host" or "host:port" */
static bool is_entry(const char *entry, const char *host, size_t n, uint16_t port)
{
    char text[8];

    if (strncasecmp(entry, host, n) != 0)
        return false;
    (void)snprintf(text, sizeof text, ":%u", port);
    return entry[n] == '\0' || strcmp(entry + n, text) == 0;
}

static bool may_ask(void *arg, const char *host, size_t n, uint16_t port)
{
    const struct wishes *w = arg;
    const char *const *allowed = w->allowed_hosts;

    if (!w->outgoing_http)
        return false;
    for (size_t i = 0; allowed && allowed[i]; i++)
        if (is_entry(allowed[i], host, n, port))
            return true;
    return !allowed || !*allowed;
}

/* ---- the time of requests that come in ---- */

static void busy(void *arg, bool begins)
{
    struct wishes *w = arg;

    (void)pthread_mutex_lock(&w->lock); /* fails only for who has it */
    w->running = begins ? w->running + 1 : w->running - 1;
    if (begins)
        (void)pthread_cond_signal(&w->begun);
    (void)pthread_mutex_unlock(&w->lock);
}

/* The epoch goes on while requests run, and only then: an idle service wakes nobody. */
static void *tick(void *arg)
{
    const struct timespec pause = { 0, ZL_COMPONENT_TICK_MS * 1000 * 1000 };
    struct wishes *w = arg;

    for (;;) {
        (void)pthread_mutex_lock(&w->lock);
        while (!w->running)
            (void)pthread_cond_wait(&w->begun, &w->lock);
        (void)pthread_mutex_unlock(&w->lock);
        (void)nanosleep(&pause, NULL); /* a signal makes one of them shorter */
        wasmtime_engine_increment_epoch(w->i->module->engine);
    }
    return NULL;
}

wasmtime_error_t *component_serve(const struct instance *i)
{
    pthread_t ticker;

    if (!i->wasi.n_sockets)
        return wasmtime_error_new(
            "a service of wasi:http/incoming-handler needs an endpoint to listen on");
    for (size_t k = 0; k < i->wasi.n_sockets; k++)
        if (fcntl(i->wasi.sockets[k], F_SETFL, O_NONBLOCK) < 0)
            return wasmtime_error_new("a socket of its endpoints cannot be made non-blocking");
    if (pthread_create(&ticker, NULL, tick, i->wishes) != 0)
        return wasmtime_error_new("no thread can be made that counts the time of requests");
    return zl_component_serve(i->component, i->wasi.sockets, i->wasi.n_sockets);
}

int component_compile(wasm_engine_t *engine, const void *bytes, size_t n, wasm_byte_vec_t *ret,
                      struct zl_error *err)
{
    wasmtime_component_t *component;
    wasmtime_error_t *failed = wasmtime_component_new(engine, bytes, n, &component);

    if (!failed) {
        failed = wasmtime_component_serialize(component, ret);
        wasmtime_component_delete(component);
    }
    return failed ? wasm_fail_consume(failed, err, "compile") : 0;
}

static struct wishes *wishes_new(const struct instance *i, const struct component_terms *terms)
{
    struct wishes *w = calloc(1, sizeof *w);

    if (!w || copy_args(w, i->wasi.argv) < 0 || split_env(w, i->wasi.env) < 0)
        return NULL; /* the process ends without it */
    w->i = i;
    w->network = terms->tcp || terms->udp;
    w->allowed_hosts = terms->allowed_hosts;
    w->outgoing_http = terms->outgoing_http;
    (void)pthread_mutex_init(&w->lock, NULL); /* these two cannot fail */
    (void)pthread_cond_init(&w->begun, NULL);
    return w;
}

int component_prepare(struct instance *i, const struct component_terms *terms, struct zl_error *err)
{
    struct wishes *w = wishes_new(i, terms);

    if (!w)
        return zl_fail_errno(err, "prepare the component");
    const struct zl_component_how how = {
        .config = make_config,
        .failed = request_failed,
        .may_ask = may_ask,
        .busy = busy,
        .arg = w,
        .tcp = terms->tcp,
        .udp = terms->udp,
        .max_memory = i->max_memory,
        .max_tables = i->max_tables,
        .fuel = i->max_fuel,
        .request_timeout_ms =
            terms->request_timeout_ms && terms->request_timeout_ms < ZL_COMPONENT_NO_TIMEOUT
                ? terms->request_timeout_ms
                : ZL_COMPONENT_NO_TIMEOUT,
        .max_requests = terms->max_requests ? terms->max_requests : 1,
        .counter = i->linear_bytes,
    };
    i->wishes = w;
    i->component = zl_component_prepare(i->module->component, &how);
    if (w->incomplete)
        return zl_fail(err, ZL_ERR_INVALID,
                       "an argument, a variable or the name of a folder is not UTF-8");
    return 0;
}
