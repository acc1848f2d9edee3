"""What a message says: a template, with what is true of an incident, in each of its languages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NoReturn

from jinja2 import Undefined, UndefinedError
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tocsin.api.clock import ClockState
from tocsin.api.containment import Option
from tocsin.api.incident import Incident, IncidentStatus, OptionState, SignalState, SignalStatus
from tocsin.api.objects import Finding, clip, stamp
from tocsin.api.policy import Rules, SignalKind
from tocsin.api.template import (
    IncidentType,
    MessageTemplate,
    MessageTemplateSpec,
    MessageTemplateStatus,
    TemplateText,
)
from tocsin.decide.context import VALUES, Sort, Variable, open_to
from tocsin.decide.felt import option_of
from tocsin.decide.phrasing import cleaned, estimate_in, fact_in_text, in_words, printable, time_in
from tocsin.decide.severity import UNKNOWN
from tocsin.decide.syntax import FILTERS, UNPARSED, Problem, Reason, problems_of, without_standing
from tocsin.decide.workload import canonical, sha256

SUBJECT_LIMIT = 200
"""Characters, on one line."""
VALUE_LIMIT = 1024
"""Characters, as in a template."""
BODY_LIMIT = 16 * 1024
"""Bytes in UTF-8."""


@dataclass(frozen=True, slots=True)
class RenderedText:
    """A message in one language."""

    language: str
    subject: str
    body: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """A whole message, as it would be sent."""

    texts: tuple[RenderedText, ...]
    digest: str
    """Of the texts: what an approval binds to."""
    talking_points: tuple[str, ...] = ()
    """What somebody who is asked may say; not a part of the message."""


@dataclass(frozen=True, slots=True)
class Unrenderable:
    """Why there is no message."""

    reason: str
    message: str


class _Unwritten(Exception):
    """Ends the rendering of one message."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.said = Unrenderable(reason, message)


class _NotYet(Undefined):
    """A documented variable that has nothing to say yet: it is false in ``if``, and an error where it is shown."""

    def __str__(self) -> str:
        self._not_yet()

    def __iter__(self) -> NoReturn:
        self._not_yet()

    def _not_yet(self) -> NoReturn:
        raise UndefinedError(
            f"{self._undefined_name} is not known yet: put it into {{% if {self._undefined_name} %}}, or write"
            f" {{{{ {self._undefined_name} | default('…') }}}}"
        )


class _Environment(ImmutableSandboxedEnvironment):
    """Attributes are entries of the context, and nothing else: Python is out of reach even where a check has failed."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, LoopContext) and attribute in ("first", "last"):
            return getattr(obj, attribute)
        return obj[attribute] if isinstance(obj, dict) and attribute in obj else self.undefined(name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        return self.undefined(name=str(argument))

    def is_safe_callable(self, obj: Any) -> bool:
        return False


def _default(value: Any, otherwise: str) -> str:
    return otherwise if isinstance(value, Undefined) else str(value)


_CASES = {
    "capitalize": lambda value: str(value)[:1].upper() + str(value)[1:],
    "default": _default,
    "lower": lambda value: str(value).lower(),
    "upper": lambda value: str(value).upper(),
}


def _environment() -> _Environment:
    made = _Environment(undefined=_NotYet, lstrip_blocks=True, autoescape=False, cache_size=0)
    made.globals.clear()
    made.tests.clear()
    made.filters.clear()
    made.filters.update({name: _CASES[name] for name in FILTERS})
    return made


_JINJA = _environment()


def problems(spec: MessageTemplateSpec) -> tuple[tuple[str, Problem], ...]:
    """All that is wrong with a template by itself, and in which of its fields."""
    found: list[tuple[str, Problem]] = []
    names = [one.name for one in spec.values]
    for where, language, source in _sources(spec):
        wrong = problems_of(_JINJA, source, spec.audience, language, names)
        if not source.strip():
            wrong = (Problem(Reason.INCOMPLETE, "it is blank: write the text, or leave the language out"),)
        found += [(where, one) for one in wrong]
    return tuple(found)


def report_template(template: MessageTemplate, now: datetime) -> MessageTemplateStatus:
    """The status of a template: whether its texts can be rendered, and what is wrong with them."""
    generation, found = template.metadata.generation, problems(template.spec)
    languages = ", ".join(text.language for text in template.spec.texts)
    finding = Finding(type="Ready", status="True", reason="Renderable", message=f"its texts are sound: {languages}")
    if found:
        message = "; ".join(f"{where}, {problem.message}" for where, problem in found[:8])
        finding = Finding(type="Ready", status="False", reason=found[0][1].reason, message=clip(message, 1024))
    conditions = stamp([finding], template.status.conditions, now, generation)
    return MessageTemplateStatus(observed_generation=generation, conditions=conditions)


def _sources(spec: MessageTemplateSpec) -> Iterator[tuple[str, str, str]]:
    """Each piece of template: its field, its language, its text."""
    for place, text in enumerate(spec.texts):
        yield f"spec.texts[{place}].subject", text.language, text.subject
        yield f"spec.texts[{place}].body", text.language, text.body
    for place, point in enumerate(spec.talking_points):
        yield f"spec.talkingPoints[{place}]", spec.texts[0].language, point


def type_of(incident: Incident, rules: Rules) -> IncidentType:
    """What kind of trouble it is: harm that somebody reported, else the worst that its signals can be a sign of.

    A signal counts from its breach to the end of the episode, so that a recovery does not change the type.
    """
    if incident.spec.harm:
        return IncidentType.HARM
    kinds = {one.name: one.kind for one in rules.signals}
    seen = {_TYPES[kinds[one.name]] for one in incident.status.signals if one.name in kinds and _was_bad(one)}
    return next((one for one in IncidentType if one in seen), IncidentType.DRIFT)


def _was_bad(signal: SignalStatus) -> bool:
    return signal.sustained or signal.missing or signal.state is SignalState.RECOVERED


_TYPES = {
    SignalKind.SAFETY: IncidentType.HARM,
    SignalKind.FAIRNESS: IncidentType.BIAS,
    SignalKind.LATENCY: IncidentType.OUTAGE,
    SignalKind.ERRORS: IncidentType.OUTAGE,
    SignalKind.VOLUME: IncidentType.OUTAGE,
    SignalKind.QUALITY: IncidentType.DRIFT,
    SignalKind.DATA_QUALITY: IncidentType.DRIFT,
    SignalKind.DRIFT: IncidentType.DRIFT,
    SignalKind.FRESHNESS: IncidentType.DRIFT,
    SignalKind.CUSTOM: IncidentType.DRIFT,
}


def message_facts(
    incident: Incident,
    rules: Rules,
    now: datetime,
    values: Mapping[str, str],
    *,
    next_update_at: datetime | None = None,
) -> Mapping[str, object]:
    """All that a message of any audience may say of an incident, by the variable's path; what is None is not known.

    ``values`` are the organisation's words that a person supplied for this message.
    """
    status, kinds = incident.status, {one.name: one.kind for one in rules.signals}
    holding = _holding(status)
    judged = status.classification
    option = option_of(rules, holding[1]) if holding else None
    effect = option.effect if option else None
    return {
        "incident.name": incident.metadata.name,
        "incident.type": type_of(incident, rules).value,
        "incident.severity": status.severity and status.severity.value,
        "incident.risk": None if status.risk is None else str(status.risk),
        "incident.detectedTime": incident.metadata.creation_timestamp or status.opened_time,
        "incident.openedTime": status.opened_time,
        "incident.containedTime": holding and holding[0],
        "incident.recoveredTime": status.recovered_time,
        "incident.resolvedTime": status.resolved_time,
        "incident.contained": holding is not None,
        "incident.recovered": status.recovered_time is not None,
        "incident.resolved": status.resolved_time is not None,
        "model.name": rules.model.name,
        "model.namespace": incident.metadata.namespace,
        "model.inventoryId": rules.model.inventory_id,
        "model.version": rules.model.version,
        "containment.action": action_of(option) if option else None,
        "containment.summary": holding and holding[2],
        "containment.experience": effect and effect.experience,
        "containment.fallback": effect and effect.fallback,
        "affected.band": _band(status),
        "next.updateTime": next_update_at,
        "next.step": status.waiting_for,
        "next.deadlineTime": status.next_deadline_time,
        "tier.name": status.tier,
        "lead.user": status.lead and status.lead.user,
        "classification.impact": judged and judged.impact.value,
        "classification.legalExposure": judged and judged.legal_exposure.value,
        "classification.materiality": judged and judged.materiality.value,
        "signals": [
            {"name": one.name, "kind": kinds[one.name].value}
            for one in status.signals
            if (one.sustained or one.missing) and one.name in kinds
        ],
        "clocks": _clocks(status),
        "message.time": now,
        VALUES: dict(values),
    }


def _clocks(status: IncidentStatus) -> list[Mapping[str, object]]:
    """The legal clocks that run, a missed one among them: it is still owed."""
    running = [one for one in status.clocks if one.state in (ClockState.RUNNING, ClockState.MISSED) and one.deadline]
    return [{"name": one.name, "deadlineTime": one.deadline} for one in running]


def _holding(status: IncidentStatus) -> tuple[datetime, str, str] | None:
    """Of the containment that holds: since when, the option, and what was written."""
    states = (OptionState.EXECUTED, OptionState.HELPED, OptionState.CANNOT_TELL)
    return next(
        (
            (one.settled_time, one.name, one.summary)
            for one in status.containment
            if one.settled_time and one.state in states
        ),
        None,
    )


def action_of(option: Option) -> str:
    """What an option does to a model, as far as it matters to those who are told."""
    if option.scale is None:
        return option.type
    return "Limit" if option.scale.replicas else "Stop"


_BANDS = ("Under10", "Under1000", "Under10000", "Under100000", "From100000")


def _band(status: IncidentStatus) -> str:
    """How many decisions are affected, out of the term of the score: a fifth of the twenty points for each band."""
    term = next((one for one in status.score.terms if one.name == "affected"), None) if status.score else None
    if term is None or term.because.endswith(UNKNOWN):
        return "Unknown"
    return _BANDS[min(max(int(term.value / 5), 0), 4)]


def render(spec: MessageTemplateSpec, facts: Mapping[str, object]) -> Rendered | Unrenderable:
    """The message in all its languages, or why there is none; the same facts always give the same bytes."""
    for where, problem in problems(spec):
        return Unrenderable(problem.reason, f"{where}, {problem.message}")
    type_ = str(facts["incident.type"])
    if spec.incident_types and type_ not in spec.incident_types:
        meant = ", ".join(spec.incident_types)
        return Unrenderable(Reason.NOT_FOR_TYPE, f"the incident is of type {type_}, the template is for {meant}")
    try:
        values = _values(spec, facts)
        texts = tuple(_text(spec, text, facts, values) for text in spec.texts)
        first = spec.texts[0].language
        context = _context(spec, facts, values, first)
        points = tuple(
            _line(_written(f"talkingPoints[{place}]", point, context, BODY_LIMIT))
            for place, point in enumerate(spec.talking_points)
        )
    except _Unwritten as unwritten:
        return unwritten.said
    return Rendered(texts, digest_of(texts), points)


def digest_of(texts: tuple[RenderedText, ...]) -> str:
    """The sha256 of the canonical JSON of the texts."""
    return sha256(canonical([{"language": one.language, "subject": one.subject, "body": one.body} for one in texts]))


def _values(spec: MessageTemplateSpec, facts: Mapping[str, object]) -> dict[str, str]:
    """The organisation's words: those that were supplied, else those of the template; every one must be there."""
    supplied: Any = facts[VALUES]
    declared = {one.name: one.value for one in spec.values}
    for name in supplied:
        if name not in declared:
            known = ", ".join(declared) or "none"
            raise _Unwritten(Reason.VALUE_UNKNOWN, f"values.{name}: the template has no such value; it has {known}")
    found = {name: supplied.get(name, value) for name, value in declared.items()}
    for name, value in found.items():
        if not value:
            raise _Unwritten(
                Reason.VALUE_MISSING, f"values.{name}: supply it for this message, or set its value in the template"
            )
        if len(value) > VALUE_LIMIT:
            raise _Unwritten(
                Reason.TOO_LONG, f"values.{name}: {len(value)} characters, at most {VALUE_LIMIT}: shorten it"
            )
    return {name: cleaned(value) for name, value in found.items()}


def _text(
    spec: MessageTemplateSpec, text: TemplateText, facts: Mapping[str, object], values: Mapping[str, str]
) -> RenderedText:
    context = _context(spec, facts, values, text.language)
    where = f"texts[{text.language}]"
    subject = _line(_written(f"{where}.subject", text.subject, context, BODY_LIMIT))
    if len(subject) > SUBJECT_LIMIT:
        raise _Unwritten(
            Reason.TOO_LONG, f"{where}.subject: {len(subject)} characters, at most {SUBJECT_LIMIT}: shorten it"
        )
    body = printable(_written(f"{where}.body", text.body, context, BODY_LIMIT))
    for field, made in (("subject", subject), ("body", body)):
        if not made.strip():
            raise _Unwritten(Reason.INCOMPLETE, f"{where}.{field}: nothing is left of it for this incident")
    return RenderedText(text.language, subject, body)


def _line(text: str) -> str:
    return " ".join(printable(text).split())


def _written(where: str, source: str, context: Mapping[str, Any], limit: int) -> str:
    """The text, made piece by piece: whatever would be longer is not made to its end."""
    pieces, size = [], 0
    try:
        for piece in _JINJA.from_string(without_standing(source)).generate(context):
            size += len(piece.encode(errors="replace"))
            if size > limit:
                raise _Unwritten(Reason.TOO_LONG, f"{where}: longer than {limit // 1024} KiB: shorten it")
            pieces.append(piece)
    except UndefinedError as missing:
        raise _Unwritten(Reason.NOT_KNOWN_YET, f"{where}: {missing.message}") from missing
    except UNPARSED as bad:
        raise _Unwritten(Reason.SYNTAX_INVALID, f"{where}: it cannot be rendered: {type(bad).__name__}") from bad
    return "".join(pieces)


def _context(
    spec: MessageTemplateSpec, facts: Mapping[str, object], values: Mapping[str, str], language: str
) -> dict[str, Any]:
    """The variables of an audience, in the words of a language."""
    made: dict[str, Any] = {VALUES: dict(values)}
    variables = open_to(spec.audience)
    known = {**facts, "remediation.estimate": spec.remediation_window}
    for path, variable in variables.items():
        if "[]" in path:
            continue
        if variable.sort is Sort.LIST:
            parts = [one for other, one in variables.items() if other.startswith(f"{path}[].")]
            items: Any = facts[path]
            made[path] = [_item(path, parts, item, language) for item in items]
        else:
            group, _, name = path.partition(".")
            made.setdefault(group, {})[name] = _told(variable, path, known[variable.source or path], language)
    return made


def _item(path: str, parts: list[Variable], item: Mapping[str, object], language: str) -> dict[str, Any]:
    """One entry of a list."""
    made = {}
    for one in parts:
        name = one.path.removeprefix(f"{path}[].")
        made[name] = _told(one, name, item[(one.source or one.path).removeprefix(f"{path}[].")], language)
    return made


def _told(variable: Variable, path: str, fact: object, language: str) -> object:
    """A fact as a text of a language shows it."""
    match variable.sort, fact:
        case Sort.FLAG, _:
            return bool(fact)
        case _, None | "":
            return _NotYet(name=path)
        case Sort.WORDS, str() if variable.table:
            return in_words(language, variable.table, fact)
        case Sort.TIME, datetime():
            return time_in(language, fact)
        case Sort.ESTIMATE, timedelta():
            return estimate_in(language, fact)
    return fact_in_text(str(fact))
