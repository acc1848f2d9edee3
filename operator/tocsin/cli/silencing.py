"""``kubectl tocsin silence add|list|expire``: for a while nobody is told, up to SEV3, and it is on record why."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.table import Table

from tocsin.api.quantities import format_time
from tocsin.api.silence import MatchField, MatchOperator, Silence, SilenceSpec

FIELDS: Mapping[str, MatchField] = {
    "model": MatchField.MODEL,
    "policy": MatchField.POLICY,
    "signal": MatchField.SIGNAL,
    "tier": MatchField.TIER,
    "responder": MatchField.RESPONDER,
}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands."""
    top = commands.add_parser(
        "silence",
        help="for a while nobody is told of what is named, up to SEV3; everything else goes on",
        description="For a while nobody is told of what is named, up to SEV3. Records, deadlines and escalation go on; "
        "when it is over, who is still waited for is told once.",
    )
    words = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    parser = words.add_parser(
        "add",
        help="begin one now",
        description="Silence what is named, from now on. All that is named must fit; "
        "of what is given several times, one.",
    )
    for word, field in FIELDS.items():
        parser.add_argument(
            f"--{word}",
            action="append",
            default=[],
            metavar="NAME",
            help=f"the {field.value.lower()}; it may be given several times, and with ! before it is one that is not"
            " silenced",
        )
    parser.add_argument("--everything", action="store_true", help="everything of the namespace")
    parser.add_argument("--for", dest="span", required=True, metavar="DURATION", help="how long, at most 720h")
    parser.add_argument("--reason", required=True, help="why nobody needs to be told; it stays on record")
    _finish(parser, "add")
    parser = words.add_parser("list", help="which there are", description="List Silences, those that hold first.")
    _finish(parser, "list", everywhere=True)
    parser = words.add_parser("expire", help="end some now", description="End Silences now, for all.")
    parser.add_argument("names", metavar="silence", nargs="+", help="their names, with or without sil/ before them")
    _finish(parser, "expire")


def _finish(parser: argparse.ArgumentParser, word: str, *, everywhere: bool = False) -> None:
    where = parser.add_mutually_exclusive_group()
    where.add_argument("-n", "--namespace", help="default: the namespace of the kubeconfig's context")
    if everywhere:
        where.add_argument("-A", "--all-namespaces", action="store_true", help="of all namespaces")
    parser.set_defaults(run=run, word=f"silence {word}", act=None)


def run(arguments: argparse.Namespace) -> int:
    """Carry the command out against the cluster of the kubeconfig."""
    from tocsin.cli.quieting import carry_out

    return asyncio.run(carry_out(arguments))


def matchers_of(chosen: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """What must fit, out of the flags; a name with ! before it is one that must not."""
    matchers: list[dict[str, Any]] = []
    for word, field in FIELDS.items():
        plain = [name for name in chosen[word] if not name.startswith("!")]
        but = [name[1:] for name in chosen[word] if name.startswith("!")]
        for operator, values in ((MatchOperator.IN, plain), (MatchOperator.NOT_IN, but)):
            if values:
                matchers.append({"field": field.value, "operator": operator.value, "values": [*dict.fromkeys(values)]})
    return matchers


def words_of(spec: SilenceSpec) -> str:
    """What is silenced, in words."""
    if spec.everything:
        return "everything"
    words = []
    for one in spec.matchers:
        values = " or ".join(one.values)
        words.append(f"{'' if one.operator is MatchOperator.IN else 'not '}{one.field.value.lower()} {values}")
    return ", ".join(words)


def in_force(silences: Iterable[Silence], now: datetime) -> list[Silence]:
    """Those that hold now, the first to end first."""
    return sorted((one for one in silences if one.spec.from_ <= now < one.spec.until), key=_end)


def overview(silences: Sequence[Silence], now: datetime) -> Table | str:
    """All of them: those that hold, those that will, those that are over, the last ones first."""
    if not silences:
        return "nothing is silenced"
    several = len({one.metadata.namespace for one in silences}) > 1
    holding = in_force(silences, now)
    coming = sorted((one for one in silences if one.spec.from_ > now), key=_end)
    over = sorted((one for one in silences if one.spec.until <= now), key=_end, reverse=True)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("SILENCE", "STATE", "WHAT", "UNTIL", "BY", "REASON"):
        table.add_column(head, overflow="fold")
    for state, some in (("holds", holding), ("to come", coming), ("over", over)):
        for one in some:
            name = f"{one.metadata.namespace}/{one.metadata.name}" if several else one.metadata.name
            spec = one.spec
            table.add_row(name, state, words_of(spec), format_time(spec.until), spec.by, spec.reason)
    return table


def _end(silence: Silence) -> tuple[datetime, str]:
    return silence.spec.until, silence.metadata.name
