"""What is wrong with an object before it meets an API server, said as ``spec.signals[0].critical: …`` with the fix.

The models hold most rules; the few that only the API server's CEL and list types hold are repeated here. A test holds
every row that the real API server refuses against this module.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from tocsin.api.containment import ANOTHER_API, FELT, MEMBER, UNTOLD, Option, cannot
from tocsin.api.objects import API_VERSION, LATER
from tocsin.api.policy import (
    EVERY_ALONE,
    NO_TIER,
    TIER_ALONE,
    TOO_MANY,
    TOO_OFTEN,
    UNHEARD,
    UNSERVED,
    EscalationPolicySpec,
    Signal,
    When,
)
from tocsin.api.quantities import Comparison
from tocsin.api.responder import ResponderSpec
from tocsin.api.silence import LONGEST, UNBOUNDED, MatchOperator, SilenceSpec
from tocsin.api.template import BY_SENDER, ONE_APPROVAL, TO_PEOPLE, TWO_APPROVALS, Audience, MessageTemplateSpec
from tocsin.api.workload import WORKLOADS

Model = TypeVar("Model", bound=BaseModel)

_TOP = ("apiVersion", "kind", "metadata", "spec", "status")


def check(raw: Any, spec: type[EscalationPolicySpec | ResponderSpec | MessageTemplateSpec | SilenceSpec]) -> list[str]:
    """The problems of an object as it stands in a file, given what its spec is; none when the API server takes it."""
    if not isinstance(raw, dict):
        return ["the object is not a mapping: write apiVersion, kind, metadata and spec"]
    problems = [f"{key}: unknown field, one of {', '.join(_TOP)} is meant" for key in raw if key not in _TOP]
    if raw.get("apiVersion") != API_VERSION:
        problems.append(f"apiVersion: {raw.get('apiVersion')!r} is not {API_VERSION}")
    metadata = raw.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        problems.append("metadata.name: give it a name")
    found, wrong = strict(raw.get("spec"), spec, "spec")
    problems += wrong
    match found:
        case EscalationPolicySpec():
            problems += _policy_problems(found)
        case ResponderSpec():
            problems += _responder_problems(found)
        case MessageTemplateSpec():
            problems += _template_problems(found)
        case SilenceSpec():
            problems += silence_problems(found)
    return problems


def strict(raw: Any, model: type[Model], root: str) -> tuple[Model | None, list[str]]:
    """Read a value, with every unknown field a problem."""
    try:
        return model.model_validate(raw, extra="forbid"), []
    except ValidationError as bad:
        errors = bad.errors(include_url=False)
    places = [error["loc"] for error in errors]
    real = [error for error in errors if not _follows(error["type"], error["loc"], places)]
    return None, [f"{_path(root, error['loc'])}: {_words(error, model)}" for error in real]


def _follows(kind: str, place: Sequence[Any], places: Iterable[Sequence[Any]]) -> bool:
    """A list is said to be too short when its only item is wrong: that is the item's problem."""
    return kind == "too_short" and any(one[: len(place)] == place and len(one) > len(place) for one in places)


def _path(root: str, place: Sequence[Any]) -> str:
    return root + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place if step != "[key]")


def _words(error: Any, model: type[BaseModel]) -> str:
    match error["type"]:
        case "extra_forbidden":
            word = str(error["loc"][-1])
            near = difflib.get_close_matches(word, sorted(_names_at(model, error["loc"][:-1])), n=1, cutoff=0.7)
            near = near or difflib.get_close_matches(word, sorted(_names(model)), n=1, cutoff=0.7)
            return f"unknown field{f', did you mean {near[0]}?' if near else ''}"
        case "missing":
            return "is required"
        case "too_short":
            return f"needs at least {error['ctx']['min_length']}"
        case _:
            said: str = error["msg"].removeprefix("Value error, ")
            return said[0].lower() + said[1:] if said.startswith(("Input", "String")) else said


def _names_at(model: type[BaseModel], place: Sequence[Any]) -> Iterator[str]:
    """The names of the fields just there."""
    for step in place:
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        if isinstance(step, str) and step in fields:
            model = next(_models_in(fields[step].annotation), model)
    yield from (field.alias or name for name, field in model.model_fields.items())


def _names(model: type[BaseModel]) -> Iterator[str]:
    """The names of the fields of a model, and of all that is in it."""
    for name, field in model.model_fields.items():
        yield field.alias or name
        for inner in _models_in(field.annotation):
            yield from _names(inner)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from _models_in(inner)


def _policy_problems(spec: EscalationPolicySpec) -> list[str]:
    problems = []
    for field, names in (
        ("models", [one.name for one in spec.models]),
        ("signals", [one.name for one in spec.signals]),
        ("containment", [one.name for one in spec.containment]),
        ("freezes", [one.name for one in spec.freezes]),
        ("tiers", [one.name for one in spec.tiers]),
    ):
        problems += _twice(f"spec.{field}", "name", names)
    problems += _twice("spec.clocks", "preset", [one.preset for one in spec.clocks])
    for place, model in enumerate(spec.models):
        problems += _twice(f"spec.models[{place}].upstream", "", model.upstream)
        if model.floor and model.target is None:
            problems.append(f"spec.models[{place}]: {UNSERVED}")
    for place, signal in enumerate(spec.signals):
        problems += [f"spec.signals[{place}].{problem}" for problem in _signal_problems(signal)]
    for place, tier in enumerate(spec.tiers):
        for part in ("responsible", "consulted", "informed"):
            problems += _twice(f"spec.tiers[{place}].{part}", "", getattr(tier, part))
        problems += _twice(f"spec.tiers[{place}].questions", "name", [one.name for one in tier.questions])
        for number, one in enumerate(tier.questions):
            problems += _twice(f"spec.tiers[{place}].questions[{number}].options", "", one.options)
        if len(tier.responsible) + len(tier.consulted) + len(tier.informed) > 7:
            problems.append(f"spec.tiers[{place}]: {TOO_MANY}")
        if tier.questions and tier.decide_within is None:
            problems.append(f"spec.tiers[{place}]: {UNHEARD}")
    for place, option in enumerate(spec.containment):
        problems += [f"spec.containment[{place}].{problem}" for problem in _option_problems(option)]
    problems += [f"spec.freezes[{n}]: {LATER}" for n, one in enumerate(spec.freezes) if one.from_ >= one.until]
    problems += _messages_problems(spec)
    if spec.containment and not any(model.target for model in spec.models):
        problems.append("spec.containment: containment needs a target: set models[].target")
    problems += [
        f"spec.models[{place}].target: {ANOTHER_API}"
        for place, model in enumerate(spec.models)
        if model.target and model.target.api_version != WORKLOADS[model.target.kind].api_version
    ]
    kinds = sorted({model.target.kind for model in spec.models if model.target})
    problems += [
        f"spec.containment[{place}].type: {cannot(kind)}"
        for place, option in enumerate(spec.containment)
        for kind in kinds
        if option.type not in WORKLOADS[kind].can
    ]
    return problems


def _messages_problems(spec: EscalationPolicySpec) -> Iterator[str]:
    yield from _twice("spec.messages", "name", [one.name for one in spec.messages])
    tiers = {tier.name for tier in spec.tiers}
    for place, message in enumerate(spec.messages):
        where = f"spec.messages[{place}]"
        if (message.when is When.TIER_ENTERED) != (message.tier is not None):
            yield f"{where}: {TIER_ALONE}"
        elif message.tier and message.tier not in tiers:
            yield f"spec: {NO_TIER}"
        if (message.when is When.EVERY) != (message.every is not None):
            yield f"{where}: {EVERY_ALONE}"
        elif message.every is not None and message.every < timedelta(minutes=1):
            yield f"{where}: {TOO_OFTEN}"


def _responder_problems(spec: ResponderSpec) -> Iterator[str]:
    yield from _twice("spec.members", "user", [member.user for member in spec.members])
    yield from _twice("spec.channels", "name", [channel.name for channel in spec.channels])
    spans: list[tuple[str, Any, Any]] = []
    for place, member in enumerate(spec.members):
        where = f"spec.members[{place}]"
        yield from _twice(f"{where}.channels", "name", [channel.name for channel in member.channels])
        spans += [(f"{where}.absences[{number}]", one.from_, one.until) for number, one in enumerate(member.absences)]
    if spec.rotation:
        swaps = enumerate(spec.rotation.overrides)
        spans += [(f"spec.rotation.overrides[{number}]", one.from_, one.until) for number, one in swaps]
    if spec.working_hours:
        spans.append(("spec.workingHours", spec.working_hours.from_, spec.working_hours.until))
    yield from (f"{where}: {LATER}" for where, began, ended in spans if began >= ended)


def _template_problems(spec: MessageTemplateSpec) -> Iterator[str]:
    yield from _twice("spec.texts", "language", [text.language for text in spec.texts])
    yield from _twice("spec.values", "name", [value.name for value in spec.values])
    yield from _twice("spec.incidentTypes", "", spec.incident_types)
    yield from _twice("spec.approvals", "", spec.approvals)
    yield from _twice("spec.to", "", spec.to)
    outside = spec.audience in (Audience.CUSTOMERS, Audience.PARTNERS, Audience.MEDIA)
    if spec.to and spec.audience not in (Audience.INTERNAL, Audience.EXECUTIVES):
        yield f"spec: {TO_PEOPLE}"
    if spec.sender and not outside:
        yield f"spec: {BY_SENDER}"
    if outside and not spec.approvals:
        yield f"spec: {ONE_APPROVAL}"
    if spec.audience is Audience.REGULATORS and len(spec.approvals) < 2:
        yield f"spec: {TWO_APPROVALS}"


def silence_problems(spec: SilenceSpec) -> Iterator[str]:
    """What the API server would say of a Silence."""
    for place, one in enumerate(spec.matchers):
        yield from _twice(f"spec.matchers[{place}].values", "", one.values)
    if spec.from_ >= spec.until:
        yield f"spec: {LATER}"
    elif spec.until - spec.from_ > timedelta(hours=720):
        yield f"spec: {LONGEST}"
    named = any(one.operator is MatchOperator.IN for one in spec.matchers)
    if bool(spec.matchers) if spec.everything else not named:
        yield f"spec: {UNBOUNDED}"


def _twice(field: str, key: str, values: Sequence[str]) -> list[str]:
    return [
        f"{field}[{place}]{key and f'.{key}'}: {value} is there already"
        for place, value in enumerate(values)
        if value in values[:place]
    ]


def _signal_problems(signal: Signal) -> Iterator[str]:
    warn, critical, recover = signal.warn, signal.critical, signal.recover
    if critical and critical.rises != warn.rises:
        yield "critical: critical must point the same way as warn: both '<' or both '>'"
    elif critical and not _beyond(critical, warn):
        yield "critical: critical must lie beyond warn: a worse value than warn's"
    if recover and recover.rises == warn.rises:
        yield "recover: recover must point the other way than warn: '>=' where warn is '<'"
    elif recover and _beyond(recover, warn):
        yield "recover: recover must lie on the good side of warn"
    elif recover and recover.holds(warn.threshold) and warn.holds(warn.threshold):
        yield "recover: recover must not hold where warn does: leave out one '='"
    if signal.every is not None and signal.every < timedelta(seconds=1):
        yield "every: every must be 1s or longer"


def _beyond(line: Comparison, warn: Comparison) -> bool:
    """Whether a line lies on the bad side of warn."""
    return line.threshold > warn.threshold if warn.rises else line.threshold < warn.threshold


def _option_problems(option: Option) -> Iterator[str]:
    if (option.roll_back and option.type != "RollBack") or (option.type == "Scale") != (option.scale is not None):
        yield f"type: {MEMBER}"
    if option.type in FELT and option.effect is None:
        yield f"effect: {UNTOLD}"
    fail_safe, expire = option.approval.fail_safe_after, option.approval.expire_after
    if fail_safe is not None and expire is not None and fail_safe >= expire:
        yield "approval.failSafeAfter: approval.failSafeAfter must be shorter than approval.expireAfter"
