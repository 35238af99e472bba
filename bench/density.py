#!/usr/bin/python3
"""What 1,000 idle containers cost beyond what the kernel takes for them.

MemAvailable before and after, once for containers of the agent, once for processes that a bare C program
(floor.c) starts in the same namespaces, mounts and cgroups with the same command. The difference is what the
monitors, the agent and the state on tmpfs take.
"""
import os
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import time

from agent import smaps
from floor import Pair, fill, world

GOAL_KB, COUNT = 350, 1000


def available():
    """MemAvailable in kB, when it has come to rest."""
    subprocess.run(["sync"], check=True)
    pathlib.Path("/proc/sys/vm/drop_caches").write_text("3\n")
    last = None
    for _ in range(60):
        now = int(re.search(r"MemAvailable:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text()).group(1))
        if last is not None and abs(now - last) < 512:
            return now
        last = now
        time.sleep(0.5)
    return last


def shims_of(ours):
    rows = [int(p.name) for p in pathlib.Path("/proc").glob("[0-9]*")
            if (p / "comm").exists() and (p / "comm").read_text().strip() == "zlayer-shim"
            and str(ours.env["ZLAYER_RUNTIME_DIR"]).encode() in (p / "environ").read_bytes()]
    return rows


def section(build, count=COUNT, **_):
    with world(build) as (work, ours):
        pair = Pair(build, work, ours, "sleep 100000")
        before = available()
        pids = [pair.floor.ask("k") for _ in range(count)]
        floor = (before - available()) / count
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        pair.close()
        ours.call("run", "-d", "--name", "warm", "--network", "none", "bench", "sleep", "100000")
        before = available()
        fill(ours, count, "--memory", "64m", "--pids-limit", "100")
        ours_kb = (before - available()) / count
        private = [smaps(s, "Private_Clean", "Private_Dirty") for s in shims_of(ours)[:50]]
        print(f"{count} idle containers: {ours_kb:.0f} kB each of MemAvailable; the bare C program {floor:.0f} kB")
        print(f"  above it: {ours_kb - floor:.0f} kB each (goal: at most {GOAL_KB})")
        print(f"  private memory of a shim: median {statistics.median(private):.0f} kB, max {max(private)} kB (goal: under 300)")
        shim = next(build.rglob("zlayer-shim"))
        linked = subprocess.run(["file", "-b", shim], capture_output=True, text=True, check=True).stdout
        print(f"  zlayer-shim: {shim.stat().st_size / 1e6:.2f} MB, {'static' if 'statically' in linked or 'static-pie' in linked else 'not static'} (goal: static, under 1)")


if __name__ == "__main__":
    section(pathlib.Path(sys.argv[1]).resolve(), count=int(os.environ.get("COUNT", COUNT)))
