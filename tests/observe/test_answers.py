"""Which numbers does an answer hold? Those that are written in it, and nothing for everything else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.decide.situation import Failed, Sample
from tocsin.observe import answers
from tocsin.observe.answers import HISTOGRAM, Envelope, Row
from tocsin.observe.batches import Batch
from tocsin.observe.queries import Prepared

AT = 1_772_442_000_000
SECONDS = AT // 1000


def vector(*series: Any, kind: str = "vector") -> Any:
    return {"resultType": kind, "result": list(series)}


def sample(value: Any, at: Any = SECONDS, **labels: Any) -> Any:
    return {"metric": labels, "value": [at, value]}


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        pytest.param(vector(), (), id="no series"),
        pytest.param(vector(sample("0.93", model="a")), (Row({"model": "a"}, Decimal("0.93")),), id="a value"),
        pytest.param(vector(sample("1e-07")), (Row({}, Decimal("1e-07")),), id="an exponent"),
        pytest.param(vector(sample("+Inf")), (Row({}, Decimal("Infinity")),), id="infinity"),
        pytest.param(vector(sample("-Inf")), (Row({}, Decimal("-Infinity")),), id="negative infinity"),
        pytest.param(vector({"metric": {}, "histogram": [SECONDS, {}]}), (Row({}, None),), id="a native histogram"),
    ],
)
def test_the_rows_of_a_vector(data: Any, rows: tuple[Row, ...]) -> None:
    assert answers.instant(data, AT) == rows


def test_nan_stays_nan() -> None:
    [row] = answers.instant(vector(sample("NaN")), AT)  # type: ignore[misc] # a Failed would not unpack
    assert row.value is not None
    assert row.value.is_nan()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(None, id="null"),
        pytest.param([], id="a list"),
        pytest.param({"result": []}, id="no type"),
        pytest.param({"resultType": "scalar", "result": [SECONDS, "1"]}, id="a scalar, which we never ask for"),
        pytest.param({"resultType": "string", "result": [SECONDS, "1"]}, id="a string"),
        pytest.param(vector(kind="matrix"), id="a matrix"),
        pytest.param({"resultType": "vector", "result": {}}, id="a result that is no list"),
        pytest.param(vector(1), id="a series that is a number"),
        pytest.param(vector({"metric": {}}), id="a series without a value"),
        pytest.param(vector({"metric": [], "value": [SECONDS, "1"]}), id="labels that are a list"),
        pytest.param(vector(sample("1", model=7)), id="a label that is a number"),
        pytest.param(vector(sample("1", model="\ud800")), id="a label with half a character, which nobody can write"),
        pytest.param(vector(sample(0.93)), id="a value that is a number"),
        pytest.param(vector(sample(None)), id="a value that is null"),
        pytest.param(vector(sample("")), id="an empty value"),
        pytest.param(vector(sample("0.93 ")), id="a value with a space"),
        pytest.param(vector(sample("1_000")), id="digits as only Python writes them"),
        pytest.param(vector(sample("٣")), id="digits of another script"),
        pytest.param(vector(sample("sNaN")), id="a signalling NaN"),
        pytest.param(vector(sample("1e99999")), id="an exponent beyond any float"),
        pytest.param(vector(sample("0x1p3")), id="a hexadecimal float"),
        pytest.param(vector(sample("1", at=SECONDS - 60)), id="a minute old, from a cache"),
        pytest.param(vector(sample("1", at=True)), id="an instant that is a truth value"),
        pytest.param(vector(sample("1", at="1772442000")), id="an instant that is a text"),
        pytest.param(vector(sample("1", at=float("inf"))), id="an instant that is infinite"),
        pytest.param(vector(sample("1"), sample("x")), id="one good series beside a bad one"),
    ],
)
def test_anything_else_is_failed(data: Any) -> None:
    assert isinstance(answers.instant(data, AT), Failed)


GRID = frozenset({AT, AT + 60_000})


def line(*points: Any, **labels: Any) -> Any:
    return {"metric": labels, "values": list(points)}


def test_the_samples_of_a_range_by_instant() -> None:
    data = vector(line([SECONDS, "1"], [SECONDS + 60, "2"], model="a"), line([SECONDS, "3"], model="b"), kind="matrix")
    assert answers.matrix(data, GRID) == {
        AT: (Sample({"model": "a"}, Decimal(1)), Sample({"model": "b"}, Decimal(3))),
        AT + 60_000: (Sample({"model": "a"}, Decimal(2)),),
    }


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(vector(sample("1")), id="a vector"),
        pytest.param(vector(line([SECONDS + 30, "1"]), kind="matrix"), id="an instant off the grid"),
        pytest.param(vector(line([SECONDS, 1]), kind="matrix"), id="a value that is a number"),
        pytest.param(vector(line([SECONDS]), kind="matrix"), id="half a point"),
        pytest.param(vector({"metric": {}}, kind="matrix"), id="no values"),
        pytest.param(vector({"metric": {}, "histograms": [[SECONDS, {}]]}, kind="matrix"), id="native histograms"),
    ],
)
def test_any_other_range_is_failed(data: Any) -> None:
    assert isinstance(answers.matrix(data, GRID), Failed)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        pytest.param(b'{"status":"success","data":1}', Envelope(1), id="a success"),
        pytest.param(b'{"status":"success","data":1,"warnings":["partial"]}', Envelope(1, ("partial",)), id="warnings"),
        pytest.param(b'{"status":"success","data":1,"warnings":7}', Envelope(1), id="warnings that are none"),
        pytest.param(b'{"status":"success"}', None, id="a success without data"),
        pytest.param(b'{"status":"error","data":1}', None, id="an error with 200"),
        pytest.param(b'{"status":"success","data":NaN}', None, id="NaN is not JSON"),
        pytest.param(b'{"status":"success","data":{"resultType":"vec', None, id="truncated"),
        pytest.param(b"<html>Sign in</html>", None, id="a page"),
        pytest.param(b"", None, id="nothing"),
        pytest.param(b"\xff\xfe\x00", None, id="bytes"),
        pytest.param(b"[" * 100_000, None, id="a hundred thousand brackets"),
        pytest.param(b'{"status":"success","data":' + b"9" * 10_000 + b"}", None, id="a number of ten thousand digits"),
    ],
)
def test_the_envelope(body: bytes, found: Envelope | None) -> None:
    opened = answers.envelope(body)
    assert opened == found if found is not None else isinstance(opened, Failed)


QUERY, OTHER = Prepared("p", "up", "up"), Prepared("p", "1", "1", scalar=True)
BATCH = Batch("l", {"i1": QUERY, "i2": OTHER})


def test_a_batch_is_written_with_a_line_feed_before_each_bracket_and_scalars_as_vectors() -> None:
    assert BATCH.expression == 'label_replace((up\n),"l","i1","","") or label_replace(vector(1\n),"l","i2","","")'


def test_a_batch_is_split_by_id_and_the_id_is_taken_away() -> None:
    rows = [Row({"l": "i1", "model": "a"}, Decimal(1)), Row({"l": "i1", "model": "b"}, Decimal(2))]
    assert BATCH.split(rows) == {
        QUERY: (Sample({"model": "a"}, Decimal(1)), Sample({"model": "b"}, Decimal(2))),
        OTHER: (),
    }


def test_a_native_histogram_fails_its_own_query_only() -> None:
    rows = [Row({"l": "i1"}, Decimal(1)), Row({"l": "i1"}, None), Row({"l": "i2"}, Decimal(3))]
    assert BATCH.split(rows) == {QUERY: HISTOGRAM, OTHER: (Sample({}, Decimal(3)),)}


@pytest.mark.parametrize("labels", [{}, {"l": "i3"}, {"l": ""}], ids=["no id", "an unknown id", "an empty id"])
def test_a_series_of_no_query_fails_the_batch(labels: dict[str, str]) -> None:
    assert isinstance(BATCH.split([Row(labels, Decimal(1))]), Failed)


def test_the_label_and_the_ids_cannot_be_guessed() -> None:
    words = [word for _ in range(3) for batch in [Batch.of([QUERY, OTHER])] for word in (batch.label, *batch.members)]
    assert len(set(words)) == 9
    assert all(len(word) == len("tocsin_") + 16 for word in words)


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5),
    st.sampled_from([SECONDS, float(SECONDS), "i1", "i2", "success", "vector", "matrix", "0.5", "NaN", "+Inf", "1e5"]),
)  # fmt: skip
KEYS = st.one_of(
    st.text(max_size=3),
    st.sampled_from(["data", "resultType", "result", "metric", "value", "values", "histogram", "histograms", "l"]),
)  # fmt: skip
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)
METRIC = st.fixed_dictionaries({"l": st.sampled_from(["i1", "i2"])}) | JSON
PAIR = st.tuples(st.just(SECONDS) | SCALARS, st.sampled_from(["0.5", "NaN", "+Inf", "-7e3", "1"]) | SCALARS)
SERIES = JSON | st.fixed_dictionaries(
    {"metric": METRIC}, optional={"value": PAIR, "values": st.lists(PAIR, max_size=3), "histogram": PAIR}
)
DATA = JSON | st.fixed_dictionaries(
    {"resultType": st.sampled_from(["vector", "matrix", "scalar"]), "result": st.lists(SERIES, max_size=3) | JSON}
)


def texts(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    for item in node.values() if isinstance(node, dict) else node if isinstance(node, list | tuple) else ():
        yield from texts(item)


def numbers(data: Any) -> set[str]:
    """What the texts of an answer say, as Prometheus writes numbers."""
    return {str(float(text)) for text in texts(data) if text.strip("+-0123456789.eINnaf") == "" and _is_float(text)}


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@given(DATA)
@settings(max_examples=250, deadline=None)
def test_no_answer_raises_and_no_value_is_invented(data: Any) -> None:
    known = numbers(data)
    rows = answers.instant(data, AT)
    split = rows if isinstance(rows, Failed) else BATCH.split(rows)
    found = [] if isinstance(split, Failed) else [one for one in split.values() if not isinstance(one, Failed)]
    table = answers.matrix(data, GRID)
    found += [] if isinstance(table, Failed) else table.values()
    assert {str(float(sample.value)) for samples in found for sample in samples} <= known


@given(st.binary(max_size=200) | DATA.map(lambda data: json.dumps({"status": "success", "data": data}).encode()))
@settings(max_examples=200, deadline=None)
def test_no_body_raises(body: bytes) -> None:
    found = answers.envelope(body)
    assert isinstance(found, Failed) or b'"success"' in body
