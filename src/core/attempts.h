// SPDX-License-Identifier: Apache-2.0
/*
 * The restarts that max_attempts counts, kept with the service, so that a new agent does not count
 * anew. Of each slot: how many, and by which incarnation's end the last one was counted; the end of
 * a container that was judged, and is found again because the agent was killed before the container
 * was removed, counts once.
 */
#ifndef ZL_CORE_ATTEMPTS_H
#define ZL_CORE_ATTEMPTS_H

#include "core/core.h"

struct service;
struct slot;

/* What the store knows; false: no memory. */
bool attempts_load(struct service *s, const struct row_service *row);
void attempts_row(const struct service *s, struct row_service *ret); /* borrows from s */
/* A slot that is new to this core goes on counting. */
void attempts_recall(struct slot *slot);
/* Before the end of id is judged: undoes what was counted for it. */
void attempts_uncount(struct slot *slot, struct inst_id id);
/* It was judged, and the slot is to be restarted. */
void attempts_note(struct slot *slot, struct inst_id id);
/* The slot counts from the beginning. */
void attempts_forget(struct slot *slot);
/* All slots of the service do. */
void attempts_forget_all(struct service *s);
void attempts_free(struct service *s);

#endif
