"""What only WebAssembly guests have: recognizing, limits, confinement, the cache, their host, wasi:http."""
import contextlib
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import time
import urllib.error
import urllib.request

import pytest

import wasmtool
from conftest import make_world
from wasmtool import HELLO, LOOP, SOURCES, TRAP, compile_c, exits_with, wat
from world import alive, down_ms, kill, parent, until

pytestmark = wasmtool.needs_wasm


@pytest.fixture(scope="module")
def host():
    yield from make_world()


@pytest.fixture(autouse=True)
def clean(host):
    yield
    host.clear("test")


@pytest.fixture(scope="module")
def tool(tmp_path_factory):
    return compile_c(tmp_path_factory.mktemp("tool"), "tool.c")


def deploy(host, image, args="", extra="", **kw):
    command = f"    command: {{args: [{args}]}}\n" if args else ""
    text = f"version: v1\ndeployment: test\nservices:\n  a:\n    image: {{name: '{image}', pull_policy: never}}\n"
    return host.zlayer("deploy", *kw.pop("options", ()), host.spec(text + command + extra), **kw)


def status(pid):
    return dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())


def the_host(host):
    """The pid of who listens as this world's `zlayer-wasm host`; its forks have its command line, too. None: nobody."""
    for ctl in (host.run / "wasm").glob("*/ctl"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s, contextlib.suppress(ConnectionRefusedError):
            s.connect(str(ctl))
            return struct.unpack("3i", s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
    return None


# ---- what is run ----------------------------------------------------------------------------------
def test_a_file_is_run_text_or_binary(host, tmp_path):
    assert host.zlayer("run", "--rm", wat(tmp_path, HELLO)).stdout == "Hello, WASM!\n"
    host.zlayer("run", "--rm", "--runtime", "wasm", wat(tmp_path, exits_with(42)), code=42)
    binary = compile_c(tmp_path, '#include <stdio.h>\nint main(int n, char **v) { printf("%s %s %d\\n", v[0], v[1], n); }')
    assert host.zlayer("run", "--rm", binary, "x").stdout.split()[1:] == ["x", "2"]
    assert any(i["reference"].startswith("localhost/program:") and i["wasm"] for i in host.json("image", "ls"))


ENVIRONMENT = '''#include <stdio.h>
extern char **environ;
int main(void) { for (char **e = environ; *e; e++) puts(*e); return 0; }'''


def test_the_environment_of_a_guest_is_what_is_said_and_nothing_else(host, tmp_path):
    """A module has no shell to search programs for, no terminal unless it is asked for, and no home: least of all the host's."""
    module = compile_c(tmp_path, ENVIRONMENT)
    assert host.zlayer("run", "--rm", module).stdout == ""
    assert host.zlayer("run", "--rm", "-e", "B=2", "-e", "A=new\nline", module).stdout == "B=2\nA=new\nline\n"
    assert host.zlayer("run", "--rm", "-t", module).stdout == "TERM=xterm\n"


def test_a_folder_may_be_what_a_guest_sees_as_its_root(host, tmp_path, busybox_tar):
    (tmp_path / "folder/sub").mkdir(parents=True)
    (tmp_path / "folder/sub/file").write_text("inside")
    module = compile_c(tmp_path, '''#include <stdio.h>
int main(void) { char text[9]; FILE *f = fopen("/sub/../sub/file", "r"); return !f || !fgets(text, 9, f) || puts(text) < 0; }''')
    assert host.zlayer("run", "--rm", "-v", f"{tmp_path}/folder:/:ro", module).stdout == "inside\n"
    host.import_busybox(busybox_tar)
    r = host.zlayer("run", "--rm", "-v", f"{tmp_path}/folder:/", "busybox", "true", code=125)
    assert "the target '/': the root of a container cannot be mounted over" in r.stderr


@pytest.mark.parametrize("signature, body, code", [
    ("", "", 0), ("(result i32)", "(i32.const 7)", 7), ("(param i32 i32) (result i32)", "(local.get 0)", 3)])
def test_main_is_entered_where_there_is_no_start(host, tmp_path, signature, body, code):
    module = wat(tmp_path, f'(module (memory (export "memory") 1) (func (export "main") {signature} {body}))')
    host.zlayer("run", "--rm", module, "one", "two", code=code)


def test_what_has_no_entry_says_what_it_has(host, tmp_path):
    module = wat(tmp_path, '(module (memory (export "mem") 1) (func (export "other")) (func (export "main") (param f32)))')
    r = host.zlayer("run", "--rm", module, code=125)
    assert "_start" in r.stderr and "other" in r.stderr and "mem" in r.stderr


def test_a_runtime_that_does_not_fit_is_refused(host, tmp_path, busybox_tar):
    module = wat(tmp_path, HELLO)
    assert "WebAssembly" in host.zlayer("run", "--runtime", "native", module, code=125).stderr
    host.import_busybox(busybox_tar)
    assert "container" in host.zlayer("run", "--runtime", "wasm", "busybox", "true", code=125).stderr
    host.zlayer("run", "--rm", "--runtime", "native", "busybox", "true")
    assert "no-such" in host.zlayer("run", "--runtime", "wasm", "no-such", code=125).stderr


def test_info_validate_and_compile_look_at_a_file(host, tmp_path):
    module = wat(tmp_path, HELLO)
    out = host.zlayer("wasm", "info", module).stdout
    assert "wasi_snapshot_preview1 fd_write" in out and "_start" in out and "core module" in out
    host.zlayer("wasm", "validate", module)
    host.zlayer("wasm", "compile", module, "-o", tmp_path / "x.cwasm")
    assert (tmp_path / "x.cwasm").stat().st_size > 1000
    broken = wat(tmp_path, "(module (func (result i32)))", "broken.wat")
    assert "broken.wat" in host.zlayer("wasm", "validate", broken, code=1).stderr
    assert "component" in host.zlayer("wasm", "info", SOURCES / "http.wat").stdout


# ---- how it ends ----------------------------------------------------------------------------------
def test_a_trap_is_134_with_its_backtrace_in_log_and_inspect(host, tmp_path):
    r = host.zlayer("run", "--name", "trap", wat(tmp_path, TRAP), code=134)
    assert "unreachable" in r.stderr and "inner" in r.stderr and "outer" in r.stderr
    found = host.json("container", "inspect", "trap")
    assert found["exit"]["reason"] == "runtime_error" and found["exit"]["code"] == 134
    assert "unreachable" in found["trap"] and "inner" in found["trap"]
    assert "unreachable" in host.zlayer("logs", "trap").stdout


def test_a_module_with_unknown_imports_names_them(host, tmp_path):
    module = wat(tmp_path, '(module (import "env" "foo" (func)) (func (export "_start") (call 0)))')
    r = host.zlayer("run", "--rm", module, code=125)
    assert r.stderr.startswith(f"Error: '{module}': module 'localhost/module:")
    assert r.stderr.endswith(": link: unknown import: `env::foo` has not been defined\n")


def test_a_file_that_is_no_module_is_told_as_such(host, tmp_path):
    (tmp_path / "junk.wasm").write_text("no module at all")
    assert f"'{tmp_path}/junk.wasm' is no WebAssembly" in host.zlayer("run", "--rm", tmp_path / "junk.wasm", code=125).stderr
    r = host.zlayer("run", "--rm", tmp_path / "absent.wasm", code=125)
    assert r.stderr == f"Error: open '{tmp_path}/absent.wasm': No such file or directory\n"
    r = host.zlayer("run", "-d", wat(tmp_path, "(module)", "empty.wat"), code=125)
    assert r.stderr.startswith(f"Error: '{tmp_path}/empty.wat': ") and "it exports nothing" in r.stderr


@pytest.mark.parametrize("keep", [0.3, 0.7, 0.97])
def test_a_truncated_module_is_told_by_its_name(host, tmp_path, tool, keep):
    whole = tool.read_bytes()
    cut = tmp_path / "cut.wasm"
    cut.write_bytes(whole[:int(len(whole) * keep)])
    r = host.zlayer("run", "--rm", cut, code=125)
    assert r.stderr.startswith(f"Error: '{cut}': module 'localhost/cut:") and ("end" in r.stderr or "cut off" in r.stderr or "truncated" in r.stderr), r.stderr
    assert host.leftovers() == []


def test_stop_and_kill_interrupt_a_busy_guest(host, tmp_path):
    host.zlayer("run", "-d", "--name", "busy", wat(tmp_path, LOOP))
    host.zlayer("container", "stop", "-t", "10m", "busy")  # not at the end of its grace
    assert host.json("container", "inspect", "busy")["exit"]["code"] == 143
    p = host.popen("run", "--name", "busy2", wat(tmp_path, LOOP))
    pid = until(lambda: [c["pid"] for c in host.containers() if c["service"] == "busy2" and c["pid"]], "a pid")[0]
    p.send_signal(signal.SIGINT)
    assert p.wait(60) == 130
    assert not alive(pid)


def test_exec_says_what_to_do_instead(host, tool):
    host.zlayer("run", "-d", "--name", "box", tool, "forever")
    r = host.zlayer("exec", "box", "--", "true", code=125)
    assert "WebAssembly" in r.stderr and "run" in r.stderr


def test_a_command_as_health_check_is_a_configuration_error(host, tool):
    host.zlayer("import", tool, "-t", "tool")
    r = deploy(host, "tool", "forever", "    health: {check: {type: command, command: 'true'}}\n",
               options=["-t", "3s"], code=None)
    assert r.returncode != 0 and "tcp or http" in r.stdout + r.stderr


@pytest.mark.parametrize("field", ["privileged: true", "cap_add: [NET_ADMIN]", "devices: [{path: /dev/null}]",
                                   "pid_mode: host"])
def test_what_only_containers_have_is_refused_by_name(host, tool, field):
    host.zlayer("import", tool, "-t", "tool")
    r = deploy(host, "tool", "forever", f"    {field}\n", options=["-t", "3s"], code=None)
    assert r.returncode != 0 and field.split(":")[0] in r.stdout + r.stderr


# ---- limits ---------------------------------------------------------------------------------------
def test_memory_is_refused_to_the_guest(host, tool):
    got = int(host.zlayer("run", "--rm", "--memory", "32m", tool, "hog", 1000).stdout.split()[0])
    assert 20 <= got < 32
    assert int(host.zlayer("run", "--rm", tool, "hog", 200).stdout.split()[0]) == 200


def test_tables_end_where_memory_does(host, tmp_path):
    """5,000,000 elements are 40 MB."""
    text = """(module (memory (export "memory") 1) (table 1 funcref) (func (export "main") (result i32)
      (i32.eq (table.grow (ref.null func) (i32.const 5000000)) (i32.const -1))))"""
    host.zlayer("run", "--rm", "--memory", "32m", wat(tmp_path, text), code=1)
    host.zlayer("run", "--rm", "--memory", "64m", wat(tmp_path, text), code=0)


def test_linear_memory_is_counted_as_the_guest_sees_it(host, tmp_path):
    """3 pages, 97 more, and none of the last ones, which the limit refuses."""
    text = LOOP.replace('"memory") 1)', '"memory") 3)').replace(
        "(loop", "(drop (memory.grow (i32.const 97))) (drop (memory.grow (i32.const 1000))) (loop")
    host.zlayer("run", "-d", "--name", "box", "--memory", "32m", wat(tmp_path, text))

    def linear():
        return json.loads(host.zlayer("stats", "--no-stream", "box", "--format", "json").stdout)["stats"]["memory"]["linear"]
    until(lambda: linear() == 100 << 16, f"100 pages: {linear()}")
    host.zlayer("pause", "box")
    assert linear() == 100 << 16
    out = host.zlayer("stats", "--no-stream", "box").stdout.splitlines()
    assert "LINEAR" in out[0] and "6.2MiB" in out[1].replace(" ", ""), out


def test_its_process_has_what_it_needs_and_nothing_else(host, tool):
    host.zlayer("run", "-d", "--name", "box", "--memory", "32m", "--cpus", "0.5", "--pids-limit", "7", tool, "forever")
    pid = host.json("container", "inspect", "box")["pid"]
    s = status(pid)
    assert s["NoNewPrivs"].strip() == "1" and s["Seccomp"].strip() == "2"
    assert all(int(s[c], 16) == 0 for c in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"))
    assert pathlib.Path(f"/proc/{pid}/mountinfo").read_text().count("\n") == 1
    with pytest.raises(OSError):
        os.listdir(f"/proc/{pid}/root/etc")
    assert {line.split(":")[0].strip() for line in pathlib.Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]} == {"lo"}
    groups = pathlib.Path(f"/proc/{pid}/cgroup").read_text()
    assert groups.count(f"{host.cgroup}/c/") >= 3, groups


def test_a_path_cannot_leave_its_folder(host, tool, tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "secret").write_text("secret")
    (inner / "link").symlink_to("../secret")
    (inner / "absolute").symlink_to("/etc/passwd")
    (inner / "sub").mkdir()
    for path in ("../secret", "link", "absolute", "sub/../../secret", "sub/../link"):
        r = host.zlayer("run", "--rm", "-v", f"{inner}:/d", tool, "cat", f"/d/{path}", code=1)
        assert "secret" not in r.stdout and "root:" not in r.stdout
        assert host.zlayer("run", "--rm", "-v", f"{inner}:/d", tool, "put", f"/d/{path}", "x", code=1).stdout == ""
    assert (tmp_path / "secret").read_text() == "secret"


def test_a_job_ends_at_its_time(tmp_path):
    world = make_world()
    host = next(world)
    host.env["ZLAYER_WASM_MAX_EXECUTION_TIME"] = "1s"
    began = time.monotonic()
    host.zlayer("run", "--name", "slow", wat(tmp_path, LOOP), code=134)
    assert time.monotonic() - began > 0.9
    found = host.json("container", "inspect", "slow")
    assert found["exit"]["reason"] == "timeout", found
    host.zlayer("container", "rm", "slow")
    host.zlayer("run", "-d", "--name", "loop", "--rm", wat(tmp_path, exits_with(3)))
    next(world, None)


# ---- the cache ------------------------------------------------------------------------------------
def entries(host):
    return [p for p in (host.root / "wasm").rglob("*") if p.is_file() and p.stat().st_size > 1000]


@pytest.mark.parametrize("damage, says", [
    ("flip", "is damaged: its checksum is wrong"), ("half", "is cut off or not one of ours"),
    ("user", "is not a file of our own that only we may touch"), ("mode", "is not a file of our own that only we may touch")])
def test_a_damaged_entry_is_told_and_compiled_again(host, tmp_path, damage, says):
    module = wat(tmp_path, HELLO.replace("WASM!", damage + "!"))
    before = set(entries(host))
    host.zlayer("run", "--rm", module)
    entry, = set(entries(host)) - before
    good = entry.read_bytes()
    if damage == "flip":
        entry.write_bytes(good[:2000] + bytes([good[2000] ^ 1]) + good[2001:])
    elif damage == "half":
        entry.write_bytes(good[:len(good) // 2])
    elif damage == "user":
        os.chown(entry, 12345, 12345)
    else:
        entry.chmod(0o666)
    kill(the_host(host))  # it holds the good one in memory
    r = host.zlayer("run", "--rm", module)
    assert r.stdout == f"Hello, {damage}!\n" and r.stderr == ""
    assert f"compiled module '{entry.name}' {says}: it was compiled anew" in host.agent_log()
    after = entry.stat()
    assert after.st_uid == os.getuid() and after.st_mode & 0o022 == 0 and entry.read_bytes()[:100] == good[:100]


def test_many_first_runs_at_once_compile_and_all_end(host, tool, tmp_path):
    module = tmp_path / "many.wasm"
    module.write_bytes(tool.read_bytes() + b"\x00\x05\x04many")  # a custom section: another digest
    runs = [host.popen("run", "--rm", module, "exit", "5") for _ in range(8)]
    assert [r.wait(60) for r in runs] == [5] * 8


# ---- the host -------------------------------------------------------------------------------------
def test_without_its_host_nothing_is_lost_and_the_next_start_makes_another(host, tool, tmp_path):
    tmp_path.chmod(0o777)
    host.zlayer("import", tool, "-t", "tool")
    deploy(host, "tool", "forever", "    scale: {mode: fixed, replicas: 2}\n")
    first, second = sorted(host.up("a", 2), key=lambda c: c["name"])
    host.zlayer("run", "-d", "--name", "late", "-v", f"{tmp_path}:/data:ro", tool, "await", "/data/go", 7)
    killed = the_host(host)
    assert status(killed)["Threads"].strip() == "1"  # who forks has no other
    assert killed not in (parent(first["pid"]), parent(second["pid"]))
    kill(killed)
    log = pathlib.Path(first["log"])
    size = log.stat().st_size
    until(lambda: log.stat().st_size > size + 100, "lines written without a host")
    (tmp_path / "go").touch()
    assert host.zlayer("wait", "late").stdout.strip() == "7"
    assert host.pids("a") == {"a-rep-1": first["pid"], "a-rep-2": second["pid"]} and the_host(host) is None
    kill(first["pid"])
    now = host.back(first)
    assert (now["exit"]["code"], now["exit"]["reason"]) == (137, "signal") and 0 <= down_ms(now) < 2000
    assert the_host(host) not in (None, killed)
    assert host.pids("a")["a-rep-2"] == second["pid"]


def test_when_all_of_zlayer_wasm_is_killed_its_guests_are_told_lost_and_restarted(host, tool):
    """The host and the monitors of all guests at once: what would be one process in another design."""
    host.zlayer("import", tool, "-t", "tool")
    deploy(host, "tool", "forever", "    scale: {mode: fixed, replicas: 3}\n")
    before = host.up("a", 3)
    agent, of_all = host.agent_pid(), the_host(host)
    os.kill(agent, signal.SIGSTOP)  # it hears of the host's end when it has asked it already
    try:
        kill(*(parent(c["pid"]) for c in before), of_all)
    finally:
        os.kill(agent, signal.SIGCONT)
    for c in before:
        now = host.back(c)
        assert not alive(c["pid"])
        assert now["exit"]["lost"] is True and now["exit"]["reason"] == "lost"
        assert now["restarts"] == 1 and 0 <= down_ms(now) < 2000
    assert len([e for e in host.events() if "its monitor was lost" in e["text"]]) >= 3


def test_what_is_removed_while_its_module_is_made_ready_is_gone(host, tool):
    host.zlayer("import", tool, "-t", "tool")
    deploy(host, "tool", "forever")
    first, agent = host.up("a", 1)[0], host.agent_pid()
    silent = the_host(host)
    os.kill(silent, signal.SIGSTOP)
    try:
        deploy(host, "tool", "forever", "    scale: {mode: fixed, replicas: 2}\n", options=("--timeout", "1s"), code=5)
        until(lambda: len(list((host.run / "c").glob("*"))) == 2, "the second one being made")
        host.zlayer("down", "test", "-f")
        assert not alive(first["pid"])
        assert host.leftovers() == []
    finally:
        os.kill(silent, signal.SIGCONT)
    assert host.zlayer("run", "--rm", "tool", "exit", "5", code=5) and host.agent_pid() == agent


# ---- components -----------------------------------------------------------------------------------
def get(port, path="/", **kw):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", **kw) as r:
            return r.status, r.read()
    except urllib.error.HTTPError as e:
        with contextlib.closing(e):
            return e.code, e.read()


@pytest.mark.parametrize("result, code", [(0, 0), (1, 1)])
def test_a_component_that_is_a_command_runs(host, tmp_path, result, code):
    text = (SOURCES / "command.wat").read_text().replace("RESULT", str(result))
    host.zlayer("run", "--rm", wat(tmp_path, text), code=code)


@pytest.fixture(scope="module")
def web(host):
    binary = host.folder / "http.wasm"
    subprocess.run([wasmtool.PROGRAM, "assemble", SOURCES / "http.wat", binary], check=True)
    host.zlayer("import", binary, "-t", "web")


def test_a_component_serves_http_on_its_endpoint(host, web):
    deploy(host, "web", extra="""    service_type: wasm_http
    network_mode: host
    wasm: {request_timeout: 300ms}
    endpoints: [{name: web, protocol: http, port: 18099}]
    health: {check: {type: tcp, port: 18099}, interval: 200ms, start_grace: 10s}
""")
    pid = host.up("a", 1)[0]["pid"]
    assert get(18099)[0] == 200
    assert get(18099, "/loop")[0] == 500
    assert get(18099, "/trap")[0] == 500
    assert get(18099)[0] == 200
    assert host.pids("a")["a-rep-1"] == pid  # a request's end is not the service's
    stats = json.loads(host.zlayer("stats", "--no-stream", "a", "--format", "json").stdout)["stats"]
    assert stats["memory"]["linear"] is None  # each request had memory of its own, which went with it


def test_the_time_of_a_request_begins_when_it_has_room(host, web):
    """One at a time: who waited behind two that loop has all of its time."""
    deploy(host, "web", extra="""    service_type: wasm_http
    network_mode: host
    wasm: {request_timeout: 500ms, max_instances: 1}
    endpoints: [{name: web, protocol: http, port: 18099}]
    health: {check: {type: tcp, port: 18099}, interval: 200ms, start_grace: 10s}
""")
    host.up("a", 1)
    with contextlib.ExitStack() as open_ones:
        loops = [open_ones.enter_context(socket.create_connection(("127.0.0.1", 18099))) for _ in range(2)]
        for s in loops:
            s.sendall(b"GET /loop HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert get(18099)[0] == 200
        for s in loops:
            assert s.recv(100).startswith(b"HTTP/1.1 500")


def test_a_component_is_asked_inside_its_own_network(host, web):
    deploy(host, "web", extra="""    service_type: wasm_http
    endpoints: [{name: web, protocol: http, port: 80}]
    health: {check: {type: http, url: 'http://localhost/', expect_status: 200}, interval: 200ms, start_grace: 10s}
""")
    assert host.up("a", 1)[0]["health"] == "healthy"


def start_host(folder):
    """A `zlayer-wasm host` of this folder, by hand: its process, and who is connected with it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    n = theirs.fileno()
    command = f'exec "$0" host "$1" "$1/cache" 3<&{n} {n}<&-' if n != 3 else 'exec "$0" host "$1" "$1/cache"'
    p = subprocess.Popen(["bash", "-c", command, wasmtool.PROGRAM, folder], pass_fds=[n])
    theirs.close()
    return p, ours


def test_a_host_that_ends_leaves_the_socket_of_a_newer_one(tmp_path):
    (tmp_path / "cache").mkdir()
    sock = tmp_path / "ctl"
    old, with_old = start_host(tmp_path)
    until(sock.exists, "the socket of the first")
    first = sock.stat().st_ino
    new, with_new = start_host(tmp_path)
    until(lambda: sock.exists() and sock.stat().st_ino != first, "the socket of the second")
    second = sock.stat().st_ino
    old.terminate()
    assert old.wait(60) == 0
    assert sock.stat().st_ino == second
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
        client.connect(str(sock))
    new.terminate()
    assert new.wait(60) == 0 and not sock.exists()  # its own it takes along
    with_old.close()
    with_new.close()
