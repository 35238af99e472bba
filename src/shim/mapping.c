// SPDX-License-Identifier: Apache-2.0
/* A plan as it comes: a memfd that nobody can change any more, so what was checked stays true. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "shim/shim.h"

int mapping_open(int memfd, struct mapping *ret, struct zl_error *err)
{
    struct stat st;
    int wanted = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;
    int seals = fcntl(memfd, F_GET_SEALS);

    if ((seals < 0 && errno != EINVAL) || fstat(memfd, &st) < 0)
        return zl_fail_errno(err, "look at the plan");
    if (seals < 0 || (seals & wanted) != wanted || st.st_size == 0)
        return zl_fail(err, ZL_ERR_INVALID, "the plan is not a sealed memfd");
    void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, memfd, 0);
    if (bytes == MAP_FAILED)
        return zl_fail_errno(err, "map the plan");
    *ret = (struct mapping){ .bytes = bytes, .size = (size_t)st.st_size };
    return 0;
}

void mapping_close(struct mapping *m)
{
    if (m->bytes)
        (void)munmap((void *)(uintptr_t)m->bytes, m->size);
    *m = (struct mapping){ 0 };
}
