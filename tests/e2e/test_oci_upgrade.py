"""zlayer-oci is replaced while its containers live: the new one must not need what the old one wrote for itself.

What another version would have written is made of what this one wrote: a plan of another version number, or torn;
a state without the keys that are ours alone; a configuration that is not understood.
"""
import json
import os
import struct

import pytest

from world import alive, until

VERSION_AT = 4  # of the plan's second number: plan.h, struct plan


def set_version(folder, change):
    plan = bytearray((folder / "plan").read_bytes())
    version, = struct.unpack_from("=I", plan, VERSION_AT)
    struct.pack_into("=I", plan, VERSION_AT, version + change)
    (folder / "plan").write_bytes(plan)


def newer(folder):
    set_version(folder, +1)


def older(folder):
    """One that did not write down where the cgroups are."""
    set_version(folder, -1)
    state = json.loads((folder / "state.json").read_text())
    state.pop("cgroup", None)
    (folder / "state.json").write_text(json.dumps(state))


def torn(folder):
    plan = (folder / "plan").read_bytes()
    (folder / "plan").write_bytes(plan[:len(plan) // 2])


def gone(folder):
    (folder / "plan").unlink()


WRITERS = pytest.mark.parametrize("writer", [newer, older, torn, gone])


@WRITERS
@pytest.mark.parametrize("path", ["chosen", "default"])
def test_a_container_of_another_version_lives_on_and_obeys(oci, writer, path):
    name = f"upgrade-{os.getpid()}"
    config = oci.config("sh", "-c", "trap 'echo hup > /dev/shm/hup' HUP; touch /dev/shm/heeds; while :; do sleep 0.05; done")
    bundle = oci.bundle(config)
    if path == "default":
        del config["linux"]["cgroupsPath"]
        (bundle / "config.json").write_text(json.dumps(config))
    oci.run("create", "-b", bundle, name)
    oci.run("start", name)
    pid = oci.state(name)["pid"]
    writer(oci.root / name)
    assert oci.state(name)["status"] == "running"
    row, = json.loads(oci.run("list", "--format", "json").stdout)
    assert (row["id"], row["status"], row["pid"]) == (name, "running", pid)
    assert pid in json.loads(oci.run("ps", "--format", "json", name).stdout)
    oci.run("update", "--memory", "64m", name)
    assert json.loads(oci.run("events", "--stats", name).stdout)["data"]["memory"]["usage"]["limit"] == 64 << 20
    until(lambda: oci.run("exec", name, "ls", "/dev/shm").stdout == "heeds\n", "its trap")
    oci.run("kill", name, "HUP")
    until(lambda: oci.run("exec", name, "cat", "/dev/shm/hup", code=None).stdout == "hup\n", "the signal and an exec that sees it")
    assert os.readlink(f"/proc/{pid}/ns/pid") in oci.run("exec", name, "readlink", "/proc/self/ns/pid").stdout
    oci.run("pause", name)
    assert oci.state(name)["status"] == "paused"
    oci.run("resume", name)
    assert oci.state(name)["status"] == "running"
    assert "it is running" in oci.run("delete", name, code=1).stderr
    cgroups = [line.partition("\n")[0].split(":", 2) for line in open(f"/proc/{pid}/cgroup")]
    oci.run("kill", "--all", name, "KILL")
    oci.until_status(name, "stopped")
    oci.run("delete", name)
    left = [c for c in cgroups if name in c[2] and os.path.exists(f"/sys/fs/cgroup/{c[1].removeprefix('name=')}{c[2]}")]
    assert not left and oci.run("list", "-q").stdout == ""


@WRITERS
def test_one_that_was_created_is_started_and_deleted_by_force(oci, writer):
    oci.run("create", "-b", oci.bundle(oci.config("sleep", 1000)), "c")
    writer(oci.root / "c")
    assert oci.state("c")["status"] == "created"
    oci.run("start", "c")
    pid = oci.state("c")["pid"]
    oci.run("delete", "--force", "c")
    until(lambda: not alive(pid), "its end")


@WRITERS
def test_one_that_has_ended_is_deleted(oci, writer):
    oci.run("run", "--detach", "-b", oci.bundle(oci.config("sleep", 1000)), "c")
    oci.run("kill", "c", "KILL")
    oci.until_status("c", "stopped")
    writer(oci.root / "c")
    oci.run("delete", "c")


def test_one_with_a_configuration_that_is_not_understood_is_deleted(oci):
    """Who wants to execute something in it is told what is not understood."""
    oci.run("run", "--detach", "-b", oci.bundle(oci.config("sleep", 1000)), "c")
    newer(oci.root / "c")
    (oci.root / "c/config.json").write_text('{"ociVersion": "1.2.0", "root": {"path": "x"}, "linux": {"namespaces": [{"type": "dream"}]}}')
    assert oci.state("c")["status"] == "running"
    assert "linux.namespaces[0].type" in oci.run("exec", "c", "true", code=125).stderr
    assert "poststop hooks are not run" in oci.run("delete", "--force", "c").stderr


def test_one_with_a_state_that_is_not_understood_is_deleted_by_force_and_does_not_hide_others(oci):
    bundle = oci.bundle(oci.config("sleep", 1000))
    oci.run("run", "--detach", "-b", bundle, "c")
    pid = oci.state("c")["pid"]
    oci.run("run", "--detach", "-b", oci.bundle(oci.config("sleep", 1000)), "d")
    (oci.root / "c/state.json").write_text("not JSON")
    assert "state.json:1:" in oci.run("state", "c", code=1).stderr
    r = oci.run("list", "--format", "json")
    assert [row["id"] for row in json.loads(r.stdout)] == ["d"] and "container 'c' is left out" in r.stderr
    assert "state.json:1:" in oci.run("delete", "c", code=1).stderr and alive(pid)
    oci.run("delete", "--force", "c")
    until(lambda: not alive(pid), "its end")
    oci.run("delete", "--force", "d")


def test_a_checkpoint_says_who_can_make_it(oci):
    oci.run("run", "--detach", "-b", oci.bundle(oci.config("sleep", 1000)), "c")
    newer(oci.root / "c")
    assert "another version of zlayer-oci made it" in oci.run("checkpoint", "c", code=1).stderr
