// SPDX-License-Identifier: Apache-2.0
/* What of a container's environment its service and its place in a deployment say; internal. */
#ifndef ZL_RUNTIME_ENVIRONMENT_H
#define ZL_RUNTIME_ENVIRONMENT_H

#include "runtime/runtime.h"

/*
 * Of an RT_CREATE: the service's env with its references resolved, and for containers of a
 * deployment ZLAYER_DEPLOYMENT, ZLAYER_SERVICE, ZLAYER_REPLICA and ZLAYER_ROLE behind it, so that
 * they win. *ret points into what is returned, which is the caller's to free, and into rq. NULL:
 * INVALID with all that is missing, or no memory.
 */
struct spec_pair *environment_make(const struct rt_request *rq, struct spec_pairs *ret,
                                   struct zl_error *err);

#endif
