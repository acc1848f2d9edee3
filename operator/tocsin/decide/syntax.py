"""Which templates are allowed: those that end, that say only what is documented, and that reach nothing else.

Of Jinja2 a short list of syntax is left: text, output of variables, ``if``, ``for`` over a documented list, comparison
with words, ``and``, ``or``, ``not``, and a few filters. There is no call, no arithmetic, no assignment, no macro and no
file. Each variable is looked up before anything is rendered.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tocsin.api.objects import clip
from tocsin.api.template import Audience
from tocsin.decide.context import BY_PATH, GROUPS, VALUES, Sort, Variable, open_to
from tocsin.decide.phrasing import WORDED, phrases

DEPTH = 16
"""So deep blocks and expressions may be nested."""
MOST = 20
"""So many problems of one text are said."""
LOOPS = 2
"""So deep ``for`` may be nested."""
FILTERS = ("capitalize", "default", "lower", "upper")
_TARGET = re.compile(r"[a-z][a-zA-Z0-9]*")
_RAW = re.compile(r"\{%[-+]?\s*raw")
_STANDING = re.compile(r"^([ \t]*\{%(?:[^%\n]|%(?!\}))*%\})[ \t]*\r?\n", re.MULTILINE)
_LOOP = ("first", "last")
_OPERATORS = {"eq": "==", "ne": "!=", "in": "in", "notin": "not in"}


class Reason(StrEnum):
    """Why a template cannot be rendered."""

    SYNTAX_INVALID = "SyntaxInvalid"
    SYNTAX_NOT_ALLOWED = "SyntaxNotAllowed"
    UNKNOWN_VARIABLE = "UnknownVariable"
    NOT_FOR_AUDIENCE = "NotForAudience"
    NO_WORDS = "NoWords"
    INCOMPLETE = "Incomplete"
    VALUE_MISSING = "ValueMissing"
    VALUE_UNKNOWN = "ValueUnknown"
    NOT_FOR_TYPE = "NotForType"
    NOT_KNOWN_YET = "NotKnownYet"
    TOO_LONG = "TooLong"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a text."""

    reason: Reason
    message: str


class _Refused(Exception):
    """Ends the look at one expression."""

    def __init__(self, reason: Reason, line: int, message: str) -> None:
        super().__init__(message)
        self.problem = Problem(reason, clip(f"line {line}: {message}", 300))


UNPARSED = (TemplateError, RecursionError, TypeError, ValueError, OverflowError, SyntaxError, MemoryError)
"""What Jinja2 and Python raise of a text that is no template: of digits without end, or of brackets."""


def problems_of(
    environment: ImmutableSandboxedEnvironment, source: str, audience: Audience, language: str, values: Iterable[str]
) -> tuple[Problem, ...]:
    """All that is wrong with a text; what follows from something wrong is not said."""
    try:
        tree = environment.parse(without_standing(source))
    except UNPARSED as bad:
        line = getattr(bad, "lineno", 1)
        return (Problem(Reason.SYNTAX_INVALID, f"line {line}: {_words_of(bad)}"),)
    look = _Look(open_to(audience), audience, language, tuple(values))
    try:
        return tuple(islice(look.block(tree.body, {}, depth=0, loops=0), MOST))
    except RecursionError:
        return (Problem(Reason.SYNTAX_NOT_ALLOWED, "line 1: it is nested too deep"),)


def without_standing(source: str) -> str:
    """The text in which a line of nothing but one ``{% … %}`` leaves no line behind; the lines keep their numbers."""
    return source if _RAW.search(source) else _STANDING.sub("\\1{#\n#}", source)


def _words_of(bad: BaseException) -> str:
    said = getattr(bad, "message", None)
    return str(said) if said else "it cannot be read as a template"


Scope = Mapping[str, str]
"""By the name of a loop's variable: the list that it is out of."""


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at one text."""

    open: Mapping[str, Variable]
    audience: Audience
    language: str
    values: Sequence[str]

    def block(self, body: Sequence[nodes.Node], scope: Scope, *, depth: int, loops: int) -> Iterator[Problem]:
        """What is wrong in a row of statements."""
        for node in body:
            try:
                if depth > DEPTH:
                    raise _Refused(Reason.SYNTAX_NOT_ALLOWED, node.lineno, f"blocks are nested deeper than {DEPTH}")
                yield from self._statement(node, scope, depth=depth, loops=loops)
            except _Refused as refused:
                yield refused.problem

    def _statement(self, node: nodes.Node, scope: Scope, *, depth: int, loops: int) -> Iterator[Problem]:
        match node:
            case nodes.Output():
                yield from self._shown(node, scope)
            case nodes.If():
                self._condition(node.test, scope, depth=0)
                yield from self.block(node.body, scope, depth=depth + 1, loops=loops)
                yield from self.block(node.elif_, scope, depth=depth + 1, loops=loops)
                yield from self.block(node.else_, scope, depth=depth + 1, loops=loops)
            case nodes.For():
                inner = self._loop(node, scope, loops=loops)
                yield from self.block(node.body, inner, depth=depth + 1, loops=loops + 1)
                yield from self.block(node.else_, scope, depth=depth + 1, loops=loops)
            case _:
                raise _unlisted(node)

    def _shown(self, node: nodes.Output, scope: Scope) -> Iterator[Problem]:
        for one in node.nodes:
            if isinstance(one, nodes.TemplateData):
                continue
            try:
                self._text(one, scope, depth=0)
            except _Refused as refused:
                yield refused.problem

    def _loop(self, node: nodes.For, scope: Scope, *, loops: int) -> Scope:
        """The scope inside of a loop; it must be over a documented list."""
        if node.recursive or node.test is not None:
            raise _Refused(Reason.SYNTAX_NOT_ALLOWED, node.lineno, "for takes neither recursive nor if: use if inside")
        if loops >= LOOPS:
            raise _Refused(Reason.SYNTAX_NOT_ALLOWED, node.lineno, f"for may be nested {LOOPS} deep at most")
        if not isinstance(node.iter, nodes.Name):
            raise _Refused(Reason.SYNTAX_NOT_ALLOWED, node.lineno, f"for goes over a list only: {self._lists()}")
        if self._sort(node.iter, scope) is not Sort.LIST:
            raise _Refused(
                Reason.SYNTAX_NOT_ALLOWED, node.lineno, f"{node.iter.name} is no list; lists are: {self._lists()}"
            )
        target = node.target.name if isinstance(node.target, nodes.Name) else ""
        taken = {"loop", VALUES, *GROUPS, *self.open, *scope}
        if not _TARGET.fullmatch(target) or target in taken:
            raise _Refused(
                Reason.SYNTAX_NOT_ALLOWED,
                node.lineno,
                "for needs one new name in small Latin letters, as in: for one in …",
            )
        return {**scope, target: node.iter.name}

    def _lists(self) -> str:
        return ", ".join(path for path, one in self.open.items() if one.sort is Sort.LIST) or "this audience has none"

    def _text(self, node: nodes.Node, scope: Scope, *, depth: int) -> None:
        """Refuse what gives no text."""
        self._measure(node, depth)
        match node:
            case nodes.Const(value=str()):
                return
            case nodes.Filter():
                self._filter(node, scope, depth=depth)
            case nodes.Name() | nodes.Getattr():
                sort = self._sort(node, scope)
                if sort in (Sort.LIST, Sort.FLAG):
                    use = "for" if sort is Sort.LIST else "if"
                    raise _Refused(
                        Reason.SYNTAX_NOT_ALLOWED, node.lineno, f"{_path(node)} is a {sort.value}: use it in {use}"
                    )
            case _:
                raise _unlisted(node)

    def _filter(self, node: nodes.Filter, scope: Scope, *, depth: int) -> None:
        if node.name not in FILTERS or node.node is None:
            known = ", ".join(FILTERS)
            raise _Refused(Reason.SYNTAX_NOT_ALLOWED, node.lineno, f"there is no filter {node.name}; there are {known}")
        given = [one.value for one in node.args if isinstance(one, nodes.Const) and isinstance(one.value, str)]
        odd = node.kwargs or node.dyn_args is not None or node.dyn_kwargs is not None or len(given) != len(node.args)
        if odd or len(given) != (node.name == "default"):
            how = "default('…')" if node.name == "default" else node.name
            raise _Refused(Reason.SYNTAX_NOT_ALLOWED, node.lineno, f"write the filter as {how}")
        self._text(node.node, scope, depth=depth + 1)

    def _condition(self, node: nodes.Node, scope: Scope, *, depth: int) -> None:
        """Refuse what cannot be asked."""
        self._measure(node, depth)
        match node:
            case nodes.And() | nodes.Or():
                self._condition(node.left, scope, depth=depth + 1)
                self._condition(node.right, scope, depth=depth + 1)
            case nodes.Not():
                self._condition(node.node, scope, depth=depth + 1)
            case nodes.Compare():
                self._comparison(node, scope)
            case nodes.Name() | nodes.Getattr():
                self._sort(node, scope)
            case _:
                raise _unlisted(node)

    def _comparison(self, node: nodes.Compare, scope: Scope) -> None:
        if (
            len(node.ops) != 1
            or node.ops[0].op not in _OPERATORS
            or not isinstance(node.expr, nodes.Name | nodes.Getattr)
        ):
            listed = ", ".join(_OPERATORS.values())
            raise _Refused(
                Reason.SYNTAX_NOT_ALLOWED, node.lineno, f"compare one variable with words, by one of {listed}"
            )
        self._sort(node.expr, scope)
        operand = node.ops[0]
        if operand.op in ("in", "notin"):
            right = operand.expr.items if isinstance(operand.expr, nodes.List | nodes.Tuple) else [operand.expr, None]
        else:
            right = [operand.expr]
        if not all(isinstance(one, nodes.Const) and isinstance(one.value, str) for one in right):
            how = "['Drift', 'Bias']" if operand.op in ("in", "notin") else "'Drift'"
            raise _Refused(
                Reason.SYNTAX_NOT_ALLOWED,
                node.lineno,
                f"on the right of {_OPERATORS[operand.op]} stand words in quotes, as in {how}",
            )

    def _measure(self, node: nodes.Node, depth: int) -> None:
        if depth > DEPTH:
            raise _Refused(Reason.SYNTAX_NOT_ALLOWED, node.lineno, f"an expression is nested deeper than {DEPTH}")

    def _sort(self, node: nodes.Name | nodes.Getattr, scope: Scope) -> Sort:
        """What a variable is; refused unless it is documented, and for this audience and language."""
        path = _path(node)
        head, _, rest = path.partition(".")
        if head == "loop" and scope:
            if rest in _LOOP:
                return Sort.FLAG
            raise _Refused(
                Reason.UNKNOWN_VARIABLE, node.lineno, f"{path} is not known; there are loop.first, loop.last"
            )
        if head == VALUES and rest:
            if rest in self.values:
                return Sort.TEXT
            raise self._unknown(path, node.lineno)
        documented = f"{scope[head]}[].{rest}" if head in scope else path
        variable = BY_PATH.get(documented)
        if variable is None:
            raise self._unknown(path, node.lineno)
        if self.audience not in variable.audiences:
            raise _Refused(Reason.NOT_FOR_AUDIENCE, node.lineno, f"{path} is not for {self.audience}: {variable.kept}")
        if variable.sort in (Sort.WORDS, Sort.ESTIMATE) and phrases(self.language) is None:
            raise _Refused(Reason.NO_WORDS, node.lineno, f"{path} {self._wordless(variable)}")
        return variable.sort

    def _wordless(self, variable: Variable) -> str:
        known = f"has no words in {self.language}, only in {', '.join(WORDED)}"
        if variable.sort is Sort.ESTIMATE:
            return f"{known}: write the estimate out"
        return f"{known}: write them yourself, by {{% if {variable.source} == … %}}"

    def _unknown(self, path: str, line: int) -> _Refused:
        names = [one for one in self.open if "[]" not in one] + [f"{VALUES}.{name}" for name in self.values]
        names += sorted(GROUPS - {path})
        near = difflib.get_close_matches(path[:128], names, n=1, cutoff=0.5)
        group = f": it is a group, name one of its parts, as in {self._part_of(path)}" if path in GROUPS else ""
        hint = group or (f", did you mean {near[0]}?" if near else ": see the reference of the message context")
        return _Refused(Reason.UNKNOWN_VARIABLE, line, f"{_short(path)} is not known{hint}")

    def _part_of(self, group: str) -> str:
        return next((path for path in self.open if path.startswith(f"{group}.")), f"{group}.…")


def _short(path: str) -> str:
    return path if len(path) <= 64 else f"{path[:63]}…"


def _path(node: nodes.Node) -> str:
    """A name with the attributes behind it, as it is written."""
    parts: list[str] = []
    while isinstance(node, nodes.Getattr):
        parts.append(node.attr)
        node = node.node
    if not isinstance(node, nodes.Name):
        raise _unlisted(node)
    return ".".join([node.name, *reversed(parts)])


_WORDS: Mapping[type[Any], str] = {
    nodes.Call: "a call",
    nodes.Getitem: "brackets behind a variable: write a dot and the name",
    nodes.Macro: "macro",
    nodes.Include: "include",
    nodes.Import: "import",
    nodes.FromImport: "import",
    nodes.Extends: "extends",
    nodes.Block: "block",
    nodes.Assign: "set",
    nodes.AssignBlock: "set",
    nodes.With: "with",
    nodes.CallBlock: "call",
    nodes.FilterBlock: "a filter around a block",
    nodes.CondExpr: "if inside of an expression: use {% if %}",
    nodes.Concat: "~: write the parts one after the other",
    nodes.Test: "is: write {% if %} with the variable itself",
    nodes.Const: "a number, true, false or none",
}


def _unlisted(node: nodes.Node) -> _Refused:
    """Syntax that is not in the list, said as its author would."""
    if isinstance(node, nodes.BinExpr | nodes.UnaryExpr):
        what = "arithmetic" if not isinstance(node, nodes.And | nodes.Or | nodes.Not) else "and, or, not outside of if"
    else:
        what = _WORDS.get(type(node), type(node).__name__.lower())
    return _Refused(Reason.SYNTAX_NOT_ALLOWED, node.lineno, f"not allowed in a message: {what}")
