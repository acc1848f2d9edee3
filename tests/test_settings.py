"""Are wrong settings refused at the start, each field by name?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tocsin.settings import SettingsError, load_settings

SERVER = {"url": "http://prometheus:9090"}


def loaded(folder: Path, settings: Any) -> Any:
    file = folder / "settings.yaml"
    file.write_text(settings if isinstance(settings, str) else yaml.safe_dump(settings), errors="surrogateescape")
    return load_settings(file)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        pytest.param({}, "prometheus: Field required", id="no server"),
        pytest.param({"prometheus": {}}, "prometheus: Dictionary should have at least 1 item", id="none of them"),
        pytest.param({"prometheus": {"Main": SERVER}}, "prometheus.Main.", id="a name that no incident can have"),
        pytest.param({"prometheus": {"p" * 51: SERVER}}, "at most 50 characters", id="a name that is too long"),
        pytest.param(
            {"prometheus": {"default": {"url": "prometheus:9090"}}}, "prometheus.default.url: ", id="no address"
        ),
        pytest.param({"prometheus": {"default": SERVER}, "leaseDuration": "soon"}, "leaseDuration: ", id="no duration"),
        pytest.param(
            {"prometheus": {"default": SERVER}, "paging": {"every": "25h"}}, "paging.every: ", id="paged hardly ever"
        ),
        pytest.param(
            {"prometheus": {"default": SERVER}, "budgets": {}}, "budgets: Extra inputs", id="an unknown field"
        ),
        pytest.param("[", "cannot be read", id="no YAML"),
        pytest.param("leaseDuration: 2026-02-30", "cannot be read", id="a date that is none"),
        pytest.param("leaseDuration: !!bool maybe", "cannot be read", id="a tag that does not fit"),
        pytest.param("\udcff", "cannot be read", id="bytes that are no text"),
        pytest.param("- 1", "valid dictionary", id="a list"),
    ],
)
def test_wrong_settings(tmp_path: Path, settings: Any, words: str) -> None:
    with pytest.raises(SettingsError, match=r"settings\.yaml: ") as refused:
        loaded(tmp_path, settings)

    assert words in str(refused.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(tmp_path / "nothing.yaml")


def test_the_least_that_is_needed(tmp_path: Path) -> None:
    assert loaded(tmp_path, {"prometheus": {"default": SERVER}}).prometheus["default"].url == SERVER["url"]
