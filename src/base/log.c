// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/utf8.h"

static struct {
    const char *program;
    enum zl_log_level max;
    bool json;
} logger = { .program = "zlayer", .max = ZL_LOG_INFO };

static const char *const level_names[] = {
    [ZL_LOG_ERROR] = "error", [ZL_LOG_WARN] = "warn",   [ZL_LOG_INFO] = "info",
    [ZL_LOG_DEBUG] = "debug", [ZL_LOG_TRACE] = "trace",
};

void zl_log_init(const char *program, enum zl_log_level max, enum zl_log_format format)
{
    logger.program = program;
    logger.max = max;
    logger.json = format == ZL_LOG_JSON || (format == ZL_LOG_AUTO && !isatty(STDERR_FILENO));
}

enum zl_log_level zl_log_max(void)
{
    return logger.max;
}

int zl_log_level_parse(const char *word)
{
    for (size_t i = 0; i < ZL_ARRAY_LEN(level_names); i++)
        if (strcmp(word, level_names[i]) == 0)
            return (int)i;
    return -1;
}

/* A JSON string; control characters become \u00XX, other bytes pass as they are: it is UTF-8. */
static void add_json_string(struct zl_buf *b, const char *s)
{
    zl_buf_addc(b, '"');
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            zl_buf_addf(b, "\\%c", *s);
        else if ((unsigned char)*s < 0x20)
            zl_buf_addf(b, "\\u%04x", (unsigned)*s);
        else
            zl_buf_addc(b, *s);
    }
    zl_buf_addc(b, '"');
}

enum { TEXT_SIZE = 2048, LINE_SIZE = 6 * 2 * TEXT_SIZE + 1024 }; /* \u00XX for each byte */

/* Of n bytes: what did not fit is marked as cut. */
static void finish_text(char *text, size_t size, int n)
{
    static const char mark[] = "...";

    if (n >= 0 && (size_t)n >= size)
        (void)memcpy(text + size - sizeof mark, mark, sizeof mark);
    zl_utf8_mend(text);
}

static void write_line(enum zl_log_level level, const struct zl_error *cause, const char *text)
{
    zl_autobuf struct zl_buf line = ZL_BUF(LINE_SIZE);
    char time[ZL_RFC3339_SIZE];
    (void)zl_format_rfc3339(zl_wall_ns(), 3, time);

    if (logger.json) {
        zl_buf_addf(&line, "{\"time\":\"%s\",\"level\":\"%s\",\"program\":\"%s\",\"msg\":", time,
                    level_names[level], logger.program);
        add_json_string(&line, text);
        if (cause)
            zl_buf_addf(&line, ",\"kind\":\"%s\",\"where\":\"%s\"", zl_err_kind_name(cause->kind),
                        cause->where ? cause->where : "");
        zl_buf_adds(&line, "}\n");
    } else {
        zl_buf_addf(&line, "%s %-5s %s\n", time, level_names[level], text);
    }
    if (!line.failed)
        (void)!write(STDERR_FILENO, line.data, line.len); /* where else would one report it? */
}

void zl_log(enum zl_log_level level, const char *fmt, ...)
{
    if (level > logger.max)
        return;
    char text[TEXT_SIZE];
    va_list ap;
    va_start(ap, fmt);
    finish_text(text, sizeof text, vsnprintf(text, sizeof text, fmt, ap));
    va_end(ap);
    write_line(level, NULL, text);
}

void zl_log_error(enum zl_log_level level, const struct zl_error *cause, const char *fmt, ...)
{
    if (level > logger.max)
        return;
    char text[TEXT_SIZE], whole[TEXT_SIZE + sizeof cause->msg + 2];
    va_list ap;
    va_start(ap, fmt);
    finish_text(text, sizeof text, vsnprintf(text, sizeof text, fmt, ap));
    va_end(ap);
    (void)snprintf(whole, sizeof whole, "%s: %s", text, cause->msg);
    write_line(level, cause, whole);
}
