"""What happens when a guest's process cannot be made as it has to be: the guest does not run, and who asked is told why.

The kernel refuses zlayer-wasm one system call after the other (tests/faults/refuse.c), which its forks inherit.
"""
import re

import pytest

import wasmtool
import world as w
from conftest import make_world
from wasmtool import HELLO, SOURCES, wat
from world import kill, until

pytestmark = wasmtool.needs_wasm
REFUSE = w.BUILD / "tests/faults/refuse"
NEWNS, NEWNET, NO_NEW_PRIVS, PDEATHSIG = "0x20000", "0x40000000", 38, 1
LIMITED = "    ulimits: {nofile: {soft: 100, hard: 100}}\n"
NAMES = """    service_type: wasm_http
    wasm: {allow_tcp: true}
    endpoints: [{name: web, protocol: http, port: 80}]
    dns: [127.0.0.1]
"""


@pytest.fixture(scope="module")
def host():
    """A world whose zlayer-wasm is a script, which says how the real one is run."""
    made = make_world()
    world = next(made)
    folder = world.folder / "libexec"
    folder.mkdir()
    world.env["ZLAYER_LIBEXEC"] = str(folder)
    program(world)
    for name, text in {"hello": wat(world.folder, HELLO, "hello.wat"), "net": SOURCES / "net.wat"}.items():
        wasmtool.run("assemble", text, world.folder / f"{name}.wasm")
        world.zlayer("import", world.folder / f"{name}.wasm", "-t", name)
    assert world.zlayer("run", "--rm", "hello").stdout == "Hello, WASM!\n"  # it is compiled
    yield world
    next(made, None)


def program(world, *before):
    """zlayer-wasm is to be run by these words; the hosts of before are ended."""
    path = world.folder / "libexec/zlayer-wasm"
    path.write_text("#!/bin/sh\nexec " + " ".join(map(str, [*before, wasmtool.PROGRAM])) + ' "$@"\n')
    path.chmod(0o755)
    world.zlayer("daemon", "stop", code=None)
    kill(*(pid for pid, what in world.processes().items() if re.search(r"zlayer-wasm host ", what)))


@pytest.mark.parametrize("call, says", [
    (f"setns:1={NEWNS}", "leave the host's files"),
    (f"setns:1={NEWNET}", "leave the host's network"),
    ("setgroups", "become its user"), ("setresgid", "become its user"), ("setresuid", "become its user"),
    ("capset", "drop capabilities"),
    ("seccomp", "filter its system calls"),
    (f"prctl:0={PDEATHSIG}", "tie it to its monitor"),
    ("umount2", "make empty namespaces"), ("pivot_root", "make empty namespaces"),
    (f"prctl:0={NO_NEW_PRIVS}", "give up new privileges"),
])
def test_a_guest_that_cannot_be_confined_does_not_run(host, call, says):
    program(host, REFUSE, call)
    r = host.zlayer("run", "--rm", "hello", code=125)
    assert r.stdout == "" and f"{says}: Operation not permitted" in r.stderr, r.stderr
    until(lambda: host.json("container", "ls") == [], "that its row goes as well")
    host.until_clear()


def test_a_limit_that_cannot_be_set_refuses_it(host):
    program(host, REFUSE, "prlimit64:1=7")  # RLIMIT_NOFILE
    r = host.zlayer("deploy", "-t", "2s", host.spec(document("hello", LIMITED)), code=None)
    assert r.returncode != 0 and "set its limits: Operation not permitted" in r.stdout + r.stderr
    host.zlayer("down", "test", "-f")
    host.until_clear()


@pytest.mark.parametrize("call", ["fsmount", "mount_setattr", "move_mount", "chroot"])
def test_names_that_cannot_be_given_refuse_a_component(host, call):
    program(host, REFUSE, call)
    r = host.zlayer("deploy", "-t", "2s", host.spec(document("net", NAMES)), code=None)
    assert r.returncode != 0 and "Operation not permitted" in r.stdout + r.stderr
    assert "give it /etc/hosts and /etc/resolv.conf" in r.stdout + r.stderr
    host.zlayer("down", "test", "-f")
    host.until_clear()


def test_when_nothing_is_refused_any_more_it_runs(host):
    program(host, REFUSE, "seccomp")
    host.zlayer("run", "--rm", "hello", code=125)
    program(host)
    assert host.zlayer("run", "--rm", "hello").stdout == "Hello, WASM!\n"


def document(image, extra):
    return f"version: v1\ndeployment: test\nservices:\n  a:\n    image: {{name: {image}, pull_policy: never}}\n{extra}"
