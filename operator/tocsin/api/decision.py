"""Decision: one immutable act of a person."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from tocsin.api.clock import Anchor
from tocsin.api.legalnote import NoteRef
from tocsin.api.objects import (
    API_VERSION,
    ApiModel,
    Digest,
    Label,
    Metadata,
    ObjectName,
    Severity,
    Text,
    Uid,
    Word,
    rule,
)
from tocsin.api.quantities import Time

Variable = Annotated[str, StringConstraints(pattern=r"^[a-z][a-zA-Z0-9]*(\.[a-z][a-zA-Z0-9]*)?$", max_length=63)]


class DecisionType(StrEnum):
    """What is decided; each has a right of its own, the lower-case word as a subresource."""

    ACKNOWLEDGE = "Acknowledge"
    APPROVE = "Approve"
    REJECT = "Reject"
    ESCALATE = "Escalate"
    LOWER = "Lower"
    HOLD = "Hold"
    RESUME = "Resume"
    RESOLVE = "Resolve"
    CLASSIFY = "Classify"
    BREAK_GLASS = "BreakGlass"
    DECIDE = "Decide"
    NOTE = "Note"
    HAND_OVER = "HandOver"
    ACCEPT = "Accept"
    UNDO = "Undo"
    AUTHORISE = "Authorise"
    ATTEST = "Attest"
    START_CLOCK = "StartClock"
    DECLINE_CLOCK = "DeclineClock"
    MOVE_CLOCK = "MoveClock"
    MARK_SUBMITTED = "MarkSubmitted"
    ACCEPT_CLOCK = "AcceptClock"
    APPROVE_MESSAGE = "ApproveMessage"
    REJECT_MESSAGE = "RejectMessage"
    RELEASE_MESSAGE = "ReleaseMessage"
    AUTHORISE_MESSAGE = "AuthoriseMessage"

    @property
    def right(self) -> str:
        """The virtual subresource of ``decisions`` on which RBAC grants this act."""
        return self.value.lower()


class Impact(StrEnum):
    """How hard people or the business are hit."""

    NONE = "None"
    MINOR = "Minor"
    MODERATE = "Moderate"
    SEVERE = "Severe"


class LegalExposure(StrEnum):
    """Whether the law may ask something of us."""

    NONE = "None"
    POSSIBLE = "Possible"
    LIKELY = "Likely"


class Materiality(StrEnum):
    """Whether an investor, or whoever supervises us, would want to know."""

    UNKNOWN = "Unknown"
    NOT_MATERIAL = "NotMaterial"
    MATERIAL = "Material"


class Assessment(ApiModel):
    """What a person judges an incident to be, besides what the metrics say."""

    impact: Impact = Field(description="How hard people or the business are hit; Severe makes it SEV2 at least.")
    legal_exposure: LegalExposure = Field(
        description="Whether a duty to report, a claim or a breach of law is in sight; Likely makes it SEV2 at least."
    )
    materiality: Materiality = Field(
        description="Whether it must be known to investors or supervisors; Material makes it SEV2 at least."
    )


class PostMortem(ApiModel):
    """Who learns from it, and by when."""

    owner: Word = Field(min_length=1, description="The user name of whoever writes the post-mortem.")
    due_time: Time = Field(description="By when it must be written.")


class IncidentRef(ApiModel):
    """The incident that is decided on."""

    name: ObjectName = Field(description="The incident's name.")
    uid: Uid | None = Field(default=None, description="Its UID; required for whatever cannot be taken back.")


class PolicyRef(ApiModel):
    """The policy whose option is authorised, whose rules are attested, or whose clock is accepted."""

    name: ObjectName = Field(description="The policy's name.")
    uid: Uid = Field(description="The policy's UID.")


_CLOCKS = "['StartClock', 'DeclineClock', 'MoveClock', 'MarkSubmitted']"
_OF_CLOCKS = (
    rule(
        f"(self.type in {_CLOCKS} || self.type == 'AcceptClock') == has(self.clock)",
        "clock is required to start, decline, move, accept or submit one, and goes with nothing else",
    ),
    rule(
        f"!(self.type in {_CLOCKS}) || (has(self.incidentRef) && has(self.incidentRef.uid))",
        "incidentRef.uid is required to start, decline, move and submit a clock",
    ),
    rule(
        "self.type in ['StartClock', 'MoveClock'] ? has(self.anchors) && self.anchors.size() > 0"
        " && (self.type == 'StartClock' || self.anchors.size() == 1) : !has(self.anchors)",
        "anchors are required to start a clock, exactly one to move it, and go with nothing else",
    ),
    rule(
        "self.type == 'MarkSubmitted' ? has(self.receipt) && self.receipt.size() > 0 && has(self.submittedTime)"
        " : !has(self.receipt) && !has(self.submittedTime)",
        "receipt and submittedTime are required to mark a clock as submitted, and go with nothing else",
    ),
    rule(
        "self.type != 'AcceptClock' || (has(self.policyRef) && has(self.digest) && !has(self.option))",
        "AcceptClock requires policyRef and digest, which stands in the policy's status.clocks; it takes no option",
    ),
)


class MessageRef(ApiModel):
    """The message that is decided on."""

    name: ObjectName = Field(description="The message's name.")
    uid: Uid = Field(description="Its UID.")


class TemplateRef(ApiModel):
    """The template whose messages are authorised in advance."""

    name: ObjectName = Field(description="The template's name.")
    uid: Uid = Field(description="Its UID.")


class DecisionSpec(ApiModel):
    """Who decided what, on which ground."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                rule("self == oldSelf", "a Decision is immutable: create another one"),
                rule(
                    "self.type in ['Authorise', 'Attest', 'AcceptClock'] || self.type.endsWith('Message')"
                    " ? !has(self.incidentRef) : has(self.incidentRef)",
                    "incidentRef is required, but for Authorise, Attest and AcceptClock, which name a policyRef, and"
                    " for decisions on messages",
                ),
                rule(
                    "self.type == 'Authorise' ? has(self.policyRef) && has(self.option) && has(self.digest)"
                    " && has(self.expireTime)"
                    " : (self.type in ['Attest', 'AcceptClock'] || !has(self.policyRef))"
                    " && (self.type == 'AuthoriseMessage' || !has(self.expireTime))",
                    "Authorise requires policyRef, option, digest and expireTime; nothing else takes expireTime but for"
                    " AuthoriseMessage, nor policyRef but for Attest and AcceptClock",
                ),
                rule(
                    "self.type != 'Attest' || (has(self.policyRef) && has(self.digest) && !has(self.option))",
                    "Attest requires policyRef and digest, which stands in the policy's status; it takes no option",
                ),
                rule(
                    "!(self.type in ['Approve', 'Reject', 'BreakGlass', 'Undo', 'Lower', 'Resolve'])"
                    " || (has(self.incidentRef) && has(self.incidentRef.uid))",
                    "incidentRef.uid is required to approve, reject, break glass, undo, lower and resolve",
                ),
                rule(
                    "!(self.type in ['Approve', 'Reject', 'BreakGlass', 'Undo'])"
                    " || (has(self.option) && has(self.digest))",
                    "option and digest are required to approve, reject, break glass and undo: both stand in the"
                    " incident's status.containment",
                ),
                rule(
                    "self.type in ['Approve', 'Reject', 'BreakGlass', 'Undo', 'Authorise', 'Attest', 'AcceptClock']"
                    " || (!has(self.option) && (!has(self.digest) || self.type.endsWith('Message')))",
                    "option and digest go with Approve, Reject, BreakGlass, Undo and Authorise only, and digest with"
                    " Attest, AcceptClock and decisions on messages",
                ),
                rule(
                    "(self.type == 'Lower') == has(self.severity)",
                    "severity is required to lower, and goes with nothing else",
                ),
                rule(
                    "self.type == 'Escalate' || !has(self.tier)",
                    "tier goes with Escalate only: an acknowledgement counts for every tier of its author",
                ),
                rule(
                    "(self.type == 'HandOver') == has(self.to)",
                    "to is required to hand over, and goes with nothing else",
                ),
                rule(
                    "self.type == 'Decide' ? has(self.question) && has(self.choice)"
                    " : !has(self.question) && !has(self.choice)",
                    "question and choice are required to decide, and go with nothing else",
                ),
                rule(
                    "(self.type == 'Classify') == has(self.classification)",
                    "classification is required to classify, and goes with nothing else",
                ),
                rule("self.type == 'Resolve' || !has(self.postMortem)", "postMortem goes with Resolve only"),
                rule("has(self.incidentRef) || !has(self.note)", "note goes with what is decided on an incident only"),
                rule(
                    "self.type in ['Acknowledge', 'Accept', 'Resume', 'MarkSubmitted']"
                    " || (has(self.reason) && self.reason.size() >= 3)",
                    "reason is required, but to acknowledge, accept, resume and mark as submitted: why, in a few words",
                ),
                *_OF_CLOCKS,
                # --- on messages
                rule(
                    "(self.type in ['ApproveMessage', 'RejectMessage', 'ReleaseMessage']) == has(self.messageRef)"
                    " && (!has(self.messageRef) || has(self.digest))",
                    "ApproveMessage, RejectMessage and ReleaseMessage require messageRef and digest, which stands in"
                    " the message's status; nothing else takes messageRef",
                ),
                rule(
                    "self.type == 'AuthoriseMessage'"
                    " ? has(self.templateRef) && has(self.digest) && has(self.expireTime)"
                    " : !has(self.templateRef) && !has(self.varying)",
                    "AuthoriseMessage requires templateRef, digest and expireTime; nothing else takes templateRef or"
                    " varying",
                ),
            ]
        }
    )

    type: DecisionType = Field(description="What is decided.")
    by: Word = Field(
        min_length=1,
        description="Who decides: the requester's user name. Filled in where the server has MutatingAdmissionPolicy;"
        " anybody else's name is refused.",
    )
    incident_ref: IncidentRef | None = Field(default=None, description="The incident that is decided on.")
    policy_ref: PolicyRef | None = Field(
        default=None,
        description="The policy whose option is authorised, whose rules are attested, or whose clock is accepted.",
    )
    option: Label | None = Field(default=None, description="The containment option.")
    digest: Digest | None = Field(
        default=None,
        description="What exactly is approved, rejected, undone, released, authorised, attested or accepted; void when"
        " that changes.",
    )
    tier: Label | None = Field(default=None, description="The tier to escalate to. Default: the next one.")
    severity: Severity | None = Field(default=None, description="The severity to lower to.")
    to: ObjectName | None = Field(
        default=None,
        description="The Responder of this namespace to whom it is handed over; somebody there must accept.",
    )
    question: Label | None = Field(default=None, description="The question of a tier that is answered.")
    choice: Word | None = Field(default=None, description="The answer: one of the question's options.")
    classification: Assessment | None = Field(default=None, description="What the incident is judged to be.")
    post_mortem: PostMortem | None = Field(
        default=None, description="Who writes the post-mortem and by when; SEV1 and SEV2 are not resolved without."
    )
    expire_time: Time | None = Field(default=None, description="Until when an authorisation holds.")
    reason: Text | None = Field(default=None, description="Why.")
    note: NoteRef | None = Field(
        default=None, description="The LegalNote with what of it is privileged; the reason here stands for everybody."
    )
    clock: Label | None = Field(
        default=None, description="The legal clock that is started, declined, moved, submitted or accepted."
    )
    anchors: (
        Annotated[
            tuple[Anchor, ...],
            Field(
                max_length=4,
                json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
            ),
        ]
        | None
    ) = Field(default=None, description="From what it counts; to move it, the one that moves.")
    receipt: Word | None = Field(
        default=None, description="What whoever received a report gave for it, for example its number."
    )
    submitted_time: Time | None = Field(default=None, description="When a report was submitted.")
    message_ref: MessageRef | None = Field(default=None, description="The message that is decided on.")
    template_ref: TemplateRef | None = Field(
        default=None, description="The template whose messages are authorised in advance."
    )
    varying: Annotated[tuple[Variable, ...], Field(max_length=32)] | None = Field(
        default=None,
        description="The template's variables that may say whatever is true then: all other words are authorised.",
    )


class Decision(ApiModel):
    """One immutable act of a person: acknowledge, approve, escalate, resolve and so on."""

    api_version: Literal["tocsin.dev/v1alpha1"] = API_VERSION
    kind: Literal["Decision"] = "Decision"
    metadata: Metadata = Metadata()
    spec: Annotated[DecisionSpec, Field(description="The decision.")]
