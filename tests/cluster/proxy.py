"""What if the network fails exactly here? A counting, fault-injecting proxy for the API server or Prometheus."""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
from aiohttp import web
from yarl import URL

from tests.cluster.access import Access
from tests.cluster.cluster import ours

log = logging.getLogger(__name__)
log.setLevel(logging.CRITICAL)  # what is dropped is an error to aiohttp
T = TypeVar("T")
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_HOP = {"connection", "keep-alive", "transfer-encoding", "host", "upgrade", "te", "trailer", "content-length"}


@dataclass
class Call:
    """One request that came by; `status` is None while unanswered and when it was dropped before it was sent on."""

    number: int
    """From 1, over all requests."""
    method: str
    path: str
    """With its query."""
    body: bytes
    headers: dict[str, str]
    """Names in lower case; Authorization left out."""
    started: float
    """Monotonic seconds, as `ended`."""
    status: int | None = None
    ended: float | None = None

    @property
    def is_write(self) -> bool:
        return self.method in WRITES


@dataclass(frozen=True)
class Delay:
    """Wait before sending it on."""

    seconds: float


@dataclass(frozen=True)
class Answer:
    """Answer this instead of sending it on; a Kubernetes Status when `body` is empty."""

    status: int = 200
    body: str = ""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DropBefore:
    """Close the connection; the server never sees the request."""


@dataclass(frozen=True)
class DropAfter:
    """Send it on, take the answer, close the connection without passing it on."""


@dataclass(frozen=True)
class CallBefore:
    """Run this before sending it on; the request waits."""

    do: Callable[[Call], None]


@dataclass(frozen=True)
class CallAfter:
    """Run this when the server has answered, before the answer is passed on."""

    do: Callable[[Call], None]


Fault = Delay | Answer | DropBefore | DropAfter | CallBefore | CallAfter


@dataclass
class Rule:
    """A fault for the matching requests number `first` to `first + times - 1` (times None: for ever)."""

    fault: Fault
    methods: frozenset[str]
    path: re.Pattern[str]
    first: int
    times: int | None
    where: Callable[[Call], bool]
    seen: int = 0
    """How many matching requests came by."""
    fired: int = 0

    def hits(self, call: Call) -> bool:
        if call.method not in self.methods or not self.path.search(call.path) or not self.where(call):
            return False
        self.seen += 1
        hit = self.seen >= self.first and (self.times is None or self.seen < self.first + self.times)
        self.fired += hit
        return hit


class Proxy:
    """A reverse proxy in a thread of this process: `with Proxy(c.prometheus_url) as p:`, then give `p.url`."""

    def __init__(
        self,
        upstream: str,
        *,
        host: str = "127.0.0.1",
        server_tls: ssl.SSLContext | None = None,
        client_tls: ssl.SSLContext | None = None,
    ) -> None:
        self.calls: list[Call] = []
        self._upstream, self._host, self._server_tls, self._client_tls = upstream, host, server_tls, client_tls
        self._rules: list[Rule] = []
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self.url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._open())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def rule(
        self,
        fault: Fault,
        *,
        methods: frozenset[str] | set[str] = WRITES,
        path: str = "",
        first: int = 1,
        times: int | None = 1,
        where: Callable[[Call], bool] = lambda _: True,
    ) -> Rule:
        """From now on: `fault` for requests with these methods whose path and query match the regular expression."""
        made = Rule(fault, frozenset(methods), re.compile(path), first, times, where)
        self._rules.append(made)
        return made

    def lift(self, rule: Rule) -> None:
        """Forget one rule."""
        self._rules.remove(rule)

    def freeze(self) -> None:
        """Have watches pass nothing on, and stay open."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def thaw(self) -> None:
        """Have them pass on again, and first what came meanwhile."""
        self._loop.call_soon_threadsafe(self._flowing.set)

    def clear(self) -> None:
        """Forget all rules and calls."""
        self._rules.clear()
        self.calls.clear()

    @property
    def writes(self) -> list[Call]:
        return [call for call in self.calls if call.is_write]

    def count(self, path: str = "", methods: frozenset[str] | set[str] = WRITES) -> int:
        return sum(call.method in methods and re.search(path, call.path) is not None for call in self.calls)

    # --- in the proxy's thread

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _open(self) -> None:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
        connector = aiohttp.TCPConnector(limit=0, ssl=self._client_tls or True)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False)
        application = web.Application(client_max_size=2**24)
        application.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(
            application, handler_cancellation=True, access_log=None, logger=log, shutdown_timeout=0.1
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, 0, ssl_context=self._server_tls)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"{'https' if self._server_tls else 'http'}://{self._host}:{port}"

    async def _close(self) -> None:
        await self._runner.cleanup()
        await self._session.close()
        await asyncio.sleep(0.05)  # TLS connections take some turns of the loop to end; the rest would warn elsewhere

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items() if name.lower() != "authorization"}
        call = Call(len(self.calls) + 1, request.method, request.raw_path, body, headers, time.monotonic())
        self.calls.append(call)
        faults = [rule.fault for rule in list(self._rules) if rule.hits(call)]
        for fault in faults:
            match fault:
                case Delay(seconds):
                    await asyncio.sleep(seconds)
                case CallBefore(do):
                    await asyncio.to_thread(do, call)
                case DropBefore():
                    return _drop(request)
                case Answer():
                    return _answer(fault, call)
        return await self._forward(request, call, faults)

    async def _forward(self, request: web.Request, call: Call, faults: list[Fault]) -> web.StreamResponse:
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in _HOP]
        try:
            upstream = await self._session.request(
                request.method,
                URL(self._upstream + call.path, encoded=True),
                headers=headers,
                skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
                data=call.body or None,
                allow_redirects=False,
            )
        except (aiohttp.ClientError, OSError):
            return _drop(request)
        async with upstream:
            call.status = upstream.status
            kept = [(name, value) for name, value in upstream.headers.items() if name.lower() not in _HOP]
            after = [fault for fault in faults if isinstance(fault, CallAfter | DropAfter)]
            for fault in after:
                call.ended = time.monotonic()
                if isinstance(fault, DropAfter):
                    await upstream.read()
                    return _drop(request)
                await asyncio.to_thread(fault.do, call)
            if "watch=" in call.path:
                return await self._stream(request, upstream, kept)
            answer = web.Response(status=upstream.status, body=await upstream.read())
            answer.headers.extend(kept)
            call.ended = time.monotonic()
            return answer

    async def _stream(
        self, request: web.Request, upstream: aiohttp.ClientResponse, headers: list[tuple[str, str]]
    ) -> web.StreamResponse:
        answer = web.StreamResponse(status=upstream.status, headers=dict(headers))
        await answer.prepare(request)
        try:
            async for part in upstream.content.iter_any():
                await self._flowing.wait()
                await answer.write(part)
        except (aiohttp.ClientError, ConnectionError):
            return _drop(request)
        return answer


def _drop(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    raise ConnectionResetError("dropped by a rule")


def _answer(fault: Answer, call: Call) -> web.Response:
    call.status, call.ended = fault.status, time.monotonic()
    reason = {409: "Conflict", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable"}
    status = f'"status":"Failure","reason":"{reason.get(fault.status, "")}","code":{fault.status}'
    text = fault.body or f'{{"kind":"Status","apiVersion":"v1","message":"injected by a test",{status}}}'
    return web.Response(status=fault.status, text=text, content_type=fault.content_type, headers=fault.headers)


class ApiProxy(Proxy):
    """A proxy in front of the API server: callers keep their bearer token, or all act as one client certificate."""

    def __init__(self, cluster: Access, certificate: tuple[Path, Path] | None = None) -> None:
        self._cluster = cluster = ours(cluster)
        server_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        server_tls.load_cert_chain(*cluster.authority.server("proxy", [cluster.address]))
        client_tls = ssl.create_default_context(cafile=cluster.ca)
        if certificate is not None:
            client_tls.load_cert_chain(*certificate)
        super().__init__(cluster.server, host=cluster.address, server_tls=server_tls, client_tls=client_tls)

    def kubeconfig_for_token(self, token: str) -> Path:
        """A kubeconfig with this token that goes through the proxy."""
        return self._cluster.kubeconfig_for_token(token, self.url)

    def kubeconfig(self) -> Path:
        """A kubeconfig without credentials: for a proxy that has a client certificate."""
        return self._cluster.write_kubeconfig("proxy", {}, server=self.url)
