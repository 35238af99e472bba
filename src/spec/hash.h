// SPDX-License-Identifier: Apache-2.0
/*
 * Whether two services differ, by the rows of fields.h alone. A field counts with its name and only
 * when it is not at its initial value, so a later version that knows more fields computes the same
 * hash for the same document, and an upgraded agent does not take every container for changed. The
 * order of a mapping does not count, that of a list does.
 *
 * The agent stores container_hash beside each container and, started again, replaces those whose
 * service has another one: a rolling update, which `zlayer events` shows as any other. So how a
 * value is hashed, a row's name and an initial value stay as they are once there are releases; the
 * numbers in tests/unit/spec tell when they do not.
 */
#ifndef ZL_SPEC_HASH_H
#define ZL_SPEC_HASH_H

#include "spec/spec.h"

/* Fills container_hash and full_hash; all other fields must be final. */
void spec_hash_service(struct spec_service *s);

#endif
