// SPDX-License-Identifier: Apache-2.0
#include "fetch/files/fill.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/dir.h"
#include "base/fd.h"
#include "base/id.h"
#include "base/json.h"
#include "fetch/crew/confine.h"
#include "fetch/files/place.h"
#include "fetch/tar/pack.h"

enum {
    ORDER_MAX = 1 << 20,
    LAYERS_MAX = 128,
    PIECE = 256 * 1024,
    NAME_SIZE = 128,
    ASIDE_TRIES = 16
};

struct fill {
    const char *from;      /* in the image, absolute */
    const char *volume;    /* its name; NULL: the container's own */
    const char *container; /* below containers/ */
};

struct filling {
    const char *root;
    struct { /* lowest first */
        const char **v;
        size_t n;
    } layers;
    struct {
        struct fill *v;
        size_t n;
    } fills;
    int state, volumes, image; /* image: its merged root; -1: it has no layers */
    int layer_fds[LAYERS_MAX];
};

static const struct zl_field fill_fields[] = {
    { "from", zl_json_abs_path, offsetof(struct fill, from), ZL_REQUIRED, NULL },
    { "volume", zl_json_string, offsetof(struct fill, volume), 0, NULL },
    { "container", zl_json_string, offsetof(struct fill, container), 0, NULL },
    { 0 },
};
static const struct zl_element fill_element = { sizeof(struct fill), fill_fields };
static const struct zl_field fields[] = {
    { "layers", zl_json_strs, offsetof(struct filling, layers), ZL_REQUIRED, NULL },
    { "fills", zl_json_list, offsetof(struct filling, fills), ZL_REQUIRED, &fill_element },
    { 0 },
};

/* ---- the image ------------------------------------------------------------------------------ */

static int open_layer(const struct filling *f, size_t i, struct zl_error *err)
{
    const char *number = f->layers.v[i];
    char path[64];
    size_t n = strlen(number);
    if (n == 0 || n > 10 || strspn(number, "0123456789") != n)
        return zl_fail(err, ZL_ERR_INVALID, "'%.20s' is no layer", number);
    (void)snprintf(path, sizeof path, "layers/%s/fs", number);
    return zl_open_dir(f->state, path, err);
}

/* Read-only, over layers/, where only we see it. Overlay takes two layers or more, so an empty one
 * is the lowest: it shows no whiteout of an only layer. */
static int mount_image(struct filling *f, struct zl_error *err)
{
    const unsigned long limits = MS_RDONLY | MS_NODEV | MS_NOSUID | MS_NOEXEC;
    zl_autobuf struct zl_buf options = ZL_BUF(4095), target = ZL_BUF(PATH_MAX);
    zl_buf_addf(&target, "%s/layers", f->root);
    if (zl_buf_check(&target, "a path", err) < 0)
        return -1;
    if (mount("tmpfs", target.data, "tmpfs", limits, "size=4k,mode=755") < 0)
        return zl_fail_errno(err, "mount an empty layer");
    zl_autoclose int empty = zl_open_dir(AT_FDCWD, target.data, err);
    if (empty < 0)
        return -1;
    zl_buf_adds(&options, "userxattr,lowerdir=");
    for (size_t i = f->layers.n; i-- > 0;)
        zl_buf_addf(&options, "/proc/self/fd/%d:", f->layer_fds[i]);
    zl_buf_addf(&options, "/proc/self/fd/%d", empty);
    if (zl_buf_check(&options, "the layers", err) < 0)
        return -1;
    if (mount("overlay", target.data, "overlay", limits, options.data) < 0)
        return zl_fail_errno(err, "mount the image");
    f->image = open(target.data, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return f->image < 0 ? zl_fail_errno(err, "open the image") : 0;
}

static int open_image(struct filling *f, struct zl_error *err)
{
    if (f->layers.n > LAYERS_MAX)
        return zl_fail(err, ZL_ERR_UNSUPPORTED, "an image of %zu layers", f->layers.n);
    /* overlay takes folders of its own mount namespace only: the layers are opened in this one */
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return zl_fail_errno(err, "make a mount namespace");
    f->state = zl_open_dir(AT_FDCWD, f->root, err);
    if (f->state < 0)
        return -1;
    for (size_t i = 0; i < f->layers.n; i++) {
        f->layer_fds[i] = open_layer(f, i, err);
        if (f->layer_fds[i] < 0)
            return -1;
    }
    return f->layers.n ? mount_image(f, err) : 0;
}

/* What the container would see there when that is a folder; -1 with err->kind NOT_FOUND when it is
 * something else, or nothing. */
static int open_source(const struct filling *f, const char *path, struct zl_error *err)
{
    int fd = f->image < 0 ? -1 : zl_open_in_root(f->image, path, O_PATH | O_DIRECTORY, err);
    bool nothing = f->image < 0 || errno == ENOENT || errno == ENOTDIR || errno == ELOOP;
    return fd >= 0 || !nothing ? fd : zl_fail(err, ZL_ERR_NOT_FOUND, "nothing to copy");
}

/* ---- the two processes ---------------------------------------------------------------------- */

struct copying {
    int from, to, pipe[2], failed[2];
    char *piece; /* of who reads the pipe */
};

static int write_pipe(void *arg, const void *bytes, size_t n, struct zl_error *err)
{
    const struct copying *c = arg;
    return zl_write_all(c->pipe[1], bytes, n, "the other half", err);
}

static ssize_t read_pipe(void *arg, const void **bytes, struct zl_error *err)
{
    const struct copying *c = arg;
    ssize_t n;
    do
        n = read(c->pipe[0], c->piece, PIECE);
    while (n < 0 && errno == EINTR);
    *bytes = c->piece;
    return n < 0 ? zl_fail_errno(err, "read from the other half") : n;
}

static int confine(const char *root, struct zl_error *err)
{
    return confine_view(root, CONFINE_NOTHING, err) < 0 ? -1 : confine_role(CONFINE_COPIER, err);
}

static int read_image(struct copying *c, const char *root, struct zl_error *err)
{
    const struct pack_out out = { write_pipe, c };
    zl_autoclose int fds = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fds < 0)
        return zl_fail_errno(err, "open /proc/self/fd");
    zl_closep(&c->pipe[0]);
    if (confine(root, err) < 0 ||
        pack_tree(c->from, ".", ".", PACK_CONTENT | PACK_ONE_MOUNT, fds, &out, err) < 0)
        return -1;
    return pack_end(&out, err);
}

static int write_volume(struct copying *c, const char *root, struct zl_error *err)
{
    const struct place_options how = { .keep_owner = true };
    const struct input in = { .read = read_pipe, .arg = c };
    autotar struct tar *tar = NULL;
    zl_closep(&c->pipe[1]); /* else its end never comes */
    zl_autofree char *piece = c->piece = malloc(PIECE);
    if (!piece)
        return zl_fail_errno(err, "copy it");
    if (confine(root, err) < 0 || tar_new(&in, &tar, err) < 0)
        return -1;
    return place_tar(tar, c->to, "/", &how, err);
}

/* In a process of its own, that tells by the pipe `failed` what went wrong. */
static pid_t begin_half(struct copying *c, const char *root,
                        int (*half)(struct copying *, const char *, struct zl_error *),
                        struct zl_error *err)
{
    pid_t keeper = getpid(), pid = fork();
    if (pid < 0)
        return zl_fail_errno(err, "start a process");
    if (pid > 0)
        return pid;
    struct zl_error why = { 0 };
    /* Without the keeper nobody wants it, and its lock is ours, too. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != keeper)
        _exit(EXIT_FAILURE + 1);
    if (half(c, root, &why) == 0)
        _exit(EXIT_SUCCESS);
    /* Of two that fail, the first is the cause, and comes whole (PIPE_BUF, pipe(7)). */
    why.where = NULL;
    ssize_t told = write(c->failed[1], &why, sizeof why);
    _exit(told == sizeof why ? EXIT_FAILURE : EXIT_FAILURE + 1);
}
_Static_assert(sizeof(struct zl_error) <= PIPE_BUF, "an error comes whole");

static bool has_ended_well(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return false;
    return WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
}

static int why_failed(const struct copying *c, struct zl_error *err)
{
    struct zl_error why;
    if (read(c->failed[0], &why, sizeof why) != sizeof why)
        return zl_fail(err, ZL_ERR_SYSTEM, "copy it: a process was killed");
    why.msg[sizeof why.msg - 1] = '\0';
    return zl_fail(err, why.kind, "%s", why.msg);
}

static void close_copying(struct copying *c)
{
    for (int i = 0; i < 2; i++) {
        zl_closep(&c->pipe[i]);
        zl_closep(&c->failed[i]);
    }
}

/* The content of one folder into another, which is empty. */
static int copy_content(const char *root, int from, int to, struct zl_error *err)
{
    ZL_CLEANUP(close_copying) struct copying c = { from, to, { -1, -1 }, { -1, -1 }, NULL };
    pid_t reader = -1, writer = -1;
    if (pipe2(c.pipe, O_CLOEXEC) < 0 || pipe2(c.failed, O_CLOEXEC | O_NONBLOCK) < 0)
        return zl_fail_errno(err, "make a pipe");
    writer = begin_half(&c, root, write_volume, err);
    if (writer > 0)
        reader = begin_half(&c, root, read_image, err);
    zl_closep(&c.pipe[0]);
    zl_closep(&c.pipe[1]);
    bool wrote = writer < 0 || has_ended_well(writer),
         did_read = reader < 0 || has_ended_well(reader);
    if (writer < 0 || reader < 0)
        return -1;
    return wrote && did_read ? 0 : why_failed(&c, err);
}

/* Owner and mode, that one last: chown(2) takes set-user-ID bits away. */
static int copy_look(int from, int to, struct zl_error *err)
{
    struct stat st;
    if (fstat(from, &st) < 0 || fchown(to, st.st_uid, st.st_gid) < 0 ||
        fchmod(to, st.st_mode & 07777) < 0)
        return zl_fail_errno(err, "set owner and mode of the volume");
    return 0;
}

/* ---- volumes with a name -------------------------------------------------------------------- */

static int is_there(void *arg, const struct dirent *entry, struct zl_error *err)
{
    (void)entry;
    (void)err;
    *(bool *)arg = true;
    return 0;
}

static int look_whether_empty(int dir_fd, bool *ret, struct zl_error *err)
{
    bool any = false;
    int rc = zl_dir_each(dir_fd, "a volume", is_there, &any, err);
    *ret = !any;
    return rc;
}

struct moving {
    int from, to;
    size_t moved;
};

/* What is there already is somebody's who was faster, and stays. */
static int move_entry(void *arg, const struct dirent *entry, struct zl_error *err)
{
    struct moving *m = arg;
    const char *name = entry->d_name;
    if (renameat2(m->from, name, m->to, name, RENAME_NOREPLACE) == 0)
        m->moved++;
    else if (errno != ENOENT && errno != EEXIST)
        return zl_fail_errno(err, "move '%s' into the volume", name);
    return 0;
}

/* Step 3. Nothing to do when there is no .full-<name>. */
static int settle(const struct filling *f, const char *name, int volume, struct zl_error *err)
{
    char full[NAME_SIZE];
    (void)snprintf(full, sizeof full, ".full-%s", name);
    struct moving m = { .from = zl_open_dir(f->volumes, full, err), .to = volume };
    zl_autoclose int from = m.from;
    if (from < 0)
        return err->errnum == ENOENT ? 0 : -1;
    do { /* a list that changes while it is read may leave some out */
        m.moved = 0;
        if (zl_dir_each(from, "a volume", move_entry, &m, err) < 0)
            return -1;
    } while (m.moved);
    if (copy_look(from, volume, err) < 0)
        return -1;
    if (fsync(volume) < 0)
        return zl_fail_errno(err, "write the volume to the disk");
    return zl_remove_tree(f->volumes, full, err);
}

static bool is_named(const struct filling *f, const char *name, int fd)
{
    struct stat named, opened;
    return fstatat(f->volumes, name, &named, AT_SYMLINK_NOFOLLOW) == 0 && fstat(fd, &opened) == 0 &&
           named.st_dev == opened.st_dev && named.st_ino == opened.st_ino;
}

/* A new folder with a lock on it. *ret -1: until it was locked it looked like one that a dead
 * helper left, and the agent has removed it. */
static int try_aside(const struct filling *f, char *name, int *ret, struct zl_error *err)
{
    char id[ZL_ID_LEN + 1];
    zl_id_format(zl_id_random(), id);
    (void)snprintf(name, NAME_SIZE, ".new-%s", id);
    if (mkdirat(f->volumes, name, 0700) < 0)
        return zl_fail_errno(err, "create a folder beside the volume");
    zl_autoclose int fd = zl_open_dir(f->volumes, name, err);
    if (fd < 0 && errno != ENOENT)
        return -1;
    if (fd >= 0 && flock(fd, LOCK_EX) < 0) /* the agent has it for a rename(2) only */
        return zl_fail_errno(err, "lock a folder beside the volume");
    *ret = fd >= 0 && is_named(f, name, fd) ? zl_take_fd(&fd) : -1;
    return 0;
}

/* Step 1: made and locked; -1. name[NAME_SIZE] takes what it is called. */
static int make_aside(const struct filling *f, char *name, struct zl_error *err)
{
    int fd = -1;
    for (int tries = 0; fd < 0 && tries < ASIDE_TRIES; tries++)
        if (try_aside(f, name, &fd, err) < 0)
            return -1;
    return fd >= 0 ? fd
                   : zl_fail(err, ZL_ERR_CONFLICT,
                             "each folder made beside the volume is removed by somebody");
}

/* Step 2, unless somebody has filled it meanwhile. */
static int commit(const struct filling *f, const char *name, int volume, const char *aside,
                  int aside_fd, struct zl_error *err)
{
    char full[NAME_SIZE];
    bool empty = false;
    (void)snprintf(full, sizeof full, ".full-%s", name);
    if (syncfs(aside_fd) < 0)
        return zl_fail_errno(err, "write the volume to the disk");
    if (look_whether_empty(volume, &empty, err) < 0)
        return -1;
    if (!empty)
        return zl_remove_tree(f->volumes, aside, err);
    if (renameat2(f->volumes, aside, f->volumes, full, RENAME_NOREPLACE) < 0)
        return errno == EEXIST ? zl_remove_tree(f->volumes, aside, err)
                               : zl_fail_errno(err, "put what was copied in its place");
    return fsync(f->volumes) < 0 ? zl_fail_errno(err, "write the volume to the disk") : 0;
}

static int fill_aside(const struct filling *f, const char *name, int source, int volume,
                      struct zl_error *err)
{
    char aside[NAME_SIZE];
    zl_autoclose int fd = make_aside(f, aside, err);
    if (fd < 0)
        return -1;
    if (copy_content(f->root, source, fd, err) == 0 && copy_look(source, fd, err) == 0 &&
        commit(f, name, volume, aside, fd, err) == 0)
        return 0;
    (void)zl_remove_tree(f->volumes, aside, NULL); /* else the agent's next start does it */
    return -1;
}

static int fill_named(const struct filling *f, const struct fill *one, struct zl_error *err)
{
    bool empty = false;
    if (strchr(one->volume, '/') || *one->volume == '.' || strlen(one->volume) > NAME_SIZE - 8)
        return zl_fail(err, ZL_ERR_INVALID, "it is no name of a volume");
    zl_autoclose int volume = zl_open_dir(f->volumes, one->volume, err);
    if (volume < 0 || settle(f, one->volume, volume, err) < 0 ||
        look_whether_empty(volume, &empty, err) < 0)
        return -1;
    zl_autoclose int source = empty ? open_source(f, one->from, err) : -1;
    if (!empty || (source < 0 && err->kind == ZL_ERR_NOT_FOUND))
        return 0;
    if (source < 0 || fill_aside(f, one->volume, source, volume, err) < 0)
        return -1;
    return settle(f, one->volume, volume, err);
}

/* ---- all ------------------------------------------------------------------------------------ */

static int fill_own(const struct filling *f, const struct fill *one, struct zl_error *err)
{
    zl_autoclose int containers = zl_open_dir(f->state, "containers", err);
    zl_autoclose int to = containers < 0 || !one->container
                              ? -1
                              : zl_open_beneath(containers, one->container,
                                                O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);
    if (to < 0)
        return -1;
    zl_autoclose int source = open_source(f, one->from, err);
    if (source < 0)
        return err->kind == ZL_ERR_NOT_FOUND ? 0 : -1;
    return copy_content(f->root, source, to, err) < 0 ? -1 : copy_look(source, to, err);
}

static int fill_one(const struct filling *f, const struct fill *one, struct zl_error *err)
{
    if (one->volume)
        return fill_named(f, one, err) < 0
                   ? zl_wrap(err, "copy the image's '%s' into the volume '%s'", one->from,
                             one->volume)
                   : 0;
    return fill_own(f, one, err) < 0
               ? zl_wrap(err, "copy the image's '%s' into an anonymous volume", one->from)
               : 0;
}

int fill_volumes(const char *root, int order_fd, struct zl_error *err)
{
    struct filling f = { .state = -1, .volumes = -1, .image = -1 };
    zl_autobuf struct zl_buf text = ZL_BUF(ORDER_MAX);
    zl_autojson struct zl_json doc = { 0 };
    f.root = root;
    if (zl_read_fd(order_fd, &text, "the order", err) < 0 ||
        zl_json_parse(&doc, text.data, text.len, "the order", err) < 0 ||
        zl_json_decode(&doc, fields, &f, err) < 0 || open_image(&f, err) < 0)
        return -1;
    f.volumes = zl_open_dir(f.state, "volumes", err);
    if (f.volumes < 0)
        return -1;
    for (size_t i = 0; i < f.fills.n; i++)
        if (fill_one(&f, &f.fills.v[i], err) < 0)
            return -1;
    return 0;
}
