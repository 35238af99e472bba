// SPDX-License-Identifier: Apache-2.0
/* spec dump, schema, diff: what zlayer makes of a file. Asks no agent and starts none. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/deployment/document.h"
#include "cli/output.h"
#include "spec/diff.h"
#include "spec/dump/dump.h"
#include "spec/fields/schema.h"
#include "spec/reference.h"

enum {
    SPEC_DIFFERS = 10,
    DUMP_MAX = 256 * 1024 * 1024,
    VALUE_SHOWN = 120,
    REFERENCE_MAX = 1024 * 1024
};

struct dump_options {
    int form;
};

static const char *const dump_forms[] = { "yaml", "json", NULL };

static int print_buf(const struct zl_buf *out, const char *what)
{
    struct zl_error err;
    if (zl_buf_check(out, what, &err) < 0)
        return cli_fail(&err);
    (void)fwrite(out->data, 1, out->len, stdout); /* main notices a full disk at the end */
    return CLI_OK;
}

static int dump_run(struct cli *cli, const void *options, int argc, char **argv)
{
    const struct dump_options *o = options;
    autodocument struct document d;
    zl_autobuf struct zl_buf out = ZL_BUF(DUMP_MAX);
    int code = document_parse(cli, argc ? argv[0] : NULL, &d);
    if (code != CLI_OK)
        return code;
    json_t *dump = spec_dump(d.spec);
    (o->form || cli->format == CLI_JSON ? spec_dump_json : spec_dump_yaml)(dump, &out);
    json_decref(dump);
    return print_buf(&out, "the dump");
}

static int schema_run(struct cli *cli, const void *options, int argc, char **argv)
{
    (void)cli;
    (void)options;
    (void)argc;
    (void)argv;
    json_t *schema = spec_schema();
    print_json(schema);
    json_decref(schema);
    return CLI_OK;
}

static int reference_run(struct cli *cli, const void *options, int argc, char **argv)
{
    (void)cli;
    (void)options;
    (void)argc;
    (void)argv;
    zl_autobuf struct zl_buf out = ZL_BUF(REFERENCE_MAX);
    spec_reference(&out);
    return print_buf(&out, "the reference");
}

/* ---- diff ------------------------------------------------------------------------------------ */

static void print_value(const json_t *v)
{
    char *text = json_is_null(v) ? NULL : json_dumps(v, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    size_t len = text ? strlen(text) : 0;
    if (!text)
        (void)fputs("(not said)", stdout);
    else
        (void)printf("%.*s%s", VALUE_SHOWN, text, len > VALUE_SHOWN ? "…" : "");
    free(text);
}

static void print_fields(const json_t *fields)
{
    for (size_t i = 0; i < json_array_size(fields); i++) {
        const json_t *f = json_array_get(fields, i);
        (void)printf("    %s: ", jstr(f, "path"));
        print_value(json_object_get(f, "old"));
        (void)fputs(" -> ", stdout);
        print_value(json_object_get(f, "new"));
        (void)puts(jbool(f, "live") ? "  (live)" : "  (new containers)");
    }
}

static void print_names(char sign, const json_t *names)
{
    for (size_t i = 0; i < json_array_size(names); i++)
        (void)printf("%c %s\n", sign, json_string_value(json_array_get(names, i)));
}

static void print_diff(const json_t *diff)
{
    const json_t *services = json_object_get(diff, "services");
    const json_t *changed = json_object_get(services, "changed");
    const json_t *document = json_object_get(diff, "document");
    if (json_array_size(document))
        (void)puts("~ the document");
    print_fields(document);
    print_names('+', json_object_get(services, "added"));
    print_names('-', json_object_get(services, "removed"));
    for (size_t i = 0; i < json_array_size(changed); i++) {
        const json_t *s = json_array_get(changed, i);
        (void)printf("~ %s: %s\n", jstr(s, "service"),
                     jbool(s, "recreate") ? "needs new containers" : "applies live");
        print_fields(json_object_get(s, "fields"));
    }
}

static int diff_run(struct cli *cli, const void *options, int argc, char **argv)
{
    (void)options;
    (void)argc;
    autodocument struct document from = { 0 }, to = { 0 };
    int code = document_parse(cli, argv[0], &from);
    if (code == CLI_OK)
        code = document_parse(cli, argv[1], &to);
    if (code != CLI_OK)
        return code;
    json_t *diff = spec_diff(from.spec, to.spec);
    if (cli->format == CLI_JSON)
        print_json(diff);
    else
        print_diff(diff);
    code = jbool(diff, "same") ? CLI_OK : SPEC_DIFFERS;
    json_decref(diff);
    return code;
}

/* clang-format off */
static const struct cli_option dump_options[] = {
    { 'o', "output", CLI_CHOICE, offsetof(struct dump_options, form), "FORM", "yaml or json [yaml]", dump_forms },
    { 0 },
};

static const struct cli_command spec_commands[] = {
    { .name = "dump", .args = "[SPEC]", .summary = "Print a file with all defaults",
      .about = "Read again, the output gives the same dump.",
      .examples = "zlayer spec dump shop.zlayer.yml -o json",
      .options = dump_options, .options_size = sizeof(struct dump_options), .max_args = 1,
      .completes = "spec", .run = dump_run },
    { .name = "schema", .summary = "Print the JSON Schema (2020-12) of a file", .run = schema_run },
    { .name = "reference", .summary = "Print all fields of a file, in Markdown", .run = reference_run },
    { .name = "diff", .args = "OLD NEW", .summary = "Print what changes from one file to another",
      .about = "Each difference says whether it needs new containers or applies to running ones.\n\n"
               "Exit code 0 when nothing changes, 10 when something does.",
      .min_args = 2, .max_args = 2, .completes = "spec", .run = diff_run },
    { 0 },
};
/* clang-format on */

const struct cli_command spec_command = {
    .name = "spec",
    .group = GROUP_OTHER,
    .summary = "Look at a file as zlayer reads it",
    .sub = spec_commands,
};
