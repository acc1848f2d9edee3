"""Which pages need not be sent, because another one has just asked the same of the same person."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from tocsin.api.incident import EffectRecord, EffectState, Incident
from tocsin.api.objects import Severity
from tocsin.api.policy import Rules
from tocsin.decide.ledger import parts_of
from tocsin.decide.plan import Notify

FOLD = timedelta(minutes=10)
"""So long a page that was accepted stands for those of other models of its policy; up to SEV3 the settings say."""
STORM = timedelta(minutes=2)
"""What begins within so long of a page belongs to one storm, whichever policies of the namespace it is about."""
ASKED = frozenset({"TierEntered", "DeputyPaged", "AcknowledgementExpired", "OnItsOwn"})
"""The causes by which somebody is paged who is not at work on it."""
QUIET = frozenset({"Contained", "Rehearsed", "Flapping", "Steady", "Recovered", "Resolved"})
"""The causes that ask for nothing: who was not paged for an incident does not hear of these."""
DEPUTY = ":deputy"
"""At the end of a role's name in the ledger: whoever was paged because nobody had acknowledged."""
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
    upstream: tuple[str, ...] = ()
    """What the model depends on, as its policy names it."""
    rank: tuple[int, bool] = (0, False)
    """The place of the tier among the policy's, and whether the deputy is asked: what is higher is an escalation."""

    @property
    def reader(self) -> str:
        """Who is told, whatever the role; the role's own channels where nobody of it is there."""
        return self.to.partition("/")[2] or self.to

    @property
    def is_mild(self) -> bool:
        """Whether it is SEV3 or SEV4."""
        return not self.severity.at_least(Severity.SEV2)

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


def page_of(policy: str, effect: Notify, rules: Rules | None = None) -> Page | None:
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
        upstream=rules.model.upstream if rules else (),
        rank=_rank(rules, effect.key),
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
        upstream=incident.rules.model.upstream if incident.rules else (),
        rank=_rank(incident.rules, record.key),
    )
    return page, record.done_time


def _rank(rules: Rules | None, key: str) -> tuple[int, bool]:
    name = parts_of(key)[1]
    names = [tier.name for tier in rules.tiers] if rules else []
    tier = name.partition(".")[0]
    return (names.index(tier) if tier in names else len(names), name.endswith(DEPUTY))


def folded_in(incident: Incident) -> dict[str, str]:
    """By what belongs together at a pager: of whom nothing was opened there, the incident whose page stands for it."""
    found: dict[str, str | None] = {}
    for record in incident.status.effects:
        kind, name, _ = parts_of(record.key)
        if kind == "notify" and (record.into or matters(record.causes)) and record.state is not EffectState.SILENCED:
            known = found.get(name, record.into)
            found[name] = record.into if known else None
    return {f"{incident.metadata.uid}/{name}": into for name, into in found.items() if into}


def covers(told: Page, accepted_at: datetime | None, page: Page, every: timedelta = FOLD) -> bool:
    """Whether a page that was accepted, or is on its way, stands for another one too.

    Never for one of its own incident, never for a worse one. At SEV3 and SEV4 it is the person that counts, in whatever
    role: within ``every`` one page stands for all of the same cause, but for an escalation.
    """
    if told.uid == page.uid or (told.namespace, told.reader) != (page.namespace, page.reader):
        return False
    if page.matters[0] not in told.matters or not told.severity.at_least(page.severity):
        return False
    lately = accepted_at is None or page.intended_at < accepted_at + (every if page.is_mild else FOLD)
    if told.to == page.to and (told.policy, told.name) == (page.policy, page.name):
        return lately
    if page.is_mild and lately and _one_cause(told, page) and told.rank >= page.rank:
        return True
    return told.to == page.to and abs(page.intended_at - told.intended_at) < STORM


def _one_cause(told: Page, page: Page) -> bool:
    """Whether two are of one policy, or the same lies upstream of both."""
    return told.policy == page.policy or bool(set(told.upstream).intersection(page.upstream))
