#!/usr/bin/python3
"""What zlayer-oci does on pure cgroup v2: run by tests/vm/run in a machine of vm-test.

guest.py FOLDER cgroupfs|systemd: FOLDER holds bin/ (zlayer-oci, zlayer-sd), tree/ (a busybox root file
system) and this program with ocibundle.py beside it. Each case has a bundle of its own; a line for each,
then "N passed, N failed".
"""
import contextlib
import json
import os
import pathlib
import signal
import shutil
import subprocess
import sys
import time
import traceback

FOLDER, MANAGER = pathlib.Path(sys.argv[1]), sys.argv[2]
os.environ["ZLAYER_BUILD"] = str(FOLDER / "bin")
from ocibundle import Oci  # noqa: E402 (it reads the environment)
from world import until  # noqa: E402

CGROUPS = pathlib.Path("/sys/fs/cgroup")
MIB = 1 << 20
cases = []


def case(fn):
    cases.append(fn)
    return fn


def wait(condition, what):
    """The machine is 30 times slower than others."""
    return until(condition, what, timeout=120, interval=0.2)


class Guest(Oci):
    def __init__(self):
        super().__init__(FOLDER / "work", FOLDER / "tree", FOLDER / "bin" / ("oci-systemd" if MANAGER == "systemd" else "zlayer-oci"))

    def make(self, name, *args, resources=None, change=None, start=True, silent=False):
        config = self.config(*args)
        config["linux"]["resources"].update(resources or {})
        config["linux"]["cgroupsPath"] = f"zlayertest.slice:t:{name}" if MANAGER == "systemd" else f"{self.cgroup}/{name}"
        if change:
            change(config)
        if silent:  # what criu can save: no file of ours
            null = subprocess.DEVNULL
            assert self.popen("create", "-b", self.bundle(config), name, stdout=null, stderr=null).wait(60) == 0
        else:
            self.run("create", "-b", self.bundle(config), name)
        if start:
            self.run("start", name)
        return self.own(name)

    def own(self, name):
        """Its cgroup's folder."""
        line, = pathlib.Path(f"/proc/{self.state(name)['pid']}/cgroup").read_text().split()
        return CGROUPS / line.removeprefix("0::/")

    def sh(self, name, script, code=0):
        return self.run("exec", name, "sh", "-c", script, code=code)


def read(folder, name):
    return (folder / name).read_text().strip()


def numbers(folder, name):
    return {k: int(v) for k, v in (line.split() for line in read(folder, name).splitlines())}


def unit_property(name, key):
    out = subprocess.run(["systemctl", "show", "--property", key, "--value", f"t-{name}.scope"], capture_output=True, text=True, check=True)
    return out.stdout.strip()


# ---- limits -------------------------------------------------------------------------------------

LIMITS = {"memory": {"limit": 64 * MIB, "swap": 96 * MIB, "reservation": 32 * MIB}, "pids": {"limit": 33},
          "cpu": {"shares": 512, "quota": 50000, "period": 100000, "cpus": "0"}, "unified": {"memory.high": str(48 * MIB), "memory.oom.group": "1"}}
WANTED = {"memory.max": str(64 * MIB), "memory.swap.max": str(32 * MIB), "memory.low": str(32 * MIB), "memory.high": str(48 * MIB),
          "memory.oom.group": "1", "pids.max": "33", "cpu.weight": "20", "cpu.max": "50000 100000", "cpuset.cpus": "0"}


@case
def limits_are_in_force_and_updated(oci):
    own = oci.make("limits", "sleep", 1000, resources=LIMITS)
    found = {name: read(own, name) for name in WANTED}
    assert found == WANTED, found
    oci.run("update", "--memory", 80 * MIB, "--memory-swap", 100 * MIB, "--pids-limit", 44, "limits")
    oci.run("update", "--resources", "-", "limits", input='{"cpu": {"quota": 30000, "period": 60000}, "unified": {"memory.high": "max"}}')
    changed = {"memory.max": str(80 * MIB), "memory.swap.max": str(20 * MIB), "pids.max": "44", "cpu.max": "30000 60000", "memory.high": "max"}
    found = {name: read(own, name) for name in changed}
    assert found == changed, found
    if MANAGER == "systemd":
        assert unit_property("limits", "TasksMax") == "44" and unit_property("limits", "MemoryMax") == str(80 * MIB)
    r = oci.run("update", "--resources", "-", "limits", code=1, input='{"unified": {"no.such": "1"}}')
    assert "no.such" in r.stderr
    stats = json.loads(oci.run("events", "--stats", "limits").stdout)["data"]
    assert stats["memory"]["usage"]["limit"] == 80 * MIB and stats["pids"] == {"current": 1, "limit": 44} and stats["cpu"]["usage"]["total"] > 0


@case
def the_oom_killer_is_seen(oci):
    hog = "x=0123456789abcdef; (while :; do x=$x$x; done); sleep 1000"
    own = oci.make("hog", "sh", "-c", hog, resources={"memory": {"limit": 16 * MIB}}, start=False)
    p = oci.popen("events", "--interval", "1s", "hog")
    oci.run("start", "hog")
    kinds = (json.loads(line)["type"] for line in p.stdout)
    assert "oom" in iter(kinds)
    assert numbers(own, "memory.events")["oom_kill"] >= 1
    oci.run("kill", "hog", "KILL")
    p.communicate(timeout=120)
    oci.wait_stopped("hog")


# ---- devices (BPF) ------------------------------------------------------------------------------

@case
def devices_are_what_the_rules_say(oci):
    """Of two disks that it has the files of, the first may be read."""
    disk, other = (os.stat(f"/dev/{name}").st_rdev for name in ("vda", "vdb"))

    def change(config):
        config["linux"]["devices"] = [{"path": f"/dev/{n}", "type": "b", "major": os.major(d), "minor": os.minor(d), "fileMode": 0o666}
                                      for n, d in (("disk", disk), ("other", other))]
        config["linux"]["resources"]["devices"] = [{"allow": False, "access": "rwm"}, {"allow": True, "type": "b", "major": os.major(disk),
                                                                                      "minor": os.minor(disk), "access": "r"}]
    oci.make("devices", "sleep", 1000, change=change)
    assert oci.sh("devices", "echo x > /dev/null && head -c 1 /dev/zero | wc -c").stdout.strip() == "1"
    for again in range(2):
        assert oci.sh("devices", "head -c 7 /dev/disk | wc -c").stdout.strip() == "7"
        for script in ("dd if=/dev/disk of=/dev/disk bs=1 count=1 conv=notrunc", "head -c 1 /dev/other"):
            assert "Operation not permitted" in oci.sh("devices", script, code=None).stderr, script
        oci.run("update", "--pids-limit", 20 + again, "devices")  # which leaves the rules alone


# ---- freezer ------------------------------------------------------------------------------------

@case
def a_paused_container_stands_still(oci):
    own = oci.make("still", "sh", "-c", "i=0; while :; do i=$((i+1)); echo $i > /dev/shm/i; done")
    seen = pathlib.Path(f"/proc/{oci.state('still')['pid']}/root/dev/shm/i")
    wait(seen.exists, "the first number")
    oci.run("pause", "still")
    assert oci.state("still")["status"] == "paused" and read(own, "cgroup.freeze") == "1" and numbers(own, "cgroup.events")["frozen"] == 1
    before = seen.read_text()
    time.sleep(1)  # time for it to go on, were it to
    assert seen.read_text() == before
    oci.run("resume", "still")
    assert numbers(own, "cgroup.events")["frozen"] == 0
    wait(lambda: seen.read_text() not in ("", before), "a further number")
    oci.run("pause", "still")
    oci.run("delete", "--force", "still")
    assert not own.exists()


# ---- delegation ---------------------------------------------------------------------------------

@case
def a_container_manages_cgroups_of_its_own(oci):
    def change(config):
        mount = next(m for m in config["mounts"] if m["type"] == "cgroup")
        mount["options"] = [o for o in mount["options"] if o != "ro"] + ["rw"]
    script = "cd /sys/fs/cgroup && mkdir first && echo 1 > first/cgroup.procs && echo +pids > cgroup.subtree_control && " \
             "mkdir sub && echo 5 > sub/pids.max && touch /tmp/done; sleep 1000"
    own = oci.make("tree", "sh", "-c", script, resources={"pids": {"limit": 50}}, change=lambda c: (change(c), c["root"].update(readonly=False)))
    tops = (own, own.parent)  # as it was before the script ran, or after
    wait(lambda: any((p / "sub/pids.max").exists() and read(p, "sub/pids.max") == "5" for p in tops), "its cgroups")
    top = own if (own / "sub").exists() else own.parent
    assert read(top, "pids.max") == "50"
    # its own takes no process any more: a further one is born beside the first
    assert oci.sh("tree", "cat /proc/self/cgroup").stdout == "0::/first\n"
    assert oci.run("exec", "--cgroup", "sub", "tree", "cat", "/proc/self/cgroup").stdout == "0::/sub\n"
    oci.sh("tree", "cat /sys/fs/cgroup/pids.max")
    assert oci.state("tree")["pid"] in json.loads(oci.run("ps", "--format", "json", "tree").stdout)
    oci.run("kill", "--all", "tree", "KILL")
    oci.wait_stopped("tree")
    oci.run("delete", "tree")
    assert not top.exists()


@case
def the_cgroup_namespace_hides_what_is_above(oci):
    oci.make("ns", "sleep", 1000)
    assert oci.sh("ns", "cat /proc/self/cgroup").stdout == "0::/\n"
    assert "procs" in oci.sh("ns", "cat /sys/fs/cgroup/cgroup.procs > /dev/null; ls /sys/fs/cgroup").stdout
    assert "ead-only" in oci.sh("ns", "mkdir /sys/fs/cgroup/x", code=None).stderr


# ---- checkpoint, by the real criu ------------------------------------------------------------------

@case
def a_container_is_saved_and_restored(oci):
    assert shutil.which("criu"), "the machine has no criu (VM_PACKAGES)"

    def change(config):
        config["mounts"].append({"destination": "/out", "type": "bind", "source": str(oci.folder / "out"), "options": ["rbind", "rw"]})
    (oci.folder / "out").mkdir()
    oci.make("saved", "sh", "-c", "i=0; while :; do i=$((i+1)); echo $i > /out/new; mv /out/new /out/i; sleep 0.1; done", change=change, silent=True)
    count = oci.folder / "out/i"
    wait(lambda: count.exists() and count.read_text().strip() and int(count.read_text()) > 3, "the count")
    oci.run("checkpoint", "--image-path", oci.folder / "images", "saved", timeout=300)
    assert oci.run("list", "-q").stdout == ""
    before = int(count.read_text())
    oci.run("restore", "--detach", "--image-path", oci.folder / "images", "--bundle", oci.folder / f"bundle{oci.made}", "saved", timeout=300)
    assert oci.state("saved")["status"] == "running"
    wait(lambda: count.read_text().strip() and int(count.read_text()) > before, "it goes on counting")
    assert int(count.read_text()) < before + 1000
    assert oci.state("saved")["pid"] in json.loads(oci.run("ps", "--format", "json", "saved").stdout)


# ---- all of them --------------------------------------------------------------------------------

def wait_stopped(self, name):
    wait(lambda: self.state(name)["status"] == "stopped", f"{name} is stopped")


Guest.wait_stopped = wait_stopped


def run(fn):
    """None, or why it failed; nothing of it is left."""
    oci = Guest()
    try:
        said = fn(oci)
    except Exception:  # noqa: BLE001 (a case may fail in any way)
        return traceback.format_exc()
    finally:
        oci.close()
    left = oci.leftovers()
    shutil.rmtree(oci.folder)
    return f"left: {left}" if left else said if isinstance(said, str) else None


def main():
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    passed = failed = 0
    for fn in cases:
        if len(sys.argv) > 3 and fn.__name__ not in sys.argv[3:]:
            continue
        began = time.monotonic()
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(FOLDER / "work")
        why = run(fn)
        skipped = bool(why) and why.startswith("skipped")
        passed, failed = passed + (not why), failed + (bool(why) and not skipped)
        print(f"{'skip' if skipped else 'FAIL' if why else 'ok':5} {MANAGER}: {fn.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
        if why:
            print("      " + why.replace("\n", "\n      "), flush=True)
    print(f"{passed} passed, {failed} failed", flush=True)
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
