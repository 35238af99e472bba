// SPDX-License-Identifier: Apache-2.0
/* Findings about a document, each with its place: errors, warnings, notes. */
#ifndef ZL_SPEC_DIAG_H
#define ZL_SPEC_DIAG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

enum spec_severity { SPEC_ERROR, SPEC_WARNING, SPEC_INFO };

struct spec_diag {
    enum spec_severity severity;
    const char *id;   /* "E-UNKNOWN-FIELD"; static storage */
    int line, column; /* 1-based; 0: the document as a whole */
    char *path;       /* "services.web.endpoints[1].port"; owned by the list */
    char *text;       /* what is wrong, the value found, what is allowed */
};

enum { SPEC_DIAGS_KEPT = 100 }; /* more nobody reads; the counts go on */

struct spec_diags {
    char *name; /* of the document, as messages say it */
    struct spec_diag *v;
    size_t n, cap;
    size_t n_errors, n_warnings; /* counted even beyond the kept ones */
    struct spec_lines {
        int first, last;
    } * hidden; /* lines that are never shown */
    size_t n_hidden;
    bool hidden_all; /* for lack of memory */
};

void spec_diags_init(struct spec_diags *d);
void spec_diags_done(struct spec_diags *d);
static inline void spec_diags_donep(struct spec_diags *d)
{
    spec_diags_done(d);
}
#define autodiags ZL_CLEANUP(spec_diags_donep)

void spec_diags_add(struct spec_diags *d, enum spec_severity severity, const char *id, int line,
                    int column, const char *path, const char *fmt, ...) ZL_PRINTF(7, 8);
/* From now on the lines first to last of the document are not printed: a secret stands there. */
void spec_diags_hide(struct spec_diags *d, int first, int last);
void spec_diags_sort(struct spec_diags *d);
/*
 * One line a finding, "<severity> <id> <name>:<line>:<column> <path>: <text>"; with source (or
 * NULL) the line of it and a caret below; colour adds escapes.
 */
void spec_diags_print(const struct spec_diags *d, const char *source, bool colour,
                      struct zl_buf *out);
/* A JSON array of {severity,id,file,line,column,path,message}. */
void spec_diags_json(const struct spec_diags *d, struct zl_buf *out);

#endif
