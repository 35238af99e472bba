"""Every system call of the start path made to fail, one at a time.

What must follow: an error that names the step and what it was done to, and nothing left behind: no process,
cgroup, mount, file.
"""
import collections
import errno
import json
import os
import pathlib
import re
import signal
import subprocess

import pytest

from faults import FAILCALL, KINDS, Sweep, attempts, judge_failure, read_log
from world import alive, until


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("verb", ["create", "run"])
def test_each_call_that_fails_is_an_error_that_names_it_and_leaves_nothing(faults, verb, kind):
    f = faults
    bundle = f.bundle(getattr(f, kind)("sleep" if verb == "create" else "true", *(["1000"] if verb == "create" else [])))
    planned = f.start_path(verb, bundle)
    wrong, errors, sweep = [], collections.Counter(), Sweep()

    def attempt(call, error):
        code, text = f.under(f"fail:{call.who}:{call.name}:{call.k}:{error}", verb, bundle)
        hit = f.hit(call)
        if not hit:
            assert code == 0, f"{call} did not come to fail, but: {text}"
        elif code == 0:
            if error != errno.EINTR and not f.harmless(hit, error, text):  # what was interrupted is done again
                wrong.append(f"{verb}: {hit} failed with {errno.errorcode[error]} and nobody said so")
            elif verb == "create" and hit.name != "poll" and f.state("c")["status"] != "created":
                wrong.append(f"{verb}: {hit}: a container that is {f.state('c')['status']}")
        else:
            why = judge_failure(f, verb, hit, error, code, text)
            errors[re.sub(r"'[^']*'|\d+", "*", text)] += 1
            if why:
                wrong.append(why)
        f.clean()
        return hit

    for call, error in attempts(planned):
        sweep.over(call, lambda: attempt(call, error))
    print(f"{kind} {verb}: {len(planned)} calls, {sweep}, {len(errors)} different errors")
    assert not wrong, "\n".join(wrong)
    sweep.check()
    assert len(errors) > 40


# ---- what systemd is told ----

# On v2 quota and period are one file, written at once: there is no half that could be told alone.
@pytest.mark.skipif(pathlib.Path("/sys/fs/cgroup/cgroup.controllers").exists(), reason="v2 has quota and period in one file")
def test_systemd_is_told_of_quota_and_period_together(faults):
    """It writes both, so half of them would change the other."""
    f = faults
    config = f.systemd("sleep", 1000)
    config["linux"]["resources"]["cpu"] = {"quota": 25000, "period": 50000}
    f.run(*f.general, "create", "-b", f.bundle(config), "c")
    told = f.folder / "libexec/told"
    for options, percent, period in (((), 50, 50000), (("--cpu-quota", 50000), 100, 50000), (("--cpu-period", 25000), 200, 25000),
                                     (("--cpu-quota", -1), None, 25000)):
        if options:
            told.unlink()
            f.run(*f.general, "update", *options, "c")
        per_second = 10000 * percent if percent else 2**64 - 1
        assert [line for line in told.read_text().splitlines() if line.startswith("CPUQuota")] == \
            [f"CPUQuotaPerSecUSec=uint64 {per_second}", f"CPUQuotaPeriodUSec=uint64 {period}"], options
    f.run(*f.general, "delete", "--force", "c")


# ---- what is counted ----

def test_a_signal_to_many_looks_at_their_list_a_few_times(faults):
    """It is as long as they are many: looked at for each of them, it took seconds for some thousands."""
    f = faults
    many = 600
    f.run("run", "-d", "-b", f.bundle(f.config("sh", "-c", f"for i in $(seq {many}); do sleep 1000 & done; wait")), "c")
    until(lambda: len(json.loads(f.run("ps", "--format", "json", "c").stdout)) == many + 1, "all of them")
    pids = json.loads(f.run("ps", "--format", "json", "c").stdout)
    subprocess.run([FAILCALL, "count", f.log, f.program, "--root", f.root, "kill", "--all", "c", "KILL"], env=f.env, check=True, timeout=60)
    looks = [c for c in read_log(f.log)[0] if c.path == "cgroup.procs"]
    assert len(looks) <= 10, len(looks)
    until(lambda: not any(alive(p) for p in pids), "the end of all")
    f.run("delete", "c")


READ = 0  # read(2), on x86-64


def is_in_call(pid, number):
    """It waits in that call, and has no signal left to be told of."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return pathlib.Path(f"/proc/{pid}/syscall").read_text().split()[0] == str(number) and "State:\tS" in status \
        and not any(int(v, 16) for v in re.findall(r"^(?:SigPnd|ShdPnd):\s*(\w+)$", status, re.M))


def test_a_call_that_the_kernel_makes_again_is_counted_once(tmp_path):
    """As the write to a sysctl of the network that finds its lock held: then one more or less would come before all others."""
    counts = []
    for interruptions in (0, 3):
        with subprocess.Popen([FAILCALL, "count", tmp_path / "log", "/bin/cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as tracer:
            cat = until(lambda: [int(p) for p in pathlib.Path(f"/proc/{tracer.pid}/task/{tracer.pid}/children").read_text().split()],
                        "failcall has begun")[0]
            until(lambda: is_in_call(cat, READ), "cat reads")
            for _ in range(interruptions):
                os.kill(cat, signal.SIGCHLD)  # it has no handler: read(2) begins again
                until(lambda: is_in_call(cat, READ), "cat reads again")
            tracer.stdin.close()
            assert tracer.wait(60) == 0
        calls, _ = read_log(tmp_path / "log")
        counts.append([(c.who, c.name) for c in calls])
    assert counts[0] == counts[1]
