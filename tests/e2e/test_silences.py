"""Is what somebody silenced kept from people and from nobody else; and do they hear of it once when that is over?"""

from __future__ import annotations

import json
from concurrent.futures import Future
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest

from tests.cluster.access import Access
from tests.e2e.rows import MILD, PATIENT_LEASE, QUIET_TIERS, Rows, Scene, fact, signal, trusted
from tests.e2e.stage import ACCURACY, API, GOOD, Installed, Stage
from tocsin.api.quantities import format_time
from tocsin.clock import SystemClock

row = Rows()
HARMLESS = {"regulatory": 0, "reputation": 0}
"""A risk at which a slight breach stays SEV3, whatever deadlines are missed."""
FRAUD = {"field": "Model", "values": ["credit"]}
DIGEST = "sha256:" + "a" * 64


def settings(stack: ExitStack, cluster: Access) -> dict[str, Any]:
    """As usual."""
    return {"leaseDuration": PATIENT_LEASE}


def a_silence(namespace: str, *matchers: Any, name: str = "quiet", begins: float = 0) -> Any:
    """By ada, of an hour that begins in so many hours."""
    begin = SystemClock().now().replace(microsecond=0) + timedelta(hours=begins)
    spec: dict[str, Any] = {"from": format_time(begin), "until": format_time(begin + timedelta(hours=1))}
    spec |= {"matchers": list(matchers)} if matchers else {"everything": True}
    spec |= {"reason": "maintenance", "by": "ada"}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": API, "kind": "Silence", "metadata": metadata, "spec": spec}


def silence(scene: Scene, *matchers: Any, **more: Any) -> None:
    assert "created" in scene.create("ada", a_silence(scene.namespace, *matchers, **more))


def end(scene: Stage) -> None:
    """As who may respond does it."""
    now = {"spec": {"until": format_time(SystemClock().now().replace(microsecond=0))}}
    patch = ["patch", "silence", "quiet", "-n", scene.namespace, "--type=merge", "-p", json.dumps(now)]
    scene.cluster.kubectl(*patch, kubeconfig=scene.people["ada"])


def tiers(**first: Any) -> list[Any]:
    """The second tier is entered only when the first misses a deadline."""
    return [QUIET_TIERS[0] | first, QUIET_TIERS[1] | {"severity": "SEV1"}, QUIET_TIERS[2]]


def guard(scene: Scene, query: str = MILD, **changes: Any) -> None:
    scene.guard(query, models=[{"name": "credit"}], containment=[], risk=HARMLESS, **changes)


def held(scene: Scene) -> list[Any]:
    lines = scene.status().get("effects", [])
    return [one for one in lines if one["state"] == "Silenced" and "doneTime" not in one]


@row
def a_silenced_incident_pages_nobody_escalates_and_is_told_once_when_it_is_over(scene: Scene) -> None:
    silence(scene, FRAUD)
    guard(scene, tiers=tiers(acknowledgeWithin="3s"))
    incident = scene.until("tier.tocsin.dev/compliance")
    scene.wait(lambda: len(held(scene)) == 2, "two notices that are held back")
    assert incident["status"]["severity"] == "SEV3"
    assert scene.pages() == []
    assert scene.status()["silenced"]["by"] == "ada"
    assert fact(scene.incident(), "Silenced")[:2] == ("True", "Silenced")
    assert fact(scene.incident(), "Notified")[:2] == ("False", "HeldBack")
    told = [line["what"] for line in scene.status()["timeline"] if line["what"].startswith("silenced by ada until ")]
    assert len(told) == 1

    end(scene)
    for role in ("owners", "risk"):
        scene.wait(lambda role=role: scene.pages(role), f"the page of {role}")
    scene.until("Silenced", "False", reason="Over")
    assert scene.told("ada", "Acknowledge")[0]
    scene.until("Notified", reason="Delivered")
    assert [(one["responder"], one["cause"]) for one in sorted(scene.pages(), key=lambda one: one["responder"])] == [
        ("owners", "TierEntered"),
        ("risk", "TierEntered"),
    ]
    assert "held back by silence/quiet" in scene.pages("owners")[0]["text"]


@row
def what_is_silenced_pages_at_once_when_it_becomes_sev2(scene: Scene) -> None:
    scene.serve("v1", GOOD)
    silence(scene)
    scene.guard(ACCURACY, signals=[signal(ACCURACY)], containment=[])
    scene.says("Measured", "HasData")
    scene.quality(accuracy=0.85)
    scene.until("Silenced")
    scene.wait(lambda: held(scene), "a notice that is held back")
    assert scene.pages() == []
    scene.quality(accuracy=0.5)
    scene.wait(lambda: scene.pages("owners") and scene.pages("risk"), "the pages")
    assert scene.status()["severity"] == "SEV2"
    assert held(scene) == []
    assert fact(scene.incident(), "Silenced")[:2] == ("False", "Over")


@row
def a_silence_that_is_deleted_is_over(scene: Scene) -> None:
    silence(scene)
    guard(scene)
    scene.wait(lambda: held(scene), "a notice that is held back")
    scene.cluster.api("DELETE", f"/apis/{API}/namespaces/{scene.namespace}/silences/quiet")
    scene.wait(lambda: scene.pages("owners"), "the page")


@row
def a_silence_of_another_model_or_role_or_of_later_holds_nothing_back(scene: Scene) -> None:
    silence(scene, {"field": "Model", "values": ["fraud"]})
    silence(scene, {"field": "Responder", "values": ["risk"]}, name="other")
    silence(scene, name="later", begins=1)
    guard(scene)
    scene.wait(lambda: scene.pages("owners"), "the page")
    assert held(scene) == []
    assert "silenced" not in scene.status()


@row
def whoever_was_paged_before_hears_that_it_is_resolved(scene: Scene) -> None:
    guard(scene)
    scene.wait(lambda: scene.pages("owners"), "the page")
    silence(scene)
    scene.until("Silenced")
    assert scene.told("ada", "Resolve", reason="a test")[0]
    scene.wait(lambda: [one["cause"] for one in scene.pages("owners")] == ["TierEntered", "Resolved"], "the end of it")


@row
def a_model_that_goes_to_and_fro_is_told_of_once(scene: Scene) -> None:
    scene.serve("v1", GOOD)
    scene.guard(ACCURACY, signals=[signal(ACCURACY, recoverAfter="1s")], containment=[], risk=HARMLESS)
    scene.says("Measured", "HasData")
    swing(scene, 1)
    swing(scene, 2)
    scene.until("Flapping", reason="Flapping")
    told = ["TierEntered", "Recovered", "TierEntered", "Recovered Flapping"]
    scene.wait(lambda: [one["cause"] for one in scene.pages("owners")] == told, "the notice that it flaps")
    swing(scene, 3)
    scene.wait(lambda: len(held(scene)) == 2, "two notices that are held back")
    assert [one["cause"] for one in scene.pages("owners")] == told
    assert {one["heldBy"] for one in held(scene)} == {"Flapping"}
    assert len(scene.status()["swings"]) == 5
    assert scene.status()["severity"] == "SEV4"


def swing(scene: Scene, episode: int) -> None:
    """A breach, and a recovery."""
    scene.quality(accuracy=0.85)
    scene.wait(
        lambda: scene.status().get("episode") == episode and fact(scene.incident(), "Firing")[0] == "True",
        f"episode {episode}",
    )
    scene.quality(accuracy=GOOD)
    scene.until("Recovered")


@row
def a_privileged_note_stands_on_record_by_its_digest(scene: Scene) -> None:
    guard(scene)
    scene.until("tier.tocsin.dev/owners")
    assert scene.told("ada", "Resolve", reason="on advice", note={"name": "note-1", "digest": DIGEST})[0]
    (record,) = scene.status()["decisions"]
    assert (record["note"], record["reason"]) == (DIGEST, "on advice")


@pytest.mark.parametrize("name", row.names)
def test_silences(name: str, outcomes: dict[str, Future[None]]) -> None:
    outcomes[name].result()


def test_a_silence_that_is_over_while_the_operator_is_down_is_told_once(
    cluster: Access, installed: Installed, stage: Stage
) -> None:
    operator = installed.operator("silent").start()
    try:
        cluster.wait(lambda: trusted(cluster), 60, "people who are vouched for")
        body = json.dumps(a_silence(stage.namespace))
        cluster.kubectl("create", "-f", "-", input=body, kubeconfig=stage.people["ada"])
        stage.policy(
            signals=[signal(MILD)], tiers=QUIET_TIERS, containment=[], risk=HARMLESS, models=[{"name": "credit"}]
        )

        def lines() -> Any:
            return (stage.incident() or {}).get("status", {}).get("effects", [])

        cluster.wait(lines, 60, "the ledger")
        assert [one["state"] for one in lines()] == ["Silenced"]
        assert stage.pages() == []
        operator.kill()
        end(stage)
        operator.start()
        cluster.wait(lambda: stage.pages("owners"), 60, "the page")
        cluster.wait(lambda: lines()[0]["state"] == "Done", 60, "its outcome")
        operator.kill()
        operator.start()
        stage.decide("ada", "Acknowledge")
        stage.until("Acknowledged")
        (page,) = stage.pages()
        assert (page["cause"], page["key"]) == ("TierEntered", lines()[0]["key"])
    finally:
        operator.stop()
        print(operator.log)  # noqa: T201 - pytest shows it with a failure
