"""WASI preview 1 as wasmtime has it and as ours: some 25,000 calls of one program, answered alike but where we mean it."""
import pathlib
import re
import subprocess
import tempfile

import pytest

import wasmtool as t
import world as w

pytestmark = t.needs_wasm
REFERENCE = w.BUILD / "tests/tools/wasi-reference"
ERRORS = set(range(1, 77))
INVAL, LOOP, NAMETOOLONG, NOENT, NOTDIR, NOTSUP = 28, 32, 37, 44, 54, 58
OK, BADF, INTR, PERM, ROFS = 0, 8, 27, 63, 69

# What was called, wasmtime's answers, ours, and why ours.
HELD = [
    (r"(path_open ro|ro|rw|to) .*|on 'read-only preopen' .*|fd_\w+ read-only preopen .*", {PERM}, {ROFS}, "a folder that is read-only says so"),
    (r"(ro|rw) .* ''", {PERM}, {NOENT}, "an empty path is none, wherever"),
    (r"(on|to) '\w+' 'path_\w+'", {BADF}, {NOTDIR}, "a file is no folder: the same for each function, as for path_open"),
    (r"path_open rw .* fd=\d+", {NOTSUP}, {OK}, "DSYNC, RSYNC and SYNC are kept"),
    (r".* '?synced'?( .*)?", ERRORS | {OK}, ERRORS | {OK}, "what follows of it: wasmtime has no such descriptor"),
    (r"path_open rw 'dir' .* fd=[145]", {OK}, {OK}, "flags of a folder are told as they were set"),
    (r"path_open rw '\w+' look=0 o=2 .*", {LOOP}, {NOTDIR}, "a symbolic link that is not followed is no folder"),
    (r"path_(open|filestat_set_times) .*'' .*", {INVAL}, {NOENT}, "the path is looked at before the flags"),
    (r"path_filestat_(get|set_times) '[^']+/\.?' look=0 .*", {OK}, ERRORS | {OK}, "a slash at the end means a folder"),
    (r"path_filestat_get '[^']+/\.?' look=0", {OK}, ERRORS | {OK}, "the same"),
    (r"path_filestat_set_times .* flags=0", {OK}, {NOENT, NAMETOOLONG}, "no times to set, and no file either"),
    (r"path_(link|rename|symlink|unlink_file|remove_directory) .*(/'|'').*", ERRORS, ERRORS,
     "of two errors the one that Linux sees first"),
    (r"fd_allocate .*", {NOTSUP}, ERRORS | {OK}, "it allocates"),
    (r"clock_(res|time)_get [23]", {BADF}, {OK}, "the guest's process has processor times"),
    (r"fd_p?(read|write) \w+ 3( \d+)?|fd_tell \w+ 3 \d+", {OK}, {OK}, "all buffers of a list are used, not the first only"),
    (r"fd_tell appender 0 \d+", {OK}, {OK}, "writing nothing moves nothing"),
    (r"fd_read stdin 0", {INTR}, {OK}, "nothing is read at once"),
    (r"fd_fdstat_get (stdin|stdout|stderr|folder|tree)", {OK}, {OK}, "rights of what is of use there; nothing is bounded by them"),
    (r"fd_fdstat_set_flags std\w+ \d+", {BADF}, {OK, INVAL}, "stdio may be made non-blocking"),
    (r"fd_fdstat_set_rights std\w+", {BADF}, {NOTSUP}, "stdio is open"),
    (r"fd_filestat_set_times .* \d+", {INVAL}, {BADF}, "the descriptor is looked at before the flags"),
    (r"fd_filestat_set_times preopen \d+", {BADF}, {OK}, "a folder has times, too"),
    (r"fd_seek \w+ -?\d{19} \d|fd_advise \w+ \d{19,} \d", {OK}, {INVAL}, "no file is as long"),
]


def tree(folder):
    """What sweep.c makes of its tree, where it cannot write."""
    (folder / "dir/sub").mkdir(parents=True)
    (folder / "file").write_text("content")
    (folder / "empty").write_text("")
    (folder / "dir/in").write_text("inner")
    for name, target in {"link": "file", "dlink": "dir", "dangling": "missing", "loop": "loop", "out": "../../outside"}.items():
        (folder / name).symlink_to(target)


def sweep(folder, module, *program):
    for name in ("rw", "ro", "outside"):
        (folder / name).mkdir(parents=True)
    (folder / "outside/secret").write_text("secret")
    tree(folder / "ro/t")
    r = subprocess.run([*program, "--env", "A=b", "--env", "EMPTY=", "--dir", f"{folder}/rw::/rw", "--dir", f"{folder}/ro::/ro::ro",
                        module, "one", "two words"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
    assert (r.returncode, r.stderr) == (0, "")
    assert (folder / "outside/secret").read_text() == "secret"
    return r.stdout.splitlines()


@pytest.fixture(scope="module")
def both():
    """On tmpfs: a disk would take a minute for that many files."""
    with tempfile.TemporaryDirectory(prefix="zlayer-sweep.", dir="/dev/shm") as name:
        folder = pathlib.Path(name)
        module = t.compile_c(folder, "sweep.c")
        return sweep(folder / "wasmtime", module, REFERENCE), sweep(folder / "ours", module, t.PROGRAM, "direct")


def errno_of(line):
    call, answer = line.split(": ", 1)
    return call, int(answer.split()[0])


def test_every_call_is_answered_as_wasmtime_answers_it_or_as_is_held(both):
    theirs, ours = both
    assert len(theirs) == len(ours) > 25000
    used, unheld = set(), []
    for their, our in zip(theirs, ours):
        if their == our:
            continue
        call, their_errno = errno_of(their)
        assert call == errno_of(our)[0]
        rule = next((i for i, (pattern, a, b, _) in enumerate(HELD) if re.fullmatch(pattern, call) and their_errno in a
                     and errno_of(our)[1] in b), None)
        used.add(rule)
        if rule is None:
            unheld.append((their, our))
    assert not unheld, unheld[:20]
    assert used == set(range(len(HELD))), [HELD[i][0] for i in set(range(len(HELD))) - used]


def test_nothing_that_wasmtime_refuses_as_leading_out_is_let_through(both):
    """PERM of a path is its word for one that leaves the folder, or for what a read-only one refuses."""
    for their, our in zip(*both):
        call, errno = errno_of(their)
        if errno == PERM:
            assert errno_of(our)[1] != OK, call
