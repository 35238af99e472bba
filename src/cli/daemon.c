// SPDX-License-Identifier: Apache-2.0
/* serve, daemon, status, version: the agent itself. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/clock.h"
#include "base/helper.h"
#include "cli/output.h"
#include "cli/start.h"

enum { STOP_TIMEOUT_MS = 30000 };

/* ---- serve --------------------------------------------------------------------------------- */

static int serve_run(struct cli *cli, const void *options, int argc, char **argv)
{
    struct zl_error err = { 0 };
    const char *args[AGENT_ARGS];
    char number[12];
    zl_autofree char *program = NULL;
    (void)options;
    if (zl_helper_path("zlayerd", &program, &err) < 0)
        return cli_fail(&err);
    size_t n = agent_argv(cli, program, -1, number, args);
    for (int i = 0; i < argc; i++)
        args[n++] = argv[i];
    args[n] = NULL;
    (void)signal(SIGPIPE, SIG_DFL); /* an ignored signal would be inherited */
    (void)execv(program, (char *const *)(uintptr_t)args);
    (void)zl_fail_errno(&err, "execute '%s'", program);
    return cli_fail(&err);
}

const struct cli_command serve_command = {
    .name = "serve",
    .alias = "agent",
    .group = GROUP_AGENT,
    .summary = "Be the agent, in the foreground",
    .args = "[-- OPTIONS OF zlayerd]",
    .about = "Ctrl+C or SIGTERM ends the agent. Containers go on; the next agent takes them over.",
    .examples = "zlayer serve -- --log-level debug\tand say more",
    .max_args = AGENT_MORE,
    .run = serve_run,
};

/* ---- status -------------------------------------------------------------------------------- */

/* Both lists of what `status` shows; 0, or -1. */
static int ask_status(struct cli *cli, json_t **ret_agent, json_t **ret_deployments,
                      struct zl_error *err)
{
    if (cli_connect_running(cli, err) < 0 ||
        api_client_call(cli->client, "GET", "/api/v1/info", NULL, ret_agent, NULL, err) < 0)
        return -1;
    return api_client_call(cli->client, "GET", "/api/v1/deployments", NULL, ret_deployments, NULL,
                           err);
}

static void print_deployments(const struct cli *cli, const json_t *list)
{
    static const char *const headers[] = { "DEPLOYMENT", "STATUS",  "REVISION", "SERVICES",
                                           "REPLICAS",   "UPDATED", NULL };
    autotable struct table t;
    table_init(&t, headers);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *d = json_array_get(list, i);
        const json_t *services = json_object_get(d, "services");
        int64_t running = 0, desired = 0;
        char age[16];
        for (size_t k = 0; k < json_array_size(services); k++) {
            running += jint(json_array_get(services, k), "running");
            desired += jint(json_array_get(services, k), "desired");
        }
        format_age(jstr(d, "updated_at"), zl_wall_ms(), age);
        table_add(&t, STYLE_PLAIN, "%s", jstr(d, "name"));
        table_add(&t, style_of(jstr(d, "status")), "%s%s%s", jstr(d, "status"),
                  *jstr(d, "message") ? ": " : "", jstr(d, "message"));
        table_add(&t, STYLE_PLAIN, "%lld", (long long)jint(d, "revision"));
        table_add(&t, STYLE_PLAIN, "%zu", json_array_size(services));
        table_add(&t, STYLE_PLAIN, "%lld/%lld", (long long)running, (long long)desired);
        table_add(&t, STYLE_PLAIN, "%s", age);
    }
    (void)printf("\n");
    table_print(cli, &t);
}

static void print_agent(const json_t *agent)
{
    static const struct {
        const char *label, *key;
    } lines[] = { { "version", "version" },
                  { "runtime", "runtime" },
                  { "socket", "socket" },
                  { "root folder", "root_dir" },
                  { "runtime folder", "runtime_dir" },
                  { "since", "started_at" } };
    (void)printf("agent: running, process %lld%s\n", (long long)jint(agent, "pid"),
                 jbool(agent, "ready") ? "" : ", still looking for what runs");
    for (size_t i = 0; i < ZL_ARRAY_LEN(lines); i++)
        (void)printf("%s: %s\n", lines[i].label, jstr(agent, lines[i].key));
}

/* There is none: said on stdout, since that is the answer. */
static int print_absence(const struct cli *cli, const struct zl_error *why)
{
    if (cli->format == CLI_JSON) {
        json_t *v = json_pack("{s:n, s:s, s:[]}", "agent", "reason", why->msg, "deployments");
        print_json(v);
        json_decref(v);
    } else {
        (void)printf("agent: not running (%s)\n", why->msg);
    }
    return CLI_NO_AGENT;
}

static int status_run(struct cli *cli, const void *options, int argc, char **argv)
{
    struct zl_error err = { 0 };
    json_t *agent = NULL, *deployments = NULL;
    int code = CLI_OK;
    (void)options;
    (void)argc;
    (void)argv;
    if (ask_status(cli, &agent, &deployments, &err) < 0) {
        code = err.kind == ZL_ERR_UNREACHABLE ? print_absence(cli, &err) : cli_fail(&err);
    } else if (cli->format == CLI_JSON) {
        json_t *v = json_pack("{s:O, s:O}", "agent", agent, "deployments", deployments);
        print_json(v);
        json_decref(v);
    } else {
        print_agent(agent);
        print_deployments(cli, deployments);
    }
    json_decref(agent);
    json_decref(deployments);
    return code;
}

const struct cli_command status_command = {
    .name = "status",
    .group = GROUP_DEPLOY,
    .summary = "Show the agent and what is deployed; starts no agent",
    .about = "Exit code 4 when no agent runs.",
    .run = status_run,
};

/* ---- daemon -------------------------------------------------------------------------------- */

static int start_run(struct cli *cli, const void *options, int argc, char **argv)
{
    struct zl_error err = { 0 };
    (void)options;
    (void)argc;
    (void)argv;
    if (cli_connect_running(cli, NULL) == 0) {
        (void)printf("an agent is running already\n");
        return CLI_OK;
    }
    if (cli_connect(cli, &err) < 0)
        return cli_fail(&err);
    (void)printf("started\n");
    return CLI_OK;
}

/* Its end, by a pidfd taken before it was asked to end. */
static int await_end(int pidfd, struct zl_error *err)
{
    struct pollfd p = { .fd = pidfd, .events = POLLIN };
    int n;
    do {
        n = poll(&p, 1, STOP_TIMEOUT_MS);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return zl_fail_errno(err, "wait for the agent's end");
    return n > 0 ? 0
                 : zl_fail(err, ZL_ERR_TIMEOUT, "the agent does not end within %d s",
                           STOP_TIMEOUT_MS / 1000);
}

static int stop_agent(struct cli *cli, struct zl_error *err)
{
    json_t *agent = NULL;
    if (api_client_call(cli->client, "GET", "/api/v1/info", NULL, &agent, NULL, err) < 0) {
        json_decref(agent);
        return -1;
    }
    zl_autoclose int pidfd = (int)syscall(SYS_pidfd_open, (pid_t)jint(agent, "pid"), 0);
    json_decref(agent);
    if (api_client_call(cli->client, "POST", "/api/v1/shutdown", NULL, NULL, NULL, err) < 0)
        return -1;
    return pidfd >= 0 ? await_end(pidfd, err) : 0; /* none: it has ended already */
}

static int stop_run(struct cli *cli, const void *options, int argc, char **argv)
{
    struct zl_error err = { 0 };
    (void)options;
    (void)argc;
    (void)argv;
    if (cli_connect_running(cli, &err) < 0) {
        if (err.kind != ZL_ERR_UNREACHABLE)
            return cli_fail(&err);
        (void)printf("no agent is running\n");
        return CLI_OK;
    }
    if (stop_agent(cli, &err) < 0)
        return cli_fail(&err);
    (void)printf("stopped; containers go on\n");
    return CLI_OK;
}

static int daemon_status_run(struct cli *cli, const void *options, int argc, char **argv)
{
    struct zl_error err = { 0 };
    json_t *agent = NULL;
    int code = CLI_OK;
    (void)options;
    (void)argc;
    (void)argv;
    if (cli_connect_running(cli, &err) < 0 ||
        api_client_call(cli->client, "GET", "/api/v1/info", NULL, &agent, NULL, &err) < 0)
        code = err.kind == ZL_ERR_UNREACHABLE ? print_absence(cli, &err) : cli_fail(&err);
    else if (cli->format == CLI_JSON)
        print_json(agent);
    else
        print_agent(agent);
    json_decref(agent);
    return code;
}

static const struct cli_command daemon_commands[] = {
    { .name = "start", .summary = "Start an agent in the background", .run = start_run },
    { .name = "stop", .summary = "End the agent; containers go on", .run = stop_run },
    { .name = "status", .summary = "Say whether an agent runs", .run = daemon_status_run },
    { 0 },
};

const struct cli_command daemon_command = {
    .name = "daemon",
    .group = GROUP_AGENT,
    .summary = "Start, stop and look at the agent",
    .about = "Commands that need an agent start one by themselves.",
    .sub = daemon_commands,
};

/* ---- version ------------------------------------------------------------------------------- */

static int version_run(struct cli *cli, const void *options, int argc, char **argv)
{
    json_t *agent = NULL;
    (void)options;
    (void)argc;
    (void)argv;
    if (cli_connect_running(cli, NULL) == 0)
        (void)api_client_call(cli->client, "GET", "/api/v1/info", NULL, &agent, NULL, NULL);
    const char *theirs = jstr(agent, "version");
    if (cli->format == CLI_JSON) {
        json_t *v = json_pack("{s:s, s:o}", "client", ZL_VERSION, "agent",
                              *theirs ? json_string(theirs) : json_null());
        print_json(v);
        json_decref(v);
    } else {
        (void)printf("zlayer " ZL_VERSION "%s%s%s\n", *theirs ? " (agent " : "", theirs,
                     *theirs ? ")" : "");
    }
    json_decref(agent);
    return CLI_OK;
}

const struct cli_command version_command = {
    .name = "version",
    .group = GROUP_OTHER,
    .summary = "Print the version of zlayer, and of the agent if one runs",
    .run = version_run,
};
