"""Fixtures for all tests: a real control plane for each worker, a namespace for each test.

`make test` has two workers. What installs the chart and what else needs a cluster never share one, because the chart's
admission policies rule a whole cluster. The longest that install it and take it away again are a group of their own,
for whichever worker is done first.
"""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

pytest_plugins = ["tests.cluster.fixtures"]
GROUPS = dict.fromkeys(("chart", "e2e"), "installing") | dict.fromkeys(("bench", "demo", "faults"), "lasting")
GROUPS |= dict.fromkeys(("act", "api", "cluster", "engine", "observe"), "clustered")


class Together(LoadScopeScheduling):
    """What is in one group goes to one worker; any other file to whoever has time."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        return GROUPS.get(file.split("/")[1], file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Together:
    """Asked by pytest-xdist."""
    return Together(config, log)
