// SPDX-License-Identifier: Apache-2.0
/* Values of environment variables, case by case. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "spec/value/envref.h"

static void assert_part(const char *text, struct spec_env_part part, const char *wanted)
{
    if (part.len != strlen(wanted) || strncmp(part.len ? part.at : "", wanted, part.len) != 0)
        fail_msg("'%s': '%.*s', not '%s'", text, (int)part.len, part.at, wanted);
}

static void a_secret_is_looked_up_in_the_scope_its_reference_says(void **unused)
{
    (void)unused;
    /* clang-format off */
    static const struct {
        const char *text;
        enum spec_secret_scope scope;
        const char *service, *project, *env, *name, *field;
    } cases[] = {
        { "$S:a",          SPEC_SECRET_DEPLOYMENT,  "", "", "", "a", "" },
        { "$S:api_key",    SPEC_SECRET_DEPLOYMENT,  "", "", "", "api_key", "" },
        { "$S:A-1_",       SPEC_SECRET_DEPLOYMENT,  "", "", "", "A-1_", "" },
        { "$S:n/f",        SPEC_SECRET_DEPLOYMENT,  "", "", "", "n", "f" },
        { "$S:n/0.a_b-c",  SPEC_SECRET_DEPLOYMENT,  "", "", "", "n", "0.a_b-c" },
        { "$S:@svc/n",     SPEC_SECRET_SERVICE,     "svc", "", "", "n", "" },
        { "$S:@svc/n/f",   SPEC_SECRET_SERVICE,     "svc", "", "", "n", "f" },
        { "$S:@9to5/n",    SPEC_SECRET_SERVICE,     "9to5", "", "", "n", "" },
        { "$S::env/n",     SPEC_SECRET_ENVIRONMENT, "", "", "env", "n", "" },
        { "$S::env/n/f",   SPEC_SECRET_ENVIRONMENT, "", "", "env", "n", "f" },
        { "$S:p:env/n",    SPEC_SECRET_PROJECT,     "", "p", "env", "n", "" },
        { "$S:p:env/n/f",  SPEC_SECRET_PROJECT,     "", "p", "env", "n", "f" },
        { "$S:1.p:2.e/n",  SPEC_SECRET_PROJECT,     "", "1.p", "2.e", "n", "" },
        { "$secret://env/n",   SPEC_SECRET_ENVIRONMENT, "", "", "env", "n", "" },
        { "$secret://2.e/n/f", SPEC_SECRET_ENVIRONMENT, "", "", "2.e", "n", "f" },
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct spec_env_value v;
        struct spec_flaw flaw;
        if (spec_parse_env_value(cases[i].text, &v, &flaw) < 0)
            fail_msg("'%s': %s", cases[i].text, flaw.why);
        assert_int_equal(v.kind, SPEC_ENV_SECRET);
        assert_string_equal(spec_secret_scope_name(v.scope),
                            spec_secret_scope_name(cases[i].scope));
        assert_part(cases[i].text, v.service, cases[i].service);
        assert_part(cases[i].text, v.project, cases[i].project);
        assert_part(cases[i].text, v.env, cases[i].env);
        assert_part(cases[i].text, v.name, cases[i].name);
        assert_part(cases[i].text, v.field, cases[i].field);
    }
}

static void what_begins_as_a_reference_and_is_none_is_refused_where_it_goes_wrong(void **unused)
{
    (void)unused;
    static const struct {
        const char *text;
        size_t at;
        const char *why; /* its beginning */
    } cases[] = {
        { "$E:", 3, "the name of the variable is missing" },
        { "$S:", 3, "the name of the secret is missing" },
        { "$S:/n", 3, "the name of the secret is missing" },
        { "$S:n/", 5, "the field is missing" },
        { "$S:n/a/b", 6, "a field has only" },
        { "$S:@/n", 4, "the name of the service is missing" },
        { "$S:@", 4, "the name of the service is missing" },
        { "$S:@svc", 7, "'/' and the name" },
        { "$S:@svc/", 8, "the name of the secret is missing" },
        { "$S:@svc/n/", 10, "the field is missing" },
        { "$S:@svc/n/a/b", 11, "a field has only" },
        { "$S:@-a/n", 4, "the name of a service begins" },
        { "$S:@a.b/n", 5, "the name of a service has only" },
        { "$S:@a:b/n", 5, "the name of a service has only" },
        { "$S:a:b", 6, "'/' and the name" },
        { "$S:a:b:c/n", 6, "an environment has only" },
        { "$S:::n", 4, "an environment has only" },
        { "$S::/n", 4, "the environment is missing" },
        { "$S:p:/n", 5, "the environment is missing" },
        { "$S:p:e/", 7, "the name of the secret is missing" },
        { "$S:p:e/n/", 9, "the field is missing" },
        { "$S:p:e/n/a/b", 10, "a field has only" },
        { "$S:p q:e/n", 4, "a project has only" },
        { "$S:1x", 3, "the name of a secret begins" },
        { "$S:_x", 3, "the name of a secret begins" },
        { "$S:my.secret", 5, "the name of a secret has only" },
        { "$S:a b", 4, "the name of a secret has only" },
        { "$S:a\u00e9", 4, "the name of a secret has only" },
        { "$S:a ", 4, "the name of a secret has only" },
        { "$S:n/a b", 6, "a field has only" },
        { "$S:n/f:g", 6, "a field has only" },
        { "$secret://", 10, "the environment is missing" },
        { "$secret://e", 11, "the name of the secret is missing" },
        { "$secret://e/", 12, "the name of the secret is missing" },
        { "$secret:///n", 10, "the environment is missing" },
        { "$secret://e/n/", 14, "the field is missing" },
        { "$secret://e/n/f/g", 15, "a field has only" },
        { "$secret://e:f/n", 11, "an environment has only" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct spec_env_value v = { .kind = SPEC_ENV_LITERAL, .embedded = true };
        struct spec_flaw flaw;
        if (spec_parse_env_value(cases[i].text, &v, &flaw) == 0)
            fail_msg("'%s' was taken", cases[i].text);
        if (flaw.at != cases[i].at || strncmp(flaw.why, cases[i].why, strlen(cases[i].why)) != 0)
            fail_msg("'%s': %s at %zu", cases[i].text, flaw.why, flaw.at);
        assert_true(v.embedded); /* untouched */
    }
}

static void everything_else_is_text(void **unused)
{
    (void)unused;
    static const struct {
        const char *text;
        bool embedded;
    } cases[] = {
        { "", false },     { "plain", false },        { "$", false },
        { "$E", false },   { "$S", false },           { "$s:a", false },
        { "$e:A", false }, { "${HOME}", false },      { "$$", false },
        { " $E:A", true }, { "$$E:A", true },         { "postgres://u:$E:PW@db", true },
        { "x$S:", true },  { "$secret:/e/n", false }, { "$SECRET://e/n", false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct spec_env_value v;
        struct spec_flaw flaw;
        assert_int_equal(spec_parse_env_value(cases[i].text, &v, &flaw), 0);
        assert_string_equal(spec_env_kind_name(v.kind), "literal");
        if (v.embedded != cases[i].embedded)
            fail_msg("'%s': embedded %d", cases[i].text, v.embedded);
    }
}

static void a_variable_of_the_agent_is_the_whole_rest_of_the_value(void **unused)
{
    (void)unused;
    static const char *const names[] = { "HOME", "a b", "X/Y:Z", "$E:X", "\u00e9" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char text[32] = "$E:";
        struct spec_env_value v;
        struct spec_flaw flaw;
        memcpy(text + 3, names[i], strlen(names[i]) + 1);
        assert_int_equal(spec_parse_env_value(text, &v, &flaw), 0);
        assert_string_equal(spec_env_kind_name(v.kind), "host");
        assert_part(text, v.variable, names[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_secret_is_looked_up_in_the_scope_its_reference_says),
        cmocka_unit_test(what_begins_as_a_reference_and_is_none_is_refused_where_it_goes_wrong),
        cmocka_unit_test(everything_else_is_text),
        cmocka_unit_test(a_variable_of_the_agent_is_the_whole_rest_of_the_value),
    };
    return cmocka_run_group_tests_name("envref", tests, NULL, NULL);
}
