"""The chart is installed once, on a cluster whose processes are ours: nothing else lets itself be disturbed so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.access import Access
from tests.cluster.cluster import ours
from tests.e2e.stage import Installed


@pytest.fixture(scope="package")
def installed(cluster: Access, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    installed = Installed.install(ours(cluster), tmp_path_factory.mktemp("faults"))
    yield installed
    installed.uninstall()
