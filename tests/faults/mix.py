"""Everything fails, one after another and at once, while incidents are opened, contained, escalated and resolved."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from tests.bench.audit import Audit
from tests.cluster.cluster import Cluster
from tests.e2e.lives import Life, Street
from tests.e2e.stage import Installed
from tests.faults.invariants import flaws
from tests.faults.site import site
from tests.faults.weather import Spell, forecast, weather

PATIENCE = 120
"""So many seconds after the last spell every life must have ended."""


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    spells: list[Spell]
    struck: int
    """How many requests were disturbed."""
    lives: int
    flaws: dict[str, list[str]]
    """By the model, of those that have any, and of the run as a whole."""
    log: str
    """The end of what the replicas said."""


def mix(
    cluster: Cluster, installed: Installed, *, seed: int, seconds: float, lives: int, say: Callable[[str], object]
) -> Outcome:
    """Have so many lives go on in the weather of a seed; the same seed brings the same forecast."""
    with site(cluster, installed) as scene, closing(Street.settle(cluster, scene.receiver.url)) as street:
        street.tidy = True
        crowd = [Life(street, f"m{number:03}-{seed}") for number in range(lives)]
        street.prepare(crowd)
        audit, faults = Audit(cluster), scene.faults()
        spells = forecast(seed, seconds, list(faults))
        for spell in spells:
            say(f"  {spell}")
        found = dict[str, list[str]]()
        try:
            with weather(spells, faults):
                street.live(crowd, seconds + PATIENCE, Life.break_it)
        except AssertionError as late:
            found["the run"] = [str(late)]
        entries = audit.read(None)
        reasons = [*scene.terms(), *scene.lost]
        found |= {life.model: wrong for life in crowd if (wrong := flaws(life, entries, reasons))}
        log = "\n".join(f"{one.operator.name}:\n{one.log}" for one in scene.replicas)
        return Outcome(spells, scene.struck, lives, found, log)
