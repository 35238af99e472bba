// SPDX-License-Identifier: Apache-2.0
/* cron next: when an expression fires. Asks no agent and starts none. */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "spec/cron.h"
#include "spec/zonefile.h"

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

/* clang-format off */
static const struct cli_option next_options[] = {
    { 0,   "from",  CLI_STRING, offsetof(struct next_options, from),  "TIME", "firings after this time, RFC 3339 [now]", NULL },
    { 'n', "count", CLI_NUMBER, offsetof(struct next_options, count), "N",    "how many [1]", NULL },
    { 0,   "tz",    CLI_STRING, offsetof(struct next_options, zone),  "ZONE", "zone that the expression is read in [UTC]", NULL },
    { 0 },
};

static const struct cli_command cron_commands[] = {
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
    .group = GROUP_OTHER,
    .summary = "Try out cron expressions",
    .sub = cron_commands,
};
