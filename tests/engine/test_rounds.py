"""Is everything that is due asked once, remembered rightly, and rebuilt after a restart?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.builders import a_policy
from tests.clocks import T0, FakeClock
from tests.observe.fake_prometheus import FakePrometheus
from tocsin.api.objects import Metadata
from tocsin.api.policy import EscalationPolicy
from tocsin.decide.situation import Failed, Measured, Memory, NoData, Sample, Vector
from tocsin.engine.guarded import LONGEST
from tocsin.engine.rebuilds import KEPT
from tocsin.engine.rounds import Rounds
from tocsin.engine.telemetry import Telemetry
from tocsin.observe.cluster import Name, Pair
from tocsin.observe.queries import Prepared, Span
from tocsin.settings import Settings

MINUTE = timedelta(minutes=1)
QUERY = "p99"
SIGNAL = {"name": "latency", "kind": "Latency", "query": QUERY, "warn": "> 0.3", "every": "1m"}
PAIR = Pair("models", "fraud", "fraud")


@dataclass
class Bench:
    """Rounds on a fake Prometheus and a fake clock; what they tell is kept."""

    runner: asyncio.Runner
    clock: FakeClock = field(default_factory=FakeClock)
    source: FakePrometheus = field(default_factory=FakePrometheus)
    woken: list[Pair] = field(default_factory=list)
    proved: list[Pair] = field(default_factory=list)
    told: list[Name] = field(default_factory=list)
    open: set[Pair] = field(default_factory=set)

    def rounds(self) -> Rounds:
        return Rounds(
            sources={"default": self.source},
            settings=Settings.model_validate({"prometheus": {"default": {"url": "http://prometheus"}}}),
            clock=self.clock,
            telemetry=Telemetry(),
            wake=lambda pair, _: self.woken.append(pair),
            prove=lambda pair, *_: self.proved.append(pair),
            tell_policy=self.told.append,
            tell_health=lambda *_: None,
            is_open=lambda pair: pair in self.open,
        )

    def gives(self, value: str, namespace: str = "models", since: datetime = T0 - timedelta(days=1)) -> None:
        self.source.set(QUERY, (value, {"model": "fraud"}), namespace=namespace, since=since)


@pytest.fixture
def make() -> Iterator[Callable[..., Bench]]:
    """Makes benches that share one event loop, which lives as long as the test."""
    with asyncio.Runner() as runner:
        yield lambda **given: Bench(runner, **given)


def policy(namespace: str = "models", **changes: Any) -> EscalationPolicy:
    made = a_policy(**changes)
    metadata = made.metadata.model_copy(update={"namespace": namespace, "uid": f"uid-{namespace}"})
    return made.model_copy(update={"metadata": metadata})


def play(bench: Bench, rounds: Rounds, minutes: int, then: Callable[[], Awaitable[None]] | None = None) -> None:
    async def body() -> None:
        task = asyncio.create_task(rounds.run())
        await bench.clock.advance(60 * minutes)
        if then:
            await then()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    bench.runner.run(body())


def test_a_breach_is_pending_until_for_and_then_wakes_its_pair(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.gives("0.1")
    bench.gives("0.5", since=T0 + 2 * MINUTE)
    rounds = bench.rounds()
    rounds.guard(policy())
    play(bench, rounds, 4)
    assert rounds.memories[PAIR]["latency"].pending == 2 * MINUTE
    assert bench.woken == []
    play(bench, rounds, 1)
    assert rounds.memories[PAIR]["latency"].pending == 3 * MINUTE
    assert bench.woken == [PAIR]


def test_while_all_is_well_the_revision_may_be_proved(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.gives("0.1")
    rounds = bench.rounds()
    rounds.guard(policy())
    play(bench, rounds, 1)
    assert bench.proved == [PAIR]
    assert bench.woken == []


def test_an_open_incident_is_woken_by_every_evaluation(make: Callable[..., Bench]) -> None:
    bench = make(open={PAIR})
    bench.gives("0.1")
    rounds = bench.rounds()
    rounds.guard(policy())
    play(bench, rounds, 2)
    assert bench.woken == [PAIR, PAIR]


def test_equal_queries_of_many_policies_are_asked_once_a_round(make: Callable[..., Bench]) -> None:
    bench = make()
    costs = []
    for count in (1, 40):
        rounds = bench.rounds()
        for number in range(count):
            made = policy()
            metadata = made.metadata.model_copy(update={"name": f"p{number}", "uid": f"u{number}"})
            rounds.guard(made.model_copy(update={"metadata": metadata}))
        play(bench, rounds, 1)
        before = bench.source.counters.requests
        play(bench, rounds, 1)
        costs.append(bench.source.counters.requests - before)
    assert costs == [1, 1]


@pytest.mark.parametrize("minute", [3, 4, 5, 6, 8])
def test_a_restart_at_any_minute_remembers_the_same(make: Callable[..., Bench], minute: int) -> None:
    undisturbed, restarted = make(), make()
    for bench in (undisturbed, restarted):
        bench.gives("0.1")
        bench.gives("0.5", since=T0 + 2 * MINUTE)
        bench.source.down(T0 + 4 * MINUTE, T0 + 6 * MINUTE)
    first = undisturbed.rounds()
    first.guard(policy())
    play(undisturbed, first, 9)
    before, after = restarted.rounds(), restarted.rounds()
    before.guard(policy())
    play(restarted, before, minute)
    after.guard(policy())
    play(restarted, after, 9 - minute)
    expected, found = first.memories[PAIR]["latency"], after.memories[PAIR]["latency"]
    assert (found.pending, found.breaching_since) == (expected.pending, expected.breaching_since)


def test_a_failed_query_is_neither_health_nor_a_breach(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.gives("0.1")
    bench.source.fail(QUERY, "boom", namespace="models", since=T0 + 2 * MINUTE)
    rounds = bench.rounds()
    rounds.guard(policy())
    play(bench, rounds, 3)
    memory = rounds.memories[PAIR]["latency"]
    assert memory.reading == Failed("boom")
    assert memory.good_since is None
    assert memory.pending == timedelta()


def test_one_unusable_query_is_named_and_stops_nobody_else(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.gives("0.1", namespace="other")
    bench.source.refuse("nonsense(", "it does not parse")
    rounds = bench.rounds()
    signals = [{"name": "latency", "kind": "Latency", "query": "nonsense(", "warn": "> 1"}]
    rounds.guard(policy(signals=signals))
    rounds.guard(policy("other"))
    play(bench, rounds, 1)
    assert rounds.unusable[Name("models", "fraud")] == {"signals[latency].query": "it does not parse"}
    assert Name("models", "fraud") in bench.told
    assert isinstance(rounds.memories[Pair("other", "fraud", "fraud")]["latency"].reading, Measured)


def test_a_server_that_answers_nothing_is_down_since_then_and_up_again_later(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.gives("0.1")
    bench.source.down(T0 + 2 * MINUTE, T0 + 4 * MINUTE)
    rounds = bench.rounds()
    rounds.guard(policy())
    play(bench, rounds, 3)
    assert rounds.health["default"].down_since == T0 + 2 * MINUTE
    play(bench, rounds, 2)
    assert rounds.health["default"].down_since is None
    assert rounds.health["default"].up_since == T0 + 4 * MINUTE


def test_a_policy_that_is_forgotten_is_evaluated_no_more(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.gives("0.1")
    rounds = bench.rounds()
    rounds.guard(policy())
    play(bench, rounds, 1)
    rounds.forget(Name("models", "fraud"))
    before = bench.source.counters.requests
    play(bench, rounds, 3)
    assert bench.source.counters.requests == before
    assert PAIR not in rounds.memories


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        pytest.param({"risk": {"regulatory": 4}}, True, id="another risk"),
        pytest.param({"signals": [SIGNAL, SIGNAL | {"name": "another"}]}, True, id="one signal more"),
        pytest.param({"signals": [SIGNAL | {"basis": "as agreed"}]}, True, id="another basis"),
        pytest.param({"signals": [SIGNAL | {"for": "7m"}]}, False, id="another span"),
        pytest.param({"models": [{"name": "fraud", "match": {"app": "fraud"}}]}, False, id="other series"),
        pytest.param({"prometheus": "elsewhere"}, False, id="another server"),
    ],
)
def test_an_edit_keeps_what_is_known_of_what_it_does_not_touch(
    make: Callable[..., Bench], changes: dict[str, Any], kept: bool
) -> None:
    bench = make()
    bench.gives("0.5")
    rounds = bench.rounds()
    rounds.guard(policy(signals=[SIGNAL], containment=[]))
    play(bench, rounds, 3)
    known = rounds.memories[PAIR]["latency"]
    rounds.guard(policy(**{"signals": [SIGNAL], "containment": []} | changes))
    assert rounds.memories.get(PAIR, {}).get("latency") == (known if kept else None)
    guarded = rounds.guarded(Name("models", "fraud"))
    assert (guarded is not None and ("fraud", "latency") in guarded.readings) == kept


def test_an_edit_of_what_is_not_measured_is_told_by_no_evaluation(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.gives("0.1")
    rounds = bench.rounds()
    rounds.guard(policy())
    play(bench, rounds, 1)
    assert len(bench.told) == 1
    rounds.guard(policy(risk={"regulatory": 4}))
    play(bench, rounds, 2)
    assert len(bench.told) == 1


def test_affected_decisions_are_counted_by_model_and_unknown_without_an_answer(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.gives("0.5")
    bench.source.set("count", ("1200", {"model": "fraud"}), namespace="models", since=T0 + 2 * MINUTE)
    rounds = bench.rounds()
    rounds.guard(policy(risk={"affected": {"query": "count"}}))
    play(bench, rounds, 1)
    assert PAIR not in rounds.affected
    play(bench, rounds, 1)
    assert rounds.affected[PAIR] == Decimal(1200)


def test_a_signal_without_series_has_no_data(make: Callable[..., Bench]) -> None:
    bench = make()
    rounds = bench.rounds()
    rounds.guard(policy())
    play(bench, rounds, 1)
    reading = rounds.memories[PAIR]["latency"].reading
    assert isinstance(reading, NoData)
    assert reading.reason == "Empty"


@pytest.mark.parametrize(
    ("age", "since"),
    [
        pytest.param(timedelta(days=9), T0 - timedelta(hours=1, minutes=30), id="as far as it is remembered"),
        pytest.param(5 * MINUTE, T0 - 4 * MINUTE, id="since there is a policy"),
    ],
)
def test_data_is_not_missed_from_before_there_was_a_policy(
    make: Callable[..., Bench], age: timedelta, since: datetime
) -> None:
    """A model and its policy that are applied together: the first scrape may come after the first evaluation."""
    bench = make()
    rounds = bench.rounds()
    made = policy(signals=[SIGNAL | {"noData": {"after": "30m", "then": "Alert"}}], containment=[])
    metadata = made.metadata.model_copy(update={"creation_timestamp": T0 + MINUTE - age})
    rounds.guard(made.model_copy(update={"metadata": metadata}))
    play(bench, rounds, 1)
    assert rounds.memories[PAIR]["latency"].no_data_since == since
    assert bool(bench.woken) == (T0 + MINUTE - since >= timedelta(minutes=30))


class SlowPast(FakePrometheus):
    """Answers what was only when it is let to, and keeps how far back it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.let = asyncio.Event()
        self.spans: list[timedelta] = []

    async def ask_range(
        self, query: Prepared, start: datetime, end: datetime, step: timedelta, whole: Span | None = None
    ) -> Mapping[datetime, Vector | NoData] | Failed:
        self.spans.append(end - start)
        if query.text == "slow":
            await self.let.wait()
        return await super().ask_range(query, start, end, step, whole)


def _rebuilding(rounds: Rounds) -> float | None:
    return rounds.telemetry.registry.get_sample_value("tocsin_signals_rebuilding")


def test_the_past_of_one_policy_keeps_nobody_waiting_and_then_has_what_was_seen_meanwhile(
    make: Callable[..., Bench],
) -> None:
    source = SlowPast()
    bench = make(source=source)
    source.set("slow", ("0.5", {"model": "fraud"}), namespace="models")
    bench.gives("0.5", namespace="other")
    rounds = bench.rounds()
    slow = [{"name": "latency", "kind": "Latency", "query": "slow", "warn": "> 0.3", "for": "3m"}]
    rounds.guard(policy(signals=slow, containment=[]))
    rounds.guard(policy("other"))

    async def look() -> None:
        assert rounds.memories[Pair("other", "fraud", "fraud")]["latency"].at == T0 + 2 * MINUTE
        assert PAIR not in rounds.memories
        assert _rebuilding(rounds) == 1
        source.let.set()
        await bench.clock.advance()
        assert _rebuilding(rounds) == 0
        assert rounds.memories[PAIR]["latency"].at == T0 + 2 * MINUTE
        assert PAIR in bench.woken

    play(bench, rounds, 2, look)


def test_what_is_evaluated_while_the_past_is_read_for_long_is_read_with_it_and_not_kept(
    make: Callable[..., Bench],
) -> None:
    source, long = SlowPast(), 3 * KEPT
    bench = make(source=source)
    source.set("slow", ("0.5", {"model": "fraud"}), namespace="models")
    rounds = bench.rounds()
    slow = [{"name": "latency", "kind": "Latency", "query": "slow", "warn": "> 0.3", "for": "3m"}]
    rounds.guard(policy(signals=slow, containment=[]))

    async def look() -> None:
        source.let.set()
        await bench.clock.advance()
        memory, (past, *_) = rounds.memories[PAIR]["latency"], source.spans
        assert memory.at == T0 + long * MINUTE
        assert memory.pending == past + long * MINUTE
        assert source.spans[1:] == [(long - 2) * MINUTE]

    play(bench, rounds, long, look)


class SlowTenant(FakePrometheus):
    """Has no answer for one namespace until it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.let = asyncio.Event()

    async def ask(self, queries: Collection[Prepared], at: datetime) -> Mapping[Prepared, Vector | Failed]:
        if any(query.tenant == "models" for query in queries):
            await self.let.wait()
        return await super().ask(queries, at)


def test_a_tenant_who_asks_slowly_keeps_only_himself_waiting(make: Callable[..., Bench]) -> None:
    source = SlowTenant()
    bench = make(source=source)
    for namespace in ("models", "other"):
        bench.gives("0.5", namespace=namespace)
    rounds = bench.rounds()
    rounds.guard(policy())
    rounds.guard(policy("other"))

    async def look() -> None:
        assert rounds.memories[Pair("other", "fraud", "fraud")]["latency"].at == T0 + 3 * MINUTE
        assert PAIR not in rounds.memories
        source.let.set()
        await bench.clock.advance()
        assert rounds.memories[PAIR]["latency"].at == T0 + MINUTE

    play(bench, rounds, 3, look)


class LostPast(FakePrometheus):
    """Answers what is, and for a while not what was: a range costs more than an instant."""

    lost_until = T0

    async def ask_range(
        self, query: Prepared, start: datetime, end: datetime, step: timedelta, whole: Span | None = None
    ) -> Mapping[datetime, Vector | NoData] | Failed:
        return Failed("timed out") if end < self.lost_until else await super().ask_range(query, start, end, step, whole)


@pytest.mark.parametrize(
    ("lost", "pending"),
    [
        pytest.param(2, 8, id="it is asked for again, and what was pending goes on"),
        pytest.param(60, 2, id="after as long as for it begins without a past"),
    ],
)
def test_a_past_that_cannot_be_had(make: Callable[..., Bench], lost: int, pending: int) -> None:
    """A restart in the middle of a breach, with a server that is busy just then."""
    source = LostPast()
    bench = make(source=source)
    bench.gives("0.5", since=T0 - 2 * MINUTE)
    source.lost_until = T0 + lost * MINUTE
    rounds = bench.rounds()
    rounds.guard(policy(signals=[SIGNAL | {"for": "3m"}], containment=[]))

    play(bench, rounds, 1)
    assert PAIR not in rounds.memories
    play(bench, rounds, 5)

    assert rounds.memories[PAIR]["latency"].pending == pending * MINUTE


def test_a_policy_that_changes_while_its_past_is_asked_for_begins_anew(make: Callable[..., Bench]) -> None:
    source = SlowPast()
    bench = make(source=source)
    bench.gives("0.5")
    rounds = bench.rounds()
    slow = [{"name": "latency", "kind": "Latency", "query": "slow", "warn": "> 0.3", "for": "3m"}]
    rounds.guard(policy(signals=slow, containment=[]))

    async def look() -> None:
        rounds.guard(policy())
        source.let.set()
        await bench.clock.advance(60)
        assert rounds.memories[PAIR]["latency"].reading == Measured(Decimal("0.5"), (("model", "fraud"),))

    play(bench, rounds, 1, look)


def test_the_past_is_asked_for_no_further_than_everybody_can_afford(make: Callable[..., Bench]) -> None:
    source = SlowPast()
    bench = make(source=source)
    bench.gives("0.5")
    rounds = bench.rounds()
    rounds.guard(policy(reopenWindow="99999h"))
    play(bench, rounds, 1)
    assert source.spans == [(LONGEST - 1) * MINUTE]  # the last value is asked live


def test_the_past_of_many_is_read_in_slices_that_all_share_and_gives_what_it_gives_as_a_whole(
    make: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    def memories(source: SlowPast) -> list[Memory]:
        bench = make(source=source)
        for minute, value in enumerate(["0.5", "0.5", "0.1", "0.5", "0.5", "0.1", "0.2", "0.5", "0.5", "0.5", "0.5"]):
            bench.gives(value, since=T0 + (minute - 10) * MINUTE)
        rounds = bench.rounds()
        for name in ("fraud", "credit", "churn"):
            metadata = Metadata(name=name, namespace="models", uid=name)
            rounds.guard(policy(reopenWindow="1h").model_copy(update={"metadata": metadata}))
        play(bench, rounds, 1)
        return [rounds.memories[Pair("models", name, "fraud")]["latency"] for name in ("fraud", "credit", "churn")]

    whole, sliced = SlowPast(), SlowPast()
    expected = memories(whole)
    monkeypatch.setattr("tocsin.engine.rebuilds.SLICE", 12)
    monkeypatch.setattr("tocsin.engine.rebuilds.FEWEST", 2)

    assert memories(sliced) == expected
    (span,) = whole.spans
    assert sliced.spans[0] == 3 * MINUTE
    assert set(sliced.spans[1:-1]) == {11 * MINUTE}  # it has one series
    assert sum(sliced.spans, timedelta()) + (len(sliced.spans) - 1) * MINUTE == span


def test_a_failure_that_no_memory_begins_with_is_told_all_the_same(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.source.fail(QUERY, "boom", namespace="models")
    rounds = bench.rounds()
    rounds.guard(policy())
    play(bench, rounds, 3)
    guarded = rounds.guarded(Name("models", "fraud"))
    assert guarded is not None
    assert guarded.readings == {("fraud", "latency"): Failed("boom")}
    assert bench.told == [Name("models", "fraud")]
    assert PAIR not in rounds.memories


def test_the_query_for_affected_decisions_is_named_when_it_is_unusable(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.gives("0.1")
    bench.source.refuse("nonsense(", "it does not parse")
    rounds = bench.rounds()
    rounds.guard(policy(risk={"affected": {"query": "nonsense("}}))
    play(bench, rounds, 1)
    assert rounds.unusable[Name("models", "fraud")] == {"risk.affected.query": "it does not parse"}


class OddPast(FakePrometheus):
    """Gives a value of the past that nobody foresaw, beside those of others who ask the same."""

    async def ask_range(
        self, query: Prepared, start: datetime, end: datetime, step: timedelta, whole: Span | None = None
    ) -> Mapping[datetime, Vector | NoData] | Failed:
        found = await super().ask_range(query, start, end, step, whole)
        assert not isinstance(found, Failed)
        odd = Sample({"model": "odd"}, "no number")  # type: ignore[arg-type]  # that is the point
        return {at: Vector((*one, odd)) if isinstance(one, Vector) else one for at, one in found.items()}


def test_a_value_of_the_past_that_nobody_foresaw_stops_nobody_elses_memory(make: Callable[..., Bench]) -> None:
    bench = make(source=OddPast())
    bench.gives("0.5")
    rounds = bench.rounds()
    for model in ("odd", "fraud"):
        metadata = Metadata(name=model, namespace="models", uid=model)
        rounds.guard(policy(models=[{"name": model}], containment=[]).model_copy(update={"metadata": metadata}))
    play(bench, rounds, 2)

    assert rounds.memories[Pair("models", "fraud", "fraud")]["latency"].pending >= 3 * MINUTE
    assert Pair("models", "odd", "odd") not in rounds.memories
