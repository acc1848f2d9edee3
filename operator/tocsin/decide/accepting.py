"""What is wrong with the clocks that a policy asks for, and who stands for their numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from difflib import get_close_matches

from tocsin.api.clock import ClockAcceptance, PolicyClock
from tocsin.api.decision import Decision
from tocsin.api.objects import Finding, clip
from tocsin.api.policy import EscalationPolicy, EscalationPolicySpec
from tocsin.decide.calendars import calendar_of
from tocsin.decide.clocks import accepts
from tocsin.decide.presets import PRESETS, Preset, chain

AHEAD = timedelta(days=366)
"""So far ahead a calendar must know its holidays."""


def clock_problems(spec: EscalationPolicySpec, now: datetime) -> Iterator[str]:
    """What is wrong with the clocks of a policy: each problem names the field and what to do."""
    for place, clock in enumerate(spec.clocks):
        preset, field = PRESETS.get(clock.preset), f"spec.clocks[{place}]"
        if preset is None:
            near = get_close_matches(clock.preset, PRESETS, 1)
            meant = f"did you mean {near[0]}?" if near else "docs/how-to/clocks.md lists them"
            yield f"{field}.preset: there is no clock {clock.preset}: {meant}"
        elif preset.follows:
            *_, first = _before(preset)
            yield f"{field}.preset: {preset.name} starts by itself when {preset.follows} is submitted: name {first}"
        else:
            yield from (f"{field}.calendar: {problem}" for problem in _of_calendar(preset, clock, now))


def _before(preset: Preset) -> Iterator[str]:
    """The clocks that a clock follows, the first one last."""
    while preset.follows:
        preset = PRESETS[preset.follows]
        yield preset.name


def _of_calendar(preset: Preset, clock: PolicyClock, now: datetime) -> Iterator[str]:
    if not preset.counts_business_days:
        if clock.calendar:
            yield f"{preset.name} counts no business days: leave it out"
        return
    if clock.calendar is None:
        yield f"{preset.name} counts business days: name a calendar, for example US, DE-BY, NYSE or ECB"
        return
    known = calendar_of(clock.calendar)
    if known is None:
        yield f"there is no calendar {clock.calendar}: name a country (US), a part of one (DE-BY) or a market (NYSE)"
    elif now.year < known.last_year and known.covers((now + AHEAD).date()):
        return
    else:
        years = f"knows the holidays of {known.first_year} to {known.last_year}"
        yield f"{clock.calendar} {years}: beyond them weekends alone are left out; name another calendar"


def acceptances(policy: EscalationPolicy, decisions: Sequence[Decision]) -> tuple[ClockAcceptance, ...]:
    """The clocks of a policy and those that follow them, with who has accepted each as it is now."""
    presets = {preset.name: preset for clock in policy.spec.clocks for preset in chain(clock.preset)}
    return tuple(_acceptance(policy, preset, decisions) for preset in presets.values())


def _acceptance(policy: EscalationPolicy, preset: Preset, decisions: Iterable[Decision]) -> ClockAcceptance:
    mine = [
        one
        for one in decisions
        if accepts(one, preset.name)
        and one.spec.policy_ref is not None
        and one.spec.policy_ref.uid == policy.metadata.uid
    ]
    last = max(mine, key=lambda one: (str(one.metadata.creation_timestamp), one.metadata.name), default=None)
    return ClockAcceptance(
        name=preset.name,
        evidence=preset.evidence,
        digest=preset.digest(),
        accepted_by=last.spec.by if last else None,
        accepted_time=last.metadata.creation_timestamp if last else None,
    )


def clocks_accepted(policy: EscalationPolicy, clocks: Iterable[ClockAcceptance]) -> Finding:
    """Whether somebody stands for the numbers of every clock whose data was not read in primary texts alone."""
    lacking = [one for one in clocks if one.accepted_by is None and PRESETS[one.name].needs_acceptance]
    if not lacking:
        message = "the numbers of every clock were read in a primary text, or somebody has accepted them"
        return Finding(type="ClocksAccepted", status="True", reason="Accepted", message=message)
    names = ", ".join(f"{one.name} ({one.evidence})" for one in lacking)
    command = f"kubectl tocsin clock accept {policy.metadata.name} --clock {lacking[0].name} -n"
    message = f"nobody has accepted the numbers of {names}; read the text, then: {command} {policy.metadata.namespace}"
    return Finding(type="ClocksAccepted", status="False", reason="NotAccepted", message=clip(message, 1024))
