"""How do many rows play at once? Each on a stage of its own, all before one operator; its test hears how it ended."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.access import Access, ApiError, CommandError
from tests.cluster.workloads import IMAGE, model_deployment
from tests.e2e.stage import API, EFFECT, SYSTEM, OperatorProcess, Stage, policy_spec
from tocsin.api.quantities import parse_time
from tocsin.clock import SystemClock
from tocsin.observe.admission import ENFORCED_AFTER

AT_ONCE = 8
PATIENCE = 90.0
"""Seconds for whatever a row waits for: the machine may be busy with other clusters."""
PATIENT_LEASE = "10s"
"""No row is about a leader that loses its lease because the machine is busy."""
ROLES = {"owners": "ada", "risk": "ben", "board": "eve"}
"""The Responders of every stage, one person each, who may respond and approve."""
BOUND = {
    "ada": ("tocsin-responder", "tocsin-approver"),
    "ben": ("tocsin-responder", "tocsin-approver"),
    "eve": ("tocsin-responder", "tocsin-approver"),
    "zoe": ("tocsin-responder", "tocsin-approver"),
    "mallory": ("tocsin-auditor",),
}
"""Who may what in every stage by RBAC; zoe may all, and is in no Responder."""
PLURALS = {
    "EscalationPolicy": "escalationpolicies",
    "Responder": "responders",
    "Incident": "incidents",
    "MessageTemplate": "messagetemplates",
    "Message": "messages",
}


def constant(value: object, model: str = "credit") -> str:
    """A query that gives the model this value and needs no series."""
    return f'label_replace(vector({value}), "model", "{model}", "", "")'


def signal(query: str, **changes: Any) -> dict[str, Any]:
    """The usual signal with another query."""
    usual: dict[str, Any] = policy_spec("credit")["signals"][0]
    return usual | {"query": query, "for": "0s", "noData": {"after": "1m", "then": "Hold"}} | changes


def scale(replicas: int, name: str = "stop", **changes: Any) -> dict[str, Any]:
    """An option that scales, without asking where class and severity allow it."""
    usual = {"name": name, "type": "Scale", "scale": {"replicas": replicas}, "approval": {"required": 0}}
    return usual | {"effect": EFFECT, "verifyWithin": "10m"} | changes


def roll_back(name: str = "previous", to: str = "Previous", **changes: Any) -> dict[str, Any]:
    """An option that rolls back, without asking where class and severity allow it."""
    usual = {"name": name, "type": "RollBack", "rollBack": {"to": to, "healthyAfter": "2s"}}
    return usual | {"effect": EFFECT, "approval": {"required": 0}, "verifyWithin": "10m"} | changes


MILD, SEVERE = constant(0.85), constant(0.5)
"""A breach that makes SEV3 by the usual policy, and one that makes SEV2."""
QUIET_TIERS = [
    {"name": "owners", "severity": "SEV4", "accountable": "owners"},
    {"name": "compliance", "severity": "SEV2", "accountable": "risk"},
    {"name": "executives", "severity": "SEV1", "accountable": "board"},
]
"""Tiers without deadlines: nothing moves by itself."""


class Scene(Stage):
    """A stage of one row, made by a few requests: a row costs little, so there can be many."""

    operator: OperatorProcess
    """Before which the row plays."""

    @classmethod
    def made(cls, cluster: Access, people: Mapping[str, Path]) -> Scene:
        """A namespace with the usual people, each in the Responder of their own."""
        scene = cls(cluster, cluster.namespace("row"), people=dict(people))
        for user, roles in BOUND.items():
            for role in roles:
                scene.bind(role, "User", user)
        scene.let_channels_be_read()
        for responder, user in ROLES.items():
            scene.reach(responder, user)
        return scene

    def bind(self, role: str, kind: str, name: str) -> None:
        """Give somebody one of the chart's ready roles in this namespace."""
        group = {"apiGroup": "rbac.authorization.k8s.io"} if kind == "User" else {"namespace": self.namespace}
        body = {
            "metadata": {"name": f"{name}-{role}"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": kind, "name": name} | group],
        }
        self.post("/apis/rbac.authorization.k8s.io/v1", "rolebindings", body)

    def let_channels_be_read(self) -> None:
        """What the chart does for each of channelNamespaces."""
        rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
        group = "/apis/rbac.authorization.k8s.io/v1"
        self.post(group, "roles", {"metadata": {"name": "tocsin-channels"}, "rules": rules})
        body = {
            "metadata": {"name": "tocsin-channels"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "tocsin-channels"},
            "subjects": [{"kind": "ServiceAccount", "name": "tocsin", "namespace": SYSTEM}],
        }
        self.post(group, "rolebindings", body)

    def grant(self, user: str, verbs: list[str], *resources: str) -> None:
        """Give somebody these verbs on these resources of ours in this namespace."""
        group, name = "/apis/rbac.authorization.k8s.io/v1", f"{user}-{len(resources)}-{verbs[0].strip('*') or 'all'}"
        rules = [{"apiGroups": ["tocsin.dev"], "resources": list(resources), "verbs": verbs}]
        self.post(group, "roles", {"metadata": {"name": name}, "rules": rules})
        body = {
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
        }
        self.post(group, "rolebindings", body)

    def secret(self, name: str, url: str, kind: str = "tocsin.dev/channel") -> None:
        """The Secret of a webhook."""
        data = {"type": "Webhook", "url": url}
        self.post("/api/v1", "secrets", {"metadata": {"name": name}, "type": kind, "stringData": data})

    def reach(self, responder: str, *users: str, secret: str = "") -> None:
        """A Responder of these people, reached by a webhook on the sink, or by what is in that Secret."""
        if not secret:
            secret = f"{responder}-channel"
            self.secret(secret, self.cluster.sink.url(f"/page/{responder}"))
        members = [{"name": user.title(), "user": user} for user in users]
        channels = [{"name": "hook", "secretRef": {"name": secret}}]
        self.ours("Responder", responder, {"members": members, "channels": channels})

    # --- objects

    def post(self, group: str, plural: str, body: Any) -> Any:
        """Create an object as the administrator."""
        return self.cluster.api("POST", f"{group}/namespaces/{self.namespace}/{plural}", body)

    def ours(self, kind: str, name: str, spec: Any) -> Any:
        """Create an object of ours as the administrator."""
        body = {"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": spec}
        return self.post(f"/apis/{API}", PLURALS[kind], body)

    def change(self, what: str, body: Any, **more: Any) -> Any:
        """A merge patch, for example of ``apis/apps/v1/…/deployments/credit`` as ``deployments/credit``."""
        plural = what.split("/", 1)[0]
        group = {"deployments": "/apis/apps/v1"}.get(plural, f"/apis/{API}")
        return self.cluster.api("PATCH", f"{group}/namespaces/{self.namespace}/{what}", body, **more)

    def guard(self, query: str = MILD, name: str = "credit", **changes: Any) -> None:
        """The usual policy on this query, with tiers that wait for nobody."""
        usual = policy_spec("credit") | {"signals": [signal(query)], "tiers": QUIET_TIERS, "reopenWindow": "1m"}
        self.ours("EscalationPolicy", name, usual | changes)

    def runs(self, version: str = "v1", name: str = "credit", replicas: int = 1, **changes: Any) -> Any:
        """A Deployment of a process that does nothing; it costs little and is there at once."""
        body = model_deployment(name, self.namespace, version=version, replicas=replicas)
        container = {
            "name": "model",
            "image": IMAGE,
            "command": ["sleep", "3600"],
            "env": [{"name": "MODEL_VERSION", "value": version}],
        }
        template = body["spec"]["template"]
        template["metadata"].pop("annotations")
        template["spec"]["containers"] = [container]
        body["metadata"] |= changes.pop("metadata", {})
        body["spec"] |= changes
        made = self.post("/apis/apps/v1", "deployments", body)
        if not changes.get("paused"):
            self.rolled_out(name)
        return made

    def roll(self, version: str, name: str = "credit") -> None:
        """A rollout of another version of that process."""
        env = [{"name": "MODEL_VERSION", "value": version}]
        container = {"name": "model", "image": IMAGE, "command": ["sleep", "3600"], "env": env}
        self.change(f"deployments/{name}", {"spec": {"template": {"spec": {"containers": [container]}}}})
        self.rolled_out(name)

    def stalls(self, version: str, name: str = "credit") -> None:
        """A rollout of a version that answers nobody: it waits for ever behind the first of its pods."""
        env = [{"name": "MODEL_VERSION", "value": version}]
        container = {"name": "model", "image": IMAGE, "command": ["sleep", "3600"], "env": env}
        container["readinessProbe"] = {"httpGet": {"path": "/", "port": 1}, "periodSeconds": 1}
        self.change(f"deployments/{name}", {"spec": {"template": {"spec": {"containers": [container]}}}})
        self.wait(
            lambda: self.deployment(name).get("status", {}).get("updatedReplicas"), "a pod of the template that stalls"
        )

    def rolled_out(self, name: str = "credit") -> None:
        """Wait until the Deployment's pods are all of its present revision."""

        def complete() -> bool:
            one = self.deployment(name)
            status, wanted = one.get("status", {}), one["spec"]["replicas"]
            counts = [status.get(count, 0) for count in ("replicas", "updatedReplicas", "availableReplicas")]
            return status.get("observedGeneration", 0) >= one["metadata"]["generation"] and counts == [wanted] * 3

        self.wait(complete, f"the rollout of {name}")

    def deployment(self, name: str = "credit") -> Any:
        return self.cluster.api("GET", f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{name}")

    def version(self, name: str = "credit") -> str:
        """The version in the Deployment's template."""
        env = self.deployment(name)["spec"]["template"]["spec"]["containers"][0]["env"]
        return str(next(one["value"] for one in env if one["name"] == "MODEL_VERSION"))

    def serve(self, version: str, accuracy: float) -> None:
        """Roll out a model that Prometheus scrapes."""
        self.deploy(version, accuracy)

    def quality(self, **fields: float) -> None:
        """Change what the running model's metrics say."""
        pods = self.cluster.api("GET", f"/api/v1/namespaces/{self.namespace}/pods")["items"]
        for pod in pods:
            if pod["status"].get("podIP") and "deletionTimestamp" not in pod["metadata"]:
                url = f"http://{pod['status']['podIP']}:18080/quality"
                with urllib.request.urlopen(url, json.dumps(fields).encode(), timeout=10):
                    pass

    # --- what is there

    def wait(self, predicate: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
        """The first true answer."""
        return self.cluster.wait(predicate, seconds, f"{what} in {self.namespace}", every=0.3)

    def fetch(self, plural: str, name: str) -> Any:
        """An object of ours; None when there is none."""
        return self.cluster.found(f"/apis/{API}/namespaces/{self.namespace}/{plural}/{name}")

    def incidents(self) -> list[Any]:
        items = self.cluster.api("GET", f"/apis/{API}/namespaces/{self.namespace}/incidents")["items"]
        return [{"apiVersion": API, "kind": "Incident", **item} for item in items]

    def status(self) -> Any:
        """The status of the one incident; empty before there is one."""
        return (self.incident() or {}).get("status", {})

    def fact(self, plural: str, name: str, kind: str) -> tuple[str, str, str]:
        """Status, reason and message of a condition; empty while it is not there."""
        return fact(self.fetch(plural, name), kind)

    def says(
        self, kind: str, reason: str, *words: str, plural: str = "escalationpolicies", name: str = "credit"
    ) -> str:
        """Wait for a condition with that reason and all of these words; returns its message."""

        def said() -> str:
            _, found, message = self.fact(plural, name, kind)
            return message if found == reason and all(word in message for word in words) else ""

        try:
            return str(self.wait(said, f"{kind}: {reason} of {plural}/{name}"))
        except AssertionError as late:
            late.add_note(f"it says {self.fact(plural, name, kind)}")
            raise

    def until(self, kind: str, status: str = "True", seconds: float = PATIENCE, reason: str = "") -> Any:
        """Wait for a condition of the one incident; returns the incident."""

        def holds() -> Any:
            incident = self.incident()
            found = fact(incident, kind)
            return incident if found[0] == status and reason in ("", found[1]) else None

        return self.wait(holds, f"{kind}={status} {reason}", seconds)

    def option(self, name: str, *states: str) -> Any:
        """Wait until an option of the one incident is in one of these states; returns its record."""

        def there() -> Any:
            records = self.status().get("containment", [])
            return next((one for one in records if one["name"] == name and one["state"] in states), None)

        return self.wait(there, f"option {name} {' or '.join(states)}")

    def asks(self, name: str) -> str:
        """Wait until an option asks; returns the digest to answer with."""
        return str(self.option(name, "Asking")["digest"])

    # --- what people do

    def told(self, user: str, kind: str, **spec: Any) -> tuple[bool, str]:
        """Decide, and wait for what became of it: whether it counted, and why."""
        name = self.decide(user, kind, **spec).split("/", 1)[1].split()[0]

        def heard() -> Any:
            return next((one for one in self.status().get("decisions", []) if one["name"] == name), None)

        record = self.wait(heard, f"word on {name}")
        assert (record["type"], record["by"]) == (kind, user)
        return record["counted"], record["message"]

    def report(self, user: str, **changes: Any) -> str:
        """Open an incident as that person; the server's words when it is refused."""
        metadata = changes.pop("metadata", {"generateName": "report-"})
        spec = {"origin": "Person", "policyRef": {"name": "credit"}, "model": "credit", "reason": "customers complain"}
        body = {"apiVersion": API, "kind": "Incident", "metadata": metadata | {"namespace": self.namespace}}
        return self.create(user, body | {"spec": spec | changes})

    def create(self, user: str, body: Any) -> str:
        """`kubectl create` as that person; raises CommandError with the server's words."""
        return self.cluster.kubectl("create", "-f", "-", input=json.dumps(body), kubeconfig=self.people[user])

    def authorise(self, user: str, option: str, **spec: Any) -> str:
        """Give the standing authorisation that the policy's status asks for; returns the Decision's name."""
        policy = self.wait(lambda: self._with_options(), "the policy's digests")
        digest = next(one["digest"] for one in policy["status"]["options"] if one["name"] == option)
        reference = {"name": policy["metadata"]["name"], "uid": policy["metadata"]["uid"]}
        usual = {"policyRef": reference, "option": option, "digest": digest, "reason": "agreed in advance"}
        words = self.decide(user, "Authorise", **usual | {"expireTime": "2099-01-01T00:00:00Z"} | spec)
        return words.split("/", 1)[1].split()[0]

    def _with_options(self) -> Any:
        policy = self.fetch("escalationpolicies", "credit")
        return policy if policy and policy.get("status", {}).get("options") else None


def fact(thing: Any, kind: str) -> tuple[str, str, str]:
    """Status, reason and message of a condition; empty while it is not there."""
    for one in (thing or {}).get("status", {}).get("conditions", []):
        if one["type"] == kind:
            return one["status"], one["reason"], one.get("message", "")
    return "", "", ""


def _served(cluster: Access) -> bool:
    """Whether the API server serves our kinds and its admission knows them; new ones it answers by 429, then 503."""
    reference = {"name": "none"}
    report = {"origin": "Person", "policyRef": reference, "model": "none", "reason": "none", "by": "admin"}
    act = {"type": "Acknowledge", "incidentRef": reference, "by": "admin"}
    try:
        for kind, plural, spec in (("Incident", "incidents", report), ("Decision", "decisions", act)):
            body = {"apiVersion": API, "kind": kind, "metadata": {"generateName": "none-"}, "spec": spec}
            cluster.api("POST", f"/apis/{API}/namespaces/default/{plural}?dryRun=All", body)
        return all(cluster.api("GET", f"/apis/{API}/{plural}") for plural in PLURALS.values())
    except ApiError as early:
        if early.status not in (429, 503):
            raise
        return False


def trusted(cluster: Access) -> bool:
    """Whether the admission policies have stood for so long that a Decision of now is not void."""
    group = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
    made = [parse_time(one["metadata"]["creationTimestamp"]) for one in cluster.api("GET", group)["items"]]
    return SystemClock().now() > max(made) + ENFORCED_AFTER


Play = Callable[[Scene], None]


@dataclass
class Rows:
    """The rows of one file, by the sentence that the function's name is."""

    plays: dict[str, Play] = field(default_factory=dict)

    def __call__(self, play: Play) -> Play:
        """Take a row, as a decorator."""
        self.plays[play.__name__.replace("_", " ")] = play
        return play

    @property
    def names(self) -> tuple[str, ...]:
        """The sentences, as ids of the tests."""
        return tuple(self.plays)

    def perform(
        self, wanted: list[str], cluster: Access, people: Mapping[str, Path], operator: OperatorProcess
    ) -> dict[str, Future[None]]:
        """Play the wanted rows to their end, some at a time."""
        cluster.wait(lambda: _served(cluster), PATIENCE, "our kinds")
        cluster.wait(lambda: trusted(cluster), PATIENCE, "Decisions that count")
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return {name: pool.submit(self._play, self.plays[name], cluster, people, operator) for name in wanted}

    def _play(self, play: Play, cluster: Access, people: Mapping[str, Path], operator: OperatorProcess) -> None:
        scene = Scene.made(cluster, people)
        scene.operator = operator
        try:
            play(scene)
        except (AssertionError, ApiError, CommandError, LookupError) as failed:
            lines = [line for line in operator.log.splitlines() if scene.namespace in line]
            failed.add_note("\n".join(["what the operator said:", *lines[-40:]]))
            failed.add_note(yaml.safe_dump([one.get("status") for one in scene.incidents()])[:6000])
            raise
        finally:
            cluster.delete_namespace(scene.namespace)
