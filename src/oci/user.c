// SPDX-License-Identifier: Apache-2.0
/* Reading passwd and group of a container; the rules are in user.h. */
#include "oci/user.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/fd.h"

enum { FILE_MAX = 1 << 20, FIELDS = 7 };

/* A name or number as it was written. */
struct who {
    const char *text;
    uint32_t number;
    bool is_number;
};

/* Ids end one below the highest: (uid_t)-1 means "do not change" to setuid(2) and chown(2). */
static bool parse_id(const char *text, uint32_t *ret)
{
    uint64_t v = 0;
    if (!*text)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        v = v * 10 + (uint64_t)(*text - '0');
        if (v >= UINT32_MAX)
            return false;
    }
    *ret = (uint32_t)v;
    return true;
}

static struct who who_of(const char *text)
{
    struct who w = { .text = text };
    w.is_number = parse_id(text, &w.number);
    return w;
}

static bool is_meant(const struct who *w, const char *name, uint32_t id)
{
    return strcmp(w->text, name) == 0 || (w->is_number && w->number == id);
}

/* The next line of *rest, cut into fields at ':'; how many, 0 at the end. Destroys the text. */
static size_t next_entry(char **rest, char *fields[FIELDS])
{
    char *line = strsep(rest, "\n");
    size_t n = 0;
    if (!line)
        return 0;
    while (line && n < FIELDS)
        fields[n++] = strsep(&line, ":");
    return n;
}

/* A missing file reads as an empty one. */
static int read_table(const char *path, oci_open_fn open_file, void *arg, struct zl_buf *out,
                      struct zl_error *err)
{
    struct zl_error why = { 0 };
    zl_autoclose int fd = open_file(arg, path, &why);
    if (fd >= 0)
        return zl_read_fd(fd, out, path, err);
    if (why.kind == ZL_ERR_NOT_FOUND)
        return 0;
    if (err)
        *err = why;
    return -1;
}

/* Fills uid, gid, home and the name of the entry that is meant ("" when there is none). */
static int find_user(const struct who *user, char *passwd, struct oci_account *u,
                     const char **ret_name, struct zl_error *err)
{
    char *f[FIELDS];
    size_t n;

    *ret_name = "";
    while ((n = next_entry(&passwd, f)) > 0) {
        uint32_t uid, gid;
        if (n < 6 || !parse_id(f[2], &uid) || !parse_id(f[3], &gid) || !is_meant(user, f[0], uid))
            continue;
        u->uid = uid;
        u->gid = gid;
        if (snprintf(u->home, sizeof u->home, "%s", f[5]) >= (int)sizeof u->home)
            u->home[0] = '\0'; /* no path is better than half a path */
        *ret_name = f[0];
        return 0;
    }
    if (!user->is_number)
        return zl_fail(err, ZL_ERR_NOT_FOUND, "no user '%s' in /etc/passwd of the image",
                       user->text);
    u->uid = user->number;
    u->gid = 0;
    return 0;
}

static int find_group(const struct who *group, char *table, struct oci_account *u,
                      struct zl_error *err)
{
    char *f[FIELDS];
    size_t n;
    while ((n = next_entry(&table, f)) > 0) {
        uint32_t gid;
        if (n >= 3 && parse_id(f[2], &gid) && is_meant(group, f[0], gid)) {
            u->gid = gid;
            return 0;
        }
    }
    if (!group->is_number)
        return zl_fail(err, ZL_ERR_NOT_FOUND, "no group '%s' in /etc/group of the image",
                       group->text);
    u->gid = group->number;
    return 0;
}

static bool lists(char *members, const char *name)
{
    for (char *m; (m = strsep(&members, ","));)
        if (strcmp(m, name) == 0)
            return true;
    return false;
}

static int find_supplementary(const char *name, char *table, struct oci_account *u,
                              struct zl_error *err)
{
    char *f[FIELDS];
    size_t n;
    while (*name && (n = next_entry(&table, f)) > 0) {
        uint32_t gid;
        if (n < 4 || !parse_id(f[2], &gid) || !lists(f[3], name))
            continue;
        if (u->n_groups == OCI_USER_GROUPS)
            return zl_fail(err, ZL_ERR_INVALID, "user '%s' is in more than %d groups", name,
                           OCI_USER_GROUPS);
        u->groups[u->n_groups++] = gid;
    }
    return 0;
}

int oci_user_find(const char *text, oci_open_fn open_file, void *arg, struct oci_account *ret,
                  struct zl_error *err)
{
    zl_autofree char *user_text = strdup(text && *text ? text : "0");
    if (!user_text)
        return zl_fail_errno(err, "look up user '%s'", text);
    char *group_text = strchr(user_text, ':');
    if (group_text)
        *group_text++ = '\0';
    struct who user = who_of(*user_text ? user_text : "0");
    struct who group = who_of(group_text ? group_text : "");
    struct oci_account u = { 0 };

    if (user.is_number && group.is_number) {
        u.uid = user.number;
        u.gid = group.number;
        *ret = u;
        return 0;
    }
    zl_autobuf struct zl_buf passwd = ZL_BUF(FILE_MAX), groups = ZL_BUF(FILE_MAX);
    const char *name;
    if (read_table("/etc/passwd", open_file, arg, &passwd, err) < 0 ||
        read_table("/etc/group", open_file, arg, &groups, err) < 0 ||
        find_user(&user, passwd.data, &u, &name, err) < 0)
        return -1;
    if (*group.text ? find_group(&group, groups.data, &u, err) < 0
                    : find_supplementary(name, groups.data, &u, err) < 0)
        return -1;
    *ret = u;
    return 0;
}

static int add_group(struct oci_account *u, uint32_t gid, struct zl_error *err)
{
    for (size_t i = 0; i < u->n_groups; i++)
        if (u->groups[i] == gid)
            return 0;
    if (u->n_groups == OCI_USER_GROUPS)
        return zl_fail(err, ZL_ERR_INVALID, "more than %d supplementary groups", OCI_USER_GROUPS);
    u->groups[u->n_groups++] = gid;
    return 0;
}

int oci_user_add_groups(const struct spec_strings *names, oci_open_fn open_file, void *arg,
                        struct oci_account *account, struct zl_error *err)
{
    zl_autobuf struct zl_buf groups = ZL_BUF(FILE_MAX);
    if (names->n && read_table("/etc/group", open_file, arg, &groups, err) < 0)
        return -1;
    for (size_t i = 0; i < names->n; i++) {
        struct who group = who_of(names->v[i]);
        struct oci_account found = { .gid = group.number };
        zl_autofree char *table = strdup(groups.data); /* looking up takes it apart */
        if (!table)
            return zl_fail_errno(err, "look up group '%s'", names->v[i]);
        if ((!group.is_number && find_group(&group, table, &found, err) < 0) ||
            add_group(account, found.gid, err) < 0)
            return -1;
    }
    return 0;
}
