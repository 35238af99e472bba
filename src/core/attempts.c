// SPDX-License-Identifier: Apache-2.0
/* A list of those slots that have counted any; most services never have one. */
#include "core/attempts.h"

#include <stdlib.h>

#include "core/model/deployment.h"
#include "core/model/service.h"
#include "core/model/slot.h"

static struct row_attempts *find(const struct service *s, uint32_t index)
{
    for (size_t i = 0; i < s->n_attempts; i++)
        if (s->attempts[i].index == index)
            return &s->attempts[i];
    return NULL;
}

static struct row_attempts *add(struct service *s, uint32_t index)
{
    struct row_attempts *v = realloc(s->attempts, (s->n_attempts + 1) * sizeof *v);
    if (!v)
        return NULL;
    s->attempts = v;
    v[s->n_attempts] = (struct row_attempts){ .index = index };
    return &v[s->n_attempts++];
}

bool attempts_load(struct service *s, const struct row_service *row)
{
    for (size_t i = 0; i < row->n_attempts; i++) {
        struct row_attempts *a = add(s, row->attempts[i].index);
        if (!a)
            return false;
        *a = row->attempts[i];
    }
    return true;
}

void attempts_row(const struct service *s, struct row_service *ret)
{
    ret->attempts = s->attempts;
    ret->n_attempts = s->n_attempts;
}

void attempts_recall(struct slot *slot)
{
    const struct row_attempts *a = find(slot->service, slot->index);
    if (a)
        slot->supervision.attempts = a->attempts;
}

void attempts_uncount(struct slot *slot, struct inst_id id)
{
    const struct row_attempts *a = find(slot->service, slot->index);
    if (a && a->counted.v == id.v && slot->supervision.attempts > 0)
        slot->supervision.attempts--;
}

void attempts_note(struct slot *slot, struct inst_id id)
{
    struct service *s = slot->service;
    struct row_attempts *a = find(s, slot->index);
    if (!s->target.service->restart.max_attempts)
        return;
    if (!a)
        a = add(s, slot->index);
    if (!a)
        return; /* no memory: this agent knows, and only a new one would not */
    if (a->attempts == slot->supervision.attempts && a->counted.v == id.v)
        return;
    a->attempts = slot->supervision.attempts;
    a->counted = id;
    s->deployment->dirty = true;
}

void attempts_forget(struct slot *slot)
{
    struct service *s = slot->service;
    struct row_attempts *a = find(s, slot->index);
    if (!a)
        return;
    *a = s->attempts[--s->n_attempts];
    s->deployment->dirty = true;
}

void attempts_forget_all(struct service *s)
{
    s->deployment->dirty |= s->n_attempts > 0;
    s->n_attempts = 0;
}

void attempts_free(struct service *s)
{
    free(s->attempts);
    s->attempts = NULL;
    s->n_attempts = 0;
}
