// SPDX-License-Identifier: Apache-2.0
/*
 * Everything follows from the rows. A value is a number, 0 where it was not said; a row whose value
 * is the initial one adds nothing. Structs of their own (elements of lists, parts that may be
 * absent) are entered by their tables as well, so a later row in one of them, not written, leaves
 * the hash as it was.
 */
#include "spec/hash.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/imageref.h"
#include "spec/dump/dump_value.h"
#include "spec/fields/fields.h"

/* What is in a part whose list names nothing else; no part is larger. */
static const struct spec_service nothing;

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

/* ---- one value: of the row f in `owner`; initial is a struct like owner ---------------------- */

#define HASH(name)                                                                                 \
    static uint64_t name(const struct walk_field *f, const void *owner, const void *initial)

static uint64_t rows_hash(const struct walk_shape *shape, const void *s, const void *initial);

static uint64_t variant_hash(const struct walk_variants *v, const void *s, const void *initial)
{
    int kind;
    memcpy(&kind, (const char *)s + v->kind_offset, sizeof kind);
    const struct walk_shape *shape = &v->shapes[kind];
    if (!shape->fields) /* the one that no word says */
        return 0;
    return add_number(rows_hash(shape, s, initial), (uint64_t)kind);
}

static uint64_t part_hash(const struct walk_list *of, const void *part)
{
    const void *initial = of->initial ? of->initial : &nothing;
    return of->variants ? variant_hash(of->variants, part, initial)
                        : rows_hash(of->shape, part, initial);
}

HASH(hash_struct)
{
    return rows_hash(f->detail, (const char *)owner + f->offset, (const char *)initial + f->offset);
}

HASH(hash_variant)
{
    return variant_hash(f->detail, (const char *)owner + f->offset,
                        (const char *)initial + f->offset);
}

/* What may be in it depends on a field beside it. */
HASH(hash_init_with)
{
    const struct walk_variants *actions = f->detail;
    int kind;
    memcpy(&kind, (const char *)owner + actions->kind_offset, sizeof kind);
    return rows_hash(&actions->shapes[kind], (const char *)owner + f->offset,
                     (const char *)initial + f->offset);
}

HASH(hash_optional)
{
    const void *part = *VALUE_MEMBER(void *, f, owner);
    (void)initial;
    return part ? part_hash(f->detail, part) : 0;
}

HASH(hash_list)
{
    const struct walk_list *list = f->detail;
    const char *item = *VALUE_MEMBER(char *, f, owner);
    size_t n = value_count(list, owner);
    uint64_t h = ZL_HASH_START;
    (void)initial;
    for (size_t i = 0; i < n; i++, item += list->item_size)
        h = add_number(h, part_hash(list, item));
    return n ? h : 0;
}

/* A sum, so that the order of the members does not matter. */
HASH(hash_map)
{
    const struct decode_map *map = f->detail;
    const char *item = *VALUE_MEMBER(char *, f, owner);
    size_t n = value_count(&map->list, owner);
    uint64_t sum = 0;
    (void)initial;
    for (size_t i = 0; i < n; i++, item += map->list.item_size) /* the key is the first member */
        sum += add_text(add_number(ZL_HASH_START, part_hash(&map->list, item)),
                        *(const char *const *)(const void *)item);
    return n ? add_number(add_number(ZL_HASH_START, n), sum) : 0;
}

/* nginx and docker.io/library/nginx:latest are the same. */
HASH(hash_image)
{
    char image[ZL_IMAGEREF_MAX];
    const char *why, *name = *VALUE_MEMBER(char *, f, owner);
    (void)initial;
    if (!name)
        return 0;
    bool whole = zl_imageref_normalize(name, image, &why) == 0;
    return add_text(ZL_HASH_START, whole ? image : name);
}

/* Any other: as a document says it. */
HASH(hash_value)
{
    json_t *v = value_of(f, owner);
    char *dumped = v ? json_dumps(v, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY) : NULL;
    uint64_t h = dumped ? add_text(ZL_HASH_START, dumped) : 0;
    (void)initial;
    free(dumped);
    json_decref(v);
    return h;
}

static const struct {
    const struct walk_type *type;
    uint64_t (*hash)(const struct walk_field *f, const void *owner, const void *initial);
} hashes_of_types[] = {
    { &type_struct, hash_struct },
    { &type_variant, hash_variant },
    { &type_optional, hash_optional },
    { &type_list, hash_list },
    { &type_map, hash_map },
    { &type_image, hash_image },
    { &type_init_with, hash_init_with },
};

static uint64_t field_hash(const struct walk_field *f, const void *owner, const void *initial)
{
    if (!value_is_said(f, owner))
        return 0;
    for (size_t i = 0; i < ZL_ARRAY_LEN(hashes_of_types); i++) {
        if (hashes_of_types[i].type == f->type)
            return hashes_of_types[i].hash(f, owner, initial);
    }
    return hash_value(f, owner, initial);
}

/* ---- rows ------------------------------------------------------------------------------------ */

struct hashes {
    uint64_t container, full;
};

static struct hashes add_rows(struct hashes h, const struct walk_shape *shape, const void *s,
                              const void *initial);

/* What the row adds; 0: nothing. */
static struct hashes row_hashes(const struct walk_field *f, const void *s, const void *initial)
{
    const struct walk_shape *inside = value_inside(f, &s, &initial);
    if (inside)
        return add_rows((struct hashes){ 0, 0 }, inside, s, initial);
    uint64_t now = field_hash(f, s, initial);
    if (now && now == field_hash(f, initial, initial))
        now = 0;
    return (struct hashes){ now, now };
}

static uint64_t add_row(uint64_t h, const struct walk_field *f, uint64_t value)
{
    return value ? add_number(add_text(h, f->name), value) : h;
}

static struct hashes add_rows(struct hashes h, const struct walk_shape *shape, const void *s,
                              const void *initial)
{
    for (const struct walk_field *f = shape->fields; f->name; f++) {
        if (f->flags & WALK_ALIAS)
            continue;
        struct hashes row = row_hashes(f, s, initial);
        h.full = add_row(h.full, f, row.full);
        if (!(f->flags & (WALK_LIVE | WALK_OWNER)))
            h.container = add_row(h.container, f, row.container);
    }
    return h;
}

/* Of a struct of its own, of which every row shapes the container. */
static uint64_t rows_hash(const struct walk_shape *shape, const void *s, const void *initial)
{
    return add_rows((struct hashes){ 0, ZL_HASH_START }, shape, s, initial).full;
}

void spec_hash_service(struct spec_service *s)
{
    struct hashes h = add_rows((struct hashes){ ZL_HASH_START, ZL_HASH_START }, &spec_service_shape,
                               s, &spec_service_initial);
    s->container_hash = h.container;
    s->full_hash = h.full;
}
