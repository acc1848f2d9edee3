"""Is every kind of workload contained and undone by one contract? On its real controller; no node takes its pods."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.act import deployments as d
from tests.cluster.access import Access
from tests.cluster.workloads import model_deployment
from tocsin.api.containment import Option, Target
from tocsin.api.workload import WORKLOADS
from tocsin.apiserver import ApiError, ApiServer, NoAnswer, path
from tocsin.clock import SystemClock
from tocsin.decide.plan import Contain
from tocsin.decide.proposal import propose
from tocsin.decide.situation import Proposal, Refusal, TargetView
from tocsin.decide.workload import WITHDRAWN, bare_template
from tocsin.observe.targets import Targets


def a_workload(kind: str, namespace: str, version: str) -> dict[str, Any]:
    """Of one pod, that stays Pending."""
    made = model_deployment(d.NAME, namespace, version=version, image=f"fraud:{version}")
    made["kind"] = kind
    if kind == "CronJob":
        template = made["spec"]["template"]
        template["spec"]["restartPolicy"] = "Never"
        job = {"template": {"spec": template["spec"]}}
        return made | {"apiVersion": "batch/v1", "spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": job}}}
    made["spec"]["template"]["spec"]["nodeSelector"] = {"no-such": "node"}
    if kind == "StatefulSet":
        made["spec"]["serviceName"] = d.NAME
    if kind == "DaemonSet":
        del made["spec"]["replicas"]
    return made


@dataclass(frozen=True)
class Site:
    """One workload in one namespace."""

    cluster: Access
    namespace: str
    kind: str

    def where(self, subresource: str = "") -> str:
        kind = WORKLOADS[self.kind]
        return path(kind.api_version, kind.plural, self.namespace, d.NAME, subresource)

    def live(self) -> Any:
        return self.cluster.api("GET", self.where())

    def image(self) -> str:
        return str(bare_template(self.live())["spec"]["containers"][0]["image"])

    def made(self, version: str = "v1") -> None:
        self.cluster.api(
            "POST",
            self.where().rpartition("/")[0],
            a_workload(self.kind, self.namespace, version),
        )
        self.taken_up()

    def rolled(self, version: str) -> None:
        self.cluster.api("PATCH", self.where(), {"spec": a_workload(self.kind, self.namespace, version)["spec"]})
        self.taken_up()

    def taken_up(self) -> None:
        if not WORKLOADS[self.kind].keeps:
            return

        def seen() -> bool:
            found = self.live()
            observed = found.get("status", {}).get("observedGeneration", 0) >= found["metadata"]["generation"]
            return bool(observed) and bool(self.view().current_hash)

        self.cluster.wait(seen, 30, f"the controller of {self.kind}", every=0.05)

    def view(self) -> TargetView:
        api_version = WORKLOADS[self.kind].api_version
        target = Target.model_validate({"apiVersion": api_version, "kind": self.kind, "name": d.NAME})

        async def look(api: ApiServer) -> TargetView:
            found = await Targets(api, SystemClock()).view(self.namespace, target)
            assert isinstance(found, TargetView), found
            return found

        return d.ask(self.cluster.kubeconfig, look)

    def planned(self, option: Option = d.PREVIOUS) -> Contain:
        view = self.view()
        if option is PAUSE:  # the one pod of a DaemonSet is replaced at once, and none is counted where no node is
            view = replace(view, running_replicas=view.replicas + 1)
        proposal = propose(option, view, frozenset())
        assert isinstance(proposal, Proposal), proposal
        return Contain(f"uid/1/contain/{option.name}/1", proposal)


PAUSE = Option(name="hold", type="Pause")
KINDS = sorted(WORKLOADS)
ROLLED = [kind for kind in KINDS if "RollBack" in WORKLOADS[kind].can]
SCALED = [kind for kind in KINDS if "Scale" in WORKLOADS[kind].can]


@pytest.fixture
def site(cluster: Access, namespace: str, request: pytest.FixtureRequest) -> Site:
    made = Site(cluster, namespace, request.param)
    made.made("v1")
    return made


each = pytest.mark.parametrize("site", KINDS, indirect=True)
each_rolled = pytest.mark.parametrize("site", ROLLED, indirect=True)
each_scaled = pytest.mark.parametrize("site", SCALED, indirect=True)


@each_rolled
def test_a_rollback_brings_the_template_before_back_and_is_done_once(site: Site) -> None:
    site.rolled("v2")
    effect = site.planned()

    first = d.contained(site.cluster, site.namespace, effect)
    site.taken_up()
    generation = site.live()["metadata"]["generation"]
    second = d.contained(site.cluster, site.namespace, effect)

    assert (first.result, second.result, site.image()) == ("Done", "Done", "fraud:v1")
    assert site.live()["metadata"]["generation"] == generation
    assert (site.view().contained_by, site.view().current_hash) == (effect.key, effect.proposal.to)


@each_rolled
def test_a_rollback_that_is_undone_brings_the_later_template_again(site: Site) -> None:
    site.rolled("v2")
    effect = site.planned()
    d.contained(site.cluster, site.namespace, effect)
    site.taken_up()

    undo = d.undo_of(site.cluster, site.namespace, effect, view=site.view())
    outcome = d.contained(site.cluster, site.namespace, undo)

    site.taken_up()
    assert (outcome.result, site.image()) == ("Done", "fraud:v2")
    assert (site.view().contained_by, site.view().undone_by) == ("", undo.key)


@each_rolled
def test_nothing_goes_back_to_a_revision_that_was_withdrawn(site: Site) -> None:
    site.rolled("v2")
    earlier, current = site.view().revisions
    assert (earlier.unfit, current.unfit) == ("", "")
    keeps = WORKLOADS[site.kind].keeps
    site.cluster.kubectl("annotate", keeps, earlier.name, f"{WITHDRAWN}=leaked labels", "-n", site.namespace)

    found = propose(d.PREVIOUS, site.view(), frozenset())

    assert isinstance(found, Refusal)
    assert found.reason == "RevisionUnfit"
    assert found.message.endswith("(fraud:v1), and it was withdrawn: leaked labels")


@each_rolled
def test_what_somebody_has_changed_since_is_left_to_them(site: Site) -> None:
    site.rolled("v2")
    effect = site.planned()
    site.rolled("v3")

    outcome = d.contained(site.cluster, site.namespace, effect)

    assert (outcome.result, site.image()) == ("Conflict", "fraud:v3")


@each
def test_one_that_was_made_anew_is_not_what_it_was_proposed_for(site: Site) -> None:
    site.rolled("v2")
    effect = site.planned(d.PREVIOUS if "RollBack" in WORKLOADS[site.kind].can else PAUSE)
    site.cluster.api("DELETE", site.where())
    site.cluster.wait(lambda: not site.cluster.found(site.where()), 30, "its end")
    site.made("v2")

    outcome = d.contained(site.cluster, site.namespace, effect)

    assert (outcome.result, site.image()) == ("Refused", "fraud:v2")


@each_scaled
def test_a_number_of_replicas_is_set_once_and_given_back(site: Site) -> None:
    effect = site.planned(d.STOP)

    stopped = d.contained(site.cluster, site.namespace, effect)
    again = d.contained(site.cluster, site.namespace, effect)
    none = site.live()["spec"]["replicas"]
    back = d.contained(site.cluster, site.namespace, d.undo_of(site.cluster, site.namespace, effect, view=site.view()))

    assert (stopped.result, again.result, none) == ("Done", "Done", 0)
    assert (back.result, site.live()["spec"]["replicas"]) == ("Done", 1)


def paused(site: Site) -> tuple[Any, ...]:
    """What a pause of any kind may touch."""
    spec = site.live()["spec"]
    return spec.get("paused"), spec.get("suspend"), spec.get("updateStrategy")


@each
def test_a_rollout_is_paused_once_and_resumed_as_it_was(site: Site) -> None:
    site.rolled("v2")
    before = paused(site)
    effect = site.planned(PAUSE)

    first = d.contained(site.cluster, site.namespace, effect)
    during, generation = paused(site), site.live()["metadata"]["generation"]
    again = d.contained(site.cluster, site.namespace, effect)
    unmoved = site.live()["metadata"]["generation"] == generation
    undo = d.undo_of(site.cluster, site.namespace, effect, view=site.view())
    back = [d.contained(site.cluster, site.namespace, undo).result for _ in range(2)]

    assert (first.result, again.result, unmoved, back) == ("Done", "Done", True, ["Done", "Done"])
    assert (during != before, paused(site), site.image()) == (True, before, "fraud:v2")
    assert (site.view().contained_by, site.view().undone_by) == ("", undo.key)


@each_rolled
def test_a_rollback_resumes_what_was_paused(site: Site) -> None:
    site.rolled("v2")
    before = paused(site)
    pause = site.planned(PAUSE)
    d.contained(site.cluster, site.namespace, pause)
    site.taken_up()
    (change,) = pause.proposal.fields

    proposal = propose(d.PREVIOUS, site.view(), frozenset(), change)
    assert isinstance(proposal, Proposal), proposal
    effect = Contain("uid/1/contain/previous/1", proposal)
    outcomes = [d.contained(site.cluster, site.namespace, effect).result for _ in range(2)]

    assert (outcomes, paused(site), site.image()) == (["Done", "Done"], before, "fraud:v1")


@each_rolled
def test_what_somebody_has_paused_or_resumed_meanwhile_is_left_to_them(site: Site) -> None:
    site.rolled("v2")
    effect = site.planned(PAUSE)
    (change,) = effect.proposal.fields
    theirs = [{"op": "add", "path": change.path, "value": json.loads(change.after or "null")}]
    site.cluster.api("PATCH", site.where(), theirs, content_type="application/json-patch+json")

    by_others = d.contained(site.cluster, site.namespace, effect)
    resume = propose(d.PREVIOUS, site.view(), frozenset(), change)
    assert isinstance(resume, Proposal), resume
    before = json.loads(change.before or "false")
    site.cluster.api(
        "PATCH",
        site.where(),
        [theirs[0] | {"value": before}],
        content_type="application/json-patch+json",
    )
    resumed = d.contained(site.cluster, site.namespace, Contain("uid/1/contain/previous/1", resume))

    assert (by_others.result, resumed.result, site.image()) == ("Conflict", "Conflict", "fraud:v2")


@pytest.mark.parametrize("site", ["CronJob"], indirect=True)
def test_a_schedule_that_is_suspended_by_others_or_resumed_by_them_is_left_to_them(site: Site) -> None:
    effect = site.planned(PAUSE)
    suspend = {"spec": {"suspend": True}}
    site.cluster.api("PATCH", site.where(), suspend)
    by_others = d.contained(site.cluster, site.namespace, effect)
    refused = propose(PAUSE, site.view(), frozenset())
    site.cluster.api("PATCH", site.where(), {"spec": {"suspend": False}})
    ours = site.planned(PAUSE)
    d.contained(site.cluster, site.namespace, ours)
    site.cluster.api("PATCH", site.where(), {"spec": {"suspend": False}})
    resumed = d.contained(site.cluster, site.namespace, ours)

    assert (by_others.result, resumed.result, site.live()["spec"]["suspend"]) == ("Conflict", "Conflict", False)
    assert isinstance(refused, Refusal)
    assert refused.reason == "AlreadyThere"
    assert "is suspended" in refused.message


@pytest.mark.parametrize("site", ["StatefulSet", "DaemonSet"], indirect=True)
def test_pods_that_are_replaced_by_hand_keep_a_rollback_from_helping(site: Site) -> None:
    site.cluster.api("PATCH", site.where(), {"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}}})
    site.rolled("v2")

    refusal = propose(d.PREVIOUS, site.view(), frozenset())

    assert isinstance(refusal, Refusal)
    assert (refusal.reason, "OnDelete" in refusal.message) == ("TargetPaused", True)


def images(site: Site) -> list[str]:
    """Of its pods."""
    pods = site.cluster.api("GET", path("v1", "pods", site.namespace))["items"]
    return [one["spec"]["containers"][0]["image"] for one in pods]


def runs_bad(site: Site) -> None:
    """The only pod is of the bad template, and is never ready."""
    site.cluster.wait(lambda: images(site) == ["fraud:v1"], 30, "the first pod", every=0.1)
    site.rolled("v2")
    site.cluster.api("DELETE", path("v1", "pods", site.namespace, f"{d.NAME}-0"))
    site.cluster.wait(lambda: images(site) == ["fraud:v2"], 30, "a pod of the bad template", every=0.1)


@pytest.mark.parametrize("site", ["StatefulSet"], indirect=True)
def test_a_stateful_set_does_not_wait_behind_a_pod_of_the_bad_template(site: Site) -> None:
    runs_bad(site)

    outcome = d.contained(site.cluster, site.namespace, site.planned())

    assert outcome.result == "Done"
    site.cluster.wait(lambda: images(site) == ["fraud:v1"], 30, "a pod of the good template", every=0.1)
    assert site.view().stuck == ()


@pytest.mark.parametrize("site", ["StatefulSet"], indirect=True)
def test_who_is_interrupted_before_the_deletion_finishes_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    runs_bad(site)
    effect, delete = site.planned(), ApiServer.delete

    async def dies(api: ApiServer, where: str, guard: Any, dry_run: bool = False) -> Any:
        raise NoAnswer("killed")

    monkeypatch.setattr(ApiServer, "delete", dies)
    lost = d.contained(site.cluster, site.namespace, effect)
    assert (lost.result, images(site), site.view().stuck) == ("Unknown", ["fraud:v2"], (f"{d.NAME}-0",))

    monkeypatch.setattr(ApiServer, "delete", delete)
    assert d.contained(site.cluster, site.namespace, effect).result == "Done"
    site.cluster.wait(lambda: images(site) == ["fraud:v1"], 30, "a pod of the good template", every=0.1)


@pytest.mark.parametrize("site", ["StatefulSet"], indirect=True)
def test_a_pod_whose_status_changes_all_the_time_is_deleted_at_last(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The status of a container that ends again and again is written every few seconds: the guard is stale then."""
    runs_bad(site)
    delete, stale = ApiServer.delete, [ApiError(409, "Conflict", "the object has been modified")] * 3

    async def late(api: ApiServer, where: str, guard: Any, dry_run: bool = False) -> Any:
        if stale:
            raise stale.pop()
        return await delete(api, where, guard, dry_run)

    monkeypatch.setattr(ApiServer, "delete", late)
    outcome = d.contained(site.cluster, site.namespace, site.planned())

    assert (outcome.result, stale) == ("Done", [])
    site.cluster.wait(lambda: images(site) == ["fraud:v1"], 30, "a pod of the good template", every=0.1)


@pytest.mark.parametrize("site", ["StatefulSet"], indirect=True)
def test_a_pod_that_cannot_be_deleted_now_leaves_it_open_whether_all_is_done(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs_bad(site)

    async def never(api: ApiServer, where: str, guard: Any, dry_run: bool = False) -> Any:
        raise ApiError(409, "Conflict", "the object has been modified")

    monkeypatch.setattr(ApiServer, "delete", never)
    outcome = d.contained(site.cluster, site.namespace, site.planned())

    waits = f"StatefulSet/{d.NAME} has the template, and waits behind {d.NAME}-0"
    assert (outcome.result, outcome.message, site.image()) == ("Unknown", waits, "fraud:v1")


@pytest.mark.parametrize("site", ["StatefulSet"], indirect=True)
def test_a_pod_that_may_not_be_deleted_is_told_with_what_was_done(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    runs_bad(site)

    async def refuses(api: ApiServer, where: str, guard: Any, dry_run: bool = False) -> Any:
        raise ApiError(403, "Forbidden", "a webhook denies it")

    monkeypatch.setattr(ApiServer, "delete", refuses)
    effect = site.planned()
    for _ in range(2):  # also for whoever finds it half done
        outcome = d.contained(site.cluster, site.namespace, effect)
        assert (outcome.result, site.image()) == ("Done", "fraud:v1")
        assert outcome.message.endswith(f"pod {d.NAME}-0, which could not be deleted: a webhook denies it")
