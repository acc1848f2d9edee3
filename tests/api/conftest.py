"""Where do the kinds come from? From crds/, applied once to the session's cluster."""

from __future__ import annotations

import pytest

from tests.cluster.access import Access
from tests.cluster.cluster import ROOT

CRDS = ROOT / "crds"


@pytest.fixture(scope="session")
def kinds(cluster: Access) -> Access:
    """The cluster, with our kinds served."""
    cluster.apply(CRDS)
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))
    return cluster
