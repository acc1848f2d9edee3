"""The fake clock keeps the promises that other tests stand on."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tests.clocks import T0, FakeClock


def test_sleepers_wake_in_order_each_at_its_own_instant():
    async def main() -> list[tuple[str, float]]:
        clock, woken = FakeClock(), []

        async def sleeper(name: str, *naps: float) -> None:
            for nap in naps:
                await clock.sleep(nap)
                woken.append((name, clock.monotonic()))

        tasks = [asyncio.create_task(sleeper("a", 3, 3)), asyncio.create_task(sleeper("b", 1, 1, 5))]
        await clock.advance(6)
        assert clock.sleepers == 1
        await clock.advance(1)
        await asyncio.gather(*tasks)
        return woken

    assert asyncio.run(main()) == [("b", 1), ("b", 2), ("a", 3), ("a", 6), ("b", 7)]


def test_the_wall_and_the_monotonic_clock_move_together():
    async def main() -> None:
        clock = FakeClock()
        await clock.advance(90)
        assert (clock.now(), clock.monotonic()) == (T0 + timedelta(seconds=90), 90)

    asyncio.run(main())


def test_a_cancelled_sleeper_is_not_counted_and_wakes_nobody():
    async def main() -> None:
        clock = FakeClock()
        task = asyncio.create_task(clock.sleep(5))
        await clock.until_asleep()
        task.cancel()
        await clock.advance(10)
        assert (clock.sleepers, task.cancelled()) == (0, True)

    asyncio.run(main())


def test_code_that_never_waits_is_reported_instead_of_hanging():
    async def main() -> None:
        clock = FakeClock()

        async def spin() -> None:
            while True:
                await clock.sleep(0)

        task = asyncio.create_task(spin())
        with pytest.raises(AssertionError, match="never waits"):
            await clock.advance()
        task.cancel()

    asyncio.run(main())
