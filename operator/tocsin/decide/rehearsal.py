"""What would have happened: the same decisions over a recorded course of events, on a clock that is handed in.

The world around the decisions is simple and says so: a containment is done at once, a notice is accepted at once, the
blast-radius budget has room, and nobody else touches the target.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import assert_never

from tocsin.api.decision import Decision, DecisionSpec, DecisionType, IncidentRef, PolicyRef
from tocsin.api.incident import Incident, IncidentSpec, Origin, PolicyReference
from tocsin.api.objects import Metadata
from tocsin.decide import signals
from tocsin.decide.defaults import SignalRule, freeze
from tocsin.decide.incident import cause_to_open, plan
from tocsin.decide.plan import Contain, Draft, Effect, Event, Notify, Undo
from tocsin.decide.script import Cue, Question, Report, Script, contained, undone
from tocsin.decide.signals import EPOCH, Answer
from tocsin.decide.situation import (
    Budget,
    Failed,
    Memory,
    NoData,
    Outcome,
    Reading,
    Sample,
    Situation,
    TargetView,
)

RECURRENCE = timedelta(days=7)
"""An incident this soon after the model's last one counts as a recurrence."""
PASSES = 50
"""More passes than this at one instant mean that the decisions do not come to rest."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One decision that changed something: what the incident says then, and what was done."""

    at: datetime
    incident: Incident
    effects: tuple[Effect, ...]
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant: what was evaluated, what was decided, and which Decisions met no incident."""

    at: datetime
    evaluated: Mapping[str, Memory]
    passes: tuple[Pass, ...]
    unheard: tuple[Cue, ...] = ()


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The whole course."""

    moments: tuple[Moment, ...]
    incidents: tuple[Incident, ...]


def rehearse(script: Script) -> Rehearsal:
    """Play the script from its start up to and including its end."""
    course = _Course(script)
    return Rehearsal(tuple(course.play()), tuple(course.incidents))


class _Course:
    """The world while the script is played."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._rules = freeze(script.policy, script.model)
        self._signals = tuple(SignalRule.of(signal) for signal in self._rules.signals)
        self._target = script.target
        self._memories: dict[str, Memory] = {}
        self._done: list[tuple[datetime, str]] = []
        self._decisions: list[Decision] = []
        self._instants: list[datetime] = []
        self.incidents: list[Incident] = []

    def play(self) -> Iterator[Moment]:
        script = self._script
        for rule in self._signals:
            for count in range((script.end - script.start) // rule.every + 1):
                self._at(script.start + count * rule.every)
        for cue in script.cues:
            self._at(max(cue.at, script.start))
        for outage in script.outages:
            self._at(outage.end)
        last = None
        while self._instants:
            now = heapq.heappop(self._instants)
            if now != last and now <= script.end:
                yield self._moment(now)
            last = now

    def _at(self, instant: datetime) -> None:
        heapq.heappush(self._instants, instant)

    def _moment(self, now: datetime) -> Moment:
        cues = [cue for cue in self._script.cues if max(cue.at, self._script.start) == now]
        if any(outage.begin <= now < outage.end for outage in self._script.outages):
            return Moment(now, {}, (), self._act(cues, now))
        if any(outage.end == now for outage in self._script.outages):
            self._memories.clear()
        evaluated = self._evaluate(now)
        self._open(now)
        passes = self._settle(now)
        unheard = self._act(cues, now)
        return Moment(now, evaluated, (*passes, *(self._settle(now) if cues else ())), unheard)

    def _evaluate(self, now: datetime) -> dict[str, Memory]:
        """Evaluate what is due; without memory, rebuild it from the recorded range, as far as the server answers."""
        evaluated = {}
        for rule in self._signals:
            since = (now - self._script.start) % rule.every
            known, due = rule.name in self._memories, not since
            reading = self._reading(rule, now - since)
            if known and due:
                self._memories[rule.name] = signals.advance(self._memories[rule.name], rule, now, reading)
            elif not known and not isinstance(reading, Failed):
                self._rebuild(rule, now - since)
            if due and rule.name in self._memories:
                evaluated[rule.name] = self._memories[rule.name]
        return evaluated

    def _rebuild(self, rule: SignalRule, until: datetime) -> None:
        start = self._script.start
        points = [start + count * rule.every for count in range((until - start) // rule.every + 1)]
        readings = [(point, _scraped(self._reading(rule, point))) for point in points]
        memory = signals.remember(rule, readings)
        if memory:
            self._memories[rule.name] = memory

    def _reading(self, rule: SignalRule, at: datetime) -> Reading:
        model = self._script.model
        values = self._answer("values", rule.name, at)
        if values is None:
            return NoData("Empty", "the recording has no series of this signal")
        ages = self._answer("ages", rule.name, at)
        reported = ages if ages is None or isinstance(ages, Failed | NoData) else [_born(sample, at) for sample in ages]
        return signals.read(
            rule,
            model,
            at,
            values,
            samples=self._answer("samples", rule.name, at),
            reported=reported,
            alone=self._script.alone,
            allowed_labels=self._script.allowed_labels,
        )

    def _answer(self, question: Question, name: str, at: datetime) -> Answer | None:
        """What a query answers at an instant: by the last containment that says so, else as recorded."""
        for done_at, option in reversed(self._done):
            tape = self._script.after.get(option)
            track = tape.track(question, name) if tape else None
            if track and at > done_at:
                return track.after(at - done_at - timedelta.resolution)
        track = self._script.tape.track(question, name)
        return track.after(at - self._script.start) if track else None

    def _affected(self, now: datetime) -> Decimal | None:
        answer = self._answer("affected", "", now)
        if not answer or isinstance(answer, Failed | NoData):
            return None
        return answer[0].value

    def _open(self, now: datetime) -> None:
        """Open an incident when there is cause to, unless the last one is open, or was resolved a moment ago."""
        last = self.incidents[-1] if self.incidents else None
        resolved_at = last.status.resolved_time if last else None
        if last and (resolved_at is None or now - resolved_at <= self._rules.reopen_window):
            return
        if cause_to_open(self._rules, self._memories):
            self._add(
                now,
                IncidentSpec(
                    origin=Origin.SIGNAL,
                    policy_ref=self._reference(),
                    model=self._script.model.name,
                    rules=self._rules,
                    previous=last.metadata.uid if last else None,
                ),
            )

    def _reference(self) -> PolicyReference:
        metadata = self._script.policy.metadata
        return PolicyReference(name=metadata.name, uid=metadata.uid, generation=metadata.generation)

    def _add(self, now: datetime, spec: IncidentSpec) -> None:
        number = len(self.incidents) + 1
        metadata = Metadata(
            name=f"{spec.model}-{number}",
            namespace=self._script.policy.metadata.namespace,
            uid=f"incident-{number}",
            creation_timestamp=now,
        )
        self.incidents.append(Incident(metadata=metadata, spec=spec))

    def _act(self, cues: list[Cue | Report], now: datetime) -> tuple[Cue, ...]:
        """Make objects of what people do; returns the Decisions that have no incident to refer to."""
        unheard = []
        for cue in cues:
            last = self.incidents[-1] if self.incidents else None
            match cue:
                case Report():
                    if last is None or last.resolved:
                        self._report(cue, now)
                case Cue() if last is None and cue.spec.type is not DecisionType.AUTHORISE:
                    unheard.append(cue)
                case Cue():
                    number = len(self._decisions) + 1
                    name = f"{cue.spec.type.lower()}-{number}"
                    metadata = Metadata(name=name, uid=f"decision-{number}", creation_timestamp=cue.at)
                    self._decisions.append(Decision(metadata=metadata, spec=self._filled(cue.spec, last)))
        return tuple(unheard)

    def _report(self, report: Report, now: datetime) -> None:
        spec = IncidentSpec(
            origin=Origin.PERSON,
            policy_ref=self._reference(),
            model=self._script.model.name,
            by=report.by,
            reason=report.reason,
        )
        self._add(now, spec)

    def _filled(self, spec: DecisionSpec, incident: Incident | None) -> DecisionSpec:
        if spec.type is DecisionType.AUTHORISE or incident is None:
            policy = self._script.policy.metadata
            digest = spec.digest or self._rules.digests.get(spec.option or "")
            return spec.model_copy(update={"policy_ref": PolicyRef(name=policy.name, uid=policy.uid), "digest": digest})
        record = next((one for one in incident.status.containment if one.name == spec.option), None)
        reference = IncidentRef(name=incident.metadata.name, uid=incident.metadata.uid)
        digest = spec.digest or (record.digest if record else None)
        return spec.model_copy(update={"incident_ref": spec.incident_ref or reference, "digest": digest})

    def _settle(self, now: datetime) -> tuple[Pass, ...]:
        """Decide and do, until nothing changes any more."""
        if not self.incidents:
            return ()
        passes: list[Pass] = []
        outcomes: dict[str, Outcome] = {}
        budget = Budget.UNASKED
        for _ in range(PASSES):
            incident = self.incidents[-1]
            decided = plan(self._situation(now, incident, outcomes, budget))
            if decided.needs_budget:
                budget = Budget.RESERVED
                continue
            effects = tuple(effect for effect in decided.effects if effect.key not in outcomes)
            if decided.status == incident.status and not effects:
                if decided.look_again_at:
                    self._at(decided.look_again_at)
                return tuple(passes)
            self.incidents[-1] = incident.model_copy(update={"status": decided.status})
            passes.append(Pass(now, self.incidents[-1], effects, decided.events))
            outcomes |= {effect.key: self._do(effect, now) for effect in effects}
        raise AssertionError(f"the decisions do not come to rest at {now}")

    def _situation(
        self, now: datetime, incident: Incident, outcomes: Mapping[str, Outcome], budget: Budget
    ) -> Situation:
        past = [one.status.resolved_time for one in self.incidents[:-1]]
        opened_at = incident.metadata.creation_timestamp or now
        return Situation(
            now=now,
            incident=incident,
            rules=self._rules,
            mode=self._script.policy.spec.mode,
            freezes=self._script.policy.spec.freezes,
            signals=dict(self._memories),
            affected=self._affected(now),
            decisions=tuple(self._decisions),
            roster=self._script.roster,
            target=self._target,
            outcomes=dict(outcomes),
            contained_revisions=frozenset(
                revision for one in self.incidents for revision in one.status.contained_revisions
            ),
            budget=budget,
            recurs=any(time and opened_at - time <= RECURRENCE for time in past),
        )

    def _do(self, effect: Effect, now: datetime) -> Outcome:
        match effect:
            case Notify():
                return Outcome(effect.key, "Done", now, "accepted")
            case Draft():
                return Outcome(effect.key, "Done", now, "drafted")
            case Contain() if effect.dry_run:
                return Outcome(effect.key, "Rehearsed", now, "the API server would accept it")
            case Contain():
                assert isinstance(self._target, TargetView), "nothing is proposed without a target"
                self._target = contained(self._target, effect.proposal, effect.key)
                self._done.append((now, effect.proposal.option))
                return Outcome(effect.key, "Done", now, "read back")
            case Undo():
                assert isinstance(self._target, TargetView), "nothing is undone without a target"
                self._target = undone(self._target, effect.proposal, effect.key)
                self._done = [(at, option) for at, option in self._done if option != effect.proposal.option]
                return Outcome(effect.key, "Done", now, "read back")
            case _:
                assert_never(effect)


def _born(age: Sample, at: datetime) -> Sample:
    return Sample(age.labels, Decimal(str((at - EPOCH).total_seconds())) - age.value)


def _scraped(reading: Reading) -> Reading:
    """A range query answers for the past; where the server was down it finds that nothing was scraped."""
    return NoData("NotScraped", reading.message) if isinstance(reading, Failed) else reading
