"""How long does it take to contain everything when everything breaks at once?"""

from __future__ import annotations

from typing import Any

from tests.bench.audit import OPERATOR, Entry
from tests.bench.contain import is_containment
from tests.bench.floor import rollouts
from tests.bench.ground import BAD, GOOD, Ground, a_spec, names
from tests.bench.results import Result, curve

PER_SECOND = 1000
"""Evaluations a second: with more models each is evaluated less often, or there is no time for anything else."""


def storm(ground: Ground, sizes: list[int], row: int) -> list[Result]:
    """All models break between two scrapes, more and more of them; the floor is what the server bears of rollouts.

    One of the sizes is that of the row, the others show how it grows.
    """
    runs = [_one(ground, models) for models in sizes]
    its = runs[sizes.index(row)]
    return [
        Result(
            case="storm",
            row=4,
            what=f"{row} models breach at once, last containment",
            target="≤ 1.5 × models · k / W′",
            measured=f"{its['seconds']:.1f} s; k = {its['k']:.1f} requests, W′ = {its['floor']:.0f} writes/s:"
            f" {its['ratio']:.2f} ×",
            met=its["ratio"] <= 1.5,
            how="audit log; W′ from rolling out two revisions of as many Deployments in the same run",
            numbers={
                "runs": runs,
                "curve": curve("models that breach at once", "s to the last", sizes, [one["seconds"] for one in runs]),
            },
        )
    ]


def _one(ground: Ground, models: int) -> dict[str, Any]:
    """One storm: seconds to the last containment, requests for each, the floor, and processor time."""
    street, crowd = ground.street("storm"), names(models)
    every = max(1, models // PER_SECOND)
    street.voices()
    floor = rollouts(street, crowd)
    street.receivers("owners")
    street.say(crowd, GOOD)
    with ground.operator() as operator:
        street.policies(crowd, lambda model: a_spec(model, every=f"{every}s"))
        street.measured(300 + models / 5)
        cpu = operator.meter.cpu
        ground.audit.read()
        street.say(crowd, BAD)
        entries = _until_contained(ground, set(crowd))
        cpu = operator.meter.cpu - cpu
    ground.vacate(street)
    ended = [one.ended for one in entries if _contains(one, set(crowd))]
    opened = min(one.began for one in entries if one.resource == "incidents" and one.verb == "create")
    answers = [ground.seconds_of(call.ended) for call in ground.metrics.calls if call.ended]
    decided = max(instant for instant in answers if instant <= opened)
    requests = sum(decided <= one.began <= max(ended) for one in entries)
    spent = (max(ended) - decided).total_seconds()
    return {
        "models": models,
        "every": every,
        "seconds": spent,
        "k": requests / models,
        "floor": floor,
        "ratio": spent * floor / requests,
        "cpu": cpu,
        "each": sorted((one - decided).total_seconds() for one in ended),
    }


def _contains(entry: Entry, crowd: set[str]) -> bool:
    return entry.user == OPERATOR and entry.name in crowd and is_containment(entry, entry.name)


def _until_contained(ground: Ground, crowd: set[str]) -> list[Entry]:
    found: list[Entry] = []

    def all_contained() -> bool:
        found.extend(ground.audit.read())
        return len({one.name for one in found if _contains(one, crowd)}) == len(crowd)

    ground.cluster.wait(all_contained, 300 + len(crowd), f"{len(crowd)} containments", every=0.5)
    return found
