// SPDX-License-Identifier: Apache-2.0
/*
 * Files and directories by descriptor. Everything opened here is close-on-exec from birth, reads
 * and writes are complete or an error, and paths that others wrote are resolved with openat2(2).
 */
#ifndef ZL_BASE_FD_H
#define ZL_BASE_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

/*
 * PATH comes from an image or a bundle: resolved as if root_fd were "/", so that neither "..", nor
 * a symlink in it, nor a magic link of /proc can lead out. flags and mode as open(2).
 */
int zl_open_in_root(int root_fd, const char *path, int flags, struct zl_error *err);
/* The same, but the path must stay below dir_fd: absolute symlinks and ".." that leave it fail. */
int zl_open_beneath(int dir_fd, const char *path, int flags, mode_t mode, struct zl_error *err);
/* An existing directory (O_DIRECTORY), for use as a dirfd. path_fd may be AT_FDCWD. */
int zl_open_dir(int dir_fd, const char *path, struct zl_error *err);

/* Makes dir_fd/name, which must not be there yet, with exactly this mode, whatever the umask is (of
 * a process that embeds us, say); an fd of it. */
int zl_make_dir(int dir_fd, const char *name, mode_t mode, struct zl_error *err);
/* mkdir -p of path below dir_fd, each new directory with this mode; an fd of the last one. */
int zl_mkdir_p(int dir_fd, const char *path, mode_t mode, struct zl_error *err);
/*
 * Removes name below dir_fd with everything in it, never following symlinks and never crossing into
 * another file system (a mount below stops it with an error). A missing name is success.
 */
int zl_remove_tree(int dir_fd, const char *name, struct zl_error *err);

/* Waits for one of poll(2)'s events; TIMEOUT: none came before zl_mono_ms() is until_ms. */
int zl_await(int fd, short events, uint64_t until_ms, struct zl_error *err);
/* The whole file appended to out, at most out->max bytes. */
int zl_read_fd(int fd, struct zl_buf *out, const char *name, struct zl_error *err);
/* The same of a pipe or socket, whose end has to come before until_ms (UINT64_MAX: some day). */
int zl_read_until(int fd, struct zl_buf *out, uint64_t until_ms, const char *name,
                  struct zl_error *err);
int zl_read_file(int dir_fd, const char *path, struct zl_buf *out, struct zl_error *err);
/* All n bytes, whatever signals and short writes come between. */
int zl_write_all(int fd, const void *bytes, size_t n, const char *name, struct zl_error *err);
/* Writes text into an existing file, as the kernel's control files want it: one write(2). */
int zl_write_file(int dir_fd, const char *path, const char *text, struct zl_error *err);

/* Makes dir_fd/name, which must not be there yet, in a directory that nobody else reads before it
 * is complete: after a kill a part of it may be there. */
int zl_write_new(int dir_fd, const char *name, const void *bytes, size_t n, mode_t mode,
                 struct zl_error *err);

/*
 * Replaces dir_fd/name by these bytes, all or nothing, even over a power cut: temporary file,
 * fsync, rename, fsync of the directory. With durable false the two fsyncs are left out (tmpfs).
 */
int zl_write_atomic(int dir_fd, const char *name, const void *bytes, size_t n, mode_t mode,
                    bool durable, struct zl_error *err);

/* A memfd that holds these bytes, to be read from its beginning; `name` is for /proc and errors. It
 * can be sealed. */
int zl_memory_file(const char *name, const void *bytes, size_t n, struct zl_error *err);
/* From now on nobody can change the memfd, or seal it otherwise. */
int zl_seal(int fd, const char *name, struct zl_error *err);
/* Both. */
int zl_sealed(const char *name, const void *bytes, size_t n, struct zl_error *err);

/* dup of fd that is close-on-exec and at least min. */
int zl_dup_above(int fd, int min, struct zl_error *err);

/* Closes every descriptor from `first` on but those of kept[0..n), which is sorted here. -1 and
 * errno. Async-signal-safe. */
int zl_close_others(int first, int *kept, size_t n);

struct sockaddr_un;
/*
 * An AF_UNIX address that reaches dir_fd/name whatever the length of the directory's path, by way
 * of /proc/self/fd (sun_path holds 108 bytes, unix(7)). Valid while dir_fd is open.
 */
int zl_unix_address(int dir_fd, const char *name, struct sockaddr_un *ret, struct zl_error *err);

#endif
