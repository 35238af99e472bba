"""The verbs of the image store, through the agent: names, what is shown of an image, what goes and what stays."""
import json
import subprocess
import tarfile

import pytest

import world as w
from world import until


def rootfs(path, text):
    """A root file system with one file, so that each text makes another image."""
    (path.parent / "text").write_text(text)
    with tarfile.open(path, "w") as tar:
        tar.add(path.parent / "text", arcname="etc/text")
        tar.add(w.BUSYBOX, arcname="bin/busybox")
        link = tarfile.TarInfo("bin/sh")
        link.type, link.linkname = tarfile.SYMTYPE, "busybox"
        tar.addfile(link)
    return path


@pytest.fixture
def add(host):
    """Imports an image with this text under a name, and answers its digest."""
    def it(text, name):
        host.zlayer("import", rootfs(host.folder / "rootfs.tar", text), "-t", name)
        return host.json("image", "inspect", name)["digest"]
    return it


def names(host):
    return {(i["normalized"] if not i["normalized"].startswith("sha256:") else None, i["digest"]) for i in host.json("image", "ls")}


def layers(host):
    return sorted(p.name for p in (host.root / "layers").iterdir() if p.name.isdigit())


def test_an_image_has_names_and_is_shown_by_any_of_them(host, add):
    digest = add("one", "one")
    host.zlayer("image", "tag", "one", "two:2")
    for name in ("one", "two:2", digest, digest[7:20]):
        shown = host.json("image", "inspect", name)
        assert shown["digest"] == digest
        assert shown["references"] == ["docker.io/library/one:latest", "docker.io/library/two:2"]
        assert shown["config"]["Cmd"] == ["/bin/sh"]
        assert len(shown["layers"]) == 1 and shown["layers"][0]["size"] > 0
    host.zlayer("image", "rm", "one")
    assert host.json("image", "inspect", "two:2")["references"] == ["docker.io/library/two:2"]
    assert "there is no image 'one'" in host.zlayer("image", "inspect", "one", code=1).stderr
    assert "not an image reference" in host.zlayer("image", "tag", "two:2", "Two", code=1).stderr


def test_history_shows_the_steps(host):
    at = host.folder / "layout"
    def sh(*args):
        subprocess.run([str(a) for a in args], check=True, stdout=subprocess.DEVNULL)
    sh("umoci", "init", "--layout", at)
    sh("umoci", "new", "--image", f"{at}:t")
    (host.folder / "file").write_text("x")
    sh("umoci", "insert", "--image", f"{at}:t", "--history.created_by", "put a file there", host.folder / "file", "/file")
    host.zlayer("import", f"oci:{at}:t", "-t", "steps")
    assert host.json("image", "history", "steps")[-1]["created_by"] == "put a file there"
    assert "put a file there" in host.zlayer("image", "history", "steps").stdout


def test_prune_takes_what_lost_its_name_and_says_so_before(host, add):
    old, new = add("old", "app"), add("new", "app")
    assert {(None, old), ("docker.io/library/app:latest", new)} <= names(host)
    before = layers(host)
    plan = host.json("image", "prune", "--plan")
    assert [i["digest"] for i in plan["images"]] == [old]
    assert plan["plan"] and plan["layers"] == 1 and plan["blobs"] == 3 and plan["bytes"] > 0
    assert layers(host) == before and (None, old) in names(host)
    done = host.json("image", "prune")
    assert {k: v for k, v in done.items() if k != "plan"} == {k: v for k, v in plan.items() if k != "plan"}
    assert len(layers(host)) == len(before) - 1
    assert ("docker.io/library/app:latest", new) in names(host)
    assert host.json("image", "prune")["n_images"] == 0


def test_prune_keeps_what_a_service_or_a_container_needs(host, add):
    service, old, other = add("service", "service"), add("container", "moving"), add("other", "other")
    host.spec("version: v1\ndeployment: needs\nservices:\n  web:\n    image: {name: service}\n"
              "    command: {entrypoint: [/bin/busybox], args: [sleep, '1000']}\n    scale: {mode: fixed, replicas: 0}\n")
    host.zlayer("up", "-d")
    host.zlayer("run", "-d", "--name", "box", "moving", "/bin/busybox", "sleep", "1000")
    add("newer", "moving")
    gone = {i["digest"] for i in host.json("image", "prune", "--all")["images"]}
    assert other in gone and old not in gone and service not in gone
    assert host.zlayer("exec", "box", "/bin/busybox", "cat", "/etc/text").stdout == "container"
    host.zlayer("container", "rm", "--force", "box")
    until(lambda: old in {i["digest"] for i in host.json("image", "prune")["images"]} or None, "the container's image goes after it")
    host.zlayer("down")
