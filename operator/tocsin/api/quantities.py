"""How durations, instants, comparisons and numbers are written in the API."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import AllowInfNan, BeforeValidator, GetCoreSchemaHandler, PlainSerializer, WithJsonSchema
from pydantic_core import CoreSchema, core_schema

DURATION_PATTERN = r"^([0-9]{1,5}(h|m|s|ms)){1,4}$"
COMPARISON_PATTERN = r"^(<|<=|>|>=) -?[0-9]{1,12}(\.[0-9]{1,9})?$"
NUMBER_PATTERN = r"^-?([0-9]{1,32}(\.[0-9]{1,32})?(e[+-][0-9]{1,9})?|Infinity)$"

LONGEST = timedelta(hours=99_999, minutes=59, seconds=59, milliseconds=999)
"""The longest duration that can be written in the standard form of GEP-2257: eleven years."""

_UNITS = {
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}


def parse_duration(text: str) -> timedelta:
    """Read a duration such as ``1h30m``; the grammar is Gateway API's GEP-2257.

    What adds up to more than LONGEST is LONGEST: it could not be written again. Raises ValueError with an example when
    the text is not one.
    """
    if not re.fullmatch(DURATION_PATTERN, text):
        raise ValueError(f"{text!r} is not a duration: write for example 30s, 15m or 1h30m")
    parts = re.findall(r"([0-9]+)(h|ms|m|s)", text)
    return min(LONGEST, sum((int(count) * _UNITS[unit] for count, unit in parts), timedelta()))


def format_duration(span: timedelta) -> str:
    """Write a duration in the shortest GEP-2257 form, rounded down to a millisecond."""
    milliseconds = int(span / timedelta(milliseconds=1))
    if milliseconds <= 0:
        return "0s"
    text = ""
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)):
        count, milliseconds = divmod(milliseconds, size)
        if count:
            text += f"{count}{unit}"
    return text


def parse_time(text: str) -> datetime:
    """Read an RFC 3339 instant; raises ValueError when it has no zone, or lies outside the years 1 to 9999 in UTC."""
    try:
        instant = datetime.fromisoformat(text.upper())  # T and Z may be small letters
    except ValueError:
        raise ValueError(f"{text!r} is not an instant: write for example 2026-11-23T14:32:00Z") from None
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone: write for example 2026-11-23T14:32:00Z")
    try:
        return instant.astimezone(UTC)
    except OverflowError as beyond:
        raise ValueError(f"{text!r} lies outside the years 1 to 9999 in UTC") from beyond


def format_time(instant: datetime) -> str:
    """Write an instant as RFC 3339 in UTC, with milliseconds only where there are some."""
    spec = "milliseconds" if instant.microsecond >= 1000 else "seconds"
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=spec) + "Z"


def format_number(number: Decimal) -> str:
    """Write a decimal in full where that takes at most 32 characters, else with an exponent and 16 digits.

    What has more than nine digits in its exponent is written as zero or as infinite.
    """
    if not number or number.adjusted() < -999_999_999:
        return "0"
    if number.is_finite() and number.adjusted() >= 999_999_999:
        number = Decimal("Infinity").copy_sign(number)
    if not number.is_finite() or number.adjusted() in range(-32, 32):
        text = f"{number:f}"
        if len(text) <= 32:
            return text
    return f"{number:.15e}"


def format_clock(instant: datetime) -> str:
    """Write an instant for a narrow column: ``14:32Z``, or with the date when seconds matter not."""
    return instant.astimezone(UTC).strftime("%H:%MZ" if not instant.second else "%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Comparison:
    """A line that a value crosses, for example ``< 0.92``: its direction is always written."""

    operator: str
    threshold: Decimal

    @classmethod
    def parse(cls, text: str) -> Comparison:
        """Read ``"<op> <number>"``; raises ValueError with an example."""
        if not re.fullmatch(COMPARISON_PATTERN, text):
            raise ValueError(f'{text!r} is not a comparison: write for example "< 0.92" or ">= 4.5"')
        operator, number = text.split(" ")
        return cls(operator, Decimal(number))

    @property
    def rises(self) -> bool:
        """Whether larger values are on the far side of the line."""
        return self.operator in (">", ">=")

    def holds(self, value: Decimal) -> bool:
        """Whether the value is on the far side; an infinite value compares as usual."""
        match self.operator:
            case "<":
                return value < self.threshold
            case "<=":
                return value <= self.threshold
            case ">":
                return value > self.threshold
            case _:
                return value >= self.threshold

    def negated(self) -> Comparison:
        """The comparison that holds exactly where this one does not."""
        return Comparison({"<": ">=", "<=": ">", ">": "<=", ">=": "<"}[self.operator], self.threshold)

    def __str__(self) -> str:
        return f"{self.operator} {self.threshold:f}"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def validate(value: Any) -> Comparison:
            if isinstance(value, cls):
                return value
            if not isinstance(value, str):
                raise ValueError(f'{value!r} is not a comparison: write for example "< 0.92"')
            return cls.parse(value)

        return core_schema.no_info_plain_validator_function(
            validate, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, _: CoreSchema, __: Any) -> dict[str, Any]:
        return {"type": "string", "pattern": COMPARISON_PATTERN, "maxLength": 32}


def _to_duration(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a duration: write for example 15m")
    return parse_duration(value)


def _to_time(value: Any) -> datetime:
    if isinstance(value, datetime):
        return parse_time(value.isoformat())
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not an instant: write for example 2026-11-23T14:32:00Z")
    return parse_time(value)


def _to_number(value: Any) -> Decimal:
    if isinstance(value, Decimal):
        return value
    try:
        number = Decimal(str(value))
    except InvalidOperation as bad:
        raise ValueError(f"{value!r} is not a decimal number") from bad
    if number.is_nan():
        raise ValueError("NaN is not a number: it is missing data")
    return number


Duration = Annotated[
    timedelta,
    BeforeValidator(_to_duration),
    PlainSerializer(format_duration),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN, "maxLength": 32}),
]
Time = Annotated[
    datetime,
    BeforeValidator(_to_time),
    PlainSerializer(format_time),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
Number = Annotated[
    Decimal,
    AllowInfNan(),
    BeforeValidator(_to_number),
    PlainSerializer(format_number),
    WithJsonSchema({"type": "string", "pattern": NUMBER_PATTERN, "maxLength": 32}),
]
