// SPDX-License-Identifier: Apache-2.0
/*
 * A value that could not have been written was not: an integer outside of its row's range, an enum
 * without a word, a struct that lacks a required field. So no struct needs to remember what was
 * said, but where absent and default differ (walk_field.written).
 */
#include "spec/dump/dump_value.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "spec/fields/decode.h"
#include "spec/spec.h"

/* ---- scalars --------------------------------------------------------------------------------- */

VALUE(value_text)
{
    const char *text = *VALUE_MEMBER(char *, f, owner);
    return text ? json_string(text) : NULL;
}

VALUE(value_bool)
{
    return json_boolean(*VALUE_MEMBER(bool, f, owner));
}

static uint64_t load_bits(const void *from, size_t size, bool is_signed)
{
    uint8_t u8 = 0;
    uint16_t u16 = 0;
    uint32_t u32 = 0;
    uint64_t u64 = 0;
    void *to = size == sizeof u8    ? (void *)&u8
               : size == sizeof u16 ? (void *)&u16
               : size == sizeof u32 ? (void *)&u32
                                    : (void *)&u64;
    memcpy(to, from, size);
    uint64_t bits = u64 | u32 | u16 | u8;
    uint64_t sign = UINT64_C(1) << (size * 8 - 1);
    return is_signed ? (bits ^ sign) - sign : bits;
}

VALUE(value_integer)
{
    const struct decode_integer *c = f->detail;
    uint64_t bits = load_bits(VALUE_MEMBER(char, f, owner), c->size, c->is_signed);
    bool below = c->is_signed ? (int64_t)bits < c->lo : c->lo > 0 && bits < (uint64_t)c->lo;
    bool above = (!c->is_signed || (int64_t)bits > 0) && bits > c->hi;
    if (below || above)
        return NULL;
    if (!c->is_signed && bits > INT64_MAX) /* more than jansson's integers hold, or anybody means */
        bits = INT64_MAX;
    return json_integer((json_int_t)bits);
}

VALUE(value_nonzero)
{
    const struct decode_integer *c = f->detail;
    return load_bits(VALUE_MEMBER(char, f, owner), c->size, false) ? value_integer(f, owner) : NULL;
}

VALUE(value_enum)
{
    const struct walk_word *words = f->detail;
    int value = *VALUE_MEMBER(int, f, owner);
    for (; words->name; words++) {
        if (words->value == value && !words->instead)
            return json_string(words->name);
    }
    return NULL;
}

VALUE(value_cpu)
{
    double cores = *VALUE_MEMBER(double, f, owner);
    if (!(cores > 0))
        return NULL;
    return cores < 1e15 && cores == floor(cores) ? json_integer((json_int_t)cores)
                                                 : json_real(cores);
}

/* The number with the greatest unit in which it is whole; units ends with factor 1. */
struct unit {
    const char *name;
    uint64_t factor;
};
static json_t *with_unit(uint64_t n, const struct unit *unit)
{
    char text[40];
    while (n % unit->factor != 0)
        unit++;
    (void)snprintf(text, sizeof text, "%llu%s", (unsigned long long)(n / unit->factor), unit->name);
    return json_string(text);
}

static json_t *size_text(uint64_t bytes)
{
    static const struct unit units[] = {
        { "Ti", UINT64_C(1) << 40 }, { "Gi", 1 << 30 }, { "Mi", 1 << 20 },
        { "Ki", 1 << 10 },           { "", 1 }, /* no document says that */
    };
    return bytes ? with_unit(bytes, units) : NULL;
}

VALUE(value_size)
{
    return size_text(*VALUE_MEMBER(uint64_t, f, owner));
}

VALUE(value_swap)
{
    int64_t bytes = *VALUE_MEMBER(int64_t, f, owner);
    return bytes < 0 ? json_integer(-1) : size_text((uint64_t)bytes);
}

VALUE(value_duration)
{
    static const struct unit units[] = {
        { "h", 3600000 },
        { "m", 60000 },
        { "s", 1000 },
        { "ms", 1 },
    };
    uint64_t ms = *VALUE_MEMBER(uint64_t, f, owner);
    return ms == UINT64_MAX ? NULL : with_unit(ms, ms ? units : units + 2);
}

VALUE(value_positive)
{
    return *VALUE_MEMBER(uint64_t, f, owner) ? value_duration(f, owner) : NULL;
}

VALUE(value_signal)
{
    char text[16];
    int number = *VALUE_MEMBER(int, f, owner);
    if (number <= 0)
        return NULL;
    const char *name = sigabbrev_np(number); /* NULL for those of real time */
    (void)(name ? snprintf(text, sizeof text, "SIG%s", name)
                : snprintf(text, sizeof text, "%d", number));
    return json_string(text);
}

/* A decimal number whose digits are the octal ones: so the document writes modes. */
VALUE(value_tmpfs_mode)
{
    uint32_t mode = *VALUE_MEMBER(uint32_t, f, owner);
    json_int_t digits = 0, place = 1;
    for (uint32_t m = mode; m; m >>= 3, place *= 10)
        digits += (json_int_t)(m & 7) * place;
    return mode ? json_integer(digits) : NULL;
}

VALUE(value_network)
{
    static const char *const words[] = {
        [SPEC_NET_DEFAULT] = "default",     [SPEC_NET_HOST] = "host",
        [SPEC_NET_NONE] = "none",           [SPEC_NET_BRIDGE] = "bridge",
        [SPEC_NET_CONTAINER] = "container",
    };
    const struct spec_service *s = owner;
    (void)f;
    return s->network_name ? json_sprintf("%s:%s", words[s->network], s->network_name)
                           : json_string(words[s->network]);
}

VALUE(value_said)
{
    enum spec_said said = *VALUE_MEMBER(enum spec_said, f, owner);
    return said == SPEC_SAID_NOTHING ? NULL : json_boolean(said == SPEC_SAID_TRUE);
}

VALUE(value_affinity)
{
    const struct spec_affinity *a = VALUE_MEMBER(struct spec_affinity, f, owner);
    switch (a->kind) {
    case SPEC_AFFINITY_NONE_WRITTEN:
        return NULL;
    case SPEC_AFFINITY_SPREAD:
        return json_string("spread");
    case SPEC_AFFINITY_PACK:
        return json_string("pack");
    case SPEC_AFFINITY_PIN:
        return json_pack("{s:s}", "pin", a->pin);
    }
    return NULL;
}

/* ---- lists and mappings of texts ------------------------------------------------------------- */

VALUE(value_texts)
{
    const struct spec_strings *s = VALUE_MEMBER(struct spec_strings, f, owner);
    if (!s->written)
        return NULL;
    json_t *list = json_array();
    for (size_t i = 0; i < s->n; i++)
        (void)json_array_append_new(list, json_string(s->v[i]));
    return list;
}

VALUE(value_pairs)
{
    const struct spec_pairs *p = VALUE_MEMBER(struct spec_pairs, f, owner);
    json_t *map = p->n ? json_object() : NULL;
    for (size_t i = 0; i < p->n; i++)
        (void)json_object_set_new(map, p->v[i].key, json_string(p->v[i].value));
    return map;
}

/* ---- structs --------------------------------------------------------------------------------- */

bool value_is_said(const struct walk_field *f, const void *owner)
{
    return !f->written || *(const bool *)((const char *)owner + f->written);
}

VALUE(value_of)
{
    return value_is_said(f, owner) && f->type->value ? f->type->value(f, owner) : NULL;
}

const struct walk_shape *value_inside(const struct walk_field *f, const void **a, const void **b)
{
    bool is_struct = f->type == &type_struct;
    if ((!is_struct && f->type != &type_here) || f->written)
        return NULL;
    size_t inside = is_struct ? f->offset : 0;
    *a = (const char *)*a + inside;
    *b = (const char *)*b + inside;
    return f->detail;
}

bool value_add_fields(const struct walk_shape *shape, const void *owner, json_t *into)
{
    for (const struct walk_field *f = shape->fields; f->name; f++) {
        json_t *v = f->flags & WALK_ALIAS ? NULL : value_of(f, owner);
        if (json_is_false(v) && f->flags & WALK_DEPRECATED) /* would only earn a warning */
            v = NULL;
        if (!v && f->flags & WALK_REQUIRED)
            return false;
        if (v && f->flags & WALK_SECRET) {
            json_decref(v);
            v = json_string("(not shown)");
        }
        if (v)
            (void)json_object_set_new(into, f->name, v);
    }
    return true;
}

static const char *kind_word(const struct walk_variants *v, int kind)
{
    for (const struct walk_word *x = v->words; x->name; x++) {
        if (x->value == kind && !x->instead)
            return x->name;
    }
    return NULL;
}

/* A part by its shape, or by the one of its kind. */
static json_t *part_value(const struct walk_shape *shape, const struct walk_variants *v,
                          const void *part)
{
    json_t *map = json_object();
    if (v) {
        int kind;
        memcpy(&kind, (const char *)part + v->kind_offset, sizeof kind);
        const char *word = kind_word(v, kind);
        shape = word ? &v->shapes[kind] : NULL;
        if (word)
            (void)json_object_set_new(map, v->key, json_string(word));
    }
    if (shape && value_add_fields(shape, part, map))
        return map;
    json_decref(map);
    return NULL;
}

static json_t *unless_empty(json_t *map)
{
    if (map && !json_object_size(map)) {
        json_decref(map);
        return NULL;
    }
    return map;
}

VALUE(value_struct)
{
    return unless_empty(part_value(f->detail, NULL, VALUE_MEMBER(char, f, owner)));
}

VALUE(value_here)
{
    return unless_empty(part_value(f->detail, NULL, owner));
}

VALUE(value_variant)
{
    return part_value(NULL, f->detail, VALUE_MEMBER(char, f, owner));
}

VALUE(value_optional)
{
    const struct walk_list *part = f->detail;
    const void *at = *VALUE_MEMBER(void *, f, owner);
    return at ? part_value(part->shape, part->variants, at) : NULL;
}

size_t value_count(const struct walk_list *list, const void *owner)
{
    size_t n;
    memcpy(&n, (const char *)owner + list->count_offset, sizeof n);
    return n;
}

VALUE(value_list)
{
    const struct walk_list *list = f->detail;
    const char *item = *VALUE_MEMBER(char *, f, owner);
    size_t n = value_count(list, owner);
    json_t *all = n ? json_array() : NULL;
    for (size_t i = 0; i < n; i++, item += list->item_size)
        (void)json_array_append_new(all, part_value(list->shape, list->variants, item));
    return all;
}

VALUE(value_map)
{
    const struct decode_map *map = f->detail;
    const char *item = *VALUE_MEMBER(char *, f, owner);
    size_t n = value_count(&map->list, owner);
    json_t *all = n ? json_object() : NULL;
    for (size_t i = 0; i < n; i++, item += map->list.item_size) /* the key is the first member */
        (void)json_object_set_new(all, *(const char *const *)(const void *)item,
                                  part_value(map->list.shape, map->list.variants, item));
    return all;
}

VALUE(value_init_with)
{
    const struct walk_variants *actions = f->detail;
    int kind;
    memcpy(&kind, (const char *)owner + actions->kind_offset, sizeof kind);
    return unless_empty(part_value(&actions->shapes[kind], NULL, VALUE_MEMBER(char, f, owner)));
}
