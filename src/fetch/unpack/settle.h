// SPDX-License-Identifier: Apache-2.0
/*
 * What is set right after the last entry of a layer: modes and times of folders, since filling a
 * folder changes its time; folders that were used but not listed, which are to be as in the layers
 * below; hard links to files of the layers below, which are copied up first, as overlay would.
 */
#ifndef ZL_FETCH_UNPACK_SETTLE_H
#define ZL_FETCH_UNPACK_SETTLE_H

#include <time.h>

#include "base/arena.h"
#include "fetch/tar/tree.h"

struct settle_folder {
    struct settle_folder *next;
    unsigned mode;
    struct timespec mtime;
    char path[];
};

struct settle_link {
    struct settle_link *next;
    const char *target, *path;
};

struct settle {
    struct zl_arena arena;
    struct settle_folder *listed, **listed_end; /* in the archive's order: the last one counts */
    struct settle_folder *made, **made_end;
    struct settle_link *links, **links_end;
    bool root_listed;
};

void settle_init(struct settle *s);
void settle_done(struct settle *s);

int settle_folder(struct settle *s, const char *path, unsigned mode, const struct timespec *mtime,
                  struct zl_error *err);
int settle_made(struct settle *s, const char *path, struct zl_error *err);
int settle_link(struct settle *s, const char *target, const char *path, struct zl_error *err);

/* Whether settle_all() has anything to do. */
bool settle_has_work(const struct settle *s);
/* What there is to do, into an empty file and, into an empty s, back from it: from whoever wrote
 * it, so all of it is looked at. Nothing is written when there is nothing to do. */
int settle_save(const struct settle *s, int fd, struct zl_error *err);
int settle_load(struct settle *s, int fd, struct zl_error *err);

/* The hard link path to what this layer has at target; 1: it has nothing there. */
int settle_link_here(struct tree *t, const struct tree_path *target, const struct tree_path *path,
                     struct zl_error *err);
/* Modes and times of the listed folders. */
int settle_folders(struct settle *s, int root, struct zl_error *err);
/* All that needs the layers below, lowest first. */
int settle_all(struct settle *s, struct tree *t, const int *below, size_t n_below,
               struct zl_error *err);

#endif
