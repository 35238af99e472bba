// SPDX-License-Identifier: Apache-2.0
/*
 * Calls the functions of WASI preview 1 with every combination of a list of paths, descriptors and
 * valid flags (at others wasmtime traps), and prints a line "CALL ARGUMENTS: ERRNO FIGURES" for
 * each: the same lines come from any host that means the same. Descriptor 3 is an empty writable
 * folder, 4 a read-only one with a folder "t" of the same content as reset() makes.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <wasi/api.h>

enum { RW = 3, RO = 4, GONE = 99 };
#define FOLLOW __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW
#define RIGHT(name) ((__wasi_rights_t)__WASI_RIGHTS_##name)

static int tree = -1; /* RW/t, which reset() made */

/* ---- what it works on ---- */

static void make_file(const char *path, const char *text)
{
    const __wasi_ciovec_t v = { (const uint8_t *)text, strlen(text) };
    __wasi_size_t n;
    __wasi_fd_t fd;
    if (__wasi_path_open(RW, 0, path, __WASI_OFLAGS_CREAT | __WASI_OFLAGS_TRUNC, RIGHT(FD_WRITE), 0,
                         0, &fd) == 0) {
        (void)__wasi_fd_write(fd, &v, 1, &n);
        (void)__wasi_fd_close(fd);
    }
}

static const char *const names[] = { "file",  "empty",    "dir/in",  "dir/sub/deep", "link",
                                     "dlink", "dangling", "loop",    "out",          "new",
                                     "n/n",   "missing",  "dir/new", "dir/sub/new",  "dir/in/new" };

/* Whatever is there goes, whatever it is. */
static void empty_tree(void)
{
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            char path[64];
            (void)snprintf(path, sizeof path, "t/%s", names[i]);
            if (__wasi_path_unlink_file(RW, path) != 0)
                (void)__wasi_path_remove_directory(RW, path);
        }
}

static void reset(void)
{
    if (tree >= 0)
        (void)__wasi_fd_close((__wasi_fd_t)tree);
    empty_tree();
    (void)__wasi_path_remove_directory(RW, "t/dir/sub");
    (void)__wasi_path_remove_directory(RW, "t/dir");
    (void)__wasi_path_create_directory(RW, "t");
    (void)__wasi_path_create_directory(RW, "t/dir");
    (void)__wasi_path_create_directory(RW, "t/dir/sub");
    make_file("t/file", "content");
    make_file("t/empty", "");
    make_file("t/dir/in", "inner");
    (void)__wasi_path_symlink("file", RW, "t/link");
    (void)__wasi_path_symlink("dir", RW, "t/dlink");
    (void)__wasi_path_symlink("missing", RW, "t/dangling");
    (void)__wasi_path_symlink("loop", RW, "t/loop");
    (void)__wasi_path_symlink("../../outside", RW, "t/out");
    __wasi_fd_t fd;
    if (__wasi_path_open(RW, 0, "t", __WASI_OFLAGS_DIRECTORY, RIGHT(FD_READDIR), 0, 0, &fd) == 0)
        tree = (int)fd;
}

static char long_name[257], longest_name[256];
static const char *const paths[] = {
    "file",        "file/",     "file/x",    "file/.",     "file/..",    "./file",  "empty",
    "dir",         "dir/",      "dir//",     "dir/.",      "dir/..",     "dir/in",  "dir//in",
    "dir/../file", "dir/../..", "dir/sub",   "dir/sub/..", "dir/in/",    "missing", "missing/",
    "missing/x",   "link",      "link/",     "link/x",     "dlink",      "dlink/",  "dlink/in",
    "dlink/sub",   "dlink/new", "dangling",  "dangling/",  "dangling/x", "loop",    "loop/",
    "loop/x",      "out",       "out/",      "out/secret", "../outside", ".",       "./",
    "..",          "../t",      "../t/file", "",           "/",          "/file",   "new",
    "new/",        "dir/new",   "//",        "...",        longest_name, long_name,
};
enum { PATHS = sizeof paths / sizeof *paths };

static const char *show(const char *path)
{
    return path == long_name ? "(256)" : path == longest_name ? "(255)" : path;
}

/* ---- paths ---- */

static void open_one(int dir, const char *path, int look, int oflags, __wasi_rights_t rights,
                     int fdflags)
{
    __wasi_fdstat_t st = { 0 };
    __wasi_filestat_t f = { 0 };
    __wasi_fd_t fd;
    __wasi_errno_t e =
        __wasi_path_open((__wasi_fd_t)dir, (__wasi_lookupflags_t)look, path,
                         (__wasi_oflags_t)oflags, rights, 0, (__wasi_fdflags_t)fdflags, &fd);
    printf("path_open %s '%s' look=%d o=%d rights=%llx fd=%d: %d", dir == RO ? "ro" : "rw",
           show(path), look, oflags, (unsigned long long)rights, fdflags, e);
    if (e == 0) {
        __wasi_errno_t a = __wasi_fd_fdstat_get(fd, &st), b = __wasi_fd_filestat_get(fd, &f);
        printf(" type %d flags %d %d %d size %d", st.fs_filetype, st.fs_flags, a, b,
               f.filetype == __WASI_FILETYPE_REGULAR_FILE ? (int)f.size : 0);
        (void)__wasi_fd_close(fd);
    }
    printf("\n");
    if (dir != RO && e == 0 && oflags & ~__WASI_OFLAGS_DIRECTORY)
        reset();
}

static void sweep_open(void)
{
    static const __wasi_rights_t rights[] = { 0, RIGHT(FD_READ), RIGHT(FD_WRITE),
                                              RIGHT(FD_READ) | RIGHT(FD_WRITE),
                                              RIGHT(FD_READ) | RIGHT(FD_READDIR) };
    for (int i = 0; i < PATHS; i++)
        for (int look = 0; look < 2; look++)
            for (int o = 0; o < 16; o++)
                for (size_t r = 0; r < sizeof rights / sizeof *rights; r++)
                    open_one(tree, paths[i], look, o, rights[r], 0);
    for (int i = 0; i < PATHS; i++) {
        char path[300];
        (void)snprintf(path, sizeof path, "t/%s", paths[i]);
        for (int o = 0; o < 16; o++)
            for (size_t r = 0; r < 4; r++)
                open_one(RO, path, 1, o, rights[r], 0);
    }
    for (int fdflags = 0; fdflags < 32; fdflags++) {
        open_one(tree, "file", 0, 0, RIGHT(FD_READ) | RIGHT(FD_WRITE), fdflags);
        open_one(tree, "dir", 0, 0, RIGHT(FD_READ), fdflags);
        open_one(tree, "new", 0, 1, RIGHT(FD_WRITE), fdflags);
    }
}

static void print_stat(__wasi_errno_t e, const __wasi_filestat_t *st)
{
    printf("%d", e);
    if (e == 0)
        printf(" type %d size %d links %d", st->filetype,
               st->filetype == __WASI_FILETYPE_REGULAR_FILE ? (int)st->size : 0,
               st->filetype == __WASI_FILETYPE_REGULAR_FILE ? (int)st->nlink : 0);
    printf("\n");
}

static void sweep_look(void)
{
    uint8_t buf[64];
    for (int i = 0; i < PATHS; i++) {
        for (int look = 0; look < 2; look++) {
            __wasi_filestat_t st = { 0 };
            printf("path_filestat_get '%s' look=%d: ", show(paths[i]), look);
            print_stat(__wasi_path_filestat_get((__wasi_fd_t)tree, (__wasi_lookupflags_t)look,
                                                paths[i], &st),
                       &st);
        }
        for (int size = 0; size < 64; size += 3) {
            __wasi_size_t n = 0;
            memset(buf, 0, sizeof buf);
            __wasi_errno_t e =
                __wasi_path_readlink((__wasi_fd_t)tree, paths[i], buf, (__wasi_size_t)size, &n);
            printf("path_readlink '%s' %d: %d %d '%.*s'\n", show(paths[i]), size, e, (int)n, (int)n,
                   (const char *)buf);
        }
    }
}

static void sweep_times(void)
{
    for (int i = 0; i < PATHS; i++)
        for (int look = 0; look < 2; look++)
            for (int flags = 0; flags < 16; flags++) {
                __wasi_filestat_t st = { 0 };
                __wasi_errno_t e = __wasi_path_filestat_set_times(
                    (__wasi_fd_t)tree, (__wasi_lookupflags_t)look, paths[i], 1000000001, 2000000002,
                    (__wasi_fstflags_t)flags);
                printf("path_filestat_set_times '%s' look=%d flags=%d: %d", show(paths[i]), look,
                       flags, e);
                if (e == 0 &&
                    __wasi_path_filestat_get((__wasi_fd_t)tree, (__wasi_lookupflags_t)look,
                                             paths[i], &st) == 0)
                    printf(" %d %d", st.atim == 1000000001, st.mtim == 2000000002);
                printf("\n");
            }
}

static void tell(const char *what, const char *a, const char *b, __wasi_errno_t e)
{
    printf("%s '%s' '%s': %d\n", what, show(a), show(b), e);
    if (e == 0)
        reset();
}

static void sweep_make(void)
{
    static const char *const targets[] = { "file", "", "/etc", "../..", "missing/", "." };
    for (int i = 0; i < PATHS; i++) {
        __wasi_fd_t t = (__wasi_fd_t)tree;
        tell("path_create_directory", paths[i], "", __wasi_path_create_directory(t, paths[i]));
        tell("path_remove_directory", paths[i], "",
             __wasi_path_remove_directory((__wasi_fd_t)tree, paths[i]));
        tell("path_unlink_file", paths[i], "",
             __wasi_path_unlink_file((__wasi_fd_t)tree, paths[i]));
        for (size_t k = 0; k < sizeof targets / sizeof *targets; k++)
            tell("path_symlink", targets[k], paths[i],
                 __wasi_path_symlink(targets[k], (__wasi_fd_t)tree, paths[i]));
    }
}

static void sweep_pairs(void)
{
    for (int i = 0; i < PATHS; i++)
        for (int k = 0; k < PATHS; k++) {
            tell("path_rename", paths[i], paths[k],
                 __wasi_path_rename((__wasi_fd_t)tree, paths[i], (__wasi_fd_t)tree, paths[k]));
            tell("path_link", paths[i], paths[k],
                 __wasi_path_link((__wasi_fd_t)tree, 0, paths[i], (__wasi_fd_t)tree, paths[k]));
        }
    for (int i = 0; i < PATHS; i++)
        tell("path_link follow", paths[i], "new",
             __wasi_path_link((__wasi_fd_t)tree, FOLLOW, paths[i], (__wasi_fd_t)tree, "new"));
}

static void sweep_read_only(void)
{
    static const char *const some[] = { "t/file",      "t/dir",  "t/dir/in", "t/link", "t/new",
                                        "t/missing/x", "t/dir/", "t/out/x",  "..",     "" };
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        tell("ro path_create_directory", some[i], "", __wasi_path_create_directory(RO, some[i]));
        tell("ro path_remove_directory", some[i], "", __wasi_path_remove_directory(RO, some[i]));
        tell("ro path_unlink_file", some[i], "", __wasi_path_unlink_file(RO, some[i]));
        tell("ro path_symlink", some[i], "", __wasi_path_symlink("x", RO, some[i]));
        tell("ro path_filestat_set_times", some[i], "",
             __wasi_path_filestat_set_times(RO, 0, some[i], 1, 1, __WASI_FSTFLAGS_ATIM));
        tell("ro to rw path_rename", some[i], "", __wasi_path_rename(RO, some[i], RW, "stolen"));
        tell("rw to ro path_rename", some[i], "", __wasi_path_rename(RW, "t/file", RO, some[i]));
        tell("ro to rw path_link", some[i], "", __wasi_path_link(RO, 0, some[i], RW, "stolen"));
        tell("rw to ro path_link", some[i], "", __wasi_path_link(RW, 0, "t/file", RO, some[i]));
    }
}

/* Paths are of folders only. */
static void sweep_wrong_folder(__wasi_fd_t fd, const char *what)
{
    uint8_t buf[8];
    __wasi_size_t n;
    __wasi_fd_t got;
    __wasi_filestat_t st;
    tell("on", what, "path_open", __wasi_path_open(fd, 0, "x", 0, 0, 0, 0, &got));
    tell("on", what, "path_filestat_get", __wasi_path_filestat_get(fd, 0, "x", &st));
    tell("on", what, "path_readlink", __wasi_path_readlink(fd, "x", buf, sizeof buf, &n));
    tell("on", what, "path_create_directory", __wasi_path_create_directory(fd, "x"));
    tell("on", what, "path_remove_directory", __wasi_path_remove_directory(fd, "x"));
    tell("on", what, "path_unlink_file", __wasi_path_unlink_file(fd, "x"));
    tell("on", what, "path_symlink", __wasi_path_symlink("y", fd, "x"));
    tell("on", what, "path_rename", __wasi_path_rename(fd, "x", RW, "y"));
    tell("to", what, "path_rename", __wasi_path_rename(RW, "t/file", fd, "y"));
    tell("on", what, "path_link", __wasi_path_link(fd, 0, "x", RW, "y"));
    tell("on", what, "path_filestat_set_times",
         __wasi_path_filestat_set_times(fd, 0, "x", 1, 1, __WASI_FSTFLAGS_ATIM));
}

/* ---- descriptors ---- */

/* Each call on one descriptor, which it is given anew where the call may change it. */
struct given {
    const char *name;
    const char *path; /* below the tree; NULL: `fd` itself */
    int oflags, fdflags;
    __wasi_rights_t rights;
    __wasi_fd_t fd;
};

static __wasi_fd_t open_given(const struct given *g)
{
    __wasi_fd_t fd = GONE;
    if (!g->path)
        return g->fd;
    reset();
    (void)__wasi_path_open((__wasi_fd_t)tree, 0, g->path, (__wasi_oflags_t)g->oflags, g->rights, 0,
                           (__wasi_fdflags_t)g->fdflags, &fd);
    return fd;
}

static void close_given(const struct given *g, __wasi_fd_t fd)
{
    if (g->path)
        (void)__wasi_fd_close(fd);
}

static void describe(const struct given *g)
{
    __wasi_fd_t fd = open_given(g);
    __wasi_fdstat_t s = { 0 };
    __wasi_filestat_t f = { 0 };
    __wasi_errno_t e = __wasi_fd_fdstat_get(fd, &s);
    printf("fd_fdstat_get %s: %d type %d flags %d rights %llx %llx\n", g->name, e, s.fs_filetype,
           s.fs_flags, (unsigned long long)s.fs_rights_base,
           (unsigned long long)s.fs_rights_inheriting);
    printf("fd_filestat_get %s: ", g->name);
    e = __wasi_fd_filestat_get(fd, &f);
    print_stat(e, &f);
    for (int flags = 0; flags < 32; flags++) {
        e = __wasi_fd_fdstat_set_flags(fd, (__wasi_fdflags_t)flags);
        (void)__wasi_fd_fdstat_get(fd, &s);
        printf("fd_fdstat_set_flags %s %d: %d now %d\n", g->name, flags, e, s.fs_flags);
    }
    (void)__wasi_fd_fdstat_set_flags(fd, 0);
    printf("fd_fdstat_set_rights %s: %d\n", g->name,
           __wasi_fd_fdstat_set_rights(fd, s.fs_rights_base, 0));
    close_given(g, fd);
}

static void change(const struct given *g)
{
    static const __wasi_filesize_t sizes[] = { 0, 3, 100, INT64_MAX, UINT64_MAX };
    __wasi_filestat_t st = { 0 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        __wasi_fd_t fd = open_given(g);
        printf("fd_filestat_set_size %s %llu: %d\n", g->name, (unsigned long long)sizes[i],
               __wasi_fd_filestat_set_size(fd, sizes[i]));
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
            printf("fd_allocate %s %llu %llu: %d\n", g->name, (unsigned long long)sizes[k],
                   (unsigned long long)sizes[i], __wasi_fd_allocate(fd, sizes[k], sizes[i]));
        for (int advice = 0; advice < 6; advice++)
            printf("fd_advise %s %llu %d: %d\n", g->name, (unsigned long long)sizes[i], advice,
                   __wasi_fd_advise(fd, sizes[i], 3, (__wasi_advice_t)advice));
        close_given(g, fd);
    }
    __wasi_fd_t fd = open_given(g);
    for (int flags = 0; flags < 16; flags++) {
        __wasi_errno_t e =
            __wasi_fd_filestat_set_times(fd, 1000000001, 2000000002, (__wasi_fstflags_t)flags);
        printf("fd_filestat_set_times %s %d: %d", g->name, flags, e);
        if (e == 0 && g->path && __wasi_fd_filestat_get(fd, &st) == 0)
            printf(" %d %d", st.atim == 1000000001, st.mtim == 2000000002);
        printf("\n");
    }
    printf("fd_sync %s: %d\n", g->name, __wasi_fd_sync(fd));
    printf("fd_datasync %s: %d\n", g->name, __wasi_fd_datasync(fd));
    close_given(g, fd);
}

static void transfer(const struct given *g)
{
    uint8_t buf[16];
    const __wasi_iovec_t in[3] = { { buf, 2 }, { buf + 2, 0 }, { buf + 4, 3 } };
    const __wasi_ciovec_t out[3] = { { (const uint8_t *)"XY", 2 },
                                     { (const uint8_t *)"", 0 },
                                     { (const uint8_t *)"Z", 1 } };
    for (int n = 0; n < 4; n++)
        for (int at = 0; at < 12; at += 5) {
            __wasi_fd_t fd = open_given(g);
            __wasi_size_t done = 0;
            __wasi_filesize_t where = 0;
            if (!g->path && (fd == 1 || fd == 2) && n > 0) /* what it writes is the other output */
                continue;
            __wasi_errno_t e = __wasi_fd_pread(fd, in, (size_t)n, (__wasi_filesize_t)at, &done);
            printf("fd_pread %s %d %d: %d %d\n", g->name, n, at, e, e ? 0 : (int)done);
            e = __wasi_fd_pwrite(fd, out, (size_t)n, (__wasi_filesize_t)at, &done);
            printf("fd_pwrite %s %d %d: %d %d\n", g->name, n, at, e, e ? 0 : (int)done);
            e = __wasi_fd_read(fd, in, (size_t)n, &done);
            printf("fd_read %s %d: %d %d\n", g->name, n, e, e ? 0 : (int)done);
            e = __wasi_fd_write(fd, out, (size_t)n, &done);
            printf("fd_write %s %d: %d %d\n", g->name, n, e, e ? 0 : (int)done);
            e = __wasi_fd_tell(fd, &where);
            printf("fd_tell %s %d %d: %d %d\n", g->name, n, at, e, e ? 0 : (int)where);
            close_given(g, fd);
        }
}

static void seek(const struct given *g)
{
    static const __wasi_filedelta_t offsets[] = { 0, 1, -1, 7, -7, -8, 1000, INT64_MAX, INT64_MIN };
    __wasi_fd_t fd = open_given(g);
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++)
        for (int whence = 0; whence < 3; whence++) {
            __wasi_filesize_t now = 0;
            __wasi_errno_t e = __wasi_fd_seek(fd, offsets[i], (__wasi_whence_t)whence, &now);
            printf("fd_seek %s %lld %d: %d %lld\n", g->name, (long long)offsets[i], whence, e,
                   e ? 0 : (long long)now);
        }
    close_given(g, fd);
}

static void sort_names(char list[][32], int n)
{
    for (int i = 1; i < n; i++)
        for (int k = i; k > 0 && strcmp(list[k - 1], list[k]) > 0; k--) {
            char swap[32];
            memcpy(swap, list[k], sizeof swap);
            memcpy(list[k], list[k - 1], sizeof swap);
            memcpy(list[k - 1], swap, sizeof swap);
        }
}

/* All entries with a buffer of so many bytes, in the order of their names. */
static void list(const struct given *g, __wasi_size_t size)
{
    static char found[64][32];
    static uint8_t buf[4096];
    __wasi_fd_t fd = open_given(g);
    __wasi_dircookie_t cookie = 0;
    __wasi_size_t used = size;
    __wasi_errno_t e = 0;
    int n = 0;
    for (int turn = 0; e == 0 && used == size && turn < 100 && n < 64; turn++) {
        e = __wasi_fd_readdir(fd, buf, size, cookie, &used);
        for (size_t at = 0; e == 0 && at + sizeof(__wasi_dirent_t) <= used && n < 64;) {
            __wasi_dirent_t d;
            memcpy(&d, buf + at, sizeof d);
            if (at + sizeof d + d.d_namlen > used)
                break;
            (void)snprintf(found[n++], sizeof *found, "%.*s:%d", (int)d.d_namlen,
                           (const char *)buf + at + sizeof d, d.d_type);
            cookie = d.d_next;
            at += sizeof d + d.d_namlen;
        }
    }
    sort_names(found, n);
    printf("fd_readdir %s %d: %d", g->name, (int)size, e);
    for (int i = 0; i < n; i++)
        printf(" %s", found[i]);
    printf("\n");
    close_given(g, fd);
}

static void folder(const struct given *g)
{
    static const __wasi_size_t sizes[] = { 64, 100, 4096 };
    uint8_t name[16] = "";
    __wasi_prestat_t p = { 0 };
    __wasi_fd_t fd = open_given(g);
    __wasi_errno_t e = __wasi_fd_prestat_get(fd, &p);
    printf("fd_prestat_get %s: %d %d\n", g->name, e, e ? 0 : (int)p.u.dir.pr_name_len);
    for (__wasi_size_t n = 0; n < 6; n++)
        printf("fd_prestat_dir_name %s %d: %d\n", g->name, (int)n,
               __wasi_fd_prestat_dir_name(fd, name, n));
    close_given(g, fd);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        list(g, sizes[i]);
}

static void wait_for(const struct given *g)
{
    for (int tag = 1; tag < 3; tag++) {
        __wasi_fd_t fd = open_given(g);
        __wasi_subscription_t s[2] = { { .userdata = 1 }, { .userdata = 2 } };
        __wasi_event_t ev[2] = { 0 };
        __wasi_size_t n = 0;
        s[0].u.tag = (uint8_t)tag;
        s[0].u.u.fd_read.file_descriptor = fd;
        s[1].u.tag = __WASI_EVENTTYPE_CLOCK;
        s[1].u.u.clock.id = __WASI_CLOCKID_MONOTONIC;
        s[1].u.u.clock.timeout = 1000000000;
        __wasi_errno_t e = __wasi_poll_oneoff(s, ev, 2, &n);
        printf("poll_oneoff %s %d: %d %d %d %d\n", g->name, tag, e, (int)n,
               e ? 0 : (int)ev[0].userdata, e ? 0 : ev[0].error);
        close_given(g, fd);
    }
}

static void sockets(const struct given *g)
{
    uint8_t buf[4];
    const __wasi_iovec_t in = { buf, sizeof buf };
    const __wasi_ciovec_t out = { buf, sizeof buf };
    __wasi_fd_t fd = open_given(g), got;
    __wasi_size_t n;
    __wasi_roflags_t ro;
    printf("sock_accept %s: %d\n", g->name, __wasi_sock_accept(fd, 0, &got));
    printf("sock_recv %s: %d\n", g->name, __wasi_sock_recv(fd, &in, 1, 0, &n, &ro));
    printf("sock_send %s: %d\n", g->name, __wasi_sock_send(fd, &out, 1, 0, &n));
    for (int how = 0; how < 4; how++)
        printf("sock_shutdown %s %d: %d\n", g->name, how,
               __wasi_sock_shutdown(fd, (__wasi_sdflags_t)how));
    close_given(g, fd);
}

static void renumber(const struct given *g)
{
    __wasi_fd_t fd = open_given(g), other = GONE;
    __wasi_filestat_t st = { 0 };
    (void)__wasi_path_open((__wasi_fd_t)tree, 0, "empty", 0, RIGHT(FD_READ), 0, 0, &other);
    printf("fd_renumber %s to itself: %d\n", g->name, __wasi_fd_renumber(fd, fd));
    printf("fd_renumber %s to none: %d\n", g->name, __wasi_fd_renumber(fd, GONE));
    printf("fd_renumber none to %s: %d\n", g->name, __wasi_fd_renumber(GONE, fd));
    if (g->path) {
        __wasi_errno_t e = __wasi_fd_renumber(fd, other);
        printf("fd_renumber %s to another: %d", g->name, e);
        printf(" %d", __wasi_fd_filestat_get(other, &st));
        printf(" size %d", st.filetype == __WASI_FILETYPE_REGULAR_FILE ? (int)st.size : 0);
        printf(" %d\n", __wasi_fd_filestat_get(fd, &st));
        if (e == 0)
            fd = GONE;
    }
    (void)__wasi_fd_close(other);
    close_given(g, fd);
}

static const struct given givens[] = {
    { "stdin", NULL, 0, 0, 0, 0 },
    { "stdout", NULL, 0, 0, 0, 1 },
    { "stderr", NULL, 0, 0, 0, 2 },
    { "preopen", NULL, 0, 0, 0, RW },
    { "read-only preopen", NULL, 0, 0, 0, RO },
    { "none", NULL, 0, 0, 0, GONE },
    { "far", NULL, 0, 0, 0, 0x7fffffff },
    { "reader", "file", 0, 0, RIGHT(FD_READ) | RIGHT(FD_SEEK), 0 },
    { "writer", "file", 0, 0, RIGHT(FD_WRITE), 0 },
    { "both", "file", 0, 0, RIGHT(FD_READ) | RIGHT(FD_WRITE), 0 },
    { "appender", "file", 0, __WASI_FDFLAGS_APPEND, RIGHT(FD_READ) | RIGHT(FD_WRITE), 0 },
    { "nonblocking", "file", 0, __WASI_FDFLAGS_NONBLOCK, RIGHT(FD_READ) | RIGHT(FD_WRITE), 0 },
    { "synced", "file", 0, __WASI_FDFLAGS_SYNC, RIGHT(FD_READ) | RIGHT(FD_WRITE), 0 },
    { "folder", "dir", __WASI_OFLAGS_DIRECTORY, 0, RIGHT(FD_READ) | RIGHT(FD_READDIR), 0 },
    { "tree", ".", __WASI_OFLAGS_DIRECTORY, 0, 0, 0 },
};

/* ---- the rest ---- */

static void clocks(void)
{
    __wasi_timestamp_t t = 0;
    for (int id = 0; id < 4; id++) {
        __wasi_errno_t e = __wasi_clock_res_get((__wasi_clockid_t){ (uint32_t)id }, &t);
        printf("clock_res_get %d: %d %d\n", id, e, e == 0 && t > 0);
        e = __wasi_clock_time_get((__wasi_clockid_t){ (uint32_t)id }, 1, &t);
        printf("clock_time_get %d: %d\n", id, e);
    }
}

static void polls(void)
{
    __wasi_event_t ev[3] = { 0 };
    __wasi_size_t n = 0;
    printf("poll_oneoff of nothing: %d\n", __wasi_poll_oneoff(NULL, ev, 0, &n));
    for (__wasi_clockid_t id = 0; id < 4; id++)
        for (int flags = 0; flags < 2; flags++)
            for (__wasi_size_t count = 1; count < 3; count++) {
                __wasi_subscription_t s[2] = { { .userdata = 7 }, { .userdata = 8 } };
                for (int i = 0; i < 2; i++) {
                    s[i].u.tag = __WASI_EVENTTYPE_CLOCK;
                    s[i].u.u.clock.id = id;
                    s[i].u.u.clock.timeout = i ? 1000000000000 : 1000;
                    s[i].u.u.clock.flags = (__wasi_subclockflags_t)flags;
                }
                __wasi_errno_t e = __wasi_poll_oneoff(s, ev, count, &n);
                printf("poll_oneoff clock %d %d %d: %d", (int)id, flags, (int)count, e);
                if (e == 0)
                    printf(" %d: %d %d %d", (int)n > 0, (int)ev[0].userdata, ev[0].error,
                           ev[0].type);
                printf("\n");
            }
}

static void texts(void)
{
    __wasi_size_t n = 0, size = 0;
    uint8_t *v[16], buf[512];
    __wasi_errno_t e = __wasi_args_sizes_get(&n, &size);
    printf("args_sizes_get: %d %d\n", e, (int)n);
    e = __wasi_args_get(v, buf);
    printf("args_get: %d %s %s\n", e, n > 1 ? (char *)v[1] : "", n > 2 ? (char *)v[2] : "");
    e = __wasi_environ_sizes_get(&n, &size);
    printf("environ_sizes_get: %d %d %d\n", e, (int)n, (int)size);
    e = __wasi_environ_get(v, buf);
    for (__wasi_size_t i = 0; e == 0 && i < n; i++)
        printf("environ_get %d: 0 %s\n", (int)i, (char *)v[i]);
}

int main(void)
{
    memset(long_name, 'n', sizeof long_name - 1);
    memset(longest_name, 'n', sizeof longest_name - 1);
    reset();
    sweep_open();
    sweep_look();
    sweep_times();
    sweep_make();
    sweep_pairs();
    sweep_read_only();
    for (size_t i = 0; i < sizeof givens / sizeof *givens; i++) {
        const struct given *g = &givens[i];
        __wasi_fd_t fd = open_given(g);
        sweep_wrong_folder(fd == RW || g->oflags ? GONE : fd, g->name);
        close_given(g, fd);
        describe(g);
        change(g);
        transfer(g);
        seek(g);
        folder(g);
        wait_for(g);
        sockets(g);
        renumber(g);
    }
    clocks();
    polls();
    texts();
    return 0;
}
