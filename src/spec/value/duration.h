// SPDX-License-Identifier: Apache-2.0
/* Durations: "1h 30m", "1.5s", "0". docs/spec.md, "Duration". */
#ifndef ZL_SPEC_VALUE_DURATION_H
#define ZL_SPEC_VALUE_DURATION_H

#include <stdint.h>

#include "spec/value/flaw.h"

/* Nanoseconds, at most 2^63 - 1. 0, or -1 with *flaw filled. */
int spec_parse_duration(const char *text, uint64_t *ret_ns, struct spec_flaw *flaw);

#endif
