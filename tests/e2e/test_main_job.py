"""A bad model is found, contained and escalated, without anybody's help; and people have the last word."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.access import CommandError
from tests.cluster.workloads import IMAGE
from tests.e2e.stage import BAD, EFFECT, GOOD, OperatorProcess, Stage, policy_spec
from tocsin.api.quantities import parse_duration
from tocsin.decide.signals import EPOCH
from tocsin.decide.workload import bare_template, canonical, sha256


def test_a_bad_rollout_is_found_rolled_back_and_escalated_to_the_last_tier(
    stage: Stage, operator: OperatorProcess, tmp_path: Path
) -> None:
    stage.deploy("v1", GOOD)
    owners, *others = policy_spec(stage.model)["tiers"]
    # A deadline that is missed while it still fires would add to the risk: all is well again long before this one.
    stage.policy(tiers=[owners | {"acknowledgeWithin": "15s"}, *others])
    stage.until_healthy()
    with statuses_as_written(stage, tmp_path / "incidents") as written:
        stage.deploy("v2", BAD)
        incident = stage.until("Contained")
        opened_within_one_evaluation(written())
        kept_what_was_there_with_the_intent(stage, written())
    assert incident["status"]["severity"] == "SEV3"
    assert stage.template_hash() == "v1"
    stage.until("Recovered")
    incident = stage.until("tier.tocsin.dev/executives", seconds=60)

    tiers = incident["status"]["tiers"]
    assert [tier["name"] for tier in tiers] == ["owners", "compliance", "executives"]
    assert [tier.get("missed", []) for tier in tiers[:2]] == [["Acknowledge"], ["Acknowledge"]]
    assert tiers[1]["enteredTime"] >= tiers[0]["acknowledgeDeadline"]
    stage.cluster.wait(lambda: stage.pages("board"), 10, "the last tier's page")
    first = stage.pages("owners")[0]
    assert "0.81" in first["text"]
    assert first["cause"] == "TierEntered"
    assert stage.revision() == 3, "one rollout, one rollback"
    row = stage.cluster.kubectl("get", "incidents", "-n", stage.namespace)
    assert row.splitlines()[0].split()[:6] == ["NAME", "MODEL", "SEV", "TIER", "PHASE", "RISK"]
    assert "credit" in row
    assert "executives" in row
    reads_like_a_report(stage)
    stage.cluster.wait(lambda: "Accepted" in events(stage, "EscalationPolicy"), 10, "an Event on the policy")
    stage.cluster.wait(
        lambda: {"Opened", "Signal", "Severity", "Containment", "Tier", "Recovered"} <= events(stage, "Incident"),
        10,
        "Events on the incident",
    )


def test_the_command_in_a_page_can_be_pasted_by_its_reader(stage: Stage, operator: OperatorProcess) -> None:
    stage.deploy("v1", GOOD)
    stage.policy()
    stage.until_healthy()
    stage.deploy("v2", BAD)
    stage.cluster.wait(lambda: stage.pages("owners"), 30, "a page")

    command = stage.pages("owners")[0]["command"]
    environment = stage.cluster.environment(stage.people["ada"])
    subprocess.run(["sh", "-c", command], env=environment, check=True, capture_output=True)

    stage.until("Acknowledged")
    assert stage.incident()["status"]["tiers"][0]["acknowledgedBy"] == "ada"


def test_people_with_the_right_decide_and_others_are_refused_by_name(stage: Stage, operator: OperatorProcess) -> None:
    stage.deploy("v1", GOOD)
    approval = {"name": "stop", "type": "Scale", "scale": {"replicas": 0}, "approval": {"required": 1}}
    approval["effect"] = EFFECT
    stage.policy(containment=[approval])
    stage.deploy("v2", BAD)
    stage.cluster.wait(lambda: stage.condition("Contained")[1] == "Asking", 30, "a question")
    felt = f"If stop runs, people will experience: {EFFECT['experience']}"
    stage.cluster.wait(
        lambda: any(page["text"].splitlines()[1] == felt for page in stage.pages("owners")), 30, "what people will feel"
    )

    with pytest.raises(CommandError, match="mallory"):
        stage.decide("mallory", "Acknowledge")
    stage.decide("ada", "Acknowledge")
    stage.until("Acknowledged")
    option = stage.incident()["status"]["containment"][0]
    stage.decide("ben", "Approve", option="stop", digest=option["digest"])
    stage.until("Contained")
    assert stage.cluster.get("deployment", stage.model, stage.namespace)["spec"]["replicas"] == 0

    stage.decide("eve", "Escalate", reason="the board should know")
    stage.until("tier.tocsin.dev/compliance")
    stage.decide("ada", "Resolve", reason="the model is switched off")
    resolved = stage.until("Resolved")
    counted = [one["type"] for one in resolved["status"]["decisions"] if one["counted"]]
    assert counted == ["Acknowledge", "Approve", "Escalate", "Resolve"]


# --- what the first test looks at


@contextmanager
def statuses_as_written(stage: Stage, file: Path) -> Iterator[Callable[[], list[Any]]]:
    """Watch the incident of the stage; gives every status that was written so far, the oldest first."""
    command = ["kubectl", "get", "incidents", "-n", stage.namespace, "--watch", "-o", "json"]

    def written() -> list[Any]:
        text, found = file.read_text().lstrip(), []
        while text:
            try:
                one, end = json.JSONDecoder().raw_decode(text)
            except json.JSONDecodeError:
                break
            found.append(one.get("status", {}))
            text = text[end:].lstrip()
        return found

    with file.open("w") as log, subprocess.Popen(command, env=stage.cluster.environment(), stdout=log) as watch:
        try:
            yield written
        finally:
            watch.kill()


def opened_within_one_evaluation(written: list[Any]) -> None:
    """The evaluation that opened it is the first after `for`, or the one after that."""
    first = next(status for status in written if "openedTime" in status)
    rule = policy_spec("credit")["signals"][0]
    every, span = parse_duration(rule["every"]), parse_duration(rule["for"])
    since, opened = (datetime.fromisoformat(time) for time in (first["signals"][0]["since"], first["openedTime"]))
    assert since == EPOCH + (since - EPOCH) // every * every, "a breach begins on the grid"
    evaluated = EPOCH + (opened - EPOCH) // every * every
    assert since + span <= evaluated <= since + span + every


def kept_what_was_there_with_the_intent(stage: Stage, written: list[Any]) -> None:
    """The write that intends the containment is the one that has the snapshot of what it will replace."""
    evidence = next(status for status in written if "snapshot" in status)
    intent = next(status for status in written if intents(status))
    assert evidence is intent
    (intended,) = intents(intent)
    snapshot = evidence["snapshot"]
    assert (intended["state"], intended["intendedTime"]) == ("Intended", snapshot["time"])
    bad = next(one for one in stage.cluster.items("replicasets", stage.namespace) if '"v2"' in json.dumps(one["spec"]))
    assert snapshot["templateDigest"] == sha256(canonical(bare_template(bad)))
    assert snapshot["revision"] == f"2 {bad['metadata']['name']}"
    assert [(one["name"], one["value"]) for one in snapshot["signals"]] == [("accuracy", str(BAD))]


def intents(status: Any) -> list[Any]:
    """The lines of the ledger that are about containment."""
    return [one for one in status.get("effects", []) if "/contain/" in one["key"]]


def reads_like_a_report(stage: Stage) -> None:
    """What `kubectl describe` prints: the numbers that led there, tiers with deadlines, what was done, the story."""
    printed = stage.cluster.kubectl("describe", "incident", "-n", stage.namespace)
    report = " ".join(printed.split())
    facts = [
        "Because: 35 × 0.7: accuracy 0.7 Name: signals Value: 24.5",
        "Because: 30 × 2/4 Name: regulatory Value: 15",
        "Because: 15 × 1/4 Name: reputation Value: 3.75",
        "Risk: 53.25 Severity: SEV3",
        f"State: Helped Summary: roll Deployment/credit back from revision 2 ({IMAGE}) to revision 1 ({IMAGE})",
    ]
    for tier in stage.incident()["status"]["tiers"][:2]:
        deadline, entered = tier["acknowledgeDeadline"], tier["enteredTime"]
        times = f"Acknowledge Deadline: {deadline} Carried: false Entered Time: {entered}"
        facts.append(f"{times} Missed: Acknowledge Name: {tier['name']} Reason: {tier['reason']}")
    assert [fact for fact in facts if fact not in report] == []

    story = [line.split(maxsplit=1)[1] for line in printed.splitlines() if line.lstrip().startswith("What:")]
    assert all(in_order(story, course) for course in COURSES), story


COURSES = (
    (
        "opened",
        "signal accuracy: sustained: 0.81 (model=credit, namespace=",
        "severity SEV3: risk 53.25",
        "snapshot: Deployment/credit ",
        "containment last-healthy: Executing: automatic: roll Deployment/credit back",
        "containment last-healthy: Executed: read back",
        "containment last-healthy: the workload has followed",
        "containment last-healthy: Helped",
        "signal accuracy: recovered: 0.95 (model=credit, namespace=",
        "recovered: every signal is well again",
    ),
    (
        "tier owners entered: severity SEV3",
        "tier owners missed its deadline to acknowledge by ",
        "tier compliance entered: tier owners missed its deadline",
        "tier compliance missed its deadline to acknowledge by ",
        "tier executives entered: tier compliance missed its deadline",
    ),
)
"""How the lines of the timeline begin: the model's course and the people's, which go on beside each other."""


def in_order(story: list[str], course: tuple[str, ...]) -> bool:
    """Whether lines that begin so follow each other, with others in between."""
    lines = iter(story)
    return all(any(line.startswith(beginning) for line in lines) for beginning in course)


def events(stage: Stage, kind: str) -> set[str]:
    """The reasons of the Events about objects of that kind."""
    found = stage.cluster.items("events", stage.namespace)
    return {one["reason"] for one in found if one["involvedObject"]["kind"] == kind}
