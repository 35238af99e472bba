// SPDX-License-Identifier: Apache-2.0
#include "spec/time/zonefile.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/fd.h"

static int no_such_zone(const char *dir, const char *name, struct zl_error *err)
{
    return zl_fail(err, ZL_ERR_NOT_FOUND, "there is no time zone '%s' in %s", name, dir);
}

static int read_zone(int dir_fd, const char *name, struct zl_buf *out, struct zl_error *err)
{
    struct stat st;
    zl_autoclose int fd = zl_open_in_root(dir_fd, name, O_RDONLY | O_NONBLOCK, err);
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) < 0)
        return zl_fail_errno(err, "stat '%s'", name);
    if (!S_ISREG(st.st_mode))
        return zl_fail(err, ZL_ERR_NOT_FOUND, "'%s' is no file", name);
    return zl_read_fd(fd, out, name, err);
}

int tz_load(const char *dir, const char *name, struct tz **ret, struct zl_error *err)
{
    struct zl_error why = { 0 };
    zl_autobuf struct zl_buf bytes = ZL_BUF(TZ_FILE_MAX);
    if (!tz_name_valid(name))
        return zl_fail(err, ZL_ERR_INVALID, "'%s' is not a time zone name like Europe/Berlin",
                       name);
    if (tz_name_is_utc(name)) {
        *ret = NULL;
        return 0;
    }
    zl_autoclose int dir_fd = zl_open_dir(AT_FDCWD, dir, err);
    if (dir_fd < 0)
        return zl_wrap(err, "read time zone '%s' (is tzdata installed?)", name);
    if (read_zone(dir_fd, name, &bytes, &why) < 0) {
        if (why.errnum == ENOENT || why.errnum == ENOTDIR || why.kind == ZL_ERR_NOT_FOUND)
            return no_such_zone(dir, name, err);
        if (err)
            *err = why;
        return zl_wrap(err, "read time zone '%s'", name);
    }
    if (tz_parse(bytes.data, bytes.len, ret, err) < 0)
        return zl_wrap(err, "read time zone '%s'", name);
    return 0;
}
