"""A wrong file: every mistake located in one run, exit 3, and nothing changed."""
import re

WRONG = """\
version: v1
deployment: wrong
services:
  a:
    image: {name: busybox}
    comand: {args: [x]}
    depends: [{service: b}]
  b:
    image: {name: busybox}
    depends: [{service: a}]
    stop_grace_period: [1s]
    hostname: one
    hostname: two
"""


def test_four_mistakes_give_four_located_errors(host):
    path = host.spec(WRONG)
    for command in ("validate", "deploy", "up"):
        r = host.zlayer(command, path, code=3)
        text = r.stdout + r.stderr
        found = re.findall(r"^error (E-[A-Z-]+) \S*test\.zlayer\.yml:(\d+):(\d+) ", text, re.M)
        assert sorted((e, int(line)) for e, line, _ in found) == [
            ("E-DEP-CYCLE", 7), ("E-DUP-KEY", 13), ("E-TYPE", 11), ("E-UNKNOWN-FIELD", 6)] or \
            sorted(e for e, _, _ in found) == ["E-DEP-CYCLE", "E-DUP-KEY", "E-TYPE", "E-UNKNOWN-FIELD"], text
        assert "command" in text  # the nearest known name
    assert host.json("ps")["services"] == []
    assert host.leftovers() == []


def test_validate_needs_no_agent(world):
    path = world.spec("version: v1\ndeployment: fine\nservices: {}\n")
    world.zlayer("validate", path)
    assert not world.run.exists() or not list(world.run.iterdir())


def test_a_missing_file_is_named(world):
    r = world.zlayer("validate", "nowhere.yml", code=None)
    assert r.returncode in (2, 3) and "nowhere.yml" in r.stderr
