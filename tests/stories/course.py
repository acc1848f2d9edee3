"""How do the stories ask what was seen at an instant?"""

from __future__ import annotations

from datetime import datetime

from tocsin.api.incident import Incident
from tocsin.decide.plan import Contain, Notify
from tocsin.decide.rehearsal import Pass, Rehearsal
from tocsin.decide.situation import Memory


def passes(rehearsal: Rehearsal) -> list[Pass]:
    return [one for moment in rehearsal.moments for one in moment.passes]


def incident_at(rehearsal: Rehearsal, at: datetime) -> Incident | None:
    """The incident as it stood at the end of that instant."""
    return next((one.incident for one in reversed(passes(rehearsal)) if one.at <= at), None)


def memory_at(rehearsal: Rehearsal, signal: str, at: datetime) -> Memory:
    moment = next(moment for moment in rehearsal.moments if moment.at == at)
    return moment.evaluated[signal]


def told(rehearsal: Rehearsal) -> list[tuple[datetime, str, str]]:
    """Who was told what, and when: instant, responder and causes."""
    effects = [(one.at, effect) for one in passes(rehearsal) for effect in one.effects]
    return [(at, effect.notice.responder, effect.notice.cause) for at, effect in effects if isinstance(effect, Notify)]


def acted(rehearsal: Rehearsal) -> list[tuple[datetime, str, bool]]:
    """What was done to the target, and when: instant, option, and whether it was a rehearsal only."""
    effects = [(one.at, effect) for one in passes(rehearsal) for effect in one.effects]
    return [(at, effect.proposal.option, effect.dry_run) for at, effect in effects if isinstance(effect, Contain)]
