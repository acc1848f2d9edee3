"""What somebody reads before they attest the rules of a policy."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from tocsin.api.containment import Option, RollBack
from tocsin.api.policy import EscalationPolicy, Signal, Tier
from tocsin.api.quantities import format_duration, format_time
from tocsin.decide.defaults import SignalRule
from tocsin.decide.felt import felt
from tocsin.decide.governed import governed, loosenings


def attested_lines(policy: EscalationPolicy, now: datetime) -> Iterator[str]:
    """The rules that are attested, and in what they are looser than those that were attested last."""
    spec, before = policy.spec, policy.status.attestation
    risk = f"regulatory {spec.risk.regulatory}, reputation {spec.risk.reputation}"
    yield f"{policy.metadata.name}: mode {spec.mode}, {risk}"
    yield f"  attested by {spec.second_line}; {_review(spec.review_by, now)}"
    yield from (line for signal in spec.signals for line in _of_signal(signal))
    yield from (_of_tier(tier) for tier in spec.tiers)
    yield from (line for option in spec.containment for line in _of_option(option))
    if before:
        for words in loosenings(before.rules, governed(spec)):
            yield f"  looser than {before.by} attested: {words}"


def _review(by: datetime | None, now: datetime) -> str:
    if by is None:
        return "no date of review: spec.reviewBy is not set"
    return f"to be reviewed by {format_time(by)}" + (", which has passed" if by <= now else "")


def _of_signal(signal: Signal) -> Iterator[str]:
    rule = SignalRule.of(signal)
    lines = [f"warn {rule.warn}", *([f"critical {rule.critical}"] if rule.critical else []), f"recover {rule.recover}"]
    spans = f"every {format_duration(rule.every)}, for {format_duration(rule.for_)}"
    missing = f"without data for {format_duration(rule.no_data_after)}: {rule.no_data_then}"
    yield f"  signal {rule.name}: {', '.join(lines)}; {spans}; {missing}"
    yield f"    {signal.query}"
    yield f"    basis: {signal.basis or 'none is given: set spec.signals[].basis'}"


def _of_tier(tier: Tier) -> str:
    spans = {
        "acknowledge": tier.acknowledge_within,
        "contain": tier.contain_within,
        "decide": tier.decide_within,
    }
    within = [f"{word} within {format_duration(span)}" for word, span in spans.items() if span is not None]
    return f"  tier {tier.name}: from {tier.severity}, {', '.join(tier.roles)}: {', '.join(within) or 'no deadline'}"


def _of_option(option: Option) -> Iterator[str]:
    rolled = option.roll_back or RollBack()
    what = f"scale to {option.scale.replicas}" if option.scale else f"roll back to {rolled.to}"
    required = 1 if option.approval.required is None else option.approval.required
    yield f"  option {option.name}: {what}, approvals {required}"
    yield from (f"    {line}" for line in felt(option))
