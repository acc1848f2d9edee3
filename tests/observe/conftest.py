"""Which servers do the tests of observe share? A real Prometheus for the run, one per test that answers anything."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.observe.faulty import FaultyServer
from tests.observe.recorded import RecordedPrometheus


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecordedPrometheus]:
    """A real Prometheus; each test keeps to namespaces of its own."""
    server = RecordedPrometheus(tmp_path_factory.mktemp("prometheus"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16, thread_name_prefix="prometheus") as threads:
        yield threads


@pytest.fixture
def faulty() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        yield server
