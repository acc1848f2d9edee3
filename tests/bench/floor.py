"""What is the least that this machine and this API server need? Every speed is told as a multiple of it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.ground import OURS, Ground, Street
from tests.bench.hands import Request


@dataclass(frozen=True)
class Floor:
    """Measured in the run that uses it."""

    requests: list[float]
    """Seconds of sequential requests on one connection, GET and PATCH of a ConfigMap by turns."""

    @property
    def r(self) -> float:
        """One sequential API request, the median, in seconds."""
        return statistics.median(self.requests)


class Measure:
    """The floor, sampled again and again between what is measured."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._where = "/api/v1/namespaces/default/configmaps/floor"
        if not ground.cluster.found(self._where):
            body = {"metadata": {"name": "floor"}, "data": {}}
            ground.cluster.api("POST", "/api/v1/namespaces/default/configmaps", body)
        self.samples: list[float] = []

    def sample(self, pairs: int = 10) -> None:
        """So many GETs and PATCHes more."""
        turns = [
            one
            for number in range(pairs)
            for one in (
                Request("GET", self._where),
                Request("PATCH", self._where, {"data": {"n": f"{time.time()} {number}"}}),
            )
        ]
        self.samples += self._ground.hands.do(turns, at_once=1).each[2:]  # the first ones open the connection

    @property
    def floor(self) -> Floor:
        return Floor(list(self.samples))


def rollouts(street: Street, models: Sequence[str]) -> float:
    """W′: the writes a second, everybody's, that the server bears while so many Deployments get two revisions."""
    audit = street.ground.audit
    audit.read(None)
    began = time.monotonic()
    street.deployments(models)
    spent = time.monotonic() - began
    return sum(one.is_write and one.namespace == street.namespace for one in audit.read(None)) / spent


def raw_list(ground: Ground) -> float:
    """Seconds to list all of our objects, in pages as the operator does, with nobody to handle them."""
    began = time.perf_counter()
    for plural in ("escalationpolicies", "responders", "incidents", "decisions"):
        more = ""
        while True:
            page = ground.cluster.api("GET", f"{OURS}/{plural}?limit=500{more}", timeout=120)
            if not (token := page["metadata"].get("continue")):
                break
            more = f"&continue={token}"
    return time.perf_counter() - began
