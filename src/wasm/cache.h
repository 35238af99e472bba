// SPDX-License-Identifier: Apache-2.0
/*
 * Compiled modules on disk: <cache>/compiled/<digest of the module>-<engine key>. Mapping one means
 * executing it, so an entry is looked at before: it must be a regular file of our own that nobody
 * else may write, and end in a footer whose checksum fits. What does not is no entry.
 *
 * Entries are made under a name of their own and renamed, so two writers, or one that is killed,
 * leave whole entries only. The oldest unused ones go when the folder grows too large; who has one
 * mapped keeps it.
 */
#ifndef ZL_WASM_CACHE_H
#define ZL_WASM_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum { CACHE_NAME_SIZE = 64 + 1 + 17 };
#define CACHE_MAX_DEFAULT (UINT64_C(1) << 30)

/* Makes and opens <path>/compiled for root or whoever we are alone. -1 and *err. */
int cache_open(const char *path, struct zl_error *err);
/* digest: 64 hexadecimal digits. */
void cache_name(const char *digest, unsigned variant, char out[CACHE_NAME_SIZE]);

enum cache_kind { CACHE_MODULE = 1, CACHE_COMPONENT = 2 };
struct cache_entry {
    enum cache_kind kind;
    bool has_start; /* a core module with a start function */
};

/*
 * An entry for reading, verified, and what it is. NOT_FOUND: there is none. SYSTEM: it could not be
 * looked at, and is left alone. Any other kind: there is one that must not be used; it has been
 * removed, *err says what is wrong with it.
 */
int cache_load(int cache_fd, const char *name, struct cache_entry *ret_entry, struct zl_error *err);

/* Of a sealed file that need not lie in the cache. */
int cache_entry_of(int fd, struct cache_entry *ret, struct zl_error *err);

/* A new, empty file in the cache, under a name of its own in tmp[CACHE_NAME_SIZE + 16]. */
enum { CACHE_TMP_SIZE = CACHE_NAME_SIZE + 16 };
int cache_begin(int cache_fd, const char *name, char tmp[CACHE_TMP_SIZE], struct zl_error *err);
/* Appends the footer to what was written to fd from its start. */
int cache_seal(int fd, const struct cache_entry *entry, struct zl_error *err);
/* The file takes its place; with max_bytes the oldest entries go. */
int cache_commit(int cache_fd, const char *tmp, const char *name, uint64_t max_bytes,
                 struct zl_error *err);
void cache_abandon(int cache_fd, const char *tmp);

#endif
