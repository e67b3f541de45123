"""A bad line to a tracking server: a proxy that waits before it passes a request on, and loses some of the answers."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class BadLine(BaseHTTPRequestHandler):
    """One connection. The server's attributes say how bad it is."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Pass it on late; every so many-th answer is lost on the way back."""
        server = self.server
        assert isinstance(server, BadServer)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        time.sleep(server.delay_seconds)
        behind = http.client.HTTPConnection("127.0.0.1", server.behind, timeout=60)
        behind.request(self.command, self.path, body, dict(self.headers.items()))
        answer = behind.getresponse()
        content = answer.read()
        behind.close()
        with server.lock:
            server.requests += 1
            is_lost = server.requests % server.loses_every == 0
            server.lost += is_lost
        if is_lost:
            self.close_connection = True
            self.connection.close()
            return
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length", "server", "date"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def log_message(self, *_: object) -> None:
        """Nothing."""


class BadServer(ThreadingHTTPServer):
    """Listens on a free port of loopback for requests to the port ``behind``."""

    daemon_threads = True

    def __init__(self, behind: int, delay_seconds: float, loses_every: int) -> None:
        super().__init__(("127.0.0.1", 0), BadLine)
        self.behind, self.delay_seconds, self.loses_every = behind, delay_seconds, loses_every
        self.requests = self.lost = 0
        self.lock = threading.Lock()

    @property
    def uri(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        """The client left, or the line was cut: as meant."""


@contextmanager
def bad_line(behind: int, delay_seconds: float, loses_every: int) -> Iterator[BadServer]:
    """The proxy, while the block runs."""
    with BadServer(behind, delay_seconds, loses_every) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
