"""One message at one instant: what its words are, whose word they have, and whether they may go out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from tocsin.api.decision import Decision, DecisionType
from tocsin.api.message import (
    BY_HAND,
    CLOSED,
    Message,
    MessageApproval,
    MessageDecision,
    MessageEvent,
    MessageSpec,
    MessageState,
    MessageStatus,
    MessageText,
    Part,
    PartState,
    Rejection,
    Release,
    Terms,
)
from tocsin.api.objects import Finding, clip, stamp
from tocsin.api.quantities import format_time
from tocsin.api.template import Audience, MessageTemplate, Sender
from tocsin.decide.asking import ask, ask_again, due_asks, note_asks
from tocsin.decide.defaults import digest
from tocsin.decide.people import bounded
from tocsin.decide.plan import Event, Notice, Notify
from tocsin.decide.quorum import Voice, is_one_of, lacking, same_person, voice_of
from tocsin.decide.rendering import RenderedText, digest_of
from tocsin.decide.roster import Roster, fills, on_duty
from tocsin.decide.situation import Outcome, Trust

HEARD, MOST = 30, 48
"""So many Decisions stay on record; more only while they are fresh."""
LINES = 40
REJECTIONS = 16
INSIDE = (Audience.INTERNAL, Audience.EXECUTIVES)
"""Who is told by the Responders' own channels."""
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


@dataclass(frozen=True, slots=True)
class _Verdict:
    status: MessageStatus
    counted: bool
    message: str


def words_of(message: Message) -> tuple[RenderedText, ...]:
    """The exact words, in their order."""
    return tuple(RenderedText(one.language, one.subject, one.body) for one in message.spec.texts)


def plan_message(s: MessageSituation) -> MessagePlan:
    """What became of a message; planning again without new facts gives the same status."""
    before, mine = s.message.status, s.digest
    status = before
    if (
        before.state in CLOSED and before.digest != mine
    ):  # no API server admits it: whatever was written, nothing goes out
        return MessagePlan(_finished(s, before, before))
    if before.digest is None:
        status = status.model_copy(update={"flaw": _flaw(s)})
    if before.digest != mine:
        status = _edited(s, status, mine)
    status = _noted(s, note_asks(status, s.outcomes))
    status = _hear(s, status)
    status = status.model_copy(update={"state": _state(s, status)})
    if status.state is MessageState.DRAFT and not status.flaw:
        status = ask(s.message, status, s.now)
    status = _finished(s, before, status)
    return MessagePlan(status, effects_of(s.message, status, s.roster, s.now), _events(s, before, status))


def effects_of(
    message: Message, status: MessageStatus, roster: Roster, now: datetime
) -> tuple[Notify | Broadcast, ...]:
    """What the status intends and nobody has taken yet; never words other than those that are released."""
    if status.digest != digest_of(words_of(message)):
        return ()
    if status.state is MessageState.DRAFT:
        return tuple(due_asks(message, status, roster, now))
    release = status.release
    if release is None or release.digest != status.digest or status.state not in CLOSED:
        return ()
    waiting = [part for part in release.parts if part.done_time is None]
    if message.spec.audience in INSIDE:
        texts = {f".{one.language}": one for one in message.spec.texts}
        return tuple(
            _told(message, release, part, text, roster, now)
            for part in waiting
            for ending, text in texts.items()
            if part.key.endswith(ending)
        )
    sender = message.spec.terms.sender
    return tuple(_sent(message, part, sender) for part in waiting) if sender else ()


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
        and (through is None or _created(one) > through)
    ]
    return sorted(fresh, key=lambda one: (_created(one), one.metadata.name))


def is_over(status: MessageStatus) -> bool:
    """Whether nothing is left to do but to hear people."""
    return status.digest is not None and status.state not in (MessageState.DRAFT, MessageState.RELEASING)


def voices_of(status: MessageStatus) -> tuple[Voice, ...]:
    """The approvals as words that count."""
    return tuple(Voice(one.by, one.roles, one.standing_in_for) for one in status.approvals)


# --- the words


def _flaw(s: MessageSituation) -> str:
    """Why a message that a person had drafted is not what its template asks for; empty when it is."""
    spec, template = s.message.spec, s.template
    if not spec.key.startswith(BY_HAND):
        return ""
    if template is None or template.metadata.uid != spec.template_ref.uid:
        return "its template is not there: have it drafted anew"
    if digest(template.spec.dump()) != spec.template_ref.digest:
        return "its template was another one already: have it drafted anew"
    if (spec.audience, spec.phase) != (template.spec.audience, template.spec.phase):
        return f"its template is for {template.spec.audience}, phase {template.spec.phase}: have it drafted anew"
    if spec.terms != Terms.of(template.spec):
        return "its terms are not those of its template: have it drafted anew"
    return ""


def _edited(s: MessageSituation, status: MessageStatus, mine: str) -> MessageStatus:
    """Other words: what was approved is void, and whoever had judged is asked anew."""
    if status.digest is None:
        return _tell(
            status.model_copy(update={"digest": mine}), s.now, f"drafted from {s.message.spec.template_ref.name}"
        )
    judged = bool(status.approvals) or any(one.digest == status.digest for one in status.rejections)
    editor = s.message.spec.edited_by[-1] if s.message.spec.edited_by else "somebody"
    void = [f"the approval by {one.by} is void" for one in status.approvals]
    fresh = status.model_copy(update={"digest": mine, "approvals": (), "release": None, "state": MessageState.DRAFT})
    fresh = _tell(fresh, s.now, "; ".join([f"edited by {editor}: {mine}", *void]))
    return ask_again(s.message, fresh, s.now) if judged else fresh


# --- what came of deliveries


def _noted(s: MessageSituation, status: MessageStatus) -> MessageStatus:
    release = status.release
    if release is None or not s.sendings:
        return status
    parts = tuple(_note(part, s.sendings.get(part.key)) for part in release.parts)
    done = max((part.done_time for part in parts if part.done_time), default=None)
    sent = done if all(part.state is PartState.SENT for part in parts) else None
    return status.model_copy(update={"release": release.model_copy(update={"parts": parts, "done_time": sent})})


def _note(part: Part, sending: Sending | None) -> Part:
    """What is perhaps sent stays so until it surely is: a refusal that follows may be one of the repetition."""
    if sending is None or part.done_time is not None:
        return part
    doubtful = part.state is PartState.PERHAPS and sending.state is not PartState.SENT
    state = PartState.PERHAPS if doubtful else sending.state
    over = sending.at if sending.over else None
    return part.model_copy(update={"state": state, "done_time": over, "message": clip(sending.message, 300)})


# --- Decisions


def _hear(s: MessageSituation, status: MessageStatus) -> MessageStatus:
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
            time=_created(decision),
            counted=verdict.counted,
            message=clip(verdict.message, 300),
        )
        records, through = bounded(
            (*status.decisions, record), status.decisions_through, s.now, heard=HEARD, most=MOST - 1
        )
        status = status.model_copy(update={"decisions": records, "decisions_through": through})
        if verdict.counted:
            status = _tell(status, s.now, f"{decision.spec.by}: {decision.spec.type}: {verdict.message}")
    return status


def _judge(s: MessageSituation, status: MessageStatus, decision: Decision) -> _Verdict:
    state, spec = _state(s, status), decision.spec
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
    created, drafted = _created(decision), s.message.metadata.creation_timestamp
    if s.trusted_since is not None and created < s.trusted_since:
        return "void: it is older than the admission policy that vouches for its author"
    if drafted is not None and created < drafted:
        return "void: it is older than the message"
    if status.flaw:
        return f"it is never released: {status.flaw}"
    if state in CLOSED and not (state is MessageState.PERHAPS_RELEASED and _is_given_up(status)):
        return f"the message is {state} already"
    if decision.spec.digest != status.digest:
        return f"these are not the words any more: read them again, and use the digest {status.digest}"
    if (rejected := _rejected(status)) is not None:
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
    if not after and _all_by_editors(s, (*given, voice)):
        return f"{voice.by} has edited these words: somebody who has not must be among those who approve"
    return ""


def _all_by_editors(s: MessageSituation, voices: tuple[Voice, ...]) -> bool:
    editors = s.message.spec.edited_by
    return bool(editors) and all(is_one_of(s.roster, voice, editors) for voice in voices)


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
    if refusal := _unreleasable(spec):
        return _Verdict(status, counted=False, message=refusal)
    names: tuple[str, ...] = ()
    left = lacking(spec.terms.approvals, voices_of(status))
    if left or _lacks_eyes(s, status):
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


def _unreleasable(spec: MessageSpec) -> str:
    if spec.audience is Audience.REGULATORS:
        return "a message to regulators is never sent: submit it yourself, and record it by MarkSubmitted"
    if spec.audience in INSIDE and not spec.terms.to:
        return "it goes to nobody: name Responders in the template's to"
    if spec.audience not in INSIDE and spec.terms.sender is None:
        return "it has no sender: name one in the template, or send it by hand"
    return ""


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


def release_key(message: Message, digest: str) -> str:
    """The receiver's Idempotency-Key: the same words of the same message are the same release."""
    return f"{message.metadata.uid}/release/{digest.removeprefix('sha256:')[:16]}"


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
    for decision in sorted(s.authorisations, key=lambda one: (_created(one), one.metadata.name)):
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
        and (s.trusted_since is None or _created(decision) >= s.trusted_since)
        and set(s.message.spec.varying) <= set(spec.varying or ())
    )


# --- how far it is


def _state(s: MessageSituation, status: MessageStatus) -> MessageState:
    if status.flaw:
        return MessageState.DRAFT
    sent = _sent_state(status)
    if sent in CLOSED:
        return sent
    if _rejected(status):
        return MessageState.REJECTED
    if sent:
        return sent
    if lacking(s.message.spec.terms.approvals, voices_of(status)) or _lacks_eyes(s, status):
        return MessageState.DRAFT
    return MessageState.FILLED if s.message.spec.audience is Audience.REGULATORS else MessageState.APPROVED


def _sent_state(status: MessageStatus) -> MessageState | None:
    """How far the release of these words is; None without one."""
    release = status.release
    if release is None or release.digest != status.digest:
        return None
    states = {part.state for part in release.parts}
    if states == {PartState.SENT}:
        return MessageState.RELEASED
    if PartState.PERHAPS in states:
        return MessageState.PERHAPS_RELEASED
    return MessageState.FAILED if PartState.FAILED in states else MessageState.RELEASING


def _lacks_eyes(s: MessageSituation, status: MessageStatus) -> bool:
    """Whether nobody has approved but those who edited: the words may be the same again, and the editors more."""
    return bool(s.message.spec.terms.approvals) and _all_by_editors(s, voices_of(status))


def _is_given_up(status: MessageStatus) -> bool:
    release = status.release
    return release is not None and all(part.done_time is not None for part in release.parts)


def _rejected(status: MessageStatus) -> Rejection | None:
    return next((one for one in status.rejections if one.digest == status.digest), None)


# --- what is said of it


def _finished(s: MessageSituation, before: MessageStatus, status: MessageStatus) -> MessageStatus:
    conditions = stamp(
        [_approved(s, status), _released(s, status)], before.conditions, s.now, s.message.metadata.generation
    )
    update = {
        "observed_generation": s.message.metadata.generation,
        "waiting_for": _waiting(s, status),
        "conditions": conditions,
    }
    return status.model_copy(update=update)


def _waiting(s: MessageSituation, status: MessageStatus) -> str:
    if status.flaw:
        return "somebody to have it drafted anew"
    match status.state:
        case MessageState.DRAFT:
            left = lacking(s.message.spec.terms.approvals, voices_of(status))
            return f"{', '.join(left) or 'somebody who did not edit it'}: approve"
        case MessageState.APPROVED:
            return "somebody to release it" if not _unreleasable(s.message.spec) else "somebody to send it by hand"
        case MessageState.FAILED | MessageState.REJECTED:
            return "somebody to edit it" if status.state is MessageState.REJECTED else "somebody to look at its sender"
        case MessageState.FILLED:
            return "somebody to submit it"
        case MessageState.RELEASING:
            return "its receivers"
        case MessageState.PERHAPS_RELEASED:
            return "somebody to ask the receiver" if _is_given_up(status) else "its receivers"
    return "nobody"


def _approved(s: MessageSituation, status: MessageStatus) -> Finding:
    asked, release = s.message.spec.terms.approvals, status.release
    if status.flaw:
        return Finding(type="Approved", status="False", reason="NotOfTemplate", message=status.flaw)
    if rejected := _rejected(status):
        message = f"{rejected.by} rejected {status.digest} at {format_time(rejected.time)}"
        return Finding(type="Approved", status="False", reason="Rejected", message=message)
    if release and release.digest == status.digest and release.under == "StandingApproval":
        message = f"nobody has approved these words: released under {', '.join(release.authorisations)}"
        return Finding(type="Approved", status="False", reason="StandingApproval", message=message)
    if not asked:
        return Finding(type="Approved", status="True", reason="NotNeeded", message="it needs no approval")
    given = ", ".join(f"{one.by} at {format_time(one.time)}" for one in status.approvals)
    if not (left := lacking(asked, voices_of(status))) and not _lacks_eyes(s, status):
        return Finding(type="Approved", status="True", reason="Approved", message=f"by {given}")
    words = [
        f"waits for {', '.join(left) or 'somebody who did not edit it'}",
        *([f"approved by {given}"] * bool(given)),
    ]
    if s.trust is not Trust.TRUSTED and unheard(s.message, s.decisions):
        words.append(f"decisions are not heard: the admission policy that vouches for their authors is {s.trust.value}")
    return Finding(type="Approved", status="False", reason="Waiting", message="; ".join(words))


def _released(s: MessageSituation, status: MessageStatus) -> Finding:
    words = (
        "; ".join(f"{part.to}: {part.message}" for part in status.release.parts if part.message)
        if status.release
        else ""
    )
    match status.state:
        case MessageState.RELEASED:
            return Finding(type="Released", status="True", reason="Released", message=words)
        case MessageState.PERHAPS_RELEASED:
            return Finding(type="Released", status="Unknown", reason="PerhapsReleased", message=words)
        case MessageState.RELEASING:
            return Finding(type="Released", status="False", reason="Releasing", message=words)
        case MessageState.FAILED:
            return Finding(type="Released", status="False", reason="Failed", message=words)
    if why := _unreleasable(s.message.spec):
        return Finding(type="Released", status="False", reason="ByHand", message=why)
    return Finding(type="Released", status="False", reason="NotReleased", message="nobody has released it")


def _events(s: MessageSituation, before: MessageStatus, status: MessageStatus) -> tuple[Event, ...]:
    """One for each new state; never the words."""
    if before.digest is not None and before.state is status.state and before.digest == status.digest:
        return ()
    spec = s.message.spec
    alarming = status.state in (MessageState.FAILED, MessageState.PERHAPS_RELEASED, MessageState.REJECTED)
    note = f"message for {spec.audience} ({spec.phase}) is {status.state}: {status.digest}"
    return (Event("Warning" if alarming else "Normal", status.state.value, note),)


def _tell(status: MessageStatus, now: datetime, what: str) -> MessageStatus:
    story = (*status.story, MessageEvent(time=now, what=clip(what, 300)))
    return status.model_copy(update={"story": story[:1] + story[1:][-(LINES - 1) :]})


# --- what goes out


def _told(message: Message, release: Release, part: Part, text: MessageText, roster: Roster, now: datetime) -> Notify:
    """One text to one Responder, by its channels."""
    duty = on_duty(roster, part.to, now)
    notice = Notice(
        key=part.key,
        namespace=message.metadata.namespace,
        incident=message.spec.incident_ref.name,
        model="",
        severity="",
        responder=duty.role if duty else part.to,
        person=duty.member.user if duty else "",
        cause="MessageReleased",
        subject=text.subject,
        text=text.body,
        command="",
        dedup=part.key,
        exact=True,
    )
    return Notify(part.key, notice, release.intended_time)


def _sent(message: Message, part: Part, sender: Sender) -> Broadcast:
    spec = message.spec
    return Broadcast(
        key=part.key,
        namespace=message.metadata.namespace,
        message=message.metadata.name,
        secret=sender.secret_ref.name,
        audience=spec.audience.value,
        phase=spec.phase.value,
        digest=digest_of(words_of(message)),
        incident_uid=spec.incident_ref.uid,
        texts=words_of(message),
        perhaps=part.state is PartState.PERHAPS,
    )


def _created(decision: Decision) -> datetime:
    created = decision.metadata.creation_timestamp
    assert created is not None, "the API server stamps every object"
    return created
