// SPDX-License-Identifier: Apache-2.0
/* image ls, inspect, history, tag, rm, prune; load, save, import and verify: imagefile.c. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/image/imagefile.h"
#include "cli/output.h"

struct image_options {
    bool force, all, plan;
};

/* "shop/web, shop/db (previous)" */
static void add_users(struct table *t, const json_t *users)
{
    zl_autobuf struct zl_buf text = ZL_BUF(4096); /* what is longer is cut off */
    size_t i;
    const json_t *user;
    json_array_foreach(users, i, user)
    {
        bool previous = strcmp(jstr(user, "version"), "previous") == 0;
        zl_buf_addf(&text, "%s%s/%s%s", i ? ", " : "", jstr(user, "deployment"),
                    jstr(user, "service"), previous ? " (previous)" : "");
    }
    table_add(t, STYLE_PLAIN, "%s", text.len ? text.data : "-");
}

static void print_images(const struct cli *cli, const json_t *list)
{
    static const char *const headers[] = {
        "REFERENCE", "DIGEST", "SIZE", "CREATED", "USED BY", NULL
    };
    autotable struct table t;
    table_init(&t, headers);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *image = json_array_get(list, i);
        char size[32], age[16];
        format_size((uint64_t)jint(image, "size"), size);
        format_age(jstr(image, "created_at"), zl_wall_ms(), age);
        bool named = strncmp(jstr(image, "reference"), "sha256:", 7) != 0;
        table_add(&t, named ? STYLE_PLAIN : STYLE_DIM, "%s",
                  named ? jstr(image, "reference") : "<none>");
        table_add(&t, STYLE_DIM, "%.19s", jstr(image, "digest"));
        table_add(&t, STYLE_PLAIN, "%s", size);
        table_add(&t, STYLE_PLAIN, "%s", age);
        add_users(&t, json_object_get(image, "used_by"));
    }
    table_print(cli, &t);
}

static int ls_run(struct cli *cli, const void *options, int argc, char **argv)
{
    (void)options;
    (void)argc;
    (void)argv;
    return cli_get(cli, "/api/v1/images", NULL, print_images);
}

static int rm_run(struct cli *cli, const void *options, int argc, char **argv)
{
    const struct image_options *o = options;
    return cli_each(cli, "DELETE", o->force ? "/api/v1/images/{}?force=1" : "/api/v1/images/{}",
                    NULL, argc, argv);
}

static int inspect_run(struct cli *cli, const void *options, int argc, char **argv)
{
    (void)options;
    return cli_get_each(cli, "/api/v1/images/{}", argc, argv);
}

/* The layer of each step that made one, beside the step; newest first, as docker shows it. */
static void list_history(const struct cli *cli, const json_t *image)
{
    static const char *const headers[] = { "CREATED", "SIZE", "CREATED BY", NULL };
    const json_t *history = json_object_get(image, "history"),
                 *layers = json_object_get(image, "layers");
    autotable struct table t;
    table_init(&t, headers);
    size_t layer = json_array_size(layers);
    for (size_t i = json_array_size(history); i > 0; i--) {
        const json_t *step = json_array_get(history, i - 1);
        bool empty = jbool(step, "empty_layer");
        char size[32] = "0 B", age[16];
        if (!empty && layer)
            format_size((uint64_t)jint(json_array_get(layers, --layer), "size"), size);
        format_age(jstr(step, "created"), zl_wall_ms(), age);
        table_add(&t, STYLE_PLAIN, "%s", age);
        table_add(&t, STYLE_PLAIN, "%s", size);
        table_add(&t, STYLE_PLAIN, "%s",
                  *jstr(step, "created_by") ? jstr(step, "created_by") : jstr(step, "comment"));
    }
    table_print(cli, &t);
}

static int history_run(struct cli *cli, const void *options, int argc, char **argv)
{
    struct zl_error err = { 0 };
    json_t *image = NULL;
    (void)options;
    (void)argc;
    if (cli_call(cli, "GET", "/api/v1/images/{}", argv[0], NULL, NULL, &image, &err) < 0)
        return cli_fail(&err);
    if (cli->format == CLI_JSON)
        print_json(json_object_get(image, "history"));
    else
        list_history(cli, image);
    json_decref(image);
    return CLI_OK;
}

static int tag_run(struct cli *cli, const void *options, int argc, char **argv)
{
    struct zl_error err = { 0 };
    (void)options;
    (void)argc;
    json_t *body = json_pack("{s:s}", "reference", argv[1]);
    int rc = cli_post(cli, "/api/v1/images/{}/tag", argv[0], body, NULL, &err);
    return rc < 0 ? cli_fail(&err) : CLI_OK;
}

static void print_pruned(const char *freed, const json_t *gone)
{
    size_t i;
    const json_t *image;
    char size[32];
    json_array_foreach(json_object_get(gone, "images"), i, image)
    {
        (void)printf("%s %s\n", *jstr(image, "reference") ? jstr(image, "reference") : "<none>",
                     jstr(image, "digest"));
    }
    format_size((uint64_t)jint(gone, "bytes"), size);
    (void)printf("%s: %" PRId64 " images, %" PRId64 " layers, %" PRId64 " blobs, %s\n", freed,
                 jint(gone, "n_images"), jint(gone, "layers"), jint(gone, "blobs"), size);
    if (jbool(gone, "postponed"))
        (void)printf("an image is being fetched: what lies on the disk goes with the next prune\n");
}

static void print_gone(const struct cli *cli, const json_t *gone)
{
    (void)cli;
    print_pruned("freed", gone);
}

static void print_plan(const struct cli *cli, const json_t *gone)
{
    (void)cli;
    print_pruned("would free", gone);
}

static int prune_run(struct cli *cli, const void *options, int argc, char **argv)
{
    static const char *const paths[2][2] = {
        { "/api/v1/images/prune", "/api/v1/images/prune?plan=1" },
        { "/api/v1/images/prune?all=1", "/api/v1/images/prune?all=1&plan=1" },
    };
    const struct image_options *o = options;
    struct zl_error err = { 0 };
    json_t *gone = NULL;
    (void)argc;
    (void)argv;
    int rc = cli_call(cli, "POST", paths[o->all][o->plan], NULL, NULL, NULL, &gone, &err);
    return cli_show(cli, rc, gone, o->plan ? print_plan : print_gone, &err);
}

/* clang-format off */
static const struct cli_option rm_options[] = {
    { 'f', "force", CLI_FLAG, offsetof(struct image_options, force), NULL, "even if a container uses it", NULL },
    { 0 },
};
static const struct cli_option prune_options[] = {
    { 'a', "all",  CLI_FLAG, offsetof(struct image_options, all),  NULL, "those with names, too", NULL },
    { 0,   "plan", CLI_FLAG, offsetof(struct image_options, plan), NULL, "only say what would go", NULL },
    { 0 },
};

static const struct cli_command image_commands[] = {
    { .name = "ls", .alias = "list", .summary = "List the images of the store", .run = ls_run },
    { .name = "inspect", .args = "IMAGE…", .summary = "Show names, config, history and layers", .min_args = 1,
      .max_args = -1, .completes = "image", .run = inspect_run },
    { .name = "history", .args = "IMAGE", .summary = "List the steps that made an image", .min_args = 1,
      .max_args = 1, .completes = "image", .run = history_run },
    { .name = "tag", .args = "IMAGE NAME", .summary = "Give an image another name", .min_args = 2,
      .max_args = 2, .completes = "image", .run = tag_run },
    { .name = "rm", .alias = "remove", .args = "IMAGE…", .summary = "Forget images", .options = rm_options,
      .options_size = sizeof(struct image_options), .min_args = 1, .max_args = -1, .completes = "image",
      .run = rm_run },
    { .name = "verify", .args = "[IMAGE…]", .summary = "Check that images are whole and unchanged, all of them without a name",
      .max_args = -1, .completes = "image", .run = image_verify_run },
    { .name = "prune", .summary = "Remove images that no service, container or earlier revision needs",
      .options = prune_options, .options_size = sizeof(struct image_options), .run = prune_run },
    { 0 },
};
/* clang-format on */

const struct cli_command image_command = {
    .name = "image",
    .alias = "images",
    .group = GROUP_IMAGE,
    .summary = "List, show, name, check and remove images",
    .sub = image_commands,
};
