"""What an evaluation tells an open incident: as long as that is the same, time and people alone decide."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from datetime import datetime
from decimal import Decimal

from tocsin.api.incident import IncidentStatus
from tocsin.api.policy import Rules
from tocsin.decide import signals
from tocsin.decide.defaults import SignalRule
from tocsin.decide.severity import affected_band, is_unfair
from tocsin.decide.situation import Measured, Memory


def gist(rules: Rules, status: IncidentStatus, memories: Mapping[str, Memory], affected: Decimal | None) -> Hashable:
    """All that a plan takes from the measurements, apart from numbers that are only shown.

    Two situations that differ in their measurements alone, with the same gist, have the same plan until its
    ``look_again_at``.
    """
    acted = [record.settled_time or record.executed_time for record in status.containment]
    told = []
    for signal in rules.signals:
        memory = memories.get(signal.name)
        told.append(memory and _of_signal(SignalRule.of(signal), memory, acted))
    return (affected_band(affected)[0], *told)


def _of_signal(rule: SignalRule, memory: Memory, acted: list[datetime | None]) -> Hashable:
    reading = memory.reading
    since = (memory.sustained_since, memory.no_data_since)
    if not isinstance(reading, Measured):
        return (type(reading), since, signals.is_missing(memory, rule))
    produced_at = reading.produced_at or memory.at
    return (
        since,
        signals.severity(rule, reading.value),
        signals.is_sustained(memory, rule),
        rule.recover.holds(reading.value),
        signals.has_recovered(memory, rule),
        is_unfair(reading),
        tuple(time is not None and produced_at > time for time in acted),
    )
