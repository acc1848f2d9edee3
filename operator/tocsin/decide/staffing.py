"""Whether somebody is there for a role, now and all week, and can be told."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from tocsin.api.objects import Finding, clip, condition, stamp
from tocsin.api.quantities import format_time
from tocsin.api.responder import Responder, ResponderStatus
from tocsin.decide.roster import Roster, channels_of, cycle, faults, holes, on_duty, reachable, until


def report_responder(responder: Responder, roster: Roster, now: datetime) -> ResponderStatus:
    """The status of a role: whether it can be reached, who is on duty now, and until when."""
    name, generation = responder.metadata.name, responder.metadata.generation
    duty = on_duty(roster, name, now)
    findings = [_reachable(responder, roster), staffed([_hole(roster, name, now)])]
    return ResponderStatus(
        observed_generation=generation,
        on_duty=duty.words_in(name) if duty else None,
        until=until(roster, name, now),
        conditions=stamp(findings, responder.status.conditions, now, generation),
    )


def _reachable(responder: Responder, roster: Roster) -> Finding:
    name = responder.metadata.name
    missing = [one for one in reachable(roster, name) if one not in roster]
    for reason, problem in (
        ("RosterInvalid", "; ".join(faults(responder.spec))),
        ("ResponderMissing", "; ".join(f"Responder {one}, which stands in, does not exist" for one in missing)),
        ("RosterCircle", " → ".join(cycle(roster, name))),
        ("NoChannels", untold(responder)),
    ):
        if problem:
            return Finding(type="Ready", status="False", reason=reason, message=clip(problem, 1024))
    return Finding(type="Ready", status="True", reason="Reachable", message="everybody has a channel")


def untold(responder: Responder) -> str:
    """Who could not be told, for lack of a channel."""
    silent = [one.name for one in responder.spec.members if not channels_of(responder, one.user)]
    return f"no channels, so nobody would be told: {', '.join(silent)}; add spec.channels" if silent else ""


def _hole(roster: Roster, name: str, now: datetime) -> str:
    """When nobody is there for a role within a week, the first such time."""
    hole = next(holes(roster, name, now), None)
    if hole is None or name not in roster:
        return ""
    return f"nobody of Responder {name} is there from {format_time(hole[0])} until {format_time(hole[1])}"


def told_by(responder: Responder | None) -> str | None:
    """When nobody is there for a role, as its own status tells: empty without a hole, None while it tells nothing."""
    found = condition(responder.status.conditions, "Staffed") if responder else None
    if found is None:
        return None
    return found.message if found.status == "False" else ""


def staffed(problems: Iterable[str]) -> Finding:
    """The condition of that name, out of the times in which nobody is there; empty ones are none."""
    if message := "; ".join(filter(None, problems)):
        return Finding(type="Staffed", status="False", reason="Hole", message=clip(message, 1024))
    return Finding(type="Staffed", status="True", reason="Staffed", message="somebody is there at every time this week")
