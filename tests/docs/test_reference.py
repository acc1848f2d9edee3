"""Does the reference say what the code does? Each closed list is compared with the code that it describes."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from tocsin.api import reference
from tocsin.api.incident import OptionState
from tocsin.api.objects import Severity
from tocsin.api.policy import Risk
from tocsin.api.quantities import format_duration
from tocsin.decide.severity import AFFECTED_BANDS, BANDS, Evidence, affected_band, score
from tocsin.decide.situation import Trust
from tocsin.decide.syntax import Reason
from tocsin.engine.telemetry import Telemetry
from tocsin.settings import PrometheusServer, Settings

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
PACKAGE = ROOT / "operator" / "tocsin"


def rows(page: str, columns: int) -> list[list[str]]:
    """The cells of every table of a page with so many columns."""
    lines = (REFERENCE / page).read_text().splitlines()
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines if line.startswith("|")]
    return [row for row in cells if len(row) == columns]


# --- the API


def test_the_api_page_is_fresh() -> None:
    assert (REFERENCE / "api.md").read_text() == reference.page(), "run `make generate`"


def test_a_stale_page_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "api.md"
    assert reference.main(["--check", str(page)]) == 1
    reference.main(["--write", str(page)])
    assert reference.main(["--check", str(page)]) == 0
    page.write_text(page.read_text() + "by hand")
    assert reference.main(["--check", str(page)]) == 1
    assert capsys.readouterr().err.splitlines() == [f"not fresh: {page}; run `make generate`"] * 2


# --- conditions

CONDITIONS = (REFERENCE / "conditions.md").read_text()
WORD = re.compile(r"[A-Z][a-z]+([A-Z][a-z]+)*")
TYPES = {"Ready", "Measured", "Firing", "Acknowledged", "Contained", "Recovered", "Resolved", "Notified", "Staffed"} | {
    "BreakGlassApproved",
    "Attested",
    "Silenced",
    "Flapping",
    "ClocksAccepted",
    "ClocksMet",
    "Approved",
    "Released",
}
NOT_REASONS = {
    "True",
    "False",
    "Unknown",
    "RollBack",
    "Scale",
    "Pause",
    "Resolve",
    "NotFound",
    "Unreadable",
    "Failed",
} | {
    "Empty",
    "Report",
    "DecisionsTrusted",
}
"""Other words of the modules that make conditions."""


OF_ONE_INCIDENT = {"ValueMissing", "ValueUnknown", "NotForType", "NotKnownYet", "TooLong"}
"""Why a sound template gives no message for an incident."""


def words_of(module: str) -> set[str]:
    """Every string constant of a module that could be a reason."""
    tree = ast.parse((PACKAGE / module).read_text())
    found = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {word for word in found if WORD.fullmatch(word)}


def given(call: str) -> Iterator[str]:
    """The reasons of all calls of that name, anywhere in the package: by keyword, or the first argument."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == call:
                reasons = [one.value for one in node.keywords if one.arg == "reason"] or node.args[:1]
                yield from (
                    one.value
                    for reason in reasons
                    for one in ast.walk(reason)
                    if isinstance(one, ast.Constant) and isinstance(one.value, str) and WORD.fullmatch(one.value)
                )


def reasons_in_code() -> set[str]:
    modules = ("decide/facts.py", "decide/policy.py", "decide/staffing.py")
    made = {word for module in modules for word in words_of(module)} | set(given("Finding"))
    states = {str(state) for state in OptionState} | {trust.value for trust in Trust}
    states |= {reason.value for reason in Reason} - OF_ONE_INCIDENT
    told = {"Acknowledged", "Recovered", "Staffed", "Attested", "Silenced", "Flapping", "Approved", "Released"}
    return (made - TYPES - NOT_REASONS) | states | told


def test_every_reason_of_a_condition_is_documented() -> None:
    documented = {row[2].strip("`") for columns in (4, 5) for row in rows("conditions.md", columns)} - {"reason", "---"}
    assert documented == reasons_in_code()


def test_every_type_of_condition_is_documented() -> None:
    made = {row[0].strip("`") for columns in (4, 5) for row in rows("conditions.md", columns)} - {"type", "---", ""}
    assert made == TYPES | {"DecisionsTrusted", "tier.tocsin.dev/<name>"}


def test_every_refusal_of_an_option_is_documented() -> None:
    documented = {row[0].strip("`") for row in rows("conditions.md", 2)} - {"word", "---"}
    assert documented == set(given("Refusal"))


# --- scoring


def terms(**evidence: Any) -> dict[str, Decimal]:
    worst = Risk(regulatory=4, reputation=4)
    full = {"signals": {"a": Fraction(1)}, "floors": {}, "affected": Decimal(10**9)}
    return {term.name: term.value for term in score(worst, Evidence(**(full | evidence))).terms}


def test_the_weights_and_modifiers_are_the_published_ones() -> None:
    found = terms(failed_containment=True, missed_deadlines=9, recurs=True)
    published = {}
    for name, value, _ in rows("scoring.md", 3)[2:9]:
        published[name] = Decimal(re.findall(r"\d+", value)[-1 if "at most" in value else 0])
    assert found == published
    assert terms(missed_deadlines=1)["missed deadlines"] == 5


def test_the_bands_are_the_published_ones() -> None:
    table = [(row[0], row[1]) for row in rows("scoring.md", 2)]
    assert [(f"{limit} or more", str(severity)) for limit, severity in BANDS] == [
        row for row in table if row[1] in set(Severity)
    ][: len(BANDS)]
    assert [(f"fewer than {limit:,}", str(band)) for band, limit in enumerate(AFFECTED_BANDS)] == [
        row for row in table if row[0].startswith("fewer")
    ]
    assert affected_band(None)[0] == 2


def test_the_example_adds_up() -> None:
    evidence = Evidence(signals={"latency": Fraction(1)}, floors={})
    found = score(Risk(regulatory=2, reputation=2), evidence)
    assert (found.risk, found.severity) == (Decimal("67.5"), Severity.SEV2)
    sentence = " + ".join(f"{term.value:f}" for term in found.terms)
    assert f"= {sentence} = **{found.risk}**, which is {found.severity}" in (REFERENCE / "scoring.md").read_text()


# --- metrics and settings


def test_every_metric_is_documented_with_its_type_and_labels() -> None:
    registry = Telemetry().registry
    names = registry._names_to_collectors
    made = {}
    for family in registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        made[name] = (family.type, ", ".join(names[name]._labelnames))  # type: ignore[attr-defined]  # no public way
    documented = {row[0].strip("`"): (row[1], row[2]) for row in rows("metrics.md", 4)[2:]}
    assert documented == made


def test_every_metric_in_an_alert_exists() -> None:
    known = Telemetry().registry._names_to_collectors
    asked = set(re.findall(r"tocsin_\w+", (REFERENCE / "metrics.md").read_text()))
    assert asked <= set(known)


def fields(model: type[BaseModel], where: str = "") -> Iterator[tuple[str, str]]:
    """Every setting, and its default as the page writes it."""
    for name, field in model.model_fields.items():
        path = f"{where}{field.alias or name}"
        if isinstance(field.default, BaseModel):
            yield from fields(type(field.default), f"{path}.")
            continue
        yield path, "required" if field.is_required() else shown(field.default)
        if name == "prometheus":
            yield from fields(PrometheusServer, "prometheus.*.")


def shown(default: Any) -> str:
    match default:
        case None:
            return ""
        case timedelta():
            return f"`{format_duration(default)}`"
        case str():
            return f"`{default}`"
        case tuple() if default:
            return "described"
        case tuple():
            return "`[]`"
    return f"`{json.dumps(default)}`"


def test_every_setting_is_documented_with_its_default() -> None:
    made = dict(fields(Settings))
    documented = {row[0].strip("`"): row[1] for row in rows("settings.md", 3)[2:]}
    assert documented.keys() == made.keys()
    differing = {name for name, default in made.items() if default not in ("described", documented[name])}
    assert differing == set()


def test_the_settings_of_the_page_are_accepted() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (REFERENCE / "settings.md").read_text(), re.DOTALL)
    plain, of_the_chart = (yaml.safe_load(block) for block in blocks)
    assert Settings.model_validate(plain).prometheus["default"].timeout == timedelta(seconds=10)
    assert Settings.model_validate(of_the_chart["settings"]).prometheus["default"].bearer_token_file is not None
