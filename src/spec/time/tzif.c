// SPDX-License-Identifier: Apache-2.0
/*
 * The table is a list of segments, each with one offset, from minus infinity on. Segments of the
 * file come first; the footer's rule is written out for 400 years and some behind them. After 400
 * years the Gregorian calendar repeats to the day of the week (146097 days are 20871 weeks), so any
 * later time is looked up a multiple of that earlier.
 *
 * Each segment also knows how far the local clock has come when it ends (`reach`, a running
 * maximum). That makes gaps and folds a matter of comparing, in tables of any shape.
 */
#include "spec/time/tzif.h"

#include <string.h>

#include "base/clock.h"
#include "spec/time/tzrule.h"

enum {
    DAY = 86400,
    RULE_FROM_YEAR = 1900, /* no rule of daylight saving is older */
    OFFSET_MIN = -89999,   /* RFC 9636, 3.2: offsets lie strictly between -25 and +26 hours */
    OFFSET_MAX = 93599,
};
#define CYCLE (INT64_C(146097) * DAY)
#define TIME_LIMIT (INT64_C(1) << 58)

struct segment {
    int64_t start; /* UTC; the first starts at INT64_MIN */
    int64_t reach; /* no local time from here on was shown before the segment's end */
    int32_t offset;
};

struct tz {
    bool cyclic;  /* a rule with daylight saving holds in the end */
    int64_t base; /* then: [base, base + CYCLE) stands for all later times */
    size_t n;
    struct segment seg[];
};

/* ---- reading the file ---- */

struct header {
    char version;
    uint32_t isutcnt, isstdcnt, leapcnt, timecnt, typecnt, charcnt;
};

/* The parts of one data block, RFC 9636, 3.2. */
struct block {
    struct header h;
    int time_size; /* 4 in version 1, else 8 */
    const uint8_t *times, *type_of, *types, *chars, *isstd, *isut;
};

struct reader {
    const uint8_t *p, *end;
};

static int bad(struct zl_error *err, const char *why)
{
    (void)zl_fail(err, ZL_ERR_INVALID, "time zone file: %s", why);
    return -1; /* spelled out for clang's analyzer, which cannot see into zl_fail */
}

static const uint8_t *take(struct reader *r, uint64_t n)
{
    if (n > (uint64_t)(r->end - r->p))
        return NULL;
    const uint8_t *p = r->p;
    r->p += n;
    return p;
}

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int64_t time_at(const struct block *b, size_t i)
{
    const uint8_t *p = b->times + i * (size_t)b->time_size;
    if (b->time_size == 4)
        return (int32_t)be32(p);
    return (int64_t)((uint64_t)be32(p) << 32 | be32(p + 4));
}

static int32_t offset_of_type(const struct block *b, unsigned type)
{
    return (int32_t)be32(b->types + (size_t)type * 6);
}

static int read_header(struct reader *r, struct header *h, struct zl_error *err)
{
    const uint8_t *p = take(r, 44);
    if (!p || memcmp(p, "TZif", 4) != 0)
        return bad(err, "it does not begin with a TZif header");
    if (p[4] != '\0' && (p[4] < '2' || p[4] > '4'))
        return bad(err, "its version is not 1, 2, 3 or 4");
    *h = (struct header){ .version = (char)p[4],
                          .isutcnt = be32(p + 20),
                          .isstdcnt = be32(p + 24),
                          .leapcnt = be32(p + 28),
                          .timecnt = be32(p + 32),
                          .typecnt = be32(p + 36),
                          .charcnt = be32(p + 40) };
    return 0;
}

static uint64_t block_size(const struct header *h, int time_size)
{
    return (uint64_t)h->timecnt * (uint64_t)(time_size + 1) + (uint64_t)h->typecnt * 6 +
           h->charcnt + (uint64_t)h->leapcnt * (uint64_t)(time_size + 4) + h->isstdcnt + h->isutcnt;
}

static int read_block(struct reader *r, struct block *b, struct zl_error *err)
{
    const struct header *h = &b->h;
    const uint8_t *p = take(r, block_size(h, b->time_size));
    if (!p)
        return bad(err, "it is shorter than its header says");
    if (h->typecnt == 0 || h->typecnt > 256 || h->charcnt == 0)
        return bad(err, "it has no local time type, or more than can be numbered");
    if ((h->isutcnt && h->isutcnt != h->typecnt) || (h->isstdcnt && h->isstdcnt != h->typecnt))
        return bad(err, "an indicator is missing, or is one too many");
    b->times = p;
    b->type_of = b->times + (size_t)h->timecnt * (size_t)b->time_size;
    b->types = b->type_of + h->timecnt;
    b->chars = b->types + (size_t)h->typecnt * 6;
    b->isstd = b->chars + h->charcnt;
    b->isut = b->isstd + h->isstdcnt;
    if (h->leapcnt) /* they would lie before isstd */
        return zl_fail(err, ZL_ERR_UNSUPPORTED,
                       "time zone file: it counts leap seconds, which the system's clock does not");
    return 0;
}

static int check_types(const struct block *b, struct zl_error *err)
{
    if (b->chars[b->h.charcnt - 1] != '\0')
        return bad(err, "the abbreviations do not end in a NUL");
    for (uint32_t i = 0; i < b->h.typecnt; i++) {
        const uint8_t *type = b->types + (size_t)i * 6;
        int32_t offset = offset_of_type(b, i);
        if (offset < OFFSET_MIN || offset > OFFSET_MAX)
            return bad(err, "an offset is not between -25 and +26 hours");
        if (type[4] > 1 || type[5] >= b->h.charcnt)
            return bad(err, "a local time type is out of range");
    }
    for (uint32_t i = 0; i < b->h.isstdcnt; i++) {
        if (b->isstd[i] > 1)
            return bad(err, "a standard/wall indicator is neither 0 nor 1");
    }
    for (uint32_t i = 0; i < b->h.isutcnt; i++) {
        if (b->isut[i] > 1 || (b->isut[i] && !(b->h.isstdcnt && b->isstd[i])))
            return bad(err, "a UT/local indicator is wrong");
    }
    return 0;
}

static int check_transitions(const struct block *b, struct zl_error *err)
{
    for (uint32_t i = 0; i < b->h.timecnt; i++) {
        int64_t at = time_at(b, i);
        if (i > 0 && at <= time_at(b, i - 1))
            return bad(err, "the transitions are not in order");
        /* RFC 9636, 3.2: nothing should be before -2^59 */
        if (at < -2 * TIME_LIMIT || at > TIME_LIMIT)
            return bad(err, "a transition is too far away");
        if (b->type_of[i] >= b->h.typecnt)
            return bad(err, "a transition leads to a local time type that is not there");
    }
    return 0;
}

/* "\n" rule "\n", the last of the file. *len 0: there is no rule. */
static int read_footer(struct reader *r, const char **text, size_t *len, struct zl_error *err)
{
    size_t left = (size_t)(r->end - r->p);
    const uint8_t *newline = left ? memchr(r->p + 1, '\n', left - 1) : NULL;
    if (!newline || *r->p != '\n')
        return bad(err, "its footer is not a line");
    if (newline + 1 != r->end)
        return bad(err, "bytes follow the footer");
    *text = (const char *)r->p + 1;
    *len = (size_t)(newline - r->p - 1);
    return 0;
}

/* ---- the table ---- */

/* Appends a change of the offset; one at the time of the last replaces it. */
static void add_segment(struct tz *tz, int64_t start, int32_t offset)
{
    if (tz->n > 0 && tz->seg[tz->n - 1].start == start)
        tz->n--;
    if (tz->n == 0 || tz->seg[tz->n - 1].offset != offset)
        tz->seg[tz->n++] = (struct segment){ .start = start, .offset = offset };
}

static void fill_reach(struct tz *tz)
{
    int64_t reach = INT64_MIN;
    for (size_t i = 0; i < tz->n; i++) {
        int64_t end = i + 1 < tz->n ? tz->seg[i + 1].start + tz->seg[i].offset : INT64_MAX;
        reach = end > reach ? end : reach;
        tz->seg[i].reach = reach;
    }
}

struct change {
    int64_t at;
    bool begins; /* daylight saving */
    int32_t offset;
};

/* Saving that ends and begins at one instant goes on: the beginning comes last. */
static int by_time(const void *a, const void *b)
{
    const struct change *x = a, *y = b;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return x->begins - y->begins;
}

/* One year before, two up to the base, 400, two after; two changes in each. */
enum { RULE_CHANGES = 2 * 405 };

static int64_t year_of(int64_t utc)
{
    int64_t year;
    int month, day;
    zl_civil_from_days(utc / DAY - (utc % DAY < 0), &year, &month, &day);
    return year;
}

/* Writes the rule's changes after `last` (the time of the file's last transition) out. */
static int add_rule(struct tz *tz, const struct tz_rule *rule, int64_t last, struct zl_error *err)
{
    int64_t year = last == INT64_MIN ? RULE_FROM_YEAR : year_of(last);
    year = year < RULE_FROM_YEAR ? RULE_FROM_YEAR : year;
    zl_autofree struct change *changes = calloc(RULE_CHANGES, sizeof *changes);
    if (!changes)
        return zl_fail_errno(err, "read a time zone");

    for (size_t i = 0; i < RULE_CHANGES; i += 2) {
        int64_t begin, end;
        tz_rule_year(rule, year - 1 + (int64_t)i / 2, &begin, &end);
        changes[i] = (struct change){ begin, true, rule->dst_offset };
        changes[i + 1] = (struct change){ end, false, rule->std_offset };
    }
    qsort(changes, RULE_CHANGES, sizeof *changes, by_time);
    for (size_t i = 0; i < RULE_CHANGES; i++) {
        if (changes[i].at > last)
            add_segment(tz, changes[i].at, changes[i].offset);
    }
    tz->cyclic = true;
    tz->base = zl_days_from_civil(year + 2, 1, 1) * DAY;
    return 0;
}

static int build(const struct block *b, const struct tz_rule *rule, struct tz **ret,
                 struct zl_error *err)
{
    size_t n = b->h.timecnt;
    int64_t last = n ? time_at(b, n - 1) : INT64_MIN;
    autotz struct tz *tz = calloc(1, sizeof *tz + (n + 1 + RULE_CHANGES) * sizeof(struct segment));
    if (!tz)
        return zl_fail_errno(err, "read a time zone");

    add_segment(tz, INT64_MIN, n || !rule ? offset_of_type(b, 0) : rule->std_offset);
    for (size_t i = 0; i < n; i++)
        add_segment(tz, time_at(b, i), offset_of_type(b, b->type_of[i]));
    if (rule && n && year_of(last) >= RULE_FROM_YEAR &&
        tz_rule_offset_at(rule, last) != tz->seg[tz->n - 1].offset)
        return bad(err, "its rule contradicts its last transition");
    if (rule && rule->has_dst && add_rule(tz, rule, last, err) < 0)
        return -1;
    fill_reach(tz);
    *ret = zl_take_ptr(tz);
    return 0;
}

int tz_parse(const void *bytes, size_t len, struct tz **ret, struct zl_error *err)
{
    struct reader r = { .p = bytes, .end = (const uint8_t *)bytes + len };
    struct block b = { .time_size = 4 };
    struct tz_rule rule;
    const char *footer;
    size_t footer_len = 0;

    if (len > TZ_FILE_MAX)
        return bad(err, "it is larger than 64 KiB");
    if (read_header(&r, &b.h, err) < 0)
        return -1;
    char version = b.h.version;
    if (version) { /* the first block is for readers of version 1 only */
        if (!take(&r, block_size(&b.h, 4)))
            return bad(err, "it is shorter than its first header says");
        if (read_header(&r, &b.h, err) < 0)
            return -1;
        if (b.h.version != version)
            return bad(err, "its headers differ in version");
        b.time_size = 8;
    }
    if (read_block(&r, &b, err) < 0 || check_types(&b, err) < 0 || check_transitions(&b, err) < 0)
        return -1;
    if (version && read_footer(&r, &footer, &footer_len, err) < 0)
        return -1;
    if (!version && r.p != r.end)
        return bad(err, "bytes follow its data");
    if (footer_len && tz_rule_parse(footer, footer_len, version >= '3', &rule, err) < 0)
        return -1;
    return build(&b, footer_len ? &rule : NULL, ret, err);
}

void tz_free(struct tz *tz)
{
    free(tz);
}

/* ---- names ---- */

bool tz_name_valid(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len > 64)
        return false;
    for (const char *p = name; *p; p++) {
        bool letter = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z');
        bool first = p == name || p[-1] == '/';
        if (!letter && (first || !strchr("0123456789_+-/", *p)))
            return false;
    }
    return name[len - 1] != '/';
}

bool tz_name_is_utc(const char *name)
{
    return strcmp(name, "UTC") == 0;
}

/* ---- answers ---- */

static int64_t clamp(int64_t t)
{
    return t < -TIME_LIMIT ? -TIME_LIMIT : t > TIME_LIMIT ? TIME_LIMIT : t;
}

/* How much earlier than t, UTC or local, the table is to be asked. */
static int64_t cycles_before(const struct tz *tz, int64_t t)
{
    if (!tz->cyclic || t < tz->base + CYCLE)
        return 0;
    return (t - tz->base) / CYCLE * CYCLE;
}

static size_t segment_at(const struct tz *tz, int64_t utc)
{
    size_t low = 0, high = tz->n; /* seg[low] starts at or before utc, seg[high] after it */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (tz->seg[middle].start <= utc)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* The segment in which the clock comes to show `local` or more for the first time. */
static size_t segment_reaching(const struct tz *tz, int64_t local)
{
    size_t low = 0, high = tz->n - 1; /* the last one reaches everything */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (tz->seg[middle].reach > local)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static int64_t first_instant(const struct segment *s, int64_t local)
{
    return s->start > local - s->offset ? s->start : local - s->offset;
}

int32_t tz_offset_at(const struct tz *tz, int64_t utc)
{
    if (!tz)
        return 0;
    utc = clamp(utc);
    return tz->seg[segment_at(tz, utc - cycles_before(tz, utc))].offset;
}

int64_t tz_first_reach(const struct tz *tz, int64_t local)
{
    local = clamp(local);
    if (!tz)
        return local;
    int64_t shift = cycles_before(tz, local);
    local -= shift;
    return first_instant(&tz->seg[segment_reaching(tz, local)], local) + shift;
}

int64_t tz_high_water(const struct tz *tz, int64_t utc)
{
    utc = clamp(utc);
    if (!tz)
        return utc;
    int64_t shift = cycles_before(tz, utc);
    utc -= shift;
    size_t i = segment_at(tz, utc);
    int64_t shown = utc + tz->seg[i].offset;
    if (i > 0 && tz->seg[i - 1].reach - 1 > shown)
        shown = tz->seg[i - 1].reach - 1;
    return shown + shift;
}

struct tz_local tz_local_to_utc(const struct tz *tz, int64_t local)
{
    local = clamp(local);
    if (!tz)
        return (struct tz_local){ TZ_LOCAL_ONCE, local, local };
    int64_t shift = cycles_before(tz, local);
    local -= shift;
    size_t i = segment_reaching(tz, local);
    int64_t first = first_instant(&tz->seg[i], local);
    struct tz_local answer = { TZ_LOCAL_ONCE, first + shift, first + shift };
    if (first + tz->seg[i].offset != local) {
        answer.kind = TZ_LOCAL_GAP;
        return answer;
    }
    for (i++; i < tz->n && tz->seg[i].start <= local - OFFSET_MIN; i++) {
        int64_t again = local - tz->seg[i].offset;
        if (again >= tz->seg[i].start && (i + 1 == tz->n || again < tz->seg[i + 1].start)) {
            answer.kind = TZ_LOCAL_FOLD;
            answer.second = again + shift;
            break;
        }
    }
    return answer;
}

bool tz_next_repeat(const struct tz *tz, int64_t from, int64_t until, struct tz_repeat *ret)
{
    if (!tz)
        return false;
    for (size_t i = segment_at(tz, from); i < tz->n && tz->seg[i].start < until; i++) {
        const struct segment *s = &tz->seg[i];
        if (i == 0)
            continue;
        int64_t begin = s->start > from ? s->start : from;
        int64_t end = s[-1].reach - s->offset; /* then the clock shows what is new */
        if (i + 1 < tz->n && end > s[1].start)
            end = s[1].start;
        end = end > until ? until : end;
        if (begin < end) {
            *ret = (struct tz_repeat){ begin, end, s->offset };
            return true;
        }
    }
    return false;
}
