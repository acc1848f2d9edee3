"""Does a file get the same refusal without an API server, with the field and the fix?"""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.api.rows import REFUSED, SIGNAL, VALID, Refused, changed
from tests.api.test_kinds import ACCEPTED
from tocsin.api.checks import check
from tocsin.api.objects import API_VERSION
from tocsin.api.policy import EscalationPolicySpec
from tocsin.api.responder import ResponderSpec
from tocsin.api.silence import SilenceSpec
from tocsin.api.template import MessageTemplateSpec

KINDS: dict[str, Any] = {
    "EscalationPolicy": EscalationPolicySpec,
    "Responder": ResponderSpec,
    "MessageTemplate": MessageTemplateSpec,
    "Silence": SilenceSpec,
}
FILES = [row for row in REFUSED if row.kind in KINDS]


def checked(kind: str, spec: Any, **top: Any) -> list[str]:
    return check({"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": "a"}, "spec": spec} | top, KINDS[kind])


@pytest.mark.parametrize("row", FILES, ids=[f"{row.kind}: {row.why}" for row in FILES])
def test_what_the_api_server_refuses_is_refused_in_a_file(row: Refused) -> None:
    problems = checked(row.kind, changed(VALID[row.kind], row.change))

    assert problems, row.error
    assert all(problem.startswith("spec") and ": " in problem for problem in problems)
    _, marker, rule = row.error.partition("Invalid value: ")
    if marker and not rule.startswith("each key"):
        assert any(problem.endswith(rule) for problem in problems), (problems, rule)


@pytest.mark.parametrize(
    ("kind", "change"),
    [pytest.param(kind, change, id=f"{kind}: {why}") for kind, why, change in ACCEPTED if kind in KINDS],
)
def test_what_the_api_server_takes_is_taken(kind: str, change: str) -> None:
    assert checked(kind, changed(VALID[kind], change)) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        pytest.param(
            f"signals: [{{{SIGNAL}, warn: '< 1', criticl: '< 0'}}]",
            "spec.signals[0].criticl: unknown field, did you mean critical?",
            id="a misspelt field is named with the right one",
        ),
        pytest.param("nothing: 1", "spec.nothing: unknown field", id="a field that is like none"),
        pytest.param(
            f"signals: [{{{SIGNAL}, warn: '0.92'}}]",
            'spec.signals[0].warn: \'0.92\' is not a comparison: write for example "< 0.92" or ">= 4.5"',
            id="a comparison without a direction",
        ),
        pytest.param("tiers: null", "spec.tiers: is required", id="a field that is not there"),
        pytest.param(
            f"signals: [{{{SIGNAL}, warn: '< 1', for: 1d}}]",
            "spec.signals[0].for: '1d' is not a duration: write for example 30s, 15m or 1h30m",
            id="a day",
        ),
    ],
)
def test_a_problem_names_the_field_and_the_fix(change: str, problem: str) -> None:
    assert checked("EscalationPolicy", changed(VALID["EscalationPolicy"], change)) == [problem]


@pytest.mark.parametrize(
    ("raw", "problems"),
    [
        pytest.param([], ["the object is not a mapping: write apiVersion, kind, metadata and spec"], id="a list"),
        pytest.param(
            {"apiVersion": "v1", "metadata": {}, "spec": VALID["Responder"], "specs": {}},
            [
                "specs: unknown field, one of apiVersion, kind, metadata, spec, status is meant",
                f"apiVersion: 'v1' is not {API_VERSION}",
                "metadata.name: give it a name",
            ],
            id="everything around the spec",
        ),
    ],
)
def test_what_stands_around_the_spec(raw: Any, problems: list[str]) -> None:
    assert check(raw, ResponderSpec) == problems


def test_metadata_is_the_api_servers_business() -> None:
    metadata = yaml.safe_load("{name: a, namespace: b, generateName: c, annotations: {d: e}}")

    assert checked("Responder", VALID["Responder"], metadata=metadata) == []
