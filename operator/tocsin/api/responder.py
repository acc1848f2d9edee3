"""Responder: a role, the people who fill it, when each of them does, and the channels that reach them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints
from pydantic.config import JsonDict

from tocsin.api.objects import (
    API_VERSION,
    LATER,
    ApiModel,
    Condition,
    Label,
    Metadata,
    ObjectName,
    Text,
    Word,
    keyed,
    rule,
)
from tocsin.api.quantities import Time

TimeOfDay = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", max_length=5)]
WallTime = Annotated[
    str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]$", max_length=16)
]
_ORDERED: JsonDict = {"x-kubernetes-validations": [rule("self.from < self.until", LATER)]}


class Weekday(StrEnum):
    """A day of the week."""

    MON = "Mon"
    TUE = "Tue"
    WED = "Wed"
    THU = "Thu"
    FRI = "Fri"
    SAT = "Sat"
    SUN = "Sun"


class SecretRef(ApiModel):
    """A Secret of the same namespace."""

    name: ObjectName = Field(description="The Secret's name; its type must be tocsin.dev/channel.")


class Channel(ApiModel):
    """One way to reach somebody."""

    name: Label = Field(description="The channel's name, unique in its list.")
    secret_ref: SecretRef = Field(description="The Secret that holds its address and credentials.")


class Absence(ApiModel):
    """A time in which a person is not there."""

    model_config = ConfigDict(json_schema_extra=_ORDERED)

    from_: Time = Field(alias="from", description="The first instant of it.")
    until: Time = Field(description="The first instant after it.")
    reason: Text | None = Field(default=None, description="Why, if others should know.")


class Member(ApiModel):
    """One person of a role."""

    name: Word = Field(description="The person's name, which notices and `kubectl get responders` show.")
    user: Word = Field(description="The person's Kubernetes user name, as the API server authenticates it.")
    channels: Annotated[tuple[Channel, ...], Field(json_schema_extra=keyed("name"))] = Field(
        default=(), max_length=8, description="How this person is told, in order, before the role's own channels."
    )
    absences: tuple[Absence, ...] = Field(default=(), max_length=20, description="When this person is not there.")


class Override(ApiModel):
    """A time in which somebody else than the rotation says is on duty."""

    model_config = ConfigDict(json_schema_extra=_ORDERED)

    user: Word = Field(description="Who is on duty then, a member by user name.")
    from_: Time = Field(alias="from", description="The first instant of it.")
    until: Time = Field(description="The first instant after it.")


class Rotation(ApiModel):
    """Who is on duty in which week."""

    order: tuple[Word, ...] = Field(
        min_length=1, max_length=50, description="The members by user name; each has a week, then it begins anew."
    )
    start: WallTime = Field(
        description="When the first one's first week begins, in the role's time zone, for example 2026-11-23T09:00;"
        " each week is handed over at that weekday and time."
    )
    overrides: tuple[Override, ...] = Field(
        default=(), max_length=50, description="Who has swapped; of several at a time the first in the list counts."
    )


class WorkingHours(ApiModel):
    """When the role can be paged itself; at all other times somebody else is."""

    model_config = ConfigDict(json_schema_extra=_ORDERED)

    days: tuple[Weekday, ...] = Field(
        default=(Weekday.MON, Weekday.TUE, Weekday.WED, Weekday.THU, Weekday.FRI),
        min_length=1,
        max_length=7,
        description="The days on which it works.",
    )
    from_: TimeOfDay = Field(alias="from", description="When it begins on each of them, in the role's time zone.")
    until: TimeOfDay = Field(description="When it ends.")
    otherwise: ObjectName = Field(description="The Responder that is paged at all other times.")


class ResponderSpec(ApiModel):
    """Who fills the role, when, and how they are reached."""

    members: Annotated[tuple[Member, ...], Field(json_schema_extra=keyed("user"))] = Field(
        min_length=1,
        max_length=50,
        description="The people; only they may decide for this role. Without a rotation the first is on duty.",
    )
    channels: Annotated[tuple[Channel, ...], Field(json_schema_extra=keyed("name"))] = Field(
        default=(),
        max_length=8,
        description="How they are told, in order: the next is tried when one has not accepted within a minute.",
    )
    deputies: tuple[Word, ...] = Field(
        default=(),
        max_length=50,
        description="The members who stand in, by user name, in order: for one who is absent, and for one who does not"
        " acknowledge.",
    )
    time_zone: Word = Field(
        default="UTC", description="The IANA time zone of the rotation and of the working hours, as Europe/Berlin."
    )
    rotation: Rotation | None = Field(default=None, description="Who is on duty in which week.")
    working_hours: WorkingHours | None = Field(
        default=None, description="When the role is paged itself. Default: always."
    )
    escalate_to: ObjectName | None = Field(
        default=None, description="The Responder that is paged while every member is absent."
    )


class ResponderStatus(ApiModel):
    """What Tocsin made of the role."""

    observed_generation: int | None = Field(default=None, description="The generation that this was said of.")
    on_duty: Text | None = Field(default=None, description="Who is paged now.")
    until: Time | None = Field(default=None, description="When somebody else is; absent when that is not foreseen.")
    conditions: Annotated[tuple[Condition, ...], Field(json_schema_extra=keyed("type"))] = Field(
        default=(), max_length=4, description="Ready: the role can be reached. Staffed: somebody is there this week."
    )


class Responder(ApiModel):
    """A role in the escalation: its people, when they are on duty, and their channels."""

    api_version: Literal["tocsin.dev/v1alpha1"] = API_VERSION
    kind: Literal["Responder"] = "Responder"
    metadata: Metadata = Metadata()
    spec: ResponderSpec = Field(description="The role.")
    status: ResponderStatus = Field(default=ResponderStatus(), description="What Tocsin made of it.")
