"""What came out: one line per row of the targets, with the raw numbers behind it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Result:
    """One measured row."""

    case: str
    row: int
    """Of the targets; 0 for what has none, and is told for how it grows."""
    what: str
    target: str
    measured: str
    met: bool | None
    """None: what it is to be compared with was not measured in the same run."""
    how: str
    numbers: dict[str, Any] = field(default_factory=dict)
    """The raw samples and counts, seconds and megabytes."""

    def dump(self) -> dict[str, Any]:
        return asdict(self)


def quantile(samples: Sequence[float], share: float) -> float:
    """The nearest-rank quantile: a value that was measured."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """How cost grows with size: the slope of the least-squares line through the logarithms."""
    xs, ys = [math.log(size) for size in sizes], [math.log(cost) for cost in costs]
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / sum((a - x) ** 2 for a in xs)


def curve(x: str, y: str, xs: Sequence[float], ys: Sequence[float]) -> dict[str, Any]:
    """What a plot shows: costs by sizes, what each is in words, and how cost grows; nothing for a single size."""
    return {"x": x, "y": y, "xs": list(xs), "ys": list(ys), "exponent": exponent(xs, ys)} if len(xs) > 1 else {}
