"""When many incidents page one person, does one page go out, and is none lost whatever becomes of it?"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.builders import MIN, T0
from tests.clocks import FakeClock
from tests.engine.test_incidents import keep, under
from tocsin.api.incident import EffectRecord
from tocsin.decide.plan import Notice, Notify
from tocsin.decide.situation import Outcome
from tocsin.engine.pages import Pages
from tocsin.observe.cluster import Name, Store


class Post:
    """In place of the courier: it keeps what it is given until the test says what became of it."""

    def __init__(self) -> None:
        self.given: dict[str, Any] = {}
        self.withdrawn: list[str] = []

    def submit(self, effect: Notify, _: Any, __: Any, report: Any) -> None:
        self.given[effect.key] = effect, report

    def withdraw(self, key: str) -> None:
        self.withdrawn.append(key)

    def supersede(self, key: str) -> None:
        self.end(key, "Superseded")

    def end(self, key: str, result: Any, message: str = "", at: datetime = T0) -> None:
        effect, report = self.given.pop(key) if result != "Undelivered" else self.given[key]
        report(Outcome(key, result, at, message, to=effect.notice.to if result == "Done" else ""))


class House:
    """Pages with a store of open incidents i-1, i-2, …, and what was reported of each notice."""

    def __init__(self, count: int = 4, **status: Any) -> None:
        self.clock, self.store, self.post = FakeClock(T0), Store(), Post()
        self.reports: list[tuple[str, str, str]] = []
        self.freed: list[str] = []
        for number in range(1, count + 1):
            keep(self.store, "Incident", under("credit", f"i-{number}", **status))
        self.pages = Pages(self.post, self.clock, self.store)  # type: ignore[arg-type]  # as much of a courier as is used

    def page(self, number: int, cause: str = "TierEntered", n: int = 1, **changes: Any) -> str:
        """Submit a notice of an incident; returns its key."""
        key = f"uid-i-{number}/1/notify/owners.owners/{n}"
        fields: dict[str, Any] = {
            "key": key,
            "namespace": "models",
            "incident": f"i-{number}",
            "model": "m",
            "severity": "SEV3",
            "responder": "owners",
            "person": "ada",
            "cause": cause,
            "subject": "",
            "text": "",
            "command": "",
            "dedup": f"uid-i-{number}/owners.owners",
        }
        effect = Notify(key, Notice(**fields | changes), self.clock.now())
        self.pages.submit("credit", effect, None, lambda _: True, self.report, lambda: self.freed.append(key))
        return key

    def report(self, outcome: Outcome) -> None:
        self.reports.append((outcome.key, outcome.result, outcome.into))

    def resolve(self, number: int) -> None:
        gone = under("credit", f"i-{number}", resolved_time=T0)
        raw = gone.dump() | {"apiVersion": "tocsin.dev/v1alpha1", "kind": "Incident"}
        raw["metadata"] |= {"resourceVersion": "2"}
        assert self.store.put("Incident", raw)

    @property
    def sent(self) -> list[str]:
        return list(self.post.given)


def test_the_first_is_sent_and_the_others_are_folded_when_it_was_accepted() -> None:
    house = House()
    first, second, third = house.page(1), house.page(2), house.page(3)
    assert (house.sent, house.reports) == ([first], [])

    house.post.end(first, "Done")
    fourth = house.page(4)

    assert house.sent == []
    assert sorted(house.reports) == [
        (first, "Done", ""),
        (second, "Done", "i-1"),
        (third, "Done", "i-1"),
        (fourth, "Done", "i-1"),
    ]


def test_a_page_that_is_not_delivered_says_so_of_all_and_of_those_that_come_later() -> None:
    house = House()
    first, second = house.page(1), house.page(2)
    house.post.end(first, "Undelivered", "no channel")
    third = house.page(3)

    assert house.sent == [first]
    assert sorted(house.reports) == [(key, "Undelivered", "") for key in (first, second, third)]
    house.post.end(first, "Done")
    assert sorted(house.reports[3:]) == [(first, "Done", ""), (second, "Done", "i-1"), (third, "Done", "i-1")]


def given_up(house: House, key: str) -> None:
    house.pages.supersede(key)


def gone(house: House, key: str) -> None:
    house.store.drop("Incident", Name("models", "i-1"))
    house.pages.withdraw(key)


def resolved_meanwhile(house: House, key: str) -> None:
    house.resolve(1)
    house.post.end(key, "Done")


@pytest.mark.parametrize("end", [given_up, gone, resolved_meanwhile])
def test_when_the_first_does_not_stand_for_the_others_they_are_decided_on_anew(end: Any) -> None:
    house = House()
    first, second, third = house.page(1), house.page(2), house.page(3)
    house.post.given.setdefault(first, None)
    end(house, first)
    assert house.freed == [second, third]
    house.post.given.clear()

    house.page(2)
    house.page(3)
    assert house.sent == [second]


@pytest.mark.parametrize(
    ("how", "pages"),
    [
        pytest.param({}, False, id="one like it"),
        pytest.param({"severity": "SEV2"}, True, id="a worse one"),
        pytest.param({"person": "ben"}, True, id="somebody else"),
        pytest.param({"cause": "ApprovalNeeded"}, True, id="an approval, which was not asked for yet"),
        pytest.param({"cause": "NotContained"}, True, id="what must be done by hand"),
        pytest.param({"cause": "HandOver"}, True, id="a hand-over"),
    ],
)
def test_after_a_page_that_was_accepted(how: dict[str, Any], pages: bool) -> None:
    house = House()
    house.post.end(house.page(1), "Done")
    key = house.page(2, **how)

    assert house.sent == ([key] if pages else [])


def test_the_page_of_an_incident_that_is_resolved_stands_for_nothing() -> None:
    house = House()
    house.post.end(house.page(1), "Done")
    house.resolve(1)

    key = house.page(2)
    assert house.sent == [key]


@pytest.mark.parametrize("accepted", [True, False], ids=["folded", "waiting"])
def test_how_it_ended_is_told_to_nobody_who_was_not_told_that_it_began(accepted: bool) -> None:
    house = House()
    first, second = house.page(1), house.page(2)
    if accepted:
        house.post.end(first, "Done")
    else:
        house.pages.supersede(second)
    end = house.page(2, "Resolved", 2, resolves=True)
    if not accepted:
        assert (house.sent, house.reports) == ([first], [])
        house.post.end(first, "Done")

    assert house.sent == []
    assert {(second, "Done", "i-1"), (end, "Done", "i-1")} <= set(house.reports)


def test_how_it_ended_is_told_to_whoever_was_paged() -> None:
    house = House()
    house.post.end(house.page(1), "Done")

    key = house.page(1, "Resolved", 2, resolves=True)
    assert house.sent == [key]


def a_line(number: int, **changes: Any) -> EffectRecord:
    fields = {
        "key": f"uid-i-{number}/1/notify/owners.owners/1",
        "state": "Done",
        "causes": ("TierEntered",),
        "severity": "SEV3",
        "to": "owners/ada",
        "intended_time": T0,
        "done_time": T0,
    }
    return EffectRecord.model_validate(fields | changes)


@pytest.mark.parametrize(
    ("line", "later", "pages"),
    [
        pytest.param(a_line(1), MIN, False, id="the ledger says that somebody was paged"),
        pytest.param(a_line(1, to="owners/ben"), MIN, True, id="somebody else was"),
        pytest.param(a_line(1, state="Intended", to=None, done_time=None), MIN, True, id="it is unknown"),
        pytest.param(a_line(1), 10 * MIN, True, id="too long ago"),
    ],
)
def test_a_new_leader_goes_by_the_ledgers(line: EffectRecord, later: timedelta, pages: bool) -> None:
    house = House(0)
    keep(house.store, "Incident", under("credit", "i-1", effects=(line,)))
    keep(house.store, "Incident", under("credit", "i-2"))
    house.clock = house.pages._clock = FakeClock(T0 + later)  # type: ignore[assignment]
    house.pages.seed()
    key = house.page(2)

    assert house.sent == ([key] if pages else [])


def test_a_new_leader_tells_nobody_how_it_ended_who_was_not_told_that_it_began() -> None:
    house = House(0)
    second = {"key": "uid-i-1/1/notify/owners.owners/2", "state": "Intended", "causes": ("Recovered",)}
    lines = (a_line(1, into="i-9", to=None), a_line(1, **second, to=None, done_time=None))
    keep(house.store, "Incident", under("credit", "i-1", effects=lines))
    house.pages.seed()
    key = house.page(1, "Recovered", 2)

    assert (house.sent, house.reports) == ([], [(key, "Done", "i-9")])


def test_who_is_told_in_two_roles_is_paged_once_and_by_the_settings_for_longer() -> None:
    house = House()
    house.pages = Pages(house.post, house.clock, house.store, 30 * MIN)  # type: ignore[arg-type]  # as above
    house.post.end(house.page(1), "Done")
    house.clock = house.pages._clock = FakeClock(T0 + 29 * MIN)  # type: ignore[assignment]
    house.page(2, responder="night")
    assert house.sent == []
    worse = house.page(3, responder="night", severity="SEV2")
    assert house.sent == [worse]
