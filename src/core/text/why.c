// SPDX-License-Identifier: Apache-2.0
#include "core/text/why.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/utf8.h"

void why_set(char *out, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(out, WHY_MAX, fmt, ap);
    va_end(ap);
    zl_utf8_mend(out);
}
