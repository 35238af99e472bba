// SPDX-License-Identifier: Apache-2.0
/* push. */
#include "cli/image/login.h"
#include "cli/image/transfer.h"

struct push_options {
    bool quiet;
};

static int push_one(struct cli *cli, const struct push_options *o, const char *reference,
                    struct zl_error *err)
{
    autotransfer struct transfer_view *view = transfer_view_new(cli, o->quiet, err);
    json_t *login = NULL;
    if (!view || login_for_image(reference, &login, err) < 0)
        return -1;
    json_t *body = json_pack("{s:s, s:o*}", "reference", reference, "login", login);
    int rc = body ? api_client_stream(cli->client, "POST", "/api/v1/images/push", body,
                                      transfer_view_line, view, err)
                  : zl_fail(err, ZL_ERR_INVALID, "the reference is not UTF-8");
    json_decref(body);
    transfer_view_end(view, rc == 0 ? reference : NULL);
    return rc;
}

static int push_run(struct cli *cli, const void *options, int argc, char **argv)
{
    struct zl_error err = { 0 };
    int code = CLI_OK;
    if (cli_connect(cli, &err) < 0)
        return cli_fail(&err);
    for (int i = 0; i < argc; i++) {
        if (push_one(cli, options, argv[i], &err) < 0)
            code = cli_fail_midway(
                &err, "run the command again: what the registry has is not sent again");
    }
    return code;
}

/* clang-format off */
static const struct cli_option push_options[] = {
    { 'q', "quiet", CLI_FLAG, offsetof(struct push_options, quiet), NULL, "no progress, only the digest", NULL },
    { 0 },
};
/* clang-format on */

const struct cli_command push_command = {
    .name = "push",
    .group = GROUP_IMAGE,
    .args = "IMAGE…",
    .summary = "Put images into a registry, under the names that they have here",
    .examples = "zlayer image tag app registry.example.net/team/app:1\n"
                "zlayer push registry.example.net/team/app:1",
    .options = push_options,
    .options_size = sizeof(struct push_options),
    .min_args = 1,
    .max_args = -1,
    .completes = "image",
    .run = push_run,
};
