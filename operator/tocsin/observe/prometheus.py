"""What a Prometheus server says now, and what it said; errors are values, and never health."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from tocsin.clock import Clock, SystemClock
from tocsin.decide.situation import Failed, NoData, Vector
from tocsin.lanes import Lanes
from tocsin.observe import answers, promql
from tocsin.observe.answers import Envelope
from tocsin.observe.batches import Batch, grouped
from tocsin.observe.history import History
from tocsin.observe.queries import Counters, Prepared, Quarantined, Span, Unusable
from tocsin.observe.wire import Blame, Trouble, Wire
from tocsin.settings import PrometheusServer, Tenancy

AT_ONCE = 8
"""Requests to one server at the same time."""
EACH = 2
"""How many of them may be one tenant's: who asks slowly waits for himself."""
RETRY_AFTER = 300.0
"""Seconds after which a quarantined query, or one that was unusable, is asked for again."""
SPARED = 1.0
"""Seconds in which a server that was found down is not asked to prepare anything."""
REMEMBERED = 50_000
"""Texts whose preparation is remembered; past that the oldest is prepared anew."""
LONGEST = 16_384
"""Characters of an expression; deep nesting is indented by Prometheus, and grows with the square of its depth."""

Answers = Mapping[Prepared, Vector | Failed]


class Prometheus:
    """One server of the settings; the requests run in the executor, at most ``AT_ONCE`` at a time."""

    def __init__(
        self, name: str, server: PrometheusServer, executor: ThreadPoolExecutor, clock: Clock | None = None
    ) -> None:
        self.name = name
        self.counters = Counters()
        self.trouble: Failed | None = None
        self._confines = server.tenancy is Tenancy.NAMESPACE
        self._executor = executor
        self._clock = clock or SystemClock()
        self._wire = Wire(server, self._clock)
        self._lanes = Lanes(AT_ONCE, EACH)
        self._round = _Round(self, 0)
        self._prepared: dict[tuple[str, str], Prepared | tuple[Unusable, float]] = {}
        self._preparing: dict[tuple[str, str], asyncio.Task[Prepared | Unusable | Failed]] = {}
        self._quarantine: dict[Prepared, Quarantined] = {}
        self._outage: tuple[Failed, float] | None = None
        """Why nothing can be prepared, and until when nobody tries again."""

    def close(self) -> None:
        """Close the connections."""
        self._wire.close()

    @property
    def quarantined(self) -> Mapping[Prepared, str]:
        """The quarantined queries, each with what it failed by."""
        return {query: entry.message for query, entry in self._quarantine.items()}

    async def prepare(self, text: str, namespace: str) -> Prepared | Unusable | Failed:
        """Check a user's query and confine it to the namespace; Failed when the server cannot be asked now.

        What comes is remembered by text and namespace, an Unusable for ``RETRY_AFTER``.
        """
        key = (text, namespace if self._confines else "")
        match self._prepared.get(key):
            case Prepared() as known:
                return known
            case (Unusable() as unusable, float(until)) if self._clock.monotonic() < until:
                return unusable
        if (task := self._preparing.get(key)) is None:
            task = self._preparing[key] = asyncio.create_task(self._remember(key))
            task.add_done_callback(lambda _: self._preparing.pop(key, None))
        return await asyncio.shield(task)

    async def _remember(self, key: tuple[str, str]) -> Prepared | Unusable | Failed:
        found = await self._prepare(*key)
        match found:
            case Prepared():
                self._prepared[key] = found
            case Unusable():
                self._prepared[key] = (found, self._clock.monotonic() + RETRY_AFTER)
        while len(self._prepared) > REMEMBERED:
            del self._prepared[next(iter(self._prepared))]
        return found

    async def _prepare(self, text: str, tenant: str) -> Prepared | Unusable | Failed:
        """Parse, confine, write, have it formatted, parse that: every node must be what was meant."""
        try:
            text.encode()
        except UnicodeEncodeError:
            return Unusable("the query is not UTF-8")
        parsed = await self._rewritten("parse_query", text, tenant)
        if not isinstance(parsed, Envelope):
            return parsed
        try:
            tree = promql.confined(parsed.data, tenant) if tenant else promql.normal(parsed.data)
            if (refusal := _refusal(tree, confines=bool(tenant))) is not None:
                return refusal
            mine = promql.written(tree)
            scalar, selectors = promql.kind(tree) == "scalar", promql.selectors(tree)
        except promql.NotUnderstood as unknown:
            return Unusable(f"the query uses {unknown}, which this version does not know: write it more simply")
        except RecursionError:
            return Unusable("the query is nested too deeply: split it by recording rules")
        formatted = await self._rewritten("format_query", mine, tenant)
        if not isinstance(formatted, Envelope):
            return formatted
        if not isinstance(formatted.data, str):
            return Failed("the answer to format_query is not a text")
        if len(formatted.data) > LONGEST:
            return Unusable(
                f"the query is longer than {LONGEST} characters as Prometheus writes it: use recording rules"
            )
        again = await self._rewritten("parse_query", formatted.data, tenant)
        if not isinstance(again, Envelope):
            return again
        if not _same(again.data, tree):
            return Unusable("the query does not mean the same once it is written canonically: write it more simply")
        return Prepared(self.name, formatted.data, text, tenant, scalar, selectors)

    def slot(self, tenant: str) -> AbstractAsyncContextManager[None]:
        """Room for one request; the queries of a server of one tenant share all of it."""
        return self._lanes.enter(tenant) if tenant else self._lanes.enter()

    async def _rewritten(self, endpoint: str, text: str, tenant: str) -> Envelope | Unusable | Failed:
        """One request; once the server is found down, whoever waits for a slot is told so and asks nothing."""
        async with self.slot(tenant):
            if self._outage and self._clock.monotonic() < self._outage[1]:
                return self._outage[0]
            match await self._send(lambda: self._wire.rewrite(endpoint, text)):
                case Trouble(Blame.QUERY, message):
                    return Unusable(f"the query is refused: {message}")
                case Trouble(blame) as trouble:
                    trivial = blame is not Blame.SERVER and await self._send(lambda: self._wire.rewrite(endpoint, "1"))
                    if not isinstance(trivial, Envelope):
                        self._outage = (trouble.failed, self._clock.monotonic() + SPARED)
                        self.trouble = trouble.failed
                    return trouble.failed
                case found:
                    self.trouble = None
                    return found

    async def ask(self, queries: Collection[Prepared], at: datetime) -> Answers:
        """Evaluate all at one instant; every query has its entry.

        Equal queries are asked once, unlike ones in batches. A query that fails by its own fault is found by halving
        its batch, and quarantined; the others have their values in the same round.
        """
        now = self._clock.monotonic()
        self._forget(now)
        shared, alone, results = set[Prepared](), list[Prepared](), dict[Prepared, Vector | Failed]()
        for query in set(queries):
            match self._quarantine.get(query):
                case None:
                    shared.add(query)
                case Quarantined(message, retry_at) if now < retry_at:
                    results[query] = Failed(message)
                case _:
                    alone.append(query)
        if self._round.at != _milliseconds(at):
            self._round = _Round(self, _milliseconds(at))
        round_ = self._round
        for part in await asyncio.gather(
            *(round_.ask(group) for group in grouped(shared)), *(round_.ask([query]) for query in alone)
        ):
            results.update(part)
        if shared or alone:
            self.trouble = round_.outage.failed if round_.outage else None
        return results

    def _forget(self, now: float) -> None:
        """Release queries that nobody has asked for since long."""
        for query in [query for query, entry in self._quarantine.items() if now > entry.retry_at + 12 * RETRY_AFTER]:
            del self._quarantine[query]

    async def evaluate(self, batch: Batch, at: int) -> Answers | Trouble:
        """One request for one batch, at milliseconds of the epoch; for whoever holds a slot."""
        found = await self._send(lambda: self._wire.evaluate(batch.expression, at))
        if isinstance(found, Trouble):
            return found
        rows = answers.instant(found.data, at)
        split = rows if isinstance(rows, Failed) else batch.split(rows)
        return Trouble(Blame.UNKNOWN, split.message) if isinstance(split, Failed) else split

    async def trivially(self, at: int) -> Trouble | None:
        """The trouble with a query that nothing is wrong with; None when there is none."""
        trivial = Prepared(self.name, "1", "1", scalar=True)
        found = await self.evaluate(Batch.of([trivial]), at)
        return found if isinstance(found, Trouble) else None

    def release(self, queries: Collection[Prepared]) -> None:
        """Whoever is answered leaves the quarantine."""
        for query in queries:
            self._quarantine.pop(query, None)

    def confine(self, query: Prepared, message: str) -> Failed:
        """Into quarantine, or longer in it."""
        self._quarantine[query] = Quarantined(message, self._clock.monotonic() + RETRY_AFTER)
        return Failed(message)

    async def ask_range(
        self, query: Prepared, start: datetime, end: datetime, step: timedelta, whole: Span | None = None
    ) -> Mapping[datetime, Vector | NoData] | Failed:
        """Evaluate at ``start``, ``start + step``, … up to ``end``; every instant has its entry.

        An instant without a fresh raw sample of the query's series is NoData("NotScraped"), whatever lookback gives.
        """
        return await History(partial(self._range, query.tenant), query, start, end, step, whole).read()

    async def _range(self, tenant: str, expression: str, start: int, end: int, step: timedelta) -> Envelope | Trouble:
        async with self.slot(tenant):
            return await self._send(lambda: self._wire.evaluate_range(expression, start, end, step))

    async def _send(self, request: Callable[[], Envelope | Trouble]) -> Envelope | Trouble:
        self.counters.requests += 1
        found = await asyncio.get_running_loop().run_in_executor(self._executor, request)
        if isinstance(found, Trouble):
            self.counters.failures += 1
        elif found.warnings:
            self.counters.warnings += 1
        return found


@dataclass(slots=True)
class _Round:
    """One instant at which everybody asks; once the server is found down, nothing more is sent."""

    server: Prometheus
    at: int
    outage: Trouble | None = None

    async def ask(self, queries: Sequence[Prepared]) -> Answers:
        """The answers of one group, found by dividing it where it fails as a whole."""
        found = await self._attempt(queries)
        if self.outage is not None and isinstance(found, Trouble):
            return dict.fromkeys(queries, self.outage.failed)
        if not isinstance(found, Trouble):
            self.server.release(found)
            return found
        if len(queries) == 1:
            return {queries[0]: self.server.confine(queries[0], found.message)}
        return await self._divide(queries, parts=len(queries) if found.blame is Blame.UNKNOWN else 2)

    async def _attempt(self, queries: Sequence[Prepared]) -> Answers | Trouble:
        """One request; the slot is kept for the trivial query, which must not wait behind the rest of the round."""
        async with self.server.slot(queries[0].tenant):
            if self.outage is not None:
                return self.outage
            found = await self.server.evaluate(Batch.of(queries), self.at)
            match found:
                case Trouble(Blame.SERVER):
                    self.outage = found
                case Trouble(Blame.UNKNOWN | Blame.SIZE):
                    self.outage = self.outage or await self.server.trivially(self.at)
            return found

    async def _divide(self, queries: Sequence[Prepared], parts: int) -> Answers:
        """Ask again in parts; by ones where each failure may cost a whole time-out."""
        size = -(-len(queries) // parts)
        results: dict[Prepared, Vector | Failed] = {}
        for part in await asyncio.gather(*(self.ask(queries[n : n + size]) for n in range(0, len(queries), size))):
            results.update(part)
        return results


def _refusal(tree: Any, *, confines: bool) -> Unusable | None:
    match promql.kind(tree):
        case "string":
            return Unusable("the query gives a text, not a number")
        case "matrix":
            return Unusable("the query gives a range: put a function around it, for example avg_over_time(…)")
    if promql.depends_on_the_range(tree):
        return Unusable(
            "the query uses start(), end(), range() or step(): leave them out, an evaluation is one instant"
        )
    if confines and "info" in promql.calls(tree):
        return Unusable("info() reads series that cannot be confined to a namespace: join them by group_left instead")
    return None


def _same(found: Any, meant: promql.Tree) -> bool:
    try:
        return promql.normal(found) == meant
    except (promql.NotUnderstood, RecursionError):
        return False


def _milliseconds(at: datetime) -> int:
    return (at - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)
