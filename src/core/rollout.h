// SPDX-License-Identifier: Apache-2.0
/*
 * From an older to the present version of a service without ever having fewer ready replicas than
 * asked for: a surplus replica is made in slot n+1; when it is ready, slot after slot is stopped
 * and made anew, each before the next; the surplus goes last. The first failure ends it: what is
 * old and works is kept, what failed returns to what it was.
 */
#ifndef ZL_CORE_ROLLOUT_H
#define ZL_CORE_ROLLOUT_H

#include "core/model.h"

bool rollout_outdated(const struct slot *s);
/* A slot within the asked number is not made from the present version. */
bool rollout_pending(const struct service *s);
/* A replica of the present version runs. */
bool rollout_has_begun(const struct service *s);
/* It is waited for a replacement whose time is limited. */
bool rollout_busy(const struct service *s);
/* Slot n+1 is of use. */
bool rollout_wants_surge(const struct service *s, uint64_t now);
void rollout_step(struct core *c, struct service *s);
void rollout_failed(struct core *c, struct slot *s, const char *why);
/* How long a replacement that is up may take to be ready. */
uint64_t rollout_guard_ms(const struct spec_service *s);

#endif
