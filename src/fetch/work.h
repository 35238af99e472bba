// SPDX-License-Identifier: Apache-2.0
/*
 * Where one run of zlayer-fetch works: a folder of its own below layers/, locked as long as the
 * process lives. A run that was killed leaves its folder, unlocked; the next run removes it. What
 * is finished leaves the folder by rename, so nothing unfinished is ever seen outside.
 *
 * Durability: blobs are synced one by one, layers by one syncfs before the first rename, folders
 * after the renames; the index is the agent's. So what is in the index is on the disk.
 */
#ifndef ZL_FETCH_WORK_H
#define ZL_FETCH_WORK_H

#include "fetch/digest.h"
#include "image/layout.h"

struct work {
    struct layout store;
    int fetching; /* shared lock: nobody collects garbage meanwhile */
    int dir;      /* the folder, locked */
    char name[LAYOUT_PATH];
};

#define WORK_CLOSED                                                                                \
    {                                                                                              \
        LAYOUT_CLOSED, -1, -1, ""                                                                  \
    }
/* Opens the store below root_fd, removes what dead runs left, makes the folder. */
int work_open(int root_fd, struct work *ret, struct zl_error *err);
/* Removes the folder. */
void work_close(struct work *w);

bool work_has_blob(const struct work *w, const char *digest);
/* A blob made here, of n bytes; digest is filled. */
int work_put_blob(struct work *w, const void *bytes, size_t n, char digest[DIGEST_SIZE],
                  struct zl_error *err);
/* tmp, a file in the folder, becomes the blob with this digest. It was synced. */
int work_publish_blob(struct work *w, const char *tmp, const char *digest, struct zl_error *err);

/* The unpacked layer with this chain id; 0: there is none. */
int work_find_layer(struct work *w, const char *chain, uint32_t *ret, struct zl_error *err);
/* tmp, a folder in the folder that holds fs/, becomes the layer with this chain id. */
int work_publish_layer(struct work *w, const char *tmp, const char *chain, uint32_t *ret,
                       struct zl_error *err);

#endif
