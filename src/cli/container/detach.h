// SPDX-License-Identifier: Apache-2.0
/* The keys by which a user leaves a container that goes on: found in what is typed. */
#ifndef ZL_CLI_CONTAINER_DETACH_H
#define ZL_CLI_CONTAINER_DETACH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum { DETACH_KEYS_MAX = 8 };
#define DETACH_KEYS_DEFAULT "ctrl-p,ctrl-q"

struct detach {
    char keys[DETACH_KEYS_MAX];
    size_t n;    /* of keys; 0: nothing leaves */
    size_t held; /* how many of them were typed and are held back */
};

/* "ctrl-p,ctrl-q", "ctrl-], x"; "" : none; NULL: the default. INVALID tells what is wrong. */
int detach_init(struct detach *d, const char *keys, struct zl_error *err);
/*
 * Takes the keys out of the *n bytes just typed, in place. What was held back and turns out to be
 * no such sequence comes before them, so bytes has room for DETACH_KEYS_MAX more. True: the whole
 * sequence was typed, and what comes after it is dropped.
 */
bool detach_filter(struct detach *d, char *bytes, size_t *n);

#endif
