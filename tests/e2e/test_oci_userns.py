"""zlayer-oci: user and time namespaces, joined ones, and mounts with ids of their own."""
import os
import pathlib
import shutil

import pytest

from world import on_terminal

MAP = [{"containerID": 0, "hostID": 100000, "size": 65536}]


@pytest.fixture(autouse=True)
def target(oci):
    """The container's root may not make it in a tree of the host's root."""
    (oci.tree / "mnt").mkdir(exist_ok=True)


def user(oci, *args, maps=MAP, gids=None, **process):
    config = oci.config(*args, **process)
    config["linux"]["namespaces"].append({"type": "user"})
    config["linux"]["uidMappings"], config["linux"]["gidMappings"] = maps, gids or maps
    return config


def run(oci, config, code=0, name="c"):
    return oci.run("run", "-b", oci.bundle(config), name, code=code)


def ns(pid, kind):
    return os.readlink(f"/proc/{pid}/ns/{kind}")


# ---- a user namespace ---------------------------------------------------------------------------

def test_ids_are_mapped_and_the_root_is_its_own(oci):
    maps = [{"containerID": 0, "hostID": 100000, "size": 1000}, {"containerID": 1000, "hostID": 200000, "size": 10}]
    r = run(oci, user(oci, "sh", "-c", "id -u; id -g; cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups", maps=maps, gids=MAP))
    assert r.stdout.split() == ["0", "0", "0", "100000", "1000", "1000", "200000", "10", "0", "100000", "65536", "allow"]


def test_the_host_sees_another_user(oci):
    config = user(oci, "sleep", 1000, user={"uid": 5, "gid": 6, "additionalGids": [7, 8]})
    oci.run("run", "-d", "-b", oci.bundle(config), "c")
    status = pathlib.Path(f"/proc/{oci.state('c')['pid']}/status").read_text()
    fields = {line.split(":")[0]: line.split()[1:] for line in status.splitlines()}
    assert fields["Uid"] == ["100005"] * 4 and fields["Gid"] == ["100006"] * 4 and fields["Groups"] == ["100007", "100008"]


def test_it_can_write_what_is_its_own_only(oci):
    tree = oci.folder / "root"
    shutil.copytree(oci.tree, tree, symlinks=True)
    (tree / "mine").mkdir()
    os.chown(tree / "mine", 100000, 100000)
    config = user(oci, "sh", "-c", "echo x > /mine/file && stat -c %u /mine/file; echo x > /etc/passwd || echo denied; mkdir /other || echo denied")
    config["root"].update(path=str(tree), readonly=False)
    assert run(oci, config).stdout.split() == ["0", "denied", "denied"]
    assert (tree / "mine/file").stat().st_uid == 100000


def test_devices_are_the_hosts_and_work(oci):
    config = user(oci, "sh", "-c", "echo x > /dev/null && head -c 3 /dev/zero | wc -c; echo hidden > /dev/full || echo full; ls -l /dev/fd /dev/ptmx | wc -l")
    assert run(oci, config).stdout.split() == ["3", "full", "2"]
    config["linux"]["devices"] = [{"path": "/dev/no-such", "type": "c", "major": 1, "minor": 3}]
    assert "make device '/dev/no-such'" in run(oci, config, code=125).stderr
    config["linux"]["devices"] = [{"path": "/dev/null", "type": "c", "major": 1, "minor": 5}]
    assert "make device '/dev/null'" in run(oci, config, code=125).stderr
    config["linux"]["devices"] = [{"path": "/dev/pipe", "type": "p"}]
    config["process"]["args"] = ["stat", "-c", "%F", "/dev/pipe"]
    assert run(oci, config).stdout == "fifo\n"


def test_a_volume_need_not_be_open_to_all(oci):
    """The container's root may not enter /…/closed, but what is bound was opened by the runtime."""
    (oci.folder / "closed/volume").mkdir(parents=True)
    os.chmod(oci.folder / "closed", 0o700)
    (oci.folder / "closed/volume/file").write_text("seen")
    config = user(oci, "cat", "/mnt/file")
    config["mounts"].append({"destination": "/mnt", "type": "bind", "source": str(oci.folder / "closed/volume"), "options": ["rbind", "ro"]})
    assert run(oci, config).stdout == "seen"


def test_mounts_of_the_container_do_not_reach_the_host(oci):
    (oci.folder / "volume/sub").mkdir(parents=True)
    os.chmod(oci.folder, 0o755)
    config = user(oci, "busybox", "sh", "-c", "busybox mount -t tmpfs none /mnt/sub && echo mounted")
    for kind in config["process"]["capabilities"].values():
        kind.append("CAP_SYS_ADMIN")
    config["mounts"].append({"destination": "/mnt", "type": "bind", "source": str(oci.folder / "volume"), "options": ["rbind"]})
    assert run(oci, config).stdout == "mounted\n"
    assert oci.leftovers() == []


def test_limits_of_the_host_are_set_before_it_is_entered(oci):
    """Neither can be done from inside: a user namespace gives no right over them."""
    config = user(oci, "sh", "-c", "cat /proc/self/oom_score_adj; ulimit -Hn", oomScoreAdj=123,
                  rlimits=[{"type": "RLIMIT_NOFILE", "soft": 64, "hard": 128}])
    assert run(oci, config).stdout.split() == ["123", "128"]


def test_it_lives_in_its_cgroup_and_obeys(oci):
    config = user(oci, "sh", "-c", "for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait")
    config["linux"]["resources"]["pids"] = {"limit": 5}
    assert "fork" in run(oci, config, code=None).stderr


def test_exec_is_in_the_same_namespaces_with_the_same_rights(oci):
    config = user(oci, "sleep", 1000)
    config["linux"]["namespaces"].append({"type": "time"})
    config["linux"]["timeOffsets"] = {"boottime": {"secs": 100000}}
    oci.run("run", "-d", "-b", oci.bundle(config), "c")
    pid = oci.state("c")["pid"]
    kinds = ("user", "pid", "mnt", "net", "ipc", "uts", "cgroup", "time")
    got = oci.run("exec", "c", "sh", "-c", f"for n in {' '.join(kinds)}; do readlink /proc/self/ns/$n; done").stdout.split()
    assert got == [ns(pid, k) for k in kinds]
    assert all(ns(pid, k) != ns("self", k) for k in kinds)
    fields = ("grep", "-E", "^(Cap|Uid|Gid|NoNewPrivs)", "/proc/1/status")
    assert oci.run("exec", "c", *fields).stdout == oci.run("exec", "c", *fields[:-1], "/proc/self/status").stdout
    assert oci.run("exec", "--user", "5:6", "c", "id", "-u").stdout == "5\n"
    assert len(oci.run("exec", "c", "cat", "/proc/self/cgroup").stdout.splitlines()) > 0
    oci.run("pause", "c")
    oci.run("resume", "c")
    oci.run("kill", "c", "KILL")
    oci.until_status("c", "stopped")


def test_create_and_start_with_hooks(oci):
    config = user(oci, "echo", "started")
    out = oci.folder / "hooks"
    line = f"echo $0 $(readlink /proc/self/ns/user) >> {out}"
    os.chmod(oci.folder, 0o755)
    out.write_text("")
    os.chmod(out, 0o666)
    config["hooks"] = {stage: [{"path": "/bin/sh", "args": ["sh", "-c", line, stage]}] for stage in ("createRuntime", "createContainer")}
    bundle = oci.bundle(config)
    oci.run("create", "-b", bundle, "c")
    inside = ns(oci.state("c")["pid"], "user")
    oci.run("start", "c")
    oci.until_status("c", "stopped")
    assert out.read_text() == f"createRuntime {ns('self', 'user')}\ncreateContainer {inside}\n"


def test_a_terminal_belongs_to_its_user(oci):
    config = user(oci, "stat", "-c", "%u %n", "/dev/pts/0", terminal=True, user={"uid": 5, "gid": 5})
    out, code = on_terminal(lambda tty: oci.popen("run", "-b", oci.bundle(config), "c", stdin=tty, stdout=tty, stderr=tty))
    assert code == 0 and out.split() == ["5", "/dev/pts/0"]


@pytest.mark.parametrize("change, message", [
    ({"uidMappings": []}, "linux.uidMappings: a new user namespace needs them"),
    ({"gidMappings": [{"containerID": 5, "hostID": 100000, "size": 1}]}, "linux.gidMappings: container id 0 must be mapped"),
    ({"uidMappings": MAP * 2}, "uid_map"),
    ({"uidMappings": MAP * 341}, "Linux takes at most 340"),
])
def test_maps_that_cannot_be_are_refused(oci, change, message):
    config = user(oci, "true")
    config["linux"].update(change)
    assert message in run(oci, config, code=125).stderr
    assert oci.leftovers() == []


def test_maps_need_a_user_namespace(oci):
    config = oci.config("true")
    config["linux"]["uidMappings"] = MAP
    assert "need a user namespace" in run(oci, config, code=125).stderr


# ---- joined -------------------------------------------------------------------------------------

def test_all_namespaces_of_another_container_are_joined(oci):
    first = user(oci, "sleep", 1000)
    first["linux"]["namespaces"].append({"type": "time"})
    oci.run("run", "-d", "-b", oci.bundle(first), "c1")
    pid = oci.state("c1")["pid"]
    kinds = {"user": "user", "pid": "pid", "network": "net", "ipc": "ipc", "uts": "uts", "cgroup": "cgroup", "time": "time"}
    second = oci.config("sh", "-c", "for n in user pid net ipc uts cgroup time mnt; do readlink /proc/self/ns/$n; done; id -u")
    second["linux"]["namespaces"] = [{"type": t, "path": f"/proc/{pid}/ns/{n}"} for t, n in kinds.items()] + [{"type": "mount"}]
    del second["hostname"]
    got = run(oci, second, name="c2").stdout.split()
    assert got[:7] == [ns(pid, n) for n in kinds.values()]
    assert got[7] not in (ns(pid, "mnt"), ns("self", "mnt")) and got[8] == "0"


def test_a_new_user_namespace_takes_a_network_of_the_host(oci):
    """Joined before the user namespace is entered, which has no right over it."""
    other = oci.config("sleep", 1000)
    oci.run("run", "-d", "-b", oci.bundle(other), "c1")
    path = f"/proc/{oci.state('c1')['pid']}/ns/net"
    config = user(oci, "readlink", "/proc/self/ns/net")
    config["linux"]["namespaces"] = [dict(n, path=path) if n["type"] == "network" else n for n in config["linux"]["namespaces"]]
    config["mounts"] = [m for m in config["mounts"] if m["destination"] not in ("/sys", "/sys/fs/cgroup")]
    config["linux"]["maskedPaths"] = config["linux"]["readonlyPaths"] = []
    assert run(oci, config, name="c2").stdout.strip() == os.readlink(path)


def test_a_further_container_in_the_user_namespace_of_one(oci):
    oci.run("run", "-d", "-b", oci.bundle(user(oci, "sleep", 1000)), "c1")
    path = f"/proc/{oci.state('c1')['pid']}/ns/user"
    config = oci.config("sh", "-c", "readlink /proc/self/ns/user; id -u; readlink /proc/self/ns/pid")
    config["linux"]["namespaces"].append({"type": "user", "path": path})
    config["linux"]["uidMappings"] = MAP
    r = run(oci, config, name="c2")
    assert r.stdout.split()[:2] == [os.readlink(path), "0"]
    assert "the namespace that is joined has its own: left out" in r.stderr


# ---- time ---------------------------------------------------------------------------------------

def test_clocks_are_moved(oci):
    config = oci.config("sh", "-c", "cat /proc/uptime; readlink /proc/self/ns/time")
    config["linux"]["namespaces"].append({"type": "time"})
    config["linux"]["timeOffsets"] = {"boottime": {"secs": 1000000, "nanosecs": 5}, "monotonic": {"secs": -1}}
    out = run(oci, config).stdout.split()
    host = float(pathlib.Path("/proc/uptime").read_text().split()[0])
    assert 999900 < float(out[0]) - host <= 1000001
    assert out[2] != ns("self", "time")
    oci.run("create", "-b", oci.bundle(config), "c")
    oci.run("start", "c")


@pytest.mark.parametrize("offsets, own, message", [
    ({"realtime": {"secs": 1}}, True, "expected monotonic or boottime, found 'realtime'"),
    ({"boottime": {"secs": 1}}, False, "need a new time namespace"),
    ({"boottime": {"nanosecs": 1000000000}}, True, "1000000000 is a second or more"),
    ({"monotonic": {"secs": -10**10}}, True, "make a time namespace"),
])
def test_offsets_that_cannot_be_are_refused(oci, offsets, own, message):
    config = oci.config("true")
    if own:
        config["linux"]["namespaces"].append({"type": "time"})
    config["linux"]["timeOffsets"] = offsets
    assert message in run(oci, config, code=125).stderr
    assert oci.leftovers() == []


# ---- ids of mounts ------------------------------------------------------------------------------

@pytest.fixture
def owned(oci):
    """A folder on disk whose files belong to 0 and 1000."""
    folder = oci.folder / "owned"
    folder.mkdir(mode=0o755)
    for uid in (0, 1000):
        (folder / str(uid)).write_text("")
        os.chown(folder / str(uid), uid, uid)
    return folder


def owners(oci, config):
    config["process"]["args"] = ["sh", "-c", "cd /mnt && stat -c %u:%g 0 1000"]
    return run(oci, config).stdout.split()


def add(config, source, *options, **more):
    config["mounts"].append({"destination": "/mnt", "type": "bind", "source": str(source), "options": ["rbind", *options], **more})
    return config


@pytest.mark.parametrize("options", [[], ["idmap"], ["ridmap"]])
def test_a_mount_has_maps_of_its_own(oci, owned, options):
    maps = [{"containerID": 0, "hostID": 5, "size": 1}, {"containerID": 1000, "hostID": 2000, "size": 1}]
    config = add(oci.config(), owned, *options, uidMappings=maps, gidMappings=maps)
    assert owners(oci, config) == ["5:5", "2000:2000"]
    assert owners(oci, add(oci.config(), owned)) == ["0:0", "1000:1000"]


def test_idmap_alone_means_the_containers_maps(oci, owned):
    """On disk 0, on the host's side 100000, in the container 0 again; what is written is 0 on disk."""
    config = add(user(oci), owned, "idmap")
    assert owners(oci, config) == ["0:0", "1000:1000"]
    assert owners(oci, add(user(oci), owned)) == ["65534:65534"] * 2
    for kind in config["process"]["capabilities"].values():
        kind.append("CAP_CHOWN")
    config["process"]["args"] = ["sh", "-c", "echo > /mnt/new; busybox chown 7:8 /mnt/0"]
    run(oci, config)
    assert (owned / "new").stat().st_uid == 0 and (owned / "0").stat().st_uid == 7


def test_maps_of_mounts_that_cannot_be_are_refused(oci, owned):
    assert "the container has none either" in run(oci, add(oci.config("true"), owned, "idmap"), code=125).stderr
    assert "go together" in run(oci, add(oci.config("true"), owned, uidMappings=MAP), code=125).stderr
    config = oci.config("true")
    config["mounts"].append({"destination": "/mnt", "type": "tmpfs", "source": "x", "uidMappings": MAP, "gidMappings": MAP})
    assert "id mappings are for binds" in run(oci, config, code=125).stderr
    r = run(oci, add(oci.config("true"), "/proc", uidMappings=MAP, gidMappings=MAP), code=125)
    assert "mount '/proc' on '/mnt': its file system cannot map ids" in r.stderr
    assert oci.leftovers() == []
