"""A registry of Debian's docker-registry on loopback, and images put into it by hand.

The images are made here, byte by byte, so that a test can also make wrong ones.
"""
import base64
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
import ssl
import subprocess
import tarfile
import time
import urllib.parse

from loopback import Handler, Server, free_port
from world import until

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker."
ARCH = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


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

    def __init__(self, folder, more="", tls="", data=None, address="127.0.0.1"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data = data or self.folder / "data"
        self.tls = tls
        self.address, self.port = address, free_port(address)
        self.host = f"[{address}]:{self.port}" if ":" in address else f"{address}:{self.port}"
        self.config = self.folder / "config.yml"
        self.more = more
        self.process = None
        self.start()

    def start(self):
        self.config.write_text(f"""
version: 0.1
log: {{level: error}}
storage:
  filesystem: {{rootdirectory: {self.data}}}
  delete: {{enabled: true}}
http:
  addr: '{self.host}'
{self.tls}
{self.more}
""")
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(["docker-registry", "serve", str(self.config)], stdout=log, stderr=log)
        def listens():
            with contextlib.suppress(OSError):
                socket.create_connection((self.address, self.port), 1).close()
                return True
        until(listens, f"a registry on {self.host}")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def close(self):
        if self.process.poll() is None:
            self.kill()

    def ask(self, method, path, body=None, headers=None):
        c = http.client.HTTPConnection(self.address, self.port, timeout=60)
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


# ---- who may come in ---------------------------------------------------------------------------

# me:secret, as `htpasswd -B` writes it
HTPASSWD = "me:$2y$05$HIScAyP03Uxw1i8F8PBCqukcLyFLvOUShjmp7EQk5/p4kcnWyvh8m\n"


def basic_auth(folder):
    """Settings of a registry that me:secret may use."""
    file = pathlib.Path(folder) / "htpasswd"
    file.write_text(HTPASSWD)
    return f"auth: {{htpasswd: {{realm: test, path: {file}}}}}"


def openssl(*args, input=None):
    return subprocess.run(["openssl", *map(str, args)], input=input, check=True, capture_output=True).stdout


class Authority:
    """A CA of our own, and a certificate of it for 127.0.0.1."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.ca, self.key, self.cert = (self.folder / n for n in ("ca.pem", "key.pem", "cert.pem"))
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test CA",
                "-keyout", self.folder / "ca.key", "-out", self.ca)
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-keyout", self.key,
                "-out", self.folder / "csr")
        (self.folder / "ext").write_text("subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n")
        openssl("x509", "-req", "-days", "2", "-in", self.folder / "csr", "-CA", self.ca,
                "-CAkey", self.folder / "ca.key", "-CAcreateserial", "-extfile", self.folder / "ext", "-out", self.cert)

    @property
    def tls(self):
        """For the http section of a registry."""
        return f"  tls: {{certificate: {self.cert}, key: {self.key}}}"


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class TokenHandler(Handler):
    def give(self, scopes, service, allowed):
        self.owner.asked.append(scopes)
        if not allowed:
            self.send(401)
            return
        body = json.dumps({"token": self.owner.token(scopes, service)}).encode()
        self.send(200, body, {"Content-Type": "application/json"})

    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query)
        said = self.headers.get("Authorization", "")
        self.give(query.get("scope", []), query["service"][0],
                  said == "Basic " + base64.b64encode(b"me:secret").decode())

    def do_POST(self):
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.give(form.get("scope", []), form["service"][0],
                  self.owner.refresh is not None and form.get("refresh_token") == [self.owner.refresh])


class TokenServer(Server):
    """Gives me:secret (and nobody else) tokens that live for `life` seconds; counts what it was asked."""

    def __init__(self, folder, life=300):
        self.authority = Authority(folder)
        self.life, self.asked, self.refresh = life, [], None
        super().__init__(TokenHandler)

    @property
    def settings(self):
        return (f"auth: {{token: {{realm: 'http://{self.host}/token', service: tests, "
                f"issuer: tests, rootcertbundle: {self.authority.cert}}}}}")

    def token(self, scopes, service):
        der = ssl.PEM_cert_to_DER_cert(self.authority.cert.read_text())
        access = []
        for scope in scopes:
            kind, name, actions = scope.split(":")
            access.append({"type": kind, "name": name, "actions": actions.split(",")})
        now = int(time.time())
        head = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]}
        claims = {"iss": "tests", "sub": "me", "aud": service, "exp": now + self.life, "nbf": now - 60, "iat": now,
                  "jti": str(len(self.asked)), "access": access}
        text = f"{base64url(json.dumps(head).encode())}.{base64url(json.dumps(claims).encode())}"
        return f"{text}.{base64url(openssl('dgst', '-sha256', '-sign', self.authority.key, input=text.encode()))}"
