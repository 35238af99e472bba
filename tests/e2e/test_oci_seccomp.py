"""zlayer-oci: seccomp filters as the kernel enforces them, and the listener of SCMP_ACT_NOTIFY."""
import array
import errno
import fcntl
import json
import os
import signal
import socket
import struct
import threading

import pytest

from world import until

RECV, SEND = 0xC0502100, 0xC0182101  # SECCOMP_IOCTL_NOTIF_RECV, _SEND (linux/seccomp.h)
CONTINUE = 1


class Listener(threading.Thread):
    """Answers the questions of every filter that is handed to it; answer(nr, args) gives (error, value, flags)."""

    def __init__(self, path, answer):
        super().__init__(daemon=True)
        self.answer, self.states, self.asked, self.errors = answer, [], [], []
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen()
        self.start()

    def run(self):
        while True:
            try:
                c, _ = self.socket.accept()
            except OSError:
                return
            with c:
                text, ancillary, _, _ = c.recvmsg(65536, socket.CMSG_SPACE(4))
            self.states.append(json.loads(text))
            fds = array.array("i")
            for level, kind, data in ancillary:
                assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
                fds.frombytes(data)
            threading.Thread(target=self.serve, args=(fds[0],), daemon=True).start()

    def serve(self, fd):
        while True:
            question = bytearray(80)
            try:
                fcntl.ioctl(fd, RECV, question)
                ident, _, _, nr = struct.unpack_from("QIIi", question)
                self.asked.append(nr)
                error, value, flags = self.answer(nr, struct.unpack_from("6Q", question, 32))
                fcntl.ioctl(fd, SEND, struct.pack("QqiI", ident, value, -error, flags))
            except OSError as e:
                if e.errno in (errno.EINTR,):
                    continue
                if e.errno not in (errno.ENOENT, errno.ENOTTY):
                    self.errors.append(e)
                os.close(fd)
                return

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


MKDIR, GETPPID, EXECVE, WRITE = 83, 110, 59, 1  # x86-64


@pytest.fixture
def listen(oci):
    made = []

    def start(answer):
        it = Listener(oci.folder / f"listener{len(made)}", answer)
        made.append(it)
        return it, str(oci.folder / f"listener{len(made) - 1}")
    yield start
    for it in made:
        it.close()
        assert not it.errors


def profile(path, *names, **more):
    return {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": path, "syscalls": [{"names": list(names), "action": "SCMP_ACT_NOTIFY"}], **more}


def says_no(nr, args):
    return (errno.EXDEV, 0, 0) if nr == MKDIR else (0, 0, CONTINUE)


@pytest.mark.parametrize("nnp", [True, False])
@pytest.mark.parametrize("gate", [True, False])
def test_a_listener_decides_what_the_filter_asks(oci, listen, nnp, gate):
    it, path = listen(says_no)
    config = oci.config("sh", "-c", "mkdir /tmp/x; echo end", noNewPrivileges=nnp)
    config["process"]["capabilities"]["bounding"].append("CAP_SYS_ADMIN")
    config["annotations"] = {"org.example": "1"}
    # execve and write are asked as well: who told the parent by a system call would wait forever
    config["linux"]["seccomp"] = profile(path, "mkdir", "execve", "write", "sendto", "poll", listenerMetadata="data of mine",
                                         flags=["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"])
    bundle = oci.bundle(config)
    if gate:
        oci.run("create", "-b", bundle, "--pid-file", oci.folder / "pid", "c")
        assert len(it.states) == 1
        oci.run("start", "c")
        oci.until_status("c", "stopped")
    else:
        r = oci.run("run", "-b", bundle, "c")
        assert r.stdout == "end\n" and "Invalid cross-device link" in r.stderr
    state, = it.states
    assert state["fds"] == ["seccompFd"] and state["metadata"] == "data of mine"
    inner = state["state"]
    assert inner["id"] == "c" and inner["status"] == "creating" and inner["bundle"] == str(bundle)
    assert inner["pid"] == state["pid"] and inner["annotations"] == {"org.example": "1"}
    assert MKDIR in it.asked and EXECVE in it.asked


def test_a_further_process_asks_as_well(oci, listen):
    it, path = listen(says_no)
    config = oci.config("sleep", 1000)
    config["linux"]["seccomp"] = profile(path, "mkdir", "execve")
    oci.run("run", "-d", "-b", oci.bundle(config), "c")
    r = oci.run("exec", "--pid-file", oci.folder / "pid", "c", "mkdir", "/tmp/x", code=1)
    assert "Invalid cross-device link" in r.stderr
    first, further = it.states
    assert further["state"]["pid"] == first["pid"] == oci.state("c")["pid"]
    assert further["pid"] == int((oci.folder / "pid").read_text()) != first["pid"]
    assert further["state"]["status"] == "running"


@pytest.mark.parametrize("died_of", ["filter", "signal"])
def test_a_process_that_ends_between_its_gate_and_its_command_has_not_been_started(oci, died_of):
    config = oci.config("true", noNewPrivileges=True)
    if died_of == "filter":  # of what is done last before the command
        config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["rt_sigaction"], "action": "SCMP_ACT_KILL_PROCESS"}, {"names": ["write"], "action": "SCMP_ACT_ERRNO"}]}
    oci.run("create", "-b", oci.bundle(config), "c")
    if died_of == "signal":  # it stands still when its gate is opened
        pid = oci.state("c")["pid"]
        os.kill(pid, signal.SIGSTOP)
        start = oci.popen("start", "c")
        until(lambda: not (oci.root / "c/gate").exists(), "the open gate")
        os.kill(pid, signal.SIGKILL)
        out, err = start.communicate(timeout=60)
        assert start.returncode == 1, err
    else:
        err = oci.run("start", "c", code=1).stderr
    assert "it was ended before its command was executed" in err
    assert oci.state("c")["status"] == "stopped"
    oci.run("delete", "c")


def test_what_cannot_be_executed_is_told_though_its_filter_forbids_to_write(oci):
    (oci.folder / "plain").write_text("no program")
    (oci.folder / "plain").chmod(0o755)
    config = oci.config("/plain", noNewPrivileges=True)
    config["mounts"].append({"destination": "/plain", "type": "bind", "source": str(oci.folder / "plain"), "options": ["bind", "ro"]})
    config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["write"], "action": "SCMP_ACT_ERRNO"}]}
    oci.run("create", "-b", oci.bundle(config), "c")
    assert "execute '/plain': exec format error" in oci.run("start", "c", code=1).stderr
    oci.run("delete", "c")


def test_without_a_listener_nothing_is_started(oci):
    config = oci.config("true")
    config["linux"]["seccomp"] = profile(str(oci.folder / "nobody"), "mkdir")
    assert "linux.seccomp.listenerPath: connect to" in oci.run("run", "-b", oci.bundle(config), "c", code=125).stderr
    assert oci.leftovers() == []
    del config["linux"]["seccomp"]["listenerPath"]
    assert "listenerPath must tell who is asked" in oci.run("run", "-b", oci.bundle(config), "c", code=125).stderr


@pytest.mark.parametrize("action, code, said", [
    ("SCMP_ACT_KILL_PROCESS", 159, ""), ("SCMP_ACT_KILL_THREAD", 159, ""), ("SCMP_ACT_KILL", 159, ""), ("SCMP_ACT_TRAP", 159, ""),
    ("SCMP_ACT_ERRNO", 1, "Operation not permitted"), ("SCMP_ACT_TRACE", 1, "Function not implemented"), ("SCMP_ACT_LOG", 0, ""), ("SCMP_ACT_ALLOW", 0, ""),
])
def test_every_action_does_what_it_says(oci, action, code, said):
    config = oci.config("mkdir", "/tmp/x")
    config["mounts"].append({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"})
    config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": action}]}
    if action == "SCMP_ACT_ALLOW":
        config["linux"]["seccomp"]["architectures"] = ["SCMP_ARCH_X86_64"]
    assert said in oci.run("run", "-b", oci.bundle(config), "c", code=code).stderr


@pytest.mark.parametrize("how", [("run",), ("create",)])
def test_a_filter_that_ends_it_before_its_command_is_no_start(oci, how):
    """Without no_new_privs the filter is there before the capabilities are set."""
    config = oci.config("true", noNewPrivileges=False)
    config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["capset"], "action": "SCMP_ACT_KILL_PROCESS"}]}
    assert "signal 31 ended it" in oci.run(*how, "-b", oci.bundle(config), "c", code=None).stderr
    assert oci.leftovers() == []


def test_errno_of_rules_and_of_the_default(oci):
    config = oci.config("mkdir", "/tmp/x")
    config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.EXDEV}]}
    assert "cross-device" in oci.run("run", "-b", oci.bundle(config), "c", code=1).stderr
    config["linux"]["seccomp"]["syscalls"][0].update(action="SCMP_ACT_LOG")
    assert "an errno goes with" in oci.run("run", "-b", oci.bundle(config), "c", code=125).stderr


@pytest.mark.parametrize("flags", [[], ["SECCOMP_FILTER_FLAG_LOG"], ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]])
def test_flags_are_taken(oci, flags):
    config = oci.config("grep", "-E", "Seccomp:|Speculation_Store_Bypass", "/proc/self/status")
    config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_LOG", "flags": flags}
    assert "Seccomp:\t2" in oci.run("run", "-b", oci.bundle(config), "c").stdout
