// SPDX-License-Identifier: Apache-2.0
/*
 * From the storage of a service to folders of the host: named volumes are those of the store,
 * anonymous ones lie in the container's own folder, containers/<id>/volumes/<n>, and go with it.
 */
#ifndef ZL_RUNTIME_NATIVE_STORAGE_H
#define ZL_RUNTIME_NATIVE_STORAGE_H

#include "image/store.h"
#include "runtime/native/inner.h"

/* What a create goes on with when its volumes are full. -1: err, and it has failed. */
typedef int (*storage_full_fn)(struct native_call *k, struct zl_error *err);

struct fetch;

struct storage {
    const struct spec_service *service; /* borrowed: until storage_make() has returned */
    char **sources; /* as many as service->storage has: what is mounted; NULL: no volume */
    size_t n_sources;
    const char **names; /* of the named ones, each once; borrowed from service */
    size_t n_names;
    struct native_call *filled_for; /* while zlayer-fetch fills them */
    struct fetch *fill;             /* NULL: it does not run */
    storage_full_fn on_full;
};

/* What will be mounted; nothing is made. Done with storage_done(), also after a failure: who fills
 * is ended, and the call hears no more of it. */
int storage_plan(const struct native *n, const char *id_text, const struct spec_service *service,
                 struct storage *ret, struct zl_error *err);
void storage_done(struct storage *s);

struct storage_owner { /* of a volume that is empty and gets nothing from an image */
    uint32_t uid, gid;
};
/*
 * Makes the folders. image: whose content they get when they are empty; NULL: none, and owner says
 * whose they are. *ret_order: what zlayer-fetch has to do before they are mounted
 * (fetch/files/fill.h), allocated; NULL: nothing.
 */
int storage_make(const struct storage *s, struct native *n, int state_fd, const char *id_text,
                 const struct image *image, struct storage_owner owner, char **ret_order,
                 struct zl_error *err);

/* Has the order carried out by zlayer-fetch. Then on_full(k), or k->on_failed: unless k was
 * cancelled meanwhile. s stays where it is until then; who is called may be done with it. */
int storage_fill(struct storage *s, struct native_call *k, const char *order,
                 storage_full_fn on_full, struct zl_error *err);

#endif
