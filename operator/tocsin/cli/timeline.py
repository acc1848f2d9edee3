"""What a rehearsal came to: a line for everything that happened, and a summary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from tocsin.api.incident import Incident, OptionRecord
from tocsin.api.objects import Severity
from tocsin.api.quantities import format_duration, format_time
from tocsin.decide import signals
from tocsin.decide.defaults import SignalRule
from tocsin.decide.plan import Notice, Notify
from tocsin.decide.rehearsal import Pass, Rehearsal
from tocsin.decide.script import Script
from tocsin.decide.situation import Failed, Measured, Memory
from tocsin.decide.tiers import WORDS


@dataclass(frozen=True, slots=True)
class Line:
    """Something that happened."""

    time: str
    after: str
    """How long after the start."""
    kind: str
    """signal, incident, severity, containment, tier, decision, notice or story."""
    text: str


def tell(script: Script, rehearsal: Rehearsal) -> Iterator[Line]:
    """Everything that happened, in order."""
    rules = {signal.name: SignalRule.of(signal) for signal in script.policy.spec.signals}
    shown = dict.fromkeys(rules, "good")
    for moment in rehearsal.moments:

        def line(kind: str, text: str, at: datetime = moment.at) -> Line:
            return Line(format_time(at), f"+{format_duration(at - script.start)}", kind, text)

        for name, memory in moment.evaluated.items():
            state = _state(memory, rules[name])
            if state not in (shown[name], "sustained"):
                yield line("signal", f"{name}: {signals.describe(memory, rules[name])}")
            shown[name] = state
        for one in moment.passes:
            for event in one.events:
                kind = _kind(event.message)
                yield line(kind, _said(one, kind, event.message))
            for effect in one.effects:
                if isinstance(effect, Notify):
                    yield line("notice", f"{_told(effect.notice)} is told: {effect.notice.subject}")
        for cue in moment.unheard:
            yield line("decision", f"{cue.spec.by}: {cue.spec.type} has no incident to refer to")


def _told(notice: Notice) -> str:
    return f"{notice.person} ({notice.responder})" if notice.person else notice.responder


def _state(memory: Memory, rule: SignalRule) -> str:
    match memory.reading:
        case Measured():
            if signals.is_sustained(memory, rule):
                return "sustained"
            return "pending" if signals.is_breaching(memory, rule) else "good"
        case Failed():
            return "failed"
        case missing:
            return missing.reason


def _kind(message: str) -> str:
    word = message.split(" ", 1)[0].strip(":")
    if word in ("signal", "severity", "containment", "tier"):
        return word
    if word in ("opened", "reported", "recovered:", "recovered", "resolved", "episode"):
        return "incident"
    return "decision" if ":" in message else "story"


def _said(one: Pass, kind: str, message: str) -> str:
    if message == "opened":
        return f"opened: incident {one.incident.metadata.name}"
    return message.removeprefix(f"{kind} ")


@dataclass(frozen=True, slots=True)
class Episode:
    """One episode of an incident, in the end."""

    incident: str
    episode: int
    opened: str
    severity: str
    """The worst that it reached."""
    risk: int
    """The highest that it reached."""
    tiers: tuple[str, ...]
    """Each with when it was entered."""
    containment: tuple[str, ...]
    missed: tuple[str, ...]
    recovered: str
    resolved: str


def episodes(script: Script, rehearsal: Rehearsal) -> tuple[Episode, ...]:
    """What became of each episode."""
    seen: dict[tuple[str, int], list[Incident]] = {}
    for moment in rehearsal.moments:
        for one in moment.passes:
            seen.setdefault((one.incident.metadata.name, one.incident.status.episode), []).append(one.incident)
    return tuple(_episode(script.start, name, number, course) for (name, number), course in seen.items())


def _episode(start: datetime, name: str, number: int, course: list[Incident]) -> Episode:
    last = course[-1].status
    worst = Severity.worst(one.status.severity for one in course if one.status.severity)
    opened_at = last.opened_time or start

    def when(at: datetime) -> str:
        return f"+{format_duration(at - start)}"

    def ended(at: datetime | None) -> str:
        return f"{when(at)}, after {format_duration(at - opened_at)}" if at else "no"

    return Episode(
        incident=name,
        episode=number,
        opened=when(opened_at),
        severity=worst,
        risk=max(one.status.risk or 0 for one in course),
        tiers=tuple(f"{tier.name} {when(tier.entered_time)}" for tier in last.tiers),
        containment=tuple(_option(record, when) for record in last.containment),
        missed=tuple(f"{tier.name}: {WORDS[duty]}" for tier in last.tiers for duty in tier.missed),
        recovered=ended(last.recovered_time),
        resolved=ended(last.resolved_time),
    )


def _option(record: OptionRecord, when: Any) -> str:
    done = f" {when(record.executed_time)}, {record.under}" if record.executed_time else ""
    return f"{record.name}: {record.state}{done}"


def closest(script: Script, rehearsal: Rehearsal) -> tuple[str, ...]:
    """Of each signal that breached, for how long at most it was pending: what a rehearsal without an incident shows."""
    rules = {signal.name: SignalRule.of(signal) for signal in script.policy.spec.signals}
    longest: dict[str, timedelta] = {}
    for moment in rehearsal.moments:
        for name, memory in moment.evaluated.items():
            if signals.is_breaching(memory, rules[name]):
                longest[name] = max(longest.get(name, timedelta()), memory.pending)
    return tuple(
        f"{name} breached for {format_duration(span)} of {format_duration(rules[name].for_)}"
        for name, span in longest.items()
    )


def as_json(script: Script, rehearsal: Rehearsal) -> dict[str, Any]:
    """The whole of it for a program."""
    return {
        "policy": script.policy.metadata.name,
        "model": script.model.name,
        "mode": script.policy.spec.mode,
        "from": format_time(script.start),
        "to": format_time(script.end),
        "timeline": [asdict(line) for line in tell(script, rehearsal)],
        "episodes": [asdict(one) for one in episodes(script, rehearsal)],
        "closest": closest(script, rehearsal),
    }


def as_text(script: Script, rehearsal: Rehearsal) -> Iterator[tuple[str, str]]:
    """The whole of it for a person: lines, each with its kind."""
    span = format_duration(script.end - script.start)
    yield "title", f"{script.model.name}: {span} from {format_time(script.start)}, mode {script.policy.spec.mode}"
    if script.policy.spec.mode == "Observe" and script.policy.spec.containment:
        yield "story", "containment is only rehearsed: spec.mode Enforce lets it act"
    yield "story", ""
    for line in tell(script, rehearsal):
        yield line.kind, f"{line.after:>8}  {line.kind:<11} {line.text}"
    yield "story", ""
    found = episodes(script, rehearsal)
    if not found:
        yield "title", "No incident would have opened."
        for text in closest(script, rehearsal) or ("no signal breached",):
            yield "story", f"  {text}"
    for one in found:
        yield from _summary(one)


def _summary(one: Episode) -> Iterable[tuple[str, str]]:
    again = f", episode {one.episode}" if one.episode > 1 else ""
    yield "title", f"Incident {one.incident}{again}"
    rows = (
        ("opened", one.opened),
        ("worst severity", f"{one.severity}, risk {one.risk}"),
        ("tiers told", "; ".join(one.tiers) or "none"),
        ("containment", "; ".join(one.containment) or "none"),
        ("deadlines missed", "; ".join(one.missed) or "none"),
        ("recovered", one.recovered),
        ("resolved", one.resolved),
    )
    for name, text in rows:
        yield "story", f"  {name:<17} {text}"
