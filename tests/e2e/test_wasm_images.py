"""WebAssembly in images, of every form that others make, from every place that images come from."""
import json
import tarfile

import pytest

import wasmtool
from registry import Registry, digest_of, tar_of

pytestmark = wasmtool.needs_wasm
MANIFEST, INDEX = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"
OCI_CONFIG, OCI_LAYER = "application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar"


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    source = '#include <stdio.h>\nint main(int n, char **v) { printf("%s\\n", n > 1 ? v[1] : "nothing"); }'
    return wasmtool.compile_c(tmp_path_factory.mktemp("module"), source, "said").read_bytes()


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    r = Registry(tmp_path_factory.mktemp("registry"))
    yield r
    r.close()


class Made:
    """A manifest, or an index over one, and all blobs that they lead to."""

    def __init__(self, config, config_type, layer, layer_type, artifact_type=None, title=None, platform=None):
        self.blobs, self.type = {}, MANIFEST
        document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": self.blob(config, config_type),
                    "layers": [self.blob(layer, layer_type)]}
        if title:
            document["layers"][0]["annotations"] = {"org.opencontainers.image.title": title}
        if artifact_type:
            document["artifactType"] = artifact_type
        self.top = self.inner = json.dumps(document).encode()
        if platform:
            self.type = INDEX
            other = {"mediaType": MANIFEST, "digest": "sha256:" + "0" * 64, "size": 2,
                     "platform": {"os": "linux", "architecture": "s390x"}}
            self.top = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
                other, {**self.blob(self.inner, MANIFEST), "platform": platform}]}).encode()

    def blob(self, data, kind):
        self.blobs[digest_of(data)] = data
        return {"mediaType": kind, "digest": digest_of(data), "size": len(data)}


def classic(module, **kw):
    tar = tar_of({"said.wasm": module})
    config = {"architecture": "wasm", "os": "wasi", "config": {"Entrypoint": ["/said.wasm"]},
              "rootfs": {"type": "layers", "diff_ids": [digest_of(tar)]}}
    return Made(json.dumps(config).encode(), OCI_CONFIG, tar, OCI_LAYER, **kw)


FORMS = {
    "application/wasm": lambda m: Made(b"{}", "application/vnd.wasm.config.v0+json", m, "application/wasm",
                                       "application/vnd.wasm.module.v1+wasm"),
    "content layer": lambda m: Made(b"{}", "application/vnd.wasm.config.v1+json", m,
                                    "application/vnd.wasm.content.layer.v1+wasm", title="said.wasm"),
    "artifact type alone": lambda m: Made(b"{}", "application/vnd.oci.empty.v1+json", m, "application/octet-stream",
                                          "application/vnd.wasm.module.v1+wasm"),
    "classic": classic,
    "classic in an index": lambda m: classic(m, platform={"os": "wasi", "architecture": "wasm"}),
    "artifact in an index": lambda m: Made(b"{}", "application/vnd.wasm.config.v0+json", m, "application/wasm",
                                           platform={"os": "wasip1", "architecture": "wasm"}),
}


def layout(made, folder):
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)
    for data in (*made.blobs.values(), made.top):
        (blobs / digest_of(data)[7:]).write_bytes(data)
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [{
        "mediaType": made.type, "digest": digest_of(made.top), "size": len(made.top),
        "annotations": {"org.opencontainers.image.ref.name": "1"}}]}))
    return folder


def from_registry(world, registry, made, name, folder):
    for data in made.blobs.values():
        registry.put_blob("wasm/said", data)
    if made.type == INDEX:
        registry.put_manifest("wasm/said", "inner", made.inner, MANIFEST)
    document = json.loads(made.top)
    if made.type == INDEX:  # a registry wants all that an index lists
        document["manifests"] = document["manifests"][1:]
    registry.put_manifest("wasm/said", name, json.dumps(document).encode(), made.type)
    world.zlayer("pull", f"{registry.host}/wasm/said:{name}")
    return f"{registry.host}/wasm/said:{name}"


def from_layout(world, registry, made, name, folder):
    world.zlayer("import", f"oci:{layout(made, folder / 'layout')}:1", "-t", name)
    return name


def from_archive(world, registry, made, name, folder):
    with tarfile.open(folder / "a.tar", "w") as tar:
        tar.add(layout(made, folder / "layout"), arcname=".")
    world.zlayer("import", f"oci-archive:{folder / 'a.tar'}", "-t", name)
    return name


def from_dir(world, registry, made, name, folder):
    for digest, data in made.blobs.items():
        (folder / digest[7:]).write_bytes(data)
    (folder / "manifest.json").write_bytes(made.inner)  # skopeo has chosen already
    (folder / "version").write_text("Directory Transport Version: 1.1\n")
    world.zlayer("import", f"dir:{folder}", "-t", name)
    return name


@pytest.mark.parametrize("place", [from_registry, from_layout, from_archive, from_dir])
def test_every_form_comes_from_everywhere_and_runs(world, registry, module, tmp_path, place):
    for i, (form, make) in enumerate(FORMS.items()):
        folder = tmp_path / str(i)
        folder.mkdir()
        name = place(world, registry, make(module), f"{place.__name__.replace('_', '-')}-{i}", folder)
        assert world.zlayer("run", "--rm", name, form).stdout == form + "\n"
    assert all(i["wasm"] for i in world.json("image", "ls"))
    world.zlayer("image", "verify")
    world.until_clear()


def test_a_module_is_pushed_as_it_is(world, registry, module, tmp_path):
    file = tmp_path / "said.wasm"
    file.write_bytes(module)
    name = f"{registry.host}/wasm/pushed:1"
    world.zlayer("import", file, "-t", name)
    digest = world.zlayer("push", "-q", name).stdout.strip()
    world.zlayer("image", "rm", name)
    assert world.zlayer("pull", "-q", name).stdout.strip() == digest
    assert world.zlayer("run", "--rm", name, "again").stdout == "again\n"
