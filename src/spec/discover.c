// SPDX-License-Identifier: Apache-2.0
/* Finding the deployment file of a directory: docs/spec.md, "Finding the file". */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "spec/spec.h"

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

static bool is_candidate(const char *name)
{
    return ends_with(name, ".zlayer.yml") || ends_with(name, ".zlayer.yaml") ||
           (strncmp(name, "zlayer.", 7) == 0 &&
            (ends_with(name, ".yml") || ends_with(name, ".yaml")));
}

static int only_candidates(const struct dirent *d)
{
    return is_candidate(d->d_name); /* the file type is looked at later: it may be unknown here */
}

static char *joined(const char *dir, const char *name)
{
    char *path = NULL;
    return asprintf(&path, "%s%s%s", dir ? dir : "", dir ? "/" : "", name) < 0 ? NULL : path;
}

static bool is_regular(int dir_fd, const char *name)
{
    struct stat st;
    return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

struct found {
    struct dirent **v;
    int n;
};

static void found_done(struct found *f)
{
    for (int i = 0; i < f->n; i++)
        free(f->v[i]);
    free(f->v);
}

static int several(const struct found *f, const char *dir, struct zl_error *err)
{
    zl_autobuf struct zl_buf names = ZL_BUF(700);
    for (int i = 0; i < f->n; i++)
        zl_buf_addf(&names, "%s%s", i ? ", " : "", f->v[i]->d_name);
    return zl_fail(err, ZL_ERR_INVALID,
                   "E-SPEC-AMBIGUOUS: several deployment files in '%s': %s; name one of them",
                   dir ? dir : ".", names.data);
}

/* One of the names that win over all others. */
static const char *preferred(int dir_fd)
{
    static const char *const names[] = { ".zlayer.yml", ".zlayer.yaml", "zlayer.yml",
                                         "zlayer.yaml" };
    for (size_t i = 0; i < ZL_ARRAY_LEN(names); i++) {
        if (faccessat(dir_fd, names[i], F_OK, 0) == 0)
            return names[i];
    }
    return NULL;
}

/* The regular files that may be meant, sorted. */
static int find_candidates(int dir_fd, struct found *f)
{
    int n = scandirat(dir_fd, ".", &f->v, only_candidates, alphasort);
    for (int i = 0; i < n; i++) {
        if (is_regular(dir_fd, f->v[i]->d_name))
            f->v[f->n++] = f->v[i];
        else
            free(f->v[i]);
    }
    return n < 0 ? -1 : 0;
}

int spec_discover(const char *dir, char **ret, struct zl_error *err)
{
    ZL_CLEANUP(found_done) struct found found = { 0 };
    const char *shown = dir ? dir : ".";
    zl_autoclose int dir_fd = zl_open_dir(AT_FDCWD, shown, err);
    if (dir_fd < 0)
        return zl_wrap(err, "look for a deployment file");

    const char *name = preferred(dir_fd);
    if (!name && find_candidates(dir_fd, &found) < 0)
        return zl_fail_errno(err, "look for a deployment file in '%s'", shown);
    if (found.n > 1)
        return several(&found, dir, err);
    if (!name && found.n)
        name = found.v[0]->d_name;
    if (!name)
        return zl_fail(err, ZL_ERR_NOT_FOUND,
                       "E-SPEC-NOT-FOUND: no deployment file in '%s'; create <name>.zlayer.yml or "
                       "name a path",
                       shown);
    *ret = joined(dir, name);
    return *ret ? 0 : zl_fail_errno(err, "look for a deployment file");
}
