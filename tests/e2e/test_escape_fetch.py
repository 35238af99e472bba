"""Layers and registries that take zlayer-fetch over: what can they do then?

tests/weak/attack_fetch.c is linked into zlayer-fetch in place of decompressing, or of asking for a manifest, and tries
what an attacker would. In the program as it is shipped nothing of it succeeds; without one of the defences, what that
one defends against does.
"""
import contextlib
import ctypes
import fcntl
import io
import json
import mmap
import os
import secrets
import socket
import subprocess
import tarfile

import pytest

from escapes import SHIPPED
from registry import Image, Registry, tar_of

SECRET = "correct-horse-battery-staple-9417"
IMAGE = Image([tar_of({"file": b"x"})])

# without this defence: what who unpacks achieves, what who talks achieves; at least
WEAK = {
    "VIEW": ({"file", "state", "devices"}, {"file", "state"}),
    "CALLS": ({"network", "processes", "datagrams", "typing"},
              {"processes", "local sockets", "dirty sockets", "shared memory", "typing"}),
    "RIGHTS": ({"rights"}, set()),
    "LATE": ({"memory", "environment"}, {"environment"}),
    "STDIO": ({"descriptors"}, {"forgery"}),
    "STORE": (set(), {"store"}),
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


@contextlib.contextmanager
def abstract_socket():
    """Where somebody takes datagrams, in no file system: its name."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind("\0zlayer-test-" + secrets.token_hex(8))
        yield s.getsockname()[1:].decode()


@contextlib.contextmanager
def shared_memory():
    """Memory that whoever knows its key may share: its key."""
    libc, key = ctypes.CDLL(None, use_errno=True), secrets.randbits(30) + 1
    part = libc.shmget(key, mmap.PAGESIZE, 0o1000 | 0o2000 | 0o600)  # IPC_CREAT, IPC_EXCL
    assert part >= 0, os.strerror(ctypes.get_errno())
    try:
        yield key
    finally:
        libc.shmctl(part, 0, None)  # IPC_RMID


def landlock_abi():
    return ctypes.CDLL(None).syscall(444, None, 0, 1)  # landlock_create_ruleset, LANDLOCK_CREATE_RULESET_VERSION


def root_of_its_own(folder):
    """As a container's root: no ".." leads out of it."""
    fd = ctypes.CDLL(None).syscall(428, -100, os.fsencode(folder), 1 | os.O_CLOEXEC)  # open_tree, AT_FDCWD, OPEN_TREE_CLONE
    assert fd >= 0
    return fd


def attack_by_archive(program, folder):
    """What a copy into a container by this program, taken over, achieves: of the kernel's settings, among others."""
    (folder / "inside").mkdir()
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(folder / "socket"))
        listener.listen()
        root = root_of_its_own(folder / "inside")
        given = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100) for fd in (listener.fileno(), root)]
        for fd in (root, *given):
            stack.callback(os.close, fd)
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        env = dict(os.environ, ZL_ATTACK_FILE="/proc/sys/kernel/core_pattern", ZL_ATTACK_PORT=str(tcp.getsockname()[1]),
                   ZL_ATTACK_WHO="copier", ZL_ATTACK_PID=str(os.getpid()), ZL_ATTACK_ABSTRACT=stack.enter_context(abstract_socket()),
                   ZL_ATTACK_SHARED=str(stack.enter_context(shared_memory())))
        p = subprocess.Popen([program, "archive", "put", "--root", folder, "--id", "x", "--path", "/"], env=env,
                             pass_fds=(3, 4), preexec_fn=lambda: [os.dup2(fd, n) for fd, n in zip(given, (3, 4))])
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(folder / "socket"))
            client.shutdown(socket.SHUT_WR)
            told = client.makefile("rb").read()
        p.wait(60)
    return escapes(told.decode(errors="replace"))


def store_of(root):
    return sorted(str(p.relative_to(root)) for part in ("images", "layers") for p in (root / part).rglob("planted*"))


def attack(program, registry, folder, who):
    """What a pull by this program achieves whose process WHO was taken over."""
    name = registry.put("attack/image:1", IMAGE)
    root, host_file = folder / "state", folder / "host-file"
    root.mkdir()
    (root / "state.db").write_text("rows")
    host_file.write_text("the host's")
    order = {"registries": [{"host": registry.host, "insecure": True}], "login": {"username": "u", "password": SECRET}}
    with socket.create_server(("127.0.0.1", 0)) as listener, abstract_socket() as name_of, shared_memory() as key:
        env = dict(os.environ, ZL_ATTACK_FILE=str(host_file), ZL_ATTACK_STATE=str(root / "state.db"), ZL_ATTACK_STORE=str(root),
                   ZL_ATTACK_PORT=str(listener.getsockname()[1]), ZL_ATTACK_PID=str(os.getpid()), ZL_ATTACK_SECRET=SECRET[::-1],
                   ZL_ATTACK_ABSTRACT=name_of, ZL_ATTACK_SHARED=str(key), ZL_ATTACK_WHO=who,
                   ZLAYER_REGISTRY_USERNAME="u", ZLAYER_REGISTRY_PASSWORD=SECRET)
        with open(folder / "order", "w+") as stdin:
            json.dump(order, stdin)
            stdin.seek(0)
            r = subprocess.run([program, "pull", "--root", root, "--reference", name], stdin=stdin, env=env, cwd=root,
                               text=True, capture_output=True, timeout=60)
    told = escapes(next(line for line in r.stdout.splitlines() if '"status":"error"' in line))
    assert (store_of(root) != []) == ("store" in told), "the store does not look as the attacker says"
    assert ("forged" in r.stdout) == ("forgery" in told)
    return told


@pytest.mark.parametrize("who", ["hand", "talker", "document"])
def test_who_is_taken_over_as_shipped_gets_nowhere(registry, tmp_path, who):
    assert attack(SHIPPED / "tests/weak/attacked-fetch", registry, tmp_path, who) == set()


def test_without_landlock_what_the_talker_sees_is_wall_enough(registry, tmp_path):
    assert attack(SHIPPED / "tests/weak/zlayer-fetch-LANDLOCK", registry, tmp_path, "talker") == set()


# what Landlock alone holds back can be seen only where the kernel has it; without it the view of the disk is what holds
@pytest.mark.skipif(landlock_abi() < 1, reason="this kernel has no Landlock")
def test_without_its_view_landlock_keeps_the_talker_from_writing(registry, tmp_path):
    assert "store" not in attack(SHIPPED / "tests/weak/zlayer-fetch-VIEW", registry, tmp_path, "talker")


def test_who_copies_is_taken_over_as_shipped_gets_nowhere(tmp_path):
    assert attack_by_archive(SHIPPED / "tests/weak/attacked-fetch", tmp_path) == set()


def attack_by_source(program, folder):
    """What listing a local archive by this program, taken over, achieves."""
    root, host_file, archive = folder / "state", folder / "host-file", folder / "archive.tar"
    root.mkdir()
    host_file.write_text("the host's")
    archive.write_bytes(tar_of({"index.json": b"{}"}))
    with socket.create_server(("127.0.0.1", 0)) as listener, abstract_socket() as name_of, shared_memory() as key:
        env = dict(os.environ, ZL_ATTACK_WHO="reader", ZL_ATTACK_FILE=str(host_file), ZL_ATTACK_PID=str(os.getpid()),
                   ZL_ATTACK_PORT=str(listener.getsockname()[1]), ZL_ATTACK_ABSTRACT=name_of, ZL_ATTACK_SHARED=str(key))
        r = subprocess.run([program, "load", "--root", root, f"archive:{archive}"], stdin=subprocess.DEVNULL, env=env, cwd=root,
                           text=True, capture_output=True, timeout=60)
    return escapes(next(line for line in r.stdout.splitlines() if '"status":"error"' in line))


def test_who_lists_an_archive_is_taken_over_as_shipped_gets_nowhere(tmp_path):
    assert attack_by_source(SHIPPED / "tests/weak/attacked-fetch", tmp_path) == set()


def test_with_all_system_calls_who_lists_an_archive_gets_somewhere(tmp_path):
    least = {"network", "processes", "datagrams", "typing", "source"}
    assert least <= attack_by_source(SHIPPED / "tests/weak/zlayer-fetch-CALLS", tmp_path)


def test_with_all_system_calls_who_reads_a_document_gets_somewhere(registry, tmp_path):
    least = {"network", "processes", "datagrams", "typing"}
    assert least <= attack(SHIPPED / "tests/weak/zlayer-fetch-CALLS", registry, tmp_path, "document")


@pytest.mark.parametrize("weakness, least", [
    ("VIEW", {"file"}), ("CALLS", {"network", "processes", "signals", "datagrams", "shared memory", "typing"})])
def test_without_one_defence_who_copies_gets_somewhere(tmp_path, weakness, least):
    assert least <= attack_by_archive(SHIPPED / f"tests/weak/zlayer-fetch-{weakness}", tmp_path)


def links_out(outside):
    """A layer with a hard link to a file outside, through a link that leads there."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, kind, to in (("way", tarfile.SYMTYPE, str(outside)), ("hard", tarfile.LNKTYPE, "way/sub/canary")):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, to
            tar.addfile(info)
    return out.getvalue()


@pytest.mark.parametrize("program, out", [("src/fetch/zlayer-fetch", False), ("tests/weak/zlayer-fetch-LINKS", True)], ids=["shipped", "LINKS"])
def test_a_hard_link_of_a_layer_does_not_lead_out_of_it(registry, tmp_path, program, out):
    """Else a container could write the file outside, whose second name it has."""
    outside, root = tmp_path / "outside", tmp_path / "state"
    (outside / "sub").mkdir(parents=True)
    root.mkdir()
    canary = outside / "sub/canary"
    canary.write_text("the host's")
    name = registry.put(f"links/image:{int(out)}", Image([links_out(outside)]))
    order = json.dumps({"registries": [{"host": registry.host, "insecure": True}]})
    r = subprocess.run([SHIPPED / program, "pull", "--root", root, "--reference", name], input=order, cwd=tmp_path, text=True,
                       capture_output=True, timeout=60)
    assert (canary.stat().st_nlink > 1) == out, r.stdout + r.stderr
    assert (r.returncode == 0) == out, r.stdout + r.stderr


@pytest.mark.parametrize("who, weakness", [(who, w) for w in WEAK for who, least in zip(("hand", "talker"), WEAK[w]) if least])
def test_without_one_defence_what_it_defends_against_succeeds(registry, tmp_path, who, weakness):
    least = WEAK[weakness][who == "talker"]
    assert least <= attack(SHIPPED / f"tests/weak/zlayer-fetch-{weakness}", registry, tmp_path, who), "the attack proves nothing"
