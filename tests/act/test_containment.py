"""Is a model really contained, once, in the words of the server where it is refused?"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import pytest

from tests.act import deployments as d
from tests.clocks import T0, HastyClock
from tests.cluster.access import Access
from tests.cluster.proxy import ApiProxy
from tests.cluster.workloads import model_deployment
from tocsin.act.containment import carry_out
from tocsin.api.containment import Option
from tocsin.apiserver import ApiServer
from tocsin.decide.situation import Outcome

# --- rollback


def test_a_rollback_brings_the_models_metric_back(cluster: Access, namespace: str) -> None:
    accuracy = f'model_quality_ratio{{namespace="{namespace}",metric="accuracy"}}'
    cluster.apply(model_deployment(d.NAME, namespace, version="v1", accuracy=0.95))
    cluster.kubectl("rollout", "status", "deploy/fraud", "-n", namespace, "--timeout=60s")
    cluster.apply(model_deployment(d.NAME, namespace, version="v2", accuracy=0.8))
    cluster.kubectl("rollout", "status", "deploy/fraud", "-n", namespace, "--timeout=60s")
    cluster.wait(lambda: cluster.value(accuracy) == 0.8, 30, "the bad value")
    effect = d.planned(cluster, namespace)

    outcome = d.contained(cluster, namespace, effect)

    good = effect.proposal.to
    assert outcome == Outcome(effect.key, "Done", T0, f"read back: Deployment/fraud has the template {good}")
    cluster.wait(lambda: cluster.value(accuracy) == 0.95, 30, "the good value")


def test_a_rollback_in_mid_rollout_makes_one_revision_of_the_old_replica_set(cluster: Access, namespace: str) -> None:
    d.rolled_out_bad(cluster, namespace)

    outcome = d.contained(cluster, namespace, d.planned(cluster, namespace))

    d.taken_up(cluster, namespace)
    assert (outcome.result, d.image(cluster, namespace)) == ("Done", "fraud:v1")
    assert d.numbers(cluster, namespace) == {"fraud:v1": "3", "fraud:v2": "2"}


def test_annotations_are_kept_as_kubectl_keeps_them_and_our_marks_are_not_copied(
    cluster: Access, namespace: str
) -> None:
    old = {"kubernetes.io/change-cause": "release v1", "team": "a", "tocsin.dev/healthy": "a stale copy"}
    hold = "kustomize.toolkit.fluxcd.io/reconcile"
    d.deploy(cluster, namespace, d.parked(namespace, annotations=old))
    new = {"kubernetes.io/change-cause": "release v2", "team": "b", hold: "disabled"}
    d.set_version(cluster, namespace, "v2", annotations=new)
    effect = d.planned(cluster, namespace)

    d.contained(cluster, namespace, effect)

    d.taken_up(cluster, namespace)
    assert d.live(cluster, namespace)["metadata"]["annotations"] == {
        "deployment.kubernetes.io/revision": "3",
        "kubernetes.io/change-cause": "release v1",
        "team": "a",
        hold: "disabled",
        "tocsin.dev/contained-by": effect.key,
    }
    history = cluster.kubectl("rollout", "history", "deploy/fraud", "-n", namespace)
    assert [line.split(maxsplit=1) for line in history.strip().splitlines()[2:]] == [
        ["2", "release v2"],
        ["3", "release v1"],
    ]


@pytest.mark.parametrize("option", [d.PREVIOUS, d.STOP], ids=["rollback", "scale"])
def test_the_second_call_finds_it_done_and_writes_nothing(
    cluster: Access, namespace: str, proxy: ApiProxy, option: Option
) -> None:
    d.rolled_out_bad(cluster, namespace)
    effect = d.planned(cluster, namespace, option)
    first = d.through(proxy, namespace, effect)
    proxy.clear()

    assert d.through(proxy, namespace, effect) == first
    assert proxy.writes == []


def test_two_at_once_write_once(cluster: Access, namespace: str) -> None:
    d.rolled_out_bad(cluster, namespace, replicas=0)
    effect = d.planned(cluster, namespace)

    async def both(api: ApiServer) -> list[Outcome]:
        return await asyncio.gather(*(carry_out(api, namespace, effect, HastyClock()) for _ in range(2)))

    outcomes = d.ask(cluster.kubeconfig, both)

    assert [outcome.result for outcome in outcomes] == ["Done", "Done"]
    d.taken_up(cluster, namespace)
    assert d.numbers(cluster, namespace) == {"fraud:v1": "3", "fraud:v2": "2"}


def test_a_rehearsal_writes_nothing_and_says_what_it_would(cluster: Access, namespace: str, proxy: ApiProxy) -> None:
    d.rolled_out_bad(cluster, namespace, replicas=0)

    outcome = d.through(proxy, namespace, d.planned(cluster, namespace, dry_run=True))

    assert (outcome.result, outcome.message) == (
        "Done",
        "the API server would accept it: "
        "roll Deployment/fraud back from revision 2 (fraud:v2) to revision 1 (fraud:v1)",
    )
    assert ["dryRun=All" in call.path for call in proxy.writes] == [True]
    assert d.image(cluster, namespace) == "fraud:v2"


# --- scale


def test_scaling_to_zero_is_ours_by_the_managed_fields(cluster: Access, namespace: str) -> None:
    d.deploy(cluster, namespace, d.parked(namespace))
    effect = d.planned(cluster, namespace, d.STOP)

    outcome = d.contained(cluster, namespace, effect)

    assert (outcome.result, outcome.message) == ("Done", "read back: Deployment/fraud has replicas: 0")
    owners = [
        (one["manager"], one["subresource"])
        for one in d.live(cluster, namespace)["metadata"]["managedFields"]
        if "f:replicas" in one["fieldsV1"].get("f:spec", {})
    ]
    assert owners == [("tocsin", "scale")]


def test_a_paused_deployment_can_be_stopped(cluster: Access, namespace: str) -> None:
    d.deploy(cluster, namespace, d.parked(namespace))
    d.paused(cluster, namespace)

    outcome = d.contained(cluster, namespace, d.planned(cluster, namespace, d.STOP))

    assert outcome.result == "Done"
    cluster.wait(lambda: d.live(cluster, namespace)["status"].get("replicas", 0) == 0, 20, "no pods")


@pytest.mark.parametrize(
    ("replicas", "result"),
    [
        pytest.param(0, "Conflict", id="somebody else scaled to the same number: that is not ours"),
        pytest.param(2, "Conflict", id="somebody else scaled to another number: decide anew"),
    ],
)
def test_a_number_that_somebody_else_wrote_is_left_alone(
    cluster: Access, namespace: str, replicas: int, result: str
) -> None:
    d.deploy(cluster, namespace, d.parked(namespace))
    effect = d.planned(cluster, namespace, d.STOP)
    cluster.kubectl("scale", "deploy/fraud", f"--replicas={replicas}", "-n", namespace)

    assert d.contained(cluster, namespace, effect).result == result
    assert d.live(cluster, namespace)["spec"]["replicas"] == replicas


def test_the_autoscalers_maximum_is_lowered_first(cluster: Access, namespace: str, proxy: ApiProxy) -> None:
    d.deploy(cluster, namespace, d.parked(namespace))
    d.scaled_by(cluster, namespace, d.autoscaler(namespace, 2, 9))
    effect = d.planned(cluster, namespace, d.to(1))

    outcome = d.through(proxy, namespace, effect)

    assert outcome.result == "Done"
    accepted = [call.path for call in proxy.writes if "dryRun" not in call.path and call.status == 200]
    # The autoscaler may follow its new maximum before our own write of the number: then there is none.
    assert "horizontalpodautoscalers" in accepted[0]
    spec = d.autoscaler_spec(cluster, namespace)
    assert (spec["minReplicas"], spec["maxReplicas"]) == (1, 1)
    assert d.live(cluster, namespace)["spec"]["replicas"] == 1


def test_an_autoscaler_that_may_scale_to_zero_is_kept_from_scaling_up(cluster: Access, namespace: str) -> None:
    d.deploy(cluster, namespace, d.parked(namespace))
    d.scaled_by(cluster, namespace, d.autoscaler(namespace, 0, 9))

    assert d.contained(cluster, namespace, d.planned(cluster, namespace, d.STOP)).result == "Done"
    assert d.autoscaler_spec(cluster, namespace)["behavior"]["scaleUp"]["selectPolicy"] == "Disabled"
    assert d.live(cluster, namespace)["spec"]["replicas"] == 0


def test_the_autoscaler_may_have_moved_the_number_since(cluster: Access, namespace: str) -> None:
    d.deploy(cluster, namespace, d.parked(namespace))
    d.scaled_by(cluster, namespace, d.autoscaler(namespace, 1, 9))
    effect = d.planned(cluster, namespace, d.STOP)
    cluster.kubectl("scale", "deploy/fraud", "--replicas=7", "-n", namespace)

    assert d.contained(cluster, namespace, effect).result == "Done"


def test_an_autoscaler_that_came_since_is_not_pinned_unasked(cluster: Access, namespace: str) -> None:
    d.deploy(cluster, namespace, d.parked(namespace))
    effect = d.planned(cluster, namespace, d.to(1))
    d.scaled_by(cluster, namespace, d.autoscaler(namespace, 1, 9))

    outcome = d.contained(cluster, namespace, effect)

    assert outcome.result == "Conflict"
    assert "autoscaler" in outcome.message
    assert d.autoscaler_spec(cluster, namespace)["maxReplicas"] == 9


# --- the server says no


def test_a_refusal_by_admission_is_told_in_its_own_words(cluster: Access, namespace: str) -> None:
    d.rolled_out_bad(cluster, namespace, replicas=0)
    effect = d.planned(cluster, namespace)
    with _denied(cluster, namespace, "object.spec.template == oldObject.spec.template", "ask the release desk"):
        outcome = d.contained(cluster, namespace, effect)

    assert outcome.result == "Refused"
    assert "ask the release desk" in outcome.message
    assert d.image(cluster, namespace) == "fraud:v2"


@contextlib.contextmanager
def _denied(cluster: Access, namespace: str, expression: str, message: str) -> Iterator[None]:
    group, name = "/apis/admissionregistration.k8s.io/v1", f"deny-{namespace}"
    rules = [{"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["deployments"]}]
    selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    policy = {
        "matchConstraints": {"resourceRules": rules, "namespaceSelector": selector},
        "validations": [{"expression": expression, "message": message}],
    }
    binding = {"policyName": name, "validationActions": ["Deny"]}
    for plural, spec in (("validatingadmissionpolicies", policy), ("validatingadmissionpolicybindings", binding)):
        cluster.api("POST", f"{group}/{plural}", {"metadata": {"name": name}, "spec": spec})
    try:
        set_image = ("set", "image", "deploy/fraud", "model=other", "-n", namespace, "--dry-run=server")
        cluster.wait(lambda: message in cluster.kubectl(*set_image, check=False), 20, "the policy")
        yield
    finally:
        for plural in ("validatingadmissionpolicybindings", "validatingadmissionpolicies"):
            cluster.api("DELETE", f"{group}/{plural}/{name}")


ROLLING = {"apps": {"deployments": ["get", "patch"], "replicasets": ["list"]}}
SCALING = {
    "apps": {"deployments": ["get"], "deployments/scale": ["patch"]},
    "autoscaling": {"horizontalpodautoscalers": ["list", "patch"]},
}


@pytest.mark.parametrize(
    ("option", "rights", "result", "words"),
    [
        pytest.param(d.PREVIOUS, ROLLING, "Done", "read back", id="a rollback needs no more than these"),
        pytest.param(d.to(1), SCALING, "Done", "read back", id="scaling needs no more than these"),
        pytest.param(
            d.PREVIOUS,
            {"apps": {"deployments": ["get"], "replicasets": ["list"]}},
            "Refused",
            'cannot patch resource "deployments"',
            id="without patch the server refuses",
        ),
    ],
)
def test_rights(cluster: Access, namespace: str, option: Option, rights: d.Rights, result: str, words: str) -> None:
    d.rolled_out_bad(cluster, namespace)
    d.scaled_by(cluster, namespace, d.autoscaler(namespace, 1, 9))
    effect = d.planned(cluster, namespace, option)
    kubeconfig = d.granted(cluster, namespace, rights)

    async def run() -> Outcome:
        async with d.connected(kubeconfig) as api:
            return await carry_out(api, namespace, effect, HastyClock())

    outcome = asyncio.run(run())
    assert outcome.result == result
    assert words in outcome.message


def test_a_target_that_is_being_deleted_is_refused(cluster: Access, namespace: str) -> None:
    finalizer = "tests.tocsin.dev/hold"
    d.rolled_out_bad(cluster, namespace, replicas=0, finalizers=[finalizer])
    effect = d.planned(cluster, namespace)
    cluster.delete_namespace(namespace)
    try:
        cluster.wait(lambda: "deletionTimestamp" in d.live(cluster, namespace)["metadata"], 30, "the deletion")
        outcome = d.contained(cluster, namespace, effect)
    finally:
        cluster.api("PATCH", d.where(namespace), {"metadata": {"finalizers": None}})
    assert (outcome.result, outcome.message) == ("Refused", "Deployment/fraud is being deleted")
