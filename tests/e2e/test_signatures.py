"""Images that have to be signed: keys and signatures are made here with openssl, laid where cosign lays them."""
import base64
import json
import subprocess
import tarfile

import pytest

from registry import ARCH, Image, Registry, digest_of, openssl, tar_of
from test_pull import busybox_layers
from test_pull_auth import configure
from world import BUILD, until

PAYLOAD = "application/vnd.dev.cosign.simplesigning.v1+json"
KINDS = {
    "ecdsa": ("EC", "-pkeyopt", "ec_paramgen_curve:P-256"),
    "ed25519": ("ED25519",),
    "rsa": ("RSA", "-pkeyopt", "rsa_keygen_bits:2048"),
    "short-rsa": ("RSA", "-pkeyopt", "rsa_keygen_bits:1024"),
}


class Key:
    def __init__(self, folder, kind="ecdsa"):
        folder.mkdir(parents=True, exist_ok=True)
        self.kind, self.secret, self.public = kind, folder / "key.pem", folder / "key.pub"
        openssl("genpkey", "-algorithm", *KINDS[kind], "-out", self.secret)
        openssl("pkey", "-in", self.secret, "-pubout", "-out", self.public)
        self.folder = folder

    def sign(self, payload):
        (self.folder / "payload").write_bytes(payload)
        if self.kind == "ed25519":
            return openssl("pkeyutl", "-sign", "-rawin", "-inkey", self.secret, "-in", self.folder / "payload")
        return openssl("dgst", "-sha256", "-sign", self.secret, self.folder / "payload")


def payload_of(digest, kind="cosign container image signature"):
    return json.dumps({"critical": {"identity": {"docker-reference": "x"}, "image": {"docker-manifest-digest": digest},
                                    "type": kind}, "optional": None}).encode()


def put_signatures(registry, repository, digest, *signatures):
    """(payload, signature) each, as the signatures of a digest."""
    config = b'{"architecture":"","os":"","config":{},"rootfs":{"type":"layers","diff_ids":[]}}'
    registry.put_blob(repository, config)
    layers = []
    for payload, signature in signatures:
        registry.put_blob(repository, payload)
        layers.append({"mediaType": PAYLOAD, "digest": digest_of(payload), "size": len(payload),
                       "annotations": {"dev.cosignproject.cosign/signature": base64.b64encode(signature).decode()}})
    kind = "application/vnd.oci.image.manifest.v1+json"
    registry.put_manifest(repository, f"sha256-{digest[7:]}.sig", json.dumps({
        "schemaVersion": 2, "mediaType": kind, "layers": layers,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest_of(config),
                   "size": len(config)}}).encode(), kind)


def sign(registry, repository, digest, key):
    payload = payload_of(digest)
    put_signatures(registry, repository, digest, (payload, key.sign(payload)))


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    r = Registry(tmp_path_factory.mktemp("registry"))
    yield r
    r.close()


@pytest.fixture
def key(tmp_path):
    return Key(tmp_path / "key")


def demand(world, registry, *keys, more=""):
    """An agent that wants images of team/ signed by one of the keys."""
    files = ", ".join(str(k.public) for k in keys)
    configure(world, f"signatures:\n  - {{prefix: '{registry.host}/team', key_files: [{files}]}}\n{more}")


def stored(world):
    return [p.name for p in (world.root / "images/blobs/sha256").iterdir()] + \
        [p.name for p in (world.root / "layers").iterdir() if p.name != "of"] + world.json("image", "ls")


def refused(world, name, *args):
    """The reason why a pull is refused; nothing of the image is there."""
    text = world.zlayer("pull", name, *args, code=1).stderr
    assert "E-IMAGE-SIGNATURE" in text and name in text, text
    assert stored(world) == []
    return text


@pytest.mark.parametrize("kind", ["ecdsa", "ed25519", "rsa"])
def test_a_signed_image_is_pulled_and_runs_also_without_the_registry(world, tmp_path, kind):
    registry = Registry(tmp_path / "registry")
    try:
        key, image = Key(tmp_path / "key", kind), Image(busybox_layers("signed"))
        demand(world, registry, key)
        name = registry.put("team/app:1", image)
        sign(registry, "team/app", image.digest, key)
        assert world.zlayer("pull", "-q", name).stdout.strip() == image.digest
        registry.kill()
        assert world.zlayer("run", "--rm", name, "cat", "/etc/said").stdout == "signed"
        world.zlayer("image", "rm", name)
        assert list((world.root / "images/signed").iterdir()) == []
    finally:
        registry.close()


def test_of_an_index_the_index_is_signed(world, registry, key):
    image = Image(busybox_layers("index"))
    demand(world, registry, key)
    name = registry.put_index("team/index:1", (image, {"os": "linux", "architecture": ARCH}))
    _, headers, _ = registry.ask("HEAD", "/v2/team/index/manifests/1",
                                 headers={"Accept": "application/vnd.oci.image.index.v1+json"})
    refused(world, name)
    sign(registry, "team/index", headers["Docker-Content-Digest"], key)
    assert world.zlayer("pull", "-q", name).stdout.strip() == image.digest


def test_one_without_a_signature_is_refused(world, registry, key):
    demand(world, registry, key)
    name = registry.put("team/unsigned:1", Image([tar_of({"a": b"unsigned"})]))
    assert "it is not signed" in refused(world, name)


def test_signatures_that_say_nothing_for_it_are_refused(world, registry, key, tmp_path):
    demand(world, registry, key)
    stranger = Key(tmp_path / "stranger")
    image, other = Image([tar_of({"a": b"this"})]), Image([tar_of({"a": b"other"})])
    name = registry.put("team/wrong:1", image)
    right, of_other = payload_of(image.digest), payload_of(other.digest)
    for said, payload, signature in [
            ("not of a key that is trusted", right, stranger.sign(right)),
            ("of another image", of_other, key.sign(of_other)),
            ("not of a key that is trusted", right, key.sign(of_other)),
            ("not of a key that is trusted", right, b"no signature at all"),
            ("not of a key that is trusted", right, b""),
            ("is no image", payload_of(image.digest, "something else"), None),
            ("what is signed", b'{"critical": 1}', None),
            ("what is signed", b"not JSON", None)]:
        put_signatures(registry, "team/wrong", image.digest, (payload, key.sign(payload) if signature is None else signature))
        text = refused(world, name)
        assert said in text or (signature == b"" and "not base64" in text), text
    put_signatures(registry, "team/wrong", image.digest, (of_other, key.sign(of_other)), (right, key.sign(right)))
    world.zlayer("pull", name)  # one of several is enough


def test_a_key_that_is_too_weak_is_none(world, registry, tmp_path):
    weak, image = Key(tmp_path / "weak", "short-rsa"), Image([tar_of({"a": b"weak"})])
    demand(world, registry, weak)
    name = registry.put("team/weak:1", image)
    sign(registry, "team/weak", image.digest, weak)
    assert "RSA with 2048 bits" in refused(world, name)


def test_what_came_another_way_has_to_be_signed_too(world, registry, key, tmp_path):
    image = Image(busybox_layers("another way"))
    registry.put("else/app:1", image)
    demand(world, registry, key)
    name = registry.put("team/way:1", image)
    world.zlayer("pull", f"{registry.host}/else/app:1")  # is not asked for a signature
    world.zlayer("image", "tag", f"{registry.host}/else/app:1", name)
    text = world.zlayer("pull", "--policy", "never", name, code=1).stderr
    assert "E-IMAGE-SIGNATURE" in text and "not verified" in text
    text = world.zlayer("run", "--rm", name, "true", code=125).stderr
    assert "not known to be signed" in text and "it is not signed" in text
    tar = tmp_path / "fs.tar"
    tar.write_bytes(tar_of({"a": b"imported"}))
    world.zlayer("import", tar, "-t", f"{registry.host}/team/imported:1")
    assert "not known to be signed" in world.zlayer("run", "--rm", f"{registry.host}/team/imported:1", "true", code=125).stderr
    sign(registry, "team/way", image.digest, key)
    assert world.zlayer("run", "--rm", name, "cat", "/etc/said").stdout == "another way"
    world.zlayer("pull", "--policy", "never", name)


def test_what_is_loaded_gets_no_name_that_has_to_be_signed(world, registry, key, tmp_path):
    image = Image(busybox_layers("loaded"))
    name, other = registry.put("team/loaded:1", image), registry.put("else/loaded:1", Image(busybox_layers("other")))
    for n in (name, other):
        world.zlayer("pull", n)
    world.zlayer("save", name, other, "-o", tmp_path / "both.tar")
    world.zlayer("image", "rm", name, other)
    world.zlayer("daemon", "stop")
    demand(world, registry, key)
    text = world.zlayer("load", "-i", tmp_path / "both.tar", code=1).stderr
    assert "E-IMAGE-SIGNATURE" in text and name in text
    assert other in json.dumps(world.json("image", "ls")) and name not in json.dumps(world.json("image", "ls"))
    sign(registry, "team/loaded", image.digest, key)
    world.zlayer("pull", name)
    world.zlayer("load", "-i", tmp_path / "both.tar")


def layout(folder, image, names, *signatures, called="1"):
    """A layout of the image and of signatures of it, (payload, signature) each, which are called by names(digest)."""
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)
    def put(data):
        (blobs / digest_of(data)[7:]).write_bytes(data)
        return {"digest": digest_of(data), "size": len(data)}
    for data in image.blobs.values():
        put(data)
    entries = [{"mediaType": image.type, **put(image.manifest), "annotations": {"org.opencontainers.image.ref.name": called}}]
    for payload, signature in signatures:
        layer = {"mediaType": PAYLOAD, **put(payload),
                 "annotations": {"dev.cosignproject.cosign/signature": base64.b64encode(signature).decode()}}
        manifest = json.dumps({"schemaVersion": 2, "config": put(b"{}"), "layers": [layer]}).encode()
        entries.append({"mediaType": image.type, **put(manifest), "annotations": names(image.digest)})
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))
    return folder


CALLED = {
    "by its tag": lambda digest: {"org.opencontainers.image.ref.name": f"sha256-{digest[7:]}.sig"},
    "as cosign saves it": lambda digest: {"kind": "dev.cosignproject.cosign/sigs"},
}


@pytest.mark.parametrize("called", CALLED)
def test_a_layout_may_bring_the_signature_with_it(world, key, tmp_path, called):
    configure(world, f"signatures:\n  - {{prefix: 'docker.io/team', key_files: [{key.public}]}}\n")
    image, stranger = Image(busybox_layers(called)), Key(tmp_path / "stranger")
    right, names = payload_of(image.digest), CALLED[called]
    wrong = layout(tmp_path / "wrong", image, names, (right, stranger.sign(right)))
    text = world.zlayer("import", f"oci:{wrong}", "-t", "team/app", code=1).stderr
    assert "E-IMAGE-SIGNATURE" in text and stored(world) == []
    world.zlayer("import", f"oci:{wrong}", "-t", "else/app")  # nobody asks for one
    none = layout(tmp_path / "none", image, names)
    world.zlayer("import", f"oci:{none}", "-t", "team/app")
    assert "not known to be signed" in world.zlayer("run", "--rm", "team/app", "true", code=125).stderr
    several = layout(tmp_path / "several", image, names, (right, stranger.sign(right)), (right, key.sign(right)))
    archive = tmp_path / "several.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(several, arcname=".")
    for source in (f"oci:{several}", f"oci-archive:{archive}"):
        world.zlayer("image", "rm", "team/app")
        world.zlayer("image", "rm", "else/app", code=None)
        world.zlayer("import", source, "-t", "team/app")
        assert world.zlayer("run", "--rm", "team/app", "cat", "/etc/said").stdout == called


def packed(folder):
    archive = folder.with_suffix(".tar")
    with tarfile.open(archive, "w") as tar:
        tar.add(folder, arcname=".")
    return archive


@pytest.mark.parametrize("called", CALLED)
def test_an_archive_that_is_loaded_may_bring_the_signature_with_it(world, key, tmp_path, called):
    other, stranger = Key(tmp_path / "other"), Key(tmp_path / "stranger")
    configure(world, "signatures:\n"
              f"  - {{prefix: 'docker.io/team', key_files: [{key.public}]}}\n"
              f"  - {{prefix: 'docker.io/else', key_files: [{other.public}]}}\n")
    image, names = Image(busybox_layers("loaded " + called)), CALLED[called]
    right, foreign = payload_of(image.digest), payload_of(Image([tar_of({"x": b"x"})]).digest)
    def archive(name, *signatures, called="team/app"):
        return packed(layout(tmp_path / name, image, names, *signatures, called=called))
    for name, *signatures in (("none",), ("wrong-key", (right, stranger.sign(right))), ("of-another-name", (right, other.sign(right))),
                              ("of-another-image", (foreign, key.sign(foreign))), ("damaged", (right, b"x" + key.sign(right)[1:]))):
        text = world.zlayer("load", "-i", archive(name, *signatures), code=1).stderr
        assert "E-IMAGE-SIGNATURE" in text and "team/app" in text, name
        assert "team/app" not in json.dumps(world.json("image", "ls")), name
    world.zlayer("load", "-i", archive("free", (right, stranger.sign(right)), called="free/app"))  # nobody asks for one
    both = (right, other.sign(right)), (right, stranger.sign(right)), (right, key.sign(right))
    for name in ("team/app", "else/app"):
        world.zlayer("load", "-i", archive(name.replace("/", "-"), *both, called=name))
        assert world.zlayer("run", "--rm", name, "cat", "/etc/said").stdout == "loaded " + called


def test_the_longest_beginning_holds_and_keys_may_change(world, registry, tmp_path):
    old, new = Key(tmp_path / "old"), Key(tmp_path / "new")
    image = Image(busybox_layers("rules"))
    name = registry.put("team/rules:1", image)
    sign(registry, "team/rules", image.digest, old)
    free = registry.put("team/scratch/free:1", image)
    near = registry.put("teams/near:1", Image(busybox_layers("near")))
    demand(world, registry, new, old, more=f"  - {{prefix: '{registry.host}/team/scratch', unsigned: true}}\n")
    for n in (free, near, name):
        world.zlayer("pull", n)
    world.zlayer("daemon", "stop")
    demand(world, registry, new)
    text = world.zlayer("run", "--rm", name, "true", code=125).stderr
    assert "not known to be signed" in text and "not of a key that is trusted" in text
    world.zlayer("daemon", "stop")
    configure(world, f"signatures:\n  - {{prefix: '*', key_files: [{old.public}]}}\n")
    assert world.zlayer("run", "--rm", name, "cat", "/etc/said").stdout == "rules"
    assert "E-IMAGE-SIGNATURE" in world.zlayer("run", "--rm", near, "true", code=125).stderr


def test_a_service_of_an_unsigned_image_says_why_it_does_not_start(world, registry, key):
    demand(world, registry, key)
    name = registry.put("team/service:1", Image(busybox_layers("service")))
    r = world.zlayer("up", "-d", "--timeout", "3s", world.spec(f"""
version: v1
deployment: unsigned
services:
  web: {{image: {{name: "{name}"}}}}
"""), code=5)
    assert "E-IMAGE-SIGNATURE" in r.stderr
    world.zlayer("down", "unsigned")  # it is tried again and again, each time in a work folder
    until(lambda: stored(world) == [], "the end of the last try")


@pytest.mark.parametrize("rule, said", [
    ("{prefix: 'example.net/team'}", "either key_files or"),
    ("{prefix: 'example.net/team', key_files: [/no/such/file]}", "/no/such/file"),
    ("{prefix: 'example.net/team', key_files: [/etc/hostname]}", "no public key"),
    ("{prefix: 'https://example.net', unsigned: true}", "not the beginning of an image's name"),
    ("{prefix: 'Example.net/team', unsigned: true}", "not the beginning of an image's name"),
    ("{prefix: 'example.net/team/', unsigned: true}", "not the beginning of an image's name"),
    ("{prefix: 'example.net/team/app:1', unsigned: true}", "not the beginning of an image's name"),
    ("{prefix: 'nginx', unsigned: true}", "not the beginning of an image's name"),
    ("{key_files: []}", "prefix"),
])
def test_agent_yml_says_where_a_rule_is_wrong(world, rule, said):
    path = world.folder / "agent.yml"
    path.write_text(f"version: v1\nsignatures:\n  - {rule}\n")
    p = world.popen("serve", "--", "--config", path)
    assert p.wait(60) != 0
    text = p.stderr.read() + world.agent_log()
    assert said in text, text


def embedded(world, program, *args, config=None):
    """What a program says that embeds the library, with this agent.yml."""
    env = dict(world.env, **({"EXAMPLE_CONFIG": str(config)} if config else {}))
    r = subprocess.run([BUILD / "src/lib" / program, *args], env=env, cwd=world.folder, stdin=subprocess.DEVNULL,
                       capture_output=True, text=True, timeout=60)
    return r.stdout + r.stderr


def test_the_library_asks_for_the_same_signatures(world, registry, key, tmp_path):
    image, rules = Image(busybox_layers("embedded")), tmp_path / "rules.yml"
    rules.write_text("version: v1\nsignatures:\n"
                     f"  - {{prefix: '{registry.host}/team', key_files: [{key.public}]}}\n")
    name, free = registry.put("team/embedded:1", image), registry.put("free/embedded:1", image)
    assert "E-IMAGE-SIGNATURE" in embedded(world, "embed", name, "cat", "/etc/said", config=rules)
    assert embedded(world, "embed", free, "cat", "/etc/said", config=rules).startswith("embedded")
    world.zlayer("image", "tag", free, name)  # it is in the store now, and nobody knows who signed it
    for program in ("embed", "inside"):  # the second one only creates
        assert "E-IMAGE-SIGNATURE" in embedded(world, program, name, "cat", "/etc/said", config=rules), program
    assert embedded(world, "embed", name, "cat", "/etc/said").startswith("embedded")  # nobody asks
    sign(registry, "team/embedded", image.digest, key)
    assert embedded(world, "embed", name, "cat", "/etc/said", config=rules).startswith("embedded")
    assert "E-IMAGE-SIGNATURE" not in embedded(world, "inside", name, "cat", "/etc/said", config=rules)


@pytest.mark.parametrize("text, said", [
    ("signatures: 5\n", "signatures"),
    ("signatures:\n  - {prefix: 'docker.io/team', key_files: [/no/such.pub]}\n", "the keys for 'docker.io/team'"),
    ("signatures:\n  - {prefix: 'docker.io/team', key_files: [/etc/hostname]}\n", "no public key in PEM"),
    ("signatures:\n  - {prefix: 'Team', unsigned: true}\n", "is not the beginning of an image's name"),
    (None, "there is no"),
])
def test_the_library_opens_nothing_by_rules_that_it_cannot_read(world, tmp_path, text, said):
    rules = tmp_path / "rules.yml"
    if text:
        rules.write_text("version: v1\n" + text)
    assert said in embedded(world, "embed", "busybox", "true", config=rules)
