// SPDX-License-Identifier: Apache-2.0
/*
 * Documents and what is found in them: cases/NAME.yml beside cases/NAME.expect, which holds the
 * findings exactly as they are printed, and "ok" or "refused". Those named apply-… are also looked
 * at as if they were about to be applied on an amd64 host; compat-… are read
 * as others read v1. ZLAYER_TEST_WRITE=1 writes the
 * expectations anew, for a look at the difference.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "spec/acted.h"
#include "spec/spec.h"

static int cases = -1; /* the folder */

static void read_case(const char *name, struct zl_buf *out)
{
    struct zl_error err;
    if (zl_read_file(cases, name, out, &err) < 0)
        fail_msg("%s", err.msg);
}

static void findings(const char *name, struct zl_buf *out)
{
    zl_autobuf struct zl_buf text = ZL_BUF(16 << 20);
    autodiags struct spec_diags diags;
    spec_diags_init(&diags);
    read_case(name, &text);
    bool compat = strncmp(name, "compat-", 7) == 0, good;
    autospec struct spec *spec =
        compat ? NULL : spec_parse(text.data, text.len, name, "/srv/base", &diags);
    good =
        compat ? spec_check_compat(text.data, text.len, name, "/srv/base", &diags) : spec != NULL;
    assert_true(good == (diags.n_errors == 0));
    if (spec && strncmp(name, "apply-", 6) == 0)
        good = spec_check_apply(spec, &(struct spec_host){ .arch = "amd64" }, &diags);
    spec_diags_print(&diags, NULL, false, out);
    zl_buf_adds(out, good ? "ok\n" : "refused\n");
}

static void check_case(const char *name)
{
    zl_autobuf struct zl_buf found = ZL_BUF(1 << 20), wanted = ZL_BUF(1 << 20);
    struct zl_error err;
    char expect[300];
    (void)snprintf(expect, sizeof expect, "%.*s.expect", (int)(strlen(name) - 4), name);
    findings(name, &found);
    if (getenv("ZLAYER_TEST_WRITE")) {
        if (zl_write_atomic(cases, expect, found.data, found.len, 0644, false, &err) < 0)
            fail_msg("%s", err.msg);
        return;
    }
    read_case(expect, &wanted);
    if (strcmp(found.data, wanted.data) != 0)
        fail_msg("%s: found\n%s\nbut expected\n%s", name, found.data, wanted.data);
}

static int is_case(const struct dirent *d)
{
    size_t n = strlen(d->d_name);
    return n > 4 && strcmp(d->d_name + n - 4, ".yml") == 0;
}

static void every_document_gives_exactly_the_expected_findings(void **unused)
{
    (void)unused;
    struct dirent **names;
    int n = scandirat(cases, ".", &names, is_case, alphasort);
    assert_true(n > 30);
    for (int i = 0; i < n; i++) {
        check_case(names[i]->d_name);
        free(names[i]);
    }
    free(names);
    print_message("%d documents\n", n);
}

static void four_errors_of_one_file_come_in_one_run_with_their_places(void **unused)
{
    (void)unused;
    static const struct {
        const char *id;
        int line, column;
    } wanted[] = {
        { "E-UNKNOWN-FIELD", 6, 5 },
        { "E-DEP-CYCLE", 7, 25 },
        { "E-DUP-KEY", 11, 7 },
        { "E-TYPE", 14, 22 },
    };
    zl_autobuf struct zl_buf text = ZL_BUF(1 << 20);
    autodiags struct spec_diags diags;
    spec_diags_init(&diags);
    read_case("four-errors-in-one-run.yml", &text);
    assert_null(spec_parse(text.data, text.len, "f.yml", NULL, &diags));
    assert_int_equal(diags.n, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(diags.v[i].id, wanted[i].id);
        assert_int_equal(diags.v[i].line, wanted[i].line);
        assert_int_equal(diags.v[i].column, wanted[i].column);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_document_gives_exactly_the_expected_findings),
        cmocka_unit_test(four_errors_of_one_file_come_in_one_run_with_their_places),
    };
    if (argc != 2 || (cases = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
        (void)fprintf(stderr, "usage: %s CASES\n", argv[0]);
        return 2;
    }
    int rc = cmocka_run_group_tests_name("spec cases", tests, NULL, NULL);
    (void)close(cases);
    return rc;
}
