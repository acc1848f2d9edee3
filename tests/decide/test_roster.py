"""Is the right person paged at every instant, across absences, swaps, weeks, working hours, and moved clocks?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import HOUR, T0
from tocsin.api.responder import Responder, Weekday
from tocsin.decide.roster import WEEK, channels_of, cycle, deputy, faults, holes, on_duty, reachable, until

DAY = timedelta(days=1)
BERLIN = ZoneInfo("Europe/Berlin")


def a_role(name: str, *users: str, away: dict[str, tuple[datetime, datetime]] | None = None, **spec: Any) -> Responder:
    members = [{"name": user.capitalize(), "user": user} for user in users]
    for member in members:
        if span := (away or {}).get(str(member["user"])):
            member["absences"] = [{"from": span[0], "until": span[1]}]  # type: ignore[assignment]
    return Responder.model_validate(
        {"metadata": {"name": name, "namespace": "models"}, "spec": {"members": members, **spec}}
    )


def a_roster(*roles: Responder) -> dict[str, Responder]:
    return {role.metadata.name: role for role in roles}


def paged(roster: dict[str, Responder], at: datetime, name: str = "owners") -> str:
    duty = on_duty(roster, name, at)
    return duty.words if duty else ""


ROTATION = {"order": ["ada", "ben", "cleo"], "start": "2026-11-23T09:00"}
AWAY = (T0 - HOUR, T0 + HOUR)


@pytest.mark.parametrize(
    ("role", "at", "expected"),
    [
        pytest.param(a_role("owners", "ada", "ben"), T0, "Ada (owners)", id="the first"),
        pytest.param(a_role("owners", "ada", "ben", away={"ada": AWAY}), T0, "Ben (owners)", id="absent: the next"),
        pytest.param(
            a_role("owners", "ada", "ben", "cleo", away={"ada": AWAY}, deputies=["cleo"]),
            T0,
            "Cleo (owners)",
            id="absent: the deputy",
        ),
        pytest.param(a_role("owners", "ada", away={"ada": AWAY}), T0, "", id="nobody"),
        pytest.param(a_role("owners", "ada", away={"ada": AWAY}), T0 + HOUR, "Ada (owners)", id="back"),
        pytest.param(
            a_role("owners", "ada", away={"ada": AWAY}, escalateTo="night"), T0, "Nora (night)", id="nobody: escalateTo"
        ),
        pytest.param(a_role("owners", "ada", "ben", "cleo", rotation=ROTATION), T0, "Ada (owners)", id="first week"),
        pytest.param(
            a_role("owners", "ada", "ben", "cleo", rotation=ROTATION), T0 + WEEK, "Ben (owners)", id="second week"
        ),
        pytest.param(
            a_role("owners", "ada", "ben", "cleo", rotation=ROTATION),
            T0 + WEEK - timedelta(seconds=1),
            "Ada (owners)",
            id="until the handover",
        ),
        pytest.param(
            a_role("owners", "ada", "ben", "cleo", rotation=ROTATION), T0 - DAY, "Cleo (owners)", id="before the start"
        ),
        pytest.param(
            a_role(
                "owners",
                "ada",
                "ben",
                "cleo",
                rotation=ROTATION | {"overrides": [{"user": "cleo", "from": T0, "until": T0 + HOUR}]},
            ),
            T0,
            "Cleo (owners)",
            id="a swap",
        ),
        pytest.param(
            a_role(
                "owners",
                "ada",
                "ben",
                "cleo",
                away={"cleo": AWAY},
                rotation=ROTATION | {"overrides": [{"user": "cleo", "from": T0, "until": T0 + HOUR}]},
            ),
            T0,
            "Ada (owners)",
            id="a swap with somebody who is absent",
        ),
        pytest.param(
            a_role("owners", "ada", workingHours={"from": "10:00", "until": "17:00", "otherwise": "night"}),
            T0,
            "Nora (night)",
            id="before work",
        ),
        pytest.param(
            a_role("owners", "ada", workingHours={"from": "10:00", "until": "17:00", "otherwise": "night"}),
            T0 + HOUR,
            "Ada (owners)",
            id="at work",
        ),
        pytest.param(
            a_role(
                "owners",
                "ada",
                timeZone="Europe/Berlin",
                workingHours={"from": "10:00", "until": "17:00", "otherwise": "night"},
            ),
            T0,
            "Ada (owners)",
            id="at work in Berlin",
        ),
        pytest.param(
            a_role("owners", "ada", workingHours={"from": "09:00", "until": "17:00", "otherwise": "night"}),
            T0 + 5 * DAY,
            "Nora (night)",
            id="on Saturday",
        ),
        pytest.param(
            a_role("owners", "ada", workingHours={"from": "10:00", "until": "17:00", "otherwise": "nobody"}),
            T0,
            "Ada (owners)",
            id="before work, and nobody else is there",
        ),
        pytest.param(
            a_role("owners", "ada", "ben", rotation=ROTATION | {"order": ["zoe"]}),
            T0,
            "Ada (owners)",
            id="a rotation of somebody who is no member",
        ),
        pytest.param(
            a_role("owners", "ada", "ben", rotation=ROTATION | {"start": "2026-02-30T09:00"}),
            T0,
            "Ada (owners)",
            id="a start on no day",
        ),
    ],
)
def test_who_is_paged(role: Responder, at: datetime, expected: str) -> None:
    assert paged(a_roster(role, a_role("night", "nora")), at) == expected


def test_a_role_that_is_not_there_has_nobody() -> None:
    assert on_duty({}, "owners", T0) is None


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        pytest.param(a_role("owners", "ada", "ben"), None, id="who is no deputy is not paged for silence"),
        pytest.param(a_role("owners", "ada", "ben", "cleo", deputies=["cleo", "ben"]), "cleo", id="the first deputy"),
        pytest.param(
            a_role("owners", "ada", "ben", "cleo", away={"ben": AWAY}, deputies=["ben", "cleo"]), "cleo", id="absent"
        ),
        pytest.param(a_role("owners", "ada", deputies=["ada"]), None, id="nobody is their own deputy"),
    ],
)
def test_who_is_paged_when_nobody_answers(role: Responder, expected: str | None) -> None:
    roster = a_roster(role)
    duty = on_duty(roster, "owners", T0)
    assert duty is not None
    found = deputy(roster, duty, T0)
    assert (found.member.user if found else None) == expected


def test_roles_that_stand_in_for_each_other_in_a_circle_end_and_are_told() -> None:
    roster = a_roster(
        a_role("owners", "ada", away={"ada": AWAY}, escalateTo="night"),
        a_role("night", "nora", away={"nora": AWAY}, escalateTo="owners"),
    )
    assert on_duty(roster, "owners", T0) is None
    assert cycle(roster, "owners") == ("owners", "night", "owners")
    assert reachable(roster, "owners") == ("owners", "night")
    assert list(holes(roster, "owners", T0)) == [(T0, T0 + HOUR)]


@pytest.mark.parametrize(
    ("links", "way"),
    [
        ({"a": "a"}, ("a", "a")),
        ({"a": "b", "b": "a"}, ("a", "b", "a")),
        ({"a": "b", "b": "c", "c": "a"}, ("a", "b", "c", "a")),
        ({"a": "b", "b": "c", "c": "b"}, ()),
        ({"a": "b"}, ()),
    ],
)
def test_the_way_of_a_circle(links: dict[str, str], way: tuple[str, ...]) -> None:
    roster = a_roster(*(a_role(name, "ada", escalateTo=other) for name, other in links.items()))
    assert cycle(roster, "a") == way


def test_a_hole_is_seen_a_week_ahead() -> None:
    roster = a_roster(
        a_role("owners", "ada", "ben", away={"ada": (T0 + DAY, T0 + 3 * DAY), "ben": (T0 + 2 * DAY, T0 + 9 * DAY)})
    )
    assert list(holes(roster, "owners", T0)) == [(T0 + 2 * DAY, T0 + 3 * DAY)]
    assert list(holes(roster, "owners", T0 - 6 * DAY)) == []
    assert until(roster, "owners", T0) == T0 + DAY


def test_a_swap_in_three_weeks_is_foreseen_though_hours_begin_and_end_every_day() -> None:
    swap = {"user": "ben", "from": T0 + 20 * DAY, "until": T0 + 21 * DAY}
    rotation = {"order": ["ada"], "start": "2026-11-23T09:00", "overrides": [swap]}
    hours = {"from": "09:00", "until": "17:00", "days": list(Weekday), "otherwise": "owners"}
    roster = a_roster(a_role("owners", "ada", "ben", rotation=rotation, workingHours=hours))
    assert until(roster, "owners", T0) == T0 + 20 * DAY


def test_weeks_of_one_person_have_no_end() -> None:
    assert until(a_roster(a_role("owners", "ada", rotation=ROTATION | {"order": ["ada"]})), "owners", T0) is None


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"timeZone": "Mars/Olympus"}, "spec.timeZone: Mars/Olympus is no time zone"),
        ({"deputies": ["zoe"]}, "spec.deputies: zoe is no member"),
        ({"rotation": ROTATION | {"order": ["zoe"]}}, "spec.rotation: zoe is no member"),
        ({"rotation": ROTATION | {"start": "2026-02-30T09:00"}}, "there is no day 2026-02-30T09:00"),
        (
            {
                "rotation": ROTATION
                | {
                    "overrides": [
                        {"user": "ada", "from": T0, "until": T0 + 2 * HOUR},
                        {"user": "ben", "from": T0 + HOUR, "until": T0 + 3 * HOUR},
                    ]
                }
            },
            "ada and ben at the same time; ada is taken",
        ),
    ],
)
def test_what_cannot_be_is_named(spec: dict[str, Any], words: str) -> None:
    found = list(faults(a_role("owners", "ada", "ben", "cleo", **spec).spec))
    assert len(found) == 1
    assert words in found[0]


def test_nothing_is_wrong_with_a_good_role() -> None:
    assert list(faults(a_role("owners", "ada", "ben", "cleo", rotation=ROTATION, deputies=["ben"]).spec)) == []


def test_somebody_is_told_by_their_own_channels_first() -> None:
    phone, hook = ({"name": name, "secretRef": {"name": name}} for name in ("phone", "hook"))
    members = [{"name": "Ada", "user": "ada", "channels": [phone]}, {"name": "Ben", "user": "ben"}]
    role = Responder.model_validate({"spec": {"members": members, "channels": [hook]}})
    assert [one.name for one in channels_of(role, "ada")] == ["ada/phone", "hook"]
    assert [one.name for one in channels_of(role, "ben")] == ["hook"]


@pytest.mark.parametrize(
    ("start", "zone", "weeks", "expected"),
    [
        pytest.param("2026-03-22T02:30", "Europe/Berlin", 1, datetime(2026, 3, 29, 1, tzinfo=UTC), id="in the gap"),
        pytest.param("2026-10-18T02:30", "Europe/Berlin", 1, datetime(2026, 10, 25, 0, 30, tzinfo=UTC), id="twice"),
        pytest.param(
            "2011-12-23T10:00", "Pacific/Apia", 1, datetime(2011, 12, 30, 10, tzinfo=UTC), id="a day left out"
        ),
        pytest.param("2028-02-22T09:00", "UTC", 1, datetime(2028, 2, 29, 9, tzinfo=UTC), id="on the leap day"),
    ],
)
def test_the_handover_when_the_clock_is_moved(start: str, zone: str, weeks: int, expected: datetime) -> None:
    roster = a_roster(a_role("owners", "ada", "ben", timeZone=zone, rotation={"order": ["ada", "ben"], "start": start}))
    second = timedelta(seconds=1)
    assert [paged(roster, expected - second), paged(roster, expected)] == ["Ada (owners)", "Ben (owners)"]
    assert until(roster, "owners", expected - second) == expected


ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu", "Nope"]
FIRST = datetime(2011, 1, 1, tzinfo=UTC)
INSTANTS = st.integers(0, 22 * 366 * 24 * 60).map(lambda minutes: FIRST + timedelta(minutes=minutes))
TIMES = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
USERS = ["ada", "ben", "cleo"]


@st.composite
def spans(draw: st.DrawFn) -> dict[str, datetime]:
    began = draw(INSTANTS)
    return {"from": began, "until": began + draw(st.timedeltas(timedelta(minutes=1), timedelta(days=40)))}


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    members = [
        {"name": user, "user": user, "absences": draw(st.lists(spans(), max_size=3))}
        for user in draw(st.lists(st.sampled_from(USERS), min_size=1, unique=True))
    ]
    spec: dict[str, Any] = {"members": members, "timeZone": draw(st.sampled_from(ZONES))}
    if draw(st.booleans()):
        start = draw(INSTANTS).strftime("%Y-%m-%dT%H:%M")
        swaps = [one | {"user": draw(st.sampled_from(USERS))} for one in draw(st.lists(spans(), max_size=2))]
        order = draw(st.lists(st.sampled_from(USERS), min_size=1, max_size=4))
        spec["rotation"] = {"order": order, "start": start, "overrides": swaps}
    if draw(st.booleans()):
        began, ended = sorted(draw(st.lists(TIMES, min_size=2, max_size=2, unique=True)))
        spec["workingHours"] = {"from": began, "until": ended, "otherwise": draw(st.sampled_from(["a", "b", "c"]))}
    if draw(st.booleans()):
        spec["escalateTo"] = draw(st.sampled_from(["a", "b", "c"]))
    return spec | {"deputies": draw(st.lists(st.sampled_from(USERS), max_size=2))}


def rosters() -> st.SearchStrategy[dict[str, Responder]]:
    roles = st.fixed_dictionaries({"a": specs(), "b": specs()}, optional={"c": specs()})
    return roles.map(
        lambda found: {
            name: Responder.model_validate({"metadata": {"name": name}, "spec": spec}) for name, spec in found.items()
        }
    )


def _present(roster: dict[str, Responder], at: datetime) -> list[str]:
    """Everybody in reach who is not absent."""
    return [
        member.user
        for name in reachable(roster, "a")
        if name in roster
        for member in roster[name].spec.members
        if not any(one.from_ <= at < one.until for one in member.absences)
    ]


@given(rosters(), INSTANTS)
def test_somebody_is_always_reached_who_is_there(roster: dict[str, Responder], at: datetime) -> None:
    duty = on_duty(roster, "a", at)
    present = _present(roster, at)
    assert (duty is None) == (not present)
    assert duty is None or duty.member.user in present


@given(rosters(), INSTANTS, st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_nobody_else_is_on_duty_before_it_is_foreseen(
    roster: dict[str, Responder], at: datetime, places: list[float]
) -> None:
    change = until(roster, "a", at)
    span = 3 * WEEK if change is None else change - at
    for place in places:
        between = at + place * span
        if change is None or between < change:
            assert on_duty(roster, "a", between) == on_duty(roster, "a", at)
    if change is not None:
        assert on_duty(roster, "a", change) != on_duty(roster, "a", at)


@given(rosters(), INSTANTS, st.lists(st.integers(0, WEEK // timedelta(seconds=1) - 1), min_size=1, max_size=20))
def test_a_hole_is_where_nobody_is_there(roster: dict[str, Responder], at: datetime, seconds: list[int]) -> None:
    found = list(holes(roster, "a", at))
    assert all(ended < began for (_, ended), (began, _) in pairwise(found))
    for instant in (at + timedelta(seconds=one) for one in seconds):
        assert any(began <= instant < ended for began, ended in found) == (not _present(roster, instant))


def test_ever_more_roles_that_stand_in_for_each_other_cost_no_more_than_each_once() -> None:
    away = {"ada": (T0 - HOUR, T0 + HOUR)}
    hours = {"from": "00:00", "until": "00:01"}
    roster = a_roster(
        *(
            a_role(f"r{n}", "ada", away=away, workingHours=hours | {"otherwise": f"r{n + 1}"}, escalateTo=f"r{n + 1}")
            for n in range(100)
        )
    )
    assert on_duty(roster, "r0", T0) is None
    assert cycle(roster, "r0") == ()
    assert len(reachable(roster, "r0")) == 16
    assert len(list(holes(roster, "r0", T0))) == 1


@given(st.sampled_from(ZONES[:-1]), INSTANTS, INSTANTS)
def test_every_week_has_one_handover(zone: str, start: datetime, at: datetime) -> None:
    order = [f"u{number}" for number in range(5)]
    rotation = {"order": order, "start": start.strftime("%Y-%m-%dT%H:%M")}
    roster = a_roster(a_role("owners", *order, timeZone=zone, rotation=rotation))
    began, seen = at, []
    for _ in range(6):
        duty, change = on_duty(roster, "owners", began), until(roster, "owners", began)
        assert duty is not None
        assert change is not None
        seen.append(order.index(duty.member.user))
        assert began == at or abs(change - began - WEEK) <= DAY
        began = change
    assert [(after - before) % 5 for before, after in pairwise(seen)] == [1] * 5
