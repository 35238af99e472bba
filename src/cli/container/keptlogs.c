// SPDX-License-Identifier: Apache-2.0
/*
 * Logs of what was removed, which lie below the root folder for their retention time
 * (docs/operations.md, "Disk"). The agent knows nothing of them.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/container/logs.h"
#include "cli/output.h"

/* What is asked for: "shop/web", or "box" of a container that belonged to no deployment. */
struct wanted {
    const char *deployment; /* of deployment_len bytes */
    size_t deployment_len;
    const char *service;
};

static bool parse(const char *what, struct wanted *ret)
{
    const char *slash = strchr(what, '/');
    *ret = (struct wanted){ "-", 1, what };
    if (slash)
        *ret = (struct wanted){ what, (size_t)(slash - what), slash + 1 };
    return ret->deployment_len && *ret->service && *ret->service != '.' &&
           !strchr(ret->service, '/');
}

/* "<until>.shop", "<until>.-.box" */
static bool is_of(const struct wanted *w, const char *name, unsigned long long *ret_until)
{
    char *end;
    errno = 0;
    *ret_until = strtoull(name, &end, 10);
    if (errno || *end++ != '.' || strncmp(end, w->deployment, w->deployment_len) != 0)
        return false;
    end += w->deployment_len;
    return *w->deployment == '-' ? *end == '.' && strcmp(end + 1, w->service) == 0 : !*end;
}

/* The folder of that which was removed last; "" when there is none. */
static void find_newest(const char *removed, const struct wanted *w, char newest[NAME_MAX + 1])
{
    DIR *d = opendir(removed);
    const struct dirent *e;
    unsigned long long until, last = 0;
    newest[0] = '\0';
    while (d && (e = readdir(d)))
        if (is_of(w, e->d_name, &until) && until >= last) {
            last = until;
            (void)snprintf(newest, NAME_MAX + 1, "%s", e->d_name);
        }
    if (d)
        (void)closedir(d);
}

/* "default-1.log" is of replica 1, "job-2k7q….log" of an execution. */
static json_t *describe(const char *folder, const struct wanted *w, const char *file)
{
    const char *dash = strrchr(file, '-');
    bool once = strncmp(file, "job-", 4) == 0 || *w->deployment == '-';
    json_int_t index = once ? 0 : strtoll(dash + 1, NULL, 10);
    return json_pack("{s:s%, s:s%, s:s, s:I, s:o}", "name", file, strlen(file) - strlen(".log"),
                     "deployment", w->deployment, w->deployment_len, "service", w->service, "index",
                     index, "path", json_sprintf("%s/%s", folder, file));
}

static bool is_log(const char *name)
{
    size_t n = strlen(name), m = strlen(".log");
    return n > m && strcmp(name + n - m, ".log") == 0 && strrchr(name, '-');
}

/* Of a job the newest execution comes first, which is the one that is meant. */
static json_t *list(const char *folder, const struct wanted *w)
{
    json_t *found = json_array();
    DIR *d = opendir(folder);
    const struct dirent *e;
    int64_t newest = -1;
    struct stat st;
    while (d && (e = readdir(d))) {
        if (!is_log(e->d_name) || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        size_t at = st.st_mtime > newest ? 0 : json_array_size(found);
        (void)json_array_insert_new(found, at, describe(folder, w, e->d_name));
        newest = st.st_mtime > newest ? st.st_mtime : newest;
    }
    if (d)
        (void)closedir(d);
    return found;
}

int logs_kept(const struct cli *cli, const char *what, json_t **ret)
{
    char removed[PATH_MAX], newest[NAME_MAX + 1];
    zl_autobuf struct zl_buf folder = ZL_BUF(2 * PATH_MAX);
    struct wanted w;
    if (!parse(what, &w))
        return -1;
    (void)snprintf(removed, sizeof removed, "%s/logs/-removed", cli->root_dir);
    /* what was removed this moment may lie where it was written still */
    zl_buf_addf(&folder, "%s/logs/%.*s/%s", cli->root_dir, (int)w.deployment_len, w.deployment,
                w.service);
    json_t *found = folder.failed ? NULL : list(folder.data, &w);
    find_newest(removed, &w, newest);
    if (json_array_size(found) == 0 && newest[0]) {
        json_decref(found);
        zl_buf_reset(&folder);
        zl_buf_addf(&folder, "%s/%s", removed, newest);
        if (*w.deployment != '-')
            zl_buf_addf(&folder, "/%s", w.service);
        found = folder.failed ? NULL : list(folder.data, &w);
    }
    if (json_array_size(found) == 0) {
        json_decref(found);
        return -1;
    }
    *ret = found;
    return 0;
}
