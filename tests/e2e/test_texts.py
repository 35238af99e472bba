"""Words of containers that are no text: they are shown as far as they are, and stand in nobody's way."""
import pytest

from world import until


@pytest.fixture
def host(shared_host):
    yield shared_host
    shared_host.clear("words")


def test_a_health_command_that_prints_no_utf8_hides_no_container(host):
    host.zlayer("deploy", "-t", "1s", host.spec("""
version: v1
deployment: words
services:
  web:
    rtype: service
    image: {name: busybox, pull_policy: never}
    command: {entrypoint: [sleep, "1000"]}
    stop_grace_period: 500ms
    health:
      interval: 100ms
      retries: 1
      check: {type: command, command: "printf 'caf\\\\351 noir'; exit 3"}
"""), code=5)
    sick = until(lambda: [c for c in host.containers("words") if c["health"] == "unhealthy"], "an unhealthy replica")
    assert sick[0]["health_reason"].endswith("caf\\xe9 noir")
    events = host.zlayer("events").stdout
    assert "caf\\xe9 noir" in events, events


def test_a_reason_is_cut_between_characters(host):
    name = "/".join(["ä" * 100] * 6)
    failed = host.zlayer("run", "-d", "--name", "long", "busybox", "/x/" + name, code=127)
    assert "ä" in failed.stderr
    shown = host.json("container", "inspect", "long")
    assert "ä" in shown["why"] and "\ufffd" not in shown["why"]
    assert "start_failed" in host.zlayer("events").stdout
