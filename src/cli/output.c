// SPDX-License-Identifier: Apache-2.0
#include "cli/output.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/clock.h"

/* ---- styles -------------------------------------------------------------------------------- */

static const char *const escapes[STYLES] = {
    [STYLE_PLAIN] = "",        [STYLE_GOOD] = "\x1b[32m", [STYLE_BAD] = "\x1b[31m",
    [STYLE_WAIT] = "\x1b[33m", [STYLE_DIM] = "\x1b[2m",
};

/* clang-format off */
static const struct { const char *word; enum style style; } word_styles[] = {
    { "running", STYLE_GOOD },   { "up", STYLE_GOOD },         { "healthy", STYLE_GOOD },
    { "completed", STYLE_GOOD }, { "ready", STYLE_GOOD },      { "failed", STYLE_BAD },
    { "unhealthy", STYLE_BAD },  { "cancelled", STYLE_BAD },   { "stopped", STYLE_DIM },
    { "exited", STYLE_DIM },     { "registered", STYLE_DIM },  { "pending", STYLE_WAIT },
    { "scaling", STYLE_WAIT },   { "deploying", STYLE_WAIT },  { "waiting", STYLE_WAIT },
    { "pulling", STYLE_WAIT },   { "creating", STYLE_WAIT },   { "starting", STYLE_WAIT },
    { "stopping", STYLE_WAIT },  { "removing", STYLE_WAIT },   { "checking", STYLE_WAIT },
    { "crash_loop", STYLE_BAD },
};
/* clang-format on */

enum style style_of(const char *status)
{
    for (size_t i = 0; i < ZL_ARRAY_LEN(word_styles); i++)
        if (strcmp(word_styles[i].word, status) == 0)
            return word_styles[i].style;
    return STYLE_PLAIN;
}

void put_styled(struct zl_buf *out, enum style style, const char *text, bool colour)
{
    bool escape = colour && style != STYLE_PLAIN;
    if (escape)
        zl_buf_adds(out, escapes[style]);
    zl_buf_adds(out, text);
    if (escape)
        zl_buf_adds(out, "\x1b[0m");
}

bool want_colour(const struct cli *cli)
{
    const char *no = getenv("NO_COLOR");
    return !cli->no_color && !(no && *no) && isatty(1);
}

size_t terminal_width(void)
{
    struct winsize ws;
    return ioctl(1, TIOCGWINSZ, &ws) == 0 ? ws.ws_col : 0;
}

/* ---- tables -------------------------------------------------------------------------------- */

enum { COLUMN_MIN = 8, GAP = 2, TABLE_MAX = 16 * 1024 * 1024 };

void table_init(struct table *t, const char *const *headers)
{
    *t = (struct table){ .headers = headers };
    while (headers[t->n_columns] && t->n_columns < TABLE_COLUMNS)
        t->n_columns++;
}

void table_done(struct table *t)
{
    for (size_t i = 0; i < t->n_cells; i++)
        free(t->cells[i].text);
    free(t->cells);
    *t = (struct table){ 0 };
}

static bool make_room(struct table *t)
{
    if (t->n_cells < t->cap)
        return true;
    size_t cap = t->cap ? t->cap * 2 : 64;
    struct table_cell *cells = reallocarray(t->cells, cap, sizeof *cells);
    if (!cells)
        return false;
    t->cells = cells;
    t->cap = cap;
    return true;
}

/* What containers and registries say must neither break a row nor command the terminal: control
 * characters of ASCII, and those of Latin-1 in UTF-8 (ECMA-48), become blanks. */
static void blank_controls(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p; p++) {
        bool latin = p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0;
        if (*p < 0x20 || *p == 0x7f || latin)
            *p = ' ';
        if (latin)
            p[1] = ' ';
    }
}

void table_add(struct table *t, enum style style, const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        text = NULL;
    va_end(ap);
    if (!text || !make_room(t)) {
        free(text);
        t->failed = true;
        return;
    }
    blank_controls(text);
    t->cells[t->n_cells++] = (struct table_cell){ text, style };
}

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* Characters, not bytes, of UTF-8. */
static size_t text_width(const char *s)
{
    size_t n = 0;
    for (; *s; s++)
        n += !is_continuation(*s);
    return n;
}

static size_t column_of(const struct table *t, size_t cell)
{
    assert(t->n_columns > 0);
    return cell % t->n_columns;
}

static void measure(const struct table *t, size_t widths[TABLE_COLUMNS])
{
    for (size_t c = 0; c < t->n_columns; c++)
        widths[c] = text_width(t->headers[c]);
    for (size_t i = 0; i < t->n_cells; i++) {
        size_t w = text_width(t->cells[i].text), c = column_of(t, i);
        if (w > widths[c])
            widths[c] = w;
    }
}

static void shrink(const struct table *t, size_t widths[TABLE_COLUMNS], size_t width)
{
    size_t total = (t->n_columns - 1) * GAP;
    for (size_t c = 0; c < t->n_columns; c++)
        total += widths[c];
    for (; total > width; total--) {
        size_t widest = 0;
        for (size_t c = 1; c < t->n_columns; c++)
            if (widths[c] > widths[widest])
                widest = c;
        if (widths[widest] <= COLUMN_MIN)
            return;
        widths[widest]--;
    }
}

/* At most width characters; what is cut off becomes an ellipsis. Returns how many were put. */
static size_t put_cut(struct zl_buf *out, const char *text, size_t width)
{
    size_t full = text_width(text);
    if (full <= width) {
        zl_buf_adds(out, text);
        return full;
    }
    size_t n = 0;
    for (const char *s = text; *s; s++) {
        if (!is_continuation(*s) && n++ == width - 1)
            break;
        zl_buf_addc(out, *s);
    }
    zl_buf_adds(out, "\xe2\x80\xa6");
    return width;
}

static void put_cell(struct zl_buf *out, const char *text, enum style style, size_t width,
                     bool last, bool colour)
{
    zl_autobuf struct zl_buf cut = ZL_BUF(16384);
    size_t used = put_cut(&cut, text, width);
    put_styled(out, style, cut.data, colour);
    for (size_t pad = used; !last && pad < width + GAP; pad++)
        zl_buf_addc(out, ' ');
}

/* Without the padding before an empty last cell. */
static void end_line(struct zl_buf *out)
{
    while (out->len > 0 && out->data[out->len - 1] == ' ')
        out->len--;
    zl_buf_addc(out, '\n');
}

void table_render(const struct table *t, size_t width, bool colour, struct zl_buf *out)
{
    size_t widths[TABLE_COLUMNS] = { 0 };
    measure(t, widths);
    if (width > 0)
        shrink(t, widths, width);
    for (size_t c = 0; c < t->n_columns; c++)
        put_cell(out, t->headers[c], STYLE_DIM, widths[c], c + 1 == t->n_columns, colour);
    zl_buf_addc(out, '\n');
    for (size_t i = 0; i < t->n_cells; i++) {
        size_t c = column_of(t, i);
        bool last = c + 1 == t->n_columns;
        put_cell(out, t->cells[i].text, t->cells[i].style, widths[c], last, colour);
        if (last)
            end_line(out);
    }
    if (t->failed)
        zl_buf_adds(out, "(no memory for the rest)\n");
}

void table_print(const struct cli *cli, const struct table *t)
{
    zl_autobuf struct zl_buf out = ZL_BUF(TABLE_MAX);
    table_render(t, terminal_width(), want_colour(cli), &out);
    (void)fwrite(out.data, 1, out.len, stdout);
}

/* ---- JSON ---------------------------------------------------------------------------------- */

void print_json(const json_t *v)
{
    (void)json_dumpf(v, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
    (void)fputc('\n', stdout);
}

const char *jstr(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s ? s : "";
}

int64_t jint(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

bool jbool(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

/* ---- times and sizes ----------------------------------------------------------------------- */

void format_age(const char *rfc3339, int64_t now_ms, char out[16])
{
    static const struct {
        int64_t seconds;
        char unit;
    } units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' } };
    int64_t then;
    if (zl_parse_rfc3339(rfc3339, &then, NULL) < 0) {
        (void)snprintf(out, 16, "-");
        return;
    }
    then /= 1000000;
    int64_t age = now_ms > then ? (now_ms - then) / 1000 : 0;
    for (size_t i = 0; i < ZL_ARRAY_LEN(units); i++) {
        if (age >= units[i].seconds) {
            (void)snprintf(out, 16, "%u%c", (unsigned)(age / units[i].seconds), units[i].unit);
            return;
        }
    }
    (void)snprintf(out, 16, "%us", (unsigned)age);
}

void format_size(uint64_t bytes, char out[32])
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    uint64_t whole = bytes, rest = 0;
    size_t u = 0;
    for (; whole >= 1024 && u + 1 < ZL_ARRAY_LEN(units); u++) {
        rest = whole % 1024;
        whole /= 1024;
    }
    if (u > 0 && whole < 100)
        (void)snprintf(out, 32, "%llu.%llu %s", (unsigned long long)whole,
                       (unsigned long long)(rest * 10 / 1024), units[u]);
    else
        (void)snprintf(out, 32, "%llu %s", (unsigned long long)whole, units[u]);
}
