"""Do the rules on a signal's lines, which the API server checks in CEL, mean what the lines mean to Python?"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.rows import VALID
from tests.api.test_kinds import body, path
from tests.cluster.access import Access, ApiError
from tocsin.api.quantities import Comparison, parse_duration

LINES = st.builds(
    Comparison,
    st.sampled_from(["<", "<=", ">", ">="]),
    st.one_of(  # 15 digits at most, which a double of CEL holds exactly; and a few that meet
        st.decimals(min_value=-(10**9), max_value=10**9, places=6),
        st.sampled_from([Decimal("-0.5"), Decimal("0"), Decimal("0.920"), Decimal("0.92")]),
    ),
)
SIGNAL = st.fixed_dictionaries(
    {"warn": LINES.map(str)},
    optional={"critical": LINES.map(str), "recover": LINES.map(str), "every": st.sampled_from(["999ms", "1s", "0h1m"])},
)


def sound(signal: dict[str, str]) -> bool:
    """The oracle: by what the lines hold for, not by how they are written."""
    warn = Comparison.parse(signal["warn"])
    beyond, well = signal.get("critical"), signal.get("recover")
    if parse_duration(signal.get("every", "1m")).total_seconds() < 1:
        return False
    if beyond is not None:
        critical = Comparison.parse(beyond)
        if critical.rises != warn.rises or not warn.holds(critical.threshold) or critical.threshold == warn.threshold:
            return False
    if well is None:
        return True
    recover = Comparison.parse(well)
    middle = (recover.threshold + warn.threshold) / 2
    both = (
        value for value in (recover.threshold, warn.threshold, middle) if warn.holds(value) and recover.holds(value)
    )
    return recover.rises != warn.rises and next(both, None) is None


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(signals=st.lists(SIGNAL, min_size=32, max_size=32))
def test_the_server_refuses_just_the_unsound_signals(kinds: Access, signals: list[dict[str, str]]) -> None:
    named: list[dict[str, Any]] = [
        {"name": f"s{number}", "kind": "Custom", "query": "up", **signal} for number, signal in enumerate(signals)
    ]
    spec = VALID["EscalationPolicy"] | {"signals": named}
    unsound = {f"spec.signals[{number}]" for number, signal in enumerate(signals) if not sound(signal)}
    assert refused(kinds, spec) == unsound


def refused(cluster: Access, spec: dict[str, Any]) -> set[str]:
    try:
        cluster.api("POST", path("EscalationPolicy", "?dryRun=All"), body("EscalationPolicy", spec))
    except ApiError as error:
        return {cause["field"] for cause in error.body["details"]["causes"]}
    return set()
