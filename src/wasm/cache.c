// SPDX-License-Identifier: Apache-2.0
#include "wasm/cache.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#include "base/dir.h"
#include "base/fd.h"
#include "base/hash.h"
#include "wasm/engine.h"

/* Behind the engine's own bytes, which tell their length themselves. */
struct footer {
    uint64_t length, checksum; /* of what is before the footer; zl_hash_bytes() */
    uint32_t kind, has_start;
    char magic[8];
};
static const char magic[8] = "zlcwasm1";
static const char tmp_mark[] = ".new-";

enum { ABANDONED_SECONDS = 3600 };

int cache_open(const char *path, struct zl_error *err)
{
    struct stat st;
    zl_autoclose int parent = zl_mkdir_p(AT_FDCWD, path, 0700, err);
    if (parent < 0)
        return -1;
    zl_autoclose int fd = zl_mkdir_p(parent, "compiled", 0700, err);
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) < 0)
        return zl_fail_errno(err, "look at '%s/compiled'", path);
    if (st.st_uid != geteuid() || st.st_mode & 022)
        return zl_fail(
            err, ZL_ERR_DENIED,
            "'%s/compiled' must be ours and writable for nobody else: code in it is executed",
            path);
    return zl_take_fd(&fd);
}

void cache_name(const char *digest, unsigned variant, char out[CACHE_NAME_SIZE])
{
    char key[ENGINE_KEY_SIZE];

    engine_key(variant, key);
    (void)snprintf(out, CACHE_NAME_SIZE, "%.64s-%s", digest, key);
}

/* ---- reading ---- */

/* A file of another owner, or one that others may write, would be theirs to fill with code. */
static int check_file(int fd, const char *name, uint64_t *ret_size, struct zl_error *err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return zl_fail_errno(err, "look at compiled module '%s'", name);
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_mode & 077)
        return zl_fail(err, ZL_ERR_DENIED,
                       "compiled module '%s' is not a file of our own that only we may touch",
                       name);
    *ret_size = (uint64_t)st.st_size;
    return 0;
}

static uint64_t checksum(const void *bytes, size_t n)
{
    return zl_hash_bytes(ZL_HASH_START, bytes, n);
}

static int check_footer(const char *bytes, size_t size, const char *name,
                        struct cache_entry *ret_entry, struct zl_error *err)
{
    struct footer f;

    memcpy(&f, bytes + size - sizeof f, sizeof f);
    if (memcmp(f.magic, magic, sizeof magic) != 0 || f.length != size - sizeof f)
        return zl_fail(err, ZL_ERR_INVALID, "compiled module '%s' is cut off or not one of ours",
                       name);
    if (checksum(bytes, f.length) != f.checksum)
        return zl_fail(err, ZL_ERR_INVALID,
                       "compiled module '%s' is damaged: its checksum is wrong", name);
    *ret_entry = (struct cache_entry){
        .kind = f.kind == CACHE_COMPONENT ? CACHE_COMPONENT : CACHE_MODULE,
        .has_start = f.has_start != 0,
    };
    return 0;
}

static int check_content(int fd, const char *name, uint64_t size, struct cache_entry *ret_entry,
                         struct zl_error *err)
{
    if (size <= sizeof(struct footer))
        return zl_fail(err, ZL_ERR_INVALID, "compiled module '%s' is cut off", name);
    void *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return zl_fail_errno(err, "read compiled module '%s'", name);
    int rc = check_footer(bytes, size, name, ret_entry, err);
    (void)munmap(bytes, size); /* cannot fail for what mmap gave */
    return rc;
}

static int check_entry(int fd, const char *name, struct cache_entry *ret_entry,
                       struct zl_error *err)
{
    uint64_t size = 0;

    if (check_file(fd, name, &size, err) < 0)
        return -1;
    return check_content(fd, name, size, ret_entry, err);
}

int cache_entry_of(int fd, struct cache_entry *ret, struct zl_error *err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return zl_fail_errno(err, "look at a compiled module");
    return check_content(fd, "of this process", (uint64_t)st.st_size, ret, err);
}

int cache_load(int cache_fd, const char *name, struct cache_entry *ret_entry, struct zl_error *err)
{
    static const struct timespec used_now[2] = { { .tv_nsec = UTIME_NOW },
                                                 { .tv_nsec = UTIME_NOW } };
    zl_autoclose int fd = openat(cache_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0 && errno == ENOENT)
        return zl_fail(err, ZL_ERR_NOT_FOUND, "module '%s' is not compiled yet", name);
    if (fd < 0 && errno == ELOOP)
        (void)zl_fail(err, ZL_ERR_DENIED, "compiled module '%s' is a symbolic link", name);
    else if (fd < 0)
        (void)zl_fail_errno(err, "open compiled module '%s'", name);
    if (fd < 0 || check_entry(fd, name, ret_entry, err) < 0) {
        if (err->kind != ZL_ERR_SYSTEM) /* nothing is wrong with it when descriptors are short */
            (void)unlinkat(cache_fd, name, 0); /* else the next one overwrites it */
        return -1;
    }
    (void)futimens(fd, used_now); /* only the order of eviction depends on it */
    return zl_take_fd(&fd);
}

/* ---- writing ---- */

int cache_begin(int cache_fd, const char *name, char tmp[CACHE_TMP_SIZE], struct zl_error *err)
{
    uint32_t r;

    if (getrandom(&r, sizeof r, 0) != sizeof r)
        return zl_fail_errno(err, "make a name");
    (void)snprintf(tmp, CACHE_TMP_SIZE, "%s%08x%.40s", tmp_mark, r, name);
    int fd = openat(cache_fd, tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return fd >= 0 ? fd : zl_fail_errno(err, "make a compiled module");
}

int cache_seal(int fd, const struct cache_entry *entry, struct zl_error *err)
{
    struct footer f = { .kind = entry->kind, .has_start = entry->has_start };
    struct stat st;

    if (fstat(fd, &st) < 0 || lseek(fd, 0, SEEK_END) < 0)
        return zl_fail_errno(err, "seal a compiled module");
    void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED)
        return zl_fail_errno(err, "seal a compiled module");
    f.length = (uint64_t)st.st_size;
    f.checksum = checksum(bytes, (size_t)st.st_size);
    memcpy(f.magic, magic, sizeof f.magic);
    (void)munmap(bytes, (size_t)st.st_size);
    return zl_write_all(fd, &f, sizeof f, "compiled module", err);
}

/* ---- room ---- */

struct entry {
    char name[256];
    time_t used;
    uint64_t size;
};
struct entries {
    struct entry *v;
    size_t n, room;
    uint64_t bytes;
};

static int by_use(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return (x->used > y->used) - (x->used < y->used);
}

static int add_entry(struct entries *e, const char *name, const struct stat *st)
{
    if (e->n == e->room) {
        size_t room = e->room ? e->room * 2 : 64;
        struct entry *more = realloc(e->v, room * sizeof *more);
        if (!more)
            return -1;
        e->v = more;
        e->room = room;
    }
    struct entry *at = &e->v[e->n++];
    *at = (struct entry){ .used = st->st_mtim.tv_sec, .size = (uint64_t)st->st_size };
    (void)snprintf(at->name, sizeof at->name, "%s", name);
    e->bytes += at->size;
    return 0;
}

static bool is_abandoned(const char *name, const struct stat *st)
{
    return strncmp(name, tmp_mark, strlen(tmp_mark)) == 0 &&
           time(NULL) - st->st_mtim.tv_sec > ABANDONED_SECONDS;
}

static int list_entries(int cache_fd, struct entries *e)
{
    zl_autodir DIR *dir = zl_dir_open(cache_fd, ".");
    const struct dirent *d;
    struct stat st;
    int rc = 0;

    if (!dir)
        return -1;
    while (rc == 0 && (d = readdir(dir))) {
        if (fstatat(cache_fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
            continue;
        if (is_abandoned(d->d_name, &st))
            (void)unlinkat(cache_fd, d->d_name, 0); /* or another does it */
        else
            rc = add_entry(e, d->d_name, &st);
    }
    return rc;
}

/* Best effort: without memory nothing is removed this time. */
static void make_room(int cache_fd, const char *keep, uint64_t max_bytes)
{
    struct entries e = { 0 };

    if (list_entries(cache_fd, &e) == 0 && e.bytes > max_bytes) {
        qsort(e.v, e.n, sizeof *e.v, by_use);
        for (size_t i = 0; i < e.n && e.bytes > max_bytes; i++) {
            if (strcmp(e.v[i].name, keep) == 0 || e.v[i].name[0] == '.')
                continue;
            (void)unlinkat(cache_fd, e.v[i].name, 0);
            e.bytes -= e.v[i].size;
        }
    }
    free(e.v);
}

int cache_commit(int cache_fd, const char *tmp, const char *name, uint64_t max_bytes,
                 struct zl_error *err)
{
    if (renameat(cache_fd, tmp, cache_fd, name) < 0) {
        (void)zl_fail_errno(err, "keep compiled module '%s'", name);
        cache_abandon(cache_fd, tmp);
        return -1;
    }
    make_room(cache_fd, name, max_bytes);
    return 0;
}

void cache_abandon(int cache_fd, const char *tmp)
{
    (void)unlinkat(cache_fd, tmp, 0); /* else it is swept later */
}
