"""Are an open incident's frozen rules evaluated exactly as long as nothing else measures the same?"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.engine.test_rounds import MINUTE, PAIR, QUERY, Bench, make, play, policy
from tests.observe.fake_prometheus import FakePrometheus
from tocsin.api.incident import Incident
from tocsin.api.policy import EscalationPolicy
from tocsin.decide.defaults import freeze
from tocsin.decide.situation import Measured, Sample
from tocsin.engine.guarded import shadow_of
from tocsin.observe.cluster import Name

__all__ = ["make"]


def incident(**status: Any) -> Incident:
    return Incident.model_validate(
        {
            "metadata": {"name": "fraud-1", "namespace": "models", "uid": "incident-uid"},
            "spec": {
                "origin": "Signal",
                "policyRef": {"name": "fraud"},
                "model": "fraud",
                "rules": freeze(policy(), policy().spec.models[0]).dump(),
            },
            "status": status,
        }
    )


@pytest.mark.parametrize(
    "living",
    [
        pytest.param(None, id="the policy was deleted"),
        pytest.param(policy(risk={"affected": {"query": "count"}}), id="the policy was edited"),
    ],
)
def test_the_frozen_rules_of_an_open_incident_are_evaluated_on(
    make: Callable[..., Bench], living: EscalationPolicy | None
) -> None:
    bench = make(open={PAIR})
    bench.gives("0.5")
    rounds = bench.rounds()
    rules = freeze(living, living.spec.models[0]) if living else None

    async def look() -> None:
        assert rounds.memories_of(incident(), rules)["latency"].reading == Measured(
            Decimal("0.5"), (("model", "fraud"),)
        )
        assert PAIR in bench.woken
        assert rounds.memories_of(incident(resolvedTime="2026-03-02T09:00:00Z"), rules) == {}
        before = bench.source.counters.requests
        await bench.clock.advance(180)
        assert bench.source.counters.requests == before, "a resolved incident is evaluated no more"

    assert rounds.memories_of(incident(), rules) == {}
    play(bench, rounds, 1, look)


def test_the_living_policy_serves_as_long_as_it_measures_the_same(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.gives("0.5")
    rounds = bench.rounds()
    rounds.guard(policy())
    play(bench, rounds, 1)
    living = freeze(policy(mode="Observe"), policy().spec.models[0])
    assert rounds.memories_of(incident(), living) is rounds.memories[PAIR]


def test_of_an_incidents_frozen_rules_no_policy_is_told(make: Callable[..., Bench]) -> None:
    bench = make(open={PAIR})
    bench.gives("0.5")
    rounds = bench.rounds()
    rounds.memories_of(incident(), None)
    play(bench, rounds, 2)
    assert bench.told == []
    assert PAIR in bench.woken


def test_a_policy_that_is_evaluated_no_more_leaves_its_incident_not_blind(make: Callable[..., Bench]) -> None:
    """An older policy took its target, or it is being deleted: the rules are alike, but nobody evaluates the living."""
    bench = make(open={PAIR})
    bench.gives("0.5")
    rounds = bench.rounds()
    rounds.guard(policy())
    play(bench, rounds, 1)
    rounds.forget(Name("models", "fraud"))
    living = freeze(policy(), policy().spec.models[0])

    assert rounds.memories_of(incident(), living) == {}
    play(bench, rounds, 1)
    assert "latency" in rounds.memories_of(incident(), living)

    rounds.guard(policy())
    play(bench, rounds, 1)
    assert rounds.memories_of(incident(), living) is rounds.memories[PAIR]
    assert rounds.guarded(shadow_of(incident())) is None


def test_of_an_incident_that_is_gone_or_resolved_nothing_is_evaluated(make: Callable[..., Bench]) -> None:
    bench = make(open={PAIR})
    bench.gives("0.5")
    rounds = bench.rounds()
    rounds.memories_of(incident(), None)

    rounds.release(PAIR, [incident()])
    assert rounds.guarded(shadow_of(incident())) is not None
    rounds.release(PAIR, [])
    rounds.release(PAIR, [])
    assert rounds.guarded(shadow_of(incident())) is None
    asked = bench.source.counters.requests
    play(bench, rounds, 2)
    assert bench.source.counters.requests == asked


def test_affected_decisions_are_unknown_again_when_nobody_counts_them(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.gives("0.1")
    bench.source.set("count", ("70", {"model": "fraud"}), namespace="models")
    rounds = bench.rounds()
    rounds.guard(policy(risk={"affected": {"query": "count"}}))
    play(bench, rounds, 1)
    assert rounds.affected == {PAIR: Decimal(70)}

    rounds.guard(policy())
    play(bench, rounds, 1)
    assert rounds.affected == {}


class Hostile(FakePrometheus):
    """Gives one policy a value that nobody foresaw."""

    def strange(self) -> None:
        found = Sample({"model": "fraud"}, "no number")  # type: ignore[arg-type]  # that is the point
        self._enter(QUERY, "hostile", min(entry[0] for entry in self._set[QUERY, "models"]), (found,))  # type: ignore[arg-type]  # as above


def test_a_value_that_nobody_foresaw_stops_nobody_elses_evaluation(make: Callable[..., Bench]) -> None:
    source = Hostile()
    bench = make(source=source)
    bench.gives("0.5", namespace="models")
    bench.gives("0.1", namespace="hostile")
    rounds = bench.rounds()
    for namespace in ("hostile", "models"):
        rounds.guard(policy(namespace))
    play(bench, rounds, 1)
    source._set.pop((QUERY, "hostile"))
    source.strange()
    play(bench, rounds, 3)

    assert rounds.memories[PAIR]["latency"].pending > 2 * MINUTE
