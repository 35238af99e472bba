// SPDX-License-Identifier: Apache-2.0
#include "core/instance.h"

#include <stdio.h>
#include <string.h>

#include "core/emit.h"
#include "core/health.h"
#include "core/model/instance.h"
#include "core/model/machine.h"
#include "core/text/names.h"
#include "core/touch.h"

enum {
    SECOND_MS = 1000,
    DEFAULT_GRACE_MS = 10 * 1000, /* of containers whose document is not known any more */
    STOP_MARGIN_MS = 10 * 1000,   /* on top of the grace, until a stop counts as failed */
    KILL_WAIT_MS = 10 * 1000,     /* for the exit after SIGKILL */
    EXIT_WAIT_MS = 5 * 1000,      /* for the exit code after a stop that was answered */
    REMOVAL_PAUSE_MAX_MS = 60 * 1000,
};

enum input {
    IN_GO,      /* may take the next step */
    IN_DONE,    /* the request under way was carried out */
    IN_FAILED,  /* it failed, or was not answered in time */
    IN_TIMEOUT, /* a pause is over, or what was waited for did not come */
    IN_EXIT,    /* the process ended */
    IN_STOP,    /* the owner wants it out */
    INPUTS
};

/* What a state implies. timeout_ms: how long its request may take; 0: it has none of its own.
 * moving: it does not last. */
/* clang-format off */
static const struct { uint64_t timeout_ms; bool takes_permit, moving; } traits[INST_STATES] = {
    [INST_WAITING]  = { 0,                false, true },
    [INST_PULLING]  = { 3600 * SECOND_MS, false, true },
    [INST_CREATING] = { 60 * SECOND_MS,   true,  true },
    [INST_STARTING] = { 60 * SECOND_MS,   true,  true },
    [INST_UP]       = { 0,                false, false },
    [INST_STOPPING] = { 0,                false, true },
    [INST_REMOVING] = { 60 * SECOND_MS,   false, true },
    [INST_EXITED]   = { 0,                false, false },
};

static const struct owner_ops *const owners[] = {
    [OWNER_REPLICA]    = &slot_owner_ops,
    [OWNER_EXECUTION]  = &execution_owner_ops,
    [OWNER_STANDALONE] = &standalone_owner_ops,
};
/* clang-format on */

static const struct owner_ops *ops_of(const struct instance *i)
{
    return i->owner ? owners[i->label.owner] : NULL;
}

/* ---- life of the object ------------------------------------------------------------------- */

/* All strings of the label, and the display name, in one piece of memory. */
static bool copy_label(struct instance *i, const struct inst_label *label)
{
    char display[CORE_NAME_MAX];
    core_name_format(label, display, sizeof display);
    const char *parts[] = { label->deployment, label->service, label->role, display };
    const char **copies[] = { &i->label.deployment, &i->label.service, &i->label.role,
                              &i->display };
    size_t total = 0;
    for (size_t k = 0; k < ZL_ARRAY_LEN(parts); k++)
        total += strlen(parts[k]) + 1;
    char *at = i->names = malloc(total);
    if (!at)
        return false;
    i->label = *label;
    for (size_t k = 0; k < ZL_ARRAY_LEN(parts); k++) {
        *copies[k] = at;
        at = stpcpy(at, parts[k]) + 1;
    }
    return true;
}

void instance_free(struct grave *g)
{
    struct instance *i = (struct instance *)g;
    version_clear(&i->version);
    free(i->names);
    free(i);
}

static void set_moving(struct core *c, struct instance *i, bool moving)
{
    if (moving && !i->moving)
        TAILQ_INSERT_TAIL(&c->moving, i, moving_link);
    else if (!moving && i->moving)
        TAILQ_REMOVE(&c->moving, i, moving_link);
    i->moving = moving;
}

struct instance *instance_new(struct core *c, struct inst_id id, const struct inst_label *label,
                              const struct version *version, void *owner)
{
    struct instance *i = calloc(1, sizeof *i);
    if (!i || !copy_label(i, label)) {
        free(i);
        return NULL;
    }
    i->grave.free = instance_free;
    i->id = id;
    if (version)
        version_copy(&i->version, version);
    i->owner = owner;
    i->deadline = NEVER;
    i->health.next_at = NEVER;
    i->created_ms = c->now.wall_ms;
    TAILQ_INSERT_TAIL(&c->instances, i, link);
    zl_map_add(&c->instance_ids, &i->by_id, id.v);
    set_moving(c, i, true);
    c->n_objects++;
    touch_instance(c, i);
    return i;
}

struct instance *instance_find(const struct core *c, struct inst_id id)
{
    struct zl_map_node *x = zl_map_find(&c->instance_ids, id.v);
    return x ? zl_container_of(x, struct instance, by_id) : NULL;
}

/* ---- states ------------------------------------------------------------------------------- */

/* The only writer of i->state: forgets what was under way. */
static void set_state(struct core *c, struct instance *i, enum inst_state state)
{
    if (i->state == INST_UP && state != INST_UP)
        health_end(c, i);
    i->state = state;
    i->op = 0;
    i->deadline = NEVER;
    set_moving(c, i, traits[state].moving);
    touch_instance(c, i);
}

/* Sends the request of the state that i is in, or of a harder try in it. */
static struct effect *request(struct core *c, struct instance *i, enum effect_kind kind,
                              uint64_t timeout_ms)
{
    struct effect *e = emit_request(c, kind, i->id);
    i->op = e->op;
    i->deadline = c->now.mono_ms + timeout_ms;
    touch_instance(c, i);
    return e;
}

static void enter_gone(struct core *c, struct instance *i, const struct outcome *o)
{
    (void)o;
    const struct owner_ops *ops = ops_of(i);
    set_state(c, i, INST_REMOVING);
    if (ops)
        ops->gone(c, i);
    TAILQ_REMOVE(&c->instances, i, link);
    zl_map_remove(&c->instance_ids, &i->by_id);
    set_moving(c, i, false);
    untouch_instance(c, i);
    c->n_objects--;
    core_bury(c, &i->grave);
}

static void send_remove(struct core *c, struct instance *i)
{
    const struct owner_ops *ops = ops_of(i);
    struct effect *e = request(c, i, EFF_REMOVE, traits[INST_REMOVING].timeout_ms);
    e->early = ops && ops->may_go_early && ops->may_go_early(i);
    e->soon = i->label.owner == OWNER_STANDALONE;
}

static void enter_removing(struct core *c, struct instance *i, const struct outcome *o)
{
    (void)o;
    set_state(c, i, INST_REMOVING);
    send_remove(c, i);
}

/* Tells the owner, then clears away what the failed step may have left. */
static void start_failed(struct core *c, struct instance *i, const struct outcome *o)
{
    struct start_failure f = { .during = i->state == INST_STOPPING ? INST_STARTING : i->state,
                               .err = o->failed };
    const struct owner_ops *ops = ops_of(i);
    bool nothing_made = i->state == INST_PULLING;
    i->ended = i->state != INST_STARTING || o->failed->kind != ZL_ERR_TIMEOUT;
    why_set(i->why, "%s", o->failed->msg);
    if (ops)
        ops->failed(c, i, &f);
    if (nothing_made)
        enter_gone(c, i, NULL);
    else
        enter_removing(c, i, NULL);
}

static bool wants_the_same_image(const struct instance *a, const struct instance *b)
{
    const struct spec_image *x = &a->version.service->image, *y = &b->version.service->image;
    return x->pull == y->pull && strcmp(x->name, y->name) == 0 &&
           strcmp(a->version.digest, b->version.digest) == 0;
}

static void enter_pulling(struct core *c, struct instance *i, const struct outcome *o)
{
    (void)o;
    const struct spec_image *image = &i->version.service->image;
    struct instance *other;
    set_state(c, i, INST_PULLING);
    TAILQ_FOREACH (other, &c->moving, moving_link) {
        if (other == i || other->state != INST_PULLING || !wants_the_same_image(i, other))
            continue;
        i->op = other->op; /* one pull serves a whole batch */
        i->deadline = other->deadline;
        return;
    }
    struct effect *e = request(c, i, EFF_PULL, traits[INST_PULLING].timeout_ms);
    e->early = i->label.owner == OWNER_STANDALONE;
    e->pull.image = image->name;
    e->pull.digest = i->version.digest[0] ? i->version.digest : NULL;
    e->pull.policy = image->pull;
}

static void after_pull(struct core *c, struct instance *i, const struct outcome *o)
{
    const struct owner_ops *ops = ops_of(i);
    i->pulled = true;
    if (o->digest)
        (void)snprintf(i->version.digest, sizeof i->version.digest, "%s", o->digest);
    if (ops && ops->pulled)
        ops->pulled(i);
    set_state(c, i, INST_WAITING);
}

static void enter_creating(struct core *c, struct instance *i, const struct outcome *o)
{
    (void)o;
    set_state(c, i, INST_CREATING);
    struct effect *e = request(c, i, EFF_CREATE, traits[INST_CREATING].timeout_ms);
    /* one that nobody knows is removed when it is found; it starts when it is stored */
    e->early = i->label.owner == OWNER_STANDALONE;
    e->create.label = i->label;
    e->create.service = i->version.service;
    e->create.image_digest = i->version.digest[0] ? i->version.digest : NULL;
    e->create.spec = i->version.spec;
    e->create.hold = i->hold;
}

/* The next step of one that waits */
static void step_on(struct core *c, struct instance *i, const struct outcome *o)
{
    if (i->pulled)
        enter_creating(c, i, o);
    else
        enter_pulling(c, i, o);
}

static void enter_starting(struct core *c, struct instance *i, const struct outcome *o)
{
    (void)o;
    set_state(c, i, INST_STARTING);
    struct effect *e = request(c, i, EFF_START, traits[INST_STARTING].timeout_ms);
    e->soon = i->label.owner == OWNER_STANDALONE; /* an execution never runs twice, host or not */
}

static uint64_t start_grace(const struct instance *i)
{
    return i->version.service ? i->version.service->health.start_grace_ms : 0;
}

static void enter_up(struct core *c, struct instance *i, const struct outcome *o)
{
    const struct owner_ops *ops = ops_of(i);
    set_state(c, i, INST_UP);
    i->pid = o->pid;
    i->started_ms = c->now.wall_ms;
    i->up_at = c->now.mono_ms;
    /* told together: an event alone would make the start wait for the disk */
    emit_inst_event(c, "create", i, "%s", i->label.service);
    emit_inst_event(c, "start", i, "%s", i->label.service);
    if (i->label.owner == OWNER_REPLICA && i->version.service)
        health_begin(c, i, start_grace(i));
    if (ops)
        ops->up(c, i);
}

static void note_exit(struct core *c, struct instance *i, const struct outcome *o)
{
    (void)c;
    i->ended = true;
    if (i->has_exit || !o || !o->exit)
        return;
    i->has_exit = true;
    i->exit = *o->exit;
}

/* Ended by itself, or stopped to be kept. */
static void enter_exited(struct core *c, struct instance *i, const struct outcome *o)
{
    const struct owner_ops *ops = ops_of(i);
    note_exit(c, i, o);
    emit_inst_event(c, "exit", i, "%s ended with code %d%s", i->label.service, i->exit.code,
                    inst_exit_note(&i->exit));
    set_state(c, i, INST_EXITED);
    i->pid = 0;
    if (ops)
        ops->exited(c, i);
    else
        instance_remove(c, i);
}

static void after_stop(struct core *c, struct instance *i, const struct outcome *o)
{
    note_exit(c, i, o);
    if (i->keep)
        enter_exited(c, i, o);
    else
        enter_removing(c, i, o);
}

/* Its process never was: there is no exit to wait for. */
static void never_started(struct core *c, struct instance *i)
{
    struct zl_error why = { 0 };
    char text[WHY_MAX];
    (void)snprintf(text, sizeof text, "%s", i->why);
    (void)zl_fail(&why, i->unstarted, "%s", text);
    start_failed(c, i, &(struct outcome){ .failed = &why });
}

/* The start that a stop has overtaken. */
static void start_overtaken(struct core *c, struct instance *i, const struct outcome *o)
{
    i->start_op = 0;
    if (!o->failed || o->failed->kind == ZL_ERR_TIMEOUT)
        return;
    touch_instance(c, i);
    i->unstarted = o->failed->kind;
    why_set(i->why, "%s", o->failed->msg);
    if (i->ended && i->keep && !i->has_exit)
        never_started(c, i);
}

/* The stop was answered: all processes are gone. Who is to be kept waits for the exit code. */
static void stop_done(struct core *c, struct instance *i, const struct outcome *o)
{
    i->op = 0;
    if (i->pressure != PRESS_STOP) { /* SIGKILL was sent: the exit is yet to come */
        i->deadline = c->now.mono_ms + KILL_WAIT_MS;
        return;
    }
    i->ended = true;
    if (!i->keep || i->has_exit) {
        after_stop(c, i, o);
        return;
    }
    if (i->unstarted) {
        never_started(c, i);
        return;
    }
    i->pressure = PRESS_REMOVE;
    i->deadline = c->now.mono_ms + EXIT_WAIT_MS;
}

/* SIGKILL after the stop, and after that the removal, which kills by the cgroup. */
static void press_harder(struct core *c, struct instance *i, const struct outcome *o)
{
    (void)o;
    if (i->pressure == PRESS_STOP) {
        i->pressure = PRESS_KILL;
        request(c, i, EFF_KILL, KILL_WAIT_MS)->stop.signal = 9;
        return;
    }
    if (!i->keep) {
        enter_removing(c, i, NULL);
        return;
    }
    if (i->unstarted && !i->has_exit) {
        never_started(c, i);
        return;
    }
    struct inst_exit lost = { .code = 255, .lost = true, .wall_ms = c->now.wall_ms };
    enter_exited(c, i, &(struct outcome){ .exit = &lost });
}

static void send_stop(struct core *c, struct instance *i, const struct stop_how *how)
{
    const struct spec_service *s = i->version.service;
    uint64_t grace = how->grace_ms ? how->grace_ms : s ? s->stop_grace_ms : DEFAULT_GRACE_MS;
    if (how->force)
        grace = 0;
    struct effect *e = request(c, i, EFF_STOP, grace + STOP_MARGIN_MS);
    e->stop.signal = how->force ? 9 : s ? s->stop_signal : 0;
    e->stop.grace_ms = grace;
    i->pressure = PRESS_STOP;
}

static void removal_failed(struct core *c, struct instance *i, const struct outcome *o)
{
    uint64_t pause = SECOND_MS;
    touch_instance(c, i);
    for (uint32_t k = i->removals_failed++; k > 0 && pause < REMOVAL_PAUSE_MAX_MS; k--)
        pause *= 2;
    i->op = 0;
    i->deadline = c->now.mono_ms + (pause < REMOVAL_PAUSE_MAX_MS ? pause : REMOVAL_PAUSE_MAX_MS);
    why_set(i->why, "remove: %s", o->failed->msg);
    if (i->removals_failed == 1)
        emit_inst_event(c, "remove_failed", i, "%s", i->why);
    /* Its process is gone: what is left of it need not keep the next one from starting. */
    if (i->ended && i->label.owner == OWNER_REPLICA && i->owner) {
        ops_of(i)->gone(c, i);
        i->owner = NULL;
    }
}

static void remove_again(struct core *c, struct instance *i, const struct outcome *o)
{
    (void)o;
    send_remove(c, i);
}

typedef void (*input_fn)(struct core *c, struct instance *i, const struct outcome *o);

/* A row reads: in this state, this input leads there. No entry: it means nothing here. */
/* clang-format off */
static const input_fn on_input[INST_STATES][INPUTS] = {
    [INST_WAITING]  = { [IN_GO] = step_on,          [IN_STOP] = enter_gone },
    [INST_PULLING]  = { [IN_DONE] = after_pull,     [IN_FAILED] = start_failed,
                        [IN_STOP] = enter_gone },
    [INST_CREATING] = { [IN_DONE] = enter_starting, [IN_FAILED] = start_failed,
                        [IN_STOP] = enter_removing, [IN_GO] = enter_starting },
    [INST_STARTING] = { [IN_DONE] = enter_up,       [IN_FAILED] = start_failed,
                        [IN_EXIT] = enter_exited },
    [INST_UP]       = { [IN_EXIT] = enter_exited },
    [INST_STOPPING] = { [IN_DONE] = stop_done,      [IN_FAILED] = press_harder,
                        [IN_EXIT] = after_stop,     [IN_TIMEOUT] = press_harder },
    [INST_REMOVING] = { [IN_DONE] = enter_gone,     [IN_FAILED] = removal_failed,
                        [IN_EXIT] = note_exit,      [IN_TIMEOUT] = remove_again },
    [INST_EXITED]   = { [IN_STOP] = enter_removing },
};
/* clang-format on */

static void give(struct core *c, struct instance *i, enum input in, const struct outcome *o)
{
    input_fn fn = on_input[i->state][in];
    if (!fn)
        return;
    touch_instance(c, i);
    fn(c, i, o);
}

/* ---- what owners ask ---------------------------------------------------------------------- */

void instance_adopt(struct core *c, struct instance *i, enum inst_state state, int64_t pid,
                    int64_t started_wall_ms)
{
    i->pulled = true;
    i->pid = pid;
    i->started_ms = started_wall_ms;
    i->up_at = c->now.mono_ms;
    set_state(c, i, state);
}

/* Probed from now on, with what is left of the start grace. */
static void resume_health(struct core *c, struct instance *i)
{
    int64_t age = c->now.wall_ms - i->started_ms;
    uint64_t grace = start_grace(i);
    bool past_grace = age < 0 || (uint64_t)age >= grace;
    health_begin(c, i, past_grace ? 0 : grace - (uint64_t)age);
}

void instance_stop(struct core *c, struct instance *i, const struct stop_how *how)
{
    bool harder = i->state == INST_STOPPING && how->force && !i->forced;
    if (i->state == INST_STOPPING && !how->keep && i->keep) {
        i->keep = false;
        if (i->ended) {
            enter_removing(c, i, NULL);
            return;
        }
    }
    if (i->state != INST_STARTING && i->state != INST_UP && !harder) {
        give(c, i, IN_STOP, NULL);
        return;
    }
    if (!harder)
        emit_inst_event(c, "stop", i, "%s", i->label.service);
    i->keep = how->keep;
    i->forced = how->force;
    if (i->state == INST_STARTING)
        i->start_op = i->op;
    set_state(c, i, INST_STOPPING);
    send_stop(c, i, how);
}

void instance_remove(struct core *c, struct instance *i)
{
    if (i->state != INST_REMOVING)
        enter_removing(c, i, NULL);
}

void instance_disown(struct core *c, struct instance *i)
{
    i->owner = NULL;
    i->keep = false;
    instance_stop(c, i, &(struct stop_how){ 0 });
}

/* ---- events ------------------------------------------------------------------------------- */

void instance_answer(struct core *c, uint64_t op, const struct outcome *o)
{
    struct instance *i, *next;
    for (i = TAILQ_FIRST(&c->moving); i; i = next) {
        next = TAILQ_NEXT(i, moving_link);
        if (i->op == op)
            give(c, i, o->failed ? IN_FAILED : IN_DONE, o);
        else if (i->state == INST_STOPPING && i->start_op == op)
            start_overtaken(c, i, o);
    }
}

void instance_exited(struct core *c, struct instance *i, const struct inst_exit *exit)
{
    give(c, i, IN_EXIT, &(struct outcome){ .exit = exit });
}

static void tick(struct core *c, struct instance *i)
{
    if (i->state == INST_UP)
        health_tick(c, i);
    if (c->now.mono_ms < i->deadline)
        return;
    struct zl_error err;
    bool unanswered = i->op != 0;
    (void)zl_fail(&err, ZL_ERR_TIMEOUT, "%s: no answer in time", inst_state_name(i->state));
    i->op = 0;
    i->deadline = NEVER;
    give(c, i, unanswered ? IN_FAILED : IN_TIMEOUT, &(struct outcome){ .failed = &err });
}

void instances_tick(struct core *c)
{
    struct instance *i, *next;
    for (i = TAILQ_FIRST(&c->touched_instances); i; i = next) {
        next = TAILQ_NEXT(i, touched_link);
        tick(c, i);
    }
}

void instance_settle_restored(struct core *c, struct instance *i)
{
    if (!i->owner)
        instance_disown(c, i);
    else if (i->state == INST_EXITED && i->has_exit)
        enter_exited(c, i, NULL);
    else if (i->state == INST_UP && i->label.owner == OWNER_REPLICA)
        resume_health(c, i);
}

void instances_admit(struct core *c)
{
    struct instance *i;
    uint32_t starting = 0;
    TAILQ_FOREACH (i, &c->moving, moving_link)
        starting += traits[i->state].takes_permit && i->op;
    TAILQ_FOREACH (i, &c->moving, moving_link) {
        bool found_created = i->state == INST_CREATING && !i->op;
        if (i->state != INST_WAITING && !found_created)
            continue;
        if (i->pulled && starting >= c->limits.max_concurrent_starts)
            continue;
        starting += i->pulled;
        give(c, i, IN_GO, NULL);
    }
}

bool instance_healthy(const struct instance *i)
{
    return i->state == INST_UP && i->health.state == HEALTH_HEALTHY;
}

uint64_t instance_deadline(const struct instance *i)
{
    uint64_t at = i->deadline;
    if (i->state == INST_UP)
        earlier(&at, health_deadline(i));
    return at;
}

int start_failure_code(const struct start_failure *f)
{
    if (f->during != INST_STARTING)
        return 125;
    /* The kinds are the runtime's word about the command itself; an errno may be of any step. */
    if (f->err->kind == ZL_ERR_NOT_FOUND)
        return 127;
    return f->err->kind == ZL_ERR_DENIED ? 126 : 125;
}
