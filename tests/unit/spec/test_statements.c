// SPDX-License-Identifier: Apache-2.0
/*
 * The rules of the document, one after the other: every statement has cases, each a document, the
 * findings it must give, and where. The tables are statements/ *.txt:
 *
 *   == Topic                 a part of the rules; the next cases are fields of a service
 *   .. document              what the next cases are: service (the fields of services.a), services,
 *                            document (behind version and deployment), raw (the whole text);
 *                            compat, apply: read like that; warns: errors are warnings then;
 *                            plain: none of these
 *   -- a statement           what the next cases show
 *     memory: ^5M            a document, by two spaces further in; ^ stands before what is found
 *   > E-MEMORY               what is found, in order: as many ids as there are ^; "ok": nothing
 *   ~ text                   which the printed findings contain
 *   ! text                   which they do not contain
 *   = path: value            what the dump with defaults says there ("-": nothing)
 *
 * <0x09> in a document is that byte. A document is refused when one of the ids is an error's.
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
#include "spec/dump/dump.h"
#include "spec/spec.h"

static int tables = -1; /* the folder */

enum { FOUND_MAX = 120, IDS_MAX = 300 };

struct place {
    int line, column;
};

struct frame {
    const char *name, *before, *indent;
};
/* The last character of `before` is the end of a line, or it is empty. */
static const struct frame frames[] = {
    { "service", "version: v1\ndeployment: abc\nservices:\n  a:\n    image: {name: x}\n", "    " },
    { "services", "version: v1\ndeployment: abc\nservices:\n", "  " },
    { "document", "version: v1\ndeployment: abc\n", "" },
    { "raw", "", "" },
};

struct table {
    const char *file;
    int line; /* being read */
    const struct frame *frame;
    bool compat, apply, warns;
    char statement[400];
    size_t statements, cases, cases_of_statement, said_case;
    /* the case that is being gathered, and what it was found to be */
    struct zl_buf text;
    struct place places[FOUND_MAX];
    size_t n_places;
    struct zl_buf printed;
    json_t *dump;
    bool judged;
};

static char seen_ids[IDS_MAX][40];
static size_t n_seen_ids, n_wrong;

static void see_id(const char *id)
{
    for (size_t i = 0; i < n_seen_ids; i++)
        if (strcmp(seen_ids[i], id) == 0)
            return;
    assert_true(n_seen_ids < IDS_MAX);
    (void)snprintf(seen_ids[n_seen_ids++], sizeof seen_ids[0], "%s", id);
}

/* Says so and goes on, so that one run shows all that is wrong. */
static void ZL_PRINTF(2, 3) wrong(struct table *t, const char *fmt, ...)
{
    char why[2500];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    n_wrong++;
    (void)fprintf(stderr, "%s:%d: %s: %s\n", t->file, t->line, t->statement, why);
    if (t->text.len && t->said_case != t->cases + 1)
        (void)fprintf(stderr, "%s  it finds:\n%s", t->text.data,
                      t->printed.len ? t->printed.data : "nothing\n");
    t->said_case = t->cases + 1;
}

/* ---- the document ---------------------------------------------------------------------------- */

static struct place end_of(const struct zl_buf *text)
{
    struct place at = { 1, 1 };
    for (size_t i = 0; i < text->len; i++) {
        if (text->data[i] == '\n')
            at = (struct place){ at.line + 1, 1 };
        else if (((unsigned char)text->data[i] & 0xc0) != 0x80)
            at.column++;
    }
    return at;
}

static void add_line(struct table *t, const char *line)
{
    unsigned byte;
    int used;
    if (!t->text.len)
        zl_buf_adds(&t->text, t->frame->before);
    if (*line)
        zl_buf_adds(&t->text, t->frame->indent);
    for (const char *p = line; *p; p++) {
        if (*p == '^') {
            assert_true(t->n_places < FOUND_MAX);
            t->places[t->n_places++] = end_of(&t->text);
        } else if (sscanf(p, "<0x%2x>%n", &byte, &used) == 1 && used == 6) {
            zl_buf_addc(&t->text, (char)byte);
            p += used - 1;
        } else {
            zl_buf_addc(&t->text, *p);
        }
    }
    zl_buf_addc(&t->text, '\n');
}

static void forget_case(struct table *t)
{
    zl_buf_reset(&t->text);
    zl_buf_reset(&t->printed);
    json_decref(t->dump);
    t->dump = NULL;
    t->n_places = 0;
    t->judged = false;
}

/* ---- the verdict ----------------------------------------------------------------------------- */

static void compare_finding(struct table *t, const struct spec_diag *found, const char *id,
                            const struct place *at)
{
    enum spec_severity severity = *id == 'E' && !t->warns ? SPEC_ERROR
                                  : *id == 'I'            ? SPEC_INFO
                                                          : SPEC_WARNING;
    if (strcmp(found->id, id) != 0)
        wrong(t, "%s is found, not %s", found->id, id);
    else if (found->severity != severity)
        wrong(t, "%s has another severity", id);
    else if (at && (found->line != at->line || found->column != at->column))
        wrong(t, "%s is found at %d:%d, not at %d:%d", id, found->line, found->column, at->line,
              at->column);
}

static void compare_findings(struct table *t, const struct spec_diags *diags, char *ids)
{
    size_t n = 0;
    char *rest = NULL;
    for (char *id = strtok_r(ids, " ", &rest); id; id = strtok_r(NULL, " ", &rest), n++) {
        if (strcmp(id, "ok") == 0)
            break;
        see_id(id);
        if (n < diags->n)
            compare_finding(t, &diags->v[n], id, n < t->n_places ? &t->places[n] : NULL);
        else
            wrong(t, "%s is not found", id);
    }
    if (n < diags->n)
        wrong(t, "%s is found as well", diags->v[n].id);
    if (n != t->n_places)
        wrong(t, "there are %zu findings and %zu places", n, t->n_places);
}

/* What the dump of a good document says reads back as the same. */
static void check_round_trip(struct table *t)
{
    zl_autobuf struct zl_buf first = ZL_BUF(4 << 20), again = ZL_BUF(4 << 20);
    autodiags struct spec_diags diags;
    spec_diags_init(&diags);
    spec_dump_yaml(t->dump, &first);
    autospec struct spec *read = spec_parse(first.data, first.len, "dump", "/srv", &diags);
    json_t *dump = read ? spec_dump(read) : NULL;
    if (dump)
        spec_dump_yaml(dump, &again);
    json_decref(dump);
    if (!read || strcmp(first.data, again.data) != 0)
        wrong(t, "the dump reads back as something else:\n%.2000s", first.data);
}

static void judge(struct table *t, char *ids)
{
    autodiags struct spec_diags diags;
    spec_diags_init(&diags);
    bool refused = !t->warns && (strncmp(ids, "E-", 2) == 0 || strstr(ids, " E-"));
    if (!t->text.len)
        zl_buf_adds(&t->text, t->frame->before);
    const char *text = t->text.data ? t->text.data : "";
    autospec struct spec *spec =
        t->compat ? NULL : spec_parse(text, t->text.len, "t.yml", "/srv", &diags);
    bool good =
        t->compat ? spec_check_compat(text, t->text.len, "t.yml", "/srv", &diags) : spec != NULL;
    if (spec && t->apply)
        good = spec_check_apply(spec, &(struct spec_host){ .arch = "amd64" }, &diags);
    spec_diags_print(&diags, NULL, false, &t->printed);
    t->dump = spec ? spec_dump(spec) : NULL;
    t->judged = true;
    if (spec)
        check_round_trip(t);
    compare_findings(t, &diags, ids);
    if (good == refused)
        wrong(t, "the document is %s", good ? "taken" : "refused");
    t->cases++;
    t->cases_of_statement++;
}

/* The member of v at a path such as services.a.endpoints[0].port; borrowed, NULL: there is none. */
static const json_t *at_path(const json_t *v, const char *path)
{
    char key[100];
    while (v && *path) {
        size_t n = strcspn(path, ".[");
        (void)snprintf(key, sizeof key, "%.*s", (int)n, path);
        if (n)
            v = json_object_get(v, key);
        path += n;
        if (*path == '[') {
            v = json_array_get(v, strtoul(path + 1, NULL, 10));
            path = strchr(path, ']') + 1;
        }
        path += *path == '.';
    }
    return v;
}

static void check_value(struct table *t, const char *line)
{
    const char *colon = strstr(line, ": ");
    char path[200];
    if (!colon) {
        wrong(t, "'=' wants a path and a value");
        return;
    }
    (void)snprintf(path, sizeof path, "%.*s", (int)(colon - line), line);
    const json_t *v = at_path(t->dump, path);
    char *text = v ? json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    const char *shown = json_is_string(v) ? json_string_value(v) : text ? text : "-";
    if (strcmp(shown, colon + 2) != 0)
        wrong(t, "%s is %s, not %s", path, shown, colon + 2);
    free(text);
}

/* ---- the tables ------------------------------------------------------------------------------ */

static void set_frame(struct table *t, const char *words)
{
    char copy[100], *rest = NULL;
    (void)snprintf(copy, sizeof copy, "%s", words);
    for (const char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        const struct {
            const char *name;
            bool *on;
        } ways[] = { { "compat", &t->compat }, { "apply", &t->apply }, { "warns", &t->warns } };
        bool known = strcmp(word, "plain") == 0;
        if (known)
            t->compat = t->apply = t->warns = false;
        for (size_t i = 0; i < ZL_ARRAY_LEN(ways); i++) {
            if (strcmp(ways[i].name, word) == 0)
                *ways[i].on = known = true;
        }
        for (size_t i = 0; i < ZL_ARRAY_LEN(frames); i++) {
            if (strcmp(frames[i].name, word) == 0) {
                t->frame = &frames[i];
                known = true;
            }
        }
        if (!known)
            wrong(t, "'%s' is no frame", word);
    }
}

static void begin_statement(struct table *t, const char *text)
{
    if (t->statements && !t->cases_of_statement)
        wrong(t, "the statement before has no case");
    (void)snprintf(t->statement, sizeof t->statement, "%s", text);
    t->statements++;
    t->cases_of_statement = 0;
}

static void read_line(struct table *t, char *line)
{
    size_t n = strlen(line);
    bool is_document = strncmp(line, "  ", 2) == 0;
    if (t->judged && (is_document || *line == '>' || *line == '-' || *line == '.'))
        forget_case(t);
    if (is_document)
        add_line(t, line + 2);
    else if (!n || *line == '#')
        return;
    else if (strncmp(line, "== ", 3) == 0)
        set_frame(t, "service plain");
    else if (strncmp(line, ".. ", 3) == 0)
        set_frame(t, line + 3);
    else if (strncmp(line, "-- ", 3) == 0)
        begin_statement(t, line + 3);
    else if (strncmp(line, "> ", 2) == 0)
        judge(t, line + 2);
    else if (strncmp(line, "~ ", 2) == 0 && !strstr(t->printed.data, line + 2))
        wrong(t, "'%s' is not said", line + 2);
    else if (strncmp(line, "! ", 2) == 0 && strstr(t->printed.data, line + 2))
        wrong(t, "'%s' is said", line + 2);
    else if (strncmp(line, "= ", 2) == 0)
        check_value(t, line + 2);
    else if (*line != '~' && *line != '!')
        wrong(t, "'%s' is no line of a table", line);
}

static void read_table(const char *name, size_t *statements, size_t *cases)
{
    zl_autobuf struct zl_buf text = ZL_BUF(4 << 20);
    struct zl_error err;
    char *rest;
    struct table t = {
        .file = name, .frame = &frames[0], .text = ZL_BUF(4 << 20), .printed = ZL_BUF(4 << 20)
    };
    if (zl_read_file(tables, name, &text, &err) < 0)
        fail_msg("%s", err.msg);
    for (char *line = text.data; line && *line; line = rest) {
        rest = strchr(line, '\n');
        if (rest)
            *rest++ = '\0';
        t.line++;
        read_line(&t, line);
    }
    begin_statement(&t, "");
    print_message("%-28s %4zu statements, %4zu cases\n", name, t.statements - 1, t.cases);
    *statements += t.statements - 1;
    *cases += t.cases;
    forget_case(&t);
    zl_buf_done(&t.text);
    zl_buf_done(&t.printed);
}

static int is_table(const struct dirent *d)
{
    size_t n = strlen(d->d_name);
    return n > 4 && strcmp(d->d_name + n - 4, ".txt") == 0;
}

static void every_statement_about_the_document_holds(void **unused)
{
    (void)unused;
    struct dirent **names;
    size_t statements = 0, cases = 0;
    int n = scandirat(tables, ".", &names, is_table, alphasort);
    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        read_table(names[i]->d_name, &statements, &cases);
        free(names[i]);
    }
    free(names);
    print_message("%zu statements, %zu cases, %zu ids\n", statements, cases, n_seen_ids);
    if (n_wrong)
        fail_msg("%zu are wrong", n_wrong);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_statement_about_the_document_holds),
    };
    if (argc != 2 || (tables = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
        (void)fprintf(stderr, "usage: %s STATEMENTS\n", argv[0]);
        return 2;
    }
    int rc = cmocka_run_group_tests_name("statements", tests, NULL, NULL);
    (void)close(tables);
    return rc;
}
