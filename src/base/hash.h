// SPDX-License-Identifier: Apache-2.0
/*
 * FNV-1a, 64 bits (RFC 9923): for tables and for telling changes. Not for hostile input where a
 * collision would matter. The values are written to disk, so they must never change.
 */
#ifndef ZL_BASE_HASH_H
#define ZL_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define ZL_HASH_START UINT64_C(0xcbf29ce484222325)

static inline uint64_t zl_hash_bytes(uint64_t h, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * UINT64_C(0x100000001b3);
    return h;
}

#endif
