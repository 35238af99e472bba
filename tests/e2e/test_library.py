# SPDX-License-Identifier: Apache-2.0
"""libzlayer, through examples/embed.c: containers without an agent."""
import subprocess

from world import BUILD


def embed(host, *args):
    return subprocess.run([BUILD / "src/lib/embed", *args], env=host.env, cwd=host.folder, capture_output=True,
                          text=True, timeout=60)


def test_a_program_that_embeds_the_library_runs_a_container(host):
    r = embed(host, "busybox", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (r.returncode, r.stdout, r.stderr) == (3, "out\nexit code 3\n", "err\n")
    assert host.leftovers() == []


def test_failures_of_the_library_are_told_in_words(host):
    assert "execute '/no/such': No such file or directory" in embed(host, "busybox", "/no/such").stderr
    assert "no image 'nothing'" in embed(host, "nothing", "true").stderr
    assert host.leftovers() == []


def test_the_agent_leaves_the_containers_of_a_library_alone(host):
    with subprocess.Popen([BUILD / "src/lib/embed", "busybox", "sh", "-c", "sleep 2; exit 4"], env=host.env,
                          cwd=host.folder, stdout=subprocess.PIPE, text=True) as p:
        host.zlayer("run", "--rm", "busybox", "true")  # an agent is there
        host.zlayer("daemon", "stop")
        host.zlayer("run", "--rm", "busybox", "true")  # and another one
        assert p.communicate(timeout=30)[0] == "exit code 4\n"
        assert p.returncode == 4
