"""When a revision has proved healthy."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from tocsin.api.policy import Rules
from tocsin.decide.situation import Memory, Revision, TargetView

LOOK = timedelta(minutes=10)


def good_for(rules: Rules, memories: Mapping[str, Memory], now: datetime) -> timedelta | None:
    """How long a revision must have been rolled out, if every signal has been good for that long; else None."""
    spans = [
        option.roll_back.healthy_after
        for option in rules.containment
        if option.roll_back and option.roll_back.to == "LastHealthy"
    ]
    if not spans:
        return None
    healthy_after = max(spans)
    for signal in rules.signals:
        memory = memories.get(signal.name)
        if memory is None or memory.good_since is None or memory.at - memory.good_since < healthy_after:
            return None
    return healthy_after


def to_mark(view: TargetView, healthy_after: timedelta, now: datetime) -> Revision | None:
    """The revision that runs, if it has been fully rolled out for long enough and is not marked yet."""
    if view.complete_since is None or now - view.complete_since < healthy_after or view.replicas == 0:
        return None
    running = next((one for one in view.revisions if one.template_hash == view.current_hash), None)
    return running if running is not None and not running.healthy else None


def next_look(view: TargetView, healthy_after: timedelta, now: datetime) -> datetime:
    """When it is worth looking again, unless the target changes before."""
    if view.complete_since is not None and now - view.complete_since < healthy_after:
        return min(view.complete_since, now) + healthy_after
    return now + LOOK
