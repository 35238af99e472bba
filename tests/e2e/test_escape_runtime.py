"""Ways out by the runtime itself: its program, its descriptors, its rights, its memory while it joins.

Every test runs twice or more: see escapes.py.
"""
import ctypes
import os
import pathlib
import signal
import subprocess
import time

import pytest

from escapes import SHIPPED, against, escapes_in
from test_oci_seccomp import Listener, profile, says_no
from world import until

ROUNDS = 40  # of an attack that needs luck; the weakened program falls in the first few
PATIENCE = 120.0  # seconds, until it must have had it


def eager(pid):
    """The attacker runs before all others: what it looks for lives for a tenth of a millisecond."""
    os.setpriority(os.PRIO_PROCESS, pid, -20)


def rounds(goes_on):
    """At least some; and more while it goes on, for the machine may be busy with others."""
    end = time.monotonic() + PATIENCE
    n = 0
    while goes_on() and (n < ROUNDS or time.monotonic() < end):
        n += 1
        yield n


def attack_during_execs(arena, attack, enough, *command, **process):
    """The attack runs in the container while commands are executed in it; what it printed."""
    out = arena.hold(arena.config("attack", *attack, **process))
    eager(arena.state("c")["pid"])
    until(lambda: "ready" in out.read_text(), "the attacker")
    tries = rounds(lambda: not enough(out.read_text())) if arena.weak else range(ROUNDS)
    for _ in tries:
        arena.run("exec", "c", *command, code=None)
    arena.run("kill", "c", "KILL", code=None)
    arena.until_status("c", "stopped")
    return out.read_text()


# ---- the program: CVE-2019-5736 -----------------------------------------------------------------

@against("SELF")
@pytest.mark.parametrize("capable", [False, True], ids=["default", "CAP_SYS_ADMIN"])
def test_exec_of_proc_self_exe_does_not_hand_out_the_runtime(arena, capable):
    before = arena.program.read_bytes()
    config = arena.config("attack", "overwrite", 300)
    if capable:
        for caps in config["process"]["capabilities"].values():
            caps.append("CAP_SYS_ADMIN")
    out = arena.hold(config)
    eager(arena.state("c")["pid"])
    for _ in rounds(lambda: "caught" not in out.read_text()):
        arena.run("exec", "c", "/proc/self/exe", "--version", code=None)
    until(lambda: "done" in out.read_text(), "the end of the attack")
    text = out.read_text()
    written = ["the host's file"] if arena.program.read_bytes() != before else []
    if written:
        arena.renew(before)
    arena.judge(escapes_in(text) + written, text)
    assert "caught" in text


@against("SELF")
def test_run_of_proc_self_exe_does_not_hand_out_the_runtime(arena):
    """The image's command is the runtime, and somebody in the same PID namespace waits for it."""
    before = arena.program.read_bytes()
    out = arena.hold(arena.config("attack", "overwrite", 300), "a")
    (arena.tree / "bin/app").symlink_to("/proc/self/exe")
    victim = arena.config("/bin/app", "--version")
    for ns in victim["linux"]["namespaces"]:
        if ns["type"] == "pid":
            ns["path"] = f"/proc/{arena.state('a')['pid']}/ns/pid"
    bundle = arena.bundle(victim)
    eager(arena.state("a")["pid"])
    for _ in rounds(lambda: "caught" not in out.read_text()):
        arena.run("run", "-b", bundle, "v", code=None)
    until(lambda: "done" in out.read_text(), "the end of the attack")
    written = ["the host's file"] if arena.program.read_bytes() != before else []
    if written:
        arena.renew(before)
    arena.judge(escapes_in(out.read_text()) + written, out.read_text())
    assert "caught" in out.read_text()


@pytest.mark.parametrize("weakness", [None, "MONITOR"], ids=["shipped", "MONITOR"])
def test_exec_of_proc_self_exe_does_not_hand_out_the_monitor(world, busybox_tar, attack, weakness):
    """zlayer-shim runs from one file in memory for all containers; zlayer-init is loaded as it is."""
    helpers = world.folder / "libexec"
    helpers.mkdir()
    for name in ("shim/zlayer-shim", "shim/zlayer-init", "fetch/zlayer-fetch", "agent/zlayerd"):
        (helpers / pathlib.Path(name).name).symlink_to(SHIPPED / "src" / name)
    if weakness:
        (helpers / "zlayerd").unlink()
        (helpers / "zlayerd").symlink_to(SHIPPED / f"tests/weak/zlayerd-{weakness}")
    world.env["ZLAYER_LIBEXEC"] = str(helpers)
    world.import_busybox(busybox_tar)
    world.zlayer("run", "-d", "--name", "a", "-v", f"{attack.parent}:/x:ro", "busybox", "/x/attack", "overwrite", "300")
    eager(world.pids()["a"])
    for _ in rounds(lambda: "caught" not in world.zlayer("logs", "a").stdout):
        world.zlayer("exec", "a", "--", "/proc/self/exe", code=None)
    text = until(lambda: (lambda t: t if "done" in t else None)(world.zlayer("logs", "a").stdout), "the end of the attack")
    assert "in memory" in text, text
    assert bool(escapes_in(text)) == bool(weakness), text


# ---- descriptors and magic links: CVE-2024-21626 ------------------------------------------------

@pytest.fixture
def leaky(arena):
    """The caller of the runtime has folders of the host open, and hands them on."""
    fds = [os.open("/", os.O_RDONLY | os.O_DIRECTORY), os.open(arena.outside, os.O_RDONLY | os.O_DIRECTORY)]
    plain = arena.popen
    arena.popen = lambda *args, **kw: plain(*args, pass_fds=fds, **kw)
    yield arena
    for fd in fds:
        os.close(fd)


@pytest.fixture
def closed(arena):
    """The caller of the runtime has its standard input and error closed."""
    plain = arena.popen
    arena.popen = lambda *args, **kw: plain(*args, preexec_fn=lambda: (os.close(0), os.close(2)), **kw)
    yield arena
    arena.popen = plain


@against("CLOSED")
def test_nothing_of_the_runtime_takes_the_place_of_a_closed_standard_descriptor_of_run(closed):
    r = closed.run("run", "-b", closed.bundle(closed.config("attack", "stdio")), "c")
    assert "done" in r.stdout
    closed.judge(escapes_in(r.stdout), r.stdout)


@against("CLOSED")
def test_nothing_of_the_runtime_takes_the_place_of_a_closed_standard_descriptor_of_exec(closed):
    closed.hold(closed.config("sleep", 1000))
    r = closed.run("exec", "c", "attack", "stdio")
    assert "done" in r.stdout
    closed.judge(escapes_in(r.stdout), r.stdout)


@against("FDS")
def test_no_descriptor_reaches_the_container(leaky):
    r = leaky.run("run", "-b", leaky.bundle(leaky.config("attack", "fds")), "c")
    assert "done" in r.stdout
    leaky.judge(escapes_in(r.stdout), r.stdout)


@against("FDS")
def test_no_descriptor_reaches_what_create_and_start_execute(leaky):
    out = leaky.hold(leaky.config("attack", "fds"))
    leaky.until_status("c", "stopped")
    assert "done" in out.read_text()
    leaky.judge(escapes_in(out.read_text()), out.read_text())


@against("FDS")
def test_no_descriptor_reaches_what_exec_executes(leaky):
    leaky.hold(leaky.config("sleep", 1000))
    r = leaky.run("exec", "c", "attack", "fds")
    assert "done" in r.stdout
    leaky.judge(escapes_in(r.stdout), r.stdout)


@against()
def test_only_the_descriptors_that_were_asked_for_are_preserved(leaky):
    null = os.open("/dev/null", os.O_RDONLY)
    try:
        r = subprocess.run([leaky.program, "--root", leaky.root, "run", "--preserve-fds", "1", "-b", leaky.bundle(leaky.config("attack", "fds")), "c"],
                           pass_fds=[3, null], preexec_fn=lambda: os.dup2(null, 3), capture_output=True, text=True, timeout=60)
    finally:
        os.close(null)
    assert escapes_in(r.stdout) == ["ESCAPED descriptor 3: /dev/null"], r.stdout + r.stderr


def through_descriptors(arena, attempt):
    """The output of the first descriptor number for which the attempt gets at the host's file."""
    (arena.outside / "secret").write_text("of the host\n")
    seen = []
    for fd in range(3, 24):
        r = attempt(f"/proc/self/fd/{fd}", f"../../../../../../../../../..{arena.outside}/secret")
        seen.append(r.stderr.strip())
        if "of the host" in r.stdout:
            return [f"descriptor {fd}"], seen
    return [], seen


@against("CWD")
def test_the_working_directory_is_no_descriptor_of_run(leaky):
    def attempt(link, way):
        return leaky.run("run", "-b", leaky.bundle(leaky.config("cat", way, cwd=link)), "c", code=None)
    found, seen = through_descriptors(leaky, attempt)
    leaky.judge(found, seen)


@against("CWD")
def test_the_working_directory_is_no_link_of_the_image_to_a_descriptor(leaky):
    def attempt(link, way):
        (leaky.tree / "work").unlink(missing_ok=True)
        (leaky.tree / "work").symlink_to(link)
        return leaky.run("run", "-b", leaky.bundle(leaky.config("cat", way, cwd="/work")), "c", code=None)
    found, seen = through_descriptors(leaky, attempt)
    leaky.judge(found, seen)


@against("CWD")
def test_the_working_directory_is_no_descriptor_of_exec(leaky):
    leaky.hold(leaky.config("sleep", 1000))
    found, seen = through_descriptors(leaky, lambda link, way: leaky.run("exec", "--cwd", link, "c", "cat", way, code=None))
    leaky.judge(found, seen)


def host_program(arena):
    """A program of the host, which the container must never be."""
    program = arena.outside / "busybox"  # it looks at its name
    program.write_bytes((arena.tree / "bin/busybox").read_bytes())
    program.chmod(0o755)
    return f"../../../../../../../../../..{program}"


@against("COMMAND")
@pytest.mark.parametrize("how", ["run", "run by a link", "create", "exec"])
def test_the_command_is_no_program_behind_a_descriptor(leaky, how):
    way, found, seen = host_program(leaky), [], []
    if how == "exec":
        leaky.hold(leaky.config("sleep", 1000))
    for fd in range(3, 24):
        path, name = f"/proc/self/fd/{fd}/{way}", f"c{fd}"
        if how == "run by a link":
            (leaky.tree / "app").mkdir(exist_ok=True)
            (leaky.tree / "app/busybox").unlink(missing_ok=True)
            (leaky.tree / "app/busybox").symlink_to(path)
            path = "/app/busybox"
        if how == "exec":
            r = leaky.run("exec", "c", path, "echo", "the host's program", code=None)
        elif how == "create":
            config = leaky.config(path, "echo", "the host's program")
            with open(leaky.folder / "out", "w+") as out:
                p = leaky.popen("create", "-b", leaky.bundle(config), name, stdout=out, stderr=subprocess.STDOUT)
                if p.wait(60) == 0 and leaky.run("start", name, code=None).returncode == 0:
                    leaky.until_status(name, "stopped")
                r = subprocess.CompletedProcess("", p.returncode, pathlib.Path(out.name).read_text(), "")
            leaky.run("delete", "--force", name)
        else:
            r = leaky.run("run", "-b", leaky.bundle(leaky.config(path, "echo", "the host's program")), name, code=None)
        seen.append(r.stdout + r.stderr)
        if "the host's program" in r.stdout:
            found.append(path)
            break
    leaky.judge(found, seen)


# ---- rights -------------------------------------------------------------------------------------

ASKED = {"CAP_KILL": 5, "CAP_NET_BIND_SERVICE": 10}


def mask_of(names):
    return sum(1 << ASKED[n] for n in names)


def rights(text):
    return {k: int(v, 16) for k, v in (line.split(":") for line in text.splitlines() if line.startswith("Cap"))}


@against("CAPS")
@pytest.mark.parametrize("verb", ["run", "exec", "exec as a user"])
def test_a_process_has_the_capabilities_it_was_given_and_no_other(arena, verb):
    config = arena.config("attack", "rights")
    config["process"]["capabilities"] = {k: list(ASKED) for k in ("bounding", "effective", "permitted")}
    if verb == "run":
        text = arena.run("run", "-b", arena.bundle(config), "c").stdout
    else:
        config["process"]["args"] = ["sleep", "1000"]
        arena.hold(config)
        text = arena.run("exec", *(["--user", "1000:1000"] if verb.endswith("user") else []), "c", "attack", "rights").stdout
    want = mask_of(ASKED)
    held = {"CapInh": 0, "CapPrm": want, "CapEff": want, "CapBnd": want, "CapAmb": 0}
    if verb.endswith("user"):
        held.update(CapPrm=0, CapEff=0)
    extra = {k: hex(v & ~held[k]) for k, v in rights(text).items() if v & ~held[k]}
    arena.judge(escapes_in(text) + [f"{k} {v}" for k, v in extra.items()], text)
    if not arena.weak:
        assert rights(text) == held


@against("SETID")
@pytest.mark.parametrize("verb", ["run", "exec"])
def test_a_set_uid_program_of_the_image_gives_nothing(arena, verb):
    program = arena.tree / "bin/rise"
    program.write_bytes((arena.tree / "bin/attack").read_bytes())
    program.chmod(0o4755)
    config = arena.config("rise", "rights", noNewPrivileges=True, user={"uid": 1000, "gid": 1000})
    if verb == "run":
        text = arena.run("run", "-b", arena.bundle(config), "c").stdout
    else:
        config["process"]["args"] = ["sleep", "1000"]
        arena.hold(config)
        text = arena.run("exec", "c", "rise", "rights").stdout
    assert "done" in text
    arena.judge(escapes_in(text), text)


# ---- who joins ----------------------------------------------------------------------------------

@against("DUMPABLE")
def test_who_joins_the_container_cannot_be_traced_by_it(arena):
    text = attack_during_execs(arena, ["join", 600], escapes_in, "true")
    assert "ready" in text
    arena.judge(escapes_in(text), text)


def no_clone(mask, value):
    """As Docker's for a container without CAP_SYS_ADMIN, which it loads without noNewPrivileges: no clone3(2), clone(2) without some flags."""
    return {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
        {"names": ["clone"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}]}]}


# Loaded while there are rights, as there is no noNewPrivileges. In the container of "listener" everybody who is born is asked about.
FILTERS = {"clone3": no_clone(0x7E020000, 0x10000000), "clone": no_clone(0x8000, 0x8000), "listener": None}


@pytest.fixture
def tracing(arena, request):
    """The configuration of a container that may trace, with one of FILTERS or with noNewPrivileges."""
    listeners = []

    def configure(filtered, *command):
        config = arena.config(*command, noNewPrivileges=not filtered)
        for kind in ("bounding", "effective", "permitted"):
            config["process"]["capabilities"][kind].append("CAP_SYS_PTRACE")
        if filtered == "listener":
            listeners.append(Listener(arena.folder / "listener", says_no))
            config["linux"]["seccomp"] = profile(str(arena.folder / "listener"), "clone", "clone3", "execve", "setsid")
        elif filtered:
            config["linux"]["seccomp"] = FILTERS[filtered]
        return config
    configure.listeners = listeners
    yield configure
    for it in listeners:
        it.close()
        assert not it.errors


@against("AHEAD")
@pytest.mark.parametrize("user", [0, 1000])
@pytest.mark.parametrize("filtered", [None, *FILTERS])
def test_who_joins_a_container_that_may_trace_has_no_more_rights_than_it(arena, tracing, user, filtered):
    config = tracing(filtered, "attack", "join", 600, "rights")
    out = arena.hold(config)
    eager(arena.state("c")["pid"])
    until(lambda: "ready" in out.read_text(), "the attacker")
    for _ in rounds(lambda: not escapes_in(out.read_text())) if arena.weak else range(ROUNDS):
        arena.run("exec", "--user", user, "c", "true", code=None if arena.weak else 0)
    arena.judge(escapes_in(out.read_text()), out.read_text())


@against()
@pytest.mark.parametrize("filtered", [None, *FILTERS])
def test_exec_in_a_container_that_may_trace_is_as_any_other(arena, tracing, filtered):
    arena.hold(tracing(filtered, "sleep", 1000))
    assert arena.run("exec", "c", "sh", "-c", "echo in; exit 7", code=7).stdout == "in\n"
    assert "no/such" in arena.run("exec", "c", "/no/such", code=127).stderr
    assert "working directory" in arena.run("exec", "--cwd", "/proc/1/cwd/x/../../../..", "c", "true", code=125).stderr
    assert arena.run("exec", "c", "attack", "fds").stdout == "done\n"
    assert arena.run("exec", "--user", "1000:1000", "c", "id", "-u").stdout == "1000\n"
    pid, session = arena.run("exec", "c", "sh", "-c", "cut -d' ' -f1,6 /proc/self/stat; exit $?").stdout.split()
    assert int(session) <= int(pid)
    assert arena.run("exec", "c", "grep", "Seccomp:", "/proc/self/status").stdout.split()[1] == ("2" if filtered else "0")
    tty = subprocess.run(["script", "-qec", f"{arena.program} --root {arena.root} exec -t c sh -c 'test -t 0 && echo on a terminal; : > /dev/tty && echo its own'",
                          "/dev/null"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60).stdout
    assert "on a terminal" in tty and "its own" in tty, tty
    cgroups = [set(line.split(":", 1)[1] for line in arena.run("exec", "c", "cat", f"/proc/{p}/cgroup").stdout.splitlines()) for p in ("1", "self")]
    assert cgroups[0] == cgroups[1]
    arena.run("exec", "--pid-file", arena.folder / "pid", "c", "true")
    for it in tracing.listeners:
        assert it.states[-1]["pid"] == int((arena.folder / "pid").read_text()), "the listener is told of who executes the command"


@against()
@pytest.mark.parametrize("filtered", ["clone", "listener"])
def test_exec_is_refused_where_nobody_can_join_without_being_in_reach(arena, tracing, filtered):
    """Who is traced already, as by strace, cannot be traced by us, who would suspend its filter so."""
    arena.hold(tracing(filtered, "sleep", 1000))
    r = subprocess.run(["strace", "-f", "-o", "/dev/null", arena.program, "--root", arena.root, "exec", "c", "true"],
                       stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert r.returncode == 125
    assert "the container has CAP_SYS_PTRACE: who joins it would be in its hands" in r.stderr
    assert "suspend the seccomp filter of who joins: operation not permitted" in r.stderr


@against("PID")
def test_exec_does_not_join_who_got_the_number_of_a_dead_container(arena):
    """exec is held up between its look at the container and its joining; the container ends, and a process
    of the host is born with its number."""
    arena.hold(arena.config("sleep", 1000))
    pid = arena.state("c")["pid"]
    trace = arena.folder / "trace"
    held = subprocess.Popen(["strace", "-o", trace, "-e", "trace=pidfd_open", "-e", "inject=pidfd_open:delay_enter=5s", arena.program, "--root", arena.root,
                             "exec", "c", "/bin/sh", "-c", f"echo here > {arena.outside}/file"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    until(lambda: trace.exists() and f"pidfd_open({pid}" in trace.read_text(), "exec's look")
    os.kill(pid, signal.SIGKILL)
    until(lambda: not pathlib.Path(f"/proc/{pid}").exists(), "the end of the container")
    decoy = born_as(pid)
    try:
        out = held.communicate(timeout=60)[0]
    finally:
        os.kill(decoy, signal.SIGKILL)
        os.waitpid(decoy, 0)
    arena.judge([str(p) for p in arena.outside.iterdir()], out)
    if not arena.weak:
        assert "container not running" in out


def born_as(pid):
    """A child of ours with this number (clone3(2), set_tid), which sleeps."""
    numbers = (ctypes.c_int * 1)(pid)
    args = (ctypes.c_uint64 * 11)(0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, ctypes.addressof(numbers), 1, 0)
    child = ctypes.CDLL(None, use_errno=True).syscall(435, args, ctypes.sizeof(args))
    if child == 0:
        while True:
            signal.pause()
    assert child == pid, os.strerror(ctypes.get_errno())
    return child
