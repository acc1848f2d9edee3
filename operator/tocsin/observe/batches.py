"""How many queries share one request, without one being able to speak for another."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tocsin.decide.situation import Failed, Sample, Vector
from tocsin.observe.answers import HISTOGRAM, Row
from tocsin.observe.queries import Prepared

SIZE = 50
"""Queries in one request; past some 200 the cost of ``or`` is quadratic."""


def _random_word() -> str:
    return f"tocsin_{secrets.token_hex(8)}"


@dataclass(frozen=True, slots=True)
class Batch:
    """Queries of one tenant in one expression; each result carries its query's id in a label that nobody can guess."""

    label: str
    members: Mapping[str, Prepared]
    """By id."""

    @classmethod
    def of(cls, queries: Collection[Prepared], word: Callable[[], str] = _random_word) -> Batch:
        """A batch with new random words."""
        return cls(word(), {word(): query for query in queries})

    @property
    def expression(self) -> str:
        """The queries joined by ``or``: they never collide, since every one has another id.

        The line feed ends a comment that a text might end with; canonical texts have none, so this is the second lock.
        """
        return " or ".join(
            f'label_replace({"vector" if query.scalar else ""}({query.expression}\n),"{self.label}","{name}","","")'
            for name, query in self.members.items()
        )

    def split(self, rows: Collection[Row]) -> Mapping[Prepared, Vector | Failed] | Failed:
        """The samples of each query without the id; Failed when a row belongs to none."""
        samples: dict[Prepared, list[Sample]] = {query: [] for query in self.members.values()}
        histograms: set[Prepared] = set()
        for row in rows:
            query = self.members.get(row.labels.get(self.label, ""))
            if query is None:
                return Failed("the answer has a series that belongs to no query")
            if row.value is None:
                histograms.add(query)
            else:
                labels = {name: value for name, value in row.labels.items() if name != self.label}
                samples[query].append(Sample(labels, row.value))
        return {query: HISTOGRAM if query in histograms else Vector(found) for query, found in samples.items()}


def grouped(queries: Collection[Prepared], size: int = SIZE) -> Iterator[Sequence[Prepared]]:
    """The queries in groups of one tenant and at most this size, in an order that does not change."""
    tenants: dict[str, list[Prepared]] = {}
    for query in sorted(queries, key=lambda query: (query.tenant, query.expression)):
        tenants.setdefault(query.tenant, []).append(query)
    for members in tenants.values():
        for first in range(0, len(members), size):
            yield members[first : first + size]
