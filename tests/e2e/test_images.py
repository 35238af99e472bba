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


def test_a_name_that_is_no_text_is_told(host):
    """Names in an archive are bytes; what is said of them is JSON on its way."""
    with tarfile.open(host.folder / "bytes.tar", "w", encoding="utf-8", errors="surrogateescape") as tar:
        link = tarfile.TarInfo("caf\udce9")
        link.type, link.linkname = tarfile.LNKTYPE, "nothing"
        tar.addfile(link)
    assert "unpack 'caf\\xe9': it is a hard link to 'nothing'" in host.zlayer("import", host.folder / "bytes.tar", "-t", "x", code=1).stderr


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


# ---- archives -----------------------------------------------------------------------------------

def test_what_is_saved_loads_again_with_the_same_digests(host, add):
    one, two = add("one", "one"), add("two", "team/two:2")
    host.zlayer("save", "one", "team/two:2", "-o", "saved.tar")
    saved = (host.folder / "saved.tar").read_bytes()
    host.zlayer("save", "one", "team/two:2", "-o", "again.tar")
    assert (host.folder / "again.tar").read_bytes() == saved
    host.zlayer("image", "rm", "one", "team/two:2")
    out = host.zlayer("load", "-i", "saved.tar").stdout
    assert f"docker.io/library/one:latest {one}\n" in out and f"docker.io/team/two:2 {two}\n" in out
    assert {("docker.io/library/one:latest", one), ("docker.io/team/two:2", two)} <= names(host)
    assert {json.loads(line)["damage"] for line in host.zlayer("image", "verify", "--format", "json").stdout.splitlines()
            if "verified" in line} == {None}
    host.zlayer("image", "rm", "one")
    host.zlayer("import", "oci-archive:saved.tar:docker.io/library/one:latest", "-t", "alone")
    assert host.json("image", "inspect", "alone")["digest"] == one


def test_save_and_load_work_in_pipes(host, add):
    digest = add("one", "one")
    p = subprocess.run([w.BUILD / "src/cli/zlayer", "save", "one"], env=host.env, cwd=host.folder, stdout=subprocess.PIPE, check=True)
    host.zlayer("image", "rm", "one")
    q = subprocess.run([w.BUILD / "src/cli/zlayer", "load"], env=host.env, cwd=host.folder, input=p.stdout, stdout=subprocess.PIPE, check=True)
    assert f"docker.io/library/one:latest {digest}".encode() in q.stdout
    assert "no image 'nothing'" in host.zlayer("save", "nothing", "-o", "x.tar", code=1).stderr
    assert not (host.folder / "x.tar").exists()
    (host.folder / "kept.tar").write_text("what was there")
    host.zlayer("save", "nothing", "-o", "kept.tar", code=1)
    assert (host.folder / "kept.tar").read_text() == "what was there"
    (host.folder / "link.tar").symlink_to("kept.tar")
    host.zlayer("save", "one", "-o", "link.tar")
    assert (host.folder / "kept.tar").read_bytes()[:5] != b"what " and (host.folder / "link.tar").is_symlink()
    assert not list(host.folder.glob("*.tar.*"))
    assert "holds no image" in host.zlayer("load", "-i", "rootfs.tar", code=1).stderr
    assert "it is no root file system but an image" in host.zlayer("import", save_one(host), "-t", "x", code=1).stderr


def save_one(host):
    host.zlayer("save", "one", "-o", "one.tar")
    return "one.tar"


def test_verify_names_what_was_changed(host, add):
    digest = add("one", "one")
    shown = host.json("image", "inspect", "one")
    assert "one:latest: whole" in host.zlayer("image", "verify", "one").stdout
    file = host.root / f"layers/{shown['layers'][0]['number']}/fs/etc/text"
    before = file.stat()
    file.write_text("ONE")
    w.os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    r = host.zlayer("image", "verify", "one", code=1)
    assert "'/etc/text': its content is not what the image says" in r.stdout
    blob = host.root / "images/blobs/sha256" / shown["layers"][0]["digest"][7:]
    blob.write_bytes(blob.read_bytes().replace(b"etc/text", b"etc/TEXT"))
    r = host.zlayer("image", "verify", "one", code=1)
    assert "the digest of the layer is" in r.stdout or "damaged" in r.stdout
    assert "1 of 1 images are damaged" in r.stderr
    assert digest in str(names(host))
