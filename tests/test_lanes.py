"""Does whoever fills his lane leave room for the others, and give back what he took?"""

from __future__ import annotations

import asyncio

import pytest

from tocsin.lanes import Lanes


@pytest.mark.parametrize(
    ("keys", "entered"),
    [
        pytest.param([("a", "x")] * 5, 2, id="as many as its own lane takes"),
        pytest.param([("a", name) for name in "vwxyz"], 3, id="as many as the road of its tenant takes"),
        pytest.param([(name, name) for name in "vwxyz"], 4, id="as many as there is room for in all"),
        pytest.param([()] * 5, 4, id="a key of no words meets the total only"),
        pytest.param([("a", "x")] * 5 + [("b", "x")], 3, id="a full lane leaves room for another tenant"),
    ],
)
def test_so_many_enter(keys: list[tuple[str, ...]], entered: int) -> None:
    async def play() -> tuple[int, int]:
        lanes, inside, leave = Lanes(4, 3, 2), 0, asyncio.Event()

        async def visit(key: tuple[str, ...]) -> None:
            nonlocal inside
            async with lanes.enter(*key):
                inside += 1
                await leave.wait()

        visits = [asyncio.ensure_future(visit(key)) for key in keys]
        for _ in range(20):
            await asyncio.sleep(0)
        first = inside
        leave.set()
        await asyncio.gather(*visits)
        return first, inside

    assert asyncio.run(play()) == (entered, len(keys))


def test_who_gives_up_waiting_takes_nothing_with_him() -> None:
    async def play() -> None:
        lanes = Lanes(1, 1)
        async with lanes.enter("a"):
            waiting = asyncio.ensure_future(lanes.enter("b").__aenter__())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        async with lanes.enter("b"):
            pass

    asyncio.run(play())
