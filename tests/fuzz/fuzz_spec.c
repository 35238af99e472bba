// SPDX-License-Identifier: Apache-2.0
/* Deployment documents: any bytes. A document is decoded or refused with a finding, never both. */
#include <stdint.h>
#include <stdlib.h>

#include "spec/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    autodiags struct spec_diags diags;
    spec_diags_init(&diags);
    autospec struct spec *s = spec_parse((const char *)bytes, len, "fuzz.yml", "/base", &diags);
    if ((s == NULL) != (diags.n_errors > 0))
        abort();
    for (size_t i = 0; s && i < s->n_services; i++) {
        if (s->start_order[i] >= s->n_services || !s->services[i].image.name)
            abort();
    }
    zl_autobuf struct zl_buf out = ZL_BUF(16 << 20);
    spec_diags_print(&diags, NULL, true, &out);
    spec_diags_json(&diags, &out);
    return 0;
}
