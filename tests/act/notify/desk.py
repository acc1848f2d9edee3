"""How does a courier do its work in a test? With everything around it, on a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tests.act.notify.material import FakeApi, FakeSender, a_notify, a_role, a_secret
from tests.clocks import FakeClock
from tocsin.act.notify.courier import Courier
from tocsin.api.responder import Responder
from tocsin.decide.situation import Outcome
from tocsin.settings import ChannelSettings


class Desk:
    """A courier with everything around it."""

    def __init__(self, *channels: str, **sender: Any) -> None:
        self.clock = FakeClock()
        self.api = FakeApi(**{name: a_secret("Webhook", url=f"https://example.org/{name}") for name in channels})
        self.sender = FakeSender(self.clock, **sender)
        self.courier = Courier(self.api, self.clock, ChannelSettings(), sender=self.sender)
        self.role: Responder | None = a_role(*channels)
        self.leads = True
        self.reports: list[tuple[float, str, str]] = []
        self.api.put_role(self.role)

    def submit(self, number: int = 1, **changes: Any) -> str:
        effect = a_notify(number, **changes)
        self.courier.submit(effect, self.role, lambda _: self.leads, self.report)
        return effect.key

    def report(self, outcome: Outcome) -> None:
        self.reports.append((self.clock.monotonic(), outcome.result, outcome.message))

    @property
    def sent(self) -> list[tuple[float, str]]:
        return [(at, where) for at, where, _ in self.sender.sent]


def run(story: Callable[[Desk], Awaitable[None]], *channels: str, **sender: Any) -> Desk:
    async def main() -> Desk:
        desk = Desk(*channels, **sender)
        try:
            await story(desk)
        finally:
            await desk.courier.close(0)
        return desk

    return asyncio.run(main())


def by_channel(**answers: Any) -> Callable[[str, int], Any]:
    """An answer, or a list of them of which the last one stays, by channel."""

    def answer(url: str, nth: int) -> Any:
        given = answers[url.rpartition("/")[2]]
        return given[min(nth, len(given)) - 1] if isinstance(given, list) else given

    return answer
