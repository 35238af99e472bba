"""Layers and registries that take zlayer-fetch over: what can they do then?

tests/weak/attack_fetch.c is linked into zlayer-fetch in place of decompressing, and of looking at the platform, and tries
what an attacker would. In the program as it is shipped nothing of it succeeds; without one of the defences, what that
one defends against does.
"""
import json
import os
import socket
import subprocess

import pytest

from escapes import SHIPPED
from registry import Image, Registry, tar_of

SECRET = "correct-horse-battery-staple-9417"
IMAGE = Image([tar_of({"file": b"x"})])

# without this defence: what who unpacks achieves, what who talks achieves; at least
WEAK = {
    "VIEW": ({"file", "state", "devices"}, {"file", "state"}),
    "CALLS": ({"network", "processes"}, {"processes", "signals", "local sockets"}),
    "RIGHTS": ({"rights"}, {"owners"}),
    "LATE": ({"memory"}, set()),
    "STDIO": ({"descriptors"}, set()),
}


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    r = Registry(tmp_path_factory.mktemp("registry"))
    yield r
    r.close()


def escapes(text):
    """None: it did not get that far."""
    if "ESCAPED: " in text:
        return set(text.split("ESCAPED: ", 1)[1].split("\n")[0].split('"')[0].split(", "))
    return set() if "contained" in text else None


def attack(program, registry, folder):
    """What a pull by this program, taken over, achieves: (who unpacks, who talks)."""
    name = registry.put("attack/image:1", IMAGE)
    root, host_file = folder / "state", folder / "host-file"
    root.mkdir()
    (root / "state.db").write_text("rows")
    host_file.write_text("the host's")
    order = {"registries": [{"host": registry.host, "insecure": True}], "login": {"username": "u", "password": SECRET}}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        env = dict(os.environ, ZL_ATTACK_FILE=str(host_file), ZL_ATTACK_STATE=str(root / "state.db"),
                   ZL_ATTACK_PORT=str(listener.getsockname()[1]), ZL_ATTACK_PID=str(os.getpid()), ZL_ATTACK_SECRET=SECRET[::-1])
        with open(folder / "order", "w+") as stdin:
            json.dump(order, stdin)
            stdin.seek(0)
            r = subprocess.run([program, "pull", "--root", root, "--reference", name], stdin=stdin, env=env, cwd=folder,
                               text=True, capture_output=True, timeout=60)
    hand = next(line for line in r.stdout.splitlines() if '"status":"error"' in line)
    talker = next(line for line in r.stderr.splitlines() if line.startswith("talker"))
    return escapes(hand), escapes(talker)


def test_who_is_taken_over_as_shipped_gets_nowhere(registry, tmp_path):
    assert attack(SHIPPED / "tests/weak/attacked-fetch", registry, tmp_path) == (set(), set())


@pytest.mark.parametrize("weakness", WEAK)
def test_without_one_defence_what_it_defends_against_succeeds(registry, tmp_path, weakness):
    hand, talker = attack(SHIPPED / f"tests/weak/zlayer-fetch-{weakness}", registry, tmp_path)
    assert WEAK[weakness][0] <= hand and WEAK[weakness][1] <= talker, "the attack proves nothing"
