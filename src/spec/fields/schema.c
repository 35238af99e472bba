// SPDX-License-Identifier: Apache-2.0
#include "spec/fields/schema.h"

#include <string.h>

#include "spec/fields/fields.h"

#define NAME_PATTERN "^[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?$"
#define SIZE_PATTERN "^0*[1-9][0-9]*(Ki|Mi|Gi|Ti)$"
#define DURATION_PATTERN                                                                           \
    "^(0|(\\s*[0-9]+(\\.[0-9]+)?\\s*"                                                              \
    "(ns|nsec|nanos|us|usec|µs|ms|msec|millis|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|"   \
    "d|days?|w|wk|wks|weeks?|M|months?|y|yrs?|years?)\\s*)+)$"

/* ---- scalars --------------------------------------------------------------------------------- */

SCHEMA(schema_text)
{
    (void)f;
    return json_pack("{s:[sss]}", "type", "string", "number", "boolean");
}

/* A text of this form; what a reader of YAML takes for a number has it as well. */
static json_t *text_like(const char *pattern)
{
    return json_pack("{s:s, s:s}", "type", "string", "pattern", pattern);
}

SCHEMA(schema_checked)
{
    const struct decode_checked *c = f->detail;
    json_t *text = schema_text(f);
    if (c && c->pattern)
        (void)json_object_set_new(text, "pattern", json_string(c->pattern));
    return text;
}

SCHEMA(schema_bool)
{
    (void)f;
    return json_pack("{s:s}", "type", "boolean");
}

SCHEMA(schema_integer)
{
    const struct decode_integer *c = f->detail;
    json_t *number = json_pack("{s:s, s:I}", "type", "integer", "minimum", (json_int_t)c->lo);
    if (c->hi <= INT64_MAX)
        (void)json_object_set_new(number, "maximum", json_integer((json_int_t)c->hi));
    return number;
}

SCHEMA(schema_weight)
{
    return json_pack("{s:[{s:i}, o]}", "anyOf", "const", 0, schema_integer(f));
}

static json_t *words_of(const struct walk_word *words)
{
    json_t *list = json_array();
    for (; words->name; words++) {
        if (!words->instead)
            (void)json_array_append_new(list, json_string(words->name));
    }
    return list;
}

SCHEMA(schema_enum)
{
    return json_pack("{s:o}", "enum", words_of(f->detail));
}

SCHEMA(schema_cpu)
{
    (void)f;
    return json_pack("{s:s, s:i}", "type", "number", "exclusiveMinimum", 0);
}

SCHEMA(schema_size)
{
    (void)f;
    return text_like(SIZE_PATTERN);
}

SCHEMA(schema_swap)
{
    return json_pack("{s:[{s:[is]}, o]}", "anyOf", "enum", -1, "-1", schema_size(f));
}

SCHEMA(schema_duration)
{
    (void)f;
    return json_pack("{s:[{s:i}, o]}", "anyOf", "const", 0, text_like(DURATION_PATTERN));
}

SCHEMA(schema_limit)
{
    json_t *duration = schema_duration(f);
    (void)json_array_append_new(json_object_get(duration, "anyOf"),
                                json_pack("{s:s}", "const", "none"));
    return duration;
}

SCHEMA(schema_image)
{
    (void)f;
    return json_pack("{s:[sss], s:i}", "type", "string", "number", "boolean", "minLength", 1);
}

SCHEMA(schema_signal)
{
    (void)f;
    return json_pack("{s:[{s:s, s:i, s:i}, o]}", "anyOf", "type", "integer", "minimum", 1,
                     "maximum", 64, text_like("^([1-9][0-9]?|(SIG)?[A-Z][A-Z0-9+-]*)$"));
}

SCHEMA(schema_tmpfs_mode)
{
    (void)f;
    return json_pack("{s:[{s:s, s:i}, o]}", "anyOf", "type", "integer", "minimum", 0,
                     text_like("^0o[0-7]{1,4}$"));
}

SCHEMA(schema_network)
{
    (void)f;
    return json_pack("{s:[o, {s:s}]}", "anyOf",
                     text_like("^(default|host|none|bridge(:.*)?|container:.+)$"), "type",
                     "object");
}

SCHEMA(schema_affinity)
{
    (void)f;
    return json_pack("{s:[{s:[ss]}, {s:s, s:{s:o}, s:[s], s:b}, o]}", "anyOf", "enum", "spread",
                     "pack", "type", "object", "properties", "pin", text_like("^\\s*[^=]+=.+$"),
                     "required", "pin", "additionalProperties", 0, text_like("^\\s*[^=]+=.+$"));
}

SCHEMA(schema_texts)
{
    return json_pack("{s:s, s:o}", "type", "array", "items", schema_text(f));
}

SCHEMA(schema_pairs)
{
    (void)f; /* a blank value is the empty text */
    return json_pack("{s:s, s:{s:[ssss]}}", "type", "object", "additionalProperties", "type",
                     "string", "number", "boolean", "null");
}

/* ---- structs --------------------------------------------------------------------------------- */

/* An optional field may be null: absent. */
static json_t *or_null(json_t *schema)
{
    json_t *type = json_object_get(schema, "type"), *words = json_object_get(schema, "enum");
    json_t *any = json_object_get(schema, "anyOf");
    if (any)
        (void)json_array_append_new(any, json_pack("{s:s}", "type", "null"));
    else if (words)
        (void)json_array_append_new(words, json_null());
    else if (json_is_array(type))
        (void)json_array_append_new(type, json_string("null"));
    else if (type)
        (void)json_object_set_new(schema, "type", json_pack("[Os]", type, "null"));
    return schema;
}

static json_t *services_schema(void);

static json_t *field_schema(const struct walk_field *f)
{
    json_t *schema = f->type->schema ? f->type->schema(f) : services_schema();
    if (!(f->flags & WALK_REQUIRED))
        schema = or_null(schema);
    if (f->doc)
        (void)json_object_set_new(schema, "description", json_string(f->doc));
    if (f->flags & WALK_DEPRECATED)
        (void)json_object_set_new(schema, "deprecated", json_true());
    return schema;
}

/* A mapping with these rows; kind, or NULL, is the word that its discriminator must be. */
static json_t *shape_schema(const struct walk_shape *shape, const char *kind)
{
    json_t *properties = json_object(), *required = json_array();
    if (kind) {
        (void)json_object_set_new(properties, shape->discriminator,
                                  json_pack("{s:s}", "const", kind));
        (void)json_array_append_new(required, json_string(shape->discriminator));
    }
    for (const struct walk_field *f = shape->fields; f->name; f++) {
        (void)json_object_set_new(properties, f->name, field_schema(f));
        if (f->flags & WALK_REQUIRED)
            (void)json_array_append_new(required, json_string(f->name));
    }
    return json_pack("{s:s, s:o, s:o, s:b}", "type", "object", "properties", properties, "required",
                     required, "additionalProperties", 0);
}

static json_t *variants_schema(const struct walk_variants *v)
{
    json_t *all = json_array();
    for (const struct walk_word *x = v->words; x->name; x++) {
        if (!x->instead)
            (void)json_array_append_new(all, shape_schema(&v->shapes[x->value], x->name));
    }
    return json_pack("{s:o}", "anyOf", all);
}

static json_t *part_schema(const struct walk_list *part)
{
    return part->variants ? variants_schema(part->variants) : shape_schema(part->shape, NULL);
}

SCHEMA(schema_struct)
{
    return shape_schema(f->detail, NULL);
}

SCHEMA(schema_variant)
{
    return variants_schema(f->detail);
}

SCHEMA(schema_optional)
{
    return part_schema(f->detail);
}

SCHEMA(schema_list)
{
    return json_pack("{s:s, s:o}", "type", "array", "items", part_schema(f->detail));
}

SCHEMA(schema_map)
{
    const struct decode_map *map = f->detail;
    return json_pack("{s:s, s:o}", "type", "object", "additionalProperties",
                     part_schema(&map->list));
}

/* Which of them it is decides a field beside it, so any will do here. */
SCHEMA(schema_init_with)
{
    const struct walk_variants *v = f->detail;
    json_t *all = json_array();
    for (const struct walk_word *x = v->words; x->name; x++) {
        if (!x->instead)
            (void)json_array_append_new(all, shape_schema(&v->shapes[x->value], NULL));
    }
    return json_pack("{s:o}", "anyOf", all);
}

static json_t *services_schema(void)
{
    return json_pack("{s:s, s:{s:s}, s:o}", "type", "object", "propertyNames", "pattern",
                     NAME_PATTERN, "additionalProperties", shape_schema(&spec_service_shape, NULL));
}

json_t *spec_schema(void)
{
    json_t *root =
        json_pack("{s:s, s:s}", "$schema", "https://json-schema.org/draft/2020-12/schema", "title",
                  "zlayer deployment document, version v1");
    json_t *document = shape_schema(&spec_document_shape, NULL);
    (void)json_object_update(root, document);
    json_decref(document);
    return root;
}
