"""What stands in a user's files: a policy and the people beside it, templates, or in words what is wrong with them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from tocsin.api.checks import check
from tocsin.api.policy import EscalationPolicy, EscalationPolicySpec, PolicyModel
from tocsin.api.responder import Responder, ResponderSpec
from tocsin.api.silence import Silence, SilenceSpec
from tocsin.api.template import MessageTemplate, MessageTemplateSpec
from tocsin.settings import UNREADABLE


class Mistake(Exception):
    """The user has to change something; each line says what and how."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))


def documents(path: Path, *, numbers: bool = True) -> list[Any]:
    """The YAML documents of a file, the empty ones left out; without ``numbers`` every scalar is its text.

    ``-`` is what comes in on standard input.
    """
    try:
        text = sys.stdin.read() if path == Path("-") else path.read_text()
    except (OSError, UnicodeDecodeError) as bad:
        raise Mistake(f"{path}: cannot be read: {bad}") from bad
    try:
        loader: Any = yaml.SafeLoader if numbers else yaml.BaseLoader
        return [one for one in yaml.load_all(text, Loader=loader) if one]
    except UNREADABLE as bad:
        raise Mistake(f"{path}: is not YAML: {bad}") from bad


def load_policy(path: Path) -> tuple[EscalationPolicy, dict[str, Responder]]:
    """The one policy of a file, and the Responders that stand beside it."""
    found = documents(path)
    policies = [one for one in found if _kind(one) == "EscalationPolicy"]
    if len(policies) != 1:
        raise Mistake(
            f"{path}: holds {len(policies)} objects of kind EscalationPolicy, exactly one is needed",
            f"any number is checked by: kubectl tocsin lint {path}",
        )
    problems = check(policies[0], EscalationPolicySpec)
    if problems:
        raise Mistake(*(f"{path}: {problem}" for problem in problems))
    return EscalationPolicy.model_validate(policies[0]), _responders(path, found)


Ours = EscalationPolicy | Responder | MessageTemplate | Silence
_Spec = EscalationPolicySpec | ResponderSpec | MessageTemplateSpec | SilenceSpec
_KINDS: dict[str, tuple[type[Ours], type[_Spec]]] = {
    "EscalationPolicy": (EscalationPolicy, EscalationPolicySpec),
    "Responder": (Responder, ResponderSpec),
    "MessageTemplate": (MessageTemplate, MessageTemplateSpec),
    "Silence": (Silence, SilenceSpec),
}
"""By kind: what an object is read as, and what its spec is held to."""


def load_all(path: Path) -> list[Ours]:
    """All policies, Responders, templates and Silences of a file; a Mistake has a line for each problem of each."""
    made: list[Ours] = []
    problems: list[str] = []
    for raw in documents(path):
        if _kind(raw) not in _KINDS:
            continue
        model, spec = _KINDS[_kind(raw)]
        wrong = check(raw, spec)
        problems += [f"{path}: {_name(raw)}: {one}" for one in wrong]
        if not wrong:
            made.append(model.model_validate(raw))
    if problems:
        raise Mistake(*problems)
    return made


def _name(raw: Any) -> str:
    metadata = raw.get("metadata")
    return f"{_kind(raw).lower()}/{metadata.get('name') if isinstance(metadata, dict) else ''}"


def load_template(path: Path) -> MessageTemplate:
    """The one template of a file."""
    found = [one for one in load_all(path) if isinstance(one, MessageTemplate)]
    if len(found) != 1:
        raise Mistake(f"{path}: holds {len(found)} objects of kind MessageTemplate, exactly one is needed")
    return found[0]


def load_responders(paths: Iterable[Path]) -> dict[str, Responder]:
    """The Responders of some files, by name."""
    roster: dict[str, Responder] = {}
    for path in paths:
        found = _responders(path, documents(path))
        if not found:
            raise Mistake(f"{path}: holds no object of kind Responder: leave it out, or give a file that does")
        roster |= found
    return roster


def _responders(path: Path, found: Sequence[Any]) -> dict[str, Responder]:
    raw = [one for one in found if _kind(one) == "Responder"]
    problems = [problem for one in raw for problem in check(one, ResponderSpec)]
    if problems:
        raise Mistake(*(f"{path}: {problem}" for problem in problems))
    made = [Responder.model_validate(one) for one in raw]
    return {one.metadata.name: one for one in made}


def _kind(raw: Any) -> str:
    return str(raw.get("kind", "")) if isinstance(raw, dict) else ""


def choose_model(policy: EscalationPolicy, name: str | None) -> PolicyModel:
    """The model that is meant; it may be left out where there is only one."""
    names = [model.name for model in policy.spec.models]
    if name is None and len(names) == 1:
        return policy.spec.models[0]
    if name not in names:
        raise Mistake(f"--model: choose one of {', '.join(names)}")
    return policy.spec.models[names.index(name)]
