// SPDX-License-Identifier: Apache-2.0
/*
 * The directory that a layer is unpacked into, walked by descriptor. A path of an archive is taken
 * apart first: a leading '/' and "." parts go, ".." is refused. Then the kernel resolves the parent
 * below the root's fd, refusing every symbolic link on the way (openat2(2): RESOLVE_BENEATH,
 * RESOLVE_NO_SYMLINKS, RESOLVE_NO_XDEV), so nothing an archive holds can name a place outside.
 */
#ifndef ZL_FETCH_TAR_TREE_H
#define ZL_FETCH_TAR_TREE_H

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
    int parent; /* the last parent that was asked for: archives list folders together */
    char parent_path[PATH_MAX];
    /* A folder was made that nobody has listed: 0, or -1 stops. */
    int (*made)(void *arg, const char *path, struct zl_error *err);
    void *arg;
};

void tree_done(struct tree *t); /* root stays the caller's */

/* The folder that holds p, made when the archive did not list it. Borrowed until the next call. */
int tree_parent(struct tree *t, const struct tree_path *p, struct zl_error *err);
/* An existing entry for reading; -1 NOT_FOUND when there is none. Owned. */
int tree_open(int root, const struct tree_path *p, int flags, struct zl_error *err);
/* Removes what stands at p, whatever it is. */
int tree_clear(struct tree *t, const struct tree_path *p, struct zl_error *err);

/* ---- as overlay sees layers: whiteouts and opaque folders hide ---------------------------------
 */

/* What path is in the highest of the layers that shows it: that layer's root, or -1: nothing. */
int tree_find_below(const int *below, size_t n_below, const char *path, struct stat *st);
/* Whether the layer lets nothing of path in the layers below be seen, though it has no such entry.
 */
bool tree_hides(int root, const char *path);

#endif
