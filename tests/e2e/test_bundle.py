"""What of a service reaches its container (acceptance list, group H)."""
import os
import pathlib

import pytest

from world import until


@pytest.fixture(scope="module")
def shared(shared_host):
    return shared_host


def run(host, *args, code=0):
    return host.zlayer("run", "--rm", *args, code=code)


def deploy(host, name, service, code=0):
    """One service of this name; its container's name."""
    lines = "".join(f"    {line}\n" for line in service.strip().splitlines())
    path = host.spec(f"version: v1\ndeployment: {name}\nservices:\n  {name}:\n    image: {{name: busybox}}\n"
                     f"    scale: {{mode: fixed, replicas: 1}}\n{lines}", f"{name}.zlayer.yml")
    host.zlayer("deploy", path, code=code)
    return f"{name}-rep-1"


def refused(host, name, fields):
    """What a job is told whose container cannot be made or started."""
    lines = "".join(f"    {line}\n" for line in fields.splitlines())
    path = host.spec(f"version: v1\ndeployment: {name}\nservices:\n  {name}:\n    image: {{name: busybox}}\n    rtype: job\n{lines}",
                     f"{name}.zlayer.yml")
    host.zlayer("deploy", path)
    r = host.zlayer("job", "run", name, "--wait", code=None)
    host.zlayer("down", "--force", name)
    assert r.returncode != 0
    return r.stdout + r.stderr


def inside(host, name, script):
    return host.zlayer("exec", name, "--", "sh", "-c", script).stdout


def test_users_come_from_the_image_and_the_spec(shared):
    assert run(shared, "--user", "web", "busybox", "id", "-u").stdout == "1000\n"
    assert "nobody-here" in run(shared, "--user", "nobody-here", "busybox", "true", code=125).stderr
    deploy(shared, "groups", 'command: {args: [sleep, "1000"]}\nuser: web\nextra_groups: [root, "77"]')
    assert inside(shared, "groups", "id -G").split() == ["1000", "0", "50", "77"]
    shared.zlayer("down", "--force", "groups")


def test_a_read_only_root_leaves_tmpfs_and_volumes_writable(shared, tmp_path):
    tmp_path.chmod(0o777)
    script = "touch /x && echo root; touch /t/x && echo tmpfs; touch /v/x && echo volume; true"
    out = run(shared, "--read-only", "--tmpfs", "/t", "-v", f"{tmp_path}:/v", "busybox", "sh", "-c", script).stdout
    assert out.split() == ["tmpfs", "volume"]
    assert (tmp_path / "x").exists()


def test_what_is_hidden_is_shown_to_the_privileged(shared):
    look = "test -c /proc/timer_list && echo c || echo f; (echo x > /proc/sys/kernel/hostname) 2>/dev/null && echo w || echo r; mount -t tmpfs x /tmp 2>&1 && echo m"
    deploy(shared, "plain", 'command: {args: [sleep, "1000"]}')
    deploy(shared, "mighty", 'command: {args: [sleep, "1000"]}\nprivileged: true')
    assert inside(shared, "plain", look + "; true").split()[:2] == ["c", "r"]
    assert inside(shared, "mighty", look).split() == ["f", "w", "m"]
    own = {p.name for p in pathlib.Path("/dev").iterdir() if p.is_char_device() or p.is_block_device()} - {"console", "ptmx"}
    assert own <= set(inside(shared, "mighty", "ls /dev").split())
    shared.zlayer("down", "--force", "plain")
    shared.zlayer("down", "--force", "mighty")


def test_the_hosts_cgroups_cannot_be_written(shared):
    out = run(shared, "busybox", "sh", "-c", "find /sys/fs/cgroup -name cgroup.procs | head -n 1 | while read f; do echo 0 > $f && echo escaped; done; "
              "mkdir /sys/fs/cgroup/x /sys/fs/cgroup/*/x; true").stdout
    assert "escaped" not in out
    assert not list(pathlib.Path("/sys/fs/cgroup").glob("**/x"))


def test_the_default_filter_can_be_lifted(shared):
    deploy(shared, "open", 'command: {args: [sleep, "1000"]}\nsecurity_opt: [seccomp=unconfined, "no-new-privileges:false"]\ncapabilities: [SYS_ADMIN]')
    deploy(shared, "shut", 'command: {args: [sleep, "1000"]}\ncapabilities: [SYS_ADMIN]\ncap_drop: [ALL]')
    # with the right to mount, the filter lets it through as Docker's does; namespaces need the right, too
    assert "Seccomp:\t0" in inside(shared, "open", "cat /proc/1/status")
    assert "Seccomp:\t2" in inside(shared, "shut", "cat /proc/1/status")
    assert "NoNewPrivs:\t0" in inside(shared, "open", "cat /proc/1/status")
    assert "NoNewPrivs:\t1" in inside(shared, "shut", "cat /proc/1/status")
    assert "CapBnd:\t0000000000200000" in inside(shared, "shut", "cat /proc/1/status")
    shared.zlayer("down", "--force", "open")
    shared.zlayer("down", "--force", "shut")
    assert run(shared, "busybox", "sh", "-c", "mount -t tmpfs x /tmp", code=1).stderr != ""


def test_devices_keep_their_large_numbers(shared, tmp_path):
    node = tmp_path / "big"
    os.mknod(node, 0o600 | 0o020000, os.makedev(600, 70000))
    deploy(shared, "devices", f'command: {{args: [sleep, "1000"]}}\ndevices: [{{path: {node}}}]')
    out = inside(shared, "devices", f"ls -l {node}").split()
    assert (out[0], out[4], out[5]) == ("crw-rw-rw-", "600,", "70000")
    shared.zlayer("down", "--force", "devices")
    r = refused(shared, "missing", "devices: [{path: /dev/no-such-device}]")
    assert "device '/dev/no-such-device': the host has none" in r


def test_names_servers_and_sysctls_are_seen_inside(shared):
    deploy(shared, "names", 'command: {args: [sleep, "1000"]}\nhostname: front\nextra_hosts: ["db:10.0.0.1", "six:fd00::1"]\n'
           'dns: [192.0.2.1]\nsysctls: {net.core.somaxconn: 123, kernel.shmmax: 4096}')
    assert inside(shared, "names", "hostname; cat /proc/sys/net/core/somaxconn /proc/sys/kernel/shmmax").split() == ["front", "123", "4096"]
    assert inside(shared, "names", "cat /etc/resolv.conf") == "nameserver 192.0.2.1\noptions edns0\n"
    hosts = inside(shared, "names", "cat /etc/hosts")
    assert "10.0.0.1\tdb\n" in hosts and "fd00::1\tsix\n" in hosts and "127.0.1.1\tfront\n" in hosts
    shared.zlayer("down", "--force", "names")


def test_namespaces_of_another_container_are_shared(shared):
    deploy(shared, "first", 'command: {args: [sleep, "1000"]}\nipc_mode: shareable\ninit_container: true')
    deploy(shared, "second", 'command: {args: [sleep, "1001"]}\nnetwork_mode: "container:first-rep-1"\n'
           'pid_mode: "container:first-rep-1"\nipc_mode: "container:first-rep-1"')
    inside(shared, "second", "echo there > /dev/shm/note")
    assert inside(shared, "first", "cat /dev/shm/note") == "there\n"
    assert "sleep 1001" in inside(shared, "first", "ps")
    pids = shared.pids("first", "second")
    for kind, same in (("net", True), ("pid", True), ("ipc", True), ("mnt", False), ("uts", False)):
        a, b = (os.readlink(f"/proc/{pid}/ns/{kind}") for pid in pids.values())
        assert (a == b) is same, kind
    shared.zlayer("down", "--force", "second")
    shared.zlayer("down", "--force", "first")
    deploy(shared, "private", 'command: {args: [sleep, "1000"]}')
    assert "shareable" in refused(shared, "nosy", 'ipc_mode: "container:private-rep-1"')
    shared.zlayer("down", "--force", "private")


def test_process_one_reaps_and_passes_signals_on(shared):
    deploy(shared, "reaper", 'init_container: true\nstop_signal: INT\n'
           'command: {args: [sh, -c, "trap \'echo got it; exit 5\' INT; sh -c \'sleep 0.2 & exec true\'; echo heeds; while :; do sleep 0.1; done"]}')
    def zombies():
        return [line for line in inside(shared, "reaper", "cat /proc/[0-9]*/stat").splitlines() if line.rsplit(")", 1)[1].split()[0] == "Z"]
    assert inside(shared, "reaper", "cat /proc/1/comm") == "zlayer-init\n"
    until(lambda: "heeds" in shared.zlayer("logs", "reaper").stdout, "its trap and its orphan")
    until(lambda: not zombies(), "no zombies")
    shared.zlayer("stop", "reaper")
    until(lambda: "got it" in shared.zlayer("logs", "reaper").stdout, "the signal")
    shared.zlayer("down", "--force", "reaper")


def test_a_command_that_process_one_cannot_start_is_named(shared):
    assert "/no/such/command" in refused(shared, "lost", "init_container: true\ncommand: {entrypoint: [/no/such/command]}")


def test_nothing_of_all_that_is_left(shared):
    shared.until_clear()
