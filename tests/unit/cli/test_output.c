// SPDX-License-Identifier: Apache-2.0
/* Tables, ages and sizes, against golden files: run with --update to write them anew. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "cli/output.h"

static bool update;

static void compare(const char *name, const struct zl_buf *got)
{
    char path[512];
    zl_autobuf struct zl_buf want = ZL_BUF(65536);
    struct zl_error err = { 0 };
    (void)snprintf(path, sizeof path, "%s/%s", GOLDEN, name);
    if (update) {
        zl_autoclose int dir = zl_open_dir(AT_FDCWD, GOLDEN, &err);
        assert_int_equal(zl_write_atomic(dir, name, got->data, got->len, 0644, false, &err), 0);
        return;
    }
    if (zl_read_file(AT_FDCWD, path, &want, &err) < 0)
        fail_msg("%s", err.msg);
    assert_string_equal(got->data, want.data);
}

static void fill(struct table *t)
{
    static const char *const headers[] = { "NAME", "STATUS", "REASON", NULL };
    static const char *const rows[][3] = {
        { "web", "running", "" },
        { "größe-ñandú", "failed", "start: execute '/no/such/program': No such file or directory" },
        { "x", "pending", "waits for web to be healthy" },
    };
    table_init(t, headers);
    for (size_t i = 0; i < ZL_ARRAY_LEN(rows); i++) {
        table_add(t, STYLE_PLAIN, "%s", rows[i][0]);
        table_add(t, style_of(rows[i][1]), "%s", rows[i][1]);
        table_add(t, STYLE_PLAIN, "%s", rows[i][2]);
    }
}

static void a_table_is_as_wide_as_its_content_off_a_terminal(void **unused)
{
    (void)unused;
    autotable struct table t;
    zl_autobuf struct zl_buf out = ZL_BUF(65536);
    fill(&t);
    table_render(&t, 0, false, &out);
    compare("table-wide.txt", &out);
}

static void the_widest_column_gives_way_on_a_narrow_terminal(void **unused)
{
    (void)unused;
    autotable struct table t;
    zl_autobuf struct zl_buf out = ZL_BUF(65536);
    fill(&t);
    table_render(&t, 48, false, &out);
    zl_buf_adds(&out, "--\n");
    table_render(&t, 5, false, &out); /* too narrow for anything: the least width */
    compare("table-narrow.txt", &out);
}

static void colours_do_not_change_the_columns(void **unused)
{
    (void)unused;
    autotable struct table t;
    zl_autobuf struct zl_buf out = ZL_BUF(65536);
    fill(&t);
    table_render(&t, 60, true, &out);
    compare("table-colour.txt", &out);
}

static void a_table_without_rows_has_its_header(void **unused)
{
    (void)unused;
    static const char *const headers[] = { "A", "B", NULL };
    autotable struct table t;
    zl_autobuf struct zl_buf out = ZL_BUF(256);
    table_init(&t, headers);
    table_render(&t, 0, false, &out);
    assert_string_equal(out.data, "A  B\n");
}

static void ages_have_one_unit(void **unused)
{
    (void)unused;
    static const struct {
        const char *then, *age;
    } cases[] = {
        { "2026-01-02T00:00:00.000Z", "0s" },
        { "2026-01-01T23:59:01Z", "59s" },
        { "2026-01-01T23:59:00.000Z", "1m" },
        { "2026-01-01T22:30:00Z", "1h" },
        { "2025-12-30T00:00:00.000Z", "3d" },
        { "2027-01-01T00:00:00Z", "0s" },
        { "", "-" },
        { "yesterday", "-" },
    };
    for (size_t i = 0; i < ZL_ARRAY_LEN(cases); i++) {
        char age[16];
        format_age(cases[i].then, INT64_C(1767312000000), age);
        assert_string_equal(age, cases[i].age);
    }
}

static void sizes_have_three_digits_at_most(void **unused)
{
    (void)unused;
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = { { 0, "0 B" },
                  { 1023, "1023 B" },
                  { 1024, "1.0 KiB" },
                  { 1536, "1.5 KiB" },
                  { UINT64_C(200) << 20, "200 MiB" },
                  { UINT64_C(5) << 40, "5.0 TiB" },
                  { UINT64_MAX, "16777215 TiB" } };
    for (size_t i = 0; i < ZL_ARRAY_LEN(cases); i++) {
        char text[32];
        format_size(cases[i].bytes, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void absent_members_of_an_answer_are_empty(void **unused)
{
    (void)unused;
    json_t *v = json_pack("{s:s, s:n, s:i, s:b}", "a", "x", "n", "i", 5, "b", 1);
    assert_string_equal(jstr(v, "a"), "x");
    assert_string_equal(jstr(v, "n"), "");
    assert_string_equal(jstr(v, "nothing"), "");
    assert_int_equal(jint(v, "i"), 5);
    assert_int_equal(jint(v, "a"), 0);
    assert_true(jbool(v, "b"));
    assert_false(jbool(NULL, "b"));
    json_decref(v);
}

/* ---- help, manual, completion -------------------------------------------------------------- */

/* What a function prints to stdout. */
static void capture(void (*print)(void), struct zl_buf *out)
{
    char path[] = "/tmp/zlayer-cli.XXXXXX";
    struct zl_error err = { 0 };
    (void)fflush(stdout);
    int saved = dup(1), file = mkstemp(path);
    assert_true(saved >= 0 && file >= 0);
    assert_int_equal(dup2(file, 1), 1);
    print();
    (void)fflush(stdout);
    assert_int_equal(dup2(saved, 1), 1);
    assert_int_equal(lseek(file, 0, SEEK_SET), 0);
    assert_int_equal(zl_read_fd(file, out, path, &err), 0);
    (void)close(saved);
    (void)close(file);
    (void)unlink(path);
}

static void print_help_of_logs(void)
{
    cli_print_help(NULL, &logs_command);
}

static void print_man_of_job(void)
{
    cli_print_man(&job_command);
}

static void print_bash_completion(void)
{
    (void)cli_print_completion("bash");
}

static void help_and_manual_come_from_the_tables(void **unused)
{
    (void)unused;
    zl_autobuf struct zl_buf help = ZL_BUF(65536), man = ZL_BUF(65536);
    capture(print_help_of_logs, &help);
    compare("help-logs.txt", &help);
    capture(print_man_of_job, &man);
    zl_buf_consume(&man, strcspn(man.data, "\n") + 1); /* the version */
    compare("man-job.txt", &man);
}

static void completion_knows_every_command_and_option(void **unused)
{
    (void)unused;
    zl_autobuf struct zl_buf out = ZL_BUF(256 * 1024);
    capture(print_bash_completion, &out);
    for (const struct cli_command *const *c = cli_program.commands; *c; c++) {
        char entry[64];
        (void)snprintf(entry, sizeof entry, "    \"%s\") kind=", (*c)->name);
        assert_non_null(strstr(out.data, entry));
        for (const struct cli_option *o = (*c)->options; o && o->name; o++) {
            (void)snprintf(entry, sizeof entry, " --%s", o->name);
            assert_non_null(strstr(out.data, entry));
        }
    }
}

static void what_others_say_neither_breaks_a_row_nor_commands_the_terminal(void **unused)
{
    static const char *const headers[] = { "NAME", "REASON", NULL };
    (void)unused;
    autotable struct table t;
    zl_autobuf struct zl_buf out = ZL_BUF(65536);
    table_init(&t, headers);
    table_add(&t, STYLE_PLAIN, "%s", "web");
    table_add(&t, STYLE_PLAIN, "%s",
              "a\nb\x1b[2J\xc2\x9b"
              "2J caf\xc3\xa9\x7f.");
    table_render(&t, 0, false, &out);
    assert_string_equal(out.data, "NAME  REASON\nweb   a b [2J  2J caf\xc3\xa9 .\n");
}

int main(int argc, char **argv)
{
    update = argc > 1 && strcmp(argv[1], "--update") == 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_is_as_wide_as_its_content_off_a_terminal),
        cmocka_unit_test(the_widest_column_gives_way_on_a_narrow_terminal),
        cmocka_unit_test(colours_do_not_change_the_columns),
        cmocka_unit_test(a_table_without_rows_has_its_header),
        cmocka_unit_test(ages_have_one_unit),
        cmocka_unit_test(sizes_have_three_digits_at_most),
        cmocka_unit_test(absent_members_of_an_answer_are_empty),
        cmocka_unit_test(what_others_say_neither_breaks_a_row_nor_commands_the_terminal),
        cmocka_unit_test(help_and_manual_come_from_the_tables),
        cmocka_unit_test(completion_knows_every_command_and_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
