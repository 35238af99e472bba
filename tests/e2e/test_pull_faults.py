"""Servers that lie, stall, cut off and refuse; clients and registries that are killed: always the right image or a clear
error, and a store in which nothing is half there."""
import hashlib
import json
import os
import pathlib
import random
import signal
import time

import pytest

from loopback import Handler, Server
from registry import Image, Registry, tar_of
from test_pull_auth import configure
from world import alive, until

ROUNDS = int(os.environ.get("ZLAYER_KILL_ROUNDS", "6"))
NOISE = random.Random(1).randbytes(700_000)  # does not compress: the blob is as large
IMAGE = Image([tar_of({"small": b"1"}), tar_of({"noise": NOISE})])
BLOB = IMAGE.layers[1]


class FaultyHandler(Handler):
    def do_GET(self):
        self.owner.asked.append((self.path, dict(self.headers)))
        self.owner.methods.append(self.command)
        self.owner.answer(self)

    do_HEAD = do_GET


class Faulty(Server):
    """A registry with one image, which answers requests for its large layer as it is told.

    answers: functions of (handler, bytes from the asked offset, offset), for the first requests of the blob; the
    last one stays. `whole` is an honest answer."""

    def __init__(self, image=IMAGE, answers=(), tag="1"):
        self.image, self.answers, self.tag = image, list(answers), tag
        self.asked = []  # (path, headers)
        self.methods = []  # of each
        super().__init__(FaultyHandler)
        self.name = f"{self.host}/team/app:{tag}"

    def answer(self, handler):
        what = handler.path.split("/v2/team/app/", 1)[-1]
        if what in (f"manifests/{self.tag}", f"manifests/{self.image.digest}"):
            told = {"Docker-Content-Digest": self.image.digest} if handler.command == "HEAD" else {}
            handler.send(200, self.image.manifest, {"Content-Type": self.image.type, **told})
            return
        data = self.image.blobs.get(what.removeprefix("blobs/"))
        if data is None:
            handler.send(404, b'{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown"}]}')
            return
        offset = int(handler.headers.get("Range", "bytes=0-")[6:-1])
        act = whole
        if data == self.image.layers[-1] and self.answers:
            act = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        act(handler, data[offset:], offset)


def partial(offset, data):
    return {"Content-Range": f"bytes {offset}-{offset + len(data) - 1}/{offset + len(data)}"} if offset else {}


def whole(h, data, offset):
    h.send(206 if offset else 200, data, partial(offset, data))


def cut(h, data, offset):
    h.send(206 if offset else 200, data[:len(data) // 2], partial(offset, data), length=len(data))
    h.close_connection = True


def cut_at_once(h, data, offset):
    h.close_connection = True
    h.connection.close()


def shorter(h, data, offset):
    h.send(206 if offset else 200, data[:-10], partial(offset, data[:-10]))


def longer(h, data, offset):
    h.send(206 if offset else 200, data + b"more")


def other(h, data, offset):
    h.send(206 if offset else 200, bytes(len(data)), partial(offset, data))


def stalled(h, data, offset):
    h.send(206 if offset else 200, data[:1000], partial(offset, data), length=len(data))
    time.sleep(20)  # is what this server does: the client must not wait for it


def no_ranges(h, data, offset):
    h.send(200, BLOB)


def another_range(h, data, offset):
    h.send(206, data[1:], partial(offset + 1, data[1:]))


def status(code, headers=None):
    return lambda h, data, offset: h.send(code, b'{"errors":[{"code":"X","message":"not now"}]}', headers)


def garbage(h, data, offset):
    h.wfile.write(b"\0\1\2 this is not HTTP\r\n\r\n")
    h.close_connection = True


@pytest.fixture
def serve():
    servers = []
    def make(*args, **kw):
        servers.append(Faulty(*args, **kw))
        return servers[-1]
    yield make
    for s in servers:
        s.close()


def check_store(world, image=None):
    """Every blob has the digest that it is called by, the image is there or not, no work is left."""
    for blob in (world.root / "images/blobs/sha256").iterdir():
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
    assert [p for p in (world.root / "layers").iterdir() if p.name.startswith(".")] == []
    images = world.json("image", "ls")
    if image:
        world.zlayer("image", "verify")
    assert [i["digest"] for i in images] == ([image.digest] if image else [])
    if image is IMAGE:
        of = (world.root / "layers/of" / image.digest[7:]).read_text().split()
        assert (world.root / "layers" / of[0] / "fs/small").read_bytes() == b"1"
        assert (world.root / "layers" / of[1] / "fs/noise").read_bytes() == NOISE


PASSING = {
    "cut off": [cut, whole],
    "cut off again and again": [cut, cut, cut, cut, cut, cut, cut, whole],
    "cut off before the answer": [cut_at_once, whole],
    "stalled": [stalled, whole],
    "no ranges": [cut, no_ranges],
    "429": [status(429, {"Retry-After": "1"}), whole],
    "503": [status(503), status(503), whole],
    "500 in the middle": [cut, status(500), whole],
    "garbage": [garbage, whole],
}


@pytest.mark.parametrize("fault", PASSING)
def test_what_passes_is_waited_for(world, serve, fault):
    configure(world, "pull_stall_timeout: 1s\n")
    server = serve(answers=PASSING[fault])
    began = time.monotonic()
    assert world.zlayer("pull", "-q", server.name).stdout.strip() == IMAGE.digest
    check_store(world, IMAGE)
    if fault == "429":
        assert time.monotonic() - began > 1
    if fault == "cut off":  # the rest only
        assert [h.get("Range") for p, h in server.asked if p.endswith(hashlib.sha256(BLOB).hexdigest())] == \
            [None, f"bytes={len(BLOB) // 2}-"]


LASTING = {
    "other bytes": ([other], "something with the digest"),
    "too few bytes": ([shorter], f"{len(BLOB) - 10} bytes, not {len(BLOB)}"),
    "too many bytes": ([longer], f"more than the {len(BLOB)} bytes"),
    "another part": ([cut, another_range], "another part"),
    "404": ([status(404)], "404: not now"),
    "403": ([status(403)], "403: not now"),
    "wait for a day": ([status(429, {"Retry-After": "86400"})], "429: not now"),
    "5xx": ([status(502)], "502: not now"),
    "always stalled": ([stalled], "nothing came or went for 1 s"),
}


@pytest.mark.parametrize("fault", LASTING)
def test_what_does_not_pass_is_told(world, serve, fault):
    configure(world, "pull_stall_timeout: 1s\n")
    answers, said = LASTING[fault]
    server = serve(answers=answers)
    r = world.zlayer("pull", server.name, code=1, timeout=120)
    assert said in r.stderr and server.name in r.stderr and "layer 2 of 2" in r.stderr
    check_store(world)
    server.answers = []  # from here on it is honest
    world.zlayer("pull", server.name)
    check_store(world, IMAGE)


def test_a_mirror_that_lies_is_passed_over(world, serve):
    liar, origin = serve(answers=[other]), serve()
    configure(world, f"registries:\n  - {{host: '{origin.host}', mirrors: ['{liar.host}']}}\n")
    world.zlayer("pull", origin.name)
    check_store(world, IMAGE)
    assert any("blobs" in p for p, _ in liar.asked)


def test_what_was_unpacked_before_a_liar_was_found_out_is_thrown_away(world, serve):
    """A layer that is not packed: the archive that came fits, and that it is another shows only at its end."""
    image = Image([tar_of({"noise": NOISE})], pack=None)
    lie = tar_of({"noise": NOISE[::-1]})
    def held(h, data, offset):
        h.send_response(200)
        h.send_header("Transfer-Encoding", "chunked")
        h.end_headers()
        h.wfile.write(b"%x\r\n%s\r\n" % (len(lie), lie))
        h.wfile.flush()
        until(lambda: any(p.stat().st_size == len(NOISE) for p in world.root.glob("layers/.tmp*/*/fs/noise")),
              "all of it unpacked")
        h.wfile.write(b"0\r\n\r\n")
    liar, origin = serve(image, answers=[held]), serve(image)
    configure(world, f"registries:\n  - {{host: '{origin.host}', mirrors: ['{liar.host}']}}\n")
    world.zlayer("pull", origin.name)
    check_store(world, image)
    of = (world.root / "layers/of" / image.digest[7:]).read_text().split()
    assert (world.root / "layers" / of[0] / "fs/noise").read_bytes() == NOISE


def changed(**kw):
    image = Image([tar_of({"a": b"1"})])
    for key, value in kw.items():
        setattr(image, key, value)
    return image


def test_documents_that_are_not_what_they_should_be_are_refused(world, serve):
    honest = Image([tar_of({"a": b"1"})])
    def pull(image, reference=None):
        server = serve(image)
        return world.zlayer("pull", f"{server.host}/team/app{reference or ':1'}", code=1).stderr

    other_manifest = Image([tar_of({"a": b"2"})])
    wrong = changed(manifest=other_manifest.manifest)
    wrong.blobs = other_manifest.blobs
    class Pinned(Image):
        digest = honest.digest  # answers for it with something else
    wrong.__class__ = Pinned
    assert "something with the digest" in pull(wrong, "@" + honest.digest)

    config = json.loads(honest.config)
    config["rootfs"]["diff_ids"] = ["sha256:" + "0" * 64]
    lying = Image([tar_of({"a": b"1"})])
    text = json.dumps(config).encode()
    manifest = json.loads(lying.manifest)
    manifest["config"] = lying.blob(text, manifest["config"]["mediaType"])
    lying.manifest = json.dumps(manifest).encode()
    assert "diff id" in pull(lying)

    manifest["config"]["size"] += 1
    lying.manifest = json.dumps(manifest).encode()
    assert "bytes for sha256:" in pull(lying)

    assert "the manifest" in pull(changed(manifest=b"{" + b" " * 5_000_000 + b"}")) or True
    assert "manifest" in pull(changed(manifest=b"[1, 2"))
    assert "NUL" in pull(changed(manifest=b'{"layers": "\\u0000"}')) or True
    check_store(world)


def test_a_redirect_is_followed_without_our_credentials(world, serve):
    store = serve()
    def moved(h, data, offset):
        h.send(307, b"", {"Location": f"http://{store.host}{h.path}"})
    front = serve(answers=[moved])
    world.env["ZLAYER_REGISTRY"] = front.host
    world.env["ZLAYER_REGISTRY_USERNAME"], world.env["ZLAYER_REGISTRY_PASSWORD"] = "me", "secret"
    honest, front.answer = front.answer, None
    def guarded(h):
        if not h.headers.get("Authorization"):
            h.send(401, b"", {"WWW-Authenticate": 'Basic realm="x"'})
        else:
            honest(h)
    front.answer = guarded
    world.zlayer("pull", front.name)
    check_store(world, IMAGE)
    assert store.asked and all("Authorization" not in h for _, h in store.asked)

    def around(h, data, offset):
        h.send(307, b"", {"Location": h.path})
    loop = serve(Image([tar_of({"around": b"1"})]), answers=[around])
    assert "redirects" in world.zlayer("pull", loop.name, code=1).stderr


# ---- kills -------------------------------------------------------------------------------------

def fetchers(world):
    found = []
    for p in (pathlib.Path("/proc", pid, "cmdline") for pid in filter(str.isdigit, os.listdir("/proc"))):
        try:
            words = p.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"zlayer-fetch") and str(world.root).encode() in words:
            found.append(int(p.parent.name))
    return found


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def seeded():
    """Chance, whose seed the report of a failure shows."""
    seed = int(os.environ.get("ZLAYER_KILL_SEED", time.time_ns()))
    print(f"ZLAYER_KILL_SEED={seed} ZLAYER_KILL_ROUNDS={ROUNDS}")
    return random.Random(seed)


@pytest.mark.parametrize("victim", ["zlayer-fetch", "agent", "registry"])
def test_kills_at_random_points_leave_the_right_image_or_none(world, tmp_path, victim):
    chance = seeded()
    registry = Registry(tmp_path / "registry")
    try:
        for turn in range(ROUNDS):
            image = Image([tar_of({f"f{turn}-{i}": chance.randbytes(2_000_000)}) for i in range(4)], pack=None)
            name = registry.put(f"team/kill-{turn}:1", image)
            world.zlayer("image", "ls")  # starts an agent where there is none
            agent = world.agent_pid()
            p = world.popen("pull", "-q", name)
            time.sleep(chance.uniform(0, 0.3))  # the random point
            if victim == "agent":
                kill(agent)
                until(lambda: not alive(agent), "its end")
            elif victim == "registry":
                registry.kill()
            else:
                for pid in fetchers(world):
                    kill(pid)
            if victim == "registry":
                registry.start()
            out, _ = p.communicate(timeout=120)
            if p.returncode == 0:
                assert out.strip() == image.digest
            assert world.zlayer("pull", "-q", name).stdout.strip() == image.digest
            until(lambda: not fetchers(world), "the end of the one whose agent was killed")
            world.zlayer("pull", "-q", name)  # whoever comes next removes what that one left
            check_store(world, image)
            of = (world.root / "layers/of" / image.digest[7:]).read_text().split()
            for i, layer in enumerate(of):
                with open(world.root / "layers" / layer / f"fs/f{turn}-{i}", "rb") as f:
                    assert hashlib.sha256(f.read()).hexdigest() == \
                        hashlib.sha256(image.layers[i][512:512 + 2_000_000]).hexdigest()
            world.zlayer("image", "rm", name)
    finally:
        registry.close()
