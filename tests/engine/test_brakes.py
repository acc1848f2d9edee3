"""Does the last look before a containment see what the decision did not know?"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from tests.builders import HOUR, MIN, T0, a_freeze, a_policy, a_situation
from tocsin.api.containment import Freeze
from tocsin.api.objects import API_VERSION
from tocsin.apiserver import ApiError
from tocsin.engine.brakes import braked
from tocsin.observe.cluster import Pair, Store

PAIR = Pair("models", "fraud", "fraud")


@dataclass
class Server:
    """An API server with two namespaces and one policy, or none."""

    freezes: tuple[Freeze, ...] | None
    label: str | None = None

    async def get(self, where: str) -> Any:
        if "/namespaces/models" in where and "escalationpolicies" not in where:
            labels = {} if self.label is None else {"tocsin.dev/hold": self.label}
            return {"metadata": {"name": "models", "labels": labels}}
        if "escalationpolicies" not in where:
            return {"metadata": {"name": "tocsin-system"}}
        if self.freezes is None:
            raise ApiError(404, "NotFound", "gone")
        raw = a_policy(freezes=[one.dump() for one in self.freezes]).dump()
        return raw | {"apiVersion": API_VERSION, "metadata": raw["metadata"] | {"resourceVersion": "2"}}


NOW, PAST, SOON = a_freeze(), a_freeze(-HOUR, timedelta(), "past"), a_freeze(MIN, HOUR)


@pytest.mark.parametrize(
    ("known", "server", "after", "unknown"),
    [
        pytest.param((), Server(()), timedelta(), False, id="nothing has changed"),
        pytest.param((), Server((), "audit"), timedelta(), True, id="the namespace has got its label"),
        pytest.param((), Server((NOW,)), timedelta(), True, id="a freeze was added"),
        pytest.param((), Server((PAST, SOON)), timedelta(), False, id="freezes were added that are not in force"),
        pytest.param((SOON,), Server((SOON,)), timedelta(), False, id="a known one has not begun"),
        pytest.param((SOON,), Server((SOON,)), MIN, True, id="a known one has begun since"),
        pytest.param(
            (NOW,), Server((NOW,)), timedelta(), False, id="it was decided in the same freeze, which it passes"
        ),
        pytest.param((), Server(None), timedelta(), False, id="the policy is gone, and no freeze was known"),
    ],
)
def test_more_is_known_than_when_it_was_decided(
    known: tuple[Freeze, ...], server: Server, after: timedelta, unknown: bool
) -> None:
    store = Store()
    situation = a_situation(freezes=known)

    def policy_of(pair: Pair) -> Any:
        return store.policy(pair.namespace, pair.policy)

    look = braked(server, store, "tocsin-system", PAIR, situation, policy_of, lambda: T0 + after)  # type: ignore[arg-type] # it only reads
    assert asyncio.run(look) is unknown
