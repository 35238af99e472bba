"""The files of a container: copied in and out, compared with the image, exported."""
import io
import json
import os
import pathlib
import signal
import stat
import subprocess
import tarfile

import pytest

from world import kill, parent, until


@pytest.fixture
def host(shared_host):
    yield shared_host
    shared_host.clear()


def run(host, name, *args):
    return host.zlayer("run", "-d", "--name", name, *args).stdout.strip()


def sh(host, name, script, code=0):
    return host.zlayer("exec", name, "--", "sh", "-c", script, code=code).stdout


@pytest.fixture
def box(host):
    run(host, "box", "busybox", "sleep", "1000")
    return host


def tree(folder):
    """path → (kind, mode, content or target) of everything below folder."""
    out = {}
    for p in sorted(folder.rglob("*")):
        st = p.lstat()
        what = os.readlink(p) if p.is_symlink() else p.read_bytes() if p.is_file() else ""
        out[str(p.relative_to(folder))] = (stat.S_IFMT(st.st_mode), stat.S_IMODE(st.st_mode), what)
    return out


def make_tree(folder):
    (folder / "sub/empty").mkdir(parents=True)
    (folder / "sub").chmod(0o710)
    (folder / "f").write_bytes(bytes(range(256)) * 1000)
    (folder / "f").chmod(0o4750)
    (folder / ("n" * 200)).write_text("a long name")
    (folder / "sub/é ü").write_text("not ASCII")
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "sub/dangling").symlink_to("../nowhere")
    os.utime(folder / "f", ns=(0, 1234567890123456789))
    return folder


def test_what_goes_in_comes_out_as_it_was(box, tmp_path):
    here = make_tree(tmp_path / "tree")
    box.zlayer("cp", here, "box:/tmp")
    box.zlayer("cp", "box:/tmp/tree", tmp_path / "back")
    assert tree(tmp_path / "back") == tree(here)
    assert (tmp_path / "back/f").stat().st_mtime_ns == 1234567890123456789
    assert sh(box, "box", "stat -c '%a %u' /tmp/tree/f") == "4750 0\n"


def test_owners_stay_when_that_is_asked_for(box, tmp_path):
    (tmp_path / "f").write_text("x")
    os.chown(tmp_path / "f", 1000, 50)
    box.zlayer("cp", "-a", tmp_path / "f", "box:/tmp/mine")
    assert sh(box, "box", "stat -c '%u %g' /tmp/mine") == "1000 50\n"
    box.zlayer("cp", "-a", "box:/tmp/mine", tmp_path / "back")
    assert ((tmp_path / "back").stat().st_uid, (tmp_path / "back").stat().st_gid) == (1000, 50)
    box.zlayer("cp", tmp_path / "f", "box:/tmp/roots")
    assert sh(box, "box", "stat -c '%u %g' /tmp/roots") == "0 0\n"


def test_names_and_folders_are_chosen_as_by_docker(box, tmp_path):
    (tmp_path / "f").write_text("text")
    (tmp_path / "d").mkdir()
    (tmp_path / "d/x").write_text("x")
    def there(path):
        return sh(box, "box", f"cat {path}")
    box.zlayer("cp", tmp_path / "f", "box:/tmp")
    assert there("/tmp/f") == "text"
    box.zlayer("cp", tmp_path / "f", "box:/tmp/g")
    assert there("/tmp/g") == "text"
    box.zlayer("cp", tmp_path / "d", "box:/tmp/new")
    assert there("/tmp/new/x") == "x"
    box.zlayer("cp", tmp_path / "d", "box:/tmp/new")
    assert there("/tmp/new/d/x") == "x"
    box.zlayer("cp", f"{tmp_path}/d/.", "box:/root")
    assert there("/root/x") == "x"
    assert "does not exist" in box.zlayer("cp", tmp_path / "f", "box:/no/", code=1).stderr
    assert "/no" in box.zlayer("cp", tmp_path / "f", "box:/no/f", code=1).stderr
    assert "is no folder" in box.zlayer("cp", tmp_path / "d", "box:/tmp/f", code=1).stderr
    box.zlayer("cp", "box:/root/.", tmp_path / "out")
    assert (tmp_path / "out/x").read_text() == "x"
    box.zlayer("cp", "box:/tmp/f", tmp_path / "out")
    assert (tmp_path / "out/f").read_text() == "text"
    assert "no '/nothing'" in box.zlayer("cp", "box:/nothing", tmp_path, code=1).stderr
    assert "CONTAINER:PATH" in box.zlayer("cp", tmp_path / "f", tmp_path / "g", code=2).stderr


def test_archives_go_through_pipes(box):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in (("a/b.txt", b"deep"), ("top", b"x" * 3000000)):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o640
            tar.addfile(info, io.BytesIO(content))
    program = [box.popen("version").args[0], "cp"]
    subprocess.run([*program, "-", "box:/tmp"], input=data.getvalue(), env=box.env, check=True, timeout=60)
    assert sh(box, "box", "cat /tmp/a/b.txt; stat -c '%a %s' /tmp/top") == "deep640 3000000\n"
    out = subprocess.run([*program, "box:/tmp/a", "-"], stdout=subprocess.PIPE, env=box.env, check=True, timeout=60).stdout
    with tarfile.open(fileobj=io.BytesIO(out)) as tar:
        assert tar.getnames() == ["a", "a/b.txt"]
        assert tar.extractfile("a/b.txt").read() == b"deep"


def put(host, entries, folder="/tmp"):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for info, content in entries:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    program = [host.popen("version").args[0], "cp", "-", f"box:{folder}"]
    return subprocess.run(program, input=data.getvalue(), env=host.env, capture_output=True, timeout=60)


def entry(name, kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def test_no_archive_leads_out_of_the_container(box, tmp_path):
    canary = tmp_path / "canary"
    canary.write_text("untouched")
    up = "../" * 30
    for entries in (
            [(entry(f"{up}{canary}"), b"evil")],
            [(entry("l", tarfile.SYMTYPE, str(tmp_path)), b""), (entry("l/canary"), b"evil")],
            [(entry("r", tarfile.SYMTYPE, f"{up}{tmp_path}"), b""), (entry("r/canary"), b"evil")],
            [(entry("p", tarfile.SYMTYPE, "/proc/1/root"), b""), (entry(f"p/{canary}"), b"evil")],
            [(entry("h", tarfile.LNKTYPE, f"{up}{canary}"), b""), (entry("h"), b"evil")]):
        put(box, entries)
    assert canary.read_text() == "untouched"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["canary"]


def test_a_folder_that_became_a_link_gives_its_mode_to_nobody(box):
    """Modes of folders are set last; by then the archive itself may have put a link there."""
    sh(box, "box", "mkdir -m 755 /tmp/kept")
    folder = entry("way", tarfile.DIRTYPE)
    folder.mode = 0o700
    assert put(box, [(folder, b""), (entry("way", tarfile.SYMTYPE, "/tmp/kept"), b"")]).returncode == 0
    assert sh(box, "box", "stat -c %a /tmp/kept; readlink /tmp/way") == "755\n/tmp/kept\n"


def test_a_hard_link_of_an_archive_is_to_a_file_of_the_container(host, tmp_path):
    """Also in a volume, where the file outside lies on the same file system."""
    (tmp_path / "data").mkdir()
    canary = tmp_path / "canary"
    canary.write_text("the host's")
    run(host, "box", "-v", f"{tmp_path}/data:/data", "busybox", "sleep", "1000")
    up = "../" * 30
    for target in (str(canary), f"{up}{canary}", "../canary", "way/canary", f"/proc/1/root{canary}"):
        for folder in ("/data", "/tmp"):
            put(host, [(entry("way", tarfile.SYMTYPE, str(tmp_path)), b""), (entry("hard", tarfile.LNKTYPE, target), b"")], folder)
            assert sh(host, "box", f"cat {folder}/hard 2>/dev/null || echo none") == "none\n", (target, folder)
    assert canary.stat().st_nlink == 1
    put(host, [(entry("a"), b"inside"), (entry("b", tarfile.LNKTYPE, "a"), b"")], "/data")
    assert os.path.samefile(tmp_path / "data/a", tmp_path / "data/b") and (tmp_path / "data/b").read_bytes() == b"inside"


def test_many_files_with_two_names_are_one_each(host, tmp_path):
    run(host, "box", "busybox", "sh", "-c", "mkdir /m && cd /m && for i in $(seq 700); do echo $i > a$i; ln a$i b$i; done")
    host.zlayer("wait", "box")
    host.zlayer("cp", "box:/m", tmp_path / "m")
    for i in range(1, 701):
        a, b = tmp_path / f"m/a{i}", tmp_path / f"m/b{i}"
        assert a.read_text() == f"{i}\n" and os.path.samefile(a, b)


def test_files_with_two_names_are_one_in_the_container_too(box, tmp_path):
    """By their own names, and below another one."""
    (tmp_path / "two/deep").mkdir(parents=True)
    (tmp_path / "two/a").write_text("text")
    os.link(tmp_path / "two/a", tmp_path / "two/deep/b")
    box.zlayer("cp", tmp_path / "two", "box:/tmp")
    box.zlayer("cp", tmp_path / "two", "box:/tmp/other")
    for name in ("two", "other"):
        assert sh(box, "box", f"test /tmp/{name}/a -ef /tmp/{name}/deep/b && stat -c %h /tmp/{name}/a && cat /tmp/{name}/deep/b") == "2\ntext"
    box.zlayer("cp", "box:/tmp/two", tmp_path / "back")
    assert os.path.samefile(tmp_path / "back/a", tmp_path / "back/deep/b")


def test_links_of_a_container_are_resolved_inside_it(box, tmp_path):
    (tmp_path / "passwd").write_text("the host's")
    sh(box, "box", f"mkdir -p {tmp_path}; echo inside > {tmp_path}/passwd; ln -s {tmp_path} /way; ln -s /proc/1/root/etc /magic")
    box.zlayer("cp", "box:/way/passwd", tmp_path / "got")
    assert (tmp_path / "got").read_text() == "inside\n"
    assert box.zlayer("cp", "box:/magic/hostname", tmp_path / "no", code=1).stderr
    (tmp_path / "new").write_text("new")
    box.zlayer("cp", tmp_path / "new", "box:/way/")
    assert sh(box, "box", f"cat {tmp_path}/new") == "new"
    assert not (tmp_path / "way").exists()


def test_a_link_swapped_in_meanwhile_leads_nowhere_else(box, tmp_path):
    """A container swaps a folder for a link to / all the time, while files are copied into it and out of it."""
    (tmp_path / "canary-file").write_text("from here")
    sh(box, "box", "mkdir /d /real")
    swap = box.popen("exec", "box", "--", "sh", "-c", "while :; do rm -rf /d; mkdir /d; rm -rf /d; ln -s / /d; done")
    for _ in range(15):
        box.zlayer("cp", tmp_path / "canary-file", "box:/d/", code=None)
        box.zlayer("cp", "box:/d/etc", tmp_path / "out", code=None)
    swap.kill()
    assert not pathlib.Path("/canary-file").exists()
    for p in (tmp_path / "out").rglob("passwd"):
        assert "web:x:1000" in p.read_text(), "the container's, not the host's"


def test_volumes_and_tmpfs_are_seen(host, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/v").write_text("volume")
    run(host, "vol", "-v", f"{tmp_path}/data:/data", "--tmpfs", "/mem", "busybox", "sleep", "1000")
    sh(host, "vol", "echo tmpfs > /mem/m")
    host.zlayer("cp", "vol:/data/v", tmp_path / "v")
    host.zlayer("cp", "vol:/mem/m", tmp_path / "m")
    assert (tmp_path / "v").read_text() == "volume" and (tmp_path / "m").read_text() == "tmpfs\n"


def test_a_container_that_has_ended_keeps_its_files(host, tmp_path):
    run(host, "done", "busybox", "sh", "-c", "echo result > /result")
    host.zlayer("wait", "done")
    host.zlayer("cp", "done:/result", tmp_path / "r")
    assert (tmp_path / "r").read_text() == "result\n"
    (tmp_path / "in").write_text("in")
    host.zlayer("cp", tmp_path / "in", "done:/tmp")
    host.zlayer("cp", "done:/tmp/in", tmp_path / "again")
    assert (tmp_path / "again").read_text() == "in"
    assert "A /result" in host.zlayer("diff", "done").stdout.splitlines()


def test_diff_tells_added_changed_and_deleted(box):
    assert box.zlayer("diff", "box").stdout == "", "nothing is changed by running"
    sh(box, "box", "echo x > /etc/new; echo y >> /etc/passwd; rm /etc/group; mkdir /srv; touch /srv/f; rm -r /root; mkdir /root")
    lines = box.zlayer("diff", "box").stdout.splitlines()
    assert sorted(lines) == sorted(["C /etc", "A /etc/new", "C /etc/passwd", "D /etc/group", "A /srv", "A /srv/f", "C /root"])
    assert lines.index("C /etc") < lines.index("A /etc/new")
    kinds = {c["path"]: c["kind"] for c in map(json.loads, box.zlayer("diff", "box", "--format", "json").stdout.splitlines())}
    assert (kinds["/etc/passwd"], kinds["/srv"], kinds["/etc/group"]) == (0, 1, 2)


def test_an_export_becomes_an_image_again(host, tmp_path):
    (tmp_path / "v").mkdir()
    (tmp_path / "v/secret").write_text("of a volume")
    run(host, "src", "-v", f"{tmp_path}/v:/vol", "busybox", "sleep", "1000")
    sh(host, "src", "echo made > /made; ln /made /twice; rm /etc/group")
    host.zlayer("export", "-o", tmp_path / "e.tar", "src")
    with tarfile.open(tmp_path / "e.tar") as tar:
        names = {n.removeprefix("./") for n in tar.getnames()}
    assert {"made", "bin/busybox", "vol", "proc"} <= names
    assert not names & {"vol/secret", "etc/group", "proc/1"}
    host.zlayer("import", tmp_path / "e.tar", "-t", "exported")
    assert host.zlayer("run", "--rm", "exported", "cat", "/twice").stdout == "made\n"


def test_what_runs_under_a_monitor_that_does_not_answer_is_not_mounted_again(box):
    monitor = parent(box.the("box")["pid"])
    os.kill(monitor, signal.SIGSTOP)
    try:
        kill(box.agent_pid())
        refused = box.zlayer("cp", "box:/etc/passwd", "-", code=1).stderr
        assert "its monitor does not answer now" in refused, refused
    finally:
        os.kill(monitor, signal.SIGCONT)
    until(lambda: box.zlayer("cp", "box:/etc/passwd", "-", code=None).returncode == 0, "the monitor is heard again")


def test_pipes_and_devices_are_not_opened(box, tmp_path):
    sh(box, "box", "mkdir /odd; mkfifo /odd/p 2>/dev/null || mknod /odd/p p; echo z > /odd/z")
    box.zlayer("cp", "box:/odd", tmp_path / "odd")
    assert stat.S_ISFIFO((tmp_path / "odd/p").stat().st_mode) and (tmp_path / "odd/z").read_text() == "z\n"
