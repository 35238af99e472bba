// SPDX-License-Identifier: Apache-2.0
#include "monitor/exitrec.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/dir.h"
#include "base/fd.h"
#include "monitor/logformat.h"

enum { RECORD_MAX = 512 };

static const char *const whys[] = { [MON_WHY_UNSAID] = "",
                                    [MON_WHY_TIMEOUT] = "timeout",
                                    [MON_WHY_TRAP] = "trap",
                                    [MON_WHY_BROKEN] = "broken" };

static int sync_entry(void *arg, const struct dirent *entry, struct zl_error *err)
{
    const int *dir_fd = arg;
    if (entry->d_type != DT_REG)
        return 0;
    zl_autoclose int fd = openat(*dir_fd, entry->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 || fsync(fd) < 0 ? zl_fail_errno(err, "sync '%s'", entry->d_name) : 0;
}

static int sync_beside(int dir_fd, struct zl_error *err)
{
    zl_autoclose int parent = zl_open_dir(dir_fd, "..", err);
    if (parent < 0 ||
        zl_dir_each(dir_fd, "list the container's folder", sync_entry, &dir_fd, err) < 0)
        return -1;
    return fsync(parent) < 0 ? zl_fail_errno(err, "sync the folder of containers") : 0;
}

int exitrec_write(int dir_fd, const struct mon_exit *e, bool durable, struct zl_error *err)
{
    char started[ZL_RFC3339_SIZE], finished[ZL_RFC3339_SIZE], text[RECORD_MAX];

    const char *why = e->why < ZL_ARRAY_LEN(whys) ? whys[e->why] : "";

    (void)zl_format_rfc3339(e->started_wall_ns, 9, started);
    (void)zl_format_rfc3339(e->finished_wall_ns, 9, finished);
    int n = snprintf(text, sizeof text,
                     "{\"code\":%d,\"signal\":%d,\"oom\":%s,\"oom_peak\":%llu,%s%s%s"
                     "\"started_at\":\"%s\",\"finished_at\":\"%s\"}\n",
                     e->code, e->signal, e->oom ? "true" : "false",
                     (unsigned long long)e->oom_peak_bytes, *why ? "\"why\":\"" : "", why,
                     *why ? "\"," : "", started, finished);
    if (durable && sync_beside(dir_fd, err) < 0)
        return -1;
    return zl_write_atomic(dir_fd, MON_EXIT_RECORD, text, (size_t)n, 0600, durable, err);
}

static bool skip(const char **p, const char *text)
{
    size_t n = strlen(text);

    if (strncmp(*p, text, n) != 0)
        return false;
    *p += n;
    return true;
}

static bool take_number(const char **p, uint64_t max, uint64_t *ret)
{
    uint64_t value = 0;
    const char *start = *p;

    for (; **p >= '0' && **p <= '9'; (*p)++) {
        uint64_t digit = (uint64_t)(**p - '0');
        if (value > (max - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *ret = value;
    return *p > start;
}

static bool take_bool(const char **p, uint32_t *ret)
{
    *ret = skip(p, "true");
    return *ret || skip(p, "false");
}

static bool take_time(const char **p, int64_t *ret)
{
    if (!skip(p, "\""))
        return false;
    size_t n = log_parse_time(*p, strlen(*p), ret);
    *p += n;
    return n > 0 && skip(p, "\"");
}

/* It stands there only when there is something to say. */
static bool take_why(const char **p, uint32_t *ret)
{
    if (!skip(p, "\"why\":\""))
        return true;
    for (uint32_t i = MON_WHY_TIMEOUT; i < ZL_ARRAY_LEN(whys); i++)
        if (skip(p, whys[i])) {
            *ret = i;
            return skip(p, "\",");
        }
    return false;
}

static bool parse(const char *p, struct mon_exit *ret)
{
    uint64_t code, signal;
    struct mon_exit e = { 0 };

    bool good = skip(&p, "{\"code\":") && take_number(&p, 255, &code) && skip(&p, ",\"signal\":") &&
                take_number(&p, 64, &signal) && skip(&p, ",\"oom\":") && take_bool(&p, &e.oom) &&
                skip(&p, ",\"oom_peak\":") && take_number(&p, UINT64_MAX, &e.oom_peak_bytes) &&
                skip(&p, ",") && take_why(&p, &e.why) && skip(&p, "\"started_at\":") &&
                take_time(&p, &e.started_wall_ns) && skip(&p, ",\"finished_at\":") &&
                take_time(&p, &e.finished_wall_ns) && skip(&p, "}\n") && *p == '\0';
    if (!good)
        return false;
    e.code = (int32_t)code;
    e.signal = (int32_t)signal;
    *ret = e;
    return true;
}

int exitrec_read(int dir_fd, struct mon_exit *ret, struct zl_error *err)
{
    zl_autobuf struct zl_buf text = ZL_BUF(RECORD_MAX);

    if (zl_read_file(dir_fd, MON_EXIT_RECORD, &text, err) < 0) {
        if (errno == ENOENT && err)
            err->kind = ZL_ERR_NOT_FOUND;
        return zl_wrap(err, "read the exit record");
    }
    if (strlen(text.data) != text.len || !parse(text.data, ret))
        return zl_fail(err, ZL_ERR_INVALID, "the exit record is torn: '%.100s'", text.data);
    return 0;
}
