"""Does what the operator writes about a role reach the policies that name it, though its own write is no news to it?"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from tests.builders import HOUR, T0
from tests.clocks import FakeClock
from tests.decide.test_roster import a_role
from tests.engine.test_bearing import a_store, keep
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
