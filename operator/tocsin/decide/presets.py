"""Which legal clocks there are, with which numbers, from which text.

A reminder and no legal advice: whoever is bound by a law reads it. Each number is pinned to its citation by a test,
and docs/how-to/clocks.md shows this very table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import Literal

from tocsin.api.clock import AnchorType
from tocsin.decide.defaults import digest

AWARE, SUSPECTED, DISCOVERED = AnchorType.AWARE, AnchorType.SUSPECTED, AnchorType.DISCOVERED
DETERMINED, CLASSIFIED, MATERIAL = AnchorType.DETERMINED, AnchorType.CLASSIFIED, AnchorType.MATERIAL
SUBMITTED = AnchorType.SUBMITTED

Evidence = Literal["P", "S", "M", "P/S"]
"""Where a preset's data was found: in a primary text, in a secondary one, in memory."""
SOONEST, LATEST = timedelta(minutes=15), timedelta(hours=24)
"""Between these is the time to determine, if a policy does not say otherwise."""


class Unit(Enum):
    """In what a span is counted."""

    HOURS = "hours"
    CALENDAR_DAYS = "calendar days"
    BUSINESS_DAYS = "business days"
    MONTHS = "months"
    IMMEDIATELY = "immediately"


_ROUGHLY = {
    Unit.HOURS: timedelta(hours=1),
    Unit.CALENDAR_DAYS: timedelta(days=1),
    Unit.BUSINESS_DAYS: timedelta(days=1),
    Unit.MONTHS: timedelta(days=30),
    Unit.IMMEDIATELY: timedelta(),
}


@dataclass(frozen=True, slots=True)
class Span:
    """How long a law gives."""

    amount: int
    unit: Unit

    @property
    def words(self) -> str:
        """As a person says it."""
        unit: str = self.unit.value
        if self.unit is Unit.IMMEDIATELY:
            return unit
        return f"{self.amount} {unit.removesuffix('s') if self.amount == 1 else unit}"

    @property
    def least(self) -> timedelta:
        """About how long that is at least."""
        return self.amount * _ROUGHLY[self.unit]


@dataclass(frozen=True, slots=True)
class Preset:
    """One legal clock as data."""

    name: str
    family: str
    title: str
    limits: tuple[tuple[AnchorType, Span], ...]
    """From each anchor how long; of those that are given the earliest deadline counts."""
    citation: str
    evidence: Evidence
    effective_from: date | None = None
    """Before that day the law does not apply; None where it has for long, or where that is not known for sure."""
    follows: str = ""
    """The clock whose submission starts this one."""
    latest: bool = False
    """Whether the latest of several submissions counts, and not the first."""
    required: tuple[AnchorType, ...] = ()
    """The anchors without which no deadline is known."""
    late: AnchorType | None = None
    """An anchor that counts alone when it lies beyond the limits of the others."""
    zone: str = "UTC"
    """Where its business days begin and end."""

    @property
    def spans(self) -> tuple[Span, ...]:
        """All its spans."""
        return tuple(span for _, span in self.limits)

    @property
    def counts_business_days(self) -> bool:
        """Whether it needs a calendar."""
        return any(span.unit is Unit.BUSINESS_DAYS for span in self.spans)

    @property
    def needs_acceptance(self) -> bool:
        """Whether somebody must accept its numbers, because not all of them were read in a primary text."""
        return self.evidence != "P"

    @property
    def determine_within(self) -> timedelta:
        """How long people have to decide on it, if the policy does not say: a quarter of the span, within bounds."""
        return min(LATEST, max(SOONEST, min(span.least for span in self.spans) / 4))

    @property
    def words(self) -> str:
        """The rule in words."""
        if self.follows:
            which = "latest submission" if self.latest else "submission"
            return f"{self.limits[0][1].words} from the {which} of {self.follows}"
        counted = " or ".join(f"{span.words} from {anchor}" for anchor, span in self.limits)
        late = f"; {self.late} later than that: from {self.late} alone" if self.late else ""
        return f"{counted}{', whichever is first' if len(self.limits) > 1 else ''}{late}"

    def digest(self) -> str:
        """What an acceptance binds to: all the data."""
        limits = [[anchor, span.amount, span.unit.value] for anchor, span in self.limits]
        since = self.effective_from.isoformat() if self.effective_from else None
        rule = [self.follows, self.latest, list(self.required), self.late, self.zone]
        return digest([self.name, self.family, limits, self.citation, self.evidence, since, rule])

    def applies(self, at: datetime) -> bool:
        """Whether the law is in force then."""
        return self.effective_from is None or at.astimezone(UTC).date() >= self.effective_from


def _hours(count: int) -> Span:
    return Span(count, Unit.HOURS)


def _days(count: int) -> Span:
    return Span(count, Unit.CALENDAR_DAYS)


def _business_days(count: int) -> Span:
    return Span(count, Unit.BUSINESS_DAYS)


_MONTH, _AT_ONCE = Span(1, Unit.MONTHS), Span(0, Unit.IMMEDIATELY)
_HIGH_RISK = date(2027, 12, 2)
"""Since when the duties for high-risk systems of Annex III apply, by Reg. (EU) 2026/1744; those of Annex I later. That
was read in a secondary text only, so that the AI Act's clocks need an acceptance although their spans do not."""
_NEW_YORK = "America/New_York"
_MDR = "Reg. (EU) 2017/745 Art. 87"
_AI_ACT = "Reg. (EU) 2024/1689 Art."
_DORA = "Reg. (EU) 2022/2554 Art. 19, RTS (EU) 2025/301 Art. 5"
_NIS2 = "Dir. (EU) 2022/2555 Art. 23(4)"
_SB53, _RAISE = "Cal. Bus. & Prof. Code 22757.13(c)", "N.Y. Gen. Bus. Law 1422"
_MAS = "MAS notices on technology risk management"

_ALL = (
    Preset("eu-ai-act-73-general", "eu-ai-act-73", "serious incident of a high-risk AI system", ((AWARE, _days(15)),),
           f"{_AI_ACT} 73(2)", "P/S", _HIGH_RISK),
    Preset("eu-ai-act-73-critical", "eu-ai-act-73", "widespread infringement, or critical infrastructure disrupted",
           ((AWARE, _days(2)),), f"{_AI_ACT} 73(3)", "P/S", _HIGH_RISK),
    Preset("eu-ai-act-73-death", "eu-ai-act-73", "death of a person", ((AWARE, _days(10)), (SUSPECTED, _days(10))),
           f"{_AI_ACT} 73(4)", "P/S", _HIGH_RISK),
    Preset("eu-ai-act-26-5", "eu-ai-act-26", "a deployer informs the provider, then the authority",
           ((AWARE, _AT_ONCE),), f"{_AI_ACT} 26(5)", "P/S", _HIGH_RISK),
    Preset("gdpr-33", "gdpr", "personal data breach, to the supervisory authority", ((AWARE, _hours(72)),),
           "Reg. (EU) 2016/679 (GDPR) Art. 33(1)", "M"),
    Preset("dora-initial", "dora", "major ICT incident, initial notification",
           ((CLASSIFIED, _hours(4)), (AWARE, _hours(24))), _DORA, "P", required=(AWARE,), late=CLASSIFIED),
    Preset("dora-intermediate", "dora", "major ICT incident, intermediate report", ((SUBMITTED, _hours(72)),), _DORA,
           "P", follows="dora-initial"),
    Preset("dora-final", "dora", "major ICT incident, final report", ((SUBMITTED, _MONTH),), _DORA, "P/S",
           follows="dora-intermediate", latest=True),
    Preset("nis2-early", "nis2", "significant incident, early warning", ((AWARE, _hours(24)),), f"{_NIS2}(a)", "S"),
    Preset("nis2-notify", "nis2", "significant incident, notification", ((AWARE, _hours(72)),), f"{_NIS2}(b)", "S"),
    Preset("nis2-final", "nis2", "significant incident, final report", ((SUBMITTED, _MONTH),), f"{_NIS2}(d)", "S",
           follows="nis2-notify"),
    Preset("us-bank-36h", "us-bank", "notification incident of a bank, to its regulator", ((DETERMINED, _hours(36)),),
           "12 CFR 53.3, 225.302, 304.23", "P"),
    Preset("sec-8k-105", "sec", "material cybersecurity incident, to investors", ((MATERIAL, _business_days(4)),),
           "Form 8-K Item 1.05", "P", zone=_NEW_YORK),
    Preset("nydfs-500-17", "nydfs", "cybersecurity incident, to the superintendent", ((DETERMINED, _hours(72)),),
           "23 NYCRR 500.17(a)", "P"),
    Preset("hipaa-individual", "hipaa", "breach of health information, to each individual",
           ((DISCOVERED, _days(60)),), "45 CFR 164.404", "P"),
    Preset("fda-mdr-30", "fda-mdr", "death, serious injury or malfunction of a device", ((AWARE, _days(30)),),
           "21 CFR 803.10(c)", "P"),
    Preset("fda-mdr-5wd", "fda-mdr", "remedial action needed against substantial harm", ((AWARE, _business_days(5)),),
           "21 CFR 803.10(c)", "P", zone=_NEW_YORK),
    Preset("eu-mdr-87-general", "eu-mdr-87", "serious incident of a medical device", ((AWARE, _days(15)),),
           f"{_MDR}(3)", "P/S"),
    Preset("eu-mdr-87-threat", "eu-mdr-87", "serious public health threat", ((AWARE, _days(2)),), f"{_MDR}(4)", "P/S"),
    Preset("eu-mdr-87-death", "eu-mdr-87", "death, or unanticipated serious deterioration", ((AWARE, _days(10)),),
           f"{_MDR}(5)", "P/S"),
    Preset("apra-234", "apra", "material information security incident", ((AWARE, _hours(72)),), "CPS 234 para. 35",
           "S"),
    Preset("mas-1h", "mas", "relevant incident, to the authority", ((DISCOVERED, _hours(1)),), _MAS, "S"),
    Preset("mas-root-cause", "mas", "root cause and impact of a relevant incident", ((DISCOVERED, _days(14)),), _MAS,
           "S"),
    Preset("ca-sb53", "ca-sb53", "critical safety incident of a frontier model", ((DISCOVERED, _days(15)),), _SB53,
           "P"),
    Preset("ca-sb53-imminent", "ca-sb53", "imminent risk of death or serious injury", ((DISCOVERED, _hours(24)),),
           _SB53, "P"),
    Preset("ny-raise", "ny-raise", "safety incident of a frontier model", ((DETERMINED, _hours(72)),), _RAISE, "P"),
    Preset("ny-raise-imminent", "ny-raise", "imminent risk of death or serious injury",
           ((DETERMINED, _hours(24)), (DISCOVERED, _hours(24))), _RAISE, "P"),
)  # fmt: skip
PRESETS: Mapping[str, Preset] = {one.name: one for one in _ALL}
"""By name, in the order of the published table."""


def followers(name: str) -> Iterator[Preset]:
    """The clocks that a submission of this one starts."""
    return (one for one in _ALL if one.follows == name)


def chain(name: str) -> Iterator[Preset]:
    """A clock, and all that come after it by themselves."""
    if name in PRESETS:
        yield PRESETS[name]
        for one in followers(name):
            yield from chain(one.name)
