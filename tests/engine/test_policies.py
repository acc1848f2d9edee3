"""Does what is written about roles and templates reach whom it bears on, and is the own write no news?"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import pytest

from tests.builders import HOUR, T0, a_policy, a_target
from tests.clocks import FakeClock
from tests.decide.test_roster import a_role
from tests.engine.test_bearing import a_store, keep
from tocsin.decide.situation import NoTarget, TargetView
from tocsin.engine.policies import Policies
from tocsin.engine.telemetry import Telemetry
from tocsin.observe.cluster import Name, Store


class Server:
    """Takes every status as it is written."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def merge(self, where: str, body: Any) -> Any:
        role = self.store.responder("models", where.split("/")[-2])
        assert role is not None
        raw = role.dump() | {"apiVersion": "tocsin.dev/v1alpha1", "kind": "Responder", "status": body["status"]}
        raw["metadata"] |= {"resourceVersion": "9"}
        return raw


def test_a_hole_that_the_operator_itself_has_written_wakes_the_policies() -> None:
    store, asked = a_store(), list[tuple[str, Name, datetime]]()
    keep(store, "Responder", a_role("owners", "ada", away={"ada": (T0 + HOUR, T0 + 2 * HOUR)}), version="2")
    work: Any = Policies.__new__(Policies)
    work.api, work.clock, work.store, work.telemetry = Server(store), FakeClock(), store, Telemetry()
    work.leads, work.at = lambda _: True, lambda kind, name, when: asked.append((kind, name, when))

    asyncio.run(work.work_responder(Name("models", "owners")))

    now = work.clock.now()
    assert ("policy", Name("models", "fraud"), now) in asked
    asked.clear()
    asyncio.run(work.work_responder(Name("models", "owners")))
    assert [kind for kind, _, _ in asked] == ["responder"]


class Sight:
    """Tells of every target the same, and counts how often it was asked."""

    def __init__(self, found: TargetView | NoTarget) -> None:
        self.found, self.asked = found, 0

    async def view(self, *_: Any, history: bool) -> TargetView | NoTarget:
        assert not history, "who asks for rights need not pay for revisions"
        self.asked += 1
        return self.found


WELL, LACKING = a_target(), a_target(may_scale=False, lacking=("patch deployments.apps/scale",))


@pytest.mark.parametrize(
    ("found", "asked"),
    [
        pytest.param(WELL, [1, 1, 1, 2, 3, 4], id="one with which nothing is wrong: once a minute"),
        pytest.param(NoTarget("NotFound", "it is gone"), [1, 2, 3, 4, 5, 6], id="one that is not there: each time"),
        pytest.param(LACKING, [1, 2, 3, 4, 5, 6], id="one that we may not change: each time"),
    ],
)
def test_how_often_a_target_is_looked_at(found: TargetView | NoTarget, asked: list[int]) -> None:
    clock, sight, name = FakeClock(T0), Sight(found), Name("models", "fraud")
    work: Any = Policies.__new__(Policies)
    work.clock, work.targets, work._seen = clock, sight, {}
    policy = a_policy(
        models=[{"name": "fraud", "target": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "fraud"}}]
    )
    edited = policy.model_copy(update={"metadata": policy.metadata.model_copy(update={"generation": 7})})
    counts = []

    async def play() -> None:
        for step in (policy, policy, 59.0, 1.0, edited, name):
            if isinstance(step, float):
                await clock.advance(step)
            if isinstance(step, Name):
                work.look(step)
            await work._targets_of(edited if step in (edited, name) else policy)
            counts.append(sight.asked)

    asyncio.run(play())
    assert counts == asked


def test_a_template_gets_a_status_once() -> None:
    text = {"language": "en", "subject": "{{ incident.nam }}", "body": "b"}
    raw = {
        "apiVersion": "tocsin.dev/v1alpha1",
        "kind": "MessageTemplate",
        "metadata": {"name": "news", "namespace": "models", "uid": "u", "resourceVersion": "1", "generation": 1},
        "spec": {"audience": "Internal", "phase": "Initial", "texts": [text]},
    }
    store, written = Store(), list[Any]()
    store.put("MessageTemplate", raw)

    class Taking:
        async def merge(self, where: str, body: Any) -> Any:
            written.append((where, body["metadata"], body["status"]["conditions"][0]["reason"]))
            return raw | {"metadata": raw["metadata"] | {"resourceVersion": "2"}, "status": body["status"]}

    work: Any = Policies.__new__(Policies)
    work.api, work.clock, work.store, work.telemetry = Taking(), FakeClock(), store, Telemetry()
    work.leads = lambda _: True

    for _ in range(2):
        asyncio.run(work.work_template(Name("models", "news")))
    asyncio.run(work.work_template(Name("models", "gone")))

    where = "/apis/tocsin.dev/v1alpha1/namespaces/models/messagetemplates/news/status"
    assert written == [(where, {"uid": "u", "resourceVersion": "1"}, "UnknownVariable")]
