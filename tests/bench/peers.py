"""How soon, and at what cost, do others contain the same models by the same Prometheus, and what if they are killed?"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tests.bench.analysis import paired
from tests.bench.audit import Entry
from tests.bench.contenders import BY_DEFAULT, KINDS, Contender, Kind
from tests.bench.ground import BAD, GOOD, Ground, Street, names
from tests.bench.meters import Meter
from tests.bench.results import Result, quantile
from tests.bench.steady import watching
from tests.cluster.proxy import Call, CallAfter, CallBefore, DropBefore

BESIDE = ("leases", "events")
SIDES = ("before", "after")
PATIENCE = 25
"""Seconds in which what was interrupted must have been made good, or never is."""


@dataclass(frozen=True)
class Block:
    """One spell of one of them: models that broke one after another, and before that a quiet while."""

    seconds: list[float]
    """From the value at the exporter to the accepted write."""
    writes: float
    """For each model."""
    cpu: float
    """Seconds of processor time for each second of the quiet while, its processes and Prometheus together."""
    prometheus: float
    """Prometheus' share of that."""
    memory: float


def peers(ground: Ground, blocks: int, each: int, crowd: int, quiet: float, killed: int) -> list[Result]:
    """Blocks by turns (ABBA), with a crowd of models that are well beside those that break."""
    street = ground.street("peers")
    street.voices()
    street.receivers("owners")
    street.say(names(crowd, "well"), GOOD)
    street.policies(names(crowd, "well"), lambda model: watching(model, 1))
    fresh = _fresh(street, blocks * len(KINDS) * each + 2 + 2 * killed * len(KINDS))
    taken: dict[str, list[Block]] = {kind.name: [] for kind in (*KINDS, BY_DEFAULT)}
    for number in range(blocks):
        for kind in KINDS if number % 2 == 0 else KINDS[::-1]:
            taken[kind.name].append(_block(street, kind, [next(fresh) for _ in range(each)], quiet))
    taken[BY_DEFAULT.name].append(_block(street, BY_DEFAULT, [next(fresh) for _ in range(2)], 0))
    ends = {
        kind.name: [_killed(street, kind, side, next(fresh)) for side in SIDES for _ in range(killed)] for kind in KINDS
    }
    ground.vacate(street)
    rows = [_row(name, some, crowd, ends.get(name)) for name, some in taken.items()]
    first, second = ([statistics.median(one.seconds) for one in taken[kind.name]] for kind in KINDS)
    ratio, low, high = paired(first, second)
    return [
        Result(
            case="peers",
            row=0,
            what="from a value beyond its line to the accepted write that takes the bad revision away",
            target="",
            measured=f"Tocsin takes {ratio:.2f} × the time of Alertmanager with a webhook ({low:.2f} to {high:.2f},"
            f" 95 %, {blocks} pairs)",
            met=None,
            how=f"by turns, {each} models a block, one after another, among {crowd} that are well; scraped and"
            " evaluated every second, sustained for one",
            numbers={"peers": rows, "blocks": {name: [vars(one) for one in some] for name, some in taken.items()}},
        )
    ]


def _fresh(street: Street, count: int) -> Iterator[str]:
    """Models that have not broken yet, each with two revisions of a Deployment."""
    models = names(count)
    street.deployments(models)
    street.say(models, GOOD)
    street.policies(models)
    return iter(models)


def _block(street: Street, kind: Kind, models: Sequence[str], quiet: float) -> Block:
    ground = street.ground
    server = Meter(ground.cluster.pid("prometheus"))
    with kind.running(ground, None) as contender:
        ground.until_quiet(3)
        own, theirs, began = _cpu(contender), server.cpu, time.monotonic()
        time.sleep(quiet)
        spent, own, theirs = time.monotonic() - began, _cpu(contender) - own, server.cpu - theirs
        memory = sum(meter.memory for meter in contender.meters)
        ground.audit.read(None)
        entries: list[Entry] = []
        seconds = [_broken(street, kind, model, entries) for model in models]
        time.sleep(3)
        entries += ground.audit.read(None)
    street.say(models, GOOD)
    time.sleep(3)  # nobody's alert goes on from one block into the next
    writes = sum(one.is_write and one.user == kind.user and one.resource not in BESIDE for one in entries)
    return Block(seconds, writes / len(models), (own + theirs) / spent if quiet else 0, theirs / spent, memory)


def _cpu(contender: Contender) -> float:
    return sum(meter.cpu for meter in contender.meters)


def _broken(street: Street, kind: Kind, model: str, entries: list[Entry]) -> float:
    """Break one model; the seconds until its bad revision was taken away."""
    said = street.say([model], BAD)
    found: list[Entry] = []

    def contained() -> bool:
        fresh = street.ground.audit.read(None)
        entries.extend(fresh)
        found.extend(one for one in fresh if kind.contains(one, model))
        return bool(found)

    street.ground.cluster.wait(contained, 120, f"the containment of {model} by {kind.name}", every=0.05)
    return found[0].ended.timestamp() - said


def _killed(street: Street, kind: Kind, side: str, model: str) -> str:
    """What became of a model whose contender was killed beside its containment."""
    ground = street.ground
    with kind.proxied(ground) as proxy, kind.running(ground, proxy.url) as contender:

        def here(call: Call) -> bool:
            return "dryRun" not in call.path

        crash = CallBefore(lambda _: contender.crash()) if side == "before" else CallAfter(lambda _: contender.crash())
        where = rf"/deployments/{model}(\?|$)"
        rule = proxy.rule(crash, methods={"PATCH"}, path=where, where=here)
        if side == "before":
            proxy.rule(DropBefore(), methods={"PATCH"}, path=where, where=here)
        ground.audit.read(None)
        street.say([model], BAD)
        ground.cluster.wait(lambda: rule.fired, 60, f"the containment of {model} by {kind.name}", every=0.05)
        time.sleep(PATIENCE)
        written = sum(kind.contains(one, model) for one in ground.audit.read(None))
    street.say([model], GOOD)
    deployment = ground.cluster.api("GET", street.path("/apis/apps/v1", "deployments", model))
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    version = next(one["value"] for one in container["env"] if one["name"] == "MODEL_VERSION")
    if version != "v1":
        return "lost" if written == 0 else "undone by itself"
    return "once" if written == 1 else f"written {written} times"


def _row(name: str, blocks: Sequence[Block], crowd: int, ends: Sequence[str] | None) -> dict[str, Any]:
    """What the page says of one of them."""
    seconds = [one for block in blocks for one in block.seconds]
    thousand = [block.cpu * 1e6 / crowd for block in blocks if block.cpu]
    return {
        "name": name,
        "seconds": f"{quantile(seconds, 0.5):.2f}, {quantile(seconds, 0.95):.2f} (n = {len(seconds)})",
        "writes": f"{statistics.fmean(block.writes for block in blocks):.1f}",
        "cpu": f"{statistics.median(thousand):.0f} ms" if thousand else "not measured",
        "memory": f"{statistics.median(block.memory for block in blocks):.0f} MB",
        "killed": ", ".join(f"{ends.count(end)} × {end}" for end in sorted(set(ends))) if ends else "not tried",
    }
