// SPDX-License-Identifier: Apache-2.0
/* What went wrong, to people on stderr and to engines in the --log file. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "ocicli/verbs.h"

/* As runc writes it, for the engines that read it back: level, msg, time. */
static void append_log(const struct options *o, const char *level, const char *message)
{
    zl_autobuf struct zl_buf line = ZL_BUF(8192);
    zl_autoclose int fd = -1;
    char now[ZL_RFC3339_SIZE];
    json_t *entry;

    if (!o->log)
        return;
    zl_format_rfc3339(zl_wall_ns(), 0, now);
    fd = open(o->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        return; /* the message is on stderr as well */
    if (strcmp(o->log_format, "json") == 0) {
        entry = json_pack("{ss ss ss}", "level", level, "msg", message, "time", now);
        (void)zl_json_dump(entry, JSON_COMPACT, &line, NULL);
        json_decref(entry);
    } else {
        zl_buf_addf(&line, "time=\"%s\" level=%s msg=\"%s\"", now, level, message);
    }
    zl_buf_addc(&line, '\n');
    (void)zl_write_all(fd, line.data, line.len, "log", NULL); /* as above */
}

void report(const struct options *o, enum report_level level, const struct zl_error *err)
{
    (void)fprintf(stderr, "zlayer-oci: %s%s\n", level == REPORT_WARNING ? "warning: " : "",
                  err->msg);
    append_log(o, level == REPORT_WARNING ? "warning" : "error", err->msg);
}
