"""What an end-to-end test plays on: the installed chart, an operator process, a namespace with a model and people."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from tests.cluster.access import Access
from tests.cluster.workloads import IMAGE, model_deployment

CHART = Path(__file__).parents[2] / "charts" / "tocsin"
SYSTEM = "tocsin-system"
API = "tocsin.dev/v1alpha1"
REASONED = {"reason": "we have looked at it"}
LESSON = {"owner": "ada", "dueTime": "2099-01-01T00:00:00Z"}
"""The post-mortem that is owed at SEV1 and SEV2."""
ACCURACY = 'avg by (namespace, model) (model_quality_ratio{metric="accuracy"})'
GOOD, BAD = 0.95, 0.81


def settings(cluster: Access, **more: Any) -> dict[str, Any]:
    """Settings for the test cluster: its Prometheus, its sink, and a Lease short enough for tests."""
    return {
        "prometheus": {"default": {"url": cluster.prometheus_service_url}},
        # The sink's port too, so that the chart's NetworkPolicy lets it through.
        "channels": {"allowedHosts": ["127.*", urlsplit(cluster.sink.url()).netloc]},
        "leaseDuration": "2s",
        **more,
    }


@dataclass
class Installed:
    """The chart as Helm installed it, without pods: rights, admission and settings are the chart's own."""

    cluster: Access
    folder: Path

    @classmethod
    def install(cls, cluster: Access, folder: Path, *, pods: int = 0, **more: Any) -> Installed:
        values = folder / "values.yaml"
        repository, tag = IMAGE.split(":")
        image = {"repository": repository, "tag": tag}
        contained = {plural: {"enabled": True} for plural in ("deployments", "statefulsets", "daemonsets", "cronjobs")}
        chosen = {
            "replicas": max(1, pods),
            "image": image,
            "containment": contained,
            "settings": settings(cluster, **more),
        }
        values.write_text(yaml.safe_dump(chosen))
        install = ["upgrade", "--install", "tocsin", str(CHART), "-n", SYSTEM, "--create-namespace"]
        cluster.helm(*install, "-f", str(values))
        if not pods:
            cluster.kubectl("scale", "deployment/tocsin", "--replicas=0", "-n", SYSTEM)
        cluster.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        return cls(cluster, folder)

    def uninstall(self) -> None:
        self.cluster.helm("uninstall", "tocsin", "-n", SYSTEM, "--wait")
        self.cluster.delete_namespace(SYSTEM)
        self.cluster.wait(
            lambda: self.cluster.found(f"/api/v1/namespaces/{SYSTEM}") is None, 90, f"the end of {SYSTEM}"
        )

    def operator(self, name: str = "tocsin-0", server: str | None = None, **more: Any) -> OperatorProcess:
        """An operator as a process of ours, with the chart's ServiceAccount, settings and admission policy."""
        config = self.cluster.get("configmap", "tocsin", SYSTEM)["data"]
        home = self.folder / name
        home.mkdir(exist_ok=True)
        chosen = yaml.safe_load(config["settings.yaml"]) | more
        (home / "settings.yaml").write_text(yaml.safe_dump(chosen))
        (home / "admission.json").write_text(config["admission.json"])
        token = self.cluster.token(SYSTEM, "tocsin")
        return OperatorProcess(self.cluster, name, home, self.cluster.kubeconfig_for_token(token, server=server))


@dataclass
class OperatorProcess:
    """One replica, as a process that can be killed, stopped and continued."""

    cluster: Access
    name: str
    home: Path
    kubeconfig: Path
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0
    ports: tuple[int, int] = (0, 0)

    def start(self) -> OperatorProcess:
        assert self.process is None
        self.starts += 1
        command = [sys.executable, "-m", "tocsin", "run", "--settings", str(self.home / "settings.yaml")]
        ports = ["--probe-port", str(self.ports[0]), "--metrics-port", str(self.ports[1])]
        environment = self.cluster.environment(self.kubeconfig) | {"POD_NAMESPACE": SYSTEM, "POD_NAME": self.name}
        with (self.home / f"log-{self.starts}").open("wb") as log:
            self.process = subprocess.Popen([*command, *ports], env=environment, stdout=log, stderr=log)
        return self

    @property
    def log(self) -> str:
        return "".join((self.home / f"log-{n}").read_text() for n in range(1, self.starts + 1))

    def kill(self) -> None:
        """As a crash does: at once, without a word."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> int:
        """As Kubernetes does: SIGTERM, and time to end."""
        if self.process is None:
            return 0
        self.process.terminate()
        code = self.process.wait(20)
        self.process = None
        return code

    def ended(self, seconds: float) -> int:
        """Wait until it has ended by itself; its exit code."""
        assert self.process is not None
        code, self.process = self.process.wait(seconds), None
        return code

    def pause(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)


@dataclass
class Stage:
    """A namespace with a model, Responders, people with rights, and a policy."""

    cluster: Access
    namespace: str
    model: str = "credit"
    people: dict[str, Path] = field(default_factory=dict)

    def person(self, user: str, *roles: str) -> None:
        """Somebody with the ready ClusterRoles of the chart, in this namespace."""
        for role in roles:
            self.cluster.declare(
                {
                    "apiVersion": "rbac.authorization.k8s.io/v1",
                    "kind": "RoleBinding",
                    "metadata": {"name": f"{user}-{role}", "namespace": self.namespace},
                    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
                    "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
                }
            )
        self.people[user] = self.cluster.kubeconfig_for(user)

    def responder(self, name: str, *users: str, path: str | None = "/page") -> None:
        """A role of these people, reached by a webhook on the sink; without a path it has no channel."""
        channels = []
        if path:
            secret = {
                "apiVersion": "v1",
                "kind": "Secret",
                "type": "tocsin.dev/channel",
                "metadata": {"name": f"{name}-channel", "namespace": self.namespace},
                "stringData": {"type": "Webhook", "url": self.cluster.sink.url(f"{path}/{name}")},
            }
            self.cluster.declare(secret)
            self.let_channels_be_read()
            channels = [{"name": "hook", "secretRef": {"name": f"{name}-channel"}}]
        members = [{"name": user.title(), "user": user} for user in users]
        self.put("Responder", name, {"members": members, "channels": channels})

    def let_channels_be_read(self) -> None:
        """What the chart does for each of channelNamespaces."""
        role: dict[str, Any] = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"namespace": self.namespace}}
        self.cluster.declare(
            role
            | {
                "kind": "Role",
                "metadata": role["metadata"] | {"name": "tocsin-channels"},
                "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}],
            }
        )
        self.cluster.declare(
            role
            | {
                "kind": "RoleBinding",
                "metadata": role["metadata"] | {"name": "tocsin-channels"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "tocsin-channels"},
                "subjects": [{"kind": "ServiceAccount", "name": "tocsin", "namespace": SYSTEM}],
            }
        )

    def put(self, kind: str, name: str, spec: dict[str, Any]) -> None:
        self.cluster.declare(
            {"apiVersion": API, "kind": kind, "metadata": {"name": name, "namespace": self.namespace}, "spec": spec}
        )

    def deploy(self, version: str, accuracy: float, **more: Any) -> None:
        """Roll a version of the model out, and wait until it has."""
        self.cluster.declare(model_deployment(self.model, self.namespace, version=version, accuracy=accuracy, **more))
        self.cluster.kubectl("rollout", "status", f"deploy/{self.model}", "-n", self.namespace, "--timeout=60s")

    def policy(self, name: str = "credit", **changes: Any) -> None:
        """The usual policy, with whole fields of its spec replaced."""
        self.put("EscalationPolicy", name, policy_spec(self.model) | changes)

    def until_healthy(self) -> None:
        """Wait until the revision that runs was marked as healthy."""

        def marked() -> bool:
            sets = self.cluster.items("replicasets", self.namespace)
            return any("tocsin.dev/healthy" in one["metadata"].get("annotations", {}) for one in sets)

        self.cluster.wait(marked, 40, "a healthy mark")

    def incidents(self) -> list[Any]:
        """The incidents of the model."""
        found = self.cluster.items("incidents.tocsin.dev", self.namespace)
        return [one for one in found if one["spec"]["model"] == self.model]

    def incident(self) -> Any:
        """The one incident, when there is one; never two."""
        found = self.incidents()
        assert len(found) <= 1, [one["metadata"]["name"] for one in found]
        return found[0] if found else None

    def condition(self, kind: str) -> tuple[str, str]:
        """Status and reason of a condition of the incident."""
        incident = self.incident() or {}
        for one in incident.get("status", {}).get("conditions", []):
            if one["type"] == kind:
                return one["status"], one["reason"]
        return "", ""

    def until(self, kind: str, status: str = "True", seconds: float = 40) -> Any:
        """Wait for a condition of the incident; returns the incident."""
        self.cluster.wait(lambda: self.condition(kind)[0] == status, seconds, f"{kind}={status} in {self.namespace}")
        return self.incident()

    def measured(self, name: str = "credit") -> tuple[str, str]:
        """Status and reason of the policy's condition Measured."""
        policy = self.cluster.get("escalationpolicies.tocsin.dev", name, self.namespace) or {}
        conditions = policy.get("status", {}).get("conditions", [])
        found = next((one for one in conditions if one["type"] == "Measured"), {"status": "", "reason": ""})
        return found["status"], found["reason"]

    def decide(self, user: str, kind: str, **spec: Any) -> str:
        """A Decision as that person, by kubectl, with a reason where one is owed; raises CommandError with the server's
        words."""
        incident = self.incident()
        body: dict[str, Any] = {
            "apiVersion": API,
            "kind": "Decision",
            "metadata": {"generateName": f"{kind.lower()}-", "namespace": self.namespace},
            "spec": {"type": kind, **(REASONED if kind in ("Approve", "Resolve") else {}), **spec},
        }
        elsewhere = kind in ("Authorise", "Attest", "AcceptClock") or kind.endswith("Message")
        if not elsewhere and "incidentRef" not in spec:
            reference = {"name": incident["metadata"]["name"], "uid": incident["metadata"]["uid"]}
            body["spec"] |= {"incidentRef": reference}
        return self.cluster.kubectl("create", "-f", "-", input=json.dumps(body), kubeconfig=self.people[user])

    def template_hash(self) -> str:
        """Which revision the Deployment asks for, by the version in its template."""
        deployment = self.cluster.get("deployment", self.model, self.namespace)
        env = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
        return str(next(one["value"] for one in env if one["name"] == "MODEL_VERSION"))

    def revision(self) -> int:
        """The Deployment's revision number: it grows by one with each rollout and each rollback."""
        deployment = self.cluster.get("deployment", self.model, self.namespace)
        return int(deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"])

    def pages(self, responder: str = "") -> list[Any]:
        """What the sink has accepted for the Responders of this namespace, in order of arrival."""
        received = [one.body for one in self.cluster.sink.received() if isinstance(one.body, dict)]
        mine = [body for body in received if body.get("namespace") == self.namespace and "responder" in body]
        return [body for body in mine if not responder or body["responder"] == responder]


EFFECT = {
    "experience": "Applicants get their score later, or from the earlier model.",
    "fallback": "Underwriters decide close cases by hand.",
}
"""What the options of these policies mean to people."""


def policy_spec(model: str) -> dict[str, Any]:
    """Seconds-long windows: found within 2 s, rolled back at once, escalated after 6 s."""
    return {
        "mode": "Enforce",
        "models": [{"name": model, "target": {"apiVersion": "apps/v1", "kind": "Deployment", "name": model}}],
        "risk": {"regulatory": 2, "reputation": 1},
        "signals": [
            {
                "name": "accuracy",
                "kind": "Quality",
                "query": ACCURACY,
                "warn": "< 0.92",
                "critical": "< 0.70",
                "every": "1s",
                "for": "2s",
                "recoverAfter": "3s",
            }
        ],
        "containment": [
            {
                "name": "last-healthy",
                "type": "RollBack",
                "rollBack": {"to": "LastHealthy", "healthyAfter": "3s"},
                "effect": EFFECT,
                "approval": {"required": 0},
                "verifyWithin": "30s",
            }
        ],
        "tiers": [
            {"name": "owners", "severity": "SEV3", "accountable": "owners", "acknowledgeWithin": "6s"},
            {"name": "compliance", "severity": "SEV2", "accountable": "risk", "acknowledgeWithin": "6s"},
            {"name": "executives", "severity": "SEV1", "accountable": "board", "acknowledgeWithin": "6s"},
        ],
    }
