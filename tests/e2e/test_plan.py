"""Does ``kubectl tocsin plan`` show, before anybody needs it, what would be written, and write nothing itself?"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.access import Access, CommandError, Unsupported
from tests.cluster.cluster import Cluster
from tests.e2e.stage import API, EFFECT, Stage, policy_spec

REVIEWS = "localsubjectaccessreviews"


@pytest.fixture(autouse=True)
def served(cluster: Access, stage: Stage) -> None:
    """For a moment after our kinds are established they cannot be listed, and no operator has waited for that here."""

    def listed() -> bool:
        try:
            cluster.kubectl("get", "escalationpolicies,incidents,decisions", "-n", stage.namespace)
        except CommandError:
            return False
        return True

    cluster.wait(listed, 30, "lists of our kinds")


def planned(cluster: Access, kubeconfig: Path, *words: str, text: str | None = None) -> tuple[int, str]:
    """The exit code, and what it said."""
    done = subprocess.run(
        [sys.executable, "-c", "from tocsin.cli.main import main; raise SystemExit(main())", "plan", *words],
        env=cluster.environment(kubeconfig),
        input=text or "",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


def deeds_of(cluster: Access, user: str) -> list[tuple[str, str]]:
    """What the audit log says that somebody did: verb and resource, each once."""
    if not isinstance(cluster, Cluster):
        raise Unsupported("the audit log is that of an API server of ours only")
    events = [json.loads(line) for line in cluster.audit_log.read_text().splitlines()]
    mine = [one for one in events if one["user"].get("username") == user and one["stage"] == "ResponseComplete"]
    return sorted({(one["verb"], one["objectRef"]["resource"]) for one in mine})


def resource_versions(stage: Stage) -> list[str]:
    kinds = ("deployments", "replicasets", "escalationpolicies.tocsin.dev")
    found = [one for kind in kinds for one in stage.cluster.items(kind, stage.namespace)]
    return sorted(f"{one['metadata']['uid']}/{one['metadata'].get('generation')}" for one in found)


def option(name: str, replicas: int) -> dict[str, Any]:
    return {"name": name, "type": "Scale", "scale": {"replicas": replicas}, "effect": EFFECT}


def test_what_would_be_written_is_shown_and_nothing_is(cluster: Access, stage: Stage) -> None:
    """An administrator of the namespace may ask for the rights of Tocsin there."""
    stage.deploy("v1", 0.95, replicas=2)
    stage.deploy("v2", 0.95, replicas=2)
    options = [policy_spec("credit")["containment"][0], option("fewer", 1)]
    stage.policy(containment=options)
    user = f"planner-{stage.namespace}"
    stage.person(user, "admin", "tocsin-auditor")
    before = resource_versions(stage)

    code, said = planned(cluster, stage.people[user], "credit", "-n", stage.namespace)

    lines = [line.strip() for line in said.splitlines()]
    assert code == 0, said
    assert "approvals: 1 at SEV1 and SEV2, none at SEV3 and SEV4; at least 1 where a person reported it" in lines
    assert "revision 1 is not marked healthy" in lines
    assert f"undo by hand: kubectl rollout undo deployment/credit -n {stage.namespace} --to-revision=2" in lines
    assert [line for line in lines if line.startswith(("-  ", "+  "))] == [
        "-          value: v2",
        "+          value: v1",
        "-  replicas: 2",
        "+  replicas: 1",
    ]
    assert not [line for line in lines if line.startswith("whether Tocsin may")]
    deeds = deeds_of(cluster, user)
    assert ("create", REVIEWS) in deeds
    assert ("list", "replicasets") in deeds
    assert {verb for verb, resource in deeds if resource != REVIEWS} == {"get", "list"}
    assert resource_versions(stage) == before
    assert stage.template_hash() == "v2"


def test_a_refused_option_and_a_policy_out_of_a_file(cluster: Access, stage: Stage) -> None:
    """Who may only view sees the rest, and which command tells what they may not ask."""
    stage.deploy("v1", 0.95)
    stage.person("viewer", "view", "tocsin-auditor")
    spec = policy_spec("credit") | {"containment": [policy_spec("credit")["containment"][0], option("stop", 0)]}
    text = yaml.safe_dump({"apiVersion": API, "kind": "EscalationPolicy", "metadata": {"name": "credit"}, "spec": spec})

    code, said = planned(cluster, stage.people["viewer"], "-f", "-", "-n", stage.namespace, "-o", "json", text=text)

    found = json.loads(said)
    first, second = found["models"][0]["options"]
    assert (code, first["reason"], "reason" in second) == (1, "NoEarlierRevision", False)
    assert second["summary"] == "scale Deployment/credit from 1 to 0 replicas"
    assert any(line.startswith("whether Tocsin may patch deployments.apps in namespace ") for line in found["unknown"])
    assert any(line.startswith("whether namespace tocsin-system is on hold: ") for line in found["unknown"])
    assert stage.cluster.items("escalationpolicies.tocsin.dev", stage.namespace) == []
