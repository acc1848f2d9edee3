"""What a policy's status keeps of its attestation: who stands for which rules, and whom was told of a loosening."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tocsin.api.objects import ApiModel, Digest, ObjectName, Text, Uid, Word
from tocsin.api.quantities import Time

RULES = 2500
"""More lines has no policy: 100 models with 13 each, 32 signals with 15, 8 tiers with 20, 8 options with 6."""
Lines = Annotated[dict[Text, Text], Field(max_length=RULES)]
"""The governed rules, one by one: ``signals.accuracy.warn: "< 0.92"``."""
Loosenings = Annotated[tuple[Text, ...], Field(max_length=32)]
"""In what rules are looser than others, in words."""


class Attestation(ApiModel):
    """The last Attest Decision that counted, and the rules that it stands for."""

    by: Word = Field(description="Who attested.")
    time: Time = Field(description="When.")
    decision: ObjectName = Field(description="The Attest Decision's name.")
    uid: Uid = Field(description="Its UID.")
    digest: Digest = Field(description="The digest of the rules that were attested.")
    rules: Lines = Field(
        description="The rules that were attested; queries and actions as digests. Edits are compared."
    )
    void_time: Time | None = Field(
        default=None, description="Since when it is void, because a rule was loosened; only a new Attest helps."
    )


class AttestRecord(ApiModel):
    """What became of an Attest Decision."""

    uid: Uid = Field(description="The Decision's UID.")
    name: ObjectName = Field(description="The Decision's name.")
    by: Word = Field(description="Who attested.")
    time: Time = Field(description="When.")
    counted: bool = Field(description="Whether it counted.")
    message: Text = Field(description="Why not, or what it led to.")


class LooseningRecord(ApiModel):
    """One notice of a loosening: written before it is sent, and marked when it was accepted."""

    key: Text = Field(
        description="<policy uid>/attestation/<decision uid>/<digest>/<responder>; receivers drop repeats."
    )
    responder: ObjectName = Field(description="The second line that had attested.")
    attested: Text = Field(description="Who had attested, and when.")
    loosened: Loosenings = Field(description="In what the rules became looser than those that were attested.")
    intended_time: Time = Field(description="When the loosening was seen.")
    done_time: Time | None = Field(default=None, description="When a channel accepted the notice.")
    message: Text = Field(default="", description="What the channels said last.")
