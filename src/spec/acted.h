// SPDX-License-Identifier: Apache-2.0
/*
 * What a good document asks for that this agent does not do, or cannot do on this host. Told when
 * the document is about to be applied, not when it is read: it stays a good document.
 */
#ifndef ZL_SPEC_ACTED_H
#define ZL_SPEC_ACTED_H

#include "spec/spec.h"

struct spec_host {
    const char *arch; /* as platform.arch spells it: "amd64"; NULL: this machine's */
};

/*
 * One finding for each written field of spec: W-NOT-ACTED-ON where the rest is worth having
 * without it, an error where going on would not be what was asked for. Findings go to diags, which
 * are sorted again. Returns false when there is an error among them.
 */
bool spec_check_apply(const struct spec *spec, const struct spec_host *host,
                      struct spec_diags *diags);

#endif
