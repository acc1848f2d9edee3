"""Is a breach worked on once, however many policies and incidents want the same target?"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from tests.builders import HOUR, MIN, SUSTAINED, T0, a_policy, a_target, an_incident, latency, rolled_back, the_rules
from tests.clocks import FakeClock
from tests.decide.test_containment import KEY, the_status
from tests.decide.test_hold import an_executed
from tests.engine.test_looks import Eye
from tocsin.api.incident import Incident
from tocsin.api.objects import API_VERSION
from tocsin.api.policy import EscalationPolicy
from tocsin.decide.situation import Memory, Trust
from tocsin.engine.drafts import Drafts
from tocsin.engine.incidents import Incidents
from tocsin.engine.looks import Looks
from tocsin.engine.telemetry import Telemetry
from tocsin.observe.cluster import Pair, Store

HEIR = Pair("models", "heir", "fraud")
JOINED = {"joined": "fraud-1"}


def keep(store: Store, kind: str, thing: Any) -> None:
    raw = thing.dump() | {"apiVersion": API_VERSION, "kind": kind}
    raw["metadata"] |= {"resourceVersion": "1"}
    assert store.put(kind, raw)


def named(policy: EscalationPolicy, name: str) -> EscalationPolicy:
    return policy.model_copy(update={"metadata": policy.metadata.model_copy(update={"name": name, "uid": name})})


def under(policy: str, name: str, **status: Any) -> Incident:
    incident = an_incident(**status)
    metadata = incident.metadata.model_copy(update={"name": name, "uid": f"uid-{name}"})
    reference = incident.spec.policy_ref.model_copy(update={"name": policy})
    return incident.model_copy(
        update={"metadata": metadata, "spec": incident.spec.model_copy(update={"policy_ref": reference})}
    )


def some(*incidents: Incident) -> Incidents:
    """The work on the heir's pair, whose signal is sustained; nothing of it reaches a server."""
    store = Store()
    keep(store, "EscalationPolicy", named(a_policy(), "heir"))
    for incident in incidents:
        keep(store, "Incident", incident)
    parts: dict[str, Any] = dict.fromkeys(
        ("api", "home", "looks", "budget", "pages", "posting", "telemetry", "leads", "may_send", "trust", "at")
    )
    measured: Any = SimpleNamespace(memories={HEIR: latency(*SUSTAINED)})
    return Incidents(
        **parts | {"clock": FakeClock(T0), "store": store, "measured": measured},
        drafts=Drafts(
            parts["api"], FakeClock(T0), store, parts["telemetry"], "tocsin-system", parts["leads"], lambda _: None
        ),
        builtin=lambda _: None,
        again=lambda _: None,
    )


class Reached(Exception):
    """The work went as far as asking the API server to write."""


class Refusing:
    async def get(self, *_: Any, **__: Any) -> Any:
        raise Reached


@pytest.mark.parametrize(
    ("others", "opens"),
    [
        pytest.param([], True, id="nothing else is open"),
        pytest.param([under("fraud", "fraud-1")], False, id="another policy's incident of the target is open"),
        pytest.param(
            [under("fraud", "fraud-1"), under("heir", "heir-1", resolved_time=T0 - 3 * MIN, **JOINED)],
            False,
            id="one that has joined it is not opened anew at every evaluation",
        ),
        pytest.param([under("fraud", "fraud-1", resolved_time=T0 - MIN)], True, id="the other is resolved"),
    ],
)
def test_a_breach_on_a_target_of_an_open_incident(others: list[Incident], opens: bool) -> None:
    work = some(*others)
    work.api = Refusing()  # type: ignore[assignment]  # it only refuses
    work.looks = Looks(Eye(a_target()), work.clock)

    async def attempt() -> bool:
        try:
            return bool(await work._reopened_or_new(HEIR, None))
        except Reached:
            return True

    assert asyncio.run(attempt()) is opens


@pytest.mark.parametrize(
    ("before", "recurs"),
    [
        pytest.param({"resolved_time": T0 - timedelta(days=1)}, True, id="one that a person resolved yesterday"),
        pytest.param({"resolved_time": T0 - timedelta(days=1), **JOINED}, False, id="not one that joined another"),
        pytest.param({"resolved_time": T0 - timedelta(days=8)}, False, id="not one of last week"),
    ],
)
def test_what_counts_as_a_recurrence(before: dict[str, Any], recurs: bool) -> None:
    now = under("heir", "heir-2")
    work = some(under("heir", "heir-1", **before), now)

    assert work._recurs(HEIR, now) is recurs


def test_an_incident_that_opens_knows_how_its_pair_went_to_and_fro() -> None:
    fresh, last = under("heir", "heir-3"), {"resolved_time": T0 - MIN}
    work = some(
        fresh,
        under("heir", "heir-1", swings=(T0 - 9 * MIN, T0 - 2 * MIN), **last),
        under("heir", "heir-2", swings=(T0 - 5 * MIN,), **last),
        under("heir", "heir-0", swings=(T0 - MIN,), **last, **JOINED),
        under("fraud", "fraud-1", swings=(T0 - MIN,), **last),
    )
    assert work._swung(HEIR, fresh) == (T0 - 9 * MIN, T0 - 5 * MIN, T0 - 2 * MIN)


def reported(name: str, by: str, harm: str | None = "refused", **status: Any) -> Incident:
    made = under("heir", name, **status)
    return made.model_copy(update={"spec": made.spec.model_copy(update={"by": by, "harm": harm})})


@pytest.mark.parametrize(
    ("incident", "others", "tellers"),
    [
        pytest.param(reported("heir-1", "alice"), [], ("alice",), id="its own"),
        pytest.param(reported("heir-1", "alice", episode=2), [], (), id="its own, an episode ago"),
        pytest.param(
            under("heir", "heir-1"), [reported("heir-2", "bob", joined="heir-1")], ("bob",), id="one that joined"
        ),
        pytest.param(
            under("heir", "heir-1"), [reported("heir-2", "bob", None, joined="heir-1")], (), id="one without harm"
        ),
        pytest.param(under("heir", "heir-1"), [reported("heir-2", "bob")], (), id="one that did not join"),
        pytest.param(
            under("heir", "heir-1", opened_time=T0),
            [reported("heir-2", "bob", joined="heir-1", resolved_time=T0 - 3 * MIN)],
            (),
            id="one that joined before this episode",
        ),
        pytest.param(
            reported("heir-1", "alice"), [reported("heir-2", "alice", joined="heir-1")], ("alice",), id="the same twice"
        ),
    ],
)
def test_who_has_reported_harm_in_this_episode(
    incident: Incident, others: list[Incident], tellers: tuple[str, ...]
) -> None:
    assert some(incident, *others)._harm_told_by(HEIR, incident) == tellers


def test_a_notice_of_an_incident_that_is_gone_is_withdrawn() -> None:
    work, withdrawn = some(under("heir", "heir-1")), list[str]()
    work.pages = SimpleNamespace(withdraw=withdrawn.append)  # type: ignore[assignment]  # it only remembers
    work._under_way[HEIR] = {"uid-heir-1/1/notify/owners.owners/1", "gone/1/notify/owners.owners/1"}

    work._forget_gone(HEIR)

    assert withdrawn == ["gone/1/notify/owners.owners/1"]
    assert work._under_way[HEIR] == {"uid-heir-1/1/notify/owners.owners/1"}


@pytest.mark.parametrize(
    ("minutes", "looks"),
    [
        pytest.param(1, 1, id="it holds, and cannot be judged yet"),
        pytest.param(16, 2, id="it did not help: the next option goes by what the target is now"),
    ],
)
def test_no_option_goes_on_by_an_older_look(minutes: int, looks: int) -> None:
    incident, eye = under("heir", "heir-1", **the_status(an_executed())), Eye(rolled_back(KEY))
    work = some(incident)
    work.clock = FakeClock(T0 + minutes * MIN)
    measured = {"memories_of": lambda *_: latency(*SUSTAINED, at=work.clock.now()), "affected_by": lambda _: None}
    work.measured = SimpleNamespace(**measured)

    async def trusted(_: bool) -> Any:
        return Trust.TRUSTED, T0

    def leads(_: float) -> bool:
        raise Reached

    async def advance() -> None:
        await work.looks.at(HEIR, the_rules().model.target, holds=True)
        with suppress(Reached):
            await work._advance(HEIR, incident)

    work.looks = Looks(eye, work.clock)
    work.trust, work.leads = trusted, leads
    asyncio.run(advance())

    assert eye.looks == looks


class Accepting:
    """An API server that takes every status; the next version of the incident is what was written."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def merge(self, where: str, body: Any) -> Any:
        (incident,) = self.store.incidents_of(HEIR)
        kept = {"apiVersion": API_VERSION, "kind": "Incident"} | incident.dump()
        kept["status"] = {**kept["status"], **body["status"]}
        kept["metadata"]["resourceVersion"] = str(int(body["metadata"]["resourceVersion"]) + 1)
        return kept


def worked_on(measured: dict[str, Memory]) -> Incidents:
    """What knows a contained incident, once everything that is to be done now is done."""
    work = some(under("heir", "heir-1", **the_status(an_executed())))

    async def trusted(_: bool) -> Any:
        return Trust.TRUSTED, T0

    def measurements(memories: dict[str, Memory]) -> Any:
        return SimpleNamespace(
            memories_of=lambda *_: memories,
            known_of=lambda _: memories,
            affected_by=lambda _: None,
            release=lambda *_: None,
        )

    work.api, work.trust, work.telemetry = Accepting(work.store), trusted, Telemetry()  # type: ignore[assignment]
    work.looks, work.leads, work.at = Looks(Eye(rolled_back(KEY)), work.clock), lambda _: True, lambda *_: None
    work.posting = SimpleNamespace(post=lambda *_: None)  # type: ignore[assignment]  # nobody reads them
    work.pages = SimpleNamespace(submit=lambda *_: None)  # type: ignore[assignment]  # notices stay under way
    work.measured = measurements(latency(*SUSTAINED, at=T0 + MIN))
    asyncio.run(work.work(HEIR))
    work.measured = measurements(measured)
    return work


@pytest.mark.parametrize(
    ("seconds", "memories", "stirs"),
    [
        pytest.param(1, latency(*SUSTAINED, 0.9, at=T0 + 2 * MIN), False, id="it is as bad as it was"),
        pytest.param(
            61, latency(*SUSTAINED, 0.9, at=T0 + 2 * MIN), True, id="a watch may have been frozen for so long"
        ),
        pytest.param(1, latency(*SUSTAINED, 0.2, at=T0 + 2 * MIN), True, id="it is well again"),
        pytest.param(1, {}, True, id="what was known is lost"),
    ],
)
def test_an_evaluation_that_tells_nothing_new_is_not_decided_on(
    seconds: int, memories: dict[str, Memory], stirs: bool
) -> None:
    work = worked_on(memories)
    asyncio.run(work.clock.advance(seconds))  # type: ignore[attr-defined]  # the clock of these tests

    assert work.stirs(HEIR) is stirs


def test_what_was_not_decided_to_the_end_is_decided_at_the_next_evaluation() -> None:
    assert some(under("heir", "heir-1")).stirs(HEIR)


CLOCK = {
    "name": "us-bank-36h",
    "family": "us-bank",
    "citation": "12 CFR 53.3",
    "state": "Running",
    "countedFrom": T0 - 10 * HOUR,
    "deadline": T0 + 26 * HOUR,
}


@pytest.mark.parametrize(
    ("wanted", "clocks", "then"),
    [
        pytest.param(None, (), None, id="nothing is owed"),
        pytest.param(None, (CLOCK,), T0 + 8 * HOUR, id="a clock of a resolved incident goes on"),
        pytest.param(T0 + HOUR, (CLOCK,), T0 + HOUR, id="what is open is due sooner"),
        pytest.param(T0 + 9 * HOUR, (CLOCK,), T0 + 8 * HOUR, id="what is open is due later"),
        pytest.param(None, (CLOCK | {"state": "Submitted"},), None, id="it was submitted"),
    ],
)
def test_the_clock_of_a_resolved_incident_is_not_forgotten(wanted: Any, clocks: Any, then: Any) -> None:
    work = some(under("heir", "heir-1", resolved_time=T0, clocks=clocks), under("heir", "heir-2"))
    assert work._next(HEIR, wanted) == then


@pytest.mark.parametrize(("later", "unsettled"), [(0, False), (8, True)])
def test_a_resolved_incident_whose_clock_is_due_is_worked_on(later: int, unsettled: bool) -> None:
    resolved = under("heir", "heir-1", resolved_time=T0, clocks=(CLOCK,))
    work = some(resolved)
    work.clock = FakeClock(T0 + later * HOUR)
    assert work._is_unsettled(HEIR, resolved) is unsettled
