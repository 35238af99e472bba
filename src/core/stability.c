// SPDX-License-Identifier: Apache-2.0
#include "core/stability.h"

#include <stdio.h>
#include <string.h>

#include "core/emit.h"
#include "core/health.h"
#include "core/model/deployment.h"
#include "core/model/machine.h"
#include "core/model/slot.h"
#include "core/service.h"
#include "core/slot.h"
#include "core/touch.h"

enum { STABILIZE_MARGIN_MS = 10 * 1000 };

/* The only writer of d->status. */
void stability_set(struct core *c, struct deployment *d, enum deployment_status status,
                   const char *message)
{
    char text[WHY_MAX];
    why_set(text, "%s", message);
    if (d->status == status && strcmp(d->message, text) == 0)
        return;
    d->status = status;
    why_set(d->message, "%s", text);
    emit_event(c, deployment_status_name(status), d->name, "", (struct inst_id){ 0 }, "%s%s%s",
               d->name, *text ? ": " : "", text);
    touch_deployment(c, d);
}

void stability_begin(struct core *c, struct deployment *d)
{
    d->settled = false;
    d->steady_since = NEVER;
    d->progress_at = c->now.mono_ms;
    d->progressing = false;
    d->status = d->removing ? DEP_STOPPING : DEP_DEPLOYING;
    d->message[0] = '\0';
    touch_deployment(c, d);
}

bool stability_is_ready(const struct deployment *d)
{
    const struct service *s;
    TAILQ_FOREACH (s, &d->services, link)
        if (!s->absent && !service_complete(s))
            return false;
    return !d->removing;
}

static uint64_t settle_ms(const struct deployment *d)
{
    uint64_t ms = 0;
    const struct service *s;
    TAILQ_FOREACH (s, &d->services, link) {
        if (s->absent || service_is_job(s) || s->stopped || !s->desired)
            continue;
        uint64_t one = slot_settle_ms(s->target.service);
        ms = one > ms ? one : ms;
    }
    return ms;
}

static uint64_t stabilize_ms(const struct core *c, const struct deployment *d)
{
    uint64_t ms = c->limits.stabilize_timeout_ms;
    const struct service *s;
    TAILQ_FOREACH (s, &d->services, link) {
        const struct spec_health *h = &s->target.service->health;
        if (s->absent || service_is_job(s) || !health_has_check(s->target.service))
            continue;
        uint64_t one =
            h->start_grace_ms + h->retries * (h->interval_ms + h->timeout_ms) + STABILIZE_MARGIN_MS;
        ms = one > ms ? one : ms;
    }
    return ms;
}

static bool in_progress(const struct deployment *d)
{
    const struct service *s;
    TAILQ_FOREACH (s, &d->services, link)
        if (!s->absent && service_in_progress(s))
            return true;
    return false;
}

/* Its own reason, else the first of its slots that has one. */
static const char *reason_of(const struct service *s)
{
    const struct slot *slot;
    if (*s->why)
        return s->why;
    TAILQ_FOREACH (slot, &s->slots, link)
        if (*slot->why)
            return slot->why;
    return "";
}

/* "web 2 of 3 running, 1 healthy (exit code 1); db …", or "" when no service fails. */
static void describe(const struct deployment *d, bool failed_only, char *out, size_t size)
{
    const struct service *s;
    size_t n = 0;
    out[0] = '\0';
    TAILQ_FOREACH (s, &d->services, link) {
        if (s->absent || n >= size || (failed_only ? !service_failed(s) : service_complete(s)))
            continue;
        struct service_counts k = service_count(s);
        const char *why = reason_of(s);
        if (service_failed(s))
            n += (size_t)snprintf(out + n, size - n, "%s%.300s", n ? "; " : "", why);
        else
            n += (size_t)snprintf(out + n, size - n,
                                  "%s%.80s: %u of %u running, %u healthy%s%.200s", n ? "; " : "",
                                  s->name, k.running, s->desired, k.healthy, *why ? ", " : "", why);
    }
}

static void note_steady(struct core *c, struct deployment *d)
{
    if (d->steady_since == NEVER) {
        d->steady_since = c->now.mono_ms;
        touch_deployment(c, d);
    }
    if (c->now.mono_ms < d->steady_since + settle_ms(d))
        return;
    d->settled = true;
    stability_set(c, d, DEP_RUNNING, "");
}

/* The time to become stable begins anew as long as something is on its way, until this very step.
 */
static bool out_of_time(const struct core *c, struct deployment *d)
{
    bool progressing = in_progress(d);
    if (progressing || d->progressing)
        d->progress_at = c->now.mono_ms;
    d->progressing = progressing;
    return c->now.mono_ms >= d->progress_at + stabilize_ms(c, d);
}

void stability_check(struct core *c, struct deployment *d)
{
    char text[WHY_MAX];
    if (stability_is_ready(d)) {
        note_steady(c, d);
        return;
    }
    d->steady_since = NEVER;
    bool late = !d->settled && out_of_time(c, d);
    if (late) {
        d->settled = true; /* what is absent is not kept for ever */
        touch_deployment(c, d);
    }
    describe(d, true, text, sizeof text);
    if (!*text && late && d->status == DEP_DEPLOYING)
        describe(d, false, text, sizeof text);
    if (*text)
        stability_set(c, d, DEP_FAILED, text);
}

uint64_t stability_deadline(const struct core *c, const struct deployment *d)
{
    uint64_t at = NEVER;
    if (d->steady_since != NEVER && d->status != DEP_RUNNING)
        earlier(&at, d->steady_since + settle_ms(d));
    if (d->steady_since == NEVER && !d->settled && !in_progress(d))
        earlier(&at, d->progress_at + stabilize_ms(c, d));
    return at;
}
