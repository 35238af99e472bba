"""kill -9 of zlayer-fetch and of the agent at random points of imports, removals and prunes: what is in the
store afterwards is whole, and the next command goes on."""
import contextlib
import os
import pathlib
import random
import signal
import subprocess
import tarfile
import time

import pytest

import world as w

SEED = int(os.environ.get("ZLAYER_TEST_SEED", time.time_ns() % 10**6))
ROUNDS = int(os.environ.get("ZLAYER_TEST_ROUNDS", 12))


def layout(folder, name, layers):
    """An OCI layout of some layers with a few hundred files each."""
    at = folder / name
    def sh(*args):
        subprocess.run([str(a) for a in args], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    sh("umoci", "init", "--layout", at)
    sh("umoci", "new", "--image", f"{at}:t")
    for i in range(layers):
        tar = folder / f"{name}-{i}.tar"
        with tarfile.open(tar, "w") as t:
            for n in range(300):
                info = tarfile.TarInfo(f"l{i}/d{n % 7}/f{n}")
                info.size = 2000
                t.addfile(info, open("/dev/urandom", "rb"))
        sh("umoci", "raw", "add-layer", "--image", f"{at}:t", tar)
    return at


def fetchers(world):
    """Processes of zlayer-fetch that work in the world's store."""
    for p in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (p / "cmdline").read_bytes().split(b"\0")
            if line[0].endswith(b"zlayer-fetch") and str(world.root).encode() in line:
                yield int(p.name)


def kill(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def images(world):
    return [layout(world.folder, f"image{i}", 3) for i in range(2)]


def test_the_store_is_whole_whatever_is_killed(world, images):
    rng = random.Random(SEED)
    print(f"seed {SEED}")
    world.zlayer("import", f"oci:{images[0]}:t", "-t", "kept")
    kept = world.json("image", "inspect", "kept")["digest"]
    start = time.monotonic()
    world.zlayer("import", f"oci:{images[1]}:t", "-t", "probe")
    takes = time.monotonic() - start
    for i in range(ROUNDS):
        verb, args = rng.choice([("import", ["import", f"oci:{images[1]}:t", "-t", f"other{i % 3}"]),
                                 ("import", ["import", f"oci:{images[1]}:t", "-t", "probe"]),
                                 ("rm", ["image", "rm", "probe"]), ("prune", ["image", "prune", "--all"])])
        if verb == "import":
            world.zlayer("image", "rm", "probe", code=None)
            world.zlayer("image", "prune", "--all", code=None)
            world.zlayer("import", f"oci:{images[0]}:t", "-t", "kept")
        target = rng.choice(["fetch", "agent", "both"])
        agent = world.agent_pid()
        p = world.popen(*args)
        time.sleep(rng.uniform(0, takes * 1.2))  # a random point is what is asked for
        if target in ("fetch", "both"):
            for pid in list(fetchers(world)):
                kill(pid)
        if target in ("agent", "both"):
            kill(agent)
            w.until(lambda: not w.alive(agent), "the agent is dead")
        p.communicate(timeout=60)
        said = world.zlayer("image", "verify", code=None, timeout=120)
        assert said.returncode == 0, f"seed {SEED}, round {i}: {verb}, {target} killed: {said.stdout}{said.stderr}"
    world.zlayer("import", f"oci:{images[0]}:t", "-t", "kept")
    assert world.json("image", "inspect", "kept")["digest"] == kept
    world.zlayer("import", f"oci:{images[1]}:t", "-t", "probe")
    assert "probe:latest: whole" in world.zlayer("image", "verify", "probe").stdout
    world.zlayer("image", "rm", "probe")
    world.zlayer("image", "prune")
    numbers = {str(l["number"]) for l in world.json("image", "inspect", "kept")["layers"]}
    others = {"of"}
    for name in [i["reference"] for i in world.json("image", "ls")]:
        numbers |= {str(l["number"]) for l in world.json("image", "inspect", name)["layers"]}
    assert {p.name for p in (world.root / "layers").iterdir()} - others == numbers
