"""zlayer-oci as an ordinary user: uid 1000, without any capability, with and without what hosts grant to users."""
import os
import pathlib
import shutil
import subprocess

import pytest

from conftest import with_oci
from ocibundle import OCI, Oci
from test_oci_seccomp import MKDIR, Listener, profile, says_no
from world import alive, on_terminal, until

UID = 1000
CGROUP = pathlib.Path("/sys/fs/cgroup")
AS_USER = ["setpriv", "--reuid", str(UID), "--regid", str(UID), "--clear-groups", "--no-new-privs"]


class UserOci(Oci):
    """zlayer-oci, run by uid 1000; `before` is what is run by root before, in front of it."""

    spec_options = ["--rootless"]

    def __init__(self, folder, tree):
        self.before, self.as_user, self.owner = [], AS_USER, UID
        os.chmod(folder, 0o755)
        super().__init__(folder, tree)
        self.program = shutil.copy(OCI, self.folder / "zlayer-oci")
        self.tree = shutil.copytree(tree, self.folder / "rootfs", symlinks=True)
        (self.folder / "runtime").mkdir()
        self.env.update(XDG_RUNTIME_DIR=str(self.folder / "runtime"), HOME=str(self.folder))
        self.own()

    def own(self):
        for path in [self.folder, *self.folder.rglob("*")]:
            os.chown(path, self.owner, self.owner, follow_symlinks=False)

    def popen(self, *args, **kw):
        kw = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **kw}
        self.own()
        command = [*self.before, *self.as_user, self.program, "--root", self.root, *map(str, args)]
        return subprocess.Popen(command, env=self.env, cwd=self.folder, **kw)

    def bundle(self, config):
        return self.write_bundle(config)  # without a cgroup of ours, which a user could not make


@pytest.fixture
def oci(tree):
    yield from with_oci("zlayer-user.", lambda folder: UserOci(folder, tree))


def run(oci, config, code=0, name="c"):
    return oci.run("run", "-b", oci.bundle(config), name, code=code)


# ---- with nothing granted -----------------------------------------------------------------------

def test_a_user_runs_a_container_of_his_own(oci):
    r = run(oci, oci.config("sh", "-c", "id -u; cat /proc/self/uid_map /proc/self/setgroups; exit 42"), code=42)
    assert r.stdout.split() == ["0", "0", str(UID), "1", "deny"]
    assert oci.run("list", "-q").stdout == ""


def test_what_it_writes_is_the_users(oci):
    config = oci.config("sh", "-c", "echo x > /tmp/file; mkdir /made; head -c 2 /dev/zero | wc -c; touch /dev/shm/x")
    config["root"]["readonly"] = False
    (oci.folder / "volume").mkdir()
    config["mounts"].append({"destination": "/tmp", "type": "bind", "source": str(oci.folder / "volume"), "options": ["rbind"]})
    assert run(oci, config).stdout.split() == ["2"]
    assert (oci.folder / "volume/file").stat().st_uid == UID and (oci.tree / "made").stat().st_uid == UID


def test_a_life_with_all_its_commands(oci):
    bundle = oci.bundle(oci.config("sleep", 1000))
    oci.run("create", "-b", bundle, "--pid-file", oci.folder / "pid", "c")
    assert oci.state("c")["status"] == "created"
    oci.run("start", "c")
    assert oci.state("c")["status"] == "running"
    assert oci.run("exec", "c", "sh", "-c", "id -u; readlink /proc/self/ns/user").stdout.split() == \
        ["0", os.readlink(f"/proc/{oci.state('c')['pid']}/ns/user")]
    first = oci.run("exec", "c", "grep", "-E", "^(Cap|NoNewPrivs|Uid|Gid)", "/proc/1/status").stdout
    assert first == oci.run("exec", "c", "grep", "-E", "^(Cap|NoNewPrivs|Uid|Gid)", "/proc/self/status").stdout
    oci.run("kill", "c", "KILL")
    oci.until_status("c", "stopped")
    oci.run("delete", "c")


def test_his_capabilities_are_of_the_container_only(oci):
    caps = ["CAP_CHOWN", "CAP_SYS_ADMIN", "CAP_NET_ADMIN"]
    config = oci.config("grep", "CapEff", "/proc/self/status", capabilities={k: caps for k in ("bounding", "effective", "permitted")})
    assert int(run(oci, config).stdout.split()[1], 16) == 1 << 0 | 1 << 12 | 1 << 21


def test_states_lie_in_his_runtime_folder(oci):
    oci.root = oci.folder / "runtime/zlayer-oci"
    bundle = oci.bundle(oci.config("sleep", 1000))
    command = [*AS_USER, str(oci.program), "run", "-d", "-b", str(bundle), "c"]
    oci.own()
    subprocess.run(command, env=oci.env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    assert (oci.root / "c/state.json").exists()
    assert oci.state("c")["status"] == "running"


def test_a_terminal_of_his(oci):
    bundle = oci.bundle(oci.config("stat", "-c", "%u", "/dev/console", terminal=True))

    def begin(tty):
        os.fchown(tty, UID, UID)
        return oci.popen("run", "-b", bundle, "c", stdin=tty, stdout=tty, stderr=tty)
    out, code = on_terminal(begin)
    assert code == 0 and out.split()[-1] == "0"


def set_limit(config):
    config["linux"]["resources"] = {"pids": {"limit": 5}}


def drop_user(config):
    config["linux"]["namespaces"] = [n for n in config["linux"]["namespaces"] if n["type"] != "user"]
    del config["linux"]["uidMappings"], config["linux"]["gidMappings"]


def mount_sysfs(config):
    config["mounts"].append({"destination": "/sys", "type": "sysfs", "source": "sysfs"})


def add_groups(config):
    config["process"]["user"]["additionalGids"] = [0]


def lower_oom(config):
    config["process"]["oomScoreAdj"] = -500


@pytest.mark.parametrize("change, message", [
    (set_limit, f"which user {UID} may not make: it must be delegated to him"),
    (drop_user, f"linux.namespaces: user {UID} needs a user namespace among them"),
    (mount_sysfs, "sysfs in a new user namespace needs a new network namespace as well; else bind /sys"),
    (lambda c: c["mounts"][2]["options"].append("gid=5"), "'gid=5' is not among linux.gidMappings"),
    (lambda c: c["process"]["user"].update(uid=5), "process.user.uid: 5 is not among linux.uidMappings"),
    (lambda c: c["process"]["user"].update(gid=5), "process.user.gid: 5 is not among linux.gidMappings"),
    (add_groups, "process.user.additionalGids: a user namespace of one group cannot have others"),
    (lower_oom, "set oom_score_adj '-500'"),
    (lambda c: c["linux"]["uidMappings"][0].update(hostID=0), "newuidmap refused"),
])
def test_what_the_host_does_not_allow_is_named(oci, change, message):
    config = oci.config("true")
    change(config)
    assert message in run(oci, config, code=125).stderr
    assert oci.leftovers() == []


def test_without_a_cgroup_it_is_told(oci):
    assert f"no cgroup: user {UID} may make none; its processes are in ours" in run(oci, oci.config("true")).stderr


def test_a_host_without_user_namespaces_is_named(oci):
    """Its limit counts for a user namespace and those below: here one of our own that may have none."""
    config = oci.config("true")
    config["linux"]["uidMappings"][0]["hostID"] = config["linux"]["gidMappings"][0]["hostID"] = 0
    oci.before = ["unshare", "--user", "--map-root-user", "sh", "-c", 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"', "sh"]
    oci.as_user = []
    oci.owner = 0
    r = oci.run("--rootless", "true", "run", "-b", oci.bundle(config), "c", code=125)
    assert "this host does not let us make a user namespace (sysctls user.max_user_namespaces" in r.stderr
    oci.before, oci.as_user, oci.owner = [], AS_USER, UID


# ---- ids of /etc/subuid -------------------------------------------------------------------------

MAPS = [{"containerID": 0, "hostID": UID, "size": 1}, {"containerID": 1, "hostID": 300000, "size": 65536}]


@pytest.fixture
def granted(oci):
    """/etc/subuid and /etc/subgid grant ids to uid 1000, in a mount namespace of the command's own."""
    if not shutil.which("newuidmap"):
        pytest.fail("newuidmap is missing: scripts/deps")
    passwd = pathlib.Path("/etc/passwd").read_text()
    if f":x:{UID}:" not in passwd:
        passwd += f"zlayer-test:x:{UID}:{UID}::/:/bin/sh\n"
    texts = {"subuid": f"{UID}:300000:65536\n", "subgid": f"{UID}:300000:65536\n", "passwd": passwd}
    script = ""
    for name, text in texts.items():
        (oci.folder / name).write_text(text)
        script += f"mount --bind {oci.folder / name} /etc/{name} && "
        pathlib.Path("/etc", name).touch()
    oci.before = ["unshare", "--mount", "sh", "-c", script + 'exec "$@"', "sh"]
    oci.as_user = [a for a in AS_USER if a != "--no-new-privs"]  # newuidmap is set-user-ID
    yield oci


def many(oci, *args, **process):
    config = oci.config(*args, **process)
    config["linux"]["uidMappings"] = config["linux"]["gidMappings"] = MAPS
    return config



def test_granted_ids_are_mapped_by_newuidmap(granted):
    config = many(granted, "sleep", 1000, user={"uid": 5, "gid": 6, "additionalGids": [7]})
    granted.run("run", "-d", "-b", granted.bundle(config), "c")
    status = pathlib.Path(f"/proc/{granted.state('c')['pid']}/status").read_text()
    fields = {line.split(":")[0]: line.split()[1:] for line in status.splitlines()}
    assert fields["Uid"] == ["300004"] * 4 and fields["Gid"] == ["300005"] * 4 and fields["Groups"] == ["300006"]
    assert granted.run("exec", "--user", "0:0", "c", "id", "-u").stdout == "0\n"
    granted.run("kill", "c", "KILL")
    granted.until_status("c", "stopped")


def test_ids_that_are_not_granted_are_refused_by_name(granted):
    config = many(granted, "true")
    config["linux"]["uidMappings"] = [MAPS[0], {"containerID": 1, "hostID": 5, "size": 1}]
    assert "map ids of the user namespace: newuidmap refused (exit status 1): /etc/subuid and /etc/subgid must grant" in run(granted, config, code=125).stderr
    assert granted.leftovers() == []


def test_a_missing_newuidmap_is_named(oci):
    oci.env["PATH"] = str(oci.folder)
    oci.before = ["/usr/bin/env"]
    oci.as_user = ["/usr/bin/" + AS_USER[0], *AS_USER[1:]]
    assert "newuidmap is not installed (Debian: uidmap)" in run(oci, many(oci, "true"), code=125).stderr


@pytest.mark.parametrize("uid", [0, 5])
def test_a_listener_is_told_of_his_filter(granted, uid):
    it = Listener(granted.folder / "listener", says_no)
    os.chmod(granted.folder / "listener", 0o777)
    config = many(granted, "mkdir", "/tmp/x", user={"uid": uid, "gid": uid})
    config["linux"]["seccomp"] = profile(str(granted.folder / "listener"), "mkdir", "execve")
    assert "cross-device" in run(granted, config, code=1).stderr
    assert MKDIR in it.asked and len(it.states) == 1
    it.close()


# ---- a delegated cgroup -------------------------------------------------------------------------

@pytest.fixture
def delegated(oci):
    """A cgroup that belongs to uid 1000, with a leaf in which his commands run."""
    name = oci.cgroup.strip("/")
    pure = (CGROUP / "cgroup.controllers").exists()
    tops = [CGROUP / name] if pure else [CGROUP / "pids" / name, CGROUP / "memory" / name]
    for top in tops:
        if pure:
            (CGROUP / "cgroup.subtree_control").write_text("+pids +memory")
        top.mkdir()
        if pure:
            (top / "cgroup.subtree_control").write_text("+pids +memory")
        (top / "leaf").mkdir()
        for d in (top, top / "leaf"):
            for path in (d, *(d / f for f in ("cgroup.procs", "tasks", "cgroup.subtree_control") if (d / f).exists())):
                os.chown(path, UID, UID)
    oci.before = ["sh", "-c", "".join(f"echo $$ > {top}/leaf/cgroup.procs && " for top in tops) + 'exec "$@"', "sh"]
    yield oci


def test_limits_hold_in_a_delegated_cgroup(delegated):
    config = delegated.config("sh", "-c", "for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait")
    set_limit(config)
    if not (CGROUP / "cgroup.controllers").exists():
        config["linux"]["cgroupsPath"] = f"{delegated.cgroup}/c"
    r = run(delegated, config, code=None)
    assert "fork" in r.stderr and "no cgroup" not in r.stderr
    config["process"]["args"] = ["sleep", "1000"]
    delegated.run("run", "-d", "-b", delegated.bundle(config), "c")
    assert len(delegated.run("ps", "--format", "json", "c").stdout.split(",")) == 1
    delegated.run("update", "--pids-limit", 7, "c")
    delegated.run("kill", "--all", "c", "KILL")
    delegated.until_status("c", "stopped")
    delegated.run("delete", "c")


# some controllers delegated and others not: there is that only where each has a hierarchy of its own (v1)
@pytest.mark.skipif((CGROUP / "cgroup.controllers").exists(), reason="v2 is one hierarchy: all of it is delegated, or nothing")
def test_a_limit_that_is_not_delegated_is_refused_beside_one_that_is(delegated):
    os.chown(CGROUP / "memory" / delegated.cgroup.strip("/"), 0, 0)
    config = delegated.config("true")
    config["linux"].update(cgroupsPath=f"{delegated.cgroup}/c", resources={"pids": {"limit": 5}, "cpu": {"quota": 50000}})
    assert "which user 1000 may not make" in run(delegated, config, code=125).stderr


# ---- podman of an ordinary user -----------------------------------------------------------------

@pytest.fixture
def podman(granted, busybox_tar):
    """podman as uid 1000, which runs zlayer-oci as root of a user namespace that is podman's."""
    tar = shutil.copy(busybox_tar, granted.folder / "image.tar")
    run = granted.folder / "runtime"
    # root of it would rather be asked through systemd, which does not run here
    command = ["podman", "--root", granted.folder / "root", "--runroot", run / "root", "--tmpdir", run / "tmp", "--cgroup-manager", "cgroupfs",
               "--events-backend", "file", "--storage-driver", "vfs", "--runtime", granted.program]

    def podman(*args, code=0):
        r = subprocess.run([*granted.before, *granted.as_user, *map(str, command), *map(str, args)], env=granted.env, cwd=granted.folder,
                           stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        assert r.returncode == code, f"podman {args}: exit {r.returncode}\n{r.stdout}{r.stderr}"
        return r.stdout
    granted.own()
    try:
        podman("import", tar, "zlayer-test")
        yield podman
    finally:
        podman("rm", "--all", "--force", "--time", "0")
        pause = int((run / "tmp/pause.pid").read_text())  # holds podman's user namespace
        os.kill(pause, 9)
        until(lambda: not alive(pause), "the end of podman's own process")


def test_podman_of_a_user_runs_containers_by_it(podman):
    plain = ["run", "--rm", "--network", "none"]
    out = podman(*plain, "zlayer-test", "sh", "-c", "id -u; cat /proc/self/uid_map; touch /new && stat -c %u /new; echo > /dev/null && echo null")
    assert out.split() == ["0", "0", str(UID), "1", "1", "300000", "65536", "0", "null"]
    assert podman(*plain, "--user", "5:6", "zlayer-test", "sh", "-c", "id -u; id -g").split() == ["5", "6"]
    assert podman(*plain, "--userns", "keep-id", "zlayer-test", "id", "-u").strip() == str(UID)
    podman("run", "--detach", "--name", "held", "--network", "none", "zlayer-test", "sleep", "1000")
    assert podman("exec", "held", "sh", "-c", "id -u; test $(readlink /proc/self/ns/pid) = $(readlink /proc/1/ns/pid) && echo same").split() == ["0", "same"]
    assert podman("exec", "--tty", "held", "stat", "-c", "%u", "/dev/pts/0").strip() == "0"
    podman("stop", "--time", "1", "held")
