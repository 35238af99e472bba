// SPDX-License-Identifier: Apache-2.0
/* Whether bytes are text, and making them so. Thread-safe: no state. */
#ifndef ZL_BASE_UTF8_H
#define ZL_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* The offset of the first byte that is not well-formed UTF-8 (RFC 3629) or is NUL; n: all is well.
 */
size_t zl_utf8_check(const char *s, size_t n);

/* In place: each byte that is not well-formed becomes '?', and a sequence that was cut off at the
 * end goes. For words of others, and for what was cut at a number of bytes. */
void zl_utf8_mend(char *text);

/* Writes s with each byte that is not UTF-8 as \xNN, and a NUL, into ret[size]. False: not all of
 * it has room; what is there ends with a whole character. */
bool zl_utf8_escape(const char *s, char *ret, size_t size);

#endif
