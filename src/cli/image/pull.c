// SPDX-License-Identifier: Apache-2.0
/* pull. */
#include <stdio.h>
#include <string.h>

#include "cli/image/login.h"
#include "cli/image/transfer.h"
#include "cli/output.h"

static const char *const policy_words[] = { "always", "if_not_present", "newer", "never", NULL };

struct pull_options {
    const char *platform;
    int policy;
    bool quiet;
};

static int pull_one(struct cli *cli, const struct pull_options *o, const char *reference,
                    struct zl_error *err)
{
    autotransfer struct transfer_view *view = transfer_view_new(cli, o->quiet, err);
    if (!view)
        return -1;
    json_t *login = NULL;
    if (login_for_image(reference, &login, err) < 0)
        return -1;
    json_t *body = json_pack("{s:s, s:s, s:s*, s:o*}", "reference", reference, "policy",
                             policy_words[o->policy], "platform", o->platform, "login", login);
    int rc = body ? api_client_stream(cli->client, "POST", "/api/v1/images/pull", body,
                                      transfer_view_line, view, err)
                  : zl_fail(err, ZL_ERR_INVALID, "the reference is not UTF-8");
    json_decref(body);
    transfer_view_end(view, rc == 0 ? reference : NULL);
    return rc;
}

static int pull_run(struct cli *cli, const void *options, int argc, char **argv)
{
    const struct pull_options *o = options;
    struct zl_error err = { 0 };
    int code = CLI_OK;
    if (cli_connect(cli, &err) < 0)
        return cli_fail(&err);
    for (int i = 0; i < argc; i++) {
        if (pull_one(cli, o, argv[i], &err) < 0)
            code = cli_fail_midway(&err, "run the command again: what was downloaded is kept");
    }
    return code;
}

/* clang-format off */
static const struct cli_option pull_options[] = {
    { 0,   "platform", CLI_STRING, offsetof(struct pull_options, platform), "OS/ARCH[/VARIANT]", "of an image for several [this machine's]", NULL },
    { 0,   "policy",   CLI_CHOICE, offsetof(struct pull_options, policy),   "POLICY", "always, if_not_present, newer or never", policy_words },
    { 'q', "quiet",    CLI_FLAG,   offsetof(struct pull_options, quiet),    NULL, "no progress, only the digest", NULL },
    { 0 },
};
/* clang-format on */

const struct cli_command pull_command = {
    .name = "pull",
    .group = GROUP_IMAGE,
    .args = "IMAGE…",
    .summary = "Get images from a registry",
    .examples = "zlayer pull nginx:1.25\n"
                "zlayer pull --platform linux/arm64 registry.example.net/team/app@sha256:…",
    .options = pull_options,
    .options_size = sizeof(struct pull_options),
    .min_args = 1,
    .max_args = -1,
    .run = pull_run,
};
