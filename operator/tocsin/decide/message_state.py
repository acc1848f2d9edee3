"""How far one message is, and what is said of it: never its words."""

from __future__ import annotations

from datetime import datetime

from tocsin.api.message import CLOSED, MessageEvent, MessageSpec, MessageState, MessageStatus, PartState, Rejection
from tocsin.api.objects import Finding, clip, stamp
from tocsin.api.quantities import format_time
from tocsin.api.template import Audience
from tocsin.decide.message_situation import MessageSituation, unheard, voices_of
from tocsin.decide.plan import Event
from tocsin.decide.quorum import Voice, is_one_of, lacking
from tocsin.decide.situation import Trust

LINES = 40
"""So many lines has the story of a message."""
INSIDE = (Audience.INTERNAL, Audience.EXECUTIVES)
"""Who is told by the Responders' own channels."""


def state_of(s: MessageSituation, status: MessageStatus) -> MessageState:
    """How far it is, by what is known of its release, its rejections and its approvals."""
    if status.flaw:
        return MessageState.DRAFT
    sent = sent_state(status)
    if sent in CLOSED:
        return sent
    if rejection_of(status):
        return MessageState.REJECTED
    if sent:
        return sent
    if lacking(s.message.spec.terms.approvals, voices_of(status)) or lacks_eyes(s, status):
        return MessageState.DRAFT
    return MessageState.FILLED if s.message.spec.audience is Audience.REGULATORS else MessageState.APPROVED


def sent_state(status: MessageStatus) -> MessageState | None:
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


def lacks_eyes(s: MessageSituation, status: MessageStatus) -> bool:
    """Whether nobody has approved but those who edited: the words may be the same again, and the editors more."""
    return bool(s.message.spec.terms.approvals) and all_by_editors(s, voices_of(status))


def all_by_editors(s: MessageSituation, voices: tuple[Voice, ...]) -> bool:
    """Whether all of these voices are of people who have edited the words."""
    editors = s.message.spec.edited_by
    return bool(editors) and all(is_one_of(s.roster, voice, editors) for voice in voices)


def is_given_up(status: MessageStatus) -> bool:
    """Whether nothing more of its release is tried by itself."""
    release = status.release
    return release is not None and all(part.done_time is not None for part in release.parts)


def rejection_of(status: MessageStatus) -> Rejection | None:
    """The rejection of the words as they are, if there is one."""
    return next((one for one in status.rejections if one.digest == status.digest), None)


def unreleasable(spec: MessageSpec) -> str:
    """Why it can go out to nobody from here, and what to do; empty when it can."""
    if spec.audience is Audience.REGULATORS:
        return "a message to regulators is never sent: submit it yourself, and record it by MarkSubmitted"
    if spec.audience in INSIDE and not spec.terms.to:
        return "it goes to nobody: name Responders in the template's to"
    if spec.audience not in INSIDE and spec.terms.sender is None:
        return "it has no sender: name one in the template, or send it by hand"
    return ""


def finished(s: MessageSituation, before: MessageStatus, status: MessageStatus) -> MessageStatus:
    """The status with what is said of it: its conditions, and who must do what next."""
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
            return "somebody to release it" if not unreleasable(s.message.spec) else "somebody to send it by hand"
        case MessageState.FAILED | MessageState.REJECTED:
            return "somebody to edit it" if status.state is MessageState.REJECTED else "somebody to look at its sender"
        case MessageState.FILLED:
            return "somebody to submit it"
        case MessageState.RELEASING:
            return "its receivers"
        case MessageState.PERHAPS_RELEASED:
            return "somebody to ask the receiver" if is_given_up(status) else "its receivers"
    return "nobody"


def _approved(s: MessageSituation, status: MessageStatus) -> Finding:
    asked, release = s.message.spec.terms.approvals, status.release
    if status.flaw:
        return Finding(type="Approved", status="False", reason="NotOfTemplate", message=status.flaw)
    if rejected := rejection_of(status):
        message = f"{rejected.by} rejected {status.digest} at {format_time(rejected.time)}"
        return Finding(type="Approved", status="False", reason="Rejected", message=message)
    if release and release.digest == status.digest and release.under == "StandingApproval":
        message = f"nobody has approved these words: released under {', '.join(release.authorisations)}"
        return Finding(type="Approved", status="False", reason="StandingApproval", message=message)
    if not asked:
        return Finding(type="Approved", status="True", reason="NotNeeded", message="it needs no approval")
    given = ", ".join(f"{one.by} at {format_time(one.time)}" for one in status.approvals)
    if not (left := lacking(asked, voices_of(status))) and not lacks_eyes(s, status):
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
    if why := unreleasable(s.message.spec):
        return Finding(type="Released", status="False", reason="ByHand", message=why)
    return Finding(type="Released", status="False", reason="NotReleased", message="nobody has released it")


def events_of(s: MessageSituation, before: MessageStatus, status: MessageStatus) -> tuple[Event, ...]:
    """One for each new state; never the words."""
    if before.digest is not None and before.state is status.state and before.digest == status.digest:
        return ()
    spec = s.message.spec
    alarming = status.state in (MessageState.FAILED, MessageState.PERHAPS_RELEASED, MessageState.REJECTED)
    note = f"message for {spec.audience} ({spec.phase}) is {status.state}: {status.digest}"
    return (Event("Warning" if alarming else "Normal", status.state.value, note),)


def told_of(status: MessageStatus, now: datetime, what: str) -> MessageStatus:
    """The status with one more line of its story; the first and the latest are kept."""
    story = (*status.story, MessageEvent(time=now, what=clip(what, 300)))
    return status.model_copy(update={"story": story[:1] + story[1:][-(LINES - 1) :]})
