"""Who is entered when, by when must they act, and does an outage page everybody at once?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.builders import HOUR, MIN, ROSTER, SECOND, T0, a_situation
from tocsin.api.incident import IncidentStatus, OptionRecord, OptionState, TierStatus
from tocsin.decide.situation import Situation
from tocsin.decide.tiers import (
    enter,
    enter_tiers,
    expire_acknowledgements,
    expiring,
    hold_acknowledgements,
    is_contained,
    miss_deadlines,
    newly_missed,
    next_after,
    open_deadlines,
)


def an_entered(name: str, at: datetime = T0, **changes: Any) -> TierStatus:
    """A tier that was entered, with the deadlines of the policy of these tests."""
    spans = {
        "owners": {"acknowledge_deadline": 15 * MIN, "contain_deadline": HOUR},
        "compliance": {"acknowledge_deadline": 15 * MIN, "decide_deadline": 4 * HOUR},
        "board": {"acknowledge_deadline": 15 * MIN},
    }[name]
    deadlines = {duty: at + span for duty, span in spans.items()}
    return TierStatus.model_validate({"name": name, "entered_time": at, "reason": "because"} | deadlines | changes)


def an_option(state: OptionState, **changes: Any) -> OptionRecord:
    return OptionRecord.model_validate(
        {"name": "last-healthy", "type": "RollBack", "class": "B", "state": state} | changes
    )


def with_deputy(now: datetime, deputies: Sequence[str] = ("bob",), **changes: Any) -> Situation:
    """The owners are alice, who is on duty, and bob."""
    spec = ROSTER["owners"].spec.model_copy(update={"deputies": tuple(deputies)})
    return a_situation(
        now=now, roster=ROSTER | {"owners": ROSTER["owners"].model_copy(update={"spec": spec})}, **changes
    )


def test_whoever_does_not_acknowledge_is_followed_by_a_deputy_and_then_by_the_next_tier() -> None:
    status = the_status(severity="SEV3", tiers=(an_entered("owners", contain_deadline=None),))
    late = T0 + 15 * MIN + 40 * SECOND

    paged = enter_tiers(with_deputy(late), miss_deadlines(with_deputy(late), status))
    (tier,) = paged.tiers
    assert (tier.missed, tier.deputy, tier.deputy_deadline) == (("Acknowledge",), "bob", late + 15 * MIN)
    assert open_deadlines(tier, paged) == [("Acknowledge", T0 + 15 * MIN), ("Deputy", late + 15 * MIN)]
    assert [entry.what for entry in paged.timeline] == [
        "tier owners missed its deadline to acknowledge by 2026-11-23T09:15:00Z, noticed 40s late",
        "tier owners: Bob, the deputy, is paged",
    ]

    waiting = with_deputy(late + 14 * MIN)
    assert enter_tiers(waiting, miss_deadlines(waiting, paged)) == paged

    then = with_deputy(late + 15 * MIN)
    gone = enter_tiers(then, miss_deadlines(then, paged))
    assert [(one.name, one.missed) for one in gone.tiers] == [
        ("owners", ("Acknowledge", "Deputy")),
        ("compliance", ()),
    ]
    assert gone.tiers[1].reason == "tier owners missed its deadline to acknowledge through the deputy"


@pytest.mark.parametrize("deputies", [(), ("alice",), ("nobody",)])
def test_without_a_deputy_the_next_tier_is_entered_at_once(deputies: tuple[str, ...]) -> None:
    now = with_deputy(T0 + 15 * MIN, deputies)
    status = miss_deadlines(now, the_status(severity="SEV3", tiers=(an_entered("owners"),)))
    assert [tier.name for tier in enter_tiers(now, status).tiers] == ["owners", "compliance"]


def test_a_deputy_with_time_left_holds_back_no_tier_that_another_deadline_calls_for() -> None:
    tier = an_entered("owners", missed=("Acknowledge",), deputy="bob", deputy_deadline=T0 + 3 * HOUR)
    now = with_deputy(T0 + HOUR)
    status = miss_deadlines(now, the_status(severity="SEV3", tiers=(tier,)))
    assert [one.name for one in enter_tiers(now, status).tiers] == ["owners", "compliance"]


def test_a_deputy_is_paged_once_whoever_comes_back_later() -> None:
    """Only when the deadline is noticed: later the next tier has it."""
    status = the_status(severity="SEV3", tiers=(an_entered("owners", missed=("Acknowledge",)),))
    assert miss_deadlines(with_deputy(T0 + HOUR - SECOND), status).tiers[0].deputy is None


ACKNOWLEDGED = {
    "acknowledged_by": "alice",
    "acknowledged_time": T0,
    "acknowledgement_expire_time": T0 + HOUR,
    "contain_deadline": None,
}


def test_an_acknowledgement_without_progress_expires_and_its_tier_is_paged_again() -> None:
    status = the_status(severity="SEV3", tiers=(an_entered("owners", **ACKNOWLEDGED),))
    early, late = a_situation(now=T0 + HOUR - SECOND), a_situation(now=T0 + HOUR)
    assert expire_acknowledgements(early, status) == status
    assert expiring(status) == [T0 + HOUR]

    (tier,) = (again := expire_acknowledgements(late, status)).tiers
    assert (tier.acknowledged_by, tier.acknowledged_time, tier.renewals) == (None, None, 1)
    assert open_deadlines(tier, again) == [("Acknowledge", T0 + HOUR + 15 * MIN)]
    assert expiring(again) == []
    assert [entry.what for entry in again.timeline] == [
        "tier owners: the acknowledgement by alice expired after 1h without progress"
    ]


def test_what_was_missed_before_an_acknowledgement_expired_may_be_missed_again() -> None:
    tier = an_entered("owners", missed=("Acknowledge", "Deputy"), deputy="bob", deputy_deadline=T0, **ACKNOWLEDGED)
    (again,) = expire_acknowledgements(a_situation(now=T0 + HOUR), the_status(tiers=(tier,))).tiers
    assert (again.missed, again.deputy, again.deputy_deadline) == ((), None, None)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"recovered_time": T0}, id="recovered"),
        pytest.param({"resolved_time": T0}, id="resolved"),
        pytest.param({"containment": (an_option(OptionState.EXECUTED, settled_time=T0),)}, id="contained"),
    ],
)
def test_nobody_is_woken_again_for_a_model_that_does_no_harm(fields: dict[str, Any]) -> None:
    status = the_status(tiers=(an_entered("owners", **ACKNOWLEDGED),), **fields)
    assert expire_acknowledgements(a_situation(now=T0 + 5 * HOUR), status) == status
    assert expiring(status) == []


@pytest.mark.parametrize(("before", "tiers"), [(1, ["owners"]), (2, ["owners", "compliance"])])
def test_the_third_expiry_enters_the_next_tier(before: int, tiers: list[str]) -> None:
    tier, now = an_entered("owners", renewals=before, **ACKNOWLEDGED), a_situation(now=T0 + HOUR)
    status = enter_tiers(now, expire_acknowledgements(now, the_status(severity="SEV3", tiers=(tier,))))
    assert [one.name for one in status.tiers] == tiers
    assert all(one.reason == "tier owners acknowledged 3 times without progress" for one in status.tiers[1:])


A_DECISION = {"uid": "1", "name": "note", "type": "Reject", "by": "carol", "time": T0, "counted": True}
PROGRESS = (
    pytest.param({"decisions": (A_DECISION,)}, True, id="a Decision that counted"),
    pytest.param({"decisions": (A_DECISION | {"counted": False},)}, False, id="one that did not"),
    pytest.param({"containment": (an_option(OptionState.ASKING),)}, True, id="an option asks"),
    pytest.param({"severity": "SEV1"}, False, id="the severity alone"),
)


@pytest.mark.parametrize(("news", "longer"), PROGRESS)
def test_progress_has_acknowledgements_hold_anew(news: dict[str, Any], longer: bool) -> None:
    before, after = (the_status(tiers=(an_entered("owners", **ACKNOWLEDGED),), **more) for more in ({}, news))
    (tier,) = hold_acknowledgements(a_situation(now=T0 + 30 * MIN), before, after).tiers
    assert tier.acknowledgement_expire_time == (T0 + 90 * MIN if longer else T0 + HOUR)


def test_an_acknowledgement_holds_from_when_it_is_heard() -> None:
    before = the_status(tiers=(an_entered("owners"),))
    after = the_status(tiers=(an_entered("owners", acknowledged_by="alice", acknowledged_time=T0),))
    (tier,) = hold_acknowledgements(a_situation(now=T0 + MIN), before, after).tiers
    assert tier.acknowledgement_expire_time == T0 + HOUR + MIN


def the_status(**fields: Any) -> IncidentStatus:
    return IncidentStatus.model_validate({"opened_time": T0} | fields)


def entered(status: IncidentStatus, now: datetime = T0) -> list[str]:
    return [tier.name for tier in enter_tiers(a_situation(now=now), status).tiers]


@pytest.mark.parametrize(
    ("severity", "tiers"),
    [
        pytest.param("SEV4", [], id="SEV4 pages nobody"),
        pytest.param("SEV3", ["owners"], id="SEV3 enters the first tier"),
        pytest.param("SEV2", ["owners", "compliance"], id="SEV2 enters two at once"),
        pytest.param("SEV1", ["owners", "compliance", "board"], id="SEV1 enters all"),
        pytest.param(None, [], id="before a severity is known nobody is entered"),
    ],
)
def test_severity_enters_tiers_at_once(severity: str | None, tiers: list[str]) -> None:
    assert entered(the_status(severity=severity)) == tiers


def test_entering_writes_absolute_deadlines_that_count_from_the_entry() -> None:
    status = enter(a_situation(now=T0 + 7 * MIN), the_status(), "owners", "because")

    assert status.tiers == (an_entered("owners", T0 + 7 * MIN, accountable="owners"),)
    assert status.tiers[0].decide_deadline is None
    assert status.tier == "owners"
    assert [entry.what for entry in status.timeline] == ["tier owners entered: because"]


def test_entering_twice_changes_nothing() -> None:
    once = enter(a_situation(), the_status(), "owners", "because")

    assert enter(a_situation(now=T0 + HOUR), once, "owners", "again") == once


def test_a_tier_that_the_rules_do_not_have_is_not_entered() -> None:
    assert enter(a_situation(), the_status(), "press", "because") == the_status()


def test_a_tier_entered_out_of_order_stands_in_order_and_the_highest_is_printed() -> None:
    status = the_status(tiers=(an_entered("board"),), tier="board")

    assert [tier.name for tier in enter(a_situation(), status, "owners", "because").tiers] == ["owners", "board"]
    assert enter(a_situation(), status, "owners", "because").tier == "board"


@pytest.mark.parametrize(
    ("tiers", "follower"),
    [
        ((), "owners"),
        (("owners",), "compliance"),
        (("owners", "board"), None),
        (("compliance",), "board"),
    ],
    ids=["nobody was entered", "after the first", "after the last", "after the highest"],
)
def test_next_after(tiers: tuple[str, ...], follower: str | None) -> None:
    status = the_status(tiers=tuple(an_entered(name) for name in tiers))

    assert next_after(a_situation().rules, status) == follower


@pytest.mark.parametrize(
    ("tier", "fields", "late", "missed"),
    [
        pytest.param({}, {}, 15 * MIN - SECOND, (), id="a second before the deadline nothing is missed"),
        pytest.param({}, {}, 15 * MIN, ("Acknowledge",), id="the boundary belongs to missed"),
        pytest.param({"acknowledged_time": T0 + MIN}, {}, 15 * MIN, (), id="an acknowledgement in time meets it"),
        pytest.param({}, {}, HOUR, ("Acknowledge", "Contain"), id="every duty is missed by itself"),
        pytest.param(
            {"acknowledged_time": T0},
            {},
            HOUR,
            ("Contain",),
            id="an acknowledgement never stops the deadline to contain",
        ),
        pytest.param(
            {"acknowledged_time": T0},
            {"containment": (an_option(OptionState.EXECUTED, settled_time=T0),)},
            HOUR,
            (),
            id="a containment that holds meets the deadline to contain",
        ),
        pytest.param(
            {"acknowledged_time": T0},
            {"containment": (an_option(OptionState.EXECUTED),)},
            HOUR,
            ("Contain",),
            id="one that the workload has not followed does not",
        ),
        pytest.param(
            {"acknowledged_time": T0}, {"recovered_time": T0}, HOUR, (), id="recovery meets the deadline to contain"
        ),
        pytest.param({"missed": ("Acknowledge",)}, {}, 16 * MIN, ("Acknowledge",), id="a deadline is missed once"),
    ],
)
def test_missed_deadlines(
    tier: dict[str, Any], fields: dict[str, Any], late: timedelta, missed: tuple[str, ...]
) -> None:
    status = the_status(tiers=(an_entered("owners", **tier),), **fields)

    after = miss_deadlines(a_situation(now=T0 + late), status)

    assert after.tiers[0].missed == missed
    assert len(after.timeline) == len(missed) - len(status.tiers[0].missed)


@pytest.mark.parametrize(
    ("late", "words"),
    [
        (timedelta(), ""),
        (4 * SECOND, ""),
        (5 * SECOND, ", noticed 5s late"),
        (2 * HOUR, ", noticed 2h late"),
    ],
    ids=str,
)
def test_a_missed_deadline_says_how_late_it_was_noticed(late: timedelta, words: str) -> None:
    status = the_status(tiers=(an_entered("board"),))

    after = miss_deadlines(a_situation(now=T0 + 15 * MIN + late), status)

    assert [entry.what for entry in after.timeline] == [
        f"tier board missed its deadline to acknowledge by 2026-11-23T09:15:00Z{words}"
    ]


def test_the_deadline_to_decide_is_met_by_a_decision_only() -> None:
    tier = an_entered("compliance", acknowledged_time=T0)

    assert open_deadlines(tier, the_status(recovered_time=T0)) == [("Decide", T0 + 4 * HOUR)]
    assert open_deadlines(tier.model_copy(update={"decided_time": T0}), the_status()) == []


def test_a_missed_deadline_enters_the_next_tier_once() -> None:
    status = the_status(severity="SEV3", tiers=(an_entered("owners", missed=("Acknowledge", "Contain")),))

    after = enter_tiers(a_situation(now=T0 + HOUR), status)

    assert [tier.name for tier in after.tiers] == ["owners", "compliance"]
    assert after.tiers[1].reason == "tier owners missed its deadline to acknowledge, contain"
    assert enter_tiers(a_situation(now=T0 + HOUR), after) == after


def test_after_a_long_outage_one_tier_is_entered_per_pass_and_gets_its_whole_span() -> None:
    now = T0 + 8 * HOUR
    status = the_status(severity="SEV3", tiers=(an_entered("owners"),))
    names = []
    for _ in range(4):
        status = enter_tiers(a_situation(now=now), miss_deadlines(a_situation(now=now), status))
        names.append([tier.name for tier in status.tiers])

    assert names == [["owners", "compliance"]] * 4
    assert status.tiers[1].acknowledge_deadline == now + 15 * MIN


def test_nobody_leaves_when_the_severity_was_lowered() -> None:
    status = the_status(severity="SEV4", tiers=(an_entered("owners"), an_entered("compliance")))

    assert entered(status) == ["owners", "compliance"]


def test_the_last_tier_has_no_next() -> None:
    status = the_status(severity="SEV3", tiers=(an_entered("board", missed=("Acknowledge",)),))

    assert entered(status) == ["owners", "board"]


@pytest.mark.parametrize(
    ("state", "settled", "contained"),
    [
        (OptionState.EXECUTED, True, True),
        (OptionState.HELPED, True, True),
        (OptionState.CANNOT_TELL, True, True),
        (OptionState.EXECUTED, False, False),
        (OptionState.DID_NOT_HELP, True, False),
        (OptionState.REVERTED, True, False),
        (OptionState.OBSERVED, False, False),
        (OptionState.ASKING, False, False),
    ],
)
def test_contained_means_written_and_holding_and_followed(state: OptionState, settled: bool, contained: bool) -> None:
    option = an_option(state, **({"settled_time": T0} if settled else {}))

    assert is_contained(the_status(containment=(option,))) is contained


@pytest.mark.parametrize(
    ("before", "after", "missed"),
    [
        pytest.param((), (("owners", ("Acknowledge", "Contain")),), ["Acknowledge", "Contain"], id="of a new tier"),
        pytest.param((("owners", ("Acknowledge",)),), (("owners", ("Acknowledge",)), ("risk", ())), [], id="none"),
        pytest.param(
            (("owners", ("Acknowledge",)),),
            (("owners", ("Acknowledge", "Contain")), ("risk", ("Acknowledge",))),
            ["Contain", "Acknowledge"],
            id="each once, whoever names it afterwards",
        ),
    ],
)
def test_newly_missed(before: Any, after: Any, missed: list[str]) -> None:
    def status(tiers: Any, episode: int = 1) -> IncidentStatus:
        entered = [{"name": name, "entered_time": T0, "reason": "SEV3", "missed": late} for name, late in tiers]
        return IncidentStatus.model_validate({"tiers": entered, "episode": episode})

    assert newly_missed(status(before), status(after)) == missed
    assert newly_missed(status(after), status(after, episode=2)) == [duty for _, late in after for duty in late]
