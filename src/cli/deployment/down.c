// SPDX-License-Identifier: Apache-2.0
/* down, stop and restart. */
#include <stdio.h>
#include <string.h>

#include "cli/output.h"
#include "cli/progress.h"
#include "cli/resolve.h"

struct halt_options {
    bool force;
    uint64_t grace_ms;
    const char *service; /* of stop */
};

static int down_run(struct cli *cli, const void *options, int argc, char **argv)
{
    const struct halt_options *o = options;
    struct zl_error err = { 0 };
    zl_autofree char *name = NULL;
    if (resolve_deployment(cli, argc ? argv[0] : NULL, &name, &err) < 0)
        return cli_fail(&err);
    zl_autobuf struct zl_buf path = ZL_BUF(1024);
    api_path(&path, "/api/v1/deployments/{}", name, NULL);
    zl_buf_addf(&path, "?wait=1&force=%d&grace_ms=%llu", o->force, (unsigned long long)o->grace_ms);
    (void)printf("Removing %s\n", name);
    (void)fflush(stdout);
    int status = 0;
    if (api_client_call(cli->client, "DELETE", path.data, NULL, NULL, &status, &err) < 0)
        return cli_fail_midway(&err, CLI_KEPT);
    if (status != 204)
        return cli_failf(CLI_FAILED, "%s is still being removed", name);
    (void)printf("%s is gone\n", name);
    return CLI_OK;
}

static int print_stopped(struct cli *cli, const json_t *services, int status)
{
    if (cli->format == CLI_JSON) {
        print_json(services);
        return CLI_OK;
    }
    for (size_t i = 0; i < json_array_size(services); i++) {
        const json_t *s = json_array_get(services, i);
        bool job = strcmp(jstr(s, "rtype"), "service") != 0;
        (void)printf("%s is %s\n", jstr(s, "name"),
                     job && status == 200 ? "not running" : jstr(s, "status"));
    }
    return status == 200 ? CLI_OK : cli_failf(CLI_FAILED, "not everything has stopped yet");
}

/* One of: a service by option, a deployment, "deployment/service", a service by its name alone. */
static int find_target(struct cli *cli, const struct halt_options *o, const char *what,
                       char **ret_deployment, char **ret_service, struct zl_error *err)
{
    *ret_deployment = *ret_service = NULL;
    if (!o->service && what && strchr(what, '/'))
        return resolve_service(cli, what, ret_deployment, ret_service, err);
    if (resolve_deployment(cli, what, ret_deployment, err) == 0) {
        *ret_service = o->service ? strdup(o->service) : NULL;
        return 0;
    }
    if (o->service || !what || err->kind != ZL_ERR_NOT_FOUND)
        return -1;
    struct zl_error second = { 0 };
    int rc = resolve_service(cli, what, ret_deployment, ret_service, &second);
    if (rc < 0 && second.kind != ZL_ERR_NOT_FOUND)
        *err = second; /* several deployments have one of this name */
    return rc;
}

static int stop_run(struct cli *cli, const void *options, int argc, char **argv)
{
    const struct halt_options *o = options;
    struct zl_error err = { 0 };
    zl_autofree char *deployment = NULL, *service = NULL;
    if (find_target(cli, o, argc ? argv[0] : NULL, &deployment, &service, &err) < 0)
        return cli_fail(&err);
    zl_autobuf struct zl_buf path = ZL_BUF(1024);
    api_path(&path, "/api/v1/deployments/{}/stop?wait=1", deployment, NULL);
    json_t *body = json_pack("{s:s*, s:I, s:b}", "service", service, "grace_ms",
                             (json_int_t)o->grace_ms, "force", o->force);
    if (!body) /* and a request without a body stops all of them */
        return cli_failf(CLI_FAILED, "--service is not UTF-8: there is no service of that name");
    json_t *answer = NULL;
    int status = 0;
    int code = api_client_call(cli->client, "POST", path.data, body, &answer, &status, &err) < 0
                   ? cli_fail_midway(&err, CLI_KEPT)
                   : print_stopped(cli, answer, status);
    json_decref(answer);
    json_decref(body);
    return code;
}

/* ---- restart ------------------------------------------------------------------------------- */

struct restart_options {
    bool detach;
    uint64_t timeout_ms;
};

/* The replica called what, as the body of a request, and its deployment (allocated). */
static json_t *find_replica(struct cli *cli, const char *what, char **ret_deployment,
                            struct zl_error *err)
{
    json_t *found = NULL, *body = NULL;
    if (resolve_containers(cli, what, &found, err) < 0)
        return NULL;
    const json_t *c = json_array_get(found, 0);
    if (jint(c, "index") > 0) {
        *ret_deployment = strdup(jstr(c, "deployment"));
        body = json_pack("{s:s, s:I}", "service", jstr(c, "service"), "index",
                         (json_int_t)jint(c, "index"));
    } else {
        (void)zl_fail(err, ZL_ERR_CONFLICT,
                      "restart '%s': it is of no service, and what has ended is not started again: "
                      "run it anew",
                      what);
    }
    json_decref(found);
    return body;
}

static json_t *find_restarted(struct cli *cli, const char *what, char **ret_deployment,
                              struct zl_error *err)
{
    static const struct halt_options any = { 0 };
    struct zl_error why = { 0 };
    zl_autofree char *service = NULL;
    if (find_target(cli, &any, what, ret_deployment, &service, &why) == 0)
        return json_pack("{s:s*}", "service", service);
    if (why.kind == ZL_ERR_NOT_FOUND && what)
        return find_replica(cli, what, ret_deployment, err);
    *err = why;
    return NULL;
}

static int restart_run(struct cli *cli, const void *options, int argc, char **argv)
{
    const struct restart_options *o = options;
    struct zl_error err = { 0 };
    zl_autofree char *deployment = NULL;
    json_t *body = find_restarted(cli, argc ? argv[0] : NULL, &deployment, &err);
    if (!body)
        return cli_fail(&err);
    int rc =
        cli_call(cli, "POST", "/api/v1/deployments/{}/restart", deployment, NULL, body, NULL, &err);
    json_decref(body);
    if (rc < 0)
        return cli_fail(&err);
    const struct progress_options p = { .timeout_ms = o->timeout_ms };
    return o->detach ? CLI_OK : progress_follow(cli, deployment, &p);
}

/* clang-format off */
static const struct cli_option restart_options[] = {
    { 'd', "detach",  CLI_FLAG,     offsetof(struct restart_options, detach),     NULL,   "do not wait until all is ready again", NULL },
    { 't', "timeout", CLI_DURATION, offsetof(struct restart_options, timeout_ms), "TIME", "give up waiting after this long; exit code 5", NULL },
    { 0 },
};
#define HALT_OPTIONS \
    { 'f', "force", CLI_FLAG,     offsetof(struct halt_options, force),    NULL,   "kill at once", NULL }, \
    { 't', "grace", CLI_GRACE,    offsetof(struct halt_options, grace_ms), "TIME", "time before it is killed, 0: at once [the document's]", NULL }
static const struct cli_option down_options[] = { HALT_OPTIONS, { 0 } };
static const struct cli_option stop_options[] = {
    HALT_OPTIONS,
    { 's', "service", CLI_STRING, offsetof(struct halt_options, service), "SERVICE", "only this service", NULL },
    { 0 },
};
/* clang-format on */

const struct cli_command down_command = {
    .name = "down",
    .group = GROUP_DEPLOY,
    .args = "[DEPLOYMENT]",
    .summary = "Stop and remove a deployment",
    .about = "Without a name, the only deployment there is. Logs stay for their retention time.",
    .options = down_options,
    .options_size = sizeof(struct halt_options),
    .max_args = 1,
    .completes = "deployment",
    .run = down_run,
};

const struct cli_command stop_command = {
    .name = "stop",
    .group = GROUP_DEPLOY,
    .args = "[DEPLOYMENT|[DEPLOYMENT/]SERVICE]",
    .summary = "Stop services until the next deploy, and executions of jobs",
    .about = "Executions of a job that have not ended are cancelled; it can be run again.",
    .examples = "zlayer stop shop\tall services of shop\nzlayer stop shop/web -t 5s\tone of them\n"
                "zlayer stop shop/report\tall executions of a job",
    .options = stop_options,
    .options_size = sizeof(struct halt_options),
    .max_args = 1,
    .completes = "deployment",
    .run = stop_run,
};

const struct cli_command restart_command = {
    .name = "restart",
    .group = GROUP_DEPLOY,
    .args = "[DEPLOYMENT|[DEPLOYMENT/]SERVICE|REPLICA]",
    .summary = "Replace running replicas by new ones of the same version",
    .about =
        "Those of a service one after the other, each when the one before is ready, as a deploy\n"
        "does; a single replica is stopped and made anew. A service that was stopped starts.\n"
        "Returns when all is ready again.",
    .examples = "zlayer restart shop/web\tall replicas of web, without a gap\n"
                "zlayer restart web-rep-2\tthis one\n"
                "zlayer restart shop -d\tevery service of shop, and do not wait",
    .options = restart_options,
    .options_size = sizeof(struct restart_options),
    .max_args = 1,
    .completes = "service",
    .run = restart_run,
};
