"""How a user's PromQL is read, confined to a namespace, and written again.

The tree is that of ``/api/v1/parse_query``. Nothing here is trusted: what is written is parsed by Prometheus again,
and must give exactly the confined tree.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, Literal

from tocsin.observe.queries import Selector

Tree = Mapping[str, Any]
Kind = Literal["scalar", "vector", "matrix", "string"]

_SELECTORS = ("vectorSelector", "matrixSelector")
_OF_THE_RANGE = ("start", "end", "range", "step")
_DECIMAL = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?")
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


class NotUnderstood(Exception):
    """A node that this version of Tocsin does not know."""


def quoted(text: str) -> str:
    """A PromQL string literal; JSON's escapes are among those of PromQL."""
    return json.dumps(text, ensure_ascii=False)


def normal(tree: Tree) -> Tree:
    """The tree with the matchers of each selector sorted: two trees that mean the same selectors are equal."""
    found: Tree = _rebuilt(tree, ())
    return found


def confined(tree: Tree, namespace: str) -> Tree:
    """The normal tree with ``namespace="<namespace>"`` on every selector, beside the matchers that are there."""
    found: Tree = _rebuilt(tree, ({"name": "namespace", "type": "=", "value": namespace},))
    return found


def _rebuilt(node: Any, further: tuple[dict[str, str], ...]) -> Any:
    if isinstance(node, list):
        return [_rebuilt(item, further) for item in node]
    if not isinstance(node, dict):
        return node
    done = {key: _rebuilt(value, further) for key, value in node.items()}
    if done.get("type") in _SELECTORS:
        matchers = _matchers(node)
        matchers += [matcher for matcher in further if matcher not in matchers]
        done["matchers"] = sorted(matchers, key=lambda matcher: (matcher["name"], matcher["type"], matcher["value"]))
    return done


def _matchers(node: Tree) -> list[dict[str, str]]:
    matchers: list[dict[str, str]] = []
    given = node.get("matchers")
    for matcher in given if isinstance(given, list) else [None]:
        match matcher:
            case {"name": str(name), "type": ("=" | "!=" | "=~" | "!~") as how, "value": str(value)}:
                matchers.append({"name": name, "type": how, "value": value})
            case _:
                raise NotUnderstood("a label matcher")
    return matchers


def _nodes(node: Any) -> Iterator[Tree]:
    if isinstance(node, list):
        for item in node:
            yield from _nodes(item)
    elif isinstance(node, dict):
        yield node
        for value in node.values():
            yield from _nodes(value)


def calls(tree: Tree) -> frozenset[str]:
    """The names of the functions that it calls."""
    return frozenset(str(node["func"].get("name")) for node in _nodes(tree) if isinstance(node.get("func"), dict))


def depends_on_the_range(tree: Tree) -> bool:
    """Whether it means something else in a range query than in an instant one: ``@ end()``, ``step()`` and so on."""
    if calls(tree) & set(_OF_THE_RANGE):
        return True
    return any(
        node.get("startOrEnd") is not None or (node.get("type") == "durationExpr" and node.get("op") in _OF_THE_RANGE)
        for node in _nodes(tree)
    )


def kind(tree: Tree) -> Kind:
    """What it evaluates to; raises NotUnderstood."""
    match tree:
        case {"type": "vectorSelector" | "aggregation"}:
            return "vector"
        case {"type": "matrixSelector" | "subquery"}:
            return "matrix"
        case {"type": "numberLiteral"}:
            return "scalar"
        case {"type": "stringLiteral"}:
            return "string"
        case {"type": "parenExpr" | "unaryExpr", "expr": dict(inner)}:
            return kind(inner)
        case {"type": "call", "func": {"returnType": "scalar"}}:
            return "scalar"
        case {"type": "call", "func": {"returnType": "vector"}}:
            return "vector"
        case {"type": "binaryExpr", "lhs": dict(left), "rhs": dict(right)}:
            return "scalar" if kind(left) == kind(right) == "scalar" else "vector"
    raise NotUnderstood(_named(tree))


def selectors(tree: Tree) -> tuple[Selector, ...]:
    """Each distinct selector with its longest range, sorted; raises NotUnderstood."""
    reach: dict[str, timedelta] = {}
    for node in _nodes(tree):
        if node.get("type") in _SELECTORS:
            text = _selector(node)
            try:
                found = timedelta(milliseconds=_milliseconds(node.get("range", 0)))
            except OverflowError as beyond:
                raise NotUnderstood("a range of millions of years") from beyond
            reach[text] = max(found, reach.get(text, timedelta()))
    return tuple(Selector(text, reach[text]) for text in sorted(reach))


def written(tree: Tree) -> str:
    """The tree as an expression; raises NotUnderstood."""
    match tree:
        case {"type": "numberLiteral", "val": str(value)}:
            return value
        case {"type": "stringLiteral", "val": str(value)}:
            return quoted(value)
        case {"type": "parenExpr", "expr": dict(inner)}:
            return f"({written(inner)})"
        case {"type": "unaryExpr", "op": str(operator), "expr": dict(inner)}:
            return f"{operator}{written(inner)}"
        case {"type": "vectorSelector"}:
            return _selector(tree) + _modifiers(tree)
        case {"type": "matrixSelector"}:
            return f"{_selector(tree)}[{_span(tree, 'range')}]{_modifiers(tree)}"
        case {"type": "subquery", "expr": dict(inner)}:
            return f"{written(inner)}[{_span(tree, 'range')}:{_span(tree, 'step')}]{_modifiers(tree)}"
        case {"type": "call", "func": {"name": str(name)}, "args": [*arguments]}:
            return f"{name}({', '.join(map(written, arguments))})"
        case {"type": "aggregation"}:
            return _aggregation(tree)
        case {"type": "binaryExpr", "op": str(operator), "lhs": dict(left), "rhs": dict(right)}:
            return f"{written(left)} {operator}{_matching(tree)} {written(right)}"
    raise NotUnderstood(_named(tree))


def _named(node: Any) -> str:
    return repr(node["type"])[:40] if isinstance(node, dict) and "type" in node else "a node without a type"


def _labels(names: Any) -> str:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise NotUnderstood("a list of labels")
    return ", ".join(quoted(name) for name in names)


def _selector(node: Tree) -> str:
    name = node.get("name")
    matchers = _matchers(node)
    if name:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise NotUnderstood("a metric name")
        matchers = [matcher for matcher in matchers if matcher != {"name": "__name__", "type": "=", "value": name}]
    inner = ",".join(f"{quoted(matcher['name'])}{matcher['type']}{quoted(matcher['value'])}" for matcher in matchers)
    return f"{name or ''}{{{inner}}}"


def _modifiers(node: Tree) -> str:
    text = " anchored" if node.get("anchored") else " smoothed" if node.get("smoothed") else ""
    if (at := node.get("timestamp")) is not None:
        text += f" @ {Decimal(_milliseconds(at)) / 1000:f}"
    if node.get("offsetExpr") is not None:
        return f"{text} offset {_duration(node['offsetExpr'])}"
    if offset := _milliseconds(node.get("offset", 0)):
        text += f" offset {offset}ms"
    return text


def _span(node: Tree, key: Literal["range", "step"]) -> str:
    if node.get(f"{key}Expr") is not None:
        return _duration(node[f"{key}Expr"])
    length = _milliseconds(node.get(key))
    return f"{length}ms" if length else ""


def _milliseconds(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise NotUnderstood("a time")
    return value


def _duration(node: Any) -> str:
    match node:
        case {"type": "numberLiteral", "val": str(value), "duration": True} if _DECIMAL.fullmatch(value):
            return f"{Decimal(value) * 1000:.0f}ms"
        case {"type": "numberLiteral", "val": str(value)}:
            return value
        case {"type": "durationExpr", "op": str(operator), "lhs": left, "rhs": dict(right)}:
            if operator in ("min_of", "max_of"):
                text = f"{operator}({_duration(left)}, {_duration(right)})"
            elif left is None:
                text = f"{'' if operator == '+' else operator}{_duration(right)}"
            else:
                text = f"{_duration(left)} {operator} {_duration(right)}"
            return f"({text})" if node.get("wrapped") else text
    raise NotUnderstood("a duration expression")


def _aggregation(node: Tree) -> str:
    match node:
        case {"op": str(operator), "expr": dict(inner), "param": parameter, "grouping": grouping, "without": without}:
            clause = (
                f" without ({_labels(grouping)}) " if without else f" by ({_labels(grouping)}) " if grouping else ""
            )
            first = f"{written(parameter)}, " if parameter is not None else ""
            return f"{operator}{clause}({first}{written(inner)})"
    raise NotUnderstood("an aggregation")


def _matching(node: Tree) -> str:
    text = " bool" if node.get("bool") else ""
    match node.get("matching"):
        case None:
            return text
        case {"card": card, "labels": names, "on": on, "include": include, "fillValues": {"lhs": left, "rhs": right}}:
            if names or on or card in ("many-to-one", "one-to-many"):
                text += f" {'on' if on else 'ignoring'} ({_labels(names)})"
            if card in ("many-to-one", "one-to-many"):
                text += f" group_{'left' if card == 'many-to-one' else 'right'} ({_labels(include)})"
            text += f" fill_left ({left})" if left is not None else ""
            return text + (f" fill_right ({right})" if right is not None else "")
    raise NotUnderstood("how two vectors match")
