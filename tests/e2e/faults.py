"""What the tests of single system calls share: tests/faults/failcall counts them, makes one fail, or kills before one.

By default some calls of each kind are tried; with ZLAYER_FAULTS=full all of them (some minutes).
"""
import collections
import contextlib
import errno
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import threading

from escapes import SHIPPED
from ocibundle import Oci, unpack

FULL = os.environ.get("ZLAYER_FAULTS") == "full"
FAILCALL = SHIPPED / "tests/faults/failcall"
STANDIN_SD = SHIPPED / "tests/faults/sd_standin"  # zlayer-sd where there is no systemd
# The n-th call of a process, and the k-th of that name: by who, name and k failcall is told which is meant.
Call = collections.namedtuple("Call", "who n name k path")

# Calls that may fail without consequence: (process, call, path), and why. "P" is zlayer-oci itself, "container" the
# process that becomes the container's, "hook" one that becomes a hook, "sd" one that becomes zlayer-sd, "helper" one
# that holds a user namespace or makes the container between.
HARMLESS = {
    ("*", "close", ""): "nothing is written through what is closed",
    ("P", "statfs", ""): "the change to the read-only copy of ourselves has a second way (early.c, self.c)",
    ("P", "open_tree", ""): "the same",
    ("P", "mount_setattr", ""): "the same",
    ("P", "readlink", ""): "the same",
    ("P", "execveat", ""): "the same",
    ("P", "fstatfs", ""): "the same",
    ("P", "fcntl", ""): "the same; and the lock of the state goes with the process",
    ("P", "set_tid_address", ""): "libc's, at its start",
    ("P", "set_robust_list", ""): "libc's, at its start",
    ("P", "rseq", ""): "libc's, at its start",
    ("P", "prlimit64", ""): "libc's, at its start",
    ("P", "getrandom", ""): "libc's, at its start: a weaker stack protector of malloc",
    ("P", "munmap", ""): "memory of a process that ends",
    ("P", "madvise", ""): "pages ahead of their use: they come one by one then",
    ("P", "openat", "/dev/urandom"): "jansson's, which has the time as a second source",
    ("P", "read", "/dev/urandom"): "the same",
    ("P", "openat", "ROOT"): "made if it cannot be opened, and opened again",
    ("P", "capget", ""): "what may not be raised is refused by capset(2)",
    ("P", "pidfd_send_signal", ""): "of a process that only holds a user namespace: kill(2) is the second way",
    ("P", "waitid", ""): "it is asked again",
    ("*", "openat2", "/dev/null"): "the host's stays, which only a checkpoint would miss",
    ("container", "newfstatat", "STDIO"): "the same, when it is asked of standard input and output",
    ("hook", "newfstatat", "STDIO"): "the same, of a startContainer hook",
    ("hook", "set_robust_list", ""): "libc's, in a child",
    ("helper", "set_robust_list", ""): "the same",
    ("helper", "prlimit64", ""): "a higher hard limit: the child goes as high as it may",
    ("P", "prctl", ""): "we ourselves stay as hidden as the child that we made",
    ("P", "sendto", ""): "zlayer-sd goes at the end of the connection as well, and its exit tells",
    ("container", "poll", ""): "it waits at its gate: create is done, and start tells of it",
    ("helper", "poll", ""): "it only holds a user namespace",
    ("helper", "wait4", ""): "it is asked again",
}
# The same of one error only.
HARMLESS_WITH = {
    ("container", "prlimit64", errno.EPERM): "a higher hard limit: it goes as high as it may",
    ("hook", "prlimit64", errno.EPERM): "the same, of a startContainer hook",
    ("P", "setns", errno.EPERM): "who may not return from a PID namespace lets a process between enter it",
}
# Warnings by which a failure is told that does not hinder the container.
TOLD = ("systemd does not know the limits and may undo them", "poststart hook")
# The kernel has no error for these, or only for arguments that make no sense: not tried.
WITHOUT_ERROR = {"brk", "umask", "getpid", "geteuid", "getegid", "rt_sigprocmask", "rt_sigaction", "exit", "exit_group"}
# Before main(): libc ends the process, in its own words.
OF_LIBC = {"execve", "arch_prctl", "mprotect"}

# What a call really fails with, beside EIO, which any of those that reach a disk or a device can: (2) of each.
ERRNOS = {name: tuple(getattr(errno, e) for e in errors.split()) for names, errors in {
    "openat openat2 open_tree dup dup2 dup3 fcntl pipe2 memfd_create socket socketpair signalfd4 eventfd2 epoll_create1 pidfd_open": "EMFILE ENOMEM",
    "mkdirat mknodat symlinkat renameat renameat2 linkat ftruncate": "ENOSPC EROFS",
    "write pwrite64": "ENOSPC EINTR",
    "read pread64 readv recvmsg recvfrom": "EINTR ENOMEM",
    "sendmsg sendto": "ENOBUFS EINTR",
    "poll ppoll wait4 waitid connect accept4": "EINTR",
    "mmap mprotect mremap": "ENOMEM",
    "clone clone3 fork vfork": "EAGAIN ENOMEM ENOSPC",
    "unshare": "ENOSPC EPERM",
    "setns mount move_mount mount_setattr pivot_root umount2 fsopen fsconfig fsmount bpf seccomp": "EPERM ENOMEM",
    "setuid setgid setresuid setresgid setgroups setreuid setregid": "EPERM EAGAIN",
    "capset prctl prlimit64 sethostname setdomainname setpriority ioctl fchown fchownat fchmod fchmodat chroot chdir fchdir": "EPERM",
    "newfstatat fstat statfs fstatfs faccessat faccessat2 readlink readlinkat getdents64": "EACCES ENOMEM",
    "execve execveat": "ENOMEM",
    "keyctl": "EDQUOT ENOMEM",
    "unlinkat": "EBUSY EROFS",
}.items() for name in names.split()}


class Terminals:
    """Who listens at a console socket, and holds the last terminal that came."""

    def __init__(self, path):
        self.path, self.held = path, []
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen(8)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return  # it was closed
            with connection:
                _, fds, _, _ = socket.recv_fds(connection, 64, 4)
            for fd in self.held:
                os.close(fd)
            self.held = fds

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def read_log(path):
    """What failcall wrote: the calls, and the processes that live on."""
    *lines, last = path.read_text().splitlines()
    calls, seen = [], collections.Counter()
    for who, n, name, path in (line.split(" ", 3) for line in lines):
        seen[who, name] += 1
        calls.append(Call(who, int(n), name, seen[who, name], path))
    return calls, [int(p) for p in last.split()[1:]]


def is_like(a, b):
    """The same call of two runs: in a path numbers (of processes, descriptors) may differ."""
    return (a.who, a.name, a.k, re.sub(r"\d+", "N", a.path)) == (b.who, b.name, b.k, re.sub(r"\d+", "N", b.path))


class Sweep:
    """Tries each call until it comes as it was planned: who works beside us may be ended by us before it comes to it."""

    TRIES = 4

    def __init__(self):
        self.hit, self.missed, self.never = 0, [], []

    def over(self, call, attempt):
        """attempt() makes it happen, judges what followed, and returns which call it was, None if there was none."""
        for _ in range(self.TRIES):
            came = attempt()
            if came and is_like(came, call):
                self.hit += 1
                return
            self.missed.append((call, came))
        self.never.append(call)

    def check(self):
        tried = self.hit + len(self.never)
        assert len(self.never) <= tried // 50, f"calls that never came as they were planned: {self.never}"
        assert len(self.missed) <= tried // 20, f"{tried} calls planned, of which these did not come: {self.missed}"

    def __str__(self):
        return f"{self.hit} calls hit, {len(self.missed)} tries missed"


class Faults(Oci):
    def __init__(self, folder, tree):
        super().__init__(folder, tree, SHIPPED / "src/ocicli/zlayer-oci")
        self.log = self.folder / "calls"
        self.general, self.options, self.roles = [], {}, {}
        self.terminals = None

    def close(self):
        if self.terminals:
            self.terminals.close()
        return super().close()

    def rich(self, *args):
        """A container that needs every step."""
        c = self.config(*args)
        c["process"].update(user={"uid": 1000, "gid": 1000, "additionalGids": [50]}, oomScoreAdj=100, noNewPrivileges=True)
        c["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]
        (self.folder / "a-file").write_text("x")
        c["mounts"] += [{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid"]},
                        {"destination": "/tmp/deep/er", "type": "bind", "source": str(self.tree / "etc"), "options": ["rbind", "ro", "rprivate"]},
                        {"destination": "/etc/hosts", "type": "bind", "source": str(self.folder / "a-file"), "options": ["bind"]}]
        c["root"]["readonly"] = False
        c["hostname"] = "faulty"
        c["linux"].update(cgroupsPath=f"{self.cgroup}/c", sysctl={"net.ipv4.ip_forward": "0"},
                          maskedPaths=["/proc/timer_list", "/proc/acpi", "/sys/firmware"], readonlyPaths=["/proc/sys", "/proc/irq"],
                          seccomp={"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["kexec_load"], "action": "SCMP_ACT_ERRNO"}]},
                          resources={"memory": {"limit": 64 << 20}, "pids": {"limit": 50}, "cpu": {"shares": 512},
                                     "devices": [{"allow": False, "access": "rwm"}, {"allow": True, "type": "c", "major": 1, "minor": 5, "access": "rwm"}]})
        return c

    def mapped(self, *args):
        """One in a user namespace, with another time and a mount of mapped ids: made by a process between."""
        c = self.rich(*args)
        c["linux"]["namespaces"] += [{"type": "user"}, {"type": "time"}]
        c["linux"]["uidMappings"] = c["linux"]["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        c["linux"]["timeOffsets"] = {"boottime": {"secs": 10}}
        c["mounts"][-2]["options"].append("idmap")
        for target in ("proc", "dev", "sys", "tmp"):
            (self.tree / target).mkdir(exist_ok=True)
        (self.tree / "etc/hosts").touch()
        self.tree.chmod(0o755)
        return c

    def hooked(self, *args):
        """One with a hook of each stage; those of startContainer are programs of the image, the others of the host."""
        c = self.rich(*args)
        stages = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart")
        c["hooks"] = {stage: [{"path": "/bin/true", "timeout": 20}] for stage in stages}
        return c

    def terminal(self, *args):
        """One with a terminal, of ours (run) or of who listens at the console socket (create)."""
        c = self.rich(*args)
        c["process"]["terminal"] = True
        self.terminals = self.terminals or Terminals(self.folder / "console")
        self.options = {"create": ["--console-socket", self.terminals.path]}
        return c

    def systemd(self, *args):
        """One whose cgroup is a scope; a stand-in makes it, so that no systemd is needed."""
        c = self.rich(*args)
        c["linux"]["cgroupsPath"] = "faults.slice:t:c"
        libexec = self.folder / "libexec"
        libexec.mkdir(exist_ok=True)
        shutil.copy(STANDIN_SD, libexec / "zlayer-sd")
        (libexec / "parent").write_text(self.cgroup)
        self.env["ZLAYER_LIBEXEC"] = str(libexec)
        self.general = ["--systemd-cgroup"]
        return c

    def under(self, mode, verb, bundle):
        """The exit code and what was said; the calls are in self.calls, those that live on in self.alive."""
        with tempfile.TemporaryFile("w+") as out:
            command = [self.program, "--root", self.root, *self.general, verb, *self.options.get(verb, []), "-b", bundle, "c"]
            p = subprocess.run([FAILCALL, mode, self.log, *command], cwd=self.folder, env=self.env,
                               stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, timeout=60)
            out.seek(0)
            text = out.read().strip()
        self.calls, self.alive = read_log(self.log)
        return p.returncode, text

    def clean(self):
        self.run("delete", "--force", "c")
        left = self.leftovers()
        for d in (x.split(" ", 1)[1] for x in left if x.startswith("cgroup")):
            os.rmdir(d)

    def start_path(self, verb, bundle):
        """All calls up to the execution of the command, as they are when the folders above are there."""
        for _ in range(2):
            code, text = self.under("count", verb, bundle)
            assert code == 0, text
            self.clean()
        self.roles = {c.who: self.role(c.who) for c in self.calls}
        ours = [w for w, role in self.roles.items() if role in ("container", "hook", "helper")]  # zlayer-sd ends the scope as well
        last = max(i for i, c in enumerate(self.calls) if c.who in ours)
        return self.calls if verb == "create" else self.calls[:last + 1]

    def role(self, who):
        mine = [c for c in self.calls if c.who == who]
        if who == "P":
            return who
        if any(c.name == "pivot_root" for c in mine):
            return "container"
        end = mine[-1]
        return {"/bin/true": "hook"}.get(end.path, "sd" if end.path.endswith("/zlayer-sd") else "helper") if end.name == "execve" else "helper"

    def call(self, who, n):
        return next((c for c in self.calls if (c.who, c.n) == (who, n)), None)

    def hit(self, call):
        """Which call of the last run was the one that was meant; None when it did not come to it."""
        return next((c for c in self.calls if (c.who, c.name, c.k) == (call.who, call.name, call.k)), None)

    def kind(self, call):
        """Of a call, for HARMLESS: whose, which, of what."""
        before = self.call(call.who, call.n - 1) or call
        path = call.path
        if call.name == "read" and before.path == "/dev/urandom":
            path = before.path
        if path == str(self.root):
            path = "ROOT"
        if path.startswith("fd ") and (self.roles.get(call.who) == "hook" or self.has_pivoted(call)):
            path = "STDIO"  # before, it is what is bound
        return call.name, path

    def has_pivoted(self, call):
        return any(c.who == call.who and c.name == "pivot_root" and c.n < call.n for c in self.calls)

    def harmless(self, call, error, text):
        name, path = self.kind(call)
        if (self.roles.get(call.who), name, error) in HARMLESS_WITH or any(word in text for word in TOLD):
            return True
        return any((who, name, p) in HARMLESS for who in ("*", self.roles.get(call.who, call.who)) for p in ("", path))


def some_of(calls):
    """Some of each kind: the first, the last, and those between at growing distance."""
    kinds = collections.defaultdict(list)
    for c in calls:
        kinds[c.who, c.name].append(c)
    return [c for v in kinds.values() for i, c in enumerate(v) if FULL or i in (0, 1, 2, 4, 8, 16, 32, len(v) - 1)]


@contextlib.contextmanager
def in_a_folder(kind, busybox_tar):
    """A kind of Faults in a folder of its own; at the end nothing of it may be left."""
    folder = tempfile.mkdtemp(prefix="zlayer-faults.")
    it = kind(folder, unpack(busybox_tar, pathlib.Path(folder) / "rootfs"))
    try:
        yield it
    finally:
        it.close()
        left = it.leftovers()
        if not left:
            shutil.rmtree(folder)
    assert not left, left


NAMES_A_THING = re.compile(r"'[^']+'")
NAMES_A_STEP = re.compile(r"\b(run|connect|duplicate|ask|resolve|rewind|set|mount|make|open|read|write|join|mask|bring|drop|wait|look|clone|change|execute|load|enter|find|lock|rename|create|send|begin|map|hear|list|prepare|return|start|bind|listen|serve|become|watch|close|use)\b")


def reasons(error):
    """How it is said: the kernel's, or that of a library which knows of no other."""
    return [os.strerror(error).lower(), *(["out of memory"] if error == errno.ENOMEM else [])]


def judge_failure(f, verb, call, error, code, text):
    """Why this outcome is wrong, or None."""
    where = f"{verb}: {call.who} {call.n} {call.name} {call.path} {errno.errorcode[error]} -> {code}: {text}"
    if f.alive:
        return f"{where}: processes live on: {f.alive}"
    left = f.leftovers()
    if left:
        return f"{where}: left behind: {left}"
    if call.name in OF_LIBC and call.who == "P":
        return None
    if call.name == "poll" and f.roles.get(call.who) == "container" and ("open the gate" in text or "startContainer hook" in text):
        return None  # who comes to the gate finds nobody behind it
    if call.path.endswith("/zlayer-sd") and error == errno.EACCES and "zlayer-sd" in text:
        return None  # a helper that may not be executed is looked for elsewhere
    denied = [126] if error == errno.EACCES and "execute '" in text else []
    if code not in {"create": [1], "run": [125, 1, *denied]}[verb]:  # 1: before it was known that it is run
        return f"{where}: the wrong exit code"
    said = text.removeprefix("zlayer-oci: ")
    if said == text or not any(r in said for r in reasons(error)) or not NAMES_A_STEP.search(said.rsplit(":", 1)[0]):
        return f"{where}: the error does not name the step"
    return None


def errors_for(call, turn):
    """With which it is made to fail: all of them, or one after the other."""
    every = (errno.EIO, *ERRNOS.get(call.name, ()))
    return every if FULL else (every[turn % len(every)],)


def attempts(planned):
    turns = collections.Counter()
    for call in some_of(planned):
        if call.name in WITHOUT_ERROR:
            continue
        for error in errors_for(call, turns[call.name]):
            yield call, error
        turns[call.name] += 1


KINDS = ["rich", "mapped", "hooked", "terminal", "systemd"]
