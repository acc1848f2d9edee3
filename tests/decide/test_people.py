"""Which Decisions count, which are refused in which words, and is each heard once?"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from tests.builders import HOUR, MIN, T0, a_decision, a_memory, a_policy, a_situation, an_incident, the_rules
from tests.decide.test_tiers import an_entered, an_option
from tocsin.api.decision import Decision
from tocsin.api.incident import DecisionRecord, Incident, IncidentStatus, OptionState
from tocsin.api.objects import Severity
from tocsin.decide.defaults import SignalRule
from tocsin.decide.people import HEARD, authorisation, hear
from tocsin.decide.situation import Trust

DIGEST, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
ASKING = an_option(OptionState.ASKING, digest=DIGEST, needs=2)
APPROVED = {"by": "alice", "time": T0, "decision": "approve-alice"}
SCORE = {"risk": 67, "band": "SEV2", "severity": "SEV2"}


def the_status(**fields: Any) -> dict[str, Any]:
    """An open incident at SEV2, two tiers in, one option asking."""
    return {
        "opened_time": T0,
        "severity": "SEV2",
        "score": SCORE,
        "tiers": (an_entered("owners"), an_entered("compliance")),
        "containment": (ASKING,),
    } | fields


def heard(*decisions: Decision, incident: Incident | None = None, now: datetime = T0, **changes: Any) -> IncidentStatus:
    incident = incident or an_incident(**the_status())
    return hear(a_situation(incident, now=now, decisions=decisions, **changes), incident.status)


def verdict(status: IncidentStatus) -> tuple[bool, str]:
    (record,) = status.decisions
    return record.counted, record.message


SUSTAINED = {"signals": ({"name": "latency", "state": "Firing", "sustained": True},)}

REFUSALS = (
    pytest.param(
        a_decision("Acknowledge", "mallory"),
        {},
        "mallory is a member of no Responder that is accountable or responsible in this policy's tiers",
        id="somebody who is on no roster",
    ),
    pytest.param(
        a_decision("Acknowledge", "alice", T0 - MIN), {}, "void: it is older than the incident", id="an older Decision"
    ),
    pytest.param(
        a_decision("Acknowledge", "alice", incidentRef={"name": "fraud-1", "uid": "another"}),
        {},
        "void: its incidentRef.uid another is not this incident's",
        id="a Decision about an incident of the same name",
    ),
    pytest.param(
        a_decision("Acknowledge", "alice"),
        {"resolved_time": T0},
        "the incident is resolved",
        id="anything about a resolved incident",
    ),
    pytest.param(
        a_decision("Acknowledge", "alice"),
        {"tiers": (an_entered("owners", acknowledged_time=T0),)},
        "your tier is acknowledged already",
        id="a second acknowledgement",
    ),
    pytest.param(
        a_decision("Acknowledge", "erin"), {}, "tier board was not entered yet", id="an acknowledgement ahead of time"
    ),
    pytest.param(
        a_decision("Approve", "alice", option="stop", digest=DIGEST),
        {},
        "option stop does not ask for approval: it was not tried",
        id="an approval of what was not asked",
    ),
    pytest.param(
        a_decision("Approve", "alice", option="last-healthy", digest=DIGEST),
        {"containment": (an_option(OptionState.EXECUTED, digest=DIGEST),)},
        "option last-healthy does not ask for approval: it is Executed",
        id="an approval of what was done",
    ),
    pytest.param(
        a_decision("Reject", "alice", option="last-healthy", digest=DIGEST, reason="no!"),
        {"containment": (an_option(OptionState.EXECUTED, digest=DIGEST),)},
        "option last-healthy does not ask for approval: it is Executed",
        id="a rejection of what was done",
    ),
    pytest.param(
        a_decision("Approve", "alice", option="last-healthy", digest=OTHER),
        {},
        f"what would be done has changed: look again, and use the digest {DIGEST}",
        id="an approval of something else",
    ),
    pytest.param(
        a_decision("Approve", "alice", option="last-healthy", digest=DIGEST),
        {"containment": (an_option(OptionState.ASKING, digest=DIGEST, needs=2, approvals=(APPROVED,)),)},
        "alice has approved already: another person is needed",
        id="a second approval by the same person",
    ),
    pytest.param(
        a_decision("Approve", "bob", option="last-healthy", digest=DIGEST),
        {"containment": (an_option(OptionState.ASKING, digest=DIGEST, needs=1, approvals=(APPROVED,)),)},
        "option last-healthy needs no further approval",
        id="an approval that nobody needs: the record has room for five",
    ),
    pytest.param(
        a_decision("Escalate", "alice", tier="press", reason="now"),
        {},
        "the policy has no tier press",
        id="no such tier",
    ),
    pytest.param(
        a_decision("Escalate", "alice", tier="owners", reason="now"),
        {},
        "tier owners was entered already",
        id="an escalation to a tier that is in",
    ),
    pytest.param(
        a_decision("Escalate", "alice", reason="now"),
        {"tiers": (an_entered("board"),)},
        "the last tier was entered already",
        id="an escalation past the last tier",
    ),
    pytest.param(
        a_decision("Lower", "alice", severity="SEV2", reason="false alarm"),
        {},
        "SEV2 is not lower than SEV2",
        id="a lowering to the same",
    ),
    pytest.param(
        a_decision("Lower", "alice", severity="SEV1", reason="false alarm"),
        {},
        "SEV1 is not lower than SEV2",
        id="a lowering upwards",
    ),
    pytest.param(a_decision("Resume", "alice"), {}, "nothing is on hold", id="a resumption of nothing"),
    pytest.param(
        a_decision("Resolve", "alice", reason="it is over"),
        {},
        "at SEV2 somebody must write a post-mortem: give postMortem.owner and postMortem.dueTime",
        id="a resolution of what is grave without anybody to learn from it",
    ),
    pytest.param(
        a_decision("Resolve", "alice", reason="it is over", postMortem={"owner": "alice", "dueTime": T0}),
        {},
        "postMortem.dueTime 2026-11-23T09:00:00Z has passed already",
        id="a post-mortem that was due before",
    ),
    pytest.param(
        a_decision("Lower", "alice", severity="SEV3", reason="it wears off"),
        {},
        "SEV2 is lowered only by compliance, which is accountable for the highest tier entered",
        id="a lowering out of SEV2 by a lower tier",
    ),
)


@pytest.mark.parametrize(("decision", "fields", "message"), REFUSALS)
def test_a_decision_that_cannot_count_is_refused_and_changes_nothing_else(
    decision: Decision, fields: dict[str, Any], message: str
) -> None:
    incident = an_incident(**the_status(**fields))

    status = heard(decision, incident=incident)

    assert verdict(status) == (False, message)
    assert status.timeline[-1].what.startswith(f"{decision.spec.by}: {decision.spec.type} (did not count): {message}")
    without_record = {"decisions": (), "timeline": ()}
    assert status.model_copy(update=without_record) == incident.status.model_copy(update=without_record)


def test_whoever_opened_the_incident_cannot_approve() -> None:
    status = heard(
        a_decision("Approve", "alice", option="last-healthy", digest=DIGEST),
        incident=an_incident(by="alice", **the_status()),
    )

    assert verdict(status) == (False, "alice asked for it and cannot approve it: four eyes")


def test_whoever_opened_the_incident_may_reject() -> None:
    status = heard(
        a_decision("Reject", "alice", option="last-healthy", digest=DIGEST, reason="wrong revision"),
        incident=an_incident(by="alice", **the_status()),
    )

    assert verdict(status) == (True, "rejected last-healthy, for good")


def test_a_decision_older_than_the_admission_policy_is_void() -> None:
    status = heard(a_decision("Acknowledge", "alice", T0 + MIN), now=T0 + HOUR, trusted_since=T0 + 2 * MIN)

    assert verdict(status) == (False, "void: it is older than the admission policy that vouches for its author")


@pytest.mark.parametrize("trust", [Trust.MISSING, Trust.CHANGED])
def test_while_nobody_vouches_for_authors_nothing_is_heard_and_nothing_is_lost(trust: Trust) -> None:
    incident, decision = an_incident(**the_status()), a_decision("Acknowledge", "alice")

    assert heard(decision, incident=incident, trust=trust) == incident.status
    assert verdict(heard(decision, incident=incident))[0]


def test_an_acknowledgement_counts_for_every_entered_tier_of_its_author() -> None:
    status = heard(a_decision("Acknowledge", "alice", T0 + MIN), now=T0 + MIN)

    assert verdict(status) == (True, "acknowledged tier owners")
    assert [(tier.name, tier.acknowledged_by, tier.acknowledged_time) for tier in status.tiers] == [
        ("owners", "alice", T0 + MIN),
        ("compliance", None, None),
    ]


def test_approvals_add_up_and_meet_the_deadline_to_decide() -> None:
    fields = {"option": "last-healthy", "digest": DIGEST}

    status = heard(a_decision("Approve", "alice", **fields), a_decision("Approve", "carol", T0 + MIN, **fields))

    assert [record.message for record in status.decisions] == [
        "approved last-healthy (1 of 2)",
        "approved last-healthy (2 of 2)",
    ]
    assert [approval.by for approval in status.containment[0].approvals] == ["alice", "carol"]
    assert [tier.decided_by for tier in status.tiers] == ["alice", "carol"]


def test_a_rejection_is_final() -> None:
    fields = {"option": "last-healthy", "digest": DIGEST}

    status = heard(
        a_decision("Reject", "alice", reason="wrong revision", **fields),
        a_decision("Approve", "carol", T0 + MIN, **fields),
    )

    assert (status.containment[0].state, status.containment[0].message) == (
        OptionState.REJECTED,
        "rejected by alice: wrong revision",
    )
    assert [record.counted for record in status.decisions] == [True, False]


@pytest.mark.parametrize(
    ("tier", "entered"),
    [(None, "board"), ("board", "board")],
    ids=["without a tier the next one is entered", "a tier is entered by name"],
)
def test_escalate(tier: str | None, entered: str) -> None:
    status = heard(a_decision("Escalate", "alice", reason="the press calls", **({"tier": tier} if tier else {})))

    assert verdict(status) == (True, f"entered tier {entered}")
    assert status.tiers[-1].reason == "escalated by alice: the press calls"


def test_lower_remembers_what_was_computed_then() -> None:
    status = heard(
        a_decision("Lower", "carol", severity="SEV3", reason="a test account"),
        incident=an_incident(**the_status(**SUSTAINED)),
    )

    assert verdict(status) == (True, "lowered from SEV2 to SEV3")
    assert status.severity is Severity.SEV3
    assert status.lowered is not None
    assert (status.lowered.by, status.lowered.to, status.lowered.computed) == ("carol", "SEV3", "SEV2")


def test_lower_goes_by_what_is_computed_now_where_the_status_still_shows_worse() -> None:
    rule = SignalRule.of(the_rules().signals[0])
    status = heard(
        a_decision("Lower", "carol", severity="SEV3", reason="it wears off"),
        incident=an_incident(**the_status(**SUSTAINED)),
        rules=the_rules(a_policy(risk={"regulatory": 1, "reputation": 1})),
        signals={"latency": a_memory(rule, 0.9, 0.4, 0.4, 0.4, 0.4)},
    )

    assert status.lowered is not None
    assert status.lowered.computed is Severity.SEV3


def test_hold_and_resume() -> None:
    status = heard(a_decision("Hold", "alice", reason="we fix it by hand"), a_decision("Resume", "carol", T0 + MIN))

    assert [record.message for record in status.decisions] == ["automation is on hold", "automation goes on"]
    assert status.held is None

    held = heard(a_decision("Hold", "alice", reason="we fix it by hand")).held
    assert held is not None
    assert (held.by, held.reason) == ("alice", "we fix it by hand")


LESSON = {"owner": "alice", "dueTime": T0 + 48 * HOUR}


@pytest.mark.parametrize("signals", [{}, SUSTAINED], ids=["all is well", "in the middle of a breach"])
def test_a_grave_incident_is_resolved_with_a_post_mortem(signals: dict[str, Any]) -> None:
    decision = a_decision("Resolve", "alice", reason="the feed was wrong", postMortem=LESSON)
    status = heard(decision, incident=an_incident(**the_status(**signals)))

    assert verdict(status) == (True, "resolved; alice writes the post-mortem by 2026-11-25T09:00:00Z")
    assert (status.resolved_time, status.post_mortem) == (T0, decision.spec.post_mortem)


def test_a_mild_one_is_resolved_without() -> None:
    mild = an_incident(**the_status(severity="SEV3"))

    assert verdict(heard(a_decision("Resolve", "alice", reason="it is over"), incident=mild)) == (True, "resolved")


def test_what_is_mild_is_lowered_by_anybody_who_decides() -> None:
    mild = an_incident(**the_status(severity="SEV3"))
    status = heard(a_decision("Lower", "alice", severity="SEV4", reason="a test account"), incident=mild)

    assert verdict(status) == (True, "lowered from SEV3 to SEV4")


def test_what_is_about_a_policy_is_no_decision_about_an_incident() -> None:
    attest = a_decision("Attest", "carol", digest=DIGEST, reason="read", incidentRef={"name": "fraud-1"})

    assert heard(attest).decisions == ()


def test_decisions_are_heard_in_the_order_of_their_creation_and_once() -> None:
    late, early = a_decision("Acknowledge", "alice", T0 + 2 * MIN), a_decision("Hold", "carol", T0 + MIN, reason="wait")
    first = heard(late, early)

    again = heard(late, early, incident=an_incident().model_copy(update={"status": first}))

    assert [record.type for record in first.decisions] == ["Hold", "Acknowledge"]
    assert again == first


def test_an_authorisation_is_no_decision_about_an_incident() -> None:
    decision = a_decision(
        "Authorise", "carol", option="last-healthy", digest=DIGEST, expireTime=T0 + HOUR, reason="ok!"
    )

    assert heard(decision).decisions == ()


def test_past_the_bound_the_oldest_records_go_and_are_not_heard_again() -> None:
    decisions = [a_decision("Acknowledge", "mallory", T0 + place * MIN, uid=f"d-{place}") for place in range(HEARD + 5)]

    status = heard(*decisions, now=T0 + 24 * HOUR)
    again = heard(*decisions, incident=an_incident().model_copy(update={"status": status}), now=T0 + 24 * HOUR)

    assert len(status.decisions) == HEARD
    assert status.decisions[0].uid == "d-5"
    assert status.decisions_through == T0 + 4 * MIN
    assert again == status


def a_standing(**fields: Any) -> Decision:
    defaults: dict[str, Any] = {
        "option": "last-healthy",
        "digest": DIGEST,
        "expireTime": T0 + HOUR,
        "reason": "tried in June",
    }
    return a_decision("Authorise", "carol", **defaults | fields)


@pytest.mark.parametrize(
    ("decision", "changes", "holds"),
    [
        pytest.param(a_standing(), {}, True, id="one that fits"),
        pytest.param(a_standing(option="stop"), {}, False, id="of another option"),
        pytest.param(
            a_standing(policyRef={"name": "fraud", "uid": "earlier"}), {}, False, id="of an earlier policy of that name"
        ),
        pytest.param(a_standing(digest=OTHER), {}, False, id="of what the option was before"),
        pytest.param(a_standing(expireTime=T0), {}, False, id="expired at this instant"),
        pytest.param(a_standing(), {"trust": Trust.CHANGED}, False, id="while nobody vouches for its author"),
        pytest.param(a_standing(), {"trusted_since": T0 + MIN}, False, id="older than the admission policy"),
        pytest.param(a_standing(), {"trusted_since": T0}, True, id="as old as the admission policy"),
        pytest.param(a_decision("Hold", "carol", reason="no!"), {}, False, id="another Decision"),
    ],
)
def test_authorisation(decision: Decision, changes: dict[str, Any], holds: bool) -> None:
    s = a_situation(decisions=(decision,), **changes)

    assert (authorisation(s, "last-healthy", DIGEST) is decision) is holds


def test_an_option_without_a_digest_is_never_authorised() -> None:
    assert authorisation(a_situation(decisions=(a_standing(),)), "last-healthy", None) is None


def test_records_say_who_when_and_why() -> None:
    (record,) = heard(a_decision("Hold", "alice", T0 + MIN, reason="we fix it by hand"), now=T0 + HOUR).decisions

    assert record == DecisionRecord(
        uid=f"hold-alice-{(T0 + MIN).isoformat()}",
        name="hold-alice",
        type="Hold",
        by="alice",
        time=T0 + MIN,
        counted=True,
        message="automation is on hold",
        reason="we fix it by hand",
    )


def test_however_quickly_people_decide_nothing_unheard_is_taken_for_heard() -> None:
    """Two Decisions of one second: one comes late, when the other was dropped from the record already."""
    decisions = [a_decision("Acknowledge", "mallory", T0, uid=f"d-{place}") for place in range(HEARD + 5)]
    incident = an_incident(**the_status())

    status = hear(a_situation(incident, now=T0 + MIN, decisions=tuple(decisions)), incident.status)
    assert (len(status.decisions), status.decisions_through) == (HEARD + 5, None)

    late = a_decision("Acknowledge", "alice", T0, uid="late")
    again = incident.model_copy(update={"status": status})
    status = hear(a_situation(again, now=T0 + MIN, decisions=(*decisions, late)), status)
    assert status.decisions[-1].counted
