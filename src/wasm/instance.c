// SPDX-License-Identifier: Apache-2.0
#include "wasm/instance.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#include "base/fd.h"
#include "wasm/component.h"
#include "wasm/error.h"
#include "wasm/wasi/abi.h"

enum { TEXT_MAX = 16 << 10, GRACE_S = 1 };

/* ---- time ---- */

/* What the handler of the alarm needs; there is one guest in a process. */
static struct {
    wasm_engine_t *engine;
    volatile sig_atomic_t expired;
} timing;

/* The epoch is counted up once, when time is over: nobody wakes an idle guest to count. A guest
 * that runs sees it at its next loop or call, one that waits is woken by the signal itself. The
 * signal comes again and again, for who enters a wait just when it came. Atomic addition: may be
 * done here. */
static void time_is_over(int signal)
{
    (void)signal;
    timing.expired = 1;
    if (timing.engine)
        wasmtime_engine_increment_epoch(timing.engine);
}

static void start_clock(const struct instance *i)
{
    struct sigaction act = { .sa_handler = time_is_over }; /* no SA_RESTART: waits end by EINTR */
    const struct itimerval after = {
        .it_value = { (time_t)(i->time_ms / 1000), (suseconds_t)(i->time_ms % 1000 * 1000) },
        .it_interval = { GRACE_S, 0 },
    };

    if (!i->time_ms)
        return;
    timing.engine = i->module->engine;
    (void)sigaction(SIGALRM, &act, NULL); /* cannot fail for SIGALRM */
    (void)setitimer(ITIMER_REAL, &after, NULL);
}

/* ---- the end ---- */

static _Noreturn void end(int report_fd, enum instance_end how, int code, const char *text,
                          size_t n)
{
    char packet[sizeof(struct instance_report) + TEXT_MAX];
    struct instance_report r = { .end = how, .length = (uint32_t)(n < TEXT_MAX ? n : TEXT_MAX) };

    if (n) {
        struct zl_error ignored;
        if (zl_write_all(2, text, n, "stderr", &ignored) == 0)
            (void)zl_write_all(2, "\n", 1, "stderr", &ignored);
    }
    if (report_fd >= 0 && how != INSTANCE_EXITED) {
        memcpy(packet, &r, sizeof r);
        memcpy(packet + sizeof r, text, r.length);
        ssize_t sent = write(report_fd, packet, sizeof r + r.length);
        (void)sent; /* who wanted to know is gone */
    }
    _exit(code);
}

static _Noreturn void end_broken(int report_fd, const struct zl_error *why)
{
    end(report_fd, INSTANCE_FAILED, INSTANCE_BROKEN, why->msg, strlen(why->msg));
}

static _Noreturn void end_trapped(int report_fd, wasm_trap_t *trap)
{
    zl_autobuf struct zl_buf text = ZL_BUF(TEXT_MAX);
    enum instance_end how = wasm_trap_is_interrupt(trap) ? INSTANCE_TIMEOUT : INSTANCE_TRAP;

    wasm_trap_text_consume(trap, &text);
    end(report_fd, how, INSTANCE_TRAPPED, text.data, text.len);
}

static _Noreturn void end_failed(int report_fd, wasmtime_error_t *failed, const char *act)
{
    struct zl_error err;

    (void)wasm_fail_consume(failed, &err, "%s", act);
    end_broken(report_fd, &err);
}

/* An engine's error at a call is a trap in other clothes: a heap of objects that is full, say. */
static _Noreturn void end_in_call(int report_fd, wasmtime_error_t *failed)
{
    zl_autobuf struct zl_buf text = ZL_BUF(TEXT_MAX);

    wasm_error_text_consume(failed, &text);
    end(report_fd, INSTANCE_TRAP, INSTANCE_TRAPPED, text.data, text.len);
}

/* What does not fit in an exit status is not 0 by accident, as proc_exit has it. */
static int status_of(int32_t code)
{
    return code < 0 || code > 255 ? 255 : code;
}

/* ---- main's arguments ---- */

/* The guest's memory grows by the pages that argv needs: behind its end nothing of it can be. 0 and
 * no arguments when it cannot. */
static void place_args(const struct wasi *w, wasmtime_context_t *context, int32_t *ret_argc,
                       int32_t *ret_argv)
{
    enum { PAGE = 64 << 10 };
    uint64_t before, bytes = sizeof(uint32_t);
    uint32_t argc = 0;

    for (; w->argv[argc]; argc++)
        bytes += sizeof(uint32_t) + strlen(w->argv[argc]) + 1;
    wasmtime_error_t *failed =
        wasmtime_memory_grow(context, &w->memory, (bytes + PAGE - 1) / PAGE, &before);
    if (failed) {
        wasmtime_error_delete(failed);
        return;
    }
    uint8_t *base = wasmtime_memory_data(context, &w->memory);
    uint32_t at = (uint32_t)(before * PAGE), text = at + (argc + 1) * (uint32_t)sizeof(uint32_t);
    for (uint32_t i = 0; i < argc; i++) {
        size_t size = strlen(w->argv[i]) + 1;
        memcpy(base + at + i * sizeof text, &text, sizeof text);
        memcpy(base + text, w->argv[i], size);
        text += (uint32_t)size;
    }
    *ret_argc = (int32_t)argc;
    *ret_argv = (int32_t)at;
}

/* ---- a core module ---- */

struct instance_ready {
    const struct instance *i;
    struct wasi wasi;
    wasmtime_store_t *store;
    wasmtime_context_t *context;
    wasmtime_instance_t instance;
    bool instantiated;
    wasmtime_error_t *failed; /* of what was done ahead */
    wasm_trap_t *trap;
    struct zl_error err; /* kind ZL_OK: none */
    int report_fd;
};

/* The guest goes on without what it asked for; its log says why. */
static void memory_refused(uint64_t bytes)
{
    static bool told;

    if (told)
        return;
    told = true;
    (void)dprintf(
        2, "zlayer: memory.grow to %" PRIu64 " bytes was refused: it would be over the limit\n",
        bytes);
}

static void limit_store(struct instance_ready *r)
{
    const struct instance *i = r->i;

    zl_store_limit(r->store, i->max_memory, i->max_tables, memory_refused, i->linear_bytes);
    if (i->module->variant & WASM_FUEL)
        r->failed = wasmtime_context_set_fuel(r->context, i->max_fuel ? i->max_fuel : UINT64_MAX);
    if (i->module->variant & WASM_EPOCHS)
        wasmtime_context_set_epoch_deadline(r->context, 1);
}

static void find_memory(struct instance_ready *r)
{
    wasmtime_extern_t item;

    if (wasmtime_instance_export_get(r->context, &r->instance, "memory", strlen("memory"), &item) &&
        item.kind == WASMTIME_EXTERN_MEMORY) {
        r->wasi.memory = item.of.memory;
        r->wasi.has_memory = true;
    }
}

static void instantiate(struct instance_ready *r)
{
    r->failed =
        wasmtime_instance_pre_instantiate(r->i->module->pre, r->context, &r->instance, &r->trap);
    r->instantiated = !r->failed && !r->trap;
    if (r->instantiated)
        find_memory(r);
}

static _Noreturn void call_entry(struct instance_ready *r)
{
    static const char *const names[] = { [ENTRY_START] = "_start",
                                         [ENTRY_MAIN] = "main",
                                         [ENTRY_MAIN_CODE] = "main",
                                         [ENTRY_MAIN_ARGS] = "main" };
    enum module_entry entry = r->i->module->entry;
    wasmtime_val_raw_t values[2] = { 0 };
    wasmtime_extern_t item;
    wasm_trap_t *trap = NULL;
    const char *name = names[entry];

    if (!wasmtime_instance_export_get(r->context, &r->instance, name, strlen(name), &item))
        abort(); /* it was there when the module was loaded */
    if (entry == ENTRY_MAIN_ARGS && r->wasi.has_memory)
        place_args(&r->wasi, r->context, &values[0].i32, &values[1].i32);
    wasmtime_error_t *failed = wasmtime_func_call_unchecked(r->context, &item.of.func, values,
                                                            ZL_ARRAY_LEN(values), &trap);
    if (trap)
        end_trapped(r->report_fd, trap);
    if (failed)
        end_in_call(r->report_fd, failed);
    bool has_code = entry == ENTRY_MAIN_CODE || entry == ENTRY_MAIN_ARGS;
    end(r->report_fd, INSTANCE_EXITED, has_code ? status_of(values[0].i32) : 0, NULL, 0);
}

static void prepare_core(struct instance_ready *r)
{
    const struct module *m = r->i->module;

    r->store = wasmtime_store_new(m->engine, &r->wasi, NULL);
    r->context = wasmtime_store_context(r->store);
    if (wasi_init(&r->wasi, &r->i->wasi, &timing.expired, &r->err) < 0)
        return;
    limit_store(r);
    if (!r->failed && !m->has_start)
        instantiate(r);
}

static _Noreturn void run_core(struct instance_ready *r)
{
    if (r->err.kind != ZL_OK)
        end_broken(r->report_fd, &r->err);
    start_clock(r->i);
    if (!r->instantiated && !r->failed && !r->trap)
        instantiate(r);
    if (r->trap)
        end_trapped(r->report_fd, r->trap);
    if (r->failed)
        end_failed(r->report_fd, r->failed, "instantiate the module");
    call_entry(r);
}

/* ---- a component ---- */

static _Noreturn void run_component(const struct instance *i, int report_fd)
{
    zl_autobuf struct zl_buf text = ZL_BUF(TEXT_MAX);
    wasmtime_error_t *failed;
    int code = 0;

    start_clock(i);
    if (i->module->entry == ENTRY_HTTP)
        failed = component_serve(i);
    else
        failed = zl_component_run(i->component, &code);
    if (!failed || wasmtime_error_exit_status(failed, &code))
        end(report_fd, INSTANCE_EXITED, code & 0xff, NULL, 0);
    wasm_error_text_consume(failed, &text);
    end(report_fd, timing.expired ? INSTANCE_TIMEOUT : INSTANCE_TRAP, INSTANCE_TRAPPED, text.data,
        text.len);
}

struct instance_ready *instance_prepare(const struct instance *i)
{
    struct instance_ready *r = calloc(1, sizeof *r);

    if (!r)
        abort(); /* a few hundred bytes in a process that has just begun */
    r->i = i;
    if (!i->module->component)
        prepare_core(r);
    return r;
}

void instance_run(struct instance_ready *r, int report_fd)
{
    r->report_fd = report_fd;
    if (r->i->module->component)
        run_component(r->i, report_fd);
    run_core(r);
}
