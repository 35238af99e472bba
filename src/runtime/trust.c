// SPDX-License-Identifier: Apache-2.0
#include "runtime/trust.h"

#include <stdio.h>
#include <string.h>

#include "image/signed.h"

struct trust {
    const json_t *rules;
};

static const char *prefix_of(const json_t *rule)
{
    const char *prefix = json_string_value(json_object_get(rule, "prefix"));
    return prefix ? prefix : "";
}

/* A rule whose keys nobody could hold would never be met, and say so only then. */
static int check_rule(const json_t *rule, struct zl_error *err)
{
    char body[SIGNED_KEY_SIZE];
    size_t i;
    const json_t *key;
    json_array_foreach(json_object_get(rule, "keys"), i, key)
    {
        if (signed_key_body(json_string_value(key), body, err) < 0)
            return zl_wrap(err, "the keys for '%s'", prefix_of(rule));
    }
    return 0;
}

int trust_new(const json_t *rules, struct trust **ret, struct zl_error *err)
{
    size_t i;
    const json_t *rule;
    json_array_foreach(rules, i, rule)
    {
        if (check_rule(rule, err) < 0)
            return -1;
    }
    struct trust *t = calloc(1, sizeof *t);
    if (!t)
        return zl_fail_errno(err, "read who signs images");
    t->rules = rules;
    *ret = t;
    return 0;
}

void trust_free(struct trust *t)
{
    free(t);
}

/* Whole parts of a path only: "example.net/team" is no beginning of "example.net/teams/x". */
static bool fits(const char *prefix, const char *name)
{
    size_t n = strlen(prefix);
    return strcmp(prefix, "*") == 0 ||
           (strncmp(prefix, name, n) == 0 && (name[n] == '/' || name[n] == '\0'));
}

static const json_t *keys_for(const struct trust *t, const char *name)
{
    const json_t *found = NULL, *rule;
    size_t longest = 0, i;
    json_array_foreach(t->rules, i, rule)
    {
        const char *prefix = prefix_of(rule);
        size_t n = strcmp(prefix, "*") == 0 ? 1 : 1 + strlen(prefix);
        if (n <= longest || !fits(prefix, name))
            continue;
        longest = n;
        found = rule;
    }
    return json_object_get(found, "keys"); /* NULL also for a rule that asks for none */
}

const json_t *trust_keys(const struct trust *t, const struct zl_imageref *ref)
{
    char name[ZL_IMAGEREF_MAX];
    (void)snprintf(name, sizeof name, "%s/%s", ref->registry, ref->repository); /* fits */
    return keys_for(t, name);
}

static bool has_text(const json_t *list, const json_t *text)
{
    size_t i;
    const json_t *one;
    json_array_foreach(list, i, one)
    {
        if (json_equal(one, text))
            return true;
    }
    return false;
}

json_t *trust_all_keys(const struct trust *t)
{
    json_t *all = json_array(), *rule, *key;
    size_t i, k;
    bool whole = all != NULL;
    json_array_foreach(t->rules, i, rule)
    {
        json_array_foreach(json_object_get(rule, "keys"), k, key)
        {
            if (!has_text(all, key))
                whole &= json_array_append(all, key) == 0;
        }
    }
    if (whole)
        return all;
    json_decref(all);
    return NULL;
}

bool trust_is_met(const json_t *keys, struct image_store *images, const char *digest)
{
    char body[SIGNED_KEY_SIZE];
    struct zl_error ignored;
    size_t i;
    const json_t *key;
    json_array_foreach(keys, i, key)
    {
        if (signed_key_body(json_string_value(key), body, &ignored) == 0 &&
            image_is_signed(images, digest, body))
            return true;
    }
    return !keys;
}
