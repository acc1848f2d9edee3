"""What a decision asks for: a status to write, effects to do, and when to look again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from tocsin.api.incident import IncidentStatus
from tocsin.api.objects import clip
from tocsin.decide.situation import Proposal


@dataclass(frozen=True, slots=True)
class Contain:
    """Carry out a proposal, or rehearse it."""

    key: str
    """``<incident uid>/<episode>/contain/<option>/<attempt>``; also the mark on the target."""
    proposal: Proposal
    dry_run: bool = False
    """Send everything with dryRun=All; nothing is written."""


@dataclass(frozen=True, slots=True)
class Undo:
    """Take back what a containment wrote, if it is still there: a person has decided so, and no brake keeps it."""

    key: str
    """``<incident uid>/<episode>/undo/<option>/<attempt>``; also the mark on the target."""
    proposal: Proposal
    """The containment's, turned round: from what it wrote to what was there before."""

    @property
    def marks(self) -> str:
        """How the keys of the incident's episode begin: what they mark is its own."""
        uid, episode, _ = self.key.split("/", 2)
        return f"{uid}/{episode}/"


@dataclass(frozen=True, slots=True)
class Notice:
    """One message to one role, in plain text that reads well."""

    key: str
    """``<incident uid>/<episode>/notify/<tier>.<responder>/<n>``, the receiver's dedup key; ``:deputy`` follows the
    responder when it is for the deputy, and ``:clock`` when it is about legal clocks.
    About rules: ``<policy uid>/attestation/…``."""
    namespace: str
    incident: str
    """Empty in a notice about the rules of a policy, as are ``model`` and ``severity``."""
    model: str
    severity: str
    responder: str
    """The role whose channels are used: the one that the tier names, or one that stands in for it."""
    cause: str
    """Why they are told, in words out of TierEntered, DeputyPaged, AcknowledgementExpired, OnItsOwn, ApprovalNeeded,
    Contained, NotContained, CannotTell, Reverted, Undone, NotUndone, Rehearsed, GlassBroken, Unapproved, Classified,
    HandOver, HandedOver, Missed, Flapping, Steady, Recovered, Resolved; several are joined by a space. About legal
    clocks: ClockStarted, ClockAsked, ClockMoved, ClockDeclined, ClockSubmitted, ClockWarned, ClockUndetermined,
    ClockMissed. About rules: RulesLoosened or PolicyRemoved. About messages: MessageDrafted to those who must approve,
    or MessageReleased, which is the message itself."""
    subject: str
    text: str
    command: str
    """What to do next, as a command that can be pasted; empty when there is nothing to do."""
    person: str = ""
    """The user name of who is told there; empty when nobody of the role is there, and its own channels must do."""
    resolves: bool = False
    """Whether the receiver may close what it opened for this incident."""
    dedup: str = ""
    """``<incident uid>/<tier>.<responder>``: what belongs together at a pager, for example its incident."""
    policy: str = ""
    """The policy whose rules it is about; empty in a notice about an incident."""
    exact: bool = False
    """Whether subject and text go out as they are, to the last byte, or not at all: they were approved so."""

    @property
    def to(self) -> str:
        """Whom it goes to: the role, and who is told there."""
        return clip(f"{self.responder}/{self.person}" if self.person else self.responder, 253)


@dataclass(frozen=True, slots=True)
class Notify:
    """Tell a role: its channels in order, until one has accepted."""

    key: str
    notice: Notice
    intended_at: datetime


@dataclass(frozen=True, slots=True)
class Draft:
    """Draft a message from a template: it is made once, under a name that follows from what it is made for."""

    key: str
    """``<incident uid>/<episode>/message/<rule>/<n>``."""
    name: str
    """The Message's."""
    template: str
    """In the policy's namespace, or else in the operator's."""


Effect = Contain | Undo | Notify | Draft


@dataclass(frozen=True, slots=True)
class Event:
    """A Kubernetes Event about the incident."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do about one incident now; planning again without new facts gives the same status and no new effects."""

    status: IncidentStatus
    effects: tuple[Effect, ...] = ()
    """May be done only after the status, which holds their intents, was accepted."""
    events: tuple[Event, ...] = ()
    look_again_at: datetime | None = None
    needs_budget: bool = False
    """Room in the blast-radius budget must be reserved first: reserve it and decide again."""
