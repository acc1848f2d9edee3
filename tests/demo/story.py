"""What does Tocsin do when a model goes bad? Four acts on a real cluster, with every command as it is run."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.access import Access, CommandError
from tests.cluster.cluster import ROOT, Cluster
from tests.cluster.workloads import model_deployment
from tests.demo.terminal import Pager, Teller
from tests.e2e.stage import API, SYSTEM, Installed, Stage
from tocsin.api.quantities import format_time, parse_time
from tocsin.clock import SystemClock

NAMESPACE = "models"
POLICIES = Path(__file__).parent / "policies"
CREDIT, FRAUD, RECOMMENDER = MODELS = ("credit-scoring", "fraud-detection", "recommender")
ROLES = {
    "owners": ("ada", ("tocsin-responder",)),
    "compliance": ("ben", ("tocsin-responder", "tocsin-approver")),
    "executives": ("eve", ("tocsin-responder", "tocsin-approver")),
}


@dataclass
class Story:
    """The cluster, the audience, and a stage for each model."""

    cluster: Access
    teller: Teller
    stages: dict[str, Stage] = field(default_factory=dict)

    def tell(self, end: ExitStack) -> None:
        """Play all acts; what has to be undone on a cluster that is not ours is left with ``end``."""
        self._install(end)
        end.enter_context(Pager(self.cluster.sink, self.teller, NAMESPACE))
        self._apply_policies()
        self._contained_by_itself()
        self._asked_first()
        self._authorised()
        self._end()

    # --- the acts

    def _install(self, end: ExitStack) -> None:
        cluster, teller = self.cluster, self.teller
        teller.act("A cluster, three models, and the operator")
        cluster.api("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        if not isinstance(cluster, Cluster):
            end.callback(cluster.delete_namespace, NAMESPACE)
        self.stages = {model: Stage(cluster, NAMESPACE, model) for model in MODELS}
        cluster.apply([model_deployment(model, NAMESPACE) for model in MODELS])
        teller.say(
            f"Three models begin to serve in namespace {NAMESPACE}; Prometheus scrapes them: {', '.join(MODELS)}."
        )
        values = cluster.folder / "values.yaml"
        teller.command(
            "admin", f"helm upgrade --install tocsin charts/tocsin -n {SYSTEM} --create-namespace -f {values}"
        )
        installed = Installed.install(cluster, cluster.folder, pods=2)
        if not isinstance(cluster, Cluster):
            end.callback(installed.uninstall)
        self._invite()
        cluster.kubectl("rollout", "status", "deployment/tocsin", "-n", SYSTEM, "--timeout=120s")
        leader = cluster.wait(self._leader, 30, "a leader")
        teller.say(f"The operator runs as the chart's Deployment: {leader} leads, the other replica stands by.")

    def _invite(self) -> None:
        """People with the chart's ready roles, and Responders that reach them by a webhook."""
        stage = self.stages[CREDIT]
        for role, (user, rights) in ROLES.items():
            stage.person(user, *rights)
            stage.responder(role, user)
        stage.person("mallory", "tocsin-responder")
        names = ", ".join(f"{user} ({role})" for role, (user, _) in ROLES.items())
        self.teller.say(f"People with credentials of their own: {names}. Each role is a Responder with a webhook.")

    def _apply_policies(self) -> None:
        teller = self.teller
        teller.act("Three policies")
        teller.say("The rules are files; here with windows of seconds, so that nobody has to wait.")
        self._run("admin", f"kubectl apply -n {NAMESPACE} -f {POLICIES.relative_to(ROOT)}")
        for model in MODELS:
            self.cluster.kubectl("rollout", "status", f"deploy/{model}", "-n", NAMESPACE, "--timeout=120s")
        for kind in ("Ready", "Measured"):
            everyone = ("escalationpolicies", "--all", "-n", NAMESPACE, "--timeout=60s")
            self.cluster.kubectl("wait", f"--for=condition={kind}", *everyone)
        self.cluster.wait(lambda: all(map(self._is_marked, (CREDIT, FRAUD))), 60, "revisions marked as healthy")
        teller.say("Every query has data, and the revisions that run were good for 3 s: they are marked as healthy.")
        self._run("admin", f"kubectl get escalationpolicies -n {NAMESPACE}")

    def _contained_by_itself(self) -> None:
        teller, stage = self.teller, self.stages[CREDIT]
        teller.act(f"1. {CREDIT}: rolled back by itself, and nobody answers the page")
        teller.say("A bad version is rolled out: its accuracy is 0.81, and the policy warns below 0.92.")
        self._roll_out(CREDIT, "MODEL_VERSION=v2 MODEL_ACCURACY=0.81")
        incident = stage.until("Contained", seconds=60)
        option = incident["status"]["containment"][0]
        teller.say(f"{_headline(incident)}: found, and contained without anybody's help.", "green")
        teller.quote([incident["status"]["timeline"][1]["what"], f"{option['under']}: {option['summary']}"])
        teller.say("The page says what happened, and what to do next as a command that can be pasted:")
        teller.quote(self._page(CREDIT, "owners")["text"])
        teller.say("Nobody acknowledges within 5 s: the next tier is entered, and the next. Containment does not wait.")
        stage.until("tier.tocsin.dev/executives", seconds=40)
        self._page(CREDIT, "executives")
        stage.until("Recovered")
        teller.say("Recovered: the accuracy has been back for 2 s. Ada pastes the command from her page, and resolves.")
        self._run("ada", self._page(CREDIT, "owners")["command"])
        self.cluster.wait(
            lambda: stage.incident()["status"]["tiers"][0].get("acknowledgedBy"), 20, "her acknowledgement"
        )
        self._decide("ada", CREDIT, "Resolve", reason="v2 was trained on the wrong table", **_lesson("ada"))
        stage.until("Resolved")
        self._run("ada", f"kubectl get incidents -n {NAMESPACE}")

    def _asked_first(self) -> None:
        teller, stage = self.teller, self.stages[FRAUD]
        teller.act(f"2. {FRAUD}: SEV2, so people are asked; without an authorisation nothing happens by itself")
        teller.say("A slow version is rolled out: p99 latency 1 s. The policy warns above 0.3 s.")
        self._roll_out(FRAUD, "MODEL_VERSION=v2 MODEL_LATENCY=0.8")
        self.cluster.wait(lambda: stage.condition("Contained")[1] == "Asking", 60, "a question")
        incident = stage.incident()
        option = incident["status"]["containment"][0]
        teller.say(f"{_headline(incident)}: it asks before it acts. The risk is a sum that anybody can check:", "green")
        teller.quote(_sum(incident["status"]["score"]))
        teller.say(f"It would {option['summary']}: {option['message']}.")
        due = parse_time(option["failSafeTime"])
        self.cluster.wait(lambda: _now() > due, 20, "the fail-safe's time")
        teller.say("Mallory has the right to acknowledge only, and tries to approve in Ben's name:")
        self._decide("mallory", FRAUD, "Approve", refused=True, by="ben", reason="let me", **_bound(option))
        self.cluster.wait(lambda: _now() > due + timedelta(seconds=2), 20, "two seconds more")
        state, version = stage.incident()["status"]["containment"][0]["state"], stage.template_hash()
        _expect(state == "Asking" and version == "v2", f"still asking, v2 still serves; not {state}, {version}")
        teller.say("The fail-safe's 3 s are long over: no authorisation stands, so it still asks, and v2 still serves.")
        teller.say("Ben has the right, and approves exactly what was shown, by its digest:")
        self._decide("ben", FRAUD, "Approve", reason="v1 was well", **_bound(option))
        incident = stage.until("Contained")
        option = incident["status"]["containment"][0]
        teller.say(f"Contained: {option['under']}. {stage.template_hash()} serves again.", "green")

    def _authorised(self) -> None:
        teller, stage = self.teller, self.stages[FRAUD]
        teller.act("3. The same again, under a standing authorisation")
        policy = self.cluster.get("escalationpolicy", FRAUD, NAMESPACE)
        offered = policy["status"]["options"][0]
        teller.say("Next time nobody should have to be woken: Eve authorises the option, as it is now, for an hour.")
        reference = {"name": FRAUD, "uid": policy["metadata"]["uid"]}
        until = format_time(_now() + timedelta(hours=1))
        bound: dict[str, Any] = {"option": offered["name"], "digest": offered["digest"], "expireTime": until}
        self._decide("eve", FRAUD, "Authorise", policyRef=reference, reason="on-call agreed on it", **bound)
        stage.until("Recovered")
        teller.say("Recovered. Ben resolves it, and the next bad version is rolled out.")
        self._decide("ben", FRAUD, "Resolve", reason="v2 is withdrawn", **_lesson("ben"))
        stage.until("Resolved")
        self._roll_out(FRAUD, "MODEL_VERSION=v3 MODEL_LATENCY=0.9")
        self.cluster.wait(lambda: (stage.incident() or {})["status"]["episode"] == 2, 60, "the second episode")
        teller.say("The breach began anew: the incident goes on with episode 2. It asks; in 3 s the fail-safe may act.")
        option = stage.until("Contained", seconds=60)["status"]["containment"][0]
        _expect(option["under"].startswith("authorisation ") and not option.get("approvals"), "it ran under it")
        teller.say(f"Contained under {option['under']}; approved by nobody, and never shown as approved.", "green")

    def _end(self) -> None:
        teller = self.teller
        teller.act(f"4. {RECOMMENDER}: nothing happened")
        _expect(not self.stages[RECOMMENDER].incidents(), "no incident of the healthy model")
        teller.say("Evaluated every second like the others; it stayed well, so there is nothing: no page, no write.")
        stage = self.stages[FRAUD]
        stage.until("Recovered")
        self._decide("ben", FRAUD, "Resolve", reason="v3 is withdrawn too", **_lesson("ben"))
        stage.until("Resolved")
        self._run("ben", f"kubectl get incidents -n {NAMESPACE}")
        teller.act("The incident's own story")
        incident = stage.incident()
        teller.say(f"Everything is in the object itself: kubectl describe incident {_name(incident)} -n {NAMESPACE}")
        teller.quote(f"{line['time'][11:19]}  {line['what']}" for line in incident["status"]["timeline"])

    # --- what the acts are made of

    def _run(self, who: str, line: str, *, refused: bool = False) -> None:
        """Run a shell command with somebody's credentials, and show both; a refusal is shown too, if it was meant."""
        self.teller.command(who, line)
        kubeconfig = self.stages[CREDIT].people.get(who)
        done = subprocess.run(
            ["sh", "-c", line],
            cwd=ROOT,
            env=self.cluster.environment(kubeconfig),
            capture_output=True,
            text=True,
            check=False,
        )
        if bool(done.returncode) is not refused:
            raise CommandError(["sh", "-c", line], done.returncode, done.stderr + done.stdout)
        self.teller.quote(done.stderr or done.stdout, "red" if refused else "dim")

    def _decide(self, who: str, model: str, kind: str, *, refused: bool = False, **spec: Any) -> None:
        """A Decision, written as anybody would write it."""
        if kind != "Authorise":
            metadata = self.stages[model].incident()["metadata"]
            spec = {"incidentRef": {"name": metadata["name"], "uid": metadata["uid"]}} | spec
        document = {
            "apiVersion": API,
            "kind": "Decision",
            "metadata": {"generateName": f"{kind.lower()}-"},
            "spec": {"type": kind} | spec,
        }
        text = yaml.safe_dump(document, sort_keys=False, default_flow_style=None, width=200)
        self._run(who, f"kubectl create -n {NAMESPACE} -f - <<'END'\n{text}END", refused=refused)

    def _roll_out(self, model: str, environment: str) -> None:
        self._run("admin", f"kubectl set env deployment/{model} -n {NAMESPACE} {environment}")

    def _page(self, model: str, responder: str) -> dict[str, Any]:
        """The first page of a role about a model, when it has arrived."""

        def arrived() -> list[dict[str, Any]]:
            return [one for one in self.stages[model].pages(responder) if one["model"] == model]

        found: dict[str, Any] = self.cluster.wait(arrived, 20, f"a page to {responder}")[0]
        return found

    def _leader(self) -> str:
        lease = self.cluster.get("lease", "tocsin", SYSTEM) or {}
        return str(lease.get("spec", {}).get("holderIdentity") or "")

    def _is_marked(self, model: str) -> bool:
        sets = self.cluster.items("replicasets", NAMESPACE, f"app={model}")
        return any("tocsin.dev/healthy" in one["metadata"].get("annotations", {}) for one in sets)


def _name(incident: Any) -> str:
    return str(incident["metadata"]["name"])


def _headline(incident: Any) -> str:
    return f"Incident {_name(incident)}, {incident['status']['severity']}, risk {incident['status']['risk']}"


def _sum(score: Any) -> list[str]:
    terms = [f"{term['value']:>7}  {term['name']}: {term['because']}" for term in score["terms"]]
    return [*terms, f"{score['risk']:>7}  {score['severity']}"]


def _bound(option: Any) -> dict[str, Any]:
    return {"option": option["name"], "digest": option["digest"]}


def _lesson(owner: str) -> dict[str, Any]:
    return {"postMortem": {"owner": owner, "dueTime": (_now() + timedelta(days=14)).strftime("%Y-%m-%dT%H:%M:%SZ")}}


def _now() -> datetime:
    return SystemClock().now()


def _expect(fact: bool, what: str) -> None:
    if not fact:
        raise AssertionError(f"expected: {what}")
