"""An S3 server on loopback, and a proxy before it that fails as networks and stores do."""

from __future__ import annotations

import http.client
import os
import random
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BUCKET = "runs"
MOTO = os.environ.get("RUNSPREAD_MOTO", sys.executable)  # a Python that has moto: `make test-stores` makes one
OPTIONS = {"access_key_id": "canary-id", "secret_access_key": "canary-secret", "region": "us-east-1"}


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def has_server() -> bool:
    return (
        subprocess.run([MOTO, "-c", "import moto.server, flask_cors"], capture_output=True, check=False).returncode == 0
    )


@contextmanager
def s3_server() -> Iterator[str]:
    """Yield the address of a moto server in a process of its own."""
    port = free_port()
    process = subprocess.Popen(
        [MOTO, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"},
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(urllib.request.Request(f"{address}/{BUCKET}", method="PUT"), timeout=10)
                break
            except OSError:
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait()


class _Quiet(ThreadingHTTPServer):
    """Says nothing of clients that were killed."""

    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        pass


class FaultProxy:
    """Passes requests on; with a probability each fails in one of some ways, before or after it was carried out."""

    KINDS = ("503 before", "503 after", "truncated", "closed")

    def __init__(self, target: str, probability: float, *, seed: int = 0, late: bool = False) -> None:
        self.target, self.probability = target.removeprefix("http://"), probability
        self.kinds = (*self.KINDS, "late") if late else self.KINDS  # what is late comes after what undid it, too
        self.faults: Counter[str] = Counter()
        self._random, self._lock = random.Random(seed), threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                proxy.answer(self)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer

            def log_message(self, *_: object) -> None:
                pass

        self.server = _Quiet(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def draw(self) -> str:
        with self._lock:
            if self._random.random() >= self.probability:
                return ""
            kind = self._random.choice(self.kinds)
            self.faults[kind] += 1
            return kind

    def carry_out(self, request: tuple[str, str, bytes, dict[str, str]]) -> tuple[int, dict[str, str], bytes]:
        method, path, body, headers = request
        connection = http.client.HTTPConnection(self.target, timeout=60)
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        data = response.read()
        kept = {name: value for name, value in response.getheaders() if name.lower() not in _HOP}
        connection.close()
        return response.status, kept, data

    def carry_out_late(self, request: tuple[str, str, bytes, dict[str, str]]) -> None:
        with suppress(OSError, http.client.HTTPException):  # the server may be gone by then
            self.carry_out(request)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        headers = {name: value for name, value in handler.headers.items() if name.lower() not in ("connection",)}
        # All of the request is kept: a late one must not take the path of the connection's next.
        request = (handler.command, handler.path, handler.rfile.read(length), headers)
        fault = self.draw()
        if fault == "503 before":
            return self.reply(handler, 503, {}, b"")
        if fault == "late":
            threading.Timer(0.1 + 0.4 * self._random.random(), self.carry_out_late, [request]).start()
            return self.reply(handler, 503, {}, b"")
        status, kept, data = self.carry_out(request)
        if fault == "503 after":
            return self.reply(handler, 503, {}, b"")
        if fault == "closed":
            handler.close_connection = True
            handler.connection.close()
            return None
        return self.reply(handler, status, kept, data, cut=fault == "truncated" and len(data) > 1)

    def reply(self, handler, status: int, headers: dict[str, str], data: bytes, *, cut: bool = False) -> None:
        handler.send_response_only(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        if handler.command != "HEAD" or "Content-Length" not in headers:
            handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(data[: len(data) // 2] if cut else data)
        if cut:
            handler.close_connection = True


_HOP = {"content-length", "transfer-encoding", "connection", "server", "date"}
