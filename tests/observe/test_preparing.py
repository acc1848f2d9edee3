"""Which queries may be asked at all? Those that Prometheus reads as they were meant."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from tests.clocks import FakeClock
from tests.observe.asking import Answer, as_json, used
from tests.observe.faulty import FaultyServer, Reply, Request, answered
from tests.observe.recorded import RecordedPrometheus
from tocsin.decide.situation import Failed
from tocsin.observe.prometheus import RETRY_AFTER, Prometheus
from tocsin.observe.queries import Prepared, Unusable
from tocsin.settings import Tenancy


def tree(namespace: str | None) -> dict[str, Any]:
    own = [{"name": "namespace", "type": "=", "value": namespace}] if namespace else []
    named = {"name": "__name__", "type": "=", "value": "up"}
    return {"type": "vectorSelector", "name": "up", "matchers": [named, *own], "offset": 0, "timestamp": None}


def rewriting(formatted: Any, again: Any) -> Answer:
    """A server that formats and parses as it likes."""
    data = iter([tree(None), formatted, again])

    def answer(_: Request) -> Reply:
        reply = answered()
        return Reply(reply.body.replace(b'{"resultType": "vector", "result": []}', as_json(next(data))))

    return answer


@pytest.mark.parametrize(
    ("formatted", "again", "expected"),
    [
        pytest.param('up{namespace="models"}', tree("models"), Prepared, id="what was meant is prepared"),
        pytest.param("up", tree(None), Unusable, id="a lost matcher is refused"),
        pytest.param('up{namespace="other"}', tree("other"), Unusable, id="another's matcher is refused"),
        pytest.param("up", {}, Unusable, id="an empty tree is refused"),
        pytest.param(
            "up", {"type": "vectorSelector", "matchers": 7}, Unusable, id="matchers that are none are refused"
        ),
        pytest.param(7, tree("models"), Failed, id="a format that is no text is no answer"),
        pytest.param("(" * 20_000, tree("models"), Unusable, id="an endless text is refused"),
    ],
)
def test_what_is_prepared_is_parsed_again(
    faulty: FaultyServer, executor: ThreadPoolExecutor, formatted: Any, again: Any, expected: type
) -> None:
    faulty.answer = rewriting(formatted, again)

    async def use(source: Prometheus) -> Any:
        return await source.prepare("up", "models")

    assert isinstance(used(faulty.url, executor, use, tenancy=Tenancy.NAMESPACE), expected)


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(None, id="no tree"),
        pytest.param([], id="a list"),
        pytest.param({"type": "heatmap"}, id="an unknown node"),
        pytest.param({"type": "call", "func": {"name": 7}, "args": []}, id="a function without a name"),
        pytest.param({"type": "aggregation", "op": "sum"}, id="an aggregation of nothing"),
        pytest.param(
            {"type": "vectorSelector", "matchers": [{"name": "a", "type": "<", "value": "b"}]}, id="a matcher"
        ),
        pytest.param({"type": "vectorSelector", "name": "a b", "matchers": []}, id="a name that would need quotes"),
        pytest.param({"type": "vectorSelector", "name": "a", "matchers": [], "offset": "x"}, id="an offset"),
    ],
)
def test_a_tree_that_is_not_understood_is_unusable(
    faulty: FaultyServer, executor: ThreadPoolExecutor, found: Any
) -> None:
    faulty.answer = lambda _: Reply(b'{"status": "success", "data": ' + as_json(found) + b"}")

    async def use(source: Prometheus) -> Any:
        return await source.prepare("up", "models")

    assert isinstance(used(faulty.url, executor, use, tenancy=Tenancy.NAMESPACE), Unusable)


def test_a_text_is_prepared_once(recorded: RecordedPrometheus, executor: ThreadPoolExecutor) -> None:
    async def use(source: Prometheus) -> Any:
        first = await asyncio.gather(*(source.prepare("up", "models") for _ in range(50)))
        again = await source.prepare("up", "models")
        other = await source.prepare("up", "other")
        return {*first, again}, other, source.counters.requests

    same, other, requests = used(recorded.url, executor, use, tenancy=Tenancy.NAMESPACE, timeout=timedelta(seconds=10))
    assert len(same) == 1
    assert other not in same
    assert requests == 2 * 3


def test_an_unusable_text_is_tried_again_after_a_while(
    recorded: RecordedPrometheus, executor: ThreadPoolExecutor
) -> None:
    clock = FakeClock()

    async def use(source: Prometheus) -> list[int]:
        counts = []
        for seconds in (0.0, RETRY_AFTER - 1, 1.0):
            await clock.advance(seconds)
            assert isinstance(await source.prepare("up)", "models"), Unusable)
            counts.append(source.counters.requests)
        return counts

    assert used(recorded.url, executor, use, clock, timeout=timedelta(seconds=10)) == [1, 1, 2]


def test_a_server_that_cannot_be_asked_now_is_asked_again_at_once(
    faulty: FaultyServer, executor: ThreadPoolExecutor
) -> None:
    faulty.answer = lambda _: Reply(b"", 500)

    async def use(source: Prometheus) -> Any:
        return [await source.prepare("up", "models") for _ in range(2)]

    assert used(faulty.url, executor, use) == [Failed("it answered 500")] * 2
    assert len(faulty.requests) == 2


def test_a_text_that_the_server_chokes_on_keeps_nobody_from_being_prepared(
    faulty: FaultyServer, executor: ThreadPoolExecutor
) -> None:
    sound = rewriting('up{namespace="models"}', tree("models"))

    def answer(request: Request) -> Reply:
        match request.form["query"]:
            case "choke":
                return Reply(b"", 500)
            case "1":
                return answered()
        return sound(request)

    faulty.answer = answer

    async def use(source: Prometheus) -> Any:
        return [await source.prepare("choke", "models"), await source.prepare("up", "models")]

    choked, prepared = used(faulty.url, executor, use, tenancy=Tenancy.NAMESPACE)
    assert choked == Failed("it answered 500")
    assert isinstance(prepared, Prepared)
