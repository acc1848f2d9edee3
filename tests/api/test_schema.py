"""Are the definitions in crds/ what the models say, and is an unbounded or unexplained field refused?"""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field

from tests.api.conftest import CRDS, ROOT
from tocsin.api.objects import ApiModel, Label, keyed
from tocsin.api.schema import Kind, SchemaError, definition, main, stale_files


class Item(ApiModel):
    """A part."""

    name: Label | None = Field(default=None, description="A name.")


class Endless(ApiModel):
    """A text without an end."""

    text: str = Field(description="A text.")


class Countless(ApiModel):
    """A list without an end."""

    parts: tuple[Label, ...] = Field(description="Parts.")


class Boundless(ApiModel):
    """A map without an end."""

    parts: dict[str, Label] = Field(description="Parts.")


class Unexplained(ApiModel):
    """A field that says nothing."""

    name: Label


class Keyless(ApiModel):
    """A list whose key may be missing."""

    parts: tuple[Item, ...] = Field(max_length=2, description="Parts.", json_schema_extra=keyed("name"))


class Undecided(ApiModel):
    """A field of two types."""

    value: int | Label = Field(description="A value.")


@pytest.mark.parametrize(
    ("part", "error"),
    [
        pytest.param(Endless, r"spec\.text has no maxLength", id="a text has a longest length"),
        pytest.param(Countless, r"spec\.parts has no maxItems", id="a list has a greatest length"),
        pytest.param(Boundless, r"spec\.parts has no maxProperties", id="a map has a greatest size"),
        pytest.param(Unexplained, r"spec\.name has no description", id="a field is explained"),
        pytest.param(Keyless, r"spec\.parts\[\]\.name is the key of a list and must be required", id="a key is there"),
        pytest.param(Undecided, r"a union of 2 types cannot be structural", id="a field has one type"),
    ],
)
def test_refused(part: type[ApiModel], error: str) -> None:
    class Whole(ApiModel):
        """A kind."""

        spec: part = Field(description="Its spec.")  # type: ignore[valid-type]  # the row's model

    with pytest.raises(SchemaError, match=error):
        definition(Kind(Whole, "wholes", "who", ()))


@pytest.mark.parametrize("folder", [CRDS, ROOT / "charts" / "tocsin" / "crds"], ids=["people", "helm"])
def test_the_committed_definitions_are_fresh(folder: Path) -> None:
    assert not folder.is_symlink(), "a link does not survive every copy of a tree"
    assert stale_files(folder) == []


def test_what_is_written_is_fresh_until_touched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--write", str(tmp_path)]) == 0
    assert main(["--check", str(tmp_path)]) == 0
    (tmp_path / "incidents.yaml").write_text("")
    (tmp_path / "leftover.yaml").write_text("")
    assert main(["--check", str(tmp_path)]) == 1
    stale = f"{tmp_path / 'incidents.yaml'}, {tmp_path / 'leftover.yaml'}"
    assert f"not fresh: {stale}; run `make generate`" in capsys.readouterr().err


def test_every_folder_is_written_and_checked(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    assert main(["--write", str(one), str(other)]) == 0
    assert main(["--check", str(one), str(other)]) == 0
    (other / "incidents.yaml").write_text("")
    assert main(["--check", str(one), str(other)]) == 1
