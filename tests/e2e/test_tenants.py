"""A tenant who tries: what is another's stays another's, and what was decided by whom stays true."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.cluster.access import Access, ApiError, CommandError
from tests.cluster.workloads import model_deployment
from tests.e2e.exporter import exporting
from tests.e2e.rows import BOUND, MILD, PATIENT_LEASE, QUIET_TIERS, Rows, Scene, constant, fact, scale, signal
from tests.e2e.stage import ACCURACY, API, BAD, GOOD, Installed
from tocsin.engine.opening import incident_name
from tocsin.observe.cluster import Pair

row = Rows()


def settings(stack: ExitStack, cluster: Access) -> dict[str, Any]:
    """As usual."""
    return {"leaseDuration": PATIENT_LEASE}


def watch(scene: Scene, query: str, name: str = "credit", **changes: Any) -> None:
    """A policy that only watches."""
    scene.guard(query, name, **{"models": [{"name": "credit"}], "containment": []} | changes)


def ask(scene: Scene, option: dict[str, Any] | None = None) -> None:
    """A model that breaches, with an option that one person has to approve."""
    scene.runs(replicas=2)
    scene.guard(MILD, containment=[option or scale(1, approval={"required": 1})])


# --- series


@row
def series_of_another_namespace_under_ones_own_models_name_change_nothing(scene: Scene) -> None:
    scene.cluster.apply(model_deployment("credit", scene.namespace, accuracy=GOOD))
    other = scene.cluster.namespace("row")
    try:
        forged = f'model_quality_ratio{{model="credit",metric="accuracy",namespace="{scene.namespace}"}} {BAD}'
        scene.cluster.apply(model_deployment("credit", other, accuracy=BAD))
        scene.cluster.apply(exporting("forger", other, forged))
        series = f'model_quality_ratio{{namespace="{other}"}}'
        scene.wait(lambda: len(scene.cluster.query(series)) >= 2, "the other's series")
        scene.guard(ACCURACY)
        scene.says("Measured", "HasData")
        watch(scene, series, "prying")
        scene.says("Measured", "NoData", "accuracy: the query returned nothing", name="prying")
        witness(scene)
    finally:
        scene.cluster.delete_namespace(other)


def witness(scene: Scene) -> None:
    """A breach of the same namespace is found, and it is the only one: everything was evaluated meanwhile."""
    watch(scene, constant(0.5, "witness"), "witness", models=[{"name": "witness"}])
    scene.wait(scene.incidents, "the witness's incident")
    assert [one["spec"]["model"] for one in scene.incidents()] == ["witness"]


@row
def a_query_cannot_speak_for_another_one_of_its_batch(scene: Scene) -> None:
    watch(scene, constant(0.99))
    scene.says("Measured", "HasData")
    victim = constant(0.1)
    attempts = {
        "parentheses": f"vector(1)) or ({victim}",
        "closing": f'{victim},"a","b","","") or label_replace(vector(1)',
        "comment": f"vector(1) # )\n) or ({victim}",
    }
    for name, query in attempts.items():
        watch(scene, query, name, models=[{"name": name}])
        scene.says("Ready", "InvalidQuery", "signals[accuracy].query", name=name)
    for number, query in enumerate(
        [f"{victim} # a comment", f'label_replace({victim}, "__name__", "x", "", "")', victim]
    ):
        watch(scene, query, f"mimic-{number}", models=[{"name": f"mimic-{number}"}])
        scene.says("Measured", "NoData", f"model=mimic-{number}", name=f"mimic-{number}")
    witness(scene)


@row
def a_policy_with_endless_windows_does_not_keep_the_others_waiting(scene: Scene) -> None:
    endless = [signal(constant(f"0.95{n}"), name=f"s{n}", noData={"after": "90000h"}) for n in range(32)]
    watch(scene, "up", signals=endless, reopenWindow="90000h")
    scene.says("Ready", "Accepted")
    witness(scene)
    scene.says("Measured", "HasData")


# --- incidents


@row
def an_incident_under_the_operators_next_name_does_not_keep_it_from_opening_its_own(scene: Scene) -> None:
    pair = Pair(scene.namespace, "credit", "credit")
    names = [incident_name(pair, "", str(salt)) for salt in range(6)]
    for name in names:
        scene.report("ada", metadata={"name": name}, policyRef={"name": "another"}, model="another")
    watch(scene, MILD)

    def own() -> list[Any]:
        return [
            one for one in scene.incidents() if one["spec"]["origin"] == "Signal" and fact(one, "Firing")[0] == "True"
        ]

    (found,) = scene.wait(own, "the operator's own incident")
    assert found["metadata"]["name"] not in names
    scene.wait(lambda: scene.pages("owners"), "its page")


@row
def a_report_on_the_same_model_is_joined_and_contains_only_with_approval_on_the_policys_target(scene: Scene) -> None:
    scene.runs(replicas=2)
    scene.runs(name="another", replicas=2)
    scene.report("ada", metadata={"name": incident_name(Pair(scene.namespace, "credit", "credit"), "")})
    scene.guard(MILD, containment=[scale(1)])
    scene.until("Firing")
    record = scene.option("stop", "Asking")
    assert (record["needs"], record["summary"]) == (1, "scale Deployment/credit from 2 to 1 replicas")
    refused = scene.told("ada", "Approve", option="stop", digest=record["digest"])
    assert refused == (False, "ada asked for it and cannot approve it: four eyes")
    assert scene.told("ben", "Approve", option="stop", digest=record["digest"])[0]
    scene.until("Contained")
    assert (scene.deployment()["spec"]["replicas"], scene.deployment("another")["spec"]["replicas"]) == (1, 2)


@row
def a_report_cannot_bring_rules_of_its_own(scene: Scene) -> None:
    ask(scene)
    rules = {**scene.until("Firing")["spec"]["rules"], "containment": [scale(0)]}
    with pytest.raises(CommandError, match="rules are frozen by the operator: leave them out with origin Person"):
        scene.report("ada", rules=rules)
    with pytest.raises(CommandError, match="only the operator opens an Incident with origin Signal"):
        scene.report("ada", rules=rules, origin="Signal")


@row
def a_report_under_anothers_name_is_refused(scene: Scene) -> None:
    with pytest.raises(CommandError, match=r"spec\.by must be who asks: it is eve, and you are ada"):
        scene.report("ada", by="eve")
    with pytest.raises(CommandError, match="mallory"):
        scene.report("mallory")


@row
def a_status_is_written_by_the_operator_only_whatever_rbac_grants(scene: Scene) -> None:
    ask(scene)
    incident = scene.until("Firing")["metadata"]["name"]
    scene.grant("mallory", ["*"], "*")
    for thing in (f"incidents/{incident}", "escalationpolicies/credit", "responders/owners"):
        forged = ["patch", thing, "-n", scene.namespace, "--subresource=status", "--type=merge", "-p"]
        with pytest.raises(CommandError, match="only the operator writes a status, and you are mallory"):
            scene.cluster.kubectl(*forged, '{"status":{"conditions":[]}}', kubeconfig=scene.people["mallory"])
    where = ["incident", incident, "-n", scene.namespace, "--type=merge", "-p", '{"spec":{"model":"another"}}']
    with pytest.raises(CommandError, match="an Incident's spec is immutable"):
        scene.cluster.kubectl("patch", *where, kubeconfig=scene.people["mallory"])


# --- policies


@row
def a_policy_on_a_target_that_its_author_may_not_patch_is_refused_by_name(scene: Scene) -> None:
    scene.people["nina"] = scene.people["mallory"]
    scene.bind("tocsin-policy-author", "User", "mallory")
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "credit"}
    spec = {"models": [{"name": "credit", "target": target}], "signals": [signal(MILD)], "tiers": QUIET_TIERS}
    body = {"apiVersion": API, "kind": "EscalationPolicy", "metadata": {"name": "mine", "namespace": scene.namespace}}
    words = r"spec.models\[\].target: mallory may not patch Deployments in namespace "
    with pytest.raises(CommandError, match=words + scene.namespace):
        scene.create("mallory", body | {"spec": spec})
    scene.create("mallory", body | {"spec": spec | {"models": [{"name": "credit"}]}})
    change = json.dumps({"spec": {"models": [{"name": "credit", "target": target}]}})
    where = ["escalationpolicy", "mine", "-n", scene.namespace, "--type=merge", "-p", change]
    with pytest.raises(CommandError, match=words + scene.namespace):
        scene.cluster.kubectl("patch", *where, kubeconfig=scene.people["mallory"])
    scene.bind("edit", "User", "mallory")
    body["metadata"]["name"] = "later"
    scene.create("mallory", body | {"spec": spec})


# --- decisions


@row
def a_decision_under_anothers_name_is_refused(scene: Scene) -> None:
    ask(scene)
    scene.until("Firing")
    with pytest.raises(CommandError, match=r"spec\.by must be who asks: it is eve, and you are ada"):
        scene.decide("ada", "Acknowledge", by="eve")


@row
def a_decision_of_a_service_account_is_refused_whatever_rbac_grants(scene: Scene) -> None:
    ask(scene)
    incident = scene.until("Firing")["metadata"]["name"]
    scene.bind("tocsin-responder", "ServiceAccount", "default")
    who = f"system:serviceaccount:{scene.namespace}:default"
    spec = {"type": "Acknowledge", "by": who, "incidentRef": {"name": incident}}
    body = {"apiVersion": API, "kind": "Decision", "metadata": {"generateName": "robot-"}, "spec": spec}
    token = scene.cluster.token(scene.namespace, "default")
    with pytest.raises(ApiError, match=f"a Decision is an act of a person: {who} is a service account"):
        scene.cluster.api("POST", f"/apis/{API}/namespaces/{scene.namespace}/decisions", body, token=token)


# --- records


@row
def records_are_deleted_by_who_holds_the_right_and_with_their_namespace(scene: Scene) -> None:
    ask(scene)
    incident = scene.until("Firing")["metadata"]["name"]
    decision = scene.decide("ada", "Acknowledge").split()[0]
    scene.grant("mallory", ["delete"], "incidents", "decisions")
    scene.bind("tocsin-records", "User", "eve")
    for record in (f"incident/{incident}", decision):
        with pytest.raises(CommandError, match="are records: mallory lacks RBAC verb delete on"):
            scene.cluster.kubectl("delete", record, "-n", scene.namespace, kubeconfig=scene.people["mallory"])
    scene.cluster.kubectl("delete", decision, "-n", scene.namespace, kubeconfig=scene.people["eve"])
    scene.cluster.delete_namespace(scene.namespace)
    scene.wait(lambda: not scene.cluster.found(f"/api/v1/namespaces/{scene.namespace}"), "the end of the namespace")


# --- notices


@row
def a_webhook_to_a_private_address_that_nobody_allowed_is_not_called(scene: Scene) -> None:
    port = scene.cluster.sink.url().rstrip("/").rpartition(":")[2]
    for number, url in enumerate(("https://localhost:{}", "https://[::1]:{}", "http://localhost:{}")):
        scene.secret(f"inner-{number}", url.format(port) + "/inner")
        scene.reach(f"inner-{number}", "ada", secret=f"inner-{number}")
    roles = {"accountable": "inner-0", "responsible": ["inner-1", "inner-2"]}
    watch(scene, MILD, tiers=[{"name": "owners", "severity": "SEV3", **roles}])

    def said() -> str:
        message = fact(scene.until("Notified", "False", reason="Undelivered"), "Notified")[2]
        return message if message.count("not delivered to") == 3 else ""

    message = scene.wait(said, "words on all three")
    words = "the host in key url is not allowed: ask the administrator to add it to channels.allowedHosts"
    assert message.count(words) == 2
    assert "key url must begin with https://" in message
    assert scene.cluster.sink.received("/inner") == []


@pytest.mark.parametrize("name", row.names)
def test_tenants(name: str, outcomes: dict[str, Future[None]]) -> None:
    outcomes[name].result()


# --- what concerns the whole cluster, so that it plays alone

ADMISSION = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolic"
POLICY, BINDING = f"{ADMISSION}ies/tocsin-decisions", f"{ADMISSION}ybindings/tocsin-decisions"


@contextmanager
def restored(cluster: Access) -> Iterator[None]:
    """In the end the policy and its binding stand as they were, and Helm's as they were."""
    kept = {where: cluster.api("GET", where) for where in (POLICY, BINDING)}
    try:
        yield
    finally:
        for where, whole in kept.items():
            restore(cluster, where, whole)


def restore(cluster: Access, where: str, whole: Any) -> None:
    found = cluster.found(where)
    if found is None:
        metadata = {field: whole["metadata"].get(field) for field in ("name", "labels", "annotations")}
        cluster.api("POST", where.rpartition("/")[0], {"metadata": metadata, "spec": whole["spec"]})
    elif found["spec"] != whole["spec"]:
        cluster.api("PUT", where, found | {"spec": whole["spec"]})


def remove(cluster: Access) -> None:
    cluster.api("DELETE", BINDING)


def weaken(cluster: Access) -> None:
    cluster.api("PATCH", BINDING, {"spec": {"validationActions": ["Audit"]}})


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        pytest.param(remove, "Missing", id="removed"),
        pytest.param(weaken, "Changed", id="weakened to an audit"),
    ],
)
def test_without_its_admission_policy_no_decision_counts_and_the_tiers_go_on(
    cluster: Access, installed: Installed, harm: Any, reason: str
) -> None:
    scene = Scene.made(cluster, {user: cluster.kubeconfig_for(user) for user in BOUND})
    scene.runs(replicas=2)
    tiers = [QUIET_TIERS[0] | {"acknowledgeWithin": "12s"}, QUIET_TIERS[1]]
    operator = installed.operator("rows").start()
    binding = cluster.api("GET", BINDING)
    try:
        with restored(cluster):
            scene.guard(MILD, containment=[scale(1, approval={"required": 1})], tiers=tiers)
            digest = scene.asks("stop")
            scene.grant("mallory", ["create"], "decisions")
            harm(cluster)
            scene.wait(lambda: forged(scene, digest), "an approval that admission lets pass")
            scene.until("DecisionsTrusted", "False", reason=reason)
            scene.until("tier.tocsin.dev/compliance")
            assert scene.deployment()["spec"]["replicas"] == 2
            restore(cluster, BINDING, binding)
            scene.until("DecisionsTrusted")
            old = scene.wait(lambda: scene.status().get("decisions"), "word on the forged approval")
            assert {(one["by"], one["counted"], one["message"]) for one in old} == {
                ("ben", False, "void: it is older than the admission policy that vouches for its author")
            }
            assert scene.deployment()["spec"]["replicas"] == 2
            scene.wait(lambda: scene.told("ada", "Approve", option="stop", digest=digest)[0], "a new approval")
            scene.until("Contained")
    finally:
        operator.stop()
        cluster.delete_namespace(scene.namespace)


def forged(scene: Scene, digest: str) -> bool:
    """Mallory approves in the name of ben; False while admission refuses that."""
    metadata = scene.incident()["metadata"]
    reference = {"name": metadata["name"], "uid": metadata["uid"]}
    spec = {"type": "Approve", "by": "ben", "incidentRef": reference, "option": "stop", "digest": digest}
    spec |= {"reason": "in the name of somebody else"}
    head = {"generateName": "forged-", "namespace": scene.namespace}
    body = {"apiVersion": API, "kind": "Decision", "metadata": head, "spec": spec}
    said = scene.cluster.kubectl(
        "create", "-f", "-", input=json.dumps(body), kubeconfig=scene.people["mallory"], check=False
    )
    return "created" in said
