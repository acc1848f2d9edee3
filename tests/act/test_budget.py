"""Do no more models of a namespace get contained than the budget allows, whoever asks at once?"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from tests.act import deployments as d
from tests.clocks import T0
from tests.cluster.access import Access
from tests.cluster.proxy import Answer, ApiProxy, DropAfter
from tocsin.act.budget import BudgetLedger
from tocsin.apiserver import ApiError, ApiServer, NoAnswer, path
from tocsin.settings import BudgetSettings

T = TypeVar("T")
HOUR = timedelta(hours=1)
TWO = BudgetSettings(containments=2, window=HOUR, storm_cooldown=timedelta())


Ask = tuple[str, str, timedelta]
"""Namespace, incident as `policy/name`, and how long after the beginning."""


def refusals(cluster: Access, operator: str, *asks: Ask, settings: BudgetSettings = TWO) -> list[str]:
    """The answers, one after another; each time as if the operator had been restarted."""

    async def all_of_them(api: ApiServer) -> list[str]:
        return [
            await BudgetLedger(api, operator, settings).reserve(namespace, *which.rpartition("/")[::2], T0 + after)
            for namespace, which, after in asks
        ]

    return d.ask(cluster.kubeconfig, all_of_them)


def asked(cluster: Access, operator: str, *asks: Ask, settings: BudgetSettings = TWO) -> list[bool]:
    """Who got room."""
    return [not refusal for refusal in refusals(cluster, operator, *asks, settings=settings)]


def ledger(cluster: Access, operator: str, of: str = "-models") -> Any:
    return cluster.api("GET", path("v1", "configmaps", operator, f"tocsin-budget{of}"))["data"]


NOW = timedelta()


@pytest.mark.parametrize(
    ("asks", "answers"),
    [
        pytest.param(
            [("models", "a", NOW), ("models", "b", NOW), ("models", "c", NOW)],
            [True, True, False],
            id="past the limit people are asked",
        ),
        pytest.param(
            [("models", "a", NOW), ("models", "b", NOW), ("models", "a", NOW)],
            [True, True, True],
            id="an incident that has reserved keeps its room",
        ),
        pytest.param(
            [("models", "a", NOW), ("models", "b", NOW), ("fraud", "c", NOW)],
            [True, True, True],
            id="another namespace has a budget of its own",
        ),
        pytest.param(
            [("models", "a", NOW), ("models", "b", HOUR / 2), ("models", "c", HOUR), ("models", "d", HOUR)],
            [True, True, True, False],
            id="at the end of the window the oldest is released, and no other",
        ),
        pytest.param(
            [("models", "a", NOW), ("models", "b", NOW), ("models", "a", HOUR), ("models", "b", HOUR / 2)],
            [True, True, True, True],
            id="a clock that jumps back releases nothing",
        ),
    ],
)
def test_the_budget(cluster: Access, namespace: str, asks: list[Ask], answers: list[bool]) -> None:
    assert asked(cluster, namespace, *asks) == answers


WIDE = BudgetSettings(containments=9, window=HOUR, policy_containments=1, cluster_containments=3)
"""Whose cooldown is ten minutes."""
POLICY = "the budget of policy p is used up (1 within 1h)"
CLUSTER = "the budget of this cluster is used up (3 within 1h)"
STORM = "a storm: less than 10m ago more models asked than may be contained"


@pytest.mark.parametrize(
    ("asks", "answers"),
    [
        pytest.param([("models", "p/a", NOW), ("models", "p/b", NOW)], ["", POLICY], id="a policy has its own limit"),
        pytest.param([("models", "p/a", NOW), ("models", "p/a", NOW)], ["", ""], id="and who has reserved keeps it"),
        pytest.param(
            [("models", "p/a", NOW), ("models", "q/b", NOW), ("loans", "r/c", NOW), ("fraud", "s/d", NOW)],
            ["", "", "", CLUSTER],
            id="the cluster counts all namespaces",
        ),
        pytest.param(
            [("models", "p/a", NOW), ("models", "p/b", NOW), ("models", "q/c", NOW), ("loans", "r/d", NOW)],
            ["", POLICY, STORM, ""],
            id="in a storm nobody of the namespace gets room, and others do",
        ),
        pytest.param(
            [("models", "p/a", NOW), ("models", "p/b", NOW), ("models", "q/c", HOUR / 12), ("models", "q/c", HOUR / 6)],
            ["", POLICY, STORM, ""],
            id="a storm ends, and whom it refused has not made it longer",
        ),
        pytest.param(
            [("models", "p/a", NOW), ("models", "p/b", NOW), ("models", "p/b", HOUR / 12), ("models", "q/c", HOUR / 6)],
            ["", POLICY, POLICY, STORM],
            id="a storm goes on while a limit is reached",
        ),
        pytest.param(
            [("models", "p/a", NOW), ("models", "p/b", NOW), ("models", "p/a", NOW)],
            ["", POLICY, ""],
            id="who has reserved before the storm keeps it",
        ),
    ],
)
def test_the_limits_of_a_policy_and_of_the_cluster_and_a_storm(
    cluster: Access, namespace: str, asks: list[Ask], answers: list[str]
) -> None:
    assert refusals(cluster, namespace, *asks, settings=WIDE) == answers


def test_what_a_namespace_refuses_takes_no_room_from_the_cluster(cluster: Access, namespace: str) -> None:
    asks = [("models", f"p/{name}", NOW) for name in ("a", "b", "c", "d")]
    assert asked(cluster, namespace, *asks, settings=WIDE) == [True, False, False, False]
    assert ledger(cluster, namespace, ".cluster") == {"a": "2026-03-02T09:00:00Z"}
    assert ledger(cluster, namespace) == {"a": "2026-03-02T09:00:00Z p", "storm": "2026-03-02T09:00:00Z"}


def test_a_budget_of_none_asks_people_always(cluster: Access, namespace: str) -> None:
    none = BudgetSettings(containments=0, window=HOUR)
    assert asked(cluster, namespace, ("models", "a", NOW), settings=none) == [False]


def test_the_ledger_can_be_read_by_people_and_keeps_no_old_lines(cluster: Access, namespace: str) -> None:
    asked(cluster, namespace, ("models", "a", NOW), ("models", "b", HOUR))
    assert ledger(cluster, namespace) == {"b": "2026-03-02T10:00:00Z"}


def test_a_line_that_somebody_made_unreadable_is_given_up(cluster: Access, namespace: str) -> None:
    asked(cluster, namespace, ("models", "a", NOW))
    where = path("v1", "configmaps", namespace, "tocsin-budget-models")
    cluster.api("PATCH", where, {"data": {"a": "yesterday", "z": ""}})
    assert asked(cluster, namespace, ("models", "b", NOW), ("models", "c", NOW)) == [True, True]
    assert set(ledger(cluster, namespace)) == {"b", "c"}


def test_two_leaders_at_once_do_not_exceed_it(cluster: Access, namespace: str) -> None:
    async def both(api: ApiServer) -> list[str]:
        leaders = [BudgetLedger(api, namespace, BudgetSettings(containments=3, window=HOUR)) for _ in range(2)]
        return await asyncio.gather(
            *(leader.reserve("models", "p", f"incident-{n}", T0) for n, leader in enumerate(leaders * 4))
        )

    assert d.ask(cluster.kubeconfig, both).count("") == 3
    assert len([one for one in ledger(cluster, namespace) if one != "storm"]) == 3


def test_a_hundred_at_once_do_not_starve_each_other(cluster: Access, namespace: str) -> None:
    async def all_at_once(api: ApiServer) -> list[str]:
        leader = BudgetLedger(api, namespace, BudgetSettings(containments=100, window=HOUR))
        return await asyncio.gather(*(leader.reserve("models", "p", f"incident-{n}", T0) for n in range(100)))

    assert d.ask(cluster.kubeconfig, all_at_once) == [""] * 100


def test_faults_are_the_callers_and_the_next_call_succeeds(namespace: str, proxy: ApiProxy) -> None:
    async def calls(api: ApiServer) -> list[str]:
        mine = BudgetLedger(api, namespace, BudgetSettings(containments=1, window=HOUR))
        proxy.rule(Answer(409))
        answers = [await mine.reserve("before", "p", "a", T0)]
        proxy.rule(DropAfter())
        with pytest.raises(NoAnswer):
            await mine.reserve("models", "p", "a", T0)
        answers += [await mine.reserve("models", "p", one, T0) for one in ("a", "b")]
        proxy.rule(Answer(500), methods={"GET"})
        with pytest.raises(ApiError):
            await mine.reserve("models", "p", "a", T0)
        return answers

    used_up = "the budget of this namespace is used up (1 within 1h)"
    assert d.ask(proxy.kubeconfig(), calls) == ["", "", used_up]
