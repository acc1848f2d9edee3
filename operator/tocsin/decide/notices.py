"""Who is told what, and what they should do next: one notice per role and pass, out of what has changed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Literal

from tocsin.api.decision import DecisionType
from tocsin.api.incident import EffectRecord, EffectState, IncidentStatus, OptionRecord, OptionState
from tocsin.api.objects import API_VERSION, Severity, clip
from tocsin.api.policy import PolicyModel, Rules
from tocsin.api.quantities import format_duration, format_time
from tocsin.decide.approval import unsettled
from tocsin.decide.closing import words_of
from tocsin.decide.folding import ASKED, is_quiet, matters
from tocsin.decide.ledger import intend, parts_of
from tocsin.decide.plan import Notice, Notify
from tocsin.decide.questions import open_questions
from tocsin.decide.roster import Duty, Roster, on_duty
from tocsin.decide.situation import Situation
from tocsin.decide.story import tell
from tocsin.decide.tiers import WORDS, accountable_of, is_led, open_deadlines, stands_alone, tier_of

Part = Literal["accountable", "successor", "responsible", "consulted", "informed"]
"""What a role has to do with a tier: RACI, and whoever is asked to take over."""
_ASKS: dict[Part, str] = {
    "accountable": "you are asked to act",
    "successor": "you are asked to take over",
    "responsible": "you are asked to act",
    "consulted": "your opinion is asked",
    "informed": "for your information",
}

MOST, AGAIN = 90, 100
"""So many notices fit into an episode's ledger of 200 lines, and so many with those that page somebody again; the entry
of every tier always finds room after these."""
DEPUTY = ":deputy"
"""At the end of a role's name in the ledger: whoever was paged because nobody had acknowledged."""

_NOT_CONTAINED = (OptionState.FAILED, OptionState.DID_NOT_HELP, OptionState.REFUSED, OptionState.EXPIRED)


def plan_notices(s: Situation, before: IncidentStatus, status: IncidentStatus) -> IncidentStatus:
    """Intend a notice for each role that has something to hear: its tier was entered, or the story went on.

    A new episode begins a new story: everybody who is entered in it is told.
    """
    if status.episode != before.episode:
        before = IncidentStatus()
    news = _news(before, status)
    alone = stands_alone(before, status)
    for tier in status.tiers:
        entered = not any(known.name == tier.name for known in before.tiers)
        known = next((known for known in before.tiers if known.name == tier.name), None)
        expired = known is not None and known.renewals != tier.renewals
        causes = (*(["TierEntered"] if entered else []), *(["AcknowledgementExpired"] if expired else []), *news)
        if alone and not entered and tier.acknowledged_time is None:
            causes = ("OnItsOwn", *causes)
        if tier.missed != (known.missed if known else ()) and any(
            tier.name == last.name for last in s.rules.tiers[-1:]
        ):
            causes = (*causes, "Missed")
        rule = tier_of(s.rules, tier.name)
        if rule is None:
            continue
        accountable = accountable_of(tier, rule)
        handed = accountable != (accountable_of(known, rule) if known else rule.accountable)
        for responder in dict.fromkeys((accountable, *rule.roles)):
            accepted = ("HandedOver",) if handed and responder in (accountable, rule.accountable) else ()
            status = _intend(s, status, f"{tier.name}.{responder}", (*causes, *accepted))
        if tier.handed_over and tier.handed_over != (known.handed_over if known else None):
            status = _intend(s, status, f"{tier.name}.{tier.handed_over.to}", ("HandOver",))
        if tier.deputy:
            paged = () if known and known.deputy else ("DeputyPaged",)
            status = _intend(s, status, f"{tier.name}.{accountable}{DEPUTY}", (*paged, *causes))
    return status


def _news(before: IncidentStatus, status: IncidentStatus) -> tuple[str, ...]:
    """What the people who are in should hear, in the order of the options."""
    old = {record.name: record for record in before.containment}
    found: list[str] = []
    for record in status.containment:
        was = old.get(record.name)
        found += _option_news(was, record)
    if len(unsettled(status)) > len(unsettled(before)):
        found.append("GlassBroken")
    if any(one.overdue for one in unsettled(status)) and not any(one.overdue for one in unsettled(before)):
        found.append("Unapproved")
    if status.classification != before.classification:
        found.append("Classified")
    if status.recovered_time and not before.recovered_time:
        found.append("Recovered")
    if status.resolved_time and not before.resolved_time:
        found.append("Resolved")
    return tuple(dict.fromkeys(found))


def _option_news(was: OptionRecord | None, record: OptionRecord) -> Iterable[str]:
    changed = was is None or was.state is not record.state
    if was is not None and was.state is OptionState.UNDOING and changed:
        yield "Undone" if record.state is OptionState.UNDONE else "NotUndone"
        return
    match record.state:
        case OptionState.ASKING if was is None or (was.digest != record.digest) or changed:
            yield "ApprovalNeeded"
        case OptionState.CANNOT_TELL if changed:
            yield "CannotTell"
        case OptionState.REVERTED if changed:
            yield "Reverted"
        case OptionState.OBSERVED if changed:
            yield "Rehearsed"
        case state if state in _NOT_CONTAINED and changed:
            yield "NotContained"
        case _:
            pass
    if record.settled_time and (was is None or was.settled_time is None):
        yield "Contained"


def _intend(s: Situation, status: IncidentStatus, name: str, causes: tuple[str, ...]) -> IncidentStatus:
    """Intend a notice to a tier's role, or to its deputy, unless there is nothing to tell; a parent pages for it."""
    asked = tuple(cause for cause in causes if cause in ASKED)
    if asked and is_led(status):
        status = _line(s, status, name, asked)
        causes = tuple(cause for cause in causes if cause not in ASKED)
    return _line(s, status, name, causes) if causes else status


def _line(s: Situation, status: IncidentStatus, name: str, causes: tuple[str, ...]) -> IncidentStatus:
    """One line of the ledger, if there is room."""
    sent = [record for record in status.effects if _name_of(record.key) == name]
    room = AGAIN if ASKED.intersection(causes) else MOST
    if len(status.effects) >= room and "TierEntered" not in causes:
        line = "no more notices in this episode: the ledger is full, read the incident itself"
        told = any(entry.what == line for entry in status.timeline)
        return status if told else tell(status, s.now, [line])
    record = EffectRecord(
        key=f"{s.incident.metadata.uid}/{status.episode}/notify/{name}/{len(sent) + 1}",
        causes=causes,
        state=EffectState.INTENDED,
        severity=status.severity,
        intended_time=s.now,
    )
    if is_led(status) and ASKED.issuperset(causes):
        record = _folded(s, record, status.parent or "", f"both fail of {status.upstream}")
    elif sent and is_quiet(causes) and all(one.into for one in sent):
        record = _folded(s, record, sent[-1].into or "", "nothing was opened")
    return intend(status, record)


def _folded(s: Situation, record: EffectRecord, into: str, why: str) -> EffectRecord:
    """A notice that is not sent, because the page of another incident stands for it."""
    message = f"folded into the page for incident {into}: {why}"
    return record.model_copy(update={"state": EffectState.DONE, "done_time": s.now, "into": into, "message": message})


def _name_of(key: str) -> str:
    kind, name, _ = parts_of(key)
    return name if kind == "notify" else ""


def due_notices(s: Situation, status: IncidentStatus) -> tuple[Notify, ...]:
    """The notices that were intended and not accepted yet; the text says what is true now."""
    found = []
    for record in status.effects:
        name = _name_of(record.key)
        waits = record.state in (EffectState.INTENDED, EffectState.UNDELIVERED) and record.key not in s.under_way
        if not name or not record.causes or not waits:
            continue
        tier, _, responder = name.partition(".")
        found.append(Notify(record.key, _notice(s, status, record, tier, responder), record.intended_time))
    return tuple(found)


def _notice(s: Situation, status: IncidentStatus, record: EffectRecord, tier: str, name: str) -> Notice:
    metadata, responder = s.incident.metadata, name.removesuffix(DEPUTY)
    part, duty = _part(s.rules, status, tier, responder), _addressee(s, status, tier, name)
    headline = f"{status.severity} {s.rules.model.name}: {_headline(status, record.causes, part)}"
    return Notice(
        key=record.key,
        namespace=metadata.namespace,
        incident=metadata.name,
        model=s.rules.model.name,
        severity=status.severity or "SEV4",
        responder=duty.role if duty else responder,
        person=duty.member.user if duty else "",
        cause=" ".join(record.causes),
        subject=clip(headline, 200),
        text=_text(s, status, record, tier, part, duty),
        command=next_command(s, status, tier, part),
        resolves=status.resolved_time is not None,
        dedup=f"{metadata.uid}/{tier}.{name}",
    )


def _part(rules: Rules, status: IncidentStatus, tier: str, responder: str) -> Part:
    """What a role has to do with a tier; the most that it is named for."""
    rule, entered = tier_of(rules, tier), next((one for one in status.tiers if one.name == tier), None)
    if rule is None or responder == (accountable_of(entered, rule) if entered else rule.accountable):
        return "accountable"
    if entered and entered.handed_over and entered.handed_over.to == responder:
        return "successor"
    if responder in rule.responsible:
        return "responsible"
    return "consulted" if responder in rule.consulted else "informed"


def _addressee(s: Situation, status: IncidentStatus, tier: str, name: str) -> Duty | None:
    """Who is told of a role: who is on duty there now, or the deputy who was paged; None when nobody is there."""
    duty = on_duty(s.roster, name.removesuffix(DEPUTY), s.now)
    deputies = [one.deputy for one in status.tiers if one.name == tier and name.endswith(DEPUTY)]
    if not deputies or duty is None:
        return duty
    members = s.roster[duty.role].spec.members
    return next((Duty(duty.role, member) for member in members if member.user in deputies), duty)


def _headline(status: IncidentStatus, causes: tuple[str, ...], part: Part) -> str:
    if ASKED.intersection(causes) and status.phase != "Resolved":
        return f"{_matter(status)} — {_ASKS[part]}"
    return {
        "ApprovalNeeded": "your approval is needed",
        "Contained": "contained",
        "NotContained": "a containment was not possible or did not help",
        "CannotTell": "it cannot be told whether the containment helped",
        "Reverted": "the containment was reverted",
        "Undone": "the containment was undone",
        "NotUndone": "the containment could not be undone: a person must",
        "Rehearsed": "what containment would have done",
        "HandOver": "you are asked to take over",
        "HandedOver": "it was handed over",
        "GlassBroken": "somebody has ordered a containment alone",
        "Unapproved": "what was ordered alone was not approved within 24 hours",
        "Classified": "it was classified",
        "Missed": "a deadline was missed, and there is no further tier",
        "Recovered": "recovered",
        "Resolved": "resolved",
        "TierEntered": "resolved",
        "DeputyPaged": "resolved",
        "AcknowledgementExpired": "resolved",
        "OnItsOwn": "resolved",
    }.get(causes[-1], "the story went on")


def _matter(status: IncidentStatus) -> str:
    """What it is about now; a tier may be entered after the recovery, because nobody has answered."""
    firing = ", ".join(signal.name for signal in status.signals if signal.sustained or signal.missing)
    unanswered = "reported by a person" if status.cause == "Report" else "recovered, but nobody has answered"
    return firing or unanswered


def _text(s: Situation, status: IncidentStatus, record: EffectRecord, tier: str, part: Part, duty: Duty | None) -> str:
    """The message: to whom, what, since when, what was done, what is asked, by when."""
    metadata = s.incident.metadata
    to = f"To {duty.words}." if duty else "To all who read this: nobody of this role is there now."
    lines = [
        to,
        f"Model {s.rules.model.name} in namespace {metadata.namespace}: {status.severity}, risk {status.risk} of 100.",
    ]
    lines += papers(s.rules.model, s.roster, s.now)
    if kin := kinship(status):
        lines.append(f"{kin}.")
    if s.incident.spec.reason:
        lines.append(
            f"Reported{f' ({s.incident.spec.source})' if s.incident.spec.source else ''}: {s.incident.spec.reason}"
        )
    lines += [f"- {signal.name}: {signal.message}" for signal in status.signals if signal.sustained or signal.missing]
    if status.opened_time:
        lines.append(f"Since {format_time(status.opened_time)} (episode {status.episode}).")
    for option in status.containment:
        lines.append(f"Containment {option.name}: {option.state} — {option.summary or option.message}")
        if option.summary and option.message:
            lines.append(f"  {option.message}")
        if option.state is OptionState.ASKING:
            lines += [f"  Note: {note}" for note in option.notes]
    lines += _judged(status)
    entered = next((one for one in status.tiers if one.name == tier), None)
    if entered and not status.resolved_time:
        lines.append(f"You are {part} in tier {tier}: {entered.reason}.")
        if entered.handed_over and part == "successor":
            lines.append(f"{entered.handed_over.by} hands over: {entered.handed_over.note}")
        lines += [
            f"{WORDS[limit].capitalize()} by {format_time(deadline)}"
            + (f" (in {format_duration(deadline - s.now)})." if deadline > s.now else " (missed).")
            for limit, deadline in open_deadlines(entered, status)
        ]
    lines += _tasks(s, status, tier, part) if not status.resolved_time else []
    if act := _next_act(status, tier, part):
        lines.append(f"With the plugin: kubectl tocsin {_PLUGIN[act[0]]} {metadata.name} -n {metadata.namespace}")
    if matters(record.causes) and not status.resolved_time:
        every = f"kubectl tocsin status -n {metadata.namespace}"
        lines.append(f"More models may follow without a page of their own. All that is open: {every}")
    lines.append(f"The whole story: kubectl describe incident {metadata.name} -n {metadata.namespace}")
    return clip("\n".join(lines), 4000)


def _judged(status: IncidentStatus) -> list[str]:
    """What people ordered, judged and promised."""
    lines = [
        f"{one.by} ordered {one.option} alone, which somebody else must approve or reject: {one.reason}"
        for one in unsettled(status)
    ]
    if judged := status.classification:
        lines.append(f"Classified by {judged.by}: {words_of(judged)} — {judged.reason}")
    if lesson := status.post_mortem:
        lines.append(f"Post-mortem: {lesson.owner} by {format_time(lesson.due_time)}.")
    return lines


def papers(model: PolicyModel, roster: Roster, now: datetime) -> list[str]:
    """What the inventory calls a model, and who answers for its parts now."""
    known = (("Inventory", model.inventory_id), ("version", model.version))
    lines = [", ".join(f"{what} {text}" for what, text in known if text)]
    owners = [
        f"{what}: {duty.words_in(name) if (duty := on_duty(roster, name, now)) else 'nobody'} ({name})"
        for what, name in model.owners.named.items()
    ]
    lines.append(f"Owners: {', '.join(owners)}" if owners else "")
    lines.append(f"Upstream: {', '.join(model.upstream)}" if model.upstream else "")
    return [f"{line[0].upper()}{line[1:]}." for line in lines if line]


def kinship(status: IncidentStatus) -> str:
    """Which other incidents have its cause, in words; empty when there are none."""
    if status.parent:
        pages = "pages for it" if is_led(status) else "has the same cause"
        return f"Incident {status.parent} {pages}: both fail of {status.upstream}"
    if status.children:
        return f"It pages for {status.children} or more other incidents, which fail of the same: {status.upstream}"
    return ""


def _tasks(s: Situation, status: IncidentStatus, tier: str, part: Part) -> list[str]:
    """What the policy wants the people of a tier to do, and what they have to answer."""
    rule = tier_of(s.rules, tier)
    if rule is None or part not in ("accountable", "successor", "responsible"):
        return []
    steps = [f"{place}. {step}" for place, step in enumerate(rule.steps, 1)]
    asked = [
        f"To answer: {one.text} ({one.name}: {', '.join(one.options)})"
        for name, one in open_questions(s.rules, status)
        if name == tier
    ]
    return [*(["To do:"] if steps else []), *steps, *asked]


def _next_act(status: IncidentStatus, tier: str, part: Part) -> tuple[DecisionType, dict[str, str]] | None:
    """The Decision that somebody with this part in the tier should write next, if any."""
    asking = next((record for record in status.containment if record.state is OptionState.ASKING), None)
    entered = next((one for one in status.tiers if one.name == tier), None)
    if status.resolved_time or part in ("consulted", "informed"):
        return None
    if part == "successor":
        return DecisionType.ACCEPT, {}
    if entered and entered.acknowledged_time is None:
        return DecisionType.ACKNOWLEDGE, {}
    if asking:
        return DecisionType.APPROVE, {"option": asking.name, "digest": asking.digest or ""}
    if broken := next(iter(unsettled(status)), None):
        return DecisionType.APPROVE, {"option": broken.option, "digest": broken.digest}
    return (DecisionType.RESOLVE, {}) if status.recovered_time else None


_PLUGIN = {
    DecisionType.ACCEPT: "accept",
    DecisionType.ACKNOWLEDGE: "ack",
    DecisionType.APPROVE: "approve",
    DecisionType.RESOLVE: "resolve",
}


def next_command(s: Situation, status: IncidentStatus, tier: str, part: Part) -> str:
    """What somebody with this part in the tier should do next, as a command that works with nothing but kubectl."""
    if status.resolved_time:
        return ""
    act = _next_act(status, tier, part)
    if act:
        return _command(s, status, *act)
    return f"kubectl describe incident {s.incident.metadata.name} -n {s.incident.metadata.namespace}"


_WHOEVER, _WHY = "whoever pastes it", "why they do"
_WHOAMI = "kubectl auth whoami -o jsonpath={.status.userInfo.username}"
"""Before 1.36 no admission policy can fill ``by`` in."""
_ASK = "printf 'Why? ' >&2; read -r why; "
_TYPED = """printf %s "$why" | tr -d '\\\\"'"""
"""What was typed, without what would end the text in JSON."""
LESSON = timedelta(days=14)
"""Within which the post-mortem is due, if whoever pastes the command does not change it."""


def _command(s: Situation, status: IncidentStatus, kind: DecisionType, fields: dict[str, str]) -> str:
    """A Decision under the own name; where a reason is required, it is asked for."""
    metadata = s.incident.metadata
    spec: dict[str, Any] = {
        "type": kind,
        "by": _WHOEVER,
        "incidentRef": {"name": metadata.name, "uid": metadata.uid},
        **fields,
    }
    asks = kind in (DecisionType.APPROVE, DecisionType.RESOLVE)
    if asks:
        spec["reason"] = _WHY
    if kind is DecisionType.RESOLVE and status.severity and status.severity.at_least(Severity.SEV2):
        owner = status.lead.user if status.lead else _WHOEVER
        spec["postMortem"] = {"owner": owner, "dueTime": format_time(s.now + LESSON)}
    decision = {
        "apiVersion": API_VERSION,
        "kind": "Decision",
        "metadata": {"generateName": f"{kind.lower()}-", "namespace": metadata.namespace},
        "spec": spec,
    }
    text = json.dumps(decision, separators=(",", ":")).replace(_WHOEVER, f"'\"$({_WHOAMI})\"'")
    text = text.replace(_WHY, f"'\"$({_TYPED})\"'")
    return f"{_ASK if asks else ''}echo '{text}' | kubectl create -f -"
