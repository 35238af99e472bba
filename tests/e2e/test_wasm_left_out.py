"""An installation without WebAssembly, and one without components: what each says of what it cannot do."""
import pathlib
import shutil

import pytest

import world as w
import wasmtool
from wasmtool import HELLO, SOURCES, wat

pytestmark = wasmtool.needs_wasm
PROGRAMS = ["cli/zlayer", "agent/zlayerd", "fetch/zlayer-fetch", "ocicli/zlayer-oci", "shim/zlayer-shim", "shim/zlayer-init"]
WITHOUT_COMPONENTS = w.BUILD / "tests/tools/zlayer-wasm-without-components"


def install(world, zlayer_wasm=None):
    """All programs in one folder, as `meson install` lays them; with this zlayer-wasm, or none."""
    folder = pathlib.Path(world.folder) / "installed"
    folder.mkdir()
    for program in PROGRAMS:
        shutil.copy2(w.BUILD / "src" / program, folder)
    if zlayer_wasm:
        shutil.copy2(zlayer_wasm, folder / "zlayer-wasm")
    world.program = folder / "zlayer"
    return world


@pytest.fixture
def command(tmp_path):
    """A component, as text."""
    return wat(tmp_path, (SOURCES / "command.wat").read_text().replace("RESULT", "0"), "command.wat")


def binary(path):
    out = path.with_suffix(".wasm")
    wasmtool.run("assemble", path, out)
    return out


def test_without_webassembly_a_module_names_what_is_missing(world, busybox_tar, tmp_path):
    host = install(world)
    module = binary(wat(tmp_path, HELLO, "hello.wat"))
    r = host.zlayer("run", "--rm", module, code=125)
    assert "hello" in r.stderr and "zlayer-wasm" in r.stderr and "meson option wasm" in r.stderr, r.stderr
    for verb in ("info", "validate", "compile"):
        assert "meson option wasm" in host.zlayer("wasm", verb, module, code=None).stderr
    host.import_busybox(busybox_tar)
    assert host.zlayer("run", "--rm", "busybox", "echo", "a container").stdout == "a container\n"


def test_without_components_a_component_is_refused_and_a_module_runs(world, tmp_path, command):
    host = install(world, WITHOUT_COMPONENTS)
    for file in (command, binary(command)):
        r = host.zlayer("run", "--rm", file, code=125)
        assert "module 'localhost/command:" in r.stderr, r.stderr
        assert "components are not part of this build (meson option wasm_components)" in r.stderr, r.stderr
    assert host.leftovers() == []
    assert "wasm_components" in host.zlayer("wasm", "compile", command, code=1).stderr
    assert host.zlayer("run", "--rm", wat(tmp_path, HELLO)).stdout == "Hello, WASM!\n"


def test_without_the_engine_of_our_own_a_limit_is_of_one_memory(tmp_path):
    """The engine's C API knows no sums."""
    two = wat(tmp_path, '(module (memory 1) (memory 1) (func (export "_start")))', "two.wat")
    r = wasmtool.direct(two, options=["--memory", "131072"], program=WITHOUT_COMPONENTS)
    assert r.returncode == 125 and "memory count too high at 2" in r.stderr, r.stderr
    assert wasmtool.direct(two, program=WITHOUT_COMPONENTS).returncode == 0
