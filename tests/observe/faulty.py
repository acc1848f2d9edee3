"""What does a Prometheus look like that answers anything? A small HTTP server whose answers a test writes."""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl

MEMBER = re.compile(
    r'label_replace\((?:vector)?\((?P<text>[^\n]*)\n\),"(?P<label>tocsin_\w+)","(?P<id>tocsin_\w+)","",""\)'
)


@dataclass(frozen=True)
class Request:
    path: str
    headers: Mapping[str, str]
    form: Mapping[str, str]
    client: int
    """The port that it came from: one a connection."""

    @property
    def members(self) -> dict[str, tuple[str, str]]:
        """The queries of a batch: label and id by text."""
        found = MEMBER.finditer(self.form.get("query", ""))
        return {match["text"]: (match["label"], match["id"]) for match in found}


@dataclass(frozen=True)
class Reply:
    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    announced: int | None = None
    """The Content-Length to claim; the true one by default."""
    then: Callable[[Callable[[bytes], object]], object] | None = None
    """What to go on writing after the body, by the function that writes."""


def repeat(times: int, act: Callable[[], object]) -> None:
    """For `then`."""
    for _ in range(times):
        act()


def answered(*series: Mapping[str, Any], kind: str = "vector", **further: Any) -> Reply:
    """A well-formed success."""
    data = {"resultType": kind, "result": list(series)}
    return Reply(json.dumps({"status": "success", "data": data, **further}).encode())


def vector(request: Request, values: Mapping[str, str]) -> Reply:
    """The honest answer to a batch, by text of its queries; the trivial query gives 1."""
    at = float(request.form["time"])
    values = {"1": "1"} | dict(values)
    return answered(
        *(
            {"metric": {label: name, "model": text}, "value": [at, values[text]]}
            for text, (label, name) in request.members.items()
            if text in values
        )
    )


def refused(error: str, status: int = 422, kind: str = "execution") -> Reply:
    """Prometheus's own kind of refusal."""
    return Reply(json.dumps({"status": "error", "errorType": kind, "error": error}).encode(), status)


class FaultyServer:
    """Answers each request by `answer`, and keeps them all."""

    def __init__(self, certificate: Path | None = None, key: Path | None = None) -> None:
        self.answer: Callable[[Request], Reply] = lambda _: Reply()
        self.requests: list[Request] = []
        self.closing = threading.Event()
        """Set at the end: whoever hangs may go."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"http{'s' if certificate else ''}://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> FaultyServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
                request = Request(self.path, dict(self.headers), form, self.client_address[1])
                outer.requests.append(request)
                reply = outer.answer(request)
                length = len(reply.body) if reply.announced is None else reply.announced
                try:
                    self.send_response(reply.status)
                    for name, value in {"Content-Length": str(length), **reply.headers}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(reply.body)
                    if reply.then:
                        reply.then(self.wfile.write)
                except ConnectionError:
                    self.close_connection = True
                self.close_connection = self.close_connection or length != len(reply.body)

            def do_GET(self) -> None:
                raise AssertionError("queries are sent by POST, out of the access logs")

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the standard library
                return

        return Handler
