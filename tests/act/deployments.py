"""Which Deployments are acted on in tests? Real ones, whose pods no node takes unless a test wants them to run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from tests.clocks import FakeClock, HastyClock
from tests.cluster.access import Access, Unsupported
from tests.cluster.cluster import Cluster
from tests.cluster.proxy import ApiProxy
from tests.cluster.workloads import model_deployment
from tests.connecting import connected
from tocsin.act.containment import carry_out
from tocsin.api.containment import Option, RollBack, Scale, Target
from tocsin.api.incident import OptionRecord, OptionState
from tocsin.apiserver import ApiServer, path
from tocsin.decide.plan import Contain, Undo
from tocsin.decide.proposal import propose
from tocsin.decide.restoring import inverse, to_put_back
from tocsin.decide.situation import Autoscaler, Outcome, Proposal, TargetView
from tocsin.observe.targets import Targets

T = TypeVar("T")
NAME = "fraud"
TARGET = Target(api_version="apps/v1", kind="Deployment", name=NAME)
PREVIOUS = Option(name="previous", type="RollBack", roll_back=RollBack(to="Previous"))
STOP = Option(name="stop", type="Scale", scale=Scale(replicas=0))


def to(replicas: int) -> Option:
    return Option(name="fewer", type="Scale", scale=Scale(replicas=replicas))


Rights = dict[str, dict[str, list[str]]]
"""Verbs by API group and resource."""
EVERYTHING: Rights = {
    "apps": {"deployments": ["get", "patch"], "deployments/scale": ["patch"], "replicasets": ["list"]},
    "autoscaling": {"horizontalpodautoscalers": ["list", "patch"]},
}


def ask(kubeconfig: Path, work: Callable[[ApiServer], Awaitable[T]]) -> T:
    """Run it with these credentials, in an event loop of its own."""

    async def run() -> T:
        async with connected(kubeconfig) as api:
            return await work(api)

    return asyncio.run(run())


def proxied(cluster: Access) -> ApiProxy:
    """A proxy to the API server whose clients are administrators."""
    if not isinstance(cluster, Cluster):
        raise Unsupported("the proxy stands in front of an API server of ours only")
    return ApiProxy(cluster, (cluster.admin_certificate, cluster.admin_key))


def where(namespace: str, subresource: str = "") -> str:
    return path("apps/v1", "deployments", namespace, NAME, subresource)


def parked(namespace: str, version: str = "v1", replicas: int = 3, **metadata: Any) -> dict[str, Any]:
    """A Deployment whose pods stay Pending."""
    deployment = model_deployment(NAME, namespace, version=version, replicas=replicas, image=f"fraud:{version}")
    deployment["spec"]["template"]["spec"]["nodeSelector"] = {"no-such": "node"}
    deployment["metadata"] |= metadata
    return deployment


def deploy(cluster: Access, namespace: str, deployment: dict[str, Any]) -> None:
    """Create it, and wait until its controller has taken it up."""
    cluster.api("POST", path("apps/v1", "deployments", namespace), deployment)
    taken_up(cluster, namespace)


def set_version(cluster: Access, namespace: str, version: str, annotations: dict[str, str] | None = None) -> None:
    """Roll out another version, and wait until the controller has taken it up, not until it is complete."""
    edit: list[dict[str, Any]] = [
        {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": f"fraud:{version}"},
        {"op": "replace", "path": "/spec/template/spec/containers/0/env/1/value", "value": version},
    ]
    if annotations is not None:
        edit.append({"op": "replace", "path": "/metadata/annotations", "value": annotations})
    cluster.api("PATCH", where(namespace), edit, content_type="application/json-patch+json")
    taken_up(cluster, namespace)


def rolled_out_bad(cluster: Access, namespace: str, **keywords: Any) -> None:
    """v1, then v2 in mid-rollout: what a containment finds."""
    deploy(cluster, namespace, parked(namespace, **keywords))
    set_version(cluster, namespace, "v2")


def taken_up(cluster: Access, namespace: str) -> None:
    def observed() -> bool:
        found = live(cluster, namespace)
        return bool(found.get("status", {}).get("observedGeneration", 0) >= found["metadata"]["generation"])

    cluster.wait(observed, 30, "the deployment controller", every=0.02)


def live(cluster: Access, namespace: str) -> Any:
    return cluster.api("GET", where(namespace))


def image(cluster: Access, namespace: str) -> str:
    return str(live(cluster, namespace)["spec"]["template"]["spec"]["containers"][0]["image"])


def replica_sets(cluster: Access, namespace: str) -> dict[str, Any]:
    """By image."""
    items = cluster.api("GET", path("apps/v1", "replicasets", namespace))["items"]
    return {one["spec"]["template"]["spec"]["containers"][0]["image"]: one for one in items}


def numbers(cluster: Access, namespace: str) -> dict[str, str]:
    """Revision numbers by image."""
    sets = replica_sets(cluster, namespace)
    return {name: one["metadata"]["annotations"]["deployment.kubernetes.io/revision"] for name, one in sets.items()}


async def viewed(api: ApiServer, namespace: str) -> TargetView:
    view = await Targets(api, FakeClock()).view(namespace, TARGET)
    assert isinstance(view, TargetView), view
    return view


async def proposed(api: ApiServer, namespace: str, option: Option = PREVIOUS) -> Proposal:
    proposal = propose(option, await viewed(api, namespace), frozenset())
    assert isinstance(proposal, Proposal), proposal
    return proposal


async def effect(api: ApiServer, namespace: str, option: Option = PREVIOUS, *, dry_run: bool = False) -> Contain:
    return Contain(f"uid/1/contain/{option.name}/1", await proposed(api, namespace, option), dry_run=dry_run)


def planned(cluster: Access, namespace: str, option: Option = PREVIOUS, *, dry_run: bool = False) -> Contain:
    return ask(cluster.kubeconfig, lambda api: effect(api, namespace, option, dry_run=dry_run))


def undo_of(
    cluster: Access, namespace: str, effect: Contain, number: int = 1, *, view: TargetView | None = None
) -> Undo:
    """The undo of a containment, as it is decided from the incident's record of it."""
    proposal = effect.proposal
    record = OptionRecord(
        name=proposal.option,
        type=proposal.action,
        class_=proposal.class_,
        state=OptionState.EXECUTED,
        target_uid=proposal.target_uid,
        from_=proposal.from_,
        to=proposal.to,
    )
    record = record.model_copy(update=to_put_back(record, proposal))
    found = inverse(record, view or ask(cluster.kubeconfig, lambda api: viewed(api, namespace)))
    assert isinstance(found, Proposal), found
    return Undo(f"uid/1/undo/{proposal.option}/{number}", found)


def contained(cluster: Access, namespace: str, effect: Contain | Undo) -> Outcome:
    return ask(cluster.kubeconfig, lambda api: carry_out(api, namespace, effect, HastyClock()))


def through(proxy: ApiProxy, namespace: str, effect: Contain | Undo) -> Outcome:
    return ask(proxy.kubeconfig(), lambda api: carry_out(api, namespace, effect, HastyClock()))


def paused(cluster: Access, namespace: str) -> None:
    cluster.kubectl("rollout", "pause", "deploy/fraud", "-n", namespace)


def autoscaler(namespace: str, least: int, most: int) -> dict[str, Any]:
    """An autoscaler of the Deployment; by an external metric, which it needs to be allowed a minimum of zero."""
    metric = {"metric": {"name": "queue"}, "target": {"type": "Value", "value": "1"}}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME},
            "minReplicas": least,
            "maxReplicas": most,
            "metrics": [{"type": "External", "external": metric}],
        },
    }


def autoscalers(namespace: str, name: str = "") -> str:
    return path("autoscaling/v2", "horizontalpodautoscalers", namespace, name)


def granted(cluster: Access, namespace: str, rights: Rights) -> Path:
    """A kubeconfig of a service account that has these rights in the namespace."""
    rules = [
        {"apiGroups": [group], "resources": [resource], "verbs": verbs}
        for group, resources in rights.items()
        for resource, verbs in resources.items()
    ]
    group, metadata = "rbac.authorization.k8s.io/v1", {"name": "granted"}
    account = {"kind": "ServiceAccount", "name": "default", "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "granted"}
    cluster.api("POST", path(group, "roles", namespace), {"metadata": metadata, "rules": rules})
    binding = {"metadata": metadata, "subjects": [account], "roleRef": role}
    cluster.api("POST", path(group, "rolebindings", namespace), binding)
    return cluster.kubeconfig_for_token(cluster.token(namespace, "default"))


def scaled_by(cluster: Access, namespace: str, spec: dict[str, Any]) -> Autoscaler:
    made = cluster.api("POST", autoscalers(namespace), spec)
    return Autoscaler(NAME, made["metadata"]["uid"], spec["spec"]["minReplicas"], spec["spec"]["maxReplicas"])


def autoscaler_spec(cluster: Access, namespace: str) -> Any:
    return cluster.api("GET", autoscalers(namespace, NAME))["spec"]
