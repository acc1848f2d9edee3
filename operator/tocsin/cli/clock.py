"""``kubectl tocsin clock list|start|decline|move|submitted|accept``: the legal clocks, and what people say of them."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from tocsin.api.clock import AnchorType, ClockStatus
from tocsin.api.decision import DecisionType
from tocsin.api.incident import Incident
from tocsin.api.quantities import format_time, parse_time
from tocsin.cli.files import Mistake
from tocsin.cli.noting import add_note_file, note_text
from tocsin.clock import SystemClock
from tocsin.decide.clocks import clock_words, due_time, open_ones, remarks, time_left
from tocsin.decide.presets import PRESETS
from tocsin.decide.reckoning import LAST

_TOLD = (
    ("start", DecisionType.START_CLOCK, "start a clock from its true anchor, which may lie in the past"),
    ("decline", DecisionType.DECLINE_CLOCK, "say that a clock does not apply; a second person must say so as well"),
    ("move", DecisionType.MOVE_CLOCK, "move an anchor: earlier at once, later when a second person says the same"),
    ("submitted", DecisionType.MARK_SUBMITTED, "record that you have submitted the report, and for what receipt"),
)
TYPES = {word: type_ for word, type_, _ in _TOLD}
ANCHORS = [one.value for one in AnchorType]


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its own."""
    top = commands.add_parser(
        "clock",
        help="legal clocks: list, start, decline, move, submitted, accept",
        description="Legal clocks of incidents: a reminder, not legal advice. No metric starts one: a person does, or"
        " two persons decline it.",
    )
    words = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    parser = words.add_parser("list", help="every clock that is owed, what is due first", description="What is owed.")
    parser.add_argument("incident", nargs="?", help="all clocks of one incident, settled ones too")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("-n", "--namespace", help="default: the namespace of the kubeconfig's context")
    where.add_argument("-A", "--all-namespaces", action="store_true", help="of all namespaces")
    parser.add_argument("-o", "--output", choices=("table", "json", "yaml"), default="table", help="for programs")
    parser.set_defaults(run=run_list)
    for word, type_, help_ in _TOLD:
        parser = words.add_parser(word, help=help_, description=f"{help_[0].upper()}{help_[1:]}.")
        parser.add_argument("incident", help="its name, with or without inc/ before it")
        _which(parser)
        if type_ in (DecisionType.START_CLOCK, DecisionType.MOVE_CLOCK):
            parser.add_argument(
                "--anchor",
                dest="anchors",
                action="append",
                required=True,
                metavar="TYPE=TIME",
                help=f"for example Aware=2026-11-23T14:32:00Z, of {', '.join(ANCHORS)}",
            )
        if type_ is DecisionType.MARK_SUBMITTED:
            parser.add_argument("--receipt", required=True, help="what whoever received it gave for it")
            parser.add_argument("--at", metavar="TIME", help="when it was submitted (default: now)")
        parser.add_argument(
            "--reason", required=type_ is not DecisionType.MARK_SUBMITTED, help="why; it stays on record"
        )
        add_note_file(parser)
        _namespace(parser)
        parser.set_defaults(run=run, word=word)
    help_ = "stand for the numbers of a clock that were not read in a primary text"
    parser = words.add_parser("accept", help=help_, description=f"{help_[0].upper()}{help_[1:]}. They are shown first.")
    parser.add_argument("policy", help="the EscalationPolicy's name")
    _which(parser)
    parser.add_argument("--reason", required=True, help="on what it rests; it stays on record")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask back")
    _namespace(parser)
    parser.set_defaults(run=run, word="accept")


def _which(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--clock", required=True, choices=list(PRESETS), metavar="CLOCK", help="which, as list shows it"
    )


def _namespace(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-n", "--namespace", help="default: the namespace of the kubeconfig's context")


def run(arguments: argparse.Namespace) -> int:
    """Decide in the cluster of the kubeconfig."""
    fields = fields_of(arguments, SystemClock().now())
    file: Path | None = getattr(arguments, "note_file", None)
    return asyncio.run(_decide(arguments, fields, note_text(file) if file else None))


async def _decide(arguments: argparse.Namespace, fields: dict[str, Any], note: str | None) -> int:
    from tocsin.cli.desk import Desk, asked
    from tocsin.cli.looking import connected

    async with connected() as (api, default):
        ask = asked if sys.stdin.isatty() else None
        desk = Desk(api, arguments.namespace or default, SystemClock(), ask=ask)
        if arguments.word == "accept":
            return await desk.accept_clock(arguments.policy, arguments.clock, arguments.reason, yes=arguments.yes)
        return await desk.clock(TYPES[arguments.word], arguments.incident.rpartition("/")[2], fields, note)


def fields_of(arguments: argparse.Namespace, now: datetime) -> dict[str, Any]:
    """The fields of the Decision, as they stand on the command line."""
    fields: dict[str, Any] = {"clock": arguments.clock}
    if arguments.reason:
        fields["reason"] = arguments.reason
    if anchors := getattr(arguments, "anchors", None):
        if arguments.word == "move" and len(anchors) > 1:
            raise Mistake("--anchor: move one anchor at a time")
        fields["anchors"] = [_anchor(one) for one in anchors]
    if receipt := getattr(arguments, "receipt", None):
        at = _time("--at", arguments.at) if arguments.at else now.replace(microsecond=0)
        fields |= {"receipt": receipt, "submittedTime": format_time(at)}
    return fields


def _anchor(text: str) -> dict[str, str]:
    kind, given, time = text.partition("=")
    if not given or kind not in ANCHORS:
        raise Mistake(f"--anchor: {text!r} is no anchor: write TYPE=TIME, with one of {', '.join(ANCHORS)}")
    return {"type": kind, "time": format_time(_time("--anchor", time))}


def _time(flag: str, text: str) -> datetime:
    try:
        return parse_time(text)
    except ValueError as bad:
        raise Mistake(f"{flag}: {bad}") from bad


# --- what is owed


def run_list(arguments: argparse.Namespace) -> int:
    """Look at the clocks in the cluster of the kubeconfig."""
    from tocsin.cli.looking import look

    name = (arguments.incident or "").rpartition("/")[2]
    if arguments.all_namespaces and name:
        raise Mistake(f"-A shows every incident: name a namespace to see {name}, with -n")
    namespace = "" if arguments.all_namespaces else arguments.namespace
    found, _ = asyncio.run(look("show" if name else "status", name, namespace))
    show(arguments.output, [found] if name else found, SystemClock().now(), settled=bool(name))
    return 0


def show(output: str, incidents: Sequence[Incident], now: datetime, *, settled: bool) -> None:
    """Print the clocks of incidents, of one that is named also what is settled."""
    match output:
        case "json":
            print(json.dumps(_plain(incidents, settled=settled), indent=2, ensure_ascii=False))
        case "yaml":
            print(yaml.safe_dump(_plain(incidents, settled=settled), sort_keys=False, allow_unicode=True), end="")
        case _:
            console = Console(highlight=False, markup=False, emoji=False)
            _table(console, incidents, now, settled=settled)


def _table(console: Console, incidents: Sequence[Incident], now: datetime, *, settled: bool) -> None:
    found = list(_found(incidents, settled=settled))
    if not found:
        console.print("there is no clock" if settled else "no clock is owed")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("INCIDENT", "CLOCK", "STATE", "DUE", "LAW"):
        table.add_column(head, overflow="fold")
    for name, clock in found:
        table.add_row(name, clock.name, clock.state, time_left(clock, now), clock.citation)
    console.print(table)
    for name, clock in found:
        for remark in remarks(clock):
            console.print(f"{name}: {clock.name}: {remark}", soft_wrap=True)


def _plain(incidents: Sequence[Incident], *, settled: bool) -> list[dict[str, Any]]:
    return [
        {"namespace": one.metadata.namespace, "incident": one.metadata.name} | clock.dump()
        for one in incidents
        for clock in (one.status.clocks if settled else open_ones(one.status))
    ]


def _found(incidents: Sequence[Incident], *, settled: bool) -> Iterator[tuple[str, ClockStatus]]:
    """The clocks with their incidents; what is due first stands first, of one incident with its family."""
    several = len({one.metadata.namespace for one in incidents}) > 1
    found = [
        (f"{one.metadata.namespace}/" * several + one.metadata.name, clock)
        for one in incidents
        for clock in (one.status.clocks if settled else open_ones(one.status))
    ]
    if settled:
        return iter(found)
    return iter(sorted(found, key=lambda one: (due_time(one[1]) or LAST, one[0], one[1].name)))


def clock_lines(incidents: Sequence[Incident], now: datetime) -> Iterator[str]:
    """A line for each clock that is owed, whether its incident is resolved or not."""
    return (f"{name}  {clock_words(clock, now)}" for name, clock in _found(incidents, settled=False))
