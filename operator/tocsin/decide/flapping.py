"""Does a model go to and fro between breach and recovery? Then people are told that once, and not of every change."""

from __future__ import annotations

from datetime import datetime, timedelta

from tocsin.api.incident import IncidentStatus, TierStatus
from tocsin.api.quantities import format_time
from tocsin.decide.silences import is_mild
from tocsin.decide.situation import Situation
from tocsin.decide.story import tell
from tocsin.decide.tiers import forgiven, tier_of

SPAN = timedelta(hours=2)
"""Within so long it begins, and after so long without a change it is over."""
FEW = 3
"""So many changes are flapping."""
SWINGS = 8
"""So many changes are remembered."""


def follow_flapping(s: Situation, before: IncidentStatus, status: IncidentStatus) -> IncidentStatus:
    """Note a change between breach and recovery, and say when it begins to flap, and when it is steady again."""
    swings = (*before.swings, *_swings(s, before, status))[-SWINGS:]
    since = before.flapping_since
    steady = not swings or s.now - swings[-1] >= SPAN or status.resolved_time is not None
    lines = []
    if since is None and not steady and _flaps(swings):
        since = s.now
        lines.append(f"flapping: {words_of(swings, s.now)}")
    elif since is not None and steady:
        since = None
        lines += [] if status.resolved_time else ["steady again: for 2h nothing changed between breach and recovery"]
    return tell(status.model_copy(update={"swings": swings, "flapping_since": since}), s.now, lines)


def _swings(s: Situation, before: IncidentStatus, status: IncidentStatus) -> tuple[datetime, ...]:
    """The changes of this instant; to open soon after another incident of the pair is one."""
    if before.opened_time is None and status.opened_time:
        lately = tuple(at for at in s.swung if s.now - at <= SPAN)
        return (*lately, s.now) if lately else ()
    if status.episode != before.episode or (status.recovered_time and not before.recovered_time):
        return (s.now,)
    return ()


def _flaps(swings: tuple[datetime, ...]) -> bool:
    return len(swings) >= FEW and swings[-1] - swings[-FEW] <= SPAN


def words_of(swings: tuple[datetime, ...], now: datetime) -> str:
    """How often it changed lately, in words."""
    lately = [at for at in swings if now - at <= SPAN]
    count = f"{len(lately)}{' or more' if len(lately) >= SWINGS else ''}"
    return f"{count} changes between breach and recovery within 2h, the last at {format_time(swings[-1])}"


def steady_at(s: Situation, status: IncidentStatus) -> datetime | None:
    """When it is steady again if nothing changes; None when it does not flap."""
    if status.flapping_since is None or not status.swings:
        return None
    return min(status.swings[-1], s.now) + SPAN


def carry_acknowledgements(s: Situation, before: IncidentStatus, status: IncidentStatus) -> IncidentStatus:
    """Have whoever acknowledged go on with the next episode while it flaps, of which they are not told.

    At SEV2 they are told, and have to acknowledge it anew.
    """
    if status.resolved_time:
        return status
    if not is_mild(status):
        return _asked_anew(s, status)
    if status.episode == before.episode or before.flapping_since is None:
        return status
    known = {tier.name: tier for tier in before.tiers if tier.acknowledged_time}
    lines, tiers = [], []
    for tier in status.tiers:
        was = known.get(tier.name)
        if was and tier.acknowledged_time is None:
            lines.append(f"tier {tier.name}: the acknowledgement by {was.acknowledged_by} goes on while it flaps")
            update = {"acknowledged_by": was.acknowledged_by, "acknowledged_time": was.acknowledged_time}
            tier = tier.model_copy(update=update | {"carried": True})
        tiers.append(tier)
    return tell(status.model_copy(update={"tiers": tuple(tiers)}), s.now, lines)


def _asked_anew(s: Situation, status: IncidentStatus) -> IncidentStatus:
    """Take back what was acknowledged before the episode began."""

    def anew(tier: TierStatus) -> TierStatus:
        rule = tier_of(s.rules, tier.name)
        if rule is None or not tier.carried:
            return tier
        due = s.now + rule.acknowledge_within if rule.acknowledge_within is not None else None
        update = {"acknowledged_by": None, "acknowledged_time": None, "acknowledgement_expire_time": None}
        return tier.model_copy(update=update | {"acknowledge_deadline": due} | forgiven(tier))

    return status.model_copy(update={"tiers": tuple(anew(tier) for tier in status.tiers)})
