// SPDX-License-Identifier: Apache-2.0
/* Cron expressions: any text. What is accepted must fire forwards, at times its sets name. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "spec/time/cron.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct cron c;
    struct cron_flaw flaw;
    char sentence[320];
    zl_autofree char *text = calloc(1, len + 1);
    if (!text)
        return 0;
    memcpy(text, bytes, len);
    if (cron_parse(text, &c, &flaw) < 0) {
        if (flaw.at > len || flaw.field < 0 || flaw.field > CRON_FIELDS ||
            cron_flaw_format(&flaw, sentence, sizeof sentence) == 0)
            abort();
        return 0;
    }
    int64_t t = INT64_C(1774000000), next;
    for (int i = 0; i < 20 && cron_next(&c, NULL, t, &next); i++, t = next) {
        if (next <= t || !(c.set[CRON_SECOND] >> next % 60 & 1) ||
            !(c.set[CRON_HOUR] >> next / 3600 % 24 & 1))
            abort();
    }
    return 0;
}
