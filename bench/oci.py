#!/usr/bin/python3
"""`zlayer-oci run` against `crun run` and `runc run`: create, start, wait, delete of one bundle.

The bundle is what Docker asks for: all namespaces but user and cgroup, Docker's mounts, masks and
capabilities, our default seccomp profile (no wider than Docker's), limits of memory and pids; a busybox
root file system made here, whose command is /bin/true. All of it runs in a mount namespace without the
v2 hierarchy, because crun 1.8 refuses hybrid cgroups; crun itself is timed, not a wrapper.
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

ROOT = pathlib.Path(__file__).resolve().parent.parent
CAPS = ["CAP_" + c for c in ("CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP "
                             "NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE").split()]
UNIFIED = "/sys/fs/cgroup/unified"


def seccomp():
    """The default profile as linux.seccomp of config.json."""
    profile = json.loads((ROOT / "src/sandbox/plan/seccomp-default.json").read_text())
    calls = []
    for r in profile["rules"]:
        if set(r.get("with", [])) - set(CAPS) or set(r.get("without", [])) & set(CAPS):
            continue
        call = {"names": r["names"].split(), "action": r.get("action", "SCMP_ACT_ALLOW"), "args": r.get("args", [])}
        if "errno" in r:
            call["errnoRet"] = r["errno"]
        calls.append(call)
    return {"defaultAction": profile["default"]["action"], "defaultErrnoRet": profile["default"]["errno"],
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"], "syscalls": calls}


def config():
    def fs(target, kind, source, *options):
        return {"destination": target, "type": kind, "source": source, "options": ["nosuid", *options]}
    return {
        "ociVersion": "1.0.2",
        "process": {"terminal": False, "user": {"uid": 0, "gid": 0}, "args": ["/bin/true"], "cwd": "/",
                    "env": ["PATH=/usr/bin:/bin"], "noNewPrivileges": True,
                    "capabilities": {s: CAPS for s in ("bounding", "effective", "permitted")}},
        "root": {"path": "rootfs", "readonly": False},
        "hostname": "bench",
        "mounts": [
            fs("/proc", "proc", "proc", "noexec", "nodev"),
            fs("/dev", "tmpfs", "tmpfs", "strictatime", "mode=755", "size=65536k"),
            fs("/dev/pts", "devpts", "devpts", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
            fs("/dev/shm", "tmpfs", "shm", "noexec", "nodev", "mode=1777", "size=65536k"),
            fs("/dev/mqueue", "mqueue", "mqueue", "noexec", "nodev"),
            fs("/sys", "sysfs", "sysfs", "noexec", "nodev", "ro"),
            fs("/sys/fs/cgroup", "cgroup", "cgroup", "noexec", "nodev", "relatime", "ro"),
        ],
        "linux": {
            "namespaces": [{"type": t} for t in ("pid", "network", "ipc", "uts", "mount")],
            "resources": {"devices": [{"allow": False, "access": "rwm"}], "memory": {"limit": 64 << 20},
                          "pids": {"limit": 100}},
            "seccomp": seccomp(),
            "maskedPaths": ["/proc/" + p for p in ("acpi asound kcore keys latency_stats timer_list timer_stats "
                                                   "sched_debug scsi").split()] + ["/sys/firmware"],
            "readonlyPaths": ["/proc/" + p for p in "bus fs irq sys sysrq-trigger".split()],
        },
    }


def make_bundle(where):
    binaries = where / "rootfs/bin"
    binaries.mkdir(parents=True)
    for d in "dev etc proc sys tmp".split():
        (where / "rootfs" / d).mkdir()
    shutil.copy("/bin/busybox", binaries / "busybox")
    (binaries / "true").symlink_to("busybox")
    (where / "config.json").write_text(json.dumps(config()))


def runtimes(build, work):
    found = {"zlayer-oci": build / "src/ocicli/zlayer-oci", "crun": shutil.which("crun"), "runc": shutil.which("runc")}
    for name, path in found.items():
        if not path:
            print(f"  {name}: not installed, left out")
            continue
        base = [str(path), "--root", str(work / name), "run", "--bundle", str(work / "bundle")]
        yield name, base


def system_calls(base, work):
    """How many system calls one run makes, in all its processes."""
    out = work / "strace"
    done = subprocess.run(["strace", "-f", "-qq", "-c", "-o", str(out), *base, "counted"], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, check=False)
    total = re.search(r"^100\.00\s.*?(\d+)\s+(?:\d+\s+)?total$", out.read_text(), re.M)
    return int(total.group(1)) if done.returncode == 0 and total else None


def inner(build, rounds, gap):
    if os.path.ismount(UNIFIED):
        subprocess.run(["umount", UNIFIED], check=True)
    # states on tmpfs, where /run is on most hosts; the bundle on disk, as bundles are
    with tempfile.TemporaryDirectory(prefix="zlayer-bench.") as state, \
            tempfile.TemporaryDirectory(prefix="zlayer-bench.") as disk:
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", state], check=True)
        work = pathlib.Path(state)
        (work / "bundle").symlink_to(disk)
        make_bundle(pathlib.Path(disk))
        bases = dict(runtimes(build, work))
        commands = {name: (lambda i, b=base, n=name: [*b, f"bench-{n}-{os.getpid()}-{i}"])
                    for name, base in bases.items()}
        times = interleaved(commands, rounds, gap)
        ours = statistics.median(times["zlayer-oci"])
        for name, ms in times.items():
            print(f"  {name + ' run':16} {figures(ms)}  {statistics.median(ms) / ours:5.1f} x ours (minima "
                  f"{min(ms) / min(times['zlayer-oci']):.1f})")
        if shutil.which("strace"):
            for name, base in bases.items():
                calls = system_calls(base, work)
                print(f"  {name + ' run':16} {calls if calls else 'strace did not count'} system calls, its container's included")
        subprocess.run(["umount", "-l", state], check=True)


def section(build, rounds=100, gap=0.04):
    print(f"OCI runtimes: create + start + wait + delete of /bin/true, {rounds} rounds interleaved, "
          f"{gap * 1000:.0f} ms idle before each")
    sys.stdout.flush()
    subprocess.run(["unshare", "-m", "--propagation", "private", "--", sys.executable, __file__, str(build), str(rounds),
                    str(gap)], check=True)


if __name__ == "__main__":
    inner(pathlib.Path(sys.argv[1]).resolve(), int(sys.argv[2]), float(sys.argv[3]))
