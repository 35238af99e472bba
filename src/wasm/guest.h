// SPDX-License-Identifier: Apache-2.0
/*
 * The monitor of one guest: the shim's (src/shim), whose first process is a fork with the module in
 * it instead of an executed file. The fork is made, confined and made ready at CREATE, which is
 * answered then, and waits; START lets it go, so that a start is one wake-up and what the guest
 * itself does.
 */
#ifndef ZL_WASM_GUEST_H
#define ZL_WASM_GUEST_H

#include "wasm/confine.h"
#include "wasm/module.h"

/* The life of a monitor in a process that was forked for it: the control socket is descriptor 3,
 * the empty namespaces (when there are) 4 and 5. Ends the process. */
_Noreturn void guest_monitor_live(const struct module *module, bool has_empty);

#endif
