// SPDX-License-Identifier: Apache-2.0
#include "disk.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct {
    atomic_int how;
    atomic_uint passes, failures;
} disk;

void disk_set(enum disk how)
{
    atomic_store(&disk.how, (int)how);
}

void disk_let_pass(unsigned n)
{
    atomic_store(&disk.passes, n);
}

static bool may_pass(void)
{
    unsigned left = atomic_load(&disk.passes);
    return left > 0 && atomic_compare_exchange_strong(&disk.passes, &left, left - 1);
}

unsigned disk_failures(void)
{
    return atomic_load(&disk.failures);
}

__attribute__((visibility("default"))) int fdatasync(int fd)
{
    while (atomic_load(&disk.how) == DISK_WAITS && !may_pass())
        (void)poll(NULL, 0, 1);
    int once = DISK_FAILS_ONCE;
    if (atomic_load(&disk.how) == DISK_FAILS ||
        atomic_compare_exchange_strong(&disk.how, &once, DISK_WORKS)) {
        atomic_fetch_add(&disk.failures, 1);
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}
