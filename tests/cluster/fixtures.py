"""Which cluster do tests get? Ours by default; another by TOCSIN_CLUSTER=kubeconfig or TOCSIN_CLUSTER=kind."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.cluster.access import Access
from tests.cluster.cluster import Cluster
from tests.cluster.existing import ExistingCluster, KindCluster

KINDS = {"": Cluster, "processes": Cluster, "kubeconfig": ExistingCluster, "kind": KindCluster}


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Access]:
    """One cluster for the whole run; the first time its tools are built, and the terminal says so."""
    wanted = os.environ.get("TOCSIN_CLUSTER", "")
    if wanted not in KINDS:
        pytest.exit(f"TOCSIN_CLUSTER={wanted}: give one of {', '.join(filter(None, KINDS))}", returncode=2)
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        opened = KINDS[wanted]()
        entered = opened.__enter__()
    try:
        yield entered
    finally:
        opened.close()


@pytest.fixture
def namespace(cluster: Access) -> Iterator[str]:
    """A fresh namespace, deleted afterwards without waiting."""
    name = cluster.namespace()
    yield name
    cluster.delete_namespace(name)
