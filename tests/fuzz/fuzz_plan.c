// SPDX-License-Identifier: Apache-2.0
/* A plan, as a shim gets it: whatever passes the check must hold every text that it names. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    zl_autofree char *copy = malloc(len + 1); /* aligned, and its end is watched */
    const struct plan *p;
    const struct plan_exec *x;

    if (!copy)
        return 0;
    memcpy(copy, bytes, len);
    if (plan_check(copy, len, &p, NULL) == 0) {
        const plan_str *argv = plan_table(p, p->process.argv);
        for (uint32_t i = 0; i < p->process.argv.n; i++)
            if (strlen(plan_text(p, argv[i])) >= len)
                abort();
    }
    if (plan_exec_check(copy, len, &x, NULL) == 0 && !plan_text(x, x->process.cwd))
        abort();
    return 0;
}
