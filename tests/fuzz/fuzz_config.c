// SPDX-License-Identifier: Apache-2.0
/* config.json: any bytes. What is planned must pass the check of plans. */
#include <stdint.h>
#include <stdlib.h>

#include "oci/config.h"
#include "sandbox/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    autociconfig struct oci_config *config = NULL;
    zl_autobuf struct zl_buf out = ZL_BUF(PLAN_MAX);
    struct plan_options o = { .id = "fuzzed", .bundle = "/nonexistent" };
    const struct plan *plan;
    struct zl_error err = { 0 };

    if (oci_config_parse((const char *)bytes, len, "config.json", &config, &err) < 0 ||
        plan_build(config, &o, &out, &err) < 0)
        return 0;
    if (plan_check(out.data, out.len, &plan, &err) < 0)
        abort();
    return 0;
}
