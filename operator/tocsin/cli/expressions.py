"""What can be told of a PromQL expression without a Prometheus: what it reads, and of which buckets it is a quantile.

Whether it is right is Prometheus's to say; what is not understood here is left out, and nothing is said of it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

Labels = Mapping[str, str]
_TOKEN = re.compile(
    r"""\#[^\n]* | \s+
    | (?P<text> "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | `[^`]*` )
    | (?P<name> [a-zA-Z_:][\w:]* )
    | (?P<number> [0-9.][\w.]* )
    | (?P<mark> =~ | !~ | [=!<>]= | . )""",
    re.VERBOSE | re.DOTALL,
)
_GROUPING = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
_WORDS = _GROUPING | {"and", "or", "unless", "atan2", "bool", "offset", "anchored", "smoothed", "inf", "nan"}
_OPENS, _CLOSES = ("(", "[", "{"), (")", "]", "}")
_KEEPS_ITS_RANGE = ("max", "min", "avg")
"""The aggregations of quantiles that are never beyond the largest of them."""


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition of a selector."""

    label: str
    how: str
    value: str

    def holds(self, labels: Labels) -> bool:
        """Whether a series fulfils it; a label that is not there is empty."""
        found = labels.get(self.label, "")
        equal = re.fullmatch(self.value, found) is not None if self.how.endswith("~") else found == self.value
        return equal is not self.how.startswith("!")

    def __str__(self) -> str:
        return f'{self.label}{self.how}"{self.value}"'


@dataclass(frozen=True, slots=True)
class Reads:
    """One selector: the metric and what its series must carry."""

    metric: str
    matchers: tuple[Matcher, ...] = ()


def selectors(text: str) -> tuple[Reads, ...]:
    """The selectors of an expression, each once; empty where it cannot be read."""
    try:
        return tuple(dict.fromkeys(_selectors(_tokens(text))))
    except (ValueError, IndexError, SyntaxError, re.error):
        return ()


def buckets_of(text: str) -> tuple[Reads, ...]:
    """What an expression is the quantile of, where it is that and nothing else; else empty."""
    try:
        inner = _quantile(_tokens(text))
        return tuple(dict.fromkeys(_selectors(inner))) if inner else ()
    except (ValueError, IndexError, SyntaxError, re.error):
        return ()


def _tokens(text: str) -> list[str]:
    return [match[0] for match in _TOKEN.finditer(text) if match.lastgroup]


def _selectors(tokens: Sequence[str]) -> Iterator[Reads]:
    place = 0
    while place < len(tokens):
        word, following = tokens[place], (*tokens, "")[place + 1]
        if word.lower() in _GROUPING and following == "(":
            place = _partner(tokens, place + 1)
        elif word == "[":
            place = _partner(tokens, place)
        elif word == "{" or (_is_name(word) and following == "{"):
            opened = place if word == "{" else place + 1
            place = _partner(tokens, opened)
            yield _read("" if word == "{" else word, tokens[opened + 1 : place])
        elif _is_name(word) and word.lower() not in _WORDS and following.lower() not in ("(", "by", "without"):
            yield Reads(word)
        place += 1


def _read(metric: str, tokens: Sequence[str]) -> Reads:
    """What stands between braces; a text alone is the metric's name."""
    matchers = []
    rest = list(tokens)
    while rest:
        label = rest.pop(0)
        label = label if _is_name(label) else _text(label)
        if rest and rest[0] != ",":
            how, value = rest.pop(0), _text(rest.pop(0))
            if how not in ("=", "!=", "=~", "!~"):
                raise ValueError(how)
            re.compile(value if how.endswith("~") else "")
            if (label, how) == ("__name__", "="):
                metric = value
            else:
                matchers.append(Matcher(label, how, value))
        else:
            metric = label
        if rest:
            rest.pop(0)
    return Reads(metric, tuple(matchers))


def _quantile(tokens: Sequence[str]) -> Sequence[str] | None:
    """The buckets' part of a quantile, through parentheses and aggregations that keep its range."""
    while tokens:
        last = len(tokens) - 1
        if tokens[0] == "histogram_quantile":
            return tokens[2:last] if _partner(tokens, 1) == last else None
        if tokens[0] in _KEEPS_ITS_RANGE:
            start = _partner(tokens, 2) + 1 if tokens[1] in ("by", "without") else 1
            end = _partner(tokens, start)
            if end < last and tokens[end + 1] not in ("by", "without"):
                return None
            tokens = tokens[start + 1 : end]
        elif tokens[0] == "(" and _partner(tokens, 0) == last:
            tokens = tokens[1:last]
        else:
            return None
    return None


def _partner(tokens: Sequence[str], place: int) -> int:
    """Where what is opened at a place is closed; raises ValueError."""
    depth = 0
    for later in range(place, len(tokens)):
        depth += (tokens[later] in _OPENS) - (tokens[later] in _CLOSES)
        if depth == 0:
            return later
    raise ValueError("never closed")


def _is_name(token: str) -> bool:
    return token[0].isalpha() or token[0] in "_:"


def _text(token: str) -> str:
    return token[1:-1] if token.startswith("`") else str(ast.literal_eval(token))
