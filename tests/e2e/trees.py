"""Trees of files: a root file system with everything that layers can hold, grown in three steps, and
the manifest of one, by which two are compared.

As a program it prints the manifest of layers under overlay, in a mount namespace of its own:
    trees.py OPTIONS TOP-LAYER LAYER… (highest first)
"""
import ctypes
import ctypes.util
import hashlib
import json
import os
import pathlib
import stat
import subprocess
import sys
import tempfile

BUSYBOX = "/bin/busybox"
CAP_NET_RAW = bytes([1, 0, 0, 2, 0, 0x20] + [0] * 14)  # VFS_CAP_REVISION_2, effective: capabilities(7)
SMALL_FILES = int(os.environ.get("ZLAYER_TEST_FILES", 10000))
OLD = 1_000_000_000


# ---- what a tree is ----------------------------------------------------------------------------

def content(path, st):
    """The digest of a file's bytes; holes need not be read."""
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while chunk := f.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def describe(path, links):
    st = os.lstat(path)
    kind = stat.S_IFMT(st.st_mode)
    row = {"type": kind, "mode": st.st_mode & 0o7777, "owner": (st.st_uid, st.st_gid), "mtime": st.st_mtime_ns}
    if stat.S_ISREG(kind):
        row["size"], row["sha256"] = st.st_size, content(path, st)
    if stat.S_ISLNK(kind):
        row["target"] = os.readlink(path).decode("latin-1")
    if stat.S_ISCHR(kind) or stat.S_ISBLK(kind):
        row["device"] = (os.major(st.st_rdev), os.minor(st.st_rdev))
    if not stat.S_ISDIR(kind) and st.st_nlink > 1:
        links.setdefault((st.st_dev, st.st_ino), []).append(path)
    if stat.S_ISREG(kind) or stat.S_ISDIR(kind):
        row["xattrs"] = {n: os.getxattr(path, n, follow_symlinks=False).hex() for n in sorted(os.listxattr(path, follow_symlinks=False))
                         if n == "security.capability" or (n.startswith("user.") and not n.startswith("user.overlay."))}
    return row


def manifest(root):
    """Every entry below root by its path (bytes as Latin-1), with all that a layer says of it."""
    root, rows, links = os.fsencode(root), {}, {}
    rows["."] = describe(root, links)
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = os.path.join(folder, name)
            rows[os.path.relpath(path, root).decode("latin-1")] = describe(path, links)
    for group in links.values():
        names = sorted(os.path.relpath(p, root).decode("latin-1") for p in group)
        for n in names:
            rows[n]["links"] = names
    return json.loads(json.dumps(rows))


def differences(a, b):
    """What two manifests disagree about, one line an entry."""
    lines = []
    for path in sorted(a.keys() | b.keys()):
        x, y = a.get(path), b.get(path)
        if x is None or y is None:
            lines.append(f"{path}: only in the {'second' if x is None else 'first'}")
        elif x != y:
            lines.append(f"{path}: " + ", ".join(f"{k} {x.get(k)} / {y.get(k)}" for k in sorted(x.keys() | y.keys()) if x.get(k) != y.get(k)))
    return lines


def overlay_manifest(layers, options="userxattr"):
    """The manifest of layers (lowest first) as overlay shows them."""
    out = subprocess.run(["unshare", "-m", "--propagation", "private", sys.executable, __file__, options, *map(str, reversed(layers))],
                         check=True, stdout=subprocess.PIPE).stdout
    return json.loads(out)


# ---- a tree with everything --------------------------------------------------------------------

def age(path, seconds, ns=0):
    os.utime(path, ns=((OLD + seconds) * 10**9 + ns,) * 2, follow_symlinks=False)


def write(path, text, mode=0o644, owner=(0, 0)):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    os.chown(path, *owner)
    os.chmod(path, mode)


def first(root, small_files=SMALL_FILES, big=64 << 20):
    """Step 1: all types, owners, modes, times, names, attributes."""
    root = pathlib.Path(root)
    for d, mode in {"bin": 0o755, "etc": 0o755, "tmp": 0o1777, "var/lib/app": 0o2750, "opt/old/deep": 0o755, "many": 0o755,
                    "dev": 0o755, "swap-dir": 0o700}.items():
        (root / d).mkdir(parents=True)
        os.chmod(root / d, mode)
    write(root / "bin/busybox", pathlib.Path(BUSYBOX).read_bytes(), 0o755)
    (root / "bin/sh").symlink_to("busybox")
    write(root / "bin/su", "setuid", 0o4755)
    write(root / "bin/ping", "can ping", 0o755)
    os.setxattr(root / "bin/ping", "security.capability", CAP_NET_RAW)
    write(root / "etc/owned", "of someone", 0o640, (1234, 4321))
    write(root / "etc/far", "of a large id", 0o600, (3_000_000_000, 3_000_000_001))
    write(root / "etc/noted", "attributes", 0o644)
    os.setxattr(root / "etc/noted", "user.note", b"bytes \0 and \xff")
    write(root / "etc/a", "one file", 0o644)
    os.link(root / "etc/a", root / "etc/b")
    os.link(root / "etc/a", root / "var/c")
    write(root / "etc/gone", "deleted later")
    write(root / "etc/back", "deleted and back again")
    write(root / "opt/old/file", "hidden later")
    write(root / "swap-dir/inner", "a folder that becomes a file")
    write(root / "swap-file", "a file that becomes a folder")
    write(root / ("n" * 200), "a long name")
    (root / ("d" * 90) / ("e" * 90) / ("f" * 90)).mkdir(parents=True)
    write(root / ("d" * 90) / ("e" * 90) / ("f" * 90) / "deep", "a long path")
    (root / "absolute").symlink_to("/etc/owned")
    (root / "dangling").symlink_to("t" * 150)
    with open(os.fsencode(root) + b"/latin-\xe9-\xff", "wb") as f:
        f.write(b"not UTF-8")
    write(root / "caf\u00e9", "UTF-8")
    os.mkfifo(root / "var/pipe", 0o620)
    os.chmod(root / "var/pipe", 0o620)
    os.mknod(root / "dev/char", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.mknod(root / "dev/block", 0o660 | stat.S_IFBLK, os.makedev(7, 300))
    for i in range(small_files):
        d = root / "many" / str(i % 100)
        if i < 100:
            d.mkdir()
        (d / f"file{i}").write_text(f"content {i}\n")
    with open(root / "var/sparse", "wb") as f:
        f.write(b"begin")
        f.seek(big // 2)
        f.write(b"middle")
        f.truncate(big)
    write(root / "empty", "")
    age(root / "etc/owned", 5, 123456789)
    age(root / "bin/sh", 77)
    age(root / "var/lib/app", 99)


def swap(root):
    """Step 2b: a folder that becomes a file."""
    subprocess.run(["rm", "-r", root / "swap-dir"], check=True)
    write(root / "swap-dir", "a file now")


def second(root):
    """Step 2: deletions, other types, links to what is there already."""
    root = pathlib.Path(root)
    (root / "etc/gone").unlink()
    (root / "etc/back").unlink()
    subprocess.run(["rm", "-r", root / "opt/old"], check=True)
    (root / "opt/old").mkdir()  # anew: nothing of the old one may show
    write(root / "opt/old/new", "all there is")
    (root / "swap-file").unlink()
    (root / "swap-file").mkdir()
    write(root / "swap-file/inner", "a folder now")
    os.link(root / "bin/su", root / "bin/su2")
    write(root / "etc/owned", "changed", 0o400, (1, 2))
    os.chmod(root / "tmp", 0o1770)
    write(root / "many/7/file7", "changed too")
    (root / "many/8/file8").unlink()
    os.symlink("busybox", root / "bin/ls")


def third(root):
    """Step 3: something that was deleted is back, and a link across three steps."""
    root = pathlib.Path(root)
    write(root / "etc/back", "again")
    os.link(root / "etc/noted", root / "etc/noted-too")
    (root / "var/pipe").unlink()


STEPS = (first, second, third)


if __name__ == "__main__":
    options, layers = sys.argv[1], sys.argv[2:]
    libc = ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True)
    with tempfile.TemporaryDirectory() as folder:
        # By short names: the options of a mount end at one page (mount(2)).
        for i, layer in enumerate(layers):
            os.symlink(layer, f"{folder}/{i}")
        os.mkdir(f"{folder}/empty")
        os.mkdir(f"{folder}/view")
        lower = ":".join([f"{folder}/{i}" for i in range(len(layers))] + [f"{folder}/empty"])
        if libc.mount(b"overlay", f"{folder}/view".encode(), b"overlay", 1, f"lowerdir={lower},{options}".encode()) < 0:
            sys.exit(f"mount overlay: {os.strerror(ctypes.get_errno())}")
        json.dump(manifest(f"{folder}/view"), sys.stdout)
        libc.umount2(f"{folder}/view".encode(), 0)
