"""Ways out by the image: links in the way of mounts, swapped devices, a /proc that is none, races with who
shares a volume; and what of the kernel must stay read-only.

Every test runs twice or more: see escapes.py.
"""
import ctypes
import json
import os
import pathlib
import shutil
import stat
import subprocess
import sys

import pytest

from escapes import against, escapes_in
from world import until


def mount(destination, source="tmpfs", type="tmpfs", *options):
    return {"destination": str(destination), "source": str(source), "type": type, "options": list(options)}


def without(config, *destinations):
    config["mounts"] = [m for m in config["mounts"] if m["destination"] not in destinations]
    return config


def created(arena):
    """What the runtime made on the host, where it has no business."""
    return [str(p.relative_to(arena.outside)) for p in arena.outside.rglob("*")]


# ---- mount targets ------------------------------------------------------------------------------

@against("TARGET")
@pytest.mark.parametrize("kind", ["tmpfs", "bind of a folder", "bind of a file"])
def test_a_link_of_the_image_does_not_lead_a_mount_out(arena, kind):
    (arena.tree / "data").symlink_to(arena.outside)
    (arena.tree / str(arena.outside).lstrip("/")).mkdir(parents=True)
    config = arena.config("grep", f" {arena.outside}/made ", "/proc/self/mounts")
    (arena.folder / "a-file").write_text("x")
    config["mounts"].append({"tmpfs": mount("/data/made"), "bind of a folder": mount("/data/made", arena.tree / "etc", "bind", "bind"),
                             "bind of a file": mount("/data/made", arena.folder / "a-file", "bind", "bind")}[kind])
    r = arena.run("run", "-b", arena.bundle(config), "c", code=None)
    arena.judge(created(arena), r.stderr)
    if not arena.weak:
        assert r.returncode == 0, "the mount lies where the link leads inside of the image"


@against()
@pytest.mark.parametrize("kind", ["folder", "file"])
@pytest.mark.parametrize("way", ["", "../../../../../.."])
def test_a_link_of_the_image_to_nothing_is_followed_inside(arena, way, kind):
    """What it leads to is made where it leads to in the image, as with a link to something."""
    (arena.tree / "data").mkdir()
    (arena.tree / "data/link").symlink_to(f"{way}{arena.outside}/new")
    (arena.folder / "a-file").write_text("x")
    source = arena.folder / "a-file" if kind == "file" else arena.tree / "etc"
    config = arena.config("grep", f" {arena.outside}/new/made ", "/proc/self/mounts")
    config["mounts"].append(mount("/data/link/made", source, "bind", "bind"))
    r = arena.run("run", "-b", arena.bundle(config), "c")
    arena.judge(created(arena), r.stderr)


@against()
def test_a_link_that_leads_to_itself_is_refused(arena):
    (arena.tree / "loop").symlink_to("loop/on")
    config = arena.config("true")
    config["mounts"].append(mount("/loop/made"))
    assert "too many levels of symbolic links" in arena.run("run", "-b", arena.bundle(config), "c", code=125).stderr
    arena.judge(created(arena))


@against("TARGET")
def test_dots_in_a_destination_do_not_lead_out(arena):
    (arena.tree / "a/b").mkdir(parents=True)
    config = arena.config("true")
    config["mounts"].append(mount(f"/a/b/../../../../../../../../../../../../{str(arena.outside).lstrip('/')}/made"))
    r = arena.run("run", "-b", arena.bundle(config), "c", code=None)
    arena.judge(created(arena), r.stderr)


@against("TARGET")
def test_a_link_in_the_way_of_the_console_or_a_device_does_not_lead_out(arena):
    """The image brings its own /dev, in which a folder is a link to one of the host."""
    shutil.rmtree(arena.tree / "dev")
    (arena.tree / "dev").symlink_to(arena.outside)
    config = without(arena.config("true"), "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue")
    r = arena.run("run", "-b", arena.bundle(config), "c", code=None)
    arena.judge(created(arena), r.stderr)


def swapping(arena, volume, a, b):
    """A container in which two names of a volume change places all the time; the mount by which another one shares it."""
    shared = mount("/vol", volume, "bind", "bind")
    attacker = arena.config("attack", "swap", f"/vol/{a}", f"/vol/{b}", 600)
    attacker["mounts"].append(shared)
    out = arena.hold(attacker, "attacker")
    until(lambda: "ready" in out.read_text(), "the attacker")
    return shared


@against("RACE")
def test_a_link_swapped_into_a_shared_volume_does_not_lead_a_mount_out(arena):
    """CVE-2021-30465: another container changes the volume while this one's mounts are made."""
    volume = arena.folder / "volume"
    (volume / "a").mkdir(parents=True)
    (volume / "b").symlink_to(arena.outside)
    shared = swapping(arena, volume, "a", "b")
    victim = arena.config("true")
    victim["mounts"] += [shared, *(mount(f"/vol/a/made{n}") for n in range(20))]
    bundle, said = arena.bundle(victim), []
    for _ in range(60):
        said.append(arena.run("run", "-b", bundle, "victim", code=None).stderr)
        if created(arena):
            break
    arena.judge(created(arena), said[-3:])
    assert arena.state("attacker")["status"] == "running"


# ---- devices and masks --------------------------------------------------------------------------

@against("DEVNULL")
def test_a_swapped_dev_null_does_not_uncover_what_is_masked(arena):
    """CVE-2025-31133: what masks is the host's /dev/null, not what the image calls so."""
    (arena.tree / "secret").write_text("masked\n")
    (arena.tree / "other").write_text("x")
    volume = arena.folder / "dev"
    volume.mkdir()
    (volume / "null").symlink_to("/secret")
    config = without(arena.config("cat", "/other", "/secret"), "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue")
    config["mounts"].append(mount("/dev", volume, "bind", "bind"))
    config["linux"]["maskedPaths"] = ["/other", "/secret"]
    r = arena.run("run", "-b", arena.bundle(config), "c", code=None)
    arena.judge(["read what is masked"] if "masked" in r.stdout else [], r.stdout + r.stderr)


@against("RACE")
def test_a_dev_null_swapped_while_paths_are_masked_does_not_uncover_them(arena):
    """CVE-2025-31133, by who shares the volume that is /dev: it is a good one whenever it is looked at, or else is not taken."""
    (arena.tree / "secret").write_text("masked\n")
    volume = arena.folder / "dev"
    volume.mkdir()
    os.mknod(volume / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    (volume / "link").symlink_to("/secret")
    swapping(arena, volume, "null", "link")
    victim = without(arena.config("cat", "/other", "/secret"), "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue")
    (arena.tree / "other").write_text("x")
    victim["mounts"].append(mount("/dev", volume, "bind", "bind"))
    victim["linux"]["maskedPaths"] = ["/other", "/secret"]
    bundle, runs = arena.bundle(victim), []
    for _ in range(200 if arena.weak else 60):
        runs.append(arena.run("run", "-b", bundle, "victim", code=None))
        if "masked" in runs[-1].stdout:
            break
    arena.judge(["read what is masked"] if "masked" in runs[-1].stdout else [], runs[-3:])
    assert any(r.returncode == 0 for r in runs), "the victim never ran"


@against("RACE")
@pytest.mark.parametrize("kind", ["maskedPaths", "readonlyPaths"])
def test_a_link_swapped_in_while_paths_are_masked_does_not_lead_a_mask_out(arena, kind):
    """A hook in the container's mount namespace, where the host's files are still seen, looks for masks over them."""
    names = [f"m{n}" for n in range(30)]
    volume = arena.folder / "volume"
    (volume / "a").mkdir(parents=True)
    (volume / "b").symlink_to(arena.outside)
    for folder in (volume / "a", arena.outside):
        for name in names:
            (folder / name).touch()
    shared = swapping(arena, volume, "a", "b")
    seen = arena.folder / "seen"
    hook = arena.folder / "hook"
    hook.write_text(f"#!/bin/sh\ngrep ' {arena.outside}/' /proc/self/mountinfo >> {seen}\necho looked >> {seen}\n")
    hook.chmod(0o755)
    victim = arena.config("true")
    victim["mounts"].append(shared)
    victim["linux"][kind] = [f"/vol/a/{name}" for name in names]
    victim["hooks"] = {"createContainer": [{"path": str(hook)}]}
    bundle = arena.bundle(victim)
    for _ in range(200 if arena.weak else 60):
        r = arena.run("run", "-b", bundle, "victim", code=None)
        if seen.exists() and str(arena.outside) in seen.read_text():
            break
    text = seen.read_text()
    assert "looked" in text
    arena.judge([line for line in text.splitlines() if str(arena.outside) in line], r.stderr)


@against("DEVICE")
@pytest.mark.parametrize("device", ["null", "zero", "tty"])
def test_what_an_image_has_in_the_place_of_a_device_is_not_taken(arena, device):
    (arena.tree / "dev" / device).symlink_to("/proc/sysrq-trigger")
    config = without(arena.config("readlink", f"/dev/{device}"), "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue")
    r = arena.run("run", "-b", arena.bundle(config), "c", code=None)
    arena.judge(["the image's link is the device"] if "sysrq" in r.stdout else [], r.stdout + r.stderr)
    if not arena.weak:
        assert f"make device '/dev/{device}'" in r.stderr


def openings(path):
    """Counts who opens a file, device or not, from now on: inotify(7). O_PATH opens nothing."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    assert fd >= 0 and libc.inotify_add_watch(fd, os.fsencode(path), 0x20) >= 0  # IN_OPEN

    def seen():
        try:
            return len(os.read(fd, 65536)) // 16
        except BlockingIOError:
            return 0
        finally:
            os.close(fd)
    return seen


@against("PASSWD")
@pytest.mark.parametrize("verb", ["run", "exec"])
def test_a_device_in_the_place_of_the_list_of_users_is_not_opened(arena, verb):
    """To open a device may be an act upon the host: a tape is rewound, a watchdog begins to count."""
    (arena.tree / "etc/passwd").unlink()
    config = arena.config("sleep" if verb == "exec" else "true", "1000")
    config["process"]["env"] = ["PATH=/bin"]  # no HOME: it is looked up
    if verb == "exec":
        arena.hold(config)
    os.mknod(arena.tree / "etc/passwd", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    opened = openings(arena.tree / "etc/passwd")
    r = arena.run("exec", "c", "true", code=None) if verb == "exec" else arena.run("run", "-b", arena.bundle(config), "c", code=None)
    assert r.returncode == 0, r.stderr
    arena.judge(["the device was opened"] if opened() else [], r.stderr)


# ---- /proc --------------------------------------------------------------------------------------

def fake_proc(arena):
    fake = arena.tree / "proc/self"
    fake.mkdir()
    for name in ("oom_score_adj", "attr"):
        (fake / name).write_text("fake\n") if name != "attr" else (fake / name).mkdir()
    for name in ("exec", "keycreate", "current"):
        (fake / "attr" / name).write_text("fake\n")
    return lambda: [str(p) for p in fake.rglob("*") if p.is_file() and p.read_text() != "fake\n"]


@against("LABEL")
@pytest.mark.parametrize("verb", ["run", "exec"])
def test_attributes_of_a_process_are_not_written_into_a_proc_of_the_image(arena, verb):
    """CVE-2019-16884, CVE-2025-52881: oom_score_adj is written by the same function as labels and sysctls."""
    written = fake_proc(arena)
    config = without(arena.config("sleep", 1000, oomScoreAdj=321), "/proc")
    config["root"]["readonly"] = False
    config["linux"]["maskedPaths"] = config["linux"]["readonlyPaths"] = []
    if verb == "exec":
        del config["process"]["oomScoreAdj"]
    arena.hold(config)
    if verb == "exec":
        (arena.folder / "process.json").write_text(json.dumps({**config["process"], "args": ["sleep", "1000"], "oomScoreAdj": 321}))
        arena.run("exec", "--detach", "--pid-file", arena.folder / "pid", "--process", arena.folder / "process.json", "c")
        pid = int((arena.folder / "pid").read_text())
    else:
        pid = arena.state("c")["pid"]
    arena.judge(written())
    assert pathlib.Path(f"/proc/{pid}/oom_score_adj").read_text() == "321\n"


@against("PROC")
@pytest.mark.parametrize("name", ["proc", "sys"])
def test_proc_and_sys_lie_on_folders_of_the_image_not_behind_links(arena, name):
    """CVE-2019-19921: behind a link into a shared volume they can be moved from under their masks."""
    (arena.tree / name).rmdir()
    (arena.tree / "vol" / name).mkdir(parents=True)
    (arena.tree / name).symlink_to(f"vol/{name}")
    config = arena.config("ls", f"/vol/{name}")
    r = arena.run("run", "-b", arena.bundle(config), "c", code=None)
    arena.judge(["it lies in the volume"] if r.stdout.strip() else [], r.stdout + r.stderr)
    if not arena.weak:
        assert f"make mount target '/{name}'" in r.stderr


# ---- what of the kernel is read-only ------------------------------------------------------------

@against("READONLY")
@pytest.mark.parametrize("verb", ["run", "exec"])
def test_nothing_that_rules_the_host_can_be_written(arena, verb):
    """core_pattern, sysrq, release_agent, uevent_helper …, and no way around by mounting. Root, with the
    capabilities that engines give."""
    config = arena.config("attack", "kernel")
    usual = "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE"
    config["process"]["capabilities"] = {k: [f"CAP_{c}" for c in usual.split()] for k in ("bounding", "effective", "permitted")}
    config["linux"]["namespaces"].append({"type": "cgroup"}) if all(n["type"] != "cgroup" for n in config["linux"]["namespaces"]) else None
    if verb == "run":
        text = arena.run("run", "-b", arena.bundle(config), "c").stdout
    else:
        config["process"]["args"] = ["sleep", "1000"]
        arena.hold(config)
        text = arena.run("exec", "c", "attack", "kernel").stdout
    assert "done" in text
    arena.judge(escapes_in(text), text)
    if arena.weak:
        assert all(name in text for name in ("core_pattern", "release_agent")), text


# ---- look-ups beside somebody who renames ---------------------------------------------------------

RENAMES = "import itertools, os\nfor _ in itertools.count():\n    os.rename('a', 'b')\n    os.rename('b', 'a')\n"


@against()
def test_a_path_with_dots_is_found_while_others_rename(arena):
    """openat2(2) says EAGAIN when anything on the host is renamed during a step to ".."."""
    elsewhere = arena.folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a").touch()
    for name in "xyz":
        (arena.tree / name).mkdir()
    config = arena.config("true")
    for i in range(40):
        (arena.tree / f"d{i}").mkdir()
        (arena.tree / f"w{i}").symlink_to(f"x/../y/../z/../d{i}")
        config["mounts"].append({"destination": f"/w{i}", "type": "tmpfs", "source": "tmpfs"})
    renamer = subprocess.Popen([sys.executable, "-c", RENAMES], cwd=elsewhere)
    try:
        for n in range(5):
            arena.run("run", "-b", arena.bundle(config), f"c{n}")
    finally:
        renamer.kill()
        renamer.wait()
