"""What people decide of legal clocks: started, declined by two, moved, submitted.

Whoever has the right to starts one alone, at once and also afterwards: nothing that is owed waits for a second person.
What takes a clock away, or gives it more time, takes two, whom the rosters tell apart; a deputy counts as whom they
stand in for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from tocsin.api.clock import (
    Anchor,
    AnchorType,
    ClockAnchor,
    ClockMove,
    ClockMoved,
    ClockState,
    ClockStatus,
    ClockVerdict,
    Submission,
)
from tocsin.api.decision import Decision
from tocsin.api.incident import IncidentStatus
from tocsin.api.objects import clip
from tocsin.api.quantities import format_duration, format_time
from tocsin.decide.clocks import RUNS, clock_of, in_order, warned_by
from tocsin.decide.presets import PRESETS, Preset, followers
from tocsin.decide.reckoning import Reckoned, reckon
from tocsin.decide.situation import Situation
from tocsin.decide.standing import Verdict, are_one, is_of, stood_in_for

KEPT = 2
"""So many of the last moves of an anchor stay on the clock, besides the first."""
WORDS = 200


def start_clock(s: Situation, status: IncidentStatus, decision: Decision) -> Verdict:
    """Start a clock from its true anchors; one that was declined may be started all the same, as facts may change."""
    clock = _clock(status, decision)
    preset = PRESETS.get(clock.name) if clock else None
    if clock is None or preset is None:
        return _refused(status, _no_such(s, status, decision))
    if clock.state not in (ClockState.UNDETERMINED, ClockState.DECLINED):
        how = "runs" if clock.state in RUNS else "was submitted"
        return _refused(status, f"{clock.name} {how} already; what it counts from is moved by MoveClock")
    given = decision.spec.anchors or ()
    if refusal := _unfit(preset, given, s.now):
        return _refused(status, refusal)
    reckoned = reckon(preset, _times(given), clock.calendar)
    if refusal := _before_the_law(preset, reckoned):
        return _refused(status, refusal)
    anchors = tuple(ClockAnchor(type=one.type, time=one.time, by=decision.spec.by) for one in given)
    update = {"declines": (), "overdue": clock.overdue, "anchors": anchors, **_running(reckoned)}
    changed = clock.model_copy(update=update)
    message = f"started {clock.name}: due {format_time(reckoned.deadline)}, {preset.words}"
    return _counted(_with(status, changed), _noted(message, reckoned))


def decline_clock(s: Situation, status: IncidentStatus, decision: Decision) -> Verdict:
    """Say that a clock does not apply; it counts when a second, distinct person says so as well."""
    clock, by = _clock(status, decision), decision.spec.by
    if clock is None:
        return _refused(status, _no_such(s, status, decision))
    if clock.state is not ClockState.UNDETERMINED:
        return _refused(status, f"{clock.name} is {clock.state}: only what is undetermined can be declined")
    if refusal := _unknown_person(s, by):
        return _refused(status, refusal)
    standing_in_for = stood_in_for(s, status, by)
    for other in clock.declines:
        if _is_same(s, (by, *standing_in_for), (other.by, *other.standing_in_for)):
            return _refused(status, f"{other.by} has declined it already: a second, distinct person is needed")
    verdict = ClockVerdict(
        by=by,
        standing_in_for=standing_in_for,
        time=s.now,
        reason=clip(decision.spec.reason or "", WORDS),
        decision=decision.metadata.name,
    )
    declines = (*clock.declines, verdict)
    done = len(declines) > 1
    state = ClockState.DECLINED if done else clock.state
    changed = clock.model_copy(update={"declines": declines, "state": state})
    message = f"declined {clock.name}" if done else f"declined {clock.name} (1 of 2): a second person must too"
    return _counted(_with(status, changed), message)


def move_clock(s: Situation, status: IncidentStatus, decision: Decision) -> Verdict:
    """Move an anchor, or add one: at once when the deadline does not grow, else when a second person says the same."""
    clock, by = _clock(status, decision), decision.spec.by
    preset = PRESETS.get(clock.name) if clock else None
    if clock is None or preset is None:
        return _refused(status, _no_such(s, status, decision))
    if clock.state not in RUNS:
        return _refused(status, f"{clock.name} is {clock.state}: only what runs can be moved")
    if not decision.spec.anchors:
        return _refused(status, f"give the anchor of {clock.name} that moves")
    wanted, old = decision.spec.anchors[0], {one.type: one.time for one in clock.anchors}
    times = old | {wanted.type: wanted.time}
    given = [Anchor(type=kind, time=time) for kind, time in times.items()]
    if refusal := _unfit(preset, given, s.now):
        return _refused(status, refusal)
    reckoned = reckon(preset, times, clock.calendar)
    if refusal := _before_the_law(preset, reckoned):
        return _refused(status, refusal)
    if old.get(wanted.type) == wanted.time:
        return _refused(status, f"{wanted.type} of {clock.name} is {format_time(wanted.time)} already")
    grows = clock.deadline is not None and reckoned.deadline > clock.deadline
    later = grows or (wanted.type in old and wanted.time > old[wanted.type])
    if not later:
        return _moved(status, clock, wanted, reckoned, by, None, s.now)
    if refusal := _unknown_person(s, by):
        return _refused(status, refusal)
    asked, standing_in_for = clock.moving, stood_in_for(s, status, by)
    if asked and (asked.type, asked.time) == (wanted.type, wanted.time):
        if _is_same(s, (by, *standing_in_for), (asked.by, *asked.standing_in_for)):
            return _refused(status, f"{asked.by} asked for it: a second, distinct person must confirm")
        return _moved(status, clock, wanted, reckoned, asked.by, by, s.now)
    moving = ClockMove(type=wanted.type, time=wanted.time, by=by, standing_in_for=standing_in_for, asked_time=s.now)
    words = f"{wanted.type} of {clock.name} to {format_time(wanted.time)} is later"
    message = f"{words}: a second person must confirm, until then it is due {format_time(clock.deadline or s.now)}"
    return _counted(_with(status, clock.model_copy(update={"moving": moving})), message)


def mark_submitted(s: Situation, status: IncidentStatus, decision: Decision) -> Verdict:
    """Record that a person has submitted it, for what receipt; the clocks that follow start from that instant."""
    clock, at = _clock(status, decision), decision.spec.submitted_time
    if clock is None or at is None:
        return _refused(status, _no_such(s, status, decision))
    if refusal := _unsubmittable(status, clock, at, s.now):
        return _refused(status, refusal)
    submitted = Submission(by=decision.spec.by, time=at, receipt=decision.spec.receipt or "")
    changed = clock.model_copy(update={"state": ClockState.SUBMITTED, "submitted": submitted, "moving": None})
    status, words = _with(status, changed), [f"{clock.name} submitted{_margin(clock, at)}"]
    for preset in followers(clock.name):
        status, word = _follow(status, preset, submitted, s.now)
        words.append(word)
    return _counted(status, "; ".join(words))


def _follow(status: IncidentStatus, preset: Preset, submitted: Submission, now: datetime) -> tuple[IncidentStatus, str]:
    """Start the clock that follows a submission, or count it from the latest one."""
    reckoned = reckon(preset, {AnchorType.SUBMITTED: submitted.time}, None)
    known = next((one for one in status.clocks if one.name == preset.name), None)
    word = f"{preset.name} is due {format_time(reckoned.deadline)}"
    if known is not None:
        anchor = Anchor(type=AnchorType.SUBMITTED, time=submitted.time)
        return _moved(status, known, anchor, reckoned, submitted.by, None, now).status, word
    anchors = (ClockAnchor(type=AnchorType.SUBMITTED, time=submitted.time, by=submitted.by),)
    fresh = clock_of(preset, ClockState.RUNNING, status.episode)
    return _with(status, fresh.model_copy(update={"anchors": anchors, **_running(reckoned)})), word


def _moved(
    status: IncidentStatus,
    clock: ClockStatus,
    wanted: Anchor,
    reckoned: Reckoned,
    by: str,
    confirmed_by: str | None,
    now: datetime,
) -> Verdict:
    """An anchor has moved: the old one stays on record, and what is past of the new deadline is not told again."""
    old = next((one for one in clock.anchors if one.type is wanted.type), None)
    entry = ClockMoved.model_validate(
        {
            "type": wanted.type,
            "from": old.time if old else None,
            "to": wanted.time,
            "deadline": clock.deadline or reckoned.deadline,
            "by": by,
            "confirmedBy": confirmed_by,
            "time": now,
        }
    )
    moved = (*clock.moved, entry)
    anchors = [one for one in clock.anchors if one.type is not wanted.type]
    changed = clock.model_copy(
        update={
            "anchors": (*anchors, ClockAnchor(type=wanted.type, time=wanted.time, by=by)),
            "moving": None,
            "moved": moved if len(moved) <= 1 + KEPT else (moved[0], *moved[-KEPT:]),
            **_running(reckoned),
        }
    )
    changed = changed.model_copy(update={"warned": min(clock.warned, warned_by(changed, now))})
    message = f"{wanted.type} of {clock.name} is {format_time(wanted.time)}: due {format_time(reckoned.deadline)}"
    return _counted(_with(status, changed), _noted(message, reckoned))


def _running(reckoned: Reckoned) -> dict[str, object]:
    return {
        "state": ClockState.RUNNING,
        "counted_from": reckoned.counted_from,
        "deadline": reckoned.deadline,
        "note": reckoned.note,
        "warned": 0,
    }


# --- refusals


def _no_such(s: Situation, status: IncidentStatus, decision: Decision) -> str:
    name = decision.spec.clock or ""
    if status.joined:
        return f"the incident joined {status.joined}: decide there"
    preset = PRESETS.get(name)
    if preset and preset.follows:
        return f"{name} starts by itself when {preset.follows} is submitted"
    if preset and preset.effective_from and any(rule.preset == name for rule in s.rules.clocks):
        return f"{name} is not in force: it applies from {preset.effective_from}"
    return f"the incident has no clock {name}; it has: {', '.join(one.name for one in status.clocks) or 'none'}"


def _unfit(preset: Preset, anchors: Iterable[Anchor], now: datetime) -> str:
    """What is wrong with anchors; empty when nothing is."""
    known, given = [kind for kind, _ in preset.limits], [one.type for one in anchors]
    if not given:
        return f"{preset.name} counts from {' or '.join(known)}: give when that was"
    for one in anchors:
        if one.type not in known:
            return f"{preset.name} counts from {' or '.join(known)}, not from {one.type}"
        if one.time > now:
            return f"{one.type} {format_time(one.time)} lies in the future: give the instant when it was so"
    lacking = [kind for kind in preset.required if kind not in given]
    if lacking:
        return f"{preset.name} needs the anchor {', '.join(lacking)} as well"
    return f"{preset.name}: an anchor is given twice" if len(set(given)) < len(given) else ""


def _before_the_law(preset: Preset, reckoned: Reckoned) -> str:
    if preset.applies(reckoned.counted_from):
        return ""
    since, at = f"applies from {preset.effective_from}", format_time(reckoned.counted_from)
    return f"{preset.name} {since}, and {at} lies before that: give one since then, or decline it"


def _unsubmittable(status: IncidentStatus, clock: ClockStatus, at: datetime, now: datetime) -> str:
    if at > now:
        return f"submittedTime {format_time(at)} lies in the future: record it when it was submitted"
    if clock.state is ClockState.SUBMITTED:
        return "" if _is_update(status, clock, at) else f"{clock.name} was submitted already"
    if clock.state not in RUNS:
        return f"{clock.name} is {clock.state}: start it first, with its true anchor"
    if clock.counted_from and at < clock.counted_from:
        return f"submittedTime lies before {format_time(clock.counted_from)}, from which {clock.name} counts"
    return ""


def _is_update(status: IncidentStatus, clock: ClockStatus, at: datetime) -> bool:
    """Whether it is a later report of a kind of which the latest counts for what follows, which is not submitted."""
    after = [preset.name for preset in followers(clock.name) if preset.latest]
    waits = any(one.name in after and one.state in RUNS for one in status.clocks)
    return waits and clock.submitted is not None and at > clock.submitted.time


def _unknown_person(s: Situation, user: str) -> str:
    if any(is_of(s, user, role) for role in s.roster):
        return ""
    return f"{user} is a member of no Responder of this namespace: two persons are told apart by the rosters"


def _is_same(s: Situation, some: Iterable[str], others: Iterable[str]) -> bool:
    known = tuple(others)
    return any(are_one(s, one, other) for one in some for other in known)


# --- parts


def _clock(status: IncidentStatus, decision: Decision) -> ClockStatus | None:
    return next((one for one in status.clocks if one.name == decision.spec.clock), None)


def _times(anchors: Iterable[Anchor]) -> Mapping[AnchorType, datetime]:
    return {one.type: one.time for one in anchors}


def _with(status: IncidentStatus, clock: ClockStatus) -> IncidentStatus:
    others = [one for one in status.clocks if one.name != clock.name]
    return status.model_copy(update={"clocks": in_order([*others, clock])})


def _margin(clock: ClockStatus, at: datetime) -> str:
    if clock.deadline is None or clock.deadline == clock.counted_from:
        return ""
    if at > clock.deadline:
        return f" {format_duration(at - clock.deadline)} late"
    return f" {format_duration(clock.deadline - at)} before its deadline"


def _noted(message: str, reckoned: Reckoned) -> str:
    return f"{message}; {reckoned.note}" if reckoned.note else message


def _refused(status: IncidentStatus, message: str) -> Verdict:
    return Verdict(status, counted=False, message=message)


def _counted(status: IncidentStatus, message: str) -> Verdict:
    return Verdict(status, counted=True, message=message)
