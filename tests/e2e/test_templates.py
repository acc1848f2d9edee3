"""Are the ready-made templates ready, and is whoever writes a wrong one told so?"""

from __future__ import annotations

from typing import Any

from tests.cluster.access import Access
from tests.e2e.stage import SYSTEM, Installed, OperatorProcess, Stage
from tocsin.api.template import Audience, MessagePhase

TEMPLATES = "messagetemplates.tocsin.dev"


def ready(cluster: Access, name: str, namespace: str) -> tuple[str, str, int]:
    """Status and reason of a template's condition, and of which generation that was said."""
    status = cluster.get(TEMPLATES, name, namespace).get("status", {"conditions": [{}]})
    found = status["conditions"][0]
    return found.get("status", ""), found.get("reason", ""), found.get("observedGeneration", 0)


def test_every_ready_made_template_is_ready(cluster: Access, installed: Installed, operator: OperatorProcess) -> None:
    every = {f"{one.lower()}-{phase}" for one in Audience for phase in ("initial", "update", "correction")}
    names = {one["metadata"]["name"] for one in cluster.items(TEMPLATES, SYSTEM)}
    assert every <= names
    assert len(names) == len(Audience) * len(MessagePhase)
    cluster.kubectl("wait", TEMPLATES, "--all", "--for=condition=Ready", "-n", SYSTEM, "--timeout=40s")


def test_a_wrong_template_is_told_so_until_it_is_right(
    cluster: Access, stage: Stage, operator: OperatorProcess
) -> None:
    def write(body: str) -> None:
        text = {"language": "en", "subject": "News", "body": body}
        spec: dict[str, Any] = {"audience": "Customers", "phase": "Update", "approvals": ["comms"], "texts": [text]}
        stage.put("MessageTemplate", "news", spec)

    def says(*expected: Any) -> None:
        cluster.wait(lambda: ready(cluster, "news", stage.namespace) == expected, 40, f"{expected}")

    write("{{ model.name }} is slow")
    says("False", "NotForAudience", 1)
    write("{{ incident.typeWords * 9 }}")
    says("False", "SyntaxNotAllowed", 2)
    write("You may notice {{ incident.typeWords }}.")
    says("True", "Renderable", 3)
    lines = cluster.kubectl("get", TEMPLATES, "-n", stage.namespace).splitlines()
    assert lines[1].split()[:5] == ["news", "Customers", "Update", "True", "Renderable"]
