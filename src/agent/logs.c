// SPDX-License-Identifier: Apache-2.0
#include "agent/logs.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

#include "base/fd.h"
#include "runtime/native.h"

enum { PATH_LIMIT = 1024 };

/* name itself, and name followed by a dot: rotated files, and their indices */
static bool belongs(const char *file, const char *name)
{
    size_t n = strlen(name);
    return strncmp(file, name, n) == 0 && (file[n] == '\0' || file[n] == '.');
}

static void remove_files(int dir_fd, const char *name)
{
    int copy = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
    const struct dirent *d;
    if (!dir) {
        zl_closep(&copy);
        return;
    }
    while ((d = readdir(dir)))
        if (belongs(d->d_name, name))
            (void)unlinkat(dir_fd, d->d_name, 0); /* it stays, as the header says */
    (void)closedir(dir);
}

void logs_remove(int root_fd, const struct inst_label *label)
{
    zl_autobuf struct zl_buf path = ZL_BUF(PATH_LIMIT);
    native_log_path(".", label, &path);
    char *name = strrchr(path.data, '/');
    if (zl_buf_check(&path, "path", NULL) < 0 || !name)
        return;
    *name++ = '\0';
    zl_autoclose int dir = zl_open_dir(root_fd, path.data, NULL);
    if (dir < 0)
        return; /* nothing was written */
    remove_files(dir, name);
    /* The service's directory, then the deployment's: only empty ones go. */
    char *parent = strrchr(path.data, '/');
    if (unlinkat(root_fd, path.data, AT_REMOVEDIR) == 0 && parent) {
        *parent = '\0';
        (void)unlinkat(root_fd, path.data, AT_REMOVEDIR); /* others are in it */
    }
}

void logs_remove_deployment(int root_fd, const char *deployment)
{
    zl_autoclose int logs = zl_open_dir(root_fd, "logs", NULL);
    if (logs >= 0)
        (void)zl_remove_tree(logs, deployment, NULL); /* what cannot be removed stays */
}
