"""How do the models become CustomResourceDefinitions? ``python -m tocsin.api.schema --check|--write DIR``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from pydantic.json_schema import GenerateJsonSchema

from tocsin.api.decision import Decision
from tocsin.api.incident import Incident
from tocsin.api.legalnote import LegalNote
from tocsin.api.message import Message
from tocsin.api.objects import GROUP, VERSION, ApiModel
from tocsin.api.policy import EscalationPolicy
from tocsin.api.quantities import format_duration
from tocsin.api.responder import Responder
from tocsin.api.silence import Silence
from tocsin.api.template import MessageTemplate

Schema = dict[str, Any]

_HEADER = "# Generated from operator/tocsin/api by `make generate`: do not edit.\n"
_KEPT = (
    "type", "format", "description", "default", "enum", "pattern", "minLength", "maxLength", "minimum", "maximum",
    "minItems", "maxItems", "minProperties", "maxProperties", "required",
    "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-validations",
)  # fmt: skip
_BOUND = {"string": "maxLength", "array": "maxItems", "object": "maxProperties"}


class _Generator(GenerateJsonSchema):
    """Writes defaults as the API writes values."""

    def encode_default(self, dft: Any) -> Any:
        match dft:
            case timedelta():
                return format_duration(dft)
            case ApiModel():
                return dft.dump()
        return super().encode_default(dft)


class SchemaError(Exception):
    """A model cannot be a structural schema; the message names each field and what it lacks."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind as the API server serves it."""

    model: type[ApiModel]
    plural: str
    short: str
    columns: tuple[tuple[str, str, str, int], ...]
    """Name, type, JSON path and priority; a priority above 0 is shown by ``-o wide`` only."""
    selectable: tuple[str, ...] = ()
    private: bool = False
    """Whether most people may not read it: then it is in no category, for which a list of all would be refused."""

    @property
    def name(self) -> str:
        """The kind's name."""
        return self.model.__name__


def _condition(kind: str, field: str = "status") -> str:
    return f'.status.conditions[?(@.type=="{kind}")].{field}'


_AGE = ("Age", "date", ".metadata.creationTimestamp", 0)
KINDS = (
    Kind(
        EscalationPolicy,
        "escalationpolicies",
        "escpol",
        (
            ("Mode", "string", ".spec.mode", 0),
            ("Ready", "string", _condition("Ready"), 0),
            ("Reason", "string", _condition("Ready", "reason"), 0),
            ("Measured", "string", _condition("Measured"), 0),
            _AGE,
            ("Attested", "string", _condition("Attested", "reason"), 1),
            ("Message", "string", _condition("Ready", "message"), 1),
        ),
    ),
    Kind(
        Incident,
        "incidents",
        "inc",
        (
            ("Model", "string", ".spec.model", 0),
            ("Sev", "string", ".status.severity", 0),
            ("Tier", "string", ".status.tier", 0),
            ("Phase", "string", ".status.phase", 0),
            ("Risk", "integer", ".status.risk", 0),
            ("Lead", "string", ".status.lead.user", 0),
            ("Waiting For", "string", ".status.waitingFor", 0),
            ("Deadline", "string", ".status.nextDeadline", 0),
            _AGE,
            ("Policy", "string", ".spec.policyRef.name", 1),
            ("Origin", "string", ".spec.origin", 1),
            ("Containment", "string", _condition("Contained", "reason"), 1),
            ("Parent", "string", ".status.parent", 1),
            ("Clock", "string", ".status.clock", 1),
        ),
        (".spec.model", ".spec.policyRef.name", ".spec.origin"),
    ),
    Kind(
        Decision,
        "decisions",
        "dec",
        (
            ("Type", "string", ".spec.type", 0),
            ("By", "string", ".spec.by", 0),
            ("Incident", "string", ".spec.incidentRef.name", 0),
            ("Option", "string", ".spec.option", 0),
            _AGE,
            ("Policy", "string", ".spec.policyRef.name", 1),
            ("Reason", "string", ".spec.reason", 1),
        ),
        (".spec.type", ".spec.by", ".spec.incidentRef.name", ".spec.policyRef.name"),
    ),
    Kind(
        Responder,
        "responders",
        "resp",
        (
            ("On Duty", "string", ".status.onDuty", 0),
            ("Until", "string", ".status.until", 0),
            ("Ready", "string", _condition("Ready"), 0),
            ("Reason", "string", _condition("Ready", "reason"), 0),
            ("Staffed", "string", _condition("Staffed"), 0),
            _AGE,
            ("Message", "string", _condition("Ready", "message"), 1),
        ),
    ),
    Kind(
        MessageTemplate,
        "messagetemplates",
        "msgtmpl",
        (
            ("Audience", "string", ".spec.audience", 0),
            ("Phase", "string", ".spec.phase", 0),
            ("Ready", "string", _condition("Ready"), 0),
            ("Reason", "string", _condition("Ready", "reason"), 0),
            _AGE,
            ("Languages", "string", ".spec.texts[*].language", 1),
            ("Message", "string", _condition("Ready", "message"), 1),
        ),
        (".spec.audience", ".spec.phase"),
    ),
    Kind(
        Silence,
        "silences",
        "sil",
        (
            ("By", "string", ".spec.by", 0),
            ("From", "string", ".spec.from", 0),
            ("Until", "string", ".spec.until", 0),
            ("Reason", "string", ".spec.reason", 0),
            _AGE,
        ),
    ),
    Kind(
        LegalNote,
        "legalnotes",
        "lnote",
        (("Incident", "string", ".spec.incidentRef.name", 0), ("By", "string", ".spec.by", 0), _AGE),
        (".spec.incidentRef.name",),
        private=True,
    ),
    Kind(
        Message,
        "messages",
        "msg",
        (
            ("Audience", "string", ".spec.audience", 0),
            ("Phase", "string", ".spec.phase", 0),
            ("State", "string", ".status.state", 0),
            ("Waiting For", "string", ".status.waitingFor", 0),
            ("Incident", "string", ".spec.incidentRef.name", 0),
            _AGE,
            ("Template", "string", ".spec.templateRef.name", 1),
            ("Digest", "string", ".status.digest", 1),
        ),
        (".spec.incidentRef.name", ".spec.audience"),
        private=True,
    ),
)


def definition(kind: Kind) -> Schema:
    """The CustomResourceDefinition of a kind; raises SchemaError when a bound or a description is missing."""
    raw = kind.model.model_json_schema(by_alias=True, schema_generator=_Generator)
    schema = _structural(raw, raw.get("$defs", {}))
    has_status = "status" in schema["properties"]
    schema["properties"] = {
        "apiVersion": {"type": "string", "description": f"Always {GROUP}/{VERSION}."},
        "kind": {"type": "string", "description": f"Always {kind.name}."},
        "metadata": {"type": "object"},
        **{name: part for name, part in schema["properties"].items() if name in ("spec", "status")},
    }
    schema["required"] = ["spec"]
    schema["properties"].get("status", {}).pop("default", None)
    if lacks := [fault for part in ("spec", "status") for fault in _faults(part, schema["properties"].get(part))]:
        raise SchemaError(f"{kind.name}: " + "; ".join(lacks))
    singular = kind.name.lower()
    version: Schema = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": [
            {"name": name, "type": type_, "jsonPath": path, **({"priority": priority} if priority else {})}
            for name, type_, path, priority in kind.columns
        ],
        **({"selectableFields": [{"jsonPath": path} for path in kind.selectable]} if kind.selectable else {}),
        **({"subresources": {"status": {}}} if has_status else {}),
        "schema": {"openAPIV3Schema": schema},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}", "labels": {"app.kubernetes.io/part-of": "tocsin"}},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": singular,
                "shortNames": [kind.short],
                **({} if kind.private else {"categories": ["tocsin"]}),
            },
            "versions": [version],
        },
    }


def _structural(raw: Mapping[str, Any], defs: Mapping[str, Any]) -> Schema:
    """The same schema without references, nulls, unions and constants, as a CRD must have it."""
    flat = _resolved(raw, defs)
    if "const" in flat:
        flat["enum"] = [flat["const"]]
    schema: Schema = {name: flat[name] for name in _KEPT if name in flat}
    match schema.get("type"):
        case "object" if "properties" in flat:
            schema["properties"] = {name: _structural(part, defs) for name, part in flat["properties"].items()}
        case "object":
            keyed = flat.get("patternProperties", {})
            values = next(iter(keyed.values()), flat.get("additionalProperties", {}))
            schema["additionalProperties"] = _structural(values, defs)
            schema |= {"x-kubernetes-validations": [_key_rule(pattern) for pattern in keyed]} if keyed else {}
        case "array":
            schema["items"] = _structural(flat["items"], defs)
            schema.setdefault("x-kubernetes-list-type", "atomic")
        case "integer":
            schema["format"] = "int64"
    default = _without_nulls(schema.pop("default", None))
    if default not in (None, "", [], {}):
        schema["default"] = default
    return schema


def _resolved(raw: Mapping[str, Any], defs: Mapping[str, Any]) -> Schema:
    """What a reference and an optional stand for; what is said beside them wins over what they say."""
    flat = dict(raw)
    while "$ref" in flat or "anyOf" in flat:
        if "$ref" in flat:
            inner = defs[flat.pop("$ref").rsplit("/", 1)[-1]]
        else:
            members = [member for member in flat.pop("anyOf") if member != {"type": "null"}]
            if len(members) != 1:
                raise SchemaError(f"a union of {len(members)} types cannot be structural: {members}")
            inner = members[0]
        flat = {**inner, **flat}
    return flat


def _key_rule(pattern: str) -> dict[str, str]:
    return {"rule": f"self.all(key, key.matches('{pattern}'))", "message": f"each key must match {pattern}"}


def _without_nulls(value: Any) -> Any:
    match value:
        case dict():
            return {name: _without_nulls(part) for name, part in value.items() if part is not None}
        case list() | tuple():
            return [_without_nulls(part) for part in value]
    return value


def _faults(where: str, schema: Schema | None) -> Iterator[str]:
    """What keeps a schema from being bounded and explained; a closed list of values is its own bound."""
    if schema is None:
        return
    kind = schema.get("type")
    bound = _BOUND.get(str(kind))
    closed = "enum" in schema or "properties" in schema or schema.get("format") == "date-time"
    if kind is None:
        yield f"{where} has no type"
    if bound and not closed and bound not in schema:
        yield f"{where} has no {bound}"
    for name, part in schema.get("properties", {}).items():
        if not part.get("description"):
            yield f"{where}.{name} has no description"
        yield from _faults(f"{where}.{name}", part)
    items = schema.get("items")
    yield from _faults(f"{where}[]", items)
    yield from _faults(f"{where}{{}}", schema.get("additionalProperties"))
    for key in schema.get("x-kubernetes-list-map-keys", ()):
        if key not in (items or {}).get("required", ()):
            yield f"{where}[].{key} is the key of a list and must be required"


class _Plain(yaml.SafeDumper):
    """YAML in which equal parts are written out."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def files() -> dict[str, str]:
    """The content of crds/, by file name."""
    return {
        f"{kind.plural}.yaml": _HEADER + yaml.dump(definition(kind), Dumper=_Plain, sort_keys=False, width=120)
        for kind in KINDS
    }


def main(arguments: list[str] | None = None) -> int:
    """Write the definitions, or tell which are not fresh."""
    parser = argparse.ArgumentParser(prog="python -m tocsin.api.schema", description="The definitions of the kinds.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--write", type=Path, nargs="+", metavar="DIR", help="write one file per kind into each")
    what.add_argument(
        "--check", type=Path, nargs="+", metavar="DIR", help="fail unless the files are what would be written"
    )
    chosen = parser.parse_args(arguments)
    if chosen.write:
        for folder in chosen.write:
            for name, text in files().items():
                (folder / name).write_text(text)
        return 0
    stale = [name for folder in chosen.check for name in stale_files(folder)]
    if stale:
        sys.stderr.write(f"not fresh: {', '.join(stale)}; run `make generate`\n")
    return 1 if stale else 0


def stale_files(folder: Path) -> list[str]:
    """The files in the folder that are missing, different or left over."""
    made = files()
    there = {path.name: path.read_text() for path in folder.glob("*.yaml")}
    return sorted(str(folder / name) for name in made.keys() | there.keys() if made.get(name) != there.get(name))


if __name__ == "__main__":
    raise SystemExit(main())
