"""Ports of this host, and HTTP servers on 127.0.0.1 that a test writes."""
import contextlib
import http.server
import itertools
import os
import socket
import threading

# Below those that the kernel gives to who connects (ip_local_port_range): such a one may be taken again before it is
# listened at. Each worker of pytest has a part of its own, so that none gives what another has given.
PORTS = range(10_000, 30_000)
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
PART = 1000
next_port = itertools.count(PORTS.start + WORKER * PART % len(PORTS))


def free_port(address="127.0.0.1"):
    """One at which nobody listens, and that no other test is given, for a program that has to be told."""
    while True:
        port = next(next_port)
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as s, contextlib.suppress(OSError):
            s.bind((address, port))
            return port


class Handler(http.server.BaseHTTPRequestHandler):
    """Keeps connections, writes no log, and knows the Server that it answers for."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    @property
    def owner(self):
        return self.server.owner

    def send(self, status, body=b"", headers=None, length=None):
        """A whole answer; `length` is what it says of the body, if that is to be wrong."""
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class Server:
    """Serves with a class of handlers, until it is closed."""

    def __init__(self, handler):
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.http.owner = self
        self.port = self.http.server_port
        self.host = f"127.0.0.1:{self.port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()
