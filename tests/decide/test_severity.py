"""Is the risk the sum that the scoring table promises, for every exposure?"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.api.objects import Severity
from tocsin.api.policy import Risk
from tocsin.decide.severity import AFFECTED_BANDS, Evidence, affected_band, as_decimal, band_of, combine, rounded, score

AFFECTED = {0: Decimal(0), 1: Decimal(10), 2: Decimal(1_000), 3: Decimal(10_000), 4: Decimal(100_000)}
SIGNALS = [Fraction(text) for text in ("0.4", "0.55", "0.69", "0.7", "0.93", "1")]


def of(*severities: Fraction | str) -> dict[str, Fraction]:
    return {f"signal-{place}": Fraction(one) for place, one in enumerate(severities)}


@pytest.mark.parametrize("signal", SIGNALS, ids=str)
def test_every_exposure_gives_the_exact_sum_and_its_band(signal: Fraction) -> None:
    for regulatory, affected, reputation in product(range(5), repeat=3):
        exact = 100 * (
            Fraction("0.35") * signal
            + Fraction("0.30") * Fraction(regulatory, 4)
            + Fraction("0.20") * Fraction(affected, 4)
            + Fraction("0.15") * Fraction(reputation, 4)
        )
        found = score(Risk(regulatory=regulatory, reputation=reputation), Evidence(of(signal), {}, AFFECTED[affected]))
        expected = Severity.SEV1 if exact >= 75 else Severity.SEV2 if exact >= 55 else Severity.SEV3
        expected = expected if exact >= 35 else Severity.SEV4
        assert (found.risk, found.band) == (as_decimal(exact), expected)
        assert sum(term.value for term in found.terms) == found.risk
        if signal < Fraction(7, 10):
            expected = max(expected, Severity.SEV2)
        if reputation == 4 and signal == 1:
            expected = Severity.SEV1
        assert found.severity is expected, (regulatory, affected, reputation)


def test_the_weights_sum_to_one() -> None:
    worst = score(Risk(regulatory=4, reputation=4), Evidence(of("1"), {}, Decimal(10**6)))

    assert worst.risk == 100


def test_what_binary_floats_get_wrong_is_exact() -> None:
    found = score(Risk(regulatory=3, reputation=1), Evidence(of("1"), {}, Decimal(10_000)))
    assert found.risk == Decimal("76.25")

    edge = score(Risk(regulatory=3, reputation=2), Evidence(of("1"), {}, Decimal(1_000)))
    assert (edge.risk, edge.severity) == (75, Severity.SEV1)


@pytest.mark.parametrize(
    ("affected", "band"),
    [(None, 2), (Decimal("NaN"), 2), (Decimal("Infinity"), 4), (Decimal(-1), 0)]
    + [(Decimal(limit) - 1, place) for place, limit in enumerate(AFFECTED_BANDS)]
    + [(Decimal(limit), place + 1) for place, limit in enumerate(AFFECTED_BANDS)],
    ids=str,
)
def test_affected_band(affected: Decimal | None, band: int) -> None:
    assert affected_band(affected)[0] == band


def test_an_unknown_number_of_affected_decisions_is_marked_as_estimated() -> None:
    found = score(Risk(), Evidence(of("1"), {}))

    assert [term.because for term in found.terms if term.name == "affected"] == [
        "20 × 2/4: unknown, estimated as band 2"
    ]


@pytest.mark.parametrize(
    ("severities", "together"),
    [
        pytest.param((), "0", id="none"),
        pytest.param(("0.4",), "0.4", id="one"),
        pytest.param(("0.88", "0.72"), "0.93", id="each further signal adds 0.05"),
        pytest.param(("1", "0.4"), "1", id="capped at 1"),
        pytest.param(("0.4",) * 20, "1", id="many weak ones are capped too"),
    ],
)
def test_combine(severities: tuple[str, ...], together: str) -> None:
    assert combine(of(*severities)) == Fraction(together)


@pytest.mark.parametrize(
    ("risk", "evidence", "severity", "notes"),
    [
        pytest.param(
            Risk(regulatory=4, reputation=4),
            Evidence(of("0.69"), {}, Decimal(10**6)),
            Severity.SEV2,
            ("signals at warn level only, below 0.7: at most SEV2",),
            id="a breach at warn level is SEV2 at most",
        ),
        pytest.param(
            Risk(regulatory=4, reputation=4),
            Evidence(of("0.69"), {"harm: at least SEV3": Severity.SEV3}, Decimal(10**6)),
            Severity.SEV1,
            ("harm: at least SEV3",),
            id="a floor lifts the cap",
        ),
        pytest.param(
            Risk(),
            Evidence(of("0.4"), {"harm: at least SEV1": Severity.SEV1}, Decimal(0)),
            Severity.SEV1,
            ("harm: at least SEV1",),
            id="a floor raises by itself",
        ),
        pytest.param(
            Risk(regulatory=4, reputation=3),
            Evidence(of("1"), {"harm: at least SEV3": Severity.SEV3}, Decimal(10**6)),
            Severity.SEV1,
            ("harm: at least SEV3",),
            id="a floor never lowers",
        ),
        pytest.param(
            Risk(reputation=4),
            Evidence(of("1"), {}, Decimal(0)),
            Severity.SEV1,
            ("reputation 4 with a signal at full severity: at least SEV1",),
            id="headline reputation with a full breach is SEV1",
        ),
        pytest.param(Risk(reputation=4), Evidence(of("0.99"), {}, Decimal(0)), Severity.SEV3, (), id="not short of it"),
        pytest.param(Risk(), Evidence({}, {}, Decimal(0)), Severity.SEV4, (), id="nothing at all is SEV4"),
    ],
)
def test_floors_and_cap(risk: Risk, evidence: Evidence, severity: Severity, notes: tuple[str, ...]) -> None:
    found = score(risk, evidence)

    assert (found.severity, found.floors) == (severity, notes)


@pytest.mark.parametrize(
    ("change", "term", "value"),
    [
        pytest.param({"failed_containment": True}, "failed containment", 10, id="a failed containment"),
        pytest.param({"missed_deadlines": 1}, "missed deadlines", 5, id="a missed deadline"),
        pytest.param({"missed_deadlines": 3}, "missed deadlines", 15, id="three missed deadlines"),
        pytest.param({"missed_deadlines": 9}, "missed deadlines", 15, id="more than three count as three"),
        pytest.param({"recurs": True}, "recurrence", 5, id="a recurrence"),
    ],
)
def test_modifiers(change: dict[str, Any], term: str, value: int) -> None:
    plain = Evidence(of("0.4"), {}, Decimal(0))

    found = score(Risk(), replace(plain, **change))

    assert {one.name: one.value for one in found.terms}[term] == value
    assert found.risk == score(Risk(), plain).risk + value


def test_the_risk_is_capped_at_100() -> None:
    evidence = Evidence(of("1"), {}, Decimal(10**6), failed_containment=True, missed_deadlines=3, recurs=True)

    assert score(Risk(regulatory=4, reputation=4), evidence).risk == 100


def test_the_terms_say_how_they_were_computed() -> None:
    found = score(Risk(regulatory=3, reputation=2), Evidence({"psi": Fraction("0.88"), "share": Fraction("0.72")}, {}))

    assert [term.because for term in found.terms] == [
        "35 × 0.93: psi 0.88, 1 more × 0.05, at most 1",
        "30 × 3/4",
        "20 × 2/4: unknown, estimated as band 2",
        "15 × 2/4",
    ]


def test_a_single_signal_is_said_without_arithmetic() -> None:
    assert score(Risk(), Evidence({"psi": Fraction("0.88")}, {})).terms[0].because == "35 × 0.88: psi 0.88"


def test_the_risk_is_printed_rounded_half_up() -> None:
    assert [rounded(Decimal(text)) for text in ("72.5", "72.49", "0.5", "67.5")] == [73, 72, 1, 68]


@pytest.mark.parametrize(
    ("risk", "band"),
    [("75", "SEV1"), ("74.99", "SEV2"), ("55", "SEV2"), ("54.99", "SEV3"), ("35", "SEV3"), ("34.99", "SEV4")],
)
def test_the_boundary_belongs_to_the_worse_band(risk: str, band: str) -> None:
    assert band_of(Fraction(risk)) == band


LEVELS = st.integers(0, 4)
UNIT = st.fractions(Fraction(2, 5), 1, max_denominator=100)


@st.composite
def exposures(draw: st.DrawFn) -> tuple[Risk, Evidence]:
    risk = Risk(regulatory=draw(LEVELS), reputation=draw(LEVELS))
    evidence = Evidence(
        signals=draw(st.dictionaries(st.sampled_from("abcd"), UNIT, min_size=1)),
        floors=draw(st.dictionaries(st.sampled_from("xy"), st.sampled_from(Severity), max_size=2)),
        affected=Decimal(draw(st.sampled_from([0, 9, 10, 1_000, 10_000, 100_000]))),
        failed_containment=draw(st.booleans()),
        missed_deadlines=draw(st.integers(0, 5)),
        recurs=draw(st.booleans()),
    )
    return risk, evidence


@given(before=exposures(), after=exposures())
def test_nothing_that_gets_worse_makes_the_score_better(
    before: tuple[Risk, Evidence], after: tuple[Risk, Evidence]
) -> None:
    (risk, one), (other_risk, two) = before, after
    worse_risk = Risk(
        regulatory=max(risk.regulatory, other_risk.regulatory), reputation=max(risk.reputation, other_risk.reputation)
    )
    worse = Evidence(
        signals={
            name: max(one.signals.get(name, 0), two.signals.get(name, 0)) for name in {*one.signals, *two.signals}
        },
        floors={**two.floors, **one.floors},
        affected=max(one.affected or Decimal(0), two.affected or Decimal(0)),
        failed_containment=one.failed_containment or two.failed_containment,
        missed_deadlines=max(one.missed_deadlines, two.missed_deadlines),
        recurs=one.recurs or two.recurs,
    )
    first, second = score(risk, one), score(worse_risk, worse)

    assert second.risk >= first.risk
    assert second.severity.at_least(first.severity)
