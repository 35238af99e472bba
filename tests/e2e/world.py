"""One agent's world: folders, cgroups and environment of its own, and the means to look into it.

Nothing here sleeps for luck: until() waits for a condition and says what it saw last when the
condition does not come. close() ends everything the world started and answers what was left behind.
"""
import contextlib
import datetime
import json
import os
import pathlib
import pty
import shutil
import signal
import subprocess
import tarfile
import time

BUILD = pathlib.Path(os.environ.get("ZLAYER_BUILD", pathlib.Path(__file__).parents[2] / "build")).resolve()
BUSYBOX = "/bin/busybox"  # static, of Debian's busybox-static
APPLETS = "sh true false cat echo sleep date hostname httpd nc ls id env mkdir kill ps head tail yes dd wc seq mount grep tr touch rm pwd sync stat cut printf test readlink".split()


def until(condition, what, timeout=60.0, interval=0.02):
    """The first true value of condition(), else an AssertionError that tells the last false one.

    Between two looks that cost much, as those by a command do, it waits longer: the processors are for who is waited for."""
    end = time.monotonic() + timeout
    while True:
        began = time.monotonic()
        value = condition()
        if value:
            return value
        now = time.monotonic()
        if now > end:
            raise AssertionError(f"not within {timeout} s: {what}; last seen: {value!r}")
        time.sleep(max(interval, min(2 * (now - began), 0.1)))


def make_rootfs_tar(path):
    """A busybox image as a tar, as `zlayer import` takes it."""
    stage = pathlib.Path(str(path) + ".d")
    for d in ("bin", "etc", "proc", "sys", "dev", "tmp", "root", "var"):
        (stage / d).mkdir(parents=True, exist_ok=True)
    shutil.copy2(BUSYBOX, stage / "bin/busybox")
    for a in APPLETS:
        (stage / "bin" / a).symlink_to("busybox")
    (stage / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000:web:/tmp:/bin/sh\n")
    (stage / "etc/group").write_text("root:x:0:\nweb:x:1000:\nstaff:x:50:web\n")
    os.chmod(stage / "tmp", 0o1777)
    with tarfile.open(path, "w") as tar:
        tar.add(stage, arcname=".")
    shutil.rmtree(stage)
    return path


def on_terminal(popen, typed=b"", after=b""):
    """What popen(tty) shows on a terminal of its own, in which that is typed (when `after` has been shown), and its exit code."""
    master, slave = pty.openpty()
    p = popen(slave)
    os.close(slave)
    if not after:
        os.write(master, typed)
    shown = b""
    with contextlib.suppress(OSError):  # EIO: nobody has the other end any more
        while piece := os.read(master, 4096):
            if after and after not in shown and after in shown + piece:
                os.write(master, typed)
            shown += piece
    os.close(master)
    return shown.decode(), p.wait(60)


def alive(pid):
    """Whether a thread of the process still lives: a killed leader is a zombie before its threads end."""
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                stat = pathlib.Path(f"/proc/{pid}/task/{thread}/stat").read_text()
                if stat.rsplit(")", 1)[1].split()[0] not in "ZX":
                    return True
    return False


def parent(pid):
    return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def kill(*pids):
    """SIGKILL for all of them; returns when they have ended."""
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not any(map(alive, pids)), f"the end of {pids}")


def down_ms(container):
    """Milliseconds between the end of a replica and the start of its successor, as the record of the latter has them."""
    at = [datetime.datetime.fromisoformat(t.replace("Z", "+00:00")) for t in (container["exit"]["at"], container["started_at"])]
    return (at[1] - at[0]).total_seconds() * 1000


def folders_below(top):
    """top and all folders below it, the deepest first. Other than rglob(), it bears that some go meanwhile, as cgroups do."""
    return [pathlib.Path(folder) for folder, _, _ in os.walk(top, topdown=False)]


def remove_cgroups(tops):
    """These with all below them; who ends in one holds it for a moment."""
    def gone(folder):
        with contextlib.suppress(OSError):
            folder.rmdir()
        return not folder.exists()
    for top in tops:
        for folder in folders_below(top):
            until(lambda: gone(folder), f"the end of {folder}")


def start_time(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]


class World:
    def __init__(self, folder, name):
        self.folder = pathlib.Path(folder)
        self.root, self.run = self.folder / "root", self.folder / "run"
        self.reports = self.folder / "sanitizer"
        self.reports.mkdir(parents=True)
        self.cgroup = f"/zlayer-test-{os.getpid()}-{name}"
        self.env = {
            "PATH": os.environ["PATH"], "HOME": str(self.folder), "LANG": "C.UTF-8",
            "ZLAYER_ROOT_DIR": str(self.root), "ZLAYER_RUNTIME_DIR": str(self.run),
            "ZLAYER_CGROUP_PARENT": self.cgroup,
            "ZLAYER_DEFAULT_REGISTRY": "",  # no test asks the world outside
            "ASAN_OPTIONS": f"log_path={self.reports}/asan:detect_stack_use_after_return=0",
            "UBSAN_OPTIONS": f"log_path={self.reports}/ubsan:print_stacktrace=1",
        }
        self.program = BUILD / "src/cli/zlayer"
        self.started = []

    # ---- commands -----------------------------------------------------------------------------
    def popen(self, *args, **kw):
        kw.setdefault("stdin", subprocess.DEVNULL)
        kw.setdefault("stdout", subprocess.PIPE)
        kw.setdefault("stderr", subprocess.PIPE)
        kw.setdefault("text", True)
        p = subprocess.Popen([self.program, *map(str, args)], env=self.env, cwd=self.folder, **kw)
        self.started.append(p)
        return p

    def zlayer(self, *args, code=0, input=None, timeout=60):
        """Runs `zlayer ARGS`; fails the test unless it exits with code (None: any)."""
        p = self.popen(*args, stdin=subprocess.PIPE if input is not None else subprocess.DEVNULL)
        try:
            out, err = p.communicate(input, timeout)
        except subprocess.TimeoutExpired:
            p.kill()
            out, err = p.communicate()
            raise AssertionError(f"zlayer {' '.join(map(str, args))}: no end after {timeout} s\n{out}{err}")
        r = subprocess.CompletedProcess(p.args, p.returncode, out, err)
        if code is not None and r.returncode != code:
            raise AssertionError(f"zlayer {' '.join(map(str, args))}: exit {r.returncode}, not {code}\n"
                                 f"stdout: {out}\nstderr: {err}\nagent: {self.agent_log()[-2000:]}")
        return r

    def json(self, *args):
        return json.loads(self.zlayer(*args, "--format", "json").stdout)

    def spec(self, text, name="test.zlayer.yml"):
        path = self.folder / name
        path.write_text(text)
        return path

    def import_busybox(self, tar, name="busybox"):
        self.zlayer("import", tar, "-t", name)

    # ---- looking in ---------------------------------------------------------------------------
    def agent_log(self):
        with contextlib.suppress(OSError):
            return (self.root / "agent.log").read_text(errors="replace")
        return ""

    def agent_pid(self):
        return self.json("status")["agent"]["pid"]

    def containers(self, deployment=None):
        rows = self.json("ps", "-c")["containers"]
        return [c for c in rows if deployment in (None, c["deployment"])]

    def up(self, service, count):
        """The running and healthy containers of a service once there are exactly count of them."""
        def look():
            rows = [c for c in self.containers() if c["service"] == service and c["state"] == "running"
                    and c["health"] in ("healthy", "unknown", None, "")]
            return rows if len(rows) == count else None
        return until(look, f"{count} x {service} up")

    def running(self):
        return [c["pid"] for c in self.containers() if c["state"] == "running"]

    def the(self, name):
        """The container of that name, as `ps` has it."""
        return next((c for c in self.containers() if c["name"] == name), None)

    def back(self, before):
        """What has taken the place of a container that ended, once it runs."""
        def look():
            now = self.the(before["name"])
            return now if now and now["state"] == "running" and now["pid"] not in (None, 0, before["pid"]) else None
        return until(look, f"another {before['name']} than {before}")

    def events(self):
        return [json.loads(line) for line in self.zlayer("events", "--format", "json").stdout.splitlines()]

    def pids(self, *services):
        return {c["name"]: c["pid"] for c in self.containers() if c["service"] in services or not services}

    # ---- the end ------------------------------------------------------------------------------
    def cgroups(self):
        return [p for p in pathlib.Path("/sys/fs/cgroup").glob(f"*{self.cgroup}")] + \
            [p for p in [pathlib.Path("/sys/fs/cgroup" + self.cgroup)] if p.exists()]

    def processes(self):
        """Every process in our cgroups or that names our folder, as pid: command line."""
        found = {}
        for cg in self.cgroups():
            for folder in folders_below(cg):
                with contextlib.suppress(OSError):
                    for pid in (folder / "cgroup.procs").read_text().split():
                        found[int(pid)] = folder.name
        for p in (pathlib.Path("/proc", pid) for pid in filter(str.isdigit, os.listdir("/proc"))):
            with contextlib.suppress(OSError):
                if int(p.name) != os.getpid() and str(self.run).encode() in (p / "environ").read_bytes():
                    found[int(p.name)] = (p / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return {pid: what for pid, what in found.items() if alive(pid)}

    def mounts(self):
        found = set()
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                found |= {line for line in pathlib.Path(f"/proc/{pid}/mountinfo").read_text().splitlines() if str(self.folder) in line}
        return sorted(found)

    def leftovers(self):
        """What containers of this world left on the host: nothing, after `down` and `rm`."""
        left = [f"cgroup {d}" for cg in self.cgroups() for d in (cg / "c").glob("*") if d.is_dir()]
        left += [f"mount {m}" for m in self.mounts()]
        left += [f"run directory {d}" for d in (self.run / "c").glob("*")]
        left += [f"state directory {d}" for d in (self.root / "containers").glob("*")]
        return left

    def clear(self, *deployments):
        """Removes these deployments, those that are shown, and all containers; returns when nothing of them is left."""
        shown = {c["deployment"] for c in self.containers()} - {"-"}
        for name in sorted(shown.union(deployments)):
            self.zlayer("down", name, "-f", code=None)
        for c in self.json("container", "ls"):
            self.zlayer("container", "rm", "-f", c["id"], code=None)
        self.until_clear()

    def until_clear(self):
        until(lambda: not self.leftovers(), "nothing left")

    def sanitizer_reports(self):
        return "\n".join(p.read_text(errors="replace") for p in sorted(self.reports.iterdir()))

    def close(self):
        for p in self.started:
            if p.poll() is None:
                p.kill()
                p.communicate()
        with contextlib.suppress(AssertionError):
            self.zlayer("daemon", "stop", code=None)

        def gone():
            rest = self.processes()
            for pid in rest:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return not rest
        until(gone, f"the end of {self.processes()}")
        remove_cgroups(self.cgroups())
