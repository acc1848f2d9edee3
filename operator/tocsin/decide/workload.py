"""What a workload, its earlier templates and its autoscaler say, in the API server's own words.

A Deployment keeps its earlier templates in ReplicaSets, a StatefulSet or DaemonSet in ControllerRevisions, a CronJob
nowhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from tocsin.api.objects import clip
from tocsin.api.quantities import parse_time
from tocsin.api.workload import WORKLOADS
from tocsin.decide.situation import Autoscaler, FieldChange, Revision, TargetView

HEALTHY = "tocsin.dev/healthy"
"""On what keeps a template: it was healthy. Valid with the value of ``mark_of`` only: annotations get copied."""
CONTAINED_BY = "tocsin.dev/contained-by"
"""On a workload: the key of the last effect of ours that rolled it back; an undo takes it away."""
UNDONE_BY = "tocsin.dev/undone-by"
"""On a workload: the key of the undo that rolled it forward again; the next containment takes it away."""
WITHDRAWN = "tocsin.dev/withdrawn"
"""On a pod template or on what keeps it: nothing goes back to it, for the reason that is the value."""
VALIDATED_UNTIL = "tocsin.dev/validated-until"
"""There too: from this instant on nothing goes back to it."""
REVISION = "deployment.kubernetes.io/revision"
TEMPLATE_HASH = "pod-template-hash"
POD_REVISION = "controller-revision-hash"
"""The label of a StatefulSet's pods: the name of the ControllerRevision that they were made from."""
SUSPENDED = "is suspended: no run of it starts until somebody resumes it"
PAUSED = "is paused: nothing would change until somebody resumes it"
ON_DELETE = "has the updateStrategy OnDelete: nothing would change until somebody deletes its pods"
PARTITIONED = "has a partition that holds all its pods back: nothing would change until somebody lowers it"
HELD_BACK = 1_000_000
"""The partition of a paused StatefulSet: more than any has pods, so that those that are added meanwhile are of the
earlier template too."""

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
    """The pod template without what controllers add; equal for a workload and what keeps it.

    A ControllerRevision keeps it as a strategic merge patch, which says that it replaces all that was there.
    """
    spec = workload["data"]["spec"] if "data" in workload else workload["spec"]
    kept = spec["template"] if "template" in spec else spec["jobTemplate"]["spec"]["template"]
    template: dict[str, Any] = {name: value for name, value in kept.items() if name != "$patch"}
    metadata = dict(template.get("metadata", {}))
    labels = metadata.get("labels", {})
    metadata["labels"] = {name: value for name, value in labels.items() if name != TEMPLATE_HASH}
    return template | {"metadata": metadata}


def label_selector(workload: Json) -> str:
    """The workload's selector as a list request takes it."""
    selector = workload["spec"]["selector"]
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


def owned_by(workload: Json, kept: Iterable[Json]) -> tuple[Json, ...]:
    """What this very workload controls of those that keep templates, in the order of their revisions."""
    uid = workload["metadata"]["uid"]
    ours = [one for one in kept if _controller(one).get("uid") == uid]
    living = [one for one in ours if "deletionTimestamp" not in one["metadata"]]
    return tuple(sorted(living, key=lambda one: (_number(one), one["metadata"]["name"])))


def autoscaler_of(workload: Json, autoscalers: Iterable[Json]) -> Autoscaler | None:
    """The HorizontalPodAutoscaler that scales this workload; the first by name when there are several."""
    name = workload["metadata"]["name"]
    for one in sorted(autoscalers, key=lambda one: str(one["metadata"]["name"])):
        spec, target = one["spec"], one["spec"]["scaleTargetRef"]
        group = target.get("apiVersion", "").rpartition("/")[0]
        if (group, target["kind"], target["name"]) == (WORKLOADS[workload["kind"]].group, workload["kind"], name):
            return Autoscaler(
                name=one["metadata"]["name"],
                uid=one["metadata"]["uid"],
                min_replicas=spec.get("minReplicas", 1),
                max_replicas=spec["maxReplicas"],
                scale_up_policy=spec.get("behavior", {}).get("scaleUp", {}).get("selectPolicy", ""),
            )
    return None


def stuck_behind(workload: Json, current: str, pods: Iterable[Json]) -> tuple[str, ...]:
    """The pods of an earlier template that are not ready, and behind which this StatefulSet waits for ever.

    It replaces one pod after the other, in order, each when all others are ready: a bad template whose pods never
    become ready keeps the good one from being rolled out (kubernetes.io, StatefulSet, forced rollback).
    """
    if workload["kind"] != "StatefulSet" or workload["spec"].get("podManagementPolicy") == "Parallel" or not current:
        return ()
    name, uid = f"{workload['metadata']['name']}-{current}", workload["metadata"]["uid"]
    ours = [one for one in pods if _controller(one).get("uid") == uid and "deletionTimestamp" not in one["metadata"]]
    earlier = [one for one in ours if one["metadata"].get("labels", {}).get(POD_REVISION) != name]
    return tuple(sorted(one["metadata"]["name"] for one in earlier if not _is_ready(one)))


def view_of(
    workload: Json,
    kept: Sequence[Json],
    autoscaler: Autoscaler | None,
    *,
    manager: str,
    may_roll_back: bool = True,
    may_pause: bool = True,
    may_scale: bool = True,
    lacking: tuple[str, ...] = (),
    pods: Iterable[Json] = (),
    now: datetime | None = None,
) -> TargetView:
    """One workload as decisions see it: its revisions as ``owned_by`` gives them, ``manager`` our field manager.

    Without ``now`` it is not told whether a revision's validation is over: whoever chooses one gives it.
    """
    metadata, status = workload["metadata"], workload.get("status", {})
    current = _current(workload, kept)
    template = canonical(bare_template(workload))
    owner = _controller(workload)
    wanted, running, updated, available = _counts(workload)
    current_hash = _hash(current, workload["kind"]) if current else ""
    generation = metadata.get("generation", 0)
    return TargetView(
        kind=workload["kind"],
        uid=metadata["uid"],
        name=metadata["name"],
        resource_version=metadata["resourceVersion"],
        generation=generation,
        observed_generation=status.get("observedGeneration", 0) if WORKLOADS[workload["kind"]].keeps else generation,
        replicas=wanted,
        running_replicas=running,
        updated_replicas=updated,
        available_replicas=available,
        current_hash=current_hash,
        revisions=tuple(_revision(one, workload, now) for one in kept),
        paused=_paused(workload),
        pause=_pause(workload),
        deleting="deletionTimestamp" in metadata,
        owner=f"{owner['kind']}/{owner['name']}" if owner else "",
        git_owner=_git_owner(metadata),
        contained_by=metadata.get("annotations", {}).get(CONTAINED_BY, ""),
        undone_by=metadata.get("annotations", {}).get(UNDONE_BY, ""),
        scaled_by_us=is_scaled_by(workload, manager),
        complete_since=_complete_since(workload, current) if workload["kind"] == "Deployment" else None,
        stuck=stuck_behind(workload, current_hash, pods),
        autoscaler=autoscaler,
        images=_images(bare_template(workload)),
        template_digest=sha256(template),
        template_json=template,
        may_roll_back=may_roll_back,
        may_pause=may_pause,
        may_scale=may_scale,
        lacking=lacking,
    )


def _counts(workload: Json) -> tuple[int, int, int, int]:
    """How many pods are wanted, there, of the present template, and available."""
    spec, status = workload["spec"], workload.get("status", {})
    if workload["kind"] == "CronJob":
        return 0, 0, 0, 0
    if workload["kind"] == "DaemonSet":
        fields = ("desiredNumberScheduled", "currentNumberScheduled", "updatedNumberScheduled", "numberAvailable")
        wanted, running, updated, available = (status.get(name, 0) for name in fields)
        return wanted, running, updated, available
    running, updated, available = (status.get(f, 0) for f in ("replicas", "updatedReplicas", "availableReplicas"))
    return spec.get("replicas", 1), running, updated, available


def _paused(workload: Json) -> str:
    spec = workload["spec"]
    if spec.get("suspend"):
        return SUSPENDED
    strategy = spec.get("updateStrategy", {})
    if spec.get("paused"):
        return PAUSED
    if strategy.get("type") == "OnDelete":
        return ON_DELETE
    partition = (strategy.get("rollingUpdate") or {}).get("partition", 0)
    return PARTITIONED if partition and partition >= spec.get("replicas", 1) else ""


def _pause(workload: Json) -> FieldChange | None:
    """What pauses a rollout or a schedule; None for a StatefulSet that waits for somebody to delete its pods.

    A StatefulSet makes pods below its partition of the earlier template, even those that die; OnDelete would make them
    of the later one.
    """
    match workload["kind"]:
        case "Deployment":
            path, held = "/spec/paused", "true"
        case "CronJob":
            path, held = "/spec/suspend", "true"
        case "StatefulSet" if workload["spec"].get("updateStrategy", {}).get("type") == "OnDelete":
            return None
        case "StatefulSet":
            path, held = "/spec/updateStrategy/rollingUpdate/partition", str(HELD_BACK)
        case _:
            path, held = "/spec/updateStrategy/type", canonical("OnDelete")
    return FieldChange(path, _value_at(workload, path), held)


def _value_at(thing: Json, path: str) -> str | None:
    """The canonical JSON of a field; None when it is not there."""
    value: Any = thing
    for name in path.lstrip("/").split("/"):
        if not isinstance(value, Mapping) or name not in value:
            return None
        value = value[name]
    return canonical(value)


def is_scaled_by(workload: Json, manager: str) -> bool:
    """Whether ``managedFields`` shows this field manager owning the number of replicas."""
    return any(
        entry.get("manager") == manager and "f:replicas" in entry.get("fieldsV1", {}).get("f:spec", {})
        for entry in workload["metadata"].get("managedFields", [])
    )


def _current(workload: Json, kept: Iterable[Json]) -> Json | None:
    """What keeps the present template; as for the controllers, the oldest when several have it."""
    template = bare_template(workload)
    same = [one for one in kept if bare_template(one) == template]
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


def _revision(kept: Json, workload: Json, now: datetime | None) -> Revision:
    metadata = kept["metadata"]
    template_hash = _hash(kept, workload["kind"])
    return Revision(
        uid=metadata["uid"],
        name=metadata["name"],
        number=_number(kept),
        template_hash=template_hash,
        images=_images(bare_template(kept)),
        healthy=metadata.get("annotations", {}).get(HEALTHY) == mark_of(metadata["uid"], template_hash),
        replicas=kept.get("status", {}).get("replicas", 0),
        unfit=_unfit(kept, workload, now),
    )


def _unfit(kept: Json, workload: Json, now: datetime | None) -> str:
    """Why nothing should go back to it; empty when it may.

    The controller of a Deployment copies its annotations to the present ReplicaSet, and a rollback by kubectl those of
    the ReplicaSet to the Deployment: what both say alike is said of neither revision.
    """
    live = workload["metadata"].get("annotations", {})
    own = kept["metadata"].get("annotations", {})
    said = {name: value for name, value in own.items() if live.get(name) != value}
    said |= bare_template(kept)["metadata"].get("annotations") or {}
    if WITHDRAWN in said:
        return f"it was withdrawn: {clip(str(said[WITHDRAWN]), 200) or 'nobody says why'}"
    until = str(said.get(VALIDATED_UNTIL, ""))
    if not until or now is None:
        return ""
    try:
        return f"it was validated until {until} only" if parse_time(until) <= now else ""
    except ValueError:
        return f"its annotation {VALIDATED_UNTIL} is not a time like 2027-01-31T00:00:00Z: {clip(until, 60)}"


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


def _number(kept: Json) -> int:
    if "data" in kept:
        return int(kept.get("revision", 0))
    text = str(kept["metadata"].get("annotations", {}).get(REVISION, ""))
    return int(text) if text.isdecimal() and len(text) < 19 else 0  # anybody may write an annotation


def _hash(kept: Json, kind: str) -> str:
    label = WORKLOADS[kind].hash_label
    return str(kept["metadata"].get("labels", {}).get(label, ""))


def _images(template: Json) -> tuple[str, ...]:
    return tuple(one.get("image", "") for one in template["spec"]["containers"])


def _is_ready(pod: Json) -> bool:
    conditions: list[Json] = pod.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
