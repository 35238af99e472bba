// SPDX-License-Identifier: Apache-2.0
/*
 * What containers are called by people: "web-rep-2" (slot 2 of web), "web-read-2-on-0" (of its role
 * "read"), "migrate-2k7q…" (an execution), and a standalone one by its own name.
 */
#ifndef ZL_CORE_TEXT_NAMES_H
#define ZL_CORE_TEXT_NAMES_H

#include "core/core.h"

enum { CORE_NAME_MAX = 320 };

/* Cut off at size. */
void core_name_format(const struct inst_label *label, char *out, size_t size);

struct core_replica_name {
    char service[CORE_NAME_MAX], role[CORE_NAME_MAX];
    uint32_t index; /* 1-based */
};
/* Reads the name of a replica from right to left, since services may have hyphens; false: text is
 * not one, and *ret is untouched. */
bool core_name_parse(const char *text, struct core_replica_name *ret);

#endif
