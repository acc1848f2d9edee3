"""Does a preview show what a template says, without a cluster and without sending anything?"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.cli.test_desk import use
from tests.cli.test_views import an_open
from tests.cluster.access import Access
from tests.decide.test_rendering import a_template
from tocsin.cli import gallery
from tocsin.cli.main import main

ROOT = Path(__file__).parents[2]
POLICY = str(ROOT / "examples" / "credit-scoring.yaml")
BODY = "Model {{ model.name }}, {{ incident.typeWords }}{% if next.updateTime %}, more later{% endif %}"


@pytest.fixture
def template(tmp_path: Path) -> Path:
    texts = [{"language": "en", "subject": "s", "body": BODY}, {"language": "de", "subject": "t", "body": "Modell"}]
    spec = a_template(texts=texts, talkingPoints=["We know of it."], values=[{"name": "contact"}]).dump()
    path = tmp_path / "news.yaml"
    raw = {"apiVersion": "tocsin.dev/v1alpha1", "kind": "MessageTemplate", "metadata": {"name": "news"}, "spec": spec}
    path.write_text(yaml.safe_dump(raw))
    return path


def preview(template: Path | str, *more: str) -> int:
    return main(["message", "preview", str(template), "--file", POLICY, *more])


def test_a_preview_without_a_cluster(template: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert preview(template, "--value", "contact=a=b", "--next-update", "4h") == 0
    *lines, digest = capsys.readouterr().out.splitlines()
    assert lines == [
        "news: for Internal, phase Initial; needs the approval of a, b",
        "",
        "--- en",
        "Subject: s",
        "",
        "Model credit-scoring, results that are less reliable than they should be, more later",
        "",
        "--- de",
        "Subject: t",
        "",
        "Modell",
        "",
        "--- talking points, which are not sent",
        "- We know of it.",
        "",
    ]
    assert digest.startswith("digest: sha256:")


def test_one_language(template: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert preview(template, "--value", "contact=x", "--language", "de") == 0
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("---")] == [
        "--- de",
        "--- talking points, which are not sent",
    ]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        pytest.param(
            [], "news: ValueMissing: values.contact: supply it for this message", id="a value that is missing"
        ),
        pytest.param(
            ["--value", "contact=x", "--value", "phone=1"],
            "news: ValueUnknown: values.phone: the template has no such value; it has contact",
            id="a value that there is not",
        ),
        pytest.param(["--value", "contact"], "--value: 'contact' is no NAME=TEXT", id="a value without a text"),
        pytest.param(
            ["--value", "contact=x", "--language", "fr"], "--language: news has en, de", id="a language that it has not"
        ),
        pytest.param(
            ["--value", "contact=x", "--next-update", "1d"],
            "--next-update: '1d' is not a duration: write for example 30s, 15m or 1h30m",
            id="a span that is none",
        ),
        pytest.param(["--model", "fraud"], "--model: choose one of credit-scoring", id="a model that there is not"),
    ],
)
def test_what_must_change(template: Path, capsys: pytest.CaptureFixture[str], more: list[str], words: str) -> None:
    assert preview(template, *more) == 2
    assert words in capsys.readouterr().err


def test_files_that_hold_no_template(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert preview(POLICY) == 2
    assert "holds 0 objects of kind MessageTemplate, exactly one is needed" in capsys.readouterr().err
    assert preview(tmp_path / "none.yaml") == 2
    assert "is no file; with --file the template is one too" in capsys.readouterr().err


def test_of_the_cluster_there_is_no_model_to_choose(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["message", "preview", "news", "--incident", "fraud-1", "--model", "fraud"]) == 2
    assert "--model: goes with --file: the incident names its model" in capsys.readouterr().err


def test_a_group_without_a_command_says_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["message"])
    assert "the following arguments are required: COMMAND" in capsys.readouterr().err


def test_the_pages_of_messages_are_fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert gallery.main(["--check", "docs/reference"]) == 0, "run `make generate`"
    assert gallery.main(["--check", str(tmp_path)]) == 1
    assert gallery.main(["--write", str(tmp_path)]) == 0
    assert gallery.main(["--check", str(tmp_path)]) == 0


def test_the_template_nearest_to_the_incident_is_taken(
    served: Access, namespace: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = {"apiVersion": "tocsin.dev/v1alpha1"}
    spec = {"origin": "Person", "policyRef": {"name": "fraud"}, "model": "fraud", "by": "bob", "reason": "slow"}
    where = f"/apis/tocsin.dev/v1alpha1/namespaces/{namespace}"
    served.api("POST", f"{where}/incidents", kind | {"kind": "Incident", "metadata": {"name": "fraud-1"}, "spec": spec})
    use(monkeypatch, served.kubeconfig_for("alice", ("system:masters",)))
    command = ["message", "preview", "news", "--incident", "inc/fraud-1", "-n", namespace, "--operator-namespace"]

    assert main([*command, "default"]) == 2
    assert "fraud-1 has no rules yet: try again in a moment" in capsys.readouterr().err
    status = an_open().dump()["status"]
    status["rules"] = an_open().dump()["spec"]["rules"]
    served.api("PATCH", f"{where}/incidents/fraud-1/status", {"status": status})
    assert main([*command, "default"]) == 2
    assert f"there is no template news in namespace {namespace}, nor in default" in capsys.readouterr().err
    for place, body in (("default", "far"), (namespace, "near")):
        made = kind | {"kind": "MessageTemplate", "metadata": {"name": "news"}, "spec": a_template(body).dump()}
        served.api("POST", f"/apis/tocsin.dev/v1alpha1/namespaces/{place}/messagetemplates", made)
        assert main([*command, "default"]) == 0
        assert f"\n{body}\n" in capsys.readouterr().out
