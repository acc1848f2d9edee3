"""What does every MetricSource do? The fake and the real class against a real Prometheus pass the same rows."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

import pytest

from tests.clocks import T0
from tests.observe.fake_prometheus import FakePrometheus
from tests.observe.recorded import RecordedPrometheus
from tocsin.decide.situation import Failed, NoData, Sample
from tocsin.observe.prometheus import Prometheus
from tocsin.observe.queries import MetricSource, Prepared, Unusable
from tocsin.settings import PrometheusServer

S = timedelta(seconds=1)
MIN = timedelta(minutes=1)
QUERY = "max by (namespace, model) (quality)"
BROKEN = "max by (namespace, model) (quality) * on () count by (model) (quality)"
_numbers = itertools.count(1)


class World(Protocol):
    """A source, and the series that it should know."""

    def open(self) -> MetricSource: ...
    def unreachable(self) -> MetricSource: ...
    def record(self, namespace: str, model: str, points: Mapping[datetime, str | None]) -> None: ...


class Real:
    def __init__(self, server: RecordedPrometheus, executor: ThreadPoolExecutor) -> None:
        self._server, self._executor = server, executor

    def open(self) -> MetricSource:
        return Prometheus("default", PrometheusServer(url=self._server.url), self._executor)

    def unreachable(self) -> MetricSource:
        return Prometheus("default", PrometheusServer(url="http://127.0.0.1:9"), self._executor)

    def record(self, namespace: str, model: str, points: Mapping[datetime, str | None]) -> None:
        values = {at: None if value is None else float(value) for at, value in points.items()}
        self._server.record("quality", {"namespace": namespace, "model": model}, values)


class Fake:
    def __init__(self) -> None:
        self._source = FakePrometheus()
        self._points: dict[str, dict[str, dict[datetime, str | None]]] = {}

    def open(self) -> MetricSource:
        return self._source

    def unreachable(self) -> MetricSource:
        source = FakePrometheus()
        source.reachable = False
        return source

    def record(self, namespace: str, model: str, points: Mapping[datetime, str | None]) -> None:
        known = self._points.setdefault(namespace, {})
        known[model] = dict(points)
        times = sorted(at for series in known.values() for at in series)
        for at, later in itertools.pairwise([*times, times[-1] + 5 * MIN]):
            now = {name: [value for when, value in series.items() if when <= at][-1:] for name, series in known.items()}
            series = [
                (value[0], {"namespace": namespace, "model": name}) for name, value in now.items() if value and value[0]
            ]
            self._source.set(QUERY, *series, namespace=namespace, since=at)
            if later - at > MIN:
                self._source.down(at + MIN, later)
        self._source.set(QUERY, namespace=namespace, since=times[-1] + 5 * MIN)
        self._source.fail(BROKEN, "many-to-many", namespace=namespace)


@pytest.fixture(params=["fake", "real"])
def world(request: pytest.FixtureRequest, executor: ThreadPoolExecutor) -> World:
    if request.param == "fake":
        return Fake()
    return Real(request.getfixturevalue("recorded"), executor)


@pytest.fixture
def tenant() -> str:
    return f"contract-{next(_numbers)}"


def run(source: MetricSource, use: Callable[[MetricSource], Coroutine[Any, Any, Any]]) -> Any:
    return asyncio.run(use(source))


async def prepared(source: MetricSource, text: str, namespace: str) -> Prepared:
    found = await source.prepare(text, namespace)
    assert isinstance(found, Prepared)
    return found


def sorted_values(found: Any) -> list[tuple[str, str]]:
    assert isinstance(found, tuple), found
    return sorted((sample.labels["model"], str(sample.value.normalize())) for sample in found)


def test_a_sample_has_its_labels_and_its_value(world: World, tenant: str) -> None:
    world.record(tenant, "fraud", {T0: "0.93"})

    async def use(source: MetricSource) -> Any:
        query = await prepared(source, QUERY, tenant)
        return (await source.ask([query], T0 + 10 * S))[query]

    assert run(world.open(), use) == (Sample({"namespace": tenant, "model": "fraud"}, Decimal("0.93")),)


@pytest.mark.parametrize(
    ("recorded_value", "expected"),
    [
        pytest.param("nan", "NaN", id="NaN stays NaN"),
        pytest.param("inf", "Infinity", id="an infinite value is a value"),
        pytest.param("-inf", "-Infinity", id="so is a negative infinity"),
        pytest.param("0.000001", "0.000001", id="a small value keeps its digits"),
        pytest.param("1e+30", "1E+30", id="a large value keeps its magnitude"),
    ],
)
def test_values_that_are_not_ordinary(world: World, tenant: str, recorded_value: str, expected: str) -> None:
    world.record(tenant, "fraud", {T0: recorded_value})

    async def use(source: MetricSource) -> Any:
        query = await prepared(source, QUERY, tenant)
        return (await source.ask([query], T0))[query]

    [sample] = run(world.open(), use)
    assert Decimal(expected).compare_total(sample.value.normalize()) == 0


def test_every_series_is_a_sample(world: World, tenant: str) -> None:
    world.record(tenant, "a", {T0: "1"})
    world.record(tenant, "b", {T0: "2"})

    async def use(source: MetricSource) -> Any:
        query = await prepared(source, QUERY, tenant)
        return (await source.ask([query], T0))[query]

    assert sorted_values(run(world.open(), use)) == [("a", "1"), ("b", "2")]


def test_without_series_there_are_no_samples(world: World, tenant: str) -> None:
    async def use(source: MetricSource) -> Any:
        query = await prepared(source, QUERY, tenant)
        return (await source.ask([query], T0))[query]

    assert run(world.open(), use) == ()


def test_a_series_that_ended_is_gone(world: World, tenant: str) -> None:
    world.record(tenant, "fraud", {T0: "1", T0 + 30 * S: None})

    async def use(source: MetricSource) -> Any:
        query = await prepared(source, QUERY, tenant)
        return (await source.ask([query], T0 + 40 * S))[query]

    assert run(world.open(), use) == ()


def test_a_tenant_sees_only_its_own_series(world: World, tenant: str) -> None:
    world.record(f"{tenant}-other", "fraud", {T0: "1"})
    world.record(tenant, "fraud", {T0: "2"})

    async def use(source: MetricSource) -> Any:
        query = await prepared(source, QUERY, tenant)
        stranger = await prepared(source, QUERY, f"{tenant}-stranger")
        answers = await source.ask([query, stranger], T0)
        return answers[query], answers[stranger]

    mine, strangers = run(world.open(), use)
    assert sorted_values(mine) == [("fraud", "2")]
    assert strangers == ()


def test_equal_texts_of_a_tenant_are_one_query_and_those_of_two_are_two(world: World, tenant: str) -> None:
    async def use(source: MetricSource) -> Any:
        return [
            await prepared(source, text, namespace)
            for text, namespace in ((QUERY, tenant), (QUERY, tenant), (QUERY, "other"))
        ]

    first, again, other = run(world.open(), use)
    assert first == again
    assert len({first, again, other}) == 2
    assert first.text == QUERY


def test_an_unparsable_query_is_unusable(world: World, tenant: str) -> None:
    async def use(source: MetricSource) -> Any:
        return await source.prepare("max(quality", tenant)

    found = run(world.open(), use)
    assert isinstance(found, Unusable)
    assert "parse error" in found.message


def test_a_query_that_fails_leaves_the_others_their_values_and_is_quarantined(world: World, tenant: str) -> None:
    world.record(tenant, "a", {T0: "1"})
    world.record(tenant, "b", {T0: "2"})

    async def use(source: MetricSource) -> Any:
        good, bad = await prepared(source, QUERY, tenant), await prepared(source, BROKEN, tenant)
        answers = await source.ask([good, bad], T0)
        return answers[good], answers[bad], source.quarantined == {bad: answers[bad].message}  # type: ignore[union-attr] # a Failed

    good, bad, is_quarantined = run(world.open(), use)
    assert sorted_values(good) == [("a", "1"), ("b", "2")]
    assert isinstance(bad, Failed)
    assert "many-to-many" in bad.message
    assert is_quarantined


def test_a_server_that_is_down_fails_everything_and_quarantines_nothing(world: World, tenant: str) -> None:
    query = Prepared("default", "vector(1)", "vector(1)")

    async def use(source: MetricSource) -> Any:
        return (
            await source.prepare(QUERY, tenant),
            (await source.ask([query], T0))[query],
            await source.ask_range(query, T0, T0 + MIN, MIN),
            source.quarantined,
        )

    *failures, quarantined = run(world.unreachable(), use)
    assert failures == [Failed("it cannot be reached: the connection was refused or lost")] * 3
    assert quarantined == {}


def test_a_range_has_an_entry_for_every_step(world: World, tenant: str) -> None:
    world.record(tenant, "fraud", {T0 + n * 15 * S: str(n) for n in range(12)})

    async def use(source: MetricSource) -> Any:
        query = await prepared(source, QUERY, tenant)
        return await source.ask_range(query, T0, T0 + 2 * MIN, MIN)

    found = run(world.open(), use)
    assert {at: sorted_values(samples) for at, samples in found.items()} == {
        T0: [("fraud", "0")],
        T0 + MIN: [("fraud", "4")],
        T0 + 2 * MIN: [("fraud", "8")],
    }


def test_a_step_in_an_outage_is_not_scraped_whatever_the_lookback_says(world: World, tenant: str) -> None:
    before = {T0 + n * 15 * S: "1" for n in range(5)}
    after = {T0 + 4 * MIN + n * 15 * S: "2" for n in range(5)}
    world.record(tenant, "fraud", before | after)

    async def use(source: MetricSource) -> Any:
        query = await prepared(source, QUERY, tenant)
        return await source.ask_range(query, T0, T0 + 5 * MIN, MIN)

    found = run(world.open(), use)
    words = [type(found[T0 + n * MIN]).__name__ for n in range(6)]
    assert words == ["Vector", "Vector", "NoData", "NoData", "Vector", "Vector"]
    assert {entry.reason for entry in found.values() if isinstance(entry, NoData)} == {"NotScraped"}
