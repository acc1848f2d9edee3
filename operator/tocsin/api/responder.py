"""Responder: a role, the people who fill it and the channels that reach them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tocsin.api.objects import API_VERSION, ApiModel, Condition, Label, Metadata, ObjectName, Word
from tocsin.api.policy import keyed


class Member(ApiModel):
    """One person of a role."""

    name: Word = Field(description="The person's name; `kubectl get responders` shows that of the first.")
    user: Word = Field(description="The person's Kubernetes user name, as the API server authenticates it.")


class SecretRef(ApiModel):
    """A Secret of the same namespace."""

    name: ObjectName = Field(description="The Secret's name; its type must be tocsin.dev/channel.")


class Channel(ApiModel):
    """One way to reach the role."""

    name: Label = Field(description="The channel's name, unique in the role.")
    secret_ref: SecretRef = Field(description="The Secret that holds its address and credentials.")


class ResponderSpec(ApiModel):
    """Who fills the role, and how they are reached."""

    members: Annotated[tuple[Member, ...], Field(json_schema_extra=keyed("user"))] = Field(
        min_length=1, max_length=50, description="The people; only they may decide for this role."
    )
    channels: Annotated[tuple[Channel, ...], Field(json_schema_extra=keyed("name"))] = Field(
        default=(),
        max_length=8,
        description="How they are told, in order: the next is tried when one has not accepted within a minute.",
    )


class ResponderStatus(ApiModel):
    """What Tocsin made of the role."""

    observed_generation: int | None = Field(default=None, description="The generation that this was said of.")
    conditions: Annotated[tuple[Condition, ...], Field(json_schema_extra=keyed("type"))] = Field(
        default=(), max_length=4, description="Ready: the role can be reached."
    )


class Responder(ApiModel):
    """A role in the escalation: its people and their channels."""

    api_version: Literal["tocsin.dev/v1alpha1"] = API_VERSION
    kind: Literal["Responder"] = "Responder"
    metadata: Metadata = Metadata()
    spec: ResponderSpec = Field(description="The role.")
    status: ResponderStatus = Field(default=ResponderStatus(), description="What Tocsin made of it.")
