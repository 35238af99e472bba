// SPDX-License-Identifier: Apache-2.0
/* Which errors are a strictness of ours, which v1 as others read it does not have. */
#ifndef ZL_SPEC_FIELDS_COMPAT_H
#define ZL_SPEC_FIELDS_COMPAT_H

#include <stdbool.h>

/* Whether an error of this id is a warning under --compat. */
bool spec_compat_takes(const char *id);
/* Whether others read this text, which is refused here, as an expression or as a reference. */
bool spec_compat_takes_cron(const char *text);
bool spec_compat_takes_image(const char *text);

#endif
