"""Kubernetes Events: posted one after another behind everything else, and given up when there are too many."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog

from tocsin.api.objects import API_VERSION, Metadata, clip
from tocsin.apiserver import ApiError, ApiServer, NoAnswer, path
from tocsin.clock import Clock
from tocsin.decide.plan import Event
from tocsin.engine.telemetry import Telemetry

log = structlog.get_logger()

ROOM = 1000
PATIENCE = 5.0


class Posting:
    """A bounded line of Events about our objects."""

    def __init__(self, api: ApiServer, clock: Clock, telemetry: Telemetry, identity: str) -> None:
        self._api = api
        self._clock = clock
        self._telemetry = telemetry
        self._identity = identity
        self._line: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue(ROOM)
        self._count = 0

    def post(self, kind: str, about: Metadata, event: Event) -> None:
        """Post an Event about an object, some time soon; it is given up when the line is full."""
        self._count += 1
        now = self._clock.now()
        stamp = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        body = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {
                "name": f"{about.name[:200]}.{int(now.timestamp() * 1e6):x}.{self._count:x}",
                "namespace": about.namespace,
            },
            "eventTime": stamp,
            "reportingController": "tocsin.dev/operator",
            "reportingInstance": self._identity[:128],
            "action": event.reason,
            "reason": event.reason,
            "type": event.type,
            "note": clip(event.message, 1000),
            "regarding": {
                "apiVersion": API_VERSION,
                "kind": kind,
                "name": about.name,
                "namespace": about.namespace,
                "uid": about.uid,
            },
        }
        try:
            self._line.put_nowait((about.namespace, body))
        except asyncio.QueueFull:
            self._telemetry.event_dropped()

    async def run(self) -> None:
        """Post for ever, one at a time; an Event that is refused is not tried again."""
        while True:
            namespace, body = await self._line.get()
            try:
                where = path("events.k8s.io/v1", "events", namespace)
                await self._api.call("POST", where, body, patience=PATIENCE)
            except (ApiError, NoAnswer) as lost:
                log.debug("an Event was not posted", error=str(lost))
                self._telemetry.event_dropped()
