"""Images made by umoci, buildah, docker and skopeo unpack to the tree that umoci and docker make of them.

Compared is every entry with its type, mode, owner, time, attributes, target, device, content and hard
links. What the peers are known to lose is listed beside the comparison, by name.
"""
import copy
import functools
import json
import os
import pathlib
import shutil
import stat
import subprocess
import tempfile
import time

import pytest

import engines
import trees
from world import BUILD

FETCH = BUILD / "src/fetch/zlayer-fetch"


def sh(*args, **kw):
    r = subprocess.run([str(a) for a in args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                       timeout=300, **kw)
    assert r.returncode == 0, f"{' '.join(map(str, args))}: exit {r.returncode}\n{r.stdout}"
    return r.stdout


@pytest.fixture(scope="module")
def folder():
    path = pathlib.Path(tempfile.mkdtemp(prefix="zlayer-unpack."))
    yield path
    sh("rm", "-rf", "--one-file-system", path)


class Docker(engines.Docker):
    """With overlay2: vfs copies the tree at each layer, and loses attributes."""
    storage = "overlay2"

    def layers(self, image):
        """The folders of the image's layers, lowest first."""
        data = json.loads(self.cli("image", "inspect", "--format", "{{json .GraphDriver.Data}}", image).stdout)
        lower = data["LowerDir"].split(":") if data.get("LowerDir") else []
        return [*reversed(lower), data["UpperDir"]]


@pytest.fixture(scope="module")
def docker(folder, busybox_tar):
    (folder / "docker").mkdir()
    engine = Docker(folder / "docker", busybox_tar)
    yield engine
    left = engine.close()
    assert not left, left


# ---- the makers: each answers an OCI layout and its tag ----------------------------------------

def few(root):
    """Step 1 with fewer small files: 10,000 of them are umoci's to make, once."""
    trees.first(root, small_files=500)


@functools.cache
def umocis_images(folder):
    """umoci writes each step as a layer: whiteouts, and hard links as it finds them. One with three layers, and one with a
    fourth; the bundle is unpacked once, since that takes umoci longer than anything else here."""
    at, swapped, bundle = folder / "umoci", folder / "umoci-swap", folder / "umoci-bundle"
    sh("umoci", "init", "--layout", at)
    sh("umoci", "new", "--image", f"{at}:t")
    sh("umoci", "unpack", "--image", f"{at}:t", bundle)
    for step in trees.STEPS:
        step(bundle / "rootfs")
        sh("umoci", "repack", "--refresh-bundle", "--image", f"{at}:t", bundle)
    shutil.copytree(at, swapped)
    trees.swap(bundle / "rootfs")
    sh("umoci", "repack", "--image", f"{swapped}:t", bundle)
    sh("rm", "-rf", bundle)
    return at, swapped


def umoci(folder, docker):
    return umocis_images(folder)[0]


@functools.cache
def buildah(folder, docker):
    """buildah's layers are what the overlay driver has: opaque folders."""
    own = ["buildah", "--root", folder / "buildah-root", "--runroot", folder / "buildah-run", "--storage-driver", "overlay"]
    image = "scratch"
    for step in (few, *trees.STEPS[1:], trees.swap):
        name = sh(*own, "from", "--pull-never", image).split()[-1]
        step(pathlib.Path(sh(*own, "mount", name).strip()))
        sh(*own, "umount", name)
        image = f"localhost/{step.__name__}"
        sh(*own, "commit", "--quiet", name, image)
        sh(*own, "rm", name)
    at = folder / "buildah"
    sh(*own, "push", "--quiet", image, f"oci:{at}:t")
    sh(*own, "rmi", "--all", "--force")
    return at


@functools.cache
def docker_build(folder, docker):
    """A build of the classic builder: ADD of a tar, and commands in containers."""
    context = folder / "context"
    context.mkdir()
    root = folder / "docker-rootfs"
    root.mkdir()
    few(root)
    sh("tar", "--numeric-owner", "--xattrs", "--xattrs-include=*", "--format=pax", "-C", root, "-cf", context / "root.tar", ".")
    (context / "Dockerfile").write_text(
        "FROM scratch\nADD root.tar /\n"
        "RUN busybox rm -r /etc/gone /etc/back /opt/old && busybox mkdir /opt/old && echo all > /opt/old/new\n"
        "RUN echo again > /etc/back && busybox ln /etc/noted /etc/noted-too && busybox chmod 1770 /tmp && busybox rm /var/pipe\n")
    docker.cli("build", "--network", "none", "--tag", "made", context, timeout=300, env={**os.environ, "DOCKER_BUILDKIT": "0"})
    docker.cli("save", "--output", folder / "made.tar", "made", timeout=300)
    sh("skopeo", "copy", "--quiet", f"docker-archive:{folder}/made.tar", f"oci:{folder}/docker-made:t")
    sh("rm", "-rf", root, context)
    return folder / "docker-made"


# ---- the trees ----------------------------------------------------------------------------------

@functools.cache
def ours(folder, source):
    """The manifest of what zlayer-fetch makes of the source, under overlay."""
    root = pathlib.Path(tempfile.mkdtemp(prefix="store.", dir=folder))
    said = sh(FETCH, "import", "--root", root, "--reference", "x", source)
    digest = json.loads(said.splitlines()[-1])["digest"]
    numbers = (root / "layers/of" / digest.removeprefix("sha256:")).read_text().split()
    rows = trees.overlay_manifest([root / "layers" / n / "fs" for n in numbers])
    shutil.rmtree(root)
    return rows


@functools.cache
def umocis(folder, at):
    """What umoci makes of it: most of this file's time was its, over and over of the same image."""
    bundle = pathlib.Path(tempfile.mkdtemp(prefix="bundle.", dir=folder))
    bundle.rmdir()
    sh("umoci", "unpack", "--image", f"{at}:t", bundle)
    rows = trees.manifest(bundle / "rootfs")
    sh("rm", "-rf", bundle)
    return rows


def dockers(folder, docker, at):
    """docker load of the image as a docker archive, its layers under overlay as docker mounts them."""
    archive = pathlib.Path(tempfile.mktemp(prefix="load.", dir=folder))
    sh("skopeo", "copy", "--quiet", f"oci:{at}:t", f"docker-archive:{archive}:loaded:{archive.name.lower()}")
    archive_name = f"loaded:{archive.name.lower()}"
    docker.cli("load", "--input", archive, timeout=300)
    rows = trees.overlay_manifest(docker.layers(archive_name), "metacopy=off")
    docker.cli("rmi", archive_name)
    archive.unlink()
    return rows


def same(found, wanted, since=None):
    """Where no layer lists the root, its time is nobody's: we say 0, the peers the time of unpacking.

    since: a peer (docker) gives folders that a layer uses but does not list the time of unpacking; we
    and umoci give them that of the layer below.
    """
    wanted = copy.deepcopy(wanted)  # which others compare with, too
    if found["."]["mtime"] == 0:
        wanted["."]["mtime"] = 0
    for path, row in wanted.items():
        if since and row["type"] == stat.S_IFDIR and row["mtime"] > since and path in found:
            row["mtime"] = found[path]["mtime"]
    lines = trees.differences(found, wanted)
    assert not lines, f"{len(lines)} differences:\n" + "\n".join(lines[:40])


@pytest.mark.parametrize("maker", [umoci, buildah, docker_build], ids=lambda m: m.__name__)
def test_the_tree_is_umocis(folder, docker, maker):
    at = maker(folder, docker)
    same(ours(folder, f"oci:{at}:t"), umocis(folder, at))


@pytest.mark.parametrize("maker", [umoci, buildah, docker_build], ids=lambda m: m.__name__)
def test_the_tree_is_dockers(folder, docker, maker):
    at = maker(folder, docker)
    start = time.time_ns()
    same(ours(folder, f"oci:{at}:t"), dockers(folder, docker, at), since=start)


def test_deletions_below_what_became_a_file(folder, docker):
    """umoci repack writes them; docker load refuses such a layer ("not a directory")."""
    at = umocis_images(folder)[1]
    same(ours(folder, f"oci:{at}:t"), umocis(folder, at))


@pytest.mark.parametrize("form", ["zstd", "oci-archive", "docker-archive", "dir"])
def test_every_form_that_skopeo_writes_gives_the_same_tree(folder, docker, form):
    at = umoci(folder, docker)
    to = pathlib.Path(tempfile.mkdtemp(prefix=f"{form}.", dir=folder)) / "image"
    options = ["--dest-compress", "--dest-compress-format", "zstd"] if form == "zstd" else []
    scheme = "dir" if form == "zstd" else form
    sh("skopeo", "copy", "--quiet", *options, f"oci:{at}:t", f"{scheme}:{to}" + (":made:1" if "docker" in form else ""))
    if form == "zstd":
        assert "tar+zstd" in (to / "manifest.json").read_text()
    same(ours(folder, f"{scheme}:{to}"), umocis(folder, at))


@pytest.mark.skipif(not os.environ.get("ZLAYER_TEST_LARGE"), reason="writes 6 GB: asked for by ZLAYER_TEST_LARGE=1")
def test_one_file_of_2_GB(folder, docker):
    """Half of it holes; the tree is umoci's, and takes no more of the disk than what is not zero."""
    at, bundle = folder / "large", folder / "large-bundle"
    sh("umoci", "init", "--layout", at)
    sh("umoci", "new", "--image", f"{at}:t")
    sh("umoci", "unpack", "--image", f"{at}:t", bundle)
    with open(bundle / "rootfs/large", "wb") as f:
        for i in range(16):
            f.seek(i * 128 << 20)
            f.write(os.urandom(1 << 20) * 64)
        f.truncate(2 << 30)
    sh("umoci", "repack", "--image", f"{at}:t", bundle)
    sh("rm", "-rf", bundle)
    same(ours(folder, f"oci:{at}:t"), umocis(folder, at))


# ---- archives between engines -------------------------------------------------------------------

def store_with(folder, source):
    root = pathlib.Path(tempfile.mkdtemp(prefix="store.", dir=folder))
    said = [json.loads(line) for line in sh(FETCH, "load", "--root", root, source).splitlines()]
    return root, {line["reference"]: line["digest"] for line in said if line["status"] == "image"}


def test_docker_and_podman_load_what_we_save(folder, docker, busybox_tar):
    docker.cli("save", "--output", folder / "busybox.tar", docker.image)
    root, images = store_with(folder, f"archive:{folder}/busybox.tar")
    assert list(images) == ["docker.io/library/zlayer-test:latest"]
    order = {"docker": True, "images": [{"digest": d, "names": ["docker.io/library/from-zlayer:1"]} for d in images.values()]}
    (folder / "order").write_text(json.dumps(order))
    with open(folder / "order") as stdin, open(folder / "saved.tar", "w") as out:
        subprocess.run(["sh", "-c", f"{FETCH} save --root {root} 3>&1 >/dev/null"], stdin=stdin, stdout=out, check=True)
    assert "from-zlayer:1" in docker.cli("load", "--input", folder / "saved.tar").stdout
    assert docker.run("from-zlayer:1", "echo", "loaded").stdout == "loaded\n"
    podman = engines.Podman(folder / "podman", busybox_tar) if (folder / "podman").mkdir() is None else None
    try:
        assert "from-zlayer:1" in podman.cli("load", "--input", folder / "saved.tar").stdout
        assert podman.run("from-zlayer:1", "echo", "loaded").stdout == "loaded\n"
        podman.cli("save", "--format", "docker-archive", "--output", folder / "podman.tar", "from-zlayer:1")
    finally:
        left = podman.close()
    assert not left, left
    again, theirs = store_with(folder, f"archive:{folder}/podman.tar")
    assert list(theirs) == ["docker.io/library/from-zlayer:1"]
    for path in (root, again):
        shutil.rmtree(path)
