"""Is a key due once, at the earliest instant that was last asked for it, whatever the clocks do?"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from tests.clocks import T0, FakeClock
from tocsin.engine.schedule import Schedule

SECOND = timedelta(seconds=1)


def test_a_key_is_due_at_its_instant_and_only_once() -> None:
    schedule: Schedule[str] = Schedule(FakeClock())
    schedule.at("a", T0 + SECOND)
    assert schedule.due(T0) == []
    assert schedule.due(T0 + SECOND) == [("a", T0 + SECOND)]
    assert schedule.due(T0 + 2 * SECOND) == []


def test_the_last_instant_that_was_asked_for_counts() -> None:
    schedule: Schedule[str] = Schedule(FakeClock())
    schedule.at("a", T0 + SECOND)
    schedule.at("a", T0 + 3 * SECOND)
    assert schedule.due(T0 + 2 * SECOND) == []
    assert schedule.due(T0 + 3 * SECOND) == [("a", T0 + 3 * SECOND)]


def test_none_takes_a_key_off() -> None:
    schedule: Schedule[str] = Schedule(FakeClock())
    schedule.at("a", T0 + SECOND)
    schedule.at("a", None)
    assert len(schedule) == 0
    assert schedule.due(T0 + SECOND) == []


def test_keys_are_due_in_the_order_of_their_instants() -> None:
    schedule: Schedule[str] = Schedule(FakeClock())
    for key, seconds in (("c", 3), ("a", 1), ("b", 2)):
        schedule.at(key, T0 + seconds * SECOND)
    assert [key for key, _ in schedule.due(T0 + 3 * SECOND)] == ["a", "b", "c"]


def test_a_running_schedule_notices_each_key_and_what_is_asked_for_meanwhile() -> None:
    async def body() -> list[tuple[str, datetime]]:
        clock, noticed = FakeClock(), list[tuple[str, datetime]]()
        schedule: Schedule[str] = Schedule(clock)
        schedule.at("late", T0 + 30 * SECOND)
        task = asyncio.create_task(schedule.run(lambda key, at: noticed.append((key, at))))
        await clock.advance(5)
        schedule.at("soon", T0 + 6 * SECOND)
        await clock.advance(1)
        assert [key for key, _ in noticed] == ["soon"]
        await clock.advance(24)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return noticed

    assert asyncio.run(body()) == [("soon", T0 + 6 * SECOND), ("late", T0 + 30 * SECOND)]


class JumpingClock(FakeClock):
    """A FakeClock whose wall can be set, as an administrator or NTP does."""

    jump = timedelta()

    def now(self) -> datetime:
        return super().now() + self.jump


def test_a_jump_of_the_wall_clock_is_noticed_within_a_second() -> None:
    async def body() -> list[str]:
        clock, noticed = JumpingClock(), list[str]()
        schedule: Schedule[str] = Schedule(clock)
        schedule.at("deadline", T0 + timedelta(hours=1))
        task = asyncio.create_task(schedule.run(lambda key, _: noticed.append(key)))
        await clock.advance(2)
        assert noticed == []
        clock.jump = timedelta(hours=2)
        await clock.advance(1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return noticed

    assert asyncio.run(body()) == ["deadline"]
