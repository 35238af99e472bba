// SPDX-License-Identifier: Apache-2.0
/*
 * Cgroups of who is no root: those that were delegated to him. On v2 a child may be born in a
 * cgroup only when its maker may write cgroup.procs of the folder that both are below, and
 * controllers can be handed down only where nobody lives (cgroups(7), "Delegation"): so beside our
 * own cgroup comes before below it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "sandbox/plan/parts.h"

enum { PATH_SIZE = 1024 };

/* Ours on v2, without the leading '/'; false: there is no v2. */
static bool own_cgroup(char out[PATH_SIZE])
{
    zl_autobuf struct zl_buf text = ZL_BUF(65536);
    const char *at;

    if (zl_read_file(AT_FDCWD, "/proc/self/cgroup", &text, NULL) < 0)
        return false;
    at = strncmp(text.data, "0::/", 4) == 0 ? text.data : strstr(text.data, "\n0::/");
    if (!at)
        return false;
    at = strchr(at, '/') + 1;
    return snprintf(out, PATH_SIZE, "%.*s", (int)strcspn(at, "\n"), at) < PATH_SIZE;
}

static void cut_last(char *path)
{
    char *slash = strrchr(path, '/');

    *(slash ? slash : path) = '\0';
}

/* Whether we may make folders in the lowest one of mount/path that is there. */
static bool may_make(const char *mount, const char *path)
{
    char full[2 * PATH_SIZE], below[PATH_SIZE];

    (void)snprintf(below, sizeof below, "%s", path);
    for (;; cut_last(below)) {
        (void)snprintf(full, sizeof full, "%s/%s", mount, below);
        if (faccessat(AT_FDCWD, full, F_OK, AT_EACCESS) == 0)
            return faccessat(AT_FDCWD, full, W_OK, AT_EACCESS) == 0;
        if (!below[0])
            return false;
    }
}

/* Whether who lives in the cgroup `from` may have children born in `to`. */
static bool may_enter(const char *mount, const char *from, const char *to)
{
    char full[2 * PATH_SIZE], common[PATH_SIZE];

    (void)snprintf(common, sizeof common, "%s", from);
    while (common[0] && (strncmp(to, common, strlen(common)) != 0 ||
                         (to[strlen(common)] && to[strlen(common)] != '/')))
        cut_last(common);
    (void)snprintf(full, sizeof full, "%s/%s/cgroup.procs", mount, common);
    return faccessat(AT_FDCWD, full, W_OK, AT_EACCESS) == 0;
}

bool delegation_allows(const char *mount, bool v2, const char *path)
{
    char own[PATH_SIZE];

    if (!may_make(mount, path))
        return false;
    return !v2 || (own_cgroup(own) && may_enter(mount, own, path));
}

int delegation_path(const char *mount, const char *id, char *out, size_t size)
{
    char own[PATH_SIZE], beside[PATH_SIZE];
    int n;

    if (!own_cgroup(own))
        own[0] = '\0';
    memcpy(beside, own, sizeof beside);
    cut_last(beside);
    n = snprintf(out, size, "%s%szlayer-%s", beside, beside[0] ? "/" : "", id);
    if (own[0] && !delegation_allows(mount, true, out))
        n = snprintf(out, size, "%s/zlayer-%s", own, id);
    return n < 0 || (size_t)n >= size ? -1 : 0;
}
