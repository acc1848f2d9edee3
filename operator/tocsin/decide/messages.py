"""One message at one instant: what its words are, what came of them, and what goes out."""

from __future__ import annotations

from datetime import datetime

from tocsin.api.message import (
    BY_HAND,
    CLOSED,
    Message,
    MessageState,
    MessageStatus,
    MessageText,
    Part,
    PartState,
    Release,
    Terms,
)
from tocsin.api.objects import clip
from tocsin.api.template import Sender
from tocsin.decide.asking import ask, ask_again, due_asks, note_asks
from tocsin.decide.defaults import digest
from tocsin.decide.judging import hear_people
from tocsin.decide.message_situation import Broadcast, MessagePlan, MessageSituation, Sending, words_of
from tocsin.decide.message_state import INSIDE, events_of, finished, state_of, told_of
from tocsin.decide.plan import Notice, Notify
from tocsin.decide.rendering import digest_of
from tocsin.decide.roster import Roster, on_duty


def plan_message(s: MessageSituation) -> MessagePlan:
    """What became of a message; planning again without new facts gives the same status."""
    before, mine = s.message.status, s.digest
    status = before
    if (
        before.state in CLOSED and before.digest != mine
    ):  # no API server admits it: whatever was written, nothing goes out
        return MessagePlan(finished(s, before, before))
    if before.digest is None:
        status = status.model_copy(update={"flaw": _flaw(s)})
    if before.digest != mine:
        status = _edited(s, status, mine)
    status = _noted(s, note_asks(status, s.outcomes))
    status = hear_people(s, status)
    status = status.model_copy(update={"state": state_of(s, status)})
    if status.state is MessageState.DRAFT and not status.flaw:
        status = ask(s.message, status, s.now)
    status = finished(s, before, status)
    return MessagePlan(status, effects_of(s.message, status, s.roster, s.now), events_of(s, before, status))


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


def is_over(status: MessageStatus) -> bool:
    """Whether nothing is left to do but to hear people."""
    return status.digest is not None and status.state not in (MessageState.DRAFT, MessageState.RELEASING)


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
        return told_of(
            status.model_copy(update={"digest": mine}), s.now, f"drafted from {s.message.spec.template_ref.name}"
        )
    judged = bool(status.approvals) or any(one.digest == status.digest for one in status.rejections)
    editor = s.message.spec.edited_by[-1] if s.message.spec.edited_by else "somebody"
    void = [f"the approval by {one.by} is void" for one in status.approvals]
    fresh = status.model_copy(update={"digest": mine, "approvals": (), "release": None, "state": MessageState.DRAFT})
    fresh = told_of(fresh, s.now, "; ".join([f"edited by {editor}: {mine}", *void]))
    return ask_again(s.message, fresh, s.now) if judged else fresh


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
