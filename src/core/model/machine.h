// SPDX-License-Identifier: Apache-2.0
/*
 * All that core/ keeps in memory; private to it. Three kinds of owners (slot, execution,
 * standalone) each hold at most one instance, and an instance knows its owner. Facts change when an
 * event comes in; then core.c walks all owners until nothing is left to be decided ("reconcile"),
 * so no owner has to foresee in which order the facts arrive. Only what was touched is walked
 * (touch.h).
 *
 * The headers of this folder are the objects, and what can be told of them by looking. Whoever
 * includes one may look at its facts and note new ones, whoever it belongs to; what follows from
 * them is found in the walk. Calls go down only, from owners to what they own
 * (scripts/check-core): core → request, restore → deployment → service → rollout, job,
 * schedule, dependency → slot, execution, standalone → instance → health → emit, touch.
 */
#ifndef ZL_CORE_MODEL_MACHINE_H
#define ZL_CORE_MODEL_MACHINE_H

#include <sys/queue.h>

#include "base/map.h"
#include "core/core.h"
#include "core/timers.h"

struct deployment;
struct grave;
struct instance;
struct standalone;
TAILQ_HEAD(instance_list, instance);

struct effect_list {
    struct effect *v;
    size_t n, cap;
};

struct core {
    struct core_limits limits;
    TAILQ_HEAD(, deployment) deployments;
    TAILQ_HEAD(, standalone) standalones;
    struct instance_list instances; /* in order of birth */
    struct instance_list moving;    /* those that are neither up nor exited; who waits, by age */
    size_t n_objects;               /* instances, standalones, executions, services and replicas */
    struct zl_map instance_ids, standalone_ids, standalone_names, probes; /* the last by op */
    struct timers instance_timers, deployment_timers;
    struct timers schedule_timers; /* by the wall clock, ms */
    struct instance_list touched_instances;
    TAILQ_HEAD(, deployment) touched_deployments;
    TAILQ_HEAD(, standalone) touched_standalones;
    bool restoring;
    struct core_now now; /* of the step */
    uint64_t random;     /* state of core_random */
    uint64_t last_op;
    bool changed; /* something was decided: walk once more */
    bool starved; /* there was no memory for something: try again soon */
    struct effect_list store, requests;
    struct effect spare; /* written to when there is no memory, and dropped */
    struct text *texts;
    struct grave *graves;
};

/* Ids and jitter: splitmix64 over the seed of the event; never 0. */
uint64_t core_random(struct core *c);

struct deployment *deployment_find(const struct core *c, const char *name); /* or NULL */

#endif
