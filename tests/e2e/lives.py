"""What is one incident's life, and what must be left of it whatever happened to the operator on the way?"""

from __future__ import annotations

import json
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.cluster.cluster import Cluster
from tests.cluster.proxy import Call
from tests.cluster.sink import Received
from tests.cluster.workloads import PORT, model_deployment
from tests.e2e.callers import GROUP, Caller
from tests.e2e.exporter import exporting
from tests.e2e.stage import API, BAD, GOOD, SYSTEM, policy_spec

AT_ONCE = 10
"""So many lives go on at a time."""
READER = "lives-channels"
NEWS = {"Contained": "settledTime", "Recovered": "recoveredTime", "Resolved": "resolvedTime"}

END = {
    "incidents": 1,
    "revisions": 3,
    "reserved": True,
    "status": {
        "phase": "Resolved",
        "episode": 1,
        "severity": "SEV3",
        "cause": "Breach",
        "conditions": [
            ("Acknowledged", "False", "Waiting"),
            ("Contained", "True", "Helped"),
            ("Firing", "False", "Quiet"),
            ("Notified", "True", "Delivered"),
            ("Recovered", "True", "Recovered"),
            ("Resolved", "True", "ByPerson"),
            ("tier.tocsin.dev/compliance", "True", "Entered"),
            ("tier.tocsin.dev/owners", "True", "Entered"),
        ],
        "tiers": [("owners", ["Acknowledge"], None), ("compliance", [], "zoe")],
        "containment": ("Helped", 1, "automatic", []),
        "options": 1,
        "contained revisions": 1,
        "decisions": [("Acknowledge", "zoe", True), ("Resolve", "zoe", True)],
        "signals": [("accuracy", "Recovered", False)],
    },
    "effects beside notices": [("/1/contain/last-healthy/1", "Done")],
    "states of effects": ["Done"],
    "told": {"owners.owners": "all, once", "compliance.risk": "all, once"},
    "lost": [],
    "unknown": [],
}
"""How a life ends: one rollback, everybody told of everything since their entry, in whatever order it came."""


def allow_lives(cluster: Cluster) -> None:
    """Once a cluster: the rights of the person of all lives, and a role for whoever reads their channels."""
    cluster.apply(
        [
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRole",
                "metadata": {"name": READER},
                "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}],
            },
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRoleBinding",
                "metadata": {"name": "lives-responder"},
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "ClusterRole",
                    "name": "tocsin-responder",
                },
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "zoe"}],
            },
        ]
    )


@dataclass
class Street:
    """A namespace for many lives: one query, one channel and one exporter serve them all."""

    cluster: Cluster
    admin: Caller
    zoe: Caller
    """Who acknowledges and resolves."""
    namespace: str
    accuracy: dict[str, float] = field(default_factory=dict)
    said: dict[str, float] = field(default_factory=dict)
    going_on: list[Life] = field(default_factory=list)
    crews: int = 0
    tidy: bool = False
    """Whether the policy goes with the end of a life: a hundred of them take the operator's time."""
    patient: bool = False
    """Whether the person resolves only what everybody was told of: else the last notice may overtake one before it."""

    @classmethod
    def settle(cls, cluster: Cluster, receiver: str = "") -> Street:
        """A new one, whose roles are told at the sink, or through what stands before it."""
        allow_lives(cluster)
        admin, zoe = Caller(cluster, "lives-admin", "system:masters"), Caller(cluster, "zoe")
        street = cls(cluster, admin, zoe, cluster.namespace("lives"))
        binding = {
            "metadata": {"name": READER},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": READER},
            "subjects": [{"kind": "ServiceAccount", "name": "tocsin", "namespace": SYSTEM}],
        }
        street.post("/apis/rbac.authorization.k8s.io/v1", "rolebindings", binding)
        channel = {"type": "Webhook", "url": f"{receiver}/lives" if receiver else cluster.sink.url("/lives")}
        secret = {"metadata": {"name": "hook"}, "type": "tocsin.dev/channel", "stringData": channel}
        street.post("/api/v1", "secrets", secret)
        voices = exporting("voices", street.namespace, "# nothing is said yet")
        del voices["spec"]["template"]["metadata"]["labels"]["model"]  # each line says which model it is of
        street.post("/apis/apps/v1", "deployments", voices)
        cluster.kubectl("rollout", "status", "deploy/voices", "-n", street.namespace, "--timeout=60s")
        return street

    def hire(self) -> int:
        """Two roles of their own for one life: a page for one stands for no other; gives their number."""
        self.crews += 1
        for role, user in (("owners", "ada"), ("risk", "zoe")):
            spec = {
                "members": [{"name": user.title(), "user": user}],
                "channels": [{"name": "hook", "secretRef": {"name": "hook"}}],
            }
            self.post(GROUP, "responders", _object("Responder", f"{role}-{self.crews}", spec))
        return self.crews

    def close(self) -> None:
        """Leave it; what is in it is deleted without waiting."""
        self.admin.close()
        self.zoe.close()
        self.cluster.delete_namespace(self.namespace)

    def path(self, group: str, plural: str) -> str:
        return f"{group}/namespaces/{self.namespace}/{plural}"

    def post(self, group: str, plural: str, body: Any) -> None:
        assert self.admin.call("POST", self.path(group, plural), body)

    def speak(self) -> None:
        """Have Prometheus hear how good each model is."""
        if self.accuracy == self.said:
            return
        lines = [
            f'model_quality_ratio{{model="{model}",metric="accuracy"}} {one}' for model, one in self.accuracy.items()
        ]
        pods = self.admin.call("GET", self.path("/api/v1", "pods?labelSelector=app%3Dvoices"))["items"]
        url, text = f"http://{pods[0]['status']['podIP']}:{PORT}", "".join(f"{line}\n" for line in lines)
        with urllib.request.urlopen(url, text.encode(), timeout=10):
            self.said = dict(self.accuracy)

    def prepare(self, lives: list[Life]) -> None:
        """Good revisions, all marked as healthy."""
        for life in lives:
            life.prepare()
        self.speak()
        self.cluster.wait(lambda: all(life.is_healthy() for life in lives), 120, "healthy marks", every=0.3)

    def go_on(self) -> None:
        """Have the model and the person of every life that goes on do what is due."""
        for life in list(self.going_on):
            if life.play():
                self.going_on.remove(life)
                if self.tidy:
                    self.admin.call("DELETE", self.path(GROUP, f"escalationpolicies/{life.model}"))
        self.speak()

    def live(self, lives: list[Life], seconds: float, begin: Callable[[Life], None] | None = None) -> None:
        """Go on until all these lives have ended; with `begin` they begin one after another, so many at a time."""
        waiting = list(lives) if begin else []

        def ended() -> bool:
            while begin and waiting and len(self.going_on) < AT_ONCE:
                begin(waiting.pop(0))
            self.go_on()
            return not waiting and not any(life in self.going_on for life in lives)

        try:
            self.cluster.wait(ended, seconds, "the end of all lives", every=0.3)
        except AssertionError as late:
            late.add_note(f"not begun: {[life.model for life in waiting]}")
            for life in self.going_on:
                late.add_note(f"not ended: {life.model}: {json.dumps(life.incidents())}")
            raise
        time.sleep(2)  # noqa: TID251 - whatever is done twice is done now

    def received(self) -> list[Received]:
        """What the sink has got, in order of arrival."""
        return self.cluster.sink.received("/lives")


@dataclass
class Life:
    """One model: rolled out badly, contained, escalated, acknowledged, resolved."""

    street: Street
    model: str
    """Unlike the beginning of any other's."""
    decided: set[str] = field(default_factory=set)

    def prepare(self) -> None:
        """A good revision, and a policy that guards it."""
        self.street.post("/apis/apps/v1", "deployments", self.revision("v1"))
        policy = _object("EscalationPolicy", self.model, life_policy(self.model, self.street.hire()))
        self.street.post(GROUP, "escalationpolicies", policy)
        self.street.accuracy[self.model] = GOOD

    def break_it(self) -> None:
        """Roll the bad version out."""
        self.street.admin.call(
            "PATCH", self._deployment, {"spec": {"template": self.revision("v2")["spec"]["template"]}}
        )
        self.street.going_on.append(self)

    def revision(self, version: str) -> dict[str, Any]:
        """A process that does nothing and costs nothing."""
        body = model_deployment(self.model, self.street.namespace, version=version)
        pods = body["spec"]["template"]
        del pods["metadata"]["annotations"], pods["spec"]["containers"][0]["readinessProbe"]
        pods["spec"]["containers"][0] |= {"command": ["sleep", "3600"], "args": []}
        return body

    @property
    def _deployment(self) -> str:
        return self.street.path("/apis/apps/v1", f"deployments/{self.model}")

    def play(self) -> bool:
        """Let the model do as its revision does and the person as it is time; whether nothing is left to happen."""
        deployment = self.street.admin.call("GET", self._deployment)
        env = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
        version = next(one["value"] for one in env if one["name"] == "MODEL_VERSION")
        self.street.accuracy[self.model] = GOOD if version == "v1" else BAD
        incidents = self.incidents()
        return len(incidents) > 1 or (len(incidents) == 1 and self.respond(incidents[0]))

    def until(self, predicate: Callable[[], Any], what: str) -> Any:
        """Go on with all lives of the street until it holds; the first true answer."""

        def holds() -> Any:
            self.street.go_on()
            return predicate()

        return self.street.cluster.wait(holds, 60, what)

    def is_healthy(self) -> bool:
        """Whether the good revision was marked."""
        path = self.street.path("/apis/apps/v1", f"replicasets?labelSelector=app%3D{self.model}")
        sets = self.street.admin.call("GET", path)["items"]
        return any("tocsin.dev/healthy" in one["metadata"].get("annotations", {}) for one in sets)

    def incidents(self) -> list[Any]:
        path = self.street.path(GROUP, f"incidents?fieldSelector=spec.model%3D{self.model}")
        return list(self.street.admin.call("GET", path)["items"])

    def respond(self, incident: Any) -> bool:
        """What the person of the second tier does, when it is time; whether nothing is left to happen."""
        status = incident.get("status", {})
        conditions = {one["type"]: one["status"] for one in status.get("conditions", [])}
        entered = [tier["name"] for tier in status.get("tiers", [])]
        if "Acknowledge" not in self.decided and "compliance" in entered:
            self.street.zoe.decide("Acknowledge", incident)
            self.decided.add("Acknowledge")
        acknowledged = any("acknowledgedBy" in tier for tier in status.get("tiers", []))
        well = {conditions.get(kind) for kind in ("Contained", "Recovered")} == {"True"}
        told = all(effect["state"] == "Done" for effect in status.get("effects", []))
        if "Resolve" not in self.decided and acknowledged and well and (told or not self.street.patient):
            self.street.zoe.decide("Resolve", incident)
            self.decided.add("Resolve")
        settled = all(effect["state"] == "Done" or overtaken(effect) for effect in status.get("effects", []))
        return conditions.get("Resolved") == "True" and settled

    def revisions(self) -> int:
        """One for each rollout and each rollback."""
        metadata = self.street.admin.call("GET", self._deployment)["metadata"]
        return int(metadata["annotations"]["deployment.kubernetes.io/revision"])

    def reserved(self) -> list[str]:
        """Who has reserved containments in the budget of the namespace."""
        path = f"/api/v1/namespaces/{SYSTEM}/configmaps/tocsin-budget-{self.street.namespace}"
        return list(self.street.admin.call("GET", path).get("data", {}))

    def end(self) -> dict[str, Any]:
        """What is left, without times, UIDs and numbers; equal for all lives that ended well."""
        incidents = self.incidents()
        if len(incidents) != 1:
            return {"incidents": len(incidents)}
        incident = incidents[0]
        uid, status = incident["metadata"]["uid"], incident["status"]
        sent = self.arrivals()
        intended = {one["key"] for one in status["effects"] if "causes" in one}
        return {
            "incidents": 1,
            "revisions": self.revisions(),
            "reserved": uid in self.reserved(),
            "status": _story(status),
            "effects beside notices": [
                (one["key"].removeprefix(uid), one["state"]) for one in status["effects"] if "causes" not in one
            ],
            "states of effects": sorted({one["state"] for one in status["effects"]}),
            "told": {role: _told(status, role) for role in ("owners.owners", "compliance.risk")},
            "lost": sorted(intended - sent.keys()),
            "unknown": sorted(sent.keys() - intended),
        }

    def arrivals(self) -> dict[str, list[float]]:
        """When each notice of this life arrived, on the monotonic clock."""
        found = defaultdict(list)
        for one in self.street.received():
            if self.is_told(one):
                found[one.body["key"]].append(one.at)
        return found

    def is_about(self, call: Call) -> bool:
        """Whether a request concerns this life."""
        return self.model in call.path or self.model.encode() in call.body or self._reserves(call)

    def _reserves(self, call: Call) -> bool:
        """A budget names incidents by their UIDs; asked on another connection, because another thread asks."""
        if "/configmaps" not in call.path:
            return False
        path = self.street.path(GROUP, f"incidents?fieldSelector=spec.model%3D{self.model}")
        found = self.street.cluster.api("GET", path)["items"]
        return any(one["metadata"]["uid"].encode() in call.body for one in found)

    def is_told(self, received: Received) -> bool:
        """Whether a request to the sink is about this life."""
        return (received.body["namespace"], received.body["model"]) == (self.street.namespace, self.model)


def overtaken(effect: Any) -> bool:
    """Whether a notice that nobody took in time was given up, because the next to the same reader says more."""
    return bool("causes" in effect and effect["state"] == "Failed" and "given up" in effect.get("message", ""))


def life_policy(model: str, crew: int) -> dict[str, Any]:
    """Severity stays SEV3 whichever comes first, recovery or the missed deadline; the second tier has time."""
    spec = policy_spec(model)
    return spec | {
        "signals": [spec["signals"][0] | {"noData": {"after": "20s", "then": "Hold"}}],
        "risk": {"regulatory": 1, "reputation": 1},
        "reopenWindow": "1m",
        "tiers": [
            spec["tiers"][0] | {"accountable": f"owners-{crew}"},
            spec["tiers"][1] | {"accountable": f"risk-{crew}", "acknowledgeWithin": "1h"},
            spec["tiers"][2] | {"accountable": f"risk-{crew}"},
        ],
    }


def _object(kind: str, name: str, spec: Any) -> dict[str, Any]:
    return {"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": spec}


def _story(status: Any) -> dict[str, Any]:
    option = status["containment"][0]
    return {
        "phase": status["phase"],
        "episode": status.get("episode", 1),
        "severity": status["severity"],
        "cause": status["cause"],
        "conditions": sorted((one["type"], one["status"], one["reason"]) for one in status["conditions"]),
        "tiers": [(one["name"], one.get("missed", []), one.get("acknowledgedBy")) for one in status["tiers"]],
        "containment": (option["state"], option["attempt"], option["under"], option.get("approvals", [])),
        "options": len(status["containment"]),
        "contained revisions": len(status["containedRevisions"]),
        "decisions": [(one["type"], one["by"], one["counted"]) for one in status["decisions"]],
        "signals": [(one["name"], one["state"], one.get("sustained", False)) for one in status["signals"]],
    }


def _told(status: Any, role: str) -> str:
    """Whether a role was told of its entry, and of just what happened since, once."""
    tier = next(one for one in status["tiers"] if one["name"] == role.split(".")[0])
    entered = datetime.fromisoformat(tier["enteredTime"])
    facts = status | status["containment"][0]
    since = [cause for cause, time in NEWS.items() if datetime.fromisoformat(facts[time]) >= entered]
    expected = Counter(["TierEntered", *since])
    records = [one for one in status["effects"] if one["key"].split("/")[3].rpartition("-")[0] == role]
    told = Counter(cause for one in records for cause in one["causes"])
    return "all, once" if told == expected else f"{dict(told)}, not {expected}"
