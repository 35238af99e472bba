// SPDX-License-Identifier: Apache-2.0
/* import, load, save, image verify: images and files. */
#include "cli/image/imagefile.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "cli/image/transfer.h"
#include "cli/outfile.h"
#include "cli/output.h"

static const char *const type_words[] = { "docker", "oci", NULL };

struct file_options {
    const char *tag, *input, *output;
    int type;
    bool quiet;
};

/* ---- paths --------------------------------------------------------------------------------- */

static const char *const schemes[] = { "oci:", "oci-archive:", "docker-archive:", "dir:",
                                       "archive:" };

/* The agent works elsewhere: file paths become absolute, whatever stands before them. */
static char *absolute_source(const char *source, struct zl_error *err)
{
    char cwd[PATH_MAX];
    size_t scheme = 0;
    for (size_t i = 0; i < ZL_ARRAY_LEN(schemes); i++) {
        if (strncmp(source, schemes[i], strlen(schemes[i])) == 0)
            scheme = strlen(schemes[i]);
    }
    if (source[scheme] == '/')
        return strdup(source);
    char *out = NULL;
    if (!getcwd(cwd, sizeof cwd))
        (void)zl_fail_errno(err, "find the current directory");
    else if (asprintf(&out, "%.*s%s/%s", (int)scheme, source, cwd, source + scheme) < 0)
        (void)zl_fail_errno(err, "import '%s'", source);
    return out;
}

/* ---- import -------------------------------------------------------------------------------- */

static int import_run(struct cli *cli, const void *options, int argc, char **argv)
{
    const struct file_options *o = options;
    struct zl_error err = { 0 };
    (void)argc;
    if (!o->tag)
        return cli_failf(CLI_USAGE, "say what to call the image: -t NAME[:TAG]");
    zl_autofree char *source = absolute_source(argv[0], &err);
    autotransfer struct transfer_view *view = transfer_view_new(cli, o->quiet, &err);
    if (!source || !view || cli_connect(cli, &err) < 0)
        return cli_fail(&err);
    json_t *body = json_pack("{s:s, s:s}", "source", source, "reference", o->tag);
    int rc = body ? api_client_stream(cli->client, "POST", "/api/v1/images/import", body,
                                      transfer_view_line, view, &err)
                  : zl_fail(&err, ZL_ERR_INVALID, "the name is not UTF-8");
    json_decref(body);
    transfer_view_end(view, rc == 0 ? o->tag : NULL);
    return rc < 0 ? cli_fail_midway(&err, "an import begins anew: run the command again") : CLI_OK;
}

/* ---- load ---------------------------------------------------------------------------------- */

struct load_view {
    struct transfer_view *transfer;
    bool json;
    struct zl_buf names; /* what was loaded, a line each */
};

static int on_loaded(void *arg, const json_t *line, struct zl_error *err)
{
    struct load_view *v = arg;
    if (!v->json && strcmp(jstr(line, "status"), "loaded") == 0)
        zl_buf_addf(&v->names, "%s %s\n", jstr(line, "reference"), jstr(line, "digest"));
    return transfer_view_line(v->transfer, line, err);
}

/* Stdin as a file, which the caller unlinks: archives are read from more than one place at once. */
static int spool_stdin(char path[PATH_MAX], struct zl_error *err)
{
    const char *dir = getenv("TMPDIR");
    char piece[65536];
    (void)snprintf(path, PATH_MAX, "%s/zlayer-load.XXXXXX", dir && *dir ? dir : "/tmp");
    zl_autoclose int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return zl_fail_errno(err, "create '%s'", path);
    for (;;) {
        ssize_t n = read(STDIN_FILENO, piece, sizeof piece);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return zl_fail_errno(err, "read stdin");
        if (n == 0)
            return 0;
        if (zl_write_all(fd, piece, (size_t)n, path, err) < 0)
            return -1;
    }
}

static int load_file(struct cli *cli, const char *path, bool quiet, struct zl_error *err)
{
    struct load_view v = { .json = cli->format == CLI_JSON, .names = ZL_BUF(1 << 20) };
    autotransfer struct transfer_view *view = transfer_view_new(cli, quiet, err);
    zl_autofree char *absolute = absolute_source(path, err), *source = NULL;
    if (!view || !absolute || asprintf(&source, "archive:%s", absolute) < 0) /* no names yet */
        return zl_wrap(err, "load '%s'", path);
    v.transfer = view;
    json_t *body = json_pack("{s:s}", "source", source);
    int rc = body ? api_client_stream(cli->client, "POST", "/api/v1/images/load", body, on_loaded,
                                      &v, err)
                  : zl_fail(err, ZL_ERR_INVALID, "the path is not UTF-8");
    json_decref(body);
    transfer_view_end(view, NULL);
    (void)fputs(v.names.data, stdout); /* also of an archive that failed behind them */
    zl_buf_done(&v.names);
    return rc;
}

static int load_run(struct cli *cli, const void *options, int argc, char **argv)
{
    const struct file_options *o = options;
    struct zl_error err = { 0 };
    char spooled[PATH_MAX] = "";
    (void)argc;
    (void)argv;
    if (!o->input && isatty(STDIN_FILENO))
        return cli_failf(CLI_USAGE, "an archive is expected on stdin; or name one: -i FILE");
    if (cli_connect(cli, &err) < 0)
        return cli_fail(&err);
    int rc = o->input ? 0 : spool_stdin(spooled, &err);
    if (rc == 0)
        rc = load_file(cli, o->input ? o->input : spooled, o->quiet, &err);
    if (*spooled)
        (void)unlink(spooled); /* it is in the way of nobody */
    return rc < 0 ? cli_fail_midway(&err, "run the command again: what was loaded is kept")
                  : CLI_OK;
}

/* ---- save ---------------------------------------------------------------------------------- */

static int save_to(struct cli *cli, const struct file_options *o, int fd, int argc, char **argv,
                   struct zl_error *err)
{
    json_t *images = json_array();
    for (int i = 0; images && i < argc; i++)
        (void)json_array_append_new(images, json_string(argv[i])); /* counted below */
    autotransfer struct transfer_view *view = transfer_view_new(cli, true, err);
    json_t *body =
        images && json_array_size(images) == (size_t)argc
            ? json_pack("{s:O, s:b, s:i}", "images", images, "docker", o->type == 0, "fd", fd)
            : NULL;
    int rc = !view  ? -1
             : body ? api_client_stream(cli->client, "POST", "/api/v1/images/save", body,
                                        transfer_view_line, view, err)
                    : zl_fail(err, ZL_ERR_INVALID, "a name is not UTF-8");
    json_decref(images);
    json_decref(body);
    return rc;
}

/* The file is made here, with the user's rights; the agent takes its descriptor. */
static int save_run(struct cli *cli, const void *options, int argc, char **argv)
{
    const struct file_options *o = options;
    struct zl_error err = { 0 };
    if (!o->output && isatty(STDOUT_FILENO))
        return cli_failf(CLI_USAGE, "an archive is not for a terminal; name a file: -o FILE");
    if (cli_connect(cli, &err) < 0)
        return cli_fail(&err);
    cli->format = CLI_TABLE; /* stdout is the archive's */
    autooutfile struct outfile file = { .fd = -1 };
    if (o->output && outfile_open(o->output, &file, &err) < 0)
        return cli_fail(&err);
    int rc = save_to(cli, o, o->output ? file.fd : STDOUT_FILENO, argc, argv, &err);
    if (rc == 0 && o->output)
        rc = outfile_keep(&file, &err);
    return rc < 0 ? cli_fail_midway(&err, "run the command again") : CLI_OK;
}

/* ---- verify -------------------------------------------------------------------------------- */

static int on_verified(void *arg, const json_t *line, struct zl_error *err)
{
    const struct cli *cli = arg;
    (void)err;
    if (cli->format == CLI_JSON) {
        (void)json_dumpf(line, stdout, JSON_COMPACT);
        (void)fputc('\n', stdout);
    } else if (strcmp(jstr(line, "status"), "verified") == 0) {
        const char *name = jstr(line, "reference"), *damage = jstr(line, "damage");
        (void)printf("%s: %s\n", *name ? name : jstr(line, "digest"), *damage ? damage : "whole");
    }
    (void)fflush(stdout); /* one image may take a while */
    return 0;
}

int image_verify_run(struct cli *cli, const void *options, int argc, char **argv)
{
    struct zl_error err = { 0 };
    (void)options;
    json_t *images = json_array();
    for (int i = 0; images && i < argc; i++)
        (void)json_array_append_new(images, json_string(argv[i])); /* counted below */
    json_t *body = images && json_array_size(images) == (size_t)argc
                       ? json_pack("{s:O}", "images", images)
                       : NULL;
    int rc = body ? cli_connect(cli, &err) : zl_fail(&err, ZL_ERR_INVALID, "a name is not UTF-8");
    if (rc == 0)
        rc = api_client_stream(cli->client, "POST", "/api/v1/images/verify", body, on_verified, cli,
                               &err);
    json_decref(images);
    json_decref(body);
    return rc < 0 ? cli_fail_midway(&err, "run the command again") : CLI_OK;
}

/* ---- the commands -------------------------------------------------------------------------- */

/* clang-format off */
static const struct cli_option import_options[] = {
    { 't', "tag",   CLI_STRING, offsetof(struct file_options, tag),   "NAME[:TAG]", "what to call the image", NULL },
    { 'q', "quiet", CLI_FLAG,   offsetof(struct file_options, quiet), NULL, "no progress, only the digest", NULL },
    { 0 },
};
static const struct cli_option load_options[] = {
    { 'i', "input", CLI_STRING, offsetof(struct file_options, input), "FILE", "the archive [stdin]", NULL },
    { 'q', "quiet", CLI_FLAG,   offsetof(struct file_options, quiet), NULL, "no progress", NULL },
    { 0 },
};
static const struct cli_option save_options[] = {
    { 'o', "output", CLI_STRING, offsetof(struct file_options, output), "FILE", "the archive [stdout]", NULL },
    { 0,   "type",   CLI_CHOICE, offsetof(struct file_options, type),   "TYPE",
      "docker, which docker, podman and OCI tools read, or oci, without what is Docker's", type_words },
    { 0 },
};
/* clang-format on */

const struct cli_command import_command = {
    .name = "import",
    .group = GROUP_IMAGE,
    .args = "SOURCE",
    .summary = "Make an image from a tar of a root file system, or from an image elsewhere",
    .examples = "zlayer import rootfs.tar -t busybox\n"
                "zlayer import oci:./layout:latest -t tools\ta tag of an OCI image layout\n"
                "zlayer import oci-archive:tools.tar -t tools\n"
                "zlayer import docker-archive:all.tar:tools:1 -t tools\tone of several\n"
                "zlayer import dir:copy -t tools\twhat skopeo copy made",
    .options = import_options,
    .options_size = sizeof(struct file_options),
    .min_args = 1,
    .max_args = 1,
    .run = import_run,
};

const struct cli_command load_command = {
    .name = "load",
    .group = GROUP_IMAGE,
    .summary = "Load every image of an archive, with their names",
    .examples = "docker save app:1 db:2 | zlayer load\n"
                "zlayer load -i images.tar.gz",
    .options = load_options,
    .options_size = sizeof(struct file_options),
    .run = load_run,
};

const struct cli_command save_command = {
    .name = "save",
    .group = GROUP_IMAGE,
    .args = "IMAGE…",
    .summary = "Save images as one archive",
    .examples = "zlayer save app:1 db:2 -o images.tar\n"
                "zlayer save app:1 | docker load",
    .options = save_options,
    .options_size = sizeof(struct file_options),
    .min_args = 1,
    .max_args = -1,
    .completes = "image",
    .run = save_run,
};
