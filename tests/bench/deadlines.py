"""What if very many deadlines are due in the same second? How long until each tier is entered?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.bench.audit import OPERATOR, Entry
from tests.bench.floor import rollouts
from tests.bench.ground import BAD, GOOD, OURS, Ground, Street, a_spec, names
from tests.bench.hands import Request
from tests.bench.results import Result, exponent

ROLLOUTS = 1000
"""So many plain rollouts are the floor."""


def deadlines(ground: Ground, sizes: list[int], plain: int = ROLLOUTS) -> list[Result]:
    """Open incidents that nobody acknowledges, more and more of them, and their deadlines made to be one second."""
    street = ground.street("deadlines")
    street.voices()
    floor = rollouts(street, names(plain, "plain"))
    street.receivers("owners", "risk")
    spans: list[float] = []
    writes: list[float] = []
    with ground.operator() as operator:
        for size in sizes:
            cpu = operator.meter.cpu
            spent, written = _due_at_once(street, names(size, f"m-{size}"))
            spans.append(spent)
            writes.append(written / size)
            cpu = operator.meter.cpu - cpu
    street.close()
    size, spent = sizes[-1], spans[-1]
    growth = f"; grows to the power of {exponent(sizes, spans):.2f}" if len(sizes) > 1 else ""
    each = ", ".join(f"{span:.1f} s for {count}" for span, count in zip(spans, sizes, strict=True))
    return [
        Result(
            case="deadlines",
            row=6,
            what=f"{size} deadlines due in the same second, the last tier entry accepted",
            target="≤ 1.5 × deadlines / W′",
            measured=f"{each}; W′ = {floor:.0f} writes/s: {spent * floor / size:.2f} ×{growth}",
            met=spent <= 1.5 * size / floor,
            how="audit log; the deadlines were moved to one second in the statuses of open incidents",
            numbers={"sizes": sizes, "seconds": spans, "writes": writes, "floor": floor},
        )
    ]


def _due_at_once(street: Street, crowd: list[str]) -> tuple[float, int]:
    """Seconds from the deadline of all until the last entry was accepted, and all the operator's writes until then."""
    every = 2 + len(crowd) // 300  # an open incident is decided at each evaluation: leave time for the deadlines
    street.say(crowd, GOOD)
    street.policies(crowd, lambda model: _patient(model, every))
    street.measured()
    street.say(crowd, BAD)
    incidents = opened(street, set(crowd))
    street.ground.until_quiet(3)
    due = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=10 + len(crowd) // 30)
    where, stamp = street.path(OURS, "incidents"), due.strftime("%Y-%m-%dT%H:%M:%SZ")
    changes = [
        Request("PATCH", f"{where}/{name}/status", {"status": {"tiers": [tier | {"acknowledgeDeadline": stamp}]}})
        for name, tier in incidents.items()
    ]
    street.ground.hands.do(changes, user=OPERATOR)
    street.ground.until_quiet(3)
    assert datetime.now(UTC) < due, "the deadline was too near for so many incidents"
    return _until_entered(street, set(incidents), due)


def _patient(model: str, every: int) -> dict[str, Any]:
    """A policy without a target, whose second tier is entered at the first one's deadline only."""
    tiers = [
        {"name": "owners", "severity": "SEV3", "responders": ["owners"], "acknowledgeWithin": "3h"},
        {"name": "compliance", "severity": "SEV1", "responders": ["risk"], "acknowledgeWithin": "3h"},
    ]
    calm = {"models": [{"name": model}], "containment": [], "risk": {"regulatory": 1, "reputation": 1}}
    return a_spec(model, every=f"{every}s") | calm | {"tiers": tiers}


def opened(street: Street, crowd: set[str]) -> dict[str, Any]:
    """The tier that each of their incidents is in, once all have told their owners."""
    found: dict[str, Any] = {}

    def told() -> bool:
        found.clear()
        for one in street.incidents():
            status = one.get("status", {})
            effects = status.get("effects", [])
            if one["spec"]["model"] in crowd and effects and all(effect["state"] == "Done" for effect in effects):
                (found[one["metadata"]["name"]],) = status["tiers"]
        return len(found) == len(crowd)

    street.ground.cluster.wait(told, 60 + len(crowd) / 10, f"{len(crowd)} incidents whose owners know", every=2)
    return found


def _until_entered(street: Street, incidents: set[str], due: datetime) -> tuple[float, int]:
    entered: dict[str, Entry] = {}
    written = 0

    def all_entered() -> bool:
        nonlocal written
        for one in street.ground.audit.read():
            if one.is_write and one.resource == "incidents/status" and one.name in incidents:
                written += 1
                assert one.began >= due, f"{one.name} was written before its deadline"
                entered.setdefault(one.name, one)
        return len(entered) == len(incidents)

    street.ground.cluster.wait(all_entered, 120 + len(incidents) / 10, f"{len(incidents)} tier entries", every=0.5)
    return (max(one.ended for one in entered.values()) - due).total_seconds(), written
