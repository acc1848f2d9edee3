"""MessageTemplate: what an audience is told in a phase of an incident, in which words, and whose approval it needs."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from tocsin.api.objects import API_VERSION, ApiModel, Condition, Metadata, ObjectName, Text, keyed, rule
from tocsin.api.quantities import Duration
from tocsin.api.responder import SecretRef

LANGUAGE_PATTERN = r"^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?$"
VALUE_PATTERN = r"^[a-z][a-zA-Z0-9]*$"
Language = Annotated[str, StringConstraints(pattern=LANGUAGE_PATTERN, max_length=12)]
ValueName = Annotated[str, StringConstraints(pattern=VALUE_PATTERN, max_length=32)]

TO_PEOPLE = (
    "to goes with the audiences Internal and Executives only: all others are reached by a sender, or by a person"
)
BY_SENDER = "sender goes with the audiences Customers, Partners and Media only: a person files with a regulator"
ONE_APPROVAL = "Customers, Partners and Media need at least one approval: name a Responder in approvals"
TWO_APPROVALS = "Regulators need at least two approvals: name two Responders in approvals"


class Audience(StrEnum):
    """Whom a message is for."""

    CUSTOMERS = "Customers"
    REGULATORS = "Regulators"
    PARTNERS = "Partners"
    INTERNAL = "Internal"
    EXECUTIVES = "Executives"
    MEDIA = "Media"


class MessagePhase(StrEnum):
    """Where in the course of an incident a message belongs."""

    INITIAL = "Initial"
    UPDATE = "Update"
    REMEDIATION = "Remediation"
    POST_INCIDENT = "PostIncident"
    CORRECTION = "Correction"


class IncidentType(StrEnum):
    """What kind of trouble an incident is, as far as it matters to those who are told; the worst comes first."""

    HARM = "Harm"
    BIAS = "Bias"
    OUTAGE = "Outage"
    DRIFT = "Drift"


class TemplateText(ApiModel):
    """A message in one language, as Jinja2 in a short allowlist of its syntax."""

    language: Language = Field(description="The language, as a BCP 47 tag: en, de, pt-BR.")
    subject: Annotated[str, StringConstraints(min_length=1, max_length=1024)] = Field(
        description="The subject; rendered it is one line of at most 200 characters."
    )
    body: Annotated[str, StringConstraints(min_length=1, max_length=8192)] = Field(
        description="The text; rendered it is plain text of at most 16 KiB."
    )


class TemplateValue(ApiModel):
    """A word of the organisation's own, which the texts use as ``values.<name>``."""

    name: ValueName = Field(description="How the texts name it, for example contact.")
    value: Text | None = Field(
        default=None, min_length=1, description="What it says. Without it a person must supply one for each message."
    )


class Sender(ApiModel):
    """What a message leaves the organisation by."""

    secret_ref: SecretRef = Field(description="The Secret that holds the channel's address and credentials.")


class MessageTemplateSpec(ApiModel):
    """Who is told what, and who must have agreed."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                rule(
                    "!has(self.to) || self.to.size() == 0 || self.audience in ['Internal', 'Executives']",
                    TO_PEOPLE,
                ),
                rule(
                    "!has(self.sender) || self.audience in ['Customers', 'Partners', 'Media']",
                    BY_SENDER,
                ),
                rule(
                    "!(self.audience in ['Customers', 'Partners', 'Media'])"
                    " || (has(self.approvals) && self.approvals.size() >= 1)",
                    ONE_APPROVAL,
                ),
                rule(
                    "self.audience != 'Regulators' || (has(self.approvals) && self.approvals.size() >= 2)",
                    TWO_APPROVALS,
                ),
            ]
        }
    )

    audience: Audience = Field(description="Whom it is for; decides what its texts may say.")
    phase: MessagePhase = Field(description="Where in the course of an incident it belongs.")
    incident_types: Annotated[tuple[IncidentType, ...], Field(json_schema_extra={"x-kubernetes-list-type": "set"})] = (
        Field(default=(), max_length=4, description="For which types of incident it is written. Default: any.")
    )
    texts: Annotated[tuple[TemplateText, ...], Field(json_schema_extra=keyed("language"))] = Field(
        min_length=1, max_length=8, description="The message, once for each language; all are sent."
    )
    talking_points: tuple[Annotated[str, StringConstraints(min_length=1, max_length=1024)], ...] = Field(
        default=(),
        max_length=12,
        description="What somebody who is asked about it may say, in Jinja2 and in the first language; message preview"
        " shows it, and it is never sent.",
    )
    remediation_window: Duration | None = Field(
        default=None,
        description="How long the remedy probably takes, for remediation.estimate, which always says that it is an"
        " estimate.",
    )
    values: Annotated[tuple[TemplateValue, ...], Field(json_schema_extra=keyed("name"))] = Field(
        default=(), max_length=16, description="The organisation's own words."
    )
    approvals: Annotated[tuple[ObjectName, ...], Field(json_schema_extra={"x-kubernetes-list-type": "set"})] = Field(
        default=(),
        max_length=5,
        description="The Responders who must approve each message, every one by a person of theirs, all of them"
        " different people.",
    )
    to: Annotated[tuple[ObjectName, ...], Field(json_schema_extra={"x-kubernetes-list-type": "set"})] = Field(
        default=(), max_length=8, description="The Responders who are told; for Internal and Executives."
    )
    sender: Sender | None = Field(
        default=None, description="What it is sent by; for Customers, Partners and Media. Default: by a person."
    )


class MessageTemplateStatus(ApiModel):
    """What Tocsin made of the template."""

    observed_generation: int | None = Field(default=None, description="The generation that this was said of.")
    conditions: Annotated[tuple[Condition, ...], Field(json_schema_extra=keyed("type"))] = Field(
        default=(), max_length=4, description="Ready: its texts can be rendered."
    )


class MessageTemplate(ApiModel):
    """A message that was thought out before it is needed: texts, and whose word it needs before it is sent."""

    api_version: Literal["tocsin.dev/v1alpha1"] = API_VERSION
    kind: Literal["MessageTemplate"] = "MessageTemplate"
    metadata: Metadata = Metadata()
    spec: MessageTemplateSpec = Field(description="The template.")
    status: MessageTemplateStatus = Field(default=MessageTemplateStatus(), description="What Tocsin made of it.")
