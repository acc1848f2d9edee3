"""Message: words about one incident for one audience, from the draft to what became of its release."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from tocsin.api.objects import (
    API_VERSION,
    ApiModel,
    Condition,
    Digest,
    Label,
    Metadata,
    ObjectName,
    Text,
    Uid,
    Word,
    keyed,
    rule,
)
from tocsin.api.quantities import Time
from tocsin.api.template import Audience, Language, MessagePhase, MessageTemplateSpec, Sender

LANGUAGES = 8
SubjectLine = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\r\n]+$")]
Body = Annotated[str, StringConstraints(min_length=1, max_length=16384)]
FIXED = "only spec.texts may be edited: everything else was settled when the message was drafted"
EDITORS = "editedBy changes with spec.texts only"
ONCE = "texts holds each language once"
UNDER_WAY = "this message is released, or on its way, or filled in: draft another one, for example a Correction"


class MessageState(StrEnum):
    """How far a message is."""

    DRAFT = "Draft"
    APPROVED = "Approved"
    RELEASING = "Releasing"
    RELEASED = "Released"
    PERHAPS_RELEASED = "PerhapsReleased"
    FAILED = "Failed"
    REJECTED = "Rejected"
    FILLED = "Filled"


BY_HAND = "person/"
"""How the key of a message begins that a person had drafted; an incident's UID never does."""
CLOSED = frozenset({MessageState.RELEASING, MessageState.RELEASED, MessageState.PERHAPS_RELEASED, MessageState.FILLED})
"""In these nobody edits it any more."""


class MessageText(ApiModel):
    """The words in one language."""

    language: Language = Field(description="The language, as a BCP 47 tag.")
    subject: SubjectLine = Field(description="The subject, in one line.")
    body: Body = Field(description="The text itself, plain.")


class MessageIncidentRef(ApiModel):
    """The incident that a message is about."""

    name: ObjectName = Field(description="The incident's name.")
    uid: Uid = Field(description="Its UID.")


class MessageTemplateRef(ApiModel):
    """The template that a message was drafted from, as it was then."""

    name: ObjectName = Field(description="The template's name.")
    namespace: Word = Field(description="Its namespace: the message's own, or the operator's.")
    uid: Uid = Field(description="Its UID.")
    digest: Digest = Field(description="The digest of its content then; a standing approval binds to it.")


class Terms(ApiModel):
    """What the release needs and where it goes, as the template said when the message was drafted."""

    approvals: Annotated[tuple[ObjectName, ...], Field(json_schema_extra={"x-kubernetes-list-type": "set"})] = Field(
        default=(), max_length=5, description="The Responders of whom one person each must approve, all distinct."
    )
    to: Annotated[tuple[ObjectName, ...], Field(json_schema_extra={"x-kubernetes-list-type": "set"})] = Field(
        default=(), max_length=8, description="The Responders who are told, for Internal and Executives."
    )
    sender: Sender | None = Field(
        default=None, description="The organisation's own sender, for Customers, Partners and Media."
    )

    @classmethod
    def of(cls, template: MessageTemplateSpec) -> Terms:
        """What a template asks for."""
        return cls(approvals=template.approvals, to=template.to, sender=template.sender)


class MessageSpec(ApiModel):
    """What is said, to whom, and whose word that needs."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                rule(
                    "self.key == oldSelf.key && self.incidentRef == oldSelf.incidentRef"
                    " && self.templateRef == oldSelf.templateRef && self.audience == oldSelf.audience"
                    " && self.phase == oldSelf.phase && self.terms == oldSelf.terms"
                    " && has(self.varying) == has(oldSelf.varying)"
                    " && (!has(self.varying) || self.varying == oldSelf.varying)",
                    FIXED,
                ),
                rule(
                    "self.texts != oldSelf.texts || (has(self.editedBy) == has(oldSelf.editedBy)"
                    " && (!has(self.editedBy) || self.editedBy == oldSelf.editedBy))",
                    EDITORS,
                ),
                rule(
                    "self.texts.all(one, self.texts.exists_one(other, other.language == one.language))",
                    ONCE,
                ),
            ]
        }
    )

    key: Text = Field(
        description="<incident uid>/<episode>/message/<rule>/<n>: what it was drafted for, which happens once. Of one"
        " that a person had drafted it begins with person/."
    )
    incident_ref: MessageIncidentRef = Field(description="The incident that it is about.")
    template_ref: MessageTemplateRef = Field(description="The template that it was drafted from.")
    audience: Audience = Field(description="Who is told.")
    phase: MessagePhase = Field(description="When in an incident it is said.")
    texts: tuple[MessageText, ...] = Field(
        min_length=1, max_length=LANGUAGES, description="The words, by language: this is what is approved and sent."
    )
    varying: tuple[Word, ...] = Field(
        default=(),
        max_length=64,
        description="The variables on which the drafted texts rest: with all others absent the template says the same."
        " A standing approval covers the message if it lets all of these vary.",
    )
    terms: Terms = Field(description="Whose word it needs, and where it goes.")
    edited_by: tuple[Word, ...] = Field(
        default=(),
        max_length=16,
        description="The user names of those who edited the texts, the last one last. Filled in where the server has"
        " MutatingAdmissionPolicy; any other list is refused.",
    )


class MessageApproval(ApiModel):
    """One person's approval of the texts as they are."""

    by: Word = Field(description="Who approved.")
    roles: tuple[ObjectName, ...] = Field(
        max_length=5, description="For which of the Responders asked they could: it counts for one of them."
    )
    standing_in_for: tuple[Word, ...] = Field(
        default=(), max_length=8, description="For whom they stood in then: they count as these as well."
    )
    time: Time = Field(description="When.")
    decision: ObjectName = Field(description="The Decision's name.")


class Rejection(ApiModel):
    """Words that were rejected, for good."""

    digest: Digest = Field(description="The digest of these words.")
    by: Word = Field(description="Who rejected them.")
    time: Time = Field(description="When.")
    reason: Text = Field(default="", description="Why.")


class AskRecord(ApiModel):
    """One notice to people who must approve: written before it is sent, and marked when it was accepted."""

    key: Text = Field(description="<message uid>/ask/<responder>/<n>; receivers drop repeats.")
    responder: ObjectName = Field(description="The Responder that is asked.")
    intended_time: Time = Field(description="When it was intended.")
    done_time: Time | None = Field(default=None, description="When a channel accepted it.")
    message: Text = Field(default="", description="What the channels said last.")


class PartState(StrEnum):
    """What is known of one part of a release: intended before it, the outcome after it."""

    INTENDED = "Intended"
    SENT = "Sent"
    PERHAPS = "Perhaps"
    FAILED = "Failed"


class Part(ApiModel):
    """One delivery of a release: to the organisation's sender, or to one Responder in one language."""

    key: Text = Field(description="<message uid>/release/<digest>…, the receiver's Idempotency-Key.")
    to: Word = Field(description="Whom it goes to: sender, or a Responder.")
    state: PartState = Field(description="What is known of it.")
    done_time: Time | None = Field(default=None, description="When nothing more was to be tried.")
    message: Text = Field(default="", description="What the receiver answered last.")


class Release(ApiModel):
    """The release: written before anything is sent, and what became of it."""

    digest: Digest = Field(description="The digest of the words that are released.")
    by: Word = Field(description="Who released them.")
    decision: ObjectName = Field(description="The ReleaseMessage Decision's name.")
    under: Literal["Approval", "StandingApproval"] = Field(
        description="Approval: every Responder asked has approved these words. StandingApproval: nobody has; each had"
        " authorised the template for whatever its varying words say."
    )
    authorisations: tuple[ObjectName, ...] = Field(
        default=(), max_length=5, description="The AuthoriseMessage Decisions, under a standing approval."
    )
    intended_time: Time = Field(description="When it was intended.")
    done_time: Time | None = Field(default=None, description="When all of it had been accepted.")
    parts: Annotated[tuple[Part, ...], Field(json_schema_extra=keyed("key"))] = Field(
        default=(), max_length=64, description="Its deliveries."
    )


class MessageDecision(ApiModel):
    """What became of a person's Decision on a message."""

    uid: Uid = Field(description="The Decision's UID.")
    name: ObjectName = Field(description="The Decision's name.")
    type: Word = Field(description="What was decided.")
    by: Word = Field(description="Who decided.")
    time: Time = Field(description="When.")
    counted: bool = Field(description="Whether it counted.")
    message: Text = Field(default="", description="Why not, or what it led to.")


class MessageEvent(ApiModel):
    """One line of a message's story; never its words."""

    time: Time = Field(description="When.")
    what: Text = Field(description="What happened.")


class MessageStatus(ApiModel):
    """What became of a message; only the operator writes it."""

    observed_generation: int | None = Field(default=None, description="The generation that this was said of.")
    state: MessageState = Field(default=MessageState.DRAFT, description="How far it is.")
    digest: Digest | None = Field(
        default=None, description="The digest of the exact texts, that approvals, rejections and releases bind to."
    )
    waiting_for: Text = Field(default="", description="Who must do what next.")
    flaw: Text = Field(
        default="",
        description="Of one that a person had drafted: why it is never released, because it is not what its template"
        " asks for.",
    )
    approvals: tuple[MessageApproval, ...] = Field(
        default=(), max_length=5, description="Who has approved the texts as they are."
    )
    rejections: Annotated[tuple[Rejection, ...], Field(json_schema_extra=keyed("digest"))] = Field(
        default=(), max_length=16, description="The words that were rejected, for good."
    )
    asks: Annotated[tuple[AskRecord, ...], Field(json_schema_extra=keyed("responder"))] = Field(
        default=(), max_length=5, description="The notices to those who must approve."
    )
    release: Release | None = Field(default=None, description="The release.")
    decisions: Annotated[tuple[MessageDecision, ...], Field(json_schema_extra=keyed("uid"))] = Field(
        default=(), max_length=48, description="The latest Decisions, and whether they counted."
    )
    decisions_through: Time | None = Field(
        default=None, description="Decisions up to this instant that are not listed any more were heard."
    )
    conditions: Annotated[tuple[Condition, ...], Field(json_schema_extra=keyed("type"))] = Field(
        default=(), max_length=4, description="Approved: every word that it needs was given. Released: it was sent."
    )
    story: tuple[MessageEvent, ...] = Field(default=(), max_length=40, description="What happened, the oldest first.")


class Message(ApiModel):
    """Words about one incident for one audience: drafted, edited, approved, and released once."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                rule(
                    "!has(oldSelf.status) || !has(oldSelf.status.state)"
                    " || !(oldSelf.status.state in ['Releasing', 'Released', 'PerhapsReleased', 'Filled'])"
                    " || self.spec == oldSelf.spec",
                    UNDER_WAY,
                ),
            ]
        }
    )

    api_version: Literal["tocsin.dev/v1alpha1"] = API_VERSION
    kind: Literal["Message"] = "Message"
    metadata: Metadata = Metadata()
    spec: MessageSpec = Field(description="What is said.")
    status: MessageStatus = Field(default=MessageStatus(), description="What became of it.")


class RecordState(StrEnum):
    """How far a message of an incident is: the message's own state, or why there is none."""

    DUE = "Due"
    NOT_DRAFTED = "NotDrafted"
    DRAFT = "Draft"
    APPROVED = "Approved"
    RELEASING = "Releasing"
    RELEASED = "Released"
    PERHAPS_RELEASED = "PerhapsReleased"
    FAILED = "Failed"
    REJECTED = "Rejected"
    FILLED = "Filled"


class MessageRecord(ApiModel):
    """What an incident keeps of a message: never its words."""

    name: ObjectName = Field(description="The Message's name.")
    rule: Label = Field(description="The line of the policy's messages that had it drafted.")
    occurrence: Word = Field(description="<episode>/<n>: for which occurrence.")
    template: ObjectName = Field(description="The template's name.")
    state: RecordState = Field(
        description="How far it is. Due: to be drafted; NotDrafted: it could not be. A message that was deleted keeps"
        " its last state, and is not drafted again."
    )
    time: Time = Field(description="When it became due.")
    audience: Audience | None = Field(default=None, description="Who is told.")
    phase: MessagePhase | None = Field(default=None, description="When in an incident it is said.")
    digest: Digest | None = Field(default=None, description="The digest of the words as they are, or were released.")
    released_time: Time | None = Field(default=None, description="When all of it had been accepted.")
    tried: Word | None = Field(default=None, description="Of a template that gave no words: <uid>/<generation>.")
    reason: Word | None = Field(default=None, description="Why it could not be drafted.")
    message: Annotated[str, Field(max_length=300)] = Field(default="", description="The same in a sentence.")
