// SPDX-License-Identifier: Apache-2.0
#include "zone.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

unsigned char *zone_read(const char *path, size_t *ret_len)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return NULL;
    unsigned char *bytes = malloc(TZ_FILE_MAX + 1);
    *ret_len = bytes ? fread(bytes, 1, TZ_FILE_MAX + 1, f) : 0;
    (void)fclose(f);
    if (bytes && *ret_len >= 4 && memcmp(bytes, "TZif", 4) == 0)
        return bytes;
    free(bytes);
    return NULL;
}

struct tz *zone_load(const char *name)
{
    struct tz *tz = NULL;
    struct zl_error err = { 0 };
    if (tz_load(TZ_DIR, name, &tz, &err) < 0) {
        (void)fprintf(stderr, "%s\n", err.msg);
        exit(1);
    }
    return tz;
}

int64_t utc(const char *rfc3339)
{
    int64_t ns;
    struct zl_error err = { 0 };
    if (zl_parse_rfc3339(rfc3339, &ns, &err) < 0) {
        (void)fprintf(stderr, "%s\n", err.msg);
        exit(1);
    }
    return ns / 1000000000;
}

const char *shown(const struct tz *tz, int64_t at, char out[48])
{
    int32_t east = tz_offset_at(tz, at);
    size_t n = zl_format_rfc3339((at + east) * 1000000000, 0, out) - 1; /* without the Z */
    if (east == 0)
        return out;
    int32_t minutes = (east < 0 ? -east : east) / 60;
    (void)snprintf(out + n, 48 - n, "%c%02d:%02d", east < 0 ? '-' : '+', minutes / 60,
                   minutes % 60);
    return out;
}
