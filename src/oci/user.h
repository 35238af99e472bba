// SPDX-License-Identifier: Apache-2.0
/*
 * Who the first process of a container is: "user", "uid", "user:group", … as image and spec write
 * it, looked up in the container's own /etc/passwd and /etc/group (passwd(5), group(5)) with
 * Docker's meaning of each form.
 */
#ifndef ZL_OCI_USER_H
#define ZL_OCI_USER_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "spec/parts.h"

/*
 * Opens a regular file of the container's root filesystem for reading, as the container would see
 * it. -1 with ZL_ERR_NOT_FOUND: there is none, which is not an error here.
 */
typedef int (*oci_open_fn)(void *arg, const char *path, struct zl_error *err);

enum { OCI_USER_GROUPS = 64 }; /* supplementary groups beyond these are an error */

struct oci_account {
    uint32_t uid, gid;
    uint32_t groups[OCI_USER_GROUPS]; /* supplementary */
    size_t n_groups;
    char home[256]; /* "" when /etc/passwd does not tell */
};

/*
 * Rules (first that applies to each half):
 *   user:  none given: uid 0 · an entry of that name or number · a number without entry: that uid
 *   group: given: an entry of that name, or a number, and no supplementary groups ·
 *          not given: the gid of the user's entry (0 without one), and every group that lists the
 *          user by name as supplementary
 * An unknown name is NOT_FOUND and named. text NULL is "". No names are looked up, and no file
 * opened, when text is "uid:gid" in digits (home is "" then).
 */
int oci_user_find(const char *text, oci_open_fn open_file, void *arg, struct oci_account *ret,
                  struct zl_error *err);
/* Further supplementary groups, by name or number, after oci_user_find(). */
int oci_user_add_groups(const struct spec_strings *names, oci_open_fn open_file, void *arg,
                        struct oci_account *account, struct zl_error *err);

#endif
