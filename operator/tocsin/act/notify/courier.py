"""Telling people: one task per notice, which tries the channels of a role until one has accepted."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tocsin.act.notify.address import read_address
from tocsin.act.notify.senders import Sender, Senders
from tocsin.api.objects import API_VERSION, clip
from tocsin.api.responder import Channel, Responder
from tocsin.apiserver import ApiError, ApiServer, NoAnswer, path
from tocsin.clock import Clock
from tocsin.decide.delivery import (
    Accepted,
    Answer,
    Deferred,
    Failure,
    Lost,
    Refused,
    Turn,
    exhausted,
    first,
    following,
    overdue_at,
)
from tocsin.decide.plan import Notice, Notify
from tocsin.decide.roster import channels_of
from tocsin.decide.situation import Outcome
from tocsin.lanes import Lanes
from tocsin.settings import ChannelSettings

AT_ONCE, PER_NAMESPACE, PER_CHANNEL = 64, 8, 4
"""How many messages are under way at the same time."""
_REMEMBERED = 4096
"""How many accepted notices are remembered, so that a repeated submission is answered and not sent."""


@dataclass(eq=False, slots=True)
class _Delivery:
    """One notice on its way."""

    notice: Notice
    responder: Responder | None
    may_send: Callable[[float], bool]
    report: Callable[[Outcome], None]
    intended_at: datetime
    said: dict[str, str] = field(default_factory=dict)
    """By channel: its last answer, in words."""
    task: asyncio.Task[None] | None = None
    sending: bool = False
    reported: bool = False
    """Whether Undelivered was reported."""

    @property
    def channels(self) -> tuple[Channel, ...]:
        return channels_of(self.responder, self.notice.person) if self.responder else ()


class Courier:
    """Sends notices as tasks of their own and reports what came of them; made inside a running event loop."""

    def __init__(
        self,
        api: ApiServer,
        clock: Clock,
        settings: ChannelSettings,
        timeout: float = 10.0,
        sender: Sender | None = None,
    ) -> None:
        self._api = api
        self._clock = clock
        self._sender = sender or Senders(settings, timeout)
        self._lanes = Lanes(AT_ONCE, PER_NAMESPACE, PER_CHANNEL)
        self._under_way: dict[str, _Delivery] = {}
        self._accepted: OrderedDict[str, str] = OrderedDict()
        self._closing = False

    def submit(
        self,
        effect: Notify,
        responder: Responder | None,
        may_send: Callable[[float], bool],
        report: Callable[[Outcome], None],
    ) -> None:
        """Begin to deliver and return at once.

        A key under way keeps its turn, and from now on goes by the new responder and asks and reports to the new
        caller; one that was accepted is reported again, not sent again. ``may_send`` is asked right before each send,
        with the seconds for which this one has waited for leave.
        ``report`` gets Done on acceptance, and Undelivered once when no channel has accepted for a minute or every one
        refuses; the delivery goes on after that.
        """
        if self._closing:
            return
        if (known := self._under_way.get(effect.key)) is not None:
            known.responder, known.may_send, known.report = responder, may_send, report
            return
        if (words := self._accepted.get(effect.key)) is not None:
            report(Outcome(effect.key, "Done", self._clock.now(), words, to=effect.notice.to))
            return
        delivery = _Delivery(effect.notice, responder, may_send, report, effect.intended_at)
        self._under_way[effect.key] = delivery
        delivery.task = asyncio.create_task(self._deliver(effect.key, delivery), name=f"notice {effect.key}")

    def withdraw(self, key: str) -> None:
        """Stop trying; what is on its way at this moment may still arrive."""
        delivery = self._under_way.pop(key, None)
        if delivery and delivery.task:
            delivery.task.cancel()

    def supersede(self, key: str) -> None:
        """Give up what was not accepted so far and would arrive after what follows; one on its way is left alone."""
        delivery = self._under_way.get(key)
        if delivery is None or delivery.sending or not delivery.said:
            return
        self.withdraw(key)
        said = "; ".join(f"channel {name}: {words}" for name, words in delivery.said.items())
        message = clip(f"given up, what followed says more; {said}", 1024)
        delivery.report(Outcome(key, "Superseded", self._clock.now(), message))

    async def close(self, grace: float) -> None:
        """Stop; sends that are on their way get ``grace`` seconds to end and to be reported."""
        self._closing = True
        tasks = [delivery.task for delivery in self._under_way.values() if delivery.task]
        for delivery in self._under_way.values():
            if delivery.task and not delivery.sending:
                delivery.task.cancel()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await self._sender.close()

    async def _deliver(self, key: str, delivery: _Delivery) -> None:
        submitted_at, mark = self._clock.now(), self._clock.monotonic()

        def instant() -> datetime:  # does not jump with the wall clock
            return submitted_at + timedelta(seconds=self._clock.monotonic() - mark)

        overdue = (overdue_at(delivery.intended_at, submitted_at) - submitted_at).total_seconds()
        alarm = asyncio.create_task(self._alarm(key, delivery, overdue))
        try:
            await self._try_all(key, delivery, instant)
        finally:
            alarm.cancel()
            if self._under_way.get(key) is delivery:
                del self._under_way[key]

    async def _alarm(self, key: str, delivery: _Delivery, seconds: float) -> None:
        await self._clock.sleep(seconds)
        while not self._report_undelivered(key, delivery):
            await self._clock.sleep(1)

    async def _try_all(self, key: str, delivery: _Delivery, instant: Callable[[], datetime]) -> None:
        turn = first(instant())
        while not self._closing:
            await self._clock.sleep((turn.due_at - instant()).total_seconds())
            if turn.lap > 0 and turn.channel == 0:
                delivery.responder = await self._read_responder(delivery)
            channels = delivery.channels
            answer = await self._try(delivery, turn, instant) if turn.channel < len(channels) else Refused("")
            match answer:
                case None:
                    return
                case Accepted(words):
                    self._report_done(key, delivery, channels[turn.channel].name, words)
                    return
            turn = following(turn, answer, len(channels), instant())
            if exhausted(turn, answer):
                self._report_undelivered(key, delivery)

    async def _try(self, delivery: _Delivery, turn: Turn, instant: Callable[[], datetime]) -> Answer | None:
        """One try at one channel; None when leave to send was not given."""
        channel = delivery.channels[turn.channel]
        async with AsyncExitStack() as stack:
            patience = (turn.ends_at - instant()).total_seconds()
            answer: Answer | None
            if not await self._enter(stack, delivery.notice.namespace, channel.name, patience):
                answer = Deferred("other messages are in its way")
            else:
                answer = await self._send_safely(delivery, channel)
        if answer:
            delivery.said[channel.name] = answer.words
        return answer

    async def _enter(self, stack: AsyncExitStack, namespace: str, channel: str, patience: float) -> bool:
        """Wait for room in the lane, but not beyond the channel's turn."""
        entry = asyncio.create_task(stack.enter_async_context(self._lanes.enter(namespace, channel)))
        timer = asyncio.create_task(self._clock.sleep(patience))
        try:
            await asyncio.wait({entry, timer}, return_when=asyncio.FIRST_COMPLETED)
            return entry.done()
        finally:
            timer.cancel()
            entry.cancel()

    async def _send_safely(self, delivery: _Delivery, channel: Channel) -> Answer | None:
        try:
            return await self._send(delivery, channel)
        except Exception as error:  # noqa: BLE001 - whatever a sender does that nobody foresaw, people are told on
            return Lost(f"failed with {type(error).__name__}, perhaps sent")

    async def _send(self, delivery: _Delivery, channel: Channel) -> Answer | None:
        address = await read_address(self._api, delivery.notice.namespace, channel.secret_ref.name)
        if isinstance(address, Failure):
            return address
        if not await self._leave(delivery):
            return None
        delivery.sending = True
        try:
            return await self._sender.send(address, delivery.notice)
        finally:
            delivery.sending = False

    async def _leave(self, delivery: _Delivery) -> bool:
        """Wait for it as long as this replica runs; whoever leads then sends what this one could not."""
        began = self._clock.monotonic()
        while not self._closing:
            if delivery.may_send(self._clock.monotonic() - began):
                return True
            await self._clock.sleep(1)
        return False

    async def _read_responder(self, delivery: _Delivery) -> Responder | None:
        """The role as it is now: channels may have been repaired since; the one known when it cannot be read."""
        notice = delivery.notice
        try:
            found = await self._api.get(path(API_VERSION, "responders", notice.namespace, notice.responder))
            return Responder.model_validate(found)
        except ApiError as error:
            return None if error.code == 404 else delivery.responder
        except (NoAnswer, ValueError):
            return delivery.responder

    def _report_done(self, key: str, delivery: _Delivery, channel: str, words: str) -> None:
        others = "; ".join(f"channel {name}: {said}" for name, said in delivery.said.items() if name != channel)
        message = clip(f"accepted by channel {channel} ({words})" + (f"; {others}" if others else ""), 1024)
        self._accepted[key] = message
        if len(self._accepted) > _REMEMBERED:
            self._accepted.popitem(last=False)
        delivery.report(Outcome(key, "Done", self._clock.now(), message, to=delivery.notice.to))

    def _report_undelivered(self, key: str, delivery: _Delivery) -> bool:
        """Report once, and only while we lead; whether there is nothing left to report."""
        if not delivery.reported and delivery.may_send(0.0):
            delivery.reported = True
            delivery.report(Outcome(key, "Undelivered", self._clock.now(), clip(_why(delivery), 1024)))
        return delivery.reported


def _why(delivery: _Delivery) -> str:
    name = delivery.notice.responder
    if delivery.responder is None:
        return f"responder {name} does not exist: create it in namespace {delivery.notice.namespace}"
    if not delivery.channels:
        return f"responder {name} has no channels: add one to spec.channels"
    said = (f"channel {one.name}: {delivery.said.get(one.name, 'not tried yet')}" for one in delivery.channels)
    return f"not delivered to {name}: " + "; ".join(said)
