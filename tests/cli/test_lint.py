"""Is everything found that can be wrong with policies and roles, without a cluster?"""

from __future__ import annotations

from pathlib import Path

import pytest

from tocsin.cli.main import main

EXAMPLES = Path(__file__).parents[2] / "examples"
POLICY = """
apiVersion: tocsin.dev/v1alpha1
kind: EscalationPolicy
metadata: {name: fraud, namespace: models}
spec:
  models: [{name: fraud}]
  risk: {regulatory: 2, reputation: 2}
  signals: [{name: latency, kind: Latency, query: p99, warn: "> 0.3", critical: "> 0.6"}]
  tiers:
  - {name: owners, severity: SEV3, accountable: owners}
"""
ROLE = """
---
apiVersion: tocsin.dev/v1alpha1
kind: Responder
metadata: {name: owners, namespace: models}
spec:
  members: [{name: Ada, user: ada}]
  channels: [{name: hook, secretRef: {name: hook}}]
"""
TEMPLATE = """
---
apiVersion: tocsin.dev/v1alpha1
kind: MessageTemplate
metadata: {name: news, namespace: models}
spec:
  audience: Internal
  phase: Initial
  texts: [{language: en, subject: "{{ model.name }}", body: "Led by {{ lead.user | default('nobody') }}."}]
"""
ATTESTED = POLICY.replace("  tiers:", "  secondLine: risk\n  tiers:") + ROLE
OVER = '{name: move, from: "2020-01-01T00:00:00Z", until: "2020-01-02T00:00:00Z", reason: the platform moves}'
LATER = "  - {name: board, severity: SEV1, accountable: owners}\n"


def lint(folder: Path, text: str) -> int:
    file = folder / "all.yaml"
    file.write_text(text)
    return main(["lint", str(file)])


def test_the_examples_are_good(capsys: pytest.CaptureFixture[str]) -> None:
    files = sorted(str(one) for one in EXAMPLES.glob("*.yaml"))
    assert main(["lint", *files]) == 0
    assert capsys.readouterr().out == "5 policies and 12 Responders, 1 Silences: nothing is wrong with them\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(POLICY, "spec.tiers[0]: Responder owners stands in none of these files", id="no such role"),
        pytest.param(
            POLICY.replace("{name: fraud}]", "{name: fraud, owners: {userImpact: product}}]") + ROLE,
            "spec.models[0].owners: Responder product (user impact) stands in none of these files",
            id="no such owner",
        ),
        pytest.param(POLICY.replace("> 0.6", "> 0.2") + ROLE, "critical must lie beyond warn", id="what CEL refuses"),
        pytest.param(
            ATTESTED, "spec.secondLine: Responder risk stands in none of these files", id="no such second line"
        ),
        pytest.param(
            ATTESTED,
            "spec.signals[0].basis: say why latency has its lines: risk attests them",
            id="lines without a basis that somebody attests",
        ),
        pytest.param(
            POLICY.replace("warn:", "warm:") + ROLE, "unknown field, did you mean warn?", id="a misspelt field"
        ),
        pytest.param(
            POLICY.replace("regulatory: 2, reputation: 2", "regulatory: 0, reputation: 0") + LATER + ROLE,
            "board is never entered by itself: no incident is worse than SEV2, and it is for SEV1;"
            " tier owners has no deadline to miss",
            id="a tier that nothing enters",
        ),
        pytest.param(
            POLICY.replace("  tiers:", "  clocks: [{preset: gdpr-34}]\n  tiers:") + ROLE,
            "spec.clocks[0].preset: there is no clock gdpr-34: did you mean gdpr-33?",
            id="a clock that there is not",
        ),
        pytest.param(
            POLICY.replace("  tiers:", "  clocks: [{preset: sec-8k-105}]\n  tiers:") + ROLE,
            "spec.clocks[0].calendar: sec-8k-105 counts business days: name a calendar",
            id="business days without a calendar",
        ),
        pytest.param(
            POLICY.replace("  tiers:", "  clocks: [{preset: gdpr-33}, {preset: gdpr-33}]\n  tiers:") + ROLE,
            "spec.clocks[1].preset: gdpr-33 is there already",
            id="a clock twice",
        ),
        pytest.param(
            POLICY.replace("  tiers:", f"  freezes: [{OVER}]\n  tiers:") + ROLE,
            "spec.freezes[0]: move is over since 2020-01-02T00:00:00Z: remove it",
            id="a freeze that is over",
        ),
        pytest.param(
            POLICY.replace("  tiers:", f"  freezes: [{OVER}, {OVER}]\n  tiers:") + ROLE,
            "spec.freezes[1].name: move is there already",
            id="a freeze twice",
        ),
        pytest.param(
            POLICY + ROLE.replace("  channels: [{name: hook, secretRef: {name: hook}}]\n", ""),
            "responder/owners: spec: no channels, so nobody would be told: Ada",
            id="nobody would be told",
        ),
        pytest.param(POLICY + ROLE + "  escalateTo: night\n", "Responder night, which stands in", id="who stands in"),
        pytest.param(
            POLICY + ROLE + "  escalateTo: owners\n", "stands in for itself at last: owners → owners", id="a circle"
        ),
        pytest.param(POLICY + ROLE + "  timeZone: Mars/Olympus\n", "Mars/Olympus is no time zone", id="a time zone"),
        pytest.param(
            POLICY
            + ROLE.replace(
                "user: ada}", 'user: ada, absences: [{from: "2020-01-01T00:00:00Z", until: "2099-01-01T00:00:00Z"}]}'
            ),
            "nobody is there from",
            id="a hole",
        ),
        pytest.param("a: [", "is not YAML", id="no YAML"),
        pytest.param(
            TEMPLATE.replace("lead.user", "lead.usr"),
            "messagetemplate/news: spec.texts[0].body, line 1: lead.usr is not known, did you mean lead.user?",
            id="a variable of a template",
        ),
        pytest.param(
            TEMPLATE.replace("Internal", "Customers"),
            "messagetemplate/news: spec: Customers, Partners and Media need at least one approval",
            id="what CEL refuses of a template",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str) -> None:
    assert lint(tmp_path, text) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.startswith(f"{tmp_path / 'all.yaml'}: ")


@pytest.mark.parametrize("deadline", ["acknowledgeWithin", "containWithin", "decideWithin"])
def test_a_tier_is_entered_when_the_one_before_has_a_deadline_to_miss(tmp_path: Path, deadline: str) -> None:
    mild = POLICY.replace("regulatory: 2, reputation: 2", "regulatory: 0, reputation: 0")
    first = mild.replace("accountable: owners}", f"accountable: owners, {deadline}: 15m}}", 1)
    assert lint(tmp_path, first + LATER + ROLE) == 0


def test_templates_are_counted_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lint(tmp_path, TEMPLATE) == 0
    assert lint(tmp_path, POLICY + ROLE + TEMPLATE) == 0
    assert capsys.readouterr().out.splitlines() == [
        "1 templates: nothing is wrong with them",
        "1 policies and 1 Responders, 1 templates: nothing is wrong with them",
    ]


def test_every_ready_made_template_is_good(capsys: pytest.CaptureFixture[str]) -> None:
    files = sorted(str(one) for one in (EXAMPLES.parent / "charts" / "tocsin" / "messages").glob("*.yaml"))
    assert main(["lint", *files]) == 0
    assert capsys.readouterr().out == "30 templates: nothing is wrong with them\n"


def test_a_tier_is_entered_for_a_clock_that_nobody_determines(tmp_path: Path) -> None:
    mild = POLICY.replace("regulatory: 2, reputation: 2", "regulatory: 0, reputation: 0")
    assert lint(tmp_path, mild + LATER + "  clocks: [{preset: gdpr-33}]\n" + ROLE) == 0


def test_what_is_of_another_kind_is_passed_over(tmp_path: Path) -> None:
    assert lint(tmp_path, POLICY + ROLE + "---\nkind: ConfigMap\n---\njust words\n") == 0
