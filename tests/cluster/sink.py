"""What was sent out, and what if the receiver misbehaves? A real HTTP receiver that records and obeys."""

from __future__ import annotations

import argparse
import json
import socket
import threading
import time
import urllib.parse
import urllib.request
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any


@dataclass(frozen=True)
class Received:
    """One request, in order of arrival; `at` is the machine's monotonic clock, `time` is UTC."""

    number: int
    method: str
    path: str
    query: str
    headers: dict[str, str]
    """Names in lower case."""
    body: Any
    """The JSON document, else the text."""
    at: float
    time: str


@dataclass(frozen=True)
class Behaviour:
    """What one path answers; `failures` bounds for how many requests, after which it answers 200."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: str = "{}"
    hang: float = 0.0
    """Seconds between reading the request and answering it."""
    close: bool = False
    """Read the request, then close the connection without an answer."""
    failures: int | None = None


class Sink:
    """The client of a sink, wherever the sink runs."""

    def __init__(self, address: str, service: str | None = None) -> None:
        self._address, self._service = address, service or address

    def url(self, path: str = "/") -> str:
        """What a sender is configured with, as reached from a pod."""
        return f"{self._service}/{path.lstrip('/')}"

    def received(self, path: str | None = None) -> list[Received]:
        """All requests so far, or those to one path."""
        items = [Received(**item) for item in self._call("GET", "/_received")]
        return [item for item in items if path is None or item.path == f"/{path.lstrip('/')}"]

    def behave(self, path: str, behaviour: Behaviour | None = None, **fields: Any) -> None:
        """From now on `path` answers so: `behave("/page", status=429, headers={"Retry-After": "1"}, failures=2)`."""
        wanted = behaviour or Behaviour(**fields)
        self._call("POST", "/_behave", {"path": f"/{path.lstrip('/')}", "behaviour": asdict(wanted)})

    def clear(self) -> None:
        """Forget all requests and behaviours."""
        self._call("POST", "/_clear", {})

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._address + path, data, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _handle(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode(errors="replace")
        if url.path.startswith("/_"):
            self._reply(200, {"Content-Type": "application/json"}, json.dumps(self.server.control(url.path, text)))
            return
        behaviour = self.server.record(self.command, url, {k.lower(): v for k, v in self.headers.items()}, text)
        if behaviour.hang:
            self.server.stopping.wait(behaviour.hang)
        if behaviour.close:
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
            return
        self._reply(behaviour.status, behaviour.headers, behaviour.body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _handle  # noqa: N815 - the base class's names

    def _reply(self, status: int, headers: dict[str, str], body: str) -> None:
        data = body.encode()
        with suppress(OSError):  # the sender has gone: its time-out is the test
            self.send_response(status)
            for name, value in ({"Content-Type": "application/json"} | headers).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """The record is the log."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address, _Handler)
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._received: list[Received] = []
        self._behaviours: dict[str, Behaviour] = {}
        self._seen: dict[str, int] = {}

    def record(self, method: str, url: urllib.parse.SplitResult, headers: dict[str, str], text: str) -> Behaviour:
        at, now = time.monotonic(), datetime.now(UTC).isoformat()
        try:
            body = json.loads(text) if text else None
        except ValueError:
            body = text
        with self._lock:
            number = len(self._received) + 1
            self._received.append(Received(number, method, url.path, url.query, headers, body, at, now))
            behaviour = self._behaviours.get(url.path, Behaviour())
            self._seen[url.path] = seen = self._seen.get(url.path, 0) + 1
        return behaviour if behaviour.failures is None or seen <= behaviour.failures else Behaviour()

    def control(self, path: str, text: str) -> Any:
        with self._lock:
            match path:
                case "/_received":
                    return [asdict(item) for item in self._received]
                case "/_behave":
                    order = json.loads(text)
                    self._behaviours[order["path"]] = Behaviour(**order["behaviour"])
                    self._seen[order["path"]] = 0
                case "/_clear":
                    self._received.clear()
                    self._behaviours.clear()
                    self._seen.clear()
        return {}


class SinkServer:
    """A sink in a thread of this process: `with SinkServer() as sink:`."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._server = _Server((host, port))
        self.address = f"http://{host}:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True, name="sink")
        self._thread.start()

    def __enter__(self) -> Sink:
        return Sink(self.address)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._server.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.sink", description=__doc__)
    parser.add_argument("--host", default="0.0.0.0")
    parser.add_argument("--port", type=int, default=8080)
    arguments = parser.parse_args()
    with _Server((arguments.host, arguments.port)) as server, suppress(KeyboardInterrupt):
        server.serve_forever()


if __name__ == "__main__":
    main()
