// SPDX-License-Identifier: Apache-2.0
#include "oci/devices.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/fd.h"

enum { DEVICES_MAX = 4096, DEPTH_MAX = 8 };

/* As upstream: who got the device may use it, whatever its owner on the host is. */
enum { GIVEN_MODE = 0666 };

static bool is_listed(const struct oci_devices *d, const char *path)
{
    for (size_t i = 0; i < d->n; i++)
        if (strcmp(d->v[i].path, path) == 0)
            return true;
    return false;
}

static int append(struct oci_devices *d, const char *path, const struct stat *st,
                  const char *access, struct zl_error *err)
{
    if (d->n == DEVICES_MAX)
        return zl_fail(err, ZL_ERR_INVALID, "devices: more than %d", DEVICES_MAX);
    struct oci_host_device *v = reallocarray(d->v, d->n + 1, sizeof *v);
    if (!v)
        return zl_fail_errno(err, "devices");
    d->v = v;
    struct oci_host_device *to = &d->v[d->n];
    *to = (struct oci_host_device){ .path = strdup(path),
                                    .type = S_ISBLK(st->st_mode) ? 'b' : 'c',
                                    .major = major(st->st_rdev),
                                    .minor = minor(st->st_rdev),
                                    .mode = st->st_mode & 07777,
                                    .uid = st->st_uid,
                                    .gid = st->st_gid };
    if (!to->path)
        return zl_fail_errno(err, "devices");
    (void)strncpy(to->access, access, sizeof to->access - 1);
    d->n++;
    return 0;
}

void oci_devices_done(struct oci_devices *d)
{
    for (size_t i = 0; i < d->n; i++)
        free(d->v[i].path);
    free(d->v);
    *d = (struct oci_devices){ 0 };
}

/* ---- what is there ------------------------------------------------------------------------ */

/* What of /dev is not the host's hardware: made for each container, or of the host alone. */
static bool is_of_the_host_alone(const char *path)
{
    static const char *const names[] = { "pts",  "shm",   "fd",          "mqueue",  "hugepages",
                                         ".lxc", ".udev", ".lxd-mounts", "console", "ptmx" };
    for (size_t i = 0; i < ZL_ARRAY_LEN(names); i++)
        if (strcmp(path, names[i]) == 0)
            return true;
    return false;
}

struct walk {
    struct oci_devices *to;
    const char *access;
    bool as_given;   /* with GIVEN_MODE, for root; else as on the host */
    bool whole_host; /* is_of_the_host_alone() counts at the top */
    unsigned depth;
    struct zl_error *err;
};

static int walk_dir(struct walk *w, int dir_fd, const char *path);

static int walk_entry(struct walk *w, int dir_fd, const char *path, const char *name)
{
    zl_autofree char *inside = NULL;
    struct stat st;
    if (asprintf(&inside, "%s/%s", path, name) < 0) {
        inside = NULL;
        return zl_fail_errno(w->err, "devices");
    }
    /* What vanishes meanwhile, as hardware does, was not there. Links are the image's business. */
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    if (S_ISDIR(st.st_mode)) {
        zl_autoclose int sub =
            openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        w->depth++;
        int rc = sub >= 0 && w->depth < DEPTH_MAX ? walk_dir(w, sub, inside) : 0;
        w->depth--;
        return rc;
    }
    if ((!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode)) || is_listed(w->to, inside))
        return 0;
    if (w->as_given) {
        st.st_mode = (st.st_mode & S_IFMT) | GIVEN_MODE;
        st.st_uid = st.st_gid = 0;
    }
    return append(w->to, inside, &st, w->access, w->err);
}

static int compare(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* In order, so that the same host gives the same document. */
static int walk_dir(struct walk *w, int dir_fd, const char *path)
{
    struct dirent **names;
    int n = scandirat(dir_fd, ".", &names, NULL, compare), rc = 0;
    if (n < 0)
        return zl_fail_errno(w->err, "list the devices in '%s'", path);
    for (int i = 0; i < n; i++) {
        const char *name = names[i]->d_name;
        bool skip = strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
                    (w->whole_host && w->depth == 0 && is_of_the_host_alone(name));
        if (rc == 0 && !skip)
            rc = walk_entry(w, dir_fd, path, name);
        free(names[i]);
    }
    free(names);
    return rc;
}

int oci_devices_add(struct oci_devices *d, int host_fd, const char *host_path, const char *path,
                    const char *access, struct zl_error *err)
{
    struct stat st;
    struct walk w = { .to = d, .access = access, .as_given = true, .err = err };
    zl_autoclose int fd = zl_open_in_root(host_fd, host_path, O_PATH, err);
    if (fd < 0 || fstat(fd, &st) < 0) {
        if (err && errno == ENOENT)
            return zl_fail(err, ZL_ERR_NOT_FOUND, "device '%s': the host has none", host_path);
        return fd < 0 ? zl_wrap(err, "device") : zl_fail_errno(err, "device '%s'", host_path);
    }
    if (S_ISDIR(st.st_mode)) {
        zl_autoclose int dir = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return dir < 0 ? zl_fail_errno(err, "device '%s'", host_path) : walk_dir(&w, dir, path);
    }
    if (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode))
        return zl_fail(err, ZL_ERR_INVALID, "device '%s': it is none", host_path);
    st.st_mode = (st.st_mode & S_IFMT) | GIVEN_MODE;
    st.st_uid = st.st_gid = 0;
    return is_listed(d, path) ? 0 : append(d, path, &st, access, err);
}

/* ---- what is asked for -------------------------------------------------------------------- */

static int add_host(struct oci_devices *d, int host_fd, struct zl_error *err)
{
    struct walk w = { .to = d, .access = "rwm", .whole_host = true, .err = err };
    zl_autoclose int dev = zl_open_in_root(host_fd, "/dev", O_RDONLY | O_DIRECTORY, err);
    return dev < 0 ? -1 : walk_dir(&w, dev, "/dev");
}

int oci_devices_find(const struct spec_service *s, int host_fd, struct oci_devices *ret,
                     struct zl_error *err)
{
    for (size_t i = 0; i < s->n_devices; i++) {
        const struct spec_device *d = &s->devices[i];
        char access[4];
        size_t n = 0;
        if (d->read)
            access[n++] = 'r';
        if (d->write)
            access[n++] = 'w';
        if (d->mknod)
            access[n++] = 'm';
        access[n] = '\0';
        if (oci_devices_add(ret, host_fd, d->path, d->path, access, err) == 0)
            continue;
        return err && err->kind == ZL_ERR_NOT_FOUND ? zl_wrap(err, "E-DEVICE-ABSENT") : -1;
    }
    return s->privileged ? add_host(ret, host_fd, err) : 0;
}
