"""What the rounds hold of a policy: its signals ready to be evaluated, and what they last gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from tocsin.api.incident import Incident
from tocsin.api.objects import Metadata
from tocsin.api.policy import EscalationPolicy, EscalationPolicySpec, PolicyModel, Rules, Signal
from tocsin.decide import signals
from tocsin.decide.defaults import SignalRule, freeze
from tocsin.decide.situation import Failed, Memory, NoData, Reading, Vector
from tocsin.observe.cluster import Name
from tocsin.observe.queries import Prepared, Unusable
from tocsin.settings import Settings, Tenancy

LONGEST = 6000
"""Steps: memory is rebuilt from no more, so that no policy makes the others wait; a longer window begins there."""

Answer = Vector | Failed | NoData


@dataclass(frozen=True, slots=True)
class Watched:
    """One signal of one policy, ready to be evaluated."""

    policy: Name
    signal: Signal
    rule: SignalRule
    reach: timedelta
    """How far back its memory must reach."""

    @property
    def queries(self) -> Mapping[str, str]:
        """Its queries by field: the value's first, then the guards'."""
        signal, where = self.signal, f"signals[{self.signal.name}]"
        found = {f"{where}.query": signal.query}
        if signal.samples:
            found[f"{where}.samples.query"] = signal.samples.query
        if signal.reported_at:
            found[f"{where}.reportedAt.query"] = signal.reported_at.query
        return found


@dataclass(slots=True)
class Guarded:
    """One policy as the rounds see it."""

    uid: str
    created: datetime | None
    """When the policy was made: data that was missing before is not missed."""
    spec: EscalationPolicySpec
    rules: Mapping[str, Rules]
    """The policy cut to each model, by the model's name."""
    watched: tuple[Watched, ...]
    quickest: timedelta
    """The shortest interval: affected decisions are counted at it."""
    alone: bool
    speaks_for: str
    """The policy whose pairs are woken: its own name, or that of the policy that an incident has frozen."""
    readings: dict[tuple[str, str], Reading] = field(default_factory=dict)
    """By model and signal: what the last evaluation gave."""
    shown: Mapping[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    """The same without the numbers, as it was last told to the policy's status."""

    def kept_by(self, spec: EscalationPolicySpec) -> frozenset[tuple[str, str]]:
        """The models and signals of which another specification measures the same as this one."""
        if spec.prometheus != self.spec.prometheus:
            return frozenset()
        series = {name: rules.model.labels() for name, rules in self.rules.items()}
        models = [one.name for one in spec.models if series.get(one.name) == one.labels()]
        known = [_bare(one) for one in self.spec.signals]
        return frozenset((model, one.name) for model in models for one in spec.signals if _bare(one) in known)

    def take_over(self, old: Guarded, kept: frozenset[tuple[str, str]]) -> None:
        """Go on with what another knew, and has told, of these models and signals."""
        self.readings = {which: reading for which, reading in old.readings.items() if which in kept}
        self.shown = self.gist()

    def since_creation(self, memory: Memory) -> Memory:
        """What was rebuilt, without a lack of data from before there was a policy: a model may have begun with it."""
        lacking = memory.no_data_since
        if lacking is None or self.created is None or lacking >= self.created:
            return memory
        return replace(memory, no_data_since=self.created)

    def gist(self) -> Mapping[tuple[str, str], tuple[str, str]]:
        """What the readings are, without the numbers that move all the time."""
        return {which: _gist(reading) for which, reading in self.readings.items()}

    def hear(
        self, watched: Watched, model: str, at: datetime, given: Sequence[Answer], allowed_labels: Sequence[str]
    ) -> Reading:
        """A model's reading out of the last answers, which is kept to be told."""
        reading = self.read(watched, self.rules[model].model, at, given, allowed_labels)
        self.readings[model, watched.rule.name] = reading
        return reading

    def read(
        self,
        watched: Watched,
        model: PolicyModel,
        at: datetime,
        given: Sequence[Answer],
        allowed_labels: Sequence[str],
    ) -> Reading:
        """A model's reading out of the answers to the signal's queries, in the order of its fields."""
        rest = list(given[1:])
        samples = rest.pop(0) if watched.signal.samples else None
        reported = rest.pop(0) if watched.signal.reported_at else None
        return signals.read(
            watched.rule,
            model,
            at,
            given[0],
            samples=samples,
            reported=reported,
            alone=self.alone,
            allowed_labels=allowed_labels,
        )


def _bare(signal: Signal) -> Signal:
    """The signal without what is only said of it."""
    return signal.model_copy(update={"basis": None}) if signal.basis else signal


def _gist(reading: Reading) -> tuple[str, str]:
    match reading:
        case NoData(reason):
            return "NoData", reason
        case Failed(message):
            return "Failed", message
        case _:
            return "Measured", ""


def answer_to(query: Prepared | Unusable | Failed, answers: Mapping[Prepared, Answer]) -> Answer:
    """What a query was answered, or why it could not be asked."""
    match query:
        case Prepared():
            return answers.get(query, Failed("it was not answered"))
        case Unusable(message):
            return Failed(message)
        case failed:
            return failed


def shadow_of(incident: Incident) -> Name:
    """A name that no policy can have."""
    return Name(incident.metadata.namespace, f"incident/{incident.metadata.name}")


def measures(rules: Rules) -> tuple[object, ...]:
    """The part of the rules that evaluations go by."""
    return (rules.prometheus, rules.model.labels(), rules.signals, rules.risk.affected, rules.reopen_window)


def thawed(incident: Incident, rules: Rules) -> EscalationPolicy:
    """The policy that an incident has frozen, as a policy again."""
    shadow = shadow_of(incident)
    return EscalationPolicy(
        metadata=Metadata(name=shadow.name, namespace=shadow.namespace, uid=incident.metadata.uid),
        spec=EscalationPolicySpec(
            mode=rules.mode,
            prometheus=rules.prometheus,
            models=(rules.model,),
            risk=rules.risk,
            signals=rules.signals,
            containment=rules.containment,
            tiers=rules.tiers,
            reopen_window=rules.reopen_window,
        ),
    )


def guarded_by(policy: EscalationPolicy, settings: Settings, speaks_for: str) -> Guarded:
    """A policy made ready for the rounds."""
    name = Name(policy.metadata.namespace, policy.metadata.name)
    rules = {model.name: freeze(policy, model) for model in policy.spec.models}
    made = [(signal, SignalRule.of(signal)) for signal in policy.spec.signals]
    healthy_after = [one.roll_back.healthy_after for one in policy.spec.containment if one.roll_back]
    spans = [policy.spec.reopen_window, *healthy_after]
    return Guarded(
        uid=policy.metadata.uid,
        created=policy.metadata.creation_timestamp,
        spec=policy.spec,
        rules=rules,
        watched=tuple(
            Watched(name, signal, rule, min(signals.memory_span([rule], spans), LONGEST * rule.every))
            for signal, rule in made
        ),
        quickest=min(rule.every for _, rule in made),
        speaks_for=speaks_for,
        alone=len(policy.spec.models) == 1 and settings.prometheus[policy.spec.prometheus].tenancy is Tenancy.SINGLE,
    )
