"""Does a role say who is on duty, until when, whether they can be told, and when nobody will be there?"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.builders import HOUR, T0, a_policy
from tests.decide.test_roster import ROTATION, a_role, a_roster
from tocsin.api.objects import condition
from tocsin.api.responder import Responder
from tocsin.decide.policy import Surroundings, report
from tocsin.decide.roster import WEEK
from tocsin.decide.staffing import report_responder

DAY = timedelta(days=1)
HOOK = {"channels": [{"name": "hook", "secretRef": {"name": "hook"}}]}
NIGHT = a_role("night", "nora", **HOOK)
AWAY = {"ada": (T0 - HOUR, T0 + HOUR)}


def test_a_role_says_who_is_on_duty_and_until_when() -> None:
    role = a_role("owners", "ada", "ben", rotation=ROTATION | {"order": ["ada", "ben"]}, **HOOK)
    status = report_responder(role, a_roster(role), T0)

    assert (status.on_duty, status.until) == ("Ada", T0 + WEEK)
    assert [(one.type, one.status, one.reason) for one in status.conditions] == [
        ("Ready", "True", "Reachable"),
        ("Staffed", "True", "Staffed"),
    ]


def test_whoever_stands_in_is_named_with_their_role() -> None:
    role = a_role("owners", "ada", away=AWAY, escalateTo="night", **HOOK)
    status = report_responder(role, a_roster(role, NIGHT), T0)

    assert (status.on_duty, status.until) == ("Nora (night)", T0 + HOUR)


@pytest.mark.parametrize(
    ("role", "reason", "words"),
    [
        pytest.param(a_role("owners", "ada"), "NoChannels", "nobody would be told: Ada", id="no channel"),
        pytest.param(
            a_role("owners", "ada", deputies=["zoe"], **HOOK), "RosterInvalid", "zoe is no member", id="no member"
        ),
        pytest.param(
            a_role("owners", "ada", escalateTo="gone", **HOOK), "ResponderMissing", "Responder gone", id="no such role"
        ),
        pytest.param(
            a_role("owners", "ada", escalateTo="owners", **HOOK), "RosterCircle", "owners → owners", id="a circle"
        ),
    ],
)
def test_why_a_role_is_not_ready(role: Responder, reason: str, words: str) -> None:
    ready = condition(report_responder(role, a_roster(role), T0).conditions, "Ready")
    assert ready is not None
    assert (ready.status, ready.reason) == ("False", reason)
    assert words in ready.message


def test_a_policy_waits_for_what_its_roles_tell() -> None:
    for roster in ({}, a_roster(*(a_role(name, "zoe", **HOOK) for name in ("owners", "compliance", "board")))):
        status = report(a_policy(), Surroundings(now=T0, servers=frozenset({"default"}), responders=roster))
        assert [one.reason for one in status.conditions if one.type == "Staffed"] == ["NotYet"]


def a_staffed(**roles: Any) -> tuple[str, str, str]:
    policy = a_policy()
    roster = a_roster(*(a_role(name, "zoe", **HOOK) for name in ("owners", "compliance", "board"))) | roles
    told = {
        name: role.model_copy(update={"status": report_responder(role, roster, T0)}) for name, role in roster.items()
    }
    status = report(policy, Surroundings(now=T0, servers=frozenset({"default"}), responders=told))
    found = condition(status.conditions, "Staffed")
    assert found is not None
    return found.status, found.reason, found.message


def test_a_policy_says_beforehand_that_a_role_has_a_hole_this_week() -> None:
    away = {"ada": (T0 + DAY, T0 + 2 * DAY)}
    assert a_staffed(owners=a_role("owners", "ada", away=away, **HOOK)) == (
        "False",
        "Hole",
        "nobody of Responder owners is there from 2026-11-24T09:00:00Z until 2026-11-25T09:00:00Z",
    )
    assert a_staffed()[:2] == ("True", "Staffed")
    assert a_staffed(owners=a_role("owners", "ada", away=away, escalateTo="board", **HOOK))[:2] == ("True", "Staffed")
