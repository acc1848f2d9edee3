"""Which faults come when, and for how long? A forecast drawn from a seed, and a thread for each spell of it."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

CALM = 2.0
"""So many seconds pass on average from the beginning of one spell to that of the next."""
LONGEST = 5.0


@dataclass(frozen=True)
class Spell:
    """One fault that comes and goes."""

    fault: str
    begins: float
    """Seconds after the start."""
    lasts: float

    def __str__(self) -> str:
        return f"{self.begins:6.1f} s  {self.fault} for {self.lasts:.1f} s"


def forecast(seed: int, seconds: float, faults: list[str]) -> list[Spell]:
    """The spells that begin within so many seconds; the same fault never overlaps itself, others do."""
    dice, spells, free = random.Random(seed), list[Spell](), dict.fromkeys(faults, 0.0)
    now = dice.expovariate(1 / CALM)
    while now < seconds:
        fault = dice.choice(faults)
        if free[fault] <= now:
            spells.append(Spell(fault, now, dice.uniform(0.5, LONGEST)))
            free[fault] = now + spells[-1].lasts + CALM
        now += dice.expovariate(1 / CALM)
    return spells


@contextmanager
def weather(spells: list[Spell], faults: Mapping[str, Callable[[], AbstractContextManager[None]]]) -> Iterator[None]:
    """Have all spells come true meanwhile; on leaving, what still lasts is ended, and what failed is raised."""
    over, began = threading.Event(), time.monotonic()

    def come_true(spell: Spell) -> None:
        if over.wait(max(0.0, began + spell.begins - time.monotonic())):
            return
        with faults[spell.fault]():
            over.wait(spell.lasts)

    with ThreadPoolExecutor(max(1, len(spells))) as pool:
        coming: list[Future[None]] = [pool.submit(come_true, spell) for spell in spells]
        try:
            yield
            for one in coming:
                one.result()
        finally:
            over.set()
