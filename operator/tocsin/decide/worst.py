"""How bad an incident of a policy can get: a tier that nothing can reach is a mistake in the policy."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction

from tocsin.api.objects import Severity
from tocsin.api.policy import EscalationPolicySpec, SignalKind
from tocsin.decide.severity import AFFECTED_BANDS, Evidence, score

LIMITS = 3
"""So many missed deadlines count."""


def worst_severity(spec: EscalationPolicySpec) -> Severity:
    """The severity of the worst incident: every signal at its worst, every modifier, and every floor."""
    signals = {one.name: Fraction(1) if one.critical else Fraction(2, 5) for one in spec.signals}
    floors = {f"signal {one.name}": one.floor for one in spec.signals if one.floor}
    floors |= {f"fairness of {one.name}": Severity.SEV1 for one in spec.signals if one.kind is SignalKind.FAIRNESS}
    floors |= {f"clock {one.preset}": Severity.SEV2 for one in spec.clocks}
    affected = Decimal(AFFECTED_BANDS[-1]) if spec.risk.affected else None
    evidence = Evidence(
        signals=signals,
        floors=floors,
        affected=affected,
        failed_containment=bool(spec.containment),
        missed_deadlines=LIMITS,
        recurs=True,
    )
    return score(spec.risk, evidence).severity


def unreachable_tiers(spec: EscalationPolicySpec) -> Iterator[tuple[str, str]]:
    """Tiers that neither a severity nor a deadline of the one before enters, each with the reason."""
    worst, entered = worst_severity(spec), True
    for place, tier in enumerate(spec.tiers):
        before = spec.tiers[place - 1] if place else None
        deadlines = before and (before.acknowledge_within or before.contain_within or before.decide_within)
        entered = worst.at_least(tier.severity) or bool(entered and (deadlines or spec.clocks))
        if not entered:
            words = f"no incident is worse than {worst}, and it is for {tier.severity}"
            after = f"; tier {before.name} has no deadline to miss" if before else ""
            yield tier.name, words + after
