"""A target that cannot be acted on is named with the reason, and the next option or a person is asked."""

from __future__ import annotations

import json
from concurrent.futures import Future
from contextlib import ExitStack
from typing import Any

import pytest

from tests.cluster.access import Access, ApiError, CommandError
from tests.e2e.rows import (
    BOUND,
    MILD,
    PATIENT_LEASE,
    QUIET_TIERS,
    Rows,
    Scene,
    constant,
    fact,
    roll_back,
    scale,
    signal,
)
from tests.e2e.stage import API, SYSTEM, Installed

row = Rows()


def settings(stack: ExitStack, cluster: Access) -> dict[str, Any]:
    """As usual."""
    return {"leaseDuration": PATIENT_LEASE}


@row
def a_missing_target_is_told_before_and_during_an_incident(scene: Scene) -> None:
    scene.guard(MILD)
    scene.says("Ready", "TargetMissing", "spec.models[credit].target: Deployment/credit does not exist")
    incident = scene.until("Contained", "False", reason="Refused")
    assert "TargetMissing: Deployment/credit does not exist" in fact(incident, "Contained")[2]
    page = scene.wait(lambda: scene.pages("owners"), "the page")[0]
    assert "TargetMissing: Deployment/credit does not exist" in page["text"]


@row
def a_paused_target_is_not_rolled_back_and_the_next_option_is_tried(scene: Scene) -> None:
    scene.runs(replicas=2)
    scene.roll("v2")
    scene.change("deployments/credit", {"spec": {"paused": True}})
    scene.guard(MILD, containment=[roll_back(), scale(1)])
    assert scene.option("previous", "Refused")["message"].startswith("TargetPaused: Deployment/credit is paused")
    scene.until("Contained")
    assert (scene.version(), scene.deployment()["spec"]["replicas"]) == ("v2", 1)


@row
def a_target_that_is_being_deleted_is_left_alone(scene: Scene) -> None:
    scene.runs(replicas=2, metadata={"finalizers": ["example.com/keep"]})
    scene.cluster.api("DELETE", f"/apis/apps/v1/namespaces/{scene.namespace}/deployments/credit")
    try:
        scene.guard(MILD, containment=[scale(1)])
        assert scene.option("stop", "Refused")["message"] == "TargetDeleting: Deployment/credit is being deleted"
        assert scene.deployment()["spec"]["replicas"] == 2
    finally:
        scene.change("deployments/credit", {"metadata": {"finalizers": None}})


@row
def a_target_in_another_namespace_cannot_be_expressed(scene: Scene) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "credit", "namespace": "kube-system"}
    body = {"apiVersion": API, "kind": "EscalationPolicy", "metadata": {"name": "far", "namespace": scene.namespace}}
    tiers = {"tiers": QUIET_TIERS, "signals": [signal(MILD)]}
    body["spec"] = tiers | {"models": [{"name": "credit", "target": target}]}
    with pytest.raises(CommandError, match=r'unknown field "spec.models\[0\].target.namespace"'):
        scene.cluster.kubectl("create", "-f", "-", input=json.dumps(body))


@row
def a_target_that_something_else_controls_is_left_to_its_owner(scene: Scene) -> None:
    owner = scene.post("/api/v1", "configmaps", {"metadata": {"name": "rollout"}})["metadata"]
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "rollout", "uid": owner["uid"], "controller": True}
    scene.runs(replicas=2, metadata={"ownerReferences": [reference]})
    scene.guard(MILD, containment=[scale(1)])
    scene.says("Ready", "TargetOwned", "spec.models[credit].target", "controlled by ConfigMap/rollout")
    assert "act on ConfigMap/rollout" in scene.option("stop", "Refused")["message"]
    assert scene.deployment()["spec"]["replicas"] == 2


@row
def without_an_earlier_revision_the_next_option_is_tried(scene: Scene) -> None:
    scene.runs(replicas=2)
    scene.guard(MILD, containment=[roll_back(to="LastHealthy"), scale(1)])
    refused = scene.option("previous", "Refused")["message"]
    assert refused.startswith("NoEarlierRevision: Deployment/credit has no revision to go back to")
    scene.until("Contained")
    assert scene.deployment()["spec"]["replicas"] == 1


@row
def what_an_admission_policy_of_others_denies_has_failed_with_its_words_and_the_next_option_is_tried(
    scene: Scene,
) -> None:
    scene.runs(replicas=2)
    scene.roll("v2")
    name = f"freeze-{scene.namespace}"
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["deployments"]}
    mine = {"matchLabels": {"kubernetes.io/metadata.name": scene.namespace}}
    policy = {
        "matchConstraints": {"resourceRules": [rule], "namespaceSelector": mine},
        "validations": [{"expression": "false", "message": "change freeze until Monday"}],
    }
    admission = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolic"
    scene.cluster.api("POST", f"{admission}ies", {"metadata": {"name": name}, "spec": policy})
    binding = {"policyName": name, "validationActions": ["Deny"]}
    scene.cluster.api("POST", f"{admission}ybindings", {"metadata": {"name": name}, "spec": binding})

    def frozen() -> bool:
        try:
            scene.change("deployments/credit?dryRun=All", {"metadata": {"labels": {"a": "b"}}})
        except ApiError as refused:
            return refused.status == 422
        return False

    try:
        scene.wait(frozen, "the freeze")
        scene.guard(MILD, risk={"regulatory": 1}, containment=[roll_back(), scale(1)])
        assert "change freeze until Monday" in scene.option("previous", "Failed")["message"]
        scene.until("Contained")
        assert (scene.version(), scene.deployment()["spec"]["replicas"]) == ("v2", 1)
    finally:
        for kind in ("ybindings", "ies"):
            scene.cluster.api("DELETE", f"{admission}{kind}/{name}")


@row
def of_two_policies_with_one_target_the_later_waits_until_the_earlier_is_gone(scene: Scene) -> None:
    scene.runs()
    scene.guard(constant(0.99), "aaa")
    scene.says("Ready", "Accepted", name="aaa")
    scene.wait(lambda: scene.fetch("escalationpolicies", "aaa") and later(scene), "another second")
    scene.guard(MILD, "later")
    scene.says("Ready", "TargetTaken", "spec.models[credit].target: policy aaa guards it already", name="later")
    assert scene.incidents() == []
    scene.cluster.api("DELETE", f"/apis/{API}/namespaces/{scene.namespace}/escalationpolicies/aaa")
    scene.says("Ready", "Accepted", name="later")
    scene.until("Firing")


def later(scene: Scene) -> bool:
    """Whether an object made now is younger than the policy by its creation time, which has whole seconds."""
    made = scene.post("/api/v1", "configmaps", {"metadata": {"generateName": "clock-"}})["metadata"]
    policy = scene.fetch("escalationpolicies", "aaa")["metadata"]
    return bool(made["creationTimestamp"] > policy["creationTimestamp"])


@pytest.mark.parametrize("name", row.names)
def test_bad_targets(name: str, outcomes: dict[str, Future[None]]) -> None:
    outcomes[name].result()


# --- what concerns the whole operator, so that it plays alone


def test_without_the_right_to_patch_the_policy_says_so_and_the_incident_asks_people(
    cluster: Access, installed: Installed
) -> None:
    role = "/apis/rbac.authorization.k8s.io/v1/clusterroles/tocsin-operator"
    rules = cluster.api("GET", role)["rules"]
    lacking = [rule for rule in rules if "patch" not in rule["verbs"] or "tocsin.dev" in rule["apiGroups"]]
    assert len(lacking) < len(rules), "containment's rights are rules of their own"
    cluster.api("PATCH", role, {"rules": lacking})
    scene = Scene.made(cluster, {user: cluster.kubeconfig_for(user) for user in BOUND})
    operator = installed.operator("poor").start()
    try:
        scene.runs(replicas=2)
        scene.roll("v2")
        scene.guard(MILD, containment=[roll_back(), scale(1)])
        scene.says("Ready", "Forbidden", "may not roll Deployment/credit back", "may not scale Deployment/credit")
        for option in ("previous", "stop"):
            said = scene.option(option, "Refused")["message"]
            assert said.startswith("Forbidden: ")
            assert f"in namespace {scene.namespace}" in said
        told = scene.wait(
            lambda: [page for page in scene.pages("owners") if "Forbidden: " in page["text"]], "a page that says so"
        )
        assert "NotContained" in told[0]["cause"]
        assert (scene.version(), scene.deployment()["spec"]["replicas"]) == ("v2", 2)
    finally:
        cluster.api("PATCH", role, {"rules": rules})
        operator.stop()
        cluster.delete_namespace(scene.namespace)


def test_the_label_on_the_operators_namespace_holds_every_namespace(cluster: Access, installed: Installed) -> None:
    where = f"/api/v1/namespaces/{SYSTEM}"
    scene = Scene.made(cluster, {user: cluster.kubeconfig_for(user) for user in BOUND})
    operator = installed.operator("held").start()
    cluster.api("PATCH", where, {"metadata": {"labels": {"tocsin.dev/hold": "change-freeze"}}})
    try:
        scene.runs(replicas=2)
        scene.guard(MILD, containment=[scale(1)])
        held = scene.until("Contained", "False", reason="Held")
        assert fact(held, "Contained")[2] == "the whole cluster is on hold: change-freeze"
        assert scene.told("ada", "Acknowledge")[0]
        assert scene.deployment()["spec"]["replicas"] == 2
        cluster.api("PATCH", where, {"metadata": {"labels": {"tocsin.dev/hold": None}}})
        scene.until("Contained")
        assert scene.deployment()["spec"]["replicas"] == 1
    finally:
        cluster.api("PATCH", where, {"metadata": {"labels": {"tocsin.dev/hold": None}}})
        operator.stop()
        cluster.delete_namespace(scene.namespace)
