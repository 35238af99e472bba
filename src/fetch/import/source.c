// SPDX-License-Identifier: Apache-2.0
#include "fetch/import/source.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/fd.h"

static const struct scheme {
    const char *prefix;
    enum source_kind kind;
    bool is_folder, has_tag;
} schemes[] = {
    { "oci:", SOURCE_LAYOUT, true, true },
    { "oci-archive:", SOURCE_OCI_ARCHIVE, false, true },
    { "docker-archive:", SOURCE_DOCKER_ARCHIVE, false, true },
    { "dir:", SOURCE_DIR, true, false },
    { "archive:", SOURCE_ARCHIVE, false, false },
    { "", SOURCE_ROOTFS, false, false },
};

static const struct scheme *find_scheme(const char *text)
{
    const struct scheme *s = schemes;
    while (strncmp(text, s->prefix, strlen(s->prefix)) != 0)
        s++; /* the last one fits everything */
    return s;
}

/* "/FILE:TAG": a ':' that is followed by a '/' may be of the path or of a reference: the file that
 * is there decides, the longest name first. */
static void split_tag(struct source *s)
{
    for (char *end = s->path + strlen(s->path); end > s->path; end--) {
        if (*end != ':' && *end)
            continue;
        bool is_tag = *end == ':';
        *end = '\0';
        if (access(s->path, F_OK) == 0) {
            s->tag = is_tag ? end + 1 : NULL;
            return;
        }
        if (is_tag)
            *end = ':';
    }
    char *colon = strrchr(s->path, ':'); /* there is none; for the message */
    if (colon && !strchr(colon, '/'))
        *colon = '\0';
}

/* A mount of its own, read-only: ".." from its root leads nowhere, also for a process that was
 * taken over after its own root had changed (open_tree(2); mount_setattr(2), Linux 5.12). */
static int open_folder(const char *path, struct zl_error *err)
{
    struct mount_attr locked = {
        .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
    };
    struct stat st;
    zl_autoclose int fd = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return zl_fail_errno(err, "open '%s'", path);
    if (!S_ISDIR(st.st_mode))
        return zl_fail(err, ZL_ERR_INVALID, "'%s' is not a folder", path);
    if (mount_setattr(fd, "", AT_EMPTY_PATH, &locked, sizeof locked) < 0)
        return zl_fail_errno(err, "make '%s' read-only", path);
    return zl_take_fd(&fd);
}

static int open_archive(const char *path, struct zl_error *err)
{
    struct stat st;
    zl_autoclose int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return zl_fail_errno(err, "open '%s'", path);
    if (!S_ISREG(st.st_mode))
        return zl_fail(err, ZL_ERR_INVALID, "'%s' is not a file", path);
    return zl_take_fd(&fd);
}

int source_open(const char *text, struct source *ret, struct zl_error *err)
{
    struct source *s = ret;
    const struct scheme *scheme = find_scheme(text);
    const char *path = text + strlen(scheme->prefix);
    *s = (struct source){ .fd = -1, .kind = scheme->kind };
    if (snprintf(s->path, sizeof s->path, "%s", path) >= (int)sizeof s->path)
        return zl_fail(err, ZL_ERR_INVALID, "the path of the source is too long");
    if (path[0] != '/')
        return zl_fail(err, ZL_ERR_INVALID, "the source '%s' must be an absolute path", text);
    if (scheme->has_tag)
        split_tag(s);
    s->fd = scheme->is_folder ? open_folder(s->path, err) : open_archive(s->path, err);
    return s->fd < 0 ? -1 : 0;
}

void source_close(struct source *s)
{
    zl_closep(&s->fd);
    s->fd = -1;
    members_free(s->members);
    s->members = NULL;
}

/* ---- archives -------------------------------------------------------------------------------- */

/* All bytes of the source to who decompresses, who may not want them to the end. */
static int send_source(int fd, struct crew_job *job, struct zl_error *err)
{
    ZL_CLEANUP(file_input_done) struct file_input file = FILE_INPUT(fd);
    const struct input raw = file_input(&file);
    const void *bytes;
    ssize_t n;
    while ((n = raw.read(raw.arg, &bytes, err)) > 0) {
        int rc = crew_feed(job, bytes, (size_t)n, err);
        if (rc <= 0)
            return rc;
    }
    return (int)n;
}

/* Without a name, in the work folder: it goes with its descriptor. */
static int scratch_file(const struct work *w, struct zl_error *err)
{
    int fd = openat(w->dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    return fd < 0 ? zl_fail_errno(err, "create a file in the work folder") : fd;
}

static int find_members(struct source *s, const struct work *w, struct zl_error *err)
{
    zl_autoclose int list = scratch_file(w, err);
    if (list < 0 || crew_list(w->crew, s->fd, list, err) < 0)
        return -1;
    return members_load(list, &s->members, err);
}

/* The archive without its packing, if it has one. */
static int unpack_whole(struct source *s, const struct work *w, struct zl_error *err)
{
    struct crew_job job;
    struct unpacked found = { 0 };
    struct zl_error why = { 0 };
    zl_autoclose int fd = scratch_file(w, err);
    if (fd < 0 || crew_decompress(w->crew, fd, &job, err) < 0)
        return -1;
    int sent = send_source(s->fd, &job, err);
    int rc = crew_finish(&job, &found, &why);
    if (sent < 0)
        return -1;
    if (rc < 0) {
        *err = why;
        return -1;
    }
    if (found.packing == PACKED_NOT)
        return 0;
    (void)close(s->fd);
    s->fd = zl_take_fd(&fd);
    return 0;
}

static bool has(const struct source *s, const char *path)
{
    struct member m;
    return members_find(s->members, path, &m);
}

int source_look(struct source *s, const struct work *w, struct zl_error *err)
{
    if (s->kind != SOURCE_OCI_ARCHIVE && s->kind != SOURCE_DOCKER_ARCHIVE &&
        s->kind != SOURCE_ARCHIVE)
        return 0;
    if (unpack_whole(s, w, err) < 0 || find_members(s, w, err) < 0)
        return zl_wrap(err, "read '%s'", s->path);
    if (s->kind != SOURCE_ARCHIVE)
        return 0;
    if (has(s, "index.json"))
        s->kind = SOURCE_OCI_ARCHIVE;
    else if (has(s, "manifest.json"))
        s->kind = SOURCE_DOCKER_ARCHIVE;
    else
        return zl_fail(err, ZL_ERR_INVALID,
                       "'%s' holds no image: neither an index.json nor a manifest.json; the root "
                       "file system of one is for zlayer import",
                       s->path);
    return 0;
}

/* ---- parts ----------------------------------------------------------------------------------- */

/* The source itself, which is one file. */
static int whole_part(const struct source *s, struct part *ret, struct zl_error *err)
{
    struct stat st;
    if (fstat(s->fd, &st) < 0)
        return zl_fail_errno(err, "look at '%s'", s->path);
    int fd = zl_dup_above(s->fd, 3, err);
    *ret = (struct part){ fd, 0, (uint64_t)st.st_size };
    return fd < 0 ? -1 : 0;
}

static int folder_part(const struct source *s, const char *path, struct part *ret,
                       struct zl_error *err)
{
    struct stat st;
    zl_autoclose int fd = zl_open_beneath(s->fd, path, O_RDONLY | O_NONBLOCK, 0, err);
    if (fd < 0) {
        if (err && err->errnum == ENOENT)
            err->kind = ZL_ERR_NOT_FOUND;
        return -1;
    }
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return zl_fail(err, ZL_ERR_INVALID, "'%s' of the source is not a regular file", path);
    *ret = (struct part){ zl_take_fd(&fd), 0, (uint64_t)st.st_size };
    return 0;
}

int source_part(const struct source *s, const char *path, struct part *ret, struct zl_error *err)
{
    struct member m;
    if (s->kind == SOURCE_ROOTFS)
        return whole_part(s, ret, err);
    if (!s->members)
        return folder_part(s, path, ret, err);
    if (!members_find(s->members, path, &m))
        return zl_fail(err, ZL_ERR_NOT_FOUND, "there is no '%s' in the archive", path);
    int fd = zl_dup_above(s->fd, 3, err);
    if (fd < 0)
        return -1;
    *ret = (struct part){ fd, m.at, m.size };
    return 0;
}

int source_read(const struct source *s, const char *path, struct zl_buf *out, struct zl_error *err)
{
    autopart struct part p = { .fd = -1 };
    if (source_part(s, path, &p, err) < 0)
        return -1;
    zl_buf_reset(out);
    char *room = p.size <= out->max ? zl_buf_reserve(out, (size_t)p.size + 1) : NULL;
    if (!room)
        return zl_fail(err, ZL_ERR_INVALID, "'%s' of the source is larger than %zu bytes", path,
                       out->max);
    while (out->len < p.size) {
        ssize_t n =
            pread(p.fd, out->data + out->len, (size_t)p.size - out->len, (off_t)(p.at + out->len));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return zl_fail_errno(err, "read '%s'", path);
        if (n == 0)
            return zl_fail(err, ZL_ERR_INVALID, "'%s' of the source ends too early", path);
        out->len += (size_t)n;
    }
    out->data[out->len] = '\0';
    return 0;
}
