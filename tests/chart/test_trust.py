"""Does the operator, with its own rights, see at once when the policy behind Decisions is gone or not the chart's?"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.act.deployments import connected
from tests.chart.conftest import Release
from tocsin.decide.situation import Trust
from tocsin.observe.admission import trust

POLICY = ("validatingadmissionpolicy", "tocsin-decisions")
BINDING = ("validatingadmissionpolicybinding", "tocsin-decisions")


def seen(release: Release) -> tuple[Trust, datetime | None, str]:
    """What the operator makes of the cluster, by its ServiceAccount and the file that the chart mounts."""
    data = release.cluster.get("configmap", "tocsin", release.namespace)["data"]
    expected: dict[str, Any] = json.loads(data["admission.json"])

    async def run() -> tuple[Trust, datetime | None, str]:
        async with connected(release.operator()) as api:
            return await trust(api, expected)

    return asyncio.run(run())


def test_what_the_chart_installs_is_trusted_from_when_it_is_surely_enforced(release: Release) -> None:
    since = _made(release) + timedelta(seconds=5)
    assert seen(release) == (Trust.TRUSTED, since, "")


@pytest.mark.parametrize(
    ("thing", "change", "says"),
    [
        pytest.param(
            POLICY,
            {"failurePolicy": "Ignore"},
            "validatingadmissionpolicies/tocsin-decisions: spec.failurePolicy was changed",
            id="the policy fails open",
        ),
        pytest.param(
            POLICY,
            {"matchConditions": [{"name": "never", "expression": "false"}]},
            "validatingadmissionpolicies/tocsin-decisions: spec.matchConditions is set, and the chart does not set it",
            id="the policy has an exemption",
        ),
        pytest.param(
            POLICY,
            {"validations": [{"expression": "true"}]},
            "validatingadmissionpolicies/tocsin-decisions: spec.validations was changed",
            id="the policy refuses nothing",
        ),
        pytest.param(
            BINDING,
            {"validationActions": ["Audit"]},
            "validatingadmissionpolicybindings/tocsin-decisions: spec.validationActions[0] was changed",
            id="the binding only audits",
        ),
        pytest.param(
            BINDING,
            {"matchResources": {"namespaceSelector": {"matchLabels": {"none": "such"}}}},
            "validatingadmissionpolicybindings/tocsin-decisions: spec.matchResources is set, and the chart does not set"
            " it",
            id="the binding leaves namespaces out",
        ),
    ],
)
def test_what_was_changed_is_not_trusted(
    release: Release, thing: tuple[str, str], change: dict[str, Any], says: str
) -> None:
    before = release.cluster.get(*thing)["spec"]
    release.cluster.kubectl("patch", *thing, "--type=merge", "-p", json.dumps({"spec": change}))
    try:
        assert seen(release) == (Trust.CHANGED, None, says)
    finally:
        undo = {name: before.get(name) for name in change}
        release.cluster.kubectl("patch", *thing, "--type=merge", "-p", json.dumps({"spec": undo}))
    assert seen(release)[0] is Trust.TRUSTED


@pytest.mark.parametrize("thing", [POLICY, BINDING], ids=["the policy", "the binding"])
def test_what_was_removed_is_not_trusted_and_is_trusted_anew_when_it_is_back(
    release: Release, thing: tuple[str, str]
) -> None:
    release.cluster.wait(lambda: datetime.now(UTC) > _made(release) + timedelta(seconds=2), 10, "another second")  # noqa: TID251 - the server's clock is the wall's
    before = _made(release)
    release.cluster.kubectl("delete", *thing)
    assert seen(release) == (Trust.MISSING, None, f"{_plural(thing[0])}/tocsin-decisions: NotFound")
    release.install()
    found, since, _ = seen(release)
    assert found is Trust.TRUSTED
    assert since is not None
    assert since > before + timedelta(seconds=5)


def _made(release: Release) -> datetime:
    made = [release.cluster.get(*one)["metadata"]["creationTimestamp"] for one in (POLICY, BINDING)]
    return datetime.strptime(max(made), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def _plural(kind: str) -> str:
    return f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"
