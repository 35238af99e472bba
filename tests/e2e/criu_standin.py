#!/usr/bin/python3
"""A criu that answers `criu swrk 3` as criu does, but saves and restores nothing.

Messages are read and written by criu's own definition of them (pycriu, of Debian's criu). Everything it was
asked is kept in $CRIU_KEEP. A dump ends the process unless it is to go on; a restore makes a process that
sleeps, as a sibling. $CRIU_FAIL makes it fail as criu fails: with an answer and a line in its log.
"""
import ctypes
import json
import os
import pathlib
import signal
import socket
import sys

from google.protobuf.json_format import MessageToDict
from pycriu import rpc

CLONE_PARENT = 0x8000


def answer(sock, kind, success=True, fd=None, **members):
    message = rpc.criu_resp(type=kind, success=success, **members)
    if fd is None:
        sock.send(message.SerializeToString())
    else:
        socket.send_fds(sock, [message.SerializeToString()], [fd])


def notify(sock, script, pid, fd=None):
    """Waits for the answer: whether to go on."""
    answer(sock, rpc.NOTIFY, fd=fd, notify=rpc.criu_notify(script=script, pid=pid))
    reply = rpc.criu_req.FromString(sock.recv(4096))
    assert reply.type == rpc.NOTIFY
    return reply.notify_success


def folder(sock, fd):
    """A descriptor of who asks, as criu reaches it."""
    pid = int.from_bytes(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)[:4], sys.byteorder)
    return pathlib.Path(os.readlink(f"/proc/{pid}/fd/{fd}"))


def keep(sock, request):
    opts = request.opts
    seen = {"argv": sys.argv, "request": MessageToDict(request, preserving_proto_field_name=True),
            "images": str(folder(sock, opts.images_dir_fd)), "work": str(folder(sock, opts.work_dir_fd)),
            "cgroups": pathlib.Path("/proc/self/cgroup").read_text().splitlines(), "mounts": [line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()],
            "inherited": {i.key: os.readlink(f"/proc/self/fd/{i.fd}") for i in opts.inherit_fd}}
    pathlib.Path(os.environ["CRIU_KEEP"]).write_text(json.dumps(seen))


def fail(sock, request):
    log = folder(sock, request.opts.work_dir_fd) / request.opts.log_file
    log.write_text("(00.01) Debug\n(00.02) Error (criu/first.c:1): first\n(00.03) Error (criu/x.c:7): it is a stand-in\n(00.04) bye\n")
    answer(sock, request.type, False, cr_errno=22, cr_errmsg="no images")


def dump(sock, request):
    assert notify(sock, "pre-dump", 0) and notify(sock, "post-dump", 0)
    if request.type == rpc.DUMP and not request.opts.leave_running:
        os.kill(request.opts.pid, signal.SIGKILL)
    answer(sock, request.type, dump=rpc.criu_dump_resp())


def sibling():
    pid = ctypes.CDLL(None, use_errno=True).syscall(56, CLONE_PARENT | signal.SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        sys.stdout.write("restored\n")
        sys.stdout.flush()
        signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
        while True:
            signal.pause()
    return pid


def restore(sock, request):
    pid = sibling()
    fine = notify(sock, "setup-namespaces", pid)
    if os.environ.get("CRIU_TERMINAL"):
        master, _ = os.openpty()
        fine = fine and notify(sock, "orphan-pts-master", pid, fd=master)
    if not fine or not notify(sock, "post-restore", pid):
        os.kill(pid, signal.SIGKILL)
        return answer(sock, request.type, False, cr_errmsg="a script said no")
    answer(sock, request.type, restore=rpc.criu_restore_resp(pid=pid))


def main():
    sock = socket.socket(fileno=int(sys.argv[2]))
    request = rpc.criu_req.FromString(sock.recv(1 << 16))
    keep(sock, request)
    work = fail if os.environ.get("CRIU_FAIL") else restore if request.type == rpc.RESTORE else dump
    work(sock, request)


main()
