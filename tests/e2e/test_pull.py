"""`zlayer pull`, and images that services pull by themselves, from Debian's docker-registry on loopback."""
import json

import pytest

from registry import ARCH, Image, Registry, tar_of
from world import BUSYBOX


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


def test_progress_as_json(world, registry):
    image = Image(busybox_layers())
    name = registry.put("team/json:1", image)
    lines = [json.loads(line) for line in world.zlayer("pull", name, "--format", "json").stdout.splitlines()]
    assert {line["digest"] for line in lines if line.get("status") == "layer"} == \
        {d["digest"] for d in json.loads(image.manifest)["layers"]}
    assert [line for line in lines if line.get("status") == "stored"] == [{"status": "stored", "digest": image.digest}]
