// SPDX-License-Identifier: Apache-2.0
#include "doc.h"

#include <stdlib.h>
#include <string.h>

struct doc {
    struct spec spec; /* first: a spec is a doc */
    unsigned refs;
    char deployment[64];
    struct spec_service services[DOC_SERVICES];
    struct spec_depends depends[DOC_SERVICES][DOC_DEPENDS];
};

static size_t live;

size_t doc_live(void)
{
    return live;
}

static uint64_t mix(uint64_t hash, const void *bytes, size_t n)
{
    const unsigned char *b = bytes;
    while (n--)
        hash = (hash ^ *b++) * UINT64_C(1099511628211);
    return hash;
}

static uint64_t mix_text(uint64_t hash, const char *text)
{
    return text ? mix(hash, text, strlen(text) + 1) : mix(hash, "", 1);
}

static uint64_t container_hash(const struct spec_service *s)
{
    uint64_t h = mix_text(UINT64_C(14695981039346656037), s->image.name);
    for (size_t i = 0; i < s->env.n; i++)
        h = mix_text(mix_text(h, s->env.v[i].key), s->env.v[i].value);
    return mix(h, &s->network, sizeof s->network) | 1;
}

static uint64_t full_hash(const struct spec_service *s)
{
    uint64_t h = mix(s->container_hash, &s->replicas, sizeof s->replicas);
    h = mix(h, &s->image.pull, sizeof s->image.pull);
    h = mix(h, &s->health.interval_ms, sizeof s->health.interval_ms);
    h = mix(h, &s->restart, sizeof s->restart);
    h = mix(h, &s->on_panic, sizeof s->on_panic);
    h = mix_text(h, s->schedule);
    for (size_t i = 0; i < s->n_depends; i++) {
        h = mix_text(h, s->depends[i].service);
        h = mix(h, &s->depends[i].condition, sizeof s->depends[i].condition);
        h = mix(h, &s->depends[i].timeout_ms, sizeof s->depends[i].timeout_ms);
    }
    return h;
}

struct spec *doc_new(const char *deployment, const struct spec_service *services, size_t n)
{
    struct doc *d = calloc(1, sizeof *d);
    if (!d || n > DOC_SERVICES)
        abort();
    d->refs = 1;
    live++;
    strncpy(d->deployment, deployment, sizeof d->deployment - 1);
    d->spec.deployment = d->deployment;
    d->spec.services = d->services;
    d->spec.n_services = n;
    d->spec.text = "";
    for (size_t i = 0; i < n; i++) {
        struct spec_service *s = &d->services[i];
        *s = services[i];
        if (s->n_depends > DOC_DEPENDS)
            abort();
        if (s->n_depends)
            memcpy(d->depends[i], services[i].depends, s->n_depends * sizeof *s->depends);
        s->depends = d->depends[i];
        s->container_hash = container_hash(s);
        s->full_hash = full_hash(s);
    }
    return &d->spec;
}

struct spec *spec_ref(const struct spec *s)
{
    struct spec *mine = (struct spec *)(uintptr_t)s; /* counted by its holder, not changed */
    ((struct doc *)mine)->refs++;
    return mine;
}

void spec_unref(const struct spec *s)
{
    struct doc *d = (struct doc *)(uintptr_t)s;
    if (!d || --d->refs)
        return;
    live--;
    free(d);
}

const char *spec_condition_name(enum spec_condition c)
{
    static const char *const names[] = { "started", "healthy", "ready" };
    return names[c];
}

struct spec_service doc_service(const char *name, const char *image, uint32_t replicas)
{
    return (struct spec_service){
        .name = name,
        .rtype = SPEC_SERVICE,
        .image.name = image,
        .replicas = replicas,
        .stop_grace_ms = 30000,
        .health = { .check = SPEC_CHECK_TCP,
                    .start_grace_ms = 5000,
                    .interval_ms = 10000,
                    .timeout_ms = 5000,
                    .retries = 3 },
    };
}

struct spec_service doc_checked(const char *name, const char *image, uint32_t replicas)
{
    struct spec_service s = doc_service(name, image, replicas);
    s.health.written = true;
    s.health.port = 80;
    return s;
}

struct spec_service doc_job(const char *name, const char *image)
{
    struct spec_service s = doc_service(name, image, 0);
    s.rtype = SPEC_JOB;
    s.stop_grace_ms = 10000;
    return s;
}

struct spec_service doc_cron(const char *name, const char *image, const char *schedule,
                             const struct spec_schedule_options *options)
{
    struct spec_service s = doc_job(name, image);
    s.rtype = SPEC_CRON;
    s.schedule = schedule;
    s.schedule_options = options;
    return s;
}
