// SPDX-License-Identifier: Apache-2.0
#include "spec/compat.h"

#include <string.h>

#include "base/cleanup.h"

/* Ids whose every cause is such a strictness. Those that have both kinds of causes stay errors. */
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
