"""Crons: trying out expressions, for which no agent is asked; and what the agent does at their times."""
import datetime
import pathlib

from world import kill, until


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
        assert p.wait(60) == 1
        assert p.stderr.read() == "Error: write to the standard output: No space left on device\n"
    p = world.popen("cron", "next", "* * * * * *", "-n", "1000000")
    p.stdout.readline()
    p.stdout.close()
    assert p.wait(60) == 1
    assert p.stderr.read() == ""


# ---- with an agent ------------------------------------------------------------------------------

def cron(name, script, schedule="* * * * * *", options="{}", more=""):
    return f"""
  {name}:
    rtype: cron
    image: {{name: busybox, pull_policy: never}}
    schedule: '{schedule}'
    schedule_options: {options}
    command: {{entrypoint: [sh, -c], args: ["{script}"]}}
    stop_grace_period: 300ms
{more}"""


def deploy(host, *services):
    return host.zlayer("deploy", host.spec("version: v1\ndeployment: shop\nservices:" + "".join(services)))


def status(host, name="tick"):
    return host.json("cron", "status", name)


def runs(host, n, name="tick"):
    """The cron, once its schedule has run it n times and nothing of it goes on."""
    return until(lambda: (c := status(host, name))["runs"] >= n and c, f"{n} runs of {name}", interval=0.1)


def utc(local):
    at = datetime.datetime.fromisoformat(local).astimezone(datetime.timezone.utc)
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def events(host, kind):
    return [e for e in host.events() if e["type"] == kind]


def test_a_cron_runs_at_its_times_and_its_list_says_how(host):
    r = deploy(host, cron("tick", "echo tick"), cron("nightly", "exit 3", "0 30 2 * * *", "{time_zone: Europe/Berlin}"))
    assert "NOT-ACTED-ON" not in r.stderr
    done = until(lambda: [x for x in runs(host, 2)["executions"] if x["status"] == "completed"], "one has completed")
    assert (done[0]["trigger"], done[0]["exit_code"], done[0]["due_at"][-5:]) == ("scheduler", 0, ".000Z")
    assert pathlib.Path(done[0]["log"]).read_text().endswith(" F tick\n")
    assert {e["service"] for e in events(host, "cron_run")} == {"tick"}
    host.zlayer("cron", "run", "shop/nightly", "--wait", code=3)
    rows = {c["name"]: c for c in host.json("cron", "ls")}
    berlin = fires(host, "0 30 2 * * *", "--tz", "Europe/Berlin")[0]
    assert rows["nightly"]["next_run"] == utc(berlin)
    assert (rows["nightly"]["runs"], rows["nightly"]["last_execution"]["trigger"]) == (0, "cli")
    table = host.zlayer("cron", "ls").stdout.splitlines()
    assert table[0].split() == "DEPLOYMENT CRON SCHEDULE ENABLED LAST RUN RESULT NEXT RUN".split()
    line = next(line for line in table if "nightly" in line)
    assert "failed (3)" in line and "T02:30:00+0" in line
    host.zlayer("down", "shop")
    assert host.json("cron", "ls") == [] and host.leftovers() == []


def test_a_disabled_cron_rests_over_a_new_agent_and_a_deploy(host):
    deploy(host, cron("tick", "echo tick"))
    runs(host, 1)
    host.zlayer("cron", "disable", "tick")
    rested = until(lambda: (c := status(host))["running"] == 0 and c, "the end of the run")
    assert (rested["enabled"], rested["next_run"], rested["why"]) == (False, None, "disabled")
    assert len(events(host, "cron_disabled")) == 1
    kill(host.agent_pid())
    deploy(host, cron("tick", "echo tick"))
    again = status(host)
    assert {k: again[k] for k in ("enabled", "next_run", "runs", "missed", "last_run")} == \
        {k: rested[k] for k in ("enabled", "next_run", "runs", "missed", "last_run")}
    assert "disabled" in host.zlayer("cron", "status", "tick").stdout
    host.zlayer("cron", "enable", "shop/tick")
    assert runs(host, rested["runs"] + 1)["missed"] == rested["missed"]
    assert len(events(host, "cron_enabled")) == 1


def test_one_that_goes_on_makes_the_next_skipped_or_is_replaced(host):
    deploy(host, cron("tick", "sleep 600"), cron("other", "sleep 600", options="{overlap: replace}"))
    assert until(lambda: (c := status(host))["skipped"] >= 2 and c, "two are skipped", interval=0.1)["runs"] == 1
    replaced = [x for x in runs(host, 3, "other")["executions"] if x["status"] == "cancelled"]
    assert replaced and all(x["reason"].startswith("replaced by the run of ") for x in replaced)
    assert len([c for c in host.containers() if c["service"] == "tick"]) == 1
    skipped = events(host, "cron_skipped")
    assert skipped[0]["text"].endswith("is skipped, since another goes on (1 in a row)")
    host.zlayer("down", "shop", "-f")
    assert host.leftovers() == []


def test_what_was_missed_while_nobody_was_there_is_made_up_for_once(host):
    deploy(host, cron("tick", "echo tick", options="{catch_up: one}"))
    before = runs(host, 1)
    kill(host.agent_pid())
    until(lambda: fires(host, "* * * * * *", "--from", before["last_execution"]["due_at"], "-n", "4")[3] <
          fires(host, "* * * * * *")[0], "four more of its times", interval=0.1)
    after = until(lambda: (c := status(host))["missed"] >= before["missed"] + 2 and c, "those are counted")
    due = [x["due_at"] for x in after["executions"]]
    assert len(due) == len(set(due)) == after["runs"]
    assert "and not made up for" in events(host, "cron_missed")[-1]["text"]


def test_a_changed_schedule_begins_anew_and_a_name_that_is_no_cron_is_refused(host):
    deploy(host, cron("tick", "echo tick"), cron("job", "exit 0").replace("rtype: cron", "rtype: job")
           .replace("    schedule: '* * * * * *'\n    schedule_options: {}\n", ""))
    runs(host, 1)
    deploy(host, cron("tick", "echo tick", "@yearly"))
    changed = until(lambda: (c := status(host))["running"] == 0 and c, "the end of the run")
    assert changed["next_run"] == fires(host, "@yearly")[0].replace("Z", ".000Z")
    assert "there is no cron 'job'" in host.zlayer("cron", "run", "job", code=1).stderr
    assert "there is no cron 'nobody'" in host.zlayer("cron", "status", "nobody", code=1).stderr
    assert "there is no such job" in host.zlayer("cron", "disable", "nobody", code=1).stderr
