// SPDX-License-Identifier: Apache-2.0
/*
 * One incarnation of a container, from the pull of its image until nothing is left of it:
 *
 *   waiting → pulling → waiting → creating → starting → up → stopping → removing → (gone)
 *                                                        └→ exited ──────┘
 *
 * Each step can be turned back. What an exit means is its owner's business, told through a table of
 * calls per kind of owner; an owner answers by keeping the ended container or having it
 * removed.
 */
#ifndef ZL_CORE_INSTANCE_H
#define ZL_CORE_INSTANCE_H

#include "core/core.h"
#include "core/view.h"

struct grave;
struct instance;
struct stop_how;
struct version;

/* What became of the request that was under way */
struct outcome {
    const struct zl_error *failed; /* NULL: done */
    int64_t pid;                   /* of a start */
    const char *digest;            /* of a pull; NULL: not told */
    const struct inst_exit *exit;  /* of an exit */
};

/* How a start failed: the step, and why in the runtime's words, which name act and container. */
struct start_failure {
    enum inst_state during; /* INST_PULLING, INST_CREATING, INST_STARTING */
    const struct zl_error *err;
};

/* Called by instance.c. The owner lets go of i itself in gone(). */
struct owner_ops {
    void (*pulled)(
        struct instance *i); /* may settle what its version is of; NULL: of no interest */
    void (*up)(struct core *c, struct instance *i);
    void (*exited)(struct core *c, struct instance *i); /* i is INST_EXITED, i->exit says how */
    void (*failed)(struct core *c, struct instance *i, const struct start_failure *f);
    void (*gone)(struct core *c, struct instance *i);
    /* Its removal may begin before the step is stored. NULL: never. */
    bool (*may_go_early)(const struct instance *i);
};
extern const struct owner_ops slot_owner_ops, execution_owner_ops, standalone_owner_ops;

/* A new one in INST_WAITING, with copies of the label's strings, owned by core until it is gone.
 * owner may be NULL; version is copied. NULL: no memory. */
struct instance *instance_new(struct core *c, struct inst_id id, const struct inst_label *label,
                              const struct version *version, void *owner);
void instance_free(struct grave *g);
struct instance *instance_find(const struct core *c, struct inst_id id);

/* Puts an instance that was found into the state it was found in, without effects. One that was
 * created but not started is INST_CREATING: it is started by instances_admit. */
void instance_adopt(struct core *c, struct instance *i, enum inst_state state, int64_t pid,
                    int64_t started_wall_ms);

/* On the way out, from any state; repeated calls may only make it harder. */
void instance_stop(struct core *c, struct instance *i, const struct stop_how *how);
/* The ended container is not needed any more; kills if it does run after all. */
void instance_remove(struct core *c, struct instance *i);
/* Nobody owns it any more: it is stopped and removed on its own. */
void instance_disown(struct core *c, struct instance *i);

/* Events; those that mean nothing to anyone are ignored. */
void instance_answer(struct core *c, uint64_t op, const struct outcome *o);
void instance_exited(struct core *c, struct instance *i, const struct inst_exit *exit);
void instances_tick(struct core *c); /* those that were touched */
/* After a restore: its owner is told of an exit that happened meanwhile, a replica is probed again,
 * and what is nobody's is cleared away. */
void instance_settle_restored(struct core *c, struct instance *i);
/* Lets waiting ones go on, oldest first, as far as there are permits. */
void instances_admit(struct core *c);

bool instance_healthy(const struct instance *i); /* up, and so is its health */
uint64_t instance_deadline(const struct instance *i);
/* The exit code that stands for a command that could not be executed: 127, 126 or 125. */
int start_failure_code(const struct start_failure *f);

#endif
