"""A status is written as the smallest merge patch, and without what is empty."""

from __future__ import annotations

from typing import Any

import pytest

from tocsin.act.status import compact, difference


@pytest.mark.parametrize(
    ("old", "new", "then"),
    [
        pytest.param({}, {}, {}, id="nothing changed, nothing is written"),
        pytest.param({}, {"a": 1}, {"a": 1}, id="a new field is set"),
        pytest.param({"a": 1}, {}, {"a": None}, id="a field that is gone is removed by null"),
        pytest.param({"a": 1, "b": 2}, {"a": 1, "b": 3}, {"b": 3}, id="only what changed is sent"),
        pytest.param({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, {"a": {"c": None}}, id="objects are merged"),
        pytest.param({"a": [1, 2]}, {"a": [1, 3]}, {"a": [1, 3]}, id="lists are replaced as a whole"),
        pytest.param({"a": {"b": 1}}, {"a": [1]}, {"a": [1]}, id="another shape replaces the old one"),
    ],
)
def test_difference(old: dict[str, Any], new: dict[str, Any], then: dict[str, Any]) -> None:
    assert difference(old, new) == then


def test_compact_drops_what_is_empty_and_keeps_false_and_zero() -> None:
    given = {"a": None, "b": "", "c": [], "d": {"e": []}, "f": False, "g": 0, "h": [{"i": ""}, {"j": 1}]}
    assert compact(given) == {"f": False, "g": 0, "h": [{}, {"j": 1}]}
