// SPDX-License-Identifier: Apache-2.0
/* The text of a quoted YAML scalar. Thread-safe: no state. */
#ifndef ZL_BASE_QUOTED_H
#define ZL_BASE_QUOTED_H

#include <stddef.h>

/*
 * Reads the scalar whose quote, ' or ", stands just before `from`, up to its closing quote, which
 * must come before `end`. Writes at most zl_unquoted_max() bytes to out, without a NUL behind them,
 * and answers how many; -1: there is no closing quote, or an escape that is none. What escapes make
 * may be NUL or no UTF-8 (half a surrogate pair). Source: YAML 1.2.2, 7.3.1 and 7.3.2; JSON's
 * surrogate pairs (RFC 8259, 7) are one character.
 */
ptrdiff_t zl_unquote(const char *from, const char *end, char *out);
/* Bytes that the text of a scalar may need: `end` may be that of the whole document. 0: as above.
 */
size_t zl_unquoted_max(const char *from, const char *end);

#endif
