// SPDX-License-Identifier: Apache-2.0
#include "spec/value/name.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

/* Without a locale, unlike <ctype.h>. */
static bool one_of(char c, const char *set)
{
    return c && strchr(set, c);
}

int spec_check_deployment_name(const char *name, struct spec_flaw *flaw)
{
    size_t n = strlen(name);
    size_t good = strspn(name, LOWER UPPER DIGITS "-");
    if (name[good])
        return spec_flaw_set(flaw, "only ASCII letters, digits and '-' are allowed", good);
    if (n < 3 || n > 63)
        return spec_flaw_set(flaw, "3 to 63 characters are allowed", 0);
    if (name[0] == '-')
        return spec_flaw_set(flaw, "the first character must be a letter or a digit", 0);
    return 0;
}

int spec_check_service_name(const char *name, struct spec_flaw *flaw)
{
    size_t n = strlen(name);
    size_t good = strspn(name, LOWER UPPER DIGITS "_-");
    if (name[good])
        return spec_flaw_set(flaw, "only ASCII letters, digits, '_' and '-' are allowed", good);
    if (n < 1 || n > 63)
        return spec_flaw_set(flaw, "1 to 63 characters are allowed", 0);
    if (!one_of(name[0], LOWER UPPER DIGITS))
        return spec_flaw_set(flaw, "the first character must be a letter or a digit", 0);
    if (!one_of(name[n - 1], LOWER UPPER DIGITS))
        return spec_flaw_set(flaw, "the last character must be a letter or a digit", n - 1);
    return 0;
}

int spec_check_endpoint_name(const char *name, struct spec_flaw *flaw)
{
    static const char length[] = "1 to 63 bytes are allowed";
    size_t n = strlen(name);
    if (!n)
        return spec_flaw_set(flaw, length, 0);
    if (n > 63)
        return spec_flaw_set_strict(flaw, length, 0);
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f || one_of(name[i], "#/"))
            return spec_flaw_set_strict(flaw, "control characters, '#' and '/' are not allowed", i);
    }
    return 0;
}

int spec_check_env_name(const char *name, struct spec_flaw *flaw)
{
    if (!*name)
        return spec_flaw_set(flaw, "it is empty", 0);
    const char *equals = strchr(name, '=');
    if (equals)
        return spec_flaw_set(flaw, "'=' is not allowed", (size_t)(equals - name));
    return 0;
}

int spec_check_hostname(const char *name, struct spec_flaw *flaw)
{
    size_t n = strlen(name), label = 0;
    if (n < 1 || n > 64)
        return spec_flaw_set(flaw, "1 to 64 characters are allowed", 0);
    for (size_t i = 0; i <= n; i++) {
        if (i < n && name[i] != '.') {
            if (!one_of(name[i], LOWER UPPER DIGITS "-"))
                return spec_flaw_set(flaw, "only letters, digits, '-' and '.' are allowed", i);
            continue;
        }
        if (i == label || i - label > 63)
            return spec_flaw_set(flaw, "the part between dots must have 1 to 63 characters", label);
        if (name[label] == '-' || name[i - 1] == '-')
            return spec_flaw_set(flaw, "a part must not begin or end with '-'", label);
        label = i + 1;
    }
    return 0;
}

/* A number of at most 32 bits, or [a-z_][a-z0-9_-]*\$? : as useradd(8) wants it. */
static bool is_user_part(const char *s, size_t n)
{
    size_t digits = strspn(s, DIGITS);
    if (n && digits >= n)
        return n <= 10 && strtoull(s, NULL, 10) < UINT32_MAX; /* (uid_t)-1 means "no change" */
    if (n > 1 && s[n - 1] == '$')
        n--;
    return n && n <= 32 && one_of(s[0], LOWER "_") && strspn(s, LOWER DIGITS "_-") >= n;
}

int spec_check_user(const char *user, struct spec_flaw *flaw)
{
    const char *colon = strchr(user, ':');
    size_t n = colon ? (size_t)(colon - user) : strlen(user);
    if (!is_user_part(user, n))
        return spec_flaw_set(flaw, "uid[:gid] or name[:group] is expected", 0);
    if (colon && !is_user_part(colon + 1, strlen(colon + 1)))
        return spec_flaw_set(flaw, "after ':' a gid or a group name is expected", n + 1);
    return 0;
}

int spec_check_abs_path(const char *path, struct spec_flaw *flaw)
{
    if (path[0] != '/')
        return spec_flaw_set(flaw, "it must begin with '/'", 0);
    for (const char *p = path; *p; p += strcspn(p, "/")) {
        p += strspn(p, "/");
        if (strncmp(p, "..", 2) == 0 && (p[2] == '/' || !p[2]))
            return spec_flaw_set(flaw, "'..' is not allowed in it", (size_t)(p - path));
    }
    return 0;
}

int spec_check_mount_target(const char *path, struct spec_flaw *flaw)
{
    if (spec_check_abs_path(path, flaw) < 0)
        return -1;
    if (!path[strspn(path, "/.")])
        return spec_flaw_set(flaw, "the root itself cannot be mounted over", 0);
    return 0;
}

int spec_check_endpoint_path(const char *path, struct spec_flaw *flaw)
{
    return path[0] == '/' ? 0 : spec_flaw_set(flaw, "it must begin with '/'", 0);
}

int spec_check_endpoint_host(const char *host, struct spec_flaw *flaw)
{
    size_t skip = strncmp(host, "*.", 2) == 0 ? 2 : 0;
    size_t good = strspn(host + skip, LOWER UPPER DIGITS "_.-");
    if (!host[skip] || host[skip + good])
        return spec_flaw_set(flaw, "a host name, or '*.' and a suffix, is expected", skip + good);
    return 0;
}

int spec_check_version(const char *version, struct spec_flaw *flaw)
{
    return strcmp(version, "v1") == 0 ? 0 : spec_flaw_set(flaw, "it must be v1", 0);
}

int spec_check_cpuset(const char *list, struct spec_flaw *flaw)
{
    static const char form[] = "CPU numbers and ranges are expected, such as 0-3,6";
    enum { MAX_CPUS = 8192 }; /* CONFIG_NR_CPUS at its largest */
    const char *p = list;
    unsigned long first = 0;
    for (bool in_range = false;;) {
        char *end;
        if (!one_of(*p, DIGITS))
            return spec_flaw_set(flaw, form, (size_t)(p - list));
        unsigned long n = strtoul(p, &end, 10);
        if (n >= MAX_CPUS)
            return spec_flaw_set(flaw, "no such CPU: the number is too large", (size_t)(p - list));
        if (in_range && n < first)
            return spec_flaw_set(flaw, "the range runs backwards", (size_t)(p - list));
        if (!*end)
            return 0;
        if (*end != ',' && (*end != '-' || in_range))
            return spec_flaw_set(flaw, form, (size_t)(end - list));
        in_range = *end == '-';
        first = n;
        p = end + 1;
    }
}
