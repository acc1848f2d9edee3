"""kopf's doors: what is seen is handed to the engine's loop, and nothing is written.

kopf runs in a thread with a loop of its own: it takes over signals and cancels what it did not start, and neither
may reach the engine. Its watches end when they break; they are opened again, and the lists find what was missed.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import kopf
import structlog

from tocsin.api.containment import Target
from tocsin.api.objects import GROUP, VERSION
from tocsin.api.workload import WORKLOADS
from tocsin.apiserver import configured
from tocsin.engine.engine import Engine
from tocsin.observe.cluster import PLURALS

log = structlog.get_logger()

REOPEN_AFTER = 1.0
HANDFUL = 50
"""So many objects are taken in before the engine has its turn again: some 10 ms."""


class Doors:
    """The watches of one process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._loop = asyncio.get_running_loop()
        self._seen = deque[Callable[[], Any]]()
        self._called = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="doors", daemon=True)

    def open(self) -> None:
        """Begin to watch."""
        self._thread.start()

    async def close(self, patience: float) -> None:
        """Stop to watch, if it was begun; waits at most so many seconds."""
        self._stop.set()
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join, patience)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                asyncio.run(self._watch())
            except Exception as broken:  # noqa: BLE001 - a broken watch is normal: it is opened again
                log.warning("the watches ended, and are opened again", error=repr(broken))
            self._stop.wait(REOPEN_AFTER)

    async def _watch(self) -> None:
        await kopf.operator(
            registry=self._registry(), settings=_settings(), standalone=True, clusterwide=True, stop_flag=self._stop
        )

    def _hand(self, call: Any, *args: Any, **kwargs: Any) -> None:
        """Called by the doors' thread.

        The loop is called once for all that waits: each call is a byte in the pipe through which it also hears of
        signals, and while it is busy some 300 of them fill it. A SIGTERM then would be lost.
        """
        self._seen.append(partial(call, *args, **kwargs))
        if not self._called:
            self._called = True
            self._loop.call_soon_threadsafe(self._take)

    def _take(self) -> None:
        """Called by the engine's loop: it has its other work to do between two handfuls."""
        self._called = False
        try:
            for _ in range(min(HANDFUL, len(self._seen))):
                self._seen.popleft()()
        finally:  # what is wrong with one keeps none of the others outside
            if self._seen:
                self._called = True
                self._loop.call_soon(self._take)

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        kopf.on.login(id="login", registry=registry)(_login)
        for kind, plural in PLURALS.items():
            kopf.on.event(GROUP, VERSION, plural, id=plural, registry=registry)(self._door(kind))
        kopf.on.event("v1", "namespaces", id="namespaces", registry=registry)(self._namespace)
        for kind, workload in WORKLOADS.items():
            kopf.on.event(workload.group, workload.version, workload.plural, id=workload.plural, registry=registry)(
                self._workload(kind)
            )
        return registry

    def _door(self, kind: str) -> Any:
        async def seen(event: Mapping[str, Any], **_: Any) -> None:
            self._hand(self._engine.take, kind, event["type"] == "DELETED", event["object"])

        return seen

    async def _namespace(self, event: Mapping[str, Any], **_: Any) -> None:
        metadata = event["object"]["metadata"]
        gone = event["type"] == "DELETED"
        self._hand(self._engine.take_namespace, metadata["name"], metadata.get("labels", {}), gone=gone)

    def _workload(self, kind: Any) -> Any:
        api_version: Any = WORKLOADS[kind].api_version

        async def seen(event: Mapping[str, Any], **_: Any) -> None:
            metadata = event["object"]["metadata"]
            target = Target(api_version=api_version, kind=kind, name=metadata["name"])
            turning = event["type"] in ("ADDED", "DELETED")
            self._hand(self._engine.take_workload, metadata["namespace"], target, came_or_went=turning)

        return seen


class _NoDifference(kopf.DiffBaseStorage):
    """Nothing of ours asks what has changed in an object: left to itself kopf copies each one that it sees for that."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return {}

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        pass


async def _login(**_: Any) -> kopf.ConnectionInfo:
    """As the engine's own client, token files included; asked again when the server refuses a token as too old."""
    found: Any = await configured()
    scheme, _, token = (found.api_key or {}).get("BearerToken", "").partition(" ")
    return kopf.ConnectionInfo(
        server=found.host,
        ca_path=found.ssl_ca_cert,
        insecure=not found.verify_ssl,
        certificate_path=found.cert_file,
        private_key_path=found.key_file,
        scheme=scheme or None,
        token=token or None,
    )


def _settings() -> kopf.OperatorSettings:
    """What was measured to work at 10,000 objects."""
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True
    settings.posting.loggers = False
    settings.posting.enabled = False
    settings.watching.chunk_size = 100
    settings.watching.initial_streaming = False
    settings.watching.server_timeout = 300
    settings.queueing.idle_timeout = 0.1
    settings.queueing.worker_limit = None
    settings.persistence.diffbase_storage = _NoDifference()
    settings.networking.error_backoffs = (1, 2, 3, 5, 8, 13, 21, 34, 55)
    return settings
