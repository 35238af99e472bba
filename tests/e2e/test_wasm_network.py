"""Components that go out: wasi:http and its allowed hosts, wasi:sockets, and how names are looked up."""
import pathlib
import subprocess
import sys
import urllib.request

import pytest

import wasmtool
from conftest import make_world
from loopback import Handler, Server, free_port
from wasmtool import SOURCES, wat

pytestmark = wasmtool.needs_wasm

DONE, HTTP_REFUSED, HTTP_DENIED, ACCESS_DENIED, UNKNOWN_NAME, NO_LOOKUP = "000", "106", "115", "201", "218", "220"


@pytest.fixture(scope="module")
def host():
    yield from make_world()


@pytest.fixture(scope="module")
def net(host):
    """The image of tests/e2e/wasm/net.wat."""
    binary = host.folder / "net.wasm"
    wasmtool.run("assemble", SOURCES / "net.wat", binary)
    host.zlayer("import", binary, "-t", "net")


@pytest.fixture(autouse=True)
def clean(host):
    yield
    host.clear("test")


@pytest.fixture(scope="module")
def server():
    """The port of an HTTP server of the host, on 127.0.0.1."""
    class Answer(Handler):
        def do_GET(self):
            self.send(200)

    it = Server(Answer)
    yield it.port
    it.close()


def deploy(host, wasm, port, extra=""):
    """A service of net.wat that is up; its pid."""
    host.zlayer("deploy", host.spec(f"""version: v1
deployment: test
services:
  a:
    image: {{name: net, pull_policy: never}}
    service_type: wasm_http
    wasm: {wasm}
    endpoints: [{{name: web, protocol: http, port: {port}}}]
    health: {{check: {{type: tcp, port: {port}}}, interval: 200ms, start_grace: 10s}}
{extra}"""))
    return host.up("a", 1)[0]["pid"]


def ask(port, what):
    """(code, address) as net.wat answers them."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{what}", timeout=60) as r:
        return tuple(r.read().decode().split())


# ---- outgoing requests ----------------------------------------------------------------------------
@pytest.mark.parametrize("wasm, by_address, by_name", [
    ("{}", DONE, DONE),
    ("{allowed_hosts: ['127.0.0.1']}", DONE, HTTP_DENIED),
    ("{allowed_hosts: ['127.0.0.1:PORT', example.net]}", DONE, HTTP_DENIED),
    ("{allowed_hosts: ['127.0.0.1:1', LocalHost]}", HTTP_DENIED, DONE),
    ("{allow_http_outgoing: false}", HTTP_DENIED, HTTP_DENIED),
    ("{capabilities: {http_client: false}}", HTTP_DENIED, HTTP_DENIED),
], ids=["all", "a host", "a host and port", "another name", "switched off", "no capability"])
def test_requests_go_out_to_allowed_hosts_only(host, net, server, wasm, by_address, by_name):
    port = free_port()
    deploy(host, wasm.replace("PORT", str(server)), port, "    network_mode: host\n")
    assert ask(port, f"h127.0.0.1:{server}")[0] == by_address
    assert ask(port, f"hlocalhost:{server}")[0] == by_name


def test_where_nobody_listens_the_guest_is_told(host, net):
    port = free_port()
    deploy(host, "{}", port, "    network_mode: host\n")
    assert ask(port, f"h127.0.0.1:{free_port()}")[0] == HTTP_REFUSED


# ---- sockets --------------------------------------------------------------------------------------
@pytest.mark.parametrize("wasm, tcp, udp, names", [
    ("{}", ACCESS_DENIED, ACCESS_DENIED, NO_LOOKUP),
    ("{allow_tcp: true}", DONE, ACCESS_DENIED, DONE),
    ("{allow_udp: true}", ACCESS_DENIED, DONE, DONE),
], ids=["none", "tcp", "udp"])
def test_sockets_are_those_that_are_allowed(host, net, server, wasm, tcp, udp, names):
    port = free_port()
    deploy(host, wasm, port, "    network_mode: host\n")
    assert ask(port, f"t{server}")[0] == tcp
    assert ask(port, "u")[0] == udp
    assert ask(port, "nlocalhost")[0] == names


# ---- names ----------------------------------------------------------------------------------------
INSIDE = r'''
import http.server, socket, struct, sys, threading, urllib.request

def dns():
    """Knows one name, from.dns: 10.9.8.7 (RFC 1035)."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 53))
    while True:
        query, peer = s.recvfrom(512)
        end = query.index(0, 12) + 5
        name, kind = query[12:end - 4], struct.unpack("!H", query[end - 4:end - 2])[0]
        known, wanted = name == b"\4from\3dns\0", kind == 1
        answer = struct.pack("!HHHIH4B", 0xc00c, 1, 1, 60, 4, 10, 9, 8, 7) if known and wanted else b""
        s.sendto(query[:2] + struct.pack("!HHHHH", 0x8180 if known else 0x8183, 1, int(bool(answer)), 0, 0)
                 + query[12:end] + answer, peer)

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *args):
        pass

threading.Thread(target=dns, daemon=True).start()
server = http.server.ThreadingHTTPServer(("127.0.0.1", 8080), Answer)
threading.Thread(target=server.serve_forever, daemon=True).start()
for what in sys.argv[1:]:
    with urllib.request.urlopen(f"http://127.0.0.1/{what}", timeout=60) as r:
        print(r.read().decode().strip())
'''


def test_names_are_those_of_extra_hosts_and_dns(host, net):
    """In the guest's own network a name server and a web server listen while it is asked."""
    pid = deploy(host, "{allow_tcp: true}", 80,
                 "    extra_hosts: ['web.test:127.0.0.1', 'db.test:10.1.2.3']\n    dns: [127.0.0.1]\n")
    asked = ["ndb.test", "nlocalhost", "nfrom.dns", "nother.dns", "hweb.test:8080"]
    r = subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", sys.executable, "-c", INSIDE, *asked],
                       capture_output=True, text=True, timeout=60, check=False)
    assert dict(zip(asked, r.stdout.splitlines())) == {
        "ndb.test": "000 010.001.002.003", "nlocalhost": "000 127.000.000.001", "nfrom.dns": "000 010.009.008.007",
        "nother.dns": f"{UNKNOWN_NAME} 000.000.000.000", "hweb.test:8080": "000 000.000.000.000"}, r.stderr
    # those two files are all that it sees, and it cannot write them
    root = pathlib.Path(f"/proc/{pid}/root")
    assert sorted(p.name for p in root.iterdir()) == ["etc"]
    assert sorted(p.name for p in (root / "etc").iterdir()) == ["hosts", "resolv.conf"]
    with pytest.raises(OSError, match="Read-only"):
        (root / "etc/hosts").open("a")


@pytest.mark.parametrize("field", ["dns: [127.0.0.1]", "extra_hosts: ['db.test:10.1.2.3']"])
@pytest.mark.parametrize("text, says", [(wasmtool.LOOP, "for components"), (None, "for guests with a network")],
                         ids=["core module", "no network"])
def test_who_cannot_look_up_names_is_refused_by_the_field(host, tmp_path, field, text, says):
    text = text or (SOURCES / "command.wat").read_text().replace("RESULT", "0")
    wasmtool.run("assemble", wat(tmp_path, text), tmp_path / "it.wasm")
    host.zlayer("import", tmp_path / "it.wasm", "-t", "it")
    r = host.zlayer("deploy", "-t", "3s", host.spec(f"""version: v1
deployment: test
services:
  a:
    image: {{name: it, pull_policy: never}}
    {field}
"""), code=None)
    said = r.stdout + r.stderr
    assert r.returncode != 0 and f"'{field.split(':')[0]}' is {says}" in said, said
