// SPDX-License-Identifier: Apache-2.0
/*
 * Images made available by policy: from the store when that will do, else from a registry by
 * zlayer-fetch. Who asks for what is being pulled already waits for that pull.
 *
 *   never           only what is there
 *   if_not_present  what is there, else what the registry has
 *   newer           as above; for tags that move (none, latest, dev, edge, main, master) the
 *                   registry is asked, and when it cannot be, what is there will do
 *   always          what the registry has; what was there stays until then
 */
#ifndef ZL_RUNTIME_PULLER_H
#define ZL_RUNTIME_PULLER_H

#include "image/store.h"
#include "spec/spec.h"

struct event_base;
struct puller;
struct pull_wait; /* somebody who waits for a pull */

struct puller_config {
    struct event_base *base;
    const char *root_dir;
    struct image_store *images; /* borrowed */
    /* Members of every order (src/fetch/order.h), a JSON object; NULL: none. And, which no order
     * has, "signatures": the rules of trust.h. */
    const char *settings;
    const char *default_registry; /* of names without one; NULL: docker.io; "": there is none */
};

/* cfg is read during the call only. */
int puller_new(const struct puller_config *cfg, struct puller **ret, struct zl_error *err);
/* Ends the pulls; nobody who waits is told. */
void puller_free(struct puller *p);

struct pull_wish {
    const char *reference;
    const char *digest; /* the very manifest that it has to be: it is looked for in the store, then
                         * asked for whatever the policy but never; NULL: what reference means */
    enum spec_pull policy;
    const char *platform; /* "linux/arm64"; NULL: this machine */
    const char *login;    /* JSON object, as in the order; NULL: none */
    /* A line of progress, as zlayer-fetch prints it; NULL: not wanted. */
    void (*on_line)(void *arg, const char *line);
    /* Once, on the loop, never from inside puller_pull(). failed NULL: image digest is there. */
    void (*done)(void *arg, const struct zl_error *failed, const char *digest);
    void *arg;
};

/* NULL: no memory even for an answer; then none comes. The wish is read during the call only. */
struct pull_wait *puller_pull(struct puller *p, const struct pull_wish *wish);
/* The order of a run of zlayer-fetch that is not a pull: the settings, with login (as in a wish)
 * and have. Allocated; NULL: no memory. */
char *puller_order(const struct puller *p, const char *login, const char *have);
/* That of an import which will be called reference: by whom it has to be signed. Likewise. */
char *puller_import_order(const struct puller *p, const char *reference);
/* That of a load, whose images bring their names: whose signatures are looked for. Likewise. */
char *puller_load_order(const struct puller *p);
/* Whether the manifest with this digest may be called reference: nobody asks for a signature of
 * that name, or one is known. -1 DENIED, in words for people. */
int puller_trusts(const struct puller *p, const char *reference, const char *digest,
                  struct zl_error *err);
/* Who waits waits no more; the last one ends the pull. */
void puller_drop(struct pull_wait *w);

#endif
