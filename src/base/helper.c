// SPDX-License-Identifier: Apache-2.0
#include "base/helper.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#ifndef ZL_LIBEXECDIR
#define ZL_LIBEXECDIR "/usr/local/libexec/zlayer"
#endif

/* In a build tree every program lies in the folder of its source. */
static const struct {
    const char *name, *folder;
} in_build_tree[] = {
    { "zlayer", "cli" },        { "zlayerd", "agent" },    { "zlayer-fetch", "fetch" },
    { "zlayer-oci", "ocicli" }, { "zlayer-shim", "shim" }, { "zlayer-init", "shim" },
    { "zlayer-wasm", "wasm" },  { "zlayer-sd", "sd" },
};

static const char *build_folder(const char *name)
{
    for (size_t i = 0; i < ZL_ARRAY_LEN(in_build_tree); i++)
        if (strcmp(in_build_tree[i].name, name) == 0)
            return in_build_tree[i].folder;
    return ".";
}

/* The directory of a file, without a slash at its end; "" when it is not known. */
static void directory_of(const char *file, char *out, size_t size)
{
    const char *slash = strrchr(file, '/');
    int n = snprintf(out, size, "%.*s", slash ? (int)(slash - file) : 0, file);

    if (n < 0 || (size_t)n >= size)
        out[0] = '\0';
}

/* 1 it is, 0 there is none, or nobody may execute it, -1 and errno: nobody can tell. */
static int is_program(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == EACCES ? 0 : -1;
    if (!S_ISREG(st.st_mode))
        return 0;
    return access(path, X_OK) == 0 ? 1 : errno == EACCES ? 0 : -1;
}

int zl_helper_path_from(const char *self, const char *name, char **ret, struct zl_error *err)
{
    char own[PATH_MAX], path[2 * PATH_MAX];
    const char *told = getenv("ZLAYER_LIBEXEC");
    directory_of(self, own, sizeof own);
    const struct {
        const char *dir, *folder;
    } places[] = {
        { told ? told : "", "" },
        { own, "" },
        { ZL_LIBEXECDIR, "" },
        { own, build_folder(name) },
    };

    for (size_t i = 0; i < ZL_ARRAY_LEN(places); i++) {
        const char *folder = places[i].folder;
        if (!*places[i].dir)
            continue;
        int n = snprintf(path, sizeof path, "%s%s%s/%s", places[i].dir, *folder ? "/../" : "",
                         folder, name);
        int found = n < 0 || (size_t)n >= sizeof path ? 0 : is_program(path);
        if (found < 0)
            return zl_fail_errno(err, "look for '%s'", path);
        if (!found)
            continue;
        /* Absolute, so that a later chdir changes nothing. */
        char *real = realpath(path, NULL);
        if (!real)
            return zl_fail_errno(err, "resolve '%s'", path);
        *ret = real;
        return 0;
    }
    return zl_fail(err, ZL_ERR_NOT_FOUND,
                   "no program '%s' in $ZLAYER_LIBEXEC (%s), '%s' or '" ZL_LIBEXECDIR "'", name,
                   told && *told ? told : "not set", own);
}

int zl_helper_path(const char *name, char **ret, struct zl_error *err)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    self[n > 0 ? n : 0] = '\0';
    return zl_helper_path_from(self, name, ret, err);
}
