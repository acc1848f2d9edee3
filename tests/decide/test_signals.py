"""Does a value mean what it says, and does memory count only what was seen?"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import HOUR, LATENCY, MIN, T0, a_memory, a_policy, a_reading
from tocsin.api.policy import PolicyModel, Signal
from tocsin.decide.defaults import SignalRule
from tocsin.decide.signals import (
    EPOCH,
    Answer,
    advance,
    describe,
    has_recovered,
    is_missing,
    is_sustained,
    memory_span,
    next_grid,
    read,
    remember,
    severity,
)
from tocsin.decide.situation import Failed, Measured, Memory, NoData, Reading, Sample

MODEL = PolicyModel(name="fraud")
FAILED = Failed("connection refused")


def a_rule(**changes: Any) -> SignalRule:
    fields = {"name": "accuracy", "kind": "Quality", "query": "q", "warn": "< 0.92", "every": "1m", "for": "2m"}
    return SignalRule.of(Signal.model_validate(fields | changes))


def series(value: str, **labels: str) -> Sample:
    return Sample({"model": "fraud"} | labels, Decimal(value))


def seconds(age: timedelta) -> Sample:
    return Sample({"model": "fraud"}, Decimal((T0 - age - EPOCH).total_seconds()))


GUARDED = {"samples": {"query": "n", "min": 500}}
AGED = {"noData": {"after": "30m"}}


@pytest.mark.parametrize(
    ("rule", "values", "more", "reading"),
    [
        pytest.param({}, [series("0.95")], {}, Measured(Decimal("0.95")), id="one series is the value"),
        pytest.param(
            {},
            [series("0.95", slice="eu"), series("0.81", slice="us"), series("NaN", slice="asia")],
            {"allowed_labels": ("slice",)},
            Measured(Decimal("0.81"), (("slice", "us"),)),
            id="of several series the lowest counts where low is bad, with its labels",
        ),
        pytest.param(
            {"warn": "> 0.1"},
            [series("0.2", feature="age"), series("0.7", feature="iban")],
            {"allowed_labels": ("feature",)},
            Measured(Decimal("0.7"), (("feature", "iban"),)),
            id="of several series the highest counts where high is bad",
        ),
        pytest.param(
            {},
            [series("0.8", customer="acme", slice="us")],
            {"allowed_labels": ("slice",)},
            Measured(Decimal("0.8"), (("slice", "us"),)),
            id="a label that is not allowed stays out",
        ),
        pytest.param({}, [], {}, NoData("Empty", "the query returned nothing for this model"), id="nothing is no data"),
        pytest.param(
            {},
            [Sample({"model": "credit"}, Decimal(1))],
            {},
            NoData("Empty", "the query returned nothing for this model"),
            id="another model's series is nothing",
        ),
        pytest.param(
            {},
            [Sample({}, Decimal(1))],
            {},
            NoData("Empty", "the query returned nothing for this model"),
            id="an unlabelled result belongs to nobody",
        ),
        pytest.param(
            {},
            [Sample({}, Decimal(1))],
            {"alone": True},
            Measured(Decimal(1)),
            id="an unlabelled result belongs to the only model of a server of one tenant",
        ),
        pytest.param(
            {},
            [Sample({"slice": "eu"}, Decimal(1))],
            {"alone": True},
            NoData("Empty", "the query returned nothing for this model"),
            id="a result with other labels does not, even there",
        ),
        pytest.param(
            {},
            [series("NaN")],
            {},
            NoData("NaN", "the query returned NaN: often a ratio without traffic"),
            id="NaN is no data",
        ),
        pytest.param({"warn": "> 1"}, [series("Infinity")], {}, Measured(Decimal("Infinity")), id="+Inf is a value"),
        pytest.param({}, [series("-Infinity")], {}, Measured(Decimal("-Infinity")), id="-Inf is a value"),
        pytest.param({}, FAILED, {}, FAILED, id="a failed query is neither health nor a breach"),
        pytest.param(GUARDED, [series("0.5")], {"samples": FAILED}, FAILED, id="a failed guard fails the reading"),
        pytest.param(
            GUARDED,
            [series("0.5")],
            {"samples": [series("500")]},
            Measured(Decimal("0.5"), samples=Decimal(500)),
            id="just enough samples are enough",
        ),
        pytest.param(
            GUARDED,
            [series("0.5")],
            {"samples": [series("500"), series("499")]},
            NoData("InsufficientData", "499 samples, at least 500 needed"),
            id="the fewest samples of several series count",
        ),
        pytest.param(
            GUARDED,
            [series("0.5")],
            {"samples": []},
            NoData("InsufficientData", "0 samples, at least 500 needed"),
            id="no answer about samples means none",
        ),
        pytest.param(
            GUARDED,
            [series("0.5")],
            {"samples": [series("NaN")]},
            NoData("InsufficientData", "0 samples, at least 500 needed"),
            id="NaN samples mean none",
        ),
        pytest.param(
            AGED,
            [series("0.95")],
            {"reported": [seconds(30 * MIN)]},
            Measured(Decimal("0.95"), produced_at=T0 - 30 * MIN),
            id="a value as old as the limit still counts",
        ),
        pytest.param(
            AGED,
            [series("0.95")],
            {"reported": [seconds(31 * MIN)]},
            NoData("Stale", "the value was produced 31m ago, the limit is 30m"),
            id="a value older than the limit is stale",
        ),
        pytest.param(
            AGED,
            [series("0.95")],
            {"reported": [seconds(5 * MIN), seconds(40 * MIN)]},
            NoData("Stale", "the value was produced 40m ago, the limit is 30m"),
            id="the oldest report of several counts",
        ),
        pytest.param(
            AGED,
            [series("0.95")],
            {"reported": []},
            NoData("Empty", "reportedAt returned nothing for this model"),
            id="a value that nobody dated is no data where dates are asked for",
        ),
        pytest.param(
            AGED,
            [series("0.95")],
            {"reported": [series("1795424400000")]},
            NoData("Empty", "reportedAt returned nothing for this model"),
            id="a date in milliseconds is no date",
        ),
    ],
)
def test_read(rule: dict[str, Any], values: Answer, more: dict[str, Any], reading: Reading) -> None:
    assert read(a_rule(**rule), MODEL, T0, values, **more) == reading


BAD, GOOD, BETWEEN = 0.5, 0.2, 0.27
"""For the rule of these tests: warn > 0.3 for 3m, recover <= 0.24 for 10m, no data after 10m."""


@pytest.mark.parametrize(
    ("values", "pending", "sustained"),
    [
        pytest.param([BAD], 0, False, id="the first breach is pending for nothing yet"),
        pytest.param([BAD] * 3, 2, False, id="three breaches are two steps"),
        pytest.param([BAD] * 4, 3, True, id="the boundary belongs to sustained"),
        pytest.param([BAD, BAD, BETWEEN, BAD], 0, False, id="a value that does not breach begins anew"),
        pytest.param([BAD, BAD, None, BAD], 1, False, id="a gap neither counts nor resets"),
        pytest.param([BAD, BAD, FAILED, BAD, BAD], 2, False, id="a failed query neither counts nor resets"),
        pytest.param([BAD, BAD, None, BAD, BAD, BAD], 3, True, id="pending adds up across a gap"),
        pytest.param([BAD, None, BAD, None, BAD, None, BAD], 0, False, id="isolated breaches never add up"),
        pytest.param([BAD] * 4 + [None], 3, False, id="nothing is sustained while there is no data"),
        pytest.param([BAD] * 4 + [FAILED], 3, False, id="nothing is sustained while queries fail"),
        pytest.param(["Infinity"] * 4, 3, True, id="an infinite value breaches as any other"),
    ],
)
def test_pending(values: list[Any], pending: int, sustained: bool) -> None:
    memory = a_memory(LATENCY, *values)

    assert (memory.pending, is_sustained(memory, LATENCY)) == (pending * MIN, sustained)


@pytest.mark.parametrize(
    ("values", "recovering", "recovered"),
    [
        pytest.param([GOOD] * 10, 9, False, id="nine minutes are not ten"),
        pytest.param([GOOD] * 11, 10, True, id="the boundary belongs to recovered"),
        pytest.param([GOOD] * 6 + [BETWEEN] + [GOOD] * 6, 5, False, id="a value short of recover begins anew"),
        pytest.param([GOOD] * 6 + [None] * 3 + [GOOD] * 5, 9, False, id="missing minutes are not counted as good"),
        pytest.param([GOOD] * 6 + [None] + [GOOD] * 6, 10, True, id="recovery adds up across a gap"),
        pytest.param([GOOD] * 11 + [None], 10, False, id="missing data is never recovered"),
        pytest.param([GOOD] * 11 + [FAILED], 10, False, id="a failed query is never recovered"),
    ],
)
def test_recovering(values: list[Any], recovering: int, recovered: bool) -> None:
    memory = a_memory(LATENCY, *values)

    assert (memory.recovering, has_recovered(memory, LATENCY)) == (recovering * MIN, recovered)


@pytest.mark.parametrize(
    ("values", "since", "missing"),
    [
        pytest.param([GOOD] + [None] * 10, 9, False, id="nine minutes are not ten"),
        pytest.param([GOOD] + [None] * 11, 10, True, id="the boundary belongs to missing"),
        pytest.param([None] * 6 + [FAILED] * 4 + [None], 10, True, id="failed queries do not end a silence"),
        pytest.param([GOOD] + [FAILED] * 20, None, False, id="failed queries alone are not missing data"),
        pytest.param([None] * 11 + [FAILED], 11, False, id="nothing is said to be missing while queries fail"),
        pytest.param([None] * 11 + [GOOD], None, False, id="one value ends it"),
    ],
)
def test_missing(values: list[Any], since: int | None, missing: bool) -> None:
    memory = a_memory(LATENCY, *values)

    assert memory.no_data_since == (None if since is None else T0 - since * MIN)
    assert is_missing(memory, LATENCY) is missing


@pytest.mark.parametrize(
    ("values", "good_for"),
    [
        pytest.param([GOOD] * 5, 4, id="good ever since"),
        pytest.param([BAD, GOOD, BETWEEN, GOOD], 2, id="what does not breach is good"),
        pytest.param([GOOD, None, GOOD, GOOD], 1, id="a gap begins anew"),
        pytest.param([GOOD, GOOD, FAILED, GOOD], 0, id="a failed query begins anew"),
        pytest.param([GOOD, GOOD, BAD], None, id="a breach is not good"),
        pytest.param([GOOD, None], None, id="no data is not good"),
    ],
)
def test_good_since(values: list[Any], good_for: int | None) -> None:
    assert a_memory(LATENCY, *values).good_since == (None if good_for is None else T0 - good_for * MIN)


def test_a_skipped_evaluation_is_a_gap() -> None:
    memory = a_memory(LATENCY, BAD, BAD)

    later = advance(memory, LATENCY, T0 + 2 * MIN, a_reading(BAD))

    assert (later.pending, later.breaching_since) == (1 * MIN, T0 - MIN)


@pytest.mark.parametrize("minutes", [0, -1], ids=["the same instant", "an earlier instant"])
def test_an_evaluation_is_remembered_once(minutes: int) -> None:
    memory = a_memory(LATENCY, BAD, BAD)

    assert advance(memory, LATENCY, T0 + minutes * MIN, a_reading(GOOD)) is memory


def test_a_breach_is_sustained_since_the_evaluation_that_made_it_so() -> None:
    assert a_memory(LATENCY, *[BAD] * 3).sustained_since is None
    assert a_memory(LATENCY, *[BAD] * 6).sustained_since == T0 - 2 * MIN
    assert a_memory(LATENCY, *[BAD] * 5, None, BAD).sustained_since == T0 - 3 * MIN
    assert a_memory(LATENCY, *[BAD] * 6, GOOD).sustained_since is None


READINGS = st.lists(st.sampled_from([GOOD, BETWEEN, BAD, "Infinity", None, FAILED]), min_size=1, max_size=40)


@given(values=READINGS, split=st.integers(0, 40))
def test_memory_rebuilt_from_the_range_is_the_memory_that_was_lost(values: list[Any], split: int) -> None:
    points = [(T0 + place * MIN, a_reading(value)) for place, value in enumerate(values)]
    live: Memory | None = None
    for at, reading in points:
        live = advance(live, LATENCY, at, reading)
    rebuilt = remember(LATENCY, points[:split])
    for at, reading in points[split:]:
        rebuilt = advance(rebuilt, LATENCY, at, reading)

    assert rebuilt == live == remember(LATENCY, points)


@given(values=READINGS)
def test_pending_never_exceeds_the_time_that_passed_and_needs_a_breach(values: list[Any]) -> None:
    memory = a_memory(LATENCY, *values)

    assert timedelta() <= memory.pending <= (len(values) - 1) * MIN
    assert (memory.breaching_since is None) <= (memory.pending == timedelta())
    assert not (is_sustained(memory, LATENCY) and has_recovered(memory, LATENCY))


def test_an_empty_range_is_no_memory() -> None:
    assert remember(LATENCY, ()) is None


@pytest.mark.parametrize(
    ("warn", "critical", "value", "expected"),
    [
        pytest.param("> 0.3", "> 0.6", "0.3", Fraction(0), id="on the good side of warn it is nothing"),
        pytest.param(">= 0.1", ">= 0.25", "0.1", Fraction(2, 5), id="at warn it is 0.4"),
        pytest.param(">= 0.1", ">= 0.25", "0.22", Fraction(88, 100), id="in between it is in proportion"),
        pytest.param("> 0.3", "> 0.6", "0.6", Fraction(1), id="at critical it is 1"),
        pytest.param("> 0.3", "> 0.6", "77", Fraction(1), id="past critical it is capped"),
        pytest.param("< 0.92", "< 0.88", "0.9", Fraction(7, 10), id="a falling signal counts downwards"),
        pytest.param("< 0.8", None, "0.1", Fraction(2, 5), id="without critical it is 0.4 however bad"),
        pytest.param("> 0.3", "> 0.6", "Infinity", Fraction(1), id="infinitely bad is 1"),
        pytest.param("> 0.3", None, "Infinity", Fraction(2, 5), id="infinitely bad without critical is 0.4"),
        pytest.param("< 0.92", "< 0.88", "Infinity", Fraction(0), id="infinitely good is nothing"),
    ],
)
def test_severity(warn: str, critical: str | None, value: str, expected: Fraction) -> None:
    rule = a_rule(warn=warn, **({"critical": critical} if critical else {}))

    assert severity(rule, Decimal(value)) == expected


@pytest.mark.parametrize(
    ("values", "text"),
    [
        pytest.param(
            [GOOD, BAD, 0.77],
            "0.77 breaches warn > 0.3, critical > 0.6 for 1m of 3m",
            id="a breach names the lines and how long",
        ),
        pytest.param([GOOD] * 3, "0.2 is well (<= 0.24) for 2m of 10m", id="a good value says how long"),
        pytest.param([BETWEEN], "0.27 lies between warn > 0.3 and recover <= 0.24", id="between the lines"),
        pytest.param([None], "no data (Empty): nothing", id="no data says why"),
        pytest.param([FAILED], "the query failed: connection refused", id="a failure says why"),
        pytest.param(
            [Measured(Decimal("0.5"), (("slice", "eu"),), None, Decimal(1200))],
            "0.5 (slice=eu) on 1200 samples breaches warn > 0.3, critical > 0.6 for 0s of 3m",
            id="labels and samples are named",
        ),
    ],
)
def test_describe(values: list[Any], text: str) -> None:
    assert describe(a_memory(LATENCY, *values), LATENCY) == text


@pytest.mark.parametrize(
    ("after", "every", "offset", "expected"),
    [
        pytest.param(T0, MIN, timedelta(), T0 + MIN, id="a point of the grid is not after itself"),
        pytest.param(T0 + timedelta(seconds=1), MIN, timedelta(), T0 + MIN, id="within a step"),
        pytest.param(T0, MIN, timedelta(seconds=7), T0 + timedelta(seconds=7), id="the offset moves the grid"),
        pytest.param(T0, HOUR, timedelta(minutes=59), T0 + 59 * MIN, id="an offset of almost a step"),
    ],
)
def test_next_grid(after: Any, every: timedelta, offset: timedelta, expected: Any) -> None:
    assert next_grid(after, every, offset) == expected


def test_memory_reaches_back_as_far_as_the_longest_window_and_sees_what_led_up_to_it() -> None:
    rules = [SignalRule.of(signal) for signal in a_policy().spec.signals]

    assert memory_span(rules, ()) == 10 * MIN
    assert memory_span(rules, [HOUR]) == HOUR + 11 * MIN
    assert memory_span((), ()) == timedelta()
