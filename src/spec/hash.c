// SPDX-License-Identifier: Apache-2.0
#include "spec/hash.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/imageref.h"
#include "spec/dump/dump_value.h"
#include "spec/fields/fields.h"

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
    h = number(h, "mode", s->mode, 0);
    h = text(h, "name", s->name);
    h = number(h, "tier", s->tier, 0);
    h = text(h, "bucket", s->bucket);
    h = text(h, "prefix", s->prefix);
    h = text(h, "endpoint", s->endpoint);
    return text(h, "credentials", s->credentials);
}

static uint64_t value(uint64_t h, const char *name, const json_t *v)
{
    char *dumped = json_dumps(v, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    h = text(h, name, dumped);
    free(dumped);
    return h;
}

/*
 * Adds the rows (but those of `without`) whose value is not the initial one. initial is a struct
 * like s.
 */
static uint64_t rows(uint64_t h, const struct walk_shape *shape, const void *s, const void *initial,
                     unsigned without)
{
    for (const struct walk_field *f = shape->fields; f->name; f++) {
        if (f->flags & (without | WALK_ALIAS))
            continue;
        if (f->type == &type_struct && !f->written) {
            h = rows(h, f->detail, (const char *)s + f->offset, (const char *)initial + f->offset,
                     without);
            continue;
        }
        json_t *v = value_of(f, s), *absent = value_of(f, initial);
        if (v && !(absent && json_equal(v, absent)))
            h = value(h, f->name, v);
        json_decref(v);
        json_decref(absent);
    }
    return h;
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
    h = number(h, "read_only_root_fs", s->read_only_root_fs, false);
    return rows(h, &spec_service_shape, s, &spec_service_initial, WALK_LIVE | WALK_HASHED);
}

void spec_hash_service(struct spec_service *s)
{
    s->container_hash = container(s);
    s->full_hash = number(s->container_hash, "rtype", s->rtype, SPEC_SERVICE);
    s->full_hash = rows(s->full_hash, &spec_service_shape, s, &spec_service_initial, WALK_HASHED);
}
