"""Can a tenant read another's series, or speak for another's rule? Not by any expression, against a real Prometheus."""

from __future__ import annotations

import asyncio
import json
import urllib.parse
import urllib.request
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.clocks import T0
from tests.observe.recorded import RecordedPrometheus
from tocsin.decide.situation import Failed, Vector
from tocsin.observe.prometheus import Prometheus
from tocsin.observe.queries import Prepared, Unusable
from tocsin.settings import PrometheusServer, Tenancy

MIN = timedelta(minutes=1)
AT = T0 + 50 * MIN
T = TypeVar("T")

SHAPES = {
    "latency p99": "histogram_quantile(0.99, sum by (le, model_name)(rate(request_predict_seconds_bucket[5m])))",
    "share slower than a bound": r"""1 - sum by (model_name)(rate(request_predict_seconds_bucket{le=~"1(\\.0)?"}[5m]))
        / sum by (model_name)(rate(request_predict_seconds_count[5m]))""",
    "error ratio, zero-filled": """(sum by (model)(rate(infer_total{code!~"2..|OK"}[5m]))
        or 0*sum by (model)(rate(infer_total[5m]))) / sum by (model)(rate(infer_total[5m]))""",
    "guard by samples": "quality and on(model) (sum by (model)(increase(infer_total[10m])) >= 100)",
    "KS distance against an earlier window": """max by (model_name)(abs(
          sum by (model_name,le)(increase(request_predict_seconds_bucket{le!="+Inf"}[10m]))
            / ignoring(le) group_left sum by (model_name)(increase(request_predict_seconds_bucket{le="+Inf"}[10m]))
        - sum by (model_name,le)(increase(request_predict_seconds_bucket{le!="+Inf"}[10m] offset 20m))
            / ignoring(le) group_left
              sum by (model_name)(increase(request_predict_seconds_bucket{le="+Inf"}[10m] offset 20m))))""",
    "PSI from recorded proportions": "sum by (model)((quality - drift) * ln(quality / drift))",
    "age of the last sample": "time() - max by (model)(max_over_time(timestamp(quality)[6h:1m]))",
    "volume drop with a floor": """sum by (model)(rate(infer_total[15m]))
        / (sum by (model)(rate(infer_total[15m] offset 20m)) > 0.05)""",
    "every metric": '{__name__=~".+"}',
    "a quoted metric name": '{"my.metric"}',
    "quoted labels": '{"my.metric", "a.b"="c"} + on("a.b") group_left("model") {"my.metric"}',
    "a name with colons": ":tensorflow:serving:request_count",
    "a comment that swallows the rest": 'quality # {namespace="x"} ) or vector(1)\n + 0 # )',
    "unicode": 'quality{model!="😀\\u0000\\"}\\n"} * 1 or label_replace(quality, "ü", "é{}", "", "")',
    "a bracket in a string": 'quality{model!=") or {"} or count_values("}", quality)',
    "absent": "absent(no_such_metric{a=\"b\"}) or absent_over_time(no_such_metric[5m])",
    "an @ and a negative offset": f"quality @ {T0.timestamp() + 600:.0f} offset -1m + quality offset 2m",
    "a subquery in a subquery": "max_over_time(avg_over_time(rate(infer_total[2m])[4m:1m] offset 1m)[10m:2m])",
    "a duration expression": "rate(infer_total[1m * 2 + 3m]) + rate(infer_total[5m] offset (1m + 1m))",
    "an extended range": "increase(infer_total[5m] anchored) + rate(infer_total[5m] smoothed)",
    "bool, atan2 and powers": "(quality > bool 0.5) atan2 -drift ^ 2 ^ 0.5 % 3",
    "fill modifiers": "quality + on(model) fill_left(1) fill_right(2) drift - on(model) fill(0) quality",
    "limitk, limit_ratio, quantile": "limitk(1, quality) or limit_ratio(0.5, drift) or quantile(0.5, quality)",
    "topk without": "topk without (namespace) (1, quality) or sum without () (drift)",
    "group_right with labels": "max by (namespace) (drift) * on(namespace) group_right(test) quality",
    "set operators": "quality unless on(model) drift{model=\"a\"} or drift and quality",
    "arguments that are selectors": "clamp(quality, scalar(min(drift)), scalar(max(quality)))",
    "label_join": 'label_join(label_replace(quality, "x", "z", "model", ".*"), "y", "-", "x", "model")',
    "numbers": "1e3 + 0x1F - -Inf * quality + NaN + 5m",
    "a scalar": "time() / 3600 + scalar(quality{model=\"a\"})",
    "the tenant's own matcher": 'quality{namespace="models"} + on(model, namespace) quality{namespace=~"mod.*"}',
    "a native histogram": "histogram_quantile(0.5, sizes) + histogram_count(sizes)",
}  # fmt: skip


def filled(server: RecordedPrometheus, namespace: str) -> None:
    """A little of everything that the shapes read."""
    for model, base in (("a", 0.9), ("b", 0.4)):
        own = {"namespace": namespace, "model": model}
        times = [T0 + n * MIN for n in range(60)]
        server.record("quality", own, {at: base + n / 1000 for n, at in enumerate(times)})
        server.record("drift", own, {at: 0.1 + n / 500 for n, at in enumerate(times)})
        server.record("my.metric", own | {"a.b": "c" if model == "a" else "d"}, dict.fromkeys(times, base))
        server.record(":tensorflow:serving:request_count", own, {at: n * 7.0 for n, at in enumerate(times)})
        for code, rate in (("200", 600.0), ("500", 6.0)):
            server.record("infer_total", own | {"code": code}, {at: n * rate for n, at in enumerate(times)})
        served = {"namespace": namespace, "model_name": model}
        for le, rate in (("0.1", 3.0), ("1.0", 8.0), ("+Inf", 10.0)):
            counts = {at: n * rate * (1 + n // 30) for n, at in enumerate(times)}
            server.record("request_predict_seconds_bucket", served | {"le": le}, counts)
        server.record("request_predict_seconds_count", served, {at: n * 10.0 for n, at in enumerate(times)})
        server.record("sizes", own, {at: float(n) for n, at in enumerate(times)}, histogram=True)
        server.record("target_info", own | {"job": "j", "instance": "i"}, dict.fromkeys(times, 1.0))


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecordedPrometheus]:
    """A server that holds the series of the namespace `models`, and no others."""
    server = RecordedPrometheus(tmp_path_factory.mktemp("full"))
    server.start()
    filled(server, "models")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecordedPrometheus]:
    """A server without any series."""
    server = RecordedPrometheus(tmp_path_factory.mktemp("empty"))
    server.start()
    yield server
    server.stop()


Use = Callable[[Prometheus], Awaitable[T]]


def on(server: RecordedPrometheus, executor: ThreadPoolExecutor, tenancy: Tenancy, use: Use[T]) -> T:
    async def session() -> T:
        source = Prometheus("default", PrometheusServer(url=server.url, tenancy=tenancy), executor)
        try:
            return await use(source)
        finally:
            source.close()

    return asyncio.run(session())


def evaluated(text: str, namespace: str) -> Use[Any]:
    async def use(source: Prometheus) -> Any:
        query = await source.prepare(text, namespace)
        if not isinstance(query, Prepared):
            return query
        return comparable((await source.ask([query], AT))[query])

    return use


def comparable(found: Vector | Failed) -> Any:
    if isinstance(found, Failed):
        return found
    return sorted((tuple(sorted(sample.labels.items())), str(sample.value)) for sample in found)


def posted(server: RecordedPrometheus, endpoint: str, form: Mapping[str, str]) -> Any:
    body = urllib.parse.urlencode(form).encode()
    with urllib.request.urlopen(f"{server.url}/api/v1/{endpoint}", body, timeout=10) as answer:
        return json.load(answer)["data"]


def unconfined_selectors(tree: Any, namespace: str) -> list[Any]:
    """Written apart from the code under test: every dictionary with matchers must have ours among them."""
    if isinstance(tree, list):
        return [found for item in tree for found in unconfined_selectors(item, namespace)]
    if not isinstance(tree, dict):
        return []
    mine = {"name": "namespace", "type": "=", "value": namespace}
    here = [tree] if tree.get("matchers") is not None and mine not in tree["matchers"] else []
    return here + [found for value in tree.values() for found in unconfined_selectors(value, namespace)]


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in SHAPES.items()])
def test_the_tenant_s_own_answer_does_not_change(
    full: RecordedPrometheus, executor: ThreadPoolExecutor, text: str
) -> None:
    confined = on(full, executor, Tenancy.NAMESPACE, evaluated(text, "models"))
    raw = on(full, executor, Tenancy.SINGLE, evaluated(text, "models"))
    assert isinstance(raw, Failed) == (text == SHAPES["every metric"]), raw  # a native histogram is among them
    if "absent" in text:
        confined = without_namespace(confined)  # it tells what it looked for
    assert confined == raw
    assert raw != []


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in SHAPES.items()])
def test_a_stranger_s_answer_is_that_of_a_server_without_series(
    full: RecordedPrometheus, empty: RecordedPrometheus, executor: ThreadPoolExecutor, text: str
) -> None:
    found = on(full, executor, Tenancy.NAMESPACE, evaluated(text, "stranger"))
    assert found == on(empty, executor, Tenancy.NAMESPACE, evaluated(text, "stranger"))
    assert not isinstance(found, Failed | Unusable)


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in SHAPES.items()])
def test_every_selector_of_what_is_asked_carries_the_namespace(
    full: RecordedPrometheus, executor: ThreadPoolExecutor, text: str
) -> None:
    async def use(source: Prometheus) -> Any:
        return await source.prepare(text, "models")

    query = on(full, executor, Tenancy.NAMESPACE, use)
    assert unconfined_selectors(posted(full, "parse_query", {"query": query.expression}), "models") == []
    for selector in query.selectors:
        assert unconfined_selectors(posted(full, "parse_query", {"query": selector.text}), "models") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("quality) or (quality", "parse error", id="closing the bracket that we open"),
        pytest.param('quality\n),"t","i","","") or label_replace((quality', "parse error", id="a forged member"),
        pytest.param("quality #", "", id="a comment to swallow what follows"),
        pytest.param("info(quality)", "info()", id="info reads target_info by itself"),
        pytest.param('info(quality, {data=~".+"})', "info()", id="info with a selector of data labels"),
        pytest.param("sum(abs(info(quality)))", "info()", id="info inside"),
        pytest.param("quality @ end()", "end()", id="the end of the range is another thing in history"),
        pytest.param("max_over_time(quality[5m:] @ start())", "start()", id="so is its start"),
        pytest.param("rate(infer_total[step() + 1m])", "step()", id="so is its step"),
        pytest.param("avg_over_time(quality[5m])[10m:1m]", "a range", id="a range is no value"),
        pytest.param("quality[5m]", "a range", id="nor are raw samples"),
        pytest.param('"text"', "a text", id="nor is a text"),
        pytest.param("", "no expression found", id="nothing at all"),
        pytest.param("\ud800", "not UTF-8", id="half a surrogate pair"),
        pytest.param("+".join(["quality"] * 3000), "too deeply", id="three thousand terms"),
        pytest.param("(" * 400 + "quality" + ")" * 400, "too deeply|longer than", id="four hundred brackets"),
    ],
)  # fmt: skip
def test_what_is_not_asked(full: RecordedPrometheus, executor: ThreadPoolExecutor, text: str, message: str) -> None:
    async def use(source: Prometheus) -> Any:
        return await source.prepare(text, "models")

    found = on(full, executor, Tenancy.NAMESPACE, use)
    if not message:
        assert isinstance(found, Prepared)
        assert "#" not in found.expression
        return
    assert isinstance(found, Unusable)
    assert any(part in found.message for part in message.split("|")), found.message


def test_a_namespace_is_quoted(full: RecordedPrometheus, executor: ThreadPoolExecutor) -> None:
    async def use(source: Prometheus) -> Any:
        return await source.prepare("quality", 'a"} or quality{x="')

    query = on(full, executor, Tenancy.NAMESPACE, use)
    assert posted(full, "parse_query", {"query": query.expression})["type"] == "vectorSelector"


def test_a_server_of_one_tenant_is_asked_without_a_namespace(
    full: RecordedPrometheus, executor: ThreadPoolExecutor
) -> None:
    async def use(source: Prometheus) -> Any:
        return [
            await source.prepare(text, namespace)
            for text, namespace in (("info( quality )", "a"), ("info(quality)", "b"))
        ]

    first, second = on(full, executor, Tenancy.SINGLE, use)
    assert first == second
    assert first.expression == "info(quality)"


LEAVES = st.sampled_from(
    ["quality", "drift", 'quality{model="a"}', '{__name__=~"quality|drift"}', "vector(2)", "quality offset 3m",
     'drift{model!~"b|}",test=~".*"}', '{"my.metric"}', "no_such_metric", f"quality @ {T0.timestamp() + 300:.0f}"]
)  # fmt: skip
WRAPS = st.sampled_from(
    ["sum by (model) ({0})", "max without (test, __name__) ({0})", "-({0})", "abs({0})", "avg_over_time(({0})[10m:2m])",
     "topk(1, {0})", "({0}) > 0.5", "count_values(\"v)\", {0})", "quantile(0.3, {0})", "sort_desc({0})", "absent({0})",
     'label_replace({0}, "z", "$1#", "model", "(.*)")', "timestamp({0})", "vector(scalar({0}))", "stddev({0}) # c)\n"]
)  # fmt: skip
JOINS = st.sampled_from(
    ["({0}) + on(model) group_left() sum by (model) ({1})", "({0}) or ({1})", "({0}) unless on(model) ({1})",
     "sum by (model) ({0}) / ignoring(x) sum by (model) ({1})", "({0}) and on() ({1})", "max({0}) == bool min({1})"]
)  # fmt: skip
EXPRESSIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda shape, one: str(shape).replace("{0}", one), WRAPS, inner),
        st.builds(lambda shape, one, two: str(shape).replace("{0}", one).replace("{1}", two), JOINS, inner, inner),
    ),
    max_leaves=5,
)


@given(EXPRESSIONS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_expression_reads_beyond_its_namespace(
    full: RecordedPrometheus, empty: RecordedPrometheus, executor: ThreadPoolExecutor, text: str
) -> None:
    stranger = on(full, executor, Tenancy.NAMESPACE, evaluated(text, "stranger"))
    assert stranger == on(empty, executor, Tenancy.NAMESPACE, evaluated(text, "stranger"))
    own = on(full, executor, Tenancy.NAMESPACE, evaluated(text, "models"))
    raw = on(full, executor, Tenancy.SINGLE, evaluated(text, "models"))
    if "absent" in text and not isinstance(raw, Failed):
        own, raw = without_namespace(own), without_namespace(raw)
    assert own == raw


def without_namespace(found: Any) -> Any:
    return sorted((tuple(label for label in labels if label[0] != "namespace"), value) for labels, value in found)
