"""Pushes to registries that refuse, stall, cut off, forget and lie, and kills in the middle: the registry has the whole
image, or does not show it, and who pushed knows which."""
import contextlib
import json
import random
import threading
import time
import urllib.parse

import pytest

from loopback import Handler, Server
from registry import Registry, digest_of, tar_of
from test_pull_auth import configure
from test_pull_faults import ROUNDS, fetchers, kill, seeded
from world import alive, until

NOISE = random.Random(5).randbytes(9_000_000)  # more than a piece of 8 MiB


class ReceiverHandler(Handler):
    def any(self):
        with contextlib.suppress(OSError):
            self.owner.take(self)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = any


class Receiver(Server):
    """A registry that takes images; faults: {what: [function of (handler, go on), …]}, one a request."""

    def __init__(self, faults=None, token_uses=None):
        self.blobs, self.manifests, self.uploads = {}, {}, {}
        self.faults = {what: list(acts) for what, acts in (faults or {}).items()}
        self.token_uses, self.uses, self.tokens = token_uses, 0, 0
        self.count = 0
        self.over = threading.Event()
        super().__init__(ReceiverHandler)

    def close(self):
        self.over.set()
        super().close()

    def body(self, h):
        return h.rfile.read(int(h.headers.get("Content-Length") or 0))

    def let_in(self, h):
        if self.token_uses is None:
            return True
        if h.path.startswith("/token"):
            self.tokens, self.uses = self.tokens + 1, 0
            h.send(200, json.dumps({"token": f"t{self.tokens}"}).encode(), {"Content-Type": "application/json"})
            return False
        self.uses += 1
        if h.headers.get("Authorization") == f"Bearer t{self.tokens}" and self.uses <= self.token_uses:
            return True
        self.body(h)
        realm = f'realm="http://{self.host}/token",service="x",scope="repository:team/app:pull,push"'
        h.send(401, headers={"WWW-Authenticate": f"Bearer {realm}"})
        return False

    def take(self, h):
        if not self.let_in(h):
            return
        path = urllib.parse.urlparse(h.path)
        what = f"{h.command} {path.path.split('/')[4]}" if path.path.count("/") > 3 else h.command
        act = self.faults[what].pop(0) if self.faults.get(what) else None
        go_on = lambda: self.honest(h, path)  # noqa: E731
        act(h, go_on) if act else go_on()

    def honest(self, h, path):
        kind, last = path.path.split("/")[4], path.path.rsplit("/", 1)[1]
        if kind == "blobs" and h.command == "HEAD":
            h.send(200 if last in self.blobs else 404)
        elif h.command == "POST":
            self.body(h)
            self.count += 1
            self.uploads[str(self.count)] = bytearray()
            h.send(202, headers={"Location": f"/v2/team/app/uploads/{self.count}"})
        elif kind == "uploads":
            self.upload(h, path, last)
        else:
            data = self.body(h)
            needs = json.loads(data)
            assert all(d["digest"] in self.blobs for d in [needs["config"], *needs["layers"]])
            self.manifests[last] = data
            h.send(201, headers={"Docker-Content-Digest": digest_of(data)})

    def upload(self, h, path, number):
        data = self.body(h)
        there = self.uploads.get(number)
        if there is None:
            h.send(404, b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN","message":"upload unknown"}]}')
            return
        where = {"Location": f"/v2/team/app/uploads/{number}", "Range": f"0-{max(len(there) - 1, 0)}"}
        if h.command == "GET":
            h.send(204, headers=where)
        elif h.command == "PATCH":
            if int(h.headers["Content-Range"].split("-")[0]) != len(there):
                h.send(416, headers=where)
                return
            there += data
            h.send(202, headers={**where, "Range": f"0-{len(there) - 1}"})
        else:
            there += data
            digest = urllib.parse.parse_qs(path.query)["digest"][0]
            if digest_of(bytes(there)) != digest:
                h.send(400, b'{"errors":[{"code":"DIGEST_INVALID","message":"digest invalid"}]}')
                return
            self.blobs[digest] = bytes(self.uploads.pop(number))
            h.send(201, headers={"Docker-Content-Digest": digest})


def status(code, headers=None):
    def act(h, go_on):
        h.rfile.read(int(h.headers.get("Content-Length") or 0))
        h.send_response(code)
        for key, value in {"Content-Length": "0", **(headers or {})}.items():
            h.send_header(key, value)
        h.end_headers()
    return act


def cut_in_the_middle(h, go_on):
    server = [c.cell_contents for c in go_on.__closure__ if isinstance(c.cell_contents, Receiver)][0]
    there = server.uploads[h.path.split("?")[0].rsplit("/", 1)[1]]
    if int(h.headers["Content-Range"].split("-")[0]) != len(there):
        go_on()
        return
    there += h.rfile.read(int(h.headers["Content-Length"]) // 2)  # it has them
    h.close_connection = True
    h.connection.close()


def cut_after_all(h, go_on):
    class Nowhere:
        def write(self, data):
            pass
        def flush(self):
            pass
    h.wfile = Nowhere()
    go_on()
    h.close_connection = True
    h.connection.close()


def stalled(h, go_on):
    h.owner.over.wait(60)  # is what this server does: the client must not wait for it
    h.close_connection = True


def lies(h, go_on):
    honest = h.send_header
    h.send_header = lambda key, value: honest(key, "sha256:" + "0" * 64 if key == "Docker-Content-Digest" else value)
    go_on()


@pytest.fixture
def receive():
    there = []
    def make(**kw):
        there.append(Receiver(**kw))
        return there[-1]
    yield make
    for r in there:
        r.close()


@pytest.fixture
def big(world, tmp_path):
    """The agent, and an image with a layer of two pieces."""
    configure(world, "pull_stall_timeout: 1s\n")
    file = tmp_path / "big.tar"
    file.write_bytes(tar_of({"noise": NOISE}))
    world.zlayer("import", file, "-t", "big")
    return world


PASSING = {
    "429": {"PATCH uploads": [status(429, {"Retry-After": "1"})]},
    "5xx here and there": {"HEAD blobs": [status(502)], "POST blobs": [status(503)], "PATCH uploads": [status(500)],
                           "PUT uploads": [status(504)], "PUT manifests": [status(500), status(503)]},
    "cut off in a piece": {"PATCH uploads": [cut_in_the_middle] * 3},
    "an answer that is lost": {"PATCH uploads": [cut_after_all], "PUT uploads": [cut_after_all],
                               "PUT manifests": [cut_after_all]},
    "stalled": {"PATCH uploads": [stalled], "PUT manifests": [stalled]},
}


@pytest.mark.parametrize("fault", PASSING)
def test_what_passes_is_waited_for(big, receive, fault):
    server = receive(faults=PASSING[fault])
    name = f"{server.host}/team/app:1"
    big.zlayer("image", "tag", "big", name)
    digest = big.zlayer("push", "-q", name).stdout.strip()
    assert digest_of(server.manifests["1"]) == digest
    assert not any(server.faults.values()), "each was met"


def test_a_token_that_runs_out_in_the_middle_is_renewed(big, receive):
    server = receive(token_uses=3)
    name = f"{server.host}/team/app:1"
    big.zlayer("image", "tag", "big", name)
    digest = big.zlayer("push", "-q", name).stdout.strip()
    assert digest_of(server.manifests["1"]) == digest and server.tokens >= 3


LASTING = {
    "wait for a day": ({"PATCH uploads": [status(429, {"Retry-After": "86400"})]}, "429"),
    "403": ({"POST blobs": [status(403)]}, "403"),
    "507": ({"PATCH uploads": [status(507)]}, "507"),
    "always 500": ({"PUT uploads": [status(500)] * 20}, "500"),
    "always stalled": ({"PATCH uploads": [stalled] * 20}, "nothing came or went for 1 s"),
    "another digest of a blob": ({"PUT uploads": [lies]}, "took sha256:"),
    "another digest of the manifest": ({"PUT manifests": [lies]}, "the manifest"),
    "an upload that is forgotten": ({"PUT uploads": [status(404)]}, "404"),
    "no place for the upload": ({"POST blobs": [status(202)]}, "does not say where the upload goes"),
}


@pytest.mark.parametrize("fault", LASTING)
def test_what_does_not_pass_is_told(big, receive, fault):
    faults, said = LASTING[fault]
    server = receive(faults=faults)
    name = f"{server.host}/team/app:1"
    big.zlayer("image", "tag", "big", name)
    text = big.zlayer("push", name, code=1, timeout=120).stderr
    assert said in text and name in text and server.host in text, text
    if fault != "another digest of the manifest":
        assert server.manifests == {}
    server.faults = {}
    big.zlayer("push", name)
    assert server.manifests


@pytest.mark.parametrize("victim", ["zlayer-fetch", "agent", "registry"])
def test_kills_at_random_points_leave_the_whole_image_or_none(world, tmp_path, victim):
    chance = seeded()
    registry = Registry(tmp_path / "registry")
    try:
        for turn in range(ROUNDS):
            file = tmp_path / "big.tar"
            file.write_bytes(tar_of({"noise": chance.randbytes(9_000_000)}))
            name = f"{registry.host}/team/kill:{turn}"
            world.zlayer("import", file, "-t", name)
            agent = world.agent_pid()
            p = world.popen("push", "-q", name)
            time.sleep(chance.uniform(0, 0.4))  # the random point
            if victim == "agent":
                kill(agent)
                until(lambda: not alive(agent), "its end")
            elif victim == "registry":
                registry.kill()
                registry.start()
            else:
                for pid in fetchers(world):
                    kill(pid)
            out, _ = p.communicate(timeout=120)
            until(lambda: not fetchers(world), "the end of the one whose agent was killed")
            shown = whole(registry, turn, killed=victim == "registry")
            if p.returncode == 0:
                assert shown == out.strip()
            digest = world.zlayer("push", "-q", name).stdout.strip()
            assert whole(registry, turn) == digest
            world.zlayer("image", "rm", name)
            assert world.zlayer("pull", "-q", name).stdout.strip() == digest
            world.zlayer("image", "verify")
            world.zlayer("image", "rm", name)
    finally:
        registry.close()


def whole(registry, tag, killed=False):
    """The digest of the image if the registry shows it; then it has all of it. One that was killed while it wrote the
    name answers 500 (docker-registry leaves an empty file of it) until the name is pushed again."""
    kind = "application/vnd.oci.image.manifest.v1+json"
    code, _, text = registry.ask("GET", f"/v2/team/kill/manifests/{tag}", headers={"Accept": kind})
    if code == 404 or killed and code == 500:
        return None
    assert code == 200, text
    manifest = json.loads(text)
    for d in [manifest["config"], *manifest["layers"]]:
        code, _, data = registry.ask("GET", f"/v2/team/kill/blobs/{d['digest']}")
        assert code == 200 and digest_of(data) == d["digest"]
    return digest_of(text)
