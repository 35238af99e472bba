"""What is done to a container that runs: attach, exec, signals, pause, new limits."""
import concurrent.futures
import fcntl
import json
import os
import pathlib
import pty
import re
import signal
import socket
import struct
import subprocess
import termios
import time

import pytest

from world import alive, parent, until


class Terminal:
    """A pseudo-terminal of ours that a zlayer command runs at."""

    def __init__(self, host, *args):
        self.master, slave = pty.openpty()
        self.process = host.popen(*args, stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        os.set_blocking(self.master, False)
        self.seen = b""

    def read(self):
        try:
            self.seen += os.read(self.master, 65536)
        except OSError:  # nothing now, or the other end is closed
            pass
        return self.seen

    def expect(self, text):
        until(lambda: text in self.read(), f"{text!r} at the terminal, seen {self.seen!r}")

    def type(self, text):
        os.write(self.master, text)

    def end(self):
        until(lambda: (self.read(), self.process.poll() is not None)[1], "the end of the command")
        os.close(self.master)
        return self.process.returncode


@pytest.fixture
def host(shared_host):
    yield shared_host
    shared_host.clear()


def run(host, name, *args):
    return host.zlayer("run", "-d", "--name", name, *args).stdout.strip()


def inspect(host, name):
    return host.json("container", "inspect", name)


def test_attach_shows_what_is_written_from_now_on_and_gives_the_code(host):
    run(host, "talk", "-i", "busybox", "sh", "-c", "read a; echo got $a; read b; echo bad $b >&2; exit 5")
    r = host.zlayer("attach", "talk", input="one\ntwo\n", code=5)
    assert (r.stdout, r.stderr) == ("got one\n", "bad two\n")


def test_the_detach_keys_leave_a_terminal_and_its_process_goes_on(host):
    t = Terminal(host, "run", "-it", "--name", "term", "busybox", "sh")
    t.type(b"echo first-$((1+1))\n")
    t.expect(b"first-2")
    t.type(b"\x10\x11")
    assert t.end() == 0
    pid = inspect(host, "term")["pid"]
    assert pid
    t = Terminal(host, "attach", "--detach-keys", "ctrl-x,d", "term")
    until(lambda: (t.type(b"\n"), b"#" in t.read())[1], "a prompt")
    t.type(b"echo \x10again-$((2+2))\n")  # a single key of the default is input here
    t.expect(b"again-4")
    t.type(b"\x18d")
    assert t.end() == 0
    assert inspect(host, "term")["pid"] == pid
    t = Terminal(host, "attach", "term")
    t.type(b"exit 7\n")
    assert t.end() == 7


def set_size(terminal, rows, cols):
    fcntl.ioctl(terminal.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
    terminal.process.send_signal(signal.SIGWINCH)


def test_attach_follows_the_size_of_the_terminal(host):
    run(host, "size", "-i", "-t", "busybox", "sh")
    t = Terminal(host, "attach", "size")
    set_size(t, 41, 117)
    until(lambda: (t.type(b"stty size || resize\n"), re.search(rb"41.{1,20}117", t.read(), re.S))[1], "its size inside")
    t.type(b"exit 0\n")
    assert t.end() == 0


def test_a_command_follows_the_size_of_its_terminal(host):
    run(host, "box", "busybox", "sleep", "1000")
    t = Terminal(host, "exec", "-i", "-t", "box", "--", "sh")
    set_size(t, 40, 120)
    until(lambda: (t.type(b"stty size || resize\n"), re.search(rb"40.{1,20}120", t.read(), re.S))[1], "its size inside")
    set_size(t, 24, 80)
    until(lambda: (t.type(b"stty size || resize\n"), re.search(rb"24.{1,20}80", t.read(), re.S))[1], "its next size inside")
    t.type(b"test -t 0 && test -t 2 && exit 9\n")
    assert t.end() == 9


def test_wrong_detach_keys_are_refused(host):
    run(host, "k", "busybox", "sleep", "1000")
    assert "detach keys" in host.zlayer("attach", "--detach-keys", "meta-x", "k", code=125).stderr


def test_exec_has_user_directory_and_environment(host):
    run(host, "box", "-e", "A=1", "-e", "B=1", "busybox", "sleep", "1000")
    r = host.zlayer("exec", "-u", "web", "-w", "/tmp", "-e", "B=2", "box", "--", "sh", "-c", "id -u; id -G; pwd; echo $A$B")
    assert r.stdout.split("\n")[:4] == ["1000", "1000 50", "/tmp", "12"]


def test_exec_has_what_the_first_process_has(host):
    run(host, "box", "busybox", "sleep", "1000")
    keys = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp:", "Seccomp_filters")
    def status(text):
        return [line for line in text.splitlines() if line.startswith(keys)]
    pid = inspect(host, "box")["pid"]
    of_init = status(pathlib.Path(f"/proc/{pid}/status").read_text())
    of_exec = status(host.zlayer("exec", "box", "--", "cat", "/proc/self/status").stdout)
    assert of_exec == of_init and len(of_init) >= 7
    links = {ns: os.readlink(f"/proc/{pid}/ns/{ns}") for ns in ("mnt", "pid", "net", "ipc", "uts", "cgroup")}
    inside = host.zlayer("exec", "box", "--", "sh", "-c", "for n in mnt pid net ipc uts cgroup; do readlink /proc/self/ns/$n; done")
    assert inside.stdout.split() == list(links.values())


def test_a_detached_exec_goes_on_by_itself(host):
    run(host, "box", "busybox", "sleep", "1000")
    host.zlayer("exec", "-d", "box", "--", "sh", "-c", "while test ! -e /tmp/go; do sleep 0.05; done; echo done >/tmp/end")
    host.zlayer("exec", "box", "--", "touch", "/tmp/go")
    until(lambda: host.zlayer("exec", "box", "--", "sh", "-c", "cat /tmp/end || true").stdout == "done\n", "its end")


def test_a_command_ends_with_its_client(host):
    run(host, "box", "busybox", "sleep", "1000")
    p = host.popen("exec", "box", "--", "sh", "-c", "echo on; sleep 999")
    assert p.stdout.readline() == "on\n"
    p.kill()
    until(lambda: "sleep 999" not in host.zlayer("exec", "box", "--", "ps").stdout, "its end")


@pytest.mark.parametrize("name", ["usr1", "SIGUSR1", " Usr1 ", "10"])
def test_signals_go_by_any_name(host, name):
    run(host, "trap", "busybox", "sh", "-c", "trap 'exit 9' USR1; echo ready; while :; do sleep 0.05; done")
    until(lambda: "ready" in host.zlayer("logs", "trap").stdout, "the trap")
    host.zlayer("kill", "-s", name, "trap")
    assert host.zlayer("wait", "trap").stdout == "9\n"
    events = [json.loads(line) for line in host.zlayer("events", "--format", "json").stdout.splitlines()]
    assert [e["text"] for e in events if e["type"] == "kill"][-1] == "trap: SIGUSR1"


@pytest.mark.parametrize("name", ["SIGFOO", "", "65", "TERM KILL", "\udcff"])
def test_what_is_no_signal_is_refused(host, name):
    run(host, "box", "busybox", "sleep", "1000")
    assert "is not a signal" in host.zlayer("kill", "-s", name, "box", code=1).stderr
    assert inspect(host, "box")["state"] == "running"


def cpu(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def test_paused_it_gets_no_cpu_and_is_told_as_running(host):
    run(host, "spin", "busybox", "sh", "-c", "while :; do :; done")
    pid = inspect(host, "spin")["pid"]
    until(lambda: cpu(pid) > 5, "CPU time")
    assert host.zlayer("pause", "spin").stdout == "spin\n"
    before = cpu(pid)
    time.sleep(0.3)  # time in which it would have been given some
    assert cpu(pid) == before
    found = inspect(host, "spin")
    assert (found["state"], found["paused"]) == ("running", True)
    assert "paused" in host.zlayer("pause", "spin", code=1).stderr
    assert "paused" in host.zlayer("exec", "spin", "--", "true", code=None).stderr
    host.zlayer("unpause", "spin")
    until(lambda: cpu(pid) > before, "CPU time again")
    assert inspect(host, "spin")["paused"] is False
    assert "not paused" in host.zlayer("unpause", "spin", code=1).stderr
    host.zlayer("pause", "spin")
    host.zlayer("container", "stop", "-t", "1", "spin")  # goes on to be stopped
    assert inspect(host, "spin")["exit"]["signal"] in (9, 15)


def test_a_paused_container_is_still_paused_for_the_next_agent(host):
    run(host, "box", "busybox", "sleep", "1000")
    host.zlayer("pause", "box")
    agent = host.agent_pid()
    os.kill(agent, 9)
    until(lambda: not alive(agent), "the end of the agent")
    assert inspect(host, "box")["paused"]
    host.zlayer("unpause", "box")


def test_a_question_to_an_agent_that_is_killed_is_asked_again(world):
    place = world.run / "zlayer.sock"
    world.run.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as dying:
        dying.bind(str(place))
        dying.listen()
        asked = world.popen("ps", "--format", "json")
        accepted, _ = dying.accept()
        place.unlink()
    accepted.close()
    assert json.loads(asked.communicate(timeout=60)[0]) is not None and asked.returncode == 0


def test_health_is_not_judged_while_paused(host):
    host.spec("""
version: v1
deployment: sick
services:
  web:
    image: {name: busybox}
    command: {entrypoint: [sleep, "1000"]}
    health: {check: {type: command, command: "sleep 0.5"}, interval: 100ms, timeout: 1s, retries: 1}
""")
    host.zlayer("up", "-d", "test.zlayer.yml")
    host.up("web", 1)
    host.zlayer("pause", "web")
    # That nothing happens has no condition to wait for: longer than the check that is mostly under way may take.
    time.sleep(1.5)
    found = [c for c in host.containers("sick")][0]
    assert (found["health"], found["restarts"], found["paused"]) == ("healthy", 0, True)
    host.zlayer("unpause", "web")
    host.zlayer("down", "-t", "0", "sick")


def test_a_paused_replica_whose_monitor_is_killed_is_replaced(host):
    host.spec("""
version: v1
deployment: cold
services:
  web:
    image: {name: busybox}
    command: {entrypoint: [sleep, "1000"]}
""")
    host.zlayer("up", "-d", "test.zlayer.yml")
    first = host.up("web", 1)[0]
    host.zlayer("pause", "web")
    os.kill(parent(first["pid"]), signal.SIGKILL)
    assert host.back(first)["exit"]["lost"]
    assert not alive(first["pid"])


def cgroup_value(host, ident, *names):
    for base in host.cgroups():
        for name in names:
            path = base / "c" / ident / name
            if path.exists():
                return path.read_text().strip()
    raise AssertionError(f"none of {names}")


def test_new_limits_are_in_force_at_once(host):
    ident = run(host, "box", "-m", "64m", "busybox", "sleep", "1000")
    host.zlayer("update", "--memory", "128Mi", "--cpus", "0.5", "--pids-limit", "33", "--cpu-shares", "512", "box")
    assert cgroup_value(host, ident, "memory.limit_in_bytes", "memory.max") == str(128 << 20)
    assert cgroup_value(host, ident, "cpu.cfs_quota_us", "cpu.max").split()[0] == "50000"
    assert cgroup_value(host, ident, "pids.max") == "33"
    host.zlayer("update", "box")  # nothing is asked: nothing happens
    assert cgroup_value(host, ident, "pids.max") == "33"
    r = host.zlayer("update", "--cpuset-cpus", "no", "box", code=1)
    assert "cpuset" in r.stderr
    assert cgroup_value(host, ident, "memory.limit_in_bytes", "memory.max") == str(128 << 20)


def test_what_cannot_be_updated_is_told(host):
    run(host, "box", "busybox", "sleep", "1000")
    body = json.dumps({"kernel_memory": 1 << 20, "pids_limit": 20, "restart_policy": {"name": "always"}})
    r = subprocess.run(["curl", "-s", "--unix-socket", str(host.run / "zlayer.sock"), "-d", body,
                        "http://zlayer/api/v1/containers/box/update"], capture_output=True, text=True, check=True)
    warnings = json.loads(r.stdout)["warnings"]
    assert len(warnings) == 2 and "kernel_memory" in warnings[0] and "restart_policy" in warnings[1]


def test_wait_answers_before_during_and_after_the_end(host):
    run(host, "later", "-i", "busybox", "sh", "-c", "read x; exit 6")
    waiting = host.popen("wait", "later")
    assert host.zlayer("wait", "--timeout", "1s", "later", code=5).stdout == ""
    host.zlayer("attach", "later", input="x\n", code=6)
    assert waiting.communicate(timeout=60)[0] == "6\n"
    assert host.zlayer("wait", "later").stdout == "6\n"
    gone = ask(host, "later", "removed=1")
    host.zlayer("container", "rm", "later")
    with gone:
        gone.settimeout(20)
        assert b" 204 " in gone.recv(65536).split(b"\r\n")[0]


def ask(host, name, what):
    """A client that waits for something; the agent knows of it when this returns."""
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(host.run / "zlayer.sock"))
    client.sendall(f"POST /api/v1/containers/{name}/wait?{what} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".encode())
    for _ in range(2):  # its loop has read it by then
        host.json("status")
    return client


def exit_code(client):
    with client:
        client.settimeout(20)
        head, _, body = client.recv(65536).partition(b"\r\n\r\n")
        assert b" 200 " in head.split(b"\r\n")[0], head
        return json.loads(body)["exit"]["code"]


def test_wait_for_the_next_end_passes_over_one_that_is_past(host):
    run(host, "again", "busybox", "sh", "-c", "exit 3")
    assert host.zlayer("wait", "again").stdout == "3\n"
    assert host.zlayer("wait", "--next", "--timeout", "200ms", "again", code=5).stdout == ""
    of_past = ask(host, "again", "next=1")
    host.zlayer("container", "rm", "again")
    run(host, "again", "-i", "busybox", "sh", "-c", "read x; exit 4")
    of_present = ask(host, "again", "next=1")
    host.zlayer("attach", "again", input="x\n", code=4)
    assert (exit_code(of_past), exit_code(of_present)) == (4, 4)


def test_wait_for_the_next_end_of_a_replica(host):
    path = host.spec("""
version: v1
deployment: nextend
services:
  web: {image: {name: busybox}, command: {entrypoint: [sleep, "1000"]}, scale: {mode: fixed, replicas: 1}}
""")
    host.zlayer("up", "-d", path)
    try:
        waiting = host.popen("wait", "--next", "nextend/web-rep-1")
        until(lambda: host.zlayer("kill", "web", code=None) and waiting.poll() is not None, "its end")
        assert waiting.communicate()[0] == "137\n"
    finally:
        host.zlayer("down", "nextend")


def test_what_is_not_there_is_named(host):
    for command in (["attach"], ["kill"], ["pause"], ["unpause"], ["update"], ["wait"]):
        assert "no-such" in host.zlayer(*command, "no-such", code=None).stderr


# ---- what is told of it -------------------------------------------------------------------------
def stats(host, *names):
    out = host.zlayer("stats", "--no-stream", *names, "--format", "json").stdout
    return {s["name"]: s for s in map(json.loads, out.splitlines())}


def cpu_used_ns(host, ident):
    """As the kernel counts it: nanoseconds in v1, in v2 microseconds behind "usage_usec"."""
    text = cgroup_value(host, ident, "cpuacct.usage", "cpu.stat").split()
    return int(text[0]) if len(text) == 1 else int(text[1]) * 1000


def test_stats_count_cpu_as_the_kernel_does(host):
    """Against the kernel's own count: how much of a processor a busy loop gets is the machine's affair."""
    ident = run(host, "spin", "busybox", "sh", "-c", "while :; do :; done")
    began = cpu_used_ns(host, ident)
    told = host.popen("stats", "spin", "--format", "json")
    def used_ns(sample):
        return sample["stats"]["cpu"]["usage_ns"]
    before = now = json.loads(told.stdout.readline())
    for _ in range(20):  # a sample a second; on a busy machine the loop may have got nothing in one
        if used_ns(now) > used_ns(before):
            break
        before, now = now, json.loads(told.stdout.readline())
    told.send_signal(signal.SIGINT)
    told.communicate()
    assert began <= used_ns(before) < used_ns(now) <= cpu_used_ns(host, ident)
    wall = now["stats"]["mono_ns"] - before["stats"]["mono_ns"]
    assert now["stats"]["cpu"]["online_cpus"] == os.sysconf("SC_NPROCESSORS_ONLN")
    share = 100 * (used_ns(now) - used_ns(before)) / wall / now["stats"]["cpu"]["online_cpus"]
    assert now["cpu_percent"] == pytest.approx(share, rel=1e-6)


def test_stats_count_cpu_and_memory(host):
    run(host, "spin", "-m", "256m", "--pids-limit", "50", "busybox", "sh", "-c", "while :; do :; done")
    run(host, "eat", "-m", "256m", "busybox", "sh", "-c", "head -c 67108864 /dev/zero >/dev/shm/f; sleep 1000")
    until(lambda: stats(host)["eat"]["stats"]["memory"]["usage"] > 60 << 20, "64 MiB")
    seen = stats(host)
    spin, eat = seen["spin"], seen["eat"]
    assert eat["cpu_percent"] < spin["cpu_percent"] < 1.1 * 100 / spin["stats"]["cpu"]["online_cpus"]
    assert abs(eat["stats"]["memory"]["usage"] - (64 << 20)) < 0.1 * (64 << 20) + (4 << 20)
    assert abs(eat["memory_percent"] - 25) < 4
    assert spin["stats"]["memory"]["limit"] == 256 << 20
    assert spin["stats"]["pids"] == {"current": 1, "limit": 50}
    table = host.zlayer("stats", "--no-stream", "spin").stdout
    assert "256 MiB" in table and "spin" in table and "eat" not in table


def test_stats_count_written_blocks(host):
    run(host, "disk", "busybox", "sh", "-c", "dd if=/dev/zero of=/f bs=1M count=8 conv=fsync 2>/dev/null; sleep 1000")
    def written():
        s = stats(host)["disk"]["stats"]["block_io"]
        return s["write_bytes"]
    v1 = pathlib.Path("/sys/fs/cgroup/blkio/blkio.throttle.io_service_bytes_recursive")
    if v1.exists() and v1.read_text().split()[-1] == "0":
        pytest.skip("this kernel's cgroup v1 counts no block I/O")
    until(lambda: written() >= 8 << 20, "8 MiB written")


def test_a_stream_of_stats_ends_with_its_container(host):
    run(host, "box", "busybox", "sleep", "1000")
    p = subprocess.Popen(["curl", "-sN", "--unix-socket", str(host.run / "zlayer.sock"),
                          "http://zlayer/api/v1/containers/box/stats?stream=1&interval_ms=100"], stdout=subprocess.PIPE, text=True)
    lines = [json.loads(p.stdout.readline()) for _ in range(3)]
    assert lines[2]["mono_ns"] > lines[1]["mono_ns"] > lines[0]["mono_ns"]
    host.zlayer("kill", "box")
    rest = p.communicate(timeout=60)[0]
    assert p.returncode == 0 and "error" not in rest
    assert "does not run" in host.zlayer("stats", "--no-stream", "box", code=None).stderr or stats(host, "box") == {}


def test_top_shows_every_process_of_it(host):
    run(host, "box", "busybox", "sh", "-c", "sleep 998 & sleep 999; true")
    until(lambda: len(host.json("top", "box")["processes"]) == 3, "three processes")
    top = host.json("top", "box", "-o", "pid,ppid,uid,comm,cmd")
    assert top["titles"] == ["PID", "PPID", "UID", "COMMAND", "CMD"]
    init = inspect(host, "box")["pid"]
    rows = {r[4]: r for r in top["processes"]}
    assert rows["sleep 998"][1] == str(init) and rows["sleep 998"][2] == "0"
    assert host.json("top", "box")["titles"] == ["UID", "PID", "PPID", "%CPU", "STIME", "TIME", "CMD"]
    assert "RSS" in host.zlayer("top", "box", "aux").stdout
    assert "no column 'shoe'" in host.zlayer("top", "box", "-o", "pid,shoe", code=1).stderr
    assert "aix" in host.zlayer("top", "box", "aix", code=1).stderr
    host.zlayer("kill", "box")
    host.zlayer("wait", "box")
    assert host.zlayer("top", "box", code=None).returncode == 1


def test_inspect_tells_what_it_is_made_of_and_no_secret(host):
    ident = run(host, "box", "-e", "KEY=secret", "--user", "web", "-m", "64m", "busybox", "sleep", "1000")
    found = inspect(host, "box")
    assert found["image_digest"].startswith("sha256:") and found["runtime"] == "native"
    assert pathlib.Path(found["cgroups"][0]).is_dir() and all(c.endswith(ident) for c in found["cgroups"])
    process = found["config"]["process"]
    assert process["args"] == ["sleep", "1000"] and process["user"]["uid"] == 1000 and "KEY" in process["env"]
    assert "secret" not in json.dumps(found)
    assert found["config"]["linux"]["resources"]["memory"]["limit"] == 64 << 20


def events(host):
    return [json.loads(line) for line in host.zlayer("events", "--format", "json").stdout.splitlines()]


def test_events_come_once_and_in_order(host):
    ident = run(host, "story", "-m", "16m", "busybox", "sh", "-c", "sleep 0.2; x=0123456789abcdef; while :; do x=$x$x; done")
    assert host.zlayer("wait", "story").stdout == "137\n"
    host.zlayer("container", "rm", "story")
    until(lambda: "remove" in [e["type"] for e in events(host) if e["container"] == ident], "its removal")
    mine = [e for e in events(host) if e["container"] == ident]
    assert [e["type"] for e in mine] == ["create", "start", "oom", "exit", "remove"], mine
    assert "137" in [e["text"] for e in mine if e["type"] == "exit"][0]


# ---- logs, and what is left behind ---------------------------------------------------------------
def test_logs_by_time_stream_and_number(host):
    run(host, "talk", "busybox", "sh", "-c", "echo one; sleep 0.1; echo two >&2; sleep 1; echo three; sleep 0.1; echo four >&2; sleep 0.1; echo five")
    host.zlayer("wait", "talk")
    lines = [json.loads(line) for line in host.zlayer("logs", "-n", "all", "talk", "--format", "json").stdout.splitlines()]
    assert [x["message"] for x in lines] == ["one", "two", "three", "four", "five"]
    assert [x["stream"] for x in lines] == ["stdout", "stderr", "stdout", "stderr", "stdout"]
    times = [x["timestamp"] for x in lines]
    assert times == sorted(times)
    def shown(*options):
        return [line.split("] ")[1] for line in host.zlayer("logs", *options, "talk").stdout.splitlines()]
    assert shown("-n", "2") == ["four", "five"]
    assert shown("--stream", "stderr") == ["two", "four"]
    assert shown("--stream", "stdout", "-n", "1") == ["five"]
    assert shown("--since", times[2]) == ["three", "four", "five"]
    assert shown("--until", times[2]) == ["one", "two"]
    assert shown("--since", "1h", "--until", times[1]) == ["one"]
    assert shown("--since", "3600") == ["one", "two", "three", "four", "five"]
    assert "--since 'soon'" in host.zlayer("logs", "--since", "soon", "talk", code=1).stderr
    assert host.zlayer("logs", "-t", "-n", "1", "talk").stdout.startswith(times[4][:19])


def test_lines_of_both_streams_are_in_the_order_they_were_written(host):
    """A thousand, alternately; each is answered before the next is written, so the order is one."""
    script = "while read n; do echo $n; read n; echo $n >&2; done"
    p = host.popen("run", "-i", "--name", "order", "busybox", "sh", "-c", script, stdin=subprocess.PIPE, bufsize=1)
    for n in range(0, 1000, 2):
        for number, stream in ((n, p.stdout), (n + 1, p.stderr)):
            p.stdin.write(f"{number}\n")
            assert stream.readline() == f"{number}\n"
    p.stdin.close()
    assert p.wait(60) == 0
    rows = [json.loads(line) for line in host.zlayer("logs", "-n", "all", "order", "--format", "json").stdout.splitlines()]
    assert [(r["stream"], int(r["message"])) for r in rows] == [("stderr" if n % 2 else "stdout", n) for n in range(1000)]
    times = [r["timestamp"] for r in rows]
    assert times == sorted(times)


def test_following_a_log_ends_with_its_container(host):
    run(host, "later", "-i", "busybox", "sh", "-c", "echo first; read x; printf last")
    p = host.popen("logs", "-f", "later")
    assert p.stdout.readline() == "[stdout] first\n"
    host.zlayer("attach", "later", input="\n")
    assert p.communicate(timeout=60)[0].rstrip("\n") == "[stdout] last"


def kept_logs(host):
    return sorted(p.name.split(".", 1)[1] for p in (host.root / "logs/-removed").glob("*"))


def test_a_log_is_there_when_its_container_is_not(host):
    """Each has its own, also of the same name: the last one is meant."""
    for words in ("first words", "last words"):
        run(host, "gone", "busybox", "sh", "-c", f"echo {words}; exit 2")
        host.zlayer("wait", "gone")
        assert host.zlayer("logs", "gone").stdout == f"[stdout] {words}\n"
        host.zlayer("container", "rm", "gone")
        assert host.zlayer("logs", "gone").stdout == f"[stdout] {words}\n"
        assert host.zlayer("container", "logs", "-f", "gone").stdout == f"[stdout] {words}\n", "and ends"
    assert kept_logs(host).count("-.gone") == 2
    assert "'never'" in host.zlayer("logs", "never", code=1).stderr


def test_logs_of_a_service_are_of_all_replicas_however_many_they_are(host):
    folder = host.root / "logs/many/web"
    folder.mkdir(parents=True)
    for n in range(1, 301):
        (folder / f"default-{n}.log").write_text(f"2026-11-23T18:28:01.{n:09}Z stdout F of {n}\n")
    lines = host.zlayer("logs", "many/web").stdout.splitlines()
    assert lines == [f"default-{n} [stdout] of {n}" for n in range(1, 301)]


def test_what_is_to_be_forgotten_leaves_no_log(host):
    host.zlayer("run", "--rm", "--name", "brief", "busybox", "echo", "x")
    until(lambda: not (host.root / "logs/-/brief").exists(), "the end of its log")
    assert "-.brief" not in kept_logs(host)


def test_logs_of_a_deployment_are_there_when_it_is_not_if_it_asks_for_it(host):
    def spec(logs):
        return host.spec(f"""
version: v1
deployment: past
services:
  web:
    image: {{name: busybox}}
    command: {{entrypoint: [sh, -c, "echo served; exec sleep 1000"]}}
    scale: {{mode: fixed, replicas: 2}}
    {logs}
""")
    host.zlayer("deploy", spec("logs: {retention_secs: 1000}"))
    host.zlayer("down", "-t", "0", "past")
    lines = host.zlayer("logs", "past/web").stdout.splitlines()
    assert len(lines) == 2 and all("served" in line for line in lines), lines
    kept = until(lambda: list((host.root / "logs/-removed").glob("*.past")), "its logs are put away")
    until_s, = (int(p.name.split(".")[0]) for p in kept)
    assert 900 < until_s - time.time() <= 1000
    for nothing in ("logs: {retention_secs: 0}", ""):
        host.zlayer("deploy", spec(nothing))
        host.zlayer("down", "-t", "0", "past")
        until(lambda: not (host.root / "logs/past").exists(), "the end of its logs")
        assert kept_logs(host).count("past") == 1, "they go with it"


def test_a_share_of_a_cpu_is_that_of_each_period(host):
    """Told by the kernel's periods of 100 ms, so that a busy machine changes nothing: who was throttled had its whole share."""
    run(host, "share", "--cpus", "0.1", "busybox", "sh", "-c", "while :; do :; done & while :; do :; done")
    def cpu():
        return stats(host, "share")["share"]["stats"]["cpu"]
    seen = until(lambda: (c := cpu())["throttled_periods"] >= 10 and c, "ten periods that were too short for it")
    assert 0.9 * 10e6 * seen["throttled_periods"] <= seen["usage_ns"] <= 1.5 * 10e6 * (seen["periods"] + 2)


def test_fifty_lives_at_a_time_leave_nothing(host):
    agent = pathlib.Path(f"/proc/{host.agent_pid()}/fd")

    def live(n):
        run(host, f"live{n}", "busybox", "sleep", "1000")
        host.zlayer("container", "stop", "-t", "0", f"live{n}")
        host.zlayer("container", "rm", f"live{n}")
    live("first")
    before = len(list(agent.iterdir()))
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        list(pool.map(live, range(50)))
    host.until_clear()
    until(lambda: len(list(agent.iterdir())) <= before, f"the agent's {before} descriptors of before")


def test_prune_removes_what_has_ended_and_nothing_else(host):
    run(host, "ended", "busybox", "true")
    run(host, "alive", "busybox", "sleep", "1000")
    host.zlayer("wait", "ended")
    assert host.zlayer("container", "prune").stdout == "ended\n"
    assert [c["name"] for c in host.json("container", "ls")] == ["alive"]


def test_no_zombie_remains(host):
    run(host, "z", "busybox", "sh", "-c", "for i in 1 2 3; do (sleep 0.05; exit 1) & done; sleep 0.3")
    host.zlayer("wait", "z")
    mine = str(host.run).encode()
    def zombies():
        out = []
        for p in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                state = (p / "stat").read_text().rsplit(")", 1)[1].split()[:2]
                parent = pathlib.Path(f"/proc/{state[1]}/environ").read_bytes()
            except OSError:
                continue
            if state[0] == "Z" and mine in parent:
                out.append(p.name)
        return out
    until(lambda: not zombies(), "no zombies")
