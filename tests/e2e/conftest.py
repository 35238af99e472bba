import itertools
import os
import shutil
import signal
import subprocess
import tempfile

import pytest

import escapes
import world as w
from faults import Faults, in_a_folder
from ocibundle import Oci, unpack

numbers = itertools.count(1)

# Who is begun in the background of a script is told to ignore it, and so would be all who are begun from here.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Seconds that the longest files take, roughly (pytest --durations=0): they begin first, so that at the end no
# worker waits long for another (pytest -n N --dist loadfile hands out files in the order of their tests).
LONG = {"test_faults": 250, "test_faults_kills": 230, "test_unpack": 215, "test_deploy": 160, "test_equal": 150,
        "test_push_faults": 105, "test_pull_faults": 95, "test_wasm": 77, "test_pin": 77, "test_signatures": 70, "test_oci": 60,
        "test_control": 52, "test_store_kills": 51, "test_run": 50, "test_escape_runtime": 50, "test_pull": 48,
        "test_pull_auth": 46, "test_volumes": 42, "test_engines": 38, "test_escape_rootfs": 37, "test_oci_rootless": 37,
        "test_disk_full": 33, "test_oci_upgrade": 32, "test_oci_process": 31, "test_bundle": 30, "test_oci_criu": 29,
        "test_wasm_confined": 25}


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: -LONG.get(item.path.stem, 0))


@pytest.fixture(scope="session")
def busybox_tar(tmp_path_factory):
    return w.make_rootfs_tar(tmp_path_factory.mktemp("image") / "busybox.tar")


def make_world():
    """A world without an agent yet; at the end nothing of it may be left, and no sanitizer report."""
    if os.geteuid() != 0:
        pytest.fail("the end-to-end tests make containers: run them as root")
    folder = tempfile.mkdtemp(prefix="zlayer-e2e.")
    it = w.World(folder, next(numbers))
    try:
        yield it
    finally:
        it.close()
        reports, mounts = it.sanitizer_reports(), it.mounts()
        if not mounts:  # never remove through a mount
            shutil.rmtree(folder)
    assert not reports, reports
    assert not mounts, mounts


@pytest.fixture
def world():
    yield from make_world()


@pytest.fixture
def host(world, busybox_tar):
    """A world with a running agent that has the busybox image."""
    world.import_busybox(busybox_tar)
    return world


@pytest.fixture(scope="module")
def shared_host(busybox_tar):
    """The same for all tests of a module, each of which cleans up after itself."""
    it = make_world()
    host = next(it)
    host.import_busybox(busybox_tar)
    yield host
    next(it, None)


# ---- zlayer-oci ---------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def tree(busybox_tar, tmp_path_factory):
    return unpack(busybox_tar, tmp_path_factory.mktemp("tree") / "rootfs")


def with_oci(prefix, make):
    """What make(folder) gives; at the end nothing of it may be left, and no sanitizer report."""
    if os.geteuid() != 0:
        pytest.fail("these tests make containers: run them as root")
    folder = tempfile.mkdtemp(prefix=prefix)
    it = make(folder)
    try:
        yield it
    finally:
        reports, left = it.close(), it.leftovers()
        if not left:
            shutil.rmtree(folder)
    assert not reports, reports
    assert not left, left


@pytest.fixture
def oci(tree):
    yield from with_oci("zlayer-oci.", lambda folder: Oci(folder, tree))


@pytest.fixture
def sleeper(oci):
    """A running container "c" that sleeps."""
    bundle = oci.bundle(oci.config("sleep", 1000))
    oci.run("create", "--bundle", bundle, "--pid-file", oci.folder / "pid", "c")
    oci.run("start", "c")
    return oci


# ---- escapes ------------------------------------------------------------------------------------

@pytest.fixture(scope="session")
def attack(tmp_path_factory):
    """The attacker, static: it runs in images that have nothing."""
    program = tmp_path_factory.mktemp("attack") / "attack"
    subprocess.run(["gcc", "-O1", "-static", "-o", program, escapes.ATTACK], check=True)
    return program


@pytest.fixture
def arena(request, busybox_tar, attack):
    """zlayer-oci, shipped or weakened (escapes.against), and a hostile image."""
    yield from with_oci("zlayer-escape.", lambda folder: escapes.Arena(folder, busybox_tar, attack, request.param))


@pytest.fixture
def faults(busybox_tar):
    with in_a_folder(Faults, busybox_tar) as it:
        yield it
