"""Does Tab offer what fits, quickly and in silence, through kubectl and in a shell of its own?"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.builders import T0
from tests.cli.test_desk import use
from tests.cli.test_views import an_open
from tests.cluster.access import Access
from tests.decide.test_roster import a_role
from tocsin.cli.completion import SHELLS, for_kubectl
from tocsin.cli.main import main

Offered = Callable[..., list[str]]


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Offered:
    """What kubectl gets for some words, the last of them begun; where there is no cluster."""
    for name in ("COMP_LINE", "COMP_POINT", *(f"_ARGCOMPLETE{one}" for one in ("", "_IFS", "_DFS", "_SHELL"))):
        monkeypatch.setenv(name, "")  # so that it is unset again
    use(monkeypatch, tmp_path / "none")

    def ask(*words: str) -> list[str]:
        assert for_kubectl(words) == 0
        captured = capsys.readouterr()
        assert captured.err == ""
        return captured.out.splitlines()

    return ask


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        pytest.param(["st"], ["status\twhat is open, and who is waited for", ":4"], id="a command"),
        pytest.param(["ack", "--y"], ["--yes\twith --all: do not ask back", ":4"], id="an option"),
        pytest.param(
            ["lower", "fraud-1", "--to", ""], [f"SEV{n}\tto what" for n in range(1, 5)] + [":4"], id="a choice"
        ),
        pytest.param(["lint", "examples/cr"], ["examples/credit-scoring.yaml\t", ":4"], id="a file"),
        pytest.param(["lint", "exam"], ["examples/\t", ":6"], id="a folder, which goes on"),
        pytest.param(["note", "fraud-1", "--reason", "e"], [":4"], id="free words are no files"),
        pytest.param(["ack", ""], [":4"], id="names, without a cluster"),
        pytest.param(
            ["clock", "st"],
            ["start\tstart a clock from its true anchor, which may lie in the past", ":4"],
            id="its command",
        ),
        pytest.param(
            ["clock", "decline", "i", "--clock", "gdp"], ["gdpr-33\twhich, as list shows it", ":4"], id="a clock"
        ),
        pytest.param(["oncall", "o"], [":4"], id="roles, without a cluster"),
        pytest.param(
            ["message", "pre"],
            ["preview\tshow what a template says of an incident, without sending anything", ":4"],
            id="of a group",
        ),
        pytest.param(
            ["message", "preview", "--file", "examples/cr"],
            ["examples/credit-scoring.yaml\t", ":4"],
            id="a file of a group's command",
        ),
        pytest.param(["replay", "--model", ""], [":4"], id="a model of a file"),
    ],
)
def test_what_fits_is_offered(
    offered: Offered, monkeypatch: pytest.MonkeyPatch, words: list[str], lines: list[str]
) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    assert offered(*words) == lines


def test_every_command_is_offered_with_what_it_does(offered: Offered) -> None:
    *commands, last = offered("")
    assert last == ":4"
    assert all(len(line.split("\t")) == 2 and line.split("\t")[1] for line in commands)
    assert {"replay", "lint", "status", "watch", "ack", "authorise", "completion"} <= {
        line.split("\t")[0] for line in commands
    }


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_has_its_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "kubectl-tocsin" in script
    assert {"bash": "complete -o nospace -F", "zsh": "compdef", "fish": "commandline -cp"}[shell] in script


@pytest.fixture
def bin_(tmp_path: Path) -> Path:
    """The commands, as pip installs them."""
    for name, call in (("kubectl-tocsin", "main.main"), ("kubectl_complete-tocsin", "completion.for_kubectl")):
        module, function = call.split(".")
        code = f"import sys; from tocsin.cli.{module} import {function}; sys.exit({function}())"
        script = tmp_path / name
        script.write_text(f'#!/bin/sh\nexec {sys.executable} -c {shlex.quote(code)} "$@"\n')
        script.chmod(0o755)
    return tmp_path


def run(bin_: Path, *command: str, **environment: str) -> list[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment}
    environment["PATH"] = f"{bin_}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_a_shell_completes_by_its_script(bin_: Path) -> None:
    line = "kubectl-tocsin ti"
    asks = f"COMP_LINE='{line}' COMP_POINT={len(line)}; _python_argcomplete kubectl-tocsin; echo \"${{COMPREPLY[@]}}\""
    script = "source <(kubectl-tocsin completion bash)"
    assert run(bin_, "bash", "-c", f"{script}; {asks}", KUBECONFIG="/none") == ["timeline "]


def test_names_are_those_of_the_cluster_that_one_may_see(
    served: Access, namespace: str, offered: Offered, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"/apis/tocsin.dev/v1alpha1/namespaces/{namespace}"
    kind = {"apiVersion": "tocsin.dev/v1alpha1"}
    spec = {"origin": "Person", "policyRef": {"name": "fraud"}, "model": "fraud", "by": "bob", "reason": "slow"}
    for name, status in (("fraud-1", an_open()), ("fraud-2", an_open(resolved_time=T0, phase="Resolved"))):
        served.api("POST", f"{url}/incidents", kind | {"kind": "Incident", "metadata": {"name": name}, "spec": spec})
        served.api("PATCH", f"{url}/incidents/{name}/status", {"status": status.status.dump()})
    role = a_role("owners", "ada").dump()["spec"]
    served.api("POST", f"{url}/responders", kind | {"kind": "Responder", "metadata": {"name": "owners"}, "spec": role})
    tier = {"name": "owners", "severity": "SEV3", "accountable": "owners"}
    signal = {"name": "latency", "kind": "Latency", "query": "p99", "warn": "> 0.3"}
    policy = {"models": [{"name": "cards"}], "signals": [signal], "tiers": [tier]}
    made = kind | {"kind": "EscalationPolicy", "metadata": {"name": "fraud"}, "spec": policy}
    served.api("POST", f"{url}/escalationpolicies", made)
    use(monkeypatch, served.kubeconfig_for("alice", ("system:masters",)))

    assert offered("ack", "-n", namespace, "") == ["fraud-1\tSEV2 Contained", ":4"]
    assert offered("show", "-n", namespace, "f") == ["fraud-1\tSEV2 Contained", "fraud-2\tSEV2 Resolved", ":4"]
    assert offered("oncall", "-n", namespace, "") == ["owners\t", ":4"]
    assert offered("handover", "fraud-1", "-n", namespace, "--to", "") == ["owners\t", ":4"]
    assert offered("authorise", "-n", namespace, "") == ["fraud\t", ":4"]
    assert offered("plan", "-n", namespace, "") == ["fraud\t", ":4"]
    text = {"language": "en", "subject": "a", "body": "b"}
    spec = {"audience": "Internal", "phase": "Initial", "texts": [text]}
    news = kind | {"kind": "MessageTemplate", "metadata": {"name": "news"}, "spec": spec}
    served.api("POST", f"{url}/messagetemplates", news)
    assert offered("message", "preview", "-n", namespace, "") == ["news\t", ":4"]
    assert offered("report", "-n", namespace, "") == ["cards\tpolicy fraud", ":4"]
    assert offered("status", "-n", namespace[:-1]) == [f"{namespace}\t", ":4"]
    use(monkeypatch, served.kubeconfig_for("mallory"))
    assert offered("ack", "-n", namespace, "") == [":4"]


def test_kubectl_completes_its_plugin(served: Access, bin_: Path) -> None:
    kubectl = served.environment()
    path = f"{bin_}{os.pathsep}{kubectl['PATH']}"
    lines = run(bin_, "kubectl", "__complete", "tocsin", "sta", **kubectl | {"PATH": path})
    assert lines == ["status\twhat is open, and who is waited for", ":4"]
