// SPDX-License-Identifier: Apache-2.0
/* Programs docker-credential-<name>, by the protocol of docker-credential-helpers: a verb as
 * argument, a text on stdin, an answer on stdout. */
#ifndef ZL_IMAGE_HELPER_H
#define ZL_IMAGE_HELPER_H

#include "base/buf.h"

/* Exit 0: its answer in out. NOT_FOUND when it says that it has no such credentials. */
int credential_helper(const char *name, const char *verb, const char *input, struct zl_buf *out,
                      struct zl_error *err);

#endif
