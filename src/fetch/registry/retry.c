// SPDX-License-Identifier: Apache-2.0
#include "fetch/registry/retry.h"

/* Too many requests, or the server's own trouble; 501 and 505 will not get better. */
static bool is_passing(const struct http_answer *a)
{
    if (a->end == HTTP_BROKEN)
        return true;
    return a->end == HTTP_ANSWERED && (a->status == 408 || a->status == 429 || a->status == 500 ||
                                       a->status == 502 || a->status == 503 || a->status == 504);
}

int64_t retry_after(struct retry *r, const struct http_answer *a, uint64_t random)
{
    if (!is_passing(a) || r->failures >= RETRY_MAX || a->retry_after_s > RETRY_AFTER_LONGEST_S)
        return -1;
    int64_t wait = (int64_t)RETRY_FIRST_MS << r->failures++;
    if (wait > RETRY_LONGEST_MS)
        wait = RETRY_LONGEST_MS;
    wait = wait / 2 + (int64_t)(random % (uint64_t)(wait / 2 + 1));
    if (a->retry_after_s >= 0 && a->retry_after_s * 1000 > wait)
        wait = a->retry_after_s * 1000;
    return wait;
}
