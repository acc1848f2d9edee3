"""Does the rehearsed world behave as the real one would, where it says that it does?"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tests.builders import HOUR, MIN, ROSTER, T0, a_policy, a_target, a_track
from tocsin.api.decision import DecisionSpec
from tocsin.api.incident import OptionState
from tocsin.decide.rehearsal import Rehearsal, rehearse
from tocsin.decide.script import Cue, Outage, Report, Script, Tape, Track
from tocsin.decide.situation import NoData

BAD, GOOD = 0.9, 0.1
ROLL_BACK = {"name": "last-healthy", "type": "RollBack", "approval": {"required": 0}, "verifyWithin": "5m"}
FEWER = {"name": "fewer", "type": "Scale", "scale": {"replicas": 1}, "approval": {"required": 0}, "verifyWithin": "5m"}


def played(
    *values: Any,
    after: dict[str, tuple[Any, ...]] | None = None,
    cues: tuple[Cue | Report, ...] = (),
    minutes: int = 60,
    outages: tuple[Outage, ...] = (),
    **policy: Any,
) -> Rehearsal:
    made = a_policy(**{"risk": {}, "containment": [ROLL_BACK, FEWER]} | policy)
    script = Script(
        made,
        made.spec.models[0],
        T0,
        T0 + minutes * MIN,
        Tape({"latency": a_track(MIN, *values)}),
        after={option: Tape({"latency": a_track(MIN, *course)}) for option, course in (after or {}).items()},
        target=a_target(),
        roster=ROSTER,
        cues=cues,
        outages=outages,
        alone=True,
    )
    return rehearse(script)


def a_cue(at: datetime, kind: str, by: str = "alice", **fields: Any) -> Cue:
    return Cue(at, DecisionSpec.model_validate({"type": kind, "by": by, **fields}))


def states(rehearsal: Rehearsal) -> list[tuple[str, OptionState, datetime | None]]:
    records = rehearsal.incidents[-1].status.containment
    return [(record.name, record.state, record.executed_time) for record in records]


def test_a_track_goes_on_with_its_last_answer() -> None:
    track = Track(MIN, (NoData("Empty"), ()))

    assert [track.after(minutes * MIN) for minutes in (0, 0.5, 1, 90)] == [NoData("Empty"), NoData("Empty"), (), ()]


def test_what_follows_an_option_begins_with_the_next_evaluation() -> None:
    course = played(BAD, after={"last-healthy": (0.5, 0.2, GOOD)}, minutes=6)

    seen = [moment.evaluated["latency"].last for moment in course.moments]
    assert states(course) == [("last-healthy", OptionState.HELPED, T0 + 3 * MIN)]
    assert [str(one.value) for one in seen if one] == ["0.9", "0.9", "0.9", "0.9", "0.5", "0.2", "0.1"]


def test_an_option_that_changes_nothing_is_followed_by_the_next() -> None:
    course = played(0.5, after={"fewer": (GOOD,)}, minutes=20)

    assert states(course) == [
        ("last-healthy", OptionState.DID_NOT_HELP, T0 + 3 * MIN),
        ("fewer", OptionState.HELPED, T0 + 8 * MIN),
    ]


def test_an_option_that_changes_nothing_makes_it_worse_before_the_next_is_weighed() -> None:
    course = played(BAD, after={"fewer": (GOOD,)}, minutes=20)

    assert states(course) == [
        ("last-healthy", OptionState.DID_NOT_HELP, T0 + 3 * MIN),
        ("fewer", OptionState.ASKING, None),
    ]
    assert course.incidents[-1].status.severity == "SEV2"


def test_what_is_undone_no_longer_changes_the_course_and_nothing_is_contained_again() -> None:
    undo = a_cue(T0 + 6 * MIN, "Undo", option="fewer", reason="too few to bear the load")

    course = played(BAD, after={"fewer": (0.5, GOOD)}, cues=(undo,), containment=[FEWER, ROLL_BACK], minutes=12)

    seen = [moment.evaluated["latency"].last for moment in course.moments]
    assert states(course) == [("fewer", OptionState.UNDONE, T0 + 3 * MIN)]
    assert [str(one.value) for one in seen if one][3:9] == ["0.9", "0.5", "0.1", "0.1", "0.9", "0.9"]
    held = course.incidents[0].status.held
    assert held is not None
    assert held.by == "alice"


def test_a_revision_that_was_contained_is_never_gone_back_to_in_the_next_incident() -> None:
    values = (*[BAD] * 4, *[GOOD] * 20, *[BAD] * 20)
    resolved = a_cue(T0 + 16 * MIN, "Resolve")

    course = played(*values, cues=(resolved,), reopenWindow="1m", minutes=40)

    assert len(course.incidents) == 2
    assert states(course)[0][:2] == ("last-healthy", OptionState.REFUSED)


def test_a_breach_soon_after_the_resolution_is_another_episode_and_later_another_incident() -> None:
    values = (*[BAD] * 4, *[GOOD] * 16, *[BAD] * 6)
    resolved = a_cue(T0 + 16 * MIN, "Resolve")

    soon = played(*values, cues=(resolved,), containment=[], minutes=24)
    late = played(*values, cues=(resolved,), containment=[], reopenWindow="1m", minutes=24)

    assert [(one.status.episode, one.spec.previous) for one in soon.incidents] == [(2, None)]
    assert [(one.status.episode, one.spec.previous) for one in late.incidents] == [(1, None), (1, "incident-1")]
    score = late.incidents[1].status.score
    assert score is not None
    assert "recurrence" in {term.name for term in score.terms}


def test_what_was_resolved_in_mid_breach_is_left_alone_for_the_reopen_window() -> None:
    resolved = a_cue(T0 + 10 * MIN, "Resolve", reason="a known fault of the feed")

    course = played(BAD, cues=(resolved,), containment=[], reopenWindow="20m", minutes=40)

    assert [one.metadata.creation_timestamp for one in course.incidents] == [T0 + 3 * MIN, T0 + 31 * MIN]


def test_a_decision_without_an_incident_is_reported() -> None:
    course = played(GOOD, cues=(a_cue(T0 + MIN, "Acknowledge"),), minutes=2)

    assert [[cue.spec.type for cue in moment.unheard] for moment in course.moments] == [[], ["Acknowledge"], []]


def test_a_decision_made_while_the_operator_is_away_is_heard_when_it_is_back() -> None:
    hold = a_cue(T0 + 6 * MIN, "Hold", reason="we look")

    course = played(BAD, cues=(hold,), outages=(Outage(T0 + 5 * MIN, T0 + 9 * MIN),), containment=[], minutes=10)

    held = course.incidents[0].status.held
    assert held is not None
    assert held.time == T0 + 9 * MIN


def test_a_person_opens_at_most_one_incident_at_a_time() -> None:
    reports = (Report(T0, "alice", "slow"), Report(T0 + MIN, "bob", "slow too"))

    course = played(GOOD, cues=reports, minutes=3)

    assert [one.spec.by for one in course.incidents] == ["alice"]


def test_each_signal_is_evaluated_on_its_own_grid() -> None:
    signals = [
        {"name": "latency", "kind": "Latency", "query": "p99", "warn": "> 0.3"},
        {"name": "psi", "kind": "Drift", "query": "psi", "warn": "> 0.1"},
    ]
    policy = a_policy(signals=signals)
    tape = Tape({"latency": a_track(MIN, GOOD), "psi": a_track(HOUR, 0.05)})

    course = rehearse(Script(policy, policy.spec.models[0], T0, T0 + 2 * HOUR, tape, alone=True))

    evaluated = [name for moment in course.moments for name in moment.evaluated]
    assert (evaluated.count("latency"), evaluated.count("psi")) == (121, 3)


def test_a_rollback_is_done_once_and_its_revision_is_barred() -> None:
    course = played(BAD, minutes=4)

    effects = [effect for moment in course.moments for one in moment.passes for effect in one.effects]
    assert [effect.key for effect in effects if "/contain/" in effect.key] == [
        "incident-1/1/contain/last-healthy/1",
    ]
    assert course.incidents[0].status.contained_revisions == ("hash-2",)
