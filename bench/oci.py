#!/usr/bin/python3
"""`zlayer-oci run` against `crun run` and `runc run`: create, start, wait, delete of one bundle.

Two bundles, of a busybox root file system made here whose command is /bin/true: with the config.json that
dockerd writes (its default seccomp profile, limits of memory, processes and processor), and with that of
`runc spec`; bench/data/make tells how those came about. All of it runs in a mount namespace without the v2
hierarchy, because crun 1.8 refuses hybrid cgroups (as tests/tools/peer-crun does it); crun itself is
timed, not a wrapper.
"""
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

from measure import figures, interleaved

DATA = pathlib.Path(__file__).resolve().parent / "data"
UNIFIED = "/sys/fs/cgroup/unified"
CGROUP = "/zlayer-bench"
# how many times as long the others may take at least: of the medians
CONFIGS = {"dockerd": {"crun": 5.0, "runc": 9.0}, "spec": {"crun": 2.5, "runc": 7.0}}


def config(name="dockerd"):
    it = json.loads((DATA / f"{name}.json").read_text())
    it["process"].update({"args": ["/bin/true"], "terminal": False})
    return it


def make_rootfs(where):
    (where / "bin").mkdir(parents=True)
    for d in "dev etc proc sys tmp".split():
        (where / d).mkdir()
    shutil.copy("/bin/busybox", where / "bin/busybox")
    (where / "bin/true").symlink_to("busybox")


def make_bundle(where):
    """dockerd's, with a root file system of its own."""
    make_rootfs(where / "rootfs")
    it = config()
    del it["linux"]["cgroupsPath"]
    (where / "config.json").write_text(json.dumps(it))


def bundle_of(disk, name, runtime):
    """A folder for each runtime: their cgroups differ, as an engine's containers' do."""
    it = config(name)
    it["root"]["path"] = str(disk / "rootfs")
    if "cgroupsPath" in it["linux"]:
        it["linux"]["cgroupsPath"] = f"{CGROUP}/{runtime}"
    folder = disk / name / runtime
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(it))
    return folder


def runtimes(build):
    found = {"zlayer-oci": build / "src/ocicli/zlayer-oci", "crun": shutil.which("crun"), "runc": shutil.which("runc")}
    for name, path in found.items():
        if not path:
            print(f"  {name}: not installed, left out")
            continue
        yield name, path


def system_calls(base, work):
    """How many system calls one run makes, in all its processes."""
    out = work / "strace"
    done = subprocess.run(["strace", "-f", "-qq", "-c", "-o", str(out), *base, "counted"], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, check=False)
    total = re.search(r"^100\.00\s.*?(\d+)\s+(?:\d+\s+)?total$", out.read_text(), re.M)
    return int(total.group(1)) if done.returncode == 0 and total else None


def compare(bases, goals, rounds, gap):
    commands = {name: (lambda i, b=base, n=name: [*b, f"bench-{n}-{os.getpid()}-{i}"]) for name, base in bases.items()}
    times = interleaved(commands, rounds, gap)
    ours = times["zlayer-oci"]
    for name, ms in times.items():
        line = f"  {name + ' run':16} {figures(ms)}"
        if name != "zlayer-oci":
            line += f"  x{statistics.median(ms) / statistics.median(ours):.1f} (minima x{min(ms) / min(ours):.1f}; goal: x{goals[name]:g})"
        print(line, flush=True)


def remove_cgroups():
    for top in pathlib.Path("/sys/fs/cgroup").glob(f"*{CGROUP}"):
        top.rmdir()


def inner(build, rounds, gap):
    if os.path.ismount(UNIFIED):
        subprocess.run(["umount", UNIFIED], check=True)
        # runc makes folders there all the same: they go with this namespace
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", UNIFIED], check=True)
    # states on tmpfs, where /run is on most hosts; the bundles on disk, as bundles are
    with tempfile.TemporaryDirectory(prefix="zlayer-bench.") as state, \
            tempfile.TemporaryDirectory(prefix="zlayer-bench.") as disk:
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", state], check=True)
        work, disk = pathlib.Path(state), pathlib.Path(disk)
        make_rootfs(disk / "rootfs")
        for name, goals in CONFIGS.items():
            bases = {runtime: [str(path), "--root", str(work / name / runtime), "run", "--bundle", str(bundle_of(disk, name, runtime))]
                     for runtime, path in runtimes(build)}
            print(f" config.json of {'`runc spec`' if name == 'spec' else name}:")
            compare(bases, goals, rounds, gap)
            if shutil.which("strace"):
                for runtime, base in bases.items():
                    calls = system_calls(base, work)
                    print(f"  {runtime + ' run':16} {calls if calls else 'strace did not count'} system calls, its container's included")
        subprocess.run(["umount", "-l", state], check=True)
        if os.path.ismount(UNIFIED):
            subprocess.run(["umount", UNIFIED], check=True)
    remove_cgroups()


def section(build, rounds=200, gap=0.04):
    print(f"OCI runtimes: create + start + wait + delete of /bin/true, {rounds} rounds interleaved, "
          f"{gap * 1000:.0f} ms idle before each")
    sys.stdout.flush()
    subprocess.run(["unshare", "-m", "--propagation", "private", "--", sys.executable, __file__, str(build), str(rounds),
                    str(gap)], check=True)


if __name__ == "__main__":
    inner(pathlib.Path(sys.argv[1]).resolve(), int(sys.argv[2]), float(sys.argv[3]))
