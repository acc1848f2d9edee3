"""When is a target looked at again, and when does the last look still count?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tests.builders import rolled_back
from tests.clocks import FakeClock
from tests.decide.test_containment import KEY
from tocsin.api.containment import Target
from tocsin.decide.situation import NoTarget, TargetView
from tocsin.engine.looks import Looks
from tocsin.observe.cluster import Pair

PAIR, OTHER = Pair("models", "heir", "fraud"), Pair("models", "other", "fraud")
TARGET = Target(api_version="apps/v1", kind="Deployment", name="fraud")
SETTLED, UNSETTLED = rolled_back(KEY), rolled_back(KEY, updated_replicas=0)
UNREADABLE = NoTarget("Unreadable", "timeout")


@dataclass
class Eye:
    """Sees always the same, and counts."""

    view: TargetView | NoTarget
    meanwhile: Callable[[], None] = lambda: None
    """What happens while it looks."""
    looks: int = 0
    clock: FakeClock = field(default_factory=FakeClock)

    async def lasting_view(self, _: str, __: Target | None) -> TargetView | NoTarget:
        self.looks += 1
        self.meanwhile()
        return self.view


def looked_at_twice(eye: Eye, between: Callable[[Looks], None], *, holds: bool) -> int:
    """How often it really is."""

    async def twice() -> None:
        looks = Looks(eye, eye.clock)
        for turn in (lambda _: None, between):
            turn(looks)
            assert await looks.at(PAIR, TARGET, holds=holds) is eye.view

    asyncio.run(twice())
    return eye.looks


@pytest.mark.parametrize(
    ("holds", "view", "looks"),
    [
        pytest.param(True, SETTLED, 1, id="something holds, and nothing has changed"),
        pytest.param(True, UNSETTLED, 2, id="the workload has not followed"),
        pytest.param(True, rolled_back(KEY, current_hash=""), 2, id="its ReplicaSet was not seen yet"),
        pytest.param(True, UNREADABLE, 2, id="it could not be read"),
        pytest.param(False, SETTLED, 2, id="something may have to be done"),
    ],
)
def test_what_counts_the_next_time(holds: bool, view: TargetView | NoTarget, looks: int) -> None:
    assert looked_at_twice(Eye(view), lambda _: None, holds=holds) == looks


@pytest.mark.parametrize(
    ("change", "looks"),
    [
        pytest.param(lambda looks: looks.drop(PAIR), 2, id="its target"),
        pytest.param(lambda looks: looks.drop(OTHER), 1, id="the target of another pair"),
        pytest.param(lambda looks: looks.begin(PAIR), 1, id="nothing: it is worked on again"),
    ],
)
def test_what_has_changed_is_looked_at_again(change: Callable[[Looks], None], looks: int) -> None:
    assert looked_at_twice(Eye(SETTLED), change, holds=True) == looks


@pytest.mark.parametrize(("seconds", "looks"), [(59, 1), (60, 2)])
def test_no_look_counts_for_longer_than_a_watch_may_be_frozen(seconds: float, looks: int) -> None:
    eye = Eye(SETTLED)

    async def later() -> None:
        kept = Looks(eye, eye.clock)
        await kept.at(PAIR, TARGET, holds=True)
        await eye.clock.advance(seconds)
        await kept.at(PAIR, TARGET, holds=True)

    asyncio.run(later())
    assert eye.looks == looks


def test_a_change_while_it_is_looked_at_counts() -> None:
    async def twice() -> int:
        eye = Eye(SETTLED)
        kept = Looks(eye, eye.clock)
        eye.meanwhile = lambda: kept.drop(PAIR)
        await kept.at(PAIR, TARGET, holds=True)
        assert kept.kept(PAIR) is None
        await kept.at(PAIR, TARGET, holds=True)
        return eye.looks

    assert asyncio.run(twice()) == 2


def test_what_was_seen_ahead_is_used_once_and_soon() -> None:
    async def seen(*, begun_anew: bool) -> list[TargetView | NoTarget]:
        eye = Eye(UNREADABLE)
        kept = Looks(eye, eye.clock)
        kept.hand_over(PAIR, SETTLED)
        if begun_anew:
            kept.begin(PAIR)
        return [await kept.at(PAIR, TARGET, holds=False) for _ in range(2)]

    assert asyncio.run(seen(begun_anew=False)) == [SETTLED, UNREADABLE]
    assert asyncio.run(seen(begun_anew=True)) == [UNREADABLE, UNREADABLE]
