// SPDX-License-Identifier: Apache-2.0
/*
 * A place for one replica of a service, with a fixed index. It holds at most one instance; when
 * that has ended, the supervision decides whether and when the next one is made.
 */
#ifndef ZL_CORE_SLOT_H
#define ZL_CORE_SLOT_H

#include "core/core.h"

struct instance;
struct service;
struct slot;
struct stop_how;

/* A new, waiting one, made from the service's target; in its place by index. NULL: no memory. */
struct slot *slot_new(struct core *c, struct service *s, uint32_t index);
void slot_free(struct slot *s); /* unlinks it; it has no instance */
struct slot *slot_find(const struct service *s, uint32_t index);

/* Makes the next incarnation. */
void slot_start(struct core *c, struct slot *s);
/* Has its instance stopped and removed; the slot waits afterwards. No effect without instance. */
void slot_leave(struct core *c, struct slot *s, const struct stop_how *how);
/* Takes an instance that was found (INST_UP, or ended and to be judged). */
void slot_adopt(struct core *c, struct slot *s, struct instance *i);
/* A new document or a new try by a user: forgets crashes, ends and pauses. */
void slot_renew(struct core *c, struct slot *s);
/* By a user: what runs in it is stopped, and the next one made at once. */
void slot_restart(struct core *c, struct slot *s);
/* From now on its first failure, or not being ready in time, ends the rollout. */
void slot_guard(struct core *c, struct slot *s);
/* What it is made from changes to the target; what runs in it leaves. */
void slot_replace(struct core *c, struct slot *s, bool guarded);
/* A guarded replacement failed: back to what it was made from before, if that is known. */
void slot_return(struct core *c, struct slot *s);
/* The rollout of its service ends with it, as why says. */
void slot_fail_rollout(struct core *c, struct slot *slot, const char *why);
/* A guarded replacement succeeded. */
void slot_keep(struct core *c, struct slot *s);

bool slot_ended(const struct slot *s);   /* in a state that lasts until the next deploy */
bool slot_up(const struct slot *s);      /* its process runs */
bool slot_healthy(const struct slot *s); /* and is healthy, or has no check */
/* Healthy for so long that it counts: one interval of its check, at most 2 s. */
bool slot_ready(const struct slot *s, uint64_t now);
uint64_t slot_settle_ms(const struct spec_service *s);
uint64_t slot_deadline(const struct slot *s, uint64_t now);

#endif
