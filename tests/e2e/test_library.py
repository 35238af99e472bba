# SPDX-License-Identifier: Apache-2.0
"""libzlayer, through examples/embed.c: containers without an agent."""
import contextlib
import io
import os
import pathlib
import re
import subprocess
import tarfile

import wasmtool
from world import BUILD

ROOT = pathlib.Path(__file__).resolve().parents[2]


def embed(host, *args):
    return subprocess.run([BUILD / "src/lib/embed", *args], env=host.env, cwd=host.folder, capture_output=True,
                          text=True, timeout=60)


def streams_of_the_wasm_host(host):
    """Where its standard streams lead to."""
    for p in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (p / "cmdline").read_bytes().split(b"\0")
            if words[:2] == [b"zlayer-wasm", b"host"] and words[2].startswith(bytes(host.folder)):
                return {os.readlink(p / "fd" / n) for n in "012"}
    return None


def test_a_program_that_embeds_the_library_runs_a_container(host):
    r = embed(host, "busybox", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (r.returncode, r.stdout, r.stderr) == (3, "out\nexit code 3\n", "err\n")
    assert host.leftovers() == []


def test_failures_of_the_library_are_told_in_words(host):
    assert "execute '/no/such': No such file or directory" in embed(host, "busybox", "/no/such").stderr
    assert "image 'nothing'" in embed(host, "nothing", "true").stderr
    assert host.leftovers() == []


def test_the_agent_leaves_the_containers_of_a_library_alone(host):
    with subprocess.Popen([BUILD / "src/lib/embed", "busybox", "sh", "-c", "sleep 2; exit 4"], env=host.env,
                          cwd=host.folder, stdout=subprocess.PIPE, text=True) as p:
        host.zlayer("run", "--rm", "busybox", "true")  # an agent is there
        host.zlayer("daemon", "stop")
        host.zlayer("run", "--rm", "busybox", "true")  # and another one
        assert p.communicate(timeout=60)[0] == "exit code 4\n"
        assert p.returncode == 4


def test_a_replica_has_an_id_that_is_free_again_when_it_is_removed(host):
    r = subprocess.run([BUILD / "src/lib/library-ids", "image: {name: busybox}"], env=host.env, cwd=host.folder,
                       capture_output=True, text=True, timeout=60)
    said = r.stdout.splitlines()
    assert (r.returncode, r.stderr) == (0, "") and said[:2] == ["web 1: created", "web 2: created"], r
    assert said[2] == "web 1: kind 4: create 'web-rep-1': there is one, which was not removed"
    assert said[3:5] == [f"{who}: kind 2: create: an id has a service and a replica from 1 on" for who in ("web 0", " 1")]
    assert said[5].startswith("web 3: kind 2: ") and said[-1] == "web 1: created"
    assert host.leftovers() == []


def feed(host, given, *command):
    return subprocess.run([BUILD / "src/lib/feed", "busybox", *command], env=host.env, cwd=host.folder, capture_output=True,
                          text=True, timeout=60, input=given)


def test_a_container_reads_what_the_library_writes_until_it_is_closed(host):
    much = "0123456789abcdef\n" * 20000  # more than a pipe and a packet hold
    r = feed(host, much, "sh", "-c", "sleep 0.2; cat; exit 3")
    assert r.returncode == 3 and r.stdout == much
    assert "1 processes, some memory" in r.stderr or "2 processes, some memory" in r.stderr
    assert host.leftovers() == []


def tar_of(**files):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.uid = len(content), 1000
            tar.addfile(info, io.BytesIO(content))
    return data.getvalue()


def inside(host, given, *words):
    return subprocess.run([BUILD / "src/lib/inside", *words], env=host.env, cwd=host.folder, capture_output=True, timeout=60, input=given)


def test_the_library_works_inside_a_container(host):
    """attach, update, copy in, exec with input, environment and directory, top, copy out."""
    script = "cat given > made; cat >> made; echo $BY $(pwd) $(stat -c %u given) >> made; echo to-stderr >&2; exit 6"
    r = inside(host, tar_of(given=b"from the archive\n"), "busybox", script, "/work/made")
    assert r.returncode == 6, r.stderr
    with tarfile.open(fileobj=io.BytesIO(r.stdout)) as tar:
        assert tar.extractfile("made").read().decode() == "from the archive\na line of input\ninside /work 1000\n"
    said = r.stderr.decode()
    assert "heard beat\n" in said and "to-stderr" in said and "process PID COMMAND" in said and " sh\n" in said
    assert host.leftovers() == []


def test_failures_inside_a_container_are_told_in_words(host):
    r = inside(host, tar_of(x=b""), "busybox", "true", "/nothing/here")
    assert r.returncode == 125 and b"open '/nothing' in the root filesystem: No such file" in r.stderr
    assert b"archive" in inside(host, b"no archive" * 100, "busybox", "true", "/work").stderr
    assert host.leftovers() == []


def test_the_manual_has_every_function_of_the_header():
    """Made of the header's comments; only what every reader of man pages knows is in it."""
    page = (BUILD / "src/lib/zlayer.3").read_text()
    header = (ROOT / "include/zlayer.h").read_text()
    functions = re.findall(r"^ZLAYER_API .*?(zlayer_\w+)\(", header, re.M)
    assert len(functions) > 25
    for name in functions:
        assert f"{name}(" in page and (BUILD / f"src/lib/{name}.3").read_text() == ".so man3/zlayer.3\n"
    assert "ZLAYER_API" not in page
    assert {line.split()[0] for line in page.splitlines() if line.startswith((".", "'"))} <= {
        ".TH", ".SH", ".PP", ".RS", ".RE", ".nf", ".fi", ".I", ".BR"}
    for sentence in ("A runtime and its containers are used by one thread at a time", "Executes a further command"):
        assert sentence in page.replace("\n", " ").replace("\\-", "-")


def test_an_answer_that_comes_when_who_asked_is_gone_reaches_nobody(host):
    env = dict(host.env, ASAN_OPTIONS=host.env["ASAN_OPTIONS"] + ":detect_stack_use_after_return=1")
    r = subprocess.run([BUILD / "src/lib/broken_loop", "busybox"], env=env, cwd=host.folder, capture_output=True, text=True, timeout=60)
    assert r.returncode == 0, r.stderr
    assert r.stdout == "list the processes of: the loop failed\n0 rows of a table that nobody waits for\n2 rows\n"
    assert host.leftovers() == []


@wasmtool.needs_wasm
def test_a_module_runs_through_the_library_as_a_container_does(host, tmp_path):
    """examples/embed.c: pull, create, start, wait, remove, by the id {service, replica}."""
    module = wasmtool.compile_c(tmp_path, "tool.c")
    host.zlayer("import", module, "-t", "tool")
    host.zlayer("daemon", "stop")
    r = embed(host, "tool", "tool", "say", "out", "err")
    assert streams_of_the_wasm_host(host) == {"/dev/null"}  # it goes on for a while, and nobody waits for its output
    assert (r.returncode, r.stdout, r.stderr) == (0, "out\nexit code 0\n", "err\n")
    assert embed(host, "tool", "tool", "exit", "3").returncode == 3
    assert embed(host, "tool").returncode == 64  # no arguments
    assert host.leftovers() == []
