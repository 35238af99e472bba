"""checkpoint and restore of zlayer-oci: what criu is asked, and what becomes of its answers.

criu itself is a stand-in here (criu_standin.py): whether the real one works depends on the kernel.
"""
import json
import os
import pathlib
import socket
import subprocess

import pytest

STANDIN = pathlib.Path(__file__).with_name("criu_standin.py")
DUMP_ALWAYS = {"log_level": 4, "log_file": "dump.log", "notify_scripts": True, "orphan_pts_master": True,
               "manage_cgroups": True, "manage_cgroups_mode": "SOFT"}


@pytest.fixture
def oci(oci):
    """With the stand-in as the criu of $PATH."""
    path = oci.folder / "path"
    path.mkdir()
    (path / "criu").symlink_to(STANDIN)
    oci.env |= {"PATH": f"{path}:{os.environ['PATH']}", "CRIU_KEEP": str(oci.folder / "asked")}
    return oci


def asked(oci):
    """What criu was asked, without the numbers of descriptors."""
    seen = json.loads((oci.folder / "asked").read_text())
    opts = seen["request"]["opts"]
    del opts["images_dir_fd"], opts["work_dir_fd"]
    return seen, opts


def config_with_bind(oci, *args):
    config = oci.config(*args)
    data = oci.folder / "data"
    data.mkdir(exist_ok=True)
    config["mounts"].append({"destination": "/data", "type": "bind", "source": str(data), "options": ["rbind"]})
    return config


@pytest.fixture
def running(oci):
    oci.bundle_of_c = oci.bundle(config_with_bind(oci, "sleep", 1000))
    oci.run("run", "--detach", "-b", oci.bundle_of_c, "c")
    return oci


def test_without_criu_it_is_unsupported(running):
    r = running.run("--criu", "nothing-such", "checkpoint", "c", code=1)
    assert "checkpoint and restore need criu, and there is no program 'nothing-such' in $PATH" in r.stderr
    r = running.run("--criu", "/no/such", "restore", "-b", running.bundle_of_c, "--image-path", running.folder, "d", code=125)
    assert running.state("c")["status"] == "running"
    running.run("--criu", STANDIN, "checkpoint", "--image-path", running.folder / "img", "c")


def test_a_checkpoint_asks_criu_exactly_this(running):
    pid = running.state("c")["pid"]
    running.run("checkpoint", "--image-path", running.folder / "img", "--leave-running", "c")
    seen, opts = asked(running)
    external = opts.pop("external")
    assert seen["argv"][1:] == ["swrk", "3"] and seen["request"]["type"] == "DUMP"
    assert opts == {**DUMP_ALWAYS, "pid": pid, "leave_running": True}
    assert seen["images"] == seen["work"] == str(running.folder / "img")
    masked = [p for p in json.loads((running.bundle_of_c / "config.json").read_text())["linux"]["maskedPaths"] if os.path.isfile(p)]
    # masked folders are saved as they are
    assert masked and external == ["mnt[/data]:/data", *(f"mnt[{p}]:{p}" for p in masked)]
    assert len(json.loads((running.folder / "img/descriptors.json").read_text())) == 3
    assert running.state("c")["status"] == "running"


def test_every_option_of_a_checkpoint_reaches_criu(running):
    flags = {"tcp-established": "tcp_established", "ext-unix-sk": "ext_unix_sk", "shell-job": "shell_job", "file-locks": "file_locks",
             "lazy-pages": "lazy_pages", "auto-dedup": "auto_dedup", "leave-running": "leave_running", "tcp-skip-in-flight": "tcp_skip_in_flight"}
    running.run("checkpoint", "--image-path", "img", "--work-path", "log", "--parent-path", "../before", "--page-server", "127.0.0.1:77",
                "--manage-cgroups-mode", "full", "--empty-ns", "network", "--status-fd", "2", *(f"--{f}" for f in flags), "c")
    seen, opts = asked(running)
    assert {flags[f]: opts[flags[f]] for f in flags} == {v: True for v in flags.values()}
    assert (opts["parent_img"], opts["track_mem"], opts["ps"]) == ("../before", True, {"address": "127.0.0.1", "port": 77})
    assert (opts["manage_cgroups_mode"], opts["empty_ns"], opts["status_fd"]) == ("FULL", 1 << 30, 2)
    assert seen["work"] == str(running.folder / "log")


def test_a_checkpoint_ends_and_deletes_the_container(running):
    running.run("checkpoint", "--image-path", "img", "c")
    assert running.run("list", "-q").stdout == "" and running.leftovers() == []


def test_a_pre_dump_is_of_memory_and_the_container_goes_on(running):
    running.run("checkpoint", "--pre-dump", "--image-path", "img", "c")
    seen, opts = asked(running)
    assert seen["request"]["type"] == "PRE_DUMP" and opts["track_mem"]
    assert running.state("c")["status"] == "running"


def test_what_criu_complains_of_is_told_and_nothing_changes(running):
    running.env["CRIU_FAIL"] = "1"
    r = running.run("checkpoint", "--image-path", "img", "c", code=1)
    assert r.stderr.strip() == ("zlayer-oci: checkpoint container 'c': save the container: criu could not: no images: Invalid argument: "
                                "Error (criu/x.c:7): it is a stand-in; see 'img/dump.log'")
    assert running.state("c")["status"] == "running"


@pytest.mark.parametrize("arguments, message", [
    (["--parent-path", "/x"], "must be relative"), (["--page-server", "77"], "expected ADDRESS:PORT"), (["--empty-ns", "pid"], "expected network"),
    (["--manage-cgroups-mode", "hard"], "soft"), (["--status-fd", "77"], "--status-fd 77")])
def test_wrong_options_are_refused_before_criu_is_asked(running, arguments, message):
    assert message in running.run("checkpoint", "--image-path", "img", *arguments, "c", code=1).stderr
    assert not (running.folder / "asked").exists()


def test_only_a_running_container_is_saved(oci):
    oci.run("create", "-b", oci.bundle(oci.config("sleep", 1000)), "c")
    assert "it is created" in oci.run("checkpoint", "c", code=1).stderr
    oci.run("start", "c")
    oci.run("pause", "c")
    assert "it is paused; resume it first" in oci.run("checkpoint", "c", code=1).stderr
    oci.run("resume", "c")


# ---- restore ------------------------------------------------------------------------------------

@pytest.fixture
def saved(running):
    running.run("checkpoint", "--image-path", "img", "c")
    (running.folder / "img/descriptors.json").write_text('["/dev/null", "pipe:[11]", "pipe:[12]"]')
    return running


def test_a_restore_asks_criu_exactly_this(saved):
    netns = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo up; exec sleep 1000"], stdout=subprocess.PIPE)
    assert netns.stdout.readline() == b"up\n"
    config = config_with_bind(saved, "sleep", 1000)
    path = f"/proc/{netns.pid}/ns/net"
    next(n for n in config["linux"]["namespaces"] if n["type"] == "network")["path"] = path
    try:
        saved.run("restore", "--detach", "--image-path", "img", "--pid-file", "pid", "-b", saved.bundle(config), "c")
        seen, opts = asked(saved)
        external, roots = opts.pop("external"), opts.pop("cg_root")
        inherited = [i["key"] for i in opts.pop("inherit_fd")]
        assert seen["request"]["type"] == "RESTORE"
        assert opts == {**DUMP_ALWAYS, "log_file": "restore.log", "root": str(saved.tree), "rst_sibling": True, "evasive_devices": True}
        assert f"mnt[/data]:{saved.folder}/data" in external and "mnt[/proc/kcore]:/dev/null" in external
        assert inherited == ["extRootNetNS", "pipe:[11]", "pipe:[12]"]
        assert seen["inherited"]["extRootNetNS"] == os.readlink(path)
        assert str(saved.tree) in seen["mounts"] and str(saved.tree) not in pathlib.Path("/proc/self/mountinfo").read_text()
        # criu is in the container's cgroups already, so that all it makes is
        wanted = config["linux"]["cgroupsPath"]
        assert any(line.endswith(wanted) for line in seen["cgroups"]) and all(r["path"] == wanted for r in roots)
        state = saved.state("c")
        assert state["status"] == "running" and state["pid"] == int((saved.folder / "pid").read_text())
    finally:
        netns.kill()
        netns.communicate()


def test_a_restore_in_the_foreground_gives_the_exit_code(saved):
    p = saved.popen("restore", "--image-path", "img", "-b", saved.bundle_of_c, "c")
    assert p.stdout.readline() == "restored\n"
    saved.until_status("c", "running")
    p.terminate()
    assert p.wait(60) == 7
    p.communicate()
    assert saved.run("list", "-q").stdout == ""


def test_a_restored_terminal_goes_to_the_console_socket(saved):
    config = config_with_bind(saved, "sleep", 1000)
    config["process"]["terminal"] = True
    saved.env["CRIU_TERMINAL"] = "1"
    path = saved.folder / "console.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        saved.run("restore", "--detach", "--console-socket", path, "--image-path", "img", "-b", saved.bundle(config), "c")
        with server.accept()[0] as peer:
            name, fds, _, _ = socket.recv_fds(peer, 100, 1)
    assert name == b"/dev/ptmx" and os.ttyname(fds[0]).startswith("/dev/")
    os.close(fds[0])


def test_hooks_run_once_the_namespaces_are_there(saved):
    config = config_with_bind(saved, "sleep", 1000)
    out = saved.folder / "order"
    hook = lambda word: [{"path": "/bin/sh", "args": ["sh", "-c", f"cat > {out}.{word}; echo {word} >> {out}"]}]
    config["hooks"] = {"createRuntime": hook("createRuntime"), "poststop": hook("poststop")}
    bundle = saved.bundle(config)
    saved.run("restore", "--detach", "--image-path", "img", "-b", bundle, "c")
    assert json.loads(pathlib.Path(f"{out}.createRuntime").read_text())["pid"] == saved.state("c")["pid"]
    saved.run("delete", "--force", "c")
    assert out.read_text() == "createRuntime\npoststop\n"
    config["hooks"]["createRuntime"] = [{"path": "/bin/false"}]
    r = saved.run("restore", "--detach", "--image-path", "img", "-b", saved.bundle(config), "c", code=125)
    assert "createRuntime hook '/bin/false': exit status 1" in r.stderr and saved.leftovers() == []


def test_a_restore_that_fails_leaves_nothing(saved):
    saved.env["CRIU_FAIL"] = "1"
    r = saved.run("restore", "--detach", "--image-path", "img", "-b", saved.bundle_of_c, "c", code=125)
    assert "restore container 'c': restore the container: criu could not: no images" in r.stderr and "img/restore.log" in r.stderr
    assert saved.leftovers() == []
    assert "--image-path 'none'" in saved.run("restore", "--image-path", "none", "-b", saved.bundle_of_c, "c", code=125).stderr
    (saved.folder / "empty").mkdir()
    assert "no images of a container" in saved.run("restore", "--image-path", "empty", "-b", saved.bundle_of_c, "c", code=125).stderr
    assert saved.leftovers() == []

