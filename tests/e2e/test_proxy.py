"""Pulls through a proxy: $http_proxy, $https_proxy and $no_proxy of the agent."""
import contextlib
import http.client
import select
import socket
import urllib.parse

import pytest

from loopback import Handler, Server
from registry import Authority
from test_pull_auth import configure, made, opened, shelf  # noqa: F401 (fixtures)
from test_pull_auth import IMAGE, NAME

NOBODY = "http://127.0.0.1:9"  # discard: nobody listens there


class ProxyHandler(Handler):
    def note(self, host):
        self.owner.asked.append((self.command, host))
        if self.owner.refuses:
            self.send(self.owner.refuses)
        return not self.owner.refuses

    def do_GET(self):
        url = urllib.parse.urlparse(self.path)
        if not self.note(url.netloc):
            return
        c = http.client.HTTPConnection(url.netloc, timeout=60)
        c.request(self.command, url.path + (f"?{url.query}" if url.query else ""), headers=dict(self.headers))
        r = c.getresponse()
        body = r.read()
        kept = {k: v for k, v in r.getheaders() if k.lower() not in ("transfer-encoding", "content-length", "connection")}
        self.send(r.status, body, kept)
        c.close()

    do_HEAD = do_GET

    def do_CONNECT(self):
        if not self.note(self.path):
            return
        host, port = self.path.rsplit(":", 1)
        with socket.create_connection((host, int(port)), 60) as there:
            self.send_response(200)
            self.end_headers()
            carry(self.connection, there)
        self.close_connection = True


class Proxy(Server):
    """For plain requests and for tunnels; writes down which hosts it was asked for."""

    def __init__(self, refuses=0):
        self.asked, self.refuses = [], refuses
        super().__init__(ProxyHandler)
        self.url = f"http://{self.host}"


def carry(a, b):
    """Bytes both ways, until one side ends."""
    other = {a: b, b: a}
    with contextlib.suppress(OSError):
        while True:
            for s in select.select([a, b], [], [], 30)[0]:
                data = s.recv(65536)
                if not data:
                    return
                other[s].sendall(data)


@pytest.fixture
def proxies():
    there = []
    def make(**kw):
        there.append(Proxy(**kw))
        return there[-1]
    yield make
    for p in there:
        p.close()


def test_plain_requests_go_through_http_proxy(world, shelf, made, tmp_path, proxies):  # noqa: F811
    registry, proxy = opened(made, tmp_path / "plain", data=shelf), proxies()
    configure_with(world, registry, http_proxy=proxy.url)
    assert world.zlayer("pull", "-q", f"{registry.host}/{NAME}").stdout.strip() == IMAGE.digest
    # manifest, config and both layers
    assert [ask for ask in proxy.asked if ask[0] == "GET"] == [("GET", registry.host)] * 4


def configure_with(world, registry, more="", **env):
    """An agent with these variables, for which the registry speaks plain HTTP at once."""
    world.env.update(env)
    configure(world, f"registries:\n  - {{host: '{registry.host}', insecure: true}}\n{more}")


def test_tls_goes_through_a_tunnel(world, shelf, made, tmp_path, proxies):  # noqa: F811
    (tmp_path / "ca").mkdir()
    ca = Authority(tmp_path / "ca")
    registry, proxy = opened(made, tmp_path / "tls", tls=ca.tls, data=shelf), proxies()
    world.env.update(https_proxy=proxy.url, http_proxy=NOBODY)
    configure(world, f"registries:\n  - {{host: '{registry.host}', ca_file: {ca.ca}}}\n")
    assert world.zlayer("pull", "-q", f"{registry.host}/{NAME}").stdout.strip() == IMAGE.digest
    assert set(proxy.asked) == {("CONNECT", registry.host)}


@pytest.mark.parametrize("exempt", ["127.0.0.1", "*", "example.net,127.0.0.0/8"])
def test_no_proxy_names_who_is_asked_directly(world, shelf, made, tmp_path, proxies, exempt):  # noqa: F811
    registry, proxy = opened(made, tmp_path / "plain", data=shelf), proxies()
    configure_with(world, registry, http_proxy=proxy.url, https_proxy=proxy.url, no_proxy=exempt)
    world.zlayer("pull", f"{registry.host}/{NAME}")
    assert proxy.asked == []


def test_a_proxy_that_refuses_is_told(world, shelf, made, tmp_path, proxies):  # noqa: F811
    (tmp_path / "ca").mkdir()
    ca = Authority(tmp_path / "ca")
    registry = opened(made, tmp_path / "tls", tls=ca.tls, data=shelf)
    world.env.update(https_proxy=proxies(refuses=407).url)
    configure(world, f"registries:\n  - {{host: '{registry.host}', ca_file: {ca.ca}}}\n")
    text = world.zlayer("pull", f"{registry.host}/{NAME}", code=1, timeout=120).stderr
    assert "407" in text and registry.host in text, text
