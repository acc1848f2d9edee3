"""What people decide on one message: whether it counts, and whether the words may go out then."""

from __future__ import annotations

from dataclasses import dataclass

from tocsin.api.decision import Decision, DecisionType
from tocsin.api.message import (
    CLOSED,
    Message,
    MessageApproval,
    MessageDecision,
    MessageState,
    MessageStatus,
    Part,
    PartState,
    Rejection,
    Release,
)
from tocsin.api.objects import clip
from tocsin.decide.message_situation import MessageSituation, made_at, release_key, unheard, voices_of
from tocsin.decide.message_state import (
    INSIDE,
    all_by_editors,
    is_given_up,
    lacks_eyes,
    rejection_of,
    state_of,
    told_of,
    unreleasable,
)
from tocsin.decide.people import bounded
from tocsin.decide.quorum import Voice, lacking, same_person, voice_of
from tocsin.decide.roster import fills
from tocsin.decide.situation import Trust

HEARD, MOST = 30, 48
"""So many Decisions stay on record; more only while they are fresh."""
REJECTIONS = 16


def hear_people(s: MessageSituation, status: MessageStatus) -> MessageStatus:
    """Judge each Decision once; while nobody vouches for their authors none is heard."""
    if s.trust is not Trust.TRUSTED:
        return status
    for decision in unheard(s.message, s.decisions):
        verdict = _judge(s, status, decision)
        status = verdict.status
        record = MessageDecision(
            uid=decision.metadata.uid,
            name=decision.metadata.name,
            type=decision.spec.type,
            by=decision.spec.by,
            time=made_at(decision),
            counted=verdict.counted,
            message=clip(verdict.message, 300),
        )
        records, through = bounded(
            (*status.decisions, record), status.decisions_through, s.now, heard=HEARD, most=MOST - 1
        )
        status = status.model_copy(update={"decisions": records, "decisions_through": through})
        if verdict.counted:
            status = told_of(status, s.now, f"{decision.spec.by}: {decision.spec.type}: {verdict.message}")
    return status


@dataclass(frozen=True, slots=True)
class _Verdict:
    status: MessageStatus
    counted: bool
    message: str


def _judge(s: MessageSituation, status: MessageStatus, decision: Decision) -> _Verdict:
    state, spec = state_of(s, status), decision.spec
    refusal = _void(s, status, state, decision)
    if refusal:
        return _Verdict(status, counted=False, message=refusal)
    match spec.type:
        case DecisionType.APPROVE_MESSAGE:
            return _approve(s, status, decision)
        case DecisionType.REJECT_MESSAGE:
            return _reject(s, status, decision)
        case _:
            return _release(s, status, decision)


def _void(s: MessageSituation, status: MessageStatus, state: MessageState, decision: Decision) -> str:
    """Why a Decision cannot count, whatever it says; empty when it can."""
    created, drafted = made_at(decision), s.message.metadata.creation_timestamp
    if s.trusted_since is not None and created < s.trusted_since:
        return "void: it is older than the admission policy that vouches for its author"
    if drafted is not None and created < drafted:
        return "void: it is older than the message"
    if status.flaw:
        return f"it is never released: {status.flaw}"
    if state in CLOSED and not (state is MessageState.PERHAPS_RELEASED and is_given_up(status)):
        return f"the message is {state} already"
    if decision.spec.digest != status.digest:
        return f"these are not the words any more: read them again, and use the digest {status.digest}"
    if (rejected := rejection_of(status)) is not None:
        return f"{rejected.by} has rejected these words, for good: edit them"
    return ""


def _approve(s: MessageSituation, status: MessageStatus, decision: Decision) -> _Verdict:
    asked, by = s.message.spec.terms.approvals, decision.spec.by
    voice, given = voice_of(s.roster, by, asked, s.now), voices_of(status)
    refusal = _unapprovable(s, voice, given, asked)
    if refusal:
        return _Verdict(status, counted=False, message=refusal)
    approval = MessageApproval(
        by=by,
        roles=voice.roles,
        standing_in_for=voice.standing_in_for,
        time=s.now,
        decision=decision.metadata.name,
    )
    changed = status.model_copy(update={"approvals": (*status.approvals, approval)})
    left = lacking(asked, (*given, voice))
    message = f"approved; it still needs {', '.join(left)}" if left else "approved by all who were asked"
    return _Verdict(changed, counted=True, message=message)


def _unapprovable(s: MessageSituation, voice: Voice, given: tuple[Voice, ...], asked: tuple[str, ...]) -> str:
    if not asked:
        return "this message needs no approval: release it"
    if not voice.roles:
        return f"{voice.by} is a member of none of {', '.join(asked)}, nor of a role that stands in for one"
    if before := same_person(s.roster, voice, given):
        return f"{before.by} has approved already: another person is needed, whether deputy or not"
    left = lacking(asked, given)
    after = lacking(asked, (*given, voice))
    if len(after) == len(left):
        return f"{', '.join(voice.roles)} approved already; it needs {', '.join(left) or 'nobody'}"
    if not after and all_by_editors(s, (*given, voice)):
        return f"{voice.by} has edited these words: somebody who has not must be among those who approve"
    return ""


def _reject(s: MessageSituation, status: MessageStatus, decision: Decision) -> _Verdict:
    asked, by = s.message.spec.terms.approvals, decision.spec.by
    if asked and not any(fills(s.roster, by, role) for role in asked):
        return _Verdict(status, counted=False, message=f"{by} is a member of none of {', '.join(asked)}")
    rejection = Rejection(
        digest=decision.spec.digest or "", by=by, time=s.now, reason=clip(decision.spec.reason or "", 300)
    )
    rejections = (*status.rejections, rejection)[-REJECTIONS:]
    changed = status.model_copy(update={"rejections": rejections, "approvals": ()})
    return _Verdict(changed, counted=True, message="rejected these words, for good")


def _release(s: MessageSituation, status: MessageStatus, decision: Decision) -> _Verdict:
    spec = s.message.spec
    if refusal := unreleasable(spec):
        return _Verdict(status, counted=False, message=refusal)
    names: tuple[str, ...] = ()
    left = lacking(spec.terms.approvals, voices_of(status))
    if left or lacks_eyes(s, status):
        names, why = _standing(s)
        if why:
            lacks = f"it still needs the approval of {', '.join(left)}" if left else "only its editors have approved it"
            return _Verdict(status, counted=False, message=f"{lacks}; no standing approval: {why}")
    release = Release(
        digest=status.digest or "",
        by=decision.spec.by,
        decision=decision.metadata.name,
        under="StandingApproval" if names else "Approval",
        authorisations=names,
        intended_time=s.now,
        parts=_parts(s.message, status),
    )
    under = f"under standing approval ({', '.join(names)})" if names else "as approved"
    return _Verdict(status.model_copy(update={"release": release}), counted=True, message=f"released {under}")


def _parts(message: Message, status: MessageStatus) -> tuple[Part, ...]:
    """The deliveries; what was perhaps taken before stays so under the same key."""
    key = release_key(message, status.digest or "")
    doubtful = (
        {part.key for part in status.release.parts if part.state is PartState.PERHAPS} if status.release else set()
    )
    targets = [(key, "sender")]
    if message.spec.audience in INSIDE:
        languages = [one.language for one in message.spec.texts]
        targets = [(f"{key}/{role}.{language}", role) for role in message.spec.terms.to for language in languages]
    return tuple(
        Part(key=one, to=to, state=PartState.PERHAPS if one in doubtful else PartState.INTENDED) for one, to in targets
    )


def _standing(s: MessageSituation) -> tuple[tuple[str, ...], str]:
    """The AuthoriseMessage Decisions under which these words may go out, or why there are none.

    They cover what the operator drafted from that very template, and of which only what they let vary rests on the
    incident; a word that a person wrote is covered by none.
    """
    spec, asked = s.message.spec, s.message.spec.terms.approvals
    if spec.edited_by:
        return (), f"the words were edited by {', '.join(spec.edited_by)}"
    if s.trust is not Trust.TRUSTED:
        return (), f"nobody vouches for its authors: the admission policy is {s.trust.value}"
    voices: list[Voice] = []
    names: list[str] = []
    for decision in sorted(s.authorisations, key=lambda one: (made_at(one), one.metadata.name)):
        voice = voice_of(s.roster, decision.spec.by, asked, s.now)
        if not _covers(s, decision) or not voice.roles or same_person(s.roster, voice, voices):
            continue
        if len(lacking(asked, (*voices, voice))) < len(lacking(asked, voices)):
            voices.append(voice)
            names.append(decision.metadata.name)
    if left := lacking(asked, voices):
        return (), f"none holds for {', '.join(left)} that lets {', '.join(spec.varying) or 'nothing'} vary"
    return tuple(names), ""


def _covers(s: MessageSituation, decision: Decision) -> bool:
    """Whether a standing approval holds now, and lets everything vary on which these words rest."""
    reference, spec = s.message.spec.template_ref, decision.spec
    return (
        spec.type is DecisionType.AUTHORISE_MESSAGE
        and spec.template_ref is not None
        and spec.template_ref.uid == reference.uid
        and spec.digest == reference.digest
        and spec.expire_time is not None
        and spec.expire_time > s.now
        and (s.trusted_since is None or made_at(decision) >= s.trusted_since)
        and set(s.message.spec.varying) <= set(spec.varying or ())
    )
