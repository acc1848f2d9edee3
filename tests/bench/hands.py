"""Who makes ten thousand objects in a moment? An administrator with many connections."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.cluster.cluster import Cluster

AT_ONCE = 16
"""Requests under way; on two cores more only add to each one's time."""
_KINDS = {"PATCH": "application/merge-patch+json"}


@dataclass(frozen=True)
class Request:
    """One request; a PATCH is a merge patch."""

    method: str
    path: str
    body: Any = None


@dataclass(frozen=True)
class Spell:
    """How long many requests took: each one's seconds in the order of the requests, and all of them together."""

    each: list[float]
    whole: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.each) / self.whole


class Hands:
    """An administrator of a cluster of ours."""

    def __init__(self, cluster: Cluster) -> None:
        self._server = cluster.server
        self._tls = ssl.create_default_context(cafile=cluster.ca)
        self._tls.load_cert_chain(cluster.admin_certificate, cluster.admin_key)

    def do(self, requests: Sequence[Request], at_once: int = AT_ONCE, user: str = "") -> Spell:
        """Do them all, so many at a time, in a user's name; an AssertionError has the words of a refusal."""
        return asyncio.run(self._do(requests, at_once, {"Impersonate-User": user} if user else {}))

    async def _do(self, requests: Sequence[Request], at_once: int, headers: dict[str, str]) -> Spell:
        each = [0.0] * len(requests)
        waiting = iter(enumerate(requests))

        async def work(session: aiohttp.ClientSession) -> None:
            for number, request in waiting:
                began = time.perf_counter()
                await _send(session, request)
                each[number] = time.perf_counter() - began

        connector = aiohttp.TCPConnector(ssl=self._tls, limit=0)
        async with aiohttp.ClientSession(self._server, connector=connector, headers=headers) as session:
            began = time.perf_counter()
            await asyncio.gather(*(work(session) for _ in range(min(at_once, len(requests)))))
            return Spell(each, time.perf_counter() - began)


async def _send(session: aiohttp.ClientSession, request: Request) -> None:
    headers = {"Content-Type": _KINDS.get(request.method, "application/json")}
    data = None if request.body is None else json.dumps(request.body)
    for _ in range(20):
        async with session.request(request.method, request.path, data=data, headers=headers) as answer:
            text = await answer.text()
            if answer.status != 429:
                break
        await asyncio.sleep(0.5)
    assert answer.status < 400, f"{request.method} {request.path}: {answer.status}: {text[:500]}"
