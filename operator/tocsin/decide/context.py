"""What may a message say, and to whom? The documented variables, each with the audiences that may read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from tocsin.api.template import Audience
from tocsin.decide.phrasing import Table

A = Audience
ALL = frozenset(Audience)
INSIDE = frozenset({A.INTERNAL, A.EXECUTIVES})
OFFICIAL = INSIDE | {A.REGULATORS}
TRUSTED = OFFICIAL | {A.PARTNERS}
NOT_MEDIA = ALL - {A.MEDIA}


class Sort(Enum):
    """What a variable is, and so how it may be used."""

    TEXT = "text"
    CODE = "code"
    """One word out of a closed list, the same in every language."""
    WORDS = "words"
    """A code in the words of the text's language."""
    TIME = "time"
    ESTIMATE = "estimate"
    FLAG = "yes or no"
    """Only for ``if``."""
    LIST = "list"
    """Only for ``for`` and ``if``."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One documented variable."""

    path: str
    sort: Sort
    what: str
    audiences: frozenset[Audience] = ALL
    kept: str = ""
    """Why the other audiences do not have it."""
    source: str = ""
    """Of words: the code that they are for."""
    table: Table | None = None


_OURS = "it is a name of ours, which says nothing to them: use a value of the organisation's own"
_RATING = "how we rate it is not what it means for them: say the effect"
_NUMBERS = "the media get no numbers and no times that are not published: a holding line says neither"
_PEOPLE = "who works on it stays inside"
_DUTIES = "what we owe to whom stays inside"
_CAUSE = "it would speculate about the cause"
_FOR_US = "it is written for those who approve: use a value of the organisation's own"
_COUNT = "a count that nobody has verified is not given outside"

VARIABLES = (
    Variable("incident.name", Sort.TEXT, "The incident's name.", OFFICIAL, _OURS),
    Variable("incident.type", Sort.CODE, "`Harm`, `Bias`, `Outage` or `Drift`."),
    Variable("incident.typeWords", Sort.WORDS, "The type in words.", source="incident.type", table="type"),
    Variable("incident.severity", Sort.CODE, "`SEV1`, the worst, to `SEV4`.", TRUSTED, _RATING),
    Variable(
        "incident.severityWords",
        Sort.WORDS,
        "The severity in words.",
        TRUSTED,
        _RATING,
        source="incident.severity",
        table="severity",
    ),
    Variable("incident.risk", Sort.TEXT, "The risk, 0 to 100.", INSIDE, _RATING),
    Variable("incident.detectedTime", Sort.TIME, "When it was seen first.", NOT_MEDIA, _NUMBERS),
    Variable("incident.openedTime", Sort.TIME, "When the present episode began.", NOT_MEDIA, _NUMBERS),
    Variable("incident.containedTime", Sort.TIME, "When the containment that holds had worked.", NOT_MEDIA, _NUMBERS),
    Variable("incident.recoveredTime", Sort.TIME, "When every signal was well again.", NOT_MEDIA, _NUMBERS),
    Variable("incident.resolvedTime", Sort.TIME, "When it was resolved.", NOT_MEDIA, _NUMBERS),
    Variable("incident.contained", Sort.FLAG, "Whether a containment holds."),
    Variable("incident.recovered", Sort.FLAG, "Whether every signal is well again."),
    Variable("incident.resolved", Sort.FLAG, "Whether it is resolved."),
    Variable("model.name", Sort.TEXT, "The model, as the policy names it.", TRUSTED, _OURS),
    Variable("model.namespace", Sort.TEXT, "Where it runs.", INSIDE, _OURS),
    Variable("model.inventoryId", Sort.TEXT, "What the model inventory calls it.", OFFICIAL, _OURS),
    Variable("model.version", Sort.TEXT, "Which version of it the policy names.", OFFICIAL, _OURS),
    Variable(
        "containment.action",
        Sort.CODE,
        "What holds now: `RollBack`, `Pause`, `Stop` (no replica) or `Limit` (fewer or more).",
    ),
    Variable(
        "containment.actionWords",
        Sort.WORDS,
        "What was done, in words.",
        source="containment.action",
        table="action",
    ),
    Variable("containment.summary", Sort.TEXT, "What exactly was written.", INSIDE, "it names parts of our systems"),
    Variable("containment.experience", Sort.TEXT, "What people experience while it holds.", INSIDE, _FOR_US),
    Variable("containment.fallback", Sort.TEXT, "Who does what by hand meanwhile.", INSIDE, _FOR_US),
    Variable("affected.band", Sort.CODE, "How many decisions are affected: a band, never a number.", OFFICIAL, _COUNT),
    Variable(
        "affected.bandWords",
        Sort.WORDS,
        "The band in words.",
        OFFICIAL,
        _COUNT,
        source="affected.band",
        table="affected",
    ),
    Variable(
        "remediation.estimate",
        Sort.ESTIMATE,
        "The template's remediationWindow, said to be an estimate.",
        NOT_MEDIA,
        _NUMBERS,
    ),
    Variable("next.updateTime", Sort.TIME, "When the next message follows.", NOT_MEDIA, _NUMBERS),
    Variable("next.step", Sort.TEXT, "Who must do what next.", INSIDE, _PEOPLE),
    Variable("next.deadlineTime", Sort.TIME, "By when.", INSIDE, _DUTIES),
    Variable("tier.name", Sort.TEXT, "The highest tier that was entered.", INSIDE, _PEOPLE),
    Variable("lead.user", Sort.TEXT, "Who leads the incident.", INSIDE, _PEOPLE),
    Variable("classification.impact", Sort.CODE, "`None`, `Minor`, `Moderate` or `Severe`.", INSIDE, _RATING),
    Variable(
        "classification.legalExposure",
        Sort.CODE,
        "`None`, `Possible` or `Likely`.",
        frozenset({A.EXECUTIVES}),
        "what the law may ask is for the executives",
    ),
    Variable(
        "classification.materiality",
        Sort.CODE,
        "`Unknown`, `NotMaterial` or `Material`.",
        frozenset({A.EXECUTIVES}),
        "what investors would want to know is for the executives",
    ),
    Variable("signals", Sort.LIST, "The signals that are bad now.", INSIDE, _CAUSE),
    Variable("signals[].name", Sort.TEXT, "The signal's name.", INSIDE, _CAUSE),
    Variable("signals[].kind", Sort.CODE, "What it measures.", INSIDE, _CAUSE),
    Variable(
        "signals[].kindWords",
        Sort.WORDS,
        "What it measures, in words.",
        INSIDE,
        _CAUSE,
        source="signals[].kind",
        table="kind",
    ),
    Variable("clocks", Sort.LIST, "The legal clocks that run.", OFFICIAL, _DUTIES),
    Variable("clocks[].name", Sort.TEXT, "The clock's name.", OFFICIAL, _DUTIES),
    Variable("clocks[].deadlineTime", Sort.TIME, "Its deadline.", OFFICIAL, _DUTIES),
    Variable("message.time", Sort.TIME, "When the message was written.", NOT_MEDIA, _NUMBERS),
)
"""Whatever is not here no message can say: no query, no label, no measured value, no reason that a person gave."""

BY_PATH: Mapping[str, Variable] = {one.path: one for one in VARIABLES}
GROUPS = frozenset(one.path.split(".")[0] for one in VARIABLES if "[]" not in one.path and "." in one.path)
VALUES = "values"
"""The group of the organisation's own words."""


def open_to(audience: Audience) -> dict[str, Variable]:
    """The variables that an audience's templates may use."""
    return {one.path: one for one in VARIABLES if audience in one.audiences}
