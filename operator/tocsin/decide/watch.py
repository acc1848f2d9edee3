"""What the incident's signals do: which are sustained, which have recovered, and how bad that makes it."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from tocsin.api.decision import Impact, LegalExposure, Materiality
from tocsin.api.incident import Classification, IncidentStatus, OptionState, Score, SignalState, SignalStatus
from tocsin.api.objects import Severity, clip
from tocsin.api.policy import OnNoData, SignalKind
from tocsin.decide import signals
from tocsin.decide.clocks import STARTED
from tocsin.decide.defaults import SignalRule
from tocsin.decide.severity import CAPPED, Evidence, as_decimal, as_fraction, is_unfair, rounded, score
from tocsin.decide.situation import Failed, Measured, Memory, NoData, Situation
from tocsin.decide.story import tell

WORDS = 400
"""So many characters has a signal's message: a failed query quotes its server."""
FAILED_STATES = (OptionState.FAILED, OptionState.DID_NOT_HELP, OptionState.REVERTED)


def watch_signals(s: Situation, status: IncidentStatus) -> IncidentStatus:
    """Update each signal: sustained and missing are latches, which only a recovery opens."""
    old = {signal.name: signal for signal in status.signals}
    now_known, lines = [], []
    for signal in s.rules.signals:
        rule = SignalRule.of(signal)
        before = old.get(signal.name) or SignalStatus(name=signal.name, state=SignalState.UNKNOWN)
        memory = s.signals.get(signal.name)
        after = _after(before, rule, memory) if memory else before
        now_known.append(after)
        if (before.sustained, before.missing) != (after.sustained, after.missing):
            lines.append(f"signal {after.name}: {_turn(before, after)}: {after.message}")
    return tell(status.model_copy(update={"signals": tuple(now_known)}), s.now, lines)


def _after(before: SignalStatus, rule: SignalRule, memory: Memory) -> SignalStatus:
    recovered = signals.has_recovered(memory, rule)
    sustained = (before.sustained and not recovered) or signals.is_sustained(memory, rule)
    alerts = rule.no_data_then is OnNoData.ALERT
    missing = (before.missing and not recovered) or (alerts and signals.is_missing(memory, rule))
    severity = before.severity
    if isinstance(memory.reading, Measured):
        severity = as_decimal(signals.severity(rule, memory.reading.value))
    return SignalStatus(
        name=rule.name,
        state=_state(before, rule, memory, sustained),
        sustained=sustained,
        missing=missing,
        value=memory.last.value if memory.last else None,
        time=memory.last_at,
        severity=severity if sustained else None,
        since=memory.breaching_since or (memory.no_data_since if missing else None),
        message=clip(signals.describe(memory, rule), WORDS),
    )


def _state(before: SignalStatus, rule: SignalRule, memory: Memory, sustained: bool) -> SignalState:
    match memory.reading:
        case NoData():
            return SignalState.NO_DATA
        case Failed():
            return SignalState.ERROR
        case Measured():
            if signals.is_sustained(memory, rule) or (sustained and signals.is_breaching(memory, rule)):
                return SignalState.FIRING
            if signals.is_breaching(memory, rule):
                return SignalState.PENDING
            was_bad = before.sustained or before.missing or before.state is SignalState.RECOVERED
            if was_bad and signals.has_recovered(memory, rule):
                return SignalState.RECOVERED
            return SignalState.GOOD


def _turn(before: SignalStatus, after: SignalStatus) -> str:
    if after.sustained and not before.sustained:
        return "sustained"
    if after.missing and not before.missing:
        return "missing"
    return "recovered"


def assess(s: Situation, status: IncidentStatus) -> IncidentStatus:
    """Compute the risk and the severity; the severity goes up by itself and down only by a Decision.

    After a lowering it rises again only when what is computed now is worse than what was computed then, or when a
    floor holds that did not hold then. The score that is shown is the worst of the episode: it explains the severity.
    An incident that was opened and not looked at yet, taken over before its signals are known again, is not scored.
    """
    if status.severity is None and not _is_known(status):
        return status
    computed = compute(s, status)
    floors = [floor for floor in computed.floors if floor != CAPPED]
    lowered, severity = status.lowered, computed.severity
    if status.severity:
        worse = lowered is None or (
            computed.severity.value < lowered.computed.value or any(floor not in lowered.floors for floor in floors)
        )
        severity = Severity.worst([status.severity, computed.severity]) if worse else status.severity
    shown = _worst(status.score, computed) if status.severity is severity else computed
    update: dict[str, object] = {"score": shown, "risk": rounded(shown.risk), "severity": severity}
    lines = []
    if severity is not status.severity:
        rises = "severity" if status.severity is None else f"severity rises from {status.severity} to"
        why = "; ".join(computed.floors)
        lines.append(f"{rises} {severity}: risk {computed.risk}{f', {why}' if why else ''}")
        if lowered:
            update["lowered"] = None
    return tell(status.model_copy(update=update), s.now, lines)


def _is_known(status: IncidentStatus) -> bool:
    """Whether there is something to score, or nothing left to be found out."""
    if status.cause == "Report" or any(signal.sustained or signal.missing for signal in status.signals):
        return True
    return all(signal.state is not SignalState.UNKNOWN for signal in status.signals)


def _worst(before: Score | None, computed: Score) -> Score:
    return computed if before is None or computed.risk >= before.risk else before


def compute(s: Situation, status: IncidentStatus) -> Score:
    """The score as it is now, whatever the severity was raised or lowered to."""
    evidence = Evidence(
        signals=_severities(s, status),
        floors=_floors(s, status),
        affected=s.affected,
        failed_containment=any(record.state in FAILED_STATES for record in status.containment),
        missed_deadlines=sum(len(tier.missed) for tier in status.tiers) + sum(one.overdue for one in status.clocks),
        recurs=s.recurs,
    )
    return score(s.rules.risk, evidence)


def _severities(s: Situation, status: IncidentStatus) -> dict[str, Fraction]:
    found = {}
    rules = {signal.name: SignalRule.of(signal) for signal in s.rules.signals}
    for signal in status.signals:
        memory = s.signals.get(signal.name)
        if not signal.sustained:
            continue
        if memory and isinstance(memory.reading, Measured):
            found[signal.name] = signals.severity(rules[signal.name], memory.reading.value)
        else:
            found[signal.name] = as_fraction(signal.severity)
    return {name: severity for name, severity in found.items() if severity > 0}


def _floors(s: Situation, status: IncidentStatus) -> dict[str, Severity]:
    floors: dict[str, Severity] = {}
    rules = {signal.name: signal for signal in s.rules.signals}
    for signal in status.signals:
        rule = rules.get(signal.name)
        if signal.missing:
            floors[f"signal {signal.name} has no data: at least SEV3"] = Severity.SEV3
        if not signal.sustained or rule is None:
            continue
        if rule.floor:
            floors[f"signal {signal.name} is sustained: at least {rule.floor}, by the policy"] = rule.floor
        if rule.kind is SignalKind.FAIRNESS and _was_unfair(s.signals.get(signal.name)):
            floors[f"fairness ratio {signal.name} below 0.8: at least SEV1"] = Severity.SEV1
    if status.cause == "Report":
        floors["reported by a person: at least SEV3"] = Severity.SEV3
    for judged in _grave(status.classification):
        floors[f"{judged}: at least SEV2"] = Severity.SEV2
    for clock in status.clocks:
        if clock.state in STARTED:
            floors[f"clock {clock.name} was started: at least SEV2"] = Severity.SEV2
    if status.children:
        floors[f"3 models or more fail of one upstream cause ({status.upstream}): at least SEV2"] = Severity.SEV2
    for who in s.harm_told_by:
        floors[f"harm reported by {who}: at least SEV1"] = Severity.SEV1
    return floors


def _grave(judged: Classification | None) -> Iterator[str]:
    """What a person judged so that compliance and counsel must know; who has judged is no part of it."""
    if judged and judged.impact is Impact.SEVERE:
        yield "impact judged as Severe"
    if judged and judged.legal_exposure is LegalExposure.LIKELY:
        yield "legal exposure judged as Likely"
    if judged and judged.materiality is Materiality.MATERIAL:
        yield "judged as Material"


def _was_unfair(memory: Memory | None) -> bool:
    return memory is not None and isinstance(memory.reading, Measured) and is_unfair(memory.reading)
