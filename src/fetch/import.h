// SPDX-License-Identifier: Apache-2.0
/* Images from local files into the store. */
#ifndef ZL_FETCH_IMPORT_H
#define ZL_FETCH_IMPORT_H

#include "fetch/work.h"

/* Where an image comes from, opened before the process confines itself. */
struct source {
    int fd; /* of the tar archive, or of the layout's folder */
    bool is_layout;
    const char *tag; /* of a layout: which image; NULL: the only one */
    char path[4096];
};

/* "/abs/rootfs.tar[.gz|.zst]" or "oci:/abs/DIR[:TAG]". fd is the caller's to close. A layout is
 * opened as a mount of its own, which needs CAP_SYS_ADMIN. */
int source_open(const char *text, struct source *ret, struct zl_error *err);

/* Both answer the digest of the manifest. The index is not touched: naming it is the agent's. */
int import_rootfs(struct work *w, const struct source *s, char digest[DIGEST_SIZE],
                  struct zl_error *err);
int import_layout(struct work *w, const struct source *s, char digest[DIGEST_SIZE],
                  struct zl_error *err);

/* "amd64", "arm64", …: this machine, as image configs call it. */
const char *import_architecture(void);

#endif
