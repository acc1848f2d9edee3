"""What was, so that decisions are the same after a start: the past of a signal, on the grid of its evaluations.

It reaches back for as long as an incident may be reopened. It is read in slices, the oldest first, once for all who
ask the same, so that it is never held as a whole: an hour of 5,000 models that are evaluated every 5 s is 2 GB.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import count

import structlog

from tocsin.decide import signals
from tocsin.decide.situation import Failed, Memory, Reading, Vector
from tocsin.engine.guarded import Answer, Guarded, Watched
from tocsin.observe.cluster import Name, Pair
from tocsin.observe.queries import MetricSource, Prepared, Span

log = structlog.get_logger()

BREATH = 100
"""After so many evaluations other tasks have their turn: the lease must be renewed meanwhile."""
SLICE = 25_000
"""About so many values of the past are held at once, by all rebuilds together."""
FEWEST = 10
"""Steps of a slice, at least, however many models there are: each slice is a request. The first one is made for all
models, the others for as many series as it had."""
KEPT = 2
"""So many of the latest evaluations are kept while the past is read, which takes minutes for thousands of models: it is
read up to the last of them. Each holds half a kilobyte a model."""


@dataclass(slots=True)
class Rebuild:
    """A signal whose past is being asked for; its evaluations wait meanwhile, and everybody else's go on."""

    name: Name
    guarded: Guarded
    watched: Watched
    at: datetime
    """The first instant that was evaluated live."""
    pairs: list[Pair]
    queries: tuple[Prepared, ...]
    meanwhile: deque[tuple[datetime, Mapping[Pair, Reading]]] = field(default_factory=lambda: deque(maxlen=KEPT))
    """The latest evaluations; what was evaluated before them is read with the past."""
    memories: dict[Pair, Memory] = field(default_factory=dict)

    @property
    def key(self) -> tuple[Name, str]:
        """One at a time by policy and signal."""
        return self.name, self.watched.rule.name

    @property
    def past(self) -> tuple[tuple[Prepared, ...], timedelta]:
        """What is asked, and how far it reaches back: equal for all that can be remembered together."""
        return self.queries, self.watched.reach

    def keep_all(self) -> datetime:
        """Keep every evaluation from now on; gives the instant of the latest."""
        self.meanwhile = deque(self.meanwhile)
        return self.meanwhile[-1][0]

    def remember(self, pair: Pair, at: datetime, given: Sequence[Answer], allowed_labels: Sequence[str]) -> None:
        """What a model's signal would have been evaluated to at an instant of the past, after those before it."""
        model = self.guarded.rules[pair.model].model
        reading = self.guarded.read(self.watched, model, at, given, allowed_labels)
        self.memories[pair] = signals.advance(self.memories.get(pair), self.watched.rule, at, reading)


@dataclass(slots=True)
class Rebuilds:
    """All that are under way."""

    allowed_labels: Sequence[str]
    settle: Callable[[Rebuild, bool], None]
    """Called with each that has ended, and whether its past was had."""
    _by_key: dict[tuple[Name, str], Rebuild] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _remembering: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One slice is remembered at a time, with breaths."""

    def __len__(self) -> int:
        return len(self._by_key)

    def of(self, name: Name, signal: str) -> Rebuild | None:
        """The one of a signal, if it is under way."""
        return self._by_key.get((name, signal))

    def forget(self, name: Name, signal: str) -> None:
        """End it without a result: its policy has gone, or has changed."""
        self._by_key.pop((name, signal), None)

    def add(self, rebuild: Rebuild) -> None:
        """Have a signal's evaluations wait; ``begin`` follows."""
        self._by_key[rebuild.key] = rebuild

    def begin(self, source: MetricSource, added: Iterable[Rebuild], models: int) -> None:
        """Ask for the past of those that were added in one round, among so many models in all."""
        together: dict[object, list[Rebuild]] = {}
        for rebuild in added:
            together.setdefault(rebuild.past, []).append(rebuild)
        for some in together.values():
            task = asyncio.ensure_future(self._rebuild(source, some, max(FEWEST, SLICE // max(1, models))))
            self._tasks.add(task)
            task.add_done_callback(partial(self._end, some))

    async def close(self) -> None:
        """End all without a result."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _end(self, rebuilds: Sequence[Rebuild], task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        for rebuild in rebuilds:
            if self._wanted(rebuild):
                self.forget(*rebuild.key)
        if not task.cancelled() and (error := task.exception()):
            log.error("memories were not rebuilt", policies=[one.name for one in rebuilds], error=repr(error))

    def _wanted(self, rebuild: Rebuild) -> bool:
        """Whether nobody has ended it meanwhile."""
        return self._by_key.get(rebuild.key) is rebuild

    async def _rebuild(self, source: MetricSource, rebuilds: Sequence[Rebuild], steps: int) -> None:
        """Have the past remembered up to the step that was evaluated live first, and then what passed meanwhile."""
        first = rebuilds[0]
        start = first.at - first.watched.reach // first.watched.rule.every * first.watched.rule.every
        whole = start, first.at
        had = await self._read(source, rebuilds, start, first.at, steps, whole)
        heard = [one.keep_all() for one in rebuilds if self._wanted(one)]
        if had and heard:
            had = await self._read(source, rebuilds, first.at, max(heard), steps, whole)
        for number, rebuild in enumerate(rebuilds):
            if number % BREATH == 0:
                await asyncio.sleep(0)
            if self._wanted(rebuild):
                self.forget(*rebuild.key)
                try:
                    self.settle(rebuild, had)
                except Exception as error:  # noqa: BLE001 - as below
                    _given_up(rebuild, error)

    async def _read(
        self,
        source: MetricSource,
        rebuilds: Sequence[Rebuild],
        start: datetime,
        until: datetime,
        steps: int,
        whole: Span,
    ) -> bool:
        """Have it remembered from a step up to another, which is not read; False when it could not be had."""
        every, queries = rebuilds[0].watched.rule.every, rebuilds[0].queries
        while start < until:
            end = min(until, start + steps * every) - every
            found = await asyncio.gather(*(source.ask_range(query, start, end, every, whole) for query in queries))
            ranges = [one for one in found if not isinstance(one, Failed)]
            if len(ranges) < len(found):
                return False
            async with self._remembering:
                await self._remember(rebuilds, ranges)
            start, steps = end + every, self._steps(ranges)
        return True

    def _steps(self, ranges: Iterable[Mapping[datetime, Answer]]) -> int:
        """How many steps of what was answered fit into a batch's share of a slice: a slow query is asked seldom."""
        series = sum(max(len(one) if isinstance(one, Vector) else 0 for one in answers.values()) for answers in ranges)
        return max(FEWEST, SLICE // max(1, len(self._tasks)) // max(1, series))

    async def _remember(self, rebuilds: Sequence[Rebuild], ranges: Sequence[Mapping[datetime, Answer]]) -> None:
        """Have each of them remember a slice."""
        instants, turns = sorted(ranges[0]), count(1)
        for rebuild in rebuilds:
            if not self._wanted(rebuild):
                continue
            try:
                for pair in rebuild.pairs:
                    for instant in instants:
                        if next(turns) % BREATH == 0:
                            await asyncio.sleep(0)
                        rebuild.remember(pair, instant, [one[instant] for one in ranges], self.allowed_labels)
            except Exception as error:  # noqa: BLE001 - a value that nobody foresaw must not stop the others' work
                if self._wanted(rebuild):
                    self.forget(*rebuild.key)
                _given_up(rebuild, error)


def _given_up(rebuild: Rebuild, error: Exception) -> None:
    log.error("a memory was not rebuilt", policy=rebuild.name, signal=rebuild.key[1], error=repr(error))
