"""A file system of 200 MB that fills up in the middle of an import or a pull: a clear error, nothing half there, and an
agent and a container that go on."""
import os
import random
import signal
import subprocess
import tarfile

import pytest

import world as w
from conftest import make_world
from registry import Image, Registry, tar_of
from world import until

SIZE_MIB = 200


class SmallDisk:
    """A world whose root folder is a small ext4, mounted in a mount namespace of its own."""

    def __init__(self, world):
        self.world, self.image = world, world.folder / "disk.img"
        with open(self.image, "wb") as f:
            f.truncate(SIZE_MIB << 20)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", self.image], check=True)
        world.root.mkdir()
        self.holder = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c",
             f"mount -o loop {self.image} {world.root} && echo mounted && exec sleep infinity"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert self.holder.stdout.readline() == b"mounted\n"
        world.popen = self.popen

    def inside(self, *args):
        return ["nsenter", f"--mount=/proc/{self.holder.pid}/ns/mnt", *map(str, args)]

    def popen(self, *args, **kw):
        kw = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **kw}
        p = subprocess.Popen(self.inside(w.BUILD / "src/cli/zlayer", *args), env=self.world.env, cwd=self.world.folder, **kw)
        self.world.started.append(p)
        return p

    def sh(self, command):
        return subprocess.run(self.inside("sh", "-c", command), check=True, stdout=subprocess.PIPE, text=True).stdout

    def free(self):
        return int(self.sh(f"stat -f -c '%a * %S' {self.world.root}").replace(" ", "").split("*")[0]) * \
            int(self.sh(f"stat -f -c %S {self.world.root}"))

    def left(self):
        """What lies in the store, apart from what is whole."""
        return self.sh(f"cd {self.world.root} && ls -A layers images/partial && ls images/blobs/sha256 | wc -l").split()

    def close(self):
        self.holder.terminate()
        self.holder.wait(60)


@pytest.fixture
def disk(busybox_tar):
    it = make_world()
    world = next(it)
    small = SmallDisk(world)
    try:
        world.import_busybox(busybox_tar)
        yield small
    finally:
        world.zlayer("daemon", "stop", code=None)
        small.close()
        next(it, None)


def big_tar(path, mib, small_files=0):
    with tarfile.open(path, "w") as tar:
        info = tarfile.TarInfo("big")
        info.size = mib << 20
        with open("/dev/urandom", "rb") as random:
            tar.addfile(info, random)
        for i in range(small_files):
            tar.addfile(tarfile.TarInfo(f"small/{i}"))
    return path


def test_an_import_that_does_not_fit_leaves_nothing_and_harms_nobody(disk):
    world = disk.world
    world.zlayer("run", "-d", "--name", "box", "busybox", "sh", "-c", "i=0; while :; do i=$((i+1)); echo $i > /n; sleep 0.1; done")
    pid, agent = world.containers()[0]["pid"], world.agent_pid()
    before, free = disk.left(), disk.free()
    for kind in (lambda: big_tar(world.folder / "big.tar", 150), lambda: big_tar(world.folder / "big.tar", 1, 300000)):
        r = world.zlayer("import", kind(), "-t", "big", code=1, timeout=120)
        assert "the disk is full" in r.stderr and "No space left on device" in r.stderr, r.stderr
        assert "MiB of partial data were removed" in r.stderr and "zlayer image prune --plan" in r.stderr, r.stderr
        assert disk.left() == before
        assert disk.free() > free - (4 << 20)
        assert world.agent_pid() == agent and w.alive(pid)
    n = int(world.zlayer("exec", "box", "cat", "/n").stdout or 0)
    until(lambda: int(world.zlayer("exec", "box", "cat", "/n").stdout or 0) > n, "the container goes on writing")
    world.zlayer("import", big_tar(world.folder / "fits.tar", 20), "-t", "fits")
    assert "whole" in world.zlayer("image", "verify", "fits").stdout
    world.zlayer("container", "rm", "--force", "box")


def test_the_reserve_is_kept_for_the_agent(disk):
    """Where others filled the disk, the import is refused and the agent still takes orders."""
    world = disk.world
    disk.sh(f"dd if=/dev/zero of={world.root}/others bs=1M count=1000 2>/dev/null || true")
    disk.sh(f"truncate -s -4M {world.root}/others; sync")
    r = world.zlayer("import", big_tar(world.folder / "big.tar", 3), "-t", "big", code=1)
    assert "are kept for the agent" in r.stderr and "the disk is full" in r.stderr, r.stderr
    assert world.zlayer("run", "--rm", "busybox", "echo", "works").stdout == "works\n"


def test_what_is_decided_on_a_full_disk_is_stored(disk):
    """Not one byte is free: `down` is still durable, also for an agent that is killed right after it."""
    world = disk.world
    world.zlayer("deploy", world.spec("version: v1\ndeployment: full\nservices:\n  a:\n    image: {name: busybox}\n"
                                      "    command: {args: [sleep, '1000']}\n    stop_signal: SIGKILL\n"))
    world.up("a", 1)
    for size in ("64k", "4k", "1"):  # to the last block, and what is left in the last one
        # dd ends with an error, since there is no room left: that is what it is for; free() is looked at below
        disk.sh(f"dd if=/dev/zero of={world.root}/others-{size} bs={size} 2>/dev/null || true")
    assert disk.free() == 0
    world.zlayer("down", "full")
    pid = world.agent_pid()
    os.kill(pid, signal.SIGKILL)
    until(lambda: not w.alive(pid), "the agent's end")
    assert world.containers() == []
    disk.sh(f"rm {world.root}/others-*")


def test_a_pull_that_does_not_fit_leaves_nothing_and_harms_nobody(disk, tmp_path):
    """The blob of it alone would fit: what is unpacked fills the disk while the rest is still coming."""
    world = disk.world
    registry = Registry(tmp_path / "registry")
    try:
        noise = random.Random(7)
        big = registry.put("team/big:1", Image([tar_of({"first": noise.randbytes(60 << 20)}),
                                                tar_of({"second": noise.randbytes(80 << 20)})], pack=None))
        fits = registry.put("team/fits:1", Image([tar_of({"fits": noise.randbytes(10 << 20)})]))
        world.zlayer("run", "-d", "--name", "box", "busybox", "sh", "-c",
                     "i=0; while :; do i=$((i+1)); echo $i > /n; sleep 0.1; done")
        pid, agent = world.containers()[0]["pid"], world.agent_pid()
        before, free, images = disk.left(), disk.free(), world.json("image", "ls")
        for _ in range(2):  # also with what the first try may have left
            text = world.zlayer("pull", big, code=1, timeout=120).stderr
            assert "the disk is full" in text and "No space left on device" in text and big in text, text
            assert "MiB of partial data were removed" in text and "zlayer image prune --plan" in text, text
            assert disk.left() == before and world.json("image", "ls") == images
            assert disk.free() > free - (4 << 20)
            assert world.agent_pid() == agent and w.alive(pid)
        n = int(world.zlayer("exec", "box", "cat", "/n").stdout or 0)
        until(lambda: int(world.zlayer("exec", "box", "cat", "/n").stdout or 0) > n, "the container goes on writing")
        world.zlayer("pull", fits)
        assert "whole" in world.zlayer("image", "verify", fits).stdout
        world.zlayer("container", "rm", "--force", "box")
    finally:
        registry.close()
