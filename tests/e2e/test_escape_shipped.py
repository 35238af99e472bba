"""No weakening in what is shipped: neither in the programs nor in how they are compiled."""
import json
import pathlib

from escapes import SHIPPED, weak_program

MARK = b"ZL_WEAKEN="  # src/base/weaken.h


def programs():
    """What `meson install` would install."""
    info = json.loads((SHIPPED / "meson-info/intro-installed.json").read_text())
    return [pathlib.Path(p) for p in info if pathlib.Path(p).is_file()]


def weak():
    return sorted(p for p in (SHIPPED / "tests/weak").glob("zlayer*-*") if p.is_file())


def test_what_is_installed_has_no_weakening():
    names = {p.name for p in programs()}
    assert {"zlayer", "zlayerd", "zlayer-oci", "zlayer-shim", "zlayer-init", "zlayer-fetch"} <= names
    assert [p for p in programs() if MARK in p.read_bytes()] == []
    assert not names & {p.name for p in weak()}


def test_each_weakened_program_has_the_one_it_is_named_after():
    assert len(weak()) >= 15
    for p in weak():
        name = p.name.rsplit("-", 1)[1]
        assert MARK + name.encode() + b"\0" in p.read_bytes(), p
        assert p == weak_program(name) or p.name.startswith(("zlayerd-", "zlayer-fetch-"))


def test_nothing_but_the_tests_is_compiled_with_a_weakness():
    commands = json.loads((SHIPPED / "compile_commands.json").read_text())
    weakened = [c["output"] for c in commands if "ZL_WEAKEN" in c["command"]]
    assert weakened and [o for o in weakened if not o.startswith("tests/weak/")] == []
