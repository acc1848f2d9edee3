"""Is what is installed pinned, hashed, free of addresses, and what pyproject.toml asks for?"""

from __future__ import annotations

import re
import tomllib

import pytest
from packaging.requirements import Requirement

from tests.cluster.cluster import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ASKED = {
    "requirements.txt": PROJECT["project"]["dependencies"],
    "requirements-dev.txt": [*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"]["dev"]],
    "requirements-build.txt": PROJECT["build-system"]["requires"],
}


@pytest.mark.parametrize("name", ASKED)
def test_each_requirement_is_pinned_and_hashed(name: str) -> None:
    text = (ROOT / name).read_text()
    lines = re.sub(r"(?m)^#.*\n", "", text).replace("\\\n", " ").splitlines()
    bad = [
        line
        for line in lines
        if not re.fullmatch(r"[\w.-]+==\S+( ; .+?)?( +--hash=sha256:[0-9a-f]{64})+", line.strip())
    ]
    assert (bad, "://" in text) == ([], False)


@pytest.mark.parametrize("name", ASKED)
def test_each_dependency_is_met(name: str) -> None:
    pinned = dict(re.findall(r"(?m)^([\w.-]+)==(\S+)", (ROOT / name).read_text()))
    asked = [Requirement(text) for text in ASKED[name]]
    assert [str(one) for one in asked if not one.specifier.contains(pinned.get(one.name.lower(), "0"))] == []


def test_development_uses_what_is_shipped() -> None:
    shipped, used = (
        set(re.findall(r"(?m)^([\w.-]+==\S+)", (ROOT / name).read_text()))
        for name in ("requirements.txt", "requirements-dev.txt")
    )
    assert shipped - used == set()
