"""What is done when the wall clock is set?"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from tests.builders import T0
from tocsin.engine.jumps import ClockWentBack, watch


@dataclass
class SetClock:
    """A wall clock that is set by so many seconds during each sleep, and stops the test after the last."""

    steps: list[float]
    wall: datetime = T0
    elapsed: float = 0.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.elapsed

    async def sleep(self, seconds: float) -> None:
        if len(self.slept) == len(self.steps):
            raise asyncio.CancelledError
        self.wall += timedelta(seconds=seconds + self.steps[len(self.slept)])
        self.elapsed += seconds
        self.slept.append(seconds)


@pytest.mark.parametrize(
    ("steps", "ends"),
    [
        pytest.param([0, 0, 0], False, id="it runs as it should"),
        pytest.param([-0.3] * 60, False, id="it is slewed, however long"),
        pytest.param([0, 3600, 0], False, id="it is set forward"),
        pytest.param([0, -3600], True, id="it is set back"),
        pytest.param([3600, 0, -3600], True, id="it is set forward by mistake, and back"),
    ],
)
def test_a_clock_that_is_set(steps: list[float], ends: bool) -> None:
    with pytest.raises(ClockWentBack if ends else asyncio.CancelledError):
        asyncio.run(watch(SetClock(steps)))
