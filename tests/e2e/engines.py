"""The engines that take zlayer-oci in place of runc: dockerd, podman, containerd.

Each lives in a folder and a network namespace of its own, so that it meets neither the machine's
containers nor its firewall, and runs the shipped (static) zlayer-oci. close() ends what was started.
"""
import contextlib
import hashlib
import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tarfile

from world import BUILD, folders_below, until

SHIPPED = pathlib.Path(os.environ.get("ZLAYER_SHIPPED", BUILD)).resolve()
OCI = SHIPPED / "src/ocicli/zlayer-oci"


def oci_archive(rootfs_tar, path, name):
    """An image of one layer as an OCI archive, for `ctr image import`."""
    blobs = {}

    def blob(content, media=None):
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        digest = hashlib.sha256(content).hexdigest()
        blobs[digest] = content
        return {"mediaType": f"application/vnd.oci.image.{media}", "digest": f"sha256:{digest}", "size": len(content)}

    layer = blob(pathlib.Path(rootfs_tar).read_bytes(), "layer.v1.tar")
    config = blob({"architecture": {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine], "os": "linux",
                   "config": {"Env": ["PATH=/bin"]}, "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}}, "config.v1+json")
    manifest = blob({"schemaVersion": 2, "config": config, "layers": [layer]}, "manifest.v1+json")
    manifest["annotations"] = {"io.containerd.image.name": name}
    files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
             "index.json": json.dumps({"schemaVersion": 2, "manifests": [manifest]}).encode(),
             **{f"blobs/sha256/{digest}": content for digest, content in blobs.items()}}
    with tarfile.open(path, "w") as tar:
        for file, content in files.items():
            info = tarfile.TarInfo(file)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


class Engine:
    """What all engines have: a folder, a network namespace, a cgroup, commands that run in there."""

    def __init__(self, folder, rootfs_tar):
        self.folder, self.tar = pathlib.Path(folder), rootfs_tar
        self.cgroup = f"/zlayer-test-{os.getpid()}-{self.name}"
        self.netns = subprocess.Popen(["unshare", "-n", "sh", "-c", "ip link set lo up && echo up && exec sleep infinity"],
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert self.netns.stdout.readline() == b"up\n"
        self.daemon = None

    def inside(self, *args):
        """args as a command line in the engine's network namespace."""
        return ["nsenter", f"--net=/proc/{self.netns.pid}/ns/net", *map(str, args)]

    def start_daemon(self, *args):
        with open(self.folder / "daemon.log", "w") as log:
            self.daemon = subprocess.Popen(self.inside(*args), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder)

        def answers():
            assert self.daemon.poll() is None, (self.folder / "daemon.log").read_text()[-2000:]
            return self.cli(*self.ping, code=None).returncode == 0
        until(answers, f"{self.name} answers", timeout=120)

    def popen(self, *args, **kw):
        # podman's conmon writes files ("oom") into the folder that it was started in
        kw = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": self.folder, **kw}
        return subprocess.Popen(self.inside(*self.command(), *args), **kw)

    def cli(self, *args, code=0, timeout=180, **kw):
        p = self.popen(*args, **kw)
        out, err = p.communicate(timeout=timeout)
        assert code is None or p.returncode == code, f"{self.name} {args}: exit {p.returncode}, not {code}\n{out}\n{err}"
        return subprocess.CompletedProcess(p.args, p.returncode, out, err)

    # ---- the end --------------------------------------------------------------------------------
    def processes(self):
        """Those whose command line names our folder: shims, monitors, daemons."""
        for p in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if int(p.name) != os.getpid() and str(self.folder).encode() in (p / "cmdline").read_bytes():
                    yield int(p.name)

    def cgroups(self):
        """Folders of containers that are left: the last part of a container's own cgroup."""
        top, name = pathlib.Path("/sys/fs/cgroup"), self.cgroup.strip("/")
        return [str(d) for d in [*top.glob(f"{name}/*"), *top.glob(f"*/{name}/*")]
                if d.is_dir() and d.name != "conmon"]  # podman's own

    def close(self):
        if self.daemon:
            self.daemon.terminate()
            self.daemon.wait(120)
        self.netns.kill()
        self.netns.communicate()

        def gone():
            rest = list(self.processes())
            for pid in rest:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return not rest
        until(gone, "the end of the engine's processes")
        left = self.cgroups()
        top, name = pathlib.Path("/sys/fs/cgroup"), self.cgroup.strip("/")
        for d in [top / name, *top.glob(f"*/{name}")]:
            for sub in folders_below(d):
                with contextlib.suppress(OSError):
                    sub.rmdir()
        for line in reversed(pathlib.Path("/proc/self/mountinfo").read_text().splitlines()):
            if f" {self.folder}/" in line:
                subprocess.run(["umount", "-l", line.split()[4]], check=False)
        if not any(f" {self.folder}/" in line for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()):
            shutil.rmtree(self.folder)
        return left


class DockerLike(Engine):
    """docker and podman have the same words for the same things."""

    image = "zlayer-test"
    ping = ["info"]

    def run(self, *args, code=0):
        return self.cli("run", "--rm", *self.network, "--cgroup-parent", self.cgroup, *args, code=code)

    def start(self, name, *args):
        self.cli("run", "--detach", "--name", name, *([] if "-p" in args else self.network), "--cgroup-parent", self.cgroup, *args)

    def inspect(self, name, what):
        return self.cli("inspect", "--format", "{{%s}}" % what, name).stdout.strip()

    def remove(self, *names):
        """podman's own clean-up after a container's end may be at it still: then it says "busy"."""
        until(lambda: self.cli("rm", "--force", *self.at_once, *names, code=None).returncode == 0, f"{names} are removed")


class Docker(DockerLike):
    name = "docker"
    network = ["--network", "none"]
    read_only = ["--read-only", "--tmpfs", "/tmp"]
    at_once = []
    knows_oom = True
    storage = "vfs"

    def health(self, name):
        return self.inspect(name, ".State.Health.Status")

    def __init__(self, folder, rootfs_tar):
        super().__init__(folder, rootfs_tar)
        (self.folder / "daemon.json").write_text("{}")
        self.start_daemon("dockerd", "--data-root", self.folder / "data", "--exec-root", self.folder / "exec", "--pidfile",
                          self.folder / "pid", "--host", f"unix://{self.folder}/sock", "--storage-driver", self.storage, "--config-file",
                          self.folder / "daemon.json", "--add-runtime", f"zlayer={OCI}", "--default-runtime", "zlayer",
                          "--exec-opt", "native.cgroupdriver=cgroupfs")
        self.cli("import", rootfs_tar, self.image)

    def command(self):
        return ["docker", "--host", f"unix://{self.folder}/sock"]


class Podman(DockerLike):
    name = "podman"
    network = ["--network", "none"]
    read_only = ["--read-only"]  # with a tmpfs on /tmp and others, copied up
    at_once = ["--time", "0", "--ignore"]
    knows_oom = False  # conmon does not see it on this kernel's cgroup v1, whatever the runtime

    def __init__(self, folder, rootfs_tar):
        super().__init__(folder, rootfs_tar)
        self.cli("import", rootfs_tar, self.image)

    def command(self):
        return ["podman", "--root", self.folder / "root", "--runroot", self.folder / "run", "--tmpdir", self.folder / "tmp",
                "--network-config-dir", self.folder / "net", "--cgroup-manager", "cgroupfs", "--events-backend", "file",
                "--storage-driver", "vfs", "--runtime", OCI]

    def health(self, name):
        """systemd's timers would ask by themselves."""
        return "healthy" if self.cli("healthcheck", "run", name, code=None).returncode == 0 else "unhealthy"

    def close(self):
        self.cli("rm", "--all", "--force", "--time", "0", code=None)
        return super().close()


class Containerd(Engine):
    name = "containerd"
    image = "docker.io/library/zlayer-test:latest"
    ping = ["version"]

    def __init__(self, folder, rootfs_tar):
        super().__init__(folder, rootfs_tar)
        (self.folder / "config.toml").write_text(
            f'version = 2\nroot = "{self.folder}/root"\nstate = "{self.folder}/state"\n'
            f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\n  address = "{self.folder}/sock"\n')
        self.start_daemon("containerd", "--config", self.folder / "config.toml")
        self.cli("image", "import", oci_archive(rootfs_tar, self.folder / "image.tar", self.image))

    def command(self):
        return ["ctr", "--address", self.folder / "sock"]

    def options(self, name):
        return ["--runc-binary", OCI, "--runc-root", self.folder / "runc", "--cgroup", f"{self.cgroup}/{name}"]

    def run(self, name, options, *command, code=0):
        return self.cli("run", "--rm", *self.options(name), *options, self.image, name, *command, code=code)

    def run_heard(self, name, options, script, lines, code=0):
        """What a shell's script says, of so many lines; it ends when they have come: containerd 1.6 loses what one said last
        that ends at once, whatever the runtime."""
        p = self.popen("run", "--rm", *self.options(name), *options, self.image, name,
                       "sh", "-c", f"{script}; read -t 60 go; exit {code}", stdin=subprocess.PIPE)
        heard = "".join(p.stdout.readline() for _ in range(lines))
        rest, err = p.communicate("go\n", timeout=180)
        assert p.returncode == code, f"exit {p.returncode}, not {code}\n{heard}{rest}\n{err}"
        return heard + rest

    def start(self, name, *command):
        self.cli("run", "--detach", *self.options(name), self.image, name, *command)

    def status(self, name):
        rows = [line.split() for line in self.cli("task", "ls").stdout.splitlines()]
        return {row[0]: row[2] for row in rows[1:]}.get(name)

    def remove(self, name):
        if self.status(name) == "RUNNING":
            self.cli("task", "kill", "-s", "KILL", name)
            until(lambda: self.status(name) == "STOPPED", f"{name} is stopped")
        self.cli("task", "rm", name, code=None)
        self.cli("container", "rm", name)
