// SPDX-License-Identifier: Apache-2.0
/*
 * The directory that a layer is unpacked into, walked by descriptor. A path of an archive is taken
 * apart first: a leading '/' and "." parts go, ".." is refused. Then the kernel resolves the parent
 * below the root's fd, refusing every symbolic link on the way (openat2(2): RESOLVE_BENEATH,
 * RESOLVE_NO_SYMLINKS, RESOLVE_NO_XDEV), so nothing an archive holds can name a place outside.
 */
#ifndef ZL_FETCH_TREE_H
#define ZL_FETCH_TREE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/error.h"

enum { TREE_MAX_PARTS = 250 }; /* of a path: removing a tree takes two descriptors a level */

struct tree_path {
    char text[PATH_MAX];   /* "usr/bin/env"; "" is the root itself */
    char *name;            /* "env", in text */
    char parent[PATH_MAX]; /* "usr/bin"; "." for the root */
};

/* Takes a path of an archive apart. */
int tree_path_parse(const char *path, struct tree_path *ret, struct zl_error *err);

struct tree {
    int root;
    const int *below; /* roots of the layers below, lowest first: models of parents */
    size_t n_below;
    int parent; /* the last parent that was asked for: archives list folders together */
    char parent_path[PATH_MAX];
};

#define TREE(root_fd, fds, n)                                                                      \
    {                                                                                              \
        .root = (root_fd), .below = (fds), .n_below = (n), .parent = -1                            \
    }
void tree_done(struct tree *t); /* root and below stay the caller's */

/* The folder that holds p, made when the archive did not list it. Borrowed until the next call. */
int tree_parent(struct tree *t, const struct tree_path *p, struct zl_error *err);
/* An existing entry for reading; -1 NOT_FOUND when there is none. Owned. */
int tree_open(struct tree *t, const struct tree_path *p, int flags, struct zl_error *err);
/* Removes what stands at p, whatever it is. */
int tree_clear(struct tree *t, const struct tree_path *p, struct zl_error *err);
/* Owner, mode and time of the folder at path as in the layers below; false: they have none. */
bool tree_copy_from_below(struct tree *t, const char *path, int fd);

#endif
