"""The chart is installed once; each test has an operator process and a stage of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from tests.cluster.access import Access
from tests.e2e.rows import BOUND
from tests.e2e.stage import Installed, OperatorProcess, Stage


@pytest.fixture(scope="package")
def installed(cluster: Access, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """The chart without pods; removed in the end, because its admission policies rule the cluster."""
    installed = Installed.install(cluster, tmp_path_factory.mktemp("operator"))
    yield installed
    installed.uninstall()


@pytest.fixture
def stage(cluster: Access, installed: Installed, namespace: str) -> Stage:
    """A namespace with three roles of people, one person each with all that a role needs, and an outsider."""
    stage = Stage(cluster, namespace)
    for user, role in (("ada", "owners"), ("ben", "risk"), ("eve", "board")):
        stage.person(user, "tocsin-responder", "tocsin-approver")
        stage.responder(role, user)
    stage.person("mallory")
    return stage


@pytest.fixture
def operator(installed: Installed) -> Iterator[OperatorProcess]:
    """A running operator; what it said is shown when the test fails."""
    process = installed.operator().start()
    yield process
    process.stop()
    print(process.log)  # noqa: T201 - pytest shows it with a failure


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, cluster: Access, installed: Installed) -> dict[str, Future[None]]:
    """How each selected row of the file ended: all are played at once before one operator, which is gone by then.

    The file has its rows in ``row``, and in ``settings`` what the operator's settings have besides the usual.
    """
    wanted = [
        item.callspec.params["name"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.path == request.path and "outcomes" in item.fixturenames
    ]
    people = {user: cluster.kubeconfig_for(user) for user in BOUND}
    with contextlib.ExitStack() as stack:
        more = request.module.settings(stack, cluster)
        operator = installed.operator("rows", **more).start()
        stack.callback(operator.stop)
        outcomes: dict[str, Future[None]] = request.module.row.perform(wanted, cluster, people, operator)
    return outcomes
