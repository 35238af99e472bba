"""Volumes: what the image has in them at first, whose they are, how long they live, and what a kill leaves."""
import io
import os
import stat
import tarfile

import pytest

from world import until

SETUID_FILE, LINKED, SPARSE = 0o4750, "linked", 3 << 20


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
            member("link", tarfile.SYMTYPE, linkname="/data"),
            member("away", tarfile.SYMTYPE, linkname="../../../../../../etc"),
            member("loop", tarfile.SYMTYPE, linkname="/loop"),
            member("file", data=b"no folder"))
    return path


@pytest.fixture
def filled(host, content_tar):
    host.zlayer("import", content_tar, "-t", "content")
    return host


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
def test_an_empty_volume_gets_what_the_image_has_there(filled):
    sh(filled, "true", "-v", "v:/data", image="content")
    v = volume(filled, "v")
    st = v.stat()
    assert (st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode)) == (1000, 50, 0o2750)
    assert sorted(os.listdir(v)) == ["fifo", LINKED, "out", "sub", "tool"]
    st = (v / "tool").stat()
    assert (st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode), st.st_nlink, st.st_mtime) == (7, 8, SETUID_FILE, 2, 1_000_000_000)
    assert (v / LINKED).stat().st_ino == st.st_ino
    assert os.getxattr(v / "tool", "user.note") == b"kept"
    assert os.readlink(v / "out") == "/etc/passwd" and stat.S_ISFIFO((v / "fifo").stat().st_mode)
    assert (v / "sub/deep").read_text() == "deep\n" and stat.S_IMODE((v / "sub").stat().st_mode) == 0o700
    assert names(filled) == ["v"]


def test_an_anonymous_volume_gets_it_as_well(filled):
    assert sh(filled, "cat /data/sub/deep; stat -c %u:%g:%a /data; echo more >>/data/sub/deep", "-v", "/data",
              image="content").stdout == "deep\n1000:50:2750\n"
    assert sh(filled, "cat /data/sub/deep", "-v", "/data", image="content").stdout == "deep\n"


def test_a_volume_with_something_in_it_stays_as_it_is(filled):
    sh(filled, "echo mine >/d/f", "-v", "v:/d")
    assert sh(filled, "ls /data", "-v", "v:/data", image="content").stdout == "f\n"
    assert volume(filled, "v").stat().st_uid == 0


def test_a_volume_that_is_empty_and_in_use_is_filled_where_it_is(filled):
    """Who has mounted it sees what comes: it stays the same folder."""
    filled.zlayer("run", "-d", "--name", "one", "-v", "v:/a", "busybox", "sleep", "1000")
    sh(filled, "true", "-v", "v:/data", image="content")
    assert filled.zlayer("exec", "one", "cat", "/a/sub/deep").stdout == "deep\n"
    filled.zlayer("container", "rm", "-f", "one")


def test_several_at_once_fill_it_once(filled):
    runs = [filled.popen("run", "--rm", "-v", "v:/big", "content", "sh", "-c", "ls /big | wc -l") for _ in range(6)]
    assert [r.communicate(timeout=60)[0].strip() for r in runs] == ["300"] * 6
    assert names(filled) == ["v"] and len(os.listdir(volume(filled, "v"))) == 300


def test_a_link_in_the_image_leads_where_it_leads_in_the_container(filled):
    sh(filled, "true", "-v", "v:/link", image="content")
    assert (volume(filled, "v") / "sub/deep").exists()


def test_no_link_leads_the_copy_out_of_the_image(filled):
    """/away is ../../../etc: of the image, of which this is all that there is."""
    sh(filled, "true", "-v", "v:/away", image="content")
    assert sorted(os.listdir(volume(filled, "v"))) == ["group", "passwd"]
    assert "web:x:1000" in (volume(filled, "v") / "passwd").read_text()


def test_what_is_no_folder_in_the_image_gives_nothing(filled):
    sh(filled, "true", "-v", "v:/nothing/here", image="content")
    assert os.listdir(volume(filled, "v")) == [] and volume(filled, "v").stat().st_uid == 0
    for path in ("/file", "/loop"):
        r = sh(filled, "true", "-v", f"w:{path}", image="content", code=None)
        assert os.listdir(volume(filled, "w")) == [], r.stderr
