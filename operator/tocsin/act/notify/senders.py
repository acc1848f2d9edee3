"""The senders of every type of channel, and what they share: who may be reached, threads and a time-out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, assert_never

from tocsin.act.notify.address import Address, Apprise, PagerDuty, Webhook
from tocsin.act.notify.post import Post
from tocsin.act.notify.reach import Reach, Resolver
from tocsin.act.notify.relay import Relay
from tocsin.decide.delivery import Answer, Refused
from tocsin.decide.message_situation import Broadcast
from tocsin.decide.plan import Notice
from tocsin.settings import ChannelSettings

_THREADS = 64
"""For Apprise and for names to be resolved; started when needed."""


class Sender(Protocol):
    """Whatever takes a notice to an address."""

    async def send(self, address: Address, notice: Notice) -> Answer:
        """One try."""
        ...

    async def close(self) -> None:
        """Let go of everything that is open."""
        ...


class Senders:
    """Sends a notice to an address; made inside a running event loop."""

    def __init__(self, settings: ChannelSettings, timeout: float) -> None:
        reach = Reach(settings)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="notify")
        self._post = Post(reach, Resolver(reach, self._threads), timeout)
        self._relay = Relay(reach, settings.allowed_schemes, self._threads, timeout)

    async def send(self, address: Address, notice: Notice) -> Answer:
        """One try; what a network can do wrong comes back as an answer, never as an exception."""
        match address:
            case Webhook():
                return await self._post.webhook(address, notice)
            case PagerDuty():
                return await self._post.pagerduty(address, notice)
            case Apprise():
                return await self._relay.send(address, notice)
            case _:
                assert_never(address)

    async def broadcast(self, address: Address, broadcast: Broadcast) -> Answer:
        """One try; only a webhook takes a message as it is, in every language, and can tell a repetition."""
        if not isinstance(address, Webhook):
            return Refused(f"Secret {broadcast.secret}: messages go to a Webhook: set key type to Webhook")
        return await self._post.broadcast(address, broadcast)

    async def close(self) -> None:
        """Close connections; threads that hang are left to their own time-outs."""
        await self._post.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
