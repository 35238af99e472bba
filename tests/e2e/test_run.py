"""`zlayer run`: the container's exit code, and messages that name the path."""
import concurrent.futures
import pathlib
import os
import resource
import signal
import subprocess

import pytest

from world import kill, on_terminal, until


def test_the_exit_code_of_the_command_is_that_of_run(host):
    assert host.zlayer("run", "--rm", "busybox", "sh", "-c", "exit 42", code=42).stderr == ""
    assert host.zlayer("run", "--rm", "busybox", "true").returncode == 0
    assert host.leftovers() == []


def test_output_comes_on_the_stream_it_was_written_to(host):
    r = host.zlayer("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 3", code=3)
    assert (r.stdout, r.stderr) == ("out\n", "err\n")


def test_killed_by_sigkill_is_137(host):
    host.zlayer("run", "--rm", "busybox", "sh", "-c", "kill -9 $$", code=None)  # pid 1 is immune to itself
    p = host.popen("run", "--name", "victim", "busybox", "sleep", "1000")
    pid = until(lambda: [c["pid"] for c in host.containers() if c["service"] == "victim" and c["pid"]], "a pid")[0]
    os.kill(pid, signal.SIGKILL)
    assert p.wait(60) == 137
    found = host.json("container", "inspect", "victim")
    assert found["exit"]["code"] == 137 and found["exit"]["signal"] == 9 and not found["exit"]["oom"]


def test_running_out_of_memory_is_told(host):
    host.zlayer("run", "--name", "hog", "--memory", "16m", "busybox",
                "sh", "-c", "x=0123456789abcdef; while :; do x=$x$x; done", code=137)
    found = host.json("container", "inspect", "hog")
    assert found["exit"]["oom"] is True, found
    assert found["exit"]["code"] == 137


@pytest.mark.parametrize("command, code", [("/no/such/thing", 127), ("no-such-thing", 127), ("/etc", 126),
                                           ("/etc/passwd", 126)])
def test_a_command_that_cannot_run_is_named(host, command, code):
    r = host.zlayer("run", "--rm", "busybox", command, code=code)
    reason = {126: "Permission denied", 127: "No such file or directory" if "/" in command
              else "executable file not found in $PATH"}[code]
    assert f"execute '{command}': {reason}" in r.stderr
    assert host.leftovers() == []


def test_our_own_failure_is_125_and_names_the_thing(host):
    r = host.zlayer("run", "--rm", "no-such-image", "true", code=125)
    assert "no-such-image" in r.stderr
    r = host.zlayer("run", "--rm", "-v", "/no/such/dir:/data", "busybox", "true", code=125)
    assert "E-MOUNT-SOURCE: '/no/such/dir', to be mounted on '/data', is not there" in r.stderr
    assert host.leftovers() == []


def test_stdin_is_passed_on(host):
    r = host.zlayer("run", "--rm", "-i", "busybox", "cat", input="one\ntwo\n")
    assert r.stdout == "one\ntwo\n"


def test_a_megabyte_comes_through_whole(host):
    r = host.zlayer("run", "--rm", "busybox", "sh", "-c", "yes 0123456789 | head -n 100000")
    assert r.stdout == "0123456789\n" * 100000


def test_options_shape_the_container(host, tmp_path):
    (tmp_path / "f").write_text("from the host\n")
    tmp_path.chmod(0o755)
    script = "id -u; id -g; echo $A; cat /data/f; hostname; pwd; touch /data/x || echo ro"
    r = host.zlayer("run", "--rm", "--user", "web", "-e", "A=b", "-v", f"{tmp_path}:/data:ro",
                    "--hostname", "box", "--workdir", "/tmp", "busybox", "sh", "-c", script)
    assert r.stdout.splitlines()[:6] == ["1000", "1000", "b", "from the host", "box", "/tmp"]
    assert "ro" in r.stdout.splitlines()


def test_a_pseudo_terminal_is_one(host):
    out, code = on_terminal(lambda tty: host.popen("run", "--rm", "-t", "-i", "busybox", "sh", "-c", "test -t 0 && test -t 1 && echo yes; exit 4",
                                                   stdin=tty, stdout=tty, stderr=tty))
    assert code == 4 and "yes" in out


def test_detached_containers_are_listed_stopped_and_removed(host):
    ident = host.zlayer("run", "-d", "--name", "bg", "busybox", "sleep", "1000").stdout.strip()
    assert any(c["name"] == "bg" for c in host.json("container", "ls"))
    assert host.json("container", "inspect", ident)["name"] == "bg"
    r = host.zlayer("run", "-d", "--name", "bg", "busybox", "true", code=125)
    assert "bg" in r.stderr
    host.zlayer("container", "rm", "bg", code=1)
    host.zlayer("container", "rm", "--force", "bg")
    until(lambda: not host.leftovers(), "the end of bg")


def test_exec_gives_the_code_and_the_streams(host):
    host.zlayer("run", "-d", "--name", "box", "busybox", "sleep", "1000")
    r = host.zlayer("exec", "box", "--", "sh", "-c", "echo in; echo bad >&2; exit 9", code=9)
    assert (r.stdout, r.stderr) == ("in\n", "bad\n")
    assert host.zlayer("exec", "box", "--", "/no/such", code=127).stderr.count("/no/such") >= 1
    assert host.zlayer("exec", "-i", "box", "--", "cat", input="x" * 70000).stdout == "x" * 70000


def test_the_process_that_starts_has_default_signals(host):
    # where SIGPIPE stays ignored, `yes | head` hangs
    r = host.zlayer("run", "--rm", "busybox", "sh", "-c", "yes | head -n 1")
    assert r.stdout == "y\n"
    r = host.zlayer("run", "--rm", "busybox", "cat", "/proc/self/status")
    sets = dict(line.split(":\t", 1) for line in r.stdout.splitlines() if line.startswith("Sig"))
    assert int(sets["SigBlk"], 16) == 0 and int(sets["SigIgn"], 16) == 0, sets


def test_a_low_limit_of_open_files_is_the_callers_alone(host):
    kill(host.agent_pid())
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    first = host.popen("run", "--rm", "busybox", "sh", "-c", "ulimit -Sn",
                       preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard)))
    assert first.communicate(timeout=60)[0].strip() in ("1024", b"1024"), "a container has its own"
    assert resource.prlimit(host.agent_pid(), resource.RLIMIT_NOFILE) == (hard, hard)


def test_five_hundred_runs_leave_nothing(host):
    """No leak (the sanitizers watch the agent), no descriptor, no zombie, no file. Four at a time."""
    host.zlayer("run", "--rm", "busybox", "true")
    agent = host.agent_pid()
    def open_files():
        return len(os.listdir(f"/proc/{agent}/fd"))
    def children():
        return subprocess.run(["ps", "--ppid", str(agent), "-o", "stat="], capture_output=True, text=True).stdout.split()
    until(children, "the next spare monitor")  # it is two descriptors
    before = open_files()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for _ in pool.map(lambda i: host.zlayer("run", "--rm", "busybox", "sh", "-c", f"exit {i % 7}", code=i % 7), range(500)):
            pass
    assert host.agent_pid() == agent
    until(lambda: open_files() <= before, f"{before} descriptors again")
    assert not [s for s in children() if s.startswith("Z")]
    host.until_clear()


def test_what_a_container_writes_is_out_of_reach_of_the_hosts_users(host):
    """A set-uid program of a container's root would be one of the host's; a token's bearer needs ctl only."""
    host.popen("run", "--name", "writer", "busybox", "sh", "-c",
               "cp /bin/busybox /tmp/suid; chmod 4755 /tmp/suid; touch /tmp/done; sleep 1000")
    state = until(lambda: [d for d in (host.root / "containers").glob("*") if (d / "upper/tmp/done").exists()],
                  "the set-uid program")[0]
    run = host.run / "c" / state.name

    def as_nobody(code):
        os.chmod(host.folder, 0o711)
        return subprocess.run(["python3", "-c", code], user=65534, group=65534, extra_groups=[]).returncode

    assert as_nobody(f"import os; os.stat('{run}/ctl')") == 0
    assert as_nobody(f"open('{run}/config.json')") != 0
    assert as_nobody(f"open('{host.run}/lock')") != 0  # whoever may read it may lock it
    assert as_nobody(f"import os; os.stat('{state}/upper/tmp/suid')") != 0
    host.zlayer("container", "rm", "-f", "writer")


def test_the_agent_stays_small_where_name_services_are_installed(host):
    """Looking up the group of its socket must not load libnss_*, each with libraries of its own."""
    host.zlayer("run", "--rm", "busybox", "true")
    maps = pathlib.Path(f"/proc/{host.agent_pid()}/maps").read_text()
    assert "libc" in maps and "libnss_" not in maps


def test_the_steps_of_a_start_are_timed_in_the_agents_log(world, busybox_tar):
    world.env["ZLAYER_TRACE"] = "start"
    world.import_busybox(busybox_tar)
    world.zlayer("run", "--rm", "busybox", "true")
    traced = until(lambda: [l for l in world.agent_log().splitlines() if l.startswith("trace start")], "the steps in agent.log")
    assert any(l.endswith(" us  mount the root file system") for l in traced)
    assert until(lambda: "from clone to exec" in world.agent_log(), "their sum")
