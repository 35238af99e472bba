"""Who is let in by a registry, how it is trusted, and where else an image may come from."""
import base64
import contextlib
import json
import os
import pathlib
import pty
import signal
import socket
import termios

import pytest

from registry import Authority, Image, Registry, TokenServer, basic_auth, tar_of
from world import until

IMAGE = Image([tar_of({"etc": None, "etc/said": b"hello"}), tar_of({"two": b"2"})])
NAME = "team/app:1"


@pytest.fixture
def shelf(tmp_path):
    """A folder of a registry that has the image."""
    r = Registry(tmp_path / "filled")
    r.put(NAME, IMAGE)
    r.close()
    return r.data


def opened(made, *args, **kw):
    r = Registry(*args, **kw)
    made.append(r.close)
    return r


@pytest.fixture
def made():
    """What is to be closed at the end."""
    closers = []
    yield closers
    for close in closers:
        close()


def configure(world, text):
    """An agent with this agent.yml."""
    file = world.folder / "agent.yml"
    file.write_text("version: v1\n" + text)
    world.popen("serve", "--", "--config", file)

    def serves():
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as s:
            s.connect(str(world.run / "zlayer.sock"))
            return True
    until(serves, "an agent")


@pytest.fixture
def basic(shelf, made, tmp_path):
    return opened(made, tmp_path / "basic", more=basic_auth(tmp_path), data=shelf)


@pytest.fixture
def tokens(made, tmp_path):
    (tmp_path / "tokens").mkdir()
    server = TokenServer(tmp_path / "tokens")
    made.append(server.close)
    return server


@pytest.fixture
def guarded(shelf, made, tokens, tmp_path):
    return opened(made, tmp_path / "guarded", more=tokens.settings, data=shelf)


def test_without_credentials_the_command_that_helps_is_named(world, basic, guarded):
    r = world.zlayer("pull", f"{basic.host}/{NAME}", code=1)
    assert f"`zlayer login {basic.host}`" in r.stderr
    r = world.zlayer("pull", f"{guarded.host}/{NAME}", code=1)
    assert "refuses who has no credentials" in r.stderr


@pytest.mark.parametrize("kind", ["basic", "guarded"])
def test_login_checks_keeps_and_logout_forgets(world, kind, request):
    registry = request.getfixturevalue(kind)
    r = world.zlayer("login", "-u", "me", "--password-stdin", registry.host, input="wrong\n", code=1)
    assert registry.host in r.stderr and "refuses" in r.stderr
    r = world.zlayer("login", "-u", "me", "--password-stdin", registry.host, input="secret\n")
    file = world.folder / ".docker/config.json"
    assert str(file) in r.stdout
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.read_text())["auths"] == \
        {registry.host: {"auth": base64.b64encode(b"me:secret").decode()}}
    assert world.zlayer("pull", "-q", f"{registry.host}/{NAME}").stdout.strip() == IMAGE.digest
    world.zlayer("logout", registry.host)
    world.zlayer("pull", f"{registry.host}/{NAME}", code=1)
    world.zlayer("logout", registry.host, code=1)


def test_a_terminal_shows_again_when_the_password_is_interrupted(world):
    master, slave = pty.openpty()
    try:
        p = world.popen("login", "-u", "me", "registry.invalid", stdin=slave)
        shows = lambda: bool(termios.tcgetattr(slave)[3] & termios.ECHO)
        until(lambda: not shows(), "the question")
        p.send_signal(signal.SIGINT)
        assert p.wait(60) == -signal.SIGINT
        assert shows()
    finally:
        os.close(slave)
        os.close(master)


def test_a_token_is_asked_for_once_and_for_pulling_only(world, guarded, tokens):
    world.env["ZLAYER_REGISTRY"] = guarded.host
    world.env["ZLAYER_REGISTRY_USERNAME"], world.env["ZLAYER_REGISTRY_PASSWORD"] = "me", "secret"
    world.zlayer("pull", f"{guarded.host}/{NAME}")
    assert tokens.asked == [["repository:team/app:pull"]]


def test_a_token_that_has_run_out_is_renewed(world, guarded, tokens):
    world.env["ZLAYER_REGISTRY"] = guarded.host
    world.env["ZLAYER_REGISTRY_USERNAME"], world.env["ZLAYER_REGISTRY_PASSWORD"] = "me", "secret"
    tokens.life = -120  # what it gives first is of no use any more
    give = tokens.token
    def later(scopes, service):
        text = give(scopes, service)
        tokens.life = 300
        return text
    tokens.token = later
    world.zlayer("pull", f"{guarded.host}/{NAME}")
    assert len(tokens.asked) == 2


def helper(folder, answer):
    """A credential helper in a folder for $PATH, which writes down what it is asked."""
    path = pathlib.Path(folder) / "docker-credential-test"
    path.write_text(f"#!/bin/sh\nread name\necho \"$1 $name\" >> {folder}/asked\n{answer}\n")
    path.chmod(0o755)
    return path


SOURCES = {
    "auth.json": lambda w, host: file(w, ".config/containers/auth.json", {"auths": {host: {
        "auth": base64.b64encode(b"me:secret").decode()}}}),
    "docker config": lambda w, host: file(w, ".docker/config.json", {"auths": {f"https://{host}/v2/": {
        "username": "me", "password": "secret"}}}),
    "DOCKER_CONFIG": lambda w, host: (w.env.update(DOCKER_CONFIG=str(w.folder / "dc")), file(
        w, "dc/config.json", {"auths": {host: {"auth": base64.b64encode(b"me:secret").decode()}}})),
    "helper": lambda w, host: (w.env.update(PATH=f"{w.folder}:{w.env['PATH']}"), helper(
        w.folder, 'echo \'{"Username":"me","Secret":"secret"}\''), file(
        w, ".docker/config.json", {"credHelpers": {host: "test"}})),
    "store": lambda w, host: (w.env.update(PATH=f"{w.folder}:{w.env['PATH']}"), helper(
        w.folder, 'echo \'{"Username":"me","Secret":"secret"}\''), file(
        w, ".docker/config.json", {"credsStore": "test"})),
}


def file(world, name, value):
    path = world.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


@pytest.mark.parametrize("source", SOURCES)
def test_credentials_are_found_where_others_keep_them(world, basic, source):
    SOURCES[source](world, basic.host)
    world.zlayer("pull", f"{basic.host}/{NAME}")
    if source in ("helper", "store"):
        assert f"get {basic.host}" in (world.folder / "asked").read_text().splitlines()


def test_a_helper_that_knows_nothing_is_no_error_and_one_that_is_missing_is(world, basic, shelf, made, tmp_path):
    plain = opened(made, tmp_path / "plain", data=shelf)
    world.env["PATH"] = f"{world.folder}:{world.env['PATH']}"
    file(world, ".docker/config.json", {"credsStore": "test"})
    helper(world.folder, "echo 'credentials not found in native keychain'; exit 1")
    world.zlayer("pull", f"{plain.host}/{NAME}")
    file(world, ".docker/config.json", {"credsStore": "absent"})
    assert "docker-credential-absent" in world.zlayer("pull", f"{plain.host}/{NAME}", code=1).stderr


def test_an_identity_token_is_exchanged(world, guarded, tokens):
    tokens.refresh = "a refresh token"
    file(world, ".docker/config.json", {"auths": {guarded.host: {"identitytoken": tokens.refresh}}})
    world.zlayer("pull", f"{guarded.host}/{NAME}")


def test_services_pull_with_what_the_agent_finds(world, basic):
    file(world, ".docker/config.json", {"auths": {basic.host: {"auth": base64.b64encode(b"me:secret").decode()}}})
    world.zlayer("up", "-d", "--timeout", "5s", world.spec(f"""
version: v1
deployment: guarded
services:
  web: {{image: {{name: "{basic.host}/{NAME}"}}}}
"""), code=None)
    assert [i["digest"] for i in world.json("image", "ls")] == [IMAGE.digest]
    world.zlayer("down", "guarded")


def test_tls_is_trusted_by_the_authority_that_is_configured(world, shelf, made, tmp_path):
    (tmp_path / "ca").mkdir()
    ca = Authority(tmp_path / "ca")
    r = opened(made, tmp_path / "tls", tls=ca.tls, data=shelf)
    assert "certificate" in world.zlayer("pull", f"{r.host}/{NAME}", code=1).stderr
    world.zlayer("daemon", "stop")
    configure(world, f"registries:\n  - {{host: '{r.host}', ca_file: {ca.ca}}}\n")
    assert world.zlayer("pull", "-q", f"{r.host}/{NAME}").stdout.strip() == IMAGE.digest


def test_an_insecure_registry_is_not_checked(world, shelf, made, tmp_path):
    (tmp_path / "ca").mkdir()
    r = opened(made, tmp_path / "tls", tls=Authority(tmp_path / "ca").tls, data=shelf)
    configure(world, f"registries:\n  - {{host: '{r.host}', insecure: true}}\n")
    world.zlayer("pull", f"{r.host}/{NAME}")


def test_mirrors_are_asked_first_and_the_registry_has_the_last_word(world, shelf, made, tmp_path):
    origin = opened(made, tmp_path / "origin", data=shelf)
    mirror = opened(made, tmp_path / "mirror")
    configure(world, f"registries:\n  - host: '{origin.host}'\n    mirrors: ['{mirror.host}']\n")
    world.zlayer("pull", f"{origin.host}/{NAME}")  # the mirror has nothing
    other = Image([tar_of({"mirrored": b"yes"})])
    mirror.put("team/other:1", other)
    origin.close()
    assert world.zlayer("pull", "-q", f"{origin.host}/team/other:1").stdout.strip() == other.digest


def test_agent_yml_says_where_it_is_wrong(world):
    path = world.folder / "agent.yml"
    path.write_text("version: v1\nregistries:\n  - {insecure: true}\npull_streams: 100\n")
    p = world.popen("serve", "--", "--config", path)
    assert p.wait(60) != 0
    text = p.stderr.read() + world.agent_log()
    assert "agent.yml:3:" in text and "agent.yml:4:" in text
