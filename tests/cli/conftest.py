"""Which cluster do commands talk to? The session's, with our kinds served."""

from __future__ import annotations

import pytest

from tests.cluster.access import Access, CommandError
from tests.cluster.cluster import ROOT


@pytest.fixture(scope="session")
def served(cluster: Access) -> Access:
    """The cluster, with our kinds served."""
    crds = str(ROOT / "crds")
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", crds)
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", crds)
    cluster.wait(lambda: _listed(cluster), 30, "lists of our kinds")
    return cluster


def _listed(cluster: Access) -> bool:
    """Whether our kinds can be listed: for a moment after they are established they cannot."""
    try:
        cluster.kubectl(
            "get", "escalationpolicies,responders,incidents,decisions,messagetemplates,silences,legalnotes", "-A"
        )
    except CommandError:
        return False
    return True
