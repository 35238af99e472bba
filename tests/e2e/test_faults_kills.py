"""The runtime killed before every system call of its start path: `delete --force` removes what there is."""
import pathlib
import signal
import subprocess

import pytest

from faults import FAILCALL, KINDS, Sweep, read_log, some_of
from world import alive, until


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("verb", ["create", "run"])
def test_delete_removes_what_a_killed_runtime_left(faults, verb, kind):
    f = faults
    # Who runs a container waits for its end, unless it is who is killed: of its helpers not all are missed.
    short = f.bundle(getattr(f, kind)("sleep", 1000 if verb == "create" else 0))
    long = f.bundle(getattr(f, kind)("sleep", 1000 if verb == "create" else 10))
    planned = f.start_path(verb, short)
    sweep = Sweep()

    def attempt(call):
        f.under(f"kill:{call.who}:{call.name}:{call.k}", verb, long if call.who == "P" else short)
        f.run("delete", "--force", "c")
        until(lambda: not any(alive(p) for p in f.alive), f"the end of {f.alive}, after {call}")
        assert f.leftovers() == [], call
        return f.hit(call)

    for call in some_of(planned):
        sweep.over(call, lambda: attempt(call))
    print(f"{kind} {verb}: {len(planned)} calls, killed before one: {sweep}")
    sweep.check()


def test_the_id_is_free_again_after_a_kill_and_a_delete(faults):
    f = faults
    bundle = f.bundle(f.rich("sleep", 1000))
    made = [c for c in f.start_path("create", bundle) if c.name == "clone3"][-1]  # the first is who makes the network
    f.under(f"kill:P:clone3:{made.k}", "create", bundle)
    assert "was not created completely" in f.run("state", "c", code=1).stderr
    assert "already exists" in f.run("create", "-b", bundle, "c", code=1).stderr
    f.run("delete", "c")
    f.run("create", "-b", bundle, "c")
    f.run("delete", "--force", "c")


def test_a_start_that_is_killed_can_be_done_again_or_was_done(faults):
    f = faults
    bundle = f.bundle(f.config("sleep", 1000))

    def start(mode):
        f.run("create", "-b", bundle, "c")
        p = subprocess.run([FAILCALL, mode, f.log, f.program, "--root", f.root, "start", "c"], cwd=f.folder, env=f.env,
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=60)
        return p.returncode, read_log(f.log)[0]

    code, calls = start("count")
    assert code == 0 and f.state("c")["status"] == "running"
    f.run("delete", "--force", "c")
    begin = min(c.n for c in calls if c.path == "gate")
    again = 0
    for call in calls[begin - 1:]:
        assert start(f"kill:P:{call.name}:{call.k}")[0] == 128 + signal.SIGKILL
        if f.state("c")["status"] == "created":
            again += 1
            r = f.run("start", "c", code=None)
            assert r.returncode == 0 or "it is running" in r.stderr or "nobody waits behind it" in r.stderr, (call, r.stderr)
        pid = f.state("c")["pid"]
        until(lambda: pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"sleep\0"), f"the command, after {call}")
        assert f.state("c")["status"] == "running"
        assert "it is running" in f.run("start", "c", code=1).stderr
        f.run("delete", "--force", "c")
    print(f"start: {len(calls)} calls, killed before {len(calls) - begin + 1}, done again after {again}")
    assert again
