"""A queue of keys: a key waits once, is worked on by one worker at a time, and comes again if it came meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Queue(Generic[Key]):
    """Two lanes: what is urgent goes first, and is never behind bookkeeping."""

    def __init__(self) -> None:
        self._urgent: dict[Key, None] = {}
        self._usual: dict[Key, None] = {}
        self._active: set[Key] = set()
        self._again: dict[Key, bool] = {}
        self._ready = asyncio.Event()
        self._rest = asyncio.Event()

    def __len__(self) -> int:
        return len(self._urgent) + len(self._usual)

    async def idle(self) -> None:
        """Return once nothing waits and nobody works."""
        while len(self) or self._active:
            self._rest.clear()
            await self._rest.wait()

    def add(self, key: Key, *, urgent: bool = False) -> None:
        """Ask for work on the key."""
        if key in self._active:
            self._again[key] = urgent or self._again.get(key, False)
            return
        if urgent:
            self._usual.pop(key, None)
            self._urgent[key] = None
        elif key not in self._urgent:
            self._usual[key] = None
        self._ready.set()

    async def take(self) -> Key:
        """The next key; it is active until ``done``."""
        while True:
            for lane in (self._urgent, self._usual):
                if lane:
                    key = next(iter(lane))
                    del lane[key]
                    self._active.add(key)
                    return key
            self._ready.clear()
            await self._ready.wait()

    def done(self, key: Key) -> None:
        """The work on the key has ended."""
        self._active.discard(key)
        if key in self._again:
            self.add(key, urgent=self._again.pop(key))
        self._rest.set()

    async def serve(self, work: Callable[[Key], Awaitable[None]]) -> None:
        """Work for ever, one key at a time; several may serve the same queue."""
        while True:
            key = await self.take()
            try:
                await work(key)
            finally:
                self.done(key)
