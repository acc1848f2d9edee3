"""What can a server say that no Prometheus says? That it failed is told in words, and no value is made of it."""

from __future__ import annotations

import asyncio
import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.builders import LATENCY, MIN, T0, a_situation, the_rules
from tests.fuzz.anything import FEW, JSON, MANY, TEXTS, Json, places, spoiled
from tests.observe.asking import as_json, asked, query, used
from tests.observe.faulty import FaultyServer, Reply, Request
from tocsin.act.notify.post import pagerduty_body, webhook_body
from tocsin.decide.incident import plan
from tocsin.decide.plan import Notify
from tocsin.decide.signals import advance, affected_by, describe, read
from tocsin.decide.situation import Failed, Measured, Memory, Vector
from tocsin.observe import answers, promql
from tocsin.observe.answers import Envelope
from tocsin.observe.batches import Batch
from tocsin.observe.history import History
from tocsin.observe.prometheus import Prometheus
from tocsin.observe.queries import Prepared, Selector, Unusable
from tocsin.observe.wire import Trouble
from tocsin.settings import Tenancy

SECONDS = round(T0.timestamp())
AT = SECONDS * 1000

NUMBERS = st.sampled_from(
    ["0.9", "0.2", "-0", "NaN", "+Inf", "-Inf", "1e999", "-1e-999", "9" * 400, "0e999", "1772442000", "1e10", "x", ""]
)
HALF = "\ud800"
"""Half a character: JSON has room for it, and UTF-8 has not."""
LABELS = {"l": "i1", "model": "fraud", "slice": "eu"}


def vector(*numbers: str, **labels: str) -> Json:
    """One series for each number."""
    series = [{"metric": LABELS | labels, "value": [SECONDS, number]} for number in numbers]
    return {"resultType": "vector", "result": series}


def matrix(*numbers: str) -> Json:
    """One series, with a number for each minute."""
    points = [[SECONDS + 60 * minute, number] for minute, number in enumerate(numbers)]
    return {"resultType": "matrix", "result": [{"metric": LABELS, "values": points}]}


SCRAPS = JSON | NUMBERS | st.sampled_from([SECONDS, SECONDS + 60, "i1", HALF, "fraud"])
VECTORS = st.builds(vector, NUMBERS, NUMBERS, slice=TEXTS | st.just(HALF)) | spoiled(vector("0.9", "0.2"), SCRAPS)
MATRICES = st.builds(matrix, NUMBERS, NUMBERS) | spoiled(matrix("0.9", "0.8"), SCRAPS)
ASKED = Prepared("default", "p99", "p99", selectors=(Selector("x{}", 0 * MIN), Selector("y{}", 10 * MIN)))
BATCH = Batch("l", {"i1": ASKED})


def answered(data: Json) -> Vector | Failed:
    """What the only query of a batch is answered."""
    rows = answers.instant(data, AT)
    split = rows if isinstance(rows, Failed) else BATCH.split(rows)
    return split if isinstance(split, Failed) else split[ASKED]


@MANY
@given(values=VECTORS, samples=VECTORS, reported=VECTORS)
@example(values=vector("0.9", slice=HALF), samples=vector("500"), reported=vector(str(SECONDS)))
def test_whatever_is_answered_becomes_a_reading_and_a_notice_that_can_be_sent(
    values: Json, samples: Json, reported: Json
) -> None:
    model, labels, counts = the_rules().model, ("model", "slice"), answered(samples)
    reading = read(
        LATENCY, model, T0, answered(values), samples=counts, reported=answered(reported), allowed_labels=labels
    )
    assert not isinstance(reading, Measured) or not reading.value.is_nan()
    memory: Memory | None = None
    for minute in range(5):
        memory = advance(memory, LATENCY, T0 + minute * MIN, reading)
        assert describe(memory, LATENCY)
    assert memory is not None
    affected = affected_by(counts, model, alone=False)
    decided = plan(a_situation(signals={"latency": memory}, now=T0 + 4 * MIN, affected=affected))
    assert json.dumps(decided.status.dump(), ensure_ascii=False).encode()
    for effect in decided.effects:
        if isinstance(effect, Notify):
            assert webhook_body(effect.notice)
            assert pagerduty_body("key", effect.notice)


@MANY
@given(values=MATRICES, fresh=st.just(matrix()) | MATRICES, counts=MATRICES)
@example(values=matrix("1", "1"), fresh=matrix(), counts=matrix("0"))
@example(values=matrix("1", "1"), fresh=matrix(), counts=matrix("NaN", "5"))
@example(values=matrix("1", "1"), fresh=matrix(), counts=matrix("+Inf"))
def test_the_past_is_told_at_every_instant_or_not_at_all(values: Json, fresh: Json, counts: Json) -> None:
    async def ask(expression: str, start: int, end: int, step: timedelta) -> Envelope | Trouble:
        if "count_over_time" in expression:
            return Envelope(counts)
        return Envelope(fresh if "last_over_time" in expression else values)

    found = asyncio.run(History(ask, ASKED, T0, T0 + MIN, MIN).read())
    assert isinstance(found, Failed) or list(found) == [T0, T0 + MIN]


SELECTOR = {
    "type": "vectorSelector", "name": "up", "offset": 60_000, "timestamp": AT, "startOrEnd": None,
    "matchers": [{"name": "__name__", "type": "=", "value": "up"}, {"name": "a", "type": "=~", "value": "b.*"}],
}  # fmt: skip
RANGE = SELECTOR | {"type": "matrixSelector", "range": 300_000, "offsetExpr": None}
RATE = {"type": "call", "func": {"name": "rate", "returnType": "vector"}, "args": [RANGE]}
NUMBER = {"type": "numberLiteral", "val": "1", "duration": True}
SPAN = {"type": "durationExpr", "op": "+", "lhs": None, "rhs": NUMBER, "wrapped": True}
SUM = {"type": "aggregation", "op": "sum", "expr": RATE, "param": None, "grouping": ["model"], "without": False}
TREE = {
    "type": "binaryExpr", "op": "/", "bool": False, "lhs": {"type": "parenExpr", "expr": SUM},
    "rhs": {"type": "subquery", "expr": SELECTOR, "range": 600_000, "stepExpr": SPAN, "step": 0, "offset": 0},
    "matching": {
        "card": "many-to-one", "labels": ["a"], "on": True, "include": ["b"], "fillValues": {"lhs": None, "rhs": 1},
    },
}  # fmt: skip
PARTS = st.sampled_from([TREE, SUM, RATE, SELECTOR, RANGE, SPAN, NUMBER])
TREES = PARTS.flatmap(lambda tree: spoiled(tree, JSON | PARTS))
MINE = {"name": "namespace", "type": "=", "value": "models"}
LOOKS: tuple[Callable[[Any], Any], ...] = (
    promql.kind, promql.written, promql.selectors, promql.calls, promql.depends_on_the_range,
)  # fmt: skip


@MANY
@given(TREES)
@example(RANGE | {"range": 2**63})
def test_a_tree_is_confined_in_every_selector_or_not_understood(tree: Json) -> None:
    try:
        confined = promql.confined(tree, "models")
    except promql.NotUnderstood:
        return
    nodes = [holder[key] for holder, key in places([confined])]
    selectors = [one for one in nodes if isinstance(one, dict) and one.get("type") in promql._SELECTORS]
    assert all(MINE in one["matchers"] for one in selectors)
    assert promql.normal(confined) == confined
    for look in LOOKS:
        try:
            found = look(confined)
        except promql.NotUnderstood:
            continue
        assert look is not promql.selectors or all('"namespace"="models"' in one.text for one in found)


@pytest.fixture(scope="module")
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as threads:
        yield threads


@pytest.fixture(scope="module")
def faulty() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        yield server


def success(data: Json) -> Reply:
    return Reply(as_json({"status": "success", "data": data}))


async def prepared(source: Prometheus) -> Prepared | Unusable | Failed:
    return await source.prepare("what the user wrote", "models")


@FEW
@given(parsed=st.just(TREE) | TREES, formatted=st.just("up") | JSON, again=st.just(TREE) | TREES)
@example(parsed=RATE | {"args": [RANGE | {"range": 2**63}]}, formatted="up", again=TREE)
def test_a_query_is_prepared_as_it_was_meant_or_not_at_all(
    faulty: FaultyServer, executor: ThreadPoolExecutor, parsed: Json, formatted: Json, again: Json
) -> None:
    def answer(request: Request) -> Reply:
        if request.path.endswith("format_query"):
            return success(formatted)
        return success(parsed if request.form["query"] == "what the user wrote" else again)

    faulty.answer = answer
    found = used(faulty.url, executor, prepared, tenancy=Tenancy.NAMESPACE)
    assert isinstance(found, Failed | Unusable) or promql.normal(again) == promql.confined(parsed, "models")


@pytest.mark.parametrize("levels", [10, 200, 400, 600, 800, *range(960, 1000, 4), 2_000, 100_000])
def test_however_deep_an_answer_is_nested_it_is_an_answer_or_failed(
    faulty: FaultyServer, executor: ThreadPoolExecutor, levels: int
) -> None:
    nested = b"[" * levels + b"]" * levels
    bodies = [b'{"status":"success","data":%b}' % nested, b'{"status":"success","data":1,"warnings":[%b]}' % nested]
    for body in (*bodies, nested):
        assert isinstance(answers.envelope(body), Failed | Envelope)
        replies = iter([success(SELECTOR), success("up"), Reply(body)])
        faulty.answer = lambda _, replies=replies: next(replies, Reply(status=500))  # type: ignore[misc]  # of a loop
        found = used(faulty.url, executor, prepared, tenancy=Tenancy.NAMESPACE)
        assert isinstance(found, Failed | Unusable)


class Blurter:
    """A server that says the same bytes to whoever asks, and hangs up."""

    def __init__(self) -> None:
        self.says = b""
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                self.request.recv(1 << 16)
                self.request.sendall(outer.says)

        self._server = socketserver.TCPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Blurter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture(scope="module")
def blurter() -> Iterator[Blurter]:
    with Blurter() as server:
        yield server


BODY = as_json({"status": "success", "data": vector("0.9")})
OK = b"HTTP/1.1 200 OK\r\n"
SAID = st.sampled_from(
    [
        OK + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY,
        OK + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY),
        OK + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00",
        b'HTTP/1.1 422 No\r\n\r\n{"status":"error","errorType":"execution","error":"x"}',
        b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\nSet-Cookie: a=b\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 3,
    ]
)


@st.composite
def garbled(draw: st.DrawFn, sound: bytes) -> bytes:
    """Bytes of which some are cut out, put in, or left off at the end."""
    said = sound
    for _ in range(draw(st.integers(1, 3))):
        first = draw(st.integers(0, len(said)))
        last = draw(st.integers(first, min(len(said), first + 8)) | st.just(len(said)))
        put_in = draw(st.binary(max_size=3) | st.sampled_from([b"\r\n", b"-1", b"\x00", b":"]))
        said = said[:first] + put_in + said[last:]
    return said


@FEW
@given(st.binary(max_size=40) | SAID.flatmap(lambda sound: garbled(sound)))
def test_whatever_bytes_come_they_are_an_answer_or_failed(
    blurter: Blurter, executor: ThreadPoolExecutor, says: bytes
) -> None:
    blurter.says = says
    found = used(blurter.url, executor, asked(query("p99")))
    assert [type(one) for one in found.values()] == [Failed]
