"""zlayer-oci as the runtime of dockerd, podman and containerd, with the real programs."""
import os
import pathlib
import subprocess
import tempfile

import pytest

from engines import Containerd, Docker, Podman
from world import on_terminal, until

HOG = "x=0123456789abcdef; while :; do x=$x$x; done"
# Ends with 7 when it is asked to, and whether it heeds that already: before, a first process does not hear of the signal.
ENDS = "trap 'exit 7' TERM; touch /tmp/heeds; while :; do sleep 0.05; done"
HEEDS = "until test -e /tmp/heeds; do sleep 0.05; done; "


def make(kind, busybox_tar):
    if os.geteuid() != 0:
        pytest.fail("these tests run engines: run them as root")
    engine = kind(tempfile.mkdtemp(prefix="zlayer-eng."), busybox_tar)
    try:
        yield engine
    finally:
        left = engine.close()
    assert not left, left


@pytest.fixture(scope="module", params=[Docker, Podman], ids=["docker", "podman"])
def engine(request, busybox_tar):
    yield from make(request.param, busybox_tar)


@pytest.fixture(scope="module")
def containerd(busybox_tar):
    yield from make(Containerd, busybox_tar)


# ---- docker and podman ---------------------------------------------------------------------------

def test_output_and_exit_code(engine):
    r = engine.run(engine.image, "sh", "-c", "echo out; echo err >&2; exit 42", code=42)
    assert (r.stdout, r.stderr) == ("out\n", "err\n")


@pytest.mark.parametrize("command, code", [("nothing-such", 127), ("/no/such", 127), ("/etc", 126)])
def test_a_command_that_cannot_run_is_told_as_with_runc(engine, command, code):
    assert command in engine.run(engine.image, command, code=code).stderr


def test_detached_then_exec_then_stop(engine):
    engine.start("web", engine.image, "sh", "-c", ENDS)
    r = engine.cli("exec", "-u", "web", "-w", "/tmp", "-e", "A=b", "web", "sh", "-c", HEEDS + "id -u; id -G; pwd; echo $A; exit 4", code=4)
    assert r.stdout == "1000\n1000 50\n/tmp\nb\n"
    r = engine.cli("exec", "web", "nothing-such", code=None)
    assert r.returncode in (126, 127) and "nothing-such" in r.stdout + r.stderr
    assert "sh -c trap" in engine.cli("top", "web").stdout
    engine.cli("pause", "web")
    assert "paused" in engine.inspect("web", ".State.Status")
    engine.cli("unpause", "web")
    engine.cli("stop", "-t", "20", "web")
    assert engine.inspect("web", ".State.ExitCode") == "7"
    engine.remove("web")


def test_the_memory_limit_is_hit(engine):
    engine.start("hog", "--memory", "16m", engine.image, "sh", "-c", HOG)
    assert engine.cli("wait", "hog").stdout.strip() == "137"
    if engine.knows_oom:
        assert engine.inspect("hog", ".State.OOMKilled") == "true"
    engine.remove("hog")


def test_volumes_are_there_and_read_only_ones_are(engine, tmp_path):
    (tmp_path / "f").write_text("from the host\n")
    script = "cat /ro/f; echo x > /rw/g; echo x > /ro/h || echo refused"
    r = engine.run("-v", f"{tmp_path}:/ro:ro", "-v", f"{tmp_path}:/rw", engine.image, "sh", "-c", script)
    assert r.stdout == "from the host\nrefused\n"
    assert (tmp_path / "g").read_text() == "x\n" and not (tmp_path / "h").exists()


def test_user_groups_and_rights(engine):
    r = engine.run("--user", "web", "--cap-drop", "all", "--cap-add", "net_raw", engine.image, "sh", "-c",
                   "id -u; id -g; grep -E 'CapEff|CapBnd|Seccomp:' /proc/self/status")
    lines = r.stdout.split()
    effective = {"docker": 0, "podman": 1 << 13}[engine.name]  # podman makes what is added ambient
    assert lines[:2] == ["1000", "1000"] and int(lines[3], 16) == effective and int(lines[5], 16) == 1 << 13 and lines[7] == "2"


def test_a_read_only_root(engine):
    r = engine.run(*engine.read_only, engine.image, "sh", "-c", "touch /x || echo refused; touch /tmp/x && echo there")
    assert r.stdout == "refused\nthere\n"


def test_a_user_namespace_with_volumes_of_mapped_ids(engine, tmp_path):
    if engine.name == "docker":
        return  # its user namespaces are of the whole daemon
    mapped = ["--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536"]
    (tmp_path / "f").touch()
    tmp_path.chmod(0o755)
    r = engine.run(*mapped, engine.image, "sh", "-c", "id -u; cat /proc/self/uid_map; touch /new && stat -c %u /new; echo > /dev/null && echo null")
    assert r.stdout.split() == ["0", "0", "100000", "65536", "0", "null"]
    assert engine.run(*mapped, "-v", f"{tmp_path}:/mnt", engine.image, "stat", "-c", "%u", "/mnt/f").stdout == "65534\n"
    r = engine.run(*mapped, "-v", f"{tmp_path}:/mnt:idmap", engine.image, "sh", "-c", "touch /mnt/g && stat -c %u /mnt/f /mnt/g")
    assert r.stdout == "0\n0\n" and (tmp_path / "g").stat().st_uid == 0
    engine.start("mapped", *mapped, engine.image, "sleep", "1000")
    assert engine.cli("exec", "mapped", "id", "-u").stdout == "0\n"
    assert engine.cli("exec", "--user", "5", "mapped", "id", "-u").stdout == "5\n"
    engine.remove("mapped")


def test_a_terminal(engine):
    out, code = on_terminal(lambda tty: engine.popen("run", "--rm", *engine.network, "--cgroup-parent", engine.cgroup, "-it", engine.image,
                                                     "sh", "-c", "test -t 0 && tty; read -t 60 go; exit 3", stdin=tty, stdout=tty, stderr=tty),
                            typed=b"go\n", after=b"/dev/pts/0")
    assert "/dev/pts/0" in out and code == 3


def test_limits_are_updated(engine):
    engine.start("small", "--memory", "32m", "--cpus", "0.5", "--pids-limit", "30", engine.image, "sleep", "1000")
    pid = engine.inspect("small", ".State.Pid")
    assert read_limit(pid, "memory", "memory.limit_in_bytes", "memory.max") == str(32 << 20)
    assert read_limit(pid, "pids", "pids.max", "pids.max") == "30"
    if engine.name == "docker":  # podman learnt it later
        engine.cli("update", "--memory", "64m", "--memory-swap", "128m", "--pids-limit", "40", "small")
        assert read_limit(pid, "memory", "memory.limit_in_bytes", "memory.max") == str(64 << 20)
        assert read_limit(pid, "pids", "pids.max", "pids.max") == "40"
    engine.remove("small")


def read_limit(pid, controller, v1, v2):
    for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        if controller in names.split(","):
            return pathlib.Path(f"/sys/fs/cgroup/{controller}{path}/{v1}").read_text().strip()
        if not names and os.path.exists(f"/sys/fs/cgroup{path}/{v2}"):
            return pathlib.Path(f"/sys/fs/cgroup{path}/{v2}").read_text().strip()
    raise AssertionError(f"no {controller} cgroup of {pid}")


def test_a_published_port_answers(engine):
    engine.start("page", "-p", "127.0.0.1:8088:80", engine.image, "sh", "-c", "echo hello > /tmp/index.html; exec httpd -f -p 80 -h /tmp")
    fetch = engine.inside("python3", "-c", "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8088/', timeout=2).read().decode(), end='')")
    until(lambda: subprocess.run(fetch, capture_output=True, text=True, timeout=10).stdout == "hello\n", "the page")
    engine.remove("page")


def test_a_health_check_sees_what_is(engine):
    engine.start("sick", "--health-cmd", "test -e /tmp/ok", "--health-interval", "1s" if engine.name == "docker" else "disable",
                 "--health-retries", "1", engine.image, "sleep", "1000")
    until(lambda: engine.health("sick") == "unhealthy", "it is unhealthy")
    engine.cli("exec", "sick", "touch", "/tmp/ok")
    until(lambda: engine.health("sick") == "healthy", "it is healthy")
    engine.remove("sick")


def test_logs_of_both_streams(engine):
    engine.start("chat", engine.image, "sh", "-c", "echo one; echo two >&2")
    assert engine.cli("wait", "chat").stdout.strip() == "0"
    r = engine.cli("logs", "chat")
    assert (r.stdout, r.stderr) == ("one\n", "two\n")
    engine.remove("chat")


# ---- containerd ----------------------------------------------------------------------------------

def test_ctr_output_and_exit_code(containerd):
    assert containerd.run_heard("one", [], "echo out", 1, code=42) == "out\n"
    assert "'nothing-such': executable file not found in $PATH" in containerd.run("two", [], "nothing-such", code=1).stderr


def test_ctr_detached_then_exec_then_kill(containerd):
    containerd.start("web", "sh", "-c", ENDS)
    assert containerd.cli("task", "exec", "--exec-id", "a", "web", "sh", "-c", HEEDS + "cat /proc/1/comm; exit 4", code=4).stdout == "sh\n"
    containerd.cli("task", "pause", "web")
    assert containerd.status("web") == "PAUSED"
    containerd.cli("task", "resume", "web")
    assert "memory" in containerd.cli("task", "metrics", "web").stdout
    containerd.cli("task", "kill", "web")
    until(lambda: containerd.status("web") == "STOPPED", "web is stopped")
    assert "exit code 7" in containerd.cli("task", "rm", "web").stderr
    containerd.cli("container", "rm", "web")


def test_ctr_memory_limit_volume_and_read_only_root(containerd, tmp_path):
    containerd.run("hog", ["--memory-limit", 16 << 20], "sh", "-c", HOG, code=137)
    (tmp_path / "f").write_text("from the host\n")
    mount = f"type=bind,src={tmp_path},dst=/data,options=rbind:ro"
    said = containerd.run_heard("ro", ["--read-only", "--mount", mount], "cat /data/f; touch /data/x || echo refused; touch /x || echo refused", 3)
    assert said == "from the host\nrefused\nrefused\n"


def test_ctr_terminal(containerd):
    out, code = on_terminal(lambda tty: containerd.popen("run", "--rm", "--tty", *containerd.options("tty"), containerd.image, "tty",
                                                         "sh", "-c", "test -t 0 && tty; exit 3", stdin=tty, stdout=tty, stderr=tty))
    assert "/dev/pts/0" in out and code == 3


def test_ctr_logs(containerd, tmp_path):
    # It lives until the log is whole: when a container ends at once, containerd 1.6 loses what was said last on one of two
    # streams that share a log, whatever the runtime.
    log = tmp_path / "log"
    containerd.cli("run", "--detach", *containerd.options("chat"), "--log-uri", f"file://{log}", containerd.image, "chat",
                   "sh", "-c", "trap 'exit 0' TERM; echo one; echo two >&2; while :; do sleep 0.05; done")
    until(lambda: sorted(log.read_text().split()) == ["one", "two"], "both lines are in the log")
    containerd.cli("task", "kill", "chat")
    until(lambda: containerd.status("chat") == "STOPPED", "chat has ended")
    assert sorted(log.read_text().split()) == ["one", "two"]
    containerd.remove("chat")
