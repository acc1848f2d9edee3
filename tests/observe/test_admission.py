"""Is a Decision trusted only while the chart's admission policy and binding stand unchanged?"""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest

from tocsin.observe.admission import difference, written_at

EXPECTED: dict[str, Any] = {
    "failurePolicy": "Fail",
    "matchConstraints": {"resourceRules": [{"operations": ["CREATE", "UPDATE"]}]},
    "validations": [{"expression": "a"}, {"expression": "b"}],
}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param({}, "", id="unchanged"),
        pytest.param({"matchConditions": []}, "", id="an empty list is as good as none"),
        pytest.param(
            {"matchConstraints": EXPECTED["matchConstraints"] | {"namespaceSelector": {}}},
            "",
            id="an empty selector selects what no selector does",
        ),
        pytest.param({"failurePolicy": "Ignore"}, "spec.failurePolicy was changed", id="it fails open"),
        pytest.param({"failurePolicy": None}, "spec.failurePolicy is missing", id="it says nothing about failure"),
        pytest.param(
            {"matchConditions": [{"expression": "false"}]},
            "spec.matchConditions is set, and the chart does not set it",
            id="a condition exempts somebody",
        ),
        pytest.param(
            {"matchConstraints": EXPECTED["matchConstraints"] | {"namespaceSelector": {"matchLabels": {"a": "b"}}}},
            "spec.matchConstraints.namespaceSelector is set, and the chart does not set it",
            id="a selector exempts namespaces",
        ),
        pytest.param(
            {"matchConstraints": {"resourceRules": [{"operations": ["UPDATE"]}]}},
            "spec.matchConstraints.resourceRules[0].operations was changed",
            id="creation is exempt",
        ),
        pytest.param({"validations": [{"expression": "a"}]}, "spec.validations was changed", id="a validation is gone"),
        pytest.param(
            {"validations": [{"expression": "a"}, {"expression": "true"}]},
            "spec.validations[1].expression was changed",
            id="a validation always holds",
        ),
        pytest.param({"validations": []}, "spec.validations is missing", id="nothing is validated"),
        pytest.param({"validations": "none"}, "spec.validations was changed", id="a value of another type"),
    ],
)
def test_difference(change: dict[str, Any], says: str) -> None:
    assert difference(EXPECTED, deepcopy(EXPECTED) | change, "spec") == says


MADE = {"creationTimestamp": "2026-11-23T09:00:00Z"}
LATER = {"manager": "helm", "time": "2026-11-23T10:00:00Z"}
LATEST = {"manager": "kubectl", "time": "2026-11-23T11:00:00Z"}
CONTROLLER = {"manager": "controller", "subresource": "status", "time": "2026-11-23T12:00:00Z"}


@pytest.mark.parametrize(
    ("metadata", "hour"),
    [
        pytest.param({}, 9, id="without a generation it was never written anew"),
        pytest.param({"generation": 1, "managedFields": [LATER]}, 9, id="a label that moved is of no account"),
        pytest.param({"generation": 3, "managedFields": [LATER, LATEST, CONTROLLER]}, 11, id="the last write counts"),
        pytest.param({"generation": 2, "managedFields": [{"manager": "x"}]}, None, id="it cannot be told"),
    ],
)
def test_written_at(metadata: dict[str, Any], hour: int | None) -> None:
    assert written_at(MADE | metadata) == (hour and datetime(2026, 11, 23, hour, tzinfo=UTC))
