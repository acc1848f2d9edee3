"""A person takes a containment back: what was there is back, people hear of it, and automation waits for them."""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import ExitStack
from typing import Any

import pytest

from tests.cluster.access import Access
from tests.e2e.rows import MILD, PATIENT_LEASE, Rows, Scene, fact, roll_back, scale, signal
from tests.e2e.stage import ACCURACY, GOOD

row = Rows()
REASON = "the other one is worse"


def settings(_: ExitStack, cluster: Access) -> dict[str, Any]:
    return {"prometheus": {"default": {"url": cluster.prometheus_service_url}}, "leaseDuration": PATIENT_LEASE}


def undone(scene: Scene, option: str, user: str = "ben") -> tuple[bool, str]:
    digest = next(one["digest"] for one in scene.status()["containment"] if one["name"] == option)
    return scene.told(user, "Undo", option=option, digest=digest, reason=REASON)


def replicas(scene: Scene) -> int:
    return int(scene.deployment()["spec"]["replicas"])


@row
def a_rollback_is_undone_and_nothing_is_contained_again_until_somebody_says_so(scene: Scene) -> None:
    scene.runs("v1", replicas=2)
    scene.roll("v2")
    scene.guard(MILD, containment=[roll_back(), scale(1)])
    scene.until("Contained")
    assert scene.version() == "v1"

    counted, message = undone(scene, "previous")
    assert (counted, message[:59]) == (True, "automation is on hold until Resume; undoing previous: bring")
    record = scene.option("previous", "Undone")
    assert record["message"].startswith(f"undone by ben: {REASON}; read back: Deployment/credit has the template ")
    assert scene.version() == "v2"
    scene.wait(lambda: scene.option("previous", "Undone")["undo"].get("settledTime"), "the workload to follow")
    marks = scene.deployment()["metadata"]["annotations"]
    assert ("tocsin.dev/contained-by" in marks, "/1/undo/previous/1" in marks["tocsin.dev/undone-by"]) == (False, True)
    status = scene.status()
    assert (status["held"]["by"], status["held"]["reason"]) == ("ben", f"undo of previous: {REASON}")
    assert fact(scene.incident(), "Contained")[:2] == ("False", "Undone")
    page = scene.wait(lambda: [one for one in scene.pages("owners") if "Undone" in one["cause"]], "the notice")
    assert f"undone by ben: {REASON}" in page[0]["text"]
    assert [one["name"] for one in status["containment"]] == ["previous"]

    assert scene.told("ben", "Resume")[0]
    assert scene.option("stop", "Asking")["needs"] == 1
    assert (scene.version(), replicas(scene)) == ("v2", 2)


@row
def a_model_that_has_recovered_gets_its_replicas_back_before_it_is_resolved_and_not_after(scene: Scene) -> None:
    scene.deploy("v1", GOOD, replicas=2)
    scene.guard(ACCURACY, signals=[signal(ACCURACY, recoverAfter="1s")], containment=[scale(1)])
    scene.says("Measured", "HasData")
    scene.quality(accuracy=0.85)
    scene.until("Contained")
    assert replicas(scene) == 1
    scene.wait(lambda: scene.quality(accuracy=GOOD) or fact(scene.incident(), "Recovered")[0] == "True", "recovery")

    assert undone(scene, "stop")[0]
    scene.option("stop", "Undone")
    assert replicas(scene) == 2
    assert scene.told("ada", "Resolve", reason="v1 is fixed") == (True, "resolved")
    assert undone(scene, "stop") == (False, "the incident is resolved")


@row
def no_brake_on_automation_stops_a_person(scene: Scene) -> None:
    scene.runs(replicas=2)
    scene.guard(MILD, containment=[scale(1)])
    scene.until("Contained")
    assert scene.told("ada", "Hold", reason="look first")[0]
    scene.change("escalationpolicies/credit", {"spec": {"mode": "Observe"}})
    label = {"metadata": {"labels": {"tocsin.dev/hold": "freeze"}}}
    scene.cluster.api("PATCH", f"/api/v1/namespaces/{scene.namespace}", label)
    scene.wait(lambda: "freeze" in str(scene.cluster.get("namespace", scene.namespace)), "the label")

    assert undone(scene, "stop")[0]
    scene.option("stop", "Undone")
    assert replicas(scene) == 2


@row
def what_somebody_has_changed_is_not_undone_and_the_answer_says_how_to(scene: Scene) -> None:
    scene.runs("v1", replicas=2)
    scene.roll("v2")
    scene.guard(MILD, containment=[roll_back(verifyWithin="1s")])
    scene.option("previous", "DidNotHelp")
    scene.roll("v3")

    counted, message = undone(scene, "previous")

    assert not counted
    assert message.startswith("Deployment/credit has another template by now, no longer ")
    assert message.endswith(f"; by hand: kubectl rollout undo deployment/credit -n {scene.namespace} --to-revision=2")
    assert (scene.version(), scene.status().get("held")) == ("v3", None)


@row
def it_takes_a_right_of_its_own(scene: Scene) -> None:
    scene.runs(replicas=2)
    scene.guard(MILD, containment=[scale(1)])
    scene.until("Contained")
    scene.grant("mallory", ["create"], "decisions", "decisions/undo")

    counted, message = undone(scene, "stop", "mallory")

    assert (counted, message[:41]) == (False, "mallory is a member of no Responder that ")
    assert replicas(scene) == 1


@pytest.mark.parametrize("name", row.names)
def test_undo(name: str, outcomes: dict[str, Future[None]]) -> None:
    outcomes[name].result()
