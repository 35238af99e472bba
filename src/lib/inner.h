// SPDX-License-Identifier: Apache-2.0
/* What the files of libzlayer share. The contract is include/zlayer.h. */
#ifndef ZL_LIB_INNER_H
#define ZL_LIB_INNER_H

#include <event2/event.h>

#include "image/store.h"
#include "runtime/runtime.h"
#include "zlayer.h"

enum { LIB_DIGEST_SIZE = 80 }; /* of an image, with its NUL */

struct zlayer_runtime {
    struct event_base *base;
    int root_fd;
    char *root_dir;
    char *settings; /* of agent.yml, as the puller takes them */
    struct image_store *images;
    struct puller *puller;
    struct runtime *rt;
    struct zlayer_container *containers;
};

struct zlayer_container {
    struct zlayer_container *next, **link;
    struct zlayer_runtime *owner;
    struct inst_id id;
    char id_text[16];
    char *replica; /* its name, of one that was created as a replica; else NULL */
    char *log_path;
    bool has_exit, removed;
    struct inst_exit exit;
};

/* One request, run to its answer on the private loop. -1 with *ret->err filled. */
int lib_ask(struct zlayer_runtime *rt, const struct rt_request *rq, struct rt_answer *ret);
/* One turn of the private loop. -1 when it fails, or nothing is left to turn for. */
int lib_turn(struct zlayer_runtime *rt, const char *what, struct zl_error *err);
/*
 * Hands a request to the runtime and turns the loop until *answered, which done sets. -1 and *err
 * when that does not come to be: then done is not called any more either.
 */
int lib_submit(struct zlayer_runtime *rt, const struct rt_request *rq, rt_done_fn done, void *arg,
               const bool *answered, struct zl_error *err);
/* Hands an error of ours to the caller; -1. */
int lib_fail(struct zlayer_error *to, const struct zl_error *from);

#endif
