// SPDX-License-Identifier: Apache-2.0
/* The types that rows of field tables name. In brackets: the type of the member. */
#ifndef ZL_SPEC_FIELDS_DECODE_H
#define ZL_SPEC_FIELDS_DECODE_H

#include "spec/fields/walk.h"

#define DECODE(name)                                                                               \
    void name(struct walk *w, const struct walk_field *f, const struct doc_node *n, void *owner)

struct decode_integer { /* detail of decode_integer; the member's type follows from it */
    size_t size;        /* 1, 2, 4 or 8 bytes */
    bool is_signed;
    int64_t lo; /* what is allowed; outside the type's own range it is E-RANGE */
    uint64_t hi;
    const char *id; /* of a value outside of lo to hi */
    bool strict;    /* v1 takes values outside of lo to hi */
};

typedef int (*decode_check_fn)(const char *text, struct spec_flaw *flaw);
struct decode_checked { /* detail of decode_checked */
    decode_check_fn check;
    const char *id, *what; /* "E-USER", "user" */
    const char *pattern;   /* of the schema: a regular expression that accepts at least as much */
};

struct decode_map { /* detail of type_map; the key becomes the first member, a const char * */
    struct walk_list list;
    const struct decode_checked *key;
};

/* clang-format off */
extern const struct walk_type
    type_text,       /* [const char *] */
    type_checked,    /* [const char *]; detail: struct decode_checked */
    type_bool,       /* [bool] */
    type_integer,    /* [u16 … i64]; detail: struct decode_integer */
    type_enum,       /* [an enum]; detail: struct walk_word[] */
    type_cpu,        /* [double] cores */
    type_size,       /* [uint64_t] bytes; detail: the id of an error */
    type_swap,       /* [int64_t] bytes, or -1 */
    type_duration,   /* [uint64_t] ms, rounded up */
    type_delay,      /* the same; 0: not said */
    type_positive,   /* [uint64_t] ms, more than 0; detail: the id of an error */
    type_texts,      /* [struct spec_strings] */
    type_struct,     /* [a struct]; detail: struct walk_shape */
    type_here,       /* a mapping whose fields belong to the owner itself; the same detail */
    type_variant,    /* [a struct]; detail: struct walk_variants */
    type_list,       /* [const T *, and a count]; detail: struct walk_list */
    type_labels,     /* [struct spec_pairs] */
    type_env,        /* [struct spec_pairs] */
    type_image,      /* [const char *] a reference */
    type_signal,     /* [int] */
    type_tmpfs_mode, /* [uint32_t] */
    type_source,     /* [const char *] a host path, made absolute */
    type_target,     /* [const char *] a path inside; detail: struct decode_checked */
    type_network,    /* network_mode, into a struct spec_service */
    /* decode_parts.c */
    type_optional,      /* [const T *, NULL: not said]; detail: struct walk_list */
    type_map,           /* [const T *, and a count]; detail: struct decode_map */
    type_checked_texts, /* [struct spec_strings]; detail: struct decode_checked */
    type_security_opts, /* the same; the path of a seccomp profile is made absolute */
    type_sysctls,       /* [struct spec_pairs] */
    type_said,          /* [enum spec_said] */
    type_affinity,      /* [struct spec_affinity] */
    type_cron,          /* [const char *] */
    type_time_zone,     /* [const char *] */
    type_init_with;     /* [struct spec_init_with]; detail: struct walk_variants, by 'uses' */
/* clang-format on */

DECODE(decode_integer); /* for types that add to it */
DECODE(decode_struct);

/* The member of the owner that a row is about. */
#define DECODE_MEMBER(type, f, owner) ((type *)(void *)((char *)(owner) + (f)->offset))

/* Reads "[+-]", digits, 0x, 0o, 0b as an integer; false: text is none. */
bool decode_integer_text(const char *text, bool *negative, uint64_t *magnitude, bool *too_big);

#endif
