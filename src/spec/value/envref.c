// SPDX-License-Identifier: Apache-2.0
/*
 * $secret://env/name[/field] is another spelling of $S::env/name[/field].
 * A secret's reference is split at '/', and what stands before the first one says the scope:
 *
 *     name[/field]    @service/name[/field]    :env/name[/field]    project:env/name[/field]
 *
 * Then every part is held against its characters.
 */
#include "spec/value/envref.h"

#include <string.h>

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

/* What a part is made of, and what is said when it is not. */
struct part_rule {
    const char *first, *rest; /* sets of characters */
    const char *missing, *wrong_first, *wrong;
};

/* clang-format off */
static const struct part_rule name_rule = {
    LETTERS, LETTERS DIGITS "_-", "the name of the secret is missing",
    "the name of a secret begins with a letter",
    "the name of a secret has only letters, digits, '_' and '-'",
};
static const struct part_rule service_rule = { /* a service key may begin with a digit */
    LETTERS DIGITS, LETTERS DIGITS "_-", "the name of the service is missing after '@'",
    "the name of a service begins with a letter or a digit",
    "the name of a service has only letters, digits, '_' and '-'",
};
static const struct part_rule project_rule = {
    LETTERS DIGITS "._-", LETTERS DIGITS "._-", "the project is missing before ':'",
    "a project has only letters, digits, '.', '_' and '-'",
    "a project has only letters, digits, '.', '_' and '-'",
};
static const struct part_rule env_rule = {
    LETTERS DIGITS "._-", LETTERS DIGITS "._-", "the environment is missing after ':'",
    "an environment has only letters, digits, '.', '_' and '-'",
    "an environment has only letters, digits, '.', '_' and '-'",
};
static const struct part_rule field_rule = {
    LETTERS DIGITS "._-", LETTERS DIGITS "._-", "the field is missing after '/'",
    "a field has only letters, digits, '.', '_' and '-'",
    "a field has only letters, digits, '.', '_' and '-'",
};
/* clang-format on */

static int check_part(const char *text, const struct spec_env_part *part,
                      const struct part_rule *rule, struct spec_flaw *flaw)
{
    size_t at = (size_t)(part->at - text);
    if (!part->len)
        return spec_flaw_set(flaw, rule->missing, at);
    if (!memchr(rule->first, *part->at, strlen(rule->first)))
        return spec_flaw_set_strict(flaw, rule->wrong_first, at);
    size_t good = strspn(part->at, rule->rest);
    if (good < part->len)
        return spec_flaw_set_strict(flaw, rule->wrong, at + good);
    return 0;
}

/* From s up to the next of stops or the end. */
static struct spec_env_part part_until(const char *s, const char *stops)
{
    return (struct spec_env_part){ s, strcspn(s, stops) };
}

/* What stands before the name: ret->scope with its parts. Returns where the name begins. */
static const char *parse_scope(const char *text, const char *s, struct spec_env_value *ret,
                               struct spec_flaw *flaw)
{
    static const char no_name[] = "'/' and the name of the secret are missing after the scope";
    struct spec_env_part scope = part_until(s, "/");
    const char *colon = memchr(s, ':', scope.len);
    if (*s == '@') {
        ret->scope = SPEC_SECRET_SERVICE;
        ret->service = (struct spec_env_part){ s + 1, scope.len - 1 };
        if (check_part(text, &ret->service, &service_rule, flaw) < 0)
            return NULL;
    } else if (colon) {
        ret->scope = colon == s ? SPEC_SECRET_ENVIRONMENT : SPEC_SECRET_PROJECT;
        ret->project = (struct spec_env_part){ s, (size_t)(colon - s) };
        ret->env = (struct spec_env_part){ colon + 1, scope.len - (size_t)(colon + 1 - s) };
        if (ret->project.len && check_part(text, &ret->project, &project_rule, flaw) < 0)
            return NULL;
        if (check_part(text, &ret->env, &env_rule, flaw) < 0)
            return NULL;
    } else {
        ret->scope = SPEC_SECRET_DEPLOYMENT;
        return s;
    }
    if (s[scope.len])
        return s + scope.len + 1;
    (void)spec_flaw_set(flaw, no_name, (size_t)(s + scope.len - text)); /* answered by NULL */
    return NULL;
}

static int parse_secret(const char *text, struct spec_env_value *ret, struct spec_flaw *flaw)
{
    const char *s = parse_scope(text, text + 3, ret, flaw);
    if (!s)
        return -1;
    ret->name = part_until(s, "/");
    if (check_part(text, &ret->name, &name_rule, flaw) < 0)
        return -1;
    s += ret->name.len;
    if (!*s)
        return 0;
    ret->field = part_until(s + 1, "");
    return check_part(text, &ret->field, &field_rule, flaw);
}

static const char url[] = "$secret://";

/* v1 takes it for text, so no flaw in it keeps others from reading the document. */
static int parse_url(const char *text, struct spec_env_value *ret, struct spec_flaw *flaw)
{
    const char *s = text + sizeof url - 1;
    ret->scope = SPEC_SECRET_ENVIRONMENT;
    ret->env = part_until(s, "/");
    s += ret->env.len + (s[ret->env.len] == '/');
    ret->name = part_until(s, "/");
    s += ret->name.len;
    if (*s)
        ret->field = part_until(s + 1, "");
    if (check_part(text, &ret->env, &env_rule, flaw) == 0 &&
        check_part(text, &ret->name, &name_rule, flaw) == 0 &&
        (!*s || check_part(text, &ret->field, &field_rule, flaw) == 0))
        return 0;
    flaw->strict = true;
    return -1;
}

int spec_parse_env_value(const char *text, struct spec_env_value *ret, struct spec_flaw *flaw)
{
    struct spec_env_value v = { .kind = SPEC_ENV_LITERAL };
    if (strncmp(text, "$E:", 3) == 0) {
        v.kind = SPEC_ENV_HOST;
        v.variable = part_until(text + 3, "");
        if (!v.variable.len)
            return spec_flaw_set(flaw, "the name of the variable is missing after '$E:'", 3);
    } else if (strncmp(text, "$S:", 3) == 0) {
        v.kind = SPEC_ENV_SECRET;
        if (parse_secret(text, &v, flaw) < 0)
            return -1;
    } else if (strncmp(text, url, sizeof url - 1) == 0) {
        v.kind = SPEC_ENV_SECRET;
        if (parse_url(text, &v, flaw) < 0)
            return -1;
    } else {
        v.embedded = strstr(text, "$E:") || strstr(text, "$S:");
    }
    *ret = v;
    return 0;
}

const char *spec_env_kind_name(enum spec_env_kind kind)
{
    static const char *const names[] = {
        [SPEC_ENV_LITERAL] = "literal", [SPEC_ENV_HOST] = "host", [SPEC_ENV_SECRET] = "secret"
    };
    return names[kind];
}

const char *spec_secret_scope_name(enum spec_secret_scope scope)
{
    static const char *const names[] = { [SPEC_SECRET_DEPLOYMENT] = "deployment",
                                         [SPEC_SECRET_SERVICE] = "service",
                                         [SPEC_SECRET_ENVIRONMENT] = "environment",
                                         [SPEC_SECRET_PROJECT] = "project" };
    return names[scope];
}
