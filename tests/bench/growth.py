"""How does cost grow with what is not in the targets: signals of a policy, and responders of a tier?"""

from __future__ import annotations

from typing import Any

from tests.bench.ground import BAD, GOOD, Ground, names
from tests.bench.results import Result, curve
from tests.bench.steady import cost_of, until_watched, watching
from tests.e2e.stage import ACCURACY

POLICIES = 100
EVERY = 2


def growth(ground: Ground, signals: list[int], responders: list[int], incidents: int, seconds: float) -> list[Result]:
    """One measurement for each number."""
    rounds = [_of_signals(ground, number, seconds) for number in signals]
    spent = [_of_responders(ground, number, incidents) for number in responders]
    return [
        _row(
            f"processor time of a round of {POLICIES} policies, by signals of a policy",
            "as row 9",
            curve("signals of a policy", "ms a round", signals, rounds),
        ),
        _row(
            "processor time of an incident until all are told, by responders of its tier",
            f"/proc of the operator, {incidents} incidents at once, each responder with a webhook",
            curve("responders of a tier", "ms an incident", responders, spent),
        ),
    ]


def _row(what: str, how: str, drawn: dict[str, Any]) -> Result:
    told = ", ".join(f"{y:.1f} at {x}" for x, y in zip(drawn["xs"], drawn["ys"], strict=True))
    return Result("growth", 0, what, "", f"{told} ({drawn['y']})", None, how, {"curve": drawn})


def _of_signals(ground: Ground, number: int, seconds: float) -> float:
    """Milliseconds a round."""
    street, crowd = ground.street("signals"), names(POLICIES)
    street.voices()
    street.say(crowd, GOOD)

    def spec(model: str) -> dict[str, Any]:
        made = watching(model, EVERY)
        (signal,) = made["signals"]
        several = [signal | {"name": f"s-{n}", "query": f"{ACCURACY} + {n} - {n}"} for n in range(number)]
        return made | {"signals": several}

    street.policies(crowd, spec)
    with ground.operator() as operator:
        grown = until_watched(ground, operator, POLICIES, EVERY)
        cost = cost_of(ground, operator, POLICIES, seconds, grown)
    ground.vacate(street)
    return cost.cpu * 1000 / cost.rounds


def _of_responders(ground: Ground, number: int, incidents: int) -> float:
    """Milliseconds an incident."""
    street, crowd = ground.street("responders"), names(incidents)
    roles = names(number, "role")
    street.voices()
    street.receivers(*roles)
    street.say(crowd, GOOD)
    first, *others = roles
    tier = {
        "name": "owners",
        "severity": "SEV3",
        "accountable": first,
        "responsible": others,
        "acknowledgeWithin": "1h",
    }
    street.policies(crowd, lambda model: watching(model, EVERY) | {"tiers": [tier]})
    with ground.operator() as operator:
        until_watched(ground, operator, incidents, EVERY)
        before = operator.meter.cpu
        street.say(crowd, BAD)
        street.until_told(incidents)
        spent = operator.meter.cpu - before
    ground.vacate(street)
    return spent * 1000 / incidents
