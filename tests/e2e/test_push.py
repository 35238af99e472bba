"""`zlayer push` into Debian's docker-registry on loopback, open and guarded; what comes back is what was sent."""
import pytest

from registry import Image, TokenServer, basic_auth, tar_of
from test_pull_auth import made, opened  # noqa: F401 (made is a fixture)


@pytest.fixture
def registry(made, tmp_path):  # noqa: F811
    return opened(made, tmp_path / "registry")


def blobs(registry):
    return {p.name for p in (registry.data / "docker/registry/v2/blobs/sha256").glob("*/*")}


def test_what_is_pushed_comes_back_as_it_was(host, registry):
    name = f"{registry.host}/team/box:1"
    host.zlayer("image", "tag", "busybox", name)
    out = host.zlayer("push", name).stdout.splitlines()
    digest = out[-1].split()[1]
    status, headers, _ = registry.ask("GET", "/v2/team/box/manifests/1", headers={
        "Accept": "application/vnd.oci.image.manifest.v1+json"})
    assert status == 200 and headers["Docker-Content-Digest"] == digest
    host.zlayer("image", "rm", name)
    host.zlayer("image", "rm", "busybox")
    assert host.zlayer("pull", "-q", name).stdout.strip() == digest
    assert host.zlayer("run", "--rm", name, "echo", "back").stdout == "back\n"


def test_a_layer_in_pieces_and_one_that_is_empty_of_files(host, registry, tmp_path):
    import random
    big = tmp_path / "big.tar"
    big.write_bytes(tar_of({"noise": random.Random(3).randbytes(20_000_000)}))  # 8 MiB a piece
    name = f"{registry.host}/team/big:1"
    host.zlayer("import", big, "-t", name)
    digest = host.zlayer("push", "-q", name).stdout.strip()
    host.zlayer("image", "rm", name)
    assert host.zlayer("pull", "-q", name).stdout.strip() == digest
    host.zlayer("image", "verify", name)


def test_what_is_there_is_not_sent_again_and_another_repository_lends(host, registry):
    first, second = f"{registry.host}/team/one:1", f"{registry.host}/other/two:1"
    host.zlayer("image", "tag", "busybox", first)
    host.zlayer("push", first)
    before = blobs(registry)
    host.zlayer("push", first)
    host.zlayer("image", "tag", "busybox", second)
    host.zlayer("push", second)
    assert blobs(registry) == before
    assert list((registry.data / "docker/registry/v2/repositories/other/two/_uploads").glob("*")) == []


@pytest.mark.parametrize("kind", ["basic", "token"])
def test_pushing_needs_the_right_to(host, made, tmp_path, kind):  # noqa: F811
    if kind == "token":
        (tmp_path / "tokens").mkdir()
        server = TokenServer(tmp_path / "tokens")
        made.append(server.close)
    registry = opened(made, tmp_path / "guarded", more=basic_auth(tmp_path) if kind == "basic" else server.settings)
    name = f"{registry.host}/team/box:1"
    host.zlayer("image", "tag", "busybox", name)
    assert registry.host in host.zlayer("push", name, code=1).stderr
    host.zlayer("login", "-u", "me", "--password-stdin", registry.host, input="secret\n")
    host.zlayer("push", name)
    if kind == "token":
        scopes = [scope.split(":") for asked in server.asked for scope in asked]
        assert any(name == "team/box" and set(actions.split(",")) == {"pull", "push"} for _, name, actions in scopes), server.asked


def test_an_image_that_is_not_here_cannot_be_pushed(host, registry):
    assert "no image" in host.zlayer("push", f"{registry.host}/no/such:1", code=1).stderr


def test_a_registry_that_dies_is_told_and_the_next_push_goes_on(host, made, tmp_path):  # noqa: F811
    registry = opened(made, tmp_path / "dying")
    name = f"{registry.host}/team/box:1"
    host.zlayer("image", "tag", "busybox", name)
    registry.kill()
    assert registry.host in host.zlayer("push", name, code=1, timeout=120).stderr
    registry.start()
    host.zlayer("push", name)
    image = Image([tar_of({"a": b"1"})])
    assert registry.put("team/after:1", image)
