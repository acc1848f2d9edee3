"""Is a revision that has proved healthy marked once, and asked for again only as often as it may help?"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from tests.builders import HOUR, MIN, a_memory, a_policy, a_revision, a_target, the_rules
from tests.clocks import T0, FakeClock
from tocsin.apiserver import ApiError
from tocsin.decide.defaults import SignalRule
from tocsin.decide.situation import TargetView
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


def marks_of(server: Server, *views: TargetView, minutes: int) -> int:
    """How often a mark is tried when every minute's evaluation is well, and the target looks like this by turns."""
    clock, seen = FakeClock(T0), list(views)

    async def view(*_: Any) -> TargetView:
        return seen.pop(0) if len(seen) > 1 else seen[0]

    targets: Any = SimpleNamespace(view=view)
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
    assert marks_of(Server(*codes), PROVED, minutes=minutes) == marks


FRESH = replace(PROVED, kind="StatefulSet", complete_since=None, available_replicas=4)
"""Whose status does not say since when it is rolled out."""
OTHER = replace(FRESH, current_hash="hash-1")


@pytest.mark.parametrize(
    ("views", "minutes", "marks"),
    [
        pytest.param((FRESH,), 5, 0, id="not before it was seen rolled out for as long as is asked"),
        pytest.param((FRESH,), 7, 1, id="once it was"),
        pytest.param((OTHER, FRESH), 9, 0, id="not for as long as another revision was"),
        pytest.param((replace(FRESH, available_replicas=3),), 30, 0, id="never while a pod is not available"),
    ],
)
def test_a_stateful_set_is_marked(views: tuple[TargetView, ...], minutes: int, marks: int) -> None:
    assert marks_of(Server(200), *views, minutes=minutes) == marks
