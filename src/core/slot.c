// SPDX-License-Identifier: Apache-2.0
#include "core/slot.h"

#include <string.h>

#include "core/attempts.h"
#include "core/emit.h"
#include "core/health.h"
#include "core/instance.h"
#include "core/model/deployment.h"
#include "core/model/instance.h"
#include "core/model/machine.h"
#include "core/model/service.h"
#include "core/model/slot.h"
#include "core/pin.h"
#include "core/supervisor.h"
#include "core/text/names.h"
#include "core/touch.h"

enum {
    SETTLE_MS = 2000,
    GUARD_MIN_MS = 30 * 1000,
};

/* clang-format off */
static const struct { const char *name; bool ended; } traits[SLOT_STATES] = {
    [SLOT_WAITING]   = { "waiting",   false },
    [SLOT_LIVE]      = { "live",      false },
    [SLOT_LEAVING]   = { "leaving",   false },
    [SLOT_COMPLETED] = { "completed", true },
    [SLOT_FAILED]    = { "failed",    true },
    [SLOT_ISOLATED]  = { "isolated",  true },
};
/* clang-format on */

/* The only writer of s->state. */
static void set_state(struct core *c, struct slot *s, enum slot_state state)
{
    s->state = state;
    touch_deployment(c, s->service->deployment);
}

struct slot *slot_find(const struct service *s, uint32_t index)
{
    struct slot *slot;
    TAILQ_FOREACH (slot, &s->slots, link)
        if (slot->index == index)
            return slot;
    return NULL;
}

static struct inst_label label_of(const struct slot *s)
{
    return (struct inst_label){
        .owner = OWNER_REPLICA,
        .deployment = s->service->deployment->name,
        .service = s->service->name,
        .role = "default",
        .index = s->index,
        .spec_hash = s->version.hash,
    };
}

struct slot *slot_new(struct core *c, struct service *s, uint32_t index)
{
    struct slot *slot = calloc(1, sizeof *slot);
    if (!slot)
        return NULL;
    slot->service = s;
    slot->index = index;
    slot->guard_end = NEVER;
    version_copy(&slot->version, &s->target);
    struct inst_label label = label_of(slot);
    char display[CORE_NAME_MAX];
    core_name_format(&label, display, sizeof display);
    slot->display = strdup(display);
    if (!slot->display) {
        version_clear(&slot->version);
        free(slot);
        return NULL;
    }
    attempts_recall(slot);
    set_state(c, slot, SLOT_WAITING);

    struct slot *after;
    TAILQ_FOREACH_REVERSE (after, &s->slots, slot_list, link)
        if (after->index < index)
            break;
    if (after)
        TAILQ_INSERT_AFTER(&s->slots, after, slot, link);
    else
        TAILQ_INSERT_HEAD(&s->slots, slot, link);
    return slot;
}

void slot_free(struct slot *s)
{
    TAILQ_REMOVE(&s->service->slots, s, link);
    attempts_forget(s);
    version_clear(&s->version);
    version_clear(&s->previous);
    free(s->display);
    free(s);
}

void slot_start(struct core *c, struct slot *s)
{
    /* One of a container that was found and is gone is not known, and the target's image may have
     * been settled since it was copied. */
    if (!s->version.spec || s->version.hash == s->service->target.hash)
        version_copy(&s->version, &s->service->target);
    struct inst_label label = label_of(s);
    struct inst_id id = { core_random(c) };
    struct instance *i = instance_new(c, id, &label, &s->version, s);
    if (!i) {
        c->starved = true;
        return;
    }
    i->pulled = s->service->pulled && s->version.hash == s->service->target.hash;
    s->inst = i;
    set_state(c, s, SLOT_LIVE);
}

void slot_leave(struct core *c, struct slot *s, const struct stop_how *how)
{
    if (!s->inst)
        return;
    bool forced = how->force && s->state == SLOT_LEAVING;
    if (s->state != SLOT_LEAVING)
        set_state(c, s, SLOT_LEAVING);
    else if (!forced)
        return;
    struct stop_how out = { .grace_ms = how->grace_ms, .force = how->force };
    instance_stop(c, s->inst, &out);
}

void slot_adopt(struct core *c, struct slot *s, struct instance *i)
{
    s->inst = i;
    i->slot = s;
    if (i->label.spec_hash != s->version.hash) {
        version_clear(&s->version);
        s->version.hash = i->label.spec_hash;
    }
    if (i->version.digest[0])
        memcpy(s->version.digest, i->version.digest, sizeof s->version.digest);
    pin_known(s->service, &s->version);
    set_state(c, s, SLOT_LIVE);
}

static void forget_guard(struct slot *s)
{
    s->guarded = false;
    s->guard_end = NEVER;
    version_clear(&s->previous);
}

void slot_renew(struct core *c, struct slot *s)
{
    s->supervision = (struct supervision){ 0 };
    attempts_forget(s);
    s->restart_at = 0;
    s->restarts = 0;
    s->why[0] = '\0';
    forget_guard(s);
    if (!slot_ended(s))
        return;
    set_state(c, s, SLOT_WAITING);
    if (s->inst)
        slot_leave(c, s, &(struct stop_how){ 0 });
}

void slot_restart(struct core *c, struct slot *s)
{
    slot_renew(c, s);
    slot_leave(c, s, &(struct stop_how){ 0 });
}

/* How long a replacement that is up may take to be ready. */
static uint64_t guard_ms(const struct spec_service *s)
{
    const struct spec_health *h = &s->health;
    uint64_t ms = h->start_grace_ms + ((uint64_t)h->retries + 1) * (h->interval_ms + h->timeout_ms);
    return ms > GUARD_MIN_MS ? ms : GUARD_MIN_MS;
}

void slot_guard(struct core *c, struct slot *s)
{
    s->guarded = true;
    if (slot_up(s)) /* pulls and permits may take their time */
        s->guard_end = c->now.mono_ms + guard_ms(s->version.service);
    touch_deployment(c, s->service->deployment);
}

void slot_replace(struct core *c, struct slot *s, bool guarded)
{
    const struct version *target = &s->service->target;
    slot_renew(c, s);
    if (guarded) {
        s->guarded = true; /* its end is set when the new one is up */
        version_move(&s->previous, &s->version);
    }
    version_copy(&s->version, target);
    touch_deployment(c, s->service->deployment); /* with it a surge may have had its use */
    slot_leave(c, s, &(struct stop_how){ 0 });
}

static void return_to_previous(struct slot *s, uint64_t now)
{
    if (s->previous.spec)
        version_move(&s->version, &s->previous);
    forget_guard(s);
    s->restart_at = now;
}

void slot_return(struct core *c, struct slot *s)
{
    return_to_previous(s, c->now.mono_ms);
    touch_deployment(c, s->service->deployment);
    slot_leave(c, s, &(struct stop_how){ 0 });
}

void slot_keep(struct core *c, struct slot *s)
{
    forget_guard(s);
    touch_deployment(c, s->service->deployment);
}

/* ---- what its instance tells -------------------------------------------------------------- */

static void shut_service_down(struct core *c, struct slot *s)
{
    struct service *service = s->service;
    service->shutdown = true;
    why_set(service->why, "%.400s-%u: %.80s; on_panic: shutdown", service->name, s->index, s->why);
    emit_event(c, "shutdown", service->deployment->name, service->name, (struct inst_id){ 0 }, "%s",
               service->why);
}

/* Carries out what the supervision decided; true: the ended container stays. */
static bool obey(struct core *c, struct slot *s, enum verdict verdict, uint64_t delay)
{
    static const enum slot_state lasting[] = {
        [VERDICT_COMPLETED] = SLOT_COMPLETED,
        [VERDICT_FAILED] = SLOT_FAILED,
        [VERDICT_SHUTDOWN] = SLOT_FAILED,
        [VERDICT_ISOLATE] = SLOT_ISOLATED,
    };
    const struct service *service = s->service;
    struct inst_id id = s->inst ? s->inst->id : (struct inst_id){ 0 };
    if (verdict == VERDICT_SHUTDOWN)
        shut_service_down(c, s);
    if (verdict != VERDICT_RESTART) {
        emit_event(c, traits[lasting[verdict]].name, service->deployment->name, service->name, id,
                   "%s-%u: %s", service->name, s->index, s->why);
        set_state(c, s, lasting[verdict]);
        return true;
    }
    s->restart_at = c->now.mono_ms + delay;
    s->restarts++;
    emit_event(c, s->supervision.crash_loop ? "crash_loop" : "restart", service->deployment->name,
               service->name, id, "%s-%u: %s; restart %u in %llu ms", service->name, s->index,
               s->why, s->restarts, (unsigned long long)delay);
    set_state(c, s, SLOT_LEAVING);
    return false;
}

void slot_fail_rollout(struct core *c, struct slot *slot, const char *why)
{
    struct service *s = slot->service;
    s->rollout_failed = true;
    touch_deployment(c, s->deployment);
    why_set(s->why, "the new version of %.80s was given up at %.80s-%u: %.300s", s->name, s->name,
            slot->index, why);
    emit_event(c, "rollout_failed", s->deployment->name, s->name, (struct inst_id){ 0 }, "%s",
               s->why);
}

/* The first failure of a guarded slot is not judged: it ends the rollout. */
static void fail_rollout(struct core *c, struct slot *s)
{
    slot_fail_rollout(c, s, s->why);
    return_to_previous(s, c->now.mono_ms);
    set_state(c, s, SLOT_LEAVING);
}

/* Whether the end of s is no matter of its own: it ends a rollout, or nothing if it is surplus. */
static bool ends_as_part_of_rollout(struct core *c, struct slot *s)
{
    const struct service *service = s->service;
    bool surplus = s->index > service->desired;
    if (s->guarded || (surplus && service->released && service_first_outdated(service)))
        fail_rollout(c, s);
    else if (surplus)
        set_state(c, s, SLOT_LEAVING);
    return s->state == SLOT_LEAVING; /* it was live until here */
}

static void when_pulled(struct instance *i)
{
    struct slot *s = i->slot;
    pin_pulled(s->service, &i->version);
    if (s->version.hash == i->version.hash)
        memcpy(s->version.digest, i->version.digest, sizeof s->version.digest);
}

static void when_up(struct core *c, struct instance *i)
{
    struct slot *s = i->slot;
    if (s->guarded)
        s->guard_end = c->now.mono_ms + guard_ms(i->version.service);
}

/* Policies hold as the present document says, also for what is older. */
static const struct spec_service *policy_of(const struct slot *s)
{
    return s->service->target.service;
}

static enum verdict judge(struct core *c, const struct instance *i, enum ending ending,
                          uint64_t up_ms, uint64_t *ret_delay)
{
    struct slot *s = i->slot;
    attempts_uncount(s, i->id);
    enum verdict v =
        supervision_judge(&s->supervision, policy_of(s), ending, c->now.mono_ms, up_ms, ret_delay);
    if (v == VERDICT_RESTART && ending != ENDED_UNPULLED)
        attempts_note(s, i->id);
    return v;
}

static void when_exited(struct core *c, struct instance *i)
{
    struct slot *s = i->slot;
    bool clean = i->exit.code == 0 && !i->exit.lost;
    uint64_t delay = 0, up_ms = i->up_at ? c->now.mono_ms - i->up_at : 0;
    s->has_exit = true;
    s->exit = i->exit;
    why_set(s->why, "exit code %d%s", i->exit.code, inst_exit_note(&i->exit));
    if (ends_as_part_of_rollout(c, s)) {
        instance_remove(c, i);
        return;
    }
    enum verdict v = judge(c, i, clean ? ENDED_CLEAN : ENDED_CRASHED, up_ms, &delay);
    if (!obey(c, s, v, delay))
        instance_remove(c, i);
}

/* The container is cleared away by the instance itself, whatever is decided here. */
static void when_failed(struct core *c, struct instance *i, const struct start_failure *f)
{
    struct slot *s = i->slot;
    bool pull = f->during == INST_PULLING;
    uint64_t delay = 0;
    why_set(s->why, "%s", f->err->msg);
    emit_inst_event(c, pull ? "pull_failed" : "start_failed", i, "%s-%u: %s", i->label.service,
                    s->index, s->why);
    s->service->pulled = false; /* the image may be what is missing: the next try looks again */
    if (ends_as_part_of_rollout(c, s))
        return;
    enum verdict v = judge(c, i, pull ? ENDED_UNPULLED : ENDED_CRASHED, 0, &delay);
    (void)obey(c, s, v, delay);
}

static void when_gone(struct core *c, struct instance *i)
{
    struct slot *s = i->slot;
    s->inst = NULL;
    if (!slot_ended(s))
        set_state(c, s, SLOT_WAITING);
}

const struct owner_ops slot_owner_ops = {
    .pulled = when_pulled,
    .up = when_up,
    .exited = when_exited,
    .failed = when_failed,
    .gone = when_gone,
};

/* ---- looks -------------------------------------------------------------------------------- */

bool slot_ended(const struct slot *s)
{
    return traits[s->state].ended;
}

bool slot_up(const struct slot *s)
{
    return s->state == SLOT_LIVE && s->inst->state == INST_UP;
}

bool slot_healthy(const struct slot *s)
{
    return s->state == SLOT_LIVE && instance_healthy(s->inst);
}

uint64_t slot_settle_ms(const struct spec_service *s)
{
    bool quick = health_has_check(s) && s->health.interval_ms && s->health.interval_ms < SETTLE_MS;
    return quick ? s->health.interval_ms : SETTLE_MS;
}

static uint64_t ready_at(const struct slot *s)
{
    uint64_t settle = slot_settle_ms(s->inst->version.service);
    return s->inst->health.healthy_since + settle;
}

bool slot_ready(const struct slot *s, uint64_t now)
{
    return slot_healthy(s) && now >= ready_at(s);
}

uint64_t slot_deadline(const struct slot *s, uint64_t now)
{
    uint64_t at = NEVER;
    if (s->state == SLOT_WAITING && s->restart_at > now)
        earlier(&at, s->restart_at);
    if (s->guard_end > now)
        earlier(&at, s->guard_end);
    if (slot_healthy(s) && ready_at(s) > now)
        earlier(&at, ready_at(s));
    return at;
}
