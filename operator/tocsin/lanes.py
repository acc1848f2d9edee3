"""How many messages are under way at once: so many in all, per namespace and per channel, that none blocks another."""

from __future__ import annotations

from asyncio import Semaphore
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary


class Lanes:
    """Limits that nest: a slow channel fills its own lane, a flooded namespace its own road, never the others'."""

    def __init__(self, total: int = 64, per_namespace: int = 8, per_channel: int = 4) -> None:
        self._all = Semaphore(total)
        self._per_namespace = per_namespace
        self._per_channel = per_channel
        self._narrow: WeakValueDictionary[tuple[str, ...], Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def enter(self, namespace: str, channel: str) -> AsyncIterator[None]:
        """Wait for room, the narrowest first, so that nobody holds wide room while waiting for narrow."""
        lane = self._of((namespace, channel), self._per_channel)
        road = self._of((namespace,), self._per_namespace)
        async with lane, road, self._all:
            yield

    def _of(self, key: tuple[str, ...], limit: int) -> Semaphore:
        found = self._narrow.get(key)
        if found is None:
            found = self._narrow[key] = Semaphore(limit)
        return found
