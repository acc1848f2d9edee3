"""Does everything that is written fit, whatever names, texts and numbers people choose?"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.builders import MIN, T0, a_decision, a_policy, a_responder, a_situation, a_target, an_incident, the_rules
from tests.decide.test_properties import the_validator
from tocsin.api.incident import IncidentStatus
from tocsin.api.policy import Rules
from tocsin.decide.defaults import SignalRule
from tocsin.decide.incident import plan
from tocsin.decide.plan import Notify
from tocsin.decide.signals import remember
from tocsin.decide.situation import Budget, Measured, Memory

NAME, LABEL = "r" * 253, "t" * 63
TIERS = [
    {
        "name": f"{number}{LABEL[1:]}",
        "severity": "SEV4",
        "accountable": f"0{NAME[1:]}",
        "responsible": [f"{place}{NAME[1:]}" for place in range(1, 8)],
        "acknowledgeWithin": "1s",
    }
    for number in range(8)
]
UNFAIR = [
    {
        "name": f"s{number:02}" + "s" * 60,
        "kind": "Fairness",
        "query": "ratio",
        "warn": "< 0.8",
        "every": "1m",
        "for": "1m",
        "floor": "SEV1",
        "samples": {"query": "count"},
    }
    for number in range(32)
]
OPTIONS = [{"name": f"{number}" + "o" * 62, "type": "RollBack", "approval": {"required": 0}} for number in range(8)]


def the_longest() -> Rules:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME}
    return the_rules(
        a_policy(models=[{"name": LABEL, "target": target}], signals=UNFAIR, tiers=TIERS, containment=OPTIONS)
    )


def memories(rules: Rules, value: str) -> dict[str, Memory]:
    """Each signal breaches for three minutes, on this value and as many samples."""
    found = {}
    for signal in rules.signals:
        reading = Measured(Decimal(value), (("model", "m" * 300),), samples=Decimal(10) ** 40)
        memory = remember(SignalRule.of(signal), [(T0 - place * MIN, reading) for place in (3, 2, 1, 0)])
        assert memory is not None
        found[signal.name] = memory
    return found


def written(status: IncidentStatus) -> None:
    """What the API server takes, and what is read again."""
    dumped = json.loads(json.dumps(status.dump()))
    the_validator().validate(dumped)
    assert IncidentStatus.model_validate(dumped) == status


EXTREMES = (
    pytest.param({}, "0.1", id="the longest names, all signals, all tiers, all roles"),
    pytest.param({}, "-1e300", id="a value with three hundred digits"),
    pytest.param(
        {"target": a_target(name=NAME, git_owner="Argo CD application " + "a" * 253)}, "0.1", id="a Git owner"
    ),
    pytest.param({"namespace_hold": "h" * 63}, "0.1", id="a brake"),
    pytest.param(
        {"budget": Budget.EXHAUSTED, "crowded": f"the budget of policy {NAME} is used up (9 within 1h)"},
        "0.1",
        id="no budget",
    ),
    pytest.param({"recurs": True}, "-Infinity", id="minus infinity, again"),
)


@pytest.mark.parametrize(("changes", "value"), EXTREMES)
def test_what_is_written_fits(changes: dict[str, Any], value: str) -> None:
    rules = the_longest()
    s = {"signals": memories(rules, value), "budget": Budget.RESERVED, "target": a_target(name=NAME)} | changes

    decided = plan(a_situation(an_incident(rules), **s))

    written(decided.status)
    assert len(decided.status.tiers) == 8
    assert sum(isinstance(effect, Notify) for effect in decided.effects) == 64


def test_what_people_write_a_lot_of_fits_on_an_option_that_runs() -> None:
    rules = the_rules(a_policy(containment=[{"name": "back", "type": "RollBack", "approval": {"required": 0}}]))
    running = plan(a_situation(an_incident(rules, severity="SEV3"), budget=Budget.RESERVED)).status
    hold = a_decision("Hold", "alice", T0, reason="w" * 1024)
    incident = an_incident(rules).model_copy(update={"status": running})

    decided = plan(a_situation(incident, decisions=(hold,), now=T0 + MIN))

    written(decided.status)


def test_more_approvals_than_are_needed_fit() -> None:
    people = [f"person-{number}" for number in range(9)]
    roster = {"owners": a_responder("owners", *people)}
    asked = plan(a_situation(roster=roster)).status
    digest = asked.containment[0].digest
    approvals = tuple(
        a_decision("Approve", by, T0 + MIN, uid=by, option="last-healthy", digest=digest) for by in people
    )
    incident = an_incident().model_copy(update={"status": asked})

    decided = plan(
        a_situation(incident, roster=roster, decisions=approvals, now=T0 + MIN, namespace_hold="change freeze")
    )

    written(decided.status)
    assert len(decided.status.containment[0].approvals) == 1
    assert [one.counted for one in decided.status.decisions] == [True] + [False] * 8
