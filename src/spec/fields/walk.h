// SPDX-License-Identifier: Apache-2.0
/*
 * From a tree of the document to structs, driven by tables: one table per struct, one walker for
 * all of them. It knows unknown, missing and repeated keys, null, tags and positions; what a single
 * value means is up to the decode function of its row.
 */
#ifndef ZL_SPEC_FIELDS_WALK_H
#define ZL_SPEC_FIELDS_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/doc.h"
#include "spec/diag.h"
#include "spec/value/flaw.h"

struct json_t; /* of jansson */

struct walk_path {              /* lives on the stack of the walker */
    const struct walk_path *up; /* NULL: the document */
    const char *key;            /* of a mapping's member, or NULL and */
    size_t index;               /* of a list's element */
    const struct doc_node *at;  /* what a missing field of it is reported at: its key */
};

struct walk {
    struct zl_arena *arena; /* of what is decoded */
    struct spec_diags *diags;
    const struct walk_path *path;
    const char *base_dir;       /* relative host paths start here; NULL: they are refused */
    const struct doc_node *map; /* whose fields are being decoded */
    bool compat;                /* what v1 always took is a warning, and extensions are unknown */
    bool unchecked;             /* in a row with WALK_UNCHECKED */
    bool alone;                 /* of one container, whose runtime comes with its image */
};

/* A severity for walk_report: an error, but a warning for who wants all that v1 has always taken,
 * which never looked at this. */
#define SPEC_STRICT ((enum spec_severity)(SPEC_INFO + 1))

struct walk_field;
/* Puts the value n into the struct `owner`, at f->offset. Reports what is wrong with it. */
typedef void (*walk_fn)(struct walk *w, const struct walk_field *f, const struct doc_node *n,
                        void *owner);

/* The value in `owner` as a document would say it, which reads back as the same; NULL: not said. */
typedef struct json_t *(*walk_value_fn)(const struct walk_field *f, const void *owner);
/* What may be written there, as JSON Schema 2020-12; null is added by the caller. */
typedef struct json_t *(*walk_schema_fn)(const struct walk_field *f);

/* How values of one kind are read; everything that is done with a field goes through its type. */
struct walk_type {
    const char *name; /* "duration", "a list of texts" */
    walk_fn decode;
    walk_value_fn value;   /* dump_value.h */
    walk_schema_fn schema; /* schema.h */
};

enum {
    WALK_REQUIRED = 1, /* absent and null are errors */
    WALK_TAGGED = 2,   /* the decode function judges the tag itself */
    WALK_ALIAS = 4,    /* another spelling of the row before it: only one of them may be written */
    WALK_DEPRECATED = 8,
    WALK_EXTENSION = 16,  /* not of plain v1 */
    WALK_SECRET = 32,     /* the value is never shown */
    WALK_LIVE = 64,       /* a change of it, or of what is in it, needs no new containers */
    WALK_OWNER = 128,     /* says who has the containers, not what they are: not in their hash */
    WALK_UNCHECKED = 256, /* v1 never looked at the values in it: their errors are SPEC_STRICT */
};

struct walk_field {
    const char *name;
    const struct walk_type *type;
    size_t offset;
    unsigned flags;
    const void *detail; /* what the type needs: stated at each */
    size_t written;     /* offset of a bool that tells "not said" from any value; 0: none */
    const char *doc;    /* one sentence for readers of the schema */
};

struct walk_habit { /* a name that people expect, and what it is called here */
    const char *name, *instead;
};

struct walk_shape {
    const char *noun;                /* "a service" */
    const struct walk_field *fields; /* ends with a NULL name */
    const struct walk_habit *habits; /* ends with a NULL name; NULL: none */
    const char *shorthand;           /* what to write where people put text or a list; NULL: none */
    const char *discriminator;       /* a key that was decoded before; NULL: none */
    const char *unknown_id; /* of an unknown or missing field; NULL: E-UNKNOWN-FIELD, … */
    bool drops_unknown;     /* v1 does not look at other keys here: SPEC_STRICT */
    bool has_secret;        /* one of the fields is WALK_SECRET */
};

struct walk_word { /* ends with a NULL name */
    const char *name;
    int value;
    const char *instead; /* not a spelling, but what people write who mean this one; else NULL */
};

struct walk_variants {
    const char *noun; /* "a mount": as long as its kind is not known */
    const char *key;  /* "type", "mode" */
    const struct walk_word *words;
    const struct walk_shape *shapes; /* by the word's value */
    size_t kind_offset;              /* of the enum in the struct */
    bool takes_lists;                /* v1 takes [word, …] here, by accident: SPEC_STRICT */
};

struct walk_list { /* of structs: the field is a pointer to the first */
    const struct walk_shape *shape;
    const struct walk_variants *variants; /* instead of shape */
    size_t item_size, count_offset;
    const void *initial; /* what an element is before it is decoded; NULL: zeros */
};

/* Reports at the position of n, with the present path. */
void walk_report(struct walk *w, enum spec_severity severity, const char *id,
                 const struct doc_node *n, const char *fmt, ...) ZL_PRINTF(5, 6);
#define walk_error(w, id, n, ...) walk_report(w, SPEC_ERROR, id, n, __VA_ARGS__)
#define walk_warn(w, id, n, ...) walk_report(w, SPEC_WARNING, id, n, __VA_ARGS__)
/* The severity of what is wrong with a value; strict: of this value anywhere. */
enum spec_severity walk_severity(const struct walk *w, bool strict);
/* E-TYPE: "expected <wanted>, found …". */
void walk_type_error(struct walk *w, const struct doc_node *n, const char *wanted,
                     const char *shorthand);
/* The value as messages show it: quoted, at most 80 bytes, control characters escaped. */
const char *walk_show(struct walk *w, const char *text);

/* Whether n has no tag; false after a report. */
bool walk_tag_is_usable(struct walk *w, const struct doc_node *n);

/* A struct in place, by its table; key is where missing fields are reported. */
void walk_struct(struct walk *w, const struct walk_shape *shape, const struct doc_node *n,
                 void *owner);
/* A struct whose table is chosen by one of its keys, whose value goes to kind_offset. */
void walk_variant(struct walk *w, const struct walk_variants *v, const struct doc_node *n,
                  void *owner);
/* The value of a spelling, by table; false after a report. */
bool walk_enum(struct walk *w, const struct walk_word *words, const struct doc_node *n, int *ret);
/* The text of a scalar; NULL after a report. */
const char *walk_text(struct walk *w, const struct doc_node *n);
/* Calls decode for each element, with its index in the path. */
typedef void (*walk_item_fn)(struct walk *w, const struct doc_node *n, void *arg, size_t i);
void walk_items(struct walk *w, const struct doc_node *list, walk_item_fn item, void *arg);
/* The same for the members of a free mapping: keys that are no text, repeated or << are reported.
 */
typedef void (*walk_member_fn)(struct walk *w, const struct doc_pair *p, void *arg, size_t i);
void walk_members(struct walk *w, const struct doc_node *map, walk_member_fn member, void *arg);

#endif
