#!/usr/bin/python3
"""What 1,000 idle containers cost beyond what the kernel takes for them.

MemAvailable before and after, once for processes that a bare C program (floor.c) starts from the config.json of
a container, once for containers of the agent. Both hold the same namespaces, mounts, cgroups with their limits,
and command, which is looked at here. The difference is what the monitors, the agent and its state take.

What was there before is gone before the next is begun, to the last: namespaces and memory cgroups end later than
their processes, and memory that comes back while others take some would be taken for theirs.
"""
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

from agent import smaps
from floor import Pair, fill, world

GOAL_KB, COUNT = 350, 1000
COMMAND = "/bin/sleep 100000"
REST_KB, REST_TIMES = 256, 8


def available():
    """MemAvailable in kB, when it has come to rest."""
    subprocess.run(["sync"], check=True)
    seen = []
    for _ in range(120):
        pathlib.Path("/proc/sys/vm/drop_caches").write_text("3\n")
        for cache in pathlib.Path("/sys/kernel/slab").glob("*/shrink"):
            cache.write_text("1\n")
        seen = [*seen[1 - REST_TIMES:], int(re.search(r"MemAvailable:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text()).group(1))]
        if len(seen) == REST_TIMES and max(seen) - min(seen) < REST_KB:
            break
        time.sleep(0.25)
    return statistics.median(seen)


def shims_of(ours):
    rows = [int(p.name) for p in pathlib.Path("/proc").glob("[0-9]*")
            if (p / "comm").exists() and (p / "comm").read_text().strip() == "zlayer-shim"
            and str(ours.env["ZLAYER_RUNTIME_DIR"]).encode() in (p / "environ").read_bytes()]
    return rows


def holds(pid):
    """What a process holds that is not its own memory: [(mount point, type)], cgroups joined, new namespaces."""
    proc = pathlib.Path("/proc") / str(pid)
    mounts = [(line.split()[4], line.split(" - ")[1].split()[0]) for line in (proc / "mountinfo").read_text().splitlines()]
    cgroups = [line.split(":")[1] for line in (proc / "cgroup").read_text().splitlines() if "/c/" in line]
    spaces = [ns.name for ns in (proc / "ns").iterdir() if os.readlink(ns) != os.readlink(pathlib.Path("/proc/self/ns") / ns.name)]
    return {"mounts": sorted(mounts), "cgroups": sorted(cgroups), "namespaces": sorted(spaces),
            "command": (proc / "cmdline").read_bytes()}


def held_by(shims):
    """The first processes of the containers that these monitors hold; the spare monitor holds none."""
    children = [pathlib.Path(f"/proc/{s}/task/{s}/children").read_text().split() for s in shims]
    return [int(pids[0]) for pids in children if pids]


def cost(count, make):
    """kB of MemAvailable that each of count takes; make makes them."""
    before = available()
    make()
    return (before - available()) / count


def section(build, count=COUNT, **_):
    with world(build) as (work, ours):
        pair, pids = Pair(build, work, ours, COMMAND), []
        floor = cost(count, lambda: pids.extend(pair.floor.ask("k") for _ in range(count)))
        bare = holds(pids[-1])
        pair.close()
        ours.call("run", "-d", "--name", "warm", "--network", "none", "--memory", "64m", "--pids-limit", "100", "bench",
                  *COMMAND.split())
        ours_kb = cost(count, lambda: fill(ours, count, "--memory", "64m", "--pids-limit", "100", command=COMMAND))
        shims = shims_of(ours)
        for container in map(holds, held_by(shims)):
            if container != bare:
                raise RuntimeError(f"a container is not what it is compared with: {container}, {bare}")
        private = [smaps(s, "Private_Clean", "Private_Dirty") for s in shims[:50]]
        print(f"{count} idle containers: {ours_kb:.0f} kB each of MemAvailable; the bare C program {floor:.0f} kB")
        print(f"  each with {len(bare['mounts'])} mounts, cgroups {' '.join(bare['cgroups'])}, namespaces {' '.join(bare['namespaces'])}")
        print(f"  above it: {ours_kb - floor:.0f} kB each (goal: at most {GOAL_KB})")
        print(f"  private memory of a shim: median {statistics.median(private):.0f} kB, max {max(private)} kB (goal: under 300)")
        shim = next(build.rglob("zlayer-shim"))
        linked = subprocess.run(["file", "-b", shim], capture_output=True, text=True, check=True).stdout
        print(f"  zlayer-shim: {shim.stat().st_size / 1e6:.2f} MB, {'static' if 'statically' in linked or 'static-pie' in linked else 'not static'} (goal: static, under 1)")


if __name__ == "__main__":
    section(pathlib.Path(sys.argv[1]).resolve(), count=int(os.environ.get("COUNT", COUNT)))
