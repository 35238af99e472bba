// SPDX-License-Identifier: Apache-2.0
#include "spec/time/zones.h"

#include <string.h>

#include "spec/time/zonefile.h"

/* One table for all services that name the zone. */
static const struct tz *zone_named(struct spec_zones *z, const char *name)
{
    struct tz *tz = NULL;
    for (size_t i = 0; i < z->n; i++)
        if (strcmp(z->names[i], name) == 0)
            return z->v[i];
    if (tz_load(TZ_DIR, name, &tz, NULL) < 0)
        tz = NULL; /* it was checked when the document was read: there are no zone files here */
    z->names[z->n] = name;
    z->v[z->n++] = tz;
    return tz;
}

void spec_zones_load(struct spec_zones *z, const struct spec_service *services, size_t n,
                     struct zl_arena *arena)
{
    z->v = zl_arena_array(arena, n, sizeof(struct tz *));
    z->names = zl_arena_array(arena, n, sizeof *z->names);
    for (size_t i = 0; z->v && z->names && i < n; i++) {
        /* of this arena, and const for everybody else */
        struct spec_schedule_options *o =
            (struct spec_schedule_options *)(uintptr_t)services[i].schedule_options;
        if (o && !tz_name_is_utc(o->time_zone))
            o->zone = zone_named(z, o->time_zone);
    }
}

void spec_zones_done(struct spec_zones *z)
{
    for (size_t i = 0; i < z->n; i++)
        tz_free(z->v[i]);
    z->n = 0;
}
