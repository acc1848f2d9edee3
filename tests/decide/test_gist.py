"""What must an evaluation have told an open incident, so that it is decided on, and what may pass by?"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.builders import LATENCY, MIN, SUSTAINED, T0, a_memory, a_reading, an_incident, latency, the_rules
from tests.decide.test_containment import the_status
from tests.decide.test_hold import an_executed
from tocsin.decide.gist import gist
from tocsin.decide.signals import advance
from tocsin.decide.situation import Failed, Measured, Memory

BEFORE = latency(*SUSTAINED)


def after(*values: Any, memory: Memory = BEFORE["latency"]) -> dict[str, Memory]:
    """What is remembered after further evaluations."""
    for value in values:
        memory = advance(memory, LATENCY, memory.at + LATENCY.every, a_reading(value))
    return {"latency": memory}


@pytest.mark.parametrize(
    ("memories", "tells"),
    [
        pytest.param(after(0.9), False, id="as bad as before"),
        pytest.param(after(7), False, id="further beyond critical"),
        pytest.param(after(0.45), True, id="less bad"),
        pytest.param(after(0.27), True, id="between warn and recover"),
        pytest.param(after(0.2), True, id="well"),
        pytest.param(after(None), True, id="no data"),
        pytest.param(after(Failed("down")), True, id="a query that failed"),
        pytest.param(after(Measured(Decimal("0.9"), produced_at=T0 - MIN)), True, id="a value from before the action"),
        pytest.param({}, True, id="forgotten"),
    ],
)
def test_what_an_evaluation_tells(memories: dict[str, Memory], tells: bool) -> None:
    status = an_incident(**the_status(an_executed(settled_time=T0 - MIN / 2))).status
    rules = the_rules()

    assert (gist(rules, status, memories, None) != gist(rules, status, BEFORE, None)) is tells


@pytest.mark.parametrize(
    ("before", "later", "tells"),
    [
        pytest.param((0.2, 0.9), (0.9,), False, id="pending still"),
        pytest.param((0.2, 0.9), (0.9,) * 3, True, id="sustained now"),
        pytest.param((0.9, 0.2), (0.2,), False, id="on its way to a recovery"),
        pytest.param((0.9, 0.2), (0.2,) * 12, True, id="recovered now"),
        pytest.param((0.2, None), (None,), False, id="without data still"),
        pytest.param((0.2, None), (None,) * 12, True, id="without data for too long"),
        pytest.param((0.9, 0.9, None), (0.2, 0.9, 0.9, 0.9, None), True, id="a breach that began anew meanwhile"),
    ],
)
def test_time_tells_when_a_window_is_full(before: tuple[Any, ...], later: tuple[Any, ...], tells: bool) -> None:
    known, status = a_memory(LATENCY, *before), an_incident().status
    rules = the_rules()

    told = gist(rules, status, {"latency": known}, None), gist(rules, status, after(*later, memory=known), None)

    assert (told[0] != told[1]) is tells


@pytest.mark.parametrize(
    ("affected", "tells"),
    [
        pytest.param(Decimal(1_500), False, id="more in the same band"),
        pytest.param(Decimal(20_000), True, id="another band"),
        pytest.param(None, False, id="unknown, which is estimated as the same band"),
    ],
)
def test_affected_decisions_tell_by_their_band(affected: Decimal | None, tells: bool) -> None:
    rules, status = the_rules(), an_incident().status

    assert (gist(rules, status, BEFORE, affected) != gist(rules, status, BEFORE, Decimal(1_400))) is tells


def test_a_fairness_ratio_tells_when_samples_make_it_unfair() -> None:
    few = replace(BEFORE["latency"], reading=Measured(Decimal("0.7"), samples=Decimal(20)))
    many = replace(few, reading=Measured(Decimal("0.7"), samples=Decimal(200)))
    rules, status = the_rules(), an_incident().status

    assert gist(rules, status, {"latency": few}, None) != gist(rules, status, {"latency": many}, None)
