"""S2: a fraud model slows down, evaluated every minute, with the numbers that must come out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.builders import HOUR, MIN, T0, a_policy, a_responder, a_target, a_track
from tests.stories.course import acted, incident_at, memory_at, told
from tocsin.api.decision import DecisionSpec
from tocsin.api.incident import Incident, OptionRecord, OptionState, Phase
from tocsin.api.objects import Severity, condition
from tocsin.decide.rehearsal import Rehearsal, rehearse
from tocsin.decide.script import Cue, Outage, Report, Script, Tape
from tocsin.decide.situation import Failed

FAIL_SAFE = "approval: {required: 1, failSafeAfter: 5m}"
PLAIN = "approval: {required: 1}"


def a_text(approval: str = FAIL_SAFE) -> str:
    return f"""
mode: Enforce
models:
- name: fraud
  target: {{apiVersion: apps/v1, kind: Deployment, name: fraud}}
risk: {{regulatory: 2, reputation: 2}}
signals:
- {{name: latency, kind: Latency, query: p99, warn: "> 0.3", critical: "> 0.6", recover: "<= 0.24", for: 3m,
   recoverAfter: 10m}}
- {{name: errors, kind: Errors, query: ratio, warn: "> 0.01", critical: "> 0.05", for: 2m}}
containment:
- {{name: last-healthy, type: RollBack, rollBack: {{to: LastHealthy}}, {approval}, verifyWithin: 15m}}
tiers:
- {{name: owners, severity: SEV3, accountable: owners, acknowledgeWithin: 15m, containWithin: 1h}}
- {{name: compliance, severity: SEV2, accountable: compliance, acknowledgeWithin: 15m, decideWithin: 4h}}
- {{name: executives, severity: SEV1, accountable: board, acknowledgeWithin: 15m}}
"""


PEOPLE = {
    "owners": a_responder("owners", "alice", "bob"),
    "compliance": a_responder("compliance", "carol"),
    "board": a_responder("board", "erin"),
}
SLOWER = [round(Decimal(12 + 13 * minute) / 100, 2) for minute in range(7)]
SLOWER[6] = Decimal("0.90")
ERRORS = [Decimal("0.001")] * 8 + [Decimal("0.02")]
BETTER = [Decimal(text) for text in ("0.80", "0.66", "0.52", "0.40", "0.30", "0.24")]
"""The minutes after the rollback: at the sixth, T+16, it is well."""


def minutes(count: float) -> datetime:
    return T0 + count * MIN


def a_cue(minute: float, kind: str, by: str, **fields: Any) -> Cue:
    return Cue(minutes(minute), DecisionSpec.model_validate({"type": kind, "by": by, **fields}))


AUTHORISED = a_cue(-60, "Authorise", "carol", option="last-healthy", expireTime=T0 + 24 * HOUR, reason="tried in June")
LESSON = {"owner": "alice", "dueTime": T0 + 48 * HOUR}
RESOLVED = a_cue(30, "Resolve", "alice", reason="v3 is withdrawn", postMortem=LESSON)


def course(
    approval: str = FAIL_SAFE,
    cues: Sequence[Cue | Report] = (AUTHORISED,),
    latency: Sequence[Any] = SLOWER,
    errors: Sequence[Any] = ERRORS,
    until: float = 35,
    outages: tuple[Outage, ...] = (),
) -> Rehearsal:
    policy = a_policy(a_text(approval))
    tape = Tape({"latency": a_track(MIN, *latency), "errors": a_track(MIN, *errors)})
    better = Tape({"latency": a_track(MIN, *BETTER), "errors": a_track(MIN, Decimal("0.001"))})
    script = Script(
        policy,
        policy.spec.models[0],
        T0,
        minutes(until),
        tape,
        after={"last-healthy": better},
        target=a_target(),
        roster=PEOPLE,
        alone=True,
        cues=tuple(cues),
        outages=outages,
    )
    return rehearse(script)


@pytest.fixture(scope="module")
def slow() -> Rehearsal:
    return course(cues=(AUTHORISED, RESOLVED))


def at(course: Rehearsal, minute: float) -> Incident:
    incident = incident_at(course, minutes(minute))
    assert incident is not None, f"no incident at T+{minute}"
    return incident


def option_at(course: Rehearsal, minute: float) -> OptionRecord:
    (record,) = at(course, minute).status.containment
    return record


def test_t2_is_pending(slow: Rehearsal) -> None:
    memory = memory_at(slow, "latency", minutes(2))

    assert memory.last is not None
    assert (memory.last.value, memory.pending, memory.breaching_since) == (Decimal("0.38"), 0 * MIN, minutes(2))
    assert incident_at(slow, minutes(5) - timedelta.resolution) is None


def test_t5_opens_at_sev2_with_tier_2_and_asks_with_what_exactly_would_be_done(slow: Rehearsal) -> None:
    incident, option = at(slow, 5), option_at(slow, 5)

    assert incident.status.score is not None
    assert [(term.name, term.value, term.because) for term in incident.status.score.terms] == [
        ("signals", Decimal(35), "35 × 1: latency 1"),
        ("regulatory", Decimal(15), "30 × 2/4"),
        ("affected", Decimal(10), "20 × 2/4: unknown, estimated as band 2"),
        ("reputation", Decimal("7.5"), "15 × 2/4"),
    ]
    assert (incident.status.score.risk, incident.status.severity) == (Decimal("67.5"), Severity.SEV2)
    assert [tier.name for tier in incident.status.tiers] == ["owners", "compliance"]
    assert (option.state, option.needs, option.fail_safe_time) == (OptionState.ASKING, 1, minutes(10))
    assert option.summary == "roll Deployment/fraud back from revision 2 (fraud:2) to revision 1 (fraud:1)"
    assert option.digest is not None
    assert told(slow)[:2] == [
        (minutes(5), "owners", "TierEntered ApprovalNeeded"),
        (minutes(5), "compliance", "TierEntered ApprovalNeeded"),
    ]


def test_t10_errors_join_without_changing_the_score_and_the_fail_safe_rolls_back(slow: Rehearsal) -> None:
    incident, option = at(slow, 10), option_at(slow, 10)

    assert [(one.name, one.sustained) for one in incident.status.signals] == [("latency", True), ("errors", True)]
    assert incident.status.score is not None
    assert incident.status.score.risk == Decimal("67.5")
    assert acted(slow) == [(minutes(10), "last-healthy", False)]
    assert (option.under, option.approvals) == ("authorisation authorise-1 by carol", ())
    assert (option.executed_time, option.verify_time) == (minutes(10), minutes(25))
    contained = condition(incident.status.conditions, "Contained")
    assert contained is not None
    assert (contained.status, contained.reason) == ("True", "Holding")


def test_t16_the_containment_is_verified(slow: Rehearsal) -> None:
    assert option_at(slow, 15).state is OptionState.EXECUTED
    verified = option_at(slow, 16)
    assert (verified.state, verified.message) == (OptionState.HELPED, "the signal was well again after 6m")


def test_t26_has_recovered_and_a_person_resolves(slow: Rehearsal) -> None:
    assert at(slow, 25).status.phase is Phase.CONTAINED
    assert (at(slow, 26).status.phase, at(slow, 26).status.recovered_time) == (Phase.RECOVERED, minutes(26))
    assert at(slow, 29).status.resolved_time is None
    assert (at(slow, 30).status.phase, at(slow, 30).status.resolved_time) == (Phase.RESOLVED, minutes(30))
    assert len(slow.incidents) == 1


def test_tier_3_is_entered_at_t20_because_nobody_acknowledged_and_once_only(slow: Rehearsal) -> None:
    entered = [(when, who) for when, who, cause in told(slow) if "TierEntered" in cause]

    assert entered == [(minutes(5), "owners"), (minutes(5), "compliance"), (minutes(20), "board")]


STALE = "sha256:" + "0" * 64
UNAUTHORISED = (
    pytest.param(PLAIN, (), id="without a fail-safe"),
    pytest.param(FAIL_SAFE, (), id="without an authorisation"),
    pytest.param(
        FAIL_SAFE,
        (a_cue(-60, "Authorise", "carol", option="last-healthy", expireTime=minutes(10), reason="expires at T+10"),),
        id="with an authorisation that expired at that instant",
    ),
    pytest.param(
        FAIL_SAFE,
        (Cue(AUTHORISED.at, AUTHORISED.spec.model_copy(update={"digest": STALE})),),
        id="with an authorisation of what the option was before",
    ),
    pytest.param(
        FAIL_SAFE,
        (a_cue(-60, "Authorise", "carol", option="stop", expireTime=T0 + 24 * HOUR, reason="another option"),),
        id="with an authorisation of another option",
    ),
)


@pytest.mark.parametrize(("approval", "cues"), UNAUTHORISED)
def test_nothing_is_done_unless_the_fail_safe_and_a_fitting_authorisation_exist(
    approval: str, cues: tuple[Cue, ...]
) -> None:
    acknowledged = a_cue(6, "Acknowledge", "carol")
    slow = course(approval, (*cues, acknowledged))

    assert acted(slow) == []
    assert option_at(slow, 35).state is OptionState.ASKING
    score = at(slow, 35).status.score
    assert score is not None
    assert {term.name: term.value for term in score.terms}["missed deadlines"] == 5
    assert score.risk == Decimal("72.5")
    assert [(tier.name, tier.missed) for tier in at(slow, 35).status.tiers] == [
        ("owners", ("Acknowledge",)),
        ("compliance", ()),
    ]


def test_a_person_approves_and_the_rollback_runs_as_approved() -> None:
    slow = course(PLAIN, (a_cue(7, "Approve", "bob", option="last-healthy"),))

    assert acted(slow) == [(minutes(7), "last-healthy", False)]
    assert option_at(slow, 7).under == "approved by bob"


def test_whoever_opened_the_incident_cannot_approve_what_it_asks_for_but_another_can() -> None:
    slow = course(
        PLAIN,
        (
            Report(minutes(1), "alice", "payments hang"),
            a_cue(2, "Approve", "alice", option="last-healthy"),
            a_cue(4, "Approve", "bob", option="last-healthy"),
        ),
    )

    first, second = at(slow, 4).status.decisions
    assert (first.by, first.counted) == ("alice", False)
    assert first.message == "alice asked for it and cannot approve it: four eyes"
    assert (second.by, second.counted) == ("bob", True)
    assert acted(slow) == [(minutes(4), "last-healthy", False)]
    assert len(slow.incidents) == 1


SILENT = [Failed("connection refused")] * 20
"""Prometheus answers up to T+3, not from T+4 to T+23, and from T+24 on."""


@pytest.mark.parametrize(
    "restarts",
    [
        pytest.param((), id="without a restart"),
        pytest.param((15,), id="with a restart at T+15"),
        pytest.param((24,), id="with a restart at T+24"),
        pytest.param((15, 24), id="with both"),
    ],
)
def test_a_gap_of_prometheus_neither_fires_nor_recovers_and_the_pending_minute_is_kept(
    restarts: tuple[int, ...],
) -> None:
    slow = course(
        latency=[*SLOWER[:4], *SILENT, SLOWER[-1]],
        errors=[*ERRORS[:4], *SILENT, ERRORS[-1]],
        outages=tuple(Outage(minutes(one), minutes(one)) for one in restarts),
    )

    assert memory_at(slow, "latency", minutes(3)).pending == 1 * MIN
    assert memory_at(slow, "latency", minutes(24)).pending == 1 * MIN
    assert memory_at(slow, "latency", minutes(25)).pending == 2 * MIN
    opened = at(slow, 26)
    assert opened.status.opened_time == minutes(26)
    assert incident_at(slow, minutes(26) - timedelta.resolution) is None
    recovering = [memory_at(slow, "latency", minutes(minute)).recovering for minute in (24, 25, 26)]
    assert recovering == [0 * MIN] * 3


@pytest.mark.parametrize("minute", range(36))
def test_a_restart_at_any_minute_gives_the_same_end_state(slow: Rehearsal, minute: int) -> None:
    again = course(cues=(AUTHORISED, RESOLVED), outages=(Outage(minutes(minute), minutes(minute)),))

    assert again.incidents == slow.incidents


def test_an_operator_away_from_t9_to_t22_acts_late_says_how_late_and_pages_one_tier_at_once() -> None:
    slow = course(cues=(AUTHORISED,), outages=(Outage(minutes(9), minutes(22)),))

    assert acted(slow) == [(minutes(22), "last-healthy", False)]
    late = [
        entry.what for entry in at(slow, 22).status.timeline if "missed" in entry.what and "tier owners" in entry.what
    ]
    assert late[0] == "tier owners missed its deadline to acknowledge by 2026-11-23T09:20:00Z, noticed 2m late"
    assert [(tier.name, tier.entered_time) for tier in at(slow, 22).status.tiers] == [
        ("owners", minutes(5)),
        ("compliance", minutes(5)),
        ("executives", minutes(22)),
    ]
