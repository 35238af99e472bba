// SPDX-License-Identifier: Apache-2.0
/*
 * zlayer-fetch, taken over: linked with --wrap, so that in the process that ZL_ATTACK_WHO names
 * this happens in place of what it is for. It tries what an attacker would want, and tells what
 * came of it as its error, "ESCAPED: file, network" or "contained":
 *
 *   hand       in place of decompressing a layer
 *   talker     in place of asking the registry for a manifest
 *   copier     in place of reading the archive that it is given
 *   reader     in place of listing the members of an archive
 *   document   in place of reading a document of an image
 *
 * What there is to get is in the environment, since that is nobody's secret: ZL_ATTACK_FILE, a file
 * of the host; ZL_ATTACK_STATE, one of the state folder; ZL_ATTACK_PORT, where somebody listens;
 * ZL_ATTACK_PID, a process; ZL_ATTACK_ABSTRACT, where somebody takes datagrams; ZL_ATTACK_SHARED,
 * the number of memory that is shared; ZL_ATTACK_STORE, the state folder;
 * ZL_ATTACK_SECRET, a password, written backwards, so that
 * what is found in memory is not this.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/buf.h"
#include "fetch/crew/reading.h"
#include "fetch/registry/registry.h"
#include "fetch/tar/decompress.h"
#include "fetch/tar/tar.h"

enum { SECRET_MAX = 100, FDS = 256, PAGE = 4096 };

static const char *wanted(const char *name)
{
    const char *value = getenv(name);
    return value ? value : "";
}

static bool can_read(int dir, const char *path)
{
    char byte;
    zl_autoclose int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && read(fd, &byte, 1) == 1;
}

/* By its path, as what is below a shorter root, and from every open folder. */
static bool reaches_file(const char *path)
{
    char up[PATH_MAX];
    if (!*path)
        return false;
    for (const char *p = path; p; p = strchr(p + 1, '/')) {
        (void)snprintf(up, sizeof up, "../../../../../../../../../../../..%s", p);
        if (can_read(AT_FDCWD, p) || can_read(AT_FDCWD, up))
            return true;
        for (int fd = 0; fd < FDS; fd++)
            if (can_read(fd, up))
                return true;
    }
    return false;
}

static bool tries_file(void)
{
    return reaches_file(wanted("ZL_ATTACK_FILE"));
}

static bool tries_state(void)
{
    char below[PATH_MAX];
    const char *path = wanted("ZL_ATTACK_STATE"), *name = strrchr(path, '/');
    (void)snprintf(below, sizeof below, "/store%s", name ? name : "");
    return reaches_file(path) || (name && can_read(AT_FDCWD, below));
}

static bool tries_network(void)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    to.sin_port = htons((uint16_t)strtoul(wanted("ZL_ATTACK_PORT"), NULL, 10));
    zl_autoclose int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0;
}

static bool tries_local_sockets(void)
{
    zl_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd >= 0;
}

/* The kernel does not look at the upper half of an int, but a filter may. */
static long dirty(long number)
{
    return (long)((1UL << 32) | (unsigned long)number);
}

static bool tries_dirty_sockets(void)
{
    zl_autoclose int fd = (int)syscall(SYS_socket, dirty(AF_UNIX), SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd >= 0;
}

static bool sends_from_pair(int type)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    const char *name = wanted("ZL_ATTACK_ABSTRACT");
    int pair[2];
    (void)snprintf(to.sun_path + 1, sizeof to.sun_path - 1, "%s", name);
    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) < 0)
        return false;
    socklen_t n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
    bool sent = sendto(pair[0], "x", 1, MSG_DONTWAIT, (struct sockaddr *)&to, n) == 1;
    (void)close(pair[0]);
    (void)close(pair[1]);
    return sent;
}

static bool tries_datagrams(void)
{
    return sends_from_pair(SOCK_DGRAM) || sends_from_pair(SOCK_RAW);
}

static bool tries_shared_memory(void)
{
    key_t key = (key_t)strtol(wanted("ZL_ATTACK_SHARED"), NULL, 10);
    int id = shmget(key, 0, 0);
    return id >= 0 && shmat(id, NULL, 0) != (void *)-1;
}

/* There is no descriptor -1, but the filter comes first. */
static bool tries_typing(void)
{
    char key = '\n';
    return (syscall(SYS_ioctl, -1, (long)TIOCSTI, &key) < 0 && errno != EPERM) ||
           (syscall(SYS_ioctl, -1, dirty(TIOCSTI), &key) < 0 && errno != EPERM);
}

static bool tries_processes(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    return pid > 0;
}

static bool tries_signals(void)
{
    return kill((pid_t)strtol(wanted("ZL_ATTACK_PID"), NULL, 10), 0) == 0;
}

static bool tries_devices(void)
{
    (void)mknodat(AT_FDCWD, "zero", S_IFCHR | 0666, makedev(1, 5));
    return can_read(AT_FDCWD, "zero");
}

/* ---- the store ------------------------------------------------------------------------------- */

static bool plants_at(int dir, const char *folder)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/planted", folder);
    if (mkdirat(dir, path, 0755) == 0)
        return true;
    zl_autoclose int fd = openat(dir, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    return fd >= 0 && write(fd, "x", 1) == 1;
}

/* A socket is its own, whatever is done to it. */
static bool changes_file(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && fchmod(fd, st.st_mode & 07777) == 0;
}

/* In the store's folders: by the host's path, by that of a shorter root, and from what is open. */
static bool tries_store(void)
{
    static const char *const folders[] = { "images/blobs/sha256", "images/partial", "images",
                                           "layers", "layers/of" };
    bool planted = false;
    for (size_t i = 0; i < ZL_ARRAY_LEN(folders); i++) {
        char host[PATH_MAX], own[PATH_MAX];
        (void)snprintf(host, sizeof host, "%s/%s", wanted("ZL_ATTACK_STORE"), folders[i]);
        (void)snprintf(own, sizeof own, "/store/%s", folders[i]);
        planted |= plants_at(AT_FDCWD, host) || plants_at(AT_FDCWD, own);
        for (int fd = 3; fd < FDS; fd++)
            planted |= plants_at(fd, folders[i]);
    }
    for (int fd = 3; fd < FDS; fd++) /* each may be a folder of it, or a file */
        planted |= plants_at(fd, ".") || changes_file(fd);
    return planted;
}

/* What the agent would believe: which image it is that was asked for. */
static bool tries_forgery(void)
{
    static const char line[] = "{\"status\":\"done\",\"digest\":\"sha256:forged\"}\n";
    struct stat st;
    for (int fd = 0; fd < FDS; fd++) {
        if (fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) && fd != STDERR_FILENO &&
            write(fd, line, sizeof line - 1) > 0)
            return true;
    }
    return false;
}

/* Of CAP_SYS_ADMIN, of those that are not for unpacking: xattr(7). */
static bool tries_rights(void)
{
    zl_autoclose int fd = openat(AT_FDCWD, "mine", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return fd >= 0 && fsetxattr(fd, "trusted.mine", "y", 1, 0) == 0;
}

/* ---- a secret in memory ---------------------------------------------------------------------- */

static size_t find_secret(char secret[SECRET_MAX])
{
    const char *backwards = wanted("ZL_ATTACK_SECRET");
    size_t n = strlen(backwards);
    for (size_t i = 0; i < n && n < SECRET_MAX; i++)
        secret[i] = backwards[n - 1 - i];
    return n < SECRET_MAX ? n : 0;
}

/* A copy of a page, if there is one: a file takes what can be read, and refuses what cannot. */
static bool copy_page(int file, const char *page, char out[PAGE])
{
    return pwrite(file, page, PAGE, 0) == PAGE && pread(file, out, PAGE, 0) == PAGE;
}

/* The heap ends at the break; it has been there since before the foreman was forked. */
static bool tries_memory(void)
{
    char secret[SECRET_MAX], page[PAGE];
    size_t n = find_secret(secret);
    const char *end = sbrk(0);
    bool found = false;
    zl_autoclose int file = openat(AT_FDCWD, "page", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    for (const char *p = end - PAGE; n && !found && copy_page(file, p, page); p -= PAGE)
        found = memmem(page, PAGE, secret, n) != NULL;
    explicit_bzero(secret, sizeof secret);
    return found;
}

static bool tries_descriptors(void)
{
    char secret[SECRET_MAX], text[PAGE];
    size_t n = find_secret(secret);
    for (int fd = 0; n && fd < FDS; fd++) {
        ssize_t len = pread(fd, text, sizeof text, 0);
        if (len > 0 && memmem(text, (size_t)len, secret, n))
            return true;
    }
    return false;
}

/* What the agent was started with is ours, too: /proc/self/environ shows this memory. */
static bool tries_environment(void)
{
    return *wanted("ZLAYER_REGISTRY_USERNAME") || *wanted("ZLAYER_REGISTRY_PASSWORD");
}

/* ---- who is taken over ----------------------------------------------------------------------- */

struct attempt {
    const char *name;
    bool (*succeeds)(void);
};

static const struct attempt by_hand[] = {
    { "file", tries_file },
    { "state", tries_state },
    { "network", tries_network },
    { "processes", tries_processes },
    { "signals", tries_signals },
    { "devices", tries_devices },
    { "rights", tries_rights },
    { "datagrams", tries_datagrams },
    { "shared memory", tries_shared_memory },
    { "typing", tries_typing },
    { "memory", tries_memory },
    { "descriptors", tries_descriptors },
    { "environment", tries_environment },
};
static const struct attempt by_talker[] = {
    { "file", tries_file },
    { "state", tries_state },
    { "processes", tries_processes },
    { "signals", tries_signals },
    { "rights", tries_rights },
    { "local sockets", tries_local_sockets },
    { "datagrams", tries_datagrams },
    { "shared memory", tries_shared_memory },
    { "typing", tries_typing },
    { "dirty sockets", tries_dirty_sockets },
    { "store", tries_store },
    { "forgery", tries_forgery },
    { "environment", tries_environment },
};

/* The archive is somebody's file, and open. */
static bool tries_source(void)
{
    for (int fd = 3; fd < FDS; fd++) {
        if (changes_file(fd))
            return true;
    }
    return false;
}

static const struct attempt by_reader[] = {
    { "file", tries_file },           { "network", tries_network },
    { "processes", tries_processes }, { "signals", tries_signals },
    { "datagrams", tries_datagrams }, { "shared memory", tries_shared_memory },
    { "typing", tries_typing },       { "source", tries_source },
};
static const struct attempt by_document[] = {
    { "file", tries_file },
    { "state", tries_state },
    { "network", tries_network },
    { "processes", tries_processes },
    { "signals", tries_signals },
    { "datagrams", tries_datagrams },
    { "typing", tries_typing },
    { "shared memory", tries_shared_memory },
    { "store", tries_store },
    { "descriptors", tries_descriptors },
    { "environment", tries_environment },
};
static const struct attempt by_copier[] = {
    { "file", tries_file },
    { "network", tries_network },
    { "processes", tries_processes },
    { "signals", tries_signals },
    { "devices", tries_devices },
    { "datagrams", tries_datagrams },
    { "shared memory", tries_shared_memory },
    { "typing", tries_typing },
};

/* -1, and what came of it. */
static int attack(const struct attempt *attempts, size_t n, struct zl_error *err)
{
    zl_autobuf struct zl_buf said = ZL_BUF(1000);
    for (size_t i = 0; i < n; i++) {
        if (attempts[i].succeeds())
            zl_buf_addf(&said, "%s%s", said.len ? ", " : "ESCAPED: ", attempts[i].name);
    }
    return zl_fail(err, ZL_ERR_INTERNAL, "%s", said.len ? said.data : "contained");
}

static bool is_taken(const char *who)
{
    return strcmp(wanted("ZL_ATTACK_WHO"), who) == 0;
}

int __real_decompress_new(const struct input *in, struct decompress **ret, struct zl_error *err);
int __wrap_decompress_new(const struct input *in, struct decompress **ret, struct zl_error *err);
int __wrap_decompress_new(const struct input *in, struct decompress **ret, struct zl_error *err)
{
    return is_taken("hand") ? attack(by_hand, ZL_ARRAY_LEN(by_hand), err)
                            : __real_decompress_new(in, ret, err);
}

int __real_tar_new(const struct input *in, struct tar **ret, struct zl_error *err);
int __wrap_tar_new(const struct input *in, struct tar **ret, struct zl_error *err);
int __wrap_tar_new(const struct input *in, struct tar **ret, struct zl_error *err)
{
    if (is_taken("reader"))
        return attack(by_reader, ZL_ARRAY_LEN(by_reader), err);
    return is_taken("copier") ? attack(by_copier, ZL_ARRAY_LEN(by_copier), err)
                              : __real_tar_new(in, ret, err);
}

int __real_reading_find(enum reading_kind kind, const char *bytes, size_t n, const char *what,
                        struct zl_buf *found, struct zl_error *err);
int __wrap_reading_find(enum reading_kind kind, const char *bytes, size_t n, const char *what,
                        struct zl_buf *found, struct zl_error *err);
int __wrap_reading_find(enum reading_kind kind, const char *bytes, size_t n, const char *what,
                        struct zl_buf *found, struct zl_error *err)
{
    return is_taken("document") ? attack(by_document, ZL_ARRAY_LEN(by_document), err)
                                : __real_reading_find(kind, bytes, n, what, found, err);
}

int __real_registry_manifest(struct registry *r, const char *reference, struct zl_buf *body,
                             char digest[DIGEST_SIZE], char type[128], struct zl_error *err);
int __wrap_registry_manifest(struct registry *r, const char *reference, struct zl_buf *body,
                             char digest[DIGEST_SIZE], char type[128], struct zl_error *err);
int __wrap_registry_manifest(struct registry *r, const char *reference, struct zl_buf *body,
                             char digest[DIGEST_SIZE], char type[128], struct zl_error *err)
{
    return is_taken("talker") ? attack(by_talker, ZL_ARRAY_LEN(by_talker), err)
                              : __real_registry_manifest(r, reference, body, digest, type, err);
}
