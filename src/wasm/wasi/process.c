// SPDX-License-Identifier: Apache-2.0
/* What concerns the guest as a process: arguments, environment, clocks, random bytes, its end. */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "wasm/wasi/abi.h"
#include "wasm/wasi/wasi.h"

/* ---- lists of texts ---- */

static uint32_t put_sizes(struct wasi *w, const char *const *list, uint32_t count_at,
                          uint32_t bytes_at)
{
    uint32_t n = 0, bytes = 0;

    for (; list[n]; n++)
        bytes += (uint32_t)strlen(list[n]) + 1;
    uint32_t rc = wasi_put_u32(w, count_at, n);
    return rc ? rc : wasi_put_u32(w, bytes_at, bytes);
}

static uint32_t put_texts(struct wasi *w, const char *const *list, uint32_t pointers,
                          uint32_t bytes)
{
    uint32_t rc = WASI_OK;

    for (uint32_t i = 0; list[i] && !rc; i++) {
        uint32_t size = (uint32_t)strlen(list[i]) + 1;
        rc = wasi_put_u32(w, pointers, bytes);
        rc = rc ? rc : wasi_put(w, bytes, list[i], size);
        pointers += (uint32_t)sizeof(uint32_t);
        bytes += size;
    }
    return rc;
}

static uint32_t args_sizes_get(struct wasi *w, const wasmtime_val_raw_t *a)
{
    return put_sizes(w, w->argv, (uint32_t)a[0].i32, (uint32_t)a[1].i32);
}

static uint32_t args_get(struct wasi *w, const wasmtime_val_raw_t *a)
{
    return put_texts(w, w->argv, (uint32_t)a[0].i32, (uint32_t)a[1].i32);
}

static uint32_t environ_sizes_get(struct wasi *w, const wasmtime_val_raw_t *a)
{
    return put_sizes(w, w->env, (uint32_t)a[0].i32, (uint32_t)a[1].i32);
}

static uint32_t environ_get(struct wasi *w, const wasmtime_val_raw_t *a)
{
    return put_texts(w, w->env, (uint32_t)a[0].i32, (uint32_t)a[1].i32);
}

/* ---- clocks ---- */

static const clockid_t clocks[WASI_CLOCKS] = {
    [WASI_REALTIME] = CLOCK_REALTIME,
    [WASI_MONOTONIC] = CLOCK_MONOTONIC,
    [WASI_PROCESS_CPUTIME] = CLOCK_PROCESS_CPUTIME_ID, /* the process is the guest's */
    [WASI_THREAD_CPUTIME] = CLOCK_THREAD_CPUTIME_ID,
};

static uint32_t read_clock(struct wasi *w, uint32_t id, int (*get)(clockid_t, struct timespec *),
                           uint32_t at)
{
    struct timespec t;

    if (id >= WASI_CLOCKS)
        return WASI_EINVAL;
    if (get(clocks[id], &t) < 0)
        return wasi_errno_of(errno);
    return wasi_put_u64(w, at, (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec);
}

static uint32_t clock_res_get_(struct wasi *w, const wasmtime_val_raw_t *a)
{
    return read_clock(w, (uint32_t)a[0].i32, clock_getres, (uint32_t)a[1].i32);
}

static uint32_t clock_time_get_(struct wasi *w, const wasmtime_val_raw_t *a)
{
    return read_clock(w, (uint32_t)a[0].i32, clock_gettime, (uint32_t)a[2].i32);
}

/* ---- the rest ---- */

static uint32_t random_get(struct wasi *w, const wasmtime_val_raw_t *a)
{
    size_t left = (uint32_t)a[1].i32;
    char *to = wasi_at(w, (uint32_t)a[0].i32, left);

    if (!to)
        return WASI_TRAPS;
    while (left) {
        ssize_t n = getrandom(to, left, 0);
        uint32_t rc = n < 0 ? wasi_failed(w) : WASI_OK;
        if (rc)
            return rc;
        if (n > 0) {
            to += n;
            left -= (size_t)n;
        }
    }
    return WASI_OK;
}

static uint32_t sched_yield_(struct wasi *w, const wasmtime_val_raw_t *a)
{
    (void)w;
    (void)a;
    (void)sched_yield(); /* cannot fail on Linux */
    return WASI_OK;
}

/* There is nothing to unwind: the process is the guest's. What does not fit in an exit status is
 * not 0 by accident. */
static uint32_t proc_exit(struct wasi *w, const wasmtime_val_raw_t *a)
{
    uint32_t code = (uint32_t)a[0].i32;

    (void)w;
    _exit(code > 255 ? 255 : (int)code);
}

static uint32_t proc_raise(struct wasi *w, const wasmtime_val_raw_t *a)
{
    (void)w;
    (void)a;
    return WASI_ENOTSUP; /* as wasmtime-wasi: a guest has no signals */
}

const struct wasi_function wasi_process_functions[] = {
    { "args_get", "ii", args_get },
    { "args_sizes_get", "ii", args_sizes_get },
    { "environ_get", "ii", environ_get },
    { "environ_sizes_get", "ii", environ_sizes_get },
    { "clock_res_get", "ii", clock_res_get_ },
    { "clock_time_get", "iIi", clock_time_get_ },
    { "random_get", "ii", random_get },
    { "sched_yield", "", sched_yield_ },
    { "proc_exit", "i!", proc_exit },
    { "proc_raise", "i", proc_raise },
    { NULL, NULL, NULL },
};
