"""Which messages an incident is due, each of them once, and what its status says of those that there are."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Iterator, Mapping
from datetime import datetime

from tocsin.api.incident import Incident, IncidentStatus
from tocsin.api.message import (
    BY_HAND,
    Message,
    MessageIncidentRef,
    MessageRecord,
    MessageSpec,
    MessageTemplateRef,
    MessageText,
    RecordState,
    Terms,
)
from tocsin.api.objects import clip
from tocsin.api.policy import MessageRule, Rules, When
from tocsin.api.template import MessageTemplate, MessageTemplateSpec
from tocsin.decide.context import VALUES
from tocsin.decide.defaults import digest
from tocsin.decide.facts import was_joined
from tocsin.decide.plan import Draft
from tocsin.decide.rendering import Rendered, Unrenderable, message_facts, render
from tocsin.decide.situation import Outcome, Situation
from tocsin.decide.story import tell
from tocsin.decide.tiers import is_contained

KEPT = 24
"""So many messages stay on an incident's record; the last one of each rule always does."""
PERSON = "person"
"""Stands in place of a rule where a person had it drafted."""
_WAITING = (RecordState.DUE, RecordState.NOT_DRAFTED)


def plan_messages(s: Situation, status: IncidentStatus) -> IncidentStatus:
    """The status with a line for each message that is due, and with what became of the others."""
    if not s.rules.messages and not status.messages and not s.messages:
        return status
    kept = [_brought_up(s, record) for record in status.messages]
    lines = [_news(after) for before, after in zip(status.messages, kept, strict=True) if before.state != after.state]
    kept += _by_hand(s, kept)
    for rule, occurrence in _due(s, status):
        if not _is_known(kept, rule, occurrence):
            kept.append(_new(s, rule, occurrence))
    return tell(status.model_copy(update={"messages": _bounded(kept)}), s.now, lines)


def due_drafts(s: Situation, status: IncidentStatus) -> tuple[Draft, ...]:
    """The messages that have to be drafted; where a template gave no words, only another one is tried."""
    found = []
    for record in status.messages:
        key = key_of(s.incident, record)
        again = record.state is RecordState.NOT_DRAFTED and s.templates.get(record.template, "") != (record.tried or "")
        if (record.state is RecordState.DUE or again) and key not in s.under_way:
            found.append(Draft(key, record.name, record.template))
    return tuple(found)


def next_due(s: Situation, status: IncidentStatus) -> Iterator[datetime]:
    """The instants at which another message is due by time alone."""
    return _instants(s.rules, status, s.now)


def _instants(rules: Rules, status: IncidentStatus, now: datetime) -> Iterator[datetime]:
    if status.opened_time and not status.resolved_time:
        for rule in rules.messages:
            if rule.every:
                yield status.opened_time + (max(0, (now - status.opened_time) // rule.every) + 1) * rule.every


def out_of_step(
    incident: Incident, messages: Mapping[str, Message], templates: Mapping[str, str], under_way: Iterable[str]
) -> bool:
    """Whether an incident's record is behind its messages, or one of them is still to be drafted."""
    names = {record.name for record in incident.status.messages}
    unknown = [one for name, one in messages.items() if name not in names and one.spec.key.startswith(BY_HAND)]
    if unknown and len(names) < KEPT:
        return True
    for record in incident.status.messages:
        message = messages.get(record.name)
        if message and _as(message, record) != record:
            return True
        tried = record.state is RecordState.NOT_DRAFTED and templates.get(record.template, "") == (record.tried or "")
        if not message and record.state in _WAITING and not tried and key_of(incident, record) not in under_way:
            return True
    return False


def key_of(incident: Incident, record: MessageRecord) -> str:
    """What a message is drafted for, which happens once."""
    episode, _, number = record.occurrence.partition("/")
    return f"{incident.metadata.uid}/{episode}/message/{record.rule}/{number}"


def message_name(incident: Incident, rule: str, occurrence: str) -> str:
    """The same name, whoever drafts it and how often."""
    text = f"{incident.metadata.uid}/{rule}/{occurrence}"
    return f"{incident.metadata.name[:63]}-{rule}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def template_digest(spec: MessageTemplateSpec) -> str:
    """What a standing approval binds to: everything that the template says."""
    return digest(spec.dump())


def drafted(
    incident: Incident,
    rules: Rules,
    now: datetime,
    key: str,
    template: MessageTemplate,
    *,
    values: Mapping[str, str] | None = None,
    by: str = "",
) -> MessageSpec | Unrenderable:
    """The message that a template makes of an incident as it is now; a person may supply words of their own."""
    spec, status = template.spec, incident.status
    next_update_at = min(_instants(rules, status, now), default=None)
    facts = message_facts(incident, rules, now, values or {}, next_update_at=next_update_at)
    found = render(spec, facts)
    if not isinstance(found, Rendered):
        return found
    return MessageSpec(
        key=key,
        incident_ref=MessageIncidentRef(name=incident.metadata.name, uid=incident.metadata.uid),
        template_ref=MessageTemplateRef(
            name=template.metadata.name,
            namespace=template.metadata.namespace,
            uid=template.metadata.uid,
            digest=template_digest(spec),
        ),
        audience=spec.audience,
        phase=spec.phase,
        texts=tuple(MessageText(language=one.language, subject=one.subject, body=one.body) for one in found.texts),
        varying=varying_in(spec, facts, found),
        edited_by=(by,) if by else (),
        terms=Terms.of(spec),
    )


def varying_in(spec: MessageTemplateSpec, facts: Mapping[str, object], found: Rendered) -> tuple[str, ...]:
    """On which facts the texts of a message rest: with all others absent the template gives the same texts.

    It is tried, not guessed: each fact that the template names is left out in turn, and at last all of the rest at
    once; should these matter together, the texts rest on every fact.
    """
    sources = "\n".join(part for one in spec.texts for part in (one.subject, one.body))
    there = [name for name, fact in facts.items() if name != VALUES and fact != _absent(fact)]
    named = [name for name in there if name in sources or name == "incident.type"]
    needed = [name for name in named if not _same(spec, _without(facts, {name}), found)]
    rest = {name for name in facts if name != VALUES and name not in needed}
    return tuple(needed if _same(spec, _without(facts, rest), found) else there)


def _same(spec: MessageTemplateSpec, facts: Mapping[str, object], found: Rendered) -> bool:
    other = render(spec, facts)
    return isinstance(other, Rendered) and other.texts == found.texts


def _without(facts: Mapping[str, object], names: Container[str]) -> dict[str, object]:
    return {name: _absent(fact) if name in names else fact for name, fact in facts.items()}


def _absent(fact: object) -> object:
    """What stands for a fact that is not known."""
    match fact:
        case bool():
            return False
        case list():
            return []
    return None


def _due(s: Situation, status: IncidentStatus) -> Iterator[tuple[MessageRule, str]]:
    """What is due by now, whether it was drafted or not; of what comes again only the last time."""
    if status.opened_time is None or was_joined(status):
        return
    for rule in s.rules.messages:
        number = _number(s, status, rule)
        if number:
            yield rule, f"{status.episode}/{number}"


def _by_hand(s: Situation, known: list[MessageRecord]) -> list[MessageRecord]:
    """The messages that people had drafted, while there is room for them."""
    names = {record.name for record in known}
    fresh = [one for name, one in s.messages.items() if name not in names and one.spec.key.startswith(BY_HAND)]
    records = [
        MessageRecord(
            name=one.metadata.name,
            rule=PERSON,
            occurrence="0/0",
            template=one.spec.template_ref.name,
            state=RecordState.DRAFT,
            time=one.metadata.creation_timestamp or s.now,
        )
        for one in sorted(fresh, key=lambda one: one.metadata.name)
    ]
    return [_as(s.messages[record.name], record) for record in records[: max(0, KEPT - len(known))]]


def _number(s: Situation, status: IncidentStatus, rule: MessageRule) -> int:
    """Which time it is; 0 before the first."""
    match rule.when:
        case When.OPENED:
            return 1
        case When.TIER_ENTERED:
            return int(any(tier.name == rule.tier for tier in status.tiers))
        case When.CONTAINED:
            return int(is_contained(status))
        case When.RECOVERED:
            return int(status.recovered_time is not None)
        case When.RESOLVED:
            return int(status.resolved_time is not None)
        case When.EVERY:
            if rule.every is None or status.opened_time is None or status.resolved_time:
                return 0
            return max(0, (s.now - status.opened_time) // rule.every)


def _is_known(records: Iterable[MessageRecord], rule: MessageRule, occurrence: str) -> bool:
    """Whether it was due before: this time, or a later one, when the clock was set back."""
    episode, _, number = occurrence.partition("/")
    for record in records:
        at, _, known = record.occurrence.partition("/")
        if record.rule == rule.name and at == episode and known.isdecimal() and int(known) >= int(number):
            return True
    return False


def _new(s: Situation, rule: MessageRule, occurrence: str) -> MessageRecord:
    return MessageRecord(
        name=message_name(s.incident, rule.name, occurrence),
        rule=rule.name,
        occurrence=occurrence,
        template=rule.template,
        state=RecordState.DUE,
        time=s.now,
    )


def _brought_up(s: Situation, record: MessageRecord) -> MessageRecord:
    """The record with what the message says now, or why there is none."""
    key = key_of(s.incident, record)
    message = s.messages.get(record.name)
    if message and (message.spec.key == key or record.rule == PERSON):
        return _as(message, record)
    outcome = s.outcomes.get(key)
    if outcome is None or record.state not in _WAITING:
        return record
    return _noted(record, outcome)


def _noted(record: MessageRecord, outcome: Outcome) -> MessageRecord:
    if outcome.lacks is None:
        return record.model_copy(update={"state": RecordState.DRAFT, "reason": None, "tried": None, "message": ""})
    update = {"reason": outcome.lacks.reason, "tried": outcome.lacks.tried or None}
    return record.model_copy(update=update | {"state": RecordState.NOT_DRAFTED, "message": clip(outcome.message, 300)})


def _as(message: Message, record: MessageRecord) -> MessageRecord:
    spec, status = message.spec, message.status
    release = status.release
    return record.model_copy(
        update={
            "state": RecordState(status.state.value),
            "audience": spec.audience,
            "phase": spec.phase,
            "digest": status.digest,
            "released_time": release.done_time if release else None,
            "tried": None,
            "reason": None,
            "message": "",
        }
    )


def _news(record: MessageRecord) -> str:
    if record.state is RecordState.NOT_DRAFTED:
        return f"message {record.rule} not drafted from template {record.template}: {record.message}"
    to_whom = f" for {record.audience}" if record.audience else ""
    return f"message {record.name}{to_whom}: {record.state}"


def _bounded(records: list[MessageRecord]) -> tuple[MessageRecord, ...]:
    """Past the bound the oldest go, but never the last one of a rule: it tells what was drafted."""
    last = {record.rule: record.name for record in records}
    old = [record for record in records if last[record.rule] != record.name]
    gone = {record.name for record in old[: max(0, len(records) - KEPT)]}
    return tuple(record for record in records if record.name not in gone)
