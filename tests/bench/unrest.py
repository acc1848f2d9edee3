"""What do models cost that flap, and policies that are edited all the time?"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

from tests.bench.audit import Entry
from tests.bench.floor import Measure
from tests.bench.ground import BAD, GOOD, OURS, Ground, Operator, Street, names
from tests.bench.hands import Request
from tests.bench.results import Result, quantile
from tests.bench.steady import until_watched, watching

EDITS = 20
"""A second."""
FOR = 5
"""Seconds that a value must be bad before there is an incident."""
BRIEF = 2
"""Seconds that it is bad only, where it comes and goes."""
SETTLED = 5
"""Seconds after the last edit by which all are told."""


def unrest(ground: Ground, models: int, swings: int, policies: int, seconds: float) -> list[Result]:
    """Models that flap for so many swings, then policies of which 20 a second are edited for so many seconds."""
    return [_flapping(ground, models, swings), _edited(ground, policies, seconds)]


@contextmanager
def editing(street: Street, crowd: list[str]) -> Iterator[list[float]]:
    """Somebody edits one policy after another all the time; gives when each edit was accepted."""
    done, ending = list[float](), threading.Event()

    def edit() -> None:
        for number in count():
            if ending.wait(max(0.0, began + number / EDITS - time.monotonic())):
                return
            path = street.path(OURS, "escalationpolicies", crowd[number % len(crowd)])
            change = {"spec": {"reopenWindow": f"{number % 50 + 1}m"}}
            street.ground.hands.do([Request("PATCH", path, change)])
            done.append(time.monotonic())

    began = time.monotonic()
    thread = threading.Thread(target=edit)
    thread.start()
    try:
        yield done
    finally:
        ending.set()
        thread.join()


def _flapping(ground: Ground, models: int, swings: int) -> Result:
    """First for less than ``for``, which calls for nothing, and then for longer."""
    street, crowd = ground.street("flapping"), names(models)
    street.voices()
    street.receivers("owners")
    street.say(crowd, GOOD)

    def spec(model: str) -> dict[str, Any]:
        made = watching(model, 1)
        (signal,) = made["signals"]
        return made | {"signals": [signal | {"for": f"{FOR}s", "recoverAfter": "1h"}]}

    def swing(bad: float) -> int:
        street.say(crowd, BAD)
        time.sleep(bad)
        street.say(crowd, GOOD)
        time.sleep(BRIEF + 1)
        return len(ground.written())

    street.policies(crowd, spec)
    with ground.operator() as operator:
        until_watched(ground, operator, models, 1)
        cpu = operator.meter.cpu
        brief = [swing(BRIEF) for _ in range(swings)]
        spared, cpu = len(street.incidents()), operator.meter.cpu - cpu
        street.say(crowd, BAD)
        street.until_told(models)
        street.say(crowd, GOOD)
        ground.until_quiet(2)
        ground.audit.read()
        again = [swing(2 * FOR) for _ in range(swings)]
        incidents = len(street.incidents())
    ground.vacate(street)
    a_model = sum(again) / swings / models
    return Result(
        case="unrest",
        row=0,
        what=f"{models} models flap {swings} times for less than `for`, then {swings} times for twice as long",
        target="",
        measured=f"{spared} incidents and {sum(brief)} writes for the first, {cpu * 1000 / swings / models:.1f} ms of"
        f" processor time a swing of a model; {incidents} incidents for the second, {a_model:.2f} writes a swing of a"
        " model",
        met=None,
        how="audit log; /proc of the operator",
        numbers={"brief": brief, "again": again, "spared": spared, "incidents": incidents},
    )


def _edited(ground: Ground, policies: int, seconds: float) -> Result:
    """From an accepted edit to the status that tells of it."""
    street, crowd, floor = ground.street("edited"), names(policies), Measure(ground)
    street.voices()
    street.say(crowd, GOOD)
    street.policies(crowd, lambda model: watching(model, 5))
    with ground.operator() as operator:
        until_watched(ground, operator, policies, 5)
        floor.sample()
        calm = _spent(operator, seconds)
        ground.audit.read(None)
        with editing(street, crowd):
            rough = _spent(operator, seconds)
        time.sleep(SETTLED)
        entries = ground.audit.read(None)
    ground.vacate(street)
    edits = [one for one in entries if one.is_write and one.resource == "escalationpolicies"]
    told = [one for one in entries if one.is_write and one.resource == "escalationpolicies/status"]
    r = floor.floor.r
    lags = [lag for edit in edits for lag in _lags(edit, told)]
    each = (rough - calm) / len(edits)
    return Result(
        case="unrest",
        row=0,
        what=f"{len(edits)} edits of {policies} policies, {EDITS} a second",
        target="",
        measured=f"{len(told) / len(edits):.2f} writes an edit; {len(lags)} edits are in the status, from accepted to"
        f" accepted p50 {quantile(lags, 0.5) / r:.1f} r, p99 {quantile(lags, 0.99) / r:.1f} r (r = {r * 1e3:.2f} ms);"
        f" {each * 1000:.1f} ms of processor time an edit",
        met=None,
        how="audit log; /proc of the operator, beside the same time without edits",
        numbers={"r": r, "lags": lags, "floor": floor.samples, "each": each},
    )


def _spent(operator: Operator, seconds: float) -> float:
    """Processor time of so many seconds."""
    before = operator.meter.cpu
    time.sleep(seconds)
    return operator.meter.cpu - before


def _lags(edit: Entry, told: Sequence[Entry]) -> list[float]:
    """Seconds until the operator told of an edit; none when it never did."""
    later = [one.ended for one in told if one.name == edit.name and one.ended >= edit.ended]
    return [(min(later) - edit.ended).total_seconds()] if later else []
