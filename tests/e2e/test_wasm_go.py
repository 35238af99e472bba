"""The tests of Go's own library, compiled for WASI preview 1: every case that wasmtime passes passes here.

Some 2,000 cases of files, folders, links, times, clocks and streams that others wrote for whoever runs WASI. They come
with any Go from 1.21 on (Debian 12 has an older one). With ZLAYER_WASI=full only: compiling takes a minute or two.
"""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

import wasmtool as t
import world as w

REFERENCE = w.BUILD / "tests/tools/wasi-reference"
# Package: how many cases wasmtime passes at least, subtests included.
HELD = {"os": 1000, "io/fs": 20, "io/ioutil": 25, "path/filepath": 40, "time": 400, "syscall": 40, "bufio": 80, "testing/fstest": 7}


def go(*args, **env):
    r = subprocess.run(["go", *args], env={**os.environ, "GOTOOLCHAIN": "local", **env}, capture_output=True, text=True,
                       timeout=580, check=False)
    assert r.returncode == 0, r.stderr
    return r.stdout.strip()


def missing():
    if os.environ.get("ZLAYER_WASI") != "full":
        return "ZLAYER_WASI=full: compiling Go's library takes a minute or two"
    if not shutil.which("go") or "wasip1/wasm" not in go("tool", "dist", "list"):
        return "there is no Go that compiles for wasip1"
    return None


# they take minutes and a Go that compiles for wasip1 (1.21; Debian 12 has 1.19): asked for by ZLAYER_WASI=full
pytestmark = [t.needs_wasm, pytest.mark.skipif(missing() is not None, reason=str(missing()))]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """All files that the guests see: the tests and what they read."""
    folder, goroot = tmp_path_factory.mktemp("go"), pathlib.Path(go("env", "GOROOT"))
    inside = folder / str(goroot).lstrip("/")
    (folder / "tmp").mkdir()
    for package in HELD:
        shutil.copytree(goroot / "src" / package, inside / "src" / package, dirs_exist_ok=True)
    shutil.copytree(goroot / "lib/time", inside / "lib/time")
    return folder, goroot


def passed(program, module, root, goroot, package):
    r = subprocess.run([*program, "--env", f"PWD={goroot}/src/{package}", "--env", f"GOROOT={goroot}", "--env", "TMPDIR=/tmp",
                        "--env", "PATH=/usr/bin", "--dir", f"{root}::/", module, "-test.short", "-test.v"],
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                       timeout=500, check=False)
    return set(re.findall(r"^ *--- PASS: (\S+)", r.stdout, re.M)), r.stdout


@pytest.mark.parametrize("package", HELD)
def test_what_wasmtime_passes_passes(root, tmp_path, package):
    folder, goroot = root
    module = tmp_path / "test.wasm"
    go("test", "-c", "-o", module, package, GOOS="wasip1", GOARCH="wasm")
    theirs, _ = passed([REFERENCE], module, folder, goroot, package)
    ours, said = passed([t.PROGRAM, "direct"], module, folder, goroot, package)
    assert len(theirs) >= HELD[package]
    assert theirs <= ours, (theirs - ours, said[-3000:])
    print(f"{package}: {len(ours)} cases passed, {len(theirs)} by wasmtime")
