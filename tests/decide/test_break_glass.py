"""Does one person's order run at once, and never without another's verdict or a loud lack of it?"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from tests.builders import HOUR, MIN, T0, a_decision, a_freeze, a_situation, an_incident
from tests.decide.test_people import DIGEST, OTHER, heard, the_status, verdict
from tests.decide.test_tiers import an_entered, an_option
from tocsin.api.incident import IncidentStatus, OptionState
from tocsin.decide.approval import AFTERWARDS, MOST_BROKEN, overdue, unsettled
from tocsin.decide.incident import plan
from tocsin.decide.plan import Contain, Notify

LATER = T0 + AFTERWARDS
BROKEN = {
    "option": "last-healthy",
    "digest": DIGEST,
    "by": "alice",
    "time": T0,
    "reason": "patients wait",
    "approveDeadline": LATER,
}


def an_order(by: str = "alice", at: datetime = T0, **fields: Any) -> Any:
    return a_decision(
        "BreakGlass", by, at, **{"option": "last-healthy", "digest": DIGEST, "reason": "patients wait"} | fields
    )


def a_broken(**changes: Any) -> IncidentStatus:
    """An incident in which alice has ordered a rollback alone, which was done."""
    done = an_option(OptionState.EXECUTED, digest=DIGEST, needs=2, settled_time=T0)
    fields = {"containment": (done,), "breakGlass": (BROKEN,)} | changes
    return IncidentStatus.model_validate(the_status(**fields))


def judged(kind: str, by: str, **fields: Any) -> IncidentStatus:
    decision = a_decision(kind, by, T0 + HOUR, option="last-healthy", digest=DIGEST, reason="it was right")
    incident = an_incident().model_copy(update={"status": a_broken(**fields)})
    return heard(decision, incident=incident, now=T0 + HOUR)


def test_one_person_orders_and_it_runs_at_once_under_their_name() -> None:
    first = plan(a_situation(an_incident())).status
    (asking,) = first.containment
    order = an_order(digest=asking.digest)
    incident = an_incident().model_copy(update={"status": first})

    then = plan(a_situation(incident, decisions=(order,)))

    (done,) = then.status.containment
    assert (done.state, done.under) == (OptionState.EXECUTING, "ordered by alice alone: patients wait")
    assert [type(effect) for effect in then.effects if isinstance(effect, Contain)] == [Contain]
    (broken,) = then.status.break_glass
    assert (broken.by, broken.approve_deadline, broken.verdict) == ("alice", LATER, None)
    notices = [effect.notice for effect in then.effects if isinstance(effect, Notify)]
    assert any("GlassBroken" in notice.cause for notice in notices)
    found = {one.type: (one.status, one.reason) for one in then.status.conditions}
    assert found["BreakGlassApproved"] == ("Unknown", "Waiting")
    assert then.status.waiting_for
    assert then.look_again_at
    assert then.look_again_at <= LATER


@pytest.mark.parametrize(
    "brake", [{"namespace_hold": "maintenance"}, {"freezes": (a_freeze(),)}], ids=["hold", "freeze"]
)
def test_the_brake_stops_an_order_too(brake: dict[str, Any]) -> None:
    first = plan(a_situation(an_incident())).status
    order = an_order(digest=first.containment[0].digest)
    incident = an_incident().model_copy(update={"status": first})

    then = plan(a_situation(incident, decisions=(order,), **brake))

    assert then.status.containment[0].state is OptionState.ASKING


@pytest.mark.parametrize(
    ("order", "fields", "message"),
    [
        pytest.param(
            an_order(digest=OTHER),
            {},
            f"what would be done has changed: look again, and use the digest {DIGEST}",
            id="of something else",
        ),
        pytest.param(
            an_order(option="stop"), {}, "option stop does not ask for approval: it was not tried", id="of no question"
        ),
        pytest.param(an_order(), {"breakGlass": (BROKEN,)}, "it was ordered already", id="twice"),
        pytest.param(
            an_order(),
            {"breakGlass": tuple(BROKEN | {"option": f"o{one}"} for one in range(MOST_BROKEN))},
            f"{MOST_BROKEN} of them wait for a verdict: settle these first",
            id="again and again, without a verdict",
        ),
    ],
)
def test_an_order_that_cannot_count(order: Any, fields: dict[str, Any], message: str) -> None:
    incident = an_incident().model_copy(update={"status": IncidentStatus.model_validate(the_status(**fields))})
    assert verdict(heard(order, incident=incident)) == (False, message)


def test_verdicts_that_were_given_make_room() -> None:
    old = tuple(BROKEN | {"option": f"o{one}", "verdict": "Approved"} for one in range(MOST_BROKEN))
    status = heard(an_order(), incident=an_incident(**the_status(break_glass=old)))
    assert [one.option for one in status.break_glass] == [*(f"o{one}" for one in range(1, 8)), "last-healthy"]


@pytest.mark.parametrize(
    ("kind", "by", "message", "word"),
    [
        ("Approve", "carol", "approved afterwards what alice ordered alone: last-healthy", "Approved"),
        ("Reject", "carol", "rejected afterwards what alice ordered alone: last-healthy", "Rejected"),
        ("Approve", "alice", "alice ordered it: another person must judge it", None),
        ("Reject", "alice", "alice ordered it: another person must judge it", None),
    ],
)
def test_another_person_judges_it_afterwards(kind: str, by: str, message: str, word: str | None) -> None:
    status = judged(kind, by)
    assert verdict(status) == (word is not None, message)
    assert status.break_glass[0].verdict == word
    assert status.containment[0].state is OptionState.EXECUTED, "what was done stays done"


def test_for_whom_the_deputy_stood_in_cannot_judge_the_deputys_order() -> None:
    status = judged("Approve", "bob", breakGlass=(BROKEN | {"standingInFor": ["bob"]},))
    assert verdict(status) == (False, "alice ordered it: another person must judge it")


def test_the_lack_of_a_verdict_is_told_once_and_enters_the_next_tier() -> None:
    incident = an_incident().model_copy(update={"status": a_broken(tiers=(an_entered("owners"),))})

    late = overdue(a_situation(incident, now=LATER), incident.status)

    assert (late.break_glass[0].overdue, [tier.name for tier in late.tiers]) == (True, ["owners", "compliance"])
    assert late.timeline[0].what.startswith("alice ordered last-healthy alone, and nobody has approved or rejected it")
    assert overdue(a_situation(incident, now=LATER + MIN), late) == late
    told = plan(a_situation(incident, now=LATER))
    assert any("Unapproved" in one.notice.cause for one in told.effects if isinstance(one, Notify))
    found = {one.type: (one.status, one.reason) for one in told.status.conditions}
    assert found["BreakGlassApproved"] == ("False", "Overdue")


def test_before_its_time_nothing_is_overdue() -> None:
    incident = an_incident().model_copy(update={"status": a_broken()})
    assert overdue(a_situation(incident, now=LATER - MIN), incident.status) == incident.status


def test_it_is_not_resolved_before_the_verdict() -> None:
    resolve = a_decision("Resolve", "carol", T0 + HOUR, reason="it is over")
    fields = {"severity": "SEV3"}
    incident = an_incident().model_copy(update={"status": a_broken(**fields)})
    status = heard(resolve, incident=incident, now=T0 + HOUR)
    why = "alice ordered last-healthy alone: somebody else must approve or reject that first"
    assert verdict(status) == (False, why)

    approved = incident.model_copy(update={"status": judged("Approve", "carol", **fields)})
    assert heard(resolve, incident=approved, now=T0 + 2 * HOUR).resolved_time == T0 + 2 * HOUR


def test_a_new_episode_forgets_no_verdict_that_is_owed() -> None:
    over = a_broken(recoveredTime=T0 + MIN, openedTime=T0)
    incident = an_incident().model_copy(update={"status": over})
    later = plan(a_situation(incident, now=T0 + HOUR)).status
    assert later.episode == 2
    assert [one.by for one in unsettled(later)] == ["alice"]


def test_what_is_asked_anew_was_not_ordered() -> None:
    anew = an_option(OptionState.ASKING, digest=DIGEST, needs=2, asked_time=T0 + HOUR)
    status = heard(
        an_order(at=T0 + HOUR),
        incident=an_incident().model_copy(update={"status": a_broken(containment=(anew,))}),
        now=T0 + HOUR,
    )
    assert [one.time for one in status.break_glass] == [T0, T0 + HOUR]
