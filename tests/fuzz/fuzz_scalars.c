// SPDX-License-Identifier: Apache-2.0
/* The small grammars of a document: durations, sizes, signals, names. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "spec/value/duration.h"
#include "spec/value/name.h"
#include "spec/value/signal.h"
#include "spec/value/size.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static int (*const checks[])(const char *, struct spec_flaw *) = {
        spec_check_deployment_name, spec_check_service_name,  spec_check_endpoint_name,
        spec_check_env_name,        spec_check_hostname,      spec_check_user,
        spec_check_mount_target,    spec_check_endpoint_host, spec_check_cpuset,
    };
    uint64_t value;
    struct spec_flaw flaw = { 0 };
    zl_autofree char *text = calloc(1, len + 1);
    if (!text)
        return 0;
    memcpy(text, bytes, len);
    bool bad = spec_parse_duration(text, &value, &flaw) < 0 ? flaw.at > len : value > INT64_MAX;
    bad |= spec_parse_size(text, &value, &flaw) < 0 ? flaw.at > len : value < 1024;
    bad |= spec_parse_signal(text) > 64;
    for (size_t i = 0; i < ZL_ARRAY_LEN(checks); i++)
        bad |= checks[i](text, &flaw) < 0 && flaw.at > len;
    if (bad)
        abort();
    return 0;
}
