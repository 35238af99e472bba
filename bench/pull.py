"""Pulling and unpacking one image, of several layers and more than 300 MB, from a registry on loopback.

zlayer against podman, docker and skopeo + umoci, interleaved, each beginning with the same clean caches of the disk;
beside them the floor: one thread that inflates, sums and extracts the same layers and does nothing else. Wall time, CPU
time of all processes that worked for it, and the peak memory of zlayer-fetch, all of its processes together, and of
the agent.
"""
import gzip
import os
import pathlib
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests/e2e"))

LAYERS, FILES, LARGE = 6, 400, 12


def content(chance, size):
    """As programs and libraries compress: to about two fifths."""
    words = [chance.randbytes(chance.randint(4, 40)) for _ in range(3000)]
    out = bytearray()
    while len(out) < size:
        out += words[min(int(chance.expovariate(1 / 600)), 2999)]
    return bytes(out[:size])


def make_image():
    from registry import Image, tar_of
    chance = random.Random(4)
    layers = []
    for i in range(LAYERS):
        files = {f"layer-{i}/d{j % 20}/f{j}": content(chance, chance.randint(200, 20000)) for j in range(FILES)}
        files |= {f"layer-{i}/lib{j}.so": content(chance, 5_500_000) for j in range(LARGE)}
        layers.append(tar_of(files))
    return Image(layers, pack=lambda t: gzip.compress(t, 6, mtime=0), docker=True), sum(map(len, layers))


def cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def cpu_of(pid):
    with open(f"/proc/{pid}/stat") as f:
        words = f.read().rsplit(")", 1)[1].split()
    return sum(map(int, words[11:15])) / os.sysconf("SC_CLK_TCK")  # its own and of children that it waited for


def memory_of(pid, key):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(key))


class Peak(threading.Thread):
    """The most that the processes of a zlayer-fetch of this root took together, in kB: what they share is counted in each."""

    def __init__(self, root):
        super().__init__(daemon=True)
        self.root, self.peak, self.over = str(root).encode(), 0, False

    def run(self):
        while not self.over:
            together = 0
            for p in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    if b"zlayer-fetch" in (words := p.read_bytes()) and self.root in words:
                        together += memory_of(p.parent.name, "VmHWM")
                except (OSError, StopIteration):
                    pass
            self.peak = max(self.peak, together)
            time.sleep(0.05)


class Zlayer:
    name = "zlayer pull"

    def __init__(self, build, folder, image):
        self.program, self.image, self.root = build / "src/cli/zlayer", image, folder / "root"
        self.env = dict(os.environ, ZLAYER_ROOT_DIR=str(self.root), ZLAYER_RUNTIME_DIR=str(folder / "run"),
                        ZLAYER_CGROUP_PARENT=f"/zlayer-bench-{os.getpid()}")
        self.run("image", "ls")
        self.agent = int(subprocess.run([self.program, "status", "--format", "json"], env=self.env, check=True,
                                        capture_output=True, text=True).stdout.split('"pid":')[1].split(",")[0].strip(" }\n"))
        self.before = memory_of(self.agent, "VmRSS")

    def run(self, *args):
        subprocess.run([self.program, *args], env=self.env, check=True, stdout=subprocess.DEVNULL)

    def once(self):
        began = cpu_of(self.agent)
        self.run("pull", "-q", self.image)
        return cpu_of(self.agent) - began  # zlayer-fetch is the agent's child

    def clean(self):
        self.run("image", "rm", self.image)

    def close(self):
        self.run("daemon", "stop")


class Podman:
    name = "podman pull"

    def __init__(self, folder, image):
        self.base = ["podman", "--root", str(folder / "podman"), "--runroot", str(folder / "podman-run"),
                     "--storage-driver", "overlay", "--cgroup-manager", "cgroupfs"]
        self.image = image

    def once(self):
        subprocess.run([*self.base, "pull", "-q", "--tls-verify=false", self.image], check=True, stdout=subprocess.DEVNULL)
        return 0

    def clean(self):
        subprocess.run([*self.base, "rmi", "-f", self.image], check=True, stdout=subprocess.DEVNULL)

    def close(self):
        pass


class Docker:
    """In a network namespace of its own, with a second docker-registry over the same folder: two dockerd in one flush
    each other's rules."""
    name = "docker pull"

    def __init__(self, folder, registry, image):
        self.image, self.host = image, f"unix://{folder}/docker.sock"
        work, config = folder / "docker", folder / "docker-registry.yml"
        work.mkdir()
        (work / "daemon.json").write_text("{}")
        config.write_text(registry.config.read_text())
        self.netns = subprocess.Popen(
            ["unshare", "-n", "sh", "-c", f"ip link set lo up && exec docker-registry serve {config}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.daemon = subprocess.Popen(
            ["nsenter", f"--net=/proc/{self.netns.pid}/ns/net", "dockerd", "--data-root", work / "data", "--exec-root", work / "exec",
             "--host", self.host, "--pidfile", work / "pid", "--bridge", "none", "--iptables=false", "--storage-driver", "overlay2",
             "--config-file", work / "daemon.json"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while self.docker("version").returncode:
            if time.monotonic() > end or self.daemon.poll() is not None:
                raise RuntimeError("dockerd does not start")
            time.sleep(0.2)

    def docker(self, *args):
        return subprocess.run(["docker", "-H", self.host, *args], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def once(self):
        began = cpu_of(self.daemon.pid)
        self.docker("pull", "-q", self.image).check_returncode()
        return cpu_of(self.daemon.pid) - began  # it unpacks in processes that it waits for

    def clean(self):
        self.docker("rmi", "-f", self.image).check_returncode()

    def close(self):
        self.daemon.terminate()
        self.daemon.wait(60)
        self.netns.terminate()
        self.netns.wait(60)


class Skopeo:
    name = "skopeo + umoci"

    def __init__(self, folder, image):
        self.oci, self.bundle, self.image = folder / "oci", folder / "bundle", image

    def once(self):
        subprocess.run(["skopeo", "copy", "-q", "--src-tls-verify=false", f"docker://{self.image}", f"oci:{self.oci}:x"],
                       check=True)
        subprocess.run(["umoci", "unpack", "--image", f"{self.oci}:x", str(self.bundle)], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return 0

    def clean(self):
        shutil.rmtree(self.oci)
        shutil.rmtree(self.bundle)

    def close(self):
        pass


class Floor:
    name = "floor (1 thread)"

    def __init__(self, build, folder, image):
        self.program, self.out = build / "bench/pull-floor", folder / "floor"
        self.layers = []
        for i, layer in enumerate(image.layers):
            path = folder / f"layer-{i}.tar.gz"
            path.write_bytes(layer)
            self.layers.append(path)

    def once(self):
        self.out.mkdir()
        subprocess.run([self.program, self.out, *self.layers], check=True)
        return 0

    def clean(self):
        shutil.rmtree(self.out)

    def close(self):
        pass


def section(build, rounds=5, gap=0.04):
    from registry import Registry
    folder = pathlib.Path(tempfile.mkdtemp(prefix="zlayer-bench-pull."))
    image, size = make_image()
    registry = Registry(folder / "registry")
    runners = []
    try:
        name = registry.put("bench/image:1", image)
        for make in (lambda: Zlayer(build, folder, name), lambda: Podman(folder, name), lambda: Docker(folder, registry, name),
                     lambda: Skopeo(folder, name), lambda: Floor(build, folder, image)):
            runners.append(make())
        print(f"pull: {LAYERS} layers, {size / 1e6:.0f} MB, {sum(map(len, image.layers)) / 1e6:.0f} MB compressed, "
              f"{rounds} rounds, {os.cpu_count()} cores")
        wall, used = {r.name: [] for r in runners}, {r.name: [] for r in runners}
        peak = Peak(runners[0].root)
        peak.start()
        for i in range(rounds + 1):
            for r in runners:
                os.sync()
                time.sleep(gap)
                before, began = cpu(), time.perf_counter()
                more = r.once()
                if i:  # the first round warms up
                    wall[r.name].append(time.perf_counter() - began)
                    used[r.name].append(cpu() - before + more)
                r.clean()
        peak.over = True
        floor = statistics.median(wall["floor (1 thread)"])
        for r in runners:
            w, c = statistics.median(wall[r.name]), statistics.median(used[r.name])
            print(f"  {r.name:18} {w:6.2f} s (min {min(wall[r.name]):.2f})   CPU {c:6.2f} s   {w / floor:5.2f} x floor")
        z = runners[0]
        print(f"  peak of zlayer-fetch {peak.peak / 1024:.1f} MB; agent {z.before / 1024:.1f} MB before, "
              f"{memory_of(z.agent, 'VmRSS') / 1024:.1f} MB after")
    finally:
        for r in runners:
            r.close()
        registry.close()
        shutil.rmtree(folder, ignore_errors=True)
