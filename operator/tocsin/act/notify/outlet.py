"""Handing messages to the organisation's own sender: one task per release, which tries until it knows what became."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from tocsin.act.notify.address import Address, read_address
from tocsin.api.message import PartState
from tocsin.api.objects import clip
from tocsin.apiserver import ApiServer
from tocsin.clock import Clock
from tocsin.decide.delivery import Accepted, Answer, Deferred, Lost, Refused, pause_after
from tocsin.decide.message_situation import Broadcast, Sending
from tocsin.lanes import Lanes

AT_ONCE, PER_NAMESPACE, PER_SENDER = 32, 4, 2
"""How many messages are under way at the same time."""


class Broadcaster(Protocol):
    """Whatever takes a message to an address."""

    async def broadcast(self, address: Address, broadcast: Broadcast) -> Answer:
        """One try."""
        ...


class Outlet:
    """Sends messages as tasks of their own and reports what came of them; made inside a running event loop."""

    def __init__(self, api: ApiServer, clock: Clock, sender: Broadcaster) -> None:
        self._api = api
        self._clock = clock
        self._sender = sender
        self._lanes = Lanes(AT_ONCE, PER_NAMESPACE, PER_SENDER)
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._busy: set[str] = set()
        """The keys of those that are with the sender right now."""
        self._closing = False

    def submit(
        self,
        broadcast: Broadcast,
        may_send: Callable[[float], bool],
        report: Callable[[Sending], None],
    ) -> None:
        """Begin to send and return at once; a key that is under way keeps its turn.

        ``may_send`` is asked right before each try. A refusal ends it, an acceptance too; whatever else is answered it
        is tried again under the same key, and what was perhaps taken is never said to have failed.
        """
        if self._closing or broadcast.key in self._under_way:
            return
        task = asyncio.create_task(self._deliver(broadcast, may_send, report), name=f"message {broadcast.key}")
        self._under_way[broadcast.key] = task
        task.add_done_callback(lambda _: self._under_way.pop(broadcast.key, None))

    async def close(self, grace: float) -> None:
        """Stop; what is with the sender gets ``grace`` seconds to end and to be reported."""
        self._closing = True
        tasks = dict(self._under_way)
        for key, task in tasks.items():
            if key not in self._busy:
                task.cancel()
        if tasks:
            _, late = await asyncio.wait(tasks.values(), timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)

    async def _deliver(
        self, broadcast: Broadcast, may_send: Callable[[float], bool], report: Callable[[Sending], None]
    ) -> None:
        perhaps, failures, said = broadcast.perhaps, 0, None
        while not self._closing:
            answer = await self._try(broadcast, may_send)
            if answer is None:
                return
            perhaps = perhaps or isinstance(answer, Lost) or (isinstance(answer, Deferred) and answer.heard)
            sending = self._sending(broadcast.key, answer, perhaps=perhaps)
            if (sending.state, sending.message) != said:
                said = (sending.state, sending.message)
                report(sending)
            if isinstance(answer, Accepted | Refused):
                return
            await self._clock.sleep(pause_after(failures, answer).total_seconds())
            failures += 1

    def _sending(self, key: str, answer: Answer, *, perhaps: bool) -> Sending:
        doubtful = PartState.PERHAPS if perhaps else PartState.INTENDED
        match answer:
            case Accepted(words):
                return Sending(key, PartState.SENT, self._clock.now(), f"accepted ({words})", over=True)
            case Refused(words):
                state = PartState.PERHAPS if perhaps else PartState.FAILED
                return Sending(key, state, self._clock.now(), clip(words, 300), over=True)
        return Sending(key, doubtful, self._clock.now(), clip(answer.words, 300))

    async def _try(self, broadcast: Broadcast, may_send: Callable[[float], bool]) -> Answer | None:
        """One try; None when leave to send was not given while this replica runs."""
        async with self._lanes.enter(broadcast.namespace, broadcast.secret):
            address = await read_address(self._api, broadcast.namespace, broadcast.secret)
            if isinstance(address, Deferred | Refused):
                return address
            if not await self._leave(may_send):
                return None
            self._busy.add(broadcast.key)
            try:
                return await self._sender.broadcast(address, broadcast)
            except Exception as error:  # noqa: BLE001 - whatever a sender does that nobody foresaw, we cannot tell
                return Lost(f"failed with {type(error).__name__}, perhaps sent")
            finally:
                self._busy.discard(broadcast.key)

    async def _leave(self, may_send: Callable[[float], bool]) -> bool:
        """Wait for it as long as this replica runs; whoever leads then sends what this one could not."""
        began = self._clock.monotonic()
        while not self._closing:
            if may_send(self._clock.monotonic() - began):
                return True
            await self._clock.sleep(1)
        return False
