// SPDX-License-Identifier: Apache-2.0
#include "sandbox/plan/layout.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>

#include "base/fd.h"

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct cgroup_hierarchy *)a)->name,
                  ((const struct cgroup_hierarchy *)b)->name);
}

/* One entry of a tmpfs that holds hierarchies: a mount, a link to one, or nothing to us. A failure
 * is none of the three: the container would live without the limits or the view that it was given.
 */
static int add_entry(struct cgroup_layout *l, int root_fd, const struct dirent *e)
{
    struct cgroup_hierarchy *h = &l->v[l->n];
    struct statfs fs;
    zl_autoclose int fd = -1;
    ssize_t n;

    if (e->d_name[0] == '.' || l->n == LAYOUT_MAX || strlen(e->d_name) >= sizeof h->name)
        return 0;
    *h = (struct cgroup_hierarchy){ .type = "cgroup" };
    memcpy(h->name, e->d_name, strlen(e->d_name) + 1);
    n = e->d_type == DT_LNK ? readlinkat(root_fd, e->d_name, h->link_to, sizeof h->link_to - 1) : 0;
    if (n > 0)
        l->n++;
    if (n)
        return n < 0 ? -1 : 0;
    fd = openat(root_fd, e->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstatfs(fd, &fs) < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : -1;
    if ((unsigned long)fs.f_type == CGROUP2_SUPER_MAGIC)
        memcpy(h->type, "cgroup2", 8);
    else if ((unsigned long)fs.f_type != CGROUP_SUPER_MAGIC)
        return 0;
    l->n++;
    return 0;
}

/* Consumes fd, a tmpfs; also on failure. */
static int add_entries(struct cgroup_layout *l, int fd, struct zl_error *err)
{
    DIR *d = fdopendir(fd);
    const struct dirent *e;
    int rc = 0;

    if (!d) {
        (void)zl_fail_errno(err, "read '%s'", l->root);
        zl_closep(&fd);
        return -1;
    }
    while (rc == 0 && (errno = 0, e = readdir(d)))
        if (add_entry(l, fd, e) < 0)
            rc = zl_fail_errno(err, "look at '%s/%s'", l->root, e->d_name);
    if (rc == 0 && errno)
        rc = zl_fail_errno(err, "read '%s'", l->root);
    (void)closedir(d);
    return rc;
}

int cgroup_layout_probe(const char *root, struct cgroup_layout *ret, struct zl_error *err)
{
    struct cgroup_layout l = { .mode = CGROUP_NONE };
    zl_autoclose int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct statfs fs;

    (void)snprintf(l.root, sizeof l.root, "%s", root); /* ours: it fits */
    if (fd < 0 && errno == ENOENT) {
        *ret = l;
        return 0; /* no cgroups: limits will be refused by name */
    }
    if (fd < 0 || fstatfs(fd, &fs) < 0)
        return zl_fail_errno(err, "look for cgroups at '%s'", root);
    if ((unsigned long)fs.f_type == CGROUP2_SUPER_MAGIC) {
        l.mode = CGROUP_V2;
    } else {
        if (add_entries(&l, zl_take_fd(&fd), err) < 0)
            return -1;
        qsort(l.v, l.n, sizeof *l.v, compare); /* the same plan for the same host */
        l.mode = l.n ? CGROUP_V1 : CGROUP_NONE;
    }
    *ret = l;
    return 0;
}

const char *cgroup_layout_folder(const struct cgroup_layout *l, const char *controller)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->v[i].name, controller) == 0)
            return l->v[i].link_to[0] ? l->v[i].link_to : l->v[i].name;
    return NULL;
}

/* Read when it is first asked for: a start that limits nothing unusual does not. */
bool cgroup_layout_v2_has(const struct cgroup_layout *l, const char *controller)
{
    zl_autobuf struct zl_buf text = ZL_BUF(4096);
    size_t n = strlen(controller);
    char path[128];

    (void)snprintf(path, sizeof path, "%s%s/cgroup.controllers", l->root,
                   l->mode == CGROUP_V2 ? "" : "/unified");
    if (zl_read_file(AT_FDCWD, path, &text, NULL) < 0)
        return false;
    for (const char *at = text.data; *at; at += strcspn(at, " \n"), at += *at != 0)
        if (strcspn(at, " \n") == n && memcmp(at, controller, n) == 0)
            return true;
    return false;
}
