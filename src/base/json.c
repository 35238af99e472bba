// SPDX-License-Identifier: Apache-2.0
/* One walker over jansson's values; the contract is in json.h. */
#include "base/json.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- the document and its pool ---- */

struct zl_json_block {
    struct zl_json_block *next;
    max_align_t bytes[];
};

void *zl_json_alloc(struct zl_json *doc, size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes) ||
        __builtin_add_overflow(bytes, sizeof(struct zl_json_block), &bytes))
        return NULL;
    struct zl_json_block *b = calloc(1, bytes);
    if (!b)
        return NULL;
    b->next = doc->blocks;
    doc->blocks = b;
    return b->bytes;
}

int zl_json_parse(struct zl_json *doc, const char *bytes, size_t n, const char *what,
                  struct zl_error *err)
{
    json_error_t at;

    doc->what = what;
    doc->root = json_loadb(bytes, n, JSON_REJECT_DUPLICATES, &at);
    /* UINT64_MAX is how "unlimited" is spelled in rlimits; jansson's integers end at INT64_MAX. As
     * reals, numbers keep 53 bits, which nothing else in such a document needs more of. */
    if (!doc->root && json_error_code(&at) == json_error_numeric_overflow)
        doc->root = json_loadb(bytes, n, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &at);
    if (!doc->root)
        return zl_fail(err, ZL_ERR_INVALID, "%s:%d:%d: %s", what, at.line, at.column, at.text);
    return 0;
}

void zl_json_done(struct zl_json *doc)
{
    int saved = errno;
    while (doc->blocks) {
        struct zl_json_block *b = doc->blocks;
        doc->blocks = b->next;
        free(b);
    }
    json_decref(doc->root);
    *doc = (struct zl_json){ 0 };
    errno = saved;
}

/* ---- errors with a path ---- */

static void add_path(const struct zl_json_at *at, struct zl_buf *out)
{
    if (!at->up)
        return;
    add_path(at->up, out);
    if (!at->key)
        zl_buf_addf(out, "[%zu]", at->index);
    else
        zl_buf_addf(out, "%s%s", at->up->up ? "." : "", at->key);
}

int zl_json_fail(const struct zl_json_at *at, struct zl_error *err, const char *fmt, ...)
{
    zl_autobuf struct zl_buf path = ZL_BUF(512);
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap); /* a longer text is cut: it is for people */
    va_end(ap);
    add_path(at, &path);
    return zl_fail(err, ZL_ERR_INVALID, "%s: %s%s%s", at->doc->what, path.data,
                   path.len ? ": " : "", text);
}

int zl_json_fail_type(const struct zl_json_at *at, const char *wanted, struct zl_error *err)
{
    char found[48] = "an object";
    size_t n = 0;

    if (json_is_array(at->value))
        (void)snprintf(found, sizeof found, "a list");
    else if (!json_is_object(at->value)) {
        n = json_dumpb(at->value, found, sizeof found - 1,
                       JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
        if (n >= sizeof found)
            memcpy(found + sizeof found - 4, "...", 4);
        else
            found[n] = '\0';
    }
    return zl_json_fail(at, err, "expected %s, found %s", wanted, found);
}

/* ---- the walker ---- */

static const struct zl_field *find_field(const struct zl_field *fields, const char *key)
{
    for (; fields->key; fields++)
        if (strcmp(fields->key, key) == 0)
            return fields;
    return NULL;
}

static int refuse_unknown(const struct zl_json_at *at, const struct zl_field *fields,
                          struct zl_error *err)
{
    for (void *it = json_object_iter((json_t *)(uintptr_t)at->value); it;
         it = json_object_iter_next((json_t *)(uintptr_t)at->value, it)) {
        const char *key = json_object_iter_key(it);
        if (!find_field(fields, key))
            return zl_json_fail(at, err, "unknown field '%s'", key);
    }
    return 0;
}

int zl_json_members(const struct zl_json_at *at, const struct zl_field *fields, void *out,
                    struct zl_error *err)
{
    if (!json_is_object(at->value))
        return zl_json_fail_type(at, "an object", err);
    if (at->doc->strict && refuse_unknown(at, fields, err) < 0)
        return -1;
    for (const struct zl_field *f = fields; f->key; f++) {
        const json_t *v = json_object_get(at->value, f->key);
        struct zl_json_at member = { .doc = at->doc, .value = v, .up = at, .key = f->key };
        if (!v || json_is_null(v)) {
            if (f->flags & ZL_REQUIRED)
                return zl_json_fail(&member, err, "required, but missing");
            continue;
        }
        if (f->decode(&member, f, (char *)out + f->offset, err) < 0)
            return -1;
    }
    return 0;
}

int zl_json_decode(struct zl_json *doc, const struct zl_field *fields, void *out,
                   struct zl_error *err)
{
    struct zl_json_at root = { .doc = doc, .value = doc->root };
    return zl_json_members(&root, fields, out, err);
}

/* ---- decoders of single values ---- */

int zl_json_present(const struct zl_json_at *at, const struct zl_field *f, void *out,
                    struct zl_error *err)
{
    (void)at, (void)f, (void)err;
    *(bool *)out = true;
    return 0;
}

int zl_json_bool(const struct zl_json_at *at, const struct zl_field *f, void *out,
                 struct zl_error *err)
{
    (void)f;
    if (!json_is_boolean(at->value))
        return zl_json_fail_type(at, "true or false", err);
    *(bool *)out = json_is_true(at->value);
    return 0;
}

/* The value as sign and magnitude, which holds every int64_t and every uint64_t. */
static int integer(const struct zl_json_at *at, bool *ret_negative, uint64_t *ret_magnitude,
                   struct zl_error *err)
{
    if (json_is_integer(at->value)) {
        json_int_t v = json_integer_value(at->value);
        *ret_negative = v < 0;
        *ret_magnitude = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
        return 0;
    }
    double d = json_is_real(at->value) ? json_real_value(at->value) : NAN;
    if (!(d == trunc(d)) || fabs(d) > 18446744073709551616.0)
        return zl_json_fail_type(at, "a whole number", err);
    *ret_negative = d < 0;
    *ret_magnitude = fabs(d) >= 18446744073709551616.0 ? UINT64_MAX : (uint64_t)fabs(d);
    return 0;
}

static int bounded(const struct zl_json_at *at, uint64_t below, uint64_t above, uint64_t *ret,
                   struct zl_error *err)
{
    bool negative = false;
    uint64_t magnitude = 0;

    if (integer(at, &negative, &magnitude, err) < 0)
        return -1;
    if (negative ? magnitude > below : magnitude > above)
        return zl_json_fail(at, err, "expected a number from %s%llu to %llu, found %s%llu",
                            below ? "-" : "", (unsigned long long)below, (unsigned long long)above,
                            negative ? "-" : "", (unsigned long long)magnitude);
    *ret = negative ? 0 - magnitude : magnitude;
    return 0;
}

#define INTEGER_DECODER(name, type, below, above)                                                  \
    int name(const struct zl_json_at *at, const struct zl_field *f, void *out,                     \
             struct zl_error *err)                                                                 \
    {                                                                                              \
        uint64_t bits = 0;                                                                         \
        (void)f;                                                                                   \
        if (bounded(at, below, above, &bits, err) < 0)                                             \
            return -1;                                                                             \
        *(type *)out = (type)bits;                                                                 \
        return 0;                                                                                  \
    }
INTEGER_DECODER(zl_json_i32, int32_t, (uint64_t)INT32_MAX + 1, INT32_MAX)
INTEGER_DECODER(zl_json_u32, uint32_t, 0, UINT32_MAX)
INTEGER_DECODER(zl_json_i64, int64_t, (uint64_t)INT64_MAX + 1, INT64_MAX)
INTEGER_DECODER(zl_json_u64, uint64_t, 0, UINT64_MAX)
#undef INTEGER_DECODER

int zl_json_opt_i64(const struct zl_json_at *at, const struct zl_field *f, void *out,
                    struct zl_error *err)
{
    struct zl_opt_i64 *o = out;
    if (zl_json_i64(at, f, &o->v, err) < 0)
        return -1;
    o->set = true;
    return 0;
}

int zl_json_opt_u64(const struct zl_json_at *at, const struct zl_field *f, void *out,
                    struct zl_error *err)
{
    struct zl_opt_u64 *o = out;
    if (zl_json_u64(at, f, &o->v, err) < 0)
        return -1;
    o->set = true;
    return 0;
}

int zl_json_string(const struct zl_json_at *at, const struct zl_field *f, void *out,
                   struct zl_error *err)
{
    (void)f;
    if (!json_is_string(at->value))
        return zl_json_fail_type(at, "a string", err);
    *(const char **)out = json_string_value(at->value);
    return 0;
}

int zl_json_abs_path(const struct zl_json_at *at, const struct zl_field *f, void *out,
                     struct zl_error *err)
{
    const char *path = NULL;
    if (zl_json_string(at, f, &path, err) < 0)
        return -1;
    if (!path || path[0] != '/')
        return zl_json_fail_type(at, "an absolute path", err);
    *(const char **)out = path;
    return 0;
}

/* "expected one of runc, crun, found …" */
int zl_json_enum(const struct zl_json_at *at, const struct zl_field *f, void *out,
                 struct zl_error *err)
{
    const struct zl_word *words = f->detail;
    const char *s = json_string_value(at->value);
    zl_autobuf struct zl_buf wanted = ZL_BUF(256);

    for (const struct zl_word *w = words; s && w->name; w++)
        if (strcmp(w->name, s) == 0) {
            *(int *)out = w->value;
            return 0;
        }
    zl_buf_adds(&wanted, "one of");
    for (const struct zl_word *w = words; w->name; w++)
        zl_buf_addf(&wanted, "%s%s", w == words ? " " : ", ", w->name);
    return zl_json_fail_type(at, wanted.data, err);
}

/* ---- decoders of composed values ---- */

static int no_memory(const struct zl_json_at *at, struct zl_error *err)
{
    return zl_fail(err, ZL_ERR_SYSTEM, "decode %s: out of memory", at->doc->what);
}

int zl_json_strs(const struct zl_json_at *at, const struct zl_field *f, void *out,
                 struct zl_error *err)
{
    struct zl_strs list = { .n = json_array_size(at->value) };

    if (!json_is_array(at->value))
        return zl_json_fail_type(at, "a list of strings", err);
    list.v = zl_json_alloc(at->doc, list.n + 1, sizeof *list.v);
    if (!list.v)
        return no_memory(at, err);
    for (size_t i = 0; i < list.n; i++) {
        struct zl_json_at el = { at->doc, json_array_get(at->value, i), at, NULL, i };
        if (zl_json_string(&el, f, &list.v[i], err) < 0)
            return -1;
    }
    *(struct zl_strs *)out = list;
    return 0;
}

int zl_json_pairs(const struct zl_json_at *at, const struct zl_field *f, void *out,
                  struct zl_error *err)
{
    struct zl_pairs list = { .n = 0 };
    json_t *object = (json_t *)(uintptr_t)at->value; /* jansson's iterators want it not const */

    if (!json_is_object(object))
        return zl_json_fail_type(at, "an object of strings", err);
    list.v = zl_json_alloc(at->doc, json_object_size(object) + 1, sizeof *list.v);
    if (!list.v)
        return no_memory(at, err);
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        struct zl_pair *p = &list.v[list.n++];
        p->key = json_object_iter_key(it);
        struct zl_json_at member = { at->doc, json_object_iter_value(it), at, p->key, 0 };
        if (zl_json_string(&member, f, &p->value, err) < 0)
            return -1;
    }
    *(struct zl_pairs *)out = list;
    return 0;
}

int zl_json_object(const struct zl_json_at *at, const struct zl_field *f, void *out,
                   struct zl_error *err)
{
    return zl_json_members(at, f->detail, out, err);
}

int zl_json_pointer(const struct zl_json_at *at, const struct zl_field *f, void *out,
                    struct zl_error *err)
{
    const struct zl_element *e = f->detail;
    void *object = zl_json_alloc(at->doc, 1, e->size);

    if (!object)
        return no_memory(at, err);
    if (zl_json_members(at, e->fields, object, err) < 0)
        return -1;
    memcpy(out, &object, sizeof object);
    return 0;
}

int zl_json_list(const struct zl_json_at *at, const struct zl_field *f, void *out,
                 struct zl_error *err)
{
    const struct zl_element *e = f->detail;
    struct zl_list list = { .n = json_array_size(at->value) };

    if (!json_is_array(at->value))
        return zl_json_fail_type(at, "a list", err);
    list.v = zl_json_alloc(at->doc, list.n + 1, e->size);
    if (!list.v)
        return no_memory(at, err);
    for (size_t i = 0; i < list.n; i++) {
        struct zl_json_at el = { at->doc, json_array_get(at->value, i), at, NULL, i };
        if (zl_json_members(&el, e->fields, (char *)list.v + i * e->size, err) < 0)
            return -1;
    }
    memcpy(out, &list, sizeof list);
    return 0;
}

int zl_json_map(const struct zl_json_at *at, const struct zl_field *f, void *out,
                struct zl_error *err)
{
    const struct zl_element *e = f->detail;
    struct zl_list list = { .n = 0 };
    json_t *object = (json_t *)(uintptr_t)at->value; /* jansson's iterators want it not const */

    if (!json_is_object(object))
        return zl_json_fail_type(at, "an object of objects", err);
    list.v = zl_json_alloc(at->doc, json_object_size(object) + 1, e->size);
    if (!list.v)
        return no_memory(at, err);
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        char *row = (char *)list.v + list.n++ * e->size;
        const char *key = json_object_iter_key(it);
        struct zl_json_at member = { at->doc, json_object_iter_value(it), at, key, 0 };
        memcpy(row, &key, sizeof key);
        if (zl_json_members(&member, e->fields, row, err) < 0)
            return -1;
    }
    memcpy(out, &list, sizeof list);
    return 0;
}

/* ---- writing ---- */

static int append(const char *bytes, size_t n, void *out)
{
    zl_buf_add(out, bytes, n);
    return 0;
}

int zl_json_dump(const json_t *value, size_t flags, struct zl_buf *out, struct zl_error *err)
{
    if (json_dump_callback(value, append, out, flags | JSON_ENCODE_ANY) < 0)
        return zl_fail(err, ZL_ERR_INTERNAL, "write JSON: a string is not UTF-8, or a cycle");
    return zl_buf_check(out, "JSON", err);
}
