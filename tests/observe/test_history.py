"""What would live evaluations have seen? Of an outage nothing, however much the lookback fills in."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.clocks import T0
from tests.observe.faulty import FaultyServer, Reply, Request, answered, refused
from tests.observe.recorded import RecordedPrometheus
from tocsin.decide.situation import Failed, NoData
from tocsin.observe import history, wire
from tocsin.observe.prometheus import Prometheus
from tocsin.observe.queries import Prepared, Selector
from tocsin.settings import PrometheusServer, Tenancy

S = timedelta(seconds=1)
MIN = timedelta(minutes=1)
_numbers = itertools.count(1)


def words(found: Any) -> str:
    """One letter an instant: its value, `.` without series, `-` not scraped."""
    assert not isinstance(found, Failed), found
    return "".join(
        "-" if isinstance(entry, NoData) else "." if not entry else f"{entry[0].value.normalize():f}"
        for _, entry in sorted(found.items())
    )


def every(step: timedelta, *spans: tuple[timedelta, timedelta]) -> list[datetime]:
    """Scrapes in these spans, both ends included."""
    return [T0 + first + n * step for first, last in spans for n in range((last - first) // step + 1)]


def read(
    server: RecordedPrometheus, executor: ThreadPoolExecutor, text: str, namespace: str, steps: int, step: timedelta
) -> Any:
    async def session() -> Any:
        source = Prometheus("default", PrometheusServer(url=server.url), executor)
        query = await source.prepare(text, namespace)
        assert isinstance(query, Prepared), query
        found = await source.ask_range(query, T0, T0 + (steps - 1) * step, step)
        live = [(await source.ask([query], at))[query] for at in found] if not isinstance(found, Failed) else []
        source.close()
        return found, live

    return asyncio.run(session())


WHOLE = (0 * MIN, 12 * MIN)
OUTAGE = ((0 * MIN, 4 * MIN), (9 * MIN, 12 * MIN))


@pytest.mark.parametrize(
    ("text", "scrapes", "step", "expected"),
    [
        pytest.param("x", every(15 * S, WHOLE), MIN, "1111111111111", id="an unbroken series"),
        pytest.param("x", every(15 * S, *OUTAGE), MIN, "11111----1111", id="an outage, shorter than the lookback"),
        pytest.param("x", every(60 * S, WHOLE), 15 * S, "1" * 49, id="steps shorter than the scrape interval"),
        pytest.param("x", every(60 * S, *OUTAGE), 30 * S, "11111111111-------1111111",
                     id="an outage seen by short steps, from 1.5 intervals after the last sample"),
        pytest.param("count_over_time(x[10m]) > bool 0", every(15 * S, *OUTAGE), MIN, "11111----1111",
                     id="a range in brackets that reaches over the outage"),
        pytest.param("x offset 2m", every(15 * S, *OUTAGE), MIN, "..111----1111",
                     id="an offset looks elsewhere, but was asked now"),
        pytest.param("max_over_time(x[8m:1m] offset 1m) * 1", every(15 * S, *OUTAGE), MIN, ".1111----1111",
                     id="a subquery with an offset"),
        pytest.param('{__name__=~"x|y"} * 1', every(15 * S, *OUTAGE), MIN, "11111----1111", id="several metrics"),
        pytest.param("max(x or vector(0))", every(15 * S, *OUTAGE), MIN, "11111----1111", id="a value for want of one"),
        pytest.param("last_over_time(x[1h])", [T0, T0 + 20 * MIN, T0 + 40 * MIN], 5 * MIN, "1" * 13,
                     id="reports far apart that a range in brackets bridges"),
        pytest.param("vector(1)", [], MIN, "1111111111111", id="a query that reads nothing"),
        pytest.param("x", [], MIN, "-------------", id="a series that never was"),
        pytest.param("absent(x)", [], MIN, "-------------", id="its absence, which only a live evaluation can tell"),
        pytest.param("x > 5", every(15 * S, *OUTAGE), MIN, ".....----....", id="a filter that nothing passes"),
    ],
)  # fmt: skip
def test_what_a_range_tells(
    recorded: RecordedPrometheus, executor: ThreadPoolExecutor, text: str, scrapes: Iterable[datetime], step: timedelta,
    expected: str,
) -> None:  # fmt: skip
    namespace = f"history-{next(_numbers)}"
    recorded.record("x", {"namespace": namespace}, dict.fromkeys(scrapes, 1.0))
    found, _ = read(recorded, executor, text, namespace, len(expected), step)
    assert words(found) == expected


@pytest.mark.parametrize("width", [1, 2, 5])
@pytest.mark.parametrize("scrapes", [every(15 * S, *OUTAGE), every(60 * S, *OUTAGE), every(60 * S, WHOLE)])
def test_slices_tell_what_the_whole_tells(
    recorded: RecordedPrometheus, executor: ThreadPoolExecutor, scrapes: Iterable[datetime], width: int
) -> None:
    namespace = f"history-{next(_numbers)}"
    recorded.record("x", {"namespace": namespace}, dict.fromkeys(scrapes, 1.0))
    step, steps = 30 * S, 25
    whole, _ = read(recorded, executor, "x", namespace, steps, step)

    async def session() -> dict[datetime, Any]:
        source = Prometheus("default", PrometheusServer(url=recorded.url), executor)
        query = await source.prepare("x", namespace)
        assert isinstance(query, Prepared), query
        span, found = (T0, T0 + (steps - 1) * step), {}
        for first in range(0, steps, width):
            last = min(steps, first + width) - 1
            part = await source.ask_range(query, T0 + first * step, T0 + last * step, step, span)
            assert not isinstance(part, Failed), part
            found |= part
        source.close()
        return found

    assert words(asyncio.run(session())) == words(whole)


def test_an_instant_that_counts_has_the_value_that_a_live_evaluation_gives(
    recorded: RecordedPrometheus, executor: ThreadPoolExecutor
) -> None:
    namespace = f"history-{next(_numbers)}"
    for model in ("a", "b"):
        points = {at: n / 7 for n, at in enumerate(every(15 * S, *OUTAGE))}
        recorded.record("x", {"namespace": namespace, "model": model}, points)
    found, live = read(recorded, executor, "sum by (model) (rate(x[2m]))", namespace, 25, 30 * S)
    counted = [at for at, entry in found.items() if not isinstance(entry, NoData)]
    assert len(counted) > 10
    for (_, entry), alone in zip(sorted(found.items()), live, strict=True):
        if not isinstance(entry, NoData):
            assert sorted(map(str, entry)) == sorted(map(str, alone))


# --- what is sent

GRID_END = T0 + 25_000 * S


def evaluated(request: Request, value: str = "1") -> Reply:
    """An honest server whose every series always has this value."""
    start, end = (round(float(request.form[name]) * 1000) for name in ("start", "end"))
    step = round(float(request.form["step"]) * 1000)
    return answered({"metric": {}, "values": [[at / 1000, value] for at in range(start, end + 1, step)]}, kind="matrix")


def asked(server: FaultyServer, executor: ThreadPoolExecutor, query: Prepared, end: datetime, step: timedelta) -> Any:
    async def session() -> Any:
        settings = PrometheusServer(url=server.url, tenancy=Tenancy.SINGLE)
        source = Prometheus("default", settings, executor)
        found = await source.ask_range(query, T0, end, step)
        source.close()
        return found

    return asyncio.run(session())


def test_a_long_range_is_asked_in_chunks_that_prometheus_gives(
    faulty: FaultyServer, executor: ThreadPoolExecutor
) -> None:
    faulty.answer = evaluated
    found = asked(faulty, executor, Prepared("p", "1", "1"), GRID_END, S)
    assert len(found) == 25_001
    assert {entry[0].value for entry in found.values()} == {Decimal(1)}
    spans = [(float(request.form["start"]), float(request.form["end"])) for request in faulty.requests]
    assert spans == [
        (T0.timestamp() + first, T0.timestamp() + last)
        for first, last in ((0, 10_999), (11_000, 21_999), (22_000, 25_000))
    ]


def test_a_chunk_that_is_too_large_is_halved(faulty: FaultyServer, executor: ThreadPoolExecutor) -> None:
    def answer(request: Request) -> Reply:
        reply = evaluated(request)
        points = float(request.form["end"]) - float(request.form["start"]) + 1
        return Reply(reply.body + b" " * int(points * wire.LARGEST / 10))

    faulty.answer = answer
    found = asked(faulty, executor, Prepared("p", "1", "1"), T0 + 15 * S, S)
    assert words(found) == "1" * 16
    assert list(found) == [T0 + n * S for n in range(16)]


def test_a_chunk_is_what_a_real_server_still_gives(recorded: RecordedPrometheus, executor: ThreadPoolExecutor) -> None:
    found, _ = read_without_live(recorded, executor, history.POINTS)
    assert len(found) == history.POINTS


def read_without_live(server: RecordedPrometheus, executor: ThreadPoolExecutor, points: int) -> Any:
    async def session() -> Any:
        source = Prometheus("default", PrometheusServer(url=server.url), executor)
        found = await source.ask_range(Prepared("p", "vector(1)", "vector(1)"), T0, T0 + (points - 1) * S, S)
        source.close()
        return found, source.counters.requests

    found, requests = asyncio.run(session())
    assert requests == 1
    return found, requests


def test_milliseconds_of_the_grid_are_kept(faulty: FaultyServer, executor: ThreadPoolExecutor) -> None:
    faulty.answer = evaluated
    step = timedelta(milliseconds=2_500)
    found = asked(faulty, executor, Prepared("p", "1", "1"), T0 + 4 * step, step)
    assert list(found) == [T0 + n * step for n in range(5)]
    assert not any(isinstance(entry, NoData) for entry in found.values())
    assert [request.form["step"] for request in faulty.requests] == ["2.500"]


TWO = Prepared("p", "x / y", "x / y", selectors=(Selector("x{}", 0 * MIN), Selector("y{}", 10 * MIN)))


def test_a_series_that_is_fresh_costs_two_requests(faulty: FaultyServer, executor: ThreadPoolExecutor) -> None:
    faulty.answer = evaluated
    asked(faulty, executor, TWO, T0 + 3 * MIN, MIN)
    assert [request.form["query"] for request in faulty.requests] == [
        "x / y",
        "group(last_over_time(x{}[60000ms])) or group(last_over_time(y{}[60000ms]))",
    ]


def test_a_slow_series_is_looked_at_by_its_own_interval(faulty: FaultyServer, executor: ThreadPoolExecutor) -> None:
    def answer(request: Request) -> Reply:
        if "[60000ms]" in request.form["query"]:
            return answered(kind="matrix")
        return evaluated(request, "2")

    faulty.answer = answer
    asked(faulty, executor, TWO, T0 + 3 * MIN, MIN)
    assert [request.form["query"] for request in faulty.requests][2:] == [
        "max(count_over_time(x{}[300000ms]))",
        "max(count_over_time(y{}[600000ms]))",
        "group(last_over_time(x{}[225000ms])) or group(last_over_time(y{}[450000ms]))",
    ]


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5], ids=lambda number: f"request {number} of 5")
@pytest.mark.parametrize("reply", [Reply(b"", 500), answered()], ids=["an error", "a vector"])
def test_whichever_request_fails_nothing_is_told(
    faulty: FaultyServer, executor: ThreadPoolExecutor, number: int, reply: Reply
) -> None:
    def answer(request: Request) -> Reply:
        if len(faulty.requests) == number:
            return reply
        return answered(kind="matrix") if "[60000ms]" in request.form["query"] else evaluated(request)

    faulty.answer = answer
    assert isinstance(asked(faulty, executor, TWO, T0 + 3 * MIN, MIN), Failed)
    assert len(faulty.requests) == number


@pytest.mark.parametrize("count", ["refused", "0", "0.5", "-5", "NaN", "+Inf"])
def test_an_interval_that_cannot_be_told_is_taken_as_short(
    faulty: FaultyServer, executor: ThreadPoolExecutor, count: str
) -> None:
    def answer(request: Request) -> Reply:
        if "count_over_time" in request.form["query"]:
            no_vector = "vector cannot contain metrics with the same labelset"
            return refused(no_vector) if count == "refused" else evaluated(request, count)
        return answered(kind="matrix") if "last_over_time" in request.form["query"] else evaluated(request)

    faulty.answer = answer
    found = asked(faulty, executor, TWO, T0 + 3 * MIN, MIN)
    assert {entry.reason for entry in found.values()} == {"NotScraped"}
    assert faulty.requests[-1].form["query"] == faulty.requests[1].form["query"]
