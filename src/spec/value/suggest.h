// SPDX-License-Identifier: Apache-2.0
/* Which known word somebody probably meant. */
#ifndef ZL_SPEC_VALUE_SUGGEST_H
#define ZL_SPEC_VALUE_SUGGEST_H

#include <stddef.h>

/*
 * Keeps the nearest of the words shown to it: insertions, deletions, replacements and swaps of
 * neighbours count one each, upper and lower case are equal. Zeroed but for `typed` at first.
 */
struct spec_nearest {
    const char *typed;
    const char *word; /* the best so far; NULL: nothing is near enough */
    unsigned distance;
};

void spec_nearest_try(struct spec_nearest *s, const char *word);

#endif
