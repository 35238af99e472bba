// SPDX-License-Identifier: Apache-2.0
/*
 * Ids: 64 random bits, written as 13 characters of RFC 4648 base32 in lower case ("2k7q…"). One per
 * incarnation of a container and one per execution of a job; never used twice.
 */
#ifndef ZL_BASE_ID_H
#define ZL_BASE_ID_H

#include <stdbool.h>
#include <stdint.h>

enum { ZL_ID_LEN = 13 };

void zl_id_format(uint64_t id, char out[ZL_ID_LEN + 1]);
/* Whether text is exactly one id; *ret only then. */
bool zl_id_parse(const char *text, uint64_t *ret);
/* From the kernel; never 0, which means "none". */
uint64_t zl_id_random(void);

#endif
