"""The same scenarios over a container and over a WebAssembly guest: one program, two artifacts."""
import datetime
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tarfile

import pytest

import wasmtool
from conftest import make_world
from world import alive, down_ms, kill, on_terminal, parent, until

pytestmark = wasmtool.needs_wasm


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    """tool.c as a root file system with nothing but it, and as a module."""
    folder = tmp_path_factory.mktemp("tool")
    rootfs = folder / "rootfs"
    for d in ("data", "tmp", "proc", "sys", "dev", "etc"):
        (rootfs / d).mkdir(parents=True)
    subprocess.run(["cc", "-static", "-O1", wasmtool.SOURCES / "tool.c", "-o", rootfs / "tool"], check=True)
    with tarfile.open(folder / "tool.tar", "w") as tar:
        tar.add(rootfs, arcname=".")
    shutil.rmtree(rootfs)
    return {"container": folder / "tool.tar", "module": wasmtool.compile_c(folder, "tool.c")}


class Kind:
    """How to say "the tool with these arguments" of this artifact, at the command line and in a document."""

    def __init__(self, host, name):
        self.host, self.name = host, name

    def run(self, *args, options=(), **kw):
        entry = ["--entrypoint", "/tool"] if self.name == "container" else []
        return self.host.zlayer("run", *options, *entry, "tool", *args, **kw)

    def popen(self, *args, options=(), **kw):
        entry = ["--entrypoint", "/tool"] if self.name == "container" else []
        return self.host.popen("run", *options, *entry, "tool", *args, **kw)

    def service(self, name, *args, extra=""):
        entry = "entrypoint: [/tool], " if self.name == "container" else ""
        return f"""
  {name}:
    image: {{name: tool, pull_policy: never}}
    command: {{{entry}args: {json.dumps([str(a) for a in args])}}}
    stop_grace_period: 500ms
{extra}"""


@pytest.fixture(scope="module", params=["container", "module"])
def kind(request, artifacts):
    world = make_world()
    host = next(world)
    host.zlayer("import", artifacts[request.param], "-t", "tool")
    yield Kind(host, request.param)
    next(world, None)


@pytest.fixture(autouse=True)
def clean(kind):
    yield
    kind.host.clear("test")


def document(*services):
    return "version: v1\ndeployment: test\nservices:" + "".join(services)


def deploy(kind, *services, args=(), **kw):
    return kind.host.zlayer("deploy", *args, kind.host.spec(document(*services)), **kw)


# ---- run ------------------------------------------------------------------------------------------
def test_the_exit_code_is_that_of_run(kind):
    assert kind.run("exit", 42, options=["--rm"], code=42).stderr == ""
    kind.run("exit", 0, options=["--rm"])
    assert kind.host.leftovers() == []


def test_each_stream_arrives_where_it_was_written(kind):
    r = kind.run("say", "out", "err", options=["--rm"])
    assert (r.stdout, r.stderr) == ("out\n", "err\n")


def test_arguments_and_environment_arrive(kind):
    assert kind.run("args", "a b", "", "ü", options=["--rm"]).stdout == "a b\n\nü\n"
    assert kind.run("env", "A", options=["--rm", "-e", "A=x=y"]).stdout == "x=y\n"
    assert kind.run("env", "B", options=["--rm", "-e", "A=1"]).stdout == "(unset)\n"


def test_stdin_is_passed_on_when_asked_for(kind):
    assert kind.run("cat", options=["--rm", "-i"], input="one\ntwo\n").stdout == "one\ntwo\n"
    assert kind.run("cat", options=["--rm"]).stdout == ""


def test_much_output_comes_through_whole(kind):
    r = kind.run("lines", 60000, options=["--rm"])
    assert r.stdout == "".join(f"line {i}\n" for i in range(1, 60001))


def test_a_terminal_is_one(kind):
    out, code = on_terminal(lambda tty: kind.popen("tty", options=["--rm", "-t", "-i"], stdin=tty, stdout=tty, stderr=tty))
    assert code == 0 and "1 1" in out, out
    assert kind.run("tty", options=["--rm"]).stdout == "0 0\n"


def test_volumes_are_what_they_say(kind, tmp_path):
    tmp_path.chmod(0o777)
    (tmp_path / "f").write_text("from the host\n")
    assert kind.run("cat", "/data/f", options=["--rm", "-v", f"{tmp_path}:/data:ro"]).stdout == "from the host\n"
    r = kind.run("put", "/data/g", "no", options=["--rm", "-v", f"{tmp_path}:/data:ro"], code=1)
    assert "/data/g" in r.stderr and not (tmp_path / "g").exists()
    kind.run("put", "/data/g", "yes", options=["--rm", "-v", f"{tmp_path}:/data"])
    assert (tmp_path / "g").read_text() == "yes"
    kind.run("put", "/t/x", "in memory", options=["--rm", "--tmpfs", "/t"])
    r = kind.run("exit", 0, options=["--rm", "-v", "/no/such/dir:/data"], code=125)
    assert "/no/such/dir" in r.stderr


def test_killed_and_stopped_are_told_apart(kind):
    p = kind.popen("nap", 100000, options=["--name", "victim"])
    pid = until(lambda: [c["pid"] for c in kind.host.containers() if c["service"] == "victim" and c["pid"]], "a pid")[0]
    os.kill(pid, signal.SIGKILL)
    assert p.wait(60) == 137
    found = kind.host.json("container", "inspect", "victim")
    assert found["exit"]["code"] == 137 and found["exit"]["signal"] == 9 and found["exit"]["reason"] == "signal"


def test_detached_is_listed_stopped_and_removed(kind):
    ident = kind.run("forever", options=["-d", "--name", "bg"]).stdout.strip()
    assert kind.host.json("container", "inspect", ident)["name"] == "bg"
    assert "bg" in kind.run("exit", 0, options=["-d", "--name", "bg"], code=125).stderr
    kind.host.zlayer("container", "rm", "bg", code=1)
    kind.host.zlayer("container", "stop", "-t", "1s", "bg")
    assert kind.host.json("container", "inspect", "bg")["state"] == "exited"
    kind.host.zlayer("container", "rm", "bg")


def test_what_is_done_and_told_while_it_runs(kind):
    """Pause, new limits, counters and processes are the monitor's and the cgroup's, whatever runs."""
    host = kind.host
    ident = kind.run("forever", options=["-d", "--name", "bg", "-m", "128m"]).stdout.strip()
    assert [len(host.json("top", "bg")["processes"]), host.json("container", "inspect", "bg")["runtime"]] == \
        [1, "native" if kind.name == "container" else "wasm"]
    sample = json.loads(host.zlayer("stats", "--no-stream", "bg", "--format", "json").stdout)["stats"]
    assert sample["memory"]["usage"] > 0 and sample["memory"]["limit"] == 128 << 20 and sample["pids"]["current"] >= 1
    assert sample["cpu"]["usage_ns"] > 0 and (sample["memory"]["linear"] is None) == (kind.name == "container")
    host.zlayer("pause", "bg")
    assert host.json("container", "inspect", "bg")["paused"] is True
    host.zlayer("unpause", "bg")
    host.zlayer("update", "-m", "96m", "bg")
    limits = [base / "c" / ident / name for base in host.cgroups() for name in ("memory.limit_in_bytes", "memory.max")]
    assert [p.read_text().strip() for p in limits if p.exists()] == [str(96 << 20)]
    r = host.zlayer("cp", "bg:/etc", host.folder / "no", code=None if kind.name == "container" else 1)
    assert kind.name == "container" or "no file system of its own" in r.stderr
    host.zlayer("kill", "-s", "term", "bg", code=None)
    host.zlayer("kill", "bg", code=None)
    assert host.zlayer("wait", "bg").stdout.strip() in ("137", "143")


# ---- jobs, crons, policies, revisions -------------------------------------------------------------
def quoted(policy):
    """no is a truth value in YAML."""
    kind, *rest = policy.split(",", 1)
    return ",".join([f"'{kind}'", *rest])


@pytest.mark.parametrize("policy, code, restarts", [
    ("no", 3, 0), ("on_failure, max_attempts: 2, delay: 10ms", 3, 2), ("on_failure, delay: 10ms", 0, 0)])
def test_what_ends_is_restarted_by_its_policy(kind, policy, code, restarts):
    deploy(kind, kind.service("a", "exit", code, extra=f"    restart_policy: {{kind: {quoted(policy)}}}\n"),
           args=["-t", "1s"], code=None)
    end = until(lambda: kind.host.the("a-rep-1")["restarts"] == restarts and kind.host.the("a-rep-1")["state"] == "exited"
                and kind.host.the("a-rep-1"), f"{restarts} restarts")
    assert (end["exit"]["code"], end["exit"]["reason"]) == (code, "exited")


def test_one_that_is_always_restarted_starts_again_after_a_success(kind):
    deploy(kind, kind.service("a", "exit", 0, extra="    restart_policy: {kind: always, delay: 10ms}\n"),
           args=["-t", "1s"], code=None)
    until(lambda: kind.host.the("a-rep-1")["restarts"] >= 2, "two restarts")


def test_a_cron_is_run_as_a_job_when_it_is_asked_for(kind):
    r = deploy(kind, kind.service("c", "say", "from a cron", "and its errors",
                                  extra="    rtype: cron\n    schedule: '0 0 0 1 1 *'\n"))
    assert "c: cron, registered" in r.stdout and kind.host.containers() == []
    r = kind.host.zlayer("job", "run", "c", "--wait")
    assert "from a cron\n" in r.stdout and "and its errors\n" in r.stderr
    kind.host.zlayer("job", "run", "c", "--wait")
    kept = kind.host.json("job", "status", "c")
    assert [x["status"] for x in kept] == ["completed"] * 2 and [x["exit_code"] for x in kept] == [0, 0]


def test_a_cron_runs_each_of_its_times_once_over_the_deaths_of_the_agent(kind):
    deploy(kind, kind.service("c", "say", "tick", extra="    rtype: cron\n    schedule: '* * * * * *'\n"))

    def completed():
        return [x for x in kind.host.json("job", "status", "c") if x["status"] == "completed"]
    for _ in range(3):
        before = len(completed())
        until(lambda: len(completed()) > before, f"more than {before} runs", interval=0.1)
        kill(kind.host.agent_pid())
    kind.host.zlayer("cron", "disable", "c")
    cron = until(lambda: (c := kind.host.json("cron", "status", "c"))["running"] == 0 and c, "the end of the last run")
    due = sorted(x["due_at"] for x in cron["executions"])
    assert len(due) == len(set(due)) == cron["runs"] >= 3
    assert {x["trigger"] for x in cron["executions"]} == {"scheduler"}
    at = [datetime.datetime.fromisoformat(t.replace("Z", "+00:00")) for t in (due[0], due[-1])]
    assert cron["runs"] + cron["missed"] + cron["skipped"] >= (at[1] - at[0]).total_seconds() + 1
    for x in cron["executions"]:  # what was cut off by the deaths is told as such, and not run again
        assert x["status"] == "completed" or x["reason"].startswith("lost"), x
        if x["status"] == "completed":
            assert [line.split(" ", 3)[3] for line in pathlib.Path(x["log"]).read_text().splitlines()].count("tick") == 1


def test_a_changed_document_replaces_what_it_changes(kind):
    deploy(kind, kind.service("a", "lines-forever", 1), kind.service("b", "forever"))
    a, b = kind.host.up("a", 1)[0], kind.host.up("b", 1)[0]
    deploy(kind, kind.service("a", "lines-forever", 2), kind.service("b", "forever"))
    now = {c["name"]: c for c in kind.host.up("a", 1) + kind.host.up("b", 1)}
    assert now["a-rep-1"]["pid"] != a["pid"] and now["b-rep-1"]["pid"] == b["pid"]
    until(lambda: "line 2" in kind.host.zlayer("logs", "a").stdout, "what the new one writes")


# ---- env and volumes of a document ----------------------------------------------------------------
def test_env_of_a_document_arrives(kind):
    deploy(kind, kind.service("j", "env", "A", extra="    rtype: job\n    env: {A: 'x=y ü', B: '1'}\n"))
    assert kind.host.zlayer("job", "run", "j", "--wait").stdout == "x=y ü\n"


@pytest.mark.parametrize("text, says", [
    ("    storage: [{type: s3, bucket: box, target: /d}]\n", "services.a.storage[0].type"),
    ("    storage: [{type: named, name: box, target: /d, size: 1Gi}]\n", "services.a.storage[0].size")])
def test_what_this_version_does_not_do_is_refused_before_anything_starts(kind, text, says):
    r = deploy(kind, kind.service("a", "forever", extra=text), code=3)
    assert "E-NOT-SUPPORTED" in r.stderr and says in r.stderr
    assert kind.host.json("ps")["services"] == []


REFERENCES = """    rtype: job
    env: {A: '$E:REGION', B: '$E:NOTHING', C: 'a$E:REGION'}
"""


@pytest.fixture
def references(kind):
    """An agent of our own environment: the next command starts it."""
    kind.host.zlayer("daemon", "stop")
    before = dict(kind.host.env)
    kind.host.env.update(REGION="north ü", NOTHING="")
    yield kind
    kind.host.env.clear()
    kind.host.env.update(before)
    kind.host.zlayer("daemon", "stop")


@pytest.mark.parametrize("name, value", [("A", "north ü"), ("B", ""), ("C", "a$E:REGION"), ("ZLAYER_DEPLOYMENT", "test"),
                                         ("ZLAYER_SERVICE", "j"), ("ZLAYER_REPLICA", "1"), ("ZLAYER_ROLE", "default")])
def test_references_of_a_document_are_what_the_agent_has(references, name, value):
    r = deploy(references, references.service("j", "env", name, extra=REFERENCES))
    assert "W-ENV-EMPTY" in r.stderr and "services.j.env.B" in r.stderr and "W-ENV-EMBEDDED-REF" in r.stderr
    assert references.host.zlayer("job", "run", "j", "--wait").stdout == value + "\n"


def test_each_replica_is_told_its_number(kind):
    service = kind.service("a", "env-forever", "ZLAYER_REPLICA", extra="    scale: {mode: fixed, replicas: 2}\n")
    deploy(kind, service)
    kind.host.up("a", 2)
    for n in (1, 2):
        until(lambda: re.search(rf"\b{n}\s.*\b{n}$", kind.host.zlayer("logs", "a").stdout, re.M), f"the number {n}")


def test_run_looks_references_up_too_and_says_nothing_of_a_deployment(references):
    assert references.run("env", "A", options=["--rm", "-e", "A=$E:REGION"]).stdout == "north ü\n"
    assert references.run("env", "ZLAYER_SERVICE", options=["--rm"]).stdout == "(unset)\n"
    r = references.run("env", "A", options=["--rm", "-e", "A=$E:NO_SUCH"], code=125)
    assert r.stderr == "Error: env.A: the agent's environment has no variable 'NO_SUCH'\n"


MISSING = """    env:
      A: $E:NO_SUCH
      B: $E:NEITHER
      C: $S:token/field
"""


def test_what_leads_nowhere_is_told_at_once_and_by_all_commands_alike(kind):
    kind.host.zlayer("ps")  # an agent runs
    path = kind.host.spec(document(kind.service("a", "forever", extra=MISSING.replace("      C: $S:token/field\n", ""))))
    for command in (["deploy"], ["up", "-d"], ["validate"], ["deploy", "--dry-run"]):
        r = kind.host.zlayer(*command, path, code=3)
        for line, key, name in ((9, "A", "NO_SUCH"), (10, "B", "NEITHER")):
            assert (f"error E-ENV-UNSET {path}:{line}:10 services.a.env.{key}: "
                    f"the agent's environment has no variable '{name}'") in r.stderr, r.stderr
    found = json.loads(kind.host.zlayer("validate", path, "--format", "json", code=3).stdout)
    assert not found["valid"] and [f["id"] for f in found["diagnostics"]] == ["E-ENV-UNSET"] * 2
    assert kind.host.json("ps")["services"] == []


def test_there_are_no_secrets_and_none_is_taken_for_its_name(kind):
    path = kind.host.spec(document(kind.service("a", "forever", extra=MISSING)))
    for command in ("deploy", "validate"):
        r = kind.host.zlayer(command, path, code=3)
        assert "E-SECRET-NOT-FOUND" in r.stderr and "services.a.env.C" in r.stderr and "'token'" in r.stderr


def test_without_an_agent_validate_says_what_it_could_not_look_up(kind):
    kind.host.zlayer("daemon", "stop")
    path = kind.host.spec(document(kind.service("a", "forever", extra="    env: {A: $E:NO_SUCH}\n")))
    r = kind.host.zlayer("validate", path)
    assert "no agent runs" in r.stderr and "is valid" in r.stdout
    assert kind.host.zlayer("daemon", "status", code=None).returncode != 0  # none was started


def test_a_variable_that_a_later_agent_lacks_keeps_its_replica_down_and_is_told(references):
    host = references.host
    deploy(references, references.service("a", "forever", extra="    env: {A: $E:REGION}\n"))
    host.zlayer("daemon", "stop")
    del host.env["REGION"]
    kill(host.up("a", 1)[0]["pid"])

    def told():
        return [c["why"] for c in host.containers("test") if "E-ENV-UNSET" in c["why"]]
    why = until(told, "a replica that cannot be made")[0]
    assert "env.A (line" in why and "'REGION'" in why


def test_values_are_in_no_log_and_in_no_answer(references):
    host = references.host
    host.zlayer("daemon", "stop")
    host.env["REGION"] = "hush-6b1f"
    deploy(references, references.service("a", "forever", extra="    env: {A: $E:REGION, B: $E:NOTHING}\n"))
    container = host.up("a", 1)[0]
    said = [host.agent_log()]
    said += [host.zlayer(*c).stdout for c in (["container", "inspect", container["name"]], ["events"], ["ps", "--format", "json"],
                                              ["logs", "a"], ["status", "--format", "json"])]
    assert not [s for s in said if "hush-6b1f" in s]
    folder = pathlib.Path(host.root)
    grep = subprocess.run(["grep", "-rla", "hush-6b1f", folder, host.run], stdout=subprocess.PIPE, text=True).stdout.split()
    assert [pathlib.Path(p).name for p in grep] == ["config.json"], grep
    assert pathlib.Path(grep[0]).stat().st_mode & 0o777 == 0o600


def test_named_volumes_of_a_document_outlive_it_and_are_shared(kind):
    def service(name, path, readonly="false", user="0"):
        return kind.service(name, "put", path, "text", extra=f"""    rtype: job
    user: '{user}'
    storage:
      - {{type: named, name: box, target: /data, readonly: {readonly}}}
      - {{type: anonymous, target: /own}}
""")
    box = kind.host.root / "volumes/box"
    deploy(kind, service("a", "/data/f"), service("b", "/own/f"), service("c", "/data/g", "true"))
    kind.host.zlayer("job", "run", "a", "--wait")
    kind.host.zlayer("job", "run", "b", "--wait")
    assert "/data/g" in kind.host.zlayer("job", "run", "c", "--wait", code=1).stderr
    assert (box / "f").read_text() == "text" and os.listdir(box) == ["f"]
    kind.host.zlayer("down", "test")
    assert (box / "f").read_text() == "text"
    shutil.rmtree(box)


def test_a_volume_can_be_written_by_who_it_is_for(kind):
    """A guest runs as the user that the service names, and a module has no folder that would say whose the volume is."""
    box = kind.host.root / "volumes/box"
    code = 1 if kind.name == "container" else 0
    r = kind.run("put", "/data/f", "text", options=["--rm", "-u", "1000:1000", "-v", "box:/data"], code=code)
    assert code == 0 or "/data/f" in r.stderr
    assert (box.stat().st_uid, box.stat().st_gid) == ((1000, 1000) if code == 0 else (0, 0))
    shutil.rmtree(box)


def test_an_anonymous_volume_goes_with_what_had_it(kind):
    ident = kind.run("put", "/own/f", "text", options=["--name", "once", "-v", "/own"]) and \
        kind.host.json("container", "inspect", "once")["id"]
    own = kind.host.root / "containers" / ident / "volumes/0"
    assert (own / "f").read_text() == "text"
    kind.host.zlayer("container", "rm", "once")
    assert not own.exists()


def test_volumes_of_a_document_are_what_they_say(kind, tmp_path):
    tmp_path.chmod(0o777)

    def put(path, readonly):
        storage = f"""    rtype: job
    storage:
      - {{type: bind, source: '{tmp_path}', target: /data, readonly: {readonly}}}
      - {{type: tmpfs, target: /t, size: 1Mi}}
"""
        return kind.service("j", "put", path, "text", extra=storage)
    deploy(kind, put("/data/f", "true"))
    r = kind.host.zlayer("job", "run", "j", "--wait", code=1)
    assert "/data/f" in r.stderr and os.listdir(tmp_path) == []
    for path in ("/data/f", "/t/f"):
        deploy(kind, put(path, "false"))
        kind.host.zlayer("job", "run", "j", "--wait")
    assert (tmp_path / "f").read_text() == "text" and os.listdir(tmp_path) == ["f"]


# ---- deployments ----------------------------------------------------------------------------------
def test_a_killed_replica_is_back_and_the_other_untouched(kind):
    deploy(kind, kind.service("a", "forever", extra="    scale: {mode: fixed, replicas: 2}\n"))
    first, second = sorted(kind.host.up("a", 2), key=lambda c: c["name"])
    kill(first["pid"])
    now = kind.host.back(first)
    assert (now["exit"]["code"], now["exit"]["signal"], now["exit"]["reason"]) == (137, 9, "signal")
    assert now["restarts"] == 1 and 0 <= down_ms(now) < 2000
    other = kind.host.the("a-rep-2")
    assert (other["pid"], other["restarts"], other["exit"]) == (second["pid"], 0, None)


@pytest.mark.parametrize("check", ["{type: tcp, port: 8080}", "{type: http, url: 'http://localhost:8080/', expect_status: 200}"])
def test_health_is_asked_inside_its_network(kind, check):
    extra = f"""    endpoints: [{{name: web, protocol: http, port: 8080}}]
    health: {{check: {check}, interval: 200ms, start_grace: 10s}}
"""
    deploy(kind, kind.service("web", "serve", 8080, extra=extra),
           kind.service("after", "forever", extra="    depends: [{service: web, timeout: 20s}]\n"))
    assert kind.host.up("web", 1)[0]["health"] == "healthy"
    kind.host.up("after", 1)


def test_a_check_that_fails_makes_it_unhealthy(kind):
    extra = "    health: {check: {type: tcp, port: 9999}, interval: 100ms, retries: 1, start_grace: 100ms}\n"
    deploy(kind, kind.service("a", "forever", extra=extra), args=["-t", "2s"], code=5)
    assert any(c["service"] == "a" for c in kind.host.containers())


def test_jobs_give_their_code_and_run_once(kind):
    deploy(kind, kind.service("good", "say", "fine", "", extra="    rtype: job\n"),
           kind.service("bad", "exit", 3, extra="    rtype: job\n"))
    r = kind.host.zlayer("job", "run", "good", "--wait")
    assert "fine" in r.stdout + kind.host.zlayer("logs", "good").stdout
    assert kind.host.zlayer("job", "run", "bad", "--wait", code=None).returncode in (1, 3)
    by = {row["job"]: row for row in kind.host.json("job", "ls") if row.get("status")}
    assert by["good"]["status"] == "completed"
    assert by["bad"]["status"] == "failed" and by["bad"]["exit_code"] == 3


def test_logs_are_kept_counted_and_followed(kind):
    deploy(kind, kind.service("a", "lines-forever", 5))
    kind.host.up("a", 1)
    until(lambda: "line 5" in kind.host.zlayer("logs", "a").stdout, "all lines")
    p = kind.host.popen("logs", "-f", "-n", "1000", "a")
    lines = [p.stdout.readline().rstrip().split(" ", 1)[-1] for _ in range(7)]
    assert lines[:6] == ["line 1", "line 2", "line 3", "line 4", "line 5", "tick 0"]
    p.kill()
    p.communicate()


def test_logs_are_picked_by_stream_time_and_number(kind):
    deploy(kind, kind.service("j", "say", "first", "wrong", extra="    rtype: job\n"))
    for _ in range(2):
        kind.host.zlayer("job", "run", "j", "--wait")

    def log(*options):
        return kind.host.zlayer("logs", *options, "j").stdout.splitlines()
    assert log("--stream", "stderr", "-n", "1") == ["[stderr] wrong"]
    assert set(log("--stream", "stdout")) == {"[stdout] first"}
    assert log("--since", "2000-01-01T00:00:00Z") and log("--until", "2000-01-01T00:00:00Z") == []


def test_a_crash_gives_the_reason_and_the_last_lines(kind):
    r = deploy(kind, kind.service("bad", "say", "about to end", "", extra="    env: {A: b}\n"), args=["-t", "3s"], code=5)
    assert "about to end" in r.stdout + r.stderr


def test_stop_keeps_it_down_until_the_next_deploy(kind):
    deploy(kind, kind.service("a", "forever"))
    kind.host.zlayer("stop", "test")
    assert kind.host.leftovers() == []
    deploy(kind, kind.service("a", "forever"))
    kind.host.up("a", 1)


# ---- deaths of what is around it ------------------------------------------------------------------
def test_with_the_agent_nothing_is_lost(kind):
    deploy(kind, kind.service("a", "forever", extra="    scale: {mode: fixed, replicas: 2}\n"))
    first, second = sorted(kind.host.up("a", 2), key=lambda c: c["name"])
    kill(kind.host.agent_pid())
    log = pathlib.Path(first["log"])
    size = log.stat().st_size
    until(lambda: log.stat().st_size > size + 100, "lines written without an agent")
    kill(second["pid"])
    now = kind.host.back(second)  # the next command starts an agent
    assert (now["exit"]["code"], now["exit"]["reason"]) == (137, "signal")
    assert kind.host.the("a-rep-1")["pid"] == first["pid"]
    ticks = [line.split()[-1] for line in kind.host.zlayer("logs", "-n", "all", "-i", "1", "a").stdout.splitlines()]
    assert ticks == [str(n) for n in range(len(ticks))]


def test_what_ends_without_an_agent_is_told_by_its_code(kind, tmp_path):
    """A job and a container of its own: both wait for a file, which comes when nobody looks."""
    tmp_path.chmod(0o777)
    storage = f"    rtype: job\n    storage: [{{type: bind, source: '{tmp_path}', target: /data, readonly: true}}]\n"
    deploy(kind, kind.service("late", "await", "/data/go", 3, extra=storage))
    execution = kind.host.zlayer("job", "run", "late").stdout.strip()
    kind.run("await", "/data/go", 7, options=["-d", "--name", "alone", "-v", f"{tmp_path}:/data:ro"])
    until(lambda: len(kind.host.running()) == 2, "that both run")
    pids = kind.host.running()
    kill(kind.host.agent_pid())
    (tmp_path / "go").touch()
    until(lambda: not any(map(alive, pids)), "the end of both")
    exit_of_alone = kind.host.json("container", "inspect", "alone")["exit"]
    assert (exit_of_alone["code"], exit_of_alone["reason"]) == (7, "exited")
    ended = kind.host.json("job", "status", execution)
    assert (ended["status"], ended["exit_code"]) == ("failed", 3)
    assert "it is there" in kind.host.zlayer("logs", "alone").stdout


def test_a_killed_monitor_is_told_and_its_container_replaced(kind):
    deploy(kind, kind.service("a", "forever", extra="    scale: {mode: fixed, replicas: 2}\n"))
    first, second = sorted(kind.host.up("a", 2), key=lambda c: c["name"])
    kill(parent(first["pid"]))
    now = kind.host.back(first)
    assert now["exit"]["lost"] is True and now["exit"]["reason"] == "lost"
    assert now["restarts"] == 1 and 0 <= down_ms(now) < 2000
    assert not alive(first["pid"])
    assert any("its monitor was lost" in e["text"] for e in kind.host.events())
    other = kind.host.the("a-rep-2")
    assert (other["pid"], other["restarts"], other["exit"]) == (second["pid"], 0, None)


@pytest.mark.parametrize("policy, restarts", [("no", 0), ("on_failure, max_attempts: 2, delay: 10ms", 2)])
def test_a_lost_one_is_restarted_by_its_policy(kind, policy, restarts):
    deploy(kind, kind.service("a", "forever", extra=f"    restart_policy: {{kind: {quoted(policy)}}}\n"))
    now = kind.host.up("a", 1)[0]
    for _ in range(restarts):
        kill(parent(now["pid"]))
        now = kind.host.back(now)
    kill(parent(now["pid"]))
    end = until(lambda: kind.host.the("a-rep-1")["state"] == "exited" and kind.host.the("a-rep-1"), "that it stays down")
    assert end["exit"]["reason"] == "lost" and end["restarts"] == restarts
