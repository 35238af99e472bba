// SPDX-License-Identifier: Apache-2.0
#include "spec/hash.h"

#include <string.h>

#include "base/hash.h"
#include "base/imageref.h"
#include "spec/fields.h"

static uint64_t add_text(uint64_t h, const char *text)
{
    return zl_hash_bytes(h, text, strlen(text) + 1); /* the NUL keeps "a","b" from "ab" */
}

static uint64_t add_number(uint64_t h, uint64_t n)
{
    unsigned char bytes[8]; /* the same on every machine */
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(n >> (8 * i));
    return zl_hash_bytes(h, bytes, sizeof bytes);
}

static uint64_t number(uint64_t h, const char *name, uint64_t n, uint64_t initial)
{
    return n == initial ? h : add_number(add_text(h, name), n);
}

static uint64_t text(uint64_t h, const char *name, const char *value)
{
    return value ? add_text(add_text(h, name), value) : h;
}

static uint64_t texts(uint64_t h, const char *name, const struct spec_strings *s)
{
    if (!s->written)
        return h;
    h = add_number(add_text(h, name), s->n);
    for (size_t i = 0; i < s->n; i++)
        h = add_text(h, s->v[i]);
    return h;
}

/* A sum, so that the order of the members does not matter. */
static uint64_t pairs(uint64_t h, const char *name, const struct spec_pairs *p)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < p->n; i++)
        sum += add_text(add_text(ZL_HASH_START, p->v[i].key), p->v[i].value);
    return p->n ? add_number(add_number(add_text(h, name), p->n), sum) : h;
}

static uint64_t resources(uint64_t h, const struct spec_resources *r)
{
    uint64_t cpu;
    memcpy(&cpu, &r->cpu, sizeof cpu); /* IEEE 754 bits; 0.0 is all zeros */
    h = number(h, "cpu", cpu, 0);
    h = number(h, "memory", r->memory, 0);
    h = number(h, "memory_reservation", r->memory_reservation, 0);
    h = number(h, "memory_swap", (uint64_t)r->memory_swap, 0);
    h = number(h, "pids_limit", (uint64_t)r->pids_limit, 0);
    h = number(h, "cpu_shares", r->cpu_shares, 0);
    h = text(h, "cpuset", r->cpuset);
    if (r->has_oom_score_adj)
        h = add_number(add_text(h, "oom_score_adj"), (uint64_t)(int64_t)r->oom_score_adj);
    return h;
}

static uint64_t storage(uint64_t h, const struct spec_storage *s)
{
    h = add_number(add_text(h, "storage"), s->type);
    h = text(h, "source", s->source);
    h = text(h, "target", s->target);
    h = number(h, "readonly", s->readonly, false);
    h = number(h, "size", s->size, 0);
    return number(h, "mode", s->mode, 0);
}

static uint64_t container(const struct spec_service *s)
{
    char image[ZL_IMAGEREF_MAX];
    const char *why;
    uint64_t h = ZL_HASH_START;
    if (zl_imageref_normalize(s->image.name, image, &why) == 0)
        h = text(h, "image", image); /* nginx and docker.io/library/nginx:latest are the same */
    h = texts(h, "entrypoint", &s->command.entrypoint);
    h = texts(h, "args", &s->command.args);
    h = text(h, "workdir", s->command.workdir);
    h = pairs(h, "env", &s->env);
    h = pairs(h, "labels", &s->labels);
    h = resources(h, &s->resources);
    for (size_t i = 0; i < s->n_storage; i++)
        h = storage(h, &s->storage[i]);
    h = text(h, "user", s->user);
    h = text(h, "hostname", s->hostname);
    h = number(h, "network", s->network, SPEC_NET_DEFAULT);
    h = text(h, "network_name", s->network_name);
    h = number(h, "stop_signal", (uint64_t)s->stop_signal, 0);
    h = number(h, "tty", s->tty, false);
    h = number(h, "stdin_open", s->stdin_open, false);
    return number(h, "read_only_root_fs", s->read_only_root_fs, false);
}

static uint64_t health(uint64_t h, const struct spec_health *c, const struct spec_health *initial)
{
    if (!c->written)
        return h;
    h = add_number(add_text(h, "check"), c->check);
    h = number(h, "port", c->port, 0);
    h = text(h, "url", c->url);
    h = number(h, "expect_status", c->expect_status, initial->expect_status);
    h = text(h, "command", c->command);
    h = number(h, "start_grace", c->start_grace_ms, initial->start_grace_ms);
    h = number(h, "interval", c->interval_ms, initial->interval_ms);
    h = number(h, "timeout", c->timeout_ms, initial->timeout_ms);
    return number(h, "retries", c->retries, initial->retries);
}

static uint64_t depends(uint64_t h, const struct spec_depends *d)
{
    h = text(h, "depends", d->service);
    h = number(h, "condition", d->condition, SPEC_HEALTHY);
    h = number(h, "timeout", d->timeout_ms, 300000);
    return number(h, "on_timeout", d->on_timeout, SPEC_TIMEOUT_FAIL);
}

static uint64_t endpoint(uint64_t h, const struct spec_endpoint *e)
{
    h = text(h, "endpoint", e->name);
    h = number(h, "protocol", e->protocol, SPEC_HTTP);
    h = number(h, "port", e->port, 0);
    h = number(h, "target_port", e->target_port, e->port);
    h = number(h, "expose", e->expose, SPEC_INTERNAL);
    h = text(h, "path", e->path);
    return text(h, "host", e->host);
}

void spec_hash_service(struct spec_service *s)
{
    uint64_t h = container(s);
    s->container_hash = h;
    h = number(h, "rtype", s->rtype, SPEC_SERVICE);
    h = number(h, "pull_policy", s->image.pull, SPEC_PULL_IF_NOT_PRESENT);
    h = number(h, "replicas", s->replicas, 1);
    h = health(h, &s->health, &spec_service_initial.health);
    for (size_t i = 0; i < s->n_depends; i++)
        h = depends(h, &s->depends[i]);
    h = number(h, "restart", s->restart.kind, SPEC_RESTART_NONE_WRITTEN);
    h = number(h, "max_attempts", s->restart.max_attempts, 0);
    h = number(h, "delay", s->restart.delay_ms, 0);
    h = number(h, "on_panic", s->on_panic, SPEC_PANIC_RESTART);
    for (size_t i = 0; i < s->n_endpoints; i++)
        h = endpoint(h, &s->endpoints[i]);
    h = number(h, "stop_grace", s->stop_grace_ms,
               s->rtype == SPEC_SERVICE ? SPEC_GRACE_SERVICE_MS : SPEC_GRACE_JOB_MS);
    s->full_hash = number(h, "delete_on_exit", s->delete_on_exit, false);
}
