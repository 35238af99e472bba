// SPDX-License-Identifier: Apache-2.0
/*
 * What happened, to people on stderr and to engines in the --log file: lines of level, msg and
 * time, which containerd, CRI-O and conmon read back and show to their users.
 */
#include <ctype.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/utf8.h"
#include "ocicli/ocicli.h"

enum { MESSAGE_MAX = sizeof((struct zl_error *)NULL)->msg };
enum level { LEVEL_DEBUG, LEVEL_WARNING, LEVEL_ERROR };

static const struct {
    const char *name;
    int priority; /* syslog(3) */
} levels[] = {
    [LEVEL_DEBUG] = { "debug", LOG_DEBUG },
    [LEVEL_WARNING] = { "warning", LOG_WARNING },
    [LEVEL_ERROR] = { "error", LOG_ERR },
};

/* ---- lines ---- */

static void json_line(struct zl_buf *line, enum level level, const char *message, const char *now)
{
    char text[MESSAGE_MAX];
    (void)zl_utf8_escape(message, text, sizeof text); /* what has no room is cut off */
    json_t *entry = json_pack("{ss ss ss}", "level", levels[level].name, "msg", text, "time", now);

    (void)zl_json_dump(entry, JSON_COMPACT, line, NULL);
    json_decref(entry);
}

/* In quotes, as a reader of key=value pairs takes them. */
static void text_line(struct zl_buf *line, enum level level, const char *message, const char *now)
{
    zl_buf_addf(line, "time=\"%s\" level=%s msg=\"", now, levels[level].name);
    for (; *message; message++) {
        if (*message == '"' || *message == '\\')
            zl_buf_addc(line, '\\');
        if (*message == '\n')
            zl_buf_adds(line, "\\n");
        else
            zl_buf_addc(line, *message);
    }
    zl_buf_addc(line, '"');
}

static void append_to_file(const struct cli *cli, const char *path, enum level level,
                           const char *message)
{
    zl_autobuf struct zl_buf line = ZL_BUF(16384);
    zl_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    char now[ZL_RFC3339_SIZE];

    if (fd < 0)
        return; /* the message is on stderr as well */
    zl_format_rfc3339(zl_wall_ns(), 0, now);
    (cli->log_format == OCI_LOG_JSON ? json_line : text_line)(&line, level, message, now);
    zl_buf_addc(&line, '\n');
    (void)zl_write_all(fd, line.data, line.len, "log", NULL); /* as above */
}

/* ---- other logs ---- */

static void to_syslog(const char *name, enum level level, const char *message)
{
    openlog(name[0] ? name : "zlayer-oci", LOG_PID, LOG_DAEMON);
    syslog(levels[level].priority, "%s", message);
    closelog();
}

/* systemd's native protocol, "Native Journal Protocol": FIELD=value lines in one datagram. */
static void to_journal(const char *name, enum level level, const char *message)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/socket" };
    zl_autoclose int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    zl_autobuf struct zl_buf text = ZL_BUF(16384);

    zl_buf_addf(&text, "PRIORITY=%d\nSYSLOG_IDENTIFIER=%s\nMESSAGE=", levels[level].priority,
                name[0] ? name : "zlayer-oci");
    for (; *message; message += *message == '\n') { /* one line: that form takes no other */
        size_t n = strcspn(message, "\n");
        zl_buf_add(&text, message, n);
        zl_buf_addc(&text, message[n] ? ' ' : '\n');
        message += n;
    }
    if (fd >= 0) /* the message is on stderr as well */
        (void)sendto(fd, text.data, text.len, MSG_NOSIGNAL, (struct sockaddr *)&to, sizeof to);
}

/* "file:PATH", "syslog:NAME", "journald:NAME" (crun), or a path. */
static void append(const struct cli *cli, enum level level, const char *message)
{
    const char *log = cli->log;

    if (!log)
        return;
    if (strncmp(log, "syslog:", 7) == 0)
        to_syslog(log + 7, level, message);
    else if (strncmp(log, "journald:", 9) == 0)
        to_journal(log + 9, level, message);
    else
        append_to_file(cli, strncmp(log, "file:", 5) == 0 ? log + 5 : log, level, message);
}

/* ---- what callers say ---- */

/* The text of errno at the end begins in lower case: Docker and Podman look for "permission
 * denied", "no such file or directory" as Go spells them, and make exit codes of them. */
static void spell_as_go(struct zl_error *err)
{
    const char *text = err->errnum ? strerror(err->errnum) : "";
    size_t n = strlen(err->msg), m = strlen(text);

    if (m && n >= m && strcmp(err->msg + n - m, text) == 0)
        err->msg[n - m] = (char)tolower((unsigned char)err->msg[n - m]);
}

int oci_fail(struct cli *cli, const struct zl_error *err)
{
    struct zl_error spelled = *err;

    spell_as_go(&spelled);
    (void)fflush(stdout);
    (void)fprintf(stderr, "zlayer-oci: %s\n", spelled.msg);
    append(cli, LEVEL_ERROR, spelled.msg);
    return OCI_FAILED;
}

int oci_fail_to_run(struct cli *cli, const struct zl_error *err)
{
    (void)oci_fail(cli, err);
    if (err->kind == ZL_ERR_DENIED)
        return OCI_NOT_EXECUTABLE;
    return err->kind == ZL_ERR_NOT_FOUND ? OCI_NO_COMMAND : OCI_OWN_FAILURE;
}

/* Where there is a log, only there: stderr is the container's when an engine starts it. */
static void tell(const struct cli *cli, enum level level, const char *text)
{
    if (cli->log)
        append(cli, level, text);
    else
        (void)fprintf(stderr, "zlayer-oci: %s: %s\n", levels[level].name, text);
}

void oci_warn(const struct cli *cli, const struct zl_error *err)
{
    tell(cli, LEVEL_WARNING, err->msg);
}

/* Whether a line of n bytes stands in the text before it already. */
static bool said_before(const char *text, const char *line, size_t n)
{
    for (; text < line; text += strcspn(text, "\n") + 1)
        if (strcspn(text, "\n") == n && memcmp(text, line, n) == 0)
            return true;
    return false;
}

void oci_warn_lines(const struct cli *cli, const struct zl_buf *notes)
{
    char line[MESSAGE_MAX];

    for (const char *at = notes->data; *at; at += strcspn(at, "\n"), at += *at == '\n') {
        size_t n = strcspn(at, "\n");
        if (said_before(notes->data, at, n))
            continue;
        if (n >= sizeof line)
            n = sizeof line - 1;
        memcpy(line, at, n);
        line[n] = '\0';
        tell(cli, LEVEL_WARNING, line);
    }
}

void oci_debug(const struct cli *cli, const char *fmt, ...)
{
    char text[MESSAGE_MAX];
    va_list ap;

    if (!cli->debug)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    tell(cli, LEVEL_DEBUG, text);
}
