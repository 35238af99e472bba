// SPDX-License-Identifier: Apache-2.0
#include "ocicli/container.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"

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

static int begin(const struct options *o, struct container *c, struct zl_error *err)
{
    *c = (struct container){ .id = o->words[0], .root_fd = -1, .dir_fd = -1 };
    zl_buf_init(&c->plan_bytes, PLAN_MAX);
    if (check_id(c->id, err) < 0)
        return -1;
    c->root_fd = open(o->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return 0;
}

int container_new(const struct options *o, struct container *c, struct zl_error *err)
{
    if (begin(o, c, err) < 0)
        return -1;
    if (c->root_fd < 0)
        c->root_fd = zl_mkdir_p(AT_FDCWD, o->root, 0700, err);
    if (c->root_fd < 0)
        return -1;
    if (mkdirat(c->root_fd, c->id, 0700) < 0)
        return errno == EEXIST
                   ? zl_fail(err, ZL_ERR_EXISTS, "container with id '%s' already exists", c->id)
                   : zl_fail_errno(err, "make '%s/%s'", o->root, c->id);
    c->dir_fd = zl_open_dir(c->root_fd, c->id, err);
    return c->dir_fd < 0 ? -1 : 0;
}

int container_open(const struct options *o, struct container *c, struct zl_error *err)
{
    if (begin(o, c, err) < 0)
        return -1;
    c->dir_fd = c->root_fd < 0 ? -1 : openat(c->root_fd, c->id, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (c->dir_fd < 0)
        return errno == ENOENT
                   ? zl_fail(err, ZL_ERR_NOT_FOUND, "container '%s' does not exist", c->id)
                   : zl_fail_errno(err, "open '%s/%s'", o->root, c->id);
    return 0;
}

static int carry_on(struct container *c, struct zl_error *err)
{
    if (plan_check(c->plan_bytes.data, c->plan_bytes.len, &c->plan, err) < 0)
        return -1;
    return carry_new(c->plan, NULL, 0, &c->carry, err);
}

int container_plan(struct container *c, const struct oci_config *config, const char *bundle,
                   const struct options *o, struct zl_error *err)
{
    struct plan_options how = { .id = c->id, .bundle = bundle, .no_pivot = o->no_pivot };

    if (plan_build(config, &how, &c->plan_bytes, err) < 0 || carry_on(c, err) < 0)
        return -1;
    return zl_write_atomic(c->dir_fd, "plan", c->plan_bytes.data, c->plan_bytes.len, 0600, false,
                           err);
}

int container_load_plan(struct container *c, struct zl_error *err)
{
    if (zl_read_file(c->dir_fd, "plan", &c->plan_bytes, err) < 0)
        return -1;
    return carry_on(c, err);
}

int container_remove(struct container *c, struct zl_error *err)
{
    if (c->carry && carry_remove(c->carry, err) < 0)
        return -1;
    return zl_remove_tree(c->root_fd, c->id, err);
}

int container_status(struct container *c, struct oci_state *state, enum oci_status *ret,
                     struct zl_error *err)
{
    struct stat st;

    if (fstatat(c->dir_fd, "state.json", &st, 0) < 0 && errno == ENOENT) {
        *state = (struct oci_state){ .id = c->id };
        *ret = OCI_STOPPED;
        return 0;
    }
    if (oci_state_read(c->dir_fd, state, err) < 0)
        return -1;
    if (!oci_state_alive(state))
        *ret = OCI_STOPPED;
    else
        *ret = fstatat(c->dir_fd, "gate", &st, 0) == 0 ? OCI_CREATED : OCI_RUNNING;
    return 0;
}
