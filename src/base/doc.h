// SPDX-License-Identifier: Apache-2.0
/*
 * A YAML 1.2 (so also JSON) text as a tree with positions. The tree says what stands in the text
 * and judges nothing but syntax and size: plain and quoted are told apart, tags are kept, and a key
 * that occurs twice is marked, so that a decoder can report each finding with its path.
 * An alias is the very node of its anchor; expansions are counted, not copied.
 */
#ifndef ZL_BASE_DOC_H
#define ZL_BASE_DOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

enum {
    DOC_MAX_DEPTH = 128,      /* of nesting, expanded aliases included */
    DOC_ALIAS_FACTOR = 100,   /* nodes reached through aliases, as a multiple of the events */
    DOC_MAX_TEXT = 8 << 20,   /* bytes: what the API accepts as a body */
    DOC_MAX_MEMORY = 1 << 30, /* of a tree; a text of the greatest length stays below */
};

enum doc_kind { DOC_SCALAR, DOC_MAP, DOC_SEQ };

struct doc_node {
    enum doc_kind kind : 8;
    bool plain; /* scalar without quotes or | or >: its text decides about null, bool, number */
    int line, column; /* 1-based, in characters; of a blank value: of its key */
    int last_line;    /* of a scalar: where its text ends */
    const char *tag;  /* "!bridge"; NULL when none or a core tag such as !!str */
    union {
        struct {
            const char *text;
            size_t len;
        } scalar; /* NUL-terminated, without NUL inside */
        struct {
            struct doc_pair *v; /* behind them, for doc_find, a table of them by key */
            size_t n;
        } map;
        struct {
            struct doc_node **v;
            size_t n;
        } seq;
    };
};

struct doc_pair {
    struct doc_node *key; /* of any kind: a decoder wants scalars */
    struct doc_node *value;
    const struct doc_node *first; /* the earlier key with the same text; NULL: not a repetition */
};

enum doc_problem { DOC_BAD_UTF8, DOC_BAD_SYNTAX, DOC_LIMIT, DOC_MULTI, DOC_NO_MEMORY };

struct doc_error {
    enum doc_problem problem;
    int line, column; /* 1-based; 0: the text as a whole */
    char text[200];   /* one sentence without the position */
};

/*
 * Parses text (len bytes) into arena. *ret is NULL for a text that has no content. Returns 0, or -1
 * with *error filled. Source: YAML 1.2.2; the bounds are those of docs/spec.md, "YAML profile".
 */
int doc_parse(const char *text, size_t len, struct zl_arena *arena, const struct doc_node **ret,
              struct doc_error *error);

/* A plain blank, ~, null, Null or NULL; and the blank alone. */
bool doc_is_null(const struct doc_node *n);
bool doc_is_blank(const struct doc_node *n);
/* The first pair with this key, in bounded time; NULL when there is none or n is not a map. */
const struct doc_pair *doc_find(const struct doc_node *n, const char *key);
/* "a mapping", "a list", "text". */
const char *doc_kind_name(const struct doc_node *n);

#endif
