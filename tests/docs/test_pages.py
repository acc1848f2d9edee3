"""Are the pages true where a machine can tell? Links lead somewhere, and what is shown is what comes out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tocsin.api.policy import EscalationPolicy
from tocsin.api.quantities import format_duration
from tocsin.cli.main import main
from tocsin.decide.defaults import PRACTICE
from tocsin.decide.syntax import Reason

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("charts/**/*.md")])
FENCED = re.compile(r"^( *)```.*?^\1```", re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as forges make them."""
    headings = re.findall(r"^#+ (.*)$", FENCED.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", FENCED.sub("", page.read_text()))
    broken = []
    for link in links:
        target, _, anchor = link.partition("#")
        if target.startswith(("http:", "https:")):
            continue
        there = (page.parent / target).resolve() if target else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            broken.append(link)
    assert broken == []


def test_the_replay_of_the_readme_is_what_it_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ROOT / "README.md").read_text()
    command = re.search(r"^kubectl-tocsin (.*)$", text, re.MULTILINE)
    shown = re.search(r"^```\n(fraud:.*?)```$", text, re.DOTALL | re.MULTILINE)
    assert command
    assert shown
    monkeypatch.chdir(ROOT)

    assert main(command[1].split()) == 0

    assert capsys.readouterr().out.strip() == shown[1].strip()


def test_the_policy_of_the_readme_is_one() -> None:
    blocks = re.findall(r"<<'END'\n(.*?)\n *END", (ROOT / "README.md").read_text(), re.DOTALL)
    policy = next(block for block in blocks if "kind: EscalationPolicy" in block)
    spec = EscalationPolicy.model_validate(yaml.safe_load(policy)).spec
    assert [signal.name for signal in spec.signals] == ["accuracy"]


def test_the_windows_by_kind_are_the_published_ones() -> None:
    page = (ROOT / "docs/how-to/write-a-policy.md").read_text()
    for kind, windows in PRACTICE.items():
        spans = [format_duration(span) for span in (windows.every, windows.for_, windows.recover_after)]
        data = f"{windows.no_data_then} after {format_duration(windows.no_data_after)}"
        assert f"| {kind} | {' | '.join(spans)} | {windows.min_samples or ''} | {data} |" in page


def test_the_template_of_the_page_about_messages_is_sound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "how-to" / "messages.md").read_text()
    file = tmp_path / "template.yaml"
    file.write_text(next(block for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "kind:" in block))
    assert main(["lint", str(file)]) == 0, capsys.readouterr().err


def test_every_reason_why_there_is_no_message_is_on_the_page_about_messages() -> None:
    page = (ROOT / "docs" / "how-to" / "messages.md").read_text()
    assert [reason.value for reason in Reason if f"`{reason.value}`" not in page] == []
