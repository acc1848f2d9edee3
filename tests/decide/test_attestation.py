"""Who stands for the rules, what voids that, and is the second line told of each loosening once?"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from tests.builders import HOUR, MIN, ROSTER, T0, a_decision, a_policy, a_responder
from tocsin.api.decision import Decision
from tocsin.api.objects import condition
from tocsin.api.policy import EscalationPolicy, EscalationPolicyStatus
from tocsin.api.quantities import format_time
from tocsin.decide.attestation import (
    HEARD,
    KEPT,
    Hearing,
    attested,
    due_notices,
    removal_notice,
    rules_digest,
    unheard_attests,
)
from tocsin.decide.situation import Outcome, Trust

SIGNAL = {"name": "latency", "kind": "Latency", "query": "p99", "warn": "> 0.3", "critical": "> 0.6", "basis": "SLO 7"}


def rules(warn: str = "> 0.3", **changes: Any) -> EscalationPolicy:
    """Rules that compliance attests."""
    return a_policy(**{"secondLine": "compliance", "signals": [SIGNAL | {"warn": warn}]} | changes)


def attest(by: str = "carol", at: datetime = T0, policy: EscalationPolicy | None = None, **fields: Any) -> Decision:
    bound = rules_digest(policy or rules())
    return a_decision("Attest", by, at, **{"digest": bound, "reason": "read them"} | fields)


def look(
    policy: EscalationPolicy, *attests: Decision, before: EscalationPolicyStatus | None = None, **around: Any
) -> EscalationPolicyStatus:
    """The next status, out of the one before it."""
    known = policy.model_copy(update={"status": before or EscalationPolicyStatus()})
    defaults: dict[str, Any] = {"now": T0 + MIN, "roster": ROSTER, "trust": Trust.TRUSTED}
    return attested(known, EscalationPolicyStatus(), Hearing(**defaults | around, attests=attests))


def said(status: EscalationPolicyStatus) -> tuple[str, str, str]:
    found = condition(status.conditions, "Attested")
    assert found is not None
    return found.status, found.reason, found.message


STANDS = look(rules(), attest())
BY_CAROL = "attested by carol at 2026-11-23T09:00:00Z (decision/attest-carol)"
REVIEW = T0 + 48 * HOUR


@pytest.mark.parametrize(
    ("policy", "attests", "around", "then"),
    [
        pytest.param(
            rules(),
            [],
            {},
            (
                "False",
                "NeverAttested",
                "nobody of compliance has attested these rules: kubectl tocsin attest fraud -n models",
            ),
            id="nobody has",
        ),
        pytest.param(rules(), [attest()], {}, ("True", "Attested", BY_CAROL), id="a member of the second line has"),
        pytest.param(
            rules(signals=[SIGNAL | {"basis": None}]),
            [attest(policy=rules(signals=[SIGNAL | {"basis": None}]))],
            {},
            ("True", "Attested", f"{BY_CAROL}; without a basis: latency"),
            id="lines without a basis are named",
        ),
        pytest.param(
            rules(reviewBy=format_time(REVIEW)),
            [attest(policy=rules(reviewBy=format_time(REVIEW)))],
            {"now": REVIEW - MIN},
            ("True", "Attested", f"{BY_CAROL}, to be reviewed by {format_time(REVIEW)}"),
            id="before the review",
        ),
        pytest.param(
            rules(reviewBy=format_time(REVIEW)),
            [attest(policy=rules(reviewBy=format_time(REVIEW)))],
            {"now": REVIEW},
            (
                "False",
                "ReviewOverdue",
                f"{BY_CAROL}; they were to be reviewed by {format_time(REVIEW)}: look at them, and attest them anew",
            ),
            id="the review is due at its instant",
        ),
    ],
)
def test_the_condition_says_whether_the_second_line_stands_for_the_rules(
    policy: EscalationPolicy, attests: list[Decision], around: dict[str, Any], then: tuple[str, str, str]
) -> None:
    assert said(look(policy, *attests, **around)) == then


STAND_IN = a_responder("compliance", "dan").model_copy(
    update={"spec": a_responder("compliance", "dan").spec.model_copy(update={"escalate_to": "board"})}
)


@pytest.mark.parametrize(
    ("decision", "around", "counted", "message"),
    [
        pytest.param(attest("dan"), {}, True, "attested the rules as they are", id="another member"),
        pytest.param(
            attest("erin"),
            {"roster": ROSTER | {"compliance": STAND_IN}},
            True,
            "attested the rules as they are",
            id="a member of a role that stands in",
        ),
        pytest.param(
            attest("alice"),
            {},
            False,
            "alice is a member neither of Responder compliance, the second line, nor of one that stands in for it",
            id="an owner",
        ),
        pytest.param(
            attest(),
            {"roster": {"owners": ROSTER["owners"]}},
            False,
            "spec.secondLine: Responder compliance does not exist: create it",
            id="a second line that is not there",
        ),
        pytest.param(
            attest(digest="sha256:" + "0" * 64),
            {},
            False,
            f"the rules are not those any more: look again, and use the digest {rules_digest(rules())}",
            id="other rules",
        ),
        pytest.param(
            attest(),
            {"trusted_since": T0 + MIN},
            False,
            "void: it is older than the admission policy that vouches for its author",
            id="from before it could be trusted",
        ),
    ],
)
def test_an_attestation_is_judged_once(decision: Decision, around: dict[str, Any], counted: bool, message: str) -> None:
    status = look(rules(), decision, **around)
    (record,) = status.attests
    assert (record.counted, record.message, record.by) == (counted, message, decision.spec.by)
    assert (status.attestation is not None) is counted
    again = look(rules(), decision, before=status, now=T0 + HOUR)
    assert (again.attests, again.attestation) == (status.attests, status.attestation)
    if not counted:
        assert said(status)[1:] == (
            "NeverAttested",
            "nobody of compliance has attested these rules: kubectl tocsin attest fraud -n models"
            + ("; Responder compliance does not exist: create it" if "does not exist" in message else "")
            + f"; decision/attest-{decision.spec.by} by {decision.spec.by} did not count: {message}",
        )


def test_of_rules_that_nobody_shall_attest_nothing_is_said() -> None:
    former = attest(policyRef={"name": "fraud", "uid": "of one that was deleted"})
    assert look(a_policy(), former) == EscalationPolicyStatus()


def test_without_a_second_line_nobody_can_attest() -> None:
    status = look(a_policy(), attest(policy=a_policy()))
    assert said(status)[:2] == ("False", "NoSecondLine")
    (record,) = status.attests
    assert (record.counted, record.message) == (
        False,
        "spec.secondLine names nobody who attests these rules: set it",
    )


def test_while_decisions_are_not_trusted_nothing_is_heard_and_what_stands_stands() -> None:
    status = look(rules(), attest(), trust=Trust.CHANGED)
    assert (status.attests, status.attestation) == ((), None)
    assert said(status)[2].endswith(
        "; decision/attest-carol is not heard: the admission policy that vouches for its author is Changed"
    )
    assert look(rules(), before=STANDS, trust=Trust.CHANGED).attestation == STANDS.attestation


def test_an_attestation_of_a_policy_of_the_same_name_is_not_about_this_one() -> None:
    other = attest(policyRef={"name": "fraud", "uid": "another"})
    assert look(rules(), other).attests == ()


def test_the_record_is_bounded_and_hears_nothing_twice() -> None:
    many = [attest(at=T0 + number * MIN, uid=f"u-{number:02}") for number in range(HEARD + 3)]
    status = look(rules(), *many)
    assert [one.uid for one in status.attests] == [f"u-{number:02}" for number in range(3, HEARD + 3)]
    policy = rules().model_copy(update={"status": status})
    assert unheard_attests(policy, many) == []
    assert unheard_attests(policy, [*many, attest(at=T0 + HOUR, uid="new")]) != []


def test_planning_twice_gives_the_same() -> None:
    for policy in (rules(), rules("> 0.4"), rules("> 0.2")):
        first = look(policy, attest(), before=STANDS)
        assert look(policy, attest(), before=first, now=T0 + HOUR) == first


# --- edits

LOOSER, LOOSEST = rules("> 0.4"), rules("> 0.5")
VOID = look(LOOSER, attest(), before=STANDS, now=T0 + 5 * MIN)


def test_tightening_leaves_the_attestation_standing() -> None:
    status = look(rules("> 0.2"), attest(), before=STANDS)
    assert said(status) == ("True", "Tightened", f"changed since, and nothing is looser: {BY_CAROL}")
    assert status.attestation == STANDS.attestation
    assert status.loosenings == ()


def test_another_basis_is_a_change_and_no_loosening() -> None:
    assert said(look(rules(signals=[SIGNAL | {"basis": "SLO 8"}]), before=STANDS))[1] == "Tightened"


def test_loosening_voids_it_and_says_in_what() -> None:
    assert said(VOID) == (
        "False",
        "Loosened",
        f"void since 2026-11-23T09:05:00Z, {BY_CAROL}: signal latency: warn from > 0.3 to > 0.4;"
        " compliance was not told yet",
    )
    assert VOID.attestation is not None
    assert VOID.attestation.void_time == T0 + 5 * MIN


def test_a_void_attestation_stays_void_when_the_rules_are_as_strict_again() -> None:
    status = look(rules(), attest(), before=VOID)
    assert said(status)[1] == "Loosened"
    assert "the rules were loosened meanwhile, and are as strict again" in said(status)[2]
    anew = attest(at=T0 + HOUR, uid="anew")
    assert said(look(rules(), anew, before=status, now=T0 + HOUR))[1] == "Attested"


def test_who_attests_the_looser_rules_makes_them_the_measure() -> None:
    status = look(LOOSER, attest("dan", at=T0 + HOUR, policy=LOOSER), before=VOID, now=T0 + HOUR)
    assert said(status)[:2] == ("True", "Attested")
    assert said(look(rules(), before=status))[1] == "Tightened"


# --- who is told


def done(status: EscalationPolicyStatus) -> dict[str, Outcome]:
    return {one.key: Outcome(one.key, "Done", T0 + 6 * MIN, "accepted") for one in status.loosenings}


def test_the_second_line_that_attested_is_told_of_a_loosening_once() -> None:
    (notify,) = due_notices(LOOSER, VOID, ROSTER, T0 + 5 * MIN)
    notice = notify.notice
    assert notice.key == f"policy-uid/attestation/{attest().metadata.uid}/{rules_digest(LOOSER)[7:23]}/compliance"
    assert (notice.responder, notice.person, notice.cause) == ("compliance", "carol", "RulesLoosened")
    assert (notice.incident, notice.severity, notice.policy, notice.namespace) == ("", "", "fraud", "models")
    assert f"Policy fraud in namespace models was {BY_CAROL}. Its rules became looser:" in notice.text
    assert "- signal latency: warn from > 0.3 to > 0.4" in notice.text
    told = look(LOOSER, attest(), before=VOID, outcomes=done(VOID))
    assert due_notices(LOOSER, told, ROSTER, T0) == []
    assert said(told)[2].endswith("signal latency: warn from > 0.3 to > 0.4")
    assert look(LOOSER, attest(), before=told, now=T0 + HOUR) == told


def test_a_second_line_that_the_edit_removes_is_told_all_the_same() -> None:
    policy = rules(secondLine=None)
    status = look(policy, before=STANDS)
    assert said(status)[1] == "Loosened"
    assert [one.responder for one in status.loosenings] == ["compliance"]
    assert status.loosenings[0].loosened == ("secondLine compliance is gone",)


def test_more_that_is_looser_is_told_and_what_was_told_is_not() -> None:
    told = look(LOOSER, before=VOID, outcomes=done(VOID))
    further = look(LOOSEST, before=told, now=T0 + HOUR)
    assert [one.loosened for one in further.loosenings] == [
        ("signal latency: warn from > 0.3 to > 0.4",),
        ("signal latency: warn from > 0.3 to > 0.5",),
    ]
    back = look(LOOSER, before=further, outcomes=done(further), now=T0 + 2 * HOUR)
    assert len(back.loosenings) == 2
    assert due_notices(LOOSER, back, ROSTER, T0) == []


def test_what_is_taken_back_in_part_is_not_told_again() -> None:
    both = rules("> 0.4", mode="Observe")
    first = look(both, before=STANDS)
    told = look(both, before=first, outcomes=done(first))
    assert len(look(LOOSER, before=told, now=T0 + HOUR).loosenings) == 1


def test_a_key_stands_once_in_the_record_whatever_an_older_version_wrote_under_it() -> None:
    (record,) = VOID.loosenings
    older = VOID.model_copy(update={"loosenings": (record.model_copy(update={"loosened": ("in other words",)}),)})
    assert look(LOOSER, before=older).loosenings == older.loosenings


def test_the_same_loosening_of_a_new_attestation_is_told_anew() -> None:
    told = look(LOOSER, before=VOID, outcomes=done(VOID))
    again = look(rules(), attest(at=T0 + HOUR, uid="anew"), before=told, now=T0 + HOUR)
    assert len(look(LOOSER, before=again, now=T0 + 2 * HOUR).loosenings) == 2


def test_a_notice_that_nobody_takes_is_kept_and_the_next_ones_wait() -> None:
    status = STANDS
    for number in range(KEPT + 3):
        status = look(rules(f"> 0.{40 + number}"), before=status)
    assert len(status.loosenings) == KEPT
    assert len(due_notices(LOOSER, status, ROSTER, T0)) == KEPT
    last = rules(f"> 0.{40 + KEPT + 2}")
    freed = look(last, before=status, outcomes=done(status))
    assert [one.loosened for one in due_records(freed)] == [
        (f"signal latency: warn from > 0.3 to > 0.{40 + KEPT + 2}",)
    ]
    assert len(freed.loosenings) == KEPT


def due_records(status: EscalationPolicyStatus) -> list[Any]:
    return [one for one in status.loosenings if one.done_time is None]


def test_it_is_said_why_nobody_could_be_told() -> None:
    (record,) = VOID.loosenings
    silent = {record.key: Outcome(record.key, "Undelivered", T0, "no channels")}
    status = look(LOOSER, before=VOID, outcomes=silent)
    assert said(status)[2].endswith("compliance was not told yet: no channels")
    assert len(due_notices(LOOSER, status, ROSTER, T0)) == 1


def test_when_nobody_of_the_second_line_is_there_the_role_itself_is_told() -> None:
    (notify,) = due_notices(LOOSER, VOID, {}, T0)
    assert (notify.notice.responder, notify.notice.person) == ("compliance", "")
    assert notify.notice.text.startswith("To all who read this: nobody of this role is there now.")


def test_the_end_of_an_attested_policy_is_told_with_what_was_not_told_yet() -> None:
    gone = removal_notice(LOOSER.model_copy(update={"status": VOID}), ROSTER, T0)
    assert gone is not None
    assert gone.key == f"policy-uid/attestation/{attest().metadata.uid}/removed/compliance"
    assert gone.notice.cause == "PolicyRemoved"
    assert "It guarded: fraud." in gone.notice.text
    assert "Before that it was loosened: signal latency: warn from > 0.3 to > 0.4." in gone.notice.text
    assert removal_notice(rules(), ROSTER, T0) is None
