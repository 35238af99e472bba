#!/usr/bin/python3
"""`zlayer run --rm` against `podman run --rm` and `docker run --rm`, and what the agent weighs.

All engines run the same busybox root file system and /bin/true with memory and pids limits, without
a network, each in folders of its own, started and ended here. Rounds are interleaved, with an idle
gap before each start: that is what users see (a busy host hides waits in the kernel).
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

from measure import figures, interleaved, timed

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Zlayer:
    name = "zlayer run --rm"

    def __init__(self, build, work, tar):
        self.program = str(build / "src/cli/zlayer")
        self.parent = f"/zlayer-bench-{os.getpid()}"
        self.env = dict(os.environ, ZLAYER_ROOT_DIR=str(work / "root"), ZLAYER_RUNTIME_DIR=str(work / "run"),
                        ZLAYER_CGROUP_PARENT=self.parent)
        self.call("import", tar, "-t", "bench")
        self.argv = [self.program, "run", "--rm", "--network", "none", "--memory", "64m", "--pids-limit", "100",
                     "bench", "/bin/true"]

    def call(self, *args):
        return subprocess.run([self.program, *map(str, args)], env=self.env, check=True, capture_output=True,
                              text=True).stdout

    def close(self):
        with contextlib.suppress(subprocess.CalledProcessError):
            self.call("daemon", "stop")
        for base in pathlib.Path("/sys/fs/cgroup").glob(f"*{self.parent}"):
            for d in sorted(base.rglob("*"), reverse=True):
                if d.is_dir():
                    d.rmdir()
            base.rmdir()


class Podman:
    name = "podman run --rm (runc)"

    def __init__(self, work, tar):
        self.env = os.environ
        base = [shutil.which("podman"), "--root", str(work / "p"), "--runroot", str(work / "pr"), "--cgroup-manager",
                "cgroupfs", "--runtime", shutil.which("runc")]
        subprocess.run([*base, "import", str(tar), "bench"], check=True, capture_output=True)
        # without CAP_SYS_RESOURCE podman's own defaults cannot be set
        self.argv = [*base, "run", "--rm", "--network", "none", "--memory", "64m", "--pids-limit", "100", "--ulimit",
                     "nofile=1024:1024", "--ulimit", "nproc=1000:1000", "bench", "/bin/true"]

    def close(self):
        pass


class Docker:
    name = "docker run --rm (runc)"

    def __init__(self, work, tar):
        self.env = os.environ
        host = f"unix://{work}/d.sock"
        # a network namespace of its own: two dockerd in one flush each other's rules
        self.daemon = subprocess.Popen(
            ["unshare", "-n", "dockerd", "--data-root", work / "d", "--exec-root", work / "de", "--host", host, "--pidfile",
             work / "d.pid", "--bridge", "none", "--iptables=false"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        base = [shutil.which("docker"), "-H", host]
        end = time.monotonic() + 60
        while subprocess.run([*base, "version"], capture_output=True).returncode:
            if time.monotonic() > end or self.daemon.poll() is not None:
                raise RuntimeError("dockerd does not start")
            time.sleep(0.2)
        subprocess.run([*base, "import", str(tar), "bench"], check=True, capture_output=True)
        self.argv = [*base, "run", "--rm", "--network", "none", "--memory", "64m", "--pids-limit", "100", "bench",
                     "/bin/true"]

    def close(self):
        self.daemon.terminate()
        self.daemon.wait(60)


def smaps(pid, *keys):
    """Sums of /proc/PID/smaps_rollup in kB."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(line.split()[1]) for line in text.splitlines() if line.split(":")[0] in keys)


def weigh(ours):
    """Memory of the agent and of a shim with 20 containers, and the time of `zlayer ps`."""
    for i in range(20):
        ours.call("run", "-d", "--name", f"idle{i}", "bench", "sleep", "100000")
    agent = json.loads(ours.call("status", "--format", "json"))["agent"]["pid"]
    rows = json.loads(ours.call("ps", "-c", "--format", "json"))["containers"]
    shims = [int(pathlib.Path(f"/proc/{c['pid']}/stat").read_text().rsplit(")", 1)[1].split()[1]) for c in rows]
    private = [smaps(s, "Private_Clean", "Private_Dirty") for s in shims]
    print(f"agent with {len(rows)} containers: PSS {smaps(agent, 'Pss')} kB (goal: under 5120)")
    print(f"shim: private median {statistics.median(private):.0f} kB, max {max(private)} kB (goal: under 600)")
    ps = [timed([ours.program, "ps"], ours.env) for _ in range(50)]
    print(f"zlayer ps: {figures(ps)} (goal: median under 5)")
    for i in range(20):
        ours.call("container", "rm", "--force", f"idle{i}")


def section(build, rounds=30, gap=0.04):
    work = pathlib.Path(tempfile.mkdtemp(prefix="zlayer-bench."))
    engines = []
    try:
        tar = work / "busybox.tar"
        subprocess.run([ROOT / "scripts/busybox-image", tar], check=True)
        ours = Zlayer(build, work, tar)
        engines.append(ours)
        for make, program in ((Podman, "podman"), (Docker, "dockerd")):
            if shutil.which(program):
                engines.append(make(work, tar))
            else:
                print(f"{program} is not installed: left out")
        argv = {e.name: (lambda i, e=e: e.argv) for e in engines}
        times = interleaved(argv, rounds, gap, env=ours.env)
        print(f"\nrun --rm /bin/true, {rounds} rounds, {gap * 1000:.0f} ms idle before each:")
        base = statistics.median(times[ours.name])
        for name, ms in times.items():
            print(f"  {name:24} {figures(ms)}  x{statistics.median(ms) / base:.1f}")
        weigh(ours)
    finally:
        for e in reversed(engines):
            e.close()
        if str(work) not in pathlib.Path("/proc/self/mountinfo").read_text():
            shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    section(pathlib.Path(sys.argv[1]).resolve())
