// SPDX-License-Identifier: Apache-2.0
#include "fetch/tar/pack.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/buf.h"
#include "base/dir.h"
#include "base/fd.h"
#include "base/hash.h"

enum {
    BLOCK = 512,
    PIECE = 128 * 1024,
    DEPTH_MAX = 250, /* a descriptor a level */
    PATH_BYTES = 64 * 1024,
    PAX_MAX = 1 << 20,
    LINKS_MAX = 1 << 20,
    PLACES_MIN = 256,
    XATTRS_MAX = 64 * 1024,
};

struct link { /* a file that has more names */
    dev_t dev;
    ino_t ino;
    size_t path; /* of its first, in pack.names */
};

struct pack {
    const struct pack_out *out;
    unsigned flags;
    int fds;
    uint64_t mount; /* of the root */
    struct zl_buf path;
    struct zl_buf pax;
    struct zl_buf links, names; /* struct link; NUL-terminated paths */
    uint32_t *places; /* hash table of links: 1 + the link's number, 0 is free; half full at most */
    size_t n_places;  /* a power of 2 */
    char *piece;
    char xattrs[XATTRS_MAX], value[XATTRS_MAX];
};

/* ---- headers ------------------------------------------------------------------------------- */

struct header { /* pax(1p), "ustar Header Block" */
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100],
        magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155], pad[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a block is 512 bytes");

/* One record of a pax header, "<its own length> key=value\n". */
static void pax_add(struct pack *p, const char *key, const void *value, size_t n)
{
    size_t rest = strlen(key) + n + 3, length = rest + 1, digits = 1;
    for (size_t d = length; d >= 10; d /= 10)
        digits++;
    length = rest + digits;
    char text[24];
    /* one digit more may make the number longer */
    if ((size_t)snprintf(text, sizeof text, "%zu", length) != digits)
        length++;
    zl_buf_addf(&p->pax, "%zu %s=", length, key);
    zl_buf_add(&p->pax, value, n);
    zl_buf_addc(&p->pax, '\n');
}

static void pax_number(struct pack *p, const char *key, uint64_t n)
{
    char text[24];
    pax_add(p, key, text, (size_t)snprintf(text, sizeof text, "%" PRIu64, n));
}

/* Octal digits and a NUL; false: it does not fit, and is 0. */
static bool octal(char *field, size_t size, uint64_t n)
{
    bool fits = 3 * (size - 1) >= 64 || n >> 3 * (size - 1) == 0;
    char text[32];
    (void)snprintf(text, sizeof text, "%0*" PRIo64, (int)size - 1, fits ? n : 0);
    (void)memcpy(field, text, size - 1);
    return fits;
}

static void finish(struct header *h)
{
    unsigned sum = 0;
    (void)memcpy(h->magic, "ustar", 6);
    (void)memcpy(h->version, "00", 2);
    (void)memset(h->checksum, ' ', sizeof h->checksum);
    for (size_t i = 0; i < BLOCK; i++)
        sum += ((const unsigned char *)h)[i];
    (void)snprintf(h->checksum, sizeof h->checksum, "%06o", sum); /* and a blank behind the NUL */
}

static int put(struct pack *p, const void *bytes, size_t n, struct zl_error *err)
{
    return p->out->write(p->out->arg, bytes, n, err);
}

static int put_padding(struct pack *p, uint64_t n, struct zl_error *err)
{
    static const char zeros[BLOCK];
    size_t rest = (size_t)(n % BLOCK);
    return rest ? put(p, zeros, BLOCK - rest, err) : 0;
}

/* The pax header of the entry that follows, when anything has to be said in one. */
static int put_pax(struct pack *p, struct zl_error *err)
{
    struct header h = { .type = 'x', .name = "PaxHeader" };
    if (p->pax.len == 0)
        return 0;
    if (zl_buf_check(&p->pax, "what a header says", err) < 0)
        return -1;
    (void)octal(h.mode, sizeof h.mode, 0644);
    (void)octal(h.uid, sizeof h.uid, 0);
    (void)octal(h.gid, sizeof h.gid, 0);
    (void)octal(h.size, sizeof h.size, p->pax.len);
    (void)octal(h.mtime, sizeof h.mtime, 0);
    finish(&h);
    if (put(p, &h, sizeof h, err) < 0 || put(p, p->pax.data, p->pax.len, err) < 0)
        return -1;
    return put_padding(p, p->pax.len, err);
}

static void set_text(struct pack *p, char *field, size_t size, const char *key, const char *text)
{
    size_t n = strlen(text);
    if (n > size)
        pax_add(p, key, text, n);
    (void)memcpy(field, text, n < size ? n : size);
}

static void set_time(struct pack *p, struct header *h, const struct timespec *t)
{
    char text[40];
    if (t->tv_sec >= 0 && octal(h->mtime, sizeof h->mtime, (uint64_t)t->tv_sec) && !t->tv_nsec)
        return;
    pax_add(p, "mtime", text,
            (size_t)snprintf(text, sizeof text, "%lld.%09ld", (long long)t->tv_sec, t->tv_nsec));
}

static int put_header(struct pack *p, const struct stat *st, char type, const char *link,
                      struct zl_error *err)
{
    struct header h = { .type = type };
    uint64_t size = type == '0' ? (uint64_t)st->st_size : 0;
    set_text(p, h.name, sizeof h.name, "path", p->path.data);
    set_text(p, h.link, sizeof h.link, "linkpath", link);
    (void)octal(h.mode, sizeof h.mode, st->st_mode & 07777);
    if (!octal(h.uid, sizeof h.uid, st->st_uid))
        pax_number(p, "uid", st->st_uid);
    if (!octal(h.gid, sizeof h.gid, st->st_gid))
        pax_number(p, "gid", st->st_gid);
    if (!octal(h.size, sizeof h.size, size))
        pax_number(p, "size", size);
    set_time(p, &h, &st->st_mtim);
    if (type == '3' || type == '4') {
        (void)octal(h.major, sizeof h.major, major(st->st_rdev));
        (void)octal(h.minor, sizeof h.minor, minor(st->st_rdev));
    }
    finish(&h);
    return put_pax(p, err) < 0 ? -1 : put(p, &h, sizeof h, err);
}

/* Those that unpacking keeps (fetch/unpack/unpack.h). */
static bool is_kept(const char *name)
{
    return strcmp(name, "security.capability") == 0 ||
           (strncmp(name, "user.", 5) == 0 && strncmp(name, "user.overlay.", 13) != 0);
}

static void add_xattrs(struct pack *p, int fd)
{
    ssize_t n = flistxattr(fd, p->xattrs, sizeof p->xattrs);
    for (const char *name = p->xattrs; n > 0 && name < p->xattrs + n; name += strlen(name) + 1) {
        char key[300];
        ssize_t size = is_kept(name) ? fgetxattr(fd, name, p->value, sizeof p->value) : -1;
        if (size < 0 || snprintf(key, sizeof key, "SCHILY.xattr.%s", name) >= (int)sizeof key)
            continue;
        pax_add(p, key, p->value, (size_t)size);
    }
}

/* ---- entries ------------------------------------------------------------------------------- */

/* A file whose length changes meanwhile: what the header said is what is written. */
static int put_content(struct pack *p, int fd, uint64_t size, struct zl_error *err)
{
    for (uint64_t left = size; left > 0;) {
        size_t want = left < PIECE ? (size_t)left : PIECE;
        ssize_t n = read(fd, p->piece, want);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return zl_fail_errno(err, "read '%s'", p->path.data);
        if (n == 0) {
            n = (ssize_t)want;
            (void)memset(p->piece, 0, want);
        }
        if (put(p, p->piece, (size_t)n, err) < 0)
            return -1;
        left -= (uint64_t)n;
    }
    return put_padding(p, size, err);
}

static const struct link *link_of(const struct pack *p, size_t i)
{
    return (const struct link *)(const void *)p->links.data + i;
}

/* The place of this file in the table: its own, or the free one that it may have. */
static uint32_t *place_of(const struct pack *p, dev_t dev, ino_t ino)
{
    size_t at =
        (size_t)zl_hash_bytes(zl_hash_bytes(ZL_HASH_START, &dev, sizeof dev), &ino, sizeof ino);
    for (;; at++) {
        uint32_t *place = &p->places[at & (p->n_places - 1)];
        if (!*place || (link_of(p, *place - 1)->dev == dev && link_of(p, *place - 1)->ino == ino))
            return place;
    }
}

static int make_room(struct pack *p, struct zl_error *err)
{
    size_t n = p->links.len / sizeof(struct link);
    if (2 * (n + 1) <= p->n_places)
        return 0;
    size_t wanted = p->n_places ? 2 * p->n_places : PLACES_MIN;
    uint32_t *more = calloc(wanted, sizeof *more);
    if (!more)
        return zl_fail_errno(err, "files with more than one name");
    free(p->places);
    p->places = more;
    p->n_places = wanted;
    for (size_t i = 0; i < n; i++)
        *place_of(p, link_of(p, i)->dev, link_of(p, i)->ino) = (uint32_t)i + 1;
    return 0;
}

/* 1: it was met before and *ret is its first name; 0: it is new; -1. */
static int known_link(struct pack *p, const struct stat *st, const char **ret, struct zl_error *err)
{
    if (make_room(p, err) < 0)
        return -1;
    uint32_t *place = place_of(p, st->st_dev, st->st_ino);
    if (*place) {
        *ret = p->names.data + link_of(p, *place - 1)->path;
        return 1;
    }
    const struct link one = { st->st_dev, st->st_ino, p->names.len };
    zl_buf_add(&p->links, &one, sizeof one);
    zl_buf_add(&p->names, p->path.data, p->path.len + 1);
    if (zl_buf_check(&p->links, "files with more than one name", err) < 0 ||
        zl_buf_check(&p->names, "files with more than one name", err) < 0)
        return -1;
    *place = (uint32_t)(p->links.len / sizeof one);
    return 0;
}

/* It was looked at as an O_PATH descriptor and is opened through that: what it is cannot change. */
static int reopen(const struct pack *p, int fd, int flags)
{
    char name[16];
    (void)snprintf(name, sizeof name, "%d", fd);
    return openat(p->fds, name, flags | O_CLOEXEC | O_NOCTTY);
}

static int pack_file(struct pack *p, int fd, const struct stat *st, struct zl_error *err)
{
    const char *first = NULL;
    int known = st->st_nlink > 1 ? known_link(p, st, &first, err) : 0;
    if (known < 0)
        return -1;
    if (known)
        return put_header(p, st, '1', first, err);
    zl_autoclose int content = reopen(p, fd, O_RDONLY);
    if (content < 0)
        return zl_fail_errno(err, "open '%s'", p->path.data);
    add_xattrs(p, content);
    if (put_header(p, st, '0', "", err) < 0)
        return -1;
    return put_content(p, content, (uint64_t)st->st_size, err);
}

static int pack_link(struct pack *p, int fd, const struct stat *st, struct zl_error *err)
{
    ssize_t n = readlinkat(fd, "", p->value, sizeof p->value - 1);
    if (n < 0)
        return zl_fail_errno(err, "read the link '%s'", p->path.data);
    p->value[n] = '\0';
    return put_header(p, st, '2', p->value, err);
}

static uint64_t mount_of(int fd)
{
    struct statx sx;
    return statx(fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT, STATX_MNT_ID, &sx) == 0 ? sx.stx_mnt_id
                                                                                  : 0;
}

static bool tells_of_the_host(int fd)
{
    struct statfs fs;
    if (fstatfs(fd, &fs) < 0)
        return false;
    return fs.f_type == PROC_SUPER_MAGIC || fs.f_type == SYSFS_MAGIC ||
           fs.f_type == CGROUP_SUPER_MAGIC || fs.f_type == CGROUP2_SUPER_MAGIC;
}

static int pack_named(struct pack *p, int dir_fd, const char *name, unsigned depth,
                      struct zl_error *err);

static int pack_content(struct pack *p, int fd, unsigned depth, struct zl_error *err)
{
    zl_autoclose int copy = reopen(p, fd, O_RDONLY | O_DIRECTORY);
    zl_autodir DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
    const struct dirent *d;
    size_t n = p->path.len;
    int rc = 0;
    if (!dir)
        return zl_fail_errno(err, "list '%s'", p->path.data);
    (void)zl_take_fd(&copy); /* dir's now */
    while (rc == 0 && (errno = 0, d = readdir(dir))) {
        if (zl_is_dots(d->d_name))
            continue;
        if (n > 0 && p->path.data[n - 1] != '/')
            zl_buf_addc(&p->path, '/');
        zl_buf_adds(&p->path, d->d_name);
        rc = pack_named(p, fd, d->d_name, depth + 1, err);
        if (!p->path.failed) {
            p->path.len = n;
            p->path.data[n] = '\0';
        }
    }
    return rc == 0 && errno ? zl_fail_errno(err, "list '%s'", p->path.data) : rc;
}

static int pack_folder(struct pack *p, int fd, const struct stat *st, unsigned depth,
                       struct zl_error *err)
{
    size_t n = p->path.len;
    zl_autoclose int readable = reopen(p, fd, O_RDONLY | O_DIRECTORY);
    if (readable >= 0)
        add_xattrs(p, readable);
    if (n > 0 && p->path.data[n - 1] != '/')
        zl_buf_addc(&p->path, '/');
    if (put_header(p, st, '5', "", err) < 0)
        return -1;
    if (depth == DEPTH_MAX)
        return zl_fail(err, ZL_ERR_UNSUPPORTED, "'%s': more than %d levels of folders",
                       p->path.data, DEPTH_MAX);
    bool other = p->flags & PACK_ONE_MOUNT && mount_of(fd) != p->mount;
    return other || tells_of_the_host(fd) ? 0 : pack_content(p, fd, depth, err);
}

static int pack_opened(struct pack *p, int fd, unsigned depth, struct zl_error *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return zl_fail_errno(err, "look at '%s'", p->path.data);
    p->pax.len = 0;
    switch (st.st_mode & S_IFMT) {
    case S_IFREG:
        return pack_file(p, fd, &st, err);
    case S_IFDIR:
        return pack_folder(p, fd, &st, depth, err);
    case S_IFLNK:
        return pack_link(p, fd, &st, err);
    case S_IFCHR:
        return put_header(p, &st, '3', "", err);
    case S_IFBLK:
        return put_header(p, &st, '4', "", err);
    case S_IFIFO:
        return put_header(p, &st, '6', "", err);
    default:
        return 0; /* a socket is nothing without its process */
    }
}

static int pack_named(struct pack *p, int dir_fd, const char *name, unsigned depth,
                      struct zl_error *err)
{
    if (zl_buf_check(&p->path, "a path", err) < 0)
        return -1;
    zl_autoclose int fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && depth > 0)
        return 0;
    if (fd < 0)
        return zl_fail_errno(err, "open '%s'", p->path.data);
    return pack_opened(p, fd, depth, err);
}

int pack_tree(int dir_fd, const char *name, const char *as, unsigned flags, int fds,
              const struct pack_out *out, struct zl_error *err)
{
    zl_autofree struct pack *p = calloc(1, sizeof *p);
    zl_autofree char *piece = malloc(PIECE);
    if (!p || !piece)
        return zl_fail_errno(err, "make an archive");
    p->out = out;
    p->flags = flags;
    p->fds = fds;
    p->piece = piece;
    zl_buf_init(&p->path, PATH_BYTES);
    zl_buf_init(&p->pax, PAX_MAX);
    zl_buf_init(&p->links, LINKS_MAX * sizeof(struct link));
    zl_buf_init(&p->names, (size_t)LINKS_MAX * 64);
    zl_autoclose int root = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    p->mount = root >= 0 ? mount_of(root) : 0;
    zl_buf_adds(&p->path, flags & PACK_CONTENT ? "." : as);
    int rc = pack_named(p, dir_fd, name, 0, err);
    zl_buf_done(&p->path);
    zl_buf_done(&p->pax);
    zl_buf_done(&p->links);
    zl_buf_done(&p->names);
    free(p->places);
    return rc;
}

int pack_end(const struct pack_out *out, struct zl_error *err)
{
    static const char zeros[2 * BLOCK];
    return out->write(out->arg, zeros, sizeof zeros, err);
}
