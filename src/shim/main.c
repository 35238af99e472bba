// SPDX-License-Identifier: Apache-2.0
/* zlayer-shim: a monitor of a container, in a program as small as it can be. */
#include <stdio.h>

#include "shim/shim.h"

enum { EXIT_BROKEN = 125 };

int main(void)
{
    static struct shim shim = SHIM_NEW;
    struct zl_error err;

    if (shim_live(&shim, &err) == 0)
        return 0;
    (void)dprintf(2, "zlayer-shim: %s\n", err.msg); /* nobody else would ever hear of it */
    return EXIT_BROKEN;
}
