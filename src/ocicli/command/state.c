// SPDX-License-Identifier: Apache-2.0
/* state and list: what containers there are, and what they do. */
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "ocicli/container.h"

/* Whose container it is: a name of /etc/passwd (getpwuid(3) would load libraries), or the uid. */
static void owner_of(const struct container *c, char *out, size_t size)
{
    struct stat st = { 0 };
    FILE *f = fopen("/etc/passwd", "re");
    const struct passwd *p = NULL;

    (void)fstat(c->dir_fd, &st);
    while (f && (p = fgetpwent(f)) && p->pw_uid != st.st_uid)
        ;
    if (p)
        (void)snprintf(out, size, "%s", p->pw_name);
    else
        (void)snprintf(out, size, "#%u", st.st_uid);
    if (f)
        (void)fclose(f);
}

/* The state and what runc adds to it. */
static json_t *described(const struct found *f)
{
    char owner[64];
    struct oci_state s = f->state;
    json_t *root;

    s.bundle = s.bundle ? s.bundle : ""; /* creation was cut off, or is not done */
    s.created = s.created ? s.created : "";
    root = oci_state_json(&s, f->status);
    owner_of(&f->container, owner, sizeof owner);
    if (!root)
        return NULL;
    if (f->status == OCI_STOPPED)
        (void)json_object_set_new(root, "pid", json_integer(0));
    if (s.rootfs)
        (void)json_object_set_new(root, "rootfs", json_string(s.rootfs));
    (void)json_object_set_new(root, "owner", json_string(owner));
    return root;
}

/* ---- state ---- */

static int state(struct cli *cli, const void *options, int argc, char **argv, struct zl_error *err)
{
    autofound struct found f;

    (void)options, (void)argc;
    if (container_find(cli, argv[0], &f, err) < 0)
        return -1;
    if (!f.state.bundle && f.status == OCI_STOPPED)
        return zl_fail(err, ZL_ERR_CONFLICT, "container '%s' was not created completely; delete it",
                       argv[0]);
    return oci_print_json(described(&f), JSON_INDENT(2), err);
}

const struct cli_command state_command = {
    .name = "state",
    .group = GROUP_LOOK,
    .args = "ID",
    .summary = "Print a container's state as JSON",
    .about = "Prints the state of the runtime-spec: creating, created, running, paused or stopped.",
    .examples = "zlayer-oci state web\tits status, pid and bundle",
    .completes = "container",
    .min_args = 1,
    .max_args = 1,
    .act = state,
};

/* ---- list ---- */

enum { TABLE, JSON };
static const char *const formats[] = { "table", "json", NULL };

struct list_options {
    int format;
    bool quiet;
};

static int add_json(struct cli *cli, const char *id, void *arg, struct zl_error *err)
{
    autofound struct found f;

    struct zl_error why = { 0 };

    if (container_find(cli, id, &f, &why) < 0) {
        if (why.kind != ZL_ERR_NOT_FOUND) { /* it was deleted meanwhile */
            (void)zl_wrap(&why, "container '%s' is left out", id);
            oci_warn(cli, &why);
        }
        return 0;
    }
    return json_array_append_new(arg, described(&f)) < 0
               ? zl_fail(err, ZL_ERR_SYSTEM, "list containers: out of memory")
               : 0;
}

int container_print_id(struct cli *cli, const char *id, void *arg, struct zl_error *err)
{
    (void)cli, (void)arg;
    return puts(id) < 0 ? zl_fail_errno(err, "write to standard output") : 0;
}

static const char *text(json_t *row, const char *key)
{
    const char *s = json_string_value(json_object_get(row, key));

    return s ? s : "";
}

static void print_table(json_t *rows)
{
    json_t *row;
    size_t i;
    int id = 12, bundle = 12;

    json_array_foreach(rows, i, row)
    {
        int n = (int)strlen(text(row, "id")), b = (int)strlen(text(row, "bundle"));
        id = n > id ? n : id;
        bundle = b > bundle ? b : bundle;
    }
    (void)printf("%-*s   %-8s %-8s %-*s   %-30s   %s\n", id, "ID", "PID", "STATUS", bundle,
                 "BUNDLE", "CREATED", "OWNER");
    json_array_foreach(rows, i, row)(void)
        printf("%-*s   %-8lld %-8s %-*s   %-30s   %s\n", id, text(row, "id"),
               (long long)json_integer_value(json_object_get(row, "pid")), text(row, "status"),
               bundle, text(row, "bundle"), text(row, "created"), text(row, "owner"));
}

static int list(struct cli *cli, const void *options, int argc, char **argv, struct zl_error *err)
{
    const struct list_options *o = options;
    json_t *rows;
    int rc;

    (void)argc, (void)argv;
    if (o->quiet)
        return containers_each(cli, container_print_id, NULL, err);
    rows = json_array();
    rc = rows ? containers_each(cli, add_json, rows, err)
              : zl_fail(err, ZL_ERR_SYSTEM, "list containers: out of memory");
    if (rc == 0 && o->format == JSON)
        return oci_print_json(rows, JSON_INDENT(2), err);
    if (rc == 0)
        print_table(rows);
    json_decref(rows);
    return rc;
}

/* clang-format off */
static const struct cli_option list_options[] = {
    { 'f', "format", CLI_CHOICE, offsetof(struct list_options, format), "FORMAT", "table or json", formats },
    { 'q', "quiet",  CLI_FLAG,   offsetof(struct list_options, quiet),  NULL,     "only the ids", NULL },
    { 0 },
};
/* clang-format on */

const struct cli_command list_command = {
    .name = "list",
    .alias = "ls",
    .group = GROUP_LOOK,
    .summary = "List the containers of --root",
    .examples = "zlayer-oci list\ta table\n"
                "zlayer-oci --root /run/docker/runtime-zlayer/moby list --format json\tthose of an "
                "engine",
    .options = list_options,
    .options_size = sizeof(struct list_options),
    .act = list,
};
