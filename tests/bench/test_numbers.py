"""Are the published numbers computed rightly, and can the picture be drawn?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest

from tests.bench.analysis import paired
from tests.bench.contain import covered
from tests.bench.crashes import TABLE
from tests.bench.plot import drawing, figures
from tests.bench.results import curve, exponent, quantile


@pytest.mark.parametrize(
    ("costs", "expected"),
    [([3, 3, 3], 0.0), ([3, 30, 300], 1.0), ([3, 300, 30_000], 2.0)],
    ids=["not at all", "in proportion", "by the square"],
)
def test_how_cost_grows(costs: list[float], expected: float) -> None:
    assert exponent([1, 10, 100], costs) == pytest.approx(expected)


def test_a_number_is_told_by_three_figures_and_never_as_a_power() -> None:
    assert [figures(number) for number in (0.0123, 3, 92.44, 999.4, 1358.7)] == ["0.0123", "3", "92.4", "999", "1,359"]


def test_a_quantile_is_a_value_that_was_measured() -> None:
    samples = [float(number) for number in range(100, 0, -1)]
    assert (quantile(samples, 0.5), quantile(samples, 0.99), quantile(samples, 1.0)) == (50, 99, 100)


def test_what_spans_cover_counts_once_where_they_overlap() -> None:
    instants = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=second) for second in range(10)]
    spans = [
        (instants[4], instants[5]),
        (instants[0], instants[2]),
        (instants[1], instants[3]),
        (instants[1], instants[2]),
    ]
    assert covered(spans) == 4
    assert covered([]) == 0


def test_a_ratio_of_pairs_lies_in_its_interval_and_pairs_that_agree_narrow_it() -> None:
    ratio, low, high = paired([1.0, 1.1, 0.9, 1.0], [2.0, 2.0, 2.0, 2.0])
    assert low < ratio < high
    assert ratio == pytest.approx(0.5, rel=0.01)
    assert paired([1.0, 2.0, 4.0], [2.0, 4.0, 8.0]) == pytest.approx((0.5, 0.5, 0.5))


def test_the_picture_has_a_panel_for_each_curve_and_a_point_for_each_size() -> None:
    curves = [curve("policies", "ms & more", [100, 1000], [2.0, 9.0]), curve("models", "s", [1, 2, 4], [5.0, 5.0, 5.0])]
    picture = ET.fromstring(drawing(curves))
    name = "{http://www.w3.org/2000/svg}"
    assert len(picture.findall(f"{name}g")) == 2
    assert len(picture.findall(f".//{name}circle")) == 5


def test_the_table_of_gaps_is_found_in_what_the_crash_tests_print() -> None:
    printed = """
.
7 kills of the operator in 3 lives; the write, and what became of a life killed there
                 before it is sent        after its answer
       opened 1  the same end             not reached
.. [100%]
"""
    found = TABLE.search(printed)
    assert found
    assert (found[1], found[2], len(found[3].rstrip().splitlines())) == ("7", "3", 2)
