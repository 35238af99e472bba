// SPDX-License-Identifier: Apache-2.0
#include "sandbox/plan/writer.h"

#include <string.h>

static const char zeros[256];

static void pad(struct zl_buf *b, size_t to)
{
    size_t over = b->len % to;
    if (over)
        zl_buf_add(b, zeros, to - over);
}

void writer_begin(struct writer *w, struct zl_buf *out, size_t header)
{
    w->out = out;
    zl_buf_reset(out);
    for (size_t n; header; header -= n) {
        n = header < sizeof zeros ? header : sizeof zeros;
        zl_buf_add(out, zeros, n);
    }
}

plan_str writer_text(struct writer *w, const char *text)
{
    plan_str at = (plan_str)w->out->len;

    if (!text)
        return 0;
    zl_buf_add(w->out, text, strlen(text) + 1);
    return at;
}

plan_str writer_textf(struct writer *w, const char *fmt, ...)
{
    plan_str at = (plan_str)w->out->len;
    va_list ap;

    va_start(ap, fmt);
    zl_buf_vaddf(w->out, fmt, ap);
    va_end(ap);
    zl_buf_addc(w->out, '\0');
    return at;
}

struct plan_tab writer_table(struct writer *w, const void *elements, size_t n, size_t size)
{
    struct plan_tab t = { .off = 0, .n = (uint32_t)n };

    pad(w->out, 8);
    t.off = (uint32_t)w->out->len;
    if (n)
        zl_buf_add(w->out, elements, n * size);
    return t;
}

struct plan_tab writer_rows(struct writer *w, struct zl_buf *rows, size_t size)
{
    if (rows->failed)
        w->out->failed = true;
    return writer_table(w, rows->data, rows->len / size, size);
}

struct plan_tab writer_texts(struct writer *w, const char *const *v, size_t n)
{
    zl_autobuf struct zl_buf rows = ZL_BUF(PLAN_MAX);

    for (size_t i = 0; i < n; i++) {
        plan_str s = writer_text(w, v[i]);
        zl_buf_add(&rows, &s, sizeof s);
    }
    return writer_rows(w, &rows, sizeof(plan_str));
}

int writer_finish(struct writer *w, void *header, size_t n, struct zl_error *err)
{
    zl_buf_addc(w->out, '\0');
    pad(w->out, 8);
    if (zl_buf_check(w->out, "plan", err) < 0)
        return -1;
    ((uint32_t *)header)[2] = (uint32_t)w->out->len;
    memcpy(w->out->data, header, n);
    return 0;
}
