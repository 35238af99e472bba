// SPDX-License-Identifier: Apache-2.0
/* Options as users type them, and the tables of every command. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/cli.h"

struct opts {
    bool all, quiet;
    const char *name;
    struct cli_list env;
    uint64_t number, time, grace;
    int color;
    bool verbose; /* of the global ones */
};

static const char *const words[] = { "never", "always", NULL };

/* clang-format off */
static const struct cli_option own[] = {
    { 'a', "all",    CLI_FLAG,     offsetof(struct opts, all),    NULL,   "", NULL },
    { 'q', "quiet",  CLI_FLAG,     offsetof(struct opts, quiet),  NULL,   "", NULL },
    { 'n', "name",   CLI_STRING,   offsetof(struct opts, name),   "NAME", "", NULL },
    { 'e', "env",    CLI_LIST,     offsetof(struct opts, env),    "X=Y",  "", NULL },
    { 0,   "number", CLI_NUMBER,   offsetof(struct opts, number), "N",    "", NULL },
    { 't', "time",   CLI_DURATION, offsetof(struct opts, time),   "TIME", "", NULL },
    { 'g', "grace",  CLI_GRACE,    offsetof(struct opts, grace),  "TIME", "", NULL },
    { 0,   "color",  CLI_CHOICE,   offsetof(struct opts, color),  "WHEN", "", words },
    { 0 },
};
static const struct cli_option global[] = {
    { 'v', "verbose", CLI_FLAG,   offsetof(struct opts, verbose), NULL, "", NULL },
    { 'n', "hidden",  CLI_FLAG,   offsetof(struct opts, verbose), NULL, "", NULL },
    { 0 },
};
/* clang-format on */

enum { WORDS_MAX = 12 };

struct line { /* a command line, split at blanks */
    char text[256];
    char *argv[WORDS_MAX];
    int argc;
};

static void split(struct line *l, const char *text)
{
    l->argc = 0;
    (void)snprintf(l->text, sizeof l->text, "%s", text);
    for (char *w = strtok(l->text, " "); w && l->argc < WORDS_MAX; w = strtok(NULL, " "))
        l->argv[l->argc++] = w;
}

static int parse(struct line *l, const char *text, struct opts *o, bool first_only, bool *help,
                 struct zl_error *err)
{
    *o = (struct opts){ 0 };
    *help = false;
    split(l, text);
    return cli_parse_options(l->argc, l->argv, own, o, global, o, first_only, help, err);
}

static void values_may_be_written_in_every_usual_way(void **unused)
{
    static const char *const same[] = { "-n x", "-nx", "--name x", "--name=x", "-aqn x -v" };
    struct line l;
    struct opts o;
    struct zl_error err;
    bool help;
    (void)unused;
    for (size_t i = 0; i < ZL_ARRAY_LEN(same); i++) {
        assert_int_equal(parse(&l, same[i], &o, false, &help, &err), 0);
        assert_string_equal(o.name, "x");
    }
    assert_true(o.all && o.quiet && o.verbose);
}

static void kinds_are_converted(void **unused)
{
    struct line l;
    struct opts o;
    struct zl_error err;
    bool help;
    (void)unused;
    assert_int_equal(parse(&l,
                           "-e A=1 --env B --number 7 -t 5 --color always --all=true --quiet=false",
                           &o, false, &help, &err),
                     0);
    assert_int_equal(o.env.n, 2);
    assert_string_equal(o.env.v[1], "B");
    assert_int_equal(o.number, 7);
    assert_int_equal(o.time, 5000);
    assert_int_equal(o.color, 1);
    assert_true(o.all && !o.quiet);
    cli_options_done(own, &o);
    assert_int_equal(parse(&l, "-t 1m30s", &o, false, &help, &err), 0);
    assert_int_equal(o.time, 90000);
    assert_int_equal(parse(&l, "--time 250ms", &o, false, &help, &err), 0);
    assert_int_equal(o.time, 250);
}

static void a_grace_of_zero_is_not_the_same_as_none(void **unused)
{
    struct line l;
    struct opts o;
    struct zl_error err;
    bool help;
    (void)unused;
    assert_int_equal(parse(&l, "-t 0", &o, false, &help, &err), 0);
    assert_int_equal(o.grace, 0);
    assert_int_equal(parse(&l, "-g 0", &o, false, &help, &err), 0);
    assert_int_equal(o.grace, 1);
    assert_int_equal(parse(&l, "--grace=5s", &o, false, &help, &err), 0);
    assert_int_equal(o.grace, 5000);
    assert_int_equal(parse(&l, "-g soon", &o, false, &help, &err), -1);
}

static void arguments_stay_in_order_wherever_options_stand(void **unused)
{
    struct line l;
    struct opts o;
    struct zl_error err;
    bool help;
    (void)unused;
    assert_int_equal(parse(&l, "one -a two - -- -q three", &o, false, &help, &err), 5);
    assert_string_equal(l.argv[0], "one");
    assert_string_equal(l.argv[2], "-");
    assert_string_equal(l.argv[3], "-q");
    assert_true(o.all && !o.quiet);
}

static void what_follows_the_first_argument_may_belong_to_a_command(void **unused)
{
    struct line l;
    struct opts o;
    struct zl_error err;
    bool help;
    (void)unused;
    assert_int_equal(parse(&l, "-a image -q -- --help", &o, true, &help, &err), 4);
    assert_true(o.all && !o.quiet && !help);
    assert_string_equal(l.argv[2], "--");
}

static void help_is_noticed_everywhere_but_behind_the_dashes(void **unused)
{
    struct line l;
    struct opts o;
    struct zl_error err;
    bool help;
    (void)unused;
    assert_int_equal(parse(&l, "x --help", &o, false, &help, &err), 1);
    assert_true(help);
    assert_int_equal(parse(&l, "-ah", &o, false, &help, &err), 0);
    assert_true(help);
    assert_int_equal(parse(&l, "-- --help", &o, false, &help, &err), 1);
    assert_false(help);
}

static void mistakes_are_told_with_what_was_meant(void **unused)
{
    static const struct {
        const char *line, *message;
    } cases[] = {
        { "--nmae x", "there is no option --nmae; did you mean --name?" },
        { "--zzzzzz", "there is no option --zzzzzz" },
        { "-x", "there is no option -x" },
        { "-an", "--name needs a value: NAME" },
        { "--name", "--name needs a value: NAME" },
        { "--number x", "--number takes a number, not 'x'" },
        { "--number -1", "--number takes a number, not '-1'" },
        { "--number 99999999999999999999", "--number takes a number, not '99999999999999999999'" },
        { "--time 5parsec",
          "--time takes a duration such as 30s or 2m, or seconds, not '5parsec'" },
        { "--color red", "--color is never or always, not 'red'" },
        { "--all=maybe", "--all is true or false, not 'maybe'" },
    };
    struct line l;
    struct opts o;
    bool help;
    (void)unused;
    for (size_t i = 0; i < ZL_ARRAY_LEN(cases); i++) {
        struct zl_error err = { 0 };
        assert_int_equal(parse(&l, cases[i].line, &o, false, &help, &err), -1);
        assert_string_equal(err.msg, cases[i].message);
    }
}

/* ---- the tables ---------------------------------------------------------------------------- */

static void check_table(const char *command, const struct cli_option *table, size_t size)
{
    for (const struct cli_option *o = table; o && o->name; o++) {
        for (const struct cli_option *p = table; p != o; p++)
            if (strcmp(p->name, o->name) == 0 || (o->letter && p->letter == o->letter))
                fail_msg("%s: --%s is there twice", command, o->name);
        if ((o->kind == CLI_FLAG) != (o->arg == NULL))
            fail_msg("%s: --%s: only a flag has no value", command, o->name);
        if (o->offset >= size || (o->kind == CLI_CHOICE && !o->words))
            fail_msg("%s: --%s is not described well", command, o->name);
    }
}

static void check_command(const struct cli_command *c)
{
    assert_non_null(c->summary);
    assert_true((c->run == NULL) != (c->sub == NULL));
    check_table(c->name, c->options, c->options_size);
    for (const struct cli_command *s = c->sub; s && s->name; s++)
        check_command(s);
}

static void the_tables_of_all_commands_are_sound(void **unused)
{
    (void)unused;
    check_table("zlayer", cli_program.globals, sizeof(struct cli));
    for (const struct cli_command *const *c = cli_program.commands; *c; c++) {
        check_command(*c);
        assert_ptr_equal(cli_find_command((*c)->name), *c);
    }
    assert_null(cli_find_command("nothing"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_may_be_written_in_every_usual_way),
        cmocka_unit_test(kinds_are_converted),
        cmocka_unit_test(a_grace_of_zero_is_not_the_same_as_none),
        cmocka_unit_test(arguments_stay_in_order_wherever_options_stand),
        cmocka_unit_test(what_follows_the_first_argument_may_belong_to_a_command),
        cmocka_unit_test(help_is_noticed_everywhere_but_behind_the_dashes),
        cmocka_unit_test(mistakes_are_told_with_what_was_meant),
        cmocka_unit_test(the_tables_of_all_commands_are_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
