"""How does a test decide what Prometheus says? By series set per query text, from an instant on."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tocsin.decide.situation import Failed, NoData, Sample, Vector
from tocsin.observe.queries import Counters, Prepared, Span, Unusable

BEGIN = datetime.min.replace(tzinfo=UTC)
END = datetime.max.replace(tzinfo=UTC)


_UNREACHABLE = Failed("it cannot be reached: the connection was refused or lost")


class FakePrometheus:
    """A MetricSource in memory; a query nobody has set answers without series."""

    def __init__(self, name: str = "default", *, confines: bool = True) -> None:
        self.name = name
        self.counters = Counters()
        self.trouble: Failed | None = None
        self._confines = confines
        self._set: dict[tuple[str, str], list[tuple[datetime, Vector | Failed]]] = {}
        self._outages: list[tuple[datetime, datetime]] = []
        self._unusable: dict[str, str] = {}
        self._quarantine: dict[Prepared, str] = {}
        self.reachable = True
        """Whether it can be asked to prepare anything."""

    def set(
        self, text: str, *series: tuple[str, Mapping[str, str]], namespace: str = "", since: datetime = BEGIN
    ) -> None:
        """From then on the query of that namespace gives these values, each with its labels; none means no series."""
        self._enter(text, namespace, since, Vector(Sample(dict(labels), Decimal(value)) for value, labels in series))

    def fail(self, text: str, message: str, *, namespace: str = "", since: datetime = BEGIN) -> None:
        """From then on the query of that namespace fails by its own fault."""
        self._enter(text, namespace, since, Failed(message))

    def refuse(self, text: str, message: str) -> None:
        """The query is unusable."""
        self._unusable[text] = message

    def down(self, since: datetime, until: datetime = END) -> None:
        """Nothing is answered nor scraped from the first instant until before the second."""
        self._outages.append((since, until))

    def _enter(self, text: str, namespace: str, since: datetime, what: Vector | Failed) -> None:
        entries = self._set.setdefault((text.strip(), namespace if self._confines else ""), [])
        entries.append((since, what))
        entries.sort(key=lambda entry: entry[0])

    @property
    def quarantined(self) -> Mapping[Prepared, str]:
        return dict(self._quarantine)

    async def prepare(self, text: str, namespace: str) -> Prepared | Unusable | Failed:
        self.trouble = None if self.reachable else _UNREACHABLE
        if self.trouble:
            return self.trouble
        if text in self._unusable:
            return Unusable(self._unusable[text])
        if text.count("(") != text.count(")"):
            return Unusable("the query is refused: 1:1: parse error: unbalanced parentheses")
        tenant = namespace if self._confines else ""
        return Prepared(self.name, f"{text.strip()} in {tenant}" if tenant else text.strip(), text.strip(), tenant)

    async def ask(self, queries: Collection[Prepared], at: datetime) -> Mapping[Prepared, Vector | Failed]:
        self.counters.requests += 1
        self.trouble = _UNREACHABLE if self._is_down(at) else None
        if self.trouble:
            self.counters.failures += 1
            return dict.fromkeys(queries, self.trouble)
        answers = {query: self._at(query, at) for query in queries}
        for query, found in answers.items():
            if isinstance(found, Failed):
                self._quarantine[query] = found.message
            else:
                self._quarantine.pop(query, None)
        return answers

    async def ask_range(
        self, query: Prepared, start: datetime, end: datetime, step: timedelta, whole: Span | None = None
    ) -> Mapping[datetime, Vector | NoData] | Failed:
        self.counters.requests += 1
        if not self.reachable:
            return _UNREACHABLE
        readings: dict[datetime, Vector | NoData] = {}
        for number in range((end - start) // step + 1):
            at = start + number * step
            found = NoData("NotScraped") if self._is_down(at) else self._at(query, at)
            if isinstance(found, Failed):
                return found
            readings[at] = found
        return readings

    def _is_down(self, at: datetime) -> bool:
        return not self.reachable or any(since <= at < until for since, until in self._outages)

    def _at(self, query: Prepared, at: datetime) -> Vector | Failed:
        entries = self._set.get((query.text, query.tenant), [])
        position = bisect_right(entries, at, key=lambda entry: entry[0])
        return entries[position - 1][1] if position else Vector()
