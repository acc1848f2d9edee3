"""How does a test move time? By a clock whose sleepers wake when it is advanced, and never otherwise."""

from __future__ import annotations

import asyncio
import heapq
from datetime import UTC, datetime, timedelta
from itertools import count

T0 = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class FakeClock:
    """A Clock that stands still; `advance` wakes each sleeper at its own instant, in order."""

    def __init__(self, start: datetime = T0) -> None:
        self._start = start
        self._elapsed = 0.0
        self._order = count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._watchers: list[tuple[int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, next(self._order), woken))
        for wanted, watcher in self._watchers:
            if not watcher.done() and self.sleepers >= wanted:
                watcher.set_result(None)
        await woken

    @property
    def sleepers(self) -> int:
        """How many sleep now."""
        return sum(not woken.done() for _, _, woken in self._sleepers)

    async def advance(self, seconds: float = 0.0) -> None:
        """Move time; after each wake-up, and at the end, everything that can run without real input has run."""
        await self._settle()
        end = self._elapsed + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, woken = heapq.heappop(self._sleepers)
            if woken.done():
                continue
            self._elapsed = max(self._elapsed, due)
            woken.set_result(None)
            await self._settle()
        self._elapsed = end
        await self._settle()

    async def until_asleep(self, sleepers: int = 1) -> None:
        """Wait, in real time, until so many sleep: for code that talks to a real server before it sleeps."""
        if self.sleepers < sleepers:
            watcher = asyncio.get_running_loop().create_future()
            self._watchers.append((sleepers, watcher))
            await watcher

    @staticmethod
    async def _settle() -> None:
        ready = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]
        for _ in range(100_000):
            await asyncio.sleep(0)
            if not ready:
                return
        raise AssertionError("the code under test never waits: it runs for ever at one instant")


class HastyClock(FakeClock):
    """A Clock on which whoever sleeps has slept: for code that waits between tries, where nobody moves the time."""

    async def sleep(self, seconds: float) -> None:
        self._elapsed += max(0.0, seconds)
        await asyncio.sleep(0)
