// SPDX-License-Identifier: Apache-2.0
/* job run, ls, status. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/container/logs.h"
#include "cli/deployment/job.h"
#include "cli/output.h"

struct job_options {
    bool wait;
};

/* ---- run ----------------------------------------------------------------------------------- */

static const struct job_paths job_paths = { "/api/v1/jobs/{}/trigger",
                                            "/api/v1/deployments/{}/jobs/{}/trigger" };

int job_ask(struct cli *cli, const char *method, const struct job_paths *paths, const char *what,
            json_t **ret, struct zl_error *err)
{
    const char *slash = strchr(what, '/');
    zl_autofree char *deployment = slash ? strndup(what, (size_t)(slash - what)) : NULL;
    if (slash)
        return cli_call(cli, method, paths->qualified, deployment, slash + 1, NULL, ret, err);
    return cli_call(cli, method, paths->plain, what, NULL, NULL, ret, err);
}

/* The exit code of the execution's command; 1 when it has none. */
static int finished(const struct cli *cli, const json_t *x)
{
    struct zl_error err = { 0 };
    bool completed = strcmp(jstr(x, "status"), "completed") == 0;
    const json_t *code = json_object_get(x, "exit_code");
    if (cli->format == CLI_JSON)
        print_json(x);
    else if (*jstr(x, "log") && logs_copy(jstr(x, "log"), &err) < 0)
        (void)fprintf(stderr, "(%s)\n", err.msg);
    if (cli->format == CLI_TABLE && json_is_integer(code))
        (void)fprintf(stderr, "%s %s with exit code %lld\n", jstr(x, "job"), jstr(x, "status"),
                      (long long)json_integer_value(code));
    else if (cli->format == CLI_TABLE)
        (void)fprintf(stderr, "%s %s: %s\n", jstr(x, "job"), jstr(x, "status"), jstr(x, "reason"));
    if (completed)
        return CLI_OK;
    return json_is_integer(code) && json_integer_value(code) ? (int)json_integer_value(code)
                                                             : CLI_FAILED;
}

static int wait_for(struct cli *cli, const char *id)
{
    struct zl_error err = { 0 };
    json_t *x = NULL;
    int code = cli_call(cli, "GET", "/api/v1/jobs/{}/status?wait=1&timeout_ms=0", id, NULL, NULL,
                        &x, &err) < 0
                   ? cli_fail(&err)
                   : finished(cli, x);
    json_decref(x);
    return code;
}

int job_trigger(struct cli *cli, const struct job_paths *paths, const char *what, bool wait)
{
    struct zl_error err = { 0 };
    json_t *answer = NULL;
    int code = CLI_OK;
    if (job_ask(cli, "POST", paths, what, &answer, &err) < 0)
        code = cli_fail(&err);
    else if (wait)
        code = wait_for(cli, jstr(answer, "execution_id"));
    else if (cli->format == CLI_JSON)
        print_json(answer);
    else
        (void)printf("%s\n", jstr(answer, "execution_id"));
    json_decref(answer);
    return code;
}

static int job_run(struct cli *cli, const void *options, int argc, char **argv)
{
    const struct job_options *o = options;
    (void)argc;
    return job_trigger(cli, &job_paths, argv[0], o->wait);
}

/* ---- ls, status ---------------------------------------------------------------------------- */

/* A job and its last execution in one flat object. */
static json_t *flat_row(const json_t *job)
{
    json_t *row = json_deep_copy(json_object_get(job, "last_execution"));
    if (!json_is_object(row)) {
        json_decref(row);
        row = json_object();
    }
    json_t *id = json_incref(json_object_get(row, "id"));
    (void)json_object_del(row, "id"); /* missing is fine */
    if (id)
        (void)json_object_set_new(row, "execution_id", id);
    (void)json_object_set(row, "job", json_object_get(job, "name"));
    (void)json_object_set(row, "deployment", json_object_get(job, "deployment"));
    (void)json_object_set(row, "image", json_object_get(job, "image"));
    return row;
}

static void add_execution(struct table *t, const json_t *x, int64_t now)
{
    char age[16];
    const json_t *code = json_object_get(x, "exit_code");
    format_age(jstr(x, "created_at"), now, age);
    table_add(t, style_of(jstr(x, "status")), "%s", *jstr(x, "status") ? jstr(x, "status") : "-");
    if (json_is_integer(code))
        table_add(t, STYLE_PLAIN, "%lld", (long long)json_integer_value(code));
    else
        table_add(t, STYLE_PLAIN, "-");
    table_add(t, STYLE_PLAIN, "%s", age);
    table_add(t, STYLE_PLAIN, "%s", jstr(x, "reason"));
}

static void print_jobs(const struct cli *cli, const json_t *rows)
{
    static const char *const headers[] = { "DEPLOYMENT", "JOB",    "STATUS", "EXIT",
                                           "AGE",        "REASON", NULL };
    autotable struct table t;
    table_init(&t, headers);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        table_add(&t, STYLE_PLAIN, "%s", jstr(row, "deployment"));
        table_add(&t, STYLE_PLAIN, "%s", jstr(row, "job"));
        add_execution(&t, row, zl_wall_ms());
    }
    table_print(cli, &t);
}

static int ls_run(struct cli *cli, const void *options, int argc, char **argv)
{
    struct zl_error err = { 0 };
    json_t *jobs = NULL, *rows = json_array();
    (void)options;
    (void)argc;
    (void)argv;
    int rc = cli_call(cli, "GET", "/api/v1/jobs", NULL, NULL, NULL, &jobs, &err);
    for (size_t i = 0; i < json_array_size(jobs); i++)
        (void)json_array_append_new(rows, flat_row(json_array_get(jobs, i)));
    json_decref(jobs);
    return cli_show(cli, rc, rows, print_jobs, &err);
}

void job_print_executions(const struct cli *cli, const json_t *list)
{
    static const char *const headers[] = { "EXECUTION", "STATUS", "EXIT", "AGE", "REASON", NULL };
    autotable struct table t;
    table_init(&t, headers);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *x = json_array_get(list, i);
        table_add(&t, STYLE_PLAIN, "%s", jstr(x, "id"));
        add_execution(&t, x, zl_wall_ms());
    }
    table_print(cli, &t);
}

static void print_execution(const struct cli *cli, const json_t *execution)
{
    json_t *alone = json_pack("[O]", execution);
    job_print_executions(cli, alone);
    json_decref(alone);
}

/* Of an execution by its id, or of all that are kept of a job. */
static int status_run(struct cli *cli, const void *options, int argc, char **argv)
{
    struct zl_error err = { 0 };
    json_t *v = NULL;
    (void)options;
    (void)argc;
    int rc = cli_call(cli, "GET", "/api/v1/jobs/{}/status", argv[0], NULL, NULL, &v, &err);
    if (rc == 0 || err.kind != ZL_ERR_NOT_FOUND)
        return cli_show(cli, rc, v, print_execution, &err);
    json_decref(v);
    return cli_get(cli, "/api/v1/jobs/{}/executions", argv[0], job_print_executions);
}

/* clang-format off */
static const struct cli_option run_job_options[] = {
    { 'w', "wait", CLI_FLAG, offsetof(struct job_options, wait), NULL, "until it ends: prints its output, exits with its code", NULL },
    { 0 },
};

static const struct cli_command job_commands[] = {
    { .name = "run", .alias = "trigger", .args = "[DEPLOYMENT/]JOB", .summary = "Run a job now",
      .options = run_job_options, .options_size = sizeof(struct job_options), .min_args = 1, .max_args = 1,
      .completes = "job", .run = job_run },
    { .name = "ls", .alias = "list", .summary = "List jobs and how they ended last", .run = ls_run },
    { .name = "status", .args = "EXECUTION|JOB", .summary = "Show one execution, or all that are kept of a job",
      .min_args = 1, .max_args = 1, .completes = "job", .run = status_run },
    { 0 },
};
/* clang-format on */

const struct cli_command job_command = {
    .name = "job",
    .group = GROUP_DEPLOY,
    .summary = "Run jobs and see how they ended",
    .examples = "zlayer job run migrate --wait\nzlayer job ls --format json",
    .sub = job_commands,
};
