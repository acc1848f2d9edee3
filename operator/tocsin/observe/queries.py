"""What is asked of a Prometheus server, and what comes back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from tocsin.decide.situation import Failed, NoData, Vector

Span = tuple[datetime, datetime]
"""The first instant and the last."""


@dataclass(frozen=True, slots=True)
class Selector:
    """A series selector of an expression, without offset and @."""

    text: str
    reach: timedelta
    """The range in its brackets; zero without."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A query that may be asked: two are equal when the same server would be asked the same expression."""

    server: str
    expression: str
    """Canonical, alone as it stands, and confined to the tenant."""
    text: str = field(compare=False)
    """What the user wrote."""
    tenant: str = field(default="", compare=False)
    """The namespace it is confined to; empty on a server of one tenant. A batch holds queries of one tenant."""
    scalar: bool = field(default=False, compare=False)
    """Whether it gives a scalar, which is answered as one sample without labels."""
    selectors: tuple[Selector, ...] = field(default=(), compare=False)
    """The raw series that it reads."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """A query that may not be asked; the message names what is wrong and the fix."""

    message: str


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A query that failed by its own fault; it is asked alone and seldom until it succeeds."""

    message: str
    retry_at: float
    """On the monotonic clock, in seconds."""


@dataclass(slots=True)
class Counters:
    """What one server has cost since the start."""

    requests: int = 0
    """HTTP requests sent, those that failed included."""
    failures: int = 0
    """Requests without a usable answer."""
    warnings: int = 0
    """Answers to which Prometheus attached warnings, for example a partial response."""


class MetricSource(Protocol):
    """What the engine and the replay need of a Prometheus server."""

    name: str
    counters: Counters
    trouble: Failed | None
    """Why the server as a whole could not be asked the last time; a query that fails by its own fault is none."""

    async def prepare(self, text: str, namespace: str) -> Prepared | Unusable | Failed:
        """Check a user's query and confine it; Failed when the server cannot be asked now."""
        ...

    async def ask(self, queries: Collection[Prepared], at: datetime) -> Mapping[Prepared, Vector | Failed]:
        """Evaluate all at one instant; every query has its entry."""
        ...

    async def ask_range(
        self, query: Prepared, start: datetime, end: datetime, step: timedelta, whole: Span | None = None
    ) -> Mapping[datetime, Vector | NoData] | Failed:
        """Evaluate at ``start``, ``start + step``, … up to ``end``; every instant has its entry.

        It is a slice of a whole that begins and ends elsewhere, if one is given: how often a series comes shows there.
        """
        ...

    @property
    def quarantined(self) -> Mapping[Prepared, str]:
        """The quarantined queries, each with what it failed by."""
        ...
