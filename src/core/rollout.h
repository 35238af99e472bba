// SPDX-License-Identifier: Apache-2.0
/*
 * From an older to the present version of a service without ever having fewer ready replicas than
 * asked for: a surplus replica is made in slot n+1; when it is ready, slot after slot is stopped
 * and made anew, each before the next; the surplus goes last. The first failure ends it: what is
 * old and works is kept, what failed returns to what it was.
 */
#ifndef ZL_CORE_ROLLOUT_H
#define ZL_CORE_ROLLOUT_H

#include <stdbool.h>
#include <stdint.h>

struct core;
struct service;

/* A replica of the present version runs. */
bool rollout_has_begun(const struct service *s);
/* It is waited for a replacement whose time is limited. */
bool rollout_busy(const struct service *s);
/* Slot n+1 is of use. */
bool rollout_wants_surge(const struct service *s, uint64_t now);
void rollout_step(struct core *c, struct service *s);

#endif
