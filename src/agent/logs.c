// SPDX-License-Identifier: Apache-2.0
#include "agent/logs.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/dir.h"
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
    zl_autodir DIR *dir = zl_dir_open(dir_fd, ".");
    const struct dirent *d;
    while (dir && (d = readdir(dir)))
        if (belongs(d->d_name, name))
            (void)unlinkat(dir_fd, d->d_name, 0); /* it stays, as the header says */
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

/* ---- of what was removed --------------------------------------------------------------------- */

static const char removed[] = "-removed"; /* no deployment is called so */

/* The Unix time at the beginning of its name; UINT64_MAX: that is none of ours. */
static uint64_t until_of(const char *name)
{
    char *end;
    errno = 0;
    unsigned long long until = strtoull(name, &end, 10);
    return *name >= '0' && *name <= '9' && *end == '.' && !errno ? until : UINT64_MAX;
}

struct kept {
    size_t n;
    uint64_t until; /* of that which goes first */
    char first[NAME_MAX + 1];
};

static int look(int dir_fd, struct kept *ret)
{
    zl_autodir DIR *dir = zl_dir_open(dir_fd, ".");
    const struct dirent *d;
    *ret = (struct kept){ .until = UINT64_MAX };
    if (!dir)
        return -1;
    while ((d = readdir(dir))) {
        uint64_t until = until_of(d->d_name);
        if (until == UINT64_MAX)
            continue;
        ret->n++;
        if (until >= ret->until)
            continue;
        ret->until = until;
        (void)snprintf(ret->first, sizeof ret->first, "%s", d->d_name);
    }
    return 0;
}

static void sweep(int dir_fd)
{
    uint64_t now = (uint64_t)zl_wall_ms() / 1000;
    struct kept k;
    while (look(dir_fd, &k) == 0 && k.n && (k.until <= now || k.n > LOGS_KEPT_MAX))
        if (zl_remove_tree(dir_fd, k.first, NULL) < 0)
            return; /* it stays, and is tried again when the next one comes */
}

void logs_sweep(int root_fd)
{
    zl_autoclose int logs = zl_open_dir(root_fd, "logs", NULL);
    zl_autoclose int dir = logs < 0 ? -1 : zl_open_dir(logs, removed, NULL);
    if (dir >= 0)
        sweep(dir);
}

/* ENOTEMPTY, EEXIST: another one of that name was removed in the same second. */
static int move_away(int from_fd, const char *from, int to_fd, const char *what, uint64_t until)
{
    char name[NAME_MAX + 1];
    int rc;
    do {
        int n = snprintf(name, sizeof name, "%llu.%s", (unsigned long long)until++, what);
        if (n < 0 || (size_t)n >= sizeof name)
            return -1;
        rc = renameat(from_fd, from, to_fd, name);
    } while (rc < 0 && (errno == ENOTEMPTY || errno == EEXIST));
    return rc;
}

void logs_keep(int root_fd, const char *deployment, const char *service, uint64_t seconds)
{
    zl_autoclose int logs = zl_open_dir(root_fd, "logs", NULL);
    zl_autoclose int above = logs >= 0 && service ? zl_open_dir(logs, deployment, NULL) : -1;
    const char *name = service ? service : deployment;
    char what[NAME_MAX + 1];
    int from = service ? above : logs;
    if (from < 0 || faccessat(from, name, F_OK, 0) < 0)
        return; /* nothing was written */
    (void)snprintf(what, sizeof what, "%s%s%s", deployment, service ? "." : "",
                   service ? service : "");
    uint64_t now = (uint64_t)zl_wall_ms() / 1000;
    zl_autoclose int dir = seconds ? zl_mkdir_p(logs, removed, 0755, NULL) : -1;
    if (!seconds)
        (void)zl_remove_tree(from, name, NULL);
    else if (dir >= 0)
        (void)move_away(from, name, dir, what,
                        seconds < UINT64_MAX / 2 - now ? now + seconds : UINT64_MAX / 2);
    if (service)
        (void)unlinkat(logs, deployment, AT_REMOVEDIR); /* others are in it */
    if (dir >= 0)
        sweep(dir);
}
