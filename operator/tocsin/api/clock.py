"""Legal clocks: what a policy asks to be watched, and what an incident says of each."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from tocsin.api.objects import ApiModel, Digest, Label, ObjectName, Text, Word
from tocsin.api.quantities import Duration, Time

Calendar = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9]{1,4}(-[A-Z0-9]{1,3})?$", max_length=9)]
CLOCKS = 12
"""So many clocks may a policy ask for; those that follow another by themselves come on top."""
WITH_FOLLOWERS = 16


class AnchorType(StrEnum):
    """The facts from whose instants laws count."""

    AWARE = "Aware"
    SUSPECTED = "Suspected"
    DISCOVERED = "Discovered"
    DETERMINED = "Determined"
    CLASSIFIED = "Classified"
    MATERIAL = "Material"
    SUBMITTED = "Submitted"


class Anchor(ApiModel):
    """When a fact was so that a clock counts from; it may lie in the past, never in the future."""

    type: AnchorType = Field(
        description="Which fact. Submitted: the report before was; such a clock starts by itself and can be moved."
    )
    time: Time = Field(description="When it was so.")


class PolicyClock(ApiModel):
    """A legal clock about which people must decide when an incident opens."""

    preset: Label = Field(description="Which one: docs/how-to/clocks.md lists them.")
    determine_within: Duration | None = Field(
        default=None,
        description="How long people have to start or to decline it. Default: a quarter of the clock's own span, at"
        " least 15m and at most 24h.",
    )
    calendar: Calendar | None = Field(
        default=None,
        description="Whose business days count: a country (US), one with a subdivision (DE-BY), or a financial market"
        " (NYSE, ECB). Required where the preset counts business days, refused elsewhere.",
    )


class ClockAcceptance(ApiModel):
    """What an AcceptClock Decision must name to accept a clock, and who did."""

    name: Label = Field(description="The clock.")
    evidence: Word = Field(
        description="On what its numbers rest: P read in a primary text, S in a secondary one, M remembered. All but P"
        " need somebody's acceptance."
    )
    digest: Digest = Field(description="The digest of the preset's data, that an AcceptClock Decision binds to.")
    accepted_by: Word | None = Field(default=None, description="Who accepted it.")
    accepted_time: Time | None = Field(default=None, description="When.")


class ClockState(StrEnum):
    """How far a clock is."""

    UNDETERMINED = "Undetermined"
    DECLINED = "Declined"
    RUNNING = "Running"
    MISSED = "Missed"
    SUBMITTED = "Submitted"


class ClockAnchor(Anchor):
    """An anchor, and who said so."""

    by: Word = Field(description="Who said so.")


class ClockVerdict(ApiModel):
    """One of the two persons who decline a clock."""

    by: Word = Field(description="Who declined it.")
    standing_in_for: tuple[Word, ...] = Field(
        default=(), max_length=8, description="For whom they stood in then: they count as these as well."
    )
    time: Time = Field(description="When.")
    reason: Annotated[str, StringConstraints(max_length=200)] = Field(description="Why, cut; the Decision has it all.")
    decision: ObjectName = Field(description="The Decision's name.")


class ClockMove(Anchor):
    """An anchor that somebody wants to move later, which another person must confirm."""

    by: Word = Field(description="Who asks.")
    standing_in_for: tuple[Word, ...] = Field(default=(), max_length=8, description="For whom they stood in then.")
    asked_time: Time = Field(description="When.")


class ClockMoved(ApiModel):
    """An anchor that was moved; the old value stays on record."""

    type: AnchorType = Field(description="Which.")
    from_: Time | None = Field(default=None, alias="from", description="Where it was; absent: it was added.")
    to: Time = Field(description="Where it is.")
    deadline: Time = Field(description="The deadline before.")
    by: Word = Field(description="Who moved it.")
    confirmed_by: Word | None = Field(default=None, description="Who confirmed a later one.")
    time: Time = Field(description="When.")


class Submission(ApiModel):
    """That a report was submitted, by a person, outside of Tocsin."""

    by: Word = Field(description="Who recorded it.")
    time: Time = Field(description="When it was submitted.")
    receipt: Word = Field(description="What whoever received it gave for it.")


class ClockStatus(ApiModel):
    """One legal clock of an incident."""

    name: Label = Field(description="The preset.")
    family: Label = Field(description="What belongs together; of one family the shortest deadline stands first.")
    citation: Word = Field(description="Where the law says so.")
    state: ClockState = Field(description="How far it is. Missed: its deadline has passed, and it is still owed.")
    episode: int = Field(default=1, description="In which episode people were asked about it.")
    acceptance: Literal["NotNeeded", "Missing", "Accepted"] = Field(
        default="NotNeeded", description="Whether somebody has accepted its numbers, where their evidence needs it."
    )
    calendar: Calendar | None = Field(default=None, description="Whose business days count.")
    determine_deadline: Time | None = Field(default=None, description="Until when it must be started or declined.")
    overdue: bool = Field(default=False, description="Nobody has decided by then, and the next tier was asked.")
    declines: tuple[ClockVerdict, ...] = Field(
        default=(), max_length=2, description="Who declined it: it takes two persons."
    )
    anchors: Annotated[
        tuple[ClockAnchor, ...],
        Field(json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
    ] = Field(default=(), max_length=4, description="From what it counts.")
    counted_from: Time | None = Field(default=None, description="The anchor that its deadline counts from.")
    deadline: Time | None = Field(default=None, description="Until when it must be submitted.")
    warned: int = Field(default=0, description="The last warning: 50, 75 or 90 percent of its span; 0 before.")
    missed_time: Time | None = Field(default=None, description="When it was first found missed.")
    moving: ClockMove | None = Field(default=None, description="A later anchor that waits for a second person.")
    moved: tuple[ClockMoved, ...] = Field(
        default=(), max_length=3, description="The first move and the last two; Decisions and timeline have them all."
    )
    submitted: Submission | None = Field(default=None, description="Who submitted it, and for what receipt.")
    note: Text = Field(default="", description="What whoever relies on its deadline should know.")
