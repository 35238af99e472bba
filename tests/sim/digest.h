// SPDX-License-Identifier: Apache-2.0
/*
 * One number for all that core/ ever said in a history: two builds that print the same one have
 * decided the same. With it a change that is to change nothing can be shown to (docs/debugging.md).
 */
#ifndef ZL_TESTS_SIM_DIGEST_H
#define ZL_TESTS_SIM_DIGEST_H

#include "core/core.h"

/* Goes on from `digest` (ZL_HASH_START at first) with one step: its event, every effect with all
 * that it says but addresses, and when core wants to be woken. */
uint64_t digest_step(uint64_t digest, const struct event *ev, const struct core *c,
                     const struct effects *out);

#endif
