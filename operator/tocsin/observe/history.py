"""What a query would have answered in the past, had it been asked then.

A range query over an outage of Prometheus fills up to five minutes from the lookback, or more from a range in brackets,
with values that no live evaluation saw. So an instant counts only if some selector of the query has a raw sample within
the step that ends there, or, where the series come more slowly than the steps, within 1.5 times their usual interval.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tocsin.api.quantities import format_duration
from tocsin.decide.situation import Failed, NoData, Vector
from tocsin.observe.answers import Envelope, matrix
from tocsin.observe.queries import Prepared, Selector, Span
from tocsin.observe.wire import Blame, Trouble

POINTS = 11_000
"""The most instants that Prometheus gives for one range query."""

_LOOKBACK = timedelta(minutes=5)
_MILLISECOND = timedelta(milliseconds=1)
_EPOCH = datetime.fromtimestamp(0, UTC)

Ask = Callable[[str, int, int, timedelta], Awaitable[Envelope | Trouble]]
"""A range query: expression, first and last instant in milliseconds of the epoch, step."""


@dataclass(frozen=True, slots=True)
class History:
    """One query on one grid of the past."""

    ask: Ask
    query: Prepared
    start: datetime
    end: datetime
    step: timedelta
    whole: Span | None = None
    """What this is a slice of, at most ``POINTS`` steps: how often a series comes is told from all of it."""

    async def read(self) -> Mapping[datetime, Vector | NoData] | Failed:
        """Every instant of the grid with its samples, or as not scraped."""
        grid = self._grid(self.start, self.end)
        readings: dict[datetime, Vector | NoData] = {}
        chunks = [grid[first : first + POINTS] for first in range(0, len(grid), POINTS)]
        while chunks:
            chunk = chunks.pop(0)
            match await self._chunk(chunk):
                case Trouble(Blame.SIZE) if half := len(chunk) // 2:
                    chunks[:0] = [chunk[:half], chunk[half:]]
                case Trouble() as trouble:
                    return trouble.failed
                case Failed() as failed:
                    return failed
                case found:
                    readings.update(found)
        return readings

    def _grid(self, start: datetime, end: datetime) -> list[datetime]:
        return [start + number * self.step for number in range((end - start) // self.step + 1)]

    async def _chunk(self, grid: Sequence[datetime]) -> Mapping[datetime, Vector | NoData] | Trouble | Failed:
        instants = _in_milliseconds(grid)
        values = await self._evaluated(self.query.expression, instants)
        if not isinstance(values, Mapping):
            return values
        scraped = await self._scraped(instants, needed=frozenset(values))
        if isinstance(scraped, Trouble | Failed):
            return scraped
        missing = NoData("NotScraped", f"no sample of its series in the {format_duration(self.step)} before")
        return {
            at: values.get(instant, Vector()) if instant in scraped else missing for instant, at in instants.items()
        }

    async def _scraped(
        self, instants: Mapping[int, datetime], needed: frozenset[int]
    ) -> frozenset[int] | Trouble | Failed:
        """The instants shortly before which some selector has a raw sample; all, for a query that reads no series."""
        selectors = self.query.selectors
        if not selectors:
            return frozenset(instants)
        fresh = await self._fresh(dict.fromkeys(selectors, self.step), instants)
        if isinstance(fresh, Trouble | Failed) or needed <= fresh:
            return fresh
        everywhere = _in_milliseconds(self._grid(*self.whole)) if self.whole else instants
        spans: dict[Selector, timedelta] = {}
        for selector in selectors:
            interval = await self._interval(selector, everywhere)
            if isinstance(interval, Trouble | Failed):
                return interval
            spans[selector] = max(self.step, interval * 3 // 2)
        return await self._fresh(spans, instants)

    async def _fresh(
        self, spans: Mapping[Selector, timedelta], instants: Mapping[int, datetime]
    ) -> frozenset[int] | Trouble | Failed:
        """``last_over_time`` keeps the names, so that a selector of several metrics is no error here."""
        found = await self._evaluated(
            " or ".join(
                f"group(last_over_time({selector.text}[{_bracket(span)}]))" for selector, span in spans.items()
            ),
            instants,
        )
        return frozenset(found) if isinstance(found, Mapping) else found

    async def _interval(self, selector: Selector, instants: Mapping[int, datetime]) -> timedelta | Trouble | Failed:
        """How often its series get a sample where they are denser than ever; zero when that cannot be told."""
        span = max(selector.reach, _LOOKBACK)
        found = await self._evaluated(f"max(count_over_time({selector.text}[{_bracket(span)}]))", instants)
        match found:
            case Trouble(Blame.QUERY):
                return timedelta()
            case Trouble() | Failed():
                return found
        counts = [
            one.value for samples in found.values() for one in samples if one.value.is_finite() and one.value >= 1
        ]
        return span / int(max(counts)) if counts else timedelta()

    async def _evaluated(
        self, expression: str, instants: Mapping[int, datetime]
    ) -> Mapping[int, Vector] | Trouble | Failed:
        answer = await self.ask(expression, min(instants), max(instants), self.step)
        if isinstance(answer, Trouble):
            return answer
        return await asyncio.to_thread(matrix, answer.data, frozenset(instants))


def _in_milliseconds(grid: Sequence[datetime]) -> dict[int, datetime]:
    """The instants by their milliseconds of the epoch."""
    return {(at - _EPOCH) // _MILLISECOND: at for at in grid}


def _bracket(span: timedelta) -> str:
    return f"{max(1, span // _MILLISECOND)}ms"
