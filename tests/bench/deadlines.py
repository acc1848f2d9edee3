"""What if very many deadlines are due in the same second? How long until each tier is entered?"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.bench.audit import OPERATOR
from tests.bench.floor import rollouts
from tests.bench.ground import BAD, GOOD, OURS, Ground, Street, a_spec, names
from tests.bench.hands import Request
from tests.bench.results import Result, curve, quantile
from tests.e2e.stage import API
from tocsin.api.quantities import format_clock, format_time
from tocsin.engine.opening import incident_name
from tocsin.observe.cluster import Pair

ROLLOUTS = 1000
"""So many plain rollouts are the floor."""
SPREAD = 60
"""Seconds over which deadlines are spread that do not lie in one second."""
TOGETHER = 50
"""Models of one policy."""
EVERY = 10
"""Seconds between evaluations."""
ORIGINAL = Pair("", "policy-of-the-original", "model-of-the-original")


def deadlines(ground: Ground, sizes: list[int], plain: int = ROLLOUTS, spread: int = SPREAD) -> list[Result]:
    """Open incidents that nobody acknowledges, more and more of them, whose deadlines lie in one second.

    And then the fewest of these again, with deadlines spread over so many seconds. One incident is opened by the
    operator; the others are written after its likeness while no operator runs: to open so many takes longer than
    everything that is measured.
    """
    floor = _floor(ground, plain)
    runs = [_run(ground, size) for size in sizes]
    apart = _run(ground, sizes[0], spread)
    size, spent, bare = sizes[-1], [one["late"][-1] for one in runs], runs[-1]["bare"]
    each = ", ".join(f"{span:.1f} s for {count}" for span, count in zip(spent, sizes, strict=True))
    return [
        Result(
            case="deadlines",
            row=6,
            what=f"{size} deadlines due in the same second, the last tier entry accepted",
            target="≤ 1.5 × deadlines / W′",
            measured=f"{each}; W′ = {floor:.0f} writes/s: {spent[-1] * floor / size:.2f} ×; of the time that the"
            f" server takes for the same status writes alone ({bare:.0f}/s): {spent[-1] * bare / size:.2f} ×",
            met=spent[-1] <= 1.5 * size / floor,
            how="audit log; one incident was opened by the operator, the others were written in its likeness",
            numbers={
                "runs": runs,
                "floor": floor,
                "curve": curve("deadlines in one second", "s to the last tier entry", sizes, spent),
            },
        ),
        Result(
            case="deadlines",
            row=0,
            what=f"{sizes[0]} deadlines spread over {spread} s",
            target="",
            measured=f"each tier entry accepted p50 {quantile(apart['late'], 0.5):.2f} s, p99"
            f" {quantile(apart['late'], 0.99):.2f} s after its deadline",
            met=None,
            how="audit log; deadlines are whole seconds, so that some are due together",
            numbers={"run": apart},
        ),
    ]


def _floor(ground: Ground, plain: int) -> float:
    street = ground.street("plain")
    street.voices()
    floor = rollouts(street, names(plain, "plain"))
    ground.vacate(street)
    return floor


def _run(ground: Ground, size: int, spread: int = 0) -> dict[str, Any]:
    """So many deadlines: how late each entry was accepted, writes for each until then, processor time."""
    street, crowd = ground.street("deadlines"), names(size)
    street.voices()
    street.receivers("owners", "risk")
    original = _opened(street)
    street.say(crowd, BAD)
    groups = [crowd[place : place + TOGETHER] for place in range(0, size, TOGETHER)]
    bodies = [_policy(f"policy-{number}", group) for number, group in enumerate(groups)]
    ground.hands.do([Request("POST", street.path(OURS, "escalationpolicies"), body) for body in bodies])
    due = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=45 + size / 50)
    likenesses = [
        _likeness(original, Pair(street.namespace, f"policy-{number}", model))
        for number, group in enumerate(groups)
        for model in group
    ]
    dues = {
        one["metadata"]["name"]: due + timedelta(seconds=place * spread // size) for place, one in enumerate(likenesses)
    }
    bare = _write(street, likenesses, dues)
    with ground.operator() as operator:
        kind = 'kind="Incident"'
        ground.cluster.wait(lambda: operator.metric("tocsin_objects", kind) >= size, 120, "the incidents", every=0.5)
        ground.until_quiet(5)
        assert datetime.now(UTC) < due, "the deadline was too near for so many incidents"
        cpu = operator.meter.cpu
        late, written = _until_entered(street, dues)
        cpu = operator.meter.cpu - cpu
    ground.vacate(street)
    return {"deadlines": size, "late": late, "writes": written / size, "cpu": cpu, "bare": bare}


def _opened(street: Street) -> dict[str, Any]:
    """An incident as the operator opens it, when all is written that it writes at once."""
    ground = street.ground
    street.say([ORIGINAL.model], GOOD)
    with ground.operator():
        body = _policy(ORIGINAL.policy, [ORIGINAL.model])
        ground.cluster.api("POST", street.path(OURS, "escalationpolicies"), body)
        street.measured()
        street.say([ORIGINAL.model], BAD)
        street.until_told(1)
        ground.until_quiet(3)
    (incident,) = street.incidents()
    return dict(incident)


def _policy(name: str, models: Sequence[str]) -> dict[str, Any]:
    """A policy without targets, whose second tier is entered at the first one's deadline only."""
    tiers = [
        {"name": "owners", "severity": "SEV3", "accountable": "owners", "acknowledgeWithin": "3h"},
        {"name": "compliance", "severity": "SEV1", "accountable": "risk", "acknowledgeWithin": "3h"},
    ]
    calm = {"models": [{"name": one} for one in models], "containment": [], "tiers": tiers}
    spec = a_spec("", every=f"{EVERY}s") | calm | {"risk": {"regulatory": 1, "reputation": 1}}
    return {"apiVersion": API, "kind": "EscalationPolicy", "metadata": {"name": name}, "spec": spec}


def _likeness(original: dict[str, Any], pair: Pair) -> dict[str, Any]:
    """An incident of another pair with the same history; its UID is still the original's."""
    name = incident_name(pair, "")
    text = json.dumps({key: original[key] for key in ("apiVersion", "kind", "spec", "status")})
    for old, new in (
        (original["metadata"]["name"], name),
        (ORIGINAL.policy, pair.policy),
        (ORIGINAL.model, pair.model),
    ):
        text = text.replace(old, new)
    return {"metadata": {"name": name}, **json.loads(text)}


def _write(street: Street, likenesses: Sequence[dict[str, Any]], dues: Mapping[str, datetime]) -> float:
    """Create them, and give each its status with its own UID in the keys of its effects and with its deadline.

    Returns how many of these statuses the server takes a second when it has nothing else to do.
    """
    hands, where = street.ground.hands, street.path(OURS, "incidents")
    hands.do([Request("POST", where, one) for one in likenesses], user=OPERATOR)
    uids = {one["metadata"]["name"]: one["metadata"]["uid"] for one in street.incidents()}
    patches = []
    for one in likenesses:
        name, status = one["metadata"]["name"], one["status"]
        due = dues[name]
        (tier,) = status["tiers"]
        status = status | {
            "tiers": [tier | {"acknowledgeDeadline": format_time(due)}],
            "effects": [
                effect | {"key": "/".join([uids[name], *effect["key"].split("/")[1:]])} for effect in status["effects"]
            ],
            "nextDeadline": format_clock(due),
            "nextDeadlineTime": format_time(due),
        }
        patches.append(Request("PATCH", f"{where}/{name}/status", {"status": status}))
    return hands.do(patches, user=OPERATOR).rate


def _until_entered(street: Street, dues: Mapping[str, datetime]) -> tuple[list[float], int]:
    """Seconds after its deadline at which each entry was accepted, in order; and how many writes there were."""
    late: dict[str, float] = {}
    written = 0

    def all_entered() -> bool:
        nonlocal written
        for one in street.ground.audit.read():
            if one.is_write and one.resource == "incidents/status" and one.name in dues:
                written += 1
                assert one.began >= dues[one.name], f"{one.name} was written before its deadline"
                late.setdefault(one.name, (one.ended - dues[one.name]).total_seconds())
        return len(late) == len(dues)

    left = (max(dues.values()) - datetime.now(UTC)).total_seconds()
    street.ground.cluster.wait(all_entered, left + 60 + len(dues) / 20, "every tier entry", every=0.5)
    return sorted(late.values()), written
