"""Which numbers does an answer of Prometheus really hold? Anything else is Failed, never a value and never health."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tocsin.decide.situation import Failed, Sample, Vector

HISTOGRAM = Failed("the result is a native histogram, not a number: use histogram_quantile, histogram_avg or the like")
TOO_DEEP = Failed("nested too deeply: split the query by recording rules")

_STRANGE = Failed("the answer is not the range that was asked for")
_LAST = 1e12
"""Seconds of the epoch past which nothing is an instant."""
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,400}(?:\.[0-9]{1,400})?(?:e[+-]?[0-9]{1,3})?|Inf)|NaN", re.ASCII)
_WORDS = {"NaN": "NaN", "Inf": "Infinity", "+Inf": "Infinity", "-Inf": "-Infinity"}


@dataclass(frozen=True, slots=True)
class Envelope:
    """A successful answer: its data as decoded JSON, and what Prometheus warned of."""

    data: Any
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One series at one instant; without a value it is a native histogram."""

    labels: Mapping[str, str]
    value: Decimal | None


def opened(body: bytes) -> Mapping[str, Any] | None:
    """The JSON object in a body; None when there is none. Raises RecursionError when it is nested too deeply."""
    try:
        found = json.loads(body, parse_constant=_refuse)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def envelope(body: bytes) -> Envelope | Failed:
    """The envelope of a successful answer."""
    try:
        found = opened(body)
    except RecursionError:
        return TOO_DEEP
    match found:
        case {"status": "success", "data": data, **rest}:
            warnings = rest.get("warnings")
            return Envelope(data, tuple(map(str, warnings)) if isinstance(warnings, list) else ())
    return Failed("the answer is not Prometheus's JSON: is the address really a Prometheus server's?")


def instant(data: Any, at: int) -> tuple[Row, ...] | Failed:
    """The rows of an instant vector that was asked for at this instant, in milliseconds of the epoch."""
    match data:
        case {"resultType": "vector", "result": list(series)}:
            rows = [_row(one, at) for one in series]
            good = tuple(row for row in rows if row is not None)
            return good if len(good) == len(rows) else Failed("the answer is not the vector that was asked for")
    return Failed("the answer is not a vector")


def _row(series: Any, at: int) -> Row | None:
    match series:
        case {"metric": dict(labels), "value": [when, str(value)]} if _instant(when) == at and _all_text(labels):
            return Row(labels, number) if (number := _number(value)) is not None else None
        case {"metric": dict(labels), "histogram": [when, _]} if _instant(when) == at and _all_text(labels):
            return Row(labels, None)
    return None


def matrix(data: Any, grid: frozenset[int]) -> Mapping[int, Vector] | Failed:
    """The samples of a range query at each instant of its grid, in milliseconds of the epoch."""
    match data:
        case {"resultType": "matrix", "result": list(series)}:
            samples: dict[int, list[Sample]] = {}
            for one in series:
                match one:
                    case {"metric": dict(), "histograms": _}:
                        return HISTOGRAM
                    case {"metric": dict(labels), "values": list(points)} if _all_text(labels):
                        for point in points:
                            found = _point(point)
                            if found is None or found[0] not in grid:
                                return _STRANGE
                            samples.setdefault(found[0], []).append(Sample(labels, found[1]))
                    case _:
                        return _STRANGE
            return {when: Vector(found) for when, found in samples.items()}
    return Failed("the answer is not a matrix")


def _point(point: Any) -> tuple[int, Decimal] | None:
    match point:
        case [when, str(value)] if (at := _instant(when)) is not None and (number := _number(value)) is not None:
            return at, number
    return None


def _all_text(labels: dict[Any, Any]) -> bool:
    """Whether all are texts that can be written: JSON has room for half a character, which nobody takes."""
    try:
        return all(isinstance(label, str) and (label.isascii() or label.encode()) for label in labels.values())
    except UnicodeEncodeError:
        return False


def _instant(when: Any) -> int | None:
    """Seconds of the epoch in milliseconds."""
    if isinstance(when, bool) or not isinstance(when, int | float) or not abs(when) < _LAST:
        return None
    return round(when * 1000)


def _number(value: str) -> Decimal | None:
    return Decimal(_WORDS.get(value, value)) if _NUMBER.fullmatch(value) else None
