// SPDX-License-Identifier: Apache-2.0
/*
 * What a guest is given: folders of the host as descriptors, listening sockets, a terminal. A
 * folder is a mount of its own that is nowhere attached, with the flags that the plan asks for, so
 * the kernel refuses what read-only means, whoever holds the descriptor.
 */
#ifndef ZL_WASM_GIVE_H
#define ZL_WASM_GIVE_H

#include "monitor/wasm.h"
#include "sandbox/plan.h"
#include "wasm/wasi/wasi.h"

enum { GIVEN_MAX = 128 };
struct given {
    struct wasi_preopen folders[GIVEN_MAX]; /* names are the plan's */
    size_t n_folders;
    int sockets[GIVEN_MAX];
    size_t n_sockets;
};

/* Of the plan's mounts: binds and tmpfs, in their order. INVALID: what is no folder. */
int give_folders(struct given *g, const struct plan *plan, struct zl_error *err);
/* Listens in the network namespace that we are in. */
int give_socket(struct given *g, const struct wasm_listen *where, struct zl_error *err);
void given_close(struct given *g);

/* A new terminal as stdio; its master goes to whoever holds the other end of `console`. -1 and
 * errno. */
int give_terminal(int console, int ret_stdio[3]);

#endif
