// SPDX-License-Identifier: Apache-2.0
/*
 * Names whose stored document this version cannot read (it was stored by a newer one). Core does
 * not know them; so that nothing of theirs is lost, their containers are left alone, their rows
 * stay, and whoever uses the name is refused until the version that can read it is back.
 */
#ifndef ZL_AGENT_WITHHELD_H
#define ZL_AGENT_WITHHELD_H

#include "core/core.h"

struct withheld {
    char **names; /* "shop", or "-/cache" of a standalone container */
    size_t n;
};

int withheld_add(struct withheld *w, const char *deployment, const char *standalone,
                 struct zl_error *err);
void withheld_done(struct withheld *w);
bool withheld_has(const struct withheld *w, const char *deployment, const char *standalone);
/* -1 with why, when the event is a user's wish about such a name. */
int withheld_check(const struct withheld *w, const struct event *ev, struct zl_error *err);

#endif
