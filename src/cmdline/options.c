// SPDX-License-Identifier: Apache-2.0
#include "cmdline/options.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "spec/value/duration.h"
#include "spec/value/suggest.h"

/* ---- values -------------------------------------------------------------------------------- */

static int parse_number(const char *text, uint64_t *ret)
{
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)*text) || *end || errno)
        return -1;
    *ret = n;
    return 0;
}

static int set_flag(const struct cli_option *o, const char *value, void *at, struct zl_error *err)
{
    bool no = value && strcmp(value, "false") == 0;
    if (value && !no && strcmp(value, "true") != 0)
        return zl_fail(err, ZL_ERR_INVALID, "--%s is true or false, not '%s'", o->name, value);
    *(bool *)at = !no;
    return 0;
}

static int set_string(const struct cli_option *o, const char *value, void *at, struct zl_error *err)
{
    (void)o;
    (void)err;
    *(const char **)at = value;
    return 0;
}

static int set_list(const struct cli_option *o, const char *value, void *at, struct zl_error *err)
{
    struct cli_list *l = at;
    const char **v = reallocarray(l->v, l->n + 1, sizeof *v);
    if (!v)
        return zl_fail_errno(err, "take --%s", o->name);
    l->v = v;
    l->v[l->n++] = value;
    return 0;
}

static int set_number(const struct cli_option *o, const char *value, void *at, struct zl_error *err)
{
    if (parse_number(value, at) < 0)
        return zl_fail(err, ZL_ERR_INVALID, "--%s takes a number, not '%s'", o->name, value);
    return 0;
}

static int set_duration(const struct cli_option *o, const char *value, void *at,
                        struct zl_error *err)
{
    uint64_t n;
    struct spec_flaw flaw;
    if (parse_number(value, &n) == 0 && n <= UINT64_MAX / 1000) {
        *(uint64_t *)at = n * 1000;
        return 0;
    }
    if (spec_parse_duration(value, &n, &flaw) < 0)
        return zl_fail(err, ZL_ERR_INVALID,
                       "--%s takes a duration such as 30s or 2m, or seconds, not '%s'", o->name,
                       value);
    *(uint64_t *)at = n / 1000000;
    return 0;
}

static int set_grace(const struct cli_option *o, const char *value, void *at, struct zl_error *err)
{
    uint64_t *ms = at;
    if (set_duration(o, value, at, err) < 0)
        return -1;
    if (*ms == 0)
        *ms = 1;
    return 0;
}

static int set_choice(const struct cli_option *o, const char *value, void *at, struct zl_error *err)
{
    zl_autobuf struct zl_buf all = ZL_BUF(256);
    for (int i = 0; o->words[i]; i++) {
        if (strcmp(o->words[i], value) == 0) {
            *(int *)at = i;
            return 0;
        }
        zl_buf_addf(&all, "%s%s", i ? " or " : "", o->words[i]);
    }
    return zl_fail(err, ZL_ERR_INVALID, "--%s is %s, not '%s'", o->name, all.data, value);
}

static int (*const setters[])(const struct cli_option *, const char *, void *,
                              struct zl_error *) = {
    [CLI_FLAG] = set_flag,     [CLI_STRING] = set_string,     [CLI_LIST] = set_list,
    [CLI_NUMBER] = set_number, [CLI_DURATION] = set_duration, [CLI_GRACE] = set_grace,
    [CLI_CHOICE] = set_choice,
};

/* ---- parsing ------------------------------------------------------------------------------- */

struct parser {
    const struct cli_option *own, *global;
    void *out, *global_out;
    int argc, at; /* the argument that comes next */
    char **argv;
    bool *help;
    struct zl_error *err;
};

struct match {
    const struct cli_option *option; /* NULL: none */
    void *out;
};

static const struct cli_option *find_in(const struct cli_option *table, char letter,
                                        const char *name, size_t n)
{
    for (const struct cli_option *o = table; o && o->name; o++)
        if (name ? strncmp(o->name, name, n) == 0 && !o->name[n] : o->letter == letter)
            return o;
    return NULL;
}

/* By letter when name is NULL. The command's own come first: `run -v` is a volume. */
static struct match find(const struct parser *p, char letter, const char *name, size_t n)
{
    const struct cli_option *o = find_in(p->own, letter, name, n);
    if (o)
        return (struct match){ o, p->out };
    return (struct match){ find_in(p->global, letter, name, n), p->global_out };
}

static int set(const struct parser *p, struct match m, const char *value)
{
    return setters[m.option->kind](m.option, value, (char *)m.out + m.option->offset, p->err);
}

static const char *next_argument(struct parser *p)
{
    return p->at < p->argc ? p->argv[p->at++] : NULL;
}

static int set_from_next(struct parser *p, struct match m)
{
    const char *value = next_argument(p);
    if (!value)
        return zl_fail(p->err, ZL_ERR_INVALID, "--%s needs a value: %s", m.option->name,
                       m.option->arg);
    return set(p, m, value);
}

static int unknown_long(const struct parser *p, const char *name, size_t n)
{
    char typed[64];
    (void)snprintf(typed, sizeof typed, "%.*s", (int)n, name);
    struct spec_nearest near = { .typed = typed };
    for (const struct cli_option *o = p->own; o && o->name; o++)
        spec_nearest_try(&near, o->name);
    for (const struct cli_option *o = p->global; o && o->name; o++)
        spec_nearest_try(&near, o->name);
    if (near.word)
        return zl_fail(p->err, ZL_ERR_INVALID, "there is no option --%s; did you mean --%s?", typed,
                       near.word);
    return zl_fail(p->err, ZL_ERR_INVALID, "there is no option --%s", typed);
}

static int parse_long(struct parser *p, const char *text)
{
    size_t n = strcspn(text, "=");
    if (n == 4 && strncmp(text, "help", n) == 0) {
        *p->help = true;
        return 0;
    }
    struct match m = find(p, 0, text, n);
    if (!m.option)
        return unknown_long(p, text, n);
    if (text[n] == '=')
        return set(p, m, text + n + 1);
    return m.option->kind == CLI_FLAG ? set(p, m, NULL) : set_from_next(p, m);
}

/* "-it", "-n5", "-n 5": letters of flags may stand together, the last may have a value. */
static int parse_letters(struct parser *p, const char *text)
{
    for (; *text; text++) {
        struct match m = find(p, *text, NULL, 0);
        if (!m.option && *text == 'h') {
            *p->help = true;
            continue;
        }
        if (!m.option)
            return zl_fail(p->err, ZL_ERR_INVALID, "there is no option -%c", *text);
        if (m.option->kind != CLI_FLAG)
            return text[1] ? set(p, m, text + 1) : set_from_next(p, m);
        if (set(p, m, NULL) < 0)
            return -1;
    }
    return 0;
}

int cli_parse_options(int argc, char **argv, const struct cli_option *own, void *out,
                      const struct cli_option *global, void *global_out, bool first_only,
                      bool *ret_help, struct zl_error *err)
{
    struct parser p = { .own = own,
                        .global = global,
                        .out = out,
                        .global_out = global_out,
                        .argc = argc,
                        .argv = argv,
                        .help = ret_help,
                        .err = err };
    int kept = 0;
    bool ended = false;
    while (p.at < argc) {
        char *word = argv[p.at++];
        int rc = 0;
        if (ended || word[0] != '-' || !word[1]) {
            argv[kept++] = word;
            ended = ended || first_only;
        } else if (strcmp(word, "--") == 0) {
            ended = true;
        } else {
            rc = word[1] == '-' ? parse_long(&p, word + 2) : parse_letters(&p, word + 1);
        }
        if (rc < 0)
            return -1;
    }
    return kept;
}

void cli_options_done(const struct cli_option *own, void *out)
{
    for (const struct cli_option *o = own; o && o->name; o++)
        if (o->kind == CLI_LIST)
            free(((struct cli_list *)(void *)((char *)out + o->offset))->v);
}
