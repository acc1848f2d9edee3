"""What may stand in a text or a document that somebody else wrote: anything, and what is sound but for a few places."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

Json = Any
FEW = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)
"""For what is slow. What is silenced depends on the machine, on how large a whole object is, and on fixtures that every
example may share: servers, threads and a folder whose file each example writes anew."""
MANY = settings(FEW, max_examples=200)
CRDS = Path(__file__).parents[2] / "crds"

ODD_TEXTS = (
    "", " ", "\n", "a\nb", "\x00", "\u202e", "é", "😀", "'; rm -rf /", "{}", "null", "-", "/", "a/b", "a/b/c/d/e", "٣",
    "NaN", "+Inf", "-Infinity", "1e999", "1e-999", "-0", "9" * 400, "0s", "99999h99999h", "x" * 300,
)  # fmt: skip
ODD_NUMBERS = (0, -1, 1, 2**31 - 1, 2**31, 2**63 - 1, -(2**63), 2**64, 10**30, 0.5, -0.0, 1e300, math.inf, math.nan)
TEXTS = st.sampled_from(ODD_TEXTS) | st.text(max_size=12)
SCALARS = st.none() | st.booleans() | st.sampled_from(ODD_NUMBERS) | st.integers() | st.floats() | TEXTS
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=8
)


def places(document: Json) -> Iterator[tuple[Any, Any]]:
    """Each place in a document, as what holds it and the key or index in that."""
    keys = document.keys() if isinstance(document, dict) else range(len(document) if isinstance(document, list) else 0)
    for key in list(keys):
        yield document, key
        yield from places(document[key])


@st.composite
def spoiled(draw: st.DrawFn, sound: Json, scraps: st.SearchStrategy[Json] = JSON) -> Json:
    """A sound document in which up to three places are left out, doubled, renamed, bent or replaced."""
    document = copy.deepcopy(sound)
    for _ in range(draw(st.integers(1, 3))):
        known = list(places(document))
        if not known:
            return document
        holder, key = draw(st.sampled_from(known))
        match draw(st.sampled_from(["replace", "bend", "bend", "leave out", "double", "rename"])):
            case "leave out":
                del holder[key]
            case "double" if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[key]))
            case "rename" if isinstance(holder, dict):
                holder[draw(TEXTS)] = holder.pop(key)
            case "bend" if isinstance(holder[key], int | float | str):
                holder[key] = draw(st.sampled_from(ODD_TEXTS if isinstance(holder[key], str) else ODD_NUMBERS))
            case _:
                holder[key] = copy.deepcopy(draw(scraps))
    return document


@st.composite
def mistyped(draw: st.DrawFn, sound: str) -> str:
    """A sound text with up to three characters dropped, doubled or put in."""
    text = sound
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(text)))
        text = text[:place] + draw(st.sampled_from([*"0123456789.-+eTZ:hms <>=%\n\u0663", ""])) + text[place + 1 :]
    return text


@cache
def schema(plural: str) -> Mapping[str, Any]:
    """What the API server holds an object of ours to."""
    crd = yaml.safe_load((CRDS / f"{plural}.yaml").read_text())
    found: Mapping[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    return found


class Allowed:
    """Whatever a schema of ours allows, its rules in CEL apart; ``words`` are texts that mean something, by field."""

    def __init__(self, words: Mapping[str, tuple[str, ...]], instants: tuple[str, ...]) -> None:
        self._words = words
        self._instants = st.sampled_from(instants)

    def by(self, part: Mapping[str, Any], field: str = "") -> st.SearchStrategy[Json]:
        """Values of this part of a schema."""
        if "enum" in part:
            return st.sampled_from(part["enum"])
        match part["type"]:
            case "string":
                return self._text(part, field)
            case "integer":
                return _integer(part.get("minimum", -(2**63)), part.get("maximum", 2**63 - 1))
            case "boolean":
                return st.booleans()
            case "array":
                return self._list(part, field)
            case _:
                return self._object(part)

    def _text(self, part: Mapping[str, Any], field: str) -> st.SearchStrategy[str]:
        if part.get("format") == "date-time":
            return self._instants
        least, most, pattern = part.get("minLength", 0), part["maxLength"], part.get("pattern", "")
        for words in (self._words.get(field, ()), self._words[""]):
            if fits := [one for one in words if least <= len(one) <= most and re.search(rf"{pattern}\Z", one)]:
                return st.sampled_from(fits)
        return st.from_regex(pattern, fullmatch=True)

    def _list(self, part: Mapping[str, Any], field: str) -> st.SearchStrategy[list[Json]]:
        keys = part.get("x-kubernetes-list-map-keys", ())
        distinct = (lambda item: tuple(item[key] for key in keys)) if keys else None
        least, most = part.get("minItems", 0), min(part["maxItems"], 4)
        return st.lists(self.by(part["items"], field), min_size=least, max_size=most, unique_by=distinct)

    def _object(self, part: Mapping[str, Any]) -> st.SearchStrategy[dict[str, Json]]:
        if "properties" not in part:
            return st.dictionaries(st.sampled_from(["a", "model", "stop"]), self.by(part["additionalProperties"]))
        fields = {name: self.by(inner, name) for name, inner in part["properties"].items()}
        required = {name: fields.pop(name) for name in part.get("required", ())}
        return st.fixed_dictionaries(required, optional=fields)


def _integer(least: int, most: int) -> st.SearchStrategy[int]:
    edges = [number for number in (least, 0, 1, 2, 3, most) if least <= number <= most]
    return st.sampled_from(edges) | st.integers(least, most)
