"""How do the definitions become a page that people read? ``python -m tocsin.api.reference --check|--write FILE``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from tocsin.api.objects import API_VERSION
from tocsin.api.schema import KINDS, Kind, Schema, definition

_HEAD = f"""\
<!-- Generated from operator/tocsin/api by `make generate`: do not edit. -->
# API reference: `{API_VERSION}`

All kinds are namespaced and, but for `LegalNote`, in the category `tocsin`: `kubectl get tocsin` lists them.
`kubectl explain` says the same as this page. A field in **bold** is required. Durations are written as `90s`, `15m` or
`1h30m`, times as `2026-01-31T09:00:00Z`, comparisons as `"< 0.92"`: there are no floats.
"""
_FROZEN = "rules"
"""Repeats the policy: not unfolded."""


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *(_section(kind) for kind in KINDS)])


def _section(kind: Kind) -> str:
    crd = definition(kind)
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    lines = [f"## {kind.name}", "", str(schema["description"]), ""]
    lines.append(f"`kubectl get {kind.plural}`, short `{kind.short}`. Columns: {_columns(kind)}.")
    if kind.selectable:
        lines.append(f"Field selectors: {', '.join(f'`{path[1:]}`' for path in kind.selectable)}.")
    for part in ("spec", "status"):
        if part in schema["properties"]:
            lines += [
                "",
                f"### {kind.name} {part}",
                "",
                "| field | type | default | what it is |",
                "| --- | --- | --- | --- |",
            ]
            lines += _rows("", schema["properties"][part])
            rules = list(_rules(part, schema["properties"][part]))
            lines += ["", "The API server refuses, with these words:", "", *rules] if rules else []
    return "\n".join([*lines, ""])


def _columns(kind: Kind) -> str:
    return ", ".join(f"{name}{' (wide)' if priority else ''}" for name, _, _, priority in kind.columns)


def _rows(where: str, schema: Schema) -> Iterator[str]:
    required = schema.get("required", ())
    for name, part in schema["properties"].items():
        path = f"{where}{name}"
        shown = f"**`{path}`**" if name in required else f"`{path}`"
        default = f"`{json.dumps(part['default'])}`" if "default" in part else ""
        yield f"| {shown} | {_escaped(_type(part))} | {_escaped(default)} | {_escaped(part['description'])} |"
        items = part.get("items", {})
        if name == _FROZEN:
            continue
        if "properties" in part:
            yield from _rows(f"{path}.", part)
        if "properties" in items:
            yield from _rows(f"{path}[].", items)


def _type(schema: Schema) -> str:
    if "enum" in schema:
        return " \\| ".join(f"`{value}`" for value in schema["enum"])
    if schema["type"] == "array":
        inner = "object" if "properties" in schema["items"] else _type(schema["items"])
        return f"list of {inner}, at most {schema['maxItems']}"
    if "additionalProperties" in schema:
        return f"map to {_type(schema['additionalProperties'])}, at most {schema['maxProperties']}"
    if schema["type"] == "integer":
        bounds = [f"{word} {schema[key]}" for word, key in (("from", "minimum"), ("to", "maximum")) if key in schema]
        return " ".join(["integer", *bounds])
    return "time" if schema.get("format") == "date-time" else str(schema["type"])


def _rules(where: str, schema: Schema) -> Iterator[str]:
    """The messages of the CEL rules, and where each holds."""
    for one in schema.get("x-kubernetes-validations", ()):
        yield f"- `{where}`: {one['message']}"
    for name, part in schema.get("properties", {}).items():
        if name != _FROZEN:
            yield from _rules(f"{where}.{name}", part)
    if "items" in schema:
        yield from _rules(f"{where}[]", schema["items"])


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;").replace(" | ", " \\| ") if "`" not in text else text


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or tell that it is not fresh."""
    parser = argparse.ArgumentParser(prog="python -m tocsin.api.reference", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--write", type=Path, metavar="FILE", help="write the page")
    what.add_argument("--check", type=Path, metavar="FILE", help="fail unless the file is what would be written")
    chosen = parser.parse_args(arguments)
    if chosen.write:
        chosen.write.write_text(page())
        return 0
    fresh = chosen.check.exists() and chosen.check.read_text() == page()
    if not fresh:
        sys.stderr.write(f"not fresh: {chosen.check}; run `make generate`\n")
    return 0 if fresh else 1


if __name__ == "__main__":
    raise SystemExit(main())
