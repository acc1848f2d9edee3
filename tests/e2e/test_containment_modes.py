"""Containment does what the policy says, as far as people allow it, and says how it went."""

from __future__ import annotations

import urllib.parse
import urllib.request
from concurrent.futures import Future
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.cluster.access import Access
from tests.cluster.workloads import IMAGE, model_deployment
from tests.e2e.rows import (
    MILD,
    PATIENT_LEASE,
    QUIET_TIERS,
    SEVERE,
    Rows,
    Scene,
    constant,
    fact,
    roll_back,
    scale,
    signal,
)
from tests.e2e.stage import ACCURACY, API, BAD, GOOD, policy_spec
from tests.observe.faulty import FaultyServer, Reply, Request
from tocsin.api.quantities import format_time, parse_time

row = Rows()


class Detour:
    """The way to Prometheus on which one row's policy asks, and which that row closes."""

    url = ""
    closed = False

    @classmethod
    def answer(cls, request: Request) -> Reply:
        if cls.closed:
            return Reply(b"", 502)
        form = urllib.parse.urlencode(request.form).encode()
        with urllib.request.urlopen(cls.url + request.path, form, timeout=20) as answer:
            return Reply(answer.read())


def settings(stack: ExitStack, cluster: Access) -> dict[str, Any]:
    """One containment a namespace without asking, and a way to Prometheus that can be closed."""
    server = stack.enter_context(FaultyServer())
    Detour.url, server.answer = cluster.prometheus_service_url, Detour.answer
    servers = {"default": {"url": Detour.url}, "detour": {"url": server.url}}
    return {"prometheus": servers, "budget": {"containments": 1}, "leaseDuration": PATIENT_LEASE}


def by_people(required: int = 1, **more: Any) -> dict[str, Any]:
    """An approval that is asked for."""
    return {"approval": {"required": required, **more}}


def replicas(scene: Scene, name: str = "credit") -> int:
    return int(scene.deployment(name)["spec"]["replicas"])


def two_versions(scene: Scene) -> None:
    scene.runs("v1", replicas=2)
    scene.roll("v2")


# --- modes


@row
def an_observing_policy_only_rehearses_and_acts_when_it_is_set_to_enforce_in_mid_incident(scene: Scene) -> None:
    two_versions(scene)
    scene.guard(MILD, mode="Observe", containment=[roll_back()])
    record = scene.option("previous", "Observed")
    assert record["message"].startswith("the API server would accept it: roll Deployment/credit back from revision 2")
    assert fact(scene.incident(), "Contained")[:2] == ("False", "Observed")
    page = scene.wait(lambda: [one for one in scene.pages("owners") if "would accept it" in one["text"]], "the page")
    assert "Rehearsed" in page[0]["cause"]
    assert (scene.version(), scene.revision()) == ("v2", 2)
    scene.change("escalationpolicies/credit", {"spec": {"mode": "Enforce"}})
    scene.until("Contained")
    assert (scene.version(), scene.revision()) == ("v1", 3)


@row
def a_policy_set_to_observe_in_mid_incident_touches_nothing_even_when_approved(scene: Scene) -> None:
    scene.runs(replicas=2)
    scene.guard(MILD, containment=[scale(1, **by_people())])
    digest = scene.asks("stop")
    scene.change("escalationpolicies/credit", {"spec": {"mode": "Observe"}})
    assert scene.told("ben", "Approve", option="stop", digest=digest)[0]
    scene.option("stop", "Observed")
    assert replicas(scene) == 2


# --- approvals


@row
def stopping_the_model_takes_one_person_at_sev3_whatever_the_policy_says(scene: Scene) -> None:
    scene.runs()
    scene.guard(MILD, containment=[scale(0)])
    digest = scene.asks("stop")
    assert scene.status()["severity"] == "SEV3"
    assert scene.told("ben", "Approve", option="stop", digest=digest) == (True, "approved stop (1 of 1)")
    scene.until("Contained")
    assert replicas(scene) == 0


@row
def stopping_the_model_takes_two_people_at_sev2_and_one_person_twice_is_one(scene: Scene) -> None:
    scene.runs()
    scene.guard(SEVERE, containment=[scale(0)])
    digest = scene.asks("stop")
    assert scene.status()["severity"] == "SEV2"
    assert scene.told("ben", "Approve", option="stop", digest=digest) == (True, "approved stop (1 of 2)")
    again = scene.told("ben", "Approve", option="stop", digest=digest)
    assert again == (False, "ben has approved already: another person is needed")
    assert replicas(scene) == 1
    assert scene.told("ada", "Approve", option="stop", digest=digest) == (True, "approved stop (2 of 2)")
    scene.until("Contained")
    assert replicas(scene) == 0
    assert scene.option("stop", "Executed", "Helped")["under"] == "approved by ben, ada"


@row
def approvals_are_void_when_the_user_has_rolled_forward_in_between(scene: Scene) -> None:
    two_versions(scene)
    scene.guard(MILD, containment=[roll_back(**by_people(2))])
    digest = scene.asks("previous")
    assert scene.told("ben", "Approve", option="previous", digest=digest)[0]
    scene.roll("v3")
    record = scene.wait(lambda: new_question(scene, digest), "the question anew")
    assert record["approvals"] == []
    told = [line["what"] for line in scene.status()["timeline"]]
    assert any("what would be done has changed, approvals are void" in line for line in told)
    late = scene.told("ada", "Approve", option="previous", digest=digest)
    assert late == (False, f"what would be done has changed: look again, and use the digest {record['digest']}")
    for user in ("ben", "ada"):
        assert scene.told(user, "Approve", option="previous", digest=record["digest"])[0]
    scene.until("Contained")
    assert scene.version() == "v2"


def new_question(scene: Scene, digest: str) -> Any:
    record = scene.status()["containment"][0]
    return {"approvals": [], **record} if record["digest"] != digest else None


@row
def a_rejection_is_final_and_the_next_option_asks_although_it_need_not(scene: Scene) -> None:
    two_versions(scene)
    scene.guard(MILD, containment=[roll_back(**by_people()), scale(1)])
    digest = scene.asks("previous")
    assert scene.told("ada", "Reject", option="previous", digest=digest, reason="v1 leaks memory") == (
        True,
        "rejected previous, for good",
    )
    late = scene.told("ben", "Approve", option="previous", digest=digest)
    assert late == (False, "option previous does not ask for approval: it is Rejected")
    assert scene.told("ben", "Approve", option="stop", digest=scene.asks("stop")) == (True, "approved stop (1 of 1)")
    scene.until("Contained")
    assert (scene.version(), replicas(scene)) == ("v2", 1)


@row
def a_question_that_nobody_answers_expires_and_the_next_option_runs(scene: Scene) -> None:
    two_versions(scene)
    scene.guard(MILD, containment=[roll_back(**by_people(expireAfter="2s")), scale(1)])
    assert scene.option("previous", "Expired")["message"] == "nobody decided: 0 of 1 approvals"
    scene.until("Contained")
    assert (scene.version(), replicas(scene)) == ("v2", 1)


@row
def under_a_standing_authorisation_an_option_runs_by_itself_and_never_counts_as_approved(scene: Scene) -> None:
    scene.runs(replicas=2)
    scene.guard(MILD, containment=[scale(1, **by_people(failSafeAfter="1s"))])
    scene.asks("stop")
    said = "0 of 1 approvals; it will not run by itself: no standing authorisation holds for this option"
    scene.wait(lambda: scene.option("stop", "Asking")["message"] == said, "the reason to wait")
    name = scene.authorise("ben", "stop")
    scene.until("Contained")
    record = scene.option("stop", "Executed", "Helped")
    assert (record["under"], record.get("approvals", [])) == (f"authorisation {name} by ben", [])
    (option,) = scene.fetch("escalationpolicies", "credit")["status"]["options"]
    assert option["authorisedBy"] == "ben"


@row
def an_authorisation_that_expired_or_is_of_something_else_does_not_hold(scene: Scene) -> None:
    scene.runs(replicas=2)
    scene.guard(MILD, containment=[scale(1, **by_people(failSafeAfter="1s"))])
    scene.asks("stop")
    scene.authorise("ben", "stop", expireTime="2020-01-01T00:00:00Z")
    scene.authorise("ben", "stop", digest="sha256:" + "0" * 64)
    scene.authorise("ben", "stop", policyRef={"name": "credit", "uid": "an-earlier-policy-of-that-name"})
    scene.wait(lambda: scene.status()["containment"][0].get("failSafeTime"), "the time of the fail-safe")
    assert scene.told("ada", "Acknowledge")[0], "all of them were weighed by then"
    assert scene.told("ada", "Hold", reason="to have it weighed once more")[0]
    assert scene.told("ada", "Resume")[0]
    assert scene.option("stop", "Asking")
    assert replicas(scene) == 2
    (option,) = scene.fetch("escalationpolicies", "credit")["status"]["options"]
    assert "authorisedBy" not in option


# --- other workloads


def a_stateful_set(scene: Scene, version: str, command: list[str]) -> dict[str, Any]:
    """Two pods, one after the other, of a process that does nothing, or that ends at once and is never ready."""
    made = model_deployment("credit", scene.namespace, replicas=2)
    env = [{"name": "MODEL_VERSION", "value": version}]
    made["spec"]["template"]["spec"]["containers"] = [{"name": "model", "image": IMAGE, "command": command, "env": env}]
    return made | {"kind": "StatefulSet", "spec": made["spec"] | {"serviceName": "credit"}}


@row
def a_stateful_set_whose_bad_pods_are_never_ready_is_rolled_back_and_follows(scene: Scene) -> None:
    where = f"/apis/apps/v1/namespaces/{scene.namespace}/statefulsets"

    def live() -> Any:
        return scene.cluster.api("GET", f"{where}/credit")

    def ready() -> bool:
        return bool(live().get("status", {}).get("readyReplicas") == 2)

    scene.cluster.api("POST", where, a_stateful_set(scene, "v1", ["sleep", "3600"]))
    scene.wait(ready, "two pods of v1")
    bad = a_stateful_set(scene, "v2", ["false"])["spec"]["template"]
    scene.cluster.api("PATCH", f"{where}/credit", {"spec": {"template": bad}})
    scene.wait(lambda: not ready() and live()["status"].get("updatedReplicas"), "a pod of v2 that is not ready")

    target = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "credit"}
    scene.guard(MILD, models=[{"name": "credit", "target": target}], containment=[roll_back()])
    contained = scene.until("Contained")

    assert "StatefulSet/credit" in contained["status"]["containment"][0]["summary"]
    env = live()["spec"]["template"]["spec"]["containers"][0]["env"]
    assert env[0]["value"] == "v1", fact(contained, "Contained")
    assert contained["status"]["containment"][0]["attempt"] == 1
    scene.wait(ready, "two pods of v1 again")


@row
def a_rollout_is_paused_half_way_until_people_have_agreed_to_go_back(scene: Scene) -> None:
    scene.runs("v1", replicas=2, strategy={"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}})
    scene.stalls("v2")
    pause = {"name": "hold", "type": "Pause", "verifyWithin": "3s"}
    scene.guard(MILD, containment=[pause, roll_back(**by_people())])

    digest = scene.asks("previous")
    held = scene.deployment()
    records = {one["name"]: one for one in scene.status()["containment"]}
    assert (records["hold"]["state"], records["hold"]["under"]) == ("DidNotHelp", "automatic")
    assert (held["spec"].get("paused"), held["status"]["readyReplicas"]) == (True, 2)
    assert records["previous"]["summary"].endswith("and resume it (spec.paused unset)")

    assert scene.told("ben", "Approve", option="previous", digest=digest)[0]
    scene.until("Contained")
    back = scene.deployment()
    assert (scene.version(), back["spec"].get("paused")) == ("v1", None)
    scene.rolled_out()


@row
def a_schedule_is_suspended_until_somebody_undoes_it(scene: Scene) -> None:
    pods = {"restartPolicy": "Never", "containers": [{"name": "batch", "image": IMAGE, "command": ["true"]}]}
    job = {"template": {"spec": pods}}
    body = {"metadata": {"name": "scores"}, "spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": job}}}
    scene.post("/apis/batch/v1", "cronjobs", body | {"apiVersion": "batch/v1", "kind": "CronJob"})
    target = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "scores"}
    scene.guard(MILD, models=[{"name": "credit", "target": target}], containment=[{"name": "hold", "type": "Pause"}])
    scene.until("Contained")
    where = f"/apis/batch/v1/namespaces/{scene.namespace}/cronjobs/scores"
    assert scene.cluster.api("GET", where)["spec"]["suspend"] is True

    (record,) = scene.status()["containment"]
    assert (record["under"], record["to"]) == ("automatic", "spec.suspend true")
    assert scene.told("ben", "Undo", option="hold", digest=record["digest"], reason="the data are right again")[0]
    scene.cluster.wait(lambda: not scene.cluster.api("GET", where)["spec"]["suspend"], 30, "its schedule")


# --- brakes


@row
def on_hold_an_approved_option_waits_until_somebody_resumes(scene: Scene) -> None:
    scene.runs(replicas=2)
    scene.guard(MILD, containment=[scale(1, **by_people())])
    digest = scene.asks("stop")
    assert scene.told("ada", "Hold", reason="the auditors look") == (True, "automation is on hold")
    assert scene.told("ben", "Approve", option="stop", digest=digest)[0]
    held = scene.until("Contained", "False", reason="Held")
    assert fact(held, "Contained")[2] == "stop: on hold by ada: the auditors look"
    assert replicas(scene) == 2
    assert scene.told("eve", "Resume") == (True, "automation goes on")
    scene.until("Contained")
    assert replicas(scene) == 1


@row
def the_label_on_the_namespace_holds_everything_until_it_is_gone(scene: Scene) -> None:
    where = f"/api/v1/namespaces/{scene.namespace}"
    scene.cluster.api("PATCH", where, {"metadata": {"labels": {"tocsin.dev/hold": "migration"}}})
    scene.runs(replicas=2)
    scene.guard(MILD, containment=[scale(1)])
    held = scene.until("Contained", "False", reason="Held")
    assert fact(held, "Contained")[2] == "the namespace is on hold: migration"
    assert scene.told("ada", "Acknowledge")[0]
    assert replicas(scene) == 2
    scene.cluster.api("PATCH", where, {"metadata": {"labels": {"tocsin.dev/hold": None}}})
    scene.until("Contained")
    assert replicas(scene) == 1


@row
def in_a_freeze_nothing_starts_and_when_it_is_over_the_incident_goes_on_by_itself(scene: Scene) -> None:
    policy = f"/apis/{API}/namespaces/{scene.namespace}/escalationpolicies/credit"
    began = datetime.now(UTC)  # noqa: TID251 - the operator goes by the real clock
    freeze = {"name": "move", "from": format_time(began), "reason": "the platform moves"}
    long = freeze | {"until": format_time(began + timedelta(hours=1))}
    scene.runs(replicas=2)
    scene.guard(MILD, containment=[scale(1)], freezes=[long])
    held = scene.until("Contained", "False", reason="Held")
    assert fact(held, "Contained")[2] == f"freeze move until {long['until']}: the platform moves"
    assert scene.told("ada", "Acknowledge")[0]
    assert replicas(scene) == 2
    until = datetime.now(UTC) + timedelta(seconds=5)  # noqa: TID251 - long enough to be read before it is over
    short = freeze | {"until": format_time(until)}
    scene.cluster.api("PATCH", policy, {"spec": {"freezes": [short]}})
    done = scene.until("Contained")["status"]["containment"][0]
    assert parse_time(done["executedTime"]) >= parse_time(short["until"])
    assert replicas(scene) == 1


@row
def below_its_floor_a_person_takes_the_model_whatever_the_option_says(scene: Scene) -> None:
    scene.runs(replicas=2)
    (model,) = policy_spec("credit")["models"]
    scene.guard(MILD, models=[model | {"floor": {"minAvailable": 2}}], containment=[scale(1)])
    asked = scene.option("stop", "Asking")
    why = "it would leave 1 replica, below the floor of 2: only a person may approve it"
    assert (asked["needs"], asked["notes"][-1], asked["message"]) == (1, why, "0 of 1 approvals")
    assert replicas(scene) == 2
    assert scene.told("ben", "Approve", option="stop", digest=asked["digest"])[0]
    scene.until("Contained")
    assert replicas(scene) == 1


@row
def past_the_budget_of_the_namespace_the_next_model_asks_people(scene: Scene) -> None:
    names = ("credit", "debit")
    for name in names:
        scene.runs(name=name, replicas=2)
    target = {"apiVersion": "apps/v1", "kind": "Deployment"}
    models = [{"name": name, "target": target | {"name": name}} for name in names]
    scene.guard(f"{MILD} or {constant(0.85, 'debit')}", models=models, containment=[scale(1)])

    def settled() -> Any:
        found = {one["spec"]["model"]: first_option(one) for one in scene.incidents()}
        states = sorted(record.get("state", "") for record in found.values())
        return found if states == ["Asking", "Executed"] else None

    found = scene.wait(settled, "one contained and one that asks")
    (asking,) = [name for name, record in found.items() if record["state"] == "Asking"]
    assert found[asking]["needs"] == 1
    assert "the budget of this namespace is used up (1 within 1h): a person must look first" in found[asking]["notes"]
    assert sorted(replicas(scene, name) for name in names) == [1, 2]
    assert replicas(scene, asking) == 2


def first_option(incident: Any) -> Any:
    return (incident.get("status", {}).get("containment") or [{}])[0]


# --- what happens to it afterwards


@row
def an_autoscaler_is_pinned_before_the_model_is_scaled(scene: Scene) -> None:
    scene.runs(replicas=3)
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "credit"}
    metric = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
    }
    spec = {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 5, "metrics": [metric]}
    scene.post("/apis/autoscaling/v2", "horizontalpodautoscalers", {"metadata": {"name": "credit"}, "spec": spec})
    scene.guard(MILD, containment=[scale(1)])
    scene.until("Contained")
    where = f"/apis/autoscaling/v2/namespaces/{scene.namespace}/horizontalpodautoscalers/credit"
    pinned = scene.cluster.api("GET", where)["spec"]
    assert (pinned["minReplicas"], pinned["maxReplicas"], replicas(scene)) == (1, 1, 1)
    record = scene.option("stop", "Executed", "Helped")
    assert "after pinning HorizontalPodAutoscaler/credit" in record["summary"]
    assert "HorizontalPodAutoscaler/credit stays pinned until somebody restores it" in record["notes"]


@row
def what_a_person_reverts_is_told_and_the_next_option_asks(scene: Scene) -> None:
    scene.runs(replicas=2)
    scene.guard(MILD, containment=[scale(1), scale(0, "off")])
    scene.until("Contained")
    scene.change("deployments/credit", {"spec": {"replicas": 2}})
    message = scene.option("stop", "Reverted")["message"]
    assert message == "somebody or something changed the target: it is at 2, not at 1"
    assert scene.option("off", "Asking")["needs"] >= 1
    scene.until("Contained", "False")
    scene.wait(lambda: [one for one in scene.pages("owners") if "Reverted" in one["cause"]], "the notice")
    assert replicas(scene) == 2


@row
def what_did_not_help_is_followed_by_the_next_option_and_a_contained_revision_is_never_chosen_again(
    scene: Scene,
) -> None:
    two_versions(scene)
    options = [roll_back(verifyWithin="2s"), roll_back("again"), scale(1)]
    scene.guard(MILD, containment=options)
    assert scene.option("previous", "DidNotHelp")["message"].startswith("it did not help: accuracy: 0.85")
    assert scene.version() == "v1"
    refused = scene.option("again", "Refused")["message"]
    assert refused.startswith("NoEarlierRevision: ")
    assert "besides the present one 1 are kept, 1 of them contained by an incident" in refused
    digest = scene.asks("stop")
    assert scene.status()["severity"] == "SEV2", "a containment that did not help makes it worse"
    assert scene.told("ben", "Approve", option="stop", digest=digest)[0]
    scene.until("Contained")
    assert (scene.version(), replicas(scene)) == ("v1", 1)


@row
def without_prometheus_it_cannot_be_told_whether_it_helped_and_nothing_worse_is_begun(scene: Scene) -> None:
    scene.runs(replicas=2)
    options = [scale(1, **by_people(), verifyWithin="3s"), scale(0, "off")]
    scene.guard(MILD, prometheus="detour", containment=options)
    digest = scene.asks("stop")
    Detour.closed = True
    assert scene.told("ben", "Approve", option="stop", digest=digest)[0]
    record = scene.option("stop", "CannotTell")
    assert record["message"].startswith("it cannot be told yet, a person must look: accuracy: ")
    scene.until("Contained", reason="CannotTell")
    scene.wait(lambda: [one for one in scene.pages("owners") if "CannotTell" in one["cause"]], "the notice")
    assert [one["name"] for one in scene.status()["containment"]] == ["stop"]
    assert replicas(scene) == 1


@row
def a_breach_soon_after_it_was_resolved_is_the_next_episode_of_the_same_incident(scene: Scene) -> None:
    scene.serve("v1", GOOD)
    scene.guard(ACCURACY, signals=[signal(ACCURACY, recoverAfter="1s")], containment=[], reopenWindow="10m")
    scene.says("Measured", "HasData")
    scene.quality(accuracy=0.85)
    first = scene.until("Firing")["metadata"]["uid"]
    scene.wait(lambda: scene.pages("owners"), "the first page")
    assert scene.told("ada", "Acknowledge")[0]
    scene.quality(accuracy=GOOD)
    scene.until("Recovered")
    assert scene.told("ada", "Resolve") == (True, "resolved")
    scene.quality(accuracy=BAD)
    incident = scene.until("Firing")
    assert (incident["metadata"]["uid"], incident["status"]["episode"]) == (first, 2)
    assert fact(incident, "Resolved")[0] == "False"
    assert [one["type"] for one in incident["status"]["decisions"]] == ["Acknowledge", "Resolve"]
    scene.until("Acknowledged", "False")

    def told_again() -> bool:
        return any(f"{first}/2/notify/owners.owners/" in one["key"] for one in scene.pages("owners"))

    scene.wait(told_again, "the page of the second episode")
    assert QUIET_TIERS[0]["name"] == incident["status"]["tiers"][0]["name"]


@pytest.mark.parametrize("name", row.names)
def test_containment_modes(name: str, outcomes: dict[str, Future[None]]) -> None:
    outcomes[name].result()
