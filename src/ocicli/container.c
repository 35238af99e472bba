// SPDX-License-Identifier: Apache-2.0
#include "ocicli/container.h"

#include <dirent.h>
#include <fcntl.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "ocicli/systemd/unit.h"
#include "sandbox/kernel.h"

void container_done(struct container *c)
{
    int saved = errno;

    carry_free(c->carry);
    zl_buf_done(&c->plan_bytes);
    zl_closep(&c->root_fd);
    zl_closep(&c->dir_fd);
    errno = saved;
}

/* As runc: letters, digits and _ + - . */
static int check_id(const char *id, struct zl_error *err)
{
    size_t n = strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.");

    if (!n || id[n] || n > 1024 || strcmp(id, ".") == 0 || strcmp(id, "..") == 0)
        return zl_fail(err, ZL_ERR_INVALID,
                       "container id '%s': only letters, digits and _ + - . are allowed", id);
    return 0;
}

static int begin(const struct cli *cli, const char *id, struct container *c, struct zl_error *err)
{
    *c = (struct container){
        .id = id, .root_fd = -1, .dir_fd = -1, .rootless = cli_is_rootless(cli)
    };
    zl_buf_init(&c->plan_bytes, PLAN_MAX);
    if (check_id(id, err) < 0)
        return -1;
    c->root_fd = open(cli->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return 0;
}

/* ---- who is making it ---- */

static int lock(struct container *c, short type)
{
    struct flock whole = { .l_type = type, .l_whence = SEEK_SET };

    return fcntl(c->dir_fd, F_SETLK, &whole);
}

/* The pid of who makes it; 0: nobody, or we. */
static pid_t maker(struct container *c)
{
    struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

    if (fcntl(c->dir_fd, F_GETLK, &whole) < 0 || whole.l_type == F_UNLCK)
        return 0;
    return whole.l_pid;
}

int container_new(const struct cli *cli, const char *id, struct container *c, struct zl_error *err)
{
    if (begin(cli, id, c, err) < 0)
        return -1;
    if (c->root_fd < 0)
        c->root_fd = zl_mkdir_p(AT_FDCWD, cli->root, 0700, err);
    if (c->root_fd < 0)
        return -1;
    if (mkdirat(c->root_fd, c->id, 0700) < 0)
        return errno == EEXIST
                   ? zl_fail(err, ZL_ERR_EXISTS, "container with id '%s' already exists", c->id)
                   : zl_fail_errno(err, "make '%s/%s'", cli->root, c->id);
    c->dir_fd = zl_open_dir(c->root_fd, c->id, err);
    if (c->dir_fd >= 0 && lock(c, F_RDLCK) == 0)
        return 0;
    (void)zl_fail_errno(err, "lock '%s/%s'", cli->root, c->id);
    (void)unlinkat(c->root_fd, c->id, AT_REMOVEDIR); /* it is empty; the id is free again */
    return -1;
}

void container_made(struct container *c)
{
    (void)lock(c, F_UNLCK); /* a lock of ours that goes with us at the latest */
}

static int open_existing(const struct cli *cli, const char *id, struct container *c,
                         struct zl_error *err)
{
    if (begin(cli, id, c, err) < 0)
        return -1;
    c->dir_fd = c->root_fd < 0 ? -1 : openat(c->root_fd, c->id, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (c->dir_fd < 0)
        return errno == ENOENT
                   ? zl_fail(err, ZL_ERR_NOT_FOUND, "container '%s' does not exist", c->id)
                   : zl_fail_errno(err, "open '%s/%s'", cli->root, c->id);
    return 0;
}

/* ---- plan and configuration ---- */

static bool there(struct container *c, const char *name)
{
    return faccessat(c->dir_fd, name, F_OK, 0) == 0;
}

static int carry_on(struct container *c, struct zl_error *err)
{
    if (plan_check(c->plan_bytes.data, c->plan_bytes.len, &c->plan, err) < 0)
        return -1;
    return carry_new(c->plan, NULL, 0, &c->carry, err);
}

int container_plan(struct container *c, const struct oci_config *config,
                   const struct zl_buf *config_text, const struct plan_options *how,
                   struct zl_error *err)
{
    if (plan_build(config, how, &c->plan_bytes, err) < 0 || carry_on(c, err) < 0 ||
        zl_write_atomic(c->dir_fd, "config.json", config_text->data, config_text->len, 0600, false,
                        err) < 0)
        return -1;
    return zl_write_atomic(c->dir_fd, "plan", c->plan_bytes.data, c->plan_bytes.len, 0600, false,
                           err);
}

int container_load_plan(struct container *c, struct zl_error *err)
{
    struct zl_error why = { 0 };

    if (c->carry)
        return 0;
    if (there(c, "plan") && zl_read_file(c->dir_fd, "plan", &c->plan_bytes, err) < 0)
        return -1;
    if (carry_on(c, &why) == 0)
        return 0;
    if (why.kind != ZL_ERR_PROTOCOL && why.kind != ZL_ERR_UNSUPPORTED) { /* it is a good one */
        if (err)
            *err = why;
        return -1;
    }
    c->plan = NULL;
    c->replanned = true;
    return container_replan(c, err) < 0 ? -1 : carry_on(c, err);
}

int container_config(struct container *c, struct oci_config **ret, struct zl_error *err)
{
    if (oci_config_load(c->dir_fd, ret, err) < 0)
        return zl_wrap(err, "container '%s'", c->id);
    return 0;
}

/* Of one without a mount namespace of its own: the mount would outlive it. In a namespace that it
 * joined it goes with the folder. */
static int unmount_root(const struct container *c, struct zl_error *err)
{
    char path[48];

    if (!c->plan || !c->plan->root_mount)
        return 0;
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d/" CONTAINER_ROOT, c->dir_fd);
    return umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL && errno != ENOENT
               ? zl_fail_errno(err, "unmount the root of container '%s'", c->id)
               : 0;
}

int container_hold(struct container *c, bool alone, struct zl_error *err)
{
    struct stat mine, named;

    while (flock(c->dir_fd, alone ? LOCK_EX : LOCK_SH) < 0)
        if (errno != EINTR)
            return zl_fail_errno(err, "lock container '%s'", c->id);
    if (fstat(c->dir_fd, &mine) < 0)
        return zl_fail_errno(err, "look at container '%s'", c->id);
    if (fstatat(c->root_fd, c->id, &named, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : zl_fail_errno(err, "look at container '%s'", c->id);
    return mine.st_dev == named.st_dev && mine.st_ino == named.st_ino;
}

int container_remove(const struct cli *cli, struct container *c, struct zl_error *err)
{
    int ours = container_hold(c, true, err);

    if (ours <= 0) /* somebody was quicker; what has its name now is another's */
        return ours;
    if (unit_stop(cli, c, err) < 0)
        return -1;
    if (c->carry && carry_remove(c->carry, err) < 0)
        return -1;
    if (unmount_root(c, err) < 0)
        return -1;
    return zl_remove_tree(c->root_fd, c->id, err);
}

/* ---- its state ---- */

/* Of one with a living process: created or running, unless its processes stand still. */
static int status_of_living(struct container *c, enum oci_status *ret, struct zl_error *err)
{
    bool frozen = false;
    int closed;

    if (container_load_plan(c, err) < 0)
        return -1;
    if (c->plan->cgroups.n && carry_is_frozen(c->carry, &frozen, err) < 0)
        return -1;
    closed = gate_is_closed(c, err);
    if (closed < 0)
        return -1;
    if (frozen)
        *ret = OCI_PAUSED;
    else
        *ret = closed ? OCI_CREATED : OCI_RUNNING;
    return 0;
}

static int find_status(struct container *c, struct oci_state *state, enum oci_status *ret,
                       struct zl_error *err)
{
    pid_t by = maker(c);

    if (!there(c, "state.json")) {
        *state = (struct oci_state){ .id = c->id };
        *ret = by ? OCI_CREATING : OCI_STOPPED;
        return 0;
    }
    if (oci_state_read(c->dir_fd, state, err) < 0)
        return -1;
    if (!oci_state_alive(state))
        *ret = OCI_STOPPED;
    else if (by)
        *ret = OCI_CREATING;
    else
        return status_of_living(c, ret, err);
    return 0;
}

int container_pidfd(const struct oci_state *state, struct zl_error *err)
{
    int pidfd = state->pid > 0 ? k_pidfd_open((pid_t)state->pid) : -1;

    if (pidfd >= 0 && oci_state_alive(state)) /* pinned first, then found to be the one */
        return pidfd;
    zl_closep(&pidfd);
    return zl_fail(err, ZL_ERR_CONFLICT, "container not running");
}

void found_done(struct found *f)
{
    int saved = errno;

    oci_state_done(&f->state);
    container_done(&f->container);
    errno = saved;
}

int container_find(const struct cli *cli, const char *id, struct found *ret, struct zl_error *err)
{
    *ret = (struct found){ .container = CONTAINER_NONE };
    if (open_existing(cli, id, &ret->container, err) < 0)
        return -1;
    return find_status(&ret->container, &ret->state, &ret->status, err);
}

int found_check(const struct found *f, const char *verb, unsigned states, struct zl_error *err)
{
    if (states & FOUND_IN(f->status))
        return 0;
    return zl_fail(err, ZL_ERR_CONFLICT, "cannot %s container '%s': it is %s", verb,
                   f->container.id, oci_status_name(f->status));
}

/* ---- all of them ---- */

struct choice {
    const regex_t *regex; /* NULL: all */
    container_fn fn;
    void *arg;
};

static int each_of(struct cli *cli, DIR *d, const struct choice *choice, struct zl_error *err)
{
    const struct dirent *e;

    while ((errno = 0, e = readdir(d))) {
        if (e->d_name[0] == '.' || e->d_type != DT_DIR)
            continue;
        if (choice->regex && regexec(choice->regex, e->d_name, 0, NULL, 0) != 0)
            continue;
        if (choice->fn(cli, e->d_name, choice->arg, err) < 0)
            return -1;
    }
    return errno ? zl_fail_errno(err, "list '%s'", cli->root) : 0;
}

static int each(struct cli *cli, const struct choice *choice, struct zl_error *err)
{
    DIR *d = opendir(cli->root);
    int rc;

    if (!d)
        return errno == ENOENT ? 0 : zl_fail_errno(err, "list '%s'", cli->root);
    rc = each_of(cli, d, choice, err);
    (void)closedir(d);
    return rc;
}

int containers_each(struct cli *cli, container_fn fn, void *arg, struct zl_error *err)
{
    struct choice all = { .fn = fn, .arg = arg };

    return each(cli, &all, err);
}

int containers_matching(struct cli *cli, const char *regex, container_fn fn, void *arg,
                        struct zl_error *err)
{
    regex_t compiled;
    struct choice some = { .regex = &compiled, .fn = fn, .arg = arg };
    int rc = regcomp(&compiled, regex, REG_EXTENDED | REG_NOSUB);
    char why[256];

    if (rc != 0) {
        (void)regerror(rc, &compiled, why, sizeof why);
        return zl_fail(err, ZL_ERR_INVALID, "'%s' is no regular expression: %s", regex, why);
    }
    rc = each(cli, &some, err);
    regfree(&compiled);
    return rc;
}
