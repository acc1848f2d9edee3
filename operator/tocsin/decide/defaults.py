"""The windows of a signal by its kind, and the cut of a policy to one model, with every default filled in.

The numbers are the trigger practice that the docs publish: latency and errors within minutes, labels and drift by the
hour, because that is how fast each kind of evidence comes in.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from tocsin.api.containment import Option
from tocsin.api.policy import (
    EscalationPolicy,
    NoDataRule,
    OnNoData,
    PolicyModel,
    Rules,
    Signal,
    SignalDefaults,
    SignalKind,
)
from tocsin.api.quantities import Comparison

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Practice:
    """The windows of one kind of signal."""

    every: timedelta
    for_: timedelta
    recover_after: timedelta
    min_samples: int | None
    no_data_after: timedelta
    no_data_then: OnNoData


PRACTICE: dict[SignalKind, Practice] = {
    SignalKind.LATENCY: Practice(MINUTE, 5 * MINUTE, 10 * MINUTE, 100, 10 * MINUTE, OnNoData.ALERT),
    SignalKind.ERRORS: Practice(MINUTE, 5 * MINUTE, 10 * MINUTE, 100, 10 * MINUTE, OnNoData.ALERT),
    SignalKind.SAFETY: Practice(MINUTE, 5 * MINUTE, 15 * MINUTE, 500, 10 * MINUTE, OnNoData.ALERT),
    SignalKind.QUALITY: Practice(HOUR, 2 * HOUR, 2 * HOUR, 500, 4 * HOUR, OnNoData.HOLD),
    SignalKind.DATA_QUALITY: Practice(5 * MINUTE, 15 * MINUTE, 15 * MINUTE, 500, HOUR, OnNoData.HOLD),
    SignalKind.DRIFT: Practice(HOUR, 2 * HOUR, 2 * HOUR, 500, 4 * HOUR, OnNoData.HOLD),
    SignalKind.FRESHNESS: Practice(5 * MINUTE, 15 * MINUTE, 10 * MINUTE, None, 30 * MINUTE, OnNoData.ALERT),
    SignalKind.VOLUME: Practice(5 * MINUTE, 15 * MINUTE, 15 * MINUTE, None, 15 * MINUTE, OnNoData.ALERT),
    SignalKind.FAIRNESS: Practice(HOUR, 2 * HOUR, 3 * HOUR, 100, 4 * HOUR, OnNoData.HOLD),
    SignalKind.CUSTOM: Practice(MINUTE, 5 * MINUTE, 10 * MINUTE, None, 30 * MINUTE, OnNoData.HOLD),
}


@dataclass(frozen=True, slots=True)
class SignalRule:
    """A signal with every default filled in: what the evaluation goes by."""

    name: str
    kind: SignalKind
    warn: Comparison
    critical: Comparison | None
    recover: Comparison
    every: timedelta
    for_: timedelta
    recover_after: timedelta
    min_samples: int | None
    no_data_after: timedelta
    no_data_then: OnNoData

    @classmethod
    def of(cls, signal: Signal) -> SignalRule:
        """The rule of a signal as the user wrote it."""
        practice = PRACTICE[signal.kind]
        no_data = signal.no_data or NoDataRule()
        return cls(
            name=signal.name,
            kind=signal.kind,
            warn=signal.warn,
            critical=signal.critical,
            recover=signal.recover or signal.warn.negated(),
            every=_or(signal.every, practice.every),
            for_=_or(signal.for_, practice.for_),
            recover_after=_or(signal.recover_after, practice.recover_after),
            min_samples=(signal.samples.min or practice.min_samples or 1) if signal.samples else None,
            no_data_after=_or(no_data.after, practice.no_data_after),
            no_data_then=no_data.then or practice.no_data_then,
        )

    def shown(self) -> SignalDefaults:
        """The windows as the policy's status shows them."""
        return SignalDefaults(
            name=self.name,
            every=self.every,
            for_=self.for_,
            recover_after=self.recover_after,
            recover=self.recover,
            min_samples=self.min_samples,
            no_data_after=self.no_data_after,
            no_data_then=self.no_data_then,
        )


def _or(span: timedelta | None, default: timedelta) -> timedelta:
    return default if span is None else span


def digest(value: Any) -> str:
    """The sha256 of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def option_digest(policy: EscalationPolicy, option: Option) -> str:
    """What an authorisation binds to: the option, and everything that it may be done to."""
    targets = sorted(
        [model.name, model.target.api_version, model.target.kind, model.target.name]
        for model in policy.spec.models
        if model.target
    )
    return digest([policy.metadata.namespace, policy.metadata.name, option.dump(), targets])


def _filled(signal: Signal) -> Signal:
    rule = SignalRule.of(signal)
    return signal.model_copy(
        update={
            "basis": None,  # nothing goes by it, and an incident must stay small
            "recover": rule.recover,
            "every": rule.every,
            "for_": rule.for_,
            "recover_after": rule.recover_after,
            "samples": signal.samples and signal.samples.model_copy(update={"min": rule.min_samples}),
            "no_data": NoDataRule(after=rule.no_data_after, then=rule.no_data_then),
        }
    )


def freeze(policy: EscalationPolicy, model: PolicyModel) -> Rules:
    """The policy cut to one model: what an incident of it goes by, whatever becomes of the policy."""
    spec = policy.spec
    return Rules(
        mode=spec.mode,
        prometheus=spec.prometheus,
        model=model,
        risk=spec.risk,
        signals=tuple(_filled(signal) for signal in spec.signals),
        containment=spec.containment if model.target else (),
        digests={option.name: option_digest(policy, option) for option in spec.containment} if model.target else {},
        tiers=spec.tiers,
        messages=spec.messages,
        reopen_window=spec.reopen_window,
        clocks=spec.clocks,
    )


def number_of(value: Decimal) -> str:
    """How many, in words that may leave the cluster: a small group of people is not told from another."""
    return "<10" if 0 < value < 10 else number(value)


def number(value: Decimal) -> str:
    """A number as a person reads it: four significant digits, in exponents only where it would be a row of zeros."""
    if not value.is_finite():
        return "+Inf" if value > 0 else "-Inf"
    if value and value.adjusted() not in range(-9, 15):
        return f"{value:.3e}"
    rounded = value.quantize(Decimal(1)) if abs(value) >= 10_000 else Decimal(f"{value:.4g}")
    return f"{rounded:f}"
