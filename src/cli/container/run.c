// SPDX-License-Identifier: Apache-2.0
/*
 * run and exec. One request makes the container (or prepares the command), whose answer says where
 * the monitor offers the streams; the rest is between the monitor and us, up to the exit.
 */
#include <stdio.h>
#include <string.h>

#include "cli/container/ended.h"
#include "cli/container/runspec.h"
#include "cli/container/stream.h"
#include "cli/image/wasm.h"
#include "cli/output.h"
#include "cli/resolve.h"
#include "cmdline/term.h"

static int ours(const struct zl_error *err)
{
    (void)cli_fail(err);
    return CLI_RUN_OURS;
}

/* ---- run ----------------------------------------------------------------------------------- */

/* Findings about the mapping say what was wrong with the options. */
static int rejected(const json_t *answer, const struct zl_error *err)
{
    const json_t *findings = json_object_get(json_object_get(answer, "details"), "diagnostics");
    for (size_t i = 0; i < json_array_size(findings); i++) {
        const json_t *f = json_array_get(findings, i);
        (void)cli_failf(CLI_RUN_OURS, "%s: %s", jstr(f, "path"), jstr(f, "message"));
    }
    return json_array_size(findings) ? CLI_RUN_OURS : ours(err);
}

/* With --rm the name is free again when we return. An agent that died meanwhile does it later. */
static void await_removal(struct cli *cli, const json_t *made)
{
    zl_autobuf struct zl_buf path = ZL_BUF(256);
    api_path(&path, "/api/v1/containers/{}/wait?removed=1&timeout_ms=10000", jstr(made, "id"),
             NULL);
    (void)api_client_call(cli->client, "POST", path.data, NULL, NULL, NULL, NULL);
}

static int attach_made(struct cli *cli, const struct run_options *o, const json_t *made)
{
    struct zl_error err = { 0 };
    struct stream_options s = { .tty = o->tty,
                                .stdin_open = o->stdin_open,
                                .sig_proxy = !o->no_sig_proxy,
                                .detach_keys = o->detach_keys };
    struct mon_exit exit;
    enum stream_end end;
    if (stream_run(json_object_get(made, "where"), &s, &end, &exit, &err) < 0)
        return ours(&err);
    if (end == STREAM_LEFT)
        return CLI_OK;
    int code = end == STREAM_EXITED ? exit.code : ended_code(cli, made);
    if (o->remove)
        await_removal(cli, made);
    return code;
}

/* run -d: it has started, or it could not. file: of the module; NULL: an image was named. */
static int report_detached(const json_t *made, const char *file)
{
    const json_t *c = json_object_get(made, "container");
    const json_t *exit = json_object_get(c, "exit");
    const char *why = jstr(c, "why");
    if (c && *why && json_is_object(exit)) {
        enum cli_exit code = (enum cli_exit)jint(exit, "code");
        return file ? cli_failf(code, "'%s': %s", file, why) : cli_failf(code, "%s", why);
    }
    (void)printf("%s\n", jstr(made, "id"));
    return CLI_OK;
}

static int run_run(struct cli *cli, const void *options, int argc, char **argv)
{
    const struct run_options *o = options;
    struct zl_error err = { 0 };
    zl_autofree char *image = NULL;
    if (o->tty && o->stdin_open && !o->detach && !isatty(0))
        return cli_failf(CLI_RUN_OURS, "-t with -i needs a terminal, and standard input is none");
    if (wasm_resolve(cli, argv[0], (enum cli_runtime)o->runtime, &image, &err) < 0)
        return ours(&err);
    const char *file = strcmp(argv[0], image) == 0 ? NULL : argv[0];
    argv[0] = image;
    json_t *spec = runspec_make(o, argc, argv, &err);
    if (!spec)
        return ours(&err);
    json_t *body =
        json_pack("{s:s*, s:o, s:b}", "name", o->name, "spec", spec, "attach", !o->detach);
    json_t *made = NULL;
    int code;
    if (cli_post(cli, o->detach ? "/api/v1/containers?wait=1" : "/api/v1/containers", NULL, body,
                 &made, &err) < 0) {
        if (file) /* the agent knows the image only */
            (void)zl_wrap(&err, "'%s'", file);
        code = rejected(made, &err);
    } else
        code = o->detach ? report_detached(made, file) : attach_made(cli, o, made);
    json_decref(made);
    return code;
}

const struct cli_command run_command = {
    .name = "run",
    .group = GROUP_CONTAINER,
    .args = "IMAGE|FILE.wasm [COMMAND…]",
    .summary = "Run a command in a new container",
    .about =
        "The exit code is that of the command, or 128 + the signal that ended it. 125: zlayer\n"
        "itself failed; 126: the command cannot be executed; 127: there is no such command.\n"
        "A file .wasm or .wat is imported as an image first; what follows it are its arguments.",
    .examples =
        "zlayer run --rm -it busybox sh\ta shell\n"
        "zlayer run -d --name cache -m 64m -v ./data:/data busybox httpd -f\tin the background\n"
        "zlayer run -d -v db:/var/lib/postgresql/data postgres\tits files outlive it\n"
        "zlayer run --rm -v ./data:/data:ro tool.wasm /data/list\ta WebAssembly module",
    .options = run_options,
    .options_size = sizeof(struct run_options),
    .min_args = 1,
    .max_args = -1,
    .options_first = true,
    .own_failure = true,
    .completes = "image",
    .run = run_run,
};

/* ---- exec ---------------------------------------------------------------------------------- */

struct exec_options {
    bool tty, stdin_open, no_sig_proxy, detach;
    const char *user, *cwd, *deployment, *detach_keys;
    uint64_t replica; /* 0: the first that runs */
    struct cli_list env;
};

static json_t *exec_body(const struct exec_options *o, int argc, char **argv, struct zl_error *err)
{
    uint16_t rows = 0, cols = 0;
    if (o->tty)
        (void)(term_size(0, &rows, &cols) || term_size(1, &rows, &cols));
    json_t *command = json_array(), *env = json_array();
    for (int i = 0; i < argc; i++)
        (void)json_array_append_new(command, json_string(argv[i]));
    for (size_t i = 0; i < o->env.n; i++) {
        const char *word = o->env.v[i], *here = strchr(word, '=') ? NULL : getenv(word);
        if (strchr(word, '='))
            (void)json_array_append_new(env, json_string(word));
        else if (here)
            (void)json_array_append_new(env, json_sprintf("%s=%s", word, here));
    }
    bool whole = json_array_size(command) == (size_t)argc;
    json_t *body = json_pack("{s:o, s:o, s:s*, s:s*, s:b, s:b, s:i, s:i}", "command", command,
                             "env", env, "user", o->user, "cwd", o->cwd, "tty", o->tty, "stdin",
                             o->stdin_open, "rows", rows, "cols", cols);
    if (body && whole)
        return body;
    json_decref(body);
    (void)zl_fail(err, ZL_ERR_INVALID, "the command is not UTF-8");
    return NULL;
}

/* As Docker: what is not there is 127, what cannot be executed 126, all else our own failure. */
static int exec_failure(const struct zl_error *err)
{
    bool missing = err->kind == ZL_ERR_NOT_FOUND || err->errnum == ENOENT;
    bool denied = err->kind == ZL_ERR_DENIED || err->errnum == EACCES || err->errnum == ENOEXEC ||
                  err->errnum == EISDIR;
    (void)cli_fail(err);
    return missing ? CLI_RUN_NOT_FOUND : denied ? CLI_RUN_DENIED : CLI_RUN_OURS;
}

static int exec_in(struct cli *cli, const struct exec_options *o, const json_t *container, int argc,
                   char **argv)
{
    struct zl_error err = { 0 };
    json_t *answer = NULL;
    json_t *body = exec_body(o, argc, argv, &err);
    if (!body)
        return ours(&err);
    int rc = cli_call(cli, "POST", "/api/v1/containers/{}/exec", jstr(container, "id"), NULL, body,
                      &answer, &err);
    json_decref(body);
    if (rc < 0) {
        json_decref(answer);
        return ours(&err);
    }
    struct stream_options s = {
        .exec = true,
        .tty = o->tty,
        .stdin_open = o->stdin_open,
        .sig_proxy = !o->no_sig_proxy,
        .leave = o->detach,
        .detach_keys = o->detach_keys,
    };
    struct mon_exit exit;
    enum stream_end end;
    int code;
    if (stream_run(json_object_get(answer, "where"), &s, &end, &exit, &err) < 0)
        code = exec_failure(&err);
    else if (end == STREAM_CUT)
        code = cli_failf(CLI_RUN_OURS, "the connection to %s was cut", jstr(container, "name"));
    else
        code = end == STREAM_LEFT ? CLI_OK : exit.code;
    json_decref(answer);
    return code;
}

static int exec_run(struct cli *cli, const void *options, int argc, char **argv)
{
    const struct exec_options *o = options;
    struct zl_error err = { 0 };
    json_t *found = NULL;
    zl_autobuf struct zl_buf what = ZL_BUF(512);
    int skip = argc > 1 && strcmp(argv[1], "--") == 0 ? 2 : 1;
    if (argc <= skip)
        return cli_failf(CLI_RUN_OURS, "there is no command to execute in '%s'", argv[0]);
    if (o->tty && o->stdin_open && !o->detach && !isatty(0))
        return cli_failf(CLI_RUN_OURS, "-t with -i needs a terminal, and standard input is none");
    if (o->deployment)
        zl_buf_addf(&what, "%s/", o->deployment);
    zl_buf_adds(&what, argv[0]);

    const json_t *container = NULL;
    if (resolve_containers(cli, what.data, &found, &err) == 0)
        container = pick_replica(found, o->replica, argv[0], &err);
    int code = container ? exec_in(cli, o, container, argc - skip, argv + skip) : ours(&err);
    json_decref(found);
    return code;
}

/* clang-format off */
static const struct cli_option exec_options[] = {
    { 'i', "interactive", CLI_FLAG,   offsetof(struct exec_options, stdin_open), NULL, "pass standard input on", NULL },
    { 't', "tty",         CLI_FLAG,   offsetof(struct exec_options, tty),        NULL, "give it a terminal", NULL },
    { 'u', "user",        CLI_STRING, offsetof(struct exec_options, user),       "USER[:GROUP]", "name or number [the container's]", NULL },
    { 'w', "workdir",     CLI_STRING, offsetof(struct exec_options, cwd),        "DIR", "working directory [the container's]", NULL },
    { 'e', "env",         CLI_LIST,   offsetof(struct exec_options, env),        "NAME[=VALUE]", "environment variable, added to the container's", NULL },
    { 'r', "replica",     CLI_NUMBER, offsetof(struct exec_options, replica),    "N", "in replica N [the first that runs]", NULL },
    { 0,   "deployment",  CLI_STRING, offsetof(struct exec_options, deployment), "NAME", "of this deployment", NULL },
    { 'd', "detach",      CLI_FLAG,   offsetof(struct exec_options, detach),     NULL, "do not wait for it", NULL },
    { 0,   "detach-keys", CLI_STRING, offsetof(struct exec_options, detach_keys), "KEYS", "leave it by these keys [ctrl-p,ctrl-q]", NULL },
    { 0,   "no-sig-proxy", CLI_FLAG,  offsetof(struct exec_options, no_sig_proxy), NULL, "signals end zlayer, not the command", NULL },
    { 0 },
};
/* clang-format on */

const struct cli_command exec_command = {
    .name = "exec",
    .group = GROUP_DEPLOY,
    .args = "[DEPLOYMENT/]SERVICE|CONTAINER [--] COMMAND…",
    .summary = "Run a command in a container that runs",
    .about = "The exit code is that of the command, as for `zlayer run`.",
    .examples = "zlayer exec -it web -- sh\ta shell in the first replica\n"
                "zlayer exec -r 2 shop/web -- ps\tin the second",
    .options = exec_options,
    .options_size = sizeof(struct exec_options),
    .min_args = 2,
    .max_args = -1,
    .options_first = true,
    .own_failure = true,
    .completes = "service",
    .run = exec_run,
};
