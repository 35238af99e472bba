// SPDX-License-Identifier: Apache-2.0
/* Gathering the effects of one step: changes of the store first, requests to the runtime after
 * them. */
#ifndef ZL_CORE_EMIT_H
#define ZL_CORE_EMIT_H

#include "core/core.h"

struct instance;

/* Never NULL. Without memory the effect goes nowhere: the deadline of its op tries again. */
struct effect *emit_request(struct core *c, enum effect_kind kind,
                            struct inst_id inst); /* new op */
struct effect *emit_store(struct core *c, enum effect_kind kind);

/* A line of `zlayer events`; strings but the formatted one are borrowed until the next step. */
void emit_event(struct core *c, const char *type, const char *deployment, const char *service,
                struct inst_id inst, const char *fmt, ...) ZL_PRINTF(6, 7);
void emit_inst_event(struct core *c, const char *type, const struct instance *i, const char *fmt,
                     ...) ZL_PRINTF(4, 5);

/* A step begins: forgets the last one's effects and texts, and makes room for n new effects, so
 * that the step cannot fail halfway. False: no memory. */
bool emit_begin(struct core *c, struct effects *out, size_t n);
/* Moves what was gathered to out. */
void emit_finish(struct core *c, struct effects *out);
void emit_free(struct core *c);

#endif
