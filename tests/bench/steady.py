"""What does it cost when nothing is wrong, and how does that grow? And how soon is everything watched after a start?"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from tests.bench.floor import raw_list
from tests.bench.ground import GOOD, LEASE, Ground, Operator, a_spec, names
from tests.bench.results import Result, curve

NAMESPACES = 4
LAG = "tocsin_evaluation_lag_seconds_sum"


@dataclass(frozen=True)
class Cost:
    """What was spent while nothing was wrong."""

    policies: int
    seconds: float
    rounds: float
    queries: int
    writes: list[str]
    """All but the Lease's."""
    cpu: float
    memory: float
    lag: float
    """Seconds from a point of the grid to the end of its evaluations, the mean."""
    grown: dict[str, float]
    """Megabytes after each step of the start."""

    @property
    def evaluations(self) -> float:
        return self.policies * self.rounds

    @property
    def per_thousand(self) -> float:
        """Milliseconds of processor time for a thousand evaluations, everything included."""
        return self.cpu * 1e6 / self.evaluations


def steady(ground: Ground, sizes: list[int], seconds: float, every: int) -> list[Result]:
    """Policies whose models are well, evaluated every so many seconds, more and more of them."""
    streets = [ground.street("steady") for _ in range(NAMESPACES)]
    costs: list[Cost] = []
    starts: list[Result] = []
    for street in streets:
        street.voices()
    for size in sizes:
        crowd = names(size)
        for number, street in enumerate(streets):
            fresh = [one for one in crowd[number::NAMESPACES] if one not in street.said]
            street.say(fresh, GOOD)
            street.policies(fresh, lambda model: watching(model, every))
        with ground.operator() as operator:
            grown = until_watched(ground, operator, size, every)
            costs.append(cost_of(ground, operator, size, seconds, grown))
        if size == sizes[-1]:
            starts.append(_start(ground, size, every))
        if size == sizes[-2:][0]:  # of the largest it would tell of the rebuild only
            starts.append(_fail_over(ground, size, every))
    for street in streets:
        street.close()
    return [*_rows(costs), *starts]


def watching(model: str, every: int) -> dict[str, Any]:
    """A policy without a target: its cost is that of evaluation."""
    return a_spec(model, every=f"{every}s") | {"models": [{"name": model}], "containment": []}


def until_watched(ground: Ground, operator: Operator, size: int, every: int) -> dict[str, float]:
    """Every policy is in the store, was evaluated, and has its memory; returns the megabytes after each step."""
    kind = 'kind="EscalationPolicy"'
    grown = {"leading": operator.meter.memory}
    ground.cluster.wait(lambda: operator.metric("tocsin_objects", kind) >= size, 300, "the policies", every=0.2)
    grown["listed"] = operator.meter.memory
    begun = operator.metric("tocsin_rounds_total")
    ground.cluster.wait(lambda: operator.metric("tocsin_rounds_total") >= begun + 3, 300, "three rounds", every=0.2)
    grown["evaluated"] = operator.meter.memory
    ground.cluster.wait(lambda: not operator.metric("tocsin_signals_rebuilding"), 1200, "the past", every=0.5)
    grown["its past read"] = operator.meter.memory
    ground.until_quiet(2 * every)
    return grown


def cost_of(ground: Ground, operator: Operator, size: int, seconds: float, grown: dict[str, float]) -> Cost:
    """What so many seconds cost in which nothing is wrong."""
    ground.audit.read()
    queries, rounds, lag = len(ground.metrics.calls), operator.metric("tocsin_rounds_total"), operator.metric(LAG)
    cpu, began = operator.meter.cpu, time.monotonic()
    time.sleep(seconds)
    cpu, rounds = operator.meter.cpu - cpu, operator.metric("tocsin_rounds_total") - rounds
    return Cost(
        policies=size,
        cpu=cpu,
        seconds=time.monotonic() - began,
        rounds=rounds,
        lag=(operator.metric(LAG) - lag) / rounds,
        queries=len(ground.metrics.calls) - queries,
        writes=ground.written(),
        memory=operator.meter.memory,
        grown=grown,
    )


def _start(ground: Ground, size: int, every: int) -> Result:
    """From the start of the process to the end of its first round, in raw lists of what it has to know."""
    listing = raw_list(ground)
    began = time.monotonic()
    with ground.operator() as operator:
        ground.cluster.wait(lambda: operator.metric("tocsin_rounds_total") >= 1, 300, "the first round", every=0.05)
        spent = time.monotonic() - began
        until_watched(ground, operator, size, every)
        ranges = [call for call in ground.metrics.calls if "query_range" in call.path and call.ended]
        asking = sum((call.ended or 0.0) - call.started for call in ranges)
    allowed = 10 * listing + asking + every
    return Result(
        case="steady",
        row=8,
        what=f"start of the process to the end of its first round, {size} policies",
        target="≤ 10 × a raw list + the rebuild's queries (+ the wait for the grid)",
        measured=f"{spent:.1f} s; a raw list takes {listing:.2f} s, the queries {asking:.2f} s, the grid ≤ {every} s",
        met=spent <= allowed,
        how="from the start of the process, imports included, until its own metric counts a round",
        numbers={"seconds": spent, "list": listing, "queries": asking},
    )


def _fail_over(ground: Ground, size: int, every: int) -> Result:
    """From the death of the leader to the end of the other's first round."""
    with ground.operator() as leader:
        until_watched(ground, leader, size, every)
        with ground.operator(behind=leader) as other:
            kind = 'kind="EscalationPolicy"'
            ground.cluster.wait(lambda: other.metric("tocsin_objects", kind) >= size, 300, "the policies", every=0.2)
            leader.process.kill()
            died = time.monotonic()
            ground.cluster.wait(lambda: other.metric("tocsin_rounds_total") >= 1, 300, "the first round", every=0.05)
            first = time.monotonic() - died
            ground.cluster.wait(lambda: not other.metric("tocsin_signals_rebuilding"), 1200, "the past", every=0.5)
            decided = time.monotonic() - died
    return Result(
        case="steady",
        row=0,
        what=f"fail-over with {size} policies: the leader is killed, the other waits for its Lease of {LEASE} s",
        target="",
        measured=f"its first round ends after {first:.1f} s, and everything is decided by its past after"
        f" {decided:.0f} s",
        met=None,
        how="from the kill until the other's own metrics say so",
        numbers={"first": first, "decided": decided},
    )


def _rows(costs: list[Cost]) -> list[Result]:
    raw: dict[str, Any] = {"costs": [vars(one) | {"per_thousand": one.per_thousand} for one in costs]}
    last = costs[-1]
    a_round = [one.queries / one.rounds for one in costs]
    budget = 120 + 6 * last.policies / 1000
    per_round = [one.cpu * 1000 / one.rounds for one in costs]
    sizes = ", ".join(str(one.policies) for one in costs)
    return [
        Result(
            case="steady",
            row=1,
            what=f"queries a round, {sizes} policies with one text",
            target="≤ 1 per distinct 50 texts + 1; no growth with policies",
            measured=", ".join(f"{one:.2f}" for one in a_round),
            met=max(a_round) <= 2,
            how="proxy in front of Prometheus",
            numbers=raw,
        ),
        Result(
            case="steady",
            row=2,
            what=f"writes while nothing is wrong, {sum(one.seconds for one in costs):.0f} s",
            target="the Lease only",
            measured=f"{sum(len(one.writes) for one in costs)} beside the Lease",
            met=not any(one.writes for one in costs),
            how="audit log of the API server",
            numbers={"writes": [one.writes for one in costs]},
        ),
        Result(
            case="steady",
            row=7,
            what=f"memory, {last.policies} policies",
            target="≤ 120 MB + 6 MB per 1,000 policies",
            measured=", ".join(f"{one.memory:.0f} MB at {one.policies}" for one in costs)
            + f"; on the way to the last {', '.join(f'{size:.0f} {step}' for step, size in last.grown.items())}",
            met=last.memory <= budget,
            how="VmRSS of the operator",
            numbers={"memory": [one.memory for one in costs]},
        ),
        Result(
            case="steady",
            row=0,
            what="processor time for 1,000 evaluations, by policies",
            target="",
            measured=", ".join(f"{one.per_thousand:.0f} ms at {one.policies}" for one in costs),
            met=None,
            how="/proc of the operator, everything it does included",
            numbers={"curve": curve("policies", "ms a round", [one.policies for one in costs], per_round)},
        ),
        Result(
            case="steady",
            row=0,
            what="from a point of the grid to the end of its evaluations, the mean",
            target="",
            measured=", ".join(f"{one.lag:.2f} s at {one.policies} policies" for one in costs),
            met=None,
            how="the operator's own metric",
            numbers={"lag": [one.lag for one in costs]},
        ),
    ]
