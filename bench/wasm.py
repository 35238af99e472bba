#!/usr/bin/python3
"""A WebAssembly hello through a warm zlayer-wasm, against processes that do the same alone.

zlayer-wasm is asked as the agent asks it (wasm_drive.c): a cgroup with limits of memory, processor and
processes, an empty mount namespace, seccomp, log and exit record. Its peers: a minimal wasmtime host in C
that is executed for each run, and `zlayer-oci run` of a static hello in a container.
"""
import json
import os
import pathlib
import statistics
import subprocess
import tempfile

import oci
from measure import figures, interleaved

PARENT = "/zlayer-wasmbench"
HELLO = '''(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 8) "Hello, WASM!\\n")
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 8)) (i32.store (i32.const 4) (i32.const 13))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 40)))))'''
WAITING = '''(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const 16))
    (loop $again
      (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (br_if $again (i32.load (i32.const 8))))))'''
LIVE, LIVE_ROUNDS = 1000, 200


def big_module():
    """A module of 5 MB: functions that each do some hundred things with numbers, and a hello."""
    body = " ".join(f"(local.set 0 (i32.xor (i32.add (i32.mul (local.get 0) (i32.const {i * 7919 + 3})) "
                    f"(i32.const {i})) (i32.shr_u (local.get 0) (i32.const {i % 31}))))" for i in range(120))
    functions = "\n".join(f"(func $f{k} (export \"f{k}\") (param i32) (result i32) (local.set 0 (i32.add (local.get 0) "
                          f"(i32.const {k}))) {body} (local.get 0))" for k in range(2100))
    return HELLO[:-1] + functions + ")"


def assemble(build, folder, name, text):
    (folder / f"{name}.wat").write_text(text)
    subprocess.run([build / "src/wasm/zlayer-wasm", "assemble", folder / f"{name}.wat", folder / f"{name}.wasm"], check=True)
    return folder / f"{name}.wasm"


class Drive:
    """One zlayer-wasm host, and what wasm-drive says."""

    def __init__(self, build, folder, module, rounds, gap_ms, live=0):
        digest = subprocess.run(["sha256sum", module], capture_output=True, text=True, check=True).stdout.split()[0]
        self.process = subprocess.Popen(
            [build / "bench/wasm-drive", build / "src/wasm/zlayer-wasm", folder / "run", folder / "root", PARENT,
             module, digest, str(rounds + 3), str(gap_ms), str(live)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def read(self):
        """(prepare in ms, its word, [(create, start to exit, create to exit)] in ms)."""
        out, _ = self.process.communicate("\n")
        if self.process.returncode != 0:
            raise RuntimeError(f"wasm-drive: exit {self.process.returncode}")
        lines = [line.split() for line in out.splitlines()]
        prepare = next(line for line in lines if line[0] == "prepare")
        runs = [tuple(float(v) / 1000 for v in line) for line in lines if line[0][0].isdigit()][3:]
        return float(prepare[1]) / 1000, prepare[2], runs


def private_kib(pid):
    rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in rollup if line.startswith("Private_"))


def parent_of(pid):
    return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def guests():
    roots = [p for p in pathlib.Path("/sys/fs/cgroup").glob(f"*{PARENT}/c")] + \
        [p for p in [pathlib.Path(f"/sys/fs/cgroup{PARENT}/c")] if p.exists()]
    return {int(pid) for root in roots for procs in root.glob("*/cgroup.procs") for pid in procs.read_text().split()}


def cold(build, folder):
    module = assemble(build, folder, "big", big_module())
    prepare, word, runs = Drive(build, folder, module, 20, 10).read()
    print(f"  module of {module.stat().st_size / 1e6:.1f} MB, first run ({word}): {prepare:.0f} ms to compile, then "
          f"{statistics.median(r[2] for r in runs):.2f} ms a run")
    prepare, word, _ = Drive(build, folder, module, 1, 10).read()
    print(f"  the same by a new host, first run ({word}): {prepare:.1f} ms to load")


def live(build, folder):
    module = assemble(build, folder, "waiting", WAITING)
    drive = Drive(build, folder, module, LIVE_ROUNDS, 10, LIVE)
    lines = []
    while (line := drive.process.stdout.readline().strip()) != "live":
        lines.append(line)
        if not line:
            raise RuntimeError("wasm-drive ended before all were live")
    pids = guests()
    guest, monitor = [private_kib(p) for p in pids], [private_kib(parent_of(p)) for p in pids]
    out, _ = drive.process.communicate("\n")
    runs = [float(line.split()[1]) / 1000 for line in out.splitlines() if line[:1].isdigit()]
    starts = [float(line.split()[1]) / 1000 for line in lines if line.startswith("live-start")]
    first, last = statistics.median(starts[:100]), statistics.median(starts[-100:])
    print(f"  {len(pids)} live instances: start of the first hundred {first:.2f} ms, of the last {last:.2f} ms (median): "
          f"{last / first:.2f} x; a hello among them {statistics.median(runs):.2f} ms start to exit")
    print(f"  private memory of an idle instance: {statistics.mean(guest):.0f} KiB, with its monitor "
          f"{statistics.mean(guest) + statistics.mean(monitor):.0f} KiB")


def peers(build, folder, disk, module, rounds, gap):
    compiled = folder / "hello.cwasm"
    minimal = build / "bench/wasm-min"
    subprocess.run([minimal, "compile", module, compiled], check=True)
    oci.make_bundle(disk)
    config = json.loads((disk / "config.json").read_text())
    config["process"]["args"] = ["/bin/busybox", "echo", "Hello, container!"]
    (disk / "config.json").write_text(json.dumps(config))
    base = [str(build / "src/ocicli/zlayer-oci"), "--root", str(folder / "oci"), "run", "--bundle", str(disk)]
    return interleaved({
        "wasmtime in C, executed": lambda _: [str(minimal), "run", str(compiled)],
        "zlayer-oci run, static": lambda i: [*base, f"wasm-{os.getpid()}-{i}"],
    }, rounds, gap)


def remove_cgroups():
    for top in pathlib.Path("/sys/fs/cgroup").glob(f"**{PARENT}"):
        for d in sorted(top.rglob("*"), reverse=True):
            if d.is_dir():
                d.rmdir()
        top.rmdir()


def section(build, rounds=300, gap=0.01):
    if not (build / "bench/wasm-min").exists():
        print("wasm: not in this build")
        return
    print(f"wasm: a hello module, cached, limits set; {rounds} starts, one per 10 ms")
    with tempfile.TemporaryDirectory(prefix="zlayer-bench.") as state, \
            tempfile.TemporaryDirectory(prefix="zlayer-bench.") as disk:
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", state], check=True)
        folder = pathlib.Path(state)
        try:
            module = assemble(build, folder, "hello", HELLO)
            _, _, runs = Drive(build, folder, module, rounds, 10).read()
            start = [r[1] for r in runs]
            print(f"  start to exit               {figures(start)}   (below 0.6 median, 2 p99)")
            print(f"  create                      {figures([r[0] for r in runs])}")
            print(f"  create to exit              {figures([r[2] for r in runs])}")
            _, _, runs = Drive(build, folder, module, rounds, 0).read()
            print(f"  without a pause: {1000 / statistics.mean(r[2] for r in runs):.0f} starts a second, one after the other")
            for name, ms in peers(build, folder, pathlib.Path(disk), module, rounds, 0.01).items():
                print(f"  {name:27} {figures(ms)}   {statistics.median(ms) / statistics.median(start):5.1f} x start to exit")
            cold(build, folder)
            live(build, folder)
        finally:
            subprocess.run(["umount", state], check=True)
            remove_cgroups()
