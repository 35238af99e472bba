// SPDX-License-Identifier: Apache-2.0
/* cron ls, status, run, enable, disable; and cron next, which asks no agent and starts none. */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/deployment/job.h"
#include "cli/output.h"
#include "spec/time/cron.h"
#include "spec/time/zonefile.h"

struct next_options {
    const char *from, *zone;
    uint64_t count;
};

enum { LOCAL_TIME_SIZE = ZL_RFC3339_SIZE + 8 };

/* RFC 3339 as the zone's clock shows it: "2026-03-29T03:00:00+02:00", in UTC with a Z. */
static void format_local(const struct tz *tz, int64_t utc, char out[LOCAL_TIME_SIZE])
{
    /* RFC 3339 knows offsets of whole minutes; the odd seconds are those of before 1972. */
    int32_t minutes = tz_offset_at(tz, utc) / 60;
    size_t n = zl_format_rfc3339((utc + minutes * INT64_C(60)) * 1000000000, 0, out);
    int32_t west = minutes < 0 ? -minutes : minutes;
    if (minutes)
        (void)snprintf(out + n - 1, LOCAL_TIME_SIZE - (n - 1), "%c%02d:%02d",
                       minutes < 0 ? '-' : '+', west / 60, west % 60);
}

static int read_start(const char *from, int64_t *ret, struct zl_error *err)
{
    int64_t ns = zl_wall_ns();
    if (from && zl_parse_rfc3339(from, &ns, err) < 0)
        return -1;
    *ret = ns / 1000000000 - (ns % 1000000000 < 0);
    return 0;
}

static int refuse(const char *text, const struct cron_flaw *flaw)
{
    char why[320];
    (void)cron_flaw_format(flaw, why, sizeof why);
    return cli_failf(CLI_BAD_SPEC, "cron expression '%s': %s", text, why);
}

static int never(const struct cron *c, const char *text)
{
    int64_t at;
    if (cron_next(c, NULL, -1, &at))
        (void)fprintf(stderr, "Warning: '%s' does not fire any more\n", text);
    else
        (void)fprintf(stderr, "Warning: '%s' never fires\n", text);
    return CLI_OK;
}

static int next_run(struct cli *cli, const void *options, int argc, char **argv)
{
    const struct next_options *o = options;
    struct zl_error err = { 0 };
    struct cron_flaw flaw;
    struct cron c;
    autotz struct tz *tz = NULL;
    int64_t at;
    (void)argc;
    if (cron_parse(argv[0], &c, &flaw) < 0)
        return refuse(argv[0], &flaw);
    if (o->zone && tz_load(TZ_DIR, o->zone, &tz, &err) < 0)
        return cli_failf(CLI_USAGE, "%s", err.msg);
    if (read_start(o->from, &at, &err) < 0)
        return cli_failf(CLI_USAGE, "%s", err.msg);

    json_t *list = cli->format == CLI_JSON ? json_array() : NULL;
    uint64_t wanted = o->count ? o->count : 1, n = 0;
    for (; n < wanted && cron_next(&c, tz, at, &at); n++) {
        char text[LOCAL_TIME_SIZE];
        format_local(tz, at, text);
        if (list)
            (void)json_array_append_new(list, json_string(text));
        else if (puts(text) < 0)
            break; /* nobody reads any more */
    }
    if (list)
        print_json(list);
    json_decref(list);
    return n ? CLI_OK : never(&c, argv[0]);
}

/* ---- of the agent -------------------------------------------------------------------------- */

struct cron_options {
    bool wait;
};

/* As the clock of its zone shows it; where there is no table of that, in UTC. */
static void add_next(struct table *t, const json_t *cron)
{
    char text[LOCAL_TIME_SIZE];
    autotz struct tz *tz = NULL;
    int64_t ns;
    if (zl_parse_rfc3339(jstr(cron, "next_run"), &ns, NULL) < 0) {
        table_add(t, STYLE_PLAIN, "-");
        return;
    }
    if (tz_load(TZ_DIR, jstr(cron, "time_zone"), &tz, NULL) < 0)
        tz = NULL;
    format_local(tz, ns / 1000000000, text);
    table_add(t, STYLE_PLAIN, "%s", text);
}

/* How the last execution ended, or that it goes on. */
static void add_result(struct table *t, const json_t *cron)
{
    const json_t *last = json_object_get(cron, "last_execution");
    const json_t *code = json_object_get(last, "exit_code");
    const char *status = jstr(last, "status");
    if (json_is_integer(code) && json_integer_value(code))
        table_add(t, style_of(status), "%s (%lld)", status, (long long)json_integer_value(code));
    else
        table_add(t, style_of(status), "%s", *status ? status : "-");
}

static void print_crons(const struct cli *cli, const json_t *list)
{
    static const char *const headers[] = { "DEPLOYMENT", "CRON",   "SCHEDULE", "ENABLED",
                                           "LAST RUN",   "RESULT", "NEXT RUN", NULL };
    autotable struct table t;
    table_init(&t, headers);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *cron = json_array_get(list, i);
        char age[16];
        format_age(jstr(cron, "last_run"), zl_wall_ms(), age);
        table_add(&t, STYLE_PLAIN, "%s", jstr(cron, "deployment"));
        table_add(&t, STYLE_PLAIN, "%s", jstr(cron, "name"));
        table_add(&t, STYLE_PLAIN, "%s", jstr(cron, "schedule"));
        table_add(&t, STYLE_PLAIN, "%s", jbool(cron, "enabled") ? "yes" : "no");
        table_add(&t, STYLE_PLAIN, "%s", age);
        add_result(&t, cron);
        add_next(&t, cron);
    }
    table_print(cli, &t);
}

static int ls_run(struct cli *cli, const void *options, int argc, char **argv)
{
    (void)options;
    (void)argc;
    (void)argv;
    return cli_get(cli, "/api/v1/cron", NULL, print_crons);
}

/* The executions that are kept of it go into the cron. */
static int add_executions(struct cli *cli, json_t *cron, struct zl_error *err)
{
    json_t *list = NULL;
    int rc = cli_call(cli, "GET", "/api/v1/jobs/{}/executions?deployment={}", jstr(cron, "name"),
                      jstr(cron, "deployment"), NULL, &list, err);
    if (rc == 0)
        (void)json_object_set(cron, "executions", list);
    json_decref(list);
    return rc;
}

static void print_status(const struct cli *cli, const json_t *cron)
{
    json_t *alone = json_pack("[O]", cron);
    print_crons(cli, alone);
    json_decref(alone);
    (void)printf("\nruns %lld, missed %lld, skipped %lld%s%s\n\n", (long long)jint(cron, "runs"),
                 (long long)jint(cron, "missed"), (long long)jint(cron, "skipped"),
                 *jstr(cron, "why") ? "; does not run by itself: " : "", jstr(cron, "why"));
    job_print_executions(cli, json_object_get(cron, "executions"));
}

static int status_run(struct cli *cli, const void *options, int argc, char **argv)
{
    static const struct job_paths paths = { "/api/v1/cron/{}", "/api/v1/deployments/{}/cron/{}" };
    struct zl_error err = { 0 };
    json_t *cron = NULL;
    (void)options;
    (void)argc;
    int rc = job_ask(cli, "GET", &paths, argv[0], &cron, &err);
    if (rc == 0)
        rc = add_executions(cli, cron, &err);
    return cli_show(cli, rc, cron, print_status, &err);
}

static int trigger_run(struct cli *cli, const void *options, int argc, char **argv)
{
    static const struct job_paths paths = { "/api/v1/cron/{}/trigger",
                                            "/api/v1/deployments/{}/cron/{}/trigger" };
    const struct cron_options *o = options;
    (void)argc;
    return job_trigger(cli, &paths, argv[0], o->wait);
}

static int set_all(struct cli *cli, const struct job_paths *paths, int argc, char **argv)
{
    int code = CLI_OK;
    for (int i = 0; i < argc && code == CLI_OK; i++) {
        struct zl_error err = { 0 };
        json_t *cron = NULL;
        if (job_ask(cli, "PUT", paths, argv[i], &cron, &err) < 0)
            code = cli_fail(&err);
        else if (cli->format == CLI_JSON)
            print_json(cron);
        json_decref(cron);
    }
    return code;
}

static int enable_run(struct cli *cli, const void *options, int argc, char **argv)
{
    static const struct job_paths paths = { "/api/v1/cron/{}/enable",
                                            "/api/v1/deployments/{}/cron/{}/enable" };
    (void)options;
    return set_all(cli, &paths, argc, argv);
}

static int disable_run(struct cli *cli, const void *options, int argc, char **argv)
{
    static const struct job_paths paths = { "/api/v1/cron/{}/disable",
                                            "/api/v1/deployments/{}/cron/{}/disable" };
    (void)options;
    return set_all(cli, &paths, argc, argv);
}

/* clang-format off */
static const struct cli_option next_options[] = {
    { 0,   "from",  CLI_STRING, offsetof(struct next_options, from),  "TIME", "firings after this time, RFC 3339 [now]", NULL },
    { 'n', "count", CLI_NUMBER, offsetof(struct next_options, count), "N",    "how many [1]", NULL },
    { 0,   "tz",    CLI_STRING, offsetof(struct next_options, zone),  "ZONE", "zone that the expression is read in [UTC]", NULL },
    { 0 },
};

static const struct cli_option run_cron_options[] = {
    { 'w', "wait", CLI_FLAG, offsetof(struct cron_options, wait), NULL, "until it ends: prints its output, exits with its code", NULL },
    { 0 },
};

static const struct cli_command cron_commands[] = {
    { .name = "ls", .alias = "list", .summary = "List crons: their last run, how it ended, and the next one",
      .about = "NEXT RUN is shown as the clock of the cron's time zone shows it, with its jitter.",
      .run = ls_run },
    { .name = "status", .args = "[DEPLOYMENT/]CRON", .summary = "Show one cron and the executions that are kept of it",
      .about = "Runs that were missed had no agent to start them, or a clock that passed them over, and\n"
               "were not made up for (catch_up); those that were skipped came while another run went\n"
               "on (overlap).",
      .min_args = 1, .max_args = 1, .completes = "cron", .run = status_run },
    { .name = "run", .alias = "trigger", .args = "[DEPLOYMENT/]CRON", .summary = "Run a cron now, also one that is disabled",
      .options = run_cron_options, .options_size = sizeof(struct cron_options), .min_args = 1, .max_args = 1,
      .completes = "cron", .run = trigger_run },
    { .name = "enable", .args = "[DEPLOYMENT/]CRON...", .summary = "Let a cron run at its times again, from now on",
      .min_args = 1, .max_args = -1, .completes = "cron", .run = enable_run },
    { .name = "disable", .args = "[DEPLOYMENT/]CRON...", .summary = "Let a cron rest until it is enabled; what runs goes on",
      .about = "It stays disabled over deploys and restarts of the agent. What would have run meanwhile\n"
               "is not made up for.",
      .min_args = 1, .max_args = -1, .completes = "cron", .run = disable_run },
    { .name = "next", .args = "EXPR", .summary = "Print when a cron expression fires next",
      .about = "EXPR has six or seven fields: second minute hour day-of-month month day-of-week\n"
               "[year], or is @hourly, @daily, @weekly, @monthly or @yearly. All fields must match.\n"
               "Days of the week are 1 = Sunday to 7 = Saturday, or names.\n\n"
               "A local time that a clock change skips fires once at the next valid instant, a\n"
               "repeated one once, the first time; an expression of every hour goes on in the\n"
               "repeated hour.\n\n"
               "Exit code 3 when the expression is refused.",
      .examples = "zlayer cron next '0 30 2 * * MON-FRI' --count 3\tthe next three firings\n"
                  "zlayer cron next @daily --tz Europe/Berlin\tmidnight in Berlin",
      .options = next_options, .options_size = sizeof(struct next_options), .min_args = 1, .max_args = 1,
      .run = next_run },
    { 0 },
};
/* clang-format on */

const struct cli_command cron_command = {
    .name = "cron",
    .group = GROUP_DEPLOY,
    .summary = "See and steer what runs at its times; try out cron expressions",
    .examples = "zlayer cron ls\nzlayer cron disable nightly\nzlayer cron run shop/nightly --wait",
    .sub = cron_commands,
};
