"""What the WebAssembly tests need: modules from text and from C, and zlayer-wasm itself.

No module is kept in the tree: text is assembled by zlayer-wasm, C compiled by clang with Debian's wasi-libc.
"""
import pathlib
import subprocess

import pytest

import world as w

PROGRAM = w.BUILD / "src/wasm/zlayer-wasm"
SOURCES = pathlib.Path(__file__).parent / "wasm"
needs_wasm = pytest.mark.skipif(not PROGRAM.exists(), reason="zlayer-wasm is not in this build")

HELLO = '''(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 8) "Hello, WASM!\\n")
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 8))
    (i32.store (i32.const 4) (i32.const 13))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 40)))))'''
LOOP = '(module (memory (export "memory") 1) (func (export "_start") (loop $again (br $again))))'
TRAP = '''(module (memory (export "memory") 1)
  (func $inner unreachable) (func $outer (call $inner)) (func (export "_start") (call $outer)))'''


def exits_with(code):
    return f'''(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (memory (export "memory") 1) (func (export "_start") (call $exit (i32.const {code}))))'''


def wat(folder, text, name="module.wat"):
    path = pathlib.Path(folder) / name
    path.write_text(text)
    return path


def compile_c(folder, source, name=None):
    """A module from a C file of tests/e2e/wasm, or from text."""
    folder = pathlib.Path(folder)
    path = SOURCES / source if (SOURCES / source).exists() else None
    if path is None:
        path = folder / ((name or "program") + ".c")
        path.write_text(source)
    out = folder / ((name or path.stem) + ".wasm")
    subprocess.run(["clang", "--target=wasm32-wasi", "-O1", "-Wall", "-Werror", path, "-o", out], check=True)
    return out


def run(*args, check=True):
    """A command of zlayer-wasm's own."""
    return subprocess.run([PROGRAM, *map(str, args)], capture_output=True, text=True, check=check)


def direct(module, *args, options=(), input=None, timeout=60, program=PROGRAM):
    """The module in one process of zlayer-wasm, without an agent."""
    return subprocess.run([program, "direct", *map(str, options), module, *args], input=input, text=True,
                          capture_output=True, timeout=timeout, check=False)
