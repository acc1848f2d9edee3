"""Is a real Deployment seen as it is, with the rights that we really have?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.act import deployments as d
from tests.clocks import FakeClock
from tests.cluster.access import Access
from tests.cluster.proxy import Answer, ApiProxy
from tests.cluster.workloads import model_deployment
from tocsin.act.marks import mark_healthy
from tocsin.apiserver import ApiServer
from tocsin.decide.situation import Autoscaler, NoTarget, TargetView
from tocsin.observe.targets import Targets

REVIEWS = "selfsubjectaccessreviews"
READING = {
    "apps": {"deployments": ["get"], "replicasets": ["list"]},
    "autoscaling": {"horizontalpodautoscalers": ["list"]},
}


@pytest.fixture
def proxy(cluster: Access) -> Iterator[ApiProxy]:
    with d.proxied(cluster) as proxy:
        yield proxy


def look(cluster: Access, namespace: str, kubeconfig: Path | None = None) -> TargetView | NoTarget:
    clock = FakeClock()
    return d.ask(kubeconfig or cluster.kubeconfig, lambda api: Targets(api, clock).view(namespace, d.TARGET))


def view(cluster: Access, namespace: str) -> TargetView:
    return d.ask(cluster.kubeconfig, lambda api: d.viewed(api, namespace))


def rolled_out(cluster: Access, namespace: str) -> None:
    cluster.kubectl("rollout", "status", "deploy/fraud", "-n", namespace, "--timeout=60s")
    cluster.wait(lambda: view(cluster, namespace).complete_since, 20, "a complete rollout")


def test_revisions_and_the_present_one(cluster: Access, namespace: str) -> None:
    d.rolled_out_bad(cluster, namespace, replicas=2)

    seen = view(cluster, namespace)

    by_image = d.replica_sets(cluster, namespace)
    assert [(one.number, one.images) for one in seen.revisions] == [(1, ("fraud:v1",)), (2, ("fraud:v2",))]
    assert seen.current_hash == by_image["fraud:v2"]["metadata"]["labels"]["pod-template-hash"]
    assert (seen.replicas, seen.images, seen.complete_since) == (2, ("fraud:v2",), None)
    assert (seen.may_roll_back, seen.may_scale, seen.lacking) == (True, True, ())


def slow(deployment: dict[str, Any]) -> dict[str, Any]:
    """Each of its rollouts takes long enough to show in a time of whole seconds."""
    deployment["spec"]["minReadySeconds"] = 1
    return deployment


def test_complete_since_stays_until_a_rollback_moves_it(cluster: Access, namespace: str) -> None:
    cluster.apply(slow(model_deployment(d.NAME, namespace, version="v1")))
    rolled_out(cluster, namespace)
    first = view(cluster, namespace).complete_since
    cluster.kubectl("annotate", "deploy/fraud", "note=x", "-n", namespace)
    cluster.kubectl("label", "deploy/fraud", "note=x", "-n", namespace)
    d.taken_up(cluster, namespace)
    assert view(cluster, namespace).complete_since == first

    cluster.apply(slow(model_deployment(d.NAME, namespace, version="v2")))
    rolled_out(cluster, namespace)
    second = view(cluster, namespace).complete_since
    cluster.kubectl("rollout", "undo", "deploy/fraud", "-n", namespace)
    rolled_out(cluster, namespace)
    third = view(cluster, namespace).complete_since

    assert first is not None
    assert second is not None
    assert third is not None
    assert first < second < third


def test_a_rollback_without_surge_is_not_taken_for_complete_since_before(cluster: Access, namespace: str) -> None:
    """The controller may leave the Progressing condition of v2 in place here, or write that of v1 anew."""
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    for version in ("v1", "v2"):
        deployment = slow(model_deployment(d.NAME, namespace, version=version))
        deployment["spec"]["strategy"] = strategy
        cluster.apply(deployment)
        rolled_out(cluster, namespace)
    second = view(cluster, namespace).complete_since
    cluster.kubectl("rollout", "undo", "deploy/fraud", "-n", namespace)
    cluster.kubectl("rollout", "status", "deploy/fraud", "-n", namespace, "--timeout=60s")
    cluster.wait(lambda: view(cluster, namespace).settled, 20, "the rollback")

    third = view(cluster, namespace).complete_since
    assert second is not None
    assert third is None or third > second


def test_a_mark_holds_for_its_own_replica_set_only(cluster: Access, namespace: str) -> None:
    d.rolled_out_bad(cluster, namespace, replicas=0)
    good, bad = view(cluster, namespace).revisions
    assert d.ask(cluster.kubeconfig, lambda api: mark_healthy(api, namespace, "Deployment", good))
    assert [one.healthy for one in view(cluster, namespace).revisions] == [True, False]

    # kubectl copies the mark to the Deployment, and the controller copies it onto the next ReplicaSet.
    cluster.kubectl("rollout", "undo", "deploy/fraud", "-n", namespace)
    d.taken_up(cluster, namespace)
    d.set_version(cluster, namespace, "v3")
    copied = d.replica_sets(cluster, namespace)["fraud:v3"]["metadata"]["annotations"]
    assert copied["tocsin.dev/healthy"] == f"{good.uid}/{good.template_hash}"
    marked = {one.images[0]: one.healthy for one in view(cluster, namespace).revisions}
    assert marked == {"fraud:v1": True, "fraud:v2": False, "fraud:v3": False}
    assert bad.uid in {one.uid for one in view(cluster, namespace).revisions}


def test_a_revision_that_is_gone_cannot_be_marked(cluster: Access, namespace: str) -> None:
    d.rolled_out_bad(cluster, namespace, replicas=0)
    good, _ = view(cluster, namespace).revisions
    cluster.kubectl("delete", "rs", good.name, "-n", namespace)
    assert not d.ask(cluster.kubeconfig, lambda api: mark_healthy(api, namespace, "Deployment", good))


def test_a_replica_set_that_was_made_anew_is_not_marked_for_the_one_before(cluster: Access, namespace: str) -> None:
    d.deploy(cluster, namespace, d.parked(namespace, replicas=0))
    (old,) = view(cluster, namespace).revisions
    cluster.kubectl("delete", "rs", old.name, "-n", namespace)
    cluster.wait(
        lambda: [one.uid for one in view(cluster, namespace).revisions] not in ([], [old.uid]), 20, "a new one"
    )
    (new,) = view(cluster, namespace).revisions
    assert new.name == old.name

    assert not d.ask(cluster.kubeconfig, lambda api: mark_healthy(api, namespace, "Deployment", old))
    assert "tocsin.dev/healthy" not in d.replica_sets(cluster, namespace)["fraud:v1"]["metadata"]["annotations"]


def test_the_autoscaler_is_found(cluster: Access, namespace: str) -> None:
    d.deploy(cluster, namespace, d.parked(namespace))
    made = d.scaled_by(cluster, namespace, d.autoscaler(namespace, 1, 9))
    assert view(cluster, namespace).autoscaler == Autoscaler(d.NAME, made.uid, 1, 9)


@pytest.mark.parametrize(
    ("rights", "may", "lacking"),
    [
        pytest.param(
            READING,
            (False, False),
            (
                "patch deployments.apps",
                "patch deployments.apps/scale",
                "patch horizontalpodautoscalers.autoscaling",
            ),
            id="who may only read may do nothing",
        ),
        pytest.param(
            READING | {"apps": {"deployments": ["get", "patch"], "replicasets": ["list"]}},
            (True, False),
            ("patch deployments.apps/scale", "patch horizontalpodautoscalers.autoscaling"),
            id="who may patch Deployments may roll back",
        ),
        pytest.param(
            {"apps": {"deployments": ["get"], "deployments/scale": ["patch"], "replicasets": ["list"]}},
            (False, False),
            ("patch deployments.apps", "list horizontalpodautoscalers.autoscaling"),
            id="who cannot see autoscalers may not scale",
        ),
        pytest.param(d.EVERYTHING, (True, True), (), id="who has all of them may do both"),
    ],
)
def test_rights(
    cluster: Access, namespace: str, rights: d.Rights, may: tuple[bool, bool], lacking: tuple[str, ...]
) -> None:
    d.deploy(cluster, namespace, d.parked(namespace))
    d.scaled_by(cluster, namespace, d.autoscaler(namespace, 1, 9))

    seen = look(cluster, namespace, d.granted(cluster, namespace, rights))

    assert isinstance(seen, TargetView), seen
    assert (seen.may_roll_back, seen.may_scale) == may
    assert seen.lacking == tuple(f"{right} in namespace {namespace}" for right in lacking)


def test_a_right_that_was_granted_is_asked_for_again_after_five_minutes(
    cluster: Access, namespace: str, proxy: ApiProxy
) -> None:
    d.deploy(cluster, namespace, d.parked(namespace))
    clock = FakeClock()

    async def reviews(api: ApiServer) -> list[int]:
        targets, asked = Targets(api, clock), []
        for wait in (0, 299, 1):
            await clock.advance(wait)
            await targets.view(namespace, d.TARGET)
            asked.append(proxy.count(REVIEWS))
        return asked

    assert d.ask(proxy.kubeconfig(), reviews) == [2, 2, 4]


def test_a_right_that_was_denied_is_asked_for_each_time(cluster: Access, namespace: str) -> None:
    d.deploy(cluster, namespace, d.parked(namespace))
    d.granted(cluster, namespace, READING | {"apps": {"deployments": ["get", "patch"], "replicasets": ["list"]}})

    async def twice(api: ApiServer) -> None:
        targets = Targets(api, FakeClock())
        for _ in range(2):
            await targets.view(namespace, d.TARGET)

    with ApiProxy(cluster) as proxy:
        d.ask(proxy.kubeconfig_for_token(cluster.token(namespace, "default")), twice)
        assert proxy.count(REVIEWS) == 4  # that nobody may scale just anything is remembered


def test_rights_to_all_are_asked_for_once_and_not_for_each_target(
    cluster: Access, namespace: str, proxy: ApiProxy
) -> None:
    d.deploy(cluster, namespace, d.parked(namespace))
    another = d.parked(namespace)
    d.deploy(cluster, namespace, another | {"metadata": another["metadata"] | {"name": "another"}})

    async def reviews(api: ApiServer) -> int:
        targets = Targets(api, FakeClock())
        for name in (d.NAME, "another"):
            await targets.view(namespace, d.TARGET.model_copy(update={"name": name}))
        return proxy.count(REVIEWS)

    assert d.ask(proxy.kubeconfig(), reviews) == 2


def test_a_right_to_one_object_is_found_by_its_name(cluster: Access, namespace: str) -> None:
    d.deploy(cluster, namespace, d.parked(namespace))
    d.granted(cluster, namespace, READING)
    role = ["--verb=patch", "--resource=deployments", f"--resource-name={d.NAME}"]
    cluster.kubectl("create", "role", "one", *role, "-n", namespace)
    account = f"--serviceaccount={namespace}:default"
    cluster.kubectl("create", "rolebinding", "one", "--role=one", account, "-n", namespace)

    seen = look(cluster, namespace, cluster.kubeconfig_for_token(cluster.token(namespace, "default")))

    assert isinstance(seen, TargetView)
    assert (seen.may_pause, seen.may_scale) == (True, False)


@pytest.mark.parametrize(
    ("rights", "early", "late"),
    [
        pytest.param({}, "Unreadable", "Forbidden", id="who may not read it"),
        pytest.param(READING, (True, False), (False, False), id="who may not write it"),
        pytest.param(d.EVERYTHING, (False, True), (False, True), id="who may"),
    ],
)
def test_a_denial_counts_once_it_has_lasted(
    cluster: Access, namespace: str, rights: d.Rights, early: Any, late: Any
) -> None:
    """An API server that has just started denies everything."""
    d.deploy(cluster, namespace, d.parked(namespace))
    clock = FakeClock()

    async def seen(api: ApiServer) -> list[Any]:
        targets, found = Targets(api, clock), []
        for wait in (0, 10, 5, 3600):
            await clock.advance(wait)
            view = await targets.lasting_view(namespace, d.TARGET)
            found.append((view.lately_denied, view.may_roll_back) if isinstance(view, TargetView) else view.reason)
        return found

    kubeconfig = d.granted(cluster, namespace, rights)
    assert d.ask(kubeconfig, seen) == [early, early, late, early], "an hour later it is another denial"


def test_a_target_that_is_not_declared(cluster: Access, namespace: str) -> None:
    async def nothing(api: ApiServer) -> TargetView | NoTarget:
        return await Targets(api, FakeClock()).view(namespace, None)

    assert d.ask(cluster.kubeconfig, nothing) == NoTarget("NotDeclared", "the policy names no target for this model")


def test_a_target_that_is_not_there(cluster: Access, namespace: str) -> None:
    assert look(cluster, namespace) == NoTarget("NotFound", f"Deployment/fraud does not exist in namespace {namespace}")


def test_a_target_that_we_may_not_read(cluster: Access, namespace: str) -> None:
    d.deploy(cluster, namespace, d.parked(namespace))
    seen = look(cluster, namespace, d.granted(cluster, namespace, {"apps": {"replicasets": ["list"]}}))
    assert isinstance(seen, NoTarget)
    assert seen.reason == "Forbidden"
    assert 'cannot get resource "deployments"' in seen.message


@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_target_that_the_server_cannot_tell_of_now(
    cluster: Access, namespace: str, proxy: ApiProxy, code: int
) -> None:
    d.deploy(cluster, namespace, d.parked(namespace))
    proxy.rule(Answer(code), methods={"GET"}, path="replicasets")
    seen = look(cluster, namespace, proxy.kubeconfig())
    assert isinstance(seen, NoTarget)
    assert seen.reason == "Unreadable"
    assert "injected by a test" in seen.message


def test_a_server_that_does_not_answer(cluster: Access, namespace: str) -> None:
    nobody = cluster.write_kubeconfig("nobody", {}, server="http://127.0.0.1:9")
    seen = look(cluster, namespace, nobody)
    assert isinstance(seen, NoTarget)
    assert seen.reason == "Unreadable"


def test_a_target_that_is_being_deleted(cluster: Access, namespace: str) -> None:
    finalizer = "tests.tocsin.dev/hold"
    d.deploy(cluster, namespace, d.parked(namespace, replicas=0, finalizers=[finalizer]))
    cluster.kubectl("delete", "deploy/fraud", "-n", namespace, "--wait=false")
    assert view(cluster, namespace).deleting
    cluster.api("PATCH", d.where(namespace), {"metadata": {"finalizers": None}})
