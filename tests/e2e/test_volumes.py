"""Volumes: what the image has in them at first, whose they are, how long they live, and what a kill leaves."""
import concurrent.futures
import contextlib
import fcntl
import io
import json
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import tarfile

import pytest

from conftest import make_world
from world import BUILD, kill, parent, until

SETUID_FILE, LINKED, MANY = 0o4750, "linked", 2000


def member(name, kind=tarfile.REGTYPE, data=b"", **fields):
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(data)
    info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    info.mtime = 1_000_000_000
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


def add(tar, *members):
    for info, data in members:
        tar.addfile(info, io.BytesIO(data))


@pytest.fixture(scope="module")
def content_tar(busybox_tar, tmp_path_factory):
    """Busybox with folders of all sorts at which volumes are mounted."""
    path = tmp_path_factory.mktemp("content") / "content.tar"
    path.write_bytes(busybox_tar.read_bytes())
    with tarfile.open(path, "a", format=tarfile.PAX_FORMAT) as tar:
        add(tar,
            member("data", tarfile.DIRTYPE, mode=0o2750, uid=1000, gid=50),
            member("data/tool", data=b"#!/bin/sh\n", mode=SETUID_FILE, uid=7, gid=8,
                   pax_headers={"SCHILY.xattr.user.note": "kept"}),
            member("data/" + LINKED, tarfile.LNKTYPE, linkname="data/tool"),
            member("data/out", tarfile.SYMTYPE, linkname="/etc/passwd"),
            member("data/sub", tarfile.DIRTYPE, mode=0o700, uid=1000),
            member("data/sub/deep", data=b"deep\n"),
            member("data/fifo", tarfile.FIFOTYPE),
            member("big", tarfile.DIRTYPE),
            *(member(f"big/{i}", data=b"%d" % i) for i in range(300)),
            member("many", tarfile.DIRTYPE),
            *(member(f"many/{i}") for i in range(MANY)),
            member("heavy", tarfile.DIRTYPE),
            member("heavy/file", data=os.urandom(2 << 20)),
            member("link", tarfile.SYMTYPE, linkname="/data"),
            member("away", tarfile.SYMTYPE, linkname="../../../../../../etc"),
            member("loop", tarfile.SYMTYPE, linkname="/loop"),
            member("file", data=b"no folder"))
    return path


@pytest.fixture(scope="module")
def both(busybox_tar, content_tar):
    """One world for all, with both images; each test leaves it as it was."""
    it = make_world()
    world = next(it)
    world.import_busybox(busybox_tar)
    world.zlayer("import", content_tar, "-t", "content")
    yield world
    next(it, None)


@pytest.fixture
def host(both):
    yield both
    both.clear("shop")
    both.zlayer("volume", "prune", "--force")
    assert names(both) == []


def volume(host, name):
    return host.root / "volumes" / name


def names(host):
    """All that lies where the volumes are, but for the trash."""
    return sorted(set(os.listdir(host.root / "volumes")) - {".trash"})


def sh(host, script, *options, image="busybox", **kw):
    return host.zlayer("run", "--rm", *options, image, "sh", "-c", script, **kw)


# ---- how long they live -----------------------------------------------------------------------------
def test_a_named_volume_outlives_its_container_and_an_anonymous_one_does_not(host):
    ident = host.zlayer("run", "-d", "-v", "db:/db", "-v", "/scratch", "busybox", "sh", "-c",
                        "echo kept >/db/f; echo gone >/scratch/f; sleep 1000").stdout.strip()
    own = host.root / "containers" / ident / "volumes"
    until(lambda: list(own.rglob("f")), "what it wrote")
    host.zlayer("container", "rm", "-f", ident)
    assert not own.exists() and names(host) == ["db"]
    assert sh(host, "cat /db/f; echo no >/db/f", "-v", "db:/db:ro", code=1).stdout == "kept\n"


def test_a_volume_is_shared_by_name(host):
    host.zlayer("run", "-d", "--name", "one", "-v", "box:/a", "busybox", "sleep", "1000")
    sh(host, "echo from two >/b/f", "-v", "box:/b")
    assert host.zlayer("exec", "one", "cat", "/a/f").stdout == "from two\n"
    host.zlayer("container", "rm", "-f", "one")


@pytest.mark.parametrize("name", ["A", "a_b", "-a", "a/b", "a" * 64])
def test_what_is_no_name_is_refused(host, name):
    assert "name of a volume" in sh(host, "true", "-v", f"{name}:/d", code=125).stderr
    assert names(host) == []


# ---- what the image has there --------------------------------------------------------------------------
def test_an_empty_volume_gets_what_the_image_has_there(host):
    sh(host, "true", "-v", "v:/data", image="content")
    v = volume(host, "v")
    st = v.stat()
    assert (st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode)) == (1000, 50, 0o2750)
    assert sorted(os.listdir(v)) == ["fifo", LINKED, "out", "sub", "tool"]
    st = (v / "tool").stat()
    assert (st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode), st.st_nlink, st.st_mtime) == (7, 8, SETUID_FILE, 2, 1_000_000_000)
    assert (v / LINKED).stat().st_ino == st.st_ino
    assert os.getxattr(v / "tool", "user.note") == b"kept"
    assert os.readlink(v / "out") == "/etc/passwd" and stat.S_ISFIFO((v / "fifo").stat().st_mode)
    assert (v / "sub/deep").read_text() == "deep\n" and stat.S_IMODE((v / "sub").stat().st_mode) == 0o700
    assert names(host) == ["v"]


def test_an_anonymous_volume_gets_it_as_well(host):
    assert sh(host, "cat /data/sub/deep; stat -c %u:%g:%a /data; echo more >>/data/sub/deep", "-v", "/data",
              image="content").stdout == "deep\n1000:50:2750\n"
    assert sh(host, "cat /data/sub/deep", "-v", "/data", image="content").stdout == "deep\n"


def test_a_volume_with_something_in_it_stays_as_it_is(host):
    sh(host, "echo mine >/d/f", "-v", "v:/d")
    assert sh(host, "ls /data", "-v", "v:/data", image="content").stdout == "f\n"
    assert volume(host, "v").stat().st_uid == 0


def test_a_volume_that_is_empty_and_in_use_is_filled_where_it_is(host):
    """Who has mounted it sees what comes: it stays the same folder."""
    host.zlayer("run", "-d", "--name", "one", "-v", "v:/a", "busybox", "sleep", "1000")
    sh(host, "true", "-v", "v:/data", image="content")
    assert host.zlayer("exec", "one", "cat", "/a/sub/deep").stdout == "deep\n"
    host.zlayer("container", "rm", "-f", "one")


def test_several_at_once_fill_it_once(host):
    runs = [host.popen("run", "--rm", "-v", "v:/big", "content", "sh", "-c", "ls /big | wc -l") for _ in range(6)]
    assert [r.communicate(timeout=60)[0].strip() for r in runs] == ["300"] * 6
    assert names(host) == ["v"] and len(os.listdir(volume(host, "v"))) == 300


def test_a_link_in_the_image_leads_where_it_leads_in_the_container(host):
    sh(host, "true", "-v", "v:/link", image="content")
    assert (volume(host, "v") / "sub/deep").exists()


def test_no_link_leads_the_copy_out_of_the_image(host):
    """/away is ../../../etc: of the image, of which this is all that there is."""
    sh(host, "true", "-v", "v:/away", image="content")
    assert sorted(os.listdir(volume(host, "v"))) == ["group", "passwd"]
    assert "web:x:1000" in (volume(host, "v") / "passwd").read_text()


def test_what_is_no_folder_in_the_image_gives_nothing(host):
    sh(host, "true", "-v", "v:/nothing/here", image="content")
    assert os.listdir(volume(host, "v")) == [] and volume(host, "v").stat().st_uid == 0
    for path in ("/file", "/loop"):
        r = sh(host, "true", "-v", f"w:{path}", image="content", code=None)
        assert os.listdir(volume(host, "w")) == [], r.stderr


# ---- what a kill, a full disk and a removal in the middle leave ------------------------------------------
FETCH = BUILD / "src/fetch/zlayer-fetch"
COMMITTING = "mkdirat,flock,syncfs,fsync,renameat2,fchown,fchmod,unlinkat"


def order(host, volume_name, path="/data"):
    layers = [str(l["number"]) for l in host.json("image", "inspect", "content")["layers"]]
    return json.dumps({"layers": layers, "fills": [{"from": path, "volume": volume_name}]})


def fill(host, text, *before):
    return subprocess.run([*before, FETCH, "fill", "--root", host.root], input=text, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, env=host.env, timeout=60)


def tree(top):
    """Everything about a tree that a copy keeps."""
    def one(path):
        st = os.lstat(path)
        return (os.path.relpath(path, top), st.st_mode, st.st_uid, st.st_gid, st.st_nlink,
                path.read_bytes() if stat.S_ISREG(st.st_mode) else b"")
    return sorted([one(top), *map(one, top.rglob("*"))])


def killed_at_each(call, host, text, whole):
    """How many calls of this name there are: at each the keeper is killed, and the next one goes on."""
    v, n = volume(host, "v"), 0
    while True:
        v.mkdir()
        r = fill(host, text, "strace", "-o", "/dev/null", "-e", f"inject={call}:signal=KILL:when={n + 1}")
        full = (host.root / "volumes/.full-v").exists()
        assert full or tree(v)[1:] in ([], whole[1:]), f"{call} {n + 1}: half a copy, and nobody knows"
        killed = r.returncode != 0
        assert not killed or fill(host, text).returncode == 0
        assert tree(v) == whole, f"{call} {n + 1}"
        shutil.rmtree(v)
        if not killed:
            return n
        n += 1


def test_a_killed_copy_is_none_or_whole(host):
    """The keeper is killed at every system call of its steps, one after the other."""
    host.zlayer("volume", "create", "whole")
    assert fill(host, order(host, "whole")).returncode == 0
    calls = {call: killed_at_each(call, host, order(host, "v"), tree(volume(host, "whole")))
             for call in ("mkdirat", "flock", "clone", "syncfs", "fsync", "renameat2", "fchown", "fchmod", "unlinkat")}
    # one rename commits, one more moves each of the five entries; owner and mode are set on what is copied and on the volume
    assert calls["renameat2"] == 6 and calls["fchown"] == calls["fchmod"] == 2 and min(calls.values()) >= 1, calls
    host.zlayer("daemon", "stop")
    host.zlayer("ps")
    assert names(host) == ["whole"]


def take_unlocked(host, trash):
    """As the agent does with what a dead helper left; how many there were."""
    found = 0
    for path in (host.root / "volumes").glob(".new-*"):
        with contextlib.suppress(FileNotFoundError, BlockingIOError), contextlib.ExitStack() as on_end:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            on_end.callback(os.close, fd)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.rename(trash / path.name)
            found += 1
    return found


def test_a_folder_that_is_taken_away_before_it_is_locked_is_made_anew(host):
    """The agent may look just between the two; the helper is slow there. One that was faster than we is begun anew."""
    host.zlayer("volume", "create", "whole")
    assert fill(host, order(host, "whole")).returncode == 0
    trash, taken = host.root / "volumes/.trash", []
    while not any(taken):
        shutil.rmtree(volume(host, "v"), ignore_errors=True)
        volume(host, "v").mkdir()
        slow = ("strace", "-o", "/dev/null", "-e", "inject=flock:delay_enter=200000:when=1")
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            run = pool.submit(fill, host, order(host, "v"), *slow)
            until(lambda: taken.append(take_unlocked(host, trash)) or any(taken) or run.done(), "a folder beside the volume",
                  interval=0.001)
            assert run.result().returncode == 0, run.result()
    assert tree(volume(host, "v")) == tree(volume(host, "whole")) and names(host) == ["v", "whole"]
    host.zlayer("volume", "rm", "--force", "v", "whole")


def test_a_killed_half_of_the_copy_is_told_and_leaves_nothing(host):
    """The processes that read and write; whose end is not the keeper's."""
    host.zlayer("volume", "create", "v")
    for n in (1, 3, 9):
        r = fill(host, order(host, "v"), "strace", "-f", "-o", "/dev/null", "-e", f"inject=linkat,mknodat,symlinkat,readlinkat:signal=KILL:when={n}")
        assert r.returncode in (0, 1), r
        assert r.returncode == 0 or "was killed" in r.stdout and os.listdir(volume(host, "v")) == []
        assert names(host) == ["v"]
        if n == 1:
            assert r.returncode == 1


def filling(host):
    """The keepers that work in the world's store."""
    found = []
    for p in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (p / "cmdline").read_bytes().split(b"\0")
            if line[0].endswith(b"zlayer-fetch") and line[1] == b"fill" and str(host.root).encode() in line:
                found.append(int(p.name))
    return found


@pytest.fixture
def held(host):
    """Starts a container and stops the processes that fill its volume: (the run, their pids, the keeper's first)."""
    stopped = []

    def stop(run, beside):
        found = filling(host) if not beside or any(n.startswith(".new-") for n in names(host)) else []
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                stopped.append(pid)
        return stopped or run.poll() is not None

    def hold(beside=False):
        """beside: not before the copy has begun. One that was faster than we is begun anew."""
        while not stopped:
            run = host.popen("run", "--name", "late", "-v", "v:/many", "content", "true")
            until(lambda: stop(run, beside), "who fills the volume", interval=0.001)
            if not stopped:
                host.zlayer("container", "rm", "-f", "late")
                host.zlayer("volume", "rm", "-f", "v")
        return run, sorted(stopped, key=lambda pid: parent(pid) in stopped)
    yield host, hold
    for pid in stopped:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    until(lambda: not filling(host), "the end of who fills")


def test_an_agent_that_is_killed_while_a_volume_is_filled_leaves_nothing(held):
    host, hold = held
    run, stopped = hold()
    kill(host.agent_pid())
    run.communicate(timeout=60)
    host.zlayer("ps")
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)
    until(lambda: not filling(host), "the end of who fills")
    host.zlayer("container", "rm", "-f", "late")
    assert host.leftovers() == []
    host.zlayer("daemon", "stop")
    host.zlayer("ps")
    assert len(os.listdir(volume(host, "v"))) in (0, MANY) and names(host) == ["v"]
    assert sh(host, "ls /many | wc -l", "-v", "v:/many", image="content").stdout == f"{MANY}\n"


def test_a_keeper_that_is_killed_fails_the_container_and_leaves_nothing_beside_the_volumes(held):
    """While the agent lives: nobody waits for its next start."""
    host, hold = held
    run, stopped = hold(beside=True)
    kill(stopped[0])
    for pid in stopped[1:]:  # stopped before it has asked to end with the keeper, it looks now
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    assert run.wait(60) == 125 and "ended without a word" in run.stderr.read()
    until(lambda: names(host) == ["v"], "nothing beside the volume")
    host.zlayer("container", "rm", "-f", "late", code=None)


def test_a_container_can_be_removed_while_its_volume_is_filled(held):
    host, hold = held
    run, stopped = hold()
    assert "container late" in host.zlayer("volume", "rm", "--force", "v", code=1).stderr
    host.zlayer("container", "rm", "-f", "late")
    assert run.wait(60) == 125
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)
    until(lambda: not filling(host), "the end of who fills")
    until(lambda: names(host) == ["v"], "nothing beside the volume")
    assert sh(host, "ls /many | wc -l", "-v", "v:/many", image="content").stdout == f"{MANY}\n"


def test_a_full_disk_is_told_and_leaves_an_empty_volume(host):
    small = host.root / "volumes"
    host.zlayer("daemon", "stop")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", small], check=True)
    try:
        r = sh(host, "true", "-v", "v:/heavy", image="content", code=125)
        assert "No space left on device" in r.stderr and "'v'" in r.stderr and "/heavy" in r.stderr
        assert names(host) == ["v"] and os.listdir(volume(host, "v")) == []
        assert host.containers() == [] and "ok\n" == sh(host, "echo ok", "-v", "v:/data").stdout
        host.zlayer("daemon", "stop")
    finally:
        subprocess.run(["umount", small], check=True)
    (host.root / "volumes.meta/v.json").unlink()  # the volume went with the mount


# ---- the command line -------------------------------------------------------------------------------------
def deployed(host, body):
    return host.zlayer("deploy", host.spec("version: v1\ndeployment: shop\nservices:\n" + body))


def test_volumes_are_made_listed_and_removed(host):
    assert host.zlayer("volume", "create", "-l", "team=shop", "db", "other").stdout == "db\nother\n"
    assert "already" in host.zlayer("volume", "create", "db", code=1).stderr
    assert "E-STORAGE-NAME" in host.zlayer("volume", "create", "No", code=1).stderr
    sh(host, "dd if=/dev/zero of=/d/f bs=1k count=64", "-v", "db:/d")
    listed = {v["name"]: v for v in host.json("volume", "ls")}
    assert list(listed) == ["db", "other"] and listed["db"]["labels"] == {"team": "shop"}
    assert listed["db"]["path"] == str(volume(host, "db")) and not listed["db"]["empty"] and listed["other"]["empty"]
    assert 64 << 10 <= listed["db"]["bytes"] < 128 << 10 and listed["db"]["used_by"] == []
    assert json.loads(host.zlayer("volume", "inspect", "db").stdout) == listed["db"]
    assert [line.split()[:2] for line in host.zlayer("volume", "ls").stdout.splitlines()[1:]] == \
        [["db", str(volume(host, "db"))], ["other", str(volume(host, "other"))]]
    assert host.zlayer("completion", "words", "volume").stdout.split() == ["db", "other"]
    assert "not empty: --force" in host.zlayer("volume", "rm", "db", code=1).stderr
    assert host.zlayer("volume", "rm", "-f", "db", "other").stdout == "db\nother\n"
    assert "there is no volume 'db'" in host.zlayer("volume", "rm", "db", code=1).stderr
    assert "there is no volume 'db'" in host.zlayer("volume", "inspect", "db", code=1).stderr
    assert names(host) == [] and os.listdir(host.root / "volumes.meta") == []
    until(lambda: os.listdir(host.root / "volumes/.trash") == [], "the trash is empty")


def test_a_removal_that_was_killed_brings_nothing_into_a_new_volume(host):
    """What a copy had still to move may outlive its volume: the next one of that name is another one."""
    host.zlayer("volume", "ls")
    for name in "db", "web":
        (host.root / f"volumes/.full-{name}").mkdir()
        (host.root / f"volumes/.full-{name}/old").write_text("old")
    host.zlayer("volume", "create", "db")
    assert sh(host, "ls -A /d", "-v", "db:/d").stdout == ""
    assert sh(host, "ls -A /d", "-v", "web:/d").stdout == ""
    assert names(host) == ["db", "web"]


def test_one_in_use_stays_whatever_is_said_and_whoever_was_killed(host):
    """By what exists, not by what somebody remembers: also an empty one, also after the agent was killed."""
    host.zlayer("run", "-d", "--name", "one", "-v", "db:/d:ro", "busybox", "true")
    until(lambda: host.json("container", "inspect", "one")["state"] == "exited", "its end")
    for _ in range(2):
        r = host.zlayer("volume", "rm", "--force", "db", code=1)
        assert "'db' is in use: container one" in r.stderr
        assert host.json("volume", "inspect", "db")["used_by"][0]["container"] == "one"
        assert host.json("volume", "prune", "--force")["volumes"] == []
        kill(host.agent_pid())
    host.zlayer("container", "rm", "one")
    host.zlayer("volume", "rm", "db")


def test_a_deployed_service_uses_its_volumes_when_it_does_not_run(host):
    deployed(host, """  backup:
    rtype: job
    image: {name: busybox, pull_policy: never}
    command: {args: [sh, -c, 'echo more >>/d/f']}
    storage: [{type: named, name: db, target: /d}]
""")
    host.zlayer("volume", "create", "db", "spare")
    host.zlayer("job", "run", "backup", "--wait")
    assert "service shop/backup" in host.zlayer("volume", "rm", "-f", "db", code=1).stderr
    assert {"deployment": "shop", "service": "backup"} in host.json("volume", "inspect", "db")["used_by"]
    answer = host.json("volume", "prune", "--plan")
    assert answer["plan"] and answer["volumes"] == ["spare"] and [k["name"] for k in answer["kept"]] == ["db"]
    assert host.zlayer("volume", "prune").stdout.splitlines()[0] == "removed spare"
    host.zlayer("down", "shop")
    assert (volume(host, "db") / "f").read_text() == "more\n"
    assert "kept db: it is not empty" in host.zlayer("volume", "prune").stdout
    assert host.json("volume", "prune", "--force")["volumes"] == ["db"]
    assert names(host) == []


def test_what_is_torn_or_not_ours_is_no_reason_to_say_nothing(host):
    host.zlayer("volume", "create", "db")
    (host.root / "volumes.meta/db.json").write_text('{"version": 1, "na')
    (host.root / "volumes/db2").mkdir()
    (host.root / "volumes/Not_ours").mkdir()
    assert [(v["name"], v["labels"]) for v in host.json("volume", "ls")] == [("db", {}), ("db2", {})]
    host.zlayer("volume", "rm", "db", "db2")
    (host.root / "volumes/Not_ours").rmdir()
