// SPDX-License-Identifier: Apache-2.0
/*
 * Inside plan/: filling the flat buffer. Texts and tables are appended behind the header, which is
 * kept apart until the end because the buffer moves as it grows. Running out of room is noticed
 * once, by writer_finish().
 */
#ifndef ZL_SANDBOX_PLAN_WRITER_H
#define ZL_SANDBOX_PLAN_WRITER_H

#include "sandbox/plan.h"

struct writer {
    struct zl_buf *out;
};

/* Leaves room for a header of this size. */
void writer_begin(struct writer *w, struct zl_buf *out, size_t header);
plan_str writer_text(struct writer *w, const char *text); /* NULL: 0 */
plan_str writer_textf(struct writer *w, const char *fmt, ...) ZL_PRINTF(2, 3);
struct plan_tab writer_table(struct writer *w, const void *elements, size_t n, size_t size);
/* The records that were collected in rows, of this size each. */
struct plan_tab writer_rows(struct writer *w, struct zl_buf *rows, size_t size);
/* n strings as a table of texts. */
struct plan_tab writer_texts(struct writer *w, const char *const *v, size_t n);
/* Puts the header, whose `size` member (the third number) is filled here, and the last 0. */
int writer_finish(struct writer *w, void *header, size_t n, struct zl_error *err);

#endif
