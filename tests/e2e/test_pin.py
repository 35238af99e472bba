"""What a tag means for a service: the image of its deploy, until another deploy."""
import os
import signal

import pytest

from registry import Image, Registry
from test_pull import busybox_layers
from world import alive, until


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    r = Registry(tmp_path_factory.mktemp("registry"))
    yield r
    r.close()


def spec(world, name, policy, replicas=1):
    return world.spec(f"""
version: v1
deployment: pins
services:
  web:
    image: {{name: "{name}", pull_policy: {policy}}}
    scale: {{mode: fixed, replicas: {replicas}}}
    command: {{entrypoint: ["/bin/busybox"], args: ["sleep", "1000"]}}
    stop_signal: SIGKILL
""")


def digests(world):
    return {world.json("container", "inspect", c["id"])["image_digest"] for c in world.containers("pins")}


def users(world):
    return {i["digest"]: {u["version"] for u in i["used_by"]} for i in world.json("image", "ls")}


def crash(world):
    """The one replica ends; once there is another."""
    one, = world.up("web", 1)
    os.kill(one["pid"], signal.SIGKILL)
    until(lambda: [c["pid"] for c in world.up("web", 1)] != [one["pid"]], "another one")


def test_later_replicas_are_of_the_image_of_the_deploy(world, registry):
    first, second = Image(busybox_layers("one")), Image(busybox_layers("two"))
    name = registry.put("team/later:latest", first)
    world.zlayer("up", "-d", spec(world, name, "always"))
    assert digests(world) == {first.digest}
    registry.put("team/later:latest", second)
    world.zlayer("pull", name)  # here, too, it means another one now
    crash(world)
    assert digests(world) == {first.digest}

    agent = world.agent_pid()
    os.kill(agent, signal.SIGKILL)
    until(lambda: not alive(agent), "its end")
    crash(world)
    assert digests(world) == {first.digest}
    assert users(world) == {first.digest: {"present"}, second.digest: set()}
    assert "pins/web" in world.zlayer("image", "ls").stdout
    assert world.json("image", "inspect", first.digest)["used_by"] == \
        [{"deployment": "pins", "service": "web", "version": "present"}]
    world.zlayer("down", "pins")


def test_what_the_store_has_lost_is_asked_for_by_its_digest(world, registry):
    first, second = Image(busybox_layers("one")), Image(busybox_layers("two"))
    name = registry.put("team/lost:latest", first)
    world.zlayer("up", "-d", spec(world, name, "if_not_present"))
    registry.put("team/lost:latest", second)
    world.zlayer("pull", name)
    agent = world.agent_pid()
    os.kill(agent, signal.SIGKILL)
    until(lambda: not alive(agent), "its end")
    (world.root / "images/blobs/sha256" / first.digest[7:]).unlink()
    crash(world)
    assert digests(world) == {first.digest}
    world.zlayer("down", "pins")


def test_newer_replaces_and_prune_keeps_two_versions(world, registry):
    images = [Image(busybox_layers(str(i))) for i in range(3)]
    name = registry.put("team/newer:latest", images[0])
    world.zlayer("up", "-d", spec(world, name, "newer"))
    before = world.up("web", 1)[0]["id"]
    world.zlayer("up", "-d", spec(world, name, "newer"))
    assert world.up("web", 1)[0]["id"] == before
    for image in images[1:]:
        registry.put("team/newer:latest", image)
        world.zlayer("up", "-d", spec(world, name, "newer"))
        assert digests(world) == {image.digest}
    world.zlayer("image", "prune", "--all")
    assert users(world) == {images[2].digest: {"present"}, images[1].digest: {"previous"}}
    world.zlayer("image", "verify")
    world.zlayer("down", "pins")
    world.zlayer("image", "prune", "--all")
    assert users(world) == {}


def test_always_replaces_with_every_deploy(world, registry):
    name = registry.put("team/always:1", Image(busybox_layers("one")))
    world.zlayer("up", "-d", spec(world, name, "always"))
    before = world.up("web", 1)[0]["id"]
    world.zlayer("up", "-d", spec(world, name, "always"))
    assert world.up("web", 1)[0]["id"] != before
    world.zlayer("down", "pins")


def job(world, name, policy, text="one"):
    return world.spec(f"""
version: v1
deployment: pins
services:
  report:
    rtype: job
    image: {{name: "{name}", pull_policy: {policy}}}
    command: {{entrypoint: ["/bin/busybox"], args: ["echo", "{text}"]}}
""")


def run_job(world):
    """The digest that an execution is recorded with; what it was made from is of that name in the store."""
    world.zlayer("job", "run", "--wait", "pins/report")
    return world.json("job", "status", "report")[0]["image_digest"]


def test_executions_of_a_job_are_of_the_image_of_its_revision(world, registry):
    first, second = Image(busybox_layers("one")), Image(busybox_layers("two"))
    name = registry.put("team/job:latest", first)
    world.zlayer("up", "-d", job(world, name, "if_not_present"))
    assert run_job(world) == first.digest
    registry.put("team/job:latest", second)
    world.zlayer("pull", name)  # here, too, it means another one now
    assert run_job(world) == first.digest
    world.zlayer("image", "prune", "--all")
    assert first.digest in users(world)

    agent = world.agent_pid()
    os.kill(agent, signal.SIGKILL)
    until(lambda: not alive(agent), "its end")
    assert run_job(world) == first.digest
    assert [x["image_digest"] for x in world.json("job", "status", "report")] == 3 * [first.digest]
    (world.root / "images/blobs/sha256" / first.digest[7:]).unlink()  # it is asked for by its digest
    assert run_job(world) == first.digest

    world.zlayer("up", "-d", job(world, name, "if_not_present", "changed"))
    assert run_job(world) == second.digest
    assert users(world) == {first.digest: {"previous"}, second.digest: {"present"}}
    world.zlayer("down", "pins")


@pytest.mark.parametrize("policy", ["always", "newer"])
def test_with_such_a_policy_each_execution_asks(world, registry, policy):
    images = [Image(busybox_layers(str(i))) for i in range(2)]
    for image in images:
        name = registry.put(f"team/asks-{policy}:latest", image)
        if image is images[0]:
            world.zlayer("up", "-d", job(world, name, policy))
        assert run_job(world) == image.digest
    world.zlayer("down", "pins")
