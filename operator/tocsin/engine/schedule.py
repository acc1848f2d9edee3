"""One heap of instants: a key is due at the earliest instant that was asked for it."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Hashable
from datetime import datetime
from typing import Generic, TypeVar

from tocsin.clock import Clock

Key = TypeVar("Key", bound=Hashable)

LONGEST = 1.0
"""Seconds: the wall clock is read at least this often, so that a jump of it is noticed."""


class Schedule(Generic[Key]):
    """Absolute instants on the wall clock, waited for on the monotonic one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[datetime, int, Key]] = []
        self._due: dict[Key, datetime] = {}
        self._count = 0
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._due)

    def at(self, key: Key, instant: datetime | None) -> None:
        """Ask for the key at the instant, in place of any other instant; None asks no more."""
        if instant is None:
            self._due.pop(key, None)
            return
        if self._due.get(key) == instant:
            return
        self._due[key] = instant
        self._count += 1
        heapq.heappush(self._heap, (instant, self._count, key))
        if self._heap[0][2] == key:
            self._changed.set()

    def due(self, now: datetime) -> list[tuple[Key, datetime]]:
        """Take the keys that are due, with the instants that they were asked for."""
        found = []
        while self._heap and self._heap[0][0] <= now:
            instant, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == instant:
                del self._due[key]
                found.append((key, instant))
        return found

    async def run(self, notice: Callable[[Key, datetime], None]) -> None:
        """Call ``notice`` for each key when it is due, for ever."""
        while True:
            for key, instant in self.due(self._clock.now()):
                notice(key, instant)
            await self._wait()

    async def _wait(self) -> None:
        self._changed.clear()
        wait = LONGEST
        if self._heap:
            wait = min(wait, max(0.0, (self._heap[0][0] - self._clock.now()).total_seconds()))
        sleeping = asyncio.ensure_future(self._clock.sleep(wait))
        changed = asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait((sleeping, changed), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            changed.cancel()
