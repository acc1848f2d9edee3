"""EscalationPolicy: the signals, risk, tiers and containment of one model or many."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from tocsin.api.attestation import Attestation, AttestRecord, LooseningRecord
from tocsin.api.clock import CLOCKS, WITH_FOLLOWERS, ClockAcceptance, PolicyClock
from tocsin.api.containment import CAN_ONLY, FELT, UNTOLD, Freeze, Options, Target
from tocsin.api.objects import (
    API_VERSION,
    ApiModel,
    Condition,
    Digest,
    Label,
    Metadata,
    ObjectName,
    Sentence,
    Severity,
    Text,
    Word,
    keyed,
    rule,
    shared,
)
from tocsin.api.quantities import Comparison, Duration, Time

PromQL = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
LabelName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$", max_length=128)]


class Mode(StrEnum):
    """Whether Tocsin may touch the target."""

    ENFORCE = "Enforce"
    OBSERVE = "Observe"


class SignalKind(StrEnum):
    """What a signal measures; it chooses the defaults of its windows."""

    QUALITY = "Quality"
    DATA_QUALITY = "DataQuality"
    DRIFT = "Drift"
    LATENCY = "Latency"
    ERRORS = "Errors"
    FRESHNESS = "Freshness"
    VOLUME = "Volume"
    FAIRNESS = "Fairness"
    SAFETY = "Safety"
    CUSTOM = "Custom"


class OnNoData(StrEnum):
    """What missing data leads to."""

    ALERT = "Alert"
    HOLD = "Hold"


class Owners(ApiModel):
    """Who answers for what a model rests on, and for what it does to people."""

    data: ObjectName | None = Field(default=None, description="The Responder that owns the data it learns and reads.")
    model: ObjectName | None = Field(default=None, description="The Responder that owns the model itself.")
    user_impact: ObjectName | None = Field(
        default=None, description="The Responder that owns what it does to those it decides about."
    )

    @property
    def named(self) -> dict[str, str]:
        """The Responders by what they own, in words."""
        found = {"data": self.data, "model": self.model, "user impact": self.user_impact}
        return {what: name for what, name in found.items() if name}


class Floor(ApiModel):
    """How much of a model has to be there, whatever automation does."""

    min_available: int = Field(
        ge=1,
        le=10_000,
        description="Scaling to fewer replicas, and a rollback while fewer are available, takes a person's approval.",
    )


UNSERVED = "floor needs a target: set models[].target"


class PolicyModel(ApiModel):
    """One guarded model."""

    model_config = ConfigDict(
        json_schema_extra={"x-kubernetes-validations": [rule("!has(self.floor) || has(self.target)", UNSERVED)]}
    )

    name: Label = Field(description="The model's name: a DNS label, unique in the policy.")
    match: dict[LabelName, Word] | None = Field(
        default=None,
        max_length=16,
        description="The labels that a query's result must carry to be this model's. Default: {model: <name>}.",
    )
    target: Target | None = Field(
        default=None, description="What serves the model. Without it the model is watched but never contained."
    )
    floor: Annotated[Floor | None, shared()] = Field(
        default=None, description="Below which number of available replicas only people take the model."
    )
    inventory_id: Word | None = Field(default=None, description="What the model inventory calls it; notices say so.")
    version: Word | None = Field(default=None, description="Which version of it this is; notices say so.")
    upstream: Annotated[tuple[Label, ...], Field(json_schema_extra={"x-kubernetes-list-type": "set"})] = Field(
        default=(),
        max_length=8,
        description="What it depends on: a feature store, a vendor's API. The same word in another policy or namespace"
        " is the same thing.",
    )
    owners: Annotated[Owners, shared()] = Field(default=Owners(), description="Who answers for what.")

    def labels(self) -> dict[str, str]:
        """The labels that select this model's series."""
        return self.match if self.match is not None else {"model": self.name}


class Query(ApiModel):
    """A PromQL expression that gives one number per model."""

    query: PromQL = Field(description="A PromQL expression.")


class Samples(ApiModel):
    """How many samples a value rests on."""

    query: PromQL = Field(description="A PromQL expression: the number of samples behind the value.")
    min: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000_000,
        description="Fewer samples than this are no data. Default by the signal's kind.",
    )


class NoDataRule(ApiModel):
    """What happens when a signal has no data."""

    after: Duration | None = Field(
        default=None, description="How long data may be missing, and how old a value may be. Default by kind."
    )
    then: OnNoData | None = Field(
        default=None,
        description="Alert opens an incident with reason NoData; Hold only says so in a condition. Default by kind.",
    )


class Signal(ApiModel):
    """One number that is watched, and the lines that it must not cross."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                rule(
                    "!has(self.critical) || self.warn.substring(0, 1) == self.critical.substring(0, 1)",
                    "critical must point the same way as warn: both '<' or both '>'",
                ),
                rule(
                    "!has(self.critical) || (self.warn.startsWith('<') ? "
                    "double(self.critical.split(' ')[1]) < double(self.warn.split(' ')[1]) : "
                    "double(self.critical.split(' ')[1]) > double(self.warn.split(' ')[1]))",
                    "critical must lie beyond warn: a worse value than warn's",
                ),
                rule(
                    "!has(self.recover) || self.warn.substring(0, 1) != self.recover.substring(0, 1)",
                    "recover must point the other way than warn: '>=' where warn is '<'",
                ),
                rule(
                    "!has(self.recover) || (self.warn.startsWith('<') ? "
                    "double(self.recover.split(' ')[1]) >= double(self.warn.split(' ')[1]) : "
                    "double(self.recover.split(' ')[1]) <= double(self.warn.split(' ')[1]))",
                    "recover must lie on the good side of warn",
                ),
                rule(
                    "!has(self.recover) || !self.warn.contains('=') || !self.recover.contains('=')"
                    " || double(self.recover.split(' ')[1]) != double(self.warn.split(' ')[1])",
                    "recover must not hold where warn does: leave out one '='",
                ),
                rule("!has(self.every) || duration(self.every) >= duration('1s')", "every must be 1s or longer"),
            ]
        }
    )

    name: Label = Field(description="The signal's name: a DNS label, unique in the policy.")
    kind: SignalKind = Field(description="What it measures; chooses the defaults of its windows.")
    query: PromQL = Field(description="A PromQL expression that gives one value per model.")
    basis: Sentence | None = Field(
        default=None, description="Why its lines lie where they do: a sentence, or a link to what was agreed."
    )
    warn: Comparison = Field(description='The line whose crossing counts as a breach, for example "< 0.92".')
    critical: Comparison | None = Field(
        default=None, description="The line of full severity; without it a sustained breach has severity 0.4."
    )
    recover: Comparison | None = Field(
        default=None, description="The line beyond which the signal is well again. Default: the good side of warn."
    )
    every: Duration | None = Field(default=None, description="How often it is evaluated. Default by kind.")
    for_: Duration | None = Field(
        default=None, alias="for", description="How long it must breach, missing data apart. Default by kind."
    )
    recover_after: Duration | None = Field(
        default=None, description="How long it must be well, missing data apart, to be recovered. Default by kind."
    )
    samples: Samples | None = Field(default=None, description="A guard: too few samples are no data.")
    reported_at: Query | None = Field(
        default=None,
        description="When the value was produced, in seconds since 1970; without it staleness cannot be seen.",
    )
    no_data: NoDataRule | None = Field(default=None, description="What missing data leads to.")
    floor: Severity | None = Field(
        default=None, description="The least severity of an incident in which this signal is sustained."
    )


class Risk(ApiModel):
    """What is at stake, apart from how bad the signals are."""

    regulatory: int = Field(
        default=0,
        ge=0,
        le=4,
        description="0 none, 1 internal policy, 2 regulated sector, 3 high-risk model, 4 notification plausible.",
    )
    reputation: int = Field(
        default=0,
        ge=0,
        le=4,
        description="0 internal, 1 low, 2 visible, 3 vulnerable users or brand, 4 safety or headline.",
    )
    affected: Query | None = Field(
        default=None,
        description="How many decisions were affected so far; unknown counts as band 2 and is marked as estimated.",
    )


class Question(ApiModel):
    """What somebody of a tier must answer."""

    name: Label = Field(description="The question's name, unique in the tier.")
    text: Text = Field(min_length=3, description="The question, as a person reads it.")
    options: Annotated[tuple[Word, ...], Field(json_schema_extra={"x-kubernetes-list-type": "set"})] = Field(
        min_length=2, max_length=8, description="The answers that there are."
    )
    answered_by: ObjectName | None = Field(
        default=None, description="The Responder that answers. Default: whoever may decide for the tier."
    )


TOO_MANY = "a tier names at most 8 Responders in all: name a Responder with more members, or another tier"
UNHEARD = "questions need decideWithin: else nobody hears of one that is not answered"
Roles = Annotated[tuple[ObjectName, ...], Field(json_schema_extra={"x-kubernetes-list-type": "set"})]


class Tier(ApiModel):
    """A circle of people, and how long they have."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                rule(
                    "(has(self.responsible) ? self.responsible.size() : 0) + (has(self.consulted) ?"
                    " self.consulted.size() : 0) + (has(self.informed) ? self.informed.size() : 0) <= 7",
                    TOO_MANY,
                ),
                rule(
                    "!has(self.questions) || self.questions.size() == 0 || has(self.decideWithin)",
                    UNHEARD,
                ),
            ]
        }
    )

    name: Label = Field(description="The tier's name, unique in the policy.")
    severity: Severity = Field(description="Entered at once at this severity or worse.")
    accountable: ObjectName = Field(
        description="The Responder who answers for the step: who is on duty there is paged, then the deputy."
    )
    responsible: Roles = Field(default=(), max_length=8, description="Responders who do the work: paged as well.")
    consulted: Roles = Field(default=(), max_length=8, description="Responders whose opinion is asked.")
    informed: Roles = Field(default=(), max_length=8, description="Responders who are told, and need not act.")
    acknowledge_within: Duration | None = Field(
        default=None,
        description="How long until somebody acknowledges; else the deputy is paged, with as long, and then the next"
        " tier is entered.",
    )
    acknowledgement_expires: Duration = Field(
        default=timedelta(hours=1),
        description="How long an acknowledgement holds without progress, which is a Decision that counts, a step of the"
        " containment, or recovery: then the tier is paged again, and the third time the next one is entered.",
    )
    contain_within: Duration | None = Field(
        default=None, description="How long until the model is contained or recovered; else the next tier is entered."
    )
    decide_within: Duration | None = Field(
        default=None,
        description="How long until every question is answered, or, without one, somebody approves, rejects, lowers or"
        " resolves; else the next tier is entered.",
    )
    steps: tuple[Text, ...] = Field(
        default=(), max_length=8, description="What its people should look at and do, in order; notices show them."
    )
    questions: Annotated[tuple[Question, ...], Field(json_schema_extra=keyed("name"))] = Field(
        default=(), max_length=4, description="What must be answered; SEV1 and SEV2 are not resolved before."
    )

    @property
    def roles(self) -> tuple[str, ...]:
        """All its Responders, the accountable one first, each once."""
        return tuple(dict.fromkeys((self.accountable, *self.responsible, *self.consulted, *self.informed)))


class When(StrEnum):
    """What has a message drafted."""

    OPENED = "Opened"
    TIER_ENTERED = "TierEntered"
    CONTAINED = "Contained"
    RECOVERED = "Recovered"
    RESOLVED = "Resolved"
    EVERY = "Every"


TIER_ALONE = "tier goes with when: TierEntered, and only there"
EVERY_ALONE = "every goes with when: Every, and only there"
TOO_OFTEN = "every must be 1m or longer"
NO_TIER = "messages[].tier must be the name of one of the tiers"


class MessageRule(ApiModel):
    """One message that is drafted, from which template and when."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                rule("(self.when == 'TierEntered') == has(self.tier)", TIER_ALONE),
                rule("(self.when == 'Every') == has(self.every)", EVERY_ALONE),
                rule("!has(self.every) || duration(self.every) >= duration('1m')", TOO_OFTEN),
            ]
        }
    )

    name: Label = Field(description="The message's name, unique in the policy.")
    template: ObjectName = Field(
        description="The MessageTemplate, of the policy's namespace or else of the operator's."
    )
    when: When = Field(
        description="When it is drafted: once in each episode of an incident, or Every so long from its opening until"
        " it is resolved."
    )
    tier: Label | None = Field(default=None, description="The tier, for TierEntered.")
    every: Duration | None = Field(default=None, description="How often, for Every.")


Signals = Annotated[tuple[Annotated[Signal, shared()], ...], Field(max_length=32, json_schema_extra=keyed("name"))]
Tiers = Annotated[tuple[Annotated[Tier, shared()], ...], Field(max_length=8, json_schema_extra=keyed("name"))]
Clocks = Annotated[
    tuple[Annotated[PolicyClock, shared()], ...], Field(max_length=CLOCKS, json_schema_extra=keyed("preset"))
]


Messages = Annotated[
    tuple[Annotated[MessageRule, shared()], ...], Field(max_length=16, json_schema_extra=keyed("name"))
]


class EscalationPolicySpec(ApiModel):
    """What is watched, what is at stake, what is done, and who is told."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                rule(
                    "!has(self.containment) || self.containment.size() == 0 || self.models.exists(m, has(m.target))",
                    "containment needs a target: set models[].target",
                ),
                *CAN_ONLY,
                rule(
                    "!has(self.messages) || self.messages.all(one, !has(one.tier)"
                    " || self.tiers.exists(tier, tier.name == one.tier))",
                    NO_TIER,
                ),
            ]
        }
    )

    mode: Mode = Field(
        default=Mode.OBSERVE,
        description="Enforce lets containment act; Observe does everything else, and containment as a dry run.",
    )
    prometheus: Label = Field(
        default="default", description="Which of the operator's Prometheus servers answers the queries."
    )
    models: Annotated[tuple[PolicyModel, ...], Field(json_schema_extra=keyed("name"))] = Field(
        min_length=1, max_length=100, description="The guarded models."
    )
    risk: Annotated[Risk, shared()] = Field(default=Risk(), description="What is at stake.")
    signals: Signals = Field(min_length=1, description="What is measured.")
    # The rule stands here and not at Option, which incidents freeze: one of a policy that is older than it must open.
    containment: Options = Field(
        default=(),
        description="What may be done to the target, in order.",
        json_schema_extra=keyed("name")
        | {
            "x-kubernetes-validations": [
                rule(f"self.all(option, !(option.type in {list(FELT)}) || has(option.effect))", UNTOLD)
            ]
        },
    )
    freezes: Annotated[tuple[Annotated[Freeze, shared()], ...], Field(json_schema_extra=keyed("name"))] = Field(
        default=(),
        max_length=16,
        description="When no containment starts, whoever has approved it; people are told and deadlines run on. The"
        " living policy's count, in open incidents too.",
    )
    tiers: Tiers = Field(min_length=1, description="Who is told, in order.")
    messages: Messages = Field(default=(), description="Which messages are drafted, and when.")
    second_line: ObjectName | None = Field(
        default=None,
        description="The Responder that attests these rules, and is told when one of them is loosened: the second line"
        " of defence.",
    )
    review_by: Time | None = Field(
        default=None, description="Until when an attestation of these rules holds; then they must be looked at anew."
    )
    reopen_window: Duration = Field(
        default=timedelta(hours=1),
        description="A new breach this long after Resolved goes on with the same incident.",
    )
    clocks: Clocks = Field(
        default=(), description="Legal clocks about which people must decide in every incident; none by default."
    )


class SignalDefaults(ApiModel):
    """The windows that a signal really has, defaults included."""

    name: Label = Field(description="The signal's name.")
    every: Duration = Field(description="How often it is evaluated.")
    for_: Duration = Field(alias="for", description="How long it must breach.")
    recover_after: Duration = Field(description="How long it must be well.")
    recover: Comparison = Field(description="The line beyond which it is well.")
    min_samples: int | None = Field(default=None, description="The least number of samples, where they are asked.")
    no_data_after: Duration = Field(description="How long data may be missing, and how old a value may be.")
    no_data_then: OnNoData = Field(description="What missing data leads to.")


class OptionStatus(ApiModel):
    """What an Authorise Decision must name to authorise an option."""

    name: Label = Field(description="The option's name.")
    class_: Literal["A", "B", "C", "D"] = Field(
        alias="class", description="Its autonomy class: A safe, B reversible and wide, C stops service, D alters data."
    )
    digest: Digest = Field(description="The digest that an Authorise Decision binds to.")
    authorised_by: Word | None = Field(default=None, description="Who authorised it.")
    authorised_until: Time | None = Field(default=None, description="Until when it may run by itself.")


class EscalationPolicyStatus(ApiModel):
    """What Tocsin made of the policy."""

    observed_generation: int | None = Field(default=None, description="The generation that this was said of.")
    conditions: Annotated[tuple[Condition, ...], Field(json_schema_extra=keyed("type"))] = Field(
        default=(),
        max_length=8,
        description="Ready: the policy can work. Measured: its signals have data. Staffed: somebody is there all week."
        " Attested: the second line stands for its rules. ClocksAccepted: somebody stands for its clocks' numbers.",
    )
    signals: Annotated[tuple[Annotated[SignalDefaults, shared()], ...], Field(json_schema_extra=keyed("name"))] = Field(
        default=(), max_length=32, description="The windows in force, defaults included."
    )
    options: Annotated[tuple[OptionStatus, ...], Field(json_schema_extra=keyed("name"))] = Field(
        default=(), max_length=8, description="The containment options, with the digests to authorise."
    )
    digest: Digest | None = Field(
        default=None, description="The digest of the rules, that an Attest Decision binds to."
    )
    attestation: Attestation | None = Field(default=None, description="Who stands for which rules.")
    attests: Annotated[tuple[AttestRecord, ...], Field(json_schema_extra=keyed("uid"))] = Field(
        default=(), max_length=8, description="The latest Attest Decisions, and whether they counted."
    )
    loosenings: Annotated[tuple[LooseningRecord, ...], Field(json_schema_extra=keyed("key"))] = Field(
        default=(), max_length=4, description="The latest notices to the second line."
    )
    clocks: Annotated[tuple[ClockAcceptance, ...], Field(json_schema_extra=keyed("name"))] = Field(
        default=(),
        max_length=WITH_FOLLOWERS,
        description="Its clocks and those that follow them, with the digests to accept.",
    )


class EscalationPolicy(ApiModel):
    """The escalation protocol of one model or many, as a file in Git."""

    api_version: Literal["tocsin.dev/v1alpha1"] = API_VERSION
    kind: Literal["EscalationPolicy"] = "EscalationPolicy"
    metadata: Metadata = Metadata()
    spec: EscalationPolicySpec = Field(description="The rules.")
    status: EscalationPolicyStatus = Field(default=EscalationPolicyStatus(), description="What Tocsin made of them.")


class Rules(ApiModel):
    """A policy cut to one model, with every default filled in, as an incident freezes it."""

    mode: Mode = Field(description="The policy's mode when the incident opened; the living policy's counts.")
    prometheus: Label = Field(description="Which Prometheus server answers the queries.")
    model: PolicyModel = Field(description="The model.")
    risk: Annotated[Risk, shared()] = Field(description="What is at stake.")
    signals: Signals = Field(default=(), description="What is measured, with every default filled in.")
    containment: Options = Field(default=(), description="What may be done, in order.")
    digests: dict[Label, Digest] = Field(
        default={}, max_length=8, description="The digest of each option, to which authorisations bind."
    )
    tiers: Tiers = Field(default=(), description="Who is told, in order.")
    messages: Messages = Field(default=(), description="Which messages are drafted, and when.")
    reopen_window: Duration = Field(description="How long after Resolved a breach goes on with this incident.")
    clocks: Clocks = Field(default=(), description="The legal clocks that people must determine.")
