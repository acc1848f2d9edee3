"""How do many queries share few requests? So that one bad query is found, and the others have their values."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.clocks import T0, FakeClock
from tests.observe.asking import all_but, asked, queries, query, used, value
from tests.observe.faulty import FaultyServer, Reply, Request, answered, refused, vector
from tests.observe.recorded import RecordedPrometheus
from tocsin.decide.situation import Failed, Sample
from tocsin.observe import wire
from tocsin.observe.batches import SIZE
from tocsin.observe.prometheus import AT_ONCE, EACH, RETRY_AFTER, Prometheus
from tocsin.observe.queries import Prepared
from tocsin.settings import Tenancy


def test_equal_queries_are_one_and_unlike_ones_share_a_request(
    faulty: FaultyServer, executor: ThreadPoolExecutor
) -> None:
    faulty.answer = all_but((), Reply())
    found = used(faulty.url, executor, asked(*queries(120), *queries(120)))
    assert found == {one: value(one.text, "1") for one in queries(120)}
    assert sorted(len(request.members) for request in faulty.requests) == [20, 50, 50]


def test_a_batch_holds_queries_of_one_tenant(faulty: FaultyServer, executor: ThreadPoolExecutor) -> None:
    faulty.answer = all_but((), Reply())
    wanted = [query(f"{text}{tenant}", tenant) for text in ("a", "b") for tenant in ("x", "y")]
    used(faulty.url, executor, asked(*wanted))
    assert sorted(sorted(request.members) for request in faulty.requests) == [["ax", "bx"], ["ay", "by"]]


def test_an_evaluation_states_its_instant_and_leaves_the_server_less_time_than_us(
    faulty: FaultyServer, executor: ThreadPoolExecutor
) -> None:
    faulty.answer = all_but((), Reply())
    used(faulty.url, executor, asked(query("a")))
    [request] = faulty.requests
    assert request.path == "/api/v1/query"
    assert (request.form["time"], request.form["timeout"]) == (f"{T0.timestamp():.3f}", "27.000")


@pytest.mark.parametrize(
    ("tenants", "expected"),
    [
        pytest.param([f"t{number}" for number in range(3 * AT_ONCE)], AT_ONCE, id="of all tenants"),
        pytest.param(["flooding"] * (3 * AT_ONCE), EACH, id="of one tenant"),
        pytest.param([""] * (3 * AT_ONCE), AT_ONCE, id="on a server of one tenant"),
    ],
)
def test_so_many_requests_and_no_more_are_under_way(
    faulty: FaultyServer, executor: ThreadPoolExecutor, tenants: list[str], expected: int
) -> None:
    under_way, most, lock, full = 0, 0, threading.Lock(), threading.Event()

    def answer(request: Request) -> Reply:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
            if under_way == expected:
                full.set()
        full.wait(5)
        with lock:
            under_way -= 1
        return vector(request, dict.fromkeys(request.members, "1"))

    async def use(source: Prometheus) -> None:
        asking = ([query(f"q{number}-{n}", tenant) for n in range(SIZE)] for number, tenant in enumerate(tenants))
        await asyncio.gather(*(source.ask(group, T0) for group in asking))

    faulty.answer = answer
    with ThreadPoolExecutor(2 * AT_ONCE) as wide:
        used(faulty.url, wide, use, timeout=timedelta(seconds=10))
    assert most == expected


def test_nothing_asked_is_nothing_sent(faulty: FaultyServer, executor: ThreadPoolExecutor) -> None:
    assert used(faulty.url, executor, asked()) == {}
    assert faulty.requests == []


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        pytest.param(refused("same labelset"), "same labelset", id="refused by Prometheus"),
        pytest.param(refused("too many samples", 400, "bad_data"), "too many samples", id="refused as bad data"),
        pytest.param(refused("query timed out", 503, "timeout"), "no answer within 30s", id="too slow for it"),
        pytest.param(Reply(b"oops", 500), "it answered 500", id="crashing the server"),
        pytest.param(answered({"metric": {}, "value": [0, "1"]}), "not the vector", id="making it answer rubbish"),
        pytest.param(Reply(b"", announced=100), "refused or lost", id="making it hang up"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("bad", [{"q000"}, {"q049"}, {"q007", "q031"}], ids=["the first", "the last", "two of them"])
def test_a_bad_query_is_found_and_the_others_have_their_values(
    faulty: FaultyServer, executor: ThreadPoolExecutor, reply: Reply, message: str, bad: set[str]
) -> None:
    faulty.answer = all_but(bad, reply)

    async def use(source: Prometheus) -> Any:
        return await source.ask(queries(50), T0), source.quarantined

    found, quarantined = used(faulty.url, executor, use)
    assert {one.text: samples for one, samples in found.items() if not isinstance(samples, Failed)} == {
        one.text: value(one.text, "1") for one in queries(50) if one.text not in bad
    }
    assert {one.text for one in quarantined} == bad
    assert all(message in words and found[one] == Failed(words) for one, words in quarantined.items())


def test_halving_costs_two_requests_a_level(faulty: FaultyServer, executor: ThreadPoolExecutor) -> None:
    faulty.answer = all_but({"q003"}, refused("bad"))
    used(faulty.url, executor, asked(*queries(32)))
    assert len(faulty.requests) == 1 + 2 * 5


def test_a_query_in_quarantine_is_asked_alone_and_seldom_until_it_succeeds(
    faulty: FaultyServer, executor: ThreadPoolExecutor
) -> None:
    clock = FakeClock()
    bad, good = query("bad"), query("good")
    steps: list[tuple[str, list[list[str]], set[Prepared]]] = []

    async def step(source: Prometheus, name: str) -> None:
        faulty.requests.clear()
        found = await source.ask([bad, good], T0)
        assert found[good] == value("good", "1")
        assert isinstance(found[bad], Failed) == (name not in ("well again", "and shares"))
        steps.append((name, sorted(sorted(request.members) for request in faulty.requests), set(source.quarantined)))

    async def use(source: Prometheus) -> None:
        faulty.answer = all_but({"bad"}, refused("many-to-many"))
        await step(source, "found")
        await step(source, "at once")
        await clock.advance(RETRY_AFTER)
        await step(source, "retried")
        await clock.advance(RETRY_AFTER - 1)
        await step(source, "too early")
        await clock.advance(1)
        faulty.answer = all_but((), Reply())
        await step(source, "well again")
        await step(source, "and shares")

    used(faulty.url, executor, use, clock)
    assert steps == [
        ("found", [["bad"], ["bad", "good"], ["good"]], {bad}),
        ("at once", [["good"]], {bad}),
        ("retried", [["bad"], ["good"]], {bad}),
        ("too early", [["good"]], {bad}),
        ("well again", [["bad"], ["good"]], set()),
        ("and shares", [["bad", "good"]], set()),
    ]


def test_a_query_that_nobody_asks_for_any_more_leaves_the_quarantine(
    faulty: FaultyServer, executor: ThreadPoolExecutor
) -> None:
    clock = FakeClock()
    faulty.answer = all_but({"bad"}, refused("bad"))

    async def use(source: Prometheus) -> Any:
        await source.ask([query("bad")], T0)
        await clock.advance(14 * RETRY_AFTER)
        await source.ask([query("good")], T0)
        return source.quarantined

    assert used(faulty.url, executor, use, clock) == {}


def test_queries_whose_answers_are_too_large_together_are_asked_in_smaller_batches(
    faulty: FaultyServer, executor: ThreadPoolExecutor
) -> None:
    padding = b" " * (wire.LARGEST // 10)

    def answer(request: Request) -> Reply:
        reply = vector(request, dict.fromkeys(request.members, "1"))
        return Reply(reply.body + padding * len(request.members))

    faulty.answer = answer
    found = used(faulty.url, executor, asked(*queries(16)), timeout=timedelta(seconds=10))
    assert found == {one: value(one.text, "1") for one in queries(16)}
    assert sorted(len(request.members) for request in faulty.requests) == [1, 8, 8, 16]


def test_connections_are_kept(faulty: FaultyServer, executor: ThreadPoolExecutor) -> None:
    faulty.answer = all_but((), Reply())

    async def use(source: Prometheus) -> None:
        for _ in range(10):
            await source.ask([query("a")], T0)

    used(faulty.url, executor, use)
    assert len({request.client for request in faulty.requests}) == 1


def test_a_batch_gives_what_each_query_gives_alone(recorded: RecordedPrometheus, executor: ThreadPoolExecutor) -> None:
    own = {"namespace": "batched", "model": "a"}
    recorded.record("batched", own, {T0: 1.0})
    recorded.record("batched", own | {"model": "b"}, {T0: 2.0})
    texts = [
        "batched", "abs(batched)", "sum(batched)", "time()", "batched > 5", "42", '{__name__=~"batched|x"}',
        "topk(1, batched)", 'label_replace(batched, "tocsin_1", "mine", "", "")', "-batched", "absent(batched)",
        "absent(none)",
    ]  # fmt: skip

    async def use(source: Prometheus) -> Any:
        prepared = [await source.prepare(text, "batched") for text in texts]
        assert all(isinstance(one, Prepared) for one in prepared), prepared
        together = await source.ask(prepared, T0)  # type: ignore[arg-type] # all are Prepared
        before = source.counters.requests
        alone = {one: found for each in prepared for one, found in (await source.ask([each], T0)).items()}  # type: ignore[list-item] # as above
        return together, alone, source.counters.requests - before

    together, alone, requests = used(
        recorded.url, executor, use, tenancy=Tenancy.NAMESPACE, timeout=timedelta(seconds=10)
    )
    assert requests == len(texts)
    assert together == alone
    by_text = {one.text: found for one, found in together.items()}
    assert by_text["42"] == (Sample({}, Decimal(42)),)
    assert by_text["time()"] == (Sample({}, Decimal(int(T0.timestamp()))),)
    assert by_text["batched > 5"] == ()
    assert {sample.labels["__name__"] for sample in by_text["batched"]} == {"batched"}
    assert {sample.labels.get("__name__") for sample in by_text["abs(batched)"]} == {None}
    assert {sample.labels["tocsin_1"] for sample in by_text[texts[8]]} == {"mine"}
