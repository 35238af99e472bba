"""A wrong file: every mistake located in one run, exit 3, and nothing changed."""
import json
import re

import pytest

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


@pytest.mark.parametrize("args, found, says", [
    (["nowhere.yml"], "E-IO", "open 'nowhere.yml': No such file or directory"),
    (["/etc"], "E-IO", "read '/etc': Is a directory"),
    (["/dev/zero"], "E-YAML-LIMIT", "'/dev/zero' is larger than 8388608 bytes"),
    ([], "E-SPEC-NOT-FOUND", "create <name>.zlayer.yml"),
])
def test_a_file_that_cannot_be_read_is_a_finding_too(world, args, found, says):
    for command in ("validate", "deploy"):
        r = world.zlayer(command, *args, code=3)
        assert f"{found}: " in r.stderr and says in r.stderr
    r = json.loads(world.zlayer("validate", *args, "--format", "json", code=3).stdout)
    assert r["valid"] is False and [d["id"] for d in r["diagnostics"]] == [found]
    assert says in r["diagnostics"][0]["message"]


def test_several_files_are_all_named(world):
    for name in ("b.zlayer.yml", "a.zlayer.yml"):
        world.spec("version: v1\n", name)
    r = world.zlayer("validate", code=3)
    assert "E-SPEC-AMBIGUOUS" in r.stderr and "a.zlayer.yml, b.zlayer.yml" in r.stderr
