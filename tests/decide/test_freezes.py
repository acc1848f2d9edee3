"""Does nothing start in a freeze, does everything else go on, and does what waits start when the freeze is over?"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.builders import HOUR, MIN, T0, a_freeze, a_situation, an_incident
from tests.decide.test_containment import AUTOMATIC, KEY, ROLL_BACK, a_record, rules_of, the_status
from tocsin.api.containment import Freeze
from tocsin.api.incident import IncidentStatus, OptionState
from tocsin.api.policy import Risk
from tocsin.decide.freezes import freeze_in_force, words_of
from tocsin.decide.incident import plan
from tocsin.decide.plan import Contain, Plan
from tocsin.decide.situation import Budget, Outcome, Situation

LATER = a_freeze(2 * HOUR, 3 * HOUR, "later")
SHORT, LONG = a_freeze(end=10 * MIN, name="short"), a_freeze(-HOUR, 20 * MIN, "long")


@pytest.mark.parametrize(
    ("freezes", "after", "found"),
    [
        pytest.param((), timedelta(), None, id="none"),
        pytest.param((SHORT,), -MIN, None, id="one that has not begun"),
        pytest.param((SHORT,), timedelta(), SHORT, id="its first instant"),
        pytest.param((SHORT,), 10 * MIN - timedelta(milliseconds=1), SHORT, id="the last millisecond of it"),
        pytest.param((SHORT,), 10 * MIN, None, id="the first instant after it"),
        pytest.param((SHORT, LONG, LATER), 5 * MIN, LONG, id="of several the one that lasts longest"),
    ],
)
def test_in_force_is(freezes: tuple[Freeze, ...], after: timedelta, found: Freeze | None) -> None:
    assert freeze_in_force(freezes, T0 + after) == found


def test_it_is_told_until_when_and_why() -> None:
    assert words_of(SHORT) == "freeze short until 2026-11-23T09:10:00Z: the platform moves"


# --- the course of an incident


def frozen(*freezes: Freeze, status: IncidentStatus | None = None, **changes: Any) -> Situation:
    """An option that runs by itself, in a breach that has lasted, while there are such freezes."""
    rules = rules_of(ROLL_BACK | AUTOMATIC).model_copy(update={"risk": Risk()})
    incident = an_incident(rules, **the_status())
    incident = incident.model_copy(update={"status": status}) if status else incident
    return a_situation(incident, freezes=freezes, budget=Budget.RESERVED, **changes)


def started(found: Plan) -> list[str]:
    return [effect.key for effect in found.effects if isinstance(effect, Contain)]


def contained(found: Plan) -> tuple[str, str, str]:
    (fact,) = [one for one in found.status.conditions if one.type == "Contained"]
    return (fact.status, fact.reason, fact.message)


def test_people_are_told_and_deadlines_run_on_and_when_it_is_over_the_incident_goes_on_by_itself() -> None:
    first = plan(frozen(a_freeze(end=20 * MIN)))
    assert started(first) == []
    assert contained(first) == ("False", "Held", "freeze move until 2026-11-23T09:20:00Z: the platform moves")
    assert [tier.name for tier in first.status.tiers] == ["owners"]
    assert any("/notify/" in effect.key for effect in first.effects)

    missed = plan(frozen(a_freeze(end=20 * MIN), status=first.status, now=T0 + 15 * MIN))
    assert [tier.name for tier in missed.status.tiers] == ["owners", "compliance"]
    assert missed.look_again_at == T0 + 20 * MIN
    assert started(missed) == []

    assert started(plan(frozen(a_freeze(end=20 * MIN), status=missed.status, now=T0 + 20 * MIN))) == [KEY]


def test_one_that_is_shortened_lengthened_or_removed_counts_as_it_is_now() -> None:
    first = plan(frozen(SHORT)).status
    assert contained(plan(frozen(LONG, status=first))) == ("False", "Held", words_of(LONG))
    assert started(plan(frozen(LONG, status=first, now=T0 + 10 * MIN))) == []
    assert started(plan(frozen(status=first, now=T0 + MIN))) == [KEY]


def test_what_is_under_way_when_it_begins_comes_to_its_end() -> None:
    running = a_record(OptionState.EXECUTING, attempt=1, under="automatic")
    before = frozen(a_freeze(), status=IncidentStatus.model_validate(the_status(running)))

    (sent,) = plan(replace(before, under_way=frozenset([KEY]))).status.containment
    assert sent.state is OptionState.EXECUTING
    (done,) = plan(replace(before, outcomes={KEY: Outcome(KEY, "Done", T0, "ok")})).status.containment
    assert (done.state, done.executed_time) == (OptionState.EXECUTED, T0)
    (kept,) = plan(before).status.containment
    assert (kept.state, kept.message) == (OptionState.ASKING, words_of(a_freeze()))
