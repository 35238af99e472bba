// SPDX-License-Identifier: Apache-2.0
/* hugetlb: a limit for each size of huge pages. */
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "sandbox/plan/limits/limits.h"

/* "2MB", as a part of a file's name. */
static int check_page_size(struct limits *l, size_t i)
{
    const char *text = l->r->hugepages.v[i].page_size;
    const char *unit = text;

    while (isdigit((unsigned char)*unit))
        unit++;
    if (unit > text &&
        (strcmp(unit, "KB") == 0 || strcmp(unit, "MB") == 0 || strcmp(unit, "GB") == 0))
        return 0;
    return zl_fail(l->b->err, ZL_ERR_INVALID,
                   "linux.resources.hugepageLimits[%zu].pageSize: expected 2MB or the like, found "
                   "'%s'",
                   i, text);
}

/* limit: how the version calls it. Reservations are limited where the kernel counts them (Linux
 * 5.7), page faults always. */
static int write_limits(struct limits *l, const char *limit)
{
    for (size_t i = 0; i < l->r->hugepages.n; i++) {
        const struct oci_hugepage_limit *h = &l->r->hugepages.v[i];
        char file[64];
        if (check_page_size(l, i) < 0)
            return -1;
        (void)snprintf(file, sizeof file, "hugetlb.%.24s.rsvd.%s", h->page_size, limit);
        limits_put(l, PLAN_FILE_OPTIONAL, file, "%" PRIu64, h->limit);
        (void)snprintf(file, sizeof file, "hugetlb.%.24s.%s", h->page_size, limit);
        limits_put(l, 0, file, "%" PRIu64, h->limit);
    }
    return 0;
}

static int write_v1(struct limits *l)
{
    return write_limits(l, "limit_in_bytes");
}

static int write_v2(struct limits *l)
{
    return write_limits(l, "max");
}

const struct controller hugetlb_controller = {
    .v1 = "hugetlb",
    .v2 = "hugetlb",
    .write_v1 = write_v1,
    .write_v2 = write_v2,
};
