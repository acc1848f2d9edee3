"""What people decided: each Decision is heard once, counts or is refused with a reason, and stays on record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from tocsin.api.decision import Decision, DecisionType
from tocsin.api.incident import DecisionRecord, Held, IncidentStatus
from tocsin.api.objects import clip
from tocsin.decide.approval import answer, break_glass
from tocsin.decide.closing import classify, lower, resolve
from tocsin.decide.determining import decline_clock, mark_submitted, move_clock, start_clock
from tocsin.decide.handing import accept, hand_over
from tocsin.decide.questions import answer_question
from tocsin.decide.situation import Situation, Trust
from tocsin.decide.standing import Verdict, tiers_of
from tocsin.decide.story import tell
from tocsin.decide.tiers import enter, next_after
from tocsin.decide.undoing import too_late, undo

HEARD = 40
LATE = timedelta(minutes=10)
"""So long a Decision may take from its creation to us before it is taken for one that was heard and dropped."""
MOST = 90
"""More records there are not, however quickly people decide."""
_ELSEWHERE = (
    DecisionType.AUTHORISE,
    DecisionType.ATTEST,
    DecisionType.ACCEPT_CLOCK,
    DecisionType.APPROVE_MESSAGE,
    DecisionType.REJECT_MESSAGE,
    DecisionType.RELEASE_MESSAGE,
    DecisionType.AUTHORISE_MESSAGE,
)
"""About a policy or a message, and judged there."""
_ABOUT_CLOCKS = (
    DecisionType.START_CLOCK,
    DecisionType.DECLINE_CLOCK,
    DecisionType.MOVE_CLOCK,
    DecisionType.MARK_SUBMITTED,
)
"""What goes on after an incident is resolved."""
_OWN_ROSTER = (DecisionType.ACCEPT, DecisionType.DECIDE, *_ABOUT_CLOCKS)
"""What others than the people of the tiers may be asked for."""
WORDS = 200
"""So many characters of a reason stand in the record; all of them stand in the Decision."""


class Dated(Protocol):
    """What became of something at an instant."""

    @property
    def time(self) -> datetime:
        """When."""
        ...


Record = TypeVar("Record", bound=Dated)


def hear(s: Situation, status: IncidentStatus) -> IncidentStatus:
    """Apply the Decisions that were not heard yet, in the order of their creation.

    While the admission policies are not there unchanged nothing is heard: nobody vouches for who wrote it.
    """
    if s.trust is not Trust.TRUSTED:
        return status
    for decision in sorted(unheard(s.decisions, status), key=lambda one: (_created(one), one.metadata.name)):
        verdict = _judge(s, status, decision)
        status = _record(verdict, decision, s.now)
    return status


def unheard(decisions: Iterable[Decision], status: IncidentStatus) -> list[Decision]:
    """Those about the incident that were not judged yet."""
    heard = {record.uid for record in status.decisions}
    return [
        decision
        for decision in decisions
        if decision.spec.type not in _ELSEWHERE
        and decision.metadata.uid not in heard
        and not _forgotten(decision, status)
    ]


def authorisation(s: Situation, option: str, digest: str | None) -> Decision | None:
    """The standing authorisation of an option that holds now; admission saw to the right."""
    if s.trust is not Trust.TRUSTED:
        return None
    trusted = (one for one in s.decisions if s.trusted_since is None or _created(one) >= s.trusted_since)
    return authorised(trusted, s.incident.spec.policy_ref.uid, option, digest, s.now)


def authorised(
    decisions: Iterable[Decision], policy_uid: str | None, option: str, digest: str | None, now: datetime
) -> Decision | None:
    """The oldest of these by which an option may run by itself.

    It is bound to the option's digest and to the policy's UID: a policy of the same name that was made anew needs its
    own.
    """
    if digest is None:
        return None
    return next(
        (
            decision
            for decision in sorted(decisions, key=lambda one: (_created(one), one.metadata.name))
            if decision.spec.type is DecisionType.AUTHORISE
            and decision.spec.option == option
            and decision.spec.digest == digest
            and decision.spec.policy_ref is not None
            and decision.spec.policy_ref.uid == policy_uid
            and decision.spec.expire_time is not None
            and decision.spec.expire_time > now
        ),
        None,
    )


def _created(decision: Decision) -> datetime:
    created = decision.metadata.creation_timestamp
    assert created is not None, "the API server stamps every object"
    return created


def _forgotten(decision: Decision, status: IncidentStatus) -> bool:
    return status.decisions_through is not None and _created(decision) <= status.decisions_through


def _judge(s: Situation, status: IncidentStatus, decision: Decision) -> Verdict:
    refusal = _void(s, status, decision)
    if refusal:
        return Verdict(status, counted=False, message=refusal)
    if status.resolved_time and decision.spec.type not in _ABOUT_CLOCKS:
        late = decision.spec.type is DecisionType.UNDO
        why = too_late(s, status, decision) if late else "the incident is resolved"
        return Verdict(status, counted=False, message=why)
    match decision.spec.type:
        case DecisionType.NOTE:
            return Verdict(status, counted=True, message="noted")
        case type_:
            return _JUDGES[type_](s, status, decision)


def _hold(s: Situation, status: IncidentStatus, decision: Decision) -> Verdict:
    if decision.spec.type is DecisionType.HOLD:
        held = Held(by=decision.spec.by, time=s.now, reason=decision.spec.reason or "")
        return Verdict(status.model_copy(update={"held": held}), counted=True, message="automation is on hold")
    if status.held is None:
        return Verdict(status, counted=False, message="nothing is on hold")
    return Verdict(status.model_copy(update={"held": None}), counted=True, message="automation goes on")


def _void(s: Situation, status: IncidentStatus, decision: Decision) -> str:
    """Why a Decision cannot count, whatever it says; empty when it can."""
    created, opened = _created(decision), s.incident.metadata.creation_timestamp
    reference = decision.spec.incident_ref
    if s.trusted_since is not None and created < s.trusted_since:
        return "void: it is older than the admission policy that vouches for its author"
    if opened is not None and created < opened:
        return "void: it is older than the incident"
    if reference is not None and reference.uid not in (None, s.incident.metadata.uid):
        return f"void: its incidentRef.uid {reference.uid} is not this incident's"
    if decision.spec.type not in _OWN_ROSTER and not tiers_of(s, status, decision.spec.by):
        return (
            f"{decision.spec.by} is a member of no Responder that is accountable or responsible in this policy's tiers"
        )
    return ""


def _acknowledge(s: Situation, status: IncidentStatus, decision: Decision) -> Verdict:
    mine = tiers_of(s, status, decision.spec.by)
    fresh = [tier.name for tier in status.tiers if tier.name in mine and tier.acknowledged_time is None]
    if not fresh:
        entered = any(tier.name in mine for tier in status.tiers)
        why = "your tier is acknowledged already" if entered else f"tier {', '.join(sorted(mine))} was not entered yet"
        return Verdict(status, counted=False, message=why)
    tiers = tuple(
        tier.model_copy(update={"acknowledged_by": decision.spec.by, "acknowledged_time": s.now})
        if tier.name in fresh
        else tier
        for tier in status.tiers
    )
    return Verdict(
        status.model_copy(update={"tiers": tiers}), counted=True, message=f"acknowledged tier {', '.join(fresh)}"
    )


def _escalate(s: Situation, status: IncidentStatus, decision: Decision) -> Verdict:
    wanted = decision.spec.tier or next_after(s.rules, status)
    if wanted is None:
        return Verdict(status, counted=False, message="the last tier was entered already")
    if wanted not in {tier.name for tier in s.rules.tiers}:
        return Verdict(status, counted=False, message=f"the policy has no tier {wanted}")
    if any(tier.name == wanted for tier in status.tiers):
        return Verdict(status, counted=False, message=f"tier {wanted} was entered already")
    entered = enter(s, status, wanted, f"escalated by {decision.spec.by}: {decision.spec.reason}")
    return Verdict(entered, counted=True, message=f"entered tier {wanted}")


_JUDGES: Mapping[DecisionType, Callable[[Situation, IncidentStatus, Decision], Verdict]] = {
    DecisionType.ACKNOWLEDGE: _acknowledge,
    DecisionType.APPROVE: answer,
    DecisionType.REJECT: answer,
    DecisionType.BREAK_GLASS: break_glass,
    DecisionType.ESCALATE: _escalate,
    DecisionType.LOWER: lower,
    DecisionType.CLASSIFY: classify,
    DecisionType.HAND_OVER: hand_over,
    DecisionType.ACCEPT: accept,
    DecisionType.DECIDE: answer_question,
    DecisionType.HOLD: _hold,
    DecisionType.RESUME: _hold,
    DecisionType.UNDO: undo,
    DecisionType.RESOLVE: resolve,
    DecisionType.START_CLOCK: start_clock,
    DecisionType.DECLINE_CLOCK: decline_clock,
    DecisionType.MOVE_CLOCK: move_clock,
    DecisionType.MARK_SUBMITTED: mark_submitted,
}
"""Of each type about an incident: who says whether it counts, and what it leads to."""


def _record(verdict: Verdict, decision: Decision, now: datetime) -> IncidentStatus:
    record = DecisionRecord(
        uid=decision.metadata.uid,
        name=decision.metadata.name,
        type=decision.spec.type,
        by=decision.spec.by,
        time=_created(decision),
        counted=verdict.counted,
        message=clip(verdict.message, WORDS),
        reason=clip(decision.spec.reason or "", WORDS),
        note=decision.spec.note.digest if decision.spec.note else None,
    )
    records, through = bounded((*verdict.status.decisions, record), verdict.status.decisions_through, now)
    word = "" if verdict.counted else " (did not count)"
    because = f" — {decision.spec.reason}" if decision.spec.reason else ""
    status = verdict.status.model_copy(update={"decisions": records, "decisions_through": through})
    return tell(status, now, [f"{decision.spec.by}: {decision.spec.type}{word}: {verdict.message}{because}"])


def bounded(
    records: Sequence[Record], through: datetime | None, now: datetime, *, heard: int = HEARD, most: int = MOST
) -> tuple[tuple[Record, ...], datetime | None]:
    """Past the bound old ones are dropped, and the instant is kept up to which all were heard."""
    if len(records) <= heard:
        return tuple(records), through
    by_age = sorted(records, key=lambda record: record.time)
    dropped = [
        one
        for place, one in enumerate(by_age[: len(records) - heard])
        if one.time < now - LATE or place < len(records) - most
    ]
    if not dropped:
        return tuple(records), through
    return tuple(by_age[len(dropped) :]), max(record.time for record in dropped)
