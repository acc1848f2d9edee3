"""When does a Prometheus server that is down open an incident, and when another?"""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.builders import MIN, T0
from tocsin.decide.defaults import freeze
from tocsin.decide.incident import cause_to_open
from tocsin.engine import datasource
from tocsin.engine.health import Health
from tocsin.settings import DatasourceSettings

SETTINGS = DatasourceSettings(after=5 * MIN, responders=("platform",))
DOWN = Health(down_since=T0, message="connection refused")
UP = Health(up_since=T0)


@pytest.mark.parametrize(
    ("health", "at", "since", "cause"),
    [
        pytest.param(DOWN, T0 + 4 * MIN, None, None, id="not one that is down for a moment"),
        pytest.param(DOWN, T0 + 5 * MIN, None, "Breach", id="one that is down for as long as the settings say"),
        pytest.param(UP, T0 + 5 * MIN, None, None, id="not one that answers"),
        pytest.param(DOWN, T0 + 9 * MIN, T0 - MIN, "Breach", id="again when it fails after the last was resolved"),
        pytest.param(DOWN, T0 + 9 * MIN, T0 + 6 * MIN, None, id="not for the outage that was signed off"),
    ],
)
def test_a_server_opens_an_incident(health: Health, at: datetime, since: datetime | None, cause: str | None) -> None:
    policy = datasource.policy_for("default", "tocsin-system", SETTINGS)
    assert policy is not None
    memories = datasource.memories_of(health, at, SETTINGS.after)

    assert cause_to_open(freeze(policy, policy.spec.models[0]), memories, since) == cause


def test_nobody_to_tell_means_no_incident() -> None:
    assert datasource.policy_for("default", "tocsin-system", DatasourceSettings()) is None
