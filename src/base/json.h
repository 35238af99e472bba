// SPDX-License-Identifier: Apache-2.0
/*
 * JSON documents of others into structs of ours, by tables. A document is parsed strictly (RFC
 * 8259, duplicate keys refused) and walked by one decoder, so every wrong value is reported the
 * same way: "process.args[2]: expected a string, found 5". Built on jansson, whose json_t stays
 * visible for writing documents. Not part of `base`, but of `json_dep`: the shim links no parser.
 *
 *     static const struct zl_field user_fields[] = {
 *         { "uid", zl_json_u32, offsetof(struct user, uid), ZL_REQUIRED },
 *         { 0 },
 *     };
 *     zl_autojson struct zl_json doc = { 0 };
 *     if (zl_json_parse(&doc, bytes, n, "config.json", err) < 0 ||
 *         zl_json_decode(&doc, user_fields, &user, err) < 0)
 *         …
 *
 * What was decoded borrows from the document (strings from jansson, arrays from its pool) and is
 * valid until zl_json_done().
 */
#ifndef ZL_BASE_JSON_H
#define ZL_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

struct zl_json {
    json_t *root;
    const char *what;             /* what the document is, for errors: "config.json"; borrowed */
    bool strict;                  /* unknown keys are errors; set before zl_json_decode() */
    struct zl_json_block *blocks; /* the pool */
};

/* Parses n bytes; syntax errors name line and column. Values nest at most 2048 deep (jansson). */
int zl_json_parse(struct zl_json *doc, const char *bytes, size_t n, const char *what,
                  struct zl_error *err);
void zl_json_done(struct zl_json *doc);
static inline void zl_json_donep(struct zl_json *doc)
{
    zl_json_done(doc);
}
#define zl_autojson ZL_CLEANUP(zl_json_donep)

/* Zeroed memory that lives as long as the document; NULL when there is none left. */
void *zl_json_alloc(struct zl_json *doc, size_t n, size_t size);

/* A value and the way to it from the root. Lives on the decoder's stack. */
struct zl_json_at {
    struct zl_json *doc;
    const json_t *value;
    const struct zl_json_at *up; /* NULL: the root */
    const char *key;             /* of an object's member, or */
    size_t index;                /* of an array's element */
};

/* "<what>: <path>: <text>", ZL_ERR_INVALID; -1. */
int zl_json_fail(const struct zl_json_at *at, struct zl_error *err, const char *fmt, ...)
    ZL_PRINTF(3, 4);
/* "expected <wanted>, found <the value, shortened>"; -1. */
int zl_json_fail_type(const struct zl_json_at *at, const char *wanted, struct zl_error *err);

struct zl_field;
/* Puts the value at `at` into *out, whose type each decoder states. */
typedef int (*zl_json_fn)(const struct zl_json_at *at, const struct zl_field *f, void *out,
                          struct zl_error *err);

enum {
    ZL_REQUIRED = 1
}; /* a missing key, or null, is an error; otherwise the field stays as it was */

/* A table ends with an entry whose key is NULL. */
struct zl_field {
    const char *key;
    zl_json_fn decode;
    size_t offset;      /* of the member in the struct */
    unsigned flags;     /* ZL_REQUIRED */
    const void *detail; /* what the decoder needs: stated at each */
};

/* The root, an object, by a table. */
int zl_json_decode(struct zl_json *doc, const struct zl_field *fields, void *out,
                   struct zl_error *err);
/* An object by a table, for decoders of one's own. */
int zl_json_members(const struct zl_json_at *at, const struct zl_field *fields, void *out,
                    struct zl_error *err);

/* Optional numbers: JSON distinguishes absent from 0. */
struct zl_opt_i64 {
    bool set;
    int64_t v;
};
struct zl_opt_u64 {
    bool set;
    uint64_t v;
};
struct zl_strs {
    const char **v; /* n strings and a NULL; NULL itself when the key is absent */
    size_t n;
};
struct zl_pair {
    const char *key, *value;
};
struct zl_pairs {
    struct zl_pair *v;
    size_t n;
};
/* The shape of every list: struct { T *v; size_t n; } */
struct zl_list {
    void *v;
    size_t n;
};
/* detail of zl_json_list: how large an element is, and its table. */
struct zl_element {
    size_t size;
    const struct zl_field *fields;
};
/* detail of zl_json_enum; ends with a NULL name. */
struct zl_word {
    const char *name;
    int value;
};

/* Decoders. Integers given as 5.0 are accepted, 5.5 is not; out of range is an error. */
int zl_json_bool(const struct zl_json_at *, const struct zl_field *, void *, struct zl_error *);
int zl_json_i32(const struct zl_json_at *, const struct zl_field *, void *, struct zl_error *);
int zl_json_u32(const struct zl_json_at *, const struct zl_field *, void *, struct zl_error *);
int zl_json_i64(const struct zl_json_at *, const struct zl_field *, void *, struct zl_error *);
int zl_json_u64(const struct zl_json_at *, const struct zl_field *, void *, struct zl_error *);
int zl_json_opt_i64(const struct zl_json_at *, const struct zl_field *, void *, struct zl_error *);
int zl_json_opt_u64(const struct zl_json_at *, const struct zl_field *, void *, struct zl_error *);
/* const char * */
int zl_json_string(const struct zl_json_at *, const struct zl_field *, void *, struct zl_error *);
/* const char *, begins with '/' */
int zl_json_abs_path(const struct zl_json_at *, const struct zl_field *, void *, struct zl_error *);
/* struct zl_strs */
int zl_json_strs(const struct zl_json_at *, const struct zl_field *, void *, struct zl_error *);
/* struct zl_pairs, an object of strings, in the document's order */
int zl_json_pairs(const struct zl_json_at *, const struct zl_field *, void *, struct zl_error *);
/* int; detail: struct zl_word[] */
int zl_json_enum(const struct zl_json_at *, const struct zl_field *, void *, struct zl_error *);
/* a struct in place; detail: its struct zl_field[] */
int zl_json_object(const struct zl_json_at *, const struct zl_field *, void *, struct zl_error *);
/* a pointer to a struct, NULL when absent; detail: struct zl_element */
int zl_json_pointer(const struct zl_json_at *, const struct zl_field *, void *, struct zl_error *);
/* struct { T *v; size_t n; }; detail: struct zl_element */
int zl_json_list(const struct zl_json_at *, const struct zl_field *, void *, struct zl_error *);
/* struct { T *v; size_t n; } of an object whose values are objects, in the document's order; T
 * begins with the key, a const char *; detail: struct zl_element */
int zl_json_map(const struct zl_json_at *, const struct zl_field *, void *, struct zl_error *);
/* bool, true when the key is there with anything but null: for what is only refused or noted */
int zl_json_present(const struct zl_json_at *, const struct zl_field *, void *, struct zl_error *);

/* Appends value as text; flags as json_dumps() (JSON_COMPACT, JSON_INDENT(n)). */
int zl_json_dump(const json_t *value, size_t flags, struct zl_buf *out, struct zl_error *err);

#endif
