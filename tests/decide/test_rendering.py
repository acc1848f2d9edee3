"""What does a template say of an incident, to whom, and what can it not say?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.builders import HOUR, T0, a_policy, an_incident, the_rules
from tocsin.api.clock import ClockState, ClockStatus
from tocsin.api.incident import Incident, IncidentStatus
from tocsin.api.policy import Rules
from tocsin.api.quantities import format_time
from tocsin.api.template import Audience, IncidentType, MessageTemplate, MessageTemplateSpec
from tocsin.decide import rendering
from tocsin.decide.context import BY_PATH, GROUPS, VARIABLES, Sort
from tocsin.decide.phrasing import LONGEST_FACT, WORDED, cleaned, estimate_in, in_words, phrases, printable, time_in
from tocsin.decide.rendering import (
    BODY_LIMIT,
    SUBJECT_LIMIT,
    Rendered,
    RenderedText,
    Unrenderable,
    digest_of,
    message_facts,
    problems,
    render,
    report_template,
    type_of,
)
from tocsin.decide.syntax import Reason
from tocsin.decide.workload import canonical, sha256

SIGNALS = [
    {"name": "latency", "kind": "Latency", "query": "p99", "warn": "> 0.3"},
    {"name": "psi", "kind": "Drift", "query": "psi", "warn": "> 0.1"},
    {"name": "ratio", "kind": "Fairness", "query": "ratio", "warn": "< 0.8"},
    {"name": "toxic", "kind": "Safety", "query": "toxic", "warn": "> 0.1"},
]
RULES = the_rules(
    a_policy(
        signals=SIGNALS,
        models=[
            {
                "name": "fraud",
                "target": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "fraud"},
                "inventoryId": "MRM-7",
            }
        ],
    )
)
HELD = {
    "name": "last-healthy",
    "type": "RollBack",
    "class": "B",
    "state": "Helped",
    "summary": "the template of fraud-1",
    "settledTime": format_time(T0 + 6 * timedelta(minutes=1)),
}
CONTAINED: dict[str, Any] = {
    "severity": "SEV2",
    "risk": 61,
    "opened_time": T0,
    "tier": "compliance",
    "lead": {"user": "alice", "time": T0, "because": "Acknowledged"},
    "waiting_for": "compliance: decide",
    "next_deadline_time": T0 + 4 * HOUR,
    "signals": [{"name": "psi", "state": "Firing", "sustained": True, "message": "0.3 beyond 0.1 {team=x}"}],
    "containment": [HELD],
}
VALUES = {"contact": "help@bank.example"}


def a_template(body: str = "x", **changes: Any) -> MessageTemplateSpec:
    fields: dict[str, Any] = {
        "audience": "Internal",
        "phase": "Initial",
        "approvals": ["a", "b"],
        "texts": [{"language": "en", "subject": "s", "body": body}],
        "values": [{"name": "contact", "value": "help@bank.example"}],
        "remediationWindow": "4h",
    }
    return MessageTemplateSpec.model_validate(fields | changes)


def facts(incident: Incident | None = None, values: dict[str, str] | None = None, **more: Any) -> Any:
    return message_facts(incident or an_incident(RULES, **CONTAINED), RULES, T0 + HOUR, values or {}, **more)


def said(body: str, *, of: Any = None, **changes: Any) -> str:
    """The body in the first language, or why there is none."""
    made = render(a_template(body, **changes), facts() if of is None else of)
    return made.texts[0].body if isinstance(made, Rendered) else f"{made.reason}: {made.message}"


# --- what is said


@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param("Model {{ model.name }}.", "Model fraud.", id="a variable"),
        pytest.param("{{ incident.openedTime }}", "23 November 2026, 09:00 UTC", id="a time in words, in UTC"),
        pytest.param(
            "{{ incident.severity }} is {{ incident.severityWords }}", "SEV2 is serious", id="a code, in words"
        ),
        pytest.param("{{ remediation.estimate }}", "about 4 hours (an estimate)", id="an estimate says what it is"),
        pytest.param("{{ values.contact }}", "help@bank.example", id="a value of the template"),
        pytest.param(
            "{{ containment.actionWords | capitalize }}.",
            "We went back to an earlier version of the system.",
            id="a filter",
        ),
        pytest.param("{{ incident.resolvedTime | default('not yet') }}", "not yet", id="a default"),
        pytest.param("{{ incident.severity | lower }}{{ model.name | upper }}", "sev2FRAUD", id="cases"),
        pytest.param(
            "{% for a in signals %}{{ a.name }}: {{ a.kindWords }}{% if not loop.last %}, {% endif %}{% endfor %}",
            "psi: a shift of the input or of the results",
            id="a list",
        ),
        pytest.param(
            "{% if incident.resolvedTime %}over{% else %}open{% endif %}", "open", id="what is not known is false"
        ),
        pytest.param("{% if incident.type in ['Drift', 'Bias'] %}yes{% endif %}", "yes", id="one word of several"),
        pytest.param("{% if incident.type not in ('Drift',) or incident.contained %}yes{% endif %}", "yes", id="or"),
        pytest.param(
            "{% if incident.type == 'Harm' %}a{% elif incident.type != 'Bias' and not incident.resolved %}b{% endif %}",
            "b",
            id="elif, and, not",
        ),
        pytest.param(
            "a\n{% if incident.contained %}\nb\n{% endif %}\nc\n\n\n",
            "a\nb\nc",
            id="a tag alone on its line leaves none",
        ),
        pytest.param(
            "a{% if incident.contained %}b{% endif %}\nc", "ab\nc", id="a tag at the end of a line does not eat its end"
        ),
        pytest.param("{% raw %}{{ x }}\n{% if %}\n{% endraw %}", "{{ x }}\n{% if %}", id="raw"),
        pytest.param("{# for the author #}x", "x", id="a comment"),
        pytest.param("{{ 'quoted' }}", "quoted", id="words in quotes"),
        pytest.param("a\r\n{% if incident.contained %}\r\nb\r\n{% endif %}\r\nc", "a\nb\nc", id="other line ends"),
        pytest.param("a\u202eb\x00c\x1b[2Jd\te", "abc[2Jde", id="what turns or moves the pen is taken out"),
    ],
)
def test_a_text(body: str, text: str) -> None:
    assert said(body) == text


def test_the_subject_is_one_line() -> None:
    made = render(a_template(texts=[{"language": "en", "subject": "a\n {{ model.name }}\n\tb", "body": "x"}]), facts())
    assert isinstance(made, Rendered)
    assert made.texts == (RenderedText("en", "a fraud b", "x"),)


def test_every_language_is_told_in_its_own_words() -> None:
    body = "{{ incident.openedTime }}; {{ incident.typeWords }}; {{ remediation.estimate }}"
    plain = {"language": "fr", "subject": "s", "body": "{{ incident.openedTime }} {{ incident.type }}"}
    texts = [{"language": language, "subject": "s", "body": body} for language in ("en", "de-AT")]
    made = render(a_template(texts=[*texts, plain]), facts())
    assert isinstance(made, Rendered)
    assert [text.body for text in made.texts] == [
        "23 November 2026, 09:00 UTC; results that are less reliable than they should be; about 4 hours (an estimate)",
        "23. November 2026, 09:00 Uhr UTC; Ergebnisse, die weniger verlässlich sind, als sie sein sollten; etwa 4"
        " Stunden (eine Schätzung)",
        "2026-11-23 09:00 UTC Drift",
    ]


def test_talking_points_are_rendered_and_are_no_part_of_the_message() -> None:
    spec = a_template(talkingPoints=["It is\n {{ incident.severityWords }}."])
    made, without = render(spec, facts()), render(a_template(), facts())
    assert isinstance(made, Rendered)
    assert isinstance(without, Rendered)
    assert (made.talking_points, made.digest) == (("It is serious.",), without.digest)


def test_the_digest_is_of_the_canonical_texts() -> None:
    texts = (RenderedText("en", "ä", "b"),)
    assert digest_of(texts) == sha256(canonical([{"language": "en", "subject": "ä", "body": "b"}]))
    assert digest_of(texts) != digest_of((RenderedText("de", "ä", "b"),))
    made = render(a_template(), facts())
    assert isinstance(made, Rendered)
    assert made.digest == digest_of(made.texts)


# --- what is refused before anything is rendered

_LISTED = "line 1: not allowed in a message: "


@pytest.mark.parametrize(
    ("body", "reason", "words"),
    [
        pytest.param(
            "a\n{{ incident.nam }}",
            "UnknownVariable",
            "line 2: incident.nam is not known, did you mean incident.name?",
            id="a misspelt variable",
        ),
        pytest.param(
            "{{ zebra.quux }}",
            "UnknownVariable",
            "zebra.quux is not known: see the reference",
            id="a variable like none",
        ),
        pytest.param(
            "{{ incident }}",
            "UnknownVariable",
            "line 1: incident is not known: it is a group, name one of its parts, as in incident.name",
            id="a group",
        ),
        pytest.param(
            "{{ values.contakt }}",
            "UnknownVariable",
            "line 1: values.contakt is not known, did you mean values.contact?",
            id="a misspelt value",
        ),
        pytest.param("{{ loop.last }}", "UnknownVariable", "loop.last is not known", id="loop outside of one"),
        pytest.param(
            "{% for one in signals %}{{ loop.index }}{% endfor %}",
            "UnknownVariable",
            "loop.index is not known; there are loop.first, loop.last",
            id="the number of a turn",
        ),
        pytest.param(
            "{% for one in signals %}{{ one.message }}{% endfor %}",
            "UnknownVariable",
            "one.message is not known",
            id="the message of a signal, with its labels",
        ),
        pytest.param(
            "{% for one in signals %}{% endfor %}{{ one.name }}",
            "UnknownVariable",
            "one.name is not known",
            id="a loop's variable behind it",
        ),
        pytest.param(
            "{{ incident.items }}", "UnknownVariable", "incident.items is not known", id="a method of a mapping"
        ),
        pytest.param(
            "{{ incident.__class__ }}", "UnknownVariable", "incident.__class__ is not known", id="the way into Python"
        ),
        pytest.param(
            "{{ incident.name.__class__.__mro__ }}", "UnknownVariable", "is not known", id="the way further into Python"
        ),
        pytest.param("{{ ''.__class__ }}", "SyntaxNotAllowed", _LISTED, id="the class of a word"),
        pytest.param(
            "{{ ()|attr('__class__') }}",
            "SyntaxNotAllowed",
            "there is no filter attr; there are capitalize, default, lower, upper",
            id="the filter attr",
        ),
        pytest.param(
            "{{ incident.name|attr('format') }}", "SyntaxNotAllowed", "there is no filter attr", id="attr of a text"
        ),
        pytest.param("{{ '%s' % incident.name }}", "SyntaxNotAllowed", f"{_LISTED}arithmetic", id="percent formatting"),
        pytest.param(
            "{{ '{0.__class__}'.format(incident) }}", "SyntaxNotAllowed", f"{_LISTED}a call", id="format strings"
        ),
        pytest.param("{{ incident.name.format(1) }}", "SyntaxNotAllowed", f"{_LISTED}a call", id="a call"),
        pytest.param("{{ cycler('a', 'b') }}", "SyntaxNotAllowed", f"{_LISTED}a call", id="cycler"),
        pytest.param("{{ joiner }}", "UnknownVariable", "joiner is not known", id="joiner"),
        pytest.param("{% set ns = namespace() %}", "SyntaxNotAllowed", f"{_LISTED}set", id="namespace and set"),
        pytest.param(
            "{{ lipsum.__globals__ }}",
            "UnknownVariable",
            "lipsum.__globals__ is not known",
            id="the globals of a function",
        ),
        pytest.param("{{ self }}", "UnknownVariable", "self is not known", id="self"),
        pytest.param("{{ 'x' * 10000000 }}", "SyntaxNotAllowed", f"{_LISTED}arithmetic", id="ten megabytes of a word"),
        pytest.param(
            "{{ 'x' ~ 'y' }}", "SyntaxNotAllowed", f"{_LISTED}~: write the parts one after the other", id="joining"
        ),
        pytest.param(
            "{{ incident['name'] }}",
            "SyntaxNotAllowed",
            f"{_LISTED}brackets behind a variable: write a dot and the name",
            id="brackets",
        ),
        pytest.param("{{ 1 }}", "SyntaxNotAllowed", f"{_LISTED}a number, true, false or none", id="a number"),
        pytest.param(
            "{{ 'a' if incident.contained else 'b' }}",
            "SyntaxNotAllowed",
            f"{_LISTED}if inside of an expression: use {{% if %}}",
            id="if inside",
        ),
        pytest.param(
            "{% if model.name is defined %}{% endif %}",
            "SyntaxNotAllowed",
            f"{_LISTED}is: write {{% if %}} with the variable itself",
            id="is defined",
        ),
        pytest.param(
            "{% if 'a' == 'b' %}{% endif %}",
            "SyntaxNotAllowed",
            "line 1: compare one variable with words, by one of ==, !=, in, not in",
            id="a comparison of words",
        ),
        pytest.param(
            "{% if incident.type < 'B' %}{% endif %}",
            "SyntaxNotAllowed",
            "line 1: compare one variable with words",
            id="less than",
        ),
        pytest.param(
            "{% if incident.type == 'B' == 'C' %}{% endif %}",
            "SyntaxNotAllowed",
            "line 1: compare one variable with words",
            id="a chain",
        ),
        pytest.param(
            "{% if incident.type == model.name %}{% endif %}",
            "SyntaxNotAllowed",
            "on the right of == stand words in quotes, as in 'Drift'",
            id="a comparison of two variables",
        ),
        pytest.param(
            "{% if incident.type in 'Drift' %}{% endif %}",
            "SyntaxNotAllowed",
            "on the right of in stand words in quotes, as in ['Drift', 'Bias']",
            id="a part of a word",
        ),
        pytest.param(
            "{% if not ('a' ~ 'b') %}{% endif %}", "SyntaxNotAllowed", f"{_LISTED}~", id="a question about no variable"
        ),
        pytest.param(
            "{{ incident.name and model.name }}",
            "SyntaxNotAllowed",
            f"{_LISTED}and, or, not outside of if",
            id="and outside of if",
        ),
        pytest.param(
            "{{ signals }}", "SyntaxNotAllowed", "line 1: signals is a list: use it in for", id="a list shown"
        ),
        pytest.param(
            "{{ incident.contained }}",
            "SyntaxNotAllowed",
            "line 1: incident.contained is a yes or no: use it in if",
            id="a yes shown",
        ),
        pytest.param(
            "{% for one in range(9) %}{% endfor %}",
            "SyntaxNotAllowed",
            "line 1: for goes over a list only: signals, clocks",
            id="a loop over numbers",
        ),
        pytest.param(
            "{% for one in incident.name %}{% endfor %}",
            "SyntaxNotAllowed",
            "line 1: for goes over a list only",
            id="a loop over letters",
        ),
        pytest.param(
            "{% for one in values %}{% endfor %}", "UnknownVariable", "values is not known", id="a loop over the values"
        ),
        pytest.param(
            "{% for one in signals %}" * 3 + "{% endfor %}" * 3,
            "SyntaxNotAllowed",
            "for needs one new name",
            id="the same name again",
        ),
        pytest.param(
            "{% for a in signals %}{% for b in signals %}{% for c in signals %}{% endfor %}{% endfor %}{% endfor %}",
            "SyntaxNotAllowed",
            "line 1: for may be nested 2 deep at most",
            id="three loops in each other",
        ),
        pytest.param(
            "{% for one in signals recursive %}{{ loop(signals) }}{% endfor %}",
            "SyntaxNotAllowed",
            "for takes neither recursive nor if: use if inside",
            id="a loop that calls itself",
        ),
        pytest.param(
            "{% for one in signals if one.name %}{% endfor %}",
            "SyntaxNotAllowed",
            "for takes neither recursive nor if",
            id="a loop with a condition",
        ),
        pytest.param(
            "{% for a, b in signals %}{% endfor %}",
            "SyntaxNotAllowed",
            "for needs one new name in small Latin letters, as in: for one in …",
            id="a loop with two names",
        ),
        pytest.param(
            "{% for loop in signals %}{% endfor %}",
            "SyntaxNotAllowed",
            "for needs one new name",
            id="a loop named loop",
        ),
        pytest.param(
            "{% for incident in signals %}{% endfor %}",
            "SyntaxNotAllowed",
            "for needs one new name",
            id="a loop that hides a group",
        ),
        pytest.param(
            "{{ model.name | default }}",
            "SyntaxNotAllowed",
            "write the filter as default('…')",
            id="default without words",
        ),
        pytest.param(
            "{{ model.name | default(incident.name) }}",
            "SyntaxNotAllowed",
            "write the filter as default('…')",
            id="default of a variable",
        ),
        pytest.param(
            "{{ model.name | upper('x') }}",
            "SyntaxNotAllowed",
            "write the filter as upper",
            id="a filter with too much",
        ),
        pytest.param(
            "{{ model.name | replace('a', 'b') }}",
            "SyntaxNotAllowed",
            "there is no filter replace",
            id="another filter",
        ),
        pytest.param("{% macro x() %}{% endmacro %}", "SyntaxNotAllowed", f"{_LISTED}macro", id="a macro"),
        pytest.param("{% include 'x' %}", "SyntaxNotAllowed", f"{_LISTED}include", id="include"),
        pytest.param("{% import 'x' as x %}", "SyntaxNotAllowed", f"{_LISTED}import", id="import"),
        pytest.param("{% from 'x' import y %}", "SyntaxNotAllowed", f"{_LISTED}import", id="from import"),
        pytest.param("{% extends 'x' %}", "SyntaxNotAllowed", f"{_LISTED}extends", id="extends"),
        pytest.param("{% block a %}{% endblock %}", "SyntaxNotAllowed", f"{_LISTED}block", id="a block"),
        pytest.param("{% with a = 1 %}{% endwith %}", "SyntaxNotAllowed", f"{_LISTED}with", id="with"),
        pytest.param("{% set a %}b{% endset %}", "SyntaxNotAllowed", f"{_LISTED}set", id="set around text"),
        pytest.param(
            "{% filter upper %}a{% endfilter %}",
            "SyntaxNotAllowed",
            f"{_LISTED}a filter around a block",
            id="a filter around text",
        ),
        pytest.param("{% call x() %}{% endcall %}", "SyntaxNotAllowed", f"{_LISTED}call", id="a call around text"),
        pytest.param(
            "{% if incident.contained %}" * 40 + "{% endif %}" * 40,
            "SyntaxNotAllowed",
            "blocks are nested deeper than 16",
            id="forty blocks in each other",
        ),
        pytest.param(
            "{% if " + "not " * 200 + "incident.contained %}{% endif %}",
            "SyntaxNotAllowed",
            "an expression is nested deeper than 16",
            id="two hundred times not",
        ),
        pytest.param("{% do x %}", "SyntaxInvalid", "line 1: Encountered unknown tag 'do'", id="an unknown tag"),
        pytest.param(
            "a\n{% if incident.contained %}", "SyntaxInvalid", "line 2: Unexpected end of template", id="an open block"
        ),
        pytest.param("{{", "SyntaxInvalid", "line 1: ", id="an open bracket"),
        pytest.param(
            "{{ " + "(" * 5000, "SyntaxInvalid", "line 1: it cannot be read as a template", id="five thousand brackets"
        ),
        pytest.param(
            "{{ " + "9" * 5000 + " }}",
            "SyntaxInvalid",
            "line 1: it cannot be read as a template",
            id="a number without end",
        ),
        pytest.param(" \n ", "Incomplete", "it is blank: write the text, or leave the language out", id="blank"),
    ],
)
def test_what_is_not_allowed_is_refused_with_its_line(body: str, reason: str, words: str) -> None:
    found = problems(a_template(body))
    assert found, "nothing was found"
    assert any(
        where == "spec.texts[0].body" and problem.reason == reason and words in problem.message
        for where, problem in found
    ), found
    assert said(body).startswith(f"{found[0][1].reason}: spec.texts[0].body, ")


def test_all_that_is_wrong_is_said_by_field() -> None:
    texts = [{"language": "en", "subject": "{{ a }}", "body": "{{ b }}{% if c %}{{ d }}{% endif %}"}]
    found = problems(a_template(texts=texts, talkingPoints=["fine", "{{ e }}"]))
    assert [(where, problem.message.split(" is not")[0]) for where, problem in found] == [
        ("spec.texts[0].subject", "line 1: a"),
        ("spec.texts[0].body", "line 1: b"),
        ("spec.texts[0].body", "line 1: c"),
        ("spec.talkingPoints[1]", "line 1: e"),
    ]


@dataclass(frozen=True)
class Forbidden:
    """What an audience is never told, by domain."""

    audience: Audience
    path: str
    why: str


@pytest.mark.parametrize(
    "row",
    [
        Forbidden(Audience.CUSTOMERS, "model.name", "it is a name of ours"),
        Forbidden(Audience.CUSTOMERS, "incident.severity", "how we rate it is not what it means for them"),
        Forbidden(Audience.CUSTOMERS, "affected.bandWords", "a count that nobody has verified"),
        Forbidden(Audience.CUSTOMERS, "containment.summary", "it names parts of our systems"),
        Forbidden(Audience.REGULATORS, "containment.summary", "it names parts of our systems"),
        *(
            Forbidden(
                audience,
                variable,
                "it is written for those who approve: use a value of the organisation's own",
            )
            for audience in (Audience.CUSTOMERS, Audience.MEDIA)
            for variable in ("containment.experience", "containment.fallback")
        ),
        Forbidden(Audience.REGULATORS, "lead.user", "who works on it stays inside"),
        Forbidden(Audience.PARTNERS, "affected.band", "a count that nobody has verified"),
        Forbidden(Audience.PARTNERS, "incident.name", "it is a name of ours"),
        Forbidden(Audience.INTERNAL, "classification.legalExposure", "what the law may ask is for the executives"),
        Forbidden(Audience.MEDIA, "incident.detectedTime", "the media get no numbers"),
        Forbidden(Audience.MEDIA, "remediation.estimate", "the media get no numbers"),
        Forbidden(Audience.MEDIA, "affected.band", "a count that nobody has verified"),
    ],
    ids=lambda row: f"{row.audience} are not told {row.path}",
)
def test_what_an_audience_is_never_told_is_an_error_that_says_why(row: Forbidden) -> None:
    found = said(f"{{{{ {row.path} }}}}", audience=row.audience)
    assert found.startswith(
        f"NotForAudience: spec.texts[0].body, line 1: {row.path} is not for {row.audience}: {row.why}"
    )


@pytest.mark.parametrize("path", ["signals", "clocks"])
def test_a_list_that_is_not_for_an_audience(path: str) -> None:
    found = said(f"{{% for one in {path} %}}{{{{ one.name }}}}{{% endfor %}}", audience="Customers")
    assert found.startswith(f"NotForAudience: spec.texts[0].body, line 1: {path} is not for Customers: ")


def test_a_language_without_words_must_say_them_itself() -> None:
    texts = [{"language": "fr", "subject": "s", "body": "{{ incident.typeWords }}"}]
    assert said("", texts=texts) == (
        "NoWords: spec.texts[0].body, line 1: incident.typeWords has no words in fr, only in en, de: write them"
        " yourself, by {% if incident.type == … %}"
    )
    estimate = [{"language": "fr", "subject": "s", "body": "{{ remediation.estimate }}"}]
    assert said("", texts=estimate).endswith("only in en, de: write the estimate out")


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ incident.__class__ }}",
        "{{ incident.items() }}",
        "{{ incident['name'] }}",
        "{{ values.get }}",
        "{{ lipsum }}",
        "{{ range(9) }}",
        "{{ self.x() }}",
        "{{ values | attr('get') }}",
        "{% for one in signals %}{{ loop.nextitem.__class__ }}{{ loop.cycle('a') }}{% endfor %}",
        "{% include 'x' %}",
    ],
)
def test_beneath_the_look_lies_a_sandbox(source: str) -> None:
    """What the look refuses gives nothing even where it is not asked."""
    context = rendering._context(a_template(), facts(), VALUES, "en")
    with pytest.raises(rendering._Unwritten):
        rendering._written("body", source, context, BODY_LIMIT)


# --- what is refused of one incident


@pytest.mark.parametrize(
    ("change", "given", "words"),
    [
        pytest.param(
            {"body": "{{ incident.resolvedTime }}"},
            {},
            "NotKnownYet: texts[en].body: incident.resolvedTime is not known yet: put it into"
            " {% if incident.resolvedTime %}, or write {{ incident.resolvedTime | default('…') }}",
            id="what is not known yet",
        ),
        pytest.param(
            {"body": "{{ incident.resolvedTime | upper }}"}, {}, "NotKnownYet: texts[en].body: ", id="through a filter"
        ),
        pytest.param(
            {"values": [{"name": "contact"}]},
            {},
            "ValueMissing: values.contact: supply it for this message, or set its value in the template",
            id="a value that nobody supplied",
        ),
        pytest.param(
            {},
            {"kontakt": "x"},
            "ValueUnknown: values.kontakt: the template has no such value; it has contact",
            id="a value that there is not",
        ),
        pytest.param(
            {},
            {"contact": "x" * 1025},
            "TooLong: values.contact: 1025 characters, at most 1024: shorten it",
            id="a value that is too long",
        ),
        pytest.param(
            {"incidentTypes": ["Bias", "Harm"]},
            {},
            "NotForType: the incident is of type Drift, the template is for Bias, Harm",
            id="an incident of another type",
        ),
        pytest.param(
            {"texts": [{"language": "en", "subject": "x" * 201, "body": "b"}]},
            {},
            "TooLong: texts[en].subject: 201 characters, at most 200: shorten it",
            id="a long subject",
        ),
        pytest.param(
            {"body": "{% if incident.resolved %}over{% endif %}"},
            {},
            "Incomplete: texts[en].body: nothing is left of it for this incident",
            id="nothing is left",
        ),
        pytest.param(
            {"body": "{% if incident.resolved %}{{ incident.severity }}{% endif %}\x07"},
            {},
            "Incomplete: texts[en].body: nothing is left of it for this incident",
            id="nothing that can be seen is left",
        ),
    ],
)
def test_why_there_is_no_message(change: dict[str, Any], given: dict[str, str], words: str) -> None:
    change = dict(change)
    assert said(change.pop("body", "x"), of=facts(values=given), **change).startswith(words)


def test_a_text_that_would_be_longer_than_the_limit_is_not_made_to_its_end() -> None:
    many = {"signals": [{"name": "psi", "state": "Firing", "sustained": True}] * 32}
    of = message_facts(an_incident(RULES, **CONTAINED | many), RULES, T0, {})
    body = "{% for a in signals %}{% for b in signals %}" + "x" * 8000 + "{% endfor %}{% endfor %}"
    assert said(body, of=of) == f"TooLong: texts[en].body: longer than {BODY_LIMIT // 1024} KiB: shorten it"
    assert len(said("x" * 8192)) == 8192 <= BODY_LIMIT
    assert SUBJECT_LIMIT == 200


# --- values are data


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param("{{ 7*7 }}{% for x in y %}", "{{ 7*7 }}{% for x in y %}", id="it is never read as template"),
        pytest.param("MRM-7\nApproved by: legal", "MRM-7 Approved by: legal", id="it forges no line"),
        pytest.param("a\r\n\u2028\u2029\x85b", "a b", id="nor by other line breaks"),
        pytest.param("<script>alert(1)</script>", "‹script›alert(1)‹/script›", id="nor a tag"),
        pytest.param("[click](https://evil.example)", "(click)(https: //evil.example)", id="nor a link"),
        pytest.param("@here <!channel> a@b.example", "(at)here ‹!channel› a@b.example", id="nor a mention; mail stays"),
        pytest.param("a\u202eb\u200bc\ufeff\x00d", "abc d", id="nor another direction, nor what nobody sees"),
        pytest.param("``code``", "''code''", id="nor code"),
        pytest.param("x" * 600, "x" * (LONGEST_FACT - 1) + "…", id="nor a page"),
    ],
)
def test_a_value_that_somebody_means_badly(value: str, text: str) -> None:
    rules = RULES.model_copy(update={"model": RULES.model.model_copy(update={"inventory_id": value})})
    of = message_facts(an_incident(rules, **CONTAINED), rules, T0, {})
    assert said("{{ model.inventoryId }}", of=of) == text


def test_the_organisations_own_words_keep_their_links() -> None:
    given = {"contact": "https://status.example\n<b>@all"}
    assert said("{{ values.contact }}", of=facts(values=given)) == "https://status.example ‹b›(at)all"


def test_no_query_label_or_measured_value_is_among_the_facts() -> None:
    incident = an_incident(RULES, **CONTAINED)
    told = repr(message_facts(incident, RULES, T0, {}))
    assert not [word for word in ("p99", "team=x", "beyond", "0.3") if word in told]


# --- the facts


def test_the_facts_of_a_contained_incident() -> None:
    assert facts(values=VALUES, next_update_at=T0 + 2 * HOUR) == {
        "incident.name": "fraud-1",
        "incident.type": "Drift",
        "incident.severity": "SEV2",
        "incident.risk": "61",
        "incident.detectedTime": T0,
        "incident.openedTime": T0,
        "incident.containedTime": T0 + timedelta(minutes=6),
        "incident.recoveredTime": None,
        "incident.resolvedTime": None,
        "incident.contained": True,
        "incident.recovered": False,
        "incident.resolved": False,
        "model.name": "fraud",
        "model.namespace": "models",
        "model.inventoryId": "MRM-7",
        "model.version": None,
        "containment.action": "RollBack",
        "containment.summary": "the template of fraud-1",
        "containment.experience": "Payments are checked by the older rules.",
        "containment.fallback": "The desk reviews large payments by hand.",
        "affected.band": "Unknown",
        "next.updateTime": T0 + 2 * HOUR,
        "next.step": "compliance: decide",
        "next.deadlineTime": T0 + 4 * HOUR,
        "tier.name": "compliance",
        "lead.user": "alice",
        "classification.impact": None,
        "classification.legalExposure": None,
        "classification.materiality": None,
        "signals": [{"name": "psi", "kind": "Drift"}],
        "clocks": [],
        "message.time": T0 + HOUR,
        "values": VALUES,
    }


@pytest.mark.parametrize(
    ("because", "value", "band"),
    [
        ("20 × 0/4: 0 decisions", "0", "Under10"),
        ("20 × 0/4: <10 decisions", "0", "Under10"),
        ("20 × 1/4: 812 decisions", "5", "Under1000"),
        ("20 × 2/4: 1000 decisions", "10", "Under10000"),
        ("20 × 3/4: 99999 decisions", "15", "Under100000"),
        ("20 × 4/4: 5000000 decisions", "20", "From100000"),
        ("20 × 2/4: unknown, estimated as band 2", "10", "Unknown"),
    ],
)
def test_how_many_are_affected_is_told_as_a_band(because: str, value: str, band: str) -> None:
    term = {"name": "affected", "value": value, "because": because}
    score = {"risk": "61", "band": "SEV2", "severity": "SEV2", "terms": [term]}
    assert facts(an_incident(RULES, **CONTAINED | {"score": score}))["affected.band"] == band


@pytest.mark.parametrize(
    ("option", "changes", "action"),
    [
        pytest.param("last-healthy", {}, "RollBack", id="a rollback"),
        pytest.param("stop", {}, "Stop", id="no replica"),
        pytest.param("last-healthy", {"state": "Undone"}, None, id="what was undone does not hold"),
        pytest.param("last-healthy", {"settledTime": None}, None, id="what has not settled does not hold"),
    ],
)
def test_what_holds(option: str, changes: dict[str, Any], action: str | None) -> None:
    status = CONTAINED | {"containment": [HELD | {"name": option} | changes]}
    found = facts(an_incident(RULES, **status))
    assert (found["containment.action"], found["incident.contained"]) == (action, action is not None)


def a_clock(name: str, state: str, deadline: datetime | None) -> ClockStatus:
    return ClockStatus(name=name, family=name, citation="a law", state=ClockState(state), deadline=deadline)


def test_the_clocks_that_run_are_told() -> None:
    clocks = (
        a_clock("gdpr-33", "Running", T0 + HOUR),
        a_clock("nis2-early", "Missed", T0),
        a_clock("sec-8k-105", "Submitted", T0),
        a_clock("dora-initial", "Undetermined", None),
    )
    incident = an_incident(RULES, **CONTAINED)
    incident = incident.model_copy(update={"status": incident.status.model_copy(update={"clocks": clocks})})
    assert said("{% for one in clocks %}{{ one.name }} {{ one.deadlineTime }};{% endfor %}", of=facts(incident)) == (
        "gdpr-33 23 November 2026, 10:00 UTC;nis2-early 23 November 2026, 09:00 UTC;"
    )


@pytest.mark.parametrize(
    ("harm", "signals", "type_"),
    [
        pytest.param("a patient fell", ["latency"], "Harm", id="harm that somebody reported comes first"),
        pytest.param(None, ["latency", "psi", "ratio", "toxic"], "Harm", id="unsafe results are harm"),
        pytest.param(None, ["latency", "psi", "ratio"], "Bias", id="unequal treatment is worse than an outage"),
        pytest.param(None, ["latency", "psi"], "Outage", id="an outage is worse than drift"),
        pytest.param(None, ["psi"], "Drift", id="drift"),
        pytest.param(None, [], "Drift", id="a report without harm"),
    ],
)
def test_the_type_of_an_incident(harm: str | None, signals: list[str], type_: str) -> None:
    firing = [{"name": name, "state": "Firing", "sustained": True} for name in signals]
    incident = an_incident(RULES, by="bob" if harm else None, signals=firing)
    incident = incident.model_copy(update={"spec": incident.spec.model_copy(update={"harm": harm})})
    assert type_of(incident, RULES) is IncidentType(type_)


@pytest.mark.parametrize(
    ("kind", "type_"),
    [
        ("Quality", "Drift"),
        ("DataQuality", "Drift"),
        ("Drift", "Drift"),
        ("Freshness", "Drift"),
        ("Custom", "Drift"),
        ("Latency", "Outage"),
        ("Errors", "Outage"),
        ("Volume", "Outage"),
        ("Fairness", "Bias"),
        ("Safety", "Harm"),
    ],
)
def test_each_kind_of_signal_has_a_type(kind: str, type_: str) -> None:
    rules = the_rules(a_policy(signals=[{"name": "one", "kind": kind, "query": "up", "warn": "> 1"}]))
    incident = an_incident(rules, signals=[{"name": "one", "state": "Firing", "sustained": True}])
    assert type_of(incident, rules) is IncidentType(type_)


@pytest.mark.parametrize(
    "signal",
    [
        pytest.param({"state": "Recovered"}, id="a recovered signal counts on"),
        pytest.param({"state": "NoData", "missing": True}, id="one without data counts"),
    ],
)
def test_a_recovery_does_not_change_the_type(signal: dict[str, Any]) -> None:
    incident = an_incident(RULES, signals=[{"name": "ratio"} | signal, {"name": "toxic", "state": "Good"}])
    assert type_of(incident, RULES) is IncidentType.BIAS


# --- the documented variables


def test_every_variable_has_a_fact_and_every_fact_a_variable() -> None:
    known = facts()
    wanted = {one.source or one.path for one in VARIABLES if "[]" not in one.path} - {"remediation.estimate"}
    assert wanted | {"values"} == set(known)
    for one in VARIABLES:
        if "[]" in one.path and one.path.startswith("signals"):
            assert (one.source or one.path).removeprefix("signals[].") in known["signals"][0]


def test_a_variable_that_is_kept_from_somebody_says_why() -> None:
    assert [one.path for one in VARIABLES if (one.audiences != frozenset(Audience)) != bool(one.kept)] == []
    assert len(BY_PATH) == len(VARIABLES)
    assert "signals" not in GROUPS


@pytest.mark.parametrize("language", WORDED)
def test_every_code_has_a_word_in_every_language(language: str) -> None:
    english, other = phrases("en"), phrases(language)
    assert english is not None
    assert other is not None
    assert {name: set(table) for name, table in english.tables.items()} == {
        name: set(table) for name, table in other.tables.items()
    }
    assert {one.value for one in IncidentType} == set(other.tables["type"])
    assert {one.table for one in VARIABLES if one.sort is Sort.WORDS} == set(other.tables)
    assert len(other.months) == 12
    assert in_words(language, "severity", "SEV9") == "SEV9"


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(), "about 1 minute (an estimate)"),
        (timedelta(seconds=61), "about 2 minutes (an estimate)"),
        (timedelta(minutes=60), "about 1 hour (an estimate)"),
        (timedelta(minutes=90), "about 90 minutes (an estimate)"),
        (timedelta(hours=2, minutes=1), "about 3 hours (an estimate)"),
        (timedelta(hours=50), "about 50 hours (an estimate)"),
        (timedelta(days=3), "about 3 days (an estimate)"),
        (timedelta(days=9, hours=1), "about 10 days (an estimate)"),
    ],
)
def test_an_estimate_is_rounded_up(span: timedelta, words: str) -> None:
    assert estimate_in("en", span) == words


def test_words_of_a_language_that_has_none() -> None:
    assert estimate_in("fr", HOUR) == ""
    assert in_words("fr", "type", "Bias") == "Bias"
    assert time_in("fr", datetime(3, 2, 1, tzinfo=UTC)) == "0003-02-01 00:00 UTC"
    assert cleaned("\x00") == ""
    assert printable("\n\na  \nb\n") == "a\nb"


# --- the status of a template


def reported(spec: MessageTemplateSpec) -> tuple[str, str, str]:
    metadata = {"name": "one", "namespace": "models", "generation": 3}
    template = MessageTemplate.model_validate({"metadata": metadata, "spec": spec.dump()})
    status = report_template(template, T0)
    (ready,) = status.conditions
    assert (status.observed_generation, ready.observed_generation, ready.last_transition_time) == (3, 3, T0)
    return ready.status, ready.reason, ready.message


def test_a_sound_template_is_ready() -> None:
    assert reported(a_template()) == ("True", "Renderable", "its texts are sound: en")


def test_a_template_that_is_not_sound_says_all_that_is_wrong() -> None:
    texts = [{"language": "en", "subject": "{{ a }}", "body": "{{ 1 }}"}]
    assert reported(a_template(texts=texts)) == (
        "False",
        "UnknownVariable",
        "spec.texts[0].subject, line 1: a is not known: see the reference of the message context; spec.texts[0].body,"
        " line 1: not allowed in a message: a number, true, false or none",
    )


def test_what_stands_in_an_incident_that_was_never_written_is_told_as_unknown() -> None:
    rules: Rules = RULES
    incident = an_incident(rules).model_copy(update={"status": IncidentStatus()})
    found = message_facts(incident, rules, T0, {})
    assert isinstance(render(a_template("{{ incident.severity }}"), found), Unrenderable)
    assert said("{{ lead.user | default('nobody') }}", of=found) == "nobody"
    assert {reason.value for reason in Reason} >= {"NotKnownYet"}
