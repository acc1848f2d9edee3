"""Is each number of each legal clock the one of its citation, and does the page show this very data?"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from tocsin.api.clock import CLOCKS, WITH_FOLLOWERS
from tocsin.api.policy import EscalationPolicySpec
from tocsin.decide.accepting import clock_problems
from tocsin.decide.presets import PRESETS, chain, followers

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "clocks.md"
HIGH_RISK = date(2027, 12, 2)

PINNED = {
    "eu-ai-act-73-general": ("15 calendar days from Aware", "Reg. (EU) 2024/1689 Art. 73(2)", "P/S", HIGH_RISK),
    "eu-ai-act-73-critical": ("2 calendar days from Aware", "Reg. (EU) 2024/1689 Art. 73(3)", "P/S", HIGH_RISK),
    "eu-ai-act-73-death": (
        "10 calendar days from Aware or 10 calendar days from Suspected, whichever is first",
        "Reg. (EU) 2024/1689 Art. 73(4)",
        "P/S",
        HIGH_RISK,
    ),
    "eu-ai-act-26-5": ("immediately from Aware", "Reg. (EU) 2024/1689 Art. 26(5)", "P/S", HIGH_RISK),
    "gdpr-33": ("72 hours from Aware", "Reg. (EU) 2016/679 (GDPR) Art. 33(1)", "M", None),
    "dora-initial": (
        "4 hours from Classified or 24 hours from Aware, whichever is first; Classified later than that: from"
        " Classified alone",
        "Reg. (EU) 2022/2554 Art. 19, RTS (EU) 2025/301 Art. 5",
        "P",
        None,
    ),
    "dora-intermediate": (
        "72 hours from the submission of dora-initial",
        "Reg. (EU) 2022/2554 Art. 19, RTS (EU) 2025/301 Art. 5",
        "P",
        None,
    ),
    "dora-final": (
        "1 month from the latest submission of dora-intermediate",
        "Reg. (EU) 2022/2554 Art. 19, RTS (EU) 2025/301 Art. 5",
        "P/S",
        None,
    ),
    "nis2-early": ("24 hours from Aware", "Dir. (EU) 2022/2555 Art. 23(4)(a)", "S", None),
    "nis2-notify": ("72 hours from Aware", "Dir. (EU) 2022/2555 Art. 23(4)(b)", "S", None),
    "nis2-final": ("1 month from the submission of nis2-notify", "Dir. (EU) 2022/2555 Art. 23(4)(d)", "S", None),
    "us-bank-36h": ("36 hours from Determined", "12 CFR 53.3, 225.302, 304.23", "P", None),
    "sec-8k-105": ("4 business days from Material", "Form 8-K Item 1.05", "P", None),
    "nydfs-500-17": ("72 hours from Determined", "23 NYCRR 500.17(a)", "P", None),
    "hipaa-individual": ("60 calendar days from Discovered", "45 CFR 164.404", "P", None),
    "fda-mdr-30": ("30 calendar days from Aware", "21 CFR 803.10(c)", "P", None),
    "fda-mdr-5wd": ("5 business days from Aware", "21 CFR 803.10(c)", "P", None),
    "eu-mdr-87-general": ("15 calendar days from Aware", "Reg. (EU) 2017/745 Art. 87(3)", "P/S", None),
    "eu-mdr-87-threat": ("2 calendar days from Aware", "Reg. (EU) 2017/745 Art. 87(4)", "P/S", None),
    "eu-mdr-87-death": ("10 calendar days from Aware", "Reg. (EU) 2017/745 Art. 87(5)", "P/S", None),
    "apra-234": ("72 hours from Aware", "CPS 234 para. 35", "S", None),
    "mas-1h": ("1 hour from Discovered", "MAS notices on technology risk management", "S", None),
    "mas-root-cause": ("14 calendar days from Discovered", "MAS notices on technology risk management", "S", None),
    "ca-sb53": ("15 calendar days from Discovered", "Cal. Bus. & Prof. Code 22757.13(c)", "P", None),
    "ca-sb53-imminent": ("24 hours from Discovered", "Cal. Bus. & Prof. Code 22757.13(c)", "P", None),
    "ny-raise": ("72 hours from Determined", "N.Y. Gen. Bus. Law 1422", "P", None),
    "ny-raise-imminent": (
        "24 hours from Determined or 24 hours from Discovered, whichever is first",
        "N.Y. Gen. Bus. Law 1422",
        "P",
        None,
    ),
}


def test_there_are_these_clocks_and_no_others() -> None:
    assert list(PRESETS) == list(PINNED)


@pytest.mark.parametrize("name", PINNED)
def test_a_number_is_that_of_its_citation(name: str) -> None:
    preset = PRESETS[name]
    assert (preset.words, preset.citation, preset.evidence, preset.effective_from) == PINNED[name]


def test_the_page_shows_this_very_data() -> None:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    shown = [tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]) for line in lines]
    made = [
        (f"`{one.name}`", one.family, one.title, one.words, one.citation, one.evidence, str(one.effective_from or ""))
        for one in PRESETS.values()
    ]
    assert shown == made


def test_only_what_was_read_in_a_primary_text_needs_no_acceptance() -> None:
    assert {one.evidence for one in PRESETS.values() if not one.needs_acceptance} == {"P"}
    assert len({one.digest() for one in PRESETS.values()}) == len(PRESETS)


def test_what_follows_comes_by_itself() -> None:
    assert [one.name for one in chain("dora-initial")] == ["dora-initial", "dora-intermediate", "dora-final"]
    assert [one.name for one in followers("nis2-notify")] == ["nis2-final"]
    assert list(chain("no-such-clock")) == []
    assert all(one.follows in PRESETS for one in PRESETS.values() if one.follows)
    assert CLOCKS + sum(bool(one.follows) for one in PRESETS.values()) <= WITH_FOLLOWERS


@pytest.mark.parametrize(
    ("name", "span"), [("mas-1h", "0:15:00"), ("gdpr-33", "18:00:00"), ("ca-sb53", "1 day, 0:00:00")]
)
def test_people_have_a_quarter_of_the_span_to_decide(name: str, span: str) -> None:
    assert str(PRESETS[name].determine_within) == span


def test_a_law_applies_from_its_first_day_on() -> None:
    preset = PRESETS["eu-ai-act-73-general"]
    first = datetime(2027, 12, 2, tzinfo=UTC)
    assert not preset.applies(first - timedelta(seconds=1))
    assert preset.applies(first)


NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("clock", "problem"),
    [
        ({"preset": "gdpr-33"}, None),
        ({"preset": "sec-8k-105", "calendar": "US"}, None),
        ({"preset": "sec-8k-105", "calendar": "US-NY"}, None),
        ({"preset": "fda-mdr-5wd", "calendar": "NYSE"}, None),
        ({"preset": "gdpr-34"}, "preset: there is no clock gdpr-34: did you mean gdpr-33?"),
        ({"preset": "zzz"}, "preset: there is no clock zzz: docs/how-to/clocks.md lists them"),
        (
            {"preset": "dora-final"},
            "preset: dora-final starts by itself when dora-intermediate is submitted: name dora-initial",
        ),
        ({"preset": "gdpr-33", "calendar": "US"}, "calendar: gdpr-33 counts no business days: leave it out"),
        (
            {"preset": "sec-8k-105"},
            "calendar: sec-8k-105 counts business days: name a calendar, for example US, DE-BY, NYSE or ECB",
        ),
        (
            {"preset": "sec-8k-105", "calendar": "USA"},
            "calendar: there is no calendar USA: name a country (US), a part of one (DE-BY) or a market (NYSE)",
        ),
        (
            {"preset": "sec-8k-105", "calendar": "US-ZZ"},
            "calendar: there is no calendar US-ZZ: name a country (US), a part of one (DE-BY) or a market (NYSE)",
        ),
        (
            {"preset": "sec-8k-105", "calendar": "LK"},
            "calendar: LK knows the holidays of 2003 to 2026: beyond them weekends alone are left out; name another"
            " calendar",
        ),
    ],
)
def test_what_is_wrong_with_a_policys_clock_is_named_with_the_fix(clock: dict[str, str], problem: str | None) -> None:
    tier = {"name": "owners", "severity": "SEV3", "accountable": "owners"}
    signal = {"name": "latency", "kind": "Latency", "query": "p99", "warn": "> 0.3"}
    spec = {"models": [{"name": "fraud"}], "signals": [signal], "tiers": [tier], "clocks": [clock]}
    found = list(clock_problems(EscalationPolicySpec.model_validate(spec), NOW))
    assert found == ([] if problem is None else [f"spec.clocks[0].{problem}"])
