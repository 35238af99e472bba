"""Trying out cron expressions: no agent is asked, none is started."""


def fires(world, expression, *options):
    return world.zlayer("cron", "next", expression, *options).stdout.split()


def test_a_skipped_time_fires_once_and_a_repeated_one_once(world):
    assert fires(world, "0 30 2 * * *", "--from", "2026-03-28T12:00:00+01:00", "--count", "2",
                 "--tz", "Europe/Berlin") == ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]
    assert fires(world, "0 30 2 * * *", "--from", "2026-10-24T23:00:00Z", "--count", "2",
                 "--tz", "Europe/Berlin") == ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]


def test_times_are_utc_and_after_the_start(world):
    assert fires(world, "0 0 0 13 * FRI", "--from", "2026-01-01T00:00:00Z", "--count", "3") == [
        "2026-02-13T00:00:00Z", "2026-03-13T00:00:00Z", "2026-11-13T00:00:00Z"]
    assert fires(world, "@yearly", "--from", "2026-01-01T00:00:00Z") == ["2027-01-01T00:00:00Z"]
    assert len(fires(world, "* * * * * *", "-n", "5")) == 5
    assert not world.run.exists() or not list(world.run.iterdir())


def test_a_refused_expression_exits_with_3_and_the_reason(world):
    r = world.zlayer("cron", "next", "0 0 0 32 1 *", code=3)
    assert "field 4 (day of month), column 7: 32 is not in 1-31" in r.stderr
    assert "write '0 */5 * * * *'" in world.zlayer("cron", "next", "*/5 * * * *", code=3).stderr


def test_a_wrong_zone_or_time_is_a_usage_error(world):
    world.zlayer("cron", "next", "@daily", "--tz", "Europe/Atlantis", code=2)
    world.zlayer("cron", "next", "@daily", "--tz", "../../etc/passwd", code=2)
    world.zlayer("cron", "next", "@daily", "--from", "tomorrow", code=2)


def test_an_expression_that_never_fires_says_so(world):
    r = world.zlayer("cron", "next", "0 0 0 31 2 *")
    assert r.stdout == "" and "never fires" in r.stderr


def test_what_cannot_be_delivered_is_said_but_not_to_who_has_gone(world):
    with open("/dev/full", "w", encoding="ascii") as full:
        p = world.popen("cron", "next", "@daily", stdout=full)
        assert p.wait(20) == 1
        assert p.stderr.read() == "Error: write to the standard output: No space left on device\n"
    p = world.popen("cron", "next", "* * * * * *", "-n", "1000000")
    p.stdout.readline()
    p.stdout.close()
    assert p.wait(20) == 1
    assert p.stderr.read() == ""
