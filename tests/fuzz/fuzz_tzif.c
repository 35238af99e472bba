// SPDX-License-Identifier: Apache-2.0
/* Time zone files: any bytes. In a zone that is accepted, time goes forwards. */
#include <stdint.h>
#include <stdlib.h>

#include "spec/time/cron.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_local(const struct tz *tz, int64_t local)
{
    struct tz_local l = tz_local_to_utc(tz, local);
    bool shown = l.first + tz_offset_at(tz, l.first) == local;
    if (shown != (l.kind != TZ_LOCAL_GAP) || tz_first_reach(tz, local) != l.first ||
        tz_high_water(tz, l.first) < local || tz_high_water(tz, l.first - 1) >= local)
        abort();
    if (l.kind == TZ_LOCAL_FOLD && l.second + tz_offset_at(tz, l.second) != local)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    autotz struct tz *tz = NULL;
    struct cron rhythm, daily;
    struct cron_flaw flaw;
    if (tz_parse(bytes, len, &tz, NULL) < 0)
        return 0;
    for (int64_t local = -(INT64_C(1) << 41); local < INT64_C(1) << 41; local += 9876543211)
        check_local(tz, local);
    if (cron_parse("0 */30 * * * *", &rhythm, &flaw) < 0 ||
        cron_parse("0 30 2 29 * *", &daily, &flaw) < 0)
        abort();
    const struct cron *const both[] = { &rhythm, &daily };
    for (int k = 0; k < 2; k++) {
        int64_t t = 0, next;
        for (int i = 0; i < 50 && cron_next(both[k], tz, t, &next); i++, t = next + i * 86400 * 7) {
            if (next <= t)
                abort();
        }
    }
    return 0;
}
