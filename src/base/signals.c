// SPDX-License-Identifier: Apache-2.0
#include "base/signals.h"

#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SIGNALS = 64, MASK_BYTES = SIGNALS / 8 }; /* the kernel's, not a libc's */

void zl_signals_to_default(void)
{
    /* struct sigaction of the kernel: handler, flags, restorer, mask; all 0 is SIG_DFL */
    static const uint64_t by_default[4];
    static const uint64_t none;

    for (int s = 1; s <= SIGNALS; s++)
        (void)syscall(SYS_rt_sigaction, s, by_default, NULL, MASK_BYTES); /* not SIGKILL, SIGSTOP */
    (void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, MASK_BYTES);
}
