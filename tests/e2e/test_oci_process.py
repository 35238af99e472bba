"""zlayer-oci: how the process that is started is scheduled, what it inherits and what not."""
import fcntl
import json
import os
import pathlib
import signal
import socket
import struct
import termios

import pytest


def out(oci, config, **kw):
    return oci.run("run", "-b", oci.bundle(config), "c", **kw).stdout


# ---- scheduling ---------------------------------------------------------------------------------

@pytest.mark.parametrize("scheduler, fields", [
    ({"policy": "SCHED_BATCH", "nice": 7}, ["7", "3"]),
    ({"policy": "SCHED_IDLE"}, [None, "5"]),
    ({"policy": "SCHED_OTHER", "nice": -5}, ["-5", "0"]),
    ({"policy": "SCHED_OTHER", "nice": 3, "flags": ["SCHED_FLAG_RESET_ON_FORK"]}, ["3", "0"]),
])
def test_the_scheduler_is_the_one_asked_for(oci, scheduler, fields):
    config = oci.config("cat", "/proc/self/stat", scheduler=scheduler)
    stat = out(oci, config).rpartition(")")[2].split()
    nice, policy = stat[19 - 3], stat[41 - 3]  # proc(5)
    assert [fields[0] and nice, policy] == fields  # SCHED_IDLE keeps the nice value of who started it


def test_a_scheduler_that_cannot_be_is_refused_by_name(oci):
    for scheduler, word in (({"policy": "SCHED_ISO"}, "SCHED_ISO is reserved"), ({"policy": "SCHED_X"}, "process.scheduler.policy"),
                            ({"policy": "SCHED_OTHER", "nice": 20}, "20 is not in -20"), ({"policy": "SCHED_RR", "priority": 100}, "100 is not in 0"),
                            ({"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_X"]}, "process.scheduler.flags[0]: unknown"),
                            ({"policy": "SCHED_RR"}, "set the scheduler: invalid argument")):
        bundle = oci.bundle(oci.config("true", scheduler=scheduler))
        assert word in oci.run("run", "-b", bundle, "c", code=125).stderr


@pytest.mark.parametrize("priority, said", [
    ({"class": "IOPRIO_CLASS_BE", "priority": 6}, "best-effort: prio 6"),
    ({"class": "IOPRIO_CLASS_IDLE", "priority": 6}, "idle"),
])
def test_the_io_priority_is_the_one_asked_for(oci, priority, said):
    assert out(oci, oci.config("busybox", "ionice", "-p", 1, ioPriority=priority)).strip() == said


def test_an_io_priority_out_of_range_is_refused(oci):
    bundle = oci.bundle(oci.config("true", ioPriority={"class": "IOPRIO_CLASS_BE", "priority": 8}))
    assert "process.ioPriority.priority: 8 is not in 0" in oci.run("run", "-b", bundle, "c", code=125).stderr


def test_exec_runs_on_the_cpus_that_are_said(oci):
    cpus = sorted(os.sched_getaffinity(0))
    last = str(cpus[-1])
    config = oci.config("sleep", 1000, execCPUAffinity={"initial": str(cpus[0]), "final": last})
    oci.run("run", "-d", "-b", oci.bundle(config), "c")
    allowed = ("grep", "Cpus_allowed_list", "/proc/self/status")
    assert oci.run("exec", "c", *allowed).stdout.split()[1] == last
    process = {"cwd": "/", "args": list(allowed), "execCPUAffinity": {"initial": last}}
    (oci.folder / "p.json").write_text(json.dumps(process))
    assert oci.run("exec", "--process", oci.folder / "p.json", "c").stdout.split()[1] == last
    pid = oci.state("c")["pid"]  # the first process is not meant
    assert sorted(os.sched_getaffinity(pid)) == cpus
    assert sorted(os.sched_getaffinity(0)) == cpus
    for bad in ("x", "3-1", "1,", "99999", "-1"):
        process["execCPUAffinity"] = {"final": bad}
        (oci.folder / "p.json").write_text(json.dumps(process))
        assert "process.execCPUAffinity.final: expected CPUs" in oci.run("exec", "--process", oci.folder / "p.json", "c", code=125).stderr


def test_the_personality_tells_another_machine(oci):
    config = oci.config("busybox", "uname", "-m")
    config["linux"]["personality"] = {"domain": "LINUX32"}
    assert out(oci, config).strip() in ("i686", "armv8l")
    config["linux"]["personality"] = {"domain": "LINUX"}
    assert out(oci, config).strip() == os.uname().machine
    for bad, word in (({"domain": "BSD"}, "expected LINUX or LINUX32"), ({"domain": "LINUX", "flags": ["X"]}, "linux.personality.flags[0]")):
        config["linux"]["personality"] = bad
        assert word in oci.run("run", "-b", oci.bundle(config), "c", code=125).stderr


def test_intel_rdt_is_refused_by_name(oci):
    config = oci.config("true")
    config["linux"]["intelRdt"] = {"closID": "x"}
    assert "linux.intelRdt" in oci.run("run", "-b", oci.bundle(config), "c", code=125).stderr


# ---- what it inherits ---------------------------------------------------------------------------

KEYS = ("sh", "-c", "cat /proc/keys | grep ' keyring ' | sed 's/.*keyring *//'")


def unmasked(oci, *args):
    config = oci.config(*args)
    config["linux"]["maskedPaths"] = []
    return config


def test_a_container_has_a_session_keyring_of_its_own(oci):
    oci.run("run", "-d", "-b", oci.bundle(unmasked(oci, "sleep", 1000)), "c1")
    first = oci.run("exec", "c1", *KEYS).stdout
    assert "_ses.c1" in first and "_ses.c2" not in first
    assert first.count("_ses.c1") == 1  # exec found it and made no second one
    assert "_ses.c2" in oci.run("run", "-b", oci.bundle(unmasked(oci, *KEYS)), "c2").stdout
    config = unmasked(oci, "sleep", 1000)
    oci.run("run", "-d", "--no-new-keyring", "-b", oci.bundle(config), "c3")
    assert "_ses.c3" not in oci.run("exec", "c3", *KEYS).stdout


def test_signals_are_as_at_the_beginning(oci):
    """`yes | head` ends only where SIGPIPE kills; a blocked or ignored signal would be inherited."""
    ours = {signal.SIGPIPE: signal.getsignal(signal.SIGPIPE)}
    try:
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        first = out(oci, oci.config("grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status"))
        oci.run("run", "-d", "-b", oci.bundle(oci.config("sleep", 1000)), "d")
        further = oci.run("exec", "d", "grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status").stdout
        piped = oci.run("exec", "d", "sh", "-c", "yes | head -n 2").stdout
    finally:
        for s, handler in ours.items():
            signal.signal(s, handler)
    none = "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\nSigCgt:\t0000000000000000\n"
    assert first == further == none
    assert piped == "y\ny\n"


# ---- rights -------------------------------------------------------------------------------------

CAPS = ("grep", "-E", "^Cap|^NoNewPrivs|^Seccomp:", "/proc/self/status")


def status(text):
    return dict(line.split(":\t") for line in text.splitlines())


def test_all_five_sets_of_capabilities_are_as_written(oci):
    config = oci.config(*CAPS, user={"uid": 1000, "gid": 1000})
    config["process"]["capabilities"] = {"bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW", "CAP_SETUID"],
                                         "permitted": ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID"], "effective": ["CAP_CHOWN"],
                                         "inheritable": ["CAP_CHOWN", "CAP_KILL"], "ambient": ["CAP_KILL", "CAP_FUTURE"]}
    r = oci.run("run", "-b", oci.bundle(config), "c")
    assert "'CAP_FUTURE' is not known: left out" in r.stderr
    got = status(r.stdout)
    bits = {name: int(got[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
    chown, kill, setuid, net_raw = 1 << 0, 1 << 5, 1 << 7, 1 << 13
    # capabilities(7): of another uid than 0, execve leaves what is ambient
    assert bits == {"CapInh": chown | kill, "CapPrm": kill, "CapEff": kill, "CapBnd": chown | kill | setuid | net_raw, "CapAmb": kill}


def test_exec_has_the_rights_of_the_first_process(oci):
    config = oci.config("sleep", 1000)
    config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]}
    oci.run("run", "-d", "-b", oci.bundle(config), "c")
    first = status(oci.run("exec", "c", "grep", "-E", "^Cap|^NoNewPrivs|^Seccomp:", "/proc/1/status").stdout)
    further = status(oci.run("exec", "c", *CAPS).stdout)
    assert first == further
    assert first["NoNewPrivs"] == "1" and first["Seccomp"] == "2"
    assert "not supported" in oci.run("exec", "c", "mkdir", "/tmp/x", code=1).stderr


def test_the_terminal_has_the_size_that_is_asked_for(oci):
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(oci.folder / "console"))
    server.listen()
    config = oci.config("sleep", 1000, terminal=True, consoleSize={"height": 33, "width": 99})
    oci.run("create", "-b", oci.bundle(config), "--console-socket", oci.folder / "console", "c")
    c, _ = server.accept()
    _, fds, _, _ = socket.recv_fds(c, 4096, 1)
    assert struct.unpack("HHHH", fcntl.ioctl(fds[0], termios.TIOCGWINSZ, bytes(8)))[:2] == (33, 99)
    for s in (c, server):
        s.close()
    os.close(fds[0])


def test_the_domain_name_is_set(oci):
    config = oci.config("sh", "-c", "cat /proc/sys/kernel/domainname; cat /proc/sys/kernel/hostname")
    config.update(domainname="example.test", hostname="box")
    assert out(oci, config).split() == ["example.test", "box"]


def test_a_sysctl_is_set_in_the_containers_own_namespace_only(oci):
    config = oci.config("sh", "-c", "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmni")
    config["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1", "kernel.shmmni": "1234"}
    assert out(oci, config).split() == ["1", "1234"]
    config["linux"]["sysctl"] = {"vm.swappiness": "1"}
    assert "'vm.swappiness' is of the whole host" in oci.run("run", "-b", oci.bundle(config), "c", code=125).stderr
    config["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1"}
    config["linux"]["namespaces"] = [n for n in config["linux"]["namespaces"] if n["type"] != "network"]
    assert "'net.ipv4.ip_forward' is not of a namespace of the container, which shares the network namespace" in oci.run("run", "-b", oci.bundle(config), "c", code=125).stderr


# ---- labels of security modules -----------------------------------------------------------------

def has_apparmor():
    p = pathlib.Path("/sys/module/apparmor/parameters/enabled")
    return p.exists() and p.read_text().startswith("Y")


def test_a_label_is_refused_where_the_kernel_has_no_module(oci):
    """Where it has AppArmor, tests/vm/guest.py sees it applied."""
    if not has_apparmor():
        bundle = oci.bundle(oci.config("true", apparmorProfile="docker-default"))
        assert "process.apparmorProfile: 'docker-default': this host has no AppArmor" in oci.run("run", "-b", bundle, "c", code=125).stderr
    oci.run("run", "-b", oci.bundle(oci.config("true", apparmorProfile="unconfined")), "c")
    if not pathlib.Path("/sys/fs/selinux/enforce").exists():
        bundle = oci.bundle(oci.config("true", selinuxLabel="a:b:c"))
        assert "process.selinuxLabel: 'a:b:c': this host has no SELinux" in oci.run("run", "-b", bundle, "c", code=125).stderr
        config = oci.config("true")
        config["linux"]["mountLabel"] = "a:b:c"
        # nobody is confined: the label of a mount would say nothing
        assert oci.run("run", "-b", oci.bundle(config), "c").stderr.count("linux.mountLabel is left out: this host has no SELinux") == 1
    oci.run("run", "-d", "-b", oci.bundle(oci.config("sleep", 1000)), "d")
    if not has_apparmor():
        assert "has no AppArmor" in oci.run("exec", "--apparmor", "x", "d", "true", code=125).stderr


# ---- what the runtime says of itself ------------------------------------------------------------

def test_features_are_what_can_be_asked_for(oci):
    f = json.loads(oci.run("features").stdout)
    linux = f["linux"]
    assert set(linux["namespaces"]) == {"cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"}
    assert linux["seccomp"]["enabled"] and linux["apparmor"]["enabled"] and linux["mountExtensions"]["idmap"]["enabled"]
    assert not linux["intelRdt"]["enabled"]
    for action in linux["seccomp"]["actions"]:
        config = oci.config("true")
        config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/no/such", "flags": linux["seccomp"]["supportedFlags"],
                                      "architectures": linux["seccomp"]["archs"],
                                      "syscalls": [{"names": ["swapon"], "action": action, "args": [
                                          {"index": 0, "value": 1, "valueTwo": 1, "op": op}]} for op in linux["seccomp"]["operators"]]}
        code = 125 if action == "SCMP_ACT_NOTIFY" else 0  # understood: the listener is what is missing
        assert ("connect to '/no/such'" in oci.run("run", "-b", oci.bundle(config), "c", code=code).stderr) == (code == 125)
    (oci.folder / "src").mkdir()
    for option in f["mountOptions"]:
        config = oci.config("true")
        kind = "tmpfs" if option in ("tmpcopyup", "remount") else "bind"
        mount = {"destination": "/dev/shm" if kind == "tmpfs" else "/mnt", "type": kind, "source": str(oci.folder / "src"), "options": [option]}
        if option in ("idmap", "ridmap"):
            mount["uidMappings"] = mount["gidMappings"] = [{"containerID": 0, "hostID": 0, "size": 1}]
        config["mounts"].append(mount)
        config["root"]["readonly"] = False
        oci.run("run", "-b", oci.bundle(config), "c")
    everything = oci.config("grep", "CapBnd", "/proc/self/status")
    everything["process"]["capabilities"] = {k: linux["capabilities"] for k in ("bounding", "permitted", "effective", "inheritable", "ambient")}
    r = oci.run("run", "-b", oci.bundle(everything), "c")
    assert "not known" not in r.stderr


def test_a_resource_limit_that_cannot_be_set_is_named(oci):
    config = oci.config("true", rlimits=[{"type": "RLIMIT_NOFILE", "hard": 5, "soft": 10}])
    assert "RLIMIT_NOFILE" in oci.run("run", "-b", oci.bundle(config), "c", code=125).stderr
