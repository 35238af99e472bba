// SPDX-License-Identifier: Apache-2.0
/* What a scalar's grammar objects to. Filled by the parsers of this folder when they answer -1. */
#ifndef ZL_SPEC_VALUE_FLAW_H
#define ZL_SPEC_VALUE_FLAW_H

#include <stdbool.h>
#include <stddef.h>

struct spec_flaw {
    const char *why; /* "a unit is missing after the number"; static storage */
    size_t at;       /* byte offset in the text */
    bool strict;     /* v1 has always taken it: see SPEC_STRICT in walk.h */
};

static inline int spec_flaw_set(struct spec_flaw *flaw, const char *why, size_t at)
{
    *flaw = (struct spec_flaw){ .why = why, .at = at };
    return -1;
}

static inline int spec_flaw_set_strict(struct spec_flaw *flaw, const char *why, size_t at)
{
    *flaw = (struct spec_flaw){ .why = why, .at = at, .strict = true };
    return -1;
}

#endif
