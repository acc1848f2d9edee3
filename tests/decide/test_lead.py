"""Does one person lead from the first page on, and is an incident handed over only to somebody who accepts it?"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.builders import HOUR, MIN, ROSTER, T0, a_decision, a_responder, a_situation, an_incident
from tests.decide.test_people import heard
from tests.decide.test_tiers import an_entered
from tocsin.api.decision import Decision
from tocsin.api.incident import IncidentStatus
from tocsin.decide.incident import plan
from tocsin.decide.lead import follow_lead
from tocsin.decide.notices import due_notices

NIGHT = {"night": a_responder("night", "nora")}
OVER = {"to": "night", "reason": "rolled back; the cause is open"}
HANDED = {"to": "night", "by": "alice", "time": T0, "note": OVER["reason"]}


def leads(status: IncidentStatus, **s: Any) -> tuple[str, str] | None:
    lead = follow_lead(a_situation(**s), status).lead
    return (lead.user, lead.because) if lead else None


def a_status(*tiers: Any, **fields: Any) -> IncidentStatus:
    return IncidentStatus.model_validate({"opened_time": T0, "tiers": tiers} | fields)


LED = {"user": "alice", "time": T0, "because": "OnDuty"}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param(a_status(), None, id="nobody before a tier is entered"),
        pytest.param(a_status(an_entered("owners")), ("alice", "OnDuty"), id="who is paged first"),
        pytest.param(
            a_status(an_entered("owners", deputy="bob"), lead=LED), ("bob", "OnDuty"), id="the deputy who was paged"
        ),
        pytest.param(
            a_status(
                an_entered("owners"), an_entered("compliance", acknowledged_by="carol", acknowledged_time=T0), lead=LED
            ),
            ("carol", "Acknowledged"),
            id="who acknowledges first, of whichever tier",
        ),
        pytest.param(
            a_status(
                an_entered("owners", acknowledged_by="bob", acknowledged_time=T0),
                lead=LED | {"user": "carol", "because": "Acknowledged"},
            ),
            ("carol", "Acknowledged"),
            id="whoever acknowledges later does not",
        ),
        pytest.param(
            a_status(an_entered("owners"), lead=LED | {"user": "nora", "because": "Accepted"}),
            ("nora", "Accepted"),
            id="who accepted stays",
        ),
        pytest.param(
            a_status(an_entered("owners"), lead=LED | {"user": "zoe"}), ("zoe", "OnDuty"), id="a shift later the same"
        ),
    ],
)
def test_who_leads(status: IncidentStatus, expected: tuple[str, str] | None) -> None:
    assert leads(status) == expected


def test_nobody_leads_where_nobody_is_there() -> None:
    assert leads(a_status(an_entered("owners")), roster={}) is None


OWNERS = (an_entered("owners", accountable="owners"),)


def decided(*decisions: Decision, tiers: Any = OWNERS) -> IncidentStatus:
    incident = an_incident(opened_time=T0, severity="SEV3", tiers=tiers)
    return heard(*decisions, incident=incident, roster=ROSTER | NIGHT)


def verdict(status: IncidentStatus) -> tuple[bool, str]:
    return status.decisions[-1].counted, status.decisions[-1].message


def test_a_hand_over_changes_nothing_until_somebody_accepts() -> None:
    status = decided(a_decision("HandOver", "alice", **OVER))
    assert verdict(status) == (True, "asked night to take over tier owners")
    (tier,) = status.tiers
    assert tier.handed_over is not None
    assert (tier.accountable, tier.handed_over.to, tier.handed_over.note) == ("owners", "night", OVER["reason"])
    assert verdict(decided(a_decision("Acknowledge", "nora"), tiers=status.tiers))[0] is False
    assert verdict(decided(a_decision("Acknowledge", "alice"), tiers=status.tiers))[0] is True


def test_who_accepts_answers_for_the_tier_and_leads() -> None:
    status = decided(a_decision("Accept", "nora"), tiers=(an_entered("owners", handed_over=HANDED),))
    assert verdict(status) == (True, "took over tier owners")
    (tier,) = status.tiers
    assert (tier.accountable, tier.handed_over, tier.acknowledged_by) == ("night", None, "nora")
    assert status.lead is not None
    assert (status.lead.user, status.lead.because) == ("nora", "Accepted")
    assert verdict(decided(a_decision("Resolve", "nora", reason="done"), tiers=status.tiers))[0] is True
    assert verdict(decided(a_decision("Resolve", "alice", reason="done"), tiers=status.tiers))[0] is False


def test_what_was_missed_before_somebody_took_over_enters_no_further_tier() -> None:
    missed = {"missed": ("Acknowledge",), "deputy": "bob", "deputy_deadline": T0 + HOUR}
    handed = an_entered("owners", handed_over=HANDED, contain_deadline=None, **missed)
    incident = an_incident(opened_time=T0, severity="SEV3", tiers=(handed,))
    decisions = (a_decision("Accept", "nora", T0 + MIN),)
    s = a_situation(incident, now=T0 + MIN, decisions=decisions, roster=ROSTER | NIGHT, affected=Decimal(0))
    assert [(tier.name, tier.missed, tier.deputy) for tier in plan(s).status.tiers if tier.name == "owners"] == [
        ("owners", (), None)
    ]
    assert "tier owners missed its deadline to acknowledge" not in [tier.reason for tier in plan(s).status.tiers]


@pytest.mark.parametrize(
    ("decision", "tiers", "words"),
    [
        pytest.param(
            a_decision("HandOver", "alice", **OVER | {"to": "nobody"}),
            (an_entered("owners"),),
            "there is no Responder nobody in this namespace",
            id="to nobody",
        ),
        pytest.param(
            a_decision("HandOver", "alice", **OVER | {"to": "owners"}),
            (an_entered("owners"),),
            "nothing to hand over: owners answers for it already",
            id="to oneself",
        ),
        pytest.param(
            a_decision("HandOver", "carol", **OVER),
            (an_entered("owners"),),
            "nothing to hand over: no tier of yours",
            id="of others",
        ),
        pytest.param(
            a_decision("Accept", "nora"), (an_entered("owners"),), "nothing was handed over to nora", id="of nothing"
        ),
        pytest.param(
            a_decision("Accept", "alice"),
            (an_entered("owners", handed_over=HANDED),),
            "nothing was handed over to alice",
            id="by another",
        ),
    ],
)
def test_what_does_not_count(decision: Decision, tiers: Any, words: str) -> None:
    assert verdict(decided(decision, tiers=tiers)) == (False, words)


def test_the_successor_is_asked_with_the_note_and_both_hear_when_it_is_done() -> None:
    tier = an_entered("owners", accountable="owners", contain_deadline=None, acknowledge_deadline=None)
    opened = {"opened_time": T0, "severity": "SEV3", "tiers": (tier,), "lead": LED}
    asked = plan(
        a_situation(
            an_incident(**opened),
            now=T0 + MIN,
            decisions=(a_decision("HandOver", "alice", T0 + MIN, **OVER),),
            roster=ROSTER | NIGHT,
        )
    )
    (notice,) = [
        one.notice
        for one in due_notices(a_situation(an_incident(), roster=ROSTER | NIGHT), asked.status)
        if "night" in one.key
    ]
    assert (notice.cause, notice.person) == ("HandOver", "nora")
    assert notice.subject.endswith("you are asked to take over")
    assert f"alice hands over: {OVER['reason']}" in notice.text
    assert '"type":"Accept"' in notice.command

    taken = plan(
        a_situation(
            an_incident(**asked.status.dump()),
            now=T0 + HOUR,
            decisions=(a_decision("Accept", "nora", T0 + HOUR),),
            roster=ROSTER | NIGHT,
        )
    ).status
    assert [(record.key.split("/")[3], record.causes) for record in taken.effects if "HandedOver" in record.causes] == [
        ("owners.night", ("HandedOver",)),
        ("owners.owners", ("HandedOver",)),
    ]
    assert taken.lead is not None
    assert taken.lead.user == "nora"
