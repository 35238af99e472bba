#!/usr/bin/python3
"""Create, start, wait and delete through the agent against the floor: a bare C program (floor.c) that makes
the same system calls for the same config.json.

Both programs run all the time and get a byte for each container, so no process start is counted; rounds are
interleaved, each after a gap of idleness. Then the curve: the same with 1,000 containers that live.
"""
import contextlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from agent import ROOT, Zlayer
from measure import figures

GOAL, CURVE_GOAL, LIVE = 1.3, 1.3, 1000
SPEC = ("image: {name: bench}\nnetwork_mode: none\nresources: {memory: 64Mi, pids_limit: 100}\n"
        "command: {entrypoint: [/bin/true]}\n")


class Resident:
    """A program that makes a container for each byte on its stdin and answers with a line."""

    def __init__(self, *argv, env=None):
        self.process = subprocess.Popen(list(map(str, argv)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)

    def ask(self, word="x"):
        self.process.stdin.write(word)
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args[0]} ended with {self.process.wait()}")
        return int(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)


class Pair:
    """The agent's driver and the floor, for containers of the same config.json."""

    def __init__(self, build, work, ours, command="/bin/true"):
        self.work, self.ours = work, ours
        ours.call("run", "-d", "--name", "model", "--network", "none", "--memory", "64m", "--pids-limit", "100", "bench", "sleep", "100000")
        model = json.loads(ours.call("container", "inspect", "model"))
        config = json.loads((work / "run/c" / model["id"] / "config.json").read_text())
        config["process"]["args"] = command.split()
        bundle = work / "bundle"
        bundle.mkdir()
        (bundle / "config.json").write_text(json.dumps(config))
        record = json.loads((work / "root/containers" / model["id"] / "record.json").read_text())
        layers = [work / "root/layers" / str(n) / "fs" for n in reversed(record["layers"])]
        scratch = work / "root/floor"
        scratch.mkdir()
        self.floor = Resident(build / "bench/floor", bundle, scratch, *layers)
        self.agent = Resident(build / "bench/agent-drive", work / "run/zlayer.sock", SPEC)

    def close(self):
        self.floor.close()
        self.agent.close()
        self.ours.call("container", "rm", "--force", "model")


def rounds_of(pair, rounds, gap):
    """[(agent, floor)] in milliseconds."""
    out = []
    for i in range(rounds + 3):
        pairs = []
        for it in (pair.agent, pair.floor) if i % 2 else (pair.floor, pair.agent):
            time.sleep(gap)
            pairs.append((it is pair.floor, it.ask() / 1e6))
        if i >= 3:
            out.append(tuple(ms for _, ms in sorted(pairs)))
    return out


def tell(times, what, goal):
    agent, floor = [a for a, _ in times], [f for _, f in times]
    print(f"  through the agent  {figures(agent)}")
    print(f"  the floor          {figures(floor)}")
    ratio = statistics.median(agent) / statistics.median(floor)
    print(f"  {what}: x{ratio:.2f} of the floor by medians, x{min(agent) / min(floor):.2f} by minima (goal: x{goal})", flush=True)
    return statistics.median(agent)


def fill(ours, count, *options, command="sleep 100000"):
    """count containers that live, made through the agent one after the other."""
    for i in range(count):
        ours.call("run", "-d", "--name", f"live{i}", "--network", "none", *options, "bench", *command.split())


@contextlib.contextmanager
def world(build):
    """An agent of our own with the image `bench`, and the folder that all of it lies in."""
    work = pathlib.Path(tempfile.mkdtemp(prefix="zlayer-bench."))
    tar = work / "busybox.tar"
    subprocess.run([ROOT / "scripts/busybox-image", tar], check=True)
    ours = Zlayer(build, work, tar)
    try:
        yield work, ours
    finally:
        for name in [c["name"] for c in json.loads(ours.call("container", "ls", "--format", "json"))]:
            ours.call("container", "rm", "--force", name)
        ours.close()
        if str(work) not in pathlib.Path("/proc/self/mountinfo").read_text():
            shutil.rmtree(work, ignore_errors=True)


def section(build, rounds=200, gap=0.04, live=LIVE):
    with world(build) as (work, ours):
        print(f"create, start, wait, delete of /bin/true, {rounds} rounds, {gap * 1000:.0f} ms idle before each:")
        pair = Pair(build, work, ours)
        first = tell(rounds_of(pair, rounds, gap), "through the agent", GOAL)
        fill(ours, live)
        print(f" beside {live} containers that live:")
        last = tell(rounds_of(pair, rounds, gap), "through the agent", GOAL)
        print(f"  the start beside {live} takes x{last / first:.2f} of the first (goal: x{CURVE_GOAL})")
        pair.close()


if __name__ == "__main__":
    section(pathlib.Path(sys.argv[1]).resolve(), live=int(os.environ.get("LIVE", LIVE)))
