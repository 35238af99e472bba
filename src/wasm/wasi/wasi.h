// SPDX-License-Identifier: Apache-2.0
/*
 * WASI preview 1 for one guest, as plain synchronous system calls: the process belongs to the guest
 * alone, so nothing here needs a loop or a thread. Paths are resolved by openat2(2) with
 * RESOLVE_BENEATH below a descriptor that the guest was given, so neither ".." nor a symlink leads
 * out of it, whoever renames what meanwhile.
 *
 * One struct wasi a store, reached by the store's data pointer; the functions themselves are
 * defined once a linker (wasi_define), before the fork. Behaviour where the WASI documents are
 * silent is wasmtime-wasi's; where ours differs the function says so.
 */
#ifndef ZL_WASM_WASI_WASI_H
#define ZL_WASM_WASI_WASI_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <wasmtime.h>

#include "base/error.h"

enum wasi_kind { WASI_FREE, WASI_STDIO, WASI_FILE, WASI_DIR, WASI_SOCKET };
struct wasi_fd {
    enum wasi_kind kind;
    int fd;              /* of this process */
    bool readonly;       /* DIR: nothing below it is written; FILE: it is below such a one */
    const char *preopen; /* DIR: the guest's name of it; NULL: it was opened by the guest */
};

struct wasi_preopen {
    int fd;
    const char *name; /* as the guest sees it: "/data" */
    bool readonly;
};

struct wasi_config {                      /* all borrowed, for as long as the guest runs */
    const char *const *argv, *const *env; /* NULL-terminated */
    const struct wasi_preopen *preopens;  /* become 3 … 2 + n_preopens */
    size_t n_preopens;
    const int *sockets; /* listening, after the preopens */
    size_t n_sockets;
};

struct wasi {
    const char *const *argv, *const *env;
    struct wasi_fd *fds; /* the guest's descriptor is the index */
    size_t n_fds;
    const volatile sig_atomic_t *expired; /* set by a signal: the guest's time is over */

    wasmtime_memory_t memory;
    bool has_memory;
    /* Of the call that runs; it may move with the next one. */
    uint8_t *base;
    size_t size;
    const char *trap; /* the call ends the guest with these words; NULL: it returns */
};

/* Descriptors 0, 1 and 2 of the process become the guest's. */
int wasi_init(struct wasi *w, const struct wasi_config *c, const volatile sig_atomic_t *expired,
              struct zl_error *err);
void wasi_done(struct wasi *w); /* closes what the guest opened or was given, but stdio */

/* Defines all functions of wasi_snapshot_preview1 in the linker. */
int wasi_define(wasmtime_linker_t *linker, struct zl_error *err);

/* ---- inside ---- */

/* One function: its name, its parameters ('i' i32, 'I' i64; '!': no result), what it does. The
 * answer is an errno, or WASI_TRAPS with w->trap set. */
enum { WASI_TRAPS = 0x10000 };
typedef uint32_t (*wasi_fn)(struct wasi *w, const wasmtime_val_raw_t *a);
struct wasi_function {
    const char *name, *params;
    wasi_fn call;
};
/* Each ends with a row without a name. */
extern const struct wasi_function
    wasi_process_functions[]; /* args, environ, clocks, proc, random */
extern const struct wasi_function wasi_io_functions[];
extern const struct wasi_function wasi_stat_functions[];
extern const struct wasi_function wasi_dir_functions[];
extern const struct wasi_function wasi_path_functions[];
extern const struct wasi_function wasi_poll_functions[];
extern const struct wasi_function wasi_sock_functions[];

/* table.c: NULL and *ret_errno (WASI_EBADF) when there is none of that kind. */
struct wasi_fd *wasi_find(struct wasi *w, uint32_t fd);
struct wasi_fd *wasi_find_kind(struct wasi *w, uint32_t fd, enum wasi_kind kind);
/* Whether it can be read or written at all: a terminal or /dev/null may be open for both, a guest's
 * stdio goes one way. What files are open for the kernel knows. */
static inline bool wasi_goes(const struct wasi_fd *f, bool written)
{
    return f->kind != WASI_STDIO || written == (f->fd != 0);
}
/* The lowest free one; takes host_fd over, also on failure. */
uint32_t wasi_add(struct wasi *w, enum wasi_kind kind, int host_fd, bool readonly, uint32_t *ret);
/* Closes the host's descriptor, unless it is one of stdio; the number is free again. */
void wasi_drop(struct wasi_fd *f);

uint32_t wasi_errno_of(int host_errno);
/* After a failed system call: 0 try again (a signal came that means nothing), else what to answer.
 */
uint32_t wasi_failed(struct wasi *w);

/* n bytes of guest memory at ptr, or NULL: the guest traps, as the witx documents ask. */
void *wasi_at(struct wasi *w, uint32_t ptr, uint64_t n);
/* Copies a result out; WASI_OK or WASI_TRAPS. */
uint32_t wasi_put(struct wasi *w, uint32_t ptr, const void *bytes, size_t n);
static inline uint32_t wasi_put_u32(struct wasi *w, uint32_t ptr, uint32_t v)
{
    return wasi_put(w, ptr, &v, sizeof v);
}
static inline uint32_t wasi_put_u64(struct wasi *w, uint32_t ptr, uint64_t v)
{
    return wasi_put(w, ptr, &v, sizeof v);
}

enum { WASI_IOV_MAX = 1024 };
struct iovec;
/* The guest's list of n buffers as ours, at most WASI_IOV_MAX of them: who reads or writes less
 * than asked is within the contract. */
uint32_t wasi_iovecs(struct wasi *w, uint32_t ptr, uint32_t n, struct iovec *out, int *ret_n);

/* path.c: a path of the guest, NUL-terminated. */
enum { WASI_PATH_MAX = 4096 };
uint32_t wasi_path(struct wasi *w, uint32_t ptr, uint32_t n, char out[WASI_PATH_MAX]);
/* openat2 below dir; -1 and errno, where EXDEV means that it led out. */
int wasi_open_beneath(int dir, const char *path, uint64_t flags, uint64_t mode);
/* stat.c */
uint8_t wasi_filetype(uint32_t st_mode);
struct timespec;
/* false: both "set" and "now" */
bool wasi_times(uint64_t atim, uint64_t mtim, uint32_t flags, struct timespec out[2]);
struct stat;
void wasi_fill_filestat(const struct stat *st, void *out);

#endif
