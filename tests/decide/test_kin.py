"""Which incidents have one cause upstream, which of them pages, and what becomes of the others when it is over?"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.builders import MIN, T0, a_decision, a_policy, a_situation, an_incident, the_rules
from tocsin.api.incident import EffectState, Incident, IncidentStatus
from tocsin.api.objects import condition
from tocsin.decide.incident import plan
from tocsin.decide.kin import Family, adopt, at_least, find_family
from tocsin.decide.plan import Notify
from tocsin.decide.situation import Relative

STORE = ("feature-store",)


def a_relative(number: int, minutes: float, upstream: tuple[str, ...] = STORE, **changes: Any) -> Relative:
    fields: dict[str, Any] = {"name": f"team-{number}/i", "namespace": f"team-{number}", "model": "m"}
    return Relative(**fields | {"opened_at": T0 + minutes * MIN, "upstream": upstream} | changes)


ME = a_relative(9, 0)
PAGES = Family("team-1/i", "feature-store")


@pytest.mark.parametrize(
    ("me", "others", "family"),
    [
        pytest.param(ME, [a_relative(1, -1)], None, id="two are chance"),
        pytest.param(ME, [a_relative(2, -1), a_relative(1, -2)], PAGES, id="of three the oldest pages"),
        pytest.param(ME, [a_relative(1, 0), a_relative(2, 0)], PAGES, id="of one age the first by name"),
        pytest.param(
            ME, [a_relative(1, 1), a_relative(2, 2)], Family("team-9/i", "feature-store"), id="it is the oldest itself"
        ),
        pytest.param(ME, [a_relative(1, -5), a_relative(2, 4.9)], PAGES, id="within ten minutes of the oldest"),
        pytest.param(ME, [a_relative(1, -5), a_relative(2, 5)], None, id="ten minutes are too many"),
        pytest.param(ME, [a_relative(1, -1), a_relative(1, -2, name="team-1/j")], None, id="one model twice is one"),
        pytest.param(ME, [a_relative(1, -1), a_relative(2, -1, ("vendor",))], None, id="something else is upstream"),
        pytest.param(
            a_relative(9, 0, ("vendor", "feature-store")),
            [a_relative(2, -1, ("vendor",)), a_relative(3, -1), a_relative(1, -2)],
            PAGES,
            id="of two things the one that three share",
        ),
        pytest.param(
            ME,
            [a_relative(2, -8, parent="team-1/i"), a_relative(3, -7, parent="team-1/i")],
            PAGES,
            id="the cause goes on: the parent of the others",
        ),
        pytest.param(a_relative(9, 0, ()), [a_relative(1, -1), a_relative(2, -1)], None, id="nothing is upstream"),
    ],
)
def test_the_family_of_an_incident(me: Relative, others: list[Relative], family: Family | None) -> None:
    assert find_family(me, others) == family


@pytest.mark.parametrize(
    ("count", "shown"), [(0, 0), (1, 1), (3, 2), (5, 5), (9, 5), (10, 10), (49, 20), (199, 100), (9999, 5000)]
)
def test_many_children_are_counted_roughly(count: int, shown: int) -> None:
    assert at_least(count) == shown


RULES = the_rules(a_policy(models=[{"name": "fraud", "upstream": ["feature-store"]}], containment=[]))
FAMILY = (a_relative(1, -2, name="models/first"), a_relative(2, -1))
LED = {"kin": FAMILY, "parent_lives": True}


def an_incident_of(status: IncidentStatus | None = None) -> Incident:
    incident = an_incident(RULES)
    return incident.model_copy(update={"status": status}) if status else incident


def after(*passes: tuple[timedelta, dict[str, Any]]) -> IncidentStatus:
    """The status after one decision at each of these instants, with what is known then."""
    status = IncidentStatus()
    for span, known in passes:
        status = plan(a_situation(an_incident_of(status), now=T0 + span, **known)).status
    return status


def pages(status: IncidentStatus) -> list[tuple[tuple[str, ...], str | None]]:
    return [(one.causes, one.into) for one in status.effects]


def test_a_child_pages_nobody_and_its_ledger_says_who_does() -> None:
    decided = plan(a_situation(an_incident_of(), kin=FAMILY))

    assert (decided.status.parent, decided.status.upstream) == ("models/first", "feature-store")
    assert {into for _, into in pages(decided.status)} == {"models/first"}
    assert {one.state for one in decided.status.effects} == {EffectState.DONE}
    assert not any(isinstance(effect, Notify) for effect in decided.effects)
    assert "incident models/first pages for it: both fail of feature-store" in [
        one.what for one in decided.status.timeline
    ]
    told = condition(decided.status.conditions, "Acknowledged")
    assert told
    assert told.reason == "ParentPaged"


def test_the_deadlines_of_a_child_that_are_not_about_acknowledging_run_on() -> None:
    status = after((0 * MIN, {"kin": FAMILY}), (61 * MIN, LED))

    assert [(tier.name, tier.missed) for tier in status.tiers[:2]] == [("owners", ("Contain",)), ("compliance", ())]
    assert {into for _, into in pages(status)} == {"models/first"}


def test_an_acknowledgement_of_a_child_does_not_expire() -> None:
    ack = {"decisions": (a_decision("Acknowledge", "alice", T0 + MIN),)}
    status = after((0 * MIN, {"kin": FAMILY}), (MIN, LED | ack), (90 * MIN, LED | ack))

    assert (status.tiers[0].acknowledged_by, status.tiers[0].renewals) == ("alice", 0)


def test_a_child_whose_parent_is_over_is_paged_with_its_whole_time() -> None:
    status = after((0 * MIN, {"kin": FAMILY}), (40 * MIN, {"kin": FAMILY[:1]}))

    owners = status.tiers[0]
    assert (status.parent, status.upstream) == (None, None)
    assert (owners.acknowledge_deadline, owners.missed) == (T0 + 55 * MIN, ())
    assert pages(status)[-1] == (("OnItsOwn",), None)
    assert "its parent models/first is over" in [one.what for one in status.timeline]
    assert after((0 * MIN, {"kin": FAMILY}), (40 * MIN, {}), (41 * MIN, {})) == after(
        (0 * MIN, {"kin": FAMILY}), (40 * MIN, {})
    )


def test_a_parent_stays_while_it_lives_and_is_followed_by_the_next_oldest() -> None:
    older = (a_relative(3, -4), a_relative(4, -3))
    assert after((0 * MIN, {"kin": FAMILY}), (MIN, LED | {"kin": older})).parent == "models/first"
    assert after((0 * MIN, {"kin": FAMILY}), (MIN, {"kin": older})).parent == "team-3/i"


def test_what_is_known_of_a_parent_is_told_once() -> None:
    orphan = an_incident_of().status.model_copy(update={"opened_time": T0, "parent": PAGES.parent})
    s = a_situation(an_incident_of(orphan), kin=(a_relative(1, -1), a_relative(2, -1)), parent_lives=False)

    assert adopt(s, orphan).timeline == orphan.timeline


def test_who_pages_for_others_gets_no_parent_but_a_floor() -> None:
    status = after((0 * MIN, {}), (MIN, {"kin": FAMILY, "children": 7, "shared": "feature-store"}))

    assert (status.parent, status.children, status.upstream) == (None, 5, "feature-store")
    assert status.score
    assert "3 models or more fail of one upstream cause (feature-store): at least SEV2" in status.score.floors


def test_a_child_that_becomes_the_worst_pages_all_the_same() -> None:
    led = after((0 * MIN, {"kin": FAMILY}))
    assert led.severity != "SEV1"
    status = plan(a_situation(an_incident_of(led), now=T0 + MIN, **LED, harm_told_by=("ann",))).status

    assert (status.severity, status.parent) == ("SEV1", "models/first")
    assert [(causes, into) for causes, into in pages(status) if into is None] == [
        (("OnItsOwn",), None),
        *([(("OnItsOwn",), None)] * (len(led.tiers) - 1)),
        *([(("TierEntered",), None)] * (len(status.tiers) - len(led.tiers))),
    ]


@pytest.mark.parametrize(
    ("parent", "minutes", "paged"),
    [
        pytest.param("team-1/i", 59, [], id="another team may keep this one asleep for an hour"),
        pytest.param("team-1/i", 60, [("OnItsOwn",)], id="and no longer"),
        pytest.param("models/i", 90, [], id="its own team pages for it as long as that is open"),
    ],
)
def test_for_how_long_a_child_is_silent(parent: str, minutes: int, paged: list[tuple[str, ...]]) -> None:
    family = (a_relative(1, -2, name=parent), a_relative(2, -1))
    later = {"parent_lives": True}
    status = after((0 * MIN, {"kin": family}), (minutes * MIN, later), (minutes * MIN + MIN / 2, later))

    assert status.parent == parent
    assert [causes for causes, into in pages(status) if into is None][: len(paged) or None] == paged
    tier = {"name": "owners", "severity": "SEV4", "accountable": "owners", "acknowledgeWithin": "15m"}
    rules = the_rules(a_policy(models=[{"name": "fraud", "upstream": ["feature-store"]}], containment=[], tiers=[tier]))
    silent = plan(a_situation(an_incident(rules), kin=family))
    assert silent.look_again_at == (T0 + 60 * MIN if parent == "team-1/i" else None)


def test_what_a_child_asks_is_asked_of_its_own_people() -> None:
    policy = a_policy(models=[a_policy().spec.models[0].dump() | {"upstream": ["feature-store"]}])
    incident = an_incident(the_rules(policy))
    status = plan(a_situation(incident, kin=FAMILY)).status

    assert (("ApprovalNeeded",), None) in pages(status)
    assert (("TierEntered",), "models/first") in pages(status)
