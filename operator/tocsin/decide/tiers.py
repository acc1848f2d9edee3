"""Which circles of people are in, and by when they must do what.

A tier is entered at once by severity, or when the tier before missed a deadline. Whoever is on duty for the accountable
Responder and does not acknowledge is followed by a deputy, with as long again, before the next tier is. Deadlines are
absolute and count from the instant of entry or of the page, so that an outage does not page everybody in one second.
Nobody leaves.
"""

from __future__ import annotations

from collections.abc import Hashable
from datetime import datetime, timedelta
from typing import Literal

from tocsin.api.incident import IncidentStatus, OptionState, TierStatus
from tocsin.api.objects import Severity, clip
from tocsin.api.policy import Rules, Tier
from tocsin.api.quantities import format_duration, format_time
from tocsin.decide.roster import Duty, deputy, on_duty
from tocsin.decide.situation import Situation
from tocsin.decide.story import tell

RENEWALS = 3
"""So often a tier may let its acknowledgement expire; then the next one is entered."""
Limit = Literal["Acknowledge", "Deputy", "Contain", "Decide"]
WORDS: dict[Limit, str] = {
    "Acknowledge": "acknowledge",
    "Deputy": "acknowledge through the deputy",
    "Contain": "contain",
    "Decide": "decide",
}
"""What is to be done by each."""


def enter(s: Situation, status: IncidentStatus, name: str, reason: str) -> IncidentStatus:
    """Enter a tier now; entering it twice changes nothing."""
    tier = next((tier for tier in s.rules.tiers if tier.name == name), None)
    if tier is None or any(entered.name == name for entered in status.tiers):
        return status
    entered = TierStatus(
        name=name,
        entered_time=s.now,
        reason=clip(reason, 1024),
        accountable=tier.accountable,
        acknowledge_deadline=_after(s.now, tier.acknowledge_within),
        contain_deadline=_after(s.now, tier.contain_within),
        decide_deadline=_after(s.now, tier.decide_within),
    )
    order = {tier.name: place for place, tier in enumerate(s.rules.tiers)}
    tiers = tuple(sorted((*status.tiers, entered), key=lambda one: order.get(one.name, -1)))
    changed = status.model_copy(update={"tiers": tiers, "tier": tiers[-1].name})
    return tell(changed, s.now, [f"tier {name} entered: {reason}"])


def _after(now: datetime, span: timedelta | None) -> datetime | None:
    return None if span is None else now + span


def next_after(rules: Rules, status: IncidentStatus) -> str | None:
    """The first tier after the highest that was entered; None after the last."""
    names = [tier.name for tier in rules.tiers]
    entered = [names.index(tier.name) for tier in status.tiers if tier.name in names]
    place = max(entered, default=-1) + 1
    return names[place] if place < len(names) else None


def miss_deadlines(s: Situation, status: IncidentStatus) -> IncidentStatus:
    """Record each deadline that has passed unmet, with how late it was noticed, and page the deputies."""
    lines = []
    tiers = []
    for tier in status.tiers:
        late = [
            (duty, deadline)
            for duty, deadline in open_deadlines(tier, status)
            if deadline <= s.now and duty not in tier.missed
        ]
        for duty, deadline in late:
            delay = s.now - deadline
            noticed = f", noticed {format_duration(delay)} late" if delay >= timedelta(seconds=5) else ""
            lines.append(f"tier {tier.name} missed its deadline to {WORDS[duty]} by {format_time(deadline)}{noticed}")
        missed = tuple(dict.fromkeys((*tier.missed, *(duty for duty, _ in late))))
        update: dict[str, object] = {"missed": missed}
        rule = tier_of(s.rules, tier.name)
        if (
            rule
            and any(duty == "Acknowledge" for duty, _ in late)
            and (stand_in := _deputy(s, accountable_of(tier, rule)))
        ):
            update |= {"deputy": stand_in.member.user, "deputy_deadline": _after(s.now, rule.acknowledge_within)}
            lines.append(f"tier {tier.name}: {stand_in.member.name}, the deputy, is paged")
        tiers.append(tier.model_copy(update=update) if late else tier)
    return tell(status.model_copy(update={"tiers": tuple(tiers)}), s.now, lines)


def expire_acknowledgements(s: Situation, status: IncidentStatus) -> IncidentStatus:
    """Page each tier again that has acknowledged and not gone on, while the harm goes on; its time begins anew."""
    if _harmless(status) or _progress(s.incident.status) != _progress(status):
        return status
    lines, tiers = [], []
    for tier in status.tiers:
        rule, until = tier_of(s.rules, tier.name), tier.acknowledgement_expire_time
        if rule is None or until is None or tier.acknowledged_time is None or until > s.now:
            tiers.append(tier)
            continue
        update: dict[str, object] = {
            "acknowledged_by": None,
            "acknowledged_time": None,
            "acknowledgement_expire_time": None,
            "acknowledge_deadline": _after(s.now, rule.acknowledge_within),
            **forgiven(tier),
            "renewals": tier.renewals + 1,
        }
        span = format_duration(rule.acknowledgement_expires)
        words = f"the acknowledgement by {tier.acknowledged_by} expired after {span} without progress"
        lines.append(f"tier {tier.name}: {words}")
        tiers.append(tier.model_copy(update=update))
    return tell(status.model_copy(update={"tiers": tuple(tiers)}), s.now, lines)


def forgiven(tier: TierStatus) -> dict[str, object]:
    """What changes when somebody is asked, or answers, anew: the silence before, and who was paged for it, is over."""
    missed = tuple(one for one in tier.missed if one not in ("Acknowledge", "Deputy"))
    return {"deputy": None, "deputy_deadline": None, "missed": missed, "carried": False}


def hold_acknowledgements(s: Situation, before: IncidentStatus, status: IncidentStatus) -> IncidentStatus:
    """Have acknowledgements hold from now on: those that are new, and all when there was progress."""
    known = {tier.name: tier.acknowledged_time for tier in before.tiers}
    progress = _progress(before) != _progress(status)

    def held(tier: TierStatus) -> TierStatus:
        rule = tier_of(s.rules, tier.name)
        fresh = progress or known.get(tier.name) != tier.acknowledged_time
        if rule is None or tier.acknowledged_time is None or not fresh:
            return tier
        return tier.model_copy(update={"acknowledgement_expire_time": s.now + rule.acknowledgement_expires})

    return status.model_copy(update={"tiers": tuple(held(tier) for tier in status.tiers)})


def expiring(status: IncidentStatus) -> list[datetime]:
    """When acknowledgements expire, while they can."""
    times = [tier.acknowledgement_expire_time for tier in status.tiers if tier.acknowledged_time]
    return [] if _harmless(status) else [time for time in times if time]


def _harmless(status: IncidentStatus) -> bool:
    """Whether nobody needs to be woken for it: the model does no harm at present, or its parent pages."""
    ended = status.recovered_time is not None or status.resolved_time is not None
    return ended or is_contained(status) or is_led(status)


def is_led(status: IncidentStatus) -> bool:
    """Whether its parent pages in its place; at SEV1 it pages all the same."""
    return status.parent is not None and not status.pages_itself and status.severity is not Severity.SEV1


def stands_alone(before: IncidentStatus, after: IncidentStatus) -> bool:
    """Whether its parent does not page in its place any more."""
    return is_led(before) and not is_led(after) and after.resolved_time is None and before.episode == after.episode


def stand_alone(s: Situation, status: IncidentStatus) -> IncidentStatus:
    """Give its people their whole time to acknowledge when they are paged for it at last."""
    if not stands_alone(s.incident.status, status):
        return status

    def anew(tier: TierStatus) -> TierStatus:
        rule = tier_of(s.rules, tier.name)
        if rule is None:
            return tier
        if tier.acknowledged_time:
            return tier.model_copy(update={"acknowledgement_expire_time": s.now + rule.acknowledgement_expires})
        due = {"acknowledge_deadline": _after(s.now, rule.acknowledge_within)}
        return tier.model_copy(update=due | forgiven(tier))

    return status.model_copy(update={"tiers": tuple(anew(tier) for tier in status.tiers)})


def _progress(status: IncidentStatus) -> Hashable:
    """What changes when somebody or something goes on."""
    heard = max((record.time for record in status.decisions if record.counted), default=None)
    counted = sum(record.counted for record in status.decisions)
    steps = tuple((one.name, one.state, one.attempt, one.settled_time) for one in status.containment)
    return heard, counted, steps, status.recovered_time


def _deputy(s: Situation, role: str) -> Duty | None:
    """Who stands in for whoever is on duty for a role."""
    duty = on_duty(s.roster, role, s.now)
    return deputy(s.roster, duty, s.now) if duty else None


def newly_missed(before: IncidentStatus, after: IncidentStatus) -> list[Limit]:
    """The duties whose deadlines were found missed between two statuses, each as often as it was."""
    known = {(before.episode, tier.name, duty) for tier in before.tiers for duty in tier.missed}
    return [duty for tier in after.tiers for duty in tier.missed if (after.episode, tier.name, duty) not in known]


def open_deadlines(tier: TierStatus, status: IncidentStatus) -> list[tuple[Limit, datetime]]:
    """The deadlines of a tier that nobody has met, whether they have passed or not."""
    found: list[tuple[Limit, datetime]] = []
    if tier.acknowledged_time is None and not is_led(status):
        found += [("Acknowledge", tier.acknowledge_deadline)] if tier.acknowledge_deadline else []
        found += [("Deputy", tier.deputy_deadline)] if tier.deputy_deadline else []
    if tier.contain_deadline and not is_contained(status) and status.recovered_time is None:
        found.append(("Contain", tier.contain_deadline))
    if tier.decide_deadline and tier.decided_time is None:
        found.append(("Decide", tier.decide_deadline))
    return found


def is_contained(status: IncidentStatus) -> bool:
    """Whether a containment was written, read back and holds, and the workload has followed."""
    holding = (OptionState.EXECUTED, OptionState.HELPED, OptionState.CANNOT_TELL)
    return any(record.state in holding and record.settled_time is not None for record in status.containment)


def enter_tiers(s: Situation, status: IncidentStatus) -> IncidentStatus:
    """Enter every tier that the severity asks for, and at most one more for what another has not done."""
    severity = status.severity
    for tier in s.rules.tiers:
        if severity and severity.at_least(tier.severity):
            status = enter(s, status, tier.name, f"severity {severity} (this tier is for {tier.severity} or worse)")
    names = [tier.name for tier in s.rules.tiers]
    for place, name in enumerate(names[:-1]):
        missed = next((_final(tier) for tier in status.tiers if tier.name == name), ())
        follower = names[place + 1]
        idle = any(tier.name == name and tier.renewals >= RENEWALS for tier in status.tiers)
        if any(tier.name == follower for tier in status.tiers):
            continue
        if missed:
            duties = ", ".join(WORDS[duty] for duty in missed)
            return enter(s, status, follower, f"tier {name} missed its deadline to {duties}")
        if idle:
            return enter(s, status, follower, f"tier {name} acknowledged {RENEWALS} times without progress")
    return status


def _final(tier: TierStatus) -> tuple[Limit, ...]:
    """The missed deadlines that call for the next tier: not the one to acknowledge while a deputy has time to."""
    return tuple(duty for duty in tier.missed if duty != "Acknowledge" or tier.deputy is None)


def accountable_of(tier: TierStatus, rule: Tier) -> str:
    """The role that answers for a tier now."""
    return tier.accountable or rule.accountable


def tier_of(rules: Rules, name: str) -> Tier | None:
    """A tier of the rules, by its name."""
    return next((tier for tier in rules.tiers if tier.name == name), None)
