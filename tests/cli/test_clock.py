"""Do the commands about legal clocks say what they make, count down, and name each mistake with the way on?"""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.builders import HOUR, T0
from tests.cli.test_views import an_open, printed
from tests.decide.test_clocks import a_clock, a_running
from tocsin.api.incident import Incident
from tocsin.cli.clock import fields_of, show
from tocsin.cli.files import Mistake
from tocsin.cli.main import main, parser
from tocsin.decide.presets import PRESETS


def fields(*words: str) -> dict[str, Any]:
    return fields_of(parser().parse_args(["clock", *words]), T0)


@pytest.mark.parametrize(
    ("words", "made"),
    [
        pytest.param(
            ["start", "i", "--clock", "dora-initial", "--anchor", "Aware=2026-11-23T08:00:00Z", "--anchor",
             "Classified=2026-11-23T10:00:00+01:00", "--reason", "seen"],
            {"clock": "dora-initial", "reason": "seen",
             "anchors": [{"type": "Aware", "time": "2026-11-23T08:00:00Z"},
                         {"type": "Classified", "time": "2026-11-23T09:00:00Z"}]},
            id="a start from two anchors",
        ),
        pytest.param(
            ["decline", "i", "--clock", "gdpr-33", "--reason", "no data"],
            {"clock": "gdpr-33", "reason": "no data"},
            id="a refusal",
        ),
        pytest.param(
            ["submitted", "i", "--clock", "gdpr-33", "--receipt", "R-7"],
            {"clock": "gdpr-33", "receipt": "R-7", "submittedTime": "2026-11-23T09:00:00Z"},
            id="submitted now",
        ),
        pytest.param(
            ["submitted", "i", "--clock", "gdpr-33", "--receipt", "R-7", "--at", "2026-11-22T09:00:00Z"],
            {"clock": "gdpr-33", "receipt": "R-7", "submittedTime": "2026-11-22T09:00:00Z"},
            id="submitted yesterday",
        ),
    ],
)  # fmt: skip
def test_what_is_typed_becomes_the_fields_of_a_decision(words: list[str], made: dict[str, Any]) -> None:
    assert fields(*words) == made


MOVE = ("move", "i", "--clock", "gdpr-33", "--reason", "log")


@pytest.mark.parametrize(
    ("anchors", "mistake"),
    [
        (["Aware"], "--anchor: 'Aware' is no anchor: write TYPE=TIME, with one of Aware, Suspected"),
        (["Bored=2026-11-22T09:00:00Z"], "--anchor: 'Bored=2026-11-22T09:00:00Z' is no anchor"),
        (["Aware=yesterday"], "--anchor: 'yesterday' is not an instant: write for example"),
        (["Aware=2026-11-22T09:00:00Z", "Suspected=2026-11-22T09:00:00Z"], "--anchor: move one anchor at a time"),
    ],
)
def test_an_anchor_that_is_none(anchors: list[str], mistake: str) -> None:
    with pytest.raises(Mistake) as wrong:
        fields(*MOVE, *[word for one in anchors for word in ("--anchor", one)])
    assert mistake in str(wrong.value)


def test_a_clock_that_there_is_not_is_refused_with_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["clock", "decline", "i", "--clock", "gdpr-34", "--reason", "none"])
    assert all(name in capsys.readouterr().err for name in list(PRESETS)[:1])


CLOCKS = (
    a_running("nis2-early", span=24 * HOUR, since=T0 - 25 * HOUR, state="Missed", acceptance="Missing"),
    a_clock(determineDeadline=T0 + HOUR),
    a_running(since=T0 - HOUR),
    a_running("mas-1h", span=HOUR, state="Submitted", submitted={"by": "carol", "time": T0, "receipt": "R"}),
)


def incidents(**changes: Any) -> list[Incident]:
    return [an_open(clocks=CLOCKS, **changes)]


def listed(capsys: pytest.CaptureFixture[str], found: list[Incident], *, settled: bool = False) -> list[str]:
    show("table", found, T0, settled=settled)
    return capsys.readouterr().out.splitlines()


def test_the_list_shows_what_is_owed_in_eighty_columns_also_of_what_is_resolved(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = listed(capsys, incidents(resolved_time=T0))
    assert all(len(line) <= 80 for line in lines)
    assert lines[0].split() == ["INCIDENT", "CLOCK", "STATE", "DUE", "LAW"]
    assert [line.split()[1] for line in lines if line.startswith("fraud-1 ")] == [
        "nis2-early",
        "gdpr-33",
        "us-bank-36h",
    ]
    assert "1h late" in lines[1]
    assert lines[-1] == "fraud-1: nis2-early: numbers not accepted"
    assert listed(capsys, [an_open()]) == ["no clock is owed"]


def test_of_one_incident_what_is_settled_is_listed_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert any("mas-1h" in line and "Submitted" in line for line in listed(capsys, incidents(), settled=True))
    assert listed(capsys, [an_open()], settled=True) == ["there is no clock"]


@pytest.mark.parametrize(("output", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_programs_get_the_clocks_as_they_are(capsys: pytest.CaptureFixture[str], output: str, read: Any) -> None:
    show(output, incidents(), T0, settled=False)
    found = read(capsys.readouterr().out)
    assert [(one["incident"], one["name"], one["state"]) for one in found] == [
        ("fraud-1", "nis2-early", "Missed"),
        ("fraud-1", "gdpr-33", "Undetermined"),
        ("fraud-1", "us-bank-36h", "Running"),
    ]


def test_status_and_show_count_down_with_the_citation(capsys: pytest.CaptureFixture[str]) -> None:
    bank = "us-bank-36h: due 2026-11-24T20:00:00Z (in 35h) [12 CFR 53.3, 225.302, 304.23]"
    assert f"  fraud-1  {bank}" in printed(capsys, incidents(resolved_time=T0), "status")
    lines = printed(capsys, incidents()[0], "show", "fraud-1")
    assert f"  {bank}" in lines
    assert "legal clocks" in lines


def test_a_namespace_is_named_for_one_incident() -> None:
    assert main(["clock", "list", "fraud-1", "-A"]) == 2
