"""Which pages need not be sent, because another one has just asked the same of the same person."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from tocsin.api.incident import EffectRecord, EffectState, Incident
from tocsin.api.objects import Severity
from tocsin.decide.ledger import parts_of
from tocsin.decide.plan import Notify

FOLD = timedelta(minutes=10)
"""So long a page that was accepted stands for those of other models of its policy."""
STORM = timedelta(minutes=2)
"""What begins within so long of a page belongs to one storm, whichever policies of the namespace it is about."""
ASKED = frozenset({"TierEntered", "DeputyPaged", "AcknowledgementExpired", "OnItsOwn"})
"""The causes by which somebody is paged who is not at work on it."""
QUIET = frozenset({"Contained", "Rehearsed", "Flapping", "Steady", "Recovered", "Resolved"})
"""The causes that ask for nothing: who was not paged for an incident does not hear of these."""
_PERSONAL = frozenset({"HandOver", "HandedOver"})

Matter = Literal["Look", "GoOn", "Late", "Approve", "ByHand"]
_MATTERS: dict[Matter, frozenset[str]] = {
    "Look": frozenset({"TierEntered", "DeputyPaged", "OnItsOwn"}),
    "GoOn": frozenset({"AcknowledgementExpired"}),
    "Late": frozenset({"Missed"}),
    "Approve": frozenset({"ApprovalNeeded"}),
    "ByHand": frozenset({"NotContained", "CannotTell", "Reverted"}),
}


@dataclass(frozen=True, slots=True)
class Page:
    """A notice that asks somebody for something, as much of it as folding goes by."""

    key: str
    namespace: str
    policy: str
    incident: str
    severity: Severity
    to: str
    """The role, and who is told there."""
    matters: tuple[Matter, ...]
    intended_at: datetime

    @property
    def uid(self) -> str:
        """Of the incident."""
        return self.key.split("/", 1)[0]

    @property
    def name(self) -> str:
        """What the ledger calls the reader: tier, role, and whether it is the deputy."""
        return parts_of(self.key)[1]


def matters(causes: Iterable[str]) -> tuple[Matter, ...]:
    """What a notice asks for that one of another incident may have asked for; the first is what it is about."""
    told = set(causes)
    return () if _PERSONAL & told else tuple(matter for matter, some in _MATTERS.items() if some & told)


def is_quiet(causes: Iterable[str]) -> bool:
    """Whether a notice asks for nothing."""
    return QUIET.issuperset(causes)


def page_of(policy: str, effect: Notify) -> Page | None:
    """What is about to be sent, if it can be folded at all; what closes something cannot."""
    notice = effect.notice
    asked = matters(notice.cause.split())
    if notice.resolves or not asked:
        return None
    return Page(
        key=effect.key,
        namespace=notice.namespace,
        policy=policy,
        incident=notice.incident,
        severity=Severity(notice.severity),
        to=notice.to,
        matters=asked,
        intended_at=effect.intended_at,
    )


def page_in(incident: Incident, record: EffectRecord) -> tuple[Page, datetime] | None:
    """What the ledger says was sent and accepted, and when; None for what it does not say that of."""
    asked = matters(record.causes)
    if record.state is not EffectState.DONE or not (asked and record.to and record.severity and record.done_time):
        return None
    page = Page(
        key=record.key,
        namespace=incident.metadata.namespace,
        policy=incident.spec.policy_ref.name,
        incident=incident.metadata.name,
        severity=record.severity,
        to=record.to,
        matters=asked,
        intended_at=record.intended_time,
    )
    return page, record.done_time


def covers(told: Page, accepted_at: datetime | None, page: Page) -> bool:
    """Whether a page that was accepted, or is on its way, stands for another one too.

    Never for one of its own incident, and never for a worse one.
    """
    if told.uid == page.uid or (told.namespace, told.to) != (page.namespace, page.to):
        return False
    if page.matters[0] not in told.matters or not told.severity.at_least(page.severity):
        return False
    if (told.policy, told.name) == (page.policy, page.name):
        return accepted_at is None or page.intended_at < accepted_at + FOLD
    return abs(page.intended_at - told.intended_at) < STORM
