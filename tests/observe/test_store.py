"""Does the store keep the newest of everything, and find it by what it is asked for?"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.builders import HOUR, MIN, T0, a_policy, a_silence, the_rules
from tocsin.apiserver import ApiError
from tocsin.observe.cluster import KIN, Name, Pair, Store, holds_from, prune

SPEC = {"origin": "Person", "policyRef": {"name": "fraud"}, "model": "fraud", "by": "ada", "reason": "seen"}


def an_object(version: int, name: str = "a", uid: str = "u", **spec: Any) -> dict[str, Any]:
    metadata = {"namespace": "models", "name": name, "uid": uid, "resourceVersion": str(version)}
    return {"metadata": metadata | {"creationTimestamp": "2026-03-02T09:00:00Z"}, "spec": SPEC | spec}


@pytest.mark.parametrize(
    ("versions", "kept"),
    [
        pytest.param([1, 2], 2, id="a newer version replaces an older one"),
        pytest.param([2, 1], 2, id="an older version never replaces a newer one"),
        pytest.param([2, 2], 2, id="the same version is no news"),
    ],
)
def test_versions(versions: list[int], kept: int) -> None:
    store = Store()
    for version in versions:
        store.put("Incident", an_object(version))
    slot = store.slot("Incident", Name("models", "a"))
    assert slot is not None
    assert slot.version == kept


def test_an_object_that_was_recreated_replaces_the_old_one_whatever_its_version() -> None:
    store = Store()
    store.put("Incident", an_object(9))
    assert store.put("Incident", an_object(3, uid="v"))


def test_a_deletion_of_another_object_of_the_same_name_drops_nothing() -> None:
    store = Store()
    store.put("Incident", an_object(1, uid="new"))
    assert not store.drop("Incident", Name("models", "a"), "old")
    assert store.drop("Incident", Name("models", "a"), "new")
    assert store.incidents_of(Pair("models", "fraud", "fraud")) == []


def test_an_object_that_cannot_be_read_is_kept_apart_and_named() -> None:
    store = Store()
    store.put("Incident", an_object(1))
    store.put("Incident", an_object(2, origin="Nobody"))
    assert store.incident(Name("models", "a")) is None
    assert [(kind, name) for kind, name, _ in store.unreadable()] == [("Incident", Name("models", "a"))]
    assert list(store.incidents()) == []


def test_incidents_of_a_pair_come_the_oldest_first() -> None:
    store = Store()
    store.put("Incident", an_object(2, "b", "2"))
    store.put("Incident", an_object(1, "a", "1"))
    assert [one.metadata.name for one in store.incidents_of(Pair("models", "fraud", "fraud"))] == ["a", "b"]


def test_decisions_are_found_by_their_incident_and_what_is_granted_and_accepted_by_their_policy() -> None:
    store = Store()
    store.put("Incident", an_object(1))
    ack = {"type": "Acknowledge", "by": "ada", "incidentRef": {"name": "a"}}
    grant = {
        "type": "Authorise",
        "by": "ada",
        "policyRef": {"name": "fraud", "uid": "p"},
        "option": "stop",
        "digest": "sha256:" + "0" * 64,
        "expireTime": "2026-03-03T09:00:00Z",
        "reason": "agreed",
    }
    other = {"type": "Acknowledge", "by": "ada", "incidentRef": {"name": "b"}}
    numbers = {"type": "AcceptClock", "by": "lea", "clock": "gdpr-33", "reason": "read"}
    accept = {name: grant[name] for name in ("policyRef", "digest")} | numbers
    decisions = (("ack", ack), ("grant", grant), ("other", other), ("accept", accept))
    for version, (name, spec) in enumerate(decisions, start=2):
        raw = an_object(version, name, name)
        store.put("Decision", raw | {"spec": spec})
    incident = store.incident(Name("models", "a"))
    assert incident is not None
    assert [one.metadata.name for one in store.decisions_of(incident)] == ["ack", "grant", "accept"]
    assert [one.metadata.name for one in store.acceptances("models", "fraud")] == ["accept"]


@pytest.mark.parametrize(
    ("labels", "holds"),
    [
        pytest.param({}, {}, id="no label, no brake"),
        pytest.param({"tocsin.dev/hold": "audit"}, {"models": "audit"}, id="the value is the reason"),
        pytest.param({"tocsin.dev/hold": ""}, {"models": "held"}, id="an empty value brakes like any other"),
    ],
)
def test_holds(labels: dict[str, str], holds: dict[str, str]) -> None:
    assert holds_from([{"metadata": {"name": "models", "labels": labels}}]) == holds


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"expireTime": "9999-12-31T23:59:59-05:00"}, id="a time beyond the calendar"),
        pytest.param({"type": "Acknowledge", "incidentRef": {"name": ["a"]}}, id="a list for a name"),
        pytest.param({"policyRef": 7}, id="a number for an object"),
    ],
)
def test_what_nobody_foresaw_in_an_object_raises_nothing_and_is_named(spec: dict[str, Any]) -> None:
    grant = {"type": "Authorise", "by": "ada", "policyRef": {"name": "fraud", "uid": "p"}, "option": "stop"}
    store = Store()

    assert store.put("Decision", an_object(1) | {"spec": grant | {"digest": "sha256:" + "0" * 64} | spec})

    ((kind, name, error),) = store.unreadable()
    assert (kind, name) == ("Decision", Name("models", "a"))
    assert error
    assert store.authorisations("models", "fraud") == ()


class Listing:
    """An API server whose incidents are these."""

    def __init__(self, *items: dict[str, Any]) -> None:
        self._items = {one["metadata"]["name"]: one for one in items}

    async def get(self, where: str, **_: Any) -> Any:
        if where.endswith("/incidents"):
            return {"items": list(self._items.values()), "metadata": {}}
        try:
            return self._items[where.rpartition("/")[2]]
        except KeyError:
            raise ApiError(404, "NotFound", "gone") from None


@pytest.mark.parametrize(
    ("known", "listed", "changed", "kept"),
    [
        pytest.param([("a", 5)], [("a", 5)], [], {"a": 5}, id="nothing was missed"),
        pytest.param([("a", 5)], [("a", 7), ("b", 8)], ["a", "b"], {"a": 7, "b": 8}, id="events were missed"),
        pytest.param([("a", 5), ("b", 6)], [("a", 5)], ["b"], {"a": 5}, id="a deletion was missed"),
    ],
)
def test_what_a_complete_list_mends(
    known: list[tuple[str, int]], listed: list[tuple[str, int]], changed: list[str], kept: dict[str, int]
) -> None:
    store = Store()
    for name, at in known:
        store.put("Incident", an_object(at, name, name))
    api: Any = Listing(*(an_object(at, name, name) for name, at in listed))

    found = asyncio.run(prune(api, store, "Incident"))

    assert [name.name for name, _ in found] == changed
    assert {name.name: slot.version for name, slot in store.names("Incident").items()} == kept


def failing(minute: int, upstream: str = "feature-store", **status: Any) -> dict[str, Any]:
    """An incident that opened at that minute, of a model with this upstream."""
    model = {"name": "fraud", "upstream": [upstream, "bureau"]}
    made = an_object(minute + 1, f"i-{minute}", f"u-{minute}")
    opened = f"2026-03-02T09:{minute:02}:00Z"
    return made | {"status": {"openedTime": opened, "rules": the_rules(a_policy(models=[model])).dump(), **status}}


def kin(store: Store, minute: int) -> list[str]:
    incident = store.incident(Name("models", f"i-{minute}"))
    assert incident
    assert incident.status.opened_time
    return [one.name for one in store.kin_of(incident, incident.status.opened_time)]


def test_the_kin_of_an_incident_are_those_of_the_ten_minutes_around_it_that_share_something_upstream() -> None:
    store = Store()
    for minute in (0, 4, 5, 10, 15, 20):
        store.put("Incident", failing(minute))
    store.put("Incident", failing(11, resolvedTime="2026-03-02T09:12:00Z"))

    assert kin(store, 10) == ["models/i-0", "models/i-4", "models/i-5", "models/i-15"]
    store.drop("Incident", Name("models", "i-5"))
    store.put("Incident", failing(4) | {"metadata": failing(30)["metadata"] | {"name": "i-4", "uid": "u-4"}})
    assert kin(store, 10) == ["models/i-0", "models/i-4", "models/i-15"]


def test_of_many_kin_the_oldest_before_and_after_are_looked_at() -> None:
    store = Store()
    for number in range(200):
        made = failing(0)
        made["metadata"] |= {"name": f"n-{number:03}", "uid": f"n-{number}"}
        store.put("Incident", made)
    store.put("Incident", failing(1))

    assert kin(store, 1) == [f"models/n-{number:03}" for number in range(KIN)]


def test_the_children_of_an_incident_are_those_that_are_open_and_name_it() -> None:
    store, parent = Store(), {"parent": "models/i-0"}
    store.put("Incident", failing(0))
    store.put("Incident", failing(1, **parent))
    store.put("Incident", failing(2, resolvedTime="2026-03-02T09:12:00Z", **parent))
    first = store.incident(Name("models", "i-0"))
    assert first

    assert [one.metadata.name for one in store.children_of(first)] == ["i-1"]
    assert [one.parent for one in store.kin_of(first, T0)] == []
    assert (store.is_open("models/i-0"), store.is_open("models/i-2"), store.is_open("")) == (True, False, False)
    store.drop("Incident", Name("models", "i-1"))
    assert store.children_of(first) == []


def test_the_silences_of_a_namespace_are_those_that_are_not_over() -> None:
    store = Store()
    for name, until in (("over", T0), ("holds", T0 + MIN), ("later", T0 + HOUR)):
        raw = a_silence(name=name, begin=until - MIN, until=until).dump()
        raw["metadata"] |= {"resourceVersion": "1"}
        assert store.put("Silence", raw)
    assert {one.metadata.name for one in store.silences("models", T0)} == {"holds", "later"}
    assert store.silences("elsewhere", T0) == ()
    assert store.drop("Silence", Name("models", "holds"))
    assert [one.metadata.name for one in store.silences("models", T0)] == ["later"]
