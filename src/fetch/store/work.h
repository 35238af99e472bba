// SPDX-License-Identifier: Apache-2.0
/*
 * Where one run of zlayer-fetch works: a folder of its own below layers/, locked as long as the
 * process lives. A run that was killed leaves its folder, unlocked; the next run removes it. What
 * is finished leaves the folder by rename, so nothing unfinished is ever seen outside.
 *
 * Durability: blobs, layers and documents are made in the folder without a sync each; then one
 * syncfs(2) (two, when images/ and layers/ are different file systems), the renames, and a sync of
 * the folders that got them; the index is the agent's and comes last. So what is in the index is on
 * the disk, and a power cut before leaves nothing of it.
 */
#ifndef ZL_FETCH_STORE_WORK_H
#define ZL_FETCH_STORE_WORK_H

#include "fetch/crew/crew.h"
#include "fetch/digest.h"
#include "image/layout.h"

struct work {
    struct layout store;
    int seen_blobs, seen_layers; /* two folders of it, by way of a mount that is read-only: for
                                    other processes to look at */
    int fetching;                /* shared lock: nobody collects garbage meanwhile */
    int dir;                     /* the folder, locked */
    int blob_dir; /* images/partial/<name>: what becomes blobs, since a rename does not leave a
                     mount */
    const struct crew *crew; /* borrowed: has the rights over what was unpacked */
    char name[LAYOUT_PATH];
    struct work_blob *blobs; /* that the commit renames */
    size_t n_blobs;
};

#define WORK_CLOSED                                                                                \
    {                                                                                              \
        LAYOUT_CLOSED, -1, -1, -1, -1, -1, NULL, "", NULL, 0                                       \
    }
/* Opens the store below root_fd, removes what dead runs left, makes the folder. Needs the rights to
 * remove files of any owner: before confine_role(). seen_fd is the same root where nothing can be
 * written. crew is borrowed as long as ret is open. */
int work_open(int root_fd, int seen_fd, const struct crew *crew, struct work *ret,
              struct zl_error *err);
/* Removes the folder. */
void work_close(struct work *w);

/* After a failure: adds to *err how much of what was half done goes with the folder; of a full
 * disk, what can be done, and then the beginnings of blobs go, too, that nobody is writing. Answers
 * -1. */
int work_fail(struct work *w, struct zl_error *err);

bool work_has_blob(const struct work *w, const char *digest);
/* A document made here, of n bytes, which becomes a blob at the commit; digest is filled. */
int work_put_blob(struct work *w, const void *bytes, size_t n, char digest[DIGEST_SIZE],
                  struct zl_error *err);
/* The file dir_fd/name becomes the blob with this digest, by rename, at the commit. dir_fd is
 * borrowed until then; name is copied. Not thread-safe, as all here. */
int work_add_blob(struct work *w, int dir_fd, const char *name, const char *digest,
                  struct zl_error *err);

/* A layer unpacked at slot/, a folder of the work folder with fs/ in it. */
struct work_layer {
    const char *key;
    char slot[16];   /* "": the store has it */
    uint32_t number; /* layers/<number>: filled by the commit, or known before */
};

/* Fills in the numbers of those that the store has, in one pass. */
int work_find_layers(struct work *w, struct work_layer *layers, size_t n, struct zl_error *err);
/* Everything that was added becomes part of the store, all on the disk when this returns. The lock
 * is held for the renames only. */
int work_commit(struct work *w, struct work_layer *layers, size_t n, struct zl_error *err);

#endif
