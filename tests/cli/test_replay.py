"""Do the shipped examples replay as their comments promise, and does bad input say what to do?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tocsin.cli.files import load_policy
from tocsin.cli.main import main

EXAMPLES = Path(__file__).parents[2] / "examples"
COMMANDS = (Path(__file__).parents[2] / "docs" / "reference" / "command-line.md").read_text()
FRAUD, SERIES = EXAMPLES / "fraud-latency.yaml", EXAMPLES / "series" / "fraud-latency.yaml"


def replayed(capsys: pytest.CaptureFixture[str], policy: str, *more: str, decisions: bool = False) -> Any:
    """The JSON of an example's replay."""
    arguments = ["replay", str(EXAMPLES / f"{policy}.yaml"), "--series", str(EXAMPLES / "series" / f"{policy}.yaml")]
    if decisions:
        arguments += ["--decisions", str(EXAMPLES / "series" / f"{policy}-decisions.yaml")]
    assert main([*arguments, "-o", "json", *more]) == 0
    return json.loads(capsys.readouterr().out)


def the_episode(played: Any) -> Any:
    (episode,) = played["episodes"]
    return episode


def test_fraud_slows_down_and_nobody_answers(capsys: pytest.CaptureFixture[str]) -> None:
    episode = the_episode(replayed(capsys, "fraud-latency"))

    assert episode == {
        "incident": "fraud-1",
        "episode": 1,
        "opened": "+5m",
        "severity": "SEV1",
        "risk": 78,
        "tiers": ["owners +5m", "risk +5m"],
        "containment": ["last-healthy: Asking"],
        "missed": ["owners: acknowledge", "risk: acknowledge"],
        "recovered": "no",
        "resolved": "no",
    }


def test_fraud_slows_down_and_is_rolled_back_under_the_authorisation(capsys: pytest.CaptureFixture[str]) -> None:
    episode = the_episode(replayed(capsys, "fraud-latency", decisions=True))

    assert episode["containment"] == ["last-healthy: Helped +10m, authorisation authorise-1 by carol@shop.example"]
    assert (episode["severity"], episode["missed"]) == ("SEV2", [])
    assert (episode["recovered"], episode["resolved"]) == ("+26m, after 21m", "+40m, after 35m")


def test_credit_drifts_and_containment_is_only_rehearsed(capsys: pytest.CaptureFixture[str]) -> None:
    episode = the_episode(replayed(capsys, "credit-scoring"))

    assert (episode["opened"], episode["severity"]) == ("+5h", "SEV1")
    assert episode["tiers"] == ["owners +5h", "model-risk +5h", "executives +6h"]
    assert episode["containment"] == ["last-healthy: Observed"]


def test_a_rehearsal_shows_who_would_be_paged_and_who_would_stand_in(capsys: pytest.CaptureFixture[str]) -> None:
    told = [line for line in replayed(capsys, "credit-scoring")["timeline"] if line["kind"] == "notice"]

    first, deputy = (next(one for one in told if user in one["text"]) for user in ("ann@", "piotr@"))
    assert first["text"].startswith("ann@bank.example (credit-owners) is told: SEV2")
    assert deputy["text"].startswith("piotr@bank.example (credit-owners) is told: SEV2")
    assert (first["after"], deputy["after"]) == ("+5h", "+5h30m")


def test_the_chat_is_stopped_by_two_people(capsys: pytest.CaptureFixture[str]) -> None:
    played = replayed(capsys, "chat-safety", decisions=True)

    episode = the_episode(played)
    assert episode["containment"] == [
        "stop: CannotTell +16m, approved by mia@hospital.example, ruth@hospital.example",
    ]
    assert (episode["severity"], episode["missed"]) == ("SEV1", [])
    texts = [line["text"] for line in played["timeline"] if line["kind"] == "decision"]
    assert texts[1:4:2] == [
        "mia@hospital.example: Approve: approved stop (1 of 2) — the answers are dangerous",
        "ruth@hospital.example: Approve: approved stop (2 of 2) — seen the answers",
    ]


@pytest.mark.parametrize("name", ["fraud-latency", "credit-scoring", "chat-safety"])
def test_every_role_of_an_example_stands_in_its_file(name: str) -> None:
    policy, roster = load_policy(EXAMPLES / f"{name}.yaml")

    assert {one for tier in policy.spec.tiers for one in tier.roles} == set(roster)
    assert {one.metadata.namespace for one in roster.values()} == {policy.metadata.namespace}


def test_the_text_tells_the_story_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(FRAUD), "--series", str(SERIES)]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "fraud: 50m from 2026-11-23T09:00:00Z, mode Enforce"
    assert lines[2:5] == [
        "     +2m  signal      latency: 0.38 on 2600 samples breaches warn > 0.3, critical > 0.6 for 0s of 3m",
        "     +5m  incident    opened: incident fraud-1",
        "     +5m  signal      latency: sustained: 0.77 on 2600 samples breaches warn > 0.3, critical > 0.6"
        " for 3m of 3m",
    ]
    assert lines[-8:] == [
        "Incident fraud-1",
        "  opened            +5m",
        "  worst severity    SEV1, risk 78",
        "  tiers told        owners +5m; risk +5m",
        "  containment       last-healthy: Asking",
        "  deadlines missed  owners: acknowledge; risk: acknowledge",
        "  recovered         no",
        "  resolved          no",
    ]


def test_without_an_incident_it_says_how_close_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    series = tmp_path / "series.yaml"
    series.write_text("step: 1m\nseries: {latency: [0.1, 0.5 x 3, 0.1], errors: [0]}\nuntil: 10m\n")

    assert main(["replay", str(FRAUD), "--series", str(series)]) == 0

    assert capsys.readouterr().out.splitlines()[-2:] == [
        "No incident would have opened.",
        "  latency breached for 2m of 3m",
    ]


def test_a_decision_before_any_incident_is_said_to_have_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    acts = tmp_path / "acts.yaml"
    acts.write_text("- {at: 1m, type: Acknowledge, by: alice@shop.example}")

    assert main(["replay", str(FRAUD), "--series", str(SERIES), "--decisions", str(acts)]) == 0

    line = "     +1m  decision    alice@shop.example: Acknowledge has no incident to refer to"
    assert line in capsys.readouterr().out.splitlines()


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["replay", *arguments]) == 2
    caught = capsys.readouterr()
    assert caught.out == ""
    return caught.err


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("warn:", "wern:"), "spec.signals[0].wern: unknown field, did you mean warn?"),
        (('critical: "> 0.6"', 'critical: "> 0.2"'), "spec.signals[0].critical: critical must lie beyond warn"),
        (("kind: EscalationPolicy", "kind: Policy"), "holds 0 objects of kind EscalationPolicy, exactly one is needed"),
        (
            ("user: bob@shop.example", "user: alice@shop.example"),
            "spec.members[1].user: alice@shop.example is there already",
        ),
    ],
    ids=["a misspelt field", "a rule that the schema holds by CEL", "no policy", "a person twice"],
)
def test_a_file_with_a_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: tuple[str, str], problem: str
) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(FRAUD.read_text().replace(*change))

    assert f"{path}: {problem}" in refused(capsys, str(path), "--series", str(SERIES))


@pytest.mark.parametrize(
    ("more", "mistake"),
    [
        pytest.param((), "give either --series FILE or --prometheus URL with --from and --to", id="no series"),
        pytest.param(
            ("--series", str(SERIES), "--prometheus", "http://localhost:9090"),
            "give either --series FILE or --prometheus URL with --from and --to",
            id="two kinds of series",
        ),
        pytest.param(
            ("--series", str(SERIES), "--model", "credit"), "--model: choose one of fraud", id="no such model"
        ),
        pytest.param(
            ("--prometheus", "http://localhost:9090"),
            "--from: is needed with --prometheus, for example 2026-11-23T14:32:00Z",
            id="no beginning",
        ),
        pytest.param(
            ("--prometheus", "http://localhost:9090", "--from", "2026-11-23T14:32:00Z", "--to", "2026-11-23T14:32:00Z"),
            "--to: must be later than --from",
            id="no span",
        ),
        pytest.param(
            ("--prometheus", "localhost", "--from", "2026-11-23T14:32:00Z", "--to", "2026-11-23T14:33:00Z"),
            "--prometheus: is no address: write for example http://localhost:9090",
            id="no address",
        ),
        pytest.param(
            ("--series", str(SERIES), "--from", "2026-11-23T14:32:00Z"),
            "--from: goes with --prometheus: leave it out, or write start into the file of series",
            id="a beginning beside a file, which has its own",
        ),
        pytest.param(
            ("--series", str(SERIES), "--to", ""),
            "--to: goes with --prometheus: leave it out, or write until into the file of series",
            id="an end beside a file, even an empty one",
        ),
        pytest.param(
            ("--series", str(SERIES), "--token-file", "token"),
            "--token-file: goes with --prometheus: leave it out",
            id="a token that nobody asks for",
        ),
        pytest.param(
            ("--series", str(SERIES), "--one-tenant"),
            "--one-tenant: goes with --prometheus: leave it out",
            id="no tenants in a file",
        ),
        pytest.param(
            ("--series", str(SERIES), "--one-tenant", "--token-file", "token"),
            "--token-file: goes with --prometheus: leave it out\n--one-tenant: goes with --prometheus: leave it out",
            id="two options that change nothing are both named",
        ),
        pytest.param(
            ("--series", str(SERIES), "--responder", str(SERIES)),
            f"{SERIES}: holds no object of kind Responder: leave it out, or give a file that does",
            id="a file without Responders",
        ),
    ],
)
def test_options_that_do_not_fit(capsys: pytest.CaptureFixture[str], more: tuple[str, ...], mistake: str) -> None:
    assert refused(capsys, str(FRAUD), *more) == f"{mistake}\n"


def test_a_policy_without_a_namespace_cannot_be_confined(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(FRAUD.read_text().replace("  namespace: models\n", ""))

    said = refused(
        capsys,
        str(path),
        "--prometheus",
        "http://localhost:9090",
        "--from",
        "2026-11-23T14:32:00Z",
        "--to",
        "2026-11-23T14:33:00Z",
    )

    assert "metadata.namespace: is needed" in said


@pytest.mark.parametrize(
    "word",
    [
        *("replay", "lint", "plan", "status", "show", "timeline", "explain", "oncall", "coverage"),
        *("silence add", "silence list", "silence expire", "notes verify"),
        *(
            "ack",
            "approve",
            "reject",
            "break-glass",
            "classify",
            "escalate",
            "lower",
            "hold",
            "resume",
            "note",
            "handover",
            "decide",
            "accept",
            "resolve",
            "report",
            "authorise",
            "message",
            "attest",
            "clock",
        ),
    ],
)
def test_every_command_has_help(capsys: pytest.CaptureFixture[str], word: str) -> None:
    with pytest.raises(SystemExit) as left:
        main([*word.split(), "--help"])

    assert left.value.code == 0
    assert f"`{word} " in COMMANDS or f"`{word}`" in COMMANDS or f"`{word} [" in COMMANDS
    assert f"usage: kubectl tocsin {word}" in capsys.readouterr().out
