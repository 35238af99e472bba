// SPDX-License-Identifier: Apache-2.0
/* volume ls, create, inspect, rm, prune. How much is in one is measured here, where it takes nobody
 * else's time: by who may read it. */
#include <fts.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "cli/output.h"

struct volume_options {
    bool force, plan;
    struct cli_list labels;
};

/* ---- its size -------------------------------------------------------------------------------- */

/* What it takes on the disk; false: not all of it can be looked at. */
static bool measure(const char *path, uint64_t *ret)
{
    char *paths[] = { (char *)(uintptr_t)path, NULL };
    FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, NULL);
    const FTSENT *e;
    bool whole = tree;
    *ret = 0;
    while (tree && (e = fts_read(tree))) {
        whole = whole && e->fts_info != FTS_DNR && e->fts_info != FTS_ERR && e->fts_info != FTS_NS;
        if (e->fts_info != FTS_DP && e->fts_info != FTS_NS && e->fts_statp->st_nlink)
            *ret += (uint64_t)e->fts_statp->st_blocks * 512 /
                    (S_ISDIR(e->fts_statp->st_mode) ? 1 : e->fts_statp->st_nlink);
    }
    if (tree)
        (void)fts_close(tree);
    return whole;
}

static void put_size(json_t *volume)
{
    uint64_t bytes;
    json_t *size =
        measure(jstr(volume, "path"), &bytes) ? json_integer((json_int_t)bytes) : json_null();
    (void)json_object_set_new(volume, "bytes", size); /* without it the rest is still told */
}

/* ---- shown ----------------------------------------------------------------------------------- */

static void add_users(struct table *t, const json_t *users)
{
    zl_autobuf struct zl_buf text = ZL_BUF(4096); /* what is longer is cut off */
    size_t i;
    const json_t *user;
    json_array_foreach(users, i, user)
    {
        zl_buf_adds(&text, i ? ", " : "");
        if (*jstr(user, "container"))
            zl_buf_adds(&text, jstr(user, "container"));
        else
            zl_buf_addf(&text, "%s/%s", jstr(user, "deployment"), jstr(user, "service"));
    }
    table_add(t, STYLE_PLAIN, "%s", text.len ? text.data : "-");
}

static void add_row(struct table *t, const json_t *volume)
{
    char size[32] = "-", age[16];
    if (json_is_integer(json_object_get(volume, "bytes")))
        format_size((uint64_t)jint(volume, "bytes"), size);
    format_age(jstr(volume, "created_at"), zl_wall_ms(), age);
    table_add(t, STYLE_PLAIN, "%s", jstr(volume, "name"));
    table_add(t, STYLE_DIM, "%s", jstr(volume, "path"));
    table_add(t, STYLE_PLAIN, "%s", size);
    table_add(t, STYLE_PLAIN, "%s", age);
    add_users(t, json_object_get(volume, "used_by"));
}

static void print_volumes(const struct cli *cli, const json_t *list)
{
    static const char *const headers[] = { "NAME", "PATH", "SIZE", "CREATED", "USED BY", NULL };
    autotable struct table t;
    table_init(&t, headers);
    for (size_t i = 0; i < json_array_size(list); i++)
        add_row(&t, json_array_get(list, i));
    table_print(cli, &t);
}

static int ls_run(struct cli *cli, const void *options, int argc, char **argv)
{
    struct zl_error err = { 0 };
    json_t *list = NULL;
    (void)options;
    (void)argc;
    (void)argv;
    int rc = cli_call(cli, "GET", "/api/v1/volumes", NULL, NULL, NULL, &list, &err);
    for (size_t i = 0; i < json_array_size(list); i++)
        put_size(json_array_get(list, i));
    return cli_show(cli, rc, list, print_volumes, &err);
}

static int inspect_run(struct cli *cli, const void *options, int argc, char **argv)
{
    int code = CLI_OK;
    (void)options;
    for (int i = 0; i < argc; i++) {
        struct zl_error err = { 0 };
        json_t *volume = NULL;
        int rc = cli_call(cli, "GET", "/api/v1/volumes/{}", argv[i], NULL, NULL, &volume, &err);
        if (rc == 0)
            put_size(volume);
        int failed = cli_show(cli, rc, volume, NULL, &err);
        code = failed ? failed : code;
    }
    return code;
}

/* ---- made and removed ------------------------------------------------------------------------ */

/* NULL: one of them is not NAME=VALUE; told in *err. */
static json_t *labels_of(const struct volume_options *o, struct zl_error *err)
{
    json_t *labels = json_object();
    for (size_t i = 0; i < o->labels.n; i++) {
        const char *text = o->labels.v[i], *eq = strchr(text, '=');
        zl_autofree char *name = strndup(text, eq ? (size_t)(eq - text) : strlen(text));
        if (name && *name && json_object_set_new(labels, name, json_string(eq ? eq + 1 : "")) == 0)
            continue;
        (void)zl_fail(err, ZL_ERR_INVALID, "--label '%s' is not NAME=VALUE", text);
        json_decref(labels);
        return NULL;
    }
    return labels;
}

static int create_one(struct cli *cli, const char *name, const json_t *labels)
{
    struct zl_error err = { 0 };
    json_t *body = json_pack("{s:s, s:O}", "name", name, "labels", labels);
    if (cli_post(cli, "/api/v1/volumes", NULL, body, NULL, &err) < 0)
        return cli_fail(&err);
    (void)printf("%s\n", name);
    return CLI_OK;
}

static int create_run(struct cli *cli, const void *options, int argc, char **argv)
{
    struct zl_error err = { 0 };
    json_t *labels = labels_of(options, &err);
    int code = labels ? CLI_OK : cli_fail(&err);
    for (int i = 0; labels && i < argc; i++) {
        int failed = create_one(cli, argv[i], labels);
        code = failed ? failed : code;
    }
    json_decref(labels);
    return code;
}

static int rm_run(struct cli *cli, const void *options, int argc, char **argv)
{
    const struct volume_options *o = options;
    return cli_each(cli, "DELETE", o->force ? "/api/v1/volumes/{}?force=1" : "/api/v1/volumes/{}",
                    NULL, argc, argv);
}

static void print_pruned(const struct cli *cli, const json_t *answer)
{
    size_t i;
    const json_t *v;
    (void)cli;
    json_array_foreach(json_object_get(answer, "volumes"), i, v)
    {
        (void)printf("%s %s\n", jbool(answer, "plan") ? "would remove" : "removed",
                     json_string_value(v));
    }
    json_array_foreach(json_object_get(answer, "kept"), i, v)
    {
        (void)printf("kept %s: %s\n", jstr(v, "name"), jstr(v, "why"));
    }
}

static int prune_run(struct cli *cli, const void *options, int argc, char **argv)
{
    static const char *const paths[2][2] = {
        { "/api/v1/volumes/prune", "/api/v1/volumes/prune?plan=1" },
        { "/api/v1/volumes/prune?force=1", "/api/v1/volumes/prune?force=1&plan=1" },
    };
    const struct volume_options *o = options;
    struct zl_error err = { 0 };
    json_t *answer = NULL;
    (void)argc;
    (void)argv;
    int rc = cli_call(cli, "POST", paths[o->force][o->plan], NULL, NULL, NULL, &answer, &err);
    return cli_show(cli, rc, answer, print_pruned, &err);
}

/* clang-format off */
static const struct cli_option create_options[] = {
    { 'l', "label", CLI_LIST, offsetof(struct volume_options, labels), "NAME=VALUE", "label", NULL },
    { 0 },
};
static const struct cli_option rm_options[] = {
    { 'f', "force", CLI_FLAG, offsetof(struct volume_options, force), NULL, "with what is in it", NULL },
    { 0 },
};
static const struct cli_option prune_options[] = {
    { 'f', "force", CLI_FLAG, offsetof(struct volume_options, force), NULL, "those with something in them, too", NULL },
    { 0,   "plan",  CLI_FLAG, offsetof(struct volume_options, plan),  NULL, "only say what would go", NULL },
    { 0 },
};

static const struct cli_command volume_commands[] = {
    { .name = "ls", .alias = "list", .summary = "List the volumes, and who uses them", .run = ls_run },
    { .name = "create", .args = "NAME…", .summary = "Make empty volumes", .options = create_options,
      .options_size = sizeof(struct volume_options), .min_args = 1, .max_args = -1,
      .about = "A volume is also made by the first container that mounts it.",
      .examples = "zlayer volume create -l team=shop db\tone with a label", .run = create_run },
    { .name = "inspect", .args = "NAME…", .summary = "Show path, labels, size and users", .min_args = 1,
      .max_args = -1, .completes = "volume", .run = inspect_run },
    { .name = "rm", .alias = "remove", .args = "NAME…", .summary = "Remove volumes", .options = rm_options,
      .options_size = sizeof(struct volume_options), .min_args = 1, .max_args = -1, .completes = "volume",
      .about = "One that a container has among its mounts, or that a deployed service names, stays, whatever\n"
               "is said; one with something in it goes with --force only.",
      .examples = "zlayer volume rm -f db\twith all that is in it", .run = rm_run },
    { .name = "prune", .summary = "Remove empty volumes that nobody uses",
      .options = prune_options, .options_size = sizeof(struct volume_options),
      .examples = "zlayer volume prune --force --plan\twhich ones would go, with what is in them", .run = prune_run },
    { 0 },
};
/* clang-format on */

const struct cli_command volume_command = {
    .name = "volume",
    .alias = "volumes",
    .group = GROUP_CONTAINER,
    .summary = "List, make, show and remove volumes",
    .sub = volume_commands,
};
