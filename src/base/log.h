// SPDX-License-Identifier: Apache-2.0
/*
 * The program's own log on stderr: text on a terminal, one JSON object a line otherwise. Used by
 * mains, agent/ and cli/ only; libraries report through zl_error. Safe from several threads (one
 * write(2) a line).
 */
#ifndef ZL_BASE_LOG_H
#define ZL_BASE_LOG_H

#include "base/error.h"

enum zl_log_level { ZL_LOG_ERROR, ZL_LOG_WARN, ZL_LOG_INFO, ZL_LOG_DEBUG, ZL_LOG_TRACE };
enum zl_log_format { ZL_LOG_AUTO, ZL_LOG_TEXT, ZL_LOG_JSON };

/* program is kept, not copied. Called once by main before the first line. */
void zl_log_init(const char *program, enum zl_log_level max, enum zl_log_format format);
enum zl_log_level zl_log_max(void);
/* "error", "warn", "info", "debug", "trace"; -1 for anything else. */
int zl_log_level_parse(const char *word);

void zl_log(enum zl_log_level level, const char *fmt, ...) ZL_PRINTF(2, 3);
/* "<text>: <message>", with kind and place of the error as fields in JSON. */
void zl_log_error(enum zl_log_level level, const struct zl_error *cause, const char *fmt, ...)
    ZL_PRINTF(3, 4);

#endif
