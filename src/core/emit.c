// SPDX-License-Identifier: Apache-2.0
/*
 * Effects are gathered in two lists while a step decides, and joined at its end, so that whatever
 * order the decisions come in, the store is written before anything is begun.
 */
#include "core/emit.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "core/model/instance.h"
#include "core/model/machine.h"

struct text {
    struct text *next;
    char text[];
};

static bool reserve(struct effect_list *l, size_t n)
{
    if (n <= l->cap)
        return true;
    size_t cap = l->cap ? l->cap : 32;
    while (cap < n)
        cap *= 2;
    struct effect *v = realloc(l->v, cap * sizeof *v);
    if (!v)
        return false;
    l->v = v;
    l->cap = cap;
    return true;
}

static struct effect *append(struct core *c, struct effect_list *l, enum effect_kind kind)
{
    struct effect *e = reserve(l, l->n + 1) ? &l->v[l->n++] : &c->spare;
    memset(e, 0, sizeof *e);
    e->kind = kind;
    return e;
}

struct effect *emit_request(struct core *c, enum effect_kind kind, struct inst_id inst)
{
    struct effect *e = append(c, &c->requests, kind);
    e->op = ++c->last_op;
    e->inst = inst;
    return e;
}

struct effect *emit_store(struct core *c, enum effect_kind kind)
{
    return append(c, &c->store, kind);
}

static const char *keep_text(struct core *c, const char *text)
{
    size_t size = strlen(text) + 1;
    struct text *t = malloc(sizeof *t + size);
    if (!t)
        return "";
    memcpy(t->text, text, size);
    t->next = c->texts;
    c->texts = t;
    return t->text;
}

static void ZL_PRINTF(6, 0)
    emit_vevent(struct core *c, const char *type, const char *deployment, const char *service,
                struct inst_id inst, const char *fmt, va_list ap)
{
    char text[2 * WHY_MAX];
    (void)vsnprintf(text, sizeof text, fmt, ap);
    zl_utf8_mend(text);
    struct effect *e = append(c, &c->store, EFF_EVENT);
    e->inst = inst;
    e->event.type = type;
    e->event.deployment = deployment;
    e->event.service = service;
    e->event.text = keep_text(c, text);
    e->event.inst = inst;
}

void emit_event(struct core *c, const char *type, const char *deployment, const char *service,
                struct inst_id inst, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    emit_vevent(c, type, deployment, service, inst, fmt, ap);
    va_end(ap);
}

void emit_inst_event(struct core *c, const char *type, const struct instance *i, const char *fmt,
                     ...)
{
    va_list ap;
    va_start(ap, fmt);
    emit_vevent(c, type, i->label.deployment, i->label.service, i->id, fmt, ap);
    va_end(ap);
}

static void drop_texts(struct core *c)
{
    while (c->texts) {
        struct text *t = c->texts;
        c->texts = t->next;
        free(t);
    }
}

static bool reserve_out(struct effects *out, size_t n)
{
    struct effect_list l = { .v = out->v, .cap = out->cap };
    bool done = reserve(&l, n);
    out->v = l.v;
    out->cap = l.cap;
    return done;
}

bool emit_begin(struct core *c, struct effects *out, size_t n)
{
    drop_texts(c);
    c->store.n = c->requests.n = 0;
    out->n = out->commit = 0;
    return reserve(&c->store, n) && reserve(&c->requests, n) && reserve_out(out, 2 * n);
}

/* Beyond what emit_begin made room for, requests are dropped first: their deadlines repeat them. */
void emit_finish(struct core *c, struct effects *out)
{
    (void)reserve_out(out, c->store.n + c->requests.n);
    size_t store = c->store.n < out->cap ? c->store.n : out->cap;
    size_t requests = c->requests.n < out->cap - store ? c->requests.n : out->cap - store;
    memcpy(out->v, c->store.v, store * sizeof *out->v);
    memcpy(out->v + store, c->requests.v, requests * sizeof *out->v);
    out->commit = store;
    out->n = store + requests;
}

void emit_free(struct core *c)
{
    drop_texts(c);
    free(c->store.v);
    free(c->requests.v);
}

void effects_done(struct effects *out)
{
    free(out->v);
    memset(out, 0, sizeof *out);
}
