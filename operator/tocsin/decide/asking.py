"""Who is told that a message waits for their approval: by its name and digest, never by its words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from tocsin.api.message import AskRecord, Message, MessageStatus
from tocsin.api.objects import clip
from tocsin.decide.plan import Notice, Notify
from tocsin.decide.roster import Roster, on_duty
from tocsin.decide.situation import Outcome


def ask(message: Message, status: MessageStatus, now: datetime) -> MessageStatus:
    """Intend a notice to each Responder that must approve and was not told yet."""
    known = {one.responder for one in status.asks}
    fresh = tuple(_intended(message, role, 1, now) for role in message.spec.terms.approvals if role not in known)
    return status.model_copy(update={"asks": (*status.asks, *fresh)}) if fresh else status


def ask_again(message: Message, status: MessageStatus, now: datetime) -> MessageStatus:
    """Intend a notice to everybody who was told, because what they had said of it is void."""
    asks = (_intended(message, one.responder, _number(one) + 1, now) for one in status.asks)
    return status.model_copy(update={"asks": tuple(asks)})


def note_asks(status: MessageStatus, outcomes: Mapping[str, Outcome]) -> MessageStatus:
    """Write down what came of the notices."""
    asks = tuple(_noted(one, outcomes.get(one.key)) for one in status.asks)
    return status.model_copy(update={"asks": asks})


def due_asks(message: Message, status: MessageStatus, roster: Roster, now: datetime) -> Iterator[Notify]:
    """The notices that no channel has accepted yet; they say what is true now."""
    metadata, spec = message.metadata, message.spec
    for one in status.asks:
        if one.done_time is not None:
            continue
        duty = on_duty(roster, one.responder, now)
        command = f"kubectl tocsin message show {metadata.name} -n {metadata.namespace}"
        lines = [
            f"To {duty.words}." if duty else "To all who read this: nobody of this role is there now.",
            f"Message {metadata.name} in namespace {metadata.namespace} is about incident {spec.incident_ref.name}.",
            f"Audience: {spec.audience}. Phase: {spec.phase}. Digest: {status.digest}.",
            f"It waits for: {', '.join(spec.terms.approvals)}. Its words are not in this notice.",
            f"Read it: {command}",
            f"Approve it: kubectl tocsin message approve {metadata.name} -n {metadata.namespace} --reason …",
        ]
        notice = Notice(
            key=one.key,
            namespace=metadata.namespace,
            incident=spec.incident_ref.name,
            model="",
            severity="",
            responder=duty.role if duty else one.responder,
            person=duty.member.user if duty else "",
            cause="MessageDrafted",
            subject=clip(f"Message for {spec.audience} ({spec.phase}) needs {one.responder}: {metadata.name}", 200),
            text="\n".join(lines),
            command=command,
            dedup=f"{metadata.uid}/ask/{one.responder}",
        )
        yield Notify(one.key, notice, one.intended_time)


def _intended(message: Message, role: str, number: int, now: datetime) -> AskRecord:
    return AskRecord(key=f"{message.metadata.uid}/ask/{role}/{number}", responder=role, intended_time=now)


def _number(record: AskRecord) -> int:
    number = record.key.rpartition("/")[2]
    return int(number) if number.isdecimal() and len(number) < 10 else 0


def _noted(record: AskRecord, outcome: Outcome | None) -> AskRecord:
    if outcome is None or record.done_time is not None:
        return record
    done_at = outcome.at if outcome.result == "Done" else None
    return record.model_copy(update={"done_time": done_at, "message": clip(outcome.message, 300)})
