"""zlayer-oci: mounts, their options, and how they propagate."""
import os
import shutil
import stat

import pytest


def run(oci, config, *args, code=0):
    config["process"]["args"] = list(args)
    return oci.run("run", "-b", oci.bundle(config), "c", code=code)


def bind(oci, source, *options, to="/mnt", kind="bind"):
    config = oci.config("true")
    config["root"]["readonly"] = False
    config["mounts"].append({"destination": to, "type": kind, "source": str(source), "options": ["bind", *options]})
    return config


def options_at(oci, config, target="/mnt"):
    """The mounts at and below target: their own options, as mountinfo tells."""
    lines = run(oci, config, "cat", "/proc/self/mountinfo").stdout.splitlines()
    return {f[4]: f[5].split(",") for f in (line.split() for line in lines) if f[4] == target or f[4].startswith(target + "/")}


@pytest.fixture
def folder(oci):
    (oci.folder / "src/sub").mkdir(parents=True)
    (oci.folder / "src/file").write_text("x")
    return oci.folder / "src"


@pytest.mark.parametrize("option, has, lacks", [
    ("ro", "ro", "rw"), ("rw", "rw", "ro"), ("nosuid", "nosuid", ""), ("nodev", "nodev", ""), ("noexec", "noexec", ""),
    ("noatime", "noatime", "relatime"), ("nodiratime", "nodiratime", ""), ("relatime", "relatime", "noatime"), ("atime", "relatime", "noatime"),
    ("strictatime", "", "relatime"), ("nostrictatime", "relatime", ""), ("nosymfollow", "nosymfollow", ""),
])
def test_an_option_of_a_bind_is_its_own(oci, folder, option, has, lacks):
    got = options_at(oci, bind(oci, folder, option))["/mnt"]
    assert (not has or has in got) and lacks not in got


@pytest.mark.parametrize("option, has", [
    ("rro", "ro"), ("rnosuid", "nosuid"), ("rnodev", "nodev"), ("rnoexec", "noexec"), ("rnoatime", "noatime"), ("rrelatime", "relatime"),
    ("ratime", "relatime"), ("rnostrictatime", "relatime"), ("rnorelatime", "relatime"), ("rnodiratime", "nodiratime"), ("rnosymfollow", "nosymfollow"),
])
def test_a_recursive_option_reaches_every_mount_below(oci, option, has):
    got = options_at(oci, bind(oci, "/sys/fs", "rbind", option))
    assert len(got) > 1 and all(has in options for options in got.values()), got


@pytest.mark.parametrize("option, lacks", [("rrw", "ro"), ("rsuid", "nosuid"), ("rdev", "nodev"), ("rexec", "noexec"), ("rdiratime", "nodiratime"),
                                           ("rsymfollow", "nosymfollow"), ("rstrictatime", "relatime")])
def test_a_recursive_option_takes_back_as_well(oci, option, lacks):
    strict = {"rstrictatime": ["rrelatime"]}.get(option, ["rro", "rnosuid", "rnodev", "rnoexec", "rnodiratime", "rnosymfollow"])
    got = options_at(oci, bind(oci, "/sys/fs", "rbind", *strict, option))
    assert len(got) > 1 and all(lacks not in options for options in got.values()), got


@pytest.mark.parametrize("option", ["private", "rprivate", "slave", "rslave", "shared", "rshared", "unbindable", "runbindable"])
def test_propagation_is_as_written(oci, folder, option):
    lines = run(oci, bind(oci, folder, option), "cat", "/proc/self/mountinfo").stdout.splitlines()
    tags = next(line for line in lines if line.split()[4] == "/mnt").split(" - ")[0].split()[6:]
    word = option.removeprefix("r")
    expect = {"private": [], "slave": [], "shared": ["shared"], "unbindable": ["unbindable"]}[word]
    assert [t.partition(":")[0] for t in tags if not t.startswith("master")] == expect


@pytest.mark.parametrize("mode, tag", [("private", ""), ("rprivate", ""), ("slave", ""), ("shared", "shared"), ("rshared", "shared"),
                                       ("unbindable", "unbindable"), ("runbindable", "unbindable")])
def test_the_roots_propagation_is_as_written(oci, mode, tag):
    config = oci.config("true")
    config["linux"]["rootfsPropagation"] = mode
    lines = run(oci, config, "cat", "/proc/self/mountinfo").stdout.splitlines()
    tags = next(line for line in lines if line.split()[4] == "/").split(" - ")[0].split()[6:]
    assert [t.partition(":")[0] for t in tags if not t.startswith("master")] == ([tag] if tag else [])


def test_a_mount_is_changed_afterwards_by_remount(oci, folder):
    config = bind(oci, folder, "rw")
    config["mounts"].append({"destination": "/mnt", "options": ["remount", "bind", "ro", "noexec"], "source": "none"})
    got = options_at(oci, config)["/mnt"]
    assert "ro" in got and "noexec" in got
    config = oci.config("true")
    config["mounts"] += [{"destination": "/mnt", "type": "tmpfs", "source": "tmpfs", "options": ["size=64k"]},
                         {"destination": "/mnt", "type": "tmpfs", "source": "tmpfs", "options": ["remount", "size=128k"]}]
    config["root"]["readonly"] = False
    assert run(oci, config, "busybox", "df", "-k", "/mnt").stdout.split()[-5] == "128"


def test_a_tmpfs_begins_with_what_it_covers(oci):
    config = oci.config("true")
    config["mounts"].append({"destination": "/etc", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup", "nosuid"]})
    script = "cat /etc/passwd | head -n 1; stat -c '%a %u' /etc; echo new > /etc/new && echo written"
    plain = run(oci, oci.config("true"), "sh", "-c", "head -n 1 /etc/passwd; stat -c '%a %u' /etc").stdout
    assert run(oci, config, "sh", "-c", script).stdout == plain + "written\n"
    assert not (oci.tree / "etc/new").exists()
    config["mounts"][-1]["options"].append("ro")
    assert run(oci, config, "sh", "-c", "head -n 1 /etc/passwd; touch /etc/x 2>/dev/null || echo read-only").stdout.endswith("read-only\n")


def test_a_copy_keeps_modes_owners_links_and_nodes(oci):
    tree = oci.folder / "root"
    shutil.copytree(oci.tree, tree, symlinks=True)
    data = tree / "data"
    (data / "deep/er").mkdir(parents=True)
    (data / "suid").write_text("x" * 100000)
    os.chown(data / "suid", 12, 34)
    (data / "suid").chmod(0o4755)
    os.symlink("/proc/self/fd/0", data / "link")
    os.mkfifo(data / "fifo")
    (data / "fifo").chmod(0o620)
    (data / "deep/er/f").write_text("f")
    os.setxattr(data / "suid", "security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))
    os.chmod(data, 0o1777)
    config = oci.config("true")
    config["root"]["path"] = str(tree)
    config["mounts"].append({"destination": "/data", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup"]})
    script = "cd /data; stat -c '%n %a %u %g %F %s' . suid link fifo deep/er/f; readlink link"
    got = run(oci, config, "sh", "-c", script).stdout.splitlines()
    assert got[1:] == ["suid 4755 12 34 regular file 100000", "link 777 0 0 symbolic link 15", "fifo 620 0 0 fifo 0",
                       "deep/er/f 644 0 0 regular file 1", "/proc/self/fd/0"]
    assert got[0].startswith(". 1777 0 0 directory")
    assert stat.S_IMODE(os.stat(data).st_mode) == 0o1777
    config["mounts"][-1]["options"].append("mode=700")
    assert run(oci, config, "stat", "-c", "%a", "/data").stdout == "700\n"


def test_a_copy_is_of_a_tmpfs_only(oci, folder):
    assert "tmpcopyup is for a tmpfs" in run(oci, bind(oci, folder, "tmpcopyup"), "true", code=125).stderr


def test_masked_and_read_only_paths_are_so(oci):
    config = oci.config("true")
    config["root"]["readonly"] = False
    config["linux"]["maskedPaths"] = ["/etc/passwd", "/bin", "/no/such"]
    config["linux"]["readonlyPaths"] = ["/etc/group", "/tmp", "/no/such"]
    (oci.tree / "tmp").mkdir(exist_ok=True)
    config["process"]["env"] = ["PATH=/sbin:/usr/bin"]
    script = "wc -c < /etc/passwd; ls /bin | wc -l; echo > /etc/group || echo ro; touch /tmp/x || echo ro"
    config["mounts"].append({"destination": "/x", "type": "bind", "source": str(oci.tree / "bin"), "options": ["bind"]})
    config["process"]["env"] = ["PATH=/x"]
    r = run(oci, config, "/x/sh", "-c", script)
    assert r.stdout.split() == ["0", "0", "ro", "ro"]
