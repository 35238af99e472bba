// SPDX-License-Identifier: Apache-2.0
/*
 * From the storage of a service to folders of the host: named volumes are those of the store,
 * anonymous ones lie in the container's own folder, containers/<id>/volumes/<n>, and go with it.
 */
#ifndef ZL_RUNTIME_NATIVE_STORAGE_H
#define ZL_RUNTIME_NATIVE_STORAGE_H

#include "image/store.h"
#include "runtime/native/inner.h"

struct storage {
    const struct spec_service *service; /* borrowed; may be gone by storage_done() */
    char **sources; /* as many as service->storage has: what is mounted; NULL: no volume */
    size_t n_sources;
    const char **names; /* of the named ones, each once; borrowed from service */
    size_t n_names;
};

/* What will be mounted; nothing is made. Done with storage_done(), also after a failure. */
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

struct fetch;
struct fetch_end;
/* Has the order carried out by zlayer-fetch; on_end as in runtime/fetch.h. */
int storage_fill(struct native *n, const char *order, struct fetch **ret,
                 void (*on_end)(void *arg, const struct zl_error *failed,
                                const struct fetch_end *end),
                 void *arg, struct zl_error *err);
/* Ends it; on_end does not come. NULL is fine. */
void storage_fill_cancel(struct native *n, struct fetch *f);

#endif
