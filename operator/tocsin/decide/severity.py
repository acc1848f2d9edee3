"""How bad it is: a risk out of exact terms that a person can add up, with floors and a cap.

The weights, bands, floors and the cap are the scoring table of docs/reference/scoring.md, which is published for
sign-off; all exposures are enumerated by a test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

from tocsin.api.incident import Score, Term
from tocsin.api.objects import Severity
from tocsin.api.policy import Risk
from tocsin.decide.defaults import number_of
from tocsin.decide.situation import Measured

BANDS = ((75, Severity.SEV1), (55, Severity.SEV2), (35, Severity.SEV3))
AFFECTED_BANDS = (10, 1_000, 10_000, 100_000)
WARN_ONLY = Fraction(7, 10)
UNFAIR = Decimal("0.8")
FAIR_SAMPLES = 100
UNKNOWN = "unknown, estimated as band 2"
"""How the band of affected decisions was found when their number is not known."""
CAPPED = "signals at warn level only, below 0.7: at most SEV2"
"""Stands among the floors of a score, and is none."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the score is computed from."""

    signals: Mapping[str, Fraction]
    """The severity, 0 to 1, of each sustained signal."""
    floors: Mapping[str, Severity]
    """Floors that hold, by the sentence that says why."""
    affected: Decimal | None = None
    """Decisions affected so far; None when unknown."""
    failed_containment: bool = False
    missed_deadlines: int = 0
    recurs: bool = False


def affected_band(affected: Decimal | None) -> tuple[int, str]:
    """The band of affected decisions, 0 to 4, and in words how it was found; unknown is 2, as an estimate."""
    if affected is None or affected.is_nan():
        return 2, UNKNOWN
    band = sum(affected >= limit for limit in AFFECTED_BANDS)
    return band, f"{number_of(affected)} decisions"


def combine(severities: Mapping[str, Fraction]) -> Fraction:
    """The worst signal, plus 0.05 for each further one, capped at 1; 0 without a sustained signal."""
    if not severities:
        return Fraction(0)
    return min(Fraction(1), max(severities.values()) + Fraction(5, 100) * (len(severities) - 1))


def band_of(risk: Fraction) -> Severity:
    """The severity that a risk gives by itself."""
    return next((severity for limit, severity in BANDS if risk >= limit), Severity.SEV4)


def score(risk: Risk, evidence: Evidence) -> Score:
    """The risk as a sum, and the severity that follows; the arithmetic is exact."""
    signal = combine(evidence.signals)
    band, how = affected_band(evidence.affected)
    terms: list[tuple[str, Fraction, str]] = [
        (
            "signals",
            35 * signal,
            f"35 × {as_decimal(signal)}: {_worst(evidence.signals)}" if evidence.signals else "no sustained signal",
        ),
        ("regulatory", Fraction(30 * risk.regulatory, 4), f"30 × {risk.regulatory}/4"),
        ("affected", Fraction(20 * band, 4), f"20 × {band}/4: {how}"),
        ("reputation", Fraction(15 * risk.reputation, 4), f"15 × {risk.reputation}/4"),
    ]
    if evidence.failed_containment:
        terms.append(("failed containment", Fraction(10), "a containment failed, did not help or was reverted"))
    if evidence.missed_deadlines:
        missed = min(15, 5 * evidence.missed_deadlines)
        terms.append(("missed deadlines", Fraction(missed), f"5 × {evidence.missed_deadlines}, at most 15"))
    if evidence.recurs:
        terms.append(("recurrence", Fraction(5), "the same model had an incident within 7 days"))
    total = min(Fraction(100), sum((value for _, value, _ in terms), Fraction(0)))
    band_severity = band_of(total)
    floors = dict(evidence.floors)
    if risk.reputation == 4 and signal == 1:
        floors["reputation 4 with a signal at full severity: at least SEV1"] = Severity.SEV1
    severity, notes = band_severity, list(floors)
    if evidence.signals and signal < WARN_ONLY and not floors and severity is Severity.SEV1:
        severity = Severity.SEV2
        notes.append(CAPPED)
    severity = Severity.worst([severity, *floors.values()])
    return Score(
        risk=as_decimal(total),
        band=band_severity,
        severity=severity,
        terms=tuple(Term(name=name, value=as_decimal(value), because=because) for name, value, because in terms),
        floors=tuple(notes),
    )


def _worst(severities: Mapping[str, Fraction]) -> str:
    name = max(severities, key=lambda one: severities[one])
    more = f", {len(severities) - 1} more × 0.05, at most 1" if len(severities) > 1 else ""
    return f"{name} {as_decimal(severities[name])}{more}"


def is_unfair(reading: Measured) -> bool:
    """Whether a fairness ratio is below four fifths, on samples enough to say so."""
    return reading.value < UNFAIR and (reading.samples or 0) >= FAIR_SAMPLES


def rounded(risk: Decimal) -> int:
    """The risk as a whole number for printing, 0 to 100, rounded half up."""
    return int(min(max(risk, Decimal(0)), Decimal(100)).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def as_fraction(severity: Decimal | None) -> Fraction:
    """A severity out of a status: 0 to 1, in four digits, however it got there.

    Of a number with an exponent of nine digits a fraction would take gigabytes.
    """
    return Fraction(min(max(severity or Decimal(0), Decimal(0)), Decimal(1)).quantize(Decimal("0.0001")))


def as_decimal(value: Fraction) -> Decimal:
    """A fraction as the API shows it: at most four digits after the point, rounded half up."""
    exact = Decimal(value.numerator) / Decimal(value.denominator)
    short = exact.quantize(Decimal("0.0001"), rounding=ROUND_HALF_UP).normalize()
    return short if short.as_tuple().exponent else short.quantize(Decimal(1))
