"""What the escape tests share: hostile images, the shipped zlayer-oci, and its weakened doubles.

Each test is run with the shipped program, out of which nothing may escape, and with one that lacks exactly
the defence in question (src/base/weaken.h), out of which it must: else the test proves nothing.
"""
import os
import pathlib
import shutil
import subprocess

import pytest

from ocibundle import Oci, unpack
from world import BUILD

SHIPPED = pathlib.Path(os.environ.get("ZLAYER_SHIPPED", BUILD)).resolve()
ATTACK = pathlib.Path(__file__).parent / "escape/attack.c"


def weak_program(name):
    return SHIPPED / f"tests/weak/zlayer-oci-{name}"


def against(*weaknesses):
    """Runs the test with the shipped program and without each of the defences."""
    return pytest.mark.parametrize("arena", [None, *weaknesses], indirect=True, ids=["shipped", *weaknesses])


class Arena(Oci):
    """An Oci with a hostile image of its own; `weak` says whether an escape is expected."""

    def __init__(self, folder, busybox_tar, attack, weakness):
        folder = pathlib.Path(folder)
        original = weak_program(weakness) if weakness else SHIPPED / "src/ocicli/zlayer-oci"
        program = folder / "zlayer-oci"  # a copy: it may be overwritten
        shutil.copy2(original, program)
        super().__init__(folder, unpack(busybox_tar, folder / "rootfs"), program)
        self.weak = weakness
        shutil.copy2(attack, self.tree / "bin/attack")
        self.outside = folder / "outside"  # of the host, and no container's business
        self.outside.mkdir()

    def hold(self, config, name="c"):
        """A running container; its output goes into a file, whose path this returns."""
        out = self.folder / f"{name}.out"
        with open(out, "w") as f:
            p = self.popen("create", "-b", self.bundle(config), name, stdout=f, stderr=subprocess.STDOUT)
            assert p.wait(60) == 0, out.read_text()
        self.run("start", name)
        return out

    def renew(self, program):
        """A program that can be executed again: another file, for who overwrote it may still have it open."""
        self.program.unlink()
        self.program.write_bytes(program)
        self.program.chmod(0o755)

    def judge(self, escapes, detail=""):
        """escapes: what got out, as a list; empty with the shipped program, and only then."""
        if self.weak:
            assert escapes, f"the weakness {self.weak} makes no difference: this test proves nothing\n{detail}"
        else:
            assert not escapes, f"{escapes}\n{detail}"


def escapes_in(text):
    return [line for line in text.splitlines() if "ESCAPED" in line]
