"""What if somebody sets the clock? A step forward is told of; after a step back this process starts anew."""

from __future__ import annotations

import structlog

from tocsin.clock import Clock

log = structlog.get_logger()

LOOK_EVERY = 1.0
STEP = 2.0
"""Seconds: what a clock is slewed by is far less between two looks."""


class ClockWentBack(Exception):
    """The wall clock was set back: what is remembered, and what is planned, lies in a future that does not come yet.

    Evaluations would wait until the clock has caught up. Everything is kept in the cluster and in Prometheus, so that
    whoever starts anew begins with the time that it is now.
    """


async def watch(clock: Clock) -> None:
    """Compare the wall clock with the monotonic one, for ever; raises ClockWentBack."""
    wall, elapsed = clock.now(), clock.monotonic()
    while True:
        await clock.sleep(LOOK_EVERY)
        step = (clock.now() - wall).total_seconds() - (clock.monotonic() - elapsed)
        if step < -STEP:
            raise ClockWentBack(f"the wall clock was set back by {-step:.0f} s")
        if step > STEP:
            log.warning("the wall clock was set forward: deadlines are due earlier", seconds=round(step))
        wall, elapsed = clock.now(), clock.monotonic()
