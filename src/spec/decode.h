// SPDX-License-Identifier: Apache-2.0
/* The decode functions that rows of field tables name. In brackets: the type of the member. */
#ifndef ZL_SPEC_DECODE_H
#define ZL_SPEC_DECODE_H

#include "spec/walk.h"

#define DECODE(name)                                                                               \
    void name(struct walk *w, const struct walk_field *f, const struct doc_node *n, void *owner)

struct decode_integer { /* detail of decode_integer; the member's type follows from it */
    size_t size;        /* 2, 4 or 8 bytes */
    bool is_signed;
    int64_t lo; /* what is allowed; outside the type's own range it is E-RANGE */
    uint64_t hi;
    const char *id; /* of a value outside of lo to hi */
};

typedef int (*decode_check_fn)(const char *text, struct spec_flaw *flaw);
struct decode_checked { /* detail of decode_checked */
    decode_check_fn check;
    const char *id, *what; /* "E-USER", "user" */
};

DECODE(decode_text);       /* [const char *] */
DECODE(decode_checked);    /* [const char *]; detail: struct decode_checked */
DECODE(decode_bool);       /* [bool] */
DECODE(decode_integer);    /* [u16 … i64]; detail: struct decode_integer */
DECODE(decode_enum);       /* [an enum]; detail: struct walk_word[] */
DECODE(decode_cpu);        /* [double] cores */
DECODE(decode_size);       /* [uint64_t] bytes; detail: the id of an error */
DECODE(decode_swap);       /* [int64_t] bytes, or -1 */
DECODE(decode_duration);   /* [uint64_t] ms, rounded up */
DECODE(decode_positive);   /* [uint64_t] ms, more than 0; detail: the id of an error */
DECODE(decode_texts);      /* [struct spec_strings] */
DECODE(decode_struct);     /* [a struct]; detail: struct walk_shape */
DECODE(decode_here);       /* a mapping whose fields belong to the owner itself; the same detail */
DECODE(decode_list);       /* [const T *, and a count]; detail: struct walk_list */
DECODE(decode_labels);     /* [struct spec_pairs] */
DECODE(decode_env);        /* [struct spec_pairs] */
DECODE(decode_image);      /* [const char *] a reference */
DECODE(decode_signal);     /* [int] */
DECODE(decode_tmpfs_mode); /* [uint32_t] */
DECODE(decode_source);     /* [const char *] a host path, made absolute */
DECODE(decode_network);    /* network_mode, into a struct spec_service */

/* The member of the owner that a row is about. */
#define DECODE_MEMBER(type, f, owner) ((type *)(void *)((char *)(owner) + (f)->offset))

/* Reads "[+-]", digits, 0x, 0o, 0b as an integer; false: text is none. */
bool decode_integer_text(const char *text, bool *negative, uint64_t *magnitude, bool *too_big);

#endif
