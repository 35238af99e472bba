// SPDX-License-Identifier: Apache-2.0
/*
 * An expression becomes a bit set per field. The next firing is found on the calendar alone, field
 * by field and a month of days at once (day and weekday sets are laid over each other), and then
 * carried to UTC by the zone's view that never goes back (tzif.h). Never is there a loop over
 * seconds or days; the longest search looks at the 1572 months from 1970 to 2100.
 */
#include "spec/time/cron.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define DAY INT64_C(86400)
#define ALL_HOURS UINT64_C(0xffffff)

struct word {
    const char *text;
    int value;
};

struct field {
    const char *name;
    int min, max, max_step;
    bool question;            /* '?' may stand for '*' */
    const struct word *words; /* NULL: numbers only */
    const char *word_form;    /* how those are spelled */
};

/* clang-format off */
static const struct word month_words[] = {
    { "jan", 1 }, { "january", 1 },   { "feb", 2 },  { "february", 2 },  { "mar", 3 },  { "march", 3 },
    { "apr", 4 }, { "april", 4 },     { "may", 5 },  { "jun", 6 },       { "june", 6 }, { "jul", 7 },
    { "july", 7 }, { "aug", 8 },      { "august", 8 }, { "sep", 9 },     { "september", 9 },
    { "oct", 10 }, { "october", 10 }, { "nov", 11 }, { "november", 11 }, { "dec", 12 },
    { "december", 12 }, { 0 },
};
static const struct word weekday_words[] = {
    { "sun", 1 }, { "sunday", 1 },  { "mon", 2 },    { "monday", 2 },    { "tue", 3 }, { "tues", 3 },
    { "tuesday", 3 }, { "wed", 4 }, { "wednesday", 4 }, { "thu", 5 },    { "thurs", 5 },
    { "thursday", 5 }, { "fri", 6 }, { "friday", 6 }, { "sat", 7 },      { "saturday", 7 }, { 0 },
};
static const char month_form[] = "jan to dec or the full English name";
static const char weekday_form[] = "sun mon tue wed thu fri sat or the full English name";

static const struct field fields[CRON_FIELDS] = {
    [CRON_SECOND]  = { "second",       0,             59,            59,            false, NULL, NULL },
    [CRON_MINUTE]  = { "minute",       0,             59,            59,            false, NULL, NULL },
    [CRON_HOUR]    = { "hour",         0,             23,            23,            false, NULL, NULL },
    [CRON_DAY]     = { "day of month", 1,             31,            31,            true,  NULL, NULL },
    [CRON_MONTH]   = { "month",        1,             12,            12,            false, month_words, month_form },
    [CRON_WEEKDAY] = { "day of week",  1,             7,             7,             true,  weekday_words, weekday_form },
    [CRON_YEAR]    = { "year",         CRON_YEAR_MIN, CRON_YEAR_MAX, CRON_YEAR_MAX, false, NULL, NULL },
};

static const struct { const char *name, *meaning; } shorthands[] = {
    { "@hourly",  "0 0 * * * *" },
    { "@daily",   "0 0 0 * * *" },
    { "@weekly",  "0 0 0 * * SUN" },
    { "@monthly", "0 0 0 1 * *" },
    { "@yearly",  "0 0 0 1 1 *" },
};
/* clang-format on */

/* ---- the text ---- */

struct parser {
    const char *text, *p;
    const char *end; /* of the field */
    enum cron_field_id id;
    struct cron_flaw *flaw;
};

/* Printable ASCII of s[0..n), at most width characters; anything else becomes '?'. */
struct shown {
    char text[128];
};
static struct shown show(const char *s, size_t n)
{
    struct shown out;
    size_t max = sizeof out.text - sizeof "...";
    size_t len = n < max ? n : max;
    for (size_t i = 0; i < len; i++)
        out.text[i] = (char)(s[i] >= ' ' && s[i] <= '~' ? s[i] : '?');
    memcpy(out.text + len, n > max ? "..." : "", n > max ? sizeof "..." : 1);
    return out;
}

static int refuse_at(struct parser *ps, const char *at, const char *fmt, ...) ZL_PRINTF(3, 4);
static int refuse_at(struct parser *ps, const char *at, const char *fmt, ...)
{
    struct cron_flaw *flaw = ps->flaw;
    bool whole = ps->id == CRON_FIELDS;
    va_list ap;
    flaw->field = whole ? 0 : (int)ps->id + 1;
    flaw->field_name = whole ? "" : fields[ps->id].name;
    flaw->at = (size_t)(at - ps->text);
    va_start(ap, fmt);
    (void)vsnprintf(flaw->why, sizeof flaw->why, fmt, ap);
    va_end(ap);
    return -1;
}

static int refuse_char(struct parser *ps, const char *at)
{
    if (*at > ' ' && *at <= '~')
        return refuse_at(ps, at, "'%c' is not expected here", *at);
    return refuse_at(ps, at, "a character that is no letter, digit or sign of the grammar");
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The character at p, NUL at the field's end. */
static char peek(const struct parser *ps)
{
    if (ps->p == ps->end)
        return '\0';
    return *ps->p;
}

static bool take(struct parser *ps, char c)
{
    if (peek(ps) != c)
        return false;
    ps->p++;
    return true;
}

/* Digits, with any number of leading zeros. `what` is what the value is called. */
static int take_number(struct parser *ps, int min, int max, const char *what, int *ret)
{
    const char *start = ps->p;
    int value = 0;
    for (; is_digit(peek(ps)); ps->p++) {
        if (value <= max)
            value = value * 10 + (*ps->p - '0');
    }
    if (ps->p == start)
        return refuse_at(ps, start, "%s from %d to %d is expected", what, min, max);
    if (value < min || value > max)
        return refuse_at(ps, start, "%s is not in %d-%d", show(start, (size_t)(ps->p - start)).text,
                         min, max);
    *ret = value;
    return 0;
}

static int take_name(struct parser *ps, int *ret)
{
    const struct field *f = &fields[ps->id];
    const char *start = ps->p;
    while (is_letter(peek(ps)))
        ps->p++;
    size_t n = (size_t)(ps->p - start);
    for (const struct word *w = f->words; w && w->text; w++) {
        if (strlen(w->text) == n && strncasecmp(w->text, start, n) == 0) {
            *ret = w->value;
            return 0;
        }
    }
    if (!f->words)
        return refuse_at(ps, start, "'%s' is not a number from %d to %d", show(start, n).text,
                         f->min, f->max);
    return refuse_at(ps, start, "'%s' is not a %s; names are %s", show(start, n).text, f->name,
                     f->word_form);
}

static int take_value(struct parser *ps, bool name, int *ret)
{
    const struct field *f = &fields[ps->id];
    return name ? take_name(ps, ret) : take_number(ps, f->min, f->max, "a number", ret);
}

struct span {
    int low, high, step;
    bool single_name;
};

/* "*", "?", "5", "5-20", "MON", "MON-FRI". A number alone before '/' runs to the maximum. */
static int take_base(struct parser *ps, struct span *s)
{
    const struct field *f = &fields[ps->id];
    const char *start = ps->p;
    *s = (struct span){ .low = f->min, .high = f->max, .step = 1 };
    if (take(ps, '*'))
        return 0;
    if (take(ps, '?'))
        return f->question ? 0
                           : refuse_at(ps, start, "'?' belongs to the two day fields; write '*'");
    char c = peek(ps);
    if (c == ',' || c == '\0')
        return refuse_at(ps, start, "a value is missing");
    if (!is_digit(c) && !is_letter(c))
        return refuse_char(ps, start);
    if (take_value(ps, is_letter(c), &s->low) < 0)
        return -1;
    if (!take(ps, '-')) {
        s->single_name = is_letter(c);
        s->high = peek(ps) == '/' && !s->single_name ? f->max : s->low;
        return 0;
    }
    if ((is_digit(c) && is_letter(peek(ps))) || (is_letter(c) && is_digit(peek(ps))))
        return refuse_at(ps, start, "a range has two numbers or two names");
    if (take_value(ps, is_letter(c), &s->high) < 0)
        return -1;
    if (s->high < s->low)
        return refuse_at(ps, start, "the range '%s' runs backwards; ranges do not wrap around",
                         show(start, (size_t)(ps->p - start)).text);
    return 0;
}

static void add_value(struct cron *c, enum cron_field_id id, int value)
{
    unsigned bit = (unsigned)(value - CRON_YEAR_MIN);
    if (id == CRON_YEAR)
        c->years[bit / 64] |= UINT64_C(1) << bit % 64;
    else
        c->set[id] |= UINT64_C(1) << value;
}

static int take_item(struct parser *ps, struct cron *c)
{
    struct span s;
    if (take_base(ps, &s) < 0)
        return -1;
    const char *slash = ps->p;
    if (take(ps, '/')) {
        if (s.single_name)
            return refuse_at(ps, slash, "a name takes no step; write a range or a number");
        if (take_number(ps, 1, fields[ps->id].max_step, "a step", &s.step) < 0)
            return -1;
    }
    if (ps->p < ps->end && *ps->p != ',')
        return refuse_char(ps, ps->p);
    for (int v = s.low; v <= s.high; v += s.step)
        add_value(c, ps->id, v);
    return 0;
}

static int take_field(struct parser *ps, struct cron *c)
{
    do {
        if (take_item(ps, c) < 0)
            return -1;
    } while (take(ps, ','));
    return 0;
}

static const char spaces[] = " \t\n\r";

struct slice {
    const char *p;
    size_t len;
};

/* The words of the text; those beyond the room are counted only. */
static size_t split(const char *text, struct slice *words, size_t room)
{
    size_t n = 0;
    for (const char *p = text + strspn(text, spaces); *p; n++) {
        size_t len = strcspn(p, spaces);
        if (n < room)
            words[n] = (struct slice){ p, len };
        p += len;
        p += strspn(p, spaces);
    }
    return n;
}

static int refuse_crontab_line(struct parser *ps, const struct slice *words)
{
    char line[256] = "0";
    size_t n = 1;
    for (int i = 0; i < 5 && n < sizeof line; i++)
        n += (size_t)snprintf(line + n, sizeof line - n, " %.*s",
                              (int)(words[i].len < 40 ? words[i].len : 40), words[i].p);
    return refuse_at(ps, words[0].p,
                     "5 fields, as in a crontab; the seconds come first here: write '%s' (and days "
                     "of the week are 1 = Sunday to 7 = Saturday)",
                     show(line, strlen(line)).text);
}

static int refuse_count(struct parser *ps, const struct slice *words, size_t n)
{
    if (n == 0)
        return refuse_at(ps, ps->text, "it is empty; 6 or 7 fields or a shorthand are expected");
    if (n == 5)
        return refuse_crontab_line(ps, words);
    return refuse_at(ps, words[n > CRON_FIELDS ? CRON_FIELDS : 0].p,
                     "%zu field%s; 6 or 7 are expected: second minute hour day-of-month month "
                     "day-of-week [year]",
                     n, n == 1 ? "" : "s");
}

static int parse_fields(const char *text, struct cron *ret, struct cron_flaw *flaw)
{
    struct parser ps = { .text = text, .id = CRON_FIELDS, .flaw = flaw };
    struct slice words[CRON_FIELDS + 1];
    struct cron c = { 0 };
    size_t n = split(text, words, ZL_ARRAY_LEN(words));
    if (n != CRON_YEAR && n != CRON_FIELDS)
        return refuse_count(&ps, words, n);
    for (size_t i = 0; i < n; i++) {
        ps.id = (enum cron_field_id)i;
        ps.p = words[i].p;
        ps.end = words[i].p + words[i].len;
        if (take_field(&ps, &c) < 0)
            return -1;
    }
    for (int y = CRON_YEAR_MIN; n == CRON_YEAR && y <= CRON_YEAR_MAX; y++)
        add_value(&c, CRON_YEAR, y);
    *ret = c;
    return 0;
}

int cron_parse(const char *text, struct cron *ret, struct cron_flaw *flaw)
{
    const char *start = text + strspn(text, spaces);
    if (*start != '@')
        return parse_fields(text, ret, flaw);

    size_t len = strlen(start);
    while (strchr(spaces, start[len - 1]))
        len--;
    for (size_t i = 0; i < ZL_ARRAY_LEN(shorthands); i++) {
        if (strlen(shorthands[i].name) == len && memcmp(shorthands[i].name, start, len) == 0)
            return parse_fields(shorthands[i].meaning, ret, flaw);
    }
    struct parser ps = { .text = text, .id = CRON_FIELDS, .flaw = flaw };
    return refuse_at(&ps, start,
                     "'%s' is not one of @hourly, @daily, @weekly, @monthly and @yearly",
                     show(start, len).text);
}

size_t cron_flaw_format(const struct cron_flaw *flaw, char *out, size_t size)
{
    int n = flaw->field ? snprintf(out, size, "field %d (%s), column %zu: %s", flaw->field,
                                   flaw->field_name, flaw->at + 1, flaw->why)
                        : snprintf(out, size, "%s", flaw->why);
    return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}

/* ---- the calendar ---- */

static int first_bit(uint64_t set)
{
    return __builtin_ctzll(set);
}

/* The first member of set that is at least `from`, or -1. */
static int next_in(uint64_t set, int from)
{
    uint64_t rest = from < 64 ? set >> from << from : 0;
    return rest ? first_bit(rest) : -1;
}

/* The first second of the day, from second `from` on, that the time fields name; or -1. */
static int next_second_of_day(const struct cron *c, int from)
{
    int h = from / 3600, m = from / 60 % 60;
    int s = next_in(c->set[CRON_SECOND], from % 60);
    int hour = next_in(c->set[CRON_HOUR], h);
    int minute = next_in(c->set[CRON_MINUTE], s < 0 ? m + 1 : m);
    if (hour == h && minute < 0)
        hour = next_in(c->set[CRON_HOUR], h + 1);
    if (hour < 0)
        return -1;
    if (hour != h)
        minute = first_bit(c->set[CRON_MINUTE]);
    if (hour != h || minute != m)
        s = first_bit(c->set[CRON_SECOND]);
    return hour * 3600 + minute * 60 + s;
}

/* Bit d: day d of the month is named by both day fields. `first` is the day number of its first. */
static uint64_t days_of_month(const struct cron *c, int64_t year, int month, int64_t first)
{
    unsigned weekday = (unsigned)((first + 4) % 7); /* 0 Sunday; 1970-01-01 was a Thursday */
    uint64_t week = c->set[CRON_WEEKDAY] >> 1;
    week = (week >> weekday | week << (7 - weekday)) & 0x7f; /* bit 0: the weekday of the first */
    uint64_t weeks = week | week << 7 | week << 14 | week << 21 | week << 28;
    uint64_t exist = (UINT64_C(2) << zl_days_in_month(year, month)) - 2;
    return c->set[CRON_DAY] & weeks << 1 & exist;
}

/* The first day from `day` on (days since 1970-01-01) that the date fields name; -1 when there is
 * none, or none in a month that begins before local time `end`. */
static int64_t next_day(const struct cron *c, int64_t day, int64_t end)
{
    int64_t year;
    int month, dom;
    zl_civil_from_days(day, &year, &month, &dom);
    for (; year <= CRON_YEAR_MAX; year++, month = 1, dom = 1) {
        unsigned y = (unsigned)(year - CRON_YEAR_MIN);
        if (!(c->years[y / 64] >> y % 64 & 1))
            continue;
        for (; month <= 12; month++, dom = 1) {
            if (!(c->set[CRON_MONTH] >> month & 1))
                continue;
            int64_t first = zl_days_from_civil(year, month, 1);
            if (first * DAY >= end)
                return -1;
            int found = next_in(days_of_month(c, year, month, first), dom);
            if (found >= 0)
                return first + found - 1;
        }
    }
    return -1;
}

/* The first local time in [from, end) that the expression names, or -1. */
static int64_t next_local(const struct cron *c, int64_t from, int64_t end)
{
    from = from < 0 ? 0 : from;
    int64_t day = from / DAY;
    int second = next_second_of_day(c, (int)(from % DAY));
    int64_t found = next_day(c, second < 0 ? day + 1 : day, end);
    if (found < 0)
        return -1;
    if (found != day)
        second = next_second_of_day(c, 0);
    int64_t local = found * DAY + second;
    return local < end ? local : -1;
}

/* ---- firing ---- */

/* The first instant in [from, until) at which the clock shows, once more, a time that is named. */
static bool next_repeated(const struct cron *c, const struct tz *tz, int64_t from, int64_t until,
                          int64_t *ret)
{
    struct tz_repeat r;
    for (; tz_next_repeat(tz, from, until, &r); from = r.end) {
        int64_t local = next_local(c, r.begin + r.offset, r.end + r.offset);
        if (local >= 0) {
            *ret = local - r.offset;
            return true;
        }
    }
    return false;
}

bool cron_is_rhythm(const struct cron *c)
{
    return c->set[CRON_HOUR] == ALL_HOURS;
}

bool cron_next(const struct cron *c, const struct tz *tz, int64_t after, int64_t *ret)
{
    const int64_t begin = -2 * DAY; /* no zone's offset is larger */
    const int64_t end = zl_days_from_civil(CRON_YEAR_MAX + 1, 1, 1) * DAY + 2 * DAY;
    if (after >= end)
        return false;
    after = after < begin ? begin : after;

    /* Every local time up to the high water has had its firing, and none above it. */
    int64_t local = next_local(c, tz_high_water(tz, after) + 1, INT64_MAX);
    int64_t at = local < 0 ? end : tz_first_reach(tz, local);
    bool found = local >= 0;
    if (cron_is_rhythm(c) && next_repeated(c, tz, after + 1, at, &at))
        found = true;
    if (found)
        *ret = at;
    return found;
}

bool cron_last(const struct cron *c, const struct tz *tz, int64_t after, int64_t until,
               int64_t *ret)
{
    int64_t last, at, high = until; /* nothing fires in (high, until] */
    if (!cron_next(c, tz, after, &last) || last > until)
        return false;
    while (last < high) {
        int64_t middle = last + (high - last) / 2;
        if (cron_next(c, tz, middle, &at) && at <= until)
            last = at;
        else
            high = middle;
    }
    *ret = last;
    return true;
}
