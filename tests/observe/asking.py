"""How does a test ask a server that it writes itself?"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from typing import Any, TypeVar

from tests.clocks import T0, FakeClock
from tests.observe.faulty import Reply, Request, vector
from tocsin.decide.situation import Sample, Vector
from tocsin.observe.prometheus import Prometheus
from tocsin.observe.queries import Prepared
from tocsin.settings import PrometheusServer, Tenancy

T = TypeVar("T")
Answer = Callable[[Request], Reply]
PATIENT, SHORT = timedelta(seconds=30), timedelta(milliseconds=250)
"""The server's time-out: short only where a request hangs, because on a busy machine any answer may take that long."""


def query(text: str, tenant: str = "") -> Prepared:
    return Prepared("default", text, text, tenant)


def queries(count: int, tenant: str = "") -> list[Prepared]:
    return [query(f"q{number:03}", tenant) for number in range(count)]


def used(
    url: str,
    executor: ThreadPoolExecutor,
    use: Callable[[Prometheus], Awaitable[T]],
    clock: FakeClock | None = None,
    **settings: Any,
) -> T:
    async def session() -> T:
        server = PrometheusServer(url=url, **{"tenancy": Tenancy.SINGLE, "timeout": PATIENT} | settings)
        source = Prometheus("default", server, executor, clock)
        try:
            return await use(source)
        finally:
            source.close()

    return asyncio.run(session())


def asked(*wanted: Prepared) -> Callable[[Prometheus], Awaitable[Any]]:
    async def use(source: Prometheus) -> Any:
        return await source.ask(wanted, T0)

    return use


def value(text: str, number: str) -> Vector:
    return Vector([Sample({"model": text}, Decimal(number))])


def all_but(bad: Collection[str], reply: Reply) -> Answer:
    """Every query gives 1; a request that holds a bad one fails as a whole."""

    def answer(request: Request) -> Reply:
        if set(bad) & set(request.members):
            return reply
        return vector(request, dict.fromkeys(request.members, "1"))

    return answer


def as_json(data: Any) -> bytes:
    """As it goes over the wire."""
    return json.dumps(data).encode()
