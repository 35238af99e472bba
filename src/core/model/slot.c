// SPDX-License-Identifier: Apache-2.0
#include "core/model/slot.h"

#include "core/model/service.h"

bool slot_outdated(const struct slot *s)
{
    return s->version.hash != s->service->target.hash;
}
