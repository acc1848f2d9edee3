"""Does every approval stand for another person, who is still there?"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import HOUR, MIN, ROSTER, SECOND, T0, a_decision, a_responder, a_situation, an_incident
from tests.decide.test_people import DIGEST, the_status
from tests.decide.test_tiers import an_entered, an_option
from tocsin.api.incident import OptionState
from tocsin.api.responder import Responder
from tocsin.decide.people import hear
from tocsin.decide.standing import are_one, is_still_there, stood_in_for, tiers_of, unacknowledged


def a_role(name: str, **members: str) -> Responder:
    """By user name: what each is called."""
    spec = {"members": [{"user": user, "name": called} for user, called in members.items()]}
    return Responder.model_validate({"metadata": {"name": name, "namespace": "models"}, "spec": spec})


ACCOUNTS = ROSTER | {"owners": a_role("owners", ada="Ada Lee", adm_ada="ada  lee", ben="Ben")}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("ada", "ada", True), ("ada", "adm_ada", True), ("ada", "ben", False), ("nobody", "somebody", False)],
)
def test_two_accounts_of_one_name_are_one_person(one: str, other: str, same: bool) -> None:
    assert are_one(a_situation(roster=ACCOUNTS), one, other) is same


def test_who_has_handed_over_decides_no_more_and_is_still_there() -> None:
    handed = an_incident(tiers=(an_entered("owners", accountable="night"),)).status
    s = a_situation(roster=ROSTER | {"night": a_responder("night", "nora")})
    assert (tiers_of(s, handed, "alice"), is_still_there(s, handed, "alice")) == (set(), True)
    assert (tiers_of(s, handed, "nora"), is_still_there(s, handed, "nora")) == ({"owners"}, True)
    assert is_still_there(s, handed, "zoe") is False


def test_the_other_account_of_whoever_reported_cannot_approve() -> None:
    incident = an_incident(by="adm_ada", **the_status())
    decision = a_decision("Approve", "ada", option="last-healthy", digest=DIGEST)
    (record,) = hear(a_situation(incident, decisions=(decision,), roster=ACCOUNTS), incident.status).decisions
    assert (record.counted, record.message) == (False, "ada asked for it and cannot approve it: four eyes")


def with_deputy(**absences: tuple[datetime, datetime]) -> dict[str, Responder]:
    """The owners: alice, with bob as her deputy, and ben; and when each is absent."""
    members = [
        {
            "name": user,
            "user": user,
            "absences": [{"from": one[0], "until": one[1]} for one in [absences.get(user)] if one],
        }
        for user in ("alice", "bob", "ben")
    ]
    spec = {"members": members, "deputies": ["bob"]}
    owners = Responder.model_validate({"metadata": {"name": "owners", "namespace": "models"}, "spec": spec})
    return ROSTER | {"owners": owners}


AWAY = (T0 - HOUR, T0 + HOUR)
PAGED = an_entered("owners", deputy="bob")


@pytest.mark.parametrize(
    ("user", "roster", "tiers", "expected"),
    [
        pytest.param("bob", with_deputy(), (), (), id="nobody is absent"),
        pytest.param("bob", with_deputy(alice=AWAY), (), ("alice",), id="for the absent"),
        pytest.param("ben", with_deputy(alice=AWAY), (), (), id="who is no deputy stands in for nobody"),
        pytest.param("bob", with_deputy(alice=AWAY, bob=AWAY), (), (), id="an absent deputy stands in for nobody"),
        pytest.param("bob", with_deputy(), (PAGED,), ("alice",), id="for whoever did not answer the page"),
        pytest.param("alice", with_deputy(), (PAGED,), (), id="nobody stands in for oneself"),
    ],
)
def test_for_whom_a_deputy_stands_in(
    user: str, roster: dict[str, Responder], tiers: tuple[Any, ...], expected: tuple[str, ...]
) -> None:
    status = an_incident(tiers=tiers).status
    assert stood_in_for(a_situation(roster=roster), status, user) == expected


def approving(*users: str, by: str | None = None, **away: tuple[datetime, datetime]) -> list[tuple[bool, str]]:
    """What is said to each of them in turn."""
    asking = an_option(OptionState.ASKING, digest=DIGEST, needs=3)
    incident = an_incident(by=by, **the_status(containment=(asking,)))
    decisions = tuple(
        a_decision("Approve", user, T0 + place * MIN, option="last-healthy", digest=DIGEST, reason="seen")
        for place, user in enumerate(users)
    )
    s = a_situation(incident, decisions=decisions, roster=with_deputy(**away))
    return [(one.counted, one.message) for one in hear(s, incident.status).decisions]


@pytest.mark.parametrize(
    ("users", "last"),
    [
        (("alice", "bob"), "alice has approved already, and bob stands in for alice: another person is needed"),
        (("bob", "alice"), "bob has approved already, standing in for alice: another person is needed"),
    ],
)
def test_a_deputy_counts_as_whom_they_stand_in_for(users: tuple[str, str], last: str) -> None:
    assert [counted for counted, _ in approving(*users)] == [True, True], "two persons while nobody is absent"
    assert approving(*users, alice=AWAY)[-1] == (False, last)
    assert approving(*users, "ben", alice=AWAY)[-1] == (True, "approved last-healthy (2 of 3)")


def test_the_deputy_of_whoever_asked_cannot_approve() -> None:
    said = "alice asked for it, and bob stands in for them and cannot approve it: four eyes"
    assert approving("bob", by="alice", alice=AWAY) == [(False, said)]
    assert approving("bob", by="alice") == [(True, "approved last-healthy (1 of 3)")]


USERS = [f"u{number}" for number in range(6)]


@given(
    st.lists(st.sampled_from(USERS), unique=True, max_size=4),
    st.sets(st.sampled_from(USERS)),
    st.lists(st.sampled_from(USERS), max_size=12),
    st.integers(1, 5),
)
def test_a_deputy_and_the_absent_are_one_voice(
    deputies: list[str], away: set[str], approving: list[str], needs: int
) -> None:
    absent = [{"from": AWAY[0], "until": AWAY[1]}]
    members = [{"name": user, "user": user, "absences": absent if user in away else []} for user in USERS]
    spec = {"members": members, "deputies": deputies}
    owners = Responder.model_validate({"metadata": {"name": "owners", "namespace": "models"}, "spec": spec})
    incident = an_incident(**the_status(containment=(an_option(OptionState.ASKING, digest=DIGEST, needs=needs),)))
    decisions = tuple(
        a_decision("Approve", user, T0 + place * SECOND, option="last-healthy", digest=DIGEST, uid=f"{place}")
        for place, user in enumerate(approving)
    )
    s = a_situation(incident, decisions=decisions, roster=ROSTER | {"owners": owners})

    (record,) = hear(s, incident.status).containment

    present = next((one for one in deputies if one not in away), None)
    voices = {USERS[0] if USERS[0] in away and one == present else one for one in approving}
    assert len(record.approvals) == min(needs, len(voices))


@given(
    st.lists(st.sampled_from(["Ada", "Ben", "Cleo"]), min_size=6, max_size=6),
    st.lists(st.sampled_from(USERS), max_size=12),
    st.integers(1, 5),
)
def test_no_fewer_persons_than_approvals(names: list[str], approving: list[str], needs: int) -> None:
    called = dict(zip(USERS, names, strict=True))
    asking = an_option(OptionState.ASKING, digest=DIGEST, needs=needs)
    incident = an_incident(**the_status(containment=(asking,)))
    decisions = tuple(
        a_decision("Approve", user, T0 + place * MIN, option="last-healthy", digest=DIGEST, uid=f"{place}")
        for place, user in enumerate(approving)
    )
    s = a_situation(incident, decisions=decisions, roster=ROSTER | {"owners": a_role("owners", **called)})
    (record,) = hear(s, incident.status).containment
    persons = {called[one.by] for one in record.approvals}
    assert len(record.approvals) == len(persons) == min(needs, len({called[user] for user in approving}))


@pytest.mark.parametrize(
    ("user", "status", "tiers"),
    [
        pytest.param("alice", {"tiers": (an_entered("owners"), an_entered("compliance"))}, ["owners"], id="mine"),
        pytest.param("alice", {"tiers": (an_entered("compliance"),)}, [], id="mine was not entered"),
        pytest.param("mallory", {"tiers": (an_entered("owners"),)}, [], id="of no role"),
        pytest.param(
            "alice",
            {"tiers": (an_entered("owners", acknowledged_by="bob", acknowledged_time=T0),)},
            [],
            id="acknowledged already",
        ),
        pytest.param(
            "carol", {"tiers": (an_entered("owners", accountable="compliance"),)}, ["owners"], id="taken over"
        ),
        pytest.param("alice", {"tiers": (an_entered("owners"),), "resolved_time": T0}, [], id="resolved"),
    ],
)
def test_what_waits_for_somebody_is_what_their_acknowledgement_would_count_for(
    user: str, status: dict[str, Any], tiers: list[str]
) -> None:
    incident = an_incident(**status)
    assert unacknowledged(incident, ROSTER, user) == tiers
    (record,) = hear(a_situation(incident, decisions=(a_decision("Acknowledge", user),)), incident.status).decisions
    assert record.counted is bool(tiers)
