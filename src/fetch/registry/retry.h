// SPDX-License-Identifier: Apache-2.0
/* Whether, and when, to ask once more. */
#ifndef ZL_FETCH_REGISTRY_RETRY_H
#define ZL_FETCH_REGISTRY_RETRY_H

#include "fetch/registry/http.h"

enum {
    RETRY_MAX = 5,              /* in a row without much progress */
    RETRY_FIRST_MS = 200,       /* doubled each time */
    RETRY_LONGEST_MS = 10000,   /* of our own waits */
    RETRY_AFTER_LONGEST_S = 120 /* what a server may ask for; more is told instead of waited */
};

struct retry {
    unsigned failures; /* in a row; set to 0 when something came */
};

/* After this end: the milliseconds to wait before the next try; -1: there is none. random: any
 * number, so that many clients do not come back at once. */
int64_t retry_after(struct retry *r, const struct http_answer *a, uint64_t random);

#endif
