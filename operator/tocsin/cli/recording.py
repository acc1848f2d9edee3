"""What a recording says: series, a target, what containment changes, and what people do (docs/how-to/replay.md)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from tocsin.api.checks import strict
from tocsin.api.decision import DecisionSpec, DecisionType
from tocsin.api.policy import EscalationPolicy, PolicyModel
from tocsin.api.quantities import Duration, Time, format_duration, parse_duration, parse_time
from tocsin.cli.files import Mistake, documents
from tocsin.decide.script import Cue, Report, Tape, Track
from tocsin.decide.signals import Answer
from tocsin.decide.situation import Failed, NoTarget, Revision, Sample, TargetView

START = datetime(2026, 1, 1, tzinfo=UTC)
"""When a recording begins that does not say when."""
AUTHORISED_FOR = timedelta(hours=720)
_RUN = re.compile(r"(?P<point>.*\S)\s+x\s+(?P<times>[1-9][0-9]{0,5})")
_FAILED = Failed("the query failed, as recorded")

Point = Decimal | Failed | None


def parse_points(raw: Any) -> tuple[Point, ...]:
    """Read values such as ``0.93``, ``0.93 x 10``, ``+Inf``, ``null`` (no data) and ``error`` (a failed query)."""
    if not isinstance(raw, list) or not raw:
        raise ValueError("write a list of values, for example [0.93 x 10, 0.81, null, error]")
    return tuple(point for one in raw for point in _parse_run(one, _parse_point))


def parse_ages(raw: Any) -> tuple[Point, ...]:
    """Read ages such as ``5m`` or ``5m x 10``, in seconds; ``null`` and ``error`` as for values."""
    if not isinstance(raw, list) or not raw:
        raise ValueError("write a list of ages, for example [5m x 10, 2h]")
    return tuple(point for one in raw for point in _parse_run(one, _parse_age))


def _parse_run(raw: Any, parse: Any) -> tuple[Point, ...]:
    if not isinstance(raw, str):
        raise ValueError(f"{raw!r} is not a value")
    run = _RUN.fullmatch(raw)
    return (parse(run["point"]),) * int(run["times"]) if run else (parse(raw),)


def _parse_point(text: str) -> Point:
    match text:
        case "null" | "~" | "":
            return None
        case "error":
            return _FAILED
    try:
        return Decimal(text)
    except InvalidOperation as bad:
        allowed = "a number, NaN, +Inf, null, error, or a run such as 0.93 x 10"
        raise ValueError(f"{text!r} is no value: write {allowed}") from bad


def _parse_age(text: str) -> Point:
    if text in ("null", "~", "", "error"):
        return _parse_point(text)
    return Decimal(str(parse_duration(text).total_seconds()))


Points = Annotated[tuple[Point, ...], BeforeValidator(parse_points)]
Ages = Annotated[tuple[Point, ...], BeforeValidator(parse_ages)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True, populate_by_name=True)


class Series(_Part):
    """One signal's course: its values, and what its guards say."""

    values: Points
    samples: Points | None = None
    age: Ages | None = None
    step: Duration | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, raw: Any) -> Any:
        return {"values": raw} if isinstance(raw, list) else raw


class RecordedRevision(_Part):
    """One revision of the target, the oldest first."""

    images: tuple[str, ...] = ()
    healthy: bool = False


class RecordedTarget(_Part):
    """The Deployment that containment would act on."""

    replicas: int = Field(default=2, ge=0)
    revisions: tuple[RecordedRevision, ...] = Field(
        default=(
            RecordedRevision(images=("model:1",), healthy=True),
            RecordedRevision(images=("model:2",)),
        ),
        min_length=1,
    )


class Recording(_Part):
    """A recorded course of events."""

    start: Time = START
    step: Annotated[timedelta, BeforeValidator(lambda raw: _positive(raw))]
    until: Duration | None = None
    series: dict[str, Series] = Field(min_length=1)
    affected: Points | None = None
    target: RecordedTarget = RecordedTarget()
    after: dict[str, dict[str, Series]] = {}

    @property
    def span(self) -> timedelta:
        """How long the recording is: as it says, else up to the last value of the longest series."""
        if self.until is not None:
            return self.until
        return max((len(one.values) - 1) * (one.step or self.step) for one in self.series.values())


def _positive(raw: Any) -> timedelta:
    span = parse_duration(raw) if isinstance(raw, str) else timedelta()
    if span <= timedelta():
        raise ValueError(f"{raw!r} is no step: write for example 1m")
    return span


def load_recording(path: Path, policy: EscalationPolicy) -> Recording:
    """Read a recording of a policy's signals; everything that does not fit is a mistake."""
    found = documents(path, numbers=False)
    if len(found) != 1:
        raise Mistake(f"{path}: holds {len(found)} YAML documents, one is needed: start, step, series")
    recording, problems = strict(found[0], Recording, "")
    if recording is None:
        raise Mistake(*(f"{path}: {problem.lstrip('.')}" for problem in problems))
    problems = _unfit(recording, policy)
    if problems:
        raise Mistake(*(f"{path}: {problem}" for problem in problems))
    return recording


def _unfit(recording: Recording, policy: EscalationPolicy) -> list[str]:
    signals = [signal.name for signal in policy.spec.signals]
    options = [option.name for option in policy.spec.containment]
    known = f"the policy's signals are {', '.join(signals)}"
    problems = [f"series.{name}: no such signal, {known}" for name in recording.series if name not in signals]
    problems += [
        f"series.{name}: is missing: record it, or write [null] for no data"
        for name in signals
        if name not in recording.series
    ]
    for option, changed in recording.after.items():
        if option not in options:
            problems.append(f"after.{option}: no such option, the policy's are {', '.join(options) or 'none'}")
        problems += [f"after.{option}.{name}: no such signal, {known}" for name in changed if name not in signals]
    return problems


def tape_of(
    recording: Recording, series: Mapping[str, Series], model: PolicyModel, affected: tuple[Point, ...] | None = None
) -> Tape:
    """The series as the queries would have answered."""

    def track(points: tuple[Point, ...] | None, step: timedelta | None) -> Track | None:
        if points is None:
            return None
        return Track(step or recording.step, tuple(_answer(point, model) for point in points))

    def tracks(field: str) -> dict[str, Track]:
        made = {name: track(getattr(one, field), one.step) for name, one in series.items()}
        return {name: one for name, one in made.items() if one is not None}

    return Tape(tracks("values"), tracks("samples"), tracks("age"), track(affected, None))


def _answer(point: Point, model: PolicyModel) -> Answer:
    match point:
        case None:
            return ()
        case Failed():
            return point
        case _:
            return (Sample(model.labels(), point),)


def target_of(recorded: RecordedTarget, model: PolicyModel) -> TargetView | NoTarget:
    """The workload that the recording tells of, settled at its last revision."""
    if model.target is None:
        return NoTarget("NotDeclared", "the policy names no target for this model")
    revisions = tuple(
        Revision(
            uid=f"replicaset-{number}",
            name=f"{model.target.name}-{number}",
            number=number,
            template_hash=f"revision-{number}",
            images=one.images,
            healthy=one.healthy,
        )
        for number, one in enumerate(recorded.revisions, 1)
    )
    return TargetView(
        kind=model.target.kind,
        uid="target",
        name=model.target.name,
        resource_version="1",
        generation=1,
        observed_generation=1,
        replicas=recorded.replicas,
        running_replicas=recorded.replicas,
        updated_replicas=recorded.replicas,
        available_replicas=recorded.replicas,
        current_hash=revisions[-1].template_hash,
        revisions=revisions,
        images=revisions[-1].images,
    )


class Act(_Part):
    """What somebody does at a time of the replay: a Decision, or the report of an incident."""

    at: str
    report: str | None = None
    by: str
    for_: Duration | None = Field(default=None, alias="for")


def load_acts(path: Path, start: datetime) -> tuple[Cue | Report, ...]:
    """Read what people do: a list of Decisions' specs, each with ``at``."""
    found = documents(path, numbers=False)
    if len(found) != 1 or not isinstance(found[0], list):
        raise Mistake(f"{path}: write one list of Decisions, each with at, type and by")
    acts, problems = [], []
    for place, raw in enumerate(found[0]):
        act, wrong = _act(raw, start, f"[{place}]")
        problems += [f"{path}: {problem}" for problem in wrong]
        acts += [act] if act else []
    if problems:
        raise Mistake(*problems)
    return tuple(acts)


def _act(raw: Any, start: datetime, place: str) -> tuple[Cue | Report | None, list[str]]:
    if not isinstance(raw, dict):
        return None, [f"{place}: is no Decision: write at, type and by"]
    own = {name: raw[name] for name in ("at", "by", "for", "report") if name in raw}
    act, problems = strict(own, Act, place)
    if act is None:
        return None, problems
    try:
        at = start + parse_duration(act.at) if re.fullmatch(r"[0-9hms]+", act.at) else parse_time(act.at)
    except ValueError as bad:
        return None, [f"{place}.at: {bad}"]
    if act.report is not None:
        return Report(at, act.by, act.report), [f"{place}.{name}: unknown field" for name in raw if name not in own]
    fields = {name: text for name, text in raw.items() if name not in ("at", "for")}
    if fields.get("type") == DecisionType.AUTHORISE and "expireTime" not in fields:
        fields["expireTime"] = at + (act.for_ or AUTHORISED_FOR)
    elif act.for_ is not None:
        return None, [f"{place}.for: {format_duration(act.for_)} goes with type Authorise only"]
    spec, problems = strict(fields, DecisionSpec, place)
    if spec and spec.type in (DecisionType.ATTEST, DecisionType.ACCEPT_CLOCK):
        return None, [f"{place}.type: a replay is of an incident, and {spec.type} is about a policy: leave it out"]
    return (Cue(at, spec) if spec else None), problems
