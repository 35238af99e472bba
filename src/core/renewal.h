// SPDX-License-Identifier: Apache-2.0
/*
 * Asking the registry, after a deploy, whether the image of a service that follows its tag (pull
 * policy `newer`) is another one by now; if so, its replicas are replaced.
 */
#ifndef ZL_CORE_RENEWAL_H
#define ZL_CORE_RENEWAL_H

#include <stdint.h>

struct core;
struct outcome;
struct service;

/* s has another document, with what is settled of its image: whether that is to be asked about. */
void renewal_retarget(struct service *s);
/* Asks what has to be asked; gives up in time. */
void renewal_step(struct core *c, struct service *s);
/* Nobody wants an answer any more. */
void renewal_drop(struct service *s);
/* An answer for op, perhaps to s. */
void renewal_answer(struct core *c, struct service *s, uint64_t op, const struct outcome *o);
uint64_t renewal_deadline(const struct service *s);

#endif
