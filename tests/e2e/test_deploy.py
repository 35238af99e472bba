"""Deployments: order, health, restarts, removal; and what happens when the agent dies."""
import json
import os
import pathlib
import signal
import socket
from datetime import datetime, timedelta

import pytest

from world import alive, kill, start_time, until

EXAMPLE = pathlib.Path(__file__).parents[2] / "examples/hello.zlayer.yml"


def service(name, script, extra=""):
    return f"""
  {name}:
    image: {{name: busybox, pull_policy: never}}
    command: {{entrypoint: [sh, -c], args: [{json.dumps(script)}]}}
    stop_grace_period: 500ms
{extra}"""


def document(*services, name="test"):
    return f"version: v1\ndeployment: {name}\nservices:" + ("".join(services) or " {}\n")


FOREVER = "while :; do sleep 0.1; done"


def ticks_of_clock(host):
    """What the monitor of clock has written so far, read without an agent."""
    text = (host.root / "logs/hello/clock/default-1.log").read_text()
    return [line.split(" F ", 1)[1] for line in text.splitlines() if " F tick" in line]


def same_moment(a, b):
    """Of two RFC 3339 times: what a container is found to be as old as, to a second."""
    return abs(datetime.fromisoformat(a) - datetime.fromisoformat(b)) < timedelta(seconds=1)


def births(host):
    """When everything that `ps -c` lists began, but for what came since."""
    return {x["name"]: x["created_at"] for rows in host.json("ps", "-c").values() for x in rows}


def test_the_example_runs_survives_and_goes(host):
    host.zlayer("deploy", EXAMPLE)
    web, clock = host.up("web", 3), host.up("clock", 1)
    assert {c["name"] for c in web} == {"web-rep-1", "web-rep-2", "web-rep-3"}
    assert all(c["health"] == "healthy" for c in web)

    r = host.zlayer("job", "run", "migrate", "--wait")
    assert "3 rows" in r.stdout + host.zlayer("logs", "migrate").stdout

    before, born = host.pids("web", "clock"), births(host)
    agent = host.agent_pid()
    os.kill(agent, signal.SIGKILL)
    until(lambda: not alive(agent), "the agent's end")
    died = len(ticks_of_clock(host))
    os.kill(before["web-rep-2"], signal.SIGKILL)
    until(lambda: len(ticks_of_clock(host)) > died + 3, "log lines written without an agent")
    unseen = ticks_of_clock(host)[died + 1:]
    host.zlayer("ps")  # starts an agent
    assert host.agent_pid() != agent
    host.up("web", 3)
    after = host.pids("web", "clock")
    assert {n for n in before if before[n] != after[n]} == {"web-rep-2"}
    found = births(host)
    assert {n for n in born if not same_moment(born[n], found[n])} == {"web-rep-2"}, (born, found)
    shown = host.zlayer("logs", "-n", "100000", "clock").stdout.splitlines()
    assert unseen and all(any(line.endswith(tick) for line in shown) for tick in unseen), (unseen, shown)

    host.zlayer("down", "hello")
    assert host.leftovers() == []
    until(lambda: not (host.root / "logs/hello").exists(), "the end of the logs")
    assert not any(alive(p) for p in after.values())
    assert host.json("ps")["services"] == []


def test_a_crashed_replica_is_back_at_once_with_its_index(host):
    host.zlayer("deploy", host.spec(document(service("a", FOREVER, "    scale: {mode: fixed, replicas: 2}\n"))))
    before = {c["name"]: c["pid"] for c in host.up("a", 2)}
    os.kill(before["a-rep-1"], signal.SIGKILL)
    until(lambda: (p := host.pids("a")).get("a-rep-1") not in (None, 0, before["a-rep-1"]) and p, "a new a-rep-1")
    assert "restart 1 in 0 ms" in host.zlayer("events").stdout
    assert host.pids("a")["a-rep-2"] == before["a-rep-2"]


def test_dependents_wait_for_health(host):
    extra_db = "    health: {check: {type: command, command: test -e /tmp/ok}, interval: 200ms, start_grace: 10s}\n"
    extra_web = "    depends: [{service: db, timeout: 20s}]\n"
    host.zlayer("deploy", host.spec(document(
        service("web", "echo web started; " + FOREVER, extra_web),
        service("db", "sleep 1; touch /tmp/ok; " + FOREVER, extra_db))))
    db, web = host.up("db", 1)[0], host.up("web", 1)[0]
    assert web["started_at"] >= db["started_at"]
    assert host.json("ps")["services"][0]["status"] == "running"


def test_a_deploy_that_does_not_become_ready_exits_5_and_says_why(host):
    path = host.spec(document(service("bad", "echo about to fail; exit 7")))
    r = host.zlayer("deploy", "--timeout", "4s", path, code=5)
    text = r.stdout + r.stderr
    assert "bad" in text and "7" in text and "about to fail" in text


def test_restart_replaces_a_service_without_a_gap_and_a_replica_alone(host):
    host.zlayer("deploy", host.spec(document(service("a", FOREVER, "    scale: {mode: fixed, replicas: 2}\n"), service("b", FOREVER),
                                             service("j", "true", "    rtype: job\n"))))
    before = {c["name"]: c["id"] for c in host.containers("test")}
    host.zlayer("restart", "test/a")
    now = {c["name"]: c["id"] for c in host.containers("test")}
    assert set(now) == {"a-rep-1", "a-rep-2", "b-rep-1"}
    assert now["b-rep-1"] == before["b-rep-1"] and now["a-rep-1"] != before["a-rep-1"] and now["a-rep-2"] != before["a-rep-2"]
    host.zlayer("restart", "a-rep-2")
    last = {c["name"]: c["id"] for c in host.containers("test")}
    assert last["a-rep-2"] != now["a-rep-2"] and {**last, "a-rep-2": ""} == {**now, "a-rep-2": ""}
    host.zlayer("stop", "b")
    host.zlayer("restart", "b")
    assert host.up("b", 1)
    r = host.zlayer("restart", "j", code=1)
    assert "it is a job; run it again" in r.stderr
    host.zlayer("run", "-d", "--name", "box", "busybox", "sleep", "1000")
    assert "run it anew" in host.zlayer("restart", "box", code=1).stderr
    assert "nobody" in host.zlayer("restart", "nobody", code=1).stderr
    host.zlayer("deploy", host.spec(document(service("a", FOREVER), name="other")))
    host.zlayer("stop", "other/a")
    assert "test/a, other/a" in (r := host.zlayer("restart", "a", code=1)).stderr or "other/a, test/a" in r.stderr
    host.zlayer("down", "other")
    host.zlayer("container", "rm", "-f", "box")


def test_attempts_that_are_used_up_stay_so_when_the_agent_is_replaced(host):
    once = service("a", "exit 7", "    restart_policy: {kind: on_failure, max_attempts: 1, delay: 100ms}\n")
    host.zlayer("deploy", "-t", "5s", host.spec(document(once)), code=5)
    replica = until(lambda: [c for c in host.containers("test") if c["restarts"] == 1 and c["state"] == "exited"], "the last end")[0]
    for _ in range(2):
        kill(host.agent_pid())
        again = host.containers("test")
        assert [(c["id"], c["state"]) for c in again] == [(replica["id"], "exited")]


def test_an_http_check_asks_the_address_that_its_url_has(host):
    def page(name, address, asked):
        extra = f"    health: {{check: {{type: http, url: 'http://{asked}:8080/'}}, start_grace: 10s, interval: 100ms}}\n"
        return service(name, f"echo hello > /tmp/index.html; exec httpd -f -p {address}:8080 -h /tmp", extra)
    host.zlayer("deploy", host.spec(document(page("six", "[::1]", "[::1]"), page("four", "127.0.0.1", "127.0.0.1"))))
    assert {c["health"] for c in host.containers("test")} == {"healthy"}
    four = page("four", "127.0.0.1", "[::1]").replace("start_grace: 10s", "start_grace: 0s, retries: 1")
    r = host.zlayer("deploy", "-t", "3s", host.spec(document(four)), code=5)
    assert "connect to [::1]:8080: Connection refused" in r.stderr


def test_a_deploy_whose_replicas_stay_unhealthy_says_what_the_check_found(host):
    check = "    health: {check: {type: command, command: 'echo no database; exit 3'}, start_grace: 0s, interval: 1s, retries: 1}\n"
    r = host.zlayer("deploy", "--timeout", "6s", host.spec(document(service("sick", FOREVER, check))), code=5)
    assert "sick-rep-1 is running, unhealthy: 'echo no database; exit 3' exited with 3: no database" in r.stderr


@pytest.mark.parametrize("fields, says", [
    ("image: {name: nowhere, pull_policy: never}",
     "E-IMAGE-ABSENT: image 'nowhere' is not in the local store, and its pull policy is never"),
    ("image: {name: busybox}\n    storage: [{type: bind, source: /no/such, target: /d}]",
     "E-MOUNT-SOURCE: '/no/such', to be mounted on '/d', is not there"),
    ("image: {name: busybox}\n    devices: [{path: /dev/no-such}]",
     "E-DEVICE-ABSENT: device '/dev/no-such': the host has none"),
    ("image: {name: busybox}\n    resources: {gpu: {count: 15}}", "E-GPU-ABSENT: resources.gpu: 15 of nvidia asked for"),
    ("image: {name: busybox}\n    command: {args: [sleep, '1000']}\n    depends: [{service: sick, timeout: 1s}]",
     "E-DEP-TIMEOUT: a waited for sick to be healthy, in vain for 1 s"),
])
def test_what_is_missing_at_a_start_is_told_with_its_id(host, fields, says):
    sick = service("sick", FOREVER, "    health: {check: {type: command, command: 'false'}, start_grace: 0s, interval: 1s}\n")
    path = host.spec(f"version: v1\ndeployment: test\nservices:\n  a:\n    {fields}\n{sick}")
    r = host.zlayer("deploy", path, "--timeout", "8s", code=5)
    assert says in r.stdout + r.stderr


def test_a_changed_service_is_rolled_and_an_unchanged_one_is_not_touched(host):
    def both(word):
        return document(service("a", f"echo {word}; " + FOREVER, "    scale: {mode: fixed, replicas: 2}\n"), service("b", FOREVER))
    host.zlayer("deploy", host.spec(both("one")))
    first = host.pids("a", "b")
    host.zlayer("deploy", host.spec(both("two")))
    second = host.pids("a", "b")
    assert first["b-rep-1"] == second["b-rep-1"]
    assert set(first) == set(second) and not {first["a-rep-1"], first["a-rep-2"]} & set(second.values())
    host.zlayer("deploy", host.spec(document(service("a", "echo two; " + FOREVER))))
    until(lambda: set(host.pids()) == {"a-rep-1"}, "only a-rep-1")
    assert host.pids("a")["a-rep-1"] == second["a-rep-1"]


def test_stop_keeps_a_service_down_until_the_next_deploy(host):
    path = host.spec(document(service("a", FOREVER)))
    host.zlayer("deploy", path)
    host.zlayer("stop", "test")
    assert not host.leftovers()
    agent = host.agent_pid()
    os.kill(agent, signal.SIGKILL)
    until(lambda: not alive(agent), "the agent's end")
    assert host.json("ps")["services"][0]["status"] == "stopped"
    host.zlayer("deploy", path)
    host.up("a", 1)


def test_names_that_are_wrong_are_told_with_what_is_right(host):
    host.zlayer("deploy", host.spec(document(service("a", FOREVER))))
    assert "no service" in host.zlayer("stop", "test", "-s", "\udcff", code=1).stderr
    host.up("a", 1)
    assert "not UTF-8" in host.zlayer("run", "-d", "--name", "\udcff", "busybox", code=125).stderr
    assert "only test" in host.zlayer("ps", "nosuch", code=1).stderr
    assert "a-rep-1" in host.zlayer("ps", "-c", "test").stdout
    assert "belongs to test/a" in host.zlayer("container", "rm", "-f", "a-rep-1", code=1).stderr
    assert host.zlayer("--version").stdout == host.zlayer("version").stdout
    host.zlayer("down")


def test_a_crash_loop_is_shown_where_it_waits(host):
    path = host.spec(document(service("a", "exit 1")))
    host.zlayer("deploy", path, "-t", "1s", code=5)
    until(lambda: "crash_loop" in host.zlayer("ps", "-c").stdout, "crash_loop")
    host.zlayer("down")


STUBBORN = "trap '' TERM; " + FOREVER


def test_a_grace_of_zero_kills_at_once(host):
    path = host.spec(document(service("a", STUBBORN)).replace("500ms", "10m"))
    host.zlayer("deploy", path)
    host.zlayer("stop", "a", "-t", "0")
    assert not host.leftovers()
    host.zlayer("deploy", path)
    host.zlayer("down", "-t", "0")
    host.zlayer("run", "-d", "--stop-timeout", "10m", "--name", "box", "busybox", "sh", "-c", STUBBORN)
    host.zlayer("container", "stop", "-t", "0", "box")
    host.zlayer("container", "rm", "box")


def test_who_loses_the_agent_is_told_that_it_goes_on(host):
    host.zlayer("deploy", host.spec(document(service("a", STUBBORN)).replace("500ms", "10m")))
    down = host.popen("down")
    until(lambda: host.containers()[0]["state"] == "stopping", "the stop")
    agent = host.agent_pid()
    os.kill(agent, signal.SIGKILL)
    assert "run the command again" in down.communicate(timeout=60)[1]
    assert down.returncode == 4
    until(lambda: not alive(agent), "the agent's end")  # its connections close before the socket at which it listens does
    host.zlayer("down", "-f")


def test_a_job_gives_its_code_and_its_output_and_runs_once(host):
    text = document(service("good", "echo fine", "    rtype: job\n"), service("bad", "echo no; exit 3", "    rtype: job\n"))
    host.zlayer("deploy", host.spec(text))
    host.zlayer("job", "run", "good", "--wait")
    r = host.zlayer("job", "run", "bad", "--wait", code=None)
    assert r.returncode in (1, 3)
    rows = host.json("job", "ls")
    by = {row["job"]: row for row in rows if row.get("status")}
    assert by["good"]["status"] == "completed" and by["bad"]["status"] == "failed" and by["bad"]["exit_code"] == 3
    until(lambda: not host.leftovers(), "no container")


def test_logs_follow_and_count_lines(host):
    host.zlayer("deploy", host.spec(document(service("a", "for i in 1 2 3 4 5; do echo line $i; done; " + FOREVER))))
    host.up("a", 1)
    assert [line.split(" ", 1)[-1] for line in host.zlayer("logs", "-n", "2", "a").stdout.splitlines()][-2:] == ["line 4", "line 5"]
    p = host.popen("logs", "-f", "a")
    lines = [p.stdout.readline() for _ in range(5)]
    assert "line 5" in lines[4]
    p.kill()
    p.communicate()


def test_two_agents_never_run_at_once(host):
    r = host.zlayer("serve", code=1)
    assert str(host.agent_pid()) in r.stderr


def its_monitor_is_killed_and_it_replaced(host, first):
    shim = int(pathlib.Path(f"/proc/{first['pid']}/stat").read_text().rsplit(")", 1)[1].split()[1])
    os.kill(shim, signal.SIGKILL)
    until(lambda: host.pids("a").get("a-rep-1") not in (None, 0, first["pid"]), "a new container")
    assert not alive(first["pid"])
    host.zlayer("down", "test")
    assert host.leftovers() == []


def test_a_killed_monitor_is_told_and_its_container_replaced(host):
    host.zlayer("deploy", host.spec(document(service("a", FOREVER))))
    first = host.up("a", 1)[0]
    its_monitor_is_killed_and_it_replaced(host, first)


def move_below(cgroup, pid):
    """As an init of its own does with itself."""
    below = cgroup / "below/deep"
    for d in (below.parent, below):
        d.mkdir()
        for name in ("cpuset.cpus", "cpuset.mems"):
            if (d / name).exists():
                (d / name).write_text((d.parent / name).read_text())
    (below / "cgroup.procs").write_text(str(pid))


def test_a_process_in_a_cgroup_below_its_containers_is_shown_and_ends_with_it(host):
    host.zlayer("deploy", host.spec(document(service("a", FOREVER))))
    first = host.up("a", 1)[0]
    mine = [d for cg in host.cgroups() for d in (cg / "c").glob("*/") if str(first["pid"]) in (d / "cgroup.procs").read_text().split()]
    assert mine
    for d in mine:
        move_below(d, first["pid"])
    assert str(first["pid"]) in host.zlayer("top", first["name"]).stdout.split()
    its_monitor_is_killed_and_it_replaced(host, first)


def test_clients_at_once_start_one_agent(world, busybox_tar):
    many = [world.popen("ps", "--format", "json") for _ in range(8)]
    for p in many:
        out, err = p.communicate(timeout=60)
        assert p.returncode == 0, err
    pids = [pid for pid, what in world.processes().items() if "zlayerd" in what]
    assert len(pids) == 1, world.processes()
    first = start_time(pids[0])
    world.import_busybox(busybox_tar)
    assert start_time(world.agent_pid()) == first


def test_the_folders_can_be_passed_whatever_umask_the_first_user_has(world):
    first = world.popen("daemon", "start", umask=0o077)
    assert first.wait(60) == 0
    assert [oct(p.stat().st_mode & 0o777) for p in (world.root, world.run)] == ["0o711"] * 2


def test_stop_of_a_job_ends_its_executions_and_says_so(host):
    host.zlayer("deploy", host.spec(document(service("j", "trap 'exit 3' TERM; echo up; " + FOREVER, "    rtype: job\n"))))
    host.zlayer("job", "run", "j")
    until(lambda: "up" in host.zlayer("logs", "j").stdout, "its first word")
    assert host.zlayer("stop", "test/j").stdout == "j is not running\n"
    assert host.containers("test") == []
    assert [x["status"] for x in host.json("job", "status", "j")] == ["cancelled"]
    host.zlayer("job", "run", "j")
    until(lambda: host.containers("test"), "another execution")
    assert "j is not running\n" in host.zlayer("stop", "test").stdout
    assert host.containers("test") == []


def test_a_grace_beyond_all_time_does_not_kill_at_once(host, tmp_path):
    mount = f"    storage: [{{type: bind, source: {tmp_path}, target: /out}}]\n"
    host.zlayer("deploy", host.spec(document(service("a", "trap 'touch /out/heeded; exit' TERM; echo up; " + FOREVER, mount))))
    until(lambda: "up" in host.zlayer("logs", "a").stdout, "its first word")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(host.run / "zlayer.sock"))
        client.settimeout(30)
        client.sendall(b"DELETE /api/v1/deployments/test?wait=1&grace_ms=18446744073709551615 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b" 400 " in client.recv(65536)
        client.sendall(b"DELETE /api/v1/deployments/test?wait=1&grace_ms=9223372036854775807 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b" 204 " in client.recv(65536)
    assert (tmp_path / "heeded").exists()
