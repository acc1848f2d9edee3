"""How soon is a model contained once Prometheus has said it, and how many writes does it take?"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tests.bench.audit import OPERATOR, Entry
from tests.bench.floor import Measure
from tests.bench.ground import BAD, GOOD, OURS, Ground, Street, names
from tests.bench.hands import Request
from tests.bench.results import Result, quantile
from tests.cluster.proxy import Call
from tests.cluster.workloads import model_deployment
from tests.e2e.stage import SYSTEM

BLOCK = 20
"""Models that break one after another before the floor is measured again."""


def contain(ground: Ground, models: int) -> list[Result]:
    """One model after another breaks; from the deciding answer's last byte to the accepted write, in r."""
    street, floor, crowd = ground.street("contain"), Measure(ground), names(models)
    street.voices()
    street.deployments(crowd)
    street.receivers("owners")
    street.say(crowd, GOOD)
    with ground.operator():
        street.policies(crowd)
        street.measured()
        courses = courses_of(street, crowd, floor)
    alone = statistics.median(_same_writes(street))
    street.close()
    r, spans = floor.floor.r, [one.seconds for one in courses]
    most = max((one.writes for one in courses), key=len)
    p50, p99 = quantile(spans, 0.5), quantile(spans, 0.99)
    asked, requests = (
        statistics.median(of) for of in zip(*((one.asked, one.requests) for one in courses), strict=True)
    )
    raw = {"r": r, "seconds": spans, "floor": floor.samples, "alone": alone, "asked": [one.asked for one in courses]}
    return [
        Result(
            case="contain",
            row=3,
            what="last byte of the deciding Prometheus answer → containment accepted",
            target="p50 ≤ 10 r, p99 ≤ 25 r",
            measured=f"p50 {p50 / r:.1f} r, p99 {p99 / r:.1f} r (r = {r * 1e3:.2f} ms, n = {models}); for"
            f" {asked / r:.1f} r of it the server is at one of our {requests:.0f} requests; the four writes of it"
            f" alone, one after another, take {alone / r:.1f} r",
            met=p50 <= 10 * r and p99 <= 25 * r,
            how="proxy in front of Prometheus; audit log of the API server",
            numbers=raw,
        ),
        Result(
            case="contain",
            row=5,
            what="writes of one incident until it is contained",
            target="≤ 5",
            measured=f"at most {len(most)}: {', '.join(most)}",
            met=len(most) <= 5,
            how="audit log: the incident, its status, the target and the budget, accepted and not rehearsed",
            numbers={"writes": [len(one.writes) for one in courses]},
        ),
    ]


def _same_writes(street: Street) -> list[float]:
    """Seconds for what is written to each containment, by an administrator who has nothing else to do."""
    spans, budget = [], f"/api/v1/namespaces/{SYSTEM}/configmaps/tocsin-budget-{street.namespace}"
    for incident in street.incidents():
        name, model = f"{incident['metadata']['name']}-again", incident["spec"]["model"]
        body = {key: incident[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": {"name": name}}
        template = model_deployment(model, street.namespace, version="v3")["spec"]["template"]
        writes = [
            Request("POST", street.path(OURS, "incidents"), body),
            Request(
                "PATCH", budget, {"data": {incident["metadata"]["uid"]: incident["metadata"]["creationTimestamp"]}}
            ),
            Request("PATCH", street.path(OURS, "incidents", name) + "/status", {"status": incident["status"]}),
            Request("PATCH", street.path("/apis/apps/v1", "deployments", model), {"spec": {"template": template}}),
        ]
        first = Request("GET", budget)  # it opens the connection
        spans.append(sum(street.ground.hands.do([first, *writes], at_once=1, user=OPERATOR).each[1:]))
    return spans


def courses_of(street: Street, crowd: Sequence[str], floor: Measure, apart: str = "\0") -> list[Course]:
    """Break one after another, and measure each; answers to queries with this text in them have decided nothing."""
    ground, entries = street.ground, list[Entry]()
    ground.audit.read()
    for number, model in enumerate(crowd):
        if number % BLOCK == 0:
            floor.sample()
        street.say([model], BAD)
        entries += _until_written(ground, model)
    time.sleep(3)
    entries += ground.audit.read()
    answers = [
        call
        for call in ground.metrics.calls
        if call.path.startswith("/api/v1/query") and apart not in call.path and apart.encode() not in call.body
    ]
    return [course(ground, model, entries, answers) for model in crowd]


def _until_written(ground: Ground, model: str) -> list[Entry]:
    """Wait until the model's Deployment was written; what was logged meanwhile."""
    found: list[Entry] = []

    def written() -> bool:
        found.extend(ground.audit.read())
        return any(is_containment(one, model) for one in found)

    ground.cluster.wait(written, 60, f"the containment of {model}", every=0.05)
    return found


def is_containment(entry: Entry, model: str) -> bool:
    """Whether this is the accepted write to the model's Deployment."""
    return entry.is_write and entry.resource == "deployments" and entry.name == model


@dataclass(frozen=True)
class Course:
    """What happened between the answer that decided and the record of the outcome."""

    seconds: float
    """Until the containment was accepted."""
    asked: float
    """Of these, in which the server was at a request of ours."""
    requests: int
    """So many, reads and rehearsals among them."""
    writes: list[str]
    """All that was written until the outcome stood in the incident, Leases and Events apart."""


def course(ground: Ground, model: str, entries: list[Entry], answers: list[Call]) -> Course:
    """The course of one model that broke alone: everything that was written then was written for it."""
    intent = next(one for one in entries if one.resource == "incidents/status" and _is_of(one, model))
    done = next(one for one in entries if is_containment(one, model))
    ended = (ground.seconds_of(call.ended) for call in answers if call.ended)
    decided = max(instant for instant in ended if instant <= intent.began)
    outcome = next(
        one
        for one in entries
        if one.resource == "incidents/status" and _is_of(one, model) and one.began >= done.ended and one.is_write
    )
    apart = ("leases", "events", "escalationpolicies/status")
    written = [
        one.resource
        for one in entries
        if one.is_write and one.resource not in apart and decided <= one.began <= outcome.began
    ]
    ours = [one for one in entries if decided <= one.began and one.ended <= done.ended]
    return Course(
        (done.ended - decided).total_seconds(), covered([(one.began, one.ended) for one in ours]), len(ours), written
    )


def covered(spans: Sequence[tuple[datetime, datetime]]) -> float:
    """The seconds that lie in at least one of these spans."""
    total, reached = timedelta(), datetime.min.replace(tzinfo=UTC)
    for began, ended in sorted(spans):
        total += max(timedelta(), ended - max(began, reached))
        reached = max(reached, ended)
    return total.total_seconds()


def _is_of(entry: Entry, model: str) -> bool:
    """Whether an entry names the model's incident."""
    return re.fullmatch(rf"{re.escape(model)}-[0-9a-f]{{8}}", entry.name) is not None
