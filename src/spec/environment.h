// SPDX-License-Identifier: Apache-2.0
/*
 * What stands behind the references in `env` (envref.h): looked up for people when a document is
 * about to be applied, and for good each time a container is made, whichever runtime makes it.
 * docs/spec.md, "Environment values". Values are never part of a finding or an error.
 * Pure: reads nothing but its arguments. Thread-safe.
 */
#ifndef ZL_SPEC_ENVIRONMENT_H
#define ZL_SPEC_ENVIRONMENT_H

#include "spec/spec.h"

/*
 * One finding for each reference of spec that leads nowhere (E-ENV-UNSET, E-SECRET-NOT-FOUND), or
 * to an empty text (W-ENV-EMPTY). variables: the agent's, "NAME=value", NULL-terminated; NULL: who
 * asks does not know them, and only secrets are looked up. Findings go to diags, which are sorted
 * again. Returns false when there is an error among them.
 */
bool spec_check_env(const struct spec *spec, const char *const *variables,
                    struct spec_diags *diags);

/* Whether it refers to a variable of the agent's. */
bool spec_env_asks_agent(const struct spec *spec);
/* Whether a finding of this id needs the agent's variables. */
bool spec_env_is_agents(const char *id);

/*
 * ret[env->n] becomes env with what its references stand for; what was looked up points into
 * variables (not NULL), the rest into env. -1: INVALID, with all that is missing, ordered by key
 * and each with its line when in_document; ret is undefined then.
 */
int spec_env_resolve(const struct spec_pairs *env, const char *const *variables, bool in_document,
                     struct spec_pair *ret, struct zl_error *err);

#endif
