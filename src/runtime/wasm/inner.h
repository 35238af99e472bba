// SPDX-License-Identifier: Apache-2.0
/* The parts of the wasm runtime among themselves. */
#ifndef ZL_RUNTIME_WASM_INNER_H
#define ZL_RUNTIME_WASM_INNER_H

#include <jansson.h>

#include "monitor/wasm.h"
#include "runtime/native/inner.h"
#include "runtime/wasm.h"

/* host.c: the connection to `zlayer-wasm host`, which is started when it is not there. */
struct wasm_host;
int wasm_host_new(struct event_base *base, const char *run_dir, const char *cache_dir,
                  const char *cgroup_parent, struct wasm_host **ret, struct zl_error *err);
void wasm_host_free(struct wasm_host *h);

/* m: the answer (its fd is the callee's), or NULL and why. Once, never from inside wasm_host_ask.
 */
typedef void (*wasm_answer_fn)(void *arg, const struct mon_message *m, struct zl_error *why);
struct wasm_question;
/* MON_WASM_PREPARE with the module's bytes, or MON_WASM_TAKE with -1. bytes_fd stays the caller's.
 */
struct wasm_question *wasm_host_ask(struct wasm_host *h, enum mon_wasm_type type,
                                    const struct mon_wasm_module *module, int bytes_fd,
                                    wasm_answer_fn answered, void *arg, struct zl_error *err);
void wasm_host_drop(struct wasm_question *q); /* no answer comes; NULL is fine */

/* settings.c: what a guest gets, from its service. */
unsigned wasm_variant(const struct wasm_config *c, const struct spec_service *s);
/* A memfd of struct wasm_guest with all that the service says; the time limit depends on what the
 * module serves, is filled in when that is known, and the memfd is sealed then. name: of the
 * container. */
int wasm_settings_make(const struct spec_service *s, const char *name, struct zl_error *err);
int wasm_settings_finish(int fd, const struct wasm_config *c, const struct inst_label *label,
                         enum mon_wasm_serves serves, struct zl_error *err);
/* Whether the guest is to have a network at all; else it has none. */
bool wasm_needs_network(const struct spec_service *s);
/* The config.json of a container, made into that of a guest: its folders are all its mounts, it has
 * no namespaces but perhaps its network. */
int wasm_config_strip(json_t *config, const struct spec_service *s, struct zl_error *err);

/* create.c */
native_fn wasm_pull, wasm_create, wasm_stats;

struct wasm_part { /* what a struct native of this runtime has on top */
    struct wasm_config config;
    char *cache_dir;
    struct wasm_host *host;
};

#endif
