// SPDX-License-Identifier: Apache-2.0
/* attach: our terminal for that of a container that runs, until it ends or the user leaves it. */
#include <stdio.h>

#include "cli/container/detach.h"
#include "cli/container/ended.h"
#include "cli/container/stream.h"
#include "cli/output.h"
#include "cli/resolve.h"

struct attach_options {
    bool no_stdin, no_sig_proxy;
    const char *detach_keys;
    uint64_t replica;
};

static int ours(const struct zl_error *err)
{
    (void)cli_fail(err);
    return CLI_RUN_OURS;
}

static int attach_to(struct cli *cli, const struct attach_options *o, const json_t *container)
{
    const struct stream_options s = {
        .as_made = true,
        .no_stdin = o->no_stdin,
        .sig_proxy = !o->no_sig_proxy,
        .detach_keys = o->detach_keys,
    };
    struct zl_error err = { 0 };
    json_t *answer = NULL;
    struct mon_exit exit;
    enum stream_end end;
    int code;
    if (cli_call(cli, "POST", "/api/v1/containers/{}/attach", jstr(container, "id"), NULL, NULL,
                 &answer, &err) < 0 ||
        stream_run(json_object_get(answer, "where"), &s, &end, &exit, &err) < 0)
        code = ours(&err);
    else if (end == STREAM_LEFT)
        code = CLI_OK;
    else
        code = end == STREAM_EXITED ? exit.code : ended_code(cli, container);
    json_decref(answer);
    return code;
}

static int attach_run(struct cli *cli, const void *options, int argc, char **argv)
{
    const struct attach_options *o = options;
    struct zl_error err = { 0 };
    struct detach keys;
    json_t *found = NULL;
    const json_t *container = NULL;
    (void)argc;
    if (detach_init(&keys, o->detach_keys, &err) == 0 &&
        resolve_containers(cli, argv[0], &found, &err) == 0)
        container = pick_replica(found, o->replica, argv[0], &err);
    int code = container ? attach_to(cli, o, container) : ours(&err);
    json_decref(found);
    return code;
}

/* clang-format off */
static const struct cli_option attach_options[] = {
    { 0,   "no-stdin",     CLI_FLAG,   offsetof(struct attach_options, no_stdin),     NULL,   "do not pass standard input on", NULL },
    { 0,   "no-sig-proxy", CLI_FLAG,   offsetof(struct attach_options, no_sig_proxy), NULL,   "signals end zlayer, not the container's process", NULL },
    { 0,   "detach-keys",  CLI_STRING, offsetof(struct attach_options, detach_keys),  "KEYS", "leave it by these keys [" DETACH_KEYS_DEFAULT "]", NULL },
    { 'r', "replica",      CLI_NUMBER, offsetof(struct attach_options, replica),      "N",    "replica N [the first that runs]", NULL },
    { 0 },
};
/* clang-format on */

const struct cli_command attach_command = {
    .name = "attach",
    .group = GROUP_CONTAINER,
    .args = "CONTAINER|[DEPLOYMENT/]SERVICE",
    .summary = "Be at the terminal of a container that runs",
    .about =
        "Shows what its first process writes from now on, and passes standard input on when the\n"
        "container was made to read it. The exit code is that of the process. At a terminal the\n"
        "detach keys leave the container, which goes on; the exit code is 0 then.",
    .examples = "zlayer attach db\nzlayer attach --detach-keys ctrl-x db\tleave by ^X",
    .options = attach_options,
    .options_size = sizeof(struct attach_options),
    .min_args = 1,
    .max_args = 1,
    .own_failure = true,
    .completes = "container",
    .run = attach_run,
};
