"""zlayer-oci as its callers use it: commands, options, exit codes, the log they parse."""
import json
import os
import pathlib
import re
import signal
import socket
import subprocess

import pytest

from engines import OCI as SHIPPED
from world import on_terminal, until


# ---- life -------------------------------------------------------------------------------------

def test_run_gives_the_commands_output_and_code(oci):
    r = oci.run("run", "-b", oci.bundle(oci.config("sh", "-c", "echo out; echo err >&2; exit 42")), "c", code=42)
    assert (r.stdout, r.stderr) == ("out\n", "err\n")
    assert oci.run("list", "-q").stdout == ""


def test_a_container_is_created_then_started_then_ends(oci):
    bundle = oci.bundle(oci.config("sleep", 1000))
    oci.run("create", "-b", bundle, "--pid-file", oci.folder / "pid", "c")
    s = oci.state("c")
    assert s["status"] == "created" and s["id"] == "c" and s["bundle"] == str(bundle)
    assert s["pid"] == int((oci.folder / "pid").read_text())
    oci.run("start", "c")
    assert oci.state("c")["status"] == "running"
    assert "it is running" in oci.run("start", "c", code=1).stderr
    oci.run("kill", "c", "KILL")
    oci.until_status("c", "stopped")
    assert "container not running" in oci.run("kill", "c", "TERM", code=1).stderr
    oci.run("delete", "c")
    assert "does not exist" in oci.run("state", "c", code=1).stderr


def test_a_created_or_running_container_is_deleted_by_force_only(oci):
    bundle = oci.bundle(oci.config("sleep", 1000))
    oci.run("create", "-b", bundle, "c")
    assert "it is created" in oci.run("delete", "c", code=1).stderr
    assert oci.state("c")["status"] == "created"
    oci.run("start", "c")
    assert "it is running" in oci.run("delete", "c", code=1).stderr
    oci.run("delete", "--force", "c")
    oci.run("delete", "c", code=1)
    oci.run("delete", "--force", "c")


def test_an_id_is_taken_once_and_is_a_plain_name(oci):
    bundle = oci.bundle(oci.config("sleep", 1000))
    oci.run("create", "-b", bundle, "c")
    assert "already exists" in oci.run("create", "-b", bundle, "c", code=1).stderr
    for name in ("../c", "a/b", "..", ""):
        assert "only letters" in oci.run("create", "-b", bundle, name, code=1).stderr
    assert oci.run("list", "-q").stdout == "c\n"


def test_a_failing_create_leaves_nothing(oci):
    config = oci.config("true")
    config["mounts"].append({"destination": "/x", "type": "bind", "source": "/no/such/dir", "options": ["bind"]})
    assert "/no/such/dir" in oci.run("create", "-b", oci.bundle(config), "c", code=1).stderr
    assert oci.leftovers() == []


@pytest.mark.parametrize("command, code", [("/no/such/thing", 127), ("nothing-such", 127), ("/etc", 126), ("/etc/passwd", 126)])
def test_a_command_that_cannot_run_is_named(oci, command, code):
    assert command in oci.run("run", "-b", oci.bundle(oci.config(command)), "c", code=code).stderr


def test_a_killed_create_can_be_deleted(oci):
    """The maker dies between any two steps: here while a hook of its runs."""
    config = oci.config("sleep", 1000)
    config["hooks"] = {"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "30"]}]}
    p = oci.popen("create", "-b", oci.bundle(config), "c", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: (oci.root / "c/state.json").exists(), "the hook's stage")
    assert oci.state("c")["status"] == "creating"
    assert "it is creating" in oci.run("delete", "--force", "c", code=1).stderr
    p.kill()
    p.wait()
    oci.run("delete", "--force", "c")


# ---- options and messages -----------------------------------------------------------------------

def test_the_log_is_what_engines_parse(oci):
    log = oci.folder / "log.json"
    oci.run("--log", log, "--log-format", "json", "state", "nothing", code=1)
    oci.run("--log", f"file:{log}", "--log-format=json", "start", 'no"thing', code=1)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["level"] for line in lines] == ["error", "error"]
    assert all(set(line) == {"level", "msg", "time"} for line in lines)
    assert lines[0]["msg"] == "container 'nothing' does not exist"
    oci.run("--log", log, "--log-format", "json", "run", "-b", b"/caf\xe9", "c", code=125)
    assert "caf\\xe9" in json.loads(log.read_text().splitlines()[2])["msg"]
    text = oci.folder / "log.text"
    oci.run("--log", text, "state", 'no"thing', code=1)
    assert ' level=error msg="container id \'no\\"thing\'' in text.read_text()


def test_usage_errors_change_nothing(oci):
    assert "there is no option --bundel; did you mean --bundle?" in oci.run("create", "--bundel", "/", "c", code=1).stderr
    assert "did you mean 'delete'" in oci.run("delte", "c", code=1).stderr
    assert "an argument is missing" in oci.run("start", code=1).stderr
    assert "json" in oci.run("--log-format", "xml", "list", code=1).stderr
    assert oci.leftovers() == []


@pytest.mark.parametrize("many", [2, 600])
def test_a_list_that_could_not_be_written_says_so(oci, many):
    for i in range(many):
        (oci.root / f"container{i}").mkdir(parents=True)
    with open("/dev/full", "w") as full:
        p = oci.popen("list", "-q", stdout=full)
        assert p.communicate(timeout=60)[1] == "zlayer-oci: write to standard output: no space left on device\n"
    assert p.returncode == 1
    oci.run("delete", "--regex", "^container")


def test_list_shows_what_there_is(sleeper):
    row, = json.loads(sleeper.run("list", "--format", "json").stdout)
    assert row["id"] == "c" and row["status"] == "running" and row["owner"] == "root"
    head, line = sleeper.run("list").stdout.splitlines()
    assert head.split() == ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]
    assert line.split()[:3] == ["c", str(row["pid"]), "running"]


def test_what_spec_writes_runs(oci, tree):
    folder = oci.folder / "new"
    folder.mkdir()
    (folder / "rootfs").symlink_to(tree)
    oci.run("spec", "-b", folder)
    assert "file exists" in oci.run("spec", "-b", folder, code=1).stderr
    out, code = on_terminal(lambda tty: oci.popen("run", "-b", folder, "c", stdin=tty, stdout=tty, stderr=tty),
                            typed=b"echo $((6 * 7)); tty; exit 5\n")
    assert code == 5 and "42\r\n" in out and "/dev/pts/0" in out


@pytest.mark.parametrize("name, refused", [("run.oci.hooks.stdout", True), ("run.oci.keep_original_groups", False), ("org.example", False)])
def test_an_annotation_that_would_change_the_container_is_carried_out_or_refused(oci, name, refused):
    config = oci.config("echo", "ran")
    config["annotations"] = {name: "1"}
    r = oci.run("run", "-b", oci.bundle(config), "c", code=125 if refused else 0)
    assert (f"annotation '{name}' is not supported" in r.stderr) == refused
    assert (r.stdout == "ran\n") != refused
    assert oci.run("list", "-q").stdout == ""


def test_signals_are_handed_on_by_run(oci):
    p = oci.popen("run", "-b", oci.bundle(oci.config("sh", "-c", "trap 'exit 9' USR1; echo ready; while :; do sleep 0.05; done")), "c")
    assert p.stdout.readline() == "ready\n"
    p.send_signal(signal.SIGUSR1)
    assert p.wait(60) == 9
    p.communicate()


def test_descriptors_are_passed_on_when_asked(oci):
    r, w = os.pipe()
    bundle = oci.bundle(oci.config("sh", "-c", "echo through >&3; ls /proc/self/fd | wc -w"))
    script = f'exec {oci.program} --root {oci.root} run --preserve-fds 1 -b "$0" c 3>&{w} 4</dev/null'
    p = subprocess.run(["bash", "-c", script, bundle], env=oci.env, pass_fds=[w], capture_output=True, text=True, timeout=60)
    assert p.stdout == "5\n", p.stderr  # 0, 1, 2, 3 and that of ls itself
    os.close(w)
    assert os.read(r, 100) == b"through\n"
    os.close(r)
    assert "not open" in oci.run("run", "--preserve-fds", 40, "-b", oci.bundle(oci.config("true")), "c", code=125).stderr


def test_socket_activation_reaches_the_container(oci):
    script = f'exec env LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=web {oci.program} --root {oci.root} run -b "$0" c 3</etc/hostname'
    bundle = oci.bundle(oci.config("sh", "-c", "echo $LISTEN_PID $LISTEN_FDS $LISTEN_FDNAMES; cat <&3"))
    r = subprocess.run(["sh", "-c", script, bundle], env=oci.env, capture_output=True, text=True, timeout=60)
    assert r.stdout == "1 1 web\n" + pathlib.Path("/etc/hostname").read_text(), r.stderr


def test_completion_and_manual_know_every_command(oci):
    words = oci.run("completion", "words", "command").stdout.split()
    page, script = oci.run("man").stdout, oci.run("completion", "bash").stdout
    assert {"create", "start", "run", "state", "list", "kill", "delete", "exec", "features", "spec"} <= set(words)
    for word in words:
        assert f".SS {word}" in page and f'"{word}")' in script
        assert "Usage: zlayer-oci " + word in oci.run(word, "--help").stdout


# Of runc 1.1.5 and crun 1.8.1, as their --help has them.
PEERS = {
    "create": "bundle config console-socket no-new-keyring no-pivot no-subreaper pid-file preserve-fds",
    "start": "",
    "run": "bundle config console-socket detach keep no-new-keyring no-pivot no-subreaper pid-file preserve-fds",
    "state": "",
    "list": "format quiet",
    "ps": "format",
    "kill": "all regex",
    "delete": "force regex",
    "exec": "additional-gids apparmor cap cgroup console-socket cwd detach env ignore-paused no-new-privs pid-file preserve-fds process "
            "process-label tty user",
    "pause": "",
    "resume": "",
    "update": "blkio-weight cpu-period cpu-quota cpu-rt-period cpu-rt-runtime cpu-share cpuset-cpus cpuset-mems kernel-memory "
              "kernel-memory-tcp l3-cache-schema mem-bw-schema memory memory-reservation memory-swap pids-limit resources",
    "events": "interval stats",
    "features": "",
    "spec": "bundle file rootless",
    "checkpoint": "auto-dedup empty-ns ext-unix-sk file-locks image-path lazy-pages leave-running manage-cgroups-mode page-server "
                  "parent-path pre-dump shell-job status-fd tcp-established work-path",
    "restore": "auto-dedup bundle console-socket detach empty-ns ext-unix-sk file-locks image-path lazy-pages lsm-mount-context "
               "lsm-profile manage-cgroups-mode no-pivot no-subreaper pid-file shell-job tcp-established work-path",
}
GLOBALS = "cgroup-manager criu debug log log-format root rootless systemd-cgroup"


def test_every_command_and_option_of_runc_and_crun_is_there(oci):
    page = oci.run("man").stdout
    for verb, options in PEERS.items():
        text = oci.run(verb, "--help").stdout
        words = set(re.findall(r"^ +(?:-\w, )?--([a-z0-9-]+)", text, re.M))
        assert set(options.split()) | set(GLOBALS.split()) <= words, verb
        part = page.split(f".SS {verb}\n")[1].split("\n.SS ")[0].replace("\\-", "-")
        assert all(f"--{o}" in part for o in options.split()), verb
    for word in ("--version", "-v", "-V"):
        assert "spec: 1." in subprocess.run([oci.program, word], env=oci.env, capture_output=True, text=True, check=True).stdout


def overtaken(oci, call, *command):
    """The command stands still at such a system call; meanwhile its container is removed and its name is another's."""
    config = oci.config("sleep", 1000)
    config["linux"]["cgroupsPath"] = f"{oci.cgroup}/same"
    bundle, trace = oci.bundle(config), oci.folder / "trace"
    oci.run("run", "-d", "-b", bundle, "c")
    if command[0] == "delete":
        oci.run("kill", "c", "KILL")
        oci.until_status("c", "stopped")
    p = subprocess.Popen(["strace", "-f", "-o", trace, *call, oci.program, "--root", oci.root, *command],
                         env=dict(oci.env, ASAN_OPTIONS="detect_leaks=0"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        stopped = until(lambda: re.search(r"^(\d+) +--- stopped by SIGSTOP", trace.read_text() if trace.exists() else "", re.M), "it stands still")
        oci.run("delete", "--force", "c")
        oci.run("run", "-d", "-b", bundle, "c")
        os.kill(int(stopped[1]), signal.SIGCONT)
        return p.communicate(timeout=60)[0], p.returncode
    finally:
        p.kill()


def test_delete_does_not_remove_who_took_the_name_meanwhile(oci):
    out, code = overtaken(oci, ["-e", "trace=faccessat2,faccessat", "-e", "inject=faccessat2,faccessat:signal=STOP:when=2"], "delete", "c")
    assert code == 0, out
    assert oci.state("c")["status"] == "running"


def test_kill_all_does_not_reach_who_took_the_name_meanwhile(oci):
    out, code = overtaken(oci, ["-P", "gate", "-e", "trace=openat", "-e", "inject=openat:signal=STOP:when=1"], "kill", "--all", "c", "KILL")
    assert "does not exist" in out and code == 1
    assert oci.state("c")["status"] == "running"


def test_a_reader_who_goes_away_does_not_end_run(oci):
    ours, theirs = os.pipe()
    os.close(ours)
    p = oci.popen("run", "-b", oci.bundle(oci.config("sh", "-c", "echo a; sleep 0.2; echo b; exit 7", terminal=True)), "c", stdout=theirs)
    os.close(theirs)
    assert p.wait(60) == 7, p.stderr.read()
    assert not list(oci.root.iterdir())


@pytest.mark.parametrize("command", ["create", "run"])
def test_what_is_given_up_leaves_no_pid_file(oci, command):
    pid = oci.folder / "given-up.pid"
    oci.run(command, "-b", oci.bundle(oci.config("sleep", 1000)), "--pid-file", pid, "--pidfd-socket", oci.folder / "nobody", "c",
            code=1 if command == "create" else 125)
    assert not pid.exists() and not list(oci.root.iterdir())


# ---- exec ---------------------------------------------------------------------------------------

def test_exec_is_in_the_container_with_its_code(sleeper):
    r = sleeper.run("exec", "c", "sh", "-c", "cat /proc/1/cmdline | tr '\\0' ' '; exit 3", code=3)
    assert r.stdout.strip() == "sleep 1000"
    assert "nothing-such" in sleeper.run("exec", "c", "nothing-such", code=127).stderr
    assert sleeper.run("exec", "c", "/etc", code=126)
    assert "does not exist" in sleeper.run("exec", "d", "true", code=125).stderr
    for line in pathlib.Path(f"/proc/{(sleeper.folder / 'pid').read_text()}/cgroup").read_text().splitlines():
        assert line.split(":", 2)[1:] in [entry.split(":", 2)[1:] for entry in cgroups_of_exec(sleeper)]


def cgroups_of_exec(oci):
    """Of a process that exec started, as the host sees it."""
    pid = oci.folder / "exec.pid"
    oci.run("exec", "--detach", "--pid-file", pid, "c", "sleep", "1000")
    return pathlib.Path(f"/proc/{pid.read_text()}/cgroup").read_text().splitlines()


def test_exec_that_cannot_tell_of_its_process_does_not_leave_it(sleeper):
    before = json.loads(sleeper.run("ps", "--format", "json", "c").stdout)
    for where in (["--pid-file", "/nonexistent/pid"], ["--pidfd-socket", sleeper.folder / "nobody"]):
        assert "No such file" in sleeper.run("exec", "--detach", *where, "c", "sleep", "999", code=125).stderr.replace("no such", "No such")
        assert json.loads(sleeper.run("ps", "--format", "json", "c").stdout) == before
    pid = sleeper.folder / "given-up.pid"
    sleeper.run("exec", "--detach", "--pid-file", pid, "--pidfd-socket", sleeper.folder / "nobody", "c", "sleep", "999", code=125)
    assert not pid.exists()


def test_a_descriptor_that_was_not_handed_on_is_not_preserved(sleeper):
    """Its number is one of ours by then."""
    for command in (["exec", "--preserve-fds", "1", "c", "true"], ["run", "--preserve-fds", "1", "-b", sleeper.bundle(sleeper.config("true")), "d"]):
        assert "--preserve-fds: descriptor 3 is not open" in sleeper.run(*command, code=125).stderr


def test_exec_options_shape_the_process(sleeper):
    out = sleeper.run("exec", "--user", "1000:50", "-g", "7", "-g", "8", "--cwd", "/tmp", "-e", "A=b", "-e", "TERM=dumb",
                      "c", "sh", "-c", "id -u; id -g; id -G; pwd; echo $A $TERM $HOME").stdout.splitlines()
    assert out == ["1000", "50", "50 7 8", "/tmp", "b dumb /tmp"]
    caps = sleeper.run("exec", "--cap", "net_admin", "c", "grep", "CapEff", "/proc/self/status").stdout.split()[1]
    assert int(caps, 16) & 1 << 12
    plain = sleeper.run("exec", "c", "grep", "-E", "CapEff|NoNewPrivs", "/proc/self/status").stdout.split()
    assert not int(plain[1], 16) & 1 << 12 and plain[3] == "1"
    assert "expected a number" in sleeper.run("exec", "--user", "web", "c", "true", code=125).stderr


def own_cgroups(oci, name="b1"):
    return [d for cg in oci.cgroups() if (d := cg / name).is_dir()]


def test_exec_in_a_cgroup_below_the_containers(sleeper):
    for d in own_cgroups(sleeper):
        (d / "sub").mkdir()
        if (d / "cpuset.cpus").exists():
            for f in ("cpuset.cpus", "cpuset.mems"):
                (d / "sub" / f).write_text((d / f).read_text())
    lines = sleeper.run("exec", "--cgroup", "/sub", "c", "cat", "/proc/self/cgroup").stdout.splitlines()
    ours = [line for line in lines if sleeper.cgroup.rsplit("/", 1)[1] in line or line.endswith("/sub")]
    assert len([line for line in lines if line.endswith("/sub")]) == len(own_cgroups(sleeper)) and ours
    if not os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        lines = sleeper.run("exec", "--cgroup", "pids:sub", "c", "cat", "/proc/self/cgroup").stdout.splitlines()
        assert [line.split(":")[1] for line in lines if line.endswith("/sub")] == ["pids"]
        assert "no hierarchy of this name" in sleeper.run("exec", "--cgroup", "nothing:sub", "c", "true", code=125).stderr
    assert "no such file" in sleeper.run("exec", "--cgroup", "none", "c", "true", code=125).stderr.lower()
    assert sleeper.run("exec", "--cgroup", "../..", "c", "true", code=125)


def hide(pid, top, depth):
    """Moves it to the last of a chain of cgroups below top."""
    at = os.open(top, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(".d", dir_fd=at)
        below = os.open(".d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    procs = os.open("cgroup.procs", os.O_WRONLY, dir_fd=at)
    os.close(at)
    try:
        os.write(procs, str(pid).encode())
    finally:
        os.close(procs)


def test_cgroups_however_deep_end_with_the_container(oci):
    """It may make as many as it likes below its own, by any name, and hide processes there."""
    config = oci.config("sleep", 1000)
    config["linux"]["namespaces"] = [n for n in config["linux"]["namespaces"] if n["type"] != "pid"]
    oci.run("create", "-b", oci.bundle(config), "c")
    oci.run("start", "c")
    hierarchies = own_cgroups(oci)
    hidden = subprocess.Popen(["sleep", "1000"])
    try:
        for top in hierarchies:
            if not (top / "cpuset.cpus").exists():
                hide(hidden.pid, top, depth=700)
        assert hidden.pid in json.loads(oci.run("ps", "--format", "json", "c").stdout)
        oci.run("kill", "--all", "c", "KILL")
        assert hidden.wait(60) == -signal.SIGKILL
    finally:
        hidden.kill()
        hidden.wait()
    oci.until_status("c", "stopped")
    oci.run("delete", "c")
    assert hierarchies and not any(top.exists() for top in hierarchies)


def test_exec_takes_a_process_json(sleeper):
    process = sleeper.folder / "process.json"
    process.write_text(json.dumps({"cwd": "/tmp", "args": ["sh", "-c", "pwd; id -u; exit 4"], "env": ["PATH=/bin"],
                                   "user": {"uid": 1000, "gid": 1000}}))
    assert sleeper.run("exec", "--process", process, "c", code=4).stdout == "/tmp\n1000\n"


def test_exec_with_a_terminal_of_ours_and_of_a_socket(sleeper):
    out, code = on_terminal(lambda tty: sleeper.popen("exec", "-t", "c", "sh", "-c", "test -t 0 && tty; exit 6", stdin=tty, stdout=tty, stderr=tty))
    assert code == 6 and "/dev/pts/0" in out

    path = sleeper.folder / "console.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        sleeper.run("exec", "-t", "--detach", "--console-socket", path, "--pid-file", sleeper.folder / "x", "c", "sh", "-c", "echo hello; cat")
        with server.accept()[0] as peer:
            _, fds, _, _ = socket.recv_fds(peer, 100, 1)
    assert os.read(fds[0], 100).startswith(b"hello")
    os.close(fds[0])
    assert "--console-socket" in sleeper.run("exec", "-t", "-d", "c", "true", code=125).stderr


def test_kill_reaches_the_first_or_all(sleeper):
    pid = sleeper.folder / "other"
    sleeper.run("exec", "--detach", "--pid-file", pid, "c", "sleep", "1000")
    sleeper.run("kill", "c", "0")
    sleeper.run("kill", "--all", "c", "KILL")
    sleeper.until_status("c", "stopped")
    until(lambda: not pathlib.Path(f"/proc/{pid.read_text()}/root/bin").exists(), "the end of the other")


# ---- hooks --------------------------------------------------------------------------------------

def hook_config(oci, *stages):
    """Each stage's hook writes what it sees where both sides reach it."""
    config = oci.config("sh", "-c", "echo process >> /out/order")
    out = oci.folder / "out"
    out.mkdir()
    config["mounts"].append({"destination": "/out", "type": "bind", "source": str(out), "options": ["rbind", "rw"]})
    for stage in stages:
        where = "/out" if stage == "startContainer" else str(out)
        script = f"cat > {where}/{stage}; echo {stage} >> {where}/order; readlink /proc/self/ns/net > {where}/{stage}.net; " \
                 f"ls / > {where}/{stage}.ls; grep CapEff /proc/self/status > {where}/{stage}.caps"
        config.setdefault("hooks", {})[stage] = [{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"]}]
    return config, out


STAGES = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]


def test_hooks_run_in_order_where_they_belong_with_the_state(oci):
    config, out = hook_config(oci, *STAGES)
    oci.run("create", "-b", oci.bundle(config), "c")
    assert (out / "order").read_text().split() == STAGES[:3]
    pid = oci.state("c")["pid"]
    inside = os.readlink(f"/proc/{pid}/ns/net")
    oci.run("start", "c")
    oci.until_status("c", "stopped")
    oci.run("delete", "c")
    order = (out / "order").read_text().split()
    assert order[:4] == STAGES[:4] and set(order[4:6]) == {"process", "poststart"} and order[6] == "poststop"

    states = {s: json.loads((out / s).read_text()) for s in STAGES}
    assert [states[s]["status"] for s in STAGES] == ["created", "creating", "creating", "created", "running", "stopped"]
    assert all(states[s]["id"] == "c" and states[s].get("pid") in (pid, None) for s in STAGES)
    net = {s: (out / f"{s}.net").read_text().strip() for s in STAGES}
    ours = os.readlink("/proc/self/ns/net")
    assert net == {**{s: ours for s in STAGES}, "createContainer": inside, "startContainer": inside}
    # a program of the container has the container's rights, whatever the stage's name says
    assert "process" not in (out / "startContainer.ls").read_text() and "out" in (out / "startContainer.ls").read_text()
    assert int((out / "startContainer.caps").read_text().split()[1], 16) == 1 << 29 | 1 << 5 | 1 << 10


@pytest.mark.parametrize("stage", STAGES[:3])
def test_a_hook_that_fails_ends_the_creation(oci, stage):
    config, out = hook_config(oci, "poststop")
    config["hooks"][stage] = [{"path": "/bin/false"}]
    assert f"{stage} hook '/bin/false': exit status 1" in oci.run("create", "-b", oci.bundle(config), "c", code=1).stderr
    assert (out / "order").read_text() == "poststop\n"
    assert oci.run("list", "-q").stdout == ""


def test_a_startcontainer_hook_that_fails_ends_the_container(oci):
    config, out = hook_config(oci, "poststop")
    config["hooks"]["startContainer"] = [{"path": "/bin/false"}]
    oci.run("create", "-b", oci.bundle(config), "c")
    assert "startContainer hook '/bin/false': exit status 1" in oci.run("start", "c", code=1).stderr
    assert (out / "order").read_text() == "poststop\n"
    assert oci.run("list", "-q").stdout == ""


def test_hooks_after_the_start_are_warned_of_and_go_on(oci):
    config, out = hook_config(oci, "poststart", "poststop")
    for stage in ("poststart", "poststop"):
        config["hooks"][stage].insert(0, {"path": "/bin/false"})
    r = oci.run("run", "-b", oci.bundle(config), "c")
    assert r.stderr.count("warning") == 2
    assert sorted((out / "order").read_text().split()) == ["poststart", "poststop", "process"]


def test_a_hook_in_time_or_not_at_all(oci):
    config = oci.config("true")
    config["hooks"] = {"createContainer": [{"path": "/bin/sh", "args": ["sh", "-c", "sleep 100 & sleep 100"], "timeout": 1}]}
    assert "not done in 1 s" in oci.run("create", "-b", oci.bundle(config), "c", code=1).stderr
    config["hooks"]["createContainer"][0]["timeout"] = 0
    assert "hooks.createContainer[0].timeout: must be greater than 0" in oci.run("create", "-b", oci.bundle(config), "c", code=1).stderr


# ---- a mount namespace where others live -----------------------------------------------------------

def without_mounts_of_its_own(oci, *args, path=None):
    config = oci.config(*args)
    spaces = config["linux"]["namespaces"]
    spaces.remove({"type": "mount"})
    if path:
        spaces.append({"type": "mount", "path": path})
    return config


def mounts(oci, pid="self"):
    """Those of the test's folder; others come and go."""
    return [line for line in pathlib.Path(f"/proc/{pid}/mountinfo").read_text().splitlines() if str(oci.folder) in line]


def test_a_container_among_the_hosts_mounts_has_its_root_and_leaves_nothing(oci):
    before = mounts(oci)
    oci.run("create", "-b", oci.bundle(without_mounts_of_its_own(oci, "sleep", "1000")), "c")
    oci.run("start", "c")
    pid = oci.state("c")["pid"]
    assert os.readlink(f"/proc/{pid}/ns/mnt") == os.readlink("/proc/self/ns/mnt")
    assert os.readlink(f"/proc/{pid}/root") == str(oci.root / "c/rootfs")
    r = oci.run("exec", "c", "sh", "-c", "echo /*; touch /x || cat /proc/1/comm")
    assert sorted(r.stdout.splitlines()[0].split()) == sorted(f"/{p.name}" for p in oci.tree.iterdir())
    assert r.stdout.splitlines()[1] == "sleep" and "Read-only" in r.stderr
    oci.run("kill", "c", "KILL")
    oci.until_status("c", "stopped")
    oci.run("delete", "c")
    assert mounts(oci) == before
    config = without_mounts_of_its_own(oci, "nothing-such")
    oci.run("run", "-b", oci.bundle(config), "c", code=127)
    assert mounts(oci) == before


def test_a_mount_namespace_is_joined_by_its_path(oci):
    other = subprocess.Popen(["unshare", "-m", "--propagation", "private", "sh", "-c", "echo up; exec sleep 1000"], stdout=subprocess.PIPE)
    try:
        assert other.stdout.readline() == b"up\n"
        there, here = mounts(oci, other.pid), mounts(oci)
        config = without_mounts_of_its_own(oci, "sleep", "1000", path=f"/proc/{other.pid}/ns/mnt")
        oci.run("run", "--detach", "-b", oci.bundle(config), "c")
        pid = oci.state("c")["pid"]
        assert os.readlink(f"/proc/{pid}/ns/mnt") == os.readlink(f"/proc/{other.pid}/ns/mnt")
        assert os.path.samefile(f"/proc/{other.pid}/root", "/") and mounts(oci) == here and mounts(oci, other.pid) != there
        assert oci.run("exec", "c", "cat", "/proc/1/comm").stdout == "sleep\n"
        oci.run("delete", "--force", "c")
        assert mounts(oci) == here and mounts(oci, other.pid) == there
    finally:
        other.kill()
        other.communicate()


# ---- security -----------------------------------------------------------------------------------

def test_nobody_inside_reaches_our_program_writably(oci):
    """Through /proc/PID/exe of who execs, a container's root would overwrite the host's runtime."""
    bundle = oci.bundle(oci.config("sh", "-c", "sleep 1000"))
    oci.run("create", "-b", bundle, "c")
    pid = oci.state("c")["pid"]  # waits at its gate: its executable is zlayer-oci
    with pytest.raises(OSError):
        open(f"/proc/{pid}/exe", "r+b")
    oci.run("start", "c")


# ---- while it lives -------------------------------------------------------------------------------

def test_a_paused_container_stands_still_until_it_is_resumed(oci):
    bundle = oci.bundle(oci.config("sh", "-c", "i=0; while :; do i=$((i+1)); echo $i > /dev/shm/i; done"))
    oci.run("create", "-b", bundle, "c")
    oci.run("start", "c")
    seen = pathlib.Path(f"/proc/{oci.state('c')['pid']}/root/dev/shm/i")
    until(seen.exists, "the first number")
    oci.run("pause", "c")
    assert oci.state("c")["status"] == "paused"
    before = seen.read_text()
    assert "it is paused" in oci.run("pause", "c", code=1).stderr
    assert "it is paused" in oci.run("exec", "c", "true", code=125).stderr
    assert seen.read_text() == before
    oci.run("resume", "c")
    assert oci.state("c")["status"] == "running"
    until(lambda: seen.read_text() not in ("", before), "a further number")
    assert "it is running" in oci.run("resume", "c", code=1).stderr


def test_a_paused_container_can_be_killed(sleeper):
    sleeper.run("pause", "c")
    sleeper.run("kill", "c", "KILL")
    sleeper.until_status("c", "stopped")
    sleeper.run("delete", "c")


def limit(oci, v1, v2):
    """What the container's cgroup has in a file, which v1 and v2 call differently."""
    name = oci.cgroup.strip("/") + "/b1"
    controller = "cpu" if v1.startswith("cpu.") else v1.split(".")[0]
    for path in (f"/sys/fs/cgroup/{controller}/{name}/{v1}", f"/sys/fs/cgroup/{name}/{v2}"):
        if os.path.exists(path):
            return pathlib.Path(path).read_text().split()[0]
    raise AssertionError(f"no {v1} or {v2} of {name}")


def test_update_changes_what_it_says_and_nothing_else(sleeper):
    sleeper.run("update", "--memory", "64m", "--pids-limit", "33", "c")
    assert limit(sleeper, "memory.limit_in_bytes", "memory.max") == str(64 << 20)
    sleeper.run("update", "--resources", "-", "--cpu-period", "50000", "c", input='{"cpu": {"quota": 25000}, "pids": {"limit": 44}}')
    assert limit(sleeper, "pids.max", "pids.max") == "44"
    assert limit(sleeper, "cpu.cfs_quota_us", "cpu.max") == "25000"
    assert limit(sleeper, "memory.limit_in_bytes", "memory.max") == str(64 << 20)
    for arguments, message in ((["--memory", "much"], "expected a size, found 'much'"), (["--cpu-quota", "1k"], "expected a number"),
                               (["--l3-cache-schema", "L3:0=f"], "Intel RDT"), (["--resources", "/dev/null"], "/dev/null:1:0")):
        assert message in sleeper.run("update", *arguments, "c", code=1).stderr
    r = sleeper.run("update", "--resources", "-", "--memory", "64m", "c", input='{"memory": 5}', code=1)
    assert "memory: expected an object" in r.stderr


def test_a_container_is_made_and_ends_within_512k_of_memory(oci):
    """What setting it up costs is charged to it; so it is the program that is shipped, without sanitizers."""
    oci.program = SHIPPED
    config = oci.config("true")
    config["linux"]["resources"]["memory"] = {"limit": 512 << 10}
    for name in "abc":
        oci.run("run", "-b", oci.bundle(config), name)


def test_ps_shows_every_process(sleeper):
    sleeper.run("exec", "--detach", "--pid-file", sleeper.folder / "x", "c", "sleep", "999")
    want = sorted(int((sleeper.folder / name).read_text()) for name in ("pid", "x"))
    assert json.loads(sleeper.run("ps", "--format", "json", "c").stdout) == want
    table = [line.split(None, 4) for line in sleeper.run("ps", "c").stdout.splitlines()]
    assert table[0] == ["UID", "PID", "PPID", "TIME", "CMD"]
    pids = {row[4]: row[1] for row in table[1:]}
    assert pids == {"sleep 1000": (sleeper.folder / "pid").read_text(), "sleep 999": (sleeper.folder / "x").read_text()}
    rows = [line.split() for line in sleeper.run("ps", "c", "-eo", "comm,pid").stdout.splitlines()]
    assert sorted(int(row[1]) for row in rows[1:]) == want
    assert "larger than" in sleeper.run("ps", "c", "-eo", ",".join(["comm:150"] * 12000 + ["pid"]), code=1).stderr


def test_events_tell_counters_and_oom_kills(oci):
    config = oci.config("sh", "-c", "sleep 0.5; x=0123456789abcdef; (while :; do x=$x$x; done); sleep 1000")
    config["linux"]["resources"] = {"memory": {"limit": 16 << 20}, "pids": {"limit": 50}}
    oci.run("create", "-b", oci.bundle(config), "c")
    p = oci.popen("events", "--interval", "100ms", "c")
    oci.run("start", "c")
    events = iter(lambda: json.loads(p.stdout.readline()), None)
    first = next(events)
    assert first["type"] == "stats" and first["id"] == "c"
    assert first["data"]["pids"] == {"current": first["data"]["pids"]["current"], "limit": 50}
    assert first["data"]["memory"]["usage"]["limit"] == 16 << 20
    oom = next(e for e in events if e["type"] == "oom")
    assert oom == {"type": "oom", "id": "c"}
    assert json.loads(oci.run("events", "--stats", "c").stdout)["data"]["cpu"]["usage"]["total"] > 0
    oci.run("kill", "c", "KILL")
    assert p.wait(60) == 0
    p.communicate()
