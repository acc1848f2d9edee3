"""Is a revision that has proved healthy marked once, and asked for again only as often as it may help?"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from tests.builders import HOUR, MIN, a_memory, a_policy, a_revision, a_target, the_rules
from tests.clocks import T0, FakeClock
from tocsin.apiserver import ApiError
from tocsin.decide.defaults import SignalRule
from tocsin.engine.revisions import Revisions
from tocsin.observe.cluster import Pair

PAIR = Pair("models", "fraud", "fraud")
RULES = the_rules(a_policy(containment=[{"name": "back", "type": "RollBack", "rollBack": {"healthyAfter": "5m"}}]))
WELL = {"latency": a_memory(SignalRule.of(RULES.signals[0]), *(0.1,) * 30, at=T0)}
PROVED = a_target(revisions=(a_revision(1), a_revision(2)), complete_since=T0 - HOUR)


class Server:
    """Answers each mark as it is told; the last answer stays."""

    def __init__(self, *codes: int) -> None:
        self.codes, self.marks = list(codes), 0

    async def merge(self, *_: Any) -> Any:
        self.marks += 1
        code = self.codes[min(self.marks, len(self.codes)) - 1]
        if code >= 400:
            raise ApiError(code, "", "no")


async def _view(*_: Any) -> Any:
    return PROVED


def marks_of(server: Server, *, minutes: int) -> int:
    """How often a mark is tried when every minute's evaluation is well."""
    clock = FakeClock(T0)
    targets: Any = SimpleNamespace(view=_view)
    revisions = Revisions(server, clock, targets, lambda _: False, lambda _: True)  # type: ignore[arg-type]  # a fake

    async def play() -> None:
        for _ in range(minutes):
            if revisions.due(PAIR, RULES, WELL):
                with suppress(ApiError):
                    await revisions.work(PAIR, RULES, WELL)
            await clock.advance(MIN / timedelta(seconds=1))

    asyncio.run(play())
    return server.marks


@pytest.mark.parametrize(
    ("codes", "minutes", "marks"),
    [
        pytest.param((200,), 10, 1, id="once, when it stands"),
        pytest.param((409, 200), 10, 2, id="at the next evaluation, when others have changed it"),
        pytest.param((500, 500, 200), 10, 3, id="at the next evaluation, when the server has failed"),
        pytest.param((403,), 30, 3, id="every ten minutes, without the right to mark any"),
    ],
)
def test_a_mark_is_tried(codes: tuple[int, ...], minutes: int, marks: int) -> None:
    assert marks_of(Server(*codes), minutes=minutes) == marks
