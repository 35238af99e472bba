// SPDX-License-Identifier: Apache-2.0
#include "spec/value/size.h"

#include <string.h>

#include "base/cleanup.h"

int spec_parse_size(const char *text, uint64_t *ret, struct spec_flaw *flaw)
{
    static const struct {
        const char *name;
        unsigned shift;
    } suffixes[] = { { "Ki", 10 }, { "Mi", 20 }, { "Gi", 30 }, { "Ti", 40 } };
    static const char form[] = "a whole number and Ki, Mi, Gi or Ti is expected, such as 512Mi";
    static const char too_big[] = "more than 64 bits can count";
    uint64_t n = 0;
    size_t digits = strspn(text, "0123456789");
    if (!digits)
        return spec_flaw_set(flaw, form, 0);
    for (size_t i = 0; i < digits; i++) {
        if (__builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, (uint64_t)(text[i] - '0'), &n))
            return spec_flaw_set_strict(flaw, too_big, 0);
    }
    if (n == 0)
        return spec_flaw_set(flaw, "it must be at least 1", 0);
    for (size_t i = 0; i < ZL_ARRAY_LEN(suffixes); i++) {
        if (strcmp(text + digits, suffixes[i].name) != 0)
            continue;
        if (n > UINT64_MAX >> suffixes[i].shift)
            return spec_flaw_set_strict(flaw, too_big, 0);
        *ret = n << suffixes[i].shift;
        return 0;
    }
    return spec_flaw_set(flaw, form, digits);
}
