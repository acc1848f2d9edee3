"""What may a Deployment, its ReplicaSets and an autoscaler hold? Whatever the API server keeps can be looked at."""

from __future__ import annotations

import json

from hypothesis import example, given
from hypothesis import strategies as st

from tests.builders import HOUR, T0, a_situation
from tests.decide.test_workload import COMPLETE_AT, a_deployment, a_replica_set, an_autoscaler
from tests.fuzz.anything import MANY, TEXTS, Json
from tocsin.api.containment import Option, RollBack, Scale
from tocsin.api.incident import IncidentStatus
from tocsin.decide.incident import plan
from tocsin.decide.proposal import propose
from tocsin.decide.revisions import next_look, to_mark
from tocsin.decide.situation import Budget, Proposal, Refusal
from tocsin.decide.snapshot import without_values
from tocsin.decide.workload import autoscaler_of, bare_template, label_selector, owned_by, view_of

COUNTS = st.sampled_from([0, 1, 2, 3, 2**31 - 1])
VERSIONS = st.sampled_from([0, 1, 3, 2**63 - 1])
INSTANTS = st.sampled_from(
    ["2026-03-02T09:00:10Z", "0000-01-01T00:00:00Z", "0001-01-01T00:00:01Z", "9999-12-31T23:59:59Z", None]
)
"""As the API server writes a time in RFC 3339, or that there is none."""
LABELS = st.dictionaries(
    st.sampled_from(["app", "pod-template-hash", "kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name"]),
    st.sampled_from(["", "h1", "h2", "x" * 63]),
)
ANNOTATIONS = st.dictionaries(
    st.sampled_from(
        [
            "deployment.kubernetes.io/revision",
            "tocsin.dev/healthy",
            "tocsin.dev/contained-by",
            "tocsin.dev/undone-by",
            "argocd.argoproj.io/tracking-id",
        ]
    ),
    st.sampled_from(["1", "2", "rs-1/h1", "9" * 5000, "²", "-1", "+1", "1_0"]) | TEXTS,
)  # fmt: skip
OWNERS = st.lists(
    st.fixed_dictionaries(
        {
            "kind": st.sampled_from(["Deployment", "Team"]),
            "name": st.just("fraud"),
            "uid": st.sampled_from(["d-uid", "o"]),
        },
        optional={"controller": st.booleans()},
    ),
    max_size=2,
)
MANAGERS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "manager": st.sampled_from(["tocsin", "argocd-controller", ""]),
            "subresource": st.just("scale"),
            "fieldsV1": st.sampled_from([{}, {"f:spec": {}}, {"f:spec": {"f:replicas": {}}}, {"f:metadata": {}}]),
        },
    ),
    max_size=2,
)
ENVIRONMENT = st.lists(
    st.fixed_dictionaries({"name": TEXTS}, optional={"value": TEXTS, "valueFrom": st.just({"fieldRef": {}})}),
    max_size=2,
)
CONTAINERS = st.lists(
    st.fixed_dictionaries({"name": st.just("m")}, optional={"image": TEXTS, "env": ENVIRONMENT}),
    min_size=1,
    max_size=20,
)
TEMPLATES = st.builds(
    lambda metadata, containers, more: {"spec": {"containers": containers} | more} | metadata,
    st.fixed_dictionaries(
        {},
        optional={"metadata": st.fixed_dictionaries({"creationTimestamp": st.none()}, optional={"labels": LABELS})},
    ),
    CONTAINERS,
    st.fixed_dictionaries({}, optional={"initContainers": CONTAINERS, "odd": TEXTS}),
)
COMPLETE = [
    {"type": "Available", "status": "True"},
    {
        "type": "Progressing",
        "status": "True",
        "reason": "NewReplicaSetAvailable",
        "message": 'ReplicaSet "fraud-h2" has successfully progressed.',
    },
    {"type": "", "status": "odd"},
]
CONDITIONS = st.lists(
    st.builds(
        lambda one, updated, changed: one | {"lastUpdateTime": updated, "lastTransitionTime": changed},
        st.sampled_from(COMPLETE),
        INSTANTS,
        INSTANTS,
    ),
    max_size=3,
)


@st.composite
def kept(draw: st.DrawFn, /, sound: Json, **parts: dict[str, st.SearchStrategy[Json]]) -> Json:
    """A sound object in which optional fields are missing or hold something else that the API server keeps."""
    for part, fields in parts.items():
        holder = sound.setdefault(part, {})
        for field, values in fields.items():
            match draw(st.sampled_from(["as it is", "as it is", "missing", "odd"])):
                case "missing":
                    holder.pop(field, None)
                case "odd":
                    holder[field] = draw(values)
        if not holder:
            del sound[part]
    return sound


METADATA = {"labels": LABELS, "annotations": ANNOTATIONS, "ownerReferences": OWNERS, "managedFields": MANAGERS}
COUNTED = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), COUNTS)
DELETED = {"deletionTimestamp": st.just(COMPLETE_AT)}
DEPLOYMENTS = st.builds(a_deployment).flatmap(
    lambda sound: kept(
        sound,
        metadata=METADATA | DELETED | {"generation": VERSIONS},
        spec={"replicas": COUNTS, "paused": st.booleans()},
        status=COUNTED | {"observedGeneration": VERSIONS, "conditions": CONDITIONS},
    )
)
REPLICA_SETS = st.integers(1, 4).flatmap(
    lambda number: kept(
        a_replica_set(number),
        metadata=METADATA | DELETED,
        status={"replicas": COUNTS},
    )
)
BEHAVIORS = st.sampled_from([{}, {"scaleUp": {}}, {"scaleUp": {"selectPolicy": "Disabled"}}])
AUTOSCALERS = st.sampled_from(["hpa", "z"]).flatmap(
    lambda name: kept(an_autoscaler(name), spec={"minReplicas": COUNTS, "behavior": BEHAVIORS})
)
SELECTORS = st.fixed_dictionaries(
    {},
    optional={
        "matchLabels": LABELS,
        "matchExpressions": st.lists(
            st.sampled_from(
                [{"key": "a", "operator": "In", "values": ["b"]}, {"key": "a", "operator": "Exists"},
                 {"key": "a", "operator": "NotIn", "values": ["b"]}, {"key": "a", "operator": "DoesNotExist"}]
            ),
        ),
    },
)  # fmt: skip
OPTIONS = (
    Option(name="last-healthy", type="RollBack"),
    Option(name="previous", type="RollBack", roll_back=RollBack(to="Previous")),
    Option(name="stop", type="Scale", scale=Scale(replicas=0)),
)


@MANY
@given(
    deployment=DEPLOYMENTS,
    replica_sets=st.lists(REPLICA_SETS, max_size=4),
    autoscalers=st.lists(AUTOSCALERS, max_size=2),
    templates=st.lists(st.none() | TEMPLATES, min_size=5, max_size=5),
    selector=SELECTORS,
)
@example(
    deployment=a_deployment(),
    replica_sets=[a_replica_set(1, annotations={"deployment.kubernetes.io/revision": "9" * 5_000})],
    autoscalers=[],
    templates=[],
    selector={},
)
def test_what_the_api_server_keeps_can_be_looked_at_and_acted_on(
    deployment: Json, replica_sets: list[Json], autoscalers: list[Json], templates: list[Json], selector: Json
) -> None:
    for one, template in zip((deployment, *replica_sets), templates, strict=False):
        if template:
            one["spec"]["template"] = template
    deployment["spec"]["selector"] = selector
    assert isinstance(label_selector(deployment), str)
    ours = owned_by(deployment, replica_sets)
    view = view_of(deployment, ours, autoscaler_of(deployment, autoscalers), manager="tocsin")
    assert [one.uid for one in view.revisions] == [one["metadata"]["uid"] for one in ours]
    assert json.loads(view.template_json) == bare_template(deployment)
    without_values(view.template_json)
    for option in OPTIONS:
        assert isinstance(propose(option, view, frozenset({"h1"})), Proposal | Refusal)
    decided = plan(a_situation(target=view, budget=Budget.RESERVED))
    assert IncidentStatus.model_validate(json.loads(json.dumps(decided.status.dump()))) == decided.status


@MANY
@given(CONDITIONS)
@example([one | {"lastUpdateTime": None, "lastTransitionTime": COMPLETE_AT} for one in COMPLETE])
@example([one | {"lastUpdateTime": COMPLETE_AT, "lastTransitionTime": "0000-01-01T00:00:00Z"} for one in COMPLETE])
@example([one | {"lastUpdateTime": "9999-12-31T23:59:59Z", "lastTransitionTime": COMPLETE_AT} for one in COMPLETE])
def test_a_rollout_is_complete_since_an_instant_or_not_at_all(conditions: Json) -> None:
    deployment, current = a_deployment(status={"conditions": conditions}), a_replica_set(2)
    view = view_of(deployment, owned_by(deployment, [current]), None, manager="tocsin")
    assert (view.complete_since is None) <= (to_mark(view, HOUR, T0) is None)
    assert next_look(view, HOUR, T0) > T0
