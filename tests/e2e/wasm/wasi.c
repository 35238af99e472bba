// SPDX-License-Identifier: Apache-2.0
/*
 * Each function of WASI preview 1, called as a guest calls it: what it does, and how it refuses.
 * Descriptor 3 is a writable folder "/rw", 4 a read-only one "/ro" that holds "file" (hello\n) and
 * "link" -> "../outside", beside which lies a folder "outside" with a file "secret"; "/rw/abs" is a
 * link to "/etc". The expectations are those of the WASI documents and, where they are silent, of
 * wasmtime-wasi. Prints "ok NAME" or "FAIL NAME: line …" a case; ends with 0 when none failed.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <wasi/api.h>

static int failed_line;
static long failed_value;
#define IS(got, want)                                                                              \
    do {                                                                                           \
        long v_ = (long)(got);                                                                     \
        if (v_ != (long)(want)) {                                                                  \
            failed_line = __LINE__;                                                                \
            failed_value = v_;                                                                     \
            return;                                                                                \
        }                                                                                          \
    } while (0)
#define OK(call) IS(call, __WASI_ERRNO_SUCCESS)
#define HOLDS(what) IS(!!(what), 1)

enum { RW = 3, RO = 4 };
static const __wasi_rights_t both = __WASI_RIGHTS_FD_READ | __WASI_RIGHTS_FD_WRITE;

static __wasi_errno_t open_at(int dir, const char *path, int oflags, __wasi_rights_t rights,
                              int fdflags, __wasi_fd_t *fd)
{
    return __wasi_path_open(dir, 0, path, oflags, rights, 0, fdflags, fd);
}

static __wasi_errno_t write_text(__wasi_fd_t fd, const char *text, __wasi_size_t *n)
{
    const __wasi_ciovec_t v = { (const uint8_t *)text, strlen(text) };
    return __wasi_fd_write(fd, &v, 1, n);
}

static __wasi_errno_t read_text(__wasi_fd_t fd, char *text, size_t size, __wasi_size_t *n)
{
    const __wasi_iovec_t v = { (uint8_t *)text, size };
    return __wasi_fd_read(fd, &v, 1, n);
}

/* A new file of this content, its position behind it. */
static __wasi_errno_t make(const char *name, const char *text, __wasi_fd_t *fd)
{
    __wasi_size_t n;
    __wasi_errno_t e = open_at(RW, name, __WASI_OFLAGS_CREAT | __WASI_OFLAGS_TRUNC, both, 0, fd);
    return e ? e : write_text(*fd, text, &n);
}

/* ---- process ---- */

static void args(void)
{
    __wasi_size_t n, size;
    uint8_t *v[8], buf[256];
    OK(__wasi_args_sizes_get(&n, &size));
    IS(n, 3);
    HOLDS(size < sizeof buf);
    OK(__wasi_args_get(v, buf));
    IS(strcmp((char *)v[1], "one"), 0);
    IS(strcmp((char *)v[2], "two words"), 0);
}

static void environment(void)
{
    __wasi_size_t n, size;
    uint8_t *v[8], buf[256];
    OK(__wasi_environ_sizes_get(&n, &size));
    IS(n, 2);
    IS(size, sizeof "A=b" + sizeof "EMPTY=");
    OK(__wasi_environ_get(v, buf));
    IS(strcmp((char *)v[0], "A=b"), 0);
    IS(strcmp((char *)v[1], "EMPTY="), 0);
}

static void clocks(void)
{
    __wasi_timestamp_t a, b, res;
    for (__wasi_clockid_t id = 0; id < 4; id++) {
        OK(__wasi_clock_res_get(id, &res));
        HOLDS(res > 0);
        OK(__wasi_clock_time_get(id, 1, &a));
    }
    OK(__wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 1, &a));
    OK(__wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 1, &b));
    HOLDS(b >= a);
    OK(__wasi_clock_time_get(__WASI_CLOCKID_REALTIME, 1, &a));
    HOLDS(a > UINT64_C(1700000000000000000));
    IS(__wasi_clock_res_get((__wasi_clockid_t){ 17 }, &res), __WASI_ERRNO_INVAL);
    IS(__wasi_clock_time_get((__wasi_clockid_t){ 17 }, 1, &a), __WASI_ERRNO_INVAL);
}

static void random_bytes(void)
{
    uint8_t a[300] = { 0 }, b[300] = { 0 };
    OK(__wasi_random_get(a, sizeof a));
    OK(__wasi_random_get(b, sizeof b));
    HOLDS(memcmp(a, b, sizeof a) != 0);
    OK(__wasi_random_get(a, 0));
}

static void yield(void)
{
    OK(__wasi_sched_yield());
}

static void raise_signal(void)
{
    /* wasi-libc has no declaration of it any more */
    extern int raise_(int)
        __attribute__((import_module("wasi_snapshot_preview1"), import_name("proc_raise")));
    IS(raise_(6), __WASI_ERRNO_NOTSUP);
}

/* ---- reading and writing ---- */

static void write_and_read(void)
{
    __wasi_fd_t fd;
    __wasi_size_t n;
    __wasi_filesize_t at;
    char buf[32] = "";
    OK(make("a", "hello", &fd));
    OK(__wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &at));
    IS(at, 0);
    OK(read_text(fd, buf, sizeof buf, &n));
    IS(n, 5);
    IS(memcmp(buf, "hello", 5), 0);
    OK(read_text(fd, buf, sizeof buf, &n));
    IS(n, 0);
    OK(__wasi_fd_close(fd));
    IS(__wasi_fd_close(fd), __WASI_ERRNO_BADF);
}

static void scattered(void)
{
    char a[3], b[8];
    const __wasi_iovec_t in[3] = { { (uint8_t *)a, 3 }, { 0, 0 }, { (uint8_t *)b, 8 } };
    const __wasi_ciovec_t out[2] = { { (const uint8_t *)"abc", 3 },
                                     { (const uint8_t *)"defg", 4 } };
    __wasi_fd_t fd;
    __wasi_size_t n;
    __wasi_filesize_t at;
    OK(make("v", "", &fd));
    OK(__wasi_fd_write(fd, out, 2, &n));
    IS(n, 7);
    OK(__wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &at));
    OK(__wasi_fd_read(fd, in, 3, &n));
    IS(n, 7);
    IS(memcmp(a, "abc", 3), 0);
    IS(memcmp(b, "defg", 4), 0);
    OK(__wasi_fd_close(fd));
}

static void positioned(void)
{
    char buf[8] = "";
    const __wasi_iovec_t in = { (uint8_t *)buf, 3 };
    const __wasi_ciovec_t out = { (const uint8_t *)"XY", 2 };
    __wasi_fd_t fd;
    __wasi_size_t n;
    __wasi_filesize_t at;
    OK(make("p", "0123456789", &fd));
    OK(__wasi_fd_pwrite(fd, &out, 1, 4, &n));
    OK(__wasi_fd_pread(fd, &in, 1, 3, &n));
    IS(n, 3);
    IS(memcmp(buf, "3XY", 3), 0);
    OK(__wasi_fd_tell(fd, &at));
    IS(at, 10); /* neither moved it */
    IS(__wasi_fd_pread(0, &in, 1, 0, &n), __WASI_ERRNO_SPIPE);
    IS(__wasi_fd_pwrite(1, &out, 1, 0, &n), __WASI_ERRNO_SPIPE);
    IS(__wasi_fd_pread(fd, &in, 1, UINT64_MAX, &n), __WASI_ERRNO_INVAL);
    OK(__wasi_fd_close(fd));
}

static void seek_tell(void)
{
    __wasi_fd_t fd;
    __wasi_filesize_t at;
    OK(make("s", "0123456789", &fd));
    OK(__wasi_fd_seek(fd, -3, __WASI_WHENCE_CUR, &at));
    IS(at, 7);
    OK(__wasi_fd_seek(fd, 5, __WASI_WHENCE_END, &at));
    IS(at, 15);
    IS(__wasi_fd_seek(fd, -1, __WASI_WHENCE_SET, &at), __WASI_ERRNO_INVAL);
    IS(__wasi_fd_seek(fd, -100, __WASI_WHENCE_CUR, &at), __WASI_ERRNO_INVAL);
    IS(__wasi_fd_seek(0, 0, __WASI_WHENCE_CUR, &at), __WASI_ERRNO_SPIPE);
    IS(__wasi_fd_tell(1, &at), __WASI_ERRNO_SPIPE);
    IS(__wasi_fd_tell(RW, &at), __WASI_ERRNO_BADF);
    OK(__wasi_fd_close(fd));
}

static void append(void)
{
    __wasi_fd_t fd;
    __wasi_size_t n;
    __wasi_filestat_t st;
    OK(make("ap", "abc", &fd));
    OK(__wasi_fd_close(fd));
    OK(open_at(RW, "ap", 0, both, __WASI_FDFLAGS_APPEND, &fd));
    OK(write_text(fd, "def", &n));
    OK(__wasi_fd_filestat_get(fd, &st));
    IS(st.size, 6);
    OK(__wasi_fd_close(fd));
}

static void only_what_was_asked(void)
{
    __wasi_fd_t fd;
    __wasi_size_t n;
    char buf[4];
    OK(make("r", "abc", &fd));
    OK(__wasi_fd_close(fd));
    OK(open_at(RW, "r", 0, __WASI_RIGHTS_FD_READ, 0, &fd));
    IS(write_text(fd, "x", &n), __WASI_ERRNO_BADF);
    OK(__wasi_fd_close(fd));
    OK(open_at(RW, "r", 0, __WASI_RIGHTS_FD_WRITE, 0, &fd));
    IS(read_text(fd, buf, sizeof buf, &n), __WASI_ERRNO_BADF);
    OK(__wasi_fd_close(fd));
}

static void sync_and_advise(void)
{
    __wasi_fd_t fd;
    __wasi_filestat_t st;
    OK(make("y", "abc", &fd));
    OK(__wasi_fd_sync(fd));
    OK(__wasi_fd_datasync(fd));
    OK(__wasi_fd_advise(fd, 0, 3, __WASI_ADVICE_WILLNEED));
    IS(__wasi_fd_advise(fd, UINT64_MAX, 3, __WASI_ADVICE_NORMAL), __WASI_ERRNO_INVAL);
    IS(__wasi_fd_advise(RW, 0, 3, __WASI_ADVICE_NORMAL), __WASI_ERRNO_BADF);
    OK(__wasi_fd_allocate(fd, 0, 100));
    OK(__wasi_fd_filestat_get(fd, &st));
    IS(st.size, 100);
    IS(__wasi_fd_allocate(fd, 0, 0), __WASI_ERRNO_INVAL);
    IS(__wasi_fd_allocate(RW, 0, 100), __WASI_ERRNO_BADF);
    OK(__wasi_fd_close(fd));
}

static void sizes_and_times(void)
{
    __wasi_fd_t fd;
    __wasi_filestat_t st;
    OK(make("t", "abcdef", &fd));
    OK(__wasi_fd_filestat_set_size(fd, 2));
    OK(__wasi_fd_filestat_set_times(fd, 1000000000, 2000000001,
                                    __WASI_FSTFLAGS_ATIM | __WASI_FSTFLAGS_MTIM));
    OK(__wasi_fd_filestat_get(fd, &st));
    IS(st.size, 2);
    IS(st.filetype, __WASI_FILETYPE_REGULAR_FILE);
    IS(st.nlink, 1);
    IS(st.atim, 1000000000);
    IS(st.mtim, 2000000001);
    IS(__wasi_fd_filestat_set_times(fd, 1, 1, __WASI_FSTFLAGS_ATIM | __WASI_FSTFLAGS_ATIM_NOW),
       __WASI_ERRNO_INVAL);
    OK(__wasi_path_filestat_set_times(RW, 0, "t", 3000000000, 0, __WASI_FSTFLAGS_ATIM));
    OK(__wasi_path_filestat_get(RW, 0, "t", &st));
    IS(st.atim, 3000000000);
    IS(st.mtim, 2000000001);
    IS(__wasi_fd_filestat_set_size(fd, UINT64_MAX), __WASI_ERRNO_INVAL);
    OK(__wasi_fd_close(fd));
}

static void flags(void)
{
    __wasi_fd_t fd;
    __wasi_fdstat_t st;
    OK(make("f", "", &fd));
    OK(__wasi_fd_fdstat_get(fd, &st));
    IS(st.fs_filetype, __WASI_FILETYPE_REGULAR_FILE);
    IS(st.fs_flags, 0);
    HOLDS(st.fs_rights_base & __WASI_RIGHTS_FD_WRITE);
    OK(__wasi_fd_fdstat_set_flags(fd, __WASI_FDFLAGS_APPEND));
    OK(__wasi_fd_fdstat_get(fd, &st));
    IS(st.fs_flags, __WASI_FDFLAGS_APPEND);
    IS(__wasi_fd_fdstat_set_flags(fd, __WASI_FDFLAGS_SYNC), __WASI_ERRNO_INVAL);
    IS(__wasi_fd_fdstat_set_flags(99, 0), __WASI_ERRNO_BADF);
    IS(__wasi_fd_fdstat_set_rights(fd, 0, 0), __WASI_ERRNO_NOTSUP);
    OK(__wasi_fd_fdstat_get(RW, &st));
    IS(st.fs_filetype, __WASI_FILETYPE_DIRECTORY);
    HOLDS(!(st.fs_rights_base & __WASI_RIGHTS_FD_SEEK));
    OK(__wasi_fd_fdstat_get(1, &st));
    HOLDS(!(st.fs_rights_base & (__WASI_RIGHTS_FD_SEEK | __WASI_RIGHTS_FD_TELL)));
    OK(__wasi_fd_close(fd));
}

static void renumber(void)
{
    __wasi_fd_t a, b;
    __wasi_filestat_t st;
    OK(make("n1", "a", &a));
    OK(make("n2", "bbb", &b));
    OK(__wasi_fd_renumber(b, a));
    OK(__wasi_fd_filestat_get(a, &st));
    IS(st.size, 3);
    IS(__wasi_fd_filestat_get(b, &st), __WASI_ERRNO_BADF);
    IS(__wasi_fd_renumber(a, 77), __WASI_ERRNO_BADF);
    IS(__wasi_fd_renumber(77, a), __WASI_ERRNO_BADF);
    OK(__wasi_fd_renumber(a, a));
    OK(__wasi_fd_close(a));
}

static void lowest_number(void)
{
    __wasi_fd_t a, b, c;
    OK(make("l1", "", &a));
    OK(make("l2", "", &b));
    OK(__wasi_fd_close(a));
    OK(make("l3", "", &c));
    IS(c, a);
    OK(__wasi_fd_close(b));
    OK(__wasi_fd_close(c));
}

/* ---- folders ---- */

static void preopens(void)
{
    __wasi_prestat_t p;
    uint8_t name[8];
    OK(__wasi_fd_prestat_get(RW, &p));
    IS(p.tag, __WASI_PREOPENTYPE_DIR);
    IS(p.u.dir.pr_name_len, 3);
    OK(__wasi_fd_prestat_dir_name(RW, name, 3));
    IS(memcmp(name, "/rw", 3), 0);
    IS(__wasi_fd_prestat_dir_name(RW, name, 2), __WASI_ERRNO_NAMETOOLONG);
    IS(__wasi_fd_prestat_get(5, &p), __WASI_ERRNO_BADF);
    IS(__wasi_fd_prestat_get(0, &p), __WASI_ERRNO_BADF);
    IS(__wasi_fd_prestat_dir_name(0, name, 8), __WASI_ERRNO_NOTDIR);
}

struct listed {
    int n, dots;
    uint64_t last;
    bool found;
};

/* Goes through one buffer of entries; false: it was cut off. */
static bool walk(const uint8_t *buf, size_t size, const char *name, struct listed *l)
{
    for (size_t at = 0;;) {
        __wasi_dirent_t d;
        if (size - at < sizeof d)
            return at == size;
        memcpy(&d, buf + at, sizeof d);
        if (size - at - sizeof d < d.d_namlen)
            return false;
        const char *text = (const char *)buf + at + sizeof d;
        l->dots += d.d_namlen <= 2 && text[0] == '.';
        l->found |= d.d_namlen == strlen(name) && memcmp(text, name, d.d_namlen) == 0;
        l->last = d.d_next;
        l->n++;
        at += sizeof d + d.d_namlen;
    }
}

static void list(void)
{
    uint8_t buf[8192];
    __wasi_size_t n;
    __wasi_fd_t fd, dir;
    struct listed all = { 0 }, rest = { 0 };
    OK(__wasi_path_create_directory(RW, "list"));
    OK(open_at(RW, "list", __WASI_OFLAGS_DIRECTORY, 0, 0, &dir));
    for (int i = 0; i < 20; i++) {
        char name[16];
        snprintf(name, sizeof name, "entry-%d", i);
        OK(open_at(dir, name, __WASI_OFLAGS_CREAT, both, 0, &fd));
        OK(__wasi_fd_close(fd));
    }
    OK(__wasi_fd_readdir(dir, buf, sizeof buf, 0, &n));
    HOLDS(walk(buf, n, "entry-7", &all));
    IS(all.n, 22);
    IS(all.dots, 2);
    HOLDS(all.found);
    OK(__wasi_fd_readdir(dir, buf, sizeof buf, all.last, &n)); /* behind the end */
    IS(n, 0);
    OK(__wasi_fd_readdir(dir, buf, sizeof buf, 2, &n)); /* behind the dots */
    HOLDS(walk(buf, n, "entry-7", &rest));
    IS(rest.n, 20);
    uint64_t cookie = 0;
    int steps = 0, seen = 0;
    do { /* in small pieces: what was cut off comes again */
        struct listed some = { .last = cookie };
        OK(__wasi_fd_readdir(dir, buf, 80, cookie, &n));
        (void)walk(buf, n, "", &some);
        cookie = some.last;
        seen += some.n;
    } while (n == 80 && ++steps < 100);
    IS(seen, 22);
    IS(__wasi_fd_readdir(0, buf, sizeof buf, 0, &n), __WASI_ERRNO_BADF);
    OK(__wasi_fd_close(dir));
}

static void make_and_remove(void)
{
    __wasi_filestat_t st;
    __wasi_fd_t fd;
    OK(__wasi_path_create_directory(RW, "d"));
    IS(__wasi_path_create_directory(RW, "d"), __WASI_ERRNO_EXIST);
    OK(__wasi_path_create_directory(RW, "d/e/"));
    OK(__wasi_path_filestat_get(RW, 0, "d/e", &st));
    IS(st.filetype, __WASI_FILETYPE_DIRECTORY);
    IS(__wasi_path_remove_directory(RW, "d"), __WASI_ERRNO_NOTEMPTY);
    IS(__wasi_path_unlink_file(RW, "d/e"), __WASI_ERRNO_ISDIR);
    OK(open_at(RW, "d/f", __WASI_OFLAGS_CREAT, both, 0, &fd));
    OK(__wasi_fd_close(fd));
    IS(__wasi_path_remove_directory(RW, "d/f"), __WASI_ERRNO_NOTDIR);
    IS(__wasi_path_unlink_file(RW, "d/f/"), __WASI_ERRNO_NOTDIR);
    OK(__wasi_path_unlink_file(RW, "d/f"));
    OK(__wasi_path_remove_directory(RW, "d/e/"));
    OK(__wasi_path_remove_directory(RW, "d"));
    IS(__wasi_path_remove_directory(RW, "d"), __WASI_ERRNO_NOENT);
    IS(__wasi_path_create_directory(RW, "no/where"), __WASI_ERRNO_NOENT);
}

static void open_flags(void)
{
    __wasi_fd_t fd;
    OK(make("o", "abc", &fd));
    OK(__wasi_fd_close(fd));
    IS(open_at(RW, "o", __WASI_OFLAGS_CREAT | __WASI_OFLAGS_EXCL, both, 0, &fd),
       __WASI_ERRNO_EXIST);
    IS(open_at(RW, "o", __WASI_OFLAGS_DIRECTORY, 0, 0, &fd), __WASI_ERRNO_NOTDIR);
    IS(open_at(RW, "o/", 0, both, 0, &fd), __WASI_ERRNO_NOTDIR);
    IS(open_at(RW, "missing", 0, both, 0, &fd), __WASI_ERRNO_NOENT);
    IS(open_at(RW, "", 0, both, 0, &fd), __WASI_ERRNO_NOENT);
    IS(open_at(RW, "x", __WASI_OFLAGS_DIRECTORY | __WASI_OFLAGS_CREAT, both, 0, &fd),
       __WASI_ERRNO_INVAL);
    IS(open_at(RW, ".", 0, both, 0, &fd), __WASI_ERRNO_ISDIR);
    IS(open_at(0, "o", 0, both, 0, &fd), __WASI_ERRNO_BADF);
    IS(open_at(99, "o", 0, both, 0, &fd), __WASI_ERRNO_BADF);
    OK(open_at(RW, "o", __WASI_OFLAGS_TRUNC, both, 0, &fd));
    IS(open_at(fd, "o", 0, both, 0, &(__wasi_fd_t){ 0 }), __WASI_ERRNO_NOTDIR);
    __wasi_filestat_t st;
    OK(__wasi_fd_filestat_get(fd, &st));
    IS(st.size, 0);
    OK(__wasi_fd_close(fd));
}

static void no_way_out(void)
{
    __wasi_fd_t fd;
    __wasi_filestat_t st;
    static const char *const ways[] = { "../outside/secret", "..",
                                        "/etc/passwd",       "/",
                                        "./../outside",      "x/../../outside",
                                        "abs/passwd",        "abs" };
    (void)__wasi_path_create_directory(RW, "x");
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        IS(__wasi_path_open(RW, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, ways[i], 0,
                            __WASI_RIGHTS_FD_READ, 0, 0, &fd),
           __WASI_ERRNO_PERM);
        IS(__wasi_path_filestat_get(RW, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, ways[i], &st),
           __WASI_ERRNO_PERM);
    }
    IS(__wasi_path_filestat_get(RO, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, "link/secret", &st),
       __WASI_ERRNO_PERM);
    IS(__wasi_path_create_directory(RW, "../mine"), __WASI_ERRNO_PERM);
    IS(__wasi_path_create_directory(RW, "/mine"), __WASI_ERRNO_PERM);
    IS(__wasi_path_unlink_file(RW, "../outside/secret"), __WASI_ERRNO_PERM);
    IS(__wasi_path_remove_directory(RW, "../outside"), __WASI_ERRNO_PERM);
    IS(__wasi_path_rename(RW, "o", RW, "../stolen"), __WASI_ERRNO_PERM);
    IS(__wasi_path_rename(RW, "../outside/secret", RW, "secret"), __WASI_ERRNO_PERM);
    IS(__wasi_path_link(RW, 0, "../outside/secret", RW, "secret"), __WASI_ERRNO_PERM);
    OK(__wasi_path_symlink("../outside", RW, "made"));
    IS(open_at(RW, "made/secret", 0, both, 0, &fd), __WASI_ERRNO_PERM);
    IS(__wasi_path_symlink("/etc", RW, "absolute"), __WASI_ERRNO_PERM);
}

static void bad_paths(void)
{
    extern int open_raw(int, int, const char *, int, int, int64_t, int64_t, int, __wasi_fd_t *)
        __attribute__((import_module("wasi_snapshot_preview1"), import_name("path_open")));
    static char longer[5000];
    __wasi_fd_t fd;
    memset(longer, 'x', sizeof longer - 1);
    IS(open_raw(RW, 0, "a\0b", 3, 0, 0, 0, 0, &fd), __WASI_ERRNO_INVAL);
    IS(open_raw(RW, 0, "\xff", 1, 0, 0, 0, 0, &fd), __WASI_ERRNO_ILSEQ);
    IS(open_raw(RW, 0, longer, sizeof longer - 1, 0, 0, 0, 0, &fd), __WASI_ERRNO_NAMETOOLONG);
    IS(open_raw(RW, 0, longer, 300, 0, 0, 0, 0, &fd), __WASI_ERRNO_NAMETOOLONG);
}

static void links(void)
{
    uint8_t buf[16];
    __wasi_size_t n;
    __wasi_fd_t fd;
    __wasi_filestat_t st;
    OK(make("target", "abc", &fd));
    OK(__wasi_fd_close(fd));
    OK(__wasi_path_symlink("target", RW, "sym"));
    IS(__wasi_path_symlink("target", RW, "sym"), __WASI_ERRNO_EXIST);
    OK(__wasi_path_readlink(RW, "sym", buf, sizeof buf, &n));
    IS(n, 6);
    IS(memcmp(buf, "target", 6), 0);
    OK(__wasi_path_readlink(RW, "sym", buf, 3, &n)); /* cut off, as POSIX */
    IS(n, 3);
    IS(__wasi_path_readlink(RW, "target", buf, sizeof buf, &n), __WASI_ERRNO_INVAL);
    OK(__wasi_path_filestat_get(RW, 0, "sym", &st));
    IS(st.filetype, __WASI_FILETYPE_SYMBOLIC_LINK);
    OK(__wasi_path_filestat_get(RW, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, "sym", &st));
    IS(st.filetype, __WASI_FILETYPE_REGULAR_FILE);
    IS(open_at(RW, "sym", 0, both, 0, &fd), __WASI_ERRNO_LOOP);
    OK(__wasi_path_open(RW, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, "sym", 0, both, 0, 0, &fd));
    OK(__wasi_fd_close(fd));
    OK(__wasi_path_symlink("loop", RW, "loop"));
    IS(__wasi_path_filestat_get(RW, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, "loop", &st),
       __WASI_ERRNO_LOOP);
    OK(__wasi_path_link(RW, 0, "target", RW, "hard"));
    OK(__wasi_path_filestat_get(RW, 0, "hard", &st));
    IS(st.nlink, 2);
    IS(__wasi_path_link(RW, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, "sym", RW, "h2"),
       __WASI_ERRNO_INVAL);
    IS(__wasi_path_link(RW, 0, "target", RW, "hard"), __WASI_ERRNO_EXIST);
    OK(__wasi_path_unlink_file(RW, "sym"));
    OK(__wasi_path_unlink_file(RW, "hard"));
}

static void rename_things(void)
{
    __wasi_fd_t fd;
    __wasi_filestat_t st;
    OK(make("old", "abc", &fd));
    OK(__wasi_fd_close(fd));
    OK(__wasi_path_rename(RW, "old", RW, "new"));
    IS(__wasi_path_filestat_get(RW, 0, "old", &st), __WASI_ERRNO_NOENT);
    OK(__wasi_path_create_directory(RW, "rd"));
    IS(__wasi_path_rename(RW, "new", RW, "rd"), __WASI_ERRNO_ISDIR);
    IS(__wasi_path_rename(RW, "rd", RW, "new"), __WASI_ERRNO_NOTDIR);
    OK(__wasi_path_rename(RW, "new", RW, "rd/moved"));
    OK(__wasi_path_filestat_get(RW, 0, "rd/moved", &st));
    IS(__wasi_path_rename(RW, "rd", RW, "rd/inside"), __WASI_ERRNO_INVAL);
    OK(__wasi_path_rename(RW, "rd/", RW, "rd2/"));
}

static void read_only(void)
{
    __wasi_fd_t fd;
    __wasi_size_t n;
    __wasi_filestat_t st;
    char buf[8];
    OK(open_at(RO, "file", 0, __WASI_RIGHTS_FD_READ, 0, &fd));
    OK(read_text(fd, buf, sizeof buf, &n));
    IS(n, 6);
    IS(write_text(fd, "x", &n), __WASI_ERRNO_BADF);
    IS(__wasi_fd_filestat_set_times(fd, 1, 1, __WASI_FSTFLAGS_MTIM), __WASI_ERRNO_ROFS);
    OK(__wasi_fd_close(fd));
    IS(open_at(RO, "file", 0, both, 0, &fd), __WASI_ERRNO_ROFS);
    IS(open_at(RO, "file", __WASI_OFLAGS_TRUNC, __WASI_RIGHTS_FD_READ, 0, &fd), __WASI_ERRNO_ROFS);
    IS(open_at(RO, "new", __WASI_OFLAGS_CREAT, __WASI_RIGHTS_FD_READ, 0, &fd), __WASI_ERRNO_ROFS);
    IS(__wasi_path_create_directory(RO, "d"), __WASI_ERRNO_ROFS);
    IS(__wasi_path_unlink_file(RO, "file"), __WASI_ERRNO_ROFS);
    IS(__wasi_path_remove_directory(RO, "sub"), __WASI_ERRNO_ROFS);
    IS(__wasi_path_symlink("a", RO, "b"), __WASI_ERRNO_ROFS);
    IS(__wasi_path_rename(RO, "file", RW, "file"), __WASI_ERRNO_ROFS);
    IS(__wasi_path_link(RO, 0, "file", RW, "file"), __WASI_ERRNO_ROFS);
    IS(__wasi_path_filestat_set_times(RO, 0, "file", 1, 1, __WASI_FSTFLAGS_ATIM),
       __WASI_ERRNO_ROFS);
    OK(open_at(RO, "sub", __WASI_OFLAGS_DIRECTORY, 0, 0, &fd)); /* below it the same holds */
    IS(open_at(fd, "new", __WASI_OFLAGS_CREAT, both, 0, &(__wasi_fd_t){ 0 }), __WASI_ERRNO_ROFS);
    OK(__wasi_fd_close(fd));
    OK(__wasi_path_filestat_get(RO, 0, "file", &st));
    IS(st.size, 6);
}

/* ---- waiting ---- */

static __wasi_subscription_t clock_of(__wasi_timestamp_t timeout, int flags)
{
    __wasi_subscription_t s = { .userdata = 7 };
    s.u.tag = __WASI_EVENTTYPE_CLOCK;
    s.u.u.clock.id = __WASI_CLOCKID_MONOTONIC;
    s.u.u.clock.timeout = timeout;
    s.u.u.clock.flags = flags;
    return s;
}

static __wasi_subscription_t fd_of(int tag, __wasi_fd_t fd)
{
    __wasi_subscription_t s = { .userdata = 9 };
    s.u.tag = tag;
    s.u.u.fd_read.file_descriptor = fd;
    return s;
}

static void poll_clock(void)
{
    __wasi_event_t e[2];
    __wasi_size_t n;
    __wasi_timestamp_t a, b;
    __wasi_subscription_t s = clock_of(20000000, 0);
    OK(__wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 1, &a));
    OK(__wasi_poll_oneoff(&s, e, 1, &n));
    OK(__wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 1, &b));
    IS(n, 1);
    IS(e[0].userdata, 7);
    IS(e[0].type, __WASI_EVENTTYPE_CLOCK);
    HOLDS(b - a >= 20000000);
    s = clock_of(a, __WASI_SUBCLOCKFLAGS_SUBSCRIPTION_CLOCK_ABSTIME); /* long ago */
    OK(__wasi_poll_oneoff(&s, e, 1, &n));
    IS(n, 1);
    IS(__wasi_poll_oneoff(&s, e, 0, &n), __WASI_ERRNO_INVAL);
}

static void poll_descriptors(void)
{
    __wasi_event_t e[3];
    __wasi_size_t n;
    __wasi_fd_t fd;
    __wasi_filesize_t at;
    OK(make("poll", "abc", &fd));
    OK(__wasi_fd_seek(fd, 1, __WASI_WHENCE_SET, &at));
    const __wasi_subscription_t s[3] = { fd_of(__WASI_EVENTTYPE_FD_READ, fd),
                                         fd_of(__WASI_EVENTTYPE_FD_WRITE, 1),
                                         clock_of(10000000000, 0) };
    OK(__wasi_poll_oneoff(s, e, 3, &n));
    IS(n, 2);
    IS(e[0].type, __WASI_EVENTTYPE_FD_READ);
    IS(e[0].fd_readwrite.nbytes, 2);
    IS(e[1].type, __WASI_EVENTTYPE_FD_WRITE);
    const __wasi_subscription_t bad = fd_of(__WASI_EVENTTYPE_FD_READ, 99);
    IS(__wasi_poll_oneoff(&bad, e, 1, &n), __WASI_ERRNO_BADF);
    OK(__wasi_fd_close(fd));
}

static void sockets(void)
{
    uint8_t buf[4];
    const __wasi_iovec_t in = { buf, sizeof buf };
    const __wasi_ciovec_t out = { buf, sizeof buf };
    __wasi_size_t n;
    __wasi_roflags_t ro;
    __wasi_fd_t fd;
    IS(__wasi_sock_accept(1, 0, &fd), __WASI_ERRNO_NOTSOCK);
    IS(__wasi_sock_recv(1, &in, 1, 0, &n, &ro), __WASI_ERRNO_NOTSOCK);
    IS(__wasi_sock_send(1, &out, 1, 0, &n), __WASI_ERRNO_NOTSOCK);
    IS(__wasi_sock_shutdown(1, __WASI_SDFLAGS_RD), __WASI_ERRNO_NOTSOCK);
    IS(__wasi_sock_accept(99, 0, &fd), __WASI_ERRNO_BADF);
    IS(__wasi_sock_recv(99, &in, 1, 0, &n, &ro), __WASI_ERRNO_BADF);
    IS(__wasi_sock_send(99, &out, 1, 0, &n), __WASI_ERRNO_BADF);
    IS(__wasi_sock_shutdown(99, __WASI_SDFLAGS_RD), __WASI_ERRNO_BADF);
}

static void stdio(void)
{
    __wasi_size_t n;
    char buf[8] = "";
    OK(read_text(0, buf, 4, &n)); /* "input" comes on it */
    IS(n, 4);
    IS(memcmp(buf, "inpu", 4), 0);
    OK(read_text(0, buf, sizeof buf, &n));
    IS(n, 1);
    OK(read_text(0, buf, sizeof buf, &n)); /* its end */
    IS(n, 0);
    OK(write_text(2, "to stderr\n", &n));
    IS(n, 10);
}

#define CASE(f)                                                                                    \
    {                                                                                              \
#f, f                                                                                      \
    }
static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    CASE(args),
    CASE(environment),
    CASE(clocks),
    CASE(random_bytes),
    CASE(yield),
    CASE(raise_signal),
    CASE(write_and_read),
    CASE(scattered),
    CASE(positioned),
    CASE(seek_tell),
    CASE(append),
    CASE(only_what_was_asked),
    CASE(sync_and_advise),
    CASE(sizes_and_times),
    CASE(flags),
    CASE(renumber),
    CASE(lowest_number),
    CASE(preopens),
    CASE(list),
    CASE(make_and_remove),
    CASE(open_flags),
    CASE(no_way_out),
    CASE(bad_paths),
    CASE(links),
    CASE(rename_things),
    CASE(read_only),
    CASE(poll_clock),
    CASE(poll_descriptors),
    CASE(sockets),
    CASE(stdio),
};

int main(void)
{
    int failed = 0;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        failed_line = 0;
        cases[i].run();
        if (failed_line)
            printf("FAIL %s: line %d, got %ld\n", cases[i].name, failed_line, failed_value);
        else
            printf("ok %s\n", cases[i].name);
        failed += failed_line != 0;
    }
    return failed ? 1 : 0;
}
