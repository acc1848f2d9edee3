"""How a fact is told: in the words of the languages that have words here, and as plain text in any case."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from tocsin.api.objects import clip

Table = Literal["severity", "type", "action", "affected", "kind"]

LONGEST_FACT = 512
"""So many characters of a fact are told."""
_DAY = 24 * 60
_WEEK = 7 * _DAY
_MENTION = re.compile(r"(?<!\w)@")
_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_MARKS = str.maketrans({"<": "‹", ">": "›", "[": "(", "]": ")", "`": "'"})


@dataclass(frozen=True, slots=True)
class Phrases:
    """The words of one language."""

    months: tuple[str, ...]
    date: str
    estimate: str
    units: Mapping[str, tuple[str, str]]
    """Of each unit of time the singular and the plural."""
    tables: Mapping[Table, Mapping[str, str]]


_ENGLISH = Phrases(
    months=("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
            "November", "December"),
    date="{day} {month} {year}, {clock} UTC",
    estimate="about {span} (an estimate)",
    units={"minute": ("minute", "minutes"), "hour": ("hour", "hours"), "day": ("day", "days")},
    tables={
        "severity": {"SEV1": "critical", "SEV2": "serious", "SEV3": "moderate", "SEV4": "minor"},
        "type": {
            "Harm": "possible harm to people",
            "Bias": "unequal treatment of groups of people",
            "Outage": "an interruption of the service",
            "Drift": "results that are less reliable than they should be",
        },
        "action": {
            "RollBack": "we went back to an earlier version of the system",
            "Pause": "we stopped a change of the system half-way",
            "Stop": "we switched the system off",
            "Limit": "we limited the use of the system",
        },
        "affected": {
            "Unknown": "a number that is not known yet",
            "Under10": "fewer than 10 decisions",
            "Under1000": "10 to 999 decisions",
            "Under10000": "1,000 to 9,999 decisions",
            "Under100000": "10,000 to 99,999 decisions",
            "From100000": "100,000 decisions or more",
        },
        "kind": {
            "Quality": "the quality of the results",
            "DataQuality": "the quality of the input",
            "Drift": "a shift of the input or of the results",
            "Latency": "the time to answer",
            "Errors": "failed requests",
            "Freshness": "the age of the data",
            "Volume": "the number of requests",
            "Fairness": "the fairness between groups of people",
            "Safety": "unsafe results",
            "Custom": "a measure of our own",
        },
    },
)  # fmt: skip
_GERMAN = Phrases(
    months=("Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November",
            "Dezember"),
    date="{day}. {month} {year}, {clock} Uhr UTC",
    estimate="etwa {span} (eine Schätzung)",
    units={"minute": ("Minute", "Minuten"), "hour": ("Stunde", "Stunden"), "day": ("Tag", "Tage")},
    tables={
        "severity": {"SEV1": "kritisch", "SEV2": "ernst", "SEV3": "mäßig", "SEV4": "gering"},
        "type": {
            "Harm": "ein möglicher Schaden für Menschen",
            "Bias": "eine ungleiche Behandlung von Gruppen von Menschen",
            "Outage": "eine Unterbrechung des Dienstes",
            "Drift": "Ergebnisse, die weniger verlässlich sind, als sie sein sollten",
        },
        "action": {
            "RollBack": "wir sind zu einer früheren Fassung des Systems zurückgekehrt",
            "Pause": "wir haben eine Änderung des Systems auf halbem Weg angehalten",
            "Stop": "wir haben das System abgeschaltet",
            "Limit": "wir haben die Nutzung des Systems eingeschränkt",
        },
        "affected": {
            "Unknown": "eine noch nicht bekannte Zahl",
            "Under10": "weniger als 10 Entscheidungen",
            "Under1000": "10 bis 999 Entscheidungen",
            "Under10000": "1.000 bis 9.999 Entscheidungen",
            "Under100000": "10.000 bis 99.999 Entscheidungen",
            "From100000": "100.000 Entscheidungen oder mehr",
        },
        "kind": {
            "Quality": "die Güte der Ergebnisse",
            "DataQuality": "die Güte der Eingaben",
            "Drift": "eine Verschiebung der Eingaben oder der Ergebnisse",
            "Latency": "die Antwortzeit",
            "Errors": "fehlgeschlagene Anfragen",
            "Freshness": "das Alter der Daten",
            "Volume": "die Zahl der Anfragen",
            "Fairness": "die Gleichbehandlung von Gruppen von Menschen",
            "Safety": "unsichere Ergebnisse",
            "Custom": "ein eigenes Maß",
        },
    },
)  # fmt: skip
_PHRASES = {"en": _ENGLISH, "de": _GERMAN}
WORDED = tuple(_PHRASES)
"""The languages that have words here."""


def phrases(language: str) -> Phrases | None:
    """The words of a language, by its tag with or without a region; None for one that has none here."""
    return _PHRASES.get(language.split("-")[0])


def in_words(language: str, table: Table, code: str) -> str:
    """A code in the words of a language; the code itself where there is no word for it."""
    known = phrases(language)
    return known.tables[table].get(code, code) if known else code


def time_in(language: str, instant: datetime) -> str:
    """An instant in UTC; all in digits in a language that has no words here."""
    at = instant.astimezone(UTC)
    known = phrases(language)
    if known is None:
        return f"{at.year:04}-{at.month:02}-{at.day:02} {at.hour:02}:{at.minute:02} UTC"
    clock = f"{at.hour:02}:{at.minute:02}"
    return known.date.format(day=at.day, month=known.months[at.month - 1], year=at.year, clock=clock)


def estimate_in(language: str, span: timedelta) -> str:
    """How long something takes, rounded up and said to be an estimate; empty in a language that has no words here."""
    known = phrases(language)
    if known is None:
        return ""
    minutes = max(1, -(-span // timedelta(minutes=1)))
    unit, count = "minute", minutes
    if minutes >= 120 or minutes == 60:
        unit, count = "hour", -(-minutes // 60)
    if minutes >= _WEEK or (minutes >= 2 * _DAY and minutes % _DAY == 0):
        unit, count = "day", -(-minutes // _DAY)
    return known.estimate.format(span=f"{count} {known.units[unit][count != 1]}")


def fact_in_text(text: str) -> str:
    """A fact as it may stand in a message: no URL of somebody else is left, nor more than a few lines' worth."""
    return clip(cleaned(text).replace("://", ": //"), LONGEST_FACT)


def cleaned(text: str) -> str:
    """A value as it may stand in a message: one line that looks like nothing but text, wherever it is shown.

    No control or invisible character, line break, tag, link in brackets or mention is left.
    """
    visible = "".join(_shown(one) for one in text)
    return _MENTION.sub("(at)", " ".join(visible.split()).translate(_MARKS))


def _shown(character: str) -> str:
    """The character, a space for one that only moves the pen, nothing for one that nobody can see."""
    match unicodedata.category(character):
        case "Cc" | "Zl" | "Zp":
            return " "
        case "Cf" | "Cs" | "Co":
            return ""
    return character


def printable(text: str) -> str:
    """What a template says, without control characters and without those that turn the direction of reading."""
    kept = (one for one in text if one == "\n" or not (one in _TURNS or unicodedata.category(one) in ("Cc", "Cs")))
    return "\n".join(line.rstrip() for line in "".join(kept).split("\n")).strip("\n")
