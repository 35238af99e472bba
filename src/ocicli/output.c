// SPDX-License-Identifier: Apache-2.0
/* What commands say on standard output. */
#include "base/fd.h"
#include "ocicli/ocicli.h"

enum { OUTPUT_MAX = 16 << 20 };

int oci_print_json(json_t *value, size_t flags, struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(OUTPUT_MAX);
    int rc = value ? zl_json_dump(value, flags, &text, err)
                   : zl_fail(err, ZL_ERR_SYSTEM, "print: out of memory");

    json_decref(value);
    if (rc < 0)
        return -1;
    zl_buf_addc(&text, '\n');
    if (zl_buf_check(&text, "output", err) < 0)
        return -1;
    return zl_write_all(STDOUT_FILENO, text.data, text.len, "standard output", err);
}
