"""What is read out of a Deployment and its ReplicaSets?"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from tocsin.decide.situation import Autoscaler, FieldChange, Revision, TargetView
from tocsin.decide.workload import (
    ON_DELETE,
    PARTITIONED,
    PAUSED,
    VALIDATED_UNTIL,
    WITHDRAWN,
    autoscaler_of,
    bare_template,
    label_selector,
    owned_by,
    stuck_behind,
    view_of,
)

COMPLETE_AT = "2026-03-02T09:00:10Z"


def template(image: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"labels": {"app": "fraud"} | labels}, "spec": {"containers": [{"name": "m", "image": image}]}}


def a_deployment(image: str = "fraud:2", **changes: Any) -> dict[str, Any]:
    """Two replicas of fraud:2, complete; ``metadata``, ``spec`` and ``status`` may be changed."""
    progressing = {
        "type": "Progressing",
        "status": "True",
        "reason": "NewReplicaSetAvailable",
        "message": 'ReplicaSet "fraud-h2" has successfully progressed.',
        "lastUpdateTime": COMPLETE_AT,
    }
    available = {"type": "Available", "status": "True", "lastTransitionTime": "2026-03-02T09:00:05Z"}
    counts = {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2, "observedGeneration": 3}
    made: dict[str, Any] = {
        "kind": "Deployment",
        "metadata": {"uid": "d-uid", "name": "fraud", "resourceVersion": "9", "generation": 3},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "fraud"}}, "template": template(image)},
        "status": counts | {"conditions": [available, progressing]},
    }
    for part, change in changes.items():
        made[part] |= change
    return made


def a_replica_set(number: int, **metadata: Any) -> dict[str, Any]:
    hash_ = f"h{number}"
    return {
        "metadata": {
            "uid": f"rs-{number}",
            "name": f"fraud-{hash_}",
            "creationTimestamp": f"2026-03-02T08:00:{number:02}Z",
            "labels": {"app": "fraud", "pod-template-hash": hash_},
            "annotations": {"deployment.kubernetes.io/revision": str(number)},
            "ownerReferences": [{"kind": "Deployment", "name": "fraud", "uid": "d-uid", "controller": True}],
        }
        | metadata,
        "spec": {"template": template(f"fraud:{number}", **{"pod-template-hash": hash_})},
        "status": {"replicas": number},
    }


def view(deployment: dict[str, Any], *replica_sets: dict[str, Any]) -> TargetView:
    return view_of(deployment, owned_by(deployment, replica_sets), None, manager="tocsin")


def seen(**changes: Any) -> TargetView:
    return view(a_deployment(**changes), a_replica_set(1), a_replica_set(2))


def test_a_view_holds_what_a_decision_needs() -> None:
    text = '{"metadata":{"labels":{"app":"fraud"}},"spec":{"containers":[{"image":"fraud:2","name":"m"}]}}'
    assert seen() == TargetView(
        kind="Deployment",
        uid="d-uid",
        name="fraud",
        resource_version="9",
        generation=3,
        observed_generation=3,
        replicas=2,
        running_replicas=2,
        updated_replicas=2,
        available_replicas=2,
        current_hash="h2",
        revisions=(
            Revision("rs-1", "fraud-h1", 1, "h1", ("fraud:1",), replicas=1),
            Revision("rs-2", "fraud-h2", 2, "h2", ("fraud:2",), replicas=2),
        ),
        complete_since=datetime(2026, 3, 2, 9, 0, 10, tzinfo=UTC),
        pause=FieldChange("/spec/paused", None, "true"),
        images=("fraud:2",),
        template_digest="sha256:e15941501000c78059e5e79b45e7ccee93e607328fb63d02b1cd6e2d1b04d75e",
        template_json=text,
    )


def conditions(**changes: Mapping[str, str | None]) -> dict[str, Any]:
    made = copy.deepcopy(a_deployment()["status"]["conditions"])
    return {"conditions": [one | changes.get(one["type"].lower(), {}) for one in made]}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"status": {"observedGeneration": 2}}, id="the controller has not seen the last change"),
        pytest.param({"status": {"updatedReplicas": 1}}, id="a pod is still to be updated"),
        pytest.param({"status": {"availableReplicas": 1}}, id="a pod is not available"),
        pytest.param({"status": {"replicas": 3}}, id="an old pod is still there"),
        pytest.param(
            {"spec": {"replicas": 0}, "status": {"replicas": 0, "updatedReplicas": 0, "availableReplicas": 0}},
            id="nothing runs",
        ),
        pytest.param(
            {"status": conditions(progressing={"reason": "ReplicaSetUpdated"})}, id="the rollout is under way"
        ),
        pytest.param(
            {"status": conditions(progressing={"message": 'ReplicaSet "fraud-h1" has successfully progressed.'})},
            id="the condition speaks of the revision before a rollback",
        ),
        pytest.param({"status": conditions(available={"status": "False"})}, id="too few pods are available"),
        pytest.param({"status": {"conditions": []}}, id="no condition tells"),
        pytest.param({"status": conditions(progressing={"lastUpdateTime": None})}, id="a condition does not say when"),
        pytest.param(
            {"status": conditions(available={"lastTransitionTime": "0000-01-01T00:00:00Z"})}, id="it says the year 0"
        ),
        pytest.param({"spec": {"template": template("fraud:3")}}, id="the template has no ReplicaSet yet"),
    ],
)
def test_a_revision_is_not_complete_while(changes: dict[str, Any]) -> None:
    assert seen(**changes).complete_since is None


def test_a_revision_is_complete_since_its_pods_were_available_again() -> None:
    later = {"lastTransitionTime": "2026-03-02T09:30:00Z"}
    assert seen(status=conditions(available=later)).complete_since == datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("mark", "healthy"),
    [
        pytest.param("rs-2/h2", True, id="the mark of this very ReplicaSet counts"),
        pytest.param("rs-1/h1", False, id="a mark that was copied from another ReplicaSet does not"),
        pytest.param("true", False, id="a bare mark does not"),
    ],
)
def test_a_mark(mark: str, healthy: bool) -> None:
    marked = a_replica_set(2, annotations={"tocsin.dev/healthy": mark})
    assert view(a_deployment(), marked).revisions[0].healthy is healthy


def test_only_living_replica_sets_that_the_deployment_controls_are_revisions() -> None:
    other = [{"kind": "Deployment", "name": "fraud", "uid": "the one before", "controller": True}]
    found = view(
        a_deployment(),
        a_replica_set(10),
        a_replica_set(2),
        a_replica_set(3, ownerReferences=other),
        a_replica_set(4, ownerReferences=[]),
        a_replica_set(5, deletionTimestamp="2026-03-02T09:00:00Z"),
    )
    assert [one.number for one in found.revisions] == [2, 10]


@pytest.mark.parametrize(
    "text", ["9" * 5_000, "²", "-1", "two", ""], ids=["too long", "raised", "minus", "word", "none"]
)
def test_a_revision_whose_number_cannot_be_read_is_the_oldest(text: str) -> None:
    odd = a_replica_set(3, annotations={"deployment.kubernetes.io/revision": text})
    assert [one.number for one in view(a_deployment(), a_replica_set(2), odd).revisions] == [0, 2]


def test_of_two_replica_sets_with_the_present_template_the_oldest_is_current() -> None:
    twin = a_replica_set(7)
    twin["spec"]["template"] = template("fraud:2", **{"pod-template-hash": "h7"})
    assert view(a_deployment(), twin, a_replica_set(2)).current_hash == "h2"


@pytest.mark.parametrize(
    ("metadata", "owner"),
    [
        pytest.param({}, "", id="nobody is known to"),
        pytest.param(
            {"labels": {"app.kubernetes.io/instance": "fraud"}}, "", id="a label that Helm sets too says nothing"
        ),
        pytest.param(
            {"annotations": {"argocd.argoproj.io/tracking-id": "scoring:apps/Deployment:models/fraud"}},
            "Argo CD application scoring",
            id="Argo CD by its tracking id",
        ),
        pytest.param(
            {"managedFields": [{"manager": "argocd-controller"}]}, "Argo CD", id="Argo CD by its field manager"
        ),
        pytest.param(
            {"labels": {f"kustomize.toolkit.fluxcd.io/{part}": f"a-{part}" for part in ("name", "namespace")}},
            "Flux Kustomization a-namespace/a-name",
            id="a Flux Kustomization",
        ),
        pytest.param(
            {"labels": {f"helm.toolkit.fluxcd.io/{part}": f"a-{part}" for part in ("name", "namespace")}},
            "Flux HelmRelease a-namespace/a-name",
            id="a Flux HelmRelease",
        ),
    ],
)
def test_who_reverts_it_from_git(metadata: dict[str, Any], owner: str) -> None:
    assert seen(metadata=metadata).git_owner == owner


def test_the_controller_of_a_deployment_is_its_owner() -> None:
    owners = [
        {"kind": "Team", "name": "risk", "uid": "1"},
        {"kind": "InferenceService", "name": "fraud", "uid": "2", "controller": True},
    ]
    assert seen(metadata={"ownerReferences": owners}).owner == "InferenceService/fraud"


@pytest.mark.parametrize(
    ("manager", "field", "ours"),
    [
        pytest.param("tocsin", "f:replicas", True, id="our manager owns the number"),
        pytest.param("kubectl", "f:replicas", False, id="another manager owns it"),
        pytest.param("tocsin", "f:template", False, id="we own something else"),
    ],
)
def test_scaled_by_us(manager: str, field: str, ours: bool) -> None:
    entry = {"manager": manager, "fieldsV1": {"f:spec": {field: {}}}}
    assert seen(metadata={"managedFields": [entry]}).scaled_by_us is ours


def test_the_template_of_a_replica_set_equals_its_deployments_but_for_the_hash() -> None:
    given = a_replica_set(2)
    before = copy.deepcopy(given)
    assert bare_template(given) == template("fraud:2")
    assert given == before


def test_a_selector_is_written_as_a_list_request_takes_it() -> None:
    expressions = [
        {"key": "tier", "operator": "In", "values": ["a", "b"]},
        {"key": "stage", "operator": "NotIn", "values": ["dev"]},
        {"key": "model", "operator": "Exists"},
        {"key": "canary", "operator": "DoesNotExist"},
    ]
    selector = {"matchLabels": {"app": "fraud"}, "matchExpressions": expressions}
    assert label_selector({"spec": {"selector": selector}}) == "app=fraud,tier in (a,b),stage notin (dev),model,!canary"


def an_autoscaler(name: str = "hpa", target: str = "fraud", **spec: Any) -> dict[str, Any]:
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}
    return {
        "metadata": {"name": name, "uid": f"{name}-uid"},
        "spec": {"scaleTargetRef": reference, "maxReplicas": 9} | spec,
    }


@pytest.mark.parametrize(
    ("autoscalers", "found"),
    [
        pytest.param([], None, id="there is none"),
        pytest.param([an_autoscaler(target="other")], None, id="one of another target"),
        pytest.param(
            [
                an_autoscaler(
                    scaleTargetRef={"apiVersion": "argoproj.io/v1alpha1", "kind": "Deployment", "name": "fraud"}
                )
            ],
            None,
            id="one of another kind of the same name",
        ),
        pytest.param([an_autoscaler()], Autoscaler("hpa", "hpa-uid", 1, 9), id="a minimum that is not given is 1"),
        pytest.param(
            [an_autoscaler(minReplicas=0, behavior={"scaleUp": {"selectPolicy": "Disabled"}})],
            Autoscaler("hpa", "hpa-uid", 0, 9, scale_up_policy="Disabled"),
            id="one that does not scale up",
        ),
        pytest.param(
            [an_autoscaler("z"), an_autoscaler("a")], Autoscaler("a", "a-uid", 1, 9), id="of two the first by name"
        ),
    ],
)
def test_the_autoscaler_of_a_deployment(autoscalers: list[dict[str, Any]], found: Autoscaler | None) -> None:
    assert autoscaler_of(a_deployment(), autoscalers) == found


def a_controlled(kind: str, **changes: Any) -> dict[str, Any]:
    """A StatefulSet or DaemonSet of two pods, fully rolled out."""
    made = a_deployment() | {"kind": kind}
    counts = {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
    if kind == "DaemonSet":
        names = ("desiredNumberScheduled", "currentNumberScheduled", "updatedNumberScheduled", "numberAvailable")
        counts = dict.fromkeys(names, 2)
    made["status"] = {"observedGeneration": 3} | counts
    made["spec"] = {name: value for name, value in made["spec"].items() if kind != "DaemonSet" or name != "replicas"}
    for part, change in changes.items():
        made[part] |= change
    return made


def a_controller_revision(kind: str, number: int) -> dict[str, Any]:
    """What keeps a template of either: a strategic merge patch that replaces it."""
    label = "controller-revision-hash" if kind == "DaemonSet" else "controller.kubernetes.io/hash"
    made = a_replica_set(number, labels={"app": "fraud", label: f"h{number}"}, annotations={})
    owner = made["metadata"]["ownerReferences"][0] | {"kind": kind}
    patch = template(f"fraud:{number}") | {"$patch": "replace"}
    metadata = made["metadata"] | {"ownerReferences": [owner]}
    return {"metadata": metadata, "revision": number, "data": {"spec": {"template": patch}}}


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
def test_a_view_of_what_keeps_its_templates_in_controller_revisions(kind: str) -> None:
    workload = a_controlled(kind)
    found = view(workload, a_controller_revision(kind, 2), a_controller_revision(kind, 1))

    assert (found.what, found.current_hash, found.images) == (f"{kind}/fraud", "h2", ("fraud:2",))
    assert found.revisions == (
        Revision("rs-1", "fraud-h1", 1, "h1", ("fraud:1",)),
        Revision("rs-2", "fraud-h2", 2, "h2", ("fraud:2",)),
    )
    assert (found.replicas, found.running_replicas, found.updated_replicas, found.available_replicas) == (2, 2, 2, 2)
    assert found.complete
    assert found.complete_since is None, "its status does not say since when"


@pytest.mark.parametrize(
    ("kind", "changes", "complete"),
    [
        pytest.param("StatefulSet", {"updatedReplicas": 1}, False, id="a pod of a StatefulSet is still to be updated"),
        pytest.param("StatefulSet", {"availableReplicas": 1}, False, id="a pod of a StatefulSet is not available"),
        pytest.param("DaemonSet", {"updatedNumberScheduled": 1}, False, id="a node has the earlier template"),
        pytest.param("DaemonSet", {"numberAvailable": 0}, False, id="no pod of a DaemonSet is available"),
        pytest.param("DaemonSet", {"desiredNumberScheduled": 0}, False, id="a DaemonSet for which there is no node"),
        pytest.param("DaemonSet", {"observedGeneration": 2}, False, id="the controller has not seen the last change"),
    ],
)
def test_whether_the_present_revision_is_rolled_out(kind: str, changes: dict[str, int], complete: bool) -> None:
    assert view(a_controlled(kind, status=changes), a_controller_revision(kind, 2)).complete == complete


def partitioned(partition: int) -> dict[str, Any]:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": partition}}
    return a_controlled("StatefulSet", spec={"updateStrategy": strategy})


@pytest.mark.parametrize(
    ("workload", "change"),
    [
        pytest.param(a_deployment(), FieldChange("/spec/paused", None, "true"), id="a Deployment"),
        pytest.param(
            a_deployment(spec={"paused": True}), FieldChange("/spec/paused", "true", "true"), id="one that is paused"
        ),
        pytest.param(
            partitioned(1),
            FieldChange("/spec/updateStrategy/rollingUpdate/partition", "1", "1000000"),
            id="a StatefulSet keeps the earlier template below its partition",
        ),
        pytest.param(
            a_controlled("StatefulSet", spec={"updateStrategy": {"type": "OnDelete"}}), None, id="pods by hand"
        ),
        pytest.param(
            a_controlled("DaemonSet", spec={"updateStrategy": {"type": "RollingUpdate"}}),
            FieldChange("/spec/updateStrategy/type", '"RollingUpdate"', '"OnDelete"'),
            id="a DaemonSet waits for somebody to delete its pods",
        ),
    ],
)
def test_what_pauses_a_rollout(workload: dict[str, Any], change: FieldChange | None) -> None:
    assert view(workload).pause == change


@pytest.mark.parametrize(
    ("workload", "paused"),
    [
        pytest.param(a_deployment(spec={"paused": True}), PAUSED, id="a paused Deployment"),
        pytest.param(
            a_controlled("StatefulSet", spec={"updateStrategy": {"type": "OnDelete"}}), ON_DELETE, id="pods by hand"
        ),
        pytest.param(partitioned(2), PARTITIONED, id="a partition that holds every pod of a StatefulSet back"),
        pytest.param(partitioned(1), "", id="a partition that holds one of two pods back"),
        pytest.param(a_controlled("DaemonSet", spec={"updateStrategy": {"type": "RollingUpdate"}}), "", id="by itself"),
    ],
)
def test_whether_another_template_would_change_anything(workload: dict[str, Any], paused: str) -> None:
    assert view(workload).paused == paused


def a_pod(name: str, revision: str, *, ready: bool = False, uid: str = "d-uid", **metadata: Any) -> dict[str, Any]:
    owner = {"kind": "StatefulSet", "name": "fraud", "uid": uid, "controller": True}
    labels = {"controller-revision-hash": revision}
    return {
        "metadata": {"name": name, "labels": labels, "ownerReferences": [owner]} | metadata,
        "status": {"conditions": [{"type": "Ready", "status": str(ready)}]},
    }


BAD = a_pod("fraud-1", "fraud-h2")


@pytest.mark.parametrize(
    ("workload", "current", "pods", "stuck"),
    [
        pytest.param(a_controlled("StatefulSet"), "h1", [BAD], ("fraud-1",), id="one that is not ready"),
        pytest.param(
            a_controlled("StatefulSet"), "h1", [a_pod("fraud-1", "fraud-h2", ready=True)], (), id="a ready one"
        ),
        pytest.param(a_controlled("StatefulSet"), "h2", [BAD], (), id="one of the present template"),
        pytest.param(a_controlled("StatefulSet"), "", [BAD], (), id="a template that was not taken up yet"),
        pytest.param(a_controlled("StatefulSet"), "h1", [a_pod("x-0", "x-h2", uid="other")], (), id="another's"),
        pytest.param(
            a_controlled("StatefulSet"),
            "h1",
            [a_pod("fraud-1", "fraud-h2", deletionTimestamp="2026-03-02T09:00:00Z")],
            (),
            id="one that is being deleted",
        ),
        pytest.param(
            a_controlled("StatefulSet", spec={"podManagementPolicy": "Parallel"}), "h1", [BAD], (), id="in no order"
        ),
        pytest.param(a_controlled("DaemonSet"), "h1", [BAD], (), id="a DaemonSet waits behind none"),
    ],
)
def test_the_pods_behind_which_a_stateful_set_waits(
    workload: dict[str, Any], current: str, pods: list[dict[str, Any]], stuck: tuple[str, ...]
) -> None:
    assert stuck_behind(workload, current, pods) == stuck


NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("place", "annotations", "live", "unfit"),
    [
        pytest.param("kept", {WITHDRAWN: "wrong labels"}, {}, "it was withdrawn: wrong labels", id="withdrawn"),
        pytest.param("template", {WITHDRAWN: ""}, {}, "it was withdrawn: nobody says why", id="in the template"),
        pytest.param("kept", {WITHDRAWN: "a"}, {WITHDRAWN: "a"}, "", id="a copy of what is said of the live object"),
        pytest.param("template", {WITHDRAWN: "a"}, {WITHDRAWN: "a"}, "it was withdrawn: a", id="no copy"),
        pytest.param("template", {VALIDATED_UNTIL: "2026-03-02T12:00:01Z"}, {}, "", id="valid for a second more"),
        pytest.param(
            "template",
            {VALIDATED_UNTIL: "2026-03-02T12:00:00Z"},
            {},
            "it was validated until 2026-03-02T12:00:00Z only",
            id="no longer valid",
        ),
        pytest.param(
            "kept",
            {VALIDATED_UNTIL: "next year"},
            {},
            "its annotation tocsin.dev/validated-until is not a time like 2027-01-31T00:00:00Z: next year",
            id="no time",
        ),
    ],
)
def test_whether_a_revision_may_serve_again(
    place: str, annotations: dict[str, str], live: dict[str, str], unfit: str
) -> None:
    deployment, earlier = a_deployment(metadata={"annotations": live}), a_replica_set(1)
    where = earlier if place == "kept" else earlier["spec"]["template"]
    where["metadata"]["annotations"] = where["metadata"].get("annotations", {}) | annotations
    found = view_of(deployment, owned_by(deployment, [earlier, a_replica_set(2)]), None, manager="tocsin", now=NOW)
    assert [one.unfit for one in found.revisions] == [unfit, ""]
