"""Do durations, comparisons, numbers and instants mean to Python what they mean to the API server?"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.api.rows import REFUSED, VALID, Refused, changed
from tocsin.api.policy import Signal
from tocsin.api.quantities import (
    COMPARISON_PATTERN,
    DURATION_PATTERN,
    LONGEST,
    NUMBER_PATTERN,
    Comparison,
    format_clock,
    format_duration,
    format_number,
    format_time,
    parse_duration,
    parse_time,
)

SPANS = st.integers(0, 99_999 * 3_600_000).map(lambda milliseconds: timedelta(milliseconds=milliseconds))
NUMBERS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12) + 1, max_value=10**12 - 1, places=9)
OPERATORS = st.sampled_from(["<", "<=", ">", ">="])
COMPARISONS = st.builds(Comparison, OPERATORS, NUMBERS)


@given(SPANS)
def test_a_duration_survives_being_written(span: timedelta) -> None:
    text = format_duration(span)
    assert re.fullmatch(DURATION_PATTERN, text)
    assert parse_duration(text) == span


@given(st.from_regex(DURATION_PATTERN))
def test_a_duration_is_the_sum_of_its_parts(text: str) -> None:
    assume("\n" not in text)
    parts = (parse_duration(part) for part in re.findall(r"\d+[hms]+", text))
    assert parse_duration(text) == min(LONGEST, sum(parts, timedelta()))


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("0s", timedelta()),
        ("90m", timedelta(hours=1, minutes=30)),
        ("1h30m", timedelta(hours=1, minutes=30)),
        ("5m5ms", timedelta(minutes=5, milliseconds=5)),
        ("30s1m", timedelta(seconds=90)),
        ("99999h60m", LONGEST),
        ("99999h99999h99999h99999h", LONGEST),
    ],
)
def test_parse_duration(text: str, span: timedelta) -> None:
    assert parse_duration(text) == span


@pytest.mark.parametrize("text", ["", "1d", "5", "1.5h", "-1s", "1h 30m", "1h30m0s0ms1s", "100000s", "5m\n", "٣s"])
def test_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration: write for example 30s, 15m or 1h30m"):
        parse_duration(text)


@given(COMPARISONS)
def test_a_comparison_survives_being_written(comparison: Comparison) -> None:
    assert re.fullmatch(COMPARISON_PATTERN, str(comparison))
    assert Comparison.parse(str(comparison)) == comparison


@given(COMPARISONS, NUMBERS)
def test_a_comparison_or_its_negation_holds_and_never_both(comparison: Comparison, value: Decimal) -> None:
    assert comparison.holds(value) != comparison.negated().holds(value)
    assert comparison.negated().negated() == comparison


@given(COMPARISONS)
def test_infinity_is_on_the_side_that_the_sign_says(comparison: Comparison) -> None:
    assert comparison.holds(Decimal("Infinity")) == comparison.rises
    assert comparison.holds(Decimal("-Infinity")) != comparison.rises


@pytest.mark.parametrize(
    "text",
    ["", "0.92", "= 1", "== 1", "!= 1", "<0.92", "< .5", "< 1e3", "< +1", "<  1", "< 1 ", "< 1\n", "< 1.", "≤ 1"],
)
def test_no_comparison(text: str) -> None:
    with pytest.raises(ValueError, match=r'is not a comparison: write for example "< 0\.92" or ">= 4\.5"'):
        Comparison.parse(text)


@pytest.mark.parametrize(
    "row", [pytest.param(row, id=row.why) for row in REFUSED if "should match" in row.error and "signals" in row.change]
)
def test_what_the_server_refuses_python_refuses(row: Refused) -> None:
    with pytest.raises(ValueError, match="is not a"):
        Signal.model_validate(changed(VALID["EscalationPolicy"], row.change)["signals"][0])


@given(st.decimals(allow_nan=False))
def test_any_number_fits_its_field(number: Decimal) -> None:
    text = format_number(number)
    assert len(text) <= 32
    assert re.fullmatch(NUMBER_PATTERN, text)
    read = Decimal(text)
    assert read == number or abs(read - number) <= abs(number) * Decimal("1e-15")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("1e+999999998", "1.000000000000000e+999999998"),
        ("-9.99999999999999999e+999999999", "-Infinity"),
        ("1e-999999999", "1.000000000000000e-999999999"),
        ("1e-1000000000", "0"),
        ("0e+999999999", "0"),
    ],
)
def test_a_number_at_the_ends_of_what_its_field_holds(number: str, text: str) -> None:
    assert re.fullmatch(NUMBER_PATTERN, text)
    assert format_number(Decimal(number)) == text


@given(st.datetimes(timezones=st.just(UTC)))
def test_an_instant_survives_being_written_to_the_millisecond(instant: datetime) -> None:
    assert parse_time(format_time(instant)) == instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def test_an_instant_of_another_zone_is_written_in_utc() -> None:
    instant = datetime(2026, 11, 23, 16, 32, tzinfo=timezone(timedelta(hours=2)))
    assert (format_time(instant), format_clock(instant)) == ("2026-11-23T14:32:00Z", "14:32Z")
    assert format_clock(instant + timedelta(seconds=5)) == "14:32:05Z"


def test_an_instant_may_be_written_in_small_letters_as_rfc_3339_has_it() -> None:
    assert parse_time("2026-11-23t14:32:00z") == datetime(2026, 11, 23, 14, 32, tzinfo=UTC)


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="has no time zone: write for example 2026-11-23T14:32:00Z"):
        parse_time("2026-11-23T14:32:00")


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+14:00"])
def test_an_instant_beyond_the_calendar_is_refused_as_any_other_bad_text(text: str) -> None:
    with pytest.raises(ValueError, match="outside the years 1 to 9999"):
        parse_time(text)
