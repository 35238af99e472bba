// SPDX-License-Identifier: Apache-2.0
#include "core/standalone.h"

#include <string.h>

#include "base/hash.h"
#include "core/emit.h"
#include "core/instance.h"
#include "core/model/instance.h"
#include "core/model/machine.h"
#include "core/model/standalone.h"
#include "core/touch.h"

static void free_standalone(struct grave *g)
{
    struct standalone *a = (struct standalone *)g;
    spec_unref(a->spec);
    free(a->name);
    free(a->text);
    free(a);
}

void standalone_free_all(struct core *c)
{
    struct standalone *a;
    while ((a = TAILQ_FIRST(&c->standalones))) {
        TAILQ_REMOVE(&c->standalones, a, link);
        free_standalone(&a->grave);
    }
}

struct standalone *standalone_find(const struct core *c, struct inst_id id)
{
    struct zl_map_node *x = zl_map_find(&c->standalone_ids, id.v);
    return x ? zl_container_of(x, struct standalone, by_id) : NULL;
}

static uint64_t hash_of(const char *name)
{
    return zl_hash_bytes(ZL_HASH_START, name, strlen(name));
}

static struct standalone *find_name(const struct core *c, const char *name)
{
    struct zl_map_node *x = zl_map_find(&c->standalone_names, hash_of(name));
    for (; x; x = zl_map_next(x)) {
        struct standalone *a = zl_container_of(x, struct standalone, by_name);
        if (strcmp(a->name, name) == 0)
            return a;
    }
    return NULL;
}

static void touch(struct core *c, struct standalone *a)
{
    a->dirty = true;
    touch_standalone(c, a);
}

static struct standalone *allocate(struct core *c, struct inst_id id, const char *name,
                                   const char *text, const struct spec *spec)
{
    struct standalone *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->grave.free = free_standalone;
    a->name = strdup(name);
    a->text = strdup(text ? text : "");
    if (!a->name || !a->text) {
        free_standalone(&a->grave);
        return NULL;
    }
    a->id = id;
    a->spec = spec_ref(spec);
    TAILQ_INSERT_TAIL(&c->standalones, a, link);
    zl_map_add(&c->standalone_ids, &a->by_id, id.v);
    zl_map_add(&c->standalone_names, &a->by_name, hash_of(name));
    c->n_objects++;
    return a;
}

int standalone_run(struct core *c, struct spec *spec, const char *text, bool hold,
                   struct inst_id *ret_id, struct zl_error *err)
{
    const char *name = spec->services[0].name;
    const struct standalone *taken = find_name(c, name);
    if (taken)
        return zl_fail(err, ZL_ERR_EXISTS, "run '%s': there is a container of that name%s", name,
                       taken->remove_wanted ? ", which is being removed" : "");
    struct inst_id id = { core_random(c) };
    struct standalone *a = allocate(c, id, name, text, spec);
    if (!a)
        return zl_fail(err, ZL_ERR_SYSTEM, "run '%s': no memory", name);
    a->hold = hold;
    a->created_ms = c->now.wall_ms;
    touch(c, a);
    *ret_id = id;
    return 0;
}

struct standalone *standalone_load(struct core *c, const struct row_standalone *row)
{
    struct standalone *a = allocate(c, row->id, row->name, row->text, row->spec);
    if (!a)
        return NULL;
    a->stop_wanted = row->stop_wanted;
    a->remove_wanted = row->remove_wanted;
    a->exited = row->exited;
    a->exit = row->exit;
    a->created_ms = row->created_ms;
    a->started_ms = row->started_ms;
    why_set(a->error, "%s", row->error ? row->error : "");
    return a;
}

void standalone_row(const struct standalone *a, struct row_standalone *ret)
{
    *ret = (struct row_standalone){
        .id = a->id,
        .name = a->name,
        .text = a->text,
        .spec = a->spec,
        .remove_wanted = a->remove_wanted,
        .stop_wanted = a->stop_wanted,
        .exited = a->exited,
        .exit = a->exit,
        .error = a->error,
        .created_ms = a->created_ms,
        .started_ms = a->started_ms,
    };
}

/* ---- what users ask ----------------------------------------------------------------------- */

void standalone_stop(struct core *c, struct standalone *a, const struct stop_how *how)
{
    if (a->exited)
        return;
    a->stop_wanted = true;
    a->stop_how = *how;
    a->stop_how.keep = true;
    touch(c, a);
}

int standalone_remove(struct core *c, struct standalone *a, const struct stop_how *how,
                      struct zl_error *err)
{
    if (!a->exited && !how->force)
        return zl_fail(err, ZL_ERR_CONFLICT, "remove '%s': it runs; stop it first, or use --force",
                       a->name);
    a->remove_wanted = true;
    a->stop_how = *how;
    a->stop_how.keep = false;
    touch(c, a);
    return 0;
}

/* ---- ends --------------------------------------------------------------------------------- */

static void ended(struct core *c, struct standalone *a, const struct inst_exit *exit)
{
    if (a->exited)
        return;
    a->exited = true;
    a->exit = *exit;
    a->remove_wanted |= a->spec->services[0].delete_on_exit;
    touch(c, a);
}

static void when_up(struct core *c, struct instance *i)
{
    i->standalone->started_ms = i->started_ms;
    touch(c, i->standalone);
}

static void when_exited(struct core *c, struct instance *i)
{
    struct standalone *a = i->standalone;
    if (!a->started_ms)
        a->started_ms = i->started_ms ? i->started_ms : i->exit.wall_ms;
    ended(c, a, &i->exit);
}

/* Its container is cleared away; the reason stays for `inspect`. */
static void when_failed(struct core *c, struct instance *i, const struct start_failure *f)
{
    struct inst_exit exit = { .code = start_failure_code(f), .wall_ms = c->now.wall_ms };
    struct standalone *a = i->standalone;
    why_set(a->error, "%s", f->err->msg);
    emit_inst_event(c, f->during == INST_PULLING ? "pull_failed" : "start_failed", i, "%s: %s",
                    a->name, a->error);
    ended(c, a, &exit);
}

static void when_gone(struct core *c, struct instance *i)
{
    struct standalone *a = i->standalone;
    a->inst = NULL;
    touch_standalone(c, a);
    if (a->exited || a->remove_wanted)
        return;
    struct inst_exit never = { .code = 255, .wall_ms = c->now.wall_ms };
    why_set(a->error, "stopped before it ran");
    ended(c, a, &never);
}

/* A user wants it gone whose end was told: what is stored of it goes on saying that it ended. */
static bool may_go_early(const struct instance *i)
{
    return i->has_exit && i->standalone->remove_wanted;
}

const struct owner_ops standalone_owner_ops = {
    .up = when_up,
    .exited = when_exited,
    .failed = when_failed,
    .gone = when_gone,
    .may_go_early = may_go_early,
};

/* ---- restore ------------------------------------------------------------------------------ */

void standalone_adopt(struct core *c, struct standalone *a, struct instance *i)
{
    a->inst = i;
    i->standalone = a;
    if (i->state != INST_UP || a->started_ms)
        return;
    a->started_ms = i->started_ms;
    touch(c, a);
}

void standalone_settle_restored(struct core *c, struct standalone *a)
{
    if (a->inst || a->exited || (!a->started_ms && !a->stop_wanted))
        return; /* never begun: begins now */
    struct inst_exit lost = { .code = 255, .lost = true, .wall_ms = c->now.wall_ms };
    why_set(a->error, "lost: nothing is known of its end");
    ended(c, a, &lost);
}

/* ---- what is to be done ------------------------------------------------------------------- */

static void begin(struct core *c, struct standalone *a)
{
    const struct spec_service *service = &a->spec->services[0];
    struct version version = { .spec = a->spec,
                               .service = service,
                               .hash = service->container_hash };
    struct inst_label label = {
        .owner = OWNER_STANDALONE,
        .deployment = "-",
        .service = a->name,
        .role = "default",
        .spec_hash = service->container_hash,
    };
    a->inst = instance_new(c, a->id, &label, &version, a);
    c->starved |= !a->inst;
    if (a->inst)
        a->inst->hold = a->hold;
}

static void forget(struct core *c, struct standalone *a)
{
    const struct spec_service *s = &a->spec->services[0];
    struct effect *e = emit_store(c, EFF_DEL_STANDALONE);
    e->standalone = (struct row_standalone){ .id = a->id, .name = a->name };
    e->logs_kept_s = s->delete_on_exit ? 0
                     : s->logs         ? s->logs->retention_secs
                                       : SPEC_LOGS_RETENTION_S;
    emit_event(c, "remove", "-", a->name, a->id, "%s", a->name);
    TAILQ_REMOVE(&c->standalones, a, link);
    zl_map_remove(&c->standalone_ids, &a->by_id);
    zl_map_remove(&c->standalone_names, &a->by_name);
    untouch_standalone(c, a);
    c->n_objects--;
    core_bury(c, &a->grave);
    c->changed = true;
}

void standalone_reconcile(struct core *c, struct standalone *a)
{
    if (a->remove_wanted) {
        if (a->inst)
            instance_stop(c, a->inst, &a->stop_how);
        else
            forget(c, a);
        return;
    }
    if (!a->inst && !a->exited && !a->stop_wanted)
        begin(c, a);
    else if (!a->inst && !a->exited)
        standalone_settle_restored(c, a);
    else if (a->inst && a->stop_wanted && !a->exited)
        instance_stop(c, a->inst, &a->stop_how);
}
