"""Silence: for a while nobody is told of what it matches; everything else goes on."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from tocsin.api.objects import API_VERSION, LATER, ApiModel, Metadata, Text, Word, rule
from tocsin.api.quantities import Time

LONGEST = "until must be at most 30 days (720h) after from"
UNBOUNDED = "at least one matcher with operator In is needed: what is silenced; or set everything: true, with none"


class MatchField(StrEnum):
    """What a matcher looks at."""

    MODEL = "Model"
    POLICY = "Policy"
    SIGNAL = "Signal"
    TIER = "Tier"
    RESPONDER = "Responder"


class MatchOperator(StrEnum):
    """How a matcher compares."""

    IN = "In"
    NOT_IN = "NotIn"


class Matcher(ApiModel):
    """One thing that must be so."""

    field: MatchField = Field(
        description="What is looked at. Signal: every signal that breaches or is missing must fit; Tier and Responder:"
        " the notice's."
    )
    operator: MatchOperator = Field(default=MatchOperator.IN, description="In: one of the values; NotIn: none of them.")
    values: Annotated[tuple[Word, ...], Field(json_schema_extra={"x-kubernetes-list-type": "set"})] = Field(
        min_length=1, max_length=32, description="Names, compared as they are."
    )


class SilenceSpec(ApiModel):
    """What is silenced, for how long, and on whose word."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                rule("self.from < self.until", LATER),
                rule("self.until - self.from <= duration('720h')", LONGEST),
                rule(
                    "(has(self.everything) && self.everything) ? !has(self.matchers) || self.matchers.size() == 0"
                    " : has(self.matchers) && self.matchers.exists(one, one.operator == 'In')",
                    UNBOUNDED,
                ),
                rule(
                    "self.until <= oldSelf.until",
                    "until can only be brought forward: create another Silence to go on",
                ),
                rule(
                    "self.from == oldSelf.from && self.by == oldSelf.by && self.reason == oldSelf.reason"
                    " && has(self.everything) == has(oldSelf.everything)"
                    " && (!has(self.everything) || self.everything == oldSelf.everything)"
                    " && has(self.matchers) == has(oldSelf.matchers)"
                    " && (!has(self.matchers) || self.matchers == oldSelf.matchers)",
                    "a Silence is immutable but for until: create another one",
                ),
            ]
        }
    )

    matchers: tuple[Matcher, ...] = Field(
        default=(), max_length=8, description="What must be so, all of it, for a notice not to be sent."
    )
    everything: bool = Field(
        default=False, description="It matches everything of the namespace; then there are no matchers."
    )
    from_: Time = Field(alias="from", description="The first instant of it.")
    until: Time = Field(description="The first instant after it, at most 30 days later; it may be brought forward.")
    reason: Text = Field(min_length=3, description="Why nobody needs to be told.")
    by: Word = Field(
        min_length=1,
        description="Who silences: the requester's user name. Filled in where the server has MutatingAdmissionPolicy;"
        " anybody else's name is refused.",
    )


class Silence(ApiModel):
    """For a while nobody is told of what it matches, up to SEV3; records, deadlines and escalation go on."""

    api_version: Literal["tocsin.dev/v1alpha1"] = API_VERSION
    kind: Literal["Silence"] = "Silence"
    metadata: Metadata = Metadata()
    spec: SilenceSpec = Field(description="What is silenced.")
