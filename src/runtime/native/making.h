// SPDX-License-Identifier: Apache-2.0
/*
 * What is made on the way to a created container (create.c), and the part of it that becomes
 * config.json (document.c).
 */
#ifndef ZL_RUNTIME_NATIVE_MAKING_H
#define ZL_RUNTIME_NATIVE_MAKING_H

#include <string.h>

#include "runtime/native/inner.h"
#include "runtime/native/storage.h"
#include "sandbox/plan.h"

enum { MAKING_JOINS = 3, MAKING_FDS = PLAN_LOWER_MAX + 2 + MAKING_JOINS + 1, MAKING_GPUS = 64 };

struct making {
    struct native *n;
    struct container *c;
    /* Of the request, borrowed: NULL as soon as there may be nobody inside submit any more. */
    const struct inst_label *label;
    const struct spec_service *service;
    const struct spec_pairs *env; /* its, resolved */
    const char *image_digest;     /* NULL: what the image's name means */
    struct image *image;
    int run_fd, state_fd, log_fd, plan_fd;
    char log_path[1024], log_name[256];
    int fds[MAKING_FDS]; /* the plan's: layers, uppermost first, upper and work, namespaces, init */
    size_t n_fds;
    struct { /* namespaces of other containers */
        char path[64];
        uint32_t fd; /* index in fds */
    } joins[MAKING_JOINS];
    size_t n_joins;
    uint32_t init;                /* 1 + index in fds of zlayer-init; 0: the command is process 1 */
    struct container *network_of; /* whose network it shares; NULL: nobody's */
    struct container *ipc_of;
    uint32_t gpus[MAKING_GPUS];
    size_t n_gpus;
    struct storage storage;
    unsigned flags; /* of the monitor: MON_CREATE_… */
    json_t *config; /* the document of config.json */
    struct zl_buf plan;
    struct zl_buf notes; /* what is done otherwise than it was asked, a line each */
};

/* Steps of create, in this order. */
int making_join(struct making *m, struct zl_error *err); /* finds whose namespaces are shared */
int making_gpus(struct making *m, struct zl_error *err); /* chooses them */
/* Fails with E-MOUNT-SOURCE when what is to be mounted is not on the host: named before the start.
 */
int making_sources(struct making *m, struct zl_error *err);
int making_document(struct making *m,
                    struct zl_error *err); /* config.json, and the files of /etc */

/* Whether others may share its IPC namespace and /dev/shm. */
static inline bool making_is_shareable(const struct spec_service *s)
{
    return s->ipc_mode && strcmp(s->ipc_mode, "shareable") == 0;
}

#endif
