// SPDX-License-Identifier: Apache-2.0
/*
 * For oracle.py: reads lines "FROM UNTIL ZONE EXPRESSION" (UTC seconds) and writes one line for
 * each, the firings in [FROM, UNTIL) as UTC seconds. A refused expression is answered with
 * "refused".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spec/time/cron.h"
#include "zone.h"

static void answer(const char *zone, const char *text, int64_t from, int64_t until)
{
    struct cron c;
    struct cron_flaw flaw;
    autotz struct tz *tz = zone_load(zone);
    if (cron_parse(text, &c, &flaw) < 0) {
        (void)puts("refused");
        return;
    }
    const char *space = "";
    for (int64_t t = from - 1; cron_next(&c, tz, t, &t) && t < until; space = " ")
        (void)printf("%s%lld", space, (long long)t);
    (void)putchar('\n');
}

int main(void)
{
    char line[1024], zone[80];
    while (fgets(line, sizeof line, stdin)) {
        long long from, until;
        int text = 0;
        line[strcspn(line, "\n")] = '\0';
        if (sscanf(line, "%lld %lld %79s %n", &from, &until, zone, &text) != 3 || !text) {
            (void)fprintf(stderr, "not a question: %s\n", line);
            return 1;
        }
        answer(zone, line + text, from, until);
    }
    return 0;
}
