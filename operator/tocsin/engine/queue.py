"""A queue of keys: a key waits once, is worked on by one worker at a time, and comes again if it came meanwhile."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Lane = dict[str, dict[Key, None]]
"""The keys that wait, by tenant: whose turn it is comes first."""


class Queue(Generic[Key]):
    """Two lanes: what is urgent goes first, and is never behind bookkeeping.

    In each lane the tenants take turns, and one tenant has at most ``each`` keys worked on at once, so that whoever has
    a thousand keys waiting keeps nobody else's waiting behind them.
    """

    def __init__(self, tenant: Callable[[Key], str] = lambda _: "", each: int | None = None) -> None:
        self._tenant = tenant
        self._each = each
        self._urgent: Lane[Key] = {}
        self._usual: Lane[Key] = {}
        self._active: set[Key] = set()
        self._busy = Counter[str]()
        self._again: dict[Key, bool] = {}
        self._ready = asyncio.Event()
        self._rest = asyncio.Event()

    def __len__(self) -> int:
        return sum(len(keys) for lane in (self._urgent, self._usual) for keys in lane.values())

    async def idle(self) -> None:
        """Return once nothing waits and nobody works."""
        while self._urgent or self._usual or self._active:
            self._rest.clear()
            await self._rest.wait()

    def add(self, key: Key, *, urgent: bool = False) -> None:
        """Ask for work on the key."""
        if key in self._active:
            self._again[key] = urgent or self._again.get(key, False)
            return
        tenant = self._tenant(key)
        if urgent:
            _remove(self._usual, tenant, key)
            self._urgent.setdefault(tenant, {})[key] = None
        elif key not in self._urgent.get(tenant, {}):
            self._usual.setdefault(tenant, {})[key] = None
        self._ready.set()

    async def take(self) -> Key:
        """The next key; it is active until ``done``."""
        while True:
            for lane in (self._urgent, self._usual):
                tenant = next((one for one in lane if self._each is None or self._busy[one] < self._each), None)
                if tenant is not None:
                    key = next(iter(lane[tenant]))
                    _remove(lane, tenant, key)
                    if tenant in lane:
                        lane[tenant] = lane.pop(tenant)  # behind the others
                    self._active.add(key)
                    self._busy[tenant] += 1
                    return key
            self._ready.clear()
            await self._ready.wait()

    def done(self, key: Key) -> None:
        """The work on the key has ended."""
        self._active.discard(key)
        tenant = self._tenant(key)
        self._busy[tenant] -= 1
        if not self._busy[tenant]:
            del self._busy[tenant]
        if key in self._again:
            self.add(key, urgent=self._again.pop(key))
        self._ready.set()
        self._rest.set()

    async def serve(self, work: Callable[[Key], Awaitable[None]]) -> None:
        """Work for ever, one key at a time; several may serve the same queue.

        Others have their turn between two keys: after a start the work on thousands of policies may wait for nothing,
        and the lease must be renewed meanwhile.
        """
        while True:
            key = await self.take()
            try:
                await work(key)
            finally:
                self.done(key)
            await asyncio.sleep(0)


def _remove(lane: Lane[Key], tenant: str, key: Key) -> None:
    keys = lane.get(tenant, {})
    keys.pop(key, None)
    if not keys:
        lane.pop(tenant, None)
