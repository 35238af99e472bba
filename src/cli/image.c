// SPDX-License-Identifier: Apache-2.0
/* image ls, rm; import. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/output.h"

struct image_options {
    bool force;
    const char *tag;
};

static int ls_run(struct cli *cli, const void *options, int argc, char **argv)
{
    static const char *const headers[] = { "REFERENCE", "DIGEST", "SIZE", "CREATED", NULL };
    struct zl_error err = { 0 };
    json_t *list = NULL;
    (void)options;
    (void)argc;
    (void)argv;
    if (cli_call(cli, "GET", "/api/v1/images", NULL, NULL, NULL, &list, &err) < 0)
        return cli_fail(&err);
    autotable struct table t;
    table_init(&t, headers);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *image = json_array_get(list, i);
        char size[32], age[16];
        format_size((uint64_t)jint(image, "size"), size);
        format_age(jstr(image, "created_at"), zl_wall_ms(), age);
        table_add(&t, STYLE_PLAIN, "%s", jstr(image, "reference"));
        table_add(&t, STYLE_DIM, "%.19s", jstr(image, "digest"));
        table_add(&t, STYLE_PLAIN, "%s", size);
        table_add(&t, STYLE_PLAIN, "%s", age);
    }
    if (cli->format == CLI_JSON)
        print_json(list);
    else
        table_print(cli, &t);
    json_decref(list);
    return CLI_OK;
}

static int rm_run(struct cli *cli, const void *options, int argc, char **argv)
{
    const struct image_options *o = options;
    int code = CLI_OK;
    for (int i = 0; i < argc; i++) {
        struct zl_error err = { 0 };
        if (cli_call(cli, "DELETE", o->force ? "/api/v1/images/{}?force=1" : "/api/v1/images/{}",
                     argv[i], NULL, NULL, NULL, &err) < 0)
            code = cli_fail(&err);
        else
            (void)printf("%s\n", argv[i]);
    }
    return code;
}

/* clang-format off */
static const struct cli_option rm_options[] = {
    { 'f', "force", CLI_FLAG, offsetof(struct image_options, force), NULL, "even if a container uses it", NULL },
    { 0 },
};

static const struct cli_command image_commands[] = {
    { .name = "ls", .alias = "list", .summary = "List the images of the store", .run = ls_run },
    { .name = "rm", .alias = "remove", .args = "IMAGE…", .summary = "Forget images", .options = rm_options,
      .options_size = sizeof(struct image_options), .min_args = 1, .max_args = -1, .completes = "image",
      .run = rm_run },
    { 0 },
};
/* clang-format on */

const struct cli_command image_command = {
    .name = "image",
    .alias = "images",
    .group = GROUP_IMAGE,
    .summary = "List and remove images",
    .sub = image_commands,
};

/* ---- import -------------------------------------------------------------------------------- */

/* The agent works elsewhere: file paths become absolute. "oci:DIR[:TAG]" keeps its form. */
static char *absolute_source(const char *source, struct zl_error *err)
{
    char cwd[PATH_MAX];
    bool layout = strncmp(source, "oci:", 4) == 0;
    const char *path = layout ? source + 4 : source;
    if (*path == '/')
        return strdup(source);
    char *out = NULL;
    if (!getcwd(cwd, sizeof cwd))
        (void)zl_fail_errno(err, "find the current directory");
    else if (asprintf(&out, "%s%s/%s", layout ? "oci:" : "", cwd, path) < 0)
        (void)zl_fail_errno(err, "import '%s'", source);
    return out;
}

struct import_view {
    bool json, live;
    char digest[128];
};

static int on_progress(void *arg, const json_t *line, struct zl_error *err)
{
    struct import_view *v = arg;
    const char *digest = jstr(line, "digest");
    (void)err;
    if (v->json) {
        (void)json_dumpf(line, stdout, JSON_COMPACT);
        (void)fputc('\n', stdout);
        return 0;
    }
    if (*digest)
        (void)snprintf(v->digest, sizeof v->digest, "%s", digest);
    if (v->live && *jstr(line, "message")) {
        (void)printf("\r\x1b[K%s", jstr(line, "message"));
        (void)fflush(stdout);
    }
    return 0;
}

static int import_run(struct cli *cli, const void *options, int argc, char **argv)
{
    const struct image_options *o = options;
    struct zl_error err = { 0 };
    struct import_view v = { .json = cli->format == CLI_JSON, .live = isatty(1) };
    (void)argc;
    if (!o->tag)
        return cli_failf(CLI_USAGE, "say what to call the image: -t NAME[:TAG]");
    zl_autofree char *source = absolute_source(argv[0], &err);
    if (!source || cli_connect(cli, &err) < 0)
        return cli_fail(&err);
    json_t *body = json_pack("{s:s, s:s}", "source", source, "reference", o->tag);
    int rc = body ? api_client_stream(cli->client, "POST", "/api/v1/images/import", body,
                                      on_progress, &v, &err)
                  : zl_fail(&err, ZL_ERR_INVALID, "the name is not UTF-8");
    json_decref(body);
    if (v.live && !v.json)
        (void)printf("\r\x1b[K");
    if (rc < 0)
        return cli_fail_midway(&err, "an import begins anew: run the command again");
    if (!v.json)
        (void)printf("%s%s%s\n", o->tag, *v.digest ? " " : "", v.digest);
    return CLI_OK;
}

/* clang-format off */
static const struct cli_option import_options[] = {
    { 't', "tag", CLI_STRING, offsetof(struct image_options, tag), "NAME[:TAG]", "what to call the image", NULL },
    { 0 },
};
/* clang-format on */

const struct cli_command import_command = {
    .name = "import",
    .group = GROUP_IMAGE,
    .args = "SOURCE",
    .summary = "Make an image from a tar of a root file system, or from an OCI layout",
    .examples = "zlayer import rootfs.tar -t busybox\n"
                "zlayer import oci:./layout:latest -t tools\ta tag of an OCI image layout",
    .options = import_options,
    .options_size = sizeof(struct image_options),
    .min_args = 1,
    .max_args = 1,
    .run = import_run,
};
