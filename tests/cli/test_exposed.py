"""Does what a model exposes show, without a cluster, which queries find nothing and which lines nothing crosses?"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.test_lint import POLICY, ROLE
from tocsin.cli.expressions import Matcher, Reads, buckets_of, selectors
from tocsin.cli.main import main

METRICS = """
# HELP seconds How long a prediction took.
# TYPE seconds histogram
seconds_bucket{model="fraud",le="0.1"} 4
seconds_bucket{model="fraud",le="1"} 9
seconds_bucket{model="fraud",le="+Inf"} 9
seconds_sum{model="fraud"} 3.2
seconds_count{model="fraud"} 9
# TYPE long histogram
long_bucket{model="cards",le="10"} 9
long_bucket{model="cards",le="+Inf"} 9
long_sum{model="cards"} 3.2
long_count{model="cards"} 9
"""
P99 = "histogram_quantile(0.99, sum by (model, le) (rate(seconds_bucket[5m])))"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        pytest.param("up", [Reads("up")], id="a bare name"),
        pytest.param('up{a="1", b!~"2|3"}[5m:1m] offset -5m', [("up", 'a="1"', 'b!~"2|3"')], id="matchers"),
        pytest.param("{'my metric', 'a b'=~`x\\d`}", [("my metric", 'a b=~"x\\d"')], id="quoted names"),
        pytest.param('{__name__="up"}', [Reads("up")], id="a name as a matcher"),
        pytest.param(
            "sum by (model, le) (rate(a[5m])) / on (b) group_left (c) d", [Reads("a"), Reads("d")], id="labels"
        ),
        pytest.param("sum(a) without (b) or c and bool unless d", [Reads("a"), Reads("c"), Reads("d")], id="words"),
        pytest.param("a + a # b\n > bool 1e3", [Reads("a")], id="each once, and no comment"),
        pytest.param('label_replace(a, "b{", "$1", "c", "(.*)")', [Reads("a")], id="braces in a text"),
        pytest.param("rate(a[5m] @ end()) + vector(1) + inf", [Reads("a")], id="no series"),
        pytest.param("a{b=", [], id="no PromQL"),
        pytest.param('a{b=~"("}', [], id="no regular expression"),
    ],
)
def test_what_an_expression_reads(query: str, found: list[Reads | tuple[str, ...]]) -> None:
    read = [(one.metric, *map(str, one.matchers)) for one in selectors(query)]
    assert read == [(one.metric,) if isinstance(one, Reads) else one for one in found]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        pytest.param(P99, "seconds_bucket", id="of a sum"),
        pytest.param(f"(max by (model) ({P99}))", "seconds_bucket", id="the worst of several"),
        pytest.param(f"max({P99}) by (model)", "seconds_bucket", id="the labels last"),
        pytest.param(f"1000 * {P99}", "", id="in other units"),
        pytest.param(f"{P99} * 1000", "", id="in other units, after it"),
        pytest.param(f"max({P99}) * 1000", "", id="in other units, after an aggregation"),
        pytest.param(f"sum({P99})", "", id="a sum of quantiles"),
        pytest.param("rate(seconds_bucket[5m])", "", id="no quantile"),
        pytest.param("histogram_quantile(0.9, a", "", id="no PromQL"),
    ],
)
def test_of_which_buckets_an_expression_is_a_quantile(query: str, found: str) -> None:
    assert [one.metric for one in buckets_of(query)] == ([found] if found else [])


@pytest.mark.parametrize(
    ("how", "value", "there", "absent"),
    [("=", "a", True, False), ("!=", "a", False, True), ("=~", "a|b", True, False), ("!~", "a|b", False, True)],
)
def test_a_matcher(how: str, value: str, there: bool, absent: bool) -> None:
    matcher = Matcher("x", how, value)
    assert (matcher.holds({"x": "a"}), matcher.holds({})) == (there, absent)


def lint(folder: Path, metrics: str | None = METRICS, **lines: str) -> int:
    """Lint the policy of these tests with other lines, beside what was scraped."""
    signal = {"name": "latency", "kind": "Latency", "query": P99, "warn": "> 0.3"} | lines
    inner = ", ".join(f"{name}: '{text.replace(chr(39), chr(39) * 2)}'" for name, text in signal.items())
    text = POLICY.replace(
        '{name: latency, kind: Latency, query: p99, warn: "> 0.3", critical: "> 0.6"}', f"{{{inner}}}"
    )
    (folder / "all.yaml").write_text(text + ROLE)
    (folder / "metrics.txt").write_text(metrics or "")
    beside = [] if metrics is None else ["--metrics", str(folder / "metrics.txt")]
    return main(["lint", str(folder / "all.yaml"), *beside])


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        pytest.param(
            {"warn": "> 1"},
            'spec.signals[0].warn: "> 1" never fires: the last bucket ends at 1, and no quantile is beyond it',
            id="a line at the last bucket",
        ),
        pytest.param({"critical": "> 2"}, 'critical: "> 2" is never reached', id="a line above it"),
        pytest.param(
            {"warn": "< 0.1", "recover": ">= 2"},
            'recover: ">= 2" never holds, so that it never recovers',
            id="recovery",
        ),
        pytest.param(
            {"query": "rate(second_bucket[5m])"},
            "spec.signals[0].query: second_bucket was not scraped, did you mean seconds_bucket?",
            id="a misspelt metric",
        ),
        pytest.param(
            {"query": 'seconds_count{model="cards"}'},
            'query: no series of seconds_count has model="cards"; model is fraud',
            id="a label of another value",
        ),
        pytest.param(
            {"query": 'seconds_bucket{le="1"}'},
            'query: no series of seconds_bucket has le="1"; le is +Inf, 0.1, 1.0',
            id="a bucket as Prometheus 2 wrote it",
        ),
        pytest.param(
            {"query": 'seconds_bucket{le!="0.1", le!="1.0", le!="+Inf"}'},
            'no series of seconds_bucket has le!="0.1", le!="1.0", le!="+Inf" at once',
            id="no series has all at once",
        ),
    ],
)
def test_what_is_never_found_or_crossed_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: dict[str, str], words: str
) -> None:
    assert lint(tmp_path, **lines) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.startswith(f"{tmp_path / 'all.yaml'}: escalationpolicy/fraud: spec.signals[0]")
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param({"warn": ">= 1"}, id="a line that the last bucket itself crosses"),
        pytest.param({"warn": "< 2"}, id="a line from above"),
        pytest.param({"warn": "> 2", "query": f"1000 * {P99}"}, id="in other units"),
        pytest.param({"warn": "> 2", "query": P99.replace("seconds", "long")}, id="another histogram"),
        pytest.param({"query": 'seconds_count{namespace="models", model="fraud"}'}, id="a label of the target"),
        pytest.param({"query": "model:seconds:rate5m"}, id="what a recording rule makes"),
        pytest.param({"query": 'seconds_bucket{le="1.0"}'}, id="a bucket as it is stored"),
    ],
)
def test_what_may_be_found_and_crossed_is_not(tmp_path: Path, lines: dict[str, str]) -> None:
    assert lint(tmp_path, **lines) == 0


def test_open_metrics_are_read_too_and_what_is_neither_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exemplar = METRICS.replace('le="1"} 9', 'le="1"} 9 # {trace="7"} 0.3', 1).lstrip() + "# EOF\n"
    assert lint(tmp_path, exemplar, warn="> 1") == 2
    assert "the last bucket ends at 1," in capsys.readouterr().err
    assert lint(tmp_path, "<html>") == 2
    assert capsys.readouterr().err.splitlines()[1].startswith("write it by: curl -s http://MODEL:PORT/metrics > ")


KSERVE = "histogram_quantile(0.99, sum by (le, model_name) (rate(request_predict_seconds_bucket[5m])))"
SLOW = """
request_predict_seconds_bucket{model_name="fraud",le="60"} 9
request_predict_seconds_bucket{model_name="fraud",le="+Inf"} 9
"""


def test_where_the_buckets_of_kserve_end_is_known_unless_a_scrape_says_otherwise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lint(tmp_path, None, warn="> 10", query=KSERVE) == 2
    assert "the last bucket ends at 10," in capsys.readouterr().err
    assert lint(tmp_path, None, warn="> 9", query=KSERVE) == 0
    assert lint(tmp_path, SLOW, warn="> 10", query=KSERVE) == 0


def test_without_a_scrape_nothing_is_said_of_what_a_query_reads(tmp_path: Path) -> None:
    assert lint(tmp_path, None, warn="> 1") == 0
