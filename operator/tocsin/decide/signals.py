"""What a value means: a reading becomes memory, and memory tells what is pending, sustained or recovered."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from tocsin.api.policy import PolicyModel
from tocsin.api.quantities import format_duration
from tocsin.decide.defaults import SignalRule, number, number_of
from tocsin.decide.situation import Failed, Measured, Memory, NoData, Reading, Sample, Vector

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Answer = Sequence[Sample] | Failed | NoData


def read(
    rule: SignalRule,
    model: PolicyModel,
    at: datetime,
    values: Answer,
    *,
    samples: Answer | None = None,
    reported: Answer | None = None,
    alone: bool = False,
    allowed_labels: Collection[str] = (),
) -> Reading:
    """One model's reading out of the answers; of several series the worst counts.

    ``alone`` says that the policy has one model on a server of one tenant: only then does an unlabelled result
    belong to it. A failed guard query fails the reading: a value that cannot be judged is not judged.
    """
    for answer in (values, samples, reported):
        if isinstance(answer, Failed | NoData):
            return answer
    mine = series_of(values, model, alone)
    if not mine:
        return NoData("Empty", "the query returned nothing for this model")
    numbers = [sample for sample in mine if not sample.value.is_nan()]
    if not numbers:
        return NoData("NaN", "the query returned NaN: often a ratio without traffic")
    worst = (max if rule.warn.rises else min)(numbers, key=lambda sample: sample.value)
    produced_at = None if reported is None else _produced_at(reported, model, alone)
    if reported is not None and produced_at is None:
        return NoData("Empty", "reportedAt returned nothing for this model")
    if produced_at is not None and at - produced_at > rule.no_data_after:
        age = format_duration(at - produced_at)
        return NoData("Stale", f"the value was produced {age} ago, the limit is {format_duration(rule.no_data_after)}")
    count = None if samples is None else _fewest(samples, model, alone)
    if rule.min_samples is not None and samples is not None and (count is None or count < rule.min_samples):
        return NoData(
            "InsufficientData", f"{number_of(count or Decimal(0))} samples, at least {rule.min_samples} needed"
        )
    labels = tuple(sorted((name, text) for name, text in worst.labels.items() if name in allowed_labels))
    return Measured(worst.value, labels, produced_at, count)


def series_of(answer: Answer | None, model: PolicyModel, alone: bool) -> Sequence[Sample]:
    """A model's own series; none of an answer that is none."""
    if answer is None or isinstance(answer, Failed | NoData):
        return ()
    vector = answer if isinstance(answer, Vector) else Vector(answer)
    mine = vector.of(model.labels())
    return (*mine, *vector.unlabelled) if alone and model.labels() else mine


def affected_by(answer: Answer | None, model: PolicyModel, alone: bool) -> Decimal | None:
    """How many decisions of a model are affected: the most that any of its series says; None when unknown."""
    counts = [sample.value for sample in series_of(answer, model, alone) if not sample.value.is_nan()]
    return max(counts, default=None)


def _fewest(answer: Answer | None, model: PolicyModel, alone: bool) -> Decimal | None:
    counts = [sample.value for sample in series_of(answer, model, alone) if not sample.value.is_nan()]
    return min(counts, default=None)


def _produced_at(answer: Answer | None, model: PolicyModel, alone: bool) -> datetime | None:
    seconds = [sample.value for sample in series_of(answer, model, alone) if sample.value.is_finite()]
    oldest = min(seconds, default=None)
    if oldest is None or not 0 <= oldest < 10**11:
        return None
    return EPOCH + timedelta(seconds=float(oldest))


def advance(memory: Memory | None, rule: SignalRule, at: datetime, reading: Reading) -> Memory:
    """Remember one more evaluation; the same grid point twice changes nothing.

    The time pending is the sum of the steps whose both ends have data and breach; recovery counts likewise.
    """
    if memory is not None and at <= memory.at:
        return memory
    before = memory or Memory(at=at, reading=reading)
    if isinstance(reading, Failed | NoData):
        missing = isinstance(reading, NoData)
        return Memory(  # not by replace(), which takes four times as long: a rebuild does this a million times
            at=at,
            reading=reading,
            last=before.last,
            last_at=before.last_at,
            breaching_since=before.breaching_since,
            sustained_since=before.sustained_since,
            pending=before.pending,
            recovering=before.recovering,
            no_data_since=(before.no_data_since or at) if missing else before.no_data_since,
        )
    adjacent = memory is not None and at - memory.at == rule.every
    last = before.reading if adjacent and isinstance(before.reading, Measured) else None
    step = rule.every if last is not None else timedelta()
    breaches, recovers = rule.warn.holds(reading.value), rule.recover.holds(reading.value)
    breached = last is not None and rule.warn.holds(last.value)
    had_recovered = last is not None and rule.recover.holds(last.value)
    pending = before.pending + (step if breached else timedelta()) if breaches else timedelta()
    sustained = breaches and pending >= rule.for_
    return Memory(
        at=at,
        reading=reading,
        last=reading,
        last_at=at,
        breaching_since=(before.breaching_since or at) if breaches else None,
        sustained_since=(before.sustained_since or at) if sustained else None,
        pending=pending,
        recovering=before.recovering + (step if had_recovered else timedelta()) if recovers else timedelta(),
        good_since=None if breaches else (before.good_since if last is not None else None) or at,
    )


def remember(rule: SignalRule, readings: Iterable[tuple[datetime, Reading]]) -> Memory | None:
    """Rebuild memory from a range on the same grid; None when there was no evaluation."""
    memory: Memory | None = None
    for at, reading in readings:
        memory = advance(memory, rule, at, reading)
    return memory


def is_breaching(memory: Memory, rule: SignalRule) -> bool:
    """Whether the present value lies beyond warn."""
    return isinstance(memory.reading, Measured) and rule.warn.holds(memory.reading.value)


def is_sustained(memory: Memory, rule: SignalRule) -> bool:
    """Whether it breaches now and has breached for long enough."""
    return is_breaching(memory, rule) and memory.pending >= rule.for_


def has_recovered(memory: Memory, rule: SignalRule) -> bool:
    """Whether it is well now and has been for long enough."""
    reading = memory.reading
    return (
        isinstance(reading, Measured) and rule.recover.holds(reading.value) and memory.recovering >= rule.recover_after
    )


def is_missing(memory: Memory, rule: SignalRule) -> bool:
    """Whether data has been missing for too long; failed queries do not count as missing."""
    return (
        isinstance(memory.reading, NoData)
        and memory.no_data_since is not None
        and memory.at - memory.no_data_since >= rule.no_data_after
    )


def severity(rule: SignalRule, value: Decimal) -> Fraction:
    """How far beyond warn: 0.4 at warn, 1 at critical and past it; 0.4 without a critical line."""
    if not rule.warn.holds(value):
        return Fraction(0)
    if rule.critical is None:
        return Fraction(2, 5)
    if not value.is_finite():
        return Fraction(1)
    warn, critical = Fraction(rule.warn.threshold), Fraction(rule.critical.threshold)
    return min(Fraction(1), Fraction(2, 5) + Fraction(3, 5) * (Fraction(value) - warn) / (critical - warn))


def describe(memory: Memory, rule: SignalRule) -> str:
    """The numbers in a sentence: the value, the line, and how long."""
    reading = memory.reading
    if isinstance(reading, Failed):
        return f"the query failed: {reading.message}"
    if isinstance(reading, NoData):
        return f"no data ({reading.reason}): {reading.message}"
    labels = ", ".join(f"{name}={text}" for name, text in reading.labels)
    seen = f"{number(reading.value)}{f' ({labels})' if labels else ''}"
    if reading.samples is not None:
        seen += f" on {number_of(reading.samples)} samples"
    if rule.warn.holds(reading.value):
        lines = f"warn {rule.warn}" + (f", critical {rule.critical}" if rule.critical else "")
        return f"{seen} breaches {lines} for {format_duration(memory.pending)} of {format_duration(rule.for_)}"
    if rule.recover.holds(reading.value):
        spans = f"{format_duration(memory.recovering)} of {format_duration(rule.recover_after)}"
        return f"{seen} is well ({rule.recover}) for {spans}"
    return f"{seen} lies between warn {rule.warn} and recover {rule.recover}"


def memory_span(rules: Iterable[SignalRule], others: Iterable[timedelta]) -> timedelta:
    """How far back memory must reach for decisions to be the same after a restart.

    A breach that was sustained, or data that was missing, before another span must be seen to have been so then.
    """
    known = list(rules)
    spans = [span for rule in known for span in (rule.for_, rule.recover_after, rule.no_data_after)]
    run_up = max((max(rule.for_, rule.no_data_after) + rule.every for rule in known), default=timedelta())
    return max([*spans, *(span + run_up for span in others)], default=timedelta())


def next_grid(after: datetime, every: timedelta, offset: timedelta) -> datetime:
    """The first point of the grid ``k · every + offset`` that lies after the instant."""
    steps = (after - EPOCH - offset) // every
    return EPOCH + offset + (steps + 1) * every
