// SPDX-License-Identifier: Apache-2.0
/* Tar archives made in a test, entry by entry. */
#ifndef ZL_TEST_IMAGE_TARBALL_H
#define ZL_TEST_IMAGE_TARBALL_H

#include "../scratch.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <sys/stat.h>

enum { TARBALL_ROOM = 4 << 20 };

struct tarball {
    struct archive *a;
    struct archive_entry *e;
    char *bytes;
    size_t n;
};

enum tar_pack { TAR_PLAIN, TAR_GZIP, TAR_ZSTD };

/* t must stay where it is: libarchive keeps a pointer to its length. */
static inline void tar_begin(struct tarball *t, enum tar_pack pack)
{
    *t = (struct tarball){ .a = archive_write_new(), .e = archive_entry_new() };
    t->bytes = malloc(TARBALL_ROOM);
    assert_non_null(t->bytes);
    if (pack == TAR_GZIP)
        assert_int_equal(archive_write_add_filter_gzip(t->a), ARCHIVE_OK);
    if (pack == TAR_ZSTD)
        assert_int_equal(archive_write_add_filter_zstd(t->a), ARCHIVE_OK);
    assert_int_equal(archive_write_set_format_pax(t->a), ARCHIVE_OK);
    assert_int_equal(archive_write_open_memory(t->a, t->bytes, TARBALL_ROOM, &t->n), ARCHIVE_OK);
}

/* The next entry, to be completed through t->e and written with tar_add. */
static inline struct archive_entry *tar_entry(struct tarball *t, const char *path, mode_t mode)
{
    archive_entry_clear(t->e);
    archive_entry_set_pathname(t->e, path);
    archive_entry_set_mode(t->e, mode);
    archive_entry_set_size(t->e, 0);
    archive_entry_set_mtime(t->e, 1000000000, 0);
    return t->e;
}

static inline void tar_add(struct tarball *t, const char *content)
{
    size_t n = content ? strlen(content) : 0;
    if (n)
        archive_entry_set_size(t->e, (la_int64_t)n);
    assert_int_equal(archive_write_header(t->a, t->e), ARCHIVE_OK);
    if (n)
        assert_int_equal(archive_write_data(t->a, content, n), (la_ssize_t)n);
}

static inline void tar_file(struct tarball *t, const char *path, const char *content)
{
    (void)tar_entry(t, path, S_IFREG | 0644);
    tar_add(t, content);
}

static inline void tar_folder(struct tarball *t, const char *path, mode_t mode)
{
    (void)tar_entry(t, path, S_IFDIR | mode);
    tar_add(t, NULL);
}

static inline void tar_symlink(struct tarball *t, const char *path, const char *target)
{
    archive_entry_set_symlink(tar_entry(t, path, S_IFLNK | 0777), target);
    tar_add(t, NULL);
}

static inline void tar_hardlink(struct tarball *t, const char *path, const char *target)
{
    archive_entry_set_hardlink(tar_entry(t, path, S_IFREG | 0644), target);
    tar_add(t, NULL);
}

static inline void tar_end(struct tarball *t)
{
    assert_int_equal(archive_write_close(t->a), ARCHIVE_OK);
    archive_entry_free(t->e);
    (void)archive_write_free(t->a);
}

static inline void tarball_free(struct tarball *t)
{
    free(t->bytes);
}

/* Ends the archive and writes it into dir_fd/name. */
static inline void tar_save(struct tarball *t, int dir_fd, const char *name)
{
    struct zl_error err;
    tar_end(t);
    if (zl_write_atomic(dir_fd, name, t->bytes, t->n, 0644, false, &err) < 0)
        fail_msg("%s", err.msg);
    tarball_free(t);
}

#endif
