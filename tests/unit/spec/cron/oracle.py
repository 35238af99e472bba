#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Cron firings over ten years in many zones, against an independent reading of the rules.

usage: oracle.py FIRINGS     (the helper built from firings.c)

Grammar and meaning are written here a second time, naively: every day of the ten years is looked at
and every time of the day tried. What a zone's clock shows comes from Python's zoneinfo, which has
its own reader of zone files. croniter (python3-croniter) is asked too, for what both understand: fields
of lists and ranges, day and weekday joined by AND, and the days on which no clock is changed, since it
has rules of its own for those.
"""
import datetime
import functools
import itertools
import random
import subprocess
import sys
import time
import zoneinfo

UTC = datetime.timezone.utc
EPOCH = datetime.datetime(1970, 1, 1)
DAY = 86400
MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
WEEKDAYS = "sun mon tue wed thu fri sat".split()
CRONITER_MOST = 600  # it is slow
LIMITS = [(0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (1, 7), (1970, 2100)]

# zone, first year of ten: recent and coming rules, and some history
ZONES = [
    ("UTC", 2020), ("Europe/Berlin", 2020), ("America/New_York", 2024), ("Australia/Lord_Howe", 2020),
    ("Europe/Dublin", 2022), ("America/Sao_Paulo", 2010), ("Asia/Kathmandu", 1980), ("Pacific/Apia", 2008),
    ("Africa/Casablanca", 2021), ("Asia/Tehran", 2015), ("America/St_Johns", 2004), ("Antarctica/Troll", 2020),
    ("Europe/Berlin", 2088),
]
EXPRESSIONS = [
    "0 0 0 * * *", "0 30 2 * * *", "0 15 2 * * *", "0 30 1 * * *", "0 0 3 * * *", "0 0 0 13 * FRI",
    "0 0 9 * * MON-FRI", "59 59 23 28-30 * *", "0 30 0,23 * * *", "0 0 0 * * MON-FRI/2", "0 0 12 29 2 *",
    "0 30 * 25-31 3,10 1", "0 */20 1-3 * * SUN", "0 45 * ? 4,10,11 ?/6", "30 10/25 2 1-7 * 1",
    "0 0 12 30,31 12 *", "0 0 0 31 2 *", "0 0 0 1 1 * 2021-2029/3",
]


def values(text, low, high, names=()):
    """The set that one field names."""
    found = set()
    for item in text.lower().split(","):
        base, _, step = item.partition("/")
        first, dash, last = base.partition("-")
        number = lambda word: names.index(word) + 1 if word in names else int(word)
        if base in ("*", "?"):
            first, last = low, high
        else:
            first, last = number(first), number(last) if dash else high if step else number(first)
        found.update(range(first, last + 1, int(step or 1)))
    return found


class Naive:
    def __init__(self, text):
        fields = text.split()
        fields += ["*"] * (7 - len(fields))
        names = [(), (), (), (), MONTHS, WEEKDAYS, ()]
        sets = [values(f, *limit, words) for f, limit, words in zip(fields, LIMITS, names)]
        self.times = [h * 3600 + m * 60 + s
                      for h, m, s in itertools.product(*(sorted(sets[i]) for i in (2, 1, 0)))]
        self.days, self.months, self.weekdays, self.years = sets[3:]
        self.every_hour = len(sets[2]) == 24

    def local_times(self, first_day, last_day):
        day = first_day
        while day <= last_day:
            if (day.day in self.days and day.month in self.months and day.year in self.years
                    and day.isoweekday() % 7 + 1 in self.weekdays):
                midnight = datetime.datetime.combine(day, datetime.time())
                for t in self.times:
                    yield midnight + datetime.timedelta(seconds=t)
            day += datetime.timedelta(days=1)


def offset(zone, utc):
    at = EPOCH.replace(tzinfo=UTC) + datetime.timedelta(seconds=utc)
    return int(at.astimezone(zone).utcoffset().total_seconds())


@functools.lru_cache(maxsize=None)
def offsets_near(zone, day):
    """What holds from two days before a day to two days after it."""
    return {offset(zone, (day + d) * DAY) for d in range(-2, 4)}


def instants(zone, local):
    """The instants at which the clock shows a local time; for a skipped one, that of the jump."""
    # No dates with fold here: zoneinfo resolves them by its own rules, and those are to be tested.
    seconds = int((local - EPOCH).total_seconds())
    near = offsets_near(zone, seconds // DAY)
    if len(near) == 1:
        return [seconds - min(near)]
    shown = sorted(seconds - o for o in near if offset(zone, seconds - o) == o)
    if shown:
        return shown
    low, high = seconds - 2 * DAY, seconds + 2 * DAY  # the clock shows less at low, more at high
    while high - low > 1:
        middle = (low + high) // 2
        if middle + offset(zone, middle) < seconds:
            low = middle
        else:
            high = middle
    return [high]


def expected(text, zone, begin, end):
    naive = Naive(text)
    margin = datetime.timedelta(days=2)
    first = (EPOCH + datetime.timedelta(seconds=begin) - margin).date()
    last = (EPOCH + datetime.timedelta(seconds=end) + margin).date()
    found = set()
    for local in naive.local_times(first, last):
        at = instants(zone, local)
        found.update(at if naive.every_hour else at[:1])
    return sorted(t for t in found if begin <= t < end)


def random_field(rng, low, high, sparse):
    def one():
        first = rng.randint(low, high)
        kind = rng.randrange(5)
        if kind == 0:
            return f"{first}-{rng.randint(first, high)}"
        if kind == 1:
            return f"{first}/{rng.randint(max(1, (high - low) // 3), high or 1)}"
        if kind == 2:
            return f"*/{rng.randint(max(1, (high - low) // 3), high)}"
        return str(first)
    if not sparse and rng.random() < 0.5:
        return "*"
    return ",".join(one() for _ in range(rng.choice((1, 1, 1, 2, 3))))


def random_expression(rng):
    second, minute = rng.randint(0, 59), rng.randint(0, 59)
    hour = rng.choice(("*", "0-3", "1,2,23", "2", "0/1", random_field(rng, 0, 23, True)))
    date = [random_field(rng, *LIMITS[i], sparse=hour == "*" and i == 3) for i in (3, 4, 5)]
    return " ".join([str(second), str(minute), hour, *date])


def in_croniters_words(text):
    """The expression with five fields and the second behind them; None: croniter means another thing."""
    s, m, h, dom, month, dow, *year = text.lower().replace("?", "*").split()
    if year or "/" in "".join((s, m, h)).replace("*/", ""):
        return None  # it has no years here, and reads 5/10 as 5
    days = sorted(values(dom, 1, 31))
    if days[0] < 29 <= days[-1] < 31 or len(days) < 31 == days[-1]:
        return None  # it loses the first days after a month that has not all of them
    dom = "*" if len(days) == 31 else ",".join(map(str, days))
    if "/" in month:
        month = ",".join(map(str, sorted(values(month, 1, 12, MONTHS))))
    if dow != "*":
        dow = ",".join(str(d - 1) for d in sorted(values(dow, 1, 7, WEEKDAYS)))  # Sunday is 0
    return f"{m} {h} {dom} {month} {dow} {s}"


def is_quiet(zone, utc):
    """Whether the clock is not changed from two days before to two days after."""
    return len(offsets_near(zone, utc // DAY)) == 1


def ask_croniter(text, begin, end, zone):
    """Its firings in [begin, end). It works on the zone's clock as if that were UTC, which it may on quiet days."""
    import croniter
    found, at = [], begin - 1
    start = EPOCH.replace(tzinfo=UTC) + datetime.timedelta(seconds=at + offset(zone, at))
    it = croniter.croniter(text, start, day_or=False, max_years_between_matches=12)
    local_end = end + DAY
    try:
        for _ in range(CRONITER_MOST):
            local = int(it.get_next(float))
            if local > local_end:
                break
            found.append(local)
    except croniter.CroniterBadDateError:
        pass  # never again
    return found


def with_croniter(cases):
    """Compares with croniter what both understand; how many expressions, zones and firings agree."""
    checked, zones, total = 0, set(), 0
    for (begin, end, name, text), firings in cases:
        words, zone = in_croniters_words(text), zoneinfo.ZoneInfo(name)
        if words is None:
            continue
        theirs = ask_croniter(words, begin, end, zone)
        if len(theirs) == CRONITER_MOST:
            end = min(end, theirs[-1] - 2 * DAY)
        ours = [t for t in firings if begin + DAY <= t < end - DAY and is_quiet(zone, t)]
        # a local time of theirs is an instant, on a quiet day
        theirs = [at for local in theirs for at in instants(zone, EPOCH + datetime.timedelta(seconds=local))[:1]
                  if begin + DAY <= at < end - DAY and is_quiet(zone, at)]
        if ours != theirs:
            odd = sorted(set(ours) ^ set(theirs))[0]
            sys.exit(f"croniter disagrees on '{text}' in {name}: {EPOCH + datetime.timedelta(seconds=odd)}Z")
        checked, total = checked + 1, total + len(ours)
        zones.add(name)
    return f"{checked} of the expressions in {len(zones)} zones, {total} firings agree"


def main():
    started, rng = time.monotonic(), random.Random(20260329)
    questions = []
    for name, year in ZONES:
        begin = int((datetime.datetime(year, 1, 1) - EPOCH).total_seconds())
        end = int((datetime.datetime(year + 10, 1, 1) - EPOCH).total_seconds())
        for text in EXPRESSIONS + [random_expression(rng) for _ in range(8)]:
            questions.append((begin, end, name, text))
    asked = "".join("%d %d %s %s\n" % q for q in questions)
    helper = subprocess.run([sys.argv[1]], input=asked, stdout=subprocess.PIPE, text=True, check=True)
    answers = helper.stdout.split("\n")[:-1]
    if len(answers) != len(questions):
        sys.exit(f"{len(questions)} questions, {len(answers)} answers")

    total, cases = 0, []
    for question, answer in zip(questions, answers):
        begin, end, name, text = question
        got = [int(t) for t in answer.split()]
        want = expected(text, zoneinfo.ZoneInfo(name), begin, end)
        if got != want:
            odd = sorted(set(got) ^ set(want))[0]
            who = "missing" if odd in want else "too much"
            sys.exit(f"'{text}' in {name}: {EPOCH + datetime.timedelta(seconds=odd)}Z is {who}")
        total += len(got)
        cases.append((question, got))
    print(f"{len(questions)} expressions over 10 years in {len(set(z for z, _ in ZONES))} zones, "
          f"{total} firings agree, {time.monotonic() - started:.1f} s")
    print(f"croniter: {with_croniter(cases)}, {time.monotonic() - started:.1f} s in all")


if __name__ == "__main__":
    main()
