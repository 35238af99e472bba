// SPDX-License-Identifier: Apache-2.0
/* Reasons in words, as they are shown and stored. */
#ifndef ZL_CORE_TEXT_WHY_H
#define ZL_CORE_TEXT_WHY_H

#include "base/error.h"

enum { WHY_MAX = 512 };

/* Fills a text of WHY_MAX bytes; what is longer is cut off. What others said need not be text: it
 * is afterwards, so that it can be shown and stored. */
void why_set(char *out, const char *fmt, ...) ZL_PRINTF(2, 3);

#endif
