"""Bundles for zlayer-oci, and its command line with a --root of its own.

A bundle's root file system is a bind of one shared busybox tree, so that a test costs a config.json.
"""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tarfile
import tempfile

from world import BUILD, folders_below, remove_cgroups, until

OCI = BUILD / "src/ocicli/zlayer-oci"


class Oci:
    """zlayer-oci with its own --root below folder; close() ends what it started."""

    spec_options = []

    def __init__(self, folder, tree, program=OCI):
        self.folder, self.tree, self.program = pathlib.Path(folder), pathlib.Path(tree), pathlib.Path(program)
        self.root, self.reports = self.folder / "state", self.folder / "sanitizer"
        self.reports.mkdir(parents=True, exist_ok=True)
        self.cgroup = f"/zlayer-test-{os.getpid()}-{self.folder.name}"
        self.env = dict(os.environ, ASAN_OPTIONS=f"log_path={self.reports}/asan:detect_stack_use_after_return=0",
                        UBSAN_OPTIONS=f"log_path={self.reports}/ubsan:print_stacktrace=1")
        self.made = 0

    # ---- bundles --------------------------------------------------------------------------------
    def config(self, *args, **process):
        """A config.json as `spec` writes it, without terminal, of this command."""
        folder = self.folder / f"spec{self.made}"
        folder.mkdir()
        self.run("spec", *self.spec_options, "--bundle", folder)
        c = json.loads((folder / "config.json").read_text())
        shutil.rmtree(folder)
        c["process"].update({"terminal": False, "args": list(map(str, args))}, **process)
        c["root"]["path"] = str(self.tree)
        return c

    def bundle(self, config):
        config["linux"].setdefault("cgroupsPath", f"{self.cgroup}/b{self.made + 1}")
        return self.write_bundle(config)

    def write_bundle(self, config):
        self.made += 1
        folder = self.folder / f"bundle{self.made}"
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(config))
        return folder

    # ---- commands -------------------------------------------------------------------------------
    def popen(self, *args, **kw):
        kw = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **kw}
        return subprocess.Popen([self.program, "--root", self.root, *(a if isinstance(a, bytes) else str(a) for a in args)], env=self.env, cwd=self.folder, **kw)

    def run(self, *args, code=0, input=None, timeout=60):
        """Waits for the command itself: what create leaves behind holds its output open, so that is a file."""
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            p = self.popen(*args, stdin=subprocess.PIPE if input is not None else subprocess.DEVNULL, stdout=out, stderr=err)
            if input is not None:
                p.stdin.write(input)
                p.stdin.close()
            p.wait(timeout)
            texts = [f.seek(0) or f.read() for f in (out, err)]
        assert code is None or p.returncode == code, \
            f"zlayer-oci {' '.join(map(str, args))}: exit {p.returncode}, not {code}\nstdout: {texts[0]}\nstderr: {texts[1]}"
        return subprocess.CompletedProcess(p.args, p.returncode, *texts)

    def state(self, name):
        return json.loads(self.run("state", name).stdout)

    def until_status(self, name, status):
        return until(lambda: self.state(name)["status"] == status, f"{name} is {status}")

    # ---- the end --------------------------------------------------------------------------------
    def cgroups(self):
        found = [p / self.cgroup.strip("/") for p in [pathlib.Path("/sys/fs/cgroup"), *pathlib.Path("/sys/fs/cgroup").iterdir()]]
        return [p for p in found if p.is_dir()]

    def leftovers(self):
        left = [f"state {p.name}" for p in self.root.glob("*")] if self.root.exists() else []
        left += [f"cgroup {d}" for cg in self.cgroups() for d in cg.iterdir() if d.is_dir()]
        return left + [f"mount {line}" for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
                       if str(self.folder) in line]

    def close(self):
        self.run("delete", "--force", "--regex", ".", code=None)
        for cg in self.cgroups():
            for d in folders_below(cg):
                with contextlib.suppress(OSError):  # one that has gone meanwhile holds nobody
                    for pid in (d / "cgroup.procs").read_text().split():
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(int(pid), signal.SIGKILL)
        remove_cgroups(self.cgroups())
        return "\n".join(p.read_text(errors="replace") for p in sorted(self.reports.iterdir()))


def unpack(tar, folder):
    folder.mkdir()
    with tarfile.open(tar) as t:
        t.extractall(folder)
    return folder
