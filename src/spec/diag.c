// SPDX-License-Identifier: Apache-2.0
#include "spec/diag.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

static const char *const severity_names[] = {
    [SPEC_ERROR] = "error",
    [SPEC_WARNING] = "warning",
    [SPEC_INFO] = "info",
};

void spec_diags_init(struct spec_diags *d)
{
    *d = (struct spec_diags){ 0 };
}

static void free_diag(struct spec_diag *x)
{
    free(x->path);
    free(x->text);
}

void spec_diags_done(struct spec_diags *d)
{
    for (size_t i = 0; i < d->n; i++)
        free_diag(&d->v[i]);
    free(d->v);
    free(d->hidden);
    free(d->name);
    *d = (struct spec_diags){ 0 };
}

/* A place for one more; an error takes that of the last warning when all are taken. NULL: none. */
static struct spec_diag *new_place(struct spec_diags *d, enum spec_severity severity)
{
    if (d->n < SPEC_DIAGS_KEPT) {
        if (d->n == d->cap) {
            size_t cap = d->cap ? d->cap * 2 : 8;
            struct spec_diag *grown = reallocarray(d->v, cap, sizeof *grown);
            if (!grown)
                return NULL;
            d->v = grown;
            d->cap = cap;
        }
        return &d->v[d->n++];
    }
    for (size_t i = d->n; severity == SPEC_ERROR && i > 0; i--) {
        if (d->v[i - 1].severity != SPEC_ERROR) {
            free_diag(&d->v[i - 1]);
            return &d->v[i - 1];
        }
    }
    return NULL;
}

void spec_diags_add(struct spec_diags *d, enum spec_severity severity, const char *id, int line,
                    int column, const char *path, const char *fmt, ...)
{
    d->n_errors += severity == SPEC_ERROR;
    d->n_warnings += severity == SPEC_WARNING;
    struct spec_diag *x = new_place(d, severity);
    if (!x)
        return;
    *x = (struct spec_diag){ .severity = severity, .id = id, .line = line, .column = column };
    x->path = strdup(path);
    va_list ap;
    va_start(ap, fmt);
    if (vasprintf(&x->text, fmt, ap) < 0)
        x->text = NULL; /* out of memory: id and place are still worth printing */
    va_end(ap);
}

void spec_diags_hide(struct spec_diags *d, int first, int last)
{
    struct spec_lines *grown = reallocarray(d->hidden, d->n_hidden + 1, sizeof *grown);
    if (!grown) { /* then rather none at all */
        d->hidden_all = true;
        return;
    }
    d->hidden = grown;
    d->hidden[d->n_hidden++] = (struct spec_lines){ first, last };
}

static bool is_hidden(const struct spec_diags *d, int line)
{
    bool hidden = d->hidden_all;
    for (size_t i = 0; i < d->n_hidden; i++)
        hidden |= d->hidden[i].first <= line && line <= d->hidden[i].last;
    return hidden;
}

/* By position; at the same place, errors first and then in the order they were found. */
static int compare(const struct spec_diag *a, const struct spec_diag *b)
{
    if (a->line != b->line)
        return a->line < b->line ? -1 : 1;
    if (a->column != b->column)
        return a->column < b->column ? -1 : 1;
    return (int)a->severity - (int)b->severity;
}

void spec_diags_sort(struct spec_diags *d)
{
    for (size_t i = 1; i < d->n; i++) { /* stable; at most 100 of them, nearly sorted */
        struct spec_diag x = d->v[i];
        size_t k = i;
        for (; k > 0 && compare(&d->v[k - 1], &x) > 0; k--)
            d->v[k] = d->v[k - 1];
        d->v[k] = x;
    }
}

/* ---- printing -------------------------------------------------------------------------------- */

struct palette {
    const char *severity[3], *strong, *off;
};
static const struct palette plain = { { "", "", "" }, "", "" };
static const struct palette coloured = { { "\033[1;31m", "\033[1;33m", "\033[1;36m" },
                                         "\033[1m",
                                         "\033[0m" };

/* Line number `line` of source, without its end; *len is its length. NULL: there is none. */
static const char *source_line(const char *source, int line, size_t *len)
{
    for (; line > 1; line--) {
        source = strchr(source, '\n');
        if (!source)
            return NULL;
        source++;
    }
    *len = strcspn(source, "\r\n");
    return source;
}

/*
 * `len` bytes of what the document says, fit for a terminal: a control character (C0 except tab,
 * DEL, and C1 as UTF-8 has it) becomes one '?', so that a document cannot steer the reader's
 * terminal and the columns stay what they were.
 */
static void add_shown(struct zl_buf *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        bool c1 = c == 0xc2 && i + 1 < len && (unsigned char)text[i + 1] >= 0x80 &&
                  (unsigned char)text[i + 1] < 0xa0;
        bool control = (c < 0x20 && c != '\t') || c == 0x7f || c1;
        zl_buf_addc(out, (char)(control ? '?' : text[i]));
        i += c1;
    }
}

/* The line and a caret under the column, which counts characters. Long lines are left out. */
static void print_source(const struct spec_diag *x, const char *source, const struct palette *c,
                         struct zl_buf *out)
{
    enum { LINE_MAX_SHOWN = 200 };
    size_t len;
    const char *text = x->line ? source_line(source, x->line, &len) : NULL;
    if (!text || len > LINE_MAX_SHOWN || !len)
        return;
    zl_buf_addf(out, "%5d | ", x->line);
    add_shown(out, text, len);
    zl_buf_adds(out, "\n      | ");
    int column = 1;
    for (size_t i = 0; i < len && column < x->column; i++) {
        if (text[i] == '\t')
            zl_buf_addc(out, '\t'); /* so the caret stands below, however wide a tab is */
        else if (((unsigned char)text[i] & 0xc0) != 0x80)
            zl_buf_addc(out, ' ');
        else
            continue;
        column++;
    }
    zl_buf_addf(out, "%s^%s\n", c->severity[x->severity], c->off);
}

void spec_diags_print(const struct spec_diags *d, const char *source, bool colour,
                      struct zl_buf *out)
{
    const struct palette *c = colour ? &coloured : &plain;
    size_t errors_shown = 0;
    for (size_t i = 0; i < d->n; i++) {
        const struct spec_diag *x = &d->v[i];
        errors_shown += x->severity == SPEC_ERROR;
        zl_buf_addf(out, "%s%s%s %s %s", c->severity[x->severity], severity_names[x->severity],
                    c->off, x->id, c->strong);
        const char *name = d->name ? d->name : "-";
        add_shown(out, name, strlen(name));
        if (x->line)
            zl_buf_addf(out, ":%d:%d", x->line, x->column);
        const char *path = x->path ? x->path : "";
        const char *text = x->text ? x->text : "out of memory";
        zl_buf_addf(out, "%s%s", c->off, *path ? " " : "");
        add_shown(out, path, strlen(path));
        zl_buf_adds(out, ": ");
        add_shown(out, text, strlen(text));
        zl_buf_addc(out, '\n');
        if (source && !is_hidden(d, x->line))
            print_source(x, source, c, out);
    }
    if (errors_shown < d->n_errors)
        zl_buf_addf(out, "… and %zu more errors\n", d->n_errors - errors_shown);
}

void spec_diags_json(const struct spec_diags *d, struct zl_buf *out)
{
    json_t *list = json_array();
    for (size_t i = 0; i < d->n; i++) {
        const struct spec_diag *x = &d->v[i];
        json_t *one = json_pack("{s:s, s:s, s:s, s:i, s:i, s:s, s:s}", "severity",
                                severity_names[x->severity], "id", x->id, "file",
                                d->name ? d->name : "-", "line", x->line, "column", x->column,
                                "path", x->path ? x->path : "", "message", x->text ? x->text : "");
        if (!one || json_array_append_new(list, one) < 0)
            out->failed = true;
    }
    if (!list || zl_json_dump(list, JSON_COMPACT, out, NULL) < 0)
        out->failed = true;
    json_decref(list);
}
