// SPDX-License-Identifier: Apache-2.0
#include "fetch/attributes.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

static int owner(struct archive_entry *e, uid_t *uid, gid_t *gid, struct zl_error *err)
{
    int64_t u = archive_entry_uid(e), g = archive_entry_gid(e);
    if (u < 0 || u >= UINT32_MAX || g < 0 || g >= UINT32_MAX) /* the last one means "no change" */
        return zl_fail(err, ZL_ERR_INVALID, "its owner %lld:%lld is out of range", (long long)u,
                       (long long)g);
    *uid = (uid_t)u;
    *gid = (gid_t)g;
    return 0;
}

void attributes_times(struct archive_entry *e, struct timespec ret[2])
{
    long ns = archive_entry_mtime_nsec(e);
    ret[0].tv_sec = archive_entry_mtime(e);
    ret[0].tv_nsec = ns >= 0 && ns < 1000000000 ? ns : 0;
    ret[1] = ret[0];
}

static bool starts_with(const char *s, const char *start)
{
    return strncmp(s, start, strlen(start)) == 0;
}

static bool is_kept(const char *name)
{
    return strcmp(name, "security.capability") == 0 ||
           (starts_with(name, "user.") && !starts_with(name, "user.overlay."));
}

static int set_xattrs(int fd, struct archive_entry *e, struct zl_error *err)
{
    const char *name;
    const void *value;
    size_t n;
    (void)archive_entry_xattr_reset(e); /* returns how many there are */
    while (archive_entry_xattr_next(e, &name, &value, &n) == ARCHIVE_OK) {
        if (!is_kept(name))
            continue;
        if (fsetxattr(fd, name, value, n, 0) < 0 && errno != EOPNOTSUPP)
            return zl_fail_errno(err, "set its attribute %s", name);
    }
    return 0;
}

int attributes_set(int fd, struct archive_entry *e, struct zl_error *err)
{
    uid_t uid = 0;
    gid_t gid = 0;
    struct timespec when[2];
    if (owner(e, &uid, &gid, err) < 0)
        return -1;
    if (fchown(fd, uid, gid) < 0) /* first: it clears set-user-id bits and file capabilities */
        return zl_fail_errno(err, "set its owner");
    if (fchmod(fd, archive_entry_perm(e) & 07777) < 0)
        return zl_fail_errno(err, "set its mode");
    if (set_xattrs(fd, e, err) < 0)
        return -1;
    attributes_times(e, when);
    return futimens(fd, when) < 0 ? zl_fail_errno(err, "set its time") : 0;
}

int attributes_set_at(int dir_fd, const char *name, struct archive_entry *e, struct zl_error *err)
{
    uid_t uid = 0;
    gid_t gid = 0;
    struct timespec when[2];
    if (owner(e, &uid, &gid, err) < 0)
        return -1;
    if (fchownat(dir_fd, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
        return zl_fail_errno(err, "set its owner");
    attributes_times(e, when);
    if (utimensat(dir_fd, name, when, AT_SYMLINK_NOFOLLOW) < 0)
        return zl_fail_errno(err, "set its time");
    return 0;
}
