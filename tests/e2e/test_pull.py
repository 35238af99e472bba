"""`zlayer pull`, and images that services pull by themselves, from Debian's docker-registry on loopback."""
import fcntl
import hashlib
import json
import re
import struct
import termios

import pytest

from registry import ARCH, Image, Registry, basic_auth, tar_of
from test_pull_faults import IMAGE, serve  # noqa: F401 (serve is a fixture)
from world import BUSYBOX, on_terminal


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    r = Registry(tmp_path_factory.mktemp("registry"))
    yield r
    r.close()


def busybox_layers(say="hello"):
    with open(BUSYBOX, "rb") as f:
        box = f.read()
    return [tar_of({"bin": None, "bin/busybox": box, "bin/sh": box, "bin/cat": box, "tmp": None}),
            tar_of({"etc": None, "etc/said": say.encode()})]


@pytest.mark.parametrize("docker", [False, True], ids=["oci", "docker"])
def test_an_image_is_pulled_and_runs(world, registry, docker):
    image = Image(busybox_layers(), docker=docker)
    name = registry.put(f"team/app-{'docker' if docker else 'oci'}:1", image)
    out = world.zlayer("pull", name).stdout
    assert out.splitlines()[-1] == f"{name} {image.digest}"
    assert len(out.splitlines()) == 3  # a line for each layer
    assert world.zlayer("run", "--rm", name, "cat", "/etc/said").stdout == "hello"


def test_run_pulls_what_is_not_there(world, registry):
    name = registry.put("team/run:1", Image(busybox_layers("run")))
    assert world.zlayer("run", "--rm", name, "cat", "/etc/said").stdout == "run"


def test_a_service_pulls_by_its_policy(world, registry):
    name = registry.put("team/service:1", Image(busybox_layers()))
    def spec(deployment, image, policy):
        return world.spec(f"""
version: v1
deployment: {deployment}
services:
  web:
    image: {{name: "{image}", pull_policy: {policy}}}
    command: {{entrypoint: ["/bin/busybox"], args: ["sleep", "1000"]}}
    stop_signal: SIGKILL
""")
    world.zlayer("up", "-d", spec("pulls", name, "if_not_present"))
    world.up("web", 1)
    world.zlayer("down", "pulls")
    r = world.zlayer("up", "-d", "--timeout", "5s", spec("never", f"{registry.host}/team/not-here:1", "never"), code=5)
    assert "its pull policy is never" in r.stderr
    world.zlayer("down", "never")


def test_always_follows_a_tag_and_a_digest_stays_what_it_is(world, registry):
    first, second = Image(busybox_layers("one")), Image(busybox_layers("two"))
    name = registry.put("team/moving:1", first)
    world.zlayer("pull", name)
    registry.put("team/moving:1", second)
    world.zlayer("pull", "--policy", "if_not_present", name)
    assert world.zlayer("run", "--rm", name, "cat", "/etc/said").stdout == "one"
    world.zlayer("pull", name)
    assert world.zlayer("run", "--rm", name, "cat", "/etc/said").stdout == "two"
    pinned = f"{registry.host}/team/moving@{first.digest}"
    assert world.zlayer("run", "--rm", pinned, "cat", "/etc/said").stdout == "one"


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_what_comes_for_a_digest_has_that_digest(world, serve, algorithm):  # noqa: F811
    right = f"{algorithm}:{hashlib.new(algorithm, IMAGE.manifest).hexdigest()}"
    server = serve()
    for digest, code in ((right[:-1] + ("0" if right[-1] != "0" else "1"), 1), (right, 0)):
        server.tag = digest  # whatever is asked for, it is this image that comes
        r = world.zlayer("pull", "-q", f"{server.host}/team/app@{digest}", code=code)
        assert (r.stdout.strip() == IMAGE.digest) if code == 0 else ("sent something with the digest" in r.stderr), r


@pytest.mark.parametrize("docker", [False, True], ids=["oci", "docker"])
def test_of_an_index_this_machines_image_is_taken(world, registry, docker):
    mine, other = Image(busybox_layers("mine"), docker=docker), \
        Image(busybox_layers("other"), arch="riscv64", docker=docker)
    name = registry.put_index(f"team/index-{docker}:1".lower(), (other, {"os": "linux", "architecture": "riscv64"}),
                              (mine, {"os": "linux", "architecture": ARCH}), docker=docker)
    assert world.zlayer("pull", "-q", name).stdout.strip() == mine.digest
    assert world.zlayer("run", "--rm", name, "cat", "/etc/said").stdout == "mine"
    assert world.zlayer("pull", "-q", "--platform", "linux/riscv64", name).stdout.strip() == other.digest


def test_an_index_without_this_machine_says_so(world, registry):
    name = registry.put_index("team/foreign:1", (Image(busybox_layers(), arch="s390x"),
                                                 {"os": "linux", "architecture": "s390x"}))
    r = world.zlayer("pull", name, code=1)
    assert f"no image for linux/{ARCH}" in r.stderr


def test_what_the_registry_does_not_have_is_named(world, registry):
    r = world.zlayer("pull", f"{registry.host}/no/such:thing", code=1)
    assert f"{registry.host}/no/such:thing" in r.stderr and "manifest unknown" in r.stderr


def test_newer_is_one_question_as_long_as_nothing_is(world, serve):  # noqa: F811
    server = serve(tag="latest")
    ask = lambda: world.zlayer("pull", "-q", "--policy", "newer", server.name).stdout.strip()  # noqa: E731
    assert ask() == IMAGE.digest
    before = len(server.asked)
    assert ask() == IMAGE.digest
    assert [(m, p) for m, (p, _) in zip(server.methods, server.asked)][before:] == \
        [("HEAD", "/v2/team/app/manifests/latest")]
    server.image = Image([tar_of({"newer": b"1"})])
    assert ask() == server.image.digest
    newer, server.image = server.image, IMAGE
    server.close()
    assert ask() == newer.digest  # nobody answers: what is here will do


def test_newer_works_where_digests_are_not_told(world, serve):  # noqa: F811
    server = serve(tag="latest")
    honest = server.answer
    def silent(handler):
        handler.send(405, b"") if handler.command == "HEAD" else honest(handler)
    server.answer = silent
    for image in (IMAGE, IMAGE, Image([tar_of({"newer": b"2"})])):
        server.image = image
        assert world.zlayer("pull", "-q", "--policy", "newer", server.name).stdout.strip() == image.digest


def test_newer_follows_an_index(world, registry):
    mine, next_one = Image(busybox_layers("mine")), Image(busybox_layers("next"))
    platform = {"os": "linux", "architecture": ARCH}
    name = registry.put_index("team/newer:latest", (mine, platform))
    for image in (mine, mine, next_one):
        registry.put_index("team/newer:latest", (image, platform))
        assert world.zlayer("pull", "-q", "--policy", "newer", name).stdout.strip() == image.digest


def test_a_registry_by_its_ipv6_address(world, tmp_path):
    r = Registry(tmp_path / "registry", more=basic_auth(tmp_path), address="::1")
    open_one = Registry(tmp_path / "open", data=r.data, address="::1")
    try:
        image = Image(busybox_layers("six"))
        open_one.put("team/six:1", image)
        name = f"{r.host}/team/six:1"
        assert name.startswith("[::1]:") and f"`zlayer login {r.host}`" in world.zlayer("pull", name, code=1).stderr
        world.zlayer("login", "-u", "me", "--password-stdin", r.host, input="secret\n")
        assert world.zlayer("pull", "-q", name).stdout.strip() == image.digest
        long_name = name.replace("[::1]", "[0:0:0:0:0:0:0:1]")
        assert world.zlayer("run", "--rm", long_name, "cat", "/etc/said").stdout == "six"
        world.zlayer("image", "tag", name, f"{r.host}/team/other")
        world.zlayer("push", f"{r.host}/team/other")
        status, _, _ = open_one.ask("GET", "/v2/team/other/manifests/latest", headers={"Accept": image.type})
        assert status == 200
    finally:
        r.close()
        open_one.close()


# ---- progress on a terminal --------------------------------------------------------------------

def on_a_terminal(world, *args):
    """What `zlayer ARGS` writes to a terminal of 24 rows."""
    def begin(tty):
        fcntl.ioctl(tty, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        return world.popen(*args, stdout=tty)
    shown, code = on_terminal(begin)
    assert code == 0, shown
    return shown


def test_on_a_terminal_there_is_a_bar_a_layer_and_a_total(world, registry):
    image = Image(busybox_layers("bars"))
    name = registry.put("team/bars:1", image)
    text = on_a_terminal(world, "pull", name)
    frames = re.split("\x1b\\[[0-9]+A\x1b\\[J", text)  # each begins by removing the one before
    digests = [d["digest"][7:19] for d in json.loads(image.manifest)["layers"]]
    last = frames[-2].replace("\x1b[K", "").splitlines()
    assert [line.split()[0] for line in last] == [*sorted(digests, key=lambda d: frames[-2].index(d)), "total"]
    assert set(digests) == {line.split()[0] for line in last[:-1]}
    assert all("[" + "=" * 30 + "]" in line for line in last), last
    assert frames[-1].splitlines() == [f"{name} {image.digest}"]  # nothing else stays on the screen


def test_progress_as_json(world, registry):
    image = Image(busybox_layers())
    name = registry.put("team/json:1", image)
    lines = [json.loads(line) for line in world.zlayer("pull", name, "--format", "json").stdout.splitlines()]
    assert {line["digest"] for line in lines if line.get("status") == "layer"} == \
        {d["digest"] for d in json.loads(image.manifest)["layers"]}
    assert [line for line in lines if line.get("status") == "stored"] == [{"status": "stored", "digest": image.digest}]
