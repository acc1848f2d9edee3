"""When a hundred models breach at once, is each of their people paged once, and does every record say so?"""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import ExitStack
from typing import Any

import pytest

from tests.cluster.access import Access
from tests.e2e.rows import PATIENT_LEASE, QUIET_TIERS, Rows, Scene, constant, fact, signal
from tests.e2e.stage import LESSON, OperatorProcess, Stage

row = Rows()
SHARED = constant(0.5, "all")
"""One series, which every model of the policy takes for its own."""
STORM = 100
"""So many models has a policy at most."""


def settings(stack: ExitStack, cluster: Access) -> dict[str, Any]:
    """As usual."""
    return {"leaseDuration": PATIENT_LEASE}


def crowd(count: int, prefix: str) -> list[dict[str, Any]]:
    return [{"name": f"{prefix}-{number}", "match": {"model": "all"}} for number in range(count)]


def in_a_storm(count: int, prefix: str, **changes: Any) -> dict[str, Any]:
    """What replaces the usual spec: so many models, all of which breach."""
    return {"models": crowd(count, prefix), "containment": [], "signals": [signal(SHARED)]} | changes


def lines(incident: Any) -> list[Any]:
    """The notices in an incident's ledger."""
    return [one for one in incident.get("status", {}).get("effects", []) if "causes" in one]


def all_told(incidents: list[Any], count: int) -> bool:
    ledgers = [lines(one) for one in incidents]
    return len(ledgers) == count and all(some and all(one["state"] == "Done" for one in some) for some in ledgers)


def everybody_of(scene: Stage) -> list[Any]:
    """The incidents of every model of the namespace."""
    return scene.cluster.items("incidents.tocsin.dev", scene.namespace)


@row
def two_hundred_models_of_two_policies_page_each_person_once(scene: Scene) -> None:
    scene.guard(name="loans", **in_a_storm(STORM, "loan"))
    scene.guard(name="cards", **in_a_storm(STORM, "card"))
    scene.wait(lambda: all_told(scene.incidents(), 2 * STORM), "two hundred incidents whose people know", 240)

    incidents = scene.incidents()
    assert {one["status"]["phase"] for one in incidents} == {"Open"}
    assert [len(scene.pages(role)) for role in ("owners", "risk", "board")] == [1, 1, 0]
    for page in scene.pages():
        assert f"All that is open: kubectl tocsin status -n {scene.namespace}" in page["text"]
    sent = {page["key"]: page["incident"] for page in scene.pages()}
    for incident in incidents:
        assert [one["causes"] for one in lines(incident)] == [["TierEntered"], ["TierEntered"]]
        for one in lines(incident):
            if one["key"] in sent:
                assert (one["to"], "into" in one) in {("owners/ada", False), ("risk/ben", False)}
            else:
                assert one["into"] in sent.values()
                assert "to" not in one


@row
def who_was_not_paged_hears_of_no_end_and_what_comes_later_is_paged_when_the_first_is_over(scene: Scene) -> None:
    quiet = [QUIET_TIERS[0], QUIET_TIERS[1] | {"severity": "SEV1"}, QUIET_TIERS[2]]
    scene.guard(**in_a_storm(2, "loan", tiers=quiet))
    scene.wait(lambda: all_told(scene.incidents(), 2), "both are told of")
    (page,) = scene.pages("owners")
    first = next(one for one in scene.incidents() if one["metadata"]["name"] == page["incident"])
    second = next(one for one in scene.incidents() if one["metadata"]["name"] != page["incident"])

    for incident in (second, first):
        reference = {"name": incident["metadata"]["name"], "uid": incident["metadata"]["uid"]}
        acts = {"type": "Resolve", "incidentRef": reference, "reason": "a bad feed; it is mended", "postMortem": LESSON}
        body = {"apiVersion": "tocsin.dev/v1alpha1", "kind": "Decision", "spec": acts}
        scene.create("ada", body | {"metadata": {"generateName": "resolve-", "namespace": scene.namespace}})
    scene.wait(lambda: len(scene.pages("owners")) == 2, "the end of the first")
    scene.wait(lambda: all_told(scene.incidents(), 2), "both ends are on record")
    assert [(one["incident"], one["cause"]) for one in scene.pages("owners")] == [
        (page["incident"], "TierEntered"),
        (page["incident"], "Resolved"),
    ]
    scene.guard(**in_a_storm(1, "later", tiers=quiet), name="later")
    scene.wait(lambda: len(scene.pages("owners")) == 3, "the page for what came later")


@row
def models_of_two_namespaces_that_fail_of_one_cause_have_a_parent_which_alone_pages(scene: Scene) -> None:
    other = Scene.made(scene.cluster, scene.people)
    cause = {"upstream": [f"store-of-{scene.namespace}"]}
    tiers = [QUIET_TIERS[0] | {"acknowledgeWithin": "1h"}, *QUIET_TIERS[1:]]
    mildly = {"containment": [], "signals": [signal(constant(0.85, "all"))], "tiers": tiers}
    try:
        scene.guard(models=[one | cause for one in crowd(2, "loan")], **mildly)
        scene.wait(lambda: all_told(scene.incidents(), 2), "two incidents, which are chance")
        assert [one["cause"] for one in scene.pages()] == ["TierEntered"]

        other.guard(models=[one | cause for one in crowd(1, "card")], **mildly)
        (child,) = other.wait(
            lambda: [one for one in other.incidents() if "parent" in one.get("status", {})], "a child"
        )
        parent = min(scene.incidents(), key=lambda one: (one["status"]["openedTime"], one["metadata"]["name"]))
        name = f"{scene.namespace}/{parent['metadata']['name']}"
        assert (child["status"]["parent"], child["status"]["upstream"]) == (name, cause["upstream"][0])
        assert {one["into"] for one in lines(child)} == {name}
        assert fact(child, "Acknowledged")[1] == "ParentPaged"

        def first() -> Any:
            return scene.fetch("incidents", parent["metadata"]["name"])

        scene.wait(lambda: first()["status"].get("children") == 2, "a parent of two")
        assert first()["status"]["severity"] == "SEV2"
        scene.wait(lambda: scene.pages("risk"), "the next tier of the parent")
        wide = other.cluster.kubectl("get", "incidents", "-n", other.namespace, "-o", "wide")
        assert name in wide
        assert other.pages() == []

        reference = {"name": parent["metadata"]["name"], "uid": parent["metadata"]["uid"]}
        acts = {"type": "Resolve", "incidentRef": reference, "reason": "ours is mended", "postMortem": LESSON}
        body = {"apiVersion": "tocsin.dev/v1alpha1", "kind": "Decision", "spec": acts}
        scene.create("ada", body | {"metadata": {"generateName": "resolve-", "namespace": scene.namespace}})
        (page,) = other.wait(lambda: other.pages(), "the page of the child that is on its own")
        assert (page["cause"], page["responder"]) == ("OnItsOwn", "owners")
        alone = other.incidents()[0]["status"]
        assert "parent" not in alone
        assert alone["tiers"][0]["acknowledgeDeadline"] > child["status"]["tiers"][0]["acknowledgeDeadline"]
    finally:
        scene.cluster.delete_namespace(other.namespace)


@pytest.mark.parametrize("name", row.names)
def test_storms(name: str, outcomes: dict[str, Future[None]]) -> None:
    outcomes[name].result()


def test_a_leader_that_is_killed_in_a_storm_is_followed_by_one_that_pages_nobody_again(
    stage: Stage, operator: OperatorProcess
) -> None:
    count, tiers = 60, [QUIET_TIERS[0]]
    stage.policy(**in_a_storm(count, "loan", tiers=tiers))

    def recorded() -> bool:
        return any("to" in line for one in everybody_of(stage) for line in lines(one))

    stage.cluster.wait(recorded, 90, "the page on record", every=0.1)
    operator.kill()
    operator.start()
    stage.cluster.wait(lambda: all_told(everybody_of(stage), count), 120, "incidents whose people know")

    assert [page["cause"] for page in stage.pages("owners")] == ["TierEntered"]
