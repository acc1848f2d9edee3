"""Which maintenance freeze of a policy is in force, and when that changes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tocsin.api.containment import Freeze
from tocsin.api.objects import clip
from tocsin.api.policy import EscalationPolicySpec
from tocsin.api.quantities import format_time


def freeze_in_force(freezes: Sequence[Freeze], now: datetime) -> Freeze | None:
    """Of those that have begun and are not over, the one that lasts longest."""
    return max((one for one in freezes if one.from_ <= now < one.until), key=lambda one: one.until, default=None)


def words_of(freeze: Freeze) -> str:
    """Why nothing is contained, and until when."""
    return clip(f"freeze {freeze.name} until {format_time(freeze.until)}: {freeze.reason}", 500)


def freezes_over(spec: EscalationPolicySpec, now: datetime) -> list[str]:
    """The freezes that are over, each with what to do."""
    return [
        f"spec.freezes[{place}]: {one.name} is over since {format_time(one.until)}: remove it"
        for place, one in enumerate(spec.freezes)
        if one.until <= now
    ]
