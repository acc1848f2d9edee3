"""The chart, installed for the tests of a module and removed after them: its admission policies rule the cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster.access import Access
from tests.cluster.cluster import ROOT

CHART = ROOT / "charts" / "tocsin"
RULES = {"mode": "Observe", "prometheus": "default", "model": {"name": "a"}, "risk": {}, "reopenWindow": "1h"}


@dataclass(frozen=True)
class Release:
    """The chart as it stands in a cluster."""

    cluster: Access
    namespace: str

    def token(self) -> str:
        """A token with the rights of the operator's ServiceAccount, no others."""
        return self.cluster.token(self.namespace, "tocsin")

    def operator(self) -> Path:
        """A kubeconfig with the rights of the operator's ServiceAccount, no others."""
        return self.cluster.kubeconfig_for_token(self.token())

    def install(self, *more: str) -> str:
        """Install or upgrade, and wait until the admission policies are enforced."""
        given = f"settings.prometheus.default.url={self.cluster.prometheus_service_url}"
        command = ("upgrade", "--install", "tocsin", str(CHART), "-n", self.namespace, "--set", given, *more)
        said = self.cluster.helm(*command)
        self.cluster.wait(self._enforced, 10, "the admission policies")
        return said

    def uninstall(self) -> None:
        self.cluster.helm("uninstall", "tocsin", "-n", self.namespace, "--wait")
        self.cluster.wait(lambda: not self._enforced(), 10, "the end of the admission policies")
        self.cluster.delete_namespace(self.namespace)

    def _enforced(self) -> bool:
        """Two policies refuse even the administrator something; all of them were made in the same breath."""
        forged = {"origin": "Signal", "policyRef": {"name": "a"}, "model": "a", "rules": RULES}
        decided = {"type": "Acknowledge", "by": "nobody", "incidentRef": {"name": "a"}}
        answers = [self._tried("Incident", forged), self._tried("Decision", decided)]
        return "only the operator" in answers[0] and "spec.by must be" in answers[1]

    def _tried(self, kind: str, spec: object) -> str:
        body = {"apiVersion": "tocsin.dev/v1alpha1", "kind": kind, "metadata": {"name": "x"}, "spec": spec}
        return self.cluster.kubectl(
            "create", "--dry-run=server", "-n", "default", "-f", "-", input=json.dumps(body), check=False
        )


@pytest.fixture(scope="module")
def release(cluster: Access) -> Iterator[Release]:
    """The chart with its defaults, in a namespace of its own."""
    release = Release(cluster, cluster.namespace("tocsin"))
    release.install()
    yield release
    release.uninstall()
