"""The engine and the functions of WASI preview 1, without an agent: one process a module."""
import os
import re
import time

import pytest

import wasmtool as t

pytestmark = t.needs_wasm


# ---- every function of preview 1, from a C program ---------------------------------------------

@pytest.fixture(scope="module")
def wasi(tmp_path_factory):
    """{case: "ok" or what was wrong} of tests/e2e/wasm/wasi.c, in one run."""
    folder = tmp_path_factory.mktemp("wasi")
    rw, ro, outside = folder / "rw", folder / "ro", folder / "outside"
    for path in (rw, ro / "sub", outside):
        path.mkdir(parents=True)
    (ro / "file").write_text("hello\n")
    (outside / "secret").write_text("secret")
    (ro / "link").symlink_to("../outside")
    (rw / "abs").symlink_to("/etc")
    r = t.direct(t.compile_c(folder, "wasi.c"), "one", "two words", input="input",
                 options=["--env", "A=b", "--env", "EMPTY=", "--dir", f"{rw}::/rw", "--dir", f"{ro}::/ro::ro"])
    assert r.stderr == "to stderr\n", r
    assert (outside / "secret").read_text() == "secret" and os.listdir(outside) == ["secret"]
    assert sorted(os.listdir(folder)) == ["outside", "ro", "rw", "wasi.wasm"]
    return dict(reversed(line.split(" ", 1)) if line.startswith("ok ") else (line[5:].split(":")[0], line)
                for line in r.stdout.splitlines())


CASES = re.findall(r"\bCASE\((\w{2,})\),", (t.SOURCES / "wasi.c").read_text())


@pytest.mark.parametrize("case", CASES)
def test_wasi_function(wasi, case):
    assert wasi[case] == "ok"


def test_a_module_that_imports_every_function_of_preview_1_links(tmp_path):
    """The 46 of the WASI document, with their types; called by none."""
    table = {
        "args_get": "ii", "args_sizes_get": "ii", "environ_get": "ii", "environ_sizes_get": "ii",
        "clock_res_get": "ii", "clock_time_get": "iIi", "fd_advise": "iIIi", "fd_allocate": "iII",
        "fd_close": "i", "fd_datasync": "i", "fd_fdstat_get": "ii", "fd_fdstat_set_flags": "ii",
        "fd_fdstat_set_rights": "iII", "fd_filestat_get": "ii", "fd_filestat_set_size": "iI",
        "fd_filestat_set_times": "iIIi", "fd_pread": "iiiIi", "fd_prestat_get": "ii",
        "fd_prestat_dir_name": "iii", "fd_pwrite": "iiiIi", "fd_read": "iiii", "fd_readdir": "iiiIi",
        "fd_renumber": "ii", "fd_seek": "iIii", "fd_sync": "i", "fd_tell": "ii", "fd_write": "iiii",
        "path_create_directory": "iii", "path_filestat_get": "iiiii", "path_filestat_set_times": "iiiiIIi",
        "path_link": "iiiiiii", "path_open": "iiiiiIIii", "path_readlink": "iiiiii",
        "path_remove_directory": "iii", "path_rename": "iiiiii", "path_symlink": "iiiii",
        "path_unlink_file": "iii", "poll_oneoff": "iiii", "proc_raise": "i", "random_get": "ii",
        "sched_yield": "", "sock_accept": "iii", "sock_recv": "iiiiii", "sock_send": "iiiii",
        "sock_shutdown": "ii",
    }
    assert len(table) == 45  # and proc_exit, which has no result
    words = {"i": "i32", "I": "i64"}
    imports = "".join(f'(import "wasi_snapshot_preview1" "{name}" (func (param {" ".join(words[c] for c in types)})'
                      ' (result i32)))' for name, types in table.items())
    imports += '(import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))'
    r = t.direct(t.wat(tmp_path, f'(module {imports} (memory (export "memory") 1) (func (export "_start")))'))
    assert (r.returncode, r.stderr) == (0, "")


# ---- entry points and exit codes ----------------------------------------------------------------

@pytest.mark.parametrize("text, code, out, err", [
    ('(module (memory (export "memory") 1) (func (export "_start")))', 0, "", ""),
    (t.HELLO, 0, "Hello, WASM!\n", ""),
    (t.exits_with(42), 42, "", ""),
    (t.exits_with(255), 255, "", ""),
    (t.exits_with(256), 255, "", ""),  # what does not fit is not a success
    ('(module (func (export "main")))', 0, "", ""),
    ('(module (func (export "main") (result i32) (i32.const 9)))', 9, "", ""),
    ('(module (func (export "main") (result i32) (i32.const 256)))', 255, "", ""),
    ('(module (func (export "main") (result i32) (i32.const -1)))', 255, "", ""),
    ('(module (memory (export "memory") 1) (func (export "main") (param i32 i32) (result i32) (local.get 0)))',
     3, "", ""),  # argc
    ('(module (memory (export "memory") 1) (func (export "main") (param i32 i32) (result i32)'
     ' (i32.load8_u (i32.load offset=4 (local.get 1)))))', ord("x"), "", ""),  # argv[1][0]
    ('(module (func (export "main") (unreachable)) (func (export "_start")))', 0, "", ""),  # _start comes first
    ('(module (memory (export "memory") 1) (func $s (unreachable)) (start $s) (func (export "_start")))', 134, "",
     "wasm trap: unreachable"),
], ids=["empty", "hello", "proc_exit 42", "proc_exit 255", "proc_exit 256", "main", "main code", "main 256", "main -1", "main args",
        "main argv", "_start before main", "start function traps"])
def test_entry(tmp_path, text, code, out, err):
    r = t.direct(t.wat(tmp_path, text), "x", "y")
    assert (r.returncode, r.stdout, r.stderr.split("\n")[0]) == (code, out, err)


@pytest.mark.parametrize("text, says", [
    ('(module (memory (export "memory") 1) (func (export "run")))',
     "no _start or main function found (main may be () -> (), () -> i32 or (i32, i32) -> i32); it exports memory, run"),
    ('(module (func (export "main") (param i64)))', "no _start or main function found"),
    ("(module)", "it exports nothing"),
    ('(module (import "env" "magic" (func)) (func (export "_start")))',
     "link: unknown import: `env::magic` has not been defined"),
    ('(module (import "wasi_snapshot_preview1" "fd_write" (func)) (func (export "_start")))', "incompatible import type"),
    ("(module (func (export \"_start\") (i32.add)))", "type mismatch"),
    ("(module (func", "assemble the text"),
    ("no module at all", "not WebAssembly"),
], ids=["no entry", "main of another type", "no exports", "unknown import", "import of another type", "invalid",
        "broken text", "no WebAssembly"])
def test_a_module_that_cannot_run_says_why(tmp_path, text, says):
    module = t.wat(tmp_path, text)
    r = t.direct(module)
    assert r.returncode == 125 and r.stdout == ""
    assert r.stderr.startswith(f"zlayer-wasm: {module}: ") and says in r.stderr


@pytest.mark.parametrize("keep, says", [(0, "is not a file of 1 byte"), (3, "not WebAssembly"), (7, "cut off: 7 bytes"),
                                        (200, "cut off: section")])
def test_a_truncated_module_says_where(tmp_path, keep, says):
    whole = t.compile_c(tmp_path, "int main(void) { return 0; }\n")
    cut = tmp_path / "cut.wasm"
    cut.write_bytes(whole.read_bytes()[:keep])
    r = t.direct(cut)
    assert r.returncode == 125 and says in r.stderr, r.stderr


# ---- limits ---------------------------------------------------------------------------------------

def test_a_trap_is_told_with_the_guests_stack(tmp_path):
    r = t.direct(t.wat(tmp_path, t.TRAP))
    assert r.returncode == 134
    assert re.fullmatch(r"wasm trap: unreachable\n  0: inner \(0x\w+\)\n  1: outer \(0x\w+\)\n  2: function 2 \(0x\w+\)\n",
                        r.stderr)


@pytest.mark.parametrize("body, says", [
    ("(i32.store (i32.const 70000) (i32.const 1))", "memory out of bounds"),
    ("(drop (i32.div_s (i32.const 1) (i32.const 0)))", "division by zero"),
    ("(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))", "integer overflow"),
    ("(drop (i32.trunc_f32_s (f32.const nan)))", "bad conversion to integer"),
    ("(call_indirect (i32.const 0))", "null indirect call"),
    ("(call_indirect (i32.const 99))", "table out of bounds"),
    ("(call $f)", "stack overflow"),
])
def test_traps_have_names(tmp_path, body, says):
    r = t.direct(t.wat(tmp_path, f'(module (memory (export "memory") 1) (table 2 funcref) (func $f {body})'
                                 ' (func (export "_start") (call $f)))'))
    assert r.returncode == 134 and r.stderr.startswith(f"wasm trap: {says}"), r.stderr


DEEP = """(module (memory (export "memory") 1)
  (func $down (param i32) (result i32)
    (if (result i32) (local.get 0) (then (i32.add (i32.const 1) (call $down (i32.sub (local.get 0) (i32.const 1))))) (else (i32.const 0))))
  (func (export "main") (result i32) (i32.ne (call $down (i32.const DEPTH)) (i32.const DEPTH))))"""


@pytest.mark.parametrize("depth, code, says", [(40000, 0, ""), (10000000, 134, "wasm trap: stack overflow")])
def test_a_guest_may_call_deeply_but_not_without_end(tmp_path, depth, code, says):
    """40,000 calls need more than the half megabyte that the engine would give by itself."""
    r = t.direct(t.wat(tmp_path, DEEP.replace("DEPTH", str(depth))))
    assert r.returncode == code and r.stderr.startswith(says), r


def test_a_loop_ends_when_its_time_is_over(tmp_path):
    began = time.monotonic()
    r = t.direct(t.wat(tmp_path, t.LOOP), options=["--time", "300"])
    assert r.returncode == 134 and r.stderr.startswith("wasm trap: interrupt: its time was over")
    assert time.monotonic() - began > 0.29


def test_who_sleeps_is_woken_when_its_time_is_over(tmp_path):
    sleeper = t.compile_c(tmp_path, "#include <unistd.h>\nint main(void) { sleep(1000); return 0; }\n")
    r = t.direct(sleeper, options=["--time", "300"])
    assert r.returncode == 134 and r.stderr.startswith("wasm trap: interrupt: its time was over")


def test_fuel_runs_out(tmp_path):
    r = t.direct(t.wat(tmp_path, t.LOOP), options=["--fuel", "1000"])
    assert r.returncode == 134 and r.stderr.startswith("wasm trap: out of fuel")
    r = t.direct(t.wat(tmp_path, t.HELLO), options=["--fuel", "1000"])
    assert (r.returncode, r.stdout) == (0, "Hello, WASM!\n")


def test_memory_past_the_limit_is_refused_and_reported(tmp_path):
    """The guest is told -1, as for a machine without memory; the log says why, once."""
    module = t.wat(tmp_path, '''(module (memory (export "memory") 1)
      (func (export "main") (result i32)
        (drop (memory.grow (i32.const 100)))
        (if (i32.ne (memory.grow (i32.const 100)) (i32.const -1)) (then (return (i32.const 1))))
        (if (i32.ne (memory.grow (i32.const 1)) (i32.const 1)) (then (return (i32.const 2))))
        (i32.const 0)))''')
    r = t.direct(module, options=["--memory", str(2 << 20)])
    assert r.returncode == 0
    assert r.stderr == "zlayer: memory.grow to 6619136 bytes was refused: it would be over the limit\n"
    assert t.direct(module).returncode == 1


def grows(*memories, then):
    """A module with these memories whose main grows them by (memory, pages) and answers the pages of all."""
    text = " ".join(f"(memory $m{i} {m})" for i, m in enumerate(memories))
    word = "i64" if "i64" in memories[0] else "i32"
    calls = " ".join(f"(drop (memory.grow $m{i} ({word}.const {n})))" for i, n in then)
    size = "(memory.size $m0)" if word == "i32" else "(i32.wrap_i64 (memory.size $m0))"
    for i in range(1, len(memories)):
        size = f"(i32.add {size} (memory.size $m{i}))"
    return f'(module {text} (func (export "main") (result i32) {calls} {size}))'


@pytest.mark.parametrize("memories, then, pages", [
    (["10", "10", "10"], [(1, 2), (2, 1)], 32),  # the limit is theirs together
    (["10 11", "10 11", "0"], [(0, 9), (0, 9), (1, 12), (2, 12)], 32),  # what their own maximum refuses costs nothing
    (["1"], [(0, 20), (0, 65536), (0, 20), (0, 11)], 32),  # an impossible size gives nothing back
    (["i64 1"], [(0, 20), (0, 1 << 62), (0, 20), (0, 11)], 32),
], ids=["together", "own maximum", "impossible", "impossible, 64 bits"])
def test_all_memories_of_a_guest_have_one_limit(tmp_path, memories, then, pages):
    r = t.direct(t.wat(tmp_path, grows(*memories, then=then)), options=["--memory", str(32 << 16)])
    assert r.returncode == pages, r


def test_a_guest_that_begins_with_too_much_does_not_begin(tmp_path):
    r = t.direct(t.wat(tmp_path, grows("16", "16", "16", then=[])), options=["--memory", str(32 << 16)])
    assert r.returncode == 125 and "instantiate the module: memory minimum size of 16 pages exceeds memory limits" in r.stderr
    tables = " ".join("(table 100000 funcref)" for _ in range(3))
    r = t.direct(t.wat(tmp_path, f'(module {tables} (func (export "_start")))'), options=["--memory", str(32 << 16)])
    assert r.returncode == 125 and "instantiate the module: table minimum size of 100000 elements exceeds table limits" in r.stderr


def test_a_heap_of_objects_is_memory_of_the_guest_and_traps_when_it_is_full(tmp_path):
    r = t.direct(t.wat(tmp_path, '''(module (type $bytes (array (mut i8)))
      (func (export "_start") (drop (array.new $bytes (i32.const 7) (i32.const 100000000)))))'''), options=["--memory", str(2 << 20)])
    assert r.returncode == 134 and "wasm trap: GC heap out of memory" in r.stderr and "\n  0: function 0 (0x" in r.stderr


def test_output_of_any_size_comes_whole(tmp_path):
    writer = t.compile_c(tmp_path, '''#include <stdio.h>
      int main(void) { for (int i = 0; i < 5 * 16 * 1024; i++) printf("%063d\\n", i); return 0; }''')
    r = t.direct(writer)
    assert r.returncode == 0 and len(r.stdout) == 5 << 20 and r.stdout.endswith(f"{5 * 16 * 1024 - 1:063d}\n")


# ---- looking at files --------------------------------------------------------------------------------

def test_info_validate_and_compile(tmp_path):
    import subprocess
    hello = t.compile_c(tmp_path, "int main(void) { return 0; }\n")

    def run(*args):
        return subprocess.run([t.PROGRAM, *map(str, args)], capture_output=True, text=True, check=False)

    info = run("info", hello).stdout
    assert "kind    core module (WASI preview 1)" in info and "export  function   _start" in info
    assert re.search(r"import  function   wasi_snapshot_preview1 \w+", info)
    assert run("validate", hello).stdout == f"{hello}: valid\n"
    out = tmp_path / "hello.cwasm"
    assert run("compile", hello, out).returncode == 0 and out.stat().st_mode & 0o777 == 0o600
    bad = tmp_path / "bad.wasm"
    bad.write_bytes(hello.read_bytes()[:50])
    for verb in ("info", "validate"):
        r = run(verb, bad)
        assert r.returncode == 1 and r.stderr.startswith(f"zlayer-wasm: {bad}: cut off")
    assert run("info", tmp_path / "missing").returncode == 125
