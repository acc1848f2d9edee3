"""Everything that a decision about one message may look at, and what it may ask for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from tocsin.api.decision import Decision, DecisionType
from tocsin.api.message import Message, MessageStatus, PartState
from tocsin.api.template import MessageTemplate
from tocsin.decide.plan import Event, Notify
from tocsin.decide.quorum import Voice
from tocsin.decide.rendering import RenderedText, digest_of
from tocsin.decide.roster import Roster
from tocsin.decide.situation import Outcome, Trust

_ACTS = (DecisionType.APPROVE_MESSAGE, DecisionType.REJECT_MESSAGE, DecisionType.RELEASE_MESSAGE)


@dataclass(frozen=True, slots=True)
class Sending:
    """What is known of one delivery, by whoever carries it out."""

    key: str
    state: PartState
    at: datetime
    message: str
    over: bool = False
    """Whether nothing more is tried by itself."""


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Hand the words to the organisation's sender: once, under one key."""

    key: str
    namespace: str
    message: str
    """The Message's name."""
    secret: str
    audience: str
    phase: str
    digest: str
    incident_uid: str
    texts: tuple[RenderedText, ...]
    perhaps: bool
    """Whether it was perhaps taken before."""


@dataclass(frozen=True, slots=True)
class MessageSituation:
    """One message and all that bears on it at one instant."""

    now: datetime
    message: Message
    roster: Roster
    decisions: tuple[Decision, ...] = ()
    """All that refer to it."""
    authorisations: tuple[Decision, ...] = ()
    """All of its namespace that authorise its template."""
    template: MessageTemplate | None = None
    """Its template as it is now."""
    trust: Trust = Trust.MISSING
    trusted_since: datetime | None = None
    sendings: Mapping[str, Sending] = field(default_factory=dict)
    """By key: what came of deliveries since the status was last written."""
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    """By key: what came of notices to those who must approve."""

    @property
    def digest(self) -> str:
        """Of the words as they are."""
        return digest_of(words_of(self.message))


@dataclass(frozen=True, slots=True)
class MessagePlan:
    """What to do about a message now; the effects may be done only after the status was accepted."""

    status: MessageStatus
    effects: tuple[Notify | Broadcast, ...] = ()
    events: tuple[Event, ...] = ()


def words_of(message: Message) -> tuple[RenderedText, ...]:
    """The exact words, in their order."""
    return tuple(RenderedText(one.language, one.subject, one.body) for one in message.spec.texts)


def voices_of(status: MessageStatus) -> tuple[Voice, ...]:
    """The approvals as words that count."""
    return tuple(Voice(one.by, one.roles, one.standing_in_for) for one in status.approvals)


def release_key(message: Message, digest: str) -> str:
    """The receiver's Idempotency-Key: the same words of the same message are the same release."""
    return f"{message.metadata.uid}/release/{digest.removeprefix('sha256:')[:16]}"


def made_at(decision: Decision) -> datetime:
    """When the API server took it."""
    created = decision.metadata.creation_timestamp
    assert created is not None, "the API server stamps every object"
    return created


def unheard(message: Message, decisions: Iterable[Decision]) -> list[Decision]:
    """The Decisions about this very message that were not judged yet, the oldest first."""
    status = message.status
    heard, through = {one.uid for one in status.decisions}, status.decisions_through
    fresh = [
        one
        for one in decisions
        if one.spec.type in _ACTS
        and one.spec.message_ref is not None
        and one.spec.message_ref.uid == message.metadata.uid
        and one.metadata.uid not in heard
        and (through is None or made_at(one) > through)
    ]
    return sorted(fresh, key=lambda one: (made_at(one), one.metadata.name))
