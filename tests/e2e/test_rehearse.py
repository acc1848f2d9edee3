"""Does one incident go through all three tiers with everybody's part in it, as the page about rehearsing shows it?

What is run is what stands in docs/how-to/rehearse.md, by users with the rights of examples/rehearsal.yaml.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.access import Access
from tests.cluster.cluster import ROOT
from tests.cluster.workloads import model_deployment
from tests.e2e.stage import OperatorProcess, Stage

PAGE = (ROOT / "docs/how-to/rehearse.md").read_text()
EXAMPLE = ROOT / "examples/rehearsal.yaml"
BLOCKS = re.findall(r"^```console\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
TURN = re.compile(r"^(\w+)\$ (.*)\n((?:(?!\w+\$ ).*\n)*)", re.MULTILINE)


def test_the_page_about_rehearsing_is_what_happens(
    cluster: Access, operator: OperatorProcess, namespace: str, tmp_path: Path
) -> None:
    stage = Stage(cluster, namespace, "scoring")
    for one in (here(one, stage) for one in yaml.safe_load_all(EXAMPLE.read_text())):
        cluster.declare(one)
    stage.let_channels_be_read()
    cluster.kubectl("rollout", "status", "deploy/scoring", "-n", namespace, "--timeout=60s")
    cluster.kubectl("wait", "escalationpolicy/scoring", "--for=condition=Ready", "-n", namespace, "--timeout=60s")
    turns = [turn for block in BLOCKS for turn in TURN.findall(block)]
    users = {user: at_home(cluster, user, namespace, tmp_path) for user, _, _ in turns}
    for user, command, expected in turns:
        found = stage.incident()
        name = found["metadata"]["name"] if found else ""
        shown = typed(cluster, users[user], command, name)
        assert fits(expected.replace("namespace rehearsal", f"namespace {namespace}"), shown), (
            f"{user}$ {command}\n{shown}"
        )
    incident = stage.incident()
    assert [tier["name"] for tier in incident["status"]["tiers"]] == ["owners", "compliance", "executives"]
    assert incident["status"]["phase"] == "Resolved"
    assert incident["status"]["lead"]["user"] == "nora"
    paged = {(page["responder"], page["person"]) for page in stage.pages("")}
    assert {("owners", "ada"), ("owners", "ben"), ("model-risk", "carol"), ("board", "eve"), ("night", "nora")} <= paged


def here(one: Any, stage: Stage) -> Any:
    """The example in that namespace, with a model that runs here and a pager that is the sink."""
    one["metadata"]["namespace"] = stage.namespace
    match one["kind"]:
        case "Deployment":
            return model_deployment(stage.model, stage.namespace)
        case "Secret":
            return one | {"stringData": {"type": "Webhook", "url": stage.cluster.sink.url("/page")}}
        case _:
            return one


def at_home(cluster: Access, user: str, namespace: str, folder: Path) -> Path:
    """The kubeconfig of a person, whose namespace is that of the rehearsal."""
    config = yaml.safe_load(cluster.kubeconfig_for(user).read_text())
    for context in config["contexts"]:
        context["context"]["namespace"] = namespace
    there = folder / user
    there.write_text(yaml.safe_dump(config))
    return there


def typed(cluster: Access, kubeconfig: Path, command: str, incident: str) -> str:
    """What a person sees who types a command; it must succeed, or be expected not to."""
    environment = cluster.environment(kubeconfig)
    path = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        ["sh", "-c", command],
        env=environment | {"INCIDENT": incident, "PATH": path, "COLUMNS": "80"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}"
    return done.stdout


def fits(expected: str, shown: str) -> bool:
    """Whether the lines that the page shows appear in that order; … stands for anything."""
    parts = [re.escape(part) for part in expected.strip().split("…")]
    return re.search(".*".join(parts), shown, re.DOTALL) is not None
