// SPDX-License-Identifier: Apache-2.0
/*
 * WASI preview 1 as numbers and layouts: wasi_snapshot_preview1.witx and typenames.witx of the WASI
 * repository, whose names these are. All integers are little-endian in the guest's memory.
 */
#ifndef ZL_WASM_WASI_ABI_H
#define ZL_WASM_WASI_ABI_H

#include <stdint.h>

enum wasi_errno {
    WASI_OK = 0,
    WASI_E2BIG = 1,
    WASI_EACCES = 2,
    WASI_EADDRINUSE = 3,
    WASI_EADDRNOTAVAIL = 4,
    WASI_EAFNOSUPPORT = 5,
    WASI_EAGAIN = 6,
    WASI_EALREADY = 7,
    WASI_EBADF = 8,
    WASI_EBUSY = 10,
    WASI_ECANCELED = 11,
    WASI_ECONNABORTED = 13,
    WASI_ECONNREFUSED = 14,
    WASI_ECONNRESET = 15,
    WASI_EDEADLK = 16,
    WASI_EDQUOT = 19,
    WASI_EEXIST = 20,
    WASI_EFAULT = 21,
    WASI_EFBIG = 22,
    WASI_EHOSTUNREACH = 23,
    WASI_EILSEQ = 25,
    WASI_EINPROGRESS = 26,
    WASI_EINTR = 27,
    WASI_EINVAL = 28,
    WASI_EIO = 29,
    WASI_EISCONN = 30,
    WASI_EISDIR = 31,
    WASI_ELOOP = 32,
    WASI_EMFILE = 33,
    WASI_EMLINK = 34,
    WASI_EMSGSIZE = 35,
    WASI_ENAMETOOLONG = 37,
    WASI_ENETDOWN = 38,
    WASI_ENETUNREACH = 40,
    WASI_ENFILE = 41,
    WASI_ENOBUFS = 42,
    WASI_ENODEV = 43,
    WASI_ENOENT = 44,
    WASI_ENOLCK = 46,
    WASI_ENOMEM = 48,
    WASI_ENOSPC = 51,
    WASI_ENOSYS = 52,
    WASI_ENOTCONN = 53,
    WASI_ENOTDIR = 54,
    WASI_ENOTEMPTY = 55,
    WASI_ENOTSOCK = 57,
    WASI_ENOTSUP = 58,
    WASI_ENOTTY = 59,
    WASI_ENXIO = 60,
    WASI_EOVERFLOW = 61,
    WASI_EPERM = 63,
    WASI_EPIPE = 64,
    WASI_ERANGE = 68,
    WASI_EROFS = 69,
    WASI_ESPIPE = 70,
    WASI_ESTALE = 72,
    WASI_ETIMEDOUT = 73,
    WASI_ETXTBSY = 74,
    WASI_EXDEV = 75,
};

enum { WASI_REALTIME, WASI_MONOTONIC, WASI_PROCESS_CPUTIME, WASI_THREAD_CPUTIME, WASI_CLOCKS };

enum {
    WASI_FILETYPE_UNKNOWN,
    WASI_FILETYPE_BLOCK,
    WASI_FILETYPE_CHARACTER,
    WASI_FILETYPE_DIRECTORY,
    WASI_FILETYPE_REGULAR,
    WASI_FILETYPE_DGRAM,
    WASI_FILETYPE_STREAM,
    WASI_FILETYPE_SYMLINK,
};

#define WASI_RIGHT(n) (UINT64_C(1) << (n))
#define WASI_FD_DATASYNC WASI_RIGHT(0)
#define WASI_FD_READ WASI_RIGHT(1)
#define WASI_FD_SEEK WASI_RIGHT(2)
#define WASI_FD_FDSTAT_SET_FLAGS WASI_RIGHT(3)
#define WASI_FD_SYNC WASI_RIGHT(4)
#define WASI_FD_TELL WASI_RIGHT(5)
#define WASI_FD_WRITE WASI_RIGHT(6)
#define WASI_FD_ADVISE WASI_RIGHT(7)
#define WASI_FD_ALLOCATE WASI_RIGHT(8)
#define WASI_PATH_CREATE_DIRECTORY WASI_RIGHT(9)
#define WASI_PATH_CREATE_FILE WASI_RIGHT(10)
#define WASI_PATH_LINK_SOURCE WASI_RIGHT(11)
#define WASI_PATH_LINK_TARGET WASI_RIGHT(12)
#define WASI_PATH_OPEN WASI_RIGHT(13)
#define WASI_FD_READDIR WASI_RIGHT(14)
#define WASI_PATH_READLINK WASI_RIGHT(15)
#define WASI_PATH_RENAME_SOURCE WASI_RIGHT(16)
#define WASI_PATH_RENAME_TARGET WASI_RIGHT(17)
#define WASI_PATH_FILESTAT_GET WASI_RIGHT(18)
#define WASI_PATH_FILESTAT_SET_SIZE WASI_RIGHT(19)
#define WASI_PATH_FILESTAT_SET_TIMES WASI_RIGHT(20)
#define WASI_FD_FILESTAT_GET WASI_RIGHT(21)
#define WASI_FD_FILESTAT_SET_SIZE WASI_RIGHT(22)
#define WASI_FD_FILESTAT_SET_TIMES WASI_RIGHT(23)
#define WASI_PATH_SYMLINK WASI_RIGHT(24)
#define WASI_PATH_REMOVE_DIRECTORY WASI_RIGHT(25)
#define WASI_PATH_UNLINK_FILE WASI_RIGHT(26)
#define WASI_POLL_FD_READWRITE WASI_RIGHT(27)
#define WASI_SOCK_SHUTDOWN WASI_RIGHT(28)
#define WASI_SOCK_ACCEPT WASI_RIGHT(29)
#define WASI_RIGHTS_ALL (WASI_RIGHT(30) - 1)

enum { /* fdflags */
       WASI_APPEND = 1,
       WASI_DSYNC = 2,
       WASI_NONBLOCK = 4,
       WASI_RSYNC = 8,
       WASI_SYNC = 16,
       WASI_FDFLAGS_ALL = 31,
};
enum { WASI_ATIM = 1, WASI_ATIM_NOW = 2, WASI_MTIM = 4, WASI_MTIM_NOW = 8 }; /* fstflags */
enum { WASI_SYMLINK_FOLLOW = 1 };                                            /* lookupflags */
enum { WASI_CREAT = 1, WASI_DIRECTORY = 2, WASI_EXCL = 4, WASI_TRUNC = 8 };  /* oflags */
enum { WASI_WHENCE_SET, WASI_WHENCE_CUR, WASI_WHENCE_END };
enum { WASI_RECV_PEEK = 1, WASI_RECV_WAITALL = 2 };
enum { WASI_RECV_DATA_TRUNCATED = 1 };
enum { WASI_SHUT_RD = 1, WASI_SHUT_WR = 2 };
enum { WASI_EVENT_CLOCK, WASI_EVENT_READ, WASI_EVENT_WRITE };
enum { WASI_EVENT_HANGUP = 1 };
enum { WASI_CLOCK_ABSTIME = 1 };

struct wasi_iovec { /* ciovec is the same */
    uint32_t buf, len;
};
struct wasi_prestat {
    uint8_t tag; /* 0: a directory */
    uint8_t pad[3];
    uint32_t name_len;
};
struct wasi_fdstat {
    uint8_t filetype;
    uint8_t pad;
    uint16_t flags;
    uint8_t pad2[4];
    uint64_t rights_base, rights_inheriting;
};
struct wasi_filestat {
    uint64_t dev, ino;
    uint8_t filetype;
    uint8_t pad[7];
    uint64_t nlink, size, atim, mtim, ctim;
};
struct wasi_dirent {
    uint64_t next, ino;
    uint32_t namlen;
    uint8_t type;
    uint8_t pad[3];
};
struct wasi_subscription {
    uint64_t userdata;
    uint8_t tag; /* WASI_EVENT_… */
    uint8_t pad[7];
    union {
        struct {
            uint32_t id, pad;
            uint64_t timeout, precision;
            uint16_t flags;
            uint8_t pad2[6];
        } clock;
        struct {
            uint32_t fd;
            uint8_t pad[28];
        } fd_readwrite;
    };
};
struct wasi_event {
    uint64_t userdata;
    uint16_t error;
    uint8_t type;
    uint8_t pad[5];
    uint64_t nbytes;
    uint16_t flags;
    uint8_t pad2[6];
};

_Static_assert(sizeof(struct wasi_fdstat) == 24 && sizeof(struct wasi_filestat) == 64 &&
                   sizeof(struct wasi_dirent) == 24 && sizeof(struct wasi_subscription) == 48 &&
                   sizeof(struct wasi_event) == 32 && sizeof(struct wasi_prestat) == 8,
               "the layouts are the guest's");

#endif
