"""What a Deployment, its ReplicaSets and its autoscaler say, read from the API server's own words."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from tocsin.api.objects import clip
from tocsin.api.quantities import parse_time
from tocsin.decide.situation import Autoscaler, Revision, TargetView

HEALTHY = "tocsin.dev/healthy"
"""On a ReplicaSet: it was healthy. Valid only with the value of ``mark_of``, because annotations get copied."""
CONTAINED_BY = "tocsin.dev/contained-by"
"""On a Deployment: the key of the last effect of ours that rolled it back; an undo takes it away."""
UNDONE_BY = "tocsin.dev/undone-by"
"""On a Deployment: the key of the undo that rolled it forward again; the next containment takes it away."""
REVISION = "deployment.kubernetes.io/revision"
TEMPLATE_HASH = "pod-template-hash"

Json = Mapping[str, Any]


def mark_of(uid: str, template_hash: str) -> str:
    """The value of a healthy mark; on any other ReplicaSet, for instance one that it was copied to, it says nothing."""
    return f"{uid}/{template_hash}"


def canonical(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def sha256(text: str) -> str:
    """The digest of a text, as the API writes it."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def bare_template(workload: Json) -> dict[str, Any]:
    """The pod template without the label that the controller adds; equal for a Deployment and its ReplicaSet."""
    template: dict[str, Any] = dict(workload["spec"]["template"])
    metadata = dict(template.get("metadata", {}))
    labels = metadata.get("labels", {})
    metadata["labels"] = {name: value for name, value in labels.items() if name != TEMPLATE_HASH}
    return template | {"metadata": metadata}


def label_selector(deployment: Json) -> str:
    """The Deployment's selector as a list request takes it."""
    selector = deployment["spec"]["selector"]
    terms = [f"{name}={value}" for name, value in selector.get("matchLabels", {}).items()]
    for one in selector.get("matchExpressions", []):
        match one["operator"]:
            case "Exists":
                terms.append(one["key"])
            case "DoesNotExist":
                terms.append(f"!{one['key']}")
            case operator:
                terms.append(f"{one['key']} {operator.lower()} ({','.join(one['values'])})")
    return ",".join(terms)


def owned_by(deployment: Json, replica_sets: Iterable[Json]) -> tuple[Json, ...]:
    """The ReplicaSets that this very Deployment controls, in the order of their revisions, the newest last."""
    uid = deployment["metadata"]["uid"]
    ours = [one for one in replica_sets if _controller(one).get("uid") == uid]
    living = [one for one in ours if "deletionTimestamp" not in one["metadata"]]
    return tuple(sorted(living, key=lambda one: (_number(one), one["metadata"]["name"])))


def autoscaler_of(deployment: Json, autoscalers: Iterable[Json]) -> Autoscaler | None:
    """The HorizontalPodAutoscaler that scales this Deployment; the first by name when there are several."""
    name = deployment["metadata"]["name"]
    for one in sorted(autoscalers, key=lambda one: str(one["metadata"]["name"])):
        spec, target = one["spec"], one["spec"]["scaleTargetRef"]
        group = target.get("apiVersion", "").rpartition("/")[0]
        if (group, target["kind"], target["name"]) == ("apps", "Deployment", name):
            return Autoscaler(
                name=one["metadata"]["name"],
                uid=one["metadata"]["uid"],
                min_replicas=spec.get("minReplicas", 1),
                max_replicas=spec["maxReplicas"],
                scale_up_policy=spec.get("behavior", {}).get("scaleUp", {}).get("selectPolicy", ""),
            )
    return None


def view_of(
    deployment: Json,
    replica_sets: Sequence[Json],
    autoscaler: Autoscaler | None,
    *,
    manager: str,
    may_roll_back: bool = True,
    may_scale: bool = True,
    lacking: tuple[str, ...] = (),
) -> TargetView:
    """One Deployment as decisions see it: its ReplicaSets as ``owned_by`` gives them, ``manager`` our field manager."""
    metadata, spec, status = deployment["metadata"], deployment["spec"], deployment.get("status", {})
    current = _current(deployment, replica_sets)
    template = canonical(bare_template(deployment))
    owner = _controller(deployment)
    return TargetView(
        uid=metadata["uid"],
        name=metadata["name"],
        resource_version=metadata["resourceVersion"],
        generation=metadata.get("generation", 0),
        observed_generation=status.get("observedGeneration", 0),
        replicas=spec.get("replicas", 1),
        running_replicas=status.get("replicas", 0),
        updated_replicas=status.get("updatedReplicas", 0),
        current_hash=_hash(current) if current else "",
        revisions=tuple(_revision(one) for one in replica_sets),
        paused=spec.get("paused", False),
        deleting="deletionTimestamp" in metadata,
        owner=f"{owner['kind']}/{owner['name']}" if owner else "",
        git_owner=_git_owner(metadata),
        contained_by=metadata.get("annotations", {}).get(CONTAINED_BY, ""),
        undone_by=metadata.get("annotations", {}).get(UNDONE_BY, ""),
        scaled_by_us=is_scaled_by(deployment, manager),
        complete_since=_complete_since(deployment, current),
        autoscaler=autoscaler,
        images=_images(deployment),
        template_digest=sha256(template),
        template_json=template,
        may_roll_back=may_roll_back,
        may_scale=may_scale,
        lacking=lacking,
    )


def is_scaled_by(deployment: Json, manager: str) -> bool:
    """Whether ``managedFields`` shows this field manager owning the number of replicas."""
    return any(
        entry.get("manager") == manager and "f:replicas" in entry.get("fieldsV1", {}).get("f:spec", {})
        for entry in deployment["metadata"].get("managedFields", [])
    )


def _current(deployment: Json, replica_sets: Iterable[Json]) -> Json | None:
    """The ReplicaSet of the present template; as for the controller, the oldest when several have it."""
    template = bare_template(deployment)
    same = [one for one in replica_sets if bare_template(one) == template]
    return min(same, key=lambda one: str(one["metadata"]["creationTimestamp"]), default=None)


def _complete_since(deployment: Json, current: Json | None) -> datetime | None:
    """When the present revision was last found rolled out; None while anything is missing, old, or scaled to zero.

    Tried on 1.37: the controller leaves the Progressing condition of another revision in place when a rollback never
    shows it old and new pods at once (no replica, or one without surge). So the condition must name the present
    ReplicaSet, and the pods must have been available since.
    """
    metadata, status = deployment["metadata"], deployment.get("status", {})
    wanted = deployment["spec"].get("replicas", 1)
    counts = (status.get("replicas", 0), status.get("updatedReplicas", 0), status.get("availableReplicas", 0))
    if current is None or wanted == 0 or any(count != wanted for count in counts):
        return None
    if status.get("observedGeneration", 0) < metadata.get("generation", 0):
        return None
    conditions: dict[str, Json] = {one["type"]: one for one in status.get("conditions", [])}
    progressing, available = conditions.get("Progressing", {}), conditions.get("Available", {})
    if progressing.get("reason") != "NewReplicaSetAvailable" or available.get("status") != "True":
        return None
    if f'"{current["metadata"]["name"]}"' not in progressing.get("message", ""):
        return None
    updated, changed = _instant(progressing.get("lastUpdateTime")), _instant(available.get("lastTransitionTime"))
    return max(updated, changed) if updated and changed else None


def _instant(text: str | None) -> datetime | None:
    """The instant of a condition: whoever writes a status may give none, or one of the year 0."""
    try:
        return parse_time(text) if text else None
    except ValueError:
        return None


def _revision(replica_set: Json) -> Revision:
    metadata = replica_set["metadata"]
    template_hash = _hash(replica_set)
    return Revision(
        uid=metadata["uid"],
        name=metadata["name"],
        number=_number(replica_set),
        template_hash=template_hash,
        images=_images(replica_set),
        healthy=metadata.get("annotations", {}).get(HEALTHY) == mark_of(metadata["uid"], template_hash),
        replicas=replica_set.get("status", {}).get("replicas", 0),
    )


def _git_owner(metadata: Json) -> str:
    labels, annotations = metadata.get("labels", {}), metadata.get("annotations", {})
    managers = {entry.get("manager") for entry in metadata.get("managedFields", [])}
    if tracking := annotations.get("argocd.argoproj.io/tracking-id"):
        return f"Argo CD application {clip(tracking.partition(':')[0], 253)}"
    if "argocd-controller" in managers:
        return "Argo CD"
    for domain, kind in (("kustomize", "Kustomization"), ("helm", "HelmRelease")):
        name, namespace = (labels.get(f"{domain}.toolkit.fluxcd.io/{part}") for part in ("name", "namespace"))
        if name:
            return f"Flux {kind} {namespace}/{name}"
    return ""


def _controller(thing: Json) -> Json:
    owners: list[Json] = thing["metadata"].get("ownerReferences", [])
    return next((one for one in owners if one.get("controller")), {})


def _number(replica_set: Json) -> int:
    text = str(replica_set["metadata"].get("annotations", {}).get(REVISION, ""))
    return int(text) if text.isdecimal() and len(text) < 19 else 0  # anybody may write an annotation


def _hash(replica_set: Json) -> str:
    return str(replica_set["metadata"].get("labels", {}).get(TEMPLATE_HASH, ""))


def _images(workload: Json) -> tuple[str, ...]:
    return tuple(one.get("image", "") for one in workload["spec"]["template"]["spec"]["containers"])
