"""Does a replay from Prometheus see what the operator would have seen?"""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from tests.builders import MIN, T0, a_policy, a_target
from tests.observe.fake_prometheus import FakePrometheus
from tocsin.api.policy import EscalationPolicy
from tocsin.cli.files import Mistake
from tocsin.cli.past import tape_from
from tocsin.decide.rehearsal import rehearse
from tocsin.decide.script import Script, Tape
from tocsin.decide.signals import EPOCH
from tocsin.decide.situation import NoData, Sample

LABELS = {"model": "fraud"}
POLICY = a_policy(
    risk={"affected": {"query": "decisions"}},
    signals=[
        {"name": "latency", "kind": "Latency", "query": "p99", "warn": "> 0.3", "for": "3m",
         "samples": {"query": "n", "min": 10}, "reportedAt": {"query": "reported"}},
    ],
)  # fmt: skip


def a_server() -> FakePrometheus:
    """It slows down at T+2 and is away from T+4 to T+5."""
    server = FakePrometheus()
    server.set("p99", ("0.1", LABELS), ("9", {"model": "credit"}), namespace="models")
    server.set("p99", ("0.9", LABELS), namespace="models", since=T0 + 2 * MIN)
    server.set("n", ("12", LABELS), namespace="models")
    server.set("reported", (str((T0 - MIN - EPOCH).total_seconds()), LABELS), namespace="models")
    server.set("decisions", ("20", LABELS), ("2000", LABELS), ("NaN", LABELS), namespace="models")
    server.down(T0 + 4 * MIN, T0 + 6 * MIN)
    return server


def taped(server: FakePrometheus, policy: EscalationPolicy = POLICY, minutes: int = 10) -> Tape:
    return asyncio.run(tape_from(server, policy, policy.spec.models[0], T0, T0 + minutes * MIN))


def test_the_tape_holds_each_evaluation_and_where_there_was_none() -> None:
    answers = taped(a_server(), minutes=6).values["latency"].answers

    assert [type(answer).__name__ for answer in answers] == ["Vector"] * 4 + ["NoData"] * 2 + ["Vector"]
    assert answers[2] == (Sample(LABELS, Decimal("0.9")),)
    assert isinstance(answers[4], NoData)


def test_ages_are_seen_from_each_evaluation() -> None:
    ages = taped(a_server(), minutes=2).ages["latency"].answers

    assert ages == tuple((Sample(LABELS, Decimal(60 * (1 + minute))),) for minute in range(3))


def test_of_several_series_the_most_decisions_count_as_affected() -> None:
    affected = taped(a_server(), minutes=0).affected

    assert affected is not None
    assert affected.answers == ((Sample(LABELS, Decimal(2000)),),)


def test_the_replay_of_what_prometheus_saw() -> None:
    script = Script(POLICY, POLICY.spec.models[0], T0, T0 + 10 * MIN, taped(a_server()), target=a_target())

    (incident,) = rehearse(script).incidents

    assert incident.status.opened_time == T0 + 8 * MIN


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("p99", "spec.signals[0].query"),
        ("n", "spec.signals[0].samples.query"),
        ("reported", "spec.signals[0].reportedAt.query"),
        ("decisions", "spec.risk.affected.query"),
    ],
)
def test_a_query_that_cannot_be_asked_is_a_mistake_with_its_field(query: str, field: str) -> None:
    server = a_server()
    server.refuse(query, "the query is refused: parse error")

    with pytest.raises(Mistake) as refused:
        taped(server)

    assert str(refused.value) == f"{field}: the query is refused: parse error"


def test_a_server_that_is_away_is_a_mistake_too() -> None:
    server = a_server()
    server.reachable = False

    with pytest.raises(Mistake, match=r"spec\.signals\[0\]\.query: it cannot be reached"):
        taped(server)
