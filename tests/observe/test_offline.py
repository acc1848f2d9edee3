"""Is what is told of an expression without a Prometheus what Prometheus itself reads in it?"""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.observe.recorded import RecordedPrometheus
from tests.observe.test_confining import SHAPES
from tocsin.cli.expressions import selectors


def nodes(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
    for inner in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from nodes(inner)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_selectors_of_every_shape_are_found(recorded: RecordedPrometheus, shape: str) -> None:
    asked = urllib.parse.urlencode({"query": SHAPES[shape]})
    with urllib.request.urlopen(f"{recorded.url}/api/v1/parse_query?{asked}") as answer:
        tree = json.load(answer)["data"]
    read = set()
    for node in nodes(tree):
        if node.get("type") in ("vectorSelector", "matrixSelector"):
            matchers = {(one["name"], one["type"], one["value"]) for one in node["matchers"]}
            named = {one for one in matchers if one[:2] == ("__name__", "=")}
            read.add((next((value for _, _, value in named), ""), frozenset(matchers - named)))
    mine = {
        (one.metric, frozenset((matcher.label, matcher.how, matcher.value) for matcher in one.matchers))
        for one in selectors(SHAPES[shape])
    }
    assert mine == read
