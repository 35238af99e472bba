// SPDX-License-Identifier: Apache-2.0
/*
 * A reference is found, empty, or missing; look_up() is the only place that says which. The two
 * public functions differ in what they make of that: findings with places, or values.
 */
#include "spec/environment.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "spec/value/envref.h"

/* What a reference leads to. */
struct found {
    const char *value; /* NULL: it leads nowhere */
    const char *id;    /* of the finding; NULL: there is nothing to say */
    char text[400];
};

/* ---- looking up ------------------------------------------------------------------------------ */

static const char *variable_value(const char *const *variables, const struct spec_env_part *name)
{
    if (memchr(name->at, '=', name->len)) /* which no name has */
        return NULL;
    for (; *variables; variables++)
        if (strncmp(*variables, name->at, name->len) == 0 && (*variables)[name->len] == '=')
            return *variables + name->len + 1;
    return NULL;
}

/* part of a document, as long as it is shown, with nothing in it that a terminal obeys. */
static void show_part(const struct spec_env_part *part, char *out, size_t size)
{
    (void)snprintf(out, size, "%.*s", (int)(part->len < size ? part->len : size - 1),
                   part->len ? part->at : "");
    zl_utf8_mend(out);
    for (; *out; out++)
        if ((unsigned char)*out < ' ' || *out == 127)
            *out = '?';
}

static void look_up_variable(const struct spec_env_part *name, const char *const *variables,
                             struct found *f)
{
    char shown[120];
    const char *value = variable_value(variables, name);
    show_part(name, shown, sizeof shown);
    if (!value) {
        f->id = "E-ENV-UNSET";
        (void)snprintf(f->text, sizeof f->text, "the agent's environment has no variable '%s'",
                       shown);
    } else if (value[zl_utf8_check(value, strlen(value))]) {
        f->id = "E-ENV-UNSET";
        (void)snprintf(f->text, sizeof f->text,
                       "the variable '%s' of the agent's environment is not UTF-8 text", shown);
    } else {
        f->value = value;
        if (*value)
            return;
        f->id = "W-ENV-EMPTY";
        (void)snprintf(f->text, sizeof f->text,
                       "the variable '%s' of the agent's environment is empty", shown);
    }
}

/* There is no store of secrets: none of them is found, in whatever scope. */
static void look_up_secret(const struct spec_env_value *v, struct found *f)
{
    char name[64], service[64], project[64], env[64], scope[200] = "deployment";
    show_part(&v->name, name, sizeof name);
    show_part(&v->service, service, sizeof service);
    show_part(&v->project, project, sizeof project);
    show_part(&v->env, env, sizeof env);
    if (v->scope == SPEC_SECRET_SERVICE)
        (void)snprintf(scope, sizeof scope, "service '%s'", service);
    else if (v->scope == SPEC_SECRET_ENVIRONMENT)
        (void)snprintf(scope, sizeof scope, "environment '%s'", env);
    else if (v->scope == SPEC_SECRET_PROJECT)
        (void)snprintf(scope, sizeof scope, "project '%s', environment '%s'", project, env);
    f->id = "E-SECRET-NOT-FOUND";
    (void)snprintf(f->text, sizeof f->text,
                   "there is no secret '%s' of the %s: this version keeps no secrets", name, scope);
}

static void look_up(const struct spec_pair *p, const char *const *variables, struct found *f)
{
    struct spec_env_value v;
    struct spec_flaw flaw;
    *f = (struct found){ .value = NULL };
    if (spec_parse_env_value(p->value, &v, &flaw) < 0) { /* it was judged when it was decoded */
        f->id = "E-ENV-SECRET-REF";
        (void)snprintf(f->text, sizeof f->text, "it is not a reference: %s", flaw.why);
    } else if (v.kind == SPEC_ENV_LITERAL) {
        f->value = p->value;
    } else if (v.kind == SPEC_ENV_SECRET) {
        look_up_secret(&v, f);
    } else if (variables) {
        look_up_variable(&v.variable, variables, f);
    }
}

/* ---- findings -------------------------------------------------------------------------------- */

static void check_pairs(const struct spec *spec, const struct spec_service *s,
                        const char *const *variables, struct spec_diags *diags)
{
    bool alone = strcmp(spec->deployment, "-") == 0;
    for (size_t i = 0; i < s->env.n; i++) {
        const struct spec_pair *p = &s->env.v[i];
        zl_autobuf struct zl_buf path = ZL_BUF(64 * 1024);
        struct found f;
        look_up(p, variables, &f);
        if (!f.id)
            continue;
        if (!alone)
            zl_buf_addf(&path, "services.%s.", s->name);
        zl_buf_addf(&path, "env.%s", p->key);
        spec_diags_add(diags, f.value ? SPEC_WARNING : SPEC_ERROR, f.id, p->line, p->column,
                       path.data ? path.data : "", "%s", f.text);
    }
}

bool spec_check_env(const struct spec *spec, const char *const *variables, struct spec_diags *diags)
{
    for (size_t i = 0; i < spec->n_services; i++)
        check_pairs(spec, &spec->services[i], variables, diags);
    spec_diags_sort(diags);
    return !diags->n_errors;
}

bool spec_env_asks_agent(const struct spec *spec)
{
    for (size_t i = 0; i < spec->n_services; i++)
        for (size_t k = 0; k < spec->services[i].env.n; k++)
            if (strncmp(spec->services[i].env.v[k].value, "$E:", 3) == 0)
                return true;
    return false;
}

bool spec_env_is_agents(const char *id)
{
    return strcmp(id, "E-ENV-UNSET") == 0 || strcmp(id, "W-ENV-EMPTY") == 0;
}

/* ---- values ---------------------------------------------------------------------------------- */

static int by_key(const void *a, const void *b)
{
    const struct spec_pair *x = a, *y = b;
    return strcmp(x->key, y->key);
}

/* "E-ENV-UNSET: env.A (line 7): the agent's …; E-…" */
static void tell_missing(const struct spec_pair *p, const char *const *variables, bool in_document,
                         struct zl_buf *out)
{
    struct found f;
    look_up(p, variables, &f);
    zl_buf_addf(out, "%s%s: env.%s", out->len ? "; " : "", f.id, p->key);
    if (in_document)
        zl_buf_addf(out, " (line %d)", p->line);
    zl_buf_addf(out, ": %s", f.text);
}

int spec_env_resolve(const struct spec_pairs *env, const char *const *variables, bool in_document,
                     struct spec_pair *ret, struct zl_error *err)
{
    zl_autofree struct spec_pair *missing = calloc(env->n + 1, sizeof *missing);
    zl_autobuf struct zl_buf text = ZL_BUF(1 << 20);
    size_t n = 0;
    if (!missing)
        return zl_fail_errno(err, "look up the environment");
    for (size_t i = 0; i < env->n; i++) {
        struct found f;
        look_up(&env->v[i], variables, &f);
        ret[i] = env->v[i];
        ret[i].value = f.value;
        if (!f.value)
            missing[n++] = env->v[i];
    }
    if (!n)
        return 0;
    qsort(missing, n, sizeof *missing, by_key);
    for (size_t i = 0; i < n && !text.failed; i++)
        tell_missing(&missing[i], variables, in_document, &text);
    return zl_fail(err, ZL_ERR_INVALID, "%s", text.data ? text.data : "E-ENV-UNSET");
}
