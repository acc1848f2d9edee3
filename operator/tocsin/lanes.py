"""How much is under way at once: so much in all, and so much for each tenant, that none blocks another."""

from __future__ import annotations

from asyncio import Semaphore
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from weakref import WeakValueDictionary


class Lanes:
    """Limits that nest: a slow channel fills its own lane, a flooded namespace its own road, never the others'.

    The first limit is for everything, each further one for all whose keys begin alike: ``Lanes(64, 8, 4)`` lets 64
    enter in all, 8 of them by keys that begin with the same word, and 4 with the same two.
    """

    def __init__(self, total: int, *narrower: int) -> None:
        self._all = Semaphore(total)
        self._limits = narrower
        self._narrow: WeakValueDictionary[tuple[str, ...], Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def enter(self, *key: str) -> AsyncIterator[None]:
        """Wait for room, the narrowest first, so that nobody holds wide room while waiting for narrow."""
        narrow = [self._of(key[:length]) for length in range(len(key), 0, -1)]
        async with AsyncExitStack() as stack:
            for lane in (*narrow, self._all):
                await stack.enter_async_context(lane)
            yield

    def _of(self, key: tuple[str, ...]) -> Semaphore:
        found = self._narrow.get(key)
        if found is None:
            found = self._narrow[key] = Semaphore(self._limits[len(key) - 1])
        return found
