// SPDX-License-Identifier: Apache-2.0
/*
 * The members of a tar archive that is a file: where the content of each lies, so that they can be
 * read in any order and side by side, without unpacking the archive. The archive may be hostile, so
 * it is read by a hand (crew.h), which writes a list of them.
 */
#ifndef ZL_FETCH_TAR_MEMBERS_H
#define ZL_FETCH_TAR_MEMBERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum { MEMBERS_MAX = 100000 };

struct member {
    uint64_t at, size; /* bytes of the file */
};

struct members;

/* Reads through a plain tar, passing over contents, and writes the list into an empty file. */
int members_list(int fd, int list, struct zl_error *err);
/* Such a list, from whoever wrote it, so all of it is looked at. It is borrowed for the call only.
 */
int members_load(int list, struct members **ret, struct zl_error *err);
void members_free(struct members *m);
ZL_DEFINE_CLEANUP(struct members *, members_free)

/* A regular file by its path, "./" and links resolved; false: there is none. */
bool members_find(const struct members *m, const char *path, struct member *ret);

#endif
