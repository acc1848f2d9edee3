"""How does cost grow? One picture: costs by sizes, both in logarithms, so that a slope is an exponent."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 360, 260
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 44, 44


def figures(value: float) -> str:
    """A number with three figures, or all of them when it has more: 1,359 and not 1.36e+03."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def drawing(curves: Sequence[dict[str, Any]]) -> str:
    """An SVG with one panel for each curve, two in a row."""
    rows = -(-len(curves) // 2)
    panels = "".join(
        f'<g transform="translate({number % 2 * WIDTH} {number // 2 * HEIGHT})">{"".join(_panel(one))}</g>\n'
        for number, one in enumerate(curves)
    )
    size = f'width="{2 * WIDTH}" height="{rows * HEIGHT}"'
    style = 'font-family="sans-serif" font-size="11" fill="#24292f"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n<rect {size} fill="white"/>\n{panels}</svg>\n'


def _panel(one: dict[str, Any]) -> Iterator[str]:
    xs, ys = _Axis(one["xs"], LEFT, WIDTH - RIGHT), _Axis(one["ys"], HEIGHT - BOTTOM, TOP)
    title = escape(f"{one['y']}, by {one['x']}")
    yield f'<text x="{LEFT}" y="18" font-weight="bold">{title}</text>'
    yield f'<text x="{LEFT}" y="34">to the power of {one["exponent"]:.2f}</text>'
    frame = f'x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT - TOP - BOTTOM}"'
    yield f'<rect {frame} fill="none" stroke="#8c959f"/>'
    for x in one["xs"]:
        yield f'<text x="{xs.at(x):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{x:,}</text>'
    for y in (min(one["ys"]), max(one["ys"])):
        yield f'<text x="{LEFT - 6}" y="{ys.at(y) + 4:.1f}" text-anchor="end">{figures(y)}</text>'
    fitted = list(_fitted(one))
    path = " ".join(f"{xs.at(x):.1f},{ys.at(y):.1f}" for x, y in fitted)
    yield f'<polyline points="{path}" fill="none" stroke="#0969da"/>'
    for x, y in zip(one["xs"], one["ys"], strict=True):
        yield f'<circle cx="{xs.at(x):.1f}" cy="{ys.at(y):.1f}" r="3.5" fill="#cf222e"/>'


def _fitted(one: dict[str, Any]) -> Iterator[tuple[float, float]]:
    """The ends of the least-squares line through the logarithms: it goes through their means."""
    logs = [[math.log(value) for value in one[axis]] for axis in ("xs", "ys")]
    x, y = (sum(some) / len(some) for some in logs)
    for end in (min(one["xs"]), max(one["xs"])):
        yield end, math.exp(y + one["exponent"] * (math.log(end) - x))


class _Axis:
    """Where on the paper a value lies, from its logarithm; a tenth of the room is left at both ends."""

    def __init__(self, values: Sequence[float], begin: float, end: float) -> None:
        logs = [math.log(value) for value in values]
        self._low, span = min(logs), max(logs) - min(logs) or 1.0
        room = (end - begin) / 10
        self._begin, self._scale = begin + room, (end - begin - 2 * room) / span

    def at(self, value: float) -> float:
        return self._begin + (math.log(value) - self._low) * self._scale
