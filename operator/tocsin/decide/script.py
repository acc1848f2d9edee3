"""What is played in a rehearsal: a policy, a recorded course of events, and what people do meanwhile."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal, assert_never

from tocsin.api.decision import DecisionSpec
from tocsin.api.policy import EscalationPolicy, PolicyModel
from tocsin.api.responder import Responder
from tocsin.decide.signals import Answer
from tocsin.decide.situation import NoTarget, Proposal, TargetView
from tocsin.decide.workload import PAUSED

Question = Literal["values", "samples", "ages", "affected"]


@dataclass(frozen=True, slots=True)
class Track:
    """What one query answers over time: one answer per step, the last one for ever after."""

    step: timedelta
    answers: tuple[Answer, ...]

    def after(self, elapsed: timedelta) -> Answer:
        """The answer at that time after the beginning."""
        return self.answers[min(elapsed // self.step, len(self.answers) - 1)]


@dataclass(frozen=True, slots=True)
class Tape:
    """What the queries of a policy answer over time, each by the name of its signal."""

    values: Mapping[str, Track]
    samples: Mapping[str, Track] = field(default_factory=dict)
    ages: Mapping[str, Track] = field(default_factory=dict)
    """How old the value is, in seconds: what ``reportedAt`` tells, seen from the evaluation."""
    affected: Track | None = None

    def track(self, question: Question, name: str) -> Track | None:
        """What is recorded for a question about a signal."""
        match question:
            case "values":
                return self.values.get(name)
            case "samples":
                return self.samples.get(name)
            case "ages":
                return self.ages.get(name)
            case "affected":
                return self.affected


@dataclass(frozen=True, slots=True)
class Cue:
    """A Decision that somebody makes; what it leaves out about the incident is filled in when it is made."""

    at: datetime
    spec: DecisionSpec


@dataclass(frozen=True, slots=True)
class Report:
    """A person opens an incident, for what no metric sees."""

    at: datetime
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Outage:
    """The operator is not there from one instant up to another, at which it starts anew without its memory."""

    begin: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Script:
    """A policy, and all that happens around one of its models."""

    policy: EscalationPolicy
    model: PolicyModel
    start: datetime
    """The first evaluation of every signal: the grid is laid through it."""
    end: datetime
    tape: Tape
    after: Mapping[str, Tape] = field(default_factory=dict)
    """What the queries answer once the containment option of that name was carried out."""
    target: TargetView | NoTarget | None = None
    roster: Mapping[str, Responder] = field(default_factory=dict)
    cues: tuple[Cue | Report, ...] = ()
    outages: tuple[Outage, ...] = ()
    alone: bool = False
    """Whether an unlabelled result belongs to the model: the only one of its policy, on a server of one tenant."""
    allowed_labels: Collection[str] = ()
    """The labels of a series that messages may show."""


def contained(view: TargetView, proposal: Proposal, key: str) -> TargetView:
    """The target once the proposal was carried out and the workload has followed."""
    moved = _moved(view, proposal)
    if proposal.action == "Scale":
        return replace(moved, scaled_by_us=True)
    return replace(moved, contained_by=key, undone_by="")


def undone(view: TargetView, proposal: Proposal, key: str) -> TargetView:
    """The target once the undo, which is the containment's proposal turned round, was carried out and followed."""
    moved = _moved(view, proposal)
    if proposal.action == "Scale":
        return replace(moved, scaled_by_us=False)
    return replace(moved, contained_by="", undone_by=key)


def _moved(view: TargetView, proposal: Proposal) -> TargetView:
    generation = view.generation + 1
    view = replace(view, generation=generation, observed_generation=generation)
    match proposal.action:
        case "RollBack":
            number = view.revisions[-1].number + 1
            chosen = next(one for one in view.revisions if one.template_hash == proposal.to)
            others = tuple(one for one in view.revisions if one is not chosen)
            revisions = (*others, replace(chosen, number=number))
            resumed = _set(view, proposal)
            return replace(resumed, current_hash=proposal.to, revisions=revisions, images=chosen.images)
        case "Scale":
            count = int(proposal.to)
            return replace(
                view, replicas=count, running_replicas=count, updated_replicas=count, available_replicas=count
            )
        case "Pause":
            return _set(view, proposal)
        case _:
            assert_never(proposal.action)


def _set(view: TargetView, proposal: Proposal) -> TargetView:
    """The target with the fields that the proposal sets: paused, or resumed."""
    for change in proposal.fields:
        assert view.pause is not None, "whoever has a change of it has seen it"
        held = view.pause.after == change.after
        view = replace(view, pause=replace(view.pause, before=change.after), paused=PAUSED if held else "")
    return view
