// SPDX-License-Identifier: Apache-2.0
#include "base/id.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";

void zl_id_format(uint64_t id, char out[ZL_ID_LEN + 1])
{
    for (int i = 0; i < ZL_ID_LEN - 1; i++)
        out[i] = alphabet[id >> (59 - 5 * i) & 31];
    out[ZL_ID_LEN - 1] = alphabet[(id & 15) << 1]; /* 65th bit is padding, 0 */
    out[ZL_ID_LEN] = '\0';
}

bool zl_id_parse(const char *text, uint64_t *ret)
{
    uint64_t id = 0;
    if (strnlen(text, ZL_ID_LEN + 1) != ZL_ID_LEN)
        return false;
    for (int i = 0; i < ZL_ID_LEN; i++) {
        const char *c = strchr(alphabet, text[i]);
        if (!c)
            return false;
        uint64_t five = (uint64_t)(c - alphabet);
        if (i < ZL_ID_LEN - 1)
            id = id << 5 | five;
        else if (five & 1)
            return false;
        else
            id = id << 4 | five >> 1;
    }
    *ret = id;
    return true;
}

uint64_t zl_id_random(void)
{
    uint64_t id = 0;
    while (id == 0) {
        ssize_t n;
        do { /* up to 256 bytes come whole once the pool is ready (getrandom(2)) */
            n = getrandom(&id, sizeof id, 0);
        } while (n < 0 && errno == EINTR);
    }
    return id;
}
