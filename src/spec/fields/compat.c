// SPDX-License-Identifier: Apache-2.0
#include "spec/fields/compat.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/imageref.h"
#include "spec/time/cron.h"

/* Ids whose every cause is such a strictness. Where only some are, the cause says so: SPEC_STRICT.
 */
static const char *const taken[] = {
    "E-API-BIND",
    "E-BLKIO",
    "E-CAPABILITY",
    "E-CPU-SHARES",
    "E-CPUSET",
    "E-DEP-DUP",
    "E-DEVICE-ACCESS",
    "E-DEVICE-PATH",
    "E-DNS-ADDR",
    "E-DUP-ROLE",
    "E-ENDPOINT-HOST",
    "E-ENDPOINT-PATH",
    "E-ENV-HOST-REF",
    "E-ENV-NAME",
    "E-ENV-NULL",
    "E-EXPOSE",
    "E-EXT-BACKEND-ADDR",
    "E-EXTRA-HOST",
    "E-GPU-BACKEND",
    "E-GPU-COUNT",
    "E-GROUPS-EMPTY",
    "E-HEALTH-COMMAND",
    "E-HEALTH-EXTERNAL",
    "E-HEALTH-INTERVAL",
    "E-HEALTH-STATUS",
    "E-HEALTH-URL",
    "E-HOST-IP",
    "E-HOST-PORT-CLASH",
    "E-HOSTNAME",
    "E-LOG-DEST",
    "E-MOUNT-SOURCE",
    "E-MOUNT-TARGET",
    "E-DUP-MOUNT",
    "E-NAME-CLASH",
    "E-NETWORK-CONFLICT",
    "E-NS-MODE",
    "E-OOM-ADJ",
    "E-PIDS",
    "E-PORT-CLASH",
    "E-PORT-MAPPING",
    "E-ROUTE-CLASH",
    "E-SCALE-TARGET",
    "E-SECURITY-OPT",
    "E-SERVICE-NAME",
    "E-SIGNAL",
    "E-STEP-ID",
    "E-STORAGE-CONFLICT",
    "E-STORAGE-SIZE",
    "E-SWAPPINESS",
    "E-SYSCTL",
    "E-TAG",
    "E-TARGET-PORT",
    "E-TARGET-ROLE",
    "E-TMPFS-MODE",
    "E-TUNNEL-NODE",
    "E-ULIMIT-RANGE",
    "E-USER",
    "E-WASM-SECRET",
    "E-WORKDIR",
};

bool spec_compat_takes(const char *id)
{
    for (size_t i = 0; i < ZL_ARRAY_LEN(taken); i++) {
        if (strcmp(taken[i], id) == 0)
            return true;
    }
    return false;
}

enum { LOOSE_MAX = 512 }; /* bytes; what is longer is not looked at again */

/* White space is free around the signs of an item, and not needed between two stars. */
bool spec_compat_takes_cron(const char *text)
{
    char tidy[LOOSE_MAX * 2];
    size_t n = 0;
    struct cron cron;
    struct cron_flaw flaw;
    if (strlen(text) >= LOOSE_MAX)
        return false;
    for (const char *p = text; *p; p++) {
        const char *word = p + strspn(p, " \t\n\r");
        bool joins = word > p && ((n && strchr("-/,", tidy[n - 1])) || strchr("-/,", *word));
        if (joins)
            p = word;
        if (!*p)
            break;
        if (n && strchr("*?", tidy[n - 1]) && strchr("*?", *p))
            tidy[n++] = ' ';
        tidy[n++] = *p;
    }
    tidy[n] = '\0';
    return cron_parse(tidy, &cron, &flaw) == 0;
}

/* Upper case and '_' in what stands before the first '/', and any letter in a tag. */
bool spec_compat_takes_image(const char *text)
{
    char tidy[LOOSE_MAX], normalized[ZL_IMAGEREF_MAX];
    const char *why;
    size_t n = strlen(text), first = strcspn(text, "/");
    if (n >= sizeof tidy)
        return false;
    memcpy(tidy, text, n + 1);
    for (size_t i = 0; text[first] && i < first; i++) {
        if (tidy[i] >= 'A' && tidy[i] <= 'Z')
            tidy[i] = (char)(tidy[i] - 'A' + 'a');
        else if (tidy[i] == '_' && memchr(text, '.', first))
            tidy[i] = '-';
    }
    char *tag = strrchr(tidy, ':');
    for (; tag && *tag; tag++) {
        if ((unsigned char)*tag >= 0x80)
            *tag = 'x';
    }
    return zl_imageref_normalize(tidy, normalized, &why) == 0;
}
