"""What does the chart render? The golden files say; ``TOCSIN_UPDATE_GOLDEN=1`` (``make generate``) writes them anew."""

from __future__ import annotations

import json
import os
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import BaseModel

from tests.chart.conftest import CHART
from tests.cluster.cluster import ROOT
from tests.cluster.tools import ensure
from tocsin.api.schema import KINDS
from tocsin.api.template import Audience, MessagePhase, MessageTemplate
from tocsin.decide.rendering import problems
from tocsin.settings import Settings, load_settings

GOLDEN = Path(__file__).parent / "golden"
APIS = ("admissionregistration.k8s.io/v1/MutatingAdmissionPolicy", "monitoring.coreos.com/v1")
SETS: dict[str, tuple[str, tuple[str, ...]]] = {
    "defaults on an older server": ("", ()),
    "everything on a newer server": (
        """
        image: {digest: "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"}
        imagePullSecrets: [{name: pull}]
        messageTemplates: {enabled: false}
        settings:
          prometheus:
            default: {url: "https://prometheus.example", bearerTokenFile: /etc/prometheus/token, tenancy: Single}
            second: {url: "http://other.monitoring.svc:9091/prefix"}
          budget: {containments: 2, window: 30m}
          channels: {allowedHosts: ["bridge.chat.svc:8443", chat.example]}
        channelNamespaces: [models, fraud]
        serviceAccount: {annotations: {a: b}}
        metrics: {serviceMonitor: {enabled: true, labels: {release: prometheus}}}
        priorityClass: {create: true}
        networkPolicy: {metricsFrom: [{namespaceSelector: {matchLabels: {team: monitoring}}}]}
        podAnnotations: {a: b}
        podLabels: {c: d}
        nodeSelector: {e: f}
        tolerations: [{operator: Exists}]
        affinity: {podAntiAffinity: {}}
        extraVolumes: [{name: prometheus, secret: {secretName: prometheus}}]
        extraVolumeMounts: [{name: prometheus, mountPath: /etc/prometheus, readOnly: true}]
        """,
        APIS,
    ),
    "one replica that only watches": (
        """
        replicas: 1
        messageTemplates: {enabled: false}
        containment: {deployments: {enabled: false}}
        networkPolicy: {enabled: false}
        priorityClass: {name: system-cluster-critical}
        """,
        (),
    ),
}


def helm(tmp_path: Path, *arguments: str, values: str = "") -> str:
    """What helm prints; AssertionError with its complaint when it fails."""
    own = {name: str(tmp_path / name) for name in ("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME")}
    command = [str(ensure("helm")["helm"]), *arguments, *(("-f", "-") if values else ())]
    done = subprocess.run(
        command, input=values or None, capture_output=True, text=True, env=os.environ | own, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def rendered(tmp_path: Path, values: str = "", apis: tuple[str, ...] = (), release: str = "tocsin") -> str:
    served = [f"--api-versions={api}" for api in apis]
    return helm(tmp_path, "template", release, str(CHART), "-n", "tocsin-system", *served, values=values)


def objects(tmp_path: Path, values: str = "", apis: tuple[str, ...] = ()) -> dict[tuple[str, str], Any]:
    every = [one for one in yaml.safe_load_all(rendered(tmp_path, values, apis)) if one]
    return {(one["kind"], one["metadata"]["name"]): one for one in every}


@pytest.mark.parametrize("name", SETS)
def test_golden(tmp_path: Path, name: str) -> None:
    text = rendered(tmp_path, *SETS[name])
    file = GOLDEN / f"{name.replace(' ', '-').lower()}.yaml"
    if os.environ.get("TOCSIN_UPDATE_GOLDEN"):
        file.write_text(text)
    assert text == file.read_text()


def test_no_golden_file_is_left_over() -> None:
    assert sorted(file.stem for file in GOLDEN.iterdir()) == sorted(name.replace(" ", "-").lower() for name in SETS)


def test_lint(tmp_path: Path) -> None:
    for values, _ in SETS.values():
        helm(tmp_path, "lint", "--strict", str(CHART), values=values)


@pytest.mark.parametrize("name", SETS)
def test_the_operator_reads_the_settings_that_are_rendered(tmp_path: Path, name: str) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(objects(tmp_path, *SETS[name])["ConfigMap", "tocsin"]["data"]["settings.yaml"])
    assert "default" in load_settings(file).prometheus


def test_what_the_operator_expects_is_what_is_installed(tmp_path: Path) -> None:
    every = objects(tmp_path)
    expected = json.loads(every["ConfigMap", "tocsin"]["data"]["admission.json"])
    for part, kind in (("policy", "ValidatingAdmissionPolicy"), ("binding", "ValidatingAdmissionPolicyBinding")):
        assert every[kind, expected[part]["name"]]["spec"] == expected[part]["spec"]


def test_the_ready_made_templates_carry_the_organisations_words(tmp_path: Path) -> None:
    """The words replace the values of that name, and every template can be rendered."""
    words = """{contact: "help: 'us' <help@bank.example>", service: "{{ not helm's }}"}"""
    every = objects(tmp_path, f"messageTemplates: {{values: {words}}}")
    made = [MessageTemplate.model_validate(one) for (kind, _), one in every.items() if kind == "MessageTemplate"]
    pairs = {(one.spec.audience, one.spec.phase) for one in made}
    assert pairs == {(audience, phase) for audience in Audience for phase in MessagePhase}
    assert {one.metadata.namespace for one in made} == {"tocsin-system"}
    assert [problem for one in made for problem in problems(one.spec)] == []
    said = {(value.name, value.value) for one in made for value in one.spec.values}
    assert {
        ("contact", "help: 'us' <help@bank.example>"),
        ("service", "{{ not helm's }}"),
        ("organisation", None),
    } <= said


@pytest.mark.parametrize(
    ("values", "sender"),
    [
        pytest.param("", None, id="a person sends them"),
        pytest.param("messageTemplates: {sender: broadcast}", "broadcast", id="by the Secret of that name"),
    ],
)
def test_by_what_the_ready_made_templates_for_outsiders_are_sent(
    tmp_path: Path, values: str, sender: str | None
) -> None:
    every = objects(tmp_path, values)
    made = [MessageTemplate.model_validate(one) for (kind, _), one in every.items() if kind == "MessageTemplate"]
    outside = {Audience.CUSTOMERS, Audience.PARTNERS, Audience.MEDIA}
    found = {one.spec.audience: one.spec.sender and one.spec.sender.secret_ref.name for one in made}
    assert found == {audience: sender if audience in outside else None for audience in Audience}


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        pytest.param(
            "messageTemplates: {values: {our-name: us}}", "does not match pattern", id="a value's name is none"
        ),
        pytest.param("messageTemplates: {values: {contact: ''}}", "minLength: got 0, want 1", id="an empty word"),
        pytest.param("replica: 3", "additional properties 'replica' not allowed", id="a misspelt value"),
        pytest.param("replicas: 0", "minimum: got 0, want 1", id="no operator at all"),
        pytest.param("settings: {prometheus: {default: null}}", "minProperties: got 0, want 1", id="no Prometheus"),
        pytest.param(
            "settings: {prometheus: {default: {url: 'http://user:secret@prometheus'}}}",
            "does not match pattern",
            id="credentials in an address",
        ),
        pytest.param("settings: {budget: {window: 1d}}", "does not match pattern", id="a day is no GEP-2257 unit"),
        pytest.param(
            "settings: {shards: 3}", "additional properties 'shards' not allowed", id="a setting that is none"
        ),
        pytest.param("channelNamespaces: ['*']", "does not match pattern", id="the Secrets of every namespace"),
    ],
)
def test_refused_values(tmp_path: Path, values: str, complaint: str) -> None:
    with pytest.raises(AssertionError) as refused:
        rendered(tmp_path, values)
    assert complaint in str(refused.value)


def test_the_schema_of_the_values_is_one() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert set(schema["properties"]) == set(values) | {"global"}


def test_the_schema_has_just_the_operators_settings() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert _names(schema["properties"]["settings"], schema) == _fields(Settings)


def _names(schema: Any, root: Any) -> Any:
    """The tree of property names that a schema allows; under "*" that of a map's values."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rsplit("/", 1)[-1]]
    if isinstance(schema.get("additionalProperties"), dict) and "$ref" in schema["additionalProperties"]:
        return {"*": _names(schema["additionalProperties"], root)}
    return {name: _names(part, root) for name, part in schema.get("properties", {}).items()}


def _fields(model: type[BaseModel]) -> Any:
    """The same tree of a settings model."""
    tree: dict[str, Any] = {}
    for field in model.model_fields.values():
        inner = field.annotation
        parts = getattr(inner, "__args__", ())
        nested = next((part for part in parts if isinstance(part, type) and issubclass(part, BaseModel)), None)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            tree[str(field.alias)] = _fields(inner)
        else:
            tree[str(field.alias)] = {"*": _fields(nested)} if nested else {}
    return tree


def test_the_chart_is_of_the_operators_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert (chart["version"], chart["appVersion"]) == (version, version)


def test_the_package_holds_the_definitions_themselves(tmp_path: Path) -> None:
    helm(tmp_path, "package", str(CHART), "-d", str(tmp_path))
    helm(tmp_path, "template", "tocsin", str(next(tmp_path.glob("tocsin-*.tgz"))))
    shown = helm(tmp_path, "show", "crds", str(next(tmp_path.glob("tocsin-*.tgz"))))
    names = sorted(one["metadata"]["name"] for one in yaml.safe_load_all(shown) if one)
    assert names == sorted(f"{kind.plural}.tocsin.dev" for kind in KINDS)


def test_names_follow_the_release_and_admission_names_do_not(tmp_path: Path) -> None:
    every = [one for one in yaml.safe_load_all(rendered(tmp_path, release="prod")) if one]
    names = {one["kind"]: one["metadata"]["name"] for one in every}
    assert names["Deployment"] == "prod-tocsin"
    policies = sorted(one["metadata"]["name"] for one in every if one["kind"] == "ValidatingAdmissionPolicy")
    kinds = ("decisions", "incidents", "messages", "policies", "records", "status", "vouched")
    assert policies == [f"tocsin-{kind}" for kind in kinds]
    assert "system:serviceaccount:tocsin-system:prod-tocsin" in rendered(tmp_path, release="prod")
