// SPDX-License-Identifier: Apache-2.0
/* What the files of libzlayer share. The contract is include/zlayer.h. */
#ifndef ZL_LIB_INNER_H
#define ZL_LIB_INNER_H

#include <event2/event.h>

#include "image/store.h"
#include "runtime/runtime.h"
#include "zlayer.h"

struct zlayer_runtime {
    struct event_base *base;
    int root_fd;
    char *root_dir;
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
/* Hands an error of ours to the caller; -1. */
int lib_fail(struct zlayer_error *to, const struct zl_error *from);

#endif
