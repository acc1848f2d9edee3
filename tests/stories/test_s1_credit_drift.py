"""S1: a credit scoring model drifts, evaluated by the hour, with the numbers that must come out."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest

from tests.builders import HOUR, MIN, T0, a_policy, a_responder, a_track
from tests.stories.course import acted, incident_at, memory_at, told
from tocsin.api.decision import DecisionSpec, DecisionType
from tocsin.api.incident import Incident
from tocsin.api.objects import Severity
from tocsin.decide import signals
from tocsin.decide.defaults import SignalRule
from tocsin.decide.rehearsal import Rehearsal, rehearse
from tocsin.decide.script import Cue, Outage, Script, Tape
from tocsin.decide.situation import NoData

POLICY = a_policy("""
models: [{name: credit-scoring}]
risk: {regulatory: 3, reputation: 2, affected: {query: decisions}}
signals:
- {name: psi, kind: Drift, query: psi, samples: {query: n}, warn: ">= 0.10", critical: ">= 0.25", for: 2h}
- {name: share, kind: Drift, query: share, samples: {query: n}, warn: ">= 0.30", critical: ">= 0.60", for: 2h}
- {name: impact, kind: Fairness, query: di, samples: {query: n}, warn: "< 0.80", for: 1h, floor: SEV1}
tiers:
- {name: owners, severity: SEV3, accountable: owners, acknowledgeWithin: 15m, acknowledgementExpires: 8h}
- {name: compliance, severity: SEV2, accountable: compliance, acknowledgeWithin: 15m, acknowledgementExpires: 8h}
- {name: executives, severity: SEV1, accountable: board, acknowledgeWithin: 15m}
""")
PEOPLE = {
    "owners": a_responder("owners", "alice"),
    "compliance": a_responder("compliance", "carol"),
    "board": a_responder("board", "erin"),
}


def an_acknowledgement(by: str, at: datetime) -> Cue:
    return Cue(at, DecisionSpec(type=DecisionType.ACKNOWLEDGE, by=by))


ANSWERED = tuple(
    an_acknowledgement(by, T0 + hour * HOUR + 5 * MIN) for by, hour in (("alice", 5), ("carol", 5), ("erin", 7))
)


def course(samples: int = 2000, outages: tuple[Outage, ...] = ()) -> Rehearsal:
    """PSI .02 + .0333 h (a thirtieth of h), flat at .22 from hour 6; the share .10 + .06 h; the ratio .86, then .76."""
    hours = range(10)
    psi = [round(Decimal(2) / 100 + Decimal(min(hour, 6)) / 30, 4) for hour in hours]
    share = [Decimal(10 + 6 * hour) / 100 for hour in hours]
    counts = a_track(HOUR, samples)
    tape = Tape(
        values={
            "psi": a_track(HOUR, *psi),
            "share": a_track(HOUR, *share),
            "impact": a_track(HOUR, *[0.86] * 6, 0.76),
        },
        samples={"psi": counts, "share": counts, "impact": counts},
        affected=a_track(HOUR, *[500] * 6, 5000),
    )
    script = Script(
        POLICY,
        POLICY.spec.models[0],
        T0,
        T0 + 9 * HOUR,
        tape,
        roster=PEOPLE,
        alone=True,
        cues=ANSWERED,
        outages=outages,
    )
    return rehearse(script)


@pytest.fixture(scope="module")
def drift() -> Rehearsal:
    return course()


def at_hour(drift: Rehearsal, hour: int) -> Incident:
    incident = incident_at(drift, T0 + hour * HOUR)
    assert incident is not None, f"no incident at hour {hour}"
    return incident


def terms(incident: Incident) -> dict[str, Decimal]:
    assert incident.status.score is not None
    return {term.name: term.value for term in incident.status.score.terms}


def severity_of(drift: Rehearsal, signal: str, hour: int) -> Decimal:
    rule = next(SignalRule.of(one) for one in POLICY.spec.signals if one.name == signal)
    reading = memory_at(drift, signal, T0 + hour * HOUR).last
    assert reading is not None
    exact = signals.severity(rule, reading.value)
    return round(Decimal(exact.numerator) / Decimal(exact.denominator), 3)


def test_hour_3_psi_is_pending_and_there_is_no_incident(drift: Rehearsal) -> None:
    memory = memory_at(drift, "psi", T0 + 3 * HOUR)

    assert memory.last is not None
    assert (memory.last.value, memory.breaching_since, memory.pending) == (Decimal("0.12"), T0 + 3 * HOUR, 0 * HOUR)
    assert incident_at(drift, T0 + 5 * HOUR - MIN) is None


def test_hour_5_psi_is_sustained_and_tier_2_is_entered_at_once(drift: Rehearsal) -> None:
    incident = at_hour(drift, 5)

    assert severity_of(drift, "psi", 5) == Decimal("0.747")
    assert terms(incident) == {
        "signals": Decimal("26.1380"),
        "regulatory": Decimal("22.5"),
        "affected": Decimal(5),
        "reputation": Decimal("7.5"),
    }
    assert (incident.status.risk, incident.status.severity) == (61, Severity.SEV2)
    assert [(tier.name, tier.entered_time) for tier in incident.status.tiers] == [
        ("owners", T0 + 5 * HOUR),
        ("compliance", T0 + 5 * HOUR),
    ]


def test_hour_6_the_share_joins_and_nobody_is_paged_again(drift: Rehearsal) -> None:
    incident = at_hour(drift, 6)

    assert (severity_of(drift, "psi", 6), severity_of(drift, "share", 6)) == (Decimal("0.88"), Decimal("0.72"))
    assert terms(incident)["signals"] == 35 * Decimal("0.93")
    assert incident.status.score is not None
    assert incident.status.score.risk == Decimal("72.55")
    assert (incident.status.risk, incident.status.severity) == (73, Severity.SEV2)
    assert [at for at, _, _ in told(drift) if T0 + 5 * HOUR < at < T0 + 7 * HOUR] == []


def test_hour_7_the_ratio_makes_it_sev1_by_the_floor_and_tier_3_is_entered_once(drift: Rehearsal) -> None:
    incident = at_hour(drift, 7)

    assert incident.status.severity is Severity.SEV1
    assert incident.status.score is not None
    assert "signal impact is sustained: at least SEV1, by the policy" in incident.status.score.floors
    assert [(at, who) for at, who, cause in told(drift) if cause == "TierEntered"] == [
        (T0 + 5 * HOUR, "owners"),
        (T0 + 5 * HOUR, "compliance"),
        (T0 + 7 * HOUR, "board"),
    ]


def test_the_incident_opens_exactly_once_and_nothing_is_done_to_a_model_without_a_target(drift: Rehearsal) -> None:
    assert len(drift.incidents) == 1
    assert drift.incidents[0].status.episode == 1
    assert acted(drift) == []


def test_with_80_samples_it_is_insufficient_data_throughout() -> None:
    drift = course(samples=80)

    readings = [memory.reading for moment in drift.moments for memory in moment.evaluated.values()]
    assert drift.incidents == ()
    assert len(readings) == 30
    assert {reading.reason if isinstance(reading, NoData) else "data" for reading in readings} == {"InsufficientData"}


@pytest.mark.parametrize("minutes", [minute for hour in range(1, 9) for minute in (60 * hour, 60 * hour + 30)])
def test_a_restart_at_any_point_gives_the_same_end_state(drift: Rehearsal, minutes: int) -> None:
    at = T0 + minutes * MIN

    assert course(outages=(Outage(at, at),)).incidents == drift.incidents
