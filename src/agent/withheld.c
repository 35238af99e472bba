// SPDX-License-Identifier: Apache-2.0
#include "agent/withheld.h"

#include <stdio.h>
#include <string.h>

/* How a name is kept: a deployment by itself, a standalone container behind "-/". NULL: no memory.
 */
static char *key_of(const char *deployment, const char *standalone)
{
    char *key = NULL;
    if (!standalone)
        return strdup(deployment);
    return asprintf(&key, "-/%s", standalone) < 0 ? NULL : key;
}

int withheld_add(struct withheld *w, const char *deployment, const char *standalone,
                 struct zl_error *err)
{
    char **grown = realloc(w->names, (w->n + 1) * sizeof *grown);
    if (grown)
        w->names = grown;
    char *key = grown ? key_of(deployment, standalone) : NULL;
    if (!key)
        return zl_fail(err, ZL_ERR_SYSTEM, "keep a name: out of memory");
    w->names[w->n++] = key;
    return 0;
}

void withheld_done(struct withheld *w)
{
    for (size_t i = 0; i < w->n; i++)
        free(w->names[i]);
    free(w->names);
    *w = (struct withheld){ 0 };
}

bool withheld_has(const struct withheld *w, const char *deployment, const char *standalone)
{
    if (w->n == 0)
        return false;
    zl_autofree char *key = key_of(deployment, standalone);
    for (size_t i = 0; key && i < w->n; i++)
        if (strcmp(w->names[i], key) == 0)
            return true;
    return !key; /* no memory to look: better leave it alone */
}

static const char *name_in(const struct event *ev, const char **ret_standalone)
{
    *ret_standalone = NULL;
    switch (ev->kind) {
    case EV_DEPLOY:
        return ev->deploy.spec->deployment;
    case EV_DOWN:
        return ev->down.deployment;
    case EV_STOP:
        return ev->stop.deployment;
    case EV_RESTART:
        return ev->restart.deployment;
    case EV_JOB_RUN:
        return ev->job_run.deployment;
    case EV_CRON_SET:
        return ev->cron_set.deployment;
    case EV_RUN:
        *ret_standalone = ev->run.spec->services[0].name;
        return "-";
    default:
        return NULL;
    }
}

int withheld_check(const struct withheld *w, const struct event *ev, struct zl_error *err)
{
    const char *standalone;
    const char *deployment = name_in(ev, &standalone);
    if (!deployment || !withheld_has(w, deployment, standalone))
        return 0;
    return zl_fail(err, ZL_ERR_CONFLICT,
                   "'%s' is stored in a form that this version (%s) cannot read; its containers go "
                   "on untouched. Start the version that stored it",
                   standalone ? standalone : deployment, ZL_VERSION);
}
