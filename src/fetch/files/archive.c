// SPDX-License-Identifier: Apache-2.0
#include "fetch/files/archive.h"

#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "fetch/crew/confine.h"
#include "fetch/files/changes.h"
#include "fetch/files/place.h"
#include "fetch/tar/pack.h"

enum {
    LISTENER = 3,
    ROOT = 4,
    LAYERS_MAX = 128,
    HEAD = 8,
    PIECE = 256 * 1024,
    LINE_MAX_BYTES = 128 * 1024
};

struct archive {
    const struct archive_options *o;
    int client, root, fds; /* fds: /proc/self/fd */
    int upper, below[LAYERS_MAX];
    size_t n_below;
    json_t *stat;
};

/* ---- the client ---------------------------------------------------------------------------- */

static int send_frame(struct archive *a, uint8_t stream, const void *bytes, size_t n,
                      struct zl_error *err)
{
    const uint8_t head[HEAD] = {
        stream, 0, 0, 0, (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n
    };
    if (n == 0)
        return 0;
    return zl_write_all(a->client, head, sizeof head, "client", err) < 0
               ? -1
               : zl_write_all(a->client, bytes, n, "client", err);
}

static int send_bytes(void *arg, const void *bytes, size_t n, struct zl_error *err)
{
    return send_frame(arg, ARCHIVE_BYTES, bytes, n, err);
}

static int send_outcome(struct archive *a, const struct zl_error *failed, struct zl_error *err)
{
    json_t *word = failed ? json_pack("{s:s, s:s, s:s}", "status", "error", "kind",
                                      zl_err_kind_name(failed->kind), "message", failed->msg)
                          : json_pack("{s:s, s:O?}", "status", "done", "stat", a->stat);
    zl_autofree char *text = word ? json_dumps(word, JSON_COMPACT) : NULL;
    json_decref(word);
    if (!text)
        return zl_fail(err, ZL_ERR_SYSTEM, "tell the outcome: it is not UTF-8, or out of memory");
    return send_frame(a, ARCHIVE_OUTCOME, text, strlen(text), err);
}

struct client_input {
    int fd;
    char piece[PIECE];
};

static ssize_t read_client(void *arg, const void **bytes, struct zl_error *err)
{
    struct client_input *c = arg;
    ssize_t n;
    do
        n = read(c->fd, c->piece, sizeof c->piece);
    while (n < 0 && errno == EINTR);
    *bytes = c->piece;
    return n < 0 ? zl_fail_errno(err, "read the archive") : n;
}

/* ---- what is asked ------------------------------------------------------------------------- */

/* The folder of the path and the name in it: a link at its end is not followed. */
static int open_parent(const struct archive *a, char name[NAME_MAX + 1], struct zl_error *err)
{
    zl_autofree char *path = strdup(a->o->path);
    if (!path)
        return zl_fail_errno(err, "look at '%s'", a->o->path);
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        path[--n] = '\0';
    char *slash = strrchr(path, '/');
    const char *last = slash ? slash + 1 : path;
    bool whole = !*last || strcmp(last, ".") == 0 || strcmp(last, "..") == 0 ||
                 a->o->path[strlen(a->o->path) - 1] == '/';
    if (strlen(last) > NAME_MAX)
        return zl_fail(err, ZL_ERR_INVALID, "'%s': a name is too long", a->o->path);
    (void)snprintf(name, NAME_MAX + 1, "%s", whole ? "." : last);
    if (!whole && slash)
        *slash = '\0';
    int fd = zl_open_in_root(a->root, *path ? path : "/", O_PATH | O_DIRECTORY, err);
    if (fd < 0 && err->errnum == ENOENT)
        err->kind = ZL_ERR_NOT_FOUND;
    return fd;
}

/* What it is called in the archive. */
static const char *base_name(const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    const char *slash = memrchr(path, '/', n);
    return n <= 1 ? "." : slash ? slash + 1 : path;
}

static int find(struct archive *a, char name[NAME_MAX + 1], struct stat *st, struct zl_error *err)
{
    zl_autoclose int parent = open_parent(a, name, err);
    if (parent < 0)
        return -1;
    if (fstatat(parent, name, st, AT_SYMLINK_NOFOLLOW) < 0) {
        (void)zl_fail_errno(err, "look at '%s'", a->o->path);
        err->kind = errno == ENOENT ? ZL_ERR_NOT_FOUND : err->kind;
        return -1;
    }
    return zl_take_fd(&parent);
}

/* What a link leads to, and what stands there: copying into it follows it. */
static void add_target(const struct archive *a, int parent, const char *name, json_t *stat)
{
    char link[PATH_MAX];
    struct stat st;
    ssize_t n = readlinkat(parent, name, link, sizeof link - 1);
    zl_autoclose int fd = zl_open_in_root(a->root, a->o->path, O_PATH, NULL);
    (void)json_object_set_new(stat, "link_target",
                              n > 0 ? json_stringn(link, (size_t)n) : json_string(""));
    (void)json_object_set_new(stat, "leads_to_folder",
                              json_boolean(fd >= 0 && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)));
}

static int do_stat(struct archive *a, struct zl_error *err)
{
    char name[NAME_MAX + 1], time[ZL_RFC3339_SIZE];
    struct stat st;
    zl_autoclose int parent = find(a, name, &st, err);
    if (parent < 0)
        return -1;
    (void)zl_format_rfc3339((int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec, 9, time);
    a->stat = json_pack("{s:s%, s:I, s:i, s:s, s:b}", "name", base_name(a->o->path),
                        strcspn(base_name(a->o->path), "/"), "size", (json_int_t)st.st_size, "mode",
                        (int)st.st_mode, "mtime", time, "folder", S_ISDIR(st.st_mode));
    if (!a->stat)
        return zl_fail(err, ZL_ERR_INVALID, "'%s' is not UTF-8", a->o->path);
    if (S_ISLNK(st.st_mode))
        add_target(a, parent, name, a->stat);
    return 0;
}

static int do_get(struct archive *a, struct zl_error *err)
{
    const struct pack_out out = { send_bytes, a };
    char name[NAME_MAX + 1], as[NAME_MAX + 1];
    struct stat st;
    zl_autoclose int parent = find(a, name, &st, err);
    if (parent < 0)
        return -1;
    const char *base = base_name(a->o->path);
    (void)snprintf(as, sizeof as, "%.*s", (int)strcspn(base, "/"), base);
    unsigned flags = strcmp(as, ".") == 0 ? PACK_CONTENT : 0;
    return pack_tree(parent, name, as, flags, a->fds, &out, err) < 0 ? -1 : pack_end(&out, err);
}

static int do_export(struct archive *a, struct zl_error *err)
{
    const struct pack_out out = { send_bytes, a };
    if (pack_tree(a->root, ".", ".", PACK_CONTENT | PACK_ONE_MOUNT, a->fds, &out, err) < 0)
        return -1;
    return pack_end(&out, err);
}

static int do_put(struct archive *a, struct zl_error *err)
{
    const struct place_options how = { .keep_owner = a->o->keep_owner,
                                       .same_types = a->o->same_types };
    zl_autofree struct client_input *c = malloc(sizeof *c);
    autotar struct tar *tar = NULL;
    if (!c)
        return zl_fail_errno(err, "copy into '%s'", a->o->path);
    c->fd = a->client;
    const struct input in = { .read = read_client, .arg = c };
    if (tar_new(&in, &tar, err) < 0)
        return -1;
    return place_tar(tar, a->root, a->o->path, &how, err);
}

static int send_change(void *arg, enum change kind, const char *path, struct zl_error *err)
{
    json_t *line = json_pack("{s:i, s:s}", "kind", (int)kind, "path", path);
    zl_autofree char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
    zl_autobuf struct zl_buf b = ZL_BUF(LINE_MAX_BYTES);
    json_decref(line);
    /* a name that is no UTF-8 can be told by no JSON: its folder is told as changed */
    if (!text)
        return 0;
    zl_buf_addf(&b, "%s\n", text);
    return zl_buf_check(&b, "a path", err) < 0 ? -1
                                               : send_frame(arg, ARCHIVE_BYTES, b.data, b.len, err);
}

static int do_changes(struct archive *a, struct zl_error *err)
{
    return changes_walk(a->upper, a->below, a->n_below, a->o->mounts, a->o->n_mounts, send_change,
                        a, err);
}

/* ---- before the process gives its rights up ------------------------------------------------- */

/* A folder as a mount of its own, read-only: ".." leads from it to nothing else, also when the root
 * has changed (open_tree(2); mount_setattr(2), Linux 5.12). */
static int open_apart(int dir, const char *path, struct zl_error *err)
{
    struct mount_attr locked = {
        .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
    };
    zl_autoclose int tree =
        open_tree(dir, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
    if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH, &locked, sizeof locked) < 0)
        return zl_fail_errno(err, "open '%s'", path);
    return zl_open_dir(tree, ".", err);
}

static int open_layers(struct archive *a, int state,
                       int (*open_layer)(int dir, const char *path, struct zl_error *err),
                       struct zl_error *err)
{
    for (const char *p = a->o->layers; p && *p; a->n_below++) {
        char path[64];
        size_t n = strcspn(p, ",");
        if (a->n_below == LAYERS_MAX || n > 10 || strspn(p, "0123456789") != n)
            return zl_fail(err, ZL_ERR_INVALID, "'%s' are no layers", a->o->layers);
        (void)snprintf(path, sizeof path, "layers/%.*s/fs", (int)n, p);
        a->below[a->n_below] = open_layer(state, path, err);
        if (a->below[a->n_below] < 0)
            return -1;
        p += n + (p[n] == ',');
    }
    return 0;
}

static void close_layers(struct archive *a)
{
    while (a->n_below)
        (void)close(a->below[--a->n_below]); /* they were only opened */
}

/* The overlay of a container that has ended, in a mount namespace of our own: gone with us. */
static int mount_root(struct archive *a, struct zl_error *err)
{
    zl_autobuf struct zl_buf options = ZL_BUF(4095), target = ZL_BUF(PATH_MAX),
                             mark = ZL_BUF(PATH_MAX);
    /* of a mount with `volatile`, whose host has not crashed since: it may be mounted again */
    zl_buf_addf(&mark, "%s/containers/%s/work/work/incompat/volatile", a->o->root, a->o->id);
    (void)rmdir(mark.data);
    zl_buf_addf(&target, "%s/containers/%s/rootfs", a->o->root, a->o->id);
    zl_buf_adds(&options, "userxattr");
    for (size_t i = a->n_below; i-- > 0;)
        zl_buf_addf(&options, "%s/proc/self/fd/%d", i + 1 == a->n_below ? ",lowerdir=" : ":",
                    a->below[i]);
    zl_buf_addf(&options, ",upperdir=%s/containers/%s/upper,workdir=%s/containers/%s/work",
                a->o->root, a->o->id, a->o->root, a->o->id);
    if (zl_buf_check(&options, "the layers", err) < 0 || zl_buf_check(&target, "a path", err) < 0)
        return -1;
    if (mount("overlay", target.data, "overlay", MS_NODEV | MS_NOSUID | MS_NOEXEC, options.data) <
        0)
        return zl_fail_errno(err, "mount its file system");
    close_layers(a);
    a->root = open(target.data, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return a->root < 0 ? zl_fail_errno(err, "open '%s'", target.data) : 0;
}

static int open_root(struct archive *a, struct zl_error *err)
{
    struct stat st;
    if (fstat(ROOT, &st) == 0 && S_ISDIR(st.st_mode)) {
        a->root = ROOT;
        return 0;
    }
    /* overlay takes folders of its own mount namespace only: the layers are opened in this one */
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return zl_fail_errno(err, "make a mount namespace");
    zl_autoclose int state = zl_open_dir(AT_FDCWD, a->o->root, err);
    if (state < 0 || open_layers(a, state, zl_open_dir, err) < 0)
        return -1;
    return mount_root(a, err);
}

static int open_changes(struct archive *a, struct zl_error *err)
{
    zl_autobuf struct zl_buf upper = ZL_BUF(PATH_MAX);
    zl_autoclose int state = zl_open_dir(AT_FDCWD, a->o->root, err);
    zl_buf_addf(&upper, "containers/%s/upper", a->o->id);
    if (state < 0 || open_layers(a, state, open_apart, err) < 0)
        return -1;
    a->upper = open_apart(state, upper.data, err);
    return a->upper < 0 ? -1 : 0;
}

static int accept_client(struct archive *a, struct zl_error *err)
{
    struct pollfd p = { .fd = LISTENER, .events = POLLIN };
    if (poll(&p, 1, ARCHIVE_CLIENT_MS) != 1)
        return zl_fail(err, ZL_ERR_TIMEOUT, "no client came");
    a->client = accept4(LISTENER, NULL, NULL, SOCK_CLOEXEC);
    return a->client < 0 ? zl_fail_errno(err, "accept the client") : 0;
}

/* clang-format off */
static const struct {
    const char *op;
    int (*open)(struct archive *a, struct zl_error *err);
    int (*run)(struct archive *a, struct zl_error *err);
} ops[] = {
    { "get",     open_root,    do_get },
    { "put",     open_root,    do_put },
    { "stat",    open_root,    do_stat },
    { "export",  open_root,    do_export },
    { "changes", open_changes, do_changes },
};
/* clang-format on */

static int run(struct archive *a, struct zl_error *err)
{
    for (size_t i = 0; i < ZL_ARRAY_LEN(ops); i++) {
        if (strcmp(a->o->op, ops[i].op) != 0)
            continue;
        if (ops[i].open(a, err) < 0)
            return -1;
        a->fds = open_apart(AT_FDCWD, "/proc/self/fd", err); /* root may write most of /proc */
        if (a->fds < 0)
            return -1;
        if (confine_view(a->o->root, CONFINE_NOTHING, err) < 0 ||
            confine_role(CONFINE_COPIER, err) < 0)
            return -1;
        return ops[i].run(a, err);
    }
    return zl_fail(err, ZL_ERR_INVALID, "there is no operation '%s'", a->o->op);
}

/* What was sent and not read would make the kernel drop the outcome on its way (tcp(7)'s reset has
 * its like in unix sockets): the rest is taken and thrown away. */
static void drain(int client)
{
    char piece[4096];
    struct pollfd p = { .fd = client, .events = POLLIN };
    (void)shutdown(client, SHUT_WR); /* a client that is gone is no loss */
    while (poll(&p, 1, ARCHIVE_CLIENT_MS) == 1 && read(client, piece, sizeof piece) > 0)
        ;
}

int archive_serve(const struct archive_options *o, struct zl_error *err)
{
    struct archive a = { .o = o, .client = -1, .root = -1, .fds = -1, .upper = -1 };
    struct zl_error why = { 0 };
    if (accept_client(&a, err) < 0)
        return -1;
    int rc = run(&a, &why);
    rc = send_outcome(&a, rc < 0 ? &why : NULL, err);
    json_decref(a.stat);
    drain(a.client);
    zl_closep(&a.client);
    return rc;
}
