// SPDX-License-Identifier: Apache-2.0
/* The list of an archive's members: what the keeper takes from a hand that the archive may have
 * taken over; and the list that an honest hand makes of any bytes, which is to be taken. */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/fd.h"
#include "fetch/tar/members.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static int memory_file(const uint8_t *bytes, size_t len)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || zl_write_all(fd, bytes, len, "memory", NULL) < 0 || lseek(fd, 0, SEEK_SET) < 0)
        abort();
    return fd;
}

/* Names that may be there, and what leads out. */
static void look(const struct members *m)
{
    static const char *const paths[] = {
        "index.json", "a", "b/../a", "../a", "", "blobs/sha256/x"
    };
    struct member found;
    for (size_t i = 0; i < ZL_ARRAY_LEN(paths); i++) {
        if (members_find(m, paths[i], &found) &&
            (found.at > INT64_MAX || found.size > INT64_MAX - found.at))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct zl_error err;
    ZL_CLEANUP(members_freep) struct members *lied = NULL, *honest = NULL;
    zl_autoclose int given = memory_file(bytes, len), list = memory_file(NULL, 0);
    if (members_load(given, &lied, &err) == 0)
        look(lied);
    if (lseek(given, 0, SEEK_SET) < 0)
        abort();
    if (members_list(given, list, &err) < 0)
        return 0;
    if (members_load(list, &honest, &err) < 0)
        abort();
    look(honest);
    return 0;
}
