// SPDX-License-Identifier: Apache-2.0
/* What references to variables and secrets lead to: findings with places, and values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/cleanup.h"
#include "spec/environment.h"

static const char *const agent[] = { "REGION=north", "NOTHING=",    "TWICE=x=y",
                                     "BAD=\xff",     "REGIONS=all", NULL };

/* ---- values ------------------------------------------------------------------------------- */

static int resolve_one(const char *value, const char *const *variables, struct spec_pair *ret,
                       struct zl_error *err)
{
    const struct spec_pair pair = { .key = "A", .value = value, .line = 7 };
    return spec_env_resolve(&(struct spec_pairs){ .v = &pair, .n = 1 }, variables, true, ret, err);
}

static void a_reference_becomes_what_the_agent_has_and_text_stays(void **unused)
{
    (void)unused;
    static const struct {
        const char *value, *wanted;
    } cases[] = {
        { "$E:REGION", "north" },
        { "$E:REGIONS", "all" },
        { "$E:NOTHING", "" },
        { "$E:TWICE", "x=y" },
        { "", "" },
        { "plain", "plain" },
        { "a$E:REGION", "a$E:REGION" },
        { " $E:REGION", " $E:REGION" },
        { "$$E:REGION", "$$E:REGION" },
        { "${REGION}", "${REGION}" },
        { "x$S:token", "x$S:token" },
    };
    for (size_t i = 0; i < ZL_ARRAY_LEN(cases); i++) {
        struct spec_pair pair;
        struct zl_error err = { 0 };
        if (resolve_one(cases[i].value, agent, &pair, &err) < 0)
            fail_msg("'%s': %s", cases[i].value, err.msg);
        assert_string_equal(pair.key, "A");
        assert_string_equal(pair.value, cases[i].wanted);
    }
}

static void what_leads_nowhere_is_told_by_key_line_and_name(void **unused)
{
    (void)unused;
    /* clang-format off */
    static const struct {
        const char *value, *wanted;
    } cases[] = {
        { "$E:HOME", "E-ENV-UNSET: env.A (line 7): the agent's environment has no variable 'HOME'" },
        { "$E:REG", "E-ENV-UNSET: env.A (line 7): the agent's environment has no variable 'REG'" },
        { "$E:REGION ", "E-ENV-UNSET: env.A (line 7): the agent's environment has no variable 'REGION '" },
        { "$E:TWICE=x", "E-ENV-UNSET: env.A (line 7): the agent's environment has no variable 'TWICE=x'" },
        { "$E:a\nb", "E-ENV-UNSET: env.A (line 7): the agent's environment has no variable 'a?b'" },
        { "$E:BAD", "E-ENV-UNSET: env.A (line 7): the variable 'BAD' of the agent's environment is not UTF-8 text" },
        { "$S:token", "E-SECRET-NOT-FOUND: env.A (line 7): there is no secret 'token' of the deployment: this version keeps no secrets" },
        { "$S:token/f", "E-SECRET-NOT-FOUND: env.A (line 7): there is no secret 'token' of the deployment: this version keeps no secrets" },
        { "$S:@db/token", "E-SECRET-NOT-FOUND: env.A (line 7): there is no secret 'token' of the service 'db': this version keeps no secrets" },
        { "$S::prod/token", "E-SECRET-NOT-FOUND: env.A (line 7): there is no secret 'token' of the environment 'prod': this version keeps no secrets" },
        { "$secret://prod/token", "E-SECRET-NOT-FOUND: env.A (line 7): there is no secret 'token' of the environment 'prod': this version keeps no secrets" },
        { "$S:shop:prod/token", "E-SECRET-NOT-FOUND: env.A (line 7): there is no secret 'token' of the project 'shop', environment 'prod': this version keeps no secrets" },
    };
    /* clang-format on */
    for (size_t i = 0; i < ZL_ARRAY_LEN(cases); i++) {
        struct spec_pair pair;
        struct zl_error err = { 0 };
        assert_int_equal(resolve_one(cases[i].value, agent, &pair, &err), -1);
        assert_int_equal(err.kind, ZL_ERR_INVALID);
        assert_string_equal(err.msg, cases[i].wanted);
    }
}

static void all_that_is_missing_is_one_error_in_the_order_of_the_keys(void **unused)
{
    (void)unused;
    static const struct spec_pair pairs[] = {
        { "Z", "$E:ZZ", 3, 1 }, { "GOOD", "$E:REGION", 4, 1 }, { "B", "$S:b", 5, 1 },
        { "A", "$E:AA", 6, 1 }, { "TEXT", "text", 7, 1 },
    };
    const struct spec_pairs env = { pairs, ZL_ARRAY_LEN(pairs) };
    struct spec_pair got[ZL_ARRAY_LEN(pairs)];
    struct zl_error err = { 0 };
    assert_int_equal(spec_env_resolve(&env, agent, false, got, &err), -1);
    assert_string_equal(err.msg,
                        "E-ENV-UNSET: env.A: the agent's environment has no variable 'AA'; "
                        "E-SECRET-NOT-FOUND: env.B: there is no secret 'b' of the deployment: "
                        "this version keeps no secrets; "
                        "E-ENV-UNSET: env.Z: the agent's environment has no variable 'ZZ'");
    assert_null(strstr(err.msg, "north"));
}

static void nothing_to_look_up_needs_no_variables(void **unused)
{
    (void)unused;
    static const char *const none[] = { NULL };
    struct spec_pair pair;
    struct zl_error err = { 0 };
    assert_int_equal(spec_env_resolve(&(struct spec_pairs){ 0 }, none, true, &pair, &err), 0);
    assert_int_equal(resolve_one("$E:REGION", none, &pair, &err), -1);
}

/* ---- findings ----------------------------------------------------------------------------- */

static const char document[] = "version: v1\n"
                               "deployment: shop\n"
                               "services:\n"
                               "  web:\n"
                               "    image: {name: x}\n"
                               "    env:\n"
                               "      GOOD: $E:REGION\n"
                               "      GONE: $E:HOME\n"
                               "      VOID: $E:NOTHING\n"
                               "  db:\n"
                               "    image: {name: x}\n"
                               "    env: {PASSWORD: $S:shelf, ALSO: \"$E:HOME\"}\n";

static struct spec *read_document(const char *text)
{
    autodiags struct spec_diags diags;
    spec_diags_init(&diags);
    struct spec *spec = spec_parse(text, strlen(text), "shop.yml", NULL, &diags);
    assert_non_null(spec);
    return spec;
}

static void assert_findings(const struct spec *spec, const char *const *variables, bool good,
                            const char *wanted)
{
    autodiags struct spec_diags diags;
    zl_autobuf struct zl_buf found = ZL_BUF(1 << 20);
    spec_diags_init(&diags);
    diags.name = strdup("shop.yml");
    assert_int_equal(spec_check_env(spec, variables, &diags), good);
    spec_diags_print(&diags, NULL, false, &found);
    assert_string_equal(found.data ? found.data : "", wanted);
}

static void each_reference_that_leads_nowhere_is_found_at_its_place(void **unused)
{
    (void)unused;
    autospec struct spec *spec = read_document(document);
    assert_findings(
        spec, agent, false,
        "error E-ENV-UNSET shop.yml:8:13 services.web.env.GONE: the agent's environment has no "
        "variable 'HOME'\n"
        "warning W-ENV-EMPTY shop.yml:9:13 services.web.env.VOID: the variable 'NOTHING' of the "
        "agent's environment is empty\n"
        "error E-SECRET-NOT-FOUND shop.yml:12:21 services.db.env.PASSWORD: there is no secret "
        "'shelf' of the deployment: this version keeps no secrets\n"
        "error E-ENV-UNSET shop.yml:12:37 services.db.env.ALSO: the agent's environment has no "
        "variable 'HOME'\n");
}

static void who_does_not_know_the_agents_variables_finds_secrets_only(void **unused)
{
    (void)unused;
    autospec struct spec *spec = read_document(document);
    assert_findings(spec, NULL, false,
                    "error E-SECRET-NOT-FOUND shop.yml:12:21 services.db.env.PASSWORD: there is no "
                    "secret 'shelf' of the deployment: this version keeps no secrets\n");
    assert_true(spec_env_asks_agent(spec));
    assert_true(spec_env_is_agents("E-ENV-UNSET") && spec_env_is_agents("W-ENV-EMPTY"));
    assert_false(spec_env_is_agents("E-SECRET-NOT-FOUND"));
}

static void a_document_without_references_has_no_findings(void **unused)
{
    (void)unused;
    static const char *const none[] = { NULL };
    autospec struct spec *spec =
        read_document("version: v1\ndeployment: shop\nservices:\n  web:\n    image: {name: x}\n"
                      "    env: {A: \"a$E:HOME\", B: plain}\n");
    assert_findings(spec, none, true, "");
    assert_false(spec_env_asks_agent(spec));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reference_becomes_what_the_agent_has_and_text_stays),
        cmocka_unit_test(what_leads_nowhere_is_told_by_key_line_and_name),
        cmocka_unit_test(all_that_is_missing_is_one_error_in_the_order_of_the_keys),
        cmocka_unit_test(nothing_to_look_up_needs_no_variables),
        cmocka_unit_test(each_reference_that_leads_nowhere_is_found_at_its_place),
        cmocka_unit_test(who_does_not_know_the_agents_variables_finds_secrets_only),
        cmocka_unit_test(a_document_without_references_has_no_findings),
    };
    return cmocka_run_group_tests_name("environment", tests, NULL, NULL);
}
