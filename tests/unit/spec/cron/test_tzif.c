// SPDX-License-Identifier: Apache-2.0
/* Time zone files: built by hand to be wrong in every way, and the host's own against libc. */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "spec/time/tzif.h"
#include "spec/time/tzrule.h"
#include "zone.h"

enum { HOUR = 3600 };

/* ---- files made by hand ---- */

struct type {
    int32_t offset;
    uint8_t isdst, index;
};

enum { NOTHING = -1, CHARS = 8 };

/* A file as it is to be written, mistakes included. */
struct plan {
    char version; /* '\0', '2', ... */
    int n_times, n_types;
    int64_t times[4];
    uint8_t type_of[4];
    struct type types[4];
    const char *footer; /* with its newlines; NULL: none */
    int isut, isstd, leap;
    int typecnt, timecnt, charcnt; /* what the header is to say; 0: the truth, NOTHING: 0 */
    const char *indicators;        /* the bytes of both kinds, standard/wall first */
    const char *chars;             /* 8 bytes; NULL: "LMT\0CET" */
};

static int count(int written, int truth)
{
    return written == NOTHING ? 0 : written ? written : truth;
}

static void add_be(struct zl_buf *b, int64_t value, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--)
        zl_buf_addc(b, (char)(i < 8 ? (uint64_t)value >> (8 * i) : 0));
}

static void add_header(struct zl_buf *b, const struct plan *p, bool empty)
{
    char reserved[15] = { 0 };
    zl_buf_adds(b, "TZif");
    zl_buf_addc(b, p->version);
    zl_buf_add(b, reserved, sizeof reserved);
    add_be(b, empty ? 0 : p->isut, 4);
    add_be(b, empty ? 0 : p->isstd, 4);
    add_be(b, empty ? 0 : p->leap, 4);
    add_be(b, empty ? 0 : count(p->timecnt, p->n_times), 4);
    add_be(b, empty ? 1 : count(p->typecnt, p->n_types), 4);
    add_be(b, empty ? 1 : count(p->charcnt, CHARS), 4);
}

static void add_file(struct zl_buf *b, const struct plan *p)
{
    int size = p->version ? 8 : 4;
    if (p->version) {
        add_header(b, p, true);
        zl_buf_add(b, "\0\0\0\0\0\0", 7); /* one type, one character */
    }
    add_header(b, p, false);
    for (int i = 0; i < p->n_times; i++)
        add_be(b, p->times[i], size);
    zl_buf_add(b, p->type_of, (size_t)p->n_times);
    for (int i = 0; i < p->n_types; i++) {
        add_be(b, p->types[i].offset, 4);
        zl_buf_addc(b, (char)p->types[i].isdst);
        zl_buf_addc(b, (char)p->types[i].index);
    }
    zl_buf_add(b, p->chars ? p->chars : "LMT\0CET", CHARS);
    for (int i = 0; i < p->leap; i++)
        add_be(b, 0, size + 4);
    if (p->indicators)
        zl_buf_add(b, p->indicators, (size_t)(p->isstd + p->isut));
    if (p->footer)
        zl_buf_adds(b, p->footer);
}

static int parse_plan(const struct plan *p, struct tz **ret, struct zl_error *err)
{
    zl_autobuf struct zl_buf b = ZL_BUF(4096);
    add_file(&b, p);
    assert_false(b.failed);
    return tz_parse(b.data, b.len, ret, err);
}

#define TWO_TYPES .n_types = 2, .types = { { 1800, 0, 0 }, { HOUR, 0, 4 } }
#define ONE_CHANGE .n_times = 1, .times = { -1000 }, .type_of = { 1 }, TWO_TYPES
#define V2 .version = '2'

/* clang-format off */
static const struct { struct plan plan; enum zl_err_kind kind; const char *why; } bad_files[] = {
    { { ONE_CHANGE, .version = '5', .footer = "\nCET-1\n" }, ZL_ERR_INVALID, "time zone file: its version is not 1, 2, 3 or 4" },
    { { ONE_CHANGE, .version = '1', .footer = "\nCET-1\n" }, ZL_ERR_INVALID, "time zone file: its version is not 1, 2, 3 or 4" },
    { { V2, ONE_CHANGE, .timecnt = 1000, .footer = "\nCET-1\n" }, ZL_ERR_INVALID, "time zone file: it is shorter than its header says" },
    { { V2, ONE_CHANGE, .timecnt = 0x7fffffff, .footer = "\nCET-1\n" }, ZL_ERR_INVALID, "time zone file: it is shorter than its header says" },
    { { V2, ONE_CHANGE, .charcnt = 0x7fffffff, .footer = "\nCET-1\n" }, ZL_ERR_INVALID, "time zone file: it is shorter than its header says" },
    { { V2, ONE_CHANGE, .typecnt = NOTHING, .footer = "\nCET-1\n" }, ZL_ERR_INVALID, "time zone file: it has no local time type, or more than can be numbered" },
    { { V2, ONE_CHANGE, .charcnt = NOTHING, .footer = "\nCET-1\n" }, ZL_ERR_INVALID, "time zone file: it has no local time type, or more than can be numbered" },
    { { V2, ONE_CHANGE, .isstd = 1, .indicators = "\0", .footer = "\nCET-1\n" }, ZL_ERR_INVALID, "time zone file: an indicator is missing, or is one too many" },
    { { V2, ONE_CHANGE, .isstd = 2, .indicators = "\0\2", .footer = "\nCET-1\n" }, ZL_ERR_INVALID, "time zone file: a standard/wall indicator is neither 0 nor 1" },
    { { V2, ONE_CHANGE, .isut = 2, .indicators = "\0\1", .footer = "\nCET-1\n" }, ZL_ERR_INVALID, "time zone file: a UT/local indicator is wrong" },
    { { V2, ONE_CHANGE, .isstd = 2, .isut = 2, .indicators = "\0\1\1\1", .footer = "\nCET-1\n" }, ZL_ERR_INVALID, "time zone file: a UT/local indicator is wrong" },
    { { V2, ONE_CHANGE, .leap = 1, .footer = "\nCET-1\n" }, ZL_ERR_UNSUPPORTED, "time zone file: it counts leap seconds, which the system's clock does not" },
    { { V2, ONE_CHANGE, .chars = "LMT\0CETx", .footer = "\nCET-1\n" }, ZL_ERR_INVALID, "time zone file: the abbreviations do not end in a NUL" },
    { { V2, .n_types = 1, .types = { { 93600, 0, 0 } }, .footer = "\n\n" }, ZL_ERR_INVALID, "time zone file: an offset is not between -25 and +26 hours" },
    { { V2, .n_types = 1, .types = { { -90000, 0, 0 } }, .footer = "\n\n" }, ZL_ERR_INVALID, "time zone file: an offset is not between -25 and +26 hours" },
    { { V2, .n_types = 1, .types = { { INT32_MIN, 0, 0 } }, .footer = "\n\n" }, ZL_ERR_INVALID, "time zone file: an offset is not between -25 and +26 hours" },
    { { V2, .n_types = 1, .types = { { 0, 2, 0 } }, .footer = "\n\n" }, ZL_ERR_INVALID, "time zone file: a local time type is out of range" },
    { { V2, .n_types = 1, .types = { { 0, 0, 8 } }, .footer = "\n\n" }, ZL_ERR_INVALID, "time zone file: a local time type is out of range" },
    { { V2, .n_times = 2, .times = { 5, 5 }, TWO_TYPES, .footer = "\n\n" }, ZL_ERR_INVALID, "time zone file: the transitions are not in order" },
    { { V2, .n_times = 2, .times = { 5, -5 }, TWO_TYPES, .footer = "\n\n" }, ZL_ERR_INVALID, "time zone file: the transitions are not in order" },
    { { V2, .n_times = 1, .times = { INT64_MAX }, TWO_TYPES, .footer = "\n\n" }, ZL_ERR_INVALID, "time zone file: a transition is too far away" },
    { { V2, .n_times = 1, .times = { INT64_MIN }, TWO_TYPES, .footer = "\n\n" }, ZL_ERR_INVALID, "time zone file: a transition is too far away" },
    { { V2, .n_times = 1, .times = { 5 }, .type_of = { 2 }, TWO_TYPES, .footer = "\n\n" }, ZL_ERR_INVALID, "time zone file: a transition leads to a local time type that is not there" },
    { { V2, ONE_CHANGE }, ZL_ERR_INVALID, "time zone file: its footer is not a line" },
    { { V2, ONE_CHANGE, .footer = "\n" }, ZL_ERR_INVALID, "time zone file: its footer is not a line" },
    { { V2, ONE_CHANGE, .footer = "\nCET-1" }, ZL_ERR_INVALID, "time zone file: its footer is not a line" },
    { { V2, ONE_CHANGE, .footer = "CET-1\n" }, ZL_ERR_INVALID, "time zone file: its footer is not a line" },
    { { V2, ONE_CHANGE, .footer = "\nCET-1\n\n" }, ZL_ERR_INVALID, "time zone file: bytes follow the footer" },
    { { V2, ONE_CHANGE, .footer = "\nCET-1\nx" }, ZL_ERR_INVALID, "time zone file: bytes follow the footer" },
    { { V2, ONE_CHANGE, .footer = "\nCET-2\n" }, ZL_ERR_INVALID, "time zone file: its rule contradicts its last transition" },
    { { V2, ONE_CHANGE, .footer = "\nCE-1\n" }, ZL_ERR_INVALID, "time zone rule, character 3: a name of at least three letters is expected" },
    { { ONE_CHANGE, .footer = "x" }, ZL_ERR_INVALID, "time zone file: bytes follow its data" },
};
/* clang-format on */

static void a_wrong_file_is_refused_with_the_reason(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < ZL_ARRAY_LEN(bad_files); i++) {
        struct tz *tz = NULL;
        struct zl_error err = { 0 };
        if (parse_plan(&bad_files[i].plan, &tz, &err) == 0)
            fail_msg("file %zu is accepted, not: %s", i, bad_files[i].why);
        assert_null(tz);
        assert_string_equal(err.msg, bad_files[i].why);
        assert_int_equal(err.kind, bad_files[i].kind);
    }
}

static void every_cut_of_a_file_is_refused(void **unused)
{
    (void)unused;
    size_t len;
    zl_autofree unsigned char *bytes = zone_read(TZ_DIR "/Europe/Berlin", &len);
    assert_non_null(bytes);
    for (size_t n = 0; n < len; n++) {
        struct tz *tz;
        struct zl_error err = { 0 };
        zl_autofree unsigned char *cut = malloc(n ? n : 1); /* so that a sanitizer sees its end */
        assert_non_null(cut);
        memcpy(cut, bytes, n);
        assert_int_equal(tz_parse(cut, n, &tz, &err), -1);
        assert_true(err.msg[0] != '\0');
    }
}

static void a_file_that_is_too_large_is_refused_unread(void **unused)
{
    (void)unused;
    struct tz *tz;
    struct zl_error err = { 0 };
    zl_autofree unsigned char *bytes = calloc(1, TZ_FILE_MAX + 1);
    assert_non_null(bytes);
    assert_int_equal(tz_parse(bytes, TZ_FILE_MAX + 1, &tz, &err), -1);
    assert_string_equal(err.msg, "time zone file: it is larger than 64 KiB");
}

static void versions_one_to_four_are_read(void **unused)
{
    (void)unused;
    static const char versions[] = { '\0', '2', '3', '4' };
    for (size_t i = 0; i < ZL_ARRAY_LEN(versions); i++) {
        struct plan p = { ONE_CHANGE, .version = versions[i],
                          .footer = versions[i] ? "\nCET-1\n" : NULL };
        struct tz *tz = NULL;
        struct zl_error err = { 0 };
        assert_int_equal(parse_plan(&p, &tz, &err), 0);
        assert_int_equal(tz_offset_at(tz, -1001), 1800);
        assert_int_equal(tz_offset_at(tz, -1000), HOUR);
        assert_int_equal(tz_offset_at(tz, INT64_MIN), 1800);
        assert_int_equal(tz_offset_at(tz, INT64_MAX), HOUR);
        tz_free(tz);
    }
}

static void hours_beyond_a_day_need_version_three(void **unused)
{
    (void)unused;
    struct plan p = { .version = '2',
                      .n_types = 1,
                      .types = { { -3 * HOUR, 0, 0 } },
                      .footer = "\n<-03>3<-02>,M3.5.0/-2,M10.5.0/-1\n" };
    struct tz *tz = NULL;
    struct zl_error err = { 0 };
    assert_int_equal(parse_plan(&p, &tz, &err), -1);
    p.version = '3';
    assert_int_equal(parse_plan(&p, &tz, &err), 0);
    tz_free(tz);
}

/* ---- rules ---- */

#define RULE "time zone rule, character "
#define DATE ": a date is expected, ',' and Jn, n or Mm.w.d, and perhaps '/' and a time"

/* clang-format off */
static const struct { const char *text, *why; } bad_rules[] = {
    { "",                            RULE "1: a name of at least three letters is expected" },
    { "AB1",                         RULE "3: a name of at least three letters is expected" },
    { "<AB>1",                       RULE "4: a name of at least three letters is expected" },
    { "<ABC1",                       RULE "6: a name of at least three letters is expected" },
    { "ABC",                         RULE "4: an offset is expected, [+-]hh[:mm[:ss]]" },
    { "ABC25",                       RULE "6: an offset is expected, [+-]hh[:mm[:ss]]" },
    { "ABC1:60",                     RULE "8: an offset is expected, [+-]hh[:mm[:ss]]" },
    { "ABC1:00:60",                  RULE "11: an offset is expected, [+-]hh[:mm[:ss]]" },
    { "ABC1:",                       RULE "6: an offset is expected, [+-]hh[:mm[:ss]]" },
    { "ABC--1",                      RULE "5: an offset is expected, [+-]hh[:mm[:ss]]" },
    { "ABC1 ",                       RULE "5: the name of daylight saving is expected" },
    { "ABC1DEF",                     RULE "8" DATE },
    { "ABC1DEF2",                    RULE "9" DATE },
    { "ABC1DEFx",                    RULE "9" DATE },
    { "ABC1DEF?",                    RULE "8: the offset of daylight saving is expected" },
    { "ABC1DEF,J1",                  RULE "11" DATE },
    { "ABC1DEF,J0,J5",               RULE "11" DATE },
    { "ABC1DEF,J366,J5",             RULE "13" DATE },
    { "ABC1DEF,366,5",               RULE "12" DATE },
    { "ABC1DEF,M0.1.0,M3.1.0",       RULE "11" DATE },
    { "ABC1DEF,M13.1.0,M3.1.0",      RULE "12" DATE },
    { "ABC1DEF,M3.0.0,M3.1.0",       RULE "13" DATE },
    { "ABC1DEF,M3.6.0,M3.1.0",       RULE "13" DATE },
    { "ABC1DEF,M3.1.7,M3.1.0",       RULE "15" DATE },
    { "ABC1DEF,M3.1,M3.1.0",         RULE "13" DATE },
    { "ABC1DEF,M3.1.0/168,M3.1.0",   RULE "19" DATE },
    { "ABC1DEF,M3.1.0/,M3.1.0",      RULE "16" DATE },
    { "ABC1DEF,M3.1.0,M3.1.0x",      RULE "22: more text than a rule has" },
    { "ABC1DEF,M3.1.0,M3.1.0,J1",    RULE "22: more text than a rule has" },
};
/* clang-format on */

static void a_wrong_rule_is_refused_with_the_place(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < ZL_ARRAY_LEN(bad_rules); i++) {
        struct tz_rule r;
        struct zl_error err = { 0 };
        const char *text = bad_rules[i].text;
        if (tz_rule_parse(text, strlen(text), true, &r, &err) == 0)
            fail_msg("'%s' is accepted", text);
        if (strcmp(err.msg, bad_rules[i].why) != 0)
            fail_msg("'%s': %s", text, err.msg);
    }
}

/* clang-format off */
static const struct { const char *text; int64_t year; const char *begin, *end; } rules[] = {
    { "CET-1CEST,M3.5.0,M10.5.0/3",       2026, "2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z" },
    { "EST5EDT,M3.2.0,M11.1.0",           2026, "2026-03-08T07:00:00Z", "2026-11-01T06:00:00Z" },
    { "IST-1GMT0,M10.5.0,M3.5.0/1",       2026, "2026-10-25T01:00:00Z", "2026-03-29T01:00:00Z" },
    { "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", 2026, "2026-10-03T15:30:00Z", "2026-04-04T15:00:00Z" },
    { "<-03>3<-02>,M3.5.0/-2,M10.5.0/-1", 2026, "2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z" },
    { "EET-2EEST,M3.4.4/50,M10.4.4/50",   2026, "2026-03-28T00:00:00Z", "2026-10-23T23:00:00Z" },
    { "AAA0BBB,J59/0,J60/0",              2026, "2026-02-28T00:00:00Z", "2026-02-28T23:00:00Z" },
    { "AAA0BBB,J59/0,J60/0",              2028, "2028-02-28T00:00:00Z", "2028-02-29T23:00:00Z" },
    { "AAA0BBB,59/0,60/0",                2026, "2026-03-01T00:00:00Z", "2026-03-01T23:00:00Z" },
    { "AAA0BBB,59/0,60/0",                2028, "2028-02-29T00:00:00Z", "2028-02-29T23:00:00Z" },
    { "AAA0BBB,0/0,J365/0",               2028, "2028-01-01T00:00:00Z", "2028-12-30T23:00:00Z" },
    { "AAA0BBB,365/0,J1/0",               2028, "2028-12-31T00:00:00Z", "2027-12-31T23:00:00Z" },
    { "AAA0BBB,M2.5.2/0:30:15,M8.1.6/0",  2028, "2028-02-29T00:30:15Z", "2028-08-04T23:00:00Z" },
    { "AAA0BBB,M2.5.3/-167,M2.5.3/167",   2026, "2026-02-18T01:00:00Z", "2026-03-03T22:00:00Z" },
};
/* clang-format on */

static void a_rule_gives_begin_and_end_of_a_year(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < ZL_ARRAY_LEN(rules); i++) {
        struct tz_rule r;
        struct zl_error err = { 0 };
        int64_t begin, end;
        char out[48];
        if (tz_rule_parse(rules[i].text, strlen(rules[i].text), true, &r, &err) < 0)
            fail_msg("'%s': %s", rules[i].text, err.msg);
        tz_rule_year(&r, rules[i].year, &begin, &end);
        assert_string_equal(shown(NULL, begin, out), rules[i].begin);
        assert_string_equal(shown(NULL, end, out), rules[i].end);
    }
}

static void a_zone_with_a_rule_only_follows_it_for_ever(void **unused)
{
    (void)unused;
    static const char *const footers[] = {
        "\nCET-1CEST,M3.5.0,M10.5.0/3\n",
        "\nAAA-1BBB,J60/0,300/5\n",
        "\nAAA-1BBB,M10.1.0,M4.1.0\n",
        "\nAAA-1BBB-1:30,M12.5.0/100,M1.1.0/-100\n",
    };
    for (size_t i = 0; i < ZL_ARRAY_LEN(footers); i++) {
        struct plan p = { .version = '3',

                          .n_types = 1,
                          .types = { { HOUR, 0, 0 } },
                          .footer = footers[i] };
        struct tz_rule rule;
        struct zl_error err = { 0 };
        autotz struct tz *tz = NULL;
        assert_int_equal(parse_plan(&p, &tz, &err), 0);
        assert_int_equal(tz_rule_parse(footers[i] + 1, strlen(footers[i]) - 2, true, &rule, &err),
                         0);
        /* every 11 hours and a bit, over more than two turns of the calendar */
        for (int64_t t = -67 * 31556952LL; t < 900 * 31556952LL; t += 40009)
            assert_int_equal(tz_offset_at(tz, t), tz_rule_offset_at(&rule, t));
        for (int64_t t = 1000000000000; t < 1000000000000 + 31556952; t += 1009)
            assert_int_equal(tz_offset_at(tz, t), tz_rule_offset_at(&rule, t));
    }
}

static void saving_all_year_has_no_seam_at_new_year(void **unused)
{
    (void)unused;
    struct plan p = { .version = '3',

                      .n_types = 1,
                      .types = { { -4 * HOUR, 1, 0 } },
                      .footer = "\nEST5EDT,0/0,J365/25\n" };
    struct zl_error err = { 0 };
    autotz struct tz *tz = NULL;
    assert_int_equal(parse_plan(&p, &tz, &err), 0);
    for (int64_t t = utc("2025-12-31T00:00:00Z"); t < utc("2026-01-03T00:00:00Z"); t += 600)
        assert_int_equal(tz_offset_at(tz, t), -4 * HOUR);
    struct tz_repeat r;
    assert_false(tz_next_repeat(tz, 0, utc("2100-01-01T00:00:00Z"), &r));
}

/* ---- local times ---- */

static void a_local_time_is_one_instant_two_or_none(void **unused)
{
    (void)unused;
    /* clang-format off */
    static const struct { const char *zone, *local; enum tz_local_kind kind; const char *first, *second; } cases[] = {
        { "UTC", "2026-03-29T02:30:00Z", TZ_LOCAL_ONCE, "2026-03-29T02:30:00Z", "2026-03-29T02:30:00Z" },
        { "Europe/Berlin", "2026-03-29T01:59:59Z", TZ_LOCAL_ONCE, "2026-03-29T00:59:59Z", "2026-03-29T00:59:59Z" },
        { "Europe/Berlin", "2026-03-29T02:00:00Z", TZ_LOCAL_GAP,  "2026-03-29T01:00:00Z", "2026-03-29T01:00:00Z" },
        { "Europe/Berlin", "2026-03-29T02:59:59Z", TZ_LOCAL_GAP,  "2026-03-29T01:00:00Z", "2026-03-29T01:00:00Z" },
        { "Europe/Berlin", "2026-03-29T03:00:00Z", TZ_LOCAL_ONCE, "2026-03-29T01:00:00Z", "2026-03-29T01:00:00Z" },
        { "Europe/Berlin", "2026-10-25T01:59:59Z", TZ_LOCAL_ONCE, "2026-10-24T23:59:59Z", "2026-10-24T23:59:59Z" },
        { "Europe/Berlin", "2026-10-25T02:00:00Z", TZ_LOCAL_FOLD, "2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z" },
        { "Europe/Berlin", "2026-10-25T02:59:59Z", TZ_LOCAL_FOLD, "2026-10-25T00:59:59Z", "2026-10-25T01:59:59Z" },
        { "Europe/Berlin", "2026-10-25T03:00:00Z", TZ_LOCAL_ONCE, "2026-10-25T02:00:00Z", "2026-10-25T02:00:00Z" },
        { "Australia/Lord_Howe", "2026-10-04T02:10:00Z", TZ_LOCAL_GAP, "2026-10-03T15:30:00Z", "2026-10-03T15:30:00Z" },
        { "Australia/Lord_Howe", "2026-04-05T01:40:00Z", TZ_LOCAL_FOLD, "2026-04-04T14:40:00Z", "2026-04-04T15:10:00Z" },
        { "Europe/Dublin", "2026-10-25T01:30:00Z", TZ_LOCAL_FOLD, "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z" },
        { "Pacific/Apia", "2011-12-30T15:00:00Z", TZ_LOCAL_GAP, "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z" },
    };
    /* clang-format on */
    for (size_t i = 0; i < ZL_ARRAY_LEN(cases); i++) {
        autotz struct tz *tz = zone_load(cases[i].zone);
        struct tz_local l = tz_local_to_utc(tz, utc(cases[i].local));
        char a[48], b[48];
        assert_string_equal(shown(NULL, l.first, a), cases[i].first);
        assert_string_equal(shown(NULL, l.second, b), cases[i].second);
        assert_int_equal(l.kind, cases[i].kind);
    }
}

static void the_calendar_of_local_times_repeats_after_400_years(void **unused)
{
    (void)unused;
    static const int64_t cycle = INT64_C(146097) * 86400;
    autotz struct tz *tz = zone_load("Europe/Berlin");
    for (int64_t t = utc("2050-01-01T00:00:00Z"); t < utc("2051-01-01T00:00:00Z"); t += 1799) {
        struct tz_local now = tz_local_to_utc(tz, t), then = tz_local_to_utc(tz, t + 7 * cycle);
        assert_int_equal(now.kind, then.kind);
        assert_int_equal(now.first + 7 * cycle, then.first);
        assert_int_equal(now.second + 7 * cycle, then.second);
        assert_int_equal(tz_high_water(tz, t) + 7 * cycle, tz_high_water(tz, t + 7 * cycle));
        assert_int_equal(tz_first_reach(tz, t) + 7 * cycle, tz_first_reach(tz, t + 7 * cycle));
    }
}

/* A clock that is set back twice within an hour, and forward over what it showed already. */
static void changes_that_overlap_are_answered_by_what_was_shown_first(void **unused)
{
    (void)unused;
    struct plan p = { .version = '2',

                      .n_times = 3,
                      .times = { 7200, 9000, 10800 },
                      .type_of = { 1, 2, 0 },
                      .n_types = 3,
                      .types = { { 0, 0, 0 }, { -HOUR, 0, 0 }, { -2 * HOUR, 0, 0 } },
                      .footer = "\n\n" };
    struct zl_error err = { 0 };
    autotz struct tz *tz = NULL;
    struct tz_repeat r;
    assert_int_equal(parse_plan(&p, &tz, &err), 0);
    /* shown: 0..7199, then 3600..5399, then 1800..3599, then 10800.. */
    assert_int_equal(tz_high_water(tz, 7199), 7199);
    assert_int_equal(tz_high_water(tz, 7200), 7199);
    assert_int_equal(tz_high_water(tz, 10799), 7199);
    assert_int_equal(tz_high_water(tz, 10800), 10800);
    assert_int_equal(tz_first_reach(tz, 7199), 7199);
    assert_int_equal(tz_first_reach(tz, 7200), 10800);
    assert_int_equal(tz_first_reach(tz, 10801), 10801);
    struct tz_local l = tz_local_to_utc(tz, 2000);
    assert_int_equal(l.kind, TZ_LOCAL_FOLD);
    assert_int_equal(l.second, 9200);
    assert_int_equal(tz_local_to_utc(tz, 8000).kind, TZ_LOCAL_GAP);
    assert_true(tz_next_repeat(tz, 0, 100000, &r));
    assert_int_equal(r.begin, 7200);
    assert_int_equal(r.end, 9000);
    assert_true(tz_next_repeat(tz, r.end, 100000, &r));
    assert_int_equal(r.begin, 9000);
    assert_int_equal(r.end, 10800);
    assert_false(tz_next_repeat(tz, r.end, 100000, &r));
    assert_true(tz_next_repeat(tz, 8000, 8500, &r));
    assert_int_equal(r.begin, 8000);
    assert_int_equal(r.end, 8500);
}

/* ---- the host's zones against libc ---- */

static int zones_compared;

static int32_t libc_offset(time_t t)
{
    struct tm tm;
    assert_non_null(localtime_r(&t, &tm));
    return (int32_t)tm.tm_gmtoff;
}

/* A step of some days at a time, and the exact second of each change in between. */
static void compare_with_libc(const char *path, const struct tz *tz)
{
    enum { STEP = 5 * 86400 + 3607 };
    int64_t end = utc("2100-01-01T00:00:00Z");
    int32_t before = libc_offset(utc("1890-01-01T00:00:00Z"));
    for (int64_t t = utc("1890-01-01T00:00:00Z") + STEP; t < end; t += STEP) {
        int32_t now = libc_offset(t);
        int64_t low = t - STEP, high = t;
        while (now != before && high - low > 1) {
            int64_t middle = low + (high - low) / 2;
            if (libc_offset(middle) == before)
                low = middle;
            else
                high = middle;
        }
        if (tz_offset_at(tz, low) != before || tz_offset_at(tz, high) != libc_offset(high) ||
            tz_offset_at(tz, t) != now) {
            char out[48];
            fail_msg("%s, about %s: not what libc says", path, shown(NULL, high, out));
        }
        before = now;
    }
}

static int check_zone_file(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)ftw;
    size_t len;
    char name[300];
    struct tz *tz = NULL;
    struct zl_error err = { 0 };
    zl_autofree unsigned char *bytes = kind == FTW_F ? zone_read(path, &len) : NULL;
    if (!bytes || strncmp(path, TZ_DIR "/posix/", sizeof TZ_DIR + 6) == 0)
        return 0; /* posix/ has the same files again */
    if (tz_parse(bytes, len, &tz, &err) < 0) {
        if (err.kind != ZL_ERR_UNSUPPORTED || !strstr(path, "/right/"))
            fail_msg("%s: %s", path, err.msg);
        return 0;
    }
    assert_true(tz_name_valid(path + sizeof TZ_DIR));
    (void)snprintf(name, sizeof name, ":%s", path);
    assert_int_equal(setenv("TZ", name, 1), 0);
    tzset();
    compare_with_libc(path, tz);
    zones_compared++;
    tz_free(tz);
    return 0;
}

static void every_zone_of_the_host_agrees_with_libc(void **unused)
{
    (void)unused;
    assert_int_equal(nftw(TZ_DIR, check_zone_file, 16, FTW_PHYS), 0);
    print_message("%d zones\n", zones_compared);
    assert_true(zones_compared > 300);
}

static void what_is_no_zone_is_not_loaded(void **unused)
{
    (void)unused;
    /* clang-format off */
    static const struct { const char *name; enum zl_err_kind kind; const char *why; } cases[] = {
        { "Europe/Atlantis", ZL_ERR_NOT_FOUND, "there is no time zone 'Europe/Atlantis' in " TZ_DIR },
        { "Europe",          ZL_ERR_NOT_FOUND, "there is no time zone 'Europe' in " TZ_DIR },
        { "UTC/x",           ZL_ERR_NOT_FOUND, "there is no time zone 'UTC/x' in " TZ_DIR },
        { "../zoneinfo/UTC", ZL_ERR_INVALID,   "'../zoneinfo/UTC' is not a time zone name like Europe/Berlin" },
        { "leapseconds",     ZL_ERR_INVALID,   "read time zone 'leapseconds': time zone file: it does not begin with a TZif header" },
    };
    /* clang-format on */
    struct tz *tz = NULL;
    struct zl_error err;
    for (size_t i = 0; i < ZL_ARRAY_LEN(cases); i++) {
        err = (struct zl_error){ 0 };
        assert_int_equal(tz_load(TZ_DIR, cases[i].name, &tz, &err), -1);
        assert_string_equal(err.msg, cases[i].why);
        assert_int_equal(err.kind, cases[i].kind);
    }
    err = (struct zl_error){ 0 };
    assert_int_equal(tz_load("/nonexistent", "Europe/Berlin", &tz, &err), -1);
    assert_non_null(strstr(err.msg, "is tzdata installed?"));
    assert_int_equal(tz_load("/nonexistent", "UTC", &tz, &err), 0);
    assert_null(tz);
}

static void a_zone_name_cannot_lead_out_of_the_directory(void **unused)
{
    (void)unused;
    static const char *const good[] = { "UTC",
                                        "Europe/Berlin",
                                        "Etc/GMT+1",
                                        "Etc/GMT-14",
                                        "America/Argentina/Buenos_Aires",
                                        "EST5EDT",
                                        "America/Port-au-Prince" };
    static const char *const bad[] = { "",
                                       "/",
                                       "/etc/passwd",
                                       "Europe/",
                                       "Europe//Berlin",
                                       "..",
                                       "../etc/passwd",
                                       "Europe/../Berlin",
                                       "Europe/./Berlin",
                                       ".",
                                       "Europe/Ber lin",
                                       "Europe\\Berlin",
                                       "Europe/Berlin\n",
                                       "zone1970.tab",
                                       "-x",
                                       "Europe/-x",
                                       "+1",
                                       "5",
                                       ":UTC",
                                       "K\xc3\xb6ln",
                                       "_a" };
    for (size_t i = 0; i < ZL_ARRAY_LEN(good); i++)
        assert_true(tz_name_valid(good[i]));
    for (size_t i = 0; i < ZL_ARRAY_LEN(bad); i++) {
        if (tz_name_valid(bad[i]))
            fail_msg("'%s' is accepted", bad[i]);
    }
    char name[66];
    memset(name, 'a', 64);
    name[64] = '\0';
    assert_true(tz_name_valid(name));
    memset(name, 'a', 65);
    name[65] = '\0';
    assert_false(tz_name_valid(name));
    assert_true(tz_name_is_utc("UTC"));
    assert_false(tz_name_is_utc("utc"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrong_file_is_refused_with_the_reason),
        cmocka_unit_test(every_cut_of_a_file_is_refused),
        cmocka_unit_test(a_file_that_is_too_large_is_refused_unread),
        cmocka_unit_test(versions_one_to_four_are_read),
        cmocka_unit_test(hours_beyond_a_day_need_version_three),
        cmocka_unit_test(a_wrong_rule_is_refused_with_the_place),
        cmocka_unit_test(a_rule_gives_begin_and_end_of_a_year),
        cmocka_unit_test(a_zone_with_a_rule_only_follows_it_for_ever),
        cmocka_unit_test(saving_all_year_has_no_seam_at_new_year),
        cmocka_unit_test(a_local_time_is_one_instant_two_or_none),
        cmocka_unit_test(the_calendar_of_local_times_repeats_after_400_years),
        cmocka_unit_test(changes_that_overlap_are_answered_by_what_was_shown_first),
        cmocka_unit_test(every_zone_of_the_host_agrees_with_libc),
        cmocka_unit_test(what_is_no_zone_is_not_loaded),
        cmocka_unit_test(a_zone_name_cannot_lead_out_of_the_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
