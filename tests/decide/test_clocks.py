"""Does a person start each legal clock, does nobody alone stop one, and is it told whatever becomes of the incident?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import (
    HOUR,
    MIN,
    ROSTER,
    T0,
    a_decision,
    a_policy,
    a_responder,
    a_situation,
    an_incident,
    latency,
    the_rules,
)
from tests.decide.test_people import heard, verdict
from tests.decide.test_tiers import an_entered
from tocsin.api.clock import ClockState, ClockStatus
from tocsin.api.decision import Decision
from tocsin.api.incident import EffectRecord, EffectState, Incident, IncidentStatus
from tocsin.api.objects import Severity
from tocsin.decide.clocks import (
    CAUSES,
    WARNINGS,
    clock_words,
    in_order,
    instants,
    is_due,
    open_clocks,
    printed,
    watch_clocks,
)
from tocsin.decide.folding import is_quiet, matters
from tocsin.decide.incident import plan
from tocsin.decide.notices import CLOCK, MOST_OF_ALL, OF_CLOCKS, plan_notices
from tocsin.decide.plan import Notify, Plan
from tocsin.decide.policy import Surroundings, report
from tocsin.decide.presets import PRESETS
from tocsin.decide.situation import Situation, Trust

DAY = timedelta(days=1)
POLICY = a_policy(
    clocks=[
        {"preset": "gdpr-33"},
        {"preset": "dora-initial", "determineWithin": "2h"},
        {"preset": "nis2-early"},
        {"preset": "nis2-notify"},
        {"preset": "sec-8k-105", "calendar": "US"},
        {"preset": "us-bank-36h"},
        {"preset": "eu-ai-act-73-general"},
        {"preset": "dora-final"},
    ]
)
RULES = the_rules(POLICY)
ASKED = ["dora-initial", "nis2-early", "nis2-notify", "us-bank-36h", "gdpr-33", "sec-8k-105"]
"""In the order of their deadlines, families together; the AI Act is not in force yet, and what follows is not asked."""


def a_clock(name: str = "gdpr-33", **changes: Any) -> ClockStatus:
    """A clock that must be determined."""
    preset = PRESETS[name]
    fields: dict[str, Any] = {
        "name": name,
        "family": preset.family,
        "citation": preset.citation,
        "state": "Undetermined",
        "determineDeadline": T0 + 18 * HOUR,
        "acceptance": "NotNeeded",
    }
    return ClockStatus.model_validate(fields | changes)


def a_running(name: str = "us-bank-36h", since: datetime = T0, span: timedelta = 36 * HOUR, **changes: Any) -> Any:
    anchor = {"type": PRESETS[name].limits[0][0], "time": since, "by": "carol"}
    fields = {"state": "Running", "anchors": (anchor,), "countedFrom": since, "deadline": since + span}
    return a_clock(name, **fields | changes)


def with_clocks(*clocks: ClockStatus, **status: Any) -> Incident:
    fields: dict[str, Any] = {"opened_time": T0, "severity": "SEV3", "tiers": (an_entered("owners"),)}
    return an_incident(**fields | {"clocks": clocks} | status)


def start(by: str = "carol", at: datetime = T0, clock: str = "gdpr-33", **anchors: datetime) -> Decision:
    given_ = [{"type": kind, "time": time} for kind, time in (anchors or {"Aware": at}).items()]
    return a_decision("StartClock", by, at, clock=clock, anchors=given_, reason="counsel says so")


def decline(by: str, at: datetime = T0, clock: str = "gdpr-33") -> Decision:
    return a_decision("DeclineClock", by, at, clock=clock, reason="no personal data")


def move(by: str, time: datetime, at: datetime = T0, clock: str = "us-bank-36h", kind: str = "Determined") -> Decision:
    return a_decision("MoveClock", by, at, clock=clock, anchors=[{"type": kind, "time": time}], reason="by the log")


def submit(by: str, time: datetime, at: datetime, clock: str = "us-bank-36h") -> Decision:
    return a_decision("MarkSubmitted", by, at, clock=clock, receipt="R-7", submittedTime=time)


def accept(clock: str, **fields: Any) -> Decision:
    usual = {"clock": clock, "digest": PRESETS[clock].digest(), "reason": "read"}
    return a_decision("AcceptClock", "lea", **usual | fields)


def clock_in(status: IncidentStatus, name: str) -> ClockStatus:
    return next(one for one in status.clocks if one.name == name)


def after(situation: Situation) -> Plan:
    """The plan, which comes to rest: planned again on its own result it changes nothing."""
    made = plan(situation)
    again = plan(Situation(**{
        **{name: getattr(situation, name) for name in situation.__slots__},
        "incident": situation.incident.model_copy(update={"status": made.status}),
        "under_way": frozenset(one.key for one in made.effects),
    }))  # fmt: skip
    if not made.status.containment:
        assert again.status == made.status
    assert not [one for one in again.effects if isinstance(one, Notify)]
    return made


def told(made: Plan) -> dict[str, str]:
    """Whom a plan tells of clocks, and why."""
    notices = [one.notice for one in made.effects if isinstance(one, Notify)]
    return {one.key.split("/")[3]: one.cause for one in notices if CLOCK in one.key}


# --- determinations


def test_an_incident_asks_about_every_clock_that_applies_and_starts_none() -> None:
    status = plan(a_situation(an_incident(RULES))).status
    assert [one.name for one in status.clocks] == ASKED
    assert {one.state for one in status.clocks} == {ClockState.UNDETERMINED}
    assert clock_in(status, "gdpr-33").determine_deadline == T0 + 18 * HOUR
    assert clock_in(status, "dora-initial").determine_deadline == T0 + 2 * HOUR
    assert clock_in(status, "sec-8k-105").calendar == "US"
    lacking = {one.name for one in status.clocks if one.acceptance == "Missing"}
    assert lacking == {"nis2-early", "nis2-notify", "gdpr-33"}
    found = {one.type: (one.status, one.reason) for one in status.conditions}
    assert found["ClocksMet"] == ("Unknown", "Undetermined")
    assert status.clock == "dora-initial undetermined"


def test_the_law_is_asked_about_from_its_first_day_on() -> None:
    then = datetime.fromisoformat("2027-12-02T00:00:00Z")
    status = open_clocks(a_situation(an_incident(RULES), now=then), with_clocks().status)
    assert "eu-ai-act-73-general" in {one.name for one in status.clocks}


def test_without_clocks_nothing_is_said_of_them() -> None:
    status = plan(a_situation(an_incident())).status
    assert status.clocks == ()
    assert "ClocksMet" not in {one.type for one in status.conditions}


def test_what_nobody_determines_enters_the_next_tier_once_and_adds_to_the_risk() -> None:
    late = T0 + 18 * HOUR
    incident = with_clocks(a_clock(), a_clock("nis2-notify"))
    s = a_situation(incident, now=late)
    status = watch_clocks(s, incident.status)
    assert [tier.name for tier in status.tiers] == ["owners", "compliance"]
    assert [one.overdue for one in status.clocks] == [True, True]
    assert (
        status.timeline[0].what == "clock gdpr-33, nis2-notify missed its deadline: nobody has started or declined it"
    )
    assert watch_clocks(s, status) == status
    made = plan(s)
    assert told(made)["owners.owners:clock"] == "ClockUndetermined"
    missed = (
        next(term for term in made.status.score.terms if term.name == "missed deadlines") if made.status.score else None
    )
    assert missed
    assert missed.because.startswith("5 × ")
    found = {one.type: (one.status, one.reason) for one in made.status.conditions}
    assert found["ClocksMet"] == ("False", "Overdue")


def test_a_new_episode_asks_anew_about_what_was_declined_and_forgets_half_a_refusal() -> None:
    half = {"by": "carol", "time": T0, "reason": "no", "decision": "d"}
    incident = with_clocks(a_clock(state="Declined"), a_clock("nis2-notify", declines=(half,)), a_running(), episode=2)
    status = open_clocks(a_situation(incident, now=T0 + DAY, rules=RULES), incident.status)
    assert clock_in(status, "gdpr-33").determine_deadline == T0 + DAY + 18 * HOUR
    notify = clock_in(status, "nis2-notify")
    assert (notify.declines, notify.determine_deadline) == ((), T0 + 18 * HOUR)
    assert clock_in(status, "us-bank-36h") == a_running()


# --- Decisions


def test_a_person_starts_a_clock_from_its_true_anchor_which_makes_it_sev2() -> None:
    aware = T0 - 10 * HOUR
    made = after(a_situation(with_clocks(a_clock()), decisions=(start(Aware=aware),), signals=latency(0.2)))
    clock = clock_in(made.status, "gdpr-33")
    assert (clock.state, clock.counted_from, clock.deadline) == (ClockState.RUNNING, aware, aware + 72 * HOUR)
    assert verdict(made.status) == (True, "started gdpr-33: due 2026-11-25T23:00:00Z, 72 hours from Aware")
    assert made.status.severity is Severity.SEV2
    assert [tier.name for tier in made.status.tiers] == ["owners", "compliance"]
    assert told(made) == {"owners.owners:clock": "ClockStarted", "compliance.compliance:clock": "ClockStarted"}
    assert made.status.clock == "gdpr-33 11-25 23:00Z"


def test_a_clock_whose_time_is_over_is_started_and_missed_at_once() -> None:
    made = after(a_situation(with_clocks(a_clock()), decisions=(start(Aware=T0 - 80 * HOUR),)))
    clock = clock_in(made.status, "gdpr-33")
    assert (clock.state, clock.missed_time, clock.warned) == (ClockState.MISSED, T0, 90)
    assert told(made)["owners.owners:clock"] == "ClockStarted ClockMissed"
    assert made.status.clock == "gdpr-33 missed"
    assert any("clock gdpr-33 missed its deadline" in one.message and one.type == "Warning" for one in made.events)


@pytest.mark.parametrize(
    ("decision", "clock", "message"),
    [
        pytest.param(
            start(Aware=T0 + MIN),
            a_clock(),
            "Aware 2026-11-23T09:01:00Z lies in the future: give the instant when it was so",
            id="an anchor in the future",
        ),
        pytest.param(
            a_decision("StartClock", "carol", clock="gdpr-33", reason="seen"),
            a_clock(),
            "gdpr-33 counts from Aware: give when that was",
            id="a start from nothing",
        ),
        pytest.param(
            a_decision("MoveClock", "carol", clock="us-bank-36h", reason="seen"),
            a_running(),
            "give the anchor of us-bank-36h that moves",
            id="a move of nothing",
        ),
        pytest.param(
            start(Material=T0), a_clock(), "gdpr-33 counts from Aware, not from Material", id="another anchor"
        ),
        pytest.param(
            start(clock="dora-initial", Classified=T0),
            a_clock("dora-initial"),
            "dora-initial needs the anchor Aware as well",
            id="half of what it counts from",
        ),
        pytest.param(
            start(clock="eu-ai-act-73-general", Aware=T0),
            a_clock("eu-ai-act-73-general"),
            "eu-ai-act-73-general applies from 2027-12-02, and 2026-11-23T09:00:00Z lies before that: give one since"
            " then, or decline it",
            id="before the law",
        ),
        pytest.param(
            start(clock="eu-ai-act-73-general"),
            a_clock(),
            "eu-ai-act-73-general is not in force: it applies from 2027-12-02",
            id="a law that is not in force",
        ),
        pytest.param(
            start(clock="dora-final", Submitted=T0),
            a_clock(),
            "dora-final starts by itself when dora-intermediate is submitted",
            id="what follows by itself",
        ),
        pytest.param(
            start(clock="apra-234"),
            a_clock(),
            "the incident has no clock apra-234; it has: gdpr-33",
            id="no such clock",
        ),
        pytest.param(
            start(clock="us-bank-36h", Determined=T0),
            a_running(),
            "us-bank-36h runs already; what it counts from is moved by MoveClock",
            id="a clock that runs",
        ),
        pytest.param(
            decline("carol", clock="us-bank-36h"),
            a_running(),
            "us-bank-36h is Running: only what is undetermined can be declined",
            id="a refusal of what runs",
        ),
        pytest.param(
            decline("zoe"),
            a_clock(),
            "zoe is a member of no Responder of this namespace: two persons are told apart by the rosters",
            id="a refusal by somebody whom no roster knows",
        ),
        pytest.param(
            move("carol", T0, clock="gdpr-33", kind="Aware"),
            a_clock(),
            "gdpr-33 is Undetermined: only what runs can be moved",
            id="a move of what does not run",
        ),
        pytest.param(
            move("carol", T0), a_running(), "Determined of us-bank-36h is 2026-11-23T09:00:00Z already", id="no move"
        ),
        pytest.param(
            submit("carol", T0 + MIN, T0),
            a_running(),
            "submittedTime 2026-11-23T09:01:00Z lies in the future: record it when it was submitted",
            id="submitted in the future",
        ),
        pytest.param(
            submit("carol", T0 - MIN, T0),
            a_running(),
            "submittedTime lies before 2026-11-23T09:00:00Z, from which us-bank-36h counts",
            id="submitted before it began",
        ),
        pytest.param(
            submit("carol", T0, T0, "gdpr-33"),
            a_clock(),
            "gdpr-33 is Undetermined: start it first, with its true anchor",
            id="submitted before it was started",
        ),
        pytest.param(
            submit("carol", T0, T0),
            a_running(state="Submitted", submitted={"by": "dan", "time": T0, "receipt": "R"}),
            "us-bank-36h was submitted already",
            id="submitted twice",
        ),
    ],
)
def test_a_decision_that_cannot_count(decision: Decision, clock: ClockStatus, message: str) -> None:
    incident = with_clocks(clock)
    status = heard(decision, incident=incident, rules=RULES)
    assert verdict(status) == (False, message)
    assert status.clocks == incident.status.clocks


def test_an_anchor_in_the_past_is_started_by_somebody_whom_no_tier_knows() -> None:
    assert verdict(heard(start("zoe"), incident=with_clocks(a_clock())))[0]


def test_declining_takes_two_distinct_persons() -> None:
    one = heard(decline("carol"), incident=with_clocks(a_clock()))
    assert verdict(one) == (True, "declined gdpr-33 (1 of 2): a second person must too")
    assert clock_in(one, "gdpr-33").state is ClockState.UNDETERMINED
    assert "carol declines it: another person must too" in clock_words(one.clocks[0], T0)
    made = after(
        a_situation(with_clocks(a_clock()), decisions=(decline("carol"), decline("dan", T0 + MIN)), now=T0 + MIN)
    )
    clock = clock_in(made.status, "gdpr-33")
    assert (clock.state, [one.by for one in clock.declines]) == (ClockState.DECLINED, ["carol", "dan"])
    assert "ClockDeclined" in told(made)["owners.owners:clock"]


@pytest.mark.parametrize("second", ["carol", "carla"])
def test_the_same_person_by_another_account_is_no_second(second: str) -> None:
    roster = ROSTER | {"more": a_responder("more", "carla")}
    members = roster["more"].spec.members
    spec = roster["more"].spec.model_copy(update={"members": (members[0].model_copy(update={"name": "Carol"}),)})
    roster = roster | {"more": roster["more"].model_copy(update={"spec": spec})}
    decisions = (decline("carol"), decline(second, T0 + MIN))
    status = heard(*decisions, incident=with_clocks(a_clock()), roster=roster, now=T0 + MIN)
    assert clock_in(status, "gdpr-33").state is ClockState.UNDETERMINED
    assert status.decisions[-1].message == "carol has declined it already: a second, distinct person is needed"


def test_a_deputy_is_the_person_they_stand_in_for() -> None:
    """Carol is on duty for compliance and silent, so that dan was paged: he counts as her as well."""
    tier = an_entered("compliance", deputy="dan")
    incident = with_clocks(a_clock(), tiers=(tier,))
    status = heard(decline("dan"), decline("carol", T0 + MIN), incident=incident, now=T0 + MIN)
    assert clock_in(status, "gdpr-33").declines[0].standing_in_for == ("carol",)
    assert clock_in(status, "gdpr-33").state is ClockState.UNDETERMINED


def test_what_two_have_declined_one_can_still_start() -> None:
    status = heard(start(), incident=with_clocks(a_clock(state="Declined")))
    assert clock_in(status, "gdpr-33").state is ClockState.RUNNING


def test_an_earlier_anchor_counts_at_once_and_the_old_one_stays_on_record() -> None:
    made = after(a_situation(with_clocks(a_running()), decisions=(move("carol", T0 - 20 * HOUR),)))
    clock = clock_in(made.status, "us-bank-36h")
    assert (clock.deadline, clock.warned) == (T0 + 16 * HOUR, 50)
    (moved,) = clock.moved
    assert (moved.from_, moved.to, moved.deadline, moved.confirmed_by) == (T0, T0 - 20 * HOUR, T0 + 36 * HOUR, None)
    assert told(made)["owners.owners:clock"] == "ClockMoved ClockWarned"


def test_a_later_anchor_waits_for_a_second_person() -> None:
    now, later = T0 + 40 * HOUR, T0 + 20 * HOUR
    missed = a_running(state="Missed", missedTime=T0 + 36 * HOUR, warned=90)
    asked = after(a_situation(with_clocks(missed), decisions=(move("carol", later, now),), now=now))
    clock = clock_in(asked.status, "us-bank-36h")
    assert (clock.deadline, clock.state) == (T0 + 36 * HOUR, ClockState.MISSED)
    assert told(asked)["owners.owners:clock"] == "ClockAsked"

    twice = heard(
        move("carol", later, now), move("carol", later, now + MIN), incident=with_clocks(missed), now=now + MIN
    )
    assert twice.decisions[-1].message == "carol asked for it: a second, distinct person must confirm"

    both = (move("carol", later, now), move("dan", later, now + MIN))
    made = after(a_situation(with_clocks(missed), decisions=both, now=now + MIN))
    clock = clock_in(made.status, "us-bank-36h")
    assert (clock.deadline, clock.state, clock.warned) == (T0 + 56 * HOUR, ClockState.RUNNING, 50)
    assert (clock.moved[0].by, clock.moved[0].confirmed_by) == ("carol", "dan")
    assert clock.missed_time == T0 + 36 * HOUR, "that it was missed stays on record"


def test_an_earlier_anchor_that_gives_more_time_waits_for_a_second_person_too() -> None:
    """Known an hour earlier, it was classified after the day was over: then four hours count from that."""
    anchors = (
        {"type": "Aware", "time": T0, "by": "carol"},
        {"type": "Classified", "time": T0 + 23 * HOUR, "by": "carol"},
    )
    dora = a_running("dora-initial", span=24 * HOUR, anchors=anchors)
    decision = move("carol", T0 - 2 * HOUR, T0 + 23 * HOUR, "dora-initial", "Aware")
    status = heard(decision, incident=with_clocks(dora), now=T0 + 23 * HOUR)
    assert clock_in(status, "dora-initial").deadline == T0 + 24 * HOUR
    assert clock_in(status, "dora-initial").moving is not None


def test_the_first_move_and_the_last_two_stay_on_the_clock() -> None:
    moves = [move("carol", T0 - hours * HOUR, T0 + hours * MIN) for hours in range(1, 6)]
    status = heard(*moves, incident=with_clocks(a_running()), now=T0 + HOUR)
    clock = clock_in(status, "us-bank-36h")
    assert [one.to for one in clock.moved] == [T0 - hours * HOUR for hours in (1, 4, 5)]


def test_a_submission_is_recorded_with_its_receipt_and_starts_what_follows() -> None:
    now = T0 + 6 * HOUR
    anchors = ({"type": "Aware", "time": T0, "by": "carol"},)
    dora = a_running("dora-initial", span=24 * HOUR, anchors=anchors)
    first = submit("carol", T0 + 5 * HOUR, now, "dora-initial")
    made = after(a_situation(with_clocks(dora), decisions=(first,), now=now))
    assert verdict(made.status) == (
        True,
        "dora-initial submitted 19h before its deadline; dora-intermediate is due 2026-11-26T14:00:00Z",
    )
    initial, middle = clock_in(made.status, "dora-initial"), clock_in(made.status, "dora-intermediate")
    assert initial.submitted
    assert (initial.state, initial.submitted.receipt) == (ClockState.SUBMITTED, "R-7")
    assert (middle.state, middle.deadline) == (ClockState.RUNNING, T0 + 77 * HOUR)

    second = submit("carol", T0 + 30 * HOUR, T0 + 31 * HOUR, "dora-intermediate")
    third = submit("dan", T0 + 50 * HOUR, T0 + 51 * HOUR, "dora-intermediate")
    incident = with_clocks().model_copy(update={"status": made.status})
    status = heard(first, second, third, incident=incident, now=T0 + 51 * HOUR)
    final = clock_in(status, "dora-final")
    assert final.deadline == datetime.fromisoformat("2026-12-25T11:00:00Z"), "the latest intermediate report counts"
    assert final.acceptance == "Missing"
    assert [one.counted for one in status.decisions] == [True] * 3


def test_what_was_submitted_in_time_is_not_late_because_it_was_recorded_late() -> None:
    now = T0 + 40 * HOUR
    missed = a_running(state="Missed", missedTime=T0 + 36 * HOUR)
    status = heard(submit("carol", T0 + 35 * HOUR, now), incident=with_clocks(missed), now=now)
    assert verdict(status) == (True, "us-bank-36h submitted 1h before its deadline")
    assert "late" not in clock_words(status.clocks[0], now)


# --- time


def test_it_warns_at_each_share_once_is_missed_and_stays_owed() -> None:
    incident, causes = with_clocks(a_running(), tiers=(an_entered("owners", acknowledged_time=T0),)), []
    for hours in (17, 18, 26, 27, 28, 33, 36, 40):
        made = plan(a_situation(incident, now=T0 + hours * HOUR, signals=latency(0.2)))
        causes.append((hours, told(made).get("owners.owners:clock", "")))
        incident = incident.model_copy(update={"status": made.status})
    assert [cause.split()[0] if cause else "" for _, cause in causes] == [
        "", "ClockWarned", "ClockWarned", "ClockWarned", "ClockWarned", "ClockWarned", "ClockMissed", "ClockMissed",
    ]  # fmt: skip
    keys = [one.key for one in incident.status.effects if "owners.owners:clock" in one.key]
    assert [key.rsplit("/", 1)[1] for key in keys] == ["1", "2", "3", "4"], "three warnings, and the end"
    assert clock_in(incident.status, "us-bank-36h").state is ClockState.MISSED
    found = {one.type: (one.status, one.reason) for one in incident.status.conditions}
    assert found["ClocksMet"] == ("False", "Missed")


def test_the_next_instant_at_which_a_clock_moves_is_looked_at() -> None:
    resolved = with_clocks(a_running(warned=50), a_clock(), resolved_time=T0)
    assert instants(resolved.status) == [T0 + 27 * HOUR, T0 + timedelta(hours=32.4), T0 + 36 * HOUR]
    assert plan(a_situation(resolved, now=T0 + 20 * HOUR)).look_again_at == T0 + 27 * HOUR
    assert not is_due(resolved, (), T0 + 20 * HOUR)
    assert is_due(resolved, (), T0 + 27 * HOUR)
    assert instants(with_clocks(a_clock()).status) == [T0 + 18 * HOUR]


# --- the end of an incident


def owed(*clocks: ClockStatus, **more: Any) -> str:
    lesson = {"owner": "alice", "dueTime": "2027-01-01T00:00:00Z"}
    decision = a_decision("Resolve", "alice", reason="it is over", postMortem=lesson)
    return verdict(heard(decision, incident=with_clocks(*clocks), **more))[1]


def test_only_what_nobody_has_determined_or_accepted_holds_up_the_end() -> None:
    assert owed(a_clock()).startswith("clock gdpr-33 is undetermined: start or decline it first")
    assert owed(a_running(acceptance="Missing")).startswith("nobody has accepted the numbers of clock us-bank-36h")
    assert owed(a_running()).startswith("resolved")
    assert owed(a_clock(state="Declined", acceptance="Missing")).startswith("resolved")


def test_a_mild_incident_does_not_close_itself_while_a_clock_is_undetermined() -> None:
    known = latency(*[0.1] * 20)
    for clocks, ended in ((a_clock(),), False), ((), True):
        incident = an_incident(the_rules(), opened_time=T0, severity="SEV4", clocks=clocks)
        assert (plan(a_situation(incident, signals=known)).status.resolved_time is not None) is ended


def test_a_running_clock_goes_on_after_the_end_and_is_warned_of_and_submitted() -> None:
    resolved = with_clocks(a_running(), resolved_time=T0 + HOUR, severity="SEV2")
    made = after(a_situation(resolved, now=T0 + 20 * HOUR, signals=latency(0.2)))
    assert told(made) == {"owners.owners:clock": "ClockWarned"}
    (notice,) = [one.notice for one in made.effects if isinstance(one, Notify)]
    assert not notice.resolves, "a pager must not close it"
    assert notice.command == "kubectl describe incident fraud-1 -n models"
    assert notice.dedup == "incident-uid/owners.owners:clock"
    assert "due 2026-11-24T21:00:00Z (in 16h)" in notice.text
    done = resolved.model_copy(update={"status": made.status})
    decision = submit("carol", T0 + 20 * HOUR, T0 + 21 * HOUR)
    then = after(a_situation(done, now=T0 + 21 * HOUR, decisions=(decision,)))
    assert verdict(then.status)[0]
    (last,) = [one.notice for one in then.effects if isinstance(one, Notify) and "Submitted" in one.notice.cause]
    assert last.resolves
    assert then.look_again_at is None


def test_whoever_is_asked_elsewhere_is_not_asked_here() -> None:
    incident = with_clocks(a_clock(), a_running())
    joined = plan(a_situation(incident, joined="fraud-0")).status
    assert [one.name for one in joined.clocks] == ["us-bank-36h"]
    status = heard(start(), incident=incident.model_copy(update={"status": joined}))
    assert verdict(status) == (False, "the incident joined fraud-0: decide there")


# --- acceptance


def test_numbers_of_a_secondary_text_count_at_once_and_are_flagged_until_somebody_accepts_them() -> None:
    incident = with_clocks(a_running("apra-234", span=72 * HOUR, acceptance="Missing"))
    assert "numbers not accepted" in clock_words(incident.status.clocks[0], T0)
    wrong = (accept("apra-234", digest="sha256:" + "0" * 64), accept("gdpr-33"))
    other = accept("apra-234", policyRef={"name": "fraud", "uid": "another"})
    for decision in (*wrong, other):
        assert not is_due(incident, (decision,), T0)
        status = watch_clocks(a_situation(incident, decisions=(decision,)), incident.status)
        assert status.clocks[0].acceptance == "Missing"
    for trust, at in ((Trust.MISSING, None), (Trust.TRUSTED, T0 + MIN)):
        s = a_situation(incident, decisions=(accept("apra-234"),), trust=trust, trusted_since=at)
        assert watch_clocks(s, incident.status).clocks[0].acceptance == "Missing"
    assert is_due(incident, (accept("apra-234"),), T0)
    status = watch_clocks(a_situation(incident, decisions=(accept("apra-234"),)), incident.status)
    assert status.clocks[0].acceptance == "Accepted"


def test_a_policy_says_whose_word_is_missing_and_who_gave_it() -> None:
    policy = a_policy(clocks=[{"preset": "dora-initial"}, {"preset": "us-bank-36h"}])

    def said(*decisions: Decision) -> tuple[str, str, str]:
        status = report(policy, Surroundings(now=T0, servers=frozenset({"default"}), acceptances=decisions))
        return next((one.status, one.reason, one.message) for one in status.conditions if one.type == "ClocksAccepted")

    assert said() == (
        "False",
        "NotAccepted",
        "nobody has accepted the numbers of dora-final (P/S); read the text, then:"
        " kubectl tocsin clock accept fraud --clock dora-final -n models",
    )
    assert said(accept("dora-final"))[:2] == ("True", "Accepted")
    status = report(policy, Surroundings(now=T0, servers=frozenset({"default"}), acceptances=(accept("dora-final"),)))
    assert [(one.name, one.accepted_by) for one in status.clocks] == [
        ("dora-initial", None), ("dora-intermediate", None), ("dora-final", "lea"), ("us-bank-36h", None),
    ]  # fmt: skip


# --- what is told


def test_no_notice_of_a_clock_is_folded_or_silenced() -> None:
    for cause in CAUSES:
        assert matters([cause]) == ()
        assert not is_quiet([cause])


def test_every_other_notice_shows_what_is_due_first_in_one_line() -> None:
    incident = with_clocks(a_running(), a_clock(), tiers=())
    made = plan(a_situation(incident, now=T0))
    notice = next(one.notice for one in made.effects if isinstance(one, Notify) and CLOCK not in one.key)
    lines = [line for line in notice.text.splitlines() if line.startswith("Clock ")]
    assert lines == [
        "Clock gdpr-33: start or decline it by 2026-11-24T03:00:00Z (in 18h) [Reg. (EU) 2016/679 (GDPR) Art. 33(1)]"
        " (and 1 more)"
    ]


def test_of_one_family_the_shortest_stands_first_and_the_others_with_it() -> None:
    early, notify = a_running("nis2-early", span=24 * HOUR), a_running("nis2-notify", span=72 * HOUR)
    bank, done = a_running(), a_running("mas-1h", span=HOUR, state="Submitted")
    ordered = in_order([done, notify, bank, early])
    assert [one.name for one in ordered] == ["nis2-early", "nis2-notify", "us-bank-36h", "mas-1h"]
    assert printed(IncidentStatus(clocks=ordered)) == "nis2-early 11-24 09:00Z"


def test_a_full_ledger_has_room_for_what_is_told_of_clocks_and_no_number_comes_twice() -> None:
    lines = tuple(
        EffectRecord(
            key=f"incident-uid/1/notify/owners.owners{CLOCK if place % 2 else ''}/{place // 2 + 1}",
            causes=("ClockWarned",) if place % 2 else ("ApprovalNeeded",),
            state=EffectState.DONE,
            intended_time=T0,
        )
        for place in range(OF_CLOCKS)
    )
    before = with_clocks(a_running(), effects=lines).status
    status = before.model_copy(update={"clocks": (a_running(warned=50),)})
    told_ = plan_notices(a_situation(with_clocks()), before, status)
    assert len(told_.effects) == OF_CLOCKS < MOST_OF_ALL
    assert told_.effects[-1].key == f"incident-uid/1/notify/owners.owners:clock/{OF_CLOCKS // 2 + 1}"
    assert lines[1] not in told_.effects


def test_with_every_clock_at_its_largest_an_incident_stays_small() -> None:
    by = "u" * 64
    verdicts = tuple(
        {"by": by, "standingInFor": [by], "time": T0, "reason": "r" * 200, "decision": "d" * 60} for _ in range(2)
    )
    moved = tuple(
        {"type": "Aware", "from": T0, "to": T0, "deadline": T0, "by": by, "confirmedBy": by, "time": T0}
        for _ in range(3)
    )
    anchors = tuple({"type": kind, "time": T0, "by": by} for kind in ("Aware", "Suspected"))
    clocks = tuple(
        a_clock(name, declines=verdicts, moved=moved, anchors=anchors, note="n" * 120) for name in list(PRESETS)[:16]
    )
    assert len(json.dumps(with_clocks(*clocks).dump())) < 44 * 1024


# --- whatever happens

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["start", "decline", "move", "submit", "nothing"]),
        st.sampled_from(["alice", "carol", "dan", "erin"]),
        st.sampled_from(["gdpr-33", "dora-initial", "dora-intermediate", "us-bank-36h"]),
        st.integers(-90, 5),
        st.sampled_from([timedelta(), MIN, HOUR, 9 * HOUR, 40 * HOUR]),
    ),
    max_size=12,
)


def act(step: tuple[str, str, str, int, timedelta], now: datetime) -> Sequence[Decision]:
    what, by, clock, hours, _ = step
    at, kind = now + hours * HOUR, PRESETS[clock].limits[0][0]
    match what:
        case "start":
            anchors = {"Aware": at} if clock == "dora-initial" else {kind: at}
            return [start(by, now, clock, **anchors)]
        case "decline":
            return [decline(by, now, clock)]
        case "move":
            return [move(by, at, now, clock, kind)]
        case "submit":
            return [submit(by, at, now, clock)]
    return []


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_whatever_people_do_time_never_unmisses_and_a_repeated_decision_changes_nothing(steps: Any) -> None:
    incident, now, decisions = an_incident(RULES), T0, list[Decision]()
    for step in steps:
        now += step[-1]
        decisions += act(step, now)
        before = incident.status
        made = plan(a_situation(incident, now=now, decisions=tuple(decisions), signals=latency(0.2, at=now)))
        incident = incident.model_copy(update={"status": made.status})
        keys = [one.key for one in made.status.effects]
        assert len(keys) == len(set(keys))
        again = plan(a_situation(
            incident, now=now, decisions=tuple(decisions), signals=latency(0.2, at=now),
            under_way=frozenset(one.key for one in made.effects),
        ))  # fmt: skip
        assert again.status.clocks == made.status.clocks
        assert not [one for one in again.effects if isinstance(one, Notify)]
        for clock in made.status.clocks:
            old = next((one for one in before.clocks if one.name == clock.name), None)
            if clock.deadline and clock.counted_from:
                assert clock.counted_from <= clock.deadline
            if old and old.deadline == clock.deadline and old.state is ClockState.MISSED:
                assert clock.state in (ClockState.MISSED, ClockState.SUBMITTED)
            if old and old.deadline == clock.deadline and old.counted_from == clock.counted_from:
                assert clock.warned >= old.warned
            assert clock.warned in (0, *WARNINGS)
            if clock.state is ClockState.DECLINED:
                assert len({one.by for one in clock.declines}) == 2
