"""What a notice says: its headline and its text, out of what is true when it is sent."""

from __future__ import annotations

from datetime import datetime

from tocsin.api.incident import EffectRecord, IncidentStatus, OptionState
from tocsin.api.objects import clip
from tocsin.api.policy import PolicyModel
from tocsin.api.quantities import format_duration, format_time
from tocsin.decide.approval import unsettled
from tocsin.decide.clocks import CAUSES, clock_words, open_ones
from tocsin.decide.closing import words_of
from tocsin.decide.felt import asked_about, felt, felt_if_approved, option_of
from tocsin.decide.flapping import words_of as changes
from tocsin.decide.folding import ASKED, matters
from tocsin.decide.holding import FLAPPING
from tocsin.decide.options import IN_PLACE
from tocsin.decide.pasting import PLUGIN, Part, next_act
from tocsin.decide.questions import open_questions
from tocsin.decide.roster import Duty, Roster, on_duty
from tocsin.decide.situation import Situation
from tocsin.decide.tiers import WORDS, is_led, open_deadlines, tier_of

_ASKS: dict[Part, str] = {
    "accountable": "you are asked to act",
    "successor": "you are asked to take over",
    "responsible": "you are asked to act",
    "consulted": "your opinion is asked",
    "informed": "for your information",
}


def headline(status: IncidentStatus, causes: tuple[str, ...], part: Part) -> str:
    """What it is about, in a few words: the last cause tells, unless somebody is paged."""
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
        "Flapping": "it flaps: of each change you will not hear until it is steady, or SEV2",
        "Steady": "it is steady again",
        "Recovered": "recovered",
        "Resolved": "resolved",
        "ClockStarted": "a legal clock runs",
        "ClockAsked": "a legal clock needs a second person",
        "ClockMoved": "a legal clock was moved",
        "ClockDeclined": "a legal clock was declined",
        "ClockSubmitted": "a report was submitted",
        "ClockWarned": "a legal clock runs out",
        "ClockUndetermined": "nobody has started or declined a legal clock",
        "ClockMissed": "a legal clock was missed",
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


def text_of(
    s: Situation, status: IncidentStatus, record: EffectRecord, tier: str, part: Part, duty: Duty | None
) -> str:
    """The message: to whom, what people feel of that which is asked, what, since when, what was done, by when."""
    metadata = s.incident.metadata
    to = f"To {duty.words}." if duty else "To all who read this: nobody of this role is there now."
    lines = [
        to,
        *felt_if_approved(s.rules, status),
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
    lines += _options(s, status)
    lines += _clocks(s, status, record)
    lines += _judged(status)
    lines += _held(s, status, record)
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
    if act := next_act(status, tier, part):
        lines.append(f"With the plugin: kubectl tocsin {PLUGIN[act[0]]} {metadata.name} -n {metadata.namespace}")
    if matters(record.causes) and not status.resolved_time:
        every = f"kubectl tocsin status -n {metadata.namespace}"
        lines.append(f"More models may follow without a page of their own. All that is open: {every}")
    lines.append(f"The whole story: kubectl describe incident {metadata.name} -n {metadata.namespace}")
    return clip("\n".join(lines), 4000)


def _options(s: Situation, status: IncidentStatus) -> list[str]:
    """How far each option is; of one in place also what people feel of it, unless that was said first."""
    lines, asked = [], asked_about(status)
    for option in status.containment:
        lines.append(f"Containment {option.name}: {option.state} — {option.summary or option.message}")
        if option.summary and option.message:
            lines.append(f"  {option.message}")
        if option.state is OptionState.ASKING:
            lines += [f"  Note: {note}" for note in option.notes]
        if option.state in IN_PLACE and option.name not in asked and not status.resolved_time:
            lines += [f"  {line}" for line in felt(option_of(s.rules, option.name), ran=True)]
    return lines


def _clocks(s: Situation, status: IncidentStatus, record: EffectRecord) -> list[str]:
    """Of legal clocks all that are open where it is about them, else what is due first, in one line."""
    known = open_ones(status)
    about = any(cause in CAUSES for cause in record.causes)
    settled = [one for one in status.clocks if one not in known] if about else []
    more = f" (and {len(known) - 1} more)" if len(known) > 1 and not about else ""
    shown = [*known, *settled] if about else known[:1]
    lines = [f"Clock {clock_words(one, s.now)}{more}" for one in shown]
    if about and known:
        lines.append(f"With the plugin: kubectl tocsin clock list {_where(s)}")
    return lines


def _where(s: Situation) -> str:
    return f"{s.incident.metadata.name} -n {s.incident.metadata.namespace}"


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


def _held(s: Situation, status: IncidentStatus, record: EffectRecord) -> list[str]:
    """Why it was not told before, and what will not be told."""
    lines = [f"It flaps: {changes(status.swings, s.now)}."] if status.flapping_since else []
    if record.held_by:
        by = "while it flapped" if record.held_by == FLAPPING else f"by {record.held_by}"
        lines.append(f"This was held back {by}.")
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
