// SPDX-License-Identifier: Apache-2.0
#include "spec/reference.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "spec/dump/dump_value.h"
#include "spec/fields/fields.h"
#include "spec/fields/schema.h"

enum { SHAPES_MAX = 80, OWNER_MAX = 4096 };

struct reference {
    struct zl_buf *out;
    struct { /* those that were explained: a shape that occurs twice is explained once */
        const struct walk_shape *shape;
        char *path;
    } said[SHAPES_MAX];
    size_t n_said;
};

/* What absent fields of a mapping mean, if its owner begins as zeros. */
static const char zeros[OWNER_MAX];

/* ---- a field -----------------------------------------------------------------------------------
 */

static void put_words(struct zl_buf *out, const struct walk_word *words)
{
    const char *separator = "";
    for (; words->name; words++) {
        if (words->instead)
            continue;
        zl_buf_addf(out, "%s`%s`", separator, words->name);
        separator = ", ";
    }
}

/* "1 to 65535" of a number whose bounds are not those of its width. */
static void put_bounds(struct zl_buf *out, const struct walk_field *f)
{
    json_t *schema = f->type->schema ? f->type->schema(f) : NULL;
    const json_t *low = json_object_get(schema, "minimum");
    const json_t *high = json_object_get(schema, "maximum");
    if (low && high && json_integer_value(high) < UINT32_MAX)
        zl_buf_addf(out, ", %" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT,
                    json_integer_value(low), json_integer_value(high));
    else if (json_integer_value(low) == 1)
        zl_buf_adds(out, ", at least 1");
    json_decref(schema);
}

static bool is_words(const struct walk_field *f)
{
    return f->type->schema == schema_enum;
}

static void put_kind(struct zl_buf *out, const struct walk_field *f)
{
    if (is_words(f)) {
        put_words(out, f->detail);
        return;
    }
    zl_buf_adds(out, f->type->name);
    put_bounds(out, f);
}

static void put_default(struct zl_buf *out, const struct walk_field *f, const void *owner)
{
    if (f->flags & WALK_REQUIRED) {
        zl_buf_adds(out, "required");
        return;
    }
    json_t *v = owner && f->type->value ? value_of(f, owner) : NULL;
    char *text = NULL;
    if (v && !json_is_object(v) && !json_is_array(v) && !json_is_string(v))
        text = json_dumps(v, JSON_ENCODE_ANY);
    if (json_is_string(v) || text)
        zl_buf_addf(out, "`%s`", text ? text : json_string_value(v));
    free(text);
    json_decref(v);
}

static void put_row(struct zl_buf *out, const struct walk_field *f, const void *owner)
{
    zl_buf_addf(out, "| `%s` | ", f->name);
    put_kind(out, f);
    zl_buf_adds(out, " | ");
    put_default(out, f, owner);
    zl_buf_addf(out, " | %s%s%s%s |\n", f->doc ? f->doc : "",
                f->flags & WALK_DEPRECATED ? ". Deprecated" : "",
                f->flags & WALK_EXTENSION ? ". Extension" : "",
                f->flags & WALK_LIVE ? ". Live" : "");
}

/* ---- a mapping ---------------------------------------------------------------------------------
 */

static void put_shape(struct reference *r, const char *path, const struct walk_shape *shape,
                      const void *owner);

static const char *said_before(const struct reference *r, const struct walk_shape *shape)
{
    for (size_t i = 0; i < r->n_said; i++)
        if (r->said[i].shape == shape)
            return r->said[i].path;
    return NULL;
}

static void put_variants(struct reference *r, const char *path, const struct walk_variants *v,
                         const void *owner)
{
    for (const struct walk_word *x = v->words; x->name; x++) {
        const struct walk_shape *shape = &v->shapes[x->value];
        zl_autobuf struct zl_buf name = ZL_BUF(512);
        if (x->instead)
            continue;
        zl_buf_addf(&name, "%s with `%s: %s`", path, v->key, x->name);
        put_shape(r, name.data, shape, owner);
    }
}

static void put_part(struct reference *r, const char *path, const struct walk_list *part)
{
    const void *owner = part->initial ? part->initial : part->item_size <= OWNER_MAX ? zeros : NULL;
    if (part->variants)
        put_variants(r, path, part->variants, owner);
    else
        put_shape(r, path, part->shape, owner);
}

/* What stands below a field; a table's detail is what its type says. */
static void put_below(struct reference *r, const char *above, const struct walk_field *f,
                      const void *owner)
{
    zl_autobuf struct zl_buf path = ZL_BUF(512);
    const char *at = owner;
    if (f->flags & WALK_ALIAS)
        return;
    zl_buf_addf(&path, "%s%s%s", above, *above ? "." : "", f->name);
    if (f->type->schema == schema_list)
        zl_buf_adds(&path, "[]");
    else if (f->type->schema == schema_map || !f->type->schema)
        zl_buf_adds(&path, ".NAME");
    if (!f->type->schema)
        put_shape(r, path.data, &spec_service_shape, &spec_service_initial);
    else if (f->type->schema == schema_map)
        put_part(r, path.data, &((const struct decode_map *)f->detail)->list);
    else if (f->type->schema == schema_list || f->type->schema == schema_optional)
        put_part(r, path.data, f->detail);
    else if (f->type->schema == schema_struct)
        put_shape(r, path.data, f->detail, at ? at + f->offset : NULL);
    else if (f->type->schema == schema_variant)
        put_variants(r, path.data, f->detail, at ? at + f->offset : NULL);
    else if (f->type->schema == schema_init_with)
        put_variants(r, path.data, f->detail, NULL);
}

static void put_shape(struct reference *r, const char *path, const struct walk_shape *shape,
                      const void *owner)
{
    const char *before = said_before(r, shape);
    zl_buf_addf(r->out, "\n### %s\n", *path ? path : "The document");
    if (before) {
        zl_buf_addf(r->out, "As %s.\n", before);
        return;
    }
    if (r->n_said < SHAPES_MAX) {
        r->said[r->n_said].shape = shape;
        r->said[r->n_said++].path = strdup(path);
    }
    if (!shape->fields->name) {
        zl_buf_adds(r->out, "No other fields.\n");
        return;
    }
    zl_buf_adds(r->out, "| field | what | default | meaning |\n|---|---|---|---|\n");
    for (const struct walk_field *f = shape->fields; f->name; f++)
        put_row(r->out, f, owner);
    for (const struct walk_field *f = shape->fields; f->name; f++)
        put_below(r, path, f, owner);
}

void spec_reference(struct zl_buf *out)
{
    struct reference r = { .out = out };
    put_shape(&r, "", &spec_document_shape, NULL);
    for (size_t i = 0; i < r.n_said; i++)
        free(r.said[i].path);
}
