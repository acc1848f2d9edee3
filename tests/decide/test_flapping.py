"""Does a model that goes to and fro tell people so once, and then only when it is steady again?"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import HOUR, MIN, T0, a_decision, a_situation
from tests.decide.test_silences import MANY, MODEL, Life, a_silence
from tocsin.api.incident import EffectState, IncidentStatus
from tocsin.api.objects import Severity
from tocsin.decide.flapping import SPAN, SWINGS, follow_flapping, steady_at
from tocsin.decide.holding import is_held

GOOD, BAD = (0.1,) * 20, (0.2, 0.31, 0.31, 0.31, 0.31)


def a_status(**fields: Any) -> IncidentStatus:
    return IncidentStatus.model_validate({"severity": "SEV3", "opened_time": T0 - 9 * HOUR} | fields)


def after(*minutes: int) -> tuple[datetime, ...]:
    return tuple(T0 + minute * MIN for minute in minutes)


def followed(
    before: dict[str, Any], now: datetime, *, swung: tuple[datetime, ...] = (), **changes: Any
) -> IncidentStatus:
    was = a_status(**before)
    return follow_flapping(a_situation(now=now, swung=swung), was, was.model_copy(update=changes))


RECOVERS: dict[str, Any] = {"recovered_time": T0}


@pytest.mark.parametrize(
    ("before", "now", "changes", "since"),
    [
        pytest.param({}, 0, RECOVERS, None, id="one change"),
        pytest.param({"swings": after(0)}, 5, {"episode": 2}, None, id="two changes"),
        pytest.param({"swings": after(0, 5)}, 120, RECOVERS, 120, id="three within two hours"),
        pytest.param({"swings": after(0, 5)}, 121, RECOVERS, None, id="three in more than two hours"),
        pytest.param({"swings": after(0, 5, 10)}, 11, {}, 11, id="it is told as soon as it is seen"),
        pytest.param({"swings": after(0, 5, 10), "flapping_since": T0}, 129, {}, 0, id="it goes on for two hours"),
        pytest.param({"swings": after(0, 5, 10), "flapping_since": T0}, 130, {}, None, id="then it is steady"),
        pytest.param(
            {"swings": after(0, 100, 210), "flapping_since": T0}, 215, {}, 0, id="it goes on by one change in two hours"
        ),
        pytest.param(
            {"swings": after(0, 5, 10), "flapping_since": T0}, 11, {"resolved_time": T0}, None, id="it is resolved"
        ),
        pytest.param({"swings": after(60, 65, 70), "flapping_since": T0}, 0, {}, 0, id="the clock was set back"),
    ],
)
def test_when_it_flaps(before: dict[str, Any], now: int, changes: dict[str, Any], since: int | None) -> None:
    found = followed(before, T0 + now * MIN, **changes)
    assert found.flapping_since == (None if since is None else T0 + since * MIN)


def test_an_incident_that_opens_soon_after_another_of_its_pair_goes_on_with_its_changes() -> None:
    before = {"opened_time": None}
    found = followed(before, T0, swung=(T0 - 80 * MIN, T0 - 70 * MIN), opened_time=T0)
    assert found.swings == (T0 - 80 * MIN, T0 - 70 * MIN, T0)
    assert found.flapping_since == T0
    assert followed(before, T0, opened_time=T0).swings == ()
    assert followed(before, T0, swung=(T0 - 121 * MIN,), opened_time=T0).swings == ()


@given(
    gaps=st.lists(st.integers(1, 200), max_size=30), waits=st.integers(0, 300), since=st.none() | st.integers(-300, 0)
)
@MANY
def test_it_flaps_only_by_what_is_recorded_and_always_ends(gaps: list[int], waits: int, since: int | None) -> None:
    now, status = T0, a_status(flapping_since=None if since is None else T0 + since * MIN)
    for number, gap in enumerate(gaps):
        now += gap * MIN
        change = {"episode": status.episode + 1} if number % 2 else {"recovered_time": now}
        status = follow_flapping(a_situation(now=now), status, status.model_copy(update=change))
        assert len(status.swings) <= SWINGS
        if status.flapping_since == now:
            assert now - status.swings[-3] <= SPAN
    over = follow_flapping(a_situation(now=now + waits * MIN), status, status)
    assert follow_flapping(a_situation(now=now + waits * MIN), over, over) == over, "the same facts say the same"
    if not status.swings or now + waits * MIN - status.swings[-1] >= SPAN:
        assert over.flapping_since is None
    if (ends := steady_at(a_situation(now=now), status)) is not None:
        assert now <= ends <= now + SPAN


# --- the course of an incident


def swing(life: Life, values: tuple[float, ...], after: timedelta = 10 * MIN) -> list[tuple[str, str]]:
    life.values = values
    life.live(after)
    life.live()
    return life.take()


def a_flapping_life() -> Life:
    """Recovered, in breach again, recovered: the third change."""
    life = Life(acknowledgement_expires=9 * HOUR)
    tiers = tuple(
        one.model_copy(update={"acknowledge_within": None, "contain_within": None}) for one in life.rules.tiers
    )
    life.rules = life.rules.model_copy(update={"tiers": tiers})
    swing(life, BAD)
    assert swing(life, GOOD) == [("owners.owners", "Recovered")]
    assert swing(life, BAD) == [("owners.owners", "TierEntered")]
    assert life.status.flapping_since is None
    assert swing(life, GOOD) == [("owners.owners", "Recovered Flapping")]
    return life


def test_the_third_change_says_so_and_the_next_ones_are_recorded_and_not_told() -> None:
    life = a_flapping_life()
    assert life.fact("Flapping") == ("True", "Flapping")
    assert life.lines[-1].startswith("flapping: 3 changes between breach and recovery within 2h, the last at ")

    assert [swing(life, values) for values in (BAD, GOOD, BAD, GOOD)] == [[], [], [], []]
    assert life.status.episode == 4
    assert [(one.held_by, one.causes) for one in life.status.effects] == [
        ("Flapping", ("TierEntered",)),
        ("Flapping", ("Recovered",)),
    ]
    assert life.lines[-1] == "recovered: every signal is well again"


def test_after_two_hours_without_a_change_it_says_once_what_is_so() -> None:
    life = a_flapping_life()
    swing(life, BAD)
    last = life.now
    found = life.live()
    assert found.look_again_at == min(one for one in (found.look_again_at, last + SPAN) if one)
    assert swing(life, BAD, SPAN) == [("owners.owners", "TierEntered Steady")]
    assert life.fact("Flapping") == ("False", "Steady")
    assert "steady again: for 2h nothing changed between breach and recovery" in life.lines
    assert swing(life, BAD, SPAN) == []
    assert [one.state for one in life.status.effects] == [EffectState.SILENCED, EffectState.DONE]


def test_at_sev2_every_change_is_told() -> None:
    life = a_flapping_life()
    life.more["harm_told_by"] = ("alice",)
    assert ("owners.owners", "TierEntered") in swing(life, BAD)
    assert life.status.severity is Severity.SEV1
    assert ("owners.owners", "Recovered") in swing(life, GOOD)
    assert life.status.flapping_since


def test_a_silence_that_is_over_while_it_flaps_tells_who_was_never_told() -> None:
    life = a_flapping_life()
    life.silences = (a_silence(MODEL, begin=life.now, until=life.now + 15 * MIN),)
    assert swing(life, BAD) == []
    assert [one.held_by for one in life.status.effects] == ["silence/quiet"]
    assert swing(life, BAD) == [("owners.owners", "TierEntered")]


def test_who_resolves_it_ends_it_and_nobody_is_told_that_it_is_steady() -> None:
    life = a_flapping_life()
    life.decisions = (a_decision("Resolve", "alice", life.now, reason="a test"),)
    assert swing(life, GOOD) == [("owners.owners", "Resolved")]
    assert life.status.flapping_since is None
    assert not any(is_held(one) for one in life.status.effects)


def an_acknowledged_life() -> Life:
    life = a_flapping_life()
    tiers = tuple(one.model_copy(update={"acknowledge_within": 15 * MIN}) for one in life.rules.tiers)
    life.rules = life.rules.model_copy(update={"tiers": tiers})
    life.decisions = (a_decision("Acknowledge", "alice", life.now),)
    swing(life, GOOD, MIN)
    assert life.status.tiers[0].acknowledged_by == "alice"
    return life


def test_who_has_acknowledged_goes_on_with_the_episodes_of_which_they_are_not_told() -> None:
    life = an_acknowledged_life()
    assert swing(life, BAD) == []
    assert (life.status.episode, life.status.tiers[0].acknowledged_by) == (3, "alice")
    assert "tier owners: the acknowledgement by alice goes on while it flaps" in life.lines
    assert swing(life, BAD, 30 * MIN) == []
    assert [tier.name for tier in life.status.tiers] == ["owners"]


def test_at_sev2_they_are_told_and_asked_to_acknowledge_anew() -> None:
    life = an_acknowledged_life()
    swing(life, BAD)
    life.more["harm_told_by"] = ("alice",)
    assert ("owners.owners", "TierEntered") in swing(life, BAD, MIN)
    owners = life.status.tiers[0]
    assert (owners.acknowledged_by, owners.acknowledge_deadline) == (None, life.now + 15 * MIN)


def test_without_flapping_every_episode_is_acknowledged_anew() -> None:
    life = Life()
    life.live()
    life.decisions = (a_decision("Acknowledge", "alice", life.now),)
    swing(life, GOOD)
    swing(life, BAD)
    assert (life.status.episode, life.status.tiers[0].acknowledged_by) == (2, None)
