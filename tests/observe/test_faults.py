"""What does a server that is down, slow or strange make of all queries? Failures in few words, never a value."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from tests.clocks import T0
from tests.cluster.certificates import Authority
from tests.observe.asking import SHORT, Answer, all_but, as_json, asked, queries, query, used, value
from tests.observe.faulty import FaultyServer, Reply, answered, refused, repeat
from tocsin.decide.situation import Failed
from tocsin.observe import wire
from tocsin.observe.prometheus import AT_ONCE, Prometheus
from tocsin.observe.queries import Unusable
from tocsin.settings import Tenancy

HUGE = Reply(announced=1 << 30, then=lambda write: repeat(64, lambda: write(b" " * (1 << 20))))
CREDENTIALS = "it refuses our credentials (401): check bearerTokenFile and headers"
DEEP = Reply(b"[" * 100_000)


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        pytest.param(Reply(b"<html>Sign in, s3cret</html>"), "not Prometheus's JSON", id="a page with 200"),
        pytest.param(Reply(b'{"status":"success","data":{"resultTy'), "not Prometheus's JSON", id="truncated JSON"),
        pytest.param(Reply(b""), "not Prometheus's JSON", id="nothing"),
        pytest.param(Reply(b'{"status":"success"}'), "not Prometheus's JSON", id="a success without data"),
        pytest.param(answered(kind="scalar"), "not a vector", id="a scalar"),
        pytest.param(answered({"metric": {"a": "s3cret"}, "value": [0, "1"]}), "not the vector", id="of another time"),
        pytest.param(Reply(b"s3cret", 500), "it answered 500", id="an error of the server"),
        pytest.param(Reply(b"s3cret", 502), "it answered 502", id="a gateway without a server"),
        pytest.param(Reply(b"s3cret", 400), "it answered 400", id="a refusal that is not Prometheus's"),
        pytest.param(Reply(b"s3cret", 429), "it answered 429", id="too many requests"),
        pytest.param(Reply(b"s3cret", 401), "credentials (401): check bearerTokenFile", id="no credentials"),
        pytest.param(Reply(b"s3cret", 403), "refuses our credentials (403)", id="not enough rights"),
        pytest.param(Reply(b"s3cret", 404), "url must be the base address", id="not Prometheus at all"),
        pytest.param(Reply(b"", 302, {"Location": "http://127.0.0.1:9/s3cret"}), "it redirects (302)", id="a redirect"),
        pytest.param(Reply(b"", 308, {"Location": "/elsewhere"}), "it redirects (308)", id="a permanent redirect"),
        pytest.param(Reply(b"s3cret", announced=100), "refused or lost", id="fewer bytes than announced"),
        pytest.param(Reply(b"s3cret", 200, {"Content-Encoding": "gzip"}), "could not be made", id="gzip that is none"),
        pytest.param(HUGE, "larger than 8 MiB", id="a huge answer"),
    ],
)  # fmt: skip
def test_a_bad_server_fails_all_at_once_in_few_words_and_quarantines_nothing(
    faulty: FaultyServer, executor: ThreadPoolExecutor, reply: Reply, message: str
) -> None:
    faulty.answer = lambda _: reply

    async def use(source: Prometheus) -> Any:
        found = await source.ask(queries(50), T0)
        prepared = await source.prepare("up", "models")
        history = await source.ask_range(query("up"), T0, T0, timedelta(minutes=1))
        return [*found.values()], prepared, history, source.quarantined

    found, prepared, history, quarantined = used(faulty.url, executor, use)
    assert len(set(found)) == 1
    assert message in found[0].message
    assert quarantined == {}
    assert isinstance(history, Failed)
    assert isinstance(prepared, Failed | Unusable)
    words = [found[0].message, prepared.message, history.message]
    assert all("s3cret" not in text and len(text) < 250 for text in words)
    assert len(faulty.requests) <= 2 + 2 + 1


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(lambda closing: Reply(announced=10, then=lambda _: closing.wait(5)), id="hanging before the body"),
        pytest.param(
            lambda closing: Reply(
                announced=10_000, then=lambda write: repeat(200, lambda: (write(b" "), closing.wait(0.02)))
            ),
            id="dripping",
        ),
    ],
)
def test_a_slow_server_is_given_up_after_the_timeout(
    faulty: FaultyServer, executor: ThreadPoolExecutor, reply: Callable[[threading.Event], Reply]
) -> None:
    faulty.answer = lambda _: reply(faulty.closing)
    found = used(faulty.url, executor, asked(*queries(3)), timeout=SHORT)
    assert set(found.values()) == {Failed("no answer within 250ms")}


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(lambda _: lambda _: Reply(b"", 401), id="as it says"),
        pytest.param(lambda closing: lambda _: Reply(announced=9, then=lambda _: closing.wait(5)), id="as it hangs"),
    ],
)
def test_once_a_server_is_down_the_rest_of_the_round_is_not_sent(
    faulty: FaultyServer, executor: ThreadPoolExecutor, reply: Callable[[threading.Event], Answer]
) -> None:
    faulty.answer = reply(faulty.closing)
    wanted = [query(f"q{n}", f"tenant {n}") for n in range(200)]
    found = used(faulty.url, executor, asked(*wanted), timeout=SHORT)
    assert len(found) == 200
    assert all(isinstance(one, Failed) for one in found.values())
    assert len(faulty.requests) <= 2 * AT_ONCE


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(lambda _: Reply(b"", 401), id="as it says"),
        pytest.param(lambda closing: Reply(announced=9, then=lambda _: closing.wait(5)), id="as it hangs"),
    ],
)
def test_once_a_server_is_down_nothing_more_is_prepared(
    faulty: FaultyServer, executor: ThreadPoolExecutor, reply: Callable[[threading.Event], Reply]
) -> None:
    faulty.answer = lambda _: reply(faulty.closing)

    async def use(source: Prometheus) -> Any:
        return await asyncio.gather(*(source.prepare(f"q{n}", "models") for n in range(200)))

    found = used(faulty.url, executor, use, timeout=SHORT)
    assert all(isinstance(one, Failed) for one in found)
    assert len(faulty.requests) <= 2 * AT_ONCE


@pytest.mark.parametrize(
    ("reply", "trouble"),
    [
        pytest.param(
            refused("many-to-many matching is not allowed"),
            None,
            id="a query that fails by its own fault is no trouble",
        ),
        pytest.param(Reply(b"", 401), Failed(CREDENTIALS), id="a server that refuses us is"),
    ],
)
def test_the_trouble_of_the_server_as_a_whole(
    faulty: FaultyServer, executor: ThreadPoolExecutor, reply: Reply, trouble: Failed | None
) -> None:
    faulty.answer = lambda request: answered() if request.form["query"] == "1" else reply

    async def use(source: Prometheus) -> Any:
        found = []
        for _ in range(2):  # the second time it is in quarantine, and nothing is asked
            answers = await source.ask([query("a")], T0)
            found.append((answers[query("a")].__class__, source.trouble))
        return found

    assert used(faulty.url, executor, use) == [(Failed, trouble)] * 2


def test_a_hundred_thousand_brackets_are_an_answer_to_nothing(
    faulty: FaultyServer, executor: ThreadPoolExecutor
) -> None:
    faulty.answer = lambda _: DEEP
    assert isinstance(used(faulty.url, executor, asked(query("a")))[query("a")], Failed)


def test_the_token_is_read_anew_and_the_headers_are_sent(
    faulty: FaultyServer, executor: ThreadPoolExecutor, tmp_path: Path
) -> None:
    faulty.answer = all_but((), Reply())
    token = tmp_path / "token"

    async def use(source: Prometheus) -> None:
        for text in ("first", "second"):
            token.write_text(f"{text}\n")
            await source.ask([query("a")], T0)

    used(faulty.url, executor, use, bearer_token_file=token, headers={"X-Scope-OrgID": "bank"})
    sent = [(request.headers["Authorization"], request.headers["X-Scope-OrgID"]) for request in faulty.requests]
    assert sent == [("Bearer first", "bank"), ("Bearer second", "bank")]


def test_without_its_token_nothing_is_sent(faulty: FaultyServer, executor: ThreadPoolExecutor, tmp_path: Path) -> None:
    found = used(faulty.url, executor, asked(query("a")), bearer_token_file=tmp_path / "missing")
    assert found == {query("a"): Failed("bearerTokenFile cannot be read: FileNotFoundError")}
    assert faulty.requests == []


def test_a_token_that_is_echoed_is_not_repeated(
    faulty: FaultyServer, executor: ThreadPoolExecutor, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret-token")
    faulty.answer = lambda request: refused(f"parse error near {request.headers['Authorization']} and s3cret-token")
    [failed] = used(faulty.url, executor, asked(query("a")), bearer_token_file=token).values()
    assert failed == Failed("parse error near … and …")


def test_label_values_in_prometheus_s_words_are_left_out(faulty: FaultyServer, executor: ThreadPoolExecutor) -> None:
    faulty.answer = lambda _: refused(
        'found duplicate series: [{customer="A }", x="1"}, {customer="B\\""}]\nmany-to-many'
    )
    [failed] = used(faulty.url, executor, asked(query("a"))).values()
    assert failed == Failed("found duplicate series: [{…}, {…}] many-to-many")


def test_a_certificate_counts_only_with_its_authority(executor: ThreadPoolExecutor, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    with FaultyServer(*authority.server("prometheus", ["127.0.0.1"])) as server:
        server.answer = all_but((), Reply())
        patient = timedelta(seconds=5)
        without = used(server.url, executor, asked(query("a")), timeout=patient)
        given = used(server.url, executor, asked(query("a")), timeout=patient, ca_file=authority.certificate)
    assert without == {query("a"): Failed("its certificate does not verify: set caFile to its CA")}
    assert given == {query("a"): value("a", "1")}


def test_nothing_is_tried_twice_behind_our_back(executor: ThreadPoolExecutor) -> None:
    async def use(source: Prometheus) -> Any:
        adapter: Any = source._wire._session.get_adapter("http://127.0.0.1:9/api/v1/query")
        return adapter.max_retries.total

    assert used("http://127.0.0.1:9", executor, use) == 0


def test_the_proxy_of_the_environment_is_not_used(
    faulty: FaultyServer, executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    faulty.answer = all_but((), Reply())
    assert used(faulty.url, executor, asked(query("a"))) == {query("a"): value("a", "1")}


def test_warnings_and_failures_are_counted(faulty: FaultyServer, executor: ThreadPoolExecutor) -> None:
    replies = iter([answered(warnings=["partial response"]), Reply(b"", 401), answered()])
    faulty.answer = lambda _: next(replies)

    async def use(source: Prometheus) -> Any:
        for minute in range(3):
            await source.ask([query("a")], T0 + minute * timedelta(minutes=1))
        return source.counters.requests, source.counters.failures, source.counters.warnings

    assert used(faulty.url, executor, use) == (3, 1, 1)


BODIES = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([b"{}", b"null", b'{"status":"success","data":{"resultType":"vector","result":[{}]}}', b"[[[["]),
    st.recursive(
        st.none() | st.text(max_size=4) | st.floats(allow_nan=False),
        lambda inner: st.dictionaries(st.sampled_from(["type", "name", "matchers", "expr", "op"]), inner, max_size=3)
        | st.lists(inner, max_size=2),
        max_leaves=6,
    ).map(lambda data: b'{"status":"success","data":' + as_json(data) + b"}"),
)  # fmt: skip


@given(BODIES, st.sampled_from([200, 200, 200, 204, 400, 418, 422, 500, 503]))
@examples(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_answer_ever_raises_or_gives_a_value(
    faulty: FaultyServer, executor: ThreadPoolExecutor, body: bytes, status: int
) -> None:
    faulty.answer = lambda _: Reply(b"" if status == 204 else body, status)

    async def use(source: Prometheus) -> Any:
        prepared = await source.prepare("up", "models")
        now = await source.ask(queries(2), T0)
        return prepared, now.values(), await source.ask_range(query("up"), T0, T0, timedelta(minutes=1))

    prepared, now, history = used(faulty.url, executor, use, tenancy=Tenancy.NAMESPACE)
    assert isinstance(prepared, Failed | Unusable)
    assert all(isinstance(found, Failed) for found in now)
    assert isinstance(history, Failed)


def test_the_limit_of_an_answer_is_far_above_ten_thousand_models() -> None:
    assert wire.LARGEST > 5 * 1_570_000
