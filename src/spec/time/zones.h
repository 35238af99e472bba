// SPDX-License-Identifier: Apache-2.0
/* The tables of the time zones that a document names, read with it and kept with it: who decides
 * by them opens no file. Rules that change are read when the document is read again. */
#ifndef ZL_SPEC_TIME_ZONES_H
#define ZL_SPEC_TIME_ZONES_H

#include "base/arena.h"
#include "spec/spec.h"

struct spec_zones { /* all zeros: none */
    struct tz **v;  /* of the arena; the tables are their own memory */
    const char **names;
    size_t n;
};

/* Fills schedule_options->zone of those services that name a zone; a table that cannot be read is
 * NULL there. Without memory arena->failed is set. */
void spec_zones_load(struct spec_zones *z, const struct spec_service *services, size_t n,
                     struct zl_arena *arena);
void spec_zones_done(struct spec_zones *z);

#endif
