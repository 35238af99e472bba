// SPDX-License-Identifier: Apache-2.0
/* A place for one replica of a service: slot.h. */
#ifndef ZL_CORE_MODEL_SLOT_H
#define ZL_CORE_MODEL_SLOT_H

#include <sys/queue.h>

#include "core/model/version.h"
#include "core/text/why.h"

struct instance;
struct service;

enum { CRASHES_KEPT = 6 };

/* The history of crashes of a slot, and what follows from it */
struct supervision {
    uint64_t crashes[CRASHES_KEPT]; /* mono, a ring */
    uint32_t n_crashes;             /* ever */
    uint32_t streak;                /* restarts since it was up for long */
    uint32_t attempts;              /* those that max_attempts counts */
    bool crash_loop;
};

enum slot_state {
    SLOT_WAITING,   /* nothing runs: waits for dependencies or until restart_at */
    SLOT_LIVE,      /* its instance is on the way up, or up */
    SLOT_LEAVING,   /* its instance is on the way out; SLOT_WAITING comes after it */
    SLOT_COMPLETED, /* ended as it should; these three last until the next deploy and keep */
    SLOT_FAILED,    /* the ended container, so that they survive a restart of the agent */
    SLOT_ISOLATED,
    SLOT_STATES
};

struct slot {
    TAILQ_ENTRY(slot) link;
    struct service *service;
    uint32_t index; /* 1-based */
    char *display;  /* "web-rep-1" */
    enum slot_state state;
    struct version version;  /* what its next incarnation is made from */
    struct version previous; /* of a guarded replacement: what to return to */
    bool surge;              /* a rollout made it, to have one more */
    bool guarded;            /* a rollout waits for it: its first failure ends the rollout */
    uint64_t guard_end;      /* mono: the rollout waits no longer */
    struct instance *inst;
    struct supervision supervision;
    uint64_t restart_at; /* mono */
    uint32_t restarts;
    bool has_exit;
    struct inst_exit exit;
    char why[WHY_MAX];
};

/* It is not made from its service's present version. */
bool slot_outdated(const struct slot *s);

#endif
