// SPDX-License-Identifier: Apache-2.0
/*
 * Waiting for other services before the first start of a version (reference: orchestration 1.8).
 * All dependencies are waited for at the same time; the time-out of one begins when what it depends
 * on has itself nothing to wait for any more.
 */
#ifndef ZL_CORE_DEPENDENCY_H
#define ZL_CORE_DEPENDENCY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct core;
struct deployment;
struct service;

/* Begins the wait anew, for n dependencies of what is to be s's target. False: no memory, and
 * nothing changed. */
bool dependency_wait(struct core *c, struct service *s, size_t n);
/* Needs no wait: something of it was found running. */
void dependency_skip(struct core *c, struct service *s);
/* Sets released or gave_up when it is time. */
void dependency_tick(struct core *c, struct service *s);
uint64_t dependency_deadline(const struct service *s, uint64_t now);

/* The document of d is another: who is depended on at all. */
void dependency_note(struct deployment *d);
/* Whether some service of the present document depends on it. */
bool dependency_is_needed(const struct service *s);
/* One that depends on it, and is on its way out as well, still has replicas: it has to wait. */
bool dependency_holds_back(const struct service *s);

#endif
