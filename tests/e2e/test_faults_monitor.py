"""Every system call of the monitor's start path made to fail, one at a time, as in test_faults.py."""
import collections
import errno
import os
import re
import shutil
import subprocess

import pytest

from escapes import SHIPPED
from faults import FAILCALL, NAMES_A_STEP, OF_LIBC, Faults, Sweep, attempts, in_a_folder, read_log
from world import remove_cgroups

MONITOR_HARMLESS = {
    ("P", "close"): "nothing is written through what is closed",
    ("C", "close"): "the same",
    ("P", "set_tid_address"): "libc's, at its start",
    ("P", "prctl"): "its name",
    ("P", "munmap"): "memory that is not used again",
    ("P", "mmap"): "musl's malloc, which has brk(2) as a second source",
    ("P", "fcntl"): "musl's open(2), which sets close-on-exec once more",
    ("C", "fcntl"): "the same",
    ("P", "unshare"): "the network made ahead of a create, which makes it when it is not there",
    ("P", "socket"): "the same: for lo",
    ("P", "fsopen"): "a sysfs made ahead: its mount makes it when it is not there",
    ("P", "fsconfig"): "the same",
    ("P", "ioctl"): "the same",
    ("P", "setsid"): "fails only for a leader of a session",
    ("P", "chdir"): "a working directory that it may be unable to leave: the monitor uses none",
}


# The monitor is linked with musl, which has words of its own.
MUSL_WORDS = {errno.EIO: "I/O error", errno.EMFILE: "No file descriptors available", errno.ENOMEM: "Out of memory", errno.EBUSY: "Resource busy",
              errno.EDQUOT: "Quota exceeded"}


class Monitor(Faults):
    """zlayer-shim, asked by drive_shim for create, start and forget."""

    def __init__(self, folder, tree):
        super().__init__(folder, tree)
        self.driven = self.folder / "driven"

    def under(self, mode, *unused):
        shutil.rmtree(self.driven, ignore_errors=True)
        self.driven.mkdir()
        r = subprocess.run([SHIPPED / "tests/faults/drive_shim", self.driven, self.tree, f"{self.cgroup.strip('/')}/c", FAILCALL, mode, self.log,
                            SHIPPED / "src/shim/zlayer-shim"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        self.calls, self.alive = read_log(self.log)
        return r.returncode, (r.stdout + r.stderr).strip()

    def leftovers(self):
        return super().leftovers() + [f"file {p}" for p in (self.driven / "run").rglob("*") if p.name != "c"]

    def clean(self):
        remove_cgroups(x.split(" ", 1)[1] for x in self.leftovers() if x.startswith("cgroup"))

    def harmless(self, call, error, text):
        ahead = call.name == "openat" and call.path == "/proc/self/ns/net"  # as its unshare
        return ahead or (call.who, call.name) in MONITOR_HARMLESS

    def why_wrong(self, call, error, code, text):
        where = f"shim: {call} {errno.errorcode[error]} -> {code}: {text}"
        if self.alive:
            return f"{where}: processes live on: {self.alive}"
        if code == 3:
            return f"{where}: the monitor does not end"
        if call.name == "epoll_pwait":  # its death, after which its agent removes what there was
            return None if "zlayer-shim: wait for events" in text else f"{where}: it died silently"
        if self.leftovers():
            return f"{where}: left behind: {self.leftovers()}"
        if call.name in ("recvmsg", "sendmsg") and code == 2:
            return None  # the connection itself: both ends see it close
        if call.name in OF_LIBC and call.who == "P":
            return None
        words = MUSL_WORDS.get(error, os.strerror(error))
        said = [line for line in text.splitlines() if words in line]
        return None if any(NAMES_A_STEP.search(line.split(": ", 1)[1]) for line in said) else f"{where}: the error does not name the step"


@pytest.fixture
def monitor(busybox_tar):
    with in_a_folder(Monitor, busybox_tar) as it:
        yield it


def test_each_call_of_the_monitor_that_fails_is_an_error_and_leaves_nothing(monitor):
    f = monitor
    for _ in range(2):
        code, text = f.under("count")
        assert code == 0, text
    last = max(i for i, c in enumerate(f.calls) if c.who == "C")
    planned, wrong, errors, sweep = f.calls[:last + 1], [], collections.Counter(), Sweep()

    def attempt(call, error):
        code, text = f.under(f"fail:{call.who}:{call.name}:{call.k}:{error}")
        hit = f.hit(call)
        if not hit:
            assert code == 0, f"{call} did not come to fail, but: {text}"
        elif code == 0 and error != errno.EINTR and not f.harmless(hit, error, text):
            wrong.append(f"shim: {hit} failed with {errno.errorcode[error]} and nobody said so")
        elif code:
            errors[re.sub(r"'[^']*'|\d+", "*", text)] += 1
            wrong.extend(filter(None, [f.why_wrong(hit, error, code, text)]))
        f.clean()
        return hit

    for call, error in attempts(planned):
        sweep.over(call, lambda: attempt(call, error))
    print(f"shim: {len(planned)} calls, {sweep}, {len(errors)} different errors")
    assert not wrong, "\n".join(wrong)
    sweep.check()
    assert len(errors) > 20
