// SPDX-License-Identifier: Apache-2.0
#include "monitor/logformat.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

static const char *const stream_words[LOG_STREAMS] = { "stdout", "stderr" };
enum { STREAM_WORD_LEN = 6 };

size_t log_format_head(char out[LOG_HEAD_MAX], int64_t wall_ns, enum log_stream stream,
                       enum log_end end)
{
    char time[ZL_RFC3339_SIZE];
    size_t n = zl_format_rfc3339(wall_ns, 9, time) - 1; /* without its Z */

    return (size_t)snprintf(out, LOG_HEAD_MAX, "%.*s%s %s %c ", (int)n, time,
                            end == LOG_UNFINISHED ? "+00:00" : "Z", stream_words[stream],
                            end == LOG_PART ? 'P' : 'F');
}

/* Exactly `digits` decimal digits. */
static bool take_number(const char **p, const char *end, int digits, int *ret)
{
    int value = 0;

    if (end - *p < digits)
        return false;
    for (int i = 0; i < digits; i++, (*p)++) {
        if (**p < '0' || **p > '9')
            return false;
        value = value * 10 + (**p - '0');
    }
    *ret = value;
    return true;
}

static bool take_byte(const char **p, const char *end, char wanted)
{
    if (*p == end || **p != wanted)
        return false;
    (*p)++;
    return true;
}

/* Days from 1970-01-01 to a day of the Gregorian calendar, by counting years from March. */
static int64_t days_since_epoch(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t leaps = y / 4 - y / 100 + y / 400;
    int from_march = (month + 9) % 12;

    return 365 * y + leaps + (153 * (int64_t)from_march + 2) / 5 + day - 1 - 719468;
}

static bool take_fraction(const char **p, const char *end, int *ret_ns)
{
    int ns = 0, digits = 0;

    *ret_ns = 0;
    if (!take_byte(p, end, '.'))
        return true;
    for (; *p < end && **p >= '0' && **p <= '9'; (*p)++, digits++) {
        if (digits == 9)
            return false;
        ns = ns * 10 + (**p - '0');
    }
    if (digits == 0)
        return false;
    for (; digits < 9; digits++)
        ns *= 10;
    *ret_ns = ns;
    return true;
}

static bool take_zone(const char **p, const char *end)
{
    if (take_byte(p, end, 'Z'))
        return true;
    if (end - *p < 6 || memcmp(*p, "+00:00", 6) != 0)
        return false;
    *p += 6;
    return true;
}

size_t log_parse_time(const char *text, size_t n, int64_t *ret_wall_ns)
{
    const char *p = text, *end = text + n;
    int year, month, day, hour, minute, second, ns;

    bool good = take_number(&p, end, 4, &year) && take_byte(&p, end, '-') &&
                take_number(&p, end, 2, &month) && take_byte(&p, end, '-') &&
                take_number(&p, end, 2, &day) && take_byte(&p, end, 'T') &&
                take_number(&p, end, 2, &hour) && take_byte(&p, end, ':') &&
                take_number(&p, end, 2, &minute) && take_byte(&p, end, ':') &&
                take_number(&p, end, 2, &second) && take_fraction(&p, end, &ns) &&
                take_zone(&p, end);
    /* 64 bits of nanoseconds end in 2262; second 60 is a leap second */
    if (!good || year < 1970 || year > 2261 || month < 1 || month > 12 || day < 1 || day > 31 ||
        hour > 23 || minute > 59 || second > 60)
        return 0;
    int64_t seconds = days_since_epoch(year, month, day) * 86400 + hour * INT64_C(3600) +
                      minute * INT64_C(60) + second;
    *ret_wall_ns = seconds * 1000000000 + ns;
    return (size_t)(p - text);
}

static bool take_stream(const char **p, const char *end, enum log_stream *ret)
{
    for (int i = 0; i < LOG_STREAMS; i++) {
        if (end - *p >= STREAM_WORD_LEN && memcmp(*p, stream_words[i], STREAM_WORD_LEN) == 0) {
            *p += STREAM_WORD_LEN;
            *ret = (enum log_stream)i;
            return true;
        }
    }
    return false;
}

bool log_parse_record(const char *line, size_t n, struct log_record *ret)
{
    const char *end = line + n;
    struct log_record r = { 0 };

    const char *p = line + log_parse_time(line, n, &r.wall_ns);
    if (p == line)
        return false;
    bool offset_zone = p[-1] != 'Z';
    if (!take_byte(&p, end, ' ') || !take_stream(&p, end, &r.stream) || !take_byte(&p, end, ' '))
        return false;
    if (take_byte(&p, end, 'P'))
        r.end = LOG_PART;
    else if (take_byte(&p, end, 'F'))
        r.end = offset_zone ? LOG_UNFINISHED : LOG_LINE;
    else
        return false;
    if (!take_byte(&p, end, ' '))
        return false;
    r.bytes = p;
    r.length = (size_t)(end - p);
    *ret = r;
    return true;
}

bool log_file_name(char out[300], const char *name, int age, const char *suffix)
{
    int n = age == 0 ? snprintf(out, 300, "%s%s", name, suffix)
                     : snprintf(out, 300, "%s.%d%s", name, age, suffix);
    return n > 0 && n < 300;
}
