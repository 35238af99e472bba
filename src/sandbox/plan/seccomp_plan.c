// SPDX-License-Identifier: Apache-2.0
#include "sandbox/plan/parts.h"

int build_seccomp(struct build *b, struct plan_process *p)
{
    (void)p;
    if (b->config->linux_.seccomp)
        return zl_fail(b->err, ZL_ERR_UNSUPPORTED, "linux.seccomp is not supported");
    return 0;
}

int build_device_bpf(struct build *b, struct plan_tab *ret)
{
    (void)ret;
    if (b->config->linux_.resources.devices.n)
        build_note(b, "linux.resources.devices is not carried out on cgroup v2");
    return 0;
}
