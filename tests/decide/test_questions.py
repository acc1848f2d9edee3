"""Are a tier's questions asked, answered once by whoever may, and in the way of closing what is grave?"""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import HOUR, ROSTER, T0, a_decision, a_policy, an_incident, the_rules
from tests.decide.test_notices import a_due, an_intent
from tests.decide.test_notices import the_status as in_breach
from tests.decide.test_people import heard
from tests.decide.test_tiers import an_entered
from tocsin.api.decision import Decision
from tocsin.api.incident import IncidentStatus
from tocsin.decide.questions import open_questions

NOTIFY = {"name": "notify", "text": "Must the regulator be told?", "options": ["now", "later"], "answeredBy": "board"}
CAUSE = {"name": "cause", "text": "Is the feed to blame?", "options": ["yes", "no"]}
TIERS = [
    {
        "name": "owners",
        "severity": "SEV3",
        "accountable": "owners",
        "decideWithin": "4h",
        "steps": ["Compare the features.", "No access? Call the platform team."],
        "questions": [NOTIFY, CAUSE],
    },
    {"name": "compliance", "severity": "SEV2", "accountable": "compliance", "questions": [CAUSE]},
]
RULES = the_rules(a_policy(tiers=TIERS))
ANSWER = {"question": "cause", "choice": "yes", "by": "alice", "time": T0}


def told(*decisions: Decision, answers: Any = (), **fields: Any) -> IncidentStatus:
    tiers = (an_entered("owners", decide_deadline=T0, answers=answers),)
    incident = an_incident(RULES, **{"opened_time": T0, "severity": "SEV2", "tiers": tiers} | fields)
    return heard(*decisions, incident=incident, roster=ROSTER)


def decide(by: str, question: str, choice: str, **fields: Any) -> Decision:
    return a_decision("Decide", by, question=question, choice=choice, reason="because of the law", **fields)


def verdict(status: IncidentStatus) -> tuple[bool, str]:
    return status.decisions[-1].counted, status.decisions[-1].message


@pytest.mark.parametrize(
    ("decision", "counted", "message"),
    [
        pytest.param(
            decide("alice", "cause", "yes"), True, "cause of tier owners: yes", id="by who decides for the tier"
        ),
        pytest.param(decide("alice", "notify", "now"), False, "notify: it is not for alice to answer", id="by another"),
        pytest.param(
            decide("alice", "cause", "maybe"), False, "cause: maybe is none of yes, no", id="with another answer"
        ),
        pytest.param(
            decide("alice", "budget", "yes"),
            False,
            "budget: no such question is open; open: notify, cause",
            id="of nothing",
        ),
        pytest.param(
            decide("carol", "cause", "no"), False, "cause: it is not for carol to answer", id="of a later tier"
        ),
    ],
)
def test_an_answer(decision: Decision, counted: bool, message: str) -> None:
    assert verdict(told(decision)) == (counted, message)


def test_who_answers_a_question_that_is_theirs_need_not_be_of_the_tier() -> None:
    rules = RULES.model_copy(update={"tiers": RULES.tiers[:1]})
    incident = an_incident(rules, opened_time=T0, tiers=(an_entered("owners"),))
    status = heard(decide("erin", "notify", "later"), incident=incident, roster=ROSTER)
    assert verdict(status) == (True, "notify of tier owners: later")


def test_an_answer_is_for_good_and_the_last_one_is_the_tiers_decision() -> None:
    first = told(decide("alice", "cause", "yes"))
    (tier,) = first.tiers
    assert [(one.question, one.choice, one.by, one.reason) for one in tier.answers] == [
        ("cause", "yes", "alice", "because of the law")
    ]
    assert tier.decided_time is None
    assert verdict(told(decide("alice", "cause", "no"), answers=(ANSWER,)))[0] is False

    (tier,) = told(decide("erin", "notify", "now"), answers=(ANSWER,)).tiers
    assert (tier.decided_by, tier.decided_time) == ("erin", T0)


def test_where_there_are_questions_nothing_else_is_the_tiers_decision() -> None:
    resolved = told(a_decision("Resolve", "alice", reason="done"), severity="SEV3")
    assert resolved.resolved_time == T0
    assert resolved.tiers[0].decided_time is None


@pytest.mark.parametrize(
    ("severity", "answers", "resolved"),
    [
        ("SEV1", (), False),
        ("SEV2", (ANSWER,), False),
        ("SEV2", (ANSWER, ANSWER | {"question": "notify"}), True),
        ("SEV3", (), True),
    ],
)
def test_what_is_grave_is_not_closed_with_a_question_open(severity: str, answers: Any, resolved: bool) -> None:
    lesson = {"owner": "alice", "dueTime": T0 + 48 * HOUR}
    decision = a_decision("Resolve", "alice", reason="done", postMortem=lesson)
    status = told(decision, severity=severity, answers=answers)
    assert (status.resolved_time is not None) is resolved
    if not resolved:
        assert verdict(status)[1].startswith(
            f"at {severity} every question must be answered first: notify of tier owners"
        )


def test_questions_of_a_tier_that_was_not_entered_are_not_open() -> None:
    assert [(tier, one.name) for tier, one in open_questions(RULES, told())] == [
        ("owners", "notify"),
        ("owners", "cause"),
    ]


def test_a_notice_shows_what_to_do_and_what_to_answer() -> None:
    status = in_breach(effects=(an_intent(),), tiers=(an_entered("owners", answers=(ANSWER,)),))
    (due,) = a_due(status, rules=RULES)
    lines = due.notice.text.splitlines()
    place = lines.index("To do:")
    assert lines[place + 1 : place + 4] == [
        "1. Compare the features.",
        "2. No access? Call the platform team.",
        "To answer: Must the regulator be told? (notify: now, later)",
    ]
