// SPDX-License-Identifier: Apache-2.0
/* debug parse: what one value of a document is read as. Asks no agent and starts none. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/imageref.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "spec/value/duration.h"
#include "spec/value/envref.h"
#include "spec/value/size.h"

static int refuse(const char *kind, const char *text, const char *why, size_t at)
{
    return cli_failf(CLI_BAD_SPEC, "%s '%s': %s (at byte %zu)", kind, text, why, at + 1);
}

/* Milliseconds; what is not whole has up to six decimals, the nanoseconds. */
static int parse_duration(const char *text)
{
    struct spec_flaw flaw;
    uint64_t ns;
    if (spec_parse_duration(text, &ns, &flaw) < 0)
        return refuse("duration", text, flaw.why, flaw.at);
    uint64_t rest = ns % 1000000;
    int places = 6;
    for (; rest && rest % 10 == 0; places--)
        rest /= 10;
    (void)printf("%" PRIu64, ns / 1000000);
    if (rest)
        (void)printf(".%0*" PRIu64, places, rest);
    (void)putchar('\n');
    return CLI_OK;
}

static int parse_size(const char *text)
{
    struct spec_flaw flaw;
    uint64_t bytes;
    if (spec_parse_size(text, &bytes, &flaw) < 0)
        return refuse("size", text, flaw.why, flaw.at);
    (void)printf("%" PRIu64 "\n", bytes);
    return CLI_OK;
}

static int parse_image(const char *text)
{
    char normalized[ZL_IMAGEREF_MAX];
    const char *why;
    if (zl_imageref_normalize(text, normalized, &why) < 0)
        return cli_failf(CLI_BAD_SPEC, "image reference '%s': %s", text, why);
    (void)puts(normalized);
    return CLI_OK;
}

static void print_part(const char *name, const struct spec_env_part *part)
{
    if (part->len)
        (void)printf("%s: %.*s\n", name, (int)part->len, part->at);
}

static int parse_env(const char *text)
{
    struct spec_env_value v;
    struct spec_flaw flaw;
    if (spec_parse_env_value(text, &v, &flaw) < 0)
        return refuse("value", text, flaw.why, flaw.at);
    (void)printf("kind: %s\n", spec_env_kind_name(v.kind));
    if (v.kind == SPEC_ENV_LITERAL)
        (void)printf("text: %s\n", text);
    if (v.kind == SPEC_ENV_HOST)
        print_part("variable", &v.variable);
    if (v.kind != SPEC_ENV_SECRET)
        return CLI_OK;
    (void)printf("scope: %s\n", spec_secret_scope_name(v.scope));
    print_part("service", &v.service);
    print_part("project", &v.project);
    print_part("environment", &v.env);
    print_part("name", &v.name);
    print_part("field", &v.field);
    return CLI_OK;
}

static int parse_run(struct cli *cli, const void *options, int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*parse)(const char *text);
    } kinds[] = {
        { "duration", parse_duration },
        { "size", parse_size },
        { "image", parse_image },
        { "env", parse_env },
    };
    (void)cli;
    (void)options;
    (void)argc;
    for (size_t i = 0; i < ZL_ARRAY_LEN(kinds); i++) {
        if (strcmp(kinds[i].name, argv[0]) == 0)
            return kinds[i].parse(argv[1]);
    }
    return cli_failf(CLI_USAGE, "'%s' is not one of duration, size, image, env", argv[0]);
}

/* clang-format off */
static const struct cli_command debug_commands[] = {
    { .name = "parse", .args = "KIND TEXT", .summary = "Print what a value of a document is read as",
      .about = "KIND is duration (printed in milliseconds), size (in bytes), image (the normalized\n"
               "reference) or env (the parts of a value).\n\n"
               "Exit code 3 when TEXT is refused, with the reason.",
      .examples = "zlayer debug parse duration '1h 30m'\t5400000\n"
                  "zlayer debug parse image nginx\tdocker.io/library/nginx:latest",
      .min_args = 2, .max_args = 2, .run = parse_run },
    { 0 },
};
/* clang-format on */

const struct cli_command debug_command = {
    .name = "debug",
    .group = GROUP_OTHER,
    .summary = "Look into how zlayer reads values",
    .sub = debug_commands,
};
