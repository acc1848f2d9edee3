"""Do numbers read as a person reads them, and tell nobody apart?"""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.builders import a_policy, the_rules
from tocsin.decide.defaults import number, number_of


@pytest.mark.parametrize(
    ("value", "text", "many"),
    [
        pytest.param("0", "0", "0", id="nothing"),
        pytest.param("3", "3", "<10", id="few people are not told apart"),
        pytest.param("10", "10", "10", id="ten"),
        pytest.param("0.123456", "0.1235", "<10", id="four significant digits"),
        pytest.param("123456.7", "123457", "123457", id="large numbers are whole"),
        pytest.param("1e30", "1.000e+30", "1.000e+30", id="a loss that explodes"),
        pytest.param("-1e30", "-1.000e+30", "-1.000e+30", id="a count that is none"),
        pytest.param("1e-30", "1.000e-30", "<10", id="next to nothing"),
        pytest.param("Infinity", "+Inf", "+Inf", id="infinity"),
    ],
)
def test_numbers_in_words(value: str, text: str, many: str) -> None:
    assert (number(Decimal(value)), number_of(Decimal(value))) == (text, many)


def test_on_what_lines_rest_is_no_part_of_what_an_incident_goes_by() -> None:
    signal = a_policy().spec.signals[0].dump()
    assert the_rules(a_policy(signals=[signal | {"basis": "as agreed"}])) == the_rules(a_policy(signals=[signal]))
