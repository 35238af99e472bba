"""A registry of Debian's docker-registry on loopback, and images put into it by hand.

The images are made here, byte by byte, so that a test can also make wrong ones.
"""
import contextlib
import gzip
import hashlib
import http.client
import io
import json
import pathlib
import platform
import signal
import socket
import subprocess
import tarfile

from world import until

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker."
ARCH = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def tar_of(files):
    """A tar archive: {"name": content}; None makes a folder."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.mtime = 1_000_000_000
            if content is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(info)
            else:
                info.size, info.mode = len(content), 0o755
                tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


class Image:
    """Blobs and a manifest over layers, which are tar archives."""

    def __init__(self, layers, pack=gzip.compress, docker=False, arch=ARCH, config=None):
        self.blobs = {}
        packed = [pack(t) if pack else t for t in layers]
        suffix = {gzip.compress: "gzip"}.get(pack, "zstd" if pack else "")
        kind = f"{DOCKER}image.rootfs.diff.tar.gzip" if docker else \
            f"{OCI}layer.v1.tar" + (f"+{suffix}" if suffix else "")
        settings = {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"], **(config or {})}
        text = json.dumps({"architecture": arch, "os": "linux", "config": settings,
                           "rootfs": {"type": "layers", "diff_ids": [digest_of(t) for t in layers]}}).encode()
        self.config = text
        self.layers = packed
        self.type = f"{DOCKER}distribution.manifest.v2+json" if docker else f"{OCI}manifest.v1+json"
        self.manifest = json.dumps({
            "schemaVersion": 2, "mediaType": self.type,
            "config": self.blob(text, f"{DOCKER}container.image.v1+json" if docker else f"{OCI}config.v1+json"),
            "layers": [self.blob(p, kind) for p in packed]}).encode()

    def blob(self, data, kind):
        self.blobs[digest_of(data)] = data
        return {"mediaType": kind, "digest": digest_of(data), "size": len(data)}

    @property
    def digest(self):
        return digest_of(self.manifest)


def index_of(*entries, docker=False):
    """Bytes and type of an index: (image, platform as a dict) each."""
    kind = f"{DOCKER}distribution.manifest.list.v2+json" if docker else f"{OCI}index.v1+json"
    return json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": [
        {"mediaType": i.type, "digest": i.digest, "size": len(i.manifest), "platform": p}
        for i, p in entries]}).encode(), kind


class Registry:
    """docker-registry serving a folder; may be killed and started again on its port."""

    def __init__(self, folder, more=""):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        self.config = self.folder / "config.yml"
        self.more = more
        self.process = None
        self.start()

    def start(self):
        self.config.write_text(f"""
version: 0.1
log: {{level: error}}
storage:
  filesystem: {{rootdirectory: {self.folder}/data}}
  delete: {{enabled: true}}
http:
  addr: {self.host}
{self.more}
""")
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(["docker-registry", "serve", str(self.config)], stdout=log, stderr=log)
        def listens():
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return True
        until(listens, f"a registry on {self.host}", timeout=60)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def close(self):
        if self.process.poll() is None:
            self.kill()

    def ask(self, method, path, body=None, headers=None):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            c.request(method, path, body, headers or {})
            r = c.getresponse()
            return r.status, dict(r.getheaders()), r.read()
        finally:
            c.close()

    def put_blob(self, repository, data):
        status, headers, _ = self.ask("POST", f"/v2/{repository}/blobs/uploads/")
        assert status == 202
        where = headers["Location"].split(self.host, 1)[-1]
        status, _, text = self.ask("PUT", f"{where}{'&' if '?' in where else '?'}digest={digest_of(data)}", data,
                                   {"Content-Type": "application/octet-stream"})
        assert status == 201, text

    def put_manifest(self, repository, reference, data, kind):
        status, _, text = self.ask("PUT", f"/v2/{repository}/manifests/{reference}", data, {"Content-Type": kind})
        assert status == 201, text

    def put(self, name, image):
        """The image as repository:tag; its reference."""
        repository, tag = name.rsplit(":", 1)
        for data in image.blobs.values():
            self.put_blob(repository, data)
        self.put_manifest(repository, tag, image.manifest, image.type)
        return f"{self.host}/{name}"

    def put_index(self, name, *entries, docker=False):
        repository, tag = name.rsplit(":", 1)
        for image, _ in entries:
            self.put(f"{repository}:{image.digest[7:19]}", image)
        self.put_manifest(repository, tag, *index_of(*entries, docker=docker))
        return f"{self.host}/{name}"
