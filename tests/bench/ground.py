"""On what is everything measured? One cluster, the chart's rights, and an operator that costs what /proc says."""

from __future__ import annotations

import re
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench.audit import Audit
from tests.bench.hands import Hands, Request
from tests.bench.meters import Meter
from tests.cluster.cluster import Cluster
from tests.cluster.proxy import Proxy
from tests.cluster.workloads import PORT, model_deployment
from tests.e2e.exporter import exporting
from tests.e2e.stage import API, BAD, EFFECT, GOOD, SYSTEM, Installed, OperatorProcess, policy_spec
from tocsin.settings import Tenancy

OURS = f"/apis/{API}"
METRICS = 19090
"""The operator's port of /metrics."""
LEASE = 5
"""Seconds for which a leader's Lease lasts."""


@dataclass
class Operator:
    """One that runs: its process, and what it says of itself."""

    process: OperatorProcess
    port: int
    """Of its /metrics."""

    @property
    def meter(self) -> Meter:
        assert self.process.process is not None
        return Meter(self.process.process.pid)

    def answers(self) -> bool:
        """Whether its metrics are served."""
        try:
            self.metric("tocsin_leading")
        except OSError:
            return False
        return True

    def metric(self, name: str, labels: str = "") -> float:
        """The sum of a metric's samples whose labels match; 0 when there is none."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        found = re.findall(rf"^{name}(?:{{([^}}]*)}})? (\S+)$", text, re.MULTILINE)
        return sum(float(value) for have, value in found if labels in have)


@dataclass
class Ground:
    """A cluster with the chart, and the means to fill and to measure it."""

    cluster: Cluster
    installed: Installed
    folder: Path
    hands: Hands = field(init=False)
    audit: Audit = field(init=False)
    metrics: Proxy = field(init=False)
    """Between the operator and Prometheus: it counts queries, and knows when each was answered."""

    def __post_init__(self) -> None:
        self.hands, self.audit = Hands(self.cluster), Audit(self.cluster)

    @contextmanager
    def operator(
        self, tenancy: Tenancy = Tenancy.SINGLE, server: str | None = None, behind: Operator | None = None
    ) -> Iterator[Operator]:
        """An operator with the chart's rights whose queries go through a counting proxy; no budget stops it.

        With another address of the API server it goes there; behind another operator it waits to lead.
        """
        with Proxy(self.cluster.prometheus_service_url) as self.metrics:
            prometheus = {"default": {"url": self.metrics.url, "tenancy": str(tenancy)}}
            budget = {"containments": 100_000}
            more = {"prometheus": prometheus, "budget": budget, "leaseDuration": f"{LEASE}s"}
            process = self.installed.operator("behind" if behind else "bench", server, **more)
            made = Operator(process, behind.port + 1 if behind else METRICS)
            process.ports = (0, made.port)
            process.start()
            try:
                if behind is None:
                    self._until_leading(process)
                self.cluster.wait(made.answers, 60, "an operator that answers", every=0.1)
                yield made
            finally:
                process.stop()

    def _until_leading(self, process: OperatorProcess) -> None:
        try:
            self.cluster.wait(lambda: '"leading"' in process.log, 60, "a leader")
        except AssertionError as failed:
            failed.add_note(f"what the operator said:\n{process.log[-4000:]}")
            raise

    def written(self) -> list[str]:
        """What the operator has written since the audit log was last read, by resource, the Lease apart."""
        return [one.resource for one in self.audit.read() if one.is_write and one.resource != "leases"]

    def until_quiet(self, span: float) -> None:
        """Wait until the operator has written nothing for so many seconds."""
        quiet = time.monotonic()

        def settled() -> bool:
            nonlocal quiet
            if self.written():
                quiet = time.monotonic()
            return time.monotonic() - quiet > span

        self.cluster.wait(settled, 900, "quiet", every=0.5)

    def street(self, prefix: str) -> Street:
        """A namespace with an exporter that speaks for all of its models."""
        return Street(self, self.cluster.namespace(prefix))

    def vacate(self, street: Street) -> None:
        """Leave a street for good: the next measurement must not pay for its policies, nor for their deletion."""
        self.hands.do([Request("DELETE", street.path(OURS, "escalationpolicies"))])
        street.close()
        gone = f"/api/v1/namespaces/{street.namespace}"
        self.cluster.wait(lambda: not self.cluster.found(gone), 1800, f"the end of {street.namespace}", every=0.5)

    def seconds_of(self, ended: float) -> datetime:
        """An instant of the proxies' monotonic clock as a time of day."""
        return datetime.fromtimestamp(time.time() - time.monotonic() + ended, UTC)


@dataclass
class Street:
    """One namespace: many models, one query, one exporter."""

    ground: Ground
    namespace: str
    said: dict[str, float] = field(default_factory=dict)

    def path(self, group: str, plural: str, name: str = "") -> str:
        return f"{group}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    def voices(self) -> None:
        """The exporter, scraped once a second."""
        cluster = self.ground.cluster
        body = exporting("voices", self.namespace, "# nothing is said yet")
        del body["spec"]["template"]["metadata"]["labels"]["model"]  # each line says which model it is of
        cluster.api("POST", self.path("/apis/apps/v1", "deployments"), body)
        cluster.kubectl("rollout", "status", "deploy/voices", "-n", self.namespace, "--timeout=60s")

    def say(self, models: Sequence[str], accuracy: float) -> float:
        """Have these models be so good from the next scrape on; returns the time of day at which it was said."""
        self.said |= dict.fromkeys(models, accuracy)
        lines = [f'model_quality_ratio{{model="{model}",metric="accuracy"}} {one}' for model, one in self.said.items()]
        query = f"/api/v1/namespaces/{self.namespace}/pods?labelSelector=app%3Dvoices"
        (pod,) = self.ground.cluster.api("GET", query)["items"]
        url = f"http://{pod['status']['podIP']}:{PORT}"
        with urllib.request.urlopen(url, "".join(f"{line}\n" for line in lines).encode(), timeout=30):
            return time.time()

    def deployments(self, models: Sequence[str]) -> None:
        """A Deployment for each, without pods, at its second revision: there is one to go back to."""
        for version in ("v1", "v2"):
            bodies = [model_deployment(one, self.namespace, version=version, replicas=0) for one in models]
            where = self.path("/apis/apps/v1", "deployments")
            if version == "v1":
                self.ground.hands.do([Request("POST", where, body) for body in bodies])
            else:
                changes = [{"spec": {"template": body["spec"]["template"]}} for body in bodies]
                rows = zip(models, changes, strict=True)
                self.ground.hands.do([Request("PATCH", f"{where}/{model}", change) for model, change in rows])
            self._taken_up(len(models) * (1 if version == "v1" else 2))

    def _taken_up(self, count: int) -> None:
        """Wait for so many ReplicaSets."""
        where = self.path("/apis/apps/v1", "replicasets")

        def there() -> bool:
            found = self.ground.cluster.api("GET", f"{where}?limit=1")["metadata"]
            return int(found.get("remainingItemCount", 0)) + 1 >= count + 1  # and that of the exporter

        self.ground.cluster.wait(there, 300 + count / 10, f"{count} ReplicaSets", every=0.5)

    def policies(self, models: Sequence[str], spec: Callable[[str], dict[str, Any]] | None = None) -> None:
        """One policy a model."""
        made = spec or a_spec
        bodies = [
            {"apiVersion": API, "kind": "EscalationPolicy", "metadata": {"name": one}, "spec": made(one)}
            for one in models
        ]
        where = self.path(OURS, "escalationpolicies")
        self.ground.hands.do([Request("POST", where, body) for body in bodies])

    def measured(self, seconds: float = 300) -> None:
        """Wait until every policy's signals have data."""
        where = self.path(OURS, "escalationpolicies")

        def all_measured() -> bool:
            items = self.ground.cluster.api("GET", where, timeout=120)["items"]
            return all(
                any(one["type"] == "Measured" and one["status"] == "True" for one in _conditions(item))
                for item in items
            )

        self.ground.cluster.wait(all_measured, seconds, "data of every policy", every=1)

    def incidents(self) -> list[Any]:
        items: list[Any] = self.ground.cluster.api("GET", self.path(OURS, "incidents"), timeout=120)["items"]
        return items

    def until_told(self, count: int) -> None:
        """Wait for so many incidents, and until everybody who is to be told of them was told."""

        def told() -> bool:
            ledgers = [one.get("status", {}).get("effects", []) for one in self.incidents()]
            done = [bool(ledger) and all(one["state"] == "Done" for one in ledger) for ledger in ledgers]
            return len(done) == count and all(done)

        self.ground.cluster.wait(told, 90 + count / 5, f"{count} incidents whose owners know", every=0.5)

    def receivers(self, *roles: str) -> None:
        """Responders whose channel is the sink."""
        cluster, hook = self.ground.cluster, {"name": "hook", "secretRef": {"name": "hook"}}
        channel = {"type": "Webhook", "url": cluster.sink.url(f"/bench/{self.namespace}")}
        secret = {"metadata": {"name": "hook"}, "type": "tocsin.dev/channel", "stringData": channel}
        cluster.api("POST", self.path("/api/v1", "secrets"), secret)
        rbac = "/apis/rbac.authorization.k8s.io/v1"
        rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
        cluster.api("POST", self.path(rbac, "roles"), {"metadata": {"name": "channels"}, "rules": rules})
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "channels"}
        subjects = [{"kind": "ServiceAccount", "name": "tocsin", "namespace": SYSTEM}]
        binding = {"metadata": {"name": "channels"}, "roleRef": reference, "subjects": subjects}
        cluster.api("POST", self.path(rbac, "rolebindings"), binding)
        for role in roles:
            spec = {"members": [{"name": "Ada", "user": "ada"}], "channels": [hook]}
            body = {"apiVersion": API, "kind": "Responder", "metadata": {"name": role}, "spec": spec}
            cluster.api("POST", self.path(OURS, "responders"), body)

    def close(self) -> None:
        """Leave it; what is in it is deleted without waiting."""
        self.ground.cluster.delete_namespace(self.namespace)


def _conditions(item: Any) -> list[Any]:
    found: list[Any] = item.get("status", {}).get("conditions", [])
    return found


def a_spec(model: str, *, every: str = "1s") -> dict[str, Any]:
    """The policy of the end-to-end tests, which rolls back after one second of a breach and then leaves people time."""
    spec = policy_spec(model)
    (signal,) = spec["signals"]
    option = {"name": "previous", "type": "RollBack", "rollBack": {"to": "Previous"}, "approval": {"required": 0}}
    option["effect"] = EFFECT
    tier = {"name": "owners", "severity": "SEV3", "accountable": "owners", "acknowledgeWithin": "1h"}
    return spec | {"signals": [signal | {"every": every, "for": "1s"}], "containment": [option], "tiers": [tier]}


def names(count: int, prefix: str = "m") -> list[str]:
    """The names of so many models, none the beginning of another."""
    return [f"{prefix}-{number:05}" for number in range(count)]


__all__ = ["BAD", "GOOD", "Ground", "Operator", "Street", "a_spec", "names"]
