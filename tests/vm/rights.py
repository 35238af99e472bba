#!/usr/bin/python3
"""User namespaces, ordinary users and AppArmor on a stock Debian kernel: as guest.py, and run after it."""
import json
import os
import pathlib
import shutil
import subprocess
import sys

import guest
from guest import CGROUPS, FOLDER, MANAGER, case, read

UID = 1000
MAPS = [{"containerID": 0, "hostID": 100000, "size": 65536}]
guest.cases.clear()


def user(config, maps=MAPS):
    """The tree is the host's root's, and open to all."""
    os.chmod(config["root"]["path"], 0o755)
    config["linux"]["namespaces"].append({"type": "user"})
    config["linux"]["uidMappings"] = config["linux"]["gidMappings"] = maps


# ---- AppArmor -----------------------------------------------------------------------------------

PROFILES = """
profile zlayer-test flags=(attach_disconnected, mediate_deleted) {
  file, capability, network, signal, ptrace, mount, umount, unix,
  deny /etc/passwd r,
}
profile zlayer-other flags=(attach_disconnected, mediate_deleted) {
  file, capability, network, signal, ptrace, mount, umount, unix,
}
"""


@case
def a_profile_of_apparmor_is_in_force(oci):
    if MANAGER != "cgroupfs":
        return "skipped: once is enough"
    if not pathlib.Path("/sys/kernel/security/apparmor").exists():
        subprocess.run(["mount", "-t", "securityfs", "securityfs", "/sys/kernel/security"], check=True)
    subprocess.run(["apparmor_parser", "--replace", "--skip-cache"], input=PROFILES, text=True, check=True)
    script = "cat /proc/self/attr/current; cat /etc/passwd || echo denied"
    for nnp in (True, False):
        config = oci.config("sh", "-c", script, apparmorProfile="zlayer-test", noNewPrivileges=nnp)
        out = oci.run("run", "-b", oci.bundle(config), "c").stdout.split("\n")
        assert out[:2] == ["zlayer-test (enforce)", "denied"], out
    oci.run("run", "-d", "-b", oci.bundle(oci.config("sleep", 1000, apparmorProfile="zlayer-test")), "c")
    out = oci.run("exec", "c", "sh", "-c", script).stdout.split("\n")
    assert out[:2] == ["zlayer-test (enforce)", "denied"], out
    assert oci.run("exec", "--apparmor", "zlayer-other", "c", "cat", "/proc/self/attr/current").stdout == "zlayer-other (enforce)\n"
    assert oci.run("run", "-b", oci.bundle(oci.config("cat", "/proc/self/attr/current")), "d").stdout.startswith("unconfined")
    r = oci.run("run", "-b", oci.bundle(oci.config("true", apparmorProfile="zlayer-none")), "d", code=125)
    assert "apply the security label 'zlayer-none'" in r.stderr, r.stderr


def fake_attributes(tree):
    """The files of /proc/self/attr as an image may bring them, and how to see whether they were written."""
    fake = tree / "proc/self/attr"
    (fake / "apparmor").mkdir(parents=True)
    files = [fake / "exec", fake / "current", fake / "apparmor/exec", fake / "apparmor/current"]
    for path in files:
        path.write_text("fake\n")
    return lambda: [str(path) for path in files if path.read_text() != "fake\n"]


def confined(pid):
    return pathlib.Path(f"/proc/{pid}/attr/current").read_text().startswith("zlayer-test (enforce)")


@case
def a_profile_is_not_written_into_a_proc_of_the_image(oci):
    """CVE-2019-16884: the container would run unconfined. Which it does without the defence (src/base/weaken.h)."""
    if MANAGER != "cgroupfs":
        return "skipped: once is enough"
    shipped = oci.program
    for program, defended in ((shipped, True), (FOLDER / "bin/zlayer-oci-LABEL", False)):
        written = fake_attributes(oci.tree)
        try:
            config = oci.config("sleep", 1000, apparmorProfile="zlayer-test")
            config["root"]["readonly"] = False
            config["mounts"] = [m for m in config["mounts"] if m["destination"] != "/proc"]
            config["linux"]["maskedPaths"] = config["linux"]["readonlyPaths"] = []
            oci.program = program
            oci.run("run", "-d", "-b", oci.bundle(config), "c")
            assert (confined(oci.state("c")["pid"]), not written()) == (defended, defended), (program, written())
            oci.run("exec", "-d", "--pid-file", oci.folder / "pid", "c", "sleep", "1000")
            assert confined(int((oci.folder / "pid").read_text())) == defended, program
            oci.run("delete", "--force", "c")
        finally:
            oci.program = shipped
            shutil.rmtree(oci.tree / "proc/self")


# ---- user namespaces ----------------------------------------------------------------------------

@case
def a_user_namespace_lives_in_its_cgroup(oci):
    (oci.tree / "mnt").mkdir(exist_ok=True)
    own = oci.make("users", "sleep", 1000, resources={"pids": {"limit": 20}}, change=user)
    pid = oci.state("users")["pid"]
    assert str(pid) in read(own, "cgroup.procs").split() and read(own, "pids.max") == "20"
    assert oci.sh("users", "id -u; cat /proc/self/cgroup").stdout.split() == ["0", "0::/"]
    kinds = ("user", "pid", "mnt", "net", "ipc", "uts", "cgroup")
    got = oci.sh("users", f"for n in {' '.join(kinds)}; do readlink /proc/self/ns/$n; done").stdout.split()
    assert got == [os.readlink(f"/proc/{pid}/ns/{n}") for n in kinds]
    assert "100000" in pathlib.Path(f"/proc/{pid}/status").read_text()


@case
def who_may_write_his_cgroup_owns_it(oci):
    def change(config):
        user(config)
        mount = next(m for m in config["mounts"] if m["type"] == "cgroup")
        mount["options"].remove("ro")
    own = oci.make("owner", "sleep", 1000, resources={"memory": {"limit": 64 << 20}}, change=change)
    assert own.stat().st_uid == (own / "cgroup.procs").stat().st_uid == (own / "cgroup.subtree_control").stat().st_uid == 100000
    assert (own / "memory.max").stat().st_uid == 0
    assert oci.sh("owner", "mkdir /sys/fs/cgroup/sub && echo made; echo max > /sys/fs/cgroup/memory.max || echo denied").stdout == "made\ndenied\n"
    (own / "sub").rmdir()
    plain = oci.make("plain", "sleep", 1000, change=user)
    assert plain.stat().st_uid == 0


@case
def clocks_and_ids_of_mounts_are_moved(oci):
    folder = oci.folder / "owned"
    folder.mkdir()
    (folder / "f").write_text("")

    def change(config):
        user(config)
        config["linux"]["namespaces"].append({"type": "time"})
        config["linux"]["timeOffsets"] = {"boottime": {"secs": 1000000}}
        config["mounts"].append({"destination": "/mnt", "type": "bind", "source": str(folder), "options": ["rbind", "idmap"]})
    (oci.tree / "mnt").mkdir(exist_ok=True)
    oci.make("moved", "sleep", 1000, change=change)
    out = oci.sh("moved", "stat -c %u /mnt/f; cat /proc/uptime").stdout.split()
    assert out[0] == "0" and float(out[1]) > 1000000, out


# ---- an ordinary user ---------------------------------------------------------------------------

class User:
    """zlayer-oci as uid 1000, in the leaf of a cgroup that is his."""

    def __init__(self, oci):
        self.oci, self.folder = oci, pathlib.Path(f"/tmp/user-{oci.folder.name}")
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        self.program = shutil.copy(FOLDER / "bin/zlayer-oci", self.folder)
        self.tree = shutil.copytree(oci.tree, self.folder / "rootfs", symlinks=True)
        self.top = CGROUPS / f"user-{os.getpid()}"
        self.made = 0

    def delegate(self):
        (CGROUPS / "cgroup.subtree_control").write_text("+pids +memory")
        self.top.mkdir()
        (self.top / "cgroup.subtree_control").write_text("+pids +memory")
        (self.top / "leaf").mkdir()
        for d in (self.top, self.top / "leaf"):
            for path in (d, d / "cgroup.procs", d / "cgroup.subtree_control"):
                os.chown(path, UID, UID)

    def run(self, *args, code=0, leaf=True):
        for path in [self.folder, *self.folder.rglob("*")]:
            if path.lstat().st_uid == 0:
                os.chown(path, UID, UID, follow_symlinks=False)
        command = ["setpriv", "--reuid", str(UID), "--regid", str(UID), "--clear-groups", self.program, "--root", self.folder / "state", *map(str, args)]
        enter = (lambda: (self.top / "leaf/cgroup.procs").write_text("0")) if leaf else None
        r = subprocess.run(command, preexec_fn=enter, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=240, cwd=self.folder)
        assert code is None or r.returncode == code, f"{args}: exit {r.returncode}: {r.stdout}{r.stderr}"
        return r

    def bundle(self, *args, **linux):
        self.made += 1
        folder = self.folder / f"b{self.made}"
        folder.mkdir()
        self.run("spec", "--rootless", "--bundle", folder, leaf=False)
        config = json.loads((folder / "config.json").read_text())
        config["process"].update(terminal=False, args=list(args))
        config["root"]["path"] = str(self.tree)
        config["linux"].update(linux)
        (folder / "config.json").write_text(json.dumps(config))
        return folder

    def end(self):
        for d in (self.top / "leaf", self.top):
            guest.until(lambda: self.gone(d), f"the end of {d}", timeout=60)
        shutil.rmtree(self.folder)

    @staticmethod
    def gone(folder):
        try:
            folder.rmdir()
        except FileNotFoundError:
            pass
        except OSError:
            return False
        return True


@case
def a_user_has_containers_with_limits(oci):
    if MANAGER != "cgroupfs":
        return "skipped: the user's systemd does not run here"
    it = User(oci)
    it.delegate()
    try:
        r = it.run("run", "-b", it.bundle("sh", "-c", "id -u; cat /proc/self/cgroup"), "plain")
        assert r.stdout.split() == ["0", "0::/"] and not r.stderr, r
        forks = "for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait"
        r = it.run("run", "-b", it.bundle("sh", "-c", forks, resources={"pids": {"limit": 5}}), "limited", code=None)
        assert "fork" in r.stderr, r
        r = it.run("run", "-b", it.bundle("true", resources={"pids": {"limit": 5}}), "outside", code=125, leaf=False)
        assert f"which user {UID} may not make" in r.stderr, r
        own = subprocess.run(["ls", it.top], capture_output=True, text=True, check=True).stdout.split()
        assert not [n for n in own if n.startswith("zlayer-")], own
    finally:
        it.end()


@case
def a_user_has_the_ids_that_are_granted(oci):
    if MANAGER != "cgroupfs":
        return "skipped: once is enough"
    it = User(oci)
    it.delegate()
    with open("/etc/passwd", "a+") as f:
        f.seek(0)
        if f":x:{UID}:" not in f.read():
            f.write(f"tester:x:{UID}:{UID}::/:/bin/sh\n")
    for name in ("subuid", "subgid"):
        pathlib.Path("/etc", name).write_text(f"{UID}:300000:65536\n")
    maps = [{"containerID": 0, "hostID": UID, "size": 1}, {"containerID": 1, "hostID": 300000, "size": 65536}]
    try:
        bundle = it.bundle("sh", "-c", "cat /proc/self/uid_map", uidMappings=maps, gidMappings=maps)
        assert it.run("run", "-b", bundle, "many").stdout.split() == ["0", "1000", "1", "1", "300000", "65536"]
        wrong = [maps[0], {"containerID": 1, "hostID": 5, "size": 1}]
        r = it.run("run", "-b", it.bundle("true", uidMappings=wrong, gidMappings=maps), "wrong", code=125)
        assert "newuidmap refused" in r.stderr, r
    finally:
        it.end()


if __name__ == "__main__":
    sys.exit(guest.main())
