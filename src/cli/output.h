// SPDX-License-Identifier: Apache-2.0
/* What commands print: tables that fit the terminal, JSON, times and sizes for people. */
#ifndef ZL_CLI_OUTPUT_H
#define ZL_CLI_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "cli/cli.h"

enum style { STYLE_PLAIN, STYLE_GOOD, STYLE_BAD, STYLE_WAIT, STYLE_DIM, STYLES };

/* The style that goes with a status or state word of the API: "running" is good, "failed" bad. */
enum style style_of(const char *status);
/* Appends text between the escapes of its style, or as it is. */
void put_styled(struct zl_buf *out, enum style style, const char *text, bool colour);
/* Whether stdout shall have colours: a terminal, no --no-color, no $NO_COLOR (no-color.org). */
bool want_colour(const struct cli *cli);
/* Columns of the terminal on stdout; 0: it is none. */
size_t terminal_width(void);

enum { TABLE_COLUMNS = 12 };

/* Rows of cells, filled from left to right and top to bottom. Control characters become blanks. */
struct table {
    const char *const *headers; /* NULL-terminated; borrowed */
    size_t n_columns, n_cells, cap;
    struct table_cell {
        char *text;
        enum style style;
    } * cells;
    bool failed; /* no memory: table_render says so */
};

void table_init(struct table *t, const char *const *headers);
void table_done(struct table *t);
#define autotable ZL_CLEANUP(table_done)
void table_add(struct table *t, enum style style, const char *fmt, ...) ZL_PRINTF(3, 4);
/*
 * Appends header and rows. width 0: as wide as the content; otherwise the widest columns are cut
 * with an ellipsis until a row fits, never below 8 characters.
 */
void table_render(const struct table *t, size_t width, bool colour, struct zl_buf *out);
/* To stdout. */
void table_print(const struct cli *cli, const struct table *t);

/* Pretty-printed, with a newline at the end, to stdout. */
void print_json(const json_t *v);

/* Members of an answer: "" or 0 or false when absent or null. */
const char *jstr(const json_t *object, const char *key);
int64_t jint(const json_t *object, const char *key);
bool jbool(const json_t *object, const char *key);

/* "12s", "3m", "2h", "5d" between an RFC 3339 time and now; "-" when the text is empty. */
void format_age(const char *rfc3339, int64_t now_ms, char out[16]);
/* "512 B", "1.5 MiB" */
void format_size(uint64_t bytes, char out[32]);

#endif
