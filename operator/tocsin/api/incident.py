"""Incident: one model gone wrong, with the whole story in its status."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from tocsin.api.clock import WITH_FOLLOWERS, ClockStatus
from tocsin.api.containment import Target
from tocsin.api.decision import Assessment, PostMortem
from tocsin.api.message import MessageRecord
from tocsin.api.objects import (
    API_VERSION,
    ApiModel,
    Condition,
    Digest,
    Label,
    Metadata,
    ObjectName,
    Severity,
    Text,
    Uid,
    Word,
    keyed,
    rule,
)
from tocsin.api.policy import Rules
from tocsin.api.quantities import Number, Time


class Origin(StrEnum):
    """Who opened the incident."""

    SIGNAL = "Signal"
    PERSON = "Person"


class Source(StrEnum):
    """From whom a person heard of it."""

    COMPLAINT = "Complaint"
    MEDIA = "Media"
    REGULATOR = "Regulator"
    STAFF = "Staff"


class Phase(StrEnum):
    """One word for printing; the conditions are the interface."""

    OPEN = "Open"
    CONTAINING = "Containing"
    CONTAINED = "Contained"
    RECOVERED = "Recovered"
    RESOLVED = "Resolved"


class SignalState(StrEnum):
    """What a signal of the incident does now."""

    GOOD = "Good"
    PENDING = "Pending"
    FIRING = "Firing"
    RECOVERED = "Recovered"
    NO_DATA = "NoData"
    ERROR = "Error"
    UNKNOWN = "Unknown"


class PolicyReference(ApiModel):
    """The policy that an incident belongs to."""

    name: ObjectName = Field(description="The policy's name.")
    uid: Uid | None = Field(default=None, description="Its UID when the incident opened.")
    generation: int | None = Field(default=None, description="Its generation when the incident opened.")


class IncidentSpec(ApiModel):
    """What the incident is about; immutable."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                rule("self == oldSelf", "an Incident's spec is immutable: write a Decision instead"),
                rule(
                    "(self.origin == 'Signal') == has(self.rules)",
                    "rules are frozen by the operator: leave them out with origin Person",
                ),
                rule("self.origin == 'Signal' || has(self.by)", "by is required with origin Person"),
                rule(
                    "self.origin == 'Signal' || (has(self.reason) && self.reason.size() >= 3)",
                    "reason is required with origin Person: what was seen",
                ),
                rule(
                    "self.origin == 'Person' || (!has(self.source) && !has(self.harm))",
                    "source and harm go with origin Person only",
                ),
            ]
        }
    )

    origin: Origin = Field(description="Signal: opened by the operator; Person: by somebody, for what no metric sees.")
    policy_ref: PolicyReference = Field(description="The policy whose rules apply.")
    model: Label = Field(description="The model, as the policy names it.")
    by: Word | None = Field(default=None, description="Who opened it, with origin Person: the requester's user name.")
    reason: Text | None = Field(default=None, description="What was seen.")
    source: Source | None = Field(default=None, description="From whom whoever opened it has heard of it.")
    harm: Text | None = Field(
        default=None, description="What harm was done to people, if any; it makes the incident SEV1."
    )
    previous: Uid | None = Field(default=None, description="The UID of the pair's previous incident.")
    rules: Rules | None = Field(
        default=None, description="The policy cut to the model, frozen when the incident opened."
    )


class SignalStatus(ApiModel):
    """A signal as it was when the status was last written."""

    name: Label = Field(description="The signal.")
    state: SignalState = Field(description="What it does.")
    sustained: bool = Field(default=False, description="It breached for long enough, and has not recovered since.")
    missing: bool = Field(default=False, description="Its data was missing for too long, and has not come back since.")
    value: Number | None = Field(default=None, description="The last value.")
    time: Time | None = Field(default=None, description="When that value was evaluated.")
    severity: Number | None = Field(default=None, description="How far beyond warn, 0.4 to 1, while sustained.")
    since: Time | None = Field(default=None, description="Since when it breaches.")
    message: Text = Field(default="", description="The numbers, in a sentence.")


class Term(ApiModel):
    """One term of the risk score."""

    name: Word = Field(description="What is added.")
    value: Number = Field(description="How much.")
    because: Text = Field(description="How it was computed.")


class Score(ApiModel):
    """The risk as a sum that a person can check."""

    risk: Number = Field(description="The sum, capped at 100.")
    band: Severity = Field(description="The severity that the sum alone gives.")
    severity: Severity = Field(description="The severity with floors and the cap.")
    terms: tuple[Term, ...] = Field(default=(), max_length=16, description="The terms.")
    floors: tuple[Text, ...] = Field(default=(), max_length=100, description="The floors that hold, and the cap.")


class HandOver(ApiModel):
    """A tier that its people want to pass on."""

    to: ObjectName = Field(description="The Responder that is asked to take over.")
    by: Word = Field(description="Who asks.")
    time: Time = Field(description="Since when.")
    note: Text = Field(default="", description="What was done, what was seen, what is open.")


class Answer(ApiModel):
    """One question that was answered, for good."""

    question: Label = Field(description="The question.")
    choice: Word = Field(description="The answer.")
    by: Word = Field(description="Who answered.")
    time: Time = Field(description="When.")
    reason: Text = Field(default="", description="Why.")


class Lead(ApiModel):
    """The one person who leads the incident."""

    user: Word = Field(description="The user name.")
    time: Time = Field(description="Since when.")
    because: Literal["OnDuty", "Acknowledged", "Accepted"] = Field(description="What made them the lead.")


class TierStatus(ApiModel):
    """A tier that was entered: why, by when, and who answered."""

    name: Label = Field(description="The tier.")
    entered_time: Time = Field(description="When it was entered.")
    reason: Text = Field(description="Why it was entered.")
    accountable: ObjectName | None = Field(
        default=None, description="The Responder that answers for it: the policy's, or the one that took over."
    )
    handed_over: HandOver | None = Field(default=None, description="Whom its people have asked to take over.")
    acknowledge_deadline: Time | None = Field(default=None, description="Until when somebody must acknowledge.")
    deputy: Word | None = Field(
        default=None, description="The user name of the deputy who was paged when nobody had acknowledged by then."
    )
    deputy_deadline: Time | None = Field(default=None, description="Until when somebody must acknowledge after that.")
    contain_deadline: Time | None = Field(default=None, description="Until when the model must be contained.")
    decide_deadline: Time | None = Field(default=None, description="Until when somebody must decide.")
    acknowledged_by: Word | None = Field(default=None, description="Who acknowledged.")
    acknowledged_time: Time | None = Field(default=None, description="When.")
    carried: bool = Field(
        default=False, description="It was acknowledged in the episode before, which goes on while the model flaps."
    )
    acknowledgement_expire_time: Time | None = Field(
        default=None, description="Until when the acknowledgement holds without progress."
    )
    renewals: int = Field(default=0, description="How often an acknowledgement expired, so that it was paged again.")
    decided_by: Word | None = Field(default=None, description="Who decided.")
    decided_time: Time | None = Field(default=None, description="When.")
    answers: Annotated[tuple[Answer, ...], Field(json_schema_extra=keyed("question"))] = Field(
        default=(), max_length=4, description="The questions that were answered."
    )
    missed: tuple[Literal["Acknowledge", "Deputy", "Contain", "Decide"], ...] = Field(
        default=(),
        max_length=4,
        description="The deadlines that were missed; Deputy: to acknowledge after the deputy was paged.",
    )


class OptionState(StrEnum):
    """How far a containment option is."""

    ASKING = "Asking"
    EXECUTING = "Executing"
    EXECUTED = "Executed"
    HELPED = "Helped"
    DID_NOT_HELP = "DidNotHelp"
    CANNOT_TELL = "CannotTell"
    UNDOING = "Undoing"
    UNDONE = "Undone"
    REVERTED = "Reverted"
    SUPERSEDED = "Superseded"
    OBSERVED = "Observed"
    FAILED = "Failed"
    REFUSED = "Refused"
    REJECTED = "Rejected"
    EXPIRED = "Expired"
    NOT_NEEDED = "NotNeeded"


class ApprovalStatus(ApiModel):
    """One person's approval."""

    by: Word = Field(description="Who approved.")
    standing_in_for: tuple[Word, ...] = Field(
        default=(), max_length=8, description="For whom they stood in then: they count as these as well."
    )
    time: Time = Field(description="When.")
    decision: Word = Field(description="The Decision's name.")


class PinnedAutoscaler(ApiModel):
    """An autoscaler as it was before it was pinned: what an undo gives back to it."""

    name: ObjectName = Field(description="The HorizontalPodAutoscaler.")
    uid: Uid = Field(description="Its UID.")
    min_replicas: int = Field(description="Its minReplicas before.")
    max_replicas: int = Field(description="Its maxReplicas before.")
    scale_up_policy: Word = Field(
        default="", description="Its behavior.scaleUp.selectPolicy before; empty when it had no behavior."
    )


class FieldStatus(ApiModel):
    """A field of the target that was set, with what it was before: what an undo gives back."""

    path: Text = Field(description="A JSON pointer (RFC 6901) into the target.")
    before: Text | None = Field(default=None, description="Its value before, as JSON; absent when it was not there.")
    after: Text | None = Field(default=None, description="The value that was set, as JSON.")


class UndoStatus(ApiModel):
    """The undo of a containment."""

    by: Word = Field(description="Who undoes it.")
    time: Time = Field(description="When that counted.")
    reason: Text = Field(description="Why.")
    attempt: int = Field(description="How often an undo of this option was begun.")
    was: OptionState = Field(description="The option's state before, and again when it could not be undone.")
    settled_time: Time | None = Field(default=None, description="When the workload had followed.")


class OptionRecord(ApiModel):
    """What became of a containment option in this episode."""

    name: Label = Field(description="The option.")
    type: Word = Field(description="What it does.")
    class_: Literal["A", "B", "C", "D"] = Field(alias="class", description="Its autonomy class.")
    state: OptionState = Field(description="How far it is.")
    summary: Text = Field(default="", description="What exactly it would write, or wrote, in words.")
    notes: tuple[Text, ...] = Field(default=(), max_length=8, description="What whoever approves should know.")
    digest: Digest | None = Field(default=None, description="What approvals bind to.")
    target_uid: Uid | None = Field(default=None, description="The target's UID.")
    from_: Word | None = Field(default=None, alias="from", description="The state before: a hash, a number or a field.")
    to: Word | None = Field(default=None, description="The state after: a hash, a number or a field.")
    pinned: PinnedAutoscaler | None = Field(
        default=None, description="The autoscaler that was pinned, as it was before; written down before it is pinned."
    )
    fields: Annotated[tuple[FieldStatus, ...], Field(json_schema_extra={"x-kubernetes-list-type": "atomic"})] = Field(
        default=(), max_length=4, description="The fields that were set, as they were before; written down first."
    )
    needs: int = Field(default=0, description="How many approvals it needs.")
    approvals: tuple[ApprovalStatus, ...] = Field(default=(), max_length=5, description="The approvals given.")
    under: Word | None = Field(
        default=None, description="What it ran under: automatic, approved, or the name of an authorisation."
    )
    asked_time: Time | None = Field(default=None, description="When people were asked.")
    fail_safe_time: Time | None = Field(default=None, description="When it runs undecided, under an authorisation.")
    expire_time: Time | None = Field(default=None, description="When asking ends.")
    attempt: int = Field(default=0, description="How often it was tried.")
    against: tuple[Label, ...] = Field(
        default=(), max_length=32, description="The signals that were sustained when it ran: by them it is judged."
    )
    executed_time: Time | None = Field(default=None, description="When the write was read back.")
    settled_time: Time | None = Field(default=None, description="When the workload had followed.")
    verify_time: Time | None = Field(default=None, description="When it must have helped.")
    undo: UndoStatus | None = Field(default=None, description="Who undid it, or tried to.")
    message: Text = Field(default="", description="What happened, with the numbers.")


class BreakGlass(ApiModel):
    """A containment that one person has ordered alone; another one must approve it afterwards."""

    option: Label = Field(description="The option.")
    digest: Digest = Field(description="What exactly was ordered.")
    by: Word = Field(description="Who ordered it.")
    standing_in_for: tuple[Word, ...] = Field(default=(), max_length=8, description="For whom they stood in then.")
    time: Time = Field(description="When.")
    reason: Text = Field(description="Why it could not wait.")
    approve_deadline: Time = Field(description="Until when somebody else must approve or reject it.")
    overdue: bool = Field(default=False, description="Nobody has by then, and everybody was told.")
    verdict: Literal["Approved", "Rejected"] | None = Field(default=None, description="What was said of it afterwards.")
    verdict_by: Word | None = Field(default=None, description="Who said it.")
    verdict_time: Time | None = Field(default=None, description="When.")


class Classification(Assessment):
    """What a person judged the incident to be."""

    by: Word = Field(description="Who judged.")
    time: Time = Field(description="When.")
    reason: Text = Field(default="", description="Why.")


class EffectState(StrEnum):
    """What is known of an effect: intended before it, the outcome after it."""

    INTENDED = "Intended"
    DONE = "Done"
    FAILED = "Failed"
    UNDELIVERED = "Undelivered"
    SILENCED = "Silenced"


class EffectRecord(ApiModel):
    """One line of the ledger: an effect, its key, and what became of it."""

    key: Text = Field(description="<incident uid>/<episode>/<kind>/<name>/<attempt>; receivers deduplicate by it.")
    state: EffectState = Field(description="What is known of it.")
    causes: tuple[Word, ...] = Field(default=(), max_length=12, description="Of a notice: why they are told.")
    severity: Severity | None = Field(default=None, description="Of a notice: the severity when it was intended.")
    to: Word | None = Field(
        default=None, description="Of a notice that was accepted: the Responder whose channels took it, and for whom."
    )
    into: Word | None = Field(
        default=None, description="Of a notice that was not sent: the incident whose page stands for it."
    )
    held_by: Word | None = Field(
        default=None,
        description="Of a notice that is held back, or was for a while: by what, silence/<name> or Flapping.",
    )
    intended_time: Time = Field(description="When the intent was recorded, or when what held it back was over.")
    done_time: Time | None = Field(default=None, description="When the outcome was known.")
    message: Text = Field(default="", description="The outcome in a sentence.")


class DecisionRecord(ApiModel):
    """What became of a person's Decision."""

    uid: Uid = Field(description="The Decision's UID.")
    name: ObjectName = Field(description="The Decision's name.")
    type: Word = Field(description="What was decided.")
    by: Word = Field(description="Who decided.")
    time: Time = Field(description="When.")
    counted: bool = Field(description="Whether it counted.")
    message: Text = Field(default="", description="Why not, or what it led to.")
    reason: Text = Field(default="", description="The reason that was given.")
    note: Digest | None = Field(default=None, description="The digest of the privileged note that goes with it.")


class Lowered(ApiModel):
    """The last lowering of the severity."""

    by: Word = Field(description="Who lowered it.")
    time: Time = Field(description="When.")
    to: Severity = Field(description="To what.")
    computed: Severity = Field(description="The severity that was computed then; a worse one raises it again.")
    floors: tuple[Text, ...] = Field(default=(), max_length=100, description="The floors that held then.")


class Held(ApiModel):
    """Automation is on hold for this incident."""

    by: Word = Field(description="Who holds it.")
    time: Time = Field(description="Since when.")
    reason: Text = Field(default="", description="Why.")


class Silenced(ApiModel):
    """The Silence that holds notices of this incident back; of several the one that lasts the longest."""

    name: ObjectName = Field(description="The Silence.")
    uid: Uid = Field(description="Its UID.")
    by: Word = Field(description="Who silences.")
    until: Time = Field(description="Until when.")
    reason: Text = Field(description="Why.")


class SnapshotSignal(ApiModel):
    """What a signal said before the first containment; its query stands in the rules, which nobody can change."""

    name: Label = Field(description="The signal.")
    value: Number | None = Field(default=None, description="The last value.")
    samples: Number | None = Field(default=None, description="How many samples the value rests on.")
    time: Time | None = Field(default=None, description="When that value was evaluated.")


class Snapshot(ApiModel):
    """What was there before the first containment."""

    time: Time = Field(description="When it was taken.")
    target: Text = Field(description="The target, with its UID.")
    revision: Text = Field(default="", description="The revision that ran: its number, and its ReplicaSet.")
    images: tuple[Word, ...] = Field(default=(), max_length=16, description="The images that ran.")
    template_digest: Digest | None = Field(default=None, description="The digest of the pod template.")
    replicas: int | None = Field(default=None, description="The number of replicas that were asked for.")
    template: Annotated[str, Field(max_length=8192)] = Field(
        default="",
        description="The pod template as JSON, environment values as their digests, cut at 8 KiB; "
        "templateDigest is of the whole, with the values.",
    )
    signals: Annotated[tuple[SnapshotSignal, ...], Field(json_schema_extra=keyed("name"))] = Field(
        default=(), max_length=32, description="What the signals said."
    )


class TimelineEntry(ApiModel):
    """One line of the story."""

    time: Time = Field(description="When.")
    what: Text = Field(description="What happened, with the numbers.")


class IncidentStatus(ApiModel):
    """The whole story; only the operator writes it."""

    rules: Rules | None = Field(default=None, description="The rules, frozen on first sight, with origin Person.")
    episode: int = Field(default=1, description="How often the breach began anew.")
    opened_time: Time | None = Field(default=None, description="When this episode opened.")
    cause: Literal["Breach", "NoData", "Report"] = Field(default="Breach", description="What opened it.")
    severity: Severity | None = Field(default=None, description="How bad it is.")
    risk: int | None = Field(default=None, description="The worst risk of this episode, 0 to 100, rounded half up.")
    phase: Phase = Field(default=Phase.OPEN, description="One word for printing.")
    tier: Word | None = Field(default=None, description="The highest tier that was entered.")
    lead: Lead | None = Field(default=None, description="Who leads the incident.")
    waiting_for: Text | None = Field(default=None, description="Who must do what next.")
    next_deadline: Word | None = Field(default=None, description="By when, for printing.")
    next_deadline_time: Time | None = Field(default=None, description="By when.")
    score: Score | None = Field(default=None, description="The worst risk of this episode, as a sum.")
    signals: Annotated[tuple[SignalStatus, ...], Field(json_schema_extra=keyed("name"))] = Field(
        default=(), max_length=32, description="The signals when this was last written."
    )
    tiers: Annotated[tuple[TierStatus, ...], Field(json_schema_extra=keyed("name"))] = Field(
        default=(), max_length=8, description="The tiers entered in this episode."
    )
    containment: Annotated[tuple[OptionRecord, ...], Field(json_schema_extra=keyed("name"))] = Field(
        default=(), max_length=8, description="The containment options of this episode."
    )
    contained_revisions: tuple[Word, ...] = Field(
        default=(), max_length=16, description="Pod template hashes that this incident contained: never chosen again."
    )
    snapshot: Snapshot | None = Field(
        default=None, description="What was there before the first containment of this episode."
    )
    held: Held | None = Field(default=None, description="Automation is on hold.")
    silenced: Silenced | None = Field(default=None, description="Notices of this incident are held back.")
    swings: tuple[Time, ...] = Field(
        default=(), max_length=8, description="When the model lately went from breach to recovery, or back."
    )
    flapping_since: Time | None = Field(
        default=None, description="Since when it flaps: three changes within 2 h, and none of them 2 h ago."
    )
    lowered: Lowered | None = Field(default=None, description="The last lowering of the severity.")
    classification: Classification | None = Field(
        default=None, description="What a person judged it to be; the last judgement counts."
    )
    break_glass: tuple[BreakGlass, ...] = Field(
        default=(), max_length=8, description="What one person has ordered alone; each needs a verdict by another."
    )
    post_mortem: PostMortem | None = Field(default=None, description="Who writes the post-mortem, and by when.")
    clock: Word | None = Field(default=None, description="The legal clock that is due first, for printing.")
    clocks: Annotated[tuple[ClockStatus, ...], Field(json_schema_extra=keyed("name"))] = Field(
        default=(),
        max_length=WITH_FOLLOWERS,
        description="The legal clocks, what is due first with its family; they go on after the incident is resolved.",
    )
    joined: ObjectName | None = Field(
        default=None, description="The older incident of the same model or target that goes on in its place."
    )
    parent: Word | None = Field(
        default=None,
        description="The incident, as namespace/name, that pages for this one too: both fail of one upstream cause.",
    )
    pages_itself: bool = Field(
        default=False, description="Its own people are paged although the parent is open: that one is another team's."
    )
    upstream: Label | None = Field(
        default=None, description="What is upstream of it and of its parent, or of its children."
    )
    children: int = Field(
        default=0, description="For how many others it pages, at least: rounded down to 1, 2, 5, 10, 20, 50, …"
    )
    recovered_time: Time | None = Field(default=None, description="When every signal had recovered.")
    resolved_time: Time | None = Field(default=None, description="When it was resolved.")
    decisions: Annotated[tuple[DecisionRecord, ...], Field(json_schema_extra=keyed("uid"))] = Field(
        default=(), max_length=100, description="The Decisions, and whether they counted."
    )
    decisions_through: Time | None = Field(
        default=None, description="Decisions up to this instant that are not listed any more were heard."
    )
    effects: Annotated[tuple[EffectRecord, ...], Field(json_schema_extra=keyed("key"))] = Field(
        default=(), max_length=200, description="The ledger of this episode's effects."
    )
    messages: Annotated[tuple[MessageRecord, ...], Field(json_schema_extra=keyed("name"))] = Field(
        default=(), max_length=32, description="The messages about it, without their words."
    )
    conditions: Annotated[tuple[Condition, ...], Field(json_schema_extra=keyed("type"))] = Field(
        default=(), max_length=20, description="The facts that others act on."
    )
    timeline: tuple[TimelineEntry, ...] = Field(default=(), max_length=100, description="The story, the oldest first.")
    timeline_dropped: int = Field(default=0, description="How many of the oldest lines were dropped.")


class Incident(ApiModel):
    """One model gone wrong: an immutable spec, and the whole story in its status."""

    api_version: Literal["tocsin.dev/v1alpha1"] = API_VERSION
    kind: Literal["Incident"] = "Incident"
    metadata: Metadata = Metadata()
    spec: IncidentSpec = Field(description="What it is about.")
    status: IncidentStatus = Field(default=IncidentStatus(), description="The whole story.")

    @property
    def rules(self) -> Rules | None:
        """The frozen rules, wherever they stand; None for a Person's incident before its first look."""
        return self.spec.rules or self.status.rules

    @property
    def resolved(self) -> bool:
        """Whether the incident is closed."""
        return self.status.resolved_time is not None

    @property
    def target(self) -> Target | None:
        """The workload that containment acts on, if there is one."""
        return self.rules.model.target if self.rules else None
