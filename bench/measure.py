"""What every section of the benchmark needs: one timed run, and figures of many."""
import os
import statistics
import time


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * p / 100))]


def figures(ms):
    return f"min {min(ms):8.2f}  median {statistics.median(ms):8.2f}  p99 {percentile(ms, 99):8.2f} ms"


def timed(argv, env=None, cwd=None):
    """Milliseconds from the start of argv to its end, which must be exit 0."""
    if cwd:
        os.chdir(cwd)
    began = time.perf_counter()
    pid = os.posix_spawn(argv[0], argv, env or os.environ, file_actions=[
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)])
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    ms = (time.perf_counter() - began) * 1000
    if status != 0:
        raise RuntimeError(f"{' '.join(map(str, argv))}: exit {status}")
    return ms


def interleaved(commands, rounds, gap, **how):
    """{name: [ms]} of commands {name: function that makes its argv}; each start after `gap` seconds of idleness.

    Interleaved, so that whatever else the machine does meets all alike; after a gap, because that is how
    users start things, and because it shows the waits in the kernel that a busy loop hides.
    """
    times = {name: [] for name in commands}
    for i in range(rounds + 3):
        for name, argv in commands.items():
            time.sleep(gap)
            ms = timed(argv(i), **how)
            if i >= 3:  # the first warm the page cache
                times[name].append(ms)
    return times
